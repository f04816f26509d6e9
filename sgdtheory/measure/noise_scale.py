"""Gradient noise scale B_simple = tr Σ/|G|² and the batch size B* it asks for, with error bars; per channel too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, ncfdtr, ndtri

from sgdtheory.errors import ArgumentError
from sgdtheory.problem import Problem
from sgdtheory.theory.lectures import batch_size as theory
from sgdtheory.theory.lectures.noise_scale import from_one_batch, from_two_batches

Array = NDArray[np.float64]
_CAUTION = "an estimated B* has an infinite mean (MCA-05): rely on the interval, do not average estimates"
_CLEAR = 1e6  # squared t value above which the error of the mean is nothing against that of the spread


@dataclass(frozen=True)
class NoiseScale:
    """A noise scale with its parts.

    Parameters
    ----------
    noise_scale : float
        B_simple = tr Σ/|G|², examples; ∞ where the estimate of |G|² is not positive.
    interval : (float, float)
        Confidence interval of it.
    squared_gradient, noise_trace : float
        |G|² and tr Σ; estimates are unbiased, so that of |G|² may be negative.
    channels : ndarray, shape (d,)
        Σ_cc/g_c² of every channel c.
    channel_intervals : ndarray, shape (d, 2)
    level : float or None
        Of the intervals; None for closed forms, whose intervals are points.
    """

    noise_scale: float
    interval: tuple[float, float]
    squared_gradient: float
    noise_trace: float
    channels: Array
    channel_intervals: Array
    level: float | None


@dataclass(frozen=True)
class OptimalBatch:
    """The lectures' best batch size and learning rate.

    Parameters
    ----------
    batch_size : float
        B* = 4z² B_simple, not rounded.
    interval : (float, float)
    whole : tuple of (int, float)
        The whole numbers around B*, best first, and which part each keeps of the best guaranteed progress per example;
        empty if B* is infinite.
    lr, lr_one : float
        η* = 1/(2L) and η₁ = η*/B*.
    channels : ndarray, shape (d,)
        B*_c of every channel.
    channel_intervals : ndarray, shape (d, 2)
    caution : str
        What to mind about an estimate; empty for closed forms.
    """

    batch_size: float
    interval: tuple[float, float]
    whole: tuple[tuple[int, float], ...]
    lr: float
    lr_one: float
    channels: Array
    channel_intervals: Array
    caution: str


def noise_scale(
    gradients: Problem | ArrayLike,
    at: Sequence[float] | None = None,
    *,
    batch_size: int = 1,
    big: ArrayLike | None = None,
    big_size: int | None = None,
    level: float = 0.95,
) -> NoiseScale:
    """Return the gradient noise scale tr Σ/|G|²: of a problem in closed form, of gradients by unbiased estimators.

    One array: |ĝ|² less the noise, which comes from the spread of its rows, divisor n − 1. Two arrays: from the mean
    squares at two batch sizes. The interval of the whole is that of |G|²/tr Σ, whose estimate is close to normal where
    the noise scale's own is not, turned over; its standard error is the jackknife's. Of one array, the intervals of the
    channels (and of the whole if there is one) invert the exact law for normal rows, noncentral F.

    Parameters
    ----------
    gradients : Problem or array_like, shape (n, d) or (n,)
        A problem with all parameters bound, or n ≥ 2 independent gradients, a row each.
    at : sequence of d numbers, optional
        Where, for a problem.
    batch_size : int
        Examples averaged in each row, b.
    big : array_like, shape (m, d) or (m,), optional
        Gradients of m ≥ 2 bigger batches, independent of the others. Where these leave no noise (tr Σ estimated as ≤ 0)
        the noise scale is 0 and its interval from 0 to ∞.
    big_size : int, optional
        Examples averaged in each row of `big`, > b.
    level : float
        Of the confidence intervals.

    Returns
    -------
    NoiseScale

    Raises
    ------
    ArgumentError
        For a single row, numbers that are not finite, shapes or sizes that do not belong together.

    References
    ----------
    McCandlish et al. (2018), An empirical model of large-batch training, appendix A; claims MCA-05 and MCA-06.

    Examples
    --------
    >>> from sgdtheory import scalar_mean
    >>> noise_scale(scalar_mean(noise_std=3), at=[0.5]).noise_scale
    36.0
    >>> noise_scale([1.0, 2.0, 3.0]).squared_gradient  # 2² − 1/3
    3.6666666666666665
    """
    if isinstance(gradients, Problem):
        return _closed_form(gradients, at)
    if at is not None:
        raise ArgumentError("at", at, "nothing where gradients are given", "give a Problem as the first argument")
    if not 0 < level < 1:
        raise ArgumentError("level", level, "a number between 0 and 1")
    rows, size = _rows("gradients", gradients), _size("batch_size", batch_size)
    if big is None and big_size is None:
        return _one_batch(rows, size, level)
    others, larger = _rows("big", big), _size("big_size", big_size)
    if larger <= size:
        raise ArgumentError("big_size", larger, f"a whole number > batch_size = {size}")
    if others.shape[1] != rows.shape[1]:
        raise ArgumentError("big", f"shape {others.shape}", f"shape (m, {rows.shape[1]}), as gradients")
    return _two_batches(rows, others, size, larger, level)


def optimal_batch(noise: NoiseScale, smoothness: float, confidence: float = 2) -> OptimalBatch:
    """Return the lectures' best batch size B* = 4z² B_simple and learning rates η* = 1/(2L), η₁ = η*/B*.

    Parameters
    ----------
    noise : NoiseScale
        Of `noise_scale`.
    smoothness : float
        L > 0, upper bound on the second derivative.
    confidence : float
        z > 0, in standard errors; the lectures have 2.

    Returns
    -------
    OptimalBatch

    Raises
    ------
    ArgumentError
        If a number is not positive and finite.

    References
    ----------
    McAllester (2018), TTIC 31230 lectures, slide Optimizing B and η; claims MCA-01, MCA-05 and MCA-28.

    Examples
    --------
    >>> from sgdtheory import scalar_mean
    >>> best = optimal_batch(noise_scale(scalar_mean(noise_std=1), at=[2.0]), smoothness=1)
    >>> best.batch_size, best.lr, best.whole
    (4.0, 0.5, ((4, 1.0),))
    """
    if not isinstance(noise, NoiseScale):
        raise ArgumentError("noise", noise, "a NoiseScale", "pass what noise_scale returns")
    for name, value in {"smoothness": smoothness, "confidence": confidence}.items():
        if not (math.isfinite(value) and value > 0):
            raise ArgumentError(name, value, "a finite number > 0")
    # B* of unit noise scale, so that B* of any is a multiple of it
    factor = float(theory.optimal_batch().subs({theory.ĝ: 1, theory.σ: 1, theory.z: confidence}))
    lr = float(theory.optimal_lr(theory.optimal_batch()).subs(theory.L, smoothness))
    best = factor * noise.noise_scale
    return OptimalBatch(
        best,
        (factor * noise.interval[0], factor * noise.interval[1]),
        _whole(best),
        lr,
        lr / best if best > 0 else math.inf,
        factor * noise.channels,
        factor * noise.channel_intervals,
        "" if noise.level is None else _CAUTION,
    )


def progress_kept(batch_size: ArrayLike, best: float) -> Array:
    """Return which part of the best guaranteed progress per example a batch size keeps, at its best learning rate.

    s²(2 − s)² with s = √(B*/B); 0 for B ≤ B*/4, where no step is guaranteed to help.

    Parameters
    ----------
    batch_size : array_like
        B > 0.
    best : float
        B*.

    Examples
    --------
    >>> progress_kept([1, 2, 4, 8], best=4).round(3)
    array([0.   , 0.686, 1.   , 0.836])
    """
    size = np.asarray(batch_size, dtype=np.float64)
    if not (np.isfinite(size).all() and (size > 0).all()):
        raise ArgumentError("batch_size", batch_size, "finite numbers > 0")
    if not best >= 0:
        raise ArgumentError("best", best, "a number >= 0")
    if best == 0 or math.isinf(best):
        return np.zeros(size.shape)  # as B/B* goes to infinity, and below B*/4
    return np.where(size > best / 4, _kept()(size / best), 0.0)


@cache
def _kept() -> Callable[[Array], Array]:
    """Compile the guarantee per example over the best one, in B/B* (at g = L = 1, z = 1/2: there B* = σ², here 1)."""
    share = theory.guarantee(theory.optimal_lr()) / theory.B / theory.best_per_example()
    unit = {theory.ĝ: 1, theory.L: 1, theory.z: sp.Rational(1, 2), theory.σ: 1}
    kept: Callable[[Array], Array] = sp.lambdify(theory.B, sp.simplify(share.subs(unit)), "numpy")
    return kept


def _whole(best: float) -> tuple[tuple[int, float], ...]:
    if not math.isfinite(best):
        return ()
    sizes = sorted({max(1, math.floor(best)), max(1, math.ceil(best))})
    kept = {size: float(progress_kept(size, best)) for size in sizes}
    return tuple(sorted(kept.items(), key=lambda item: -item[1]))


def _closed_form(problem: Problem, at: Sequence[float] | None) -> NoiseScale:
    if problem.free_parameters:
        names = ", ".join(s.name for s in problem.free_parameters)
        raise ArgumentError("gradients", f"a problem without values of {names}", "numbers", "problem.bind(name=value)")
    point = np.full(0, np.nan) if at is None else np.asarray(at, dtype=np.float64)
    if point.shape != (problem.dimension,) or not np.isfinite(point).all():
        raise ArgumentError("at", at, f"{problem.dimension} finite numbers, one a coordinate")
    values = dict(problem.parameters) | dict(zip(problem.coordinates, map(float, point), strict=True))
    slope = np.array([float(e.subs(values)) for e in problem.gradient])
    noise = np.array([float(problem.gradient_noise[i, i].subs(values)) for i in range(problem.dimension)])
    square, trace = float(slope @ slope), float(noise.sum())
    channels, value = _ratio(noise, slope**2), float(_ratio(trace, square))
    return NoiseScale(value, (value, value), square, trace, channels, np.stack([channels] * 2, axis=-1), None)


def _one_batch(rows: Array, size: int, level: float) -> NoiseScale:
    n = len(rows)
    mean = rows.mean(axis=0)
    off = rows - mean  # the formula is applied about the mean, where its two squares cannot cancel
    square, noise = _parts(mean, (off**2).mean(axis=0), n)
    intervals = size * np.array([_exact_interval(m, v, n, level) for m, v in zip(mean, noise, strict=True)])
    total, trace = float(square.sum()), float(noise.sum())
    if rows.shape[1] == 1:
        interval = (float(intervals[0, 0]), float(intervals[0, 1]))
    else:
        spread = np.full((), np.nan)
        if n > 2:
            left_out = ((off**2).sum(axis=0) - off**2) / (n - 1) - (off / (n - 1)) ** 2
            squares, noises = _parts(mean - off / (n - 1), left_out, n - 1)
            spread = _jackknife(squares.sum(axis=1) / noises.sum(axis=1)) if trace > 0 else np.zeros(())
        low, high = _turned(_ratio(total, trace), spread, level)
        interval = (size * float(low), size * float(high))
    whole = size * float(_ratio(trace, max(total, 0.0)))
    return NoiseScale(
        whole, interval, total, size * trace, size * _ratio(noise, np.maximum(square, 0)), intervals, level
    )


def _parts(mean: Array, centred_square: Array, n: int) -> tuple[Array, Array]:
    """Return the one-batch estimates of g_c² and the rows' variance, from the mean and the mean squared deviation."""
    less, noise = _estimator("one")(centred_square, 0.0, n)
    return mean**2 + less, noise


