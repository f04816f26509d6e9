"""Long runs on a grid against closed forms, a simulated chain and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sgdtheory.derive.transition import exit_steps, stationary_law, transition_matrix
from sgdtheory.errors import ArgumentError


def constant(value: float):  # type: ignore[no-untyped-def]
    return lambda w: np.full_like(w, value)


@given(st.floats(-0.9, 0.9), st.floats(0.05, 5))
@example(0.0, 1.0)  # independent draws
@example(-0.9, 1.0)
def test_an_autoregression_settles_at_its_normal_law(factor: float, std: float) -> None:
    spread = std / np.sqrt(1 - factor**2)
    grid = np.linspace(-8.5 * spread, 8.5 * spread, int(2 * 8.5 * spread / std * 1.25) + 8)
    law = stationary_law(lambda w: factor * w, constant(std), grid)
    density = np.exp(-((grid / spread) ** 2) / 2)
    np.testing.assert_allclose(law, density / density.sum(), atol=3e-7)
    assert law.sum() == pytest.approx(1, abs=1e-12)
    assert law @ grid**2 == pytest.approx(spread**2, rel=1e-5)


def test_a_wider_grid_changes_nothing() -> None:
    def moments(half: float, points: int) -> list[float]:
        grid = np.linspace(-half, half, points)
        law = stationary_law(lambda w: w - 0.1 * w**3, constant(0.4), grid)
        return [float(law @ grid**k) for k in (2, 4)]

    np.testing.assert_allclose(moments(3.2, 81), moments(3.7, 161), rtol=1e-5)  # the first loses 10⁻⁷


def test_state_dependent_noise_keeps_its_second_moment() -> None:
    grid = np.linspace(-12, 12, 241)
    law = stationary_law(lambda w: w / 2, lambda w: np.sqrt(0.2 + 0.1 * w**2), grid)
    assert law @ grid**2 == pytest.approx(0.2 / (1 - 0.25 - 0.1), rel=1e-6)


def test_the_law_of_a_drifting_chain_is_that_of_its_simulation() -> None:
    grid = np.linspace(-4, 5, 121)
    law = stationary_law(lambda w: np.tanh(w) + 0.2, constant(0.7), grid)
    rng, w = np.random.default_rng(0), np.zeros(40_000)
    for _ in range(120):
        w = np.tanh(w) + 0.2 + 0.7 * rng.standard_normal(w.size)
    mean, std = law @ grid, np.sqrt(law @ grid**2 - (law @ grid) ** 2)
    assert abs(w.mean() - mean) < 5 * std / 200


def test_rows_are_probabilities_inside_and_lose_what_leaves() -> None:
    matrix = transition_matrix(lambda w: w, constant(1.0), np.linspace(-9, 9, 73))
    assert matrix.sum(1)[36] == pytest.approx(1, abs=1e-12)
    assert matrix.sum(1)[0] == pytest.approx(0.55, abs=0.01)  # one half, and half a cell
    assert (matrix >= 0).all()


def test_a_grid_coarser_than_a_step_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"grid: got spacing 0\.1; allowed: at most 0\.05.*add points"):
        stationary_law(lambda w: w / 2, constant(0.05), np.linspace(-1, 1, 21))


def test_a_grid_that_loses_its_law_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"grid: got one that loses .* make it wider"):
        stationary_law(lambda w: w / 2, constant(1.0), np.linspace(-2, 2, 41))


def test_a_walk_leaves_after_about_the_square_of_the_distance_in_steps() -> None:
    """Between ±a, overshoot included: (a + 0.5826 s)²/s² steps, Chernoff's constant."""
    cells = np.arange(-300, 301) * (2 / 601)
    steps = exit_steps(lambda w: w, constant(0.02), cells)
    assert steps[300] == pytest.approx((1 / 0.02 + 0.5826) ** 2, rel=2e-3)
    np.testing.assert_allclose(steps, steps[::-1], rtol=1e-9)
    assert (np.diff(steps[:301]) > 0).all()


def test_one_cell_is_left_at_the_rate_of_its_own_probability() -> None:
    cells = np.array([-0.25, 0.25])
    inside = transition_matrix(lambda w: 0 * w, constant(1.0), cells).sum(1)
    np.testing.assert_allclose(exit_steps(lambda w: 0 * w, constant(1.0), cells), 1 / (1 - inside))
