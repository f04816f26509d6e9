"""Barriers that SGD never passes: every critical point of Q stands still for every example.

Between two zeros of Q there is a critical point b of Q (Rolle), the loss maximum between two minima. All example
gradients x(Qx − y)Q' vanish there. As long as no step overshoots, the update is an increasing function of w with the
fixed point b, and whoever starts on one side stays there, whatever the noise. The maximum can even attract.
"""

from __future__ import annotations

from random import Random

import numpy as np
import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import single_feature
from sgdtheory.claim import (
    Case,
    Claim,
    Ensemble,
    Identity,
    Mutant,
    Property,
    Recursion,
    by_name,
    equals,
    equations,
    given,
    positive,
)
from sgdtheory.laws import Dataset
from sgdtheory.optimizers import SGD
from sgdtheory.sources import HERE
from sgdtheory.theory.random_instances import rational

η, σ = symbols.lr, symbols.noise_std
P, mean_h, margin = symbols.side_ratio, symbols.segment_curvature, symbols.curvature_margin
q_b, bend, Λ_b, s_b = symbols.barrier_value, symbols.barrier_bend, symbols.barrier_growth, symbols.attracting_noise
_w = sp.Symbol("w", real=True)
_SHARE = sp.Rational(9, 10)


def step_ratio() -> sp.Expr:
    """Return (w' − b)/(w − b) = 1 − ηh, h the mean of the batch's second derivative between b and w."""
    return 1 - η * mean_h


def fixed_for_all() -> Case:
    """Write the step through the mean value of the second derivative.

    ℓ'(w) = x(Qx − y)Q'(w) vanishes at b for every example, so that ℓ'(w) = (w − b)∫₀¹ ℓ''(b + s(w − b))ds by the
    fundamental theorem of calculus, and (w' − b)/(w − b) = 1 − η∫₀¹ ℓ'' ds. If ηℓ'' < 1 between b and w for every
    example, the integral is 1/η − m with m > 0 for every batch, and the ratio is ηm > 0: w' is on the side of w. Here
    for a generic cubic Q, w measured from b, one coefficient being expressed by m.
    """
    s, x, y, c0, c1 = sp.symbols("s x y c0 c1", real=True)
    slope = _w * (1 + c1 * _w)
    q = sp.integrate(sp.expand(slope), _w) + c0
    gradient = sp.expand(x * (q * x - y) * slope)
    end = SGD().update(gradient=gradient, theta=_w).position
    curvature = sp.diff(gradient, _w).subs(_w, s * _w)
    average = sp.integrate(sp.expand(curvature), (s, 0, 1))
    ratio = sp.cancel(sp.expand(end) / _w)
    (chosen,) = sp.solve(sp.Eq(average, 1 / η - margin), c0)
    return {P: sp.cancel(sp.expand(ratio.subs(c0, chosen))), mean_h: 1 / η - margin}


def random_barrier(random: Random, share: sp.Rational = _SHARE) -> Case:
    """Take one step on a random cubic Q, from a random place in |w| ≤ 2, with η a share of the least that may cross.

    That is one over a bound of the example's second derivative in the interval, the sum of the sizes of its terms.
    """
    b, other = rational(random, 3) / 2, rational(random, 3)
    slope = sp.Poly((_w - b) * (_w - other), _w)
    q, x, y = slope.integrate() + rational(random), rational(random, 3) or sp.S.One, rational(random)
    gradient = (q * x - y) * slope * x
    reach = max(sp.Integer(2), abs(b))
    bound = sum(abs(coefficient) * reach**power for (power,), coefficient in gradient.diff().terms())
    place = reach * sp.Rational(random.randint(-20, 20), 20)
    place += sp.Rational(1, 41) if place == b else 0
    lr = share / bound
    segment = gradient.diff().compose(sp.Poly(b + _w * (place - b), _w)).integrate()  # in s, from b to the place
    end = place - lr * gradient.eval(place)
    return {η: lr, mean_h: segment.eval(1) - segment.eval(0), P: (end - b) / (place - b)}


def long_step(random: Random) -> Case:
    """Take such a step with a learning rate some forty times too large."""
    return random_barrier(random, sp.Integer(40))


def beside_the_maximum() -> Case:
    """Linearise at the maximum, for inputs ±1 and labels ±σ.

    There ℓ'' = x(Qx − y)Q'' = (Q − xy)Q'', Q and Q'' having opposite signs (Q²/2 is at a maximum): with q = |Q| and
    q'' = |Q''| a step multiplies the distance by 1 + ηq''(q ± σ) with one sign or the other, each half the time. So
    Λ = ½ log|(1 + ηqq'')² − (ηq''σ)²|, negative as soon as σ² > q² + 2q/(ηq''), until the second term exceeds
    1 + (1 + ηqq'')².
    """
    x, y = sp.symbols("x y", real=True)
    curvature = x * (q_b * x - y) * -bend
    examples = [(1, σ), (1, -σ), (-1, σ), (-1, -σ)]
    first, second = (
        sp.expand(sp.prod([1 - η * curvature.subs({x: u, y: v}) for u, v in examples if u == sign])) for sign in (1, -1)
    )
    growth = (sp.log(sp.Abs(first)) + sp.log(sp.Abs(second))) / 4
    (least,) = sp.solve(sp.Eq(first, 1), σ**2)
    return {Λ_b: growth, s_b: sp.expand(least)}


