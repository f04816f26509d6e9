"""The naive allocation: a step times the minibatch gradient that made it."""

from __future__ import annotations

from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equals, given, positive, real
from sgdtheory.derive.expansion import monomials
from sgdtheory.laws import Number
from sgdtheory.optimizers import SGD, Momentum
from sgdtheory.sources import SHAH_2020
from sgdtheory.theory.random_instances import learning_rate, rational

η, G, A = symbols.lr, symbols.gradient, symbols.allocation


def naive_allocation(gradient: Number = G) -> sp.Expr:
    """Return −ηG², the naive allocation of an SGD step to a coordinate whose gradient is G."""
    return -η * gradient**2


def allocate_naively() -> Case:
    """Multiply the step by its own gradient.

    SGD moves a coordinate with gradient G by Δ = −ηG. The naive allocation is Δ·G = −ηG². A square is never negative
    and η > 0, so it is at most 0; it is 0 where G = 0, which happens (a dead unit, a parameter the batch does not see).
    """
    return {A: SGD().update(G).displacement * G}


def _allocate_momentum() -> Case:
    return {A: Momentum(momentum=sp.Rational(1, 2)).update(G, memory=[1]).displacement * G}


def _allocate_with_another_gradient() -> Case:
    return {A: SGD().update(G).displacement * 1}


def random_step(random: Random) -> list[Case]:
    """Take one SGD step on a random polynomial loss in 1 to 3 dimensions and allocate it; a gradient may be 0."""
    w = sp.symbols(f"w1:{random.randint(1, 3) + 1}", real=True)
    seen = w[: len(w) - random.randint(0, 1)]  # perhaps the loss does not depend on the last coordinate
    loss = sp.Add(*(rational(random) * term for _, term in monomials(seen, 3))) if seen else sp.S.Zero

    def gradient(theta: list[sp.Expr]) -> list[sp.Expr]:
        return [sp.diff(loss, wi).xreplace(dict(zip(w, theta, strict=True))) for wi in w]

    lr, start = learning_rate(random), [rational(random) for _ in w]
    end, _ = SGD(lr=lr).step(start, [[] for _ in w], gradient)
    return [{η: lr, G: gi, A: (b - a) * gi} for a, b, gi in zip(start, end, gradient(start), strict=True)]


NAIVE = Claim(
    id="LCA-03",
    slug="lca.naive",
    title="The naive allocation of an SGD step is −ηG²: never positive, and zero where the gradient is",
    status="corrected",
    statement=sp.And(equals(A, naive_allocation()), sp.Le(A, 0)),
    assumptions=(
        positive(η, "learning rate"),
        real(G, "gradient of the step, one coordinate"),
        given("plain SGD: no momentum, no weight decay; the allocation uses the gradient that made the step"),
    ),
    source=SHAH_2020.where("definition of LCANaive"),
    evidence=(Identity(allocate_naively), Property(random_step)),
    mutants=(
        Mutant("as printed: always negative", sp.And(equals(A, naive_allocation()), sp.Lt(A, 0))),
        Mutant("without the square", sp.And(equals(A, -η * sp.Abs(G)), sp.Le(A, 0))),
        Mutant("momentum step", evidence=(Identity(_allocate_momentum),)),
        Mutant(
            "step from one gradient, allocation with another", evidence=(Identity(_allocate_with_another_gradient),)
        ),
    ),
    meanings=((A, "naive allocation Δ·G to the coordinate"),),
    note="The source calls it always negative; coordinates with zero gradient are the exception.",
)

CLAIMS = (NAIVE,)
"""The theory, in the order of the ledger."""
