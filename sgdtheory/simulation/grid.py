"""Sweeps: any hyperparameter, the batch size and any parameter of the problem may be several values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import sympy as sp

from sgdtheory.errors import ArgumentError
from sgdtheory.laws import Number
from sgdtheory.optimizers import Optimizer
from sgdtheory.problem import Problem

Several = list[Number] | tuple[Number, ...] | np.ndarray


@dataclass(frozen=True)
class Point:
    """One point of a sweep."""

    problem: Problem
    optimizer: Optimizer
    batch_size: int | None


@dataclass(frozen=True)
class Grid:
    """The axes of a sweep, by name in the order of the dimensions, and what they are axes of.

    Parameters
    ----------
    axes : mapping of str to tuple of numbers
        Empty if nothing is swept.
    problem, optimizer, batch_size
        As given; swept entries are replaced point by point.
    """

    axes: Mapping[str, tuple[float, ...]]
    problem: Problem
    optimizer: Optimizer
    batch_size: int | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values along each axis."""
        return tuple(len(values) for values in self.axes.values())

    def points(self) -> Iterator[Point]:
        """Yield every point, the last axis fastest."""
        for values in product(*self.axes.values()):
            chosen = dict(zip(self.axes, values, strict=True))
            hyper = tuple(
                replace(h, value=sp.sympify(chosen[h.keyword])) if h.keyword in chosen else h
                for h in self.optimizer.hyperparameters
            )
            own = {h.keyword for h in hyper} | {"batch_size"}
            batch = int(chosen["batch_size"]) if "batch_size" in chosen else self.batch_size
            parameters = {name: value for name, value in chosen.items() if name not in own}
            optimizer = replace(self.optimizer, hyperparameters=hyper)
            values = optimizer.values  # with those that follow from others worked out
            optimizer = replace(optimizer, hyperparameters=tuple(replace(h, value=values[h.symbol]) for h in hyper))
            yield Point(self.problem.bind(**parameters), optimizer, batch)


def make_grid(
    problem: Problem,
    optimizer: Optimizer,
    batch_size: int | Several | None,
    parameters: Mapping[str, Number | Several] | None,
) -> Grid:
    """Separate what is swept from what is not.

    Raises
    ------
    ArgumentError
        For an empty or repeated axis.
    """
    axes: dict[str, tuple[float, ...]] = {
        h.keyword: tuple(map(float, h.value)) for h in optimizer.hyperparameters if isinstance(h.value, sp.Tuple)
    }
    single = batch_size
    if _several(batch_size):
        axes["batch_size"], single = _axis("batch_size", batch_size), None  # type: ignore[arg-type]
    fixed: dict[str, Number] = {}
    for name, value in (parameters or {}).items():
        if _several(value):
            if name in axes:
                raise ArgumentError("parameters", name, "a name that is no hyperparameter", "rename the parameter")
            axes[name] = _axis(name, value)  # type: ignore[arg-type]
        else:
            fixed[name] = value  # type: ignore[assignment]
    return Grid(axes, problem.bind(**fixed), optimizer, single)  # type: ignore[arg-type]


def _several(value: object) -> bool:
    return isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) > 0


def _axis(name: str, values: Several) -> tuple[float, ...]:
    axis = np.asarray(values)
    if axis.ndim != 1 or axis.size == 0 or axis.dtype.kind not in "iuf" or not np.isfinite(axis).all():
        raise ArgumentError(name, values, "a non-empty list of finite numbers")
    return tuple(axis.tolist())
