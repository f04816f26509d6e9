"""What is kept of a run: chosen steps, observables, events, and moments that are those of the paths nobody stored."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from ensembles import a, plain, w, watched
from numpy.typing import NDArray
from plain_twin import assert_same_numbers, simulate_plainly

from sgdtheory import SGD, ArgumentError, Normal, Optimizer, Uniform, landscape
from sgdtheory.simulation import arguments, blocks, execution
from sgdtheory.simulation.ensemble import log_steps
from sgdtheory.simulation.summaries import GROUP, Reduction, Total, summarise

Array = NDArray[np.float64]
WILD = SGD(0.9)
"""A learning rate at which some runs diverge and some do not."""

# steps


@pytest.mark.parametrize(
    ("steps", "per_decade", "expected"),
    [
        (1, 10, [0, 1]),
        (2, 1, [0, 1, 2]),
        (3, 1, [0, 1, 3]),
        (5, 1, [0, 1, 5]),
        (1000, 1, [0, 1, 10, 100, 1000]),
        (100, 2, [0, 1, 3, 10, 32, 100]),
    ],
)
def test_logarithmic_steps(steps: int, per_decade: int, expected: list[int]) -> None:
    assert log_steps(steps, per_decade) == expected


@pytest.mark.parametrize("steps", [1, 2, 7, 99, 1000, 12_345, 10**9])
@pytest.mark.parametrize("per_decade", [1, 3, 10, 100])
def test_logarithmic_steps_begin_at_0_and_end_at_the_last(steps: int, per_decade: int) -> None:
    chosen = log_steps(steps, per_decade)
    assert chosen[:2] == [0, 1]
    assert chosen[-1] == steps
    assert all(np.diff(chosen) > 0)
    assert len(chosen) <= 3 + per_decade * np.log10(steps)


@pytest.mark.parametrize("arguments", [(0, 10), (10, 0), (2.5, 10), ("10", 10), (10, None), (True, 3)])
def test_bad_logarithmic_steps(arguments: tuple[Any, Any]) -> None:
    with pytest.raises(ArgumentError, match=r"^(steps|per_decade): got .*; allowed: a whole number"):
        log_steps(*arguments)


@pytest.mark.parametrize("record", [5, 12, 100, [0], [12], [3, 4, 9], log_steps(12, 3), np.array([0, 12])], ids=str)
def test_recorded_steps_are_those_of_the_whole_path(record: Any) -> None:
    full, part = watched(WILD), watched(WILD, record=record)
    chosen = part.step.values
    if isinstance(record, int):
        assert chosen.tolist() == sorted({*range(0, 13, record), 12})
    else:
        assert chosen.tolist() == list(record)
    for name in ("w", "loss"):
        assert part[name].values.tobytes() == full[name].sel(step=chosen).values.tobytes()
    for name in ("crossed", "diverged_at"):  # looked for at every step, whatever is recorded
        assert part[name].values.tobytes() == full[name].values.tobytes()
    assert part.attrs["lr_sharpness_end_max"] == full.attrs["lr_sharpness_end_max"]


# observables and events


@pytest.mark.parametrize("height", [0.5, 2.0])
def test_an_observable_sees_state_and_parameters(height: float) -> None:
    run = watched(parameters={"a": height})
    np.testing.assert_allclose(run.loss, height * (run.w.values[..., 0] ** 2 - 1) ** 2 / 4, rtol=1e-15)


@pytest.mark.parametrize(("optimizer", "seen"), [(WILD, {0, 1, 2, 3}), (SGD(0.1), {-1, 0, 1, 2})], ids=repr)
def test_an_event_is_its_first_step_exactly(optimizer: Optimizer, seen: set[int]) -> None:
    run = watched(optimizer, replicas=300)
    holds = run.w.values[..., 0] > 0.25
    alive = np.isfinite(run.w.values[..., 0])
    first = np.where((holds & alive).any(axis=1), (holds & alive).argmax(axis=1), -1)
    assert run.crossed.values.tolist() == first.tolist()
    assert seen <= set(first.tolist())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observables": {"o": "w**2"}}, "observables: got w"),
        ({"observables": {"o": w > 0}}, "observables: got w > 0"),
        ({"observables": [w]}, "observables: got [w]; allowed: a mapping"),
        ({"observables": {"o": w + Normal(0, 1).mean}, "events": {"e": w}}, "events: got w; allowed: a relation"),
        ({"events": {"e": True}}, "events: got True"),
        ({"events": {"e": "w > 0"}}, "events: got w > 0; allowed: a sympy expression"),
        ({"events": w > 0}, "events: got w > 0; allowed: a mapping"),
    ],
)
def test_bad_observables_and_events(changes: dict[str, Any], message: str) -> None:
    if isinstance(changes.get("observables"), dict) and "events" in changes:
        changes = {"events": changes["events"]}
    with pytest.raises(ArgumentError) as caught:
        plain(**changes)
    assert str(caught.value).startswith(message)


def test_an_example_is_nothing_to_look_at_between_steps() -> None:
    """Neither by an observable nor by an event: the batch is gone."""
    problem = landscape(w**2, [w], noise_std=1)
    (datum,) = problem.data.symbols
    for name, expression in (("observables", datum * w), ("events", datum > w)):
        with pytest.raises(ArgumentError, match=rf"^{name}: got unknown symbol 'xi_w'; allowed: the symbols "):
            simulate_plainly(problem, SGD(0.1), steps=1, init=0, **{name: {"seen": expression}})


# moments

EDGES = {"w": [-1.5, -0.5, 0.0, 0.5, 1.0], "loss": np.linspace(0, 1, 6)}
MOMENTS: dict[str, Any] = {"keep": "moments", "histogram": EDGES, "replicas": 3 * GROUP + 100}


@pytest.fixture(scope="module")
def paths() -> xr.Dataset:
    return watched(WILD, replicas=MOMENTS["replicas"])


@pytest.fixture(scope="module")
def moments() -> xr.Dataset:
    return watched(WILD, **MOMENTS)


def test_moments_are_those_of_the_paths(paths: xr.Dataset, moments: xr.Dataset) -> None:
    """Of the runs that have not diverged by then, which are counted."""
    assert moments.quantity.values.tolist() == ["w", "loss"]
    for quantity, values in (("w", paths.w.values[..., 0]), ("loss", paths.loss.values)):
        found = moments.sel(quantity=quantity)
        alive = np.isfinite(values)
        assert found.finite.values.tolist() == alive.sum(axis=0).tolist()
        assert 0 < alive[:, -1].sum() < len(values)
        for step in range(13):
            known = values[alive[:, step], step]
            scale = np.abs(known).max()
            np.testing.assert_allclose(found["mean"][step] / scale, known.mean() / scale, rtol=0, atol=1e-14)
            if scale < 1e150:  # squares of more overflow
                np.testing.assert_allclose(found.variance[step], known.var(ddof=1), rtol=1e-11)
    lost = moments.finite.sel(quantity="w") > moments.finite.sel(quantity="loss")
    assert bool(lost.any())  # far out w⁴ overflows before w does, and takes nothing else with it
    for name in ("crossed", "diverged_at"):
        assert moments[name].values.tobytes() == paths[name].values.tobytes()
    for name in ("diverged", "diverged_fraction", "lr_sharpness_end_median", "stability_limit"):
        assert moments.attrs[name] == paths.attrs[name]
    assert moments.attrs["diverged"] == int((paths.diverged_at >= 0).sum()) > 0


def test_histograms_count_the_paths(paths: xr.Dataset, moments: xr.Dataset) -> None:
    """Bins hold their left edge; the first is what lies below all edges, the last what lies on or above them."""
    for name, values in (("w", paths.w.values[..., 0]), ("loss", paths.loss.values)):
        alive = np.isfinite(values)
        edges = np.array(EDGES[name])
        bins = moments[f"histogram_{name}"]
        assert bins.dims == ("step", f"bin_{name}")
        assert bins[f"bin_{name}"].values.tolist() == [-np.inf, *edges]
        for step in range(13):
            known = values[alive[:, step], step]
            low, high = [-np.inf, *edges], [*edges, np.inf]
            counted = [int(((known >= a) & (known < b)).sum()) for a, b in zip(low, high, strict=True)]
            assert bins.values[step].tolist() == counted
        assert (bins.sum(f"bin_{name}") == moments.finite.sel(quantity=name)).all()
    assert moments.histogram_w.values[:, 0].max() > 0
    assert moments.histogram_w.values[:, -1].max() > 0


@pytest.mark.parametrize(
    "cut", [{"block_size": 1}, {"block_size": 1500}, {"block_size": 10_000}, {"threads": 1}, {"threads": 3}], ids=str
)
def test_moments_do_not_depend_on_the_cutting(moments: xr.Dataset, cut: dict[str, int]) -> None:
    assert_same_numbers(watched(WILD, **MOMENTS, **cut), moments)


def test_moments_at_some_steps_are_those_at_all(moments: xr.Dataset) -> None:
    some = watched(WILD, **MOMENTS, record=[2, 7])
    for name in ("finite", "mean", "variance", "histogram_w"):
        assert some[name].values.tobytes() == moments[name].sel(step=[2, 7]).values.tobytes()


def test_moments_do_not_depend_on_what_else_is_recorded(moments: xr.Dataset) -> None:
    alone = plain(WILD, keep="moments", replicas=MOMENTS["replicas"])
    for name in ("finite", "mean", "variance"):
        assert alone[name].sel(quantity="w").values.tobytes() == moments[name].sel(quantity="w").values.tobytes()


def test_moments_of_a_sweep_are_those_of_its_points(moments: xr.Dataset) -> None:
    sweep = watched(SGD([0.1, 0.9]), **MOMENTS)
    assert sweep["mean"].dims == ("lr", "step", "quantity")
    assert sweep.histogram_w.dims == ("lr", "step", "bin_w")
    for name in moments.data_vars:
        assert sweep[name].sel(lr=0.9).values.tobytes() == moments[name].values.tobytes()
    assert sweep.diverged.values.tolist() == [0, moments.attrs["diverged"]]


def test_one_run_has_no_variance_and_none_no_mean() -> None:
    one = plain(keep="moments", replicas=1)
    assert np.isnan(one.variance).all()
    assert np.isfinite(one["mean"]).all()
    far = plain(WILD, keep="moments", init=Uniform(50, 60))
    assert int(far.finite[-1, 0]) == 0
    assert np.isnan(far["mean"][-1, 0])
    assert np.isnan(far.variance[-1, 0])
    assert far.attrs["diverged_fraction"] == 1


def merged(path: Array, cuts: list[int], order: Callable[[list[int]], list[int]], edges: list[float]) -> Any:
    reduction = Reduction(((0, tuple(edges)),))
    total = Total(path.shape[1], path.shape[2], reduction)
    bounds = list(zip([0, *cuts], [*cuts, len(path)], strict=True))
    for i in order(list(range(len(bounds)))):
        first, last = bounds[i]
        total.add(first, last - first, summarise(path[first:last], reduction))
    return (*total.moments(), total.bins[0])


def test_merging_is_accurate_far_from_zero_and_in_any_order() -> None:
    """A mean 10⁸ standard deviations from 0: sums of squares would lose every digit."""
    path = 1e8 + np.random.default_rng(0).normal(size=(5 * GROUP + 10, 3, 2))
    path[::7, 1:] = np.inf
    edges = [1e8 - 1, 1e8, 1e8 + 1]
    whole = merged(path, [], list, edges)
    for cuts in ([GROUP], [GROUP, 2 * GROUP, 5 * GROUP], [3 * GROUP]):
        for order in (list, lambda these: these[::-1]):
            for one, other in zip(whole, merged(path, cuts, order, edges), strict=True):
                assert one.tobytes() == other.tobytes()
    for step in range(3):
        known = path[np.isfinite(path[:, step, 0]), step]
        np.testing.assert_allclose(whole[1][step] - 1e8, known.mean(axis=0) - 1e8, rtol=0, atol=1e-6)
        # a mean of 10⁸ is known to 10⁻⁸; sums of squares would be wrong by 1
        np.testing.assert_allclose(whole[2][step], known.var(axis=0, ddof=1), rtol=1e-7)
        assert whole[0][step].tolist() == [len(known)] * 2


def test_a_bin_holds_its_left_edge() -> None:
    values = np.array([-1.0, 0.0, 0.5, 1.0, 1.0, 2.0, 9.0, np.inf, np.nan])[:, None, None]
    assert merged(values, [], list, [0.0, 1.0, 2.0])[3].tolist() == [[1, 2, 2, 2]]


def peak(**settings: Any) -> int:
    """Bytes allocated at once."""
    tracemalloc.start()
    try:
        plain(steps=40, threads=2, **settings)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_of_moments_does_not_grow_with_the_ensemble(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for where a replica diverged, one number each; its path would be 41."""
    monkeypatch.setattr(blocks, "_LARGEST_PATH", GROUP * 41 * 8)
    plain(keep="moments")  # whatever is loaded once
    few, many = 10 * GROUP, 150 * GROUP
    small, large = peak(keep="moments", replicas=few), peak(keep="moments", replicas=many)
    assert large - small < 3 * 8 * (many - few)
    assert peak(replicas=many) > 41 * 8 * many  # stored paths are seen by the same measurement


