"""Three meanings of stable: the mean, almost every run, the mean square; one parameter, normal inputs, no label noise.

A step is w' = (1 − ηx²)w with x ~ N(0, h). The mean is multiplied by 1 − ηh, the mean square by E(1 − ηx²)², and
log|w| of almost every run grows by Λ = E log|1 − ηx²| a step, by the law of large numbers. The three change sign at
different learning rates.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy as sp
from mpmath import mp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.catalogue import linear_regression
from sgdtheory.claim import Case, Claim, Identity, Mutant, Recursion, Sample, equations, given, positive
from sgdtheory.derive.series import hypergeometric
from sgdtheory.laws import Number
from sgdtheory.sources import HERE

η, h = symbols.lr, symbols.curvature
Λ, on_mean, on_square, on_path = symbols.lyapunov, symbols.limit_mean, symbols.limit_square, symbols.limit_path


def lyapunov_exponent(lr: Number = η) -> sp.Expr:
    """Return Λ = E log|1 − ηx²| = log(ηh/2) − γ + ₂F₂(1, 1; 3/2, 2; −1/(2ηh))/(ηh), x ~ N(0, h).

    Examples
    --------
    >>> lyapunov_exponent(1).subs(h, 1).n(5)
    -0.41699
    """
    u = lr * h
    return sp.log(u / 2) - sp.EulerGamma + sp.hyper((1, 1), (sp.Rational(3, 2), 2), -1 / (2 * u)) / u


def almost_sure_limit(digits: int = 15) -> sp.Float:
    """Return ηh at which Λ changes sign, 2.42…, by bisection between decimal numbers.

    Parameters
    ----------
    digits : int
        Decimals, of which the last is cut off, not rounded: the sign of Λ is computed with ten digits more.

    Examples
    --------
    >>> almost_sure_limit(8)
    2.42124952
    """
    low, high, scale = 2 * 10**digits, 3 * 10**digits, sp.Integer(10) ** digits
    while high - low > 1:
        middle = (low + high) // 2
        falls = lyapunov_exponent(middle / scale).subs(h, 1).evalf(digits + 10) < 0
        low, high = (middle, high) if falls else (low, middle)
    return sp.Float(sp.Rational(low, 10**digits), digits + 1)


def three_limits() -> Case:
    """Find the multipliers of mean and mean square as polynomials, and Λ from a differential equation.

    Let t² = 1/(ηh) and z standard normal, so that 1 − ηx² = (t − z)(t + z)/t². Then Λ = −log t² + ℓ(t), where
    ℓ(t) = E log|t² − z²| has ℓ(0) = E log z² and slope 2m(t), m being the principal value of E 1/(t − z), because z
    and −z have the same law. Stein's identity E f'(z) = E zf(z) for f = 1/(t − z), whose derivative is minus that by t,
    gives m' = −E z/(t − z) = 1 − tm, and m(0) = 0 by symmetry. So m = Σ mₖt^(2k+1) with m₀ = 1 and
    (2k + 3)mₖ₊₁ = −mₖ, and ℓ = ℓ(0) + Σ 2mₖt^(2k+2)/(2k + 2): the ratio of its terms is rational in k, which makes it
    t² times a hypergeometric series, convergent everywhere.

    The mean is stable for |1 − ηh| < 1, the mean square for E(1 − ηx²)² < 1.
    """
    k, z = sp.symbols("k z", positive=True)
    m_ratio = -1 / (2 * k + 3)
    terms = m_ratio * (2 * k + 2) / (2 * (k + 1) + 2)
    start = sp.simplify(sp.integrate(2 * sp.log(z**2) * sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi), (z, 0, sp.oo)))
    t_squared = 1 / (η * h)
    exponent = sp.log(η * h) + start + t_squared * hypergeometric(terms, k, t_squared)
    problem = linear_regression(1, noise_std=0, stds=sp.sqrt(h))
    (w,) = problem.coordinates
    step = w - η * problem.example_gradient[0]
    mean, square = (sp.expand(problem.data.mean(sp.expand((step / w) ** power))) for power in (1, 2))
    return {
        Λ: exponent,
        on_mean: _first(sp.solve(mean**2 - 1, η)),
        on_square: _first(sp.solve(square - 1, η)),
        on_path: almost_sure_limit(12) / h,
    }


def _first(roots: list[sp.Expr]) -> sp.Expr:
    return min((root for root in roots if root != 0), key=lambda root: root.subs(h, 1))


def integrate(point: Case) -> Case:
    """Average over x by quadrature, split where the logarithm is singular, and search for the limits."""
    curvature = mp.mpf(str(point[h]))

    def mean(function: Callable[[mp.mpf], mp.mpf], lr: mp.mpf) -> mp.mpf:
        zero = 1 / mp.sqrt(lr * curvature)
        return 2 * mp.quad(lambda z: function(1 - lr * curvature * z**2) * mp.npdf(z), [0, zero, 2 * zero + 2, mp.inf])

    def crossing(function: Callable[[mp.mpf], mp.mpf], guess: float) -> mp.mpf:
        return mp.findroot(function, (guess / curvature, 1.01 * guess / curvature))

    def log_size(a: mp.mpf) -> mp.mpf:
        return mp.log(abs(a))

    return {
        **point,
        Λ: sp.Float(mean(log_size, mp.mpf(str(point[η])))),
        on_mean: sp.Float(crossing(lambda lr: mean(lambda a: a, lr) + 1, 1.9)),
        on_square: sp.Float(crossing(lambda lr: mean(lambda a: a**2, lr) - 1, 0.6)),
        on_path: sp.Float(crossing(lambda lr: mean(log_size, lr), 2.4)),
    }


def draw(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw log|w'/w| at η = 0.6, h = 1.5."""
    return np.log(np.abs(1 - 0.6 * 1.5 * rng.standard_normal(count) ** 2))


