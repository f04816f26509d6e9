"""The figures of the sticky experiments: published numbers beside ours, laws under their markers; never pixels."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from test_figures import SIGMAS, bars, line, picture, script

from sgdtheory.plots.style import save
from sgdtheory.theory.registry import find

NAMES = ("sticky_sweeps", "sticky_stuck", "sticky_creep", "stochastic_collapse", "diffusion_density")


@pytest.mark.parametrize("name", NAMES)
def test_captions_have_numbers_and_cite_claims_that_exist(name: str, tmp_path: Path) -> None:
    shown = picture(name)
    assert shown.name == name
    assert [find(claim).id for claim in shown.claims] == list(shown.claims)
    assert re.search(r"\d[\d,]* runs", shown.caption)
    assert "nan" not in shown.caption
    save(shown.figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size <= 250_000


# --- the sweeps ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["w0", "lr"])
def test_published_rates_lie_within_the_spread_of_data_sets(name: str) -> None:
    module = script("sticky_sweeps")
    found = np.array([module.rates(name, seed, 1_000) for seed in range(6)])
    published = np.array(list(module.PUBLISHED[name].values()))
    spread = found.std(axis=0, ddof=1).clip(0.005)  # what can be read off a figure
    assert (np.abs(found.mean(axis=0) - published) < 2 * spread).all()
    # the spread is that of data sets: one data set is known to a tenth of it or so
    assert found[:, -1].std(ddof=1) > 0.02


def test_large_batches_leave_no_steps_to_fit_and_the_rate_falls_with_the_batch() -> None:
    module = script("sticky_sweeps")
    found = np.array([module.rates("batch_size", seed, 1_000) for seed in range(4)])
    sizes = np.array(list(module.PUBLISHED["batch_size"]))
    assert np.isnan(found[:, sizes > 100]).all()
    assert found[:, 0].mean() > 1.4 * found[:, 2].mean()


def test_the_published_statistic_is_the_slope_from_step_three_to_a_thousandth() -> None:
    module = script("sticky_sweeps")
    steps = np.arange(40)
    share = np.where(steps < 3, 0.9, np.exp(-0.2 * steps))
    paths = np.where(np.arange(5_000)[:, np.newaxis] < share * 5_000, -1.0, 1.0)
    finite = np.ones(5_000, dtype=bool)
    assert module.published_slope(paths, finite) == pytest.approx(0.2, rel=0.02)
    assert np.isnan(module.published_slope(paths[:, :5], finite))


def test_limits_stand_in_their_order() -> None:
    marks = script("sticky_sweeps").limits()
    assert marks.mean_square < marks.linear < marks.almost_sure < marks.crisis
    assert marks.crisis == pytest.approx(3.350376, abs=1e-5)
    assert marks.mean_square == pytest.approx(1.85, abs=0.01)
    assert marks.almost_sure == pytest.approx(2.2, abs=0.05)


def test_gradient_descent_escapes_beyond_the_crisis_alone_and_sgd_below_it() -> None:
    module = script("sticky_sweeps")
    quiet = module.fresh_rates([3.3, 3.36], 500, 1, False)
    noisy = module.fresh_rates([2.5, 3.3], 500, 1, True)
    assert [e.escaped > 0 for e in quiet] == [False, True]
    assert 0.005 < noisy[0].rate < 0.02 < noisy[1].rate


# --- stuck -----------------------------------------------------------------------------------------------------------


def test_the_share_on_the_line_is_constant_and_as_published_among_finite_runs() -> None:
    module = script("sticky_stuck")
    finite, every, gone = module.shares(module.line(1_000, 1))
    assert np.ptp(finite) < 0.01
    runs = 1_000 * (1 - gone[-1])
    # theirs are some 20 finite runs of 100: a standard error of 0.07
    assert abs(finite[-1] - module.PUBLISHED_SHARE) < 2 * np.hypot(0.07, 0.35 / np.sqrt(runs))
    assert every[-1] < 0.1 * every[0]  # what survivors do not tell
    assert every[0] == pytest.approx((module.BARRIER + 4) / 8, abs=0.06)


def test_in_the_plane_nothing_moves() -> None:
    module = script("sticky_stuck")
    assert module.moved(module.plane(200, 1, 0.0)).max() == 0
    assert module.moved(module.plane(200, 1)).max() < 0.1


# --- creep -----------------------------------------------------------------------------------------------------------


def test_the_published_survival_and_pile_up_are_ours() -> None:
    module = script("sticky_creep")
    run = module.simulate(400, 2, every=module.STEPS)
    ok = run.diverged_at.values < 0
    error = np.sqrt(0.4 * 0.6 * (1 / 400 + 1 / 1000))
    assert abs(ok.mean() - module.PUBLISHED_SURVIVAL) < 4 * error
    starts, ends = np.abs(run.w.values[ok, 0, 1]), np.abs(run.w.values[ok, -1, 1])
    inner = starts < 1.5
    np.testing.assert_allclose(ends[inner], module.law(starts[inner], module.STEPS), atol=0.015)
    outer = (starts > 1.3) & (starts < module.SURVIVES)
    assert ends[outer].mean() == pytest.approx(module.PUBLISHED_PILE, abs=0.01)
    assert module.edge(module.STEPS) == pytest.approx(0.970, abs=1e-3)


# --- collapse --------------------------------------------------------------------------------------------------------


def test_measured_exponents_lie_on_the_closed_form_and_not_on_the_readings() -> None:
    module, axes = script("stochastic_collapse"), picture("stochastic_collapse").figure.axes[1]
    x, y, three_errors = bars(axes, module.SGD.label)
    exact = np.array([float(module.collapse_exponent(s, 1)) for s in x])
    assert (np.abs(y - exact) < SIGMAS / 3 * three_errors).all()
    for wrong in (module.ITO, module.STRATONOVICH):
        expected = np.interp(x, *line(axes, wrong.label))
        assert (np.abs(y - expected) > 3 * three_errors).sum() >= 5


def test_the_settled_mean_and_the_late_laws_hold() -> None:
    module, axes = script("stochastic_collapse"), picture("stochastic_collapse").figure.axes[0]
    x, y, three_errors = bars(axes, module.LOOKS[1].label)
    late = x > 100
    # the fixed-point law is normal only for small steps
    assert (np.abs(y - module.settled_log())[late] < 2 * three_errors[late] + 0.05).all()
    x, y, three_errors = bars(axes, module.LOOKS[3].label)
    assert abs(y[-1] - module.bessel_log(3, x[-1:])[0]) < 2 * three_errors[-1] + 0.05


# --- diffusion -------------------------------------------------------------------------------------------------------


def test_runs_leave_the_well_as_the_moved_ends_say() -> None:
    module, axes = script("diffusion_density"), picture("diffusion_density").figure.axes[1]
    x, y, three_errors = bars(axes, module.LEAVE.label)
    moved, naive = (
        np.exp(np.interp(x[2:], steps, np.log(share)))
        for steps, share in (line(axes, look.label) for look in (module.OVERSHOOT, module.LIMIT))
    )
    assert (np.abs(y[2:] - moved) < 2 * three_errors[2:]).all()
    assert (y[4:] > naive[2:] + three_errors[4:] / 3).all()


def test_runs_lie_on_the_density() -> None:
    module, axes = script("diffusion_density"), picture("diffusion_density").figure.axes[0]
    for look in module.TIMES.values():
        x, y, three_errors = bars(axes, look.label)
        expected = np.interp(x, *line(axes, look.label))
        solid = y > 0.3
        assert (np.abs(y - expected)[solid] < SIGMAS / 3 * three_errors[solid] + 0.1 * y[solid]).all()
