"""Run blocks through any executor: whoever dies or interrupts, no finished block is lost and none is run twice."""

from __future__ import annotations

import os
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
from typing import Any

import numpy as np

from sgdtheory.errors import ArgumentError, LostBlocksWarning
from sgdtheory.simulation.blocks import Block, Job, Outcome, cut, part, run_block
from sgdtheory.simulation.progress import progress_bar

_HELD_PER_WORKER = 2
"""Blocks handed out at a time: one that runs, and one that waits for nobody to be idle."""
_HELD_AT_MOST = 1024
"""The same where nobody knows how many workers there are, such as on a cluster."""

Collect = Callable[[Block, Outcome], None]


def run_blocks(
    jobs: Sequence[Job],
    replicas: int,
    collect: Collect,
    *,
    block_size: int | None,
    threads: int | None,
    executor: Executor | None,
    progress: bool | None,
) -> bool:
    """Run all replicas of all jobs, block by block, and hand each block to `collect`; return whether all were run.

    A block whose worker dies is run again here, in threads, with the same numbers, and a `LostBlocksWarning` says so
    at the end. The first interrupt (Ctrl-C) ends the run early: nothing more is handed out, what runs is finished and
    collected. A second one waits for nothing: what was collected by then stays. No interrupt can come in the middle of
    collecting, which is done by a thread of its own: Python interrupts the main thread alone.
    """
    if executor is not None and not hasattr(executor, "submit"):
        raise ArgumentError("executor", executor, "a concurrent.futures.Executor, or None for threads")
    workers = worker_count(threads)
    width = getattr(executor, "_max_workers", workers) if threads is None else workers
    blocks = [b for i, job in enumerate(jobs) for b in cut(i, job, replicas, len(jobs), block_size, width)]
    known = executor is None or hasattr(executor, "_max_workers")
    held = _HELD_PER_WORKER * max(width, workers) if known else _HELD_AT_MOST
    foreman = ThreadPoolExecutor(1, "sgdtheory-foreman")
    with progress_bar(len(blocks), progress) as advance:
        run = _Run(jobs, blocks, held, workers, executor, collect, advance)
        try:
            _despite_interrupts(foreman.submit(run), (run.stop, run.leave))
        finally:
            run.leave()
            foreman.shutdown(wait=False)
    if run.lost:
        shown = f"{len(run.lost)} of {len(blocks)} blocks were lost with their workers ({run.lost[0]!r})"
        warnings.warn(f"{shown} and run again in threads here, with the same numbers", LostBlocksWarning, stacklevel=3)
    return run.collected == len(blocks)


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


class _Run:
    """Hands out blocks and collects what comes back; called once, in a thread of its own.

    Parameters
    ----------
    jobs, blocks
    held : int
        Blocks out at a time, so that few finished ones wait to be collected.
    workers : int
        Threads here.
    executor : Executor or None
        Where blocks go first; None: to the threads.
    collect, advance : callable
        For every block that comes back.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        blocks: Sequence[Block],
        held: int,
        workers: int,
        executor: Executor | None,
        collect: Collect,
        advance: Callable[[], None],
    ) -> None:
        self.jobs, self.waiting, self.held, self.workers = jobs, deque(blocks), held, workers
        self.executor, self.collect, self.advance = executor, collect, advance
        self.threads: ThreadPoolExecutor | None = None
        self.out: dict[Future[Outcome], tuple[Block, Executor]] = {}
        self.lost: list[BaseException] = []
        self.collected = 0
        # futures, so that the foreman can wait for blocks and for these together
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
        """Keep as many blocks out as may be; once the run was stopped, call back those that have not begun."""
        while self.waiting and len(self.out) < self.held and not self.stopped.done():
            self._submit(self.waiting.popleft(), self.executor or self._own())
            if self.out and next(reversed(self.out)).done():
                break  # it ran at once, so it can be collected at once
        if self.stopped.done():
            self.out = {future: sent for future, sent in self.out.items() if not future.cancel()}

    def _own(self) -> ThreadPoolExecutor:
        self.threads = self.threads or ThreadPoolExecutor(self.workers, "sgdtheory")
        return self.threads

    def _submit(self, block: Block, pool: Executor) -> None:
        try:
            future = pool.submit(run_block, part(self.jobs[block.job], block), block.first, block.count)
        except Exception as error:
            self._again(block, pool, error)
        else:
            self.out[future] = block, pool

    def _take_in(self, future: Future[Any]) -> None:
        """Collect a finished block; one whose worker died is a pure function of its job and is run again here."""
        if future not in self.out:  # the call to stop
            return
        block, pool = self.out.pop(future)
        error: BaseException | None = None
        try:
            error = future.exception()
        except CancelledError as cancelled:
            error = cancelled
        if isinstance(error, Exception):
            self._again(block, pool, error)
        elif error is not None:
            raise error
        else:
            self.collect(block, future.result())
            self.collected += 1
            self.advance()

    def _again(self, block: Block, pool: Executor, error: Exception) -> None:
        """Send a block that did not come back from an executor to the threads; what fails there fails by itself."""
        if pool is self.threads:
            raise error
        if not self.stopped.done():
            self.lost.append(error)
            self._submit(block, self._own())


def _set(call: Future[None]) -> None:
    with suppress(InvalidStateError):  # it was set before
        call.set_result(None)
