"""Layers: what each does to a batch of activations, and how a gradient comes back through it.

Activations have shape (..., n, features), images (..., n, channels, height, width); the leading axes are those of the
parameters, n the examples. All operations are analytic where they are smooth, so that complex parameters give the
derivative along their imaginary part: Hessian times vector needs no code of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sgdtheory.measure.protocol import Tensor

Numbers = NDArray[Any]
"""Real or complex."""
Parameters = Mapping[str, Numbers]


class Layer(Protocol):
    """One step from activations to activations."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Its parameters."""

    def forward(self, parameters: Parameters, h: Numbers) -> tuple[Numbers, Any]:
        """Return the activations after it, and what `backward` will need."""

    def backward(self, parameters: Parameters, saved: Any, slope: Numbers) -> tuple[dict[str, Numbers], Numbers]:
        """Return, from ∂L/∂(activations after), ∂L/∂(its parameters) and ∂L/∂(activations before)."""


@dataclass(frozen=True)
class Dense:
    """h' = Wh + b.

    Parameters
    ----------
    name : str
    inputs, outputs : int
    bias : bool
    """

    name: str
    inputs: int
    outputs: int
    bias: bool = True

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Its weight, shape (outputs, inputs), and bias."""
        weight = Tensor(f"{self.name}.weight", (self.outputs, self.inputs))
        return (weight, Tensor(f"{self.name}.bias", (self.outputs,), "vector")) if self.bias else (weight,)

    def forward(self, parameters: Parameters, h: Numbers) -> tuple[Numbers, Any]:
        """Multiply and add."""
        out = h @ parameters[f"{self.name}.weight"].swapaxes(-1, -2)
        return (out + parameters[f"{self.name}.bias"][..., np.newaxis, :] if self.bias else out), h

    def backward(self, parameters: Parameters, saved: Any, slope: Numbers) -> tuple[dict[str, Numbers], Numbers]:
        """Multiply with the transpose."""
        slopes = {f"{self.name}.weight": slope.swapaxes(-1, -2) @ saved}
        if self.bias:
            slopes[f"{self.name}.bias"] = slope.sum(axis=-2)
        return slopes, slope @ parameters[f"{self.name}.weight"]


@dataclass(frozen=True)
class Convolution:
    """Cross-correlation with square kernels of odd width, zeros around the image, and a bias a channel.

    Parameters
    ----------
    name : str
    inputs, outputs : int
        Channels.
    width : int
        Of the kernel, odd.
    """

    name: str
    inputs: int
    outputs: int
    width: int = 3

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Its kernels, shape (outputs, inputs, width, width), and bias."""
        kernel = Tensor(f"{self.name}.weight", (self.outputs, self.inputs, self.width, self.width))
        return kernel, Tensor(f"{self.name}.bias", (self.outputs,), "vector")

    def forward(self, parameters: Parameters, h: Numbers) -> tuple[Numbers, Any]:
        """Slide the kernels over the image."""
        weight, bias = parameters[f"{self.name}.weight"], parameters[f"{self.name}.bias"]
        patches = self._patches(h)
        flat = weight.reshape(*weight.shape[:-3], -1)
        out = patches @ flat.swapaxes(-1, -2)[..., np.newaxis, :, :] + bias[..., np.newaxis, np.newaxis, :]
        return self._image(out, h.shape[-2:]), (patches, h.shape[-2:])

    def backward(self, parameters: Parameters, saved: Any, slope: Numbers) -> tuple[dict[str, Numbers], Numbers]:
        """Slide the mirrored kernels over the slope."""
        (patches, size), weight = saved, parameters[f"{self.name}.weight"]
        pixels = np.moveaxis(slope.reshape(*slope.shape[:-2], -1), -2, -1)  # (..., n, pixels, outputs)
        kernel = (pixels.swapaxes(-1, -2) @ patches).sum(axis=-3)
        mirrored = weight[..., ::-1, ::-1].swapaxes(-3, -4)
        flat = mirrored.reshape(*mirrored.shape[:-3], -1)
        before = self._patches(slope) @ flat.swapaxes(-1, -2)[..., np.newaxis, :, :]
        slopes = {f"{self.name}.weight": kernel.reshape(*kernel.shape[:-1], self.inputs, self.width, self.width)}
        return slopes | {f"{self.name}.bias": pixels.sum(axis=(-2, -3))}, self._image(before, size)

    def _patches(self, h: Numbers) -> Numbers:
        """Return what the kernel sees at each pixel, shape (..., n, pixels, channels·width²)."""
        edge = self.width // 2
        padded = np.pad(h, [(0, 0)] * (h.ndim - 2) + [(edge, edge)] * 2)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (self.width, self.width), axis=(-2, -1))
        moved = np.moveaxis(windows, -5, -3)  # (..., n, height, width, channels, kernel, kernel)
        return moved.reshape(*h.shape[:-3], h.shape[-2] * h.shape[-1], -1)

    @staticmethod
    def _image(pixels: Numbers, size: tuple[int, ...]) -> Numbers:
        return np.moveaxis(pixels, -1, -2).reshape(*pixels.shape[:-2], pixels.shape[-1], *size)


