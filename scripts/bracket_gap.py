"""Swapping two training examples: the gap between the two orders against the step size.

Compiled steps on two examples, read in either order. Plain SGD: the gap is ε²|[v1, v2]|, what is left after subtracting
the bracket goes as ε³, both until rounding. Heavy ball: the position differs at first order already, the shadow
variable z = θ − μv/(1 − μ) at second, and there the bracket is found again. Nesterov and the adaptive rules differ at
first order too.
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
from sgdtheory.theory.lie_brackets.momentum import NESTEROV_GAP, POSITION_GAP, SHADOW
from sgdtheory.theory.lie_brackets.swap import SWAP_GAP

EXAMPLES = ({"x": 1.0, "y": 1.5}, {"x": -2.0, "y": 0.5})
START = (0.8, 0.6)
MOMENTA = (0.5, 0.9)
REPLICAS = 32  # each reads the examples in a random order; all of one order alike
ROUNDING = np.finfo(float).eps / 2
GAP = Look("$|\\theta_{12}-\\theta_{21}|$", BLUE, "o", "-")
REMAINDER = Look("the same, less $\\epsilon^2[v_1,v_2]$", RED, "s", "--")
POSITION = (Look("position, $\\mu=0.5$", BLUE, "o", "-"), Look("position, $\\mu=0.9$", GREEN, "^", "-."))
SHADOWS = (Look("shadow, $\\mu=0.5$", RED, "s", "--"), Look("shadow, $\\mu=0.9$", ORANGE, "D", (0, (5, 1, 1, 1, 1, 1))))
RULES = {
    Look("Nesterov, $\\mu=0.9$", BLUE, "o", "-"): lambda lr: sgd.Nesterov(lr=lr, momentum=0.9),
    Look("Adam", RED, "s", "--"): lambda lr: sgd.Adam(lr=lr, beta1=0.9, beta2=0.999),
    Look("RMSProp", GREEN, "^", "-."): lambda lr: sgd.RMSProp(lr=lr, decay=0.99),
}


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
    position, memory, diverged = gap_of(sgd.Momentum(lr=step, momentum=momentum), rng)  # SGD at momentum 0
    return position, position - momentum / (1 - momentum) * memory, diverged


def gap_of(optimizer: sgd.Optimizer, rng: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Run both orders; return the gaps of position and (first) buffer, and how many runs diverged."""
    run = sgd.simulate(
        problem(), optimizer, steps=2, replicas=REPLICAS, init=START, batch_size=1, record_memory=True, rng=rng
    )
    v1, v2 = (first_move(optimizer, local_values()[s]) for s in (symbols.field_1, symbols.field_2))
    one_first = (run.w.values[:, 1] - START) @ (v1 - v2) > (v1 @ v1 - v2 @ v2) / 2  # nearer to the move on example 1
    order_12, order_21 = np.argmax(one_first), np.argmin(one_first)
    position, memory = run.w.values[:, -1], run.memory.values[:, -1]
    return position[order_12] - position[order_21], memory[order_12] - memory[order_21], run.attrs["diverged"]


def first_move(optimizer: sgd.Optimizer, field: np.ndarray) -> np.ndarray:
    """Return what the first step along a field does."""
    moves = (optimizer.update(-v, 0, [0] * len(optimizer.buffers)).position for v in field)
    return np.array([float(move.subs(symbols.step, 1)) for move in moves])


def constant_gap(optimizer: sgd.Optimizer) -> np.ndarray:
    """Return the gap along constant gradients, those at the start: what is of first order in the step size."""
    v1, v2 = (local_values()[s] for s in (symbols.field_1, symbols.field_2))
    return np.array([end(optimizer, (-a, -b)) - end(optimizer, (-b, -a)) for a, b in zip(v1, v2, strict=True)])


def end(optimizer: sgd.Optimizer, gradients: Sequence[float]) -> float:
    """Return where steps along constant gradients lead from 0, one coordinate."""
    position, memory = sp.S.Zero, (sp.S.Zero,) * len(optimizer.buffers)
    for number, gradient in enumerate(gradients, start=1):
        update = optimizer.update(float(gradient), position, memory)
        position, memory = (x.subs(symbols.step, number) for x in (update.position, sp.Tuple(*update.memory)))
    return float(position)


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


