"""The mean path of SGD in random order against the flow of its modified loss, with and without replacement.

Linear regression on one weight, batches of one. Left: how far the mean path is from the flow of the loss itself. Right:
the gap between the two ways of drawing, at one time, against the step size. Lines come from the ledger's penalties.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
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
from sgdtheory.plots.style import BLACK, BLUE, GREEN, RED, save, style
from sgdtheory.theory.lie_brackets.random_order import (
    REPLACED,
    RESHUFFLED,
    replaced_penalty,
    reshuffled_penalty,
)

X, Y = (1.5, -0.5, 1.0, 0.25), (1.5, -1.5, -0.5, 0.5)
START = 2.0
STEP = 0.04
TIMES = (1, 2, 4, 8, 12, 18, 24)  # in epochs
EPOCHS_AT = 0.64  # time of the right panel, in units of ε
STEPS = (0.02, 0.04, 0.08, 0.16)
PENALTY = {"reshuffle": reshuffled_penalty, "with replacement": replaced_penalty}
LOOKS = {
    "reshuffle": Look("random order of all", RED, "s", "--"),
    "with replacement": Look("drawn with replacement", BLUE, "o", "-"),
}
GAP = Look("difference of the means", GREEN, "^", "-")
NOTHING = Look("flow of the loss itself", BLACK, "", ":")


class Mean(NamedTuple):
    """A mean over runs, its standard error, and how many runs diverged."""

    value: float
    error: float
    diverged: int


def problem(sampling: str) -> sgd.Problem:
    """Return ½(y − wx)² on the data."""
    return sgd.Problem("(y - w*x)**2/2", ["w"], sgd.Dataset(x=X, y=Y, sampling=sampling), name="regression")


@cache
def descended(sampling: str | None, step: float) -> tuple[float, float]:
    """Return minimum and curvature of L + ¼ε·penalty, or of L itself."""
    w = sp.Symbol("w", real=True)
    losses = [(sp.nsimplify(y) - w * sp.nsimplify(x)) ** 2 / 2 for x, y in zip(X, Y, strict=True)]
    loss = sp.Add(*losses) / len(losses)
    if sampling is not None:
        loss += sp.Float(step) / 4 * PENALTY[sampling](losses, (w,))
    slope = sp.Poly(sp.expand(loss.diff(w)), w)
    curvature, constant = (float(slope.coeff_monomial(w**k)) for k in (1, 0))
    return -constant / curvature, curvature


def flow(sampling: str | None, step: float, time: np.ndarray | float) -> np.ndarray:
    """Return where the flow of the modified loss, or of the loss, is at a time."""
    minimum, curvature = descended(sampling, step)
    return np.asarray(minimum + (START - minimum) * np.exp(-curvature * np.asarray(time)))


def simulated(
    sampling: str, step: float, epochs: Sequence[int], replicas: int, seed: np.random.SeedSequence
) -> list[Mean]:
    """Return the mean position after whole epochs."""
    record = [len(X) * epoch for epoch in epochs]
    run = sgd.simulate(
        problem(sampling), sgd.SGD(lr=step), steps=record[-1], replicas=replicas, init=START, batch_size=1,
        record=record, rng=seed,
    )  # fmt: skip
    ends = run.w.to_numpy()[:, :, 0]
    errors = ends.std(axis=0, ddof=1) / np.sqrt(replicas)
    return [
        Mean(float(m), float(e), int(run.attrs["diverged"])) for m, e in zip(ends.mean(axis=0), errors, strict=True)
    ]


def draw_paths(axes: Axes, found: dict[str, list[Mean]]) -> None:
    """Draw the mean paths less the flow of the loss."""
    fine, times = np.linspace(0, len(X) * STEP * TIMES[-1], 200), len(X) * STEP * np.array(TIMES)
    axes.axhline(0, color=BLACK, linestyle=":", linewidth=1.2)
    for sampling, means in found.items():
        look = LOOKS[sampling]
        artists.theory(axes, fine, flow(sampling, STEP, fine) - flow(None, STEP, fine), look)
        values = np.array([m.value for m in means]) - flow(None, STEP, times)
        artists.measured(axes, times, values, look, [3 * m.error for m in means])
    axes.set(xlabel="time $n\\epsilon\\times$ epochs (units of $w^2/L$)", ylabel="mean path less flow (units of $w$)")
    axes.set(title=f"Along the path, $\\epsilon={STEP}$", ylim=(-0.018, 0.007))
    artists.legend(axes, [*LOOKS.values(), NOTHING], loc="upper right")


def draw_gaps(axes: Axes, found: dict[float, tuple[Mean, Mean]]) -> None:
    """Draw the difference between the two ways of drawing against the step size."""
    fine = np.geomspace(STEPS[0] * 0.8, STEPS[-1] * 1.25, 100)
    stated = [abs(flow("reshuffle", e, EPOCHS_AT) - flow("with replacement", e, EPOCHS_AT)) for e in fine]
    artists.theory(axes, fine, stated, GAP)
    steps = list(found)
    values = [abs(a.value - b.value) for a, b in found.values()]
    errors = [3 * float(np.hypot(a.error, b.error)) for a, b in found.values()]
    artists.measured(axes, steps, values, GAP, errors)
    artists.slope_triangle(axes, 0.03, min(stated), 1, decades=0.5)
    axes.set(xscale="log", yscale="log", xlabel="step size $\\epsilon$ (units of $w^2/L$)")
    axes.set(ylabel="difference of the means (units of $w$)", title=f"At the time {EPOCHS_AT}")
    axes.set_xticks(STEPS, [f"{e:g}" for e in STEPS])
    axes.set_yticks([0.003, 0.01, 0.03], ["0.003", "0.01", "0.03"])
    axes.minorticks_off()
    artists.legend(axes, [GAP], loc="upper left")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas = 40_000 if quick else 250_000
    seeds = iter(np.random.SeedSequence(rng).spawn(2 + 2 * len(STEPS)))
    paths = {sampling: simulated(sampling, STEP, TIMES, replicas, next(seeds)) for sampling in LOOKS}
    gaps = {}
    for step in STEPS:
        epochs = round(EPOCHS_AT / (len(X) * step))
        one, two = (simulated(sampling, step, [epochs], replicas, next(seeds))[0] for sampling in LOOKS)
        gaps[step] = (one, two)
    with style():
        figure = Figure(figsize=(9.6, 4.6))
        left, right = figure.subplots(1, 2)
        draw_paths(left, paths)
        draw_gaps(right, gaps)
    return Picture(
        "random_order", "Random order descends another loss", caption(paths, gaps, replicas, rng),
        (RESHUFFLED.id, REPLACED.id), figure,
    )  # fmt: skip


def caption(paths: dict[str, list[Mean]], gaps: dict[float, tuple[Mean, Mean]], replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    diverged = sum(m[0].diverged for m in paths.values()) + sum(a.diverged + b.diverged for a, b in gaps.values())
    runs = replicas * (len(paths) + 2 * len(gaps))
    times = len(X) * STEP * np.array(TIMES)
    means = {sampling: np.array([m.value for m in found]) for sampling, found in paths.items()}
    off = [np.abs(values - flow(None, STEP, times)).max() for values in means.values()]
    left = [np.abs(values - flow(sampling, STEP, times)).max() for sampling, values in means.items()]
    return (
        f"Half squared error of y = wx on {len(X)} examples from w = {START:g}, batches of one; lines are flows of "
        f"L + ¼ε·mean|∇Lᵢ|² (random order) and L + ¼ε|∇L|² (with replacement), markers {replicas:,} replicas each with "
        f"bars of 3 standard errors (seed {rng}; {diverged} of {runs:,} runs diverged). The mean paths leave the "
        f"flow of L by up to {off[0]:.4f} in random order and {off[1]:.4f} with replacement, those of the modified losses "
        f"by {left[0]:.4f} and {left[1]:.4f}, which is of order ε² and chance. Their difference is the spread of the "
        f"gradients, descended by orders alone, and falls as ε."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "random_order.png")
