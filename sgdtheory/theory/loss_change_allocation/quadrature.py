"""How well a quadrature rule allocates a step: the degree up to which it is exact, and its error on equal parts.

On the segment of a step every ∂ᵢL of a loss of degree p is a polynomial of degree p − 1 in the fraction s of the step,
so a rule that is exact to degree m allocates losses of degree m + 1 exactly, coordinate by coordinate. The paper's RK4
is Simpson's rule: a Runge–Kutta step of order 4 sees an integrand that does not depend on the integral.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import (
    Assumption,
    Case,
    Claim,
    Identity,
    Mutant,
    Order,
    Property,
    equals,
    equations,
    given,
    positive,
)
from sgdtheory.derive.expansion import monomials
from sgdtheory.derive.quadrature import Rule, composite, exact_degree, leading_error, quadrature_rule
from sgdtheory.sources import HERE, LAN_2019
from sgdtheory.theory.loss_change_allocation.definition import allocate_along, straight
from sgdtheory.theory.random_instances import rational

p_left, p_mid, p_trap = symbols.degree_left, symbols.degree_middle, symbols.degree_trapezoid
p_simpson, p_boole, p_gauss, n = symbols.degree_simpson, symbols.degree_boole, symbols.degree_gauss, symbols.nodes
parts, width = symbols.parts, symbols.width
E_smooth, m, e, dg = symbols.error_smooth, symbols.error_order, symbols.error_leading, symbols.slope_change
_DEGREES = {"left": p_left, "midpoint": p_mid, "trapezoid": p_trap, "simpson": p_simpson, "boole": p_boole}
_ERRORS = {
    "trapezoid": symbols.error_trapezoid,
    "simpson": symbols.error_simpson,
    "boole": symbols.error_boole,
    "gauss-2": symbols.error_gauss_2,
}
E_trap, E_simpson, E_boole, E_gauss2 = _ERRORS.values()
_s = sp.Symbol("s", real=True)


def loss_degree(rule: Rule) -> int:
    """Return the largest degree of a loss whose steps a rule allocates exactly.

    Examples
    --------
    >>> loss_degree(quadrature_rule("simpson"))
    4
    """
    return exact_degree(rule) + 1


def runge_kutta() -> Rule:
    """Return what one step of the classical Runge–Kutta method does with dI/ds = f(s), I(0) = 0.

    Its stages are f at 0, ½, ½ and 1, whatever I is; they enter with 1/6, 1/3, 1/3, 1/6.
    """
    stages = ((sp.S.Zero, 6), (sp.S.Half, 3), (sp.S.Half, 3), (sp.S.One, 6))
    weights: dict[sp.Expr, sp.Expr] = {}
    for node, share in stages:
        weights[node] = weights.get(node, sp.S.Zero) + sp.Rational(1, share)
    return Rule("RK4", tuple(weights), tuple(weights.values()))


# --- degrees ---------------------------------------------------------------------------------------------------------


def integrate_powers() -> list[Case]:
    """Apply every rule to 1, s, s², … until one is missed; in exact arithmetic, Gauss's with up to five nodes.

    A rule is linear, so that it is exact for all polynomials of degree m if it is for the powers up to sᵐ; and it is
    for none of degree m + 1 if it misses sᵐ⁺¹. A rule with n nodes misses the square of their polynomial, of degree 2n,
    which it takes for 0: no rule does better than Gauss's, exact to 2n − 1 because what is left of a polynomial of
    that degree on division by Legendre's has the same integral.
    """
    closed = {symbol: sp.Integer(loss_degree(quadrature_rule(name))) for name, symbol in _DEGREES.items()}
    twins = {p_left: quadrature_rule("right"), p_simpson: runge_kutta()}
    others = closed | {symbol: sp.Integer(loss_degree(rule)) for symbol, rule in twins.items()}
    gauss = [{n: sp.Integer(k), p_gauss: sp.Integer(loss_degree(quadrature_rule(f"gauss-{k}")))} for k in range(1, 6)]
    return [table | row for table in (closed, others) for row in gauss]


def allocate_until_wrong(random: Random) -> Case:
    """Raise the degree of a random loss in 1 or 2 coordinates until a rule's allocation of a random step is wrong."""
    w = sp.symbols(f"w1:{random.randint(1, 2) + 1}", real=True)
    start, moves = [rational(random) for _ in w], [sp.Rational(random.randint(1, 6), 2) for _ in w]
    path = straight(start, [a + move for a, move in zip(start, moves, strict=True)], _s)
    size = random.randint(1, 3)
    rules = {symbol: quadrature_rule(name) for name, symbol in _DEGREES.items()}
    rules[p_gauss] = quadrature_rule(f"gauss-{size}")
    found: dict[sp.Symbol, sp.Expr] = {n: sp.Integer(size)}
    for degree in range(1, 8):
        # positive coefficients of the highest degree: along a step with positive moves it does not vanish
        loss = sp.Add(*(abs(rational(random)) * m + m for powers, m in monomials(w, degree) if sum(powers) == degree))
        exact = allocate_along(loss, w, path, _s)
        for symbol, rule in rules.items():
            if symbol not in found and _allocate(loss, w, path, rule) != exact:
                found[symbol] = sp.Integer(degree - 1)
    return found


