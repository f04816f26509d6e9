"""Expressions as functions of arrays, evaluated node by node: no text is written, so no name can get into any."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike

from sgdtheory.errors import NoClosedFormError

Operation = Callable[..., Any]


def _erf(x: ArrayLike) -> Any:
    from scipy.special import erf  # the one function numpy does not have, and slow to import

    return erf(x)


def _joined(binary: Operation) -> Operation:
    return lambda *parts: reduce(binary, parts)


def _piecewise(*parts: Any) -> Any:
    """Choose by the first condition that is true; the parts are values and conditions in turn."""
    chosen: Any = np.nan
    for value, condition in reversed(list(zip(parts[::2], parts[1::2], strict=True))):
        chosen = np.where(condition, value, chosen)
    return chosen


_OPERATIONS: dict[type, Operation] = {
    sp.Add: _joined(np.add),
    sp.Mul: _joined(np.multiply),
    sp.Min: _joined(np.minimum),
    sp.Max: _joined(np.maximum),
    sp.And: _joined(np.logical_and),
    sp.Or: _joined(np.logical_or),
    sp.Not: np.logical_not,
    sp.Pow: operator.pow,
    sp.Piecewise: _piecewise,
    sp.Heaviside: np.heaviside,
    sp.Lt: np.less,
    sp.Le: np.less_equal,
    sp.Gt: np.greater,
    sp.Ge: np.greater_equal,
    sp.Eq: np.equal,
    sp.Ne: np.not_equal,
    sp.exp: np.exp,
    sp.log: np.log,
    sp.sin: np.sin,
    sp.cos: np.cos,
    sp.tan: np.tan,
    sp.asin: np.arcsin,
    sp.acos: np.arccos,
    sp.atan: np.arctan,
    sp.sinh: np.sinh,
    sp.cosh: np.cosh,
    sp.tanh: np.tanh,
    sp.erf: _erf,
    sp.Abs: np.abs,
    sp.sign: np.sign,
    sp.floor: np.floor,
}


def on_arrays(symbols: Sequence[sp.Symbol], expressions: Sequence[sp.Basic]) -> Callable[..., list[Any]]:
    """Return a function of arrays, one a symbol, that gives the values of expressions; equal parts are computed once.

    Parameters
    ----------
    symbols : sequence of k Symbols
    expressions : sequence of expressions
        Of the kinds `sgdtheory.expressions` lists, and their derivatives.

    Returns
    -------
    callable
        k arrays → a list of arrays or numbers, one an expression.

    Raises
    ------
    NoClosedFormError
        For a part that has no values, such as a delta function, or a symbol not among those given.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> on_arrays([x, y], [sp.sqrt(x) + y**2])(np.array([4.0, 9.0]), 1.0)
    [array([3., 4.])]
    """
    places: dict[sp.Basic, int] = {symbol: i for i, symbol in enumerate(symbols)}
    steps: list[tuple[Operation, tuple[int, ...]]] = []

    def place(node: sp.Basic) -> int:
        if node not in places:
            parts = [a for pair in node.args for a in pair.args] if isinstance(node, sp.Piecewise) else node.args
            number = _number(node)
            step = (_operation(node), tuple(map(place, parts))) if number is None else (_constant(number), ())
            steps.append(step)
            places[node] = len(symbols) + len(steps) - 1
        return places[node]

    results = [place(expression) for expression in expressions]
    last = {i: k for k, (_, inputs) in enumerate(steps) for i in inputs}
    spent = [tuple(i for i in set(inputs) if last[i] == k and i not in results) for k, (_, inputs) in enumerate(steps)]

    def evaluate(*arrays: ArrayLike) -> list[Any]:
        values: list[Any] = list(arrays)
        for (operation, inputs), done in zip(steps, spent, strict=True):
            values.append(operation(*[values[i] for i in inputs]))
            for i in done:  # large arrays go as soon as nothing needs them
                values[i] = None
        return [values[i] for i in results]

    return evaluate


def _number(node: sp.Basic) -> float | bool | None:
    """Return the value of what holds no symbols."""
    if node in (sp.true, sp.false):
        return bool(node)
    return float(node) if isinstance(node, sp.Expr) and node.is_number and node.is_extended_real else None


def _constant(number: float | bool) -> Operation:
    return lambda: number


def _operation(node: sp.Basic) -> Operation:
    if type(node) not in _OPERATIONS:
        raise NoClosedFormError(f"{node} has no values")
    return _OPERATIONS[type(node)]
