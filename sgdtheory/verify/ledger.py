"""The ledger: reports as a terminal table, Markdown and plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sympy as sp

from sgdtheory.claim import Claim
from sgdtheory.verify.verdict import Report, Verdict

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {
    Verdict.PROVED: "bold green",
    Verdict.SUPPORTED: "green",
    Verdict.UNDECIDED: "bold yellow",
    Verdict.REFUTED: "bold red",
}
_MARKS = {Verdict.PROVED: "■", Verdict.SUPPORTED: "▣", Verdict.UNDECIDED: "?", Verdict.REFUTED: "✗"}


def claims_table(claims: Sequence[Claim]) -> Table:
    """Return the claims, unchecked, as a terminal table grouped by theory."""
    table = _table("Claims", ("id", "statement", "source"))
    for claim, first in _with_breaks(claims):
        if first:
            table.add_section()
        table.add_row(f"[bold]{claim.id}[/]", _named(claim), _short_source(claim))
    return table


def reports_table(reports: Sequence[Report]) -> Table:
    """Return checked claims as a terminal table."""
    from rich.markup import escape

    table = _table("Ledger", ("id", "statement", "verdict", "evidence", "mutants"))
    for report, (claim, first) in zip(reports, _with_breaks([r.claim for r in reports]), strict=True):
        if first:
            table.add_section()
        colour = _COLOURS[report.verdict]
        verdict = f"[{colour}]{_MARKS[report.verdict]} {report.verdict.value}[/]"
        kinds = "\n".join(f"[{_COLOURS[f.verdict]}]{f.kind.lower()}[/]" for f in report.findings)
        mutants = f"{sum(m.rejected for m in report.mutants)} of {len(report.mutants)}"
        named = _named(claim) + (f"\n[{colour}]{escape(report.reason)}[/]" if report.reason else "")
        table.add_row(f"[bold]{claim.id}[/]", named, verdict, kinds, mutants)
    return table


def _named(claim: Claim) -> str:
    """Return the statement in words, and under it the slug and what became of the source's statement."""
    from rich.markup import escape

    status = f"[yellow]{claim.status}[/]" if claim.status == "corrected" else claim.status
    return f"{escape(claim.title)}\n[dim]{claim.slug}[/] [dim]·[/] {status}"


def summary(reports: Sequence[Report]) -> str:
    """Return one line: how many of each verdict."""
    counts = {v: sum(r.verdict is v for r in reports) for v in Verdict}
    parts = [f"{n} {v.value}" for v, n in counts.items() if n]
    mutants = [m for r in reports for m in r.mutants]
    return f"{', '.join(parts)}; {sum(m.rejected for m in mutants)} of {len(mutants)} mutants rejected"


def to_data(report: Report) -> dict[str, Any]:
    """Return a report as plain data, ready for JSON.

    Examples
    --------
    >>> from sgdtheory.verify.check import check
    >>> to_data(check("LCA-03"))["verdict"]
    'PROVED'
    """
    claim = report.claim
    return {
        "id": claim.id,
        "slug": claim.slug,
        "theory": claim.theory,
        "title": claim.title,
        "status": claim.status,
        "verdict": report.verdict.value,
        "reason": report.reason,
        "statement": str(claim.statement),
        "assumptions": [a.prose for a in claim.assumptions],
        "source": str(claim.source),
        "evidence": [
            {"kind": f.kind, "verdict": f.verdict.value, "detail": f.detail, "numbers": _json_numbers(f.numbers)}
            for f in report.findings
        ],
        "mutants": [
            {"name": m.name, "rejected": m.rejected, "rejected_by": list(m.rejected_by), "detail": m.detail}
            for m in report.mutants
        ],
    }


def to_markdown(reports: Sequence[Report]) -> str:
    """Return the ledger as a Markdown table."""
    lines = [
        "| id | slug | statement | status of the source's statement | verdict | evidence | mutants rejected |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in reports:
        kinds = ", ".join(f.kind for f in r.findings)
        mutants = f"{sum(m.rejected for m in r.mutants)} of {len(r.mutants)}"
        title = r.claim.title.replace("|", "\\|")
        cells = (r.claim.id, f"`{r.claim.slug}`", title, r.claim.status, r.verdict.value, kinds, mutants)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", summary(reports) + "."]) + "\n"


def full_text(report: Report) -> str:
    """Return everything about one claim: statement, symbols, source, what it prints, derivation, verdict."""
    claim = report.claim
    printed = claim.mutants[0] if claim.status == "corrected" else None
    parts = [
        f"{claim.id}  {claim.slug}\n{claim.title}",
        f"Statement\n{_indent(sp.pretty(claim.statement, use_unicode=True))}",
        "Symbols\n" + _indent("\n".join(f"{symbol}: {meaning}" for symbol, meaning in claim.meanings)),
        "Assumptions\n" + _indent("\n".join(a.prose for a in claim.assumptions)),
        f"Source\n{_indent(str(claim.source))}\n{_indent('status of its statement: ' + claim.status)}",
    ]
    if printed is not None and printed.statement is not None:
        formula = sp.pretty(printed.statement, use_unicode=True)
        parts.append(f"{printed.name[:1].upper()}{printed.name[1:]}\n{_indent(formula)}")
    if claim.note:
        parts.append(f"Note\n{_indent(claim.note)}")
    if claim.derivation is not None:
        parts.append(f"Derivation\n{_indent(_clean_docstring(claim.derivation))}")
    parts.append(f"Verdict  {report.verdict.value}" + (f"\n{_indent(report.reason)}" if report.reason else ""))
    parts.append("Evidence\n" + _indent("\n".join(f"{f.kind}: {f.verdict.value}, {f.detail}" for f in report.findings)))
    parts.append("Mutants\n" + _indent("\n".join(map(_mutant_line, report.mutants))))
    return "\n\n".join(parts) + "\n"


def _mutant_line(mutant: Any) -> str:
    return f"{mutant.name}: " + (f"rejected by {', '.join(mutant.rejected_by)}" if mutant.rejected else "SURVIVED")


def _clean_docstring(function: object) -> str:
    import inspect

    return inspect.getdoc(function) or ""


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _json_numbers(numbers: Sequence[tuple[str, float]]) -> dict[str, float | str]:
    """JSON has no infinities: they become text."""
    import math

    return {name: value if math.isfinite(value) else str(value) for name, value in numbers}


def _table(title: str, columns: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("id", "verdict", "evidence", "mutants"))
    return table


def _with_breaks(claims: Sequence[Claim]) -> list[tuple[Claim, bool]]:
    """Pair each claim with whether it begins a theory."""
    theories = [None, *(c.theory for c in claims)]
    return [(c, c.theory != before) for c, before in zip(claims, theories, strict=False)]


def _short_source(claim: Claim) -> str:
    return f"{claim.source.author.split(',')[0]} {claim.source.year}"
