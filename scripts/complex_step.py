"""Derivatives without differentiation: the complex step against differences, and Hessian times vector on minibatches.

Left: errors of three ways to differentiate one function of Squire and Trapp, against the step. Differences lose digits
by subtracting; the complex step does not. Right: noise of Hessian times vector from two gradients of linear regression,
taken on one batch or on two.
"""

from __future__ import annotations

from functools import cache
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
from sgdtheory.plots.style import BLACK, BLUE, GREEN, ORANGE, RED, save, style
from sgdtheory.theory.lectures.derivatives import PRODUCTS, central_error, complex_step_error

X = sp.Symbol("x", real=True)
FUNCTION, PLACE = sp.exp(X) / (sp.sin(X) ** 3 + sp.cos(X) ** 3), sp.Rational(3, 2)
ULP = np.finfo(float).eps
FORWARD = Look("forward difference", BLUE, "o", "-")
CENTRAL = Look("central difference", RED, "s", "--")
COMPLEX = Look("complex step", GREEN, "^", "-.")
BATCH_SIZE, POINT = 32, 1.0
ONE_BATCH = Look("both gradients of one batch", GREEN, "^", "-.")
TWO_BATCHES = Look("of two batches", ORANGE, "D", (0, (5, 1, 1, 1, 1, 1)))


class Noise(NamedTuple):
    """Standard deviations of Hv at every spacing, and their standard errors."""

    one: np.ndarray
    two: np.ndarray
    one_error: np.ndarray
    two_error: np.ndarray


@cache
def derivative(order: int) -> float:
    """Return a derivative of the function at the place, correctly rounded."""
    return float(sp.diff(FUNCTION, X, order).subs(X, PLACE).evalf(40))


def truncation(h: np.ndarray) -> dict[Look, np.ndarray]:
    """Return the relative errors of the three formulas without rounding, to leading order."""
    central = central_error().subs(symbols.third_along, derivative(3))
    imaginary = complex_step_error().subs(symbols.third_derivative, derivative(3))
    forward = symbols.spacing * derivative(2) / 2
    return {
        look: np.abs(sp.lambdify(symbols.spacing, error)(h) / derivative(1))
        for look, error in ((FORWARD, forward), (CENTRAL, central), (COMPLEX, imaginary))
    }


def measured(h: np.ndarray) -> dict[Look, np.ndarray]:
    """Differentiate in float64 at every step; return relative errors."""
    f, x, slope = sp.lambdify(X, FUNCTION, "numpy"), float(PLACE), derivative(1)
    values = {
        FORWARD: (f(x + h) - f(x)) / h,
        CENTRAL: (f(x + h) - f(x - h)) / (2 * h),
        COMPLEX: np.array([float(sgd.complex_step(f, x, h=step)) for step in h]),
    }
    return {look: np.abs(value / slope - 1) for look, value in values.items()}


def regression() -> sgd.Problem:
    """Return linear regression in one dimension, ½(y − wx)² with x and y standard normal."""
    data = sgd.Fresh(x=sgd.Normal(0, 1), y=sgd.Normal(0, 1))
    return sgd.Problem("(y - w*x)**2/2", ["w"], data, convention="half squared error", name="linear regression")


@cache
def predicted(quantity: sp.Symbol, spacing: float) -> float:
    """Return the standard deviation the claim gives for the regression."""
    problem = regression()
    (w,), curvature = problem.coordinates, sp.diff(problem.example_gradient[0], problem.coordinates[0])
    numbers = {
        symbols.noise_variance: problem.gradient_noise[0].subs(w, POINT),
        symbols.curvature_variance: problem.data.covariance(curvature, curvature),
        symbols.batch_size: BATCH_SIZE,
        symbols.spacing: spacing,
    }
    formula = next(e.rhs for e in PRODUCTS.statement.args if e.lhs == quantity)
    return float(sp.sqrt(formula.subs(numbers)))


def simulated(spacings: np.ndarray, replicas: int, rng: np.random.Generator) -> Noise:
    """Take Hv with v = 1 on fresh batches, from `hvp` on one batch and by hand from two."""
    columns = []
    for spacing in spacings:
        x, y = rng.standard_normal((2, 2, replicas, BATCH_SIZE))

        def gradient(w: np.ndarray, batch: int = 0, x: np.ndarray = x, y: np.ndarray = y) -> np.ndarray:
            return np.mean(x[batch] * (w * x[batch] - y[batch]), axis=-1, keepdims=True)

        w = np.full((replicas, 1), POINT)
        one = sgd.hvp(gradient, w, np.ones_like(w), spacing=spacing)
        two = (gradient(w + spacing, 0) - gradient(w - spacing, 1)) / (2 * spacing)
        columns.append([statistic for value in (one, two) for statistic in spread(value[:, 0])])
    one, one_error, two, two_error = np.array(columns).T
    return Noise(one, two, one_error, two_error)


