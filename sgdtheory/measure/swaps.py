"""What swapping two neighbouring steps does: both orders run, and the bracket's effect on predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike

from sgdtheory.errors import ArgumentError
from sgdtheory.expressions import check_expression, parse
from sgdtheory.laws import Dataset
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.measure.brackets import Batch, as_loss, example_batch, lie_bracket
from sgdtheory.measure.derivatives import jvp
from sgdtheory.measure.loss import checked_batch, checked_points
from sgdtheory.measure.protocol import Array, Loss
from sgdtheory.measure.rules import array_rule, values_at
from sgdtheory.optimizers import Optimizer
from sgdtheory.problem import Problem

Predictions: TypeAlias = Callable[[Array], ArrayLike] | sp.Expr | str


@dataclass(frozen=True)
class SwapGap:
    """Where two steps end, i then j minus j then i.

    Parameters
    ----------
    position : ndarray, shape (..., d)
        Gap of the parameters.
    memory : dict of str to ndarray
        Gap of every buffer, by name.
    ends : pair of ndarrays, shape (..., d)
        The parameters after i then j, and after j then i.
    """

    position: Array
    memory: dict[str, Array]
    ends: tuple[Array, Array]


def swap_gap(
    loss: Problem | Loss,
    optimizer: Optimizer,
    i: ArrayLike,
    j: ArrayLike,
    w: ArrayLike,
    *,
    memory: Mapping[str, ArrayLike] | None = None,
    step: int = 1,
) -> SwapGap:
    """Run two steps in both orders, one on i and one on j, and return the differences.

    For SGD the gap of the parameters is lr²[v_i, v_j] up to lr³; rounding hides it where lr²|[v_i, v_j]| is no longer
    large against 10⁻¹⁶|w|. Momentum, RMSProp and Adam differ at first order in lr already.

    Parameters
    ----------
    loss : Problem or Loss
        As for `lie_bracket`.
    optimizer : Optimizer
        Any without noise of its own. A swept hyperparameter, such as ``SGD(lr=[0.1, 0.2])``, is an axis before all
        others.
    i, j : int or int array, shape (..., B)
        As for `lie_bracket`.
    w : array_like, shape (..., d)
        Where both orders start.
    memory : mapping of str to array_like, shape (..., d), optional
        Buffers at the start, by name (``v``, ``s``); 0 where not given.
    step : int
        Number of the first of the two steps, from 1: bias corrections and schedules depend on it.

    Returns
    -------
    SwapGap

    Raises
    ------
    ArgumentError
        As `lie_bracket`; for an optimizer with noise or with a hyperparameter that has no value, a buffer it does not
        have, or a step below 1.

    References
    ----------
    pb1729 (2026), The Training Example Lie Bracket; claims LIE-02, LIE-11 to LIE-14.

    Examples
    --------
    >>> from sgdtheory import SGD, Dataset
    >>> line = Problem("(y - w*x)**2/2", ["w"], Dataset(x=[1, 2], y=[0, 1]))
    >>> swap_gap(line, SGD(lr=[0.1, 0.2]), 0, 1, [0.3]).position.round(12)  # lr² times the bracket, 2
    array([[0.02],
           [0.08]])
    """
    if optimizer.noise is not None:
        raise ArgumentError("optimizer", repr(optimizer), "a rule without noise of its own", "take its mean, SGD")
    numeric, rule = as_loss(loss), array_rule(optimizer)
    batches = example_batch(numeric, "i", i), example_batch(numeric, "j", j)
    points = checked_points(w, numeric.dimension)
    if not isinstance(step, (int, np.integer)) or isinstance(step, bool) or step < 1:
        raise ArgumentError("step", step, "a whole number >= 1")
    start = rule.start(points, memory)
    shapes = (points.shape, *(batch.shape for batch in batches), *(array.shape for array in start.values()))
    values = values_at(optimizer, max(map(len, shapes)))

    def end(order: tuple[Batch, ...]) -> tuple[Array, dict[str, Array]]:
        position, memory = points, start
        for number, batch in enumerate(order, int(step)):
            gradient = partial(numeric.gradient, batch=batch)
            position, memory = rule.step(position, memory, gradient, values(number))
        return position, memory

    forth, back = end(batches), end(batches[::-1])
    gaps = {name: np.asarray(forth[1][name] - back[1][name]) for name in rule.buffers}
    return SwapGap(np.asarray(forth[0] - back[0]), gaps, (forth[0], back[0]))


def prediction_effect(
    loss: Problem | Loss,
    i: ArrayLike,
    j: ArrayLike,
    w: ArrayLike,
    lr: float = 1.0,
    predictions: Predictions | None = None,
    batch: ArrayLike | None = None,
) -> Array:
    """Return by how much swapping two SGD steps moves a model's predictions, lr²·J[v_i, v_j] to leading order.

    Parameters
    ----------
    loss : Problem or Loss
        As for `lie_bracket`.
    i, j, w
        As for `lie_bracket`.
    lr : float
        Learning rate ε > 0.
    predictions : callable, expression or str, optional
        A function of points, shape (..., d) → (..., *outputs); or, for a problem, an expression in its coordinates and
        data symbols such as ``"w1*x1 + w2*x2"``, taken at the examples. By default the outputs of a network.
    batch : int array, shape (B,), optional
        Numbers of the examples to predict, for an expression and for networks; all by default.

    Returns
    -------
    ndarray, shape (..., *outputs)
        In units of the predictions. Derivatives of expressions and of networks (``loss.output_change``) are exact; of
        functions, and of the ``outputs`` of other losses, a central difference along the bracket.

    Raises
    ------
    ArgumentError
        As `lie_bracket`; if the loss has no outputs and no predictions are given, or the learning rate is not positive.

    Examples
    --------
    >>> from sgdtheory import Dataset
    >>> line = Problem("(y - w*x)**2/2", ["w"], Dataset(x=[1, 2], y=[0, 1]))
    >>> prediction_effect(line, 0, 1, [0.3], lr=0.1, predictions="w*x")
    array([0.02, 0.04])
    """
    if not (isinstance(lr, (int, float, np.number)) and not isinstance(lr, bool) and 0 < lr < np.inf):
        raise ArgumentError("lr", lr, "a number > 0")
    numeric = as_loss(loss)
    points = checked_points(w, numeric.dimension)
    if isinstance(predictions, (str, sp.Basic)):
        slope = _slope(loss, predictions, batch)
        return np.asarray(lr**2 * slope(points, lie_bracket(numeric, i, j, points)))
    change: Callable[[Array, Array], Array] = (
        partial(jvp, predictions) if predictions else _output_change(numeric, batch)
    )
    return np.asarray(lr**2 * change(points, lie_bracket(numeric, i, j, points)))


def _output_change(loss: Loss, batch: ArrayLike | None) -> Callable[[Array, Array], Array]:
    """Return the derivative of a loss's own outputs as a function of points and directions."""
    change, outputs = (getattr(loss, name, None) for name in ("output_change", "outputs"))
    if change is not None:
        return partial(change, batch=batch)
    if outputs is None:
        fix = "give a function of w, or for a problem an expression such as 'w*x'"
        raise ArgumentError("predictions", None, "something to predict: the loss has no outputs", fix)
    return partial(jvp, partial(outputs, batch=batch))


