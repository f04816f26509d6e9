"""How far the lectures' guarantee can be trusted: how often it holds, and what the estimate of B* is worth.

The guarantee takes the gradient to lie within zσ/√B of its estimate ĝ, with ĝ > 0. Estimates are normal here, as means
of many examples are, and the loss is the worst one allowed, of curvature L: any flatter loss keeps the bound as often.
"""

from __future__ import annotations

import math

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
    by_name,
    equations,
    given,
    positive,
)
from sgdtheory.sources import HERE, MCALLESTER_2018
from sgdtheory.theory.lectures.batch_size import guarantee

B, z, r = symbols.batch_size, symbols.confidence, symbols.standard_errors
P_up, P_down, P_small, P_large = symbols.held_up, symbols.held_down, symbols.held_small, symbols.held_large
C, P_3, b, bias = symbols.tail, symbols.exceed_three, symbols.level, symbols.spread_ratio
ĝ, σ = symbols.estimated_gradient, symbols.noise_std
_n = sp.Symbol("n", real=True)


def normal_probability(low: sp.Expr, high: sp.Expr) -> sp.Expr:
    """Return P(low < n < high) for a standard normal n, with its sign if the ends are crossed.

    Examples
    --------
    >>> normal_probability(-sp.oo, 0)
    1/2
    """
    return sp.integrate(sp.exp(-(_n**2) / 2) / sp.sqrt(2 * sp.pi), (_n, low, high))


def how_often_it_holds() -> Case:
    """Find the estimates for which the bound holds, and their probability.

    Measure gradients in standard errors σ/√B: the gradient is r > 0, the estimate r + n. On the loss of curvature L the
    bound η(ĝ − zσ/√B)ĝ − ½Lη²ĝ² is kept exactly if gĝ ≥ (ĝ − zσ/√B)ĝ, whatever η and L: r(r + n) ≥ (r + n − z)(r + n),
    that is (n + r)(n − z) ≤ 0, or −r ≤ n ≤ z. It fails for large n, as a confidence bound may, and for every ĝ of the
    wrong sign, which is no matter of confidence. For a gradient −r it is (n − r)(n − z) ≤ 0: n between r and z.

    With |ĝ| − zσ/√B times |ĝ| instead: for n ≥ −r as before; for n < −r, −r|ĝ| ≥ (|ĝ| − z)|ĝ| with |ĝ| = −r − n, that
    is n ≥ −z. So it is kept for −z ≤ n ≤ z if r < z and for −r ≤ n ≤ z if r ≥ z.
    """
    return {
        P_up: normal_probability(-r, z),
        P_down: sp.Abs(normal_probability(r, z)),
        P_small: normal_probability(-z, -r) + normal_probability(-r, z),
        P_large: normal_probability(-r, z),
    }


