"""How much room a degenerate minimum leaves: volumes of loss below ε, and the learning coefficient λ they define.

V(ε) falls as ε^λ (log 1/ε)^(m−1); λ is half the number of parameters at a regular minimum and less at a degenerate one.
For w1^(2k1) w2^(2k2) only the most degenerate direction counts; for w1^(2k1) + w2^(2k2) the directions add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.claim import (
    Assumption,
    Case,
    Claim,
    Identity,
    Mutant,
    Recursion,
    Sample,
    between,
    by_name,
    equations,
    given,
)
from sgdtheory.sources import CORLOUER_MACE_2024, WATANABE_2009

k1, k2, ε = symbols.degree_1, symbols.degree_2, symbols.threshold
λ, m = symbols.learning_coefficient, symbols.multiplicity
V, V_tie, V_sum = symbols.volume_product, symbols.volume_tie, symbols.volume_sum
Vector = NDArray[np.float64]
_z, _more = sp.Symbol("z"), sp.Dummy("j", positive=True)


def product_volume() -> sp.Expr:
    """Return the area of w1^(2k1) w2^(2k2) < ε in the unit square, k1 ≠ k2.

    Examples
    --------
    >>> product_volume().subs({k1: 1, k2: 2, ε: sp.Rational(1, 16)})
    3/4
    """
    a, b = 2 * k1, 2 * k2
    return (a * ε ** (1 / a) - b * ε ** (1 / b)) / (a - b)


def tie_volume() -> sp.Expr:
    """Return the area of w1^(2k1) w2^(2k1) < ε in the unit square: a logarithm comes in.

    Examples
    --------
    >>> tie_volume().subs(k1, 1)
    sqrt(eps_K)*(1 - log(eps_K)/2)
    """
    return ε ** (1 / (2 * k1)) * (1 - sp.log(ε) / (2 * k1))


def sum_volume() -> sp.Expr:
    """Return the area of w1^(2k1) + w2^(2k2) < ε in the plane.

    Examples
    --------
    >>> sum_volume().subs({k1: 1, k2: 1})
    pi*eps_K
    """
    a, b = 1 / (2 * k1), 1 / (2 * k2)
    return 4 * sp.gamma(1 + a) * sp.gamma(1 + b) / sp.gamma(1 + a + b) * ε ** (a + b)


def crossing_exponents() -> tuple[sp.Expr, sp.Expr]:
    """Return λ and multiplicity of w1^(2k1) w2^(2k2) at the origin, or of the product of any powers of two coordinates.

    Examples
    --------
    >>> tuple(e.subs({k1: 1, k2: 2}) for e in crossing_exponents())
    (1/4, 1)
    """
    return 1 / (2 * sp.Max(k1, k2)), 1 + sp.KroneckerDelta(k1, k2)


def poles() -> list[Case]:
    """Read λ and m off the poles of the zeta function of the loss.

    ζ(z) = ∫∫ K^z over the unit square splits, ∫ u^(2kz) du = 1/(2kz + 1): poles at −1/(2k1) and −1/(2k2). V' is the
    inverse Mellin transform of ζ, so the pole nearest to 0, at −λ and of order m, makes V fall as ε^λ (log 1/ε)^(m−1).
    Call the larger degree k1; exchanged, all is the same. The poles then lie apart, or coincide for k2 = k1.
    """
    cases: list[Case] = []
    for larger in (k2 + _more, k2):
        orders = sp.roots((2 * larger * _z + 1) * (2 * k2 * _z + 1), _z)
        nearest = next(p for p in orders if all(sp.factor(p - other).is_nonnegative for other in orders))
        cases.append({k1: larger, λ: -nearest, m: sp.Integer(orders[nearest])})
    return cases


def log_volume(t: float, k1: float, k2: float) -> float:
    """Return log V at ε = e^(−t): ∫ e^(−s) min(1, (ε/u^(2k1))^(1/(2k2))) ds, u = e^(−s), by the trapezoidal rule.

    Examples
    --------
    >>> round(log_volume(16, 1, 1), 4) == round(-8 + math.log(9), 4)
    True
    """
    s = np.linspace(0, t / (2 * k1) + 40, 40_001)
    logs = -s - np.maximum(t - 2 * k1 * s, 0) / (2 * k2)
    top = float(logs.max())
    return top + math.log(float(np.trapezoid(np.exp(logs - top), s)))


def fall_far_down(point: Case) -> Case:
    """See how V falls at ε = e^(−t), t = 800 and 1600: log V = −λt + (m − 1) log t + a constant + O(1/t).

    With G = t d(log V)/dt = −λt + m − 1, both exponents follow from two G.
    """
    degrees = float(point[k1]), float(point[k2])

    def slope(t: float) -> float:
        return (log_volume(1.01 * t, *degrees) - log_volume(0.99 * t, *degrees)) / 0.02

    near, far = slope(800), slope(1600)
    return {**point, λ: (near - far) / 800, m: 1 + 2 * near - far}


def integrate_volumes() -> Case:
    """Integrate the height over the base; in the plane, substitute until Euler's integral stands there.

    Over u in [0, 1] the set K < ε reaches up to min(1, (ε u^(−a))^(1/b)), a = 2k1, b = 2k2: up to 1 as far as
    u = ε^(1/a), and (ε u^(−a))^(1/b) beyond, whose integral is a power of u, or a logarithm for a = b. For the sum,
    four times the integral of (ε − w^a)^(1/b) up to w = ε^(1/a); with w = (εs)^(1/a) it is ε^(1/a + 1/b)/a times
    ∫ s^(1/a − 1)(1 − s)^(1/b) ds = B(1/a, 1 + 1/b). Its exponent of ε is λ.
    """
    a, b, u = 2 * k1, 2 * k2, sp.Dummy("u", positive=True)
    corner = ε ** (1 / a)
    power = u ** (1 - a / b) / (1 - a / b)
    apart = corner + ε ** (1 / b) * (power.subs(u, 1) - power.subs(u, corner))
    tied = corner + ε ** (1 / a) * sp.integrate(1 / u, (u, corner, 1))
    euler = sp.gamma(1 / a) * sp.gamma(1 + 1 / b) / sp.gamma(1 + 1 / a + 1 / b)
    area = 4 * ε ** (1 / a + 1 / b) / a * euler
    return {
        V: sp.powsimp(sp.expand(apart)), V_tie: sp.expand_log(tied),
        V_sum: area, λ: sp.simplify(ε * area.diff(ε) / area),
    }  # fmt: skip


def integrate_on_a_grid(point: Case) -> Case:
    """Take the areas by quadrature in a variable that spreads out the corner at 0; λ from two values of ε."""
    first, second, level = (float(point[s]) for s in (k1, k2, ε))

    def around(height: Callable[[Vector], Vector], end: float) -> float:
        x = (np.arange(200_000) + 0.5) / 200_000
        return float(np.mean(height(end * x**3) * 3 * end * x**2))  # midpoints of u = x³

    def above(power: float) -> float:
        return around(lambda u: np.minimum(1, (level / u ** (2 * first)) ** (1 / (2 * power))), 1.0)

    def plane(level: float) -> float:
        end = level ** (1 / (2 * first))
        return 4 * around(lambda w: (level - (end - w) ** (2 * first)).clip(0) ** (1 / (2 * second)), end)

    exponent = math.log(plane(2 * level) / plane(level)) / math.log(2)
    return {**point, V: above(second), V_tie: above(first), V_sum: plane(level), λ: exponent}


_AT: dict[sp.Symbol, float] = {k1: 1, k2: 2, ε: 0.01}


def draw_product(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw points of the unit square and say whether u²v⁴ < 0.01."""
    u, v = rng.random((2, count))
    return np.asarray(u**2 * v**4 < 0.01, dtype=np.float64)


