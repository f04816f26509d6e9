"""The Lie bracket of training examples: what it is, its algebra, and what it takes to have it for batches.

Descent fields vᵢ = −∇Lᵢ; [f, g] = (f·∇)g − (g·∇)f, so that the bracket is the ε² coefficient of "1 then 2" minus
"2 then 1". All quantities are one component of a vector at θ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equals, equations, given, real
from sgdtheory.derive.brackets import descent_field, lie_bracket
from sgdtheory.derive.expansion import State, generic_polynomial, swap_gap
from sgdtheory.optimizers import SGD
from sgdtheory.sources import BEMENT_2026
from sgdtheory.symbols import meanings
from sgdtheory.theory.example_pairs import generic_pair, random_pairs
from sgdtheory.theory.random_instances import polynomial, rational

ε = symbols.epsilon
b, b21, b13, b23, b_mix = (
    symbols.bracket,
    symbols.bracket_21,
    symbols.bracket_13,
    symbols.bracket_23,
    symbols.bracket_weighted,
)
H2g1, H1g2, HBgA, HAgB = symbols.hessian_21, symbols.hessian_12, symbols.hessian_ba, symbols.hessian_ab
α1, α2 = symbols.weight_1, symbols.weight_2
nested_1, nested_12, nested_2 = symbols.nested_1, symbols.nested_12, symbols.nested_2
bAB, pairs, nA, nB, N = (
    symbols.batch_bracket,
    symbols.pair_brackets,
    symbols.batch_a,
    symbols.batch_b,
    symbols.products,
)
Coordinates = Sequence[sp.Symbol]


# --- two examples ----------------------------------------------------------------------------------------------------


def bracket_by_hessians() -> list[Case]:
    """Differentiate the fields: (v1·∇)v2 = −H2 v1 = H2 g1 and (v2·∇)v1 = −H1 v2 = H1 g2; subtract.

    Only first and second derivatives at one point enter, so quadratic losses with arbitrary coefficients stand for
    all C² losses. They are kept as symbols, and the bracket is formed from the fields' Jacobians.
    """
    pair = generic_pair(2)
    return [{**local, **products} for local, products in zip(pair.local(), pair.hessian_products(), strict=True)]


def random_bracket(random: Random) -> list[Case]:
    """Measure the bracket as the source introduces it, as the ε² coefficient of the swap of two SGD steps.

    In one to five dimensions; and of an example with itself, where both sides are exactly 0.
    """
    drawn = random_pairs(random, (1, 2, 3, 4, 5))
    same = replace(drawn[1], losses=(drawn[1].losses[0],) * 2)
    cases = []
    for pair in (*drawn, same):
        (v1, v2), start = pair.fields, pair.start(SGD(ε), ε)
        gap = swap_gap(SGD(ε), -v1, -v2, pair.coordinates, start, (ε, 3)).position
        cases += [{**p, b: moved.coeff(ε, 2)} for moved, p in zip(gap, pair.hessian_products(), strict=True)]
    return cases


_HESSIANS = equals(b, H2g1 - H1g2)
BRACKET = Claim(
    id="LIE-01",
    slug="lie.bracket",
    title="The bracket of two examples is each one's Hessian on the other's gradient, subtracted: H2 g1 − H1 g2",
    status="exact",
    statement=_HESSIANS,
    assumptions=(given("losses C² near θ"),),
    source=BEMENT_2026.where("definition of the bracket"),
    evidence=(Identity(bracket_by_hessians), Property(random_bracket, examples=2)),
    mutants=(
        Mutant("other sign convention", equals(b, H1g2 - H2g1)),
        Mutant("sum instead of difference: the gradient of g1·g2", equals(b, H2g1 + H1g2)),
        Mutant("only one order", equals(b, H2g1)),
    ),
    meanings=meanings(_HESSIANS),
    note="Two Hessian-vector products give it; no Hessian is formed. The sign makes it the ε² coefficient of 1-then-2 "
    "minus 2-then-1.",
)


# --- three examples --------------------------------------------------------------------------------------------------


def algebra_of(fields: Sequence[sp.MatrixBase], w: Coordinates, point: Case, weights: Case) -> list[Case]:
    """Return brackets of three fields, of their sums and of their brackets, at a point."""
    v1, v2, v3 = fields
    found = {
        b: lie_bracket(v1, v2, w),
        b21: lie_bracket(v2, v1, w),
        b13: lie_bracket(v1, v3, w),
        b23: lie_bracket(v2, v3, w),
        b_mix: lie_bracket(weights[α1] * v1 + weights[α2] * v2, v3, w),
    }
    found[nested_1] = lie_bracket(v1, found[b23], w)
    found[nested_12] = lie_bracket(found[b], v3, w)
    found[nested_2] = lie_bracket(v2, found[b13], w)
    return [{**weights, **{s: field[i].xreplace(point) for s, field in found.items()}} for i in range(len(w))]


def algebra_of_fields() -> list[Case]:
    """Write A f = (v1·∇)f and so on for fields as operators: [v1, v2] is AB − BA, as second derivatives cancel.

    Commutators of operators change sign when swapped, are linear in either factor, and satisfy [A, [B, C]] =
    [[A, B], C] + [B, [A, C]] (Jacobi), both sides being ABC − ACB − BCA + CBA. Brackets of brackets hold second
    derivatives of the fields, so fields whose components are quadratic with arbitrary coefficients, seen from the
    origin, stand for all C² fields, gradients or not.
    """
    w = sp.symbols("w1:3", real=True)
    fields = [
        sp.Matrix([sp.Symbol(f"{n}{i}_0", real=True) + generic_polynomial(f"{n}{i}", w, 2) for i in (1, 2)])
        for n in "pqr"
    ]
    return algebra_of(fields, w, dict.fromkeys(w, sp.S.Zero), {α1: α1, α2: α2})


def random_algebra(random: Random) -> list[Case]:
    """Do the same for three random cubic losses in one to five dimensions."""
    cases = []
    for d in (1, 2, 3, 4, 5):
        w = sp.symbols(f"w1:{d + 1}", real=True)
        fields = [descent_field(polynomial(random, w, 3, 5), w) for _ in range(3)]
        cases += algebra_of(fields, w, {x: rational(random) for x in w}, {s: rational(random) for s in (α1, α2)})
    return cases


_ALGEBRA = {b21: -b, b_mix: α1 * b13 + α2 * b23, nested_1: nested_12 + nested_2}
ALGEBRA = Claim(
    id="LIE-04",
    slug="lie.algebra",
    title="Brackets are antisymmetric and bilinear, and satisfy Jacobi's identity",
    status="exact",
    statement=equations(_ALGEBRA),
    assumptions=(given("losses C³ near θ"), real(α1), real(α2)),
    source=BEMENT_2026.where("discussion: symmetry of the RMS table, brackets of sums"),
    evidence=(Identity(algebra_of_fields), Property(random_algebra, examples=1)),
    mutants=(
        Mutant("symmetric, as the table of their sizes is", equations(_ALGEBRA, {b21: b})),
        Mutant("weights squared", equations(_ALGEBRA, {b_mix: α1**2 * b13 + α2**2 * b23})),
        Mutant("associative", equations(_ALGEBRA, {nested_1: nested_12})),
        Mutant("sign in Jacobi's identity", equations(_ALGEBRA, {nested_1: nested_12 - nested_2})),
    ),
    meanings=meanings(equations(_ALGEBRA)),
    note="So a table of brackets has size zero on the diagonal and is symmetric in size: its RMS does not depend on "
    "the order of the pair.",
)


# --- batches ---------------------------------------------------------------------------------------------------------


def batches_of(losses_a: Sequence[sp.Expr], losses_b: Sequence[sp.Expr], w: Coordinates, point: Case) -> list[Case]:
    """Swap SGD steps on two batches; bracket all pairs; form products with single examples' Hessians, and count them."""
    fields_a, fields_b = ([descent_field(loss, w) for loss in losses] for losses in (losses_a, losses_b))
    mean_a, mean_b = (sum(fields, sp.zeros(len(w), 1)) / len(fields) for fields in (fields_a, fields_b))
    start = State(tuple(point[x] for x in w), ((),) * len(w))
    gap = swap_gap(SGD(ε), -mean_a, -mean_b, w, start, (ε, 3)).position
    brackets = sum((lie_bracket(va, vb, w) for va in fields_a for vb in fields_b), sp.zeros(len(w), 1))
    of_b = [sp.hessian(loss, w) * -mean_a for loss in losses_b]
    of_a = [sp.hessian(loss, w) * -mean_b for loss in losses_a]
    pulls = {HBgA: sum(of_b, sp.zeros(len(w), 1)) / len(of_b), HAgB: sum(of_a, sp.zeros(len(w), 1)) / len(of_a)}
    counted = {nA: sp.Integer(len(losses_a)), nB: sp.Integer(len(losses_b)), N: sp.Integer(len(of_a) + len(of_b))}
    return [
        {
            **counted,
            bAB: gap[i].coeff(ε, 2),
            pairs: brackets[i].xreplace(point),
            **{s: column[i].xreplace(point) for s, column in pulls.items()},
        }
        for i in range(len(w))
    ]


