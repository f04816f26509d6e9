"""Both orders run on arrays: against exact steps, against the claims' formulas, and what moves the predictions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random

import numpy as np
import pytest
import sympy as sp

from sgdtheory import (
    SGD,
    Adam,
    ArgumentError,
    Dataset,
    EMAMomentum,
    Langevin,
    Momentum,
    Nesterov,
    Network,
    Optimizer,
    Problem,
    RMSProp,
    lie_bracket,
    mlp,
    numeric_loss,
    prediction_effect,
    spirals,
    step,
    swap_gap,
    symbols,
    with_weight_decay,
)
from sgdtheory.claim import Case, Claim
from sgdtheory.derive.expansion import State
from sgdtheory.derive.expansion import swap_gap as exact_gap
from sgdtheory.measure.protocol import Array
from sgdtheory.measure.rules import array_rule, values_at
from sgdtheory.theory.example_pairs import Pair
from sgdtheory.theory.lie_brackets.momentum import AVERAGED_GAP, BUFFER_GAP, NESTEROV_GAP, POSITION_GAP, SHADOW
from sgdtheory.theory.lie_brackets.swap import SWAP_GAP
from sgdtheory.theory.random_instances import polynomial

μ = 0.75
RULES: dict[str, Callable[..., Optimizer]] = {
    "SGD": SGD,
    "Momentum": lambda lr: Momentum(lr, μ),
    "EMAMomentum": lambda lr: EMAMomentum(lr, μ),
    "Nesterov": lambda lr: Nesterov(lr, μ),
    "RMSProp": lambda lr: RMSProp(lr, 0.75, 0.125),
    "RMSProp, slides": lambda lr: RMSProp(lr, 0.75, 0.125, form="slides"),
    "Adam": lambda lr: Adam(lr, 0.5, 0.75, 0.125),
    "Adam, slides": lambda lr: Adam(lr, 0.5, 0.75, 0.125, form="slides"),
    "decay": lambda lr: with_weight_decay(Momentum(lr, μ), 0.25, decoupled=True),
}


def pair(dimension: int, seed: int = 0) -> Pair:
    """Two random quartic losses, a point and a buffer."""
    random = Random(100 * dimension + seed)
    w = sp.symbols(f"w1:{dimension + 1}", real=True)
    losses = (polynomial(random, w, 4, 16), polynomial(random, w, 4, 16))
    point, m = (tuple(sp.Rational(random.randint(-6, 6), 8) for _ in w) for _ in range(2))
    return Pair(losses, w, point, m)


def as_problem(given: Pair) -> Problem:
    """The pair as the two examples of a data set."""
    x = sp.Symbol("x", real=True)
    both = (1 + x) / 2 * given.losses[0] + (1 - x) / 2 * given.losses[1]
    return Problem(both, given.coordinates, Dataset(x=[1, -1]))


def floats(values: tuple[sp.Expr, ...]) -> Array:
    return np.array([float(v) for v in values])


@cache
def local(given: Pair) -> list[Case]:
    return given.local()


def formula(claim: Claim, quantity: sp.Symbol, given: Pair, lr: float) -> Array:
    """What a claim says of a gap, component by component."""
    expression = next(e.rhs for e in claim.statement.atoms(sp.Eq) if e.lhs == quantity)
    numbers = {symbols.epsilon: lr, symbols.momentum: μ}
    return np.array([float(expression.xreplace(values).xreplace(numbers)) for values in local(given)])


def start_of(optimizer: Optimizer, dimension: int) -> dict[str, Array]:
    """Buffers that are not zero, and positive as mean squares are."""
    return {b.name: np.abs(np.random.default_rng(3).normal(size=dimension)) for b in optimizer.buffers}


@pytest.mark.parametrize("name", [name for name in RULES if name != "Adam"])
@pytest.mark.parametrize("dimension", [1, 3])
def test_it_is_the_exact_gap(name: str, dimension: int) -> None:
    """Against both orders in sympy."""
    given, optimizer = pair(dimension), RULES[name](0.0625)
    buffers = start_of(optimizer, dimension)
    rows = tuple(tuple(sp.Float(buffers[b.name][k], 17) for b in optimizer.buffers) for k in range(dimension))
    (v1, v2), start = given.fields, State(tuple(sp.Float(p, 17) for p in given.point), rows)
    exact = exact_gap(optimizer, -v1, -v2, given.coordinates, start)
    got = swap_gap(as_problem(given), optimizer, 0, 1, floats(given.point), memory=buffers)
    assert np.abs(got.position).max() > 1e-6
    np.testing.assert_allclose(got.position, floats(exact.position), rtol=1e-9, atol=1e-13)
    for k, b in enumerate(optimizer.buffers):
        np.testing.assert_allclose(got.memory[b.name], floats(tuple(m[k] for m in exact.memory)), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(got.ends[0] - got.ends[1], got.position)


@pytest.mark.parametrize("first", [1, 4])
def test_adam_counts_its_steps(first: int) -> None:
    """Against algorithm 1 by hand: its bias corrections depend on the number of the step."""
    given, optimizer = pair(3), RULES["Adam"](0.0625)
    buffers = start_of(optimizer, 3)
    got = swap_gap(as_problem(given), optimizer, 0, 1, floats(given.point), memory=buffers, step=first)
    position, memory = _adam_by_hand(given, buffers, first)
    np.testing.assert_allclose(got.position, position, rtol=1e-9)
    for name, values in memory.items():
        np.testing.assert_allclose(got.memory[name], values, rtol=1e-9)


def _adam_by_hand(given: Pair, start: dict[str, Array], first: int) -> tuple[Array, dict[str, Array]]:
    """Kingma and Ba's algorithm 1, both orders, steps numbered from `first`."""
    gradients = [sp.lambdify(given.coordinates, list(-v)) for v in given.fields]
    ends = []
    for order in ((0, 1), (1, 0)):
        w, m, s = floats(given.point), start["v"], start["s"]
        for t, which in enumerate(order, first):
            g = np.array(gradients[which](*w), float)
            m, s = 0.5 * m + 0.5 * g, 0.75 * s + 0.25 * g**2
            w = w - 0.0625 * (m / (1 - 0.5**t)) / (np.sqrt(s / (1 - 0.75**t)) + 0.125)
        ends.append((w, m, s))
    (w, m, s), (u, n, r) = ends
    return w - u, {"v": m - n, "s": s - r}


