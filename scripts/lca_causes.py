"""From the naive to the true allocation: the causes that come between, as bands over training.

Naively every step of a network lowers the loss by η|G|². The bands are what the minibatch, the curvature and, with
momentum and weight decay, the optimizer add to that until the true loss change is left.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import sympy as sp
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.networks.network import Network
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, save, style
from sgdtheory.theory.loss_change_allocation import expectations

BATCH_SIZE, LR, MOMENTUM, WEIGHT_DECAY = 12, 0.1, 0.9, 0.02
NAIVE, TRUE = Look("naive, $-\\eta|G|^2$", BLUE, "", "--"), Look("true", BLACK, "", "-")
LOSS = Look("loss change", BLACK, "o", "none")
EXPECTED = Look("naive + minibatch, theory", RED, "", ":")
BANDS = {"weight decay": PURPLE, "optimizer": ORANGE, "minibatch": GREEN, "curvature": GREY}
HATCHES = {"weight decay": "", "optimizer": "\\\\", "minibatch": "//", "curvature": ".."}


@cache
def network() -> Network:
    """Return the network, three classes on spirals."""
    return sgd.mlp(*sgd.spirals(90, 3, rng=0), (12, 12, 12))


def measure(optimizer: sgd.Optimizer, decay: float, steps: int, seeds: int, rng: int) -> xr.Dataset:
    """Train, allocate, and sum over parameters and the steps so far."""
    rate = float(dict(optimizer.values)[expectations.η])
    made = sgd.training_steps(network(), optimizer, steps=steps, replicas=seeds, batch_size=BATCH_SIZE, rng=rng)
    return sgd.lca(made, network(), sgd.Adaptive(absolute=1e-6), by="layer", lr=rate, weight_decay=decay)


def expected_minibatch(steps: int, seeds: int, rng: int) -> np.ndarray:
    """Return the mean share of the minibatch by theory, summed over parameters and steps, shape (seeds, steps)."""
    share = sp.lambdify([expectations.Σ_ii], expectations.expected_minibatch_term().subs(
        {expectations.η: LR, expectations.B: BATCH_SIZE}
    ))  # fmt: skip
    net, each = network(), np.arange(network().examples)[:, np.newaxis]
    made = sgd.training_steps(net, sgd.SGD(lr=LR), steps=steps, replicas=seeds, batch_size=BATCH_SIZE, rng=rng)
    variances = [net.gradient(step.start[:, np.newaxis], each).var(axis=1) for step in made]
    return np.cumsum([share(variance).sum(axis=-1) for variance in variances], axis=0).T


def running(values: xr.DataArray) -> np.ndarray:
    """Return the mean over seeds of what the steps so far add up to."""
    return np.asarray(values.sum("layer").cumsum("step").mean("replica"))


def draw(axes: Axes, table: xr.Dataset, title: str) -> None:
    """Draw the bands between the naive and the true allocation."""
    low = running(table.naive)
    artists.theory(axes, table.step, low, NAIVE)
    for cause in table.cause.values:
        high = low + running(table.causes.sel(cause=cause))
        if np.abs(high - low).max() > 0:
            axes.fill_between(
                table.step, low, high, color=BANDS[cause], alpha=0.45, linewidth=0, hatch=HATCHES[cause], label=cause
            )
        low = high
    artists.theory(axes, table.step, running(table.allocation), TRUE)
    change = (table.loss_after - table.loss_before.isel(step=0)).mean("replica")
    every = slice(len(table.step) // 12, None, len(table.step) // 8)
    artists.measured(axes, table.step[every], change[every], LOSS)
    axes.set(xlabel="step (number)", title=title)


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    steps, seeds = (60, 3) if quick else (240, 8)
    decayed = sgd.with_weight_decay(sgd.Momentum(lr=LR * (1 - MOMENTUM), momentum=MOMENTUM), WEIGHT_DECAY, True)
    plain = measure(sgd.SGD(lr=LR), 0.0, steps, seeds, rng)
    heavy = measure(decayed, WEIGHT_DECAY, steps, seeds, rng)
    theory = expected_minibatch(steps, seeds, rng)
    with style():
        figure = Figure(figsize=(10.6, 4.6))
        left, right = figure.subplots(1, 2)
        draw(left, plain, f"a  SGD, $\\eta={LR:g}$")
        artists.theory(left, plain.step, running(plain.naive) + theory.mean(axis=0), EXPECTED)
        draw(right, heavy, f"b  Momentum, $\\eta={LR * (1 - MOMENTUM):.2g}$, $\\mu={MOMENTUM:g}$, weight decay")
        left.set_ylabel("sum over parameters and steps so far\n(nats)")
        right.set_ylabel("sum over parameters and steps so far\n(nats)")
        left.legend(loc="lower left")
        right.legend(loc="lower left")
    claims = ("LCA-03", "LCA-06", "LCA-08")
    title = "What lies between the naive and the true allocation"
    return Picture("lca_causes", title, caption(plain, heavy, theory, rng), claims, figure)


def caption(plain: xr.Dataset, heavy: xr.Dataset, theory: np.ndarray, rng: int) -> str:
    """Say what is drawn, with the numbers of the runs."""
    seeds, steps = plain.sizes["replica"], plain.sizes["step"]
    diverged = int((plain.diverged_at >= 0).sum() + (heavy.diverged_at >= 0).sum())
    share = plain.causes.sel(cause="minibatch").sum(["step", "layer"]).values
    gap = share - theory[:, -1]
    ends = {name: running(table.naive)[-1] for name, table in (("plain", plain), ("heavy", heavy))}
    parts = {c: running(heavy.causes.sel(cause=c))[-1] for c in heavy.cause.values}
    told = ", ".join(f"{cause} {value:+.2f}" for cause, value in parts.items())
    return (
        f"A tanh network of {network().dimension} parameters, batches of {BATCH_SIZE}, mean of {seeds} runs (seed "
        f"{rng}; {diverged} of {2 * seeds} runs diverged) over {steps} steps. The naive allocation of SGD promises "
        f"{ends['plain']:.2f} nats, of which {running(plain.allocation)[-1]:.2f} are true; the minibatch's share "
        f"{share.mean():.2f} is that of the theory, {theory[:, -1].mean():.2f}, up to chance ({gap.mean():+.3f} ± "
        f"{gap.std(ddof=1) / np.sqrt(seeds):.3f}). With momentum the naive {ends['heavy']:.2f} becomes "
        f"{running(heavy.allocation)[-1]:.2f} by {told}, in this order; with other orders the shares differ and their "
        "sum does not."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "lca_causes.png")
