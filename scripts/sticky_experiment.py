"""The published sticky-SGD experiment, as its authors ran it and with the ½ of their text.

Corlouer and Macé (2024) count runs left of the barrier of L = (Q(w)x − y)², Q = (w + w0)(w − w0)², and see them leave
the sharp minimum. Their loss has no ½, so learning rate × curvature there is 3.36, beyond the limit 2 of linear
stability. With the ½ of their text it is 1.68, and the same code shows no escape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sgdtheory import SGD, Dataset, Problem, Uniform, numeric_loss, simulate, sticky_1d
from sgdtheory.derive.stability import stability_limit
from sgdtheory.laws import Law
from sgdtheory.measure import crisis, stability
from sgdtheory.plots import artists
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, style

Array = NDArray[np.float64]

W0, DEGREES = sp.Rational(9, 5), (1, 2)
LR, BATCH, SAMPLES, STEPS = 0.01, 20, 1000, 50
START = Uniform(-2 * W0, 2 * W0)
SHARP = Uniform(-W0, -W0)  # a point; written as a uniform law it shares the compiled kernel of START
DATA_SEED, OTHER_DATA_SEEDS = 1, range(2, 8)
FIT = slice(3, 35)  # steps 3 to 34, the window of the authors' straight line
AS_RUN, AS_WRITTEN = "squared error", "half squared error"
HEADINGS = {AS_RUN: "as run, no ½", AS_WRITTEN: "as written, with ½"}
SWEEP = np.linspace(0.8, 4.2, 35)  # learning rate × curvature at the sharp minimum


class Limits(NamedTuple):
    """Values of η·L''(−w0) at which something changes."""

    mean_square: float
    linear: float
    crisis: float


@dataclass(frozen=True)
class Tally:
    """Where the runs of one ensemble are, step by step; shares have shape (steps + 1,).

    A run that diverges counts as diverged from the step at which it has left the start interval for good.
    """

    survivors: Array
    everyone: Array
    diverged: Array
    ends: Array
    fates: dict[str, int]
    total: int

    @property
    def lost(self) -> int:
        """Number of runs that diverge."""
        return self.total - len(self.ends)

    @property
    def left_counts(self) -> tuple[int, int]:
        """Number of surviving runs left of the barrier at the first step of the authors' window, and at the end."""
        first, last = len(self.ends) * self.survivors[[FIT.start, -1]]
        return round(first), round(last)

    @property
    def slope(self) -> float:
        """Least-squares slope of ln(share of survivors) over the authors' window, per step."""
        return float(self._line[0])

    def fit(self, steps: NDArray[np.int64] | int) -> Array:
        """Return the fitted share at some steps."""
        return np.exp(np.polyval(self._line, steps))

    @property
    def _line(self) -> Array:
        steps = np.arange(len(self.survivors))[FIT]
        share = self.survivors[FIT]
        return np.polyfit(steps[share > 0], np.log(share[share > 0]), 1)


@cache
def experiment(convention: str, data_seed: int | None = DATA_SEED) -> Problem:
    """Return the problem on one fixed data set of independent x and y, or on its population (seed None)."""
    data = None
    if data_seed is not None:
        x, y = np.random.default_rng(data_seed).standard_normal((2, SAMPLES))
        data = Dataset(x=x, y=y, sampling="one epoch")
    return sticky_1d(*DEGREES, W0, convention=convention, data=data)


@cache
def barrier() -> float:
    """Return the maximum of the population loss between its two minima."""
    population = experiment(AS_RUN, None)
    (w,) = population.coordinates
    stationary = sp.real_roots(population.gradient[0])
    return float(next(root for root in stationary if population.hessian[0].subs(w, root) < 0))


@cache
def curvature(convention: str) -> float:
    """Return L''(−w0) of the population loss."""
    population = experiment(convention, None)
    return float(population.hessian[0].subs(population.coordinates[0], -W0))


def mean_square_limit() -> float:
    """Return the η·L''(−w0) beyond which fresh batches make the linearised mean square deviation grow."""
    return stability.mean_square_limit(experiment(AS_RUN, None), BATCH, at=-float(W0)) * curvature(AS_RUN)


