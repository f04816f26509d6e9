"""Heavy tails, the diffusion's tail, the two-cycle and the saddle: slides' numbers, limits, naive iterations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.theory.stationarity import diffusion_tail, edge_of_stability, heavy_tails, saddle

η, B, h, σ = symbols.lr, symbols.batch_size, symbols.curvature, symbols.noise_std
ONE = {B: 1, h: 1, σ: 1}


def test_the_exponent_is_two_and_four_where_the_moments_say() -> None:
    assert heavy_tails.multiplier(2 / 3).tail_exponent() == pytest.approx(2, rel=1e-11)
    (root,) = (r for r in sp.Poly(105 * η**3 - 60 * η**2 + 18 * η - 4).nroots() if r.is_real)
    assert float(root) == pytest.approx(0.3835, abs=5e-5)
    assert sp.expand((heavy_tails.fourth_power_growth().subs(ONE) - 1) / η) == 105 * η**3 - 60 * η**2 + 18 * η - 4
    assert heavy_tails.multiplier(float(root)).tail_exponent() == pytest.approx(4, rel=1e-10)


@given(st.floats(0.01, 1.9), st.integers(1, 40))
@example(2 / 3, 1)
@example(1.9, 40)
@settings(max_examples=20)
def test_the_exponent_is_above_two_exactly_below_the_mean_square_limit(u: float, batch: int) -> None:
    limit = 2 * batch / (batch + 2)
    kappa = heavy_tails.multiplier(u, batch).tail_exponent()
    if abs(u / limit - 1) > 1e-6:
        assert (kappa > 2) == (u < limit)
    assert heavy_tails.multiplier(u * 1.01, batch).tail_exponent() < kappa


def test_variance_and_fourth_moment_meet_long_runs() -> None:
    values = {η: 0.15, B: 2, h: 1.5, σ: 2.0}
    run = sgd.simulate(
        sgd.linear_regression(1, 2.0, stds=math.sqrt(1.5)), sgd.SGD(lr=0.15), steps=60, replicas=400_000, init=0,
        batch_size=2,
        record=[60], rng=5,
    )  # fmt: skip
    w = run.w.values[:, -1, 0]
    for power, quantity in ((2, symbols.variance), (4, symbols.fourth_moment)):
        exact = float(heavy_tails.STATED[quantity].subs(values))
        error = (w**power).std() / math.sqrt(len(w))
        assert error < 0.03 * exact
        assert abs((w**power).mean() - exact) < 5 * error


def test_the_kurtosis_is_normal_for_small_steps_only() -> None:
    kurtosis = (heavy_tails.STATED[symbols.fourth_moment] / heavy_tails.long_run_variance() ** 2).subs(ONE)
    assert sp.limit(kurtosis, η, 0) == 3
    assert kurtosis.subs(η, sp.Rational(38, 100)) > 100
    assert kurtosis.subs(η, sp.Rational(1, 10)) > 3


@pytest.mark.parametrize("batch", [1, 2, 5, 12])
def test_the_expansion_closes_in_on_the_exponent(batch: int) -> None:
    formula = sp.lambdify(η, sp.N(diffusion_tail.small_step_exponent().subs({B: batch, h: 1})))
    errors = [abs(formula(u) - heavy_tails.multiplier(u, batch).tail_exponent()) for u in (0.08, 0.02, 0.005)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.06 * batch


def test_the_diffusion_is_wrong_by_the_same_factor_for_every_batch() -> None:
    ratio = diffusion_tail.leading_exponent() / sp.limit(diffusion_tail.diffusion_tail_exponent() * η * h, η, 0)
    assert float(ratio) == pytest.approx(1.79556, abs=5e-6)
    w = float(diffusion_tail.W)
    assert w * math.exp(w) == pytest.approx(math.exp(-1), rel=1e-14)


@given(st.fractions(-8, 8, max_denominator=12))
@example(0)
def test_rational_cycles_swap_their_points_exactly(t: float) -> None:
    """Points of x² = 1 − 1/η, y² = 1 + 3/η lie on y² = 4 − 3x²: lines through (1, 1) give rational ones."""
    slope = sp.Rational(t)
    x = (slope**2 - 2 * slope - 3) / (slope**2 + 3)
    y = 1 + slope * (x - 1)
    assert y**2 == 4 - 3 * x**2
    if not (0 < abs(x) < 1 and y > 0):
        return
    lr = 1 / (1 - x**2)
    high, low = (point.subs(η, lr) for point in edge_of_stability.cycle())
    assert {high, low} == {(y + abs(x)) / 2, (y - abs(x)) / 2}
    assert high - lr * (high**3 - high) == low
    assert low - lr * (low**3 - low) == high
    slopes = [1 - lr * (3 * w**2 - 1) for w in (high, low)]
    assert slopes[0] * slopes[1] == edge_of_stability.STATED[symbols.cycle_multiplier].subs(η, lr)
    curvature = (3 * high**2 + 3 * low**2 - 2) / 2
    assert curvature == edge_of_stability.STATED[symbols.cycle_curvature].subs(η, lr)
    assert 2 / lr < curvature < 2


def test_the_scan_sees_the_cycle_the_doubling_and_nothing_before() -> None:
    rates = np.array([0.99, 1.01, 1.1213, 1.23, 1.24])
    scan = sgd.bifurcation(edge_of_stability.double_well(), lr=rates, start=0.7, transient=8000)
    assert scan.period.values[:, 0].tolist() == [1, 2, 2, 2, 4]
    stated = sp.lambdify(η, edge_of_stability.STATED[symbols.cycle_multiplier])
    np.testing.assert_allclose(scan.multiplier.values[1:4, 0], stated(rates[1:4]), atol=1e-6)
    assert abs(scan.multiplier.values[2, 0]) < 1e-3


def test_the_saddle_is_fair_in_the_middle_and_certain_far_out() -> None:
    p = saddle.side_probability()
    assert p.subs(symbols.saddle_start, 0) == sp.Rational(1, 2)
    mirrored = p.subs(symbols.saddle_start, -symbols.saddle_start)
    assert sp.simplify(p + mirrored) == 1
    assert sp.limit(p.subs(ONE | {η: 1}), symbols.saddle_start, sp.oo) == 1


def test_small_steps_agree_with_the_diffusion() -> None:
    start = 2 * sp.sqrt(η) / 5  # on the scale of the noise
    formulas = (saddle.side_probability(), saddle.diffusion_side_probability())
    both = [formula.subs(ONE | {symbols.saddle_start: start}) for formula in formulas]
    assert sp.limit(both[0], η, 0).equals(sp.limit(both[1], η, 0))
    assert float((both[0] - both[1]).subs(η, 1)) > 0.01


@given(st.floats(0.05, 2), st.floats(-2, 2), st.integers(1, 16))
@example(0.05, 0.0, 1)
@settings(max_examples=20)
def test_the_sign_of_a_summed_series_has_the_stated_odds(a: float, start: float, batch: int) -> None:
    """w₀ − Σ ηξ_k(1 + a)^(−k), summed term by term."""
    lr, curvature, noise = 0.3, a / 0.3, 1.7
    variance = sum((lr * noise) ** 2 / batch * (1 + a) ** (-2 * k) for k in range(1, 900))
    exact = saddle.side_probability().subs({η: lr, B: batch, h: curvature, σ: noise, symbols.saddle_start: start})
    assert float(exact) == pytest.approx(0.5 * math.erfc(-start / math.sqrt(2 * variance)), rel=1e-9, abs=1e-14)
