"""sgdtheory itself, on the work of `task` and on its own variants: optimizers, recording, threads, sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

import sgdtheory as sgd
from benchmark_peers import task
from benchmark_peers.task import Array, Competitor, Moments, Size, precision
from sgdtheory.optimizers import Adam, Langevin, Optimizer, RMSProp

NAME = "sgdtheory"
NOISES = ("float64", "float32")
DESCENT = sgd.single_feature("w1*w2**2", ["w1", "w2"])
WELL = sgd.landscape("(w**2 - 1)**2/4", ["w"])
LANGEVIN: dict[str, Any] = {
    "problem": WELL, "optimizer": Langevin(lr=task.WELL_LR, temperature=task.WELL_TEMPERATURE),
    "init": task.WELL_START, "batch_size": 1,
}  # fmt: skip
SCALED = 2**25
"""Replica-steps of each run that shows how time grows."""


def examples(size: Size) -> list[Competitor]:
    """Draw every example; and what a user gets without asking for anything."""
    return [*(descent(NAME, size, noise=noise) for noise in NOISES), descent(f"{NAME}, default", size, shortcut=None)]


def sums(size: Size) -> list[Competitor]:
    """Draw the sums a batch's gradient depends on."""
    return [descent(NAME, size, noise=noise, shortcut=True) for noise in NOISES]


def langevin(size: Size) -> list[Competitor]:
    """Take Langevin steps in the double well."""
    return [descent(NAME, size, noise=noise, **LANGEVIN) for noise in NOISES]


def on_a_card(work: str, size: Size) -> list[Competitor]:
    """Do a work that has peers on the graphics card, with enough replicas to fill it."""
    given: dict[str, dict[str, Any]] = {
        "examples": {}, "sums": {"shortcut": True}, "langevin": LANGEVIN
    }  # fmt: skip
    many = 2**22 if size.enough else size.replicas
    return [descent(f"{NAME}, gpu", size, noise=n, replicas=many, device="gpu", **given[work]) for n in NOISES]


def optimizers(size: Size) -> list[Competitor]:
    """Change the optimizer alone."""
    rules: dict[str, Optimizer] = {
        "SGD": sgd.SGD(lr=task.LR),
        "momentum": sgd.Momentum(lr=task.LR, momentum=0.9),
        "Nesterov": sgd.Nesterov(lr=task.LR, momentum=0.9),
        "RMSProp": RMSProp(lr=task.LR, decay=0.99),
        "Adam": Adam(lr=task.LR, beta1=0.9, beta2=0.999),
    }
    return [descent(f"{NAME}, {name}", size, optimizer=rule) for name, rule in rules.items()]


def recording(size: Size) -> list[Competitor]:
    """Record nothing but the ends, or every tenth step."""
    histogram = {"w1": np.linspace(0, 2, 101)}
    kinds: dict[str, dict[str, Any]] = {
        "ends": {},
        "moments and histogram every 10 steps": {"record": 10, "keep": "moments", "histogram": histogram},
        "paths every 10 steps": {"record": 10},
    }
    return [descent(f"{NAME}, {name}", size, **kind) for name, kind in kinds.items()]


def threads(size: Size) -> list[Competitor]:
    """Use one thread or two."""
    return [descent(NAME, size, threads=n) for n in (1, 2)]


def scaling(size: Size) -> list[Competitor]:
    """Change the number of replicas, steps or examples, the work staying about the same."""
    total = SCALED if size.enough else 2**16
    full = bool(size.enough)
    replicas = (1_000, 10_000, 100_000, 1_000_000) if full else (64, 1024)
    steps = (100, 1_000, 10_000) if full else (8,)
    batches = (1, 4, 64, 256) if full else (4,)
    drawn = [(total // size.steps, size.steps, size.batch)]
    drawn += [(r, total // r, size.batch) for r in replicas] + [(total // t, t, size.batch) for t in steps]
    drawn += [(total * size.batch // (b * size.steps), size.steps, b) for b in batches]
    summed = [(4 * total // size.steps, size.steps, b) for b in (4, 16, 256) if full]
    return [_scaled(*sizes, shortcut=False) for sizes in drawn] + [_scaled(*sizes, shortcut=True) for sizes in summed]


def _scaled(replicas: int, steps: int, batch: int, shortcut: bool) -> Competitor:
    size = replace(task.FULL, steps=steps, batch=batch)
    drawn = "sums" if shortcut else "examples"
    who = f"{NAME}, {drawn}, {replicas:,} replicas × {steps:,} steps, batch {batch}"
    return descent(who, size, replicas=replicas, shortcut=shortcut)


def descent(
    who: str, size: Size, *, noise: str = "float64", threads: int = 1, replicas: int | None = None, **options: Any
) -> Competitor:
    """Return a competitor that calls `simulate`: SGD on the descent, example by example, unless told otherwise."""
    arguments = {
        "problem": DESCENT, "optimizer": sgd.SGD(lr=task.LR), "init": task.START, "batch_size": size.batch,
        "record": [size.steps], "shortcut": False, "noise": noise, "threads": threads, "progress": False,
    } | options  # fmt: skip

    def run(seed: int, replicas: int) -> Array | Moments:
        return _ends(sgd.simulate(**arguments, steps=size.steps, replicas=replicas, rng=seed))

    return Competitor(who, precision("float64", noise), run, size.steps, replicas or _replicas(size), threads)


def _replicas(size: Size) -> int | None:
    return None if size.enough else size.replicas


def _ends(run: xr.Dataset) -> Array | Moments:
    if "w" in run:
        return run.w.values[:, -1]
    last = run.isel(step=-1)
    coordinates = [w.name for w in DESCENT.coordinates]
    return Moments(
        int(last.finite.sel(quantity=coordinates).min()),
        last["mean"].sel(quantity=coordinates).values,
        last["variance"].sel(quantity=coordinates).values,
    )
