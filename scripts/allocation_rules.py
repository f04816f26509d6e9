"""Quadrature rules for loss change allocation: what is missed of each parameter's allocation, for the gradients spent.

Steps of SGD on logistic regression with a large learning rate, so that the gradient changes along a step. Lines are the
leading terms of the errors with their coefficients, markers the rules themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.derive.quadrature import Rule, quadrature_rule
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, RED, SKY, save, style
from sgdtheory.theory.loss_change_allocation.quadrature import loss_degree, smooth_coefficient

EXAMPLES, FEATURES, LR, STEPS, RUNS = 12, 3, 2, 20, 8
LOOKS = {
    "left": Look("left end (first order)", BLACK, "x", ":"),
    "trapezoid": Look("trapezoid", SKY, "v", "--"),
    "midpoint": Look("midpoint = Gauss 1", SKY, "s", "-"),
    "simpson": Look("Simpson = the paper's RK4", RED, "o", "--"),
    "gauss-2": Look("Gauss 2", RED, "D", "-"),
    "boole": Look("Boole", BLUE, "^", "--"),
    "gauss-3": Look("Gauss 3", BLUE, "P", "-"),
    "gauss-4": Look("Gauss 4", GREEN, "*", "-"),
}
MOST = 64  # the paper's rule ends at 32 parts of two gradients
FLOOR = 1e-14  # nearer to rounding than this nothing is drawn
REFERENCE = "gauss-12"


class Steps(NamedTuple):
    """Steps of the runs: start and move, each of shape (steps, parameters); the examples and how many runs diverged."""

    start: np.ndarray
    move: np.ndarray
    problem: sgd.Problem
    signed: np.ndarray
    diverged: int


def take_steps(rng: int) -> Steps:
    """Run SGD on random examples."""
    examples, noise = np.random.SeedSequence(rng).spawn(2)
    draw = np.random.default_rng(examples)
    x = draw.standard_normal((EXAMPLES, FEATURES))
    y = np.where(x[:, 0] + 0.7 * draw.standard_normal(EXAMPLES) > 0, 1, -1)
    problem = sgd.logistic_regression(sgd.Dataset(**{f"x{i}": x[:, i] for i in range(FEATURES)}, y=y))
    run = sgd.simulate(problem, sgd.SGD(lr=LR), steps=STEPS, replicas=RUNS, init=0, batch_size=2, rng=noise)
    path = run.w.values
    start, move = path[:, :-1].reshape(-1, FEATURES), np.diff(path, axis=1).reshape(-1, FEATURES)
    moved = np.abs(move).sum(axis=1) > 0
    return Steps(start[moved], move[moved], problem, x * y[:, None], run.attrs["diverged"])


def allocate(steps: Steps, rule: Rule, parts: int = 1) -> np.ndarray:
    """Allocate every step by a rule on equal parts; shape (steps, parameters)."""
    gradient, total = sgd.numeric_loss(steps.problem).gradient, np.zeros_like(steps.move)
    for node, weight in zip(map(float, rule.nodes), map(float, rule.weights), strict=True):
        places = (np.arange(parts) + node) / parts
        total += weight * gradient(steps.start + places[:, None, None] * steps.move).mean(axis=0)
    return steps.move * total


def leading_errors(steps: Steps, rule: Rule) -> np.ndarray:
    """Return e/m! times the change of derivative m − 1 of the gradient along each step, times the move."""
    z = sp.Symbol("z", real=True)
    order = loss_degree(rule)
    curve = sp.lambdify(z, sp.diff(sp.log(1 + sp.exp(-z)), z, order))
    before, along = steps.start @ steps.signed.T, steps.move @ steps.signed.T
    change = (along ** (order - 1) * (curve(before + along) - curve(before))) @ steps.signed / EXAMPLES
    return float(smooth_coefficient(rule)) * change * steps.move


def spent(rule: Rule) -> int:
    """Return the gradients a step costs; one at its end is the next step's first."""
    return len(rule.nodes) - (0 in rule.nodes and 1 in rule.nodes)


def draw_rule(axes: Axes, steps: Steps, name: str, exact: np.ndarray, counts: list[int]) -> None:
    """Draw the mean error of a rule on equal parts, relative to the mean size of an allocation."""
    rule, scale, look = quadrature_rule(name), np.abs(exact).mean(), LOOKS[name]
    parts = [count for count in counts if count * spent(rule) <= MOST]
    cost = np.array(parts) * spent(rule)
    error = np.array([np.abs(allocate(steps, rule, count) - exact).mean() for count in parts]) / scale
    kept = error > FLOOR
    artists.measured(axes, cost[kept], error[kept], look)
    lead = np.abs(leading_errors(steps, rule)).mean() / scale
    fine = np.geomspace(spent(rule), MOST, 100)
    line = lead * (spent(rule) / fine) ** loss_degree(rule)
    shown = line > FLOOR
    artists.theory(axes, fine[shown], line[shown], look)


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    steps = take_steps(rng)
    exact = allocate(steps, quadrature_rule(REFERENCE), 8)
    counts = [1, 4, 16, 64] if quick else [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]
    with style():
        figure = Figure(figsize=(8.4, 5.2))
        axes = figure.subplots()
        for name in LOOKS:
            draw_rule(axes, steps, name, exact, counts)
        for cost, text in ((2, "paper: first try"), (MOST, "paper: last")):
            artists.limit(axes, cost, text, 0.06, "right" if cost == 2 else "left")
        axes.set(
            xscale="log", yscale="log", xlim=(0.9, 1.1 * MOST), ylim=(FLOOR / 10, 2),
            xlabel="gradients spent on a step (number)", ylabel="mean error ÷ mean $|A_i|$",
            title="Error of each parameter's allocation",
        )  # fmt: skip
        axes.set_xticks([1, 2, 4, 8, 16, 32, 64], labels=["1", "2", "4", "8", "16", "32", "64"])
        artists.legend(axes, tuple(LOOKS.values()), loc="center left", bbox_to_anchor=(1.0, 0.5))
    return Picture(
        "allocation_rules", "What a better quadrature rule buys", caption(steps, exact, rng),
        ("LCA-09", "LCA-13", "LCA-16"), figure,
    )  # fmt: skip


def caption(steps: Steps, exact: np.ndarray, rng: int) -> str:
    """Say what is drawn, with the numbers of the steps."""
    scale = np.abs(exact).mean()
    first, simpson, gauss = (
        np.abs(allocate(steps, quadrature_rule(name)) - exact).mean() / scale for name in ("left", "simpson", "gauss-2")
    )
    return (
        f"{len(steps.move)} steps of SGD (η = {LR}, B = 2) on logistic regression, {EXAMPLES} examples and {FEATURES} "
        f"parameters (seed {rng}; {steps.diverged} of {RUNS} runs diverged): lines are the leading terms of theory, "
        f"markers the rules on equal parts. The gradient at the start alone misses {first:.0%} of the mean size of an "
        f"allocation. For two gradients a step Simpson's rule misses {simpson:.1e} and Gauss's with two nodes "
        f"{gauss:.1e}, both of order 4; gradients are better spent on more nodes than on more parts."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "allocation_rules.png")
