"""Moments and histograms of an ensemble without its paths, the same for every cutting into blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError

GROUP = 1024
"""Replicas summed together first; groups are then put together in their order, however they were computed."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reduction:
    """What to keep of the recorded quantities instead of their paths.

    Parameters
    ----------
    edges : tuple of (int, tuple of float)
        Recorded quantity and the edges of its histogram's bins, increasing.
    """

    edges: tuple[tuple[int, tuple[float, ...]], ...] = ()


@dataclass(frozen=True)
class Summary:
    """Groups of replicas, summed up.

    Parameters
    ----------
    count : int array, shape (groups, recorded)
        Finite runs.
    mean, squares : float array, shape (groups, recorded, width)
        Their mean and the sum of squared deviations from it.
    bins : tuple of int arrays, each of shape (recorded, bins + 2)
        Finite runs a bin, the first and the last being below and above all edges.
    """

    count: NDArray[np.int64]
    mean: Array
    squares: Array
    bins: tuple[NDArray[np.int64], ...]


def summarise(path: Array, reduction: Reduction) -> Summary:
    """Sum up the paths of a block, shape (replicas, recorded, width), group by group."""
    finite = np.isfinite(path).all(axis=2)
    starts = np.arange(0, len(path), GROUP)
    count = np.add.reduceat(finite.astype(np.int64), starts, axis=0)
    known = np.where(finite[:, :, None], path, 0.0)
    mean = np.add.reduceat(known, starts, axis=0) / np.maximum(count, 1)[:, :, None]
    group = np.arange(len(path)) // GROUP
    deviation = np.where(finite[:, :, None], path - mean[group], 0.0)
    squares = np.add.reduceat(deviation**2, starts, axis=0)
    return Summary(count, mean, squares, tuple(_bins(path[:, :, i], finite, edges) for i, edges in reduction.edges))


def _bins(values: Array, finite: NDArray[np.bool_], edges: tuple[float, ...]) -> NDArray[np.int64]:
    size = len(edges) + 1
    place = np.searchsorted(np.array(edges), values, side="right")
    step = np.arange(values.shape[1])
    flat = (step * size + place)[finite]
    return np.bincount(flat, minlength=size * values.shape[1]).reshape(values.shape[1], size)


def combine(
    parts: Mapping[int, Summary], recorded: int, width: int, reduction: Reduction
) -> tuple[NDArray[np.int64], Array, Array, tuple[NDArray[np.int64], ...]]:
    """Put blocks together in the order of their first replica; none at all give counts of 0.

    Returns
    -------
    count : int array, shape (recorded,)
    mean, variance : float array, shape (recorded, width)
        Of the finite runs; the variance with divisor count − 1, NaN below two runs.
    bins : tuple of int arrays
    """
    nothing = np.zeros((0, recorded))
    empty = Summary(
        nothing.astype(np.int64), *(np.zeros((0, recorded, width)),) * 2,
        tuple(np.zeros((recorded, len(edges) + 1), dtype=np.int64) for _, edges in reduction.edges),
    )  # fmt: skip
    ordered = [empty, *(parts[first] for first in sorted(parts))]
    n, mean, squares = (np.concatenate([getattr(p, name) for p in ordered]) for name in ("count", "mean", "squares"))
    total = n.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        overall = (n[:, :, None] * mean).sum(axis=0) / total[:, None]
        between = (n[:, :, None] * (mean - overall) ** 2).sum(axis=0)
        variance = (squares.sum(axis=0) + between) / (total - 1)[:, None]
    variance[total < 2] = np.nan
    bins = tuple(np.sum([p.bins[i] for p in ordered], axis=0) for i in range(len(reduction.edges)))
    return total, overall, variance, bins


def checked_edges(argument: str, edges: ArrayLike) -> tuple[float, ...]:
    """Return the edges of a histogram as numbers, at least two, finite and increasing."""
    values = np.asarray(edges, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all() or np.any(np.diff(values) <= 0):
        raise ArgumentError(argument, edges, "two or more finite, increasing edges", "np.linspace(low, high, bins + 1)")
    return tuple(map(float, values))
