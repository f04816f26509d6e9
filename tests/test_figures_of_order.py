"""The figures on order: the parallelogram, the shares of both brackets, and the modified loss of random order."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from test_figures import assert_labels_claims_and_size, bars, line, markers, picture, script

NAMES = ("bracket_parallelogram", "order_shares", "random_order")


@pytest.mark.parametrize("name", NAMES)
def test_labels_claims_and_size(name: str, tmp_path: Path) -> None:
    assert_labels_claims_and_size(name, tmp_path)


# --- parallelogram ---------------------------------------------------------------------------------------------------


def descent(example: int, x: float, y: float) -> np.ndarray:
    """Transcribe both fields, with derivatives by hand."""
    if example == 0:
        off = x + y / 2 - 2
        return -np.array([off + x**2 / 4, off / 2])
    off = y + x / 2 - 1.5
    return -np.array([off / 2, off + 3 * y**2 / 4])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_paths_are_two_plain_steps(order: tuple[int, int]) -> None:
    module, axes = script("bracket_parallelogram"), picture("bracket_parallelogram").figure.axes[0]
    points = [np.zeros(2)]
    for example in order:
        points.append(points[-1] + float(module.SHOWN) * descent(example, *points[-1]))
    look = module.ORDERS[order]
    (drawn,) = [k for k in axes.get_lines() if k.get_color() == look.color and k.get_marker() == look.marker]
    np.testing.assert_allclose(np.array(drawn.get_data()).T, points, atol=1e-15)


def test_cubic_losses_gaps_lie_on_the_line_that_starts_at_the_bracket() -> None:
    module, axes = script("bracket_parallelogram"), picture("bracket_parallelogram").figure.axes[1]
    x, y = markers(axes, module.MEASURED.label)
    (x0, x1), (y0, y1) = line(axes, module.FORMULA.label)
    np.testing.assert_allclose(y, y0 + (y1 - y0) * (x - x0) / (x1 - x0), rtol=1e-5)
    # by hand at the origin: H1 = [[1, ½], [½, ¼]], H2 = [[¼, ½], [½, 1]], g1 = (−2, −1), g2 = (−¾, −3/2)
    bracket = np.array([[0.25, 0.5], [0.5, 1]]) @ [-2, -1] - np.array([[1, 0.5], [0.5, 0.25]]) @ [-0.75, -1.5]
    np.testing.assert_allclose((x0, y0), bracket, rtol=1e-5)


# --- shares ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "power"), [("heavy ball", 1), ("Nesterov", 2)])
def test_measured_shares_are_those_of_the_momentum(name: str, power: int) -> None:
    module, axes = script("order_shares"), picture("order_shares").figure.axes[0]
    for look, expected in ((module.OWN[name], lambda m: 1 - m**power), (module.MEAN[name], lambda m: m**power)):
        decay, share = markers(axes, look.label)
        np.testing.assert_allclose(share, expected(decay), atol=5e-3)
        fine, formula = line(axes, look.label)
        np.testing.assert_allclose(formula, expected(fine), atol=1e-12)


# --- random order ----------------------------------------------------------------------------------------------------


def epoch(step: float, replaced: bool) -> tuple[float, float]:
    """Return factor and shift of one epoch's mean, by enumeration of orders or by independence."""
    module = script("random_order")
    maps = [(1 - step * x**2, step * x * y) for x, y in zip(module.X, module.Y, strict=True)]
    if replaced:
        a, b = np.mean(maps, axis=0)
        return a**4, b * (1 + a + a**2 + a**3)
    ends = []
    for order in permutations(maps):
        a, b = 1.0, 0.0
        for factor, shift in order:
            a, b = factor * a, factor * b + shift
        ends.append((a, b))
    return tuple(np.mean(ends, axis=0))


@pytest.mark.parametrize("sampling", ["reshuffle", "with replacement"])
def test_simulated_means_are_the_exact_ones_and_follow_the_modified_flow(sampling: str) -> None:
    module, axes = script("random_order"), picture("random_order").figure.axes[0]
    time, height, three_errors = bars(axes, module.LOOKS[sampling].label)
    factor, shift = epoch(module.STEP, sampling == "with replacement")
    exact, at, done = [], module.START, 0
    for count in module.TIMES:
        for _ in range(count - done):
            at = factor * at + shift
        exact.append(at)
        done = count
    left = np.array(exact) - module.flow(None, module.STEP, time)
    assert (np.abs(height - left) <= 5 / 3 * three_errors).all()
    fine, formula = line(axes, module.LOOKS[sampling].label)
    assert np.abs(np.interp(time, fine, formula) - left).max() < 0.05 * np.abs(left).max()


def test_the_difference_tends_to_the_spreads_and_not_to_twice_it() -> None:
    module = script("random_order")
    ratios = []
    for step in (0.02, 0.01, 0.005):
        ends = []
        for replaced in (False, True):
            factor, shift = epoch(step, replaced)
            at = module.START
            for _ in range(round(module.AT / (4 * step))):
                at = factor * at + shift
            ends.append(at)
        stated = module.flow("reshuffle", step, module.AT) - module.flow("with replacement", step, module.AT)
        ratios.append((ends[0] - ends[1]) / stated)
    assert ratios[-1] == pytest.approx(1, abs=0.03)
    assert abs(ratios[2] - 1) < abs(ratios[1] - 1) < abs(ratios[0] - 1)
