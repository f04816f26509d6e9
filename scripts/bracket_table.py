"""The table of brackets between six training examples of a small network, at checkpoints of its training.

Below the diagonal brackets by two Hessian–vector products each, above it the same pairs by running two steps of SGD in
both orders: the table should be symmetric.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import save, style

EXAMPLES = np.arange(6)
LR, BATCH, HIDDEN, NOISE = 0.5, 10, (8,), 0.1
STEP = 1e-3  # ε of the swapped steps: small enough for ε³, large enough for rounding


class Tables(NamedTuple):
    """Root mean squares over the parameters, (checkpoint, example, example), and the losses."""

    bracket: xr.DataArray
    gap: np.ndarray
    loss: np.ndarray
    diverged: int


def network(rng: np.random.SeedSequence) -> sgd.Network:
    """Return a network with one hidden layer on two spirals."""
    return sgd.mlp(*sgd.spirals(120, noise=NOISE, rng=rng), HIDDEN)


def measure(checkpoints: list[int], rng: int) -> Tables:
    """Train once; at every checkpoint measure all pairs by products and by running both orders."""
    data, training = np.random.SeedSequence(rng).spawn(2)
    net = network(data)
    run = sgd.train(
        net, sgd.SGD(lr=LR), steps=checkpoints[-1], batch_size=BATCH, sampling="reshuffle", record=checkpoints,
        rng=training,
    )  # fmt: skip
    w = run.w[0]
    table = sgd.bracket_matrix(net, w, EXAMPLES)
    first, second = EXAMPLES[:, None, None], EXAMPLES[:, None]
    gap = sgd.swap_gap(net, sgd.SGD(STEP), first, second, w.values[:, None, None, :]).position / STEP**2
    return Tables(table.rms, np.sqrt((gap**2).mean(axis=-1)), run.loss.values[0], run.attrs["diverged"])


def combined(tables: Tables) -> np.ndarray:
    """Return brackets below the diagonal, measured gaps above it, nothing on it."""
    both = np.where(np.tri(len(EXAMPLES), k=-1, dtype=bool), tables.bracket.values, tables.gap)
    both[:, EXAMPLES, EXAMPLES] = np.nan
    return both


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    checkpoints = [0, 100, 300] if quick else [0, 100, 300, 1_000]
    tables = measure(checkpoints, rng)
    values = combined(tables)
    with style():
        figure = Figure(figsize=(3.1 * len(checkpoints) + 0.7, 4.2))
        axes = figure.subplots(1, len(checkpoints), sharey=True)
        scale = LogNorm(np.nanmin(values), np.nanmax(values))
        for side, table, step, loss in zip(axes, values, checkpoints, tables.loss, strict=True):
            image = side.imshow(table, norm=scale, cmap="cividis")
            for (i, j), value in np.ndenumerate(table):
                if i != j:
                    dark = scale(value) < 0.6
                    text = f"{value:.1g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")
                    side.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
            side.plot([-0.5, 5.5], [-0.5, 5.5], color="black", linewidth=1.2)
            side.set(xticks=EXAMPLES, yticks=EXAMPLES, xlabel="example (number)")
            side.set_title(f"step {step:,}\nmean loss {loss:.2g}")
            side.grid(visible=False)
        axes[0].set_ylabel("example (number)")
        words = "below the diagonal: bracket by Hessian–vector products     above: both orders run, gap ÷ $\\epsilon^2$"
        figure.suptitle(words, x=0.01, ha="left", fontsize=11)
        figure.colorbar(image, ax=list(axes), label="RMS over the parameters (units of $L^2/\\theta^3$)", shrink=0.9)
    title = "Brackets between six training examples, at checkpoints"
    return Picture("bracket_table", title, caption(tables, checkpoints, rng), ("LIE-01", "LIE-02"), figure)


def caption(tables: Tables, checkpoints: list[int], rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    low, high = np.tril_indices(len(EXAMPLES), k=-1)
    brackets, gaps = tables.bracket.values[:, low, high], tables.gap[:, low, high]
    off = np.abs(gaps / brackets - 1)
    medians = ", ".join(f"{m:.2g}" for m in np.median(brackets, axis=1))
    return (
        f"Network of {HIDDEN[0]} tanh units on 120 points of two spirals, trained by SGD (lr {LR:g}, batches of "
        f"{BATCH}, reshuffled; seed {rng}; {tables.diverged} of 1 runs diverged): below the diagonal H_j g_i − H_i g_j "
        f"by two Hessian–vector products, above it two steps of size {STEP:g} run in both orders, their gap over ε². "
        f"The two differ by {np.median(off):.0e} (median) and at most {off.max():.0e} of the value, so that the "
        f"table is symmetric; the median bracket at the checkpoints is {medians}."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "bracket_table.png")
