"""The published sweeps of the sticky escape rate, done again, and what decides the rate: learning rate × curvature.

Corlouer and Macé (2024) plot the slope of the logarithm of the share of runs left of the barrier against the distance
of the minima, the learning rate and the batch size. All three are one number, η·L''(−w0), and a little noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import sympy as sp
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import sgdtheory as sgd
from sgdtheory.derive.search import bisect
from sgdtheory.derive.stability import stability_limit
from sgdtheory.measure.crisis import crisis_limit
from sgdtheory.measure.escape import Escape, escape
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREY, RED, style
from sgdtheory.theory.degenerate.sharp_minimum import sharp_curvature

Array = NDArray[np.float64]
Z, W0 = sp.Symbol("z", real=True), sp.Symbol("w0", positive=True)
SAMPLES, PUBLISHED_W0, PUBLISHED_LR, PUBLISHED_BATCH = 500, 1.8, 0.01, 25
FIRST, LEAST = 3, 1e-3  # the published line is fitted from step 3 until the share falls below 10⁻³
DATA_SEEDS = 8
PUBLISHED = {
    "w0": {1.6: 0.0, 1.65: 0.005, 1.7: 0.025, 1.75: 0.07, 1.8: 0.135, 1.85: 0.20, 1.9: 0.29},
    "lr": {0.006: 0.0, 0.007: 0.0, 0.008: 0.03, 0.009: 0.08, 0.01: 0.135, 0.011: 0.19, 0.012: 0.255},
    "batch_size": {10: 0.17, 50: 0.155, 90: 0.155, 130: 0.145, 230: 0.09},
}
"""What the authors' figures show: value swept → rate a step, read off to about 0.005."""
FEWEST = 3  # points a slope needs

READ = Look("published, one data set", BLACK, "s", "")
OURS = Look("here, mean ± s.d. over data sets", BLUE, "o", "")
NOISY = Look("SGD, fresh batches of 25", BLUE, "o", "")
QUIET = Look("gradient descent", RED, "^", "")


class Limits(NamedTuple):
    """Values of η·L''(−w0) at which something changes."""

    mean_square: float
    linear: float
    almost_sure: float
    crisis: float


def landscape(data: sgd.Dataset | None = None) -> sgd.Problem:
    """Return the sticky problem in z = w/w0, scaled so that the learning rate stays what it is in w."""
    x, y = sp.symbols("x y", real=True)
    law = sgd.Fresh(x=sgd.Normal(0, 1), y=sgd.Normal(0, 1)) if data is None else data
    residual = W0**3 * (Z + 1) * (Z - 1) ** 2 * x - y
    return sgd.Problem((residual / W0) ** 2, [Z], law, name="sticky 1-D in z = w/w0", convention="squared error")


@cache
def data_set(seed: int) -> sgd.Dataset:
    """Return independent normal pairs, shuffled anew for every run."""
    x, y = np.random.default_rng(seed).standard_normal((2, SAMPLES))
    return sgd.Dataset(x=x, y=y, sampling="one epoch")


def published_slope(z: Array, finite: NDArray[np.bool_]) -> float:
    """Return minus the slope of the log share left of the barrier among finite runs; NaN of under 3 points."""
    share = (z[finite] < -1 / 3).mean(axis=0)
    below = np.flatnonzero(share < LEAST)
    steps = np.arange(FIRST, below[0] if below.size else share.size)
    if steps.size < FEWEST:
        return float("nan")
    return float(-np.polyfit(steps, np.log(share[steps]), 1)[0])


def rates(name: str, seed: int, replicas: int) -> Array:
    """Return the published statistic on one data set at the values of one sweep."""
    values = list(PUBLISHED[name])
    if name == "batch_size":
        return np.array([_slopes(seed, replicas, PUBLISHED_LR, PUBLISHED_W0, int(size))[0] for size in values])
    at = {"w0": PUBLISHED_W0, "lr": PUBLISHED_LR} | {name: values}
    return _slopes(seed, replicas, at["lr"], at["w0"], PUBLISHED_BATCH)


