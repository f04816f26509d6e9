"""The posterior of one or two parameters by quadrature: normalisation, masses, moments, marginals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory.derive.critical_points import find_critical_points
from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.measure.loss import numeric_loss
from sgdtheory.measure.prior import Prior, prior_box
from sgdtheory.measure.protocol import Loss
from sgdtheory.measure.quadrature import Nodes, adaptive_nodes, too_steep, unresolved
from sgdtheory.problem import Problem

Array = NDArray[np.float64]
_STEEP, _DEEP = 4.0, 40.0
_CHUNK = 50_000  # nodes taken together
_VOLUME_FACTOR = {1: 1.05, 2: 1.5}  # by which the loss may vary in a cell


@dataclass(frozen=True)
class Posterior:
    """The density ∝ exp(−nβL(w)) φ(w) as weighted nodes.

    Parameters
    ----------
    coordinates : tuple of str
    grid : Nodes
        N nodes of a quadrature over the prior's box.
    weights : array, shape (N,)
        Posterior probability of each node; they sum to 1.
    excess : array, shape (N,)
        K = L − min L at the nodes.
    log_normalisation : float
        log ∫ exp(−nβK) φ dw, the log evidence less that of the best fit.
    sharpening : float
        nβ.
    log_density : callable
        w, shape (..., d) → log of the normalised density, shape (...).
    barriers : tuple of float
        In one dimension, the maxima of the loss between its minima.
    """

    coordinates: tuple[str, ...]
    grid: Nodes
    weights: Array
    excess: Array
    log_normalisation: float
    sharpening: float
    log_density: Callable[[ArrayLike], Array]
    barriers: tuple[float, ...]

    @property
    def nodes(self) -> Array:
        """The points of the nodes, shape (N, d)."""
        return self.grid.points

    def density(self, w: ArrayLike) -> Array:
        """Return the normalised density at w, shape (..., d)."""
        return np.asarray(np.exp(self.log_density(w)))

    def mean(self, function: Callable[[Array], Array]) -> float:
        """Return the posterior mean of a function of w, shape (N, d) → (N,)."""
        return float(self.weights @ function(self.nodes))

    def basin_masses(self, label: Callable[[Array], NDArray[np.int64]] | None = None) -> Array:
        """Return the mass of each basin: between barriers, or as a function of w numbers them from 0 on."""
        labels = self.basins(self.nodes) if label is None else label(self.nodes)
        count = len(self.barriers) + 1 if label is None else int(labels.max()) + 1
        return np.asarray(np.bincount(labels, weights=self.weights, minlength=count), dtype=np.float64)

    def basins(self, w: ArrayLike) -> NDArray[np.int64]:
        """Return the numbers of the basins of points, shape (..., 1), from the left; one dimension only."""
        if len(self.coordinates) != 1:
            raise ArgumentError("label", None, "a function of w in more than one dimension", "give label=...")
        return np.searchsorted(np.array(self.barriers), np.asarray(w)[..., 0])

    def marginal(self, coordinate: str, values: ArrayLike) -> Array:
        """Return the density of one coordinate at values, shape (m,), each by quadrature along the other."""
        axis = _axis(self.coordinates, coordinate)
        points = np.asarray(values, dtype=np.float64)
        if len(self.coordinates) == 1:
            return self.density(points[:, np.newaxis])
        other = self.nodes[:, 1 - axis]
        box = np.array([[other.min(), other.max()]])

        def along(value: float) -> float:
            def exponent(w: Array) -> Array:
                pair = (np.full_like(w[..., 0], value), w[..., 0])
                return -self.log_density(np.stack(pair if axis == 0 else pair[::-1], axis=-1))

            line = adaptive_nodes(exponent, box, too_steep(_STEEP, _DEEP))
            return float(line.weights @ np.exp(-line.values))

        return np.array([along(value) for value in points])

    def distribution(self, coordinate: str) -> tuple[Array, Array]:
        """Return values of one coordinate, increasing, and the probability up to each; straight between them."""
        low, high = np.moveaxis(self.grid.spans[:, _axis(self.coordinates, coordinate)], -1, 0)
        values, place = np.unique(np.concatenate([low, high]), return_inverse=True)
        rates = self.weights / (high - low)  # the weight of a node is spread evenly over its part
        rate = np.cumsum(np.bincount(place, np.concatenate([rates, -rates])))[:-1]
        probability = np.concatenate([[0.0], np.cumsum(rate.clip(0) * np.diff(values))])
        return values, probability / probability[-1]

    def cell_masses(self, edges: Sequence[Array]) -> Array:
        """Return the mass of the cells between edges, increasing, for each coordinate; the outer cells are open.

        Of shape (len(edges[0]) + 1, ...).
        """
        open_ended = [np.concatenate([[-np.inf], edge, [np.inf]]) for edge in edges]
        below = np.zeros([len(edge) for edge in open_ended])
        for part in np.array_split(np.arange(len(self.weights)), 1 + len(self.weights) // _CHUNK):
            spans, weights = self.grid.spans[part], self.weights[part]
            shares = [_share_below(edge, spans[:, i]) for i, edge in enumerate(open_ended)]
            below += weights @ shares[0] if len(edges) == 1 else (shares[0] * weights[:, np.newaxis]).T @ shares[1]
        for axis in range(len(edges)):
            below = np.diff(below, axis=axis)
        return below


def posterior(problem: Problem | Loss, n: float, prior: Prior, beta: float = 1.0) -> Posterior:
    """Return the posterior ∝ exp(−nβL) φ of a loss of one or two parameters.

    Parameters
    ----------
    problem : Problem or Loss
        L, its population loss, is the mean negative log likelihood of an example.
    n : float
        Number of examples.
    prior : Uniform or Normal, or one for each parameter
        φ.
    beta : float
        Inverse temperature.

    Returns
    -------
    Posterior

    Raises
    ------
    ArgumentError
        For more than two parameters, another prior, n or beta that is not positive, or a density too sharp.

    Examples
    --------
    >>> from sgdtheory import Uniform, landscape
    >>> sharp = posterior(landscape("w**4", ["w"]), n=1000, prior=Uniform(-1, 1))
    >>> round(1000 * sharp.mean(lambda w: w[:, 0] ** 4), 9)  # equipartition
    0.25
    """
    for name, value in (("n", n), ("beta", beta)):
        if not 0 < value < math.inf:
            raise ArgumentError(name, value, "a number > 0")
    names, excess, barriers = _excess(problem)
    box, log_prior = prior_box(prior, len(names))
    sharp = n * beta

    def exponent(w: Array) -> Array:
        return sharp * excess(w) - log_prior(w)

    nodes = adaptive_nodes(exponent, box, too_steep(_STEEP, _DEEP))
    least = _least(excess, nodes, box)
    top = float(nodes.values.min())
    unnormalised = nodes.weights * np.exp(top - nodes.values)
    total = float(unnormalised.sum())
    log_z = math.log(total) - top

    def log_density(w: ArrayLike) -> Array:
        points = np.asarray(w, dtype=np.float64)
        return np.asarray(-exponent(points) - log_z)

    inside = tuple(b for b in barriers if box[0, 0] < b < box[0, 1])
    return Posterior(
        names, nodes, unnormalised / total, excess(nodes.points) - least, log_z + sharp * least, sharp,
        log_density, inside,
    )  # fmt: skip


def learning_coefficient(problem: Problem | Loss, n: ArrayLike, prior: Prior, beta: float = 1.0) -> Array:
    """Return the tempered estimate λ̂(n) = nβ⟨L − min L⟩ by quadrature.

    It tends to λ: at once for w^(2k) on the line, as a power of n in general, and only as 1/log n where the
    multiplicity is above 1.

    Parameters
    ----------
    problem : Problem or Loss
        Of one or two parameters.
    n : array_like, shape (m,)
        Numbers of examples.
    prior : Uniform or Normal, or one for each parameter
        Its support decides which minima count.
    beta : float
        Inverse temperature.

    Returns
    -------
    array, shape (m,)

    Raises
    ------
    ArgumentError
        As `posterior`.

    Examples
    --------
    >>> from sgdtheory import Uniform, landscape
    >>> learning_coefficient(landscape("w1**2*w2**4", ["w1", "w2"]), [1e3, 1e6], Uniform(0, 1)).round(3)
    array([0.226, 0.246])
    """
    values = np.atleast_1d(np.asarray(n, dtype=np.float64))
    posteriors = (posterior(problem, value, prior, beta) for value in values)
    return np.array([p.sharpening * float(p.weights @ p.excess) for p in posteriors])


def volume_below(problem: Problem | Loss, levels: ArrayLike, prior: Prior) -> Array:
    """Return the prior mass V(ε) of L − min L < ε, for small ε in proportion to ε^λ (log 1/ε)^(m−1).

    Parameters
    ----------
    problem : Problem or Loss
        Of one or two parameters.
    levels : array_like, shape (m,)
        ε > 0.
    prior : Uniform or Normal, or one for each parameter

    Returns
    -------
    array, shape (m,)
        Good to about one part in a thousand.

    Raises
    ------
    ArgumentError
        As `posterior`, or for levels that are not positive.

    Examples
    --------
    >>> from sgdtheory import Uniform, landscape
    >>> volume_below(landscape("w**4", ["w"]), [1e-4, 1e-8], Uniform(-1, 1)).round(3)
    array([0.1 , 0.01])
    """
    wanted = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    if not (wanted > 0).all():
        raise ArgumentError("levels", levels, "numbers > 0")
    names, excess, _ = _excess(problem)
    box, log_prior = prior_box(prior, len(names))
    nodes = adaptive_nodes(excess, box, unresolved(_VOLUME_FACTOR.get(len(box), 1.5), float(wanted.min())))
    values = nodes.values - _least(excess, nodes, box)
    order = np.argsort(values)
    mass = np.cumsum((nodes.weights * np.exp(log_prior(nodes.points)))[order])
    found = np.searchsorted(values[order], wanted)
    return np.where(found > 0, mass[np.maximum(found - 1, 0)], 0.0)


def _excess(problem: Problem | Loss) -> tuple[tuple[str, ...], Callable[[ArrayLike], Array], tuple[float, ...]]:
    """Return the names, K as a function of arrays, and the barriers of a line.

    For a polynomial the minimum is subtracted exactly, so that K keeps its digits where it is small.
    """
    if not isinstance(problem, Problem):
        loss = problem
        return loss.layout.groups("parameter")[0], lambda w: np.asarray(loss.value(w)), ()
    numeric = numeric_loss(problem)  # refuses free parameters
    names = tuple(w.name for w in problem.coordinates)
    found = _exact_excess(problem.loss.xreplace(dict(problem.parameters)), problem.coordinates)
    if found is None:
        return names, lambda w: np.asarray(numeric.value(w)), ()
    factored, barriers = found
    function = on_arrays(problem.coordinates, [factored])

    def excess(w: ArrayLike) -> Array:
        columns = np.moveaxis(np.asarray(w, dtype=np.float64), -1, 0)
        return np.asarray(function(*columns)[0], dtype=np.float64)

    return names, excess, barriers


@cache
def _exact_excess(loss: sp.Expr, coordinates: tuple[sp.Symbol, ...]) -> tuple[sp.Expr, tuple[float, ...]] | None:
    """Return L − min L in factors, and the maxima on a line; None where the minima are not found exactly."""
    try:
        points = find_critical_points(loss, coordinates)
    except (NoClosedFormError, ArgumentError):
        return None
    minima = [p.loss for p in points if p.kind.endswith("minimum")]
    if not minima:
        return None
    exact = sp.nsimplify(loss, rational=True)
    barriers = tuple(float(p.at[0]) for p in points if len(coordinates) == 1 and p.kind.endswith("maximum"))
    return sp.factor(exact - min(minima, key=float)), barriers


def _least(excess: Callable[[ArrayLike], Array], nodes: Nodes, box: Array) -> float:
    """Return the least K inside the box: 0 where the loss was exact, a polished value where it is not."""
    from scipy.optimize import minimize

    values = excess(nodes.points)
    best = int(np.argmin(values))
    if 0 <= values[best] < 1e-9:
        return 0.0
    found = minimize(lambda w: float(excess(w)), nodes.points[best], bounds=box, method="L-BFGS-B", tol=1e-15)
    return float(min(found.fun, values[best]))


def _share_below(edges: Array, spans: Array) -> Array:
    """Return how much of each interval, shape (N, 2), lies below each edge, shape (N, edges)."""
    low, high = spans[:, :1], spans[:, 1:]
    return np.asarray(((edges - low) / (high - low)).clip(0, 1))


def _axis(coordinates: Sequence[str], name: str) -> int:
    if name not in coordinates:
        raise ArgumentError("coordinate", name, " | ".join(coordinates))
    return list(coordinates).index(name)
