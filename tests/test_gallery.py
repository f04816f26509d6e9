from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import sympy as sp
from matplotlib.figure import Figure

from sgdtheory import ArgumentError
from sgdtheory.claim import Claim, Identity, Mutant, positive
from sgdtheory.plots.gallery import _STYLE, gallery_html, statement_mathml
from sgdtheory.plots.picture import Picture
from sgdtheory.sources import HERE
from sgdtheory.verify.verdict import Finding, MutantReport, Report, Verdict

SCRIPTS = Path(__file__).parents[1] / "scripts"
NASTY = "<script>alert('1')</script> & \"quoted\" {braces} </td>"
a, y = sp.Symbol("a", positive=True), sp.Symbol("y", real=True)
VOID = {"meta", "img", "br", "hr", "link", "input"}


def claim(name: str = "LCA-90", title: str = "a title", statement: sp.Basic | None = None) -> Claim:
    statement = sp.And(sp.Eq(y, a**2), y >= 0) if statement is None else statement
    mutants = (Mutant("as printed", sp.Eq(y, -(a**2))), Mutant("cubed", sp.Eq(y, a**3)))
    return Claim(
        name, f"slug.{name}", title, "corrected", statement, (positive(a, "size"),), HERE,
        (Identity(lambda: {y: a**2}),), mutants, ((y, "the square"),), "a note",
    )  # fmt: skip


def report(subject: Claim, verdict: Verdict = Verdict.PROVED, text: str = "detail") -> Report:
    mutants = (MutantReport("as printed", ("Identity", "Ensemble"), text), MutantReport(text, (), ""))
    return Report(subject, verdict, (Finding("Identity", verdict, text),), mutants, f"because {text}")


def picture(name: str = "dots", text: str = "A caption.", claims: tuple[str, ...] = ("LCA-90",)) -> Picture:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2])
    return Picture(name, f"Title of {name} {text}", text, claims, figure)


