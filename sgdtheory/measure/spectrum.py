"""The Hessian without its matrix: both ends of its spectrum, their map over a plane, curvatures of random slices."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.measure.directions import Direction, RandomState, checked_point, described, direction, normalised
from sgdtheory.measure.grid import Points, Workers, counted, described_plane, moved, on_grid, plane_axes
from sgdtheory.measure.protocol import Array, Loss, dimension_of

if TYPE_CHECKING:
    import xarray as xr

_DENSE = 128  # up to this dimension all eigenvalues cost less than Lanczos at both ends
_AT_ONCE = 16
_LOOSE = 0.1  # for a first idea of the size of H


@dataclass(frozen=True)
class Ends:
    """Both ends of the spectrum of a symmetric matrix.

    Parameters
    ----------
    smallest, largest : float
        λmin and λmax; NaN where the Hessian is not finite, or Lanczos did not settle.
    residual : float
        The larger |Hv − λv| of both: an eigenvalue lies within it of each.

    Examples
    --------
    >>> Ends(-1.0, 2.0, 0.0).ratio
    0.5
    """

    smallest: float
    largest: float
    residual: float

    @property
    def ratio(self) -> float:
        """|λmin/λmax|, as the sources plot it; NaN for 0/0."""
        return float(ratio(np.array(self.smallest), np.array(self.largest)))


def ratio(smallest: Array, largest: Array) -> Array:
    """Return |λmin/λmax|, NaN for 0/0."""
    with np.errstate(all="ignore"):
        return np.abs(np.asarray(smallest) / np.asarray(largest))


def extreme_eigenvalues(loss: Loss, w: ArrayLike, *, tolerance: float = 1e-8) -> Ends:
    """Return the smallest and the largest eigenvalue of the Hessian at a point.

    Up to 128 parameters from the whole matrix. Beyond, Lanczos is asked for either end by name, the algebraically
    largest and smallest; the published code asks for the eigenvalue of largest absolute value, shifts by 0.51 of it and
    asks again, which gives the other end only where λmin ≤ 0.02·λmax.

    Parameters
    ----------
    loss : Loss
    w : array_like, shape (d,)
    tolerance : float
        Of Lanczos, relative to |H|.

    Returns
    -------
    Ends

    Raises
    ------
    ArgumentError
        For a point that does not fit.

    References
    ----------
    Lehoucq, Sorensen, Yang (1998), ARPACK Users' Guide.

    Examples
    --------
    >>> from sgdtheory import landscape, numeric_loss
    >>> ends = extreme_eigenvalues(numeric_loss(landscape("u**2/2 - v**2 + 3*t**2/2", ["u", "v", "t"])), [0, 0, 0])
    >>> round(ends.smallest, 9), round(ends.largest, 9)
    (-2.0, 3.0)
    """
    point = checked_point(w, dimension_of(loss))
    values, vectors = _eigenpairs(loss, point, ("SA", "LA"), tolerance)
    if not np.isfinite(values).all():
        return Ends(float("nan"), float("nan"), float("nan"))
    miss = np.stack([loss.hvp(point, v) for v in vectors]) - values[:, np.newaxis] * vectors
    return Ends(float(values[0]), float(values[1]), float(np.linalg.norm(miss, axis=1).max()))


def hessian_directions(loss: Loss, w: ArrayLike, *, tolerance: float = 1e-8) -> tuple[Direction, Direction]:
    """Return unit eigenvectors of the Hessian, of its largest and of its smallest eigenvalue.

    The plane they span shows the steepest bend there is, and the most downward one: a saddle that random slices hide.

    Parameters
    ----------
    loss, w, tolerance
        As of `extreme_eigenvalues`.

    Returns
    -------
    tuple of Direction

    Raises
    ------
    ArgumentError
        For a point that does not fit, or where there are no finite eigenvalues.

    Examples
    --------
    >>> from sgdtheory import landscape, numeric_loss
    >>> steep, down = hessian_directions(numeric_loss(landscape("3*u**2/2 - v**2", ["u", "v"])), [0, 0])
    >>> steep.made, np.abs(down.values).round(6)
    ('unit eigenvector of the Hessian, λ = 3', array([0., 1.]))
    """
    values, vectors = _eigenpairs(loss, checked_point(w, dimension_of(loss)), ("LA", "SA"), tolerance)
    if not np.isfinite(values).all():
        raise ArgumentError("w", "a point without finite eigenvalues of the Hessian", "one where the loss is smooth")
    made = (f"unit eigenvector of the Hessian, λ = {value:.4g}" for value in values)
    first, second = (Direction(v, text) for v, text in zip(vectors, made, strict=True))
    return first, second


def curvature_map(
    loss: Loss,
    w: ArrayLike,
    first: Direction | ArrayLike,
    second: Direction | ArrayLike,
    *,
    points: Points | tuple[Points, Points] = 21,
    extent: float | tuple[float, float] = 1.0,
    tolerance: float = 1e-4,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Map the ends of the Hessian's spectrum over a plane: what a slice hides of the directions not shown.

    Parameters
    ----------
    loss, w, first, second, points, extent, threads, executor, progress
        As of `slice_2d`.
    tolerance : float
        As of `extreme_eigenvalues`.

    Returns
    -------
    xarray.Dataset
        ``smallest``, ``largest`` and ``ratio`` = |smallest/largest| (alpha, beta), of the whole Hessian in all d
        parameters; NaN where it is not finite, counted. Attributes as of `slice_2d`.

    Raises
    ------
    ArgumentError
        As `slice_2d`.

    References
    ----------
    Li, Xu, Taylor, Studer, Goldstein (2018), Visualizing the loss landscape of neural nets, section 6.

    Examples
    --------
    >>> from sgdtheory import landscape, numeric_loss
    >>> loss = numeric_loss(landscape("u**2 + v**2 - t**4", ["u", "v", "t"]))
    >>> curvature_map(loss, [0, 0, 0.5], [1, 0, 0], [0, 0, 0.5], points=3).ratio.values[0].round(6)
    array([0. , 1.5, 6. ])
    """
    import xarray as xr

    centre, axes = checked_point(w, dimension_of(loss)), plane_axes(points, extent)
    plane = [direction(d, loss.dimension, n) for d, n in ((first, "first"), (second, "second"))]
    vectors = [centre, *(d.values for d in plane)]
    workers = Workers(threads, executor, progress)
    ends, reached = on_grid(axes, _ends_at, lambda c: (loss, vectors, c, tolerance), _AT_ONCE, workers, 2)
    smallest, largest = ends[..., 0], ends[..., 1]
    variables = {"smallest": smallest, "largest": largest, "ratio": ratio(smallest, largest)}
    facts = described_plane(centre, plane) | counted(smallest, reached)
    return xr.Dataset({name: (tuple(axes), values) for name, values in variables.items()}, axes, facts)


