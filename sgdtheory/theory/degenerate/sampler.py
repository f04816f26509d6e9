"""What a sampler makes of the learning coefficient: localisation and Langevin's Euler steps, in closed form.

The estimate is λ̂ = nβ times the mean excess loss along a Langevin run, which a pull ½γw² keeps near the minimum. The
pull lowers it, the finite step raises it; on a quartic long steps end in divergence.
"""

from __future__ import annotations

import math

import numpy as np
import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import (
    Case,
    Claim,
    Ensemble,
    Identity,
    Mutant,
    Recursion,
    by_name,
    equations,
    given,
    positive,
    where,
)
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.derive.search import bisect
from sgdtheory.derive.transition import stationary_law
from sgdtheory.optimizers import Langevin
from sgdtheory.problem import landscape
from sgdtheory.sources import HERE, LAU_2023
from sgdtheory.theory.degenerate.posterior import line_moments

n, h, γ, ε = symbols.sharpening, symbols.curvature, symbols.localisation, symbols.langevin_step
estimate, tempered, ρ = symbols.sampled_llc, symbols.tempered_loss, symbols.bessel_ratio
far, bias, M_6 = symbols.runaway, symbols.sampler_bias, symbols.sixth_moment
_w = sp.Symbol("w", real=True)
_BOWL = landscape((n * h + γ) * _w**2 / 2, [_w], name="tempered and localised quadratic")
_QUARTER = sp.Rational(1, 4)


def sampled_quadratic() -> sp.Expr:
    """Return λ̂ of Langevin's Euler steps on ½hw²: 2nβh/(A(4 − εA)), A = γ + nβh; the true λ is ½.

    Examples
    --------
    >>> sampled_quadratic().subs({n: 100, h: 1, γ: 0, ε: sp.Rational(1, 100)})
    2/3
    """
    stiffness = γ + n * h
    return 2 * n * h / (stiffness * (4 - ε * stiffness))


def localised_quartic(ratio: sp.Expr | None = None) -> sp.Expr:
    """Return the mean of nβw⁴ under exp(−nβw⁴ − ½γw²): ¼ + z(1 − K_{3/4}(z)/K_{1/4}(z)), z = γ²/(32nβ).

    Parameters
    ----------
    ratio : expression, optional
        Stands for the quotient of Bessel functions.

    Examples
    --------
    >>> [round(float(localised_quartic().subs({n: 1000, γ: g})), 4) for g in (1, 10, 100)]
    [0.2473, 0.2249, 0.0961]
    """
    z = γ**2 / (32 * n)
    if ratio is None:
        ratio = sp.besselk(3 * _QUARTER, z) / sp.besselk(_QUARTER, z)
    return _QUARTER + z * (1 - ratio)


def sampled_quartic() -> sp.Expr:
    """Return λ̂ of Langevin's Euler steps on w⁴ to leading order: ¼ + ε√(nβ)·Γ(7/4)/Γ(1/4).

    Examples
    --------
    >>> [round(float(sampled_quartic().subs({n: 1000, ε: e})), 3) for e in (0.001, 0.003)]
    [0.258, 0.274]
    """
    return _QUARTER + ε * sp.sqrt(n) * sp.gamma(7 * _QUARTER) / sp.gamma(_QUARTER)


def settle() -> Case:
    """Solve the Lyapunov equation of Euler's steps on the tempered and localised quadratic.

    A step is w' = (1 − εA/2)w + √ε ζ with A = γ + nβh, so V = (1 − εA/2)²V + ε, V = 4/(A(4 − εA)); λ̂ = nβ·½hV.
    """
    variance = stationary_covariance(_BOWL, Langevin(lr=ε / 2, temperature=1), 1)[0, 0]
    return {estimate: n * h * variance / 2}


def localise() -> Case:
    """Check Bessel's function against the equation that the integral solves, and differentiate it.

    By parts, ∫ (w e^(−S))' = 0 with S = nβw⁴ + bw², b = γ/2, gives Z = 4nβ⟨w⁴⟩ + 2b⟨w²⟩ = 4nβ Z_bb − 2b Z_b: an
    equation of second order, solved by √b e^z K_{1/4}(z), z = b²/(8nβ), the solution that falls as b → ∞. Z depends on
    b/√(nβ) but for a factor (nβ)^(−1/4), hence the mean of nβw⁴ is ¼ + ½ b d log Z/db; and K' by its recurrence is
    −K_{3/4} − K_{1/4}/(4z).
    """
    z, b = sp.Dummy("z", positive=True), γ / 2
    low, high = sp.Function("K_low")(z), sp.Function("K_high")(z)  # K_{1/4} and K_{3/4}
    slopes = {low.diff(z): -high - low / (4 * z), high.diff(z): -low - 3 * high / (4 * z)}
    # d/db = (2z/b) d/dz on √b e^z K
    first = low / 2 + 2 * z * (low + low.diff(z)).xreplace(slopes)  # √b e^(−z) Z_b
    second = -first / 2 + 2 * z * (first + first.diff(z)).xreplace(slopes)  # b√b e^(−z) Z_bb
    residual = sp.expand(second / (2 * z) - 2 * first - low)  # of 4nβ Z_bb − 2b Z_b − Z, as 4nβ = b²/(2z)
    # what did not vanish of the equation would stand in the result
    mean = sp.expand(_QUARTER + first / low / 2 + residual)
    return {tempered: mean.xreplace({high: ρ * low}).subs(z, b**2 / (8 * n))}


