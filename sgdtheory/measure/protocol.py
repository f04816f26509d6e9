"""What measurements ask of a loss: value, gradient, Hessian times vector, per example too, and where parameters sit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError

Array = NDArray[np.float64]
Kind = Literal["weight", "vector"]
GROUPINGS = ("parameter", "neuron", "tensor", "layer")


class Loss(Protocol):
    """A loss as functions of arrays, vectorised over leading axes; the mean over examples, if it has any.

    A batch is an integer array (..., B) of example numbers; its leading axes broadcast against those of w, and the loss
    is then the mean over the B examples. None is the whole loss.
    """

    @property
    def dimension(self) -> int:
        """Number of parameters d."""

    @property
    def examples(self) -> int:
        """Number of examples n; 0 where the loss is no mean over examples."""

    @property
    def layout(self) -> Layout:
        """Which parameter sits where."""

    def value(self, w: ArrayLike, batch: ArrayLike | None = None) -> Array:
        """Return L, w of shape (..., d) → shape (...)."""

    def gradient(self, w: ArrayLike, batch: ArrayLike | None = None) -> Array:
        """Return ∇L, w of shape (..., d) → shape (..., d)."""

    def hvp(self, w: ArrayLike, v: ArrayLike, batch: ArrayLike | None = None) -> Array:
        """Return ∇²L·v, w and v of shape (..., d) → shape (..., d)."""


@dataclass(frozen=True)
class Tensor:
    """One array of parameters.

    Parameters
    ----------
    name : str
        ``layer.what``, such as ``1.weight``; what stands before the last dot names the layer.
    shape : tuple of int
        Axis 0 of a weight counts its filters: the output units, each with its incoming weights.
    kind : {"weight", "vector"}
        ``vector``: a bias, or the scale or shift of a normalisation; entry i belongs to unit i.
    """

    name: str
    shape: tuple[int, ...]
    kind: Kind = "weight"

    @property
    def size(self) -> int:
        """Number of parameters."""
        return math.prod(self.shape)

    @property
    def layer(self) -> str:
        """Name of the layer it belongs to."""
        return self.name.rpartition(".")[0] or self.name


@dataclass(frozen=True)
class Layout:
    """Where every array of parameters sits in the vector w, one after the other in C order.

    Parameters
    ----------
    tensors : tuple of Tensor

    Examples
    --------
    >>> layout = Layout((Tensor("1.weight", (2, 3)), Tensor("1.bias", (2,), "vector")))
    >>> layout.dimension, layout.unpack(np.arange(8.0))["1.bias"]
    (8, array([6., 7.]))
    >>> layout.groups("neuron")
    (('1:0', '1:1'), array([0, 0, 0, 1, 1, 1, 0, 1]))
    """

    tensors: tuple[Tensor, ...]

    @cached_property
    def dimension(self) -> int:
        """Number of parameters d."""
        return sum(tensor.size for tensor in self.tensors)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Tensor name → its place in w."""
        ends = np.cumsum([tensor.size for tensor in self.tensors]).tolist()
        return {t.name: slice(end - t.size, end) for t, end in zip(self.tensors, ends, strict=True)}

    def unpack(self, w: Array) -> dict[str, Array]:
        """Return views of the arrays in w, name → shape (..., *shape)."""
        return {t.name: w[..., self.slices[t.name]].reshape(*w.shape[:-1], *t.shape) for t in self.tensors}

    def pack(self, arrays: dict[str, Array]) -> Array:
        """Return the vector of some arrays, the inverse of `unpack`."""
        parts = [arrays[t.name] for t in self.tensors]
        lead = [p.shape[: p.ndim - len(t.shape)] for p, t in zip(parts, self.tensors, strict=True)]
        return np.concatenate(
            [p.reshape(*n, t.size) for p, n, t in zip(parts, lead, self.tensors, strict=True)], axis=-1
        )

    def groups(self, by: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Group the parameters.

        Parameters
        ----------
        by : {"parameter", "neuron", "tensor", "layer"}
            A neuron is row i of the layer's weight with entry i of its vectors.

        Returns
        -------
        names : tuple of str
            Of the groups, in the order of w.
        labels : int array, shape (d,)
            Which group each parameter is in.

        Raises
        ------
        ArgumentError
            If there is no such grouping.
        """
        if by not in GROUPINGS:
            raise ArgumentError("by", by, " | ".join(GROUPINGS))
        keys = [key for tensor in self.tensors for key in _keys(tensor, by)]
        names = tuple(dict.fromkeys(keys))
        number = {name: i for i, name in enumerate(names)}
        return names, np.array([number[key] for key in keys], dtype=np.int64)


def dimension_of(loss: Loss) -> int:
    """Return the number of parameters of a loss; refuse what is none, such as a problem that was not compiled."""
    if not all(hasattr(loss, name) for name in ("dimension", "value", "gradient", "hvp")):
        allowed = "a loss: with layout, value, gradient and hvp"
        raise ArgumentError("loss", loss, allowed, "numeric_loss(problem), a network, or custom_loss(...)")
    return loss.dimension


def scalars(names: Sequence[str]) -> Layout:
    """Return the layout of single named parameters.

    Examples
    --------
    >>> scalars(["a", "b"]).groups("layer")[0]
    ('a', 'b')
    """
    return Layout(tuple(Tensor(name, (1,)) for name in names))


def _keys(tensor: Tensor, by: str) -> list[str]:
    if by == "tensor":
        return [tensor.name] * tensor.size
    if by == "layer":
        return [tensor.layer] * tensor.size
    if tensor.size == 1 and "." not in tensor.name:
        return [tensor.name]  # a parameter of its own
    if by == "neuron":
        return [f"{tensor.layer}:{i // (tensor.size // tensor.shape[0])}" for i in range(tensor.size)]
    return [f"{tensor.name}[{','.join(map(str, index))}]" for index in np.ndindex(*tensor.shape)]
