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
from sgdtheory.claim import Case, Claim, Ensemble, Identity, Mutant, Property, Recursion, by_name, equations, equals
from sgdtheory.claim import given, positive, where
from sgdtheory.laws import Dataset
from sgdtheory.optimizers import SGD
from sgdtheory.sources import HERE
from sgdtheory.theory.random_instances import rational

η, σ = symbols.lr, symbols.noise_std
P, mean_h = symbols.side_ratio, symbols.segment_curvature
q_b, bend, Λ_b, s_b = symbols.barrier_value, symbols.barrier_bend, symbols.barrier_growth, symbols.attracting_noise
_w = sp.Symbol("w", real=True)


def step_ratio() -> sp.Expr:
    """Return (w' − b)/(w − b) = 1 − ηh, h the mean of the batch's second derivative between b and w."""
    return 1 - η * mean_h


def fixed_for_all() -> Case:
    """Write the step through the mean value of the second derivative.

    ℓ'(w) = x(Qx − y)Q'(w) vanishes at b for every example, so that ℓ'(w) = (w − b)∫₀¹ ℓ''(b + s(w − b))ds by the
    fundamental theorem of calculus, and (w' − b)/(w − b) = 1 − η∫₀¹ ℓ'' ds. If ηℓ'' < 1 between b and w for every
    example, the ratio is positive for every batch: w' is on the side of w. Here for a generic cubic Q' that vanishes
    at b.
    """
    b, s, x, y = sp.symbols("b s x y", real=True)
    c = sp.symbols("c0:3", real=True)
    slope = (_w - b) * (c[0] + c[1] * _w + c[2] * _w**2)
    q = sp.integrate(sp.expand(slope), _w)
    gradient = sp.expand(x * (q * x - y) * slope)
    end = SGD().update(gradient=gradient, theta=_w).position
    curvature = sp.diff(gradient, _w).subs(_w, b + s * (_w - b))
    average = sp.integrate(sp.expand(curvature), (s, 0, 1))
    return {P: sp.cancel(sp.expand(end - b) / (_w - b)), mean_h: average}


def random_barrier(random: Random, share: sp.Rational = sp.Rational(9, 10)) -> Case:
    """Take one step on a random cubic Q, from a random place in |w| ≤ 2, with η a share of the least that may cross.

    That is one over a bound of the example's second derivative in the interval, the sum of the sizes of its terms.
    """
    b, other = rational(random, 3) / 2, rational(random, 3)
    q = sp.integrate(sp.expand((_w - b) * (_w - other)), _w) + rational(random)
    problem = single_feature(q, [_w])
    data = dict(zip(problem.data.symbols, (rational(random, 3), rational(random)), strict=True))
    gradient = sp.expand(problem.example_gradient[0].xreplace(data))
    reach = max(sp.Integer(2), abs(b))
    terms = sp.Poly(sp.diff(gradient, _w), _w).terms()
    bound = sum(abs(coefficient) * reach**power for (power,), coefficient in terms) or sp.S.One
    lr = share / bound
    place = reach * sp.Rational(random.randint(-20, 20), 20)
    if place == b:
        place = b + sp.Rational(1, 7)
    s = sp.Symbol("s")
    segment = sp.diff(gradient, _w).subs(_w, b + s * (place - b))
    end = place - lr * gradient.subs(_w, place)
    return {η: lr, mean_h: sp.integrate(sp.expand(segment), (s, 0, 1)), P: (end - b) / (place - b)}


def long_step(random: Random) -> Case:
    """The same with a learning rate forty times too large."""
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
    product = sp.prod([1 - η * curvature.subs({x: u, y: v}) for u, v in examples])
    squared = sp.Symbol("S", positive=True)
    root = sp.expand((1 + η * q_b * bend) ** 2 - (η * bend) ** 2 * squared)
    (least,) = sp.solve(root - 1, squared)
    return {Λ_b: sp.log(sp.sqrt(sp.factor(product))) / 2, s_b: sp.expand(least)}


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
    -0.0166
    """
    return sp.log(sp.Abs((1 + η * q_b * bend) ** 2 - (η * bend * σ) ** 2)) / 2


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
        where(sp.Lt(η * mean_h, 1), "η times the mean second derivative < 1, as follows from ηℓ'' < 1 in between"),
        _MODEL,
        given("Q differentiable twice; b with Q'(b) = 0; any example or batch"),
    ),
    source=HERE,
    evidence=(Property(random_barrier, examples=60),),
    mutants=(
        Mutant("the noise at the barrier takes runs across, as with constant noise", sp.Lt(P, 0)),
        Mutant("reflected: the ratio at least one", sp.Ge(P, 1)),
        Mutant("a large learning rate", evidence=(Property(long_step, examples=60),)),
        Mutant("the second derivative at w for its mean", equals(P, 1 - 2 * η * mean_h)),
    ),
    meanings=((P, "(w' − b)/(w − b)"), (mean_h, "mean of the batch's second derivative between b and w")),
    note="The identity holds for every Q and step; its sign needs ηℓ'' < 1. Normal data are not bounded, so that a rare "
    "batch overshoots: crossings of such runs are jumps, and no barrier height enters their rate.",
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
            Λ_b, sp.log(sp.Abs(_w / _DISTANCE)) / 40, "mean", _PEAK, SGD(),
            {η: 0.01, σ: 9, q_b: 32 / 27, bend: 4}, steps=40, start=(_DISTANCE,), resolution=0.05,
        ),
    ),
    mutants=(
        Mutant("never: a maximum repels, at the rate log(1 + ηqq'')", equations(_ATTRACTION, {Λ_b: sp.log(1 + η * q_b * bend)})),
        Mutant("σ² = 2q/(ηq''), small steps", equations(_ATTRACTION, {s_b: 2 * q_b / (η * bend)})),
        Mutant("the mean square in its place", equations(_ATTRACTION, {Λ_b: sp.log((1 + η * q_b * bend) ** 2 + (η * bend * σ) ** 2) / 2})),
        Mutant("Q and Q'' of one sign", equations(_ATTRACTION, {Λ_b: barrier_growth().subs(q_b, -q_b)})),
    ),
    meanings=((Λ_b, "mean of log|w' − b|/|w − b| a step near the maximum b"), (s_b, "σ² at which Λ turns negative")),
    note="For Q = (w + 1)(w − 1)², η = 0.01 and labels ±9 it is −0.0166 a step: SGD ends at the maximum of the loss.",
)  # fmt: skip

CLAIMS = (ROLLE, ATTRACTING)
"""The theory, in the order of the ledger."""
