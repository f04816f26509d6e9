"""Swapping two training examples: the gap between the two orders against the step size.

Compiled steps on two examples, read in either order. Plain SGD: the gap is ε²|[v1, v2]|, what is left after subtracting
the bracket goes as ε³, both until rounding. Heavy ball: the position differs at first order already, the shadow
variable z = θ − μv/(1 − μ) at second, and there the bracket is found again.
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
from sgdtheory import symbols
from sgdtheory.claim import Claim
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLUE, GREEN, ORANGE, RED, save, style
from sgdtheory.theory.example_pairs import Pair
from sgdtheory.theory.lie_bracket import POSITION_GAP, SHADOW, SWAP_GAP

EXAMPLES = ({"x": 1.0, "y": 1.5}, {"x": -2.0, "y": 0.5})
START = (0.8, 0.6)
MOMENTA = (0.5, 0.9)
REPLICAS = 32  # each reads the examples in a random order; all of one order alike
ROUNDING = np.finfo(float).eps / 2
GAP = Look("$|\\theta_{12}-\\theta_{21}|$", BLUE, "o", "-")
REMAINDER = Look("the same, less $\\epsilon^2[v_1,v_2]$", RED, "s", "--")
POSITION = (Look("position, $\\mu=0.5$", BLUE, "o", "-"), Look("position, $\\mu=0.9$", GREEN, "^", "-."))
SHADOWS = (Look("shadow, $\\mu=0.5$", RED, "s", "--"), Look("shadow, $\\mu=0.9$", ORANGE, "D", (0, (5, 1, 1, 1, 1, 1))))


class Gap(NamedTuple):
    """Order 1, 2 minus order 2, 1 after both steps: vectors, one row a step size."""

    position: np.ndarray
    shadow: np.ndarray
    diverged: int


def problem() -> sgd.Problem:
    """Return one tanh unit a·tanh(b x) with squared error on the two examples, each read once."""
    columns = {name: [example[name] for example in EXAMPLES] for name in ("x", "y")}
    data = sgd.Dataset(**columns, sampling="one epoch")
    return sgd.Problem("(y - a*tanh(b*x))**2/2", ["a", "b"], data, convention="half squared error", name="tanh unit")


def pair() -> Pair:
    """Return the two examples' losses at the start, with an empty momentum buffer."""
    given = problem()
    losses = [
        given.example_loss.xreplace({s: sp.Float(example[s.name]) for s in given.data.symbols}) for example in EXAMPLES
    ]
    return Pair((losses[0], losses[1]), given.coordinates, tuple(map(sp.Float, START)), (sp.S.Zero, sp.S.Zero))


@cache
def local_values() -> dict[sp.Symbol, np.ndarray]:
    """Return the fields, the bracket and the other local quantities at the start, each as a vector."""
    components = pair().local()
    return {symbol: np.array([float(component[symbol]) for component in components]) for symbol in components[0]}


def predicted(claim: Claim, quantity: sp.Symbol, step: np.ndarray, momentum: float = 0) -> np.ndarray:
    """Return what a claim says of a gap, one row a step size."""
    formula = next(equation.rhs for equation in claim.statement.atoms(sp.Eq) if equation.lhs == quantity)
    values = local_values()
    function = sp.lambdify([symbols.epsilon, symbols.momentum, *values], formula)
    return function(step[:, None], momentum, *values.values())


