"""Wherever blocks run and whoever dies: the same numbers, and whoever is told of it is told once."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import xarray as xr
from ensembles import plain, watched
from plain_twin import assert_same_numbers

from sgdtheory import SGD, ArgumentError, LostBlocksWarning, progress
from sgdtheory import step as t
from sgdtheory.simulation import execution
from sgdtheory.simulation.summaries import GROUP

CUT: dict[str, Any] = {"replicas": 100, "block_size": 16}
WILD = SGD(0.9)


@pytest.fixture(scope="module")
def reference() -> xr.Dataset:
    return watched(WILD, replicas=100, threads=1)


def spawned(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with spawned(2) as pool:
        yield pool


def test_threads(reference: xr.Dataset) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert_same_numbers(watched(WILD, executor=pool, **CUT), reference)
    assert_same_numbers(watched(WILD, threads=2, **CUT), reference)


def test_processes(reference: xr.Dataset, processes: Executor) -> None:
    """Paths, a sweep, moments, and starting points handed over."""
    run = watched(WILD, executor=processes, **CUT)
    assert_same_numbers(run, reference)
    assert run.attrs["complete"] == 1
    sweep = {"optimizer": SGD([0.1, 0.9]), "batch_size": [1, 2]}
    assert_same_numbers(watched(**sweep, executor=processes, **CUT), watched(**sweep, **CUT))
    summed = {"keep": "moments", "replicas": 2 * GROUP + 5, "block_size": GROUP}
    assert_same_numbers(watched(WILD, executor=processes, **summed), watched(WILD, **summed))


def test_given_points_reach_their_replicas(processes: Executor) -> None:
    points = np.linspace(-2, 2, 100)[:, None]
    run = watched(WILD, init=points, executor=processes, **CUT)
    assert run.w.values[:, 0].tobytes() == points.tobytes()
    assert_same_numbers(run, watched(WILD, init=points, replicas=100))


@pytest.mark.filterwarnings("default")
def test_loky(reference: xr.Dataset) -> None:
    loky = pytest.importorskip("loky")
    pool = loky.get_reusable_executor(max_workers=2)
    try:
        assert_same_numbers(watched(WILD, executor=pool, **CUT), reference)
    finally:
        pool.shutdown(kill_workers=True)


@pytest.mark.filterwarnings("default")
def test_dask(reference: xr.Dataset) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert_same_numbers(watched(WILD, executor=client.get_executor(), **CUT), reference)


@pytest.mark.parametrize("executor", ["threads", 2, [ThreadPoolExecutor]], ids=["text", "number", "list"])
def test_what_is_no_executor_is_refused(executor: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^executor: got .*; allowed: a concurrent.futures.Executor"):
        watched(executor=executor)


# death


class Mortal(Executor):
    """Sends the worker of one block to its death."""

    def __init__(self, pool: Executor, first: int) -> None:
        self.pool, self.first, self.broken = pool, first, 0

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        if arguments[1] == self.first:
            return self.pool.submit(os._exit, 13)
        try:
            return self.pool.submit(function, *arguments, **keywords)
        except BrokenExecutor:
            self.broken += 1
            raise


@pytest.mark.parametrize("first", [0, 48, 96])
def test_a_worker_that_dies_takes_no_numbers_with_it(reference: xr.Dataset, first: int) -> None:
    with spawned(1) as pool:
        with pytest.warns(LostBlocksWarning, match=r"of 7 blocks were lost .* with the same numbers"):
            run = watched(WILD, executor=Mortal(pool, first), **CUT)
        with pytest.raises(BrokenExecutor):  # it did die
            pool.submit(int)
    assert_same_numbers(run, reference)
    assert run.attrs["complete"] == 1


class Broken(Executor):
    """A pool whose workers are dead after so many blocks."""

    def __init__(self, alive: int) -> None:
        self.alive = alive

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        if self.alive == 0:
            raise BrokenExecutor("all workers died")
        self.alive -= 1
        done: Future[Any] = Future()
        done.set_result(function(*arguments, **keywords))
        return done


@pytest.mark.parametrize("alive", [0, 1, 5])
def test_a_pool_that_breaks_while_it_is_filled_loses_nothing(reference: xr.Dataset, alive: int) -> None:
    with pytest.warns(LostBlocksWarning, match=rf"^{7 - alive} of 7 blocks were lost .*all workers died") as told:
        assert_same_numbers(watched(WILD, executor=Broken(alive), **CUT), reference)
    assert len(told) == 1
    assert told[0].filename.endswith("ensembles.py")  # it points to whoever called simulate


def test_lost_blocks_are_run_at_full_width(reference: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them waits for a second one to run beside it, which one thread alone could never do."""
    both, run = threading.Barrier(2), execution.run_block

    def beside_another(*arguments: Any) -> Any:
        both.wait(60)
        return run(*arguments)

    monkeypatch.setattr(execution, "run_block", beside_another)
    with pytest.warns(LostBlocksWarning, match="^6 of 6 blocks"):
        found = watched(WILD, executor=Broken(0), threads=2, replicas=96, block_size=16)
    assert_same_numbers(found, reference.isel(replica=slice(96)))


