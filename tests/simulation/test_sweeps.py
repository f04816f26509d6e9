"""Sweeps: the single runs, bit for bit, with names on their axes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from ensembles import WELL, a, plain, w, watched
from plain_twin import simulate_plainly

from sgdtheory import SGD, ArgumentError, Dataset, Momentum, Optimizer, Problem, landscape, numeric_loss, simulate
from sgdtheory.optimizers import Adam, RMSProp, with_weight_decay
from sgdtheory.simulation import arguments
from sgdtheory.symbols import step as t


def assert_point(sweep: xr.Dataset, single: xr.Dataset, **where: float) -> None:
    """One point of a sweep is the single run: its variables, and its attributes as variables."""
    point = sweep.sel(where)
    for name in single.data_vars:
        assert point[name].dims == single[name].dims
        assert point[name].values.tobytes() == single[name].values.tobytes(), name
    for name in MOVED:
        assert single.attrs[name] == pytest.approx(float(point[name]), rel=0, abs=0, nan_ok=True), name
        assert name not in sweep.attrs


MOVED = (
    "diverged", "diverged_fraction", "stability_limit", "lr_sharpness_start_median", "lr_sharpness_start_max",
    "lr_sharpness_end_median", "lr_sharpness_end_max",
)  # fmt: skip


def test_a_sweep_is_its_single_runs() -> None:
    """Over learning rate, batch size and a parameter at once; the last learning rate diverges now and then."""
    rates, batches, heights = [0.05, 0.2, 0.9], [1, 2], [0.5, 1.0]
    sweep = watched(SGD(rates), batch_size=batches, parameters={"a": heights})
    assert sweep.w.dims == ("lr", "batch_size", "a", "replica", "step", "coordinate")
    assert sweep.w.shape == (3, 2, 2, 40, 13, 1)
    assert sweep.loss.dims == ("lr", "batch_size", "a", "replica", "step")
    assert sweep.crossed.dims == sweep.diverged_at.dims == ("lr", "batch_size", "a", "replica")
    for name, values in (("lr", rates), ("batch_size", batches), ("a", heights)):
        assert sweep[name].values.tolist() == values
    for rate in rates:
        for batch in batches:
            for height in heights:
                single = watched(SGD(rate), batch_size=batch, parameters={"a": height})
                assert_point(sweep, single, lr=rate, batch_size=batch, a=height)
    assert 0 < int(sweep.diverged.sel(lr=0.9).sum()) < 160
    assert int(sweep.diverged.sel(lr=0.05).sum()) == 0
    assert len({sweep.w.isel(lr=i, batch_size=j, a=k).values.tobytes()
                for i in range(3) for j in range(2) for k in range(2)}) == 12  # fmt: skip


def test_the_random_numbers_are_common() -> None:
    """The same start and the same noise at every learning rate: the first moves differ by the ratio of the rates."""
    sweep = plain(SGD([0.05, 0.1]), steps=1)
    slow, fast = np.diff(sweep.w.values[..., 0], axis=-1)[..., 0]
    assert sweep.w.values[0, :, 0].tobytes() == sweep.w.values[1, :, 0].tobytes()
    np.testing.assert_allclose(fast, 2 * slow, rtol=1e-9)


def test_two_hyperparameters_and_a_schedule() -> None:
    sweep = simulate_plainly(WELL, Momentum([0.05, 0.1], [0.0, 0.5, 0.9]), steps=4, replicas=3, init=2, rng=1,
                             parameters={"a": 1}, record_memory=True)  # fmt: skip
    assert sweep.memory.dims == ("lr", "momentum", "replica", "step", "buffer")
    for rate in (0.05, 0.1):
        for momentum in (0.0, 0.5, 0.9):
            single = simulate_plainly(WELL, Momentum(rate, momentum), steps=4, replicas=3, init=2, rng=1,
                                      parameters={"a": 1}, record_memory=True)  # fmt: skip
            assert_point(sweep, single, lr=rate, momentum=momentum)
    scheduled = simulate_plainly(WELL, Momentum(0.1 / t, [0.0, 0.5]), steps=4, init=2, rng=1, parameters={"a": 1})
    single = simulate_plainly(WELL, Momentum(0.1 / t, 0.5), steps=4, init=2, rng=1, parameters={"a": 1})
    assert_point(scheduled, single, momentum=0.5)
    assert scheduled.attrs["lr"] == "schedule: 0.1/t"


@pytest.mark.parametrize("swept", ["beta1", "beta2", "eps"])
def test_bias_corrections_follow_a_sweep_of_adam(swept: str) -> None:
    usual: dict[str, Any] = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8}
    several = [0.3, 0.95]
    settings: dict[str, Any] = {"steps": 6, "replicas": 3, "init": 2, "rng": 1, "parameters": {"a": 1}}
    sweep = simulate_plainly(WELL, Adam(**(usual | {swept: several})), **settings)
    for value in several:
        assert_point(sweep, simulate_plainly(WELL, Adam(**(usual | {swept: value})), **settings), **{swept: value})
    assert sweep.w.isel({swept: 0}).values.tobytes() != sweep.w.isel({swept: 1}).values.tobytes()


def test_every_hyperparameter_can_be_swept() -> None:
    rule = with_weight_decay(RMSProp(0.1, [0.5, 0.9]), [0.0, 0.1])
    sweep = simulate_plainly(WELL, rule, steps=2, init=2, rng=1, parameters={"a": 1})
    assert sweep.w.dims[:2] == ("decay", "weight_decay")
    assert len(np.unique(sweep.w.values[..., 0, -1, 0])) == 4


@pytest.mark.parametrize("values", [np.array([0.5, 1.0]), (0.5, 1.0), [sp.Rational(1, 2), 1], np.float32([0.5, 1.0])])
def test_what_an_axis_may_be(values: Any) -> None:
    settings: dict[str, Any] = {"steps": 2, "init": 2, "rng": 1}
    swept = simulate_plainly(WELL, SGD(0.1), parameters={"a": values}, **settings)
    usual = simulate_plainly(WELL, SGD(0.1), parameters={"a": [0.5, 1.0]}, **settings)
    assert swept.a.values.tolist() == [0.5, 1.0]
    assert swept.w.values.tobytes() == usual.w.values.tobytes()
    rates = simulate_plainly(WELL, SGD(values), parameters={"a": 1}, **settings)
    assert rates.lr.values.tolist() == [0.5, 1.0]


def test_one_value_is_an_axis_too() -> None:
    sweep = plain(SGD([0.1]))
    assert sweep.w.sizes["lr"] == 1
    assert_point(sweep, plain(SGD(0.1)), lr=0.1)


def test_batches_of_a_data_set() -> None:
    samples = Dataset(x=[1, 2, 3, 4], sampling="without replacement")
    problem = Problem((w - samples.symbols[0]) ** 2 / 2, [w], samples)
    settings: dict[str, Any] = {"steps": 3, "replicas": 5, "init": 0, "rng": 1}
    sweep = simulate_plainly(problem, SGD(0.5), batch_size=[1, 4], **settings)
    assert_point(sweep, simulate_plainly(problem, SGD(0.5), batch_size=4, **settings), batch_size=4)
    assert np.ptp(sweep.w.sel(batch_size=4).values, axis=0).max() < 1e-15  # all of them: no noise is left
    with pytest.raises(ArgumentError, match=r"^batch_size: got 5; allowed: at most the 4 samples"):
        simulate(problem, SGD(0.5), batch_size=[1, 5], **settings)


# refusals

MEAN = sp.Symbol("mean", real=True)


@pytest.mark.parametrize(
    ("argument", "settings"),
    [
        ("batch_size", {"batch_size": []}),
        ("batch_size", {"batch_size": [1, 2.5]}),
        ("batch_size", {"batch_size": [0]}),
        ("batch_size", {"batch_size": [[1], [2]]}),
        ("batch_size", {"batch_size": [[1], [2, 3]]}),
        ("batch_size", {"batch_size": np.ones((2, 2), dtype=int)}),
        ("batch_size", {"batch_size": [True]}),
        ("batch_size", {"batch_size": ["1"]}),
        ("a", {"parameters": {"a": []}}),
        ("a", {"parameters": {"a": [1.0, float("nan")]}}),
        ("a", {"parameters": {"a": [1.0, np.inf]}}),
        ("a", {"parameters": {"a": np.ones((2, 2))}}),
        ("a", {"parameters": {"a": ["1.0"]}}),
        ("a", {"parameters": {"a": [1.0, -1.0]}}),
        ("b", {"parameters": {"a": 1.0, "b": [1.0, 2.0]}}),
        ("parameters", {"parameters": ["a"]}),
        ("problem", {"parameters": {}}),
    ],
)
def test_bad_axes(argument: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=rf"^{argument}: got .*; allowed: "):
        plain(**settings)


@pytest.mark.parametrize(
    "rates",
    [[], [0.1, float("nan")], [[0.1], [0.2]], [[0.1], 0.2], np.ones((2, 2)), np.array(0.1), [0.1, -0.1], ["0.1"],
     [sp.Symbol("r", positive=True)], (), np.array([])],
    ids=repr,
)  # fmt: skip
def test_bad_learning_rates(rates: Any) -> None:
    with pytest.raises(ArgumentError, match=r"(?s)^lr: got .*; allowed: "):
        SGD(rates)


@pytest.mark.parametrize("name", ["lr", "batch_size", "mean", "step", "replica", "diverged", "quantity", "bin_w"])
def test_an_axis_may_not_take_a_name_that_is_taken(name: str) -> None:
    """A learning rate of one's own beside the optimizer's, or a variable of the result."""
    problem = landscape(sp.Symbol(name, real=True) * w**2, [w])
    with pytest.raises(ArgumentError, match=rf"^parameters: got {name}; allowed: plain words other than "):
        simulate(problem, SGD(0.1), parameters={name: [1.0, 2.0]}, steps=1, init=0)
    single = simulate_plainly(problem, SGD(0.1), parameters={name: 1.0}, steps=1, init=1, rng=0)
    assert single.w.values[0, 1, 0] == pytest.approx(0.8)  # as one number it is nobody's rival


@pytest.mark.parametrize("argument", ["observables", "events"])
@pytest.mark.parametrize("name", ["w", "lr", "a", "mean", "diverged", "stability_limit", "lr_sharpness_end_max",
                                  "histogram_w", "quantity", "two words", "", 3])  # fmt: skip
def test_neither_may_an_observable_or_event(argument: str, name: Any) -> None:
    expression = w > 0 if argument == "events" else w**2
    with pytest.raises(ArgumentError, match=rf"^{argument}: got {name}; allowed: plain words other than "):
        plain(SGD([0.1, 0.2]), parameters={"a": [1.0, 2.0]}, **{argument: {name: expression}})


def test_an_event_may_not_be_called_as_an_observable() -> None:
    with pytest.raises(ArgumentError, match=r"^events: got same; "):
        plain(observables={"same": w}, events={"same": w > 0})


def test_memory_counts_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 points of 40 replicas, 13 steps each, are more than 0.5 MiB; 20 are not."""
    monkeypatch.setattr(arguments, "_MEMORY_LIMIT", 2**19)
    with pytest.raises(ArgumentError, match=r"^replicas, record: got 200 points × 40 replicas × 13 recorded steps"):
        plain(parameters={"a": np.linspace(1, 2, 200)})
    assert plain(parameters={"a": np.linspace(1, 2, 20)}).w.size == 20 * 40 * 13
    with pytest.raises(ArgumentError, match=r"^replicas: got 10 points × 10000 replicas × 1 facts a run"):
        plain(parameters={"a": np.linspace(1, 2, 10)}, replicas=10_000, keep="moments", record=[0])


