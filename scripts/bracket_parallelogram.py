"""Two SGD steps in both orders from one point, in the plane: the parallelogram that does not close, and the bracket.

Steps are exact rational ones on two cubic losses, each a valley with one wall steeper than the other. Left: the two paths, their ends, and the bracket times ε² between
them. Right: the gap over ε² for smaller and smaller ε, which runs into the bracket along the ε³ term.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.derive.expansion import compose
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, RED, save, style
from sgdtheory.theory.example_pairs import Pair
from sgdtheory.theory.lie_brackets.swap import SWAP_GAP

ε = symbols.epsilon
SHOWN = Fraction(2, 5)
STEPS = tuple(SHOWN / 2**k for k in range(6))
ORDERS = {(0, 1): Look("example 1, then 2", BLUE, "o", "-"), (1, 0): Look("example 2, then 1", RED, "s", "--")}
BRACKET = Look("$\\epsilon^2[v_1,v_2]$", GREEN, "", "-")
WITH_NEXT = Look("with the $\\epsilon^3$ term", BLACK, "", ":")
MEASURED = Look("gap$\\,/\\epsilon^2$", BLUE, "o", "")
FORMULA = Look("$[v_1,v_2]$ + $\\epsilon^3$ term$\\,/\\epsilon^2$", BLACK, "", ":")
LIMIT = Look("$[v_1,v_2]$", GREEN, "D", "")


@cache
def pair() -> Pair:
    """Return both losses and the start."""
    x, y = w = sp.symbols("theta1:3", real=True)
    losses = ((x + y / 2 - 2) ** 2 / 2 + x**3 / 12, (y + x / 2 - sp.Rational(3, 2)) ** 2 / 2 + y**3 / 4)
    return Pair(losses, w, (sp.S.Zero, sp.S.Zero), (sp.S.Zero, sp.S.Zero))


def path(order: tuple[int, int], step: Fraction) -> np.ndarray:
    """Return the start and the points after one and two exact steps, shape (3, 2)."""
    start, points = pair().start(sgd.SGD(), ε), [pair().point]
    for count in (1, 2):
        gradients = [-pair().fields[i] for i in order[:count]]
        points.append(compose(sgd.SGD(sp.Rational(step)), gradients, pair().coordinates, start).position)
    return np.array(points, dtype=float)


def gap(step: Fraction) -> np.ndarray:
    """Return 1-then-2 minus 2-then-1."""
    return path((0, 1), step)[-1] - path((1, 0), step)[-1]


@cache
def local_values() -> dict[sp.Symbol, np.ndarray]:
    """Return the bracket and the bending at the start, as vectors."""
    components = pair().local()
    return {s: np.array([float(c[s]) for c in components]) for s in (symbols.bracket, symbols.bending)}


def predicted(step: float | Fraction, terms: int) -> np.ndarray:
    """Return what the ledger says of the gap: the bracket (1 term), with the next one (2)."""
    formula = sp.Add(*sorted(SWAP_GAP.statement.rhs.args, key=lambda t: sp.degree(t, ε))[:terms])
    return np.array(
        [float(formula.subs({ε: sp.Rational(step), **{s: v[i] for s, v in local_values().items()}})) for i in range(2)]
    )


def draw_paths(axes: Axes) -> None:
    """Draw both orders, and the bracket from the end of the second to that of the first."""
    ends = {}
    for order, look in ORDERS.items():
        points = path(order, SHOWN)
        ends[order] = points[-1]
        axes.plot(*points.T, color=look.color, marker=look.marker, linestyle=look.line, markerfacecolor="white")
    for terms, look in ((1, BRACKET), (2, WITH_NEXT)):
        tip = ends[1, 0] + predicted(SHOWN, terms)
        axes.plot(*np.array([ends[1, 0], tip]).T, color=look.color, linestyle=look.line, linewidth=2.2)
        axes.plot(*tip, color=look.color, marker=">" if terms == 1 else "x", markersize=7)
    axes.annotate("start", path((0, 1), SHOWN)[0], xytext=(8, -10), textcoords="offset points")
    axes.set(xlabel="$\\theta_1$ (dimensionless)", ylabel="$\\theta_2$ (dimensionless)", title="Two steps, two ends")
    axes.margins(0.12)
    artists.legend(axes, [*ORDERS.values(), BRACKET, WITH_NEXT], loc="best")


def draw_limit(axes: Axes) -> None:
    """Draw the gap over ε² in the plane."""
    ends = [predicted(step, 2) / float(step) ** 2 for step in (STEPS[0] / 2**20, STEPS[0])]
    artists.theory(axes, *np.array(ends).T, FORMULA)
    artists.measured(axes, *np.array([gap(step) / float(step) ** 2 for step in STEPS]).T, MEASURED)
    axes.plot(*local_values()[symbols.bracket], color=LIMIT.color, marker=LIMIT.marker, markersize=9, linestyle="none")
    for step in STEPS[:3]:
        where = gap(step) / float(step) ** 2
        axes.annotate(f"$\\epsilon={float(step):g}$", where, xytext=(8, 3), textcoords="offset points", fontsize=9.5)
    labels = ("first component (units of $L^2/\\theta^3$)", "second component (units of $L^2/\\theta^3$)")
    axes.set(xlabel=labels[0], ylabel=labels[1], title="Gap over $\\epsilon^2$")
    axes.margins(0.22)
    artists.legend(axes, [MEASURED, FORMULA, LIMIT], loc="best")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure; nothing in it is random, and it is quick."""
    with style():
        figure = Figure(figsize=(9.6, 4.6))
        left, right = figure.subplots(1, 2)
        draw_paths(left)
        draw_limit(right)
    return Picture(
        "bracket_parallelogram", "The parallelogram that does not close", caption(), (SWAP_GAP.id, "LIE-01"), figure
    )


def caption() -> str:
    """Say what is drawn, with its numbers."""
    bracket = local_values()[symbols.bracket]
    whole = gap(SHOWN)
    off = [np.linalg.norm(whole - predicted(SHOWN, k)) / np.linalg.norm(whole) for k in (1, 2)]
    last = np.linalg.norm(gap(STEPS[-1]) / float(STEPS[-1]) ** 2 - bracket) / np.linalg.norm(bracket)
    return (
        f"Exact SGD steps of size ε = {SHOWN} on two cubic losses from (0, 0), in both orders. The ends are "
        f"({whole[0]:.3f}, {whole[1]:.3f}) apart; ε²[v1, v2] is off by {off[0]:.0%} of that, with the ε³ term by "
        f"{off[1]:.0%}. Over ε² the gap tends to [v1, v2] = ({bracket[0]:.3f}, {bracket[1]:.3f}), within {last:.1%} of "
        f"it at ε = {STEPS[-1]}."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "bracket_parallelogram.png")
