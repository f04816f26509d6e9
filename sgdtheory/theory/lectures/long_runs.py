"""Long runs at a constant learning rate: where SGD and momentum settle on a quadratic, and when they do.

On ½hw² with independent gradient noise of variance σ² an example, a batch of B, a step is linear in the state: it has a
stationary law if every eigenvalue of its matrix lies inside the unit circle, and then the covariance solves the
discrete Lyapunov equation. The formulas themselves are `sgdtheory.derive.moments.stationary_variance` and
`sgdtheory.derive.stability.stability_limit`; the claims say what they come to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic, scalar_mean
from sgdtheory.claim import (
    Case,
    Claim,
    Ensemble,
    Identity,
    Mutant,
    Recursion,
    between,
    by_name,
    equals,
    equations,
    given,
    positive,
    where,
)
from sgdtheory.derive.moments import stationary_variance
from sgdtheory.derive.search import last
from sgdtheory.derive.stability import stability_limit
from sgdtheory.optimizers import SGD, EMAMomentum, Momentum, Nesterov, Optimizer
from sgdtheory.problem import Problem
from sgdtheory.sources import HERE, MCALLESTER_2018

η, μ, B, h, σ, n = (
    symbols.lr,
    symbols.momentum,
    symbols.batch_size,
    symbols.curvature,
    symbols.noise_std,
    symbols.steps,
)
V = symbols.variance
V_HB, V_EMA, V_NAG = symbols.variance_heavy_ball, symbols.variance_averaged, symbols.variance_nesterov
limit_hb, limit_ema, limit_nag = symbols.limit_heavy_ball, symbols.limit_averaged, symbols.limit_nesterov
_RULES = ((Momentum, V_HB, limit_hb), (EMAMomentum, V_EMA, limit_ema), (Nesterov, V_NAG, limit_nag))


def settle() -> Case:
    """Solve the Lyapunov equation of SGD.

    w' = (1 − ηh)w − ηξ with Var ξ = σ²/B: an autoregression of order one. Its variance goes V' = (1 − ηh)²V + η²σ²/B,
    a contraction exactly if 0 < ηh < 2, and the fixed point is V = η²σ²/(B(1 − (1 − ηh)²)) = ησ²/(Bh(2 − ηh)). So the
    parameter neither comes to rest nor walks away: its law settles. It would be a random walk only for h = 0.
    """
    return {V: stationary_variance(SGD())}


def settle_with_momentum() -> Case:
    """Solve the Lyapunov equation in position and buffer, and find where the step matrix stops being stable.

    One step is s' = Ms + p·ξ with s = (w, v). The covariance obeys S = MSMᵀ + ppᵀσ²/B, three linear equations for the
    variances of w and v and their covariance. The characteristic polynomial z² + a₁z + a₀ has both roots inside the
    unit circle exactly if |a₀| < 1 and it is positive at z = 1 and z = −1 (Jury). Raising ηh from 0, the value at
    z = −1 is the first of these to fail: the step begins to flip sign for ever.
    """
    variances = {variance: stationary_variance(rule()) for rule, variance, _ in _RULES}
    return variances | {limit: stability_limit(rule()) for rule, _, limit in _RULES}


def iterate(point: Case) -> Case:
    """Run SGD's exact variance for n steps from zero."""
    return {**point, V: _variance_after(SGD(lr=point[η]), point)}


def iterate_with_momentum(point: Case) -> Case:
    """Run the exact covariances for n steps from zero, and bisect for the ηh at which an eigenvalue reaches size 1."""
    case = dict(point)
    for rule, variance, limit in _RULES:
        case[variance] = _variance_after(rule(lr=point[η], momentum=point[μ]), point)
        stable = partial(_is_stable, rule, point[μ])
        case[limit] = last(stable, 0.0, 8 / (1 - float(point[μ])), width=1e-11)
    return case


def _is_stable(rule: Callable[..., Optimizer], momentum: sp.Expr, lr: float) -> bool:
    """Whether all eigenvalues of a step at h = 1 lie inside the unit circle."""
    matrix, _ = _probe(rule(lr=lr, momentum=momentum), sp.S.One)
    return bool(abs(np.linalg.eigvals(matrix)).max() < 1)


