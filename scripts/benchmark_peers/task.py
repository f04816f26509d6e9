"""What everybody computes, and what a competitor is.

Descent: f(w, x) = w₁w₂²x with fresh standard normal (x, y), half squared error, plain SGD on batches of B. With
r = w₁w₂² the batch gradient is (r·mean x² − mean xy)·(w₂², 2w₁w₂), so it needs two sums: Σx² ~ χ²(B), and
Σxy ~ N(0, Σx²) given Σx².
Langevin: Euler steps on the double well ¼(w² − 1)², w' = w − η(w³ − w) + √(2ηT)·ζ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LR = 0.02
START = (1.0, 1.0)
WELL_LR = 1 / 128  # a power of two: solvers that step through time meet the end exactly
WELL_TEMPERATURE = 0.1
WELL_START = 0.5

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """How much work: the steps of a run, the examples of a batch, the replicas of a peer, the rounds of timing."""

    steps: int
    batch: int
    replicas: int
    rounds: int
    enough: float  # ours runs so many replicas that its fixed costs are one part in so many


FULL = Size(steps=256, batch=16, replicas=8192, rounds=7, enough=50)
QUICK = Size(steps=32, batch=16, replicas=2048, rounds=2, enough=0)


@dataclass(frozen=True)
class Moments:
    """Number, mean and variance of the ends, a number a coordinate."""

    count: int
    mean: Array
    variance: Array


@dataclass(frozen=True)
class Competitor:
    """Somebody who does the work.

    Parameters
    ----------
    who : str
    dtype : str
        Precision of state and noise.
    run : callable
        (seed, replicas) → the ends, shape (replicas, coordinates), or their moments.
    steps : int
    replicas : int, optional
        None: as many as drown the fixed costs.
    threads : int
    """

    who: str
    dtype: str
    run: Callable[[int, int], Array | Moments]
    steps: int
    replicas: int | None = None
    threads: int = 1


def precision(state: str, noise: str | None = None) -> str:
    """Name the precision of state and noise."""
    return f"{state} state, {noise or state} noise"
