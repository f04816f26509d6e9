"""Random exact instances: rational, of the promised kind, reproducible."""

from __future__ import annotations

from random import Random

import pytest
import sympy as sp

from sgdtheory.theory.random_instances import invertible, polynomial, rational, triangular, vector

SEEDS = pytest.mark.parametrize("seed", range(5))


@SEEDS
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_matrices_and_vectors_are_what_they_say(seed: int, size: int) -> None:
    random = Random(seed)
    root, matrix, entries = triangular(random, size), invertible(random, size), vector(random, size)
    assert root.is_lower
    assert all(root[i, i] > 0 for i in range(size))
    assert matrix.shape == (size, size)
    assert matrix.det() != 0
    assert entries.shape == (size, 1)
    assert not entries.is_zero_matrix
    assert all(x.is_Rational for m in (root, matrix, entries) for x in m)


@SEEDS
def test_polynomials_have_no_more_than_their_degree_and_no_constant(seed: int) -> None:
    w = sp.symbols("w1:4", real=True)
    p = polynomial(Random(seed), w, 3)
    assert sp.Poly(p, *w).total_degree() <= 3
    assert p.subs(dict.fromkeys(w, 0)) == 0
    assert len(sp.Add.make_args(sp.expand(p))) <= 8


def test_numbers_are_small_zero_among_them_and_the_seed_decides() -> None:
    drawn = [rational(Random(seed)) for seed in range(100)]
    assert 0 in drawn
    assert max(map(abs, drawn)) <= 6
    assert polynomial(Random(3), [sp.Symbol("x")], 4) == polynomial(Random(3), [sp.Symbol("x")], 4)
