"""Kernels with schedules, injected noise, events, observables and batches without replacement are their plain twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from plain_twin import assert_same_numbers, simulate_plainly

from sgdtheory import Dataset, Fresh, Normal, Problem, Uniform, landscape, simulate
from sgdtheory.optimizers import Adam, Langevin, Nesterov, RMSProp, with_weight_decay
from sgdtheory.schedules import cosine
from sgdtheory.symbols import step as t

w, v, u, x, y, k = sp.symbols("w v u x y k", real=True)
SAMPLES = {"x": [0.3, -1.2, 0.8, 2.0, -0.4, 1.1, -0.9], "y": [1.0, 0.0, -0.5, 0.25, 1.5, -1.0, 0.75]}
REPLICAS = 150  # more than one block of lanes, and not a whole number of them
FRESH = Fresh(x=Normal(0.1, 1), y=Uniform(-1, 1))

CASES: dict[str, dict[str, Any]] = {
    "adam": {
        "problem": Problem((k * sp.tanh(w * x) * v - y) ** 2 / 2 + w**4 / 9, [w, v], FRESH),
        "optimizer": with_weight_decay(
            Adam(cosine(0.3, 6, 0.1), 0.9 - 0.5 / t, 0.99), 0.1, decoupled=True
        ),
        "init": (Normal(0, 2), Uniform(-2, 2)),
        "batch_size": 3,
        "parameters": {"k": 1.5},
        "observables": {"loss": k * w**2 + sp.Abs(v), "angle": sp.atan(w / (1 + v**2))},
        "events": {"crossed": w * v < 0, "far": (w > k) | (v > k), "never": w > 1e9, "at_once": w < 1e9},
        "record_memory": True,
    },
    "langevin": {
        "problem": Problem((w * x + v - y) ** 2 / 2 + u**4 / 4 - u * w, [w, v, u],
                           Dataset(sampling="without replacement", **SAMPLES)),
        "optimizer": Langevin(0.1 / sp.sqrt(t), 0.5),
        "init": 0.5,
        "batch_size": 4,
        "observables": {"sum": w + v + u},
        "events": {"risen": u > 1},
    },
    "rmsprop": {
        "problem": landscape(w**6 / 6 - w, [w], noise_std=2),
        "optimizer": with_weight_decay(RMSProp([0.05, 0.4], 0.9, 1e-3, form="slides"), 0.2),
        "init": Uniform(-3, 3),
        "events": {"left": w < 0},
        "record_memory": True,
    },
    "nesterov that diverges": {
        "problem": landscape(w**4 / 4, [w], noise_std=1),
        "optimizer": with_weight_decay(Nesterov(0.1, 0.5 + 0.05 * t), 0.3),
        "init": Normal(0, 4),
        "events": {"far": sp.Abs(w) > 50, "beyond": sp.Abs(w) > 1e250},
    },
}  # fmt: skip
NAMES = pytest.mark.parametrize("name", CASES)


def settings(name: str) -> dict[str, Any]:
    return {"steps": 8, "replicas": REPLICAS, "rng": 7, **CASES[name]}


@NAMES
def test_a_kernel_is_its_plain_twin(name: str) -> None:
    compiled, twin = simulate(**settings(name)), simulate_plainly(**settings(name))
    assert compiled.attrs["kernel"] != twin.attrs["kernel"]
    assert_same_numbers(compiled, twin)
    alive = compiled.diverged_at == -1
    assert int(alive.sum()) >= 20
    assert np.ptp(compiled.w.isel(step=-1).values[alive.values]) > 0.1


def first_true(holds: np.ndarray) -> np.ndarray:
    """First true step of each row, −1 if none."""
    return np.where(holds.any(axis=-1), holds.argmax(axis=-1), -1)


def test_observables_and_events_are_what_the_path_says() -> None:
    run = simulate(**settings("adam"))
    at, other = run.w.values[..., 0], run.w.values[..., 1]
    np.testing.assert_allclose(run.loss, 1.5 * at**2 + np.abs(other), rtol=1e-15)
    np.testing.assert_allclose(run.angle, np.arctan(at / (1 + other**2)), rtol=1e-15)
    assert run.crossed.values.tolist() == first_true(at * other < 0).tolist()
    assert run.far.values.tolist() == first_true((at > 1.5) | (other > 1.5)).tolist()
    assert {-1, 0, 1} < set(run.crossed.values.tolist())  # each kind of outcome is there
    assert set(run.never.values) == {-1}
    assert set(run.at_once.values) == {0}


def test_an_event_does_not_happen_after_a_divergence() -> None:
    run = simulate(**settings("nesterov that diverges"))
    failed, passed, at = run.diverged_at.values, run.far.values, run.w.values[..., 0]
    holds = (np.abs(at) > 50) & np.isfinite(at)
    assert passed.tolist() == first_true(holds).tolist()
    reached = (np.abs(at) > 1e250) & np.isfinite(at)
    assert run.beyond.values.tolist() == first_true(reached).tolist()
    assert ((failed >= 0) & (run.beyond.values < 0)).any()  # infinity is no longer beyond anything
    assert ((failed >= 0) & (passed >= 0) & (passed < failed)).any()
    assert (passed[failed >= 0] < failed[failed >= 0]).all()


def test_without_replacement_a_batch_has_no_sample_twice() -> None:
    """Codes 2^i: a batch sum names its samples; the same samples come again in the next batch, epochs or not."""
    codes = 2.0 ** np.arange(7)
    problem = Problem(w * x, [w], Dataset(x=codes, sampling="without replacement"))
    run = simulate_plainly(problem, Nesterov(1.0, 0), steps=6, replicas=200, init=0, batch_size=4, rng=3)
    sums = np.rint(-4 * np.diff(run.w.values[..., 0], axis=1)).astype(int)
    assert {bin(s).count("1") for s in sums.ravel()} == {4}
    assert len(set(sums.ravel().tolist())) == 35  # all 7 over 4 batches
    shared = sums[:, :-1] & sums[:, 1:]
    assert (shared > 0).all()  # two batches of 4 of 7 share at least one
    assert len({bin(s).count("1") for s in shared.ravel()}) > 2
