"""The posterior at a degenerate minimum: normalisation and mean loss.

The density is exp(−nβK) where K is the loss above its minimum. At K = w^(2k) the mean of nβK is λ = 1/(2k) at every
n; a box or a tie of degrees brings the corrections that an estimate of λ at finite n has.
"""

from __future__ import annotations

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
    by_name,
    equations,
    given,
    positive,
)
from sgdtheory.sources import HERE, WATANABE_2009

n, k, R = symbols.sharpening, symbols.degree_1, symbols.box
Z, tempered, λ = symbols.normalisation, symbols.tempered_loss, symbols.learning_coefficient
Vector = NDArray[np.float64]
_s = sp.Dummy("s", positive=True)
_DEGREE = Assumption("degree: k ≥ 1", k, sp.Interval(1, sp.oo))


def power_normalisation() -> sp.Expr:
    """Return ∫ exp(−nβ w^(2k)) dw over the line.

    Examples
    --------
    >>> power_normalisation().subs(k, 1)
    sqrt(pi)/sqrt(n_beta)
    """
    return 2 * sp.gamma(1 + 1 / (2 * k)) * n ** (-1 / (2 * k))


def tie_normalisation() -> sp.Expr:
    """Return ∫∫ exp(−nβ u^(2k) v^(2k)) over the unit square, up to a remainder below λ²e^(−nβ)/(nβ)², λ = 1/(2k).

    Examples
    --------
    >>> round(float(tie_normalisation().subs({k: 1, n: 100})), 6)
    0.291067
    """
    exponent = 1 / (2 * k)
    return exponent**2 * sp.gamma(exponent) * n**-exponent * (sp.log(n) - sp.digamma(exponent))


def tie_mean() -> sp.Expr:
    """Return the posterior mean of nβK at a tie: λ − 1/(log nβ − ψ(λ)).

    Examples
    --------
    >>> [round(float(tie_mean().subs({k: 1, n: 10**p})), 4) for p in (2, 4, 8)]
    [0.3478, 0.4105, 0.4509]
    """
    exponent = 1 / (2 * k)
    return exponent - 1 / (sp.log(n) - sp.digamma(exponent))


def box_mean() -> sp.Expr:
    """Return the posterior mean of nβ w^(2k) for a prior uniform on [−R, R], by incomplete Gamma functions.

    Examples
    --------
    >>> round(float(box_mean().subs({k: 2, n: 10, R: 1})), 6)
    0.249978
    """
    x, exponent = n * R ** (2 * k), 1 / (2 * k)
    return sp.lowergamma(exponent + 1, x) / sp.lowergamma(exponent, x)


def integrate_power() -> Case:
    """Substitute s = nβw^(2k), and differentiate log Z.

    w = (s/nβ)^(1/2k), so Z is (nβ)^(−1/2k)/k times ∫ s^(1/2k − 1) e^(−s) ds = Γ(1/2k). The mean of K is −d log Z/d(nβ).
    """
    exponent = 1 / (2 * k)
    total = sp.integrate(_s ** (exponent - 1) * sp.exp(-_s), (_s, 0, sp.oo)) * n**-exponent / k
    return {Z: total, tempered: _mean_from(total), λ: exponent}


def integrate_tie() -> Case:
    """Turn the square into the line of values of K, and differentiate a Gamma integral by its exponent.

    With λ = 1/(2k) the volume of K < ε is ε^λ(1 − λ log ε), so K has the density −λ² ε^(λ−1) log ε on [0, 1], and
    Z = −λ² ∫ ε^(λ−1) log ε e^(−nβε) dε. Up to ∞ that is −λ² d/dλ (Γ(λ)(nβ)^(−λ)). What lies beyond 1 adds back
    λ² ∫ ε^(λ−1) log ε e^(−nβε) < λ² ∫ (ε − 1) e^(−nβε) = λ²e^(−nβ)/(nβ)², since λ ≤ 1.
    """
    free = sp.Dummy("l", positive=True)
    total = (-(free**2) * sp.diff(sp.gamma(free) * n**-free, free)).subs(free, 1 / (2 * k))
    return {Z: total, tempered: _mean_from(total)}