@dataclass(frozen=True, eq=False)
class RandomCurvatures:
    """Curvatures q = dᵀHd of random slices, one a draw.

    Parameters
    ----------
    values : ndarray, shape (count,)
    made : str
        How the directions were made.

    Examples
    --------
    >>> RandomCurvatures(np.array([1.0, 3.0, -1.0, 5.0]), "given").negative_share
    0.25
    """

    values: Array
    made: str

    @property
    def mean(self) -> float:
        """Estimate of E q; of plain Gaussian draws that is tr H."""
        return float(self.values.mean())

    @property
    def mean_error(self) -> float:
        """Standard error of the mean."""
        return float(np.sqrt(self.variance / len(self.values)))

    @property
    def variance(self) -> float:
        """Estimate of Var q; of plain Gaussian draws that is 2|H|², the sum of squared entries."""
        return float(self.values.var(ddof=1))

    @property
    def variance_error(self) -> float:
        """Standard error of the variance, from the fourth moment."""
        centred = self.values - self.values.mean()
        return float(np.sqrt(max(np.mean(centred**4) - np.mean(centred**2) ** 2, 0.0) / len(self.values)))

    @property
    def negative_share(self) -> float:
        """Part of the slices that bend down at the point."""
        return float((self.values < 0).mean())


def random_curvatures(
    loss: Loss,
    w: ArrayLike,
    count: int = 1000,
    *,
    normalise: str = "none",
    vectors: str = "drawn",
    rng: RandomState = None,
) -> RandomCurvatures:
    """Draw random slices and return how they bend at the point, dᵀHd, by one product with the Hessian each.

    With plain Gaussian draws this is Hutchinson's estimator: E dᵀHd = tr H, Var dᵀHd = 2|H|². A random slice shows the
    mean curvature, and a saddle only where tr H is not large against √(2|H|²).

    Parameters
    ----------
    loss : Loss
    w : array_like, shape (d,)
    count : int
        Number of draws, ≥ 2.
    normalise, vectors, rng
        As of `random_directions`; the draws are the same as there.

    Returns
    -------
    RandomCurvatures

    Raises
    ------
    ArgumentError
        As `random_directions`.

    References
    ----------
    Hutchinson (1989), A stochastic estimator of the trace of the influence matrix.

    Examples
    --------
    >>> from sgdtheory import landscape, numeric_loss
    >>> found = random_curvatures(numeric_loss(landscape("u**2 - v**2/2", ["u", "v"])), [0, 0], 10_000, rng=0)
    >>> abs(found.mean - 1) < 4 * found.mean_error, abs(found.variance - 10) < 4 * found.variance_error
    (True, True)
    """
    point, made = checked_point(w, dimension_of(loss)), described(normalise, vectors)
    if not isinstance(count, (int, np.integer)) or isinstance(count, bool) or count < 2:
        raise ArgumentError("count", count, "a whole number >= 2")
    generator, values = np.random.default_rng(rng), np.empty(count)
    for first in range(0, count, _AT_ONCE):
        draws = generator.standard_normal((min(_AT_ONCE, count - first), loss.dimension))
        d = normalised(loss, draws, point, normalise, vectors)
        values[first : first + len(d)] = (d * loss.hvp(point, d)).sum(axis=-1)
    return RandomCurvatures(values, made)


