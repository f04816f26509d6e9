"""The CUDA printer without a GPU: its text compiles, and run on the host it is the CPU's kernel."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from host_shim import host_run

import sgdtheory as sgd
from sgdtheory import ArgumentError
from sgdtheory.kernels import device
from sgdtheory.kernels.emit import emit

w, v, x = sp.symbols("w v x", real=True)
LINE = [1.0, 2.0, -0.5, 0.3, 4.0], [0.3, 0.1, 2.0, 1.0, -1.0]


def samples(sampling: str) -> sgd.Problem:
    return sgd.Problem("(y - w*x)**2/2", ["w"], sgd.Dataset(sampling=sampling, x=LINE[0], y=LINE[1]))


def drawing(law: object) -> sgd.Problem:
    return sgd.Problem((w - x) ** 2 / 2, [w], sgd.Fresh(x=law))


WELL = sgd.landscape("(w**2 - 1)**2/4 + w*v/3 + v**2", ["w", "v"], noise_std=0.3)
MANY = sgd.landscape(" + ".join(f"w{i}**2*w{(i + 1) % 11}**2/2" for i in range(11)), [f"w{i}" for i in range(11)], 0.1)
BENT = sgd.landscape("log(1 + exp(w)) + tanh(w)**2 + sin(w) + erf(w) + (w**2 + 1)**(1/3) + max(w, 0)", ["w"], 0.2)
INIT = sgd.Uniform(-0.5, 0.5)
CASES: dict[str, tuple[sgd.Problem, sgd.Optimizer, dict[str, Any]]] = {
    "sgd": (sgd.sticky_1d(), sgd.SGD(lr=0.01), {"batch_size": 3}),
    "momentum": (WELL, sgd.Momentum(lr=0.05, momentum=0.9), {"record_memory": True}),
    "ema momentum": (WELL, sgd.EMAMomentum(lr=0.05, momentum=0.9), {}),
    "nesterov": (WELL, sgd.Nesterov(lr=0.05, momentum=0.9), {"record": 3}),
    "rmsprop": (WELL, sgd.RMSProp(lr=0.01, decay=0.9), {}),
    "adam": (WELL, sgd.Adam(lr=0.02, beta1=0.9, beta2=0.99), {"record_memory": True}),
    "langevin": (WELL, sgd.Langevin(lr=0.02, temperature=0.1), {}),
    "derived": (sgd.scalar_mean(1, 2), sgd.DerivedSGD(smoothness=1, low=0.01), {"batch_size": 4}),
    "decay": (WELL, sgd.with_weight_decay(sgd.SGD(lr=0.1), 0.01, decoupled=True), {}),
    "schedule": (WELL, sgd.SGD(lr=0.3 / sgd.step), {}),
    "sums": (sgd.sticky_1d(), sgd.SGD(lr=0.01), {"batch_size": 20}),
    "float32 noise": (sgd.sticky_1d(), sgd.SGD(lr=0.01), {"batch_size": 2, "noise": "float32"}),
    "many coordinates": (MANY, sgd.Momentum(lr=0.01, momentum=0.5), {}),
    "many coordinates, adam": (MANY, sgd.Adam(lr=0.01, beta1=0.9, beta2=0.99), {"noise": "float32"}),
    "with replacement": (samples("with replacement"), sgd.SGD(lr=0.02), {"batch_size": 2}),
    "without replacement": (samples("without replacement"), sgd.SGD(lr=0.02), {"batch_size": 2}),
    "reshuffle": (samples("reshuffle"), sgd.SGD(lr=0.02), {"batch_size": 2}),
    "one epoch": (samples("one epoch"), sgd.SGD(lr=0.02), {"batch_size": 1, "steps": 5}),
    "full batch": (samples("full batch"), sgd.SGD(lr=0.02), {}),
    "uniform": (drawing(sgd.Uniform(-1, 2)), sgd.SGD(lr=0.1), {"batch_size": 2}),
    "rademacher": (drawing(sgd.Rademacher()), sgd.SGD(lr=0.1), {"batch_size": 2}),
    "student": (drawing(sgd.StudentT(5)), sgd.SGD(lr=0.1), {"batch_size": 2}),
    "quantile": (drawing(sgd.Quantile("-log(1 - u)")), sgd.SGD(lr=0.1), {}),
    "diverging": (sgd.landscape("w**4", ["w"], 1), sgd.SGD(lr=0.2), {"init": 1.5}),
    "events": (WELL, sgd.SGD(lr=0.1), {"events": {"over": w > 0.2}, "observables": {"r": sp.sqrt(w**2 + 1)}}),
    "functions": (BENT, sgd.SGD(lr=0.1), {}),
}
CALLED = {"functions", "quantile", "student"}
"""What calls functions of the C library, which may differ in the last digit from compiler to compiler."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the host stand in for the card."""
    monkeypatch.setattr(device, "available", lambda: None)
    monkeypatch.setattr(device, "largest_block", lambda row_bytes: 100)
    monkeypatch.setattr(device, "build", lambda source: device.Kernel(host_run(source)))


