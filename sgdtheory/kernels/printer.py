"""Print a scalar expression as one line of Python arithmetic, with float64 meaning and no hidden calls.

Only the nodes of `sgdtheory.expressions` can be printed; whole powers were turned into products before (see `lower`).
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp
from sympy.core.relational import Relational
from sympy.core.sorting import default_sort_key

FUNCTION_NAMES: dict[type, str] = {
    sp.exp: "exp",
    sp.log: "log",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.tan: "tan",
    sp.asin: "asin",
    sp.acos: "acos",
    sp.atan: "atan",
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.tanh: "tanh",
    sp.erf: "erf",
    sp.Abs: "abs",
}
_COMPARISONS = {sp.Lt: "<", sp.Le: "<=", sp.Gt: ">", sp.Ge: ">=", sp.Eq: "==", sp.Ne: "!="}


def print_expression(expression: sp.Basic) -> str:
    """Return source for the expression, fully bracketed where precedence matters.

    Examples
    --------
    >>> a, b = sp.symbols("a b")
    >>> print_expression(2 * a - b / sp.sqrt(a))
    '2.0*a - b/sqrt(a)'
    """
    for kind, printer in _PRINTERS:
        if isinstance(expression, kind):
            return printer(expression)
    raise TypeError(f"no printer for {type(expression).__name__}: {expression}")  # the whitelist was checked before


def _number(expression: sp.Expr) -> str:
    value = float(expression)
    return repr(value) if value >= 0 else f"({value!r})"


def _factor(expression: sp.Expr) -> str:
    text = print_expression(expression)
    return f"({text})" if isinstance(expression, (sp.Add, sp.Mul)) else text


def _add(expression: sp.Add) -> str:
    text = ""
    for term in sorted(expression.args, key=default_sort_key):
        negative = term.could_extract_minus_sign()
        piece = print_expression(-term if negative else term)
        if isinstance(term, sp.Add) or (negative and isinstance(-term, sp.Add)):
            piece = f"({piece})"
        text += (f" - {piece}" if negative else f" + {piece}") if text else (f"-{piece}" if negative else piece)
    return text


def _mul(expression: sp.Mul) -> str:
    above: list[sp.Expr] = []
    below: list[sp.Expr] = []
    for factor in sorted(expression.args, key=default_sort_key):
        inverse = isinstance(factor, sp.Pow) and factor.exp.is_Rational and factor.exp.is_negative
        (below if inverse else above).append(1 / factor if inverse else factor)
    sign = "-" if above and above[0] == -1 else ""
    above = above[1:] if sign else above
    text = sign + ("*".join(map(_factor, above)) or "1.0")
    for factor in below:
        text += f"/{_factor(factor)}"
    return text


def _pow(expression: sp.Pow) -> str:
    base, exponent = expression.args
    if exponent == sp.Rational(1, 2):
        return f"sqrt({print_expression(base)})"
    if exponent.is_Rational and exponent.is_negative:
        return f"1.0/{_factor(1 / expression)}"
    return f"pow({print_expression(base)}, {print_expression(exponent)})"


def _function(expression: sp.Function) -> str:
    return f"{FUNCTION_NAMES[type(expression)]}({print_expression(expression.args[0])})"


def _sign(expression: sp.Expr) -> str:
    x = print_expression(expression.args[0])
    return f"(1.0 if {x} > 0.0 else (-1.0 if {x} < 0.0 else 0.0))"


def _extremum(comparison: str) -> Callable[[sp.Expr], str]:
    def printer(expression: sp.Expr) -> str:
        first, *rest = (print_expression(a) for a in sorted(expression.args, key=default_sort_key))
        for other in rest:
            first = f"({first} if {first} {comparison} {other} else {other})"
        return first

    return printer


def _piecewise(expression: sp.Piecewise) -> str:
    text = "nan"
    for value, condition in reversed(expression.args):
        text = (
            print_expression(value)
            if condition == sp.true
            else (f"({print_expression(value)} if {print_expression(condition)} else {text})")
        )
    return f"({text})"


def _relation(expression: Relational) -> str:
    left, right = map(print_expression, expression.args)
    return f"({left} {_COMPARISONS[type(expression)]} {right})"


def _logic(word: str) -> Callable[[sp.Basic], str]:
    def printer(expression: sp.Basic) -> str:
        return "(" + f" {word} ".join(print_expression(a) for a in sorted(expression.args, key=default_sort_key)) + ")"

    return printer


_PRINTERS: tuple[tuple[type | tuple[type, ...], Callable[..., str]], ...] = (
    (sp.Symbol, lambda e: e.name),
    ((sp.Rational, sp.Float, sp.NumberSymbol), _number),
    (sp.Add, _add),
    (sp.Mul, _mul),
    (sp.exp, _function),  # before Pow: exp(x) is stored as a power of e in some versions
    (sp.Pow, _pow),
    (sp.Piecewise, _piecewise),
    (sp.sign, _sign),
    (sp.floor, lambda e: f"np.floor({print_expression(e.args[0])})"),
    (sp.Min, _extremum("<")),
    (sp.Max, _extremum(">")),
    (Relational, _relation),
    (sp.And, _logic("and")),
    (sp.Or, _logic("or")),
    (sp.Not, lambda e: f"(not {print_expression(e.args[0])})"),
    (sp.logic.boolalg.BooleanTrue, lambda e: "True"),
    (sp.logic.boolalg.BooleanFalse, lambda e: "False"),
    (tuple(FUNCTION_NAMES), _function),
)
