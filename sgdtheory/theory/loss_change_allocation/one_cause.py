"""Which causes can make an allocation positive: any one of the five by itself, none of them being nothing at all.

Curvature does so by overshooting: the step must carry a coordinate beyond the mirror image of where it stands.
"""

from __future__ import annotations

from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equations, given, positive, real
from sgdtheory.derive.expansion import State, compose, generic_polynomial
from sgdtheory.derive.quadrature import quadrature_rule
from sgdtheory.laws import Number
from sgdtheory.optimizers import SGD, Momentum, with_weight_decay
from sgdtheory.sources import HERE, SHAH_2020
from sgdtheory.theory.loss_change_allocation.causes import A, g, η
from sgdtheory.theory.loss_change_allocation.definition import allocate_along, straight
from sgdtheory.theory.loss_change_allocation.naive import naive_allocation
from sgdtheory.theory.random_instances import learning_rate, polynomial, rational

A_wd, A_opt, A_mb = symbols.alone_decay, symbols.alone_optimizer, symbols.alone_minibatch
A_curv, A_quad = symbols.alone_curvature, symbols.alone_quadrature
u, h_step = symbols.oscillation, symbols.step_curvature
A_above, A_below = symbols.above_edge, symbols.below_edge
_w, _t = sp.Symbol("w", real=True), sp.Symbol("t", nonnegative=True)


# --- one cause at a time ---------------------------------------------------------------------------------------------


def switch_on_one_by_one() -> Case:
    """Take plain SGD on the full loss, measured by the gradient at the start; then let in one cause at a time.

    With all five off the move is −ηg and the gradient that multiplies it is g: −ηg² is never positive. With one on:

    - weight decay 2 at w = 1 on the loss −w, η = 1: w moves by −1, and the loss falls with w.
    - momentum 9/10 on ½w² from rest at w = 1, η = ½: w passes 0 to −1/5 and the third step goes on, against a gradient
      of −1/5.
    - a minibatch of one of the losses ½(w − 1)² and ½(w + 3)², η = 1: from 0 the first moves w by 1, where their mean
      has the gradient 1.
    - curvature 3 on 3w²/2 from w = 1, η = 1: w ends at −2, where the loss is larger.
    - the right end's rule on w − 2w² − 2w³ from 0, η = 1: the gradient 1 − 4w − 6w² has on the step to −1 the mean 1
      that it has at the start, but −1 at the end.
    """
    plain, bowl, slope = SGD(1), _w**2 / 2, sp.Integer(-1)
    decayed = with_weight_decay(plain, 2, decoupled=True).update(slope, 1)
    rolling = Momentum(sp.S.Half, sp.Rational(9, 10))
    before, after = (compose(rolling, [sp.Matrix([_w])] * n, [_w], State((sp.S.One,), ((0,),))) for n in (2, 3))
    (start,), (end,) = before.position, after.position
    first, second = (_w - 1) ** 2 / 2, (_w + 3) ** 2 / 2
    cubic = _w - 2 * _w**2 - 2 * _w**3
    return {
        A: SGD().update(g).displacement * g,
        A_wd: decayed.displacement * slope,
        A_opt: (end - start) * _slope(bowl, start),
        A_mb: plain.update(_slope(first, 0)).displacement * _slope((first + second) / 2, 0),
        A_curv: _along(3 * bowl, 1, plain.update(_slope(3 * bowl, 1), 1).position),
        A_quad: _by_right_end(cubic, plain.update(_slope(cubic, 0), 0).position),
    }


def _slope(loss: sp.Expr, place: Number) -> sp.Expr:
    return sp.diff(loss, _w).subs(_w, place)


def _along(loss: sp.Expr, start: Number, end: Number) -> sp.Expr:
    return allocate_along(loss, [_w], straight([start], [end], _t), _t)[0]


def _by_right_end(loss: sp.Expr, end: sp.Expr) -> sp.Expr:
    """Allocate the step from 0 by the gradient at its end, having made sure that its mean is that at the start."""
    if _along(loss, 0, end) != end * _slope(loss, 0):
        raise ValueError(f"curvature takes part on the way to {end}")
    (node,) = quadrature_rule("right").nodes
    return end * _slope(loss, node * end)


# --- overshooting ----------------------------------------------------------------------------------------------------


def overshoot() -> Case:
    """Write the mean gradient of a step with Taylor's remainder.

    Along the step Δ = −ηg the gradient is g + ∫₀ˢ h(r)Δ dr at the fraction s, h(r) the curvature at θ + rΔ. Its mean
    over the step is g + Δ∫(1 − s)h(s) ds = g(1 − ηh̄/2) with h̄ = 2∫(1 − s)h(s) ds, a weighted mean of the curvature.
    So A = −ηg²(1 − ηh̄/2): positive exactly if ηh̄ > 2, and with ηh̄ = 2 + u it is uηg²/2. A coordinate that merely
    passes its minimum, 1 < ηh̄ < 2, still helps.
    """
    loss = generic_polynomial("c", (_w,), 5)
    end = SGD().update(_slope(loss, 0), 0).position
    bowl, start = symbols.curvature * _w**2 / 2, g / symbols.curvature
    own = _along(bowl, start, SGD().update(g, start).position)
    return {
        g: _slope(loss, 0),
        A: _along(loss, 0, end),
        h_step: _weighted_curvature(loss, end),
        A_above: own.subs(symbols.curvature, (2 + u) / η),
        A_below: own.subs(symbols.curvature, 2 / (η * (1 + u))),
    }


