"""Flows and modified fields: known series, inverses of each other, composition against plain steps, bad input."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdtheory.derive.brackets import lie_bracket
from sgdtheory.derive.expansion import State, compose, jet
from sgdtheory.derive.flows import Series, flow, modified, series, then
from sgdtheory.errors import ArgumentError
from sgdtheory.optimizers import SGD
from sgdtheory.symbols import epsilon as ε
from sgdtheory.testing import polynomials

x, y = W = sp.symbols("x y", real=True)


@st.composite
def fields(draw: st.DrawFn, degree: int = 2) -> sp.ImmutableMatrix:
    return sp.ImmutableMatrix([draw(polynomials(W, degree)) for _ in W])


def at(terms: Series, start: tuple[sp.Expr, ...]) -> list[sp.Expr]:
    """Sum a series in ε at a point."""
    here = dict(zip(W, start, strict=True))
    total = [s + sum(ε ** (k + 1) * t[i] for k, t in enumerate(terms)) for i, s in enumerate(W)]
    return [sp.expand(entry.xreplace(here)) for entry in total]


def test_a_rotation_flows_in_circles() -> None:
    terms = flow(series(sp.Matrix([-y, x]), length=5), W)
    assert at(terms, (sp.S.One, sp.S.Zero)) == [jet(sp.cos(ε), ε, 6), jet(sp.sin(ε), ε, 6)]


def test_a_flow_that_blows_up() -> None:
    """x' = x² from x: x/(1 − εx)."""
    terms = flow(series(sp.Matrix([x**2]), length=4), [x])
    assert [t[0] for t in terms] == [x**2, x**3, x**4, x**5]


def test_the_field_may_depend_on_the_time() -> None:
    """(1 + ε)x flows to exp(ε + ε²)x."""
    terms = flow(series(sp.Matrix([x]), sp.Matrix([x]), length=4), [x])
    whole = jet(sp.exp(ε + ε**2), ε, 5)
    assert [t[0] / x for t in terms] == [whole.coeff(ε, k) for k in range(1, 5)]


@given(fields(), fields())
@settings(deadline=None, max_examples=6)
def test_a_modified_field_flows_where_the_step_goes(one: sp.ImmutableMatrix, two: sp.ImmutableMatrix) -> None:
    step = (one, two, sp.ImmutableMatrix([x * y, -y]))
    assert flow(modified(step, W), W) == tuple(term.expand() for term in step)


@given(fields(), fields())
@settings(deadline=None, max_examples=6)
def test_steps_in_turn_are_what_plain_sgd_composes(one: sp.ImmutableMatrix, two: sp.ImmutableMatrix) -> None:
    start = (sp.Rational(1, 2), sp.Integer(-1))
    found = at(then(series(one, length=4), series(two, length=4), W), start)
    plain = compose(SGD(ε), [-one, -two], W, State(start, ((), ())), (ε, 5)).position
    assert found == [sp.expand(p) for p in plain]


@given(fields(1), fields())
@settings(deadline=None, max_examples=5)
def test_flows_in_turn_are_the_flow_of_the_sum_and_brackets(one: sp.ImmutableMatrix, two: sp.ImmutableMatrix) -> None:
    """Baker, Campbell and Hausdorff: v + w + ½ε[v, w] + 1/12 ε²[v − w, [v, w]]."""
    joint = modified(then(flow(series(one, length=3), W), flow(series(two, length=3), W), W), W)
    bracket = lie_bracket(one, two, W)
    assert joint[1] == (bracket / 2).expand()
    assert joint[2] == (lie_bracket(one - two, bracket, W) / 12).expand()


def test_following_a_field_back_undoes_it() -> None:
    field = sp.Matrix([x * y - 1, x**2 + y])
    there, back = (flow(series(sign * field, length=4), W) for sign in (1, -1))
    assert then(there, back, W) == series(sp.zeros(2, 1), length=4)


def test_further_symbols_are_kept() -> None:
    h = sp.Symbol("h")
    assert [t[0] for t in modified(series(sp.Matrix([-h * x]), length=3), [x])] == [
        -h * x,
        -(h**2) * x / 2,
        -(h**3) * x / 3,
    ]


def test_refusals() -> None:
    with pytest.raises(ArgumentError, match="field: .*polynomials"):
        flow(series(sp.Matrix([sp.sin(x)]), length=2), [x])
    with pytest.raises(ArgumentError, match=r"field: got shape \(1, 1\); allowed: shape \(2, 1\)"):
        flow(series(sp.Matrix([x]), length=2), W)
    with pytest.raises(ArgumentError, match="terms"):
        series(sp.Matrix([x]), sp.Matrix([x, y]), length=2)
    with pytest.raises(ArgumentError, match="second"):
        then(series(sp.Matrix([x]), length=2), series(sp.Matrix([x]), length=3), [x])
