"""Causes of the difference between naive and true: they add up, each can be switched off, none left is none above 0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import xarray as xr

from sgdtheory import (
    SGD,
    ArgumentError,
    Momentum,
    landscape,
    lca,
    mlp,
    numeric_loss,
    simulate,
    spirals,
    with_weight_decay,
)

NET = mlp(*spirals(30, 2, rng=1), widths=[5])
LR = 0.5
Steps = Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]


def steps(momentum: float = 0.0, batch: int | None = 4, lr: float = LR, decay: float = 0.0, count: int = 25) -> Steps:
    """Train the network by hand: heavy ball with decoupled weight decay."""
    random, w, v = np.random.default_rng(0), NET.init(2, 3), 0.0
    for t in range(1, count + 1):
        G = NET.gradient(w, None if batch is None else random.integers(30, size=(3, batch)))
        v = momentum * v - lr * G
        yield t, w, w + v - lr * decay * w, G
        w = w + v - lr * decay * w


def size(table: xr.Dataset, cause: str) -> float:
    return float(np.abs(table.causes.sel(cause=cause)).sum())


@pytest.mark.parametrize("split", ["ordered", "shapley"])
@pytest.mark.parametrize("reference", [None, "gauss-6"])
def test_naive_and_causes_add_up_to_the_allocation(split: str, reference: str | None) -> None:
    table = lca(steps(momentum=0.8, decay=0.05), NET, lr=LR, weight_decay=0.05, split=split, reference=reference)
    scale = np.abs(table.naive) + np.abs(table.causes).sum("cause")
    assert (np.abs(table.naive + table.causes.sum("cause") - table.allocation) <= 1e-14 * scale).all()
    assert (np.abs(table.causes).sum(["replica", "step", "parameter"]) > 0).all()
    assert ("quadrature" in table.cause) == (reference is not None)


def test_the_splits_differ_and_only_in_their_parts() -> None:
    ordered, shapley = (lca(steps(momentum=0.8), NET, lr=LR, split=s) for s in ("ordered", "shapley"))
    assert float(np.abs(ordered.causes - shapley.causes).max()) > 1e-3
    xr.testing.assert_allclose(ordered.causes.sum("cause"), shapley.causes.sum("cause"))


@pytest.mark.parametrize("split", ["ordered", "shapley"])
def test_each_cause_can_be_switched_off(split: str) -> None:
    """Full batches, plain SGD, no decay, measurement at the start, an exact rule: one cause each, and no other."""
    on: dict[str, Any] = {"momentum": 0.8, "decay": 0.05}
    off = {
        "minibatch": on | {"batch": None},
        "optimizer": {"decay": 0.05},
        "weight decay": {"momentum": 0.8},
    }
    full = lca(steps(**on), NET, lr=LR, weight_decay=0.05, split=split, reference="gauss-6")
    for cause, training in off.items():
        decay = training.get("decay", 0.0)
        table = lca(steps(**training), NET, lr=LR, weight_decay=decay, split=split, reference="gauss-6")
        assert size(table, cause) <= 1e-13 * float(np.abs(table.naive).sum())
        others = [c for c in full.cause.values if c != cause]
        assert all(size(table, c) > 0.0 for c in others)
    at_start = lca(steps(**on), NET, "left", lr=LR, weight_decay=0.05, split=split)
    assert size(at_start, "curvature") == 0
    exact = lca(steps(**on), NET, "gauss-6", lr=LR, weight_decay=0.05, split=split, reference="gauss-6")
    assert size(exact, "quadrature") == 0
    assert all(size(full, c) > 0 for c in full.cause.values)


def test_with_all_causes_off_no_allocation_is_positive_and_with_any_on_some_is() -> None:
    off = lca(steps(batch=None), NET, "left", lr=LR)
    assert (off.allocation <= 0).all()
    xr.testing.assert_allclose(off.allocation, off.naive.rename("allocation"))
    assert (lca(steps(), NET, "left", lr=LR).allocation > 0).any()  # minibatch
    assert (lca(steps(batch=None, momentum=0.8), NET, "left", lr=LR).allocation > 0).any()  # optimizer
    assert (lca(steps(batch=None, decay=0.5), NET, "left", lr=LR).allocation > 0).any()  # weight decay
    assert (lca(steps(batch=None, lr=5), NET, lr=5).allocation > 0).any()  # curvature


def test_curvature_vanishes_in_proportion_to_the_learning_rate() -> None:
    shares = []
    for lr in (1e-3, 1e-4):
        table = lca(steps(batch=None, lr=lr, count=2), NET, lr=lr)
        shares.append(size(table, "curvature") / float(np.abs(table.naive).sum()))
    assert shares[0] / shares[1] == pytest.approx(10, rel=0.01)


def test_a_run_of_plain_sgd_tells_its_own_gradients() -> None:
    bowl = landscape("w1**2 + w1*w2 + w2**4", ["w1", "w2"], noise_std=0.3)
    for optimizer, decay in ((SGD(lr=0.1), 0.0), (with_weight_decay(SGD(lr=0.1), 0.5), 0.5)):
        run = simulate(bowl, optimizer, steps=5, replicas=2, init=1, rng=0)
        table = lca(run, bowl, "exact")
        assert table.attrs["weight_decay"] == decay
        assert (table.naive <= 0).all()
        assert size(table, "optimizer") <= 1e-13 * float(np.abs(table.naive).sum())
        assert (size(table, "weight decay") > 0) == (decay > 0)
        # G − ∇L is the noise of the step
        noise = numeric_loss(bowl).gradient(run.w.values[:, :-1]) + np.diff(run.w.values, axis=1) / 0.1
        noise += decay * run.w.values[:, :-1]
        shares = np.diff(run.w.values, axis=1) * noise
        np.testing.assert_allclose(table.causes.sel(cause="minibatch"), shares, rtol=1e-9, atol=1e-14)


def test_nothing_is_invented_where_the_gradient_is_not_known() -> None:
    bowl = landscape("w**2", ["w"], noise_std=0.3)
    momentum = simulate(bowl, Momentum(lr=0.1, momentum=0.5), steps=5, init=1, rng=0)
    assert "naive" not in lca(momentum, bowl)
    assert "causes" not in lca(steps(count=2), NET)  # gradients, but no learning rate


def test_learning_rates_may_change_from_step_to_step() -> None:
    rates = np.array([0.5, 0.1, 0.02])
    w = np.array([[1.0], [0.5], [0.7], [0.2]])
    table = lca(w, landscape("w**2", ["w"]), "exact", lr=rates)
    np.testing.assert_allclose(table.naive[:, 0], -(np.diff(w[:, 0]) ** 2) / rates, rtol=1e-14)


@pytest.mark.parametrize(
    "wrong", [{"lr": 0.0}, {"lr": [0.1, -1]}, {"lr": 0.1, "weight_decay": -1.0}, {"split": "fair"}]
)
def test_refuses_impossible_causes(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=list(wrong)[-1]):
        lca(np.zeros((3, 2)), landscape("w1 + w2", ["w1", "w2"]), **wrong)
