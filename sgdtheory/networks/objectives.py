"""Objectives: the loss of every example, and its slope, from what a network says and what it should have said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError

Numbers = NDArray[Any]


@dataclass(frozen=True)
class Objective:
    """A loss of one example.

    Parameters
    ----------
    name : str
    loss : callable
        Outputs (..., k), targets (..., k) → (...).
    slope : callable
        Its derivative by the outputs, (..., k).
    convention : str
        The formula, with its constants.
    """

    name: str
    loss: Callable[[Numbers, Numbers], Numbers]
    slope: Callable[[Numbers, Numbers], Numbers]
    convention: str


def _softmax(outputs: Numbers) -> tuple[Numbers, Numbers]:
    """Return probabilities and log normalisers; analytic, the shift being by a real number."""
    shift = outputs.real.max(axis=-1, keepdims=True)
    weights = np.exp(outputs - shift)
    total = weights.sum(axis=-1, keepdims=True)
    return weights / total, (np.log(total) + shift)[..., 0]


def _softplus(z: Numbers) -> Numbers:
    up = z.real > 0
    return np.asarray(np.log1p(np.exp(np.where(up, -z, z))) + z * up)


def _logistic(z: Numbers) -> Numbers:
    up = z.real > 0
    small = np.exp(np.where(up, -z, z))
    return np.asarray(np.where(up, 1, small) / (1 + small))


def _cross_entropy(z: Numbers, y: Numbers) -> Numbers:
    return np.asarray(_softmax(z)[1] - (z * y).sum(axis=-1))


def _cross_entropy_slope(z: Numbers, y: Numbers) -> Numbers:
    return np.asarray(_softmax(z)[0] - y)


def _squared_error(z: Numbers, y: Numbers) -> Numbers:
    return np.asarray(((z - y) ** 2).sum(axis=-1) / 2)


def _independent(z: Numbers, y: Numbers) -> Numbers:
    return np.asarray((_softplus(z) - z * y).sum(axis=-1))


def _independent_slope(z: Numbers, y: Numbers) -> Numbers:
    return np.asarray(_logistic(z) - y)


# functions with names, so that a network can be sent to other processes
CROSS_ENTROPY = Objective(
    "cross-entropy", _cross_entropy, _cross_entropy_slope, "−log softmax(z) of the label, natural logarithm"
)
SQUARED_ERROR = Objective("squared error", _squared_error, np.subtract, "½|z − y|²")
INDEPENDENT_LABELS = Objective(
    "independent labels",
    _independent,
    _independent_slope,
    "Σ_k log(1 + e^z_k) − y_k z_k, natural logarithm",
)
OBJECTIVES = {o.name: o for o in (CROSS_ENTROPY, SQUARED_ERROR, INDEPENDENT_LABELS)}


def targets(y: ArrayLike, objective: Objective) -> NDArray[np.float64]:
    """Return targets of shape (n, k): classes one-hot, numbers as a column.

    Raises
    ------
    ArgumentError
        If they are not what the objective takes.
    """
    given = np.asarray(y)
    if given.dtype.kind not in "biuf" or not np.isfinite(given.astype(np.float64)).all():
        raise ArgumentError("y", y, "finite real numbers", "drop or repair the example")
    if objective == CROSS_ENTROPY:
        if given.ndim != 1 or given.dtype.kind not in "iu" or (given.size and given.min() < 0):
            raise ArgumentError("y", f"shape {given.shape}, {given.dtype}", "classes 0, 1, …, shape (n,)")
        return np.asarray(np.eye(int(given.max()) + 1)[given])
    columns = given.astype(np.float64).reshape(len(given), -1) if given.ndim else given.reshape(1, 1)
    if objective == INDEPENDENT_LABELS and not np.isin(columns, (0, 1)).all():
        raise ArgumentError("y", y, "labels 0 or 1, shape (n,) or (n, k)")
    return columns
