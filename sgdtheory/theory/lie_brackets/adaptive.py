"""Order under RMSProp and Adam: their running means of squares see it even where gradients are constant.

And the bracket of fields that a matrix P turns, as a preconditioner does that no longer changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, between, equals, equations, given, positive, real
from sgdtheory.derive.brackets import descent_field
from sgdtheory.derive.expansion import State, generic_polynomial, jet, swap_gap
from sgdtheory.optimizers import SGD, Adam, Optimizer, RMSProp
from sgdtheory.sources import BEMENT_2026, HERE
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import polynomial, rational

ε, η, β1, v = symbols.epsilon, symbols.lr, symbols.beta1, symbols.velocity
δ, r, g1, g2 = symbols.forgetting, symbols.rms, symbols.constant_1, symbols.constant_2
gap_R, gap_A = symbols.gap_rmsprop, symbols.gap_adam
bP, PH2Pg1, PH1Pg2 = symbols.preconditioned, symbols.carried_21, symbols.carried_12
Pb = symbols.carried_bracket

FIRST = (δ, 2)
"""Remainder: formulas that are complete up to the first power of 1 − β₂."""


# --- state -----------------------------------------------------------------------------------------------------------


def constant_gap(optimizer: Optimizer, memory: Sequence[sp.Expr], values: Case) -> sp.Expr:
    """Take two steps along constant gradients g1 and g2, in both orders; return the gap of θ, one coordinate."""
    ends = []
    for order in ((g1, g2), (g2, g1)):
        position, state = sp.S.Zero, tuple(memory)
        for gradient in order:
            position, _, state = optimizer.update(gradient, position, state)
        ends.append(position)
    return sp.expand(jet((ends[0] - ends[1]).xreplace(dict(values)), *FIRST))


def adaptive_gaps(values: Case) -> Case:
    """Return the gaps of RMSProp and Adam from a state s = r², the further symbols as given."""
    decay = 1 - δ
    rmsprop = RMSProp(η, decay, eps=0)
    adam = Adam(η, β1, decay, eps=0, form="slides")
    return {
        gap_R: constant_gap(rmsprop, [r**2], values),
        gap_A: constant_gap(adam, [v, r**2], values),
    }


def generic_gaps() -> Case:
    """Expand both orders at δ = 1 − β₂ = 0. With s = r², s' = s + δ(g1² − s), s'' = s + δ(g1² + g2² − 2s) + O(δ²).

    RMSProp moves by −η(g1/√s' + g2/√s''); in the other order s' is that of g2, and s'' the same to this order. With
    1/√(s + x) = 1/r − x/(2r³) the gap is ηδ/(2r³)·(g1(s − g2²) + g2(g1² − s)) = ηδ(g1 − g2)(s + g1g2)/(2r³). Adam's
    gradients come through the buffer: v' = β₁v + (1 − β₁)g1, v'' = β₁v' + (1 − β₁)g2, and already at δ = 0 the gap is
    −ηβ₁(1 − β₁)(g1 − g2)/r, as with averaged momentum of the gradients over r.
    """
    return adaptive_gaps({})


def random_gaps(random: Random) -> Case:
    """Do the same with numbers; β₁ = 0 among them, where both rules are one."""
    numbers = {
        η: sp.Rational(random.randint(1, 9), 10),
        r: sp.Rational(random.randint(1, 6), 2),
        β1: random.choice([sp.Rational(k, 10) for k in (0, 5, 8, 9)]),
        **{s: rational(random) for s in (g1, g2, v)},
    }
    return {**numbers, **adaptive_gaps(numbers)}


def _adam(first: sp.Expr, second: sp.Expr) -> sp.Expr:
    """Return the gap of Adam with these factors of the terms at δ = 0 and δ¹."""
    return -η * (g1 - g2) * first / r + η * δ * (g1 - g2) * second / (2 * r**3)


_BUFFER = β1 * (1 - β1)
_STATE = β1 * v * (g1 + g2) + (1 - β1) * (g1 * g2 + r**2 * (1 - 2 * β1) + β1 * (g1**2 + g2**2))
_STATED = {gap_R: η * δ * (g1 - g2) * (r**2 + g1 * g2) / (2 * r**3), gap_A: _adam(_BUFFER, _STATE)}
STATE = Claim(
    id="LIE-17",
    slug="lie.adaptive-state",
    title="Under RMSProp and Adam the order of examples counts at first order in η, even for constant gradients",
    status="leading-order",
    statement=equations(_STATED),
    assumptions=(
        given("gradients constant, no ε, no bias correction; remainder O((1 − β₂)²)"),
        positive(η, "learning rate"),
        positive(δ, "1 − β₂, small"),
        positive(r, "root of the running mean of squares"),
        between(β1, 0, 1, "decay of the mean"),
        *(real(s) for s in (g1, g2, v)),
    ),
    source=BEMENT_2026.where("discussion: β₁ = 0 as a way out; derived here"),
    evidence=(Identity(generic_gaps, FIRST), Property(random_gaps, examples=8, remainder=FIRST)),
    mutants=(
        Mutant("nothing at first order: β₁ = 0 leaves the bracket", equations(_STATED, {gap_R: sp.S.Zero})),
        Mutant("sign", equations(_STATED, {gap_R: -_STATED[gap_R]})),
        Mutant("without the product g1g2", equations(_STATED, {gap_R: η * δ * (g1 - g2) / (2 * r)})),
        Mutant("without the ½", equations(_STATED, {gap_R: 2 * _STATED[gap_R]})),
        Mutant("Adam: no effect of the buffer", equations(_STATED, {gap_A: _adam(sp.S.Zero, _STATE)})),
        Mutant("Adam: buffer alone", equations(_STATED, {gap_A: _adam(_BUFFER, sp.S.Zero)})),
        Mutant("Adam: as RMSProp in the state", equations(_STATED, {gap_A: _adam(_BUFFER, r**2 + g1 * g2)})),
    ),
    meanings=meanings(equations(_STATED)),
    note="Where gradients vary, brackets come at η². So the gap falls as η for η ≪ 1 − β₂, and as η² only while "
    "the state is as good as frozen. At β₁ = 0 the two formulas are one.",
)


# --- frozen preconditioner -------------------------------------------------------------------------------------------


def preconditioned_steps(
    losses: tuple[sp.Expr, sp.Expr], matrix: sp.MatrixBase, w: Sequence[sp.Symbol], point: Case
) -> list[Case]:
    """Swap two steps along −εPg; return the ε² coefficient of the gap, and the products."""
    v1, v2 = (descent_field(loss, w) for loss in losses)
    h1, h2 = (sp.hessian(loss, w) for loss in losses)
    start = State(tuple(point[x] for x in w), ((),) * len(w))
    gap = swap_gap(SGD(ε), -matrix * v1, -matrix * v2, w, start, (ε, 3)).position
    columns = {PH2Pg1: -matrix * h2 * matrix * v1, PH1Pg2: -matrix * h1 * matrix * v2}
    columns[Pb] = matrix * (h1 * v2 - h2 * v1)
    return [
        {bP: gap[i].coeff(ε, 2), **{s: sp.expand(column[i].xreplace(point)) for s, column in columns.items()}}
        for i in range(len(w))
    ]


def generic_preconditioner() -> list[Case]:
    """Put Pv for v into (f·∇)g − (g·∇)f: (Pv1·∇)(Pv2) = P(v2' P v1) = P H2 P g1.

    Any matrix P, in the plane, and quadratic losses with arbitrary coefficients, which stand for all C² losses.
    """
    w = sp.symbols("w1:3", real=True)
    matrix = sp.Matrix(2, 2, sp.symbols("P11 P12 P21 P22", real=True))
    losses = (generic_polynomial("p", w, 2), generic_polynomial("q", w, 2))
    return preconditioned_steps(losses, matrix, w, dict.fromkeys(w, sp.S.Zero))


def random_preconditioner(random: Random) -> list[Case]:
    """Do the same with numbers and cubic losses, in one to five dimensions."""
    cases = []
    for d in (1, 2, 3, 5):
        w = sp.symbols(f"w1:{d + 1}", real=True)
        matrix = sp.Matrix(d, d, lambda i, j: rational(random))
        losses = (polynomial(random, w, 3), polynomial(random, w, 3))
        cases += preconditioned_steps(losses, matrix, w, {x: rational(random) for x in w})
    return cases


_FROZEN = equals(bP, PH2Pg1 - PH1Pg2)
FROZEN = Claim(
    id="LIE-18",
    slug="lie.frozen-preconditioner",
    title="With a frozen preconditioner P the bracket is P(H2 P g1 − H1 P g2), not P times the bracket",
    status="exact",
    statement=_FROZEN,
    assumptions=(given("losses C² near θ; P constant, as Adam's 1/√s is with β₁ = 0 for β₂ → 1"),),
    source=HERE,
    evidence=(Identity(generic_preconditioner), Property(random_preconditioner, examples=1)),
    mutants=(
        Mutant("P times the bracket", equals(bP, Pb)),
        Mutant("sum", equals(bP, PH2Pg1 + PH1Pg2)),
        Mutant("sign", equals(bP, PH1Pg2 - PH2Pg1)),
    ),
    meanings=meanings(_FROZEN),
    note="Brackets measured with plain gradients, as in the source's experiment with Adam, are of other fields than "
    "those it trained along.",
)

CLAIMS = (STATE, FROZEN)
"""The theory, in the order of the ledger."""