def test_a_huge_grid_is_refused_at_once() -> None:
    many = np.linspace(0.01, 0.1, 3000)
    start = time.monotonic()
    with pytest.raises(ArgumentError, match=r"^replicas, record: got 9000000 points"):
        plain(SGD(many), parameters={"a": many}, steps=1000)
    assert time.monotonic() - start < 30


def test_a_formula_needs_one_value() -> None:
    with pytest.raises(ArgumentError, match=r"^lr: got .*; allowed: one value here"):
        _ = SGD([0.1, 0.2]).values
    assert a in WELL.free_parameters


# hyperparameters in the problem's parameters


def test_a_learning_rate_in_a_parameter_of_the_problem() -> None:
    """One step at the learning rate 1/h ends in the minimum of ½hw², whatever h is."""
    h = sp.Symbol("h", positive=True)
    run = simulate(landscape(h * w**2 / 2, [w]), SGD(1 / h), steps=1, init=3.0, parameters={"h": [0.5, 2, 7]})
    assert run.w.sel(step=1).values == pytest.approx(0, abs=1e-15)
    assert run.attrs["lr"] == "1/h"
    assert run.lr_sharpness_start_max.values == pytest.approx(1)
    fixed = simulate(landscape(h * w**2 / 2, [w]), SGD(0.5 / h), steps=1, init=3.0, parameters={"h": 4})
    assert fixed.attrs["lr"] == 0.125
    assert fixed.w.values[0, :, 0].tolist() == [3.0, 1.5]


