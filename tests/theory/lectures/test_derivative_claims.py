"""Errors of differences and of the complex step: against floats, by degree, and against a large simulation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgdtheory import complex_step, hvp, symbols
from sgdtheory.theory.lectures.derivatives import (
    PRODUCTS,
    central_error,
    complex_step_at,
    complex_step_error,
    step_into_the_plane,
    subtract_gradients,
)

ε, B, Σ, K = symbols.spacing, symbols.batch_size, symbols.noise_variance, symbols.curvature_variance


@given(st.floats(0.01, 1.0), st.floats(-2, 2))
@example(1.0, 0.0)
def test_the_central_error_of_a_quartic_is_all_of_it(spacing: float, place: float) -> None:
    """L = w⁴: g = 4w³, D³g = 24."""
    error = hvp(lambda w: 4 * w**3, [place], [1.0], spacing=spacing)[0] - 12 * place**2
    stated = float(central_error().subs({ε: spacing, symbols.third_along: 24}))
    assert error == pytest.approx(stated, rel=1e-6, abs=1e-11)


@given(st.floats(0.01, 1.0), st.floats(-2, 2))
def test_the_complex_error_of_a_cubic_is_all_of_it(step: float, place: float) -> None:
    error = float(complex_step(lambda x: x**3, place, h=step)) - 3 * place**2
    assert error == pytest.approx(float(complex_step_error().subs({ε: step, symbols.third_derivative: 6})), abs=1e-12)


def test_the_two_errors_are_opposite() -> None:
    central = central_error().subs(symbols.third_along, symbols.third_derivative)
    assert central + complex_step_error() == 0


@pytest.mark.parametrize(("degree", "exact"), [(1, True), (2, True), (3, False), (4, False)])
def test_the_complex_step_is_exact_to_degree_two(degree: int, exact: bool) -> None:
    assert (step_into_the_plane(degree)[symbols.complex_error] == 0) is exact


def test_differences_are_exact_exactly_to_degree_three() -> None:
    """Of a generic quintic the error holds the fourth derivatives, all of them, and no lower ones."""
    cases = subtract_gradients()
    used = set().union(*(case[symbols.difference_error].free_symbols for case in cases))
    orders = {sum(map(int, s.name.split("_")[1])) for s in used if s.name.startswith("c_")}
    assert orders == {4}
    assert len([s for s in used if s.name.startswith("c_")]) == 5


def test_the_next_order_of_the_complex_step() -> None:
    rests = []
    for size in (Fraction(1, 100), Fraction(1, 200)):
        case = complex_step_at(size)
        rests.append(case[symbols.complex_error] - complex_step_error().subs({**case, ε: sp.Rational(size)}))
    assert float(rests[0] / rests[1]) == pytest.approx(16, rel=0.01)


@settings(max_examples=10)
@given(st.integers(1, 64), st.floats(0.05, 5))
def test_two_batches_are_better_only_at_large_spacing(size: int, spacing: float) -> None:
    """Two batches hold twice the examples: they win where Σ < ε²K."""
    one, two = (
        next(e.rhs for e in PRODUCTS.statement.args if e.lhs == s)
        for s in (symbols.product_same, symbols.product_other)
    )
    at = {B: size, ε: spacing, Σ: 2.0, K: 3.0}
    assert (two.subs(at) < one.subs(at)) == (3.0 * spacing**2 > 2.0)


def test_the_noise_of_real_minibatches_in_several_dimensions() -> None:
    """Linear regression in d dimensions, Hv on one batch and on two, within five standard errors of the claim."""
    rng, size, replicas, spacing = np.random.default_rng(5), 8, 40_000, 0.3
    for d in (1, 2, 3, 4):
        w, v = np.linspace(1, -1, d) if d > 1 else np.ones(1), np.ones(d)
        x, y = rng.standard_normal((2, replicas, size, d)), rng.standard_normal((2, replicas, size))

        def gradient(place: np.ndarray, batch: int, x: np.ndarray = x, y: np.ndarray = y) -> np.ndarray:
            return np.mean(x[batch] * (x[batch] @ place - y[batch])[..., np.newaxis], axis=1)

        values = {
            symbols.product_same: (gradient(w + spacing * v, 0) - gradient(w - spacing * v, 0)) / (2 * spacing),
            symbols.product_other: (gradient(w + spacing * v, 0) - gradient(w - spacing * v, 1)) / (2 * spacing),
        }
        # Var x₁(x·u − y) = |u|² + u₁² + 1 and Var x₁(x·v) = |v|² + v₁², normal x and y
        at = {B: size, ε: spacing, Σ: w @ w + w[0] ** 2 + 1, K: v @ v + v[0] ** 2}
        for quantity, drawn in values.items():
            stated = float({e.lhs: e.rhs for e in PRODUCTS.statement.args}[quantity].subs(at))
            centred = drawn[:, 0] - drawn[:, 0].mean()
            error = np.sqrt((np.mean(centred**4) - np.mean(centred**2) ** 2) / replicas)
            assert abs(np.mean(centred**2) - stated) < 5 * error
