"""Hypothesis strategies: random problems, data, matrices and stable optimizers, for tests of this package and yours.

All numbers are small rationals, so that identities can be tested without tolerance. What must lie in a region is drawn
as a dimensionless number first and scaled afterwards; nothing is drawn and thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import product

import sympy as sp
from hypothesis import strategies as st

from sgdtheory.derive.stability import stability_limit
from sgdtheory.errors import ArgumentError
from sgdtheory.laws import SAMPLINGS, Dataset, Law, Normal, Number, Rademacher, Uniform
from sgdtheory.optimizers import SGD, EMAMomentum, Momentum, Nesterov, Optimizer
from sgdtheory.problem import Problem, landscape

LINEAR: tuple[Callable[..., Optimizer], ...] = (SGD, Momentum, EMAMomentum, Nesterov)
"""Rules that are linear in the gradient and draw no noise of their own."""


def rationals(low: Number = -4, high: Number = 4, max_denominator: int = 4) -> st.SearchStrategy[sp.Rational]:
    """Rationals in [low, high], whole numbers first.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(rationals(0, 1))
    ... def check(x):
    ...     assert 0 <= x <= 1 and x.is_Rational
    >>> check()
    """
    return st.fractions(sp.Rational(low), sp.Rational(high), max_denominator=max_denominator).map(sp.Rational)


@st.composite
def polynomials(draw: st.DrawFn, coordinates: Sequence[sp.Symbol], degree: int = 3) -> sp.Expr:
    """Polynomials of total degree at most `degree`, expanded, zero included.

    Examples
    --------
    >>> from hypothesis import given
    >>> w1, w2 = sp.symbols("w1 w2", real=True)
    >>> @given(polynomials([w1, w2], degree=2))
    ... def check(p):
    ...     assert sp.Poly(p, w1, w2).total_degree() <= 2
    >>> check()
    """
    powers = [p for p in product(range(degree + 1), repeat=len(coordinates)) if sum(p) <= degree]
    monomials = [sp.Mul(*(w**k for w, k in zip(coordinates, p, strict=True))) for p in powers]
    coefficients = draw(st.lists(rationals(), min_size=len(powers), max_size=len(powers)))
    return sp.Add(*(c * m for c, m in zip(coefficients, monomials, strict=True)))


@st.composite
def landscapes(draw: st.DrawFn, max_dimension: int = 3, degree: int = 3) -> Problem:
    """Polynomial landscapes of 1 to `max_dimension` coordinates with constant, possibly absent, gradient noise.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(landscapes(max_dimension=2))
    ... def check(problem):
    ...     assert problem.dimension <= 2 and not problem.free_parameters
    >>> check()
    """
    d = draw(st.integers(1, max_dimension))
    coordinates = [sp.Symbol(f"w{i}", real=True) for i in range(1, d + 1)]
    return landscape(draw(polynomials(coordinates, degree)), coordinates, noise_std=draw(rationals(0, 2)))


@st.composite
def data_sets(
    draw: st.DrawFn,
    columns: Sequence[str] = ("x", "y"),
    max_size: int = 8,
    samplings: Sequence[str] = SAMPLINGS,
) -> Dataset:
    """Small data sets, among them duplicate samples, zeros, constant columns and a single sample.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(data_sets(max_size=3))
    ... def check(data):
    ...     assert data.values.shape == (data.size, 2) and data.size <= 3
    >>> check()
    """
    size = draw(st.integers(1, max_size))
    value = st.integers(-8, 8).map(lambda quarters: quarters / 4)  # exact in binary
    column = st.lists(value, min_size=size, max_size=size) | value.map(lambda x: [x] * size)
    return Dataset(sampling=draw(st.sampled_from(samplings)), **{name: draw(column) for name in columns})


def laws() -> st.SearchStrategy[Law]:
    """Laws with rational parameters, degenerate ones included.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(laws())
    ... def check(law):
    ...     assert law.moment(2) >= law.moment(1) ** 2
    >>> check()
    """
    uniform = st.tuples(rationals(), rationals(0, 4)).map(lambda ends: Uniform(ends[0], ends[0] + ends[1]))
    return st.builds(Normal, rationals(), rationals(0, 4)) | uniform | st.just(Rademacher())


@st.composite
def rotations(draw: st.DrawFn, dimension: int) -> sp.ImmutableMatrix:
    """Rational rotation matrices (1 − A)(1 + A)⁻¹, A antisymmetric (Cayley).

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(rotations(3))
    ... def check(q):
    ...     assert q * q.T == sp.eye(3) and q.det() == 1
    >>> check()
    """
    antisymmetric = sp.zeros(dimension)
    for i in range(dimension):
        for j in range(i):
            antisymmetric[i, j] = draw(rationals(-2, 2, 2))
    antisymmetric -= antisymmetric.T
    identity = sp.eye(dimension)
    return sp.ImmutableMatrix((identity - antisymmetric) * (identity + antisymmetric).inv())


@st.composite
def spd_matrices(draw: st.DrawFn, dimension: int, condition: int | None = None) -> sp.ImmutableMatrix:
    """Symmetric positive definite rational matrices whose condition number is exactly `condition`.

    Parameters
    ----------
    dimension : int
        With dimension 1 the condition is 1.
    condition : int, optional
        Largest over smallest eigenvalue; by default drawn from 1 to 10⁴, equal eigenvalues included.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(spd_matrices(2, condition=9))
    ... def check(h):
    ...     small, large = sorted(sp.Matrix(h).eigenvals(multiple=True))
    ...     assert large == 9 * small
    >>> check()
    """
    q = draw(rotations(dimension))
    return sp.ImmutableMatrix(q * sp.diag(*draw(_spectra(dimension, condition))) * q.T)


@st.composite
def hessian_and_noise(draw: st.DrawFn, dimension: int, commute: bool) -> tuple[sp.ImmutableMatrix, sp.ImmutableMatrix]:
    """Two positive definite matrices that commute, or that certainly do not.

    Parameters
    ----------
    dimension : int
        At least 2 if they are not to commute.
    commute : bool

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(hessian_and_noise(2, commute=False))
    ... def check(pair):
    ...     h, noise = pair
    ...     assert h * noise != noise * h
    >>> check()
    """
    if not commute and dimension < 2:
        raise ArgumentError("dimension", dimension, "at least 2 for matrices that do not commute")
    q = draw(rotations(dimension))
    first, second = ([draw(rationals(sp.Rational(1, 4), 4)) for _ in range(dimension)] for _ in range(2))
    turn = sp.eye(dimension)
    if not commute:  # unequal eigenvalues in a plane, and axes there turned by an angle strictly inside (0, π/2)
        first[1], second[1] = 2 * first[0], 3 * second[0]
        t = draw(rationals(sp.Rational(1, 8), sp.Rational(7, 8), 8))
        turn[:2, :2] = sp.Matrix([[1 - t**2, -2 * t], [2 * t, 1 - t**2]]) / (1 + t**2)
    noise = turn * sp.diag(*second) * turn.T
    return sp.ImmutableMatrix(q * sp.diag(*first) * q.T), sp.ImmutableMatrix(q * noise * q.T)


@st.composite
def stable_optimizers(
    draw: st.DrawFn, curvature: Number = 1, rules: Sequence[Callable[..., Optimizer]] = LINEAR
) -> Optimizer:
    """Optimizers that are linearly stable on curvature h: ηh is drawn as a share of its limit, then η follows.

    Parameters
    ----------
    curvature : number
        h > 0, the largest one of the problem.
    rules : sequence of callables
        From which one is drawn.

    Examples
    --------
    >>> from hypothesis import given
    >>> from sgdtheory import SGD
    >>> @given(stable_optimizers(curvature=3, rules=[SGD]))
    ... def check(optimizer):
    ...     assert 0 < 3 * optimizer.hyperparameters[0].value < 2
    >>> check()
    """
    rule: Callable[..., Optimizer] = draw(st.sampled_from(rules))
    limit = _limit(rule)
    share = draw(rationals(sp.Rational(1, 16), sp.Rational(15, 16), 16))
    others = {h.keyword: h for h in rule().hyperparameters if h.keyword != "lr"}
    values = {keyword: draw(rationals(0, sp.Rational(15, 16), 16)) for keyword in others}
    at = {h.symbol: values[keyword] for keyword, h in others.items()}
    return rule(lr=share * limit.xreplace(at) / sp.sympify(curvature, strict=True), **values)


@cache
def _limit(rule: Callable[..., Optimizer]) -> sp.Expr:
    return stability_limit(rule())


@st.composite
def _spectra(draw: st.DrawFn, dimension: int, condition: int | None) -> list[sp.Rational]:
    """Eigenvalues: the smallest, the largest, and some between."""
    smallest = draw(rationals(sp.Rational(1, 4), 4))
    if dimension == 1:
        return [smallest]
    ratio = draw(st.integers(1, 10_000)) if condition is None else condition
    inner = [1 + (ratio - 1) * draw(rationals(0, 1)) for _ in range(dimension - 2)]
    return [smallest * share for share in (1, ratio, *inner)]
