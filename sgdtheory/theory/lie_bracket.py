"""The training-example Lie bracket: what swapping two neighbouring examples changes, with and without momentum.

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
from sgdtheory.optimizers import SGD, EMAMomentum, Momentum, Nesterov, Optimizer
from sgdtheory.sources import BEMENT_2026, HERE
from sgdtheory.symbols import meanings
from sgdtheory.theory.example_pairs import Pair, generic_pair, quartic_pair, random_pairs

ε, μ = symbols.epsilon, symbols.momentum
Δθ, ΔM, Δz = symbols.position_gap, symbols.buffer_gap, symbols.shadow_gap
V, V1, V2, z0, z1 = symbols.step_field, symbols.field_1, symbols.field_2, symbols.shadow_before, symbols.shadow_after
b, a, c = symbols.bracket, symbols.advection, symbols.bending
H2g1, H1g2 = symbols.hessian_21, symbols.hessian_12

SECOND, THIRD = (ε, 3), (ε, 4)
"""Remainders: formulas that are complete up to ε², up to ε³."""


EXAMPLES = 6
"""Random instances a claim; each is a pair of losses in one, in two and in three dimensions."""


# --- derivations: their docstrings are the proofs in words -----------------------------------------------------------


def bracket_by_hessians() -> list[Case]:
    """Differentiate the fields: (v1·∇)v2 = −H2 v1 = H2 g1 and (v2·∇)v1 = −H1 v2 = H1 g2; subtract.

    Only first and second derivatives at one point enter, so quadratic losses with arbitrary coefficients stand for
    all C² losses. They are kept as symbols, and the bracket is formed from the fields' Jacobians.
    """
    pair = generic_pair(2)
    return [{**local, **products} for local, products in zip(pair.local(), pair.hessian_products(), strict=True)]


def sgd_swap() -> list[Case]:
    """Two SGD steps end at θ + εv1 + εv2(θ + εv1); expand the last term and subtract.

    v2(θ + εv1) = v2 + εv2'v1 + ½ε²v2''(v1, v1) + O(ε³). The fields themselves cancel, the linear terms leave
    ε²(v2'v1 − v1'v2), the bracket, and the quadratic ones ½ε³(v2''(v1, v1) − v1''(v2, v2)). Below ε⁴ only derivatives
    of the losses up to the third at θ enter, so polynomials with arbitrary coefficients, seen from the origin, stand
    for all C⁴ losses. In the plane the terms that can occur (v, v'u, v''(u, u)) are already linearly independent, so
    their coefficients hold in every dimension.
    """
    return generic_pair(4).swapped(SGD(ε), remainder=THIRD)


def sgd_swap_cubic() -> list[Case]:
    """For cubic losses v2 is quadratic, its expansion ends with v2''(v1, v1), and there is no remainder."""
    return generic_pair(3).swapped(SGD(ε))


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


def random_bracket(random: Random) -> list[Case]:
    """Measure the bracket as the source introduces it, as the ε² coefficient of the swap of two SGD steps."""
    pairs = random_pairs(random)
    swapped = (case for pair in pairs for case in pair.swapped(SGD(ε), remainder=SECOND))
    products = (case for pair in pairs for case in pair.hessian_products())
    return [{**product, b: case[Δθ].coeff(ε, 2)} for case, product in zip(swapped, products, strict=True)]


def random_sgd_swap(random: Random) -> list[Case]:
    """Swap two SGD steps on random quartic losses."""
    return [case for pair in random_pairs(random) for case in pair.swapped(SGD(ε), remainder=THIRD)]


def _random_momentum(
    gaps: Callable[[Pair, Optimizer], list[Case]], rule: Callable[..., Optimizer], random: Random
) -> list[Case]:
    decay = sp.Rational(random.randint(0, 9), 10)
    return [{**case, μ: decay} for pair in random_pairs(random) for case in gaps(pair, rule(ε, decay))]


random_heavy_ball_swap = partial(_random_momentum, partial(Pair.swapped, remainder=SECOND), Momentum)
random_averaged_swap = partial(_random_momentum, partial(Pair.swapped, size=sp.S.One, remainder=SECOND), EMAMomentum)
random_nesterov_swap = partial(_random_momentum, partial(Pair.shadowed, remainder=SECOND), Nesterov)
random_shadow_swap = partial(_random_momentum, partial(Pair.shadowed, remainder=SECOND), Momentum)


def sgd_swap_at(step: Fraction) -> Case:
    """Swap two SGD steps of a given size, exactly."""
    return quartic_pair().swapped(SGD(sp.Rational(step)))[0]


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

_HESSIANS = equals(b, H2g1 - H1g2)
BRACKET = Claim(
    id="LIE-01",
    slug="lie.bracket",
    title="The bracket of two examples is each one's Hessian on the other's gradient, subtracted: H2 g1 − H1 g2",
    status="exact",
    statement=_HESSIANS,
    assumptions=(given("losses C² near θ"),),
    source=BEMENT_2026.where("definition of the bracket"),
    evidence=(Identity(bracket_by_hessians), Property(random_bracket, examples=EXAMPLES)),
    mutants=(
        Mutant("other sign convention", equals(b, H1g2 - H2g1)),
        Mutant("sum instead of difference: the gradient of g1·g2", equals(b, H2g1 + H1g2)),
        Mutant("only one order", equals(b, H2g1)),
    ),
    meanings=meanings(_HESSIANS),
    note="Two Hessian-vector products give it; no Hessian is formed. The sign makes it the ε² coefficient of 1-then-2 "
    "minus 2-then-1.",
)

_SGD_GAP = equals(Δθ, ε**2 * b + ε**3 * c / 2)
SWAP_GAP = Claim(
    id="LIE-02",
    slug="lie.swap-gap",
    title="Swapping two SGD steps moves the parameters by ε²[v1, v2] + ½ε³(v2''(v1, v1) − v1''(v2, v2))",
    status="leading-order",
    statement=_SGD_GAP,
    assumptions=(given("losses C⁴ near θ: the remainder is O(ε⁴)"), _SMALL_STEP),
    source=BEMENT_2026.where("effect of swapping two examples"),
    evidence=(
        Identity(sgd_swap, THIRD),
        Identity(sgd_swap_cubic),
        Property(random_sgd_swap, examples=EXAMPLES, remainder=THIRD),
        Order(sgd_swap_at, ε, 4),
    ),
    mutants=(
        Mutant("sign of the bracket", equals(Δθ, -(ε**2) * b + ε**3 * c / 2)),
        Mutant("half the bracket", equals(Δθ, ε**2 * b / 2 + ε**3 * c / 2)),
        Mutant("no ε³ term", equals(Δθ, ε**2 * b)),
        Mutant("ε³ term without the ½", equals(Δθ, ε**2 * b + ε**3 * c)),
        Mutant("sign of the ε³ term", equals(Δθ, ε**2 * b - ε**3 * c / 2)),
    ),
    meanings=meanings(_SGD_GAP),
    note="The source gives the ε² term. For losses of degree three or less there is no remainder, for quadratic ones "
    "the bracket term is all.",
)

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

CLAIMS = (BRACKET, SWAP_GAP, BUFFER_GAP, POSITION_GAP, AVERAGED_GAP, NESTEROV_GAP, SHADOW)
