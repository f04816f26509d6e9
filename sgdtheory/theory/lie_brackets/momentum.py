"""What swapping two neighbouring examples changes under momentum: position, buffer and shadow, in every form.

Descent fields vᵢ = −∇Lᵢ; bracket [f, g] = (f·∇)g − (g·∇)f. Momentum's buffer is written M = −v, so that it moves the
parameters by +M as in the discussion of the source. Every gap is "example 1 then 2" minus "2 then 1", one component,
and every field and derivative is taken at θ, where both orders start.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Assumption, Case, Claim, Identity, Mutant, Order, Property, between, equals, given, positive
from sgdtheory.optimizers import EMAMomentum, Momentum, Nesterov, Optimizer
from sgdtheory.sources import BEMENT_2026, HERE
from sgdtheory.symbols import meanings
from sgdtheory.theory.example_pairs import Pair, generic_pair, quartic_pair, random_pairs

ε, μ = symbols.epsilon, symbols.momentum
Δθ, ΔM, Δz = symbols.position_gap, symbols.buffer_gap, symbols.shadow_gap
V, V1, V2, z0, z1 = symbols.step_field, symbols.field_1, symbols.field_2, symbols.shadow_before, symbols.shadow_after
b, a = symbols.bracket, symbols.advection

SECOND = (ε, 3)
"""Remainder: formulas that are complete up to ε²."""

EXAMPLES = 6
"""Random instances a claim; each is a pair of losses in one, in two and in three dimensions."""


# --- derivations: their docstrings are the proofs in words -----------------------------------------------------------


def heavy_ball_swap() -> list[Case]:
    """Write the steps M' = μM + εv1(θ), θ' = θ + M', M'' = μM' + εv2(θ'), θ'' = θ' + M'' and expand at θ.

    With M = εm: M'' = μ²εm + εμv1 + εv2 + ε²v2'(μm + v1) + O(ε³). Minus the other order this is ε(1−μ)(v2 − v1) +
    ε²([v1, v2] + μ(m·∇)(v2 − v1)), and θ'' adds the gap of M', which is ε(v1 − v2). Below ε³ only first and second
    derivatives of the losses at θ enter, so polynomials with arbitrary coefficients, seen from the origin, stand for
    all C³ losses; in the plane the terms that occur (v, v'u) are linearly independent, so it holds in every dimension.
    """
    return generic_pair(3).swapped(Momentum(ε), remainder=SECOND)


def heavy_ball_swap_large_buffer() -> list[Case]:
    """Take M = m of order one: then v2(θ + μm + …) is not given by derivatives at θ, however small ε is."""
    return generic_pair(3).swapped(Momentum(ε), size=sp.S.One, remainder=SECOND)


def averaged_swap() -> list[Case]:
    """Write the steps M' = μM + (1−μ)v1(θ), θ' = θ + εM', M'' = μM' + (1−μ)v2(θ'), θ'' = θ' + εM'' and expand at θ.

    M'' = μ²M + (1−μ)(μv1 + v2 + εv2'(μM + (1−μ)v1)) + O(ε²); subtract the other order, and add the gap of εM', which
    is ε(1−μ)(v1 − v2), for θ''. Here M = m is an average of fields, of order one, and moves θ by εM. Generic
    polynomials stand for all C³ losses, and the plane for all dimensions, as for the heavy ball.
    """
    return generic_pair(3).swapped(EMAMomentum(ε), size=sp.S.One, remainder=SECOND)


def nesterov_swap() -> list[Case]:
    """Expand at θ the steps M' = μM + εv1(θ + μM), θ' = θ + M', M'' = μM' + εv2(θ' + μM'), θ'' = θ' + M''.

    With M = εm the second look-ahead is θ + (1+μ)M' with M' = ε(μm + v1) + O(ε²), so the bracket comes with 1 + μ. The
    buffer's part of M'' is ε²(μ(1+μ) − μ²)(m·∇)(v2 − v1); the gap of M' is ε(v1 − v2) − ε²μ(m·∇)(v2 − v1), so it
    cancels in θ''. The shadow moves by M' + μ(M' − M)/(1−μ) = εv1(θ + μM)/(1−μ). Generic polynomials stand for
    all C³ losses, and the plane for all dimensions, as for the heavy ball.
    """
    return generic_pair(3).shadowed(Nesterov(ε), remainder=SECOND)


def shadow_swap() -> list[Case]:
    """Put M' = μM + εv and θ' = θ + M' into z' = θ' + μM'/(1−μ) = θ + M'/(1−μ) = z + εv/(1−μ): no approximation.

    So z gathers both steps with equal weight, z'' = z + ε(v1(θ) + v2(θ'))/(1−μ), the first-order gap cancels, and
    v2(θ') = v2 + v2'(μM + εv1) + O(ε²) leaves ε²([v1, v2] + μ(m·∇)(v2 − v1))/(1−μ). Generic polynomials stand for
    all C³ losses, and the plane for all dimensions, as for the heavy ball.
    """
    return generic_pair(3).shadowed(Momentum(ε), remainder=SECOND)


def shadow_swap_quadratic() -> list[Case]:
    """For quadratic losses v2(θ') = v2 + v2'(μM + εv1) exactly, so the shadow's gap has no remainder either."""
    return generic_pair(2).shadowed(Momentum(ε))


# --- random and numerical instances ----------------------------------------------------------------------------------


def _random_momentum(
    gaps: Callable[[Pair, Optimizer], list[Case]], rule: Callable[..., Optimizer], random: Random
) -> list[Case]:
    decay = random.choice([sp.Rational(k, 100) for k in (0, 10, 25, 50, 90, 99)])
    return [{**case, μ: decay} for pair in random_pairs(random) for case in gaps(pair, rule(ε, decay))]


random_heavy_ball_swap = partial(_random_momentum, partial(Pair.swapped, remainder=SECOND), Momentum)
random_averaged_swap = partial(_random_momentum, partial(Pair.swapped, size=sp.S.One, remainder=SECOND), EMAMomentum)
random_nesterov_swap = partial(_random_momentum, partial(Pair.shadowed, remainder=SECOND), Nesterov)
random_shadow_swap = partial(_random_momentum, partial(Pair.shadowed, remainder=SECOND), Momentum)


def heavy_ball_swap_at(step: Fraction) -> Case:
    """Swap two heavy-ball steps of a given size, exactly."""
    size, decay = sp.Rational(step), sp.Rational(9, 10)
    return {**quartic_pair().swapped(Momentum(size, decay), size)[0], μ: decay}


# --- claims ----------------------------------------------------------------------------------------------------------


_SMALL_STEP = positive(ε, "step size")
_DECAY = between(μ, 0, 1, "momentum")
_C3 = given("losses C³ near θ: the remainder is O(ε³)")
_SMALL_BUFFER = given("buffer M = εm of the size of a step, as steps of size ε build it up")
_MOMENTUM = (_C3, _SMALL_BUFFER, _SMALL_STEP, _DECAY)
_COMMENT = BEMENT_2026.where("discussion, the author's reply on momentum")

_BUFFER_GAP = equals(ΔM, ε * (1 - μ) * (V2 - V1) + ε**2 * (b + μ * a))
BUFFER_GAP = Claim(
    id="LIE-11",
    slug="lie.momentum-buffer",
    title="Swapping two heavy-ball steps changes the momentum at first order in ε, unless nothing decays (μ = 1)",
    status="corrected",
    statement=_BUFFER_GAP,
    assumptions=(
        _C3,
        _SMALL_BUFFER,
        _SMALL_STEP,
        Assumption("momentum: 0 ≤ μ ≤ 1; the source has μ = 1", μ, sp.Interval(0, 1)),
    ),
    source=_COMMENT,
    evidence=(Identity(heavy_ball_swap, SECOND), Property(random_heavy_ball_swap, examples=EXAMPLES, remainder=SECOND)),
    mutants=(
        Mutant("as printed: without decay, μ = 1", equals(ΔM, ε**2 * (b + a))),
        Mutant("buffer not decayed", equals(ΔM, ε * (1 - μ) * (V2 - V1) + ε**2 * (b + a))),
        Mutant("sign of the bracket", equals(ΔM, ε * (1 - μ) * (V2 - V1) + ε**2 * (μ * a - b))),
        Mutant(
            "linear in a buffer M = m of order one",
            equals(ΔM, ε * (1 - μ) * (V2 - V1) + ε * μ * a + ε**2 * b),
            (Identity(heavy_ball_swap_large_buffer, SECOND),),
        ),
    ),
    meanings=meanings(_BUFFER_GAP),
    note="ε(M·∇)(v2 − v1) of the source is ε²(m·∇)(v2 − v1) here. That term is the bracket [m, v2 − v1] with m as a "
    "constant field.",
)

_POSITION_GAP = equals(Δθ, ε * μ * (V1 - V2) + ε**2 * (b + μ * a))
POSITION_GAP = Claim(
    id="LIE-12",
    slug="lie.momentum-position",
    title="Swapping two heavy-ball steps moves the parameters at first order, by εμ(v1 − v2); the bracket comes second",
    status="leading-order",
    statement=_POSITION_GAP,
    assumptions=_MOMENTUM,
    source=HERE,
    evidence=(
        Identity(heavy_ball_swap, SECOND),
        Property(random_heavy_ball_swap, examples=EXAMPLES, remainder=SECOND),
        Order(heavy_ball_swap_at, ε, 3),
    ),
    mutants=(
        Mutant("the bracket alone, as for SGD", equals(Δθ, ε**2 * b)),
        Mutant("no first-order term", equals(Δθ, ε**2 * (b + μ * a))),
        Mutant("sign of the first-order term", equals(Δθ, ε * μ * (V2 - V1) + ε**2 * (b + μ * a))),
        Mutant("buffer not decayed", equals(Δθ, ε * μ * (V1 - V2) + ε**2 * (b + a))),
        Mutant("Nesterov's steps", evidence=(Identity(nesterov_swap, SECOND),)),
    ),
    meanings=meanings(_POSITION_GAP),
    note="At μ = 0 this is the gap of SGD.",
)

_AVERAGED_FIRST = ε * μ * (1 - μ) * (V1 - V2)
_AVERAGED_SECOND = ε**2 * ((1 - μ) ** 2 * b + μ * (1 - μ) * a)
_AVERAGED_GAPS = sp.And(
    equals(Δθ, _AVERAGED_FIRST + _AVERAGED_SECOND),
    equals(ε * ΔM, ε * (1 - μ) ** 2 * (V2 - V1) + _AVERAGED_SECOND),
)
AVERAGED_GAP = Claim(
    id="LIE-13",
    slug="lie.averaged-momentum",
    title="With averaged momentum, swapping moves the parameters as it does with the heavy ball at the step ε(1−μ)",
    status="leading-order",
    statement=_AVERAGED_GAPS,
    assumptions=(_C3, given("buffer M = m, an average of fields"), _SMALL_STEP, _DECAY),
    source=HERE,
    evidence=(Identity(averaged_swap, SECOND), Property(random_averaged_swap, examples=EXAMPLES, remainder=SECOND)),
    mutants=(
        Mutant("standard parametrisation's position", equals(Δθ, ε * μ * (V1 - V2) + ε**2 * (b + μ * a))),
        Mutant("bracket with 1−μ once", equals(Δθ, _AVERAGED_FIRST + ε**2 * (1 - μ) * (b + μ * a))),
        Mutant("buffer not decayed", equals(Δθ, _AVERAGED_FIRST + ε**2 * (1 - μ) * ((1 - μ) * b + a))),
        Mutant("standard steps", evidence=(Identity(heavy_ball_swap, SECOND),)),
    ),
    meanings=meanings(_AVERAGED_GAPS),
)

_SHADOW_STEP = equals(z1, z0 + ε * V / (1 - μ))
_NESTEROV_BUFFER = equals(ΔM, ε * (1 - μ) * (V2 - V1) + ε**2 * ((1 + μ) * b + μ * a))
_NESTEROV_GAPS = sp.And(equals(Δθ, ε * μ * (V1 - V2) + ε**2 * (1 + μ) * b), _NESTEROV_BUFFER, _SHADOW_STEP)
NESTEROV_GAP = Claim(
    id="LIE-14",
    slug="lie.nesterov",
    title="Nesterov's look-ahead scales the bracket by 1 + μ and cancels the buffer's part in the parameters",
    status="leading-order",
    statement=_NESTEROV_GAPS,
    assumptions=_MOMENTUM,
    source=HERE,
    evidence=(Identity(nesterov_swap, SECOND), Property(random_nesterov_swap, examples=EXAMPLES, remainder=SECOND)),
    mutants=(
        Mutant("the heavy ball's position", _POSITION_GAP),
        Mutant("bracket without 1 + μ", equals(Δθ, ε * μ * (V1 - V2) + ε**2 * b)),
        Mutant("the heavy ball's buffer", _BUFFER_GAP),
        Mutant("buffer's part cancels there too", equals(ΔM, ε * (1 - μ) * (V2 - V1) + ε**2 * (1 + μ) * b)),
        Mutant("shadow's step along the field at θ", equals(z1, z0 + ε * V1 / (1 - μ))),
    ),
    meanings=meanings(_NESTEROV_GAPS),
    note="The shadow z = θ + μM/(1−μ) steps exactly by εV/(1−μ), V being the field at the look-ahead θ + μM.",
)

_SHADOW_GAP = equals(Δz, ε**2 * (b + μ * a) / (1 - μ))
_SHADOW = sp.And(_SHADOW_STEP, _SHADOW_GAP)
SHADOW = Claim(
    id="LIE-15",
    slug="lie.shadow",
    title="The shadow z = θ + μM/(1−μ) of the heavy ball steps exactly by εv/(1−μ), and swapping changes it only at ε²",
    status="leading-order",
    statement=_SHADOW,
    assumptions=_MOMENTUM,
    source=HERE,
    evidence=(
        Identity(shadow_swap, SECOND),
        Identity(shadow_swap_quadratic),
        Property(random_shadow_swap, examples=EXAMPLES, remainder=SECOND),
    ),
    mutants=(
        Mutant("step without 1/(1−μ)", equals(z1, z0 + ε * V)),
        Mutant("gap without 1/(1−μ)", equals(Δz, ε**2 * (b + μ * a))),
        Mutant("buffer not decayed", equals(Δz, ε**2 * (b + a) / (1 - μ))),
        Mutant("the bracket alone", equals(Δz, ε**2 * b / (1 - μ))),
        Mutant("Nesterov's steps", evidence=(Identity(nesterov_swap, SECOND),)),
    ),
    meanings=meanings(_SHADOW),
    note="This is the discussion's formula for the swapped momentum, saved for every μ: its M read as what the decay "
    "leaves of it, μM, and the whole divided by 1−μ. The step holds without error for any loss, the gap for quadratic "
    "ones.",
)

CLAIMS = (BUFFER_GAP, POSITION_GAP, AVERAGED_GAP, NESTEROV_GAP, SHADOW)
