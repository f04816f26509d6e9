"""Averaged and standard momentum, the window, the look-ahead: slides' numbers, edges, the whole stable region."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgdtheory import EMAMomentum, Momentum, Nesterov, Optimizer, symbols
from sgdtheory.derive.moments import stationary_variance
from sgdtheory.derive.stability import schur_conditions, stability_limit, step_matrix
from sgdtheory.testing import rationals
from sgdtheory.theory.lectures.momentum import look_ahead, same_sequence, window
from sgdtheory.theory.registry import find

η, μ, h, σ, B = symbols.lr, symbols.momentum, symbols.curvature, symbols.noise_std, symbols.batch_size
ALMOST_ONE = 1 - sp.Rational(1, 2**53)
MOMENTUM = rationals(0, sp.Rational(63, 64), 64)
GRADIENTS = st.lists(rationals(), min_size=4, max_size=4)
RULES = (Momentum, EMAMomentum, Nesterov)


def stated(claim: str, quantity: sp.Symbol) -> sp.Expr:
    return next(r.rhs for r in find(claim).statement.args if r.lhs == quantity)


def averaged_path(gradients: list[sp.Expr], rates: list[sp.Expr], decays: list[sp.Expr]) -> list[sp.Expr]:
    """The slides' first form, line by line."""
    phi, g_mean, path = sp.S.Zero, sp.S.Zero, []
    for g, rate, mu in zip(gradients, rates, decays, strict=True):
        g_mean = mu * g_mean + (1 - mu) * g
        phi = phi - rate * g_mean
        path.append(phi)
    return path


def standard_path(gradients: list[sp.Expr], rates: list[sp.Expr], decays: list[sp.Expr]) -> list[sp.Expr]:
    """The slides' second form, each gradient entering with its own rate."""
    phi, v, path = sp.S.Zero, sp.S.Zero, []
    for g, rate, mu in zip(gradients, rates, decays, strict=True):
        v = mu * v + rate * (1 - mu) * g
        phi = phi - v
        path.append(phi)
    return path


@settings(max_examples=40)
@given(GRADIENTS, rationals(0, 2), st.lists(MOMENTUM, min_size=4, max_size=4))
@example([sp.S.One] * 4, sp.S.One, [sp.S.Zero] * 4)
@example([sp.S.One] * 4, sp.Integer(2), [ALMOST_ONE] * 4)
@example([sp.S.One, sp.S.Zero] * 2, sp.S.Zero, [sp.S.Half] * 4)
def test_a_momentum_that_changes_keeps_the_forms_together(
    gradients: list[sp.Expr], rate: sp.Expr, decays: list[sp.Expr]
) -> None:
    rates = [rate] * 4
    assert averaged_path(gradients, rates, decays) == standard_path(gradients, rates, decays)


@settings(max_examples=40)
@given(GRADIENTS, st.lists(rationals(0, 2), min_size=4, max_size=4), MOMENTUM)
@example([sp.S.One] * 4, [sp.S.One, sp.S.Zero] * 2, ALMOST_ONE)
def test_a_learning_rate_that_changes_parts_them_by_what_is_claimed(
    gradients: list[sp.Expr], rates: list[sp.Expr], mu: sp.Expr
) -> None:
    one, other = (path(gradients, rates, [mu] * 4) for path in (averaged_path, standard_path))
    values = {symbols.first_gradient: gradients[0], symbols.lr_early: rates[0], symbols.lr_late: rates[1], μ: mu}
    assert one[0] == other[0]
    assert one[1] - other[1] == stated("MCA-12", symbols.form_gap_two).xreplace(values)


def test_the_gap_comes_from_the_first_gradient_alone() -> None:
    gap = sp.expand(same_sequence()[symbols.form_gap_two])
    assert gap.free_symbols == {symbols.first_gradient, symbols.lr_early, symbols.lr_late, μ}
    assert gap.subs(symbols.lr_early, symbols.lr_late) == 0
    assert gap.subs(μ, 0) == 0


def test_the_slides_typical_momentum() -> None:
    """At 0.9 the slides' window is 10 gradients; it is 19, of mean age 9."""
    numbers = {q: sp.nsimplify(value.subs(μ, sp.Rational(9, 10))) for q, value in window().items()}
    assert numbers[symbols.window_variance] == numbers[symbols.window_age] == 19
    assert numbers[symbols.mean_age] == 9
    assert numbers[symbols.estimate_variance] == sp.Rational(1, 19)