def test_only_the_lost_block_is_run_again(reference: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a pool that lives on, such as a cluster that lost one machine."""

    class LosesOne(Broken):
        def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
            lost: Future[Any] = Future()
            lost.set_exception(RuntimeError("the machine left"))
            return lost if arguments[1] == 32 else super().submit(function, *arguments, **keywords)

    seen: list[int] = []
    run = execution.run_block
    monkeypatch.setattr(execution, "run_block", lambda job, first, count: seen.append(first) or run(job, first, count))
    with pytest.warns(LostBlocksWarning, match=r"^1 of 7 blocks were lost .*the machine left"):
        assert_same_numbers(watched(WILD, executor=LosesOne(-1), **CUT), reference)
    assert sorted(seen) == list(range(0, 100, 16))


def test_a_fault_of_the_kernel_itself_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(execution, "run_block", faulty)
    for executor in (None, Broken(-1)):
        if executor is not None:
            monkeypatch.setattr(executor, "submit", lambda *_: lost_to("planted"))
        with pytest.raises(ZeroDivisionError, match="planted"):
            watched(executor=executor)


def lost_to(message: str) -> Future[Any]:
    lost: Future[Any] = Future()
    lost.set_exception(ZeroDivisionError(message))
    return lost


# what is sent and what is held


class Here(Executor):
    """Runs every block at once, in the foreman's thread, and notes how large its task is."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        self.sizes.append(len(pickle.dumps((function, arguments, keywords))))
        done: Future[Any] = Future()
        done.set_result(function(*arguments, **keywords))
        return done


def test_a_block_is_sent_what_it_needs_alone() -> None:
    """Neither the other blocks' starting points, nor a schedule of many steps."""
    replicas, steps, size = 4096, 20_000, 64
    here = Here()
    points = np.linspace(-1, 1, replicas)[:, None]
    settings: dict[str, Any] = {"replicas": replicas, "steps": steps, "init": points, "record": [0, steps]}
    run = plain(SGD(0.001 / t), executor=here, block_size=size, **settings)
    own, text, rest = 8 * size, 20_000, 4_000
    assert len(here.sizes) == replicas // size
    assert max(here.sizes) < own + text + rest < min(8 * replicas, 8 * steps)
    assert run.w.values[:, 0].tobytes() == points.tobytes()


def test_a_schedule_is_the_same_where_it_is_worked_out_again(processes: Executor) -> None:
    assert_same_numbers(plain(SGD(0.3 / t**0.5), executor=processes, block_size=16), plain(SGD(0.3 / t**0.5)))


def test_paths_are_held_once() -> None:
    """Of all that a run holds at any time, its result is nearly everything; no finished block waits for another."""
    settings: dict[str, Any] = {"replicas": 2048, "steps": 511, "threads": 1, "block_size": 32}
    plain(**settings)  # so that what is loaded only once is there
    tracemalloc.start()
    try:
        run = plain(executor=Here(), **settings)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert run.w.nbytes == 8 * 2048 * 512
    assert peak < 1.2 * run.w.nbytes


def test_variables_share_the_memory_of_one_path() -> None:
    run = watched(**CUT)
    assert run.w.values.base is not None
    assert run.w.values.base is run.loss.values.base


# progress


class Bar:
    started = 0

    def __init__(self, *_: object, **__: object) -> None:
        self.shown: list[int] = []

    def start(self) -> None:
        Bar.started += 1

    def stop(self) -> None: ...

    def add_task(self, *_: object, **__: object) -> int:
        return 0

    def update(self, _: int, completed: int) -> None:
        self.shown.append(completed)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("wanted", "tty", "seconds", "bars"), [
    (None, False, 0.0, 0), (False, True, 0.0, 0), (True, False, 0.0, 1), (None, True, 0.0, 1), (None, True, 60.0, 0),
])  # fmt: skip
def test_the_bar_is_for_people_who_wait(
    wanted: bool | None, tty: bool, seconds: float, bars: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal() if tty else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("rich.progress.Progress", Bar)
    monkeypatch.setattr(progress, "_SILENT_SECONDS", seconds)
    monkeypatch.setattr(Bar, "started", 0)
    watched(progress=wanted, **CUT)
    assert Bar.started == bars
    assert stream.getvalue() == ""


def test_nothing_is_printed_where_nobody_looks(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_SILENT_SECONDS", 0.0)
    watched(**CUT)
    assert tuple(capfd.readouterr()) == ("", "")
