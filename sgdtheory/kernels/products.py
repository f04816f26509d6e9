"""Long products that overlap, such as the derivatives of w₁w₂…wₙ, written by way of shared parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sympy as sp

LONG = 5
"""Products of fewer symbols are left as they are."""


def share_products(
    expressions: Sequence[sp.Expr], fresh: Iterator[sp.Symbol]
) -> tuple[list[tuple[sp.Symbol, sp.Expr]], list[sp.Expr]]:
    """Return assignments of partial products, and the expressions in them.

    The symbols of all long products, in order, are the leaves of a binary tree whose nodes are the products of the
    leaves below. A product of most of n symbols is one of about log n nodes, so that n such products take n·log n
    multiplications instead of n².

    Parameters
    ----------
    expressions : sequence of expressions
    fresh : iterator of Symbols
        Names for the nodes.

    Examples
    --------
    >>> x = sp.symbols("x1:9")
    >>> parts, results = share_products([sp.Mul(*x) / x[0], sp.Mul(*x) / x[7]], iter(sp.symbols("t0:9")))
    >>> parts, results
    ([(t0, x3*x4), (t1, x5*x6), (t2, x7*x8), (t3, t1*t2), (t4, x1*x2), (t5, t0*t4)], [t0*t3*x2, t1*t5*x7])
    """
    leaves = sorted({s for e in expressions for m in e.atoms(sp.Mul) for s in _symbols(m)}, key=lambda s: s.name)
    if not leaves:
        return [], list(expressions)
    nodes: dict[tuple[int, int], sp.Symbol] = {}
    assignments: list[tuple[sp.Symbol, sp.Expr]] = []

    def node(low: int, high: int) -> sp.Expr:
        if high - low == 1:
            return leaves[low]
        if (low, high) not in nodes:
            middle = (low + high) // 2
            product = sp.Mul(node(low, middle), node(middle, high), evaluate=False)
            nodes[low, high] = next(fresh)
            assignments.append((nodes[low, high], product))
        return nodes[low, high]

    def cover(present: set[sp.Symbol], low: int, high: int) -> Iterator[sp.Expr]:
        if present.issuperset(leaves[low:high]):
            yield node(low, high)
        elif high - low > 1:
            middle = (low + high) // 2
            yield from cover(present, low, middle)
            yield from cover(present, middle, high)

    def rewrite(expression: sp.Expr) -> sp.Expr:
        if not expression.args:
            return expression
        factors: dict[sp.Expr, set[sp.Symbol]] = {}
        if isinstance(expression, sp.Mul) and _symbols(expression):
            for base, exponent in map(_power, expression.args):
                if base is not None:
                    factors.setdefault(exponent, set()).add(base)
        factors = {exponent: bases for exponent, bases in factors.items() if len(bases) >= LONG}
        taken = {base**exponent for exponent, bases in factors.items() for base in bases}
        rest = [rewrite(a) for a in expression.args if a not in taken]
        parts = [part**exponent for exponent, bases in factors.items() for part in cover(bases, 0, len(leaves))]
        return expression.func(*rest, *parts) if parts or rest != list(expression.args) else expression

    return assignments, [rewrite(e) for e in expressions]


def _power(factor: sp.Expr) -> tuple[sp.Symbol | None, sp.Expr]:
    """Split a whole positive power of a symbol."""
    base, exponent = factor.as_base_exp()
    return (base if base.is_Symbol and exponent.is_Integer and exponent > 0 else None), exponent


def _symbols(product: sp.Mul) -> set[sp.Symbol]:
    """Return the symbols of a long product that have one exponent, of which there are enough."""
    powers = [_power(factor) for factor in product.args]
    exponents = {exponent for base, exponent in powers if base is not None}
    groups = ({b for b, e in powers if b is not None and e == exponent} for exponent in exponents)
    return set().union(*(group for group in groups if len(group) >= LONG))
