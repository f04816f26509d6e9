"""Steps composed one after another, exactly or as truncated power series in a small step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

import sympy as sp

from sgdtheory.errors import ArgumentError
from sgdtheory.optimizers import Optimizer


class State(NamedTuple):
    """Where an optimizer is: the position, and the buffers of each coordinate."""

    position: tuple[sp.Expr, ...]
    memory: tuple[tuple[sp.Expr, ...], ...]


Remainder = tuple[sp.Symbol, int] | None
"""(ε, p): keep the powers of ε below p. None: keep everything."""


def jet(expression: sp.Expr, step: sp.Symbol, order: int) -> sp.Expr:
    """Return the Taylor polynomial Σ_{k<p} f⁽ᵏ⁾(0) εᵏ/k!.

    Parameters
    ----------
    expression : expression
        f, smooth in ε at 0.
    step : Symbol
        ε.
    order : int
        p ≥ 1, the first power dropped.

    Returns
    -------
    Expr
        Polynomial in ε.

    Raises
    ------
    ArgumentError
        If a derivative at 0 is not finite.

    Examples
    --------
    >>> e = sp.Symbol("e", positive=True)
    >>> jet(sp.exp(e) / (1 - e), e, 3)
    5*e**2/2 + 2*e + 1
    """
    if expression.is_polynomial(step):  # the same, faster
        return sp.Poly(expression, step).slice(0, order).as_expr()
    terms, derivative = [], expression
    for k in range(order):
        terms.append(derivative.xreplace({step: sp.S.Zero}) * step**k / sp.factorial(k))
        derivative = derivative.diff(step)
    result = sp.expand(sp.Add(*terms))
    if result.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        raise ArgumentError("expression", expression, f"an expression that is smooth at {step} = 0")
    return result


def root_series(polynomial: sp.Poly, root: sp.Expr, step: sp.Symbol, order: int) -> sp.Expr:
    """Return the power series in ε of the root of a polynomial that is a given simple root at ε = 0.

    If the terms z found so far leave p(z) = aεᵏ + …, the next is −a/p'(z₀)·εᵏ: Newton's step, one power at a time.

    Parameters
    ----------
    polynomial : Poly
        p, in one generator z, with coefficients that are smooth in ε.
    root : expression
        z₀, a simple root at ε = 0.
    step : Symbol
        ε.
    order : int
        p ≥ 1, the first power dropped.

    Returns
    -------
    Expr
        Polynomial in ε.

    Raises
    ------
    ArgumentError
        If z₀ is no simple root at ε = 0.

    Examples
    --------
    >>> z, e = sp.symbols("z e")
    >>> root_series(sp.Poly(z**2 - 1 - e, z), sp.Integer(1), e, 3)
    -e**2/8 + e/2 + 1
    """
    (z,) = polynomial.gens
    expression = polynomial.as_expr()
    at_zero = {z: root, step: sp.S.Zero}
    slope = sp.simplify(expression.diff(z).subs(at_zero))
    if slope == 0 or sp.simplify(expression.subs(at_zero)) != 0:
        raise ArgumentError("root", root, f"a simple root of the polynomial at {step} = 0")
    series = sp.sympify(root)
    for power in range(1, order):
        defect = jet(expression.subs(z, series), step, power + 1).coeff(step, power)
        series -= sp.factor(defect / slope) * step**power
    return series


def generic_polynomial(name: str, coordinates: Sequence[sp.Symbol], degree: int) -> sp.Expr:
    """Return Σ_{1≤|α|≤k} c_α w^α/α!, the Taylor polynomial at the origin of any function, up to a constant.

    Parameters
    ----------
    name : str
        Of the coefficients: c_α, the derivative ∂^α at the origin, is the Symbol ``name_α1α2…``.
    coordinates : sequence of d Symbols
    degree : int
        k ≥ 1.

    Examples
    --------
    >>> generic_polynomial("c", sp.symbols("x y", real=True), 1)
    c_01*y + c_10*x
    """
    named = ((f"{name}_{''.join(map(str, powers))}", term) for powers, term in monomials(coordinates, degree))
    return sp.Add(*(sp.Symbol(coefficient, real=True) * term for coefficient, term in named))


def monomials(coordinates: Sequence[sp.Symbol], degree: int) -> Iterator[tuple[tuple[int, ...], sp.Expr]]:
    """Yield every α with 1 ≤ |α| ≤ degree, and w^α/α!."""
    for powers in exponents(len(coordinates), degree):
        yield powers, monomial(coordinates, powers)


def exponents(dimension: int, degree: int) -> Iterator[tuple[int, ...]]:
    """Yield every α with 1 ≤ |α| ≤ degree."""
    return (powers for powers in product(range(degree + 1), repeat=dimension) if 1 <= sum(powers) <= degree)


def monomial(coordinates: Sequence[sp.Symbol], powers: Sequence[int]) -> sp.Expr:
    """Return w^α/α!."""
    return sp.Mul(*(w**k / sp.factorial(k) for w, k in zip(coordinates, powers, strict=True)))


def compose(
    optimizer: Optimizer,
    gradients: Sequence[sp.MatrixBase],
    coordinates: Sequence[sp.Symbol],
    start: State,
    remainder: Remainder = None,
) -> State:
    """Return the state after one step on each gradient field in turn.

    Parameters
    ----------
    optimizer : Optimizer
    gradients : sequence of Matrix, shape (d, 1)
        The gradient each step sees, in the coordinates.
    coordinates : sequence of d Symbols
    start : State
        Numbers, or expressions in ε and further symbols.
    remainder : (Symbol, int), optional
        (ε, p): cut every series in ε below ε^p. By default the result is exact.

    Returns
    -------
    State

    Raises
    ------
    ArgumentError
        If the state does not fit the coordinates or the optimizer's buffers.

    Examples
    --------
    >>> from sgdtheory import SGD
    >>> x, e = sp.symbols("x e", positive=True)
    >>> compose(SGD(lr=e), [sp.Matrix([x**2])] * 2, [x], State((x,), ((),)), remainder=(e, 3)).position
    (2*e**2*x**3 - 2*e*x**2 + x,)
    """
    expected = (len(coordinates), [len(optimizer.buffers)] * len(coordinates))
    if (len(start.position), [len(m) for m in start.memory]) != expected:
        raise ArgumentError("start", start, f"{expected[0]} coordinates, each with buffers {optimizer.buffers}")

    position, memory = list(start.position), [list(m) for m in start.memory]
    for gradient in gradients:
        position, memory = optimizer.step(position, memory, partial(_evaluate, gradient, coordinates, remainder))
        position, memory = _cut(position, remainder), [_cut(row, remainder) for row in memory]
    return State(tuple(position), tuple(map(tuple, memory)))


def swap_gap(
    optimizer: Optimizer,
    first: sp.MatrixBase,
    second: sp.MatrixBase,
    coordinates: Sequence[sp.Symbol],
    start: State,
    remainder: Remainder = None,
) -> State:
    """Return the state after a step on the first and one on the second gradient field, minus that of the other order.

    Parameters
    ----------
    optimizer : Optimizer
    first, second : Matrix, shape (d, 1)
        Gradient fields, in the coordinates.
    coordinates : sequence of d Symbols
    start : State
    remainder : (Symbol, int), optional
        As in `compose`.

    Returns
    -------
    State
        Differences of position and of buffers.

    Examples
    --------
    >>> from sgdtheory import SGD
    >>> x, e = sp.symbols("x e", positive=True)
    >>> swap_gap(SGD(lr=e), sp.Matrix([1]), sp.Matrix([x]), [x], State((x,), ((),))).position
    (e**2,)
    """
    forth = compose(optimizer, (first, second), coordinates, start, remainder)
    back = compose(optimizer, (second, first), coordinates, start, remainder)
    memory = tuple(_difference(*rows) for rows in zip(forth.memory, back.memory, strict=True))
    return State(_difference(forth.position, back.position), memory)


def _evaluate(
    field: sp.MatrixBase, coordinates: Sequence[sp.Symbol], remainder: Remainder, at: Sequence[sp.Expr]
) -> list[sp.Expr]:
    values = dict(zip(coordinates, at, strict=True))
    return _cut([component.xreplace(values) for component in field], remainder)


def _cut(series: Sequence[sp.Expr], remainder: Remainder) -> list[sp.Expr]:
    return list(series) if remainder is None else [jet(s, *remainder) for s in series]


def _difference(left: Sequence[sp.Expr], right: Sequence[sp.Expr]) -> tuple[sp.Expr, ...]:
    return tuple(sp.expand(a - b) for a, b in zip(left, right, strict=True))
