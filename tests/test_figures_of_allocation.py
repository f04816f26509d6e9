"""The figures on loss change allocation: lines against independent numbers, markers on their lines; never pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from test_figures import SIGMAS, assert_on_line, bars, line, markers, picture, script

# --- rules -----------------------------------------------------------------------------------------------------------

ORDERS = {"left": 1, "trapezoid": 2, "midpoint": 2, "simpson": 4, "gauss-2": 4, "boole": 6, "gauss-3": 6, "gauss-4": 8}


@pytest.mark.parametrize("name", ORDERS)
def test_errors_come_to_their_lines_with_the_slope_of_the_order(name: str) -> None:
    module, axes = script("allocation_rules"), picture("allocation_rules").figure.axes[0]
    look = module.LOOKS[name]
    fine, stated = line(axes, look.label)
    assert math.log(stated[0] / stated[-1]) / math.log(fine[-1] / fine[0]) == pytest.approx(ORDERS[name], rel=1e-9)
    cost, error = markers(axes, look.label)
    ratio = error / np.exp(np.interp(np.log(cost), np.log(fine), np.log(stated)))
    assert abs(ratio[-1] - 1) < 0.35  # the expansion converges slowly where steps are long


def test_an_end_that_is_the_next_start_is_paid_once() -> None:
    module = script("allocation_rules")
    costs = {name: module.spent(module.quadrature_rule(name)) for name in ORDERS}
    assert costs == {
        "left": 1, "trapezoid": 1, "midpoint": 1, "simpson": 2, "gauss-2": 2, "boole": 4, "gauss-3": 3, "gauss-4": 4,
    }  # fmt: skip


def test_the_reference_conserves_the_loss() -> None:
    module = script("allocation_rules")
    steps = module.take_steps(3)
    loss = module.sgd.numeric_loss(steps.problem).value
    change = loss(steps.start + steps.move) - loss(steps.start)
    exact = module.allocate(steps, module.quadrature_rule(module.REFERENCE), 8).sum(axis=1)
    np.testing.assert_allclose(exact, change, rtol=0, atol=1e-13)


# --- half help -------------------------------------------------------------------------------------------------------


def test_fractions_lie_on_their_lines() -> None:
    module, (left, right) = script("half_help"), picture("half_help").figure.axes
    for look in (*module.CURVATURES.values(), module.ALL):
        x, y, three_errors = bars(left, look.label)
        step, stated = line(left, look.label)
        assert (np.abs(y - stated[x.astype(int) - 1]) <= SIGMAS / 3 * three_errors).all()
        assert set(x) <= set(step)
    for look in (*module.SHARPNESSES.values(), module.LECTURES):
        x, y, three_errors = bars(right, look.label)
        r, stated = line(right, look.label)
        assert (np.abs(y - np.interp(x, r, stated)) <= SIGMAS / 3 * three_errors + 2e-3).all()


@pytest.mark.parametrize("curvature", ["12", "1", "1/5"])
def test_the_integral_over_the_law_is_a_quadrant_of_two_normal_numbers(curvature: str) -> None:
    """A = uv with the move u and the gradient v in the middle of the step, jointly normal at every step."""
    module = script("half_help")
    h, lr, noise = float(module.sp.Rational(curvature)), 0.1, 1.0
    stated = module.predicted(module.sp.Rational(curvature))
    mean, variance = float(module.START), 0.0
    for step in range(60):
        if step % 20 == 0:
            # (u, v) = M(θ, ξ): u = −η(hθ + ξ), v = h(θ + u/2)
            matrix = np.array([[-lr * h, -lr], [h * (1 - lr * h / 2), -h * lr / 2]])
            moments = matrix @ np.diag([variance, noise]) @ matrix.T
            law = multivariate_normal(matrix @ [mean, 0], moments, allow_singular=True)
            both_below = law.cdf([0, 0])
            u, v = (multivariate_normal(law.mean[i], moments[i, i]).cdf(0) for i in (0, 1))
            assert stated[step] == pytest.approx(u + v - 2 * both_below, abs=2e-4)
        mean, variance = (1 - lr * h) * mean, (1 - lr * h) ** 2 * variance + lr**2 * noise


def test_the_fraction_falls_to_one_half() -> None:
    module, left = script("half_help"), picture("half_help").figure.axes[0]
    for look in module.CURVATURES.values():
        _, stated = line(left, look.label)
        assert stated[0] > 0.85
        assert abs(stated[-1] - 0.5) < 6e-3


def test_at_the_lectures_batch_a_step_helps_almost_surely_and_noise_alone_does_not() -> None:
    module, right = script("half_help"), picture("half_help").figure.axes[1]
    r, stated = line(right, module.LECTURES.label)
    assert np.interp(4, r, stated) == pytest.approx(0.99997, abs=1e-5)
    assert stated[0] < 0.1


# --- who hurts -------------------------------------------------------------------------------------------------------


def test_allocations_lie_on_their_lines() -> None:
    module, (steps, means, chances) = script("who_hurts"), picture("who_hurts").figure.axes
    for look in (*module.PARAMETERS, module.TOTAL):
        assert_on_line(steps, look.label)
    for look in module.PARAMETERS:
        assert_on_line(means, look.label)
        assert_on_line(chances, look.label)


def test_the_first_mean_is_that_of_the_noise_alone_and_the_last_are_opposite() -> None:
    """From the minimum E A = ½η²(HC)ᵢᵢ with C = Σ/B."""
    module, (steps, means, _) = script("who_hurts"), picture("who_hurts").figure.axes
    (_, one), (_, two), (_, total) = (line(steps, look.label) for look in (*module.PARAMETERS, module.TOTAL))
    assert (one[0], two[0]) == pytest.approx((0.125, 0.125 / 16))
    assert abs(total[-1]) < 1e-2
    for look in module.PARAMETERS:
        angle, mean = line(means, look.label)
        assert mean[0] == pytest.approx(15 / 364 * (1 if look is module.PARAMETERS[0] else -1))
        assert np.interp(45, angle, mean) == pytest.approx(0, abs=1e-12)
        assert mean[-1] == pytest.approx(-mean[0])
