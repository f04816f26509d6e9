"""Who hurts for ever: SGD in its long run, where curvature and noise do not commute.

The loss as a whole stands still, yet one parameter's moves raise it on average and the other's repair it. Which one,
and how much, is a matter of the axes: along those of the Hessian nobody hurts.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.derive.moments import covariance_step
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, ORANGE, save, style
from sgdtheory.theory.loss_change_allocation.expectations import B, mean_allocations, η
from sgdtheory.theory.loss_change_allocation.half_help import long_run_help
from sgdtheory.theory.loss_change_allocation.stationary import (
    BATCH_SIZE,
    HESSIAN,
    LR,
    NOISE,
    commutator_allocation,
    long_run_covariance,
)

STEPS, LAST = 16, 60
PARAMETERS = (Look("$w_1$", BLUE, "o", "-"), Look("$w_2$", ORANGE, "s", "--"))
TOTAL = Look("both", BLACK, "^", ":")
AXIS = 45  # degrees: the eigenvectors of the Hessian lie on the diagonals


class Steps(NamedTuple):
    """Moves and gradients in the middle of the steps, each of shape (replicas, steps, 2)."""

    move: np.ndarray
    middle: np.ndarray
    diverged: int

    def turned(self, degrees: float) -> np.ndarray:
        """Allocate to the first of two coordinates whose axes are turned; shape (replicas, steps)."""
        axis = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
        return np.asarray((self.move @ axis) * (self.middle @ axis))


def simulate(replicas: int, record: range, rng: np.random.SeedSequence) -> Steps:
    """Run SGD from the minimum; the mean gradient of a step on a quadratic is that in its middle."""
    problem = sgd.quadratic(HESSIAN, NOISE)
    run = sgd.simulate(
        problem, sgd.SGD(lr=LR), steps=record[-1], replicas=replicas, init=0, batch_size=BATCH_SIZE,
        record=list(record), rng=rng,
    )  # fmt: skip
    path = run.w.values
    middle = sgd.numeric_loss(problem).gradient((path[:, 1:] + path[:, :-1]) / 2)
    return Steps(np.diff(path, axis=1), middle, run.attrs["diverged"])


def from_the_minimum() -> np.ndarray:
    """Return the mean allocations of the first steps, shape (steps, 2), along the exact covariance."""
    m = sp.Matrix(2, 2, lambda i, j: sp.Symbol(f"M{min(i, j)}{max(i, j)}"))
    entries = [m[0, 0], m[0, 1], m[1, 1]]
    after = covariance_step(sgd.quadratic(HESSIAN, NOISE), sgd.SGD(lr=LR), BATCH_SIZE, m)
    advance = sp.lambdify(entries, [after[0, 0], after[0, 1], after[1, 1]])
    parts = [mean_allocations(i, HESSIAN, NOISE, HESSIAN * m * HESSIAN)[1] for i in (0, 1)]
    means = sp.lambdify(entries, [part.subs({η: LR, B: BATCH_SIZE}) for part in parts])
    moment, rows = [0, 0, 0], []
    for _ in range(STEPS):
        rows.append(means(*moment))
        moment = advance(*moment)
    return np.array(rows, dtype=float)


def turned_theory(degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the long-run mean allocation and the probability of helping, for the first of two turned coordinates."""
    angle = sp.Symbol("phi", real=True)
    turn = sp.Matrix([[sp.cos(angle), sp.sin(angle)], [-sp.sin(angle), sp.cos(angle)]])
    hessian, covariance = turn * HESSIAN * turn.T, turn * long_run_covariance() * turn.T
    formulas = [commutator_allocation(hessian, covariance, LR)[0], long_run_help(hessian, covariance, LR)]
    mean, chance = sp.lambdify(angle, formulas)(np.radians(degrees))
    return mean, chance


