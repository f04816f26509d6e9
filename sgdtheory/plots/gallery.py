"""The gallery: one static page with every picture and the ledger its theory curves stand on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from typing import Protocol
from xml.dom.minidom import Element, Node

import sympy as sp
from sympy.printing.mathml import MathMLPresentationPrinter

from sgdtheory.claim import Claim
from sgdtheory.errors import ArgumentError
from sgdtheory.verify.ledger import summary
from sgdtheory.verify.prove import conjuncts
from sgdtheory.verify.verdict import Finding, MutantReport, Report, Verdict


class Shown(Protocol):
    """What the page needs of a picture; `Picture` has it."""

    @property
    def name(self) -> str:
        """File name without ending."""

    @property
    def title(self) -> str:
        """One line."""

    @property
    def caption(self) -> str:
        """Plain text; a blank line begins a paragraph."""

    @property
    def claims(self) -> tuple[str, ...]:
        """Ids of the claims it leans on."""


def gallery_html(pictures: Sequence[Shown], reports: Sequence[Report]) -> str:
    """Return the page: the pictures with their captions and claims, then the ledger.

    The page needs nothing but the PNG files beside it; the same input gives the same text.

    Parameters
    ----------
    pictures : sequence of Picture
        In the order of the page; ``NAME.png`` is expected beside it.
    reports : sequence of Report
        In the order of the ledger.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ArgumentError
        If a picture cites a claim without a report.

    Examples
    --------
    >>> "<h2" in gallery_html([], [])
    True
    """
    by_id = {report.claim.id: report for report in reports}
    for picture in pictures:
        unknown = [name for name in picture.claims if name not in by_id]
        if unknown:
            raise ArgumentError("pictures", f"{picture.name} citing {unknown}", "claims with a report", "check them")
    figures = "\n".join(_figure(picture, by_id) for picture in pictures)
    tables = "\n".join(_theory(name, list(group)) for name, group in groupby(reports, key=lambda r: r.claim.theory))
    return _PAGE.format(style=_STYLE, key=_key(), summary=escape(summary(reports)), figures=figures, tables=tables)


def statement_mathml(statement: sp.Basic) -> str:
    """Return a statement as MathML that browsers render without help, one line a conjunct.

    Examples
    --------
    >>> w = sp.Symbol("w", real=True)
    >>> print(statement_mathml(sp.And(w > 0, sp.Eq(w, 1, evaluate=False))))
    <math display="block"><mrow><mi>w</mi><mo>=</mo><mn>1</mn></mrow></math>
    <math display="block"><mrow><mi>w</mi><mo>&gt;</mo><mn>0</mn></mrow></math>
    """
    return "\n".join(f'<math display="block">{_mathml(relation)}</math>' for relation in conjuncts(statement))


def _mathml(expression: sp.Basic) -> str:
    text = _serialised(MathMLPresentationPrinter()._print(expression))
    return re.sub(r"<mi>(\w)hat</mi>", r'<mover accent="true"><mi>\1</mi><mo>^</mo></mover>', text)


def _serialised(node: Node) -> str:
    """Write a tree with its text escaped; sympy's own writer does not, so that entities in the text stay entities."""
    if isinstance(node, Element):
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in node.attributes.items())
        return f"<{node.tagName}{attributes}>{''.join(map(_serialised, node.childNodes))}</{node.tagName}>"
    text = str(node.nodeValue)
    return text if re.fullmatch(r"&#?\w+;", text) else escape(text.replace("-", "−"))


def _figure(picture: Shown, reports: dict[str, Report]) -> str:
    name, title = escape(picture.name), escape(picture.title)
    cited = "".join(
        f'<li><a href="#{escape(i)}">{escape(i)}</a> {_badge(reports[i].verdict)} {escape(reports[i].claim.title)}</li>'
        for i in picture.claims
    )
    leans = f'<p class="label">Rests on</p>\n<ul class="cited">{cited}</ul>' if cited else ""
    return (
        f'<figure id="{name}">\n<h3>{title}</h3>\n'
        f'<a class="card" href="{name}.png"><img src="{name}.png" alt="{title}. Described in the caption below."></a>\n'
        f"<figcaption>{_paragraphs(picture.caption)}\n{leans}</figcaption>\n</figure>"
    )


