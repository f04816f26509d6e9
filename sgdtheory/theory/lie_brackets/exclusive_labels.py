"""Two labels that exclude each other, modelled as independent: what that costs, and the brackets it leaves.

An example has label A (probability π, not to be told from the input) or else label B. The independent model has a
logistic unit for each, p = σ(u·x) and q = σ(w·x); the model that knows has one softmax, p = σ(u·x − w·x) = 1 − q.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Assumption, Case, Claim, Identity, Mutant, Property, Recursion, by_name, equations, given
from sgdtheory.derive.brackets import descent_field, lie_bracket
from sgdtheory.sources import BEMENT_2026
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import rational

π, pA, pB = symbols.label_chance, symbols.chance_a, symbols.chance_b
excess, no = symbols.label_excess, symbols.impossible
k, x1, x2 = symbols.inner, symbols.input_1, symbols.input_2
apart, joint = symbols.bracket_apart, symbols.bracket_joint


def entropy(chance: sp.Expr) -> sp.Expr:
    """Return −π log π − (1 − π) log(1 − π), in nats."""
    return -chance * sp.log(chance) - (1 - chance) * sp.log(1 - chance)


def mean_log_loss(p: sp.Expr, q: sp.Expr, chance: sp.Expr) -> sp.Expr:
    """Return the independent model's mean log loss: −π log p(1 − q) − (1 − π) log (1 − p)q."""
    with_a, with_b = -sp.log(p) - sp.log(1 - q), -sp.log(1 - p) - sp.log(q)
    return chance * with_a + (1 - chance) * with_b


def best_independent() -> Case:
    """Minimise −π log p − (1 − π) log(1 − p), and the same for q with π and 1 − π exchanged: p = π, q = 1 − π.

    Both terms are convex, so the zeros of the slopes are the minima. Each unit pays the entropy H(π) of its label, and
    together they pay it twice, while the labels, of which one tells the other, have it once: the excess is H(π), ln 2
    at even odds. To both labels the model gives π(1 − π), to neither as much.
    """
    p, q = sp.symbols("p q", positive=True)
    loss = mean_log_loss(p, q, π)
    (best_p,), (best_q,) = (sp.solve(sp.numer(sp.together(loss.diff(s))), s) for s in (p, q))
    least = sp.expand_log(loss.subs({p: best_p, q: best_q}), force=True)
    return {
        pA: best_p,
        pB: best_q,
        excess: sp.expand(least - entropy(π)),
        no: best_p * best_q + (1 - best_p) * (1 - best_q),
    }


def descend(point: Case) -> Case:
    """Find the best independent model by gradient descent on its logits, from even odds."""
    chance = float(point[π])
    p = q = 0.5
    for _ in range(60):  # slopes p − π and q − (1 − π), curvatures at most ¼: steps of 4 converge
        a, b = math.log(p / (1 - p)) - 4 * (p - chance), math.log(q / (1 - q)) - 4 * (q - 1 + chance)
        p, q = 1 / (1 + math.exp(-a)), 1 / (1 + math.exp(-b))
    lost = float(mean_log_loss(sp.Float(p), sp.Float(q), sp.Float(chance)))
    return {**point, pA: p, pB: q, excess: lost - float(entropy(sp.Float(chance))), no: p * q + (1 - p) * (1 - q)}


_INDEPENDENT = {pA: π, pB: 1 - π, excess: entropy(π), no: 2 * π * (1 - π)}
_at = by_name(chance=π)
EXCLUSIVE = Claim(
    id="LIE-27",
    slug="lie.exclusive-labels",
    title="Two exclusive labels modelled as independent pay their entropy twice: at even odds an excess of ln 2",
    status="exact",
    statement=equations(_INDEPENDENT),
    assumptions=(Assumption("probability of A: 0 < π < 1", π, sp.Interval.open(0, 1)),),
    source=BEMENT_2026.where("black and brown hair"),
    evidence=(Identity(best_independent), Recursion(descend, (_at(chance="1/2"), _at(chance="3/10")), 1e-9)),
    mutants=(
        Mutant("the excess is ln 2 at all odds", equations(_INDEPENDENT, {excess: sp.log(2)})),
        Mutant("no excess", equations(_INDEPENDENT, {excess: sp.S.Zero})),
        Mutant("even odds whatever π", equations(_INDEPENDENT, {pA: sp.Rational(1, 2)})),
        Mutant("a quarter for what cannot be", equations(_INDEPENDENT, {no: π * (1 - π)})),
    ),
    meanings=meanings(equations(_INDEPENDENT)),
    note="At even odds the model gives a quarter to each of the four combinations, as the source says; half of that "
    "is to combinations that do not occur.",
)


