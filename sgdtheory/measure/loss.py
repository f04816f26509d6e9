"""Losses as functions of arrays: of a problem, compiled from its expressions, or of functions of the user's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.laws import Dataset
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.measure.derivatives import hvp as two_gradients
from sgdtheory.measure.protocol import Array, Layout, scalars
from sgdtheory.problem import Problem, check_problem

Derive: TypeAlias = Callable[[sp.Expr], Sequence[sp.Expr]]
Evaluate: TypeAlias = Callable[..., Array]
_LARGEST_BLOCK = 1 << 18  # points × samples evaluated together


@dataclass(frozen=True)
class NumericLoss:
    """A loss as functions of arrays, vectorised over leading axes: the protocol `Loss`, and the Hessian besides.

    Parameters
    ----------
    layout : Layout
        Names of the d parameters.
    examples : int
        Number of examples n the loss is the mean of; 0 where it is none.
    value : callable
        w, shape (..., d) → L, shape (...); here and below a second argument, the batch, restricts the mean to some
        examples, integers of shape (..., B).
    gradient : callable
        w, shape (..., d) → ∇L, shape (..., d).
    hvp : callable
        w and v, shape (..., d) → ∇²L·v, shape (..., d).
    hessian : callable
        w, shape (..., d) → ∇²L, shape (..., d, d); at a kink, where it is infinite, the regular part.
    """

    layout: Layout
    examples: int
    value: Callable[..., Array]
    gradient: Callable[..., Array]
    hvp: Callable[..., Array]
    hessian: Callable[..., Array]

    @property
    def dimension(self) -> int:
        """Number of parameters d."""
        return self.layout.dimension

    def sharpness(self, w: ArrayLike) -> Array:
        """Return the largest Hessian eigenvalue λmax(w), shape (...); NaN where the Hessian is not finite."""
        h = self.hessian(w)
        finite = np.asarray(np.isfinite(h).all(axis=(-2, -1)))
        largest = np.linalg.eigvalsh(np.where(finite[..., np.newaxis, np.newaxis], h, 0.0))[..., -1]
        return np.asarray(np.where(finite, largest, np.nan), dtype=np.float64)


def numeric_loss(problem: Problem) -> NumericLoss:
    """Compile the population loss of a problem for arrays; on a data set, the loss of any batch of it too.

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
    >>> line = Problem("(y - w*x)**2/2", ["w"], Dataset(x=[1.0, 2.0], y=[1.0, 1.0]))
    >>> numeric_loss(line).gradient([0.0], batch=[[0], [1]])  # of either example
    array([[-1.],
           [-2.]])
    """
    check_problem(problem)
    if problem.free_parameters:
        names = ", ".join(s.name for s in problem.free_parameters)
        known = ", ".join(s.name for s in problem.coordinates)
        fix = f"problem.bind(name=value); if a name is misspelt: coordinates are {known}"
        raise ArgumentError("problem", f"parameters without value: {names}", "numbers", fix)
    w, data, bound = problem.coordinates, problem.data, dict(problem.parameters)
    samples = data if isinstance(data, Dataset) and not any(problem.perturbation) else None
    # a mean over samples that moments do not give is taken on arrays: as an expression it would be n terms long
    summed = isinstance(data, Dataset) and not problem.example_loss.is_polynomial(*data.symbols)
    example = problem.example_loss.xreplace(bound)
    loss = example if summed else problem.loss.xreplace(bound)
    along = tuple(sp.Dummy(f"v_{x.name}", real=True) for x in w)

    def function(derive: Derive, inputs: tuple[sp.Symbol, ...], *shape: int) -> Evaluate:
        batches = averaged(lambda: derive(example), inputs, shape, data) if isinstance(data, Dataset) else None
        whole: Evaluate = batches if batches and summed else vectorised(lambda: derive(loss), inputs, shape)
        return _whole_or_batch(whole, batches if samples else None)

    d = len(w)
    directional = function(lambda e: list(_hessian(e, w) * sp.Matrix(along)), (*w, *along), d)
    return NumericLoss(
        scalars([x.name for x in w]),
        samples.size if samples else 0,
        function(lambda e: [e], w),
        function(lambda e: [sp.diff(e, x) for x in w], w, d),
        lambda w, v, batch=None: directional(_joined(w, v, d), batch),
        function(lambda e: list(_hessian(e, w)), w, d, d),
    )


def custom_loss(
    value: Callable[[Array], ArrayLike],
    gradient: Callable[[Array], ArrayLike],
    layout: Layout | int,
    hvp: Callable[[Array, Array], ArrayLike] | None = None,
) -> NumericLoss:
    """Make a loss of functions of your own, for everything that measures one.

    Parameters
    ----------
    value : callable
        w, shape (..., d) → L, shape (...).
    gradient : callable
        w, shape (..., d) → ∇L, shape (..., d).
    layout : Layout or int
        Names and shapes of the parameters, or only their number d.
    hvp : callable, optional
        w and v, shape (..., d) → ∇²L·v; by default two gradients, see `sgdtheory.hvp`.

    Returns
    -------
    NumericLoss
        Without examples: of one loss, not of its batches.

    Examples
    --------
    >>> bowl = custom_loss(lambda w: (w**2).sum(axis=-1), lambda w: 2 * w, 2)
    >>> bowl.hvp([1.0, 1.0], [0.0, 1.0]).round(6)
    array([0., 2.])
    """
    parts = scalars([f"w{i + 1}" for i in range(layout)]) if isinstance(layout, int) else layout
    d = parts.dimension
    product = hvp or (lambda w, v: two_gradients(lambda u: np.asarray(gradient(u)), w, v))

    def one(function: Callable[[Array], ArrayLike], *tail: int) -> Evaluate:
        def evaluate(w: ArrayLike) -> Array:
            points = checked_points(w, d)
            return _of_shape(function(points), (*points.shape[:-1], *tail))

        return _whole_or_batch(evaluate, None)

    def two(w: ArrayLike, v: ArrayLike, batch: ArrayLike | None = None) -> Array:
        pair = _joined(w, v, d)
        return one(lambda _: product(pair[..., :d], pair[..., d:]), d)(pair[..., :d], batch)

    def hessian(w: ArrayLike, batch: ArrayLike | None = None) -> Array:
        return two(checked_points(w, d)[..., np.newaxis, :], np.eye(d), batch)

    return NumericLoss(parts, 0, one(value), one(gradient, d), two, hessian)


def _hessian(loss: sp.Expr, w: Sequence[sp.Symbol]) -> sp.Matrix:
    return sp.Matrix(sp.hessian(loss, w)).applyfunc(lambda h: h.replace(sp.DiracDelta, _nothing))


def _nothing(*_: sp.Expr) -> sp.Expr:
    return sp.S.Zero


def _whole_or_batch(whole: Evaluate, batches: Evaluate | None) -> Evaluate:
    """Return a function of points and perhaps of a batch; without examples, a batch is refused."""

    def evaluate(w: ArrayLike, batch: ArrayLike | None = None) -> Array:
        if batch is None:
            return whole(w)
        if batches is None:
            fix = "give the problem its examples as data=Dataset(...)"
            raise ArgumentError("batch", batch, "None: the loss is no mean over a data set", fix)
        return batches(w, batch)

    return evaluate


def _joined(w: ArrayLike, v: ArrayLike, dimension: int) -> Array:
    """Return points and directions side by side, shape (..., 2d)."""
    pair = checked_points(w, dimension), checked_points(v, dimension, "v")
    return np.concatenate(np.broadcast_arrays(*pair), axis=-1)


def checked_points(w: ArrayLike, dimension: int, argument: str = "w") -> Array:
    """Return points as an array of shape (..., d)."""
    points = np.asarray(w, dtype=np.float64)
    if points.shape[-1:] != (dimension,):
        raise ArgumentError(argument, f"shape {points.shape}", f"shape (..., {dimension})", "last axis: coordinates")
    return points


def checked_batch(batch: ArrayLike, examples: int, argument: str = "batch") -> NDArray[np.int64]:
    """Return numbers of examples as an array of shape (..., B)."""
    numbers = np.asarray(batch)
    if numbers.dtype.kind not in "iu" or numbers.ndim < 1 or not numbers.shape[-1]:
        raise ArgumentError(argument, batch, "whole numbers, shape (..., B) with B >= 1", "one example i is [i]")
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < examples):
        raise ArgumentError(argument, f"numbers {numbers.min()} to {numbers.max()}", f"numbers 0 to {examples - 1}")
    return numbers.astype(np.int64)


def _of_shape(result: ArrayLike, shape: tuple[int, ...]) -> Array:
    values = np.asarray(result, dtype=np.float64)
    if values.shape != shape:
        raise ArgumentError("loss", f"values of shape {values.shape}", f"shape {shape}", "keep the leading axes")
    return values


def vectorised(
    expressions: Callable[[], Sequence[sp.Expr]], coordinates: Sequence[sp.Symbol], shape: tuple[int, ...]
) -> Callable[[ArrayLike], Array]:
    """Make a function of points of expressions in the coordinates, worked out when first needed."""
    compiled = cache(lambda: on_arrays(coordinates, expressions()))

    def evaluate(w: ArrayLike) -> Array:
        points = checked_points(w, len(coordinates))
        rows = compiled()(*np.moveaxis(points, -1, 0))
        return _stack(rows, points.shape[:-1]).reshape(points.shape[:-1] + shape)

    return evaluate


def averaged(
    expressions: Callable[[], Sequence[sp.Expr]],
    coordinates: Sequence[sp.Symbol],
    shape: tuple[int, ...],
    samples: Dataset,
) -> Evaluate:
    """Make a function of points of the mean over a batch of the samples, or over all, in the columns of which it is."""
    compiled = cache(lambda: on_arrays((*coordinates, *samples.symbols), expressions()))

    def evaluate(w: ArrayLike, batch: ArrayLike | None = None) -> Array:
        points = checked_points(w, len(coordinates))
        if batch is None:
            return _average(compiled(), np.moveaxis(points, -1, 0), samples).reshape(points.shape[:-1] + shape)
        rows = samples.values[checked_batch(batch, samples.size)]
        lead = np.broadcast_shapes(points.shape[:-1], rows.shape[:-2])
        columns = (*np.moveaxis(points[..., np.newaxis, :], -1, 0), *np.moveaxis(rows, -1, 0))
        values = _stack(compiled()(*columns), (*lead, rows.shape[-2]))
        return np.asarray(values.mean(axis=-2).reshape(lead + shape))

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
