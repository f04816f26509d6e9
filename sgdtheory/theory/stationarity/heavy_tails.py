"""Heavy tails of the long-run law of SGD with random curvature, one parameter, normal inputs.

A step is w' = aw + b with a = 1 − ηq, q the mean of x² over the batch, and b = η times the mean of x times the label's
noise. Now and then a batch has ηq > 2 and throws w out instead of pulling it in; such batches in a row give a power
law, P(|w| > u) ~ u^(−κ), where κ > 0 solves E|a|^κ = 1 (Kesten; Goldie for one dimension, with the constant). That
theorem is taken from there; what is derived here is κ, the moments and the constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Recursion, Sample, equations, given, positive, where
from sgdtheory.derive.multiplier import Multiplier, chi_square_multiplier
from sgdtheory.sources import GOLDIE_1991
from sgdtheory.theory.stationarity.minibatch_stability import growth, largest_lr

η, B, h, σ = symbols.lr, symbols.batch_size, symbols.curvature, symbols.noise_std
m2, m4, η_2 = symbols.square_growth, symbols.fourth_growth, symbols.limit_square
V, M_4 = symbols.variance, symbols.fourth_moment
C_2, m_log = symbols.tail_weight, symbols.tail_growth


def fourth_power_growth() -> sp.Expr:
    """Return E(1 − ηq)⁴, which is one where the tail exponent is 4; in ηh and B.

    Examples
    --------
    >>> fourth_power_growth().subs({η: 1, h: 1, B: 1})
    60
    """
    u, k2, k3, k4 = η * h, (B + 2) / B, (B + 4) / B, (B + 6) / B
    return 1 - 4 * u + 6 * u**2 * k2 - 4 * u**3 * k2 * k3 + u**4 * k2 * k3 * k4


def long_run_variance() -> sp.Expr:
    """Return E w² = ησ²/(2B − (B + 2)ηh), infinite from ηh = 2B/(B + 2) on, where the tail exponent falls below 2."""
    return η * σ**2 / (2 * B - (B + 2) * η * h)


def multiplier(lr: float, batch_size: float = 1) -> Multiplier:
    """Return the law of a = 1 − ηq at curvature 1, q ~ χ²(B)/B.

    Examples
    --------
    >>> abs(multiplier(2 / 3).log_moment(2)) < 1e-12
    True
    """
    return chi_square_multiplier(1, -lr / batch_size, batch_size)


def moments() -> Case:
    """Take the moments of w' = aw + b on both sides.

    q is the mean of B squares of independent normal numbers, so by Stein's identity E q^(k+1) = h(1 + 2k/B)E q^k. Given
    the inputs b is normal of mean 0 and variance η²σ²q/B, so odd moments of b vanish, and with m_k = E a^k

        E w² = m₂E w² + E b²,    E w⁴ = m₄E w⁴ + 6E a²b²·E w² + E b⁴,    E b⁴ = 3E(η²σ²q/B)².

    Each has a positive solution exactly if m₂ < 1 and m₄ < 1: the moment of order k is finite as long as κ > k. The
    tail exponent is 2 where m₂ = 1, at ηh = 2B/(B + 2). There Goldie's constant E(|aw + b|^κ − |aw|^κ)/(κE|a|^κ log|a|)
    has the numerator E b² + 2E ab·E w = E b².
    """
    q = sp.Symbol("q", positive=True)

    def mean(polynomial: sp.Expr) -> sp.Expr:
        coefficients = reversed(sp.Poly(polynomial, q).all_coeffs())
        powers = [sp.Mul(*(h * (B + 2 * j) / B for j in range(k))) for k in range(5)]
        return sp.Add(*(c * p for c, p in zip(coefficients, powers, strict=False)))

    a, b_square = 1 - η * q, η**2 * σ**2 * q / B
    second, fourth = mean(a**2), mean(a**4)
    variance = sp.factor(mean(b_square) / (1 - second))
    fourth_moment = (6 * mean(a**2 * b_square) * variance + 3 * mean(b_square**2)) / (1 - fourth)
    (edge,) = (root for root in sp.solve(second - 1, η) if root != 0)
    return {
        **{m2: second, m4: fourth, V: variance, M_4: sp.factor(fourth_moment), η_2: edge},
        C_2: mean(b_square).subs(η, edge) / (2 * m_log),
    }


def integrate(point: Case) -> Case:
    """Average over q by quadrature, iterate the moments 400 times, and take the constant from the pole of the variance.

    A tail C₂u^(−κ) adds 2C₂/(κ − 2) to the variance as κ falls to 2, so that C₂ = lim V(κ − 2)/2.
    """
    lr, batch, curvature, noise = (float(point[s]) for s in (η, B, h, σ))

    def mean(power: int, noises: int, lr: float) -> float:
        """Return E aᵏ(E b²|q)ⁿ."""
        return _chi_square_mean(
            lambda q: (1 - lr * curvature * q) ** power * (lr**2 * noise**2 * curvature * q / batch) ** noises, batch
        )

    second, fourth = mean(2, 0, lr), mean(4, 0, lr)
    variance = fourth_moment = 0.0
    for _ in range(400):
        fourth_moment = fourth * fourth_moment + 6 * mean(2, 1, lr) * variance + 3 * mean(0, 2, lr)
        variance = second * variance + mean(0, 1, lr)
    low, high = 0.5 / curvature, 2 / curvature
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if mean(2, 0, middle) < 1 else (low, middle)
    near = low * (1 - 1e-5)
    pole = mean(0, 1, near) / (1 - mean(2, 0, near)) * (multiplier(near * curvature, batch).tail_exponent() - 2) / 2
    found = {m2: second, m4: fourth, V: variance, M_4: fourth_moment, η_2: low, C_2: pole}
    return {**point, **found, m_log: multiplier(low * curvature, batch).slope(2)}


def _chi_square_mean(function: Callable[[NDArray[np.float64]], NDArray[np.float64]], batch_size: float) -> float:
    """Return E f(q), q ~ χ²(B)/B, by the trapezoidal rule in log q."""
    s, step = np.linspace(-80, 8, 4001, retstep=True)
    half, q = batch_size / 2, np.exp(s)
    weights = np.exp(half * (math.log(half) + s - q) - math.lgamma(half))
    return float(np.sum(function(q) * weights) * step)


_FAR = 10.0


def draw_tail(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Run 30 steps at ηh = 2/3, B = 1, h = σ = 1 from 0; return u² where |w| > u = 10, and 0 elsewhere."""
    lr, w = 2 / 3, np.zeros(count)
    for _ in range(30):
        x, noise = rng.standard_normal((2, count))
        w = w - lr * (w * x - noise) * x
    return np.where(np.abs(w) > _FAR, _FAR**2, 0.0)


