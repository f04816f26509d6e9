"""How large a learning rate minibatch SGD bears where one w fits every example (interpolation), normal inputs.

A step is w' = (1 − ηX)w with X = mean of xxᵀ over the batch: linear, but with a random matrix. On inputs of covariance
h·1 the mean of |w'|² is a multiple of |w|², whatever w is, so the mean square falls in the long run exactly if that
multiple is below one.
"""

from __future__ import annotations

from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import linear_regression
from sgdtheory.claim import Case, Claim, Ensemble, Identity, Mutant, Property, equations, given, positive
from sgdtheory.derive.wick import gaussian_mean
from sgdtheory.laws import Number
from sgdtheory.optimizers import SGD
from sgdtheory.sources import MA_2018

η, B, h, d = symbols.lr, symbols.batch_size, symbols.curvature, symbols.dimension
m2, limit = symbols.square_growth, symbols.limit_square


def growth(lr: Number = η, batch_size: Number = B, dimension: Number = d) -> sp.Expr:
    """Return E|w'|²/|w|² = 1 − 2ηh + η²h²(B + d + 1)/B, in h.

    Examples
    --------
    >>> growth(1, 1, 1).subs(h, 1)
    2
    """
    return 1 - 2 * lr * h + lr**2 * h**2 * (batch_size + dimension + 1) / batch_size


def largest_lr(batch_size: Number = B, dimension: Number = d) -> sp.Expr:
    """Return 2B/(h(B + d + 1)), below which the mean square falls.

    Examples
    --------
    >>> sp.limit(largest_lr(), B, sp.oo)
    2/h
    """
    return 2 * batch_size / (h * (batch_size + dimension + 1))


def average_square() -> Case:
    """Average |w'|² over the batch.

    |w'|² = |w|² − 2η w·Xw + η² w·X²w. The mean of X is h·1. In X² a pair of different examples, of which there are
    B(B − 1), gives E x xᵀ · E x xᵀ = h²·1, and each of the B examples with itself E|x|²xxᵀ. Along the direction of w,
    say the first axis, that is E x₁⁴ + (d − 1)E x₁²x₂² by symmetry among the other axes; Isserlis gives 3h² and h², in
    all (d + 2)h². Hence E|w'|²/|w|² = 1 − 2ηh + η²h²((d + 2) + (B − 1))/B, which is below one exactly for learning
    rates between zero and the other root of growth = 1.
    """
    x1, x2 = sp.symbols("x1 x2", real=True)
    covariance = h * sp.eye(2)
    same = sum(times * gaussian_mean(p, [x1, x2], covariance) for times, p in ((1, x1**4), (d - 1, x1**2 * x2**2)))
    square = (same + (B - 1) * gaussian_mean(x1**2, [x1, x2], covariance) ** 2) / B
    factor = 1 - 2 * η * h + η**2 * square
    (other_root,) = (root for root in sp.solve(factor - 1, η) if root != 0)
    return {m2: factor, limit: other_root}


def step_covariance(random: Random) -> Case:
    """Carry a random symmetric second moment S through one step, all d² entries by Isserlis, d from 1 to 3.

    S' = S − 2ηhS + η²E[XSX], with E[XSX] = (E[xxᵀSxxᵀ] + (B − 1)h²S)/B. tr S is the mean of |w|². The limit follows
    from three values of the growth, which is a parabola in η.
    """
    size = random.randint(1, 3)
    batch, curvature, lr = (sp.Rational(random.randint(1, 12), k) for k in (1, 5, 7))
    x = sp.Matrix(sp.symbols(f"x1:{size + 1}", real=True))
    s = sp.Matrix(size, size, lambda i, j: random.randint(1, 9))
    s = s + s.T
    sandwich = (x * x.T * s * x * x.T).applyfunc(lambda p: gaussian_mean(p, list(x), curvature * sp.eye(size)))
    spread = (sandwich + (batch - 1) * curvature**2 * s) / batch

    def factor(rate: sp.Expr) -> sp.Expr:
        return (s - 2 * rate * curvature * s + rate**2 * spread).trace() / s.trace()

    bend = (factor(sp.Integer(2)) - 2 * factor(sp.Integer(1)) + 1) / 2
    slope = factor(sp.Integer(1)) - 1 - bend
    return {d: sp.Integer(size), B: batch, h: curvature, η: lr, m2: factor(lr), limit: -slope / bend}


def _ensemble(curvature: Number, lr: Number, batch: int, size: int) -> Ensemble:
    """Measure |w|² one step after |w| = 1, to 2 %."""
    values = {h: curvature, η: lr, B: batch, d: size}
    problem = linear_regression(size, noise_std=0, stds=sp.sqrt(h))
    start = (sp.Rational(3, 5), sp.Rational(4, 5), *[0] * (size - 2)) if size > 1 else (1,)
    squares = sp.Add(*(w**2 for w in problem.coordinates))
    return Ensemble(m2, squares, "mean", problem, SGD(), values, 1, start, resolution=0.02)


_STATED = {m2: growth(), limit: largest_lr()}


MINIBATCH = Claim(
    id="STA-02",
    slug="stationarity.minibatch",
    title="On isotropic normal inputs, where one w fits all, SGD is stable in mean square for η < 2B/(h(B + d + 1))",
    status="exact",
    statement=equations(_STATED),
    assumptions=(
        positive(η, "learning rate"),
        positive(B, "batch size"),
        positive(d, "number of parameters"),
        positive(h, "variance of an input, the curvature"),
        given("normal inputs of covariance h·1, fresh and independent; labels without noise"),
    ),
    source=MA_2018.where("the critical batch size, here for normal inputs, where everything is exact"),
    evidence=(
        Identity(average_square),
        Property(step_covariance, examples=12),
        _ensemble(1, sp.Rational(1, 2), batch=3, size=4),
        _ensemble(2, sp.Rational(1, 4), batch=1, size=1),
    ),
    mutants=(
        Mutant("stable like gradient descent", equations(_STATED, {limit: 2 / h, m2: (1 - η * h) ** 2})),
        Mutant(
            "each example's |x|² taken as its mean dh",
            equations(_STATED, {limit: 2 * B / (h * (B + d - 1)), m2: growth(dimension=d - 2)}),
        ),
        Mutant("linear scaling for every batch size", equations(_STATED, {limit: B * largest_lr(batch_size=1)})),
        Mutant(
            "the same for every batch size",
            equations(_STATED, {limit: largest_lr(batch_size=1), m2: growth(batch_size=1)}),
        ),
    ),
    meanings=(
        (m2, "mean of |w'|² over |w|², one step"),
        (limit, "learning rate at which the mean of |w|² stops falling"),
    ),
    note="A batch of d + 1 bears half the learning rate of the full gradient: below it the learning rate may grow with "
    "the batch, above it a larger batch hardly helps. Whether almost every run converges is another question (STA-14).",
)

CLAIMS = (MINIBATCH,)
"""The theory, in the order of the ledger."""
