"""Brackets in closed form, batches, Bayes, order and modified fields against floats and plain loops."""

from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from sgdtheory import symbols
from sgdtheory.optimizers import EMAMomentum, Momentum, Nesterov
from sgdtheory.theory.lie_brackets.bayes import Belief, Example, update
from sgdtheory.theory.lie_brackets.exclusive_labels import EXCLUSIVE, EXCLUSIVE_BRACKET, π
from sgdtheory.theory.lie_brackets.modified_fields import BACKWARD_ERROR, f1, f2, modified_in_turn
from sgdtheory.theory.lie_brackets.order import coasting, impulse_response
from sgdtheory.theory.lie_brackets.random_order import replaced_penalty, reshuffled_penalty
from sgdtheory.theory.registry import find

ε, μ = symbols.epsilon, symbols.momentum


def side(name: str, quantity: sp.Expr) -> sp.Expr:
    """The formula a claim gives for a quantity."""
    return next(e.rhs for e in sp.And.make_args(find(name).statement) if e.lhs == quantity)


# --- batches, Bayes, labels ------------------------------------------------------------------------------------------


def test_means_of_batches_swap_by_the_mean_of_the_pairs_brackets() -> None:
    """Losses ½(w − c)²h in one dimension: [v1, v2] = h1h2(c2 − c1), and two steps on batch means, in plain floats."""
    a, b = [(1.0, 0.5), (2.0, -1.0)], [(3.0, 2.0), (0.5, 1.0), (1.5, -2.0)]

    def step(w: float, batch: list[tuple[float, float]]) -> float:
        return w - 0.01 * sum(h * (w - c) for h, c in batch) / len(batch)

    gap = step(step(0.3, a), b) - step(step(0.3, b), a)
    pairs = sum(h1 * h2 * (c2 - c1) for (h1, c1), (h2, c2) in product(a, b))
    values = {symbols.pair_brackets: pairs, symbols.batch_a: 2, symbols.batch_b: 3}
    assert gap == pytest.approx(1e-4 * float(side("LIE-05", symbols.batch_bracket).subs(values)), rel=1e-9)


def test_posteriors_in_any_order_are_the_least_squares_solution() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 3)), rng.normal(size=4)
    noise = 0.5
    covariance = np.linalg.inv(np.eye(3) + x.T @ x / noise)
    mean = covariance @ x.T @ y / noise
    for order in list(permutations(range(4)))[::5]:
        belief = Belief(sp.zeros(3, 1), sp.eye(3))
        for i in order:
            belief = update(belief, Example(sp.Matrix(x[i]), sp.Float(y[i]), sp.Float(noise)))
        np.testing.assert_allclose(np.array(belief.mean, float).ravel(), mean, rtol=1e-10)
        np.testing.assert_allclose(np.array(belief.covariance, float), covariance, rtol=1e-10)


def test_even_odds_pay_ln_two_and_give_a_quarter_to_each_combination() -> None:
    half = {s: e.rhs.subs(π, sp.Rational(1, 2)) for e in EXCLUSIVE.statement.args for s in [e.lhs]}
    assert sp.simplify(half[symbols.label_excess] - sp.log(2)) == 0
    assert half[symbols.impossible] == sp.Rational(1, 2)


@pytest.mark.parametrize("model", ["independent", "softmax"])
def test_two_steps_on_exclusive_labels_from_even_odds(model: str) -> None:
    """One input, both orders of label A and label B, in plain floats."""
    x1, x2, step = 0.7, 1.3, 1e-4

    def gradient(u: float, w: float, x: float, label: int) -> tuple[float, float]:
        if model == "softmax":
            off = 1 / (1 + math.exp((w - u) * x)) - label
            return off * x, -off * x
        return (1 / (1 + math.exp(-u * x)) - label) * x, (1 / (1 + math.exp(-w * x)) - 1 + label) * x

    ends = []
    for order in (((x1, 1), (x2, 0)), ((x2, 0), (x1, 1))):
        u = w = 0.0
        for x, label in order:
            du, dw = gradient(u, w, x, label)
            u, w = u - step * du, w - step * dw
        ends.append((u, w))
    quantity = symbols.bracket_joint if model == "softmax" else symbols.bracket_apart
    stated = next(e.rhs for e in EXCLUSIVE_BRACKET.statement.args if e.lhs == quantity)
    number = float(stated.subs({symbols.inner: x1 * x2, symbols.input_1: x1, symbols.input_2: x2}))
    assert (ends[0][0] - ends[1][0]) / step**2 == pytest.approx(number, rel=1e-6)
    assert (ends[0][1] - ends[1][1]) / step**2 == pytest.approx(-number, rel=1e-6)


