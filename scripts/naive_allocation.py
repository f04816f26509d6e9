"""Naive against true loss change allocation: the naive one sees learning for ever, the true one stops.

SGD with minibatch noise on a quadratic whose two parameters do not separate. The naive allocation multiplies a step by
the minibatch gradient that made it; the true one follows the full loss along the step. The curvature and the noise do
not commute, so that even in the long run one parameter hurts on average and the other repairs it.
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
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, save, style
from sgdtheory.theory.loss_change_allocation.expectations import B, mean_allocations, η

HESSIAN = sp.Matrix([[1, sp.Rational(4, 5)], [sp.Rational(4, 5), 1]])
COVARIANCE = sp.diag(4, sp.Rational(1, 4))
LR, BATCH_SIZE, START, STEPS = sp.Rational(1, 2), 4, (5, -5), 40
ONE_RUN_STEPS = 300
SHOWN = 2  # every second step as a marker
NAIVE, TRUE = Look("naive, $-\\eta|\\hat g|^2$", BLUE, "o", "--"), Look("true, along the step", RED, "s", "-")
PARAMETERS = (Look("$w_1$", GREEN, "^", "none"), Look("$w_2$", ORANGE, "D", "none"))


class Measured(NamedTuple):
    """Allocations of simulated steps, each of shape (replicas, steps, 2), and what they miss of the loss change."""

    naive: np.ndarray
    true: np.ndarray
    residual: float
    loss_change: float
    diverged: int


def problem() -> sgd.Problem:
    """Return the quadratic."""
    return sgd.quadratic(HESSIAN, COVARIANCE)


def simulate(replicas: int, steps: int, rng: int) -> Measured:
    """Run SGD and allocate every step's loss change both ways."""
    run = sgd.simulate(
        problem(), sgd.SGD(lr=LR), steps=steps, replicas=replicas, init=START, batch_size=BATCH_SIZE, rng=rng
    )
    table = sgd.lca(run, problem(), "exact")
    change = table.loss_after[:, -1] - table.loss_before[:, 0]
    miss = float(np.abs(table.residual).max())
    return Measured(table.naive.values, table.allocation.values, miss, float(change.mean()), run.attrs["diverged"])


