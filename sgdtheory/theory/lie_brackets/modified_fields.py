"""Backward error analysis: the field whose flow does what steps do, for one loss, two tasks in turn, and their sum.

A step of size ε on L is the flow for the time ε of −g + εf₁ + ε²f₂ + …. For two losses in turn the time ε covers both
steps, as it covers the one on L1 + L2. One component of each vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equals, equations, given
from sgdtheory.derive.brackets import derivative_along, descent_field, lie_bracket
from sgdtheory.derive.flows import Series, modified, series, then
from sgdtheory.sources import BARRETT_DHERIN_2021, DHERIN_2023
from sgdtheory.symbols import meanings
from sgdtheory.theory.example_pairs import Pair, generic_pair, random_pairs
from sgdtheory.theory.lie_brackets.random_order import square

f1, f2 = symbols.modified_1, symbols.modified_2
Hg, HHg, Tgg = symbols.hessian_gradient, symbols.hessian_twice, symbols.third_gradient
f_seq, f_sum, f_both = symbols.modified_sequence, symbols.modified_sum, symbols.modified_both
own, cross, b = symbols.slope_own, symbols.slope_cross, symbols.bracket
curl, commutator = symbols.bracket_curl, symbols.hessian_commutator
Coordinates = Sequence[sp.Symbol]


# --- one loss --------------------------------------------------------------------------------------------------------


def corrections(pair: Pair) -> list[Case]:
    """Return the corrections of a step on the first of two losses, and what they are made of."""
    loss, w = pair.losses[0], pair.coordinates
    _, first, second = modified(series(descent_field(loss, w), length=3), w)
    gradient, hessian = -descent_field(loss, w), sp.hessian(loss, w)
    columns = {
        f1: first,
        f2: second,
        Hg: hessian * gradient,
        HHg: hessian**2 * gradient,
        Tgg: derivative_along(gradient, gradient, w, order=2),
    }
    return pair.at_point(columns)


def generic_corrections() -> list[Case]:
    """Expand the flow of F = −g + εf₁ + ε²f₂ for the time ε and ask that nothing but −εg be left.

    θ + εF + ½ε²F'F + ⅙ε³(F''(F, F) + F'F'F) has at ε² f₁ + ½Hg, so f₁ = −½Hg, which is −¼∇|g|². At ε³ it has
    f₂ − ½(f₁'g + Hf₁) − ⅙(∇³L(g, g) + HHg), and f₁'g = −½(∇³L(g, g) + HHg), so f₂ = −⅓HHg − 1/12 ∇³L(g, g). Below
    the remainder only derivatives of L up to the third enter, so cubic losses with arbitrary coefficients, seen from
    the origin, stand for all C⁴ losses; in the plane the terms that occur are linearly independent.
    """
    return corrections(generic_pair(3))


def random_corrections(random: Random) -> list[Case]:
    """Do the same with numbers and quartic losses in one to three dimensions."""
    return [case for pair in random_pairs(random, (1, 2, 3)) for case in corrections(pair)]


_ONE = {f1: -Hg / 2, f2: -HHg / 3 - Tgg / 12}
BACKWARD_ERROR = Claim(
    id="LIE-21",
    slug="lie.backward-error",
    title="A gradient step is a flow along −g − ½εHg − ε²(⅓HHg + 1/12 ∇³L(g, g)), to that order",
    status="leading-order",
    statement=equations(_ONE),
    assumptions=(given("loss C⁴: the remainder of the field is O(ε³)"),),
    source=BARRETT_DHERIN_2021.where("modified flow; the second term is derived here"),
    evidence=(Identity(generic_corrections), Property(random_corrections, examples=2)),
    mutants=(
        Mutant("sign of the first correction", equations(_ONE, {f1: Hg / 2})),
        Mutant("whole of it", equations(_ONE, {f1: -Hg})),
        Mutant("no second correction", equations(_ONE, {f2: sp.S.Zero})),
        Mutant("second correction a gradient, of gᵀHg", equations(_ONE, {f2: -(2 * HHg + Tgg) / 12})),
        Mutant("second correction without ∇³L", equations(_ONE, {f2: -HHg / 3})),
    ),
    meanings=meanings(equations(_ONE)),
    note="f₁ = −¼∇|g|² is a gradient; f₂ is none in general, as 4HHg + ∇³L(g, g) is not ∇(gᵀHg). On ½hw² the whole "
    "series is log(1 − εh)w/ε.",
)


# --- two tasks -------------------------------------------------------------------------------------------------------


def modified_in_turn(losses: Sequence[sp.Expr], w: Coordinates, order: int) -> Series:
    """Return the field whose flow for the time ε does one step on each loss in turn, to so many terms."""
    moved = series(descent_field(losses[0], w), length=order)
    for loss in losses[1:]:
        moved = then(moved, series(descent_field(loss, w), length=order), w)
    return modified(moved, w)


def tasks(pair: Pair) -> list[Case]:
    """Return the first corrections: in turn, for one step on the sum, and for the mean over both orders."""
    (one, two), w = pair.losses, pair.coordinates
    v1, v2 = pair.fields
    steps = [series(v, length=2) for v in (v1, v2)]
    forth, back = then(steps[0], steps[1], w), then(steps[1], steps[0], w)
    both = tuple((p + q) / 2 for p, q in zip(forth, back, strict=True))
    columns = {
        f_seq: modified_in_turn((one, two), w, 2)[1],
        f_sum: modified_in_turn((one + two,), w, 2)[1],
        f_both: modified(both, w)[1],
        own: -descent_field(square(v1) + square(v2), w),
        cross: -descent_field(v1.dot(v2), w),
        b: lie_bracket(v1, v2, w),
    }
    return [{s: sp.expand(x) for s, x in case.items()} for case in pair.at_point(columns)]


def generic_tasks() -> list[Case]:
    """Two steps move θ by ε(v1 + v2) + ε²v2'v1; the flow of v1 + v2 + εf by ε(v1 + v2) + ε²(f + ½(v1 + v2)'(v1 + v2)).

    So f = ½(v2'v1 − v1'v2) − ½(v1'v1 + v2'v2), half the bracket less ¼∇(|g1|² + |g2|²). The mean over both orders has
    no bracket. One step on the sum has nothing at ε², so there f = −¼∇|g1 + g2|², with the cross term ½∇(g1·g2).
    Quadratic losses with arbitrary coefficients, seen from the origin, stand for all C³ losses.
    """
    return tasks(generic_pair(2))


def random_tasks(random: Random) -> list[Case]:
    """Do the same with numbers and quartic losses."""
    return [case for pair in random_pairs(random, (1, 2, 3, 5)) for case in tasks(pair)]


_TASKS = {f_seq: -own / 4 + b / 2, f_sum: -own / 4 - cross / 2, f_both: -own / 4}
TASKS = Claim(
    id="LIE-24",
    slug="lie.two-tasks",
    title="Two tasks in turn descend their own penalties and drift by half their bracket; summed they align instead",
    status="leading-order",
    statement=equations(_TASKS),
    assumptions=(given("losses C³: the remainder of the field is O(ε²); field f₀ + εf, time ε for both steps"),),
    source=DHERIN_2023.where("abstract: conflict terms of multitask and continual learning"),
    evidence=(Identity(generic_tasks), Property(random_tasks, examples=1)),
    mutants=(
        Mutant("in turn as summed", equations(_TASKS, {f_seq: _TASKS[f_sum]})),
        Mutant("sign of the bracket", equations(_TASKS, {f_seq: -own / 4 - b / 2})),
        Mutant("whole bracket", equations(_TASKS, {f_seq: -own / 4 + b})),
        Mutant("summed: cross term with ¼", equations(_TASKS, {f_sum: -own / 4 - cross / 4})),
        Mutant("the mean over orders aligns gradients", equations(_TASKS, {f_both: -own / 4 - cross / 2})),
    ),
    meanings=meanings(equations(_TASKS)),
    note="Against one step on the sum the mean over orders ends ½ε²∇(g1·g2) apart: the order-free part of what "
    "linear scaling drops (MCA-09).",
)


# --- curl ------------------------------------------------------------------------------------------------------------


def curls(pair: Pair) -> list[Case]:
    """Return every entry of the bracket's curl, and of the commutator of the Hessians, at the point."""
    w, here = pair.coordinates, dict(zip(pair.coordinates, pair.point, strict=True))
    slopes = lie_bracket(*pair.fields, w).jacobian(list(w)).xreplace(here)
    h1, h2 = (sp.hessian(loss, w).xreplace(here) for loss in pair.losses)
    turned = h2 * h1 - h1 * h2
    pairs = [(i, j) for i in range(len(w)) for j in range(len(w))]
    return [{curl: sp.expand(slopes[i, j] - slopes[j, i]), commutator: sp.expand(turned[i, j])} for i, j in pairs]