def _two_batches(rows: Array, big: Array, size: int, larger: int, level: float) -> NoiseScale:
    samples = rows**2, big**2
    means = samples[0].mean(axis=0), samples[1].mean(axis=0)
    left_out = [(m * len(x) - x) / (len(x) - 1) for m, x in zip(means, samples, strict=True)]

    def ratios(total: bool, small_square: Array, big_square: Array) -> Array:
        square, noise = _estimator("two")(small_square, big_square, size, larger)
        return np.asarray(_ratio(square.sum(axis=-1), noise.sum(axis=-1)) if total else _ratio(square, noise))

    def error(total: bool) -> Array:
        first, second = ratios(total, left_out[0], means[1]), ratios(total, means[0], left_out[1])
        return np.asarray(np.hypot(_jackknife(first), _jackknife(second)))

    square, noise = _estimator("two")(*means, size, larger)
    total, trace = float(square.sum()), float(noise.sum())
    low, high = _turned(np.where(noise > 0, ratios(False, *means), np.nan), error(total=False), level)
    whole_low, whole_high = _turned(ratios(True, *means) if trace > 0 else np.nan, error(total=True), level)
    return NoiseScale(
        float(_ratio(max(trace, 0.0), max(total, 0.0))),
        (float(whole_low), float(whole_high)),
        total,
        trace,
        _ratio(np.maximum(noise, 0), np.maximum(square, 0)),
        np.stack([low, high], axis=-1),
        level,
    )


