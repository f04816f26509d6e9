"""Newton's method: quadratics in one step, degenerate minima, saddles, singular Hessians, overflow."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgdtheory import ArgumentError, Fresh, NoClosedFormError, Normal, Problem, landscape, newton, quadratic, symbols
from sgdtheory.testing import spd_matrices
from sgdtheory.theory.lectures.second_order import homogeneous_ratio

SADDLE = landscape("x**2 - y**2 + y**4", ["x", "y"])
RATIO = sp.lambdify((symbols.lr, symbols.degree), homogeneous_ratio())


@settings(max_examples=25)
@given(st.data(), st.integers(1, 4))
def test_one_full_step_finds_the_minimum_of_a_quadratic(data: st.DataObject, d: int) -> None:
    hessian = data.draw(spd_matrices(d, condition=10))
    start = data.draw(st.lists(st.integers(-8, 8), min_size=d, max_size=d))
    run = newton(quadratic(hessian, sp.eye(d)), np.array([start], dtype=float), steps=1)
    np.testing.assert_allclose(run.w.values[0, -1], 0, atol=1e-12)
    assert run.index.values == [0]
    assert run.singular_at.values == run.diverged_at.values == [-1]


@settings(max_examples=30)
@given(st.integers(2, 8), st.fractions("1/10", 3, max_denominator=10), st.sampled_from([-1.5, 0.25, 2.0]))
@example(4, 3, 1.0)  # arrives in one step
@example(2, 2, 1.0)  # neither converges nor diverges
@example(3, 4, 1.0)
def test_powers_contract_by_the_ratio_of_their_degree(p: int, lr: float, start: float) -> None:
    run = newton(landscape(f"w**{p}", ["w"]), start, lr=float(lr), steps=6)
    expected = start * RATIO(float(lr), p) ** np.arange(7)
    np.testing.assert_allclose(run.w.values[0, :, 0], expected, rtol=1e-12, atol=1e-300)


def test_a_form_in_the_plane_contracts_alike_in_all_directions() -> None:
    run = newton(landscape("x**4 + x**2*y**2 + 2*y**4", ["x", "y"]), [[1.0, -2.0], [3.0, 0.5]], steps=4)
    expected = run.w.values[:, :1] * RATIO(1.0, 4) ** np.arange(5)[:, np.newaxis]
    np.testing.assert_allclose(run.w.values, expected, rtol=1e-12)


def test_newton_goes_to_the_saddle_and_gradient_descent_does_not() -> None:
    start = np.array([1.0, 0.1])
    run = newton(SADDLE, start, steps=8)
    np.testing.assert_allclose(run.w.values[0, -1], 0, atol=1e-12)
    assert run.index.values == [1]
    x, y = start
    for _ in range(500):
        x, y = x - 0.1 * 2 * x, y - 0.1 * (4 * y**3 - 2 * y)
    assert y == pytest.approx(np.sqrt(0.5), abs=1e-9)


def test_minimum_saddle_and_maximum_are_told_apart() -> None:
    loss = landscape("(x**2 - 1)**2/4 + (y**2 - 1)**2/4", ["x", "y"])
    run = newton(loss, [[0.9, 1.1], [0.9, 0.1], [0.1, -0.1]], steps=20)
    assert run.index.values.tolist() == [0, 1, 2]
    np.testing.assert_allclose(run.w.values[:, -1], [[1, 1], [1, 0], [0, 0]], atol=1e-12)


def test_a_start_on_a_stationary_point_stays_even_where_the_hessian_is_singular() -> None:
    run = newton(landscape("w**4", ["w"]), [0.0], steps=3)
    np.testing.assert_array_equal(run.w.values[0], 0)
    assert (run.singular_at.values, run.index.values) == ([-1], [0])


def test_a_singular_hessian_ends_the_run_and_says_when() -> None:
    run = newton(landscape("x**3 + y**2", ["x", "y"]), [[0.0, 1.0], [1.0, 1.0]], steps=2)
    np.testing.assert_allclose(run.w.values[1], [[1, 1], [0.5, 0], [0.25, 0]])  # the others go on
    flat = newton(landscape("x**3 + x", ["x"]), [0.0, 1.0], steps=2)
    assert flat.singular_at.values.tolist() == [1, -1]
    assert flat.index.values.tolist()[0] == -1
    assert np.isnan(flat.w.values[0, 1:]).all()
    assert np.isfinite(flat.w.values[1]).all()
    assert run.singular_at.values.tolist() == [1, -1]


def test_a_direction_without_curvature_is_singular_in_every_dimension() -> None:
    for d in (2, 3, 4):
        names = [f"w{i}" for i in range(d)]
        run = newton(landscape(f"({' + '.join(names)})**2", names), np.arange(1.0, d + 1), steps=3)
        assert run.singular_at.values == [1]


def test_runs_off_to_infinity_end_without_an_error() -> None:
    """On √(1 + w²) the step is w' = −w³; beyond 1 the Hessian soon underflows to 0 while the gradient does not."""
    run = newton(landscape("sqrt(1 + w**2)", ["w"]), [0.5, 2.0], steps=12)
    assert run.singular_at.values.tolist() == [-1, 4]
    np.testing.assert_allclose(run.w.values[1, :4, 0], [2.0, -8.0, 512.0, -(512.0**3)], rtol=1e-6)
    assert np.isnan(run.w.values[1, 4:]).all()
    assert abs(run.w.values[0, -1, 0]) < 1e-12


def test_overflow_is_divergence() -> None:
    run = newton(landscape("exp(-w**2)", ["w"]), [0.2, 0.6, 30.0], lr=1e308, steps=3)
    assert (run.diverged_at.values > 0).any()
    assert (run.index.values[run.diverged_at.values > 0] == -1).all()


def test_starts_do_not_depend_on_each_other() -> None:
    points = np.random.default_rng(0).normal(size=(5, 2))
    together = newton(SADDLE, points, steps=6).w.values
    alone = [newton(SADDLE, point, steps=6).w.values[0] for point in points]
    np.testing.assert_array_equal(together, alone)


def test_labels_losses_and_attributes() -> None:
    run = newton(SADDLE, [[0.5, 0.5]], lr=0.5, steps=2)
    assert run.w.dims == ("start", "step", "coordinate")
    assert run.coordinate.values.tolist() == ["x", "y"]
    x, y = run.w.values[0].T
    np.testing.assert_allclose(run.loss.values[0], x**2 - y**2 + y**4)
    assert run.attrs["lr"] == 0.5
    assert "x**2" in run.attrs["population_loss"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"lr": 0.0}, "lr"),
        ({"lr": -1.0}, "lr"),
        ({"lr": np.nan}, "lr"),
        ({"steps": 0}, "steps"),
        ({"steps": 1.5}, "steps"),
        ({"start": [[1.0]]}, "start"),
        ({"start": [[np.inf, 1.0]]}, "start"),
        ({"problem": "x**2"}, "problem"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{named}: got"):
        newton(**({"problem": SADDLE, "start": [1.0, 1.0]} | arguments))  # type: ignore[arg-type]


def test_problems_without_numbers_or_closed_form_are_refused() -> None:
    with pytest.raises(ArgumentError, match="parameters without value"):
        newton(quadratic(), 1.0)
    with pytest.raises(NoClosedFormError):
        newton(Problem("tanh(w*x)", ["w"], Fresh(x=Normal())), 1.0)
