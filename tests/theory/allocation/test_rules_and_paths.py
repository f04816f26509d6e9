"""Degrees and errors of rules on allocations of real losses; allocations along curves, against other people's code."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from sgdtheory.derive.quadrature import composite, quadrature_rule
from sgdtheory.theory.loss_change_allocation import definition, quadrature
from sgdtheory.theory.loss_change_allocation.quadrature import loss_degree, smooth_coefficient

x, y, t = sp.symbols("x y t", real=True)


@pytest.mark.parametrize(
    ("name", "degree"),
    [("left", 1), ("right", 1), ("midpoint", 2), ("trapezoid", 2), ("simpson", 4), ("boole", 6)]
    + [(f"gauss-{n}", 2 * n) for n in range(1, 6)],
)
def test_losses_up_to_the_degree_and_no_further(name: str, degree: int) -> None:
    assert loss_degree(quadrature_rule(name)) == degree


@pytest.mark.parametrize("parts", [2, 5])
def test_parts_do_not_raise_the_degree(parts: int) -> None:
    assert loss_degree(composite(quadrature_rule("simpson"), parts)) == 4


def test_a_runge_kutta_step_is_simpsons_rule_and_scipys() -> None:
    rule = quadrature.runge_kutta()
    assert (rule.nodes, rule.weights) == (quadrature_rule("simpson").nodes, quadrature_rule("simpson").weights)
    sampled = np.cos([0.0, 0.5, 1.0])
    assert float(np.array(rule.weights, float) @ sampled) == pytest.approx(integrate.simpson(sampled, dx=0.5))


@pytest.mark.parametrize("name", ["left", "right", "midpoint", "trapezoid", "simpson", "boole", "gauss-2", "gauss-3"])
def test_smooth_errors_come_to_their_leading_term(name: str) -> None:
    """On e^(2s), whose derivative k is 2^k e^(2s); 8 parts, where rounding is far below every error."""
    rule, parts = quadrature_rule(name), 8
    order = loss_degree(rule)
    nodes = (np.arange(parts)[:, None] + np.array(rule.nodes, float)) / parts
    value = (np.exp(2 * nodes) @ np.array(rule.weights, float)).mean()
    change = 2.0 ** (order - 1) * (np.exp(2) - 1)
    stated = float(smooth_coefficient(rule)) * change / parts**order
    assert value - (np.exp(2) - 1) / 2 == pytest.approx(stated, rel=0.13 if order == 1 else 0.01)


@settings(max_examples=8)
@given(st.lists(st.integers(-3, 3), min_size=6, max_size=6), st.integers(1, 3), st.integers(1, 3))
def test_allocations_along_curves_are_line_integrals(c: list[int], first: int, second: int) -> None:
    loss = c[0] * x + c[1] * y + c[2] * x * y + c[3] * x**2 * y + c[4] * y**3 + c[5] * x**2
    parts = definition.allocate_along(loss, [x, y], [t**first, t**second - t], t)
    path = {x: t**first, y: t**second - t}
    for part, w in zip(parts, (x, y), strict=True):
        power = sp.lambdify(t, (sp.diff(loss, w).xreplace(path) * sp.diff(path[w], t)) + 0 * t)
        assert float(part) == pytest.approx(integrate.quad(power, 0, 1)[0], abs=1e-9)


def test_a_separable_loss_does_not_care_for_the_path() -> None:
    loss = x**3 - 2 * x + y**4
    straight = definition.allocate_along(loss, [x, y], [t, t], t)
    assert straight == definition.allocate_along(loss, [x, y], [t**2, 4 * t**3 - 3 * t], t) == [-1, 1]


def test_random_paths_and_loops_meet_several_dimensions_and_curves() -> None:
    random = Random(0)
    powers = {definition.random_loop(random)[definition.n] for _ in range(5)}
    assert len(powers) > 2
    changes = [definition.random_path(random) for _ in range(6)]
    assert any(case[definition.A_first] != case[definition.change] for case in changes)
