"""When averaged momentum moves the mean path: the bound, how near paths come to it, and what the lectures say."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import pytest
import sympy as sp
from hypothesis import example, given
from hypothesis import strategies as st

from sgdtheory import EMAMomentum, symbols
from sgdtheory.claim import Case
from sgdtheory.derive.stability import step_matrix
from sgdtheory.theory.lectures.batch_size import optimal_batch, optimal_lr
from sgdtheory.theory.lectures.no_effect import largest_gaps

μ, B, B_best = symbols.momentum, symbols.batch_size, symbols.best_batch
ROUNDING = 1e-12


@cache
def derived() -> Case:
    return largest_gaps()


def paths(x: float, mu: float, steps: int, buffer: float = 0.0) -> tuple[list[float], list[float]]:
    """Gaps of the mean paths from θ = 1, and the buffers, at h = 1."""
    theta = plain = 1.0
    gaps, buffers = [], []
    for _ in range(steps):
        buffer = mu * buffer + (1 - mu) * theta
        theta, plain = theta - x * buffer, plain - x * plain
        gaps.append(theta - plain)
        buffers.append(buffer)
    return gaps, buffers


def overdamped(mu: float) -> float:
    """The largest ηh without oscillation."""
    return (1 - math.sqrt(mu)) / (1 + math.sqrt(mu))


@given(st.floats(0, 1), st.floats(0, 1 - 2**-10))
@example(0.0, 0.5)
@example(1.0, 0.0)
@example(1.0, 0.5)
@example(1.0, 1 - 2**-53)
@example(0.5, 1 - 2**-53)
def test_no_step_strays_farther_than_the_bound(share: float, mu: float) -> None:
    x = share * overdamped(mu)
    gaps, buffers = paths(x, mu, 400)
    bound = mu * x / (1 - mu)
    assert max(map(abs, gaps)) <= bound + ROUNDING
    assert min(buffers) >= -ROUNDING
    assert max(buffers) <= 1 + ROUNDING


@given(st.floats(0, 1), st.floats(0, 1 - 2**-10))
@example(1.0, 1 - 2**-10)
@example(1.0, 0.01)
def test_oscillation_does_not_break_the_bound_up_to_one(x: float, mu: float) -> None:
    """Not proved, found: the bound holds for every ηh ≤ 1; at ηh = 1.9 small momentum breaks it fourfold."""
    assert max(map(abs, paths(x, mu, 400)[0])) <= mu * x / (1 - mu) + ROUNDING
    assert max(map(abs, paths(1.9, 0.05, 400)[0])) > 4 * 0.05 * 1.9 / 0.95


@pytest.mark.parametrize("mu", [sp.Rational(1, 4), sp.Rational(9, 16), sp.Rational(81, 100)])
def test_oscillation_begins_where_it_is_said_to(mu: sp.Expr) -> None:
    """At ηh = (1 − √μ)/(1 + √μ) both eigenvalues of the step are √μ."""
    x = (1 - sp.sqrt(mu)) / (1 + sp.sqrt(mu))
    assert step_matrix(EMAMomentum(x, mu), 1).eigenvals() == {sp.sqrt(mu): 2}
    beyond = step_matrix(EMAMomentum(x * sp.Rational(101, 100), mu), 1).eigenvals()
    assert all(sp.im(z) != 0 for z in beyond)


@pytest.mark.parametrize(("mu", "x"), [(0.5, 1e-3), (0.9, 2e-4)])
def test_paths_come_near_the_bound(mu: float, x: float) -> None:
    gaps, _ = paths(x, mu, 2000)
    averaging = x / (1 - mu)
    assert 1 - 5 * averaging * math.log(1 / averaging) < max(gaps) / (mu * averaging) < 1


def test_without_momentum_there_is_no_gap() -> None:
    for x in (0.0, 1.0, 2.0, math.nextafter(2, 3)):
        assert max(map(abs, paths(x, 0.0, 50)[0])) == 0


def test_plain_descent_is_lost_at_two_and_momentum_is_not() -> None:
    """Where SGD flips for ever the paths part for good: the gap ends at SGD's own size."""
    gaps, _ = paths(2.0, 0.5, 400)
    assert abs(gaps[-1]) == pytest.approx(1, abs=1e-9)
    gaps, _ = paths(math.nextafter(2, 3), 0.5, 400)
    assert abs(gaps[-1]) >= 1 - 1e-9


def test_the_lectures_numbers() -> None:
    """At B = B* momentum 0.9 averages over 5 relaxation times, though 1/(1 − μ) = 10 may be far below B*."""
    gaps = derived()
    assert gaps[symbols.averaging].subs({B: B_best, μ: sp.Rational(9, 10)}) == 5
    assert gaps[symbols.averaging].subs({B: B_best, μ: 0}) == sp.S.Half
    assert sp.simplify(optimal_lr(optimal_batch()) * symbols.smoothness) == sp.S.Half


@pytest.mark.parametrize(("buffer", "quantity"), [(0.0, symbols.path_gap_cold), (1.0, symbols.path_gap_warm)])
def test_the_gap_is_right_to_second_order(buffer: float, quantity: sp.Symbol) -> None:
    """Halving B/B* halves the relative error, or nearly so: with an empty buffer a logarithm goes with it."""
    errors = []
    for share in (4e-3, 2e-3, 1e-3):
        gaps, _ = paths(share / 2, 0.5, int(8 / share), buffer)
        predicted = float(derived()[quantity].subs({B: sp.Float(share), B_best: 1, μ: sp.S.Half}))
        errors.append(abs(max(map(abs, gaps)) / predicted - 1))
    assert all(1.5 < big / small < 2.3 for big, small in pairwise(errors))
