"""Slices: the loss on lines and planes through a point, on grids that always hold the point itself."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from sgdtheory.errors import ArgumentError
from sgdtheory.measure.directions import Direction, checked_point, direction
from sgdtheory.measure.grid import (
    Place,
    Points,
    Workers,
    axis,
    counted,
    described_plane,
    evaluate,
    mixed,
    moved,
    on_grid,
    plane_axes,
)
from sgdtheory.measure.protocol import Array, Loss, dimension_of

if TYPE_CHECKING:
    import xarray as xr

_AT_ONCE = 256  # points of a task; the same everywhere, so that nothing depends on who works
_NUMBERS_AT_ONCE = 1 << 18  # of the points of a task


def slice_1d(
    loss: Loss,
    w: ArrayLike,
    along: Direction | ArrayLike,
    *,
    points: Points = 51,
    extent: float = 1.0,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Evaluate the loss on a line, f(α) = L(w + αd).

    Parameters
    ----------
    loss : Loss
        Its value is called from several threads at once.
    w : array_like, shape (d,)
        The point, never written to.
    along : Direction or array_like, shape (d,)
        d, of any length: α counts multiples of it.
    points : int or array_like
        An odd number of α from −extent to extent, 0 in the middle; or the α themselves, increasing, 0 among them.
    extent : float
        > 0; without meaning where the α are given.
    threads : int, optional
        By default all processors.
    executor : concurrent.futures.Executor, optional
        Where to evaluate instead; a loss that cannot be sent there is evaluated here, with a warning.
    progress : bool, optional
        By default a bar, on a terminal, after two seconds.

    Returns
    -------
    xarray.Dataset
        ``loss`` (alpha); cells where it is not finite stay as they are and are counted. Attributes: how the direction
        was made, its length, the length of w, cells not finite, and not evaluated because of an interrupt (NaN).

    Raises
    ------
    ArgumentError
        For shapes that do not fit, points that are not finite, or a grid without 0.

    References
    ----------
    Li, Xu, Taylor, Studer, Goldstein (2018), Visualizing the loss landscape of neural nets.

    Examples
    --------
    >>> from sgdtheory import landscape, numeric_loss
    >>> loss = numeric_loss(landscape("u**2 + v**4", ["u", "v"]))
    >>> slice_1d(loss, [1.0, 0.0], [0.5, 1.0], points=5, extent=2).loss.values
    array([16.  ,  1.25,  1.  ,  3.25, 20.  ])
    """
    axes = {"alpha": axis(points, extent)}
    return _slice(loss, w, [along], axes, Workers(threads, executor, progress))


