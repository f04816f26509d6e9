"""Degenerate minima: two sticky landscapes on a line and one in the plane, with what is known of each critical point.

All of it is exact: places, kinds, barriers and learning coefficients come out of the loss itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.measure.critical_points import Landmark
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, RED, save, style

LINES = {(1, 2): sp.Rational(9, 5), (2, 3): sp.Integer(2)}
MARKERS = {"minimum": ("o", BLUE), "degenerate minimum": ("s", RED), "maximum": ("^", GREEN)}


def describe(landmark: Landmark) -> str:
    """Return λ and the barrier of a minimum in mathematical text, the loss of a maximum."""
    point = landmark.point
    if point.coefficient is None:
        return f"barrier\n{float(point.loss):.4g}"
    times = f", $m={point.coefficient.multiplicity}$" if point.coefficient.multiplicity > 1 else ""
    limit = landmark.gradient_descent
    rate = "\nno limit on $\\eta$" if limit == float("inf") else f"\n$\\eta<{limit:.3f}$"
    return f"$\\lambda={_fraction(point.coefficient.value)}${times}{rate}"


def _fraction(value: sp.Rational) -> str:
    return f"{value.p}/{value.q}" if value.q > 1 else str(value.p)


def line_problem(degrees: tuple[int, int]) -> sgd.Problem:
    """Return the sticky landscape of these degrees without the constant of the labels' noise."""
    return sgd.sticky_1d(*degrees, LINES[degrees], noise_std=0)


def draw_line(axes: Axes, degrees: tuple[int, int]) -> tuple[Landmark, ...]:
    """Draw a loss on a line and mark its critical points."""
    problem, w0 = line_problem(degrees), float(LINES[degrees])
    landmarks = sgd.critical_points(problem)
    top = float(max(mark.point.loss for mark in landmarks))
    w = np.linspace(-1.32 * w0, 1.5 * w0, 600)
    axes.plot(w, sgd.numeric_loss(problem).value(w[:, np.newaxis]), color=BLACK)
    for mark in landmarks:
        marker, color = MARKERS[mark.point.kind]
        place = float(mark.point.at[0]), float(mark.point.loss)
        axes.plot(*place, marker=marker, color=color, markersize=8, markerfacecolor="white", markeredgewidth=1.8)
        above = mark.point.kind == "maximum"
        axes.annotate(
            describe(mark), place, xytext=(0, 9 if above else -9), textcoords="offset points", ha="center",
            va="bottom" if above else "top", fontsize=9.5, color=color,
        )  # fmt: skip
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= 1.4 * top])
    axes.set(
        ylim=(-0.34 * top, 1.4 * top), xlabel="parameter $w$ (dimensionless)", ylabel="loss $\\frac{1}{2}Q^2$ (loss)",
        title=f"$Q=(w+w_0)^{degrees[0]}(w-w_0)^{degrees[1]}$, $w_0={w0:g}$".replace("^1", ""),
    )  # fmt: skip
    return landmarks


def draw_plane(axes: Axes) -> tuple[Landmark, ...]:
    """Draw levels of the loss in the plane, its line of minima and the most degenerate point."""
    problem = sgd.sticky_2d(1, noise_std=0)
    landmarks = sgd.critical_points(problem)
    w1, w2 = np.meshgrid(np.linspace(-1.5, 1.5, 241), np.linspace(-1.5, 1.5, 241))
    loss = sgd.numeric_loss(problem).value(np.stack([w1, w2], axis=-1))
    axes.contour(w1, w2, np.log10(loss + 1e-30), levels=np.arange(-8, 2), colors=GREY, linewidths=0.9, linestyles="-")
    axes.axvline(0, color=BLUE, linewidth=2)
    origin, line = landmarks
    axes.plot(0, 0, marker="s", color=RED, markersize=8, markerfacecolor="white", markeredgewidth=1.8, zorder=3)
    for mark, place, color in ((origin, (0.25, -0.5), RED), (line, (0.25, 1.25), BLUE)):
        assert mark.point.coefficient is not None
        name = "origin" if mark is origin else "line $w_1=0$"
        axes.annotate(
            f"{name}: $\\lambda={_fraction(mark.point.coefficient.value)}$", tuple(map(float, mark.point.at)),
            xytext=place, fontsize=9.5, color=color, va="center",
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 1},
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
    axes.set(
        xlabel="$w_1$ (dimensionless)", ylabel="$w_2$ (dimensionless)",
        title="$Q=(w_1^2+w_2^2)^2\\,w_1$, levels $10^{-8}…10$",
    )  # fmt: skip
    return landmarks


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure; nothing in it is random."""
    with style():
        figure = Figure(figsize=(11.4, 3.9))
        axes = figure.subplots(1, 3)
        first, second = (draw_line(ax, degrees) for ax, degrees in zip(axes[:2], LINES, strict=True))
        draw_plane(axes[2])
    title = "Degenerate minima and their learning coefficients"
    return Picture("degenerate_minima", title, caption(first, second), ("DEG-13", "DEG-31"), figure)


def caption(first: tuple[Landmark, ...], second: tuple[Landmark, ...]) -> str:
    """Say what is drawn."""
    sharp, barrier, _ = first
    return (
        "Critical points of the sticky landscapes, found exactly: circles are minima with curvature, squares "
        "degenerate ones, triangles maxima. A zero of Q of degree k has the learning coefficient λ = 1/(2k), half of "
        "the printed 1/k. With the half squared error the sharp minimum on the left bears learning rates below "
        f"{sharp.gradient_descent:.4f} and lies {float(barrier.point.loss):.4g} below the barrier; without the half, "
        "half the rate and twice the height. In the middle no minimum has curvature: gradient descent is linearly "
        f"stable at either for any rate; the barrier is {float(second[1].point.loss):.4g}. On the right the origin is "
        "more degenerate than the line of minima through it."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "degenerate_minima.png")
