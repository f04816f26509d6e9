"""C by hand, `peer.c`: the same random numbers as ours, the bound of what a compiler reaches on one core."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import cache, partial
from pathlib import Path

import numpy as np

from benchmark_peers import task
from benchmark_peers.task import Array, Competitor, Size, precision

# no sum is reordered; without errno and traps, sqrt and conditions can become vector instructions
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")


def compiler() -> str | None:
    """Return a C compiler's path: ``$CC``, else clang, cc or gcc."""
    names = (os.environ.get("CC", ""), "clang", "cc", "gcc")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@cache
def library() -> ctypes.CDLL:
    """Compile and load `peer.c`."""
    program = compiler()
    assert program is not None
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "peer.so"
        source = Path(__file__).with_name("peer.c")
        subprocess.run([program, *FLAGS, str(source), "-o", str(target), "-lm"], check=True)
        return ctypes.CDLL(str(target))


def threefry(key: Array, address: Array) -> list[int]:
    """Return the four words at an address."""
    out = np.zeros(4, np.uint32)
    library().threefry(*map(_pointer, (np.asarray(key, np.uint32), np.asarray(address, np.uint32), out)))
    return out.tolist()


def advance(state: Array) -> tuple[int, list[int]]:
    """Return the next word of a stream and its next state."""
    after = np.asarray(state, np.uint32)
    function = library().xoshiro
    function.restype = ctypes.c_uint32
    return int(function(_pointer(after))), after.tolist()


def competitors(work: str, size: Size) -> list[Competitor]:
    """Return those who can do the work."""
    name = f"C, {Path(compiler() or '').name} -O3"
    many = 4 * size.replicas if work == "examples" else 64 * size.replicas
    return [
        Competitor(name, precision("float64", noise), partial(_run, work, noise, size), size.steps, many)
        for noise in ("float64", "float32")
    ]


def _run(work: str, noise: str, size: Size, seed: int, replicas: int) -> Array:
    key = np.random.SeedSequence(seed).generate_state(4, np.uint32)
    start = np.array(task.START)
    out = np.empty((replicas, 1 if work == "langevin" else 2))
    number, count = ctypes.c_double, ctypes.c_int64
    if work == "langevin":
        given = [number(task.WELL_LR), number(task.WELL_TEMPERATURE), number(task.WELL_START)]
    else:
        given = [count(size.batch), number(task.LR), _pointer(start)]
    function = getattr(library(), f"{work}_{noise}")
    function(_pointer(key), count(replicas), count(size.steps), *given, _pointer(out))
    return out


def _pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
