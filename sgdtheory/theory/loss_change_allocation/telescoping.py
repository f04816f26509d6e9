"""The telescoping identity: what separates the naive from the measured allocation of a step, cause by cause.

The shares themselves are in `causes`; here they are derived, by making one change at a time.
"""

from __future__ import annotations

from itertools import pairwise, permutations

import sympy as sp

from sgdtheory.claim import Assumption, Case, Claim, Identity, Mutant, Property, equations, given, positive, real
from sgdtheory.sources import HERE, SHAH_2020
from sgdtheory.theory.loss_change_allocation.causes import (
    A_Q,
    CAUSES,
    Δ,
    A,
    A_naive,
    G,
    T_curv,
    T_mb,
    T_opt,
    T_quad,
    T_wd,
    g,
    ordered_terms,
    q,
    shapley_terms,
    η,
    θ,
    λ,
    ḡ,
)
from sgdtheory.theory.loss_change_allocation.measured_steps import decaying_step, exact_step
from sgdtheory.theory.loss_change_allocation.naive import naive_allocation


def change_in_turn() -> Case:
    """Go from −ηG·G to Δ·q, one change at a time.

    The naive allocation is a move −ηG times a gradient G; the measured one is a move Δ times a gradient q. Weight decay
    makes the move −η(G + λθ) and the rest of the optimizer makes it Δ; then the gradient becomes that of the full loss,
    its mean over the step, and what the rule has for that mean. Each share is what the product changes by. They add up
    because every product between the ends stands once with either sign.
    """
    moves = [-η * G, -η * (G + λ * θ), *[Δ] * 4]
    gradients = [*[G] * 3, g, ḡ, q]
    products = [move * gradient for move, gradient in zip(moves, gradients, strict=True)]
    shares = [after - before for before, after in pairwise(products)]
    return {A_naive: products[0], A: Δ * ḡ, A_Q: products[-1], **dict(zip(CAUSES, shares, strict=True))}


def change_three_in_turn() -> Case:
    """Go from −ηG·G to Δ·ḡ: without weight decay and with an exact integral three changes are left.

    First the move −ηG becomes what the optimizer made it, Δ; then the minibatch gradient G becomes that of the full
    loss, g; then that becomes its mean over the step, ḡ. Each share is what the product of the two changes by.
    """
    return {quantity: value.subs({λ: 0, q: ḡ}) for quantity, value in change_in_turn().items()}


def change_in_every_order() -> Case:
    """Average each cause's share over all 120 orders in which the five changes can be made.

    With some changes made, the allocation is (−ηG + their moves)·(G + their gradients). A change of the move meets a
    change of the gradient that is made already in half of the orders, so its share is the change times the mean of G
    and q; and a change of the gradient is multiplied by the mean of −ηG and Δ.
    """
    moves = {T_wd: -η * λ * θ, T_opt: Δ + η * (G + λ * θ)}
    gradients = {T_mb: g - G, T_curv: ḡ - g, T_quad: q - ḡ}
    shares = dict.fromkeys(CAUSES, sp.S.Zero)
    for order in permutations(CAUSES):
        move, gradient = -η * G, G
        for cause in order:
            shares[cause] += moves.get(cause, 0) * gradient + gradients.get(cause, 0) * move
            move, gradient = move + moves.get(cause, 0), gradient + gradients.get(cause, 0)
    return {A_naive: -η * G**2, A_Q: Δ * q, **{cause: sp.expand(total / 120) for cause, total in shares.items()}}


