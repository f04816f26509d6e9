"""The spectral norm of a Hessian that is only given by its products with vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.measure.loss import checked_points
from sgdtheory.measure.protocol import Array, Loss

_LARGEST_DENSE = 256  # parameters up to which the matrix is formed


def hessian_norm(loss: Loss, w: ArrayLike, batch: ArrayLike | None = None) -> Array:
    """Return the spectral norm ‖H‖, the largest absolute eigenvalue, of a loss or of batches of it.

    Up to 256 parameters from the whole matrix; beyond, by Lanczos iteration, which from below is close to it.

    Parameters
    ----------
    loss : Loss
    w : array_like, shape (..., d)
    batch : int array, shape (..., B), optional

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    >>> from sgdtheory import landscape, numeric_loss
    >>> hessian_norm(numeric_loss(landscape("w1**2 - 2*w2**2", ["w1", "w2"])), [[0.0, 0.0]])
    array([4.])
    """
    d = loss.dimension
    points = checked_points(w, d)
    if d > _LARGEST_DENSE:
        return _lanczos(loss, points, batch)
    numbers = None if batch is None else np.asarray(batch)[..., np.newaxis, :]
    columns = loss.hvp(points[..., np.newaxis, :], np.eye(d), numbers)
    return np.asarray(np.abs(np.linalg.eigvalsh((columns + np.swapaxes(columns, -1, -2)) / 2)).max(axis=-1))


def _lanczos(loss: Loss, points: Array, batch: ArrayLike | None) -> Array:
    """Return the spectral norms of large Hessians, of one point and batch after the other."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    d = loss.dimension
    rows = np.zeros((0,), dtype=np.int64) if batch is None else np.asarray(batch)
    lead = np.broadcast_shapes(points.shape[:-1], rows.shape[:-1])
    norms = np.empty(lead)
    for index in np.ndindex(lead):
        point = np.broadcast_to(points, (*lead, d))[index]
        numbers = None if batch is None else np.broadcast_to(rows, (*lead, rows.shape[-1]))[index]

        def product(v: Array, at: Array = point, batch: NDArray[np.int64] | None = numbers) -> Array:
            return loss.hvp(at, np.ravel(v), batch)

        operator = LinearOperator((d, d), product, dtype=np.float64)
        (value,) = eigsh(operator, k=1, which="LM", v0=np.ones(d), return_eigenvectors=False)
        norms[index] = abs(float(value))
    return norms
