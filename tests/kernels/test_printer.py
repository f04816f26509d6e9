"""Printed arithmetic means what the expression means: random expressions against sympy's own evaluation."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sgdtheory import Fresh
from sgdtheory.dynamics import Dynamics
from sgdtheory.kernels import plain
from sgdtheory.kernels.lower import lower
from sgdtheory.kernels.printer import print_expression

a, b, c = SYMBOLS = sp.symbols("a b c", real=True)
NAMESPACE = {name: getattr(plain, name) for name in dir(plain) if not name.startswith("_")}
_DIGITS = 40
_NUDGE = sp.Float("1e-10", _DIGITS)
_UNARY = (
    sp.exp, sp.log, sp.sin, sp.cos, sp.tan, sp.asin, sp.acos, sp.atan, sp.sinh, sp.cosh, sp.tanh, sp.erf, sp.Abs,
    sp.sign, sp.sqrt,
)  # fmt: skip
_LEAVES = st.sampled_from([*SYMBOLS, *map(sp.Rational, range(-3, 4)), sp.Rational(1, 3), sp.Rational(-7, 2), sp.pi])
_EXPONENTS = [sp.Rational(p, q) for p in range(-5, 6) for q in (1, 2, 3) if p]


def _grow(inner: st.SearchStrategy[sp.Expr]) -> st.SearchStrategy[sp.Expr]:
    piecewise = st.builds(
        lambda x, y, z, compare: sp.Piecewise((x, compare(y, z)), (z, sp.And(x < 1, y > z)), (y, True)),
        inner, inner, inner, st.sampled_from([sp.Lt, sp.Le, sp.Gt, sp.Ge, sp.Ne]),
    )  # fmt: skip
    return st.one_of(
        st.builds(lambda x, y: x + y, inner, inner),
        st.builds(lambda x, y: x - y, inner, inner),
        st.builds(lambda x, y: x * y, inner, inner),
        st.builds(lambda x, y: x / y, inner, inner),
        st.builds(sp.Pow, inner, st.sampled_from(_EXPONENTS)),
        st.builds(sp.Pow, inner, inner),
        st.builds(lambda f, x: f(x), st.sampled_from(_UNARY), inner),
        st.builds(sp.Min, inner, inner, inner),
        st.builds(sp.Max, inner, inner),
        piecewise,
    )


EXPRESSIONS = st.recursive(_LEAVES, _grow, max_leaves=10)
POINTS = st.tuples(*[st.integers(-300, 300).map(lambda n: n / 100 + 1 / 256)] * 3)


def run_text(text: str, values: dict[str, np.float64]) -> float:
    with np.errstate(all="ignore"):
        return float(eval(text, {"__builtins__": {"abs": abs}, **NAMESPACE}, values))  # noqa: S307  text of our own


def run_lowered(expression: sp.Expr, point: tuple[float, ...]) -> float:
    """The expression as kernels compute it: shared subexpressions, products for whole powers, printed text."""
    rest = tuple(sp.Symbol(f"g{i}", real=True) for i in range(3))
    dynamics = Dynamics(SYMBOLS, (), SYMBOLS, (expression, a, b), Fresh(), rest, rest, ())
    block = lower(dynamics, None).example_gradient
    values = {f"s{i}": np.float64(value) for i, value in enumerate(point)}
    for symbol, value in block.assignments:
        with np.errstate(all="ignore"):
            text = print_expression(value)
            values[symbol.name] = eval(text, {"__builtins__": {"abs": abs}, **NAMESPACE}, values)  # noqa: S307
    return run_text(print_expression(block.results[0]), values)


def exact(node: sp.Basic, values: dict[sp.Symbol, sp.Float], nudges: random.Random | None = None) -> sp.Basic:
    """Evaluate with 40 digits; with `nudges`, every operation errs by up to 1e-10 of its result."""
    if not node.args:
        value = values.get(node, node)
    else:
        value = node.func(*(exact(argument, values, nudges) for argument in node.args))
    if not isinstance(value, sp.Expr) or not value.is_number:
        return value
    assume(not value.has(sp.zoo, sp.nan, sp.oo, -sp.oo))
    value = value.evalf(_DIGITS)
    assume(value.is_real and abs(value) < 1e100)
    return value if nudges is None or node.is_Integer else value * (1 + _NUDGE * sp.Rational(nudges.randint(-99, 99), 99))


@settings(max_examples=300)
@given(expression=EXPRESSIONS, point=POINTS)
def test_printed_text_evaluates_to_the_expression(expression: sp.Expr, point: tuple[float, ...]) -> None:
    """Within rounding: what nudging every operation by 1e-10 does, scaled to what rounding does, fifty-fold."""
    assume(isinstance(expression, sp.Expr) and not expression.has(sp.zoo, sp.nan, sp.oo, -sp.oo, sp.I))
    values = {s: sp.Float(x, _DIGITS) for s, x in zip(SYMBOLS, point, strict=True)}
    truth = exact(expression, values)
    nudged = [exact(expression, values, random.Random(seed)) for seed in range(6)]
    spread = float(max(abs(value - truth) for value in nudged))
    rounding = 50 * (spread / float(_NUDGE) + abs(float(truth))) * sys.float_info.epsilon
    assume(rounding <= 1e-6 * (1 + abs(float(truth))))  # otherwise the number has no digits left to compare
    direct = run_text(print_expression(expression), {s.name: np.float64(x) for s, x in zip(SYMBOLS, point, strict=True)})
    assert direct == pytest.approx(float(truth), rel=0, abs=rounding + 1e-300)
    assert run_lowered(expression, point) == pytest.approx(float(truth), rel=0, abs=rounding + 1e-300)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (a - b, "a - b"),
        (-a - b, "-a - b"),
        (a - (b - c), "a + c - b"),
        (-(a + b) * c, "c*(-a - b)"),
        (a / b / c, "a/b/c"),
        (a / (b * c + 1), "a/(1.0 + b*c)"),
        (1 / a, "1.0/a"),
        (a ** sp.Rational(-1, 2), "1.0/sqrt(a)"),
        (-a / 3, "(-0.3333333333333333)*a"),
        (2**a, "pow(2.0, a)"),
        (a**b, "pow(a, b)"),
        (sp.cbrt(a**2 + 1), "pow(1.0 + a*a, 0.3333333333333333)"),
        (sp.Min(a, b), "(a if a < b else b)"),
        (sp.sign(a), "(1.0 if a > 0.0 else (-1.0 if a < 0.0 else 0.0))"),
        (sp.Piecewise((a, a > 0), (b, True)), "((a if (a > 0.0) else b))"),
        (sp.Piecewise((a, ~((a > 0) & (b > 0)))), "((a if ((a <= 0.0) or (b <= 0.0)) else nan))"),
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