def test_a_block_is_cut_to_what_its_path_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    run = execution.run_block
    monkeypatch.setattr(execution, "run_block", lambda job, first, count: seen.append(count) or run(job, first, count))
    monkeypatch.setattr(blocks, "_LARGEST_PATH", 100 * 13 * 8)
    plain(replicas=1000, threads=1)
    assert max(seen) == 100
    assert sum(seen) == 1000


def test_moments_whose_groups_do_not_fit_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^replicas, record: got 1024 replicas × 1000001 recorded steps"):
        plain(keep="moments", replicas=10**6, steps=10**6)
    with pytest.raises(ArgumentError, match=r"^replicas: got 4000000000 replicas × 1 facts a run"):
        plain(keep="moments", replicas=4 * 10**9, record=[0])
    assert arguments.OWN_NAMES  # the limit itself is tested with the sweeps


# refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep": "everything"}, "keep: got everything; allowed: paths | moments"),
        ({"keep": None}, "keep: got None"),
        ({"keep": ["paths"]}, "keep: got ['paths']"),
        ({"histogram": {"w": [0, 1]}}, "histogram: got {'w': [0, 1]}; allowed: nothing with keep='paths'"),
        ({"keep": "moments", "record_memory": True}, "record_memory: got True; allowed: False"),
        ({"keep": "moments", "histogram": {"loss": [0, 1]}}, "histogram: got ['loss']; allowed: among w"),
        ({"keep": "moments", "histogram": ["w"]}, "histogram: got ['w']; allowed: a mapping"),
        ({"keep": "moments", "histogram": {"w": [0]}}, "w: got [0]; allowed: two or more"),
        ({"keep": "moments", "histogram": {"w": 5}}, "w: got 5; allowed: two or more"),
        ({"keep": "moments", "histogram": {"w": [1, 0]}}, "w: got [1, 0]; allowed: two or more"),
        ({"keep": "moments", "histogram": {"w": [0, np.nan]}}, "w: got [0, nan]; allowed: two or more"),
        ({"keep": "moments", "histogram": {"w": [0, np.inf]}}, "w: got [0, inf]; allowed: two or more"),
        ({"keep": "moments", "histogram": {"w": ["a", "b"]}}, "w: got ['a', 'b']; allowed: two or more"),
        ({"keep": "moments", "histogram": {"w": [[0], [1, 2]]}}, "w: got [[0], [1, 2]]; allowed: two or more"),
        ({"record": []}, "record: got []"),
        ({"record": [0.5]}, "record: got [0.5]"),
        ({"record": [3, 2]}, "record: got [3, 2]"),
        ({"record": [1, 1]}, "record: got [1, 1]"),
        ({"record": [13]}, "record: got [13]"),
        ({"record": 0}, "record: got 0"),
    ],
)
def test_bad_arguments_are_named_before_any_work(
    changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_work(*_: object, **__: object) -> None:
        raise AssertionError("work was started")

    monkeypatch.setattr("sgdtheory.simulation.ensemble.run_blocks", no_work)
    with pytest.raises(ArgumentError) as caught:
        plain(**changes)
    assert str(caught.value).startswith(message)


# files


@pytest.mark.parametrize("keep", ["paths", "moments"])
def test_results_survive_a_round_trip_to_a_file(tmp_path: Path, keep: str) -> None:
    histogram = EDGES if keep == "moments" else None
    run = watched(SGD([0.1, 0.9]), batch_size=[1, 2], parameters={"a": [0.5, 1.0]}, keep=keep, histogram=histogram)
    run.to_netcdf(tmp_path / "run.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "run.nc", engine="scipy") as loaded:
        xr.testing.assert_identical(loaded.load(), run)
    single = plain(keep="moments")
    single.to_netcdf(tmp_path / "single.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "single.nc", engine="scipy") as loaded:
        xr.testing.assert_identical(loaded.load(), single)
    assert a.name in run.coords
