"""The published 2-D escape: a walk across the degenerate line, and a slow creep along it that was taken for an end.

Q = (w1² + w2²)² w1, squared error without the ½, learning rate 0.01, batches of 20, one epoch of 10⁵ samples, start on
the line w1 = 0. The pile-up of the final w2 near ±0.95 is a caustic of the creep law and moves on as n^(−1/6).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import sympy as sp
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREY, ORANGE, RED, save, style
from sgdtheory.theory.degenerate.creep import caustic, creep

Array = NDArray[np.float64]
LR, BATCH, SAMPLES, REACH = 0.01, 20, 100_000, 5.0
STEPS = SAMPLES // BATCH
CONVENTION = "squared error"
PUBLISHED_SURVIVAL, PUBLISHED_PILE = 0.386, 0.95
SURVIVES = (1 / (LR * (1 + 2 / BATCH))) ** 0.125  # start on the line at which the linearised mean square grows
LAW = Look("creep law", BLACK, "", "--")
RUNS = Look("SGD", BLUE, "o", "-")
CAUSTIC = "caustic, from however far"


@cache
def experiment(seed: int | None = 1) -> sgd.Problem:
    """Return the problem on one fixed data set, or on its population (None)."""
    if seed is None:
        return sgd.sticky_2d(1, 2, convention=CONVENTION)
    x, y = np.random.default_rng(seed).standard_normal((2, SAMPLES))
    return sgd.sticky_2d(1, 2, convention=CONVENTION, data=sgd.Dataset(x=x, y=y, sampling="one epoch"))


def simulate(replicas: int, rng: int, steps: int = STEPS, every: int = 25) -> xr.Dataset:
    """Run as published: from w1 = 0 and w2 uniform."""
    return sgd.simulate(
        experiment(), sgd.SGD(lr=LR), steps=steps, batch_size=BATCH, replicas=replicas,
        init=[0, sgd.Uniform(-REACH, REACH)], record=every, rng=rng, progress=False,
    )  # fmt: skip


def law(start: Array, steps: Array | float) -> Array:
    """Return |w2| after so many steps, from |w2| at the start."""
    place = creep(convention=CONVENTION).subs(_numbers())
    inputs = (symbols.creep_start, symbols.creep_steps)
    return np.asarray(sp.lambdify(inputs, place)(np.abs(start), steps))


def edge(steps: float) -> float:
    """Return the caustic after so many steps."""
    return float(caustic(CONVENTION).subs(_numbers()).subs(symbols.creep_steps, steps))


def _numbers() -> dict[sp.Symbol, float]:
    return {symbols.line_power: 2, symbols.lr: sp.Rational(str(LR)), symbols.noise_std: 1, symbols.batch_size: BATCH}


def draw_path(axes: Axes, run: xr.Dataset) -> None:
    """Draw one path on the contours of the loss, the run that starts nearest to w2 = −1.7."""
    w = run.w.values
    finite = np.flatnonzero(run.diverged_at.values < 0)
    chosen = finite[np.argmin(np.abs(w[finite, 0, 1] + 1.7))]
    across, along = np.meshgrid(np.linspace(-0.7, 0.7, 120), np.linspace(-2, 0.3, 160))
    loss = sgd.numeric_loss(experiment(None))
    excess = loss.value(np.stack([across, along], axis=-1)) - loss.value([0.0, 0.0])
    axes.contour(across, along, np.log10(excess + 1e-12), levels=np.arange(-6, 2.1, 1), colors=GREY, linewidths=0.7)
    axes.plot(*w[chosen].T, color=BLUE, lw=0.7)
    for k, text in ((0, "start"), (-1, f"step {STEPS:,}")):
        axes.annotate(text, w[chosen, k], (14, 0), textcoords="offset points", va="center", fontsize=9.5)
        axes.plot(*w[chosen, k], "o", color=BLACK, ms=4)
    axes.axvline(0, color=ORANGE, lw=1)
    axes.set(xlabel="$w_1$", ylabel="$w_2$", title="a  One run (contours: decades)")


def draw_creep(axes: Axes, run: xr.Dataset) -> None:
    """Draw |w2| of some runs against the step, with the law from each start."""
    steps, w2 = run.step.values.astype(float), np.abs(run.w.values[..., 1])
    finite = np.flatnonzero(run.diverged_at.values < 0)
    for k, target in enumerate((0.6, 0.9, 1.1, 1.3, 1.6)):
        chosen = finite[np.argmin(np.abs(w2[finite, 0] - target))]
        axes.plot(steps, w2[chosen], color=BLUE, lw=1.2, label=RUNS.label if k == 0 else None)
        axes.plot(steps, law(w2[chosen, :1], steps), color=BLACK, ls="--", lw=1.2, label=LAW.label if k == 0 else None)
    later = np.linspace(150, STEPS, 200)
    axes.plot(later, [edge(n) for n in later], color=RED, lw=1.8, label=CAUSTIC)
    axes.set(xlabel="step", ylabel="$|w_2|$", ylim=(0.4, 1.8), title="b  Along the line")
    axes.legend()


def draw_ends(axes: Axes, run: xr.Dataset) -> None:
    """Draw the histogram of the final w2 of finite runs, the law's histogram for the same starts, and the caustic."""
    ok = run.diverged_at.values < 0
    starts, ends = run.w.values[ok, 0, 1], run.w.values[ok, -1, 1]
    bins = np.linspace(-1.2, 1.2, 49)
    axes.hist(ends, bins, color=BLUE, alpha=0.45, label="SGD")
    axes.hist(np.sign(starts) * law(starts, STEPS), bins, histtype="step", color=BLACK, ls="--", label="creep law")
    for sign in (-1, 1):
        axes.axvline(sign * edge(STEPS), color=RED, lw=1.5, label=CAUSTIC if sign > 0 else None)
    axes.set(xlabel=f"$w_2$ after {STEPS:,} steps", ylabel="runs a bin", title="c  Where runs are")
    axes.set_ylim(0, 1.45 * axes.get_ylim()[1])
    axes.legend(loc="upper center", ncols=1)


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Run the experiment and draw it."""
    run = simulate(250 if quick else 2_500, rng, every=25)
    with style():
        figure = Figure(figsize=(12.2, 4.4))
        axes = figure.subplots(1, 3)
        draw_path(axes[0], run)
        draw_creep(axes[1], run)
        draw_ends(axes[2], run)
    title = "The pile-up along the degenerate line is a slow power law on its way"
    return Picture("sticky_creep", title, caption(run, rng), ("DEG-24", "DEG-27", "DEG-32"), figure)


def caption(run: xr.Dataset, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    ok = run.diverged_at.values < 0
    starts, ends = np.abs(run.w.values[ok, 0, 1]), np.abs(run.w.values[ok, -1, 1])
    linear = starts < SURVIVES
    worst = np.max(np.abs(ends - law(starts, STEPS))[linear])
    return (
        f"SGD on (Qx − y)², Q = (w1² + w2²)²w1, from w1 = 0 and w2 uniform on ±{REACH:g}: learning rate {LR:g}, "
        f"batches of {BATCH}, one epoch of {SAMPLES:,} independent normal pairs; {ok.size:,} runs (seed {rng}), as "
        f"published. {ok.mean():.1%} stay finite (published {PUBLISHED_SURVIVAL:.1%} of 1,000), {linear.mean():.1%} of "
        f"them from |w2| < {SURVIVES:.3f}, where the linearised mean square does not grow. a: noise moves w1 "
        f"about the line; the drift towards smaller |∇Q| moves w2. b, c: the law [w2^(−6) + 48(η²/B)n]^(−1/6), which "
        f"is off by at most {worst:.3f} for these, most for the outermost, whose jitter is not small. A run "
        f"from however far is at {edge(STEPS):.3f} after {STEPS:,} steps: there the histogram piles up, published at "
        f"about {PUBLISHED_PILE:g}. It is no attractor: after a hundred times as many steps it is at "
        f"{edge(100 * STEPS):.2f}."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "sticky_creep.png")