_STATED = {Λ: lyapunov_exponent(), on_mean: 2 / h, on_square: 2 / (3 * h)}


def _with(changes: Case, low: str = "2.42124", high: str = "2.42125") -> sp.Basic:
    """Return the statement, with other values for some quantities."""
    between = sp.And(sp.Gt(on_path * h, sp.Rational(low)), sp.Lt(on_path * h, sp.Rational(high)))
    return sp.And(equations(_STATED, changes), between)


THREE_LIMITS = Claim(
    id="STA-14",
    slug="stationarity.three-limits",
    title="Where one w fits all, SGD falls in mean square for ηh < 2/3, in mean below 2, almost surely below 2.4212",
    status="exact",
    statement=_with({}),
    assumptions=(
        positive(η, "learning rate"),
        positive(h, "variance of the input, the curvature"),
        given("one parameter, batches of one, normal inputs, labels without noise"),
    ),
    source=HERE,
    evidence=(
        Identity(three_limits),
        # quadrature to 15 digits
        Recursion(
            integrate,
            tuple({η: sp.Rational(lr), h: sp.Rational(c)} for lr, c in (("0.3", "1"), ("2.5", "0.7"), ("1.1", "3"))),
            1e-11,
        ),
        Sample(Λ, draw, {η: sp.Rational(3, 5), h: sp.Rational(3, 2)}, resolution=0.05),
    ),
    mutants=(
        Mutant("the growth of the mean in place of Λ", _with({Λ: sp.log(sp.Abs(1 - η * h))})),
        Mutant("half the growth of the mean square", _with({Λ: sp.log(1 - 2 * η * h + 3 * (η * h) ** 2) / 2})),
        Mutant("two small-step terms, −ηh − 3(ηh)²/2", _with({Λ: -η * h - 3 * (η * h) ** 2 / 2})),
        Mutant("mean square stable as long as the mean", _with({on_square: 2 / h})),
        Mutant("fourth moment of x taken as the square of its second", _with({on_square: 1 / h, on_mean: 1 / h})),
        Mutant("almost surely as in mean", _with({}, "1.9", "2.1")),
        Mutant("almost surely, one digit off", _with({}, "2.42125", "2.42126")),
    ),
    meanings=(
        (Λ, "E log|1 − ηx²|, by which log|w| of almost every run grows a step"),
        (on_mean, "learning rate at which the mean stops falling"),
        (on_square, "learning rate at which the mean square stops falling"),
        (on_path, "learning rate at which almost every run stops falling"),
    ),
    note="Between 2/3 and the last limit almost every run still converges to the minimum while the mean square, "
    "carried by ever rarer runs, grows without bound; from 2 on even the mean does. An average over finitely many "
    "runs shows neither for long.",
)

CLAIMS = (THREE_LIMITS,)
"""The theory, in the order of the ledger."""
