"""The sticky minimum on a line: curvature by finite differences, orbits on both sides of the limit, verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from sgdtheory.catalogue import sticky_1d
from sgdtheory.errors import ArgumentError
from sgdtheory.theory.degenerate.sharp_minimum import SHARP, sharp_curvature
from sgdtheory.verify.check import check
from sgdtheory.verify.verdict import Verdict

CONVENTIONS = {"half squared error": 0.5, "squared error": 1.0}


def distance_after(lr: float, w0: float, weight: float, steps: int) -> float:
    """Gradient descent on weight·Q² from 10⁻⁵ beside −w0, transcribed without the library; distance from −w0."""
    w = -w0 + 1e-5
    for _ in range(steps):
        q, slope = (w + w0) * (w - w0) ** 2, (w - w0) ** 2 + 2 * (w + w0) * (w - w0)
        w -= lr * 2 * weight * q * slope
    return abs(w + w0)


def test_the_printed_curvature_is_refuted() -> None:
    wrong = replace(SHARP, statement=SHARP.mutants[0].statement, mutants=())
    assert check(wrong).verdict is Verdict.REFUTED


@pytest.mark.parametrize("w0", [0.4, 1.0, 1.8])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_curvature_by_central_differences(convention: str, w0: float) -> None:
    def loss(w: float) -> float:
        return CONVENTIONS[convention] * ((w + w0) * (w - w0) ** 2) ** 2

    step = 1e-3 * w0
    difference = (loss(-w0 + step) - 2 * loss(-w0) + loss(-w0 - step)) / step**2
    assert difference == pytest.approx(float(sharp_curvature(convention, w0)), rel=1e-5)


@pytest.mark.parametrize("w0", [0.6, 1.8])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_gradient_descent_stays_below_the_limit_and_leaves_above(convention: str, w0: float) -> None:
    limit = 2 / float(sharp_curvature(convention, w0))
    assert distance_after(0.99 * limit, w0, CONVENTIONS[convention], 2000) < 1e-12
    assert distance_after(1.01 * limit, w0, CONVENTIONS[convention], 2000) > 1e-3


def test_the_published_experiment_is_beyond_the_limit_only_without_the_half() -> None:
    w0, lr = sp.Rational(9, 5), sp.Rational(1, 100)
    assert float(lr * sharp_curvature("squared error", w0)) == pytest.approx(3.359, abs=1e-3)
    assert lr * sharp_curvature("half squared error", w0) < 2


def test_the_broad_minimum_has_no_curvature() -> None:
    problem = sticky_1d(1, 2, sp.Rational(9, 5))
    assert problem.hessian[0].subs(problem.coordinates[0], sp.Rational(9, 5)) == 0


def test_an_unknown_convention_is_named() -> None:
    with pytest.raises(ArgumentError, match="convention: got mean squared error"):
        sharp_curvature("mean squared error")
