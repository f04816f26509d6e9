"""Momentum as gradient estimation: the two parametrisations, the window of the average, Nesterov's look-ahead.

The lectures read the averaged form g̃' = μg̃ + (1 − μ)ĝ, Φ' = Φ − ηg̃' as an estimate of the gradient from the latest
1/(1 − μ) batches. When that has no effect is asked in `sgdtheory.theory.lectures.no_effect`; stationary variances and
limits of stability are in `sgdtheory.theory.lectures.long_runs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    equations,
    given,
    positive,
    real,
)
from sgdtheory.optimizers import EMAMomentum, Momentum, Nesterov, Optimizer
from sgdtheory.sources import MCALLESTER_2018
from sgdtheory.symbols import meanings

θ, g, v, η, μ = symbols.theta, symbols.gradient, symbols.velocity, symbols.lr, symbols.momentum
G_0, η_a, η_b = symbols.first_gradient, symbols.lr_early, symbols.lr_late
gap, gap_v, gap_outside, gap_two = (
    symbols.form_gap,
    symbols.form_gap_buffer,
    symbols.form_gap_outside,
    symbols.form_gap_two,
)
r_v, N_var, N_age, age = symbols.estimate_variance, symbols.window_variance, symbols.window_age, symbols.mean_age
dy, db, y_now, y_next = symbols.torch_gap, symbols.torch_gap_buffer, symbols.ahead_of_now, symbols.ahead_of_next
Rule = Callable[..., Optimizer]
_G = sp.Symbol("G_1", real=True)


# --- two parametrisations --------------------------------------------------------------------------------------------


def same_sequence(scale: sp.Expr = 1 - μ) -> Case:
    """Take one step of each form from the same θ with v = ηg̃; then two steps whose learning rates differ.

    The gradient is the same, for θ is. v' = μηg̃ + η(1 − μ)ĝ = η(μg̃ + (1 − μ)ĝ) = ηg̃', and both forms subtract it from
    θ. So the step leaves v = ηg̃ and equal parameters behind, and by induction every step does; μ may change from step
    to step. With the learning rate outside the buffer, b' = μb + ĝ and θ' = θ − η(1 − μ)b', it is b = g̃/(1 − μ) that
    lasts; there μ must be constant, and η may change.

    If η changes from η_a to η_b, the standard form still carries its first gradient with η_a, the averaged form with
    η_b: from empty buffers the second steps are μ(1 − μ)η_aG₀ and μ(1 − μ)η_bG₀, the rest being equal.

    Parameters
    ----------
    scale : expression
        Learning rate of the standard form over η.
    """
    one, other = EMAMomentum().update(g, θ, [v]), Momentum(lr=η * scale).update(g, θ, [η * v])
    outside = θ - η * scale * (μ * v / (1 - μ) + g)
    return {
        gap: one.position - other.position,
        gap_v: η * one.memory[0] - other.memory[0],
        gap_outside: one.position - outside,
        gap_two: _two_steps(EMAMomentum, η_a, η_b) - _two_steps(Momentum, η_a * scale, η_b * scale),
    }


def _two_steps(rule: Rule, early: sp.Expr, late: sp.Expr) -> sp.Expr:
    first = rule(lr=early).update(G_0, θ, [0])
    return rule(lr=late).update(_G, first.position, first.memory).position


def run_both_forms(random: Random) -> list[Case]:
    """Run three forms on a quadratic in rational numbers, with a momentum that changes, or learning rates that do."""
    curvature, rate, late, start = (_rational(random) for _ in range(4))
    decays = [sp.Rational(random.randint(0, 9), 10) for _ in range(5)]
    m = decays[0]
    x, y, g_mean, velocity = start, start, sp.S.Zero, sp.S.Zero
    gaps = []
    for decay in decays:  # transcribed from the slides, each form with its own parameter
        g_mean = decay * g_mean + (1 - decay) * curvature * x
        velocity = decay * velocity + rate * (1 - decay) * curvature * y
        x, y = x - rate * g_mean, y - velocity
        gaps.append((x - y, rate * g_mean - velocity))

    x = y = w = start
    g_mean = velocity = b = sp.S.Zero
    for step in (rate, late):
        g_mean, x = (new := m * g_mean + (1 - m) * curvature * x), x - step * new
        velocity, y = (new := m * velocity + step * (1 - m) * curvature * y), y - new
        b, w = (new := m * b + curvature * w), w - step * (1 - m) * new
    numbers = {μ: m, η_a: rate, η_b: late, G_0: curvature * start, gap_two: x - y, gap_outside: x - w}
    return [{**numbers, gap: position, gap_v: buffer} for position, buffer in gaps]


def _rational(random: Random) -> sp.Rational:
    return sp.Rational(random.randint(1, 12), random.randint(1, 12))


# --- the window ------------------------------------------------------------------------------------------------------


def window() -> Case:
    """Sum the weights (1 − μ)μᵏ of the gradient k steps old, by what one more step does to each sum.

    A step multiplies every weight by a = μ and adds the newest, b = 1 − μ, of age 0. So the sum of weights W = aW + b
    is 1; the sum of squares Q = a²Q + b² is (1 − μ)/(1 + μ), the variance of the average over that of one gradient; and
    the sum of weight × age A = a(A + W) is μ/(1 − μ). The mean of N gradients has 1/N of the variance, so N = W²/Q
    vary as little; the mean of the N latest has mean age (N − 1)/2, so N = 2A/W + 1 are as old. Both are
    (1 + μ)/(1 − μ).
    """
    ((_, average),) = EMAMomentum().memory
    a, b = sp.diff(average, v), sp.diff(average, g)
    total, squares = b / (1 - a), b**2 / (1 - a**2)
    mean_age = a * total / (1 - a) / total
    return {r_v: squares, N_var: total**2 / squares, age: mean_age, N_age: 2 * mean_age + 1}


def impulse(point: Case) -> Case:
    """Feed the rule a single gradient, watch it fade for 1200 steps, and sum what is seen."""
    rule = EMAMomentum(lr=1, momentum=float(point[μ]))
    fade = sp.lambdify((v, g), rule.update(g, 0, [v]).memory[0])
    weights = [fade(0.0, 1.0)]
    while len(weights) < 1200:
        weights.append(fade(weights[-1], 0.0))
    w, k = np.array(weights), np.arange(len(weights))
    mean = float((w * k).sum() / w.sum())
    return {**point, r_v: float((w**2).sum()), N_var: float(1 / (w**2).sum()), age: mean, N_age: 2 * mean + 1}


def squared_average(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Draw the square of a running average of 40 gradients of mean 0 and variance 1, uniform ones, at μ = ½."""
    average = np.zeros(n)
    for _ in range(40):
        average = 0.5 * average + 0.5 * rng.uniform(-np.sqrt(3), np.sqrt(3), n)
    return average**2


