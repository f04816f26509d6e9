"""Lengths of scale-invariant weights over epochs, for batches of several sizes: fixed and scaled learning rates.

Lines are the balance of weight decay and gradient noise, dotted ones decay alone; markers are simulated runs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, RED, save, style
from sgdtheory.theory.slices.scale_invariance import next_square
from sgdtheory.theory.slices.weight_decay import log_shrink

EXAMPLES, EPOCHS, DECAY, START = 1024, 80, 0.02, 3.0
MIDDLE, LR = 16, 0.1  # both rules agree at this batch size
SERIES = {4: Look("$B=4$", RED, "o", "-"), 16: Look("$B=16$", BLUE, "s", "--"), 64: Look("$B=64$", GREEN, "^", "-.")}
ALONE = Look("weight decay alone", BLACK, "", ":")
DECAYED, BALANCED = (
    sp.lambdify((symbols.lr, symbols.weight_decay, symbols.batch_size, symbols.examples), log_shrink()),
    sp.lambdify((sp.Symbol("x"), symbols.lr, symbols.weight_decay, symbols.tangent_size), next_square(sp.Symbol("x"))),
)


def scale_invariant() -> sgd.Problem:
    """Return ℓ = ξ·angle(w) in the plane, ξ standard normal: |w||∇ℓ| = |ξ| at every length."""
    w1, w2, x = sp.symbols("w1 w2 x", real=True)
    return sgd.Problem(x * sp.atan(w2 / w1), (w1, w2), sgd.Fresh(x=sgd.Normal(0, 1)), name="noise on a circle")


def rates(scaled: bool) -> dict[int, float]:
    """Return the learning rate of each batch size."""
    return {batch: LR * batch / MIDDLE if scaled else LR for batch in SERIES}


def length_over_epochs(batch: int, lr: float) -> np.ndarray:
    """Iterate the balance with the mean square Γ² = 1/B of a batch; |w| at every epoch."""
    square, found = START**2, [START]
    for _ in range(EPOCHS):
        for _ in range(EXAMPLES // batch):
            square = BALANCED(square, lr, DECAY, batch**-0.5)
        found.append(square**0.5)
    return np.array(found)


def decayed(epoch: np.ndarray, batch: int, lr: float) -> np.ndarray:
    """Return |w| under weight decay alone."""
    return START * np.exp(epoch * DECAYED(lr, DECAY, batch, EXAMPLES))


def simulated(batch: int, lr: float, replicas: int, rng: np.random.SeedSequence) -> tuple[np.ndarray, ...]:
    """Return epochs, root mean square lengths, their standard errors, and how many runs diverged."""
    epochs = np.arange(4, EPOCHS + 1, 8)
    steps = epochs * (EXAMPLES // batch)
    run = sgd.simulate(
        scale_invariant(), sgd.with_weight_decay(sgd.SGD(lr=lr), DECAY), steps=int(steps[-1]), replicas=replicas,
        init=[START, 0.0], batch_size=batch, record=[int(s) for s in steps], rng=rng,
    )  # fmt: skip
    squares = (run.w.sel(step=steps).values ** 2).sum(axis=-1)
    mean = squares.mean(axis=0)
    error = squares.std(axis=0, ddof=1) / np.sqrt(replicas)
    return epochs, np.sqrt(mean), error / (2 * np.sqrt(mean)), run.attrs["diverged"]


def draw(axes: Axes, scaled: bool, replicas: int, rng: np.random.SeedSequence) -> tuple[int, float]:
    """Draw one rule; return how many runs diverged and the largest relative gap to the balance."""
    epoch, diverged, worst = np.arange(EPOCHS + 1), 0, 0.0
    for (batch, lr), seed in zip(rates(scaled).items(), rng.spawn(len(SERIES)), strict=True):
        look, line = SERIES[batch], length_over_epochs(batch, lr)
        artists.theory(axes, epoch, decayed(epoch, batch, lr), Look("decay " + look.label, look.color, "", ":"))
        artists.theory(axes, epoch, line, look)
        x, length, error, lost = simulated(batch, lr, replicas, seed)
        artists.measured(axes, x, length, look, 3 * error)
        diverged, worst = diverged + lost, max(worst, float(np.abs(length / line[x] - 1).max()))
    name = "b  Scaled, $\\eta=B\\eta_1$" if scaled else f"a  Fixed, $\\eta={LR:g}$"
    axes.set(yscale="log", ylim=(0.3, 3.4), title=name, xlabel="passes through the data (epochs)")
    axes.set_yticks([0.3, 0.5, 1, 2, 3], labels=["0.3", "0.5", "1", "2", "3"])
    axes.minorticks_off()
    return diverged, worst


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas = 200 if quick else 4000
    seeds = np.random.SeedSequence(rng).spawn(2)
    with style():
        figure = Figure(figsize=(9.6, 4.3))
        left, right = figure.subplots(1, 2, sharey=True)
        outcomes = [draw(axes, axes is right, replicas, seed) for axes, seed in zip((left, right), seeds, strict=True)]
        left.set_ylabel("$|w|$ (units of $w$)")
        artists.legend(right, [*SERIES.values(), ALONE], loc="upper right")
    title = "Smaller batches, smaller weights: only at a fixed learning rate"
    return Picture("weight_norms", title, caption(outcomes, replicas, rng), ("VIS-05", "VIS-07"), figure)


def caption(outcomes: list[tuple[int, float]], replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    diverged, worst = sum(d for d, _ in outcomes), max(w for _, w in outcomes)
    ends = {scaled: [length_over_epochs(b, lr)[-1] for b, lr in rates(scaled).items()] for scaled in (False, True)}
    fixed, scaled = (max(e) / min(e) for e in ends.values())
    return (
        f"Weights under a scale-invariant loss of pure noise with weight decay λ = {DECAY}, {EXAMPLES} examples an "
        f"epoch: root mean square of {replicas:,} runs each, bars of 3 standard errors, at most {worst:.1%} from the "
        f"balance (seed {rng}; {diverged} of {2 * len(SERIES) * replicas:,} runs diverged). At a fixed learning rate "
        f"small batches make more steps, and decay first shrinks their weights more; then noise holds them longer, and "
        f"the largest end {fixed:.1f} times as long as the smallest. With the learning rate in proportion to the "
        f"batch all three agree, to {scaled - 1:.1%} in the end."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "weight_norms.png")
