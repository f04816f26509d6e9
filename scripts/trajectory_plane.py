"""A network's training on the plane of its principal components, with what the plane leaves out, beside a walk's.

Contours are the loss on the plane, which the network never visits: beside them stands the loss where it was. A random
walk of as many points has such a picture too.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.measure.principal import TrajectoryPlane
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, RED, save, style

COMPONENTS, FLIPS = 6, 200
TRUE = Look("true", BLACK, "", "-")
ON_PLANE = Look("on the plane", RED, "", "--")
RUN = Look("training", RED, "s", "none")
WALK = Look("random walk, exact", BLUE, "", "-")
FLIPPED = Look("its own steps, signs by chance", GREEN, "^", "none")


class Followed(NamedTuple):
    """A trajectory, its plane, and the loss there and on the plane.

    Parameters
    ----------
    steps : ndarray, shape (T,)
    path : ndarray, shape (T, d)
    plane : TrajectoryPlane
    true, on_plane : ndarray, shape (T,)
    map : Dataset
        The loss on the plane around the trajectory.
    """

    steps: np.ndarray
    path: np.ndarray
    plane: TrajectoryPlane
    true: np.ndarray
    on_plane: np.ndarray
    map: xr.Dataset


def follow(network: sgd.Network, steps: np.ndarray, path: np.ndarray, points: int) -> Followed:
    """Project a trajectory and evaluate the loss on its plane."""
    plane = sgd.trajectory_plane(path)
    axes = [sgd.Direction(row, f"principal component {k}") for k, row in enumerate(plane.components, 1)]
    low, high = plane.coordinates.min(axis=0), plane.coordinates.max(axis=0)
    edges = zip(low, high, 0.2 * (high - low), strict=True)
    grids = tuple(np.union1d(np.linspace(a - edge, b + edge, points), 0) for a, b, edge in edges)
    shown = sgd.slice_2d(network, plane.origin, *axes, points=grids)
    return Followed(steps, path, plane, network.value(path), network.value(plane.at(plane.coordinates)), shown)


def walk_like(path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random walk from the start of a trajectory, of as many steps of the same mean square."""
    moves = np.diff(path, axis=0)
    spread = np.sqrt((moves**2).sum(axis=1).mean() / path.shape[1])
    return np.vstack([path[:1], path[0] + (spread * rng.standard_normal(moves.shape)).cumsum(axis=0)])


def draw_plane(axes: Axes, seen: Followed, title: str) -> None:
    """Draw the loss on the plane, and the trajectory's shadow on it."""
    height = np.log10(seen.map.loss.values.T)
    axes.contour(seen.map.alpha, seen.map.beta, height, 8, cmap="cividis", linewidths=1)
    x, y = seen.plane.coordinates.T
    axes.plot(x, y, color=RED, linewidth=1.2, marker="o", markersize=2.5)
    for point, name in ((0, "start"), (-1, "end")):
        axes.annotate(name, (x[point], y[point]), xytext=(6, 6), textcoords="offset points", fontsize=9.5)
    texts = [f"{s:.0%}, walk {w:.0%}" for s, w in zip(seen.plane.shares, seen.plane.walk_shares, strict=True)]
    axes.grid(visible=False)
    axes.set(title=title, xlabel=f"component 1 ({texts[0]})", ylabel=f"component 2 ({texts[1]})")


def draw_losses(axes: Axes, seen: Followed) -> None:
    """Draw the loss of the points and of their shadows, and how far apart they are."""
    artists.theory(axes, seen.steps, seen.true, TRUE)
    artists.theory(axes, seen.steps, seen.on_plane, ON_PLANE)
    axes.set(title="c  Loss of the points and of their shadows", xlabel="step (number)", ylabel="loss (nats)")
    axes.set(yscale="log")
    beside = axes.twinx()
    beside.fill_between(seen.steps, seen.plane.distances, color=GREY, alpha=0.25, linewidth=0)
    beside.grid(visible=False)
    beside.set(ylabel="distance off the plane (units of $w$)", ylim=(0, 2.5 * seen.plane.distances.max()))
    axes.set_zorder(beside.get_zorder() + 1)
    axes.patch.set_visible(False)
    artists.legend(axes, [TRUE, ON_PLANE], loc="upper right")


