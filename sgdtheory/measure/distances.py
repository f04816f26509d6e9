"""How far the end of many runs lies from a posterior: distances, masses of basins, and what chance alone would give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.measure.posterior import Posterior

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]
Label = Callable[[Array], NDArray[np.int64]]


@dataclass(frozen=True)
class Estimate:
    """A number with the error that the finite number of runs leaves.

    Parameters
    ----------
    value : float
    error : float
        Standard deviation over resampled runs (bootstrap).
    by_chance : float
        Mean of the same number for as many draws from the posterior itself: a distance is never 0 for samples.
    """

    value: float
    error: float
    by_chance: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.error:.2g} (by chance {self.by_chance:.2g})"


@dataclass(frozen=True)
class Comparison:
    """Runs against a posterior.

    Parameters
    ----------
    runs, diverged : int
        All runs; those that diverged, which are in no distance but in `basins` as their own share.
    wasserstein : tuple of Estimate
        W₁ of each coordinate's marginal, in units of the parameter.
    total_variation, divergence : Estimate
        Half of Σ|p − q| and KL(runs ‖ posterior), over cells that are equally likely under each marginal of the
        posterior.
    basins : tuple of (float, Estimate)
        For each basin the posterior's mass and the share of all runs that end there; what is missing from 1 diverged.
    """

    runs: int
    diverged: int
    wasserstein: tuple[Estimate, ...]
    total_variation: Estimate
    divergence: Estimate
    basins: tuple[tuple[float, Estimate], ...]

    def __str__(self) -> str:
        masses = "; ".join(f"posterior {mass:.4g}, runs {share}" for mass, share in self.basins)
        lines = [
            f"{self.runs} runs, {self.diverged} diverged",
            f"Wasserstein {', '.join(map(str, self.wasserstein))}",
            f"total variation {self.total_variation}, KL {self.divergence}",
        ]
        return "\n".join(lines + ([f"basins: {masses}"] if masses else []))


def compare(
    run: xr.Dataset,
    posterior: Posterior,
    *,
    step: int | None = None,
    bins: int = 32,
    label: Label | None = None,
    resamples: int = 200,
    rng: int = 0,
) -> Comparison:
    """Compare where runs end with where a posterior sits.

    Parameters
    ----------
    run : Dataset
        Of `simulate`, with paths.
    posterior : Posterior
        With the same coordinates.
    step : int, optional
        Recorded step; the last by default.
    bins : int
        Cells along each coordinate for total variation and KL.
    label : callable, optional
        Points, shape (N, d) → number of their basin, from 0 on; in one dimension the basins between barriers by
        default.
    resamples : int
        Of the bootstrap, and of the draws from the posterior.
    rng : int
        Seed of both.

    Returns
    -------
    Comparison

    Raises
    ------
    ArgumentError
        If the run has no paths, other coordinates or was swept, or if every run diverged.

    Examples
    --------
    >>> from sgdtheory import SGD, Uniform, landscape, simulate
    >>> from sgdtheory.measure.posterior import posterior as of
    >>> bowl = landscape("w**2/2", ["w"], noise_std=1)
    >>> run = simulate(bowl, SGD(lr=0.1), steps=100, replicas=1000, init=0, record=[100], rng=0)
    >>> result = compare(run, of(bowl, n=19, prior=Uniform(-2, 2)))  # the law of SGD: variance 1/19
    >>> result.total_variation.value < 2 * result.total_variation.by_chance
    True
    """
    end = _ends(run, posterior, step)
    finite = end[np.isfinite(end).all(axis=1)]
    if not len(finite):
        raise ArgumentError("run", f"{len(end)} runs, all diverged", "runs of which some are finite", "a smaller lr")
    random = np.random.default_rng(rng)
    cells, expected = _cells(posterior, bins)
    counts = np.bincount(cells(finite), minlength=len(expected))
    resampled = random.multinomial(len(finite), counts / len(finite), resamples)
    drawn = random.multinomial(len(finite), expected, resamples)
    variation, divergence = (
        _estimate(distance, counts, resampled, drawn, expected) for distance in (_total_variation, _divergence)
    )
    wasserstein = tuple(
        _wasserstein(finite[:, i], *posterior.distribution(name), random, min(resamples, 40))
        for i, name in enumerate(posterior.coordinates)
    )
    return Comparison(
        len(end),
        len(end) - len(finite),
        wasserstein,
        variation,
        divergence,
        _basins(posterior, finite, len(end), label),
    )


def _ends(run: xr.Dataset, posterior: Posterior, step: int | None) -> Array:
    """Return the positions at a step, shape (replicas, d)."""
    if "w" not in run or set(run.w.dims) != {"replica", "step", "coordinate"}:
        raise ArgumentError("run", tuple(run.dims), "paths of one ensemble", "keep='paths', and select one point")
    names = tuple(map(str, run.coordinate.values))
    if names != posterior.coordinates:
        raise ArgumentError("run", f"coordinates {names}", f"the posterior's, {posterior.coordinates}")
    chosen = run.w.isel(step=-1) if step is None else run.w.sel(step=step)
    return np.asarray(chosen.transpose("replica", "coordinate").values, dtype=np.float64)


def _cells(posterior: Posterior, bins: int) -> tuple[Label, Array]:
    """Return the numbering of cells between quantiles of the marginals, and the posterior's mass of each cell."""
    edges = []
    for name in posterior.coordinates:
        values, probability = posterior.distribution(name)
        edges.append(np.interp(np.arange(1, bins) / bins, probability, values))

    def number(w: Array) -> NDArray[np.int64]:
        places = [np.searchsorted(edge, w[:, i]) for i, edge in enumerate(edges)]
        return np.asarray(np.ravel_multi_index(places, [bins] * len(edges)))

    mass = posterior.cell_masses(edges).ravel().clip(0)
    return number, mass / mass.sum()


