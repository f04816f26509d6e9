"""The order theorem: what swapping two examples does in the end, for every optimizer that is linear in its gradients.

Such an optimizer is its impulse response. A push u of one step moves the point at which the gradient is taken r steps
later by ε d_r u, and the place where everything comes to rest by ε c∞ u: heavy ball d_r = (1 − μʳ)/(1 − μ) → c∞.
Around the two examples every step sees the field v̄ of the mean loss, before them for so long that the buffer is
steady.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equals, given, positive
from sgdtheory.derive.brackets import derivative_along, descent_field, lie_bracket
from sgdtheory.derive.expansion import State, compose, generic_polynomial, jet
from sgdtheory.optimizers import EMAMomentum, Momentum, Nesterov, Optimizer
from sgdtheory.sources import HERE
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import polynomial, rational

ε, μ, η = symbols.epsilon, symbols.momentum, symbols.lr
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


def end_of(response: Response, fields: Sequence[sp.MatrixBase], w: Sequence[sp.Symbol]) -> list[sp.Expr]:
    """Return εc∞Σu, the move of the end by the pushes of the fields in turn, below ε³, from the origin.

    Before the first of them the field `fields[-1]` at the origin has pushed for ever.
    """
    mean = fields[-1].xreplace(dict.fromkeys(w, sp.S.Zero))
    pushes: list[sp.Matrix] = []
    for field in fields:
        past = (response.end - response.ahead[0]) if pushes else sp.S.Zero
        past -= sum((response.ahead[r] - response.ahead[r - 1] for r in range(len(pushes), 1, -1)), sp.S.Zero) * 0
        moved = ε * past * mean
        for age, push in enumerate(reversed(pushes)):
            moved += ε * response.ahead[age] * push
        at = {x: jet(m, ε, 2) for x, m in zip(w, moved, strict=True)}
        pushes.append(field.xreplace(at).applyfunc(lambda entry: jet(entry, ε, 2)))
    return [sp.expand(ε * response.end * sp.Add(*(push[i] for push in pushes))) for i in range(len(w))]