@cache
def _estimator(kind: str) -> Callable[..., tuple[Array, Array]]:
    """Compile the estimators of the theory."""
    x, y, m, n = sp.symbols("x y m n", positive=True)
    arguments, parts = (
        ((x, y, n), from_one_batch(x, y, n)) if kind == "one" else ((x, y, m, n), from_two_batches(x, y, m, n))
    )
    estimator: Callable[..., tuple[Array, Array]] = sp.lambdify(arguments, parts, "numpy")
    return estimator


def _ratio(above: ArrayLike, below: ArrayLike) -> Array:
    """Divide; x/0 is ∞ and 0/0 is NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.divide(above, below))


def _jackknife(replicates: Array) -> Array:
    """Return the jackknife's standard error from the estimates with each row left out, the first axis."""
    n = len(replicates)
    with np.errstate(invalid="ignore"):  # an infinite replicate makes the error unknown
        return np.asarray(np.sqrt((n - 1) / n * ((replicates - replicates.mean(axis=0)) ** 2).sum(axis=0)))


def _turned(ratio: ArrayLike, error: ArrayLike, level: float) -> tuple[Array, Array]:
    """Return the interval of 1/ratio for ratio ± error, ratio ≥ 0; from 0 to ∞ where either is unknown."""
    known = np.isfinite(error) & ~np.isnan(ratio)
    wide = ndtri((1 + level) / 2) * np.where(known, error, 0)
    low, high = (_ratio(1.0, np.maximum(np.asarray(ratio) + side, 0)) for side in (wide, -wide))
    return np.where(known, low, 0.0), np.where(known, high, np.inf)


