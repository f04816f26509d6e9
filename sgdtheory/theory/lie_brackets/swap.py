"""What swapping two neighbouring examples changes: after two SGD steps, after two flows, and in a prediction.

Descent fields vᵢ = −∇Lᵢ; c = [v1, v2]. Every gap is "1 then 2" minus "2 then 1", one component, and every field and
derivative is taken at θ, where both orders start.
"""

from __future__ import annotations

from fractions import Fraction
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Order, Property, equals, equations, given, positive
from sgdtheory.derive.brackets import derivative_along, descent_field, lie_bracket
from sgdtheory.derive.expansion import State, compose, generic_polynomial, jet
from sgdtheory.derive.flows import flow, modified, series, then
from sgdtheory.optimizers import SGD
from sgdtheory.sources import BEMENT_2026, HAUSDORFF_1906
from sgdtheory.symbols import meanings
from sgdtheory.theory.example_pairs import Pair, generic_pair, quartic_pair, random_pairs
from sgdtheory.theory.random_instances import polynomial

ε, Δθ, V1, V2 = symbols.epsilon, symbols.position_gap, symbols.field_1, symbols.field_2
b, c, S, D, F = symbols.bracket, symbols.bending, symbols.nested_sum, symbols.nested_gap, symbols.joint_field
Δf, fb, fc, fSb = symbols.prediction_gap, symbols.slope_bracket, symbols.slope_bending, symbols.curved_bracket

THIRD = (ε, 4)
"""Remainder: formulas that are complete up to ε³."""


# --- two SGD steps ---------------------------------------------------------------------------------------------------


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


def random_sgd_swap(random: Random) -> list[Case]:
    """Swap two SGD steps on random quartic losses, in one to five dimensions."""
    return [case for pair in random_pairs(random, (1, 2, 3, 5)) for case in pair.swapped(SGD(ε), remainder=THIRD)]


def sgd_swap_at(step: Fraction) -> Case:
    """Swap two SGD steps of a given size, exactly."""
    return quartic_pair().swapped(SGD(sp.Rational(step)))[0]


_SMALL_STEP = positive(ε, "step size")
_C4 = given("losses C⁴ near θ: the remainder is O(ε⁴)")

