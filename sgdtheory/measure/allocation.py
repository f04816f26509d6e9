"""Loss change allocation: what each parameter's move did to the loss, along the straight segments of a path."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError

Array = NDArray[np.float64]


def allocate(path: ArrayLike, gradient: Callable[[Array], Array], nodes: int = 8) -> Array:
    """Allocate every step's loss change to the parameters, A_i = ∫ ∂L/∂w_i dw_i along the straight segment.

    The mean gradient of a segment is taken by Gauss–Legendre quadrature, exact for losses of degree ≤ 2·nodes.
    A < 0: the parameter's move lowered the loss; summed over parameters, A is the loss change (see `residual`).

    Parameters
    ----------
    path : array_like, shape (..., T + 1, d)
        Positions after 0, 1, …, T steps, such as ``run.w`` of `simulate`, every step recorded.
    gradient : callable
        ∇L, w of shape (..., d) → shape (..., d), such as ``numeric_loss(problem).gradient``.
    nodes : int
        Quadrature nodes a segment, ≥ 1.

    Returns
    -------
    ndarray, shape (..., T, d)
        In units of the loss; NaN where an end of the segment is not finite.

    Raises
    ------
    ArgumentError
        If the path has fewer than two points, or `nodes` is no whole number ≥ 1.

    References
    ----------
    Lan, Liu, Zhou, Yosinski (2019), LCA: Loss Change Allocation for Neural Network Training.

    Examples
    --------
    >>> allocate([[0.0, 0.0], [1.0, 1.0]], lambda w: w[..., ::-1])  # L = w1·w2: half each
    array([[0.5, 0.5]])
    """
    if not isinstance(nodes, (int, np.integer)) or isinstance(nodes, bool) or nodes < 1:
        raise ArgumentError("nodes", nodes, "a whole number >= 1")
    points = np.asarray(path, dtype=np.float64)
    if points.ndim < 2 or points.shape[-2] < 2:
        raise ArgumentError("path", f"shape {points.shape}", "shape (..., T + 1, d) with T >= 1", "record every step")
    ends = np.isfinite(points).all(axis=-1, keepdims=True)
    finite = np.where(ends, points, np.nan)  # a diverged run says NaN, without infinity minus infinity
    start, move = finite[..., :-1, :], np.diff(finite, axis=-2)
    abscissae, weights = np.polynomial.legendre.leggauss(nodes)
    mean = sum(w / 2 * gradient(start + (1 + x) / 2 * move) for x, w in zip(abscissae, weights, strict=True))
    return np.asarray(mean * move)


def residual(allocation: ArrayLike, losses: ArrayLike) -> Array:
    """Return by how much the allocations of every step miss its loss change, Σ_i A_i − (L(w') − L(w)).

    Zero up to quadrature and rounding errors: the check that an allocation conserves the loss.

    Parameters
    ----------
    allocation : array_like, shape (..., T, d)
    losses : array_like, shape (..., T + 1)
        L along the path.

    Returns
    -------
    ndarray, shape (..., T)
        In units of the loss.

    Raises
    ------
    ArgumentError
        If the shapes do not belong to one path.

    Examples
    --------
    >>> residual([[0.5, 0.25]], [0.0, 1.0])
    array([-0.25])
    """
    parts, values = np.asarray(allocation, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if values.ndim < 1 or parts.shape[:-1] != (*values.shape[:-1], values.shape[-1] - 1):
        shapes = f"shapes {parts.shape} and {values.shape}"
        raise ArgumentError(
            "allocation, losses", shapes, "shapes (..., T, d) and (..., T + 1)", "losses at every point"
        )
    return np.asarray(parts.sum(axis=-1) - np.diff(values, axis=-1))
