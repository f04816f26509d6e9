"""Why brackets follow the gradients: for log losses both examples' residuals are factors, for squared errors they add.

A loss φ(m) of a number m(θ), the margin or the error, has the gradient φ'u with u = ∇m and the Hessian φ''uuᵀ + φ'∇²m.
Every bracket is "example 1 then 2" minus "2 then 1", one component, at θ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, between, equals, given, real
from sgdtheory.derive.brackets import lie_bracket
from sgdtheory.derive.expansion import generic_polynomial
from sgdtheory.sources import BEMENT_2026, HERE
from sgdtheory.symbols import meanings
from sgdtheory.theory.example_pairs import Pair
from sgdtheory.theory.random_instances import polynomial, rational

b, H2g1, H1g2 = symbols.bracket, symbols.hessian_21, symbols.hessian_12
ρ1, ρ2, e1, e2 = symbols.doubt_1, symbols.doubt_2, symbols.error_1, symbols.error_2
u1, u2, k, b_m = symbols.margin_slope_1, symbols.margin_slope_2, symbols.margin_inner, symbols.margin_bracket


def logistic(margin: sp.Expr) -> sp.Expr:
    """Return the log loss of a margin m, log(1 + e^−m)."""
    return sp.log(1 + sp.exp(-margin))


def squared(error: sp.Expr) -> sp.Expr:
    """Return half the squared error."""
    return error**2 / 2


def margin_at(doubt: sp.Expr) -> sp.Expr:
    """Return the margin at which the wrong label has a given probability ρ = 1/(1 + e^m)."""
    return sp.log((1 - doubt) / doubt)


Loss = Callable[[sp.Expr], sp.Expr]


def _cases(
    loss: Loss, margins: Sequence[sp.Expr], coordinates: Sequence[sp.Symbol], point: Sequence[sp.Expr], known: Case
) -> list[Case]:
    """Return bracket, margin slopes, their product and their bracket, component by component."""
    pair = Pair((loss(margins[0]), loss(margins[1])), tuple(coordinates), tuple(point), ())
    first, second = (sp.ImmutableMatrix([m.diff(w) for w in coordinates]) for m in margins)
    inner = first.dot(second).xreplace(dict(zip(coordinates, point, strict=True)))
    local = pair.at_point({u1: first, u2: second, b_m: lie_bracket(first, second, coordinates)})
    products = [sp.cancel(product[H2g1] - product[H1g2]) for product in pair.hessian_products()]
    return [{**case, b: bracket, k: inner, **known} for case, bracket in zip(local, products, strict=True)]


def _generic(loss: Loss, first: sp.Expr, second: sp.Expr) -> list[Case]:
    """Take margins with arbitrary first and second derivatives at the origin, and given values there."""
    w = sp.symbols("w1:3", real=True)
    margins = [generic_polynomial(name, w, 2) + m for name, m in zip("pq", (first, second), strict=True)]
    return _cases(loss, margins, w, (sp.S.Zero, sp.S.Zero), {})


def _random(
    loss: Loss,
    values: tuple[sp.Symbol, sp.Symbol],
    margin: Loss,
    draw: Callable[[Random], sp.Expr],
    random: Random,
) -> list[Case]:
    """Take random cubic margins on a line and in the plane, their values at a random point being given."""
    cases = []
    for dimension in (1, 2):
        w = sp.symbols(f"w1:{dimension + 1}", real=True)
        point = [rational(random) for _ in w]
        wanted = [draw(random) for _ in values]
        curves = [polynomial(random, w, 3, terms=4) for _ in values]
        at = dict(zip(w, point, strict=True))
        margins = [m - m.xreplace(at) + margin(v) for m, v in zip(curves, wanted, strict=True)]
        cases += _cases(loss, margins, w, point, dict(zip(values, wanted, strict=True)))
    return cases


# --- derivations: their docstrings are the proofs in words -----------------------------------------------------------


def logistic_bracket() -> list[Case]:
    """Put φ' = −ρ and φ'' = ρ(1 − ρ) into the bracket φ1'φ2'[u1, u2] + (u1·u2)(φ1'φ2''u2 − φ2'φ1''u1).

    That one is H2g1 − H1g2 with g = φ'u and H = φ''uuᵀ + φ'M, M2u1 − M1u2 being [u1, u2]. Only first and second
    derivatives of the margins enter, so quadratics with arbitrary coefficients stand for all C² margins, and the plane
    for all dimensions: u1, u2 and [u1, u2] are linearly independent in it or the dimension does not matter.
    """
    return _generic(logistic, margin_at(ρ1), margin_at(ρ2))


def squared_bracket() -> list[Case]:
    """Put φ' = e and φ'' = 1 into φ1'φ2'[u1, u2] + (u1·u2)(φ1'φ2''u2 − φ2'φ1''u1), found as for log losses."""
    return _generic(squared, e1, e2)