def crisis_limit() -> float:
    """Return the η·L''(−w0) beyond which gradient descent itself leaves the sharp minimum's basin."""
    return crisis.crisis_limit(experiment(AS_RUN, None), at=-float(W0)) * curvature(AS_RUN)


def paths(problem: Problem, init: Law, replicas: int, rng: int, lr: float = LR) -> tuple[Array, NDArray[np.bool_]]:
    """Return positions, shape (replicas, steps + 1), and which runs diverge."""
    run = simulate(
        problem, SGD(lr=lr), steps=STEPS, batch_size=BATCH, replicas=replicas, init=init, rng=rng, progress=False
    )
    return run.w.values[..., 0], run.diverged_at.values >= 0


def tally(w: Array, diverges: NDArray[np.bool_]) -> Tally:
    """Count the runs left of the barrier."""
    left = w < barrier()
    inside = np.abs(w) <= 2 * float(W0)
    comes_back = np.logical_or.accumulate(inside[:, ::-1], axis=1)[:, ::-1]
    gone = diverges[:, None] & ~comes_back
    from_left = left[:, 0]
    return Tally(
        survivors=left[~diverges].mean(axis=0),
        everyone=(left & ~gone).mean(axis=0),
        diverged=gone.mean(axis=0),
        ends=w[~diverges, -1],
        fates={
            "stay": int(np.sum(from_left & left[:, -1] & ~diverges)),
            "cross": int(np.sum(from_left & ~left[:, -1] & ~diverges)),
            "diverge": int(np.sum(from_left & diverges)),
        },
        total=len(w),
    )


def escaped(convention: str, lr: float, replicas: int, rng: int) -> float:
    """Return the share of runs started at −w0 that have crossed the barrier or diverged at the end."""
    w, diverges = paths(experiment(convention), SHARP, replicas, rng, lr)
    return float(np.mean(diverges | (w[:, -1] > barrier())))


def draw_potential(axes: Axes) -> None:
    """Draw the population loss over its minimum, with both minima, the barrier and the start interval."""
    w0 = float(W0)
    w = np.linspace(-2 * w0, 2 * w0, 600)
    loss = numeric_loss(experiment(AS_RUN, None))
    excess = loss.value(w[:, None]) - loss.value([w0])
    axes.plot(w, excess, color=BLACK)
    for side, colour in ((w <= barrier(), PURPLE), (w >= barrier(), ORANGE)):
        axes.fill_between(w, 0, excess, where=side, color=colour, alpha=0.35, lw=0)
    axes.axvline(barrier(), color=GREY, ls="--", lw=1.2)
    axes.annotate("", (-2 * w0, 139), (2 * w0, 139), arrowprops={"arrowstyle": "<->", "color": BLACK})
    axes.text(1.15, 135, "runs start anywhere here", ha="center", va="top", fontsize=9.5)
    axes.text(barrier() + 0.12, 66, f"barrier {_minus(f'{barrier():g}')}", fontsize=9.5)
    sharp = f"sharp\n$L''={curvature(AS_RUN):.0f}$"
    for x, text in ((-w0, sharp), (w0, "flat\n$L''=0$")):
        axes.text(x, -4, text, ha="center", va="top", fontsize=9.5)
    axes.set(xlim=(-2.05 * w0, 2.05 * w0), ylim=(-34, 150), yticks=range(0, 151, 50))
    axes.set(xlabel="weight $w$", ylabel="$L(w)-\\min L$", title="Population loss, no ½")


def draw_escape(axes: Axes, curve: Array, marks: dict[str, float], limits: Limits) -> None:
    """Draw the escape share against learning rate × curvature, the limits, and where each convention stands."""
    axes.plot(SWEEP, curve, color=BLACK, marker=".", ms=5, lw=1.4)
    artists.limit(axes, limits.mean_square, f"mean\nsquare\n{limits.mean_square:.2f}", 0.72)
    artists.limit(axes, limits.linear, f"linear\n{limits.linear:g}", 0.72, "right")
    artists.limit(axes, limits.crisis, f"gradient\ndescent\nleaves\n{limits.crisis:.2f}", 0.3)
    for convention, fill, offset in ((AS_WRITTEN, "white", (-12, 12)), (AS_RUN, BLACK, (10, -44))):
        x, y = LR * curvature(convention), marks[convention]
        axes.plot(x, y, "s", color=BLACK, mfc=fill, mew=1.6, ms=9, zorder=4)
        side = "right" if offset[0] < 0 else "left"
        text = "\n".join([*HEADINGS[convention].split(", "), f"{x:.2f}"])
        axes.annotate(text, (x, y), offset, textcoords="offset points", ha=side, fontsize=9.5, weight="bold")
    axes.set(xlim=(SWEEP[0], SWEEP[-1]), ylim=(-0.04, 1.06), xlabel="learning rate × $L''$ at the sharp minimum")
    axes.set(ylabel=f"share escaped in {STEPS} steps", title="Runs started at the sharp minimum")


