"""Adaptive quadrature over a box: cells are halved, along the axis that varies more, until the integrand is tame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sgdtheory.errors import ArgumentError

Array = NDArray[np.float64]
Coarse = Callable[[Array], NDArray[np.bool_]]
"""Values at the nodes of cells, shape (cells, nodes a cell) → which cells to halve."""
_FIRST = {1: 64, 2: 16}
_ORDER = {1: 12, 2: 8}
_MOST_CELLS = {1: 20_000, 2: 40_000}


@dataclass(frozen=True)
class Nodes:
    """Nodes of a quadrature with their weights, cell after cell.

    Parameters
    ----------
    points : array, shape (N, d)
    weights : array, shape (N,)
        They sum to the volume of the box.
    values : array, shape (N,)
        Of the function that decided on the cells.
    spans : array, shape (N, d, 2)
        Low and high end of the part of the box that belongs to each node; the parts tile the box.
    """

    points: Array
    weights: Array
    values: Array
    spans: Array


def adaptive_nodes(function: Callable[[Array], Array], box: Array, coarse: Coarse) -> Nodes:
    """Return Gauss's nodes on cells that are halved while `coarse` asks for it.

    Parameters
    ----------
    function : callable
        w, shape (..., d) → shape (...).
    box : array, shape (d, 2)
        Low and high end along each axis; d is 1 or 2.
    coarse : callable
        Values, shape (cells, nodes a cell) → mask of cells that are too coarse.

    Returns
    -------
    Nodes

    Raises
    ------
    ArgumentError
        For more than two coordinates, or if the cells become too many.

    Examples
    --------
    >>> nodes = adaptive_nodes(lambda w: w[..., 0] ** 2, np.array([[0.0, 3.0]]), lambda v: np.zeros(len(v), bool))
    >>> round(float(nodes.weights @ nodes.values), 12)
    9.0
    """
    d = len(box)
    if d not in _ORDER:
        raise ArgumentError("problem", f"{d} coordinates", "one or two", "integrals over more are not taken on cells")
    unit, weight, span = _unit_nodes(d)
    sizes = np.broadcast_to((box[:, 1] - box[:, 0]) / _FIRST[d], (_FIRST[d] ** d, d))
    corners = box[:, 0] + sizes * np.array(list(product(range(_FIRST[d]), repeat=d)), dtype=np.float64)
    done: list[tuple[Array, Array, Array, Array]] = []
    count = 0
    while len(corners):
        points = corners[:, np.newaxis, :] + sizes[:, np.newaxis, :] * unit
        values = np.asarray(function(points), dtype=np.float64)
        split = coarse(values)
        kept = ~split
        parts = corners[kept, np.newaxis, :, np.newaxis] + sizes[kept, np.newaxis, :, np.newaxis] * span
        weights = weight * np.prod(sizes[kept], axis=1)[:, np.newaxis]
        done.append((points[kept], weights, values[kept], parts))
        count += int(kept.sum())
        halves = np.where(_steeper_axis(values[split], d), 0.5, 1.0) * sizes[split]
        moved = corners[split] + np.where(halves < sizes[split], halves, 0.0)
        corners, sizes = np.concatenate([corners[split], moved]), np.concatenate([halves, halves])
        if count + len(corners) > _MOST_CELLS[d]:
            allowed = f"at most {_MOST_CELLS[d]} cells"
            raise ArgumentError("n", "a density too sharp for this box", allowed, "a smaller box or a smaller n")
    points, weights, values, spans = (np.concatenate([part[i] for part in done]) for i in range(4))
    return Nodes(points.reshape(-1, d), weights.ravel(), values.ravel(), spans.reshape(-1, d, 2))


def _steeper_axis(values: Array, dimension: int) -> NDArray[np.bool_]:
    """Return, for each cell, the axis along which the values vary most, as a mask, shape (cells, d)."""
    order = _ORDER[dimension]
    grids = values.reshape(len(values), *[order] * dimension)
    rest = order ** (dimension - 1)
    ranges = [np.ptp(grids, axis=axis + 1).reshape(len(grids), rest).max(axis=1) for axis in range(dimension)]
    return np.asarray(np.argmax(np.stack(ranges, axis=1), axis=1)[:, np.newaxis] == np.arange(dimension))


def _unit_nodes(dimension: int) -> tuple[Array, Array, Array]:
    """Return Gauss's nodes and weights on the unit interval or square, and the part of it around each node.

    Parts as long as the weights, one after the other, hold a node each (Chebyshev, Markov, Stieltjes).
    """
    x, w = np.polynomial.legendre.leggauss(_ORDER[dimension])
    x, w = (x + 1) / 2, w / 2
    ends = np.concatenate([[0.0], np.cumsum(w)])
    ends[-1] = 1.0
    parts = np.stack([ends[:-1], ends[1:]], axis=1)
    points, weights, spans = (np.array(list(product(a, repeat=dimension))) for a in (x, w, parts))
    return points, np.prod(weights, axis=1), spans


def too_steep(most: float, deepest: float) -> Coarse:
    """Ask to halve cells in which an exponent S varies by more than `most`, unless exp(−S) is negligible there.

    A cell is negligible if S at its nodes, less the largest difference between neighbours, exceeds the least S seen so
    far by `deepest`.
    """
    least = np.inf

    def coarse(values: Array) -> NDArray[np.bool_]:
        nonlocal least
        least = min(least, float(values.min()))
        low, high = values.min(axis=1), values.max(axis=1)
        between = np.abs(np.diff(values, axis=1)).max(axis=1)
        return np.asarray((high - low > most) & (low - between < least + deepest))

    return coarse


def unresolved(most: float, smallest: float) -> Coarse:
    """Ask to halve cells in which a loss K ≥ 0 varies by more than a factor, unless all of it is below `smallest`."""

    def coarse(values: Array) -> NDArray[np.bool_]:
        low, high = values.min(axis=1), values.max(axis=1)
        return np.asarray((high > smallest) & (high > most * low))

    return coarse
