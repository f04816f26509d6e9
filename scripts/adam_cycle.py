"""Adam's 2-cycle on ½hθ²: where in (β₁, β₂) it is stable, and what runs do inside and outside.

Without noise and ε, Adam cannot come to rest at the minimum. It jumps between ±η(1 − β₁)/(2(1 + β₁)) for ever where
that orbit is stable, and elsewhere, at the usual β's too, bursts out of it again and again.
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
from sgdtheory.plots.style import BLACK, BLUE, GREEN, RED, save, style
from sgdtheory.theory.registry import find

β1, β2, η = symbols.beta1, symbols.beta2, symbols.lr
LR, CURVATURE = 0.1, 1.0
GRID = (np.linspace(0.02, 0.44, 15), np.linspace(0.06, 0.96, 11))
NEAR = 0.01  # a run is on the orbit if its last steps change sign and lie this close to ±A, relative to A
PUSH = 1e-3  # how far off the 2-cycle the near starts are, relative to A
LAST = 6
STEPS = 6000
SHOWN = 3000
EDGE = Look("edge of stability", BLACK, "", "-")
ALL = Look("all runs end on it", BLUE, "o", "none")
NEAR_ONES = Look("not all, but those from nearby", GREEN, "D", "none")
NONE = Look("none, from nearby either", RED, "x", "none")
INSIDE = (0.1, 0.9, Look("inside: $\\beta_1=0.1$, $\\beta_2=0.9$", BLUE, "", "--"))
OUTSIDE = (0.9, 0.99, Look("outside: $\\beta_1=0.9$, $\\beta_2=0.99$", RED, "", "-"))


def stated(quantity: sp.Symbol) -> sp.Expr:
    """Return what MCA-18 says of a quantity."""
    return next(r.rhs for r in find("MCA-18").statement.args if r.lhs == quantity)


AMPLITUDE = sp.lambdify((η, β1), stated(symbols.cycle_amplitude))
SHARPNESS = sp.lambdify(β1, stated(symbols.cycle_sharpness))
EDGE_AT = sp.lambdify(β2, stated(symbols.cycle_edge))


class Orbit(NamedTuple):
    """One run: the parameter over the 2-cycle's amplitude, and the preconditioned sharpness ηh/√s."""

    relative: np.ndarray
    sharpness: np.ndarray


def adam(beta1: object, beta2: object) -> sgd.Optimizer:
    """Return Adam without ε and without bias correction, which dies out."""
    return sgd.Adam(LR, beta1, beta2, 0, form="slides")


def verdicts(grid: tuple[np.ndarray, np.ndarray], replicas: int, steps: int, rng: int) -> tuple[np.ndarray, int]:
    """Return the share of runs that end on the 2-cycle, shape (β₁, β₂), and the number of diverged runs."""
    start = sgd.Uniform(0.2 * LR, 8 * LR)
    problem = sgd.landscape(sp.Float(CURVATURE) / 2 * sp.Symbol("w", real=True) ** 2, ["w"])
    record = list(range(steps - LAST, steps + 1))
    run = sgd.simulate(problem, adam(*grid), steps=steps, replicas=replicas, init=start, record=record, rng=rng)
    w = run.w.isel(coordinate=0).transpose("beta1", "beta2", "replica", "step").values
    amplitude = AMPLITUDE(LR, grid[0])[:, None, None, None]
    near = (np.abs(np.abs(w) / amplitude - 1) < NEAR).all(axis=-1)
    alternate = (w[..., 1:] * w[..., :-1] < 0).all(axis=-1)
    return (near & alternate).mean(axis=-1), int((run.diverged_at >= 0).sum())


def returns(grid: tuple[np.ndarray, np.ndarray], steps: int) -> np.ndarray:
    """Return whether a run that starts beside the 2-cycle, with the buffers of the cycle, comes back: (β₁, β₂)."""
    first, second = np.meshgrid(*grid, indexing="ij")
    symbols_in = (symbols.theta, symbols.velocity, symbols.second_moment)
    rule = adam(β1, β2)
    update = rule.update(CURVATURE * symbols.theta)
    move = sp.lambdify((*symbols_in, β1, β2), [update.position, *update.memory])
    amplitude = AMPLITUDE(LR, first)
    state = [amplitude * (1 + PUSH), -(1 - first) / (1 + first) * CURVATURE * amplitude, (CURVATURE * amplitude) ** 2]
    off = np.zeros_like(amplitude)
    for step in range(steps):
        state = move(*state, first, second)
        if step >= steps - 200:  # long enough to see every swing of a slow modulation
            off = np.maximum(off, np.abs(np.abs(state[0]) / amplitude - 1))
    return off < PUSH / 2


def orbit(beta1: float, beta2: float, steps: int) -> Orbit:
    """Run once from θ = 8η, recording every step."""
    problem = sgd.landscape(sp.Float(CURVATURE) / 2 * sp.Symbol("w", real=True) ** 2, ["w"])
    run = sgd.simulate(
        problem, adam(beta1, beta2), steps=steps, replicas=1, init=8 * LR, record=1, record_memory=True, rng=0
    )
    square = run.memory.values[0, 1:, -1]
    return Orbit(np.abs(run.w.values[0, 1:, 0]) / AMPLITUDE(LR, beta1), LR * CURVATURE / np.sqrt(square))


