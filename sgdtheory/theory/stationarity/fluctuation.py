"""Fluctuation and dissipation: what a long run at constant learning rate costs in loss, exactly.

Once the law of the state no longer changes, no mean of a function of it does. Taking the squared distance from the
origin gives, for any loss, a relation between the drift towards the minimum and the size of the minibatch gradient; on
quadratics it is the rise of the loss above its minimum.
"""

from __future__ import annotations

from functools import cache
from random import Random

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.claim import (
    Case,
    Claim,
    Ensemble,
    Identity,
    Mutant,
    Property,
    Sample,
    between,
    equals,
    given,
    positive,
    where,
)
from sgdtheory.derive.expansion import jet
from sgdtheory.derive.moments import stationary_covariance, stationary_variance
from sgdtheory.laws import Number
from sgdtheory.optimizers import SGD, Momentum
from sgdtheory.problem import landscape
from sgdtheory.sources import MCALLESTER_2020, YAIDA_2018

η, μ, B, h, σ = symbols.lr, symbols.momentum, symbols.batch_size, symbols.curvature, symbols.noise_std
h1, h2, σ1, σ2, r = (
    symbols.curvature_1,
    symbols.curvature_2,
    symbols.noise_std_1,
    symbols.noise_std_2,
    symbols.noise_correlation,
)
C, K, G2, τ = symbols.shadow_correlation, symbols.noise_share, symbols.mean_square_gradient, symbols.total_noise
ΔL, C0, R_L = symbols.excess_loss, symbols.heat_capacity, symbols.extrapolated_loss


def shadow(theta: Number, velocity: Number) -> sp.Expr:
    """Return z = θ − μv/(1−μ), where heavy ball would end if no further gradient came.

    Examples
    --------
    >>> shadow(symbols.theta, 0)
    theta
    """
    return theta - μ * velocity / (1 - μ)


def balance() -> Case:
    """Ask for the mean of |z|² to stay.

    One step of heavy ball moves the shadow z = θ − μv/(1−μ) by exactly −aĝ with a = η/(1−μ): the buffer drops out, as
    θ' = θ − v' and v' = μv + ηĝ give z' = θ − v'/(1−μ). So |z'|² = |z|² − 2a z·ĝ + a²|ĝ|². In the long run both
    squares have the same mean, hence E z·ĝ = (a/2) E|ĝ|², for any loss. Given the state, ĝ has mean g and z is fixed:
    E z·ĝ = E z·g. Moreover E|ĝ|² = E|g|² + tr Σ/B, so what is left of E z·g − (a/2)E|g|² is (a/2) tr Σ/B.
    Coordinates only add up. At μ = 0 there is no buffer and z is θ.
    """
    ĝ, θ, v, z = symbols.gradient, symbols.theta, symbols.velocity, sp.Dummy("z")
    after = Momentum().update(ĝ, θ, (v,))
    move = sp.cancel(shadow(after.position, after.memory[0]) - shadow(θ, v))
    change = sp.Poly((z + move) ** 2 - z**2, z, ĝ)  # no θ or v is left, else this is no polynomial in z and ĝ alone
    mean = change.coeff_monomial(z * ĝ) * C + change.coeff_monomial(ĝ**2) * G2
    (correlation,) = sp.solve(mean, C)
    exact_square = G2 - τ
    return {C: correlation, K: correlation - correlation.coeff(G2) * exact_square}


@cache
def heavy_ball_moments() -> dict[sp.Symbol, sp.Expr]:
    """Return E z·g, E θ·g (as `theta`) and E|ĝ|² of heavy ball on ½hw², from its covariance alone."""
    S = stationary_covariance(quadratic(), Momentum(), B)
    products = {symbols.theta: S[0, 0], C: S[0, 0] - μ * S[0, 1] / (1 - μ)}
    return {q: h * p for q, p in products.items()} | {G2: h**2 * S[0, 0] + σ**2 / B, τ: σ**2 / B}


def random_heavy_ball(random: Random, correlated: sp.Symbol = C) -> Case:
    """Take heavy ball on a random stable quadratic, in rational numbers; now and then without momentum."""
    m = random.choice((sp.S.Zero, sp.Rational(random.randint(1, 9), 10)))
    x = 2 * (1 + m) * sp.Rational(random.randint(1, 19), 20)
    numbers = {h: sp.Rational(random.randint(1, 9), 3), σ: sp.Rational(random.randint(1, 9), 4), μ: m}
    numbers |= {B: sp.Integer(random.randint(1, 8)), η: x / numbers[h]}
    moments = {q: value.subs(numbers) for q, value in heavy_ball_moments().items()}
    measured = moments[correlated]
    share = measured - numbers[η] * (moments[G2] - moments[τ]) / (2 * (1 - m))
    return {**numbers, C: measured, K: share, G2: moments[G2], τ: moments[τ]}


