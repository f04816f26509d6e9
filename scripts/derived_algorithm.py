"""The lectures' derived algorithm on their one-dimensional example: as printed, repaired, corrected, and plain SGD.

As printed it diverges; with the slip repaired it soon gives a batch all the weight and stays there, at the learning
rate 1/(2L); corrected, its learning rate falls by itself about as fast as the error allows.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.derive.moments import stationary_variance
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, save, style

BATCH_SIZE, NOISE_STD, START, SMOOTHNESS, WARMUP = 16, 8, 10, 1, 10
CLIP = (1e-3, 0.5)
RATES = (0.5, 0.02)
"""Fixed learning rates: the largest the algorithm takes, and one of the size it comes to use."""
PLAIN = (Look("SGD, $\\eta=0.5$", GREY, "v", "-"), Look("SGD, $\\eta=0.02$", BLUE, "s", "--"))
SLIDES = Look("as printed ($\\tilde s$ from $\\tilde g$)", ORANGE, "D", (0, (1, 1)))
REPAIRED = Look("printed, slip repaired", RED, "^", "-.")
CORRECTED = Look("corrected", GREEN, "o", "-")


class Run(NamedTuple):
    """Squared errors and weights of many replicas at the recorded steps."""

    steps: np.ndarray
    error: np.ndarray
    standard_error: np.ndarray
    weight: np.ndarray  # median of g̃²/(16(s̃ − g̃²)), before the clip
    at_one: np.ndarray
    diverged: int


def simulated(optimizer: sgd.Optimizer, steps: list[int], replicas: int, seed: np.random.SeedSequence) -> Run:
    """Run on the scalar mean problem; recover each run's weight B/B* from its running means."""
    problem = sgd.scalar_mean(noise_std=NOISE_STD)
    run = sgd.simulate(
        problem, optimizer, steps=steps[-1], replicas=replicas, init=START, batch_size=BATCH_SIZE, record=steps,
        record_memory=bool(optimizer.buffers), rng=seed,
    )  # fmt: skip
    squared = run.w.values[:, :, 0] ** 2
    with np.errstate(all="ignore"):  # a diverged run has an infinite error, and that is what is drawn of it
        mean, deviation = squared.mean(axis=0), squared.std(axis=0, ddof=1) / np.sqrt(replicas)
        weight = at_one = np.full(len(steps), np.nan)
        if optimizer.buffers:
            average, square = np.moveaxis(run.memory.values, -1, 0)
            spread = square - average**2
            at_one = (spread <= 0).mean(axis=0) * (np.array(steps) >= WARMUP)
            weight = np.median(average**2 / (16 * spread), axis=0)
    return Run(np.array(steps), mean, deviation, weight, at_one, run.attrs["diverged"])


def plain_error(lr: float, steps: np.ndarray) -> np.ndarray:
    """Return the mean squared error of SGD in closed form: the start forgotten, the stationary variance reached."""
    values = {symbols.curvature: SMOOTHNESS, symbols.noise_std: NOISE_STD}
    variance = float(stationary_variance(sgd.SGD(lr=lr), BATCH_SIZE).subs(values))
    left = (1 - lr * SMOOTHNESS) ** (2 * steps)
    return left * START**2 + (1 - left) * variance


