"""Run tasks through any executor: whoever dies or interrupts, no finished task is lost and none is run twice."""

from __future__ import annotations

import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    InvalidStateError,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from sgdtheory.errors import ArgumentError, LostBlocksWarning
from sgdtheory.progress import progress_bar

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

_HELD_PER_WORKER = 2
"""Tasks handed out at a time: one that runs, and one that waits for nobody to be idle."""
_HELD_AT_MOST = 1024
"""The same where nobody knows how many workers there are, such as on a cluster."""


@dataclass(frozen=True)
class Work(Generic[Task, Outcome]):
    """What is done to every task.

    Parameters
    ----------
    function : callable
        A pure function; at the top of a module, if it is to be sent to other processes.
    arguments : callable
        task → the arguments of the function, worked out when the task is handed out.
    collect : callable
        Called with a task and its outcome, one at a time, by a thread that no interrupt reaches.
    name : str
        Stands before the progress bar.
    """

    function: Callable[..., Outcome]
    arguments: Callable[[Task], tuple[Any, ...]]
    collect: Callable[[Task, Outcome], None]
    name: str = "simulating"


def run_tasks(
    work: Work[Task, Outcome],
    tasks: Sequence[Task],
    *,
    threads: int | None,
    executor: Executor | None,
    progress: bool | None,
) -> bool:
    """Run all tasks and hand each outcome to `work.collect`; return whether all were run.

    A task whose worker dies is run again here, in threads, and a `LostBlocksWarning` says so at the end. The first
    interrupt (Ctrl-C) ends the run early: nothing more is handed out, what runs is finished and collected. A second
    one waits for nothing: what was collected by then stays. No interrupt can come in the middle of collecting, which is
    done by a thread of its own: Python interrupts the main thread alone.
    """
    if executor is not None and not hasattr(executor, "submit"):
        raise ArgumentError("executor", executor, "a concurrent.futures.Executor, or None for threads")
    workers = worker_count(threads)
    known = executor is None or hasattr(executor, "_max_workers")
    held = _HELD_PER_WORKER * max(width(threads, executor), workers) if known else _HELD_AT_MOST
    foreman = ThreadPoolExecutor(1, "sgdtheory-foreman")
    with progress_bar(len(tasks), progress, work.name) as advance:
        run = _Run(work, tasks, held, workers, executor, advance)
        try:
            _despite_interrupts(foreman.submit(run), (run.stop, run.leave))
        finally:
            run.leave()
            foreman.shutdown(wait=False)
    if run.lost:
        shown = f"{len(run.lost)} of {len(tasks)} blocks were lost with their workers ({run.lost[0]!r})"
        warnings.warn(f"{shown} and run again in threads here, with the same numbers", LostBlocksWarning, _outside())
    return run.collected == len(tasks)


def _outside() -> int:
    """Return the stack level, for the one who asks, of the first caller outside this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
        level, frame = level + 1, frame.f_back
    return level


def width(threads: int | None, executor: Executor | None) -> int:
    """Return how many tasks run side by side, as far as anybody knows."""
    workers = worker_count(threads)
    return int(getattr(executor, "_max_workers", workers)) if threads is None else workers


def worker_count(threads: int | None) -> int:
    """Return the number of threads: as asked, else the processors this process may use."""
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not isinstance(threads, (int, np.integer)) or isinstance(threads, bool) or threads < 1:
        raise ArgumentError("threads", threads, "a whole number >= 1, or None for all processors")
    return int(threads)


def _despite_interrupts(work: Future[None], reactions: Sequence[Callable[[], None]]) -> None:
    """Wait for the end of the work; each interrupt is answered by the next reaction, one more is raised."""
    for react in reactions:
        try:
            work.result()
            return
        except KeyboardInterrupt:
            react()
    work.result()


class _Run(Generic[Task, Outcome]):
    """Hands out tasks and collects what comes back; called once, in a thread of its own.

    Parameters
    ----------
    work, tasks
    held : int
        Tasks out at a time, so that few finished ones wait to be collected.
    workers : int
        Threads here.
    executor : Executor or None
        Where tasks go first; None: to the threads.
    advance : callable
        Called for every task that comes back.
    """

    def __init__(
        self,
        work: Work[Task, Outcome],
        tasks: Sequence[Task],
        held: int,
        workers: int,
        executor: Executor | None,
        advance: Callable[[], None],
    ) -> None:
        self.work, self.waiting, self.held, self.workers = work, deque(tasks), held, workers
        self.executor, self.advance = executor, advance
        self.threads: ThreadPoolExecutor | None = None
        self.out: dict[Future[Outcome], tuple[Task, Executor]] = {}
        self.lost: list[BaseException] = []
        self.collected = 0
        # futures, so that the foreman can wait for tasks and for these together
        self.stopped: Future[None] = Future()
        self.left: Future[None] = Future()

    def stop(self) -> None:
        """Hand out nothing more."""
        _set(self.stopped)

    def leave(self) -> None:
        """Wait for nothing more."""
        self.stop()
        _set(self.left)

    def __call__(self) -> None:
        try:
            while self.out or (self.waiting and not self.stopped.done()):
                with self._stopping():
                    self._hand_out()
                if not self.out:
                    continue
                awaited: set[Future[Any]] = {*self.out, self.left if self.stopped.done() else self.stopped}
                done, _ = wait(awaited, return_when=FIRST_COMPLETED)
                if self.left.done():
                    return
                while done:
                    with self._stopping():
                        self._take_in(done.pop())  # nothing may hold on to a path that was collected
        finally:
            for future in self.out:
                future.cancel()
            if self.threads:
                self.threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Stop at an interrupt that an executor or a collector passes on."""
        try:
            yield
        except KeyboardInterrupt:
            self.stop()

    def _hand_out(self) -> None:
        """Keep as many tasks out as may be; once the run was stopped, call back those that have not begun."""
        while self.waiting and len(self.out) < self.held and not self.stopped.done():
            self._submit(self.waiting.popleft(), self.executor or self._own())
            if self.out and next(reversed(self.out)).done():
                break  # it ran at once, so it can be collected at once
        if self.stopped.done():
            self.out = {future: sent for future, sent in self.out.items() if not future.cancel()}

    def _own(self) -> ThreadPoolExecutor:
        self.threads = self.threads or ThreadPoolExecutor(self.workers, "sgdtheory")
        return self.threads

    def _submit(self, task: Task, pool: Executor) -> None:
        try:
            future = pool.submit(self.work.function, *self.work.arguments(task))
        except Exception as error:
            self._again(task, pool, error)
        else:
            self.out[future] = task, pool

    def _take_in(self, future: Future[Any]) -> None:
        """Collect a finished task; one whose worker died is run again here, by the same pure function."""
        if future not in self.out:  # the call to stop
            return
        task, pool = self.out.pop(future)
        error: BaseException | None = None
        try:
            error = future.exception()
        except CancelledError as cancelled:
            error = cancelled
        if isinstance(error, Exception):
            self._again(task, pool, error)
        elif error is not None:
            raise error
        else:
            self.work.collect(task, future.result())
            self.collected += 1
            self.advance()

    def _again(self, task: Task, pool: Executor, error: Exception) -> None:
        """Send a task that did not come back from an executor to the threads; what fails there fails by itself."""
        if pool is self.threads:
            raise error
        if not self.stopped.done():
            self.lost.append(error)
            self._submit(task, self._own())


def _set(call: Future[None]) -> None:
    with suppress(InvalidStateError):  # it was set before
        call.set_result(None)
