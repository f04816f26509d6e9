"""The loss protocol: value, gradient and Hessian of a population loss as functions of arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.laws import Dataset
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.problem import Problem

Array = NDArray[np.float64]
_LARGEST_BLOCK = 1 << 18  # points × samples evaluated together


@dataclass(frozen=True)
class NumericLoss:
    """A loss as functions of arrays, vectorised over leading axes.

    Parameters
    ----------
    dimension : int
        Number of coordinates d.
    value : callable
        w, shape (..., d) → L, shape (...).
    gradient : callable
        w, shape (..., d) → ∇L, shape (..., d).
    hessian : callable
        w, shape (..., d) → ∇²L, shape (..., d, d); at a kink, where it is infinite, the regular part.
    """

    dimension: int
    value: Callable[[ArrayLike], Array]
    gradient: Callable[[ArrayLike], Array]
    hessian: Callable[[ArrayLike], Array]

    def sharpness(self, w: ArrayLike) -> Array:
        """Return the largest Hessian eigenvalue λmax(w), shape (...); NaN where the Hessian is not finite."""
        h = self.hessian(w)
        finite = np.asarray(np.isfinite(h).all(axis=(-2, -1)))
        largest = np.linalg.eigvalsh(np.where(finite[..., np.newaxis, np.newaxis], h, 0.0))[..., -1]
        return np.asarray(np.where(finite, largest, np.nan), dtype=np.float64)


def numeric_loss(problem: Problem) -> NumericLoss:
    """Compile the population loss of a problem for arrays.

    Parameters
    ----------
    problem : Problem
        Every parameter bound. The population loss is in closed form, or the mean over the samples of a data set.

    Returns
    -------
    NumericLoss

    Raises
    ------
    ArgumentError
        If a parameter has no value.
    NoClosedFormError
        If the population loss of fresh data has no closed form.

    Examples
    --------
    >>> from sgdtheory import landscape
    >>> loss = numeric_loss(landscape("w1**2 + w2**4", ["w1", "w2"]))
    >>> loss.gradient([[1.0, 2.0]])
    array([[ 2., 32.]])
    """
    if problem.free_parameters:
        names = ", ".join(s.name for s in problem.free_parameters)
        known = ", ".join(s.name for s in problem.coordinates)
        fix = f"problem.bind(name=value); if a name is misspelt: coordinates are {known}"
        raise ArgumentError("problem", f"parameters without value: {names}", "numbers", fix)
    w, data = problem.coordinates, problem.data
    # a mean over samples that moments do not give is taken on arrays: as an expression it would be n terms long
    samples = data if isinstance(data, Dataset) and not problem.example_loss.is_polynomial(*data.symbols) else None
    loss = (problem.example_loss if samples else problem.loss).xreplace(dict(problem.parameters))
    return NumericLoss(
        len(w),
        vectorised(lambda: [loss], w, (), samples),
        vectorised(lambda: [sp.diff(loss, x) for x in w], w, (len(w),), samples),
        vectorised(
            lambda: [h.replace(sp.DiracDelta, _nothing) for h in sp.hessian(loss, w)], w, (len(w), len(w)), samples
        ),
    )


def _nothing(*_: sp.Expr) -> sp.Expr:
    return sp.S.Zero


def vectorised(
    expressions: Callable[[], Sequence[sp.Expr]],
    coordinates: Sequence[sp.Symbol],
    shape: tuple[int, ...],
    samples: Dataset | None = None,
) -> Callable[[ArrayLike], Array]:
    """Make a function of points of expressions in the coordinates, worked out when first needed.

    If there are samples, the expressions are in their columns too, over which they are averaged.
    """
    symbols = (*coordinates, *(samples.symbols if samples else ()))

    @cache
    def compiled() -> Callable[..., list[Any]]:
        return on_arrays(symbols, expressions())

    def evaluate(w: ArrayLike) -> Array:
        points = np.asarray(w, dtype=np.float64)
        if points.shape[-1:] != (len(coordinates),):
            raise ArgumentError(
                "w", f"shape {points.shape}", f"shape (..., {len(coordinates)})", "last axis: coordinates"
            )
        columns, function = np.moveaxis(points, -1, 0), compiled()
        stacked = (
            _stack(function(*columns), points.shape[:-1]) if samples is None else _average(function, columns, samples)
        )
        return stacked.reshape(points.shape[:-1] + shape)

    return evaluate


def _stack(rows: Sequence[ArrayLike], shape: tuple[int, ...]) -> Array:
    return np.stack([np.broadcast_to(row, shape) for row in rows], axis=-1).astype(np.float64)


def _average(function: Callable[..., Sequence[ArrayLike]], columns: Array, samples: Dataset) -> Array:
    """Average over the samples, a block of them at a time."""
    shape = columns.shape[1:]
    block = max(1, _LARGEST_BLOCK // max(1, math.prod(shape)))
    parts = (samples.values[first : first + block] for first in range(0, samples.size, block))
    sums = (_stack(function(*columns[..., np.newaxis], *part.T), (*shape, len(part))).sum(axis=-2) for part in parts)
    return np.asarray(sum(sums) / samples.size)
