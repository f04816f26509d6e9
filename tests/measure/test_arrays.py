"""Expressions on arrays against sympy's own numbers, node by node of the whitelist."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

from sgdtheory import NoClosedFormError
from sgdtheory.expressions import FUNCTIONS
from sgdtheory.measure.arrays import on_arrays

x, y = sp.symbols("x y", real=True)
POINTS = np.array([[-0.9, 0.3], [0.0, 0.5], [0.4, -0.2], [0.9, 0.9]])
VARIADIC = ("min", "max")
INSIDE = {"log": x + 1.1, "sqrt": x + 1.1}
CASES = {
    **{name: f(x, y) if name in VARIADIC else f(INSIDE.get(name, x)) for name, f in FUNCTIONS.items()},
    "polynomial": 3 * x**3 * y - x / 7 + sp.Rational(1, 3),
    "quotient": (x + 2) / (y**2 + 1) ** sp.Rational(3, 2),
    "constants": sp.sqrt(2) * sp.pi + sp.E**2,
    "pieces": sp.Piecewise((x**2, x < -y), (y, (x > y) & ~sp.Eq(y, 0)), (1, True)),
    "either": sp.Piecewise((x, (x >= y) | (x <= -y)), (0, sp.Ne(x, 2))),
    "slope of max": sp.diff(sp.Max(x, y) ** 2, x),
    "a power of a variable": (x**2 + 1) ** y,
}  # fmt: skip


@pytest.mark.parametrize("expression", CASES.values(), ids=CASES)
def test_the_values_are_those_of_sympy(expression: sp.Expr) -> None:
    (found,) = on_arrays([x, y], [expression])(*POINTS.T)
    exact = [float(expression.subs({x: a, y: b}).evalf()) for a, b in POINTS.tolist()]
    np.testing.assert_allclose(np.broadcast_to(found, len(POINTS)), exact, rtol=1e-14, atol=1e-15)


def test_several_at_once_and_what_they_share() -> None:
    shared = sp.exp(x * y)
    both, first, again = on_arrays([x, y], [shared**2 + shared, x, shared])(*POINTS.T)
    np.testing.assert_array_equal(first, POINTS[:, 0])
    np.testing.assert_allclose(both, again**2 + again, rtol=1e-15)


def test_a_result_that_is_needed_once_more_is_kept() -> None:
    inner, outer = on_arrays([x], [sp.sin(x), sp.cos(sp.sin(x))])(POINTS[:, 0])
    np.testing.assert_array_equal(outer, np.cos(inner))


def test_arrays_of_any_shape_and_plain_numbers() -> None:
    f = on_arrays([x, y], [x * y, sp.Integer(2)])
    product, two = f(np.ones((2, 3, 1)), np.arange(4.0))
    assert product.shape == (2, 3, 4)
    assert two == 2
    assert math.isclose(f(0.5, 3.0)[0], 1.5)


def test_names_are_only_names() -> None:
    odd = sp.Symbol("__import__('os').abort()", real=True)
    assert on_arrays([odd], [odd + 1])(1.0) == [2.0]


@pytest.mark.parametrize("expression", [sp.DiracDelta(x), sp.Derivative(sp.floor(x), x), sp.Symbol("z") + x])
def test_what_has_no_values_is_refused(expression: sp.Expr) -> None:
    with pytest.raises(NoClosedFormError, match="has no values"):
        on_arrays([x], [expression])
