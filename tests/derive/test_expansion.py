"""Compositions of steps: truncation against exactness, swaps against plain arithmetic, bad input."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdtheory.derive.expansion import State, compose, generic_polynomial, jet, monomials, root_series, swap_gap
from sgdtheory.errors import ArgumentError
from sgdtheory.optimizers import SGD, EMAMomentum, Momentum, Nesterov, Optimizer
from sgdtheory.symbols import epsilon as ε
from sgdtheory.testing import polynomials, rationals

x, y = sp.symbols("x y", real=True)
RULES = [
    SGD,
    partial(Momentum, momentum=sp.Rational(1, 3)),
    partial(EMAMomentum, momentum=sp.Rational(3, 4)),
    partial(Nesterov, momentum=sp.Rational(2, 5)),
]
Start = tuple[list[sp.ImmutableMatrix], list[sp.Symbol], tuple[sp.Rational, ...], list[sp.Rational]]


@st.composite
def swaps(draw: st.DrawFn) -> Start:
    """Two gradient fields in 1, 2 or 3 dimensions, a point and a buffer."""
    w = list(sp.symbols(f"w1:{draw(st.integers(1, 3)) + 1}", real=True))
    gradients = [sp.ImmutableMatrix([sp.diff(draw(polynomials(w, 3)), wi) for wi in w]) for _ in range(2)]
    return gradients, w, tuple(draw(rationals()) for _ in w), [draw(rationals()) for _ in w]


def start(rule: Optimizer, point: tuple[sp.Rational, ...], buffer: list[sp.Rational], size: sp.Expr) -> State:
    return State(point, tuple((size * m,) * len(rule.buffers) for m in buffer))


def test_jet_of_known_series() -> None:
    t = sp.Symbol("t")
    assert jet(sp.exp(t) * x, t, 4) == sp.expand(x * (1 + t + t**2 / 2 + t**3 / 6))
    assert jet(sp.sqrt(1 + t), t, 3) == 1 + t / 2 - t**2 / 8
    assert jet(x, t, 1) == x


@given(polynomials([x, ε], 6), st.integers(1, 5))
@settings(deadline=None, max_examples=30)
def test_jet_of_a_polynomial_is_its_taylor_polynomial(p: sp.Expr, order: int) -> None:
    taylor = sum((p.diff(ε, k).subs(ε, 0) * ε**k / sp.factorial(k) for k in range(order)), sp.S.Zero)
    assert sp.expand(jet(p, ε, order) - taylor) == 0


@pytest.mark.parametrize("singular", [1 / ε, sp.log(ε), sp.sqrt(ε)])
def test_jet_refuses_what_is_not_smooth(singular: sp.Expr) -> None:
    with pytest.raises(ArgumentError, match="expression"):
        jet(singular, ε, 2)


def test_generic_coefficients_are_the_derivatives_at_the_origin() -> None:
    p = generic_polynomial("c", [x, y], 3)
    at_origin = {x: 0, y: 0}
    assert p.diff(x, 2, y).subs(at_origin) == sp.Symbol("c_21", real=True)
    assert p.subs(at_origin) == 0
    assert len(list(monomials([x, y], 3))) == 9


@pytest.mark.parametrize("rule", RULES)
@given(drawn=swaps(), order=st.integers(1, 4))
@settings(deadline=None, max_examples=8)
def test_truncated_composition_is_the_exact_one_cut(rule: Callable[..., Optimizer], drawn: Start, order: int) -> None:
    gradients, w, point, buffer = drawn
    optimizer = rule(ε)
    begin = start(optimizer, point, buffer, ε)
    cut, exact = (compose(optimizer, gradients, w, begin, remainder) for remainder in ((ε, order), None))
    for short, full in zip(
        [*cut.position, *sum(cut.memory, ())], [*exact.position, *sum(exact.memory, ())], strict=True
    ):
        assert sp.expand(short - jet(full, ε, order)) == 0


@pytest.mark.parametrize("rule", RULES)
@given(drawn=swaps())
@settings(deadline=None, max_examples=8)
def test_identical_examples_leave_exactly_no_gap(rule: Callable[..., Optimizer], drawn: Start) -> None:
    (gradient, other), w, point, buffer = drawn
    optimizer = rule(sp.Rational(1, 7))
    begin = start(optimizer, point, buffer, sp.S.One)
    same = swap_gap(optimizer, gradient, gradient, w, begin)
    assert {*same.position, *sum(same.memory, ())} == {sp.S.Zero}
    one, back = swap_gap(optimizer, gradient, other, w, begin), swap_gap(optimizer, other, gradient, w, begin)
    assert all(p + q == 0 for p, q in zip(one.position, back.position, strict=True))


def test_two_sgd_steps_by_hand() -> None:
    """L1 = x⁴/4 then L2 = −x from x = 1 with step 1/2: 1 → 1/2 → 1; the other order: 1 → 3/2 → 3/2 − 27/16."""
    gap = swap_gap(SGD(Fraction(1, 2)), sp.Matrix([x**3]), sp.Matrix([-1]), [x], State((sp.S.One,), ((),)))
    assert gap == State((1 - sp.Rational(-3, 16),), ((),))


def test_fields_need_not_be_polynomial() -> None:
    """A logistic gradient −1/(1 + e^x) has slope 1/4 at 0: swapping it with a constant gradient 1 gives ε²/4."""
    logistic = sp.Matrix([-1 / (1 + sp.exp(x))])
    gap = swap_gap(SGD(ε), sp.Matrix([1]), logistic, [x], State((sp.S.Zero,), ((),)), remainder=(ε, 3))
    assert gap.position == (ε**2 / 4,)


@pytest.mark.parametrize("memory", [((),), ((0, 0),), ((0,), (0,))])
def test_the_state_must_fit_the_optimizer(memory: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ArgumentError, match=r"start: .*1 coordinates, each with buffers \(v,\)"):
        compose(Momentum(), [sp.Matrix([x])], [x], State((x,), memory))


@given(rationals(sp.Rational(1, 4), 2), rationals(sp.Rational(1, 4), 2), st.integers(1, 5))
@settings(max_examples=15)
def test_the_series_of_a_root_solves_its_polynomial(root: sp.Expr, other: sp.Expr, order: int) -> None:
    """p(z) = (z − a)(z + b) − ε(1 + z²) at the series is O(εᵖ), and not less."""
    z = sp.Symbol("z")
    polynomial = sp.Poly((z - root) * (z + other) - ε * (1 + z**2), z)
    series = root_series(polynomial, root, ε, order)
    left = sp.Poly(sp.expand(polynomial.as_expr().subs(z, series)), ε)
    assert all(left.coeff_monomial(ε**k) == 0 for k in range(order))
    assert series.subs(ε, 0) == root
    exact = sp.nsimplify(max(sp.roots(polynomial.subs(ε, sp.Rational(1, 10**6)))))
    assert abs(sp.N(series.subs(ε, sp.Rational(1, 10**6)) - exact, 40)) < 10 ** (3 - 6 * order) * 10**order


@pytest.mark.parametrize("root", [sp.Integer(2), sp.Integer(0)])
def test_a_series_starts_at_a_simple_root(root: sp.Expr) -> None:
    """2 is no root of z²(z − 1) − ε, and 0 is a double one: it continues in √ε."""
    z = sp.Symbol("z")
    with pytest.raises(ArgumentError, match=r"^root: got .; allowed: a simple root of the polynomial at epsilon = 0"):
        root_series(sp.Poly(z**2 * (z - 1) - ε, z), root, ε, 3)
