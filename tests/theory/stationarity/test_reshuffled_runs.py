"""Random reshuffling: enumerated orders, the simulator epoch by epoch, and the edges n = 1, n = 2, ηh = 1 and 2."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given
from hypothesis import strategies as st

from sgdtheory import SGD, symbols
from sgdtheory.simulation.ensemble import simulate
from sgdtheory.theory.stationarity.sampling import one_epoch, reshuffled_variance, shared_minima

η, h, n, S2, R = symbols.lr, symbols.curvature, symbols.passes, symbols.spread, symbols.epoch_factor
V = sp.lambdify((η, n), reshuffled_variance().subs({h: 1, S2: 1}).subs(R, (1 - η) ** n))
REPLACED = sp.lambdify(η, one_epoch()[symbols.variance_replaced].subs({h: 1, S2: 1}))


def enumerated(minima: np.ndarray, lr: float) -> float:
    """Long-run variance at epoch ends, from one epoch for every order, started at 0."""
    ends = []
    for order in permutations(minima):
        w = 0.0
        for c in order:
            w -= lr * (w - c)
        ends.append(w)
    return float(np.mean(np.square(ends)) / (1 - (1 - lr) ** (2 * minima.size)))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=5), st.floats(0.01, 1.95))
@example([-1.0, 1.0], 1.0)
@example([-1.0, 1.0], 0.01)
@example([0.0, 0.0, 0.0], 0.5)  # nothing to reshuffle
@example([1.0, 1.0, 1.0, 5.0], 1.95)
def test_all_orders_enumerated(values: list[float], lr: float) -> None:
    minima = np.array(values) - np.mean(values)
    spread = float(np.mean(minima**2))
    assert enumerated(minima, lr) == pytest.approx(spread * V(lr, minima.size), rel=1e-7, abs=1e-9)


def test_one_example_alone_leaves_no_variance() -> None:
    assert enumerated(np.array([0.0]), 0.5) == 0
    whole = (reshuffled_variance() * (n - 1)).subs({n: 1, R: 1 - η * h})
    assert sp.simplify(whole) == 0  # so that the formula, 0/0 there, has nothing to say against it


def test_two_examples_by_hand() -> None:
    """Orders (a, −a), (−a, a): an epoch adds ±xa(ρ − 1) = ∓x²a."""
    x = sp.Symbol("x", positive=True)
    by_hand = x**4 / (1 - (1 - x) ** 4)
    assert sp.simplify(reshuffled_variance().subs({n: 2, h: 1, S2: 1}).subs(R, (1 - x) ** 2).subs(η, x) - by_hand) == 0


@pytest.mark.parametrize("size", [2, 3, 10, 1000])
def test_the_order_matters_on_either_side_of_one(size: int) -> None:
    assert V(1.0, size) == pytest.approx(REPLACED(1.0))
    for lr in (0.001, 0.1, 0.9):
        assert V(lr, size) < REPLACED(lr)
    for lr in (1.1, 1.5, 1.95):
        assert V(lr, size) > REPLACED(lr)


def test_the_ratio_approaches_its_small_step_law_and_then_leaves_it() -> None:
    for size in (2, 5, 50):
        ratio = [V(x / size, size) / REPLACED(x / size) for x in (1e-2, 1e-3)]
        law = [(x / size) ** 2 * size * (size + 1) / 12 for x in (1e-2, 1e-3)]
        assert ratio[0] / law[0] == pytest.approx(1, abs=0.01)
        assert ratio[1] / law[1] == pytest.approx(1, abs=0.002)
    assert V(0.1, 10_000) / REPLACED(0.1) == pytest.approx(1, abs=0.01)


def test_at_the_end_of_stability_both_diverge() -> None:
    assert V(2 - 1e-9, 4) > 1e8
    assert REPLACED(2 - 1e-9) > 1e8


def test_no_spread_no_variance() -> None:
    assert reshuffled_variance().subs(S2, 0) == 0


def test_the_simulator_walks_the_enumerated_epochs() -> None:
    """From 0, the ends of a first epoch of three examples are those of the six orders, each about equally often."""
    minima = (-1.0, 0.25, 0.75)
    run = simulate(
        shared_minima(minima).bind(h=1), SGD(lr=0.3), steps=3, replicas=12_000, init=0, batch_size=1, record=[3], rng=4
    )
    values, counts = np.unique(run.w.to_numpy().ravel().round(9), return_counts=True)
    weights = 0.3 * 0.7 ** np.array([2, 1, 0])
    expected = sorted(float(weights @ order) for order in permutations(minima))
    np.testing.assert_allclose(values, expected, atol=1e-8)
    assert (np.abs(counts - 2000) < 6 * np.sqrt(2000)).all()


def test_with_replacement_the_simulator_draws_every_sequence() -> None:
    minima = (-1.0, 1.0)
    run = simulate(
        shared_minima(minima, "with replacement").bind(h=1), SGD(lr=0.3), steps=2, replicas=4_000, init=0,
        batch_size=1, record=[2], rng=4,
    )  # fmt: skip
    weights = 0.3 * np.array([0.7, 1])
    expected = sorted(float(weights @ order) for order in product(minima, repeat=2))
    np.testing.assert_allclose(np.unique(run.w.to_numpy().round(9)), expected, atol=1e-8)