_STEP = (
    positive(η, "learning rate"),
    real(Δ, "move of coordinate i"),
    real(G, "minibatch gradient that made the step"),
    real(g, "gradient of the loss at the start of the step"),
    real(ḡ, "mean gradient of the loss along the step"),
)
_WIDER = (
    *_STEP,
    Assumption("weight decay: λ ≥ 0", λ, sp.Interval(0, sp.oo)),
    real(θ, "the parameter before the step"),
    real(q, "the mean gradient as a quadrature rule has it"),
)
_MEANINGS = (
    (A_naive, "naive allocation −ηG²"),
    (A_Q, "allocation as measured, the move times what the rule has for the mean gradient"),
    (T_wd, "share of weight decay"),
    (T_opt, "share of the optimizer"),
    (T_mb, "share of the minibatch"),
    (T_curv, "share of the curvature"),
    (T_quad, "share of the quadrature"),
)
_ORDERED = {A_naive: naive_allocation(G), **ordered_terms(), A_Q: A_naive + sp.Add(*CAUSES)}
_SHAPLEY = {A_naive: naive_allocation(G), **shapley_terms(), A_Q: A_naive + sp.Add(*CAUSES)}
_THREE = {
    A_naive: naive_allocation(G),
    **{cause: ordered_terms()[cause].subs(λ, 0) for cause in (T_opt, T_mb, T_curv)},
    A: A_naive + T_opt + T_mb + T_curv,
}

TELESCOPING = Claim(
    id="LCA-04",
    slug="lca.telescoping",
    title="A true allocation exceeds the naive one by a share of the optimizer, the minibatch and the curvature",
    status="exact",
    statement=equations(_THREE),
    assumptions=(*_STEP, given("no weight decay beside the gradient; the mean gradient is exact; any optimizer")),
    source=HERE,
    evidence=(Identity(change_three_in_turn), Property(exact_step, examples=12)),
    mutants=(
        Mutant("as if the move were that of SGD", equations(_THREE, {T_opt: sp.S.Zero})),
        Mutant("minibatch's share with the move of SGD", equations(_THREE, {T_mb: -η * G * (g - G)})),
        Mutant("curvature's share halved", equations(_THREE, {T_curv: _THREE[T_curv] / 2})),
        Mutant("without the curvature's share", equations(_THREE, {A: A_naive + T_opt + T_mb})),
    ),
    meanings=((A, "true allocation, ∫ ∂ᵢL dθᵢ along the step"), _MEANINGS[0], *_MEANINGS[3:6]),
    note="The shares belong to this order, first the move, then the gradient; another order gives other ones.",
)

SHAPLEY = Claim(
    id="LCA-05",
    slug="lca.shapley",
    title="Averaged over all orders of the changes, each cause's share is its change times a mean of the other factor",
    status="exact",
    statement=equations(_SHAPLEY),
    assumptions=_WIDER,
    source=HERE,
    evidence=(Identity(change_in_every_order),),
    mutants=(
        Mutant("the shares of one order", equations(_ORDERED)),
        Mutant("equal shares", equations(_SHAPLEY, dict.fromkeys(CAUSES, (A_Q - A_naive) / 5))),
        Mutant("moves times the last gradient", equations(_SHAPLEY, {T_opt: (Δ + η * (G + λ * θ)) * q})),
    ),
    meanings=_MEANINGS,
    note="Neither this division nor that of one order is the only one; both add up exactly.",
)

DIFFERENCES = Claim(
    id="LCA-08",
    slug="lca.differences",
    title="Naive and measured allocation differ by five shares, not three: weight decay and quadrature count too",
    status="corrected",
    statement=equations(_ORDERED),
    assumptions=(*_WIDER, given("decoupled weight decay, outside the measured loss; any optimizer")),
    source=SHAH_2020.where("list of the differences between LCA and LCANaive"),
    evidence=(Identity(change_in_turn), Property(decaying_step, examples=12)),
    mutants=(
        Mutant(
            "as printed: three differences",
            equations(_ORDERED, {T_wd: sp.S.Zero, T_quad: sp.S.Zero, A_Q: A_naive + T_opt + T_mb + T_curv}),
        ),
        Mutant("weight decay of the opposite sign", equations(_ORDERED, {T_wd: -_ORDERED[T_wd]})),
        Mutant("the rule's error times the move of SGD", equations(_ORDERED, {T_quad: -η * G * (q - ḡ)})),
        Mutant("weight decay times the full gradient", equations(_ORDERED, {T_wd: -η * λ * θ * g})),
    ),
    meanings=_MEANINGS,
    note="Measuring in another mode than training (dropout, batch statistics) or on other data changes g and ḡ alike: "
    "it falls into the minibatch's share.",
)

CLAIMS = (TELESCOPING, SHAPLEY, DIFFERENCES)
"""The theory, in the order of the ledger."""
