"""Batch size and weight decay: raw and filter-normalised slices of networks trained four ways, and what they foretell.

Without decay the small batch ends where raw slices are wide, with decay where they are not, though the test says
otherwise. Filter normalisation takes the size of the weights out of the slices; whether sharpness then goes with test
error is looked at on two data sets, run by run.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from scipy.stats import spearmanr

import sgdtheory as sgd
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLUE, GREEN, ORANGE, RED, save, style

SMALL, TEST = 8, 2000
CELLS = {
    ("small", False): Look("batch 8", BLUE, "o", "-"),
    ("small", True): Look("batch 8, decay", GREEN, "^", "--"),
    ("all", False): Look("full batch", RED, "s", "-."),
    ("all", True): Look("full batch, decay", ORANGE, "D", ":"),
}
KINDS = {"none": "raw", "filter": "filter-norm."}


class Task(NamedTuple):
    """Data, and how to train on them."""

    name: str
    network: sgd.Network
    test: sgd.Network
    lr: float
    decay: float
    epochs: int


class Trained(NamedTuple):
    """Runs of one cell of the table: parameters (runs, d), and what is measured of each, kind → (runs,)."""

    w: np.ndarray
    error: np.ndarray
    sharpness: dict[str, np.ndarray]
    diverged: int


def tasks(quick: bool, rng: int) -> list[Task]:
    """Return two spirals without errors in the labels, and three overlapping clouds with a tenth of them wrong."""
    random = np.random.default_rng(rng)
    spirals, clean = (sgd.spirals(n, noise=0.1, rng=random) for n in (64, TEST))
    x, y = sgd.blobs(128 + TEST, 6, 3, spread=1.0, rng=random)
    noisy = np.where(random.random(128) < 0.1, random.integers(3, size=128), y[:128])
    found = []
    for name, train, test, lr, decay, epochs in (
        ("spirals", spirals, clean, 0.2, 3e-3, 400),
        ("clouds, wrong labels", (x[:128], noisy), (x[128:], y[128:]), 0.1, 5e-3, 200),
    ):
        network = sgd.mlp(*train, [16, 16], activation="relu")
        found.append(Task(name, network, network.on(*test), lr, decay, epochs // 8 if quick else epochs))
    return found


def train(task: Task, batch: str, decay: bool, runs: int, rng: int) -> Trained:
    """Train the runs of one cell, for as many epochs as the others, and measure them."""
    n, optimizer = task.network.examples, sgd.SGD(lr=task.lr)
    steps, size = (task.epochs * n // SMALL, SMALL) if batch == "small" else (task.epochs, None)
    if decay:
        optimizer = sgd.with_weight_decay(optimizer, task.decay)
    run = sgd.train(
        task.network, optimizer, steps=steps, batch_size=size, sampling="reshuffle" if size else "with replacement",
        replicas=runs, record=steps, rng=rng,
    )  # fmt: skip
    w = run.w.values[:, -1]
    sharpness = {kind: np.array([sharp(task.network, point, kind, rng) for point in w]) for kind in KINDS}
    return Trained(w, 1 - task.test.accuracy(w), sharpness, run.attrs["diverged"])


def sharp(network: sgd.Network, w: np.ndarray, normalise: str, rng: int) -> float:
    """Return the mean curvature of random slices, biases held."""
    return sgd.random_curvatures(network, w, 64, normalise=normalise, vectors="zero", rng=rng).mean


def draw_slices(axes: Axes, network: sgd.Network, cells: dict, kind: str, rng: int) -> None:
    """Draw how the loss rises away from the ends of every cell's runs, in the mean over runs and directions."""
    for cell, look in CELLS.items():
        lines = [
            sgd.slice_1d(network, w, along, points=41, extent=0.5).loss
            for w in cells[cell].w
            for along in sgd.random_directions(network, w, 4, normalise=kind, rng=rng)
        ]
        rises = [line - line.sel(alpha=0) for line in lines]
        artists.theory(axes, lines[0].alpha, np.mean(rises, axis=0), look)
    axes.set(xlabel="$\\alpha$ (multiples of $d$)", ylabel="mean $L-L_0$ (nats)", title=f"Slices, {KINDS[kind]}")


def draw_errors(axes: Axes, cells: dict, kind: str) -> float:
    """Draw test error against sharpness, a marker a run; return the rank correlation."""
    for cell, look in CELLS.items():
        artists.measured(axes, cells[cell].sharpness[kind], 100 * cells[cell].error, look)
    x, y = (np.concatenate(v) for v in ([c.sharpness[kind] for c in cells.values()], [c.error for c in cells.values()]))
    correlation = float(spearmanr(x, y).statistic)
    axes.set(
        xlabel=f"sharpness, {KINDS[kind]} (nats)", ylabel="test error (%)", xscale="log",
        title=f"Rank correlation {correlation:+.2f}".replace("-", "\N{MINUS SIGN}"),
    )  # fmt: skip
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    return correlation


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    runs, both = 2 if quick else 6, tasks(quick, rng)
    tables = [{cell: train(task, *cell, runs, rng) for cell in CELLS} for task in both]
    with style():
        figure = Figure(figsize=(11.8, 5.8))
        axes = figure.subplots(2, 4)
        found = {}
        for row, task, cells in zip(axes, both, tables, strict=True):
            for k, kind in enumerate(KINDS):
                draw_slices(row[k], task.network, cells, kind, rng)
                found[task.name, kind] = draw_errors(row[k + 2], cells, kind)
            row[0].set_title(f"{task.name}: slices, {KINDS['none']}")
        artists.legend(axes[0, 0], list(CELLS.values()), loc="upper center")
    title = "Sharpness, raw and filter-normalised, against what it is said to foretell"
    return Picture("slices_batch_decay", title, caption(both, tables, found, runs, rng), ("VIS-02", "VIS-07"), figure)


def caption(both: list[Task], tables: list[dict], found: dict, runs: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the runs."""
    length = {cell: np.linalg.norm(tables[0][cell].w, axis=1).mean() for cell in CELLS}
    lost, total = sum(c.diverged for cells in tables for c in cells.values()), runs * len(CELLS) * len(both)
    near = 1 / np.sqrt(runs * len(CELLS) - 1)
    numbers = [f"{found[task.name, kind]:+.2f}".replace("-", "−") for task in both for kind in KINDS]
    flat, full = (tables[0][cell].sharpness["filter"].mean() for cell in (("small", False), ("all", False)))
    return (
        f"ReLU networks ({both[0].network.dimension} and {both[1].network.dimension} parameters) trained with batches "
        f"of {SMALL} or all examples, with and without weight decay, at one learning rate for equal epochs; slices are "
        f"means over {runs} runs and 4 directions, sharpness is the mean of dᵀHd over 64, biases held (seed {rng}; "
        f"{lost} of {total} runs diverged). On the spirals the weights end with |w| = {length['small', False]:.1f} "
        f"(small batch), {length['small', True]:.1f} (with decay), {length['all', False]:.1f} and "
        f"{length['all', True]:.1f} (full batch); the normalised sharpness of the small batch without decay is "
        f"{flat:.2f}, that of the full batch {full:.2f}. The rank correlation of sharpness, raw and normalised, with "
        f"test error is {numbers[0]} and {numbers[1]} on the spirals, {numbers[2]} and {numbers[3]} on the clouds "
        f"(standard error {near:.2f} if there is none): that normalised sharpness can be compared between rescaled "
        "networks does not make it a measure of generalisation."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "slices_batch_decay.png")