def _ends_at(loss: Loss, vectors: list[Array], coordinates: Array, tolerance: float) -> Array:
    """Return λmin and λmax at some points of a plane, shape (points, 2)."""
    points = moved(coordinates, vectors)
    with np.errstate(all="ignore"):
        if loss.dimension > _DENSE:
            return np.stack([_eigenpairs(loss, p, ("SA", "LA"), tolerance)[0] for p in points])
        h, finite = _matrices(loss, points)
    return np.where(finite[:, np.newaxis], np.linalg.eigvalsh(h)[:, [0, -1]], np.nan)


def _matrices(loss: Loss, points: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return the whole Hessians at some points, shape (points, d, d), and where they are finite; 0 elsewhere."""
    h = loss.hvp(points[:, np.newaxis], np.eye(loss.dimension))
    finite = np.asarray(np.isfinite(h).all(axis=(-2, -1)))
    return np.where(finite[:, np.newaxis, np.newaxis], h + h.swapaxes(-1, -2), 0.0) / 2, finite


def _eigenpairs(loss: Loss, point: Array, asked: tuple[str, str], tolerance: float) -> tuple[Array, Array]:
    """Return eigenvalues, shape (k,), and eigenvectors, shape (k, d), at the ends asked for; NaN if there are none."""
    nothing = np.full(len(asked), np.nan), np.full((len(asked), loss.dimension), np.nan)
    if loss.dimension <= _DENSE:
        (h,), (finite,) = _matrices(loss, point[np.newaxis])
        if not finite:
            return nothing
        values, vectors = np.linalg.eigh(h)
        chosen = [0 if end == "SA" else -1 for end in asked]
        return values[chosen], vectors[:, chosen].T
    pairs = _lanczos(loss, point, asked, tolerance)
    return nothing if pairs is None else pairs


def _lanczos(loss: Loss, point: Array, asked: tuple[str, str], tolerance: float) -> tuple[Array, Array] | None:
    """Ask Lanczos for ends of the spectrum by name.

    Its tolerance is relative to the eigenvalue, which for one near 0 would never be met. So H goes up or down by twice
    its size first: away from 0, and by a number that is no part of the answer.
    """
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    start = np.random.default_rng(0).standard_normal(loss.dimension)
    with np.errstate(all="ignore"):
        first = loss.hvp(point, start)
    if not np.isfinite(first).all():
        return None
    if not first.any():  # of a random direction: H is 0
        return np.zeros(len(asked)), np.eye(loss.dimension)[: len(asked)]

    def run(which: str, shift: float, tolerance: float) -> tuple[float, Any]:
        size = (loss.dimension, loss.dimension)
        shifted = LinearOperator(size, matvec=lambda v: loss.hvp(point, v.ravel()) + shift * v.ravel(), dtype=float)
        values, vectors = eigsh(shifted, k=1, which=which, tol=tolerance, v0=start)
        return float(values[0]) - shift, vectors[:, 0]

    try:
        size = 2 * abs(run("LM", 0.0, _LOOSE)[0])
        pairs = [run(end, size if end == "LA" else -size, tolerance) for end in asked]
    except ArpackError:  # it did not settle
        return None
    return np.array([value for value, _ in pairs]), np.stack([vector for _, vector in pairs])
