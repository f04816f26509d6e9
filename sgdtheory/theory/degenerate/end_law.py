"""Where SGD ends against where the posterior sits: one minimum of full rank, and two minima of unlike degrees.

Beside a regular minimum with noise in proportion to curvature SGD's law is nearly round, the posterior is not: no
temperature makes them equal unless the curvature is the same in all directions. Between minima the posterior goes by
volume, which favours the more degenerate; SGD goes by where it starts.
"""

from __future__ import annotations

import math

import numpy as np
import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.claim import (
    Assumption,
    Case,
    Claim,
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
from sgdtheory.derive.search import argmax
from sgdtheory.optimizers import SGD
from sgdtheory.sources import CORLOUER_MACE_2024
from sgdtheory.theory.degenerate.posterior import line_moments, power_normalisation

η, B, c, h1, h2 = symbols.lr, symbols.batch_size, symbols.noise_ratio, symbols.curvature_1, symbols.curvature_2
n, k1, k2, w0 = symbols.sharpening, symbols.degree_1, symbols.degree_2, symbols.half_separation
T, factor = symbols.best_temperature, symbols.divergence_factor
minus, plus = symbols.mass_sharp, symbols.mass_broad


def axis_temperatures() -> tuple[sp.Expr, sp.Expr]:
    """Return hᵢ times SGD's variance along each axis, for noise of covariance cH.

    Examples
    --------
    >>> [t.subs({η: 1, c: 1, B: 1, h1: 1, h2: sp.Rational(3, 2)}) for t in axis_temperatures()]
    [1, 3]
    """
    return tuple(η * c * h / (B * (2 - η * h)) for h in (h1, h2))


def nearest_posterior() -> tuple[sp.Expr, sp.Expr]:
    """Return the temperature T of the posterior exp(−L/T) nearest to SGD's law, and exp(2 KL) from there.

    Examples
    --------
    >>> [sp.limit(e.subs({h1: 1, h2: 3, c: 1, B: 1}) / f, η, 0) for e, f in zip(nearest_posterior(), (η, 1))]
    [1, 4/3]
    """
    first, second = axis_temperatures()
    mean = (first + second) / 2
    return mean, mean**2 / (first * second)


def two_masses() -> tuple[sp.Expr, sp.Expr]:
    """Return the limits of n^(1/(2k₁)) and n^(1/(2k₂)) times the integrals of exp(−nQ²) near −w₀ and +w₀.

    Examples
    --------
    >>> [m.subs({k1: 1, k2: 1, w0: 1}) for m in two_masses()]
    [sqrt(pi)/2, sqrt(pi)/2]
    """
    return tuple(2 * sp.gamma(1 + 1 / (2 * own)) * (2 * w0) ** (-other / own) for own, other in ((k1, k2), (k2, k1)))


def fit_temperature() -> Case:
    """Minimise the divergence of SGD's law from exp(−L/T) over T.

    With Σ = cH the Lyapunov equation gives S = ηc/B (2 − ηH)⁻¹ along the axes. Between normal laws of mean 0,
    2KL(S ‖ TH⁻¹) = tr(SH)/T − d + d log T − log det(SH): with tᵢ = hᵢSᵢᵢ least at T = mean of tᵢ, where it is
    d log of their arithmetic over their geometric mean, zero exactly if all tᵢ agree.
    """
    S = stationary_covariance(quadratic(sp.diag(h1, h2), c * sp.diag(h1, h2)), SGD(), B)
    free = sp.Dummy("T", positive=True)
    products = [sp.cancel(h * S[i, i]) for i, h in enumerate((h1, h2))]
    twice = sp.Add(*(t / free - 1 + sp.log(free) - sp.log(t) for t in products))
    (best,) = sp.solve(sp.numer(sp.together(twice.diff(free))), free)
    exponential = sp.exp(sp.cancel(sp.Add(*products) / best) - 2) * best**2 / sp.Mul(*products)
    return {T: best, factor: exponential}


def fit_on_a_grid(point: Case) -> Case:
    """Iterate SGD's covariance, put it and exp(−L/T) on a grid, and search for the T of least divergence."""
    lr, batch, ratio, *curvatures = (float(point[s]) for s in (η, B, c, h1, h2))
    variances = [0.0, 0.0]
    for _ in range(400):
        variances = [
            (1 - lr * h) ** 2 * v + lr**2 * ratio * h / batch for h, v in zip(curvatures, variances, strict=True)
        ]
    grids = [math.sqrt(v) * np.linspace(-9, 9, 2001) for v in variances]

    def divergence(temperature: float) -> float:
        total = 0.0
        for w, v, h in zip(grids, variances, curvatures, strict=True):
            own, other = -(w**2) / (2 * v), -h * w**2 / (2 * temperature)
            own -= math.log(float(np.exp(own).sum()))
            log_z = math.log(math.sqrt(2 * math.pi * temperature / h) / (w[1] - w[0]))  # the grid need not hold all
            total += float(np.exp(own) @ (own - other + log_z))
        return total

    low, high = sorted(h * v for h, v in zip(curvatures, variances, strict=True))
    best = argmax(lambda t: -divergence(t), low, high * (1 + 1e-9) + 1e-12)
    return {**point, T: best, factor: math.exp(2 * divergence(best))}


def two_minima() -> Case:
    """Stretch the neighbourhood of each minimum by n^(1/(2k)) and let n grow; what is left is a power.

    At w = −w0 + δu, δ = n^(−1/(2k1)), nQ² = u^(2k1) (2w0 − δu)^(2k2) → (2w0)^(2k2) u^(2k1), and the integral over u
    converges by dominated convergence on |δu| ≤ w0, what lies beyond being exponentially small. At +w0 the degrees
    change places. The mass is δ times the integral over u.
    """
    u, δ = sp.symbols("u delta", positive=True)
    masses = []
    for own, other in ((k1, k2), (k2, k1)):
        stretched = u ** (2 * own) * (2 * w0 - δ * u) ** (2 * other)
        coefficient = stretched.subs(δ, 0) / u ** (2 * own)
        masses.append(power_normalisation().subs({k1: own, n: coefficient}, simultaneous=True))
    return dict(zip((minus, plus), masses, strict=True))


def minima_by_quadrature(point: Case) -> Case:
    """Integrate exp(−nQ²), Q = (w + w0)^k1 (w − w0)^k2, beside each minimum at n = 10¹⁵."""
    first, second, half = (float(point[s]) for s in (k1, k2, w0))

    def mass(own: float, other: float) -> float:
        scale = 1e15 ** (-1 / (2 * own))
        wide = 8 * scale * (2 * half) ** (-other / own)
        total, _ = line_moments(lambda x: 1e15 * np.abs(x) ** (2 * own) * (2 * half - x) ** (2 * other), wide)
        return float(total / scale)

    return {**point, minus: mass(first, second), plus: mass(second, first)}


def _fitted(temperature: sp.Expr, divergence: sp.Expr) -> sp.Basic:
    return equations({T: temperature, factor: divergence})


def _masses(first: sp.Expr, second: sp.Expr) -> sp.Basic:
    return equations({minus: first, plus: second})


_T, _FACTOR = nearest_posterior()
_MINUS, _PLUS = two_masses()
_HALVED = {k1: k1 / 2, k2: k2 / 2}
_SMALL = (η * c * (h1 + h2) / (4 * B), (h1 + h2) ** 2 / (4 * h1 * h2))
_at = by_name(lr=η, B=B, c=c, h1=h1, h2=h2)
_between = by_name(a=k1, b=k2, w=w0)

TEMPERED = Claim(
    id="DEG-29",
    slug="degenerate.tempered-posterior",
    title="SGD's law is a tempered posterior only if the curvature is the same in all directions",
    status="corrected",
    statement=_fitted(_T, _FACTOR),
    assumptions=(
        positive(η, "learning rate"),
        positive(B, "batch size"),
        positive(c, "noise over curvature"),
        positive(h1, "curvature along the first axis"),
        positive(h2, "curvature along the second axis"),
        where(sp.Lt(η * h1, 2) & sp.Lt(η * h2, 2), "ηh < 2 along both axes"),
        given("regular minimum, L = ½(h₁w₁² + h₂w₂²), additive normal noise of covariance cH, long runs"),
    ),
    source=CORLOUER_MACE_2024.where("SGD's end distribution as a low-temperature posterior"),
    evidence=(
        Identity(fit_temperature),
        # golden-section search finds a flat optimum to half the digits
        Recursion(
            fit_on_a_grid,
            (
                _at(lr=0.1, B=1, c=1, h1=1, h2=3),
                _at(lr=0.5, B=4, c=2, h1=1, h2=1),
                _at(lr=1, B=2, c=1, h1="0.2", h2="1.5"),
            ),
            1e-5,
        ),
    ),
    mutants=(
        Mutant("as printed: the posterior at a temperature, no divergence", _fitted(_T, sp.S.One)),
        Mutant("temperature ηc/(2B), as for curvature 1", _fitted(η * c / (2 * B), _FACTOR)),
        Mutant("at small steps", _fitted(*_SMALL)),
        Mutant("geometric mean of the axes' temperatures", _fitted(sp.sqrt(sp.Mul(*axis_temperatures())), _FACTOR)),
    ),
    meanings=symbols.meanings(sp.Tuple(T, factor)),
    note="In d directions the divergence is (d/2) log of arithmetic over geometric mean, at small steps of the "
    "eigenvalues of H. At degenerate minima the families differ: the posterior is flat in the middle, SGD with label "
    "noise has no long-run density there.",
)  # fmt: skip

TWO_MINIMA = Claim(
    id="DEG-30",
    slug="degenerate.two-minima",
    title="Of two minima the more degenerate takes the posterior: masses fall as n^(−1/(2k₁)) and n^(−1/(2k₂))",
    status="corrected",
    statement=_masses(_MINUS, _PLUS),
    assumptions=(
        Assumption("degree at −w₀: k₁ ≥ 1", k1, sp.Interval(1, sp.oo)),
        Assumption("degree at +w₀: k₂ ≥ 1", k2, sp.Interval(1, sp.oo)),
        positive(w0, "half the distance of the minima"),
        given("density exp(−nQ²), Q = (w + w₀)^k₁ (w − w₀)^k₂, prior positive at both minima"),
    ),
    source=CORLOUER_MACE_2024.where("plots of the posterior on the line"),
    evidence=(
        Identity(two_minima),
        # what is left is of relative order n^(−1/k), 10⁻⁵ at k = 3
        Recursion(
            minima_by_quadrature, (_between(a=1, b=2, w="1.8"), _between(a=2, b=3, w=2), _between(a=1, b=1, w=1)), 1e-3
        ),
    ),
    mutants=(
        Mutant("as plotted: by the height of the peaks, which is 1 at both", _masses(_PLUS, _PLUS)),
        Mutant("each with its own degree in the coefficient", _masses(_MINUS.subs(k2, k1), _PLUS.subs(k1, k2))),
        Mutant("λ = 1/k", _masses(*(m.subs(_HALVED, simultaneous=True) for m in (_MINUS, _PLUS)))),
    ),
    meanings=symbols.meanings(sp.Tuple(minus, plus)),
    note="The density is highest, and equal, at both minima for every n; masses differ, heights do not. At d = (1, 2), "
    "w₀ = 1.8 the sharp one holds 2.5 % at n = 10³ and 0.8 % at 10⁵.",
)

CLAIMS = (TEMPERED, TWO_MINIMA)
"""The theory, in the order of the ledger."""
