"""Zeros of Q of order three and more: label noise still wins over the gradient, but only as a power of time.

Beside the zero of Q = w^k a step is w' = w(1 + kηw^(k−2)m), m the batch's mean of x times the label. In u = |w|^(2−k)
the noise no longer depends on the place: u is the distance of a random walker from the origin, in δ =
(2k − 3)/(k − 2) dimensions.
"""

from __future__ import annotations

import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import single_feature
from sgdtheory.claim import Case, Claim, Ensemble, Identity, Mutant, equations, given, positive, where
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.laws import Dataset
from sgdtheory.optimizers import SGD
from sgdtheory.sources import CORLOUER_MACE_2024, HERE
from sgdtheory.theory.degenerate.collapse import first_order

η, B, σ, k, n = symbols.lr, symbols.batch_size, symbols.noise_std, symbols.zero_order, symbols.steps
δ, v, G, slope = symbols.bessel_dimension, symbols.bessel_variance, symbols.bessel_growth, symbols.chi_slope
x, Λ, V, power = symbols.place, symbols.lyapunov, symbols.variance_simple, symbols.power_later
_w = sp.Symbol("w", positive=True)
_coordinate = sp.Symbol("w", real=True)
_u, _τ = sp.symbols("u tau", positive=True)


def bessel_dimension() -> sp.Expr:
    """Return δ = (2k − 3)/(k − 2), the dimension of the Bessel process |w|^(2−k), k > 2."""
    return (2 * k - 3) / (k - 2)


def bessel_variance() -> sp.Expr:
    """Return what its squared increments are on average in one step: (k − 2)²k²η²σ²/B."""
    return ((k - 2) * k * η * σ) ** 2 / B


def log_density_slope() -> sp.Expr:
    """Return d log p/dx of the law of |w| after n → ∞ steps: |w|^(2−k)/√(nv) is χ with δ degrees of freedom.

    Examples
    --------
    >>> sp.limit(x * log_density_slope().subs(k, 3), x, sp.oo)  # a power law far out
    -4
    """
    return -(2 * k - 2) / x + (k - 2) * x ** (3 - 2 * k) / (n * bessel_variance())


def label_diffusion(order: sp.Expr) -> sp.Expr:
    """Return the label part of D = ηΣ/(2B) for Q = w^k, ησ²k²w^(2k−2)/(2B)."""
    return η * σ**2 * sp.diff(_w**order, _w) ** 2 / (2 * B)


def change_variables() -> Case:
    """Change variables by Itô's rule, recognise the Bessel process, and solve its forward equation.

    Per unit of time, η a step, f(w) changes by Df'' on average, the gradient's part being of higher order, and its
    squared increments are 2Df'². For f = w^(2−k) and D = ησ²k²w^(2k−2)/(2B) the latter is constant, v/η, and the former
    ((δ − 1)/(2u))·v/η: a Bessel process, whose δ this defines. Its mean square grows by 2u·(drift) + (squared
    increment) = δv a step.

    Released near the origin it has a density of the form F(u/√τ)/√τ. In p_τ = ½(vp' − v(δ − 1)p/u)' this gives
    −½(zF)' = ½(vF' − v(δ − 1)F/z)', hence −zF = vF' − v(δ − 1)F/z (both sides vanish at ∞), and F'/F =
    (δ − 1)/z − z/v: the law χ. Back in w the density gains the factor |du/dw|.
    """
    f = _w ** (2 - k)
    D = label_diffusion(k)
    spread = sp.simplify(2 * D * sp.diff(f, _w) ** 2 * η)
    drift = sp.simplify(D * sp.diff(f, _w, 2) * η * f)  # drift times u
    dimension = sp.factor(2 * drift / spread + 1)
    z, ratio = sp.symbols("z ratio", real=True)
    (falls,) = sp.solve(sp.Eq(-z, spread * ratio - spread * (dimension - 1) / z), ratio)
    u = x ** (2 - k)
    in_u = falls.subs(z, u / sp.sqrt(n)) / sp.sqrt(n)
    in_w = in_u * sp.diff(u, x) + sp.diff(sp.log(x ** (1 - k)), x)
    return {δ: dimension, v: spread, G: sp.factor(2 * drift + spread), slope: sp.powsimp(sp.expand(in_w))}


def three_regimes() -> Case:
    """Take the noise beside a zero of order one, two and more.

    k = 1: w' = (1 − ηx²)w + ηxy, whose variance settles at a positive value. k = 2: the logarithm of |w| falls by a
    constant a step. k > 2: u is a Bessel process, u/√n has a limit law, so that |w| = u^(−1/(k−2)) falls as
    n^(−1/(2(k−2))).
    """
    simple = single_feature(_coordinate, [_coordinate], σ)
    u = sp.sqrt(n)
    place = u ** (-1 / (k - 2))
    return {
        V: stationary_covariance(simple, SGD(), B)[0, 0],
        Λ: first_order()[Λ],
        power: sp.simplify(n * sp.diff(sp.log(place), n)),
    }


