"""Updates of a conjugate Bayesian model do not depend on the order of the examples; what makes them so.

Model y = x·θ + noise of known variance, prior N(m, P). One example moves the mean by the gain K = Px/S, S = σ² + x·Px,
times y − x·m, and takes K(Px)ᵀ from the covariance: recursive least squares, and Kalman's filter for a state at rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import NamedTuple

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equations, given
from sgdtheory.sources import BEMENT_2026
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import rational, triangular

Δm, ΔP, frozen = symbols.mean_gap, symbols.covariance_gap, symbols.frozen_gap
k, e1, e2, Px1, Px2 = symbols.inner, symbols.residual_1, symbols.residual_2, symbols.input_1, symbols.input_2
S1, S2 = symbols.spread_1, symbols.spread_2


class Belief(NamedTuple):
    """Mean, shape (d, 1), and covariance, shape (d, d), of a normal law."""

    mean: sp.MatrixBase
    covariance: sp.MatrixBase


class Example(NamedTuple):
    """Input, shape (d, 1), label, and variance of the label's noise."""

    x: sp.MatrixBase
    y: sp.Expr
    noise: sp.Expr


def update(belief: Belief, example: Example, forget: sp.Expr = sp.S.One) -> Belief:
    """Return the posterior after one example; `forget` < 1 first divides the covariance, as in adaptive filters.

    Parameters
    ----------
    belief : Belief
    example : Example
    forget : expression
        Forgetting factor, 1 for Bayes.

    Examples
    --------
    >>> update(Belief(sp.zeros(1), sp.eye(1)), Example(sp.eye(1), sp.Integer(2), sp.S.One))
    Belief(mean=Matrix([[1]]), covariance=Matrix([[1/2]]))
    """
    covariance = belief.covariance / forget
    image = covariance * example.x
    spread = example.noise + example.x.dot(image)
    mean = belief.mean + image * (example.y - example.x.dot(belief.mean)) / spread
    return Belief(mean, covariance - image * image.T / spread)


def both_orders(belief: Belief, examples: Sequence[Example], forget: sp.Expr = sp.S.One) -> list[Case]:
    """Return the gaps of mean and covariance, and of the mean when the covariance stays as it is."""
    one, two = examples
    forth, back = (update(update(belief, p, forget), q, forget) for p, q in ((one, two), (two, one)))
    still = []
    for p, q in ((one, two), (two, one)):
        half = update(belief, p).mean
        still.append(update(Belief(half, belief.covariance), q).mean)
    images = [belief.covariance * p.x for p in examples]
    local = {k: one.x.dot(images[1])}
    for p, image, e, s in zip(examples, images, (e1, e2), (S1, S2), strict=True):
        local |= {e: p.x.dot(belief.mean) - p.y, s: p.noise + p.x.dot(image)}
    size = len(belief.mean)
    return [
        {
            **local,
            Δm: forth.mean[i] - back.mean[i],
            ΔP: (forth.covariance - back.covariance)[i, (i + 1) % size],
            frozen: still[0][i] - still[1][i],
            Px1: images[0][i],
            Px2: images[1][i],
        }
        for i in range(size)
    ]


def generic_orders() -> list[Case]:
    """The posterior is the prior times both likelihoods, and products commute; in formulas P⁻¹ grows by xxᵀ/σ².

    So after both examples P⁻¹ + x1x1ᵀ/σ₁² + x2x2ᵀ/σ₂² is the inverse covariance, and that times the mean is
    P⁻¹m + x1y1/σ₁² + x2y2/σ₂², in either order. The gain form is the same (Sherman, Morrison). With the gain
    Pxᵢ/Sᵢ left as it is, the mean's steps are those of SGD on ½eᵢ²/Sᵢ preconditioned by P, and LIE-09 gives the gap.
    In the plane, with P = 1 (a change of coordinates brings every P there) and everything else arbitrary.
    """
    belief = Belief(sp.Matrix(sp.symbols("m1:3", real=True)), sp.eye(2))
    numbers = (
        (sp.symbols(f"{n}1:3", real=True), sp.Symbol(f"y_{n}"), sp.Symbol(f"v_{n}", positive=True)) for n in "pq"
    )
    return both_orders(belief, [Example(sp.Matrix(x), y, v) for x, y, v in numbers])


def random_orders(random: Random, forget: sp.Expr = sp.S.One) -> list[Case]:
    """Do the same with numbers and any P, in one to five dimensions."""
    cases = []
    for d in (1, 2, 3, 4, 5):
        root = triangular(random, d)
        belief = Belief(sp.Matrix([rational(random) for _ in range(d)]), root * root.T)
        examples = [
            Example(
                sp.Matrix([rational(random) for _ in range(d)]), rational(random), sp.Rational(random.randint(1, 9), 4)
            )
            for _ in range(2)
        ]
        cases += both_orders(belief, examples, forget)
    return cases


_FROZEN = k * (e1 * Px2 - e2 * Px1) / (S1 * S2)
_STATED = {Δm: sp.S.Zero, ΔP: sp.S.Zero, frozen: _FROZEN}
BAYES = Claim(
    id="LIE-10",
    slug="lie.bayes",
    title="Conjugate Bayesian updates commute, mean and covariance; with the covariance left as it is they do not",
    status="exact",
    statement=equations(_STATED),
    assumptions=(given("y = x·θ + normal noise of known variance, normal prior"),),
    source=BEMENT_2026.where("introduction: updates should commute"),
    evidence=(Identity(generic_orders), Property(random_orders, examples=2)),
    mutants=(
        Mutant("the mean moves with a fixed gain and commutes", equations(_STATED, {frozen: sp.S.Zero})),
        Mutant("order matters as with a fixed gain", equations(_STATED, {Δm: _FROZEN})),
        Mutant("sign of the gap of a fixed gain", equations(_STATED, {frozen: -_FROZEN})),
        Mutant("without the variances of the labels", equations(_STATED, {frozen: _FROZEN * S1 * S2})),
        Mutant(
            "with forgetting by 9/10",
            evidence=(Property(partial(random_orders, forget=sp.Rational(9, 10)), examples=1),),
        ),
    ),
    meanings=meanings(equations(_STATED)),
    note="What the bracket of linear regression (LIE-09) measures is what the change of the gain takes away.",
)

CLAIMS = (BAYES,)
"""The theory, in the order of the ledger."""
