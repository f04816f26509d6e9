"""The published stuck experiments: where all directions are degenerate SGD stays, and on the line exactly.

On a line: Q = (w + 2)²(w − 2)³, momentum ½, whose minima both have no curvature. In the plane: Q = (w1² + w2²)²w1².
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
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, save, style

Array = NDArray[np.float64]
LR, BATCH, CONVENTION = 0.01, 20, "squared error"
LINE_SAMPLES, LINE_W0, LINE_DEGREES, MOMENTUM = 10_000, 2, (2, 3), 0.5
PLANE_SAMPLES, PLANE_REACH, PLANE_ACROSS = 10_000, 10.0, 0.1
PUBLISHED_SHARE = 0.11
BARRIER = LINE_W0 * (LINE_DEGREES[0] - LINE_DEGREES[1]) / sum(LINE_DEGREES)


def _data(samples: int, seed: int) -> sgd.Dataset:
    x, y = np.random.default_rng(seed).standard_normal((2, samples))
    return sgd.Dataset(x=x, y=y, sampling="one epoch")


@cache
def line(replicas: int, rng: int) -> xr.Dataset:
    """Run on the line, as published but for the number of runs."""
    problem = sgd.sticky_1d(*LINE_DEGREES, sp.Integer(LINE_W0), convention=CONVENTION, data=_data(LINE_SAMPLES, 1))
    return sgd.simulate(
        problem, sgd.Momentum(lr=LR, momentum=MOMENTUM), steps=LINE_SAMPLES // BATCH, batch_size=BATCH,
        replicas=replicas, init=sgd.Uniform(-2 * LINE_W0, 2 * LINE_W0), record=5, rng=rng, progress=False,
    )  # fmt: skip


@cache
def plane(replicas: int, rng: int, across: float = PLANE_ACROSS) -> xr.Dataset:
    """Run in the plane from near the line, or with `across` 0 on it."""
    problem = sgd.sticky_2d(2, 2, convention=CONVENTION, data=_data(PLANE_SAMPLES, 1))
    first = sgd.Uniform(-across, across) if across else 0
    return sgd.simulate(
        problem, sgd.SGD(lr=LR), steps=PLANE_SAMPLES // BATCH, batch_size=BATCH, replicas=replicas,
        init=[first, sgd.Uniform(-PLANE_REACH, PLANE_REACH)], record=10, rng=rng, progress=False,
    )  # fmt: skip


def shares(run: xr.Dataset) -> tuple[Array, Array, Array]:
    """Return the share left of the barrier among finite runs, among all, and of diverged runs, by recorded step."""
    w, failed, steps = run.w.values[..., 0], run.diverged_at.values, run.step.values
    gone = (failed[:, np.newaxis] >= 0) & (failed[:, np.newaxis] <= steps)
    left = (w < BARRIER) & ~gone
    return left[failed < 0].mean(axis=0), left.mean(axis=0), gone.mean(axis=0)


def draw_shares(axes: Axes, run: xr.Dataset) -> None:
    """Draw the shares against the step."""
    steps = np.maximum(run.step.values, 0.8)
    finite, every, gone = shares(run)
    axes.plot(steps, finite, color=BLUE, marker="o", markevery=8, ms=5, label="left of the barrier, finite runs")
    axes.plot(steps, every, color=GREEN, marker="^", markevery=8, ms=5, label="left of the barrier, all runs")
    axes.plot(steps, gone, color=RED, ls="--", label="diverged, all runs")
    axes.axhline(PUBLISHED_SHARE, color=BLACK, ls=":", lw=1.4, label="published, finite runs")
    axes.set(xlabel="step", ylabel="share of runs", ylim=(0, 1.0), title="a  On the line: nobody leaves")
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.72))


def draw_line_ends(axes: Axes, run: xr.Dataset) -> None:
    """Draw where finite runs end on the line."""
    ends = run.w.values[run.diverged_at.values < 0, -1, 0]
    bins = np.arange(-2.4, 2.85, 0.08)
    axes.hist(ends[ends < BARRIER], bins, density=False, color=PURPLE, label="left")
    axes.hist(ends[ends >= BARRIER], bins, density=False, color=ORANGE, label="right")
    axes.axvline(BARRIER, color=GREY, ls="--", lw=1.2)
    axes.annotate("barrier", (BARRIER, 0.9), xycoords=axes.get_xaxis_transform(), xytext=(-4, 0),
                  textcoords="offset points", ha="right", fontsize=9.5)  # fmt: skip
    axes.set(xlabel="$w$ after 500 steps", ylabel="runs a bin", title="b  Where finite runs end")


def draw_plane(axes: Axes, run: xr.Dataset) -> None:
    """Draw w2 at the end against w2 at the start."""
    ok = run.diverged_at.values < 0
    start, end = run.w.values[ok, 0, 1], run.w.values[ok, -1, 1]
    axes.plot(start, start, color=GREY, lw=1, label="has not moved")
    axes.plot(start, end, ls="none", marker="o", ms=3.5, mfc="none", color=BLUE, label="finite runs")
    lost = run.w.values[~ok, 0, 1]
    axes.plot(lost, np.full(lost.size, -4.6), ls="none", marker="|", color=RED, label="starts of diverged runs")
    axes.set(xlabel="$w_2$ at the start", ylabel="$w_2$ after 500 steps", ylim=(-5, 7), title="c  In the plane, $d=2$")
    axes.legend(loc="upper center")


def moved(run: xr.Dataset) -> Array:
    """Return how far w2 of finite runs has moved."""
    ok = run.diverged_at.values < 0
    return np.abs(run.w.values[ok, -1, 1] - run.w.values[ok, 0, 1])


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Run both experiments and draw them."""
    replicas = 1_000 if quick else 10_000
    on_line, in_plane, exact = line(replicas, rng), plane(replicas // 5, rng), plane(200, rng, 0.0)
    with style():
        figure = Figure(figsize=(12.2, 4.2))
        axes = figure.subplots(1, 3)
        draw_shares(axes[0], on_line)
        draw_line_ends(axes[1], on_line)
        draw_plane(axes[2], in_plane)
    text = caption(on_line, in_plane, exact, rng)
    return Picture("sticky_stuck", "Stuck means: no curvature, no gradient, no instability", text, CITED, figure)


CITED = ("DEG-24", "DEG-25", "DEG-05")


def caption(on_line: xr.Dataset, in_plane: xr.Dataset, exact: xr.Dataset, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    finite, every, gone = shares(on_line)
    steps = on_line.step.values
    early = int(np.argmax(gone > 0.99 * gone[-1]))
    stayed = int(np.sum(moved(exact) == 0))
    ok = in_plane.diverged_at.values < 0
    return (
        f"a, b: Q = (w + 2)²(w − 2)³, η = {LR:g}, B = {BATCH}, momentum {MOMENTUM:g}, squared error without the ½, one "
        f"epoch of {LINE_SAMPLES:,} samples, uniform starts on ±{2 * LINE_W0} ({on_line.sizes['replica']:,} "
        f"runs, seed {rng}). The published share left of the barrier, about {PUBLISHED_SHARE:g} of 100 runs, counts "
        f"only those that never diverge; here it is {finite[-1]:.3f}. {gone[-1]:.0%} of all runs diverge, nearly all "
        f"by step {steps[early]}, thrown by the steep walls: of all runs {every[-1]:.3f} end left, "
        f"though {every[0]:.2f} start there. Both minima have L'' = 0, so that no learning rate makes them unstable, "
        f"and the barrier is a fixed point of every step. c: Q = (w1² + w2²)²w1², w1 uniform on ±{PLANE_ACROSS:g}, "
        f"w2 on ±{PLANE_REACH:g}; the {ok.mean():.0%} of runs that stay finite move w2 by "
        f"{np.max(moved(in_plane)):.2g} at most. From w1 = 0 exactly all {stayed} of {exact.sizes['replica']} runs "
        f"stay where they are, to the last bit: there every example's gradient is 0."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "sticky_stuck.png")
