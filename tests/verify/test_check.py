"""Verdicts: what passes, what is refuted, and what an evidence that shows nothing is worth."""

from __future__ import annotations

from dataclasses import replace

import claims_of_our_own as own
import pytest
import sympy as sp

from sgdtheory.claim import Claim, Ensemble, Identity, Mutant, Property, Recursion, equals
from sgdtheory.verify.check import check
from sgdtheory.verify.verdict import Verdict


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (own.claim(), Verdict.PROVED),
        (own.claim(evidence=(own.PROPERTY,)), Verdict.SUPPORTED),
        (own.claim(evidence=(own.RECURSION,)), Verdict.SUPPORTED),
        (own.ORDER_CLAIM, Verdict.SUPPORTED),
        (own.ENSEMBLE_CLAIM, Verdict.SUPPORTED),
    ],
    ids=["identity", "property", "recursion", "order", "ensemble"],
)
def test_each_kind_of_evidence_bears_out_a_true_statement(claim: Claim, verdict: Verdict) -> None:
    report = check(claim)
    assert report.verdict is verdict, report
    assert all(m.rejected for m in report.mutants)


@pytest.mark.parametrize(
    "claim",
    [
        own.claim(statement=equals(own.square, 2 * own.x)),
        own.claim(evidence=(own.PROPERTY,), statement=equals(own.square, own.x**2 + 1)),
        own.claim(evidence=(own.RECURSION,), statement=equals(own.square, own.x**3)),
        replace(own.ORDER_CLAIM, statement=equals(own.V, 3 * own.h)),
        replace(own.ENSEMBLE_CLAIM, statement=own.ENSEMBLE_CLAIM.mutants[0].statement),
    ],
    ids=["identity", "property", "recursion", "order", "ensemble"],
)
def test_each_kind_of_evidence_refutes_a_planted_wrong_statement(claim: Claim) -> None:
    assert check(claim).verdict is Verdict.REFUTED


def test_a_surviving_mutant_leaves_the_claim_undecided() -> None:
    survivor = Mutant("the same in other words", equals(own.square, own.x * own.x))
    report = check(own.claim(mutants=(*own.claim().mutants, survivor)))
    assert report.verdict is Verdict.UNDECIDED
    assert "the same in other words" in report.reason


def test_an_evidence_that_rejects_nothing_leaves_the_claim_undecided() -> None:
    at_two = Recursion(lambda point: {**point, own.square: 4.0}, ({own.x: sp.Integer(2)},), 1e-12)
    report = check(own.claim(evidence=(Identity(lambda: {own.square: own.x * own.x}), at_two)))
    assert report.verdict is Verdict.UNDECIDED
    assert "Recursion" in report.reason


def test_a_claim_without_evidence_or_instances_is_undecided() -> None:
    assert check(own.claim(evidence=(), mutants=())).verdict is Verdict.UNDECIDED
    assert check(own.claim(evidence=(Property(own.instance, examples=0),))).verdict is Verdict.UNDECIDED


def test_an_ensemble_with_diverged_runs_supports_nothing() -> None:
    (evidence,) = own.ENSEMBLE_CLAIM.evidence
    assert isinstance(evidence, Ensemble)
    unstable = replace(evidence, values={**evidence.values, own.lr: 1e200}, steps=4)
    report = check(replace(own.ENSEMBLE_CLAIM, evidence=(unstable,)))
    assert report.verdict is Verdict.UNDECIDED
    assert "diverged" in report.reason


def test_the_seed_changes_the_numbers_and_not_the_verdict() -> None:
    reports = [check(own.ENSEMBLE_CLAIM, rng) for rng in (1, 2)]
    assert {r.verdict for r in reports} == {Verdict.SUPPORTED}
    assert reports[0].findings[0].numbers != reports[1].findings[0].numbers
    assert check(own.ENSEMBLE_CLAIM, 1).findings == reports[0].findings
