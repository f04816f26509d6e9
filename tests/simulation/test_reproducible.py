"""The same rng gives the same numbers, bit for bit, however the work is cut and wherever it is done."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sgdtheory as sgd

PROBLEM = sgd.sticky_1d(1, 2, convention="squared error")
REPLICAS, STEPS = 301, 12  # more than two blocks of lanes, and no multiple of one


def run(replicas: int = REPLICAS, rng: Any = 5, **options: Any) -> xr.Dataset:
    settings: dict[str, Any] = {"steps": STEPS, "batch_size": 3, "init": sgd.Uniform(-3, 3)} | options
    return sgd.simulate(PROBLEM, sgd.Nesterov(lr=0.01, momentum=0.5), replicas=replicas, rng=rng, **settings)


@pytest.fixture(scope="module")
def reference() -> xr.Dataset:
    return run()


def same(one: xr.Dataset, other: xr.Dataset) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in ("w", "diverged_at"))


@pytest.mark.parametrize(
    "options",
    [{"threads": 1}, {"threads": 2}, {"threads": 7}, *({"block_size": size} for size in (1, 17, 128, 129, 10_000))],
    ids=str,
)
def test_threads_and_blocks_change_nothing(reference: xr.Dataset, options: dict[str, int]) -> None:
    assert same(run(**options), reference)


def test_processes_change_nothing(reference: xr.Dataset) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert same(run(executor=pool, block_size=100), reference)


class Backwards(Executor):
    """Runs everything at once and finishes the last first."""

    def submit(self, function: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **options))
        return future


def test_any_executor_will_do(reference: xr.Dataset) -> None:
    assert same(run(executor=Backwards(), block_size=50), reference)


@pytest.mark.parametrize("size", [1, 100, 128, 300])
def test_a_smaller_ensemble_is_the_beginning_of_a_larger(reference: xr.Dataset, size: int) -> None:
    assert np.array_equal(run(size).w, reference.w[:size])


@pytest.mark.parametrize("record", [5, [12], [0, 3, 4], [7]], ids=str)
def test_what_is_recorded_changes_nothing(reference: xr.Dataset, record: int | list[int]) -> None:
    thinned = run(record=record)
    assert np.array_equal(thinned.w, reference.w.sel(step=thinned.step))
    assert np.array_equal(thinned.diverged_at, reference.diverged_at)


def test_a_shorter_run_is_the_beginning_of_a_longer(reference: xr.Dataset) -> None:
    assert np.array_equal(run(steps=5).w, reference.w[:, :6])


def test_starting_points_handed_over_are_those_that_were_drawn(reference: xr.Dataset) -> None:
    assert np.array_equal(run(init=reference.w.values[:, 0]).w, reference.w)


def test_different_seeds_differ(reference: xr.Dataset) -> None:
    assert not np.array_equal(run(rng=6).w, reference.w)


def test_a_generator_moves_on_and_is_repeatable() -> None:
    generator = np.random.default_rng(3)
    first, second = run(20, generator), run(20, generator)
    assert not np.array_equal(first.w, second.w)
    assert same(run(20, np.random.default_rng(3)), first)


def test_spawned_seeds_differ_and_are_recorded() -> None:
    one, two = np.random.SeedSequence(1).spawn(2)
    first, second = run(20, one), run(20, two)
    assert not np.array_equal(first.w, second.w)
    again = np.random.SeedSequence(int(first.attrs["rng_entropy"]), spawn_key=(0,))
    assert first.attrs["rng_spawn_key"] == "(0,)"
    assert same(run(20, again), first)


def test_fresh_entropy_is_recorded_and_repeats_the_run() -> None:
    fresh = run(20, None)
    assert same(run(20, int(fresh.attrs["rng_entropy"])), fresh)
    assert not np.array_equal(run(20, None).w, fresh.w)