@pytest.mark.parametrize("dimension", [1, 2, 3, 4, 5])
def test_plain_steps_leave_the_bracket_and_the_next_term(dimension: int) -> None:
    """Gap/ε² tends to the bracket; without ε² and ε³ terms what is left falls as ε⁴."""
    given = pair(dimension, seed=1)
    problem, point, rates = as_problem(given), floats(given.point), np.array([2e-3, 1e-3])
    gaps = swap_gap(problem, SGD(rates), 0, 1, point).position
    bracket = lie_bracket(problem, 0, 1, point)
    scale = np.abs(bracket).max()
    assert scale > 0.1
    bending = floats(tuple(values[symbols.bending] for values in local(given)))
    off = [np.linalg.norm(gap / lr**2 - bracket) for gap, lr in zip(gaps, rates, strict=True)]
    np.testing.assert_allclose(off, np.linalg.norm(bending) / 2 * rates, rtol=0.05)
    left = [gap - formula(SWAP_GAP, symbols.position_gap, given, lr) for gap, lr in zip(gaps, rates, strict=True)]
    assert np.linalg.norm(left[0]) / np.linalg.norm(left[1]) == pytest.approx(16, rel=0.1)


CLAIMED = {
    "position, heavy ball": (Momentum, POSITION_GAP, symbols.position_gap),
    "buffer, heavy ball": (Momentum, BUFFER_GAP, symbols.buffer_gap),
    "shadow, heavy ball": (Momentum, SHADOW, symbols.shadow_gap),
    "position, Nesterov": (Nesterov, NESTEROV_GAP, symbols.position_gap),
    "buffer, Nesterov": (Nesterov, NESTEROV_GAP, symbols.buffer_gap),
    "position, averaged": (EMAMomentum, AVERAGED_GAP, symbols.position_gap),
}


