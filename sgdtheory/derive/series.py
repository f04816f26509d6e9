"""Power series by the ratio of their terms."""

from __future__ import annotations

import sympy as sp


def hypergeometric(ratio: sp.Expr, index: sp.Symbol, argument: sp.Expr) -> sp.Expr:
    """Return Σ tₖ argumentᵏ with t₀ = 1 and tₖ₊₁/tₖ = ratio, a rational function of k with rational roots.

    Parameters
    ----------
    ratio : expression
        tₖ₊₁/tₖ in `index`.
    index : Symbol
        k.
    argument : expression

    Returns
    -------
    Expr
        A hypergeometric function.

    Examples
    --------
    >>> k, x = sp.symbols("k x", positive=True)
    >>> sp.hyperexpand(hypergeometric(1 / (k + 1), k, x))
    exp(x)
    """
    above, below = sp.fraction(sp.factor(ratio))
    upper, lower = (sp.roots(sp.Poly(part, index), multiple=True) for part in (above * (index + 1), below))
    lead = sp.LC(above, index) / sp.LC(below, index)
    return sp.hyper([-root for root in upper], sorted(-root for root in lower), lead * argument)