def draw_steps(axes: Axes, runs: Steps) -> None:
    """Draw the mean allocation of every step from the minimum."""
    step, stated = np.arange(1, STEPS + 1), from_the_minimum()
    parts = runs.move * runs.middle
    columns = (*np.moveaxis(parts, -1, 0), parts.sum(axis=-1))
    for look, values, line in zip((*PARAMETERS, TOTAL), columns, (*stated.T, stated.sum(axis=1)), strict=True):
        artists.theory(axes, step, line, look)
        artists.measured(axes, step, values.mean(axis=0), look, three_errors(values))
    for part in commutator_allocation(HESSIAN, long_run_covariance(), LR):
        axes.axhline(float(part), color=BLACK, linewidth=0.9)
        axes.annotate(
            f"${float(part):+.3f}$ for ever", (STEPS, float(part)), xytext=(0, -13), textcoords="offset points",
            ha="right", fontsize=9.5,
        )  # fmt: skip
    axes.set(
        xlabel="step (number)", ylabel="mean $A_i$ (units of the loss)", title="a  From the minimum on",
        ylim=(-0.06, 0.14), xticks=range(0, STEPS + 1, 4),
    )  # fmt: skip
    artists.legend(axes, (*PARAMETERS, TOTAL), loc="upper right")


def draw_turned(means: Axes, chances: Axes, runs: Steps) -> None:
    """Draw how the mean and the fraction of helping steps depend on the axes."""
    fine, points = np.linspace(0, 90, 181), np.linspace(0, 90, 13)
    for shift, look in zip((0, 90), PARAMETERS, strict=True):
        for axes, line in zip((means, chances), turned_theory(fine + shift), strict=True):
            artists.theory(axes, fine, line, look)
        parts = [runs.turned(angle + shift)[:, 0] for angle in points]
        artists.measured(means, points, np.mean(parts, axis=1), look, three_errors(np.array(parts).T))
        helped = [(part < 0).astype(float) for part in parts]
        artists.measured(chances, points, np.mean(helped, axis=1), look, three_errors(np.array(helped).T))
    means.axhline(0, color=BLACK, linewidth=0.9)
    chances.axhline(0.5, color=BLACK, linewidth=0.9)
    for axes in (means, chances):
        axes.set_xticks([0, 15, 30, 45, 60, 75, 90])
        axes.axvline(AXIS, color=BLACK, linestyle=":", linewidth=1.2)
    artists.limit(means, AXIS, "axes of $H$", 0.1, "right")
    means.set(ylabel="mean $A_i$\n(units of the loss)", title="b  Long run, axes turned")
    chances.set(xlabel="angle of the axes (degrees)", ylabel="steps that help\n(fraction)", ylim=(0.4, 0.85))
    artists.legend(chances, PARAMETERS, loc="upper right", ncols=2)


def three_errors(values: np.ndarray) -> np.ndarray:
    """Return 3 standard errors of the mean over replicas."""
    return np.asarray(3 * values.std(axis=0, ddof=1) / np.sqrt(len(values)))


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas = 10_000 if quick else 100_000
    early, late = np.random.SeedSequence(rng).spawn(2)
    first, last = simulate(replicas, range(STEPS + 1), early), simulate(replicas, range(LAST - 1, LAST + 1), late)
    with style():
        figure = Figure(figsize=(9.6, 4.6))
        left, right = figure.subfigures(1, 2)
        draw_steps(left.subplots(), first)
        draw_turned(*right.subplots(2, 1, sharex=True), last)
    return Picture(
        "who_hurts", "Who hurts for ever", caption(first, last, rng), ("LCA-10", "LCA-17"), figure
    )  # fmt: skip


def caption(first: Steps, last: Steps, rng: int) -> str:
    """Say what is drawn, with the numbers of the runs."""
    parts = (last.move * last.middle)[:, 0]
    mean, error, helped = parts.mean(axis=0), three_errors(parts) / 3, (parts < 0).mean(axis=0)
    total = len(first.move) + len(last.move)
    return (
        f"SGD (η = {float(LR):g}, B = {BATCH_SIZE}) on the quadratic with Hessian {HESSIAN.tolist()} and gradient "
        f"noise {NOISE.tolist()}: lines from theory, markers runs with bars of 3 standard errors (seed {rng}; "
        f"{first.diverged + last.diverged} of {total:,} runs diverged). In the long run w1 raises the loss by "
        f"{mean[0]:.4f} ± {error[0]:.4f} a step and w2 lowers it by as much; they help in {helped[0]:.1%} and "
        f"{helped[1]:.1%} of the steps. In other coordinates others hurt: along the axes of the Hessian the means are "
        f"0 and half of the steps help, whatever the noise."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "who_hurts.png")