def remainders(rule: Callable[..., Optimizer], claim: Claim, quantity: sp.Symbol, given: Pair) -> list[float]:
    """How far the measured gap is from a formula, at two step sizes, the second half the first."""
    problem, point, m = as_problem(given), floats(given.point), floats(given.m)
    left = []
    for lr in (2e-3, 1e-3):
        size = 1.0 if rule is EMAMomentum else lr
        gap = swap_gap(problem, rule(lr, μ), 0, 1, point, memory={"v": -size * m})
        buffer = -gap.memory["v"]
        measured = {
            symbols.position_gap: gap.position,
            symbols.buffer_gap: buffer,
            symbols.shadow_gap: gap.position + μ / (1 - μ) * buffer,
        }[quantity]
        left.append(float(np.linalg.norm(measured - formula(claim, quantity, given, lr))))
    return left


@pytest.mark.parametrize("name", CLAIMED)
@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_momentum_leaves_what_the_claims_say(name: str, dimension: int) -> None:
    """Up to the ε² term, so that the rest falls as ε³."""
    far, near = remainders(*CLAIMED[name], pair(dimension, seed=2))
    assert far / near == pytest.approx(8, rel=0.1)


def test_another_methods_formula_is_off() -> None:
    far, near = remainders(Momentum, NESTEROV_GAP, symbols.position_gap, pair(2, seed=2))
    assert far / near == pytest.approx(4, rel=0.1)  # wrong at ε²
    far, near = remainders(Momentum, SWAP_GAP, symbols.position_gap, pair(2, seed=2))
    assert far / near == pytest.approx(2, rel=0.1)  # wrong at ε


def test_without_momentum_all_is_plain() -> None:
    given = pair(2)
    problem, point = as_problem(given), floats(given.point)
    plain = swap_gap(problem, SGD(0.1), 0, 1, point).position
    for rule in (Momentum(0.1, 0), Nesterov(0.1, 0), EMAMomentum(0.1, 0)):
        np.testing.assert_allclose(swap_gap(problem, rule, 0, 1, point).position, plain, rtol=1e-12)


def test_adaptive_gaps_are_of_first_order() -> None:
    """RMSProp and Adam: halving a small learning rate halves the gap, as it halves that of constant gradients."""
    given = pair(2, seed=2)
    problem, point = as_problem(given), floats(given.point)
    rates = np.array([2e-5, 1e-5])
    for rule in (RMSProp(rates, 0.9), Adam(rates, 0.0, 0.9), Adam(rates, 0.9, 0.999)):
        far, near = np.linalg.norm(swap_gap(problem, rule, 0, 1, point, memory={"s": [1.0, 2.0]}).position, axis=-1)
        assert far / near == pytest.approx(2, rel=0.01)


def test_identical_examples_leave_no_gap() -> None:
    problem, w = as_problem(pair(3)), np.random.default_rng(1).normal(size=(4, 3))
    for rule in RULES.values():
        gap = swap_gap(problem, rule(0.1), 1, 1, w)
        np.testing.assert_array_equal(gap.position, np.zeros((4, 3)))
        assert all((values == 0).all() for values in gap.memory.values())


def test_sweeps_pairs_and_points_are_axes() -> None:
    problem = as_problem(pair(2))
    loss, w = numeric_loss(problem), np.random.default_rng(2).normal(size=(5, 1, 2)) / 4
    i, j = np.array([[0], [1], [0]]), np.array([[1], [0], [0]])
    rates, decays = [0.1, 0.2], [0.0, 0.5, 0.75, 0.875]
    gap = swap_gap(loss, Momentum(rates, decays), i, j, w)
    assert gap.position.shape == (2, 4, 5, 3, 2)
    for a, b, k, p in ((0, 0, 0, 0), (1, 3, 4, 1), (1, 2, 2, 0)):
        one = swap_gap(loss, Momentum(rates[a], decays[b]), i[p], j[p], w[k, 0])
        np.testing.assert_allclose(gap.position[a, b, k, p], one.position, rtol=1e-12, atol=1e-16)
        np.testing.assert_allclose(np.broadcast_to(gap.memory["v"], gap.position.shape)[a, b, k, p], one.memory["v"])


