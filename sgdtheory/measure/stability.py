"""How large a learning rate SGD bears at a minimum, in mean square and almost surely, and the tail it leaves.

Near a minimum w* a step is w − w* ↦ (1 − ηX)(w − w*) + noise, X being the batch's mean of the example Hessians at w*: a
linear step with a random matrix. The noise plays no part in what follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory import symbols
from sgdtheory.derive.moments import covariance_step
from sgdtheory.derive.multiplier import (
    Multiplier,
    chi_square_multiplier,
    discrete_multiplier,
    normal_multiplier,
)
from sgdtheory.derive.search import argmax, bisect
from sgdtheory.derive.sufficient import batch_means
from sgdtheory.dynamics import make_dynamics
from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.laws import Dataset
from sgdtheory.optimizers import SGD
from sgdtheory.problem import Problem

Array = NDArray[np.float64]
_NOT_STATIONARY = 1e-6


def mean_square_limit(problem: Problem, batch_size: int = 1, at: ArrayLike | None = None) -> float:
    """Return the learning rate below which the mean square of w − w* does not grow.

    S' = E(1 − ηX)S(1 − ηX) = S − η(HS + SH) + η²E XSX on symmetric S; the limit is one over the largest eigenvalue of
    S ↦ E XSX against S ↦ HS + SH. In one dimension it is 2h/(h² + Var X).

    Parameters
    ----------
    problem : Problem
        Every parameter bound.
    batch_size : int
        B.
    at : array_like, shape (d,)
        The minimum w*; the origin by default.

    Returns
    -------
    float
        η.

    Raises
    ------
    ArgumentError
        If a parameter has no value, or w* is no minimum with positive definite Hessian.
    NoClosedFormError
        If the mean of a product of second derivatives has no closed form, or the batches of an epoch depend on each
        other.

    References
    ----------
    Ma, Bassily, Belkin (2018), The Power of Interpolation.

    Examples
    --------
    >>> from sgdtheory import linear_regression
    >>> round(mean_square_limit(linear_regression(3), batch_size=4), 12)  # 2B/(B + d + 1)
    1.0
    """
    linear = _linearised(problem, at)
    size = linear.dimension
    places = [(i, j) for i in range(size) for j in range(i, size)]
    unknown = [sp.Dummy(f"S{i}{j}") for i, j in places]
    entries = dict(zip(places, unknown, strict=True))
    covariance = sp.Matrix(size, size, lambda i, j: entries[min(i, j), max(i, j)])
    after = covariance_step(linear, SGD(), _batch(batch_size), covariance)
    step, _ = sp.linear_eq_to_matrix([after[place] for place in places], unknown)
    pull, spread = (
        np.array(step.applyfunc(lambda entry, k=k: sp.expand(entry).coeff(symbols.lr, k)), dtype=float) for k in (1, 2)
    )
    return float(1 / np.linalg.eigvals(np.linalg.solve(-pull, spread)).real.max())


def almost_sure_limit(problem: Problem, batch_size: int = 1, at: float = 0.0) -> float:
    """Return the learning rate at which almost every run of a one-parameter problem stops converging.

    The first η > 0 at which E log|1 − ηX| changes sign. It is at least the limit in mean square. With label noise it is
    where a long-run law ceases to exist.

    Parameters
    ----------
    problem : Problem
        With one coordinate, every parameter bound.
    batch_size : int
        B.
    at : float
        The minimum w*.

    Returns
    -------
    float
        η.

    Raises
    ------
    ArgumentError
        As `mean_square_limit`, or if there is more than one coordinate.
    NoClosedFormError
        If the law of X is not known: it is for batches of one from a data set, and for fresh examples where the sum of
        second derivatives is one normal or χ² number.

    Examples
    --------
    >>> from sgdtheory import linear_regression, quadratic
    >>> almost_sure_limit(quadratic())
    Traceback (most recent call last):
    sgdtheory.errors.ArgumentError: problem: got parameters without value: h, sigma; allowed: numbers. Fix: \