def draw_shares(axes: Axes, result: Tally, others: Sequence[Tally], convention: str) -> None:
    """Draw the shares left of the barrier and diverged against the step, on a log axis."""
    steps = np.arange(STEPS + 1)
    for k, other in enumerate(others):
        label = f"the same, {len(others)} other data sets" if k == 0 else None
        axes.plot(steps, other.survivors, color="#B5B5B5", lw=0.8, label=label)
    every = {"markevery": 5, "ms": 5}
    axes.plot(steps, result.survivors, color=BLUE, marker="o", label="left, runs that never diverge", **every)
    axes.plot(steps, result.everyone, color=GREEN, marker="^", lw=1.3, label="left, all runs", **every)
    axes.plot(steps, result.diverged, color=RED, marker="x", ls="--", label="diverged, all runs", **every)
    axes.plot(steps[FIT], result.fit(steps[FIT]), color=BLACK, lw=1.3, ls=":", zorder=3, label="fit, steps 3 to 34")
    before, after = result.left_counts
    rounding = 1e-12  # of the logarithms the slope is fitted to
    slope = np.format_float_positional(result.slope, precision=2, fractional=False, trim="-")
    slope = slope if abs(result.slope) > rounding else "0"
    axes.text(
        0.98, 0.98, _minus(f"slope {slope} a step\n{before} runs left at step 3,\n{after} at step {STEPS}"),
        transform=axes.transAxes, ha="right", va="top", fontsize=9.5,
    )  # fmt: skip
    axes.set(yscale="log", ylim=(4e-4, 3), xlim=(-1, STEPS + 1), xlabel="step")
    axes.set_title(f"Left of the barrier: {HEADINGS[convention]}")


def draw_ends(axes: Axes, result: Tally, convention: str) -> None:
    """Draw where the finite runs end, and say how many are not among them."""
    limit = 1.25 * float(W0)
    bins = np.arange(-limit, limit + 0.05, 0.05)
    axes.hist(result.ends[result.ends < barrier()], bins, color=PURPLE)
    axes.hist(result.ends[result.ends >= barrier()], bins, color=ORANGE)
    axes.axvline(barrier(), color=GREY, ls="--", lw=1.2)
    fates = result.fates
    axes.text(
        barrier() + 0.12, 0.97,
        f"{result.lost} of {result.total} runs\ndiverged\n\nof {sum(fates.values())} started left\n"
        f"{fates['stay']} end left\n{fates['cross']} end right\n{fates['diverge']} diverge",
        transform=axes.get_xaxis_transform(), va="top", fontsize=9.5,
    )  # fmt: skip
    axes.set(xlim=(-limit, limit), xlabel=f"$w$ after {STEPS} steps, finite runs")
    axes.set_title(f"Where runs end: {HEADINGS[convention]}")


