"""A small network's loss change allocation: who helps, which layers hurt, when layers learn, and what lag does.

The statements of Lan and others (2019), measured for three optimizers at learning rates over one and a half decades;
no setting that was run is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.measure.allocation.peaks import coincidence
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.networks.network import Network
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, RED, save, style
from sgdtheory.symbols import gradient, theta

EXAMPLES, WIDTHS, BATCH_SIZE, DATA_SEED = 90, (12, 12, 12), 12, 0
MOMENTUM, LAGS, BLOCK = 0.9, 8, 20
MIDDLE = 0.3  # of the learning rates, for panels a, c and d
LOOKS = {
    "SGD": Look("SGD", BLUE, "o", "-"),
    "momentum": Look("momentum", RED, "s", "--"),
    "Adam": Look("Adam", GREEN, "^", "-."),
}
CHANGED = {
    "": Look("$\\mu=0.9$ in all layers", BLACK, "o", "-"),
    "4": Look("$\\mu=0$ in the last", BLUE, "s", "--"),
    "1": Look("$\\mu=0$ in the first", RED, "^", "-."),
}
SGD, HEAVY_BALL, ADAM = sgd.SGD, sgd.Momentum, sgd.Adam


class Size(NamedTuple):
    """How much is run: all of it, or enough to see that it works."""

    seeds: int
    steps: int
    rates: tuple[float, ...]


FULL, QUICK = Size(8, 300, (0.03, 0.1, 0.3, 1.0)), Size(4, 80, (0.03, 0.3, 1.0))


@cache
def network() -> Network:
    """Return the network: three classes on spirals, three hidden layers, 387 parameters."""
    return sgd.mlp(*sgd.spirals(EXAMPLES, 3, rng=DATA_SEED), WIDTHS)


def optimizer(name: str, rate: float) -> sgd.Optimizer:
    """Return an optimizer by its rate: η, η/(1 − μ) for momentum, 10η for Adam."""
    if name == "SGD":
        return SGD(lr=rate)
    if name == "momentum":
        return HEAVY_BALL(lr=rate * (1 - MOMENTUM), momentum=MOMENTUM)
    return ADAM(lr=rate / 10, beta1=0.9, beta2=0.999)


def measure(name: str, rate: float, size: Size, rng: int) -> xr.Dataset:
    """Train and allocate."""
    steps = sgd.training_steps(
        network(), optimizer(name, rate), steps=size.steps, replicas=size.seeds, batch_size=BATCH_SIZE, rng=rng
    )
    return sgd.lca(steps, network(), sgd.Adaptive(), by="layer")


def steps_with_fresh_layer(layer: str, size: Size, rng: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Train by heavy ball with momentum 0 in one layer, the displacement η/(1 − μ) of a lasting gradient unchanged."""
    net, rule, random = network(), HEAVY_BALL(), np.random.default_rng(rng)
    update = on_arrays(
        (theta, gradient, *rule.buffers, *rule.values), [rule.position, *(memory for _, memory in rule.memory)]
    )
    names, labels = net.layout.groups("layer")
    μ = np.where(np.array(names)[labels] == layer, 0.0, MOMENTUM)
    w, v = net.init(random, size.seeds), np.zeros((size.seeds, net.dimension))
    for number in range(1, size.steps + 1):
        batch = random.integers(net.examples, size=(size.seeds, BATCH_SIZE))
        end, v = update(w, net.gradient(w, batch), v, MIDDLE * (1 - μ), μ)
        yield number, w, end
        w = end


