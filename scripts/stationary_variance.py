"""Stationary variance against momentum: heavy ball, its averaged form and Nesterov on the scalar mean problem.

Lines solve the discrete Lyapunov equation, markers are simulated long runs. At small lr × curvature the averaged form
keeps the variance of plain SGD, as the lectures say; at large lr × curvature momentum changes it, and Nesterov has a
limit of stability in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sympy as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import sgdtheory as sgd
from sgdtheory import symbols
from sgdtheory.derive.moments import stationary_variance
from sgdtheory.derive.stability import stability_limit, step_matrix
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, RED, save, style

Rule = Callable[..., sgd.Optimizer]
μ, h, σ = symbols.momentum, symbols.curvature, symbols.noise_std
LEARNING_RATES = (0.1, 1.5)
BATCH_SIZE = 4
SCALAR_MEAN = {h: 1, σ: 1}
MOMENTA = (0, 0.15, 0.3, 0.42, 0.6, 0.75, 0.87, 0.95)
FORGOTTEN = 1e-4  # runs last until less than this fraction of the start is left in the variance
LOOKS = {
    sgd.Momentum: Look("heavy ball, $v'=\\mu v+\\eta\\hat g$", BLUE, "o", "-"),
    sgd.Nesterov: Look("Nesterov, $\\hat g$ at the look-ahead", GREEN, "^", "-."),
    sgd.EMAMomentum: Look("averaged, $v'=\\mu v+(1-\\mu)\\hat g$", RED, "s", "--"),
}
NO_EFFECT = Look("lectures: no effect of momentum", BLACK, "", ":")


class Point(NamedTuple):
    """One simulated variance beside its formula."""

    momentum: float
    simulated: float
    standard_error: float
    predicted: float
    diverged: int


@cache
def predicted(rule: Rule, lr: float) -> Callable[[float | np.ndarray], float | np.ndarray]:
    """Return the stationary variance as a function of momentum."""
    return sp.lambdify(μ, stationary_variance(rule(lr=lr), BATCH_SIZE).subs(SCALAR_MEAN))


@cache
def last_stable_momentum(rule: Rule, lr: float) -> float:
    """Return the momentum above which the rule diverges at this learning rate, 1 if it never does."""
    crossings = sp.solve(sp.Eq(stability_limit(rule()), lr * SCALAR_MEAN[h]), μ)
    return min((float(m) for m in crossings if 0 < m < 1), default=1.0)


def simulated(
    rule: Rule, lr: float, momenta: Sequence[float], replicas: int, seed: np.random.SeedSequence
) -> Iterator[Point]:
    """Run to stationarity at every stable momentum."""
    stable = [m for m in momenta if m < last_stable_momentum(rule, lr)]
    for momentum, child in zip(stable, seed.spawn(len(stable)), strict=True):
        optimizer = rule(lr=lr, momentum=momentum)
        radius = np.abs(np.linalg.eigvals(np.array(step_matrix(optimizer, SCALAR_MEAN[h]), dtype=float))).max()
        steps = int(np.ceil(np.log(FORGOTTEN) / (2 * np.log(radius))))
        run = sgd.simulate(
            sgd.scalar_mean(noise_std=SCALAR_MEAN[σ]), optimizer, steps=steps, replicas=replicas, init=0,
            batch_size=BATCH_SIZE, record=[steps], rng=child,
        )  # fmt: skip
        variance = float(run.w.var(ddof=1))
        expected = predicted(rule, lr)(momentum)
        yield Point(momentum, variance, expected * np.sqrt(2 / (replicas - 1)), expected, run.attrs["diverged"])


def draw(axes: Axes, ratio_axes: Axes, lr: float, points: dict[Rule, list[Point]]) -> None:
    """Draw variances above, simulated ÷ theory below."""
    for rule, look in LOOKS.items():
        edge = last_stable_momentum(rule, lr)
        momentum = np.linspace(0, min(edge, 0.97) - 1e-3, 300)
        artists.theory(axes, momentum, predicted(rule, lr)(momentum), look)
        m, value, error, theory, _ = np.array(points[rule]).T
        artists.measured(axes, m, value, look, 3 * error)
        offset = 0.012 * (
            list(LOOKS).index(rule) - 1
        )  # side by side, so that bars of one momentum do not hide each other
        artists.measured(ratio_axes, m + offset, value / theory, look, 3 * error / theory)
        if edge < 1:
            artists.limit(axes, edge, f"{rule.__name__} stable\nonly for $\\mu<{edge:g}$", 0.12, "right")
            ratio_axes.axvline(edge, color=BLACK, linestyle=":", linewidth=1.2)
    plain = float(stationary_variance(sgd.SGD(lr=lr), BATCH_SIZE).subs(SCALAR_MEAN))
    artists.theory(axes, [0, 0.97], [plain, plain], NO_EFFECT)
    axes.set(yscale="log", title=f"$\\eta h={lr:g}$")
    ratio_axes.axhline(1, color=BLACK, linewidth=0.9)
    ratio_axes.set(xlabel="momentum $\\mu$ (dimensionless)")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas, momenta = (2_000, MOMENTA[::3]) if quick else (40_000, MOMENTA)
    seeds = iter(np.random.SeedSequence(rng).spawn(len(LEARNING_RATES) * len(LOOKS)))
    points = {
        lr: {rule: list(simulated(rule, lr, momenta, replicas, next(seeds))) for rule in LOOKS} for lr in LEARNING_RATES
    }
    with style():
        figure = Figure(figsize=(9.6, 5.6))
        axes = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(5, 2))
        for column, lr in enumerate(LEARNING_RATES):
            draw(*axes[:, column], lr, points[lr])
        axes[0, 0].set_ylabel("stationary variance of $\\beta$ (units of $\\beta^2$)")
        axes[1, 0].set_ylabel("simul. ÷ theory")
        artists.legend(axes[0, 0], [*LOOKS.values(), NO_EFFECT], loc="upper left")
    return Picture(
        "stationary_variance", "Momentum and the stationary variance", caption(points, replicas, rng),
        ("MCA-10", "MCA-15"), figure,
    )  # fmt: skip


def caption(points: dict[float, dict[Rule, list[Point]]], replicas: int, rng: int) -> str:
    """Say what is drawn, with the numbers of the run."""
    flat = [p for rules in points.values() for series in rules.values() for p in series]
    worst = max(abs(p.simulated - p.predicted) / p.standard_error for p in flat)
    averaged = [points[lr][sgd.EMAMomentum] for lr in LEARNING_RATES]
    small, large = (series[0].predicted / series[-1].predicted for series in averaged)
    edge = last_stable_momentum(sgd.Nesterov, LEARNING_RATES[1])
    diverged = f"{sum(p.diverged for p in flat)} of {replicas * len(flat):,}"
    limit = str(stability_limit(sgd.Nesterov())).replace("mu", "μ")
    return (
        f"Scalar mean problem (h = {SCALAR_MEAN[h]}, σ = {SCALAR_MEAN[σ]}, B = {BATCH_SIZE}): variance of the "
        f"parameter in the long run; lines are the exact solutions, markers {replicas:,} replicas each with bars of 3 "
        f"standard errors (seed {rng}; {diverged} runs diverged). The largest deviation of {len(flat)} points is "
        f"{worst:.1f} standard errors. With averaged gradients, going from μ = 0 to {averaged[0][-1].momentum:g} "
        f"divides the variance by {small:.2f} at ηh = {LEARNING_RATES[0]:g} and by {large:.2f} at "
        f"ηh = {LEARNING_RATES[1]:g}: momentum has no effect at small ηh only. Nesterov is stable up to μ = {edge:g}, "
        f"where ηh meets its limit {limit}."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "stationary_variance.png")
