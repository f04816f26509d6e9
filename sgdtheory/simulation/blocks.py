"""Cut an ensemble into blocks and run them through any executor; the result does not depend on the cutting."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.kernels.build import build
from sgdtheory.simulation.summaries import GROUP, Reduction, Summary, summarise

SAMPLE = 1024
"""Replicas whose ends are looked at for the curvature there."""
_LARGEST_BLOCK = 65_536
_LARGEST_PATH = 2**26
"""Bytes of a block's path, where a smaller block can keep to it."""
_BLOCKS_PER_WORKER = 4
_SILENT_SECONDS = 2.0


@dataclass(frozen=True)
class Job:
    """Everything a kernel needs but the replicas: small, picklable, the same for every block.

    Parameters
    ----------
    source : str
        Generated source.
    key : array of 4 ints
        Key of the random numbers.
    parameters, start : float arrays
        ``p`` and ``q`` of the kernel.
    points : float array, shape (replicas, d) or (0, d)
        Given starting points, if any.
    data : float array, shape (n, k)
        The data set, if any.
    batch_size : int
    record : int array
        Recorded steps, increasing; the last is the end of the run.
    schedule : float array, shape (number of scheduled parameters, steps + 1)
        Their values at every step.
    scheduled : int array
        Which parameters they are.
    width, events : int
        Recorded quantities; conditions whose first step is kept.
    reduction : Reduction, optional
        Keep summaries instead of paths.
    shortcut : bool
        Whether sums over a batch are drawn instead of its examples.
    """

    source: str
    key: NDArray[np.int64]
    parameters: NDArray[np.float64]
    start: NDArray[np.float64]
    points: NDArray[np.float64]
    data: NDArray[np.float64]
    batch_size: int
    record: NDArray[np.int64]
    schedule: NDArray[np.float64]
    scheduled: NDArray[np.int64]
    width: int
    events: int
    reduction: Reduction | None = None
    shortcut: bool = False


@dataclass(frozen=True)
class Block:
    """Replicas first … first+count−1 of one job of several."""

    job: int
    first: int
    count: int


@dataclass(frozen=True)
class Outcome:
    """What a block returns.

    Parameters
    ----------
    kept : float array, shape (replicas, recorded, width), or Summary
        The recorded paths, or what is kept instead.
    failed : int array, shape (replicas,)
        First failed step; −1: none.
    passed : int array, shape (replicas, events)
        First step of each event; −1: never.
    ends : float array, shape (at most `SAMPLE` − first, 2, width)
        First and last record of those of the ensemble's first `SAMPLE` replicas that are here.
    """

    kept: NDArray[np.float64] | Summary
    failed: NDArray[np.int64]
    passed: NDArray[np.int64]
    ends: NDArray[np.float64]


def run_block(job: Job, first: int, count: int) -> Outcome:
    """Run replicas first … first+count−1; given points are those of these replicas."""
    path = np.empty((count, len(job.record), job.width))
    failed = np.empty(count, dtype=np.int64)
    passed = np.empty((count, job.events), dtype=np.int64)
    kernel = build(job.source).run
    with np.errstate(all="ignore"):  # overflow is an outcome here, recorded in `failed`
        kernel(
            # copies, because compiled signatures want writable arrays
            np.array(job.key), first, np.array(job.parameters), np.array(job.start), np.array(job.points),
            np.array(job.data), job.batch_size, np.array(job.record), np.array(job.schedule), np.array(job.scheduled),
            path, failed, passed,
        )  # fmt: skip
        ends = path[: max(0, SAMPLE - first), [0, -1]]
        return Outcome(path if job.reduction is None else summarise(path, job.reduction), failed, passed, ends)


