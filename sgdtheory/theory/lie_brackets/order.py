"""The order theorem: what swapping two examples does in the end, for every optimizer that is linear in its gradients.

Such an optimizer is its impulse response. A push u of one step moves the point at which the gradient is taken r steps
later by ε d_r u, and the place where everything comes to rest by ε c∞ u: heavy ball d_r = (1 − μʳ)/(1 − μ) → c∞.
Around the two examples every step sees the field v̄ of the mean loss, before them for so long that the buffer is
steady.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import (
    Case,
    Claim,
    Identity,
    Mutant,
    Property,
    Recursion,
    between,
    by_name,
    equals,
    equations,
    given,
    positive,
)
from sgdtheory.derive.brackets import derivative_along, descent_field, lie_bracket
from sgdtheory.derive.expansion import State, compose, generic_polynomial, jet
from sgdtheory.optimizers import EMAMomentum, Momentum, Nesterov, Optimizer
from sgdtheory.sources import HERE
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import polynomial, rational

ε, μ = symbols.epsilon, symbols.momentum
end, b, b_mean, carried = symbols.end_gap, symbols.bracket, symbols.mean_bracket, symbols.mean_carried
d1, c_end, rest = symbols.response_first, symbols.response_end, symbols.response_rest
SECOND = (ε, 3)


class Response(NamedTuple):
    """Impulse response: moves of the next gradients' points by a unit push, d₁, d₂, …, and of the end, c∞."""

    ahead: tuple[sp.Expr, ...]
    end: sp.Expr


def coasting(optimizer: Optimizer) -> sp.Expr:
    """Return κ: with no more gradients θ comes to rest at θ + κv, v the buffer of a linear optimizer.

    One step without gradient makes θ + pv of θ and ρv of v, so κ = p + ρκ.

    Parameters
    ----------
    optimizer : Optimizer
        With one buffer, linear in gradient and buffer.

    Examples
    --------
    >>> coasting(Momentum())
    -mu/(1 - mu)
    """
    (v,) = optimizer.buffers
    still = optimizer.update(gradient=0)
    return still.displacement.coeff(v) / (1 - still.memory[0].coeff(v))


def impulse_response(optimizer: Optimizer, steps: int) -> Response:
    """Return the impulse response of a linear optimizer with one buffer, for pushes −gradient, in units of ε.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rate is ε.
    steps : int
        How many of the d_r to return.

    Returns
    -------
    Response

    Examples
    --------
    >>> response = impulse_response(Nesterov(ε, sp.Rational(1, 2)), 2)
    >>> response.ahead, response.end
    ((3/2, 7/4), 2)
    """
    position, memory = optimizer.step([sp.S.Zero], [[sp.S.Zero]], lambda at: [sp.Integer(-1)])
    end_ = sp.cancel((position[0] + coasting(optimizer) * memory[0][0]) / ε)
    ahead = []
    for _ in range(steps):
        ahead.append(sp.cancel(optimizer.lookahead(position[0], memory[0]) / ε))
        position, memory = optimizer.step(position, memory, lambda at: [sp.S.Zero])
    return Response(tuple(ahead), end_)


def local(fields: Sequence[sp.MatrixBase], w: Sequence[sp.Symbol], point: Case) -> list[Case]:
    """Return the brackets of two fields, and with the mean field, at a point."""
    v1, v2, mean = fields
    columns = {
        b: lie_bracket(v1, v2, w),
        b_mean: lie_bracket(mean, v2 - v1, w),
        carried: derivative_along(mean, v2 - v1, w),
    }
    return [{s: sp.expand(column[i].xreplace(point)) for s, column in columns.items()} for i in range(len(w))]


# --- proof -----------------------------------------------------------------------------------------------------------


def end_of(
    response: Response, past: sp.MatrixBase, fields: Sequence[sp.MatrixBase], w: Sequence[sp.Symbol]
) -> list[sp.Expr]:
    """Return εc∞Σu below ε³, what the pushes of the fields in turn move the end by; the first is taken at the origin.

    Before that the field `past`, as it is at the origin, has pushed for ever. The push of age r then has moved the
    point by ε(d_{r+s} − d_r)v̄ more after s steps, all of them together by ε Σ_{j≤s} (c∞ − d_j)v̄.
    """
    steady = past.xreplace(dict.fromkeys(w, sp.S.Zero))
    pushes: list[sp.MatrixBase] = []
    for s, field in enumerate(fields):
        moved = steady * sp.Add(*(response.end - d for d in response.ahead[:s]))
        for age, push in enumerate(reversed(pushes)):
            moved += response.ahead[age] * push
        at = {x: jet(ε * m, ε, 2) for x, m in zip(w, moved, strict=True)}
        pushes.append(field.xreplace(at).applyfunc(lambda entry: jet(entry, ε, 2)))
    return [sp.expand(ε * response.end * sp.Add(*(push[i] for push in pushes))) for i in range(len(w))]


