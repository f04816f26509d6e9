"""What every result carries: seed, versions, hyperparameters, conventions, and how near to instability it ran."""

from __future__ import annotations

import platform
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

import sgdtheory
from sgdtheory.derive.stability import stability_limit
from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.kernels.build import digest
from sgdtheory.measure.loss import numeric_loss
from sgdtheory.optimizers import Optimizer
from sgdtheory.problem import Problem

RandomState = int | np.random.Generator | np.random.SeedSequence | None
_LARGEST_HESSIAN = 8  # a symbolic Hessian in more dimensions costs more than the run
_SHARPNESS_SAMPLE = 1024


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


def describe(
    problem: Problem, optimizer: Optimizer, seed: np.random.SeedSequence, source: str, **settings: int
) -> dict[str, Any]:
    """Return the attributes of a run that are known before it starts."""
    values = {h.keyword: float(h.value) for h in optimizer.hyperparameters}
    return {
        "problem": problem.name,
        "example_loss": str(problem.example_loss),
        "loss_convention": problem.convention,
        "parameters": ", ".join(f"{s}={v}" for s, v in problem.parameters) or "none",
        "data": repr(problem.data),
        "sampling": problem.data.sampling,
        "optimizer": optimizer.name,
        **values,
        **settings,
        "rng_entropy": str(seed.entropy),
        "rng_spawn_key": str(tuple(seed.spawn_key)),
        "kernel": digest(source),
        "versions": versions(),
    }


def versions() -> str:
    """Return the versions a result depends on."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "sympy", "numba"))
    return f"sgdtheory {sgdtheory.__version__}, Python {platform.python_version()}, {packages}"


def stability(
    problem: Problem, optimizer: Optimizer, start: NDArray[np.float64], end: NDArray[np.float64]
) -> dict[str, Any]:
    """Return lr·λmax at the starts and the ends, and the limit below which a quadratic is stable.

    λmax is the largest Hessian eigenvalue of the population loss (median and largest over at most 1024 finite
    replicas); where it has no closed form, the reason stands instead.
    """
    limit: dict[str, Any] = {"stability_limit": float(_limit(_with_symbolic_rate(optimizer)))}
    if problem.dimension > _LARGEST_HESSIAN:
        return {**limit, "lr_sharpness": f"not computed: {problem.dimension} coordinates (limit {_LARGEST_HESSIAN})"}
    try:
        loss = _loss(problem)
    except NoClosedFormError:
        return {**limit, "lr_sharpness": "not computed: the population loss has no closed form"}
    lr = float(next(h.value for h in optimizer.hyperparameters if h.keyword == "lr"))
    for where, points in {"start": start, "end": end}.items():
        finite = points[np.isfinite(points).all(axis=1)][:_SHARPNESS_SAMPLE]
        with np.errstate(all="ignore"):  # a curvature that overflows is left out, like the replicas that did
            values = lr * loss.sharpness(finite)
        values = values[np.isfinite(values)] if np.isfinite(values).any() else np.array([np.nan])
        limit |= {f"lr_sharpness_{where}_median": float(np.median(values))}
        limit |= {f"lr_sharpness_{where}_max": float(np.max(values))}
    return limit


# a figure simulates the same problem and rule many times, and each costs a tenth of a second to compile or to solve
_loss = lru_cache(maxsize=64)(numeric_loss)
_limit = lru_cache(maxsize=64)(stability_limit)


def _with_symbolic_rate(optimizer: Optimizer) -> Optimizer:
    """Return the rule with its learning rate as a symbol: the limit does not depend on its value."""
    hyper = tuple(replace(h, value=h.symbol) if h.keyword == "lr" else h for h in optimizer.hyperparameters)
    return replace(optimizer, hyperparameters=hyper)


def hyperparameter_values(optimizer: Optimizer) -> dict[sp.Symbol, float]:
    """Return every hyperparameter as a number.

    Raises
    ------
    ArgumentError
        If one is still a symbol.
    """
    for h in optimizer.hyperparameters:
        if not h.value.is_number:
            raise ArgumentError(h.keyword, str(h.value), "a number", f"write {optimizer.name}({h.keyword}=...)")
    return {h.symbol: float(h.value) for h in optimizer.hyperparameters}
