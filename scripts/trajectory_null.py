"""Explained variance of trajectories beside what a random walk and a settled chain explain, and both on their planes.

Lines are the exact shares of a walk and of a settled chain in many dimensions; markers are SGD on a quadratic whose
coordinates are independent runs, and a simulated walk.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.derive.moments import stationary_variance
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, RED, save, style
from sgdtheory.theory.slices.random_walk import component_in_time
from sgdtheory.theory.slices.stationary_chain import correlation

LR, CURVATURE = 0.02, 1.0
POINTS = 200  # of a trajectory
LENGTHS = (5, 20, 50, 100, 200, 400)
COMPONENTS = 8
WALK = Look("random walk", BLUE, "o", "-")
CHAIN = Look("settled SGD", RED, "s", "--")
DESCENT = Look("SGD from far away", GREEN, "^", "")
CENTRED = Look("settled SGD, centred", RED, "s", "--")
PINNED = Look("settled SGD, about its last point", GREEN, "D", "-.")
WALK_CENTRED = Look("random walk, centred", BLUE, "", "-")
WALK_PINNED = Look("random walk, about its last point", BLACK, "", ":")
COSINES = Look("exact cosines", BLACK, "", "-")


def ρ(stride: int = 1) -> float:
    """Return the correlation of points so many steps apart."""
    return float(correlation().subs({symbols.lr: LR, symbols.curvature: CURVATURE})) ** stride


def walk(points: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random walk, shape (points, dimension)."""
    return rng.standard_normal((points, dimension)).cumsum(axis=0)


def sgd_path(
    points: int, dimension: int, start: sgd.Normal | float, rng: np.random.SeedSequence
) -> tuple[np.ndarray, int]:
    """Run SGD on an isotropic quadratic, one replica a coordinate; return its points and how many runs diverged."""
    run = sgd.simulate(
        sgd.quadratic(CURVATURE, 1), sgd.SGD(lr=LR), steps=points - 1, replicas=dimension, init=start, rng=rng
    )  # fmt: skip
    return run.w.values[:, :, 0].T, run.attrs["diverged"]


def settled() -> sgd.Normal:
    """Return the long-run law of a coordinate."""
    variance = stationary_variance(sgd.SGD(lr=LR), 1).subs({symbols.curvature: CURVATURE, symbols.noise_std: 1})
    return sgd.Normal(0, sp.sqrt(variance))


def draw_shares(axes: Axes, paths: dict[str, np.ndarray]) -> None:
    """Draw the shares of the first components."""
    k = np.arange(1, COMPONENTS + 1)
    artists.theory(axes, k, sgd.walk_shares(POINTS)[:COMPONENTS], WALK)
    artists.theory(axes, k, sgd.chain_shares(POINTS, ρ())[:COMPONENTS], CHAIN)
    for look in (WALK, CHAIN, DESCENT):
        plane = sgd.trajectory_plane(paths[look.label], components=COMPONENTS)
        artists.measured(axes, k, plane.shares, look)
    axes.set(
        xscale="log", yscale="log", xlabel="component $k$ (number)", ylabel="explained share (fraction)",
        title=f"a  Shares of {POINTS} points",
    )  # fmt: skip
    axes.set_xticks(k, labels=[str(i) for i in k])
    axes.minorticks_off()
    artists.legend(axes, [WALK, CHAIN, DESCENT], loc="lower left")


def draw_lengths(axes: Axes, path: np.ndarray) -> None:
    """Draw the share of the first two components of settled SGD against the length of the run."""
    points = np.unique(np.geomspace(3, max(LENGTHS), 24).astype(int))
    for look, centred in ((CENTRED, True), (PINNED, False)):
        null = [sgd.chain_shares(int(n), ρ(), centred=centred)[:2].sum() for n in points]
        artists.theory(axes, points, null, look)
        seen = [sgd.trajectory_plane(path[:n], centred=centred).shares.sum() for n in LENGTHS]
        artists.measured(axes, LENGTHS, seen, look)
    for look, centred in ((WALK_CENTRED, True), (WALK_PINNED, False)):
        level = float(sgd.walk_shares(max(LENGTHS), centred=centred)[:2].sum())
        artists.theory(axes, [3, max(LENGTHS)], [level, level], look)
    artists.limit(axes, 1 / (1 - ρ()), "$1/\\eta h$", 0.97, "right")
    axes.set(
        xscale="log", ylim=(0, 1.08), xlabel="points $T$ (steps)", ylabel="share of two components (fraction)",
        title="b  Length of the run",
    )  # fmt: skip
    artists.legend(
        axes,
        [WALK_PINNED, PINNED, WALK_CENTRED, CENTRED],
        loc="lower left",
        frameon=True,
        edgecolor="none",
        framealpha=1,
    )


