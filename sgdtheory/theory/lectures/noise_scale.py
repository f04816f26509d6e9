"""The noise scale B_simple = tr Σ/|G|²: how to estimate it without bias, its units, and B* channel by channel.

A batch's squared mean gradient is too long on average, E|ĝ|² = |G|² + tr Σ/B; two batch sizes, or the spread inside one
batch, tell the two parts from each other. The lectures' B* is 4z² noise scales, for each parameter by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equations, given, positive
from sgdtheory.derive.moments import quadratic_mean
from sgdtheory.laws import Fresh, Normal, Number
from sgdtheory.problem import Problem
from sgdtheory.sources import HERE, MCCANDLISH_2018
from sgdtheory.theory.lectures.batch_size import optimal_batch, optimal_lr
from sgdtheory.theory.random_instances import rational

B, b, z, σ, h = symbols.batch_size, symbols.other_batch, symbols.confidence, symbols.noise_std, symbols.curvature
ĝ, L = symbols.estimated_gradient, symbols.smoothness
G_sq, S, N = symbols.squared_gradient, symbols.noise_trace, symbols.noise_scale
E_G_two, E_S_two = symbols.two_batch_gradient, symbols.two_batch_noise
E_G_one, E_S_one = symbols.one_batch_gradient, symbols.one_batch_noise
c, k = symbols.loss_unit, symbols.parameter_unit
batch_scaled, lr_scaled, one_scaled = symbols.batch_scaled, symbols.lr_scaled, symbols.lr_one_scaled
channel_mean = symbols.channel_mean


def from_two_batches(
    small_square: Number, big_square: Number, small: Number = b, big: Number = B
) -> tuple[sp.Expr, sp.Expr]:
    """Return unbiased estimates of |G|² and tr Σ from the squared mean gradients of a small and a big batch.

    (B|ĝ_B|² − b|ĝ_b|²)/(B − b) and (|ĝ_b|² − |ĝ_B|²)/(1/b − 1/B).

    Examples
    --------
    >>> from_two_batches(5, 2, small=1, big=4)
    (1, 4)
    """
    many, few = sp.sympify(big, strict=True), sp.sympify(small, strict=True)
    gradient = (many * big_square - few * small_square) / (many - few)
    return gradient, (small_square - big_square) / (1 / few - 1 / many)


def from_one_batch(mean_square: Number, square_of_mean: Number, size: Number = B) -> tuple[sp.Expr, sp.Expr]:
    """Return unbiased estimates of |G|² and tr Σ from one batch's mean |g_i|² and squared mean gradient |ĝ|².

    tr Σ̂ = B/(B − 1)·(mean |g_i|² − |ĝ|²), the variances with divisor B − 1, and |ĝ|² − tr Σ̂/B.

    Examples
    --------
    >>> from_one_batch(6, 4, 2)
    (2, 4)
    """
    n = sp.sympify(size, strict=True)
    noise = n / (n - 1) * (mean_square - square_of_mean)
    return square_of_mean - noise / n, noise


def estimator_means() -> Case:
    """Take the means of the estimates, in the plane.

    The mean of |x|² is |m|² + tr C for any law of mean m and covariance C. A batch's mean gradient has m = G and
    C = Σ/B, one example's C = Σ. Both estimates are linear in such squares, and the factors are chosen so that one part
    cancels. How the two batches depend on each other plays no part (the small one may lie inside the big one).
    """
    x, y = sp.symbols("x1:3", real=True), sp.symbols("y1:3", real=True)
    mean = sp.Matrix(sp.symbols("G1:3", real=True))
    cov = sp.Matrix(2, 2, lambda i, j: sp.Symbol(f"Sigma{min(i, j)}{max(i, j)}", real=True))
    cross = sp.Matrix(2, 2, lambda i, j: sp.Symbol(f"K{i}{j}", real=True))

    def square(v: Sequence[sp.Symbol]) -> sp.Expr:
        return sp.Add(*(entry**2 for entry in v))

    def both(one: sp.Matrix, other: sp.Matrix, estimates: tuple[sp.Expr, sp.Expr]) -> list[sp.Expr]:
        joint = sp.Matrix(sp.BlockMatrix([[one, cross], [cross.T, other]]))
        return [quadratic_mean(e, [*x, *y], joint, mean.col_join(mean)) for e in estimates]

    two = both(cov / b, cov / B, from_two_batches(square(x), square(y)))
    single = both(cov, cov / B, from_one_batch(square(x), square(y)))
    return {
        **dict(zip((E_G_two, E_S_two), two, strict=True)),
        **dict(zip((E_G_one, E_S_one), single, strict=True)),
        **{G_sq: square(list(mean)), S: cov.trace()},
    }


def average_over_all_batches(random: Random) -> Case:
    """Draw a small data set of gradients and average the estimates over every batch of it, drawn with replacement."""
    d, size, small = random.randint(1, 3), random.choice((2, 3)), 1
    data = [[rational(random, largest=9) for _ in range(d)] for _ in range(3)]

    def mean(rows: Sequence[Sequence[sp.Rational]]) -> list[sp.Rational]:
        return [sp.Add(*column) / len(rows) for column in zip(*rows, strict=True)]

    def square(row: Sequence[sp.Rational]) -> sp.Rational:
        return sp.Add(*(entry**2 for entry in row))

    batches = list(product(data, repeat=size))
    two = [from_two_batches(square(mean(x[:small])), square(mean(x)), small, size) for x in batches]
    one = [from_one_batch(mean([[square(row)] for row in x])[0], square(mean(x)), size) for x in batches]
    centre = mean(data)
    spread = mean([[square([x - m for x, m in zip(row, centre, strict=True)])] for row in data])[0]
    return {
        **dict(zip((E_G_two, E_S_two, E_G_one, E_S_one), [*mean(two), *mean(one)], strict=True)),
        **{G_sq: square(centre), S: spread, B: sp.Integer(size), b: sp.Integer(small)},
    }


def in_other_units() -> Case:
    """Write a problem in other units, cℓ(φ/k) with φ = kw, and compare B*, η* and η₁ at the same point.

    Gradients and their standard deviation come times c/k, the second derivative times c/k². B* = 4z²σ²/g² has as many
    factors above as below and stays; η* = 1/(2L) comes times k²/c, and so does η* over B*.

    Channel by channel B*_c = 4z²Σ_cc/g_c². Weighted by g_c² these average to 4z² Σ_c Σ_cc / Σ_c g_c² = 4z² tr Σ/|g|².
    """
    w, y = sp.symbols("w y", real=True)

    def chosen(example_loss: sp.Expr, at: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        problem = Problem(example_loss, [w], Fresh(y=Normal(0, σ)))
        here = {w: at, **{s: s for s in (c, k, h)}}
        values = {ĝ: problem.gradient[0].subs(here), σ: sp.sqrt(problem.gradient_noise[0].subs(here))}
        values |= {L: problem.hessian[0].subs(here)}
        batch = optimal_batch().subs(values, simultaneous=True)
        return batch, optimal_lr(optimal_batch()).subs(values, simultaneous=True)

    point = sp.Symbol("w_0", real=True)
    (batch, lr), (new_batch, new_lr) = (
        chosen(h * (w - y) ** 2 / 2, point),
        chosen(c * h * (w / k - y) ** 2 / 2, k * point),
    )
    gradient, variance = sp.symbols("g1:4", positive=True), sp.symbols("Sigma1:4", positive=True)
    channels = [optimal_batch().subs({ĝ: g, σ: sp.sqrt(v)}) for g, v in zip(gradient, variance, strict=True)]
    length = sp.Add(*(g**2 for g in gradient))
    return {
        batch_scaled: sp.simplify(new_batch / batch),
        lr_scaled: sp.simplify(new_lr / lr),
        one_scaled: sp.simplify(new_lr / new_batch / (lr / batch)),
        channel_mean: sp.Add(*(g**2 * own for g, own in zip(gradient, channels, strict=True))) / length,
        N: sp.Add(*variance) / length,
    }


def rescale_a_regression(random: Random) -> Case:
    """Regress on random data, by hand in rational numbers, in two systems of units and two channels."""
    rows = [[sp.Rational(random.randint(1, 9), random.randint(1, 4)) for _ in range(3)] for _ in range(4)]
    point, other = (sp.Rational(random.randint(1, 9), 5) for _ in range(2))
    units = {c: sp.Rational(random.randint(1, 9), 4), k: sp.Rational(random.randint(1, 9), 4), z: sp.Rational(3, 2)}

    def moments(loss: sp.Rational, unit: sp.Rational) -> list[tuple[sp.Rational, sp.Rational, sp.Rational]]:
        """Slope, variance and curvature of each coordinate of ½·loss·(y − (φ1 x1 + φ2 x2)/unit)², φ = unit·w."""
        errors = [point * x1 + other * x2 - y for x1, x2, y in rows]
        slopes = [[loss * e * row[i] / unit for e, row in zip(errors, rows, strict=True)] for i in (0, 1)]
        means = [sp.Add(*s) / 4 for s in slopes]
        variances = [sp.Add(*((x - m) ** 2 for x in s)) / 4 for s, m in zip(slopes, means, strict=True)]
        curvatures = [sp.Add(*(loss * row[i] ** 2 / unit**2 for row in rows)) / 4 for i in (0, 1)]
        return list(zip(means, variances, curvatures, strict=True))

    here, there = moments(sp.S.One, sp.S.One), moments(units[c], units[k])
    (g, v, curvature), (g_new, v_new, curvature_new) = here[0], there[0]
    if g == 0 or here[1][0] == 0:
        return rescale_a_regression(random)
    batch, lr = 4 * units[z] ** 2 * v / g**2, 1 / (2 * curvature)
    new_batch, new_lr = 4 * units[z] ** 2 * v_new / g_new**2, 1 / (2 * curvature_new)
    own = [4 * units[z] ** 2 * var / slope**2 for slope, var, _ in here]
    length = sp.Add(*(slope**2 for slope, _, _ in here))
    return {
        **units,
        **{batch_scaled: new_batch / batch, lr_scaled: new_lr / lr, one_scaled: new_lr / new_batch / (lr / batch)},
        channel_mean: sp.Add(*(s**2 * n for (s, _, _), n in zip(here, own, strict=True))) / length,
        N: sp.Add(*(var for _, var, _ in here)) / length,
    }


_UNBIASED = {E_G_two: G_sq, E_S_two: S, E_G_one: G_sq, E_S_one: S}
_UNITS = {batch_scaled: sp.S.One, lr_scaled: k**2 / c, one_scaled: k**2 / c, channel_mean: 4 * z**2 * N}


UNBIASED = Claim(
    id="MCA-06",
    slug="lectures.unbiased-noise-scale",
    title="Two batch sizes, or one batch with its spread, give |G|² and tr Σ without bias",
    status="exact",
    statement=equations(_UNBIASED),
    assumptions=(
        positive(B, "size of the big, or only, batch"),
        positive(b, "size of the small batch"),
        given("independent examples of the same law, b < B, and B ≥ 2 for one batch; batches may overlap"),
    ),
    source=MCCANDLISH_2018.where("appendix on unbiased estimates of the noise scale"),
    evidence=(Identity(estimator_means), Property(average_over_all_batches, examples=20)),
    mutants=(
        Mutant("noise left in the squared gradient of the big batch", equations(_UNBIASED, {E_G_two: G_sq + S / B})),
        Mutant("the trace over the big batch size", equations(_UNBIASED, {E_S_two: S / B})),
        Mutant("squared mean of the only batch as it is", equations(_UNBIASED, {E_G_one: G_sq + S / B})),
        Mutant("the batch's own variance, divisor B", equations(_UNBIASED, {E_S_one: S * (1 - 1 / B)})),
    ),
    meanings=(
        (E_G_two, "mean of the two-batch estimate of |G|²"),
        (E_S_two, "mean of the two-batch estimate of tr Σ"),
        (E_G_one, "mean of the one-batch estimate of |G|²"),
        (E_S_one, "mean of the one-batch estimate of tr Σ"),
        (G_sq, "squared length of the gradient"),
        (S, "trace of the covariance of one example's gradient"),
    ),
    note="The ratio of the two is biased all the same, and the estimate of |G|² may come out negative.",
)

UNITS = Claim(
    id="MCA-28",
    slug="lectures.units",
    title="B* is a pure number and η* a curvature's inverse; channel by channel B* averages to 4z² noise scales",
    status="exact",
    statement=equations(_UNITS),
    assumptions=(
        positive(c, "the loss is multiplied by this"),
        positive(k, "the parameter is multiplied by this"),
        positive(z, "confidence multiplier"),
    ),
    source=HERE,
    evidence=(Identity(in_other_units), Property(rescale_a_regression, examples=20)),
    mutants=(
        Mutant("B* changes with the loss", equations(_UNITS, {batch_scaled: 1 / c})),
        Mutant("B* changes with the parameter", equations(_UNITS, {batch_scaled: k**2})),
        Mutant("learning rates are pure numbers", equations(_UNITS, {lr_scaled: sp.S.One, one_scaled: sp.S.One})),
        Mutant("learning rates as gradients", equations(_UNITS, {lr_scaled: k / c})),
        Mutant("the noise scale itself", equations(_UNITS, {channel_mean: N})),
    ),
    meanings=(
        (batch_scaled, "B* in the new units over B*"),
        (lr_scaled, "η* in the new units over η*"),
        (one_scaled, "η₁ in the new units over η₁"),
        (channel_mean, "mean of the channels' B*, weighted by g_c²"),
        (N, "noise scale tr Σ/|g|²"),
    ),
    note="So one batch size serves all channels only in the mean: a channel of small gradient asks for a larger batch.",
)

CLAIMS = (UNBIASED, UNITS)
"""The theory, in the order of the ledger."""
