"""A deep linear network of one unit a layer: how the product of its weights grows to the slope of the data.

The network f(x) = aₗ⋯a₁x with squared error on data y = s₀x, E x² = 1, has the loss ½(s₀ − u)² with u = aₗ⋯a₁. Under
gradient flow each weight obeys daⱼ/dt = (u/aⱼ)(s₀ − u).
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.claim import Assumption, Case, Claim, Identity, Mutant, Recursion, by_name, equals, given, positive
from sgdtheory.laws import Fresh, Normal
from sgdtheory.problem import Problem
from sgdtheory.sources import SAXE_2014

τ, s_0, u, u_0 = symbols.flow_time, symbols.teacher, symbols.product, symbols.product_start
u_dot, Q, Q_τ = symbols.product_rate, symbols.imbalance, symbols.imbalance_later
u_τ, ell, deep_dot, R = symbols.product_at, symbols.depth, symbols.deep_rate, symbols.square_sum
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
    b*(a*b - s_0)
    """
    a, b, x = sp.symbols("a b x", real=True)
    loss = (s_0 * x - a * b * x) ** 2 / 2
    return Problem(loss, [a, b], Fresh(x=Normal(0, 1)), None, "half squared error", "deep linear, two layers")


def flow_of_products() -> Case:
    """Follow two weights by the chain rule, solve the balanced case, and repeat for ℓ equal weights.

    da/dt = b(s₀ − u) and db/dt = a(s₀ − u) give d(a² − b²)/dt = 2(ab − ba)(s₀ − u) = 0: Q is conserved. And du/dt =
    (a² + b²)(s₀ − u), where (a² + b²)² = Q² + 4u². For Q = 0 this is du/dt = 2u(s₀ − u): the partial fractions
    s₀/(u(s₀ − u)) = 1/u + 1/(s₀ − u) integrate to log(u/(s₀ − u)) = 2s₀τ + constant. With ℓ equal weights a = u^{1/ℓ},
    du/dt = ℓa^{ℓ−1}·da/dt and da/dt = a^{ℓ−1}(s₀ − u).
    """
    a, b = sp.symbols("a b", positive=True)
    problem = two_layers()
    here = dict(zip(problem.coordinates, (a, b), strict=True))
    velocity = [-g.xreplace(here) for g in problem.gradient]

    def rate(quantity: sp.Expr) -> sp.Expr:
        return sp.factor(sum(sp.diff(quantity, x) * v for x, v in zip((a, b), velocity, strict=True)))

    odds, weight = u / (s_0 - u), u ** (1 / sp.sympify(ell))
    speed = sp.cancel(sp.diff(sp.log(odds), u) * 2 * u * (s_0 - u))  # of log odds, a constant
    (end,) = sp.solve(odds - odds.subs(u, u_0) * sp.exp(speed * τ), u)
    deep = ell * weight ** (ell - 1) * weight ** (ell - 1) * (s_0 - u)
    return {
        u_dot: rate(a * b),
        R: a**2 + b**2,
        Q_τ: a**2 - b**2 + τ * rate(a**2 - b**2),
        Q: a**2 - b**2,
        u_τ: end,
        deep_dot: deep.subs(u, a * b),
        u: a * b,
    }


def integrate(point: Case) -> Case:
    """Integrate the flow of the weights themselves: two unequal ones, two equal ones, and ℓ equal ones."""
    teacher, time, layers = float(point[s_0]), float(point[τ]), int(point[ell])
    unequal = np.array([float(point[u]) / 0.7, 0.7])
    equal, deep = np.full(2, float(point[u_0]) ** 0.5), np.full(layers, float(point[u]) ** (1 / layers))
    later = _flow(unequal, teacher, time)
    return {
        **point,
        u_dot: _rate(unequal, teacher),
        R: float(np.sum(unequal**2)),
        Q: float(unequal[0] ** 2 - unequal[1] ** 2),
        Q_τ: float(later[0] ** 2 - later[1] ** 2),
        u_τ: float(_flow(equal, teacher, time).prod()),
        deep_dot: _rate(deep, teacher),
    }


