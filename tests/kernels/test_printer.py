"""Printed arithmetic means what the expression means: random expressions against sympy's own evaluation."""

from __future__ import annotations

import math
import operator
import random
import sys
from collections.abc import Callable
from functools import partial

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from sgdtheory import Fresh
from sgdtheory.dynamics import Dynamics
from sgdtheory.expressions import check_expression
from sgdtheory.kernels import functions, plain
from sgdtheory.kernels.lower import lower
from sgdtheory.kernels.printer import print_expression

a, b, c = SYMBOLS = sp.symbols("a b c", real=True)
NAMESPACE = {n: getattr(module, n) for module in (plain, functions) for n in dir(module) if not n.startswith("_")}
_DIGITS = 40
_NUDGE = 1e-10
_UNARY = (
    sp.exp, sp.log, sp.sin, sp.cos, sp.tan, sp.asin, sp.acos, sp.atan, sp.sinh, sp.cosh, sp.tanh, sp.erf, sp.Abs,
    sp.sign, sp.sqrt,
)  # fmt: skip
_OPERATION = {
    sp.Add: lambda *x: mpmath.fsum(x),
    sp.Mul: lambda *x: mpmath.fprod(x),
    sp.Pow: mpmath.power,
    sp.Min: min,
    sp.Max: max,
    sp.Abs: abs,
    sp.Lt: operator.lt,
    sp.Le: operator.le,
    sp.Gt: operator.gt,
    sp.Ge: operator.ge,
    sp.Ne: operator.ne,
    sp.Eq: operator.eq,
    sp.And: lambda *x: all(x),
    sp.Or: lambda *x: any(x),
    sp.Not: operator.not_,
    **{f: getattr(mpmath, f.__name__) for f in _UNARY if isinstance(f, type) and f is not sp.Abs},
}
_ATOM = {sp.true: True, sp.false: False}
_LEAVES = st.sampled_from([*SYMBOLS, *map(sp.Rational, range(-3, 4)), sp.Rational(1, 3), sp.Rational(-7, 2), sp.pi])
_EXPONENTS = [sp.Rational(p, q) for p in range(-5, 6) for q in (1, 2, 3) if p]


def _piecewise(x: sp.Expr, y: sp.Expr, z: sp.Expr, compare: type) -> sp.Expr:
    return sp.Piecewise((x, compare(y, z)), (z, sp.And(x < 1, y > z)), (y, True))


def _real(make: Callable[..., sp.Expr], *parts: object) -> sp.Expr:
    """Build an expression, unless it is none that may be printed, or a number grown out of hand."""
    try:
        result = check_expression(make(*parts), SYMBOLS, "expression")
    except (TypeError, ValueError):  # a comparison of complex numbers, a division by zero
        reject()
    assume(not result.is_number or abs(result.evalf(5)) < 1000)
    return result


def _grow(inner: st.SearchStrategy[sp.Expr]) -> st.SearchStrategy[sp.Expr]:
    shapes = [
        (operator.add, inner, inner),
        (operator.sub, inner, inner),
        (operator.mul, inner, inner),
        (operator.truediv, inner, inner),
        (sp.Pow, inner, st.sampled_from(_EXPONENTS)),
        (sp.Pow, inner, inner),
        (sp.Min, inner, inner, inner),
        (sp.Max, inner, inner),
        (_piecewise, inner, inner, inner, st.sampled_from([sp.Lt, sp.Le, sp.Gt, sp.Ge, sp.Ne])),
    ]
    unary = st.builds(_real, st.sampled_from(_UNARY), inner)
    return st.one_of(unary, *(st.builds(partial(_real, make), *parts) for make, *parts in shapes))


EXPRESSIONS = st.recursive(_LEAVES, _grow, max_leaves=10)
POINTS = st.tuples(*[st.integers(-300, 300).map(lambda n: n / 100 + 1 / 256)] * 3)


def run_text(text: str, values: dict[str, np.float64]) -> float:
    with np.errstate(all="ignore"):
        return float(eval(text, {"__builtins__": {"abs": abs}, **NAMESPACE}, values))  # noqa: S307  text of our own


def run_lowered(expression: sp.Expr, point: tuple[float, ...]) -> float:
    """The expression as kernels compute it: shared subexpressions, products for whole powers, printed text."""
    rest = tuple(sp.Symbol(f"g{i}", real=True) for i in range(3))
    dynamics = Dynamics(SYMBOLS, (), SYMBOLS, (expression, a, b), Fresh(), rest, rest, ())
    block = lower(dynamics, None).example_terms
    values = {f"s{i}": np.float64(value) for i, value in enumerate(point)}
    for symbol, value in block.assignments:
        with np.errstate(all="ignore"):
            text = print_expression(value)
            values[symbol.name] = eval(text, {"__builtins__": {"abs": abs}, **NAMESPACE}, values)  # noqa: S307
    return run_text(print_expression(block.results[0]), values)


