"""Gradients that are polynomial in the data: a batch enters through the means of a few monomials."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from sgdtheory.dynamics import Dynamics
from sgdtheory.laws import data_polynomial


@dataclass(frozen=True)
class MonomialForm:
    """A batch gradient as a function of means of monomials of the data.

    Parameters
    ----------
    symbols : tuple of Symbols
        The means.
    monomials : tuple of expressions
        In the data symbols, one a mean.
    gradient : tuple of d expressions
        Batch gradient, in the coordinates, parameters and `symbols`.
    """

    symbols: tuple[sp.Symbol, ...]
    monomials: tuple[sp.Expr, ...]
    gradient: tuple[sp.Expr, ...]


def monomial_form(dynamics: Dynamics, most: int) -> MonomialForm | None:
    """Return the batch gradient in means of at most so many monomials, or None if it takes more or is no polynomial.

    ∇ℓ = Σⱼ cⱼ(w)·mⱼ(data), so the mean over a batch is Σⱼ cⱼ(w)·m̄ⱼ: an example costs the monomials alone.

    Parameters
    ----------
    dynamics : Dynamics
    most : int

    Returns
    -------
    MonomialForm or None

    Examples
    --------
    >>> from sgdtheory import SGD, make_dynamics, scalar_mean
    >>> form = monomial_form(make_dynamics(scalar_mean(), SGD()), most=2)
    >>> form.monomials, form.gradient
    ((y,), (beta - m0,))
    """
    data = dynamics.data.symbols
    names: dict[tuple[int, ...], sp.Symbol] = {}
    gradient = []
    for component in dynamics.example_gradient if data else ():
        terms = data_polynomial(component, data)
        if terms is None:
            return None
        for powers, _ in terms:
            if any(powers):
                names.setdefault(powers, sp.Symbol(f"m{len(names)}", real=True))
        if len(names) > most:
            return None
        gradient.append(sp.Add(*(c * names.get(powers, sp.S.One) for powers, c in terms)))
    if not names:
        return None
    monomials = tuple(sp.Mul(*(x**k for x, k in zip(data, powers, strict=True))) for powers in names)
    return MonomialForm(tuple(names.values()), monomials, tuple(gradient))
