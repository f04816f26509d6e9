"""Gradient flow in the lectures: the constants of bias and noise, limits, several dimensions, the flow itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgdtheory import gradient_flow, landscape, numeric_loss, symbols
from sgdtheory.testing import polynomials, spd_matrices
from sgdtheory.theory.lectures.flow import descend, leading_bias, leading_spread, subdivide

η, h, σ, B = symbols.lr, symbols.curvature, symbols.noise_std, symbols.batch_size
τ, δ, w_0 = symbols.flow_time, symbols.subdivision, symbols.flow_start
BIAS = sp.lambdify((η, h, τ, w_0, δ), leading_bias())
SPREAD = sp.lambdify((η, h, σ, B, τ, δ), leading_spread())


def left_over(x: float, time: int, parts: int) -> tuple[float, float]:
    """Transcribe Nτ steps with ηh = x, h = σ = B = w₀ = 1: mean less flow, and variance."""
    mean, variance = 1.0, 0.0
    for _ in range(parts * time):
        mean, variance = mean * (1 - x / parts), variance * (1 - x / parts) ** 2 + (x / parts) ** 2
    return mean - math.exp(-x * time), variance


@settings(max_examples=25)
@given(st.floats(0.1, 2.5), st.integers(1, 3))
@example(1.0, 1)
@example(2.5, 3)
def test_the_rest_beyond_the_leading_order_is_of_second_order(x: float, time: int) -> None:
    """Doubling N divides what the leading orders leave by 4, unless it vanishes there."""
    rests = []
    for parts in (200, 400):
        bias, variance = left_over(x, time, parts)
        rests.append((bias - BIAS(x, 1, time, 1, 1 / parts), variance - SPREAD(x, 1, 1, 1, time, 1 / parts)))
    for coarse, fine in zip(*rests, strict=True):
        assert abs(coarse) < 40 / 200**2
        assert coarse / fine == pytest.approx(4, rel=0.15) or abs(coarse) < 1e-7


@settings(max_examples=15)
@given(st.data(), st.integers(1, 4))
def test_in_several_dimensions_every_eigendirection_has_its_own_bias(data: st.DataObject, d: int) -> None:
    hessian = np.array(data.draw(spd_matrices(d, condition=3)), dtype=float)
    start, parts = np.arange(1.0, d + 1), 4000
    values, vectors = np.linalg.eigh(hessian)
    mean = np.linalg.matrix_power(np.eye(d) - hessian / parts, parts) @ start
    exact_flow = vectors @ (np.exp(-values) * (vectors.T @ start))
    expected = vectors @ [BIAS(1.0, v, 1.0, c, 1 / parts) for v, c in zip(values, vectors.T @ start, strict=True)]
    largest = np.abs(values).max()
    np.testing.assert_allclose(mean - exact_flow, expected, atol=5 * max(1, largest**4) * d / parts**2)


def test_limits() -> None:
    assert sp.limit(leading_spread(), h, 0) == η**2 * σ**2 * τ * δ / B  # a random walk
    assert sp.limit(leading_spread(), τ, sp.oo) == η * σ**2 * δ / (2 * B * h)  # small steps at rest
    assert leading_bias().subs(τ, 0) == leading_spread().subs(τ, 0) == leading_bias().subs(w_0, 0) == 0


def test_steps_run_ahead_of_the_flow_most_at_time_one_over_curvature() -> None:
    (latest,) = sp.solve(sp.diff(leading_bias(), τ), τ)
    assert sp.simplify(latest - 1 / (η * h)) == 0
    assert leading_bias().subs({w_0: 1, η: 1, h: 1, τ: 1, δ: 1}) < 0


def test_the_derivation_keeps_two_orders_and_starts_at_zero() -> None:
    case = subdivide()
    for quantity in (symbols.flow_bias, symbols.flow_spread):
        series = sp.Poly(sp.expand(case[quantity]), δ)
        assert series.degree() == 1
        assert sp.simplify(series.coeff_monomial(1)) == 0


@settings(max_examples=4)
@given(st.data(), st.integers(1, 4))
def test_the_loss_falls_by_the_squared_gradient(data: st.DataObject, d: int) -> None:
    w = [sp.Symbol(f"w{i}", real=True) for i in range(1, d + 1)]
    loss = landscape(data.draw(polynomials(w, 2)) + w[0], w)
    span, start = 1e-4, np.linspace(-0.7, 0.9, d)
    flow = gradient_flow(loss, [start], [0.0, span, 2 * span])
    first, second, third = flow.loss.values[0]
    rate = (4 * second - third - 3 * first) / (2 * span)
    slope = numeric_loss(loss).gradient(start)
    assert rate == pytest.approx(-np.sum(slope**2), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("start", [-1.0, 0.0, 2.0])
def test_the_flow_on_an_exponential_never_stops(start: float) -> None:
    times = np.array([0.0, 1.0, 100.0, 1e6])
    flow = gradient_flow(landscape("exp(-x)", ["x"]), [start], times)
    stated = sp.lambdify((symbols.slide_start, η, τ), descend()[symbols.slide_position])
    np.testing.assert_allclose(flow.w.values[0, :, 0], stated(start, 1.0, times), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(flow.loss.values[0], 1 / (np.exp(start) + times), rtol=1e-5)
