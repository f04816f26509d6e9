"""The lectures' batch size: what a step guarantees, and what it brings.

Left: the guaranteed decrease of the loss against the learning rate, a parabola for every batch size. Right: at each
batch's best learning rate, the guaranteed and the mean simulated decrease per example. The guarantee has its best
batch size B*, the optimum is flat, and the mean decrease is well above what is guaranteed.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, save, style
from sgdtheory.theory.lectures import batch_size as theory
from sgdtheory.theory.lectures import expected_progress

VALUES = {theory.ĝ: 1, theory.σ: 1, theory.L: 1, theory.z: 2}
PARABOLAS = (
    Look("2", PURPLE, "v", (0, (1, 1))),
    Look("4", ORANGE, "D", "--"),
    Look("8", GREEN, "^", "-."),
    Look("16", BLUE, "o", "-"),
    Look("64", RED, "s", (0, (5, 1))),
)
BATCH_SIZES = (5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128)
HELD_SHOWN = (5, 8, 16)  # the fraction of runs in which the bound held is written there
GUARANTEED = Look("guaranteed, formula", BLUE, "", "-")
MEAN = Look("mean, formula and simulation", RED, "s", "--")
EXPECTED = Look("mean, at its own best learning rate", BLACK, "", ":")


class Point(NamedTuple):
    """One simulated step, averaged over replicas."""

    batch_size: int
    decrease: float
    standard_error: float
    held: float
    diverged: int


def number(expression: sp.Expr) -> float:
    """Put in the values of g, σ, L and z."""
    return float(expression.subs(VALUES))


def simulated(batch_size: int, replicas: int, seed: np.random.SeedSequence) -> Point:
    """Take one step at the batch's best learning rate on the quadratic of curvature L where its gradient is g."""
    lr = number(theory.optimal_lr(batch_size))
    problem = sgd.quadratic(VALUES[theory.L], VALUES[theory.σ] ** 2)
    start = VALUES[theory.ĝ] / VALUES[theory.L]
    run = sgd.simulate(problem, sgd.SGD(lr=lr), steps=1, replicas=replicas, init=start, batch_size=batch_size, rng=seed)
    before, after = sgd.numeric_loss(problem).value(run.w.values).T
    estimate = (run.w.values[:, 0, 0] - run.w.values[:, 1, 0]) / lr
    promise = sp.lambdify(
        theory.ĝ, theory.guarantee(lr, batch_size).subs({s: v for s, v in VALUES.items() if s != theory.ĝ})
    )
    decrease = before - after
    error = decrease.std(ddof=1) / np.sqrt(replicas)
    return Point(batch_size, decrease.mean(), error, (decrease >= promise(estimate)).mean(), run.attrs["diverged"])


def draw_guarantees(axes: Axes) -> None:
    """Draw the guaranteed change of the loss against the learning rate, a parabola for each batch size."""
    best = number(theory.optimal_batch())
    for look in PARABOLAS:
        batch = int(look.label)
        change = sp.lambdify(theory.η, -theory.guarantee(batch_size=batch).subs(VALUES))
        lr = np.linspace(0, 1.35, 400)
        lr = lr[change(lr) <= 0.5]
        axes.plot(lr, change(lr), color=look.color, linestyle=look.line)
        top = number(theory.optimal_lr(batch))
        if top >= 0:
            axes.plot(top, change(top), look.marker, color=look.color, markersize=8, zorder=3)
        name = {best / 4: " = B*/4", best: " = B*"}.get(batch, "")
        axes.annotate(f"B = {batch}{name}", (lr[-1], change(lr[-1])), xytext=(0, 4), textcoords="offset points",
                      ha="center", fontsize=9.5, color=look.color)  # fmt: skip
    axes.axhline(0, color=BLACK, linewidth=0.9)
    axes.set(
        xlim=(-0.03, 1.55), ylim=(-0.35, 0.6), title="What a step guarantees",
        xlabel="learning rate $\\eta$ (units of $\\theta^2$/loss)",
        ylabel="bound on the change of the loss\n(units of the loss)",
    )  # fmt: skip


def per_example(decrease: sp.Expr, batch_size: np.ndarray | float, lr: sp.Expr | None = None) -> np.ndarray:
    """Return a decrease per example at a learning rate, by default that with each batch's best guarantee."""
    formula = (decrease / theory.B).subs(theory.η, theory.optimal_lr() if lr is None else lr).subs(VALUES)
    return sp.lambdify(theory.B, formula)(batch_size)


