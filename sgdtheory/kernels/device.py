"""Kernels on a GPU: the CUDA C++ of a Dynamics, compiled by CuPy for the card that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from sgdtheory.errors import ArgumentError
from sgdtheory.kernels.build import Kernel

_THREADS = 128
"""Threads that share a multiprocessor's scheduler together; each has a replica."""
_OPTIONS = ("--std=c++20", "--fmad=false")  # no product and sum joined that the CPU rounds apart
_OUTPUTS = 3  # path, failed, passed: the last arguments
_KEPT_FREE = 0.2
_LARGEST_PATH = 2**30
"""Bytes of a block, which come back to the host's memory."""
_ALLOWED = "cpu, or gpu on a machine with CuPy and an NVIDIA GPU"


def build(source: str) -> Kernel:
    """Load the CUDA C++ of a kernel on the current device; CuPy keeps what is compiled, by content.

    Parameters
    ----------
    source : str
        From ``emit(..., target="cuda")``.

    Returns
    -------
    Kernel
        Its ``run`` takes and fills arrays of the host, as that of a CPU's kernel does.

    Raises
    ------
    ArgumentError
        If CuPy, a driver or a device is missing, saying which.
    """
    cupy = available()
    kernel = cupy.RawModule(code=source, options=_OPTIONS, backend="nvrtc").get_function("kernel")

    def run(*arguments: Any) -> None:
        _launch(cupy, kernel, arguments)

    return Kernel(run)


@cache
def available() -> Any:
    """Return CuPy if it can reach a device.

    Raises
    ------
    ArgumentError
        Saying what is missing: the package, the driver, or a device.
    """
    try:
        import cupy
    except ImportError as error:
        fix = 'pip install "sgdtheory[gpu]", or cupy-cuda12x for an older driver'
        raise ArgumentError("device", "gpu, but CuPy is not installed", _ALLOWED, fix) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        fix = "install NVIDIA's driver; nvidia-smi should list a device"
        raise ArgumentError("device", f"gpu, but CUDA answers: {error}", _ALLOWED, fix) from error
    if count == 0:
        raise ArgumentError("device", "gpu, but the driver shows no device", _ALLOWED, "look at CUDA_VISIBLE_DEVICES")
    return cupy


def largest_block(row_bytes: int) -> int:
    """Return how many replicas of so many bytes fit on the device.

    Raises
    ------
    ArgumentError
        If not even one wave of threads does.
    """
    free, _ = available().cuda.runtime.memGetInfo()
    fits = int((1 - _KEPT_FREE) * free) // max(1, row_bytes)
    if fits < _THREADS:
        need = f"{row_bytes * _THREADS / 2**20:.0f} MiB for {_THREADS} replicas, {free / 2**20:.0f} MiB being free"
        raise ArgumentError("record", need, "a record that fits on the device", "record fewer steps")
    return min(fits, max(_THREADS, _LARGEST_PATH // max(1, row_bytes))) // _THREADS * _THREADS


def flattened(arguments: Sequence[Any]) -> Iterator[Any]:
    """Yield the arguments of ``run`` as those of the translated kernel: an array, then its shape."""
    for value in arguments:
        yield value
        if hasattr(value, "shape"):
            yield from value.shape


def _launch(cupy: Any, kernel: Callable[..., None], arguments: Sequence[Any]) -> None:
    """Copy what is read to the device, run, and copy back what was written."""
    *given, path, failed, passed = arguments
    outputs = [cupy.empty(array.shape, array.dtype) for array in (path, failed, passed)]
    read = [cupy.asarray(a) if isinstance(a, np.ndarray) else np.int64(a) for a in given]
    blocks = -(-len(path) // _THREADS)
    scratch = cupy.empty(max(1, blocks * _THREADS * len(arguments[5])), np.int64)
    values = [v if hasattr(v, "dtype") else np.int64(v) for v in flattened([*read, *outputs])]
    kernel((blocks,), (_THREADS,), (*values, scratch))
    for host, device in zip((path, failed, passed), outputs, strict=True):
        device.get(out=host)
