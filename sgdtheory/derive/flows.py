"""Steps and flows as power series in a small time, and the field whose flow does what a step does.

A series is a sequence of polynomial vector fields: of a step, the terms d₁, d₂, … of its displacement εd₁ + ε²d₂ + …;
of a field that depends on ε, the terms f₁, f₂, … of f₁ + εf₂ + …. As everything is a polynomial, sums and products are
taken in a polynomial ring, which is faster by far than in expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement
from math import factorial, prod

import sympy as sp
from sympy.polys.rings import PolyElement

from sgdtheory.errors import ArgumentError

Series = tuple[sp.ImmutableMatrix, ...]
"""One field, shape (d, 1), a power of ε."""

_Field = list[PolyElement]


def series(*terms: sp.MatrixBase, length: int) -> Series:
    """Return the series with these terms, and zero for the rest.

    Parameters
    ----------
    *terms : Matrix, shape (d, 1)
        At least one: all have one shape.
    length : int
        Number of terms of the result.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> [list(term) for term in series(sp.Matrix([x]), length=2)]
    [[x], [0]]
    """
    shapes = {term.shape for term in terms}
    if len(shapes) != 1:
        raise ArgumentError("terms", sorted(shapes), "one or more fields of the same shape")
    nothing = sp.ImmutableMatrix.zeros(*shapes.pop())
    return tuple(map(sp.ImmutableMatrix, terms)) + (nothing,) * (length - len(terms))


def flow(field: Series, coordinates: Sequence[sp.Symbol]) -> Series:
    """Return the displacement of the flow of f₁ + εf₂ + … in the time ε, to as many terms: exp(Σεᵏ fₖ·∇)w − w.

    Parameters
    ----------
    field : Series
        Polynomials in the coordinates and any further symbols.
    coordinates : sequence of d Symbols

    Returns
    -------
    Series
        Multiplied out.

    Raises
    ------
    ArgumentError
        If a field is no polynomial, or does not have one component a coordinate.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> [term[0] for term in flow(series(sp.Matrix([x]), length=3), [x])]  # (exp(ε) − 1)x
    [x, x/2, x/6]
    """
    return _in_ring(_flow, coordinates, field)


def modified(step: Series, coordinates: Sequence[sp.Symbol]) -> Series:
    """Return the field whose flow for the time ε ends where the step ends: backward error analysis.

    The n-th term of a field enters its flow at εⁿ for the first time, and there as it stands; so it is what the
    earlier terms leave of the step at εⁿ.

    Parameters
    ----------
    step : Series
        Polynomials in the coordinates and any further symbols.
    coordinates : sequence of d Symbols

    Returns
    -------
    Series
        Multiplied out.

    Raises
    ------
    ArgumentError
        If a field is no polynomial, or does not have one component a coordinate.

    References
    ----------
    Barrett, Dherin (2021), Implicit gradient regularization.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> [term[0] for term in modified(series(-sp.Matrix([x]), length=3), [x])]  # x·log(1 − ε)/ε
    [-x, -x/2, -x/3]
    """
    return _in_ring(_modified, coordinates, step)


def then(first: Series, second: Series, coordinates: Sequence[sp.Symbol]) -> Series:
    """Return the displacement of one step followed by another.

    Parameters
    ----------
    first, second : Series
        Of the same length, polynomials; the second is taken where the first ends.
    coordinates : sequence of d Symbols

    Returns
    -------
    Series
        Multiplied out.

    Raises
    ------
    ArgumentError
        If a field is no polynomial, or does not have one component a coordinate, or the lengths differ.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> step = series(sp.Matrix([x]), length=2)
    >>> [term[0] for term in then(step, step, [x])]  # (1 + ε)²x − x
    [2*x, x]
    """
    if len(first) != len(second):
        raise ArgumentError("second", f"{len(second)} terms", f"{len(first)}, as the first has")
    return _in_ring(_then, coordinates, first, second)


def _in_ring(operation: Callable[..., list[_Field]], coordinates: Sequence[sp.Symbol], *arguments: Series) -> Series:
    """Do it on polynomials of a ring, of which the coordinates are the first generators."""
    d = len(coordinates)
    for term in (term for argument in arguments for term in argument):
        if term.shape != (d, 1):
            raise ArgumentError("field", f"shape {term.shape}", f"shape {(d, 1)}")
    others = set().union(*(term.free_symbols for argument in arguments for term in argument)) - set(coordinates)
    ring = sp.polys.rings.PolyRing([*coordinates, *sorted(others, key=lambda s: s.name)], sp.QQ)
    try:
        polynomials = [[[ring.from_expr(entry) for entry in term] for term in argument] for argument in arguments]
    except ValueError as error:
        raise ArgumentError("field", list(arguments[0][0]), "polynomials") from error
    result = operation(*polynomials, ring.gens[:d])
    return tuple(sp.ImmutableMatrix([entry.as_expr() for entry in term]) for term in result)


def _flow(field: list[_Field], w: Sequence[PolyElement]) -> list[_Field]:
    result = power = field
    for r in range(2, len(field) + 1):
        power = [_derived(field, power, w, n) for n in range(len(field))]
        result = [
            [d + p / factorial(r) for d, p in zip(*terms, strict=True)] for terms in zip(result, power, strict=True)
        ]
    return result


def _derived(field: list[_Field], power: list[_Field], w: Sequence[PolyElement], n: int) -> _Field:
    """Return the n-th term of (f·∇) applied to a series; either begins at ε, so the result begins at ε²."""
    zero = w[0].ring.zero
    return [
        sum((u * power[n - k - 1][i].diff(x) for k in range(n) for u, x in zip(field[k], w, strict=True)), zero)
        for i in range(len(w))
    ]


def _modified(step: list[_Field], w: Sequence[PolyElement]) -> list[_Field]:
    field: list[_Field] = []
    for n, term in enumerate(step):
        flown = _flow([*field, [x.ring.zero for x in w]], w)[n]
        field.append([d - f for d, f in zip(term, flown, strict=True)])
    return field


def _then(first: list[_Field], second: list[_Field], w: Sequence[PolyElement]) -> list[_Field]:
    """Expand the second step at the start of the first: Σ_α ∂^α d·δ^α/α!, δ the first displacement, cut as it grows."""
    result = [list(term) for term in first]
    for k, term in enumerate(second):
        for r in range(len(first) - k):
            for directions in combinations_with_replacement(range(len(w)), r):
                weight = prod(factorial(directions.count(i)) for i in set(directions))
                for power, factor in _product([[t[i] for t in first] for i in directions], len(first) - k):
                    for i, entry in enumerate(term):
                        slope = entry
                        for j in directions:
                            slope = slope.diff(w[j])
                        result[k + power][i] += factor * slope / weight
    return result


def _product(factors: Sequence[_Field], length: int) -> list[tuple[int, PolyElement | int]]:
    """Multiply series that begin at ε¹ each; return (power of ε, coefficient) below ε^length."""
    result: dict[int, PolyElement | int] = {0: 1}
    for factor in factors:
        grown: dict[int, PolyElement | int] = {}
        for power, value in result.items():
            for k, coefficient in enumerate(factor, start=1):
                if power + k < length:
                    grown[power + k] = grown.get(power + k, 0) + value * coefficient
        result = grown
    return list(result.items())
