"""Slices: real networks in floating point, and the places where a picture misleads."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import sympy as sp

from sgdtheory import symbols
from sgdtheory.theory.random_instances import rational_length
from sgdtheory.theory.slices.curvature import filter_normalised_mean
from sgdtheory.theory.slices.hidden_saddle import hidden_probability
from sgdtheory.theory.slices.random_walk import (
    centred_eigenvalue,
    centred_trace,
    component_in_time,
    pinned_eigenvalue,
    pinned_trace,
)
from sgdtheory.theory.slices.scale_invariance import equilibrium_square, next_square, turn
from sgdtheory.theory.slices.shifted_iteration import found_by_shift
from sgdtheory.theory.slices.small_network import Homogeneous, by_columns, by_entries, by_rows, leaky, relu
from sgdtheory.theory.slices.stationary_chain import eigenvalue, even_edge, odd_edge, trace
from sgdtheory.theory.slices.weight_decay import log_shrink, scaled_log_shrink

T, k = symbols.trajectory_points, symbols.component


def loss(w1: np.ndarray, w2: np.ndarray, seed: int = 0) -> float:
    x, y = np.random.default_rng(seed).standard_normal((2, 20, 4))
    return float(np.mean((np.maximum(x @ w1.T, 0) @ w2.T - y[:, :3]) ** 2))


def filters(draw: np.ndarray, weights: np.ndarray, axis: int = 1) -> np.ndarray:
    norms = (np.linalg.norm(m, axis=axis, keepdims=True) for m in (weights, draw))
    return draw * next(norms) / next(norms)


@pytest.mark.parametrize("per_neuron", [False, True])
def test_raw_slices_see_a_rescaling_and_normalised_ones_see_that_of_neurons(per_neuron: bool) -> None:
    rng = np.random.default_rng(4)
    w1, w2, d1, d2 = (rng.standard_normal(shape) for shape in ((6, 4), (3, 6)) * 2)
    c = rng.uniform(0.1, 10, (6, 1)) if per_neuron else np.full((6, 1), 10.0)
    scaled = (c * w1, w2 / c.T)

    def along(weights: tuple[np.ndarray, np.ndarray], axis: int | None) -> float:
        first = d1 if axis is None else filters(d1, weights[0])
        second = d2 if axis is None else filters(d2, weights[1], axis)
        return loss(weights[0] - first, weights[1] - second)

    assert loss(*scaled) == pytest.approx(loss(w1, w2), rel=1e-12)
    raw, rows, columns = (along(scaled, axis) / along((w1, w2), axis) - 1 for axis in (None, 1, 0))
    assert abs(raw) > 0.1
    assert (abs(rows) > 1e-3) == per_neuron
    assert abs(columns) < 1e-11


def test_normalised_draws_have_the_lengths_they_should() -> None:
    random = Random(2)
    weights = sp.Matrix.vstack(*(rational_length(random, 3).T for _ in range(2)))
    draw = sp.Matrix.vstack(*(rational_length(random, 3).T for _ in range(2)))
    rows, columns, entries = (scale(draw, weights) for scale in (by_rows, by_columns, by_entries))
    for i in range(2):
        assert rows.row(i).dot(rows.row(i)) == weights.row(i).dot(weights.row(i))
    for j in range(3):
        if not draw.col(j).is_zero_matrix:
            assert sp.simplify(columns.col(j).norm() - weights.col(j).norm()) == 0
    moved = [(entries[i, j], weights[i, j]) for i in range(2) for j in range(3) if draw[i, j] != 0]
    assert all(abs(entry) == abs(weight) for entry, weight in moved)
    assert moved


def test_rational_lengths_are_rational() -> None:
    for seed in range(20):
        drawn = rational_length(Random(seed), 1 + seed % 4)
        assert sp.sqrt(drawn.dot(drawn)).is_rational
        assert not drawn.is_zero_matrix


def test_a_homogeneous_unit_lets_out_positive_factors_alone() -> None:
    c, z = sp.Symbol("c", positive=True), sp.Symbol("z", real=True)
    assert Homogeneous(0) == 0
    assert Homogeneous(3 * c * z) == 3 * c * Homogeneous(z)
    assert Homogeneous(-z) != -Homogeneous(z)
    for unit in (relu, leaky, sp.Abs):
        assert unit(sp.Integer(6)) == 3 * unit(sp.Integer(2))


@pytest.mark.parametrize("points", [2, 3, 8, 21])
def test_the_eigenvalues_of_a_walk_add_to_the_trace(points: int) -> None:
    for value, total in ((centred_eigenvalue(), centred_trace()), (pinned_eigenvalue(), pinned_trace())):
        number = sp.lambdify(k, value.subs(T, points))
        assert sum(number(i) for i in range(1, points)) == pytest.approx(float(total.subs(T, points)))


def test_cosines_are_the_components_of_a_walk() -> None:
    index = np.arange(1, 13)
    gram = np.minimum.outer(index, index).astype(float)
    gram -= gram.mean(0)
    gram -= gram.mean(1, keepdims=True)
    for component in (1, 2, 5):
        v = sp.lambdify(symbols.step, component_in_time().subs({k: component, T: 12}))(index)
        expected = float(centred_eigenvalue().subs({k: component, T: 12}))
        np.testing.assert_allclose(gram @ v, expected * v, atol=1e-10)


def test_phases_of_a_chain_solved_from_the_ends_alone_give_its_eigenvalues() -> None:
    ρ, points = 0.8, 9
    index = np.arange(points)
    gram = ρ ** np.abs(np.subtract.outer(index, index)).astype(float)
    gram -= gram.mean(0)
    gram -= gram.mean(1, keepdims=True)
    found = []
    numbers = {symbols.lag_correlation: ρ, T: points}
    for edge, phase in ((odd_edge(), symbols.phase_odd), (even_edge(), symbols.phase_even)):
        value = sp.lambdify(phase, edge.subs(numbers))
        grid = np.linspace(1e-3, np.pi - 1e-6, 4000)
        signs = np.sign(value(grid))
        for i in np.flatnonzero(signs[1:] != signs[:-1]):
            low, high = grid[i], grid[i + 1]
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (middle, high) if np.sign(value(middle)) == signs[i] else (low, middle)
            found.append(float(eigenvalue(sp.Float(low)).subs(numbers)))
    expected = np.linalg.eigvalsh(gram)[1:]
    np.testing.assert_allclose(sorted(found), expected, rtol=1e-9)
    assert sum(found) == pytest.approx(float(trace().subs(numbers)))


def test_the_balance_is_a_fixed_point_and_a_quarter_turn_needs_full_decay() -> None:
    square = equilibrium_square()
    assert sp.simplify(next_square(square) - square) == 0
    assert turn().subs({symbols.lr: 2, symbols.weight_decay: sp.Rational(1, 2)}) == 0


def test_large_batches_decay_a_little_more_under_linear_scaling() -> None:
    numbers = {symbols.examples: 1000, symbols.weight_decay: sp.Rational(1, 100), symbols.lr_one: sp.Rational(1, 50)}
    small, large = (float(scaled_log_shrink().subs(numbers).subs(symbols.batch_size, b)) for b in (10, 400))
    assert large < small < 0
    assert large == pytest.approx(small, rel=0.05)
    fixed = [float(log_shrink(sp.Rational(1, 10)).subs(numbers).subs(symbols.batch_size, b)) for b in (10, 400)]
    assert fixed[0] == pytest.approx(40 * fixed[1])


@pytest.mark.parametrize(
    ("spectrum", "returned"),
    [((1, 0.8, 0.5, 0.3), 1.0), ((-1, -0.8, -0.5, -0.3), -1.0), ((1, 0.01), 0.01), ((1, -0.2), -0.2), ((-1, 0.5), 0.5)],
)
def test_the_shift_fails_on_definite_matrices(spectrum: tuple[float, ...], returned: float) -> None:
    values = np.array(spectrum)
    first = values[np.abs(values).argmax()]
    other = values[np.abs(values - first).argmax()]
    shifted = values - 0.51 * first
    assert shifted[np.abs(shifted).argmax()] + 0.51 * first == pytest.approx(returned)
    stated = found_by_shift().subs({symbols.end_largest: first, symbols.end_other: other})
    assert float(stated) == pytest.approx(returned)


def test_saddles_hide_better_in_more_dimensions() -> None:
    numbers = {symbols.curvature: 1, symbols.descent_curvature: 3}
    hidden = [float(hidden_probability(pairs).subs(numbers)) for pairs in (1, 2, 10, 40)]
    assert hidden == sorted(hidden)
    assert hidden[0] == pytest.approx(0.5)
    assert 1 - hidden[-1] < 1e-4
    δ = np.random.default_rng(1).standard_normal((40_000, 5)) ** 2
    assert np.mean(δ[:, :4].sum(1) > 3 * δ[:, 4]) == pytest.approx(hidden[1], abs=5 * 0.5 / 200)


def test_a_rescaled_layer_keeps_the_mean_of_its_normalised_curvature() -> None:
    c = sp.Symbol("c", positive=True)
    w, h = symbols.filter_square, symbols.filter_trace
    assert sp.simplify(filter_normalised_mean().subs({w: w * c**2, h: h / c**2}) - filter_normalised_mean()) == 0