def test_parameters_in_hyperparameters_are_matched_by_name_and_may_be_scheduled() -> None:
    h = sp.Symbol("h")
    run = simulate(landscape("h*w**2/2", ["w"]), SGD(1 / (h * t)), steps=2, init=1.0, parameters={"h": [1.0, 2.0]})
    assert run.w.values[:, 0, :, 0].tolist() == [[1, 0, 0], [1, 0, 0]]
    momentum = simulate(landscape("h*w**2/2", ["w"]), Momentum(0.1, h / 4), steps=3, init=1, parameters={"h": [1, 2]})
    for value in (1, 2):
        bound = simulate(landscape("h*w**2/2", ["w"]).bind(h=value), Momentum(0.1, value / 4), steps=3, init=1)
        assert momentum.w.sel(h=value).values.tobytes() == bound.w.values.tobytes()


def test_what_follows_from_a_hyperparameter_follows_from_the_parameter() -> None:
    h = sp.Symbol("h")
    run = simulate(landscape("h*w**2/2", ["w"]), Adam(0.1, 1 - h / 4, 0.9), steps=3, init=1, parameters={"h": [1, 2]})
    bound = simulate(landscape("w**2", ["w"]), Adam(0.1, 0.5, 0.9), steps=3, init=1)
    np.testing.assert_allclose(run.w.sel(h=2).values, bound.w.values, rtol=1e-14)


