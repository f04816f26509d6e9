"""Update rules: exact equivalences, PyTorch's formulas, and what hyperparameters may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.pytorch_sgd import pytorch_sgd

from sgdtheory import SGD, ArgumentError, EMAMomentum, Momentum, Nesterov, Optimizer
from sgdtheory.derive.stability import step_matrix
from sgdtheory.optimizers import OPTIMIZERS
from sgdtheory.symbols import GLOSSARY, gradient, lr, momentum, theta, velocity
from sgdtheory.testing import polynomials, rationals, stable_optimizers

Vector = list[sp.Expr]
Field = Callable[[Vector], Vector]
η, μ, θ, g, v = lr, momentum, theta, gradient, velocity
COORDINATES = sp.symbols("w1:4", real=True)
DIMENSIONS = pytest.mark.parametrize("d", [1, 2, 3])
POSITIVE = rationals(sp.Rational(1, 4), 2)
MOMENTUM = rationals(0, sp.Rational(15, 16), 16)


def path(optimizer: Optimizer, field: Field, start: Vector, steps: int) -> tuple[list[Vector], list[Vector]]:
    """Positions and look-ahead points from zero buffers, expanded."""
    position, memory = list(start), [[sp.S.Zero] * len(optimizer.buffers) for _ in start]
    positions, ahead = [], []
    for _ in range(steps + 1):
        positions.append([sp.expand(p) for p in position])
        ahead.append([sp.expand(optimizer.lookahead(p, m)) for p, m in zip(position, memory, strict=True)])
        position, memory = optimizer.step(position, memory, field)
    return positions, ahead


def fresh_gradients(steps: int) -> Field:
    """A new symbol at every call, whatever the position: stands for any gradients at all."""
    symbols = iter(sp.symbols(f"g1:{steps + 2}", real=True))
    return lambda _: [next(symbols)]


@st.composite
def fields(draw: st.DrawFn, d: int) -> Field:
    """The gradient of a random quadratic loss."""
    w = COORDINATES[:d]
    loss = draw(polynomials(w, 2))
    return lambda at: [sp.diff(loss, c).subs(dict(zip(w, at, strict=True)), simultaneous=True) for c in w]


def test_both_parametrisations_of_momentum_make_the_same_sequence() -> None:
    """Momentum(η(1 − μ)) and EMAMomentum(η) for any gradients, symbolically."""
    standard = path(Momentum(η * (1 - μ), μ), fresh_gradients(5), [θ], 5)[0]
    averaged = path(EMAMomentum(η, μ), fresh_gradients(5), [θ], 5)[0]
    assert standard == averaged
    assert path(Momentum(η, μ), fresh_gradients(5), [θ], 5)[0] != averaged


@DIMENSIONS
@settings(max_examples=10)
@given(st.data())
def test_both_parametrisations_agree_along_a_loss(d: int, data: st.DataObject) -> None:
    field, start = data.draw(fields(d)), [data.draw(rationals()) for _ in range(d)]
    rate, m = data.draw(POSITIVE), data.draw(MOMENTUM)
    assert path(Momentum(rate * (1 - m), m), field, start, 4)[0] == path(EMAMomentum(rate, m), field, start, 4)[0]


@pytest.mark.parametrize("rule", [Momentum, EMAMomentum, Nesterov])
def test_without_momentum_every_rule_is_sgd(rule: Callable[..., Optimizer]) -> None:
    for rate in (η, sp.Rational(1, 3)):
        plain, ours = SGD(rate), rule(rate, 0)
        assert path(ours, fresh_gradients(4), [θ], 4) == path(plain, fresh_gradients(4), [θ], 4)
        assert ours.update(g).position == plain.update(g).position


@pytest.mark.parametrize(("rule", "point"), [(SGD, θ), (Momentum, θ), (EMAMomentum, θ), (Nesterov, θ - μ * v)])
def test_where_the_gradient_is_taken(rule: Callable[..., Optimizer], point: sp.Expr) -> None:
    assert rule().lookahead(θ) == point


def test_the_look_ahead_is_where_momentum_alone_would_go() -> None:
    """θ − μv is the next position if the gradient is 0."""
    assert sp.expand(Nesterov().lookahead(θ) - Nesterov().update(0).position) == 0


def assert_pytorch(rule: Callable[..., Optimizer], field: Field, start: Vector, rate: sp.Expr, m: sp.Expr) -> None:
    """Heavy ball makes PyTorch's sequence; Nesterov's look-ahead points are what PyTorch calls parameters."""
    positions, ahead = path(rule(rate, m), field, start, 4)
    assert (ahead if rule is Nesterov else positions) == pytorch_sgd(field, start, rate, m, rule is Nesterov, 4)


@pytest.mark.parametrize("rule", [Momentum, Nesterov])
@DIMENSIONS
@settings(max_examples=10)
@given(st.data())
def test_pytorch(rule: Callable[..., Optimizer], d: int, data: st.DataObject) -> None:
    start = [data.draw(rationals()) for _ in range(d)]
    assert_pytorch(rule, data.draw(fields(d)), start, data.draw(POSITIVE), data.draw(MOMENTUM))


@pytest.mark.parametrize("rule", [Momentum, Nesterov])
@pytest.mark.parametrize("m", [sp.S.Zero, sp.Rational(9, 10)])
def test_pytorch_on_a_quartic(rule: Callable[..., Optimizer], m: sp.Expr) -> None:
    assert_pytorch(rule, lambda at: [w**3 for w in at], [sp.Integer(1), sp.Rational(-1, 2)], sp.Rational(1, 8), m)


def test_pytorch_for_any_gradients() -> None:
    theirs = pytorch_sgd(fresh_gradients(4), [θ], η, μ, True, 4)
    assert path(Nesterov(), fresh_gradients(4), [θ], 4)[1] == [[sp.expand(p) for p in at] for at in theirs]
    theirs = pytorch_sgd(fresh_gradients(4), [θ], η, μ, False, 4)
    assert path(Momentum(), fresh_gradients(4), [θ], 4)[0] == [[sp.expand(p) for p in at] for at in theirs]


def test_one_step_of_each_rule() -> None:
    """The rules as the sources print them."""
    assert SGD().update(g) == (θ - η * g, -η * g, ())
    assert Momentum().update(g).memory == (μ * v + η * g,)
    assert EMAMomentum().update(g).memory == (μ * v + (1 - μ) * g,)
    assert sp.expand(EMAMomentum().update(g).displacement + η * (μ * v + (1 - μ) * g)) == 0
    for rule in (Momentum(), Nesterov(), EMAMomentum()):
        update = rule.update(g)
        assert sp.expand(update.position - θ - update.displacement) == 0
    assert Momentum(2, sp.Rational(1, 2)).update(3, 10, [4]) == (2, -8, (8,))


def test_all_coordinates_follow_the_rule() -> None:
    half = sp.Rational(1, 2)
    position, memory = Nesterov(1, half).step([1, 2, 3], [[0], [2], [-2]], lambda at: [2 * p for p in at])
    assert memory == [[2], [3], [7]]  # v/2 + 2(w − v/2)
    assert position == [-1, -1, -4]


@settings(max_examples=20)
@given(stable_optimizers(curvature=3))
def test_drawn_optimizers_are_stable(optimizer: Optimizer) -> None:
    radius = max(abs(np.linalg.eigvals(np.array(step_matrix(optimizer, 3), dtype=float))))
    assert radius < 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_rule_is_a_value_with_a_source(name: str) -> None:
    rule = OPTIMIZERS[name]
    assert rule(lr=0.5) == rule(lr=0.5)
    assert rule(lr=0.5) != rule(lr=0.25)
    assert len({rule(), rule()}) == 1
    assert {h.symbol for h in rule().hyperparameters} <= {entry.symbol for entry in GLOSSARY.values()}
    assert str(rule().source.year) in str(rule().source)
    assert repr(rule(lr=0.1)).startswith(f"{rule.__name__}(lr=0.1")


def test_hyperparameters_may_be_symbols() -> None:
    h = sp.Symbol("h", positive=True)
    assert SGD(1 / h).update(h * θ).position == θ - θ
    assert SGD(sp.Symbol("a")).values == {η: sp.Symbol("a")}


LR = "a number > 0"
MU = "a number from 0 to below 1"


@pytest.mark.parametrize("rule", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize(
    "value",
    [
        *(0, -0.1, 0.0, -1, float("nan"), float("inf"), sp.nan, sp.oo, sp.I, -η, sp.Symbol("n", negative=True)),
        *("0.1", None, True, [], ["0.1"], np.array(0.1), np.array([True]), 1j, sp.besselj(0, 1), sp.eye(1), object),
    ],
    ids=repr,
)
def test_bad_learning_rates(rule: Callable[..., Optimizer], value: object) -> None:
    with pytest.raises(ArgumentError, match=r"^lr: got .+; allowed: \w+"):
        rule(lr=value)


@pytest.mark.parametrize("rule", [Momentum, EMAMomentum, Nesterov])
@pytest.mark.parametrize("value", [1, 1.0, -0.1, 2, sp.S.One, float("nan"), "0.9", None, False, [0.9, 1]], ids=repr)
def test_bad_momenta(rule: Callable[..., Optimizer], value: object) -> None:
    with pytest.raises(ArgumentError, match=r"^momentum: got .*; allowed: \w+"):
        rule(lr=0.1, momentum=value)


def test_the_messages_say_what_is_allowed() -> None:
    for make, message in (
        (lambda: SGD(-0.1), f"lr: got -0.1; allowed: {LR}. Fix: "),
        (lambda: Momentum(0.1, 1), f"momentum: got 1; allowed: {MU}. Fix: "),
        (lambda: SGD([]), "lr: got []; allowed: a sweep: a non-empty list of numbers"),
        (lambda: SGD("0.1"), "lr: got '0.1'; allowed: a number or a sympy expression. Fix: text goes through"),
    ):
        with pytest.raises(ArgumentError) as caught:
            make()
        assert str(caught.value).startswith(message)


def bad_calls() -> Sequence[tuple[str, Callable[[], object]]]:
    ball = Momentum(1, sp.Rational(1, 2))
    return [
        ("gradient", lambda: SGD().update("g")),
        ("gradient", lambda: SGD().update(None)),
        ("theta", lambda: SGD().update(1, "w")),
        ("theta", lambda: SGD().lookahead([1])),
        ("memory", lambda: ball.update(1, 1, [])),
        ("memory", lambda: ball.update(1, 1, [1, 2])),
        ("memory", lambda: ball.update(1, 1, ["v"])),
        ("memory", lambda: ball.step([1, 2], [[0]], lambda at: at)),
        ("memory", lambda: ball.step([1], [[]], lambda at: at)),
        ("gradient", lambda: ball.step([1, 2], [[0], [0]], lambda at: at[:1])),
    ]


@pytest.mark.parametrize(("argument", "call"), bad_calls())
def test_bad_calls_are_named(argument: str, call: Callable[[], object]) -> None:
    with pytest.raises(ArgumentError, match=rf"^{argument}: got .*; allowed: \w+"):
        call()