def _variance_after(optimizer: Optimizer, point: Case) -> float:
    matrix, push = _probe(optimizer, point[h])
    fresh = np.outer(push, push) * float(point[σ] ** 2 / point[B])
    covariance = np.zeros_like(matrix)
    for _ in range(int(point[n])):
        covariance = matrix @ covariance @ matrix.T + fresh
    return float(covariance[0, 0])


def _probe(optimizer: Optimizer, curvature: sp.Expr) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return M and p of s' = Ms + pξ on ½hw², by stepping from unit states without noise and from zero with it."""
    size = 1 + len(optimizer.buffers)

    def after(state: list[int], noise: int) -> list[float]:
        theta, memory = optimizer.step(state[:1], [state[1:]], lambda w: [curvature * w[0] + noise])
        return [float(x) for x in (*theta, *memory[0])]

    columns = [after([int(i == k) for i in range(size)], 0) for k in range(size)]
    return np.array(columns).T, np.array(after([0] * size, 1))


_point = by_name(lr=η, mu=μ, B=B, h=h, s=σ, n=n)


def _ensemble(quantity: sp.Symbol, problem: Problem, optimizer: Optimizer, **numbers: float) -> Ensemble:
    """Measure the variance after n steps from the minimum, to 3 %; n is large enough to forget the start."""
    values = _point(**numbers)
    (w,) = problem.coordinates
    return Ensemble(quantity, w, "variance", problem, optimizer, values, int(values[n]), (0,), resolution=0.03)


_QUADRATIC = quadratic()
_ASSUMPTIONS = (
    positive(η, "learning rate"),
    positive(h, "curvature"),
    positive(σ, "standard deviation of one example's gradient"),
    positive(B, "batch size"),
    given("quadratic loss ½hw², independent examples, gradient noise that does not depend on w"),
)
_SGD_VARIANCE = η * σ**2 / (B * h * (2 - η * h))

SETTLES = Claim(
    id="MCA-10",
    slug="lectures.stationary-sgd",
    title="At a constant learning rate SGD settles into a law of variance ησ²/(Bh(2 − ηh)); it does not walk away",
    status="corrected",
    statement=equals(V, _SGD_VARIANCE),
    assumptions=(
        *_ASSUMPTIONS,
        where(sp.Lt(η * h, 2), "ηh < 2"),
        positive(n, "steps run, many"),
    ),
    source=MCALLESTER_2018.where("slide Convergence"),
    evidence=(
        Identity(settle),
        # what is left of the start is below 0.9^800; the rest is rounding over 400 steps
        Recursion(
            iterate,
            (
                _point(lr=0.1, B=1, h=1, s=1, n=400),
                _point(lr=0.5, B=3, h=2.5, s=2, n=400),
                _point(lr=1.9, B=8, h=1, s=0.5, n=400),
            ),
            1e-12,
        ),
        _ensemble(V, scalar_mean(), SGD(), lr=0.6, B=1, h=1, s=2, n=15),
        _ensemble(V, _QUADRATIC, SGD(), lr=0.7, B=3, h=2, s=1.5, n=15),
    ),
    mutants=(
        Mutant("as printed: a random walk", equals(V, n * η**2 * σ**2 / B)),
        Mutant("small-step limit", equals(V, η * σ**2 / (2 * B * h))),
        Mutant("without the batch size", equals(V, _SGD_VARIANCE * B)),
        Mutant("noise added after the contraction of the variance", equals(V, _SGD_VARIANCE * (1 - η * h) ** 2)),
    ),
    meanings=((V, "variance of the parameter in the long run"),),
    note="The slides' own example is h = 1. At ηh ≥ 2 the variance grows without bound, at h = 0 the walk is right.",
)


