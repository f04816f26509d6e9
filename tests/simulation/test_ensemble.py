"""simulate: against textbook transcriptions, its labels, its handling of divergence, and every argument it refuses."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from naive import sgd_transcription as textbook

from sgdtheory import (
    SGD,
    ArgumentError,
    Dataset,
    EMAMomentum,
    Fresh,
    Momentum,
    Nesterov,
    Normal,
    Problem,
    Rademacher,
    Uniform,
    landscape,
    quadratic,
    simulate,
)
from sgdtheory.simulation.provenance import key_of, seed_sequence
from sgdtheory.symbols import step as t

XS, YS = [0.3, -1.2, 0.8, 2.0, -0.4], [1.0, 0.0, -0.5, 0.25, 1.5]
FRESH = Problem("(y - w*x)**2/2", ["w"], Fresh(x=Normal(), y=Normal(0, 0.5)))
KEY = tuple(map(int, key_of(seed_sequence(0))))


def on_samples(sampling: str) -> Problem:
    return Problem("(y - w*x)**2/2", ["w"], Dataset(sampling=sampling, x=XS, y=YS))


def fresh(replica: int, batch: int) -> textbook.Gradient:
    return textbook.regression_on_fresh_data(KEY, replica, batch, 0.5)


def replaced(replica: int, batch: int) -> textbook.Gradient:
    batches = textbook.draw_with_replacement(KEY, replica, len(XS), batch)
    return textbook.regression_on_samples(XS, YS, batches)


def reshuffled(replica: int, batch: int) -> textbook.Gradient:
    batches = textbook.draw_without_replacement(KEY, replica, len(XS), batch)
    return textbook.regression_on_samples(XS, YS, batches)


@pytest.mark.parametrize(
    ("problem", "gradient", "optimizer", "rule", "numbers"),
    [
        (FRESH, fresh, SGD(lr=0.1), textbook.sgd, (0.1,)),
        (FRESH, fresh, Nesterov(lr=0.1, momentum=0.7), textbook.nesterov, (0.1, 0.7)),
        (on_samples("reshuffle"), reshuffled, Momentum(lr=0.1, momentum=0.6), textbook.heavy_ball, (0.1, 0.6)),
        (
            on_samples("with replacement"),
            replaced,
            EMAMomentum(lr=0.3, momentum=0.8),
            textbook.averaged_momentum,
            (0.3, 0.8),
        ),
    ],
    ids=["sgd", "nesterov", "momentum", "averaged"],
)
def test_a_run_is_the_textbook_rule_on_the_same_draws(
    problem: Problem,
    gradient: Callable[[int, int], textbook.Gradient],
    optimizer: Any,
    rule: Callable[..., list[float]],
    numbers: tuple[float, ...],
) -> None:
    run = simulate(problem, optimizer, steps=25, replicas=6, init=1.5, batch_size=2, rng=0, threads=2)
    expected = [rule(1.5, 25, gradient(replica, 2), *numbers) for replica in range(6)]
    np.testing.assert_allclose(run.w.values[..., 0], expected, rtol=1e-12, atol=1e-13)


# what comes back

DOUBLE_WELL = landscape("(w**2 - 1)**2/4", ["w"], noise_std=0.3)
PLANE = quadratic(sp.diag(1, 3), sp.eye(2))
EXPLOSIVE = landscape("w**4/4", ["w"], noise_std=0.1)


@pytest.fixture(scope="module")
def wells() -> xr.Dataset:
    return simulate(DOUBLE_WELL, SGD(lr=0.1), steps=20, replicas=100, init=Uniform(-2, 2), rng=0)


def test_labels(wells: xr.Dataset) -> None:
    assert wells.w.dims == ("replica", "step", "coordinate")
    assert wells.w.shape == (100, 21, 1)
    assert wells.w.dtype == np.float64
    assert wells.coordinate.values.tolist() == ["w"]
    assert wells.step.values.tolist() == list(range(21))
    assert wells.replica.values.tolist() == list(range(100))
    assert wells.diverged_at.dims == ("replica",)
    assert (wells.diverged_at == -1).all()
    assert "memory" not in wells


def test_the_start_is_drawn_from_its_law(wells: xr.Dataset) -> None:
    start = wells.w.isel(step=0)
    assert float(start.min()) >= -2
    assert float(start.max()) < 2
    assert len(np.unique(start)) == 100


def test_memory_has_its_buffers_named() -> None:
    start = [0.25, Normal(3, 1)]
    run = simulate(PLANE, Momentum(lr=0.1, momentum=0.9), steps=3, replicas=50, init=start, record_memory=True, rng=0)
    assert run.memory.dims == ("replica", "step", "buffer")
    assert run.buffer.values.tolist() == ["v[w1]", "v[w2]"]
    assert (run.memory.isel(step=0) == 0).all()
    moved = run.w.diff("step").values
    np.testing.assert_allclose(moved, -run.memory.values[:, 1:], rtol=1e-9)  # heavy ball: the buffer is the step
    first, second = run.w.values[:, 0].T
    assert (first == 0.25).all()
    assert len(np.unique(second)) == 50


def test_where_there_are_no_buffers_none_are_recorded() -> None:
    run = simulate(DOUBLE_WELL, SGD(lr=0.1), steps=2, init=Uniform(-2, 2), record_memory=True, rng=0)
    assert set(run.data_vars) == {"w", "diverged_at"}
    assert "buffer" not in run.coords


def test_zero_steps_are_the_start_alone() -> None:
    run = simulate(DOUBLE_WELL, SGD(lr=0.1), steps=0, replicas=3, init=Uniform(-2, 2), rng=0)
    assert run.step.values.tolist() == [0]
    assert run.w.shape == (3, 1, 1)


@pytest.mark.parametrize(
    ("record", "steps"),
    [(1, range(21)), (7, [0, 7, 14, 20]), (20, [0, 20]), (50, [0, 20]), ([3], [3]), ([0, 19], [0, 19])],
)
def test_recorded_steps(wells: xr.Dataset, record: int | list[int], steps: list[int]) -> None:
    run = simulate(DOUBLE_WELL, SGD(lr=0.1), steps=20, replicas=100, init=Uniform(-2, 2), rng=0, record=record)
    assert run.step.values.tolist() == list(steps)
    xr.testing.assert_equal(run.w, wells.w.sel(step=list(steps)))


@pytest.mark.parametrize("init", [np.linspace(-1, 1, 6).reshape(3, 2), np.arange(6).reshape(3, 2)])
def test_given_points_are_the_start(init: np.ndarray) -> None:
    run = simulate(PLANE, SGD(lr=0.1), steps=1, replicas=3, init=init, rng=0, block_size=2)
    np.testing.assert_array_equal(run.w.isel(step=0), init)


def test_one_law_holds_for_every_coordinate() -> None:
    both = simulate(PLANE, SGD(lr=0.1), steps=0, replicas=50, init=Rademacher(), rng=0).w.values[:, 0]
    assert set(both.ravel()) == {-1, 1}
    assert (both[:, 0] != both[:, 1]).any()


def test_parameters_may_be_given_at_the_call() -> None:
    sigma = sp.Symbol("sigma", positive=True)
    open_problem = landscape("w**2", ["w"], noise_std=sigma)
    settings: dict[str, Any] = {"steps": 5, "replicas": 3, "init": 1, "rng": 0}
    called = simulate(open_problem, SGD(lr=0.1), parameters={"sigma": 0.5}, **settings)
    bound = simulate(open_problem.bind(sigma=0.5), SGD(lr=0.1), **settings)
    xr.testing.assert_identical(called, bound)


def test_the_arguments_are_left_alone() -> None:
    points, record = np.ones((3, 2)), [0, 1]
    points.setflags(write=False)
    simulate(PLANE, SGD(lr=0.1), steps=1, replicas=3, init=points, rng=0, record=record)
    assert record == [0, 1]
    assert (points == 1).all()


def test_kinks_can_be_simulated() -> None:
    run = simulate(landscape("abs(w) + max(w, 0)", ["w"]), SGD(lr=0.25), steps=4, init=1.0, rng=0)
    assert run.w.values[0, :, 0].tolist() == [1.0, 0.5, 0.0, -0.125, 0.125]
    # the slope is 2 above, −1 below and, at the kink, in the middle: ½


# divergence


@pytest.fixture(scope="module")
def explosive() -> xr.Dataset:
    return simulate(EXPLOSIVE, SGD(lr=0.5), steps=30, replicas=200, init=Uniform(0, 4), rng=0)


def test_diverged_runs_are_counted(explosive: xr.Dataset) -> None:
    failed = explosive.diverged_at.values
    assert explosive.attrs["diverged"] == (failed >= 0).sum()
    assert explosive.attrs["diverged_fraction"] == (failed >= 0).mean()
    assert 0.2 < explosive.attrs["diverged_fraction"] < 0.8  # beyond about 2 they grow without end


def test_a_diverged_run_is_infinite_from_its_first_bad_step_on(explosive: xr.Dataset) -> None:
    for path, failed in zip(explosive.w.values[..., 0], explosive.diverged_at.values, strict=True):
        good = len(path) if failed < 0 else failed
        assert np.isfinite(path[:good]).all()
        assert np.isposinf(path[good:]).all()


def test_no_mean_misses_a_diverged_run(explosive: xr.Dataset) -> None:
    last = explosive.isel(step=-1)
    assert not np.isfinite(float(last.w.mean()))
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(float(last.w.var()))
    kept = last.w.where(last.diverged_at < 0, drop=True)
    assert np.isfinite(kept).all()
    assert kept.sizes["replica"] == 200 - explosive.attrs["diverged"]


@pytest.mark.parametrize("record", [[0], [30], [0, 1], [2, 29]])
def test_a_divergence_is_found_at_its_step_whatever_is_recorded(explosive: xr.Dataset, record: list[int]) -> None:
    run = simulate(EXPLOSIVE, SGD(lr=0.5), steps=30, replicas=200, init=Uniform(0, 4), rng=0, record=record)
    xr.testing.assert_equal(run.diverged_at, explosive.diverged_at)
    xr.testing.assert_equal(run.w, explosive.w.sel(step=record))
    assert run.attrs == explosive.attrs


def test_a_buffer_that_overflows_is_a_divergence_too() -> None:
    """From rest at 1 with gradient 1e308·w the buffer overflows at the second step."""
    steep = landscape("1e308*w**2/2", ["w"])
    run = simulate(steep, Momentum(lr=1.0, momentum=0.9), steps=3, init=1.0, record_memory=True, rng=0)
    assert run.diverged_at.values.tolist() == [2]
    assert np.isposinf(run.memory.values[0, 2:]).all()
    assert np.isfinite(run.memory.values[0, :2]).all()


def test_divergence_in_several_dimensions_does_not_upset_the_attributes() -> None:
    wild = landscape("(u**2 + v**2)**4", ["u", "v"], noise_std=0.1)
    run = simulate(wild, SGD(lr=0.1), steps=3, replicas=20, init=(Uniform(0, 9e40), Uniform(0, 2)), rng=0)
    assert run.attrs["diverged"] == 20
    assert np.isnan(run.attrs["lr_sharpness_end_max"])


def test_a_run_survives_a_file(explosive: xr.Dataset, tmp_path: pathlib.Path) -> None:
    explosive.to_netcdf(tmp_path / "run.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "run.nc", engine="scipy") as back:
        xr.testing.assert_equal(back, explosive)
        assert back.attrs == explosive.attrs


def test_memory_and_names_survive_a_file(tmp_path: pathlib.Path) -> None:
    run = simulate(
        landscape("β**2 + w1**2", ["β", "w1"]), Nesterov(lr=0.1, momentum=0.5), steps=2, init=1, record_memory=True
    )
    run.to_netcdf(tmp_path / "run.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "run.nc", engine="scipy") as back:
        xr.testing.assert_equal(back, run)
        assert back.attrs == run.attrs


# refusals

OPEN = Problem(sp.Symbol("a", real=True) * sp.Symbol("w", real=True) ** 2, ["w"])
BOUND = OPEN.bind(a=1)
SAMPLES = on_samples("one epoch")
MANY = Momentum(np.linspace(0.01, 0.1, 1000), np.linspace(0, 0.9, 1000))
GOOD: dict[str, Any] = {"steps": 2, "replicas": 2, "init": 1.0, "rng": 0}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": -1}, r"steps: got -1; allowed: a whole number from 0"),
        ({"steps": 2.0}, r"steps: got 2\.0; allowed: a whole number"),
        ({"steps": True}, r"steps: got True"),
        ({"steps": "2"}, r"steps: got '?2'?"),
        ({"steps": 2**32}, r"steps: got 4294967296"),
        ({"replicas": 0}, r"replicas: got 0; allowed: a whole number from 1"),
        ({"replicas": -3}, r"replicas: got -3"),
        ({"replicas": 1.5}, r"replicas: got 1\.5"),
        ({"replicas": False}, r"replicas: got False"),
        ({"replicas": 2**32}, r"replicas: got 4294967296"),
        ({"batch_size": 0}, r"batch_size: got 0"),
        ({"batch_size": -1}, r"batch_size: got -1"),
        ({"batch_size": 1.0}, r"batch_size: got 1\.0"),
        ({"batch_size": True}, r"batch_size: got True"),
        ({"block_size": 0}, r"block_size: got 0"),
        ({"block_size": 2.5}, r"block_size: got 2\.5"),
        ({"threads": 0}, r"threads: got 0; allowed: a whole number >= 1"),
        ({"threads": -2}, r"threads: got -2"),
        ({"threads": 1.5}, r"threads: got 1\.5"),
        ({"threads": True}, r"threads: got True"),
        ({"executor": 2}, r"executor: got 2"),
        ({"rng": -1}, r"rng: got -1; allowed: a whole number >= 0"),
        ({"rng": 1.0}, r"rng: got 1\.0"),
        ({"rng": True}, r"rng: got True"),
        ({"rng": "seed"}, r"rng: got '?seed'?"),
        ({"rng": np.random.RandomState(0)}, r"rng: got RandomState"),
        ({"record": 0}, r"record: got 0; allowed: a whole number from 1"),
        ({"record": -1}, r"record: got -1"),
        ({"record": True}, r"record: got True"),
        ({"record": 1.0}, r"record: got 1\.0"),
        ({"record": []}, r"record: got \[\]"),
        ({"record": [0, 3]}, r"record: got \[0, 3\]; allowed: .*increasing steps from 0 to 2"),
        ({"record": [-1, 0]}, r"record: got \[-1, 0\]"),
        ({"record": [1, 1]}, r"record: got \[1, 1\]"),
        ({"record": [2, 0]}, r"record: got \[2, 0\]"),
        ({"record": [0.0, 1.0]}, r"record: got \[0\.0, 1\.0\]"),
        ({"record": [[0, 1]]}, r"record: got \[\[0, 1\]\]"),
        ({"init": float("nan")}, r"init: got nan"),
        ({"init": float("inf")}, r"init: got oo"),
        ({"init": True}, r"init: got True"),
        ({"init": "1"}, r"init: got '?1'?"),
        ({"init": None}, r"init: got None"),
        ({"init": 10**400}, r"init: got 1329 bits"),
        ({"init": sp.I}, r"init: got I"),
        ({"init": sp.Symbol("a")}, r"init: got .*'a'"),
        ({"init": Normal(0, sp.Symbol("s", positive=True))}, r"init: got .*'s'"),
        ({"init": [1.0, 2.0]}, r"init: got 2 entries; allowed: 1: one a coordinate"),
        ({"init": []}, r"init: got 0 entries"),
        ({"init": [[1.0], [2.0]]}, r"init: got 2 entries"),
        ({"init": np.ones((3, 1))}, r"init: got shape \(3, 1\); allowed: shape \(2, 1\) = \(replicas, coordinates\)"),
        ({"init": np.ones((2, 2))}, r"init: got shape \(2, 2\)"),
        ({"init": np.ones((2, 1, 1))}, r"init"),
        ({"init": np.array([[1.0], [np.nan]])}, r"init: got an array with NaN or infinity"),
        ({"init": np.array([[1.0], [np.inf]])}, r"init: got an array with NaN or infinity"),
        ({"init": np.array([["a"], ["b"]])}, r"init: got an array of <U1"),
        ({"init": np.array([[1j], [1j]])}, r"init: got an array of complex128"),
        ({"parameters": {"b": 1}}, r"b: got 1; allowed: the parameters a"),
        ({"parameters": {"a": float("nan")}}, r"a: got nan"),
        ({"optimizer": SGD()}, r"lr: got eta; allowed: a number"),
        ({"optimizer": Momentum(lr=0.1)}, r"momentum: got mu"),
        ({"problem": OPEN}, r"problem: got parameters without a value: a; .*parameters={'a': 1.0}"),
        ({"problem": SAMPLES, "batch_size": 6}, r"batch_size: got 6; allowed: at most the 5 samples"),
        ({"problem": SAMPLES, "batch_size": 2, "steps": 3}, r"steps: got 3; allowed: at most 2 steps: one epoch"),
        ({"problem": on_samples("reshuffle"), "batch_size": 6}, r"batch_size: got 6"),
        (
            {"problem": on_samples("without replacement"), "batch_size": 6},
            r"batch_size: got 6; .*sample with replacement",
        ),
        ({"problem": on_samples("without replacement"), "batch_size": [2, 6]}, r"batch_size: got 6"),
        ({"optimizer": SGD(0.1 - 0.05 * t), "steps": 5}, r"lr: got -0\.05\d* at step 3; allowed: a schedule in"),
        ({"optimizer": SGD(1 / (t - 3) ** 2), "steps": 5}, r"lr: got inf at step 3; allowed: a schedule in"),
        ({"optimizer": SGD(sp.sqrt(3 - t)), "steps": 5}, r"lr: got nan at step 4; allowed: a schedule in"),
        ({"optimizer": Momentum(0.1, t / 4), "steps": 5}, r"momentum: got 1\.25 at step 5; allowed: a schedule in"),
        (
            {"optimizer": MANY, "keep": "moments"},
            r"sweep: got 1000 lr × 1000 momentum = 1000000 points; allowed: at most",
        ),
        ({"problem": on_samples("full batch"), "batch_size": 4}, r"batch_size: got 4; allowed: 5 or None"),
        ({"steps": 10**6, "replicas": 10**6}, r"replicas, record: got 1000000 replicas × 1000001 recorded steps"),
        ({"steps": 2**32 - 1, "replicas": 1}, r"replicas, record: got 1 replicas × 4294967296 recorded steps"),
        ({"replicas": 2**32 - 1, "record": [2]}, r"replicas, record: got 4294967295 replicas"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_meant_is_refused_before_any_work(
    changed: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sgdtheory.simulation import execution

    def work(*_: object) -> None:
        raise AssertionError("work has begun")

    monkeypatch.setattr(execution, "run_block", work)
    settings = {"problem": BOUND, "optimizer": SGD(lr=0.1), **GOOD, **changed}
    with pytest.raises(ArgumentError, match=message):
        simulate(**settings)


def test_unknown_arguments_are_refused_by_python() -> None:
    with pytest.raises(TypeError, match="stepz"):
        simulate(BOUND, SGD(lr=0.1), stepz=3, init=1.0)  # type: ignore[call-arg]


def test_an_error_in_a_worker_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    from sgdtheory.simulation import execution

    def fail(job: object, first: int, count: int) -> None:
        raise MemoryError(f"block at {first}")

    monkeypatch.setattr(execution, "run_block", fail)
    with pytest.raises(MemoryError, match="block at"):
        simulate(BOUND, SGD(lr=0.1), **GOOD)
