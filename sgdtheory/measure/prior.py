"""Priors of a few parameters: the box that holds them, and their log density."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sgdtheory.distributions import Law, Normal, Uniform
from sgdtheory.errors import ArgumentError

Array = NDArray[np.float64]
Density = Callable[[Array], Array]
Prior: TypeAlias = Law | Sequence[Law]
_WIDE = 12  # standard deviations of a normal prior that count


def prior_box(prior: Prior, dimension: int) -> tuple[Array, Density]:
    """Return the ends of each parameter, shape (d, 2), and the log density of a prior, w (..., d) → (...).

    Parameters
    ----------
    prior : Uniform or Normal, or one for each parameter
        A normal law ends 12 standard deviations from its mean.
    dimension : int

    Raises
    ------
    ArgumentError
        For other laws, laws without width, or another number of them.

    Examples
    --------
    >>> box, log_density = prior_box(Uniform(-1, 3), 2)
    >>> box.tolist(), float(np.exp(log_density(np.zeros(2))))
    ([[-1.0, 3.0], [-1.0, 3.0]], 0.0625)
    """
    laws = list(prior) if isinstance(prior, Sequence) else [prior] * dimension
    if len(laws) != dimension:
        raise ArgumentError("prior", f"{len(laws)} laws", f"one, or {dimension}: one a parameter")
    parts = [_part(law) for law in laws]
    box = np.array([[low, high] for low, high, _ in parts])
    if not (box[:, 0] < box[:, 1]).all():
        raise ArgumentError("prior", prior, "laws with some width")

    def log_density(w: Array) -> Array:
        return np.asarray(np.sum([part(w[..., i]) for i, (_, _, part) in enumerate(parts)], axis=0))

    return box, log_density


def _part(law: Law) -> tuple[float, float, Density]:
    """Return both ends and the log density of one parameter."""
    if isinstance(law, Uniform):
        low, high = float(law.low), float(law.high)
        return low, high, lambda w: np.full_like(w, -math.log(high - low) if high > low else math.nan)
    if isinstance(law, Normal):
        mean, std = float(law.mean), float(law.std)

        def bell(w: Array) -> Array:
            return np.asarray(-(((w - mean) / std) ** 2) / 2 - math.log(std * math.sqrt(2 * math.pi)))

        return mean - _WIDE * std, mean + _WIDE * std, bell
    raise ArgumentError("prior", law, "Uniform(low, high) or Normal(mean, std)", "a flat prior needs a box")
