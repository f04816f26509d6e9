"""Networks as losses: layers, data and an objective, behind the loss protocol; and the two kinds built here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.measure.loss import checked_batch, checked_points
from sgdtheory.measure.protocol import Array, Layout
from sgdtheory.networks.layers import Chain, Convolution, Dense, Layer, MeanPool, Normalisation, Numbers, ReLU, Tanh
from sgdtheory.networks.objectives import CROSS_ENTROPY, OBJECTIVES, Objective, targets

Named = TypeVar("Named")
ACTIVATIONS: dict[str, type[Tanh] | type[ReLU]] = {"tanh": Tanh, "relu": ReLU}
_TINY = 1e-100  # of the complex step: its square is nothing beside 1, and nothing is subtracted
_LARGEST_BLOCK = 1 << 21  # numbers in the widest activation of one evaluation


@dataclass(frozen=True, eq=False)
class Network:
    """The mean loss of a network over its examples, with exact gradient and Hessian–vector product.

    Vectorised over leading axes of the parameters; see `sgdtheory.measure.protocol.Loss`. Make one with `mlp` or
    `convnet`, or from layers of your own.

    Parameters
    ----------
    body : Chain
    x : ndarray, shape (n, inputs) or (n, channels, height, width)
    y : ndarray, shape (n, k)
        As the objective takes them.
    objective : Objective

    Examples
    --------
    >>> net = mlp([[0.0, 1.0], [1.0, 0.0]], [0, 1], widths=[2])
    >>> w = net.init(rng=0)
    >>> net.gradient(w).shape, net.gradient(w, batch=[[0], [1]]).shape, net.outputs(w).shape
    ((12,), (2, 12), (2, 2))
    """

    body: Chain
    x: Array
    y: Array
    objective: Objective = CROSS_ENTROPY

    @cached_property
    def layout(self) -> Layout:
        """Which parameter sits where."""
        return Layout(self.body.tensors)

    @property
    def dimension(self) -> int:
        """Number of parameters d."""
        return self.layout.dimension

    @property
    def examples(self) -> int:
        """Number of examples n."""
        return len(self.x)

    def value(self, w: ArrayLike, batch: ArrayLike | None = None) -> Array:
        """Return L(w), shape (...)."""
        return self._in_blocks(self._value, (w,), batch)

    def gradient(self, w: ArrayLike, batch: ArrayLike | None = None) -> Array:
        """Return ∇L(w), shape (..., d)."""
        return self._in_blocks(self._gradient, (w,), batch)

    def hvp(self, w: ArrayLike, v: ArrayLike, batch: ArrayLike | None = None) -> Array:
        """Return ∇²L(w)·v, shape (..., d), by a complex step of the gradient: exact to rounding."""

        def along(points: Array, directions: Array, numbers: NDArray[np.int64] | None) -> Array:
            return self._gradient(points + 1j * _TINY * directions, numbers).imag / _TINY

        return self._in_blocks(along, (w, v), batch)

    def outputs(self, w: ArrayLike, batch: ArrayLike | None = None) -> Array:
        """Return what the network says of every example, shape (..., n or B, k)."""
        numbers = None if batch is None else checked_batch(batch, self.examples)
        return self._run(checked_points(w, self.dimension), numbers)

    def output_change(self, w: ArrayLike, v: ArrayLike, batch: ArrayLike | None = None) -> Array:
        """Return J(w)·v, how fast the outputs change along v, shape (..., n or B, k)."""
        numbers = None if batch is None else checked_batch(batch, self.examples)
        points, directions = checked_points(w, self.dimension), checked_points(v, self.dimension, "v")
        return np.asarray(self._run(points + 1j * _TINY * directions, numbers).imag / _TINY)

    def accuracy(self, w: ArrayLike, batch: ArrayLike | None = None) -> Array:
        """Return the share of examples whose largest output is that of their class, shape (...)."""
        numbers = None if batch is None else checked_batch(batch, self.examples)
        said = self.outputs(w, batch).argmax(axis=-1)
        return np.asarray((said == self._rows(self.y, numbers).argmax(axis=-1)).mean(axis=-1))

    def on(self, x: ArrayLike, y: ArrayLike) -> Network:
        """Return the same network on other examples, such as those of a test."""
        inputs, wanted = _examples(x, y, self.objective)
        if inputs.shape[1:] != self.x.shape[1:]:
            raise ArgumentError("x", f"shape {inputs.shape}", f"shape (n, {', '.join(map(str, self.x.shape[1:]))})")
        if wanted.shape[1] > self.y.shape[1]:
            raise ArgumentError("y", f"{wanted.shape[1]} classes", f"at most the network's {self.y.shape[1]}")
        missing = self.y.shape[1] - wanted.shape[1]  # classes that happen not to occur
        return replace(self, x=inputs, y=np.pad(wanted, ((0, 0), (0, missing))))

    def init(
        self, rng: int | np.random.Generator | np.random.SeedSequence | None, replicas: int | None = None
    ) -> Array:
        """Draw parameters to start from: weights N(0, 2/inputs) for ReLU, N(0, 1/inputs) else; shifts 0, scales 1.

        Parameters
        ----------
        rng : int, Generator, SeedSequence or None
        replicas : int, optional
            Number R of independent draws; without it one, of shape (d,).

        Returns
        -------
        ndarray, shape (d,) or (R, d)
        """
        generator, gain = np.random.default_rng(rng), 2.0 if _bends(self.body, ReLU) else 1.0
        lead = () if replicas is None else (replicas,)
        arrays: dict[str, Array] = {}
        for tensor in self.layout.tensors:
            if tensor.kind == "weight":
                spread = math.sqrt(gain / math.prod(tensor.shape[1:]))
                arrays[tensor.name] = spread * generator.standard_normal((*lead, *tensor.shape))
            else:
                arrays[tensor.name] = np.full((*lead, *tensor.shape), 1.0 if tensor.name.endswith("scale") else 0.0)
        return self.layout.pack(arrays)

    def _rows(self, table: Array, numbers: NDArray[np.int64] | None) -> Array:
        return table if numbers is None else table[numbers]

    def _run(self, w: Numbers, numbers: NDArray[np.int64] | None) -> Numbers:
        return self.body.forward(self.layout.unpack(w), self._rows(self.x, numbers))[0]

    def _value(self, w: Array, numbers: NDArray[np.int64] | None) -> Array:
        return np.asarray(self.objective.loss(self._run(w, numbers), self._rows(self.y, numbers)).mean(axis=-1))

    def _gradient(self, w: Numbers, numbers: NDArray[np.int64] | None) -> Numbers:
        parameters = self.layout.unpack(w)
        said, saved = self.body.forward(parameters, self._rows(self.x, numbers))
        wanted = self._rows(self.y, numbers)
        slope = self.objective.slope(said, wanted) / said.shape[-2]
        slopes, _ = self.body.backward(parameters, saved, slope)
        return self.layout.pack(slopes)

    def _in_blocks(self, function: Callable[..., Array], points: Sequence[ArrayLike], batch: ArrayLike | None) -> Array:
        """Evaluate at so many points at once that the activations stay small."""
        names = ("w", "v")[: len(points)]
        arrays = [checked_points(p, self.dimension, name) for p, name in zip(points, names, strict=True)]
        if batch is not None:
            return np.asarray(function(*arrays, checked_batch(batch, self.examples)))
        lead = np.broadcast_shapes(*(a.shape[:-1] for a in arrays))
        flat = [np.broadcast_to(a, (*lead, self.dimension)).reshape(-1, self.dimension) for a in arrays]
        block = max(1, _LARGEST_BLOCK // max(1, self.examples * self._width))
        if len(flat[0]) <= block:
            return np.asarray(function(*arrays, None))
        parts = [function(*(a[i : i + block] for a in flat), None) for i in range(0, len(flat[0]), block)]
        whole = np.concatenate(parts)
        return whole.reshape(*lead, *whole.shape[1:])

    @cached_property
    def _width(self) -> int:
        """The most numbers that stand for one example on the way."""
        pixels = math.prod(self.x.shape[2:])
        widest = max((t.shape[0] * math.prod(t.shape[2:]) for t in self.layout.tensors), default=1)
        return max(widest * pixels, math.prod(self.x.shape[1:]))


def mlp(
    x: ArrayLike,
    y: ArrayLike,
    widths: Sequence[int] = (16, 16),
    *,
    activation: str = "tanh",
    objective: str = "cross-entropy",
    skip: bool = False,
    normalise: bool = False,
    bias: bool = True,
) -> Network:
    """Make a multilayer perceptron and its loss on some examples.

    Parameters
    ----------
    x : array_like, shape (n, inputs)
    y : array_like
        Classes (n,) for cross-entropy; numbers, (n,) or (n, k), for squared error; 0 or 1 for independent labels.
    widths : sequence of int
        Units of the hidden layers.
    activation : {"tanh", "relu"}
    objective : {"cross-entropy", "squared error", "independent labels"}
    skip : bool
        A hidden layer between equal widths adds to what comes in.
    normalise : bool
        Layer normalisation before every activation: then the weights before it, which have no bias, may be rescaled
        without effect.
    bias : bool

    Returns
    -------
    Network
        Layers are called 1, 2, …; normalisations 1n, 2n, ….

    Raises
    ------
    ArgumentError
        For shapes that do not fit, numbers that are not finite, or names unknown.

    Examples
    --------
    >>> net = mlp([[0.0, 1.0], [1.0, 0.0]], [0, 1], widths=[3])
    >>> net.dimension, round(float(net.value(np.zeros(17))), 4)
    (17, 0.6931)
    """
    bend, chosen = _choose("activation", activation, ACTIVATIONS), _choose("objective", objective, OBJECTIVES)
    inputs, wanted = _examples(x, y, chosen)
    if inputs.ndim != 2:
        raise ArgumentError("x", f"shape {inputs.shape}", "shape (n, inputs)")
    sizes = [inputs.shape[1], *_widths("widths", widths)]
    layers: list[Layer] = []
    for i, (before, after) in enumerate(pairwise(sizes), 1):
        dense = Dense(str(i), before, after, bias and not normalise)
        block = (dense, Normalisation(f"{i}n", after), bend()) if normalise else (dense, bend())
        layers += [Chain(block, skip=True)] if skip and before == after else block
    layers.append(Dense(str(len(sizes)), sizes[-1], wanted.shape[1], bias))
    return Network(Chain(tuple(layers)), inputs, wanted, chosen)


def convnet(
    x: ArrayLike,
    y: ArrayLike,
    channels: Sequence[int] = (8, 8),
    *,
    width: int = 3,
    activation: str = "relu",
    objective: str = "cross-entropy",
    skip: bool = False,
) -> Network:
    """Make a convolutional network: convolutions, the mean over the image, one dense layer.

    Parameters
    ----------
    x : array_like, shape (n, channels, height, width)
    y : array_like
        As for `mlp`.
    channels : sequence of int
        Channels of the hidden layers.
    width : int
        Of the kernels, odd.
    activation : {"relu", "tanh"}
    objective : str
        As for `mlp`.
    skip : bool
        A convolution between equal channels adds to what comes in.

    Returns
    -------
    Network

    Examples
    --------
    >>> net = convnet(np.zeros((2, 1, 4, 4)), [0, 1], channels=[3])
    >>> [tensor.shape for tensor in net.layout.tensors]
    [(3, 1, 3, 3), (3,), (2, 3), (2,)]
    """
    bend, chosen = _choose("activation", activation, ACTIVATIONS), _choose("objective", objective, OBJECTIVES)
    inputs, wanted = _examples(x, y, chosen)
    if inputs.ndim != 4:
        raise ArgumentError("x", f"shape {inputs.shape}", "shape (n, channels, height, width)")
    if not isinstance(width, int) or width < 1 or width % 2 == 0:
        raise ArgumentError("width", width, "an odd whole number")
    sizes = [inputs.shape[1], *_widths("channels", channels)]
    layers: list[Layer] = []
    for i, (before, after) in enumerate(pairwise(sizes), 1):
        block = (Convolution(str(i), before, after, width), bend())
        layers += [Chain(block, skip=True)] if skip and before == after else block
    layers += [MeanPool(), Dense(str(len(sizes)), sizes[-1], wanted.shape[1])]
    return Network(Chain(tuple(layers)), inputs, wanted, chosen)


def _choose(argument: str, name: str, known: dict[str, Named]) -> Named:
    if name not in known:
        raise ArgumentError(argument, name, " | ".join(known))
    return known[name]


def _widths(argument: str, widths: Sequence[int]) -> list[int]:
    sizes = list(widths)
    if not all(isinstance(s, (int, np.integer)) and not isinstance(s, bool) and s >= 1 for s in sizes):
        raise ArgumentError(argument, widths, "whole numbers >= 1")
    return [int(s) for s in sizes]


def _examples(x: ArrayLike, y: ArrayLike, objective: Objective) -> tuple[Array, Array]:
    inputs = np.array(x, dtype=np.float64)
    if inputs.ndim < 2 or not len(inputs):
        raise ArgumentError("x", f"shape {inputs.shape}", "shape (n, ...) with n >= 1", "one row an example")
    if not np.isfinite(inputs).all():
        raise ArgumentError("x", "numbers that are not finite", "finite numbers", "drop or repair the example")
    wanted = targets(y, objective)
    if len(wanted) != len(inputs):
        raise ArgumentError("x, y", f"{len(inputs)} and {len(wanted)} examples", "as many of one as of the other")
    inputs.setflags(write=False)
    wanted.setflags(write=False)
    return inputs, wanted


def _bends(layer: Layer, kind: type) -> bool:
    """Whether there is an activation of a kind somewhere."""
    return isinstance(layer, kind) or (isinstance(layer, Chain) and any(_bends(inner, kind) for inner in layer.layers))