def _slopes(seed: int, replicas: int, lr: object, w0: object, size: int) -> Array:
    run = sgd.simulate(
        landscape(data_set(seed)), sgd.SGD(lr=lr), parameters={"w0": w0}, steps=SAMPLES // size, batch_size=size,
        replicas=replicas, init=sgd.Uniform(-2, 2), rng=seed, progress=False,
    )  # fmt: skip
    paths = run.w.values[..., 0].reshape(-1, replicas, SAMPLES // size + 1)
    finite = run.diverged_at.values.reshape(-1, replicas) < 0
    return np.array([published_slope(z, ok) for z, ok in zip(paths, finite, strict=True)])


def curvature() -> float:
    """Return L''(−1) in z at w0 = 1, so that η·L'' is 32ηw0⁴."""
    return float(sharp_curvature("squared error", 1))


def limits() -> Limits:
    """Compute the four limits for fresh batches of 25 at the published w0."""
    problem, unit = landscape().bind(w0=PUBLISHED_W0), curvature() * PUBLISHED_W0**4
    mean_square = sgd.mean_square_limit(problem, PUBLISHED_BATCH, at=-1.0) * unit
    return Limits(mean_square, float(stability_limit(sgd.SGD())), almost_sure(), crisis_limit(problem, -1.0) * unit)


def almost_sure(draws: int = 60_000, rng: int = 0) -> float:
    """Return η·L'' at which the mean of log|1 − ηX| over drawn batches changes sign, good to a percent."""
    x, y = np.random.default_rng(rng).standard_normal((2, draws, PUBLISHED_BATCH))
    slope, bend = 4.0, -8.0 / PUBLISHED_W0**3  # of (z + 1)(z − 1)² at −1, the latter over the size of a label
    relative = np.mean(x**2 * slope**2 - x * y * bend, axis=1) / slope**2
    return bisect(lambda a: float(np.log(np.abs(1 - a * relative)).mean()), 1.8, 3.0)


def fresh_rates(products: Sequence[float], replicas: int, rng: int, noisy: bool) -> list[Escape]:
    """Estimate rates of escape from the sharp minimum, from step 5 on; beyond ±2 a run is diverging, not escaping."""
    problem = landscape().bind(w0=PUBLISHED_W0)
    run = sgd.simulate(
        problem if noisy else problem.population(), sgd.SGD(lr=_lr(products)), steps=200, record=[200],
        batch_size=PUBLISHED_BATCH if noisy else None, replicas=replicas, init=sgd.Uniform(-1.001, -0.999), rng=rng,
        events={"over": sp.And(-sp.Rational(1, 3) < Z, Z < 2)}, progress=False,
    )  # fmt: skip
    return [_or_none(run.isel(lr=i)) for i in range(len(products))]


def _or_none(run: xr.Dataset) -> Escape:
    return escape(run, "over", after=5)


def _lr(products: Sequence[float]) -> list[float]:
    return [float(product) / (curvature() * PUBLISHED_W0**4) for product in products]


def draw_sweep(axes: Axes, name: str, found: Array, label: str) -> None:
    """Draw one sweep, published and here."""
    x, published = np.array(list(PUBLISHED[name])), np.array(list(PUBLISHED[name].values()))
    artists.measured(axes, x, published, READ)
    with np.errstate(invalid="ignore"):
        mean, spread = found.mean(axis=0), found.std(axis=0, ddof=1)
    known = np.isfinite(mean)
    artists.measured(axes, x[known], mean[known], OURS, spread[known])
    if not known.all():
        axes.axvspan(x[~known].min() * 0.82, x.max() * 1.15, color=GREY, alpha=0.15, lw=0)
        axes.text(x.max() * 1.05, 0.21, "fewer than\n3 steps\nto fit", ha="right", fontsize=9.5)
    axes.set(xlabel=label, ylim=(-0.015, 0.33))


def draw_orbits(axes: Axes, scan: xr.Dataset, marks: Limits) -> None:
    """Draw where gradient descent from beside the sharp minimum ends up."""
    product = scan.lr.values * curvature() * PUBLISHED_W0**4
    inside = (scan.period.values != -1)[:, :, np.newaxis] & np.ones(scan.sizes["iterate"], dtype=bool)
    x = np.broadcast_to(product[:, np.newaxis, np.newaxis], inside.shape)[inside]
    axes.plot(x, scan.w.values[..., 0][inside], ls="none", marker=",", color=RED, rasterized=True)
    axes.axhline(-1 / 3, color=GREY, ls="--", lw=1.2)
    axes.text(1.62, -1 / 3 + 0.02, "barrier", fontsize=9.5)
    _mark(axes, marks, named=False)
    axes.set(ylabel="$w/w_0$ after 400 steps", title="d  Gradient descent without noise", ylim=(-1.3, -0.2))


def draw_rates(axes: Axes, products: Array, found: dict[str, list[Escape]], marks: Limits) -> None:
    """Draw the rates against η·L'', with every limit."""
    for look, escapes in ((NOISY, found["noisy"]), (QUIET, found["quiet"])):
        rate = np.array([e.rate for e in escapes])
        seen = rate > 0
        low, high = np.array([e.interval for e in escapes])[seen].T
        error = np.array([rate[seen] - low, high - rate[seen]])
        artists.measured(axes, products[seen], rate[seen], look, error)
    for name, shape, swept in (("w0", "D", "$w_0$"), ("lr", "v", "$\\eta$")):
        points = [(_product(name, value), rate) for value, rate in PUBLISHED[name].items() if rate > 0]
        axes.plot(*np.array(points).T, ls="none", marker=shape, color=BLACK, ms=5, label=f"published, {swept} swept")
    _mark(axes, marks, named=True)
    axes.set(yscale="log", ylim=(5e-6, 1.2), ylabel="escapes a step", title="e  Rate of escape")
    axes.set_xlabel("learning rate × $L''$ at the sharp minimum")
    axes.legend(loc="lower right")


def _product(name: str, value: float) -> float:
    lr, w0 = (value, PUBLISHED_W0) if name == "lr" else (PUBLISHED_LR, value)
    return lr * curvature() * w0**4


def _mark(axes: Axes, marks: Limits, named: bool) -> None:
    for x, text, side, height in (
        (marks.mean_square, "mean square", "left", 0.97),
        (marks.linear, "linear", "right", 0.97),
        (marks.almost_sure, "almost sure", "right", 0.97),
        (marks.crisis, "descent leaves", "left", 0.72),
    ):
        axes.axvline(x, color=BLACK, ls=":", lw=1.2)
        if named:
            axes.annotate(
                f"{text} {x:.2f}", (x, height), xycoords=axes.get_xaxis_transform(), rotation=90, fontsize=9,
                xytext=(-3 if side == "left" else 3, 0), textcoords="offset points", va="top",
                ha="right" if side == "left" else "left",
            )  # fmt: skip


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Run the sweeps and draw them."""
    seeds, replicas, points = (2, 1_000, 12) if quick else (DATA_SEEDS, 10_000, 28)
    sweeps = {name: np.array([rates(name, rng + s, replicas) for s in range(seeds)]) for name in PUBLISHED}
    products, marks = np.linspace(1.6, 4.3, points), limits()
    found = {
        kind: fresh_rates(list(products), replicas if quick else 4_000, rng, kind == "noisy")
        for kind in ("noisy", "quiet")
    }
    grid = np.linspace(1.6, marks.crisis * 0.9999, 60 if quick else 500)
    scan = sgd.bifurcation(landscape().bind(w0=PUBLISHED_W0), lr=_lr(list(grid)), start=[-1.001, -0.999],
                           transient=400, keep=64)  # fmt: skip
    with style():
        figure = Figure(figsize=(11.4, 8.2))
        top, bottom = figure.subfigures(2, 1, height_ratios=(4, 5))
        axes = top.subplots(1, 3, sharey=True)
        labels = {"w0": "a  half distance $w_0$", "lr": "b  learning rate $\\eta$", "batch_size": "c  batch size $B$"}
        for panel, (name, label) in zip(axes, labels.items(), strict=True):
            draw_sweep(panel, name, sweeps[name], label[3:])
            panel.set_title(f"{label[0]}  Sweep of the {label[3:]}")
        axes[0].set_ylabel("published rate a step")
        axes[2].set_xscale("log")
        artists.legend(axes[0], [READ, OURS], loc="upper left")
        left, right = bottom.subplots(1, 2, sharex=True)
        draw_orbits(left, scan, marks)
        draw_rates(right, products, found, marks)
        left.set_xlabel("learning rate × $L''$ at the sharp minimum")
    title = "The published escape rates are a function of learning rate × curvature"
    return Picture("sticky_sweeps", title, caption(sweeps, found, products, marks, seeds, replicas), CITED, figure)


CITED = ("DEG-31", "DEG-33")


def caption(
    sweeps: dict[str, Array], found: dict[str, list[Escape]], products: Array, marks: Limits, seeds: int, replicas: int
) -> str:
    """Say what is drawn, with the numbers of the run."""
    gaps = [
        np.abs(sweeps[name].mean(axis=0) - list(PUBLISHED[name].values()))
        / sweeps[name].std(axis=0, ddof=1).clip(0.005)
        for name in ("w0", "lr")
    ]  # 0.005: what can be read off their figures
    lost = sum(e.diverged for e in found["noisy"])
    return (
        f"Top: the published statistic, minus the slope of the logarithm of the share left of the barrier among runs "
        f"that never diverge, from step {FIRST} until it is below {LEAST:g}; w0 = {PUBLISHED_W0}, η = {PUBLISHED_LR}, "
        f"B = {PUBLISHED_BATCH}, one epoch of {SAMPLES} samples, squared error without the ½, but for what is swept. "
        f"Squares: read off the authors' figures, one data set. Circles: {replicas:,} runs on each of {seeds} data "
        f"sets; the bars are the spread of data sets, which one data set must be allowed. In the sweeps of w0 and η "
        f"the largest difference is {np.max(gaps):.1f} of these. An epoch in batches of 130 or 230 has three "
        f"steps or two, too few for a slope from step 3 on: what is plotted there is how runs start. Where there is a "
        f"slope it falls with the batch size.\n\n"
        f"Bottom: both first sweeps change η·L'' = 32ηw0⁴ alone, and fall on one curve. Gradient descent without noise "
        f"cycles beyond 2, wanders from about 2.6, and leaves beyond {marks.crisis:.3f}, where the published "
        f"{_product('lr', PUBLISHED_LR):.2f} lies. Noise opens the way earlier. Bars: 95 % of the χ² interval that "
        f"counts runs which stay. {lost:,} of {min(replicas, 4000) * products.size:,} runs "
        f"diverged and are counted as such, not as escaped. The almost sure limit is from drawn batches."
    )


if __name__ == "__main__":
    from pathlib import Path

    from sgdtheory.plots.style import save

    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "sticky_sweeps.png")
