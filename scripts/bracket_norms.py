"""Bracket size against the product of gradient sizes, and the bound, for log losses and for squared errors.

With a log loss both examples' doubts are factors of the bracket as they are of the gradients, so the two go together
over many orders of magnitude; with squared errors the bracket is of first order in the errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory.measure.loss import NumericLoss
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, save, style

EXAMPLES, SHOWN = 200, 12
HIDDEN, BATCH = (8,), 10
CHECKPOINTS = (0, 30, 300, 1_000)
COLORS = (BLUE, ORANGE, GREEN, RED)
MARKERS = ("o", "D", "^", "s")
BOUND = Look("bound of every pair", GREY, "_", "")
LIMIT = Look("$2\\,\\max|x|\\,|g_i||g_j|$", BLACK, "", "-")
SLOPE = Look("slope 1", BLACK, "", ":")


class Sizes(NamedTuple):
    """Of all pairs: shape (replica, checkpoint, pair)."""

    product: np.ndarray
    bracket: np.ndarray
    bound: np.ndarray
    diverged: int


class Fit(NamedTuple):
    """Correlation of the logarithms and slope of log |bracket| over log product: mean over replicas and its error."""

    correlation: tuple[float, float]
    slope: tuple[float, float]


def linear(rng: np.random.SeedSequence) -> NumericLoss:
    """Return logistic regression, with a constant input, on two overlapping clouds."""
    x, y = sgd.blobs(EXAMPLES, 2, 2, spread=0.5, rng=rng)
    return sgd.numeric_loss(sgd.logistic_regression(sgd.Dataset(x1=x[:, 0], x2=x[:, 1], one=1 + 0 * y, y=2 * y - 1)))


def log_loss(rng: np.random.SeedSequence) -> sgd.Network:
    """Return a network on two spirals that says the log odds."""
    x, y = sgd.spirals(EXAMPLES, noise=0.1, rng=rng)
    return sgd.mlp(x, y, HIDDEN, objective="independent labels")


def squared_error(rng: np.random.SeedSequence) -> sgd.Network:
    """Return the same network and data, fitting ±1."""
    x, y = sgd.spirals(EXAMPLES, noise=0.1, rng=rng)
    return sgd.mlp(x, 2.0 * y - 1, HIDDEN, objective="squared error")


MODELS: dict[str, tuple[Callable[[np.random.SeedSequence], NumericLoss | sgd.Network], float]] = {
    "a  Logistic regression": (linear, 1.0),
    "b  Network, log loss": (log_loss, 0.5),
    "c  Network, squared error": (squared_error, 0.1),
}


def measure(loss: NumericLoss | sgd.Network, lr: float, replicas: int, rng: np.random.SeedSequence) -> Sizes:
    """Train some replicas and measure all pairs of the first examples at the checkpoints."""
    start = None if isinstance(loss, sgd.Network) else np.zeros((replicas, loss.dimension))
    run = sgd.train(
        loss, sgd.SGD(lr=lr), steps=CHECKPOINTS[-1], batch_size=BATCH, sampling="reshuffle", init=start,
        replicas=replicas, record=CHECKPOINTS, rng=rng,
    )  # fmt: skip
    table = sgd.bracket_matrix(loss, run.w, np.arange(SHOWN), bound=True)
    first, second = np.triu_indices(SHOWN, 1)
    root = np.sqrt(float(table["size"]))
    lengths, norms = table.gradient_rms.values * root, table.rms.values * root
    return Sizes(
        lengths[..., first] * lengths[..., second],
        norms[..., first, second],
        table.bound.values[..., first, second],
        run.attrs["diverged"],
    )


def fitted(sizes: Sizes) -> Fit:
    """Correlate and fit within every replica, over pairs and checkpoints."""
    pairs = [(np.log(x).ravel(), np.log(y).ravel()) for x, y in zip(sizes.product, sizes.bracket, strict=True)]
    found = np.array([(np.corrcoef(x, y)[0, 1], np.polyfit(x, y, 1)[0]) for x, y in pairs])
    errors = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    return Fit(*((float(m), float(e)) for m, e in zip(found.mean(axis=0), errors, strict=True)))


def largest_input(loss: NumericLoss) -> float:
    """Return the greatest |x| of a logistic regression: at w = 0 every gradient is half an input."""
    gradients = loss.gradient(np.zeros(loss.dimension), np.arange(SHOWN)[:, None])
    return float(2 * np.linalg.norm(gradients, axis=-1).max())


def draw(axes: Axes, sizes: Sizes) -> None:
    """Scatter one model's pairs, of the first replica, by checkpoint; and their bounds."""
    axes.scatter(
        sizes.product[0].ravel(), sizes.bound[0].ravel(), marker="_", s=18, color=GREY, linewidths=0.8,
        label=BOUND.label, zorder=1,
    )  # fmt: skip
    for k, step in enumerate(CHECKPOINTS):
        axes.scatter(
            sizes.product[0, k], sizes.bracket[0, k], s=14, marker=MARKERS[k], facecolors="none",
            edgecolors=COLORS[k], linewidths=0.9, label=step_label(step), zorder=2,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="$|g_i||g_j|$ (units of $L^2/\\theta^2$)")


