"""The kernel cache: named by content, shared between processes, never stale, and honest about where it can't write."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from sgdtheory import SGD, landscape
from sgdtheory.dynamics import make_dynamics
from sgdtheory.kernels.build import build, digest
from sgdtheory.kernels.emit import emit
from sgdtheory.kernels.library import ENTRIES, library_name, library_source
from sgdtheory.kernels.machine import name

SOURCE = emit(make_dynamics(landscape("w**4", ["w"]), SGD(lr=0.1)), (1,))  # no noise: the quickest to compile

REPORT = """
import json, pathlib, sys
import numpy as np
from sgdtheory import SGD, landscape
from sgdtheory.dynamics import make_dynamics
from sgdtheory.kernels.build import build, cache_folder, digest
from sgdtheory.kernels.emit import emit
source = emit(make_dynamics(landscape("w**4", ["w"]), SGD(lr=0.1)), (1,))
run = build(source).run
path, failed, none = np.empty((3, 2, 1)), np.empty(3, dtype=np.int64), np.zeros((0, 1))
no_schedule, no_events = (np.zeros((0, 2)), np.zeros(0, np.int64)), np.empty((3, 0), np.int64)
numbers = np.array([0.1]), np.array([0.5])
run(np.arange(4), 0, *numbers, none, none, 1, np.array([0, 1]), *no_schedule, path, failed, no_events)
print(json.dumps({
    "digest": digest(source), "folder": str(cache_folder()), "result": path.tolist(),
    "compiled": "numba.np.arraymath" in sys.modules,
    "files": sorted(p.name for p in cache_folder().iterdir()),
}))
"""


def start(script: str, **environment: str | None) -> subprocess.Popen[str]:
    merged = {**os.environ, **environment}
    kept = {name: value for name, value in merged.items() if value is not None}
    return subprocess.Popen(
        [sys.executable, "-c", script], env=kept, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def report(process: subprocess.Popen[str]) -> dict[str, object]:
    import json

    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    result: dict[str, object] = json.loads(out)
    return result


def test_a_second_process_compiles_nothing_whatever_its_hash_seed(tmp_path: pathlib.Path) -> None:
    """Two processes fill one empty cache at the same time; a third finds it full."""
    cold = [start(REPORT, SGDTHEORY_CACHE_DIR=str(tmp_path), PYTHONHASHSEED=seed) for seed in ("0", "1")]
    reports = [report(process) for process in cold]
    warm = report(start(REPORT, SGDTHEORY_CACHE_DIR=str(tmp_path), PYTHONHASHSEED="12345"))
    assert not warm["compiled"]
    assert {r["digest"] for r in (*reports, warm)} == {digest(SOURCE)}
    assert reports[0]["result"] == reports[1]["result"] == warm["result"]
    assert any(r["compiled"] for r in reports)
    files = [name for name in warm["files"] if name != "__pycache__"]  # type: ignore[union-attr, attr-defined]
    kernel, library = f"kernel_{digest(SOURCE)}", library_name().removeprefix("sgdtheory_")
    assert files == [f"{kernel}.{name()}.code", f"{kernel}.py", f"{library}.py"]  # and nothing temporary left behind


def test_where_nothing_can_be_written_a_temporary_folder_serves(tmp_path: pathlib.Path) -> None:
    wall = tmp_path / "file"
    wall.write_text("not a folder")
    homeless = {"HOME": str(wall), "XDG_CACHE_HOME": str(wall / "cache"), "LOCALAPPDATA": str(wall / "cache")}
    result = report(start(REPORT, SGDTHEORY_CACHE_DIR=None, TMPDIR=str(tmp_path), **homeless))
    folder = pathlib.Path(str(result["folder"]))
    assert folder.parent == tmp_path
    assert result["compiled"]
    assert not folder.exists()  # removed at exit


def test_a_chosen_folder_that_cannot_be_written_is_an_error(tmp_path: pathlib.Path) -> None:
    wall = tmp_path / "file"
    wall.write_text("not a folder")
    process = start(REPORT, SGDTHEORY_CACHE_DIR=str(wall / "inside"))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "ArgumentError: SGDTHEORY_CACHE_DIR: got" in err
    assert "a folder that can be written" in err
    assert wall.read_text() == "not a folder"


@pytest.fixture
def own_folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An empty cache of this test's own, in a process that has loaded nothing yet."""
    from sgdtheory.kernels import build as module

    monkeypatch.setattr(module, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(module, "_LOADED", {})
    return tmp_path


PLAIN = emit(make_dynamics(landscape("w**4", ["w"]), SGD(lr=0.1)), (1,), "python")


def test_a_kernel_is_loaded_once(own_folder: pathlib.Path) -> None:
    assert build(PLAIN) is build(PLAIN)
    assert [p.name for p in own_folder.glob("*.py")] == [f"kernel_{digest(PLAIN)}.py"]


def test_an_edited_file_is_put_right(own_folder: pathlib.Path) -> None:
    path = own_folder / f"kernel_{digest(PLAIN)}.py"
    path.write_text("raise RuntimeError('somebody was here')")
    assert hasattr(build(PLAIN), "run")
    assert path.read_text(encoding="utf-8") == PLAIN


def test_the_name_depends_on_every_letter() -> None:
    assert digest(PLAIN) == digest(str(PLAIN))
    assert len({digest(PLAIN), digest(PLAIN + " "), digest(PLAIN.replace("4.0", "5.0", 1))}) == 3


def test_a_kernel_that_cannot_be_loaded_is_not_kept(own_folder: pathlib.Path) -> None:
    broken = "raise RuntimeError('no kernel')\n"
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no kernel"):
            build(broken)


def test_the_library_is_named_by_its_text_and_a_kernel_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from sgdtheory.kernels import library

    assert f"from {library_name()} import" in SOURCE
    assert library_name() not in PLAIN
    other = library_source() + "\n"
    monkeypatch.setattr(library, "library_source", lambda: other)
    library.library_name.cache_clear()
    changed = library.library_name()
    library.library_name.cache_clear()
    monkeypatch.undo()
    assert changed != library_name()


def test_the_library_is_what_the_plain_twin_runs() -> None:
    """The same functions, and nothing in the text that is not theirs: no docstrings, no annotations."""
    text = library_source()
    compile(text, "library", "exec", dont_inherit=True)
    for entry in ENTRIES:
        assert f"@cached\ndef {entry}(" in text
    assert "->" not in text
    assert ": float" not in text


def test_a_second_kernel_compiles_no_library(tmp_path: pathlib.Path) -> None:
    folder = {"SGDTHEORY_CACHE_DIR": str(tmp_path)}
    script = """
import json
from sgdtheory import SGD, landscape, simulate
for text in ("w**4", "w**6 + w"):
    simulate(landscape(text, ["w"], noise_std=1), SGD(lr=0.01), steps=2, init=0, rng=0, shortcut=False)
import sys
(library,) = [m for name, m in sys.modules.items() if name.startswith("sgdtheory_library_")]
stats = library.fill_normals.stats
print(json.dumps([sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""
    first = report(start(script, **folder))
    assert first == [0, 1]
    for file in tmp_path.rglob("kernel_*"):
        file.unlink()
    assert report(start(script, **folder)) == [1, 0]


def test_threads_that_ask_at_once_get_one_module(own_folder: pathlib.Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        modules = list(pool.map(lambda _: build(PLAIN), range(32)))
    assert all(module is modules[0] for module in modules)


def test_the_chosen_folder_is_absolute(tmp_path: pathlib.Path) -> None:
    """A relative choice is fixed where the process began, so that a change of directory loses nothing."""
    script = (
        "import os, pathlib\nfrom sgdtheory.kernels.build import cache_folder\nbefore = cache_folder()\n"
        "os.chdir('/')\nassert before.is_absolute() and before.is_dir() and before == cache_folder()\nprint(before)"
    )
    process = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "SGDTHEORY_CACHE_DIR": "kernels here"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.strip() == str(tmp_path / "kernels here")
