"""The loss protocol: value, gradient and Hessian of a population loss as functions of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.problem import Problem

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NumericLoss:
    """A loss as functions of arrays, vectorised over leading axes.

    Parameters
    ----------
    dimension : int
        Number of coordinates d.
    value : callable
        w, shape (..., d) → L, shape (...).
    gradient : callable
        w, shape (..., d) → ∇L, shape (..., d).
    hessian : callable
        w, shape (..., d) → ∇²L, shape (..., d, d); at a kink, where it is infinite, the regular part.
    """

    dimension: int
    value: Callable[[ArrayLike], Array]
    gradient: Callable[[ArrayLike], Array]
    hessian: Callable[[ArrayLike], Array]

    def sharpness(self, w: ArrayLike) -> Array:
        """Return the largest Hessian eigenvalue λmax(w), shape (...); NaN where the Hessian is not finite."""
        h = self.hessian(w)
        finite = np.asarray(np.isfinite(h).all(axis=(-2, -1)))
        largest = np.linalg.eigvalsh(np.where(finite[..., np.newaxis, np.newaxis], h, 0.0))[..., -1]
        return np.asarray(np.where(finite, largest, np.nan), dtype=np.float64)


def numeric_loss(problem: Problem) -> NumericLoss:
    """Compile the population loss of a problem for arrays.

    Parameters
    ----------
    problem : Problem
        Every parameter bound; the population loss in closed form.

    Returns
    -------
    NumericLoss

    Raises
    ------
    ArgumentError
        If a parameter has no value.
    NoClosedFormError
        If the population loss has no closed form.

    Examples
    --------
    >>> from sgdtheory import landscape
    >>> loss = numeric_loss(landscape("w1**2 + w2**4", ["w1", "w2"]))
    >>> loss.gradient([[1.0, 2.0]])
    array([[ 2., 32.]])
    """
    if problem.free_parameters:
        names = ", ".join(s.name for s in problem.free_parameters)
        raise ArgumentError("problem", f"parameters without value: {names}", "numbers", "problem.bind(name=value)")
    values = dict(problem.parameters)
    loss = problem.loss.xreplace(values)
    w = problem.coordinates
    return NumericLoss(
        len(w),
        _vectorised([loss], w, ()),
        _vectorised([sp.diff(loss, x) for x in w], w, (len(w),)),
        _vectorised([h.replace(sp.DiracDelta, _nothing) for h in sp.hessian(loss, w)], w, (len(w), len(w))),
    )


def _nothing(*_: sp.Expr) -> sp.Expr:
    return sp.S.Zero


def _vectorised(
    expressions: Sequence[sp.Expr], coordinates: Sequence[sp.Symbol], shape: tuple[int, ...]
) -> Callable[[ArrayLike], Array]:
    names = [sp.Symbol(f"w{i}", real=True) for i in range(len(coordinates))]  # no user-chosen name reaches source
    canonical = dict(zip(coordinates, names, strict=True))
    function = sp.lambdify(names, [e.xreplace(canonical) for e in expressions], modules=["scipy", "numpy"], cse=True)

    def evaluate(w: ArrayLike) -> Array:
        points = np.asarray(w, dtype=np.float64)
        if points.shape[-1:] != (len(names),):
            raise ArgumentError("w", f"shape {points.shape}", f"shape (..., {len(names)})", "last axis: coordinates")
        rows = function(*np.moveaxis(points, -1, 0))
        stacked = np.stack([np.broadcast_to(r, points.shape[:-1]) for r in rows], axis=-1).astype(np.float64)
        return stacked.reshape(points.shape[:-1] + shape)

    return evaluate