def integrate_box() -> Case:
    """Substitute as on the line; the integral now ends at x = nβR^(2k), a lower incomplete Gamma function.

    Z = (nβ)^(−λ) γ(λ, x)/k with λ = 1/(2k). The mean is −nβ d log Z/d(nβ) = λ − x^λ e^(−x)/γ(λ, x), x being in
    proportion to nβ; by parts x^λ e^(−x) = λγ(λ, x) − γ(λ + 1, x).
    """
    exponent, x = 1 / (2 * k), n * R ** (2 * k)
    here, above = sp.lowergamma(exponent, x), sp.lowergamma(exponent + 1, x)
    return {tempered: sp.expand(exponent - (exponent * here - above) / here)}


def _mean_from(total: sp.Expr) -> sp.Expr:
    """Return nβ⟨K⟩ = −nβ d log Z/d(nβ)."""
    return sp.simplify(-n * sp.diff(total, n) / total)


def power_by_quadrature(point: Case) -> Case:
    """Sum exp(−nβw^(2k)) over a fine grid on the line, and w^(2k) with it: exact to rounding for such a function."""
    degree, sharp = float(point[k]), float(point[n])
    total, mean = line_moments(lambda w: sharp * np.abs(w) ** (2 * degree), 6 * sharp ** (-1 / (2 * degree)))
    return {**point, Z: total, tempered: mean, λ: 1 / (2 * degree)}


def box_by_quadrature(point: Case) -> Case:
    """Sum by midpoints on [−R, R]."""
    degree, sharp, end = (float(point[s]) for s in (k, n, R))
    _, mean = line_moments(lambda w: sharp * np.abs(w) ** (2 * degree), end)
    return {**point, tempered: mean}


def line_moments(
    tempered: Callable[[Vector], Vector], end: float, weight: Callable[[Vector], Vector] = np.ones_like
) -> tuple[float, float]:
    """Return ∫ exp(−S) over [−end, end] by midpoints, and the mean of S, both with a further weight."""
    w = end * ((np.arange(100_000) + 0.5) / 50_000 - 1)
    density = np.exp(-tempered(w)) * weight(w)
    return float(density.sum() * end / 50_000), float(density @ tempered(w) / density.sum())


def tie_by_quadrature(point: Case) -> Case:
    """Integrate exp(−nβ(uv)^(2k)) over the square: s = −log uv has the density s e^(−s)."""
    degree, sharp = float(point[k]), float(point[n])
    s = (np.arange(400_000) + 0.5) / 400_000 * (50 + 40 * degree)
    weight = s * np.exp(-s) * s[0] * 2
    loss = sharp * np.exp(-2 * degree * s)
    density = weight * np.exp(-loss)
    return {**point, Z: float(density.sum()), tempered: float(density @ loss / density.sum())}


