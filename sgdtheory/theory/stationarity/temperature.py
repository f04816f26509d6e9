"""Temperature: which noise samples a posterior, and how far a learning rate is one.

Langevin's noise has one size in all directions and at all points, and its long run is exp(−L/T). SGD's noise has a
size of its own in every direction, and its steps are not small.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import sympy as sp

from sgdtheory import symbols
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
    given,
    positive,
    where,
)
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.derive.transition import Vector, stationary_law
from sgdtheory.optimizers import SGD, Langevin
from sgdtheory.problem import landscape
from sgdtheory.sources import MCALLESTER_2020
from sgdtheory.theory.stationarity.fluctuation import covariance_in_the_plane

η, B, h = symbols.lr, symbols.batch_size, symbols.curvature
h1, h2, σ1, σ2, r = (
    symbols.curvature_1,
    symbols.curvature_2,
    symbols.noise_std_1,
    symbols.noise_std_2,
    symbols.noise_correlation,
)
s, amplitude, N, ν, V_L = (
    symbols.density_rate,
    symbols.diffusion_std,
    symbols.examples,
    symbols.posterior_noise,
    symbols.langevin_variance,
)
T1, T2, Ω = symbols.temperature_1, symbols.temperature_2, symbols.torque
_w, _w1, _w2 = sp.symbols("w w1 w2", real=True)
_BOWL = landscape(h * _w**2 / 2, [_w], name="½hw², exact gradient")


def current_free() -> Case:
    """Look for the density that carries no current, then for the noise that makes it the posterior.

    Under dΦ = −∇L dt + σ dB a density p flows with current −p∇L − ½σ²∇p. On p = exp(−sL), ∇p = −s p∇L, so the current
    is p∇L(−1 + ½σ²s): it vanishes everywhere, whatever L, exactly if s = 2/σ². With N examples, L their mean negative
    log likelihood and a flat prior, the posterior is exp(−N·L), hence s = N and σ² = 2/N, that is temperature
    T = σ²/2 = 1/N. Euler steps of length η at this temperature have variance 2T/(h(2 − ηh)) on ½hw², by the Lyapunov
    equation: the posterior's 1/(Nh) as η → 0.
    """
    L = sp.Function("L", real=True)(_w)
    density = sp.exp(-s * L)
    current = -density * L.diff(_w) - amplitude**2 * density.diff(_w) / 2
    (rate,) = sp.solve(sp.cancel(current / density / L.diff(_w)), s)
    (noise,) = sp.solve(sp.Eq(rate, N), amplitude)
    V = stationary_covariance(_BOWL, Langevin(temperature=1 / N), 1)[0, 0]
    return {s: rate, ν: noise**2, V_L: V}


def euler_law(lr: float, noise: float, grid: Vector) -> Vector:
    """Return the long-run law, on a grid, of Euler's steps w' = w − η(w + w³) + √(ησ²) ζ, for σ² = `noise`."""
    return stationary_law(lambda w: w - lr * (w + w**3), lambda w: np.full_like(w, math.sqrt(lr * noise)), grid)


def small_steps(of_law: Callable[[Vector, Vector], float], noise: float) -> float:
    """Return what a number read off Euler's long run tends to: its values at steps 0.02 and 0.01, extrapolated to 0."""
    grid = np.linspace(-1, 1, 161) * min(7 * math.sqrt(noise / 2), 3.3 * noise**0.25)
    coarse, fine = (of_law(euler_law(lr, noise, grid), grid) for lr in (0.02, 0.01))
    return 2 * fine - coarse


def density_rate(law: Vector, grid: Vector) -> float:
    """Return the slope of −log p against L = ½w² + ¼w⁴, between the middle and a point halfway to the end."""
    middle, far = grid.size // 2, grid.size // 2 + grid.size // 8
    losses = grid**2 / 2 + grid**4 / 4
    return float(-(math.log(law[far]) - math.log(law[middle])) / (losses[far] - losses[middle]))


