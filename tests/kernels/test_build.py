"""The cache: named by content, warm in a new process, safe for two at once, clear where it cannot be written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sgdtheory.kernels import build as cache
from sgdtheory.kernels.build import build, digest

RUN = """
import json, sys
import sgdtheory as sgd
from sgdtheory.kernels import build
run = sgd.simulate(sgd.scalar_mean(1.0), sgd.SGD(lr=0.1), steps=3, replicas=4, init=1.0, rng=0)
(module,) = build._LOADED.values()
stats = module.run.stats
print(json.dumps({"kernel": run.attrs["kernel"], "end": run.w.values[:, -1, 0].tolist(),
                  "hits": sum(stats.cache_hits.values()), "misses": sum(stats.cache_misses.values())}))
"""


def fresh_process(folder: Path, **environment: str) -> dict[str, object]:
    settings = os.environ | {"SGDTHEORY_CACHE_DIR": str(folder)} | environment
    done = subprocess.run([sys.executable, "-c", RUN], env=settings, capture_output=True, text=True, check=True)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_a_new_process_with_a_warm_cache_compiles_nothing(tmp_path: Path) -> None:
    cold = fresh_process(tmp_path, PYTHONHASHSEED="1")
    warm = fresh_process(tmp_path, PYTHONHASHSEED="2")
    assert (cold["hits"], cold["misses"]) == (0, 1)
    assert (warm["hits"], warm["misses"]) == (1, 0)
    assert (cold["kernel"], cold["end"]) == (warm["kernel"], warm["end"])
    assert len(list(tmp_path.glob("kernel_*.py"))) == 1


def test_two_processes_may_build_the_same_kernel_at_once(tmp_path: Path) -> None:
    settings = os.environ | {"SGDTHEORY_CACHE_DIR": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-c", RUN], env=settings, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    answers = [json.loads(process.communicate()[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0]["end"] == answers[1]["end"]
    assert not list(tmp_path.glob("*.tmp"))


def test_the_name_follows_the_content() -> None:
    assert digest("x = 1") != digest("x = 2")
    assert digest("x = 1") == digest("x = 1")
    assert build("run = 1").run == 1
    assert build("run = 1") is build("run = 1")
    assert build("run = 2").run == 2


def test_a_chosen_folder_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.setenv("SGDTHEORY_CACHE_DIR", str(file / "kernels"))
    cache.cache_folder.cache_clear()
    with pytest.raises(ValueError, match=r"SGDTHEORY_CACHE_DIR: got .*allowed: a folder that can be written"):
        cache.cache_folder()
    cache.cache_folder.cache_clear()


def test_without_a_home_a_temporary_folder_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.delenv("SGDTHEORY_CACHE_DIR")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(file))
    cache.cache_folder.cache_clear()
    folder = cache.cache_folder()
    assert folder.is_dir()
    folder.rmdir()
    cache.cache_folder.cache_clear()