def _theory(name: str, reports: Sequence[Report]) -> str:
    rows = "\n".join(_row(report) for report in reports)
    return (
        f"<table>\n<caption>{escape(name.replace('-', ' ').capitalize())}</caption>\n"
        '<thead><tr><th scope="col">Claim</th><th scope="col">Statement</th><th scope="col">Evidence</th></tr>'
        "</thead>\n"
        f"<tbody>\n{rows}\n</tbody>\n</table>"
    )


def _row(report: Report) -> str:
    claim = report.claim
    reason = f'<p class="reason">{escape(report.reason)}</p>\n' if report.reason else ""
    heading = '<p class="label">wrong answers before the same evidence</p>\n' if report.mutants else ""
    return (
        f'<tr id="{escape(claim.id)}">\n<th scope="row">{escape(claim.id)}{_badge(report.verdict)}'
        f"<code>{escape(claim.slug)}</code></th>\n"
        f"<td>{_statement(claim)}</td>\n"
        f'<td data-label="Evidence">{reason}<ul>{_items(map(_evidence, report.findings))}</ul>\n'
        f"{heading}<ul>{_items(map(_mutant, report.mutants))}</ul></td>\n</tr>"
    )


def _statement(claim: Claim) -> str:
    meanings = "; ".join(f"<math>{_mathml(symbol)}</math>: {escape(meaning)}" for symbol, meaning in claim.meanings)
    assumptions = "; ".join(escape(assumption.prose) for assumption in claim.assumptions)
    lines = [("where", meanings), ("assuming", assumptions), ("note", escape(claim.note))]
    fine = "".join(f'<p class="fine"><span class="label">{label}</span> {text}</p>' for label, text in lines if text)
    return (
        f'<p class="title">{escape(claim.title)}</p>\n{statement_mathml(claim.statement)}\n{fine}\n'
        f'<p class="fine"><span class="label">source</span> {escape(str(claim.source))}; '
        f'its statement: <b class="status {claim.status}">{claim.status}</b></p>{_as_printed(claim)}'
    )


def _as_printed(claim: Claim) -> str:
    """Return the source's statement where the ledger corrects it."""
    printed = claim.mutants[0] if claim.status == "corrected" and claim.mutants else None
    if printed is None:
        return ""
    formula = "" if printed.statement is None else statement_mathml(printed.statement)
    return f'<div class="printed"><p class="fine"><span class="label">{escape(printed.name)}</span></p>{formula}</div>'


def _evidence(finding: Finding) -> str:
    return f"<b>{escape(finding.kind)}</b> {_badge(finding.verdict)} {escape(finding.detail)}"


def _mutant(mutant: MutantReport) -> str:
    name = escape(mutant.name)
    if not mutant.rejected:
        return f"{name}: <b>survives</b>"
    by = escape(", ".join(dict.fromkeys(mutant.rejected_by)))
    return f'{name}: <b>rejected</b> by {by}<span class="detail">{escape(mutant.detail)}</span>'


def _badge(verdict: Verdict) -> str:
    return f'<span class="badge {verdict.value.lower()}">{verdict.value}</span>'


def _items(items: Iterable[str]) -> str:
    return "".join(f"<li>{item}</li>" for item in items)


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n"))


def _key() -> str:
    meanings = {
        Verdict.PROVED: "an exact derivation gives the statement, and no other evidence is against it",
        Verdict.SUPPORTED: "the numbers agree, and would have shown an error of the size stated",
        Verdict.UNDECIDED: "the evidence cannot tell",
        Verdict.REFUTED: "the evidence contradicts it",
    }
    return "".join(f"<li>{_badge(verdict)} {escape(meaning)}</li>" for verdict, meaning in meanings.items())


