"""Densities of long runs on a line when the noise varies in space: SGD is an Itô process.

Noise is drawn where the step begins. At small steps the long-run density then gains a factor 1/D over
exp(−∫U'/D), D = ηΣ(w)/(2B); with Stratonovich's reading it would gain 1/√D, and if noise flowed down the gradient of
the density, −D∇p, as on the slides, nothing.
"""

from __future__ import annotations

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
    by_name,
    equals,
    given,
    positive,
    real,
    where,
)
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.derive.transition import Vector, stationary_law
from sgdtheory.optimizers import SGD
from sgdtheory.problem import Problem, landscape
from sgdtheory.sources import MCALLESTER_2020

η, B, h, σ = symbols.lr, symbols.batch_size, symbols.curvature, symbols.noise_std
slope, U1, D, D1 = symbols.slope_sgd, symbols.loss_slope, symbols.diffusion, symbols.diffusion_slope
V, E1 = symbols.variance, symbols.stay
_w = sp.Symbol("w", real=True)
READINGS = {"Itô": sp.S.One, "Stratonovich": sp.Rational(1, 2), "as printed": sp.S.Zero}
"""How much of D' stands in the slope of the log density, by the reading of the noise."""


def log_slope(reading: str = "Itô") -> sp.Expr:
    """Return the slope −(U' + cD')/D of the log density that carries no current, in U', D, D'.

    Parameters
    ----------
    reading : {"Itô", "Stratonovich", "as printed"}
        c = 1, ½ or 0.

    Examples
    --------
    >>> log_slope("Stratonovich")
    (-dD/2 - dU)/D
    """
    return -(U1 + READINGS[reading] * D1) / D


_GROWING = η * σ**2 * (1 + _w**2) / (2 * B)
_MODEL = {U1: h * _w, D: _GROWING, D1: _GROWING.diff(_w)}


def growing_noise() -> Problem:
    """Return ½hw² with gradient noise of variance σ²(1 + w²), the same near the minimum and wider apart.

    Examples
    --------
    >>> growing_noise().gradient_noise[0].factor()
    sigma**2*(w**2 + 1)
    """
    return landscape(h * _w**2 / 2, [_w], noise_root=[[σ * sp.sqrt(1 + _w**2)]], name="quadratic, growing noise")


def density_power(reading: str = "Itô") -> sp.Expr:
    """Return m of the density ∝ (1 + w²)^−m of SGD on `growing_noise` at small steps: c + hB/(ησ²).

    Parameters
    ----------
    reading : {"Itô", "Stratonovich", "as printed"}

    Examples
    --------
    >>> density_power()
    B*h/(eta*sigma**2) + 1
    """
    return sp.expand(sp.cancel(-log_slope(reading).xreplace(_MODEL) * (1 + _w**2) / (2 * _w)))


def no_current() -> Case:
    """Expand one step on a test function, integrate by parts, and let the current vanish.

    For smooth f, E f(w') − f(w) = −ηf'U' + ½η²f''(U'² + Σ/B) + …. At small η with D = ηΣ/(2B) the rate per unit of time
    (η a step) is −U'f' + Df'': noise enters with D at the start of the step, under no derivative. In the long run its
    mean under the density p is zero for every f; by parts, −U'p − (Dp)' = 0: no current. So (log p)' = −(U' + D')/D,
    that is p ∝ (1/D) exp(−∫U'/D).

    On ½hw² with noise σ²(1 + w²), this slope is −2m w/(1 + w²), m = 1 + hB/(ησ²), hence p ∝ (1 + w²)^−m. By parts with
    f = w, 1 + E w(log p)' = 0, so E 1/(1 + w²) = 1 − 1/(2m). The variance needs no small steps, since the noise is
    quadratic in w: V = (1 − ηh)²V + η²σ²(1 + V)/B.
    """
    w, p, ξ = _w, sp.Dummy("p"), sp.Dummy("xi")
    U, density, noise = (sp.Function(name, real=True)(w) for name in ("U", "p", "D"))
    step = SGD().update(gradient=U.diff(w) + sp.sqrt(2 * noise / η) * ξ).displacement
    mean, square = (sp.expand(m).subs(ξ**2, 1).subs(ξ, 0) for m in (step, step**2))
    drift, spread = (sp.limit(sp.expand(m), η, 0) for m in (mean / η, square / (2 * η)))
    # ∫ p (drift f' + spread f'') = ∫ f' current, for every f
    current = drift * density - sp.diff(spread * density, w)
    (falls,) = sp.solve(current.xreplace({density.diff(w): p * density}), p)
    general = falls.xreplace({U.diff(w): U1, noise.diff(w): D1}).xreplace({noise: D})
    m = sp.cancel(-general.xreplace(_MODEL) * (1 + w**2) / (2 * w))
    variance = stationary_covariance(growing_noise(), SGD(), B)[0, 0]
    return {slope: general, E1: 1 - 1 / (2 * m), V: variance}


