"""Expressions that are the same for every coordinate but for the row their symbols stand in, and long sums of such.

What is found here is printed as a loop over rows: a kernel of fifty coordinates is then no longer than one of five.
Symbols are canonical (see `lower`): a letter for the role, a number for the row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

FEW = 8
"""Up to so many rows are written out."""


@dataclass(frozen=True)
class Rows:
    """Results of row 0; in row i a symbol that moves stands `stride`·i rows further on.

    Parameters
    ----------
    results : tuple of expressions
        Of row 0.
    strides : tuple of (Symbol, int)
        The symbols of `results`, and by how much they move; parameters do not.
    count : int
        Number of rows.
    """

    results: tuple[sp.Expr, ...]
    strides: tuple[tuple[sp.Symbol, int], ...]
    count: int


@dataclass(frozen=True)
class Total:
    """A number: a rest, and the sum of the rows of a term.

    Parameters
    ----------
    symbol : Symbol
        ``a0, a1, …``.
    rest : expression
    term : Rows
    """

    symbol: sp.Symbol
    rest: sp.Expr
    term: Rows


@dataclass(frozen=True)
class Layers:
    """Totals, then rows of expressions in which they stand."""

    totals: tuple[Total, ...]
    rows: Rows


def find_rows(groups: Sequence[Sequence[sp.Expr]]) -> Rows | None:
    """Return groups of expressions as rows, or None if they are not all alike.

    Examples
    --------
    >>> s0, s1, s2, p0 = sp.symbols("s0 s1 s2 p0")
    >>> find_rows([[s0 - p0], [s1 - p0], [s2 - p0]]).strides
    ((p0, 0), (s0, 1))
    """
    first, second = groups[:2]
    moves: dict[sp.Symbol, sp.Symbol] = {}
    if len(first) != len(second) or not all(_walk(a, b, moves) for a, b in zip(first, second, strict=True)):
        return None
    strides = {a: row(b) - row(a) for a, b in moves.items()}
    if any(role(a) == "p" and stride for a, stride in strides.items()):
        return None
    for i, group in enumerate(groups):
        moved = {a: at_row(a, row(a) + i * stride) for a, stride in strides.items() if stride}
        if [e.xreplace(moved) for e in first] != list(group):
            return None
    return Rows(tuple(first), tuple(sorted(strides.items(), key=lambda item: item[0].name)), len(groups))


def find_layers(expressions: Sequence[sp.Expr]) -> Layers | None:
    """Return expressions as rows, their long sums as totals; None if they are not all alike."""
    totals: dict[sp.Expr, Total] = {}
    known: dict[sp.Expr, sp.Expr] = {}

    def pull(node: sp.Expr) -> sp.Expr:
        if not node.args:
            return node
        if node not in known:
            total = _total(node, len(totals)) if isinstance(node, sp.Add) and len(node.args) > FEW else None
            if total is not None:
                totals[node] = total
                known[node] = total.symbol
            else:
                known[node] = node.func(*map(pull, node.args))
        return known[node]

    rows = find_rows([(pull(e),) for e in expressions])
    return None if rows is None else Layers(tuple(totals.values()), rows)


def role(symbol: sp.Symbol) -> str:
    """Return the letter of a canonical symbol."""
    return str(symbol.name[0])


def row(symbol: sp.Symbol) -> int:
    """Return the number of a canonical symbol."""
    return int(symbol.name[1:])


def at_row(symbol: sp.Symbol, number: int) -> sp.Symbol:
    """Return the symbol of the same role and assumptions in another row."""
    return sp.Symbol(f"{role(symbol)}{number}", **symbol.assumptions0)


def _walk(a: sp.Expr, b: sp.Expr, moves: dict[sp.Symbol, sp.Symbol]) -> bool:
    """Note which symbol stands for which; False if the expressions differ in more than rows."""
    if isinstance(a, sp.Symbol) and isinstance(b, sp.Symbol):
        return role(a) == role(b) and moves.setdefault(a, b) == b
    if a.func != b.func or len(a.args) != len(b.args):
        return False
    return all(_walk(x, y, moves) for x, y in zip(a.args, b.args, strict=True)) if a.args else bool(a == b)


def _total(node: sp.Add, number: int) -> Total | None:
    """Split a sum into its largest group of alike terms and the rest."""
    groups: dict[sp.Expr, list[sp.Expr]] = defaultdict(list)
    for term in node.args:
        symbols = sorted((s for s in term.free_symbols if role(s) != "p"), key=lambda s: s.name)
        groups[term.xreplace({s: sp.Symbol(f"{role(s)}_", **s.assumptions0) for s in symbols})].append(term)
    largest = max(groups.values(), key=len)
    if len(largest) <= FEW:
        return None
    ordered = sorted(largest, key=lambda term: sorted((role(s), row(s)) for s in term.free_symbols))
    rows = find_rows([(term,) for term in ordered])
    if rows is None:
        return None
    return Total(sp.Symbol(f"a{number}", real=True), sp.Add(*(t for t in node.args if t not in set(largest))), rows)
