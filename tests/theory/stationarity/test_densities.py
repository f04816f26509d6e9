"""Itô's density against numerical integration, the chain on a grid, and the other readings."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgdtheory import symbols
from sgdtheory.claim import Case
from sgdtheory.theory.stationarity.densities import (
    ITO,
    READINGS,
    chain_law,
    density_power,
    growing_noise,
    log_slope,
    no_current,
    on_a_grid,
)

η, B, h, σ = symbols.lr, symbols.batch_size, symbols.curvature, symbols.noise_std
U1, D, D1 = symbols.loss_slope, symbols.diffusion, symbols.diffusion_slope
w = sp.Symbol("w", real=True)


def predicted(reading: str, ratio: float) -> float:
    """E 1/(1 + w²) under the density of a reading, by numerical integration of exp(∫ slope)."""
    slope = log_slope(reading).subs({U1: w, D: ratio * (1 + w**2) / 2, D1: ratio * w})
    line = np.linspace(-400, 400, 2_000_001)
    rise = np.broadcast_to(sp.lambdify(w, slope)(line), line.shape)
    logarithm = np.concatenate([[0], np.cumsum((rise[1:] + rise[:-1]) / 2)]) * (line[1] - line[0])
    density = np.exp(logarithm - logarithm.max())
    return float(np.sum(density / (1 + line**2)) / density.sum())


@pytest.mark.parametrize("reading", READINGS)
def test_the_power_is_the_integral_of_the_slope(reading: str) -> None:
    m = float(density_power(reading).subs({η: 0.5, h: 1, σ: 1, B: 1}))
    assert predicted(reading, 0.5) == pytest.approx(1 - 1 / (2 * m), rel=1e-5)


def test_with_constant_noise_all_readings_agree() -> None:
    slopes = {log_slope(reading).subs(D1, 0) for reading in READINGS}
    assert slopes == {-U1 / D}
    assert log_slope().subs({D1: 0, D: η * σ**2 / (2 * B)}) == -2 * B * U1 / (η * σ**2)


def test_an_unknown_reading_is_an_error() -> None:
    with pytest.raises(KeyError):
        log_slope("Hänggi")


@settings(max_examples=6)
@given(st.floats(0.08, 0.4))
@example(0.3)
def test_small_steps_of_the_chain_tend_to_itos_density_and_to_no_other(ratio: float) -> None:
    half = 30 * ratio + 3  # what lies beyond is below 10⁻⁶
    grid = np.linspace(-half, half, int(2 * half / np.sqrt(0.03 * ratio)) + 3)
    weight = 1 / (1 + grid**2)
    coarse, fine = (float(chain_law(x, ratio, grid) @ weight) for x in (0.06, 0.03))
    limit = 2 * fine - coarse
    distance = {reading: abs(limit - predicted_in_closed_form(reading, ratio)) for reading in READINGS}
    assert distance["Itô"] < 3e-4
    assert distance["Itô"] < distance["Stratonovich"] / 10 < distance["as printed"] / 10


def predicted_in_closed_form(reading: str, ratio: float) -> float:
    return float(1 - 1 / (2 * density_power(reading)).subs({η: ratio, h: 1, σ: 1, B: 1}))


@given(st.floats(0.05, 1.5), st.floats(0.01, 0.2))
@example(1.0, 0.1)  # a step that forgets where it was
def test_the_variance_holds_at_any_step(x: float, ratio: float) -> None:
    variance = float(no_current_variance(x, ratio))
    for _ in range(3):
        assert variance == pytest.approx((1 - x) ** 2 * variance + x * ratio * (1 + variance))


def no_current_variance(x: float, ratio: float) -> sp.Expr:
    return VARIANCE.subs({η: x, h: 1, B: 1, σ: sp.sqrt(ratio / x)})


VARIANCE = sp.sympify(no_current()[symbols.variance])


def test_the_variance_is_itos_for_small_steps() -> None:
    m = density_power()
    ratio = sp.Symbol("q", positive=True)
    of_density = (1 / (2 * m - 3)).subs(σ, sp.sqrt(ratio * B * h / η))
    of_chain = sp.limit(VARIANCE.subs(σ, sp.sqrt(ratio * B * h / η)), η, 0)
    assert sp.simplify(of_density - of_chain) == 0


def test_no_noise_no_variance_and_too_much_noise_no_finite_one() -> None:
    assert VARIANCE.subs(σ, 0) == 0
    assert VARIANCE.subs({η: 1, h: 1, B: 1, σ: 1}) is sp.zoo  # ησ² = Bh(2 − ηh)


def test_the_problem_has_the_noise_it_says() -> None:
    problem = growing_noise()
    assert sp.simplify(problem.gradient_noise[0] - σ**2 * (1 + w**2)) == 0
    assert problem.gradient[0] == h * w


def test_the_grid_evidence_does_not_use_the_statement() -> None:
    """It reproduces the variance at a step of one half, far from the small-step limit."""
    point: Case = {η: sp.Rational(1, 2), h: sp.Integer(1), B: sp.Integer(4), σ: sp.Integer(1)}
    case = on_a_grid(point)
    assert case[symbols.variance] == pytest.approx(float(VARIANCE.subs(point)), rel=1e-6)
    assert case[symbols.slope_sgd] == pytest.approx(float(log_slope().subs(case)), rel=1e-3)


def test_the_sources_reading_comes_first_among_the_mutants() -> None:
    assert ITO.mutants[0].name.startswith("as printed")
