"""Calibrated tests: each has a share of the false-alarm budget and a smallest error it is built to detect."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgdtheory.verify.verdict import Verdict

FALSE_ALARM_BUDGET = 1e-6
"""Probability that a whole run of the ledger refutes a true statement by bad luck."""
MISS = 1e-3
"""Probability that one check misses an error as large as its resolution."""


@dataclass(frozen=True)
class Comparison:
    """The outcome of a two-sided test of one number.

    Parameters
    ----------
    estimate, predicted : float
    p_value : float
        Probability, under the statement, of an estimate at least as far off.
    alpha : float
        The statement is refuted below this.
    samples : int
    detectable : float
        Relative error found with probability 1 − `MISS` at this sample size.
    """

    estimate: float
    predicted: float
    p_value: float
    alpha: float
    samples: int
    detectable: float

    def verdict(self, resolution: float) -> Verdict:
        """REFUTED below alpha; SUPPORTED only if an error of `resolution` would have been seen."""
        if not self.p_value >= self.alpha:
            return Verdict.REFUTED
        return Verdict.SUPPORTED if self.detectable <= resolution else Verdict.UNDECIDED


def normal_quantile(tail: float) -> float:
    """Return z with P(N > z) = tail."""
    from scipy.special import ndtri

    return float(-ndtri(tail))


def _separation(alpha: float) -> float:
    """Distance, in standard errors, at which a two-sided test at alpha misses with probability `MISS`."""
    return normal_quantile(alpha / 2) + normal_quantile(MISS)


def variance_samples(resolution: float, alpha: float) -> int:
    """Return the sample size for a relative error of a normal variance, in either direction.

    On the logarithmic scale an estimated variance has standard error √(2/n); an error by the factor 1 + r is
    log(1 + r) away.
    """
    return math.ceil(2 * (_separation(alpha) / math.log1p(resolution)) ** 2) + 2


def variance_test(values: NDArray[np.float64], predicted: float, alpha: float) -> Comparison:
    """Test the variance of independent normal values by its exact law, (n − 1)S²/V ~ χ²(n − 1)."""
    from scipy.special import gammainc, gammaincc

    n = len(values)
    estimate = float(np.var(values, ddof=1))
    detectable = math.expm1(_separation(alpha) * math.sqrt(2 / (n - 1)))
    if not (math.isfinite(predicted) and predicted > 0):
        return Comparison(estimate, predicted, 0.0, alpha, n, detectable)
    half, dof = (n - 1) * estimate / predicted / 2, (n - 1) / 2
    tail = np.minimum(gammainc(dof, half), gammaincc(dof, half))
    p_value = float(np.minimum(1.0, 2 * tail))  # numpy's minimum hands a NaN on
    return Comparison(estimate, predicted, p_value, alpha, n, detectable)


def mean_samples(pilot: NDArray[np.float64], resolution: float, alpha: float) -> int:
    """Return the sample size for a relative error of a mean, from a pilot's mean and spread."""
    spread = float(np.std(pilot, ddof=1)) / max(abs(float(np.mean(pilot))), np.finfo(float).tiny)
    # a tenth more, because the pilot's ratio is itself an estimate
    return math.ceil(1.1 * (_separation(alpha) * spread / resolution) ** 2) + 2


def mean_test(values: NDArray[np.float64], predicted: float, alpha: float) -> Comparison:
    """Test a mean of independent values by the central limit theorem."""
    from scipy.special import ndtr

    n = len(values)
    estimate = float(np.mean(values))
    error = float(np.std(values, ddof=1)) / math.sqrt(n)
    detectable = _separation(alpha) * error / abs(estimate) if estimate else math.inf
    if error == 0 or not math.isfinite(predicted):
        return Comparison(estimate, predicted, float(estimate == predicted), alpha, n, detectable)
    p_value = 2 * float(ndtr(-abs(estimate - predicted) / error))
    return Comparison(estimate, predicted, p_value, alpha, n, detectable)
