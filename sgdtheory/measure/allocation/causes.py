"""Why the measured allocation is not the naive one: the theory's shares of the causes, on arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from sgdtheory.errors import ArgumentError
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.measure.protocol import Array
from sgdtheory.theory.loss_change_allocation.causes import INPUTS, G, ordered_terms, shapley_terms
from sgdtheory.theory.loss_change_allocation.naive import naive_allocation

NAMES = ("weight decay", "optimizer", "minibatch", "curvature", "quadrature")
"""The causes, in the order of `ordered_terms`."""
_SPLITS = {"ordered": ordered_terms, "shapley": shapley_terms}


@cache
def split_function(split: str) -> Callable[..., Array]:
    """Return the function of arrays that gives the naive allocation and the share of each cause.

    Parameters
    ----------
    split : {"ordered", "shapley"}
        The shares depend on the order in which the causes are let in; their sum does not.

    Returns
    -------
    callable
        Arrays in the place of `INPUTS`, which broadcast → array (6, ...): naive, then `NAMES`.

    Raises
    ------
    ArgumentError
        If there is no such split.

    Examples
    --------
    >>> parts = split_function("ordered")(0.1, 0.5, 1.0, -0.3, 2.0, 1.5, 1.25, 1.0)  # Δ = −0.3, q = 1
    >>> parts.round(3).tolist()
    [-0.4, -0.1, -0.1, 0.15, 0.075, 0.075]
    >>> round(float(parts.sum()), 12)
    -0.3
    """
    if split not in _SPLITS:
        raise ArgumentError("split", split, " | ".join(_SPLITS))
    compiled = on_arrays(INPUTS, [naive_allocation(G), *_SPLITS[split]().values()])

    def evaluate(*arrays: Any) -> Array:
        return np.stack(np.broadcast_arrays(*compiled(*arrays))).astype(np.float64)

    return evaluate
