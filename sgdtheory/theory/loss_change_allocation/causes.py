"""From the naive to the measured allocation of a step: five causes, each with its share.

The naive allocation of coordinate i is −ηG·G. Two causes change the move: weight decay outside the measured loss, and
what the optimizer does beyond −η(G + λθ). Three change the gradient: the full loss in the place of the minibatch (g),
the whole step in the place of its start (ḡ), a quadrature rule in the place of the integral (q). The shares add up to
the difference whichever way the causes are ordered, but each of them depends on the order; the Shapley shares are the
means over all orders.
"""

from __future__ import annotations

import sympy as sp

from sgdtheory import symbols
from sgdtheory.theory.loss_change_allocation.naive import naive_allocation

η, λ, θ, Δ = symbols.lr, symbols.weight_decay, symbols.theta, symbols.move
G, g = symbols.batch_gradient, symbols.start_gradient
ḡ, q = symbols.segment_gradient, symbols.rule_gradient
A, A_naive, A_Q = symbols.allocation, symbols.naive_part, symbols.measured_part
T_wd, T_opt, T_mb = symbols.decay_term, symbols.optimizer_term, symbols.minibatch_term
T_curv, T_quad = symbols.curvature_term, symbols.quadrature_term

INPUTS = (η, λ, θ, Δ, G, g, ḡ, q)
"""What the shares of one coordinate are made of."""
CAUSES = (T_wd, T_opt, T_mb, T_curv, T_quad)
"""The shares, in the order in which `ordered_terms` makes the changes."""


def measured_allocation() -> sp.Expr:
    """Return −ηG² and the five shares, which is Δ·gQ.

    Examples
    --------
    >>> sp.expand(measured_allocation())
    Delta_i*gQ_i
    """
    return naive_allocation(G) + sp.Add(*ordered_terms().values())


def ordered_terms() -> dict[sp.Symbol, sp.Expr]:
    """Return each cause's share when the move changes first and then the gradient, in the order of the result.

    Returns
    -------
    dict of Symbol to expression in `INPUTS`
        T_wd, T_opt, T_mb, T_curv, T_quad. With −ηG² they add up to Δ·q.

    Examples
    --------
    >>> ordered_terms()[T_curv]
    Delta_i*(-g_0i + gbar_i)
    """
    moves = _moves()
    return {
        **{cause: change * G for cause, change in moves.items()},
        **{cause: Δ * change for cause, change in _gradients().items()},
    }


def shapley_terms() -> dict[sp.Symbol, sp.Expr]:
    """Return each cause's share in the mean over all orders: its change times the mean of the other factor's ends.

    Returns
    -------
    dict of Symbol to expression in `INPUTS`
        As `ordered_terms`, with the same sum.

    Examples
    --------
    >>> shapley_terms()[T_curv]
    (Delta_i/2 - G_i*eta/2)*(-g_0i + gbar_i)
    """
    return {
        **{cause: change * (G + q) / 2 for cause, change in _moves().items()},
        **{cause: (Δ - η * G) / 2 * change for cause, change in _gradients().items()},
    }


def _moves() -> dict[sp.Symbol, sp.Expr]:
    """Return what each cause adds to the move −ηG; together they make it Δ."""
    return {T_wd: -η * λ * θ, T_opt: Δ + η * (G + λ * θ)}


def _gradients() -> dict[sp.Symbol, sp.Expr]:
    """Return what each cause adds to the gradient G; together they make it q."""
    return {T_mb: g - G, T_curv: ḡ - g, T_quad: q - ḡ}
