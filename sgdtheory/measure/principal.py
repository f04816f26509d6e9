"""Trajectories on the plane of their principal components, beside what a trajectory that goes nowhere would show.

Every explained share comes with that of a random walk: the first two centred components of a walk in many dimensions
carry 76 % of its variance, those about its last point 90 % (claims VIS-08, VIS-09).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory import symbols
from sgdtheory.errors import ArgumentError
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.theory.slices.random_walk import centred_eigenvalue, centred_trace, pinned_eigenvalue, pinned_trace

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TrajectoryPlane:
    """A trajectory of T points in d dimensions, projected on its first K principal components.

    Parameters
    ----------
    centred : bool
        Whether the components are about the mean of the points; else about the last point.
    origin : ndarray, shape (d,)
        That mean or that point.
    components : ndarray, shape (K, d)
        Orthonormal rows; a row of zeros where there is no variance left.
    coordinates : ndarray, shape (T, K)
        Of the points, from the origin.
    distances : ndarray, shape (T,)
        Of the points from the plane: what the picture hides.
    shares : ndarray, shape (K,)
        Of the squared distances from the origin, explained by each component; 0 if no point moves.
    walk_shares : ndarray, shape (K,)
        The same of a random walk of T points in d ≫ T dimensions.
    """

    centred: bool
    origin: Array
    components: Array
    coordinates: Array
    distances: Array
    shares: Array
    walk_shares: Array

    def at(self, coordinates: ArrayLike) -> Array:
        """Return the points of the plane with these coordinates, shape (..., K) → (..., d)."""
        return np.asarray(self.origin + np.asarray(coordinates, dtype=np.float64) @ self.components)

    def __str__(self) -> str:
        kind = "centred" if self.centred else "about the last point"
        pairs = (f"{s:.1%} (walk {w:.1%})" for s, w in zip(self.shares, self.walk_shares, strict=True))
        points, dimension = len(self.coordinates), self.components.shape[1]
        far = f"up to {self.distances.max():.3g} off the plane"
        return f"{points} points in {dimension} dimensions, {kind}: components {', '.join(pairs)}; {far}"


def trajectory_plane(points: ArrayLike, *, components: int = 2, centred: bool = True) -> TrajectoryPlane:
    """Project a trajectory on its principal components.

    Parameters
    ----------
    points : array_like, shape (T, d)
        T ≥ 3, finite.
    components : int
        K ≥ 1; those beyond min(T − 1, d) are rows of zeros.
    centred : bool
        True: of the variance about the mean. False: of the squared distances from the last point. Subtracting the last
        point before a centred analysis changes nothing (claim VIS-10).

    Returns
    -------
    TrajectoryPlane
        Components in the order of their shares, each with the sign that gives the first point a coordinate ≥ 0.

    Raises
    ------
    ArgumentError
        If there are fewer than three points (any plane through them shows all of it), or one is not finite.

    References
    ----------
    Li and others (2018), whose code centres; claims VIS-08 to VIS-10.

    Examples
    --------
    >>> plane = trajectory_plane([[0, 0, 0], [1, 1, 0], [2, 0, 1], [3, 0, 0]])
    >>> print(plane)
    4 points in 3 dimensions, centred: components 78.8% (walk 68.3%), 13.5% (walk 20.0%); up to 0.354 off the plane
    >>> plane.components.shape, plane.coordinates.shape
    ((2, 3), (4, 2))
    """
    path = _trajectory(points)
    _at_least("components", components, 1)
    origin = path.mean(axis=0) if centred else path[-1]
    moved = path - origin
    _, sizes, rows = np.linalg.svd(moved, full_matrices=False)
    count = min(len(path) - 1, path.shape[1], components)
    axes = np.zeros((components, path.shape[1]))
    axes[:count] = rows[:count]
    axes[:count][sizes[:count] <= sizes[0] * len(path) * np.finfo(float).eps] = 0.0  # no direction but rounding
    axes *= np.where(axes @ moved[0] < 0, -1.0, 1.0)[:, np.newaxis]
    coordinates = moved @ axes.T
    total = float(np.sum(moved**2))
    shares = (coordinates**2).sum(axis=0) / total if total > 0 else np.zeros(components)
    distances = np.linalg.norm(moved - coordinates @ axes, axis=1)
    null = np.zeros(components)
    known = walk_shares(len(path), centred=centred)[:components]
    null[: len(known)] = known
    return TrajectoryPlane(centred, origin, axes, coordinates, distances, shares, null)


def walk_shares(points: int, *, centred: bool = True) -> Array:
    """Return the explained shares of a random walk of T points in d ≫ T dimensions, exact for every T.

    Parameters
    ----------
    points : int
        T ≥ 2.
    centred : bool
        As in `trajectory_plane`.

    Returns
    -------
    ndarray, shape (T − 1,)
        6/(π²k²) for T → ∞, or 8/(π²(2k − 1)²) about the last point.

    Raises
    ------
    ArgumentError
        If there are fewer than two points.

    References
    ----------
    Claims VIS-08, VIS-09.

    Examples
    --------
    >>> walk_shares(10_000)[:2].round(4), walk_shares(10_000, centred=False)[:2].round(4)
    (array([0.6079, 0.152 ]), array([0.8106, 0.0901]))
    """
    _at_least("points", points, 2)
    share = centred_eigenvalue() / centred_trace() if centred else pinned_eigenvalue() / pinned_trace()
    function = on_arrays((symbols.trajectory_points, symbols.component), [share])
    return np.asarray(function(float(points), np.arange(1.0, points))[0], dtype=np.float64)


def chain_shares(points: int, correlation: float, *, centred: bool = True) -> Array:
    """Return the explained shares of a settled chain (Ornstein–Uhlenbeck) of T points in d ≫ T dimensions.

    Parameters
    ----------
    points : int
        T ≥ 2.
    correlation : float
        ρ in (−1, 1), of successive points: 1 − ηh for SGD on curvature h, to the power of the steps between points.
    centred : bool
        As in `trajectory_plane`.

    Returns
    -------
    ndarray, shape (T − 1,)
        Those of a random walk as ρ → 1; 1/(T − 1) each for independent points, centred.

    Raises
    ------
    ArgumentError
        If there are fewer than two points or the correlation is out of range.

    References
    ----------
    Claim VIS-11, whose phases these eigenvalues contain.

    Examples
    --------
    >>> chain_shares(5, 0.0).round(2), chain_shares(200, 0.99999)[:2].round(3)
    (array([0.25, 0.25, 0.25, 0.25]), array([0.608, 0.152]))
    """
    _at_least("points", points, 2)
    if not -1 < correlation < 1:
        raise ArgumentError("correlation", correlation, "a number between −1 and 1", "1 − ηh; a walk has walk_shares")
    index = np.arange(points)
    gram = np.asarray(float(correlation) ** np.abs(np.subtract.outer(index, index)).astype(float))
    return _shares(gram, centred)


def sign_flip_shares(
    points: ArrayLike,
    *,
    draws: int = 200,
    centred: bool = True,
    rng: int | np.random.SeedSequence | np.random.Generator | None = None,
) -> Array:
    """Return the explained shares of walks made of a trajectory's own steps, each forwards or backwards by chance.

    A null for as many dimensions as there are, however unequal: if the steps are independent and as likely forwards as
    backwards, the trajectory's shares are one draw like these.

    Parameters
    ----------
    points : array_like, shape (T, d)
        T ≥ 3, finite.
    draws : int
        Walks, ≥ 1.
    centred : bool
        As in `trajectory_plane`.
    rng : int, SeedSequence or Generator, optional

    Returns
    -------
    ndarray, shape (draws, T − 1)
        0 if no point moves.

    Raises
    ------
    ArgumentError
        As `trajectory_plane`.

    Examples
    --------
    >>> line = np.outer(np.arange(5.0), [1.0, 2.0])
    >>> shares = sign_flip_shares(line, draws=3, rng=0)  # all of it on one line, whatever the signs
    >>> shares.shape, shares[:, 0].round(6)
    ((3, 4), array([1., 1., 1.]))
    """
    steps = np.diff(_trajectory(points), axis=0)
    _at_least("draws", draws, 1)
    signs = np.random.default_rng(rng).choice([-1.0, 1.0], size=(draws, len(steps)))
    products = steps @ steps.T
    found = []
    for sign in signs:
        flipped = np.zeros((len(steps) + 1, len(steps) + 1))
        flipped[1:, 1:] = (
            (products * np.outer(sign, sign)).cumsum(axis=0).cumsum(axis=1)
        )  # of the points, from the first
        found.append(_shares(flipped, centred))
    return np.array(found)


def _shares(gram: Array, centred: bool) -> Array:
    """Return the shares of the eigenvalues of a Gram matrix about the mean or the last point, largest first."""
    if centred:
        about = gram - gram.mean(axis=0)
        about = about - about.mean(axis=1, keepdims=True)
    else:
        about = gram - gram[-1] - gram[:, -1:] + gram[-1, -1]
    values = np.maximum(np.linalg.eigvalsh(about)[::-1][:-1], 0.0)
    total = float(values.sum())
    return np.asarray(values / total if total > 0 else values)


def _trajectory(points: ArrayLike) -> Array:
    path = np.asarray(points, dtype=np.float64)
    if path.ndim != 2 or len(path) < 3 or path.shape[1] < 1:
        fix = "one row a point; a plane through fewer than three points shows all of them"
        raise ArgumentError("points", f"shape {path.shape}", "shape (T, d) with T ≥ 3", fix)
    if not np.isfinite(path).all():
        first = int(np.argmin(np.isfinite(path).all(axis=1)))
        raise ArgumentError("points", f"a point that is not finite, row {first}", "finite numbers", f"points[:{first}]")
    return path


def _at_least(argument: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ArgumentError(argument, value, f"a whole number ≥ {least}")
