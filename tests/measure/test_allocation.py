"""Path allocation against exact integrals, conservation, and the ways it can be misused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdtheory import landscape, numeric_loss
from sgdtheory.errors import ArgumentError
from sgdtheory.measure.allocation import allocate, residual

w1, w2 = sp.symbols("w1 w2", real=True)


def exact_parts(loss: sp.Expr, start: list[int], end: list[int]) -> list[float]:
    """Integrate ∂L/∂w_i dw_i along the segment, symbolically."""
    t = sp.Symbol("t")
    line = {w: a + t * (b - a) for w, a, b in zip((w1, w2), start, end, strict=True)}
    return [
        float(sp.integrate(sp.expand(sp.diff(loss, w).subs(line) * sp.diff(line[w], t)), (t, 0, 1))) for w in (w1, w2)
    ]


@pytest.mark.parametrize("nodes", [1, 2, 3, 4])
def test_exact_up_to_loss_degree_twice_the_nodes_and_no_further(nodes: int) -> None:
    start, end = [1, -1], [2, 3]
    for degree, exact in ((2 * nodes, True), (2 * nodes + 1, False)):
        loss = w1**degree + w1 ** (degree - 1) * w2
        parts = allocate([start, end], numeric_loss(landscape(loss, [w1, w2])).gradient, nodes)
        matches = np.allclose(parts[0], exact_parts(loss, start, end), rtol=1e-12, atol=0)
        assert matches == exact


def test_parts_depend_on_the_path_and_their_sum_does_not() -> None:
    """L = w1·w2 along the corner instead of the diagonal: (0, 1), not (1/2, 1/2)."""
    gradient = numeric_loss(landscape(w1 * w2, [w1, w2])).gradient
    corner = allocate([[0, 0], [1, 0], [1, 1]], gradient)
    diagonal = allocate([[0, 0], [1, 1]], gradient)
    np.testing.assert_allclose(corner.sum(axis=0), [0, 1], atol=1e-15)
    np.testing.assert_allclose(diagonal.sum(axis=0), [0.5, 0.5], atol=1e-15)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(*[st.floats(-2, 2, allow_subnormal=False)] * 2), min_size=2, max_size=6))
def test_conserves_a_smooth_loss(points: list[tuple[float, float]]) -> None:
    loss = numeric_loss(landscape("exp(w1*w2/4) + sin(w1) + w2**4", ["w1", "w2"]))
    path = np.array(points)
    miss = residual(allocate(path, loss.gradient, 24), loss.value(path))
    scale = np.abs(loss.value(path)).max() + np.abs(allocate(path, loss.gradient, 24)).sum()
    assert np.abs(miss).max() <= 1e-12 * scale


def test_residual_sees_a_wrong_gradient() -> None:
    loss = numeric_loss(landscape("w1**2*w2", ["w1", "w2"]))
    path = np.array([[1.0, 2.0], [0.5, 1.0], [0.0, 3.0]])
    wrong: Callable[[np.ndarray], np.ndarray] = lambda w: 1.01 * loss.gradient(w)  # noqa: E731
    assert np.abs(residual(allocate(path, loss.gradient), loss.value(path))).max() < 1e-14
    assert np.abs(residual(allocate(path, wrong), loss.value(path))).max() > 1e-3


def test_many_paths_at_once_and_a_diverged_one_is_nan() -> None:
    gradient = numeric_loss(landscape("w1**2 + w2**2", ["w1", "w2"])).gradient
    path = np.ones((3, 4, 2)) * np.arange(4.0)[:, None]
    path[1, 2:] = np.inf
    parts = allocate(path, gradient)
    assert parts.shape == (3, 3, 2)
    np.testing.assert_array_equal(np.isnan(parts[1]).all(axis=-1), [False, True, True])
    np.testing.assert_allclose(parts[0], parts[2])
    np.testing.assert_allclose(parts[0].sum(), 2 * 9, rtol=1e-14)


@pytest.mark.parametrize("path", [[1.0, 2.0], [[1.0, 2.0]], np.zeros((3, 1, 2))])
def test_refuses_a_path_without_a_step(path: object) -> None:
    with pytest.raises(ArgumentError, match="path"):
        allocate(path, lambda w: w)


@pytest.mark.parametrize("nodes", [0, -1, 1.5, True])
def test_refuses_impossible_nodes(nodes: int) -> None:
    with pytest.raises(ArgumentError, match="nodes"):
        allocate(np.zeros((2, 1)), lambda w: w, nodes)


def test_refuses_losses_of_another_path() -> None:
    with pytest.raises(ArgumentError, match="losses"):
        residual(np.zeros((3, 2)), np.zeros(3))
