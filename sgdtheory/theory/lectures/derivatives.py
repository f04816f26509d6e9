"""Derivatives without differentiation: Hessian times vector from two gradients, and the complex step."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from itertools import product
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Assumption, Case, Claim, Identity, Mutant, Order, Property, equals, given, positive, real
from sgdtheory.derive.expansion import generic_polynomial
from sgdtheory.derive.moments import quadratic_mean
from sgdtheory.sources import MCALLESTER_2018, SQUIRE_TRAPP_1998
from sgdtheory.theory.random_instances import polynomial, rational, vector

ε, B, Σ_ii, K_ii = symbols.spacing, symbols.batch_size, symbols.noise_variance, symbols.curvature_variance
E_i, D3_i, V_same, V_other = (
    symbols.difference_error,
    symbols.third_along,
    symbols.product_same,
    symbols.product_other,
)
f3, E_c = symbols.third_derivative, symbols.complex_error


def central_error() -> sp.Expr:
    """Return ε²D³g/6, by which (g(w + εv) − g(w − εv))/(2ε) exceeds Hv; D³g is the third derivative of g along v."""
    return ε**2 * D3_i / 6


def complex_step_error() -> sp.Expr:
    """Return −ε²f'''/6, by which Im f(x + iε)/ε exceeds f'(x) to leading order."""
    return -(ε**2) * f3 / 6


# --- Hessian times vector --------------------------------------------------------------------------------------------


def subtract_gradients() -> list[Case]:
    """Expand both gradients in ε, and average over batches.

    g(w ± εv) = g ± εHv + ½ε²D²g ± ε³D³g/6 + ε⁴D⁴g/24 ± …: half the difference over ε is Hv + ε²D³g/6 + ε⁴D⁵g/120 + ….
    D⁵g is zero up to degree five of the loss, and D³g is zero for all w and v exactly up to degree three. One example's
    gradient is a ± εb along the line, with Var a = Σᵢᵢ and Var b = Kᵢᵢ. On one batch a cancels and b is left: Kᵢᵢ/B.
    On two independent batches (a + εb − a' + εb')/(2ε) has the variance (2Σᵢᵢ + 2ε²Kᵢᵢ)/(4ε²B). Loss polynomials in the
    plane stand for all dimensions, since only the values along a line enter.
    """
    w, v = sp.symbols("w1:3", real=True), sp.symbols("v1:3", real=True)
    noise = _batch_noise()
    return [{**case, **noise} for case in _differences(generic_polynomial("c", w, 5), w, v, ε)]


def _differences(loss: sp.Expr, w: Sequence[sp.Symbol], v: Sequence[sp.Expr], spacing: sp.Expr) -> list[Case]:
    """Compare both sides at the origin, component by component."""
    t = sp.Dummy("t", real=True)
    along = {x: t * vi for x, vi in zip(w, v, strict=True)}
    cases: list[Case] = []
    for x in w:
        line = sp.Poly(sp.diff(loss, x).xreplace(along), t)
        quotient = (line.eval(spacing) - line.eval(-spacing)) / (2 * spacing)
        cases.append({E_i: sp.expand(quotient - line.coeff_monomial(t)), D3_i: 6 * line.coeff_monomial(t**3)})
    return cases


def _batch_noise() -> Case:
    """Take variances of difference quotients of a ± εb, on one batch and on two."""
    a, b, other_a, other_b = batch = sp.symbols("a b a' b'", real=True)
    mixed = sp.Symbol("Sigma_ab", real=True)
    block = sp.Matrix([[Σ_ii, mixed], [mixed, K_ii]]) / B
    same = ((a + ε * b) - (a - ε * b)) / (2 * ε)
    other = ((a + ε * b) - (other_a - ε * other_b)) / (2 * ε)
    variances = (quadratic_mean(sp.expand(q**2), batch, sp.diag(block, block)) for q in (same, other))
    return dict(zip((V_same, V_other), map(sp.expand, variances), strict=True))


def random_differences(random: Random) -> list[Case]:
    """Take exact differences of random quintic losses in 1 to 4 dimensions, and average over all pairs of batches."""
    d, size = random.randint(1, 4), random.randint(1, 2)
    w, spacing = sp.symbols(f"w1:{d + 1}", real=True), sp.Rational(random.randint(1, 8), 4)
    examples = [(rational(random), rational(random)) for _ in range(random.randint(1, 3))]
    batches = [tuple(sum(column) / size for column in zip(*b, strict=True)) for b in product(examples, repeat=size)]
    same = [b for _, b in batches]
    other = [(a + spacing * b - c + spacing * e) / (2 * spacing) for (a, b), (c, e) in product(batches, repeat=2)]
    noise = {ε: spacing, B: sp.Integer(size), V_same: _variance(same), V_other: _variance(other)}
    noise |= {s: _variance([e[k] for e in examples]) for k, s in enumerate((Σ_ii, K_ii))}
    loss, direction = polynomial(random, w, 5, 12), vector(random, d)
    return [{**case, **noise} for case in _differences(loss, w, list(direction), spacing)]


def _variance(values: Sequence[sp.Expr]) -> sp.Expr:
    mean = sum(values, sp.S.Zero) / len(values)
    return sum(((x - mean) ** 2 for x in values), sp.S.Zero) / len(values)


# --- complex step ----------------------------------------------------------------------------------------------------


def step_into_the_plane(degree: int = 6, conjugate: bool = False) -> Case:
    """Expand f(x + iε) in ε.

    f(x + iε) = f + iεf' − ½ε²f'' − iε³f'''/6 + ε⁴f⁽⁴⁾/24 + …, so the imaginary part over ε is f' − ε²f'''/6 + O(ε⁴). No
    two nearly equal numbers are subtracted: rounding stays at the last digit however small ε is. Below ε⁴ only
    derivatives up to the fourth enter, so a generic polynomial seen from the origin stands for all analytic functions.
    Up to degree four there is no remainder, and up to degree two no error.
    """
    x = sp.Symbol("x", real=True)
    f = generic_polynomial("c", [x], degree)
    return _complex_step(f, [x], [sp.S.One], ε * (-1 if conjugate else 1), ε)


def _complex_step(f: sp.Expr, w: Sequence[sp.Symbol], v: Sequence[sp.Expr], imaginary: sp.Expr, step: sp.Expr) -> Case:
    """Compare both sides at the origin along v."""
    t = sp.Dummy("t", real=True)
    line = f.xreplace({x: t * vi for x, vi in zip(w, v, strict=True)})
    value = sp.expand(line.xreplace({t: sp.I * imaginary}))
    slope, third = (sp.diff(line, t, k).subs(t, 0) for k in (1, 3))
    return {E_c: sp.expand(sp.im(value) / step - slope), f3: third}


def random_complex_step(random: Random) -> Case:
    """Step exactly on random quartic functions of 1 to 4 variables, in a random direction."""
    d, step = random.randint(1, 4), sp.Rational(random.randint(1, 8), 4)
    w = sp.symbols(f"w1:{d + 1}", real=True)
    f, direction = polynomial(random, w, 4, 10), vector(random, d)
    return {ε: step, **_complex_step(f, w, list(direction), step, step)}


def complex_step_at(size: Fraction) -> Case:
    """Step from 0 on x/(1 + x + x³)², which is no polynomial, in exact complex arithmetic."""
    t, step = sp.Symbol("t", real=True), sp.Rational(size)
    f = t / (1 + t + t**3) ** 2
    value = sp.im(sp.radsimp(sp.expand_complex(f.subs(t, sp.I * step))))
    slope, third = (sp.diff(f, t, k).subs(t, 0) for k in (1, 3))
    return {E_c: value / step - slope, f3: third}


# --- claims ----------------------------------------------------------------------------------------------------------


def _products(error: sp.Expr, same: sp.Expr, other: sp.Expr) -> sp.Basic:
    return sp.And(equals(E_i, error), equals(V_same, same), equals(V_other, other))


_SAME, _OTHER = K_ii / B, Σ_ii / (2 * B * ε**2) + K_ii / (2 * B)
PRODUCTS = Claim(
    id="MCA-26",
    slug="lectures.hessian-vector",
    title="Hv from gradients at w ± εv: exact only to degree three of the loss, and both must be of one batch",
    status="exact",
    statement=_products(central_error(), _SAME, _OTHER),
    assumptions=(
        positive(ε, "spacing"),
        positive(B, "batch size"),
        Assumption("variance of one example's gradient: Σᵢᵢ ≥ 0", Σ_ii, sp.Interval(0, sp.oo)),
        Assumption("variance of one example's Hessian times v: Kᵢᵢ ≥ 0", K_ii, sp.Interval(0, sp.oo)),
        given("first part: loss of degree ≤ 5, any dimension; second: independent examples with quadratic losses"),
    ),
    source=MCALLESTER_2018.where("slides Hessian-vector products and Quasi-Newton methods"),
    evidence=(Identity(subtract_gradients), Property(random_differences, examples=30)),
    mutants=(
        Mutant("exact for every loss", _products(sp.S.Zero, _SAME, _OTHER)),
        Mutant("error of a forward difference's order", _products(central_error() / ε, _SAME, _OTHER)),
        Mutant("factor ½ instead of 1/6", _products(3 * central_error(), _SAME, _OTHER)),
        Mutant("two batches are as good as one", _products(central_error(), _SAME, _SAME)),
        Mutant("noise of two batches not magnified by the spacing", _products(central_error(), _SAME, 2 * Σ_ii / B)),
        Mutant(
            "noise of two batches at twice the spacing",
            _products(central_error(), _SAME, _OTHER - Σ_ii / (4 * B * ε**2)),
        ),
        Mutant("one batch has no noise at all", _products(central_error(), sp.S.Zero, _OTHER)),
    ),
    meanings=(
        (E_i, "difference quotient of the full gradients less Hv, one coordinate"),
        (D3_i, "third derivative of that coordinate of the gradient along v"),
        (V_same, "variance of the quotient if both gradients are of one batch"),
        (V_other, "the same for two independent batches"),
    ),
    note="For quasi-Newton methods too: gradients at two iterates from two batches differ by HΔ plus noise of variance "
    "2Σᵢᵢ/B, however small the move Δ.",
)


COMPLEX_STEP = Claim(
    id="MCA-27",
    slug="lectures.complex-step",
    title="Im f(x + iε)/ε is f'(x) − ε²f'''/6 + O(ε⁴), without subtracting: ε may be as small as numbers go",
    status="leading-order",
    statement=equals(E_c, complex_step_error()),
    assumptions=(
        positive(ε, "imaginary step, small"),
        real(f3, "f''' at x, or along a direction"),
        given("f analytic: no abs, max, comparison, conjugate or real part on the way; remainder O(ε⁴)"),
    ),
    source=SQUIRE_TRAPP_1998,
    evidence=(
        Identity(step_into_the_plane, (ε, 4)),
        Identity(partial(step_into_the_plane, 4)),
        Property(random_complex_step, examples=40),
        Order(complex_step_at, ε, 4),
    ),
    mutants=(
        Mutant("sign of the central difference", equals(E_c, -complex_step_error())),
        Mutant("factor ½ instead of 1/6", equals(E_c, 3 * complex_step_error())),
        Mutant("of first order", equals(E_c, complex_step_error() / ε)),
        Mutant("exact for every f", equals(E_c, sp.S.Zero)),
        Mutant(
            "f of the conjugate, which is not analytic",
            evidence=(Identity(partial(step_into_the_plane, conjugate=True), (ε, 4)),),
        ),
    ),
    meanings=((E_c, "Im f(x + iε)/ε less f'(x)"), (f3, "third derivative of f at x")),
    note="Exact up to degree two. The lectures' later notes use ε = 2⁻⁵⁰; a product there reads a + a' where it should "
    "be aa'.",
)

CLAIMS = (PRODUCTS, COMPLEX_STEP)
"""The theory, in the order of the ledger."""
