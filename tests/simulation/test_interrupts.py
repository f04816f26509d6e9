"""Ctrl-C at any time: what is finished is returned and said to be incomplete; nothing here depends on timing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import xarray as xr
from ensembles import watched
from plain_twin import assert_same_numbers

from sgdtheory import SGD, execution
from sgdtheory.simulation.results import Collector
from sgdtheory.simulation.summaries import GROUP

CUT: dict[str, Any] = {"replicas": 100, "block_size": 16}
WILD = SGD(0.9)


@pytest.fixture(scope="module")
def reference() -> xr.Dataset:
    return watched(WILD, replicas=100, threads=1)


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


class PressedAt(Executor):
    """Ctrl-C while the k-th block is handed out; those before it have run."""

    def __init__(self, call: int) -> None:
        self.left = call

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        done: Future[Any] = Future()
        done.set_result(function(*arguments, **keywords))
        return done


@pytest.mark.parametrize("call", range(7))
def test_an_interrupt_while_blocks_are_handed_out(reference: xr.Dataset, call: int) -> None:
    run = watched(WILD, executor=PressedAt(call), **CUT)
    assert_finished(run, reference, 16 * call)


@pytest.mark.parametrize("call", [0, 3])
def test_moments_interrupted_while_blocks_are_handed_out(call: int) -> None:
    settings = {"keep": "moments", "block_size": GROUP}
    run = watched(WILD, executor=PressedAt(call), replicas=4 * GROUP, **settings)
    assert (run.diverged_at.values != -2).sum() == call * GROUP
    if call:
        shorter = watched(WILD, replicas=call * GROUP, **settings)
        for name in ("finite", "mean", "variance"):
            assert run[name].values.tobytes() == shorter[name].values.tobytes()


@pytest.fixture(autouse=True)
def interrupts_are_heard() -> Iterator[None]:
    """Python ignores Ctrl-C if it was started by a shell in the background, as test runs may be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Pressing(ThreadPoolExecutor):
    """One worker; while it runs the block at 48 it presses Ctrl-C so many times, each after the last was noticed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, presses: int) -> None:
        super().__init__(1)
        self.noticed = {"stop": threading.Event(), "leave": threading.Event()}
        self.presses = list(self.noticed)[:presses]
        self.returned = threading.Event()
        self.idle: list[Future[Any]] = []
        for name, event in self.noticed.items():
            self._announce(monkeypatch, name, event)

    @staticmethod
    def _announce(monkeypatch: pytest.MonkeyPatch, name: str, event: threading.Event) -> None:
        react = getattr(execution._Run, name)
        monkeypatch.setattr(execution._Run, name, lambda run: (react(run), event.set()))

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        if arguments[1] > 48:
            self.idle.append(Future())  # no worker is free for it
            return self.idle[-1]
        if arguments[1] < 48:
            return super().submit(function, *arguments, **keywords)
        return super().submit(self._press, function, arguments)

    def _press(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        for name in self.presses:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            if not self.noticed[name].wait(60):
                for future in self.idle:  # or the run would wait for these for ever
                    future.cancel()
                raise AssertionError(f"nobody noticed the call to {name}")
        if "leave" in self.presses:
            assert self.returned.wait(60)  # nobody waited for this block
        return function(*arguments)


pressable = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals between threads here")


@pressable
def test_a_first_interrupt_finishes_what_runs(reference: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with Pressing(monkeypatch, 1) as pool:
        run = watched(WILD, executor=pool, **CUT)
    assert_finished(run, reference, 64)
    monkeypatch.undo()
    assert_same_numbers(watched(WILD, **CUT), reference)  # and nothing is left behind


@pressable
def test_a_second_interrupt_keeps_what_is_finished(reference: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with Pressing(monkeypatch, 2) as pool:
        run = watched(WILD, executor=pool, **CUT)
        pool.returned.set()
    assert_finished(run, reference, 48)


def test_a_third_interrupt_is_raised() -> None:
    class Impatient(Future[None]):
        def result(self, timeout: float | None = None) -> None:
            raise KeyboardInterrupt

    answered: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        execution._despite_interrupts(Impatient(), (lambda: answered.append("stop"), lambda: answered.append("leave")))
    assert answered == ["stop", "leave"]


def test_an_interrupted_worker_ends_the_run_too(reference: xr.Dataset) -> None:
    """A terminal sends Ctrl-C to all processes: a block may come back as an interrupt."""

    class Interrupted(PressedAt):
        def submit(self, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
            if self.left:
                return super().submit(function, *arguments, **keywords)
            interrupted: Future[Any] = Future()
            interrupted.set_exception(KeyboardInterrupt())
            return interrupted

    assert_finished(watched(WILD, executor=Interrupted(2), **CUT), reference, 32)


def assert_finished(run: xr.Dataset, reference: xr.Dataset, replicas: int) -> None:
    """The first replicas have run, with the numbers they always have, and the others have not."""
    ran = run.diverged_at.values != -2
    assert ran.tolist() == [i < replicas for i in range(100)]
    assert run.attrs["complete"] == 0
    for name in ("w", "loss", "crossed", "diverged_at"):
        assert run[name].values[ran].tobytes() == reference[name].values[ran].tobytes()
    assert np.isnan(run.w.values[~ran]).all()


def test_other_exceptions_are_no_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(*_: object) -> None:
        raise SystemExit(3)

    monkeypatch.setattr(Collector, "add", planted)
    with pytest.raises(SystemExit):
        watched(**CUT)
