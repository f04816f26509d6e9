"""Blocks: some replicas of one job, run wherever they are sent; the result does not depend on the cutting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sgdtheory.kernels import device as gpu
from sgdtheory.kernels.build import build
from sgdtheory.simulation.summaries import GROUP, Reduction, Summary, summarise

if TYPE_CHECKING:
    from sgdtheory.optimizers import Hyperparameter

SAMPLE = 1024
"""Replicas whose ends are looked at for the curvature there."""
_LARGEST_BLOCK = 65_536
_LARGEST_PATH = 2**26
"""Bytes of a block's path, where a smaller block can keep to it."""
_BLOCKS_PER_WORKER = 4


@dataclass(frozen=True)
class Schedule:
    """The hyperparameters that change from step to step: sent between processes as formulas, worked out where needed.

    Parameters
    ----------
    hyperparameters : tuple of Hyperparameter
    steps : int
    """

    hyperparameters: tuple[Hyperparameter, ...]
    steps: int

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """Their values at every step, shape (number of hyperparameters, steps + 1)."""
        if not self.hyperparameters:
            return np.zeros((0, self.steps + 1))
        from sgdtheory.simulation.arguments import schedule_of  # a worker without schedules needs no sympy

        return np.array([schedule_of(h, self.steps) for h in self.hyperparameters])

    def __getstate__(self) -> dict[str, Any]:
        return {"hyperparameters": self.hyperparameters, "steps": self.steps}


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
    schedule : Schedule
    scheduled : int array
        Which parameters it sets.
    width, events : int
        Recorded quantities; conditions whose first step is kept.
    reduction : Reduction, optional
        Keep summaries instead of paths.
    shortcut : bool
        Whether sums over a batch are drawn instead of its examples.
    device : {"cpu", "gpu"}
        What the source is for.
    """

    source: str
    key: NDArray[np.int64]
    parameters: NDArray[np.float64]
    start: NDArray[np.float64]
    points: NDArray[np.float64]
    data: NDArray[np.float64]
    batch_size: int
    record: NDArray[np.int64]
    schedule: Schedule
    scheduled: NDArray[np.int64]
    width: int
    events: int
    reduction: Reduction | None = None
    shortcut: bool = False
    device: str = "cpu"

    @property
    def bytes_a_replica(self) -> int:
        """Memory of a replica: its path, start, outcomes, and perhaps an order of the samples."""
        path, start = len(self.record) * self.width, int(self.points.shape[1])
        return 8 * (path + start + 1 + self.events + len(self.data))


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
    kernel = (gpu.build if job.device == "gpu" else build)(job.source).run
    with np.errstate(all="ignore"):  # overflow is an outcome here, recorded in `failed`
        kernel(
            # copies, because compiled signatures want writable arrays
            np.array(job.key), first, np.array(job.parameters), np.array(job.start), np.array(job.points),
            np.array(job.data), job.batch_size, np.array(job.record), np.array(job.schedule.values),
            np.array(job.scheduled), path, failed, passed,
        )  # fmt: skip
        ends = path[: max(0, SAMPLE - first), [0, -1]]
        return Outcome(path if job.reduction is None else summarise(path, job.reduction), failed, passed, ends)


def cut(index: int, job: Job, replicas: int, jobs: int, block_size: int | None, workers: int) -> Iterator[Block]:
    """Cut an ensemble into blocks; summaries are made of whole groups, so that they do not depend on the cutting."""
    share = -(-replicas * jobs // (workers * _BLOCKS_PER_WORKER))
    fit = _LARGEST_PATH // (8 * len(job.record) * job.width)
    size = block_size or max(1, min(_LARGEST_BLOCK, share, fit))
    if job.reduction is not None:
        size = -(-size // GROUP) * GROUP
    for first in range(0, replicas, size):
        yield Block(index, first, min(size, replicas - first))


def part(job: Job, block: Block) -> Job:
    """Return what a block needs of its job: of given starting points, its own replicas' alone."""
    return replace(job, points=job.points[block.first : block.first + block.count])