def balance() -> Case:
    """Ask that a step on nβw⁴ leaves the mean of w² as it is, and where a step without noise stops leading inwards.

    w' = w − 2εnβw³ + √ε ζ, so E w'² = E w² − 4εnβE w⁴ + 4ε²(nβ)²E w⁶ + ε: nβE w⁴ exceeds ¼ by ε(nβ)²E w⁶. For small
    steps E w⁶ is that of exp(−nβw⁴): with s = nβw⁴, (nβ)^(−3/2) Γ(7/4)/Γ(1/4). Without noise |w'| = |w| at w ≠ 0 only
    where 1 − 2εnβw² = −1.
    """
    w, ζ, fourth = sp.Dummy("w", positive=True), sp.Dummy("zeta"), sp.Dummy("M_4")
    s = sp.Dummy("s", positive=True)
    move = Langevin(lr=ε / 2, temperature=1).update(gradient=4 * n * w**3)
    after = sp.expand((w + move.displacement.xreplace({symbols.injected_noise: ζ})) ** 2)
    change = sp.expand(after.coeff(ζ, 0) + after.coeff(ζ, 2) - w**2)
    mean = change.coeff(w, 0) + change.coeff(w, 4) * fourth + change.coeff(w, 6) * M_6
    (level,) = sp.solve(mean, fourth)
    moments = [sp.integrate(s ** (p * _QUARTER - 1) * sp.exp(-s), (s, 0, sp.oo)) for p in (7, 1)]
    slope = sp.expand((n * level - _QUARTER) / (ε * sp.sqrt(n)))
    posterior = slope.subs(M_6, n ** (-6 * _QUARTER) * moments[0] / moments[1])
    (edge,) = sp.solve(move.displacement.xreplace({symbols.injected_noise: 0}) / w + 2, w)
    return {estimate: n * level, far: edge, bias: posterior}


def localised_by_quadrature(point: Case) -> Case:
    """Sum exp(−nβw⁴ − ½γw²) over a fine grid; K_ν(z) = ∫ exp(−z cosh t) cosh νt dt over t > 0, likewise."""
    sharp, pull = float(point[n]), float(point[γ])
    _, mean = line_moments(lambda w: sharp * w**4, 6 * sharp**-0.25, lambda w: np.exp(-pull * w**2 / 2))
    t = np.linspace(0, 12 + max(0.0, math.log(32 * sharp / pull**2)), 40_001)
    falling = np.exp(-(pull**2) / (32 * sharp) * (np.cosh(t) - 1))
    high, low = (float(np.trapezoid(falling * np.cosh(order * t), t)) for order in (0.75, 0.25))
    return {**point, tempered: mean, ρ: high / low}


def quartic_chain(step: float) -> tuple[float, float]:
    """Return the long-run means of w⁴ and w⁶ of Euler's steps on w⁴ at nβ = 1, on a grid that ends at 3.6."""
    grid = np.linspace(-3.6, 3.6, 241)
    law = stationary_law(lambda w: w - 2 * step * w**3, lambda w: np.full_like(w, math.sqrt(step)), grid)
    return float(law @ grid**4), float(law @ grid**6)


def run_quartic(point: Case) -> Case:
    """Take the chain on a grid in the units w(nβ)^¼, in which the step is s = ε√(nβ), and extrapolate its bias to 0.

    Where noiseless steps turn outwards is found by trying.
    """
    sharp = float(point[n])
    scaled = float(point[ε]) * math.sqrt(sharp)
    fourth, sixth = quartic_chain(scaled)
    coarse, fine = ((quartic_chain(s)[0] - 0.25) / s for s in (0.02, 0.01))
    edge = bisect(lambda w: abs(w - 2 * scaled * w**3) - abs(w), 1e-3, 100.0)
    return {**point, estimate: fourth, M_6: sixth * sharp**-1.5, bias: 2 * fine - coarse, far: edge * sharp**-0.25}


_at = by_name(n=n, g=γ, e=ε)
_TEMPERED = positive(n, "examples times inverse temperature")
_PULL, _STEP = positive(γ, "strength of the pull"), positive(ε, "step")
_VALUES = {n: 50, h: 1, γ: 10, ε: 0.02}


def _of(formula: sp.Expr) -> sp.Basic:
    return equations({estimate: formula})


