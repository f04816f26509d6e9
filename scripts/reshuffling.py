"""Random reshuffling against drawing with replacement: the long-run variance on quadratics with different minima.

Seen at the ends of epochs. Lines are exact, markers simulated; dotted lines are the law at small lr × curvature × n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
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
from sgdtheory.theory.stationarity.sampling import RESHUFFLING, one_epoch, shared_minima

η, h, n, S2, R = symbols.lr, symbols.curvature, symbols.passes, symbols.spread, symbols.epoch_factor
REPLACED = Look("with replacement", BLUE, "o", "-")
RESHUFFLED = {4: Look("reshuffled, $n=4$", RED, "s", "--"), 32: Look("reshuffled, $n=32$", GREEN, "^", "-.")}
SMALL = Look("$(\\eta h)^2n(n+1)/12\\times$ replacement", BLACK, "", ":")
RATIO = {0.05: Look("$\\eta h=0.05$", RED, "s", "--"), 0.3: Look("$\\eta h=0.3$", GREEN, "^", "-.")}
LEARNING_RATES = (0.02, 0.04, 0.08, 0.16, 0.3, 0.6, 1.0, 1.5)
SIZES = (2, 4, 8, 16, 32, 64, 128)
FORGOTTEN = 1e-3  # runs last until less than this fraction of the start is left in the variance


class Point(NamedTuple):
    """A long-run variance in units of S², its standard error, the exact value, and diverged runs."""

    simulated: float
    error: float
    exact: float
    diverged: int


@cache
def exact(quantity: sp.Symbol) -> Callable[..., np.ndarray]:
    """Return a long-run variance in units of S², as a function of ηh and n."""
    formula = one_epoch()[quantity].subs({S2: 1, h: 1}).subs(R, (1 - η) ** n)
    return sp.lambdify((η, n), formula, "numpy")


def small_step(lr: np.ndarray | float, size: np.ndarray | float) -> np.ndarray | float:
    """Return the ratio of the variances while ηhn is small."""
    return lr**2 * sp.lambdify(n, one_epoch()[symbols.reshuffling_gain])(size)


def minima(size: int) -> np.ndarray:
    """Return n equally spaced minima of mean 0 and variance 1."""
    values = np.arange(size) - (size - 1) / 2
    return values / np.sqrt(np.mean(values**2))


def simulated(size: int, lr: float, sampling: str, replicas: int, seed: np.random.SeedSequence) -> Point:
    """Run whole epochs until the start is forgotten; return the mean square of the ends."""
    epochs = max(1, int(np.ceil(np.log(FORGOTTEN) / (2 * size * np.log(abs(1 - lr) + 1e-12)))))
    quantity = symbols.variance_reshuffled if sampling == "reshuffle" else symbols.variance_replaced
    run = sgd.simulate(
        shared_minima(tuple(minima(size)), sampling).bind(h=1), sgd.SGD(lr=lr), steps=epochs * size,
        replicas=replicas, init=0, batch_size=1, record=[epochs * size], rng=seed,
    )  # fmt: skip
    squares = run.w.to_numpy().ravel() ** 2
    error = squares.std(ddof=1) / np.sqrt(replicas)
    return Point(float(squares.mean()), float(error), float(exact(quantity)(lr, size)), int(run.attrs["diverged"]))


def draw_rates(axes: Axes, points: dict[Look, list[tuple[float, Point]]]) -> None:
    """Draw variances against ηh."""
    lr = np.geomspace(0.015, 1.8, 300)
    replaced = exact(symbols.variance_replaced)(lr, 1)
    artists.theory(axes, lr, replaced, REPLACED)
    for size, look in RESHUFFLED.items():
        artists.theory(axes, lr, exact(symbols.variance_reshuffled)(lr, size), look)
        ratio = small_step(lr, size)
        artists.theory(axes, lr[ratio < 1], (ratio * replaced)[ratio < 1], SMALL)
    for look, series in points.items():
        x, y, error = zip(*((lr, p.simulated, 3 * p.error) for lr, p in series), strict=True)
        artists.measured(axes, x, y, look, error)
    axes.set(xscale="log", yscale="log", xlabel="learning rate $\\eta h$ (dimensionless)", ylim=(5e-6, 15))
    axes.set(ylabel="long-run variance at epoch ends (units of $S^2$)", title="Against the learning rate")
    axes.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5, 1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.minorticks_off()
    artists.legend(axes, [REPLACED, *RESHUFFLED.values(), SMALL], loc="lower right")


def draw_sizes(axes: Axes, points: dict[Look, list[tuple[int, Point]]]) -> None:
    """Draw the ratio of the variances against n."""
    size = np.geomspace(2, 160, 200)
    for lr, look in RATIO.items():
        replaced = exact(symbols.variance_replaced)(lr, 1)
        artists.theory(axes, size, exact(symbols.variance_reshuffled)(lr, size) / replaced, look)
        ratio = small_step(lr, size)
        artists.theory(axes, size[ratio < 1], ratio[ratio < 1], SMALL)
        x, y, error = zip(
            *((k, p.simulated / replaced, 3 * p.error / replaced) for k, p in points[look]), strict=True
        )  # fmt: skip
        artists.measured(axes, x, y, look, error)
    axes.axhline(1, color=BLACK, linewidth=0.9)
    axes.set(xscale="log", yscale="log", xlabel="examples an epoch $n$ (examples)", ylim=(8e-4, 2))
    axes.set(ylabel="reshuffled ÷ with replacement", title="Against the size of the data set")
    axes.set_xticks(SIZES)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.minorticks_off()
    law = Look("$(\\eta h)^2n(n+1)/12$", BLACK, "", ":")
    artists.legend(axes, [*RATIO.values(), law], loc="lower right")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas, lrs, sizes = (1_500, LEARNING_RATES[2::3], SIZES[1:5:3]) if quick else (20_000, LEARNING_RATES, SIZES)
    seeds = iter(np.random.SeedSequence(rng).spawn(3 * len(lrs) + len(RATIO) * len(sizes)))

    def against_rate(size: int, sampling: str) -> list[tuple[float, Point]]:
        return [(lr, simulated(size, lr, sampling, replicas, next(seeds))) for lr in lrs]

    rates = {REPLACED: against_rate(4, "with replacement")}
    rates |= {look: against_rate(size, "reshuffle") for size, look in RESHUFFLED.items()}
    ratios = {
        look: [(k, simulated(k, lr, "reshuffle", replicas, next(seeds))) for k in sizes] for lr, look in RATIO.items()
    }
    with style():
        figure = Figure(figsize=(9.6, 4.6))
        left, right = figure.subplots(1, 2)
        draw_rates(left, rates)
        draw_sizes(right, ratios)
    points = [p for series in (*rates.values(), *ratios.values()) for _, p in series]
    return Picture(
        "reshuffling", "Random reshuffling and the stationary variance", caption(points, replicas, rng),
        (RESHUFFLING.id,), figure,
    )  # fmt: skip


def caption(points: Sequence[Point], replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    worst = max(abs(p.simulated - p.exact) / p.error for p in points)
    diverged = f"{sum(p.diverged for p in points)} of {replicas * len(points):,}"
    lr, size = 0.02, 32
    gain = float(exact(symbols.variance_replaced)(lr, size) / exact(symbols.variance_reshuffled)(lr, size))
    return (
        f"Losses ½h(w − c)² with n equally spaced minima c of variance S², batches of one: lines are exact, markers "
        f"{replicas:,} replicas each with bars of 3 standard errors (seed {rng}; {diverged} runs diverged; the largest "
        f"of {len(points)} deviations is {worst:.1f} standard errors). Reshuffling every epoch divides the variance at "
        f"small ηhn by 12/((ηh)²n(n+1)), dotted: by {gain:.0f} at ηh = {lr:g}, n = {size}. The gain is lost when an "
        f"epoch is long against the memory 1/(ηh) and at ηh = 1, where only the last example counts; beyond, it is a "
        f"loss."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "reshuffling.png")
