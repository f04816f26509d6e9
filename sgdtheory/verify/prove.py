"""Decide a relation symbolically: proved, refuted by a counterexample, or undecided."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from sgdtheory.claim import Assumption, Case
from sgdtheory.verify.points import test_points
from sgdtheory.verify.verdict import Verdict

Remainder = tuple[sp.Symbol, int] | None
Decision = tuple[Verdict, str]
_PROVED: Decision = (Verdict.PROVED, "")


def prove(statement: sp.Basic, case: Case, assumptions: Sequence[Assumption], remainder: Remainder = None) -> Decision:
    """Judge a statement with derived quantities put in.

    Parameters
    ----------
    statement : sympy Boolean
        Relations, joined by And.
    case : mapping
        Quantity symbol → derived expression.
    assumptions : sequence of Assumption
    remainder : (Symbol, int), optional
        Equations hold up to O(ε^p).

    Returns
    -------
    verdict, detail
        PROVED; REFUTED with a point at which the statement is false; UNDECIDED.
    """
    worst: Decision = (Verdict.PROVED, "")
    for relation in conjuncts(statement):
        decision = _prove_relation(relation, case, assumptions, remainder)
        if decision[0] is Verdict.REFUTED:
            return decision
        if decision[0] is Verdict.UNDECIDED:
            worst = decision
    return worst


def conjuncts(statement: sp.Basic) -> tuple[sp.Basic, ...]:
    """Return the relations a statement asserts together."""
    return tuple(statement.args) if isinstance(statement, sp.And) else (statement,)


def equation_residuals(relation: sp.Basic, case: Case, remainder: Remainder) -> list[sp.Expr]:
    """Return the expressions that must vanish: lhs − rhs, or its coefficients below ε^p."""
    difference = relation.lhs.subs(case) - relation.rhs.subs(case)
    quotient = difference.is_rational_function() and not difference.is_polynomial()
    if remainder is not None or not quotient:  # of a quotient it would multiply out the denominators, to no end
        difference = sp.expand(difference)
    if remainder is None:
        return [difference]
    step, order = remainder
    if not difference.is_polynomial(step):
        difference = sp.expand(sp.series(difference, step, 0, order).removeO())
        if not difference.is_polynomial(step):  # 1/ε, √ε or log ε below the remainder: no coefficients to compare
            return [difference]
    return [difference.coeff(step, k) for k in range(order)]


def _prove_relation(
    relation: sp.Basic, case: Case, assumptions: Sequence[Assumption], remainder: Remainder
) -> Decision:
    if isinstance(relation, sp.Eq):
        wrong = [r for r in equation_residuals(relation, case, remainder) if not is_zero(r)]
        return _counterexample([sp.Eq(r, 0, evaluate=False) for r in wrong], assumptions) if wrong else _PROVED
    if not isinstance(relation, (sp.Gt, sp.Ge, sp.Lt, sp.Le)):
        return Verdict.UNDECIDED, f"cannot judge {relation}"
    margin = sp.factor(sp.together(relation.gts.subs(case) - relation.lts.subs(case)))
    strict = isinstance(relation, (sp.Gt, sp.Lt))
    faces = _on_symbols_with_signs(margin, assumptions)
    if all((face.is_positive if strict else face.is_nonnegative) is True for face in faces):
        return Verdict.PROVED, ""
    return _counterexample([(sp.Gt if strict else sp.Ge)(margin, 0, evaluate=False)], assumptions)


def is_zero(expression: sp.Expr) -> bool:
    """Whether an expression is identically zero, by normal form where there is one and simplification elsewhere."""
    if expression.is_number:
        return expression.equals(0) is True
    if expression.is_rational_function():
        return bool(sp.cancel(sp.together(expression)) == 0)
    return bool(sp.simplify(expression) == 0)


def _on_symbols_with_signs(expression: sp.Expr, assumptions: Sequence[Assumption]) -> list[sp.Expr]:
    """Replace symbols confined to an interval by rational functions of positive ones, so that signs can be read off.

    A symbol in [a, b) is a + (b − a)·t/(1 + t) with t ≥ 0; one in (a, ∞) is a + t. A closed end b is a face of its
    own: what holds below b need not hold at b.
    """
    faces = [expression]
    for assumption in assumptions:
        s, domain = assumption.symbol, assumption.domain
        if s is not None and domain.inf.is_finite:
            faces = [face for f in faces for face in (_signed(f, s, domain) if f.has(s) else [f])]
    return [sp.factor(sp.together(face)) for face in faces]


def _signed(expression: sp.Expr, symbol: sp.Symbol, domain: sp.Set) -> list[sp.Expr]:
    low, high = domain.inf, domain.sup
    opened = domain.contains(low) == sp.false
    t = sp.Dummy(symbol.name, positive=True) if opened else sp.Dummy(symbol.name, nonnegative=True)
    if high is sp.oo:
        return [expression.subs(symbol, low + t)]
    inside = expression.subs(symbol, low + (high - low) * t / (1 + t))
    return [inside] if domain.contains(high) == sp.false else [inside, expression.subs(symbol, high)]


def _counterexample(relations: Sequence[sp.Basic], assumptions: Sequence[Assumption]) -> Decision:
    """Look for a point at which one of the relations is false."""
    symbols = set().union(*(r.free_symbols for r in relations))
    for point in test_points(symbols, assumptions):
        for relation in relations:
            value = relation.lhs.subs(point)
            if value.is_number and value.is_finite and value.is_real and relation.func(value, 0) == sp.false:
                where = ", ".join(f"{s}={v}" for s, v in sorted(point.items(), key=lambda item: item[0].name)[:6])
                return Verdict.REFUTED, f"false at {where or 'every point'}: off by {sp.N(value, 4)}"
    return Verdict.UNDECIDED, "neither proved nor refuted: no normal form found and no counterexample"
