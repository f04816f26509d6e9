"""Gradient flow: what many small steps come to, what they leave over, and how the loss falls along the flow.

The lectures divide a step of learning rate η into N of learning rate η/N and let N grow. On ½hw² the result after τ
units of time, Nτ steps, is the flow dw/dt = −ηhw up to a bias of order 1/N and noise of variance of order 1/N.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.claim import Case, Claim, Ensemble, Identity, Mutant, Recursion, by_name, equals, given, positive, real
from sgdtheory.derive.expansion import generic_polynomial, jet
from sgdtheory.dynamics import mean_step
from sgdtheory.optimizers import SGD
from sgdtheory.sources import MCALLESTER_2018

η, h, σ, B = symbols.lr, symbols.curvature, symbols.noise_std, symbols.batch_size
τ, δ, w_0 = symbols.flow_time, symbols.subdivision, symbols.flow_start
bias, spread = symbols.flow_bias, symbols.flow_spread
rate, g_sq, x_0, x_τ = symbols.loss_rate, symbols.squared_gradient, symbols.slide_start, symbols.slide_position
Array = NDArray[np.float64]

_FIRST = (δ, 2)  # what is kept: coefficients of δ below δ²


def leading_bias() -> sp.Expr:
    """Return −½τ(ηh)²e^{−ηhτ}w₀δ, to leading order in δ = 1/N the mean of SGD less the flow."""
    return -τ * (η * h) ** 2 * sp.exp(-η * h * τ) * w_0 * δ / 2


def leading_spread() -> sp.Expr:
    """Return ησ²(1 − e^{−2ηhτ})δ/(2Bh), to leading order in δ = 1/N the variance of SGD about its mean."""
    return η * σ**2 * (1 - sp.exp(-2 * η * h * τ)) * δ / (2 * B * h)


def subdivide() -> Case:
    """Expand Nτ steps of learning rate ηδ, δ = 1/N, in powers of δ.

    One step multiplies the mean by a = 1 − ηhδ and adds noise of variance c = (ηδσ)²/B. Since log a = −ηhδ − ½(ηhδ)²
    + O(δ³), the mean after τ/δ steps is w₀a^{τ/δ} = w₀e^{−ηhτ}(1 − ½τ(ηh)²δ + O(δ²)); the flow is w₀e^{−ηhτ}. The
    variance obeys V' = a²V + c, so it is c(1 − a^{2τ/δ})/(1 − a²), and c/(1 − a²) = ησ²δ/(2Bh) + O(δ²).
    """
    step, noise = mean_step(quadratic(), SGD(lr=η * δ), B)
    (w,) = quadratic().coordinates
    a, fresh = sp.diff(step[0], w), noise[0]
    exponent = sp.expand(τ * jet(sp.log(a), δ, 3) / δ)
    settled = jet(sp.cancel(fresh / (1 - a**2)), *_FIRST)
    mean, square = (jet(sp.exp(k * exponent), *_FIRST) for k in (1, 2))
    return {bias: w_0 * (mean - sp.exp(-η * h * τ)), spread: jet(settled * (1 - square), *_FIRST)}


def iterate_subdivided(point: Case) -> Case:
    """Run mean and variance for N = 32, 64, …, 1024 steps a unit of time; extrapolate both, times N, to N → ∞."""
    lr, curvature, start, time = (float(point[s]) for s in (η, h, w_0, τ))
    fresh = float(point[σ]) ** 2 / float(point[B])
    scaled = []
    for parts in (32, 64, 128, 256, 512, 1024):
        mean, variance = start, 0.0
        for _ in range(round(parts * time)):
            mean -= lr / parts * curvature * mean
            variance = (1 - lr / parts * curvature) ** 2 * variance + (lr / parts) ** 2 * fresh
        scaled.append(np.array([mean - start * math.exp(-lr * curvature * time), variance]) * parts)
    limits = _extrapolated(scaled)
    return {**point, bias: limits[0] * point[δ], spread: limits[1] * point[δ]}


def descend() -> Case:
    """Apply the chain rule along the flow, and solve the flow of exp(−x).

    Along dw/dt = −η∇L the loss changes at dL/dt = Σᵢ ∂ᵢL dwᵢ/dt = −η Σᵢ(∂ᵢL)². Only first derivatives at the present
    point enter, and a sum over coordinates; a generic polynomial in three of them stands for all C¹ losses. For
    L = exp(−x) the flow dx/dt = ηe^{−x} separates into eˣdx = ηdt, so e^{x(τ)} = e^{x₀} + ητ.
    """
    t, x = sp.Symbol("t", real=True), sp.Dummy("x", real=True)
    w = sp.symbols("w1:4", real=True)
    loss = generic_polynomial("c", w, 2)
    moving = {wi: sp.Function(wi.name)(t) for wi in w}
    velocity = {sp.diff(moving[wi], t): -η * sp.diff(loss, wi).xreplace(moving) for wi in w}
    change = sp.diff(loss.xreplace(moving), t).xreplace(velocity)
    slide = sp.exp(-x)
    elapsed = sp.integrate(sp.expand(1 / (-η * sp.diff(slide, x))), x)  # time as a function of place
    (end,) = sp.solve(sp.Eq(elapsed - elapsed.subs(x, x_0), τ), x)
    back = {place: wi for wi, place in moving.items()}
    return {rate: change.xreplace(back), g_sq: sum(sp.diff(loss, wi) ** 2 for wi in w), x_τ: end}


def follow(point: Case) -> list[Case]:
    """Integrate the flow numerically in 1 to 4 dimensions; take the rate from the losses just before and after."""
    lr = float(point[η])
    (end,) = _runge_kutta(lambda x: lr * np.exp(-x), np.array([float(point[x_0])]), float(point[τ]), 2000)
    cases: list[Case] = []
    for d in (1, 2, 3, 4):
        start, gap = np.linspace(0.5, -0.8, d), 3e-4 / lr
        places = [_runge_kutta(lambda w: -lr * _slope(w), start, k * gap, 8) for k in (-2, -1, 1, 2)]
        measured = np.dot([1, -8, 8, -1], [_height(w) for w in places]) / (12 * gap)
        cases.append({**point, rate: measured, g_sq: float(np.sum(_slope(start) ** 2)), x_τ: float(end)})
    return cases


def _height(w: Array) -> float:
    """Return a loss without symmetry, Σᵢ wᵢ⁴/4 + ½(Σᵢ i·wᵢ)² + w₁, counting from 1."""
    weights = np.arange(1, len(w) + 1)
    return float(np.sum(w**4) / 4 + (weights @ w) ** 2 / 2 + w[0])


def _slope(w: Array) -> Array:
    weights = np.arange(1, len(w) + 1)
    return np.asarray(w**3 + (weights @ w) * weights + (weights == 1))


def _runge_kutta(field: Callable[[Array], Array], start: Array, time: float, steps: int) -> Array:
    """Integrate dw/dt = field(w) by the classical method of order four."""
    w, step = start, time / steps
    for _ in range(steps):
        k1 = field(w)
        k2 = field(w + step / 2 * k1)
        k3 = field(w + step / 2 * k2)
        k4 = field(w + step * k3)
        w = w + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return w


def _extrapolated(values: Sequence[Array]) -> Array:
    """Richardson: remove one power of 1/N after another from values at N, 2N, 4N, …."""
    rows, power = list(values), 1
    while len(rows) > 1:
        power *= 2
        rows = [(power * fine - coarse) / (power - 1) for coarse, fine in pairwise(rows)]
    return rows[0]


_point = by_name(lr=η, h=h, s=σ, B=B, t=τ, w0=w_0, part=δ, x0=x_0)


_QUADRATIC = quadratic()
_LR = positive(η, "learning rate of a unit of time")
_TIME = positive(τ, "time, in units of N steps")
_NUMBERS = {"lr": 0.5, "h": 0.5, "s": 2, "B": 2, "t": 1, "w0": 1}


def _remains(shift: sp.Expr, variance: sp.Expr) -> sp.Basic:
    return sp.And(equals(bias, shift), equals(spread, variance))


SUBDIVIDED = Claim(
    id="MCA-20",
    slug="lectures.subdivided-steps",
    title="N steps of η/N miss the gradient flow by a bias of order 1/N and noise of standard deviation of order 1/√N",
    status="leading-order",
    statement=_remains(leading_bias(), leading_spread()),
    assumptions=(
        _LR,
        positive(h, "curvature"),
        positive(σ, "standard deviation of one example's gradient"),
        positive(B, "batch size"),
        _TIME,
        real(w_0, "start"),
        positive(δ, "δ = 1/N, small"),
        given("quadratic loss ½hw², independent gradient noise that does not depend on w; remainder O(1/N²)"),
    ),
    source=MCALLESTER_2018.where("slide Gradient flow"),
    evidence=(
        Identity(subdivide, _FIRST),
        # six levels leave O(N⁻⁶), far below; the differences of about 10⁻³ carry rounding of 10⁻¹⁶·N
        Recursion(
            iterate_subdivided,
            (
                _point(lr=0.7, h=1, s=1, B=1, t=1, w0=1, part=0.001),
                _point(lr=0.5, h=3, s=2, B=4, t=2, w0=-2, part=0.01),
                _point(lr=2, h=0.25, s=0.5, B=8, t=0.5, w0=3, part=0.1),
            ),
            1e-8,
        ),
        # the next order is δ/5 of the variance: 0.04 %, an eighth of a standard error
        Ensemble(
            spread,
            _QUADRATIC.coordinates[0],
            "variance",
            _QUADRATIC,
            SGD(lr=η * δ),
            _point(**_NUMBERS, part=1 / 512),
            512,
            (1,),
            resolution=0.03,
        ),
    ),
    mutants=(
        Mutant("steps lag behind the flow", _remains(-leading_bias(), leading_spread())),
        Mutant("the error of one step, not forgotten", _remains(leading_bias() * sp.exp(η * h * τ), leading_spread())),
        Mutant("without the factor ½", _remains(2 * leading_bias(), leading_spread())),
        Mutant("noise of standard deviation 1/N", _remains(leading_bias(), leading_spread() * δ)),
        Mutant("noise does not average out", _remains(leading_bias(), leading_spread() / δ)),
        Mutant("noise of a random walk", _remains(leading_bias(), η**2 * σ**2 * τ * δ / B)),
        Mutant(
            "noise forgotten like the mean",
            _remains(leading_bias(), leading_spread() / (1 + sp.exp(-η * h * τ))),
        ),
    ),
    meanings=(
        (bias, "mean of w after Nτ steps of learning rate η/N, less the flow w₀e^{−ηhτ}"),
        (spread, "variance of w about its mean then"),
    ),
    note="So the steps tend to the flow in probability, as the lectures say, and the mean faster than a single run. "
    "The bias has the sign of −w₀: steps run ahead of the flow on a convex loss.",
)


def _falls(change: sp.Expr, place: sp.Expr) -> sp.Basic:
    return sp.And(equals(rate, change), equals(x_τ, place))


_PLACE = sp.log(sp.exp(x_0) + η * τ)
FALLS = Claim(
    id="MCA-21",
    slug="lectures.loss-along-flow",
    title="Along dw/dt = −η∇L the loss falls at the rate η|∇L|²; it converges if bounded, the parameters need not",
    status="corrected",
    statement=_falls(-η * g_sq, _PLACE),
    assumptions=(
        _LR,
        _TIME,
        real(x_0, "start on exp(−x)"),
        given("loss C¹"),
    ),
    source=MCALLESTER_2018.where("slide Gradient flow"),
    evidence=(
        Identity(descend),
        # differences of order four over ±6·10⁻⁴/η: 3·10⁻¹⁶ times the fifth derivative in ητ, relatively below 10⁸
        Recursion(
            follow,
            (_point(lr=0.5, x0=0, t=3), _point(lr=2, x0=-1, t=1), _point(lr=0.1, x0=1.5, t=20)),
            1e-6,
        ),
    ),
    mutants=(
        Mutant("as printed: −|∇L|², without η", _falls(-g_sq, _PLACE)),
        Mutant("a factor ½", _falls(-η * g_sq / 2, _PLACE)),
        Mutant("the loss of exp(−x) falls exponentially", _falls(-η * g_sq, x_0 + η * τ)),
        Mutant("its parameter converges", _falls(-η * g_sq, x_0 + 1 - sp.exp(-η * τ))),
    ),
    meanings=(
        (rate, "dL/dt along the flow"),
        (g_sq, "|∇L|² at the present point"),
        (x_τ, "place of the flow of exp(−x) at time τ"),
    ),
    note="On exp(−x) the loss is 1/(e^{x₀} + ητ) at time τ and tends to 0, while x grows for ever.",
)

CLAIMS = (SUBDIVIDED, FALLS)
"""The theory, in the order of the ledger."""