def simulated(step: float, momentum: float, rng: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Run both orders; return the gaps of position and shadow, and how many runs diverged."""
    optimizer = sgd.Momentum(lr=step, momentum=momentum)  # SGD at momentum 0
    run = sgd.simulate(
        problem(), optimizer, steps=2, replicas=REPLICAS, init=START, batch_size=1, record_memory=True, rng=rng
    )
    v1, v2 = (local_values()[s] for s in (symbols.field_1, symbols.field_2))
    first_move = run.w.values[:, 1] - run.w.values[:, 0]
    one_first = first_move @ (v1 - v2) > step * (v1 @ v1 - v2 @ v2) / 2  # nearer to εv1 than to εv2
    order_12, order_21 = np.argmax(one_first), np.argmin(one_first)
    position = run.w.values[:, -1]
    shadow = position - momentum / (1 - momentum) * run.memory.values[:, -1]
    return position[order_12] - position[order_21], shadow[order_12] - shadow[order_21], run.attrs["diverged"]


def sweep(momentum: float, steps: np.ndarray, rng: int) -> Gap:
    """Measure the gaps at every step size."""
    position, shadow, diverged = zip(*(simulated(step, momentum, rng) for step in steps), strict=True)
    return Gap(np.array(position), np.array(shadow), sum(diverged))


def size(vectors: np.ndarray) -> np.ndarray:
    """Return the length of each row."""
    return np.linalg.norm(vectors, axis=1)


def draw_plain(axes: Axes, steps: np.ndarray, gap: Gap) -> None:
    """Draw the gap of SGD, and what is left of it without the bracket."""
    whole = predicted(SWAP_GAP, symbols.position_gap, steps)
    leading = steps[:, None] ** 2 * local_values()[symbols.bracket]
    for measured, formula, look in (
        (gap.position, leading, GAP),
        (gap.position - leading, whole - leading, REMAINDER),
    ):
        artists.theory(axes, steps, size(formula), look)
        artists.measured(axes, steps, size(measured), look)
    artists.slope_triangle(axes, 1e-6, 2e-14, 2)
    artists.slope_triangle(axes, 1e-2, 3e-8, 3)
    axes.set(title="SGD", ylabel="gap between the two orders (units of $\\theta$)")
    artists.legend(axes, [GAP, REMAINDER], loc="upper left")


def draw_momentum(axes: Axes, steps: np.ndarray, gaps: Sequence[Gap]) -> None:
    """Draw the gaps of position and shadow variable of the heavy ball."""
    for momentum, gap, position, shadow in zip(MOMENTA, gaps, POSITION, SHADOWS, strict=True):
        artists.theory(axes, steps, size(predicted(POSITION_GAP, symbols.position_gap, steps, momentum)), position)
        artists.measured(axes, steps, size(gap.position), position)
        artists.theory(axes, steps, size(predicted(SHADOW, symbols.shadow_gap, steps, momentum)), shadow)
        artists.measured(axes, steps, size(gap.shadow), shadow)
    artists.slope_triangle(axes, 1e-7, 2e-9, 1)
    artists.slope_triangle(axes, 1e-4, 2e-10, 2)
    axes.set(title="Heavy ball")
    artists.legend(axes, [*POSITION, *SHADOWS], loc="upper left")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    steps = artists.log_grid(1e-9, 1, 1 if quick else 3)
    plain = sweep(0.0, steps, rng)
    heavy = [sweep(momentum, steps, rng) for momentum in MOMENTA]
    with style():
        figure = Figure(figsize=(9.6, 4.8))
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        axes[0].set(xscale="log", yscale="log", ylim=(2e-18, 1e4), xlim=(5e-10, 2))
        draw_plain(axes[0], steps, plain)
        draw_momentum(axes[1], steps, heavy)
        for side in axes:
            artists.floor(side, ROUNDING, "rounding, $2^{-53}$")
            side.set_xlabel("step size $\\epsilon$ (units of $\\theta^2$/loss)")
    return Picture(
        "bracket_gap", "Swapping two examples: the Lie bracket", caption(steps, plain, heavy, rng),
        ("LIE-02", "LIE-12", "LIE-15"), figure,
    )  # fmt: skip


def slope(steps: np.ndarray, vectors: np.ndarray, low: float) -> float:
    """Fit the slope in log-log from a step size to where higher orders show."""
    window = (steps > low) & (steps < 2e-2)
    return float(np.polyfit(np.log(steps[window]), np.log(size(vectors)[window]), 1)[0])


def caption(steps: np.ndarray, plain: Gap, heavy: Sequence[Gap], rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    bracket, bending = (local_values()[s] for s in (symbols.bracket, symbols.bending))
    leading = steps[:, None] ** 2 * bracket
    positions, shadows = ([f"{slope(steps, g[i], 2e-7):.3f}" for g in heavy] for i in (0, 1))
    off = np.abs(size(plain.position) / size(leading) - 1)
    spoiled = steps[(off > 0.01) & (steps < 1e-4)].max()
    zeros = sum(int((size(v) == 0).sum()) for v in (plain.position, *(v for g in heavy for v in g[:2])))
    one, two = (f"({example['x']:g}, {example['y']:g})" for example in EXAMPLES)
    diverged, runs = plain.diverged + sum(g.diverged for g in heavy), REPLICAS * len(steps) * (1 + len(heavy))
    return (
        f"Two steps of the unit a·tanh(b x) from (a, b) = {START} on the examples (x, y) = {one} and {two}, in both "
        f"orders; markers are float64 steps ({REPLICAS} replicas a step size, seed {rng}; {diverged} of {runs:,} runs "
        f"diverged), lines the formulas with |[v1, v2]| = {np.linalg.norm(bracket):.4f} and ε³ coefficient "
        f"{np.linalg.norm(bending) / 2:.4f}. Fitted slopes: SGD's gap {slope(steps, plain.position, 2e-7):.3f}, "
        f"without the bracket {slope(steps, plain.position - leading, 5e-5):.3f}; heavy ball from an empty buffer, "
        f"μ = {MOMENTA[0]} and {MOMENTA[1]}: position {' and '.join(positions)}, shadow variable "
        f"{' and '.join(shadows)}. Rounding spoils SGD's gap by more than 1 % up to ε = {spoiled:.0e}; {zeros} gaps "
        f"are exactly 0 there and not drawn."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "bracket_gap.png")
