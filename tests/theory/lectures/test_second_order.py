"""Newton's step and BFGS as theory: where a step lands, coordinates, degenerate minima, finite termination."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sgdtheory import ArgumentError, symbols
from sgdtheory.testing import rationals, spd_matrices
from sgdtheory.theory.lectures.second_order import bfgs_update, homogeneous_ratio, newton_move, random_form, run_both

η, p = symbols.lr, symbols.degree
X, Y, Z = sp.symbols("x y z", real=True)


@settings(max_examples=25)
@given(st.data(), st.integers(1, 4))
def test_a_full_step_lands_on_the_minimum_of_a_quadratic(data: st.DataObject, d: int) -> None:
    hessian = data.draw(spd_matrices(d))
    w = sp.symbols(f"w1:{d + 1}", real=True)
    target, start = (sp.Matrix([data.draw(rationals()) for _ in w]) for _ in range(2))
    away = sp.Matrix(w) - target
    assert start + newton_move((away.T * hessian * away)[0] / 2, w, list(start)) == target


@pytest.mark.parametrize(
    ("loss", "start"),
    [
        (X**2 - Y**2, [1, 1]),  # a saddle
        (-(X**2) - 3 * Y**2, [1, 2]),  # a maximum
        (X * Y, [2, -1]),  # a saddle without curvature on the axes
        (X**2 + Y**2 - Z**2, [1, 1, 1]),
    ],
)
def test_it_goes_to_the_stationary_point_whatever_its_kind(loss: sp.Expr, start: list[int]) -> None:
    w = sorted(loss.free_symbols, key=str)
    assert (sp.Matrix(start) + newton_move(loss, w, start)).is_zero_matrix


def test_at_a_stationary_point_it_stays() -> None:
    assert newton_move(X**2 - Y**4 + Y**2, [X, Y], [0, 0]).is_zero_matrix


@pytest.mark.parametrize("point", [[0, 0], [0, 5]])
def test_a_singular_hessian_is_refused(point: list[int]) -> None:
    with pytest.raises(ArgumentError, match="invertible Hessian"):
        newton_move(X**4 + Y**2, [X, Y], point)


def test_a_loss_flat_in_one_direction_is_refused_everywhere() -> None:
    with pytest.raises(ArgumentError, match="invertible Hessian"):
        newton_move((X + Y) ** 2, [X, Y])


def test_one_dimension_in_curved_coordinates_by_hand() -> None:
    """With w = e^u the carried step is −g/(h + gφ''/φ'²), and φ''/φ'² = 1/w."""
    loss = X - sp.log(X)
    g, h = sp.diff(loss, X), sp.diff(loss, X, 2)
    carried = sp.exp(Y) * newton_move(loss.subs(X, sp.exp(Y)), [Y])[0]
    assert sp.simplify(carried - (-g / (h + g / X)).subs(X, sp.exp(Y))) == 0
    assert sp.simplify(carried - newton_move(loss, [X])[0].subs(X, sp.exp(Y))) != 0


@settings(max_examples=20)
@given(st.integers(2, 9), rationals(0, 20), rationals(-4, 4))
@example(2, sp.Integer(1), sp.Integer(3))
@example(4, sp.Integer(3), sp.Integer(-2))
@example(4, sp.Integer(6), sp.Integer(1))  # the end of stability: a 2-cycle
def test_the_ratio_on_powers(degree: int, lr: sp.Rational, start: sp.Rational) -> None:
    assume(start != 0)
    after = start + lr * newton_move(X**degree, [X], [start])[0]
    assert after == start * homogeneous_ratio().subs({η: lr, p: degree})


def test_powers_of_the_slides() -> None:
    """w^{2k}: 1 − η/(2k − 1)."""
    for k in (1, 2, 3, 10):
        ratio = homogeneous_ratio().subs(p, 2 * k)
        assert sp.simplify(ratio - (1 - η / (2 * k - 1))) == 0
        assert sp.solve(ratio, η) == [2 * k - 1]
    assert abs(homogeneous_ratio().subs({p: 4, η: 1})) == sp.Rational(2, 3)


def test_euler_for_forms_of_every_degree_and_dimension() -> None:
    for seed in range(6):
        for case in random_form(Random(seed)):
            assert case[symbols.newton_lr] == case[p] - 1


# --- BFGS ------------------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.data(), st.integers(1, 4))
def test_bfgs_takes_the_change_to_the_move_and_stays_positive_definite(data: st.DataObject, d: int) -> None:
    metric, hessian = (data.draw(spd_matrices(d, condition=6)) for _ in range(2))
    s = sp.Matrix([data.draw(rationals()) for _ in range(d)])
    assume(not s.is_zero_matrix)
    y = hessian * s
    updated = bfgs_update(metric, s, y)
    assert updated * y == s
    assert updated.is_symmetric()
    assert all(updated[:k, :k].det() > 0 for k in range(1, d + 1))
    # the inverse of the direct update B − Bs(Bs)ᵀ/(s·Bs) + yyᵀ/(y·s), by another formula
    direct = metric.inv()
    image = direct * s
    assert updated.inv() == direct - image * image.T / s.dot(image) + y * y.T / y.dot(s)


def test_bfgs_and_conjugate_gradients_end_in_n_steps_at_the_minimum() -> None:
    """Floats, against numpy's solution; the claim has it in exact numbers."""
    rng = np.random.default_rng(0)
    for d in (1, 2, 3, 4):
        root = rng.normal(size=(d, d)) + 2 * np.eye(d)
        hessian, pull, w = sp.Matrix(root @ root.T), sp.Matrix(rng.normal(size=d)), sp.zeros(d, 1)
        metric = sp.eye(d)
        for _ in range(d):
            g = hessian * w - pull
            step = -metric * g
            move = -step * (g.dot(step) / step.dot(hessian * step))
            w, metric = w + move, bfgs_update(metric, move, hessian * move)
        np.testing.assert_allclose(
            np.array(w, dtype=float)[:, 0], np.linalg.solve(root @ root.T, np.array(pull, dtype=float)[:, 0]), rtol=1e-6
        )
        np.testing.assert_allclose(np.array(metric, dtype=float), np.linalg.inv(root @ root.T), rtol=1e-5, atol=1e-7)


def test_the_run_of_both_stops_where_the_gradient_vanishes_early() -> None:
    """Some starts lie in smaller invariant subspaces: nothing is divided by zero there, and cases are given."""
    for seed in range(8):
        assert run_both(Random(seed))