_STYLE = """\
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #1c1d1f; --soft: #595b60; --line: #d9d6cd;
  --link: #00558c; --good: #00583f; --good-paper: #d8efe6; --open: #6b4700; --open-paper: #fdeec8;
  --bad: #8c2d00; --bad-paper: #fde0d3; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181b; --ink: #e8e6e1; --soft: #a9abb0; --line: #3a3d42; --link: #7cc4f2;
    --good: #8fe0c0; --good-paper: #12382c; --open: #f5cd74; --open-paper: #3d2f0c;
    --bad: #ffac8a; --bad-paper: #47200f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 2.5rem clamp(1rem, 4vw, 3rem) 5rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1, h2, h3, caption { font-family: Georgia, "Times New Roman", serif; font-weight: 600; line-height: 1.25; }
h1 { font-size: 2.2rem; margin: 0 0 .5rem; }
h2 { font-size: 1.6rem; margin: 3.5rem 0 1rem; padding-top: 1rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1.3rem; margin: 0 0 .8rem; }
header p { max-width: 46rem; }
nav a { margin-right: 1.2rem; }
a { color: var(--link); text-underline-offset: .15em; }
a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
figure { margin: 0 0 3.5rem; }
.card { display: block; width: fit-content; max-width: 100%; padding: .8rem; background: #fff;
  border: 1px solid var(--line); border-radius: 6px; }
.card img { display: block; max-width: 100%; height: auto; }
figcaption { max-width: 62rem; margin-top: .9rem; }
figcaption p { margin: 0 0 .6rem; }
.label { color: var(--soft); font: italic .875rem Georgia, "Times New Roman", serif; }
.cited { margin-top: 0; }
ul { margin: 0; padding-left: 1.1rem; }
li { margin-bottom: .45rem; }
.key { padding: 0; list-style: none; }
table { width: 100%; table-layout: fixed; margin-bottom: 2.5rem; border-collapse: collapse; font-size: .875rem;
  line-height: 1.45; }
caption { padding: .6rem 0; font-size: 1.2rem; text-align: left; }
th, td { padding: .8rem .9rem .8rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { color: var(--soft); font-weight: 400; padding-block: .3rem; }
th:first-child { width: 10.5rem; }
tbody th { font-weight: 700; }
tbody th code { display: block; font-size: .78rem; font-weight: 400; color: var(--soft); }
tbody th .badge { display: block; width: fit-content; margin: .35rem 0; }
th:nth-child(2) { width: 46%; }
td ul { padding-left: 0; list-style: none; }
td p { margin: 0 0 .45rem; }
td ul + .label { margin-top: .9rem; }
.title { font-weight: 600; }
.fine, .detail { color: var(--soft); font-size: .8125rem; }
.detail { display: block; }
.status { color: var(--ink); }
.status.corrected, .reason { color: var(--bad); }
.printed { padding-left: .8rem; border-left: 3px solid var(--bad); }
math { font-size: 1.08em; }
math[display="block"] { display: block math; width: fit-content; max-width: 100%; margin: .5rem 0 .6rem;
  overflow-x: auto; text-align: left; }
.badge { display: inline-block; padding: 0 .4rem; border: 1.5px solid; border-radius: 4px; font-size: .69rem;
  font-weight: 700; letter-spacing: .05em; line-height: 1.5; vertical-align: .08em; }
.proved, .supported { color: var(--good); background: var(--good-paper); }
.supported { background: none; }
.undecided { color: var(--open); background: var(--open-paper); border-style: dashed; }
.refuted { color: var(--bad); background: var(--bad-paper); border-style: double; border-width: 3px; }
tr:target > *, figure:target { background: color-mix(in srgb, var(--link) 9%, transparent); }
@media screen and (max-width: 56rem) {
  thead { position: absolute; clip-path: inset(50%); height: 1px; overflow: hidden; }
  table, tbody, tr, th, td, caption { display: block; width: auto !important; }
  tr { padding: .8rem 0; border-top: 1px solid var(--line); }
  th, td { padding: .3rem 0; border: 0; }
  td[data-label]::before { content: attr(data-label); color: var(--soft); } }
@media print {
  :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --link: #000;
    --good: #00583f; --good-paper: #fff; --open: #6b4700; --open-paper: #fff; --bad: #8c2d00; --bad-paper: #fff; }
  :root { font-size: 9pt; }
  body { max-width: none; padding: 0; }
  th:first-child { width: 8rem; }
  nav { display: none; }
  h2, h3, caption { break-after: avoid; }
  .card, li { break-inside: avoid; }
  .card { padding: 0; border: 0; }
  .card img { max-height: 17cm; } }
"""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>sgdtheory: figures and ledger</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>sgdtheory: figures and ledger</h1>
<p>sgdtheory holds statements about stochastic gradient descent as formulas that a program can check. One symbolic
definition of a problem and of an optimizer gives both the derivation and the simulator, so what is proved and what is
simulated are the same thing. Every figure names the claims it rests on. The ledger below lists all claims, with the
evidence for each and the wrong answers that the same evidence rejects.</p>
<nav aria-label="Sections"><a href="#figures">Figures</a><a href="#ledger">Ledger</a></nav>
</header>
<main>
<h2 id="figures">Figures</h2>
{figures}
<h2 id="ledger">Ledger</h2>
<p>{summary}.</p>
<ul class="key">{key}</ul>
{tables}
</main>
</body>
</html>
"""
