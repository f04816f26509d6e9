"""A deep linear network of one unit a layer: how the product of its weights grows to the slope of the data.

The network f(x) = aₗ⋯a₁x with squared error on data y = s₀x, E x² = 1, has the loss ½(s₀ − u)² with u = aₗ⋯a₁. Under
gradient flow each weight obeys daⱼ/dt = (u/aⱼ)(s₀ − u).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.claim import Assumption, Case, Claim, Identity, Mutant, Recursion, equals, given, positive, real
from sgdtheory.laws import Fresh, Normal
from sgdtheory.problem import Problem
from sgdtheory.sources import SAXE_2014

τ, s_0, u, u_0 = symbols.flow_time, symbols.teacher, symbols.product, symbols.product_start
u_dot, Q, Q_dot = symbols.product_rate, symbols.imbalance, symbols.imbalance_rate
u_τ, ell, deep_dot = symbols.product_at, symbols.depth, symbols.deep_rate
Array = NDArray[np.float64]


def product_rate() -> sp.Expr:
    """Return √(Q² + 4u²)(s₀ − u), the rate of change of u = ab when Q = a² − b²; 2u(s₀ − u) for equal weights."""
    return sp.sqrt(Q**2 + 4 * u**2) * (s_0 - u)


def balanced_product() -> sp.Expr:
    """Return s₀e^{2s₀τ}/(e^{2s₀τ} − 1 + s₀/u₀), the product of two equal weights after time τ: logistic growth."""
    return s_0 * sp.exp(2 * s_0 * τ) / (sp.exp(2 * s_0 * τ) - 1 + s_0 / u_0)


def deep_rate() -> sp.Expr:
    """Return ℓu^{2−2/ℓ}(s₀ − u), the rate of change of the product of ℓ equal weights."""
    return ell * u ** (2 - 2 / sp.sympify(ell)) * (s_0 - u)


def two_layers() -> Problem:
    """Return the loss of two layers a, b on y = s₀x, x standard normal.

    Examples
    --------
    >>> sp.factor(two_layers().gradient[0])
    -b*(-a*b + s_0)
    """
    return Problem("(s_0*x - a*b*x)**2/2", ["a", "b"], Fresh(x=Normal(0, 1)), {}, "half squared error", "deep linear")


def flow_of_products() -> Case:
    """Follow two weights by the chain rule, solve the balanced case, and repeat for ℓ equal weights.

    da/dt = b(s₀ − u) and db/dt = a(s₀ − u) give d(a² − b²)/dt = 2(ab − ba)(s₀ − u) = 0: Q is conserved. And du/dt =
    (a² + b²)(s₀ − u), where (a² + b²)² = Q² + 4u². For Q = 0 this is du/dt = 2u(s₀ − u): the partial fractions
    s₀/(u(s₀ − u)) = 1/u + 1/(s₀ − u) integrate to log(u/(s₀ − u)) = 2s₀τ + constant. With ℓ equal weights a = u^{1/ℓ},
    du/dt = ℓa^{ℓ−1}·da/dt and da/dt = a^{ℓ−1}(s₀ − u).
    """
    a, b = sp.symbols("a b", positive=True)
    problem = two_layers()
    (teacher,) = problem.free_parameters
    here = {**dict(zip(problem.coordinates, (a, b), strict=True)), teacher: s_0}
    velocity = [-g.xreplace(here) for g in problem.gradient]

    def rate(quantity: sp.Expr) -> sp.Expr:
        return sp.factor(sum(sp.diff(quantity, x) * v for x, v in zip((a, b), velocity, strict=True)))

    odds, weight = sp.Symbol("odds", positive=True), u ** (1 / sp.sympify(ell))
    (balanced,) = sp.solve(u - odds * (s_0 - u), u)
    growth = sp.exp(2 * s_0 * τ) * u_0 / (s_0 - u_0)
    return {
        u_dot: rate(a * b),
        Q_dot: rate(a**2 - b**2),
        Q: a**2 - b**2,
        u_τ: balanced.subs(odds, growth),
        deep_dot: ell * weight ** (ell - 1) * weight ** (ell - 1) * (s_0 - u),
        u: a * b,
    }