def average_steps(point: Case) -> Case:
    """Average log|w' − b|/|w − b| over the four examples, 10⁻⁶ from the maximum; bisect for the critical noise."""
    lr, std, value, second = (float(point[s]) for s in (η, σ, q_b, bend))

    def growth(noise: float) -> float:
        distance, total = 1e-6, 0.0
        for x in (1, -1):
            for y in (noise, -noise):
                q = value - second * distance**2 / 2
                end = distance - lr * x * (q * x - y) * -second * distance
                total += float(np.log(abs(end / distance))) / 4
        return total

    low, high = 0.0, 1 / (lr * second) + value
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if growth(middle) > 0 else (low, middle)
    return {**point, Λ_b: growth(std), s_b: high**2}


def barrier_growth() -> sp.Expr:
    """Return Λ = ½ log|(1 + ηqq'')² − (ηq''σ)²| at the maximum, q = |Q|, q'' = |Q''|, inputs ±1 and labels ±σ.

    Examples
    --------
    >>> round(float(barrier_growth().subs({η: 0.01, σ: 9, q_b: sp.Rational(32, 27), bend: 4})), 4)
    -0.0165
    """
    return sp.log(sp.Abs(sp.expand((1 + η * q_b * bend) ** 2 - (η * bend * σ) ** 2))) / 2


_RATIO = sp.And(equals(P, step_ratio()), sp.Gt(P, 0))
_ATTRACTION = {Λ_b: barrier_growth(), s_b: q_b**2 + 2 * q_b / (η * bend)}
_MODEL = given("f(w, x) = Q(w)·x on a line, half squared error")
_at = by_name(lr=η, s=σ, q=q_b, q2=bend)
_DISTANCE = sp.Rational(1, 10**6)
_PEAK = single_feature(
    -(_w**3) / 3 - 2 * _w**2 + sp.Rational(32, 27), [_w], data=Dataset(x=[1, 1, -1, -1], y=[9, -9, 9, -9])
)

ROLLE = Claim(
    id="DEG-25",
    slug="degenerate.rolle-barrier",
    title="No run crosses a critical point of Q where ηℓ'' < 1 for every example, whatever the noise",
    status="exact",
    statement=_RATIO,
    assumptions=(
        positive(η, "learning rate"),
        positive(margin, "1/η less the mean second derivative, as follows from ηℓ'' < 1 in between"),
        _MODEL,
        given("Q differentiable twice; b with Q'(b) = 0; any example or batch"),
    ),
    source=HERE,
    evidence=(Identity(fixed_for_all), Property(random_barrier, examples=40)),
    mutants=(
        Mutant("the noise at the barrier takes runs across, as with constant noise", sp.Lt(P, 0)),
        Mutant("reflected: the ratio at least one", sp.Ge(P, 1)),
        Mutant("a large learning rate", evidence=(Property(long_step, examples=40),)),
        Mutant("the second derivative at w for its mean", equals(P, 1 - 2 * η * mean_h)),
    ),
    meanings=((P, "(w' − b)/(w − b)"), (mean_h, "mean of the batch's second derivative between b and w")),
    note="The identity holds for every Q and step; its sign needs ηℓ'' < 1. Normal data are not bounded, so that a "
    "rare batch overshoots: crossings of such runs are jumps, and no barrier height enters their rate.",
)

ATTRACTING = Claim(
    id="DEG-26",
    slug="degenerate.attracting-maximum",
    title="Label noise above σ² = q² + 2q/(ηq'') makes the loss maximum attract almost every run that starts near it",
    status="exact",
    statement=equations(_ATTRACTION),
    assumptions=(
        positive(η, "learning rate"),
        positive(σ, "size of the labels"),
        positive(q_b, "|Q| at the maximum"),
        positive(bend, "|Q''| at the maximum"),
        _MODEL,
        given("inputs ±1, labels ±σ, batches of one; close to the maximum"),
    ),
    source=HERE,
    evidence=(
        Identity(beside_the_maximum),
        Recursion(average_steps, (_at(lr=0.01, s=9, q=1.2, q2=4), _at(lr=0.1, s=2, q=0.5, q2=1)), 1e-6),
        Ensemble(
            Λ_b, sp.log(sp.Abs(_w / _DISTANCE)) / 25, "mean", _PEAK, SGD(),
            {η: 0.01, σ: 9, q_b: 32 / 27, bend: 4}, steps=25, start=(_DISTANCE,), resolution=0.1,
        ),
    ),
    mutants=(
        Mutant("never: a maximum repels", equations(_ATTRACTION, {Λ_b: sp.log(1 + η * q_b * bend)})),
        Mutant("σ² = 2q/(ηq''), small steps", equations(_ATTRACTION, {s_b: 2 * q_b / (η * bend)})),
        Mutant(
            "the mean square in its place",
            equations(_ATTRACTION, {Λ_b: sp.log((1 + η * q_b * bend) ** 2 + (η * bend * σ) ** 2) / 2}),
        ),
        Mutant("Q and Q'' of one sign", equations(_ATTRACTION, {Λ_b: barrier_growth().subs(q_b, -q_b)})),
    ),
    meanings=((Λ_b, "mean of log|w' − b|/|w − b| a step near the maximum b"), (s_b, "σ² at which Λ turns negative")),
    note="For Q = (w + 1)(w − 1)², η = 0.01 and labels ±9 it is −0.0165 a step: SGD ends at the maximum of the loss.",
)  # fmt: skip

CLAIMS = (ROLLE, ATTRACTING)
"""The theory, in the order of the ledger."""
