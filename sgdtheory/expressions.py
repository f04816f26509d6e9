"""What may stand in an expression: the whitelist, its check, and a parser for text that never evaluates it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from sys import float_info
from typing import NoReturn
from unicodedata import normalize

import numpy as np
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
    "floor": sp.floor,
}
"""Functions a user may write, by the name they are written with. Kernels print exactly these."""

CONSTANTS: dict[str, sp.Expr] = {"pi": sp.pi}

_FUNCTION_CLASSES = tuple(f for f in FUNCTIONS.values() if isinstance(f, type))
_STRUCTURE = (sp.Add, sp.Mul, sp.Pow, sp.Piecewise, sp.functions.elementary.piecewise.ExprCondPair)
_CONDITIONS = (sp.core.relational.Relational, sp.And, sp.Or, sp.Not, sp.logic.boolalg.BooleanAtom)
_ATOMS = (sp.Rational, sp.Float, sp.core.numbers.Pi, sp.core.numbers.Exp1)
_IMPROPER = (sp.nan, sp.zoo, sp.oo, -sp.oo, sp.I)

_OPERATORS: dict[type[ast.operator], Callable[[sp.Expr, sp.Expr], sp.Expr]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
_MAX_TEXT = 10_000
_MAX_EXPONENT = 1_000
_MAX_INTEGER = int(float_info.max)
_VARIADIC = ("min", "max")


def check_expression(expression: object, symbols: Iterable[sp.Symbol] | None, argument: str) -> sp.Expr:
    """Refuse every node that is not scalar arithmetic, a listed function or a known symbol.

    Numbers must be real and fit a float64: what is derived shall be computable.

    Parameters
    ----------
    expression : sympy expression or number
        What to check.
    symbols : iterable of Symbol, or None
        The symbols that may occur; None allows any.
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
sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, erf, abs, sign, min, max, floor. Fix: write it with those, or add \
the function to sgdtheory.expressions.
    """
    tree = as_scalar(expression, argument)
    nodes = list(sp.preorder_traversal(tree))
    known = None if symbols is None else set(symbols)
    for node in nodes:
        _check_kind(node, known, argument)
    for node in reversed(nodes):  # parts before wholes: a tower of powers is refused at its lowest floor
        if isinstance(node, sp.Expr):
            _check_size(node, argument)
    return tree


def check_condition(condition: object, symbols: Iterable[sp.Symbol], argument: str) -> sp.Basic:
    """Refuse everything but relations of checked expressions, joined by and, or, not.

    Examples
    --------
    >>> w = sp.Symbol("w", real=True)
    >>> check_condition((w > 1) | (w < -1), [w], "events")
    (w > 1) | (w < -1)
    >>> check_condition(w, [w], "events")
    Traceback (most recent call last):
    sgdtheory.errors.ArgumentError: events: got w; allowed: a relation such as w > 0, or several joined by & | ~.
    """
    known = list(symbols)
    if isinstance(condition, (sp.And, sp.Or, sp.Not)):
        for part in condition.args:
            check_condition(part, known, argument)
    elif isinstance(condition, sp.core.relational.Relational):
        for side in condition.args:
            check_expression(side, known, argument)
    else:
        raise ArgumentError(argument, str(condition), "a relation such as w > 0, or several joined by & | ~")
    return condition


def as_scalar(value: object, argument: str) -> sp.Expr:
    """Return a number or expression as sympy sees it and refuse everything else, text above all.

    ``sympify`` evaluates text, so what users hand over comes through here.

    Examples
    --------
    >>> as_scalar(0.5, "lr")
    0.500000000000000
    >>> as_scalar("0.5", "lr")
    Traceback (most recent call last):
    sgdtheory.errors.ArgumentError: lr: got '0.5'; allowed: a number or a sympy expression. Fix: text goes through \
sgd.parse.
    """
    if isinstance(value, bool) or getattr(value, "is_Matrix", False) or not isinstance(value, (Real, sp.Expr)):
        fix = "text goes through sgd.parse" if isinstance(value, str) else "give one number or one scalar expression"
        raise ArgumentError(argument, repr(value), "a number or a sympy expression", fix)
    return sp.sympify(float(value) if isinstance(value, np.floating) else value, strict=True)


def check_name(name: object, argument: str) -> str:
    """Refuse a symbol's name that is not a plain word.

    Examples
    --------
    >>> check_name("w1", "coordinates"), check_name("β", "coordinates")
    ('w1', 'β')
    >>> check_name("x; import os", "coordinates")
    Traceback (most recent call last):
    sgdtheory.errors.ArgumentError: coordinates: got 'x; import os'; allowed: names of letters, digits and \