@dataclass(frozen=True)
class Tanh:
    """h' = tanh h."""

    tensors: tuple[Tensor, ...] = ()

    def forward(self, parameters: Parameters, h: Numbers) -> tuple[Numbers, Any]:
        """Bend."""
        out = np.tanh(h)
        return out, out

    def backward(self, parameters: Parameters, saved: Any, slope: Numbers) -> tuple[dict[str, Numbers], Numbers]:
        """Multiply by 1 − tanh²."""
        return {}, slope * (1 - saved * saved)


@dataclass(frozen=True)
class ReLU:
    """h' = max(h, 0), of slope 0 at the kink."""

    tensors: tuple[Tensor, ...] = ()

    def forward(self, parameters: Parameters, h: Numbers) -> tuple[Numbers, Any]:
        """Cut."""
        open_ = h.real > 0
        return h * open_, open_

    def backward(self, parameters: Parameters, saved: Any, slope: Numbers) -> tuple[dict[str, Numbers], Numbers]:
        """Pass what was not cut."""
        return {}, slope * saved


@dataclass(frozen=True)
class Normalisation:
    """Layer normalisation, h' = γ(h − mean)/√(variance + ε) + β, over the features of every example by itself.

    Parameters
    ----------
    name : str
    features : int
    floor : float
        ε ≥ 0; at 0 what comes before may be rescaled without effect.
    """

    name: str
    features: int
    floor: float = 0.0

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Scale γ and shift β."""
        kinds = ("scale", "shift")
        return tuple(Tensor(f"{self.name}.{kind}", (self.features,), "vector") for kind in kinds)

    def forward(self, parameters: Parameters, h: Numbers) -> tuple[Numbers, Any]:
        """Centre, divide, scale, shift."""
        centred = h - h.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + self.floor)
        normal = centred / deviation
        scale, shift = (parameters[t.name][..., np.newaxis, :] for t in self.tensors)
        return scale * normal + shift, (normal, deviation)

    def backward(self, parameters: Parameters, saved: Any, slope: Numbers) -> tuple[dict[str, Numbers], Numbers]:
        """Take off what mean and variance take off."""
        normal, deviation = saved
        scale, shift = (t.name for t in self.tensors)
        slopes = {scale: (slope * normal).sum(axis=-2), shift: slope.sum(axis=-2)}
        inner = slope * parameters[scale][..., np.newaxis, :]
        along = (inner * normal).mean(axis=-1, keepdims=True)
        return slopes, (inner - inner.mean(axis=-1, keepdims=True) - normal * along) / deviation


@dataclass(frozen=True)
class MeanPool:
    """The mean of every channel over the image, (..., n, channels, height, width) → (..., n, channels)."""

    tensors: tuple[Tensor, ...] = ()

    def forward(self, parameters: Parameters, h: Numbers) -> tuple[Numbers, Any]:
        """Average."""
        return h.mean(axis=(-2, -1)), h.shape[-2:]

    def backward(self, parameters: Parameters, saved: Any, slope: Numbers) -> tuple[dict[str, Numbers], Numbers]:
        """Share out."""
        height, width = saved
        spread = slope[..., np.newaxis, np.newaxis] / (height * width)
        return {}, np.broadcast_to(spread, (*slope.shape, height, width))


@dataclass(frozen=True)
class Chain:
    """Layers one after the other; with a skip connection, their sum with what came in.

    Parameters
    ----------
    layers : tuple of Layer
    skip : bool
        h' = h + layers(h).
    """

    layers: tuple[Layer, ...]
    skip: bool = False
    tensors: tuple[Tensor, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", tuple(t for layer in self.layers for t in layer.tensors))

    def forward(self, parameters: Parameters, h: Numbers) -> tuple[Numbers, Any]:
        """Go through all layers."""
        out, saved = h, []
        for layer in self.layers:
            out, kept = layer.forward(parameters, out)
            saved.append(kept)
        return (h + out if self.skip else out), saved

    def backward(self, parameters: Parameters, saved: Any, slope: Numbers) -> tuple[dict[str, Numbers], Numbers]:
        """Go back through all layers."""
        before = slope
        slopes: dict[str, Numbers] = {}
        for layer, kept in zip(reversed(self.layers), reversed(saved), strict=True):
            own, before = layer.backward(parameters, kept, before)
            slopes |= own
        return slopes, (before + slope if self.skip else before)
