"""The figures on Newton's method and on derivatives: what stands on the Axes, against formulas by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_figures import SIGMAS, assert_labels_claims_and_size, bars, line, markers, picture, script

NAMES = ("newton", "complex_step")


@pytest.mark.parametrize("name", NAMES)
def test_labels_claims_and_size(name: str, tmp_path: Path) -> None:
    assert_labels_claims_and_size(name, tmp_path)


# --- Newton ----------------------------------------------------------------------------------------------------------


def test_steps_on_powers_lie_on_their_lines() -> None:
    module, axes = script("newton"), picture("newton").figure.axes[0]
    for k, look in module.HALF_DEGREES.items():
        rate, ratio = markers(axes, look.label)
        np.testing.assert_allclose(ratio, np.abs(1 - rate / (2 * k - 1)), rtol=1e-12, atol=1e-12)
        fine, formula = line(axes, look.label)
        assert fine[np.argmin(formula)] == pytest.approx(2 * k - 1, abs=0.03)


def test_coordinates_agree_where_affine_and_differ_where_curved() -> None:
    """On w − log w: |w' − 1| = (w − 1)² in w, and u' = u − 1 + e^{−u} in u = log w."""
    module = script("newton")
    (_, theory, plain), (_, _, affine), (_, _, curved) = module.coordinates()
    np.testing.assert_allclose(plain, 0.8 ** (2.0 ** np.arange(module.STEPS + 1)), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(plain, theory, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(affine, plain, rtol=1e-9, atol=1e-15)
    u = np.log(1.8)
    for distance in curved:
        assert distance == pytest.approx(abs(np.exp(u) - 1), rel=1e-9, abs=1e-15)
        u = u - 1 + np.exp(-u)
    assert curved[1] < plain[1] / 2


# --- complex step ----------------------------------------------------------------------------------------------------


def test_truncation_lines_are_those_of_taylor() -> None:
    module = script("complex_step")
    h = np.array([1e-4, 1e-2])
    lines = module.truncation(h)
    x, f = 1.5, lambda x: np.exp(x) / (np.sin(x) ** 3 + np.cos(x) ** 3)
    gap = 1e-3
    second = (f(x + gap) - 2 * f(x) + f(x - gap)) / gap**2
    third = (f(x + 2 * gap) - 2 * f(x + gap) + 2 * f(x - gap) - f(x - 2 * gap)) / (2 * gap**3)
    slope = (f(x + gap) - f(x - gap)) / (2 * gap)
    np.testing.assert_allclose(lines[module.FORWARD], np.abs(h * second / 2 / slope), rtol=1e-3)
    np.testing.assert_allclose(lines[module.CENTRAL], np.abs(h**2 * third / 6 / slope), rtol=1e-3)
    np.testing.assert_array_equal(lines[module.CENTRAL], lines[module.COMPLEX])


def test_only_the_complex_step_keeps_full_precision() -> None:
    module = script("complex_step")
    h = np.array([1e-18, 1e-15, 1e-12, 1e-9, 1e-5])
    errors, lines = module.measured(h), module.truncation(h)
    assert (errors[module.COMPLEX][:4] < 4e-16).all()
    assert (errors[module.FORWARD] > 1e-7).all()
    assert (errors[module.CENTRAL] > 1e-11).all()
    assert errors[module.FORWARD][-1] == pytest.approx(lines[module.FORWARD][-1], rel=0.01)
    assert errors[module.COMPLEX][-1] == pytest.approx(lines[module.COMPLEX][-1], rel=0.01)


def test_noise_of_products_lies_on_the_exact_lines() -> None:
    """Σ = Var(x²w − xy) = 3 at w = 1 and K = Var x² = 2 for normal x, y."""
    module, axes = script("complex_step"), picture("complex_step").figure.axes[1]
    for look, formula in (
        (module.ONE_BATCH, lambda h: np.sqrt(2 / 32) + 0 * h),
        (module.TWO_BATCHES, lambda h: np.sqrt(3 / (64 * h**2) + 2 / 64)),
    ):
        spacing, deviation, three_errors = bars(axes, look.label)
        assert (np.abs(deviation - formula(spacing)) <= SIGMAS / 3 * three_errors).all()
        fine, drawn = line(axes, look.label)
        np.testing.assert_allclose(drawn, formula(fine), rtol=1e-12)