@given(st.integers(1, 200))
@example(1)
def test_a_plain_mean_of_so_many_gradients_is_as_steady_and_as_old(count: int) -> None:
    """N = (1 + μ)/(1 − μ) is whole at μ = (N − 1)/(N + 1): variance 1/N and mean age (0 + 1 + … + N − 1)/N."""
    numbers = {q: value.subs(μ, sp.Rational(count - 1, count + 1)) for q, value in window().items()}
    assert numbers[symbols.estimate_variance] == sp.Rational(1, count)
    assert numbers[symbols.mean_age] == sp.Rational(sum(range(count)), count)


def test_the_window_at_the_ends() -> None:
    span = window()[symbols.window_variance]
    assert span.subs(μ, 0) == 1
    assert span.subs(μ, ALMOST_ONE) == 2**54 - 1
    assert sp.limit(span * (1 - μ), μ, 1, "-") == 2  # twice the slides'


@settings(max_examples=30)
@given(rationals(0, 1), MOMENTUM, rationals())
@example(sp.S.One, sp.S.Zero, sp.S.One)
@example(sp.S.One, ALMOST_ONE, sp.S.One)
def test_the_look_ahead_step_by_step(rate: sp.Expr, mu: sp.Expr, start: sp.Expr) -> None:
    """On ½w²: the first look-ahead is Φ itself, and it is Φ' wherever the gradient there is 0."""
    values = {η: rate, μ: mu}
    derived = {q: value.xreplace(values) for q, value in look_ahead().items()}
    phi, g_mean = start, sp.S.Zero
    for _ in range(3):
        ahead = phi - rate * mu * g_mean
        new = mu * g_mean + (1 - mu) * ahead
        here = {symbols.gradient: ahead, symbols.velocity: g_mean, symbols.theta: phi}
        assert sp.simplify(derived[symbols.ahead_of_now].xreplace(here) - (ahead - phi)) == 0
        assert sp.simplify(derived[symbols.ahead_of_next].xreplace(here) - (ahead - (phi - rate * new))) == 0
        phi, g_mean = phi - rate * new, new


# --- the whole stable region, in ηh and μ ----------------------------------------------------------------------------


@cache
def formulas(rule: Callable[..., Optimizer]) -> tuple[list[sp.Expr], sp.Expr, sp.Expr]:
    """Schur's conditions on ½θ², all positive exactly if stable; the limit of ηh; the variance."""
    conditions = schur_conditions(step_matrix(rule(), 1).charpoly(sp.Symbol("z")))
    return conditions, stability_limit(rule()), stationary_variance(rule())


def margins(rule: Callable[..., Optimizer], x: sp.Expr, mu: sp.Expr) -> list[sp.Expr]:
    return [condition.subs({η: x, μ: mu}) for condition in formulas(rule)[0]]


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=30)
@given(rationals(sp.Rational(1, 64), sp.Rational(63, 64), 64), MOMENTUM)
@example(sp.Rational(1, 2), sp.S.Zero)
@example(1 - sp.Rational(1, 2**52), ALMOST_ONE)
@example(sp.Rational(1, 2**60), ALMOST_ONE)
def test_stable_below_the_limit_and_nowhere_above(rule: Callable[..., Optimizer], share: sp.Expr, mu: sp.Expr) -> None:
    """At ηh = u·limit(μ): stable with a positive variance for u < 1, marginal at u = 1, unstable beyond."""
    _, limit, variance = formulas(rule)
    limit = limit.subs(μ, mu)
    assert all(m > 0 for m in margins(rule, share * limit, mu))
    assert min(margins(rule, limit, mu)) == 0
    assert min(margins(rule, (1 + sp.Rational(1, 2**52)) * limit, mu)) < 0
    assert min(margins(rule, sp.S.Zero, mu)) == 0  # without a step nothing is forgotten
    numbers = {η: share * limit, μ: mu, h: 1, σ: 1, B: 1}
    assert variance.subs(numbers) > 0


@pytest.mark.parametrize("rule", RULES)
def test_at_zero_momentum_the_limit_is_two(rule: Callable[..., Optimizer]) -> None:
    above = 2 + sp.Rational(1, 2**51)
    for x, stable in ((1, True), (2 - sp.Rational(1, 2**52), True), (2, False), (above, False)):
        radius = max(abs(z) for z in step_matrix(rule(x, 0), 1).eigenvals())
        assert (radius < 1) is sp.sympify(stable)
