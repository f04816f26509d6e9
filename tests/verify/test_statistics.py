"""Calibration: false alarms as often as designed, misses no oftener."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sgdtheory.verify.statistics import (
    MISS,
    Comparison,
    mean_samples,
    mean_test,
    normal_quantile,
    variance_samples,
    variance_test,
)
from sgdtheory.verify.verdict import Verdict

ROUNDS = 4000
ALARM = 1e-9  # false-alarm probability of each test of this file


def _p_values(test: object, scale: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rounds = (rng.normal(1.0, scale, size=200) for _ in range(ROUNDS))
    return np.array([test(values, 1.0, 1e-9).p_value for values in rounds])  # type: ignore[operator]


@pytest.mark.parametrize("seed", [1, 2])
def test_p_values_of_a_true_variance_are_uniform(seed: int) -> None:
    assert stats.kstest(_p_values(variance_test, 1.0, seed), "uniform").pvalue > ALARM


def test_p_values_of_a_true_mean_are_nearly_uniform() -> None:
    # the normal law in the place of Student's, at 200 values, moves probabilities by less than 0.003
    p_values = _p_values(mean_test, 3.0, 3)
    for level in (0.01, 0.1, 0.5):
        expected = level + 0.003
        assert np.mean(p_values < level) < expected + 6.1 * math.sqrt(expected / ROUNDS)


@pytest.mark.parametrize("factor", [1.1, 1 / 1.1])
def test_an_error_of_the_resolution_is_seen_as_often_as_designed(factor: float) -> None:
    alpha = 1e-3
    n = variance_samples(0.1, alpha)
    rng = np.random.default_rng(5)
    missed = sum(
        variance_test(rng.normal(0, math.sqrt(factor), size=n), 1.0, alpha).verdict(0.1) is not Verdict.REFUTED
        for _ in range(400)
    )
    assert missed <= stats.binom.isf(ALARM, 400, 3 * MISS)  # the log scale is good to a factor of three in the tail


def test_a_sample_too_small_for_the_resolution_decides_nothing() -> None:
    values = np.random.default_rng(0).normal(size=100)
    assert variance_test(values, 1.0, 1e-9).verdict(0.01) is Verdict.UNDECIDED


def test_the_designed_sample_resolves_what_it_was_designed_for() -> None:
    rng = np.random.default_rng(1)
    n = variance_samples(0.03, 1e-8)
    assert variance_test(rng.normal(size=n), 1.0, 1e-8).detectable == pytest.approx(0.03, rel=0.02)
    pilot = rng.normal(2.0, 1.0, size=200_000)
    m = mean_samples(pilot, 0.03, 1e-8)
    assert mean_test(rng.normal(2.0, 1.0, size=m), 2.0, 1e-8).detectable == pytest.approx(0.03, rel=0.1)


@pytest.mark.parametrize("predicted", [-1.0, 0.0, math.nan, math.inf])
def test_a_prediction_no_variance_can_have_is_refuted(predicted: float) -> None:
    values = np.random.default_rng(0).normal(size=100)
    assert variance_test(values, predicted, 1e-9).verdict(1.0) is Verdict.REFUTED


def test_a_p_value_that_is_no_number_refutes() -> None:
    assert Comparison(1.0, 1.0, math.nan, 1e-9, 10, 0.1).verdict(1.0) is Verdict.REFUTED


def test_quantile_is_that_of_the_normal_law() -> None:
    assert normal_quantile(0.025) == pytest.approx(1.959963984540054, rel=1e-12)
