"""The crisis of gradient descent: closed forms, orbits on both sides, symmetries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

from sgdtheory import ArgumentError, bifurcation, crisis_limit, landscape, sticky_1d

WELL = landscape("(w**2 - 1)**2/4", ["w"])


def test_of_the_double_well_it_has_a_closed_form() -> None:
    """f = w(1 + η − ηw²): f(c) = 0 at the second image means f(c)² = 1 + 1/η, hence (1 + η)³·4/(27η) = 1 + 1/η."""
    exact = math.sqrt(27) / 2 - 1
    assert crisis_limit(WELL, at=1) == pytest.approx(exact, rel=1e-12)
    assert crisis_limit(WELL, at=-1) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("w0", [0.7, 1.8])
def test_of_the_sticky_minimum_it_scales_with_the_fourth_power(w0: float) -> None:
    problem = sticky_1d(1, 2, sp.Rational(str(w0)), convention="squared error")
    assert crisis_limit(problem, at=-w0) * 32 * w0**4 == pytest.approx(3.350376, abs=1e-6)


def test_with_the_half_the_learning_rate_doubles() -> None:
    half, full = (sticky_1d(1, 2, sp.S.One, convention=c) for c in ("half squared error", "squared error"))
    assert crisis_limit(half, -1.0) == pytest.approx(2 * crisis_limit(full, -1.0), rel=1e-10)


def test_orbits_stay_below_and_leave_beyond() -> None:
    limit = crisis_limit(WELL, at=1)
    start = np.linspace(0.99, 1.01, 40)
    scan = bifurcation(WELL, lr=[0.998 * limit, 1.01 * limit], start=start, transient=3000, keep=2)
    side = scan.w.values[:, :, -1, 0] > 0
    assert side[0].all()
    assert not side[1].all()


def test_between_two_maxima_the_first_image_may_pass_the_other_one() -> None:
    """f = w(1 − η + ηw²), f(c) = −⅔(η − 1)c with c² = (η − 1)/(3η): it is −1 where 4(η − 1)³ = 27η, at η = 4."""
    assert crisis_limit(landscape("w**2/2 - w**4/4", ["w"])) == pytest.approx(4, rel=1e-12)


def test_a_mirrored_landscape_has_the_same_limit() -> None:
    w = sp.Symbol("w", real=True)
    loss = sp.integrate(sp.expand(w * (1 - w) * (w + 1.2) * (10 - w)), w)  # a minimum at 0
    limits = [crisis_limit(landscape(shape, [w])) for shape in (loss, loss.subs(w, -w))]
    assert limits[0] == pytest.approx(limits[1], rel=1e-9)
    assert 2 / 12 < limits[0] < 4 / 12


def test_without_a_barrier_there_is_none() -> None:
    assert crisis_limit(landscape("w**2/2", ["w"])) == math.inf
    assert crisis_limit(landscape("w**2/2 + w**4", ["w"])) == math.inf


def test_a_lopsided_basin_whose_fold_leaves_at_once_is_refused() -> None:
    w = sp.Symbol("w", real=True)
    with pytest.raises(ArgumentError, match="whose fold does not leave"):
        crisis_limit(landscape(sp.integrate(sp.expand(w * (1 - w) * (w + 2) * (10 - w)), w), [w]))


def test_what_is_no_minimum_is_refused() -> None:
    for at in (0.0, 0.5):
        with pytest.raises(ArgumentError, match="at: got"):
            crisis_limit(WELL, at=at)
    with pytest.raises(ArgumentError, match="one coordinate"):
        crisis_limit(landscape("w1**2 + w2**2", ["w1", "w2"]))
