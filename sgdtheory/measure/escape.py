"""How fast runs escape: a rate with its error, from runs of which some never do and some diverge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgdtheory.errors import ArgumentError

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]
_NOT_RUN = -2


@dataclass(frozen=True)
class Escape:
    """The fates of an ensemble and the rate of escape.

    Parameters
    ----------
    escaped, diverged, stayed : int
        Runs by what became of them first. They are all that were at risk at the first step that counts.
    risk : int
        Steps taken by runs that had neither escaped nor diverged, together.
    rate : float
        Escapes a step at risk.
    interval : (float, float)
        In which the rate lies with the confidence asked for.
    escaped_share, diverged_share : array, shape (steps + 1,)
        Share of all runs that had escaped, or diverged, by each step (their cumulative incidence).
    constancy : float
        p-value of the hypothesis that the rate is the same in the first and in the second half of the time at risk;
        if it is small, no single rate describes these runs.
    """

    escaped: int
    diverged: int
    stayed: int
    risk: int
    rate: float
    interval: tuple[float, float]
    escaped_share: Array
    diverged_share: Array
    constancy: float

    @property
    def survival(self) -> Array:
        """Share of the runs that had neither escaped nor diverged by each step."""
        return np.asarray(1 - self.escaped_share - self.diverged_share)

    @property
    def mean_steps(self) -> float:
        """Mean number of steps to escape if the rate stays what it is and nothing diverges, 1/rate."""
        return 1 / self.rate if self.rate > 0 else np.inf

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.rate:.4g} a step ({low:.4g} to {high:.4g}): {self.escaped} escaped, {self.diverged} diverged, "
            f"{self.stayed} stayed"
        )


def escape(run: xr.Dataset, event: str, *, after: int = 0, confidence: float = 0.95) -> Escape:
    """Estimate the rate at which runs escape.

    A run that has not escaped by the end counts for the steps it stayed (it is censored), one that diverges for the
    steps until then. The rate is the number of escapes over the time at risk, the most likely rate of an exponential
    waiting time; its interval is exact for a Poisson number of escapes in that time (χ², Garwood 1936).

    Parameters
    ----------
    run : xarray.Dataset
        Of `simulate`, one point of a sweep at a time, with this event.
    event : str
        Name of the event that means escape. A run that diverges passes through large values first: let the condition
        exclude them, as in ``And(w > barrier, w < wall)``, so that they do not count as escaped.
    after : int
        Only steps beyond this one count, and only runs that are still at risk there: before, they forget their start.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    Escape

    Raises
    ------
    ArgumentError
        If the run has no such event, is still a sweep, or nobody is at risk after `after`.

    Examples
    --------
    >>> import sympy as sp
    >>> from sgdtheory import SGD, landscape, simulate
    >>> walk = landscape("0*w", ["w"], noise_std=1)
    >>> w = sp.Symbol("w", real=True)
    >>> run = simulate(walk, SGD(lr=0.1), steps=400, replicas=500, init=0, events={"out": w**2 > 1}, rng=0)
    >>> found = escape(run, "out", after=50)
    >>> found.interval[0] < 0.011 < found.interval[1], found.diverged  # π²D/4(1 + 0.58 η)², D = η²/2
    (True, 0)
    """
    from scipy.stats import chi2

    first, failed, steps = _facts(run, event)
    if not isinstance(after, (int, np.integer)) or not 0 <= after < steps:
        raise ArgumentError("after", after, f"a step from 0 to {steps - 1}")
    if not 0 < confidence < 1:
        raise ArgumentError("confidence", confidence, "a number between 0 and 1")
    out = (first >= 0) & ((failed < 0) | (first < failed))
    lost = (failed >= 0) & ~out
    ends = np.where(out, first, np.where(lost, failed, steps))
    at_risk = ends > after
    if not at_risk.any():
        raise ArgumentError("after", after, "a step at which some runs are at risk", "take an earlier one")
    times = ends[at_risk] - after
    events, risk = int(out[at_risk].sum()), int(times.sum())
    tail = (1 - confidence) / 2
    interval = (
        float(chi2.ppf(tail, 2 * events) / 2 / risk) if events else 0.0,
        float(chi2.isf(tail, 2 * events + 2) / 2 / risk),
    )
    grid = np.arange(steps + 1)
    return Escape(
        events,
        int(lost[at_risk].sum()),
        int(at_risk.sum()) - events - int(lost[at_risk].sum()),
        risk,
        events / risk,
        interval,
        np.searchsorted(np.sort(ends[out]), grid, side="right") / first.size,
        np.searchsorted(np.sort(ends[lost]), grid, side="right") / first.size,
        _constancy(times, out[at_risk]),
    )


def _facts(run: xr.Dataset, event: str) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return the step of the event, that of divergence, and the number of steps, without runs that were not run."""
    if event not in run or "diverged_at" not in run or run[event].dims != ("replica",):
        known = [str(name) for name in run.data_vars if run[name].dims == ("replica",) and name != "diverged_at"]
        fix = "run.isel(lr=0) takes one point of a sweep; simulate(..., events={...}) records events"
        raise ArgumentError("event", event, f"an event of one ensemble: {', '.join(known) or 'this has none'}", fix)
    first, failed = run[event].values, run.diverged_at.values
    done = failed != _NOT_RUN
    return first[done], failed[done], int(run.step.values[-1])


def _constancy(times: NDArray[np.int64], out: NDArray[np.bool_]) -> float:
    """Compare the escapes in both halves of the time at risk; given their sum, those in the first are binomial."""
    from scipy.stats import binomtest

    ordered = np.sort(times)
    # risk up to time t is Σ min(times, t); half of it is reached at this time
    levels = np.arange(1, int(ordered[-1]) + 1)
    alive = times.size - np.searchsorted(ordered, levels, side="left")
    reached = np.cumsum(alive)
    half = int(np.searchsorted(reached, reached[-1] / 2)) + 1
    share = float(reached[half - 1] / reached[-1])
    total = int(out.sum())
    if total == 0 or share >= 1:
        return 1.0
    early = int((times[out] <= half).sum())
    return float(binomtest(early, total, share).pvalue)
