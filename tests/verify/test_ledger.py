"""The ledger's three forms say the same, and no text of a claim can upset them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from io import StringIO

import pytest
import sympy as sp
from rich.console import Console

from sgdtheory.claim import Claim, Ensemble, Identity, Mutant, Recursion, positive, real
from sgdtheory.laws import Uniform
from sgdtheory.optimizers import SGD
from sgdtheory.problem import landscape
from sgdtheory.sources import HERE, SHAH_2020
from sgdtheory.verify.ledger import claims_table, full_text, reports_table, summary, to_data, to_markdown
from sgdtheory.verify.verdict import Finding, MutantReport, Report, Verdict

x, A = sp.symbols("x A", real=True)


def derivation() -> dict[sp.Symbol, sp.Expr]:
    """Put one into the other.

    And the algebra does the rest.
    """
    return {A: x}


CLAIM = Claim(
    id="LCA-99",
    slug="lca.planted",
    title="The bracket [f, g] of [0, 1) and [/b] | bars",
    status="corrected",
    statement=sp.Eq(A, x),
    assumptions=(real(x, "a number"), positive(x)),
    source=SHAH_2020.where("somewhere"),
    evidence=(
        Identity(derivation),
        Recursion(lambda point: point, ({x: 1.0},), 1e-9),
        Ensemble(A, x, "mean", landscape("w**2", ["w"]), SGD(), {x: 1.0}, 3, (Uniform(),), 0.1),
    ),
    mutants=(Mutant("as printed, with a sign [too many]", sp.Eq(A, -x)), Mutant("another")),
    meanings=((A, "what is allotted"), (x, "what there is")),
    note="A note.",
)
FINDINGS = (
    Finding("Identity", Verdict.PROVED, "follows by algebra"),
    Finding("Recursion", Verdict.SUPPORTED, "relative error 0", (("error", 0.0), ("tolerance", 1e-9))),
    Finding("Order", Verdict.UNDECIDED, "unclear [maybe]", (("slope", math.inf), ("p", math.nan), ("n", 3))),
)
MUTANTS = (
    MutantReport("as printed, with a sign [too many]", ("Identity",), "off by 2"),
    MutantReport("another", (), ""),
)
REPORT = Report(CLAIM, Verdict.UNDECIDED, FINDINGS, MUTANTS, "Order: unclear [maybe] [/i]")
FINE = Report(replace(CLAIM, id="STA-01", slug="sta.fine"), Verdict.PROVED, FINDINGS[:2], MUTANTS[:1])


def printed(table: object, width: int = 200) -> str:
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(table)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def test_data() -> None:
    data = to_data(REPORT)
    assert set(data) == {
        "id", "slug", "theory", "title", "status", "verdict", "reason", "statement", "assumptions", "source",
        "evidence", "mutants",
    }  # fmt: skip
    assert (data["id"], data["slug"], data["theory"]) == ("LCA-99", "lca.planted", "loss-change-allocation")
    assert (data["status"], data["verdict"]) == ("corrected", "UNDECIDED")
    assert data["statement"] == "Eq(A, x)"
    assert data["assumptions"] == ["a number: x real", "x > 0"]
    assert data["source"].endswith("somewhere")
    assert [entry["kind"] for entry in data["evidence"]] == ["Identity", "Recursion", "Order"]
    assert [entry["verdict"] for entry in data["evidence"]] == ["PROVED", "SUPPORTED", "UNDECIDED"]
    assert data["mutants"][0] == {
        "name": "as printed, with a sign [too many]",
        "rejected": True,
        "rejected_by": ["Identity"],
        "detail": "off by 2",
    }
    assert data["mutants"][1]["rejected"] is False


def test_data_is_json_without_extensions() -> None:
    text = json.dumps([to_data(REPORT), to_data(FINE)], allow_nan=False, ensure_ascii=False)
    back = json.loads(text)
    assert back[0]["evidence"][2]["numbers"] == {"slope": "inf", "p": "nan", "n": 3}
    assert back[1]["verdict"] == "PROVED"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_tables_fit_any_width(width: int) -> None:
    for table in (claims_table([CLAIM]), reports_table([REPORT, FINE])):
        assert max(map(len, printed(table, width).splitlines())) <= width


def test_text_in_brackets_is_text_in_the_tables() -> None:
    assert CLAIM.title in printed(claims_table([CLAIM]))
    assert CLAIM.title in printed(reports_table([REPORT]))
    assert REPORT.reason in printed(reports_table([REPORT]))


def test_the_table_of_reports() -> None:
    text = printed(reports_table([REPORT, FINE]))
    for part in ("LCA-99", "lca.planted", "UNDECIDED", "identity", "recursion", "order", "1 of 2", "STA-01", "PROVED"):
        assert part in text


def test_a_claim_asked_for_twice_is_printed_twice() -> None:
    assert printed(reports_table([REPORT, REPORT])).count("LCA-99") == 2
    assert printed(claims_table([CLAIM, CLAIM])).count("LCA-99") == 2


def test_tables_of_nothing() -> None:
    assert "Claims" in printed(claims_table([]))
    assert "Ledger" in printed(reports_table([]))


def test_theories_stand_apart() -> None:
    def gaps(*reports: Report) -> int:
        body = printed(reports_table(reports)).rstrip().splitlines()
        start = next(i for i, line in enumerate(body) if "STA-01" in line)
        return sum(not line.strip(" ─") for line in body[start:])

    assert gaps(FINE, FINE) == 0
    assert gaps(FINE, REPORT) == 1


def test_summary() -> None:
    assert summary([REPORT, FINE, FINE]) == "2 PROVED, 1 UNDECIDED; 3 of 4 mutants rejected"


def test_markdown_is_a_table_whatever_stands_in_the_title() -> None:
    lines = to_markdown([REPORT, FINE]).splitlines()
    columns = lines[0].count("|")
    for line in lines[:4]:
        assert line.replace("\\|", "").count("|") == columns
    assert "`lca.planted`" in lines[2]
    assert lines[-1] == "1 PROVED, 1 UNDECIDED; 2 of 3 mutants rejected."


def test_the_full_text_has_everything() -> None:
    text = full_text(REPORT)
    for part in (
        "LCA-99", "lca.planted", CLAIM.title, "A = x", "A: what is allotted", "a number: x real", "somewhere",
        "corrected", "A = -x", "A note.", "Put one into the other.", "And the algebra does the rest.", "UNDECIDED",
        "Order: unclear [maybe]", "Recursion: SUPPORTED, relative error 0", "another: SURVIVED", "rejected by Identity",
    ):  # fmt: skip
        assert part in text, part


def test_the_full_text_of_a_bare_claim() -> None:
    bare = Claim("LCA-98", "lca.bare", "Bare", "exact", sp.Eq(A, x), (), HERE, (), ())
    text = full_text(Report(bare, Verdict.UNDECIDED, (), (), "no evidence"))
    for heading in ("Derivation", "Note", "As printed"):
        assert heading not in text
