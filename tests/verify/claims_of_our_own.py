"""Small claims with known verdicts: what the judge must say of them is plain."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random

import sympy as sp

from sgdtheory.catalogue import scalar_mean
from sgdtheory.claim import Claim, Ensemble, Identity, Mutant, Order, Property, Recursion, equals, positive, real
from sgdtheory.optimizers import SGD
from sgdtheory.sources import HERE
from sgdtheory.symbols import batch_size, lr, noise_std

x, square = sp.symbols("x square", real=True)
h = sp.Symbol("h", positive=True)
V = sp.Symbol("V", real=True)


def claim(**changes: object) -> Claim:
    """x² = x·x, with an identity that proves it."""
    base = Claim(
        id="STA-90",
        slug="stationarity.square",
        title="A square is a product",
        status="exact",
        statement=equals(square, x**2),
        assumptions=(real(x),),
        source=HERE,
        evidence=(Identity(lambda: {square: x * x}),),
        mutants=(Mutant("a sum", equals(square, 2 * x)),),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def instance(random: Random) -> dict[sp.Symbol, sp.Expr]:
    value = sp.Rational(random.randint(-9, 9), 7)
    return {x: value, square: value * value}


def measure(step: Fraction) -> dict[sp.Symbol, sp.Expr]:
    """(1 + h)² − 1 differs from 2h by h²."""
    return {V: sp.Rational((1 + step) ** 2 - 1)}


PROPERTY = Property(instance)
RECURSION = Recursion(lambda point: {**point, square: float(point[x]) ** 2}, ({x: sp.Rational(3, 2)},), 1e-12)
ORDER_CLAIM = claim(
    statement=equals(V, 2 * h),
    assumptions=(positive(h),),
    evidence=(Order(measure, h, 2),),
    mutants=(Mutant("without the factor", equals(V, h)),),
)
_VARIANCE = lr * noise_std**2 / (batch_size * (2 - lr))
ENSEMBLE_CLAIM = claim(
    statement=equals(V, _VARIANCE),
    assumptions=(positive(lr), positive(noise_std), positive(batch_size)),
    evidence=(
        Ensemble(
            quantity=V,
            observable=scalar_mean().coordinates[0],
            statistic="variance",
            problem=scalar_mean(),
            optimizer=SGD(),
            values={lr: 0.5, noise_std: 2.0, batch_size: 2},
            steps=30,
            start=(0,),
            resolution=0.1,
        ),
    ),
    mutants=(Mutant("without the batch size", equals(V, _VARIANCE * batch_size)),),
)
