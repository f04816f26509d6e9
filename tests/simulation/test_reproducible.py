"""Results depend on the seed and the replica's number alone: not on threads, processes, blocks, records or luck."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import xarray as xr

from sgdtheory import SGD, Dataset, Problem, Uniform, landscape, simulate
from sgdtheory.simulation.provenance import key_of, seed_sequence

WELL = landscape("(w**2 - 1)**2/4", ["w"], noise_std=0.3)
SHUFFLED = Problem("(y - w*x)**2/2", ["w"], Dataset(sampling="reshuffle", x=[0.3, -1.2, 0.8, 2.0], y=[1, 0, -0.5, 1]))
EXPLOSIVE = landscape("w**4/4", ["w"], noise_std=0.1)


def run(problem: Problem = WELL, **changed: Any) -> xr.Dataset:
    settings: dict[str, Any] = {"steps": 12, "replicas": 333, "init": Uniform(-2, 2), "rng": 7}
    return simulate(problem, SGD(lr=0.3), **settings | changed)


@pytest.fixture(scope="module", params=["fresh", "reshuffled", "diverging"])
def problem(request: pytest.FixtureRequest) -> Problem:
    return {"fresh": WELL, "reshuffled": SHUFFLED, "diverging": EXPLOSIVE}[request.param]


@pytest.fixture(scope="module")
def reference(problem: Problem) -> xr.Dataset:
    return run(problem, threads=1, block_size=333, batch_size=2)


def same(a: xr.Dataset, b: xr.Dataset) -> None:
    """Bit for bit: the attributes too."""
    assert a.w.values.tobytes() == b.w.values.tobytes()
    xr.testing.assert_identical(a, b)


@pytest.mark.parametrize("threads", [1, 2, None])
@pytest.mark.parametrize("block_size", [1, 7, 128, 131, 332, 1000, None])
def test_threads_and_blocks_change_nothing(
    problem: Problem, reference: xr.Dataset, threads: int | None, block_size: int | None
) -> None:
    same(run(problem, threads=threads, block_size=block_size, batch_size=2), reference)


def test_other_processes_change_nothing(problem: Problem, reference: xr.Dataset) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        same(run(problem, executor=pool, block_size=100, batch_size=2), reference)


def test_given_points_go_to_their_own_replicas_in_other_processes() -> None:
    points = np.linspace(-2, 2, 50)[:, np.newaxis]
    whole = run(init=points, replicas=50)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        same(run(init=points, replicas=50, executor=pool, block_size=7), whole)


def test_an_executor_of_ones_own_is_left_open() -> None:
    with ThreadPoolExecutor(1) as pool:
        same(run(executor=pool), run())
        assert pool.submit(lambda: 3).result() == 3


def test_an_ensemble_grows_without_changing_its_first_replicas(problem: Problem, reference: xr.Dataset) -> None:
    few = run(problem, replicas=50, batch_size=2)
    xr.testing.assert_equal(few, reference.isel(replica=slice(50)))


def test_a_run_goes_on_without_changing_its_first_steps(problem: Problem, reference: xr.Dataset) -> None:
    short = run(problem, steps=5, batch_size=2)
    xr.testing.assert_equal(short.w, reference.w.sel(step=slice(0, 5)))


@pytest.mark.parametrize("record", [5, 12, [12], [1, 4]])
def test_recording_changes_nothing(problem: Problem, reference: xr.Dataset, record: int | list[int]) -> None:
    other = run(problem, record=record, batch_size=2)
    xr.testing.assert_equal(other.w, reference.w.sel(step=other.step))
    xr.testing.assert_equal(other.diverged_at, reference.diverged_at)
    assert other.attrs == reference.attrs


def test_the_same_seed_twice(problem: Problem, reference: xr.Dataset) -> None:
    same(run(problem, batch_size=2), reference)


def test_another_seed_is_another_ensemble() -> None:
    a, b = run(rng=7), run(rng=8)
    assert not (a.w.values == b.w.values).any()
    assert a.attrs["rng_entropy"] == "7"


def test_replicas_differ_from_each_other() -> None:
    ends = run().w.values[:, -1, 0]
    assert len(np.unique(ends)) == len(ends)


def test_seeds_of_all_kinds_that_mean_the_same() -> None:
    reference = run(rng=7)
    same(run(rng=np.int64(7)), reference)
    same(run(rng=np.random.SeedSequence(7)), reference)


def test_a_generator_moves_on() -> None:
    generator = np.random.default_rng(3)
    first, second = run(rng=generator), run(rng=generator)
    assert not (first.w.values == second.w.values).any()
    again = np.random.default_rng(3)
    same(run(rng=again), first)
    same(run(rng=again), second)


def test_children_of_a_seed_sequence_are_independent_and_named() -> None:
    parent = np.random.SeedSequence(7)
    one, two = (run(rng=child) for child in parent.spawn(2))
    assert not (one.w.values == two.w.values).any()
    assert not (one.w.values == run(rng=7).w.values).any()
    assert (one.attrs["rng_spawn_key"], two.attrs["rng_spawn_key"]) == ("(0,)", "(1,)")
    same(run(rng=np.random.SeedSequence(7, spawn_key=(1,))), two)


def test_a_seed_sequence_is_not_used_up() -> None:
    seed = np.random.SeedSequence(5)
    same(run(rng=seed), run(rng=seed))
    assert seed.n_children_spawned == 0


def test_fresh_entropy_is_written_down_and_repeats_the_run() -> None:
    one, two = run(rng=None), run(rng=None)
    assert not (one.w.values == two.w.values).any()
    same(run(rng=int(one.attrs["rng_entropy"])), one)


def test_what_a_generator_gave_is_written_down_and_repeats_the_run() -> None:
    first = run(rng=np.random.default_rng(3))
    same(run(rng=int(first.attrs["rng_entropy"])), first)


def test_the_global_random_state_is_neither_read_nor_moved() -> None:
    np.random.seed(0)  # noqa: NPY002  the old global state is what this is about
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]  # noqa: NPY002
    same(run(), run())
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]  # noqa: NPY002


def test_draws_are_common_across_a_sweep() -> None:
    """Two learning rates see the same examples: at the first step they move along the same gradient."""
    slow, fast = (simulate(WELL, SGD(lr=lr), steps=1, replicas=20, init=Uniform(-2, 2), rng=0) for lr in (0.1, 0.2))
    np.testing.assert_array_equal(slow.w.isel(step=0), fast.w.isel(step=0))
    moves = [r.w.isel(step=1).values - r.w.isel(step=0).values for r in (slow, fast)]
    np.testing.assert_allclose(moves[1], 2 * moves[0], rtol=1e-9)


def test_the_key_is_four_words() -> None:
    key = key_of(seed_sequence(0))
    assert key.dtype == np.int64
    assert key.shape == (4,)
    assert ((key >= 0) & (key < 2**32)).all()
    assert key.tolist() == np.random.SeedSequence(0).generate_state(4).tolist()
