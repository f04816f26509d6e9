"""The noise scale: closed forms, estimators against readable loops, intervals against their promise, edges, errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from sgdtheory import (
    ArgumentError,
    Fresh,
    Normal,
    Problem,
    landscape,
    noise_scale,
    optimal_batch,
    quadratic,
    scalar_mean,
)
from sgdtheory.measure.noise_scale import NoiseScale, progress_kept

ALPHA = 1e-7  # of each statistical check, two-sided
REGRESSION = Problem("(y - a*x - b)**2/2", ["a", "b"], Fresh(x=Normal(0, 1), y=Normal(0, 2)))


def closed(value: float, *, square: float = 1.0, channels: list[float] | None = None) -> NoiseScale:
    """A noise scale known exactly."""
    own = np.array([value] if channels is None else channels)
    return NoiseScale(value, (value, value), square, value * square, own, np.stack([own, own], axis=-1), None)


@pytest.fixture
def draw() -> np.random.Generator:
    """The same numbers in every test, whichever others ran before it."""
    return np.random.default_rng(0)


def binomial_limits(n: int, p: float) -> tuple[float, float]:
    return tuple(stats.binom.ppf([ALPHA / 2, 1 - ALPHA / 2], n, p) / n)


# --- closed forms ----------------------------------------------------------------------------------------------------


def test_of_a_problem_in_closed_form() -> None:
    noise = noise_scale(scalar_mean(noise_std=3), at=[2])
    assert (noise.noise_scale, noise.squared_gradient, noise.noise_trace) == (9 / 4, 4, 9)
    assert noise.interval == (9 / 4, 9 / 4)
    assert noise.level is None


def test_of_a_regression_by_hand() -> None:
    """Gradient (a, b), variances 2a² + b² + 4 and a² + 4 + 0 for x, y standard normal and N(0, 2²)."""
    noise = noise_scale(REGRESSION, at=[1.0, 2.0])
    np.testing.assert_allclose(noise.channels, [(2 + 4 + 4) / 1, (1 + 4) / 4])
    assert noise.noise_scale == pytest.approx(15 / 5)
    weights = np.array([1, 4]) / 5
    assert noise.noise_scale == pytest.approx(weights @ noise.channels)  # MCA-28


def test_without_gradient_or_noise() -> None:
    assert noise_scale(scalar_mean(noise_std=1), at=[0]).noise_scale == np.inf
    assert noise_scale(landscape("w**2/2", ["w"]), at=[1]).noise_scale == 0
    assert np.isnan(noise_scale(landscape("w**2/2", ["w"]), at=[0]).noise_scale)


def test_estimates_of_many_gradients_find_the_closed_form(draw: np.random.Generator) -> None:
    a, b, n = 1.0, 2.0, 400_000
    x, y = draw.normal(0, 1, n), draw.normal(0, 2, n)
    error = a * x + b - y
    rows = np.stack([error * x, error], axis=1)
    known, found = noise_scale(REGRESSION, at=[a, b]), noise_scale(rows, level=1 - ALPHA)
    assert found.interval[0] < known.noise_scale < found.interval[1]
    assert found.interval[1] / found.interval[0] < 1.2
    assert ((found.channel_intervals[:, 0] < known.channels) & (known.channels < found.channel_intervals[:, 1])).all()


# --- estimators ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3])
def test_one_batch_is_its_textbook_formula(draw: np.random.Generator, d: int) -> None:
    rows = draw.normal(1, 2, (7, d))
    noise = noise_scale(rows, batch_size=5)
    spread = rows.var(axis=0, ddof=1)
    square = rows.mean(axis=0) ** 2 - spread / 7
    assert noise.noise_trace == pytest.approx(5 * spread.sum())
    assert noise.squared_gradient == pytest.approx(square.sum())
    assert noise.noise_scale == pytest.approx(5 * spread.sum() / square.sum() if square.sum() > 0 else np.inf)
    np.testing.assert_allclose(noise.channels, np.where(square > 0, 5 * spread / np.maximum(square, 1e-300), np.inf))


def test_one_batch_does_not_cancel_far_from_zero(draw: np.random.Generator) -> None:
    rows = draw.normal(0, 1, (50, 2))
    assert noise_scale(rows + 2.0**26).noise_trace == pytest.approx(noise_scale(rows).noise_trace, rel=1e-6)


@pytest.mark.parametrize("d", [1, 3])
def test_two_batch_sizes_are_mccandlishs_formula(draw: np.random.Generator, d: int) -> None:
    small, big = draw.normal(1, 1, (6, d)), draw.normal(1, 0.1, (4, d))
    noise = noise_scale(small, batch_size=2, big=big, big_size=50)
    first, second = (small**2).sum(axis=1).mean(), (big**2).sum(axis=1).mean()
    assert noise.squared_gradient == pytest.approx((50 * second - 2 * first) / 48)
    assert noise.noise_trace == pytest.approx((first - second) / (1 / 2 - 1 / 50))


def test_the_jackknife_is_the_loop_it_stands_for(draw: np.random.Generator) -> None:
    """Half the width of the interval of 1/B_simple, against leaving out row after row by hand."""
    rows = draw.normal(2, 1, (12, 3))
    left = [np.delete(rows, i, axis=0) for i in range(12)]
    ratios = np.array([1 / noise_scale(r).noise_scale for r in left])
    error = np.sqrt(11 / 12 * ((ratios - ratios.mean()) ** 2).sum())
    low, high = noise_scale(rows, level=0.9).interval
    assert high < np.inf
    assert (1 / low - 1 / high) / 2 == pytest.approx(stats.norm.ppf(0.95) * error, rel=1e-9)


def test_estimates_are_unbiased(draw: np.random.Generator) -> None:
    """Over many batches of three: |ĝ|² − spread/3 and the spread, each within its own standard error."""
    runs = [noise_scale(draw.exponential(2, (3, 2))) for _ in range(2_000)]
    limit = stats.norm.ppf(1 - ALPHA / 2)
    for name, wanted in (("squared_gradient", 8.0), ("noise_trace", 8.0)):
        values = np.array([getattr(run, name) for run in runs])
        assert abs(values.mean() - wanted) < limit * values.std(ddof=1) / np.sqrt(len(values))


# --- intervals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "signal"), [(2, 1.0), (5, 0.0), (8, 0.3), (20, 0.5), (20, 3.0)])
def test_exact_intervals_cover_as_often_as_they_promise(draw: np.random.Generator, n: int, signal: float) -> None:
    runs, truth = 1_500, 1 / signal**2 if signal else np.inf
    hits = 0
    for _ in range(runs):
        low, high = noise_scale(draw.normal(signal, 1, n), level=0.8).interval
        hits += low <= truth <= high
    least, most = binomial_limits(runs, 0.8)
    # without a gradient only the upper end can miss
    assert hits / runs >= least if signal == 0 else least <= hits / runs <= most


def test_intervals_of_known_spread_agree_with_those_of_the_noncentral_law(draw: np.random.Generator) -> None:
    """Both branches where they meet, n·ĝ²/σ̂² near 10⁶."""
    rows = draw.normal(0, 1, 30)
    rows = (rows - rows.mean()) / rows.std(ddof=1)
    below, above = (np.array(noise_scale(rows + g).interval) * g**2 for g in (182.0, 183.0))
    np.testing.assert_allclose(below, above, rtol=1e-3)


@pytest.mark.parametrize("two", [False, True])
def test_jackknife_intervals_cover_nearly_as_often_as_they_promise(draw: np.random.Generator, two: bool) -> None:
    """First-order intervals: of 90 %, and 100 rows, not below 85 % (with 1000 runs seen to 5 %)."""
    runs, hits, d = 1_000, 0, 4
    for _ in range(runs):
        rows = draw.normal(0.5, 1, (100, d))
        big = draw.normal(0.5, 0.1, (100, d)) if two else None
        low, high = noise_scale(rows, big=big, big_size=100 if two else None, level=0.9).interval
        hits += low <= 4.0 <= high
    assert binomial_limits(runs, 0.85)[0] < hits / runs < binomial_limits(runs, 0.95)[1]


def test_an_interval_that_ignores_the_noise_in_the_mean_would_be_found_out(draw: np.random.Generator) -> None:
    """The wrong answer the test above must reject: χ² alone, as if the gradient were known."""
    runs, hits, n, signal = 1_500, 0, 8, 0.3
    for _ in range(runs):
        rows = draw.normal(signal, 1, n)
        ends = (n - 1) * rows.var(ddof=1) / stats.chi2.ppf([0.9, 0.1], n - 1) / rows.mean() ** 2
        hits += ends[0] <= 1 / signal**2 <= ends[1]
    assert hits / runs < binomial_limits(runs, 0.8)[0]


def test_the_plug_in_estimate_has_the_noncentral_law(draw: np.random.Generator) -> None:
    """4z²(B − 1)/B̂* is noncentral F: Kolmogorov and Smirnov's test, which finds the central law wrong."""
    size, signal, n = 5, 0.6, 4_000
    rows = draw.normal(signal, 1, (n, size))
    plugged = 16 * rows.var(axis=1) / rows.mean(axis=1) ** 2
    pivot = 16 * (size - 1) / plugged
    assert stats.kstest(pivot, stats.ncf(1, size - 1, size * signal**2).cdf).pvalue > ALPHA
    assert stats.kstest(pivot, stats.f(1, size - 1).cdf).pvalue < ALPHA