def bound_kept(r_true: float, sign: int, absolute: bool = False) -> Sample:
    """Take one step on a quadratic of curvature 1 from batches of 4 and ask whether the bound held, z = 2."""
    size, lr, std, multiplier = 4, 0.3, 1.5, 2
    gradient = sign * r_true * std / math.sqrt(size)

    def draw(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        promise = sp.lambdify(ĝ, guarantee(lr, size).subs({σ: std, symbols.smoothness: 1, z: multiplier}), "numpy")
        estimate = rng.normal(gradient, std, (n, size)).mean(axis=1)
        fall = (gradient**2 - (gradient - lr * estimate) ** 2) / 2  # of ½w² from w = g
        return np.asarray(fall >= promise(np.abs(estimate) if absolute else estimate), dtype=np.float64)

    quantity = (P_small if r_true < multiplier else P_large) if absolute else P_up if sign > 0 else P_down
    values = {r: sp.Rational(str(r_true)), z: sp.Integer(multiplier)}
    return Sample(quantity, draw, values, resolution=0.02)


def law_of_the_estimate() -> Case:
    """Find how often the estimated B* = 4z²σ̂²/ĝ² is large, for normal gradients; σ̂ is the batch's own spread.

    n = ĝ√B/σ is normal of mean r and variance 1; s = σ̂√B/σ, independent of it, has the χ law of B − 1 degrees of
    freedom. The estimate exceeds b exactly if |n| < εs with ε = 2z/√b, of which the probability, given s, is
    Φ(εs − r) − Φ(−εs − r). For small ε that is 2φ(r)εs, never more than 0.8εs; so √b·P(B̂* > b) → 2z·2φ(r)·E s, by
    dominated convergence, and E s = √2 Γ(B/2)/Γ((B − 1)/2). The limit is positive: P(B̂* > b) falls only as 1/√b, and
    the mean ∫P(B̂* > b)db is infinite, whatever the gradient and the batch size.

    For B = 3 the density of s is s·exp(−s²/2); integrated by parts, P(B̂* > b) is ε∫(φ(εs − r) + φ(εs + r))exp(−s²/2)ds
    over s > 0, that is ε∫φ(εs − r)exp(−s²/2)ds over all s: a normal integral.

    σ̂² is the mean of xᵢ² less ĝ²; the means of the two are σ² + g² and σ²/B + g², for any law: (1 − 1/B)σ².
    """
    s, ε, k = sp.symbols("s epsilon k", positive=True)
    chi_mean = sp.integrate(s**k * sp.exp(-(s**2) / 2), (s, 0, sp.oo)) / (2 ** (k / 2 - 1) * sp.gamma(k / 2))
    slope = sp.diff(normal_probability(-ε * s - r, ε * s - r), ε).subs(ε, 0) / s
    centred = _n + ε * r / (1 + ε**2)  # where the exponent has its top
    exponent = sp.collect(sp.expand(-((ε * centred - r) ** 2) / 2 - centred**2 / 2), _n, sp.factor)
    three = ε * sp.integrate(sp.exp(exponent) / sp.sqrt(2 * sp.pi), (_n, -sp.oo, sp.oo))
    g = sp.Symbol("g", real=True)
    own = (σ**2 + g**2) - (σ**2 / B + g**2)
    return {
        C: sp.simplify(2 * z * slope * chi_mean.subs(k, B - 1)),
        P_3: three.subs(ε, 2 * z / sp.sqrt(b)),
        bias: own / σ**2,
    }


def integrate_numerically(point: Case) -> Case:
    """Average over s by quadrature, at a level of 10¹⁰ for the tail; for the spread, count tosses of a fair coin."""
    size = int(point[B])
    heads = sum(
        sp.Rational(math.comb(size, k), 2**size) * sp.Rational(k * (size - k), size**2) for k in range(size + 1)
    )
    far = 1e10
    return {
        **point,
        C: math.sqrt(far) * _exceeds(far, size, float(point[z]), float(point[r])),
        P_3: _exceeds(float(point[b]), 3, float(point[z]), float(point[r])),
        bias: 4 * heads,
    }


def _exceeds(level: float, size: int, multiplier: float, gradient: float) -> float:
    """Return P(B̂* > b) = E[Φ(εs − r) − Φ(−εs − r)] over the χ law of s, by Gauss–Legendre quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    s, dof, small = 6 * (1 + nodes), size - 1, 2 * multiplier / math.sqrt(level)
    density = s ** (dof - 1) * np.exp(-(s**2) / 2) / (2 ** (dof / 2 - 1) * math.gamma(dof / 2))
    inside = [
        math.erf((small * x - gradient) / math.sqrt(2)) + math.erf((small * x + gradient) / math.sqrt(2)) for x in s
    ]
    return float(6 * np.sum(weights * density * np.array(inside) / 2))


def draw_three(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Estimate B* from n batches of three normal gradients with r = 1, z = 2; 1 where it exceeds 16."""
    gradients = rng.normal(1 / math.sqrt(3), 1, (n, 3))
    estimated = 16 * gradients.var(axis=1) / gradients.mean(axis=1) ** 2
    return np.asarray(estimated > 16, dtype=np.float64)


_point = by_name(B=B, z=z, r=r, b=b)


_UP = (sp.erf(z / sp.sqrt(2)) + sp.erf(r / sp.sqrt(2))) / 2
_HELD = {
    P_up: _UP,
    P_down: sp.Abs(sp.erf(z / sp.sqrt(2)) - sp.erf(r / sp.sqrt(2))) / 2,
    P_small: sp.erf(z / sp.sqrt(2)),
    P_large: _UP,
}
_NORMAL = given("normal estimate of known standard error; loss of curvature L, the worst allowed")

CONFIDENCE = Claim(
    id="MCA-04",
    slug="lectures.confidence",
    title="The progress guarantee is a confidence statement, and it needs |ĝ|: for a negative gradient it mostly fails",
    status="corrected",
    statement=equations(_HELD),
    assumptions=(positive(r, "gradient in standard errors"), positive(z, "confidence multiplier"), _NORMAL),
    source=MCALLESTER_2018.where("slide A Progress Guarantee"),
    evidence=(
        Identity(how_often_it_holds),
        bound_kept(0.5, +1),
        bound_kept(2.5, +1),
        bound_kept(0.5, -1),
        bound_kept(0.5, +1, absolute=True),
        bound_kept(2.5, -1, absolute=True),
    ),
    mutants=(
        Mutant("as printed: it always holds", equations(_HELD, dict.fromkeys(_HELD, sp.S.One))),
        Mutant("two-sided, whatever the gradient", equations(_HELD, {P_up: _HELD[P_small], P_down: _HELD[P_small]})),
        Mutant("one-sided, whatever the gradient", equations(_HELD, {P_up: (1 + sp.erf(z / sp.sqrt(2))) / 2})),
        Mutant("a negative gradient is as safe", equations(_HELD, {P_down: _UP})),
        Mutant("with |ĝ| nothing changes at small gradients", equations(_HELD, {P_small: _UP})),
        Mutant("with |ĝ| it is two-sided at large gradients too", equations(_HELD, {P_large: _HELD[P_small]})),
    ),
    meanings=(
        (P_up, "probability that the bound holds as printed, gradient > 0"),
        (P_down, "the same, gradient < 0"),
        (P_small, "probability that the bound with |ĝ| for ĝ holds, r < z"),
        (P_large, "the same, r ≥ z"),
    ),
    note="P_up = Φ(z) − Φ(−r): at z = 2, 0.67 for r = ½ and at most 0.98. P_down tends to 1 − Φ(z) = 0.02 for clear "
    "gradients. With σ estimated from the batch the law is Student's t of B − 1 degrees of freedom, with wider tails.",
)

_LAW = {
    C: 4 * z * sp.exp(-(r**2) / 2) * sp.gamma(B / 2) / (sp.sqrt(sp.pi) * sp.gamma((B - 1) / 2)),
    P_3: 2 * z / sp.sqrt(b + 4 * z**2) * sp.exp(-(r**2) * b / (2 * (b + 4 * z**2))),
    bias: 1 - 1 / B,
}
_unbiased_three = _LAW[P_3].subs(b, 2 * b / 3)

PLUG_IN = Claim(
    id="MCA-05",
    slug="lectures.plug-in",
    title="Estimated from one batch, B* has an infinite mean, and the batch's own variance is too small",
    status="exact",
    statement=sp.And(equations(_LAW), sp.Gt(C, 0)),
    assumptions=(
        Assumption("batch size: B ≥ 2; one example has no spread", B, sp.Interval(2, sp.oo)),
        positive(r, "gradient in standard errors; the law at 0 is the limit"),
        positive(z, "confidence multiplier"),
        positive(b, "a level"),
        given("normal gradients for C_B and P_3; any law for the variance"),
    ),
    source=HERE,
    evidence=(
        Identity(law_of_the_estimate),
        # the tail is taken at 10¹⁰, where what is left is of order z²r²/10¹⁰; quadrature is exact to rounding
        Recursion(
            integrate_numerically,
            (_point(B=3, z=2, r=1, b=16), _point(B=2, z=1, r=0.5, b=3), _point(B=8, z=2, r=2, b=100)),
            1e-7,
        ),
        Sample(P_3, draw_three, {r: sp.Integer(1), z: sp.Integer(2), b: sp.Integer(16)}, resolution=0.02),
    ),
    mutants=(
        Mutant("a tail light enough for a mean", equations(_LAW, {C: sp.S.Zero})),
        Mutant("the same tail for every batch size", equations(_LAW, {C: _LAW[C].subs(B, 3)})),
        Mutant("a gradient does not tame the tail", equations(_LAW, {C: _LAW[C].subs(r, 0)})),
        Mutant("the law of no gradient", equations(_LAW, {P_3: _LAW[P_3].subs(r, 0)})),
        Mutant("the law with the unbiased variance", equations(_LAW, {P_3: _unbiased_three})),
        Mutant("the batch's own variance is unbiased", equations(_LAW, {bias: sp.S.One})),
    ),
    meanings=(
        (C, "limit of √b times the probability that the estimate exceeds b"),
        (P_3, "probability that the estimate from 3 examples exceeds b"),
        (bias, "mean of the batch's own variance (divisor B) over σ²"),
    ),
    note="4z²(B − 1)/B̂* has the noncentral F law of (1, B − 1) degrees of freedom and noncentrality r² = Bg²/σ². "
    "Quantiles of B̂* exist; report those. At B = 1 the estimate is 0 whatever the data.",
)

CLAIMS = (CONFIDENCE, PLUG_IN)
"""The theory, in the order of the ledger."""