def predicted(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean naive and true allocations of every step, each of shape (steps, 2), following E wwᵀ."""
    m = sp.Matrix(2, 2, lambda i, j: sp.Symbol(f"M{min(i, j)}{max(i, j)}"))
    entries = [m[0, 0], m[0, 1], m[1, 1]]
    after = covariance_step(problem(), sgd.SGD(lr=LR), BATCH_SIZE, m)  # the minimum is at 0: E wwᵀ has the same map
    advance = sp.lambdify(entries, [after[0, 0], after[0, 1], after[1, 1]])
    parts = [mean_allocations(i, HESSIAN, COVARIANCE, HESSIAN * m * HESSIAN) for i in (0, 1)]
    means = sp.lambdify(entries, [[part.subs({η: LR, B: BATCH_SIZE}) for part in pair] for pair in parts])
    moment, rows = [START[0] ** 2, START[0] * START[1], START[1] ** 2], []
    for _ in range(steps):
        rows.append(means(*moment))
        moment = advance(*moment)
    naive, true = np.moveaxis(np.array(rows, dtype=float), 2, 0)
    return naive, true


def draw_means(axes: Axes, runs: Measured) -> None:
    """Draw the mean loss change of every step, as the two allocations see it."""
    step = np.arange(1, STEPS + 1)
    for look, parts, formula in zip((NAIVE, TRUE), (runs.naive, runs.true), predicted(STEPS), strict=True):
        total = parts.sum(axis=-1)
        artists.theory(axes, step, formula.sum(axis=-1), look)
        mean, error = total.mean(axis=0), 3 * total.std(axis=0, ddof=1) / np.sqrt(len(total))
        artists.measured(axes, step[::SHOWN], mean[::SHOWN], look, error[::SHOWN])
    plateau = predicted(STEPS)[0][-1].sum()
    axes.annotate(f"${plateau:.2f}$ a step, for ever", (STEPS, plateau), xytext=(0, 15), textcoords="offset points",
                  ha="right", fontsize=9.5, color=BLUE)  # fmt: skip
    axes.axhline(0, color=BLACK, linewidth=0.9)
    axes.set(ylabel="mean $\\Sigma_i A_i$ a step\n(units of the loss)", title="Mean over runs")
    artists.legend(axes, [NAIVE, TRUE], loc="lower right")


def draw_fractions(axes: Axes, runs: Measured) -> None:
    """Draw in which part of the runs each parameter's move raised the loss."""
    step = np.arange(1, STEPS + 1)
    for i, look in enumerate(PARAMETERS):
        hurt = (runs.true[:, ::SHOWN, i] > 0).mean(axis=0)
        artists.measured(axes, step[::SHOWN], hurt, look, 3 * np.sqrt(hurt * (1 - hurt) / len(runs.true)))
    axes.axhline(0.5, color=BLACK, linestyle=":", linewidth=1.2)
    axes.set(
        xlabel="step (number)", ylabel="runs with $A_i>0$\n(fraction)", ylim=(0, 0.75), yticks=(0, 0.25, 0.5, 0.75)
    )
    artists.legend(axes, PARAMETERS, loc="lower right", ncols=2)


def draw_one_run(axes: Axes, run: Measured) -> None:
    """Draw every step of one run: what the naive allocation sees against what happened to the loss."""
    naive, true = run.naive[0].sum(axis=-1), run.true[0].sum(axis=-1)
    low, high = 1.05 * naive.min(), 1.2 * true.max()
    axes.axhspan(0, high, color=GREY, alpha=0.12, linewidth=0)
    axes.plot([low, 0], [low, 0], color=BLACK, linewidth=0.9, linestyle=":")
    for steps, marker, color, label in (
        (slice(0, STEPS), "s", RED, f"steps 1 to {STEPS}"),
        (slice(STEPS, None), "o", BLUE, f"steps {STEPS + 1} to {len(naive)}"),
    ):
        axes.plot(naive[steps], true[steps], marker, color=color, label=label, markersize=4.5, markerfacecolor="none")
    axes.text(0.03, 0.97, "the step raised the loss", transform=axes.transAxes, va="top", fontsize=9.5)
    bottom = 1.1 * true.min()
    axes.annotate(
        "true =\nnaive", (0.9 * bottom, 0.9 * bottom), xytext=(8, 0), textcoords="offset points", fontsize=9.5
    )
    axes.set(
        xlim=(low, -0.02 * low), ylim=(bottom, high), title="Every step of one run",
        xlabel="naive $\\Sigma_i A_i$ (units of the loss)", ylabel="true $\\Sigma_i A_i$ (units of the loss)",
    )  # fmt: skip
    axes.legend(loc="lower left")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    runs, one = simulate(400 if quick else 4_000, STEPS, rng), simulate(1, ONE_RUN_STEPS, rng)
    with style():
        figure = Figure(figsize=(9.6, 5.2))
        left, right = figure.subfigures(1, 2)
        means, fractions = left.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        draw_means(means, runs)
        draw_fractions(fractions, runs)
        draw_one_run(right.subplots(), one)
    return Picture(
        "naive_allocation", "The naive allocation sees learning for ever", caption(runs, one, rng),
        ("LCA-03", "LCA-06", "LCA-07"), figure,
    )  # fmt: skip


def caption(runs: Measured, one: Measured, rng: int) -> str:
    """Say what is drawn, with the numbers of the runs."""
    naive, true = runs.naive.sum(axis=(1, 2)).mean(), runs.true.sum(axis=(1, 2)).mean()
    last = runs.true[:, -STEPS // 2 :]
    hurt, mean = (last > 0).mean(axis=(0, 1)), last.mean(axis=(0, 1))
    helped, replicas = (one.true.sum(axis=-1) < 0).mean(), len(runs.true)
    residual = max(runs.residual, one.residual)
    return (
        f"SGD (η = {float(LR):g}, B = {BATCH_SIZE}) on the quadratic with Hessian {HESSIAN.tolist()} and gradient "
        f"noise {COVARIANCE.tolist()}, from w = {START}: lines from theory, {replicas:,} runs with bars of 3 standard "
        f"errors (seed {rng}; {runs.diverged} of {replicas:,} runs diverged). Over {STEPS} steps the naive allocation "
        f"counts a mean loss change of {naive:.1f}, the true one {true:.2f}, as measured ({runs.loss_change:.2f}; "
        f"largest residual of a step {residual:.0e}). In the second half the moves of w1 and w2 raise the loss in "
        f"{hurt[0]:.0%} and {hurt[1]:.0%} of the steps and change it by {mean[0]:+.3f} and {mean[1]:+.3f} a step, "
        f"which cancels up to chance. Of the {one.true.shape[1]} steps of the single run {helped:.0%} lower the loss, "
        f"and the naive allocation is at most 0 in all."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "naive_allocation.png")
