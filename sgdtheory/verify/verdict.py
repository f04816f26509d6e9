"""What checking says: verdicts, findings, reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sgdtheory.claim import Claim


class Verdict(Enum):
    """The answer of a check; only the first two are passes."""

    PROVED = "PROVED"
    SUPPORTED = "SUPPORTED"
    UNDECIDED = "UNDECIDED"
    REFUTED = "REFUTED"

    @property
    def passed(self) -> bool:
        """Whether the statement may be relied upon."""
        return self in (Verdict.PROVED, Verdict.SUPPORTED)


@dataclass(frozen=True)
class Finding:
    """What one evidence says of one statement.

    Parameters
    ----------
    kind : str
        Name of the evidence: Identity, Recursion, Property, Order, Ensemble or Sample.
    verdict : Verdict
    detail : str
        In words: what was compared, with the numbers that decided.
    numbers : tuple of (str, float)
        The same for programs.
    """

    kind: str
    verdict: Verdict
    detail: str
    numbers: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class MutantReport:
    """Whether a planted wrong answer was rejected, and by which evidence."""

    name: str
    rejected_by: tuple[str, ...]
    detail: str

    @property
    def rejected(self) -> bool:
        """Whether any evidence refuted it."""
        return bool(self.rejected_by)


@dataclass(frozen=True)
class Report:
    """A checked claim.

    Parameters
    ----------
    claim : Claim
    verdict : Verdict
    findings : tuple of Finding
        One an evidence.
    mutants : tuple of MutantReport
    reason : str
        Why the verdict is not better, if it is not.
    """

    claim: Claim
    verdict: Verdict
    findings: tuple[Finding, ...]
    mutants: tuple[MutantReport, ...]
    reason: str = ""
