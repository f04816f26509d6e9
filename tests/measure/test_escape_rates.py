"""Escape rates from made-up runs whose law is known: coverage, censoring, divergence, ties."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdtheory import SGD, ArgumentError, Uniform, escape, landscape, simulate


def made(out: np.ndarray, lost: np.ndarray, steps: int) -> xr.Dataset:
    """Return a run with these first steps of event and divergence; beyond the last step they have not happened."""
    first = np.where((out <= steps) & (out <= lost), out, -1)
    failed = np.where(lost <= steps, lost, -1)
    return xr.Dataset(
        {"out": ("replica", first), "diverged_at": ("replica", failed)}, {"step": np.arange(steps + 1)}
    )  # fmt: skip


def geometric(rng: np.random.Generator, rate: float, size: int) -> np.ndarray:
    return rng.geometric(rate, size)


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng, rate, covered = np.random.default_rng(0), 0.01, 0
    for _ in range(400):
        found = escape(made(geometric(rng, rate, 40), geometric(rng, 0.002, 40), 60), "out", confidence=0.9)
        covered += found.interval[0] <= rate <= found.interval[1]
    assert 0.88 <= covered / 400 <= 0.98  # exact for a Poisson count, hence at least 90 %, here some 94 %


def test_censoring_and_divergence_do_not_bias_the_rate_as_dropping_runs_does() -> None:
    rng, rate, other = np.random.default_rng(1), 0.02, 0.03
    out, lost = geometric(rng, rate, 200_000), geometric(rng, other, 200_000)
    found = escape(made(out, lost, 50), "out")
    assert found.rate == pytest.approx(rate * (1 - other), rel=0.02)  # a step that diverges cannot escape
    dropped = 1 / out[(out <= 50) & (lost > 50)].mean()  # survivors that left
    assert dropped > 1.5 * rate
    assert found.escaped + found.diverged + found.stayed == 200_000
    share = rate * (1 - other) / (1 - (1 - rate) * (1 - other))
    final = share * (1 - ((1 - rate) * (1 - other)) ** 50)
    assert found.escaped_share[-1] == pytest.approx(final, abs=0.005)
    assert found.survival[-1] == pytest.approx(found.stayed / 200_000)


def test_an_escape_in_the_step_that_diverges_is_a_divergence() -> None:
    found = escape(made(np.array([3, 5]), np.array([3, 9]), 10), "out")
    assert (found.escaped, found.diverged, found.stayed, found.risk) == (1, 1, 0, 8)
    assert found.escaped_share.tolist() == [0] * 5 + [0.5] * 6
    assert found.diverged_share.tolist() == [0] * 3 + [0.5] * 8


def test_without_an_escape_the_rate_has_an_upper_limit_alone() -> None:
    never = np.full(10, 99)
    found = escape(made(never, never, 20), "out")
    assert (found.rate, found.mean_steps, found.constancy) == (0, np.inf, 1)
    assert found.interval == (0, pytest.approx(-np.log(0.025) / 200))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=30), st.integers(1, 25), st.data()
)
def test_every_run_has_one_fate_and_shares_add_up(
    times: list[tuple[int, int]], steps: int, data: st.DataObject
) -> None:
    out, lost = np.array(times).T
    run = made(out, lost, steps)
    after = data.draw(st.integers(0, steps - 1))
    at_risk = np.minimum(np.minimum(out, lost), steps) > after
    if not at_risk.any():
        with pytest.raises(ArgumentError, match="after"):
            escape(run, "out", after=after)
        return
    found = escape(run, "out", after=after)
    assert found.escaped + found.diverged + found.stayed == at_risk.sum()
    assert found.risk == (np.minimum(np.minimum(out, lost), steps) - after)[at_risk].sum()
    assert found.interval[0] <= found.rate <= found.interval[1]
    assert (np.diff(found.survival) <= 1e-12).all()
    assert 0 <= found.constancy <= 1


def test_a_rate_that_changes_is_noticed_and_a_constant_one_is_not() -> None:
    rng = np.random.default_rng(2)
    never = np.full(2_000, 999)
    steady = geometric(rng, 0.01, 2_000)
    slowing = np.where(rng.random(2_000) < 0.5, geometric(rng, 0.1, 2_000), geometric(rng, 0.002, 2_000))
    assert escape(made(steady, never, 100), "out").constancy > 1e-3
    assert escape(made(slowing, never, 100), "out").constancy < 1e-6


def test_a_simulated_well_of_no_slope_has_the_rate_of_its_slowest_mode() -> None:
    w = sp.Symbol("w", real=True)
    run = simulate(
        landscape("0*w", ["w"], noise_std=1), SGD(lr=0.05), steps=800, replicas=2_000, init=Uniform(-0.5, 0.5),
        events={"out": w**2 > 1}, record=[800], rng=5, progress=False,
    )  # fmt: skip
    found = escape(run, "out", after=200, confidence=1 - 1e-6)
    rate = np.pi**2 / 8 * 0.05**2 / (1 + 0.5826 * 0.05) ** 2
    assert found.interval[0] < rate < found.interval[1]
    assert found.interval[1] / found.interval[0] < 1.5


def test_what_cannot_be_meant_is_refused() -> None:
    run = made(np.array([3, 5]), np.array([9, 9]), 10)
    for name in ("over", "diverged_at_all"):
        with pytest.raises(ArgumentError, match=r"event: got .*: out"):
            escape(run, name)
    with pytest.raises(ArgumentError, match="isel"):
        escape(run.expand_dims(lr=2), "out")
    for after in (-1, 10, 0.5):
        with pytest.raises(ArgumentError, match="after"):
            escape(run, "out", after=after)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="confidence"):
        escape(run, "out", confidence=1.0)


def test_runs_that_were_not_run_do_not_count() -> None:
    run = made(np.array([3, 5, 99]), np.array([99, 99, 99]), 10)
    run["diverged_at"][2] = -2
    found = escape(run, "out")
    assert (found.escaped, found.stayed, found.risk) == (2, 0, 8)
    assert found.escaped_share[-1] == 1


def test_it_prints_in_a_line() -> None:
    assert "2 escaped, 0 diverged, 0 stayed" in str(escape(made(np.array([3, 5]), np.array([9, 9]), 10), "out"))
