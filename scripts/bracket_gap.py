"""Swapping two training examples: the gap between the two orders against the step size.

Compiled steps on two examples, read in either order. Plain SGD: the gap is ε²|[v1, v2]|, what is left after subtracting
the bracket goes as ε³, both until rounding. Heavy ball: the position differs at first order already, the shadow
variable z = θ − μv/(1 − μ) at second, and there the bracket is found again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from matplotlib.axes import Axes

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


def simulated(optimizer: sgd.Optimizer, rng: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Run both orders; return the gaps of position and shadow, and how many runs diverged."""
    run = sgd.simulate(
        problem(), optimizer, steps=2, replicas=REPLICAS, init=START, batch_size=1, record_memory=True, rng=rng
    )
    step, decay = (float(optimizer.values.get(s, 0)) for s in (symbols.lr, symbols.momentum))
    v1, v2 = (local_values()[s] for s in (symbols.field_1, symbols.field_2))
    first_move = run.w.values[:, 1] - run.w.values[:, 0]
    one_first = first_move @ (v1 - v2) > step * (v1 @ v1 - v2 @ v2) / 2  # nearer to εv1 than to εv2
    order_12, order_21 = np.argmax(one_first), np.argmin(one_first)
    position = run.w.values[:, -1]
    shadow = position - decay / (1 - decay) * run.memory.values[:, -1] if decay else position
    return position[order_12] - position[order_21], shadow[order_12] - shadow[order_21], run.attrs["diverged"]


def sweep(rule: Callable[..., sgd.Optimizer], steps: np.ndarray, rng: int, **options: float) -> Gap:
    """Measure the gaps at every step size."""
    position, shadow, diverged = zip(*(simulated(rule(lr=step, **options), rng) for step in steps), strict=True)
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
    plain = sweep(sgd.SGD, steps, rng)
    heavy = [sweep(sgd.Momentum, steps, rng, momentum=momentum) for momentum in MOMENTA]
    with style():
        figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.8), sharex=True, sharey=True)
        axes[0].set(xscale="log", yscale="log", ylim=(2e-18, 1e4), xlim=(5e-10, 2))
        draw_plain(axes[0], steps, plain)
        draw_momentum(axes[1], steps, heavy)
        for side in axes:
            artists.floor(side, ROUNDING, "rounding, $2^{-53}$")
            side.set_xlabel("step size $\\epsilon$ (units of $\\theta^2$/loss)")
        plt.close(figure)
    return Picture(
        "bracket_gap", "Swapping two examples: the Lie bracket", caption(steps, plain, heavy, rng),
        ("LIE-02", "LIE-12", "LIE-15"), figure,
    )  # fmt: skip


def caption(steps: np.ndarray, plain: Gap, heavy: Sequence[Gap], rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    values = local_values()
    leading = steps[:, None] ** 2 * values[symbols.bracket]

    def slope(vectors: np.ndarray, low: float, high: float) -> float:
        window = (steps > low) & (steps < high)
        return float(np.polyfit(np.log(steps[window]), np.log(size(vectors)[window]), 1)[0])

    slopes = [slope(plain.position, 2e-7, 2e-2), slope(plain.position - leading, 5e-5, 2e-2)]
    slopes += [slope(gap.position, 2e-7, 2e-2) for gap in heavy] + [slope(gap.shadow, 2e-7, 2e-2) for gap in heavy]
    smallest = steps[np.abs(size(plain.position) / size(leading) - 1) < 0.01].min()
    zeros = int(sum((size(v) == 0).sum() for gap in heavy for v in gap[:2]) + (size(plain.position) == 0).sum())
    runs = REPLICAS * len(steps) * (1 + len(heavy))
    return (
        f"Two compiled steps of one tanh unit on the examples {EXAMPLES[0]} and {EXAMPLES[1]} from θ = {START}, in both "
        f"orders; markers are float64 steps, lines the formulas with |[v1, v2]| = {size(values[symbols.bracket][None])[0]:.4f} "
        f"and ε³ coefficient {size(values[symbols.bending][None])[0] / 2:.4f}. Fitted slopes: SGD's gap {slopes[0]:.3f}, "
        f"without the bracket {slopes[1]:.3f}; heavy ball's position {slopes[2]:.3f} and {slopes[3]:.3f}, its shadow "
        f"variable {slopes[4]:.3f} and {slopes[5]:.3f} (μ = {MOMENTA[0]} and {MOMENTA[1]}, empty buffer). Below "
        f"ε = {smallest:.0e} rounding spoils SGD's gap by more than 1 % ({zeros} gaps are exactly 0 and not drawn). "
        f"Seed {rng}, {REPLICAS} replicas a step size; {plain.diverged + sum(g.diverged for g in heavy)} of {runs:,} runs "
        f"diverged."
    )


if __name__ == "__main__":
    folder = Path(__file__).parents[1] / "paper_figures"
    folder.mkdir(exist_ok=True)
    save(make().figure, folder / "bracket_gap.png")
