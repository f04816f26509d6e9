"""Laws of one number: each a transform of primitive draws, with exact moments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol, TypeAlias

import numpy as np
import sympy as sp

from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.expressions import check_expression, parse

Primitive: TypeAlias = Literal["normal", "uniform"]
Number: TypeAlias = int | float | sp.Expr

_U = sp.Symbol("u", real=True)
_INSIDE = tuple(k / 128 for k in range(1, 128, 2))
_ENDS = tuple(end for k in range(8, 54) for end in (2.0**-k, 1 - 2.0**-k))
_LARGEST_EXPANSION = 5_000


class Law(Protocol):
    """A distribution on the line, given as a transform of a primitive one."""

    @property
    def primitives(self) -> tuple[Primitive, ...]:
        """The primitive draws it is made of: standard normal, or uniform on [0, 1)."""

    def transform(self, *draws: sp.Expr) -> sp.Expr:
        """Turn primitive draws into a draw of this law."""

    def moment(self, order: int) -> sp.Expr:
        """Return E[X^order] exactly, or raise NoClosedFormError where it does not exist or is not known."""


@dataclass(frozen=True)
class Normal:
    """Normal law with density ∝ exp(−(x−mean)²/(2 std²)).

    Parameters
    ----------
    mean, std : number or expression
        Mean and standard deviation, std ≥ 0.

    Examples
    --------
    >>> Normal(0, 2).moment(4)
    48
    """

    mean: sp.Expr = sp.S.Zero
    std: sp.Expr = sp.S.One

    def __init__(self, mean: Number = 0, std: Number = 1) -> None:
        _set(self, mean=mean, std=standard_deviation(std, "std"))

    @property
    def primitives(self) -> tuple[Primitive, ...]:
        """One standard normal."""
        return ("normal",)

    def transform(self, draw: sp.Expr) -> sp.Expr:
        """Return mean + std·draw."""
        return self.mean + self.std * draw

    def moment(self, order: int) -> sp.Expr:
        """Return E[X^order] by the binomial formula and the double factorial."""
        even = range(0, _order(order) + 1, 2)
        terms = (sp.binomial(order, k) * self.mean ** (order - k) * self.std**k * sp.factorial2(k - 1) for k in even)
        return sp.Add(*terms)


@dataclass(frozen=True)
class Uniform:
    """Uniform law on [low, high).

    Examples
    --------
    >>> Uniform(-1, 1).moment(2)
    1/3
    """

    low: sp.Expr = sp.S.Zero
    high: sp.Expr = sp.S.One

    def __init__(self, low: Number = 0, high: Number = 1) -> None:
        _set(self, low=low, high=high)
        if (self.high - self.low).is_negative:
            raise ArgumentError("low, high", (low, high), "low <= high", "swap them")

    @property
    def primitives(self) -> tuple[Primitive, ...]:
        """One uniform on [0, 1)."""
        return ("uniform",)

    def transform(self, draw: sp.Expr) -> sp.Expr:
        """Return low + (high − low)·draw."""
        return self.low + (self.high - self.low) * draw

    def moment(self, order: int) -> sp.Expr:
        """Return the mean of x^order over the interval, as a polynomial in its ends."""
        return sp.Add(*(self.low**j * self.high ** (order - j) for j in range(_order(order) + 1))) / (order + 1)


@dataclass(frozen=True)
class Rademacher:
    """A fair sign, −1 or +1.

    Examples
    --------
    >>> Rademacher().moment(3), Rademacher().moment(4)
    (0, 1)
    """

    @property
    def primitives(self) -> tuple[Primitive, ...]:
        """One uniform on [0, 1)."""
        return ("uniform",)

    def transform(self, draw: sp.Expr) -> sp.Expr:
        """Return −1 below one half, +1 from there on."""
        return sp.Piecewise((-1, draw < sp.Rational(1, 2)), (1, True))

    def moment(self, order: int) -> sp.Expr:
        """Return 1 for even orders, 0 for odd ones."""
        return sp.Integer(1 - _order(order) % 2)


@dataclass(frozen=True)
class StudentT:
    """Student's t law, mean + scale·T with T of density ∝ (1 + t²/dof)^(−(dof+1)/2): P(|T| > t) falls as t^(−dof).

    Parameters
    ----------
    dof : number or expression
        Degrees of freedom ν > 0. Moments exist below order ν.
    mean, scale : number or expression
        Centre (the mean where ν > 1) and scale ≥ 0; the variance is scale²·ν/(ν − 2) for ν > 2.

    References
    ----------
    Bailey (1994), Polar generation of random variates with the t-distribution.

    Examples
    --------
    >>> StudentT(5).moment(2), StudentT(5).moment(4)
    (5/3, 25)
    """

    dof: sp.Expr
    mean: sp.Expr = sp.S.Zero
    scale: sp.Expr = sp.S.One

    def __init__(self, dof: Number, mean: Number = 0, scale: Number = 1) -> None:
        _set(self, dof=dof, mean=mean, scale=scale)
        if self.dof.is_positive is False:
            raise ArgumentError("dof", dof, "a number > 0")
        if self.scale.is_negative:
            raise ArgumentError("scale", scale, "a number >= 0")

    @property
    def primitives(self) -> tuple[Primitive, ...]:
        """Two uniforms on [0, 1)."""
        return ("uniform", "uniform")

    def transform(self, radial: sp.Expr, angular: sp.Expr) -> sp.Expr:
        """Return mean + scale·√(dof·(q^(−2/dof) − 1))·cos 2πv by Bailey's polar method, q = 1 − u, which is never 0.

        The difference under the root is written q^(−1/dof)·2 sinh(−log(q)/dof): it neither cancels nor overflows early.
        """
        q = 1 - radial
        radius = sp.sqrt(2 * self.dof * sp.sinh(-sp.log(q) / self.dof)) * q ** (-1 / (2 * self.dof))
        return self.mean + self.scale * radius * sp.cos(2 * sp.pi * angular)

    def moment(self, order: int) -> sp.Expr:
        """Return E[X^order] by the binomial formula and E T^2m = dof^m ∏ᵢ (2i − 1)/(dof − 2i), i = 1 … m.

        Raises
        ------
        NoClosedFormError
            Unless order < dof: there is no such moment, or (dof a symbol) it is not known whether there is.
        """
        if _order(order) and not (self.dof - order).is_positive:
            fix = "bind it to a number" if self.dof.free_symbols else "use a law with lighter tails"
            raise NoClosedFormError(
                f"the moment of order {order} of Student's t law does not exist for dof <= {order}; dof is {self.dof}. "
                f"Fix: {fix}"
            )
        terms = (
            sp.binomial(order, 2 * m) * self.mean ** (order - 2 * m) * self.scale ** (2 * m) * self._standard(m)
            for m in range(order // 2 + 1)
        )
        return sp.Add(*terms)

    def _standard(self, half: int) -> sp.Expr:
        return sp.Mul(*(self.dof * (2 * i - 1) / (self.dof - 2 * i) for i in range(1, half + 1)))


@dataclass(frozen=True)
class Quantile:
    """The law of Q(u), u uniform on [0, 1): any law by its inverse distribution function.

    Q need not be increasing: every function of a uniform number is a law. It may be infinite at either end.

    Parameters
    ----------
    function : str, expression or Lambda
        Q, in the symbol ``u`` alone. Text is parsed, not evaluated.

    Raises
    ------
    ArgumentError
        For other symbols, and where Q is not a real number inside (0, 1).

    Examples
    --------
    >>> exponential = Quantile("-log(1 - u)")
    >>> [exponential.moment(k) for k in range(5)]
    [1, 1, 2, 6, 24]
    """

    function: sp.Lambda

    def __init__(self, function: sp.Expr | sp.Lambda | str) -> None:
        body = function(_U) if isinstance(function, sp.Lambda) and len(function.signature) == 1 else function
        if isinstance(body, str):
            body = parse(body, [_U], "function")
        elif isinstance(body, sp.Basic):
            body = body.xreplace({s: _U for s in body.free_symbols if s.name == _U.name})
        body = check_expression(body, [_U], "function")
        _refuse_undefined(body)
        object.__setattr__(self, "function", sp.Lambda(_U, body))  # the bound u is no parameter of the law

    @property
    def primitives(self) -> tuple[Primitive, ...]:
        """One uniform on [0, 1)."""
        return ("uniform",)

    def transform(self, draw: sp.Expr) -> sp.Expr:
        """Return Q(draw)."""
        return self.function(draw)

    def moment(self, order: int) -> sp.Expr:
        """Return ∫ Q(u)^order du exactly, for sums of powers of u, or of 1 − u, times powers of its logarithm.

        Raises
        ------
        NoClosedFormError
            For other functions, or where the integral diverges.
        """
        body = self.function(_U)  # .expr of the identity is in another symbol
        found = _unit_integral(body, _order(order))
        if found is None:
            raise NoClosedFormError(
                f"the moment of order {order} of the law of {body}: the integral over 0 < u < 1 "
                "diverges, or is no sum of those of powers of u, or of 1 - u, and their logarithm, known here"
            )
        return found


def standard_deviation(value: Number, argument: str) -> sp.Expr:
    """Return a standard deviation as an expression, unless it is negative."""
    std = check_expression(value, None, argument)
    if std.is_negative:
        raise ArgumentError(argument, value, "a number >= 0", "give the standard deviation, not its negative")
    return std


def law_numbers(law: Law) -> dict[str, sp.Expr]:
    """Return the parameters of a law by name; a quantile function is none, it is the law's form."""
    return {n: e for n, e in vars(law).items() if isinstance(e, sp.Expr) and not isinstance(e, sp.Lambda)}


