"""Escape times against quadrature, another closed form, a simulated run, and their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import dblquad

from sgdtheory import SGD, symbols
from sgdtheory.problem import landscape
from sgdtheory.simulation.ensemble import simulate
from sgdtheory.theory.stationarity.escape import exit_time, mean_exit_time, small_steps, steps_to_leave

m, D, a, T = symbols.valley_slope, symbols.diffusion, symbols.exit_distance, symbols.exit_time
w = sp.Symbol("w", positive=True)
TIME = sp.lambdify((m, D, a), exit_time())


@given(st.floats(0.1, 3), st.floats(0.2, 3), st.floats(0.1, 2))
def test_the_closed_form_is_the_double_integral(slope: float, diffusion: float, distance: float) -> None:
    integral, _ = dblquad(
        lambda z, y: math.exp(slope * (y - z) / diffusion) / diffusion, 0, distance, 0, lambda y: y
    )  # fmt: skip
    assert TIME(slope, diffusion, distance) == pytest.approx(integral, rel=1e-7)


def test_a_flat_valley_is_a_random_walk() -> None:
    assert mean_exit_time(sp.S.Zero, w) == a**2 / (2 * D)
    assert sp.limit(exit_time(), m, 0) == a**2 / (2 * D)


def test_high_barriers_leave_kramers_exponential() -> None:
    ratio = [TIME(1, 1, z) / math.exp(z) for z in (5, 10, 20)]
    assert ratio == sorted(ratio)
    assert ratio[-1] == pytest.approx(1, abs=1e-6)


def test_the_general_integral_on_another_valley() -> None:
    """U = −D log(1 + w): a hill, with a density of 1 + w."""
    hill = mean_exit_time(-D * sp.log(1 + w), w, sp.Integer(1)).subs(D, 1)
    inner, _ = dblquad(lambda z, y: (1 + z) / (1 + y), 0, 1, 0, lambda y: y)
    assert float(hill) == pytest.approx(inner)
    assert float(hill) < 1 / 2  # faster than the random walk


def test_the_quadratic_valleys_series() -> None:
    """On ½w² the same integrals give z·₂F₂(1, 1; 3/2, 2; z), z the barrier."""
    diffusion = 0.5
    by_quadrature, _ = dblquad(lambda z, y: math.exp((y**2 - z**2) / 2 / diffusion) / diffusion, 0, 1, 0, lambda y: y)
    z = 1 / (2 * diffusion)
    series = z * float(sp.hyper((1, 1), (sp.Rational(3, 2), 2), z).evalf())
    assert series == pytest.approx(by_quadrature)


def test_scaling_is_that_of_the_units() -> None:
    """Twice the distance at half the slope is the same height; with the same D it takes four times as long."""
    assert TIME(1.3 / 2, 0.7, 2.2) == pytest.approx(4 * TIME(1.3, 0.7, 1.1))


@pytest.mark.parametrize(("slope", "diffusion", "distance"), [(1.0, 1.0, 1.0), (1.0, 0.5, 1.5)])
def test_finite_steps_take_longer_by_an_overshoot_of_about_058_steps(
    slope: float, diffusion: float, distance: float
) -> None:
    exact = TIME(slope, diffusion, distance)
    late = [steps_to_leave(slope, diffusion, distance, part) - exact for part in (40, 80)]
    assert late[0] / late[1] == pytest.approx(2, abs=0.08)  # the error falls with √η
    rate = (math.exp(slope * distance / diffusion) - 1) / slope  # derivative in the distance
    assert late[1] / (rate * distance / 80) == pytest.approx(0.5826, rel=0.12)  # cells of 2/3 std add some


def test_extrapolation_finds_the_limit() -> None:
    point = {m: sp.Integer(3), D: sp.Rational(3, 2), a: sp.Rational(1, 2)}
    assert small_steps(point)[T] == pytest.approx(float(exit_time().subs(point)), rel=2e-4)


def test_simulated_runs_leave_when_the_grid_says() -> None:
    slope, std, part, replicas = 1.0, 0.1, 10, 4000
    diffusion = 1.0
    lr = std**2 / (2 * diffusion)
    x = sp.Symbol("w", real=True)
    run = simulate(
        landscape(sp.sqrt(x**2 + sp.Rational(1, 10**8)), ["w"], noise_std=std / lr), SGD(lr=lr), steps=4000,
        replicas=replicas, init=0, record=[4000], events={"out": x**2 > 1}, rng=0,
    )  # fmt: skip
    steps = run["out"].to_numpy().astype(float)
    assert (steps > 0).all()
    error = lr * steps.std() / np.sqrt(replicas)
    exact = TIME(slope, diffusion, 1.0)
    shifted = TIME(slope, diffusion, 1 + 0.5826 * std)
    assert abs(lr * steps.mean() - shifted) < 5 * error + 0.003 * exact
    assert lr * steps.mean() > exact + 3 * error
    assert steps_to_leave(slope, diffusion, 1.0, part) == pytest.approx(shifted, rel=0.02)
