"""The small makers of statements and points: what they state, what they leave alone, what they refuse."""

from __future__ import annotations

import pytest
import sympy as sp

from sgdtheory.claim import by_name, equals, equations

a, b, x = sp.symbols("a b x", real=True)


def test_an_equation_is_not_decided() -> None:
    assert isinstance(equals(x, x), sp.Eq)
    assert isinstance(equations({x: x}), sp.Eq)


def test_equations_are_those_of_every_quantity_in_any_order() -> None:
    assert equations({a: x, b: 2 * x}) == sp.And(equals(b, 2 * x), equals(a, x))
    assert equations({}) == sp.true


def test_a_change_replaces_or_adds_and_leaves_what_was_stated() -> None:
    stated = {a: x, b: 2 * x}
    assert equations(stated, {b: x**2}) == equations({a: x, b: x**2})
    assert equations({a: x}, {b: 2 * x}) == equations(stated)
    assert stated == {a: x, b: 2 * x}


@pytest.mark.parametrize(
    ("value", "exact"),
    [(3, sp.Integer(3)), (0.1, sp.Rational(1, 10)), ("2/7", sp.Rational(2, 7)), (1e-3, sp.Rational(1, 1000))],
)
def test_values_by_name_are_exact(value: object, exact: sp.Rational) -> None:
    assert by_name(first=a, second=b)(second=value) == {b: exact}


def test_a_name_that_was_not_given_is_refused() -> None:
    with pytest.raises(KeyError, match="third"):
        by_name(first=a)(third=1)