def test_batches_are_swapped_whole() -> None:
    x, y = np.random.default_rng(3).normal(size=(2, 5))
    problem = Problem("(y - a*tanh(b*x))**2/2", ["a", "b"], Dataset(x=x, y=y))
    gap = swap_gap(problem, SGD(1e-4), [0, 1], [2, 3, 4], [0.5, 0.7]).position
    np.testing.assert_allclose(gap / 1e-8, lie_bracket(problem, [0, 1], [2, 3, 4], [0.5, 0.7]), rtol=1e-3)


def test_schedules_depend_on_the_number_of_the_step() -> None:
    given = pair(1)
    problem, point = as_problem(given), floats(given.point)
    late = swap_gap(problem, SGD(lr=1 / (10 * step)), 0, 1, point, step=9)
    v1, v2 = (sp.lambdify(given.coordinates[0], v[0]) for v in given.fields)
    w = point[0]
    one, other = w + v1(w) / 90, w + v2(w) / 90
    assert late.position[0] == pytest.approx((one + v2(one) / 100) - (other + v1(other) / 100), rel=1e-9)


def test_what_cannot_be_swapped_is_refused() -> None:
    problem = as_problem(pair(2))
    for optimizer, argument in ((SGD(), "lr"), (Momentum(0.1), "momentum"), (Langevin(0.1, 1), "optimizer")):
        with pytest.raises(ArgumentError, match=argument):
            swap_gap(problem, optimizer, 0, 1, [0.0, 0.0])
    for memory in ({"s": [0.0, 0.0]}, {"v": [0.0, 0.0, 0.0]}):
        with pytest.raises(ArgumentError, match="memory"):
            swap_gap(problem, Momentum(0.1, 0.5), 0, 1, [0.0, 0.0], memory=memory)
    for number in (0, 1.0, True):
        with pytest.raises(ArgumentError, match="step"):
            swap_gap(problem, SGD(0.1), 0, 1, [0.0, 0.0], step=number)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="j: got"):
        swap_gap(problem, SGD(0.1), 0, 2, [0.0, 0.0])


@pytest.mark.parametrize("name", RULES)
def test_a_rule_on_arrays_is_the_rule(name: str) -> None:
    """One step on an array of points, against the same rule in sympy coordinate by coordinate."""
    optimizer = RULES[name](0.25)
    rule, rng = array_rule(optimizer), np.random.default_rng(5)
    w = rng.normal(size=(3, 2))
    memory = {b.name: np.abs(rng.normal(size=(3, 2))) for b in optimizer.buffers}
    moved, kept = rule.step(w, memory, np.sin, values_at(optimizer, axes=2)(3))
    for index in np.ndindex(3, 2):
        state = [sp.Float(memory[b.name][index], 17) for b in optimizer.buffers]
        place = optimizer.lookahead(sp.Float(w[index], 17), state)
        update = optimizer.update(sp.sin(place), sp.Float(w[index], 17), state)
        assert moved[index] == pytest.approx(float(update.position.subs(symbols.step, 3)), rel=1e-12)
        for k, b in enumerate(optimizer.buffers):
            assert kept[b.name][index] == pytest.approx(float(update.memory[k]), rel=1e-12)


# --- predictions -----------------------------------------------------------------------------------------------------


@pytest.fixture(name="unit")
def _unit() -> Problem:
    x, y = np.random.default_rng(4).normal(size=(2, 6))
    return Problem("(y - c*a*tanh(b*x))**2/2", ["a", "b"], Dataset(x=x, y=y), {"c": 2})


