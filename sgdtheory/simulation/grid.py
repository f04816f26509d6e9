"""Sweeps: any hyperparameter, the batch size and any parameter of the problem may be several values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeGuard

import numpy as np
import sympy as sp

from sgdtheory.errors import ArgumentError
from sgdtheory.expressions import check_expression
from sgdtheory.laws import Number
from sgdtheory.optimizers import Hyperparameter, Optimizer, check_hyperparameter
from sgdtheory.problem import Problem
from sgdtheory.simulation.arguments import free_names, named
from sgdtheory.symbols import step as t

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
        for numbers in product(*self.axes.values()):
            chosen = dict(zip(self.axes, numbers, strict=True))
            hyper = tuple(
                replace(h, value=sp.sympify(chosen[h.keyword])) if h.keyword in chosen else h
                for h in self.optimizer.hyperparameters
            )
            own = {h.keyword for h in hyper} | {"batch_size"}
            batch = chosen.get("batch_size", self.batch_size)  # whole or not: that is checked with the data
            parameters = {name: value for name, value in chosen.items() if name not in own}
            optimizer = replace(self.optimizer, hyperparameters=hyper)
            values = optimizer.values  # with those that follow from others worked out
            optimizer = replace(optimizer, hyperparameters=tuple(replace(h, value=values[h.symbol]) for h in hyper))
            problem = self.problem.bind(**parameters)
            yield Point(problem, with_parameters(optimizer, problem), batch)  # type: ignore[arg-type]


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
        For an axis that is empty, holds anything but numbers, or has a name that is taken.
    """
    own = {"batch_size", *(h.keyword for h in optimizer.hyperparameters)}
    axes: dict[str, tuple[float, ...]] = {
        h.keyword: tuple(map(float, h.value)) for h in optimizer.hyperparameters if isinstance(h.value, sp.Tuple)
    }
    single = batch_size
    if _several(batch_size):
        axes["batch_size"], single = _axis("batch_size", batch_size), None
    fixed: dict[str, Number] = {}
    for name, value in named("parameters", parameters, "numbers or lists of numbers").items():
        if _several(value):
            free_names("parameters", [name], own)
            axes[name] = _axis(name, value)
        else:
            fixed[name] = value
    return Grid(axes, problem.bind(**fixed), optimizer, single)  # type: ignore[arg-type]


def with_parameters(optimizer: Optimizer, problem: Problem) -> Optimizer:
    """Return the optimizer with the problem's parameters, by name, put into hyperparameters such as 1/h.

    Raises
    ------
    ArgumentError
        If a hyperparameter leaves its domain by it.
    """
    known = {symbol.name: value for symbol, value in problem.parameters}

    def bound(h: Hyperparameter) -> Hyperparameter:
        given = {s: known[s.name] for s in h.value.free_symbols - {t} if s.name in known}
        if not given:
            return h
        value = h.value.xreplace(given)  # one that follows from others has no domain of its own
        return replace(h, value=check_hyperparameter(h.keyword, value) if h.keyword else value)

    return replace(optimizer, hyperparameters=tuple(map(bound, optimizer.hyperparameters)))


def _several(value: object) -> TypeGuard[Several]:
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _axis(name: str, values: Several) -> tuple[float, ...]:
    if len(values) == 0:
        raise ArgumentError(name, values, "a non-empty list of numbers")
    numbers = [check_expression(value, (), name) for value in values]
    return tuple(int(n) if n.is_Integer else float(n) for n in numbers)