def generic_batches() -> list[Case]:
    """Put the batch's field v_A = (1/n_A)Σvᵢ into a bracket that is linear in both: 1/(n_A n_B) times all pairs' sum.

    The same number is H_B g_A − H_A g_B with the batches' own gradients and Hessians; the product H_B g_A is the mean
    of n_B products of single examples, H_A g_B that of n_A: n_A + n_B in all, where the pairs take two each,
    2 n_A n_B. Quadratic losses with arbitrary coefficients stand for all C² losses; sizes (1, 1), (2, 3) and (3, 3).
    """
    w = sp.symbols("w1:3", real=True)
    origin = dict.fromkeys(w, sp.S.Zero)
    cases = []
    for size_a, size_b in ((1, 1), (2, 3), (3, 3)):
        one = [generic_polynomial(f"p{i}", w, 2) for i in range(size_a)]
        other = [generic_polynomial(f"q{i}", w, 2) for i in range(size_b)]
        cases += batches_of(one, other, w, origin)
    return cases


def random_batches(random: Random) -> list[Case]:
    """Do the same for random cubic losses, batches of one to four, in one to five dimensions."""
    cases = []
    for d in (1, 2, 3, 4, 5):
        w = sp.symbols(f"w1:{d + 1}", real=True)
        one, other = ([polynomial(random, w, 3, 4) for _ in range(random.randint(1, 4))] for _ in range(2))
        cases += batches_of(one, other, w, {x: rational(random) for x in w})
    return cases


