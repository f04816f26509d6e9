"""True against reconstructed loss, and what a rule of quadrature misses at every step.

One network, one run of SGD with a large learning rate. The loss after every step is compared with the loss at the start
plus all allocations so far.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.networks.network import Network
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, save, style

LR, BATCH_SIZE, SHOWN = 0.2, 12, 12
LOSS = Look("loss", BLACK, "", "-")
FIRST = Look("first order, $\\Delta\\cdot\\nabla L$", ORANGE, "v", "none")
CRITERION = Look("criterion of the source", BLACK, "", ":")
RULES = {
    "trapezoid": Look("trapezoid", RED, "s", "none"),
    "simpson": Look("Simpson (the source's RK4)", BLUE, "o", "none"),
    "gauss-3": Look("Gauss, 3 nodes", GREEN, "^", "none"),
}
ADAPTIVE = Look("Simpson, doubled until $10^{-6}$", PURPLE, "D", "none")


@cache
def network() -> Network:
    """Return the network, three classes on spirals."""
    return sgd.mlp(*sgd.spirals(90, 3, rng=0), (12, 12, 12))


def measure(steps: int, rng: int) -> dict[Look, xr.Dataset]:
    """Train once and allocate by every rule; the rule "left" is the first-order form."""
    run = sgd.train(network(), sgd.SGD(lr=LR), steps=steps, batch_size=BATCH_SIZE, rng=rng)
    rules = {FIRST: "left"} | {look: name for name, look in RULES.items()} | {ADAPTIVE: sgd.Adaptive(absolute=1e-6)}
    return {look: sgd.lca(run, network(), rule, by="layer").isel(replica=0) for look, rule in rules.items()}


def reconstructed(table: xr.Dataset) -> xr.DataArray:
    """Return the loss at the start plus all allocations so far."""
    return table.loss_before[0] + table.allocation.sum("layer").cumsum("step")


def draw_losses(axes: Axes, tables: dict[Look, xr.Dataset]) -> None:
    """Draw the loss and its reconstructions."""
    table = tables[ADAPTIVE]
    artists.theory(axes, table.step, table.loss_after, LOSS)
    shown = [FIRST, *RULES.values()]
    for i, look in enumerate(shown):
        every = slice(SHOWN // len(shown) * i, None, SHOWN)
        artists.measured(axes, table.step[every], reconstructed(tables[look])[every], look)
    low, high = float(table.loss_after.min()), float(table.loss_after.max())
    axes.set(ylabel="loss (nats)", title="a  Loss, and start + $\\Sigma A$", ylim=(low - 1.5 * high, 1.9 * high))
    artists.legend(axes, [LOSS, *shown], loc="upper right", ncols=3)


def draw_residuals(axes: Axes, tables: dict[Look, xr.Dataset]) -> None:
    """Draw what every step misses."""
    for look, table in tables.items():
        every = slice(None, None, SHOWN // 4)
        axes.plot(
            table.step[every], np.abs(table.residual[every]), look.marker, color=look.color, markerfacecolor="none",
            markersize=4,
        )  # fmt: skip
    axes.axhline(1e-3, color=BLACK, linestyle=":", linewidth=1.2)
    axes.set(
        yscale="log", xlabel="step (number)", ylabel="residual of a step\n$|\\Sigma A-\\Delta L|$ (nats)",
        title="b  What a step misses", ylim=(1e-12, 1e4),
    )  # fmt: skip
    named = [
        Look(f"{look.label}: {float(tables[look].gradients.mean()):.1f} gradients", look.color, look.marker, "none")
        for look in tables
    ]
    artists.legend(axes, [*named, CRITERION], loc="upper right", ncols=2)


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    tables = measure(120 if quick else 360, rng)
    with style():
        figure = Figure(figsize=(9.4, 6.6))
        losses, residuals = figure.subplots(2, 1, sharex=True)
        draw_losses(losses, tables)
        draw_residuals(residuals, tables)
    return Picture(
        "lca_reconstruction", "True and reconstructed loss", caption(tables, rng), ("LCA-01", "LCA-09"), figure
    )


def caption(tables: dict[Look, xr.Dataset], rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    table = tables[ADAPTIVE]
    fell = float(table.loss_before[0] - table.loss_after[-1])
    end = {look: float(reconstructed(t)[-1] - t.loss_after[-1]) for look, t in tables.items()}
    worst = {look: float(np.abs(t.residual).max()) for look, t in tables.items()}
    trapezoid, simpson, gauss = RULES.values()
    return (
        f"A tanh network of {network().dimension} parameters, SGD (η = {LR:g}, B = {BATCH_SIZE}; seed {rng}; "
        f"{int((table.diverged_at >= 0).sum())} of 1 runs diverged): over {table.sizes['step']} steps the loss falls "
        f"by {fell:.2f} nats. The first-order form ends {end[FIRST]:+.2f} off, the trapezoid {end[trapezoid]:+.3f}, "
        f"Simpson's rule {end[simpson]:+.1e} and Gauss's with three nodes {end[gauss]:+.1e}. The largest residual of a "
        f"step is {worst[trapezoid]:.0e}, {worst[simpson]:.0e} and {worst[gauss]:.0e}; doubling until 10⁻⁶ spends "
        f"{float(table.gradients.mean()):.1f} gradients a step, at most {int(table.gradients.max())}."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "lca_reconstruction.png")
