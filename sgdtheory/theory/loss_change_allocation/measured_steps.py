"""Random steps in exact arithmetic, every allocation on the way from the naive to the measured one made by its meaning.

The examples' losses are polynomials of degree up to 4 in one or two coordinates; the optimizer is one of four, with
random buffers and decoupled weight decay.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import sympy as sp

from sgdtheory.claim import Case
from sgdtheory.derive.quadrature import Rule, quadrature_rule
from sgdtheory.optimizers import SGD, EMAMomentum, Momentum, Nesterov, Optimizer, with_weight_decay
from sgdtheory.theory.loss_change_allocation.causes import A_Q, CAUSES, Δ, A, A_naive, G, g, q, η, θ, λ, ḡ
from sgdtheory.theory.loss_change_allocation.definition import allocate_along, straight
from sgdtheory.theory.random_instances import learning_rate, polynomial, rational

Vector = list[sp.Expr]
_WITH_MOMENTUM = (Momentum, EMAMomentum, Nesterov)
_RULES = ("left", "midpoint", "trapezoid", "simpson")
_t = sp.Symbol("t", nonnegative=True)


def exact_step(random: Random) -> list[Case]:
    """Take a step without weight decay and integrate exactly (Boole's rule is exact to degree 6)."""
    return _allocated(random, sp.S.Zero, quadrature_rule("boole"))


def decaying_step(random: Random) -> list[Case]:
    """Take a step with weight decay, perhaps 0, and integrate by a rule that may be wrong."""
    return _allocated(random, sp.Rational(random.randint(0, 4), 3), quadrature_rule(random.choice(_RULES)))


def _allocated(random: Random, decay: sp.Expr, rule: Rule) -> list[Case]:
    """Allocate one step in all the ways that lie between the naive and the measured one."""
    w = sp.symbols(f"w1:{random.randint(1, 2) + 1}", real=True)
    examples = [polynomial(random, w, 4, terms=4) for _ in range(3)]
    loss, batch = sp.Add(*examples) / 3, sp.Add(*random.choices(examples, k=2)) / 2
    lr, start = learning_rate(random), [rational(random) for _ in w]
    optimizer, memory = _optimizer(random, lr, len(w))
    seen = _gradient(batch, w, [optimizer.lookahead(a, m) for a, m in zip(start, memory, strict=True)])
    none: list[Vector] = [[] for _ in w]
    moves = [_move(SGD(lr), sp.S.Zero, start, none, seen), _move(SGD(lr), decay, start, none, seen)]
    moves.append(_move(optimizer, decay, start, memory, seen))
    end = [a + move for a, move in zip(start, moves[-1], strict=True)]
    gradients = [seen, _gradient(loss, w, start)]
    gradients += [_mean(loss, w, start, end, r) for r in (quadrature_rule("boole"), rule)]
    true = allocate_along(loss, w, straight(start, end, _t), _t)
    return [
        {η: lr, λ: decay, θ: start[i]} | _shares([m[i] for m in moves], [g[i] for g in gradients], true[i])
        for i in range(len(w))
    ]


def _shares(moves: Vector, gradients: Vector, true: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
    """Return the shares of one coordinate as differences of its allocations, and what its step is made of."""
    (plain, decayed, actual), (seen, at_start, along, by_rule) = moves, gradients
    on_the_way = [plain * seen, decayed * seen, actual * seen, actual * at_start, true, actual * by_rule]
    shares = [after - before for before, after in pairwise(on_the_way)]
    inputs = {Δ: actual, G: seen, g: at_start, ḡ: along, q: by_rule}
    return {**inputs, A_naive: on_the_way[0], A: true, A_Q: on_the_way[-1], **dict(zip(CAUSES, shares, strict=True))}


def _optimizer(random: Random, lr: sp.Expr, dimension: int) -> tuple[Optimizer, list[Vector]]:
    """Return SGD or an optimizer with momentum, and random buffers."""
    decay = sp.Rational(random.randint(0, 4), 5)
    optimizer = random.choice((SGD(lr), *(kind(lr, decay) for kind in _WITH_MOMENTUM)))
    return optimizer, [[rational(random) for _ in optimizer.buffers] for _ in range(dimension)]


def _gradient(loss: sp.Expr, coordinates: Sequence[sp.Symbol], place: Vector) -> Vector:
    values = dict(zip(coordinates, place, strict=True))
    return [sp.diff(loss, w).xreplace(values) for w in coordinates]


def _move(optimizer: Optimizer, decay: sp.Expr, start: Vector, memory: list[Vector], gradient: Vector) -> Vector:
    end, _ = with_weight_decay(optimizer, decay, decoupled=True).step(start, memory, lambda _: gradient)
    return [b - a for a, b in zip(start, end, strict=True)]


def _mean(loss: sp.Expr, coordinates: Sequence[sp.Symbol], start: Vector, end: Vector, rule: Rule) -> Vector:
    """Return the mean gradient between two points, as a rule has it."""
    fields = [_gradient(loss, coordinates, straight(start, end, node)) for node in rule.nodes]
    columns = zip(*fields, strict=True)
    return [sp.Add(*(w * value for w, value in zip(rule.weights, column, strict=True))) for column in columns]