def slice_2d(
    loss: Loss,
    w: ArrayLike,
    first: Direction | ArrayLike,
    second: Direction | ArrayLike,
    *,
    points: Points | tuple[Points, Points] = 51,
    extent: float | tuple[float, float] = 1.0,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Evaluate the loss on a plane, f(α, β) = L(w + αd + βe).

    Parameters
    ----------
    loss, w, threads, executor, progress
        As of `slice_1d`.
    first, second : Direction or array_like, shape (d,)
        d and e, in general neither orthogonal nor of one length: the result says their cosine.
    points, extent
        As of `slice_1d`, for both axes; or a tuple of two.

    Returns
    -------
    xarray.Dataset
        ``loss`` (alpha, beta); attributes as of `slice_1d`, and the cosine between the directions.

    Raises
    ------
    ArgumentError
        As `slice_1d`.

    Examples
    --------
    >>> from sgdtheory import landscape, numeric_loss
    >>> loss = numeric_loss(landscape("u**2 + v", ["u", "v"]))
    >>> slice_2d(loss, [1.0, 0.0], [1.0, 0.0], [0.0, 2.0], points=3).loss.values
    array([[-2.,  0.,  2.],
           [-1.,  1.,  3.],
           [ 2.,  4.,  6.]])
    """
    return _slice(loss, w, [first, second], plane_axes(points, extent), Workers(threads, executor, progress))


def interpolate(
    loss: Loss,
    start: ArrayLike,
    end: ArrayLike,
    *,
    points: Points = 401,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Evaluate the loss on the line through two points, f(α) = L((1 − α)·start + α·end).

    Parameters
    ----------
    loss, threads, executor, progress
        As of `slice_1d`.
    start, end : array_like, shape (d,)
        At α = 0 and α = 1, exactly.
    points : int or array_like
        A number 4m + 1 of α from −½ to 3/2, or the α themselves, increasing, 0 and 1 among them.

    Returns
    -------
    xarray.Dataset
        ``loss`` (alpha); the attributes of `slice_1d`, the direction being end − start.

    Raises
    ------
    ArgumentError
        As `slice_1d`, or for a grid without 1.

    References
    ----------
    Goodfellow, Vinyals, Saxe (2015), Qualitatively characterizing neural network optimization problems.

    Examples
    --------
    >>> from sgdtheory import landscape, numeric_loss
    >>> loss = numeric_loss(landscape("u**2", ["u"]))
    >>> interpolate(loss, [1.0], [-1.0], points=5).loss.values
    array([4., 1., 0., 1., 4.])
    """
    if isinstance(points, (int, np.integer)):
        if isinstance(points, bool) or points < 5 or points % 4 != 1:
            raise ArgumentError("points", points, "a number 4m + 1 >= 5, so that 0 and 1 are on the grid")
        points = np.arange(-(points // 4), 3 * (points // 4) + 1) / (points // 2)
    alpha = axis(points, 1.0)
    if not (alpha == 1).any():
        raise ArgumentError("points", points, "increasing numbers, 0 and 1 among them")
    ends = [checked_point(p, dimension_of(loss), name) for p, name in ((start, "start"), (end, "end"))]
    between = Direction(ends[1] - ends[0], "end − start")
    return _labelled(loss, mixed, ends, ends[0], [between], {"alpha": alpha}, Workers(threads, executor, progress))


def slice_curvature(plane: xr.Dataset) -> xr.Dataset:
    """Return the second differences of a slice, as what they approximate: the curvatures of the function on it.

    On a line f'' at every inner point; on a plane both eigenvalues of the Hessian of f(α, β), in which the directions
    count as orthogonal and of length 1. A curvature along a direction d lies between the extreme eigenvalues of the
    whole Hessian, times |d|². So a negative one on a line proves that the loss is not convex, and positive ones prove
    nothing about the directions not shown.

    Parameters
    ----------
    plane : xarray.Dataset
        Of `slice_1d`, `slice_2d` or `interpolate`, at least three points an axis.

    Returns
    -------
    xarray.Dataset
        ``smallest`` and ``largest`` on inner points, equal on a line; NaN where a neighbour is not finite. Attributes:
        ``negative_share``, the part of the finite ones whose smallest is below 0; the slice's own.

    Raises
    ------
    ArgumentError
        For fewer than three points an axis.

    Examples
    --------
    >>> from sgdtheory import landscape, numeric_loss
    >>> plane = slice_2d(numeric_loss(landscape("u**2 - v**2", ["u", "v"])), [0, 0], [1, 0], [0, 1], points=5)
    >>> bent = slice_curvature(plane)
    >>> bent.smallest.values[0, 0], bent.largest.values[0, 0], bent.attrs["negative_share"]
    (np.float64(-2.0), np.float64(2.0), 1.0)
    """
    import xarray as xr

    f = plane.loss
    coordinates = {str(name): f[name].values for name in f.dims}
    if any(len(c) < 3 for c in coordinates.values()):
        raise ArgumentError("plane", f"{f.shape} points", "at least 3 an axis: a second difference needs them")
    with np.errstate(all="ignore"):  # a cell that is not finite makes those beside it NaN
        smallest, largest = _curvatures(f.values, list(coordinates.values()))
    finite = np.isfinite(smallest)
    inner = {name: c[1:-1] for name, c in coordinates.items()}
    share = float((smallest[finite] < 0).mean()) if finite.any() else float("nan")
    variables = {"smallest": (f.dims, smallest), "largest": (f.dims, largest)}
    return xr.Dataset(variables, inner, {**plane.attrs, "negative_share": share})


def _curvatures(f: Array, coordinates: Sequence[Array]) -> tuple[Array, Array]:
    if f.ndim == 1:
        bend = _second(f, coordinates[0])
        return bend, bend
    a, b = _second(f, coordinates[0])[:, 1:-1], _second(f.T, coordinates[1])[:, 1:-1].T
    spans = [c[2:] - c[:-2] for c in coordinates]
    mixed = (f[2:, 2:] - f[2:, :-2] - f[:-2, 2:] + f[:-2, :-2]) / np.multiply.outer(*spans)
    middle, radius = (a + b) / 2, np.hypot((a - b) / 2, mixed)
    whole = np.isfinite(middle) & np.isfinite(radius)
    return np.where(whole, middle - radius, np.nan), np.where(whole, middle + radius, np.nan)


def _second(f: Array, x: Array) -> Array:
    """Return f'' along axis 0 at inner points: the difference of both neighbours' slopes."""
    step = np.diff(x).reshape(-1, *(1,) * (f.ndim - 1))
    bend = 2 * np.diff(np.diff(f, axis=0) / step, axis=0) / (step[1:] + step[:-1])
    return np.asarray(np.where(np.isfinite(bend), bend, np.nan))


def _slice(
    loss: Loss,
    w: ArrayLike,
    given: Sequence[Direction | ArrayLike],
    axes: dict[str, Array],
    workers: Workers,
) -> xr.Dataset:
    centre, names = checked_point(w, dimension_of(loss)), ("along",) if len(given) == 1 else ("first", "second")
    directions = [direction(one, loss.dimension, name) for one, name in zip(given, names, strict=True)]
    vectors = [centre, *(d.values for d in directions)]
    return _labelled(loss, moved, vectors, centre, directions, axes, workers)


def _labelled(
    loss: Loss,
    place: Place,
    vectors: Sequence[Array],
    centre: Array,
    directions: Sequence[Direction],
    axes: dict[str, Array],
    workers: Workers,
) -> xr.Dataset:
    import xarray as xr

    at_once = max(1, min(_AT_ONCE, _NUMBERS_AT_ONCE // max(1, loss.dimension)))
    values, reached = on_grid(axes, evaluate, lambda c: (loss, place, c, vectors), at_once, workers)
    facts = described_plane(centre, directions) | counted(values, reached)
    return xr.Dataset({"loss": (tuple(axes), values)}, axes, facts)