def law_symbols(law: Law) -> set[sp.Symbol]:
    """Return the symbols among the parameters of a law."""
    return set().union(*(entry.free_symbols for entry in law_numbers(law).values()))


@lru_cache(maxsize=256)
def _unit_integral(expression: sp.Expr, power: int) -> sp.Expr | None:
    """Return ∫₀¹ expression^power du with u or 1 − u = e^(−x), or None if that gives no sum of c·x^m·e^((1−r)x)."""
    terms = len(sp.Add.make_args(sp.expand(expression)))
    if math.comb(terms + power - 1, power) > _LARGEST_EXPANSION:
        return None
    x = sp.Dummy(positive=True)
    for u in (sp.exp(-x), 1 - sp.exp(-x)):
        integrals = [_gamma_integral(t, x) for t in sp.Add.make_args(sp.expand(expression.xreplace({_U: u}) ** power))]
        if None not in integrals:
            return sp.Add(*integrals)
    return None


def _gamma_integral(term: sp.Expr, x: sp.Symbol) -> sp.Expr | None:
    """Return ∫₀^∞ c·x^m·e^((1−r)x)·e^(−x) dx = c·Γ(m + 1)/r^(m + 1), or None if it diverges or has another form."""
    coefficient, rest = term.as_independent(x)
    power, rate = sp.S.Zero, sp.S.One
    for factor in sp.Mul.make_args(rest):
        base, exponent = factor.as_base_exp()
        if base == sp.E and (exponent / x).is_number:
            rate -= exponent / x
        elif base == x and exponent.is_number:
            power += exponent
        elif factor != 1:
            return None
    if not (power > -1 and rate > 0):
        return None
    return coefficient * sp.gamma(power + 1) / rate ** (power + 1)


def _refuse_undefined(quantile: sp.Expr) -> None:
    """Refuse a function of u that is not finite inside (0, 1), or no real number near the ends."""
    evaluate = sp.lambdify([_U], quantile, modules="math")
    for at in _INSIDE + _ENDS:
        value = _real_or_nan(evaluate, at)
        if math.isnan(value) or (at in _INSIDE and math.isinf(value)):
            raise ArgumentError(
                "function", f"{quantile}, which is {value} at u = {at:.3g}", "a real number for 0 < u < 1"
            )


def _real_or_nan(function: object, at: float) -> float:
    try:
        value = function(at)  # type: ignore[operator]
    except OverflowError:
        return math.inf
    except (ValueError, ZeroDivisionError, TypeError):
        return math.nan
    return math.nan if isinstance(value, complex) else float(value)


def _set(value: object, **fields: Number) -> None:
    for name, entry in fields.items():
        object.__setattr__(value, name, check_expression(entry, None, name))


def _order(order: int) -> int:
    if not isinstance(order, (int, np.integer, sp.Integer)) or order < 0:
        raise ArgumentError("order", order, "a whole number >= 0")
    return int(order)
