"""How the fraction of parameters that help comes to one half: by the gradient sinking into its own noise.

SGD on parabolas of three curvatures. Every parameter's law is normal at every step, so that the probability that its
move lowers the loss is an integral of the closed form for a single step.
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
from sgdtheory.derive.moments import covariance_step
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, save, style
from sgdtheory.theory.loss_change_allocation.half_help import help_probability

LR, BATCH_SIZE, NOISE, START, STEPS = sp.Rational(1, 10), 4, 4, 6, 200
CURVATURES = {
    sp.Integer(12): Look("$\\eta h=1.2$", RED, "s", "--"),
    sp.Integer(1): Look("$\\eta h=0.1$", BLUE, "o", "-"),
    sp.Rational(1, 5): Look("$\\eta h=0.02$", GREEN, "^", "-."),
}
ALL = Look("all parameters", BLACK, "D", ":")
SHARPNESSES = {
    0.1: Look("$\\eta h=0.1$", BLUE, "o", "-"),
    1.0: Look("$\\eta h=1$", ORANGE, "v", (0, (5, 1))),
    1.5: Look("$\\eta h=1.5$", PURPLE, "P", "--"),
}
LECTURES = Look("$\\eta h=0.5$, as at $B^*$", GREEN, "D", "-.")
_z = np.linspace(-8, 8, 2001)
_NORMAL = np.exp(-(_z**2) / 2) / np.sqrt(2 * np.pi) * (_z[1] - _z[0])


class Helped(NamedTuple):
    """Fractions of runs in which each parameter helped, shape (steps, parameters), and their numbers."""

    fraction: np.ndarray
    replicas: int
    diverged: int


def simulate(replicas: int, rng: np.random.SeedSequence) -> Helped:
    """Run SGD on all parabolas and allocate every step."""
    hessian = sp.diag(*CURVATURES)
    problem = sgd.quadratic(hessian, NOISE * sp.eye(len(CURVATURES)))
    run = sgd.simulate(
        problem, sgd.SGD(lr=LR), steps=STEPS, replicas=replicas, init=[START] * len(CURVATURES),
        batch_size=BATCH_SIZE, rng=rng,
    )  # fmt: skip
    helped = sgd.lca(run, problem, "exact").helped
    return Helped(helped.mean("replica").values, replicas, run.attrs["diverged"])


def predicted(curvature: sp.Expr) -> np.ndarray:
    """Return the probability of helping at every step, shape (steps,), along the exact normal law of the parameter."""
    r, V = sp.symbols("r V", positive=True)
    help_at = on_arrays([r], [help_probability(r, LR * curvature)])
    problem = sgd.quadratic(curvature, NOISE)
    advance = sp.lambdify(V, covariance_step(problem, sgd.SGD(lr=LR), BATCH_SIZE, sp.Matrix([[V]]))[0, 0])
    error, mean, variance, chances = np.sqrt(NOISE / BATCH_SIZE), float(START), 0.0, []
    for _ in range(STEPS):
        gradient = float(curvature) * (mean + np.sqrt(variance) * _z)
        chances.append(_NORMAL @ help_at(np.abs(gradient) / error)[0])
        mean, variance = mean * (1 - float(LR * curvature)), float(advance(variance))
    return np.array(chances)


def three_errors(fraction: np.ndarray, count: int) -> np.ndarray:
    """Return 3 standard errors of a fraction of so many, those of one in all where there is none."""
    return 3 * np.sqrt(np.maximum(fraction * (1 - fraction), 1 / count) / count)


def draw_steps(axes: Axes, runs: Helped) -> None:
    """Draw the fraction of runs in which a parameter helped, against time."""
    step, shown = np.arange(1, STEPS + 1), np.unique(np.geomspace(1, STEPS, 18).round().astype(int)) - 1
    lines = [predicted(curvature) for curvature in CURVATURES]
    looks = [*CURVATURES.values(), ALL]
    columns = [*runs.fraction.T, runs.fraction.mean(axis=1)]
    counts = [runs.replicas] * len(CURVATURES) + [runs.replicas * len(CURVATURES)]
    for look, line, fraction, count in zip(looks, [*lines, np.mean(lines, axis=0)], columns, counts, strict=True):
        artists.theory(axes, step, line, look)
        artists.measured(axes, step[shown], fraction[shown], look, three_errors(fraction[shown], count))
    axes.axhline(0.5, color=BLACK, linewidth=0.9)
    axes.set(
        xscale="log", ylim=(0.4, 1.02), xlabel="step (number)", ylabel="runs in which a parameter helps (fraction)",
        title="a  From a distant start",
    )  # fmt: skip
    artists.legend(axes, looks, loc="upper right")


def draw_single_step(axes: Axes, replicas: int, rng: np.random.SeedSequence) -> None:
    """Draw the probability that one step helps against the gradient in standard errors."""
    r = artists.log_grid(0.03, 10, 60)
    points = artists.log_grid(0.05, 8, 5)
    draw = np.random.default_rng(rng)
    for sharpness, look in ({0.5: LECTURES} | SHARPNESSES).items():
        artists.theory(axes, r, on_arrays([symbols.standard_errors], [
            help_probability(symbols.standard_errors, sharpness)
        ])(r)[0], look)  # fmt: skip
        estimate = points + draw.standard_normal((replicas, points.size))  # in standard errors; the loss is ½h|θ|²
        helped = (np.abs(points - sharpness * estimate) < points).mean(axis=0)
        artists.measured(
            axes, points, helped, look, 3 * np.sqrt(np.maximum(helped * (1 - helped), 1 / replicas) / replicas)
        )
    artists.limit(axes, 4, "$B=B^*$", 0.12, "right")
    axes.axhline(0.5, color=BLACK, linewidth=0.9)
    axes.set(
        xscale="log", ylim=(0, 1.02), ylabel="probability that the step helps (fraction)",
        xlabel="$r=\\sqrt{B/B_{\\rm simple}}$ (standard errors)", title="b  One step",
    )  # fmt: skip
    artists.legend(axes, [LECTURES, *SHARPNESSES.values()], loc="upper left")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas = 2_000 if quick else 40_000
    runs_seed, step_seed = np.random.SeedSequence(rng).spawn(2)
    runs = simulate(replicas, runs_seed)
    with style():
        figure = Figure(figsize=(9.6, 4.3))
        left, right = figure.subplots(1, 2)
        draw_steps(left, runs)
        draw_single_step(right, replicas, step_seed)
    return Picture(
        "half_help", "Half of the parameters help", caption(runs, rng), ("LCA-11", "LCA-12"), figure
    )  # fmt: skip


def caption(runs: Helped, rng: int) -> str:
    """Say what is drawn, with the numbers of the runs."""
    first, last = runs.fraction[0].mean(), runs.fraction[-STEPS // 4 :].mean()
    stated = np.mean([predicted(curvature)[-STEPS // 4 :] for curvature in CURVATURES])
    return (
        f"SGD (η = {float(LR):g}, B = {BATCH_SIZE}, noise variance {NOISE}) on parabolas of three curvatures from w = "
        f"{START}; lines from theory, markers {runs.replicas:,} runs with bars of 3 standard errors (seed {rng}; "
        f"{runs.diverged} of {runs.replicas:,} runs diverged). In the first step {first:.0%} of the moves help; as the "
        f"gradient sinks into its noise the fraction falls to one half, in the last quarter to {last:.4f} (theory "
        f"{stated:.4f}). b: a step helps if it has the right sign and does not overshoot; almost pure noise hurts."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "half_help.png")
