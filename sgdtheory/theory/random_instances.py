"""Random exact instances for properties: rational numbers, vectors and matrices, polynomial losses."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import sympy as sp

from sgdtheory.derive.expansion import exponents, monomial


def rational(random: Random, largest: int = 6) -> sp.Rational:
    """Return a small rational number, zero included."""
    return sp.Rational(random.randint(-largest, largest), random.randint(1, 4))


def learning_rate(random: Random) -> sp.Rational:
    """Return a rational learning rate between 1/4 and 9."""
    return sp.Rational(random.randint(1, 9), random.randint(1, 4))


def vector(random: Random, size: int) -> sp.Matrix:
    """Return a rational vector that is not zero."""
    while True:
        drawn = sp.Matrix([rational(random) for _ in range(size)])
        if not drawn.is_zero_matrix:
            return drawn


def invertible(random: Random, size: int) -> sp.Matrix:
    """Return an invertible rational matrix without structure."""
    while True:
        drawn = sp.Matrix(size, size, lambda i, j: rational(random))
        if drawn.det() != 0:
            return drawn


def triangular(random: Random, size: int) -> sp.Matrix:
    """Return a lower triangular rational R with positive diagonal, so that RRᵀ is positive definite."""

    def entry(i: int, j: int) -> sp.Expr:
        return sp.Rational(random.randint(1, 6), 2) if i == j else rational(random) if i > j else sp.S.Zero

    return sp.Matrix(size, size, entry)


def polynomial(random: Random, coordinates: Sequence[sp.Symbol], degree: int, terms: int = 8) -> sp.Expr:
    """Return a rational combination of at most so many monomials of degree 1 to `degree`."""
    every = list(exponents(len(coordinates), degree))
    drawn = random.sample(every, min(len(every), terms))
    return sp.Add(*(rational(random) * monomial(coordinates, powers) for powers in drawn))


def rational_length(random: Random, size: int) -> sp.Matrix:
    """Return a rational column that is not zero and whose length is rational too.

    A point t of the plane at the sphere's equator, seen from its pole, is the point (2t, |t|² − 1)/(|t|² + 1) of the
    sphere: rational where t is.
    """
    t = [rational(random) for _ in range(size - 1)]
    square = sum((entry**2 for entry in t), sp.S.Zero)
    length = sp.Rational(random.randint(1, 12), random.randint(1, 4))
    return sp.Matrix([*(2 * entry for entry in t), square - 1]) * length / (square + 1)
