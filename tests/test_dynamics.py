"""The waist: every rule on every dimension, and its moments against listing every batch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import brute_force

from sgdtheory import (
    SGD,
    ArgumentError,
    Dataset,
    Dynamics,
    EMAMomentum,
    Fresh,
    Momentum,
    Nesterov,
    Normal,
    Optimizer,
    Problem,
    Rademacher,
    landscape,
    make_dynamics,
    quadratic,
    scalar_mean,
    sticky_1d,
    sticky_2d,
)
from sgdtheory.dynamics import mean_step
from sgdtheory.symbols import lr, momentum
from sgdtheory.testing import rationals, stable_optimizers

η, μ = lr, momentum
x, y = sp.symbols("x y", real=True)
COORDINATES = sp.symbols("w1:4", real=True)
Rule = Callable[..., Optimizer]

BY_HAND: dict[Rule, tuple[Callable[..., sp.Expr], ...]] = {
    # where the gradient is taken, next position, next buffer
    SGD: (lambda w: w, lambda w, g: w - η * g),
    Momentum: (lambda w, v: w, lambda w, g, v: w - μ * v - η * g, lambda g, v: μ * v + η * g),
    EMAMomentum: (
        lambda w, v: w,
        lambda w, g, v: w - η * μ * v - η * (1 - μ) * g,
        lambda g, v: μ * v + (1 - μ) * g,
    ),
    Nesterov: (lambda w, v: w - μ * v, lambda w, g, v: w - μ * v - η * g, lambda g, v: μ * v + η * g),
}
PROBLEMS = {
    "scalar mean": scalar_mean(),
    "sticky 1-D": sticky_1d(),
    "sticky 2-D": sticky_2d(),
    "quadratic 3-D": quadratic(sp.Matrix([[2, 1, 0], [1, 2, 0], [0, 0, 3]]), sp.eye(3)),
    "data set": Problem("(w1*x + w2 - y)**2", ["w1", "w2"], Dataset(x=[1, 2, 3], y=[0, 1, 0])),
    "with a parameter": Problem(sp.Symbol("a") * COORDINATES[0] ** 2, ["w1"]),
}


@pytest.mark.parametrize("rule", BY_HAND, ids=lambda r: r.__name__)
@pytest.mark.parametrize("name", PROBLEMS)
def test_every_rule_on_every_problem(rule: Rule, name: str) -> None:
    problem, (at, position, *buffer) = PROBLEMS[name], BY_HAND[rule]
    dynamics = make_dynamics(problem, rule())
    gradients = [sp.Symbol(f"g[{w}]", real=True) for w in problem.coordinates]
    memory = [[sp.Symbol(f"v[{w}]", real=True)] * len(buffer) for w in problem.coordinates]
    assert dynamics.state == (*problem.coordinates, *(m for row in memory for m in row))
    assert dynamics.batch_gradient == tuple(gradients)
    rows = list(zip(problem.coordinates, gradients, memory, strict=True))
    assert list(dynamics.gradient_at) == [at(w, *m) for w, _, m in rows]
    expected = [position(w, g, *m) for w, g, m in rows] + [b(g, *m) for _, g, m in rows for b in buffer]
    assert [sp.expand(s - e) for s, e in zip(dynamics.step, expected, strict=True)] == [0] * len(expected)
    assert dynamics.example_gradient == tuple(problem.example_gradient)
    assert dynamics.data is problem.data


def at_state(dynamics: Dynamics, state: list[sp.Expr]) -> dict[sp.Symbol, sp.Expr]:
    return dict(zip(dynamics.state, state, strict=True))


def listed_step(problem: Problem, optimizer: Optimizer, size: int, state: list[sp.Expr]) -> tuple[sp.Matrix, sp.Matrix]:
    """Mean and covariance of the next state over every batch of independent examples."""
    d, k = problem.dimension, len(optimizer.buffers)
    position, memory = state[:d], [state[d + i * k : d + (i + 1) * k] for i in range(d)]
    ahead = [optimizer.lookahead(p, m) for p, m in zip(position, memory, strict=True)]
    point = dict(zip(problem.coordinates, ahead, strict=True))
    slopes = brute_force.example_gradients(problem.example_loss, problem.coordinates, problem.data, point)

    def step(batch_gradient: list[sp.Expr]) -> list[sp.Expr]:
        positions, memories = optimizer.step(position, memory, lambda _: batch_gradient)
        return positions + [m for row in memories for m in row]

    return brute_force.mean_and_covariance(brute_force.next_states(slopes, size, step))


def regression(d: int, data: Fresh | Dataset) -> Problem:
    w = COORDINATES[:d]
    return Problem((sum(c * x ** (d - i) for i, c in enumerate(w, 1)) - y) ** 2 / 2 + w[0] ** 3, w, data)


@pytest.mark.parametrize("d", [1, 2, 3])
@settings(max_examples=8)
@given(st.data())
def test_mean_step_equals_listing_all_batches_of_fresh_data(d: int, data: st.DataObject) -> None:
    law = Fresh(x=Rademacher(), y=Normal(1, 2))
    problem, optimizer = regression(d, law), data.draw(stable_optimizers(curvature=4))
    size = data.draw(st.integers(1, 2))
    dynamics = make_dynamics(problem, optimizer)
    state = [data.draw(rationals()) for _ in dynamics.state]
    mean, covariance = mean_step(problem, optimizer, size)
    listed = listed_step(problem, optimizer, size, state)
    assert mean.subs(at_state(dynamics, state)).expand() == listed[0]
    assert covariance.subs(at_state(dynamics, state)).expand() == listed[1]


@pytest.mark.parametrize("d", [1, 2, 3])
@settings(max_examples=8)
@given(st.data())
def test_mean_step_equals_listing_all_batches_of_a_data_set(d: int, data: st.DataObject) -> None:
    problem = regression(d, Dataset(x=[1, -0.5, 2], y=[0, 1, 0.25]))
    optimizer, size = data.draw(stable_optimizers(curvature=4)), data.draw(st.integers(1, 3))
    dynamics = make_dynamics(problem, optimizer)
    state = [data.draw(rationals(-2, 2)) for _ in dynamics.state]
    mean, covariance = mean_step(problem, optimizer, size)
    listed = listed_step(problem, optimizer, size, state)
    for ours, theirs in zip((mean, covariance), listed, strict=True):
        difference = ours.subs(at_state(dynamics, state)) - theirs
        assert max(map(abs, difference)) <= 2**-40 * (1 + max(map(abs, theirs)))


def test_the_mean_step_is_symbolic_where_no_number_was_given() -> None:
    size, σ = sp.Symbol("B", positive=True), sp.Symbol("sigma", positive=True)
    mean, covariance = mean_step(scalar_mean(), Momentum(), size)
    β, v = make_dynamics(scalar_mean(), Momentum()).state
    assert mean.expand() == sp.Matrix([β - η * β - μ * v, η * β + μ * v])
    assert covariance == sp.Matrix([[1, -1], [-1, 1]]) * η**2 * σ**2 / size


def test_a_learning_rate_may_be_an_expression_in_the_parameters() -> None:
    h = sp.Symbol("h", positive=True)
    problem = Problem(h * COORDINATES[0] ** 2 / 2, ["w1"], parameters={h: 2})
    assert mean_step(problem, SGD(1 / (2 * h)), 1)[0] == sp.Matrix([COORDINATES[0] / 2])


def test_parameters_and_what_is_left_unbound() -> None:
    a = sp.Symbol("a", real=True)
    problem = Problem(
        a * (COORDINATES[0] - y) ** 2, ["w1"], Fresh(y=Normal(0, sp.Symbol("s", positive=True))), {"a": 3}
    )
    dynamics = make_dynamics(problem, Momentum(lr=0.5))
    assert dict(dynamics.parameters) == {η: sp.Float(0.5), μ: None, a: 3, sp.Symbol("s", positive=True): None}
    assert dynamics.unbound == ("mu", "s")
    assert make_dynamics(problem.bind(s=1), SGD(1)).unbound == ()


@pytest.mark.parametrize("names", [["theta", "g", "v"], ["g", "v"], ["B", "N"]])
def test_coordinates_may_bear_the_names_of_the_rule(names: list[str]) -> None:
    """θ, g and v are placeholders of the rule: a coordinate called v is not its buffer."""
    problem = landscape("+".join(f"{n}**2" for n in names), names)
    dynamics = make_dynamics(problem, Nesterov())
    w = problem.coordinates
    assert len(set(dynamics.state) | set(dynamics.batch_gradient)) == 3 * len(names)
    expected = [c - μ * sp.Symbol(f"v[{c}]", real=True) for c in w]
    assert list(dynamics.gradient_at) == expected


@pytest.mark.parametrize("symbol", [sp.Symbol("eta"), sp.Symbol("eta", positive=True), sp.Symbol("mu", real=True)])
def test_a_name_with_two_meanings_is_refused(symbol: sp.Symbol) -> None:
    """Also if the two symbols differ in assumptions: they print alike."""
    clashing = (
        Problem(symbol * COORDINATES[0] ** 2, ["w1"]),
        Problem(symbol * COORDINATES[0] ** 2, ["w1"], parameters={symbol: 1}),
        Problem(symbol**2, [symbol]),
        Problem((COORDINATES[0] - y) ** 2, ["w1"], Fresh(y=Normal(symbol, 1))),
        Problem((COORDINATES[0] - symbol) ** 2, ["w1"], Dataset(**{symbol.name: [1, 2]})),
    )
    for problem in clashing:
        with pytest.raises(
            ArgumentError, match=f"problem: got symbols .*{symbol.name}.*; allowed: names the optimizer"
        ):
            make_dynamics(problem, Momentum())
    assert make_dynamics(Problem(sp.Symbol("mu") * COORDINATES[0], ["w1"]), SGD()).unbound == ("eta", "mu")


@pytest.mark.parametrize(
    ("problem", "optimizer", "message"),
    [
        (3, SGD(), "problem: got 3; allowed: a Problem"),
        (sticky_1d, SGD(), "problem: got <function"),
        (sticky_1d(), SGD, "optimizer: got <function SGD"),
        (sticky_1d(), "sgd", "optimizer: got sgd; allowed: an Optimizer"),
    ],
)
def test_wrong_kinds_of_argument(problem: object, optimizer: object, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make_dynamics(problem, optimizer)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("size", [0, -1, 2.5, 4, "2", None, True, float("nan")])
def test_bad_batch_sizes(size: object) -> None:
    """Four of three samples cannot be drawn without replacement."""
    problem = regression(1, Dataset(x=[1, 2, 3], y=[1, 2, 3], sampling="one epoch"))
    with pytest.raises(ArgumentError, match=r"^batch_size: got .*; allowed: "):
        mean_step(problem, SGD(), size)  # type: ignore[arg-type]
    assert mean_step(problem, SGD(), 3)[1].is_zero_matrix
