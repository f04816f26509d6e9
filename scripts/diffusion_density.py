"""Fokker–Planck beside the runs: how a density of SGD moves on the sticky landscape, and how fast runs leave a well."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import sgdtheory as sgd
from sgdtheory.measure.escape import Escape, escape
from sgdtheory.measure.fokker_planck import FokkerPlanck, fokker_planck
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, RED, save, style

Array = NDArray[np.float64]
LR, BATCH, STARTS = 0.01, 1, (-0.7, 0.3)
TIMES = {
    20: Look("step 20", BLUE, "o", "-"),
    100: Look("step 100", RED, "s", "-"),
    500: Look("step 500", GREEN, "^", "-"),
}
EDGES = np.linspace(-1.25, 1.35, 521)
BINS = np.linspace(-1.25, 1.35, 53)
WELL_LR, WELL_END, WELL_STEPS = 0.02, 0.25, 1500
LEAVE = Look("SGD", BLUE, "o", "")
LIMIT = Look("Fokker–Planck, ends absorb", BLACK, "", "-")
OVERSHOOT = Look("the same, ends 0.58 steps out", BLACK, "", "--")


@cache
def sticky() -> sgd.Problem:
    """Return ½(Qx − y)², Q = (w + 1)(w − 1)², x and y standard normal."""
    return sgd.sticky_1d(1, 2, sp.S.One)


@cache
def well() -> sgd.Problem:
    """Return ½w² with gradient noise of size one."""
    return sgd.landscape("w**2/2", ["w"], noise_std=1)


def limit_densities() -> tuple[FokkerPlanck, Array]:
    """Return the cells and the density at the times, from a uniform start."""
    cells = fokker_planck(sticky(), LR, BATCH, edges=EDGES)
    low, high = STARTS
    start = np.where((cells.centres > low) & (cells.centres < high), 1 / (high - low), 0.0)
    return cells, cells.evolve(start, list(TIMES), substeps=150)


def histograms(replicas: int, rng: int) -> tuple[Array, Array]:
    """Return densities of runs in bins, and their standard errors, at the times."""
    run = sgd.simulate(
        sticky(), sgd.SGD(lr=LR), steps=max(TIMES), batch_size=BATCH, replicas=replicas, init=sgd.Uniform(*STARTS),
        record=list(TIMES), keep="moments", histogram={"w": BINS}, rng=rng, progress=False,
    )  # fmt: skip
    counts = run.histogram_w.values[:, 1:-1]
    return counts / replicas / np.diff(BINS), np.sqrt(counts) / replicas / np.diff(BINS)


def survivors(beyond: float = 0.0) -> tuple[Array, Array]:
    """Return steps and the share of the density that has not left the well, its ends moved out by so much."""
    end = WELL_END + beyond
    cells = fokker_planck(well(), WELL_LR, edges=np.linspace(-end, end, 201), absorbing=["left", "right"])
    start = np.zeros(cells.centres.size)
    start[100] = 1 / cells.widths[100]
    times = np.linspace(10, WELL_STEPS, 40)
    return times, cells.evolve(start, list(times), substeps=20) @ cells.widths


def leaving(replicas: int, rng: int) -> Escape:
    """Estimate the rate at which runs leave the well, once they have forgotten the start."""
    w = sp.Symbol("w", real=True)
    run = sgd.simulate(
        well(), sgd.SGD(lr=WELL_LR), steps=WELL_STEPS, replicas=replicas, init=0, record=[WELL_STEPS], rng=rng,
        events={"out": w**2 > WELL_END**2}, progress=False,
    )  # fmt: skip
    return escape(run, "out", after=100)


def draw_densities(axes: Axes, cells: FokkerPlanck, limit: Array, runs: Array, errors: Array) -> None:
    """Draw densities of both kinds."""
    middle = (BINS[1:] + BINS[:-1]) / 2
    for look, line, bars, error in zip(TIMES.values(), limit, runs, errors, strict=True):
        artists.theory(axes, cells.centres, line, look)
        seen = bars > 0
        artists.measured(axes, middle[seen], bars[seen], look, 3 * error[seen])
    axes.set(yscale="log", ylim=(3e-3, 30), xlabel="$w$", ylabel="density", title="a  On the sticky landscape")
    artists.limit(axes, -1 / 3, "barrier", 0.95, "right")
    artists.legend(axes, list(TIMES.values()), loc="upper left", bbox_to_anchor=(0, 1))


def draw_leaving(axes: Axes, found: Escape) -> None:
    """Draw the share that has not left."""
    every = np.arange(0, WELL_STEPS + 1, 75)
    share, total = found.survival[every], found.escaped + found.stayed
    artists.theory(axes, *survivors(), LIMIT)
    artists.theory(axes, *survivors(0.5826 * WELL_LR), OVERSHOOT)
    artists.measured(axes, every, share, LEAVE, 3 * np.sqrt(share * (1 - share) / total))
    axes.set(yscale="log", xlabel="step", ylabel="share that has not left", title="b  Leaving a well")
    artists.legend(axes, [LEAVE, LIMIT, OVERSHOOT], loc="lower left")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas = 5_000 if quick else 200_000
    cells, limit = limit_densities()
    runs, errors = histograms(replicas, rng)
    found = leaving(1_000 if quick else 20_000, rng)
    with style():
        figure = Figure(figsize=(11.4, 4.3))
        axes = figure.subplots(1, 2, width_ratios=(3, 2))
        draw_densities(axes[0], cells, limit, runs, errors)
        draw_leaving(axes[1], found)
    text = caption(replicas, found, rng)
    return Picture(
        "diffusion_density", "Itô's Fokker–Planck equation beside the runs it stands for", text, CITED, figure
    )


CITED = ("DEG-10", "DEG-11", "DEG-25", "STA-13")


def caption(replicas: int, found: Escape, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    low, high = found.interval
    return (
        f"a: SGD with η = {LR:g}, B = {BATCH}, on ½(Qx − y)², Q = (w + 1)(w − 1)², {replicas:,} runs from uniform "
        f"starts on [{STARTS[0]:g}, {STARTS[1]:g}] (seed {rng}; bars are three standard errors), and the density that "
        f"the equation carries from the same start, without a fitted number. It piles up at the double zero w = 1, "
        f"where noise vanishes, and never passes the barrier at −1/3, where it vanishes too; the runs to its left "
        f"settle at −1 with a spread. b: ½w² with noise of size one, η = {WELL_LR:g}, from the minimum to |w| = "
        f"{WELL_END:g}: share that has not left. The rate is {found.rate:.5f} a step ({low:.5f} to {high:.5f}; the "
        f"runs that stay are counted); a step jumps over the end, as if it lay 0.58 of a step further out."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "diffusion_density.png")