# --- the look-ahead --------------------------------------------------------------------------------------------------


def look_ahead() -> Case:
    """Put the slides' step into y = Φ − ημg̃ and compare with PyTorch's on y, with b = g̃/(1 − μ) and rate η(1 − μ).

    The slides' g̃' = μg̃ + (1 − μ)ĝ(y), Φ' = Φ − ηg̃' is `Nesterov` with rate η(1 − μ) and v = ηg̃. Dividing by 1 − μ,
    b' = μb + ĝ(y), PyTorch's buffer. And y' = Φ' − ημg̃' = y + ημg̃ − η(1 + μ)g̃'; because μg̃ = g̃' − (1 − μ)ĝ this is
    y − η(1 − μ)ĝ − ημg̃' = y − η(1 − μ)(ĝ + μb'), PyTorch's step. So the points at which the gradient is taken are
    PyTorch's parameters, by induction at every step.

    The look-ahead lies −ημg̃ from Φ and, since Φ' = Φ − ημg̃ − η(1 − μ)ĝ, just η(1 − μ)ĝ from Φ': it is the next
    parameter if the gradient there is 0, and the present one if the buffer is, as at the first step.
    """
    rule = Nesterov(lr=η * (1 - μ))
    y = rule.lookahead(θ, [η * v])
    after = rule.update(g, θ, [η * v])
    buffer = μ * v / (1 - μ) + g  # PyTorch's, torch.optim.SGD with nesterov=True
    parameter = y - η * (1 - μ) * (g + μ * buffer)
    return {
        dy: rule.lookahead(after.position, after.memory) - parameter,
        db: after.memory[0] / (η * (1 - μ)) - buffer,
        y_now: y - θ,
        y_next: y - after.position,
    }


def run_look_ahead(random: Random) -> Iterator[Case]:
    """Run the slide's and PyTorch's steps on ¼w⁴ in rational numbers, each from its own start."""
    rate, m, start = _rational(random) / 8, sp.Rational(random.randint(0, 9), 10), _rational(random) / 4
    phi, g_mean, parameter, buffer = start, sp.S.Zero, start, sp.S.Zero
    for _ in range(3):
        ahead = phi - rate * m * g_mean
        gradient = ahead**3
        seen = {η: rate, μ: m, g: gradient, v: g_mean, y_now: ahead - phi}
        g_mean = m * g_mean + (1 - m) * gradient
        phi = phi - rate * g_mean
        own = parameter**3
        buffer = m * buffer + own
        parameter = parameter - rate * (1 - m) * (own + m * buffer)
        yield {
            **seen,
            y_next: ahead - phi,
            dy: phi - rate * m * g_mean - parameter,
            db: g_mean / (1 - m) - buffer,
        }


# --- claims ----------------------------------------------------------------------------------------------------------


_MOMENTUM = between(μ, 0, 1, "momentum")
_SLIDES = MCALLESTER_2018.where("slides Momentum (Nonstandard Parameterization), Momentum, Standard Parameterization")

