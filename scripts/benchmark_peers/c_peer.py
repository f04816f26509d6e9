"""C by hand, `peer.c`: the same random numbers as ours, the bound of what a compiler reaches on one core."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import cache
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


def competitors(work: str, size: Size) -> list[Competitor]:
    """Return those who can do the work."""
    c = ctypes
    width = 1 if work == "langevin" else 2

    def run(seed: int, replicas: int) -> Array:
        key = np.random.SeedSequence(seed).generate_state(4, np.uint32)
        out = np.empty((replicas, width))
        head = (_pointer(key), c.c_int64(replicas), c.c_int64(size.steps))
        if work == "langevin":
            numbers = map(c.c_double, (task.WELL_LR, task.WELL_TEMPERATURE, task.WELL_START))
            library().langevin(*head, *numbers, _pointer(out))
        else:
            start = np.array(task.START)
            function = getattr(library(), work)
            function(*head, c.c_int64(size.batch), c.c_double(task.LR), _pointer(start), _pointer(out))
        return out

    many = 4 * size.replicas if work == "examples" else 64 * size.replicas
    name = f"C, {Path(compiler() or '').name} -O3"
    return [Competitor(name, precision("float64"), run, size.steps, many)]


def _pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
