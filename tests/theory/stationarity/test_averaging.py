"""Averages of iterates: sums over all pairs, edges, and freedom from the learning rate."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given
from hypothesis import strategies as st

from sgdtheory import symbols
from sgdtheory.theory.stationarity.averaging import averaged_variance, averages, telescope

η, B, h, σ, n, R = (
    symbols.lr,
    symbols.batch_size,
    symbols.curvature,
    symbols.noise_std,
    symbols.steps,
    symbols.run_factor,
)
FORMULA = sp.lambdify((η, n), averaged_variance().subs({h: 1, σ: 1, B: 1}).subs(R, (1 - η) ** n))


def summed(x: float, steps: int) -> float:
    """Variance of the average from the covariances of all pairs."""
    lags = np.abs(np.subtract.outer(np.arange(steps), np.arange(steps)))
    return float(x / (2 - x) * ((1 - x) ** lags).mean())


@given(st.floats(0.01, 1.98), st.integers(1, 60))
@example(1.0, 1)
@example(1.0, 7)
@example(0.01, 1)
@example(1.98, 60)
def test_all_pairs_summed(x: float, steps: int) -> None:
    assert FORMULA(x, steps) == pytest.approx(summed(x, steps), rel=1e-8)


def test_one_iterate_is_the_long_run_variance() -> None:
    one = averaged_variance().subs({n: 1, R: 1 - η * h})
    assert sp.simplify(one - η * σ**2 / (B * h * (2 - η * h))) == 0


def test_the_limit_knows_no_learning_rate() -> None:
    assert sp.simplify(telescope()[symbols.averaged_limit] - σ**2 / (B * h**2)) == 0
    long = [1e6 * FORMULA(x, 1e6) for x in (0.01, 0.3, 1.0, 1.7)]
    np.testing.assert_allclose(long, 1, rtol=2e-4)


def test_averages_of_flipping_iterates_are_better_than_the_limit_says_and_of_slow_ones_worse_than_their_sum() -> None:
    """Above ηh = 1 neighbours are anticorrelated and the correction has the other sign."""
    assert 20 * FORMULA(0.5, 20) < 1 < 20 * FORMULA(1.5, 20)
    assert FORMULA(1.5, 20) < summed(1.5, 1)


def test_at_one_the_iterates_are_independent() -> None:
    for steps in (1, 2, 9):
        assert FORMULA(1.0, steps) == pytest.approx(1 / steps)


def test_at_the_end_of_stability_a_single_iterate_diverges_but_an_even_average_does_not() -> None:
    x = 2 - 1e-7
    assert FORMULA(x, 1) > 1e6
    assert FORMULA(x, 10) < 1


def test_no_noise_no_variance() -> None:
    assert averaged_variance().subs(σ, 0) == 0


def test_the_sampler_returns_squares_and_repeats_itself() -> None:
    one, two = (averages(np.random.default_rng(3), 500) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one >= 0).all()
    assert abs(one.mean() - 0.083) < 5 * one.std() / np.sqrt(500)
