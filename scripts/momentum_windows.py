"""Momentum as gradient estimation: the window of the running average, and when it moves the mean path.

Left, how many gradients the average is worth. Then the largest gap between the mean paths of averaged momentum and
plain SGD at the lectures' learning rates, against the condition for no effect in right units and as printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sympy as sp
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.derive.stability import step_matrix
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, save, style
from sgdtheory.theory.lectures.batch_size import optimal_batch, optimal_lr
from sgdtheory.theory.registry import find

μ, B, B_best = symbols.momentum, symbols.batch_size, symbols.best_batch
ESTIMATED, SIGMA, SMOOTHNESS, CONFIDENCE = 1, 10, 1, 2
LECTURES = {symbols.estimated_gradient: ESTIMATED, symbols.noise_std: SIGMA, symbols.smoothness: SMOOTHNESS,
            symbols.confidence: CONFIDENCE}  # fmt: skip
BEST_BATCH = float(optimal_batch().subs(LECTURES))
LR_ONE = float(optimal_lr(optimal_batch()).subs(LECTURES)) / BEST_BATCH
WINDOW_MOMENTA = (0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
MOMENTA = (0.2, 0.5, 0.8, 0.9, 0.97, 0.99)
BATCHES = {
    1: Look("$B=1$", BLUE, "o", "none"),
    16: Look("$B=16$", GREEN, "^", "none"),
    256: Look("$B=256$", RED, "s", "none"),
}
START = ESTIMATED / SMOOTHNESS  # there the gradient is what the batch sizes are made for
NOISY = sgd.landscape(sp.Symbol("k", real=True) / 2 * sp.Symbol("w", real=True) ** 2, ["w"], noise_std=SIGMA)
EXACT = Look("$(1+\\mu)/(1-\\mu)$", BLACK, "", "-")
PRINTED = Look("lectures: $1/(1-\\mu)$", GREY, "", "--")
AVERAGE = Look("simulated", ORANGE, "D", "none")
LEADING = Look("leading order", BLACK, "", "-")


class Gap(NamedTuple):
    """The largest gap of the mean paths over the start and over μ; its error; and the two conditions' left sides."""

    batch: int
    momentum: float
    corrected: float
    printed: float
    gap: float
    standard_error: float
    exact: float
    diverged: int


def stated(claim: str, quantity: sp.Symbol) -> sp.Expr:
    """Return what a claim says of a quantity."""
    return next(r.rhs for r in find(claim).statement.args if r.lhs == quantity)


SPAN = sp.lambdify(μ, stated("MCA-13", symbols.window_variance))
AVERAGING = sp.lambdify((B, μ), stated("MCA-14", symbols.averaging).subs(B_best, BEST_BATCH))


def windows(momenta: tuple[float, ...], replicas: int, seed: np.random.SeedSequence) -> tuple[np.ndarray, int]:
    """Return momentum, gradients the average is worth, and its standard error, a row each; and diverged runs.

    Without curvature the buffer averages pure noise.
    """
    rows, diverged = [], 0
    for momentum, child in zip(momenta, seed.spawn(len(momenta)), strict=True):
        steps = int(np.ceil(-8 / np.log(max(momentum, 1e-3))))  # e⁻¹⁶ of the start's variance is left
        run = simulated(sgd.EMAMomentum(0.1, momentum), 0, 1, steps, replicas, child)
        worth = SIGMA**2 / float(run.memory.var(ddof=1))
        rows.append((momentum, worth, worth * np.sqrt(2 / (replicas - 1))))
        diverged += run.attrs["diverged"]
    return np.array(rows), diverged


def simulated(
    rule: sgd.Optimizer, curvature: float, batch: int, steps: int, replicas: int, seed: np.random.SeedSequence
) -> xr.Dataset:
    """Run on ½kw² from θ₀ and record the last step."""
    return sgd.simulate(
        NOISY, rule, steps=steps, replicas=replicas, init=START, batch_size=batch, record=[steps], record_memory=True,
        parameters={"k": curvature}, rng=seed,
    )  # fmt: skip


def mean_path(rule: sgd.Optimizer, steps: int) -> np.ndarray:
    """Return the path without noise, which on a quadratic is the mean path: powers of the step's matrix."""
    matrix = np.array(step_matrix(rule, SMOOTHNESS), dtype=float)
    state = np.array([START, *np.zeros(len(matrix) - 1)])
    path = [state]
    for _ in range(steps):
        path.append(matrix @ path[-1])
    return np.array(path)[:, 0]