def match_posterior(point: Case) -> Case:
    """Read s off the chain on L = ½w² + ¼w⁴, and find the σ² at which it has the posterior's second moment."""
    examples, lr, curvature = float(point[N]), float(point[η]), float(point[h])
    line = np.linspace(-5, 5, 2001)
    posterior = np.exp(-examples * (line**2 / 2 + line**4 / 4))
    wanted = float(posterior @ line**2 / posterior.sum())

    def excess(log_noise: float) -> float:
        return math.log(small_steps(lambda law, w: float(law @ w**2), math.exp(log_noise)) / wanted)

    std = math.sqrt(2 * lr / examples)
    grid = np.arange(-120, 121) * std / 2
    quadratic_law = stationary_law(lambda w: (1 - lr * curvature) * w, lambda w: np.full_like(w, std), grid)
    rate = small_steps(density_rate, float(point[amplitude]) ** 2)
    noise = math.exp(_secant(excess, -math.log(examples), math.log(5 / examples)))
    return {**point, s: rate, ν: noise, V_L: float(quadratic_law @ grid**2)}


def _secant(f: Callable[[float], float], first: float, second: float) -> float:
    """Return a zero of a nearly straight function."""
    below = f(first)
    while abs(second - first) > 1e-7:
        here = f(second)
        first, second, below = second, second - here * (second - first) / (here - below), here
    return second


def axes_apart() -> Case:
    """Read the mean of wᵢ ∂L/∂wⱼ off the long-run covariance of SGD on ½(h1w1² + h2w2²).

    In a Gibbs law exp(−L/T) this matrix is T times the identity (integrate by parts). SGD's covariance solves
    S = (1 − ηH)S(1 − ηH) + ηηΣ/B, entry by entry: (hᵢ + hⱼ − ηhᵢhⱼ)Sᵢⱼ = ηΣᵢⱼ/B. On the diagonal hᵢSᵢᵢ =
    ησᵢ²/(B(2 − ηhᵢ)): a temperature for each axis, equal only by accident. Off it hᵢSᵢⱼ differs from hⱼSᵢⱼ: the mean of
    w1 ∂₂L − w2 ∂₁L is not zero, the law turns for ever and no potential describes it.
    """
    S = covariance_in_the_plane()
    return {T1: h1 * S[0, 0], T2: h2 * S[1, 1], Ω: (h2 - h1) * S[0, 1]}


def _langevin(noise: sp.Expr, rate: sp.Expr = 2 / amplitude**2, correction: sp.Expr = 1 - η * h / 2) -> sp.Basic:
    return sp.And(equals(s, rate), equals(ν, noise), equals(V_L, 1 / (N * h * correction)))


_at = by_name(s=amplitude, N=N, lr=η, h=h)


POSTERIOR = Claim(
    id="STA-17",
    slug="stationarity.langevin-posterior",
    title="Langevin settles at exp(−2L/σ²), which is the posterior of N examples exactly for σ² = 2/N",
    status="corrected",
    statement=_langevin(2 / N),
    assumptions=(
        positive(amplitude, "size of the noise, dΦ = −∇L dt + σ dB"),
        positive(N, "examples"),
        positive(η, "length of Euler's step"),
        positive(h, "curvature"),
        where(sp.Lt(η * h, 2), "ηh < 2"),
        given("exp(−2L/σ²) integrable; L the mean negative log likelihood in nats, flat prior, exact gradients"),
    ),
    source=MCALLESTER_2020.where("slides on Langevin dynamics and the posterior"),
    evidence=(
        Identity(current_free),
        # the extrapolation leaves the second order in the step, some 10⁻⁴
        Recursion(match_posterior, (_at(s=1, N=1, lr=0.5, h=1), _at(s=0.6, N=5, lr=0.3, h=4)), 1e-3),
        Ensemble(
            V_L, _w, "variance", _BOWL, Langevin(temperature=1 / N),
            {η: 0.25, h: 2, N: 10}, steps=15, start=(0,), resolution=0.03,
        ),
    ),
    mutants=(
        Mutant("as printed: the posterior for σ² = 1/(2N)", _langevin(1 / (2 * N))),
        Mutant("σ² = 1/N", _langevin(1 / N)),
        Mutant("exp(−L/σ²)", _langevin(2 / N, 1 / amplitude**2)),
        Mutant("Euler's steps already exact", _langevin(2 / N, correction=sp.S.One)),
    ),
    meanings=(
        (s, "s in the density exp(−sL) that carries no current"),
        (ν, "σ² at which that density is the posterior"),
        (V_L, "long-run variance of Euler's steps at temperature 1/N on ½hw²"),
    ),
    note="Sources: reference 5.2. In the optimizer `Langevin` it is temperature = 1/N, with N the number of examples.",
)  # fmt: skip