def _exact_interval(mean: float, variance: float, n: int, level: float) -> tuple[float, float]:
    """Return the interval of σ²/g² from normal rows: t² = n·mean²/variance is noncentral F(1, n − 1, ng²/σ²)."""
    if variance == 0:
        value = 0.0 if mean else math.nan
        return value, value
    tails = (1 - level) / 2, (1 + level) / 2
    squared_t = n * mean**2 / variance
    if squared_t > _CLEAR:
        low, high = ((n - 1) * variance / chdtri(n - 1, tail) / mean**2 for tail in tails)
        return float(low), float(high)
    most, least = (_noncentrality(squared_t, n - 1, tail) for tail in tails)
    return n / most if most else math.inf, n / least if least else math.inf


def _noncentrality(squared_t: float, dof: int, probability: float) -> float:
    """Return the noncentrality at which an F(1, dof) value this small has this probability, 0 if there is none."""
    if ncfdtr(1, dof, 0.0, squared_t) <= probability:
        return 0.0
    low, high = 0.0, math.sqrt(squared_t) + 1
    while ncfdtr(1, dof, high**2, squared_t) > probability:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if ncfdtr(1, dof, middle**2, squared_t) > probability else (low, middle)
    return low**2


def _rows(argument: str, value: ArrayLike | None) -> Array:
    try:
        rows = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(argument, value, "numbers, shape (n, d) or (n,)") from error
    rows = rows[:, np.newaxis] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ArgumentError(argument, f"shape {rows.shape}", "shape (n, d) or (n,)", "one gradient a row")
    if len(rows) < 2:
        raise ArgumentError(argument, f"{len(rows)} rows", "at least 2", "one gradient says nothing of its noise")
    if not np.isfinite(rows).all():
        raise ArgumentError(argument, "NaN or infinity", "finite numbers", "a diverged run has no noise scale")
    return rows


def _size(argument: str, value: int | None) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ArgumentError(argument, value, "a whole number >= 1")
    return int(value)