_STATED = {
    V_HB: η * σ**2 * (1 + μ) / (B * h * (1 - μ) * (2 * (1 + μ) - η * h)),
    V_EMA: η * σ**2 * (1 + μ) / (B * h * (2 * (1 + μ) - η * h * (1 - μ))),
    V_NAG: η * σ**2 * (1 + μ - μ * η * h) / (B * h * (1 - μ + μ * η * h) * (2 * (1 + μ) - η * h * (1 + 2 * μ))),
    limit_hb: 2 * (1 + μ),
    limit_ema: 2 * (1 + μ) / (1 - μ),
    limit_nag: 2 * (1 + μ) / (1 + 2 * μ),
}


MOMENTUM_SETTLES = Claim(
    id="MCA-15",
    slug="lectures.stationary-momentum",
    title="Long-run variance and end of stability of heavy ball, in both parametrisations, and of Nesterov momentum",
    status="exact",
    statement=equations(_STATED),
    assumptions=(
        *_ASSUMPTIONS,
        between(μ, 0, 1, "momentum"),
        where(sp.Lt(η * h * (1 + 2 * μ), 2 * (1 + μ)), "ηh < 2(1 + μ)/(1 + 2μ), the smallest of the three limits"),
    ),
    source=HERE,
    evidence=(
        Identity(settle_with_momentum),
        # eigenvalues are at most 0.95 in size, which leaves 0.95^1600 of the start; the bisection ends at 10⁻¹¹
        Recursion(
            iterate_with_momentum,
            (
                _point(lr=0.1, mu=0.9, B=1, h=1, s=1, n=800),
                _point(lr=0.5, mu=0.5, B=2, h=2, s=3, n=800),
                _point(lr=0.3, mu=0, B=4, h=0.5, s=1, n=800),
            ),
            1e-10,
        ),
        _ensemble(V_HB, _QUADRATIC, Momentum(), lr=0.5, mu=0.5, B=2, h=2, s=1.5, n=60),
        _ensemble(V_EMA, _QUADRATIC, EMAMomentum(), lr=0.8, mu=0.5, B=2, h=2, s=1.5, n=60),
        _ensemble(V_NAG, _QUADRATIC, Nesterov(), lr=0.4, mu=0.5, B=2, h=2, s=1.5, n=60),
    ),
    mutants=(
        Mutant(
            "heavy ball to leading order, ησ²/(2Bh(1 − μ))",
            equations(_STATED, {V_HB: η * σ**2 / (2 * B * h * (1 - μ))}),
        ),
        Mutant("heavy ball without the factor 1 + μ", equations(_STATED, {V_HB: _STATED[V_HB] / (1 + μ)})),
        Mutant("the averaged form's variance for the standard form", equations(_STATED, {V_HB: _STATED[V_EMA]})),
        Mutant("averaging makes momentum disappear", equations(_STATED, {V_EMA: η * σ**2 / (B * h * (2 - η * h))})),
        Mutant("averaged form to leading order, ησ²/(2Bh)", equations(_STATED, {V_EMA: η * σ**2 / (2 * B * h)})),
        Mutant("Nesterov as heavy ball", equations(_STATED, {V_NAG: _STATED[V_HB]})),
        Mutant("the limit of plain descent for heavy ball", equations(_STATED, {limit_hb: sp.Integer(2)})),
        Mutant("the limit of heavy ball for Nesterov", equations(_STATED, {limit_nag: _STATED[limit_hb]})),
        Mutant("the standard form's limit for the averaged form", equations(_STATED, {limit_ema: _STATED[limit_hb]})),
    ),
    meanings=(
        (V_HB, "long-run variance of heavy ball, v' = μv + ηĝ"),
        (V_EMA, "long-run variance of heavy ball, v' = μv + (1 − μ)ĝ"),
        (V_NAG, "long-run variance of Nesterov momentum"),
        (limit_hb, "ηh at which heavy ball, v' = μv + ηĝ, loses stability"),
        (limit_ema, "ηh at which heavy ball, v' = μv + (1 − μ)ĝ, loses stability"),
        (limit_nag, "ηh at which Nesterov momentum loses stability"),
    ),
    note="At μ = 0 all become those of SGD. Raising μ lowers Nesterov's limit towards 4/3 and lifts the others.",
)

CLAIMS = (SETTLES, MOMENTUM_SETTLES)
"""The theory, in the order of the ledger."""