def _total_variation(shares: Array, expected: Array) -> Array:
    return np.asarray(np.abs(shares - expected).sum(axis=-1) / 2)


def _divergence(shares: Array, expected: Array) -> Array:
    """Return KL(shares ‖ expected), infinite where runs are in cells of no mass."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, shares * np.log(shares / expected), 0.0)
    return np.asarray(terms.sum(axis=-1))


def _estimate(
    distance: Callable[[Array, Array], Array],
    counts: NDArray[np.int64],
    resampled: NDArray[np.int64],
    drawn: NDArray[np.int64],
    expected: Array,
) -> Estimate:
    total = counts.sum()
    value, spread, chance = (distance(c / total, expected) for c in (counts, resampled, drawn))
    finite = np.isfinite(spread).all()
    return Estimate(float(value), float(spread.std()) if finite else float("nan"), float(chance.mean()))


def _wasserstein(
    sample: Array, values: Array, probability: Array, random: np.random.Generator, repeats: int
) -> Estimate:
    """Return ∫ |F⁻¹ − G⁻¹| at the middles of as many equal steps of probability as there are runs."""
    middles = (np.arange(len(sample)) + 0.5) / len(sample)
    wanted = np.interp(middles, probability, values)

    def distance(drawn: Array) -> float:
        return float(np.abs(np.sort(drawn) - wanted).mean())

    resampled = [distance(random.choice(sample, len(sample))) for _ in range(repeats)]
    chance = [distance(np.interp(random.random(len(sample)), probability, values)) for _ in range(repeats)]
    return Estimate(distance(sample), float(np.std(resampled)), float(np.mean(chance)))


def _basins(posterior: Posterior, finite: Array, runs: int, label: Label | None) -> tuple[tuple[float, Estimate], ...]:
    """Return mass and share of each basin; the binomial error of a share is its bootstrap error."""
    if label is None and len(posterior.coordinates) > 1:
        return ()
    numbers = posterior.basins(finite) if label is None else label(finite)
    masses = posterior.basin_masses(label)
    counts = np.bincount(numbers, minlength=len(masses))
    masses = np.pad(masses, (0, len(counts) - len(masses)))
    shares = counts / runs
    errors = np.sqrt(shares * (1 - shares) / runs)
    return tuple(
        (float(mass), Estimate(float(share), float(error), float(mass)))
        for mass, share, error in zip(masses, shares, errors, strict=True)
    )
