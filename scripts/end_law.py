"""Where SGD ends against where the posterior sits, on the sticky landscape with a sharp and a degenerate minimum.

The posterior moves to the degenerate minimum as n grows, by volume. SGD mostly stays where it starts, and falls onto
the degenerate minimum itself: no n makes the two laws agree.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sympy as sp
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.measure.distances import Comparison
from sgdtheory.measure.posterior import Posterior
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, save, style
from sgdtheory.theory.degenerate.end_law import two_masses

Vector = NDArray[np.float64]
W0, LR, BATCH = 1, 0.03, 5
END = 1.6
SHOWN = {
    10.0: Look("posterior, $n=10$", BLUE, "", "-"),
    1e3: Look("posterior, $n=10^3$", GREEN, "", "--"),
    1e5: Look("posterior, $n=10^5$", RED, "", "-."),
}
RUNS = Look("SGD, end of the runs", BLACK, "o", "none")
MASS = Look("posterior", BLUE, "", "-")
LIMIT = Look("$M_-/(M_-+M_+)$, large $n$", ORANGE, "", "--")
WASSERSTEIN = Look("Wasserstein", BLUE, "s", "none")
VARIATION = Look("total variation", RED, "^", "none")
CHANCE = Look("as many draws from the posterior", GREY, "", ":")


def problem() -> sgd.Problem:
    """Return Q = (w + 1)(w − 1)²."""
    return sgd.sticky_1d(1, 2, W0)


def runs(replicas: int, steps: int, rng: int) -> xr.Dataset:
    """Run SGD from uniform starts."""
    return sgd.simulate(
        problem(), sgd.SGD(lr=LR), steps=steps, replicas=replicas, init=sgd.Uniform(-END, END), batch_size=BATCH,
        record=[0, steps], rng=rng,
    )  # fmt: skip


def limit_share(n: Vector) -> Vector:
    """Return the sharp minimum's share by the leading order of both masses; the density is exp(−½nQ²)."""
    degrees = {symbols.degree_1: 1, symbols.degree_2: 2, symbols.half_separation: W0}
    minus, plus = (float(sp.N(mass.subs(degrees))) for mass in two_masses())
    sharp, broad = minus * (n / 2) ** (-1 / 2), plus * (n / 2) ** (-1 / 4)
    return np.asarray(sharp / (sharp + broad))


def draw_densities(axes: Axes, end: Vector, laws: dict[float, Posterior]) -> None:
    """Draw the ends as a histogram, and posteriors."""
    edges = np.linspace(-END, END, 97)
    finite = end[np.isfinite(end)]
    height = np.histogram(finite, edges)[0] / len(end) / np.diff(edges)
    seen = height > 0
    axes.stairs(height, edges, color=GREY, fill=True, alpha=0.35)
    artists.measured(axes, ((edges[1:] + edges[:-1]) / 2)[seen], height[seen], RUNS)
    w = np.linspace(-END, END, 1201)
    for n, look in SHOWN.items():
        artists.theory(axes, w, laws[n].density(w[:, np.newaxis]), look)
    axes.set(
        yscale="log", ylim=(1e-3, 3e3), xlabel="parameter $w$ (dimensionless)", ylabel="density (per unit of $w$)",
        title="a  Densities",
    )  # fmt: skip
    artists.legend(axes, [RUNS, *SHOWN.values()], loc="upper left")


def draw_masses(axes: Axes, sizes: Vector, laws: dict[float, Posterior], found: dict[float, Comparison]) -> None:
    """Draw the mass of the sharp minimum's basin."""
    artists.theory(axes, sizes, [laws[n].basin_masses()[0] for n in sizes], MASS)
    line = np.geomspace(sizes[0], sizes[-1], 60)
    artists.theory(axes, line, limit_share(line), LIMIT)
    share = found[sizes[0]].basins[0][1]
    artists.measured(axes, [sizes[0] ** 0.5 * sizes[-1] ** 0.5], [share.value], RUNS, [3 * share.error])
    axes.axhspan(share.value - 3 * share.error, share.value + 3 * share.error, color=BLACK, alpha=0.2, linewidth=0)
    axes.set(
        xscale="log", ylim=(0, 0.55), xlabel="examples $n$ (number)", ylabel="mass left of the barrier (share)",
        title="b  Mass of the sharp minimum",
    )  # fmt: skip
    artists.legend(axes, [RUNS, MASS, LIMIT], loc="upper right")


def draw_distances(axes: Axes, sizes: Vector, found: dict[float, Comparison]) -> None:
    """Draw distances against n, and what chance alone would give."""
    series = {
        WASSERSTEIN: [found[n].wasserstein[0] for n in sizes],
        VARIATION: [found[n].total_variation for n in sizes],
    }
    for look, estimates in series.items():
        artists.measured(axes, sizes, [e.value for e in estimates], look, [3 * e.error for e in estimates])
        axes.plot(sizes, [e.by_chance for e in estimates], color=look.color, linestyle=":")
    axes.set(
        xscale="log", yscale="log", ylim=(5e-4, 3), xlabel="examples $n$ (number)", title="c  Distance to SGD's ends",
        ylabel="distance (units of $w$; share)",
    )  # fmt: skip
    artists.legend(axes, [WASSERSTEIN, VARIATION, CHANCE], loc="center right")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas, steps = (4_000, 1_000) if quick else (60_000, 4_000)
    sizes = np.geomspace(10, 1e5, 5 if quick else 9)
    run = runs(replicas, steps, rng)
    laws = {float(n): sgd.posterior(problem(), n, sgd.Uniform(-END, END)) for n in (*sizes, *SHOWN)}
    found = {float(n): sgd.compare(run, laws[n], resamples=40, rng=rng) for n in sizes}
    with style():
        figure = Figure(figsize=(11.4, 4.0))
        first, second, third = figure.subplots(1, 3)
        draw_densities(first, run.w.to_numpy()[:, -1, 0], laws)
        draw_masses(second, sizes, laws, found)
        draw_distances(third, sizes, found)
    title = "SGD mostly keeps to the basin it starts in; the posterior moves to the degenerate minimum"
    return Picture("end_law", title, caption(run, laws, found, rng), ("DEG-29", "DEG-30"), figure)


def caption(run: xr.Dataset, laws: dict[float, Posterior], found: dict[float, Comparison], rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    first, *_, last = found.values()
    (barrier,) = laws[10.0].barriers
    begun = float((run.w.to_numpy()[:, 0, 0] < barrier).mean())
    share = last.basins[0][1]
    near = min(found.values(), key=lambda c: c.total_variation.value)
    return (
        f"Q = (w + 1)(w − 1)²: {last.runs:,} runs of {int(run.step[-1]):,} steps, η = {LR:g}, batches of {BATCH}, "
        f"uniform starts (seed {rng}; {last.diverged} of {last.runs:,} runs diverged), against posteriors under the "
        f"same flat prior. Left of the barrier at {barrier:.2f} begin {begun:.3f} of the runs and end "
        f"{share.value:.3f} ± {share.error:.3f}, while the posterior's mass there falls from "
        f"{first.basins[0][0]:.3f} to {last.basins[0][0]:.3f}. The total variation is never "
        f"below {near.total_variation.value:.2f}; dotted, what as many draws from the posterior itself would show."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "end_law.png")
