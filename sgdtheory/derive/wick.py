"""Moments of jointly normal numbers of mean zero: Isserlis' theorem (Wick's), as a recursion."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import sympy as sp

from sgdtheory.errors import ArgumentError, NoClosedFormError

Powers = tuple[int, ...]


def gaussian_mean(expression: sp.Expr, variables: Sequence[sp.Symbol], covariance: sp.Matrix) -> sp.Expr:
    """Return E p(x) of a polynomial p in jointly normal x of mean zero and covariance C.

    By Stein's identity E xᵢ f(x) = Σⱼ Cᵢⱼ E ∂ⱼf(x), which lowers the degree by two; unrolled, it sums the products of
    covariances over all pairings (Isserlis).

    Parameters
    ----------
    expression : expression
        p; further symbols are constants.
    variables : sequence of d Symbols
        x.
    covariance : Matrix, shape (d, d)
        C, symmetric; symbols allowed.

    Returns
    -------
    Expr

    Raises
    ------
    ArgumentError
        If the covariance is not symmetric of this size.
    NoClosedFormError
        If p is no polynomial in x.

    References
    ----------
    Isserlis (1918), On a formula for the product-moment coefficient of any order of a normal frequency distribution.

    Examples
    --------
    >>> x, y, r = sp.symbols("x y r")
    >>> gaussian_mean(x**2 * y**2, [x, y], sp.Matrix([[1, r], [r, 1]]))
    2*r**2 + 1
    """
    size = len(variables)
    c = sp.ImmutableMatrix(covariance)
    if c.shape != (size, size) or not c.is_symmetric():
        raise ArgumentError("covariance", covariance, f"a symmetric matrix, shape {(size, size)}")
    try:
        terms = sp.Poly(expression, *variables).terms()
    except sp.PolynomialError as error:
        names = ", ".join(s.name for s in variables)
        raise NoClosedFormError(f"E[{expression}] is not known here: it is no polynomial in {names}") from error

    @cache
    def moment(powers: Powers) -> sp.Expr:
        first = next((i for i, k in enumerate(powers) if k), None)
        if first is None:
            return sp.S.One
        rest = _lowered(powers, first)
        return sp.Add(*(c[first, j] * k * moment(_lowered(rest, j)) for j, k in enumerate(rest) if k))

    return sp.expand(sp.Add(*(coefficient * moment(powers) for powers, coefficient in terms)))


def _lowered(powers: Powers, index: int) -> Powers:
    """Return the powers of the monomial divided by one variable."""
    return (*powers[:index], powers[index] - 1, *powers[index + 1 :])
