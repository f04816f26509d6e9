"""The tests behind Monte Carlo verdicts: right error rates for a true statement, designed power for a false one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sgdtheory.verify.statistics import (
    FALSE_ALARM_BUDGET,
    MISS,
    Comparison,
    mean_samples,
    mean_test,
    normal_quantile,
    variance_samples,
    variance_test,
)
from sgdtheory.verify.verdict import Verdict

CERTAIN = 1e-6
"""False-alarm probability of the tests in this file; their seeds are fixed, so that a pass stays a pass."""


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("samples", [2, 5, 40])
@pytest.mark.parametrize("variance", [1.0, 1e-8, 300.0])
def test_variance_p_values_are_uniform_under_the_null(samples: int, variance: float) -> None:
    """Exactly, however few the samples."""
    values = generator(1).normal(5, math.sqrt(variance), (4000, samples))
    p_values = [variance_test(row, variance, 0.01).p_value for row in values]
    assert stats.kstest(p_values, "uniform").pvalue > CERTAIN


def test_mean_p_values_are_uniform_under_the_null_though_the_values_are_skewed() -> None:
    values = generator(2).exponential(3, (4000, 2000))
    p_values = [mean_test(row, 3, 0.01).p_value for row in values]
    assert stats.kstest(p_values, "uniform").pvalue > CERTAIN


@pytest.mark.parametrize("alpha", [0.2, 0.01])
def test_true_statements_are_refuted_as_often_as_stated(alpha: float) -> None:
    values = generator(3).normal(0, 1, (20_000, 30))
    alarms = sum(variance_test(row, 1, alpha).verdict(9) is Verdict.REFUTED for row in values)
    assert stats.binomtest(alarms, len(values), alpha).pvalue > CERTAIN


@pytest.mark.parametrize("resolution", [0.5, 0.2])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_variance_off_by_the_resolution_is_missed_no_more_often_than_designed(
    resolution: float, direction: int
) -> None:
    alpha, trials = 0.05, 5000
    samples = variance_samples(resolution, alpha)
    values = generator(4).normal(0, 1, (trials, samples))
    stated = 1 + direction * resolution
    misses = sum(variance_test(row, stated, alpha).verdict(resolution) is not Verdict.REFUTED for row in values)
    assert stats.binom.sf(misses - 1, trials, 2 * MISS) > CERTAIN  # twice: the law is χ², not quite log-normal


def test_half_the_samples_would_not_do() -> None:
    """The design asks for no more than it needs: at half its size the misses are many times the promise."""
    resolution, alpha, trials = 0.2, 0.05, 5000
    samples = variance_samples(resolution, alpha) // 2
    values = generator(5).normal(0, 1, (trials, samples))
    misses = sum(variance_test(row, 1 + resolution, alpha).p_value >= alpha for row in values)
    assert misses > 10 * MISS * trials


def test_a_mean_off_by_the_resolution_is_missed_no_more_often_than_designed() -> None:
    resolution, alpha, trials = 0.1, 0.05, 5000
    random = generator(6)
    samples = mean_samples(random.normal(2, 1, 100_000), resolution, alpha)
    values = random.normal(2, 1, (trials, samples))
    for stated in (2 * (1 + resolution), 2 * (1 - resolution)):
        results = [mean_test(row, stated, alpha) for row in values]
        misses = sum(result.p_value >= alpha for result in results)
        assert stats.binom.sf(misses - 1, trials, MISS) > CERTAIN


@pytest.mark.parametrize("alpha", [0.05, 1e-4, 1e-8])
@pytest.mark.parametrize("resolution", [0.5, 0.1, 0.02])
def test_the_designed_sample_detects_what_it_was_designed_for(resolution: float, alpha: float) -> None:
    samples = variance_samples(resolution, alpha)
    result = variance_test(generator(7).normal(0, 1, samples), 1, alpha)
    assert result.detectable <= resolution
    assert result.detectable == pytest.approx(resolution, rel=0.02)
    assert result.samples == samples
    assert result.verdict(resolution) is not Verdict.UNDECIDED


def test_too_few_samples_leave_a_statement_undecided() -> None:
    values = generator(8).normal(0, 1, 50)
    assert variance_test(values, 1, 0.01).verdict(0.01) is Verdict.UNDECIDED
    assert mean_test(values + 1, 1, 0.01).verdict(0.01) is Verdict.UNDECIDED


def test_smaller_errors_and_smaller_risks_need_more_samples() -> None:
    assert variance_samples(0.01, 0.01) > variance_samples(0.02, 0.01) > variance_samples(0.02, 0.05)
    pilot = generator(9).normal(1, 1, 1000)
    assert mean_samples(pilot, 0.01, 0.01) > mean_samples(pilot, 0.02, 0.01) > mean_samples(pilot, 0.02, 0.05)


@pytest.mark.parametrize("stated", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_a_variance_that_cannot_be_is_refuted(stated: float) -> None:
    assert variance_test(generator(10).normal(0, 1, 100), stated, 1e-9).verdict(9) is Verdict.REFUTED


@pytest.mark.parametrize("stated", [math.nan, math.inf, -math.inf])
def test_a_mean_that_is_no_number_is_refuted(stated: float) -> None:
    assert mean_test(generator(10).normal(0, 1, 100), stated, 1e-9).verdict(9) is Verdict.REFUTED


def test_values_without_spread_are_compared_exactly() -> None:
    values = np.full(10, 0.5)
    assert mean_test(values, 0.5, 1e-9).verdict(0.1) is Verdict.SUPPORTED
    assert mean_test(values, 0.5 + 1e-12, 1e-9).verdict(0.1) is Verdict.REFUTED


def test_values_that_are_no_numbers_never_support() -> None:
    values = generator(11).normal(1, 1, 100)
    values[3] = math.nan
    for test in (mean_test, variance_test):
        assert test(values, 1, 1e-9).verdict(9) is Verdict.REFUTED


@pytest.mark.parametrize(
    ("p_value", "detectable", "verdict"),
    [
        (0.5, 0.01, Verdict.SUPPORTED),
        (0.5, 0.2, Verdict.UNDECIDED),
        (1e-3, 0.01, Verdict.REFUTED),
        (1e-3, 0.2, Verdict.REFUTED),
        (0.01, 0.1, Verdict.SUPPORTED),
        (math.nan, 0.01, Verdict.REFUTED),
    ],
)
def test_verdicts(p_value: float, detectable: float, verdict: Verdict) -> None:
    assert Comparison(1, 1, p_value, 0.01, 100, detectable).verdict(0.1) is verdict


@pytest.mark.parametrize("tail", [0.5, 0.025, 1e-3, FALSE_ALARM_BUDGET, 1e-12])
def test_normal_quantile(tail: float) -> None:
    assert normal_quantile(tail) == pytest.approx(stats.norm.isf(tail), rel=1e-12, abs=1e-12)


def test_tests_of_the_same_values_agree_with_the_library_ones() -> None:
    values = generator(12).normal(1, 2, 400)
    ours = variance_test(values, 3.5, 0.01)
    quantity = 399 * np.var(values, ddof=1) / 3.5
    assert ours.p_value == pytest.approx(2 * min(stats.chi2.cdf(quantity, 399), stats.chi2.sf(quantity, 399)))
    assert ours.estimate == pytest.approx(np.var(values, ddof=1))
    by_mean = mean_test(values, 1.2, 0.01)
    expected = 2 * stats.norm.sf(abs(values.mean() - 1.2) / (values.std(ddof=1) / 20))
    assert by_mean.p_value == pytest.approx(expected)