def test_without_noise_the_interval_is_a_point_and_with_two_rows_in_the_plane_it_is_everything() -> None:
    assert noise_scale([[1.0, 2.0]] * 4).interval == (0, 0)
    assert noise_scale([2.0, 2.0]).interval == (0, 0)
    assert np.isnan(noise_scale([0.0, 0.0]).interval).all()
    assert noise_scale([[1.0, 2.0], [2.0, 1.0]]).interval == (0, np.inf)


def test_two_batches_that_leave_no_noise_say_nothing() -> None:
    noise = noise_scale([[1.0], [1.1]], big=[[2.0], [2.1]], big_size=10)
    assert noise.noise_trace < 0
    assert noise.noise_scale == 0
    assert noise.interval == (0, np.inf)


# --- the best batch --------------------------------------------------------------------------------------------------


def test_best_batch_of_the_slides() -> None:
    best = optimal_batch(closed(1.0), smoothness=2)
    assert (best.batch_size, best.lr, best.lr_one) == (16, 1 / 4, 1 / 64)
    assert best.whole == ((16, 1.0),)
    assert best.caution == ""
    assert "MCA-05" in optimal_batch(noise_scale([1.0, 2.0]), 1).caution


def test_channels_ask_for_batches_of_their_own() -> None:
    noise = noise_scale(REGRESSION, at=[1.0, 2.0])
    best = optimal_batch(noise, smoothness=1, confidence=1)
    np.testing.assert_allclose(best.channels, 4 * noise.channels)
    assert best.batch_size == pytest.approx(np.array([1, 4]) / 5 @ best.channels)


