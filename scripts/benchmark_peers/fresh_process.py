"""Time the first calls of a process: `python fresh_process.py PROBLEM` prints seconds as JSON.

PROBLEM is a number of parameters n (the product w₁…wₙ as model), or ``dense`` for a linear regression on 50 inputs.
The folder of compiled kernels is that of the environment, so the caller decides whether it is warm.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

DENSE = 50


def first_calls(problem: str, cache: str, limit: float) -> dict[str, float] | None:
    """Run this file in a process of its own; None if it takes longer than the limit in seconds."""
    try:
        done = subprocess.run(
            [sys.executable, __file__, problem],
            env={**os.environ, "SGDTHEORY_CACHE_DIR": cache},
            timeout=limit,
            check=True,
            capture_output=True,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return None
    return json.loads(done.stdout)


def main(name: str) -> None:
    """Time the imports, the first call and the second."""
    times = [time.perf_counter()]
    import numba.extending  # noqa: F401
    import numpy as np  # noqa: F401
    import sympy as sp
    import xarray as xr

    import sgdtheory as sgd
    from sgdtheory.simulation.ensemble import simulate

    xr.Dataset({"first": ("one", [0.0])})  # with its first one, xarray imports what array libraries are there
    times.append(time.perf_counter())
    if name == "dense":
        w, x = sp.symbols(f"w1:{DENSE + 1}", real=True), sp.symbols(f"x1:{DENSE + 1}", real=True)
        y = sp.Symbol("y", real=True)
        model = sum(a * b for a, b in zip(w, x, strict=True))
        laws = {s.name: sgd.Normal() for s in (*x, y)}
        problem = sgd.Problem((model - y) ** 2 / 2, w, sgd.Fresh(**laws))
    else:
        w = sp.symbols(f"w1:{int(name) + 1}", real=True)
        problem = sgd.single_feature(sp.Mul(*w), w)
    times.append(time.perf_counter())
    for seed in (0, 1):
        simulate(
            problem, sgd.SGD(lr=0.01), steps=10, replicas=256, init=0.5, batch_size=4, record=[10], rng=seed,
            threads=1, progress=False, shortcut=False,
        )  # fmt: skip
        times.append(time.perf_counter())
    labels = ("imports", "problem", "first call", "second call")
    print(json.dumps({label: b - a for label, a, b in zip(labels, times, times[1:], strict=False)}))


if __name__ == "__main__":
    main(sys.argv[1])
