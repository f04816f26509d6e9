"""Quadrature rules on [0, 1] with exact nodes and weights, and the degree up to which a rule is exact.

Nodes and weights are rational or algebraic numbers. Gauss's nodes are the roots of a shifted Legendre polynomial P and
each weight is one polynomial W in its node, so that a sum Σ f(r) over all roots is a rational number: Euler's formula
reads it from the remainder of f·P' on division by P. No number is rounded.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import sympy as sp

from sgdtheory.errors import ArgumentError

_x = sp.Symbol("x", real=True)
_EQUIDISTANT: dict[str, tuple[sp.Rational, ...]] = {
    "left": (sp.S.Zero,),
    "right": (sp.S.One,),
    "midpoint": (sp.S.Half,),
    "trapezoid": (sp.S.Zero, sp.S.One),
    "simpson": (sp.S.Zero, sp.S.Half, sp.S.One),
    "boole": tuple(sp.Rational(k, 4) for k in range(5)),
}
_MOST_NODES = 12
NAMES = (*_EQUIDISTANT, *(f"gauss-{n}" for n in range(1, _MOST_NODES + 1)))
"""The rules `quadrature_rule` knows."""


@dataclass(frozen=True)
class Rule:
    """The quadrature Σ wⱼ f(xⱼ) in the place of ∫₀¹ f(x) dx.

    Parameters
    ----------
    name : str
    nodes : tuple of k expressions
        x, exact real numbers in [0, 1].
    weights : tuple of k expressions
        w, exact real numbers that add up to 1.

    Raises
    ------
    ArgumentError
        If nodes and weights differ in number, or the weights do not add up to 1.

    Examples
    --------
    >>> Rule("two thirds left", (sp.S(0), sp.S(1)), (sp.Rational(2, 3), sp.Rational(1, 3))).nodes
    (0, 1)
    """

    name: str
    nodes: tuple[sp.Expr, ...]
    weights: tuple[sp.Expr, ...]

    def __post_init__(self) -> None:
        if len(self.nodes) != len(self.weights):
            raise ArgumentError("weights", self.weights, f"one for each of the {len(self.nodes)} nodes")
        if _total(self.weights) != 1:
            raise ArgumentError("weights", self.weights, "weights that add up to 1", "divide them by their sum")


@cache
def quadrature_rule(name: str) -> Rule:
    """Return a rule by its name.

    Parameters
    ----------
    name : str
        ``"left"``, ``"right"``, ``"midpoint"``, ``"trapezoid"``, ``"simpson"`` (what a Runge–Kutta step of order 4 does
        for an integrand that is given), ``"boole"``, or ``"gauss-1"`` to ``"gauss-12"`` for Gauss–Legendre.

    Raises
    ------
    ArgumentError
        With the nearest names, for another one.

    Examples
    --------
    >>> quadrature_rule("simpson").weights
    (1/6, 2/3, 1/6)
    >>> quadrature_rule("gauss-2").nodes
    (1/2 - sqrt(3)/6, sqrt(3)/6 + 1/2)
    """
    from difflib import get_close_matches

    if name not in NAMES:
        near = " or ".join(get_close_matches(str(name), NAMES, n=2)) or "simpson"
        raise ArgumentError("rule", name, " | ".join(NAMES), f"perhaps {near}")
    return (
        _interpolatory(name, _EQUIDISTANT[name]) if name in _EQUIDISTANT else _gauss(int(name.removeprefix("gauss-")))
    )


def composite(rule: Rule, parts: int) -> Rule:
    """Return the rule applied to each of n equal parts of [0, 1]; a node that two parts share is one node.

    Parameters
    ----------
    rule : Rule
    parts : int
        n ≥ 1.

    Raises
    ------
    ArgumentError
        If n is no whole number ≥ 1.

    Examples
    --------
    >>> composite(quadrature_rule("trapezoid"), 2).weights
    (1/4, 1/2, 1/4)
    """
    if not isinstance(parts, int) or isinstance(parts, bool) or parts < 1:
        raise ArgumentError("parts", parts, "a whole number >= 1")
    if parts == 1:
        return rule
    merged: dict[sp.Expr, sp.Expr] = {}
    for k in range(parts):
        for node, weight in zip(rule.nodes, rule.weights, strict=True):
            place = sp.expand((k + node) / parts)
            merged[place] = merged.get(place, sp.S.Zero) + weight / parts
    return Rule(f"{rule.name} × {parts}", tuple(merged), tuple(merged.values()))


def defect(rule: Rule, power: int) -> sp.Expr:
    """Return Σ wⱼ xⱼᵏ − 1/(k + 1), by how much a rule misses the integral of xᵏ.

    Examples
    --------
    >>> defect(quadrature_rule("simpson"), 3), defect(quadrature_rule("simpson"), 4)
    (0, 1/120)
    """
    terms = (weight * node**power for node, weight in zip(rule.nodes, rule.weights, strict=True))
    return _total(list(terms)) - sp.Rational(1, power + 1)


@cache
def exact_degree(rule: Rule) -> int:
    """Return the largest degree up to which a rule integrates every polynomial exactly.

    Examples
    --------
    >>> [exact_degree(quadrature_rule(name)) for name in ("left", "midpoint", "simpson", "boole", "gauss-3")]
    [0, 1, 3, 5, 5]
    """
    degree = 0
    while defect(rule, degree + 1) == 0:
        degree += 1
    return degree


def leading_error(rule: Rule) -> sp.Expr:
    """Return Q[p] − ∫p for a monic polynomial p one degree above the exact one, the same for all of them.

    The mean of a smooth f over a segment of length s has the error `leading_error`·sᵐf⁽ᵐ⁾/m! + O(sᵐ⁺¹), with
    m = `exact_degree` + 1.

    Examples
    --------
    >>> leading_error(quadrature_rule("simpson")), leading_error(quadrature_rule("gauss-2"))
    (1/120, -1/180)
    """
    return defect(rule, exact_degree(rule) + 1)


def _interpolatory(name: str, nodes: tuple[sp.Rational, ...]) -> Rule:
    """Integrate the polynomial through the values at the nodes."""
    full = sp.Poly.from_expr(sp.Mul(*(_x - node for node in nodes)), _x)

    def weight(node: sp.Rational) -> sp.Rational:
        others = full.quo(sp.Poly(_x - node, _x))
        return sp.integrate(others.as_expr(), (_x, 0, 1)) / others.eval(node)

    return Rule(name, nodes, tuple(map(weight, nodes)))


def _gauss(size: int) -> Rule:
    """Take the roots of the shifted Legendre polynomial P, and the weights 1/(x(1 − x)P'(x)²) as a polynomial in x."""
    P = sp.Poly(sp.legendre(size, 2 * _x - 1), _x)
    inverse = sp.Poly(_x - _x**2, _x) * P.diff() ** 2
    nodes = [sp.CRootOf(P, k, radicals=True) for k in range(size)]
    weight = inverse.invert(P).as_expr()
    return Rule(f"gauss-{size}", tuple(nodes), tuple(sp.expand(weight.subs(_x, node)) for node in nodes))


def _total(terms: Sequence[sp.Expr]) -> sp.Expr:
    """Add exact numbers up, all roots of one polynomial at a time."""
    total = sp.S.Zero
    families: dict[tuple[sp.Poly, sp.Poly], Counter[sp.CRootOf]] = defaultdict(Counter)
    for term in terms:
        for root in sorted(term.atoms(sp.CRootOf), key=str)[:1]:
            families[root.poly, sp.Poly(term.xreplace({root: _x}), _x, field=True)][root] += 1
        if not term.has(sp.CRootOf):
            total += term
    for (polynomial, function), times in families.items():
        P = polynomial.replace(polynomial.gen, _x)
        if len(times) != P.degree() or len(set(times.values())) != 1 or not function.domain.is_QQ:
            allowed = f"all roots of {P.as_expr()}, each weighted by the same polynomial in it"
            raise ArgumentError("rule", sorted(times, key=str), allowed, "write other numbers with square roots")
        total += times.total() / sp.Integer(P.degree()) * _over_roots(P, function)
    return sp.expand(total)


def _over_roots(P: sp.Poly, function: sp.Poly) -> sp.Rational:
    """Return Σ f(r) over the roots of P: by Euler, Σ q(r)/P'(r) is the top coefficient of q mod P over that of P."""
    return (function * P.diff()).rem(P).coeff_monomial(_x ** (P.degree() - 1)) / P.LC()
