"""The mean path of SGD over random orders of n examples is a flow down another loss: without and with replacement.

The flow of −∇L̃ for the time nε, L̃ the mean loss and a penalty on gradients, ends where n steps of size ε end in the
mean, up to ε³. One component of each vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equations, given, positive
from sgdtheory.derive.brackets import descent_field
from sgdtheory.derive.expansion import generic_polynomial
from sgdtheory.derive.flows import Series, flow, series, then
from sgdtheory.sources import SMITH_2021
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import polynomial, rational

ε, n = symbols.epsilon, symbols.passes
D, D_drawn, F = symbols.mean_path, symbols.mean_path_replaced, symbols.flow_path
vbar, P, Q, S = symbols.mean_descent, symbols.slope_square, symbols.slope_squares, symbols.slope_spread
SECOND = (ε, 3)
Coordinates = Sequence[sp.Symbol]


def square(gradient: sp.MatrixBase) -> sp.Expr:
    """Return |g|²."""
    return sp.Add(*(entry**2 for entry in gradient))


def reshuffled_penalty(losses: Sequence[sp.Expr], w: Coordinates) -> sp.Expr:
    """Return the mean of |∇Lᵢ|²: ε/4 of it is what random orders without replacement add to the mean loss.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> reshuffled_penalty([x, -x], [x])
    1
    """
    return sp.Add(*(square(descent_field(loss, w)) for loss in losses)) / len(losses)


def replaced_penalty(losses: Sequence[sp.Expr], w: Coordinates) -> sp.Expr:
    """Return |∇L|², L the mean loss: ε/4 of it is what examples drawn with replacement add.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> replaced_penalty([x, -x], [x])
    0
    """
    return square(descent_field(sp.Add(*losses) / len(losses), w))


def mean_path(losses: Sequence[sp.Expr], orders: Sequence[Sequence[int]], w: Coordinates) -> Series:
    """Return the displacement after n SGD steps, in the mean over the orders, to second order in ε."""
    steps = [series(descent_field(loss, w), length=2) for loss in losses]
    ends = []
    for order in orders:
        moved = steps[order[0]]
        for i in order[1:]:
            moved = then(moved, steps[i], w)
        ends.append(moved)
    return tuple(sum(terms, sp.zeros(len(w), 1)) / len(orders) for terms in zip(*ends, strict=True))


def penalised_flow(losses: Sequence[sp.Expr], penalty: sp.Expr, w: Coordinates) -> Series:
    """Return the displacement of the flow of −∇(L + ¼ε·penalty) for the time nε, to second order in ε."""
    size = len(losses)
    field = descent_field(sp.Add(*losses), w)  # the time n is put into the field
    return flow((field, size * descent_field(penalty / 4, w)), w)


def paths(losses: Sequence[sp.Expr], w: Coordinates, point: Case, replaced: bool) -> list[Case]:
    """Return the mean path over orders or draws, the flow of the modified loss, and the slopes they are made of."""
    size = len(losses)
    penalties = reshuffled_penalty(losses, w), replaced_penalty(losses, w)
    columns = {
        D: mean_path(losses, list(permutations(range(size))), w),
        F: penalised_flow(losses, penalties[replaced], w),
    }
    if replaced:
        columns[D_drawn] = mean_path(losses, list(product(range(size), repeat=size)), w)
    spread = penalties[0] - penalties[1]
    slopes = {Q: penalties[0], P: penalties[1], S: spread}
    found = {s: ε * terms[0] + ε**2 * terms[1] for s, terms in columns.items()}
    found |= {s: -descent_field(function, w) for s, function in slopes.items()}
    found[vbar] = descent_field(sp.Add(*losses) / size, w)
    numbers = {n: sp.Integer(size)}
    return [{**numbers, **{s: sp.expand(c[i].xreplace(point)) for s, c in found.items()}} for i in range(len(w))]


def _generic(sizes: Sequence[int], replaced: bool) -> list[Case]:
    w = sp.symbols("w1:3", real=True)
    origin = dict.fromkeys(w, sp.S.Zero)
    losses = [generic_polynomial(f"p{i}", w, 2) for i in range(max(sizes))]
    return [case for size in sizes for case in paths(losses[:size], w, origin, replaced)]


def _random(random: Random, replaced: bool, most: int) -> list[Case]:
    cases = []
    for d in (1, 2, 3):
        w = sp.symbols(f"w1:{d + 1}", real=True)
        losses = [polynomial(random, w, 4, 4) for _ in range(random.randint(1, most))]
        cases += paths(losses, w, {x: rational(random) for x in w}, replaced)
    return cases


def generic_reshuffled() -> list[Case]:
    """Expand n steps: −εΣgᵢ + ε²Σ Hⱼgᵢ over pairs with i before j; in the mean each ordered pair counts one half.

    Hⱼgᵢ over all pairs, equal ones included, sums to n²H̄ḡ = ½n²∇|ḡ|², and Hᵢgᵢ = ½∇|gᵢ|². So the ε² term is
    ¼n²∇|ḡ|² − ¼n∇mean|gᵢ|². The flow of −∇(L + ¼ε mean|gᵢ|²) for the time nε has the first part from the path that
    bends, the second from the penalty. Below ε³ only first and second derivatives enter, so quadratic losses with
    arbitrary coefficients, seen from the origin, stand for all C³ losses; n = 1, 2, 3.
    """
    return _generic((1, 2, 3), replaced=False)


def random_reshuffled(random: Random) -> list[Case]:
    """Do the same with numbers, quartic losses, up to four examples, in one to three dimensions."""
    return _random(random, replaced=False, most=4)


def generic_replaced() -> list[Case]:
    """Draw all n of them independently: every one of the ½n(n − 1) pairs of steps has the mean H̄ḡ = ½∇|ḡ|².

    So the ε² term is ¼(n² − n)∇|ḡ|², and the penalty that bends the flow by as much is |ḡ|². Without replacement
    there was mean|gᵢ|² = |ḡ|² + mean|gᵢ − ḡ|². Quadratic losses stand for all as before; n = 1 and 2.
    """
    return _generic((1, 2), replaced=True)


def random_replaced(random: Random) -> list[Case]:
    """Do the same with numbers, quartic losses, up to three examples, in one to three dimensions."""
    return _random(random, replaced=True, most=3)


_RESHUFFLED = ε * n * vbar + ε**2 * n * (n * P - Q) / 4
_REPLACED = ε * n * vbar + ε**2 * n * (n - 1) * P / 4
_SMALL_STEP = positive(ε, "step size")
_C3 = given("losses C³: remainders are O(ε³); one epoch of n steps, batches of one")

_WITHOUT = {D: _RESHUFFLED, F: _RESHUFFLED}
RESHUFFLED = Claim(
    id="LIE-19",
    slug="lie.random-order",
    title="In the mean over orders an epoch is the flow down L + ¼ε·mean|∇Lᵢ|², for the time nε",
    status="leading-order",
    statement=equations(_WITHOUT),
    assumptions=(_C3, _SMALL_STEP),
    source=SMITH_2021.where("modified loss of random reshuffling"),
    evidence=(Identity(generic_reshuffled, SECOND), Property(random_reshuffled, examples=2, remainder=SECOND)),
    mutants=(
        Mutant("the penalty of gradient descent, |∇L|²", equations(_WITHOUT, {D: _REPLACED})),
        Mutant("no penalty: the flow of L", equations(_WITHOUT, {D: ε * n * vbar + ε**2 * n**2 * P / 4})),
        Mutant("twice the penalty", equations(_WITHOUT, {D: ε * n * vbar + ε**2 * n * (n * P - 2 * Q) / 4})),
        Mutant("sign of the penalty", equations(_WITHOUT, {D: ε * n * vbar + ε**2 * n * (n * P + Q) / 4})),
        Mutant("penalty once, not n times", equations(_WITHOUT, {F: ε * n * vbar + ε**2 * (n**2 * P - Q) / 4})),
    ),
    meanings=meanings(equations(_WITHOUT)),
    note="Single orders end off it by half their brackets, ½ε²Σ[vᵢ, vⱼ] over pairs with i before j, which cancel "
    "between an order and its reverse.",
)

_WITH = {D_drawn: _REPLACED, F: _REPLACED, D: _REPLACED - ε**2 * n * S / 4}
REPLACED = Claim(
    id="LIE-20",
    slug="lie.replacement",
    title="Drawn with replacement the penalty is ¼ε|∇L|²; orders without add ¼ε times the spread of the gradients",
    status="leading-order",
    statement=equations(_WITH),
    assumptions=(_C3, _SMALL_STEP),
    source=SMITH_2021.where("the same; the comparison is made here"),
    evidence=(Identity(generic_replaced, SECOND), Property(random_replaced, examples=2, remainder=SECOND)),
    mutants=(
        Mutant("the penalty of orders", equations(_WITH, {D_drawn: _RESHUFFLED})),
        Mutant("no difference between the two", equations(_WITH, {D: _REPLACED})),
        Mutant("sign of the difference", equations(_WITH, {D: _REPLACED + ε**2 * n * S / 4})),
        Mutant("difference once, not n times", equations(_WITH, {D: _REPLACED - ε**2 * S / 4})),
        Mutant("penalty without the ¼", equations(_WITH, {F: ε * n * vbar + ε**2 * n * (n - 4) * P / 4})),
    ),
    meanings=meanings(equations(_WITH)),
    note="Gradient descent has the penalty ¼ε|∇L|² too: noise drawn anew at each step adds none at this order. The "
    "spread mean|∇Lᵢ − ∇L|² is what a shuffled epoch descends besides. Over many epochs, a time of order 1, draws with "
    "replacement spread by √ε and bend the mean path by as much as the penalty does, unless losses are quadratic; "
    "orders spread too little for that.",
)

CLAIMS = (RESHUFFLED, REPLACED)
"""The theory, in the order of the ledger."""