def draw_sum(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw points of a rectangle around u² + v⁴ < 0.01; 4 times its area where inside, else 0."""
    end = 0.01**0.5, 0.01**0.25
    u, v = rng.random((2, count))
    return np.asarray(4 * end[0] * end[1] * ((end[0] * u) ** 2 + (end[1] * v) ** 4 < 0.01))


_DEGREES = (
    Assumption("degree along the first: k₁ ≥ 1", k1, sp.Interval(1, sp.oo)),
    Assumption("degree along the second: k₂ ≥ 1", k2, sp.Interval(1, sp.oo)),
)
_at = by_name(a=k1, b=k2, e=ε)
_λ, _m = crossing_exponents()

CROSSING = Claim(
    id="DEG-13",
    slug="degenerate.learning-coefficient",
    title="The loss w₁^(2k₁) w₂^(2k₂) has the learning coefficient min 1/(2kᵢ), with multiplicity 2 exactly if k₁ = k₂",
    status="corrected",
    statement=equations({λ: _λ, m: _m}),
    assumptions=(*_DEGREES, given("a prior that is positive and continuous at the origin")),
    source=CORLOUER_MACE_2024.where("learning coefficient of w₁^(2k₁) w₂^(2k₂)"),
    evidence=(
        Identity(poles),
        # 1/(λt) is missing from m at a tie, 0.5 % at t = 800
        Recursion(fall_far_down, (_at(a=1, b=1), _at(a=1, b=2), _at(a=3, b=2), _at(a=2, b=2)), 1e-2),
    ),
    mutants=(
        Mutant("as printed: min(1/k₁, 1/k₂)", equations({λ: 2 * _λ, m: _m})),
        Mutant("both directions count", equations({λ: 1 / (2 * k1) + 1 / (2 * k2), m: _m})),
        Mutant("the less degenerate one counts", equations({λ: 1 / (2 * sp.Min(k1, k2)), m: _m})),
        Mutant("multiplicity always 1", equations({λ: _λ, m: sp.S.One})),
    ),
    meanings=symbols.meanings(λ + m),
    note="At k = 1 in one dimension λ must be ½, half the number of parameters of a regular minimum. The printed "
    "formula may have lost its ½ on the way: in the same text ½ stands as 12.",
)

_PRODUCTS = {V: product_volume(), V_tie: tie_volume()}
_LEADING = 2 * k2 * ε ** (1 / (2 * k2)) / (2 * k2 - 2 * k1)

VOLUMES = Claim(
    id="DEG-14",
    slug="degenerate.volume-of-product",
    title="The volume of w₁^(2k₁) w₂^(2k₂) < ε has two powers of ε, or one and a logarithm if k₁ = k₂",
    status="exact",
    statement=equations(_PRODUCTS),
    assumptions=(*_DEGREES, between(ε, 0, 1, "level"), given("the unit square; k₁ ≠ k₂ in the first equation")),
    source=WATANABE_2009,
    evidence=(
        Identity(integrate_volumes),
        # midpoints at the corner of the set, some 10⁻⁵
        Recursion(integrate_on_a_grid, (_at(a=1, b=2, e="0.01"), _at(a=3, b=2, e="0.1")), 1e-4),
        Sample(V, draw_product, _AT, resolution=0.05),
    ),
    mutants=(
        Mutant("the leading power alone", equations(_PRODUCTS, {V: _LEADING})),
        Mutant("no logarithm at a tie", equations(_PRODUCTS, {V_tie: ε ** (1 / (2 * k1))})),
        Mutant("degrees 1/k", equations({V: product_volume().subs({k1: k1 / 2, k2: k2 / 2}, simultaneous=True)})),
    ),
    meanings=symbols.meanings(V + V_tie),
    note="At a tie λ seen as the slope of log V against log ε is too small by 1/(1/λ + log 1/ε): still 4 % of "
    "λ = ¼ at ε = 10⁻⁴⁰.",
)

SUM = Claim(
    id="DEG-15",
    slug="degenerate.volume-of-sum",
    title="For w₁^(2k₁) + w₂^(2k₂) the learning coefficients add, and the volume is a power of ε with Gamma functions",
    status="exact",
    statement=equations({V_sum: sum_volume(), λ: 1 / (2 * k1) + 1 / (2 * k2)}),
    assumptions=(*_DEGREES, between(ε, 0, 1, "level"), given("the whole plane")),
    source=WATANABE_2009,
    evidence=(
        Identity(integrate_volumes),
        Recursion(integrate_on_a_grid, (_at(a=1, b=2, e="0.01"), _at(a=3, b=2, e="0.1")), 1e-4),
        Sample(V_sum, draw_sum, _AT, resolution=0.05),
    ),
    mutants=(
        Mutant("one quadrant", equations({V_sum: sum_volume() / 4})),
        Mutant("the most degenerate direction alone counts", equations({λ: _λ})),
        Mutant("the box around it", equations({V_sum: 4 * ε ** (1 / (2 * k1) + 1 / (2 * k2))})),
        Mutant("degrees 1/k", equations({λ: 1 / k1 + 1 / k2})),
    ),
    meanings=symbols.meanings(V_sum + λ),
    note="With both degrees 1 it is the disc, πε, and λ = 1 = d/2.",
)

CLAIMS = (CROSSING, VOLUMES, SUM)
"""The theory, in the order of the ledger."""