def _point(lr: str, batch: int, curvature: str, noise: str) -> Case:
    return {s: sp.Rational(value) for s, value in zip((η, B, h, σ), (lr, batch, curvature, noise), strict=True)}


def _fourth_moment() -> sp.Expr:
    """Return E w⁴ through m₄ and the variance."""
    u, k = η * h, (B + 2) / B
    mixed = 1 - 2 * u * k + u**2 * k * (B + 4) / B  # E a²q/h
    return (6 * mixed * long_run_variance() * η**2 * σ**2 * h / B + 3 * η**4 * σ**4 * h**2 * k / B**2) / (
        1 - fourth_power_growth()
    )


STATED: dict[sp.Symbol, sp.Expr] = {
    m2: growth(dimension=1),
    m4: fourth_power_growth(),
    η_2: largest_lr(dimension=1),
    V: long_run_variance(),
    M_4: _fourth_moment(),
    C_2: 2 * B * σ**2 / ((B + 2) ** 2 * h * m_log),
}


_TAIL = {**_point("2/3", 1, "1", "1"), m_log: sp.Float(multiplier(2 / 3).slope(2))}

KESTEN = Claim(
    id="STA-04",
    slug="stationarity.heavy-tail",
    title="One parameter's long-run law has a power tail; at ηh = 2B/(B + 2) it falls as C/u² and has no variance",
    status="exact",
    statement=equations(STATED),
    assumptions=(
        positive(η, "learning rate"),
        positive(B, "batch size"),
        positive(h, "variance of the input, the curvature"),
        positive(σ, "standard deviation of the labels' noise"),
        where(sp.Lt(fourth_power_growth(), 1), "E(1 − ηq)⁴ < 1, for the moments: the tail exponent is above 4"),
        given("one parameter, normal inputs and label noise, fresh and independent examples"),
    ),
    source=GOLDIE_1991.where("theorem 4.1, the tail and its constant; Kesten (1973) for the exponent"),
    evidence=(
        Identity(moments),
        # the constant is read 10⁻⁵ before the pole; the moments and the rest are good to rounding
        Recursion(
            integrate, (_point("0.2", 1, "1", "1"), _point("0.3", 4, "2", "0.5"), _point("0.1", 2, "3", "2")), 1e-4
        ),
        Sample(C_2, draw_tail, _TAIL, resolution=0.15),
    ),
    mutants=(
        Mutant("a normal law: fourth moment three times the variance squared", equations(STATED, {M_4: 3 * V**2})),
        Mutant("noise as it is at the minimum", equations(STATED, {V: η * σ**2 / (B * (2 - η * h))})),
        Mutant("infinite variance only where gradient descent diverges", equations(STATED, {η_2: 2 / h})),
        Mutant("q without fluctuations in fourth power", equations(STATED, {m4: growth(dimension=1) ** 2})),
        Mutant("tail counted on one side", equations(STATED, {C_2: STATED[C_2] / 2})),
        Mutant("tail without the renewal constant", equations(STATED, {C_2: STATED[C_2] * m_log})),
    ),
    meanings=(
        (m2, "E(1 − ηq)²: the tail exponent is 2 where it is 1"),
        (m4, "E(1 − ηq)⁴: the tail exponent is 4 where it is 1"),
        (η_2, "learning rate at which the tail exponent is 2"),
        (V, "long-run variance, where the tail exponent is above 2"),
        (M_4, "long-run fourth moment, where the tail exponent is above 4"),
        (C_2, "limit of u²P(|w| > u) at the learning rate where the tail exponent is 2"),
        (m_log, "E(1 − ηq)² log|1 − ηq| there"),
    ),
    note="The draw looks at u = 10σ after 30 steps, where u²P(|w| > u) is within one per cent of its limit. For B = 1 "
    "the tail exponent is 4 at ηh = 0.3835, the root of 105x³ − 60x² + 18x = 4: above it the variance of an estimated "
    "variance is infinite.",
)

CLAIMS = (KESTEN,)
"""The theory, in the order of the ledger."""
