"""What the lectures' derived algorithm does to its own estimates, and what has to be changed.

Running means g̃ and s̃ of ĝ and ĝ² take a new batch with weight a = B/B*; then σ̃² = s̃ − g̃², B* = 4z²σ̃²/g̃². As printed
the second line carries g̃ for s̃ (a slip), σ̃² is the variance of a batch and not of an example, and nothing keeps a
below 1: there σ̃ = 0 and B* = 0, from which it never comes back. The rule itself is `sgdtheory.derived_algorithm`.
"""

from __future__ import annotations

from random import Random

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.claim import (
    Case,
    Claim,
    Identity,
    Mutant,
    Property,
    Recursion,
    Sample,
    between,
    by_name,
    equations,
    given,
    positive,
)
from sgdtheory.derive.moments import quadratic_mean
from sgdtheory.derive.search import last
from sgdtheory.derived_algorithm import running_means
from sgdtheory.sources import HERE, MCALLESTER_2018

g, v, s, z, B, σ, G = (
    symbols.gradient,
    symbols.velocity,
    symbols.second_moment,
    symbols.confidence,
    symbols.batch_size,
    symbols.noise_std,
    symbols.true_gradient,
)
a, ρ = symbols.share, symbols.signal
spread_after, absorbed, tracked, best = (
    symbols.spread_after,
    symbols.spread_absorbed,
    symbols.tracked_spread,
    symbols.best_batch,
)
after_mean, ρ_max = symbols.mean_field, symbols.signal_limit
GAIN = sp.Rational(3, 10)
"""Weight a in the numerical evidence."""


def spread_of_means(share: sp.Expr, typo: bool = False) -> sp.Expr:
    """Return σ̃² = s̃ − g̃² once a batch has entered with weight a.

    Examples
    --------
    >>> spread_of_means(sp.S.One)
    0
    """
    mean, square = running_means(share, typo)
    return square - mean**2