def draw_posterior(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw from exp(−w⁴) by rejection from [−2.4, 2.4]; return w⁴."""
    kept: list[Vector] = []
    while sum(map(len, kept)) < count:
        w = 2.4 * (2 * rng.random(count) - 1)
        kept.append(w[rng.random(count) < np.exp(-(w**4))] ** 4)
    return np.concatenate(kept)[:count]


_at = by_name(n=n, k=k, R=R)
_TEMPERED = positive(n, "examples times inverse temperature")

POWER = Claim(
    id="DEG-16",
    slug="degenerate.normalisation",
    title="The integral of exp(−nβ w^(2k)) falls as (nβ)^(−λ), λ = 1/(2k), with the constant 2Γ(1 + λ)",
    status="exact",
    statement=equations({Z: power_normalisation()}),
    assumptions=(_DEGREE, _TEMPERED),
    source=WATANABE_2009,
    # the sum over the grid is exact to rounding; at the ends 10⁻¹⁵ is missing
    evidence=(
        Identity(integrate_power),
        Recursion(power_by_quadrature, (_at(n=1, k=1), _at(n=50, k=2), _at(n=1e4, k=3)), 1e-8),
    ),
    mutants=(
        Mutant("λ = 1/k", equations({Z: power_normalisation().subs(k, k / 2)})),
        Mutant("the half line", equations({Z: power_normalisation() / 2})),
        Mutant("Γ(λ)", equations({Z: 2 * sp.gamma(1 / (2 * k)) * n ** (-1 / (2 * k))})),
    ),
    meanings=symbols.meanings(sp.Tuple(Z)),
    note="The free energy −log Z is λ log nβ and a constant; for a regular parameter ½ log nβ.",
)

EQUIPARTITION = Claim(
    id="DEG-17",
    slug="degenerate.equipartition",
    title="The posterior mean of nβw^(2k) is λ = 1/(2k) at every n: equipartition",
    status="exact",
    statement=equations({tempered: 1 / (2 * k)}),
    assumptions=(_DEGREE, _TEMPERED, given("a flat prior on the line")),
    source=WATANABE_2009,
    evidence=(
        Identity(integrate_power),
        Recursion(power_by_quadrature, (_at(n=1, k=1), _at(n=50, k=2), _at(n=1e4, k=3)), 1e-8),
        Sample(tempered, draw_posterior, {k: 2, n: 1}, resolution=0.03),
    ),
    mutants=(
        Mutant("λ = 1/k", equations({tempered: 1 / k})),
        Mutant("½ for every degree, as at a regular minimum", equations({tempered: sp.Rational(1, 2)})),
        Mutant("only for large n", equations({tempered: 1 / (2 * k) - 1 / (2 * k * n)})),
    ),
    meanings=symbols.meanings(sp.Tuple(tempered)),
    note="So nβ times the mean excess loss of any sampler of this posterior estimates λ without bias at every n.",
)

TIE = Claim(
    id="DEG-18",
    slug="degenerate.tie",
    title="At a tie of two degrees nβ⟨K⟩ = λ − 1/(log nβ − ψ(λ)): an estimate of λ that is low by 1/log n",
    status="exact",
    statement=equations({tempered: tie_mean(), Z: tie_normalisation()}),
    assumptions=(_DEGREE, _TEMPERED, given("K = (uv)^(2k) on the unit square, flat prior; up to e^(−nβ)/(nβ)²")),
    source=HERE,
    evidence=(
        Identity(integrate_tie),
        # e^(−40) is left out by the formula, the rest is the midpoint rule
        Recursion(tie_by_quadrature, (_at(n=40, k=1), _at(n=1e4, k=2), _at(n=1e8, k=3)), 1e-7),
    ),
    mutants=(
        Mutant("no bias: λ", equations({tempered: 1 / (2 * k)})),
        Mutant("log nβ alone", equations({tempered: 1 / (2 * k) - 1 / sp.log(n)})),
        Mutant("no logarithm in Z", equations({Z: sp.gamma(1 / (2 * k)) / (2 * k) * n ** (-1 / (2 * k))})),
    ),
    meanings=symbols.meanings(sp.Tuple(tempered, Z)),
    note="With λ = ½ the estimate is 0.35 at n = 100 and 0.45 at n = 10⁸. The free energy is "
    "λ log n − log log n + a constant, the multiplicity being 2.",
)

BOX = Claim(
    id="DEG-19",
    slug="degenerate.box",
    title="With a prior on [−R, R] the mean of nβw^(2k) is γ(λ + 1, x)/γ(λ, x), x = nβR^(2k), short of λ",
    status="exact",
    statement=equations({tempered: box_mean()}),
    assumptions=(_DEGREE, _TEMPERED, positive(R, "half width of the prior")),
    source=HERE,
    evidence=(
        Identity(integrate_box),
        Recursion(box_by_quadrature, (_at(n=2, k=1, R=1), _at(n=5, k=2, R="0.8"), _at(n=1, k=3, R="1.1")), 1e-8),
    ),
    mutants=(
        Mutant("as on the whole line", equations({tempered: 1 / (2 * k)})),
        Mutant("regularised functions without their factor λ", equations({tempered: 2 * k * box_mean()})),
        Mutant("x = nβR", equations({tempered: box_mean().subs(R ** (2 * k), R)})),
    ),
    meanings=symbols.meanings(sp.Tuple(tempered)),
    note="In a narrow box it is x/(2k + 1): nothing of λ is seen before nβR^(2k) exceeds 1.",
)

CLAIMS = (POWER, EQUIPARTITION, TIE, BOX)
"""The theory, in the order of the ledger."""