def random_naive(random: Random) -> Case:
    """Take θ where the shadow belongs."""
    return random_heavy_ball(random, symbols.theta)


_MOMENTUM_RUN = {η: 0.4, μ: 0.5, B: 2, τ: 2 * 0.8**2 / 2}


def heavy_ball_in_the_plane(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Run heavy ball on √(1 + |w|²) + (w1 − w2)²/8 from 0 for 25 steps; return z·g − η|g|²/(2(1−μ)) of every run."""
    lr, momentum, std = _MOMENTUM_RUN[η], _MOMENTUM_RUN[μ], 0.8 / np.sqrt(_MOMENTUM_RUN[B])
    w, v = np.zeros((2, n)), np.zeros((2, n))

    def gradient() -> NDArray[np.float64]:
        field: NDArray[np.float64] = w / np.sqrt(1 + (w**2).sum(0)) + (w - w[::-1]) / 4
        return field

    for _ in range(25):  # the start fades by about one half a step
        v = momentum * v + lr * (gradient() + std * rng.standard_normal((2, n)))
        w = w - v
    z, g = w - momentum / (1 - momentum) * v, gradient()
    return np.asarray((z * g).sum(0) - lr / (2 * (1 - momentum)) * (g**2).sum(0))


@cache
def covariance_in_the_plane() -> sp.ImmutableMatrix:
    """Return the long-run covariance of SGD on ½(h1w1² + h2w2²), noise of standard deviations σ1, σ2, correlation r."""
    w1, w2 = sp.symbols("w1 w2", real=True)
    root = [[σ1, 0], [r * σ2, sp.sqrt(1 - r**2) * σ2]]
    problem = landscape((h1 * w1**2 + h2 * w2**2) / 2, [w1, w2], noise_root=root, name="quadratic in its axes")
    return stationary_covariance(problem, SGD(), B)


def rise() -> Case:
    """Put the quadratic into the relation and let the learning rate go to 0.

    On ½wᵀHw the gradient is Hw and w·g = 2L, so E w·g = (η/2) E|ĝ|² says that L is on average (η/4) E|ĝ|² above its
    minimum, in any dimension and for any noise that leaves a long-run law. As η → 0 the law shrinks to the minimum,
    where |ĝ|² has mean tr Σ/B: the loss starts to rise with slope ¼ tr Σ/B. Here both are read off the long-run
    covariance in the plane, in the axes of H, for noise of any size and correlation.
    """
    S, noise = covariance_in_the_plane(), (σ1**2 + σ2**2) / B
    loss = (h1 * S[0, 0] + h2 * S[1, 1]) / 2
    square = h1**2 * S[0, 0] + h2**2 * S[1, 1] + noise
    return {ΔL: loss, G2: square, τ: noise, C0: jet(loss, η, 2).coeff(η)}


def random_rise(random: Random) -> Case:
    """Solve the Lyapunov equations of a random quadratic in three dimensions, in rational numbers.

    H and Σ are full matrices that do not commute; the slope comes from the equation of the small-step limit,
    HS + SH = ηΣ/B, instead.
    """
    entries = sp.Matrix(3, 3, lambda *_: sp.Rational(random.randint(-3, 3), 2))
    H = entries.T * entries + sp.eye(3) / 2
    root = sp.Matrix(3, 2, lambda *_: sp.Rational(random.randint(-4, 4), 3))  # one direction is free of noise
    noise, lr = root * root.T / random.randint(1, 5), 1 / H.trace()  # ηλ < 1 for every eigenvalue
    still, pair = sp.eye(3), sp.kronecker_product
    step = still - lr * H
    S = (sp.eye(9) - pair(step, step)).LUsolve(lr**2 * noise.reshape(9, 1)).reshape(3, 3)
    small = (pair(H, still) + pair(still, H)).LUsolve(noise.reshape(9, 1)).reshape(3, 3)
    square = (H * S * H).trace() + noise.trace()
    return {ΔL: (H * S).trace() / 2, G2: square, τ: noise.trace(), C0: (H * small).trace() / 2, η: lr}


def long_run_loss(lr: Number = η, batch_size: Number = B) -> sp.Expr:
    """Return the long-run mean of ½hw² under SGD, ησ²/(2B(2 − ηh)).

    Examples
    --------
    >>> long_run_loss(sp.Rational(1, 10), 1).subs({h: 10, σ: 1})
    1/20
    """
    return sp.factor(h * stationary_variance(SGD(lr=lr), batch_size) / 2)


def extrapolate() -> Case:
    """Extrapolate the exact curve linearly to learning rate 0.

    L(η) = ησ²/(2B(2 − ηh)) is half the curvature times the long-run variance. It bends upwards, so the line through
    L(η) and L(η/2) meets the axis η = 0 below the minimum: 2L(η/2) − L(η) is, over a common denominator,
    (ησ²/2B)(2/(4 − ηh) − 1/(2 − ηh)) = −η²hσ²/(2B(2 − ηh)(4 − ηh)).
    """
    return {ΔL: long_run_loss(), R_L: 2 * long_run_loss(η / 2) - long_run_loss()}


_EXTRAPOLATED = {η: sp.Rational(3, 4), h: sp.Integer(2), σ: sp.Rational(3, 2), B: sp.Integer(3)}


def twin_runs(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Run SGD at η and at η/2 on the same batches from 0 for 40 steps; return 2L(η/2) − L(η) of every pair."""
    lr, curvature, std = (float(_EXTRAPOLATED[s]) for s in (η, h, σ))
    fast, slow = np.zeros(n), np.zeros(n)
    for _ in range(40):  # the slower one forgets by 1/4 a step
        noise = rng.normal(0, std / np.sqrt(float(_EXTRAPOLATED[B])), n)
        fast, slow = fast - lr * (curvature * fast + noise), slow - lr / 2 * (curvature * slow + noise)
    return np.asarray(curvature / 2 * (2 * slow**2 - fast**2))


_w = sp.Symbol("w", real=True)
_BOWL = landscape(sp.sqrt(1 + _w**2), [_w], noise_std=σ, name="√(1 + w²)")
_SLOPE = _BOWL.gradient[0]
_BALANCED = sp.And(equals(C, η * G2 / (2 * (1 - μ))), equals(K, η * τ / (2 * (1 - μ))))

BALANCE = Claim(
    id="STA-01",
    slug="stationarity.fluctuation-dissipation",
    title="In the long run E z·g = η E|ĝ|²/(2(1 − μ)) for any loss, z = θ − μv/(1−μ) being the shadow of heavy ball",
    status="exact",
    statement=_BALANCED,
    assumptions=(
        positive(η, "learning rate"),
        between(μ, 0, 1, "momentum (0: SGD, z = θ)"),
        positive(G2, "mean of |ĝ|²"),
        positive(τ, "trace of the covariance of ĝ"),
        given("a long-run law with finite second moments exists; it is not assumed to be normal or narrow"),
        given("for K, noise whose covariance does not depend on θ"),
    ),
    source=YAIDA_2018.where("the relation for SGD; the form with the shadow is derived here"),
    evidence=(
        Identity(balance),
        Property(random_heavy_ball, examples=40),
        Ensemble(
            K, _w * _SLOPE - η * _SLOPE**2 / 2, "mean", _BOWL, SGD(),
            {η: 0.8, μ: 0, B: 2, σ: 1.25, τ: 1.25**2 / 2}, steps=40, start=(0,), resolution=0.02,
        ),
        Sample(K, heavy_ball_in_the_plane, _MOMENTUM_RUN, resolution=0.02),
    ),
    mutants=(
        Mutant("θ where the shadow belongs", evidence=(Property(random_naive, examples=40),)),
        Mutant("twice as much", sp.And(equals(C, η * G2 / (1 - μ)), equals(K, η * τ / (1 - μ)))),
        Mutant("SGD's relation for every momentum", sp.And(equals(C, η * G2 / 2), equals(K, η * τ / 2))),
    ),
    meanings=(
        (C, "long-run mean of z·g with the exact gradient g at θ"),
        (K, "long-run mean of z·g − η|g|²/(2(1−μ))"),
    ),
    note="On ½hw² the mean of θ·g is smaller, by the factor (1 − μ²)/(1 − μ² + μηh). The simulated losses are "
    "√(1 + w²) and a relative of it in the plane: their slopes stay bounded, so runs settle.",
)  # fmt: skip

RISE = Claim(
    id="STA-15",
    slug="stationarity.heat-capacity",
    title="On a quadratic the long-run loss lies (η/4) E|ĝ|² above its minimum, and rises with slope ¼ tr Σ/B",
    status="corrected",
    statement=sp.And(equals(ΔL, η * G2 / 4), equals(C0, τ / 4)),
    assumptions=(
        positive(η, "learning rate"),
        positive(h1, "curvature along the first axis"),
        positive(h2, "curvature along the second axis"),
        positive(σ1, "noise along the first axis"),
        positive(σ2, "noise along the second axis"),
        between(r, -1, 1, "their correlation"),
        positive(B, "batch size"),
        positive(G2, "long-run mean of |ĝ|²"),
        positive(τ, "tr Σ/B"),
        where(sp.Lt(η * h1, 2) & sp.Lt(η * h2, 2), "ηh < 2 along every axis"),
        given("quadratic loss of any dimension; the algebra is done in two"),
    ),
    source=MCALLESTER_2020.where("slides on heat capacity with loss as energy and learning rate as temperature"),
    evidence=(Identity(rise), Property(random_rise, examples=20)),
    mutants=(
        Mutant("as printed on two slides: without the ¼", sp.And(equals(ΔL, η * G2 / 4), equals(C0, τ))),
        Mutant("slope ½", sp.And(equals(ΔL, η * G2 / 4), equals(C0, τ / 2))),
        Mutant("half of η E|ĝ|²", sp.And(equals(ΔL, η * G2 / 2), equals(C0, τ / 4))),
        Mutant("the noise alone, at every η", sp.And(equals(ΔL, η * τ / 4), equals(C0, τ / 4))),
    ),
    meanings=(
        (ΔL, "long-run mean of the loss above its minimum"),
        (C0, "its slope in the learning rate, at η = 0"),
    ),
    note="Sources: reference 5.2. On one axis ΔL = ησ²/(2B(2 − ηh)): STA-16.",
)

_EXCESS = η * σ**2 / (2 * B * (2 - η * h))
_UNDERSHOT = -(η**2) * h * σ**2 / (2 * B * (2 - η * h) * (4 - η * h))
EXTRAPOLATION = Claim(
    id="STA-16",
    slug="stationarity.extrapolated-loss",
    title="Extrapolating the long-run loss linearly to η = 0 undershoots the minimum by η²hσ²/(2B(2 − ηh)(4 − ηh))",
    status="leading-order",
    statement=sp.And(equals(ΔL, _EXCESS), equals(R_L, _UNDERSHOT)),
    assumptions=(
        positive(η, "learning rate"),
        positive(h, "curvature"),
        positive(σ, "standard deviation of one example's gradient"),
        positive(B, "batch size"),
        where(sp.Lt(η * h, 2), "ηh < 2"),
        given("quadratic loss ½hw², noise that does not depend on w"),
    ),
    source=MCALLESTER_2020.where("slides on heat capacity: L* = 2L(η/2) − L(η)"),
    evidence=(
        Identity(extrapolate),
        Ensemble(
            ΔL, h * _w**2 / 2, "mean", quadratic(), SGD(),
            {η: 0.7, h: 2, σ: 1.5, B: 3}, steps=15, start=(0,), resolution=0.02,
        ),
        Sample(R_L, twin_runs, _EXTRAPOLATED, resolution=0.03),
    ),
    mutants=(
        Mutant("no error: the loss is linear in η", sp.And(equals(ΔL, _EXCESS), equals(R_L, sp.S.Zero))),
        Mutant("the linear loss itself", sp.And(equals(ΔL, η * σ**2 / (4 * B)), equals(R_L, _UNDERSHOT))),
        Mutant("overshoot", sp.And(equals(ΔL, _EXCESS), equals(R_L, -_UNDERSHOT))),
        Mutant("leading order, η²hσ²/(16B)", sp.And(equals(ΔL, _EXCESS), equals(R_L, -(η**2) * h * σ**2 / (16 * B)))),
    ),
    meanings=((ΔL, "long-run mean of the loss above its minimum"), (R_L, "2L(η/2) − L(η), above the minimum")),
    note="Sources: reference 5.2. The error is of second order in η, −η²hσ²/(16B), so small steps make it small.",
)  # fmt: skip

CLAIMS = (BALANCE, RISE, EXTRAPOLATION)
"""The theory, in the order of the ledger."""