# --- brackets --------------------------------------------------------------------------------------------------------


def brackets_at_even_odds(first: Sequence[sp.Expr], second: Sequence[sp.Expr]) -> list[Case]:
    """Bracket an example with label A and one with label B, weights at 0, in both models; return the weights of A."""
    size = len(first)
    u, w = sp.symbols(f"u1:{size + 1}", real=True), sp.symbols(f"w1:{size + 1}", real=True)

    def logits(x: Sequence[sp.Expr]) -> tuple[sp.Expr, sp.Expr]:
        return sp.Matrix(u).dot(sp.Matrix(x)), sp.Matrix(w).dot(sp.Matrix(x))

    (a1, b1), (a2, b2) = logits(first), logits(second)
    independent = (_softplus(-a1) + _softplus(b1), _softplus(a2) + _softplus(-b2))
    softmax = (_softplus(b1 - a1), _softplus(a2 - b2))
    found = {}
    for s, losses in ((apart, independent), (joint, softmax)):
        fields = [descent_field(loss, (*u, *w)) for loss in losses]
        found[s] = _at_zero(fields, (*u, *w))
    inner = sp.Matrix(first).dot(sp.Matrix(second))
    rows = zip(first, second, found[apart][:size], found[joint][:size], strict=True)
    return [{k: inner, x1: p, x2: q, apart: one, joint: other} for p, q, one, other in rows]


def _softplus(z: sp.Expr) -> sp.Expr:
    """Return log(1 + eᶻ), to second order at 0: derivatives beyond that do not enter a bracket."""
    return sp.log(2) + z / 2 + z**2 / 8


def _at_zero(fields: Sequence[sp.MatrixBase], coordinates: Sequence[sp.Symbol]) -> list[sp.Expr]:
    bracket = lie_bracket(*fields, coordinates)
    return [sp.expand(entry.xreplace(dict.fromkeys(coordinates, sp.S.Zero))) for entry in bracket]


def generic_even_odds() -> list[Case]:
    """At even odds σ = ½ and σ' = ¼: unit A has g = −½x1 on the first example, +½x2 on the second, and H = ¼xxᵀ.

    H2 g1 − H1 g2 = −⅛(x1·x2)(x1 + x2) for A, and the opposite for B. The softmax has the same slopes, but a move of
    both logits counts twice in its one difference, so H g is twice as large.
    """
    return brackets_at_even_odds(sp.symbols("p1:3", real=True), sp.symbols("q1:3", real=True))


def random_even_odds(random: Random) -> list[Case]:
    """Do the same with numbers, with one to three inputs."""
    return [
        case
        for d in (1, 2, 3)
        for case in brackets_at_even_odds([rational(random) for _ in range(d)], [rational(random) for _ in range(d)])
    ]


_EVEN = {apart: -k * (x1 + x2) / 8, joint: -k * (x1 + x2) / 4}
EXCLUSIVE_BRACKET = Claim(
    id="LIE-28",
    slug="lie.exclusive-bracket",
    title="At even odds examples of two exclusive labels have brackets −⅛(x1·x2)(x1 + x2), twice that in a softmax",
    status="exact",
    statement=equations(_EVEN),
    assumptions=(given("logits linear in the input, weights where both labels have even odds"),),
    source=BEMENT_2026.where("black and brown hair; solved here"),
    evidence=(Identity(generic_even_odds), Property(random_even_odds, examples=2)),
    mutants=(
        Mutant("the model that knows the labels exclude each other has none", equations(_EVEN, {joint: sp.S.Zero})),
        Mutant("as large in both models", equations(_EVEN, {joint: _EVEN[apart]})),
        Mutant("difference of the inputs, as for equal labels", equations(_EVEN, {apart: -k * (x1 - x2) / 8})),
        Mutant("sign", equations(_EVEN, {apart: k * (x1 + x2) / 8})),
    ),
    meanings=meanings(equations(_EVEN)),
    note="Inputs add up where labels differ and cancel where they agree, and σ' is largest at even odds: unresolved "
    "doubt makes these brackets large. That the labels are modelled as independent does not: in this model a softmax "
    "has twice the bracket.",
)

CLAIMS = (EXCLUSIVE, EXCLUSIVE_BRACKET)
"""The theory, in the order of the ledger."""
