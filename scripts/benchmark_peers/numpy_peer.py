"""numpy, vectorised over replicas and batch; blocks of replicas keep a step's numbers in the cache."""

from __future__ import annotations

import numpy as np

from benchmark_peers import task
from benchmark_peers.task import Array, Competitor, Size, precision

BLOCK = 1024


def competitors(work: str, size: Size) -> list[Competitor]:
    """Return those who can do the work."""
    steps, batch = size.steps, size.batch

    def blocks(one_block):  # type: ignore[no-untyped-def]
        def run(seed: int, replicas: int) -> Array:
            rng = np.random.default_rng(seed)
            return np.concatenate([one_block(rng, min(BLOCK, replicas - i)) for i in range(0, replicas, BLOCK)])

        return run

    def descent(rng: np.random.Generator, replicas: int, moments, dtype: str) -> Array:  # type: ignore[no-untyped-def]
        w1, w2 = (np.full(replicas, start, dtype) for start in task.START)
        for _ in range(steps):
            xx, xy = moments(rng, replicas, dtype)
            error = (w1 * w2**2 * xx - xy) * dtype(task.LR)
            w1, w2 = w1 - error * w2**2, w2 - error * (2 * w1 * w2)
        return np.stack([w1, w2], axis=1).astype(float)

    def examples(rng: np.random.Generator, replicas: int, dtype: str) -> tuple[Array, Array]:
        x, y = rng.standard_normal((2, batch, replicas), dtype)
        return np.einsum("br,br->r", x, x) / dtype(batch), np.einsum("br,br->r", x, y) / dtype(batch)

    def sums(rng: np.random.Generator, replicas: int, dtype: str) -> tuple[Array, Array]:
        xx = rng.chisquare(batch, replicas)
        return xx / batch, rng.standard_normal(replicas) * np.sqrt(xx) / batch

    def langevin(rng: np.random.Generator, replicas: int) -> Array:
        w = np.full(replicas, task.WELL_START)
        kick = np.sqrt(2 * task.WELL_LR * task.WELL_TEMPERATURE)
        for _ in range(steps):
            w += kick * rng.standard_normal(replicas) - task.WELL_LR * (w * w * w - w)
        return w[:, None]

    def descending(moments, dtype):  # type: ignore[no-untyped-def]
        return blocks(lambda rng, replicas: descent(rng, replicas, moments, dtype))

    double, single = precision("float64"), precision("float32")
    return {
        "examples": [
            Competitor("numpy", double, descending(examples, np.float64), steps, size.replicas),
            Competitor("numpy", single, descending(examples, np.float32), steps, size.replicas),
        ],
        "sums": [Competitor("numpy", double, descending(sums, np.float64), steps, 8 * size.replicas)],
        "langevin": [Competitor("numpy", double, blocks(langevin), steps, 8 * size.replicas)],
    }[work]
