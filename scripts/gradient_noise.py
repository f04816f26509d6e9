"""Gradient noise against curvature beside zeros of degree 1 to 4: proportional, by a factor for each degree.

Lines are exact; markers are the variance of one SGD step over many runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, GREY, MARKERS, SERIES, save, style
from sgdtheory.theory.degenerate.noise import noise_of_power, noise_over_curvature

Vector = NDArray[np.float64]
DEGREES = (1, 2, 3, 4)
STEPS = ("-", "--", "-.", (0, (1, 1)))
LOOKS = {
    k: Look(
        f"$k={k}$: $C\\to\\frac{{{k}}}{{{2 * k - 1}}}\\,\\sigma^2H$".replace("\\frac{1}{1}\\,", ""), color, marker, line
    )
    for k, color, marker, line in zip(DEGREES, SERIES, MARKERS, STEPS, strict=False)
}
PRINTED = Look("one constant, $C=\\sigma^2H$", GREY, "", ":")
NEAR = (0.15, 0.3, 0.5, 0.75, 1.0)
LR = 0.01
UNITS = {
    symbols.noise_std: 1, symbols.input_square: 1, symbols.input_fourth: 3, symbols.leading_coefficient: 1,
}  # fmt: skip


class Measured(NamedTuple):
    """Variance of one example's gradient with its standard error, and how many runs of its degree diverged."""

    variance: float
    error: float
    diverged: int


def model(degree: int) -> sgd.Problem:
    """Return f(w, x) = w^k x with normal inputs and labels."""
    return sgd.single_feature(f"w**{degree}", ["w"])


def curvature(degree: int, w: Vector) -> Vector:
    """Return the second derivative of the loss."""
    return sgd.numeric_loss(model(degree)).hessian(w[:, np.newaxis])[:, 0, 0]


def noise(degree: int, w: Vector) -> Vector:
    """Return the exact variance of one example's gradient."""
    formula = noise_of_power().subs({**UNITS, symbols.degree_1: degree})
    function = sp.lambdify((symbols.distance, symbols.curvature_here), formula)
    return np.asarray(function(w, curvature(degree, w)) * np.ones_like(w))


def one_step(degree: int, replicas: int, seed: np.random.SeedSequence) -> list[Measured]:
    """Take one step from each distance in many runs; its variance over η² is that of the gradient."""
    start = np.repeat(NEAR, replicas)[:, np.newaxis]
    run = sgd.simulate(
        model(degree), sgd.SGD(lr=LR), steps=1, replicas=len(start), init=start, batch_size=1, record=[1], rng=seed
    )  # fmt: skip
    moves = ((run.w.to_numpy()[:, 0] - start) / LR).reshape(len(NEAR), replicas)
    squares = (moves - moves.mean(axis=1, keepdims=True)) ** 2
    error = squares.std(axis=1) / np.sqrt(replicas)
    return [Measured(*row, int(run.attrs["diverged"])) for row in zip(squares.mean(axis=1), error, strict=True)]


def draw(left: Axes, right: Axes, seen: dict[int, list[Measured]]) -> None:
    """Draw C against H, and their ratio against the distance from the zero."""
    line, points = np.geomspace(0.08, 1.6, 80), np.array(NEAR)
    for k, look in LOOKS.items():
        value, error = (np.array([getattr(m, name) for m in seen[k]]) for name in ("variance", "error"))
        h = curvature(k, points)
        if k > 1:
            artists.theory(left, curvature(k, line), noise(k, line), look)
        artists.measured(left, h, value, look, 3 * error)
        artists.theory(right, line, noise(k, line) / curvature(k, line), look)
        artists.measured(right, points, value / h, look, 3 * error / h)
        limit = float(noise_over_curvature(k))
        right.annotate(
            f"{noise_over_curvature(k)}", (0.08, limit), xytext=(-6, {2: 4, 4: -5}.get(k, 0)),
            textcoords="offset points", ha="right", va="center", fontsize=9.5, color=look.color,
        )  # fmt: skip
    h = np.array([1e-5, 3e2])
    artists.theory(left, h, h, PRINTED)
    left.set(
        xscale="log", yscale="log", xlim=(1e-5, 3e2), ylim=(3e-6, 1e4),
        xlabel="curvature $H$ (units of $\\mathrm{E}\\,x^2$)",
        ylabel="gradient noise $C$ (units of $\\sigma^2\\mathrm{E}\\,x^2$)", title="a  Noise against curvature",
    )  # fmt: skip
    artists.legend(left, [*LOOKS.values(), PRINTED], loc="upper left")
    right.axhline(1, color=BLACK, linestyle=":", linewidth=1.2)
    right.set(
        xscale="log", ylim=(0.4, 2.3), xlim=(0.055, 1.7), xlabel="distance from the zero $|w|$ (dimensionless)",
        ylabel="$C/(\\sigma^2H)$ (dimensionless)", title="b  Their ratio",
    )  # fmt: skip


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas = 20_000 if quick else 1_000_000
    seeds = np.random.SeedSequence(rng).spawn(len(DEGREES))
    seen = {k: one_step(k, replicas, seed) for k, seed in zip(DEGREES, seeds, strict=True)}
    with style():
        figure = Figure(figsize=(9.6, 4.3))
        draw(*figure.subplots(1, 2), seen)
    title = "Gradient noise is proportional to the Hessian, but not by one constant"
    return Picture("gradient_noise", title, caption(seen, replicas, rng), ("DEG-01", "DEG-03"), figure)


def caption(seen: dict[int, list[Measured]], replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    diverged = sum(row[0].diverged for row in seen.values())
    exact = {k: noise(k, np.array(NEAR)) for k in DEGREES}
    off = max(abs(m.variance - c) / m.error for k in DEGREES for c, m in zip(exact[k], seen[k], strict=True))
    return (
        f"One example's gradient of ½(w^k x − y)², normal inputs and labels: its variance in {replicas:,} runs of one "
        f"step for each point (seed {rng}; {diverged} of {replicas * len(NEAR) * len(DEGREES):,} runs diverged), bars "
        f"of 3 standard errors, off the exact lines by at most {off:.1f}. As w → 0 the ratio of noise to σ² times "
        "curvature tends to k/(2k − 1): 1, 2/3, 3/5, 4/7, so that no constant holds for minima of different degrees. "
        "Away from the zero noise of the model's own error comes in, of higher order by w^(2k)."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "gradient_noise.png")
