"""Depth with and without skip connections: planes through what training found, normalised alike.

A network of two hidden layers needs no skips. One of sixteen trains badly without them. What its plane shows is drawn
on one scale with what the Hessian says of the directions the plane does not hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, save, style

WIDTH, DEPTHS, DEEP, COARSE = 8, (2, 16), 16, 15
LEVELS = np.arange(-5, 2.01, 0.5)
"""Of log₁₀ of the loss."""


class Case(NamedTuple):
    """A network trained several times: the plane of the run of median loss, what it hides, and the shares of all.

    Parameters
    ----------
    plane : Dataset
    ends : Ends
        Of the whole Hessian at the plane's centre.
    losses, errors : ndarray, shape (runs,)
        That run first.
    down : ndarray, shape (runs,)
        Part of the cells of a coarse plane that bend down in it.
    parameters, diverged : int
    """

    plane: xr.Dataset
    ends: sgd.Ends
    losses: np.ndarray
    errors: np.ndarray
    down: np.ndarray
    parameters: int
    diverged: int


def run(depth: int, skip: bool, steps: int, runs: int, points: int, rng: int) -> Case:
    """Train tanh units on spirals and look at planes of two filter-normalised directions through the ends."""
    network = sgd.mlp(*sgd.spirals(96, rng=rng), [WIDTH] * depth, skip=skip)
    test, momentum = network.on(*sgd.spirals(1000, rng=rng + 1)), sgd.Momentum(lr=0.02, momentum=0.9)
    made = sgd.train(network, momentum, steps=steps, batch_size=32, replicas=runs, record=steps, rng=rng)
    ends = made.w.values[:, -1]
    middle = np.argsort(network.value(ends))[runs // 2]
    ends[[0, middle]] = ends[[middle, 0]]
    planes = [sgd.random_directions(network, w, rng=rng) for w in ends]
    coarse = [sgd.slice_2d(network, w, *d, points=COARSE) for w, d in zip(ends, planes, strict=True)]
    return Case(
        sgd.slice_2d(network, ends[0], *planes[0], points=points),
        sgd.extreme_eigenvalues(network, ends[0], tolerance=1e-4),
        network.value(ends),
        1 - test.accuracy(ends),
        np.array([sgd.slice_curvature(plane).attrs["negative_share"] for plane in coarse]),
        network.dimension,
        made.attrs["diverged"],
    )


def draw(axes: Axes, case: Case, name: str) -> ScalarMappable:
    """Draw the contours of the loss on the plane."""
    height = np.log10(np.clip(case.plane.loss.values.T, 10 ** LEVELS[0], 10 ** LEVELS[-1]))
    shown = axes.contourf(case.plane.alpha, case.plane.beta, height, LEVELS, cmap="cividis")
    axes.contour(
        case.plane.alpha, case.plane.beta, height, LEVELS[::2], colors=BLACK, linewidths=0.4, linestyles="solid"
    )
    axes.plot(0, 0, marker="+", color="white", markersize=10, markeredgewidth=2)
    text = (
        f"{name}\nloss {case.losses[0]:.2g}, test error {case.errors[0]:.1%}\n"
        f"whole Hessian: $\\lambda$ from {case.ends.smallest:.2g} to {case.ends.largest:.2g}"
    )
    axes.set_title(text.replace("-", "\N{MINUS SIGN}"), fontsize=10)
    axes.grid(visible=False)
    axes.set(xlabel="$\\alpha$ (multiples of $d$)", ylabel="$\\beta$ (multiples of $e$)", aspect="equal")
    return shown


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    steps, runs, points = (80, 2, 13) if quick else (1500, 5, 51)
    cases = {(d, skip): run(d, skip, steps, runs, points, rng) for d in DEPTHS for skip in (False, True)}
    with style():
        figure = Figure(figsize=(8.0, 7.4))
        axes = figure.subplots(2, 2, sharex=True, sharey=True)
        for ax, ((depth, skip), case) in zip(axes.flat, cases.items(), strict=True):
            shown = draw(ax, case, f"{depth} layers, {'skips' if skip else 'no skips'}")
        bar = figure.colorbar(shown, ax=axes, shrink=0.7)
        bar.set_label("$\\log_{10}$ loss (nats)")
    title = "Depth with and without skip connections"
    return Picture("slices_skips", title, caption(cases, steps, rng), ("VIS-02",), figure)


def caption(cases: dict[tuple[int, bool], Case], steps: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    deep, runs = cases[DEEP, True], len(cases[DEEP, True].losses)
    lost = sum(case.diverged for case in cases.values())
    loss = {key: f"{np.median(case.losses):.1e}" for key, case in cases.items()}
    down = {key: f"{case.down.mean():.0%}" for key, case in cases.items()}
    return (
        f"Networks of {WIDTH} tanh units a layer on spirals, {steps} steps of momentum; the run of median loss on the "
        "plane of two Gaussian directions, filter-normalised, biases held (cosine "
        f"{deep.plane.attrs['cosine']:+.2f} in the deepest of {deep.parameters} parameters), beside the ends of the "
        f"whole Hessian at the cross (seed {rng}; {lost} of {runs * len(cases)} runs diverged). "
        f"Of {runs} runs each the median loss is, with {DEEP} layers, "
        f"{loss[DEEP, False]} without skips and {loss[DEEP, True]} with them, with 2 layers {loss[2, False]} and "
        f"{loss[2, True]}; the part of such planes that bends down is {down[DEEP, False]} and {down[DEEP, True]}, "
        f"{down[2, False]} and {down[2, True]} with 2 layers. Depth roughens the surroundings here; that skips smooth "
        "them, these planes do not say."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "slices_skips.png")