def spread(values: np.ndarray) -> tuple[float, float]:
    """Return standard deviation and its standard error, from the fourth moment."""
    centred = values - values.mean()
    variance = np.mean(centred**2)
    return np.sqrt(variance), np.sqrt((np.mean(centred**4) - variance**2) / len(values)) / (2 * np.sqrt(variance))


def draw_errors(axes: Axes, h: np.ndarray, errors: dict[Look, np.ndarray]) -> None:
    """Draw relative errors against the step."""
    fine = np.geomspace(h[0], h[-1], 200)
    for look, line in truncation(fine).items():
        artists.theory(axes, fine, np.where(line > ULP / 8, line, np.nan), look)
        shown = errors[look] > 0
        artists.measured(axes, h[shown], errors[look][shown], look)
    lost = ULP / 2 * (float(PLACE) + abs(derivative(0) / derivative(1))) / fine
    axes.plot(fine, np.where(lost < 3, lost, np.nan), color=BLACK, linestyle=":", linewidth=1.2)
    axes.annotate(
        "lost by subtracting,\n$2^{-53}(x+|f/f'|)/h$",
        (1e-11, 3e-6),
        xytext=(8, 10),
        textcoords="offset points",
        fontsize=9.5,
    )
    artists.floor(axes, ULP / 2, "rounding of the result, $2^{-53}$")
    axes.set(xscale="log", yscale="log", ylim=(2e-18, 1e7), title="A derivative")
    axes.set(xlabel="step $h$ (units of $x$)", ylabel="relative error (dimensionless)")
    artists.legend(axes, [FORWARD, CENTRAL, COMPLEX], loc="upper left")


def draw_noise(axes: Axes, spacings: np.ndarray, noise: Noise) -> None:
    """Draw standard deviations of Hv against the spacing."""
    fine = np.geomspace(spacings[0], spacings[-1], 60)
    for look, quantity, value, error in (
        (ONE_BATCH, symbols.product_same, noise.one, noise.one_error),
        (TWO_BATCHES, symbols.product_other, noise.two, noise.two_error),
    ):
        artists.theory(axes, fine, [predicted(quantity, s) for s in fine], look)
        artists.measured(axes, spacings, value, look, 3 * error)
    artists.slope_triangle(axes, 2.5e-3, 4, -1)
    axes.set(xscale="log", yscale="log", title=f"Hessian times vector, batches of {BATCH_SIZE}")
    axes.set(xlabel="spacing $h$ of the gradients (units of $w$)", ylabel="s.d. of $Hv$ (units of loss/$w$)")
    artists.legend(axes, [ONE_BATCH, TWO_BATCHES], loc="upper right")


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    h = artists.log_grid(1e-18, 0.1, 1 if quick else 2)
    spacings = artists.log_grid(1e-3, 10, 1 if quick else 2)
    replicas = 2_000 if quick else 20_000
    errors, noise = measured(h), simulated(spacings, replicas, np.random.default_rng(rng))
    with style():
        figure = Figure(figsize=(10.4, 4.8))
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        draw_errors(left, h, errors)
        draw_noise(right, spacings, noise)
    return Picture(
        "complex_step", "Derivatives without differentiation", caption(h, errors, spacings, noise, replicas, rng),
        ("MCA-26", "MCA-27"), figure,
    )  # fmt: skip


def caption(
    h: np.ndarray, errors: dict[Look, np.ndarray], spacings: np.ndarray, noise: Noise, replicas: int, rng: int
) -> str:
    """Say what is drawn, with the numbers of the run."""
    forward, central = (errors[look].min() for look in (FORWARD, CENTRAL))
    small = errors[COMPLEX][h < 1e-9]
    exact = int((errors[COMPLEX] == 0).sum())
    pairs = ((symbols.product_same, noise.one, noise.one_error), (symbols.product_other, noise.two, noise.two_error))
    worst = max(np.max(np.abs(v - [predicted(q, s) for s in spacings]) / e) for q, v, e in pairs)
    ratio = noise.two[0] / noise.one[0]
    return (
        f"Left: derivative of eˣ/(sin³x + cos³x) at x = {float(PLACE):g} in float64; lines are the truncation errors "
        f"hf''/2, h²f'''/6 and −h²f'''/6, so central difference and complex step share a line until rounding parts "
        f"them. The best forward difference has {forward:.0e}, the best central one {central:.0e}, the complex step at "
        f"most {small.max():.0e} for every h below 10⁻⁹ ({exact} exact results are not drawn). Right: H·1 of linear "
        f"regression from gradients at w ± h, {replicas:,} replicas each with bars of 3 standard errors (seed {rng}); "
        f"lines are exact, the largest deviation is {worst:.1f} standard errors. At h = {spacings[0]:g} two batches "
        f"give {ratio:,.0f} times the noise of one."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "complex_step.png")
