"""Learning-rate schedules: expressions in the step's number t, 1 for the first step.

Any expression in `sgdtheory.symbols.step` is a schedule; these are the usual ones.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from sgdtheory.errors import ArgumentError
from sgdtheory.expressions import check_expression
from sgdtheory.laws import Number
from sgdtheory.symbols import step as t


def steps(initial: Number, factor: Number, every: int) -> sp.Expr:
    """Return η₀ f^⌊(t−1)/k⌋: the rate is multiplied by f after every k steps.

    Examples
    --------
    >>> [steps(1, sp.Rational(1, 2), 2).subs(t, k) for k in (1, 2, 3, 5)]
    [1, 1, 1/2, 1/4]
    """
    every = _count("every", every)
    # half a step on, the same whole number for every t, so that no rounding of the fraction can miss it
    return _number("initial", initial) * _number("factor", factor) ** sp.floor((t - sp.Rational(1, 2)) / every)


def power(initial: Number, exponent: Number, offset: Number = 0) -> sp.Expr:
    """Return η₀ (t + t₀)^(−p).

    Examples
    --------
    >>> power(1, 2).subs(t, 3)
    1/9
    """
    return _number("initial", initial) * (t + _number("offset", offset)) ** -_number("exponent", exponent)


def inverse_time(initial: Number, scale: Number) -> sp.Expr:
    """Return η₀/(1 + (t − 1)/τ): it begins at η₀ and is halved after τ steps.

    Examples
    --------
    >>> inverse_time(1, 10).subs(t, 11)
    1/2
    """
    return _number("initial", initial) / (1 + (t - 1) / _number("scale", scale))


def cosine(initial: Number, total: int, final: Number = 0) -> sp.Expr:
    """Return η₁ + (η₀ − η₁)(1 + cos(π(t − 1)/T))/2: from η₀ down to η₁ after T steps, and constant from there on.

    Examples
    --------
    >>> [cosine(1, 4).subs(t, k) for k in (1, 3, 5, 9)]
    [1, 1/2, 0, 0]
    """
    total = _count("total", total)
    low = _number("final", final)
    return low + (_number("initial", initial) - low) * (1 + sp.cos(sp.pi * sp.Min(t - 1, total) / total)) / 2


def _count(argument: str, value: object) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ArgumentError(argument, value, "a whole number of steps >= 1")
    return int(value)


def _number(argument: str, value: Number) -> sp.Expr:
    return check_expression(value, (), argument)