def _unchanged(value: sp.Expr) -> sp.Expr:
    return value


def _tenths(random: Random) -> sp.Expr:
    return sp.Rational(random.randint(1, 9), 10)


random_logistic_bracket = partial(_random, logistic, (ρ1, ρ2), margin_at, _tenths)
random_squared_bracket = partial(_random, squared, (e1, e2), _unchanged, rational)


# --- claims ----------------------------------------------------------------------------------------------------------

_C2 = given("margins and errors C² near θ")
_LOGISTIC = equals(b, ρ1 * ρ2 * (k * ((1 - ρ1) * u1 - (1 - ρ2) * u2) + b_m))
_SQUARED = equals(b, k * (e1 * u2 - e2 * u1) + e1 * e2 * b_m)

LOGISTIC_BRACKET = Claim(
    id="LIE-40",
    slug="lie.log-loss",
    title="Log loss: the bracket is the product of both doubts and of what the doubts hardly touch, as |g1||g2| is",
    status="exact",
    statement=_LOGISTIC,
    assumptions=(_C2, between(ρ1, 0, 1, "doubt of example 1"), between(ρ2, 0, 1, "doubt of example 2")),
    source=HERE.where(f"the finding that brackets follow gradients is that of {BEMENT_2026}"),
    evidence=(Identity(logistic_bracket), Property(random_logistic_bracket, examples=1)),
    mutants=(
        Mutant("one doubt alone", equals(b, ρ1 * (k * ((1 - ρ1) * u1 - (1 - ρ2) * u2) + b_m))),
        Mutant("curvature without 1 − ρ", equals(b, ρ1 * ρ2 * (k * (u1 - u2) + b_m))),
        Mutant("linear models' bracket for all", equals(b, ρ1 * ρ2 * k * ((1 - ρ1) * u1 - (1 - ρ2) * u2))),
        Mutant("sign", equals(b, ρ1 * ρ2 * (k * ((1 - ρ2) * u2 - (1 - ρ1) * u1) - b_m))),
        Mutant("the other example's doubt", equals(b, ρ1 * ρ2 * (k * ((1 - ρ2) * u1 - (1 - ρ1) * u2) + b_m))),
    ),
    meanings=meanings(_LOGISTIC),
    note="|g1||g2| = ρ1ρ2|∇m1||∇m2|, so |[v1, v2]|/(|g1||g2|) is at most (1 − ρ1)|∇m1| + (1 − ρ2)|∇m2| + "
    "|[∇m1, ∇m2]|/(|∇m1||∇m2|), whatever orders of magnitude the doubts run through: this is why bracket sizes follow "
    "gradient sizes so tightly. Of a linear model [∇m1, ∇m2] = 0.",
)

SQUARED_BRACKET = Claim(
    id="LIE-41",
    slug="lie.squared-error",
    title="Squared error: the bracket is of first order in the errors, where |g1||g2| is of second",
    status="exact",
    statement=_SQUARED,
    assumptions=(_C2, real(e1, "error of example 1"), real(e2, "error of example 2")),
    source=HERE,
    evidence=(Identity(squared_bracket), Property(random_squared_bracket, examples=2)),
    mutants=(
        Mutant("a product of both errors, as for the log loss", equals(b, e1 * e2 * (k * (u2 - u1) + b_m))),
        Mutant("linear models' bracket for all", equals(b, k * (e1 * u2 - e2 * u1))),
        Mutant("sign", equals(b, k * (e2 * u1 - e1 * u2) - e1 * e2 * b_m)),
        Mutant("each error with its own slope", equals(b, k * (e1 * u1 - e2 * u2) + e1 * e2 * b_m)),
    ),
    meanings=meanings(_SQUARED),
    note="Two fits of which one is exact still do not commute. Of a linear model [∇e1, ∇e2] = 0.",
)

CLAIMS = (LOGISTIC_BRACKET, SQUARED_BRACKET)
