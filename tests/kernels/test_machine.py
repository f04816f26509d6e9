"""Machine code kept beside a kernel: the same numbers to the last bit, no compiler, and never trusted when damaged."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sgdtheory import SGD, Adam, Dataset, Dynamics, Fresh, Langevin, Normal, Problem, Uniform, landscape
from sgdtheory.dynamics import make_dynamics
from sgdtheory.kernels import build, machine
from sgdtheory.kernels.emit import emit

TANH = Problem("(y - tanh(a*w*x))**2/2", ["w", "a"], Fresh(x=Normal(0, 1), y=Uniform(-1, 1)))
CASES = {
    "no noise": make_dynamics(landscape("w**4", ["w"]), SGD(lr=0.1)),
    "functions of the C library": make_dynamics(TANH, Adam(lr=0.1)),
    "samples in random order": make_dynamics(
        Problem("exp(-w*x)", ["w"], Dataset(x=[1.0, 2.0, 3.0], sampling="reshuffle")), SGD(lr=0.1)
    ),
    "noise of the optimizer": make_dynamics(landscape("cos(w) + w**2", ["w"]), Langevin(lr=0.1, temperature=0.5)),
}


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(build, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(build, "_LOADED", {})
    return tmp_path


def numbers(run: Callable[..., None], dynamics: Dynamics) -> bytes:
    d = len(dynamics.coordinates)
    path, failed = np.empty((300, 6, d)), np.empty(300, dtype=np.int64)
    data = np.array(dynamics.data.values) if isinstance(dynamics.data, Dataset) else np.zeros((0, 1))
    values = np.array(
        [float(value) if value.is_number else 0.5 for _, value in dynamics.parameters if value is not None]
    )
    with np.errstate(all="ignore"):
        run(
            np.arange(4), 0, values, np.array([0.1, 2.0] * d), np.zeros((0, d)), data, 2, np.arange(6),
            np.zeros((0, 6)), np.zeros(0, np.int64), path, failed, np.empty((300, 0), np.int64),
        )  # fmt: skip
    return path.tobytes() + failed.tobytes()


@pytest.mark.parametrize("dynamics", CASES.values(), ids=CASES)
def test_the_same_numbers(dynamics: Dynamics, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = emit(dynamics, (Uniform(-1, 1),) * len(dynamics.coordinates))
    compiled = build.build(source).run
    (kept,) = folder.glob("*.code")
    monkeypatch.setattr(build, "_LOADED", {})
    monkeypatch.setattr(build, "_compiled", lambda _: pytest.fail("it was compiled again"))
    loaded = build.build(source).run
    assert numbers(loaded, dynamics) == numbers(compiled, dynamics)
    assert machine.name() in kept.name


def code_of(folder: pathlib.Path) -> tuple[str, pathlib.Path, Callable[..., None]]:
    source = emit(CASES["no noise"], (1,))
    run = build.build(source).run
    (kept,) = folder.glob("*.code")
    return source, kept, run


def with_unknown_call(packed: bytes) -> bytes:
    head, code = packed.split(b"\n", 1)
    return json.dumps(json.loads(head) | {"called": ["no_such_function_anywhere"]}).encode() + b"\n" + code


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda packed: packed[:-1],
    "one bit": lambda packed: packed[:-9] + bytes([packed[-9] ^ 1]) + packed[-8:],
    "empty": lambda packed: b"",
    "text": lambda packed: b"somebody was here\n",
    "a call of what is not here": with_unknown_call,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_damaged_is_made_anew(
    damage: Callable[[bytes], bytes], folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, kept, run = code_of(folder)
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert machine.unpack(kept.read_bytes()) is None
    monkeypatch.setattr(build, "_LOADED", {})
    compiled: list[pathlib.Path] = []
    compile_it = build._compiled
    monkeypatch.setattr(build, "_compiled", lambda path, text: compiled.append(path) or compile_it(path, text))
    again = build.build(source).run
    assert len(compiled) == 1
    assert numbers(again, CASES["no noise"]) == numbers(run, CASES["no noise"])
    assert machine.unpack(kept.read_bytes()) is not None


def test_a_kernel_that_calls_what_is_nowhere_is_an_error(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = machine.pack
    monkeypatch.setattr(machine, "pack", lambda run: with_unknown_call(whole(run) or b""))
    with pytest.raises(RuntimeError, match="calls functions this system does not have"):
        build.build(emit(CASES["no noise"], (1,)))
    assert not list(folder.glob("*.code"))


def test_what_machine_code_would_not_notice_is_refused(folder: pathlib.Path) -> None:
    _, kept, _ = code_of(folder)
    run = machine.unpack(kept.read_bytes())
    assert run is not None
    whole, real = np.zeros(1, np.int64), np.zeros(1)
    fine: list[Any] = [
        np.arange(4), 0, real, real, np.zeros((0, 1)), np.zeros((0, 1)), 1, whole, np.zeros((0, 1)),
        np.zeros(0, np.int64), np.empty((1, 1, 1)), whole, np.empty((1, 0), np.int64),
    ]  # fmt: skip
    run(*fine)
    read_only = np.zeros(1)
    read_only.setflags(write=False)
    for place, wrong in ((0, np.arange(4.0)), (2, [0.1]), (2, np.zeros((1, 1))), (2, np.zeros(4)[::2]), (2, read_only)):
        with pytest.raises(TypeError, match="a kernel wants a writable"):
            run(*fine[:place], wrong, *fine[place + 1 :])
    with pytest.raises(ValueError, match="argument"):
        run(*fine[:-1])


def test_what_numba_did_not_compile_is_not_kept() -> None:
    assert machine.pack(lambda: None) is None


FRESH = """
import sys
import numpy as np, sympy, xarray
import sgdtheory as sgd
run = sgd.simulate(sgd.landscape("w**2/2", ["w"], noise_std=1), sgd.SGD(lr=0.1), steps=3, replicas=5, init=1.0, rng=0)
print(run.w.values.tobytes().hex(), *sys.modules)
"""


def test_a_warm_start_loads_no_compiler(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SGDTHEORY_CACHE_DIR", str(tmp_path))
    command = [sys.executable, "-c", FRESH]
    cold, warm = (subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() for _ in range(2))
    assert cold[0] == warm[0]
    assert "numba.np.arraymath" in cold
    assert "numba.np.arraymath" not in warm