def with_error(values: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over seeds and three standard errors."""
    error = 3 * values.std("replica", ddof=1) / np.sqrt(values.sizes["replica"])
    return values.mean("replica").values, error.values


def totals(table: xr.Dataset) -> xr.DataArray:
    """Return the allocation of every layer summed over training."""
    return table.allocation.sum("step")


def draw_helping(axes: Axes, tables: dict[tuple[str, float], xr.Dataset]) -> None:
    """Draw the share of parameters that help, over training."""
    for name, look in LOOKS.items():
        blocks = tables[name, MIDDLE].helping.coarsen(step=BLOCK, boundary="trim").mean()
        mean, error = with_error(blocks)
        axes.plot(blocks.step, mean, color=look.color, linestyle=look.line, linewidth=1)
        artists.measured(axes, blocks.step, mean, look, error)
    axes.axhline(0.5, color=BLACK, linestyle=":", linewidth=1.2)
    axes.set(
        xlabel="step (number)", ylabel="parameters that help\n(share of those with $A\\neq 0$)", ylim=(0.45, None),
        title="a  Who helps",
    )  # fmt: skip
    artists.legend(axes, list(LOOKS.values()), loc="upper right")


def draw_layers(axes: Axes, tables: dict[tuple[str, float], xr.Dataset]) -> None:
    """Draw the totals of the first and the last layer against the learning rate."""
    rates = sorted({rate for _, rate in tables})
    for name, look in LOOKS.items():
        for layer, line in (("1", "-"), ("4", ":")):
            points = [with_error(totals(tables[name, rate]).sel(layer=layer)) for rate in rates]
            mean, error = (np.array(part) for part in zip(*points, strict=True))
            label = look.label if layer == "1" else f"{look.label}, last layer"
            axes.plot(rates, mean, color=look.color, linestyle=line, linewidth=1.4)
            artists.measured(axes, rates, mean, Look(label, look.color, look.marker), error)
    axes.axhline(0, color=BLACK, linewidth=0.9)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=0.2)
    axes.text(
        0.03,
        0.6,
        "first layer: full lines\nlast layer: dotted\nmarkers as in a",
        transform=axes.transAxes,
        fontsize=9.5,
    )
    axes.text(0.03, 0.95, "hurts", transform=axes.transAxes, fontsize=9.5, va="top")
    axes.text(0.03, 0.05, "helps", transform=axes.transAxes, fontsize=9.5)
    axes.set(
        xlabel="rate ($\\eta$; momentum $\\eta/(1-\\mu)$; Adam $10\\,\\eta$)",
        ylabel="layer's $A$ in all\n(units of the loss)", title="b  Layers that hurt",
    )  # fmt: skip


def draw_peaks(axes: Axes, tables: dict[tuple[str, float], xr.Dataset]) -> None:
    """Draw how often the peaks of two layers fall together, against their shift."""
    for name, look in LOOKS.items():
        shares = coincidence(tables[name, MIDDLE].allocation, LAGS)
        mean, error = with_error(shares)
        axes.plot(shares.lag, mean, color=look.color, linestyle=look.line, linewidth=1)
        artists.measured(axes, shares.lag, mean, look, error)
    axes.set(
        xlabel="shift of one layer against the other (steps)", ylim=(0, None),
        ylabel="peaks that meet a peak\n(share)", title="c  Peaks of two layers",
    )  # fmt: skip
    artists.legend(axes, list(LOOKS.values()), loc="upper right")


def draw_lag(axes: Axes, changed: dict[str, xr.Dataset]) -> None:
    """Draw the layers' totals with momentum switched off in one of them."""
    for i, (layer, look) in enumerate(CHANGED.items()):
        parts = totals(changed[layer])
        both = xr.concat([parts, parts.sum("layer").expand_dims(layer=["sum"])], "layer")
        mean, error = with_error(both)
        artists.measured(axes, np.arange(both.sizes["layer"]) + 0.18 * (i - 1), mean, look, error)
    axes.axhline(0, color=BLACK, linewidth=0.9)
    axes.set_xticks(range(both.sizes["layer"]), [*parts.layer.values, "sum"])
    axes.set(xlabel="layer (name)", ylabel="layer's $A$ in all\n(units of the loss)", title="d  Lag of one layer")
    handles = [Look(look.label, look.color, look.marker, "none") for look in CHANGED.values()]
    artists.legend(axes, handles, loc="lower center", bbox_to_anchor=(0.43, 0))


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    size = QUICK if quick else FULL
    tables = {(name, rate): measure(name, rate, size, rng) for name in LOOKS for rate in size.rates}
    changed = {k: sgd.lca(steps_with_fresh_layer(k, size, rng), network(), sgd.Adaptive(), by="layer") for k in CHANGED}
    with style():
        figure = Figure(figsize=(10.6, 7.2))
        (helping, layers), (peaks, lag) = figure.subplots(2, 2)
        draw_helping(helping, tables)
        draw_layers(layers, tables)
        draw_peaks(peaks, tables)
        draw_lag(lag, changed)
    title = "Loss change allocation of a small network: what appears and what does not"
    return Picture("lca_experiment", title, caption(tables, changed, size, rng), ("LCA-01", "LCA-11"), figure)


def caption(tables: dict[tuple[str, float], xr.Dataset], changed: dict[str, xr.Dataset], size: Size, rng: int) -> str:
    """Say what is drawn, with the numbers of the runs."""
    runs = [*tables.values(), *changed.values()]
    diverged = sum(int((table.diverged_at >= 0).sum()) for table in runs)
    residual = max(float(np.abs(table.residual).max()) for table in runs)
    helping = [float(table.helping.mean()) for table in tables.values()]
    late = [float(table.helping.isel(step=slice(-size.steps // 3, None)).mean()) for table in tables.values()]
    slow, fast = (
        xr.concat([totals(tables[name, rate]) > 0 for name in LOOKS], "run") for rate in (size.rates[0], size.rates[-1])
    )
    hurt = {layer: int(fast.sel(layer=layer).sum()) for layer in "14"}
    shares = [coincidence(table.allocation, LAGS).mean("replica") for table in tables.values()]
    met = [float(share.sel(lag=0)) for share in shares]
    apart = [float(share.where(np.abs(share.lag) > 1).mean()) for share in shares]
    before, fresh = totals(changed[""]), {k: totals(changed[k]) for k in "41"}
    fall = {k: float((fresh[k] - before).sel(layer=k).mean()) for k in fresh}
    whole = {k: float((fresh[k] - before).sum("layer").mean()) for k in fresh}
    return (
        f"A tanh network of {network().dimension} parameters on {EXAMPLES} points of three spirals, batches of "
        f"{BATCH_SIZE}, {size.steps} steps, {size.seeds} starts and orders of batches in each of {len(runs)} settings "
        f"(seed {rng}; {diverged} of {size.seeds * len(runs)} runs diverged; largest residual of a step "
        f"{residual:.0e}), bars of 3 standard errors. By setting {min(helping):.0%} to {max(helping):.0%} of the "
        f"parameters help over the run and {min(late):.0%} to {max(late):.0%} in its last third; at the smallest "
        f"learning rate {int(slow.sum())} of {slow.size} layers hurt in total, at the largest the first layer in "
        f"{hurt['1']} and the last in {hurt['4']} of {fast.size // fast.sizes['layer']} runs. Peaks of two layers fall "
        f"on the same step in {min(met):.0%} to {max(met):.0%} of the cases, two and more steps apart in "
        f"{min(apart):.0%} to {max(apart):.0%}. Momentum switched off in the last layer changes that layer's "
        f"allocation by {fall['4']:+.2f} and the sum by {whole['4']:+.3f}, in the first layer by {fall['1']:+.2f} and "
        f"{whole['1']:+.3f}: a layer that lags behind its gradient helps less, and the others make up for it."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "lca_experiment.png")
