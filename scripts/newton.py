"""Newton's method: degenerate minima want learning rates above 1, and curved coordinates change the steps.

Left: on w^{2k} a step multiplies w by 1 − η/(2k − 1), which is 0 at η = 2k − 1. Right: on w − log w Newton's steps are
the same in w and in every affine coordinate, and others in the coordinate log w.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLUE, GREEN, GREY, ORANGE, RED, save, style
from sgdtheory.theory.lectures.second_order import homogeneous_ratio, newton_move

HALF_DEGREES = {
    1: Look("$w^2$", BLUE, "o", "-"),
    2: Look("$w^4$", RED, "s", "--"),
    3: Look("$w^6$", GREEN, "^", "-."),
}
RATIO = sp.lambdify((symbols.lr, symbols.degree), homogeneous_ratio())
W, U = sp.symbols("w u", real=True)
LOSS, START, STEPS, BOTTOM = W - sp.log(W), 1.8, 6, 1.0
SCALE, SHIFT = -3.0, 2.0
PLACES = {
    W: Look("in $w$", BLUE, "o", "-"),
    SCALE * U + SHIFT: Look(f"in $u$, $w={SCALE:g}u+{SHIFT:g}$", ORANGE, "P", (0, (1, 1.5))),
}
CURVED = Look("in $u$, $w=e^u$", RED, "s", "--")


def ratios(k: int, rates: np.ndarray) -> np.ndarray:
    """Run three steps on w^{2k} at every learning rate; return |w₃/w₀|^{1/3}."""
    problem = sgd.landscape(W ** (2 * k), [W])
    ends = [float(sgd.newton(problem, 1.0, lr=float(lr), steps=3).w[0, -1, 0]) for lr in rates]
    return np.abs(ends) ** (1 / 3)


def iterates(place: sp.Expr, start: float) -> np.ndarray:
    """Run Newton's method in the coordinate in which w = place; return w at every step."""
    (coordinate,) = place.free_symbols
    run = sgd.newton(sgd.landscape(LOSS.subs(W, place), [coordinate]), start, steps=STEPS)
    return sp.lambdify(coordinate, place)(run.w.values[0, :, 0])


def predicted(place: sp.Expr, start: float) -> np.ndarray:
    """Iterate the symbolic Newton move of the loss in w, or in the curved coordinate."""
    (coordinate,) = place.free_symbols
    move = sp.lambdify(coordinate, newton_move(LOSS.subs(W, place), [coordinate])[0])
    path = [start]
    for _ in range(STEPS):
        path.append(path[-1] + move(path[-1]))
    return sp.lambdify(coordinate, place)(np.array(path))


def coordinates() -> list[tuple[Look, np.ndarray, np.ndarray]]:
    """Return look, distances predicted and distances measured, in three coordinates from the same start."""
    (plain, affine) = PLACES
    in_w = predicted(plain, START)
    pairs = [
        (PLACES[plain], in_w, iterates(plain, START)),
        (PLACES[affine], in_w, iterates(affine, (START - SHIFT) / SCALE)),  # the claim: the same steps
        (CURVED, predicted(sp.exp(U), float(np.log(START))), iterates(sp.exp(U), float(np.log(START)))),
    ]
    return [(look, np.abs(theory - BOTTOM), np.abs(run - BOTTOM)) for look, theory, run in pairs]


def draw_ratios(axes: Axes, rates: np.ndarray, measured: dict[int, np.ndarray]) -> None:
    """Draw the factor of a step against the learning rate."""
    fine = np.linspace(0.01, 11, 500)
    axes.axvspan(0, 1, color=GREY, alpha=0.15, linewidth=0)
    axes.annotate("safer?", (0.06, 1.42), ha="left", fontsize=9.5)
    for k, look in HALF_DEGREES.items():
        artists.theory(axes, fine, np.abs(RATIO(fine, 2 * k)), look)
        artists.measured(axes, rates, measured[k], look)
        axes.annotate(
            f"{2 * k - 1}",
            (2 * k - 1, 0),
            xytext=(0, -13),
            textcoords="offset points",
            ha="center",
            fontsize=9.5,
            color=look.color,
        )
    axes.axhline(1, color=GREY, linewidth=0.9)
    axes.set(
        xlim=(0, 11), ylim=(-0.12, 1.5), title="Newton on $w^{2k}$", xlabel="learning rate $\\eta$ (dimensionless)"
    )
    axes.set(ylabel="$|w'/w|$, a step (dimensionless)")
    artists.legend(axes, list(HALF_DEGREES.values()), loc="upper right")


def draw_coordinates(axes: Axes, rows: list[tuple[Look, np.ndarray, np.ndarray]]) -> None:
    """Draw the distance from the minimum against the step."""
    step = np.arange(STEPS + 1)
    for (look, theory, run), size in zip(rows, (10, 6, 6), strict=True):
        artists.theory(axes, step, np.where(theory > 0, theory, np.nan), look)
        shown = run > 0
        axes.plot(
            step[shown], run[shown], color=look.color, marker=look.marker, linestyle="none", markersize=size,
            markerfacecolor=look.color if look.marker == "P" else "white", markeredgewidth=1.4, label=look.label,
        )  # fmt: skip
    axes.set(
        yscale="log", ylim=(1e-10, 10), title="Coordinates: $w-\\log w$, $\\eta=1$", xlabel="number of the step (steps)"
    )
    axes.set(ylabel="distance $|w-1|$ (units of $w$)")
    artists.legend(axes, [look for look, _, _ in rows], loc="lower left")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure; nothing in it is random."""
    rates = np.linspace(0.25, 10.75, 8 if quick else 22)
    measured, rows = {k: ratios(k, rates) for k in HALF_DEGREES}, coordinates()
    with style():
        figure = Figure(figsize=(9.6, 4.6))
        left, right = figure.subplots(1, 2)
        draw_ratios(left, rates, measured)
        draw_coordinates(right, rows)
    return Picture(
        "newton", "Newton's method: degenerate minima and coordinates", caption(rates, measured, rows),
        ("MCA-23", "MCA-24"), figure,
    )  # fmt: skip


def caption(rates: np.ndarray, measured: dict[int, np.ndarray], rows: list[tuple[Look, np.ndarray, np.ndarray]]) -> str:
    """Say what is drawn, with the numbers of the run."""
    worst = max(np.max(np.abs(measured[k] - np.abs(RATIO(rates, 2 * k)))) for k in HALF_DEGREES)
    (_, _, plain), (_, _, affine), (_, _, curved) = rows
    return (
        f"Left: factor of a Newton step on w², w⁴ and w⁶; lines are |1 − η/(2k − 1)|, markers the mean factor of three "
        f"steps of `newton` (largest difference {worst:.0e}). The lectures call η in (0, 1) safer: on w⁴ and w⁶ that "
        f"keeps at least {RATIO(1, 4):.2f} and {RATIO(1, 6):.2f} of w a step, η = 3 and 5 nothing. Right: from w = "
        f"{START:g} the distances in w and in an affine coordinate differ by at most "
        f"{np.max(np.abs(plain - affine)):.0e}; with w = eᵘ the first step ends at distance {curved[1]:.3f} instead of "
        f"{plain[1]:.3f}. All converge quadratically; in eᵘ step 5 is exact and not drawn. "
        f"Lines iterate the symbolic step, that of the affine coordinate being the step in w. Nothing is random."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "newton.png")
