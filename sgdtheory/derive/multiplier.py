"""Random multipliers, w' = aw: how fast almost every run grows, and the exponent of the tail that they make.

The law of log|a| stands here as points with weights. Where it has a density the points are those of the trapezoidal
rule in variables in which the integrands are smooth and fall off at least exponentially, also at a = 0, where log|a| is
singular: for such integrands the rule is exact but for rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.derive.search import bisect
from sgdtheory.errors import ArgumentError

Array = NDArray[np.float64]
_STEP = 0.01
_NARROWEST = 1e-4
_HIGHEST = 10_000.0  # the integrands' peaks have the width 1/√κ, and need a point or more each


@dataclass(frozen=True, eq=False)
class Multiplier:
    """The law of a random factor a, as E f(log|a|) = Σ exp(log_weights)·f(logs).

    Parameters
    ----------
    logs : ndarray, shape (n,)
        log|a|; −∞ where a = 0.
    log_weights : ndarray, shape (n,)

    Examples
    --------
    >>> fair = discrete_multiplier([0.5, 1.5])
    >>> round(fair.growth(), 6), round(fair.tail_exponent(), 6)
    (-0.143841, 1.0)
    """

    logs: Array
    log_weights: Array

    def growth(self) -> float:
        """Return Λ = E log|a|, by which log|w| of almost every run grows a step."""
        return float(np.exp(self.log_weights) @ self.logs)

    def log_moment(self, order: float) -> float:
        """Return log E|a|^κ, κ > 0: convex in κ, and 0 at κ = 0."""
        return float(np.logaddexp.reduce(order * self.logs + self.log_weights))

    def slope(self, order: float) -> float:
        """Return E|a|^κ log|a|/E|a|^κ, the derivative of `log_moment`."""
        seen = self.logs > -np.inf
        weights = np.exp(order * self.logs[seen] + self.log_weights[seen] - self.log_moment(order))
        return float(weights @ self.logs[seen])

    def tail_exponent(self) -> float:
        """Return κ > 0 with E|a|^κ = 1; 0 if there is none because Λ ≥ 0, ∞ because |a| ≤ 1.

        Raises
        ------
        ArgumentError
            If it is above 10⁴.
        """
        if self.growth() >= 0:
            return 0.0
        if self.logs.max() <= 0:
            return math.inf
        high = 1.0
        while self.log_moment(high) < 0:
            high *= 2
            if high > _HIGHEST:
                raise ArgumentError("lr", f"a tail exponent above {_HIGHEST:g}", "a larger learning rate")
        low = high / 2
        while self.log_moment(low) >= 0:
            low /= 2
        return bisect(self.log_moment, low, high)


def discrete_multiplier(values: ArrayLike) -> Multiplier:
    """Return the law of a factor that is any of the values with equal odds.

    Examples
    --------
    >>> discrete_multiplier([0.5, 0.25]).tail_exponent()
    inf
    """
    sizes = np.abs(np.asarray(values, dtype=np.float64)).ravel()
    with np.errstate(divide="ignore"):
        return Multiplier(np.log(sizes), np.full(len(sizes), -math.log(len(sizes))))


def chi_square_multiplier(constant: float, slope: float, dof: float) -> Multiplier:
    """Return the law of a = constant + slope·s, s ~ χ² with so many degrees of freedom; slope ≠ 0.

    Examples
    --------
    >>> round(chi_square_multiplier(1, -2 / 3, 1).tail_exponent(), 10)
    2.0
    """
    t, step = _grid(math.sqrt(2 / dof))

    def log_density(log_s: Array) -> Array:
        return np.asarray((dof / 2 - 1) * log_s - np.exp(log_s) / 2 - dof / 2 * math.log(2) - math.lgamma(dof / 2))

    zero = -constant / slope
    if zero <= 0:  # a has none: s = e^t
        return Multiplier(np.log(np.abs(constant + slope * np.exp(t))), log_density(t) + t + math.log(step))
    # below the zero of a, s = zero/(1 + e^(−t)); above it s = zero + e^t
    share, rest, log_zero = -np.log1p(np.exp(-t)), -np.log1p(np.exp(t)), math.log(zero)
    logs = math.log(abs(slope)) + np.concatenate([log_zero + rest, t])
    weights = [log_density(log_zero + share) + log_zero + share + rest, log_density(np.log(zero + np.exp(t))) + t]
    return Multiplier(logs, np.concatenate(weights) + math.log(step))


def normal_multiplier(mean: float, std: float) -> Multiplier:
    """Return the law of a normal factor, std > 0.

    Examples
    --------
    >>> round(normal_multiplier(0, 1).growth(), 6)  # −(γ + log 2)/2
    -0.635181
    """
    t, step = _grid(std / max(abs(mean), std))
    scale = t + math.log(std)  # |a| = std·e^t on either side of 0
    sides = [-((sign * np.exp(t) - mean / std) ** 2) / 2 + t for sign in (-1, 1)]
    weights = np.concatenate(sides) + math.log(step / math.sqrt(2 * math.pi))
    return Multiplier(np.concatenate([scale, scale]), weights)


def _grid(width: float) -> tuple[Array, float]:
    """Return points of the trapezoidal rule for a peak of this relative width, and their distance."""
    if not width >= _NARROWEST:
        allowed = f"a relative spread of the curvature of at least {_NARROWEST:g}"
        raise ArgumentError("batch_size", f"a relative spread of {width:.1e}", allowed, "treat it as a constant")
    step = min(_STEP, width / 2)
    return np.arange(-80, 40, step), step
