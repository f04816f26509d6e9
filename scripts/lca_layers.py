"""Where a network learns: allocation of every neuron over training, and the share of parameters that help."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.networks.network import Network
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, ORANGE, RED, save, style

BATCH_SIZE, LR, MOMENTUM = 12, 0.03, 0.9
BLOCKS = 30  # columns of the map
LOOKS = {
    "1": Look("layer 1", BLUE, "o", "-"),
    "2": Look("layer 2", RED, "s", "--"),
    "3": Look("layer 3", GREEN, "^", "-."),
    "4": Look("layer 4, outputs", ORANGE, "D", ":"),
}


@cache
def network() -> Network:
    """Return the network, three classes on spirals."""
    return sgd.mlp(*sgd.spirals(90, 3, rng=0), (12, 12, 12))


def measure(steps: int, rng: int) -> xr.Dataset:
    """Train by heavy ball and allocate to neurons."""
    made = sgd.training_steps(
        network(), sgd.Momentum(lr=LR, momentum=MOMENTUM), steps=steps, batch_size=BATCH_SIZE, rng=rng
    )
    return sgd.lca(made, network(), sgd.Adaptive(), by="neuron").isel(replica=0)


def by_layer(values: xr.DataArray) -> xr.DataArray:
    """Sum over the neurons of each layer."""
    names = [str(name).partition(":")[0] for name in values.neuron.values]
    return values.assign_coords(layer=("neuron", names)).groupby("layer").sum()


def in_blocks(values: xr.DataArray) -> xr.DataArray:
    """Add up the steps of each column of the map, whose place is the middle of its steps."""
    return values.coarsen(step=values.sizes["step"] // BLOCKS, boundary="trim").sum()


def draw_map(figure: Figure, axes: Axes, table: xr.Dataset) -> None:
    """Draw the allocation of every neuron, blue where it helps, red where it hurts."""
    parts = in_blocks(table.allocation)
    largest = float(np.abs(parts).max())
    norm = SymLogNorm(largest / 300, vmin=-largest, vmax=largest)
    rows = np.arange(parts.sizes["neuron"] + 1)
    width = table.sizes["step"] // BLOCKS
    edges = np.arange(parts.sizes["step"] + 1) * width
    mesh = axes.pcolormesh(edges, rows, parts.transpose("neuron", "step"), cmap="RdBu_r", norm=norm, rasterized=True)
    bar = figure.colorbar(mesh, ax=axes, pad=0.01)
    bar.set_label(f"helps $\\leftarrow$ $A$ in {width} steps $\\rightarrow$ hurts\n(nats)")
    sizes = by_layer(xr.ones_like(table["size"], dtype=int))
    ends = np.cumsum(sizes.values)
    for end in ends[:-1]:
        axes.axhline(end, color=BLACK, linewidth=1.2)
    axes.set_yticks(ends - sizes.values / 2, [f"layer {name}" for name in sizes.layer.values])
    axes.grid(visible=False)
    axes.invert_yaxis()
    axes.set(ylabel="neuron (one a row)", title="a  Allocation of every neuron")


def draw_totals(axes: Axes, table: xr.Dataset) -> None:
    """Draw the running total of every layer."""
    total = by_layer(table.allocation).cumsum("step")
    for name, look in LOOKS.items():
        axes.plot(table.step, total.sel(layer=name), color=look.color, linestyle=look.line)
    axes.axhline(0, color=BLACK, linewidth=0.9)
    axes.set(ylabel="layer's $A$ so far\n(nats)", title="b  What a layer has learnt")


def draw_helping(axes: Axes, table: xr.Dataset) -> None:
    """Draw the share of a layer's parameters that help."""
    helped, hurt = (in_blocks(by_layer(table[name])) for name in ("helped", "hurt"))
    share = helped / (helped + hurt)
    for name, look in LOOKS.items():
        values = share.sel(layer=name)
        axes.plot(values.step, values, look.marker, color=look.color, linestyle=look.line, linewidth=1,
                  markersize=4, markerfacecolor="white")  # fmt: skip
    axes.axhline(0.5, color=BLACK, linestyle=":", linewidth=1.2)
    axes.set(
        xlabel="step (number)", ylabel="parameters that help\n(share)", title="c  Who helps", xlim=(0, table.step[-1])
    )
    artists.legend(axes, list(LOOKS.values()), loc="upper right", ncols=4)


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    table = measure(120 if quick else 600, rng)
    with style():
        figure = Figure(figsize=(9.6, 8))
        axes = figure.subplots(3, 1, sharex=True, height_ratios=(5, 3, 3))
        draw_map(figure, axes[0], table)
        draw_totals(axes[1], table)
        draw_helping(axes[2], table)
    title = "Where a network learns: neurons and layers"
    return Picture("lca_layers", title, caption(table, rng), ("LCA-01",), figure)


def caption(table: xr.Dataset, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    totals = by_layer(table.allocation.sum("step"))
    told = ", ".join(f"{name} {float(totals.sel(layer=name)):+.2f}" for name in LOOKS)
    neurons = table.allocation.sum("step")
    steps_helped = table.steps_helped / (table.steps_helped + table.steps_hurt)
    residual = float(np.abs(table.residual).max())
    return (
        f"A tanh network of {network().dimension} parameters, heavy ball (η = {LR:g}, μ = {MOMENTUM:g}, B = "
        f"{BATCH_SIZE}; seed {rng}; {int(table.diverged_at >= 0)} of 1 runs diverged; largest residual of a step "
        f"{residual:.0e}). Over {table.sizes['step']} steps the loss falls from {float(table.loss_before[0]):.2f} to "
        f"{float(table.loss_after[-1]):.2f} nats, of which the layers hold {told}; {int((neurons > 0).sum())} of "
        f"{neurons.size} neurons hurt in total. A parameter helps in {float(steps_helped.mean()):.1%} of the steps "
        f"(standard deviation {float(steps_helped.std()):.1%}), and {int((table.total > 0).sum())} of "
        f"{table.total.size} parameters hurt in total."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "lca_layers.png")
