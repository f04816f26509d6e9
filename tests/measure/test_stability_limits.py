"""Limits of stability of whole problems against closed forms, brute force and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special

import sgdtheory as sgd
from sgdtheory import ArgumentError, NoClosedFormError
from sgdtheory.theory.stationarity.interpolation import almost_sure_limit as exact_limit
from sgdtheory.theory.stationarity.regression_risk import feedback


@given(st.integers(1, 3), st.integers(1, 50), st.floats(0.1, 5))
@example(1, 1, 1.0)
@settings(max_examples=15)
def test_isotropic_normal_inputs_bear_two_b_over_b_plus_d_plus_one(d: int, batch: int, h: float) -> None:
    problem = sgd.linear_regression(d, stds=math.sqrt(h))
    assert sgd.mean_square_limit(problem, batch) == pytest.approx(2 * batch / (h * (batch + d + 1)), rel=1e-9)


@pytest.mark.parametrize("batch", [1, 5])
def test_at_the_limit_the_feedback_of_regression_is_one(batch: int) -> None:
    curvatures = (0.4, 1.0, 2.2)
    lr = sgd.mean_square_limit(
        sgd.linear_regression(len(curvatures), 0.3, stds=[math.sqrt(c) for c in curvatures]), batch
    )
    assert float(feedback(curvatures, lr, batch)) == pytest.approx(1, abs=1e-9)


def test_without_randomness_all_limits_are_two_over_the_curvature() -> None:
    bowl = sgd.landscape("3*w**2/2", ["w"], noise_std=0.5)
    assert sgd.mean_square_limit(bowl) == pytest.approx(2 / 3, rel=1e-12)
    assert sgd.almost_sure_limit(bowl, batch_size=7) == pytest.approx(2 / 3, rel=1e-12)
    assert sgd.tail_exponent(bowl, lr=0.5) == math.inf
    assert sgd.tail_exponent(bowl, lr=0.7) == 0
    plane = sgd.landscape("w1**2 + 5*w2**2/2 + w1*w2", ["w1", "w2"])
    sharpest = np.linalg.eigvalsh([[2, 1], [1, 5]]).max()
    assert sgd.mean_square_limit(plane) == pytest.approx(2 / sharpest, rel=1e-12)


def test_a_minimum_elsewhere_is_looked_at_where_it_is() -> None:
    well = sgd.landscape("(w**2 - 1)**2/4", ["w"], noise_std=0.1)
    assert sgd.mean_square_limit(well, at=[-1]) == pytest.approx(1, rel=1e-12)
    sticky = sgd.sticky_1d(1, 2, 2.0, noise_std=1.0)
    curvature = float(sticky.hessian[0].subs(sticky.coordinates[0], -2))
    # ℓ'' = q'²x² + (qx − y)q''x at q = 0: Var ℓ'' = 2q'⁴ + q''²
    slope, bend = 16.0, -16.0
    assert curvature == slope**2
    expected = 2 * slope**2 / (3 * slope**4 + bend**2)
    assert sgd.mean_square_limit(sticky, at=[-2]) == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.integers(1, 12), min_size=2, max_size=5), st.integers(1, 2))
@settings(max_examples=25)
def test_a_data_set_in_mean_square_is_an_average_over_its_batches(quarters: list[int], batch: int) -> None:
    x = np.array(quarters) / 4
    for sampling, batches in (
        ("with replacement", itertools.product(x, repeat=batch)),
        ("without replacement", itertools.permutations(x, batch)),
    ):
        data = sgd.Dataset(x=x, y=0 * x, sampling=sampling)
        problem = sgd.single_feature("w", ["w"], data=data)
        q = np.array([np.mean(np.square(b)) for b in batches])
        expected = 2 * q.mean() / np.mean(q**2)
        assert sgd.mean_square_limit(problem, batch) == pytest.approx(expected, rel=1e-9)


def test_two_samples_have_limits_one_can_solve_for() -> None:
    """(1 − ηa)(ηb − 1) = 1 first holds at η = (a + b)/(ab), or, where that never comes, beyond both poles."""
    problem = sgd.single_feature("w", ["w"], data=sgd.Dataset(x=np.sqrt([1.0, 12.0]), y=[0.0, 0.0]))
    between = min(np.roots([-12.0, 13.0, -2.0]))  # (1 − η)(12η − 1) = 1
    assert 1 / 12 < between < 1
    assert sgd.almost_sure_limit(problem) == pytest.approx(between, rel=1e-9)
    near = sgd.single_feature("w", ["w"], data=sgd.Dataset(x=np.sqrt([1.0, 2.0]), y=[0.0, 0.0]))
    assert sgd.almost_sure_limit(near) == pytest.approx(1.5, rel=1e-9)  # (η − 1)(2η − 1) = 1


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5))
@example([1])
@example([1, 20])
@settings(max_examples=30)
def test_the_first_crossing_of_a_data_set_is_the_first(quarters: list[int]) -> None:
    x = np.sqrt(np.array(quarters) / 4)
    limit = sgd.almost_sure_limit(sgd.single_feature("w", ["w"], data=sgd.Dataset(x=x, y=0 * x)))
    with np.errstate(divide="ignore"):
        before = np.linspace(0, limit, 3001)[1:-1, None]
        assert (np.log(np.abs(1 - before * x**2)).mean(axis=1) < 1e-9).all()
        assert np.log(np.abs(1 - limit * x**2)).mean() == pytest.approx(0, abs=1e-7)
    assert limit >= sgd.mean_square_limit(sgd.single_feature("w", ["w"], data=sgd.Dataset(x=x, y=0 * x))) * (1 - 1e-9)


def test_normal_inputs_have_the_constants_of_the_ledger() -> None:
    one = sgd.linear_regression(1, stds=math.sqrt(2))
    assert sgd.almost_sure_limit(one) == pytest.approx(float(exact_limit(15)) / 2, rel=1e-10)
    assert sgd.tail_exponent(one, lr=1 / 3) == pytest.approx(2, rel=1e-9)
    assert sgd.tail_exponent(one, lr=1.25) == 0
    pair = sgd.linear_regression(1)
    zero_of_ei = 0.372507410781366634
    assert special.expi(zero_of_ei) == pytest.approx(0, abs=1e-14)
    assert sgd.almost_sure_limit(pair, batch_size=2) == pytest.approx(1 / zero_of_ei, rel=1e-10)
    assert sgd.tail_exponent(pair, lr=1, batch_size=2) == pytest.approx(2, rel=1e-9)


def test_a_normal_curvature_may_be_negative_now_and_then() -> None:
    problem = sgd.Problem("w**2*(1 + x)/2", ["w"], sgd.Fresh(x=sgd.Normal(0, 0.5)))
    lr = sgd.mean_square_limit(problem, 4)
    assert lr == pytest.approx(2 / (1 + 0.25 / 4), rel=1e-12)
    assert sgd.tail_exponent(problem, lr=lr, batch_size=4) == pytest.approx(2, rel=1e-9)
    assert sgd.almost_sure_limit(problem, 4) > lr


def test_almost_every_run_falls_below_the_limit_and_rises_above() -> None:
    problem, limit = sgd.linear_regression(1, 0), sgd.almost_sure_limit(sgd.linear_regression(1, 0))
    run = sgd.simulate(
        problem, sgd.SGD(lr=[0.9 * limit, 1.1 * limit]), steps=400, replicas=400, init=1, record=[400], rng=0
    )
    below, above = np.median(np.log(np.abs(run.w.values[..., -1, 0])), axis=1)
    assert below < -10
    assert above > 10


BOWL = sgd.landscape("w**2/2", ["w"], noise_std=1)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: sgd.mean_square_limit("w**2"), "problem"),
        (lambda: sgd.mean_square_limit(sgd.quadratic()), "without value"),
        (lambda: sgd.mean_square_limit(BOWL, at=[0, 0]), "at"),
        (lambda: sgd.mean_square_limit(BOWL, at=[math.nan]), "at"),
        (lambda: sgd.mean_square_limit(BOWL, at=[1]), "minimum"),
        (lambda: sgd.mean_square_limit(sgd.landscape("-w**2", ["w"])), "minimum"),
        (lambda: sgd.mean_square_limit(sgd.landscape("w**4", ["w"])), "minimum"),
        (lambda: sgd.mean_square_limit(BOWL, 0), "batch_size"),
        (lambda: sgd.mean_square_limit(BOWL, 1.5), "batch_size"),
        (lambda: sgd.mean_square_limit(BOWL, True), "batch_size"),
        (lambda: sgd.mean_square_limit(sgd.landscape("w**2", ["w"], noise_root=[[sp.Symbol("w")]])), "noise"),
        (lambda: sgd.almost_sure_limit(sgd.landscape("w1**2 + w2**2", ["w1", "w2"]), at=[0, 0]), "one"),
        (lambda: sgd.tail_exponent(BOWL, lr=0), "lr"),
        (lambda: sgd.tail_exponent(BOWL, lr=-1), "lr"),
        (lambda: sgd.tail_exponent(BOWL, lr=math.inf), "lr"),
        (lambda: sgd.tail_exponent(BOWL, lr="0.1"), "lr"),
    ],
)
def test_what_cannot_be_meant_is_refused(call: object, argument: str) -> None:
    with pytest.raises(ArgumentError, match=argument):
        call()


def test_laws_that_are_not_known_are_refused_by_name() -> None:
    uniform = sgd.single_feature("w", ["w"], x=sgd.Uniform(0, 1))
    assert sgd.mean_square_limit(uniform) == pytest.approx(2 / 3 / (1 / 5), rel=1e-12)
    for call in (
        lambda: sgd.tail_exponent(uniform, lr=0.1),
        lambda: sgd.tail_exponent(sgd.single_feature("w", ["w"], data=sgd.Dataset(x=[1, 2], y=[0, 0])), 0.1, 2),
        lambda: sgd.tail_exponent(sgd.single_feature("w", ["w"], x=sgd.Normal(1, 1)), lr=0.1),
        lambda: sgd.mean_square_limit(
            sgd.single_feature("w", ["w"], data=sgd.Dataset(x=[1, 2], y=[0, 0], sampling="reshuffle"))
        ),
    ):
        with pytest.raises(NoClosedFormError):
            call()