def step_label(step: int) -> str:
    """Name a checkpoint."""
    return f"step {step:,}"


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    seeds = [seed.spawn(2) for seed in np.random.SeedSequence(rng).spawn(len(MODELS))]
    losses = [build(data) for (build, _), (data, _) in zip(MODELS.values(), seeds, strict=True)]
    measured = [
        measure(loss, lr, 3 if quick else 24, training)
        for loss, (_, lr), (_, training) in zip(losses, MODELS.values(), seeds, strict=True)
    ]
    with style():
        figure = Figure(figsize=(12, 4.6))
        axes = figure.subplots(1, 3)
        for side, sizes, title in zip(axes, measured, MODELS, strict=True):
            draw(side, sizes)
            side.set_title(title)
        x = np.array([measured[0].product.min(), measured[0].product.max()])
        artists.theory(axes[0], x, 2 * largest_input(losses[0]) * x, LIMIT)
        for side, sizes in zip(axes, measured, strict=True):
            proportional(side, sizes)
        axes[0].set_ylabel("$|[v_i,v_j]|$ (units of $L^2/\\theta^3$)")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), handletextpad=0.3)
    title = "Bracket sizes follow gradient sizes where the loss is a log loss"
    return Picture("bracket_norms", title, caption(measured, rng), ("LIE-01", "LIE-26", "LIE-40", "LIE-41"), figure)


def proportional(axes: Axes, sizes: Sizes) -> None:
    """Draw the line of slope 1 through the median of the pairs: the bracket as a multiple of the product."""
    x = np.array([sizes.product[0].min(), sizes.product[0].max()])
    artists.theory(axes, x, np.median(sizes.bracket[0] / sizes.product[0]) * x, SLOPE)


def caption(measured: Sequence[Sizes], rng: int) -> str:
    """Say what is drawn, with the numbers of the runs."""
    fits = [fitted(sizes) for sizes in measured]
    runs, diverged = sum(len(s.product) for s in measured), sum(s.diverged for s in measured)
    slopes, correlations = (
        ", ".join(f"{m:.2f} ± {e:.2f}" for m, e in (getattr(fit, name) for fit in fits))
        for name in ("slope", "correlation")
    )
    spans = ", ".join(f"{np.log10(s.product[0].max() / s.product[0].min()):.0f}" for s in measured)
    tightest = max(float((s.bracket / s.bound).max()) for s in measured)
    return (
        f"All {SHOWN * (SHOWN - 1) // 2} pairs of {SHOWN} of {EXAMPLES} training examples at four checkpoints of SGD "
        f"(batches of {BATCH}; first of {len(measured[0].product)} runs a model, seed {rng}; {diverged} of {runs} runs "
        f"diverged): the product of gradient sizes spans {spans} decades in a, b, c. Fitted slopes of log size over "
        f"log product are {slopes} and correlations {correlations} (mean ± standard error over the runs): with a log "
        f"loss both doubts are factors of the bracket as of the gradients, so the slope is near 1; with squared errors "
        f"the bracket is of first order in the errors. No bracket exceeds {tightest:.2f} of its bound "
        f"‖H_j‖|g_i| + ‖H_i‖|g_j|."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "bracket_norms.png")