def draw_progress(axes: Axes, points: list[Point]) -> None:
    """Draw guaranteed and mean decrease per example against the batch size."""
    best = number(theory.optimal_batch())
    batch = np.geomspace(best / 4, 8.5 * best, 300)
    artists.theory(axes, batch, per_example(theory.guarantee(), batch), GUARANTEED)
    artists.theory(axes, batch, per_example(theory.expected_decrease(), batch), MEAN)
    every = np.geomspace(best / 8, 8.5 * best, 300)
    free = per_example(theory.expected_decrease(), every, expected_progress.expected_lr())
    artists.theory(axes, every, free, EXPECTED)
    size, decrease, error, _, _ = np.array(points).T
    artists.measured(axes, size, decrease / size, MEAN, 3 * error / size)
    for times, name in ((0.5, "B*/2"), (1, "B*"), (2, "2B*")):
        height = per_example(theory.guarantee(), times * best)
        axes.plot(times * best, height, "o", color=BLUE, markersize=8 if times == 1 else 5)
        part = height / number(theory.best_per_example())
        axes.annotate(f"{name}\n{part:.0%}", (times * best, height), xytext=(0, -8), textcoords="offset points",
                      ha="center", va="top", fontsize=9.5, color=BLUE)  # fmt: skip
    for point in points:
        if point.batch_size in HELD_SHOWN:
            axes.annotate(f"{point.held:.1%}", (point.batch_size, point.decrease / point.batch_size), xytext=(2, -12),
                          textcoords="offset points", va="top", ha="left" if point.batch_size < 8 else "center",
                          fontsize=9.5, color=RED)  # fmt: skip
    axes.axvspan(best / 8, best / 4, color=GREY, alpha=0.12, linewidth=0)
    artists.limit(axes, best / 4, "B*/4:\nbreak-\neven", 0.5)
    axes.set(
        xscale="log", yscale="log", xlabel="batch size $B$ (examples)", title="What it brings an example",
        ylabel="decrease of the loss per example\n(units of the loss)", xlim=(best / 8, 9 * best), ylim=(6e-4, 1),
    )  # fmt: skip
    axes.set_xticks([4, 8, 16, 32, 64, 128], labels=["4", "8", "16", "32", "64", "128"])
    axes.minorticks_off()
    artists.legend(
        axes,
        [EXPECTED, MEAN, GUARANTEED],
        loc="upper right",
        title="red numbers: in how many\nof the runs the bound held",
        title_fontsize=9.5,
    )


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas, sizes = (4_000, BATCH_SIZES[1::4]) if quick else (100_000, BATCH_SIZES)
    seeds = np.random.SeedSequence(rng).spawn(len(sizes))
    points = [simulated(size, replicas, seed) for size, seed in zip(sizes, seeds, strict=True)]
    with style():
        figure = Figure(figsize=(9.6, 4.4))
        (left, right) = figure.subplots(1, 2)
        draw_guarantees(left)
        draw_progress(right, points)
    return Picture(
        "batch_size",
        "The batch size with the best guarantee",
        caption(points, replicas, rng),
        ("MCA-01", "MCA-02", "MCA-03", "MCA-04"),
        figure,
    )


def caption(points: list[Point], replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    best = number(theory.optimal_batch())
    double = per_example(theory.guarantee(), 2 * best) / number(theory.best_per_example())
    values = ", ".join(f"{name} = {VALUES[s]}" for name, s in zip("gσLz", VALUES, strict=True))
    at_best = min(points, key=lambda p: abs(p.batch_size - best))
    ratio = at_best.decrease / number(theory.guarantee(theory.optimal_lr(at_best.batch_size), at_best.batch_size))
    top = max(points, key=lambda p: p.decrease / p.batch_size)
    held = [p.held for p in points]
    diverged = f"{sum(p.diverged for p in points)} of {replicas * len(points):,}"
    return (
        f"Left: the guaranteed change of the loss for a gradient estimate ĝ = g, marked at each batch's best learning "
        f"rate ({values}; B* = {best:g}). Right, at that learning rate: the guarantee per example, flat around B* (2B* "
        f"keeps {double:.0%}), and the mean of one step on a quadratic of curvature L, {replicas:,} replicas a batch "
        f"size with bars of 3 standard errors (seed {rng}; {diverged} runs diverged). At B = {at_best.batch_size} the "
        f"mean is {ratio:.1f} times the guarantee, and among the simulated sizes it is largest per example at "
        f"B = {top.batch_size}; at the learning rate best in the mean (dotted) it falls with B everywhere: caution, "
        f"not progress, asks for B*. The bound held in {min(held):.1%} to {max(held):.1%} of the "
        f"runs (some values in red), so it is a confidence statement."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "batch_size.png")