def _apart(first: sp.Expr, second: sp.Expr, turning: sp.Expr) -> sp.Basic:
    return sp.And(equals(T1, first), equals(T2, second), equals(Ω, turning))


_TEMPERATURES = (η * σ1**2 / (B * (2 - η * h1)), η * σ2**2 / (B * (2 - η * h2)))
_TURNING = η * r * σ1 * σ2 * (h2 - h1) / (B * (h1 + h2 - η * h1 * h2))
_MEAN_TEMPERATURE = η * (σ1**2 + σ2**2) / (4 * B)
_PLANE = {η: 0.5, h1: 1, h2: 3, σ1: 1, σ2: 0.7, r: 0.8, B: 2}
_correlated = landscape(
    (h1 * _w1**2 + h2 * _w2**2) / 2,
    [_w1, _w2],
    noise_root=[[_PLANE[σ1], 0], [_PLANE[r] * _PLANE[σ2], math.sqrt(1 - _PLANE[r] ** 2) * _PLANE[σ2]]],
)


def _in_the_plane(quantity: sp.Symbol, observable: sp.Expr) -> Ensemble:
    return Ensemble(
        quantity, observable, "mean", _correlated, SGD(), _PLANE, steps=20, start=(0, 0), resolution=0.03
    )  # fmt: skip


TEMPERATURE = Claim(
    id="STA-18",
    slug="stationarity.two-temperatures",
    title="SGD has a temperature for each axis, ησᵢ²/(B(2 − ηhᵢ)), and a torque where noise and curvature disagree",
    status="corrected",
    statement=_apart(*_TEMPERATURES, _TURNING),
    assumptions=(
        positive(η, "learning rate"),
        positive(h1, "curvature along the first axis"),
        positive(h2, "curvature along the second axis"),
        positive(σ1, "noise along the first axis"),
        positive(σ2, "noise along the second axis"),
        between(r, -1, 1, "their correlation"),
        positive(B, "batch size"),
        where(sp.Lt(η * h1, 2) & sp.Lt(η * h2, 2), "ηh < 2 along both axes"),
        given("quadratic loss, noise that does not depend on the parameters"),
    ),
    source=MCALLESTER_2020.where("slides on the stationary distribution: learning rate as temperature"),
    evidence=(
        Identity(axes_apart),
        _in_the_plane(T1, h1 * _w1**2),
        _in_the_plane(T2, h2 * _w2**2),
        _in_the_plane(Ω, (h2 - h1) * _w1 * _w2),
    ),
    mutants=(
        Mutant(
            "as printed: one temperature ησ²/(2B), σ² the mean over the axes",
            _apart(_MEAN_TEMPERATURE, _MEAN_TEMPERATURE, sp.S.Zero),
        ),
        Mutant("two temperatures, of small steps", _apart(η * σ1**2 / (2 * B), η * σ2**2 / (2 * B), _TURNING)),
        Mutant("two temperatures and no torque", _apart(*_TEMPERATURES, sp.S.Zero)),
        Mutant("the torque of small steps", _apart(*_TEMPERATURES, _TURNING.subs(η * h1 * h2, 0))),
    ),
    meanings=(
        (T1, "long-run mean of w1 ∂L/∂w1, the temperature of the first axis"),
        (T2, "long-run mean of w2 ∂L/∂w2, the temperature of the second axis"),
        (Ω, "long-run mean of w1 ∂L/∂w2 − w2 ∂L/∂w1; zero in any law exp(−L/T)"),
    ),
    note="One temperature, T = ησ²/(2B), remains for noise alike in all directions and to leading order in η. The "
    "exact substitute for any loss is STA-01; noise that varies in space is STA-19.",
)

CLAIMS = (POSTERIOR, TEMPERATURE)
"""The theory, in the order of the ledger."""