_LAW = {
    δ: bessel_dimension(),
    v: bessel_variance(),
    G: bessel_dimension() * bessel_variance(),
    slope: log_density_slope(),
}
_RATES = {V: η * σ**2 / (2 * B - η * (B + 2)), Λ: -2 * η**2 * σ**2 / B, power: -1 / (2 * (k - 2))}
_START, _STEPS = sp.Rational(1, 100), 50
_TWO_LABELS = single_feature(_coordinate**3, [_coordinate], data=Dataset(x=[1, 1], y=[1, -1]))
_NOISE = (positive(η, "learning rate"), positive(σ, "standard deviation of the labels"), positive(B, "batch size"))
_MODEL = given("Q = w^k, half squared error, E x² = 1, labels independent of x; small steps close to w = 0")

CHI = Claim(
    id="DEG-08",
    slug="degenerate.bessel-law",
    title="Beside a zero of order k > 2, |w|^(2−k) is a Bessel process of dimension (2k − 3)/(k − 2)",
    status="leading-order",
    statement=equations(_LAW),
    assumptions=(
        positive(k, "order of the zero"),
        where(sp.Gt(k, 2), "k > 2"),
        *_NOISE,
        positive(n, "steps"),
        positive(x, "a value of |w|"),
        _MODEL,
    ),
    source=HERE,
    evidence=(
        Identity(change_variables),
        # two labels ±1 keep the mean square finite; the next order is (kηw^(k−2))², 0.04 %
        Ensemble(
            G, (1 / _coordinate**2 - 1 / _START**2) / _STEPS, "mean", _TWO_LABELS, SGD(),
            {η: 2 / 3, σ: 1, B: 1, k: 3}, steps=_STEPS, start=(_START,), resolution=0.1,
        ),
    ),
    mutants=(
        Mutant("Stratonovich: one dimension, reflected", equations(_LAW, {δ: sp.S.One, G: bessel_variance()})),
        Mutant("gradient flow's exponent, k for k − 1", equations({q: f.subs(k, k + 1) for q, f in _LAW.items()})),
        Mutant(
            "no noise in the drift: dimension from the gradient alone",
            equations(_LAW, {δ: 2 + 1 / (k - 1), G: bessel_variance() * (2 + 1 / (k - 1))}),
        ),
        Mutant("noise k²σ² for a label variance of 2σ²", equations({q: f.subs(σ, 2 * σ) for q, f in _LAW.items()})),
        Mutant("a flat law at 0, as the posterior has", equations(_LAW, {slope: -2 * k * x ** (2 * k - 1)})),
    ),
    meanings=(
        (δ, "dimension of u = |w|^(2−k)"),
        (v, "mean squared increment of u a step"),
        (G, "growth of the mean of u² a step"),
        (slope, "slope of the log density of |w| after many steps"),
    ),
    note="So P(|w| > x) falls as x^(−(2k−3)) far out, and the density vanishes at 0 faster than any power: no "
    "posterior looks like this. It holds while |w| is below √(kησ²/(2B)), where the noise outweighs the gradient.",
)  # fmt: skip

RATES = Claim(
    id="DEG-06",
    slug="degenerate.noisy-rates",
    title="With label noise a simple zero is never reached, a double one exponentially, others as n^(−1/(2k−4))",
    status="corrected",
    statement=equations(_RATES),
    assumptions=(
        *_NOISE,
        positive(k, "order of the zero, for the third part"),
        where(sp.Gt(k, 2), "k > 2"),
        positive(n, "steps"),
        where(sp.Lt(η * (B + 2), 2 * B), "η(1 + 2/B) < 2: the variance at k = 1 is finite"),
        _MODEL,
        given("normal inputs for the first part"),
    ),
    source=CORLOUER_MACE_2024.where("convergence is slower the more degenerate the minimum"),
    evidence=(
        Identity(three_regimes),
        Ensemble(
            V, _coordinate**2, "mean", single_feature(_coordinate, [_coordinate], σ), SGD(),
            {η: 0.3, σ: 1, B: 4}, steps=30, start=(0,), resolution=0.03,
        ),
    ),
    mutants=(
        Mutant(
            "as printed: gradient flow's rates, exponential, n^(−1/2), n^(−1/(2k−2))",
            equations({V: sp.S.Zero, Λ: sp.S.Zero, power: -1 / (2 * (k - 1))}),
        ),
        Mutant("no fourth moment of the inputs at k = 1", equations(_RATES, {V: η * σ**2 / (B * (2 - η))})),
        Mutant("as the flow for k > 2 alone", equations(_RATES, {power: -1 / (2 * (k - 1))})),
        Mutant("a power law at k = 2 too", equations(_RATES, {Λ: sp.S.Zero})),
    ),
    meanings=(
        (V, "long-run variance of w at k = 1"),
        (Λ, "mean change of log|w| a step at k = 2, to leading order in ησ"),
        (power, "limit of d log|w|/d log n at k > 2, in law"),
    ),
    note="The order of k = 1 and 2 is reversed: SGD finds the double zero and not the simple one. Among k ≥ 2 the more "
    "degenerate is indeed slower, with the rate the flow has one degree below.",
)  # fmt: skip

CLAIMS = (CHI, RATES)
"""The theory, in the order of the ledger."""