_SGD_GAP = equals(Δθ, ε**2 * b + ε**3 * c / 2)
SWAP_GAP = Claim(
    id="LIE-02",
    slug="lie.swap-gap",
    title="Swapping two SGD steps moves the parameters by ε²[v1, v2] + ½ε³(v2''(v1, v1) − v1''(v2, v2))",
    status="leading-order",
    statement=_SGD_GAP,
    assumptions=(_C4, _SMALL_STEP),
    source=BEMENT_2026.where("effect of swapping two examples"),
    evidence=(
        Identity(sgd_swap, THIRD),
        Identity(sgd_swap_cubic),
        Property(random_sgd_swap, examples=2, remainder=THIRD),
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


# --- two flows -------------------------------------------------------------------------------------------------------


def flows_of(pair: Pair) -> list[Case]:
    """Follow v1 and then v2, each for the time ε, and the other way; find the field whose flow does the first."""
    (v1, v2), w = pair.fields, pair.coordinates
    one, two = (flow(series(v, length=3), w) for v in (v1, v2))
    forth, back = then(one, two, w), then(two, one, w)
    joint = modified(forth, w)
    bracket = lie_bracket(v1, v2, w)
    total = derivative_along(bracket, v1 + v2, w) + derivative_along(v1 + v2, bracket, w)
    columns = {V1: v1, V2: v2, b: bracket, S: total, D: lie_bracket(v1 - v2, bracket, w)}
    columns[Δθ] = sum((ε ** (k + 1) * (f - g) for k, (f, g) in enumerate(zip(forth, back, strict=True))), 0 * v1)
    columns[F] = sum((ε**k * term for k, term in enumerate(joint)), 0 * v1)
    return pair.at_point(columns)


def flows_of_generic_pair() -> list[Case]:
    """Let A = ε v1·∇ and B = ε v2·∇ act on functions; following v1 and then v2 is eᴬeᴮ, and log eᴬeᴮ is the field.

    Up to third order log eᴬeᴮ = A + B + ½[A, B] + 1/12([A, [A, B]] + [B, [B, A]]) (Baker, Campbell, Hausdorff), and
    the last bracket is [A − B, [A, B]]. In the other order the middle term changes sign and the last does not. Applied
    to θ itself, e^X − e^Y with X, Y = T ± ½C leaves C + ½(TC + CT), T = A + B and C = [A, B]: ε²c + ½ε³((T·∇)c +
    (c·∇)T). Below ε⁴ only derivatives of the losses up to the third enter, so cubic losses with arbitrary
    coefficients, seen from the origin, stand for all C⁴ losses.
    """
    return flows_of(generic_pair(3))


def random_flows(random: Random) -> list[Case]:
    """Do the same for random cubic losses."""
    return [case for pair in random_pairs(random, (1, 2, 3), degree=3) for case in flows_of(pair)]


_FLOWS = {Δθ: ε**2 * b + ε**3 * S / 2, F: V1 + V2 + ε * b / 2 + ε**2 * D / 12}
FLOW_GAP = Claim(
    id="LIE-03",
    slug="lie.flow-gap",
    title="Swapping two flows leaves the bracket too, but another ε³ term than swapping two steps",
    status="leading-order",
    statement=equations(_FLOWS),
    assumptions=(given("losses C⁴ near θ: the remainders are O(ε⁴) and O(ε³)"), _SMALL_STEP),
    source=HAUSDORFF_1906,
    evidence=(
        Identity(flows_of_generic_pair, THIRD),
        Property(random_flows, examples=1, remainder=THIRD),
    ),
    mutants=(
        Mutant("no ε³ term", equations(_FLOWS, {Δθ: ε**2 * b})),
        Mutant("ε³ term without the ½", equations(_FLOWS, {Δθ: ε**2 * b + ε**3 * S})),
        Mutant("sign of the bracket", equations(_FLOWS, {Δθ: -(ε**2) * b + ε**3 * S / 2})),
        Mutant("whole bracket in the joint field", equations(_FLOWS, {F: V1 + V2 + ε * b + ε**2 * D / 12})),
        Mutant("no 1/12 term", equations(_FLOWS, {F: V1 + V2 + ε * b / 2})),
        Mutant("1/12 term with v1 + v2", equations(_FLOWS, {F: V1 + V2 + ε * b / 2 + ε**2 * (S - D) / 12})),
    ),
    meanings=meanings(equations(_FLOWS)),
    note="A step is the flow of its modified field (LIE-21), which is why the ε³ terms differ.",
)


# --- a prediction ----------------------------------------------------------------------------------------------------


def prediction_of(pair: Pair, prediction: sp.Expr) -> list[Case]:
    """Evaluate a prediction after both orders of two SGD steps."""
    (v1, v2), w = pair.fields, pair.coordinates
    start = State(pair.point, ((),) * len(w))
    ends = [compose(SGD(ε), [-u, -v], w, start, THIRD).position for u, v in ((v1, v2), (v2, v1))]
    after = [jet(prediction.xreplace(dict(zip(w, end, strict=True))), ε, 4) for end in ends]
    bracket = lie_bracket(v1, v2, w)
    bending = derivative_along(v2, v1, w, order=2) - derivative_along(v1, v2, w, order=2)
    row = -descent_field(prediction, w).T
    columns = {
        fb: row * bracket,
        fc: row * bending,
        fSb: (v1 + v2).T * sp.hessian(prediction, w) * bracket,
    }
    here = dict(zip(w, pair.point, strict=True))
    return [{Δf: sp.expand(after[0] - after[1]), **{s: entry[0].xreplace(here) for s, entry in columns.items()}}]


def generic_prediction() -> list[Case]:
    """Expand f at θ: the ends differ by Δ = ε²c + ½ε³(…), and their moves are ε(v1 + v2) + O(ε²), so f'' adds a term.

    f(θ₁₂) − f(θ₂₁) = ∇f·Δ + ½(f''(δ₁₂, δ₁₂) − f''(δ₂₁, δ₂₁)) + O(ε⁴), and the difference of the squares is
    f''(δ₁₂ + δ₂₁, Δ) = 2ε³f''(v1 + v2, c) + O(ε⁴). Losses of degree three and a quadratic prediction with arbitrary
    coefficients have every derivative that occurs.
    """
    pair = generic_pair(3)
    return prediction_of(pair, generic_polynomial("f", pair.coordinates, 2))


def random_prediction(random: Random) -> list[Case]:
    """Do the same for random cubic predictions and quartic losses, in one to five dimensions."""
    drawn = random_pairs(random, (1, 2, 3, 5))
    return [case for pair in drawn for case in prediction_of(pair, polynomial(random, pair.coordinates, 3))]


def _prediction(*terms: sp.Expr) -> sp.Basic:
    return equals(Δf, sp.Add(*terms))


_PREDICTION_GAP = _prediction(ε**2 * fb, ε**3 * fc / 2, ε**3 * fSb)
PREDICTION_GAP = Claim(
    id="LIE-23",
    slug="lie.prediction",
    title="Swapping two SGD steps changes a prediction f by ε²∇f·[v1, v2], to leading order",
    status="leading-order",
    statement=_PREDICTION_GAP,
    assumptions=(given("losses C⁴ and f C³ near θ: the remainder is O(ε⁴)"), _SMALL_STEP),
    source=BEMENT_2026.where("effect on the logits; the next term is derived here"),
    evidence=(Identity(generic_prediction, THIRD), Property(random_prediction, examples=2, remainder=THIRD)),
    mutants=(
        Mutant("half the bracket", _prediction(ε**2 * fb / 2, ε**3 * fc / 2, ε**3 * fSb)),
        Mutant("sign", _prediction(-(ε**2) * fb, ε**3 * fc / 2, ε**3 * fSb)),
        Mutant("f taken as linear", _prediction(ε**2 * fb, ε**3 * fc / 2)),
        Mutant("curvature of f with ½", _prediction(ε**2 * fb, ε**3 * fc / 2, ε**3 * fSb / 2)),
        Mutant("no bending of the fields", _prediction(ε**2 * fb, ε**3 * fSb)),
    ),
    meanings=meanings(_PREDICTION_GAP),
    note="One Jacobian-vector product gives the effect on every output at once.",
)

CLAIMS = (SWAP_GAP, FLOW_GAP, PREDICTION_GAP)
"""The theory, in the order of the ledger."""
