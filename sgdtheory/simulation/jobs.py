"""Jobs: the numbers of one point of a sweep, in the order its kernel expects them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory.derive.sufficient import BatchMeans, batch_means
from sgdtheory.dynamics import Dynamics
from sgdtheory.errors import ArgumentError
from sgdtheory.kernels.emit import Target, emit
from sgdtheory.kernels.lower import Noise, Recording, Start, start_values
from sgdtheory.laws import Dataset
from sgdtheory.optimizers import Hyperparameter, Optimizer
from sgdtheory.simulation.arguments import batch_of
from sgdtheory.simulation.blocks import Job, Schedule
from sgdtheory.simulation.grid import Point
from sgdtheory.simulation.provenance import key_of
from sgdtheory.simulation.results import Collector
from sgdtheory.symbols import step as t

_MOST_COST = 32
"""Beyond this, compiling a kernel that draws sums takes longer than most runs save."""


def make_job(
    seed: np.random.SeedSequence,
    dynamics: Dynamics,
    point: Point,
    start: Start,
    given_points: NDArray[np.float64],
    collector: Collector,
    steps: int,
    shortcut: bool | None,
    noise: Noise,
    target: Target,
) -> Job:
    """Return the job of one point of a sweep.

    Raises
    ------
    ArgumentError
        If a hyperparameter is still a symbol, a schedule leaves its domain, the batch does not fit the data, or a
        shortcut is asked for that is not known.
    """
    constants = {h.symbol: _constant(h, point.optimizer) for h in point.optimizer.hyperparameters}
    constants |= {s: float(v) for s, v in point.problem.parameters}
    order = [symbol for symbol, _ in dynamics.parameters]
    scheduled = tuple(h for h in point.optimizer.hyperparameters if h.value.has(t))
    schedule = Schedule(scheduled, steps)
    _ = schedule.values  # refused now rather than in a worker
    data = point.problem.data
    batch = batch_of(point.problem, point.batch_size, steps)
    means = _means(dynamics, batch, shortcut)
    return Job(
        source=_source(dynamics, start, target, collector.recording, means, noise),
        key=key_of(seed),
        parameters=np.array([constants[symbol] for symbol in order]),
        start=np.array([float(q) for q in start_values(start)]) if start else np.zeros(0),
        points=given_points,
        data=data.values if isinstance(data, Dataset) else np.zeros((0, 1)),
        batch_size=batch,
        record=collector.watched,
        schedule=schedule,
        scheduled=np.array([order.index(h.symbol) for h in scheduled], dtype=np.int64),
        width=collector.width,
        events=collector.events,
        reduction=collector.reduction,
        shortcut=means is not None,
        device="gpu" if target == "cuda" else "cpu",
    )


@lru_cache(maxsize=64)
def _source(
    dynamics: Dynamics, start: Start, target: Target, recording: Recording, means: BatchMeans | None, noise: Noise
) -> str:
    return emit(dynamics, start, target, recording, means, noise)


def _means(dynamics: Dynamics, batch: int, shortcut: bool | None) -> BatchMeans | None:
    """Return the sufficient statistics to draw, or None to draw examples.

    By default sums are drawn where they cost less than the examples' own random numbers: one for each data symbol of
    each example. The gradients of examples, which sums save too, are not counted.
    """
    if shortcut is False:
        return None
    means = _known_means(dynamics)
    if means is not None and batch >= means.least_batch:
        pays = means.cost < batch * len(dynamics.data.symbols) and means.cost <= _MOST_COST
        return means if shortcut or pays else None
    if shortcut:
        reason = (
            "no law of a batch's sums is known for it"
            if means is None
            else f"it takes a batch of at least {means.least_batch}"
        )
        raise ArgumentError("shortcut", True, f"False or None for this problem at batch size {batch}: {reason}")
    return None


@lru_cache(maxsize=64)
def _known_means(dynamics: Dynamics) -> BatchMeans | None:
    return batch_means(dynamics)


def _constant(h: Hyperparameter, optimizer: Optimizer) -> float:
    """Return a hyperparameter's number; that of a schedule is set at every step."""
    if h.value.is_number:
        return float(h.value)
    if h.value.free_symbols == {t}:
        return float("nan")
    missing = ", ".join(sorted(s.name for s in h.value.free_symbols - {t}))
    given = sp.sstr(h.value)
    raise ArgumentError(h.keyword, given, "a number", f"give {missing} a number: {optimizer.name}({h.keyword}=...)")