def draw_plane(axes: Axes, path: np.ndarray, title: str, *, cosines: bool) -> None:
    """Draw a trajectory on its plane, grey the farther off it, and say what its two components explain."""
    plane = sgd.trajectory_plane(path)
    if cosines:
        step, k, points = symbols.step, symbols.component, symbols.trajectory_points
        t = np.linspace(0.5, len(path) + 0.5, 400)
        curve = [sp.lambdify(step, component_in_time().subs({k: i, points: len(path)}))(t) for i in (1, 2)]
        scale = np.sqrt(2 * (plane.coordinates**2).mean(axis=0))
        signs = np.sign(plane.coordinates[0])
        artists.theory(axes, signs[0] * scale[0] * curve[0], signs[1] * scale[1] * curve[1], COSINES)
    shown = axes.scatter(*plane.coordinates.T, c=plane.distances, cmap="cividis", s=9, zorder=3)
    axes.figure.colorbar(shown, ax=axes, label="distance off the plane (units of $w$)")
    for point, name in ((0, "start"), (-1, "end")):
        axes.annotate(
            name, plane.coordinates[point], xytext=(6, 6), textcoords="offset points", fontsize=9.5, color=BLACK
        )
    texts = [f"{s:.0%} (walk {w:.0%})" for s, w in zip(plane.shares, plane.walk_shares, strict=True)]
    axes.set(xlabel=f"component 1: {texts[0]}", ylabel=f"component 2: {texts[1]}", title=title)
    axes.margins(0.12)
    axes.axhline(0, color=GREY, linewidth=0.7)


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    dimension = 1000 if quick else 6000
    seeds = np.random.SeedSequence(rng).spawn(3)
    long, lost = sgd_path(max(LENGTHS), dimension, settled(), seeds[0])
    far, more = sgd_path(POINTS, dimension, 1.0, seeds[1])
    paths = {
        WALK.label: walk(POINTS, dimension, np.random.default_rng(seeds[2])),
        CHAIN.label: long[:POINTS],
        DESCENT.label: far,
    }
    with style():
        figure = Figure(figsize=(9.8, 7.6))
        (shares, lengths), (left, right) = figure.subplots(2, 2)
        draw_shares(shares, paths)
        draw_lengths(lengths, long)
        draw_plane(left, paths[WALK.label], "c  A random walk on its plane", cosines=True)
        draw_plane(right, far, "d  SGD from far away on its plane", cosines=False)
    title = "Explained variance, and what goes nowhere explains"
    words = caption(paths, f"{lost + more} of {2 * dimension:,}", dimension, rng)
    return Picture("trajectory_null", title, words, ("VIS-08", "VIS-09", "VIS-11"), figure)


def caption(paths: dict[str, np.ndarray], diverged: str, dimension: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    two = {label: sgd.trajectory_plane(path).shares.sum() for label, path in paths.items()}
    exact = sgd.chain_shares(POINTS, ρ())[:2].sum()
    return (
        f"Trajectories of {POINTS} points in {dimension:,} dimensions, SGD on an isotropic quadratic with ηh = "
        f"{LR * CURVATURE:g} (seed {rng}; {diverged} runs diverged, one run a coordinate). Two centred components "
        f"explain {two[WALK.label]:.0%} of a random walk, which goes nowhere and draws cosines, and "
        f"{two[CHAIN.label]:.0%} of settled SGD (exact: {exact:.0%}), the less the longer it runs. SGD from far away "
        f"has {two[DESCENT.label]:.0%}: only what exceeds the walk's share speaks of few dimensions, and the distance "
        f"off the plane says what the picture leaves out."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "trajectory_null.png")