class Page(HTMLParser):
    """What the tests ask of a page; raises where elements do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[str]:
        return [value for _, attributes in self.elements for key, value in attributes.items() if key == name and value]


@pytest.fixture
def page() -> Page:
    reports = [report(claim()), report(claim("LIE-90"), Verdict.SUPPORTED), report(claim("MCA-90"), Verdict.UNDECIDED)]
    return Page(gallery_html([picture(), picture("lines", claims=("LIE-90", "MCA-90"))], reports))


def test_page_nests_and_every_link_leads_somewhere(page: Page) -> None:
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    links = page.all("href")
    assert {"#LCA-90", "#LIE-90", "#MCA-90"} <= set(links)
    assert all(link[1:] in ids for link in links if link.startswith("#"))
    assert {link for link in links if not link.startswith("#")} == {"dots.png", "lines.png"} == set(page.all("src"))


def test_page_needs_nothing_from_elsewhere(page: Page) -> None:
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert not re.search(r"url\(|@import|https?:", _STYLE)
    assert not any("//" in link for link in page.all("href") + page.all("src"))


def test_images_have_a_text_alternative_and_headers_a_scope(page: Page) -> None:
    assert all(attributes.get("alt") for tag, attributes in page.elements if tag == "img")
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in page.elements if tag == "th")


def test_everything_is_escaped() -> None:
    subject = claim(title=NASTY, statement=sp.Eq(sp.Symbol("<b>&"), a))
    html = gallery_html([picture(text=NASTY)], [report(subject, text=NASTY)])
    found = Page(html)
    assert "script" not in {tag for tag, _ in found.elements}
    assert "b" not in {tag for tag, _ in Page(statement_mathml(subject.statement)).elements}
    assert found.text.count(NASTY) == 8  # caption, picture's and claim's titles, details, reason, mutant's name
    assert any(NASTY in text for text in found.all("alt"))


def test_ledger_shows_statement_status_evidence_and_mutants() -> None:
    text = Page(gallery_html([], [report(claim(), Verdict.REFUTED)])).text
    parts = ("LCA-90", "slug.LCA-90", "a title", "corrected", "as printed", "the square", "a note", "size", str(HERE))
    assert all(part in text for part in parts)
    assert "as printed: rejected by Identity, Ensemble" in text
    assert "detail: survives" in text
    assert "because detail" in text
    assert text.count("REFUTED") == 4  # legend, summary, claim, evidence


def test_rows_are_grouped_by_theory(page: Page) -> None:
    assert [page.text.index(theory) for theory in ("Loss change allocation", "Lie brackets", "Lectures")] == sorted(
        page.text.index(theory) for theory in ("Loss change allocation", "Lie brackets", "Lectures")
    )
    assert [tag for tag, _ in page.elements].count("table") == 3


def test_a_blank_line_begins_a_paragraph() -> None:
    html = gallery_html([picture(text="one\n\ntwo", claims=())], [])
    assert "<p>one</p><p>two</p>" in html


def test_citing_an_unchecked_claim_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"dots citing \['LCA-90'\]"):
        gallery_html([picture()], [])


def test_mathml_is_well_formed_with_one_line_a_relation() -> None:
    hat = sp.Symbol("ghat", positive=True)
    statement = sp.And(sp.Eq(y, sp.sqrt(a) / hat), sp.Le(-y, 0), y < a**2, sp.Ne(y, 1))
    text = statement_mathml(statement).replace("&InvisibleTimes;", "")
    root = ElementTree.fromstring(f"<page>{text}</page>")
    assert len(root.findall("math")) == 4
    operators = {mo.text for mo in root.iter("mo")}
    assert {"=", "≤", "<", "≠", "−"} <= operators
    assert "-" not in operators
    assert [mover.find("mi").text for mover in root.iter("mover")] == ["g"]


def _luminance(colour: str) -> float:
    levels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_has_the_contrast_wcag_asks_for() -> None:
    schemes = [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{[^}]*\}", _STYLE)[:2]]
    assert len(schemes) == 2
    pairs = [(ink, "paper") for ink in ("ink", "soft", "link", "good", "open", "bad")]
    pairs += [(ink, f"{ink}-paper") for ink in ("good", "open", "bad")]
    for colours in schemes:
        assert min(_contrast(colours[ink], colours[paper]) for ink, paper in pairs) >= 4.5


def test_text_does_not_depend_on_the_hash_seed() -> None:
    program = (
        "from sgdtheory.plots.gallery import gallery_html; from sgdtheory.theory.registry import find;"
        "from sgdtheory.verify.check import check; print(gallery_html([], [check('LCA-03'), check('DEG-31')]))"
    )
    pages = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(pages) == 1


SCRIPT = """\
from matplotlib.figure import Figure
from sgdtheory.plots.picture import Picture
def make(quick=False, rng=0):
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2])
    return Picture({name!r}, "title of {name}", "caption of {name}", {claims!r}, figure)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """make_figures with two small scripts and a ledger of one claim whose verdict the test may set."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    module = import_module("make_figures")
    names = ("small_dots", "small_lines")
    for name in names:
        (tmp_path / f"{name}.py").write_text(SCRIPT.format(name=name, claims=("LCA-90",)))
        monkeypatch.delitem(sys.modules, name, raising=False)
    state = SimpleNamespace(module=module, scripts=tmp_path, out=tmp_path / "out", verdict=Verdict.PROVED)
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "NAMES", names)
    monkeypatch.setattr(module, "claims", lambda: (claim(),))
    monkeypatch.setattr(module, "check_all", lambda subjects: [report(subject, state.verdict) for subject in subjects])
    state.run = lambda *arguments: module.main([*arguments, "--out", str(state.out)])
    return state


def test_a_run_writes_pictures_page_and_ledger(program: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run("--quick", "--format", "svg") == 0
    wanted = {f"{name}.{ending}" for name in ("small_dots", "small_lines") for ending in ("png", "svg")}
    assert {f.name for f in program.out.iterdir()} == wanted | {"index.html", "ledger.json", "pictures.json"}
    assert [row["verdict"] for row in json.loads((program.out / "ledger.json").read_text())] == ["PROVED"]
    text = Page((program.out / "index.html").read_text()).text
    assert "caption of small_dots" in text
    assert text.count("quick run") == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["small_dots", "small_lines", "ledger", "page"]


def test_two_runs_write_the_same_bytes(program: SimpleNamespace) -> None:
    def files() -> dict[str, bytes]:
        assert program.run("--format", "pdf", "svg") == 0
        return {file.name: file.read_bytes() for file in program.out.iterdir()}

    assert files() == files()


def test_a_named_figure_is_redrawn_and_the_others_stay_while_their_png_does(program: SimpleNamespace) -> None:
    program.run()
    before = (program.out / "small_dots.png").stat().st_mtime_ns
    assert program.run("small_lines", "--quick") == 0
    assert (program.out / "small_dots.png").stat().st_mtime_ns == before
    text = Page((program.out / "index.html").read_text()).text
    assert text.index("caption of small_dots") < text.index("caption of small_lines")
    assert text.count("quick run") == 1
    (program.out / "small_dots.png").unlink()
    program.run("small_lines")
    assert "small_dots" not in (program.out / "index.html").read_text()


def test_a_refuted_citation_stops_the_page(program: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    program.verdict = Verdict.REFUTED
    assert program.run() == 1
    assert "small_dots cites LCA-90, which is REFUTED" in capsys.readouterr().err
    assert not (program.out / "index.html").exists()
    assert json.loads((program.out / "ledger.json").read_text())[0]["verdict"] == "REFUTED"


def test_a_citation_of_nothing_stops_the_page(program: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    (program.scripts / "small_lines.py").write_text(SCRIPT.format(name="small_lines", claims=("LCA-91",)))
    assert program.run() == 1
    assert "small_lines cites LCA-91, which is no claim" in capsys.readouterr().err
    assert not (program.out / "index.html").exists()


@pytest.mark.parametrize("arguments", [("no_such",), ("small_dots", "no_such"), ("--format", "gif")])
def test_bad_arguments_are_refused_before_any_work(
    program: SimpleNamespace, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        program.run(*arguments)
    assert exit_.value.code == 2
    assert not program.out.exists()
    assert ("small_dots, small_lines" if "no_such" in arguments else "gif") in capsys.readouterr().err


def test_an_output_folder_that_is_a_file_is_refused(program: SimpleNamespace) -> None:
    program.out.write_text("in the way")
    with pytest.raises(SystemExit, match="2"):
        program.run()


def test_every_script_with_a_figure_is_listed() -> None:
    def makes(file: Path) -> bool:
        return any(isinstance(n, ast.FunctionDef) and n.name == "make" for n in ast.parse(file.read_text()).body)

    tree = ast.parse((SCRIPTS / "make_figures.py").read_text())
    (names,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "NAMES"
    )
    assert sorted(names) == sorted(file.stem for file in SCRIPTS.glob("*.py") if makes(file))


def test_help_works_from_any_folder(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "make_figures.py"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "sticky_experiment" in done.stdout
    assert "stay on the page" in done.stdout
