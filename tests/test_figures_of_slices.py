"""The figures on slices and trajectories: theory lines against independent numbers, markers on their lines."""

from __future__ import annotations

import numpy as np
import pytest
from test_figures import SIGMAS, bars, line, markers, picture, script

# --- weight norms ----------------------------------------------------------------------------------------------------


def test_lengths_lie_on_the_balance_and_scaled_rates_agree() -> None:
    module, axes = script("weight_norms"), picture("weight_norms").figure.axes
    ends = []
    for panel, scaled in zip(axes, (False, True), strict=True):
        last = []
        for batch, look in module.SERIES.items():
            epoch, length, three_errors = bars(panel, look.label)
            at, exact = line(panel, look.label)
            # the balance has the root mean square of the gradient, which normal ones meet to leading order
            gap = np.abs(length - np.interp(epoch, at, exact))
            assert (gap <= SIGMAS / 3 * three_errors + 0.01 * length).all()
            lr = module.LR * (batch / 16 if scaled else 1)
            assert exact[-1] == pytest.approx((lr / (batch * 0.02 * (2 - lr * 0.02))) ** 0.25, rel=0.2)
            last.append(exact[-1])
        ends.append(max(last) / min(last))
    assert ends[0] > 1.8
    assert ends[1] < 1.005


def test_decay_alone_halves_as_steps_say() -> None:
    module, (left, _) = script("weight_norms"), picture("weight_norms").figure.axes
    for batch, look in module.SERIES.items():
        epoch, length = line(left, "decay " + look.label)
        np.testing.assert_allclose(length, 3 * (1 - 0.1 * 0.02) ** (epoch * 1024 / batch), rtol=1e-9)


# --- equilibrium angle -----------------------------------------------------------------------------------------------


def test_turns_and_lengths_of_gradients_of_one_size_are_exact() -> None:
    module, (angles, lengths, _) = script("equilibrium_angle"), picture("equilibrium_angle").figure.axes
    product, turn, _ = bars(angles, module.FIXED.label)
    np.testing.assert_allclose(np.cos(np.radians(turn)), 1 - product, atol=1e-6)
    product, square, _ = bars(lengths, module.FIXED.label)
    np.testing.assert_allclose(square, 1 / np.sqrt(product * (2 - product)), rtol=1e-5)


def test_normal_gradients_are_near_for_small_steps_and_longer_for_large() -> None:
    module, (angles, lengths, _) = script("equilibrium_angle"), picture("equilibrium_angle").figure.axes
    product, turn, three_errors = bars(angles, module.NORMAL.label)
    exact = np.degrees(np.arccos(1 - product))
    near = product <= 0.01
    assert near.sum() == 2
    assert (np.abs(turn - exact)[near] <= SIGMAS / 3 * three_errors[near] + 0.02 * exact[near]).all()
    product, square, _ = bars(lengths, module.NORMAL.label)
    assert square[-1] > 1.3 / np.sqrt(product[-1] * (2 - product[-1]))


def test_the_balance_is_reached_from_both_sides() -> None:
    module, way = script("equilibrium_angle"), picture("equilibrium_angle").figure.axes[2]
    level = 1 / np.sqrt(0.03 * 1.97)
    for look, start in ((module.SHORT, 0.1), (module.LONG, 10)):
        step, square = line(way, look.label)
        assert square[0] == pytest.approx(start * level)
        assert square[-1] == pytest.approx(level, rel=0.01)
        at, seen = markers(way, look.label)
        np.testing.assert_allclose(seen, np.interp(at, step, square), rtol=1e-9)


# a share of the quick figure is a ratio of sums of squares over 1000 independent coordinates
SPREAD = SIGMAS * np.sqrt(2 / 1000)

# --- trajectory null -------------------------------------------------------------------------------------------------


def test_shares_lie_on_their_nulls_and_descent_on_neither() -> None:
    module, shares = script("trajectory_null"), picture("trajectory_null").figure.axes[0]
    k, walk = line(shares, module.WALK.label)
    np.testing.assert_allclose(walk, 1.5 / np.sin(np.pi * k / 400) ** 2 / (200**2 - 1), rtol=1e-12)
    for look in (module.WALK, module.CHAIN):
        _, exact = line(shares, look.label)
        _, seen = markers(shares, look.label)
        np.testing.assert_allclose(seen, exact, rtol=SPREAD)
    _, descent = markers(shares, module.DESCENT.label)
    assert descent[0] > 1.3 * walk[0]


def test_long_runs_explain_less_than_a_walk() -> None:
    module, lengths = script("trajectory_null"), picture("trajectory_null").figure.axes[1]
    for look, level in ((module.CENTRED, module.WALK_CENTRED), (module.PINNED, module.WALK_PINNED)):
        at, exact = line(lengths, look.label)
        points, seen = markers(lengths, look.label)
        np.testing.assert_allclose(seen, np.interp(np.log(points), np.log(at), exact), rtol=SPREAD)
        assert (np.diff(exact) < 0).all()
        assert exact[-1] < line(lengths, level.label)[1][0] - 0.2


def test_the_walk_is_drawn_on_its_cosines() -> None:
    module, left = script("trajectory_null"), picture("trajectory_null").figure.axes[2]
    x, y = line(left, module.COSINES.label)
    seen = np.asarray(left.collections[0].get_offsets())
    nearest = np.hypot((seen[:, :1] - x) / np.ptp(x), (seen[:, 1:] - y) / np.ptp(y)).min(axis=1)
    assert nearest.max() < 0.1
    assert "walk 61%" in left.get_xlabel()