problem.bind(name=value).
    >>> round(almost_sure_limit(linear_regression(1, noise_std=0)), 6)
    2.42125
    """
    linear, law = _one_dimensional(problem, batch_size, at)

    def growth(lr: float) -> float:
        return law(lr).growth()

    low = mean_square_limit(linear, batch_size) / 2  # there 2E log|a| ≤ log E a² < 0
    if isinstance(linear.data, Dataset):
        return _first_crossing(growth, _curvatures(linear))
    high = 2 * low
    while growth(high) < 0:
        low, high = high, 2 * high
    return bisect(growth, low, high)


def tail_exponent(problem: Problem, lr: float, batch_size: int = 1, at: float = 0.0) -> float:
    """Return the exponent κ of the long-run law's tail, P(|w − w*| > u) ~ u^(−κ), for a one-parameter problem.

    κ > 0 solves E|1 − ηX|^κ = 1: moments below order κ are finite, others not. It holds at all distances where the
    example losses are quadratic, and as far as they are.

    Parameters
    ----------
    problem : Problem
        With one coordinate, every parameter bound.
    lr : float
        η > 0.
    batch_size : int
        B.
    at : float
        The minimum w*.

    Returns
    -------
    float
        0 if there is no long-run law, ∞ if the tail is no power law because |1 − ηX| ≤ 1.

    Raises
    ------
    ArgumentError, NoClosedFormError
        As `almost_sure_limit`; also if κ is above 10⁴.

    References
    ----------
    Kesten (1973), Random difference equations and renewal theory for products of random matrices; Goldie (1991).

    Examples
    --------
    >>> from sgdtheory import linear_regression
    >>> round(tail_exponent(linear_regression(1), lr=2 / 3), 6)
    2.0
    """
    if not (isinstance(lr, (int, float, np.floating)) and math.isfinite(lr) and lr > 0):
        raise ArgumentError("lr", lr, "a number > 0")
    return _one_dimensional(problem, batch_size, at)[1](float(lr)).tail_exponent()


def _batch(batch_size: int) -> int:
    if not isinstance(batch_size, (int, np.integer)) or isinstance(batch_size, bool) or batch_size < 1:
        raise ArgumentError("batch_size", batch_size, "a whole number >= 1")
    return int(batch_size)


def _linearised(problem: Problem, at: ArrayLike | None) -> Problem:
    """Return the problem of example losses ½δᵀXδ, δ = w − w*, in the coordinates of the original."""
    if not isinstance(problem, Problem):
        raise ArgumentError("problem", problem, "a Problem", "write landscape(...) or Problem(...)")
    if problem.free_parameters:
        names = ", ".join(s.name for s in problem.free_parameters)
        raise ArgumentError("problem", f"parameters without value: {names}", "numbers", "problem.bind(name=value)")
    w, bound = problem.coordinates, dict(problem.parameters)
    if any(entry.has(*w) for entry in problem.perturbation):
        raise ArgumentError("problem", "noise that depends on w beside the loss", "a perturbation free of w")
    point = np.zeros(len(w)) if at is None else np.atleast_1d(np.asarray(at, dtype=np.float64))
    if point.shape != (len(w),) or not np.isfinite(point).all():
        raise ArgumentError("at", at, f"finite numbers, shape ({len(w)},)")
    here = dict(zip(w, map(sp.Rational, point), strict=True))
    slope, hessian = (np.array(m.xreplace(bound).subs(here), dtype=float) for m in (problem.gradient, problem.hessian))
    if np.linalg.eigvalsh(hessian).min() <= 0 or np.abs(slope).max() > _NOT_STATIONARY * np.abs(hessian).max():
        raise ArgumentError("at", point.tolist(), "a minimum of the population loss with positive definite Hessian")
    x = sp.hessian(problem.example_loss, w).xreplace(bound).subs(here)
    delta = sp.Matrix(w)
    return Problem((delta.T * x * delta)[0] / 2, w, problem.data, name=f"{problem.name}, linearised")


def _one_dimensional(problem: Problem, batch_size: int, at: float) -> tuple[Problem, Callable[[float], Multiplier]]:
    """Return the linearised problem and the law of 1 − ηX as a function of η."""
    linear = _linearised(problem, at)
    if linear.dimension != 1:
        raise ArgumentError("problem", f"{linear.dimension} coordinates", "one", "mean_square_limit takes any number")
    size = _batch(batch_size)
    if isinstance(linear.data, Dataset):
        if size > 1 and linear.data.sampling != "full batch":
            raise NoClosedFormError("the law of a batch's curvature is known for batches of one from a data set")
        curvatures = _curvatures(linear)
        return linear, lambda lr: discrete_multiplier(1 - lr * curvatures)
    return linear, _fresh_law(linear, size)


def _curvatures(linear: Problem) -> Array:
    """Return X of every sample, or their mean for the full batch."""
    data = linear.data
    assert isinstance(data, Dataset)
    x = sp.lambdify(data.symbols, sp.diff(linear.example_loss, linear.coordinates[0], 2), "numpy")
    values = np.broadcast_to(np.asarray(x(*data.values.T), dtype=np.float64), (data.size,))
    return values.mean(keepdims=True) if data.sampling == "full batch" else values


def _fresh_law(linear: Problem, batch_size: int) -> Callable[[float], Multiplier]:
    (w,), unknown = linear.coordinates, "the law of a batch's curvature is known where it is one normal or χ² number"
    if not linear.example_loss.has(*linear.data.symbols):
        curvature = float(linear.hessian[0])
        return lambda lr: discrete_multiplier([1 - lr * curvature])
    means = batch_means(make_dynamics(linear, SGD()))
    if means is None:
        raise NoClosedFormError(unknown)
    dof = {s: batch_size - fewer for s, fewer in means.chi_squares}
    known = {symbols.batch_size: batch_size, **{s: 0 for s, left in dof.items() if left == 0}}
    values = (value.subs(known) for value in means.values)
    x = sp.expand((means.gradient[0] / w).subs(dict(zip(means.symbols, values, strict=True))))
    if len(x.free_symbols) != 1 or not x.is_polynomial() or sp.Poly(x).degree() != 1:
        raise NoClosedFormError(unknown)
    (primitive,) = x.free_symbols
    slope, constant = (float(c) for c in sp.Poly(x, primitive).all_coeffs())
    if primitive in dof:
        return lambda lr: chi_square_multiplier(1 - lr * constant, -lr * slope, dof[primitive])
    return lambda lr: normal_multiplier(1 - lr * constant, lr * abs(slope))


def _first_crossing(growth: Callable[[float], float], curvatures: Array) -> float:
    """Return where the mean of log|1 − ηx| first turns positive: it is concave between neighbouring poles 1/x."""
    ends = np.unique(1 / curvatures[curvatures > 0])
    for left, right in pairwise(ends):
        peak = argmax(growth, float(left), float(right))
        if growth(peak) >= 0:
            return bisect(growth, float(left), peak)
    low, high = float(ends[-1]), 2 * float(ends[-1])
    while growth(high) < 0:
        low, high = high, 2 * high
    return bisect(growth, low, high)