def _allocate(loss: sp.Expr, coordinates: tuple[sp.Symbol, ...], path: list[sp.Expr], rule: Rule) -> list[sp.Expr]:
    """Return the allocation by a rule, gradient by gradient."""
    shares = []
    for w, place in zip(coordinates, path, strict=True):
        along = sp.diff(loss, w).xreplace(dict(zip(coordinates, path, strict=True)))
        values = (weight * along.subs(_s, node) for node, weight in zip(rule.nodes, rule.weights, strict=True))
        shares.append(sp.expand(sp.Add(*values) * sp.diff(place, _s)))
    return shares


# --- equal parts -----------------------------------------------------------------------------------------------------


def add_up_parts() -> Case:
    """Apply a rule to each of n parts and add up, for the first power it misses.

    On a part of length 1/n the power sᵐ is (1/n)ᵐ times a monic polynomial of degree m in the fraction of the part,
    which the rule misses by its leading error e whatever the lower terms. The n parts have the weight 1/n each, so
    together they miss e/nᵐ: halving all parts divides the error by 2ᵐ, for Simpson's rule by 16.
    """
    k, errors = sp.Symbol("k", integer=True, nonnegative=True), {}
    for name, symbol in _ERRORS.items():
        rule = quadrature_rule(name)
        power = loss_degree(rule)
        on_a_part = sp.Add(*(w * ((k + x) / parts) ** power for x, w in zip(rule.nodes, rule.weights, strict=True)))
        total = sp.summation(sp.expand(on_a_part), (k, 0, parts - 1)) / parts
        errors[symbol] = sp.expand(sp.simplify(total)) - sp.Rational(1, power + 1)
    return errors


def random_parts(random: Random) -> Case:
    """Cut [0, 1] into up to 4 parts, and apply each rule to a random polynomial of the first degree it misses."""
    count = random.randint(1, 4)
    errors: dict[sp.Symbol, sp.Expr] = {parts: sp.Integer(count)}
    for name, symbol in _ERRORS.items():
        rule = quadrature_rule(name)
        f = sp.Poly([1, *(rational(random) for _ in range(loss_degree(rule)))], _s)
        cut = composite(rule, count)
        values = (w * f.eval(x) for x, w in zip(cut.nodes, cut.weights, strict=True))
        errors[symbol] = sp.expand(sp.Add(*values) - f.integrate().eval(1))
    return errors


