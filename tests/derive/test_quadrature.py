"""Quadrature rules: known tables, degrees by random polynomials, errors of composite rules, what is refused."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from sgdtheory import ArgumentError
from sgdtheory.derive.quadrature import NAMES, Rule, composite, defect, exact_degree, leading_error, quadrature_rule

SMALL = NAMES[:11]  # up to gauss-5


@cache
def numbers(rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    return np.array([float(v) for v in rule.nodes]), np.array([float(v) for v in rule.weights])


def value(rule: Rule, coefficients: list[int]) -> float:
    nodes, weights = numbers(rule)
    return float(weights @ np.polynomial.polynomial.polyval(nodes, coefficients))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8])
def test_gauss_rules_are_numpys_and_have_twice_their_nodes_less_one_as_degree(size: int) -> None:
    rule = quadrature_rule(f"gauss-{size}")
    nodes, weights = np.polynomial.legendre.leggauss(size)
    np.testing.assert_allclose([float(v) for v in rule.nodes], (1 + nodes) / 2, rtol=0, atol=2e-15)
    np.testing.assert_allclose([float(v) for v in rule.weights], weights / 2, rtol=0, atol=2e-15)
    assert exact_degree(rule) == 2 * size - 1


def test_the_error_of_gauss_is_that_of_the_tables() -> None:
    for n in range(1, 8):
        known = sp.Rational(sp.factorial(n) ** 4, (2 * n + 1) * sp.factorial(2 * n) ** 2)
        assert leading_error(quadrature_rule(f"gauss-{n}")) == -known


@pytest.mark.parametrize(("name", "size"), [("trapezoid", 1), ("simpson", 2), ("boole", 4)])
def test_closed_rules_are_scipys_newton_cotes(name: str, size: int) -> None:
    weights, _ = integrate.newton_cotes(size, 1)
    np.testing.assert_allclose([float(w) for w in quadrature_rule(name).weights], weights / size, rtol=1e-14)


@settings(max_examples=30)
@pytest.mark.parametrize("name", SMALL)
@given(coefficients=st.lists(st.integers(-9, 9), min_size=1, max_size=20))
def test_polynomials_up_to_the_degree_are_integrated_and_the_next_power_is_missed(
    name: str, coefficients: list[int]
) -> None:
    rule = quadrature_rule(name)
    degree = exact_degree(rule)
    kept = coefficients[: degree + 1]
    exact = sum(c / (k + 1) for k, c in enumerate(kept))
    assert value(rule, kept) == pytest.approx(exact, abs=1e-14 * (1 + sum(map(abs, kept))))
    error = value(rule, [*kept, *[0] * (degree + 1 - len(kept)), 1]) - exact - 1 / (degree + 2)
    assert error == pytest.approx(float(leading_error(rule)), abs=1e-14 * (2 + sum(map(abs, kept))))


@pytest.mark.parametrize("name", ["left", "right", "midpoint", "trapezoid", "simpson", "boole", "gauss-2", "gauss-4"])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_parts_keep_the_degree_and_lower_the_error_by_its_power(name: str, parts: int) -> None:
    rule = quadrature_rule(name)
    cut = composite(rule, parts)
    order = exact_degree(rule) + 1
    assert exact_degree(cut) == order - 1
    assert leading_error(cut) * parts**order == leading_error(rule)


def test_shared_ends_are_one_node() -> None:
    assert composite(quadrature_rule("simpson"), 4).nodes == tuple(sp.Rational(k, 8) for k in range(9))
    assert [24 * w for w in composite(quadrature_rule("simpson"), 4).weights] == [1, 4, 2, 4, 2, 4, 2, 4, 1]
    assert len(composite(quadrature_rule("gauss-3"), 2).nodes) == 6
    assert composite(quadrature_rule("boole"), 1) is quadrature_rule("boole")


def test_a_rule_of_ones_own_is_measured_too() -> None:
    third = Rule(
        "three eighths", tuple(sp.Rational(k, 3) for k in range(4)), tuple(sp.Rational(k, 8) for k in (1, 3, 3, 1))
    )
    assert (exact_degree(third), defect(third, 4)) == (3, sp.Rational(1, 270))


@pytest.mark.parametrize("name", ["Simpson", "rk4", "gauss-0", "gauss-13", "gauss", ""])
def test_an_unknown_rule_is_refused_with_the_nearest_names(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"rule: got .*left \| right.*perhaps"):
        quadrature_rule(name)


@pytest.mark.parametrize("parts", [0, -1, 1.0, True])
def test_a_number_of_parts_that_is_none_is_refused(parts: int) -> None:
    with pytest.raises(ArgumentError, match="parts: got"):
        composite(quadrature_rule("simpson"), parts)


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ArgumentError, match="one for each of the 2 nodes"):
        Rule("short", (sp.S.Zero, sp.S.One), (sp.S.One,))
    with pytest.raises(ArgumentError, match="weights that add up to 1"):
        Rule("heavy", (sp.S.Zero, sp.S.One), (sp.S.One, sp.S.One))


@pytest.mark.parametrize("pick", [slice(0, 3), slice(0, 4)])
def test_sums_that_are_not_over_all_roots_alike_are_refused(pick: slice) -> None:
    gauss = quadrature_rule("gauss-4")
    weights = [sp.Rational(k, 10) for k in (1, 2, 3, 4)]
    rule = Rule("uneven", gauss.nodes[pick], tuple(w / sum(weights[pick]) for w in weights[pick]))
    with pytest.raises(ArgumentError, match="all roots of"):
        exact_degree(rule)
