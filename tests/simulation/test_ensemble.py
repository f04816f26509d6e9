"""simulate: what it returns, what it refuses, and what becomes of runs that diverge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
import xarray as xr

import sgdtheory as sgd

WELL = sgd.landscape("(w**2 - 1)**2/4", ["w"], noise_std=0.1)
DATA = sgd.Dataset(sampling="one epoch", x=np.arange(1.0, 11.0), y=np.zeros(10))
GOOD: dict[str, Any] = {"steps": 3, "replicas": 4, "init": 1.0, "rng": 0}


def test_the_result_has_named_dimensions_and_provenance() -> None:
    problem = sgd.sticky_2d(1)
    run = sgd.simulate(
        problem, sgd.Momentum(lr=1e-3, momentum=0.5), batch_size=5, init=(0, sgd.Uniform(-1, 1)),
        steps=6, replicas=7, record=2, record_memory=True, rng=11,
    )  # fmt: skip
    assert run.w.dims == ("replica", "step", "coordinate")
    assert run.step.values.tolist() == [0, 2, 4, 6]
    assert run.coordinate.values.tolist() == ["w1", "w2"]
    assert run.memory.sizes == {"replica": 7, "step": 4, "buffer": 2}
    assert bool((run.w.sel(coordinate="w1", step=0) == 0).all())
    assert bool((run.memory.isel(step=0) == 0).all())
    wanted = {"lr": 1e-3, "momentum": 0.5, "batch_size": 5, "steps": 6, "replicas": 7, "rng_entropy": "11"}
    assert {name: run.attrs[name] for name in wanted} == wanted
    assert run.attrs["loss_convention"] == "half squared error"
    assert run.attrs["stability_limit"] == pytest.approx(3.0)
    assert "numba" in run.attrs["versions"]
    assert run.attrs["diverged"] == 0


def test_curvature_is_reported_against_the_limit() -> None:
    run = sgd.simulate(sgd.quadratic(sp.diag(2, 6), sp.eye(2)), sgd.SGD(lr=0.25), **GOOD)
    for where in ("start", "end"):
        assert run.attrs[f"lr_sharpness_{where}_median"] == pytest.approx(1.5)
        assert run.attrs[f"lr_sharpness_{where}_max"] == pytest.approx(1.5)


def test_diverged_runs_are_counted_and_no_mean_can_miss_them() -> None:
    steep = sgd.landscape("w**4", ["w"])
    run = sgd.simulate(steep, sgd.SGD(lr=1.0), steps=8, replicas=4, init=np.array([[0.1], [2.0], [0.2], [3.0]]), rng=0)
    first = run.diverged_at.values
    assert (first >= 0).tolist() == [False, True, False, True]
    assert run.attrs["diverged"] == 2
    assert run.attrs["diverged_fraction"] == 0.5
    for replica in (1, 3):
        path = run.w.values[replica, :, 0]
        assert np.isfinite(path[: first[replica]]).all()
        assert np.isposinf(path[first[replica] :]).all()
    assert not np.isfinite(run.w.mean("replica").values[-1]).any()


def test_no_steps_give_the_start_alone() -> None:
    run = sgd.simulate(WELL, sgd.SGD(lr=0.1), steps=0, init=0.25, rng=0)
    assert run.w.values.tolist() == [[[0.25]]]


def test_a_run_survives_a_round_trip_to_a_file(tmp_path: Path) -> None:
    run = sgd.simulate(WELL, sgd.SGD(lr=0.1), **GOOD)
    run.to_netcdf(tmp_path / "run.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "run.nc", engine="scipy") as back:
        assert np.array_equal(back.w, run.w)
        assert back.attrs["rng_entropy"] == "0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": -1}, "steps: got -1; allowed: a whole number from 0"),
        ({"steps": 2.0}, "steps: got 2.0"),
        ({"steps": True}, "steps: got True"),
        ({"replicas": 0}, "replicas: got 0; allowed: a whole number from 1"),
        ({"batch_size": 0}, "batch_size: got 0; allowed: a whole number from 1"),
        ({"batch_size": 1.5}, "batch_size: got 1.5"),
        ({"init": sgd.Normal(0, sp.Symbol("a"))}, "init: .*unknown symbol 'a'"),
        ({"init": [1.0, 2.0]}, "init: got 2 entries; allowed: 1"),
        ({"init": "zero"}, "init: got "),
        ({"init": float("nan")}, "init: got"),
        ({"init": np.full((4, 1), np.nan)}, "init: got an array with NaN"),
        ({"init": np.zeros((3, 1))}, r"init: got shape \(3, 1\); allowed: shape \(4, 1\)"),
        ({"record": 0}, "record: got 0"),
        ({"record": [4]}, "record: "),
        ({"record": [2, 1]}, "record: "),
        ({"record": []}, "record: "),
        ({"threads": 0}, "threads: got 0"),
        ({"block_size": 0}, "block_size: got 0"),
        ({"rng": -1}, "rng: got -1"),
        ({"rng": "seed"}, "rng: got "),
        ({"parameters": {"a": 1.0}}, "a: got 1.0; allowed: the parameters none"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_arguments_are_named_before_any_work(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(sgd.ArgumentError, match=message):
        sgd.simulate(WELL, sgd.SGD(lr=0.1), **(GOOD | changes))


def test_a_symbol_without_a_number_is_named() -> None:
    with pytest.raises(sgd.ArgumentError, match=r"lr: got .*eta.*allowed: a number.* Fix: .*SGD\(lr="):
        sgd.simulate(WELL, sgd.SGD(), **GOOD)
    with pytest.raises(sgd.ArgumentError, match="parameters without a value: sigma"):
        sgd.simulate(sgd.scalar_mean(), sgd.SGD(lr=0.1), **GOOD)


def test_parameters_may_be_given_with_the_run() -> None:
    one = sgd.simulate(sgd.scalar_mean(), sgd.SGD(lr=0.1), parameters={"sigma": 2.0}, **GOOD)
    other = sgd.simulate(sgd.scalar_mean().bind(sigma=2.0), sgd.SGD(lr=0.1), **GOOD)
    assert np.array_equal(one.w, other.w)


def test_a_data_set_limits_batches_and_steps() -> None:
    problem = sgd.single_feature("w", ["w"], data=DATA)
    with pytest.raises(sgd.ArgumentError, match="batch_size: got 11; allowed: at most the 10 samples"):
        sgd.simulate(problem, sgd.SGD(lr=0.01), batch_size=11, **GOOD)
    with pytest.raises(sgd.ArgumentError, match="steps: got 3; allowed: at most 2 steps: one epoch"):
        sgd.simulate(problem, sgd.SGD(lr=0.01), batch_size=4, **GOOD)


def test_what_would_not_fit_in_memory_is_refused_with_advice() -> None:
    with pytest.raises(sgd.ArgumentError, match=r"74\.5 GiB.*allowed: at most 4 GiB.*record every 19-th step"):
        sgd.simulate(WELL, sgd.SGD(lr=0.1), steps=10**4 - 1, replicas=10**6, init=0.0)
