"""Learning coefficients: against volumes by quadrature, printed formulas, changes of coordinates; and refusals."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from sgdtheory import (
    ArgumentError,
    NoClosedFormError,
    Uniform,
    deep_linear_coefficient,
    landscape,
    local_learning_coefficient,
    posterior,
)
from sgdtheory.derive.learning_coefficient import LearningCoefficient
from sgdtheory.derive.newton_polygon import newton_vertices

u, v, x = sp.symbols("u v x", real=True)
KNOWN = [
    ((u**2 + v**2) ** 2 * u**2, "1/3", 1),  # the sources' landscapes, as plotted and as simulated
    ((u**2 + v**2) ** 2 * u**4, "1/4", 2),
    ((u**2 + v**2) ** 4 * u**2, "1/5", 1),
    ((u**2 + v**2) ** 4 * u**4, "1/6", 1),
    (u**4 * v**2, "1/4", 1),
    (u**2 * v**2, "1/2", 2),
    (u**4 + v**6, "5/12", 1),
    ((u + v) ** 4, "1/4", 1),
    ((u**2 - v**3) ** 2, "5/12", 1),  # the cusp
    ((u**2 - v**2) ** 2, "1/2", 2),
    ((u - v) ** 2 * (u - 2 * v) ** 4 * (u**2 + v**2), "1/4", 2),
    (u**4 + u**2 * v**2 + v**6, "1/2", 2),
    (u**2 + v**2 + u * v**3, "1", 1),
]


def exponents(found: LearningCoefficient) -> tuple[str, int]:
    return str(found.value), found.multiplicity


@pytest.mark.parametrize(("loss", "value", "multiplicity"), KNOWN)
def test_two_coordinates(loss: sp.Expr, value: str, multiplicity: int) -> None:
    assert exponents(local_learning_coefficient(loss, [u, v])) == (value, multiplicity)


def falls(loss: sp.Expr) -> np.ndarray:
    """Return how fast the log evidence falls in log n, between n = 10², 10³, 10⁴ and 10⁵."""
    problem = landscape(loss, [u, v])
    return -np.diff([posterior(problem, 10.0**p, Uniform(-1, 1)).log_normalisation for p in (2, 3, 4, 5)]) / np.log(10)


@pytest.mark.parametrize("known", [0, 3])
def test_the_evidence_falls_as_a_power(known: int) -> None:
    loss, value, _ = KNOWN[known]
    first, second, third = falls(loss)  # on a geometric sequence: powers of n are missing
    limit = third - (third - second) ** 2 / (third - 2 * second + first)
    assert limit == pytest.approx(float(sp.Rational(value)), rel=0.03)


@pytest.mark.parametrize("known", [1, 11])
def test_at_multiplicity_two_the_evidence_has_a_logarithm(known: int) -> None:
    loss, value, _ = KNOWN[known]
    seen = falls(loss)[1:]

    def missing(shift: float) -> float:
        logs = np.log(np.log(10) * np.array([3, 4, 5]) + shift)  # −log Z = λ log n − log(log n + shift) + const
        first, second = seen + np.diff(logs) / np.log(10)
        return float(first - second)

    shift = brentq(missing, -2, 50)
    limit = seen[0] + (np.log(4 * np.log(10) + shift) - np.log(3 * np.log(10) + shift)) / np.log(10)
    assert limit == pytest.approx(float(sp.Rational(value)), rel=0.03)


def test_elsewhere_than_the_origin() -> None:
    loss = (u - 1) ** 2 * (v + 2) ** 4 * (u + 5)
    assert exponents(local_learning_coefficient(loss, [u, v], at=[1, -2])) == ("1/4", 1)
    assert exponents(local_learning_coefficient(loss, [u, v], at={u: 1, v: 7})) == ("1/2", 1)


def test_decimals_are_the_fractions_they_print() -> None:
    sticky = (u + 1.8) ** 2 * (u - 1.8) ** 4
    assert local_learning_coefficient(sticky, [u], at=[1.8]).value == sp.Rational(1, 4)


def test_more_coordinates() -> None:
    assert exponents(local_learning_coefficient(u**2 * v**4 * x**4, [u, v, x])) == ("1/4", 2)
    assert exponents(local_learning_coefficient(u**2 * v**2 + x**4, [u, v, x])) == ("3/4", 2)
    assert exponents(local_learning_coefficient((u**2 + v**2) * x**2, [u, v, x])) == ("1/2", 1)
    assert exponents(local_learning_coefficient((u * v * x - 1) ** 2, [u, v, x], at=[1, 1, 1])) == ("1/2", 1)
    assert exponents(local_learning_coefficient(u**2 * v**2 * (1 + x) ** 2, [u, v, x])) == ("1/2", 2)


@given(
    st.tuples(*[st.integers(1, 3)] * 2),
    st.tuples(*[st.integers(-3, 3)] * 4).filter(lambda m: m[0] * m[3] != m[1] * m[2]),
)
@settings(deadline=None, max_examples=8, derandomize=True)
def test_linear_coordinates_do_not_matter(degrees: tuple[int, int], matrix: tuple[int, int, int, int]) -> None:
    a, b, c, d = matrix
    loss = (a * u + b * v) ** (2 * degrees[0]) * (c * u + d * v) ** (2 * degrees[1]) * (1 + u)
    expected = (str(sp.Rational(1, 2 * max(degrees))), 1 + (degrees[0] == degrees[1]))
    assert exponents(local_learning_coefficient(loss, [u, v])) == expected


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=20, derandomize=True)
def test_sums_of_even_monomials_by_the_distance_to_the_polygon(powers: list[tuple[int, int]]) -> None:
    """Positive coefficients: never degenerate; 1/λ is where the diagonal meets the hull, here by linear programming."""
    powers = [p for p in powers if p != (0, 0)]
    if not powers:
        return
    loss = sp.Add(*(u ** (2 * i) * v ** (2 * j) for i, j in powers))
    # min over mixtures of the larger mean coordinate: the first corner of the hull the diagonal meets
    grid = [a / 240 for a in range(241)]
    mixtures = (max(a * p[k] + (1 - a) * q[k] for k in (0, 1)) for p, q in product(powers, repeat=2) for a in grid)
    assert float(local_learning_coefficient(loss, [u, v]).value) == pytest.approx(1 / (2 * min(mixtures)), rel=0.01)


def test_vertices_leave_out_what_is_above_the_hull() -> None:
    polynomial = sp.Poly(u**6 + u**4 * v + u**3 * v**2 + u * v**3 + v**7 + u**2 * v**6, u, v)
    assert newton_vertices(polynomial) == [(0, 7), (1, 3), (4, 1), (6, 0)]


@pytest.mark.parametrize(
    ("loss", "pattern"),
    [((u + v) ** 2 + v**4, r"degenerate on the edge \(u \+ v\)\*\*2"), ((u * x - v**2) ** 2, "for two coordinates")],
)
def test_what_is_not_known_is_refused_by_name(loss: sp.Expr, pattern: str) -> None:
    with pytest.raises(NoClosedFormError, match=pattern):
        local_learning_coefficient(loss, [u, v, x])


@pytest.mark.parametrize("loss", [u**3, -(u**4), u * v, u**2 * v**4 - u**8, u**4 - v**2, (u**2 - v**3) * u**2])
def test_no_minimum(loss: sp.Expr) -> None:
    with pytest.raises(ArgumentError, match="a minimum of the loss"):
        local_learning_coefficient(loss, [u, v])


@pytest.mark.parametrize(
    ("loss", "pattern"),
    [(u, "gradient does not vanish"), (sp.exp(u), "a polynomial"), (u**2 * x, "a polynomial"), (sp.S.One, "constant")],
)
def test_arguments(loss: sp.Expr, pattern: str) -> None:
    with pytest.raises(ArgumentError, match=pattern):
        local_learning_coefficient(loss, [u, v])


def reduced_rank(m: int, n: int, h: int, r: int) -> tuple[str, int]:
    """Aoyagi and Watanabe's four cases as they print them: input m, output n, hidden h, true rank r."""
    if n + r <= m + h and m + r <= n + h and h + r <= m + n:
        odd = (m + h + n + r) % 2
        total = odd - (h + r) ** 2 - m**2 - n**2 + 2 * (h + r) * m + 2 * (h + r) * n + 2 * m * n
        return str(sp.Rational(total, 8)), 1 + odd
    if m + h < n + r:
        return str(sp.Rational(h * m - h * r + n * r, 2)), 1
    if n + h < m + r:
        return str(sp.Rational(h * n - h * r + m * r, 2)), 1
    return str(sp.Rational(m * n, 2)), 1