def generic_curls() -> list[Case]:
    """Differentiate b = H2g1 − H1g2: its Jacobian is ∇³L2 g1 − ∇³L1 g2, which is symmetric, plus H2H1 − H1H2.

    The transpose of H2H1 − H1H2 is its negative, so the curl is twice it. Only derivatives up to the third at one
    point enter: cubic losses with arbitrary coefficients stand for all C³ losses.
    """
    return curls(generic_pair(3))


def random_curls(random: Random) -> list[Case]:
    """Do the same with numbers and quartic losses, in one dimension (where both are 0) to five."""
    return [case for pair in random_pairs(random, (1, 2, 3, 5)) for case in curls(pair)]


_CURL = equals(curl, 2 * commutator)
CURL = Claim(
    id="LIE-25",
    slug="lie.curl",
    title="The curl of a bracket is 2(H2H1 − H1H2): it is the gradient of a loss only where Hessians commute",
    status="exact",
    statement=_CURL,
    assumptions=(given("losses C³"),),
    source=DHERIN_2023.where("continual learning's conflict as a Lie bracket; its curl is derived here"),
    evidence=(Identity(generic_curls), Property(random_curls, examples=1)),
    mutants=(
        Mutant("no curl, as a term of a modified loss would have", equals(curl, sp.S.Zero)),
        Mutant("once the commutator", equals(curl, commutator)),
        Mutant("sign", equals(curl, -2 * commutator)),
    ),
    meanings=meanings(_CURL),
    note="So two tasks in turn follow no modified loss in general: a round of steps can do work on a closed path. "
    "With Hessians that commute everywhere there is a loss whose gradient the bracket is.",
)

CLAIMS = (BACKWARD_ERROR, TASKS, CURL)
"""The theory, in the order of the ledger."""
