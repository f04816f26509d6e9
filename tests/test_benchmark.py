"""The benchmark: what it compares agrees, who does not is named, who is absent is skipped; never how long it takes."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from host_shim import host_run

from sgdtheory.kernels import device, random

KEYS = {"work", "who", "dtype", "threads", "ns_per_step", "speedup_of_ours", "seconds"}
SCRIPTS = str(Path(__file__).parents[1] / "scripts")


@pytest.fixture(scope="module")
def benchmark() -> Iterator[ModuleType]:
    """Import the script as its own folder sees it."""
    sys.path.insert(0, SCRIPTS)
    try:
        yield importlib.import_module("benchmark")
    finally:
        sys.path.remove(SCRIPTS)


@pytest.fixture
def task(benchmark: ModuleType) -> ModuleType:
    return importlib.import_module("benchmark_peers.task")


@pytest.fixture
def few_peers(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take numpy and C alone: what else is installed here must not decide."""
    monkeypatch.setattr(benchmark, "PEERS", {name: benchmark.PEERS[name] for name in ("numpy", "C")})


def competitor(task: ModuleType, who: str, shift: float = 0.0, factor: float = 1.0, **given: Any) -> Any:
    """Return somebody whose ends are normal numbers of this mean and standard deviation."""

    def run(seed: int, replicas: int) -> np.ndarray:
        return shift + factor * np.random.default_rng(seed).standard_normal((replicas, 2))

    return task.Competitor(who, task.precision("float64"), run, **({"steps": 1, "replicas": 10_000} | given))