def test_reduced_rank_regression_in_all_small_cases() -> None:
    for m, n, h in product(range(1, 6), repeat=3):
        for r in range(min(m, n, h) + 1):
            assert exponents(deep_linear_coefficient([m, h, n], r)) == reduced_rank(m, n, h, r), (m, h, n, r)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_chain_of_units_is_a_normal_crossing(depth: int, rank: int) -> None:
    w = sp.symbols(f"w1:{depth + 1}")
    crossing = local_learning_coefficient((sp.Mul(*w) - rank) ** 2, w, at=[rank] * depth)
    assert exponents(deep_linear_coefficient([1] * (depth + 1), rank)) == exponents(crossing)


def test_a_scalar_product_of_two_vectors() -> None:
    """(a·b)² with a, b in the plane: a nondegenerate quadratic form, squared."""
    assert exponents(deep_linear_coefficient([1, 2, 1], 0)) == ("1/2", 1)


@pytest.mark.parametrize(
    ("widths", "rank", "name"), [([2], 0, "widths"), ([2, 0, 2], 0, "widths"), ([2, 1, 2], 2, "rank")]
)
def test_networks_that_do_not_exist(widths: list[int], rank: int, name: str) -> None:
    with pytest.raises(ArgumentError, match=f"{name}: got"):
        deep_linear_coefficient(widths, rank)
