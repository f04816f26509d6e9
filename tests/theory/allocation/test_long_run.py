"""The long run: means against the commutator by another road, probabilities of helping against normal quadrants."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from sgdtheory import SGD, Momentum, quadratic, symbols
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.theory.lectures.batch_size import optimal_batch
from sgdtheory.theory.loss_change_allocation import expectations, half_help, stationary
from sgdtheory.theory.loss_change_allocation.stationary import BATCH_SIZE, HESSIAN, LR, NOISE

MATRICES = [
    (sp.Matrix([[2, 1], [1, 2]]), sp.Matrix([[3, 1], [1, 3]])),  # commuting
    (sp.diag(2, 1), sp.Matrix([[2, 1], [1, 3]])),  # not commuting, along the axes
    (HESSIAN, NOISE),
    (sp.Matrix([[2, 1, 0], [1, 3, -1], [0, -1, 1]]), sp.Matrix([[4, 2, 1], [2, 5, 1], [1, 1, 3]])),
]


@pytest.mark.parametrize(("hessian", "noise"), MATRICES)
def test_the_commutator_is_what_the_expectations_of_the_causes_come_to(hessian: sp.Matrix, noise: sp.Matrix) -> None:
    """The means of one step's terms (LCA-03, LCA-06, LCA-07), averaged over the long run, for the same numbers."""
    lr, size = sp.Rational(1, 3), 2
    S = stationary_covariance(quadratic(hessian, noise), SGD(lr), size)
    stated = stationary.commutator_allocation(hessian, S, lr)
    for i in range(hessian.rows):
        _, true = expectations.mean_allocations(i, hessian, noise, hessian * S * hessian)
        assert sp.simplify(true.subs({expectations.η: lr, expectations.B: size}) - stated[i]) == 0
    assert sum(stated) == 0


def test_means_vanish_where_curvature_and_noise_commute_and_along_the_axes_of_the_hessian() -> None:
    nonzero = []
    for hessian, noise in MATRICES:
        S = stationary_covariance(quadratic(hessian, noise), SGD(sp.Rational(1, 3)), 2)
        nonzero.append(not stationary.commutator_allocation(hessian, S).is_zero_matrix)
    assert nonzero == [False, False, True, True]


def test_noise_that_keeps_a_covariance_gives_it_back() -> None:
    S = stationary.long_run_covariance()
    assert (stationary.noise_that_keeps(HESSIAN, S, LR) - NOISE / BATCH_SIZE).expand().is_zero_matrix


def test_long_run_help_is_a_quadrant_of_two_normal_numbers() -> None:
    hessian, S = np.array(HESSIAN, float), np.array(stationary.long_run_covariance(), float)
    lr = float(LR)
    # u = −η(Hθ + ξ), v = H(θ + u/2), both of the first coordinate, in (θ, ξ)
    move = -lr * np.hstack([hessian, np.eye(2)])
    middle = hessian @ (np.hstack([np.eye(2), np.zeros((2, 2))]) + move / 2)
    joint = np.block([[S, np.zeros((2, 2))], [np.zeros((2, 2)), np.array(NOISE, float) / BATCH_SIZE]])
    rows = np.array([move[0], middle[0]])
    both_below = multivariate_normal(np.zeros(2), rows @ joint @ rows.T).cdf([0, 0])
    stated = float(half_help.long_run_help(HESSIAN, stationary.long_run_covariance(), LR))
    assert stated == pytest.approx(1 - 2 * both_below, abs=1e-5)


@pytest.mark.parametrize("lr", [sp.Rational(1, 2), sp.Rational(3, 1)])
def test_one_dimension_with_momentum_can_change_places(lr: sp.Expr) -> None:
    """Cov(θ', θ) is one number and the variances are equal, so that E A = ½h(E θ'² − E θ²) = 0."""
    optimizer = Momentum(lr, sp.Rational(9, 10))
    S = stationary_covariance(quadratic(1, 1), optimizer, 1)
    after = sp.Matrix([[1 - lr, -sp.Rational(9, 10)]])
    assert (after * S * after.T)[0] + lr**2 == S[0, 0]


def test_two_dimensions_with_momentum_and_noise_that_does_not_commute_cannot() -> None:
    """Cov(θ', θ) is not symmetric: the law of (θ, θ') is not that of (θ', θ)."""
    S = stationary_covariance(quadratic(HESSIAN, NOISE), SGD(LR), BATCH_SIZE)
    lagged = (sp.eye(2) - LR * HESSIAN) * S
    assert lagged[0, 1] != lagged[1, 0]


@settings(max_examples=25)
@given(r=st.floats(0, 30), sharpness=st.floats(0.01, 10))
@example(r=0.0, sharpness=1.0)
@example(r=4.0, sharpness=0.5)
@example(r=3.0, sharpness=2.0)
def test_helping_is_between_the_roots(r: float, sharpness: float) -> None:
    stated = float(half_help.help_probability(r, sharpness))
    exact = norm.cdf((2 / sharpness - 1) * r) - norm.cdf(-r)
    assert stated == pytest.approx(exact, abs=1e-14)
    assert -1e-15 <= stated <= 1


def test_at_the_lectures_batch_size_a_step_helps_almost_surely() -> None:
    scales = optimal_batch() / (symbols.noise_std**2 / symbols.estimated_gradient**2)
    standard_errors = sp.sqrt(scales.subs(symbols.confidence, 2))
    assert standard_errors == 4
    assert float(half_help.help_probability(standard_errors, sp.S.Half)) == pytest.approx(0.99997, abs=1e-5)


def test_small_batches_hurt_at_a_fixed_learning_rate_and_toss_a_coin_only_at_a_vanishing_one() -> None:
    small = sp.Rational(1, 10**6)
    assert float(half_help.help_probability(small, 1)) < 1e-5
    assert float(half_help.help_probability(small, small**2)) == pytest.approx(0.5, abs=1e-5)
    assert float(half_help.help_probability(50, sp.Rational(5, 2))) == pytest.approx(0, abs=1e-12)  # ηh > 2
