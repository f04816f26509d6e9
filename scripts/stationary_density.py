"""Where long runs of SGD spend their time: constant noise on a double well, and noise that varies in space.

With constant noise the density is exp(−2BL/(ησ²)), the learning rate being a temperature. With noise that grows away
from the minimum three readings of the same diffusion give three densities; SGD is Itô's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.derive.transition import stationary_law
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLUE, GREEN, RED, save, style
from sgdtheory.theory.stationarity.densities import density_power, growing_noise
from sgdtheory.theory.stationarity.temperature import current_free

η, h, σ, B = symbols.lr, symbols.curvature, symbols.noise_std, symbols.batch_size
Vector = NDArray[np.float64]
LR = 0.02
WELL_NOISE = 5.0  # barrier ¼ in units of ησ²/2: one, so that runs cross it many times
RATIO = 0.5  # ησ²/(Bh)
WELLS = "(w**2 - 1)**2/4"
GIBBS = Look("$\\exp(-2L/\\eta\\sigma^2)$", BLUE, "o", "-")
CHAIN = Look(f"the chain at $\\eta={LR:g}$, on a grid", RED, "", "--")
READINGS = {
    "Itô": Look("Itô: $D^{-1}\\,e^{-\\int U'/D}$", BLUE, "o", "-"),
    "Stratonovich": Look("Stratonovich: $D^{-1/2}\\,e^{-\\int U'/D}$", RED, "", "--"),
    "as printed": Look("as printed, $-D\\nabla p$: $e^{-\\int U'/D}$", GREEN, "", "-."),
}
TIME = 8.0  # in units of 1/h; what is left of the start is below 10⁻³


class Histogram(NamedTuple):
    """Densities in the middle of bins, their standard errors, and how many runs diverged."""

    middle: Vector
    density: Vector
    error: Vector
    diverged: int


def simulated(
    problem: sgd.Problem, start: sgd.Uniform, edges: Vector, replicas: int, seed: np.random.SeedSequence
) -> Histogram:
    """Run to stationarity and count the ends; bins with fewer than 25 are left out."""
    steps = round(TIME / LR)
    run = sgd.simulate(
        problem, sgd.SGD(lr=LR), steps=steps, replicas=replicas, init=start, record=[steps], rng=seed
    )  # fmt: skip
    counts = np.histogram(run.w.to_numpy().ravel(), edges)[0]
    seen, scale = counts >= 25, replicas * np.diff(edges)
    error = np.sqrt(counts * (1 - counts / replicas)) / scale
    middle = (edges[1:] + edges[:-1]) / 2
    return Histogram(middle[seen], (counts / scale)[seen], error[seen], int(run.attrs["diverged"]))


def normalised(shape: Callable[[Vector], Vector]) -> Callable[[Vector], Vector]:
    """Return the density that is proportional to a function."""
    line = np.linspace(-100, 100, 400_001)
    with np.errstate(over="ignore", under="ignore"):
        total = np.trapezoid(shape(line), line)
    return lambda w: np.asarray(shape(w) / total)


def gibbs() -> Callable[[Vector], Vector]:
    """Return the density exp(−sL) on the double well, s = 2/(ησ²)."""
    rate = float(current_free()[symbols.density_rate].subs(symbols.diffusion_std, np.sqrt(LR) * WELL_NOISE))
    loss = sp.lambdify(sp.Symbol("w", real=True), sgd.landscape(WELLS, ["w"]).loss)
    return normalised(lambda w: np.exp(-rate * loss(w)))


def chain() -> Callable[[Vector], Vector]:
    """Return the density of SGD's own steps on the double well, without the limit η → 0."""
    grid, w = np.linspace(-2.6, 2.6, 301), sp.Symbol("w", real=True)
    slope = sp.lambdify(w, sgd.landscape(WELLS, [w]).gradient[0])
    law = stationary_law(lambda x: x - LR * slope(x), lambda x: np.full_like(x, LR * WELL_NOISE), grid)
    return lambda x: np.interp(x, grid, law / (grid[1] - grid[0]))


