"""The monomial form of a batch gradient: what it is, when there is none, and that it is the gradient."""

from __future__ import annotations

import pytest
import sympy as sp

from sgdtheory import SGD, Dataset, Fresh, Normal, Problem, Rademacher, StudentT, Uniform, landscape, single_feature
from sgdtheory.derive.monomials import monomial_form
from sgdtheory.dynamics import make_dynamics

w, v, x, y, z = sp.symbols("w v x y z", real=True)
LAWS = {"x": Normal(1, 2), "y": Uniform(-1, 1)}


def form_of(loss: sp.Expr, most: int = 9, **laws: object):  # type: ignore[no-untyped-def]
    coordinates = [s for s in (w, v) if loss.has(s)]
    return monomial_form(make_dynamics(Problem(loss, coordinates, Fresh(**(laws or LAWS))), SGD()), most)


@pytest.mark.parametrize(
    "loss",
    [
        (y - w * x) ** 2 / 2,
        (y - w * v * x) ** 2 / 2,
        (y - sp.tanh(w) * x) ** 2 * sp.exp(-(v**2)),
        w * x**3 + v * x * y**2 + w**2 * v,
        (w - y) ** 4,
    ],
)
def test_put_back_it_is_the_gradient_of_every_example(loss: sp.Expr) -> None:
    form = form_of(loss)
    assert form is not None
    coordinates = [s for s in (w, v) if loss.has(s)]
    for s, component in zip(coordinates, form.gradient, strict=True):
        back = component.xreplace(dict(zip(form.symbols, form.monomials, strict=True)))
        assert sp.expand(back - sp.diff(loss, s)) == 0
        assert not component.has(x, y)
        for m in form.symbols:
            assert sp.diff(component, m, 2) == 0  # linear, so that the mean of a batch may be put in


def test_monomials_are_shared_and_counted() -> None:
    form = form_of((y - w * v * x) ** 2 / 2)
    assert set(form.monomials) == {x**2, x * y}
    assert form_of((y - w * v * x) ** 2 / 2, most=2) is not None
    assert form_of((y - w * v * x) ** 2 / 2, most=1) is None


def test_what_is_no_polynomial_in_the_data_has_none() -> None:
    assert form_of(sp.tanh(w * x)) is None
    assert form_of(sp.Abs(w - x)) is None
    assert form_of(w * x / (1 + y**2)) is None


def test_without_data_there_is_none() -> None:
    assert monomial_form(make_dynamics(landscape("w**4", ["w"]), SGD()), 9) is None
    assert form_of(w**2 + 0 * x) is None


def test_every_law_and_a_data_set_will_do() -> None:
    for laws in ({"x": Rademacher(), "y": StudentT(3)}, LAWS):
        assert form_of((y - w * x) ** 2, **laws) is not None
    data = Dataset(x=[1, 2], y=[0, 1])
    assert monomial_form(make_dynamics(Problem((y - w * x) ** 2, [w], data), SGD()), 2) is not None


def test_a_dense_problem_is_given_up_early() -> None:
    """Fifty inputs have 1325 monomials; the second component already has too many."""
    n = 50
    weights, inputs = sp.symbols(f"w:{n}", real=True), sp.symbols(f"x:{n}", real=True)
    loss = (y - sum(a * b for a, b in zip(weights, inputs, strict=True))) ** 2 / 2
    data = Fresh(**{s.name: Normal() for s in inputs}, y=Normal())
    assert monomial_form(make_dynamics(Problem(loss, weights, data), SGD()), 2) is None


def test_a_single_feature_has_two() -> None:
    form = monomial_form(make_dynamics(single_feature("w1*w2**2", ["w1", "w2"]), SGD()), 4)
    assert form is not None
    assert len(form.monomials) == 2
