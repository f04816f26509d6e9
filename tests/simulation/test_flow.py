"""Gradient flow against closed forms and against descent with small steps; single runs against ensembles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdtheory import (
    SGD,
    ArgumentError,
    Fresh,
    Momentum,
    NoClosedFormError,
    Normal,
    Problem,
    gradient_flow,
    landscape,
    numeric_loss,
    quadratic,
    simulate,
    sticky_1d,
    sticky_2d,
    trajectory,
)

METHODS = ["LSODA", "Radau", "BDF", "RK45", "DOP853"]
GLOBAL = 1000
"""Times rtol: a step errs by less than rtol; a thousand of them bound what some hundred contracting steps add up to."""
DOUBLE_WELL = landscape("(w**2 - 1)**2/4", ["w"])


# ---------------------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("method", METHODS)
def test_a_quadratic_decays_as_the_exponential_of_its_hessian(method: str) -> None:
    """In eigendirections of H, which are not the axes here, w = e^(−λt) w(0)."""
    hessian = sp.Matrix([[2, 1], [1, 3]])
    values, vectors = np.linalg.eigh(np.array(hessian, dtype=float))
    start, times = np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([0.0, 0.1, 1.0, 4.0])
    flow = gradient_flow(quadratic(hessian, sp.eye(2)), start, times, method=method, rtol=1e-8)
    decay = np.exp(-np.multiply.outer(times, values))
    exact = np.einsum("ij,tj,kj,nk->nti", vectors, decay, vectors, start)
    np.testing.assert_allclose(flow.w, exact, rtol=0, atol=GLOBAL * 1e-8)
    np.testing.assert_allclose(flow.loss, 0.5 * np.einsum("nti,ij,ntj->nt", exact, np.array(hessian, float), exact),
                               rtol=0, atol=10 * GLOBAL * 1e-8)  # fmt: skip


@pytest.mark.parametrize("k", [2, 3, 5])
def test_a_degenerate_minimum_is_approached_by_a_power_of_time(k: int) -> None:
    """DEG-04: on c w^(2k), w = (w0^(2−2k) + 2k(2k−2)ct)^(−1/(2k−2)), of either sign."""
    c, start, times = 0.7, np.array([-1.5, 0.4, 2.0]), np.geomspace(1e-3, 1e4, 30)
    flow = gradient_flow(landscape(sp.Float(c) * sp.Symbol("w") ** (2 * k), ["w"]), start, times)
    grown = np.abs(start)[:, None] ** (2 - 2 * k) + 2 * k * (2 * k - 2) * c * times
    exact = np.sign(start)[:, None] * grown ** (-1 / (2 * k - 2))
    np.testing.assert_allclose(flow.w[..., 0], exact, rtol=GLOBAL * 1e-9)
    np.testing.assert_allclose(flow.loss, c * exact ** (2 * k), rtol=2 * k * GLOBAL * 1e-9)


def test_the_closed_form_of_a_power_solves_the_flow() -> None:
    """So that the test above cannot share an error with what it tests."""
    t, c, start = sp.symbols("t c w_0", positive=True)
    for k in (2, 3, 5):
        w = (start ** (2 - 2 * k) + 2 * k * (2 * k - 2) * c * t) ** sp.Rational(-1, 2 * k - 2)
        assert sp.simplify(sp.diff(w, t) + 2 * k * c * w ** (2 * k - 1)) == 0
        assert sp.simplify(w.subs(t, 0) - start) == 0


def test_a_smaller_tolerance_costs_more_and_gives_less_error() -> None:
    exact = math.exp(-3)
    runs = [gradient_flow(quadratic(1, 1), 1.0, [3.0], rtol=rtol, atol=1e-3 * rtol) for rtol in (1e-4, 1e-7, 1e-10)]
    errors = [abs(float(run.w[0, 0, 0]) - exact) for run in runs]
    assert errors[0] > errors[1] > errors[2]
    assert runs[0].evaluations < runs[1].evaluations < runs[2].evaluations


def test_stiff_losses_are_cheap_for_the_default_and_not_for_an_explicit_solver() -> None:
    """Curvatures 1 and 10⁴ until t = 1: an explicit method needs at least 10⁴/3.3 steps of several gradients."""
    problem = quadratic(sp.diag(1, 10**4), sp.eye(2))
    runs = {m: gradient_flow(problem, [1.0, 1.0], [1.0], method=m, rtol=1e-6, atol=1e-9) for m in ("LSODA", "RK45")}
    for run in runs.values():
        np.testing.assert_allclose(run.w[0, 0], [math.exp(-1), 0], atol=GLOBAL * 1e-6)
    assert runs["LSODA"].evaluations * 20 < runs["RK45"].evaluations


# ---------------------------------------------------------------------------------------------- properties


@settings(max_examples=20)
@given(st.lists(st.tuples(*[st.floats(-1.5, 1.5, allow_subnormal=False)] * 2), min_size=1, max_size=3))
def test_the_loss_never_rises(starts: list[tuple[float, float]]) -> None:
    """Up to the error of w, times the gradient, below 10² here."""
    for problem in (sticky_2d(1, 2), landscape("(w1**2 - 1)**2/4 + (w1 - w2)**2", ["w1", "w2"])):
        flow = gradient_flow(problem, starts, np.linspace(0, 5, 40))
        assert np.diff(flow.loss, axis=1).max() <= 1e2 * GLOBAL * 1e-9
        np.testing.assert_array_equal(flow.reached, 5)
        np.testing.assert_array_equal(flow.loss, numeric_loss(problem).value(flow.w))


def test_equilibria_stay_even_unstable_ones() -> None:
    flow = gradient_flow(DOUBLE_WELL, [-1.0, 0.0, 1.0], [0.0, 1.0, 100.0])
    np.testing.assert_array_equal(flow.w[..., 0], np.array([[-1.0], [0.0], [1.0]]) * np.ones(3))


def test_every_start_is_solved_for_itself() -> None:
    starts, times = np.array([[1.0, 0.3], [-1.2, 0.5], [0.1, -2.0]]), [0.5, 3.0]
    together = gradient_flow(sticky_2d(), starts, times)
    for i, start in enumerate(starts):
        alone = gradient_flow(sticky_2d(), start, times)
        np.testing.assert_array_equal(together.w[i], alone.w[0])


def test_the_flow_can_be_cut_in_two() -> None:
    whole = gradient_flow(DOUBLE_WELL, [0.1, -2.0], [1.0, 2.5])
    rest = gradient_flow(DOUBLE_WELL, whole.w[:, 0], [1.5])
    np.testing.assert_allclose(rest.w[:, 0], whole.w[:, 1], rtol=GLOBAL * 1e-9)


def test_noise_does_not_enter() -> None:
    clean = gradient_flow(sticky_1d(noise_std=1), [0.5], [0.01, 0.1])
    noisy = gradient_flow(sticky_1d(noise_std=3), [0.5], [0.01, 0.1])
    np.testing.assert_array_equal(clean.w, noisy.w)
    np.testing.assert_allclose(noisy.loss - clean.loss, (9 - 1) / 2, rtol=1e-12)


def test_descent_with_small_steps_follows_the_flow_with_an_error_of_first_order() -> None:
    """Halving η halves the distance, up to terms of relative order η < 0.02."""
    problem, start = landscape("w1**4/4 + w1*w2 + w2**2", ["w1", "w2"]), (1.5, -0.5)
    flow = gradient_flow(problem, start, [1.0]).w.values[0, 0]
    gaps = []
    for steps in (100, 200, 400):
        path = trajectory(problem, SGD(lr=1 / steps), steps=steps, start=start)
        gaps.append(np.linalg.norm(path.w.values[-1] - flow))
    np.testing.assert_allclose(np.array(gaps[:-1]) / gaps[1:], 2, rtol=0.02)


# ---------------------------------------------------------------------------------------------- ends and arguments


@pytest.mark.parametrize("method", ["LSODA", "RK45", "BDF"])
def test_a_flow_that_leaves_every_bound_in_finite_time_says_when(method: str) -> None:
    """On −w⁴ from 1, w = (1 − 8t)^(−1/2): NaN from t = 1/8 on, and the other start is not touched by it."""
    flow = gradient_flow(landscape("-w**4", ["w"]), [1.0, 0.1], [0.0, 0.1, 0.2, 1.0], method=method)
    assert float(flow.reached[0]) == pytest.approx(1 / 8, rel=1e-6)
    np.testing.assert_allclose(flow.w[0, :2, 0], [1, 0.2**-0.5], rtol=GLOBAL * 1e-9)
    assert np.isnan(flow.w[0, 2:]).all()
    assert np.isnan(flow.loss[0, 2:]).all()
    assert float(flow.reached[1]) == 1
    assert flow.evaluations < 20_000  # the solver was stopped there, not by the default limit
    np.testing.assert_allclose(flow.w[1, :, 0], (100 - 8 * flow.time) ** -0.5, rtol=GLOBAL * 1e-9)


def test_a_flow_that_overflows_or_reaches_the_end_of_the_domain_is_given_up() -> None:
    up = gradient_flow(landscape("-w**2/2", ["w"]), 1.0, [1.0, 1000.0])
    assert np.isfinite(up.w[0, 0]).all()
    assert np.isnan(up.w[0, 1]).all()
    assert 700 < float(up.reached[0]) < 710  # e^709.8 is the largest double
    edge = gradient_flow(landscape("sqrt(w)", ["w"]), 1.0, [0.5, 3.0])
    # w^(3/2) = 1 − 3t/4
    np.testing.assert_allclose(edge.w[0, 0], (1 - 0.375) ** (2 / 3), rtol=GLOBAL * 1e-9)
    assert np.isnan(edge.w[0, 1]).all()
    assert float(edge.reached[0]) == pytest.approx(4 / 3, rel=1e-3)


def test_a_kink_does_not_hang() -> None:
    flow = gradient_flow(landscape("abs(w)", ["w"]), 1.0, [0.5, 3.0], max_evaluations=2000)
    np.testing.assert_allclose(flow.w[0, 0], 0.5, rtol=GLOBAL * 1e-9)
    assert np.isnan(flow.w[0, 1]).all()
    assert float(flow.reached[0]) == pytest.approx(1, rel=1e-6)
    assert flow.evaluations < 2100


def test_time_zero_alone_gives_the_start_back() -> None:
    flow = gradient_flow(DOUBLE_WELL, [0.5, 2.0], [0.0])
    np.testing.assert_array_equal(flow.w[:, 0, 0], [0.5, 2.0])


def test_the_result_says_how_it_was_made() -> None:
    flow = gradient_flow(sticky_1d(convention="squared error"), [[0.5], [1.0]], [1.0], method="Radau", rtol=1e-7)
    assert dict(flow.w.sizes) == {"start": 2, "time": 1, "coordinate": 1}
    assert flow.loss_convention == "squared error"
    assert (flow.solver, flow.rtol, flow.atol) == ("scipy.integrate.Radau", 1e-7, 1e-12)
    assert all(name in flow.versions for name in ("scipy", "numpy", "sgdtheory"))


BAD = [
    ({"times": [1.0, 0.5]}, "times"),
    ({"times": [1.0, 1.0]}, "times"),
    ({"times": [-1.0, 1.0]}, "times"),
    ({"times": []}, "times"),
    ({"times": 1.0}, "times"),
    ({"times": [0.0, math.inf]}, "times"),
    ({"times": ["1"]}, "times"),
    ({"start": math.nan}, "start"),
    ({"start": [[1.0, 2.0]]}, "start"),
    ({"start": [[1.0], [1.0, 2.0]]}, "start"),
    ({"start": []}, "start"),
    ({"start": "1"}, "start"),
    ({"start": Normal(0, 1)}, "start"),
    ({"start": 1e200}, "start"),  # its gradient overflows
    ({"method": "Euler"}, "method"),
    ({"rtol": 0.0}, "rtol"),
    ({"atol": -1.0}, "atol"),
    ({"atol": math.nan}, "atol"),
    ({"max_evaluations": 0}, "max_evaluations"),
    ({"problem": landscape(sp.Symbol("a") * sp.Symbol("w") ** 2, ["w"])}, "problem"),
    ({"problem": "double well"}, "problem"),
]


@pytest.mark.parametrize(("changed", "argument"), BAD)
def test_refuses_what_cannot_be_meant(changed: dict[str, object], argument: str) -> None:
    arguments: dict[str, object] = {"problem": DOUBLE_WELL, "start": 1.0, "times": [1.0]} | changed
    with pytest.raises(ArgumentError, match=f"^{argument}:"):
        gradient_flow(**arguments)


def test_refuses_a_loss_without_closed_form() -> None:
    with pytest.raises(NoClosedFormError):
        gradient_flow(Problem("exp(x*w**2)", ["w"], Fresh(x=Normal(0, 1))), 1.0, [1.0])


# ---------------------------------------------------------------------------------------------- one run


def test_a_trajectory_is_replica_0_of_an_ensemble() -> None:
    problem = landscape("w1**2*w2**2 + w2**2", ["w1", "w2"], noise_std=1)
    arguments = {"steps": 25, "batch_size": 3, "rng": 5}
    path = trajectory(problem, SGD(lr=0.01), start=[Normal(0, 0.1), 0.8], **arguments)
    many = simulate(problem, SGD(lr=0.01), init=[Normal(0, 0.1), 0.8], replicas=7, **arguments)
    np.testing.assert_array_equal(path.w, many.w[0])
    assert path.w.dims == ("step", "coordinate")
    np.testing.assert_array_equal(path.step, np.arange(26))
    assert "replica" not in {*path.dims, *path.coords}
    assert np.abs(np.diff(path.w, axis=0)).min() > 0  # it did move


def test_memory_is_recorded_and_obeys_the_rule() -> None:
    """v' = μv − … is θ − θ', and v' − μv = η∇L(θ); three roundings a step."""
    path = trajectory(DOUBLE_WELL, Momentum(lr=0.1, momentum=0.9), steps=50, start=2)
    w, v = path.w.values[:, 0], path.memory.values[:, 0]
    np.testing.assert_allclose(-np.diff(w), v[1:], rtol=0, atol=4e-15)
    np.testing.assert_allclose(v[1:] - 0.9 * v[:-1], 0.1 * w[:-1] * (w[:-1] ** 2 - 1), rtol=0, atol=4e-15)
    assert "memory" not in trajectory(DOUBLE_WELL, SGD(lr=0.1), steps=1, start=2)


def test_a_trajectory_takes_sweeps_parameters_and_observables() -> None:
    a, w = sp.symbols("a w", real=True)
    path = trajectory(landscape(a * w**2 / 2, ["w"]), SGD(lr=[0.1, 0.2]), steps=3, start=1, parameters={"a": [1, 2]},
                      observables={"square": w**2})  # fmt: skip
    exact = (1 - np.multiply.outer([0.1, 0.2], [1, 2])) ** 3
    np.testing.assert_allclose(path.w[..., -1, 0], exact, rtol=1e-15)
    np.testing.assert_allclose(path["square"][..., -1], exact**2, rtol=1e-15)


def test_a_trajectory_that_diverges_says_so() -> None:
    path = trajectory(DOUBLE_WELL, SGD(lr=1), steps=20, start=10)
    assert int(path.diverged_at) > 0
    assert np.isinf(path.w.values[int(path.diverged_at) :]).all()
