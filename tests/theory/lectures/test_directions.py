"""Dual vectors, natural gradient and units: definiteness, bases, optimality against random moves."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sgdtheory import SGD, ArgumentError, RMSProp
from sgdtheory.testing import rationals, rotations, spd_matrices
from sgdtheory.theory.lectures.directions import dual_metric, natural_step, squared_area
from sgdtheory.theory.lectures.second_order import newton_move


def vectors(data: st.DataObject, d: int) -> sp.Matrix:
    return sp.Matrix([data.draw(rationals(-4, 4)) for _ in range(d)])


def column(*entries: object) -> sp.Matrix:
    return sp.Matrix(entries)


@settings(max_examples=40)
@given(st.data(), st.integers(1, 4))
def test_the_metric_is_positive_definite_and_takes_the_gradient_to_the_direction(data: st.DataObject, d: int) -> None:
    g, wanted = vectors(data, d), vectors(data, d)
    assume(g.dot(wanted) != 0)
    wanted *= sp.sign(g.dot(wanted))
    metric = dual_metric(g, wanted)
    assert metric * g == wanted
    assert metric.is_symmetric()
    assert all(metric[:k, :k].det() > 0 for k in range(1, d + 1))


@pytest.mark.parametrize(
    ("g", "d"),
    [
        (column(1), column(-1)),
        (column(1, 0), column(0, 1)),
        (column(0, 0), column(1, 1)),
        (column(1, 2, 3), column(0, 0, 0)),
        (column(1, 2, 3, 4), column(-1, 0, 0, 0)),
    ],
)
def test_no_metric_turns_a_gradient_by_a_right_angle_or_more(g: sp.Matrix, d: sp.Matrix) -> None:
    with pytest.raises(ArgumentError, match=r"^direction: got g·d = .*g·d > 0"):
        dual_metric(g, d)


@settings(max_examples=20)
@given(st.data(), st.integers(1, 4))
def test_necessity_a_definite_metric_never_gives_another_sign(data: st.DataObject, d: int) -> None:
    g = vectors(data, d)
    assume(not g.is_zero_matrix)
    assert g.dot(data.draw(spd_matrices(d, condition=5)) * g) > 0


def test_the_lectures_basis_gives_such_a_metric_too() -> None:
    """b₁ = d/√(ηg·d) and g·bᵢ = 0 for i > 1: the update along the gradient's coordinates is ηΣbᵢ(bᵢ·g) = d."""
    g, d, lr = column(1, 2, -1), column(3, 1, 2), sp.Rational(1, 5)
    basis = [d / sp.sqrt(lr * g.dot(d)), column(2, -1, 0), column(1, 0, 1)]
    assert all(g.dot(b) == 0 for b in basis[1:])
    step = sum((lr * b * b.dot(g) for b in basis), sp.zeros(3, 1))
    assert (step - d).applyfunc(sp.simplify).is_zero_matrix


def test_the_gradient_itself_needs_no_metric() -> None:
    g = column(1, 2, 3)
    assert dual_metric(g, g) == sp.eye(3)


@settings(max_examples=20)
@given(st.data(), st.integers(1, 4))
def test_no_other_move_of_the_same_divergence_gains_more(data: st.DataObject, d: int) -> None:
    metric, g, other = data.draw(spd_matrices(d, condition=8)), vectors(data, d), vectors(data, d)
    assume(not g.is_zero_matrix)
    assume(not other.is_zero_matrix)
    bound = sp.Rational(3, 7)
    step = natural_step(g, metric, bound)
    assert sp.nsimplify(sp.simplify(step.dot(metric * step) / 2 - bound)) == 0
    scaled = other * sp.sqrt(2 * bound / other.dot(metric * other))
    assert float(g.dot(step)) <= float(g.dot(scaled)) + 1e-12
    assert float(g.dot(step)) <= -float(abs(g.dot(scaled))) + 1e-12


def test_at_the_newton_decrement_it_is_the_newton_step() -> None:
    x, y = sp.symbols("x y", real=True)
    loss = x**2 + x * y + 2 * y**2 + x
    g, hessian = sp.Matrix([1, 0]), sp.hessian(loss, [x, y])
    decrement = g.dot(hessian.LUsolve(g)) / 2
    assert natural_step(g, hessian, decrement) == newton_move(loss, [x, y], [0, 0])


@given(st.data(), st.integers(2, 3))
@settings(max_examples=10)
def test_the_natural_step_does_not_depend_on_coordinates(data: st.DataObject, d: int) -> None:
    turn = data.draw(rotations(d)) * sp.diag(*range(1, d + 1))  # w = Au
    g, metric = sp.Matrix(range(1, d + 1)), data.draw(spd_matrices(d, condition=4))
    there = natural_step(turn.T * g, turn.T * metric * turn, sp.Rational(1, 2))
    difference = turn * there - natural_step(g, metric, sp.Rational(1, 2))
    np.testing.assert_allclose(np.array(difference, dtype=float), 0, atol=1e-12)


def test_a_zero_gradient_has_no_steepest_direction() -> None:
    with pytest.raises(ArgumentError, match=r"^gradient: got 0"):
        natural_step(sp.zeros(2, 1), sp.eye(2), 1)


@settings(max_examples=25)
@given(st.data(), st.integers(1, 4))
def test_squared_area_is_lagranges(data: st.DataObject, d: int) -> None:
    x, y = vectors(data, d), vectors(data, d)
    assert squared_area(x, y) == x.dot(x) * y.dot(y) - x.dot(y) ** 2
    assert squared_area(x, 5 * x) == 0


def test_units_change_the_rate_of_sgd_and_not_of_rmsprop() -> None:
    g, unit = sp.symbols("G c", positive=True)
    plain, scaled = SGD(lr=1).update(g).displacement, SGD(lr=1 / unit).update(unit * g).displacement
    assert sp.simplify(plain - scaled) == 0
    first, other = (RMSProp(lr=1, eps=0).update(u * g, 0, [0]).displacement for u in (1, unit))
    assert sp.simplify(first - other) == 0