def any_linear_optimizer() -> list[Case]:
    """Let u₁, u₂ be the pushes of the examples, at the point e and one step later.

    There the steady past has moved the point by ε(c∞ − d₁)v̄ and the first push by εd₁u₁. So u₁ + u₂ = v1 + v2 +
    εv2'(d₁v1 + (c∞ − d₁)v̄), and the other order leaves ε(d₁[v1, v2] + (c∞ − d₁)(v̄·∇)(v2 − v1)). The pushes of the
    mean field later see the order as well: at step s the point is off by ε(d_s − d_{s−1})(v1 − v2), which sums to
    ε(d_{T+1} − d₁)(v1 − v2) after T of them and gives −ε(d_{T+1} − d₁)((v2 − v1)·∇)v̄. With d_{T+1} = c∞ − ρ that is
    ε(d₁[v1, v2] + (c∞ − d₁)[v̄, v2 − v1] + ρ((v2 − v1)·∇)v̄), and every push moves the end by εc∞ of itself.
    Below ε³ only fields and their first derivatives enter, so quadratic losses with arbitrary coefficients, seen from
    the origin, stand for all C³ losses; any response, T = 0, 1, 2.
    """
    w = sp.symbols("w1:3", real=True)
    v1, v2, mean = fields = [descent_field(generic_polynomial(name, w, 2), w) for name in "pqm"]
    known = local(fields, w, dict.fromkeys(w, sp.S.Zero))
    cases = []
    for later in range(3):
        ahead = (d1, *sp.symbols(f"d2:{later + 2}", real=True))
        response = Response(ahead, c_end)
        forth, back = (end_of(response, mean, [*pair, *[mean] * later], w) for pair in ((v1, v2), (v2, v1)))
        gaps = [sp.expand(p - q) for p, q in zip(forth, back, strict=True)]
        cases += [{**case, end: gap, rest: c_end - ahead[-1]} for case, gap in zip(known, gaps, strict=True)]
    return cases


# --- the rules themselves --------------------------------------------------------------------------------------------


def end_gap_of(
    optimizer: Optimizer, fields: Sequence[sp.MatrixBase], w: Sequence[sp.Symbol], point: Case, later: int
) -> list[sp.Expr]:
    """Run both orders and `later` mean steps from a steady buffer; return the gap of where they come to rest.

    Parameters
    ----------
    optimizer : Optimizer
        Linear, with one buffer; its learning rate is ε.
    fields : sequence of 3 Matrix, shape (d, 1)
        v1, v2 and the field v̄ of the mean loss.
    w : sequence of d Symbols
        Coordinates.
    point : mapping
        Where the first gradient is taken.
    later : int
        T, steps on the mean loss after the two examples.

    Returns
    -------
    list of d expressions
        Below ε³.
    """
    v1, v2, mean = fields
    left = optimizer.update(gradient=0).memory[0].coeff(optimizer.buffers[0])
    memory = [[optimizer.update(-f, memory=[0]).memory[0] / (1 - left)] for f in mean.xreplace(point)]
    start = [2 * point[x] - optimizer.lookahead(point[x], m) for x, m in zip(w, memory, strict=True)]
    state = State(tuple(start), tuple(map(tuple, memory)))
    κ = coasting(optimizer)
    runs = [
        compose(optimizer, [-f for f in (*pair, *[mean] * later)], w, state, SECOND) for pair in ((v1, v2), (v2, v1))
    ]
    forth, back = ([x + κ * m for x, (m,) in zip(*run, strict=True)] for run in runs)
    return [sp.expand(p - q) for p, q in zip(forth, back, strict=True)]


def random_rules(random: Random) -> list[Case]:
    """Swap two steps of each rule among steps on the mean, for random cubic losses in one to three dimensions."""
    cases = []
    for rule in (Momentum, EMAMomentum, Nesterov):
        w = sp.symbols(f"w1:{random.randint(1, 3) + 1}", real=True)
        decay = random.choice([sp.Rational(k, 100) for k in (0, 20, 50, 90, 99)])
        later = random.randint(0, 4)
        optimizer = rule(ε, decay)
        response = impulse_response(optimizer, later + 1)
        fields = [descent_field(polynomial(random, w, 3), w) for _ in range(3)]
        point = {x: rational(random) for x in w}
        stated = {d1: response.ahead[0], c_end: response.end, rest: response.end - response.ahead[-1]}
        rows = zip(local(fields, w, point), end_gap_of(optimizer, fields, w, point, later), strict=True)
        cases += [{**case, **stated, end: gap} for case, gap in rows]
    return cases


