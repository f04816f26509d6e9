"""Loss as energy, learning rate as temperature: the long-run loss of SGD on a quadratic against the learning rate.

On the left the loss above its minimum, with the slope at 0 that two slides give four times too large; on the right how
far from the minimum the loss at η lies, and how far its linear extrapolation from η/2 and η.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, RED, save, style
from sgdtheory.theory.stationarity.fluctuation import extrapolate, long_run_loss, rise

η, h, σ, B = symbols.lr, symbols.curvature, symbols.noise_std, symbols.batch_size
NUMBERS = {h: 1, σ: 1, B: 1}
LEARNING_RATES = (0.1, 0.2, 0.35, 0.6, 0.9, 1.2, 1.5)
FORGOTTEN = 1e-4  # runs last until less than this fraction of the start is left in the variance
LOSS = Look("$L(\\eta)-L^*$", BLUE, "o", "-")
EXTRAPOLATED = Look("$L^*-[2L(\\eta/2)-L(\\eta)]$", RED, "s", "--")
SLOPE = Look("slope at 0: $\\sigma^2/4B$", GREEN, "", "-.")
PRINTED = Look("as printed on two slides: $\\sigma^2/B$", BLACK, "", ":")

exact = sp.lambdify(η, long_run_loss().subs(NUMBERS))
undershoot = sp.lambdify(η, -extrapolate()[symbols.extrapolated_loss].subs(NUMBERS))


class Point(NamedTuple):
    """One learning rate: simulated loss and extrapolation, each with its standard error."""

    lr: float
    loss: float
    loss_error: float
    below: float
    below_error: float


def simulated(lrs: Sequence[float], replicas: int, rng: int) -> tuple[list[Point], int]:
    """Run to stationarity at every η and η/2, all on the same random numbers; also count diverged runs."""
    both = sorted({lr / k for lr in lrs for k in (1, 2)})
    steps = int(np.ceil(np.log(FORGOTTEN) / (2 * np.log1p(-both[0] * NUMBERS[h]))))
    run = sgd.simulate(
        sgd.quadratic(NUMBERS[h], NUMBERS[σ] ** 2), sgd.SGD(lr=both), steps=steps, replicas=replicas, init=0,
        batch_size=NUMBERS[B], record=[steps], rng=rng,
    )  # fmt: skip
    ends = run.w.isel(step=-1).squeeze("coordinate").transpose("lr", "replica").to_numpy()
    loss = dict(zip(both, NUMBERS[h] * ends**2 / 2, strict=True))

    def mean(values: np.ndarray) -> tuple[float, float]:
        return float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))

    points = [Point(lr, *mean(loss[lr]), *mean(loss[lr] - 2 * loss[lr / 2])) for lr in lrs]
    return points, int(run.diverged.sum())


def draw_loss(axes: Axes, points: Sequence[Point]) -> None:
    """Draw the loss against the learning rate, with both slopes."""
    lr = np.linspace(0, 1.6, 200)
    tangent = float(sp.sympify(rise()[symbols.heat_capacity]).subs(_ONE_AXIS))
    artists.theory(axes, lr, exact(lr), LOSS)
    artists.theory(axes, lr, tangent * lr, SLOPE)
    artists.theory(axes, lr, 4 * tangent * lr, PRINTED)
    artists.measured(axes, [p.lr for p in points], [p.loss for p in points], LOSS, [3 * p.loss_error for p in points])
    axes.set(
        xlabel="learning rate $\\eta h$ (dimensionless)", ylabel="long-run loss above $L^*$ (units of $\\sigma^2/h$)"
    )
    axes.set(xlim=(0, 1.65), ylim=(0, 2.2), title="Loss rises with the learning rate")
    artists.legend(axes, [LOSS, SLOPE, PRINTED], loc="upper left")


_ONE_AXIS = {  # the second axis as good as noiseless
    symbols.curvature_1: NUMBERS[h], symbols.curvature_2: NUMBERS[h], symbols.noise_std_1: NUMBERS[σ],
    symbols.noise_std_2: 0, symbols.noise_correlation: 0, B: NUMBERS[B],
}  # fmt: skip


def draw_error(axes: Axes, points: Sequence[Point]) -> None:
    """Draw the distance from the minimum on logarithmic axes."""
    lr = np.geomspace(0.08, 1.7, 200)
    artists.theory(axes, lr, exact(lr), LOSS)
    artists.theory(axes, lr, undershoot(lr), EXTRAPOLATED)
    artists.measured(axes, [p.lr for p in points], [p.loss for p in points], LOSS, [3 * p.loss_error for p in points])
    seen = [p for p in points if p.below > 4 * p.below_error]  # others would be noise on a logarithmic axis
    artists.measured(
        axes, [p.lr for p in seen], [p.below for p in seen], EXTRAPOLATED, [3 * p.below_error for p in seen]
    )
    axes.set(xscale="log", yscale="log", xlabel="learning rate $\\eta h$ (dimensionless)", ylim=(5e-5, 4))
    axes.set(ylabel="distance from $L^*$ (units of $\\sigma^2/h$)", title="Extrapolation leaves second order")
    axes.set_xticks([0.1, 0.2, 0.5, 1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.minorticks_off()
    artists.slope_triangle(axes, 0.11, 0.075, 1, 0.25)
    artists.slope_triangle(axes, 0.25, 0.0011, 2, 0.3)
    artists.legend(axes, [LOSS, EXTRAPOLATED], loc="lower right")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas, lrs = (4_000, LEARNING_RATES[1::3]) if quick else (100_000, LEARNING_RATES)
    points, diverged = simulated(lrs, replicas, rng)
    with style():
        figure = Figure(figsize=(9.6, 4.4))
        left, right = figure.subplots(1, 2)
        draw_loss(left, points)
        draw_error(right, points)
    return Picture(
        "heat_capacity", "The long-run loss against the learning rate",
        caption(points, diverged, replicas, rng), ("STA-15", "STA-16"), figure,
    )  # fmt: skip


def caption(points: Sequence[Point], diverged: int, replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    worst = max(
        max(abs(p.loss - exact(p.lr)) / p.loss_error, abs(p.below - undershoot(p.lr)) / p.below_error) for p in points
    )
    first = points[0]
    runs, count = f"{diverged} of {2 * replicas * len(points):,}", 2 * len(points)
    return (
        f"SGD on ½hw² (h = {NUMBERS[h]}, σ = {NUMBERS[σ]}, B = {NUMBERS[B]}): lines are exact, markers are means over "
        f"{replicas:,} replicas with bars of 3 standard errors (seed {rng}; {runs} runs diverged; the largest of "
        f"{count} deviations is {worst:.1f} standard errors). The loss starts with slope σ²/4B and bends upwards to "
        f"the end of stability at ηh = 2. Extrapolating it linearly to η = 0 undershoots the minimum by a term of "
        f"second order: at ηh = {first.lr:g} the loss is {exact(first.lr):.4f} above, the extrapolation "
        f"{undershoot(first.lr):.5f} below."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "heat_capacity.png")