def _flow(weights: Array, teacher: float, time: float, steps: int = 2000) -> Array:
    """Integrate daⱼ/dt = (s₀ − Πᵢaᵢ)·Π_{i≠j}aᵢ by the classical method of order four."""

    def field(a: Array) -> Array:
        others = np.array([np.delete(a, j).prod() for j in range(len(a))])
        return np.asarray((teacher - a.prod()) * others)

    a, step = weights, time / steps
    for _ in range(steps):
        k1 = field(a)
        k2 = field(a + step / 2 * k1)
        k3 = field(a + step / 2 * k2)
        a = a + step / 6 * (k1 + 2 * k2 + 2 * k3 + field(a + step * k3))
    return a


def _rate(weights: Array, teacher: float, gap: float = 3e-4) -> float:
    """Return the rate of the product, by a difference of order four."""
    values = [_flow(weights, teacher, k * gap, 4).prod() for k in (-2, -1, 1, 2)]
    return float(np.dot([1, -8, 8, -1], values) / (12 * gap))


_point = by_name(s=s_0, u=u, u0=u_0, t=τ, layers=ell)


def _grows(**changes: sp.Expr) -> sp.Basic:
    """Return the statement, with other right sides for some equations."""
    stated = {
        "two": R * (s_0 - u),
        "square": Q**2 + 4 * u**2,
        "later": Q,
        "balanced": balanced_product(),
        "deep": deep_rate(),
    }
    return sp.And(*map(equals, (u_dot, R**2, Q_τ, u_τ, deep_dot), (stated | changes).values()))


DEEP_LINEAR = Claim(
    id="STA-11",
    slug="stationarity.deep-linear",
    title="Gradient flow of a deep linear network: logistic growth of the product, conserved imbalance of weights",
    status="exact",
    statement=_grows(),
    assumptions=(
        positive(s_0, "slope of the data"),
        positive(u, "product of the weights"),
        positive(u_0, "product at time 0, not s₀"),
        positive(τ, "time along the flow, in units of learning rate × steps"),
        Assumption("layers: ℓ = 1, 2, …", ell, sp.Interval(1, sp.oo)),
        given("one unit a layer, half squared error, E x² = 1, weights positive"),
    ),
    source=SAXE_2014,
    evidence=(
        Identity(flow_of_products),
        # differences of order four over ±6·10⁻⁴: 3·10⁻¹⁶ times the fifth derivative, relatively below 10⁶
        Recursion(
            integrate,
            (
                _point(s=3, u=0.2, u0=0.01, t=1, layers=3),
                _point(s=1, u=1.6, u0=2, t=0.7, layers=4),
                _point(s=2, u=0.5, u0=0.3, t=1.5, layers=1),
            ),
            1e-8,
        ),
    ),
    mutants=(
        Mutant("unbalanced weights grow like balanced ones", _grows(two=2 * u * (s_0 - u))),
        Mutant("a cross term too many", _grows(square=(Q + 2 * u) ** 2)),
        Mutant("the imbalance decays", _grows(later=Q * sp.exp(-τ))),
        Mutant("half the rate of growth", _grows(balanced=balanced_product().subs(τ, τ / 2))),
        Mutant("exponential approach, as of one layer", _grows(balanced=s_0 + (u_0 - s_0) * sp.exp(-τ))),
        Mutant("depth only as a factor", _grows(deep=ell * u * (s_0 - u))),
        Mutant("exponent 2 − 1/ℓ", _grows(deep=ell * u ** (2 - 1 / sp.sympify(ell)) * (s_0 - u))),
    ),
    meanings=(
        (u_dot, "rate of u = ab, two layers"),
        (R, "a² + b², so that the rate is √(Q² + 4u²)(s₀ − u)"),
        (Q, "a² − b²"),
        (Q_τ, "the same at time τ"),
        (u_τ, "product of two equal weights at time τ, from u₀"),
        (deep_dot, "rate of the product u of ℓ equal weights"),
    ),
    note="From a small start u stays near 0 for a time log(s₀/u₀)/(2s₀), then rises within about 1/(2s₀): the larger a "
    "slope, the sooner it is learnt. At ℓ = 1 the rate is s₀ − u, at ℓ = 2 that of equal weights a = b.",
)

CLAIMS = (DEEP_LINEAR,)
"""The theory, in the order of the ledger."""
