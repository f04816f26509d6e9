"""How large a learning rate a minibatch bears: the mean square of w after a step, where one w fits every example.

Lines are the exact growth of the mean square and the learning rate at which it is one, 2B/(B + d + 1); markers are
simulated single steps.
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
from sgdtheory.plots.style import BLACK, BLUE, GREEN, ORANGE, RED, save, style
from sgdtheory.theory.stationarity.minibatch_stability import growth, largest_lr

B, η, h = symbols.batch_size, symbols.lr, symbols.curvature
DIMENSIONS = {2: Look("$d=2$", BLUE, "o", "-"), 8: Look("$d=8$", RED, "s", "--")}
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
GROWTHS = {
    1: Look("$B=1$", RED, "s", "--"),
    4: Look("$B=4$", GREEN, "^", "-."),
    64: Look("$B=64$", BLUE, "o", "-"),
}
GROWTH_DIMENSION = 2
DESCENT = Look("gradient descent, $\\eta h=2$", BLACK, "", ":")
LINEAR = Look("linear scaling, $d=8$", ORANGE, "", (0, (1, 2.5)))


class Step(NamedTuple):
    """Moments of the step Xw at |w| = 1: means of w·Xw and |Xw|², their covariance matrix, and diverged runs."""

    along: float
    square: float
    covariance: np.ndarray
    diverged: int


def one_step(dimension: int, batch_size: int, replicas: int, rng: np.random.SeedSequence) -> Step:
    """Simulate one step of learning rate 1 from a unit vector; Xw is what it subtracts."""
    problem = sgd.linear_regression(dimension, noise_std=0)
    start = np.full(dimension, dimension**-0.5)
    run = sgd.simulate(
        problem, sgd.SGD(lr=1), steps=1, replicas=replicas, init=np.tile(start, (replicas, 1)), record=[1],
        batch_size=batch_size, rng=rng,
    )  # fmt: skip
    push = start - run.w.values[:, -1]
    both = np.stack([push @ start, (push**2).sum(axis=1)])
    along, square = both.mean(axis=1)
    return Step(float(along), float(square), np.cov(both) / replicas, run.attrs["diverged"])


def limit(step: Step) -> tuple[float, float]:
    """Return the learning rate 2E w·Xw/E|Xw|² at which the mean square stays, and its standard error."""
    value = 2 * step.along / step.square
    slope = value * np.array([1 / step.along, -1 / step.square])
    return value, float(np.sqrt(slope @ step.covariance @ slope))


def growth_at(step: Step, lr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return E|w'|² at learning rates, and standard errors, from the same draws."""
    slopes = np.stack([-2 * lr, lr**2], axis=-1)
    return 1 + slopes @ [step.along, step.square], np.sqrt(np.einsum("ki,ij,kj->k", slopes, step.covariance, slopes))


def draw_limits(axes: Axes, steps: dict[tuple[int, int], Step], batches: tuple[int, ...]) -> None:
    """Draw the largest stable learning rate against the batch size."""
    grid = artists.log_grid(1, 256, 60)
    for d, look in DIMENSIONS.items():
        artists.theory(axes, grid, sp.lambdify(B, largest_lr(dimension=d).subs(h, 1))(grid), look)
        value, error = np.array([limit(steps[d, batch]) for batch in batches]).T
        artists.measured(axes, batches, value, look, 3 * error)
    first = float(largest_lr(1, max(DIMENSIONS)).subs(h, 1))
    scaled = grid[grid * first <= 3]
    artists.theory(axes, scaled, scaled * first, LINEAR)
    artists.theory(axes, [1, 256], [2, 2], DESCENT)
    axes.set(
        xscale="log", yscale="log", xlabel="batch size $B$ (examples)",
        ylabel="largest stable $\\eta h$ (dimensionless)",
        title="a  Stable in mean square below",
    )  # fmt: skip
    axes.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
    axes.set_yticks([0.1, 0.2, 0.5, 1, 2], ["0.1", "0.2", "0.5", "1", "2"])
    axes.minorticks_off()
    artists.legend(axes, [*DIMENSIONS.values(), LINEAR, DESCENT], loc="lower right")


def draw_growth(axes: Axes, steps: dict[tuple[int, int], Step]) -> None:
    """Draw the growth of the mean square against the learning rate."""
    lr, points = np.linspace(0, 2.2, 200), np.linspace(0.2, 2.2, 11)
    for batch, look in GROWTHS.items():
        exact = sp.lambdify(η, growth(batch_size=batch, dimension=GROWTH_DIMENSION).subs(h, 1))
        artists.theory(axes, lr, exact(lr), look)
        value, error = growth_at(steps[GROWTH_DIMENSION, batch], points)
        artists.measured(axes, points, value, look, 3 * error)
    axes.axhline(1, color=BLACK, linestyle=":", linewidth=1.2)
    axes.annotate("stable below", (1.27, 0.92), fontsize=9.5)
    axes.set(
        ylim=(0, 2.4), xlabel="learning rate × curvature $\\eta h$ (dimensionless)",
        ylabel="mean of $|w'|^2$ per $|w|^2$ (dimensionless)", title=f"b  One step, $d={GROWTH_DIMENSION}$",
    )  # fmt: skip
    artists.legend(axes, list(GROWTHS.values()), loc="upper left")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas, batches = (2_000, BATCHES[::4]) if quick else (40_000, BATCHES)
    wanted = sorted({(d, b) for d in DIMENSIONS for b in batches} | {(GROWTH_DIMENSION, b) for b in GROWTHS})
    seeds = np.random.SeedSequence(rng).spawn(len(wanted))
    steps = {key: one_step(*key, replicas, seed) for key, seed in zip(wanted, seeds, strict=True)}
    with style():
        figure = Figure(figsize=(9.6, 4.2))
        left, right = figure.subplots(1, 2)
        draw_limits(left, steps, batches)
        draw_growth(right, steps)
    text = caption(steps, batches, replicas, rng)
    title = "The largest stable learning rate of a minibatch"
    return Picture("minibatch_stability", title, text, ("STA-02",), figure)


def caption(steps: dict[tuple[int, int], Step], batches: tuple[int, ...], replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    off = []
    for d in DIMENSIONS:
        for batch in batches:
            value, error = limit(steps[d, batch])
            off.append(abs(value - float(largest_lr(batch, d).subs(h, 1))) / error)
    diverged = sum(step.diverged for step in steps.values())
    half = max(DIMENSIONS) + 1
    return (
        "Linear regression on isotropic normal inputs of curvature h = 1, labels without noise: lines are exact, "
        f"markers {replicas:,} simulated steps each with bars of 3 standard errors (seed {rng}; {diverged} of "
        f"{replicas * len(steps):,} runs diverged). The limit 2B/(B + d + 1) grows with the batch up to about B = d "
        f"+ 1, where it is half that of gradient descent ({half} examples at d = {max(DIMENSIONS)}), and hardly "
        f"beyond. The largest deviation of {len(off)} limits is {max(off):.1f} standard errors."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "minibatch_stability.png")