underscores that start with a letter.
    """
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        allowed = "names of letters, digits and underscores that start with a letter"
        raise ArgumentError(argument, repr(name), allowed)
    return name


def _check_kind(node: sp.Basic, known: set[sp.Symbol] | None, argument: str) -> None:
    if isinstance(node, sp.Symbol):
        if known is not None and node not in known:
            names = ", ".join(sorted(s.name for s in known)) or "none"
            raise ArgumentError(argument, f"unknown symbol {node.name!r}", f"the symbols {names}", "declare it")
        if not node.is_commutative or node.is_extended_real is False:
            raise ArgumentError(argument, f"symbol {node.name!r}", "symbols that stand for real numbers")
    elif node in _IMPROPER:
        _refuse_number(node, argument)
    elif not isinstance(node, (*_STRUCTURE, *_CONDITIONS, *_ATOMS, *_FUNCTION_CLASSES)):
        raise ArgumentError(
            argument,
            str(node),
            "arithmetic and the functions " + ", ".join(FUNCTIONS),
            "write it with those, or add the function to sgdtheory.expressions",
        )


def _check_size(expression: sp.Expr, argument: str) -> None:
    """Refuse numbers and exponents, standing alone or as factors, that are out of bounds."""
    for factor in sp.Mul.make_args(expression):
        if factor.is_number:
            _check_number(factor, argument)
        elif isinstance(factor, sp.Pow) and factor.exp.is_number:
            _check_exponent(factor.exp, argument)
    if expression.is_Mul and expression.is_number:
        _check_number(expression, argument)


def _check_number(number: sp.Expr, argument: str) -> None:
    """Refuse what is no real float64; a fraction by the size of its parts, which arithmetic must carry along."""
    if isinstance(number, sp.Rational):
        if max(abs(number.p), number.q) > _MAX_INTEGER:
            _refuse_number(number, argument)
    else:
        value = number.evalf()
        if not (value.is_Float or value.is_Rational) or abs(value) > float_info.max:
            _refuse_number(number, argument)


def _refuse_number(number: sp.Expr, argument: str) -> NoReturn:
    fraction = isinstance(number, sp.Rational)  # it has too many digits to print
    shown = f"{number.p.bit_length()} bits over {number.q.bit_length()} bits" if fraction else str(number)
    raise ArgumentError(argument, shown, f"real numbers up to {float_info.max:.1e}", "no infinity, no root of -1")


def _check_exponent(exponent: sp.Expr, argument: str) -> None:
    _check_number(exponent, argument)
    if abs(exponent.evalf()) > _MAX_EXPONENT:
        raise ArgumentError(argument, f"exponent {exponent}", f"exponents up to {_MAX_EXPONENT}")


def parse(
    text: str, symbols: Iterable[sp.Symbol | str], argument: str = "expression", *, others: bool = False
) -> sp.Expr:
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
    others : bool
        Whether other names may occur too: each becomes a real symbol. A function's name never does.

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
    >>> parse("a*w**2", ["w"], others=True).free_symbols == set(sp.symbols("a w", real=True))
    True
    >>> parse("__import__('os')", ["w"])
    Traceback (most recent call last):
    sgdtheory.errors.ArgumentError: expression: got __import__; allowed: the functions exp, log, sqrt, sin, cos, tan, \
asin, acos, atan, sinh, cosh, tanh, erf, abs, sign, min, max, floor. Fix: use one of these.
    """
    known = [sp.Symbol(check_name(s, "symbols"), real=True) if isinstance(s, str) else s for s in symbols]
    table = {normalize("NFKC", s.name): s for s in known}  # as Python spells the names in the text
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise ArgumentError(argument, repr(text), f"text of at most {_MAX_TEXT} characters")
    try:
        body = ast.parse(text.strip(), mode="eval").body
        if others:
            table |= _other_names(body, table, argument)
        return check_expression(_read(body, table, argument), table.values(), argument)
    except ArgumentError:
        raise
    except RecursionError as error:
        raise ArgumentError(argument, repr(text), "an expression nested less deeply", "add it up in parts") from error
    except Exception as error:  # of any kind: sympy, too, fails in its own ways on what makes no sense
        fix = "check brackets and operators; a word of Python's own, such as lambda, cannot be a name in text"
        raise ArgumentError(argument, repr(text), "an arithmetic expression", fix) from error


def _other_names(body: ast.expr, table: Mapping[str, sp.Symbol], argument: str) -> dict[str, sp.Symbol]:
    """Return a real symbol for each plain name in the text that stands for nothing yet."""
    called = {id(node.func) for node in ast.walk(body) if isinstance(node, ast.Call)}
    named = [node.id for node in ast.walk(body) if isinstance(node, ast.Name) and id(node) not in called]
    for name in named:
        if name in FUNCTIONS:
            raise ArgumentError(argument, f"{name} without brackets", "functions with a value", f"write {name}(...)")
    new = [check_name(name, argument) for name in named if name not in table and name not in CONSTANTS]
    return {name: sp.Symbol(name, real=True) for name in new}


def _read(node: ast.expr, table: Mapping[str, sp.Symbol], argument: str) -> sp.Expr:
    match node:
        case ast.Constant(value=value):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ArgumentError(argument, repr(value), "numbers")
            number = as_scalar(value, argument)
            _check_number(number, argument)
            return number
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
            return _combine(type(op), _read(left, table, argument), _read(right, table, argument), argument)
        case ast.Call(func=ast.Name(id=name)) if name not in FUNCTIONS:
            raise ArgumentError(argument, name, "the functions " + ", ".join(FUNCTIONS), "use one of these")
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _call(name, [_read(a, table, argument) for a in args], argument)
        case _:
            raise ArgumentError(argument, ast.unparse(node), "arithmetic, listed functions and known symbols")


def _combine(operator: type[ast.operator], a: sp.Expr, b: sp.Expr, argument: str) -> sp.Expr:
    """Apply an operator whose result cannot grow out of hand."""
    if operator is ast.Div and b.is_zero:
        raise ArgumentError(argument, "a division by zero", "finite real numbers")
    if operator is ast.Pow and b.is_number:
        _check_exponent(b, argument)
    result = _OPERATORS[operator](a, b)
    _check_size(result, argument)
    return result


def _call(name: str, arguments: list[sp.Expr], argument: str) -> sp.Expr:
    if not arguments or (len(arguments) > 1 and name not in _VARIADIC):
        allowed = "at least one" if name in _VARIADIC else "one"
        raise ArgumentError(argument, f"{len(arguments)} values in {name}(...)", f"{allowed} value in {name}(...)")
    result = FUNCTIONS[name](*arguments)
    _check_size(result, argument)
    return result
