"""Run a kernel's CUDA C++ on the host: compiled as plain C++, one thread does the work of all."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgdtheory.kernels.device import flattened

_COMPILERS = ("g++", "clang++", "c++")


@cache
def compiler() -> str:
    """Return a C++ compiler of this machine; without one, skip by name."""
    for name in _COMPILERS:
        path = shutil.which(name)
        if path and not subprocess.run([path, "-std=c++20", "-x", "c++", "-fsyntax-only", "-"], input=b"").returncode:
            return path
    pytest.skip(f"no C++20 compiler among {', '.join(_COMPILERS)}")


@cache
def host_run(source: str) -> Callable[..., None]:
    """Return ``run`` of a kernel's CUDA C++, as the host's compiler has it."""
    folder = Path(tempfile.mkdtemp(prefix="sgdtheory-host-"))
    name = hashlib.sha256(source.encode()).hexdigest()[:12]
    text, library = folder / f"{name}.cpp", folder / f"{name}.so"
    text.write_text(source, encoding="utf-8")
    options = [
        "-O1",
        "-std=c++20",
        "-ffp-contract=off",
        "-Wall",
        "-Wno-unused-but-set-variable",
        "-Werror",
        "-shared",
        "-fPIC",
    ]
    subprocess.run([compiler(), *options, str(text), "-o", str(library)], check=True)
    kernel = ctypes.CDLL(str(library)).kernel

    def run(*arguments: Any) -> None:
        data = arguments[5]
        scratch = np.empty(max(1, len(data)), dtype=np.int64)
        given = [_argument(a) for a in (*flattened(arguments), scratch)]
        kernel(*given)

    return run


def _argument(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_int64(value)
