"""The figures on stationarity: theory lines against independent numbers, markers on their lines; never pixels."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from test_figures import SIGMAS, assert_on_line, bars, line, markers, picture, script

# --- heat capacity ---------------------------------------------------------------------------------------------------


def test_the_loss_and_both_slopes_are_those_of_the_formulas() -> None:
    module, (left, right) = script("heat_capacity"), picture("heat_capacity").figure.axes
    for axes in (left, right):
        lr, loss = line(axes, module.LOSS.label)
        np.testing.assert_allclose(loss, lr / (2 * (2 - lr)), rtol=1e-12)
    for look, slope in ((module.SLOPE, 0.25), (module.PRINTED, 1.0)):
        lr, tangent = line(left, look.label)
        np.testing.assert_allclose(tangent, slope * lr, rtol=1e-12)


def test_the_extrapolation_is_drawn_as_what_is_missing() -> None:
    module, right = script("heat_capacity"), picture("heat_capacity").figure.axes[1]
    lr, below = line(right, module.EXTRAPOLATED.label)

    def loss(x: np.ndarray) -> np.ndarray:
        return x / (2 * (2 - x))

    np.testing.assert_allclose(below, loss(lr) - 2 * loss(lr / 2), rtol=1e-9)
    assert np.log(below[1] / below[0]) / np.log(lr[1] / lr[0]) == pytest.approx(2, abs=0.1)


def test_simulated_losses_lie_on_their_line() -> None:
    module, (left, _) = script("heat_capacity"), picture("heat_capacity").figure.axes
    assert_on_line(left, module.LOSS.label)


def test_twin_runs_share_their_noise_so_that_their_difference_is_sharp() -> None:
    (point,), diverged = script("heat_capacity").simulated([1.0], 20_000, 3)
    assert diverged == 0
    assert abs(point.below - 1 / 6) < SIGMAS * point.below_error
    assert point.below_error < 1.5 * point.loss_error


# --- densities -------------------------------------------------------------------------------------------------------


def test_densities_are_normalised_and_in_the_right_order() -> None:
    module = script("stationary_density")
    w = np.linspace(-300, 300, 1_200_001)
    tails = []
    for reading in module.READINGS:
        density = module.student(reading)(w)
        assert np.trapezoid(density, w) == pytest.approx(1, abs=1e-3)
        tails.append(float(np.trapezoid(density[w > 2], w[w > 2])))
    assert tails == sorted(tails)
    assert np.trapezoid(module.gibbs()(w), w) == pytest.approx(1, abs=1e-6)


def test_the_wells_density_at_the_barrier_is_smaller_by_e() -> None:
    density = script("stationary_density").gibbs()(np.array([0.0, 1.0]))
    assert density[1] / density[0] == pytest.approx(np.e, rel=1e-9)


def test_the_chain_differs_from_its_small_step_limit_by_the_order_of_a_step() -> None:
    module = script("stationary_density")
    w = np.linspace(-1.3, 1.3, 27)
    ratio = module.chain()(w) / module.gibbs()(w)
    assert 0.005 < np.abs(ratio - 1).max() < 0.06


def test_simulated_densities_lie_on_itos_line_and_on_no_other() -> None:
    module, axes = script("stationary_density"), picture("stationary_density").figure.axes
    w, density, three_errors = bars(axes[1], module.READINGS["Itô"].label)
    off = {
        reading: np.abs(density - module.student(reading)(w)).max() for reading in module.READINGS
    }  # fmt: skip
    assert off["Itô"] < off["Stratonovich"] < off["as printed"]
    worst = {r: (np.abs(density - module.student(r)(w)) / three_errors * 3).max() for r in module.READINGS}
    assert worst["Itô"] < SIGMAS
    assert worst["as printed"] > 2 * SIGMAS


def test_simulated_wells_lie_on_the_chains_law() -> None:
    module, axes = script("stationary_density"), picture("stationary_density").figure.axes
    w, density, three_errors = bars(axes[0], module.GIBBS.label)
    width = w[1] - w[0]
    fine = w[:, None] + np.linspace(-width / 2, width / 2, 21)[None, :]
    assert (np.abs(density - module.chain()(fine).mean(1)) < SIGMAS / 3 * three_errors).all()


# --- reshuffling -----------------------------------------------------------------------------------------------------


def test_minima_have_mean_zero_and_unit_variance() -> None:
    for size in (2, 5, 64):
        minima = script("reshuffling").minima(size)
        assert minima.mean() == pytest.approx(0, abs=1e-12)
        assert np.mean(minima**2) == pytest.approx(1)


def test_the_lines_are_those_of_enumerated_orders() -> None:
    module, (left, _) = script("reshuffling"), picture("reshuffling").figure.axes
    lr, variance = line(left, module.RESHUFFLED[4].label)
    for k in range(0, lr.size, 60):
        weights = lr[k] * (1 - lr[k]) ** np.arange(4)[::-1]
        ends = [float(weights @ order) for order in permutations(module.minima(4))]
        assert variance[k] == pytest.approx(np.mean(np.square(ends)) / (1 - (1 - lr[k]) ** 8), rel=1e-6)
    lr, variance = line(left, module.REPLACED.label)
    np.testing.assert_allclose(variance, lr / (2 - lr), rtol=1e-12)


def test_simulated_variances_lie_on_their_lines() -> None:
    module, (left, right) = script("reshuffling"), picture("reshuffling").figure.axes
    for look in (module.REPLACED, *module.RESHUFFLED.values()):
        x, y, three_errors = bars(left, look.label)
        at, exact = line(left, look.label)
        expected = np.exp(np.interp(np.log(x), np.log(at), np.log(exact)))
        assert (np.abs(y - expected) < SIGMAS / 3 * three_errors).all()
    for look in module.RATIO.values():
        x, y, three_errors = bars(right, look.label)
        at, exact = line(right, look.label)
        expected = np.exp(np.interp(np.log(x), np.log(at), np.log(exact)))
        assert (np.abs(y - expected) < SIGMAS / 3 * three_errors).all()


def test_ratios_tend_to_one_for_long_epochs() -> None:
    module, (_, right) = script("reshuffling"), picture("reshuffling").figure.axes
    for look in module.RATIO.values():
        _, ratio = line(right, look.label)
        assert (np.diff(ratio) > 0).all()
        assert ratio[-1] < 1


# --- minibatch stability ---------------------------------------------------------------------------------------------


def test_measured_limits_and_growths_lie_on_their_formulas() -> None:
    module, (limits, growths) = script("minibatch_stability"), picture("minibatch_stability").figure.axes
    for d, look in module.DIMENSIONS.items():
        batch, value, three_errors = bars(limits, look.label)
        assert (np.abs(value - 2 * batch / (batch + d + 1)) <= SIGMAS / 3 * three_errors).all()
    for batch, look in module.GROWTHS.items():
        lr, value, three_errors = bars(growths, look.label)
        exact = 1 - 2 * lr + lr**2 * (batch + module.GROWTH_DIMENSION + 1) / batch
        assert (np.abs(value - exact) <= SIGMAS / 3 * three_errors).all()


# --- heavy tail ------------------------------------------------------------------------------------------------------


def test_the_tail_follows_kesten_and_not_the_diffusion() -> None:
    module, axes = script("heavy_tail"), picture("heavy_tail").figure.axes[0]
    u, share, three_errors = bars(axes, module.KESTEN.label)
    _, power_law = line(axes, module.KESTEN.label)
    assert power_law[0] * 1.2**2 == pytest.approx(0.4529, abs=1e-4)
    far = u > 6  # nearer, the power law is not yet there
    assert far.sum() >= 2
    assert (np.abs(share[far] * u[far] ** 2 - 0.4529) <= SIGMAS / 3 * three_errors[far] * u[far] ** 2).all()
    x, y = line(axes, module.DIFFUSION.label)
    assert (share[far] > 2 * np.interp(u[far], x, y)).all()


def test_exponents_start_from_their_limits() -> None:
    module, axes = script("heavy_tail"), picture("heavy_tail").figure.axes[1]
    (_, exact), (_, expansion), (_, diffusion) = (
        line(axes, look.label) for look in (module.EXPONENT, module.EXPANSION, module.STUDENT)
    )
    assert exact[0] == pytest.approx(1.79556, abs=2e-3)
    assert diffusion[0] == pytest.approx(1, abs=3e-3)
    assert expansion[0] == pytest.approx(exact[0], rel=1e-6)


# --- edge of stability -----------------------------------------------------------------------------------------------


def test_the_scan_lies_on_the_exact_cycle() -> None:
    module, (orbits, curvature, multiplier) = script("edge_of_stability"), picture("edge_of_stability").figure.axes
    cycle = [k.get_data() for k in orbits.get_lines() if k.get_label() == module.HIGH.label]
    assert len(cycle) == 2
    (lr, first), (_, second) = cycle
    np.testing.assert_allclose(first - lr * (first**3 - first), second, atol=1e-12)
    np.testing.assert_allclose(second - lr * (second**3 - second), first, atol=1e-12)
    lr, mean = markers(curvature, module.CURVATURE.label)
    np.testing.assert_allclose(mean, (1 + 3 / lr) / 2, rtol=1e-6)
    lr, slope = markers(multiplier, module.MULTIPLIER.label)
    np.testing.assert_allclose(slope, 9 - 2 * (1 + lr) ** 2, atol=1e-5)
    lr, slope = markers(multiplier, module.OWN.label)
    np.testing.assert_allclose(slope, 1 - 2 * lr, atol=1e-5)
