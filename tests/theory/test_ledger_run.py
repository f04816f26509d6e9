"""The ledger itself: every claim of the library passes, and every wrong version of it is rejected."""

from __future__ import annotations

import re

import pytest

from sgdtheory.claim import THEORIES, Claim, Ensemble
from sgdtheory.theory.registry import all_claims, claims, find
from sgdtheory.verify.check import check, false_alarm_share
from sgdtheory.verify.statistics import FALSE_ALARM_BUDGET


@pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.id)
def test_claim_passes_and_its_mutants_do_not(claim: Claim) -> None:
    report = check(claim)
    assert report.verdict.passed, report.reason
    assert [m.name for m in report.mutants if not m.rejected] == []


@pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.id)
def test_claim_is_complete(claim: Claim) -> None:
    assert re.fullmatch(rf"({'|'.join(THEORIES)})-\d\d", claim.id)
    assert re.fullmatch(r"[a-z]+\.[a-z0-9-]+", claim.slug)
    assert claim.assumptions
    assert claim.source.author
    assert len(claim.mutants) >= 2
    assert claim.derivation is None or (claim.derivation.__doc__ or "").strip()
    if claim.status == "corrected":
        assert claim.mutants[0].name.startswith("as printed")


def test_the_budget_is_shared_by_all_statistical_checks() -> None:
    checks = sum(isinstance(e, Ensemble) for claim in all_claims() for e in claim.evidence)
    assert checks > 0
    assert false_alarm_share() * checks == pytest.approx(FALSE_ALARM_BUDGET)


def test_ids_and_slugs_find_the_same_claim() -> None:
    for claim in all_claims():
        assert find(claim.id) is find(claim.slug) is find(claim.id.lower()) is claim


def test_a_theory_is_found_by_name_and_by_prefix() -> None:
    assert claims("LIE") == claims("lie-brackets")
    assert {c.theory for c in claims("LIE")} == {"lie-brackets"}
    with pytest.raises(ValueError, match=r"theory: got nonsense; allowed: loss-change-allocation"):
        claims("nonsense")


def test_an_unknown_claim_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(ValueError, match=r"claim: got lca\.naiv; .*perhaps .*lca\.naive"):
        find("lca.naiv")
