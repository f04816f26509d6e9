"""prove: the true is proved, the false refuted at a point that keeps the assumptions, and the rest is said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import sympy as sp
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st

from sgdtheory.claim import Assumption, between, given, positive, real, where
from sgdtheory.verify.points import test_points as points_of
from sgdtheory.verify.prove import conjuncts, equation_residuals, is_zero, prove
from sgdtheory.verify.verdict import Verdict

PROVED, REFUTED, UNDECIDED = Verdict.PROVED, Verdict.REFUTED, Verdict.UNDECIDED
x, y, A, B = sp.symbols("x y A B", real=True)
e = sp.Symbol("epsilon", positive=True)
r = sp.Symbol("r", positive=True)
f = sp.Function("f")


def verdict(statement: sp.Basic, *assumptions: Assumption, case: dict | None = None, remainder=None) -> Verdict:
    return prove(statement, case or {}, assumptions, remainder)[0]


@pytest.mark.parametrize(
    ("derived", "stated", "expected"),
    [
        ((x + y) ** 2, x**2 + 2 * x * y + y**2, PROVED),
        (x / (x + 1) + 1 / (x + 1), 1, PROVED),
        (sp.sin(x) ** 2 + sp.cos(x) ** 2, 1, PROVED),
        (sp.exp(x + y), sp.exp(x) * sp.exp(y), PROVED),
        (sp.sqrt(r**2), r, PROVED),
        (sp.sqrt(2) * sp.sqrt(3), sp.sqrt(6), PROVED),
        (sp.S.Zero, 0, PROVED),
        ((x + y) ** 2, x**2 + y**2, REFUTED),
        (sp.sqrt(x**2), x, REFUTED),  # right only where x ≥ 0
        (x**2, x**2 + sp.Rational(1, 10**30), REFUTED),
        (sp.S.One, 0, REFUTED),
        (sp.sin(x) ** 2, 1, REFUTED),
        (f(x), f(x) + 1, REFUTED),
        (f(x), f(y), UNDECIDED),  # an unknown function has no values
    ],
)
def test_equations(derived: sp.Expr, stated: sp.Expr, expected: Verdict) -> None:
    assert verdict(sp.Eq(A, stated), case={A: derived}) is expected


def test_the_detail_of_a_refutation_is_a_point_and_how_far_off_it_is() -> None:
    outcome, detail = prove(sp.Eq(A, x), {A: x + 1}, [real(x)])
    assert outcome is REFUTED
    assert detail == "false at every point: off by 1.000"
    _, detail = prove(sp.Eq(A, 0), {A: x * r}, [real(x), positive(r)])
    assert "r=" in detail
    assert "x=" in detail


UNIT = sp.Interval(0, 1)


def within(symbol: sp.Symbol, domain: sp.Set) -> Assumption:
    return Assumption("", symbol, domain)


@pytest.mark.parametrize(
    ("derived", "relation", "bound", "assumptions", "expected"),
    [
        (-(x**2), sp.Le, 0, [real(x)], PROVED),
        (-(x**2), sp.Lt, 0, [real(x)], REFUTED),  # at 0
        (-r, sp.Lt, 0, [positive(r)], PROVED),
        (x, sp.Ge, 0, [within(x, sp.Interval(0, sp.oo))], PROVED),
        (x, sp.Gt, 0, [within(x, sp.Interval(0, sp.oo))], REFUTED),
        (x, sp.Gt, 0, [within(x, sp.Interval.open(0, sp.oo))], PROVED),
        (x, sp.Lt, 1, [between(x, 0, 1)], PROVED),
        (x, sp.Lt, 1, [within(x, UNIT)], REFUTED),  # at the closed end
        (x, sp.Le, 1, [within(x, UNIT)], PROVED),
        (x * y, sp.Lt, 1, [within(x, UNIT), within(y, UNIT)], UNDECIDED),  # false at (1, 1) alone
        (x * y, sp.Lt, 1, [between(x, 0, 1), within(y, UNIT)], PROVED),
        ((1 + x) / (1 - x), sp.Gt, 0, [between(x, 0, 1)], PROVED),
        ((1 + x) / (1 - x), sp.Ge, 2, [between(x, 0, 1)], REFUTED),  # at 0
        (x, sp.Gt, 0, [within(x, sp.Interval.Lopen(-1, 2))], REFUTED),
        (x, sp.Gt, -1, [within(x, sp.Interval.Lopen(-1, 2))], PROVED),
        (x * y, sp.Ge, 0, [real(x), real(y)], REFUTED),
        (sp.exp(x), sp.Gt, 0, [real(x)], PROVED),
        (sp.exp(x), sp.Gt, 1, [real(x)], REFUTED),
        (sp.exp(x), sp.Gt, x, [real(x)], UNDECIDED),  # true, and beyond signs
        (f(x), sp.Gt, 0, [real(x)], UNDECIDED),
        (x, sp.Ne, y, [real(x), real(y)], UNDECIDED),
        (sp.sqrt(x), sp.Gt, -1, [real(x)], UNDECIDED),  # not a real number everywhere
    ],
)
def test_inequalities(
    derived: sp.Expr, relation: type, bound: sp.Expr, assumptions: Sequence[Assumption], expected: Verdict
) -> None:
    assert verdict(relation(A, bound), *assumptions, case={A: derived}) is expected
    if relation is not sp.Ne:
        turned = {sp.Le: sp.Ge, sp.Lt: sp.Gt, sp.Ge: sp.Le, sp.Gt: sp.Lt}[relation]
        assert verdict(turned(bound, A), *assumptions, case={A: derived}) is expected


@pytest.mark.parametrize("empty", [sp.true, sp.false])
def test_a_statement_that_says_nothing_is_undecided(empty: sp.Basic) -> None:
    assert verdict(empty) is UNDECIDED


def test_a_counterexample_on_the_boundary_is_found_though_inner_points_agree() -> None:
    outcome, detail = prove(sp.Gt(x * (1 - x), 0), {}, [between(x, 0, 1)])
    assert outcome is REFUTED
    assert detail.startswith("false at x=0")


def test_one_false_part_refutes_the_whole() -> None:
    whole = sp.And(sp.Eq(A, x), sp.Ge(B, 0))
    assert verdict(whole, real(x), case={A: x, B: x**2}) is PROVED
    assert verdict(whole, real(x), case={A: x, B: x}) is REFUTED
    assert verdict(whole, real(x), case={A: 2 * x, B: x**2}) is REFUTED
    assert verdict(whole, real(x), case={A: x, B: sp.exp(x) - x}) is UNDECIDED
    assert len(conjuncts(whole)) == 2


def test_a_quantity_that_was_not_derived_is_never_proved() -> None:
    assert verdict(sp.Eq(A, x**2), real(x)) is not PROVED
    assert verdict(sp.Ge(A, 0), real(x)) is not PROVED


@pytest.mark.parametrize(
    ("difference", "order", "expected"),
    [
        (e**3, 3, PROVED),
        (e**3, 4, REFUTED),
        (x * e**2 + e**5, 2, PROVED),
        (x * e**2 + e**5, 3, REFUTED),
        (sp.exp(e) - 1 - e - e**2 / 2, 3, PROVED),
        (sp.exp(e) - 1 - e - e**2 / 2, 4, REFUTED),
        (1 / (1 - x * e) - 1 - x * e, 2, PROVED),
        (1 / (1 - x * e) - 1 - x * e, 3, REFUTED),
        (sp.sin(e) / e - 1, 2, PROVED),
        (sp.sin(e) / e - 1, 3, REFUTED),
        (1 / e, 2, REFUTED),
        (1 / e + e**7, 2, REFUTED),
        (sp.log(e), 2, REFUTED),
        (e * sp.log(e), 2, REFUTED),
        (sp.sqrt(e), 1, REFUTED),
        (sp.sqrt(e), 0, PROVED),
        (e ** sp.Rational(5, 2), 2, PROVED),
        (e ** sp.Rational(5, 2), 3, REFUTED),
        ((1 + e) ** sp.Rational(1, 2) - 1 - e / 2, 2, PROVED),
        ((1 + e) ** sp.Rational(1, 2) - 1 - e / 2, 3, REFUTED),
    ],
)
def test_remainders(difference: sp.Expr, order: int, expected: Verdict) -> None:
    """Up to O(ε^p): powers below p decide, also those that are not whole or are below zero."""
    assert verdict(sp.Eq(A, B), real(x), case={A: B + difference}, remainder=(e, order)) is expected


def test_the_remainder_does_not_soften_inequalities() -> None:
    assert verdict(sp.Ge(A, 0), case={A: -(e**9)}, remainder=(e, 2)) is REFUTED


def test_residuals() -> None:
    assert equation_residuals(sp.Eq(A, x), {A: x + 3}, None) == [3]
    assert equation_residuals(sp.Eq(A, x), {A: x + 3 * e + x * e**2}, (e, 3)) == [0, 3, x]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (sp.S.Zero, True),
        (x / (1 + x) - 1 + 1 / (1 + x), True),
        (sp.sqrt(3 + 2 * sp.sqrt(2)) - 1 - sp.sqrt(2), True),
        (sp.cosh(x) ** 2 - sp.sinh(x) ** 2 - 1, True),
        (x - y, False),
        (sp.exp(x) - 1 - x, False),
    ],
)
def test_is_zero(expression: sp.Expr, expected: bool) -> None:
    assert is_zero(expression) is expected


# points


def points(*symbols: sp.Symbol, assumptions: Sequence[Assumption]) -> list[dict[sp.Symbol, sp.Expr]]:
    return list(points_of(symbols, assumptions))


def test_points_keep_the_assumptions_and_come_with_the_boundaries() -> None:
    found = points(x, y, assumptions=[between(x, 0, 1), positive(y), where(x + y < 3, "")])
    assert found[0][x] == 0
    assert len(found) >= 12
    assert all(0 <= p[x] < 1 and p[y] > 0 and p[x] + p[y] < 3 for p in found)
    assert all(value.is_Rational for p in found for value in p.values())
    assert found == points(x, y, assumptions=[between(x, 0, 1), positive(y), where(x + y < 3, "")])


def test_a_condition_through_a_third_symbol_is_kept() -> None:
    """x·y < 1 and y > 2 confine x below ½, although y does not stand in the statement."""
    chain = [positive(x), where(x * y < 1, ""), where(y > 2, "")]
    assert all(p[x] < sp.Rational(1, 2) for p in points(x, assumptions=chain))
    assert verdict(sp.Lt(x, sp.Rational(1, 2)), *chain) is not REFUTED
    assert verdict(sp.Lt(x, sp.Rational(1, 9)), *chain) is REFUTED


def test_a_condition_that_cannot_be_met_leaves_no_points() -> None:
    assert points(x, assumptions=[where(x**2 < 0, "")]) == []
    assert verdict(sp.Eq(A, 0), where(x**2 < 0, ""), case={A: x}) is UNDECIDED


@pytest.mark.parametrize(
    ("symbol", "assumptions", "fits"),
    [
        (sp.Symbol("n", integer=True), [], lambda v: v.is_integer),
        (sp.Symbol("n", integer=True, positive=True), [], lambda v: v.is_integer and v > 0),
        (sp.Symbol("n", even=True), [], lambda v: v % 2 == 0),
        (sp.Symbol("m", negative=True), [], lambda v: v < 0),
        (sp.Symbol("m", nonpositive=True), [], lambda v: v <= 0),
        (sp.Symbol("m", nonzero=True), [], lambda v: v != 0),
        (sp.Symbol("m", positive=True), [], lambda v: v > 0),
        (x, [within(x, sp.FiniteSet(1, 2))], lambda v: v in (1, 2)),
        (x, [within(x, sp.S.Naturals)], lambda v: v.is_integer and v >= 1),
        (x, [within(x, sp.Union(sp.Interval(0, 1), sp.Interval(2, 3)))], lambda v: 0 <= v <= 1 or 2 <= v <= 3),
        (x, [within(x, sp.Interval.open(-sp.oo, -2))], lambda v: v < -2),
        (x, [positive(x), within(x, sp.Interval(-3, 5))], lambda v: 0 < v <= 5),
        (x, [given("anything")], lambda v: v.is_Rational),
    ],
)
def test_points_are_what_the_symbol_and_its_domain_say(symbol: sp.Symbol, assumptions: list, fits) -> None:
    found = points(symbol, assumptions=assumptions)
    assert found
    assert all(fits(p[symbol]) for p in found)
    assert len({p[symbol] for p in found}) > 1


def test_whole_numbers_do_not_refute_what_holds_for_them() -> None:
    n = sp.Symbol("n", integer=True, positive=True)
    assert verdict(sp.Ge(A, 0), case={A: n**2 - n}) is not REFUTED  # false between 0 and 1
    assert verdict(sp.Eq(A, 1), case={A: sp.cos(2 * sp.pi * n)}) is PROVED
    assert verdict(sp.Ge(A, 0), case={A: n**2 - 5 * n}) is REFUTED


RATIONALS = st.fractions(min_value=-5, max_value=5, max_denominator=7).map(sp.Rational)


@settings(max_examples=40)
@over(coefficients=st.lists(RATIONALS, min_size=3, max_size=3), root=RATIONALS, low=RATIONALS, width=RATIONALS)
def test_a_sign_is_only_proved_where_it_holds(coefficients: list, root, low, width) -> None:
    """Random polynomials with a root, on random closed intervals: no proof is contradicted by a dense grid."""
    a, b, c = coefficients
    margin = (a * x**2 + b * x + c) ** 2 * (x - root) ** (1 + abs(int(c)) % 2)
    domain = sp.Interval(low, low + abs(width) + sp.Rational(1, 9))
    for statement, holds in ((sp.Ge(A, 0), lambda v: v >= 0), (sp.Gt(A, 0), lambda v: v > 0)):
        outcome = verdict(statement, within(x, domain), case={A: margin})
        grid = [domain.inf + (domain.sup - domain.inf) * sp.Rational(k, 64) for k in range(65)]
        grid += [root] if domain.contains(root) == sp.true else []
        everywhere = all(holds(margin.subs(x, value)) for value in grid)
        if not everywhere:
            assert outcome is not PROVED
        if outcome is REFUTED:
            assert not all(holds(margin.subs(p)) for p in points(x, assumptions=[within(x, domain)]))
