"""The ensembles of these tests: few kernels, used again and again."""

from __future__ import annotations

from typing import Any

import sympy as sp
import xarray as xr

from sgdtheory import SGD, Optimizer, Uniform, landscape, simulate

w, a = sp.Symbol("w", real=True), sp.Symbol("a", positive=True)
WELL = landscape(a * (w**2 - 1) ** 2 / 4, [w], noise_std=1)
"""Two wells with a wall between them; far out, or at a large learning rate, runs diverge."""


def plain(optimizer: Optimizer = SGD(0.1), **settings: Any) -> xr.Dataset:  # noqa: B008
    """Paths alone."""
    given = {"steps": 12, "replicas": 40, "init": Uniform(-2, 2), "parameters": {"a": 1.0}, "rng": 5} | settings
    return simulate(WELL, optimizer, **given)


def watched(optimizer: Optimizer = SGD(0.1), **settings: Any) -> xr.Dataset:  # noqa: B008
    """With an observable and an event, both with a parameter in them."""
    seen = {"observables": {"loss": a * (w**2 - 1) ** 2 / 4}, "events": {"crossed": w > a / 4}}
    return plain(optimizer, **(seen | settings))
