"""Moments and histograms of an ensemble without its paths, the same for every cutting into blocks."""

from __future__ import annotations

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
    count : int array, shape (groups, recorded, width)
        Finite values.
    mean, squares : float array, shape (groups, recorded, width)
        Their mean and the sum of squared deviations from it.
    bins : tuple of int arrays, each of shape (recorded, bins + 2)
        Finite values a bin, the first and the last being below and above all edges.
    """

    count: NDArray[np.int64]
    mean: Array
    squares: Array
    bins: tuple[NDArray[np.int64], ...]


def summarise(path: Array, reduction: Reduction) -> Summary:
    """Sum up the paths of a block, shape (replicas, recorded, width), group by group."""
    finite = np.isfinite(path)
    starts = np.arange(0, len(path), GROUP)
    count = np.add.reduceat(finite, starts, axis=0, dtype=np.int64)
    groups = [_moments(path[i : i + GROUP], finite[i : i + GROUP]) for i in starts]
    mean, squares = (np.array(parts) for parts in zip(*groups, strict=True))
    bins = (_bins(path[:, :, i], finite[:, :, i], edges) for i, edges in reduction.edges)
    return Summary(count, mean, squares, tuple(bins))


def _moments(path: Array, finite: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Mean and sum of squared deviations of one group's finite values; 0 where there are none."""
    mean = np.where(finite, path, 0.0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
    return mean, (np.where(finite, path - mean, 0.0) ** 2).sum(axis=0)


def _bins(values: Array, finite: NDArray[np.bool_], edges: tuple[float, ...]) -> NDArray[np.int64]:
    size = len(edges) + 1
    place = np.searchsorted(np.array(edges), values, side="right")
    step = np.arange(values.shape[1])
    flat = (step * size + place)[finite]
    return np.bincount(flat, minlength=size * values.shape[1]).reshape(values.shape[1], size)


class Total:
    """Everything summed up so far: groups are added one by one in their order, so that no cutting can be seen.

    A block that comes before its turn waits, so that memory does not grow with the ensemble.

    Parameters
    ----------
    recorded, width : int
    reduction : Reduction
    """

    def __init__(self, recorded: int, width: int, reduction: Reduction) -> None:
        self.count = np.zeros((recorded, width), dtype=np.int64)
        self.mean, self.squares = np.zeros((recorded, width)), np.zeros((recorded, width))
        self.bins = [np.zeros((recorded, len(edges) + 1), dtype=np.int64) for _, edges in reduction.edges]
        self.waiting: dict[int, tuple[int, Summary]] = {}
        self.next = 0

    def add(self, first: int, count: int, part: Summary) -> None:
        """Take the summary of replicas first … first+count−1."""
        self.waiting[first] = (count, part)
        while self.next in self.waiting:
            size, summary = self.waiting.pop(self.next)
            self._merge(summary)
            self.next += size

    def moments(self) -> tuple[NDArray[np.int64], Array, Array]:
        """Return count, mean and variance of the finite values; the variance NaN below two, the mean below one."""
        for first in sorted(self.waiting):  # an interrupted run has gaps
            self._merge(self.waiting.pop(first)[1])
        variance = self.squares / np.maximum(self.count - 1, 1)
        return self.count, np.where(self.count > 0, self.mean, np.nan), np.where(self.count > 1, variance, np.nan)

    def _merge(self, part: Summary) -> None:
        """Add groups by the formula of Chan, Golub and LeVeque."""
        with np.errstate(all="ignore"):  # runs about to diverge may overflow in the square
            for n, mean, squares in zip(part.count, part.mean, part.squares, strict=True):
                total = np.maximum(self.count + n, 1)
                gap = np.where(n > 0, mean - self.mean, 0.0)
                self.mean = self.mean + gap * (n / total)
                self.squares = self.squares + squares + gap**2 * (self.count * (n / total))
                self.count = self.count + n
        for bins, own in zip(self.bins, part.bins, strict=True):
            bins += own


def checked_edges(argument: str, edges: ArrayLike) -> tuple[float, ...]:
    """Return the edges of a histogram as numbers, at least two, finite and increasing."""
    try:
        values = np.asarray(edges, dtype=np.float64)
    except (TypeError, ValueError):  # text, or rows of different lengths
        values = np.zeros(0)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all() or np.any(np.diff(values) <= 0):
        raise ArgumentError(argument, edges, "two or more finite, increasing edges", "np.linspace(low, high, bins + 1)")
    return tuple(map(float, values))
