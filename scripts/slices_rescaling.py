"""What a slice sees of a rescaling that changes nothing: layers times 10 and ÷ 10, single units by factors of theirs.

A ReLU network says the same after either. The raw slice does not know it; the filter-normalised one knows the first;
taking the outgoing weights of a unit together knows the second, behind one hidden layer.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLUE, GREEN, ORANGE, PURPLE, RED, save, style

FACTOR = 10.0
UNIT_FACTORS = (0.2, 5.0)
SHOWN = {"none": "a  Raw", "filter": "b  Filter-normalised (rows)", "fan-out": "c  Fan-out"}
POINTS = {
    "as trained": Look("as trained", BLUE, "", "-"),
    "layers": Look("layers × 10, ÷ 10", RED, "", "--"),
    "units": Look("units by 0.2 to 5", GREEN, "", ":"),
}
SEEN = {
    ("layers", 1): Look("layers, 1 hidden", RED, "s", "none"),
    ("units", 1): Look("units, 1 hidden", GREEN, "o", "none"),
    ("layers", 2): Look("layers, 2 hidden", ORANGE, "D", "none"),
    ("units", 2): Look("units, 2 hidden", PURPLE, "^", "none"),
}
ALL = ("none", "layer", "filter", "fan-out", "weight")
FLOOR = 1e-16


class Rescaled(NamedTuple):
    """A trained network and parameters that say the same: as trained, layers rescaled, units rescaled."""

    network: sgd.Network
    points: dict[str, np.ndarray]
    diverged: int


def rescale(network: sgd.Network, w: np.ndarray, factors: list[np.ndarray]) -> np.ndarray:
    """Multiply what comes into the units of every hidden layer, and divide what goes out."""
    arrays = {name: array.copy() for name, array in network.layout.unpack(w).items()}
    for layer, c in enumerate(factors, 1):
        arrays[f"{layer}.weight"] *= c[:, np.newaxis]
        arrays[f"{layer}.bias"] *= c
        arrays[f"{layer + 1}.weight"] /= c
    return network.layout.pack(arrays)


def trained(hidden: int, steps: int, rng: int) -> Rescaled:
    """Train a ReLU network on spirals and rescale it in both ways."""
    widths = [16] * hidden
    network = sgd.mlp(*sgd.spirals(96, rng=rng), widths, activation="relu")
    run = sgd.train(network, sgd.SGD(lr=0.2), steps=steps, batch_size=32, record=steps, rng=rng)
    w, random = run.w.values[0, -1], np.random.default_rng(rng)
    logs = [random.uniform(*np.log(UNIT_FACTORS), size) for size in widths]
    layers = [np.full(16, FACTOR), *(np.ones(16) for _ in widths[1:])]
    points = {"as trained": w, "layers": rescale(network, w, layers)}
    return Rescaled(network, points | {"units": rescale(network, w, list(map(np.exp, logs)))}, run.attrs["diverged"])


def sliced(case: Rescaled, name: str, normalise: str, rng: int, points: int = 41) -> xr.Dataset:
    """Return the slice through one of the points, with the same draw for all of them."""
    w = case.points[name]
    (along,) = sgd.random_directions(case.network, w, 1, normalise=normalise, rng=rng)
    return sgd.slice_1d(case.network, w, along, points=points)


def seen(case: Rescaled, name: str, normalise: str, rng: int) -> float:
    """Return the largest relative change of the slice that a rescaling makes."""
    before, after = (sliced(case, n, normalise, rng, 21).loss.values for n in ("as trained", name))
    return float(np.abs(after / before - 1).max())


def draw_slices(axes: Axes, case: Rescaled, normalise: str, rng: int) -> None:
    """Draw the slices through all three points, which are one function."""
    for name, look in POINTS.items():
        line = sliced(case, name, normalise, rng)
        artists.theory(axes, line.alpha, line.loss, look)
    axes.set(title=SHOWN[normalise], xlabel="$\\alpha$ (multiples of $d$)", yscale="log")


def draw_seen(axes: Axes, cases: dict[int, Rescaled], rng: int) -> dict[tuple[str, str, int], float]:
    """Draw what every normalisation sees of either rescaling, in networks of one and of two hidden layers."""
    found = {(n, name, hidden): seen(cases[hidden], name, n, rng) for n in ALL for name, hidden in SEEN}
    for k, ((name, hidden), look) in enumerate(SEEN.items()):
        values = [max(found[n, name, hidden], FLOOR) for n in ALL]
        artists.measured(axes, np.arange(len(ALL)) + (k - 1.5) / 8, values, look)
    axes.set_xticks(range(len(ALL)), ["raw", *ALL[1:]])
    axes.set(
        title="d  Change of the slice", yscale="log", ylabel="largest relative change (dimensionless)",
        xlabel="lengths taken from (part of the weights)", ylim=(FLOOR / 3, 1e10),
    )  # fmt: skip
    artists.legend(axes, list(SEEN.values()), loc="upper right", ncols=2, columnspacing=1)
    return found


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    cases = {hidden: trained(hidden, 300 if quick else 4000, rng + hidden) for hidden in (1, 2)}
    with style():
        figure = Figure(figsize=(9.6, 7.2))
        axes = figure.subplots(2, 2)
        for ax, normalise in zip(axes.flat, SHOWN, strict=False):
            draw_slices(ax, cases[1], normalise, rng)
        for ax in (axes[0, 0], axes[1, 0]):
            ax.set_ylabel("loss (nats)")
        artists.legend(axes[0, 0], list(POINTS.values()), loc="upper center")
        found = draw_seen(axes[1, 1], cases, rng)
    title = "One function, three sets of weights: what slices see"
    return Picture(
        "slices_rescaling", title, caption(cases, found, rng), ("VIS-01", "VIS-02", "VIS-03", "VIS-17"), figure
    )


def caption(cases: dict[int, Rescaled], found: dict[tuple[str, str, int], float], rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    return (
        f"A ReLU network on spirals ({cases[1].network.dimension} parameters, one hidden layer), the same with its "
        "layers times 10 and ÷ 10, and with single units rescaled: one function, sliced along one Gaussian draw "
        f"(biases held) whose parts were given the lengths of the weights (seed {rng}; "
        f"{sum(case.diverged for case in cases.values())} of {len(cases)} runs diverged). "
        f"Filter normalisation sees the layers to {found['filter', 'layers', 1]:.0e} and the units to "
        f"{found['filter', 'units', 1]:.0e}; fan-out sees the units to {found['fan-out', 'units', 1]:.0e}, but behind "
        f"two hidden layers to {found['fan-out', 'units', 2]:.0e}, where only lengths taken weight by weight do not "
        f"({found['weight', 'units', 2]:.0e})."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "slices_rescaling.png")
