"""What swapping two examples does to the logits: exclusive labels, modelled as independent and by one softmax.

Exactly solvable: an example has label A or else label B, by chance; without inputs each model is its best constants.
Lines are the bracket's formula, markers two steps of SGD run in both orders. Beside it networks in training: one with
labels it can learn, an exclusive pair that is pure chance and a single label that is pure chance, all modelled as
independent; and two with the pair alone, modelled as independent and by one softmax.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, save, style
from sgdtheory.theory.lie_brackets.residuals import LOGISTIC_BRACKET

STEP = 1e-2  # ε of the swapped steps
EXAMPLES, HIDDEN, BATCH, LR = 1_000, (16,), 10, 0.2
SWAPPED, TESTED = 10, 32  # examples swapped with each other, and others whose logits are looked at
INDEPENDENT = Look("modelled as independent", BLUE, "o", "-")
SOFTMAX = Look("modelled by one softmax", RED, "s", "--")
LABELS = (
    Look("$x_1>0$, learnt", BLACK, "v", ":"),
    Look("$|x|>1$, learnt", GREEN, "^", "-."),
    Look("A or B", PURPLE, "P", (0, (3, 1))),
    Look("a single label by chance", ORANGE, "D", (0, (5, 1, 1, 1, 1, 1))),
)
ALONE = (Look("A or B alone, as independent", BLUE, "o", "-"), Look("A or B alone, one softmax", RED, "s", "--"))


class Effects(NamedTuple):
    """RMS effects on logits over ε², shape (replica, checkpoint, label): by the bracket, and by both orders run."""

    bracket: np.ndarray
    gap: np.ndarray
    diverged: int


# --- exactly solvable ------------------------------------------------------------------------------------------------


def solved(chance: np.ndarray, margin: tuple[int, int], inner: int) -> np.ndarray:
    """Return the claim's bracket of an example with A and one with B, on the logit of A, at the best constants."""
    doubts = {symbols.doubt_1: 1 - symbols.label_chance, symbols.doubt_2: symbols.label_chance}
    slopes = {symbols.margin_slope_1: margin[0], symbols.margin_slope_2: margin[1], symbols.margin_inner: inner}
    formula = LOGISTIC_BRACKET.statement.rhs.subs(doubts | slopes | {symbols.margin_bracket: 0})
    return np.asarray(sp.lambdify(symbols.label_chance, formula)(chance))


def swapped_constants(chance: np.ndarray, objective: str) -> np.ndarray:
    """Run both orders on a model without inputs at its best constants; return the gap of A's logit over ε²."""
    labels = [0, 1] if objective == "cross-entropy" else [[1, 0], [0, 1]]
    model = sgd.mlp([[0.0], [0.0]], labels, (), objective=objective)
    logit = np.log(chance / (1 - chance)) / (2 if objective == "cross-entropy" else 1)
    place = model.layout.pack({
        "1.weight": np.zeros((len(chance), 2, 1)), "1.bias": np.stack([logit, -logit], axis=-1)
    })  # fmt: skip
    gap = model.layout.unpack(sgd.swap_gap(model, sgd.SGD(STEP), 0, 1, place).position)
    return np.asarray(gap["1.bias"][:, 0] / STEP**2)


def draw_solved(axes: Axes) -> None:
    """Draw the effect on A's logit against the chance of A."""
    fine, coarse = np.linspace(0, 1, 101), np.linspace(0.05, 0.95, 19)
    for look, objective, inner in ((INDEPENDENT, "independent labels", -1), (SOFTMAX, "cross-entropy", -2)):
        artists.theory(axes, fine, np.abs(solved(fine, (1, -1), inner)), look)
        artists.measured(axes, coarse, np.abs(swapped_constants(coarse, objective)), look)
    axes.set(
        title="a  Two exclusive labels by chance", xlabel="probability of label A (dimensionless)",
        ylabel="effect of a swap on a logit, over $\\epsilon^2$ ($1/\\theta^2$)", ylim=(0, 0.75),
    )  # fmt: skip
    artists.legend(axes, [INDEPENDENT, SOFTMAX], loc="upper left")


# --- a network in training -------------------------------------------------------------------------------------------


def networks(rng: np.random.SeedSequence) -> tuple[sgd.Network, ...]:
    """Return a network for all labels, one for the exclusive pair as independent labels, and one by a softmax."""
    generator = np.random.default_rng(rng)
    x = generator.standard_normal((EXAMPLES, 2))
    pair, single = generator.integers(2, size=(2, EXAMPLES))
    both = np.column_stack([pair == 0, pair == 1]).astype(int)
    labels = np.column_stack([x[:, 0] > 0, np.linalg.norm(x, axis=1) > 1, both, single]).astype(int)
    everything, alone = (sgd.mlp(x, y, HIDDEN, objective="independent labels") for y in (labels, both))
    return everything, alone, sgd.mlp(x, pair, HIDDEN)


