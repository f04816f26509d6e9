"""Principal components of a stationary chain (Ornstein–Uhlenbeck): SGD that has settled and goes nowhere.

On a quadratic of one curvature, in many dimensions, iterates n steps apart have the correlation ρⁿ, ρ = 1 − ηh. Short
trajectories look like a random walk, in long ones no few components stand out. The eigenvalues are in closed form but
for the phases, which solve an equation each.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Assumption, Case, Claim, Identity, Mutant, Recursion, by_name, equations, given
from sgdtheory.optimizers import SGD
from sgdtheory.sources import ANTOGNINI_2018
from sgdtheory.symbols import meanings

T, ρ, η, h = symbols.trajectory_points, symbols.lag_correlation, symbols.lr, symbols.curvature
ω_o, ω_e = symbols.phase_odd, symbols.phase_even
λ_o, λ_e, e_o, e_e = symbols.gram_odd, symbols.gram_even, symbols.edge_odd, symbols.edge_even
total, C_1 = symbols.gram_trace, symbols.chain_correlation


def correlation() -> sp.Expr:
    """Return ρ = 1 − ηh, the correlation of successive iterates of SGD on ½hw²."""
    return 1 - η * h


def eigenvalue(phase: sp.Expr) -> sp.Expr:
    """Return (1 − ρ²)/(1 + ρ² − 2ρ cos ω), the Gram eigenvalue of a component of phase ω a step, variance 1.

    Examples
    --------
    >>> eigenvalue(sp.pi).subs(ρ, sp.Rational(1, 2))
    1/3
    """
    return (1 - ρ**2) / (1 + ρ**2 - 2 * ρ * sp.cos(phase))


def odd_edge() -> sp.Expr:
    """Return sin(ω(T + 1)/2) − ρ sin(ω(T − 1)/2), zero at the phases of components odd in time."""
    return sp.sin(ω_o * (T + 1) / 2) - ρ * sp.sin(ω_o * (T - 1) / 2)


def even_edge() -> sp.Expr:
    """Return cos(ω(T + 1)/2) − ρ cos(ω(T − 1)/2) − κ(1 + ρ² − 2ρ cos ω)/(1 − ρ), κ the cosine's mean over the points.

    Zero at the phases of components even in time, which centring changes: κ = sin(ωT/2)/(T sin(ω/2)) is taken away.
    """
    mean = sp.sin(ω_e * T / 2) / (T * sp.sin(ω_e / 2))
    ends = sp.cos(ω_e * (T + 1) / 2) - ρ * sp.cos(ω_e * (T - 1) / 2)
    return ends - mean * (1 + ρ**2 - 2 * ρ * sp.cos(ω_e)) / (1 - ρ)


def trace() -> sp.Expr:
    """Return T − (1 + ρ)/(1 − ρ) + 2ρ(1 − ρ^T)/(T(1 − ρ)²), the sum of the centred Gram matrix's eigenvalues."""
    return T - (1 + ρ) / (1 - ρ) + 2 * ρ * (1 - ρ**T) / (T * (1 - ρ) ** 2)


def match_the_ends() -> Case:
    """Solve the eigenvalue equation inside, and see what the ends ask of the phase.

    w' = (1 − ηh)w + noise has the correlation 1 − ηh from one iterate to the next, its powers farther on. The matrix
    C_st = ρ^|s−t| has the inverse B/(1 − ρ²) with rows 1 + ρ² on the diagonal, −ρ beside it, and 1, −ρ at the ends.
    A component v of mean 0 of the centred matrix has Cv = λv + a1, that is λBv − (1 − ρ²)v = −aB1.

    Odd: v_t = sin(ωs), s from the middle, has mean 0 by itself and a = 0. Inside, λ = (1 − ρ²)/(1 + ρ² − 2ρcos ω). The
    last row lacks −ρv_{T+1} + ρ²v_T of the inside equation, which must vanish: v_{T+1} = ρv_T.

    Even: v_t = cos(ωs) − κ, κ the mean of the cosine. Inside, the cosine gives the same λ, and the constants give a.
    The last row is then left with ρλ times v_{T+1} − ρv_T − κ(1 + ρ² − 2ρcos ω)/(1 − ρ), cosines alone in v.

    The trace is T − Σ_{s,t}ρ^|s−t|/T, where each lag n occurs 2(T − n) times.
    """
    λ, a, κ, last, beyond = sp.symbols("lambda_v a kappa v_T v_next", real=True)
    cosine = sp.Symbol("cos_omega", real=True)
    before = 2 * cosine * last - beyond  # v_{T−1}, of a sine or a cosine
    bend = 1 + ρ**2 - 2 * ρ * cosine
    (inside,) = sp.solve(λ * bend - (1 - ρ**2), λ)
    (shift,) = sp.solve(κ * (λ * (1 - ρ) ** 2 - (1 - ρ**2)) - a * (1 - ρ) ** 2, a)
    row = λ * (last - ρ * before) - (1 - ρ**2) * last
    constant = -κ * (λ * (1 - ρ) - (1 - ρ**2)) + a * (1 - ρ)
    odd, even = (sp.factor((r / (ρ * λ)).subs(λ, inside)) for r in (row, row + constant.subs(a, shift)))
    middle = [(function(w * (T - 1) / 2), function(w * (T + 1) / 2)) for function, w in ((sp.sin, ω_o), (sp.cos, ω_e))]
    (odd_ends, even_ends) = ({last: now, beyond: then} for now, then in middle)
    mean = sp.sin(ω_e * T / 2) / (T * sp.sin(ω_e / 2))
    return {
        **{λ_o: inside.subs(cosine, sp.cos(ω_o)), λ_e: inside.subs(cosine, sp.cos(ω_e))},
        **{e_o: odd.subs(odd_ends), e_e: even.subs({**even_ends, κ: mean, cosine: sp.cos(ω_e)})},
        **{total: _summed_trace(), C_1: sp.diff(SGD().update(h * symbols.theta).position, symbols.theta)},
    }


