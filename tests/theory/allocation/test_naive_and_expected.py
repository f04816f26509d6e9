"""Loss change allocation: the terms add up to the loss change, the instances cover what they should, verdicts."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Claim
from sgdtheory.derive.moments import quadratic_mean
from sgdtheory.theory.loss_change_allocation import expectations, naive
from sgdtheory.verify.check import check
from sgdtheory.verify.verdict import Verdict

η, B, G, A = symbols.lr, symbols.batch_size, symbols.gradient, symbols.allocation
T_mb, T_curv = symbols.minibatch_term, symbols.curvature_term


@pytest.mark.parametrize("claim", naive.CLAIMS + expectations.CLAIMS, ids=lambda claim: claim.id)
def test_a_mutant_put_forward_as_the_claim_is_refuted(claim: Claim) -> None:
    wrong = replace(claim, statement=claim.mutants[0].statement, evidence=claim.evidence[:2], mutants=())
    assert check(wrong).verdict is Verdict.REFUTED


def test_naive_minibatch_and_curvature_terms_add_up_to_the_expected_loss_change() -> None:
    """On a quadratic in space E L(w − ηG) − L(w) = Σᵢ E[−ηGᵢ²] + E T_mb,i + E T_curv,i, for any Σ."""
    H = sp.Matrix(3, 3, lambda i, j: sp.Symbol(f"H{min(i, j)}{max(i, j)}", real=True))
    Σ = sp.Matrix(3, 3, lambda i, j: sp.Symbol(f"S{min(i, j)}{max(i, j)}", real=True))
    gradient, noise = sp.Matrix(sp.symbols("a1:4", real=True)), sp.Matrix(sp.symbols("x1:4", real=True))
    move = -η * (gradient + noise)
    change = sp.expand((gradient.T * move + move.T * H * move / 2)[0])
    expected = quadratic_mean(change, list(noise), Σ / B)
    allotted = 0
    for i in range(3):
        order = [i, *(j for j in range(3) if j != i)]
        rows = ((expectations.H_i, H[i, :]), (expectations.g, gradient), (expectations.Σ_i, Σ[i, :]))
        here = {s: row[j] for family, row in rows for s, j in zip(family, order, strict=True)}
        terms = expectations.expected_minibatch_term() + expectations.expected_curvature_term()
        allotted += terms.xreplace(here) - η * (gradient[i] ** 2 + Σ[i, i] / B)
    assert sp.expand(expected - allotted) == 0


def test_where_training_has_stopped_the_terms_cancel_the_naive_promise() -> None:
    """At g = 0 in one dimension with the stationary variance V the mean true allocation is zero."""
    h, σ, w = symbols.curvature, symbols.noise_std, sp.Symbol("w", real=True)
    numbers = {
        expectations.H_i[0]: h,
        expectations.g[0]: h * w,
        expectations.Σ_ii: σ**2,
        **dict.fromkeys((*expectations.H_i[1:], *expectations.g[1:]), 0),
    }
    true = (expectations.expected_minibatch_term() + expectations.expected_curvature_term()).subs(numbers)
    true += -η * ((h * w) ** 2 + σ**2 / B)
    variance = η * σ**2 / (B * h * (2 - η * h))
    assert sp.simplify(quadratic_mean(sp.expand(true), [w], sp.Matrix([[variance]]))) == 0


def test_random_steps_meet_every_dimension_and_zero_gradients() -> None:
    random = Random(0)
    steps = [naive.random_step(random) for _ in range(60)]
    assert {len(step) for step in steps} == {1, 2, 3}
    assert any(case[G] == 0 for step in steps for case in step)
    assert any(case[A] < 0 for step in steps for case in step)


def test_random_batches_meet_every_dimension_batch_size_and_correlated_noise() -> None:
    random = Random(0)
    draws = [expectations.random_batches(random) for _ in range(60)]
    assert {len(draw) for draw in draws} == {1, 2, 3}
    assert {case[B] for draw in draws for case in draw} == {1, 2}
    assert any(case[expectations.Σ_i[1]] != 0 and case[expectations.H_i[2]] != 0 for draw in draws for case in draw)
    assert any(case[expectations.Σ_ii] == 0 == case[T_mb] for draw in draws for case in draw)
    assert any(case[T_curv] < 0 for draw in draws for case in draw)


def test_naive_allocation_of_a_number() -> None:
    assert naive.naive_allocation(0) == 0
    assert naive.naive_allocation(sp.Rational(-1, 2)) == -η / 4
