"""Gaussian moments against pairings counted one by one, against the normal law's own moments, and in exact numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from sgdtheory import ArgumentError, NoClosedFormError, Normal
from sgdtheory.derive.wick import gaussian_mean
from sgdtheory.testing import rotations, spd_matrices

X = sp.symbols("x1:4", real=True)


def pairings(items: Sequence[int]) -> Iterator[list[tuple[int, int]]]:
    """Every way to pair up the items: Isserlis' theorem as it is written in books."""
    if not items:
        yield []
        return
    first, *rest = items
    for k, partner in enumerate(rest):
        for others in pairings(rest[:k] + rest[k + 1 :]):
            yield [(first, partner), *others]


@given(st.lists(st.integers(0, 2), min_size=0, max_size=6), spd_matrices(3))
def test_the_recursion_sums_over_all_pairings(factors: list[int], covariance: sp.ImmutableMatrix) -> None:
    monomial = sp.Mul(*(X[i] for i in factors))
    pairs = pairings(factors) if len(factors) % 2 == 0 else ()
    expected = sp.Add(*(sp.Mul(*(covariance[i, j] for i, j in pairing)) for pairing in pairs))
    assert gaussian_mean(monomial, X, covariance) == sp.expand(expected)


@pytest.mark.parametrize("order", range(9))
def test_one_variable_has_the_moments_of_the_normal_law(order: int) -> None:
    s = sp.Symbol("s", positive=True)
    assert gaussian_mean(X[0] ** order, X[:1], sp.Matrix([[s**2]])) == sp.expand(Normal(0, s).moment(order))


@given(rotations(2))
def test_a_rotation_of_isotropic_numbers_changes_nothing(turn: sp.ImmutableMatrix) -> None:
    p = X[0] ** 4 * X[1] ** 2 - 3 * X[0] * X[1] + X[1] ** 2
    turned = p.subs(dict(zip(X[:2], turn * sp.Matrix(X[:2]), strict=True)), simultaneous=True)
    assert gaussian_mean(sp.expand(turned), X[:2], sp.eye(2)) == gaussian_mean(p, X[:2], sp.eye(2))


def test_other_symbols_are_constants_and_no_variable_gives_the_expression_itself() -> None:
    a, c = sp.symbols("a c")
    assert gaussian_mean(a * X[0] ** 2 + c, X[:1], sp.Matrix([[c]])) == a * c + c
    assert gaussian_mean(sp.Integer(7), X, sp.eye(3)) == 7
    assert gaussian_mean(X[0] ** 2, X[:1], sp.zeros(1)) == 0


def test_it_agrees_with_draws() -> None:
    covariance = np.array([[2.0, 0.6], [0.6, 1.0]])
    x, y = np.random.default_rng(3).multivariate_normal([0, 0], covariance, 200_000).T
    values = x**2 * y**2
    exact = float(gaussian_mean(X[0] ** 2 * X[1] ** 2, X[:2], sp.Matrix(covariance)))
    assert abs(values.mean() - exact) < 6 * values.std() / np.sqrt(len(values))


@pytest.mark.parametrize("bad", [sp.eye(2), sp.Matrix([[1, 2, 0], [0, 1, 0], [0, 0, 1]]), sp.zeros(3, 2)])
def test_a_covariance_of_another_shape_or_without_symmetry_is_refused(bad: sp.Matrix) -> None:
    with pytest.raises(ArgumentError, match="covariance"):
        gaussian_mean(X[0], X, bad)


def test_what_is_no_polynomial_is_refused() -> None:
    with pytest.raises(NoClosedFormError, match="no polynomial"):
        gaussian_mean(sp.exp(X[0]), X, sp.eye(3))
