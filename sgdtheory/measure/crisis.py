"""The learning rate at which gradient descent by itself leaves the basin of a minimum on a line."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from sgdtheory.errors import ArgumentError
from sgdtheory.measure.loss import NumericLoss, numeric_loss
from sgdtheory.problem import Problem

_PARTS = 200


def crisis_limit(problem: Problem, at: float = 0.0) -> float:
    """Return the learning rate of the boundary crisis of a minimum.

    One step f(w) = w − ηL'(w) folds the basin at a turning point c beside the minimum, f'(c) = 0. Orbits stay as long
    as f(c) does not pass the maximum across the minimum, nor f(f(c)) the one on the side of c; both are repelling fixed
    points. Beyond 2/L'' orbits cycle or wander, and only beyond this limit they leave.

    Parameters
    ----------
    problem : Problem
        One coordinate, every parameter bound. Its population loss is used.
    at : float
        The minimum.

    Returns
    -------
    float
        η; infinite if there is none below 20/L'', or no maximum on either side.

    Raises
    ------
    ArgumentError
        If the problem has more than one coordinate, `at` is no minimum with positive curvature, or its fold is thrown
        out even where the minimum is stable: then what orbits from beside it do depends on more than the fold.

    Examples
    --------
    >>> from sgdtheory import landscape
    >>> well = landscape("(w**2 - 1)**2/4", ["w"])
    >>> round(crisis_limit(well, at=1), 6)  # f(c) = −√3·… : the maximum at 0 is reached
    1.598076
    """
    if not isinstance(problem, Problem) or problem.dimension != 1:
        raise ArgumentError("problem", problem, "a Problem with one coordinate")
    loss = numeric_loss(problem.population())
    curvature, slope = _curvature(loss, at), _slope(loss, at)
    if not (curvature > 0 and abs(slope) < 1e-6 * curvature * max(1.0, abs(at))):
        raise ArgumentError("at", at, "a minimum with positive curvature")
    barriers = {direction: _barrier(loss, at, direction) for direction in (-1.0, 1.0)}
    return min(_side(loss, at, curvature, direction, barriers) for direction in barriers)


def _slope(loss: NumericLoss, w: float) -> float:
    return float(loss.gradient(np.array([w]))[0])


def _curvature(loss: NumericLoss, w: float) -> float:
    return float(loss.hessian(np.array([w]))[0, 0])


def _side(
    loss: NumericLoss, minimum: float, curvature: float, direction: float, barriers: dict[float, float | None]
) -> float:
    """Return the limit at which orbits that pass the fold on one side leave."""
    from scipy.optimize import brentq

    barrier, across = barriers[direction], barriers[-direction]
    if barrier is None:
        return math.inf

    def beyond(lr: float) -> float:
        """Return how far the images of the fold lie beyond the barriers."""
        between = minimum + (barrier - minimum) * np.linspace(0, 1, _PARTS + 1)
        bends = 1 - lr * loss.hessian(between[:, np.newaxis])[:, 0, 0]
        turn = int(np.argmax(bends >= 0))
        w = brentq(lambda place: 1 - lr * _curvature(loss, place), between[turn - 1], between[turn], xtol=1e-14)
        first = w - lr * _slope(loss, w)
        second = first - lr * _slope(loss, first)
        excess = float(direction * (second - barrier))
        return excess if across is None else max(excess, float(direction * (across - first)))

    rates = np.geomspace(2, 20, 47) / curvature
    if beyond(rates[0]) >= 0:
        allowed = "a minimum whose fold does not leave at 2/L''"
        raise ArgumentError("at", minimum, allowed, "follow orbits from beside it with bifurcation(...)")
    for low, high in pairwise(rates):
        if beyond(high) >= 0:
            return float(brentq(beyond, low, high, xtol=1e-14))
    return math.inf


def _barrier(loss: NumericLoss, minimum: float, direction: float) -> float | None:
    """Return the nearest critical point on one side at which the slope turns back, if there is one near enough."""
    from scipy.optimize import brentq

    scale = max(1.0, abs(minimum))
    steps = np.geomspace(1e-4, 100, 2000) * scale
    inward = direction * loss.gradient((minimum + direction * steps)[:, np.newaxis])[:, 0] < 0
    if not inward.any() or inward[0]:
        return None
    k = int(np.argmax(inward))
    return float(brentq(lambda w: _slope(loss, w), *(minimum + direction * steps[[k - 1, k]]), xtol=1e-14))
