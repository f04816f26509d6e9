"""Fluctuation and dissipation: transcriptions, edges, other dimensions, and how wrong the naive form is."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.derive.stability import stability_limit
from sgdtheory.errors import ArgumentError
from sgdtheory.optimizers import SGD, Momentum, Nesterov
from sgdtheory.theory.stationarity.fluctuation import (
    balance,
    covariance_in_the_plane,
    extrapolate,
    heavy_ball_in_the_plane,
    heavy_ball_moments,
    long_run_loss,
    random_naive,
    random_rise,
    rise,
    shadow,
    twin_runs,
)

η, μ, B, h, σ = symbols.lr, symbols.momentum, symbols.batch_size, symbols.curvature, symbols.noise_std
C, K, G2, τ = symbols.shadow_correlation, symbols.noise_share, symbols.mean_square_gradient, symbols.total_noise
EXTRAPOLATED = sp.sympify(extrapolate()[symbols.extrapolated_loss])
BALANCED = sp.lambdify((η, μ, G2), balance()[C])
fractions_ = st.fractions(Fraction(1, 20), Fraction(19, 20), max_denominator=40)


def numpy_covariance(x: float, momentum: float) -> np.ndarray:
    """Covariance of (w, v) of heavy ball on ½w² with unit noise, from the update rule written down by hand."""
    step = np.array([[1 - x, -momentum], [x, momentum]])
    push = np.array([[-x], [x]])
    return np.asarray(solve_discrete_lyapunov(step, push @ push.T))


@given(st.floats(0.02, 0.98), st.floats(0, 0.97))
@example(0.5, 0.0)
@example(0.98, 0.97)
@example(0.5, 0.999)
def test_the_balance_holds_over_the_whole_stable_region(part: float, momentum: float) -> None:
    x = 2 * (1 + momentum) * part
    S = numpy_covariance(x, momentum)
    correlation = S[0, 0] - momentum / (1 - momentum) * S[0, 1]
    assert correlation == pytest.approx(BALANCED(x, momentum, S[0, 0] + 1), rel=1e-7)


@given(fractions_, fractions_)
def test_without_the_shadow_the_balance_is_off_whenever_there_is_momentum(part: Fraction, momentum: Fraction) -> None:
    m = sp.Rational(momentum)
    numbers = {h: 1, σ: 1, B: 1, μ: m, η: 2 * (1 + m) * sp.Rational(part)}
    moments = {q: value.subs(numbers) for q, value in heavy_ball_moments().items()}
    naive, right = moments[symbols.theta], moments[C]
    assert naive != right
    assert right == numbers[η] * moments[G2] / (2 * (1 - m))


def test_the_naive_form_falls_short_by_a_factor_in_closed_form() -> None:
    moments, x = heavy_ball_moments(), η * h
    ratio = moments[symbols.theta] / moments[C]
    assert sp.simplify(ratio - (1 - μ**2) / (1 - μ**2 + μ * x)) == 0
    assert ratio.subs(μ, 0).equals(1)
    usual = {η: sp.Rational(1, 10), h: 1, σ: 1, B: 1, μ: sp.Rational(9, 10)}
    assert float(ratio.subs(usual)) == pytest.approx(0.679, abs=1e-3)


def test_random_naive_instances_break_the_relation_only_with_momentum() -> None:
    random, broken = Random(3), 0
    for _ in range(30):
        case = random_naive(random)
        right = case[C] == case[η] * case[G2] / (2 * (1 - case[μ]))
        assert right == (case[μ] == 0)
        broken += not right
    assert broken > 10


def test_the_shadow_is_the_parameter_without_momentum_and_the_end_of_a_coast() -> None:
    θ, v = symbols.theta, symbols.velocity
    assert shadow(θ, v).subs(μ, 0) == θ
    position, memory = θ, (v,)
    for _ in range(60):  # no further gradient
        position, _, memory = Momentum(momentum=sp.Rational(1, 2)).update(0, position, memory)
    rest = sp.expand(position - shadow(θ, v).subs(μ, sp.Rational(1, 2)))
    assert abs(rest.coeff(v)) < sp.Rational(1, 2) ** 55


def test_nesterovs_shadow_does_not_obey_it() -> None:
    """Its gradient is taken at the look-ahead, which another relation would have to speak of."""
    S = stationary_covariance(quadratic(1, 1), Nesterov(lr=sp.Rational(1, 2), momentum=sp.Rational(1, 2)), 1)
    correlation, square = S[0, 0] - S[0, 1], S[0, 0] + 1
    assert correlation != sp.Rational(1, 2) * square


def test_no_noise_no_share() -> None:
    assert balance()[K].subs(τ, 0) == 0


def test_a_transcription_run_is_reproducible_and_centred_where_it_should_be() -> None:
    one, two = (heavy_ball_in_the_plane(np.random.default_rng(5), 4000) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert abs(one.mean() - 0.256) < 5 * one.std() / np.sqrt(one.size)


@pytest.mark.parametrize("dimension", [1, 2, 3, 5])
def test_the_rise_is_a_quarter_of_the_squared_gradient_in_any_dimension(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    root, noise_root = rng.normal(size=(2, dimension, dimension))
    H, noise = root @ root.T + 0.1 * np.eye(dimension), noise_root @ noise_root.T
    lr = 1.9 / np.linalg.eigvalsh(H).max()
    S = solve_discrete_lyapunov(np.eye(dimension) - lr * H, lr**2 * noise)
    square = np.trace(H @ S @ H) + np.trace(noise)
    assert np.trace(H @ S) / 2 == pytest.approx(lr * square / 4, rel=1e-9)


def test_the_slope_does_not_see_curvature_or_correlation() -> None:
    slope = sp.sympify(rise()[symbols.heat_capacity])
    assert slope.free_symbols == {symbols.noise_std_1, symbols.noise_std_2, B}
    on_slide = slope.subs({symbols.noise_std_1: σ, symbols.noise_std_2: 0})
    assert sp.simplify(on_slide - σ**2 / (4 * B)) == 0


def test_random_instances_have_noise_that_does_not_commute_with_curvature() -> None:
    case = random_rise(Random(1))
    assert case[symbols.excess_loss] == case[η] * case[G2] / 4
    assert case[symbols.heat_capacity] == case[τ] / 4


def test_the_plane_of_two_axes_is_two_lines() -> None:
    S = covariance_in_the_plane()
    assert sp.simplify(S[0, 1].subs(symbols.noise_correlation, 0)) == 0
    along = S[0, 0].subs({symbols.curvature_1: h, symbols.noise_std_1: σ})
    assert sp.simplify(h * along / 2 - long_run_loss()) == 0


def test_the_loss_diverges_at_the_end_of_stability() -> None:
    numerator, denominator = sp.fraction(sp.together(long_run_loss()))
    assert denominator.subs(η, stability_limit(SGD()) / h) == 0
    assert numerator.subs({η: 1, σ: 1, h: 1, B: 1}) != 0
    assert sp.limit(long_run_loss() / η, η, 0) == σ**2 / (4 * B)
    assert long_run_loss().subs({η: 1, h: 1, σ: 1, B: 1}) == sp.Rational(1, 2)  # every step a fresh draw


@pytest.mark.parametrize("x", [2, sp.Rational(2001, 1000), 3])
def test_at_and_beyond_the_end_of_stability_there_is_no_long_run(x: sp.Expr) -> None:
    with pytest.raises(ArgumentError, match="stable in mean square"):
        stationary_covariance(quadratic(1, 1), SGD(lr=x), 1)


def test_without_steps_or_noise_the_loss_stays_at_its_minimum() -> None:
    assert sp.limit(long_run_loss(), η, 0) == 0
    assert long_run_loss().subs(σ, 0) == 0


@given(st.fractions(Fraction(1, 100), Fraction(199, 100), max_denominator=100))
@example(Fraction(1))
def test_the_extrapolation_always_undershoots(x: Fraction) -> None:
    below = EXTRAPOLATED.subs({η: sp.Rational(x), h: 1, σ: 1, B: 1})
    assert below < 0
    assert below == x / 2 * (2 / (4 - x) - 1 / (2 - x))  # ησ²/(2B(2 − ηh)), written out


def test_the_extrapolation_is_of_second_order() -> None:
    small = sp.series(EXTRAPOLATED, η, 0, 3).removeO()
    assert sp.simplify(small + η**2 * h * σ**2 / (16 * B)) == 0


def test_twin_runs_see_the_same_noise() -> None:
    one, two = (twin_runs(np.random.default_rng(7), 100) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one).all()