def _ends(*weights: sp.Expr) -> sp.Basic:
    return equals(end, ε**2 * sp.Add(*(weight * x for weight, x in zip(weights, (b, b_mean, carried), strict=True))))


_WEIGHTS = (c_end * d1, c_end * (c_end - d1), c_end * rest)
ORDER = Claim(
    id="LIE-16",
    slug="lie.order",
    title="In the end a swap under momentum is two brackets: the pair's own, and that of its difference with the mean",
    status="leading-order",
    statement=_ends(*_WEIGHTS),
    assumptions=(
        given("losses C³: the remainder is O(ε³)"),
        given("optimizer linear in gradients; steady steps on the mean loss before; T of them after: ρ → 0 as T grows"),
        positive(ε, "step size"),
    ),
    source=HERE,
    evidence=(Identity(any_linear_optimizer, SECOND), Property(random_rules, examples=2, remainder=SECOND)),
    mutants=(
        Mutant("the pair's bracket alone, at full weight", _ends(c_end**2, sp.S.Zero, sp.S.Zero)),
        Mutant("the pair's bracket alone, at its own weight", _ends(_WEIGHTS[0], sp.S.Zero, sp.S.Zero)),
        Mutant("the future does not see the order", _ends(*_WEIGHTS[:2], _WEIGHTS[1])),
        Mutant("at once as in the end", _ends(*_WEIGHTS[:2], sp.S.Zero)),
        Mutant("sign of the bracket with the mean", _ends(_WEIGHTS[0], -_WEIGHTS[1], _WEIGHTS[2])),
        Mutant("weights exchanged", _ends(_WEIGHTS[1], _WEIGHTS[0], _WEIGHTS[2])),
        Mutant("without the response of the end", _ends(d1, c_end - d1, rest)),
    ),
    meanings=meanings(_ends(*_WEIGHTS)),
    note="So what the discussion calls “an extra term which is not actually a Lie bracket” is one, with the mean "
    "field, once past and future are counted. Nothing is left at first order.",
)


_RULES = {symbols.share_heavy: Momentum, symbols.share_averaged: EMAMomentum, symbols.share_ahead: Nesterov}


def shares() -> Case:
    """Push once: the next gradient's point moves by d₁, the end by c∞; the pair's bracket has d₁/c∞ of both weights.

    Heavy ball: 1 of 1/(1 − μ). Averaged: 1 − μ of 1. Nesterov looks ahead by μ times the move besides: 1 + μ of
    1/(1 − μ).
    """
    responses = {share: impulse_response(rule(ε, μ), 1) for share, rule in _RULES.items()}
    return {share: sp.cancel(response.ahead[0] / response.end) for share, response in responses.items()}


def long_response(point: Case) -> Case:
    """Push once and wait: after 60 steps the point is where it ends, to μ⁶⁰."""
    responses = {share: impulse_response(rule(ε, point[μ]), 60).ahead for share, rule in _RULES.items()}
    return {**point, **{share: ahead[0] / ahead[-1] for share, ahead in responses.items()}}


_at = by_name(mu=μ)
_SHARES = {symbols.share_heavy: 1 - μ, symbols.share_averaged: 1 - μ, symbols.share_ahead: 1 - μ**2}
SHARES = Claim(
    id="LIE-29",
    slug="lie.shares",
    title="The pair's own bracket has the share 1 − μ of a swap's effect, with Nesterov 1 − μ²; the mean has the rest",
    status="exact",
    statement=equations(_SHARES),
    assumptions=(between(μ, 0, 1, "momentum"), given("shares of the weights in LIE-16, T → ∞")),
    source=HERE,
    evidence=(Identity(shares), Recursion(long_response, (_at(mu=0), _at(mu="1/2"), _at(mu="3/5")), 1e-12)),
    mutants=(
        Mutant("all of it, as without momentum", equations(dict.fromkeys(_SHARES, sp.S.One))),
        Mutant("the past's share", equations(_SHARES, {symbols.share_heavy: μ})),
        Mutant("averaging makes a difference", equations(_SHARES, {symbols.share_averaged: (1 - μ) ** 2})),
        Mutant("Nesterov as heavy ball", equations(_SHARES, {symbols.share_ahead: 1 - μ})),
    ),
    meanings=meanings(equations(_SHARES)),
    note="At the source's β₁ = 0.8 four fifths of the weight are on the bracket with the mean field.",
)

CLAIMS = (ORDER, SHARES)
"""The theory, in the order of the ledger."""