def effects(net: sgd.Network, checkpoints: list[int], replicas: int, rng: np.random.SeedSequence) -> Effects:
    """Train some replicas; swap all pairs of the first examples at the checkpoints."""
    run = sgd.train(
        net, sgd.SGD(lr=LR), steps=checkpoints[-1], batch_size=BATCH, sampling="reshuffle", replicas=replicas,
        record=checkpoints, rng=rng,
    )  # fmt: skip
    first, second = (k[:, np.newaxis] for k in np.triu_indices(SWAPPED, 1))
    w, tested = run.w.sel(step=checkpoints).values[..., np.newaxis, :], np.arange(SWAPPED, SWAPPED + TESTED)
    bracket = sgd.prediction_effect(net, first, second, w, batch=tested)
    forth, back = sgd.swap_gap(net, sgd.SGD(STEP), first, second, w).ends
    gap = (net.outputs(forth, tested) - net.outputs(back, tested)) / STEP**2
    sizes = (np.sqrt((change**2).mean(axis=(-3, -2))) for change in (bracket, gap))
    return Effects(*sizes, run.attrs["diverged"])


def joined(all_labels: Effects, *pairs: Effects) -> Effects:
    """Put the labels in the order of the legend: of an exclusive pair, the root mean square of both logits."""

    def columns(name: str) -> np.ndarray:
        many, *alone = (getattr(effect, name) for effect in (all_labels, *pairs))
        both = [np.sqrt((part**2).mean(axis=-1)) for part in (many[..., 2:4], *alone)]
        return np.stack([many[..., 0], many[..., 1], both[0], many[..., 4], *both[1:]], axis=-1)

    return Effects(columns("bracket"), columns("gap"), sum(e.diverged for e in (all_labels, *pairs)))


def draw_network(axes: Axes, measured: Effects, checkpoints: list[int]) -> None:
    """Draw effects against the step: lines by the bracket, markers with bars by both orders run."""
    error = 3 * measured.gap.std(axis=0, ddof=1) / np.sqrt(len(measured.gap))
    for k, look in enumerate((*LABELS, *ALONE)):
        artists.theory(axes, checkpoints, measured.bracket[..., k].mean(axis=0), look)
        artists.measured(axes, checkpoints, measured.gap[..., k].mean(axis=0), look, error[:, k])
    axes.set(
        xscale="log", yscale="log", title="b  Networks in training", xlabel="training step (steps)",
        ylabel="RMS effect on test logits, over $\\epsilon^2$ ($1/\\theta^2$)",
    )  # fmt: skip
    artists.legend(axes, [*LABELS, *ALONE], loc="upper left", bbox_to_anchor=(1, 1))


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    checkpoints = [10, 30, 100, 300] if quick else [10, 30, 100, 300, 1_000, 3_000]
    data, *seeds = np.random.SeedSequence(rng).spawn(4)
    nets, replicas = networks(data), 3 if quick else 16
    measured = joined(*(effects(net, checkpoints, replicas, seed) for net, seed in zip(nets, seeds, strict=True)))
    with style():
        figure = Figure(figsize=(12, 4.4))
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
        draw_solved(left)
        draw_network(right, measured, checkpoints)
    title = "Exclusive labels modelled as independent: swaps move their logits as they move any label's in doubt"
    claims = ("LIE-23", "LIE-27", "LIE-28", "LIE-40")
    return Picture("bracket_effects", title, caption(measured, checkpoints, replicas, rng), claims, figure)


def caption(measured: Effects, checkpoints: list[int], replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the runs."""
    last = measured.gap[:, -1].mean(axis=0)
    error = measured.gap[:, -1].std(axis=0, ddof=1) / np.sqrt(replicas)
    values = [f"{m:.2g} ± {e:.1g}" for m, e in zip(last, error, strict=True)]
    off = np.abs(measured.gap / measured.bracket - 1).max()
    return (
        "Without inputs (a) an example with A and one with B have brackets ∓q(1−q) on the logits of A and B at the "
        "best independent constants, q being the probability of A and q(1−q) also what that model gives to both "
        "labels at once; one softmax, which knows that they exclude each other, has twice that. In networks of "
        f"{HIDDEN[0]} tanh units (b; {EXAMPLES:,} examples, {replicas} runs of each of {len(ALONE) + 1} networks, bars "
        f"3 standard errors, seed {rng}; {measured.diverged} of {(len(ALONE) + 1) * replicas} runs diverged) the "
        f"effect after {checkpoints[-1]:,} steps is {values[2]} for the pair and {values[3]} for a single label by "
        f"chance beside it, {values[0]} and {values[1]} for the labels learnt through the same hidden units, and for "
        f"the pair alone {values[4]} as independent and {values[5]} by one softmax. Lines are ε²J[v_i, v_j], markers "
        f"both orders run with ε = {STEP:g}; they differ by at most {off:.1%}."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "bracket_effects.png")