def draw_rules(axes: Axes, steps: np.ndarray, gaps: Sequence[np.ndarray]) -> None:
    """Draw the position gaps of rules with other memories."""
    for (look, rule), gap in zip(RULES.items(), gaps, strict=True):
        if rule(1.0).name == "Nesterov":
            formula = predicted(NESTEROV_GAP, symbols.position_gap, steps, 0.9)
        else:
            formula = steps[:, None] * constant_gap(rule(1.0))
        artists.theory(axes, steps, size(formula), look)
        artists.measured(axes, steps, size(gap), look)
    artists.slope_triangle(axes, 1e-5, 2e-9, 1)
    axes.set(title="Nesterov and adaptive rules")
    artists.legend(axes, list(RULES), loc="upper left")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    steps = artists.log_grid(1e-9, 1, 1 if quick else 3)
    plain = sweep(0.0, steps, rng)
    heavy = [sweep(momentum, steps, rng) for momentum in MOMENTA]
    others = [[gap_of(rule(step), rng) for step in steps] for rule in RULES.values()]
    rules = [np.array([gap for gap, _, _ in found]) for found in others]
    diverged = plain.diverged + sum(g.diverged for g in heavy) + sum(k for found in others for _, _, k in found)
    with style():
        figure = Figure(figsize=(12.6, 4.8))
        axes = figure.subplots(1, 3, sharex=True, sharey=True)
        axes[0].set(xscale="log", yscale="log", ylim=(2e-18, 1e4), xlim=(5e-10, 2))
        draw_plain(axes[0], steps, plain)
        draw_momentum(axes[1], steps, heavy)
        draw_rules(axes[2], steps, rules)
        for side in axes:
            artists.floor(side, ROUNDING, "rounding, $2^{-53}$")
            side.set_xlabel("step size $\\epsilon$ (units of $\\theta^2$/loss)")
    return Picture(
        "bracket_gap", "Swapping two examples: the Lie bracket", caption(steps, plain, heavy, rules, diverged, rng),
        ("LIE-02", "LIE-12", "LIE-14", "LIE-15", "LIE-17"), figure,
    )  # fmt: skip


def slope(steps: np.ndarray, vectors: np.ndarray, low: float) -> float:
    """Fit the slope in log-log from a step size to where higher orders show."""
    window = (steps > low) & (steps < 2e-2)
    return float(np.polyfit(np.log(steps[window]), np.log(size(vectors)[window]), 1)[0])


def caption(
    steps: np.ndarray, plain: Gap, heavy: Sequence[Gap], rules: Sequence[np.ndarray], diverged: int, rng: int
) -> str:
    """Say what is drawn, with the numbers of the run."""
    bracket, bending = (local_values()[s] for s in (symbols.bracket, symbols.bending))
    leading = steps[:, None] ** 2 * bracket
    positions, shadows = ([f"{slope(steps, g[i], 2e-7):.3f}" for g in heavy] for i in (0, 1))
    off = np.abs(size(plain.position) / size(leading) - 1)
    spoiled = steps[(off > 0.01) & (steps < 1e-4)].max()
    zeros = sum(int((size(v) == 0).sum()) for v in (plain.position, *(v for g in heavy for v in g[:2])))
    one, two = (f"({example['x']:g}, {example['y']:g})" for example in EXAMPLES)
    runs = REPLICAS * len(steps) * (1 + len(heavy) + len(rules))
    first = [f"{slope(steps, gap, 2e-7):.3f}" for gap in rules]
    return (
        f"Two steps of the unit a·tanh(b x) from (a, b) = {START} on the examples (x, y) = {one} and {two}, in both "
        f"orders; markers are float64 steps ({REPLICAS} replicas a step size, seed {rng}; {diverged} of {runs:,} runs "
        f"diverged), lines the formulas with |[v1, v2]| = {np.linalg.norm(bracket):.4f} and ε³ coefficient "
        f"{np.linalg.norm(bending) / 2:.4f}. Fitted slopes: SGD's gap {slope(steps, plain.position, 2e-7):.3f}, "
        f"without the bracket {slope(steps, plain.position - leading, 5e-5):.3f}; heavy ball from an empty buffer, "
        f"μ = {MOMENTA[0]} and {MOMENTA[1]}: position {' and '.join(positions)}, shadow variable "
        f"{' and '.join(shadows)}; Nesterov, Adam and RMSProp {', '.join(first)}, the adaptive lines being what constant "
        f"gradients give. Rounding spoils SGD's gap by more than 1 % up to ε = {spoiled:.0e}; {zeros} gaps "
        f"are exactly 0 there and not drawn."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "bracket_gap.png")
