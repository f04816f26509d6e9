"""The figures of measured brackets: both ways of measuring agree, bounds hold, lines are those of formulas by hand."""

from __future__ import annotations

import numpy as np
import pytest
from test_figures import line, markers, picture, script

# --- table -----------------------------------------------------------------------------------------------------------


def tables() -> list[np.ndarray]:
    axes = [a for a in picture("bracket_table").figure.axes if a.images]
    return [np.ma.filled(a.images[0].get_array(), np.nan) for a in axes]


def test_products_and_both_orders_give_one_symmetric_table() -> None:
    for table in tables():
        assert np.isnan(np.diag(table)).all()
        low, high = np.tril_indices(6, k=-1)
        np.testing.assert_allclose(table[low, high], table[high, low], rtol=0.02)
        assert (table[low, high] > 0).all()


def test_brackets_shrink_as_the_network_learns() -> None:
    first, *_, last = (np.nanmedian(table) for table in tables())
    assert last < first / 5


# --- norms -----------------------------------------------------------------------------------------------------------


def points(panel: int, label: str) -> tuple[np.ndarray, np.ndarray]:
    axes = picture("bracket_norms").figure.axes[panel]
    (found,) = [c for c in axes.collections if c.get_label() == label]
    x, y = np.asarray(found.get_offsets()).T
    return x, y


@pytest.mark.parametrize("panel", [0, 1, 2])
def test_no_bracket_exceeds_its_bound(panel: int) -> None:
    module = script("bracket_norms")
    product, bound = points(panel, module.BOUND.label)
    drawn = [points(panel, module.step_label(step)) for step in module.CHECKPOINTS]
    x, y = (np.concatenate([d[k] for d in drawn]) for k in (0, 1))
    np.testing.assert_array_equal(x, product)
    assert (y <= bound * (1 + 1e-9)).all()
    assert (y > bound / 10).any()


def test_logistic_regression_stays_below_its_line() -> None:
    module, axes = script("bracket_norms"), picture("bracket_norms").figure.axes[0]
    (x, y), (product, bound) = line(axes, module.LIMIT.label), points(0, module.BOUND.label)
    assert y[0] / x[0] == pytest.approx(y[1] / x[1])
    assert (bound <= product * y[0] / x[0] * (1 + 1e-9)).all()
    assert bound.max() > product[bound.argmax()] * y[0] / x[0] / 5


def test_log_losses_have_slope_one_and_squared_errors_have_not() -> None:
    module = script("bracket_norms")
    slopes = []
    for panel in range(3):
        drawn = [points(panel, module.step_label(step)) for step in module.CHECKPOINTS]
        x, y = (np.log(np.concatenate([d[k] for d in drawn])) for k in (0, 1))
        slopes.append(float(np.polyfit(x, y, 1)[0]))
    assert slopes[0] == pytest.approx(1, abs=0.15)
    assert slopes[1] == pytest.approx(1, abs=0.2)
    assert slopes[2] < 0.7


def test_a_fit_of_numbers_of_ones_own() -> None:
    module, product = script("bracket_norms"), np.geomspace(1, 1e4, 20).reshape(1, 4, 5)
    sizes = module.Sizes(np.repeat(product, 2, axis=0), np.concatenate([product, product**2]), product, 0)
    fit = module.fitted(sizes)
    assert fit.slope == pytest.approx((1.5, 0.5))
    assert fit.correlation == pytest.approx((1, 0), abs=1e-12)


# --- effects ---------------------------------------------------------------------------------------------------------


def test_the_solved_case_is_a_parabola_and_twice_that() -> None:
    """By hand: −q(1−q) on the logit of A, from σ(z) = q and σ'(z) = q(1−q); both orders run agree."""
    module, axes = script("bracket_effects"), picture("bracket_effects").figure.axes[0]
    for look, factor in ((module.INDEPENDENT, 1), (module.SOFTMAX, 2)):
        q, value = line(axes, look.label)
        np.testing.assert_allclose(value, factor * q * (1 - q), rtol=1e-12)
        q, value = markers(axes, look.label)
        np.testing.assert_allclose(value, factor * q * (1 - q), rtol=0.01)
    assert (module.swapped_constants(np.array([0.3, 0.8]), "independent labels") < 0).all()


def test_both_orders_run_on_the_networks_give_the_brackets_effect() -> None:
    module, axes = script("bracket_effects"), picture("bracket_effects").figure.axes[1]
    for look in (*module.LABELS, *module.ALONE):
        (step, effect), (at, measured) = line(axes, look.label), markers(axes, look.label)
        np.testing.assert_array_equal(step, at)
        np.testing.assert_allclose(measured, effect, rtol=0.03)


def test_a_pair_by_chance_moves_as_a_single_label_by_chance() -> None:
    """And by one softmax further, early in training, by about two."""
    module, axes = script("bracket_effects"), picture("bracket_effects").figure.axes[1]
    pair, single, alone, softmax = (
        line(axes, look.label)[1] for look in (module.LABELS[2], module.LABELS[3], *module.ALONE)
    )
    np.testing.assert_allclose(pair / single, 1, atol=0.35)
    assert 1.4 < softmax[0] / alone[0] < 2.8
