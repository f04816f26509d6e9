"""An edge of stability in closed form: gradient descent on (w² − 1)²/4 beyond the learning rate of its minimum.

Dots are where gradient descent ends up; lines are the exact two-cycle, its mean curvature and its multiplier.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sympy as sp
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREY, RED, SKY, save, style
from sgdtheory.theory.stationarity.edge_of_stability import STATED, cycle, double_well

η = symbols.lr
LAST = 1.5  # below 1.598 orbits stay on their side of the maximum
HIGH = Look("two-cycle, exact", BLUE, "", "-")
LOW = Look("its unstable part", SKY, "", "--")
MINIMUM = Look("minimum", RED, "", "-.")
CURVATURE = Look("over the two-cycle, $(1+3/\\eta)/2$", BLUE, "o", "-")
EDGE = Look("$2/\\eta$", BLACK, "", ":")
OF_MINIMUM = Look("at the minimum", RED, "", "-.")
MULTIPLIER = Look("two-cycle", BLUE, "o", "-")
OWN = Look("minimum", RED, "s", "-.")


def limits() -> tuple[float, float]:
    """Return where the two-cycle appears and where it turns unstable."""
    return float(STATED[symbols.cycle_birth]), float(STATED[symbols.cycle_death])


def exact(quantity: sp.Expr, lr: np.ndarray) -> np.ndarray:
    """Evaluate a formula in the learning rate."""
    return sp.lambdify(η, quantity)(lr) * np.ones_like(lr)


def draw_orbits(axes: Axes, scan: xr.Dataset) -> None:
    """Draw where the orbits end up, and the exact cycle over them."""
    birth, death = limits()
    rates = np.broadcast_to(scan.lr.values[:, None, None], scan.w.shape[:3])
    axes.plot(rates.ravel(), scan.w.values.ravel(), linestyle="none", marker=",", color=GREY, zorder=1, rasterized=True)
    stable, beyond = np.linspace(birth, death, 300), np.linspace(death, LAST, 100)
    for lr, look in ((stable, HIGH), (beyond, LOW)):
        for point in cycle():
            artists.theory(axes, lr, exact(point, lr), look)
    artists.theory(axes, [0.8, birth], [1, 1], MINIMUM)
    for edge, text in ((birth, "$\\eta=1$"), (death, "$\\sqrt{5}-1$")):
        artists.limit(axes, edge, text, 0.06)
    axes.set(
        xlabel="learning rate $\\eta$ (units of $w^2$ per loss)", ylabel="$w$ (units of $w$)", title="a  Where it ends"
    )
    artists.legend(axes, [MINIMUM, HIGH, LOW], loc="lower left", bbox_to_anchor=(0, 0.12))


def settled(scan: xr.Dataset, period: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the scan, (learning rate, start), with this period, a few of them."""
    rows = np.argwhere(scan.period.values == period)
    return tuple(rows[:: max(1, len(rows) // 12)].T)


def draw_curvature(axes: Axes, scan: xr.Dataset) -> None:
    """Draw the mean curvature along the orbit."""
    birth, death = limits()
    lr = np.linspace(birth, death, 200)
    artists.theory(axes, lr, exact(STATED[symbols.cycle_curvature], lr), CURVATURE)
    artists.theory(axes, [0.8, death], [2, 2], OF_MINIMUM)
    artists.theory(axes, np.linspace(0.9, death, 100), 2 / np.linspace(0.9, death, 100), EDGE)
    rows, starts = settled(scan, 2)
    w = scan.w.values[rows, starts, -2:, 0]
    artists.measured(axes, scan.lr.values[rows], (3 * w**2 - 1).mean(axis=1), CURVATURE)
    axes.set(
        xlabel="learning rate $\\eta$ (units of $w^2$ per loss)", ylabel="mean curvature (loss per $w^2$)",
        title="b  Curvature along the orbit", ylim=(1.45, 2.3), xlim=(0.88, 1.25),
    )  # fmt: skip
    artists.legend(axes, [CURVATURE, EDGE, OF_MINIMUM], loc="lower left")


def draw_multiplier(axes: Axes, scan: xr.Dataset) -> None:
    """Draw the derivative of one period."""
    birth, death = limits()
    below, lr = np.linspace(0.8, birth, 50), np.linspace(birth, death, 200)
    artists.theory(axes, below, 1 - 2 * below, OWN)
    artists.theory(axes, lr, exact(STATED[symbols.cycle_multiplier], lr), MULTIPLIER)
    for period, look in ((1, OWN), (2, MULTIPLIER)):
        rows, starts = settled(scan, period)
        artists.measured(axes, scan.lr.values[rows], scan.multiplier.values[rows, starts], look)
    most = float(STATED[symbols.cycle_super])
    axes.axhspan(-1, 1, color=GREY, alpha=0.12, linewidth=0)
    artists.limit(axes, most, "$3/\\sqrt{2}-1$", 0.93, "right")
    axes.annotate("attracts", (1.14, 0.8), fontsize=9.5)
    axes.set(
        xlabel="learning rate $\\eta$ (units of $w^2$ per loss)", ylabel="multiplier of a period (dimensionless)",
        title="c  Slope of a period", ylim=(-1.3, 1.3),
    )  # fmt: skip
    artists.legend(axes, [OWN, MULTIPLIER], loc="center left")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    rates, orbits = (60, 2) if quick else (900, 4)
    starts = np.random.default_rng(rng).uniform(0.3, 1.2, orbits)
    scan = sgd.bifurcation(double_well(), lr=np.linspace(0.8, LAST, rates), start=starts, transient=3000, keep=64)
    with style():
        figure = Figure(figsize=(11.4, 4.1))
        axes = figure.subplots(1, 3, width_ratios=(5, 4, 4))
        draw_orbits(axes[0], scan)
        draw_curvature(axes[1], scan)
        draw_multiplier(axes[2], scan)
    title = "An edge of stability that can be solved"
    return Picture("edge_of_stability", title, caption(scan, rng), ("STA-10",), figure)


def caption(scan: xr.Dataset, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    rows, starts = np.nonzero(scan.period.values == 2)
    lr = scan.lr.values[rows]
    w = np.sort(scan.w.values[rows, starts, -2:, 0], axis=1)
    inside = (lr > 1.01) & (lr < 1.23)
    points = np.stack([exact(point, lr[inside]) for point in reversed(cycle())], axis=1)
    worst = np.abs(w[inside] - points).max()
    diverged = int((scan.diverged_at.values >= 0).sum())
    birth, death = limits()
    return (
        f"Gradient descent on (w² − 1)²/4 without noise: {scan.sizes['iterate']} iterates after "
        f"{scan.attrs['transient']} at {scan.sizes['lr']} learning rates from {scan.sizes['start']} random starts "
        f"(seed {rng}; {diverged} of {scan.period.size:,} runs diverged). Between η = {birth:g} and √5 − 1 = "
        f"{death:.4f} they settle on the exact two-cycle, to {worst:.0e} for 1.01 < η < 1.23; then its period "
        "doubles, on to chaos. The mean curvature over the cycle falls below that of the minimum, but stays above "
        "2/η."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "edge_of_stability.png")
