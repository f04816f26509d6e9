"""How likely a random slice through a saddle looks like a minimum: nearly surely, in many dimensions."""

from __future__ import annotations

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.claim import Assumption, Case, Claim, Identity, Mutant, Sample, equations, given, positive
from sgdtheory.sources import HERE
from sgdtheory.symbols import meanings

h, m, n = symbols.curvature, symbols.descent_curvature, symbols.pairs
P_1, growth = symbols.hidden_first, symbols.hidden_growth
Array = NDArray[np.float64]


def hidden_growth() -> sp.Expr:
    """Return √(h/(h + m))·C(2n, n)·(m/4(h + m))ⁿ, what two more upward directions add after 2n of them.

    The probability with 2N of them is the sum over n = 0, …, N − 1, and tends to 1.

    Examples
    --------
    >>> hidden_growth().subs({n: 0, h: 3, m: 1})
    sqrt(3)/2
    """
    return sp.sqrt(h / (h + m)) * sp.binomial(2 * n, n) * (m / (4 * (h + m))) ** n


def hidden_probability(pairs: int) -> sp.Expr:
    """Return the probability that a random slice curves upwards at a saddle, λ = −m once and λ = h 2N times."""
    return sp.Add(*(hidden_growth().subs(n, k) for k in range(pairs)))


def integrate_out() -> Case:
    """Integrate over the downward direction's weight last.

    δᵀHδ = hQ − mZ², Q the sum of 2N squares. P(Q > y) = e^(−y/2)Σ_{n<N}(y/2)ⁿ/n! (N exponential waiting times), so the
    n-th term adds E e^(−sZ²)(sZ²)ⁿ/n! with s = m/2h. The factor e^(−sZ²) turns the normal law of Z into (1 + 2s)^(−1/2)
    times that of variance v = 1/(1 + 2s), whose moment of order 2n is vⁿ(2n)!/(2ⁿn!).
    """
    s = m / (2 * h)
    variance = sp.cancel(1 / (1 + 2 * s))
    ratio = sp.cancel(s * variance / 2)  # sⁿvⁿ/2ⁿ
    added = sp.sqrt(variance) * ratio**n * sp.factorial(2 * n) / sp.factorial(n) ** 2
    return {growth: added.rewrite(sp.binomial), P_1: added.subs(n, 0)}


def draw_first(rng: np.random.Generator, count: int) -> Array:
    """Draw whether δᵀHδ > 0, H = diag(1, 1, −2)."""
    δ = rng.standard_normal((count, 3))
    return np.asarray((δ**2) @ np.array([1.0, 1.0, -2.0]) > 0, dtype=np.float64)


def draw_growth(rng: np.random.Generator, count: int) -> Array:
    """Draw whether two more directions of curvature 1 turn δᵀHδ positive."""
    δ = rng.standard_normal((count, 5))
    before = (δ[:, :3] ** 2) @ np.array([1.0, 1.0, -2.0])
    return np.asarray((before <= 0) & (before + δ[:, 3] ** 2 + δ[:, 4] ** 2 > 0), dtype=np.float64)


_STATED = {P_1: sp.sqrt(h / (h + m)), growth: hidden_growth()}
_DRAWN = {h: 1.0, m: 2.0, n: 1}
HIDDEN = Claim(
    id="VIS-13",
    slug="slices.hidden-saddle",
    title="A random slice hides a saddle: it curves upwards with a probability that goes to one with the dimension",
    status="exact",
    statement=equations(_STATED),
    assumptions=(
        positive(h, "curvature of all directions but one"),
        positive(m, "minus the curvature of that one"),
        Assumption("pairs of upward directions before", n, sp.S.Naturals0),
        given("normal direction, an even number of upward directions; λ_min = −m < 0 throughout"),
    ),
    source=HERE,
    evidence=(
        Identity(integrate_out),
        Sample(P_1, draw_first, _DRAWN, resolution=0.02),
        Sample(growth, draw_growth, _DRAWN, resolution=0.03),
    ),
    mutants=(
        Mutant("hidden as often as h outweighs m", equations(_STATED, {P_1: h / (h + m)})),
        Mutant("every second slice sees it", equations(_STATED, {P_1: sp.Rational(1, 2)})),
        Mutant("hidden exactly if tr H > 0", equations(_STATED, {P_1: sp.Piecewise((1, 2 * h > m), (0, True))})),
        Mutant("more directions hide no better", equations(_STATED, {growth: sp.S.Zero})),
    ),
    meanings=meanings(equations(_STATED)),
    note="With h = m, 99.0 % of slices look convex at ten upward directions, 99.98 % at twenty. Directions of extreme "
    "curvature show the saddle, a random one does not.",
)

CLAIMS = (HIDDEN,)
"""The theory, in the order of the ledger."""
