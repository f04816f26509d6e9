"""Lie brackets of vector fields, and of the fields along which training examples push the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from sgdtheory.errors import ArgumentError
from sgdtheory.expressions import as_scalar
from sgdtheory.laws import Number, data_symbol
from sgdtheory.problem import Problem


def descent_field(loss: sp.Expr, coordinates: Sequence[sp.Symbol]) -> sp.ImmutableMatrix:
    """Return v = −∇L, the direction in which a step on this loss moves.

    Parameters
    ----------
    loss : expression
        L, in the coordinates.
    coordinates : sequence of d Symbols

    Returns
    -------
    ImmutableMatrix, shape (d, 1)

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> list(descent_field(x**2 / 2 + x * y, [x, y]))
    [-x - y, -x]
    """
    return sp.ImmutableMatrix([-sp.diff(loss, w) for w in coordinates])


def derivative_along(
    field: sp.MatrixBase, direction: Sequence[Number] | sp.MatrixBase, coordinates: Sequence[sp.Symbol], order: int = 1
) -> sp.ImmutableMatrix:
    """Return (u·∇)^k f with the direction u held fixed: f'u for k = 1, f''(u, u) for k = 2.

    Parameters
    ----------
    field : Matrix, shape (d, 1)
        f, in the coordinates.
    direction : sequence of d expressions or Matrix, shape (d, 1)
        u; it may depend on the coordinates, and is not differentiated.
    coordinates : sequence of d Symbols
    order : int
        k ≥ 1.

    Returns
    -------
    ImmutableMatrix, shape (d, 1)

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> list(derivative_along(sp.Matrix([x * y, x**2]), [y, 1], [x, y], order=2))
    [2*y, 2*y**2]
    """
    fixed = [sp.Dummy(f"u{i}") for i in range(len(coordinates))]
    result = sp.Matrix(field)
    for _ in range(order):
        result = result.jacobian(list(coordinates)) * sp.Matrix(fixed)
    return sp.ImmutableMatrix(
        result.xreplace(dict(zip(fixed, (as_scalar(u, "direction") for u in direction), strict=True)))
    )


def lie_bracket(first: sp.MatrixBase, second: sp.MatrixBase, coordinates: Sequence[sp.Symbol]) -> sp.ImmutableMatrix:
    """Return the Lie bracket [f, g] = (f·∇)g − (g·∇)f of two vector fields.

    To second order in ε, moving ε along f and then ε along g ends ε²[f, g] away from moving along g and then f.

    Parameters
    ----------
    first, second : Matrix, shape (d, 1)
        f and g, in the coordinates.
    coordinates : sequence of d Symbols

    Returns
    -------
    ImmutableMatrix, shape (d, 1)

    Raises
    ------
    ArgumentError
        If a field does not have one component a coordinate.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> list(lie_bracket(sp.Matrix([1, 0]), sp.Matrix([0, x]), [x, y]))
    [0, 1]
    """
    for name, field in (("first", first), ("second", second)):
        if field.shape != (len(coordinates), 1):
            raise ArgumentError(name, f"shape {field.shape}", f"shape {(len(coordinates), 1)}")
    difference = derivative_along(second, first, coordinates) - derivative_along(first, second, coordinates)
    return sp.ImmutableMatrix(difference.expand())


def example_bracket(problem: Problem, first: Mapping[str, Number], second: Mapping[str, Number]) -> sp.ImmutableMatrix:
    """Return the Lie bracket of the descent fields of two training examples, as a function of the coordinates.

    [v⁽¹⁾, v⁽²⁾] with v⁽ⁱ⁾(w) = −∇ℓ(w; example i).

    Parameters
    ----------
    problem : Problem
    first, second : mapping of str to number or expression
        The two examples: each data symbol's name and its value.

    Returns
    -------
    ImmutableMatrix, shape (d, 1)

    Raises
    ------
    ArgumentError
        If an example lacks a data symbol or names one that the problem does not have.

    References
    ----------
    pb1729 (2026), The Training Example Lie Bracket.

    Examples
    --------
    >>> from sgdtheory import Fresh, Normal
    >>> regression = Problem("(y - w*x)**2/2", ["w"], Fresh(x=Normal(), y=Normal()))
    >>> example_bracket(regression, {"x": 1, "y": 0}, {"x": 2, "y": 1})
    Matrix([[2]])
    """
    one, other = _example_field(problem, "first", first), _example_field(problem, "second", second)
    return lie_bracket(one, other, problem.coordinates)


def _example_field(problem: Problem, argument: str, example: Mapping[str, Number]) -> sp.ImmutableMatrix:
    names = [s.name for s in problem.data.symbols]
    if set(example) != set(names):
        raise ArgumentError(argument, sorted(example), f"a value for each of: {', '.join(names) or 'no data symbols'}")
    values = dict(problem.parameters) | {data_symbol(key): as_scalar(value, argument) for key, value in example.items()}
    return sp.ImmutableMatrix(-problem.example_gradient.xreplace(values))
