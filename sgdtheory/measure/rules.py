"""Update rules on arrays: the `Optimizer` value that kernels are printed from, as functions of numpy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike

from sgdtheory import symbols
from sgdtheory.errors import ArgumentError
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.measure.protocol import Array
from sgdtheory.optimizers import Optimizer

Memory = dict[str, Array]


@dataclass(frozen=True)
class ArrayRule:
    """An update rule as functions of arrays.

    Parameters
    ----------
    buffers : tuple of str
        Their names.
    hyperparameters : tuple of Symbol
        In the order in which the functions take their values.
    lookahead : callable
        θ, buffers, hyperparameters → the place of the gradient, in a list.
    update : callable
        θ, ĝ, buffers, hyperparameters, and noise if the rule draws any → θ' and the buffers after the step.
    """

    buffers: tuple[str, ...]
    hyperparameters: tuple[sp.Symbol, ...]
    lookahead: Callable[..., list[Any]]
    update: Callable[..., list[Any]]

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

    def step(
        self, w: Array, memory: Memory, gradient: Callable[[Array], Array], values: Sequence[ArrayLike]
    ) -> tuple[Array, Memory]:
        """Move all points once along a gradient; `values` are those of the hyperparameters."""
        state = [memory[name] for name in self.buffers]
        (place,) = self.lookahead(w, *state, *values)
        position, *buffers = map(np.asarray, self.update(w, gradient(place), *state, *values))
        return position, dict(zip(self.buffers, buffers, strict=True))


def array_rule(optimizer: Optimizer) -> ArrayRule:
    """Return the rule of an optimizer as functions of arrays.

    Examples
    --------
    >>> from sgdtheory import Momentum
    >>> rule = array_rule(Momentum())
    >>> rule.buffers, rule.hyperparameters
    (('v',), (eta, mu))
    >>> rule.update(np.array([1.0, 2.0]), 1.0, 0.0, 0.1, 0.9)[0]
    array([0.9, 1.9])
    """
    state = (*optimizer.buffers, *(h.symbol for h in optimizer.hyperparameters))
    noise = () if optimizer.noise is None else (optimizer.noise,)
    after = [optimizer.position, *(rule for _, rule in optimizer.memory)]
    return ArrayRule(
        tuple(buffer.name for buffer in optimizer.buffers),
        tuple(h.symbol for h in optimizer.hyperparameters),
        on_arrays((symbols.theta, *state), [optimizer.gradient_at]),
        on_arrays((symbols.theta, symbols.gradient, *state, *noise), after),
    )


def values_at(optimizer: Optimizer, axes: int) -> Callable[[int], list[ArrayLike]]:
    """Return a function of the number of a step, from 1, that gives the hyperparameters there.

    Parameters
    ----------
    optimizer : Optimizer
    axes : int
        How many axes the points have, that of the coordinates included; every sweep is an axis before them.

    Raises
    ------
    ArgumentError
        If a hyperparameter has no value.

    Examples
    --------
    >>> from sgdtheory import SGD
    >>> values_at(SGD(lr=[0.1, 0.2]), axes=1)(1)
    [array([[0.1],
           [0.2]])]
    """
    swept = [h for h in optimizer.hyperparameters if isinstance(h.value, sp.Tuple)]
    own = [replace(h, value=h.symbol) if h in swept else h for h in optimizer.hyperparameters]
    known = {symbols.step, *(h.symbol for h in swept)}
    for h in own:
        if h.keyword and not h.value.free_symbols <= known:
            raise ArgumentError(h.keyword, h.value, "a number, a schedule or a sweep", "give it a value")
    values = replace(optimizer, hyperparameters=tuple(own)).values
    evaluate = on_arrays((symbols.step, *(h.symbol for h in swept)), [values[h.symbol] for h in own])
    columns = [np.array(h.value, dtype=np.float64) for h in swept]
    outer = [c.reshape((-1, *(1,) * (len(swept) - 1 - k + axes))) for k, c in enumerate(columns)]
    return lambda number: evaluate(number, *outer)