def draw_shares(axes: Axes, seen: Followed, rng: np.random.SeedSequence) -> np.ndarray:
    """Draw explained shares beside both nulls; return the draws of the second."""
    k = np.arange(1, COMPONENTS + 1)
    flips = sgd.sign_flip_shares(seen.path, draws=FLIPS, rng=rng)[:, :COMPONENTS]
    low, middle, high = np.percentile(flips, [2.5, 50, 97.5], axis=0)
    artists.theory(axes, k, sgd.walk_shares(len(seen.path))[:COMPONENTS], WALK)
    artists.measured(axes, k, middle, FLIPPED, [middle - low, high - middle])
    artists.measured(axes, k, sgd.trajectory_plane(seen.path, components=COMPONENTS).shares, RUN)
    axes.set(title="d  Shares beside what goes nowhere", yscale="log")
    axes.set(xlabel="component (number)", ylabel="explained share (fraction)")
    artists.legend(axes, [RUN, WALK, FLIPPED], loc="lower left")
    return flips


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    steps, points = (300, 15) if quick else (3000, 61)
    seeds = np.random.SeedSequence(rng).spawn(2)
    network = sgd.mlp(*sgd.spirals(96, rng=rng), [16, 16])
    run = sgd.train(network, sgd.SGD(lr=0.2), steps=steps, batch_size=8, record=steps // 100, rng=rng)
    path, at = run.w.values[0], run.step.values
    trained = follow(network, at, path, points)
    walked = follow(network, at, walk_like(path, np.random.default_rng(seeds[0])), points)
    with style():
        figure = Figure(figsize=(8.6, 6.4))
        axes = figure.subplots(2, 2)
        draw_plane(axes[0, 0], trained, "a  Training on its plane")
        draw_plane(axes[0, 1], walked, "b  A random walk on its plane")
        draw_losses(axes[1, 0], trained)
        flips = draw_shares(axes[1, 1], trained, seeds[1])
    text = caption(trained, walked, flips, f"{run.attrs['diverged']} of 1 runs diverged", rng)
    title = "A trajectory on its plane, and what the plane leaves out"
    return Picture("trajectory_plane", title, text, ("VIS-08",), figure)


def caption(trained: Followed, walked: Followed, flips: np.ndarray, diverged: str, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    planes = (trained.plane.shares, walked.plane.shares, walked.plane.walk_shares)
    two, walk, exact = (float(shares[:2].sum()) for shares in planes)
    low, high = np.percentile(flips[:, :2].sum(axis=1), [2.5, 97.5])
    far, length = trained.plane.distances.max(), np.linalg.norm(np.ptp(trained.plane.coordinates, axis=0))
    off = np.abs(np.log(trained.on_plane / trained.true))
    return (
        f"SGD on a tanh network with {trained.path.shape[1]} parameters, {len(trained.path)} points, centred "
        f"components; contours: the loss on the plane (seed {rng}; {diverged}). Two components explain {two:.0%}; of "
        f"the random walk beside it they explain {walk:.0%} (in many dimensions {exact:.0%}), of walks of the same "
        f"steps with signs by chance {low:.0%} to {high:.0%} (95 % of {FLIPS}). The points lie up to {far:.2g} off the "
        f"plane, on which they extend over {length:.2g}; the loss of their shadows differs by a factor of up to "
        f"{np.exp(off.max()):.2g}, at step {trained.steps[off.argmax()]:,}, and of {np.exp(off[-1]):.2g} at the end."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "trajectory_plane.png")
