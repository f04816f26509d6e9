"""Run simulate on the plain-Python twins of its kernels: the same numbers, and nothing is compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import xarray as xr

from sgdtheory import simulate
from sgdtheory.kernels.emit import emit
from sgdtheory.simulation import jobs


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Inside, every kernel is emitted for the plain target."""
    jobs._source.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "emit", lambda dynamics, start, _, *rest: emit(dynamics, start, "python", *rest))
        yield
    jobs._source.cache_clear()


def simulate_plainly(*arguments: Any, **settings: Any) -> xr.Dataset:
    with plain_kernels():
        return simulate(*arguments, threads=1, **settings)


def assert_same_numbers(one: xr.Dataset, other: xr.Dataset) -> None:
    """Same variables, dimensions and coordinates, and every number the same bit for bit."""
    assert list(one.variables) == list(other.variables)
    for name in one.variables:
        assert one[name].dims == other[name].dims, name
        assert one[name].dtype == other[name].dtype, name
        assert one[name].values.tobytes() == other[name].values.tobytes(), name