def gaps(momenta: tuple[float, ...], replicas: int, seed: np.random.SeedSequence) -> Iterator[Gap]:
    """Find when the mean paths are farthest apart, and simulate their gap there."""
    children = iter(seed.spawn(len(BATCHES) * len(momenta)))
    for batch in BATCHES:
        lr = batch * LR_ONE
        for momentum in momenta:
            rules = sgd.EMAMomentum(lr, momentum), sgd.SGD(lr)
            ours, theirs = (mean_path(rule, int(np.ceil(4 / lr))) for rule in rules)
            when = int(np.abs(ours - theirs).argmax())
            child = next(children)  # both rules see the same batches, which makes their difference sharper
            runs = [simulated(rule, SMOOTHNESS, batch, when, replicas, child) for rule in rules]
            unit = momentum * START * np.sign(ours[when] - theirs[when])
            apart = (runs[0].w - runs[1].w).values.ravel() / unit
            yield Gap(
                batch, momentum, AVERAGING(batch, momentum), 1 / (1 - momentum) / BEST_BATCH,
                apart.mean(), apart.std(ddof=1) / np.sqrt(replicas), (ours[when] - theirs[when]) / unit,
                sum(run.attrs["diverged"] for run in runs),
            )  # fmt: skip


def draw_windows(axes: Axes, points: np.ndarray) -> None:
    """Draw what the average is worth, counted in gradients."""
    momentum = np.linspace(0, 0.96, 300)
    artists.theory(axes, 1 / (1 - momentum), SPAN(momentum), EXACT)
    artists.theory(axes, 1 / (1 - momentum), 1 / (1 - momentum), PRINTED)
    artists.measured(axes, 1 / (1 - points[:, 0]), points[:, 1], AVERAGE, 3 * points[:, 2])
    axes.set(
        xscale="log", yscale="log", xlabel="$1/(1-\\mu)$ (steps)", ylabel="variance of $\\hat g$ ÷ of the average",
        title="the window",
    )  # fmt: skip
    artists.legend(axes, [EXACT, PRINTED, AVERAGE], loc="upper left")


def draw_gaps(axes: Axes, points: list[Gap], corrected: bool) -> None:
    """Draw the gap against one of the two conditions."""
    for batch, look in BATCHES.items():
        own = [p for p in points if p.batch == batch]
        x = [p.corrected if corrected else p.printed for p in own]
        artists.measured(axes, x, [p.gap for p in own], look, [3 * p.standard_error for p in own])
    looks = list(BATCHES.values())
    if corrected:
        line = np.geomspace(4e-4, 1, 50)
        artists.theory(axes, line, line, LEADING)
        looks.append(LEADING)
    right_units, printed = "\\frac{B}{1-\\mu}\\,/\\,2B^*", "\\frac{1}{1-\\mu}\\,/\\,B^*"
    axes.set(
        xscale="log", yscale="log", ylim=(1e-4, 2),
        xlabel=f"${right_units}$ (dimensionless)" if corrected else f"${printed}$ (steps/example)",
        title="in right units: one curve" if corrected else "as printed: a curve a batch size",
    )  # fmt: skip
    artists.legend(axes, looks, loc="lower right")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas, momenta = (4_000, MOMENTA[1::2]) if quick else (40_000, MOMENTA)
    first, second = np.random.SeedSequence(rng).spawn(2)
    window, lost = windows(WINDOW_MOMENTA[::2] if quick else WINDOW_MOMENTA, replicas, first)
    points = list(gaps(momenta, replicas, second))
    with style():
        figure = Figure(figsize=(11.6, 4.3))
        left, middle, right = figure.subplots(1, 3)
        draw_windows(left, window)
        draw_gaps(middle, points, corrected=True)
        draw_gaps(right, points, corrected=False)
        middle.set_ylabel("largest gap of mean paths ÷ ($\\mu\\theta_0$)")
        right.sharey(middle)
    return Picture(
        "momentum_windows", "Momentum as gradient estimation", caption(window, points, lost, replicas, rng),
        ("MCA-13", "MCA-14", "MCA-31"), figure,
    )  # fmt: skip


def caption(window: np.ndarray, points: list[Gap], lost: int, replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    deviations = [abs(n - SPAN(m)) / error for m, n, error in window]
    deviations += [abs(p.gap - p.exact) / p.standard_error for p in points]
    diverged = lost + sum(p.diverged for p in points)
    runs = replicas * (len(window) + 2 * len(points))
    small = [p.gap / p.corrected for p in points if p.corrected < 0.01]
    one = [p.gap for p in points if p.momentum == points[0].momentum]
    apart = max(one) / min(one)
    return (
        f"Left: variance of one gradient over that of averaged momentum, which is worth (1 + μ)/(1 − μ) gradients, up "
        f"to twice the lectures' 1/(1 − μ). Middle and right: quadratic loss, h = L = {SMOOTHNESS}, σ = {SIGMA}, start "
        f"at ĝ = {ESTIMATED}, so B* = {BEST_BATCH:g}, and η = Bη*/B*: the largest gap between mean paths of averaged "
        f"momentum and SGD follows B/(1 − μ) ÷ 2B* ({min(small):.2f} to {max(small):.2f} of it where that is below "
        f"0.01); at μ = {points[0].momentum:g} it differs {apart:.0f}-fold between batch sizes. Markers: {replicas:,} "
        f"replicas, bars of 3 standard errors (seed {rng}; {diverged} of {runs:,} runs diverged), at most "
        f"{max(deviations):.1f} standard errors from the exact values."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "momentum_windows.png")
