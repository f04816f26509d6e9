"""check: one claim, all its evidence, all its mutants, one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context

from sgdtheory.claim import Claim, Ensemble, Mutant, Sample
from sgdtheory.errors import ArgumentError
from sgdtheory.execution import worker_count
from sgdtheory.theory.registry import all_claims, find
from sgdtheory.verify.evidence import Judge, gather
from sgdtheory.verify.statistics import FALSE_ALARM_BUDGET
from sgdtheory.verify.verdict import Finding, MutantReport, Report, Verdict


def check(claim: str | Claim, rng: int = 0) -> Report:
    """Check a claim: gather its evidence, judge the statement, and put every mutant before the same evidence.

    The verdict is REFUTED if any evidence refutes; UNDECIDED if any is undecided, if a mutant survives, or if an
    evidence rejects no mutant; otherwise PROVED where there is an exact proof, SUPPORTED elsewhere.

    Parameters
    ----------
    claim : str or Claim
        Id, slug, or a claim of your own.
    rng : int
        Seed of the random evidence. Every seed has the same false-alarm probability.

    Returns
    -------
    Report

    Examples
    --------
    >>> report = check("lca.naive")
    >>> report.verdict.value, all(mutant.rejected for mutant in report.mutants)
    ('PROVED', True)
    """
    subject = find(claim) if isinstance(claim, str) else claim
    if not isinstance(subject, Claim):
        raise ArgumentError("claim", claim, "an id, a slug or a Claim")
    alpha = false_alarm_share()
    judges = [gather(evidence, subject.assumptions, alpha, rng) for evidence in subject.evidence]
    findings = tuple(judge(subject.statement) for judge in judges)
    trials = [_try(mutant, subject, judges, alpha, rng) for mutant in subject.mutants]
    mutants = tuple(_mutant_report(m, t) for m, t in zip(subject.mutants, trials, strict=True))
    verdict, reason = _conclude(findings, mutants, _toothless(subject, findings, trials))
    return Report(subject, verdict, findings, mutants, reason)


def check_all(claims: Sequence[Claim], rng: int = 0, workers: int | None = None) -> list[Report]:
    """Check claims of the library side by side, each in a process of its own: symbolic work holds one processor.

    Parameters
    ----------
    claims : sequence of Claim
        Of the registry.
    rng : int
    workers : int, optional
        Processes; all processors by default.

    Returns
    -------
    list of Report
        In the order of the claims.
    """
    processes = min(worker_count(workers), len(claims))
    if processes < 2:
        return [check(claim, rng) for claim in claims]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(_check_by_id, [claim.id for claim in claims], repeat(rng)))
    return [Report(claim, *part) for claim, part in zip(claims, parts, strict=True)]


def _check_by_id(name: str, rng: int) -> tuple[Verdict, tuple[Finding, ...], tuple[MutantReport, ...], str]:
    """Check in another process; the claim itself, with its derivations, stays where it is."""
    report = check(name, rng)
    return report.verdict, report.findings, report.mutants, report.reason


def false_alarm_share() -> float:
    """Return each statistical check's part of the budget: the same whatever is asked for."""
    checks = sum(isinstance(evidence, (Ensemble, Sample)) for claim in all_claims() for evidence in claim.evidence)
    return FALSE_ALARM_BUDGET / max(checks, 1)


def _try(mutant: Mutant, claim: Claim, judges: Sequence[Judge], alpha: float, rng: int) -> list[Finding]:
    statement = claim.statement if mutant.statement is None else mutant.statement
    if mutant.evidence is not None:
        judges = [gather(evidence, claim.assumptions, alpha, rng) for evidence in mutant.evidence]
    return [judge(statement) for judge in judges]


def _toothless(claim: Claim, findings: Sequence[Finding], trials: Sequence[Sequence[Finding]]) -> list[str]:
    """Return the kinds of evidence that refuted no mutant: their passing says nothing.

    A mutant with evidence of its own (a wrong premise) counts for the claim's evidence of the same kind.
    """
    biting = set()
    for mutant, trial in zip(claim.mutants, trials, strict=True):
        refuting = [(i, f.kind) for i, f in enumerate(trial) if f.verdict is Verdict.REFUTED]
        biting |= {i if mutant.evidence is None else kind for i, kind in refuting}
    return [f.kind for i, f in enumerate(findings) if i not in biting and f.kind not in biting]


def _mutant_report(mutant: Mutant, findings: Sequence[Finding]) -> MutantReport:
    refutations = [f for f in findings if f.verdict is Verdict.REFUTED]
    return MutantReport(mutant.name, tuple(f.kind for f in refutations), refutations[0].detail if refutations else "")


def _conclude(
    findings: Sequence[Finding], mutants: Sequence[MutantReport], toothless: Sequence[str]
) -> tuple[Verdict, str]:
    for bad in (Verdict.REFUTED, Verdict.UNDECIDED):
        for finding in findings:
            if finding.verdict is bad:
                return bad, f"{finding.kind}: {finding.detail}"
    survivors = [m.name for m in mutants if not m.rejected]
    if survivors:
        return Verdict.UNDECIDED, f"the evidence cannot tell the statement from: {'; '.join(survivors)}"
    if toothless:
        return Verdict.UNDECIDED, f"evidence that rejects no mutant shows nothing: {', '.join(toothless)}"
    proved = any(f.verdict is Verdict.PROVED for f in findings)
    return (
        (Verdict.PROVED, "") if proved else (Verdict.SUPPORTED, "") if findings else (Verdict.UNDECIDED, "no evidence")
    )