def _slope(
    loss: Problem | Loss, predictions: sp.Basic | str, batch: ArrayLike | None
) -> Callable[[Array, Array], Array]:
    """Return the exact derivative of an expression along directions, at examples: shape (..., examples)."""
    if not isinstance(loss, Problem) or not isinstance(loss.data, Dataset):
        raise ArgumentError("predictions", predictions, "a function: only a problem knows the symbols of an expression")
    w, data = loss.coordinates, loss.data
    known = (*w, *data.symbols, *(s for s, _ in loss.parameters))
    read = parse if isinstance(predictions, str) else check_expression
    expression = read(predictions, known, "predictions")
    along = tuple(sp.Dummy(real=True) for _ in w)
    bound = expression.xreplace(dict(loss.parameters))
    derivative = sp.Add(*(bound.diff(x) * u for x, u in zip(w, along, strict=True)))
    evaluate = on_arrays((*w, *along, *data.symbols), [derivative])
    rows = data.values if batch is None else data.values[checked_batch(batch, data.size)]

    def slope(points: Array, direction: Array) -> Array:
        pair = np.broadcast_arrays(points, direction)
        columns = [column[..., np.newaxis] for array in pair for column in np.moveaxis(array, -1, 0)]
        (values,) = evaluate(*columns, *np.moveaxis(rows, -1, 0))
        shape = np.broadcast_shapes((*pair[0].shape[:-1], 1), rows.shape[:-1])
        return np.asarray(np.broadcast_to(values, shape), dtype=np.float64)

    return slope
