"""Minibatch stability, regression risk and interpolation limits: special cases, naive matrices, boundaries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgdtheory import SGD, linear_regression, mean_square_limit, simulate, symbols
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.theory.stationarity import interpolation, minibatch_stability, regression_risk

η, B, h, σ = symbols.lr, symbols.batch_size, symbols.curvature, symbols.noise_std


@given(st.integers(1, 1000), st.integers(1, 1000))
@example(1, 1)
@example(1, 1000)
def test_the_limit_is_where_the_growth_is_one_again(batch: int, d: int) -> None:
    limit = minibatch_stability.largest_lr(batch, d)
    assert sp.simplify(minibatch_stability.growth(limit, batch, d)) == 1
    half_way = minibatch_stability.growth(limit / 2, batch, d)
    assert sp.simplify(half_way) == 1 - sp.Rational(batch, batch + d + 1)  # the fastest fall of the mean square
    assert sp.diff(minibatch_stability.growth(η, batch, d), η).subs(η, limit / 2) == 0


def test_the_critical_batch_is_d_plus_one() -> None:
    d = symbols.dimension
    assert sp.simplify(minibatch_stability.largest_lr(d + 1) * h) == 1
    assert sp.limit(minibatch_stability.largest_lr(dimension=3), B, sp.oo) == 2 / h
    assert minibatch_stability.growth(0, 1, 1) == 1


def sign_inputs_growth(d: int, batch: int, lr: float) -> float:
    """Average |w'|² over every batch of sign vectors: the same second moments, |x|² = d always."""
    w = np.zeros(d)
    w[0] = 1
    signs = [np.array(s) for s in itertools.product((-1.0, 1.0), repeat=d)]
    steps = [w - lr * np.mean([x * (x @ w) for x in xs], axis=0) for xs in itertools.product(signs, repeat=batch)]
    return float(np.mean([step @ step for step in steps]))


@pytest.mark.parametrize(("d", "batch"), [(1, 1), (2, 2), (3, 1)])
def test_without_fluctuating_length_a_batch_bears_more(d: int, batch: int) -> None:
    """For signs B + d + 1 becomes B + d − 1: the claim's mutant is the truth for another law."""
    growth = sign_inputs_growth(d, batch, 0.3)
    assert growth == pytest.approx(float(minibatch_stability.growth(0.3, batch, d - 2).subs(h, 1)))
    assert growth < float(minibatch_stability.growth(0.3, batch, d).subs(h, 1))


@st.composite
def stable_regressions(draw: st.DrawFn) -> tuple[tuple[float, ...], float, int]:
    """Draw the feedback C in (0, 1) and shares of it, and back out η and the curvatures."""
    total, batch = draw(st.floats(0.02, 0.95)), draw(st.integers(1, 20))
    weights = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    parts = [total * weight / sum(weights) for weight in weights]
    lr = draw(st.floats(0.05, 2))
    return tuple(2 * batch * c / (lr * (1 + (batch + 1) * c)) for c in parts), lr, batch


@given(stable_regressions())
@example(((1.0,), 0.5, 1))
@settings(max_examples=8)
def test_the_risk_solves_the_lyapunov_equation(case: tuple[tuple[float, ...], float, int]) -> None:
    curvatures, lr, batch = case
    covariance = stationary_covariance(
        linear_regression(len(curvatures), stds=[sp.sqrt(c) for c in curvatures]), SGD(lr=lr), batch
    )
    total = sum(float(covariance[i, i]) * c for i, c in enumerate(curvatures))
    assert float(regression_risk.excess(curvatures, lr, batch).subs(σ, 1)) == pytest.approx(total, rel=1e-9)
    assert float(regression_risk.feedback(curvatures, lr, batch)) < 1
    assert lr < mean_square_limit(linear_regression(len(curvatures), stds=[sp.sqrt(c) for c in curvatures]), batch)


def test_small_steps_have_the_risk_of_constant_noise() -> None:
    c = sp.symbols("c1 c2", positive=True)
    risk = regression_risk.excess(c)
    assert sp.limit(risk / η, η, 0).equals(σ**2 * (c[0] + c[1]) / (2 * B))


def test_equal_curvatures_meet_the_minibatch_limit() -> None:
    for d in (1, 2, 7):
        at = regression_risk.feedback((h,) * d, lr=minibatch_stability.largest_lr(dimension=d))
        assert sp.simplify(at - 1) == 0


@pytest.mark.parametrize("digits", [6, 12, 25])
def test_the_almost_sure_limit_is_enclosed_by_its_digits(digits: int) -> None:
    value = interpolation.almost_sure_limit(digits)
    assert str(value).startswith("2.42124")
    for shift, sign in ((0, -1), (1, 1)):
        x = sp.Rational(str(value)) + sp.Rational(shift, 10**digits)
        assert sp.sign(interpolation.lyapunov_exponent(x).subs(h, 1).evalf(digits + 15)) == sign


def test_growth_of_almost_every_run_is_below_that_of_the_mean_square() -> None:
    for x in (0.1, 0.5, 1.0, 2.0, 5.0):
        growth = float(interpolation.lyapunov_exponent(x).subs(h, 1))
        assert growth < np.log(1 - 2 * x + 3 * x**2) / 2
    tiny = float(interpolation.lyapunov_exponent(0.01).subs(h, 1))
    assert tiny == pytest.approx(-0.01 - 1.5e-4 - 5e-6, rel=1e-4)  # −u − 3u²/2 − 15u³/3


def test_between_the_limits_the_median_falls_while_the_mean_square_grows() -> None:
    run = simulate(linear_regression(1, 0), SGD(lr=1), steps=3, replicas=200_000, init=1, record=[3], rng=1)
    size = np.abs(run.w.values[:, -1, 0])
    assert np.median(size) < 0.5
    squares = size**2
    assert abs(squares.mean() - 8) < 6 * squares.std() / np.sqrt(len(squares))  # E(1 − x²)² = 2, cubed