def smooth_coefficient(rule: Rule) -> sp.Expr:
    """Return e/m!: on n parts a rule errs by this times the change of derivative m − 1 of the gradient, over nᵐ.

    Examples
    --------
    >>> smooth_coefficient(quadrature_rule("simpson"))
    1/2880
    """
    return leading_error(rule) / sp.factorial(loss_degree(rule))


def exponential_error() -> list[Case]:
    """Miss the integral of exp(as), for any a, by rules of three orders.

    The n = 1/ε parts are a geometric series: with x = aε a rule gives the integral (eᵃ − 1)/a times the factor
    F = x·Q[eˣˢ]/(eˣ − 1), and F − 1 = (Q[eˣˢ] − ∫eˣˢ)·x/(eˣ − 1) = e·xᵐ/m! + O(xᵐ⁺¹). Derivative m − 1 of exp(as)
    changes by aᵐ⁻¹(eᵃ − 1), so the error over εᵐ tends to e/m! times that. Both are linear in the integrand, and
    exponentials, imaginary a among them, make up every smooth one.
    """
    a, x = sp.symbols("a x", positive=True)
    cases: list[Case] = []
    for name in ("left", "trapezoid", "simpson"):
        rule = quadrature_rule(name)
        order = loss_degree(rule)
        factor = (
            x * sp.Add(*(w * sp.exp(x * s) for s, w in zip(rule.nodes, rule.weights, strict=True))) / (sp.exp(x) - 1)
        )
        excess = sp.series(factor, x, 0, order + 1).removeO() - 1
        error = (sp.exp(a) - 1) / a * sp.expand(excess.subs(x, a * width) / width**order)
        changed = a ** (order - 1) * (sp.exp(a) - 1)
        cases.append({E_smooth: error, dg: changed, e: leading_error(rule), m: sp.Integer(order)})
    return cases


def smooth_error(name: str, step: Fraction) -> Case:
    """Miss the integral of a fixed polynomial of degree 9 by a rule on parts of length ε."""
    rule, f = quadrature_rule(name), sp.Poly([2, -1, 0, 3, -2, 1, 5, -1, 2, 1], _s)
    order, cut = loss_degree(rule), composite(rule, round(1 / step))
    total = sp.Add(*(w * f.eval(x) for x, w in zip(cut.nodes, cut.weights, strict=True)))
    below = f.diff((_s, order - 1))
    return {
        E_smooth: (total - f.integrate().eval(1)) / sp.Rational(step) ** order,
        dg: below.eval(1) - below.eval(0),
        e: leading_error(rule),
        m: sp.Integer(order),
    }


# --- claims ----------------------------------------------------------------------------------------------------------

_EXACT = {p_left: 1, p_mid: 2, p_trap: 2, p_simpson: 4, p_boole: 6, p_gauss: 2 * n}
_STATED = {symbol: sp.sympify(degree) for symbol, degree in _EXACT.items()}
_MISSED = {
    symbol: leading_error(quadrature_rule(name)) / parts ** loss_degree(quadrature_rule(name))
    for name, symbol in _ERRORS.items()
}