_FORMS = {gap: sp.S.Zero, gap_v: sp.S.Zero, gap_outside: sp.S.Zero, gap_two: μ * (1 - μ) * G_0 * (η_a - η_b)}
TWO_FORMS = Claim(
    id="MCA-12",
    slug="lectures.two-momentum-forms",
    title="Averaged momentum at η is standard momentum at η(1 − μ), step by step, until the learning rate changes",
    status="exact",
    statement=equations(_FORMS),
    assumptions=(
        _MOMENTUM,
        positive(η, "learning rate"),
        positive(η_a, "learning rate of the first of two steps"),
        positive(η_b, "learning rate of the second"),
        real(G_0, "first gradient"),
        given("buffers matched at the start, v = ηg̃; any gradients"),
    ),
    source=_SLIDES,
    evidence=(Identity(same_sequence), Property(run_both_forms, examples=30)),
    mutants=(
        Mutant("the same for learning rates that change", equations(_FORMS, {gap_two: sp.S.Zero})),
        Mutant("gap without 1 − μ", equations(_FORMS, {gap_two: μ * G_0 * (η_a - η_b)})),
        Mutant("gap of the other sign", equations(_FORMS, {gap_two: -_FORMS[gap_two]})),
        Mutant("learning rate η in both forms", evidence=(Identity(lambda: same_sequence(sp.S.One)),)),
    ),
    meanings=meanings(equations(_FORMS)),
    note="A momentum that changes keeps the two forms together, a learning rate that changes does not. PyTorch keeps "
    "the learning rate outside the buffer: under a schedule of η it follows the averaged form.",
)

_SPAN = (1 + μ) / (1 - μ)
_WINDOW = {r_v: 1 / _SPAN, N_var: _SPAN, age: μ / (1 - μ), N_age: _SPAN}
_PRINTED = equations(_WINDOW, {r_v: 1 - μ, N_var: 1 / (1 - μ), N_age: 1 / (1 - μ)})
WINDOW = Claim(
    id="MCA-13",
    slug="lectures.momentum-window",
    title="Averaged momentum is as steady and as old as the mean of the latest (1 + μ)/(1 − μ) gradients",
    status="approximate",
    statement=equations(_WINDOW),
    assumptions=(_MOMENTUM, given("independent gradients of one variance; the buffer has forgotten its start")),
    source=_SLIDES,
    evidence=(
        Identity(window),
        # what the impulse has left after 1200 steps is 0.97^1200; the rest is rounding
        Recursion(impulse, ({μ: sp.S.Zero}, {μ: sp.Rational(1, 2)}, {μ: sp.Rational(97, 100)}), 1e-10),
        Sample(r_v, squared_average, {μ: 0.5}, resolution=0.02),
    ),
    mutants=(
        Mutant("as printed, roughly: 1/(1 − μ) gradients", _PRINTED),
        Mutant("as many as half the variance", equations(_WINDOW, {r_v: 1 / (2 * _SPAN), N_var: 2 * _SPAN})),
        Mutant("mean age 1/(1 − μ)", equations(_WINDOW, {age: 1 / (1 - μ)})),
        Mutant("a window that ends at the mean age", equations(_WINDOW, {N_age: age + 1})),
    ),
    meanings=meanings(equations(_WINDOW)),
    note="1/(1 − μ) is the gain of the standard form and, towards μ = 1, the e-folding time of the weights; there the "
    "average is twice as steady as that many gradients.",
)

_AHEAD = {dy: sp.S.Zero, db: sp.S.Zero, y_now: -η * μ * v, y_next: η * (1 - μ) * g}
LOOK_AHEAD = Claim(
    id="MCA-16",
    slug="lectures.look-ahead",
    title="PyTorch's Nesterov momentum makes the lectures' look-ahead points, which are Φ' wherever ĝ = 0 there",
    status="corrected",
    statement=equations(_AHEAD),
    assumptions=(
        _MOMENTUM,
        positive(η, "learning rate"),
        real(g, "gradient at the look-ahead"),
        real(v, "the lectures' buffer g̃ before the step"),
        given("constant η and μ; PyTorch starts at the first look-ahead, with buffer g̃/(1 − μ) and rate η(1 − μ)"),
    ),
    source=MCALLESTER_2018.where("slide Nesterov Momentum"),
    evidence=(Identity(look_ahead), Property(lambda random: list(run_look_ahead(random)), examples=25)),
    mutants=(
        Mutant("as printed: always different from both Φ and Φ'", sp.And(sp.Gt(y_now**2, 0), sp.Gt(y_next**2, 0))),
        Mutant("look-ahead from the next parameter by ηĝ", equations(_AHEAD, {y_next: η * g})),
        Mutant("look-ahead by the whole buffer", equations(_AHEAD, {y_now: -η * v})),
        Mutant("PyTorch's parameter is Φ", equations(_AHEAD, {dy: -η * μ * (μ * v + (1 - μ) * g)})),
    ),
    meanings=meanings(equations(_AHEAD)),
    note="At the first step g̃ = 0 and the look-ahead is Φ itself.",
)

CLAIMS = (TWO_FORMS, WINDOW, LOOK_AHEAD)
"""The theory, in the order of the ledger."""