@pytest.mark.parametrize("name", CASES)
def test_on_the_host_it_is_the_cpus_kernel(name: str, host: None) -> None:
    """Bit for bit, and so are the random numbers; within some ulps where functions of the C library are called."""
    problem, optimizer, settings = CASES[name]
    arguments: dict[str, Any] = {"steps": 37, "replicas": 130, "init": INIT, "rng": 3, "threads": 1} | settings
    expected = sgd.simulate(problem, optimizer, **arguments)
    got = sgd.simulate(problem, optimizer, device="gpu", **arguments)
    assert got.attrs["device"] == "gpu"
    assert (expected.attrs["diverged"] > 0) == (name == "diverging")
    for variable in expected.data_vars:
        if name in CALLED:
            np.testing.assert_allclose(got[variable], expected[variable], rtol=1e-13, atol=1e-14)
        else:
            np.testing.assert_array_equal(got[variable], expected[variable], err_msg=variable)


def test_summaries_do_not_depend_on_who_ran_it(host: None) -> None:
    arguments: dict[str, Any] = {
        "steps": 20, "replicas": 300, "init": INIT, "rng": 1, "keep": "moments", "record": 5,
        "histogram": {"w": np.linspace(-2, 2, 9)},
    }  # fmt: skip
    expected = sgd.simulate(WELL, sgd.SGD(lr=[0.05, 0.1]), **arguments)
    got = sgd.simulate(WELL, sgd.SGD(lr=[0.05, 0.1]), device="gpu", **arguments)
    for variable in expected.data_vars:
        np.testing.assert_array_equal(got[variable], expected[variable], err_msg=variable)


def cuda_source(name: str) -> str:
    problem, optimizer, settings = CASES[name]
    dynamics = sgd.make_dynamics(problem, optimizer)
    return emit(dynamics, (INIT,) * len(problem.coordinates), "cuda", noise=settings.get("noise", "float64"))


def nvrtc() -> ctypes.CDLL:
    """Return CUDA's run-time compiler, from its wheel or a toolkit; without one, skip by name."""
    wheel = [str(path) for folder in map(Path, sys.path) for path in sorted(folder.glob("nvidia/*/lib/libnvrtc.so*"))]
    for name in (*wheel, "libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"):
        with suppress(OSError):
            return ctypes.CDLL(name)
    pytest.skip("no NVRTC: pip install nvidia-cuda-nvrtc-cu12")


@pytest.mark.parametrize("name", ["adam", "many coordinates", "reshuffle", "float32 noise", "functions"])
def test_nvrtc_compiles_it(name: str) -> None:
    """CUDA's own compiler, which needs no GPU, makes code of it, without a header at hand."""
    library, program, size = nvrtc(), ctypes.c_void_p(), ctypes.c_size_t()
    options = (ctypes.c_char_p * 3)(b"--std=c++20", b"--fmad=false", b"--gpu-architecture=compute_80")
    text = cuda_source(name).encode()
    assert library.nvrtcCreateProgram(ctypes.byref(program), text, b"kernel.cu", 0, None, None) == 0
    result = library.nvrtcCompileProgram(program, len(options), options)
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    assert result == 0, log.value.decode()


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc")
def test_a_replica_lives_in_registers(tmp_path: Path) -> None:
    """Nothing of a small kernel goes to memory but what is recorded: arrays of known size are unrolled away."""
    file = tmp_path / "kernel.cu"
    file.write_text(cuda_source("sgd"), encoding="utf-8")
    command = ["nvcc", "-std=c++20", "--fmad=false", "-arch=sm_90", "-cubin", "--resource-usage", str(file)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "0 bytes stack frame, 0 bytes spill stores" in done.stderr


def test_without_a_gpu_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    device.available.cache_clear()
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ArgumentError, match="CuPy is not installed"):
        sgd.simulate(WELL, sgd.SGD(lr=0.1), steps=1, init=0, device="gpu")
    device.available.cache_clear()
    with pytest.raises(ArgumentError, match="device"):
        sgd.simulate(WELL, sgd.SGD(lr=0.1), steps=1, init=0, device="tpu")


def test_no_name_of_the_users_reaches_the_text() -> None:
    odd = sgd.landscape("hostile_name**2*b", ["hostile_name"], noise_std=1)
    text = emit(sgd.make_dynamics(odd, sgd.SGD()), None, "cuda")
    code = "\n".join(line for line in text.splitlines() if not line.startswith("//"))
    assert "hostile_name" not in code
