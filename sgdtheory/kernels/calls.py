"""Calls of a program's functions as text: for one replica at a time, and for many rows in a loop."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from sgdtheory.kernels.draws import as_floats
from sgdtheory.kernels.lower import Block, Program
from sgdtheory.kernels.rows import FEW, Rows, role, row
from sgdtheory.kernels.text import arguments, assign, at_lane, indent, lanes, names
from sgdtheory.kernels.workspace import looks_nowhere_else, point_rows


def call_of(name: str, block: Block, **places: list[str]) -> str:
    """Call a function with what it reads, by role where that stands."""
    where = {f"{letter}{i}": place for letter, entries in places.items() for i, place in enumerate(entries)}
    return f"{name}({arguments(*(where[read] for read in block.read(list(where))), 'p')})"


def row_loop(
    program: Program,
    name: str,
    rows: Rows,
    targets: list[str],
    where: dict[str, str] | None = None,
    sign: str = "=",
) -> list[str]:
    """Do the same for every row; `where` names the array a role stands in, if it is not that of its letter."""
    call = f"{name}({arguments(*_places(program, rows, where or {}), 'p' if name != 'start' else 'q')})"
    lines = [assign(targets, call)]
    if sign == "+=":
        lines = [f"h, = {call}", f"{targets[0]} += h"]
    return [for_rows(rows.count), *indent(lanes(*lines))]


def row_functions(program: Program) -> dict[str, Rows]:
    """Return what a program of many coordinates calls for each of its rows, by name."""
    rows = program.by_rows
    if rows is None:
        return {}
    looks = None if looks_nowhere_else(program) else rows.gradient_at
    found: dict[str, Rows | None] = {"start": rows.start, "example": rows.example, "gradient_at": looks}
    for i, total in enumerate(rows.terms.totals if rows.terms else ()):
        found |= {f"rest{i}": _fixed(total.rest), f"term{i}": total.term}
    found |= {"example_terms": rows.terms.rows if rows.terms else None, "step_state": rows.step}
    return {name: one for name, one in found.items() if one}


def terms_by_rows(program: Program, sign: str = "+=") -> list[str]:
    """Add an example's terms, totals first."""
    rows, (d, _, k, _, _) = program.by_rows, program.sizes
    if rows is None or rows.terms is None:
        terms = names("h", program.averages)
        call = call_of("example_terms", program.example_terms, s=at_lane(point_rows(program), d), x=at_lane("x", k))
        return lanes(
            assign(terms, call), *(f"{m} {sign} {h}" for m, h in zip(at_lane("m", len(terms)), terms, strict=True))
        )
    lines, where = [], {"s": point_rows(program)}
    for i, total in enumerate(rows.terms.totals):
        rest = f"rest{i}({arguments(*_places(program, _fixed(total.rest), where), 'p')})"
        lines += lanes(f"a[{i}, lane], = {rest}")
        lines += row_loop(program, f"term{i}", total.term, [f"a[{i}, lane]"], where, "+=")
    return lines + row_loop(program, "example_terms", rows.terms.rows, ["m[i, lane]"], where, sign)


def _fixed(expression: sp.Expr) -> Rows:
    """Return an expression as rows of which there is one."""
    symbols = sorted(expression.free_symbols, key=lambda s: s.name)
    return Rows((expression,), tuple((s, 0) for s in symbols), 1)


def _places(program: Program, rows: Rows, where: dict[str, str]) -> list[str]:
    """Say where the numbers of row i stand."""
    places = []
    for symbol, stride in rows.strides:
        array, at = where.get(role(symbol), role(symbol)), row_index(row(symbol), stride)
        if array == "z" and program.injected % 2:
            at += " + late"
        number = f"q[{at}]" if array == "q" else f"{array}[{at}, lane]"
        places += [] if array == "p" else as_floats(program, [number]) if array in "nz" else [number]
    return places


def row_index(first: int, stride: int) -> str:
    """Write first + stride·i."""
    moving = {0: "", 1: "i"}.get(stride, f"{stride}*i")
    return " + ".join(filter(None, (str(first) if first or not moving else "", moving)))


def each_row(count: int, line: str, loop: Callable[..., list[str]] = lanes) -> list[str]:
    """Do the same to so many rows: written out if they are few."""
    if count <= FEW:
        return loop(*(line.format(i=i) for i in range(count)))
    return [for_rows(count), *indent(loop(line.format(i="i")))]


def for_rows(count: int) -> str:
    """Loop over rows; their number is no constant of the text, or a compiler would write the loop out again."""
    return f"for i in range({count} + few):"
