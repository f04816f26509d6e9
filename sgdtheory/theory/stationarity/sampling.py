"""Random reshuffling: how much quieter a long run is when every epoch shows each example once.

Within an epoch the examples' pulls are negatively correlated, because they add up to a fixed sum. What is left at the
end of an epoch is only that late examples count for more than early ones.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Ensemble, Identity, Mutant, Property, equations, given, positive, where
from sgdtheory.derive.expansion import jet
from sgdtheory.derive.moments import stationary_variance
from sgdtheory.laws import Dataset
from sgdtheory.optimizers import SGD
from sgdtheory.problem import Problem
from sgdtheory.sources import HERE

η, h, n, S2, R = symbols.lr, symbols.curvature, symbols.passes, symbols.spread, symbols.epoch_factor
V_RR, V_WR, gain = symbols.variance_reshuffled, symbols.variance_replaced, symbols.reshuffling_gain


def reshuffled_variance() -> sp.Expr:
    """Return the long-run variance at epoch ends, S²·n/(n − 1)·[x/(2 − x) − (1 − R)/(n(1 + R))], x = ηh, R = (1 − x)ⁿ.

    Examples
    --------
    >>> sp.simplify(reshuffled_variance().subs({η: 1, h: 1, R: 0}))  # a step that forgets everything before it
    S2
    """
    x = η * h
    return S2 * n / (n - 1) * (x / (2 - x) - (1 - R) / (n * (1 + R)))


def shared_minima(values: tuple[float, ...], sampling: str = "reshuffle") -> Problem:
    """Return the losses ½h(w − c)², one a value c.

    Examples
    --------
    >>> shared_minima((-1.0, 1.0)).loss.expand()
    0.5*h*w**2 + 0.5*h
    """
    w, c = sp.symbols("w c", real=True)
    return Problem(h * (w - c) ** 2 / 2, [w], Dataset(c=list(values), sampling=sampling), name="quadratics, n minima")


def one_epoch() -> Case:
    """Add up the pulls of one epoch.

    With minima cₖ of mean 0, one epoch maps w to Rw + Σₖ aₖ c_π(k), aₖ = xρ^(n−1−k), ρ = 1 − x, R = ρⁿ. For a random
    order π every c_π(k) has variance S², and two of them the covariance −S²/(n − 1), since all add up to 0. So one
    epoch adds the variance S²[Σa² − ((Σa)² − Σa²)/(n − 1)], with the geometric sums Σa = 1 − R and Σa² =
    x²(1 − R²)/(1 − ρ²); in the long run what an epoch forgets, (1 − R²)V, is what it adds. With replacement the noise
    of a step is h²S², and V = ησ²/(h(2 − ηh)) with that σ². For small x at fixed n both sums nearly cancel.
    """
    x, ρ = η * h, 1 - η * h
    total, squares = 1 - R, x**2 * (1 - R**2) / (1 - ρ**2)
    pairs = total**2 - squares
    reshuffled = S2 * (squares - pairs / (n - 1)) / (1 - R**2)
    replaced = stationary_variance(SGD(), 1).subs(symbols.noise_std, h * sp.sqrt(S2))
    small = sp.Dummy("x", positive=True)
    ratio = (reshuffled / replaced).subs(η, small / h).subs(R, jet((1 - small) ** n, small, 4))
    return {V_RR: reshuffled, V_WR: replaced, gain: jet(sp.cancel(ratio), small, 3).coeff(small, 2)}


@cache
def _epoch(values: tuple[sp.Rational, ...]) -> sp.Poly:
    """Return the mean square of Σₖ ρ^(n−1−k) c_π(k) over all orders, as a polynomial in ρ."""
    ρ = sp.Symbol("rho")
    orders = [sp.Poly(list(order), ρ) ** 2 for order in permutations(values)]
    return sum(orders, sp.Poly(0, ρ)) / len(orders)


def all_orders(random: Random) -> Case:
    """Go through every order of 2, 3 or 4 random examples, in rational numbers."""
    size = random.randint(2, 4)
    drawn = [sp.Rational(random.randint(-9, 9), 4) for _ in range(size - 1)]
    values = (*drawn, -sum(drawn) + random.choice((0, 1)))
    centred = tuple(c - sum(values) / sp.Integer(size) for c in values)
    x = random.choice((sp.S.One, sp.Rational(random.randint(1, 19), 10)))
    spread = sum(c**2 for c in centred) / sp.Integer(size)
    small = sp.Symbol("x")
    ρ = 1 - small
    reshuffled = small**2 * _epoch(centred).as_expr().subs("rho", ρ) / (1 - ρ ** (2 * size))
    replaced = small**2 * spread / (1 - ρ**2)
    ratio = sp.cancel(reshuffled / replaced / small**2) if spread else sp.Rational(size * (size + 1), 12)
    curvature = sp.Rational(random.randint(1, 9), 3)
    numbers = {η: x / curvature, h: curvature, n: sp.Integer(size), S2: spread, R: (1 - x) ** size}
    long_run = {V_RR: sp.cancel(reshuffled).subs(small, x), V_WR: sp.cancel(replaced).subs(small, x)}
    return {**numbers, **long_run, gain: ratio.subs(small, 0)}


_MINIMA = (-2.0, -0.5, 0.25, 0.5, 1.75)
_VALUES = {η: 0.4, h: 1, n: 5, S2: sum(c**2 for c in _MINIMA) / 5, R: 0.6**5}
_REPLACED = S2 * η * h / (2 - η * h)


_STATED = {V_RR: reshuffled_variance(), V_WR: _REPLACED, gain: n * (n + 1) / 12}


def _measured(quantity: sp.Symbol, sampling: str, epochs: int) -> Ensemble:
    w = sp.Symbol("w", real=True)
    problem = shared_minima(_MINIMA, sampling)
    return Ensemble(quantity, w**2, "mean", problem, SGD(), _VALUES, epochs * len(_MINIMA), (0,), resolution=0.02)


RESHUFFLING = Claim(
    id="STA-06",
    slug="stationarity.reshuffling",
    title="Reshuffling divides the long-run variance, at small ηh, by 12/((ηh)² n(n + 1)); the exact law at any ηh",
    status="exact",
    statement=equations(_STATED),
    assumptions=(
        positive(η, "learning rate"),
        positive(h, "curvature, the same for every example"),
        positive(n, "examples an epoch"),
        where(sp.Ge(n, 2), "at least two examples"),
        positive(S2, "variance of the examples' minima"),
        where(sp.Lt(η * h, 2), "ηh < 2"),
        where(sp.Lt(R**2, 1), "R = (1 − ηh)ⁿ"),
        given("losses ½h(w − c)², batches of one, a fresh random order every epoch; seen at the ends of epochs"),
    ),
    source=HERE,
    evidence=(
        Identity(one_epoch),
        Property(all_orders, examples=25),
        _measured(V_RR, "reshuffle", 5),
        _measured(V_WR, "with replacement", 5),
    ),
    mutants=(
        Mutant("no gain: the variance with replacement", equations(_STATED, {V_RR: _REPLACED, gain: sp.S.Zero})),
        Mutant("orders of an infinite population", equations(_STATED, {V_RR: reshuffled_variance() * (n - 1) / n})),
        Mutant("gain without the factor n/(n − 1)", equations(_STATED, {gain: (n**2 - 1) / 12})),
        Mutant("with replacement as reshuffled", equations(_STATED, {V_WR: reshuffled_variance()})),
    ),
    meanings=(
        (V_RR, "long-run variance at epoch ends, random reshuffling"),
        (V_WR, "long-run variance, drawing with replacement"),
        (gain, "limit of V_RR/(V_WR (ηh)²) as η → 0: the ratio is (ηh)² n(n+1)/12 while ηhn is small"),
        (R, "(1 − ηh)ⁿ"),
    ),
    note="At ηh = 1 a step forgets all before it and the order does not matter; beyond, reshuffling is the noisier of "
    "the two. One example alone leaves no variance.",
)

CLAIMS = (RESHUFFLING,)
"""The theory, in the order of the ledger."""
