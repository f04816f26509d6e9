"""Many small steps against the gradient flow: bias falls as 1/N, noise as 1/√N.

The lectures divide a step of learning rate η into N of learning rate η/N. On a noisy quadratic each run approaches the
flow; single runs stray by the noise, their mean is much closer.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, RED, save, style
from sgdtheory.theory.lectures.flow import leading_bias, leading_spread

LR, CURVATURE, NOISE, BATCH_SIZE, TIME, START = 1.0, 1.0, 0.5, 4, 1, 1.0
NUMBERS = {
    symbols.lr: LR, symbols.curvature: CURVATURE, symbols.noise_std: NOISE, symbols.batch_size: BATCH_SIZE,
    symbols.flow_time: TIME, symbols.flow_start: START,
}  # fmt: skip
FLOW = Look("gradient flow", BLACK, "", "-")
PATHS = {4: Look("SGD, $N=4$", BLUE, "o", (0, (1, 2))), 64: Look("SGD, $N=64$", GREEN, "", (0, (4, 1)))}
BIAS = Look("flow minus mean", BLUE, "o", "-")
SPREAD = Look("standard deviation", RED, "s", "--")


class Point(NamedTuple):
    """What N steps leave at the end, with standard errors."""

    parts: int
    bias: float
    bias_error: float
    spread: float
    spread_error: float
    diverged: int


def problem() -> sgd.Problem:
    """Return the noisy quadratic."""
    return sgd.quadratic(sp.Float(CURVATURE), sp.Float(NOISE**2))


def predicted(formula: sp.Expr, parts: np.ndarray) -> np.ndarray:
    """Evaluate a formula of the claim at δ = 1/N."""
    return sp.lambdify(symbols.subdivision, formula.subs(NUMBERS))(1 / parts)


def flow(times: np.ndarray) -> np.ndarray:
    """Follow dw/dt = −η∇L; `gradient_flow` counts time in units of learning rate."""
    return sgd.gradient_flow(problem(), START, LR * times).w.values[0, :, 0]


def simulated(parts: int, replicas: int, seed: np.random.SeedSequence) -> Point:
    """Run N steps of η/N a unit of time."""
    steps = parts * TIME
    run = sgd.simulate(
        problem(), sgd.SGD(lr=LR / parts), steps=steps, replicas=replicas, init=START, batch_size=BATCH_SIZE,
        record=[steps], rng=seed,
    )  # fmt: skip
    end = run.w.values[:, -1, 0]
    deviation = float(end.std(ddof=1))
    goal = float(flow(np.array([float(TIME)]))[0])
    return Point(
        parts, goal - float(end.mean()), deviation / np.sqrt(replicas), deviation,
        deviation / np.sqrt(2 * (replicas - 1)), run.attrs["diverged"],
    )  # fmt: skip


def draw_paths(axes: Axes, seed: np.random.SeedSequence) -> None:
    """Draw the flow and a few runs."""
    times = np.linspace(0, TIME, 200)
    for (parts, look), child in zip(PATHS.items(), seed.spawn(len(PATHS)), strict=True):
        run = sgd.simulate(
            problem(), sgd.SGD(lr=LR / parts), steps=parts * TIME, replicas=6, init=START, batch_size=BATCH_SIZE,
            rng=child,
        )  # fmt: skip
        for path in run.w.values[:, :, 0]:
            axes.plot(
                np.arange(parts * TIME + 1) / parts, path, color=look.color, linestyle=look.line, marker=look.marker,
                markersize=4, markerfacecolor="white", linewidth=1.0, alpha=0.8,
            )  # fmt: skip
    axes.plot(times, flow(times), color=FLOW.color, linewidth=2.2, label=FLOW.label)
    axes.set(title="Single runs", xlabel="time $\\tau$ (units of $N$ steps)", ylabel="parameter $w$ (units of $w$)")
    artists.legend(axes, [*PATHS.values(), FLOW], loc="upper right")


def draw_orders(axes: Axes, points: list[Point]) -> None:
    """Draw bias and standard deviation against N."""
    parts, bias, bias_error, spread, spread_error, _ = np.array(points).T
    fine = np.geomspace(parts[0], parts[-1], 50)
    artists.theory(axes, fine, -predicted(leading_bias(), fine), BIAS)
    artists.theory(axes, fine, np.sqrt(predicted(leading_spread(), fine)), SPREAD)
    artists.measured(axes, parts, bias, BIAS, 3 * bias_error)
    artists.measured(axes, parts, spread, SPREAD, 3 * spread_error)
    artists.slope_triangle(axes, 5, 2.5e-3, -1)
    artists.slope_triangle(axes, 20, 9e-2, -0.5)
    axes.set(
        xscale="log", yscale="log", title=f"What is left at time {TIME}", xlabel="steps a unit of time $N$ (steps)"
    )
    axes.set(ylabel="distance from the flow (units of $w$)", ylim=(2e-4, 0.6))
    artists.legend(axes, [SPREAD, BIAS], loc="lower left")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    parts, replicas = ((4, 16, 64), 20_000) if quick else ((2, 4, 8, 16, 32, 64, 128, 256), 200_000)
    paths, *seeds = np.random.SeedSequence(rng).spawn(1 + len(parts))
    points = [simulated(n, replicas, seed) for n, seed in zip(parts, seeds, strict=True)]
    with style():
        figure = Figure(figsize=(9.6, 4.6))
        left, right = figure.subplots(1, 2)
        draw_paths(left, paths)
        draw_orders(right, points)
    return Picture(
        "gradient_flow", "Many small steps and the gradient flow", caption(points, replicas, rng),
        ("MCA-20",), figure,
    )  # fmt: skip


def caption(points: list[Point], replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    last = points[-1]
    bias, spread = (float(predicted(f, np.array(float(last.parts)))) for f in (leading_bias(), leading_spread()))
    first, end = (np.array([points[k].bias, points[k].spread]) for k in (-2, -1))
    slopes = np.log(end / first) / np.log(points[-1].parts / points[-2].parts)
    diverged = f"{sum(p.diverged for p in points)} of {replicas * len(points):,}"
    return (
        f"SGD on ½hw² with learning rate η/N, for N steps a unit of time (ηh = {LR * CURVATURE:g}, σ = {NOISE:g}, "
        f"B = {BATCH_SIZE}, start {START:g}). Right: lines are the leading orders ½τ(ηh)²e^(−ηhτ)w₀/N and "
        f"√(ησ²(1 − e^(−2ηhτ))/(2BhN)), markers {replicas:,} replicas each with bars of 3 standard errors (seed {rng}; "
        f"{diverged} runs diverged). From N = {points[-2].parts} to {last.parts} the slopes are {slopes[0]:.2f} "
        f"and {slopes[1]:.2f}; at N = {last.parts} mean and standard deviation are {last.bias / -bias:.3f} and "
        f"{last.spread / np.sqrt(spread):.3f} times the formulas."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "gradient_flow.png")