def nudged(node: sp.Basic, values: dict[sp.Symbol, mpmath.mpf], nudges: random.Random) -> mpmath.mpf | bool:
    """Evaluate with 40 digits, every operation erring by up to 1e-10 of its result."""
    if node in values:
        value = values[node]
    elif isinstance(node, sp.Piecewise):
        taken = (value for value, condition in node.args if nudged(condition, values, nudges))
        value = nudged(next(taken, sp.nan), values, nudges)
    elif not node.args:
        return _ATOM[node] if node in _ATOM else mpmath.mpmathify(sp.N(node, _DIGITS))
    else:
        value = _OPERATION[node.func](*(nudged(argument, values, nudges) for argument in node.args))
    if isinstance(value, mpmath.mpc):
        raise ValueError("floats stay real")
    if isinstance(value, bool):
        return value
    if abs(value) > 1e100:
        raise OverflowError
    return value * (1 + _NUDGE * nudges.uniform(-1, 1))


def rounding_error(expression: sp.Expr, point: tuple[float, ...]) -> float:
    """What rounding may do: what nudging does, scaled down to an ulp, and fifty times that."""
    values = dict(zip(SYMBOLS, map(mpmath.mpf, point), strict=True))
    with mpmath.workdps(_DIGITS):
        try:
            results = [nudged(expression, values, random.Random(seed)) for seed in range(5)]
            spread, size = float(max(results) - min(results)), float(abs(results[0]))
        except (ZeroDivisionError, ValueError, OverflowError):  # no real number, or a pole
            return math.inf
    return 50 * (spread / _NUDGE + size) * sys.float_info.epsilon


@settings(max_examples=800)
@given(expression=EXPRESSIONS, point=POINTS)
def test_printed_text_evaluates_to_the_expression(expression: sp.Expr, point: tuple[float, ...]) -> None:
    allowed = rounding_error(expression, point)
    assume(math.isfinite(allowed))
    exact = {s: sp.Float(x, _DIGITS) for s, x in zip(SYMBOLS, point, strict=True)}
    truth = float(expression.xreplace(exact).evalf(_DIGITS))
    assume(allowed <= 1e-6 * (1 + abs(truth)))  # otherwise the number has no digits left to compare
    named = {s.name: np.float64(x) for s, x in zip(SYMBOLS, point, strict=True)}
    assert run_text(print_expression(expression), named) == pytest.approx(truth, rel=0, abs=allowed + 1e-300)
    assert run_lowered(expression, point) == pytest.approx(truth, rel=0, abs=allowed + 1e-300)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (a - b, "a - b"),
        (-a - b, "-a - b"),
        (a - (b - c), "a - b + c"),
        (-(a + b) * c, "c*(-a - b)"),
        (a / b / c, "a/b/c"),
        (a / (b * c + 1), "a/(1.0 + b*c)"),
        (1 / a, "1.0/a"),
        (1 / (a + b), "1.0/(a + b)"),
        (1 / (a + b) + 1 / (a - b) * c, "c/(a - b) + 1.0/(a + b)"),
        (a ** sp.Rational(-1, 2), "1.0/sqrt(a)"),
        (-a / 3, "(-0.3333333333333333)*a"),
        (2**a, "pow(2.0, a)"),
        (a**b, "pow(a, b)"),
        (sp.cbrt(a**2 + 1), "pow(1.0 + a*a, 0.3333333333333333)"),
        (sp.Min(a, b), "(a if a < b else b)"),
        (sp.sign(a), "(1.0 if a > 0.0 else (-1.0 if a < 0.0 else 0.0))"),
        (sp.Piecewise((a, a > 0), (b, True)), "((a if (a > 0.0) else b))"),
        (sp.Piecewise((a, ~((a > 1) & (b > 0)))), "((a if (not ((a > 1.0) and (b > 0.0))) else nan))"),
        (sp.pi * a, "3.141592653589793*a"),
        (sp.E * a, "2.718281828459045*a"),
        (sp.exp(a), "exp(a)"),
        (sp.Abs(a), "abs(a)"),
        (sp.Rational(-1, 2), "(-0.5)"),
        (sp.Float("1e-5"), "1e-05"),
    ],
)
def test_text(expression: sp.Expr, text: str) -> None:
    whole_power = expression.replace(lambda e: e == a**2, lambda e: sp.Mul(a, a, evaluate=False))
    values = {"a": np.float64(0.7), "b": np.float64(1.9), "c": np.float64(-0.4)}
    assert run_text(text, values) == pytest.approx(run_text(print_expression(expression), values), rel=1e-15)
    assert print_expression(whole_power) == text


def test_the_text_is_one_line_of_names_numbers_and_operators() -> None:
    expression = sp.Piecewise((sp.tanh(a) ** 2 / b, a < b), (sp.Max(a, b, c), sp.Or(a > 1, b < 0)), (0, True))
    text = print_expression(expression)
    assert "\n" not in text
    compile(text, "kernel", "eval")


@pytest.mark.parametrize("expression", [sp.besselj(0, a), sp.Derivative(sp.Function("f")(a), a), sp.Heaviside(a), sp.I])
def test_what_has_no_printer_is_an_error(expression: sp.Expr) -> None:
    with pytest.raises(TypeError, match="no printer for"):
        print_expression(expression)
