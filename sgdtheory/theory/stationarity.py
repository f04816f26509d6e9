"""Long runs at a constant learning rate: where SGD and momentum settle on a quadratic, and when they do.

On ½hw² with independent gradient noise of variance σ² an example, a batch of B, a step is linear in the state: it has a
stationary law if every eigenvalue of its matrix lies inside the unit circle, and then the covariance solves the
discrete Lyapunov equation. The formulas themselves are `sgdtheory.derive.moments.stationary_variance` and
`sgdtheory.derive.stability.stability_limit`; the claims say what they come to.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic, scalar_mean
from sgdtheory.claim import Case, Claim, Ensemble, Identity, Mutant, Recursion, between, given, positive, where
from sgdtheory.derive.moments import stationary_variance
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
x_HB, x_EMA, x_NAG = symbols.limit_heavy_ball, symbols.limit_averaged, symbols.limit_nesterov
_RULES: dict[Callable[..., Optimizer], tuple[sp.Symbol, sp.Symbol]] = {
    Momentum: (V_HB, x_HB),
    EMAMomentum: (V_EMA, x_EMA),
    Nesterov: (V_NAG, x_NAG),
}


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
    return {
        symbol: value
        for rule, (variance, limit) in _RULES.items()
        for symbol, value in ((variance, stationary_variance(rule())), (limit, stability_limit(rule())))
    }