def long_run_moments(share: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Return E g̃² and E s̃ where the running means have forgotten their start, at constant weight a and gradient G.

    g̃' = (1 − a)g̃ + aĝ has the mean G of ĝ and, from V = (1 − a)²V + a²σ²/B, the variance aσ²/(B(2 − a)); s̃ has the
    mean of ĝ², G² + σ²/B.
    """
    mean, square = running_means(share)
    variance, level = sp.symbols("V m", positive=True)
    noise = sp.diag(variance, σ**2 / B)
    (spread,) = sp.solve(quadratic_mean(mean**2, [v, g], noise, sp.Matrix([G, G])) - G**2 - variance, variance)
    after = quadratic_mean(square.subs(s, level), [g], sp.Matrix([[σ**2 / B]]), sp.Matrix([G]))
    (settled,) = sp.solve(after - level, level)
    return G**2 + spread, settled


def follow_the_estimates(typo: bool = False) -> Case:
    """Follow σ̃² = s̃ − g̃² through a step and in the long run.

    s̃' − g̃'² = (1 − a)s̃ + aĝ² − ((1 − a)g̃ + aĝ)² = (1 − a)(σ̃² + a(ĝ − g̃)²), as for any weighted variance. For a < 1 it
    stays ≥ 0. At a = 1 it is 0 whatever the batch: then B* = 0, a = B/B* is 1 again if it is clipped there, and so for
    ever. For a > 1 it is negative and σ̃ is not real. At a = 0 nothing changes any more either.

    In the long run, at constant a, the mean of s̃ is G² + σ²/B and that of g̃² is G² + aσ²/(B(2 − a)); the difference is
    2(1 − a)/(2 − a)·σ²/B. Even for many batches (a → 0) that is σ²/B: squares of batch means are tracked, so B* needs a
    factor B, and B/B* = g̃²/(4z²σ̃²) no batch size at all.
    """
    square, level = long_run_moments(a)
    tracked_spread = sp.factor(level - square)
    slow = sp.limit(tracked_spread, a, 0)
    return {
        spread_after: spread_of_means(a, typo),
        absorbed: sp.expand(spread_of_means(sp.S.One, typo)),
        tracked: tracked_spread,
        best: 4 * z**2 * B * slow / sp.limit(square, a, 0),
    }


def weigh_histories(random: Random) -> Case:
    """Do the same by weights, in rational numbers: s̃ − g̃² is the variance of the past under weights a(1 − a)^age.

    A history of some batches is written out, its weighted mean and variance taken, and again with one batch more. For
    independent batches a weighted variance has the mean (1 − Σ weight²)·σ²/B, a geometric series in the long run.
    """

    def rational() -> sp.Rational:
        return sp.Rational(random.randint(-9, 9), random.randint(1, 5))

    weight, length = sp.Rational(random.randint(1, 8), 9), random.randint(1, 4)
    history = [rational() for _ in range(length)]
    weights = [weight * (1 - weight) ** (length - 1 - i) for i in range(length)]
    weights[0] += 1 - sp.Add(*weights)  # the start counts for all that lies before it

    def centred(values: list[sp.Expr], shares: list[sp.Expr]) -> tuple[sp.Expr, sp.Expr]:
        mean = sp.Add(*(w * x for w, x in zip(shares, values, strict=True)))
        return mean, sp.Add(*(w * (x - mean) ** 2 for w, x in zip(shares, values, strict=True)))

    mean, spread = centred(history, weights)
    new = rational()
    _, after = centred([*history, new], [*((1 - weight) * w for w in weights), weight])
    _, alone = centred([*history, new], [*(0 * w for w in weights), sp.S.One])
    std, size, slope, caution = (sp.Rational(random.randint(1, 9), 4) for _ in range(4))
    squared_weights = weight**2 / (1 - (1 - weight) ** 2)
    return {
        **{a: weight, g: new, v: mean, s: spread + mean**2, σ: std, B: size, G: slope, z: caution},
        **{spread_after: after, absorbed: alone, tracked: (1 - squared_weights) * std**2 / size},
        best: (2 * caution * std / slope) ** 2,
    }


def draw_long_run(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Run the two means over 40 batches of 4 normal gradients of mean 1 and deviation 3; return s̃ − g̃²."""
    gain = float(GAIN)
    mean, square = np.ones(n), np.full(n, 1 + 9 / 4)
    for _ in range(40):
        estimate = rng.normal(1, 3, (n, 4)).mean(axis=1)
        mean = (1 - gain) * mean + gain * estimate
        square = (1 - gain) * square + gain * estimate**2
    return square - mean**2


_TRACKED = 2 * (1 - a) / (2 - a) * σ**2 / B
_STATED = {
    spread_after: (1 - a) * (s - v**2 + a * (g - v) ** 2),
    absorbed: sp.S.Zero,
    tracked: _TRACKED,
    best: 4 * z**2 * σ**2 / G**2,
}


ALGORITHM = Claim(
    id="MCA-07",
    slug="lectures.derived-algorithm",
    title="The derived algorithm tracks σ²/B, not σ², and a batch of weight 1 ends its estimates for ever",
    status="corrected",
    statement=equations(_STATED),
    assumptions=(
        between(a, 0, 1, "weight of a new batch, B/B*"),
        given("running means of the same gradient law; in the long run at constant weight"),
        positive(σ, "standard deviation of one example's gradient"),
        positive(B, "batch size"),
        positive(G, "gradient"),
        positive(z, "confidence multiplier"),
    ),
    source=MCALLESTER_2018.where("slides A Derived Algorithm"),
    evidence=(
        Identity(follow_the_estimates),
        Property(weigh_histories, examples=25),
        Sample(tracked, draw_long_run, {a: GAIN, σ: sp.Integer(3), B: sp.Integer(4)}, resolution=0.02),
    ),
    mutants=(
        Mutant(
            "as printed: σ̃² is the variance of one example",
            equations(_STATED, {tracked: σ**2, best: 4 * z**2 * B * σ**2 / G**2}),
        ),
        Mutant("as printed: s̃' carries g̃", evidence=(Identity(lambda: follow_the_estimates(typo=True)),)),
        Mutant("no loss of spread to the mean", equations(_STATED, {tracked: σ**2 / B})),
        Mutant("B* of batches, without the factor B", equations(_STATED, {best: 4 * z**2 * σ**2 / (B * G**2)})),
        Mutant("something of the past is left at weight 1", equations(_STATED, {absorbed: (g - v) ** 2})),
        Mutant("spread without the factor 1 − a", equations(_STATED, {spread_after: s - v**2 + a * (g - v) ** 2})),
        Mutant("spread without the new deviation", equations(_STATED, {spread_after: (1 - a) * (s - v**2)})),
    ),
    meanings=(
        (spread_after, "s̃ − g̃² after a batch of weight a"),
        (absorbed, "the same at a = 1"),
        (tracked, "its long-run mean at constant a"),
        (best, "4z²B times the latter over g̃², as a → 0"),
        (g, "gradient ĝ of the new batch"),
        (v, "running mean g̃ before"),
        (s, "running mean of squares s̃ before"),
    ),
    note="For a > 1 the spread is negative, so a must be clipped below 1; at a = 0 the estimates stand still. "
    "`DerivedSGD` is the rule with the factor B, the clip and s̃ in its place; `PrintedDerivedSGD` is the slides'.",
)


# --- where the corrected algorithm settles ---------------------------------------------------------------------------


def mean_field() -> Case:
    """Put the long-run means of g̃² and σ̃² at weight a for themselves: the next weight, and where it can stay.

    With ρ = BG²/σ² the means are (ρ + a/(2 − a))σ²/B and 2(1 − a)/(2 − a)·σ²/B, so the next weight g̃²/(4z²σ̃²) is
    (ρ(2 − a) + a)/(8z²(1 − a)). It is a again where 8z²a² − (8z² − 1 + ρ)a + 2ρ = 0. That has real roots while its
    discriminant (8z² − 1 + ρ)² − 64z²ρ is ≥ 0: for ρ up to the smaller root of that. (Beyond the larger root a > 1.)
    """
    square, level = long_run_moments(a)
    after = sp.factor((square / (4 * z**2 * (level - square))).subs(G, sp.sqrt(ρ / B) * σ))
    above, _ = sp.fraction(sp.together(after - a))
    smaller, _ = sorted(sp.solve(sp.discriminant(above, a), ρ), key=lambda root: float(root.subs(z, 1)))
    return {after_mean: after, ρ_max: smaller}


def iterate_the_mean_field(point: Case) -> Case:
    """Run the moments of the running means themselves for the next weight, and bisect for the ρ that still settles."""
    signal, weight, caution = (float(point[x]) for x in (ρ, a, z))
    variance = 0.0
    for _ in range(2000):
        variance = (1 - weight) ** 2 * variance + weight**2  # of g̃, in units of σ²/B
    after = (signal + variance) / (4 * caution**2 * (1 - variance))
    end = last(lambda ratio: _settles(ratio, caution), 0.0, 100.0, width=1e-9)
    return {**point, after_mean: after, ρ_max: end}


def _settles(signal: float, caution: float) -> bool:
    """Whether the weight stays below 1 from 0 on; past a meeting of fixed points it creeps through slowly."""
    weight = 0.0
    for _ in range(20_000):
        weight = (signal * (2 - weight) + weight) / (8 * caution**2 * (1 - weight))
        if weight >= 1:
            return False
    return True


_point = by_name(rho=ρ, a=a, z=z)


_SETTLED = {
    after_mean: (ρ * (2 - a) + a) / (8 * z**2 * (1 - a)),
    ρ_max: 24 * z**2 + 1 - 8 * z * sp.sqrt(8 * z**2 + 1),
}


MEAN_FIELD = Claim(
    id="MCA-08",
    slug="lectures.mean-field",
    title="In the mean, the corrected algorithm has a weight to settle at only while Bg²/σ² is small: 5.09 at z = 2",
    status="approximate",
    statement=equations(_SETTLED),
    assumptions=(
        positive(ρ, "signal of a batch, Bg²/σ²"),
        between(a, 0, 1, "weight of a new batch, B/B*"),
        positive(z, "confidence multiplier"),
        positive(σ, "standard deviation of one example's gradient"),
        positive(B, "batch size"),
        given("g̃² and σ̃² replaced by their long-run means, a constant meanwhile: fluctuations are left out"),
    ),
    source=HERE,
    evidence=(
        Identity(mean_field),
        # 20 000 steps see a distance of (π/20 000)² times a number of order one from the meeting of fixed points
        Recursion(iterate_the_mean_field, (_point(rho=1, a=0.1, z=2), _point(rho=3, a=0.6, z=1)), 1e-6),
    ),
    mutants=(
        Mutant("running means without noise", equations(_SETTLED, {after_mean: ρ * (2 - a) / (8 * z**2 * (1 - a))})),
        Mutant("spread of single batches", equations(_SETTLED, {after_mean: (ρ * (2 - a) + a) / (4 * z**2 * (2 - a))})),
        Mutant("settles wherever B < B*", equations(_SETTLED, {ρ_max: 4 * z**2})),
        Mutant("the larger root", equations(_SETTLED, {ρ_max: 24 * z**2 + 1 + 8 * z * sp.sqrt(8 * z**2 + 1)})),
    ),
    meanings=(
        (after_mean, "weight that follows, in the mean, from a long time at weight a"),
        (ρ_max, "largest Bg²/σ² for which some weight reproduces itself"),
    ),
    note="At z = 2 the weights solve 32a² − (31 + ρ)a + 2ρ = 0, and ρ_max = 97 − √8448. Above it, and by chance below, "
    "the weight runs to its upper clip.",
)

CLAIMS = (ALGORITHM, MEAN_FIELD)
"""The theory, in the order of the ledger."""
