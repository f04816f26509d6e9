"""Cut an ensemble into blocks and run them through any executor; the result does not depend on the cutting."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.kernels.build import build

_LARGEST_BLOCK = 65_536
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
        Recorded steps, increasing.
    width : int
        Recorded state entries.
    """

    source: str
    key: NDArray[np.int64]
    parameters: NDArray[np.float64]
    start: NDArray[np.float64]
    points: NDArray[np.float64]
    data: NDArray[np.float64]
    batch_size: int
    record: NDArray[np.int64]
    width: int


Result = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Recorded path, shape (replicas, recorded, width), and first failed step of each replica (−1: none)."""


def run_block(job: Job, first: int, count: int) -> Result:
    """Run replicas first … first+count−1; given points are those of these replicas."""
    path = np.empty((count, len(job.record), job.width))
    failed = np.empty(count, dtype=np.int64)
    kernel = build(job.source).run
    with np.errstate(all="ignore"):  # overflow is an outcome here, recorded in `failed`
        kernel(
            # copies, because compiled signatures want writable arrays
            np.array(job.key), first, np.array(job.parameters), np.array(job.start), np.array(job.points),
            np.array(job.data), job.batch_size, np.array(job.record), path, failed,
        )  # fmt: skip
    return path, failed


def run_blocks(
    job: Job,
    replicas: int,
    block_size: int | None,
    threads: int | None,
    executor: Executor | None,
    progress: bool | None,
) -> Result:
    """Run all replicas, block by block, and put them together in order."""
    workers = worker_count(threads)
    size = block_size or max(1, min(_LARGEST_BLOCK, -(-replicas // (workers * _BLOCKS_PER_WORKER))))
    blocks = [(first, min(size, replicas - first)) for first in range(0, replicas, size)]
    path = np.empty((replicas, len(job.record), job.width))
    failed = np.empty(replicas, dtype=np.int64)
    own = ThreadPoolExecutor(workers) if executor is None else None
    pool = executor or own
    assert pool is not None
    futures = {pool.submit(run_block, _part(job, *block), *block): block for block in blocks}
    try:
        with _progress_bar(len(blocks), progress) as advance:
            for future in as_completed(futures):
                first, count = futures[future]
                path[first : first + count], failed[first : first + count] = future.result()
                advance()
    finally:
        for future in futures:
            future.cancel()
        if own:
            own.shutdown()
    return path, failed


def _part(job: Job, first: int, count: int) -> Job:
    """Cut the given starting points down to a block's own, so that no process is sent the others."""
    return replace(job, points=job.points[first : first + count])


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