def draw_errors(axes: Axes, runs: dict[Look, Run], steps: int) -> None:
    """Draw mean squared errors; those of plain SGD with their formula."""
    time = np.unique(np.geomspace(1, steps, 200).round())
    for lr, look in zip(RATES, PLAIN, strict=True):
        artists.theory(axes, time, plain_error(lr, time), look)
    for look, run in runs.items():
        # a mean that a few runs carry, no larger than its own bar, is no point on a logarithmic axis
        shown = (run.steps > 0) & (run.error < 1e6) & (3 * run.standard_error < run.error)
        artists.measured(axes, run.steps[shown], run.error[shown], look, 3 * run.standard_error[shown])
        if look not in PLAIN:
            axes.plot(run.steps[shown], run.error[shown], color=look.color, linestyle=look.line, linewidth=1)
    floor = NOISE_STD**2 / BATCH_SIZE / time[1:]
    axes.plot(time[1:], floor, color=BLACK, linestyle=":", linewidth=1.2)
    axes.annotate(
        "mean of all examples\nso far, $\\sigma^2/(Bt)$", (time[60], floor[59]), xytext=(-6, -10),
        textcoords="offset points", ha="right", va="top", fontsize=9.5,
    )  # fmt: skip
    axes.set(
        xscale="log", yscale="log", xlim=(0.9, 1.3 * steps), ylim=(5e-4, 2e4), title="Error",
        xlabel="step $t$ (batches)", ylabel="mean squared error $E\\,\\beta^2$ (units of $\\beta^2$)",
    )  # fmt: skip
    artists.legend(axes, [*PLAIN, SLIDES, REPAIRED, CORRECTED], loc="upper right", fontsize=8.5)


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas, steps = (500, 300) if quick else (4_000, 3_000)
    recorded = sgd.log_steps(steps, per_decade=8)
    rules = {
        **{look: sgd.SGD(lr=lr) for lr, look in zip(RATES, PLAIN, strict=True)},
        SLIDES: sgd.PrintedDerivedSGD(SMOOTHNESS, BATCH_SIZE, warmup=WARMUP, form="slides"),
        REPAIRED: sgd.PrintedDerivedSGD(SMOOTHNESS, BATCH_SIZE, warmup=WARMUP, form="repaired"),
        CORRECTED: sgd.DerivedSGD(SMOOTHNESS, warmup=WARMUP, low=CLIP[0], high=CLIP[1]),
    }
    seeds = np.random.SeedSequence(rng).spawn(len(rules))
    runs = {
        look: simulated(rule, recorded, replicas, seed) for (look, rule), seed in zip(rules.items(), seeds, strict=True)
    }
    with style():
        figure = Figure(figsize=(9.6, 4.6))
        left, right = figure.subplots(1, 2)
        draw_errors(left, runs, steps)
        draw_weights(right, runs, steps)
    return Picture(
        "derived_algorithm", "The lectures' derived algorithm", caption(runs, replicas, steps, rng),
        ("MCA-07", "MCA-08", "MCA-10"), figure,
    )  # fmt: skip


def draw_weights(axes: Axes, runs: dict[Look, Run], steps: int) -> None:
    """Draw the median weight B/B* of a new batch, and the runs that gave one all of it."""
    true = BATCH_SIZE * START**2 / (16 * NOISE_STD**2)
    run = runs[CORRECTED]
    settled = run.steps >= WARMUP
    weight = np.clip(run.weight, *CLIP)
    axes.plot(run.steps[settled], weight[settled], color=CORRECTED.color, linestyle=CORRECTED.line, marker="o",
              markerfacecolor="white", markersize=5, label="corrected: median of $B/B^*$")  # fmt: skip
    bad = runs[REPAIRED]
    settled &= bad.at_one > 0
    axes.plot(bad.steps[settled], bad.at_one[settled], color=REPAIRED.color, linestyle=REPAIRED.line, marker="^",
              markerfacecolor="white", markersize=5, label="slip repaired: runs at $B/B^*=1$ (fraction)")  # fmt: skip
    axes.set(
        xscale="log", yscale="log", xlim=(WARMUP * 0.9, 1.3 * steps), ylim=(5e-4, 20), title="Weight of a new batch",
        xlabel="step $t$ (batches)", ylabel="$B/B^*$ or fraction (dimensionless)",
    )  # fmt: skip
    axes.axhline(true, color=PURPLE, linestyle=(0, (5, 1)), linewidth=1.2, label="true $B/B^*$ at the start")
    axes.legend(loc="center right", fontsize=8.5)


def caption(runs: dict[Look, Run], replicas: int, steps: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    corrected, repaired, printed = runs[CORRECTED], runs[REPAIRED], runs[SLIDES]
    others = sum(run.diverged for look, run in runs.items() if look != SLIDES)
    first = int(repaired.steps[np.argmax(repaired.at_one > 0.99)])
    best_plain = min(runs[look].error[-1] for look in PLAIN)
    return (
        f"Scalar mean problem (σ = {NOISE_STD}, B = {BATCH_SIZE}, L = {SMOOTHNESS}, start {START}; {WARMUP} steps only "
        f"average), {replicas:,} runs a rule with bars of 3 standard errors, seed {rng}; {others} of "
        f"{replicas * (len(runs) - 1):,} runs diverged, leaving out the rule as printed, of which "
        f"{printed.diverged:,} did within {steps:,} steps. With the slip repaired, 99 % of the runs have given a batch "
        f"all the weight by step {first}, and at step {steps:,} it is {repaired.at_one[-1]:.0%}: SGD at η = 1/(2L), "
        f"error {repaired.error[-1]:.2g} against {plain_error(0.5, np.array([steps]))[0]:.2g} in theory. Corrected (no "
        f"factor B missing, weight kept from {CLIP[0]:g} to {CLIP[1]:g}), the error is {corrected.error[-1]:.2g}, "
        f"{best_plain / corrected.error[-1]:.1f} times below the better fixed rate, and still falls."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "derived_algorithm.png")