_MEAN_OF_PAIRS = equals(bAB, pairs / (nA * nB))
BATCHES = Claim(
    id="LIE-05",
    slug="lie.batches",
    title="The bracket of two batches is the mean, not the sum, of the brackets of all pairs",
    status="corrected",
    statement=_MEAN_OF_PAIRS,
    assumptions=(given("losses C² near θ; a batch's loss is the mean over its examples"),),
    source=BEMENT_2026.where("discussion: {a + b + c, d} = {a, d} + {b, d} + {c, d}"),
    evidence=(Identity(generic_batches), Property(random_batches, examples=2)),
    mutants=(
        Mutant("as printed: the sum over pairs", equals(bAB, pairs)),
        Mutant("divided by one batch size", equals(bAB, pairs / nA)),
        Mutant("divided by the number of examples", equals(bAB, pairs / (nA + nB))),
        Mutant("sign", equals(bAB, -pairs / (nA * nB))),
    ),
    meanings=meanings(_MEAN_OF_PAIRS),
    note="The discussion's sums are right for summed losses. A batch takes the mean, and mean batches of independent "
    "examples have brackets as much smaller as their pairs cancel.",
)

_TWO_PRODUCTS = {bAB: HBgA - HAgB, N: nA + nB}
BATCH_COST = Claim(
    id="LIE-06",
    slug="lie.batch-cost",
    title="The bracket of two batches takes two Hessian-vector products of batches, whatever their sizes",
    status="corrected",
    statement=equations(_TWO_PRODUCTS),
    assumptions=(given("losses C² near θ; a batch's loss is the mean over its examples"),),
    source=BEMENT_2026.where("discussion: nine direct brackets, “doesn't look like it will scale well”"),
    evidence=(Identity(generic_batches), Property(random_batches, examples=2)),
    mutants=(
        Mutant("as printed: pair by pair, two products each", equations(_TWO_PRODUCTS, {N: 2 * nA * nB})),
        Mutant("one product", equations(_TWO_PRODUCTS, {bAB: HBgA})),
        Mutant("sum of the products", equations(_TWO_PRODUCTS, {bAB: HBgA + HAgB})),
        Mutant("sign", equations(_TWO_PRODUCTS, {bAB: HAgB - HBgA})),
    ),
    meanings=meanings(equations(_TWO_PRODUCTS)),
    note="Besides it takes the two batch gradients. Pair by pair it would be 2 n_A n_B products of single examples "
    "for n_A + n_B.",
)

CLAIMS = (BRACKET, ALGEBRA, BATCHES, BATCH_COST)
"""The theory, in the order of the ledger."""