def student(reading: str) -> Callable[[Vector], Vector]:
    """Return the density (1 + w²)^−m of the growing noise under one reading."""
    power = float(density_power(reading).subs({η: RATIO, h: 1, σ: 1, B: 1}))
    return normalised(lambda w: (1 + w**2) ** -power)


def draw(axes: Axes, ratio_axes: Axes, bins: Histogram, series: dict[Look, Callable[[Vector], Vector]]) -> None:
    """Draw densities above and everything ÷ the first series below."""
    (look, first), *_ = series.items()
    w = np.linspace(bins.middle[0], bins.middle[-1], 400)
    for other, density in series.items():
        artists.theory(axes, w, density(w), other)
        artists.theory(ratio_axes, w, density(w) / first(w), other)
    artists.measured(axes, bins.middle, bins.density, look, 3 * bins.error)
    expected = first(bins.middle)
    artists.measured(ratio_axes, bins.middle, bins.density / expected, look, 3 * bins.error / expected)
    ratio_axes.set(xlabel="parameter $w$ (dimensionless)")
    axes.set(yscale="log")
    artists.legend(axes, list(series), loc="lower center")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas, count = (6_000, 16) if quick else (150_000, 36)
    seeds = np.random.SeedSequence(rng).spawn(2)
    wells = simulated(
        sgd.landscape(WELLS, ["w"], noise_std=WELL_NOISE), sgd.Uniform(-1.5, 1.5), np.linspace(-2.1, 2.1, count + 1),
        replicas, seeds[0],
    )  # fmt: skip
    problem = growing_noise().bind(h=1, sigma=np.sqrt(RATIO / LR))
    growing = simulated(problem, sgd.Uniform(-1, 1), np.linspace(-4.2, 4.2, count + 1), replicas, seeds[1])
    with style():
        figure = Figure(figsize=(9.6, 5.6))
        axes = figure.subplots(2, 2, sharex="col", height_ratios=(5, 2.4))
        draw(*axes[:, 0], wells, {GIBBS: gibbs(), CHAIN: chain()})
        draw(*axes[:, 1], growing, {look: student(reading) for reading, look in READINGS.items()})
        axes[0, 0].set(title="Constant noise, double well", ylabel="density (per unit of $w$)", ylim=(2e-3, 0.9))
        axes[0, 1].set(title="Noise variance $\\sigma^2(1+w^2)$", ylim=(5e-5, 1.5))
        axes[1, 0].set(ylabel="÷ $\\exp(-2L/\\eta\\sigma^2)$", ylim=(0.8, 1.5))
        axes[1, 1].set(ylabel="÷ Itô", ylim=(0.4, 2.6))
    return Picture(
        "stationary_density", "The density of a long run: one temperature, and Itô's reading of the noise",
        caption(wells, growing, replicas, rng), ("STA-17", "STA-18", "STA-19"), figure,
    )  # fmt: skip


def caption(wells: Histogram, growing: Histogram, replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""

    def worst(bins: Histogram, density: Callable[[Vector], Vector]) -> float:
        return float(np.max(np.abs(bins.density - density(bins.middle)) / bins.error))

    off = {reading: worst(growing, student(reading)) for reading in READINGS}
    barrier = 1 / 4 / (LR * WELL_NOISE**2 / 2)
    diverged = f"{wells.diverged + growing.diverged} of {2 * replicas:,}"
    return (
        f"Ends of {replicas:,} runs of SGD at η = {LR:g} (seed {rng}; {diverged} runs diverged), markers with bars of "
        f"3 standard errors. Left: L = (w² − 1)²/4 with constant noise, its barrier {barrier:g} × ησ²/2; the line is "
        f"exp(−2L/(ησ²)), exact as η → 0, off by at most {worst(wells, gibbs()):.1f} standard errors (the law of the "
        f"chain itself by {worst(wells, chain()):.1f}). Right: ½w² with noise variance σ²(1 + w²), ησ² = {RATIO:g}: "
        f"Itô's density is off by at most {off['Itô']:.1f} standard errors, Stratonovich's by "
        f"{off['Stratonovich']:.0f} and that of a noise flowing as −D∇p by {off['as printed']:.0f}."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "stationary_density.png")
