"""Critical points: known landscapes, the kind against values around, curves, and what cannot be solved."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdtheory import ArgumentError, NoClosedFormError, critical_points, linear_regression, sticky_1d, sticky_2d
from sgdtheory.derive.critical_points import find_critical_points

u, v = sp.symbols("u v", real=True)


@pytest.mark.parametrize(("d1", "d2"), [(1, 2), (2, 3), (1, 1)])
def test_the_sticky_line(d1: int, d2: int) -> None:
    w0 = sp.Rational(9, 5)
    left, barrier, right = find_critical_points(sticky_1d(d1, d2, w0).loss, sticky_1d().coordinates)
    assert (left.at, right.at) == ((-w0,), (w0,))
    assert barrier.at == (w0 * (d1 - d2) / (d1 + d2),)
    assert barrier.kind == "maximum"
    assert [p.coefficient.value for p in (left, right) if p.coefficient] == [sp.Rational(1, 2 * d) for d in (d1, d2)]
    assert [p.kind for p in (left, right)] == ["minimum" if d == 1 else "degenerate minimum" for d in (d1, d2)]
    assert left.barrier == right.barrier == barrier.loss - left.loss


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=4), st.integers(0, 3))
@settings(deadline=None, max_examples=10, derandomize=True)
def test_the_kind_on_a_line_by_values_around(roots: list[int], more: int) -> None:
    slope = sp.Mul(*(u - r for r in roots)) * (u**2 + 1) ** more
    loss = sp.integrate(sp.expand(slope), u)
    points = find_critical_points(loss, [u])
    assert [p.at[0] for p in points] == sorted(set(roots))
    for point in points:
        here, left, right = (loss.subs(u, point.at[0] + d) for d in (0, -sp.Rational(1, 50), sp.Rational(1, 50)))
        kind = "minimum" if here < min(left, right) else "maximum" if here > max(left, right) else "saddle"
        assert point.kind.endswith(kind)


@pytest.mark.parametrize(("d", "origin", "line"), [(1, "1/5", "1/2"), (2, "1/6", "1/4")])
def test_the_sticky_plane(d: int, origin: str, line: str) -> None:
    problem = sticky_2d(d)
    most, on_line = find_critical_points(problem.loss, problem.coordinates)
    assert most.at == (0, 0)
    assert on_line.at[0] == 0 != on_line.at[1]
    assert on_line.curve == problem.coordinates[0]
    assert [str(p.coefficient.value) for p in (most, on_line) if p.coefficient] == [origin, line]
    assert len(most.flat_directions) == 2
    assert len(on_line.flat_directions) == (1 if d == 1 else 2)


def test_kinds_in_the_plane() -> None:
    points = {p.at: p for p in find_critical_points((u**2 - 1) ** 2 + v**2 * (v - 1) ** 2, [u, v])}
    assert len(points) == 9
    assert points[1, 0].kind == "minimum"
    assert points[0, sp.Rational(1, 2)].kind == "maximum"
    assert points[0, 0].kind == "saddle"
    assert points[1, 0].lr_limit == pytest.approx(2 / 8)
    assert points[0, sp.Rational(1, 2)].lr_limit == math.inf


def test_degenerate_kinds_in_the_plane() -> None:
    kinds = {p.at: p.kind for p in find_critical_points(u**2 * v**2 - v**3, [u, v])}
    assert kinds == {(0, 0): "degenerate saddle", (1, 0): "degenerate minimum"}
    assert find_critical_points(-(u**4) - v**2, [u, v])[0].kind == "degenerate maximum"


def test_a_circle_of_minima() -> None:
    middle, on_circle = find_critical_points((u**2 + v**2 - 1) ** 2, [u, v])
    assert middle.kind == "maximum"
    assert on_circle.curve == u**2 + v**2 - 1
    assert on_circle.coefficient is not None
    assert on_circle.coefficient.value == sp.Rational(1, 2)


def test_limits_of_stability() -> None:
    sharp, barrier, broad = critical_points(sticky_1d(1, 2, 1), batch_size=4)
    assert sharp.gradient_descent == pytest.approx(2 / 16)
    assert sharp.mean_square == pytest.approx(2 * 16 / (16**2 + 576 / 4))  # Var ℓ'' = 2·16² + 8²
    assert (barrier.mean_square, broad.mean_square, broad.gradient_descent) == (None, None, math.inf)
    (only,) = critical_points(linear_regression(1, noise_std=0))
    assert only.almost_sure == pytest.approx(2.421, abs=1e-3)


def test_irrational_points_are_numbers_too() -> None:
    left, _, right = find_critical_points((u**2 - 2) ** 2 + 0.1 * u, [u])
    assert np.allclose([float(left.at[0]), float(right.at[0])], np.sort(np.roots([4, 0, -8, 0.1]))[[0, 2]])


@pytest.mark.parametrize(
    ("loss", "names", "error"),
    [(sp.exp(u), [u], ArgumentError), (sp.S(3), [u], ArgumentError), (u**2 * v, [u], ArgumentError),
     (u**2 + v**2, [u, v, sp.Symbol("t")], NoClosedFormError)],
)  # fmt: skip
def test_refusals(loss: sp.Expr, names: list[sp.Symbol], error: type[Exception]) -> None:
    with pytest.raises(error):
        find_critical_points(loss, names)