def run_blocks(
    jobs: Sequence[Job],
    replicas: int,
    collect: Callable[[Block, Outcome], None],
    *,
    block_size: int | None,
    threads: int | None,
    executor: Executor | None,
    progress: bool | None,
) -> bool:
    """Run all replicas of all jobs, block by block, and hand each block to `collect`; return whether all were run.

    A block that is lost with its worker is run again here, with the same numbers. An interrupt (Ctrl-C) ends the run
    early: blocks that were collected by then stay.
    """
    if executor is not None and not hasattr(executor, "submit"):
        raise ArgumentError("executor", executor, "a concurrent.futures.Executor, or None for threads")
    workers = worker_count(threads)
    blocks = [b for i, job in enumerate(jobs) for b in _cut(i, job, replicas, len(jobs), block_size, workers)]
    own = ThreadPoolExecutor(workers) if executor is None else None
    pool = executor or own
    assert pool is not None
    futures: dict[Future[Outcome], Block] = {}
    try:
        with _progress_bar(len(blocks), progress) as advance:
            for block in blocks:
                futures[_submit(pool, jobs[block.job], block)] = block
            for future in as_completed(futures):
                block = futures.pop(future)  # nothing may hold on to a path that was collected
                collect(block, _outcome(future, jobs[block.job], block, retry=own is None))
                advance()
    except KeyboardInterrupt:
        return False
    finally:
        for future in futures:
            future.cancel()
        if own:
            own.shutdown(cancel_futures=True)
    return True


def _cut(index: int, job: Job, replicas: int, jobs: int, block_size: int | None, workers: int) -> Iterator[Block]:
    """Cut an ensemble into blocks; summaries are made of whole groups, so that they do not depend on the cutting."""
    share = -(-replicas * jobs // (workers * _BLOCKS_PER_WORKER))
    fit = _LARGEST_PATH // (8 * len(job.record) * job.width)
    size = block_size or max(1, min(_LARGEST_BLOCK, share, fit))
    if job.reduction is not None:
        size = -(-size // GROUP) * GROUP
    for first in range(0, replicas, size):
        yield Block(index, first, min(size, replicas - first))


def _submit(pool: Executor, job: Job, block: Block) -> Future[Outcome]:
    """Hand a block to the executor; one whose workers died by now has lost it."""
    try:
        return pool.submit(run_block, _part(job, block), block.first, block.count)
    except BrokenExecutor as error:
        lost: Future[Outcome] = Future()
        lost.set_exception(error)
        return lost


def _outcome(future: Future[Outcome], job: Job, block: Block, retry: bool) -> Outcome:
    try:
        return future.result()
    except Exception:
        if not retry:
            raise
        # a worker died, or its machine left: the block is a pure function of its job, so it can be run again
        return run_block(_part(job, block), block.first, block.count)


def _part(job: Job, block: Block) -> Job:
    """Cut the given starting points down to a block's own, so that no process is sent the others."""
    return replace(job, points=job.points[block.first : block.first + block.count])


def worker_count(threads: int | None) -> int:
    """Return the number of threads: as asked, else the processors this process may use."""
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not isinstance(threads, (int, np.integer)) or isinstance(threads, bool) or threads < 1:
        raise ArgumentError("threads", threads, "a whole number >= 1, or None for all processors")
    return int(threads)


@contextmanager
def _progress_bar(total: int, wanted: bool | None) -> Iterator[_Advance]:
    """Show a bar on the terminal's error stream once a run has lasted two seconds; silent elsewhere."""
    import sys

    shown = sys.stderr.isatty() if wanted is None else wanted
    bar = _Advance(total, shown)
    try:
        yield bar
    finally:
        bar.close()


class _Advance:
    """A progress bar that appears late."""

    def __init__(self, total: int, shown: bool) -> None:
        self.total, self.done, self.shown = total, 0, shown
        self.started = time.monotonic()
        self.bar: object = None

    def __call__(self) -> None:
        self.done += 1
        if not self.shown or (self.bar is None and time.monotonic() - self.started < _SILENT_SECONDS):
            return
        from rich.console import Console
        from rich.progress import Progress

        if self.bar is None:
            self.bar = Progress(console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task("simulating", total=self.total)
        assert isinstance(self.bar, Progress)
        self.bar.update(self.task, completed=self.done)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()  # type: ignore[attr-defined]