def draw(
    results: dict[str, Tally], others: dict[str, list[Tally]], curve: Array, marks: dict[str, float], limits: Limits
) -> Figure:
    """Lay the panels out: what is run and why it escapes above, both conventions side by side below."""
    with style():
        figure = Figure(figsize=(9.6, 10.4))
        figure.get_layout_engine().set(h_pad=0.1)
        axes = figure.subplots(3, 2)
        draw_potential(axes[0, 0])
        draw_escape(axes[0, 1], curve, marks, limits)
        for column, convention in enumerate(HEADINGS):
            draw_shares(axes[1, column], results[convention], others[convention], convention)
            draw_ends(axes[2, column], results[convention], convention)
        for row, label in ((1, "share of runs"), (2, "runs a bin")):
            axes[row, 1].sharey(axes[row, 0])
            axes[row, 0].set_ylabel(label)
        axes[1, 1].legend(loc="lower right")
    return figure


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Run the experiment in both conventions and draw it."""
    replicas = 2_000 if quick else 10_000

    def run(convention: str, data_seed: int) -> Tally:
        return tally(*paths(experiment(convention, data_seed), START, replicas, rng))

    results = {convention: run(convention, DATA_SEED) for convention in HEADINGS}
    others = {convention: [run(convention, seed) for seed in OTHER_DATA_SEEDS] for convention in HEADINGS}
    curve = np.array([escaped(AS_RUN, x / curvature(AS_RUN), replicas, rng) for x in SWEEP])
    marks = {convention: escaped(convention, LR, replicas, rng) for convention in HEADINGS}
    limits = Limits(mean_square_limit(), float(stability_limit(SGD())), crisis_limit())
    return Picture(
        name="sticky_experiment",
        title="The published escape from a sharp minimum is linear instability",
        caption=caption(results, others[AS_RUN], marks, limits, rng),
        claims=("DEG-31",),
        figure=draw(results, others, curve, marks, limits),
    )


def caption(
    results: dict[str, Tally], others: Sequence[Tally], marks: dict[str, float], limits: Limits, rng: int
) -> str:
    """Say what is drawn, with the numbers of the run, one paragraph a row of panels."""
    run, written = results[AS_RUN], results[AS_WRITTEN]
    first, last = FIT.start, FIT.stop - 1
    elsewhere = sorted(float(other.survivors[last]) for other in others)
    mean_square_x = float(np.mean(experiment(AS_RUN).data.values[:, 0] ** 2))
    escapes = {convention: round(share * run.total) for convention, share in marks.items()}
    setting = (
        f"SGD with learning rate {LR:g} on L = (Q(w)x − y)², Q = (w + {float(W0):g})(w − {float(W0):g})²: "
        f"{run.total:,} runs from uniform starts (seed {rng}), {STEPS} steps, one shuffled epoch of {SAMPLES:,} "
        f"independent normal pairs (x, y) in batches of {BATCH}. The authors' data came from PyTorch, these from NumPy "
        f"(seed {DATA_SEED}, mean x² = {mean_square_x:.3f}). Their program has this loss, so that learning rate × "
        f"curvature at the sharp minimum is {LR * curvature(AS_RUN):.2f}; their text has half the loss, hence "
        f"{LR * curvature(AS_WRITTEN):.2f}."
    )
    top = (
        f"Top right: of {run.total:,} runs started exactly at the sharp minimum, {escapes[AS_RUN]:,} leave it without "
        f"the ½ and {escapes[AS_WRITTEN]:,} with it. The curve is the loss without ½ at other learning rates. Lines: "
        f"the limit of mean-square stability with fresh batches of {BATCH} ({limits.mean_square:.3f}), that of linear "
        f"stability ({limits.linear:g}), and the value beyond which even gradient descent without noise leaves the "
        f"basin ({limits.crisis:.3f}, where the highest image of the basin meets the barrier)."
    )
    middle = (
        f"Middle: the published count takes only runs that never diverge. The authors' notebook shows a straight line "
        f"from about 0.3 to 10⁻³ between steps {first} and {last}. Here the share falls from "
        f"{run.survivors[first]:.2g} to {run.survivors[last]:.2g} (slope of its logarithm "
        f"{_minus(f'{run.slope:.3f}')} a step), and on {len(others)} other data sets of the same law to between "
        f"{elsewhere[0]:.1g} and {elsewhere[-1]:.1g}. With the ½, {written.left_counts[0]:,} such runs are left of the "
        f"barrier at step {first} and {written.left_counts[1]:,} at the end."
    )
    bottom = (
        f"A run counts as diverged from the step at which it is outside the start interval for good: {run.lost:,} runs "
        f"without the ½, {written.lost:,} with it, most of them thrown by the steep walls in the first step. Bottom: "
        f"of {sum(run.fates.values()):,} runs that start on the sharp side, {run.fates['stay']:,} end there without "
        f"the ½ and {written.fates['stay']:,} with it."
    )
    return "\n\n".join((setting, top, middle, bottom))


def _minus(text: str) -> str:
    return text.replace("-", "−")
