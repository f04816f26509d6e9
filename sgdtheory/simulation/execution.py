"""Run an ensemble block by block, through any executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from sgdtheory.execution import Work, run_tasks, width
from sgdtheory.simulation.blocks import Block, Job, Outcome, cut, part, run_block


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
    """Run all replicas of all jobs, block by block, and hand each block to `collect`; return whether all were run."""

    def arguments(block: Block) -> tuple[Job, int, int]:
        return part(jobs[block.job], block), block.first, block.count

    workers = width(threads, executor)
    blocks = [b for i, job in enumerate(jobs) for b in cut(i, job, replicas, len(jobs), block_size, workers)]
    work = Work(run_block, arguments, collect)
    return run_tasks(work, blocks, threads=threads, executor=executor, progress=progress)
