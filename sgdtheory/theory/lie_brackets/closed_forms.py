"""Brackets in closed form: when examples commute and when they do not, and how large a bracket can be.

Descent fields vᵢ = −∇Lᵢ, [v1, v2] = H2 g1 − H1 g2. One component of each vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equals, equations, given
from sgdtheory.derive.brackets import descent_field, lie_bracket
from sgdtheory.derive.expansion import State, generic_polynomial, swap_gap
from sgdtheory.optimizers import SGD
from sgdtheory.sources import BEMENT_2026, CORLOUER_MACE_2024, HERE
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import polynomial, rational

ε, Δθ, b = symbols.epsilon, symbols.position_gap, symbols.bracket
HHc, along, Hc_sq, twisted = symbols.double_pull, symbols.bracket_along, symbols.pull_square, symbols.twisted
k, e1, e2, x1, x2 = symbols.inner, symbols.residual_1, symbols.residual_2, symbols.input_1, symbols.input_2
xa, xb, ya, yb = symbols.data_1, symbols.data_2, symbols.label_1, symbols.label_2
dq, dq_sq = symbols.feature_slope, symbols.feature_square
norm_b, g1, g2 = symbols.bracket_norm, symbols.gradient_norm_1, symbols.gradient_norm_2
h1, h2 = symbols.hessian_norm_1, symbols.hessian_norm_2
Vector = Sequence[sp.Expr]


def _coordinates(dimension: int) -> tuple[sp.Symbol, ...]:
    return sp.symbols(f"w1:{dimension + 1}", real=True)


def _named(name: str, size: int) -> sp.Matrix:
    return sp.Matrix(sp.symbols(f"{name}1:{size + 1}", real=True))


def _generic_symmetric(name: str, size: int) -> sp.Matrix:
    return sp.Matrix(size, size, lambda i, j: sp.Symbol(f"{name}{min(i, j)}{max(i, j)}", real=True))


def _random_vector(random: Random, size: int) -> sp.Matrix:
    return sp.Matrix([rational(random) for _ in range(size)])


def _random_symmetric(random: Random, size: int) -> sp.Matrix:
    drawn = sp.Matrix(size, size, lambda i, j: rational(random))
    return drawn + drawn.T


def _quadratic(hessian: sp.Matrix, minimum: sp.Matrix) -> sp.Expr:
    away = sp.Matrix(_coordinates(len(minimum))) - minimum
    return (away.T * hessian * away)[0] / 2


def _bracket(first: sp.Expr, second: sp.Expr, w: Sequence[sp.Symbol]) -> sp.ImmutableMatrix:
    return lie_bracket(descent_field(first, w), descent_field(second, w), w)


# --- quadratics ------------------------------------------------------------------------------------------------------


def shared_hessian(hessian: sp.Matrix, c1: sp.Matrix, c2: sp.Matrix) -> list[Case]:
    """Bracket ½(θ − c)ᵀH(θ − c) of two minima c with one H."""
    found = _bracket(_quadratic(hessian, c1), _quadratic(hessian, c2), _coordinates(len(c1)))
    pull = hessian * (c2 - c1)
    both = {along: (c2 - c1).dot(found).expand(), Hc_sq: pull.dot(pull)}
    return [{b: entry, HHc: (hessian * pull)[i], **both} for i, entry in enumerate(found)]


def generic_shared_hessian() -> list[Case]:
    """Put gᵢ = H(θ − cᵢ) into H2 g1 − H1 g2: θ cancels and H²(c2 − c1) is left, the same everywhere.

    Along c2 − c1 it is |H(c2 − c1)|² as H is symmetric, so it vanishes only where H(c2 − c1) does: for different
    minima the two losses commute only if they differ by a linear term that H does not see, that is, not at all.
    """
    return shared_hessian(_generic_symmetric("H", 3), _named("c", 3), _named("d", 3))


def random_shared_hessian(random: Random) -> list[Case]:
    """Do the same with numbers, in one to five dimensions."""
    return [
        case
        for d in (1, 2, 3, 4, 5)
        for case in shared_hessian(_random_symmetric(random, d), _random_vector(random, d), _random_vector(random, d))
    ]


_SHARED_HESSIAN = {b: HHc, along: Hc_sq}
SHARED_HESSIAN = Claim(
    id="LIE-07",
    slug="lie.shared-hessian",
    title="Quadratic losses with one Hessian do not commute: their bracket is H²(c2 − c1) everywhere",
    status="corrected",
    statement=equations(_SHARED_HESSIAN),
    assumptions=(given("losses ½(θ − cᵢ)ᵀH(θ − cᵢ)"),),
    source=HERE,
    evidence=(Identity(generic_shared_hessian), Property(random_shared_hessian, examples=2)),
    mutants=(
        Mutant("as it is said: quadratics that share a Hessian commute", equations({b: sp.S.Zero, along: sp.S.Zero})),
        Mutant("sign", equations({b: -HHc, along: -Hc_sq})),
        Mutant("twice", equations({b: 2 * HHc, along: 2 * Hc_sq})),
    ),
    meanings=meanings(equations(_SHARED_HESSIAN)),
    note="Commuting Hessians are not enough; the minima must agree as well (LIE-08). The steps θ → θ − εH(θ − c) "
    "are affine maps with one linear part and different fixed points.",
)


def shared_minimum(first: sp.Matrix, second: sp.Matrix, minimum: sp.Matrix, point: sp.Matrix | None) -> list[Case]:
    """Bracket ½(θ − a)ᵀH(θ − a) of two H with one minimum a, at a point or everywhere."""
    w = _coordinates(len(minimum))
    found = _bracket(_quadratic(first, minimum), _quadratic(second, minimum), w)
    turned = (second * first - first * second) * (sp.Matrix(w) - minimum)
    here = {} if point is None else dict(zip(w, point, strict=True))
    return [{b: entry.xreplace(here), twisted: t.xreplace(here)} for entry, t in zip(found, turned, strict=True)]


def generic_shared_minimum() -> list[Case]:
    """Put gᵢ = Hᵢ(θ − a) into H2 g1 − H1 g2."""
    return shared_minimum(_generic_symmetric("H", 3), _generic_symmetric("K", 3), _named("a", 3), None)


def random_shared_minimum(random: Random) -> list[Case]:
    """Do the same with numbers, in one dimension (where it is 0) to five."""
    cases = []
    for d in (1, 2, 3, 4, 5):
        first, second = _random_symmetric(random, d), _random_symmetric(random, d)
        cases += shared_minimum(first, second, _random_vector(random, d), _random_vector(random, d))
    return cases


_SHARED_MINIMUM = equals(b, twisted)
SHARED_MINIMUM = Claim(
    id="LIE-08",
    slug="lie.shared-minimum",
    title="Quadratic losses with one minimum commute exactly where H2H1 − H1H2 does not see the distance from it",
    status="exact",
    statement=_SHARED_MINIMUM,
    assumptions=(given("losses ½(θ − a)ᵀHᵢ(θ − a)"),),
    source=HERE,
    evidence=(Identity(generic_shared_minimum), Property(random_shared_minimum, examples=2)),
    mutants=(
        Mutant("a shared minimum is enough", equals(b, sp.S.Zero)),
        Mutant("sign", equals(b, -twisted)),
        Mutant("half, as for the norm of the commutator", equals(b, twisted / 2)),
    ),
    meanings=meanings(_SHARED_MINIMUM),
    note="So quadratics commute everywhere if they share the minimum and their Hessians commute.",
)


# --- square loss, linear model ---------------------------------------------------------------------------------------


def regression(inputs: tuple[sp.Matrix, sp.Matrix], labels: Vector, point: sp.Matrix) -> list[Case]:
    """Swap two SGD steps on ½(xᵢ·θ − yᵢ)²."""
    w = _coordinates(len(point))
    losses = [(x.dot(sp.Matrix(w)) - y) ** 2 / 2 for x, y in zip(inputs, labels, strict=True)]
    fields = [descent_field(loss, w) for loss in losses]
    gap = swap_gap(SGD(ε), -fields[0], -fields[1], w, State(tuple(point), ((),) * len(w))).position
    left = {s: x.dot(point) - y for s, x, y in zip((e1, e2), inputs, labels, strict=True)}
    rows = zip(gap, *inputs, strict=True)
    return [{Δθ: moved, k: inputs[0].dot(inputs[1]), **left, x1: p, x2: q} for moved, p, q in rows]


def generic_regression() -> list[Case]:
    """Put gᵢ = eᵢxᵢ and Hᵢ = xᵢxᵢᵀ into H2 g1 − H1 g2; fields are affine, so the gap is ε² times it and no more."""
    return regression((_named("p", 2), _named("q", 2)), sp.symbols("y1:3", real=True), _named("t", 2))


def random_regression(random: Random) -> list[Case]:
    """Do the same with numbers, in one to five dimensions."""
    cases = []
    for d in (1, 2, 3, 4, 5):
        inputs = (_random_vector(random, d), _random_vector(random, d))
        cases += regression(inputs, (rational(random), rational(random)), _random_vector(random, d))
    return cases


_REGRESSION = equals(Δθ, ε**2 * k * (e1 * x2 - e2 * x1))
REGRESSION = Claim(
    id="LIE-09",
    slug="lie.regression",
    title="In linear regression the gap of two SGD steps is ε²(x1·x2)(e1 x2 − e2 x1), without remainder",
    status="exact",
    statement=_REGRESSION,
    assumptions=(given("losses ½(xᵢ·θ − yᵢ)², residuals eᵢ = xᵢ·θ − yᵢ"),),
    source=HERE,
    evidence=(Identity(generic_regression), Property(random_regression, examples=2)),
    mutants=(
        Mutant("residuals with their own inputs", equals(Δθ, ε**2 * k * (e1 * x1 - e2 * x2))),
        Mutant("sign", equals(Δθ, ε**2 * k * (e2 * x1 - e1 * x2))),
        Mutant("gradient of g1·g2", equals(Δθ, ε**2 * k * (e1 * x2 + e2 * x1))),
        Mutant("without x1·x2", equals(Δθ, ε**2 * (e1 * x2 - e2 * x1))),
        Mutant("squared error without the ½", equals(Δθ, 4 * ε**2 * k * (e1 * x2 - e2 * x1))),
    ),
    meanings=meanings(_REGRESSION),
    note="Zero where the inputs are orthogonal, and where e1 x2 = e2 x1.",
)


# --- one feature -----------------------------------------------------------------------------------------------------


def single_feature(q: sp.Expr, w: Sequence[sp.Symbol], examples: tuple[Vector, Vector], point: Case) -> list[Case]:
    """Bracket ½(y − q(θ)x)² of two examples (x, y)."""
    found = _bracket(*((y - q * x) ** 2 / 2 for x, y in examples), w)
    slopes = [q.diff(x).xreplace(point) for x in w]
    data = dict(zip((xa, ya, xb, yb), (*examples[0], *examples[1]), strict=True))
    square = sp.Add(*(s**2 for s in slopes))
    return [{**data, b: f.xreplace(point), dq: s, dq_sq: square} for f, s in zip(found, slopes, strict=True)]


def generic_feature() -> list[Case]:
    """Put gᵢ = xᵢeᵢ∇q and Hᵢ = xᵢ²∇q∇qᵀ + xᵢeᵢ∇²q, eᵢ = q xᵢ − yᵢ, into H2 g1 − H1 g2: the parts with ∇²q cancel.

    What is left is x1x2(x2e1 − x1e2)|∇q|²∇q, and x2e1 − x1e2 = x1y2 − x2y1. Only q and its first two derivatives at
    one point enter, so a quadratic q with arbitrary coefficients, seen from the origin, stands for all.
    """
    w = _coordinates(2)
    q = sp.Symbol("q_00", real=True) + generic_polynomial("q", w, 2)
    return single_feature(q, w, ((xa, ya), (xb, yb)), dict.fromkeys(w, sp.S.Zero))


def random_feature(random: Random) -> list[Case]:
    """Do the same with cubic q and numbers, in one to five dimensions."""
    cases = []
    for d in (1, 2, 3, 4, 5):
        w = _coordinates(d)
        examples = tuple((rational(random), rational(random)) for _ in range(2))
        q = rational(random) + polynomial(random, w, 3, 4)
        cases += single_feature(q, w, (examples[0], examples[1]), {x: rational(random) for x in w})
    return cases


_FEATURE = equals(b, xa * xb * (xa * yb - xb * ya) * dq_sq * dq)
FEATURE = Claim(
    id="LIE-22",
    slug="lie.single-feature",
    title="For one feature, f = q(θ)x, every bracket points along ∇q, and it is cubic in it",
    status="exact",
    statement=_FEATURE,
    assumptions=(given("losses ½(yᵢ − q(θ)xᵢ)², q of class C²"),),
    source=CORLOUER_MACE_2024.where("models linear in the input; the bracket is derived here"),
    evidence=(Identity(generic_feature), Property(random_feature, examples=2)),
    mutants=(
        Mutant("sign", equals(b, xa * xb * (xb * ya - xa * yb) * dq_sq * dq)),
        Mutant("linear in ∇q", equals(b, xa * xb * (xa * yb - xb * ya) * dq)),
        Mutant("labels with their own inputs", equals(b, xa * xb * (xa * ya - xb * yb) * dq_sq * dq)),
        Mutant("without the inputs' product", equals(b, (xa * yb - xb * ya) * dq_sq * dq)),
    ),
    meanings=meanings(_FEATURE),
    note="Order matters only along the line of ∇q, hardly at all near degenerate points, where ∇q is small, and not "
    "for examples that one value of q fits exactly.",
)


# --- size ------------------------------------------------------------------------------------------------------------


def random_sizes(random: Random) -> list[Case]:
    """By the triangle inequality ‖H2 g1 − H1 g2‖ ≤ ‖H2 g1‖ + ‖H1 g2‖, and ‖Hg‖ ≤ ‖H‖‖g‖.

    Hessians RᵀΛR, R a rational rotation, have the largest |λ| for a norm; gradients are rational points of circles in
    two axes. So all lengths but the bracket's are rational, and of that the square is compared. In one dimension, and
    with gradients along the steepest axes, the bound is reached.
    """
    cases = []
    for d in (1, 2, 3, 4, 5):
        one, two = ([rational(random) for _ in range(d)] for _ in range(2))
        turn, u, v = _rotation(random, d), _rotation(random, d)[:, 0], _rotation(random, d)[:, 0]
        cases.append(_sizes(sp.diag(*one), turn.T * sp.diag(*two) * turn, u, 2 * v, (one, two)))
        axis = sp.eye(d)[:, max(range(d), key=lambda i: abs(one[i]))]
        cases.append(_sizes(sp.diag(*one), -sp.diag(*one), axis, 2 * axis, (one, one)))
    return cases


def _sizes(first: sp.Matrix, second: sp.Matrix, u: sp.Matrix, v: sp.Matrix, eigenvalues: tuple[Vector, Vector]) -> Case:
    """Return the norms for Hessians with these eigenvalues, and gradients of lengths 1 and 2."""
    found = second * u - first * v
    largest = [max(map(abs, values)) for values in eigenvalues]
    return {g1: sp.S.One, g2: sp.Integer(2), h1: largest[0], h2: largest[1], norm_b: sp.sqrt(found.dot(found))}


def _rotation(random: Random, dimension: int) -> sp.Matrix:
    """Return a product of rational rotations, one in each plane of neighbouring axes."""
    result = sp.eye(dimension)
    for i in range(dimension - 1):
        t = rational(random)
        turn = sp.eye(dimension)
        turn[i : i + 2, i : i + 2] = sp.Matrix([[1 - t**2, -2 * t], [2 * t, 1 - t**2]]) / (1 + t**2)
        result = turn * result
    return result


def _at_most(bound: sp.Expr) -> sp.Basic:
    return sp.Ge(bound**2, norm_b**2, evaluate=False)


NORM_BOUND = Claim(
    id="LIE-26",
    slug="lie.norm-bound",
    title="A bracket is no larger than ‖H2‖‖g1‖ + ‖H1‖‖g2‖, and can be as large",
    status="exact",
    statement=_at_most(h2 * g1 + h1 * g2),
    assumptions=(given("losses C² near θ; ‖H‖ the largest |eigenvalue|"),),
    source=BEMENT_2026.where("bracket sizes follow gradient sizes; the bound is derived here"),
    evidence=(Property(random_sizes, examples=6),),
    mutants=(
        Mutant("Hessians with their own gradients", _at_most(h1 * g1 + h2 * g2)),
        Mutant("the larger product alone", _at_most(sp.Max(h2 * g1, h1 * g2))),
        Mutant("half of it", _at_most((h2 * g1 + h1 * g2) / 2)),
        Mutant("the difference of the products", _at_most(h2 * g1 - h1 * g2)),
        Mutant("the product of the gradients", _at_most(g1 * g2)),
    ),
    meanings=meanings(_at_most(h2 * g1 + h1 * g2)),
    note="Where curvatures vary less than gradients do, sizes of brackets follow sizes of gradients, as the source "
    "observed; the bound is in the sum of the gradients' norms, not in their product.",
)

CLAIMS = (SHARED_HESSIAN, SHARED_MINIMUM, REGRESSION, FEATURE, NORM_BOUND)
"""The theory, in the order of the ledger."""
