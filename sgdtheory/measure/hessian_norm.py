"""The spectral norm of a Hessian that is only given by its products with vectors."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from sgdtheory.measure.loss import checked_points, custom_loss
from sgdtheory.measure.protocol import Array, Loss
from sgdtheory.measure.spectrum import extreme_eigenvalues

_LARGEST_DENSE = 256  # parameters up to which the matrix is formed


def hessian_norm(loss: Loss, w: ArrayLike, batch: ArrayLike | None = None) -> Array:
    """Return the spectral norm ‖H‖, the largest absolute eigenvalue, of a loss or of batches of it.

    Up to 256 parameters from the whole matrix; beyond, both ends of the spectrum by `extreme_eigenvalues`.

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
    d, numbers = loss.dimension, None if batch is None else np.asarray(batch)
    lead = np.broadcast_shapes(points.shape[:-1], () if numbers is None else numbers.shape[:-1])
    norms = np.empty(lead)
    for index in np.ndindex(lead):
        here = None if numbers is None else np.broadcast_to(numbers, (*lead, numbers.shape[-1]))[index]
        value, gradient, product = (partial(f, batch=here) for f in (loss.value, loss.gradient, loss.hvp))
        ends = extreme_eigenvalues(
            custom_loss(value, gradient, loss.layout, product), np.broadcast_to(points, (*lead, d))[index]
        )
        norms[index] = max(abs(ends.smallest), abs(ends.largest))
    return norms
