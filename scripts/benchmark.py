"""Measure the simulator against plain numpy doing the same work, side by side in one run.

The work: f(w, x) = w·x with fresh normal (x, y), half squared error, plain SGD. Times are wall-clock, the best of
several rounds, in nanoseconds per replica-step; the ratio is what counts, since both run on the same machine at the
same time.

    python scripts/benchmark.py [--replicas N] [--steps T] [--batch-size B] [--rounds K]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import sgdtheory as sgd
from sgdtheory.simulation.provenance import versions


def library(replicas: int, steps: int, batch: int, threads: int) -> None:
    """Run sgdtheory's simulate, recording the ends only."""
    problem = sgd.single_feature("w", ["w"])
    sgd.simulate(
        problem, sgd.SGD(lr=0.1), batch_size=batch, steps=steps, replicas=replicas, init=1.0, record=steps, rng=0,
        threads=threads,
    )  # fmt: skip


def numpy_vectorised(replicas: int, steps: int, batch: int) -> None:
    """Do the same with numpy, vectorised over replicas and batch."""
    rng = np.random.default_rng(0)
    w = np.ones(replicas)
    for _ in range(steps):
        x, y = rng.standard_normal((2, batch, replicas))
        w -= 0.1 * np.mean((w * x - y) * x, axis=0)


def best(work: Callable[[], None], rounds: int) -> float:
    """Return the shortest of several times, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=16_384)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    size = (options.replicas, options.steps, options.batch_size)
    library(*size, threads=1)  # compile, or load from the cache
    rows = {
        "sgdtheory, 1 thread": lambda: library(*size, threads=1),
        "sgdtheory, 2 threads": lambda: library(*size, threads=2),
        "numpy, vectorised over replicas": lambda: numpy_vectorised(*size),
    }
    times = {name: best(work, options.rounds) for name, work in rows.items()}
    base = times["sgdtheory, 1 thread"]
    print(f"{versions()}; {size[0]} replicas × {size[1]} steps, batch {size[2]}, float64 state and noise")
    for name, seconds in times.items():
        per_step = seconds / (options.replicas * options.steps) * 1e9
        print(f"{name:34s} {per_step:8.1f} ns a replica-step   × {seconds / base:5.2f}")


if __name__ == "__main__":
    main()
