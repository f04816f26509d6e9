"""Newton's method on a problem: to the nearest stationary point, whatever its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.measure.loss import NumericLoss, numeric_loss
from sgdtheory.problem import Problem
from sgdtheory.simulation.arguments import ADDRESSES, whole
from sgdtheory.simulation.flow import positive, starts
from sgdtheory.simulation.provenance import versions

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]
_NONE = -1


def newton(problem: Problem, start: ArrayLike, *, lr: float = 1.0, steps: int = 50) -> xr.Dataset:
    """Iterate Newton's method on the population loss, w' = w − η(∇²L)⁻¹∇L.

    It seeks stationary points, not minima: near a saddle or a maximum it goes there, which `index` tells. At η = 1 it
    converges quadratically where the Hessian has an inverse at the end; at a degenerate minimum w^p only by the factor
    1 − η/(p − 1) a step.

    Parameters
    ----------
    problem : Problem
        Every parameter bound, a population loss in closed form.
    start : array_like, shape (n, d), or (d,) for one start; for d = 1 also a number or (n,)
        Starts are independent of each other.
    lr : float
        Damping η > 0; 1 is the full step.
    steps : int
        ≥ 1.

    Returns
    -------
    xarray.Dataset
        ``w`` (start, step, coordinate) and ``loss`` (start, step), NaN from where a run ended; ``singular_at`` (start):
        the step at which the Hessian had no inverse although the gradient was not 0, −1 if none; ``diverged_at``
        (start): the step whose position was not finite, −1 if none; ``index`` (start): the number of negative
        eigenvalues of the Hessian at the end, 0 at a minimum, 1 or more at a saddle, d at a maximum, −1 where the run
        ended early.

    Raises
    ------
    ArgumentError
        For a parameter without a value, a start that is not finite, or a number out of range.
    NoClosedFormError
        If the population loss has no closed form.

    References
    ----------
    McAllester (2018), TTIC 31230 lectures, slide Newton's method; claims MCA-23 and MCA-24.

    Examples
    --------
    >>> from sgdtheory import landscape
    >>> run = newton(landscape("x**2 - y**2 + y**4", ["x", "y"]), [1.0, 0.1], steps=5)
    >>> run.w.values[0, -1].round(9), run.index.values  # a saddle, though y = ±1/√2 are minima
    (array([0., 0.]), array([1]))
    """
    points = starts(start, problem)
    lr = positive("lr", lr)
    whole("steps", steps, 1, ADDRESSES)
    loss = numeric_loss(problem)
    with np.errstate(all="ignore"):  # where the loss overflows, the run ends, and says so
        path, singular, diverged = _iterate(loss, points, lr, steps)
        values, index = loss.value(path), _negative(loss, path[-1])
    import xarray as xr

    return xr.Dataset(
        {
            "w": (("start", "step", "coordinate"), path.swapaxes(0, 1)),
            "loss": (("start", "step"), values.T),
            "singular_at": (("start",), singular),
            "diverged_at": (("start",), diverged),
            "index": (("start",), index),
        },
        {
            "start": np.arange(len(points)),
            "step": np.arange(steps + 1),
            "coordinate": [w.name for w in problem.coordinates],
        },
        {
            "problem": problem.name,
            "population_loss": str(problem.loss),
            "loss_convention": problem.convention,
            "parameters": ", ".join(f"{s}={v}" for s, v in problem.parameters) or "none",
            "lr": lr,
            "versions": versions(),
        },
    )


def _iterate(
    loss: NumericLoss, points: Array, lr: float, steps: int
) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """Return the path (step, start, coordinate), and where each run met a singular Hessian or left the numbers."""
    path = np.full((steps + 1, *points.shape), np.nan)
    path[0] = points
    singular, diverged = np.full(len(points), _NONE), np.full(len(points), _NONE)
    for step in range(1, steps + 1):
        move, invertible = _move(loss, path[step - 1])
        after = path[step - 1] - lr * move
        finite = np.isfinite(after).all(axis=-1)
        going = (singular == _NONE) & (diverged == _NONE)
        singular[going & ~invertible] = step
        diverged[going & invertible & ~finite] = step
        fine = going & invertible & finite
        path[step, fine] = after[fine]
    return path, singular, diverged


def _move(loss: NumericLoss, w: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return H⁻¹g, and where it exists; where g is 0 the move is 0 even if H has no inverse."""
    gradient = loss.gradient(w)
    hessian, known = _finite_hessian(loss, w)
    known &= np.isfinite(gradient).all(axis=-1)
    sizes = np.abs(np.linalg.eigvalsh(hessian))
    regular = np.asarray(sizes.min(axis=-1) > sizes.shape[-1] * np.finfo(float).eps * sizes.max(axis=-1))
    resting = np.asarray((gradient == 0).all(axis=-1))
    invertible = np.where(regular[:, np.newaxis, np.newaxis], hessian, np.eye(w.shape[-1]))
    move = np.asarray(np.linalg.solve(invertible, gradient[..., np.newaxis])[..., 0], dtype=np.float64)
    move[resting], move[~known] = 0.0, np.nan
    return move, regular | resting | ~known  # what is not known is not finite, and counts as diverged


def _negative(loss: NumericLoss, w: Array) -> NDArray[np.int64]:
    """Count the negative eigenvalues of the Hessian; those that rounding cannot tell from 0 do not count."""
    hessian, known = _finite_hessian(loss, w)
    values = np.linalg.eigvalsh(hessian)
    floor = values.shape[-1] * np.finfo(float).eps * np.abs(values).max(axis=-1, keepdims=True)
    return np.where(known, (values < -floor).sum(axis=-1), _NONE)


def _finite_hessian(loss: NumericLoss, w: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return Hessians, 0 where one is not finite, and where they are."""
    hessian = loss.hessian(w)
    known = np.asarray(np.isfinite(hessian).all(axis=(-2, -1)))
    return np.where(known[:, np.newaxis, np.newaxis], hessian, 0.0), known