def test_no_gradient_and_no_noise() -> None:
    flat = optimal_batch(closed(np.inf, square=0.0), 1)
    assert (flat.batch_size, flat.whole, flat.lr_one) == (np.inf, (), 0)
    still = optimal_batch(closed(0.0), 1)
    assert (still.batch_size, still.lr_one) == (0, np.inf)
    assert still.whole == ((1, 0.0),)


@settings(max_examples=60)
@given(best=st.floats(0.3, 1e6))
@example(best=1.0)
@example(best=1.5)
@example(best=2.0000000001)
def test_whole_batches_around_the_best_are_ranked_by_progress(best: float) -> None:
    whole = optimal_batch(closed(best / 16), 1).whole
    sizes = {max(1, int(np.floor(16 * (best / 16)))), max(1, int(np.ceil(16 * (best / 16))))}
    assert {size for size, _ in whole} == sizes
    parts = [part for _, part in whole]
    assert parts == sorted(parts, reverse=True)
    assert all(0 <= part <= 1 + 1e-12 for part in parts)


@settings(max_examples=60)
@given(ratio=st.floats(1e-6, 1e6), best=st.floats(1e-3, 1e9))
@example(ratio=0.25, best=16.0)
@example(ratio=0.25 * (1 - 1e-12), best=16.0)
@example(ratio=0.25 * (1 + 1e-9), best=16.0)
@example(ratio=1.0, best=16.0)
def test_progress_depends_on_the_batch_over_the_best_alone(ratio: float, best: float) -> None:
    s = 1 / np.sqrt(ratio)
    wanted = (s * (2 - s)) ** 2 if ratio > 0.25 else 0.0
    kept = float(progress_kept(ratio * best, best))
    assert kept == pytest.approx(wanted, rel=1e-6, abs=1e-12)
    assert kept <= 1 + 1e-12