def chain_law(relative_step: float, ratio: float, grid: Vector) -> Vector:
    """Return the long-run law of SGD on `growing_noise`, x = ηh and q = ησ²/(Bh): w' ~ N((1 − x)w, xq(1 + w²)).

    Examples
    --------
    >>> grid = np.linspace(-9, 9, 121)
    >>> law = chain_law(0.5, 0.1, grid)
    >>> round(float(law @ grid**2), 6), round(0.1 / (2 - 0.5 - 0.1), 6)
    (0.071429, 0.071429)
    """
    return stationary_law(
        lambda w: (1 - relative_step) * w, lambda w: np.sqrt(relative_step * ratio * (1 + w**2)), grid
    )


def on_a_grid(point: Case) -> Case:
    """Carry SGD's law on a grid, without expansions: V at its own step, slope and E 1/(1 + w²) extrapolated to ηh = 0.

    The extrapolation holds ησ²/(Bh) fixed and takes ηh = 0.04 and 0.02; the slope is that near w = ½.
    """
    x, q = float(point[η] * point[h]), float(point[η] * point[σ] ** 2 / (point[B] * point[h]))
    wide, fine = np.linspace(-14, 14, 401), np.linspace(-6, 6, 401)
    laws = [chain_law(small, q, fine) for small in (0.04, 0.02)]
    i = int(np.searchsorted(fine, 0.5))
    at, spacing = float(fine[i]), float(fine[1] - fine[0])

    def rise(k: int, law: Vector) -> float:
        return float(np.log(law[i + k] / law[i - k])) / (2 * k * spacing)

    slopes = [(4 * rise(1, law) - rise(2, law)) / 3 for law in laws]
    means = [float(law @ (1 / (1 + fine**2))) for law in laws]
    here = {s: e.subs({_w: at}).subs(point) for s, e in _MODEL.items()}
    variance = float(chain_law(x, q, wide) @ wide**2)
    return {**point, **here, slope: 2 * slopes[1] - slopes[0], E1: 2 * means[1] - means[0], V: variance}


def _read(reading: str) -> sp.Basic:
    """Return the statement under one reading of the noise.

    The second moment of (1 + w²)^−m is 1/(2m − 3) = q/(2 − (3 − 2c)q), q = ησ²/(Bh); the step's own ηh goes with the 2.
    """
    variance = η * σ**2 / (B * h * (2 - η * h) - (3 - 2 * READINGS[reading]) * η * σ**2)
    stays = sp.cancel(1 - 1 / (2 * density_power(reading)))
    return sp.And(equals(slope, log_slope(reading)), equals(E1, stays), equals(V, variance))


_at = by_name(lr=η, B=B, h=h, s=σ)


ITO = Claim(
    id="STA-19",
    slug="stationarity.ito-density",
    title="Noise that varies in space gives SGD, at small steps, the density (1/D) exp(−∫U'/D), D = ηΣ/(2B): Itô's",
    status="corrected",
    statement=_read("Itô"),
    assumptions=(
        real(U1, "slope of the loss"),
        positive(D, "D = ηΣ(w)/(2B)"),
        real(D1, "slope of D"),
        positive(η, "learning rate"),
        positive(h, "curvature"),
        positive(σ, "standard deviation of one example's gradient at the minimum"),
        positive(B, "batch size"),
        where(sp.Lt(η * σ**2, B * h * (2 - η * h)), "ησ² < Bh(2 − ηh): the variance is finite"),
        given("one parameter; the integral of the density finite; example: ½hw² with noise σ²(1 + w²)"),
    ),
    source=MCALLESTER_2020.where("slides on gradient flow with noise: the diffusion flow"),
    evidence=(
        Identity(no_current),
        # second order in ηh remains of the extrapolation, some 10⁻⁴
        Recursion(on_a_grid, (_at(lr=0.4, B=2, h=1, s=1), _at(lr=0.25, B=1, h=2, s=1)), 1e-3),
        Ensemble(
            V, _w**2, "mean", growing_noise(), SGD(),
            {η: 0.4, B: 2, h: 1, σ: 1}, steps=25, start=(0,), resolution=0.03,
        ),
    ),
    mutants=(
        Mutant("as printed: noise flows as −D∇p, the density is exp(−∫U'/D)", _read("as printed")),
        Mutant("Stratonovich: exp(−∫U'/D)/√D", _read("Stratonovich")),
        Mutant("twice the noise", _read("Itô").subs(D, 2 * D).subs(σ, sp.sqrt(2) * σ)),
    ),
    meanings=(
        (slope, "slope of the logarithm of SGD's long-run density as η → 0 at fixed D"),
        (E1, "long-run mean of 1/(1 + w²) in the example, as ηh → 0 at fixed ησ²/(Bh)"),
        (V, "long-run variance in the example, at any step"),
    ),
    note="In the example the density is (1 + w²)^−m, Student's t, with m = 1 + hB/(ησ²); Stratonovich has ½ for the 1, "
    "the slides' flow 0. With a constant D all three agree.",
)  # fmt: skip

CLAIMS = (ITO,)
"""The theory, in the order of the ledger."""
