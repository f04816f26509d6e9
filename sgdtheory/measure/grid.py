"""Grids on lines and planes through a point: their coordinates, work on them, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.execution import Work, run_tasks
from sgdtheory.measure.directions import Direction
from sgdtheory.measure.protocol import Array, Loss

Points = int | Sequence[float] | NDArray[np.float64]
AXES = ("alpha", "beta")


@dataclass(frozen=True)
class Workers:
    """Who evaluates: threads here or an executor, with a progress bar or without."""

    threads: int | None = None
    executor: Executor | None = None
    progress: bool | None = None


def axis(points: Points, extent: float) -> Array:
    """Return the coordinates of a grid: 0 among them exactly, an even spacing symmetric to the last bit."""
    if isinstance(points, (int, np.integer)):
        if isinstance(points, bool) or points < 1 or points % 2 == 0:
            fix = f"{int(points) + 1}, which has 0 in the middle"
            raise ArgumentError("points", points, "an odd whole number >= 1, or the coordinates", fix)
        if not isinstance(extent, (int, float, np.number)) or isinstance(extent, bool) or not 0 < extent < np.inf:
            raise ArgumentError("extent", extent, "a number > 0")
        half = int(points) // 2
        return np.asarray(np.arange(-half, half + 1) * float(extent) / max(half, 1))
    given = np.asarray(points, dtype=np.float64)
    if given.ndim != 1 or not np.isfinite(given).all() or (np.diff(given) <= 0).any() or not (given == 0).any():
        fix = "np.union1d(points, 0) puts the point itself on the grid"
        raise ArgumentError("points", points, "increasing finite numbers, 0 among them", fix)
    return given


def plane_axes(points: Points | tuple[Points, Points], extent: float | tuple[float, float]) -> dict[str, Array]:
    """Return the coordinates of both axes of a plane."""
    both = [given if isinstance(given, tuple) else (given, given) for given in (points, extent)]
    for name, given in zip(("points", "extent"), both, strict=True):
        if len(given) != 2:
            raise ArgumentError(name, given, "one for both axes, or a tuple of two; coordinates as a list or an array")
    return {name: axis(p, e) for name, p, e in zip(AXES, *both, strict=True)}


Place = Callable[[Array, Sequence[Array]], Array]


def moved(coordinates: Array, vectors: Sequence[Array]) -> Array:
    """Return w + αd + βe, coordinate by coordinate and each from w: no rounding is carried on from cell to cell."""
    points = np.broadcast_to(vectors[0], (len(coordinates), len(vectors[0])))
    for values, along in zip(coordinates.T, vectors[1:], strict=True):
        points = points + values[:, np.newaxis] * along
    return points


def mixed(coordinates: Array, vectors: Sequence[Array]) -> Array:
    """Return (1 − α)·start + α·end, which is either end where it should be."""
    return (1 - coordinates) * vectors[0] + coordinates * vectors[1]


def evaluate(loss: Loss, place: Place, coordinates: Array, vectors: Sequence[Array]) -> Array:
    """Evaluate the loss at some places; what overflows is an outcome."""
    with np.errstate(all="ignore"):
        return np.asarray(loss.value(place(coordinates, vectors)), dtype=np.float64)


def on_grid(
    axes: dict[str, Array],
    function: Callable[..., Array],
    arguments: Callable[[Array], tuple[Any, ...]],
    at_once: int,
    workers: Workers,
    *tail: int,
) -> tuple[Array, NDArray[np.bool_]]:
    """Evaluate a function on a grid, so many points a task.

    Parameters
    ----------
    axes : dict
        Name → coordinates.
    function : callable
        Its result has shape (points, *tail).
    arguments : callable
        Coordinates, shape (points, axes) → arguments of `function`.
    at_once : int
    workers : Workers

    Returns
    -------
    values : ndarray, shape (*grid, *tail)
        NaN where an interrupt came first.
    reached : bool array, shape (*grid)
    """
    shape = tuple(len(values) for values in axes.values())
    coordinates = np.stack(np.meshgrid(*axes.values(), indexing="ij"), axis=-1).reshape(-1, len(axes))
    values, reached = np.full((len(coordinates), *tail), np.nan), np.zeros(len(coordinates), dtype=bool)

    def collect(first: int, part: Array) -> None:
        values[first : first + at_once], reached[first : first + at_once] = part, True

    work = Work(function, lambda first: arguments(coordinates[first : first + at_once]), collect, "evaluating")
    run_tasks(work, range(0, len(coordinates), at_once), **vars(workers))
    return values.reshape(*shape, *tail), reached.reshape(shape)


def described_plane(centre: Array, directions: Sequence[Direction]) -> dict[str, Any]:
    """Return the attributes that say what a line or a plane is: without them its picture means nothing."""
    facts: dict[str, Any] = {"parameters": len(centre), "norm_w": float(np.linalg.norm(centre))}
    for name, one in zip(AXES, directions, strict=False):
        facts |= {f"direction_{name}": one.made, f"norm_{name}": one.norm}
    if len(directions) == 2:
        (d, e), lengths = (one.values for one in directions), directions[0].norm * directions[1].norm
        facts["cosine"] = float(d @ e / lengths) if lengths > 0 else float("nan")
    return facts


def counted(values: Array, reached: NDArray[np.bool_]) -> dict[str, int]:
    """Return how many cells are not finite, and how many were not reached."""
    return {"not_finite": int((reached & ~np.isfinite(values)).sum()), "not_evaluated": int((~reached).sum())}
