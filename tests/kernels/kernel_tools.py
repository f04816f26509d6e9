"""Run a kernel by hand, on either target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import Dataset, Fresh
from sgdtheory.dynamics import Dynamics
from sgdtheory.kernels.build import build
from sgdtheory.kernels.emit import emit
from sgdtheory.kernels.lower import Recording, Start, start_values

KEY = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
Path = tuple[NDArray[np.float64], NDArray[np.int64]]


def run_kernel(
    dynamics: Dynamics,
    start: Start,
    target: str,
    *,
    replicas: int,
    steps: int,
    batch: int = 1,
    points: NDArray[np.float64] | None = None,
    first: int = 0,
    key: Sequence[int] = KEY,
    record: Sequence[int] | None = None,
    record_memory: bool = True,
) -> Path:
    """The path, shape (replicas, recorded, state), and the first failed step of each replica."""
    run = build(emit(dynamics, start, target, Recording(memory=record_memory))).run
    recorded = np.arange(steps + 1) if record is None else np.array(record)
    width = len(dynamics.state) if record_memory else len(dynamics.coordinates)
    path, failed = np.empty((replicas, len(recorded), width)), np.empty(replicas, dtype=np.int64)
    parameters = np.array([float(value) for _, value in dynamics.parameters])
    numbers = np.array([float(q) for q in start_values(start or ())])
    given = np.zeros((0, len(dynamics.coordinates))) if points is None else points
    data = np.array(dynamics.data.values) if isinstance(dynamics.data, Dataset) else np.zeros((0, 1))
    with np.errstate(all="ignore"):
        run(
            np.array(key, dtype=np.int64), first, parameters, numbers, given, data, batch, recorded,
            np.zeros((0, steps + 1)), np.zeros(0, np.int64), path, failed, np.empty((replicas, 0), np.int64),
        )  # fmt: skip
    return path, failed


def set_to(gradient: Sequence[sp.Expr | float], data: Fresh | Dataset) -> Dynamics:
    """A step that sets the coordinates to the batch mean of these expressions, so that a path shows them."""
    coordinates = tuple(sp.Symbol(f"w{i}", real=True) for i in range(len(gradient)))
    sums = tuple(sp.Symbol(f"g[w{i}]", real=True) for i in range(len(gradient)))
    return Dynamics(coordinates, (), coordinates, tuple(map(sp.sympify, gradient)), data, sums, sums, ())
