"""Length and turning of scale-invariant weights under SGD with weight decay, in the long run and on the way there.

Lines are the exact balance, markers simulated runs: with gradients of one size it is met exactly, with normal ones to
leading order in ηλ.
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
from sgdtheory.plots.style import BLACK, BLUE, RED, save, style
from sgdtheory.theory.slices.scale_invariance import equilibrium_square, next_square, turn

η, λ, Γ = symbols.lr, symbols.weight_decay, symbols.tangent_size
PRODUCTS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.6)
ON_THE_WAY = 0.03
EXACT = Look("exact, $\\cos\\varphi=1-\\eta\\lambda$", BLUE, "", "-")
SMALL = Look("small steps, $\\sqrt{2\\eta\\lambda}$", BLACK, "", ":")
FIXED = Look("gradients of one size", BLUE, "o", "")
NORMAL = Look("normal gradients", RED, "s", "")
SHORT = Look("short at the start", BLUE, "o", "-")
LONG = Look("long at the start", RED, "s", "--")


class LongRun(NamedTuple):
    """Mean square length over ηΓ and mean angle of a step, with standard errors (0: all runs alike), and lost runs."""

    square: float
    square_error: float
    angle: float
    angle_error: float
    diverged: int


def circle(law: sgd.Normal | sgd.Rademacher) -> sgd.Problem:
    """Return ℓ = ξ·angle(w) in the plane: |w||∇ℓ| = |ξ| at every length, and no direction is best."""
    w1, w2, x = sp.symbols("w1 w2 x", real=True)
    return sgd.Problem(x * sp.atan(w2 / w1), (w1, w2), sgd.Fresh(x=law), name="noise on a circle")


def exact(formula: sp.Expr, product: np.ndarray | float) -> np.ndarray:
    """Evaluate a formula at η = Γ = 1; only ηλ matters."""
    return np.asarray(sp.lambdify(λ, formula.subs({η: 1, Γ: 1}))(product))


def runs(law: sgd.Normal | sgd.Rademacher, product: float, replicas: int, rng: np.random.SeedSequence) -> LongRun:
    """Run until 10⁻⁸ of the start is left, and one step more."""
    steps = 5 + int(np.ceil(np.log(1e-8) / np.log(abs(2 * exact(turn(), product) ** 2 - 1))))
    start = float(1.5 * np.sqrt(exact(equilibrium_square(), product)))
    run = sgd.simulate(
        circle(law), sgd.with_weight_decay(sgd.SGD(lr=1.0), product), steps=steps + 1, replicas=replicas,
        init=[start, 0.0], record=[steps, steps + 1], rng=rng,
    )  # fmt: skip
    before, after = (run.w.sel(step=step).values for step in (steps, steps + 1))
    squares = (before**2).sum(axis=-1)
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    angles = np.abs(np.arctan2(cross, (before * after).sum(axis=-1)))
    root = np.sqrt(replicas)
    turned = np.sqrt(np.mean(angles**2))
    return LongRun(
        squares.mean(), squares.std() / root, turned, (angles**2).std() / (2 * turned * root), run.attrs["diverged"]
    )


def draw_long_run(axes: tuple[Axes, Axes], products: tuple[float, ...], found: dict[str, list[LongRun]]) -> None:
    """Draw angles and lengths against ηλ."""
    product = artists.log_grid(0.0007, 0.9, 60)
    angles, lengths = axes
    artists.theory(angles, product, np.degrees(np.arccos(exact(turn(), product))), EXACT)
    artists.theory(angles, product, np.degrees(np.sqrt(2 * product)), SMALL)
    balance = Look("exact, $1/\\sqrt{\\eta\\lambda(2-\\eta\\lambda)}$", BLUE, "", "-")
    artists.theory(lengths, product, exact(equilibrium_square(), product), balance)
    small = Look("small steps, $1/\\sqrt{2\\eta\\lambda}$", BLACK, "", ":")
    artists.theory(lengths, product, 1 / np.sqrt(2 * product), small)
    for look in (FIXED, NORMAL):
        square, square_error, angle, angle_error, _ = np.array(found[look.label]).T
        artists.measured(angles, products, np.degrees(angle), look, 3 * np.degrees(angle_error))
        artists.measured(lengths, products, square, look, 3 * square_error)
    labels = (
        ("a  Turn of a step", "root mean square angle $\\varphi$ (degrees)"),
        (
            "b  Length",
            "mean $|w|^2$ (units of $\\eta\\Gamma$)",
        ),
    )
    for panel, (title, name) in zip(axes, labels, strict=True):
        panel.set(
            xscale="log", yscale="log", xlabel="$\\eta\\lambda$ (dimensionless)", ylabel=name, title=title
        )  # fmt: skip
    angles.set_yticks([3, 10, 30, 90], labels=["3", "10", "30", "90"])
    angles.minorticks_off()
    artists.legend(angles, [EXACT, SMALL, FIXED, NORMAL], loc="upper left")
    artists.legend(lengths, [balance, small, FIXED, NORMAL], loc="lower left")


def draw_on_the_way(axes: Axes, replicas: int, rng: np.random.SeedSequence) -> int:
    """Draw lengths over steps from a short and a long start; return how many runs diverged."""
    square = sp.Symbol("x", positive=True)
    after = sp.lambdify(square, next_square(square).subs({η: 1, λ: ON_THE_WAY, Γ: 1}))
    level, diverged, steps = float(exact(equilibrium_square(), ON_THE_WAY)), 0, 120
    recorded = list(range(0, steps + 1, 10))
    for factor, look, seed in zip((0.1, 10.0), (SHORT, LONG), rng.spawn(2), strict=True):
        line = [factor * level]
        for _ in range(steps):
            line.append(after(line[-1]))
        artists.theory(axes, range(steps + 1), line, look)
        run = sgd.simulate(
            circle(sgd.Rademacher()), sgd.with_weight_decay(sgd.SGD(lr=1.0), ON_THE_WAY), steps=steps,
            replicas=replicas, init=[float(np.sqrt(factor * level)), 0.0], record=recorded, rng=seed,
        )  # fmt: skip
        artists.measured(axes, recorded, (run.w.values**2).sum(axis=-1).mean(axis=0), look)
        diverged += run.attrs["diverged"]
    artists.floor(axes, level, "balance")
    axes.set(
        yscale="log", xlabel="steps (steps)", ylabel="$|w|^2$ (units of $\\eta\\Gamma$)",
        title=f"c  On the way, $\\eta\\lambda={ON_THE_WAY:g}$",
    )  # fmt: skip
    artists.legend(axes, [SHORT, LONG], loc="upper right")
    return diverged


def make(quick: bool = False, rng: int = 0) -> Picture:
    """Draw the figure."""
    replicas, products = (500, PRODUCTS[::2]) if quick else (20_000, PRODUCTS)
    seeds = iter(np.random.SeedSequence(rng).spawn(2 * len(products) + 1))
    laws = {FIXED.label: sgd.Rademacher(), NORMAL.label: sgd.Normal(0, 1)}
    found = {label: [runs(law, product, replicas, next(seeds)) for product in products] for label, law in laws.items()}
    with style():
        figure = Figure(figsize=(11.4, 4.2))
        angles, lengths, way = figure.subplots(1, 3)
        draw_long_run((angles, lengths), products, found)
        lost = draw_on_the_way(way, 10, next(seeds))
    diverged = lost + sum(run.diverged for several in found.values() for run in several)
    total = 2 * len(products) * replicas + 20
    title = "Weight decay sets how far scale-invariant weights turn"
    words = caption(found, products, f"{diverged} of {total:,}", replicas, rng)
    return Picture("equilibrium_angle", title, words, ("VIS-05", "VIS-06"), figure)


def caption(
    found: dict[str, list[LongRun]], products: tuple[float, ...], diverged: str, replicas: int, rng: int
) -> str:
    """Say what is drawn, with the numbers of the run."""
    angles = np.arccos(exact(turn(), np.array(products)))
    fixed, normal = (np.array([run.angle for run in several]) for several in found.values())
    where = products.index(0.1)
    return (
        f"Scale-invariant weights under SGD with weight decay, {replicas:,} runs a point with bars of 3 standard "
        f"errors (seed {rng}; {diverged} runs diverged). With gradients of one size Γ/|w| every step of the long run "
        f"turns w by arccos(1 − ηλ), to {np.abs(fixed / angles - 1).max():.0e}, whatever Γ and the start are; small "
        f"steps alone would say √(2ηλ). Where gradients are normal numbers of mean square Γ², the root mean square "
        f"angle at ηλ = 0.1 is {abs(normal[where] / angles[where] - 1):.0%} off."
    )


if __name__ == "__main__":
    save(make().figure, Path(__file__).parents[1] / "paper_figures" / "equilibrium_angle.png")
