"""The classical theorem: variances to the last step, excursions of long runs, and what a summable square changes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

from sgdtheory import SGD, symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.schedules import power
from sgdtheory.simulation.ensemble import simulate
from sgdtheory.theory.lectures.convergence import CONVERGENCE, excursions, run_down, slow_schedule

B, h, σ, n, c, t = (
    symbols.batch_size,
    symbols.curvature,
    symbols.noise_std,
    symbols.steps,
    symbols.schedule_scale,
    symbols.step,
)
UNIT = {c: 1, h: 1, σ: 1, B: 1}


def exact_variances(steps: int) -> np.ndarray:
    """V_1 … V_n of SGD on ½w² with η_t = 1/log(t + 1) from 0, by its recursion."""
    variances, variance = [], 0.0
    for k in range(1, steps + 1):
        lr = 1 / math.log(k + 1)
        variance = (1 - lr) ** 2 * variance + lr**2
        variances.append(variance)
    return np.array(variances)


def test_the_schedule_falls_to_zero_with_divergent_sums() -> None:
    assert sp.limit(slow_schedule(), t, sp.oo) == 0
    for terms in (slow_schedule(), slow_schedule() ** 2):  # both fall slower than 1/t
        assert sp.limit(terms * t, t, sp.oo) == sp.oo


def test_the_variance_follows_the_rate_with_an_error_of_second_order() -> None:
    formula = sp.lambdify(n, excursions()[symbols.variance].subs(UNIT))
    exact = exact_variances(20_000)
    errors = [abs(formula(k) / exact[k - 1] - 1) for k in (200, 2_000, 20_000)]
    assert errors[0] < 1e-3
    assert errors[1] < errors[0] / 30
    assert errors[2] < errors[1] / 30


def test_the_mean_square_tends_to_zero() -> None:
    assert sp.limit(excursions()[symbols.variance].subs(UNIT), n, sp.oo) == 0


def expected_visits(distance: float, first: int, last: int, every: int = 50) -> float:
    """Expected number of steps in a range at which |w| exceeds a distance."""
    exact = exact_variances(last)[first:last:every]
    return every * float(sum(math.erfc(distance / math.sqrt(2 * v)) for v in exact))


def test_expected_visits_beyond_the_largest_excursion_die_out_and_within_it_multiply() -> None:
    assert excursions()[symbols.largest_excursion].subs(UNIT) == 1
    within, beyond = ([expected_visits(d, 10**k, 10 ** (k + 1)) for k in (2, 3, 4)] for d in (0.6, 1.5))
    assert within[2] > 2.5 * within[1] > 6 * within[0]
    assert beyond[2] < beyond[1] / 2 < beyond[0] / 4


@pytest.fixture(scope="module")
def decade_maxima() -> dict[str, np.ndarray]:
    """Largest |w| of 60 runs over the steps 10⁴ to 10⁵, with falling rates of both kinds."""
    maxima = {}
    for name, schedule in (("slow", slow_schedule().subs(c, 1)), ("fast", power(1, sp.Rational(3, 4)))):
        run = simulate(
            quadratic(1, 1), SGD(lr=schedule), steps=100_000, replicas=60, init=0,
            record=range(10_000, 100_001), rng=2,
        )  # fmt: skip
        maxima[name] = np.abs(run.w.to_numpy()[:, run.step.to_numpy() >= 10_000, 0]).max(axis=1)
    return maxima


def test_runs_keep_leaving_the_minimum_while_the_variance_falls(decade_maxima: dict[str, np.ndarray]) -> None:
    """At the end 0.85 is four standard deviations, yet there are so many steps that most runs pass it."""
    assert expected_visits(0.85, 10_000, 100_000) > 5
    assert expected_visits(1.7, 10_000, 100_000) < 1e-6  # so no run of 60 goes there
    assert exact_variances(100_000)[-1] < 0.05
    assert np.median(decade_maxima["slow"]) > 0.85
    assert decade_maxima["slow"].max() < 1.7


def test_with_summable_squares_runs_settle(decade_maxima: dict[str, np.ndarray]) -> None:
    assert decade_maxima["fast"].max() < 0.25


def test_far_ahead_the_excursion_is_that_of_the_limit() -> None:
    point = {c: sp.Integer(2), h: sp.Integer(1), σ: sp.Integer(3), B: sp.Integer(2), n: sp.Integer(10)}
    assert run_down(point)[symbols.largest_excursion] == pytest.approx(3, rel=5e-4)


def test_larger_batches_and_smaller_rates_shrink_the_excursion_but_not_to_nothing() -> None:
    M = excursions()[symbols.largest_excursion]
    assert M.subs(B, 4 * B).equals(M / 2)
    assert M.subs(c, c / 4).equals(M / 2)
    assert M.is_positive
    assert M.subs(σ, 0) == 0


def test_the_slides_statement_is_the_first_mutant() -> None:
    assert CONVERGENCE.mutants[0].name.startswith("as printed")