def _summed_trace() -> sp.Expr:
    """Sum the lags: Σ_{n=1}^{T−1}(T − n)ρⁿ by the geometric series and its derivative."""
    r = sp.Symbol("r", positive=True)
    series = (r - r**T) / (1 - r)
    moment = r * sp.diff(series, r)
    return (T - (T + 2 * (T * series - moment)) / T).subs(r, ρ)


def solve_numerically(point: Case) -> Case:
    """Take eigenvalues of the centred matrix, and the phase each of them has; what the ends leave over is 0."""
    points, r, lr, h_ = int(point[T]), float(point[ρ]), float(point[η]), float(point[h])
    index = np.arange(points)
    gram = r ** np.abs(np.subtract.outer(index, index)).astype(float)
    gram = gram - gram.mean(0)
    gram = gram - gram.mean(1, keepdims=True)
    values, vectors = np.linalg.eigh(gram)
    found = {}
    for column in reversed(range(1, points)):
        odd = bool(np.allclose(vectors[:, column], -vectors[::-1, column], atol=1e-9))
        value, phase = (λ_o, ω_o) if odd else (λ_e, ω_e)
        if value not in found:
            found[value] = values[column]
            found[phase] = np.arccos((1 + r**2 - (1 - r**2) / values[column]) / (2 * r))
    w = np.array([1.0, 1.0 - lr * h_])  # a step without noise keeps what the correlation says
    return {**point, **found, e_o: sp.S.Zero, e_e: sp.S.Zero, total: np.trace(gram), C_1: w[1] / w[0]}


_at = by_name(points=T, rho=ρ, lr=η, curvature=h)
_STATED = {
    λ_o: eigenvalue(ω_o),
    λ_e: eigenvalue(ω_e),
    e_o: odd_edge(),
    e_e: even_edge(),
    total: trace(),
    C_1: correlation(),
}

CHAIN = Claim(
    id="VIS-11",
    slug="slices.chain-components",
    title="Settled SGD has principal components of eigenvalues (1 − ρ²)/(1 + ρ² − 2ρcos ω), ω fixed at the ends",
    status="exact",
    statement=equations(_STATED),
    assumptions=(
        Assumption("correlation of successive points: 0 < ρ < 1", ρ, sp.Interval.open(0, 1)),
        Assumption("learning rate: η > 0", η, sp.Interval.open(0, sp.oo)),
        Assumption("curvature: h > 0", h, sp.Interval.open(0, sp.oo)),
        given("independent dimensions of one curvature, many more than points; started from the long-run law"),
    ),
    source=ANTOGNINI_2018.where("Ornstein–Uhlenbeck processes; here in closed form for every number of points"),
    evidence=(
        Identity(match_the_ends),
        Recursion(
            solve_numerically,
            (
                _at(points=5, rho=0.5, lr=0.5, curvature=1),
                _at(points=60, rho=0.97, lr=0.3, curvature=0.1),
            ),
            1e-8,
        ),
    ),
    mutants=(
        Mutant("trace of a walk", equations(_STATED, {total: (T**2 - 1) / 6})),
        Mutant("correlation exp(−ηh), as of the diffusion", equations(_STATED, {C_1: sp.exp(-η * h)})),
        Mutant("spectral density without 1 − ρ²", equations(_STATED, {λ_o: eigenvalue(ω_o) / (1 - ρ**2)})),
    ),
    meanings=(*meanings(equations(_STATED)),),
    note="The phases are near πk/T, so that a trajectory of T ≪ 1/(1 − ρ) points has the shares of a random walk, and "
    "one of T ≫ 1/(1 − ρ) points shares of about (1 + ρ)/((1 − ρ)T) that vanish: explained variance says how long the "
    "run was against its correlation time.",
)

CLAIMS = (CHAIN,)
"""The theory, in the order of the ledger."""
