"""What every result carries: seed, versions, hyperparameters, conventions, and how near to instability it ran."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sgdtheory
from sgdtheory.derive.stability import stability_limit
from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.kernels.build import digest, version_of
from sgdtheory.laws import Dataset
from sgdtheory.measure.loss import NumericLoss, numeric_loss
from sgdtheory.optimizers import Optimizer
from sgdtheory.problem import Problem
from sgdtheory.simulation.arguments import batch_of
from sgdtheory.simulation.blocks import Job
from sgdtheory.simulation.grid import Grid, with_parameters
from sgdtheory.symbols import step as t

RandomState = int | np.random.Generator | np.random.SeedSequence | None
_SHARPNESS_WORK = 1 << 18  # replicas × samples of a data set whose mean no moments give
_LARGEST_HESSIAN = 8  # a symbolic Hessian in more dimensions costs more than the run


def seed_sequence(rng: RandomState) -> np.random.SeedSequence:
    """Turn what a user calls a random state into a seed that can be recorded and repeated (SPEC 7).

    A Generator gives 128 fresh bits and moves on, so that two calls with it differ.
    """
    if isinstance(rng, np.random.SeedSequence):
        return rng
    if isinstance(rng, np.random.Generator):
        words = rng.integers(2**32, size=4, dtype=np.uint64)
        return np.random.SeedSequence(sum(int(word) << (32 * i) for i, word in enumerate(words)))
    if rng is None or (isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0):
        return np.random.SeedSequence(None if rng is None else int(rng))
    raise ArgumentError("rng", rng, "a whole number >= 0, a numpy Generator or SeedSequence, or None")


def key_of(seed: np.random.SeedSequence) -> NDArray[np.int64]:
    """Return the four 32-bit words that key all draws."""
    return seed.generate_state(4, np.uint32).astype(np.int64)


def describe(grid: Grid, seed: np.random.SeedSequence, jobs: Sequence[Job], **settings: int) -> dict[str, Any]:
    """Return the attributes of a run that are known before it starts; what is swept is a coordinate instead."""
    problem, optimizer = grid.problem, with_parameters(grid.optimizer, grid.problem)
    values = {h.keyword: h.value for h in optimizer.hyperparameters if h.keyword and h.keyword not in grid.axes}
    return {
        "problem": problem.name,
        "example_loss": str(problem.example_loss),
        **({"perturbation": ", ".join(map(str, problem.perturbation))} if any(problem.perturbation) else {}),
        "loss_convention": problem.convention,
        "parameters": ", ".join(f"{s}={v}" for s, v in problem.parameters) or "none",
        "data": repr(problem.data),
        "sampling": problem.data.sampling,
        "optimizer": optimizer.name,
        **{name: float(v) if v.is_number else f"{'schedule: ' if v.has(t) else ''}{v}" for name, v in values.items()},
        **({} if "batch_size" in grid.axes else {"batch_size": batch_of(problem, grid.batch_size, 0)}),
        **settings,
        "rng_entropy": str(seed.entropy),
        "rng_spawn_key": str(tuple(seed.spawn_key)),
        "kernel": ", ".join(dict.fromkeys(digest(job.source) for job in jobs)),
        "batches": " and ".join(sorted({"sufficient statistics" if job.shortcut else "examples" for job in jobs})),
        "versions": versions(),
    }


def versions() -> str:
    """Return the versions a result depends on."""
    packages = ", ".join(f"{name} {version_of(name)}" for name in ("numpy", "sympy", "numba"))
    return f"sgdtheory {sgdtheory.__version__}, Python {platform.python_version()}, {packages}"


def stability(
    problem: Problem, optimizer: Optimizer, start: NDArray[np.float64], end: NDArray[np.float64]
) -> dict[str, float]:
    """Return lr·λmax at the starts and the ends, and the limit below which a quadratic is stable.

    λmax is the largest Hessian eigenvalue of the population loss (median and largest over the finite ones of some
    replicas). NaN where there is no closed form (fresh data in which the loss is not polynomial, more than 8
    coordinates, a rule that is not linear in the gradient) or no one lr (a schedule, a rule that sets its own).
    """
    found, rate = {"stability_limit": rate_limit(optimizer)}, constant_rate(optimizer)
    loss = _loss_or_none(problem)
    samples = problem.data.size if isinstance(problem.data, Dataset) else 1
    for where, points in {"start": start, "end": end}.items():
        finite = points[np.isfinite(points).all(axis=1)][: max(1, _SHARPNESS_WORK // samples)]
        values = np.full(1, np.nan)
        if loss is not None and np.isfinite(rate) and len(finite):
            with np.errstate(all="ignore"):  # a curvature that overflows is left out, like the replicas that did
                all_values = rate * loss.sharpness(finite)
            values = all_values[np.isfinite(all_values)] if np.isfinite(all_values).any() else values
        found |= {f"lr_sharpness_{where}_median": float(np.median(values))}
        found |= {f"lr_sharpness_{where}_max": float(np.max(values))}
    return found


def rate_limit(optimizer: Optimizer) -> float:
    """Return the lr·curvature up to which the rule is stable on a quadratic; NaN for one without lr, or not linear."""
    has_rate = any(h.keyword == "lr" for h in optimizer.hyperparameters)
    return _limit(_without_rate(optimizer)) if has_rate else float("nan")


def constant_rate(optimizer: Optimizer) -> float:
    """Return the learning rate; NaN for a schedule, or a rule that sets its own."""
    rates = [float(h.value) for h in optimizer.hyperparameters if h.keyword == "lr" and h.value.is_number]
    return rates[0] if rates else float("nan")


@lru_cache(maxsize=256)
def _limit(optimizer: Optimizer) -> float:
    try:
        return float(stability_limit(optimizer))
    except (NoClosedFormError, ArgumentError):  # the latter for a schedule among the others
        return float("nan")


def _without_rate(optimizer: Optimizer) -> Optimizer:
    """Return the rule with a symbolic learning rate, on whose value the limit does not depend."""
    hyper = tuple(replace(h, value=h.symbol) if h.keyword == "lr" else h for h in optimizer.hyperparameters)
    return replace(optimizer, hyperparameters=hyper)


@lru_cache(maxsize=256)
def _loss_or_none(problem: Problem) -> NumericLoss | None:
    if problem.dimension > _LARGEST_HESSIAN:
        return None
    try:
        loss = numeric_loss(problem)
        loss.hessian(np.zeros((0, problem.dimension)))
        return loss
    except NoClosedFormError:
        return None
