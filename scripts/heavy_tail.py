"""Heavy tails of SGD: how often |w| is beyond u in the long run, and the exponent against the learning rate.

Lines are Kesten's power law with its exact constant, and the Student law of the diffusion limit; markers are long runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t as student

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, RED, save, style
from sgdtheory.theory.stationarity.diffusion_tail import (
    diffusion_tail_exponent,
    leading_exponent,
    small_step_exponent,
)
from sgdtheory.theory.stationarity.heavy_tails import STATED, multiplier

UNITS = {symbols.curvature: 1, symbols.noise_std: 1, symbols.batch_size: 1}
LR = 2 / 3  # κ = 2
RATES = (0.5, LR, 0.9, 1.3)
FAR = {0.5: 6, LR: 8, 0.9: 20, 1.3: 100}  # thresholds beyond which the tail is a power law
KESTEN = Look("$C/u^2$, exact constant", BLUE, "o", "-")
DIFFUSION = Look("diffusion limit", RED, "", "--")
EXPONENT = Look("SGD, $E|1-\\eta x^2|^\\kappa=1$", BLUE, "o", "-")
EXPANSION = Look("its expansion for small $\\eta h$", GREEN, "", "-.")
STUDENT = Look("diffusion limit, $\\nu=1+1/\\eta h$", RED, "", "--")


class Tail(NamedTuple):
    """Absolute values at the end of the runs, sorted, and how many runs diverged."""

    sizes: np.ndarray
    diverged: int


def long_run(lr: float, replicas: int, rng: np.random.SeedSequence) -> Tail:
    """Run SGD from the minimum until the tail shown is there."""
    run = sgd.simulate(
        sgd.linear_regression(1),
        sgd.SGD(lr=lr),
        steps=80,
        replicas=replicas,
        init=0,
        record=[80],
        rng=rng,
    )
    return Tail(np.sort(np.abs(run.w.values[:, -1, 0])), run.attrs["diverged"])


def hill(tail: Tail, threshold: float) -> tuple[float, float]:
    """Return Hill's estimate of the tail exponent beyond a threshold, and its standard error."""
    beyond = tail.sizes[tail.sizes > threshold]
    value = 1 / np.log(beyond / threshold).mean()
    return float(value), float(value / np.sqrt(len(beyond)))


def diffusion_beyond(u: np.ndarray, lr: float) -> np.ndarray:
    """Return P(|w| > u) of the diffusion limit: w√(2νh)/σ is Student's t with ν degrees of freedom."""
    dof = float(diffusion_tail_exponent().subs(UNITS).subs(symbols.lr, lr))
    return np.asarray(2 * student.sf(u * np.sqrt(2 * dof), dof))


def draw_tail(axes: Axes, tail: Tail, far: float) -> None:
    """Draw how often |w| is beyond u."""
    constant = float(STATED[symbols.tail_weight].subs(UNITS).subs(symbols.tail_growth, multiplier(LR).slope(2)))
    u = artists.log_grid(1.2, far, 60)
    artists.theory(axes, u, constant / u**2, KESTEN)
    artists.theory(axes, u, diffusion_beyond(u, LR), DIFFUSION)
    points = artists.log_grid(0.3, far, 4)
    share = 1 - np.searchsorted(tail.sizes, points, side="right") / len(tail.sizes)
    error = np.sqrt(share * (1 - share) / len(tail.sizes))
    kept = share > 4 * error  # at least some 16 runs beyond
    artists.measured(axes, points[kept], share[kept], KESTEN, 3 * error[kept])
    axes.set(
        xscale="log", yscale="log", xlabel="$u$ (units of $\\sigma/\\sqrt{h}$)",
        ylabel="$P(|w|>u)$ (probability)", title="a  Long run at $\\eta h=2/3$, $B=1$",
    )  # fmt: skip
    artists.legend(axes, [KESTEN, DIFFUSION], loc="lower left")


def draw_exponents(axes: Axes, tails: dict[float, Tail], per_decade: int) -> None:
    """Draw exponents times ηh against ηh."""
    lr = artists.log_grid(0.002, 2.3, per_decade)
    artists.theory(axes, lr, lr * np.array([multiplier(x).tail_exponent() for x in lr]), EXPONENT)
    for formula, look in ((small_step_exponent(), EXPANSION), (diffusion_tail_exponent(), STUDENT)):
        artists.theory(axes, lr, lr * sp.lambdify(symbols.lr, sp.N(formula.subs(UNITS)))(lr), look)
    estimates = np.array([hill(tails[x], FAR[x]) for x in RATES])
    rates = np.array(RATES)
    artists.measured(axes, rates, rates * estimates[:, 0], EXPONENT, 3 * rates * estimates[:, 1])
    limit = float(leading_exponent().subs(UNITS))
    for level, text in ((limit, f"$1/2W(1/e)={limit:.3f}$"), (1, "1")):
        axes.axhline(level, color=BLACK, linestyle=":", linewidth=1.2)
        axes.annotate(
            text,
            (0, level),
            xycoords=axes.get_yaxis_transform(),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=9.5,
        )
    artists.limit(axes, LR, "$\\kappa=2$", 0.95, "right")
    axes.lines[-1].set_color(GREY)
    axes.set(
        xscale="log", ylim=(0, 3.3), xlabel="learning rate × curvature $\\eta h$ (dimensionless)",
        ylabel="tail exponent × $\\eta h$ (dimensionless)", title="b  Tail exponents",
    )  # fmt: skip
    artists.legend(axes, [EXPONENT, EXPANSION, STUDENT], loc="upper left")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas = 60_000 if quick else 3_000_000
    seeds = np.random.SeedSequence(rng).spawn(len(RATES))
    sizes = [replicas if lr == LR else replicas // 3 for lr in RATES]
    tails = {lr: long_run(lr, size, seed) for lr, size, seed in zip(RATES, sizes, seeds, strict=True)}
    with style():
        figure = Figure(figsize=(9.6, 4.3))
        left, right = figure.subplots(1, 2)
        draw_tail(left, tails[LR], 30 if quick else 200)
        draw_exponents(right, tails, 8 if quick else 30)
    title = "Kesten's power law, and the diffusion that misses it"
    return Picture("heavy_tail", title, caption(tails, rng), ("STA-04", "STA-05"), figure)


def caption(tails: dict[float, Tail], rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    value, error = hill(tails[LR], FAR[LR])
    dof = float(diffusion_tail_exponent().subs(UNITS).subs(symbols.lr, LR))
    total, diverged = sum(len(tail.sizes) for tail in tails.values()), sum(tail.diverged for tail in tails.values())
    sizes = tails[LR].sizes
    beyond = 1 - np.searchsorted(sizes, 20.0) / len(sizes)
    ratio = beyond / float(diffusion_beyond(np.array(20.0), LR))
    return (
        "SGD on linear regression with one normal input (h = σ = B = 1), 80 steps from the minimum; bars are 3 "
        f"standard errors (seed {rng}; {diverged} of {total:,} runs diverged). At ηh = 2/3 the tail exponent is "
        f"exactly 2, and Hill's estimate beyond u = {FAR[LR]:g} is {value:.3f} ± {error:.3f}; the diffusion limit "
        f"has {dof:g} and puts {ratio:.1f} times too little beyond u = 20. As ηh → 0 the exponent times ηh tends to "
        f"{float(leading_exponent().subs(UNITS)):.3f}, that of the diffusion to 1."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "heavy_tail.png")