def draw_map(axes: Axes, share: np.ndarray, back: np.ndarray, grid: tuple[np.ndarray, np.ndarray]) -> list[Look]:
    """Draw the edge, and the verdict of the runs at each point of the grid; return what was drawn."""
    height = np.linspace(1e-6, 1, 300)
    axes.fill_betweenx(height, 0, EDGE_AT(height), color=BLUE, alpha=0.10, linewidth=0)
    artists.theory(axes, EDGE_AT(height), height, EDGE)
    first, second = np.meshgrid(*grid, indexing="ij")
    kinds = {ALL: back & (share == 1), NEAR_ONES: back & (share < 1), NONE: ~back}
    for look, chosen in kinds.items():
        axes.plot(
            first[chosen], second[chosen], linestyle="none", marker=look.marker, color=look.color, label=look.label,
            markerfacecolor="white", markersize=5.5, markeredgewidth=1.3,
        )  # fmt: skip
    axes.annotate(
        "$3-2\\sqrt{2}$", (EDGE_AT(1.0), 1), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=9.5
    )
    axes.annotate("1/3", (1 / 3, 0), xytext=(4, 5), textcoords="offset points", fontsize=9.5)
    axes.set(
        xlim=(0, 0.46), ylim=(0, 1), xlabel="$\\beta_1$ (dimensionless)", ylabel="$\\beta_2$ (dimensionless)",
        title="where the 2-cycle is stable\n",
    )  # fmt: skip
    axes.grid(visible=False)
    return [EDGE, *(look for look, chosen in kinds.items() if chosen.any())]


def draw_orbits(above: Axes, below: Axes, orbits: dict[Look, Orbit]) -> None:
    """Draw the sharpness beside its value on the 2-cycle, and the parameter beside the amplitude."""
    for beta1, _, look in (INSIDE, OUTSIDE):
        number = np.arange(1, len(orbits[look].sharpness) + 1)
        above.plot(number, orbits[look].sharpness, color=look.color, linestyle=look.line, linewidth=1.0)
        above.axhline(SHARPNESS(beta1), color=BLACK, linestyle=":", linewidth=1.2)
        above.annotate(
            f"$2(1+\\beta_1)/(1-\\beta_1)={SHARPNESS(beta1):.3g}$", (1, SHARPNESS(beta1)), (-2, 7),
            xycoords=above.get_yaxis_transform(), textcoords="offset points", ha="right", va="bottom", fontsize=9.5,
        )  # fmt: skip
        below.plot(number, orbits[look].relative, color=look.color, linestyle=look.line, linewidth=0.7)
    below.axhline(1, color=BLACK, linestyle=":", linewidth=1.2)
    above.set(yscale="log", ylim=(0.2, 200), ylabel="$\\eta h/\\sqrt{s}$ (dimensionless)", title="two runs")
    below.set(yscale="log", ylim=(1e-4, 3e2), xlabel="step (number)", ylabel="$|\\theta|\\,/\\,A$ (dimensionless)")
    above.tick_params(labelbottom=False)


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    grid = tuple(axis[::3] for axis in GRID) if quick else GRID
    replicas, steps = (4, 2000) if quick else (12, STEPS)
    share, diverged = verdicts(grid, replicas, steps, rng)
    back = returns(grid, 4 * steps)
    orbits = {look: orbit(one, two, SHOWN) for one, two, look in (INSIDE, OUTSIDE)}
    with style():
        figure = Figure(figsize=(10.6, 5.4))
        left, right = figure.subfigures(1, 2, width_ratios=(5, 6))
        axes = left.subplots()
        artists.legend(
            axes, draw_map(axes, share, back, grid), loc="upper left", bbox_to_anchor=(-0.12, -0.13), ncols=2
        )
        above, below = right.subplots(2, 1, sharex=True)
        draw_orbits(above, below, orbits)
        artists.legend(below, [INSIDE[2], OUTSIDE[2]], loc="upper right")
    return Picture(
        "adam_cycle", "Adam's 2-cycle and where it is stable",
        caption(share, back, grid, replicas, steps, diverged, orbits, rng),
        ("MCA-17", "MCA-18"), figure,
    )  # fmt: skip


def caption(
    share: np.ndarray, back: np.ndarray, grid: tuple[np.ndarray, np.ndarray], replicas: int, steps: int,
    diverged: int, orbits: dict[Look, Orbit], rng: int,
) -> str:  # fmt: skip
    """Say what is drawn, with the numbers of the run."""
    inside = grid[0][:, None] < EDGE_AT(grid[1])[None, :]
    agree = int(np.count_nonzero(inside == back))
    elsewhere = int(np.count_nonzero(back & (share < 1)))
    lasting = orbits[OUTSIDE[2]].sharpness[SHOWN // 2 :]
    return (
        f"Adam (ε = 0, no bias correction) on ½hθ² without noise, η = {LR:g}, h = {CURVATURE:g}. Left: the exact edge "
        f"β₁²β₂ − 3β₁(1 + β₂) + 1 = 0 of local stability; runs that start {PUSH:g} off the 2-cycle return or leave as "
        f"it says at {agree} of {share.size} points, but of {replicas} runs a point with empty buffers (seed {rng}, "
        f"{steps:,} steps; {diverged} of {replicas * share.size:,} runs diverged) not all find it at {elsewhere} "
        f"points inside. Right: inside, ηh/√s settles at 2(1 + β₁)/(1 − β₁) and |θ| at A = η(1 − β₁)/(2(1 + β₁)); "
        f"outside, it climbs past {SHARPNESS(OUTSIDE[0]):g} until a burst of |θ| throws it back, between "
        f"{lasting.min():.0f} and {lasting.max():.0f} in the second half. RMSProp is the axis β₁ = 0."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "adam_cycle.png")
