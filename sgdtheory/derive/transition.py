"""Chains on a line with normal steps, w' ~ N(m(w), s(w)²): long runs and waiting times without random numbers.

The law is carried on an equally spaced grid. Sums over it are trapezoid sums of smooth functions that vanish at both
ends, so they converge faster than any power of the spacing once it is below the narrowest step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sgdtheory.errors import ArgumentError

Vector = NDArray[np.float64]
Field = Callable[[Vector], Vector]
_COARSEST = 1.0  # with the standard deviation of a step this many spacings wide, sums over it are right to 10⁻⁸


def transition_matrix(mean: Field, std: Field, grid: Vector) -> NDArray[np.float64]:
    """Return P with P[i, j] the probability of a step from grid point i to the cell of grid point j.

    Rows near the ends sum to less than 1: what leaves the grid is lost.

    Parameters
    ----------
    mean, std : callable
        m(w) and s(w) > 0, on arrays.
    grid : array, shape (n,)
        Equally spaced, increasing.

    Returns
    -------
    array, shape (n, n)

    Raises
    ------
    ArgumentError
        If a step's standard deviation is below the spacing: its law would fall between the points.

    Examples
    --------
    >>> walk = transition_matrix(lambda w: w, np.ones_like, np.linspace(-9, 9, 37))
    >>> round(float(walk[18].sum()), 12), round(float(walk[0].sum()), 2)
    (1.0, 0.6)
    """
    spacing, spread = float(grid[1] - grid[0]), std(grid)
    if spread.min() < _COARSEST * spacing:
        raise ArgumentError("grid", f"spacing {spacing:.3g}", f"at most {spread.min() / _COARSEST:.3g}", "add points")
    scaled = (grid[None, :] - mean(grid)[:, None]) / spread[:, None]
    density: NDArray[np.float64] = np.exp(-(scaled**2) / 2) / (np.sqrt(2 * np.pi) * spread[:, None])
    return density * spacing


def stationary_law(mean: Field, std: Field, grid: Vector) -> Vector:
    """Return the long-run probabilities of the grid's points.

    Parameters
    ----------
    mean, std : callable
        m(w) and s(w) > 0, on arrays.
    grid : array, shape (n,)
        Equally spaced, increasing, wide enough to hold all but a negligible part of the law.

    Returns
    -------
    array, shape (n,)
        Sums to 1.

    Raises
    ------
    ArgumentError
        If the grid is too coarse, or loses more than 10⁻⁶ of its law in a step.

    Examples
    --------
    >>> grid = np.linspace(-8, 8, 201)
    >>> law = stationary_law(lambda w: 0.6 * w, lambda w: 0.8 + 0 * w, grid)
    >>> round(float(law @ grid**2), 9)
    1.0
    """
    matrix = transition_matrix(mean, std, grid)
    ones = np.ones_like(grid)
    kept = matrix.sum(1)
    # probabilities sum to 1: the last of the equations p(P − 1) = 0, which depends on the others, makes room
    system = ((matrix / kept[:, None]).T - np.eye(grid.size)).copy()
    system[-1] = ones
    law: Vector = np.linalg.solve(system, (np.arange(grid.size) == grid.size - 1).astype(float))
    lost = float(law @ (1 - kept))
    if lost > 1e-6:
        raise ArgumentError("grid", f"one that loses {lost:.1e} of its law a step", "at most 1e-06", "make it wider")
    return law


def exit_steps(mean: Field, std: Field, grid: Vector) -> Vector:
    """Return the mean number of steps until the chain leaves the cells of the grid, from each of its points.

    The interval ends half a spacing beyond the first and the last point; τ = 1 + Pτ inside, 0 outside.

    Parameters
    ----------
    mean, std : callable
        m(w) and s(w) > 0, on arrays.
    grid : array, shape (n,)
        Equally spaced, increasing: the middles of the interval's cells.

    Returns
    -------
    array, shape (n,)

    Raises
    ------
    ArgumentError
        If the grid is too coarse.

    Examples
    --------
    >>> cells = np.linspace(-1, 1, 41)
    >>> leaps = exit_steps(lambda w: 0 * w, lambda w: 1e3 + 0 * w, cells)  # out at the first step, nearly always
    >>> round(float(leaps[20]), 2)
    1.0
    """
    matrix = transition_matrix(mean, std, grid)
    return np.asarray(np.linalg.solve(np.eye(grid.size) - matrix, np.ones_like(grid)))
