"""Which side of a saddle SGD leaves by: decided within the first few steps, and exactly known for normal noise.

Along a direction of curvature −h the step is w' = (1 + ηh)w − ηξ: unstable, so that w divided by its growth is a
martingale that settles on a random number. The run ends on that number's side.
"""

from __future__ import annotations

import math

import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.claim import Case, Claim, Ensemble, Identity, Mutant, Recursion, equals, given, positive, real
from sgdtheory.optimizers import SGD
from sgdtheory.sources import HERE

η, B, h, σ = symbols.lr, symbols.batch_size, symbols.curvature, symbols.noise_std
w_0, P = symbols.saddle_start, symbols.escape_probability


def normal_cdf(z: sp.Expr) -> sp.Expr:
    """Return Φ(z), the standard normal distribution function.

    Examples
    --------
    >>> normal_cdf(sp.S.Zero)
    1/2
    """
    return (1 + sp.erf(z / sp.sqrt(2))) / 2


def side_probability() -> sp.Expr:
    """Return P(w → +∞) = Φ(w₀√(B((1 + ηh)² − 1))/(ησ)).

    Examples
    --------
    >>> side_probability().subs(w_0, 0)
    1/2
    """
    return normal_cdf(w_0 * sp.sqrt(B * ((1 + η * h) ** 2 - 1)) / (η * σ))


def diffusion_side_probability() -> sp.Expr:
    """Return the same for the diffusion limit dw = hw dt + √(η/B)σ dW, Φ(w₀√(2Bh/η)/σ)."""
    return normal_cdf(w_0 * sp.sqrt(2 * B * h / η) / σ)


def limit_of_the_martingale() -> Case:
    """Divide by the growth and let the noise add up.

    z_n = w_n/(1 + a)ⁿ with a = ηh obeys z_n = z_{n−1} − ηξ_n/(1 + a)ⁿ: a martingale whose steps have variances
    η²σ²/B·(1 + a)^(−2n). Their sum is finite, so z_n converges almost surely; its limit is a sum of independent normal
    numbers, normal of mean w₀ and variance η²σ²/(B((1 + a)² − 1)). Almost surely it is not 0, and w_n goes to +∞ where
    it is positive: with probability Φ(mean/standard deviation).
    """
    ratio = sp.Symbol("r", positive=True)
    k, n = sp.symbols("k n", integer=True, positive=True)
    partial = sp.simplify(sp.summation(ratio**k, (k, 1, n)).args[-1][0])  # r ≠ 1
    total = partial.subs(ratio**n, 0)  # r = (1 + a)⁻² < 1
    variance = sp.factor(η**2 * σ**2 / B * total.subs(ratio, (1 + η * h) ** -2))
    return {P: normal_cdf(w_0 / sp.sqrt(variance))}


def iterate(point: Case) -> Case:
    """Carry mean and variance of the plain iteration on for 200 steps; the sign is decided by their ratio."""
    lr, batch, curvature, noise, mean = (float(point[s]) for s in (η, B, h, σ, w_0))
    variance = 0.0
    for _ in range(200):
        mean, variance = (1 + lr * curvature) * mean, (1 + lr * curvature) ** 2 * variance + lr**2 * noise**2 / batch
    return {**point, P: math.erfc(-mean / math.sqrt(2 * variance)) / 2}


def _point(lr: float, batch: int, curvature: float, noise: float, start: float) -> Case:
    numbers = (lr, batch, curvature, noise, start)
    return {s: sp.Rational(str(value)) for s, value in zip((η, B, h, σ, w_0), numbers, strict=True)}


_SADDLE = quadratic(-h)
_UP = sp.Piecewise((1, _SADDLE.coordinates[0] > 0), (0, True))

SIDE = Claim(
    id="STA-12",
    slug="stationarity.saddle-side",
    title="SGD leaves a saddle upwards with probability Φ(w₀√(B((1 + ηh)² − 1))/(ησ))",
    status="exact",
    statement=equals(P, side_probability()),
    assumptions=(
        positive(η, "learning rate"),
        positive(B, "batch size"),
        positive(h, "minus the curvature along the escaping direction"),
        positive(σ, "standard deviation of one example's gradient"),
        real(w_0, "start, measured from the saddle"),
        given("loss −½hw² along the direction; normal gradient noise that does not depend on w"),
    ),
    source=HERE,
    evidence=(
        Identity(limit_of_the_martingale),
        # the variance's missing part is below 1.1^-400, the rest rounding
        Recursion(
            iterate, (_point(0.1, 1, 1, 1, 0.3), _point(0.5, 4, 2, 1.5, -0.2), _point(1.5, 2, 0.8, 3, 0.7)), 1e-12
        ),
        # 1.9^-60 of the variance is missing after 30 steps
        Ensemble(
            P, _UP, "mean", _SADDLE, SGD(), _point(0.6, 2, 1.5, 1, 0.25), 30, (sp.Rational(1, 4),), resolution=0.01
        ),
    ),
    mutants=(
        Mutant("the diffusion limit's probability", equals(P, diffusion_side_probability())),
        Mutant("without the batch size", equals(P, side_probability().subs(B, 1))),
        Mutant("decided by the first step", equals(P, normal_cdf(w_0 * (1 + η * h) * sp.sqrt(B) / (η * σ)))),
        Mutant("either side alike", equals(P, sp.Rational(1, 2))),
    ),
    meanings=((P, "probability that w goes to plus infinity"),),
    note="With noise that is not normal the limit is no normal number, and only its mean and variance are as here. As "
    "ηh → 0 the diffusion limit agrees.",
)

CLAIMS = (SIDE,)
"""The theory, in the order of the ledger."""