def _weighted_curvature(loss: sp.Expr, move: sp.Expr) -> sp.Expr:
    second = sp.Poly(2 * (1 - _t) * sp.diff(loss, _w, 2).subs(_w, _t * move), _t).integrate()
    return second.eval(1)


def random_overshoot(random: Random) -> list[Case]:
    """Take one step of gradient descent on a random polynomial in 1 or 2 coordinates."""
    w = sp.symbols(f"w1:{random.randint(1, 2) + 1}", real=True)
    loss, lr, start = polynomial(random, w, 4, terms=5), learning_rate(random), [rational(random) for _ in w]
    gradient = [sp.diff(loss, wi).xreplace(dict(zip(w, start, strict=True))) for wi in w]
    end = [SGD(lr).update(gi, a).position for gi, a in zip(gradient, start, strict=True)]
    path = straight(start, end, _t)
    cases: list[Case] = []
    for i, part in enumerate(allocate_along(loss, w, path, _t)):
        turned = sum(sp.diff(loss, w[i], wj) * (b - a) for wj, a, b in zip(w, start, end, strict=True))
        weighted = sp.Poly(2 * (1 - _t) * turned.xreplace(dict(zip(w, path, strict=True))), _t).integrate().eval(1)
        if gradient[i] != 0:
            excess = sp.Rational(random.randint(1, 9), 4)
            bowls = (_bowl(lr, gradient[i], x) for x in ((2 + excess) / lr, 2 / (lr * (1 + excess))))
            seen = {η: lr, g: gradient[i], u: excess, A: part, h_step: weighted / (end[i] - start[i])}
            cases.append(seen | dict(zip((A_above, A_below), bowls, strict=True)))
    return cases


def _bowl(lr: sp.Expr, gradient: sp.Expr, curvature: sp.Expr) -> sp.Expr:
    """Return the loss change of a step on a parabola, from its values at the ends."""
    start = gradient / curvature
    return curvature * (SGD(lr).update(gradient, start).position ** 2 - start**2) / 2


# --- claims ----------------------------------------------------------------------------------------------------------

_ALONE = {
    A_wd: "weight decay",
    A_opt: "momentum",
    A_mb: "a minibatch",
    A_curv: "curvature",
    A_quad: "a quadrature rule",
}


def _statement(refused: sp.Symbol | None = None) -> sp.Basic:
    """State that every cause alone can make an allocation positive, one of them perhaps not."""
    signs = (sp.Le(a, 0) if a == refused else sp.Gt(a, 0) for a in _ALONE)
    return sp.And(equations({A: naive_allocation(g)}), sp.Le(A, 0), *signs)


ONE_CAUSE = Claim(
    id="LCA-14",
    slug="lca.one-cause",
    title="With all five causes off no allocation is positive; with any one of them on it can be",
    status="exact",
    statement=_statement(),
    assumptions=(
        positive(η, "learning rate"),
        real(g, "gradient at the start, one coordinate"),
        given("off means: no weight decay, SGD, all examples, the gradient at the start, the exact integral"),
    ),
    source=SHAH_2020.where("list of the differences between LCA and LCANaive"),
    evidence=(Identity(switch_on_one_by_one),),
    mutants=(
        *(Mutant(f"{name} alone never makes one positive", _statement(a)) for a, name in _ALONE.items()),
        Mutant("all off: always negative", sp.And(_statement(), sp.Lt(A, 0))),
    ),
    meanings=(
        (A, "allocation with all causes off"),
        *((a, f"an allocation with {name} as the only cause, in an example") for a, name in _ALONE.items()),
    ),
)

_OVERSHOOT = {
    A: -η * g**2 * (1 - η * h_step / 2),
    A_above: u * η * g**2 / 2,
    A_below: -u / (1 + u) * η * g**2,
}

OVERSHOOT = Claim(
    id="LCA-15",
    slug="lca.overshoot",
    title="A coordinate of gradient descent hurts exactly where ηh̄ > 2, h̄ its mean curvature along the step",
    status="exact",
    statement=equations(_OVERSHOOT),
    assumptions=(
        positive(η, "learning rate"),
        real(g, "gradient at the start, one coordinate, not 0"),
        positive(u, "excess"),
        given("gradient descent on a twice differentiable loss; h̄ = 2∫(1 − s)(HΔ)ᵢ ds/Δᵢ over the step"),
    ),
    source=HERE,
    evidence=(Identity(overshoot), Property(random_overshoot, examples=15)),
    mutants=(
        Mutant("as soon as the minimum is passed", equations(_OVERSHOOT, {A: -η * g**2 * (1 - η * h_step)})),
        Mutant("never", equations(_OVERSHOOT, {A_above: -u * η * g**2 / 2})),
        Mutant("at the edge already", equations(_OVERSHOOT, {A_below: sp.S.Zero})),
    ),
    meanings=(
        (A, "allocation to the coordinate"),
        (h_step, "mean curvature h̄ of the step"),
        (A_above, "allocation on a parabola with ηh = 2 + u"),
        (A_below, "allocation on a parabola with ηh = 2/(1 + u)"),
    ),
    note="If the gradient is an eigenvector of a quadratic's Hessian, its curvature is the h̄ of every coordinate: "
    "beyond the edge of stability all of them hurt at once.",
)

CLAIMS = (ONE_CAUSE, OVERSHOOT)
"""The theory, in the order of the ledger."""