DEGREES = Claim(
    id="LCA-09",
    slug="lca.quadrature",
    title="Simpson's rule, which is the paper's RK4, allocates losses of degree 4 exactly; Gauss's with n nodes, 2n",
    status="exact",
    statement=equations(_STATED),
    assumptions=(
        Assumption("nodes of Gauss's rule: n ≥ 1", n, sp.S.Naturals),
        given("polynomial losses of any number of coordinates; straight steps; every coordinate by itself"),
    ),
    source=LAN_2019.where("appendix on accuracy, Runge–Kutta of order 4"),
    evidence=(Identity(integrate_powers), Property(allocate_until_wrong, examples=4)),
    mutants=(
        Mutant("Simpson's to the degree of the parabola through its nodes", equations(_STATED, {p_simpson: sp.S(3)})),
        Mutant("trapezoid better than midpoint", equations(_STATED, {p_trap: sp.S(3)})),
        Mutant("Gauss's to the degree 2n + 1", equations(_STATED, {p_gauss: 2 * n + 1})),
        Mutant("Gauss's to the degree 2n − 1, that of the gradient", equations(_STATED, {p_gauss: 2 * n - 1})),
        Mutant("Boole's to degree 5", equations(_STATED, {p_boole: sp.S(5)})),
        Mutant("midpoint no better than an end", equations(_STATED, {p_mid: sp.S.One})),
    ),
    meanings=(
        (p_left, "degree of the losses that the left or the right end's gradient allocates exactly"),
        (p_mid, "the same for the midpoint rule"),
        (p_trap, "the same for the trapezoidal rule"),
        (p_simpson, "the same for Simpson's rule, three gradients"),
        (p_boole, "the same for Boole's rule, five gradients"),
        (p_gauss, "the same for Gauss–Legendre with n gradients"),
    ),
    note="Simpson's end is the next step's start: it spends two gradients a step, as Gauss's with n = 2 of the same "
    "degree, whose error is two thirds as large and of opposite sign.",
)

PARTS = Claim(
    id="LCA-13",
    slug="lca.parts",
    title="On n equal parts the error of a rule falls as n⁻ᵐ, m the first degree it misses: Simpson's by 16 a doubling",
    status="exact",
    statement=equations(_MISSED),
    assumptions=(
        Assumption("parts: n ≥ 1", parts, sp.S.Naturals),
        given("an integrand that is a monic polynomial of degree m in the fraction s of the step"),
    ),
    source=LAN_2019.where("code: doubling of the parts until the error is below 0.001"),
    evidence=(Identity(add_up_parts), Property(random_parts, examples=4)),
    mutants=(
        Mutant("Simpson's error of order 3", equations(_MISSED, {E_simpson: sp.Rational(1, 120) / parts**3})),
        Mutant("Simpson's and Gauss's error of one sign", equations(_MISSED, {E_gauss2: -_MISSED[E_gauss2]})),
        Mutant("error per part, not added up", equations(_MISSED, {E_trap: sp.Rational(1, 6) / parts**3})),
        Mutant("Boole's error that of Simpson's", equations(_MISSED, {E_boole: _MISSED[E_simpson]})),
    ),
    meanings=symbols.meanings(sp.Add(*_ERRORS.values())),
)

SMOOTH = Claim(
    id="LCA-16",
    slug="lca.smooth-error",
    title="On n parts a rule errs by e/(m!nᵐ) times the change of derivative m − 1 of the gradient along the step",
    status="leading-order",
    statement=equals(E_smooth, e * dg / sp.factorial(m)),
    assumptions=(
        positive(width, "length of a part, ε = 1/n"),
        given("a gradient with enough derivatives along the step; e and m as in LCA-13, for any rule"),
    ),
    source=HERE,
    evidence=(
        Identity(exponential_error, remainder=(width, 1)),
        Order(partial(smooth_error, "left"), width, 1, Fraction(1, 2)),
        Order(partial(smooth_error, "simpson"), width, 2, Fraction(1, 2)),
    ),
    mutants=(
        Mutant("no error to this order", equals(E_smooth, 0)),
        Mutant("without the factorial", equals(E_smooth, e * dg)),
        Mutant("opposite sign", equals(E_smooth, -e * dg / sp.factorial(m))),
        Mutant("factorial of m + 1", equals(E_smooth, e * dg / sp.factorial(m + 1))),
    ),
    meanings=(
        (E_smooth, "error of the mean gradient of a step, times nᵐ"),
        (dg, "change of derivative m − 1 of the gradient, with respect to the fraction of the step"),
        (e, "by how much the rule misses sᵐ on one part"),
        (m, "first degree it misses"),
    ),
    note="For Simpson's rule e/m! = 1/2880. Rules with the same order differ by this number alone.",
)

CLAIMS = (DEGREES, PARTS, SMOOTH)
"""The theory, in the order of the ledger."""
