"""Linear scaling: the long-run variance against the batch size at η = Bη₁, and where it ends.

By the rule that the learning rate goes with the batch size nothing should change. The line solves the discrete
Lyapunov equation, markers are simulated long runs: the variance grows with B and diverges at Bη₁h = 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.derive.moments import stationary_variance
from sgdtheory.derive.stability import stability_limit
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, RED, save, style

B, h, σ = symbols.batch_size, symbols.curvature, symbols.noise_std
SCALAR_MEAN = {h: 1, σ: 1}
SIZES = (1, 2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 160, 192, 288, 384)
FORGOTTEN = 1e-3  # runs last until less than this fraction of the start, which is the minimum, would be left
SERIES = (
    Look("0.02", BLUE, "o", "-"),
    Look("0.01", RED, "s", "--"),
    Look("0.005", GREEN, "^", "-."),
)
LECTURES = Look("lectures: the same for every $B$", BLACK, "", ":")


class Point(NamedTuple):
    """One simulated variance beside its formula, in units of that of very small steps."""

    batch_size: int
    simulated: float
    standard_error: float
    predicted: float
    diverged: int


def small_step_variance(lr_one: float) -> float:
    """Return the variance that the rule keeps to first order: that of one example at η₁, Bη₁h ≪ 2."""
    rate = sp.Symbol("eta_1", positive=True)
    slope = sp.limit(stationary_variance(sgd.SGD(lr=rate), 1) / rate, rate, 0)
    return float(slope.subs(SCALAR_MEAN)) * lr_one


def ratio(lr_one: float, batch_size: np.ndarray | float) -> np.ndarray:
    """Return the stationary variance at η = Bη₁ over that of small steps."""
    variance = stationary_variance(sgd.SGD(lr=B * sp.Float(lr_one)), B).subs(SCALAR_MEAN)
    return sp.lambdify(B, variance)(batch_size) / small_step_variance(lr_one)


def last_stable(lr_one: float) -> float:
    """Return the batch size at which η = Bη₁ loses stability."""
    return float(stability_limit(sgd.SGD())) / (lr_one * SCALAR_MEAN[h])


def simulated(lr_one: float, sizes: tuple[int, ...], replicas: int, seed: np.random.SeedSequence) -> Iterator[Point]:
    """Run to stationarity at every batch size below 0.97 of the last stable one."""
    stable = [size for size in sizes if size < 0.97 * last_stable(lr_one)]
    for size, child in zip(stable, seed.spawn(len(stable)), strict=True):
        lr = size * lr_one
        steps = int(np.ceil(np.log(FORGOTTEN) / (2 * np.log(abs(1 - lr * SCALAR_MEAN[h])))))
        run = sgd.simulate(
            sgd.scalar_mean(noise_std=SCALAR_MEAN[σ]), sgd.SGD(lr=lr), steps=steps, replicas=replicas, init=0,
            batch_size=size, record=[steps], rng=child,
        )  # fmt: skip
        expected = float(ratio(lr_one, size))
        measured = float(run.w.var(ddof=1)) / small_step_variance(lr_one)
        yield Point(size, measured, expected * np.sqrt(2 / (replicas - 1)), expected, run.attrs["diverged"])


def draw(axes: Axes, below: Axes, look: Look, points: list[Point]) -> None:
    """Draw variances above, simulated ÷ theory below."""
    lr_one = float(look.label)
    named = Look(f"$\\eta_1={look.label}$", look.color, look.marker, look.line)
    end = last_stable(lr_one)
    batch = end * (1 - np.geomspace(1, 0.012, 400))
    artists.theory(axes, batch[batch > 0.5], ratio(lr_one, batch[batch > 0.5]), named)
    size, value, error, theory, _ = np.array(points).T
    artists.measured(axes, size, value, named, 3 * error)
    artists.measured(below, size, value / theory, named, 3 * error / theory)
    artists.limit(axes, end, f"$B={end:g}$", 0.95, "right")
    below.axvline(end, color=BLACK, linestyle=":", linewidth=1.2)


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas, sizes = (2_000, SIZES[1::4]) if quick else (40_000, SIZES)
    seeds = np.random.SeedSequence(rng).spawn(len(SERIES))
    points = {
        look.label: list(simulated(float(look.label), sizes, replicas, seed))
        for look, seed in zip(SERIES, seeds, strict=True)
    }
    with style():
        figure = Figure(figsize=(8.2, 5.4))
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(5, 2))
        for look in SERIES:
            draw(axes, below, look, points[look.label])
        axes.axhline(1, color=LECTURES.color, linestyle=LECTURES.line, label=LECTURES.label)
        axes.set(
            xscale="log", yscale="log", xlim=(0.8, 700), ylim=(0.8, 110), title="Linear scaling, $\\eta=B\\,\\eta_1$",
            ylabel="stationary variance of $\\beta$\n(units of $\\eta_1\\sigma^2/2h$)",
        )  # fmt: skip
        below.axhline(1, color=BLACK, linewidth=0.9)
        below.set(xlabel="batch size $B$ (examples)", ylabel="simul. ÷ theory")
        below.set_xticks(
            [1, 2, 4, 8, 16, 32, 64, 128, 256], labels=["1", "2", "4", "8", "16", "32", "64", "128", "256"]
        )
        below.minorticks_off()
        named = [Look(f"$\\eta_1={k.label}$ (units of $\\theta^2$/loss)", k.color, k.marker, k.line) for k in SERIES]
        artists.legend(axes, [*named, LECTURES], loc="upper left")
    return Picture(
        "linear_scaling", "The linear scaling rule and its end", caption(points, replicas, rng), ("MCA-09", "MCA-10"),
        figure,
    )  # fmt: skip


def caption(points: dict[str, list[Point]], replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    flat = [p for series in points.values() for p in series]
    worst = max(abs(p.simulated - p.predicted) / p.standard_error for p in flat)
    ends = ", ".join(f"{last_stable(float(k.label)):g}" for k in SERIES)
    top = points[SERIES[0].label][-1]
    diverged = f"{sum(p.diverged for p in flat)} of {replicas * len(flat):,}"
    return (
        f"Scalar mean problem (h = {SCALAR_MEAN[h]}, σ = {SCALAR_MEAN[σ]}): long-run variance with batches of B at the "
        f"learning rate Bη₁, against that of very small steps, for three η₁. Lines: η₁σ²/(h(2 − Bη₁h)); markers: "
        f"{replicas:,} runs each with bars of 3 standard errors, at most {worst:.1f} standard errors off (seed {rng}; "
        f"{diverged} runs diverged). The rule keeps the variance only while Bη₁h is far below 2: at η₁ = "
        f"{SERIES[0].label} a batch of {top.batch_size} already has {top.predicted:.1f} times as much, and from "
        f"B = {ends} on (dotted, Bη₁h = 2) there is no long run at all."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "linear_scaling.png")
