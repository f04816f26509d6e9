"""What may stand in an expression: the whitelist, its check, and a parser for text that never evaluates it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

import sympy as sp

from sgdtheory.errors import ArgumentError

FUNCTIONS: dict[str, Callable[..., sp.Expr]] = {
    "exp": sp.exp,
    "log": sp.log,
    "sqrt": sp.sqrt,
    "sin": sp.sin,
    "cos": sp.cos,
    "tan": sp.tan,
    "asin": sp.asin,
    "acos": sp.acos,
    "atan": sp.atan,
    "sinh": sp.sinh,
    "cosh": sp.cosh,
    "tanh": sp.tanh,
    "erf": sp.erf,
    "abs": sp.Abs,
    "sign": sp.sign,
    "min": sp.Min,
    "max": sp.Max,
}
"""Functions a user may write, by the name they are written with. Kernels print exactly these."""

CONSTANTS: dict[str, sp.Expr] = {"pi": sp.pi}

_FUNCTION_CLASSES = tuple(f for f in FUNCTIONS.values() if isinstance(f, type))
_STRUCTURE = (sp.Add, sp.Mul, sp.Pow, sp.Piecewise, sp.functions.elementary.piecewise.ExprCondPair)
_CONDITIONS = (sp.core.relational.Relational, sp.And, sp.Or, sp.Not, sp.logic.boolalg.BooleanAtom)
_ATOMS = (sp.Rational, sp.Float, sp.core.numbers.Pi, sp.core.numbers.Exp1)

_OPERATORS: dict[type[ast.operator], Callable[[sp.Expr, sp.Expr], sp.Expr]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
_MAX_TEXT = 10_000
_MAX_EXPONENT = 1_000


def check_expression(expression: object, symbols: Iterable[sp.Symbol], argument: str) -> sp.Expr:
    """Refuse every node that is not scalar arithmetic, a listed function or a known symbol.

    Parameters
    ----------
    expression : sympy expression or number
        What to check.
    symbols : iterable of Symbol
        The symbols that may occur.
    argument : str
        Name used in the error.

    Returns
    -------
    sympy.Expr
        The expression, unchanged but for ``sympify`` of plain numbers.

    Raises
    ------
    ArgumentError
        Names the offending node.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> check_expression(sp.tanh(x) ** 2, [x], "loss")
    tanh(x)**2
    >>> check_expression(sp.besselj(0, x), [x], "loss")
    Traceback (most recent call last):
    sgdtheory.errors.ArgumentError: loss: got besselj(0, x); allowed: arithmetic and the functions exp, log, sqrt, \
sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, erf, abs, sign, min, max. Fix: write it with those, or add the \
function to sgdtheory.expressions.
    """
    if isinstance(expression, (bool, str)) or not isinstance(expression, (int, float, sp.Basic)):
        raise ArgumentError(argument, expression, "a sympy expression or a number", "text goes through sgd.parse")
    tree = sp.sympify(expression)
    known = set(symbols)
    for node in sp.preorder_traversal(tree):
        if isinstance(node, sp.Symbol):
            if node not in known:
                names = ", ".join(sorted(s.name for s in known)) or "none"
                raise ArgumentError(argument, f"unknown symbol {node.name!r}", f"the symbols {names}", "declare it")
        elif node.is_number and not node.is_finite and not isinstance(node, _CONDITIONS):
            raise ArgumentError(argument, node, "finite real numbers", "remove the infinity or NaN")
        elif not isinstance(node, (*_STRUCTURE, *_CONDITIONS, *_ATOMS, *_FUNCTION_CLASSES)):
            raise ArgumentError(
                argument,
                str(node),
                "arithmetic and the functions " + ", ".join(FUNCTIONS),
                "write it with those, or add the function to sgdtheory.expressions",
            )
    if not isinstance(tree, sp.Expr):
        raise ArgumentError(argument, str(tree), "a scalar expression", "give one number-valued expression")
    return tree


def parse(text: str, symbols: Iterable[sp.Symbol | str], argument: str = "expression") -> sp.Expr:
    """Read an expression from text without ever evaluating the text.

    Only numbers, ``+ - * / **``, parentheses, the named symbols, ``pi`` and the functions in `FUNCTIONS` are
    understood; the text is walked as a syntax tree and everything else is refused.

    Parameters
    ----------
    text : str
        For example ``"(w + 1)*(w - 1)**2"``.
    symbols : iterable of Symbol or str
        The names that may occur. A string becomes a real symbol.
    argument : str
        Name used in errors.

    Returns
    -------
    sympy.Expr

    Raises
    ------
    ArgumentError
        For anything outside the list, naming it.

    Examples
    --------
    >>> parse("(w + 1)*(w - 1)**2", ["w"])
    (w - 1)**2*(w + 1)
    >>> parse("__import__('os')", ["w"])
    Traceback (most recent call last):
    sgdtheory.errors.ArgumentError: expression: got __import__; allowed: the functions exp, log, sqrt, sin, cos, tan, \
asin, acos, atan, sinh, cosh, tanh, erf, abs, sign, min, max. Fix: use one of these.
    """
    table = {s if isinstance(s, str) else s.name: sp.Symbol(s, real=True) if isinstance(s, str) else s for s in symbols}
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise ArgumentError(argument, text, f"text of at most {_MAX_TEXT} characters")
    try:
        body = ast.parse(text.strip(), mode="eval").body
        return _read(body, table, argument)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(argument, text, "an arithmetic expression", "check brackets and operators") from error


def _read(node: ast.expr, table: dict[str, sp.Symbol], argument: str) -> sp.Expr:
    match node:
        case ast.Constant(value=bool() | str() | bytes() | complex()) | ast.Constant(value=None):
            raise ArgumentError(argument, repr(node.value), "numbers")
        case ast.Constant(value=int() as value):
            return sp.Integer(value)
        case ast.Constant(value=float() as value):
            return sp.Float(value)
        case ast.Name(id=name) if name in table:
            return table[name]
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.Name(id=name):
            raise ArgumentError(argument, f"unknown symbol {name!r}", ", ".join([*table, *CONSTANTS]), "declare it")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_read(operand, table, argument)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _read(operand, table, argument)
        case ast.BinOp(op=ast.BitXor()):
            raise ArgumentError(argument, "^", "+ - * / **", "write powers with **")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            a, b = _read(left, table, argument), _read(right, table, argument)
            if isinstance(op, ast.Pow) and b.is_number and abs(b) > _MAX_EXPONENT:
                raise ArgumentError(argument, f"exponent {b}", f"exponents up to {_MAX_EXPONENT}")
            return _OPERATORS[type(op)](a, b)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            if name not in FUNCTIONS:
                raise ArgumentError(argument, name, "the functions " + ", ".join(FUNCTIONS), "use one of these")
            return FUNCTIONS[name](*(_read(a, table, argument) for a in args))
        case _:
            raise ArgumentError(argument, ast.unparse(node), "arithmetic, listed functions and known symbols")
