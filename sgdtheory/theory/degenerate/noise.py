"""Gradient noise beside the Hessian, for models linear in a scalar input: f(w, x) = q(w)·x, half squared error.

Every example's gradient is x(qx − y)∇q: one number times one vector. So the noise has rank one everywhere, while the
Hessian holds curvature of q too; they are proportional where q vanishes, and beside it by factors that depend on the
degree of the zero and on the coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import combinations, product
from random import Random

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.claim import (
    Assumption,
    Case,
    Claim,
    Identity,
    Mutant,
    Property,
    Sample,
    equals,
    equations,
    given,
    positive,
    real,
    where,
)
from sgdtheory.sources import CORLOUER_MACE_2024, HERE

σ, c, w = symbols.noise_std, symbols.leading_coefficient, symbols.distance
x2, x4, k1, k2 = symbols.input_square, symbols.input_fourth, symbols.degree_1, symbols.degree_2
C, H = symbols.noise_here, symbols.curvature_here
C11, C12, C22, noise_det = symbols.noise_11, symbols.noise_12, symbols.noise_22, symbols.noise_determinant
H11, H12, H22, hessian_det = symbols.hessian_11, symbols.hessian_mixed, symbols.hessian_22, symbols.hessian_determinant
w1, w2 = symbols.distance_1, symbols.distance_2
C_ij, H_ij, C0, H0 = symbols.noise_entry, symbols.hessian_entry, symbols.noise_on_zeros, symbols.hessian_on_zeros
q_ij, r_mean, r_var = symbols.model_second, symbols.slope_mean, symbols.slope_variance
n, B = symbols.examples, symbols.batch_size


def noise_over_curvature(degree: sp.Expr | int = k1) -> sp.Expr:
    """Return k/(2k − 1): gradient noise over σ² times the curvature, beside a zero of q of degree k.

    Examples
    --------
    >>> [noise_over_curvature(k) for k in (1, 2, 3, 4)]
    [1, 2/3, 3/5, 4/7]
    """
    return sp.sympify(degree) / (2 * degree - 1)


def noise_of_power() -> sp.Expr:
    """Return the variance of one example's gradient for q = c w^k, in terms of the curvature H and of w.

    Examples
    --------
    >>> noise_of_power().subs({k1: 1, x4: 3, x2: 1})
    H_w*sigma**2 + 2*c_q**4*w_abs**2
    """
    return noise_over_curvature() * σ**2 * H + k1**2 * c**4 * (x4 - x2**2) * w ** (4 * k1 - 2)


def batch_factor() -> sp.Expr:
    """Return (n − B)/(B(n − 1)): what a batch of B of n examples, none twice, leaves of the noise.

    Examples
    --------
    >>> batch_factor().subs({n: 10, B: 10}), sp.limit(batch_factor(), n, sp.oo)
    (0, 1/B)
    """
    return (n - B) / (B * (n - 1))


def _gradient_noise(q: sp.Expr, i: sp.Symbol, j: sp.Symbol) -> sp.Expr:
    """Return Cov(∂ᵢℓ, ∂ⱼℓ) = Var(qx² − xy) ∂ᵢq ∂ⱼq for labels of mean 0 and variance σ², independent of x."""
    x, y = sp.symbols("x y")

    def mean(polynomial: sp.Expr) -> sp.Expr:
        moments = {(0, 0): 1, (2, 0): x2, (4, 0): x4, (2, 2): σ**2 * x2}  # those odd in y vanish
        terms = sp.Poly(polynomial, x, y).terms()
        return sp.Add(*(coefficient * moments.get(powers, 0) for powers, coefficient in terms))

    factor = x * (q * x - y)
    return (mean(factor**2) - mean(factor) ** 2) * sp.diff(q, i) * sp.diff(q, j)


def _hessian(q: sp.Expr, i: sp.Symbol, j: sp.Symbol) -> sp.Expr:
    """Return ∂ᵢ∂ⱼ of the loss ½(E x² q² + σ²)."""
    return sp.diff(x2 * q**2 / 2, i, j)


def differentiate_power() -> Case:
    """Take the variance of one example's gradient of ½(c w^k x − y)², and the curvature of its mean.

    ∂ℓ = x(qx − y)q', and with labels independent of x its variance is (σ²E x² + q²(E x⁴ − (E x²)²))q'². The loss is
    ½(E x² q² + σ²), so H = E x² (q'² + qq''). For a power q'² = k²q²/w² and q'² + qq'' = k(2k − 1)q²/w².
    """
    q = c * w**k1
    return {C: _gradient_noise(q, w, w), H: _hessian(q, w, w)}


def differentiate_product() -> Case:
    """Take covariance and Hessian entry by entry for q = w1^k1 w2^k2, and both determinants.

    Beside a zero the residual is y: to leading order C = σ²E x² ∇q∇qᵀ, of rank one. The curvature of q adds q ∂ᵢ∂ⱼq to
    ∂ᵢq ∂ⱼq: it makes (2kᵢ − 1)/kᵢ of a diagonal entry and 2 of the other, and the determinant negative.
    """
    q = w1**k1 * w2**k2
    first, mixed, second = ((w1, w1), (w1, w2), (w2, w2))
    noise = {name: _gradient_noise(q, *pair) for name, pair in ((C11, first), (C12, mixed), (C22, second))}
    hessian = {name: _hessian(q, *pair) for name, pair in ((H11, first), (H12, mixed), (H22, second))}
    return {
        **{name: sp.powsimp(sp.expand(e)) for name, e in (noise | hessian).items()},
        noise_det: sp.expand(noise[C11] * noise[C22] - noise[C12] ** 2),
        hessian_det: sp.factor(hessian[H11] * hessian[H22] - hessian[H12] ** 2),
    }


def differentiate_any() -> Case:
    """Write r for x(qx − y): every example's gradient is r∇q, whatever q, and the Hessian of the mean loss follows.

    Cov(r∂ᵢq, r∂ⱼq) = Var r ∂ᵢq ∂ⱼq. The Hessian is E x² ∂ᵢq ∂ⱼq + E r ∂ᵢ∂ⱼq. Eliminating ∂ᵢq ∂ⱼq leaves the
    statement; a mean of B of n numbers, none twice, varies by (n − B)/(n − 1) of what it does with replacement. Where
    q = 0 and labels are independent of x with mean 0, E r = E x² q = 0 and Var r = σ²E x².
    """
    slopes = sp.Dummy("q_i") * sp.Dummy("q_j")
    return {
        C_ij: r_var * slopes * batch_factor(),
        H_ij: x2 * slopes + r_mean * q_ij,
        C0: σ**2 * x2 * slopes,
        H0: x2 * slopes,
    }


def _independent(random: Random) -> list[tuple[Fraction, Fraction]]:
    """Return pairs (x, y) with every label beside every input, labels of mean 0."""
    inputs = [Fraction(random.randint(1, 9), random.randint(1, 4)) for _ in range(3)]
    labels = [Fraction(random.randint(-9, 9), 2) for _ in range(2)]
    return list(product(inputs, [*labels, -sum(labels, Fraction(0))]))


def _mean(values: Iterable[Fraction]) -> Fraction:
    listed = list(values)
    return sum(listed, Fraction(0)) / len(listed)


def _covariance(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    return _mean(a * b for a, b in zip(left, right, strict=True)) - _mean(left) * _mean(right)


def _example_function(q: sp.Expr, coordinates: Sequence[sp.Symbol], *along: sp.Symbol) -> Callable[..., Fraction]:
    """Return a derivative of ½(qx − y)² as a function of the coordinates, x and y; whole coefficients keep it exact."""
    x, y = sp.symbols("x y")
    doubled = sp.lambdify([*coordinates, x, y], sp.diff((q * x - y) ** 2, *along), "math")
    return lambda *values: Fraction(doubled(*values)) / 2


def random_power(random: Random) -> Case:
    """Average gradients and second derivatives of c w^k over a small set of examples, without any formula for them."""
    v, degree, scale = sp.Symbol("v"), random.randint(1, 4), random.randint(1, 5)
    here, pairs = Fraction(random.randint(1, 9), random.randint(1, 4)), _independent(random)
    slope, bend = (_example_function(scale * v**degree, [v], *[v] * order) for order in (1, 2))
    slopes = [slope(here, *pair) for pair in pairs]
    return _exact({
        k1: degree, w: here, c: scale, x2: _mean(x**2 for x, _ in pairs), x4: _mean(x**4 for x, _ in pairs),
        C: _covariance(slopes, slopes), H: _mean(bend(here, *pair) for pair in pairs),
    }) | {σ: sp.sqrt(_rational(_mean(y**2 for _, y in pairs)))}  # fmt: skip


def random_batches(random: Random) -> list[Case]:
    """Go through all batches of five examples for a random q of two variables; x and y need not be independent.

    The covariance of the batch gradient is that of the list of all batches. The quantities on zeros take independent
    labels and the same q less its value at the point.
    """
    a, b = sp.symbols("a b")
    q = sp.Add(*(random.randint(-4, 4) * a**i * b**j for i, j in product(range(3), repeat=2)))
    at, size = [random.randint(-3, 3), random.randint(-3, 3)], random.randint(1, 4)
    pairs = [(Fraction(random.randint(1, 9), 2), Fraction(random.randint(-9, 9), 2)) for _ in range(5)]
    independent, value = _independent(random), q.subs({a: at[0], b: at[1]})
    r = [x * (int(value) * x - y) for x, y in pairs]
    shared: dict[sp.Symbol, Fraction | int] = {
        n: 5, B: size, x2: _mean(x**2 for x, _ in pairs), r_mean: _mean(r), r_var: _covariance(r, r),
    }  # fmt: skip
    i, j = random.choice(((a, a), (a, b)))

    def entries(model: sp.Expr, data: Sequence[tuple[Fraction, Fraction]], batch: int) -> tuple[Fraction, Fraction]:
        bend = _example_function(model, (a, b), i, j)
        rows = ([f(*at, *pair) for pair in data] for f in (_example_function(model, (a, b), v) for v in (i, j)))
        noise = _covariance(*([_mean(group) for group in combinations(row, batch)] for row in rows))
        return noise, _mean(bend(*at, *pair) for pair in data)

    shared |= dict(zip((C_ij, H_ij), entries(q, pairs, size), strict=True))
    shared |= dict(zip((C0, H0), entries(q - value, independent, 1), strict=True))
    second = sp.diff(q, i, j).subs({a: at[0], b: at[1]})
    deviation = sp.sqrt(_rational(_mean(y**2 for _, y in independent)))
    return [_exact(shared) | {q_ij: second, σ: deviation}]


def _rational(value: Fraction | int) -> sp.Rational:
    return sp.Rational(value.numerator, value.denominator)


def _exact(numbers: Mapping[sp.Symbol, Fraction | int]) -> dict[sp.Symbol, sp.Expr]:
    return {symbol: _rational(value) for symbol, value in numbers.items()}


_AT = {k1: 3, w: 0.8, c: 1.5, σ: 0.7, x2: 1, x4: 3}


def draw_gradients(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw the squared deviation of one example's gradient from its mean, normal inputs and labels, q = 1.5 w³."""
    q, slope = 1.5 * 0.8**3, 4.5 * 0.8**2
    x, y = rng.standard_normal((2, count)) * np.array([[1.0], [0.7]])
    return np.asarray((x * (q * x - y) * slope - q * slope) ** 2)


def _power(formula: sp.Expr) -> sp.Basic:
    return equals(C, formula)


_INPUTS: tuple[Assumption, ...] = (
    positive(σ, "standard deviation of the labels"),
    positive(x2, "mean of x²"),
    positive(x4, "mean of x⁴"),
    where(sp.Ge(x4, x2**2), "E x⁴ ≥ (E x²)²"),
)
_MODEL = given("f(w, x) = q(w)·x, half squared error, labels of mean 0 independent of x")
_HIGHER = noise_of_power() - noise_over_curvature() * σ**2 * H

POWER = Claim(
    id="DEG-01",
    slug="degenerate.noise-of-power",
    title="Beside a zero of degree k the gradient noise is σ²k/(2k − 1) times the curvature: 1, 2/3, 3/5, …",
    status="corrected",
    statement=_power(noise_of_power()),
    assumptions=(
        *_INPUTS,
        positive(w, "distance from the zero"),
        positive(c, "coefficient"),
        Assumption("degree: k ≥ 1", k1, sp.Interval(1, sp.oo)),
        _MODEL,
        given("q = c w^k"),
    ),
    source=CORLOUER_MACE_2024.where("takeaways: noise near a critical point"),
    evidence=(
        Identity(differentiate_power),
        Property(random_power, 10),
        # substituting the curvature by its own formula, so that the sample speaks of C alone
        Sample(C, draw_gradients, {**_AT, H: 15 * 1.5**2 * 0.8**4}, resolution=0.05),
    ),
    mutants=(
        Mutant("as printed: proportional to the Hessian, one constant σ² for all degrees", _power(σ**2 * H)),
        Mutant("one constant, but the exact remainder", _power(σ**2 * H + _HIGHER)),
        Mutant("without the remainder", _power(noise_over_curvature() * σ**2 * H)),
        Mutant("remainder with E x⁴ alone", _power(noise_of_power().subs(x4, x4 + x2**2))),
    ),
    meanings=symbols.meanings(C + H),
    note="The constant depends on the degree, so that across minima of different degrees there is none. The remainder "
    "is of order w^(4k − 2), of higher order than H by w^(2k).",
)

_EXTRA = 1 + w1 ** (2 * k1) * w2 ** (2 * k2) * (x4 - x2**2) / (σ**2 * x2)
_RATIOS = {C11: noise_over_curvature(k1), C12: sp.Rational(1, 2), C22: noise_over_curvature(k2)}
_OF = {C11: H11, C12: H12, C22: H22}
_DET_H = -(x2**2) * k1 * k2 * (2 * k1 + 2 * k2 - 1) * w1 ** (4 * k1 - 2) * w2 ** (4 * k2 - 2)


def _plane(ratios: Case, determinant: sp.Expr = sp.S.Zero, curvature: sp.Expr = _DET_H) -> sp.Basic:
    entries = {name: ratios[name] * σ**2 * _OF[name] * _EXTRA for name in _OF}
    return equations({**entries, noise_det: determinant, hessian_det: curvature})


PRODUCT = Claim(
    id="DEG-02",
    slug="degenerate.noise-of-product",
    title="In the plane the noise is not proportional to the Hessian: rank one against an indefinite matrix",
    status="corrected",
    statement=_plane(_RATIOS),
    assumptions=(
        *_INPUTS,
        positive(w1, "first coordinate"),
        positive(w2, "second coordinate"),
        Assumption("degree along the first: k₁ ≥ 1", k1, sp.Interval(1, sp.oo)),
        Assumption("degree along the second: k₂ ≥ 1", k2, sp.Interval(1, sp.oo)),
        _MODEL,
        given("q = w₁^k₁ w₂^k₂"),
    ),
    source=CORLOUER_MACE_2024.where("takeaways: noise near a critical point"),
    evidence=(Identity(differentiate_product),),
    mutants=(
        Mutant("as printed: one constant for all entries", _plane(dict.fromkeys(_OF, noise_over_curvature(k1)))),
        Mutant("each coordinate its own, the mixed one their mean", _plane(
            _RATIOS | {C12: (noise_over_curvature(k1) + noise_over_curvature(k2)) / 2})),
        Mutant("noise of rank two, as the Hessian", _plane(_RATIOS, σ**4 * _DET_H)),
        Mutant("Hessian of rank one, as the noise", _plane(_RATIOS, curvature=sp.S.Zero)),
    ),
    meanings=symbols.meanings(sp.Tuple(C11, C12, C22, H11, H12, H22, noise_det, hessian_det)),
    note="Noise does die faster along the more degenerate coordinate, Cᵢᵢ = σ²E x² kᵢ²q²/wᵢ² to leading order. Between "
    "coordinates the ratio is ½ whatever the degrees. Negative determinant: beside the zero set the loss has a "
    "direction of negative curvature.",
)  # fmt: skip


def _any(factor: sp.Expr, correction: sp.Expr = r_mean * q_ij, there: sp.Expr = σ**2 * H0) -> sp.Basic:
    return equations({C_ij: factor * (H_ij - correction) * r_var / x2, C0: there})


ANY_MODEL = Claim(
    id="DEG-03",
    slug="degenerate.noise-of-any-model",
    title="For any q the noise is Var r/E x² times the Hessian less E r ∇²q, r = x(qx − y): σ² times it where q = 0",
    status="exact",
    statement=_any(batch_factor()),
    assumptions=(
        positive(x2, "mean of x²"),
        positive(σ, "standard deviation of the labels"),
        real(q_ij, "second derivative of q"),
        real(r_mean, "mean of r"),
        Assumption("variance of r ≥ 0", r_var, sp.Interval(0, sp.oo)),
        positive(n, "examples"),
        positive(B, "batch size"),
        where(sp.Gt(n, 1) & sp.Le(B, n), "1 < n, B ≤ n"),
        given("f(w, x) = q(w)·x, half squared error, n examples in all, batches of B without replacement, any q"),
        given("for the second equation: labels of mean 0 independent of x, one example"),
    ),
    source=HERE,
    evidence=(Identity(differentiate_any), Property(random_batches, 12)),
    mutants=(
        Mutant("proportional to the Hessian everywhere", _any(batch_factor(), sp.S.Zero)),
        Mutant("drawn with replacement", _any(1 / B)),
        Mutant("divisor n instead of n − 1", _any((n - B) / (B * n))),
        Mutant("half of the Hessian on zeros", _any(batch_factor(), there=σ**2 * H0 / 2)),
    ),
    meanings=symbols.meanings(sp.Tuple(C_ij, H_ij, C0, H0)),
    note="The full batch has no noise. With replacement, or with fresh examples, the factor is 1/B.",
)

CLAIMS = (POWER, PRODUCT, ANY_MODEL)
"""The theory, in the order of the ledger."""
