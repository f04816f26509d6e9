"""Every claim of the library is checked: it passes, all its mutants are rejected, and it is complete to read."""

from __future__ import annotations

import inspect
import re

import pytest
import sympy as sp

from sgdtheory import ArgumentError
from sgdtheory.claim import THEORIES, Claim
from sgdtheory.theory import registry
from sgdtheory.verify.check import check
from sgdtheory.verify.verdict import Verdict

CLAIMS = registry.all_claims()


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_passes_and_its_mutants_do_not(claim: Claim) -> None:
    report = check(claim)
    # whoever brings an exact derivation must prove by it
    wanted = Verdict.PROVED if claim.derivation else Verdict.SUPPORTED
    assert report.verdict is wanted, report.reason
    assert [m.name for m in report.mutants if not m.rejected] == []
    assert report.mutants


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_is_complete_to_read(claim: Claim) -> None:
    assert re.fullmatch(r"[A-Z]{3}-\d\d", claim.id)
    assert re.fullmatch(r"[a-z]+\.[a-z0-9-]+", claim.slug)
    assert claim.theory in THEORIES.values()
    assert claim.title[0].isupper()
    assert not claim.title.endswith(".")
    assert claim.source.title
    assert claim.statement not in (sp.true, sp.false)
    explained = {s for s, _ in claim.meanings} | {a.symbol for a in claim.assumptions}
    explained |= set().union(*(a.condition.free_symbols for a in claim.assumptions))
    assert claim.statement.free_symbols <= explained
    if claim.derivation is not None:
        assert inspect.getdoc(claim.derivation), "the docstring of a derivation is the proof in words"


@pytest.mark.parametrize("claim", [c for c in CLAIMS if c.status == "corrected"], ids=lambda claim: claim.id)
def test_a_corrected_claim_keeps_what_the_source_says_as_its_first_mutant(claim: Claim) -> None:
    first = claim.mutants[0]
    assert first.statement is not None or first.evidence is not None
    assert first.statement != claim.statement
    assert "printed" in first.name or "as " in first.name


def test_ids_and_slugs_are_unique() -> None:
    names = [name.lower() for claim in CLAIMS for name in (claim.id, claim.slug)]
    assert len(set(names)) == len(names)


def test_repeated_names_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MODULES", (*registry.MODULES, registry.MODULES[0]))
    registry.all_claims.cache_clear()
    try:
        with pytest.raises(ValueError, match="must be unique; repeated"):
            registry.all_claims()
    finally:
        monkeypatch.undo()
        registry.all_claims.cache_clear()


def test_the_ledger_is_sorted_by_theory_and_id() -> None:
    order = [(list(THEORIES).index(claim.id[:3]), claim.id) for claim in CLAIMS]
    assert order == sorted(order)


@pytest.mark.parametrize("prefix", sorted({claim.id[:3] for claim in CLAIMS}))
def test_a_theory_is_found_by_name_and_by_prefix(prefix: str) -> None:
    chosen = registry.claims(prefix)
    assert chosen == registry.claims(prefix.lower()) == registry.claims(THEORIES[prefix])
    assert chosen == tuple(claim for claim in CLAIMS if claim.id.startswith(prefix))


def test_an_unknown_theory_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"theory: got astrology; allowed: .*lie-brackets"):
        registry.claims("astrology")


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_is_found_by_both_its_names(claim: Claim) -> None:
    assert registry.find(claim.id) is claim
    assert registry.find(claim.slug.upper()) is claim
