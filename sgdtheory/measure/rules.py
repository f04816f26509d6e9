"""Update rules on arrays: one step of any optimizer, for all points, coordinates and swept numbers at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike

from sgdtheory import symbols
from sgdtheory.errors import ArgumentError
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.measure.protocol import Array
from sgdtheory.optimizers import Optimizer

Memory = dict[str, Array]
Gradient = Callable[[Array], Array]


@dataclass(frozen=True)
class ArrayRule:
    """An update rule as functions of arrays; the numbers of a sweep are axes before all others.

    Parameters
    ----------
    buffers : tuple of str
        Names of the buffers.
    sweep : tuple of arrays
        The numbers of every swept hyperparameter.
    lookahead, update : callable
        Of θ, ĝ, the buffers, the step's number and the swept numbers: the place of the gradient; θ' and the buffers'.
    """

    buffers: tuple[str, ...]
    sweep: tuple[Array, ...]
    lookahead: Callable[..., list[ArrayLike]]
    update: Callable[..., list[ArrayLike]]

    def start(self, w: Array, memory: Mapping[str, ArrayLike] | None = None) -> Memory:
        """Return the buffers at the start: those given, the others 0.

        Raises
        ------
        ArgumentError
            If the optimizer has no buffer of a given name, or one does not broadcast against w.
        """
        given = dict(memory or {})
        if not set(given) <= set(self.buffers):
            raise ArgumentError("memory", sorted(given), f"buffers named {', '.join(self.buffers) or 'nothing: none'}")
        arrays = {name: np.asarray(given.get(name, 0.0), dtype=np.float64) for name in self.buffers}
        for array in arrays.values():
            try:
                np.broadcast_shapes(array.shape, w.shape)
            except ValueError as error:
                raise ArgumentError("memory", f"shape {array.shape}", f"shapes that fit w, {w.shape}") from error
        return arrays

    def step(self, w: Array, memory: Memory, gradient: Gradient, number: int, axes: int) -> tuple[Array, Memory]:
        """Move all points once along a gradient.

        Parameters
        ----------
        w : ndarray, shape (..., d)
        memory : dict of str to ndarray
        gradient : callable
            Shape (..., d) → shape (..., d).
        number : int
            Of the step, from 1: schedules and bias corrections depend on it.
        axes : int
            How many axes points without a sweep have, that of the coordinates included.

        Returns
        -------
        w, memory
            After the step.
        """
        swept = _outer(self.sweep, axes)
        state = [memory[name] for name in self.buffers]
        (place,) = self.lookahead(w, 0.0, *state, number, *swept)
        slope = gradient(np.broadcast_to(place, np.broadcast_shapes(np.shape(place), np.shape(w))))
        position, *buffers = map(np.asarray, self.update(w, slope, *state, number, *swept))
        return position, dict(zip(self.buffers, buffers, strict=True))


def array_rule(optimizer: Optimizer) -> ArrayRule:
    """Make functions of arrays of an optimizer's rule.

    Parameters
    ----------
    optimizer : Optimizer
        Every hyperparameter a number, a schedule or a sweep; without noise of its own.

    Returns
    -------
    ArrayRule

    Raises
    ------
    ArgumentError
        If a hyperparameter has no value or the optimizer draws noise.

    Examples
    --------
    >>> from sgdtheory import Momentum
    >>> rule = array_rule(Momentum(lr=[0.1, 0.2], momentum=0.5))
    >>> w = np.array([1.0])
    >>> rule.step(w, rule.start(w), lambda w: w, number=1, axes=1)[0]
    array([[0.9],
           [0.8]])
    """
    if optimizer.noise is not None:
        raise ArgumentError("optimizer", repr(optimizer), "a rule without noise of its own", "take its mean, SGD")
    swept = [h for h in optimizer.hyperparameters if isinstance(h.value, sp.Tuple)]
    plain = replace(
        optimizer,
        hyperparameters=tuple(replace(h, value=h.symbol) if h in swept else h for h in optimizer.hyperparameters),
    )
    known = {symbols.step, *(h.symbol for h in swept)}
    for h in plain.hyperparameters:
        if h.keyword and not h.value.free_symbols <= known:
            raise ArgumentError(h.keyword, h.value, "a number, a schedule or a sweep", "give it a value")
    θ, g = symbols.theta, symbols.gradient
    inputs = (θ, g, *plain.buffers, symbols.step, *(h.symbol for h in swept))
    after = plain.update(g)
    return ArrayRule(
        tuple(buffer.name for buffer in plain.buffers),
        tuple(np.array([float(x) for x in h.value]) for h in swept if isinstance(h.value, sp.Tuple)),
        on_arrays(inputs, [plain.lookahead(θ)]),
        on_arrays(inputs, [after.position, *after.memory]),
    )


def _outer(sweep: tuple[Array, ...], axes: int) -> list[Array]:
    """Give every swept number an axis of its own, before those of the points."""
    last = len(sweep) - 1
    return [values.reshape((-1, *(1,) * (last - k + axes))) for k, values in enumerate(sweep)]
