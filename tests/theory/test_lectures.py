"""The lectures' batch size, learning rate and long runs: slides' numbers, global optimality, verdicts."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Claim
from sgdtheory.derive.moments import stationary_variance
from sgdtheory.derive.stability import stability_limit
from sgdtheory.optimizers import SGD, EMAMomentum, Momentum, Nesterov
from sgdtheory.theory.lectures import batch_size, long_runs
from sgdtheory.theory.lectures.batch_size import (
    best_choice,
    best_per_example,
    expected_decrease,
    guarantee,
    optimal_batch,
    optimal_lr,
    shortfall,
)
from sgdtheory.verify.check import check
from sgdtheory.verify.verdict import Verdict

η, μ, B, h, σ = symbols.lr, symbols.momentum, symbols.batch_size, symbols.curvature, symbols.noise_std
ĝ, L, z = symbols.estimated_gradient, symbols.smoothness, symbols.confidence
SLIDES = {z: 2}


@pytest.mark.parametrize("claim", [*batch_size.CLAIMS, *long_runs.CLAIMS], ids=lambda claim: claim.id)
def test_a_mutant_put_forward_as_the_claim_is_refuted(claim: Claim) -> None:
    wrong = replace(claim, statement=claim.mutants[0].statement, evidence=claim.evidence[:1], mutants=())
    assert check(wrong).verdict is Verdict.REFUTED


def test_slides_numbers() -> None:
    assert optimal_batch().subs(SLIDES) == 16 * σ**2 / ĝ**2
    assert sp.simplify(optimal_lr(optimal_batch()) - 1 / (2 * L)) == 0
    assert sp.simplify((optimal_lr(optimal_batch()) / optimal_batch()).subs(SLIDES) - ĝ**2 / (32 * σ**2 * L)) == 0
    assert sp.simplify(optimal_lr().subs(SLIDES) - (1 - 2 * σ / (ĝ * sp.sqrt(B))) / L) == 0


def test_the_guarantee_at_the_best_learning_rate_is_the_slides_half_L_lr_squared() -> None:
    assert sp.simplify(guarantee(optimal_lr()) - L * optimal_lr() ** 2 * ĝ**2 / 2) == 0


def test_the_optimum_is_flat_in_the_batch_size() -> None:
    """Half, twice and four times the best batch size cost 31 %, 16 % and 44 % of the progress per example."""
    for factor, share in ((sp.Rational(1, 2), 0.68629), (2, 0.83579), (4, 0.5625), (1, 1)):
        batch = factor * optimal_batch()
        ratio = sp.simplify(guarantee(optimal_lr(batch), batch) / batch / best_per_example())
        assert float(ratio) == pytest.approx(share, abs=1e-5)


def test_no_positive_learning_rate_beats_the_optimum_even_below_the_break_even_batch() -> None:
    random, numbers = Random(1), {ĝ: sp.Rational(3, 2), σ: sp.Integer(2), L: sp.Rational(1, 3), z: sp.Integer(2)}
    best = best_per_example().subs(numbers)
    per_example = (guarantee() / B).subs(numbers)
    for _ in range(300):
        point = {η: sp.Rational(random.randint(1, 400), 40), B: sp.Rational(random.randint(1, 200), 8) ** 2}
        value = per_example.subs(point)
        assert value < best
        assert sp.expand(best - value - shortfall().subs(numbers).subs(point)) == 0


def test_negative_learning_rates_would_beat_it_at_tiny_batches() -> None:
    numbers = {ĝ: 1, σ: 1, L: 1, z: 2, B: sp.Rational(1, 100)}
    lr = optimal_lr().subs(numbers)
    assert lr < 0
    assert (guarantee(lr) / B).subs(numbers) > best_per_example().subs(numbers)


def test_below_a_quarter_of_the_best_batch_nothing_is_guaranteed() -> None:
    at_quarter = guarantee(η, optimal_batch() / 4)
    assert sp.simplify(at_quarter + L * η**2 * ĝ**2 / 2) == 0


def test_the_guarantee_is_kept_by_every_loss_it_speaks_of() -> None:
    """Quadratics of curvature up to L whose gradient lies within zσ/√B of the estimate."""
    random = Random(2)
    for _ in range(100):
        estimate, bound, spread, batch, lr = (sp.Rational(random.randint(1, 20), 5) for _ in range(5))
        slack, slope = spread / batch, sp.Rational(random.randint(-5, 5), 5)  # zσ/√B with √B = batch
        true_gradient, curvature = estimate + slope * slack, bound * sp.Rational(random.randint(-5, 5), 5)
        move = -lr * estimate
        change = true_gradient * move + curvature * move**2 / 2
        promised = guarantee(lr, batch**2).subs({ĝ: estimate, σ: spread, z: 1, L: bound})
        assert change <= -promised


def test_by_expected_progress_smaller_batches_are_always_better() -> None:
    lr = sp.solve(sp.diff(expected_decrease(), η), η)[0]
    per_example = sp.simplify(expected_decrease().subs(η, lr) / B)
    assert sp.factor(sp.diff(per_example, B)).is_negative
    assert sp.simplify(best_choice(expected_decrease())[symbols.lr_one] - ĝ**2 / (σ**2 * L)) == 0


def test_best_choice_scales_as_its_units_demand() -> None:
    """Loss times c: gradients, σ and L times c; batch sizes stay and learning rates shrink by c."""
    c = sp.Symbol("c", positive=True)
    scaled = {ĝ: c * ĝ, σ: c * σ, L: c * L}
    assert sp.simplify(optimal_batch().subs(scaled, simultaneous=True) - optimal_batch()) == 0
    assert sp.simplify(optimal_lr().subs(scaled, simultaneous=True) - optimal_lr() / c) == 0


def test_small_steps_give_the_diffusion_limit_whatever_the_averaging() -> None:
    for rule in (SGD(), EMAMomentum()):
        assert sp.simplify(sp.limit(stationary_variance(rule) / η, η, 0) - σ**2 / (2 * B * h)) == 0
    for rule in (Momentum(), Nesterov()):
        assert sp.simplify(sp.limit(stationary_variance(rule) / η, η, 0) - σ**2 / (2 * B * h * (1 - μ))) == 0


@pytest.mark.parametrize("rule", [SGD(), Momentum(), EMAMomentum(), Nesterov()], ids=lambda rule: rule.name)
def test_variance_diverges_exactly_at_the_end_of_stability(rule: object) -> None:
    variance, limit = stationary_variance(rule), stability_limit(rule)  # type: ignore[arg-type]
    numerator, denominator = sp.fraction(sp.together(variance))
    assert sp.simplify(denominator.subs(η, limit / h)) == 0
    assert sp.simplify(numerator.subs(η, limit / h)) != 0
    for momentum in (0, sp.Rational(1, 2), sp.Rational(9, 10)):
        inside = {η: limit.subs(μ, momentum) * sp.Rational(99, 100), μ: momentum, h: 1, σ: 1, B: 1}
        assert variance.subs(inside) > 0


def test_linear_scaling_keeps_the_variance_only_to_leading_order() -> None:
    """At η = Bη₁ the variance is η₁σ²/(h(2 − Bη₁h)): the same for all B only while Bη₁h is small."""
    scaled = stationary_variance(SGD(lr=B * η), B)
    assert sp.simplify(scaled - η * σ**2 / (h * (2 - B * η * h))) == 0