def test_predictions_move_along_the_bracket(unit: Problem) -> None:
    """By an expression, by its text, by a function; and as both orders, run, show."""
    assert isinstance(unit.data, Dataset)
    x, w, lr = unit.data.values[:, 0], np.array([[0.5, 0.7], [-0.3, 1.0]]), 1e-4

    def predict(at: Array) -> Array:
        return 2 * at[..., :1] * np.tanh(at[..., 1:] * x)

    bracket = lie_bracket(unit, 0, 1, w)
    slope_a, slope_b = 2 * np.tanh(w[:, 1:] * x), 2 * w[:, :1] * x / np.cosh(w[:, 1:] * x) ** 2
    expected = lr**2 * (slope_a * bracket[:, :1] + slope_b * bracket[:, 1:])
    by_text = prediction_effect(unit, 0, 1, w, lr, "c*a*tanh(b*x)")
    np.testing.assert_allclose(by_text, expected, rtol=1e-11)
    a, b, s = sp.symbols("a b x", real=True)
    np.testing.assert_allclose(prediction_effect(unit, 0, 1, w, lr, 2 * a * sp.tanh(b * s)), expected, rtol=1e-11)
    np.testing.assert_allclose(prediction_effect(unit, 0, 1, w, lr, predict), expected, rtol=1e-7)
    some = prediction_effect(unit, 0, 1, w, lr, "c*a*tanh(b*x)", batch=[4, 2])
    np.testing.assert_allclose(some, expected[:, [4, 2]], rtol=1e-11)
    ends = swap_gap(unit, SGD(lr), 0, 1, w).ends
    np.testing.assert_allclose(predict(ends[0]) - predict(ends[1]), expected, rtol=1e-3)


class Programs:
    """A network seen through the loss protocol and its outputs alone."""

    def __init__(self, net: Network) -> None:
        self.dimension, self.examples, self.layout = net.dimension, net.examples, net.layout
        self.value, self.gradient, self.hvp, self.outputs = net.value, net.gradient, net.hvp, net.outputs


def test_networks_move_along_the_bracket() -> None:
    """As both orders run show, by exact derivatives and by differences; pairs and points at once, in batches too."""
    net = mlp(*spirals(12, 3, rng=0), [4])
    w, lr = net.init(1, replicas=2)[:, np.newaxis], 1e-3
    i, j = np.array([[0, 1], [2, 2]]), np.array([[3, 4], [5, 6]])
    gap = swap_gap(net, SGD(lr), i, j, w)
    np.testing.assert_allclose(gap.position / lr**2, lie_bracket(net, i, j, w), rtol=0.05, atol=1e-3)
    effect = prediction_effect(net, i, j, w, lr, batch=[7, 8, 9])
    assert effect.shape == (2, 2, 3, 3)
    moved = net.outputs(gap.ends[0], [7, 8, 9]) - net.outputs(gap.ends[1], [7, 8, 9])
    np.testing.assert_allclose(moved, effect, rtol=0.05, atol=1e-3 * np.abs(effect).max())
    by_differences = prediction_effect(Programs(net), i, j, w, lr, batch=[7, 8, 9])
    np.testing.assert_allclose(by_differences, effect, rtol=1e-5, atol=1e-7 * np.abs(effect).max())


def test_pairs_of_examples_are_axes_of_the_effect(unit: Problem) -> None:
    i, j = np.array([[0], [1]]), np.array([[2], [3]])
    effect = prediction_effect(unit, i, j, [0.5, 0.7], predictions="c*a*tanh(b*x)")
    assert effect.shape == (2, 6)
    np.testing.assert_allclose(effect[1], prediction_effect(unit, 1, 3, [0.5, 0.7], predictions="c*a*tanh(b*x)"))


def test_a_prediction_without_parameters_does_not_move(unit: Problem) -> None:
    np.testing.assert_array_equal(prediction_effect(unit, 0, 1, [0.5, 0.7], predictions="x**2"), np.zeros(6))


def test_what_cannot_be_predicted_is_refused(unit: Problem) -> None:
    loss = numeric_loss(unit)
    with pytest.raises(ArgumentError, match="predictions: got None"):
        prediction_effect(loss, 0, 1, [0.5, 0.7])
    with pytest.raises(ArgumentError, match="only a problem"):
        prediction_effect(loss, 0, 1, [0.5, 0.7], predictions="a*x")
    with pytest.raises(ArgumentError, match="predictions"):
        prediction_effect(unit, 0, 1, [0.5, 0.7], predictions="a*z")
    for lr in (0, -1, True, np.inf):
        with pytest.raises(ArgumentError, match="lr"):
            prediction_effect(unit, 0, 1, [0.5, 0.7], lr, "a*x")
