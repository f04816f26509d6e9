"""Wherever blocks run, whoever dies or interrupts: the same numbers, or fewer of them and said so."""

from __future__ import annotations

import _thread
import io
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import xarray as xr
from ensembles import watched
from plain_twin import assert_same_numbers

from sgdtheory import SGD, ArgumentError
from sgdtheory.simulation import blocks
from sgdtheory.simulation.results import Collector
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
    assert_same_numbers(watched(WILD, executor=Broken(alive), **CUT), reference)


def test_only_the_lost_block_is_run_again(reference: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a pool that lives on, such as a cluster that lost one machine."""

    class LosesOne(Broken):
        def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
            lost: Future[Any] = Future()
            lost.set_exception(RuntimeError("the machine left"))
            return lost if arguments[1] == 32 else super().submit(function, *arguments, **keywords)

    seen: list[int] = []
    run = blocks.run_block
    monkeypatch.setattr(blocks, "run_block", lambda job, first, count: seen.append(first) or run(job, first, count))
    assert_same_numbers(watched(WILD, executor=LosesOne(-1), **CUT), reference)
    assert sorted(seen) == list(range(0, 100, 16))


def test_a_fault_of_the_kernel_itself_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(blocks, "run_block", faulty)
    for executor in (None, Broken(-1)):
        if executor is not None:
            monkeypatch.setattr(executor, "submit", lambda *_: lost_to("planted"))
        with pytest.raises(ZeroDivisionError, match="planted"):
            watched(executor=executor)


def lost_to(message: str) -> Future[Any]:
    lost: Future[Any] = Future()
    lost.set_exception(ZeroDivisionError(message))
    return lost


# interrupts


def interrupt_collecting_after(blocks_done: int, monkeypatch: pytest.MonkeyPatch) -> None:
    add, left = Collector.add, iter(range(blocks_done))

    def counted(self: Collector, *arguments: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        add(self, *arguments)

    monkeypatch.setattr(Collector, "add", counted)


@pytest.mark.parametrize("done", [0, 1, 3, 6])
def test_an_interrupt_returns_what_is_finished(
    reference: xr.Dataset, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_collecting_after(done, monkeypatch)
    run = watched(WILD, threads=2, **CUT)
    ran = run.diverged_at.values != -2
    assert run.attrs["complete"] == 0
    assert ran.reshape(-1)[:96].reshape(6, 16).all(axis=1).sum() + ran[96:].all() == done
    assert run.w.values[ran].tobytes() == reference.w.values[ran].tobytes()
    assert run.diverged_at.values[ran].tobytes() == reference.diverged_at.values[ran].tobytes()
    assert np.isnan(run.w.values[~ran]).all()
    assert np.isnan(run.loss.values[~ran]).all()
    assert (run.crossed.values[~ran] == -2).all()
    assert run.attrs["diverged"] == int((reference.diverged_at.values[ran] >= 0).sum())
    assert "interrupted" in run.diverged_at.attrs["meaning"]


@pytest.mark.parametrize("done", [0, 2, 3])
def test_interrupted_moments_are_those_of_the_finished_runs(done: int, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"replicas": 4 * GROUP, "block_size": GROUP}
    paths = watched(WILD, **settings)
    interrupt_collecting_after(done, monkeypatch)
    run = watched(WILD, threads=2, keep="moments", histogram={"w": [0.0, 1.0]}, **settings)
    ran = run.diverged_at.values != -2
    assert run.attrs["complete"] == 0
    assert ran.sum() == done * GROUP
    values = paths.w.values[ran, :, 0]
    run = run.sel(quantity="w")
    assert run.finite.values.tolist() == np.isfinite(values).sum(axis=0).tolist()
    assert run.histogram_w.sum("bin_w").values.tolist() == run.finite.values.tolist()
    if done:
        np.testing.assert_allclose(run["mean"].sel(step=1), values[:, 1].mean(), rtol=1e-12)
    else:
        assert np.isnan(run["mean"]).all()


def test_a_swept_run_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    full = watched(SGD([0.1, 0.9]), **CUT)
    interrupt_collecting_after(9, monkeypatch)
    run = watched(SGD([0.1, 0.9]), threads=1, **CUT)
    ran = run.diverged_at.values != -2
    assert 0 < ran.sum() < ran.size
    assert run.w.values[ran].tobytes() == full.w.values[ran].tobytes()
    assert run.diverged.values.tolist() == ((full.diverged_at.values >= 0) & ran).sum(axis=1).tolist()


class Interrupting(ThreadPoolExecutor):
    """Presses Ctrl-C while a block runs, which takes longer than anybody waits."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        if arguments[1] != 48:
            return super().submit(function, *arguments, **keywords)

        def pressed() -> None:
            time.sleep(0.3)  # so that the blocks before it are collected
            _thread.interrupt_main()
            time.sleep(0.3)

        return super().submit(pressed)


def test_a_signal_ends_a_run(reference: xr.Dataset) -> None:
    with Interrupting(1) as pool:
        run = watched(WILD, executor=pool, **CUT)
    ran = run.diverged_at.values != -2
    assert run.attrs["complete"] == 0
    assert ran[:48].all()  # one worker, in order
    assert not ran[48:].any()
    assert run.w.values[ran].tobytes() == reference.w.values[ran].tobytes()
    assert_same_numbers(watched(WILD, **CUT), reference)  # and nothing is left behind


def test_other_exceptions_are_no_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(*_: object) -> None:
        raise SystemExit(3)

    monkeypatch.setattr(Collector, "add", planted)
    with pytest.raises(SystemExit):
        watched(**CUT)


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
    monkeypatch.setattr(blocks, "_SILENT_SECONDS", seconds)
    monkeypatch.setattr(Bar, "started", 0)
    watched(progress=wanted, **CUT)
    assert Bar.started == bars
    assert stream.getvalue() == ""


def test_nothing_is_printed_where_nobody_looks(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_SILENT_SECONDS", 0.0)
    watched(**CUT)
    assert tuple(capfd.readouterr()) == ("", "")