@pytest.mark.usefixtures("few_peers")
def test_quick_run_writes_rows_a_table_and_a_picture(
    benchmark: ModuleType, task: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {kind: tmp_path / f"out.{end}" for kind, end in (("json", "json"), ("markdown", "md"), ("figure", "png"))}
    written = [text for kind, path in files.items() for text in (f"--{kind}", str(path))]
    assert benchmark.main(["--quick", "--only", "examples", "langevin", *written]) == 0
    rows = json.loads(files["json"].read_text())
    assert {row["work"] for row in rows} - {"default"} == {"examples", "langevin"}
    for row in rows:
        assert set(row) == KEYS
        assert row["ns_per_step"] > 0
        assert row["speedup_of_ours"] > 0
        assert row["threads"] == 1
        assert row["dtype"] in {task.precision(*p) for p in (("float64",), ("float32",), ("float64", "float32"))}
    for work in ("examples", "langevin"):
        names = [row["who"] for row in rows if row["work"] == work]
        assert names[0] == "sgdtheory"
        assert "numpy" in names
    assert all(row["speedup_of_ours"] == 1 for row in rows if row["who"].startswith("sgdtheory, default"))
    printed = capsys.readouterr().out
    assert "DISAGREES" not in printed
    assert printed.index("agrees: numpy") < printed.index(" ns ×")  # checked before anything is timed
    table = files["markdown"].read_text().splitlines()
    assert len([line for line in table if line.startswith("| ")]) == len(rows) + 1
    assert files["figure"].stat().st_size > 10_000


def test_fresh_processes_are_timed_above_the_imports(benchmark: ModuleType, tmp_path: Path) -> None:
    assert benchmark.main(["--quick", "--only", "compile", "--json", str(tmp_path / "rows.json")]) == 0
    rows = json.loads((tmp_path / "rows.json").read_text())
    cold, warm = (row["seconds"] for row in rows)
    assert [row["who"] for row in rows] == [
        "sgdtheory, parameters: 1, empty cache",
        "sgdtheory, parameters: 1, warm cache",
    ]
    assert all(set(row) == KEYS and row["ns_per_step"] is None for row in rows)
    assert cold > warm > 0  # one of them compiled


def test_works_of_our_own_give_the_same_ends(benchmark: ModuleType, task: ModuleType) -> None:
    ours = importlib.import_module("benchmark_peers.ours")
    for work in (ours.recording, ours.threads):
        first, *others = work(task.QUICK)
        reference = benchmark.moments(first.run(3, 1500))
        for other in others:
            found = benchmark.moments(other.run(3, 1500))
            np.testing.assert_allclose(found.mean, reference.mean, rtol=1e-12)  # the same runs, summed otherwise
            np.testing.assert_allclose(found.variance, reference.variance, rtol=1e-9)
            assert found.count == reference.count == 1500


@pytest.mark.parametrize(
    ("planted", "fine"),
    [({}, True), ({"shift": 0.1}, False), ({"factor": 1.1}, False), ({"factor": float("nan")}, False)],
)
def test_a_planted_disagreement_is_named_and_not_timed(
    benchmark: ModuleType, task: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, planted: dict[str, float], fine: bool,
) -> None:  # fmt: skip
    work = benchmark.Work("a work", lambda size: [competitor(task, "sgdtheory")], peers=True)
    monkeypatch.setitem(benchmark.WORKS, "examples", work)
    monkeypatch.setattr(benchmark, "peers", lambda work, size, device: [competitor(task, "peer", **planted)])
    status = benchmark.main(["--quick", "--only", "examples", "--json", str(tmp_path / "rows.json")])
    names = [row["who"] for row in json.loads((tmp_path / "rows.json").read_text())]
    assert status == (0 if fine else 1)
    assert names == (["sgdtheory", "peer"] if fine else ["sgdtheory"])
    assert ("DISAGREES: peer" in capsys.readouterr().out) is not fine


def test_distances_are_standard_normal_where_the_law_is_the_same(benchmark: ModuleType, task: ModuleType) -> None:
    one, other = competitor(task, "one"), competitor(task, "other")
    kurtosis = np.full(2, 3.0)
    found = [
        benchmark.distance(
            benchmark.moments(one.run(2 * i, 400)), kurtosis, benchmark.moments(other.run(2 * i + 1, 600))
        )
        for i in range(500)
    ]
    # the largest of four |z|: its median is where Φ(z)·2 − 1 = ½^(1/4), 1.41; the middle half of 500 lies within ±0.1
    assert np.median(found) == pytest.approx(1.41, abs=0.15)
    assert max(found) < benchmark.SIGMAS


def test_an_absent_peer_is_skipped_by_name(
    benchmark: ModuleType, task: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "installed", lambda name: name == "numpy")
    names = {c.who for c in benchmark.peers("langevin", task.QUICK)}
    printed = capsys.readouterr().out
    assert names == {"numpy"}
    for name in ("torch", "jax", "diffrax", "torchsde", "C"):
        assert f"skipped: {name} is not there" in printed


def test_no_compiler_means_no_c(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert not benchmark.installed("C")


def test_rounds_are_interleaved_and_ratios_are_taken_within_them(benchmark: ModuleType, task: ModuleType) -> None:
    order: list[str] = []

    def somebody(who: str) -> Any:
        def run(seed: int, replicas: int) -> np.ndarray:
            order.append(who)
            return np.zeros((replicas, 1))

        return task.Competitor(who, task.precision("float64"), run, 1, 1)

    benchmark.time_rounds([somebody("a"), somebody("b")], [1, 1], rounds=3)
    assert order == ["a", "b"] * 3
    ours, peer = (benchmark.Timed(somebody(who), *times) for who, times in (
        ("ours", ([1.0, 10.0, 100.0], [1.0] * 3)), ("peer", ([5.0, 20.0, 600.0], [2.0] * 3)),
    ))  # fmt: skip
    rows = benchmark.make_rows("work", [ours], [peer])
    assert [(row.who, row.ns_per_step, row.speedup_of_ours) for row in rows] == [("ours", 10, 1), ("peer", 20, 5)]


def test_a_peer_is_compared_with_ours_of_its_precision(benchmark: ModuleType, task: ModuleType) -> None:
    def timed(who: str, noise: str, nanoseconds: float) -> Any:
        somebody = task.Competitor(who, task.precision("float64", noise), lambda seed, replicas: np.zeros((1, 1)), 1, 1)
        return benchmark.Timed(somebody, [nanoseconds], [1.0])

    own = [timed("ours", "float64", 2.0), timed("ours", "float32", 1.0)]
    others = [timed("p", "float64", 8.0), timed("q", "float32", 8.0), timed("r", "bfloat16", 8.0)]
    assert [row.speedup_of_ours for row in benchmark.make_rows("work", own, others)] == [1, 0.5, 4, 8, 4]


def test_c_draws_the_same_random_numbers(benchmark: ModuleType) -> None:
    c_peer = importlib.import_module("benchmark_peers.c_peer")
    if c_peer.compiler() is None:
        pytest.skip("no C compiler")
    assert c_peer.threefry([0] * 4, [0] * 4) == [0x9C6CA96A, 0xE17EAE66, 0xFC10ECD4, 0x5256A7D8]
    for seed in range(20):
        key, address = np.random.default_rng(seed).integers(2**32, size=(2, 4)).tolist()
        assert tuple(c_peer.threefry(key, address)) == random.threefry(tuple(key), *address)
        word, *state = random.advance(*key)
        assert c_peer.advance(key) == (word, state)


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--unknown"], ["--json"]])
def test_bad_arguments_are_refused(benchmark: ModuleType, arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        benchmark.main(arguments)


@pytest.mark.parametrize("peer", ["torch", "jax", "diffrax", "torchsde"])
def test_optional_peers_do_the_same_work(benchmark: ModuleType, task: ModuleType, peer: str) -> None:
    pytest.importorskip(peer)
    ours = importlib.import_module("benchmark_peers.ours")
    found = importlib.import_module(f"benchmark_peers.{benchmark.PEERS[peer]}").competitors("langevin", task.QUICK)
    everybody = [*ours.langevin(task.QUICK), *found]
    assert benchmark.agree(everybody, [c.replicas for c in everybody]) == everybody


def test_on_a_card_we_compare_with_those_who_can_be_there(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The card's rows are ours and the peers'; here the host stands in for it."""
    monkeypatch.setattr(device, "available", lambda: None)
    monkeypatch.setattr(device, "largest_block", lambda row_bytes: 4096)
    monkeypatch.setattr(device, "build", lambda source: device.Kernel(host_run(source)))
    monkeypatch.setattr(benchmark, "ON_A_CARD", ())
    rows = tmp_path / "rows.json"
    assert benchmark.main(["--device", "gpu", "--quick", "--only", "langevin", "--json", str(rows)]) == 0
    who = [row["who"] for row in json.loads(rows.read_text())]
    assert who == ["sgdtheory, gpu"] * 2 + ["sgdtheory"] * 2
    assert capsys.readouterr().out.count("agrees") == 3


def test_without_a_card_it_is_said_before_anything_runs(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    device.available.cache_clear()
    with pytest.raises(SystemExit):
        benchmark.main(["--device", "gpu"])
    assert "CuPy is not installed" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        benchmark.main(["--device", "gpu", "--only", "start"])
    assert "no peers on a card for start" in capsys.readouterr().err
    device.available.cache_clear()
