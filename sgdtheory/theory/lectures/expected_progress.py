"""Expected progress instead of a guarantee: then no batch is too small, and the best batch size is gone.

A step of −ηĝ on a loss of curvature at most L lowers it on average by at least ηg² − ½Lη²(g² + σ²/B). The lectures ask
for a bound that holds at z standard errors instead; their B* = 4z²σ²/g² comes from that caution alone.
"""

from __future__ import annotations

from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.claim import Case, Claim, Ensemble, Identity, Mutant, Property, equations, positive
from sgdtheory.optimizers import SGD
from sgdtheory.sources import MCCANDLISH_2018
from sgdtheory.theory.lectures import batch_size
from sgdtheory.theory.lectures.batch_size import best_choice, expected_decrease, guarantee

η, B, g, σ, L, z = (
    symbols.lr,
    symbols.batch_size,
    symbols.estimated_gradient,
    symbols.noise_std,
    symbols.smoothness,
    symbols.confidence,
)
η_mean, P_mean, growth = symbols.expected_lr, symbols.expected_best, symbols.expected_growth
η_one = symbols.expected_one
η_1, B_star, N = symbols.lr_one, symbols.best_batch, symbols.noise_scale


def expected_lr() -> sp.Expr:
    """Return η_E = (1/L)/(1 + σ²/(Bg²)), the learning rate with the largest mean decrease.

    Examples
    --------
    >>> expected_lr().subs({g: 1, σ: 1, L: 1, B: 1})
    1/2
    """
    return 1 / (L * (1 + σ**2 / (B * g**2)))


def best_in_expectation(decrease: sp.Expr | None = None) -> Case:
    """Maximise the mean decrease over η, then per example over B.

    For a fixed batch it is a parabola in η with vertex η_E = (1/L)/(1 + σ²/(Bg²)) and height ½η_E g². Per example that
    is g⁴/(2L(Bg² + σ²)), whose derivative in B, −g⁶/(2L(Bg² + σ²)²), is negative at every B: there is no interior
    optimum, and the smaller the batch the better. As B → 0 the learning rate per example tends to g²/(σ²L), while the
    guarantee gives η*/B* = g²/(8z²σ²L), smaller by the factor 8z². And B* = 4z²σ²/g² is 4z² times the noise scale
    σ²/g², so it goes to 0 with the caution z.
    """
    decrease = expected_decrease() if decrease is None else decrease
    (lr,) = sp.solve(sp.diff(decrease, η), η)
    rate = sp.simplify((decrease / B).subs(η, lr))
    careful = best_choice(guarantee())
    return {
        η_mean: lr,
        P_mean: rate,
        growth: sp.factor(sp.diff(rate, B)),
        η_one: sp.limit(lr / B, B, 0, "+"),
        η_1: careful[η_1],
        B_star: careful[B_star],
        N: σ**2 / g**2,
    }


def locate_exactly(random: Random) -> Case:
    """Find the same in rational numbers: the parabola's vertex from three values, the growth from nearby batches.

    1/P_E is affine in B, so a chord of it gives its slope exactly, and P_E' = −P_E²(1/P_E)'. So does B/η_E, whose value
    at B = 0 is then 1/η_E1. For the guarantee, the lectures' numbers are located as exactly (`batch_size`).
    """
    careful = batch_size.locate_exactly(random)
    numbers = {s: careful[s] for s in (g, σ, L, z)}
    decrease = expected_decrease().xreplace(numbers)
    batch, more = (sp.Rational(random.randint(1, 40), 4) for _ in range(2))

    def best(size: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        low, middle, high = (decrease.xreplace({η: sp.Integer(k), B: size}) for k in (1, 2, 3))
        lr = 2 - (high - low) / (2 * (high - 2 * middle + low))
        return lr, decrease.xreplace({η: lr, B: size}) / size

    (lr, rate), (other_lr, other_rate) = best(batch), best(batch + more)
    slope = (1 / other_rate - 1 / rate) / more
    lr_slope = ((batch + more) / other_lr - batch / lr) / more
    return {
        **numbers,
        **{η_1: careful[η_1], B_star: careful[B_star]},
        **{B: batch, η_mean: lr, P_mean: rate, growth: -(rate**2) * slope, η_one: 1 / (batch / lr - batch * lr_slope)},
        N: numbers[σ] ** 2 / numbers[g] ** 2,
    }


_RATE = g**4 / (2 * L * (B * g**2 + σ**2))
_STATED = {
    η_mean: expected_lr(),
    P_mean: _RATE,
    growth: -(g**6) / (2 * L * (B * g**2 + σ**2) ** 2),
    η_one: 8 * z**2 * η_1,
    B_star: 4 * z**2 * N,
}


def _with(changes: Case, falls: bool = True) -> sp.Basic:
    """Return the statement, with other values for some quantities, or with a rise in B."""
    return sp.And(equations(_STATED, changes), sp.Lt(growth, 0) if falls else sp.Gt(growth, 0))


def _mean_decrease() -> Ensemble:
    """Measure the mean decrease per example of one step at η_E on the quadratic of curvature L where its slope is g."""
    problem = quadratic(L, σ**2)
    (w,) = problem.coordinates
    values = {g: sp.Integer(1), σ: sp.Integer(2), L: sp.Rational(1, 2), B: sp.Integer(3)}
    start = values[g] / values[L]
    fallen = L * (start**2 - w**2) / 2 / B
    return Ensemble(P_mean, fallen, "mean", problem, SGD(expected_lr()), values, 1, (start,), resolution=0.03)


EXPECTED = Claim(
    id="MCA-03",
    slug="lectures.expected-progress",
    title="By expected progress there is no best batch size: an example in a smaller batch always brings more",
    status="exact",
    statement=_with({}),
    assumptions=(
        positive(g, "gradient, here taken as known"),
        positive(σ, "standard deviation of one example's gradient"),
        positive(L, "second derivative"),
        positive(z, "confidence multiplier"),
        positive(B, "batch size, not rounded"),
    ),
    source=MCCANDLISH_2018.where("best learning rate and progress at a batch size; applied to the lectures' criterion"),
    evidence=(Identity(best_in_expectation), Property(locate_exactly, examples=25), _mean_decrease()),
    mutants=(
        Mutant("more brings more", _with({}, falls=False)),
        Mutant("the guarantee instead of the mean", evidence=(Identity(lambda: best_in_expectation(guarantee())),)),
        Mutant("learning rate of the exact gradient, 1/L", _with({η_mean: 1 / L})),
        Mutant("noise without the batch size", _with({η_mean: 1 / (L * (1 + σ**2 / g**2))})),
        Mutant("progress of the exact gradient", _with({P_mean: g**2 / (2 * L * B)})),
        Mutant("half the progress", _with({P_mean: _RATE / 2})),
        Mutant("small batches: four times the lectures' learning rate", _with({η_one: 4 * η_1})),
        Mutant("B* is the noise scale", _with({B_star: N})),
    ),
    meanings=(
        (η_mean, "learning rate with the largest mean decrease at batch size B"),
        (P_mean, "the largest mean decrease per example"),
        (growth, "its growth with B"),
        (η_one, "η_E/B as B → 0, η_E1"),
        (η_1, "the lectures' learning rate per example, η*/B*"),
        (B_star, "the lectures' best batch size"),
        (N, "noise scale σ²/g²"),
    ),
    note="At z = 2 the two learning rates per example differ by 32, and B* is 16 noise scales. There η_E = 16/(17L), "
    "while the lectures take 1/(2L).",
)

CLAIMS = (EXPECTED,)
"""The theory, in the order of the ledger."""