def test_a_parameter_called_t_is_not_the_step() -> None:
    run = simulate(landscape("t*w**2/2", ["w"]), SGD(1 / t), steps=2, init=1.0, parameters={"t": 0.5})
    assert run.w.values[0, :, 0].tolist() == [1.0, 0.5, 0.375]


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (SGD(sp.Symbol("h") - 2), r"lr: got -1.0.*; allowed: a number > 0"),
        (Momentum(0.1, sp.Symbol("h")), r"momentum: got 1.0"),
        (SGD(1 / sp.Symbol("k")), r"lr: got 1/k; allowed: a number. Fix: give k a number"),
    ],
)
def test_a_parameter_that_leads_out_of_a_domain_is_refused(optimizer: Optimizer, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        simulate(landscape("h*w**2/2", ["w"]), optimizer, steps=1, init=1, parameters={"h": 1.0})


# parameters in text


def test_names_in_text_that_are_no_coordinates_are_parameters() -> None:
    problem = landscape("a*w**2/2", ["w"])
    assert [s.name for s in problem.free_parameters] == ["a"]
    run = simulate(problem, SGD(0.5), steps=1, init=1.0, parameters={"a": [1, 2]})
    assert run.w.sel(step=1).values[:, 0, 0].tolist() == [0.5, 0.0]


def test_a_misspelt_coordinate_is_named_with_those_there_are() -> None:
    message = r"parameters without a value: wieght; .*misspelt: coordinates and data are weight, xi_weight\.$"
    with pytest.raises(ArgumentError, match=message):
        simulate(landscape("wieght**2", ["weight"], noise_std=1), SGD(0.5), steps=1, init=1.0)
    with pytest.raises(ArgumentError, match=r"wieght; .*misspelt: coordinates are weight\.$"):
        numeric_loss(landscape("wieght**2", ["weight"]))
