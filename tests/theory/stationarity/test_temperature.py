"""Temperatures: Langevin against posteriors, and where one temperature does not describe SGD."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov

from sgdtheory import symbols
from sgdtheory.optimizers import Langevin
from sgdtheory.theory.stationarity.temperature import (
    axes_apart,
    current_free,
    density_rate,
    euler_law,
    match_posterior,
    small_steps,
)

η, B, h = symbols.lr, symbols.batch_size, symbols.curvature
h1, h2, σ1, σ2, r = (
    symbols.curvature_1,
    symbols.curvature_2,
    symbols.noise_std_1,
    symbols.noise_std_2,
    symbols.noise_correlation,
)
N, amplitude = symbols.examples, symbols.diffusion_std
T1, T2, Ω = symbols.temperature_1, symbols.temperature_2, symbols.torque


def test_the_slides_noise_samples_a_posterior_of_four_times_as_many_examples() -> None:
    rate = current_free()[symbols.density_rate]
    assert rate.subs(amplitude, 1 / sp.sqrt(2 * N)) == 4 * N
    assert rate.subs(amplitude, sp.sqrt(2 / N)) == N


def test_langevins_temperature_is_half_the_noise() -> None:
    """A step of length η has variance 2Tη, the Brownian motion σ²η."""
    kick = Langevin(temperature=amplitude**2 / 2).update(gradient=0).displacement.coeff(symbols.injected_noise)
    assert sp.simplify(kick**2 - amplitude**2 * η) == 0


@pytest.mark.parametrize("noise", [0.1, 1.0, 4.0])
def test_small_steps_find_the_density_of_the_quartic(noise: float) -> None:
    def second_moment(law: np.ndarray, grid: np.ndarray) -> float:
        return float(law @ grid**2)

    line = np.linspace(-6, 6, 4001)
    weight = np.exp(-2 / noise * (line**2 / 2 + line**4 / 4))
    assert small_steps(second_moment, noise) == pytest.approx(weight @ line**2 / weight.sum(), rel=5e-4)
    assert small_steps(density_rate, noise) == pytest.approx(2 / noise, rel=2e-3)


def test_the_error_of_a_step_is_of_first_order() -> None:
    grid = np.linspace(-4, 4, 201)
    exact = small_steps(lambda law, w: float(law @ w**2), 1.0)
    errors = [float(euler_law(lr, 1.0, grid) @ grid**2) - exact for lr in (0.08, 0.04, 0.02)]
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.2)
    assert errors[1] / errors[2] == pytest.approx(2, abs=0.1)


def test_the_matching_noise_of_one_example_is_two() -> None:
    point = {N: sp.Integer(1), η: sp.Rational(1, 2), h: sp.Integer(1), amplitude: sp.Integer(1)}
    case = match_posterior(point)
    assert case[symbols.posterior_noise] == pytest.approx(2, rel=1e-3)
    assert case[symbols.langevin_variance] == pytest.approx(1 / (1 - 0.25), rel=1e-6)


def test_eulers_steps_grow_hotter_with_their_length() -> None:
    V = current_free()[symbols.langevin_variance]
    assert sp.limit(V, η, 0) == 1 / (N * h)
    assert sp.simplify(sp.diff(V, η).subs({h: 1, N: 1, η: sp.Rational(1, 2)})) > 0


@given(st.floats(0.02, 1.95), st.floats(0.02, 1.95), st.floats(-1, 1), st.floats(0.1, 3))
@example(1.0, 1.0, 1.0, 1.0)  # isotropic curvature: no torque
@example(0.5, 1.5, 0.0, 1.0)
@example(1.95, 0.02, -1.0, 1.0)
def test_axes_against_a_lyapunov_equation_by_hand(x1: float, x2: float, correlation: float, std: float) -> None:
    H, noise = np.diag([x1, x2]), np.array([[1, correlation * std], [correlation * std, std**2]])
    S = solve_discrete_lyapunov(np.eye(2) - H, noise)
    numbers = {η: 1, B: 1, h1: x1, h2: x2, σ1: 1, σ2: std, r: correlation}
    measured = {T1: x1 * S[0, 0], T2: x2 * S[1, 1], Ω: (H @ S)[1, 0] - (H @ S)[0, 1]}
    for quantity, value in axes_apart().items():
        assert float(value.subs(numbers)) == pytest.approx(measured[quantity], rel=1e-6, abs=1e-9)


def test_one_temperature_remains_for_isotropic_noise_and_small_steps() -> None:
    values = axes_apart()
    alike = {σ1: symbols.noise_std, σ2: symbols.noise_std, r: 0}
    for quantity in (T1, T2):
        leading = sp.limit(values[quantity].subs(alike) / η, η, 0)
        assert sp.simplify(leading - symbols.noise_std**2 / (2 * B)) == 0
    assert values[Ω].subs(alike) == 0


def test_at_a_finite_step_even_isotropic_noise_has_two_temperatures() -> None:
    values = axes_apart()
    numbers = {η: 1, B: 1, h1: 1, h2: sp.Rational(3, 2), σ1: 1, σ2: 1, r: 0}
    assert values[T1].subs(numbers) == 1
    assert values[T2].subs(numbers) == 2


def test_the_torque_needs_correlation_and_unequal_curvature() -> None:
    torque = sp.factor(axes_apart()[Ω])
    assert torque.subs(r, 0) == 0
    assert sp.simplify(torque.subs(h2, h1)) == 0
    assert sp.simplify(torque.subs({η: 1, B: 1, h1: 1, h2: sp.Rational(1, 2), σ1: 1, σ2: 1, r: 1})) != 0