def test_below_a_quarter_of_the_best_batch_nothing_is_kept() -> None:
    np.testing.assert_array_equal(progress_kept([1, 3.999, 4], 16), 0)
    assert progress_kept(4.001, 16) > 0
    np.testing.assert_array_equal(progress_kept([1, 100], np.inf), 0)
    np.testing.assert_array_equal(progress_kept([1, 100], 0), 0)


@settings(max_examples=40)
@given(
    signal=st.floats(0.01, 10), c=st.floats(1e-3, 1e3), k=st.floats(1e-3, 1e3), z=st.floats(0.1, 5),
    seed=st.integers(0, 10),
)  # fmt: skip
@example(signal=0.0, c=2.0, k=3.0, z=2.0, seed=0)
def test_units_do_not_matter(signal: float, c: float, k: float, z: float, seed: int) -> None:
    """Gradients times c/k and L times c/k²: B* and its interval stay, learning rates come times k²/c."""
    rows = np.random.default_rng(seed).normal(signal, 1, (10, 2))
    old = optimal_batch(noise_scale(rows), 1.0, z)
    new = optimal_batch(noise_scale(rows * c / k), c / k**2, z)
    np.testing.assert_allclose(new.batch_size, old.batch_size, rtol=1e-9)
    np.testing.assert_allclose(new.interval, old.interval, rtol=1e-6)
    np.testing.assert_allclose(new.channel_intervals, old.channel_intervals, rtol=1e-6)
    assert new.lr == pytest.approx(old.lr * k**2 / c)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("gradients", lambda: noise_scale([1.0])),
        ("gradients", lambda: noise_scale([[1.0, 2.0]])),
        ("gradients", lambda: noise_scale([])),
        ("gradients", lambda: noise_scale(3.0)),
        ("gradients", lambda: noise_scale(np.zeros((3, 0)))),
        ("gradients", lambda: noise_scale(np.zeros((3, 2, 2)))),
        ("gradients", lambda: noise_scale([1.0, np.nan])),
        ("gradients", lambda: noise_scale([1.0, np.inf])),
        ("gradients", lambda: noise_scale(["a", "b"])),
        ("gradients", lambda: noise_scale(quadratic(), at=[1])),
        ("at", lambda: noise_scale(scalar_mean(1))),
        ("at", lambda: noise_scale(scalar_mean(1), at=[1, 2])),
        ("at", lambda: noise_scale(scalar_mean(1), at=[np.nan])),
        ("at", lambda: noise_scale([1.0, 2.0], at=[1])),
        ("level", lambda: noise_scale([1.0, 2.0], level=1)),
        ("level", lambda: noise_scale([1.0, 2.0], level=np.nan)),
        ("batch_size", lambda: noise_scale([1.0, 2.0], batch_size=0)),
        ("batch_size", lambda: noise_scale([1.0, 2.0], batch_size=1.5)),
        ("big", lambda: noise_scale([1.0, 2.0], big_size=3)),
        ("big_size", lambda: noise_scale([1.0, 2.0], big=[1.0, 2.0])),
        ("big_size", lambda: noise_scale([1.0, 2.0], batch_size=4, big=[1.0, 2.0], big_size=4)),
        ("big", lambda: noise_scale([1.0, 2.0], big=[[1.0, 2.0]] * 2, big_size=4)),
        ("noise", lambda: optimal_batch([1.0, 2.0], 1)),
        ("smoothness", lambda: optimal_batch(closed(1.0), 0)),
        ("smoothness", lambda: optimal_batch(closed(1.0), np.nan)),
        ("confidence", lambda: optimal_batch(closed(1.0), 1, -2)),
        ("batch_size", lambda: progress_kept(0, 1)),
        ("best", lambda: progress_kept(1, np.nan)),
    ],
)
def test_what_is_refused(argument: str, call: Callable[[], object]) -> None:
    with pytest.raises(ArgumentError, match=f"^{argument}: got .*; allowed: .+"):
        call()


def test_symbols_in_a_problem_must_have_values() -> None:
    assert noise_scale(quadratic().bind(h=2, sigma=3), at=[1]).noise_scale == 9 / 4