# --- order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "first", "second", "end"),
    [
        (Momentum, 1, 1 + μ, 1 / (1 - μ)),
        (EMAMomentum, 1 - μ, 1 - μ**2, 1),
        (Nesterov, 1 + μ, 1 + μ + μ**2, 1 / (1 - μ)),
    ],
)
def test_impulse_responses_by_hand(rule: type, first: sp.Expr, second: sp.Expr, end: sp.Expr) -> None:
    response = impulse_response(rule(ε, μ), 2)
    for found, expected in zip((*response.ahead, response.end), (first, second, end), strict=True):
        assert sp.simplify(found - expected) == 0


def test_without_momentum_nothing_coasts_and_the_mean_has_no_share() -> None:
    response = impulse_response(Momentum(ε, 0), 3)
    assert coasting(Momentum(ε, 0)) == 0
    assert set(response.ahead) == {response.end} == {sp.S.One}


# --- modified losses -------------------------------------------------------------------------------------------------


def test_a_step_is_a_flow_of_its_modified_field_up_to_the_next_order() -> None:
    """L = w⁴/4 from 1: halving ε divides what is left by 16, in the flow integrated numerically."""
    here = {symbols.hessian_gradient: 3, symbols.hessian_twice: 9, symbols.third_gradient: 6}  # at w = 1
    stated = {s: e.rhs.subs(here) for e in BACKWARD_ERROR.statement.args for s in [e.lhs]}
    left = []
    for step in (0.02, 0.01):
        field = lambda _, w, e=step: -(w**3) + e * float(stated[f1]) * w**5 + e**2 * float(stated[f2]) * w**7  # noqa: E731
        flown = solve_ivp(field, (0, step), [1.0], rtol=1e-13, atol=1e-15).y[0, -1]
        left.append(abs(flown - (1 - step)))
    assert left[0] / left[1] == pytest.approx(16, rel=0.1)


def test_quadratics_modified_field_is_the_logarithm() -> None:
    w, h = sp.symbols("w h", positive=True)
    terms = modified_in_turn((h * w**2 / 2,), (w,), 4)
    assert [t[0] for t in terms] == [-(h ** (k + 1)) * w / (k + 1) for k in range(4)]


def test_penalties_differ_by_the_spread_of_the_gradients() -> None:
    x, y = sp.symbols("x y", real=True)
    losses = [x**2 * y, x - y**2, x * y]
    gradients = [sp.Matrix([loss.diff(x), loss.diff(y)]) for loss in losses]
    mean = sum(gradients, sp.zeros(2, 1)) / 3
    spread = sum(((g - mean).dot(g - mean) for g in gradients), sp.S.Zero) / 3
    assert sp.expand(reshuffled_penalty(losses, (x, y)) - replaced_penalty(losses, (x, y)) - spread) == 0


@pytest.mark.parametrize("replaced", [False, True])
def test_mean_of_all_orders_in_floats_is_off_the_modified_flow_by_a_cube(replaced: bool) -> None:
    """Three losses ½h(w − c)² + ⅓kw³: all orders or draws enumerated, the flow integrated numerically."""
    data = [(1.0, 0.5, 0.3), (2.0, -1.0, -0.2), (0.5, 2.0, 0.6)]
    w = sp.Symbol("w", real=True)
    losses = [h * (w - c) ** 2 / 2 + k * w**3 / 3 for h, c, k in data]
    penalty = (replaced_penalty if replaced else reshuffled_penalty)(losses, (w,))
    orders = list(product(range(3), repeat=3) if replaced else permutations(range(3)))
    left = []
    for step in (0.01, 0.005):
        ends = []
        for order in orders:
            at = 0.4
            for i in order:
                h, c, k = data[i]
                at -= step * (h * (at - c) + k * at**2)
            ends.append(at)
        slope = sp.lambdify(w, -(sp.Add(*losses) / 3 + step / 4 * penalty).diff(w))
        flown = solve_ivp(lambda _, p, f=slope: f(p), (0, 3 * step), [0.4], rtol=1e-13, atol=1e-15).y[0, -1]
        left.append(abs(np.mean(ends) - flown))
    assert left[0] / left[1] == pytest.approx(8, rel=0.1)
