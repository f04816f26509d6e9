"""Stochastic collapse: at a double zero of Q label noise itself drives SGD onto the minimum, exponentially.

Close to the zero of Q = w² a step is w' = w(1 + 2ηm) + O(w³), m the batch's mean of x times the label: noise that
multiplies w. The logarithm of |w| is a random walk, and its mean step Λ = E log|1 + 2ηm| decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.catalogue import single_feature
from sgdtheory.claim import Case, Claim, Ensemble, Identity, Mutant, Recursion, Sample, equations, given, positive
from sgdtheory.derive.search import bisect
from sgdtheory.derive.series import hypergeometric
from sgdtheory.distributions import Rademacher
from sgdtheory.laws import Number
from sgdtheory.optimizers import SGD
from sgdtheory.sources import CORLOUER_MACE_2024, HERE
from sgdtheory.theory.stationarity.interpolation import lyapunov_exponent

η, B, σ, h = symbols.lr, symbols.batch_size, symbols.noise_std, symbols.curvature
Λ, Λ_N, Λ_1 = symbols.lyapunov, symbols.collapse, symbols.collapse_unit
normal_root, unit_root = symbols.threshold_normal, symbols.threshold_unit
Array = NDArray[np.float64]
_BRACKET = (0.7, 0.8)
_w = sp.Symbol("w", real=True)


def collapse_exponent(lr: Number = η, std: Number = σ) -> sp.Expr:
    """Return Λ = E log|1 + 2ηxy| for x ~ N(0, 1), y ~ N(0, σ²), batches of one.

    With t = 1/(2ησ) it is log(ησ) − γ + (π/2)∫₀ᵗ (I₀ − L₀), I₀ and L₀ the modified Bessel and Struve functions; here
    as two hypergeometric series.

    Examples
    --------
    >>> collapse_exponent(0.1, 1).n(4)
    -0.02428
    """
    t = 1 / (2 * lr * std)
    half, one, three_halves = sp.Rational(1, 2), sp.S.One, sp.Rational(3, 2)
    bessel = sp.pi * t / 2 * sp.hyper((half,), (one, three_halves), t**2 / 4)
    struve = t**2 / 2 * sp.hyper((one, one), (three_halves, three_halves, 2), t**2 / 4)
    return sp.log(lr * std) - sp.EulerGamma + bessel - struve


def unit_exponent() -> sp.Expr:
    """Return Λ = E log|1 + 2ηm| for inputs ±1 and normal labels: half of `lyapunov_exponent` at ηh = 4η²σ²/B."""
    return lyapunov_exponent(4 * η**2 * σ**2 / B).subs(h, 1) / 2


def walk_of_logarithms() -> Case:
    """Find the mean logarithm from a differential equation for the law of a product of normals.

    Let z = xy/σ and t = 1/(2ησ): Λ = log(2ησ) + ℓ(t), ℓ(t) = E log|t − z|, and ℓ' = m, the principal value of
    E 1/(t − z), an odd function. Integration by parts twice, first over x and then over y, gives for the product of
    two normals E[zf'' + f' − zf] = 0. With f = 1/(t − z) this is tm'' + m' − tm = −1, a modified Bessel equation. Its
    solutions without a logarithm at 0 are m = AI₀(t) − Σ t^(2k+1)/((2k + 1)!!)², the sum being (π/2)L₀. As t → ∞ m
    must fall like 1/t; I₀ − L₀ does, as 2/(πt), and I₀ alone grows, so A = π/2. Finally ℓ(0) = 2E log|x| = −γ − log 2,
    twice the slope of E|x|^p at p = 0.
    Both series are integrated term by term.

    For x = ±1 the mean m of the batch is normal of variance σ²/B, z and −z have the same law, and log|1 + az| +
    log|1 − az| = log|1 − a²z²|, whose mean is known.
    """
    k, p, t = sp.symbols("k p t", positive=True)
    at = 1 / (2 * η * σ)
    moment = 2 ** (p / 2) * sp.gamma((p + 1) / 2) / sp.sqrt(sp.pi)  # E|x|^p
    start = 2 * sp.expand_func(sp.diff(moment, p).subs(p, 0))
    homogeneous = t * sp.besseli(0, t).diff(t, 2) + sp.besseli(0, t).diff(t) - t * sp.besseli(0, t)
    if sp.simplify(sp.expand_func(homogeneous)) != 0:
        raise AssertionError("I₀ does not solve the equation")
    # t^(n) in m gives n² t^(n−1): the ratio of the odd terms is 1/(2k + 3)², and integration turns n into n + 1
    odd = 1 / (2 * k + 3) ** 2 * (2 * k + 2) / (2 * k + 4)
    even = 1 / (2 * k + 2) ** 2 * (2 * k + 1) / (2 * k + 3)
    bessel = sp.pi / 2 * at * hypergeometric(even, k, at**2)
    struve = at**2 / 2 * hypergeometric(odd, k, at**2)
    normal = sp.expand_log(sp.log(2 * η * σ) + sp.simplify(start)) + bessel - struve
    unit = single_feature(_w**2, [_w], σ, x=Rademacher())
    spread = sp.limit(η**2 * unit.batch_noise(B)[0] / _w**2, _w, 0)
    return {Λ_N: normal, Λ_1: lyapunov_exponent(spread).subs(h, 1) / 2}


def average_logarithms(point: Case) -> Case:
    """Average log|1 + 2ηm| by quadrature, split where it is singular."""
    lr, std = float(point[η]), float(point[σ])
    unit = 2 * lr * std / math.sqrt(point[B])
    return {**point, Λ_N: _mean(2 * lr * std, _product_density), Λ_1: _mean(unit, _normal_density)}


def _normal_density(z: Array) -> Array:
    return np.asarray(np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))


def _product_density(z: Array) -> Array:
    """Return the density K₀(z)/π of the product of two normal numbers, K₀(z) = ∫exp(−z cosh s)ds from 0, by a sum."""
    s, spacing = np.linspace(0, 42, 1000, retstep=True)
    values = np.exp(-np.multiply.outer(z, np.cosh(s)))
    return np.asarray((values.sum(axis=-1) - values[..., 0] / 2) * spacing / math.pi)


def _mean(a: float, density: Callable[[Array], Array]) -> float:
    """Return E log|1 + az| under a symmetric density, by double exponential quadrature on both sides of 1/a."""
    t, spacing = np.linspace(-3, 3, 241, retstep=True)
    inside = (1 + np.tanh(np.pi / 2 * np.sinh(t))) / 2
    weights = np.pi / 4 * np.cosh(t) / np.cosh(np.pi / 2 * np.sinh(t)) ** 2 * spacing
    total = 0.0
    for low, width in ((0.0, 1 / a), (1 / a, 45.0)):
        z = low + width * inside
        total += float(width * weights @ (np.log(np.abs(1 - (a * z) ** 2)) * density(z)))
    return total


def draw(rng: np.random.Generator, count: int) -> Array:
    """Draw log|1 + 2ηxy| at η = 0.5, σ = 0.8."""
    x, y = rng.standard_normal((2, count))
    return np.asarray(np.log(np.abs(1 + 2 * 0.5 * 0.8 * x * y)))


def thresholds() -> Case:
    """Search for the sign change of both exponents, summing their series."""
    found = []
    for exponent in (collapse_exponent(), unit_exponent()):
        series = sp.lambdify(η, exponent.subs({σ: 1, B: 1}), "mpmath")
        found.append(bisect(lambda s, f=series: float(f(s)), *_BRACKET))  # type: ignore[misc]
    return {normal_root: sp.Float(found[0]), unit_root: sp.Float(found[1])}


def thresholds_by_quadrature(point: Case) -> Case:
    """Search for the sign changes of the quadratures."""
    normal, unit = (
        bisect(lambda s, d=density: _mean(2 * s, d), *_BRACKET)  # type: ignore[misc]
        for density in (_product_density, _normal_density)
    )
    return {**point, normal_root: sp.Float(normal), unit_root: sp.Float(unit)}


def first_order() -> Case:
    """Apply the generator of Itô's equation to log w, close to the zero.

    In the limit of small steps drift and diffusion per unit of time, η a step, are −L' and D = ηΣ/(2B), and a smooth
    f(w) changes by −L'f' + Df'' on average: the noise is drawn where the step begins. For f = log w, L' = O(w³) and
    Σ = 4σ²w² + O(w⁶) the second term alone remains, −4ησ²/(2B) per unit of time, −2η²σ²/B a step. Stratonovich's
    equation has the further drift D'/2, which contributes D'/(2w) = +2ησ²/B: its logarithm stays where it is.
    """
    problem = single_feature(_w**2, [_w], σ)
    spread = η * problem.batch_noise(B)[0] / 2
    per_time = -problem.gradient[0] * sp.diff(sp.log(_w), _w) + spread * sp.diff(sp.log(_w), _w, 2)
    return {Λ: η * sp.limit(sp.expand(per_time), _w, 0)}


_FORM = {Λ_N: collapse_exponent(), Λ_1: unit_exponent()}
_START = sp.Rational(1, 1000)
_STEPS = 50


def _between(normal: tuple[str, str], unit: tuple[str, str]) -> sp.Basic:
    bounds = ((normal_root, normal), (unit_root, unit))
    return sp.And(*(sp.And(sp.Gt(s, sp.Rational(a)), sp.Lt(s, sp.Rational(b))) for s, (a, b) in bounds))


_NOISE = (positive(η, "learning rate"), positive(σ, "standard deviation of the labels"))
_BOTH = ("0.7650312", "0.7650313"), ("0.7780182", "0.7780183")
_LINEAR = given("Q = w², half squared error, E x² = 1, normal labels independent of x; linearised at w = 0")

EXPONENT = Claim(
    id="DEG-07",
    slug="degenerate.collapse-exponent",
    title="Beside a double zero log|w| falls by Λ = E log|1 + 2ηxy| a step, in closed form by Bessel and Struve",
    status="exact",
    statement=equations(_FORM),
    assumptions=(*_NOISE, positive(B, "batch size (of the inputs ±1; the normal inputs have B = 1)"), _LINEAR),
    source=HERE,
    evidence=(
        Identity(walk_of_logarithms),
        # what is left of the quadrature; the series cancel to 12 digits
        Recursion(
            average_logarithms,
            tuple(
                {η: sp.Rational(lr), σ: sp.Rational(s), B: sp.Integer(b)}
                for lr, s, b in (("0.1", "1", 1), ("0.5", "1.5", 4), ("1", "2", 2))
            ),
            1e-10,
        ),
        Sample(Λ_N, draw, {η: sp.Rational(1, 2), σ: sp.Rational(4, 5)}, resolution=0.1),
    ),
    mutants=(
        Mutant("the leading term −2η²σ²", equations(_FORM, {Λ_N: -2 * η**2 * σ**2})),
        Mutant(
            "log|xy| taken to have mean 0 at its start", equations(_FORM, {Λ_N: collapse_exponent() + sp.EulerGamma})
        ),
    ),
    meanings=(
        (Λ_N, "mean of log|w'/w| a step, x ~ N(0, 1), batches of one"),
        (Λ_1, "the same for inputs ±1, batches of B"),
    ),
    note="Underflow is the natural end of such a run: after n steps |w| is about e^(Λn), below 10⁻³⁰⁸ sooner or "
    "later, and then exactly 0.",
)

THRESHOLD = Claim(
    id="DEG-09",
    slug="degenerate.collapse-threshold",
    title="A double zero attracts almost every run as long as ησ < 0.7650 (normal inputs) or 0.7780 (inputs ±1), B = 1",
    status="exact",
    statement=_between(*_BOTH),
    assumptions=(_LINEAR, given("batches of one")),
    source=HERE,
    evidence=(Identity(thresholds), Recursion(thresholds_by_quadrature, ({},), 0)),
    mutants=(
        Mutant("mean square stability: never", _between(("0", "0.0001"), ("0", "0.0001"))),
        Mutant("as for inputs ±1", _between(_BOTH[1], _BOTH[1])),
        Mutant("|1 + 2ηxy| < 1 at one standard deviation: ησ = 1", _between(("0.99", "1.01"), ("0.99", "1.01"))),
        Mutant("one digit off", _between(("0.7650313", "0.7650314"), _BOTH[1])),
    ),
    meanings=((normal_root, "ησ at which Λ = 0, normal inputs"), (unit_root, "ησ at which Λ = 0, inputs ±1")),
    note="For inputs ±1 and batches of B it is √B times as much.",
)

ITO = Claim(
    id="DEG-11",
    slug="degenerate.ito",
    title="SGD is an Itô process: beside a double zero log|w| falls by 2η²σ²/B a step, where Stratonovich has 0",
    status="corrected",
    statement=equations({Λ: -2 * η**2 * σ**2 / B}),
    assumptions=(*_NOISE, positive(B, "batch size"), given("to leading order in ησ"), _LINEAR),
    source=CORLOUER_MACE_2024.where("code: Fokker_Planck.get_coeffs, drift coefficient"),
    evidence=(
        Identity(first_order),
        # the next term is 18η²σ² of it, 0.7 %
        Ensemble(
            Λ, sp.log(sp.Abs(_w / _START)) / _STEPS, "mean", single_feature(_w**2, [_w], σ), SGD(),
            {η: 0.02, σ: 1, B: 1}, steps=_STEPS, start=(_START,), resolution=0.1,
        ),
    ),
    mutants=(
        Mutant("as programmed: drift h + gg', Stratonovich's", equations({Λ: sp.S.Zero})),
        Mutant("anti-Itô: noise drawn where the step ends", equations({Λ: 2 * η**2 * σ**2 / B})),
        Mutant("no batch", equations({Λ: -2 * η**2 * σ**2})),
        Mutant("half of it", equations({Λ: -(η**2) * σ**2 / B})),
    ),
    meanings=((Λ, "mean change of log|w| a step as ησ → 0"),),
    note="A regular minimum cannot tell the readings apart: DEG-12.",
)  # fmt: skip

CLAIMS = (EXPONENT, THRESHOLD, ITO)
"""The theory, in the order of the ledger."""
