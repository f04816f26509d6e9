"""Averaging the iterates of a long run: the learning rate drops out of the error."""

from __future__ import annotations

from random import Random

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, Sample, equals, given, positive, where
from sgdtheory.derive.moments import stationary_variance
from sgdtheory.optimizers import SGD
from sgdtheory.sources import POLYAK_JUDITSKY_1992

η, B, h, σ, n, R = (
    symbols.lr,
    symbols.batch_size,
    symbols.curvature,
    symbols.noise_std,
    symbols.steps,
    symbols.run_factor,
)
V_A, limit = symbols.averaged_variance, symbols.averaged_limit


def averaged_variance() -> sp.Expr:
    """Return the variance of the mean of n successive iterates, σ²/(Bnh²)·[1 − 2(1 − x)(1 − R)/(nx(2 − x))], x = ηh.

    Examples
    --------
    >>> averaged_variance().subs({h: 1, η: 1})  # at ηh = 1 the iterates are independent
    sigma**2/(B*n)
    """
    x = η * h
    return σ**2 / (B * n * h**2) * (1 - 2 * (1 - x) * (1 - R) / (n * x * (2 - x)))


def telescope() -> Case:
    """Add up the steps.

    On ½hw², w' − w = −ηhw − ηξ. Over n steps the differences telescope, so ηhn times the average of w₀ … wₙ₋₁ is
    (w₀ − wₙ) − ηΣξ. In the long run both ends have variance V and covariance RV, R = (1 − ηh)ⁿ; ηΣξ has variance
    η²nσ²/B, and, as wₙ holds each −ηξ shrunk by the steps since, covariance η²(σ²/B)(1 + ρ + … + ρⁿ⁻¹) =
    η²(σ²/B)(1 − R)/(ηh) with w₀ − wₙ. The middle one grows like n, the others stay: n times the variance of the
    average tends to σ²/(Bh²), whatever η.
    """
    noise, V = σ**2 / B, stationary_variance(SGD())
    ends, middle = 2 * V * (1 - R), η**2 * n * noise
    shared = η**2 * noise * (1 - R) / (η * h)
    variance = (ends + middle - 2 * shared) / (η * h * n) ** 2
    return {V_A: variance, limit: sp.limit(sp.expand(n * variance), n, sp.oo)}


def all_pairs(random: Random) -> Case:
    """Sum the covariances Vρ^|s−t| over all pairs of n iterates, in rational numbers."""
    steps, x = random.randint(1, 9), sp.Rational(random.randint(1, 19), 10)
    numbers = {h: sp.Rational(random.randint(1, 9), 2), σ: sp.Rational(random.randint(1, 9), 4)}
    numbers |= {B: sp.Integer(random.randint(1, 9)), n: sp.Integer(steps)}
    numbers |= {η: x / numbers[h], R: (1 - x) ** steps}
    variance = x**2 * numbers[σ] ** 2 / (numbers[h] ** 2 * numbers[B]) / (1 - (1 - x) ** 2)
    pairs = sum((1 - x) ** abs(s - t) for s in range(steps) for t in range(steps))
    # the sum of all correlations of one iterate with the run before and after it: (1 + ρ)/(1 − ρ)
    return {**numbers, V_A: variance * pairs / steps**2, limit: variance * (2 - x) / x}


_RUN = {η: 0.5, h: 1, σ: 1.5, B: 2, n: 12, R: 0.5**12}


def averages(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Start SGD on ½w² in its long-run law, run it, and return the squared average of every run."""
    lr, std, steps = _RUN[η], _RUN[σ] / np.sqrt(_RUN[B]), int(_RUN[n])
    w, total = np.zeros(count), np.zeros(count)
    for step in range(20 + steps):  # the start fades by ½ a step
        total += w if step >= 20 else 0
        w = w - lr * (w + std * rng.standard_normal(count))
    return np.asarray((total / steps) ** 2)


def _states(variance: sp.Expr, tends_to: sp.Expr) -> sp.Basic:
    return sp.And(equals(V_A, variance), equals(limit, tends_to))


_FREE = σ**2 / (B * h**2)
AVERAGING = Claim(
    id="STA-07",
    slug="stationarity.averaging",
    title="The average of n iterates of a long run has variance σ²/(Bnh²), whatever η, up to an exact term in 1/n²",
    status="exact",
    statement=_states(averaged_variance(), _FREE),
    assumptions=(
        positive(η, "learning rate"),
        positive(h, "curvature"),
        positive(σ, "standard deviation of one example's gradient"),
        positive(B, "batch size"),
        positive(n, "iterates averaged"),
        where(sp.Lt(η * h, 2), "ηh < 2"),
        where(sp.Lt(R**2, 1), "R = (1 − ηh)ⁿ"),
        given("quadratic loss, noise that does not depend on w, the run already in its long-run law"),
    ),
    source=POLYAK_JUDITSKY_1992.where("linear case, constant step"),
    evidence=(
        Identity(telescope),
        Property(all_pairs, examples=40),
        Sample(V_A, averages, _RUN, resolution=0.03),
    ),
    mutants=(
        Mutant("no correction: σ²/(Bnh²) at every n", _states(_FREE / n, _FREE)),
        Mutant("independent iterates", _states(η * σ**2 / (B * h * (2 - η * h) * n), η * σ**2 / (B * h * (2 - η * h)))),
        Mutant("correction of the other sign", _states(2 * _FREE / n - averaged_variance(), _FREE)),
    ),
    meanings=(
        (V_A, "variance of the average of n successive iterates"),
        (limit, "limit of n V_A as n → ∞"),
        (R, "(1 − ηh)ⁿ"),
    ),
    note="σ²/(Bnh²) is the variance of the best estimate from all nB examples; the last iterate's, about ησ²/(2Bh), "
    "does not fall with n.",
)

CLAIMS = (AVERAGING,)
"""The theory, in the order of the ledger."""
