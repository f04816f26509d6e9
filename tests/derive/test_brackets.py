"""The Lie bracket: its algebra on random fields, known closed forms, the sign convention, bad input."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgdtheory import Fresh, Normal, Problem
from sgdtheory.derive.brackets import derivative_along, descent_field, example_bracket, lie_bracket
from sgdtheory.errors import ArgumentError
from sgdtheory.testing import polynomials, rationals

x, y = sp.symbols("x y", real=True)


@st.composite
def fields(draw: st.DrawFn, count: int, degree: int = 2) -> tuple[list[sp.ImmutableMatrix], list[sp.Symbol]]:
    """Polynomial vector fields in 1, 2 or 3 dimensions."""
    w = list(sp.symbols(f"w1:{draw(st.integers(1, 3)) + 1}", real=True))
    return [sp.ImmutableMatrix([draw(polynomials(w, degree)) for _ in w]) for _ in range(count)], w


def vanishes(field: sp.MatrixBase) -> bool:
    return all(sp.expand(component) == 0 for component in field)


@given(fields(2))
@settings(deadline=None, max_examples=20)
def test_antisymmetric_and_zero_with_itself(drawn: tuple[list[sp.ImmutableMatrix], list[sp.Symbol]]) -> None:
    (f, g), w = drawn
    assert vanishes(lie_bracket(f, g, w) + lie_bracket(g, f, w))
    assert vanishes(lie_bracket(f, f, w))


@given(fields(3), rationals(), rationals())
@settings(deadline=None, max_examples=15)
def test_bilinear(drawn: tuple[list[sp.ImmutableMatrix], list[sp.Symbol]], s: sp.Rational, t: sp.Rational) -> None:
    (f, g, h), w = drawn
    assert vanishes(lie_bracket(s * f + t * g, h, w) - s * lie_bracket(f, h, w) - t * lie_bracket(g, h, w))
    assert vanishes(lie_bracket(h, s * f + t * g, w) - s * lie_bracket(h, f, w) - t * lie_bracket(h, g, w))


@given(fields(3))
@settings(deadline=None, max_examples=10)
def test_jacobi(drawn: tuple[list[sp.ImmutableMatrix], list[sp.Symbol]]) -> None:
    (f, g, h), w = drawn
    cyclic = ((f, g, h), (g, h, f), (h, f, g))
    assert vanishes(sum((lie_bracket(a, lie_bracket(b, c, w), w) for a, b, c in cyclic), sp.zeros(len(w), 1)))


@given(fields(2), st.integers(1, 3), st.data())
@settings(deadline=None, max_examples=15)
def test_derivative_along_is_the_derivative_on_a_line(
    drawn: tuple[list[sp.ImmutableMatrix], list[sp.Symbol]], order: int, data: st.DataObject
) -> None:
    (f, _), w = drawn
    u = [data.draw(rationals()) for _ in w]
    t = sp.Symbol("t")
    on_line = f.xreplace({wi: wi + t * ui for wi, ui in zip(w, u, strict=True)})
    assert vanishes(derivative_along(f, u, w, order) - on_line.diff(t, order).subs(t, 0))


def test_a_direction_that_varies_is_not_differentiated() -> None:
    """(f·∇)²f with f frozen is f''(f, f); nesting the derivative would add f'f'f."""
    f = sp.Matrix([x**2])
    assert list(derivative_along(f, f, [x], order=2)) == [2 * x**4]
    assert list(derivative_along(derivative_along(f, f, [x]), f, [x])) == [6 * x**4]


def test_linear_fields_bracket_to_minus_the_commutator() -> None:
    A, B = sp.Matrix([[1, 2], [3, 4]]), sp.Matrix([[0, 1], [5, -2]])
    w = sp.Matrix([x, y])
    assert vanishes(lie_bracket(A * w, B * w, [x, y]) - (B * A - A * B) * w)


def test_descent_fields_of_any_smooth_losses() -> None:
    """With undefined functions for losses: the bracket is H2 g1 − H1 g2."""
    first, second = (sp.Function(name)(x, y) for name in ("L1", "L2"))
    gradients = [sp.Matrix([loss.diff(x), loss.diff(y)]) for loss in (first, second)]
    expected = sp.hessian(second, (x, y)) * gradients[0] - sp.hessian(first, (x, y)) * gradients[1]
    fields = [descent_field(loss, [x, y]) for loss in (first, second)]
    assert vanishes(lie_bracket(*fields, [x, y]) - expected)


@given(st.lists(rationals(), min_size=6, max_size=6))
@example([sp.S.One, sp.S.Zero, sp.S.Zero, sp.S.One, sp.S(2), sp.S(3)])  # orthogonal inputs commute
@settings(deadline=None, max_examples=30)
def test_linear_regression(numbers: list[sp.Rational]) -> None:
    """[v1, v2] = (x1·x2)(r1 x2 − r2 x1), r the residual prediction − label."""
    a1, a2, b1, b2, label_a, label_b = numbers
    problem = Problem("(a*u + b*v - c)**2/2", ["u", "v"], Fresh(a=Normal(), b=Normal(), c=Normal()))
    u, v = problem.coordinates
    found = example_bracket(problem, {"a": a1, "b": a2, "c": label_a}, {"a": b1, "b": b2, "c": label_b})
    xa, xb = sp.Matrix([a1, a2]), sp.Matrix([b1, b2])
    ra, rb = a1 * u + a2 * v - label_a, b1 * u + b2 * v - label_b
    assert vanishes(found - (a1 * b1 + a2 * b2) * (ra * xb - rb * xa))


def test_parameters_of_the_problem_are_put_in() -> None:
    problem = Problem("k*(w - x)**2/2", ["w"], Fresh(x=Normal()), {"k": 3})
    assert list(example_bracket(problem, {"x": 0}, {"x": 2})) == [18]


@pytest.mark.parametrize("example", [{"x": 1}, {"x": 1, "y": 2, "z": 3}, {}])
def test_an_example_needs_exactly_the_data_symbols(example: dict[str, int]) -> None:
    problem = Problem("(y - w*x)**2/2", ["w"], Fresh(x=Normal(), y=Normal()))
    with pytest.raises(ArgumentError, match=r"second: .*a value for each of: x, y"):
        example_bracket(problem, {"x": 1, "y": 1}, example)


def test_a_field_needs_one_component_a_coordinate() -> None:
    with pytest.raises(ArgumentError, match=r"first: got shape \(1, 1\); allowed: shape \(2, 1\)"):
        lie_bracket(sp.Matrix([x]), sp.Matrix([x, y]), [x, y])
