"""Deep linear networks: the logistic curve, its limits, unbalanced weights, depth, against the flow itself."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgdtheory import gradient_flow, landscape, symbols
from sgdtheory.theory.stationarity.deep_linear import balanced_product, deep_rate, product_rate, two_layers

τ, s_0, u, u_0 = symbols.flow_time, symbols.teacher, symbols.product, symbols.product_start
Q, ell = symbols.imbalance, symbols.depth


def test_the_logistic_curve_solves_its_equation() -> None:
    curve = balanced_product()
    assert sp.simplify(sp.diff(curve, τ) - 2 * curve * (s_0 - curve)) == 0
    assert sp.simplify(curve.subs(τ, 0) - u_0) == 0
    assert sp.simplify(sp.diff(curve, τ) - product_rate().subs({Q: 0, u: curve})) == 0


def test_limits_of_the_curve() -> None:
    assert sp.limit(balanced_product().subs({s_0: 3, u_0: sp.Rational(1, 5)}), τ, sp.oo) == 3
    assert sp.simplify(balanced_product().subs(u_0, s_0) - s_0) == 0  # at the goal it stays
    assert sp.limit(balanced_product(), u_0, 0) == 0  # the origin is a saddle


def test_half_the_way_takes_the_time_the_note_says() -> None:
    (half,) = sp.solve(sp.Eq(balanced_product(), s_0 / 2), τ)
    assert sp.simplify(half - sp.log(s_0 / u_0 - 1) / (2 * s_0)) == 0


def test_depths_one_and_two_are_the_known_cases() -> None:
    assert sp.simplify(deep_rate().subs(ell, 1) - (s_0 - u)) == 0
    assert sp.simplify(deep_rate().subs(ell, 2) - product_rate().subs(Q, 0)) == 0


@settings(max_examples=4)
@given(st.floats(0.1, 2), st.floats(0.1, 2), st.floats(0.2, 3))
@example(1.0, 1.0, 1.0)  # at rest
@example(0.5, 0.5, 2.0)  # balanced
def test_two_weights_keep_their_imbalance_and_the_stated_rate(a: float, b: float, teacher: float) -> None:
    loss = two_layers().loss.subs(s_0, sp.Float(teacher))
    gap = 1e-3
    flow = gradient_flow(landscape(loss, ["a", "b"]), [[a, b]], [0.0, gap, 2 * gap, 5.0]).w.values[0]
    imbalance, product = flow[:, 0] ** 2 - flow[:, 1] ** 2, flow.prod(axis=1)
    np.testing.assert_allclose(imbalance, a**2 - b**2, atol=1e-7)
    rate = (4 * product[1] - product[2] - 3 * product[0]) / (2 * gap)
    stated = float(product_rate().subs({Q: a**2 - b**2, u: a * b, s_0: teacher}))
    assert rate == pytest.approx(stated, rel=1e-3, abs=1e-3)
    assert (product[-1] - a * b) * (teacher - product[-1]) >= -1e-9  # on the way, not beyond


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_the_flow_of_equal_weights_at_every_depth(depth: int) -> None:
    names = [f"a{i}" for i in range(depth)]
    loss = landscape(f"(2 - {'*'.join(names)})**2/2", names)
    start, gap = 0.8, 1e-3
    flow = gradient_flow(loss, [[start] * depth], [0.0, gap, 2 * gap]).w.values[0]
    product = flow.prod(axis=1)
    rate = (4 * product[1] - product[2] - 3 * product[0]) / (2 * gap)
    assert rate == pytest.approx(float(deep_rate().subs({ell: depth, u: start**depth, s_0: 2})), rel=1e-4)


def test_the_balanced_flow_is_the_curve() -> None:
    times = np.linspace(0, 4, 9)
    loss = two_layers().loss.subs(s_0, 2)
    flow = gradient_flow(landscape(loss, ["a", "b"]), [[0.1, 0.1]], times).w.values[0]
    curve = sp.lambdify(τ, balanced_product().subs({s_0: 2, u_0: sp.Rational(1, 100)}))
    np.testing.assert_allclose(flow.prod(axis=1), curve(times), rtol=1e-6)
