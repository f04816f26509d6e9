"""The ends of the Hessian's spectrum over a plane, |λmin/λmax|, beside what iterating on a shifted Hessian returns.

Two parameters, so that the plane is all there is: a tanh unit fitted to data. Where both eigenvalues have one sign, the
shift by 0.51 of the first finds it again. Beside it the map of a network, where a picture hides all but two directions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sympy as sp
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, save, style
from sgdtheory.theory.slices.shifted_iteration import found_by_shift

LEVELS = np.arange(-3, 3.01, 0.5)
"""Of log₁₀ of the ratio."""
CENTRE, EXTENT = (0.0, 0.0), 3.0


def unit_problem(rng: int) -> sgd.Problem:
    """Return the half squared error of a·tanh(bx) on 40 examples of a = 1, b = 1.5."""
    random = np.random.default_rng(rng)
    x = random.normal(size=40)
    y = np.tanh(1.5 * x) + 0.1 * random.normal(size=40)
    return sgd.Problem("(y - a*tanh(b*x))**2/2", ["a", "b"], sgd.Dataset(x=x, y=y))


def published(smallest: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Return |λmin/λmax| as the published code does: the eigenvalue of largest size, then that of H − 0.51λ."""
    down = np.abs(smallest) > np.abs(largest)
    first, other = np.where(down, smallest, largest), np.where(down, largest, smallest)
    found = sp.lambdify((symbols.end_largest, symbols.end_other), found_by_shift())(first, other)
    swapped = (first <= 0) & (found > 0)  # it calls the positive one the largest
    return np.abs(np.where(swapped, first / found, found / first))


def network_map(steps: int, points: int, rng: int) -> tuple[xr.Dataset, int, int]:
    """Train a small network and map its plane; return the map, its parameters and the runs that diverged."""
    network = sgd.mlp(*sgd.spirals(96, rng=rng), [8, 8])
    run = sgd.train(network, sgd.Momentum(lr=0.05, momentum=0.9), steps=steps, batch_size=32, record=steps, rng=rng)
    w = run.w.values[0, -1]
    shown = sgd.curvature_map(network, w, *sgd.random_directions(network, w, rng=rng), points=points)
    return shown, network.dimension, run.attrs["diverged"]


def draw_ratio(axes: Axes, shown: xr.Dataset, ratio: np.ndarray) -> ScalarMappable:
    """Draw a map of log₁₀|λmin/λmax|, and where the smallest eigenvalue changes its sign."""
    height = np.log10(np.clip(ratio.T, 10 ** LEVELS[0], 10 ** LEVELS[-1]))
    drawn = axes.contourf(shown.alpha, shown.beta, height, LEVELS, cmap="PuOr")
    if shown.smallest.max() > 0:
        axes.contour(shown.alpha, shown.beta, shown.smallest.values.T, [0], colors=BLACK, linewidths=1.3)
    axes.grid(visible=False)
    return drawn


def draw_loss(axes: Axes, plane: xr.Dataset) -> None:
    """Draw the loss of the unit."""
    axes.contour(plane.alpha, plane.beta, np.log10(plane.loss.values.T), 14, cmap="cividis", linewidths=1.2)
    axes.grid(visible=False)


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    points = 25 if quick else 81
    loss = sgd.numeric_loss(unit_problem(rng))
    axis_a, axis_b = np.eye(2)
    plane = sgd.slice_2d(loss, CENTRE, axis_a, axis_b, points=points, extent=EXTENT)
    exact = sgd.curvature_map(loss, CENTRE, axis_a, axis_b, points=points, extent=EXTENT)
    by_shift = published(exact.smallest.values, exact.largest.values)
    network, parameters, diverged = network_map(200 if quick else 2000, 7 if quick else 21, rng)
    with style():
        figure = Figure(figsize=(12.4, 3.7))
        axes = figure.subplots(1, 4)
        draw_loss(axes[0], plane)
        draw_ratio(axes[1], exact, exact.ratio.values)
        draw_ratio(axes[2], exact, by_shift)
        drawn = draw_ratio(axes[3], network, network.ratio.values)
        titles = (
            "a  Loss of $a\\,\\tanh(bx)$",
            "b  The Hessian's ends",
            "c  By the shift",
            f"d  {parameters} parameters",
        )
        for ax, title in zip(axes, titles, strict=True):
            ax.set(title=title, xlabel="$a$ (units of $y$)", ylabel="$b$ (per unit of $x$)")
        axes[3].set(xlabel="$\\alpha$ (multiples of $d$)", ylabel="$\\beta$ (multiples of $e$)")
        figure.colorbar(drawn, ax=axes[3]).set_label("$\\log_{10}|\\lambda_{\\min}/\\lambda_{\\max}|$ (dimensionless)")
    wrong = [~np.isclose(published(m.smallest.values, m.largest.values), m.ratio.values) for m in (exact, network)]
    text = caption(exact, network, [float(w.mean()) for w in wrong], diverged, rng)
    return Picture("curvature_map", "The ends of the Hessian's spectrum over a plane", text, ("VIS-14",), figure)


def caption(exact: xr.Dataset, network: xr.Dataset, wrong: list[float], diverged: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    definite = float(((exact.smallest > 0) | (exact.largest < 0)).mean())
    saddle = float((network.smallest < 0).mean())
    return (
        "Colours: |λmin/λmax| of the whole Hessian; lines: λmin = 0. Of the plane of a tanh unit with two parameters, "
        f"which is all there is, {definite:.0%} has both eigenvalues of one sign, and in {wrong[0]:.0%} the published "
        "way, the eigenvalue of largest size and then that of H − 0.51λ, returns the first again: ratio 1 around the "
        f"minima. On the plane of a trained network, filter-normalised (cosine {network.attrs['cosine']:+.2f}; "
        f"{network.attrs['not_finite']} cells not finite; seed {rng}; {diverged} of 1 runs diverged), λmin is negative "
        f"in {saddle:.0%} of the cells and the shift wrong in {wrong[1]:.0%}: where a bulk of small eigenvalues "
        "straddles 0, as in networks, the error does not show."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "curvature_map.png")