def _quartic(**changes: sp.Expr) -> sp.Basic:
    stated = {"estimate": _QUARTER + ε * n**2 * M_6, "far": 1 / sp.sqrt(ε * n)}
    stated |= {"bias": sp.gamma(7 * _QUARTER) / sp.gamma(_QUARTER)} | changes
    return equations(
        {quantity: stated[name] for name, quantity in (("estimate", estimate), ("far", far), ("bias", bias))}
    )


QUADRATIC = Claim(
    id="DEG-20",
    slug="degenerate.sampled-quadratic",
    title="On ½hw² a localised Langevin run estimates λ = ½ by 2nβh/(A(4 − εA)), A = γ + nβh",
    status="exact",
    statement=_of(sampled_quadratic()),
    assumptions=(
        _TEMPERED, positive(h, "curvature"), _PULL, _STEP, where(sp.Lt(ε * (γ + n * h), 4), "ε(γ + nβh) < 4"),
        given("w' = w − (ε/2)(nβL' + γw) + √ε ζ, exact gradients"),
    ),
    source=LAU_2023.where("the estimator; its bias is derived here"),
    evidence=(
        Identity(settle),
        Ensemble(
            estimate, n * h * _w**2 / 2, "mean", _BOWL, Langevin(lr=ε / 2, temperature=1), _VALUES,
            steps=20, start=(0,), resolution=0.03,
        ),
    ),
    mutants=(
        Mutant("without bias: ½", _of(sp.Rational(1, 2))),
        Mutant("the pull alone: nβh/(2A)", _of(n * h / (2 * (γ + n * h)))),
        Mutant("the step alone", _of(2 / (4 - ε * n * h))),
        Mutant("twice the step", _of(sampled_quadratic().subs(ε, 2 * ε))),
    ),
    meanings=symbols.meanings(sp.Tuple(estimate)),
    note="The two errors have opposite signs: the pull takes the share γ/A away, the step adds εA/4 of the rest.",
)  # fmt: skip

LOCALISED = Claim(
    id="DEG-21",
    slug="degenerate.localised-quartic",
    title="A pull ½γw² on the quartic lowers nβ⟨w⁴⟩ from ¼ to ¼ − z(K₃⸝₄/K₁⸝₄ − 1), z = γ²/(32nβ)",
    status="exact",
    statement=equations({tempered: localised_quartic(ρ)}),
    assumptions=(
        _PULL, _TEMPERED, positive(ρ, "K₃⸝₄(z)/K₁⸝₄(z)"), given("density exp(−nβw⁴ − ½γw²); K: Bessel functions"),
    ),
    source=HERE,
    evidence=(
        Identity(localise),
        # sums of smooth functions that vanish at the ends, exact to rounding
        Recursion(localised_by_quadrature, (_at(n=10, g=1), _at(n=1000, g=50), _at(n=2, g=10)), 1e-8),
    ),
    mutants=(
        Mutant("without the pull", equations({tempered: _QUARTER})),
        Mutant("pull γw²", equations({tempered: localised_quartic(ρ).subs(γ, 2 * γ)})),
        Mutant("as much upwards", equations({tempered: 2 * _QUARTER - localised_quartic(ρ)})),
    ),
    meanings=symbols.meanings(sp.Tuple(tempered)),
    note="An estimator that localises by γ sees λ = ¼ only where γ² ≪ 32nβ.",
)  # fmt: skip

QUARTIC = Claim(
    id="DEG-22",
    slug="degenerate.sampled-quartic",
    title="On w⁴ Langevin's steps overstate λ = ¼ by ε√(nβ)Γ(7/4)/Γ(1/4), and from 1/√(εnβ) on they run away",
    status="leading-order",
    statement=_quartic(),
    assumptions=(
        _TEMPERED, _STEP, positive(M_6, "mean of w⁶"),
        given("w' = w − 2εnβw³ + √ε ζ, in the spell before a run diverges"),
    ),
    source=HERE,
    evidence=(
        Identity(balance),
        # the extrapolation leaves the second order in the step
        Recursion(run_quartic, (_at(n=1, e="0.02"), _at(n=1000, e="0.001")), 3e-3),
    ),
    mutants=(
        Mutant("without bias: ¼", _quartic(estimate=_QUARTER, bias=sp.S.Zero)),
        Mutant("understated", _quartic(estimate=_QUARTER - ε * n**2 * M_6)),
        Mutant("runs away where a step overshoots", _quartic(far=1 / sp.sqrt(2 * ε * n))),
        Mutant("E w⁶ as of a normal law of this variance", _quartic(
            bias=15 * (sp.gamma(3 * _QUARTER) / sp.gamma(_QUARTER)) ** 3)),
    ),
    meanings=symbols.meanings(sp.Tuple(estimate, bias, far)),
    note="No long-run law exists: normal noise sooner or later throws a run beyond 1/√(εnβ), and there it diverges. "
    "At nβ = 1000 the mean number of steps to get there is 130 for ε = 0.01, 33 000 for 0.006 and 10¹⁴ for 0.003.",
)  # fmt: skip

CLAIMS = (QUADRATIC, LOCALISED, QUARTIC)
"""The theory, in the order of the ledger."""
