"""Print a Program as one self-contained text: random numbers, the step, the loop over replicas and steps.

The ``numba`` and the ``python`` target share every line but the first few, and how a number is written; the second is
the first's plain twin.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Literal

import sympy as sp

from sgdtheory.derive.sufficient import BatchMeans
from sgdtheory.dynamics import Dynamics
from sgdtheory.errors import ArgumentError
from sgdtheory.kernels import random
from sgdtheory.kernels.loop import loop
from sgdtheory.kernels.lower import POSITIONS, Block, Noise, Program, Recording, Start, lower
from sgdtheory.kernels.printer import print_expression
from sgdtheory.kernels.text import arguments, names, primitives

Target = Literal["numba", "python"]
TARGETS = ("numba", "python")

_MATH = "acos, asin, atan, cos, cosh, erf, exp, isfinite, log, nan, pow, sin, sinh, sqrt, tan, tanh"
_NUMBA_HEAD = f"""
from math import {_MATH}

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

# inlined by force: a call left standing would keep a loop over replicas from becoming vector instructions;
# no wrappers: nobody calls these from Python, and the wrappers cost half the compile time
inline = njit(error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
compiled = njit(
    "void(i8[::1], i8, f8[::1], f8[::1], f8[:, ::1], f8[:, ::1], i8, i8[::1], f8[:, ::1], i8[::1], "
    "f8[:, :, ::1], i8[::1], i8[:, ::1])",
    cache=True, nogil=True, error_model="numpy",
)


@intrinsic
def u32(context, x):
    def generate(_, builder, signature, arguments):
        narrow = signature.args[0].bitwidth <= 32
        return arguments[0] if narrow else builder.trunc(arguments[0], ir.IntType(32))

    return types.uint32(x), generate


f32 = np.float32


@intrinsic
def bits32(context, x):
    return types.int32(types.float32), lambda _, builder, signature, a: builder.bitcast(a[0], ir.IntType(32))


@intrinsic
def single_of(context, i):
    def generate(_, builder, signature, arguments):
        narrow = signature.args[0].bitwidth <= 32
        word = arguments[0] if narrow else builder.trunc(arguments[0], ir.IntType(32))
        return builder.bitcast(word, ir.FloatType())

    return types.float32(i), generate


@intrinsic
def bits(context, x):
    return types.int64(types.float64), lambda _, builder, signature, a: builder.bitcast(a[0], ir.IntType(64))


@intrinsic
def float_of(context, i):
    return types.float64(types.int64), lambda _, builder, signature, a: builder.bitcast(a[0], ir.DoubleType())
"""
_PYTHON_HEAD = f"""
from sgdtheory.kernels.plain import {_MATH}, bits, bits32, f32, float_of, single_of, u32

import numpy as np


def inline(function):
    return function


compiled = inline
"""
_HEADS = {"numba": _NUMBA_HEAD, "python": _PYTHON_HEAD}


def emit(
    dynamics: Dynamics,
    start: Start = None,
    target: Target = "numba",
    recording: Recording = POSITIONS,
    means: BatchMeans | None = None,
    noise: Noise = "float64",
) -> str:
    """Return the source of a simulator for the Dynamics.

    Parameters
    ----------
    dynamics : Dynamics
    start : tuple of numbers and laws, or None
        One entry a coordinate; None if the starting points are handed over as an array.
    target : {"numba", "python"}
    recording : Recording
        What is kept of a run besides the positions.
    means : BatchMeans, optional
        Draw these instead of the examples of a batch.
    noise : {"float64", "float32"}
        Grade of normal draws.

    Returns
    -------
    str
        A module with one function ``run``.

    Raises
    ------
    ArgumentError
        For an unknown target, or an expression that cannot be printed.
    """
    if target not in TARGETS:
        raise ArgumentError("target", target, " | ".join(TARGETS))
    program = lower(dynamics, start, recording, means, noise)
    functions = _functions(program)
    run = loop(program)
    parts = [
        _legend(dynamics),
        _HEADS[target],
        *(f"@inline\n{source}" for source in _spliced(run)),
        *(map(_with_float64, functions) if target == "python" else functions),
        run,
    ]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts)


def _legend(dynamics: Dynamics) -> str:
    """Open the module by saying which canonical name stands for what, in names that cannot be code."""
    roles = {
        "s": dynamics.state,
        "x": dynamics.data.symbols,
        "g": dynamics.batch_gradient,
        "p": [symbol for symbol, _ in dynamics.parameters],
    }
    lines = [f"{p}{i} = {_harmless(s.name)}" for p, symbols in roles.items() for i, s in enumerate(symbols)]
    return (
        '"""A generated kernel: replicas side by side, every draw at its own address.\n\n'
        + "\n".join(lines)
        + '\n"""\n'
    )


def _harmless(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*(\[[A-Za-z0-9_]+\])?", name) else "(unprinted)"


def _spliced(text: str) -> list[str]:
    """Return the sources of the random-number functions a text calls, directly or through others, in their order."""
    needed: list[str] = []
    for function in reversed(random.FUNCTIONS):
        if re.search(rf"\b{function.__name__}\(", "".join((text, *needed))):
            needed.insert(0, _plain_source(function))
    return needed


def _plain_source(function: object) -> str:
    """Return a function's source without its docstring and annotations."""
    text = inspect.getsource(function)  # type: ignore[arg-type]
    head, body = re.split(r"\) -> .*:\n", text, maxsplit=1)
    head = re.sub(r": [\w.]+(\[[\w.]+\])?(?=[,\n]|$)", "", head)
    body = re.sub(r'^    """.*?"""\n', "", body, flags=re.DOTALL)
    return f"{head}):\n{body}"


def _body(block: Block) -> list[str]:
    lines = [f"{symbol.name} = {print_expression(expression)}" for symbol, expression in block.assignments]
    results = ", ".join(print_expression(r) for r in block.results)
    return [*lines, f"return ({results},)" if len(block.results) == 1 else f"return {results}"]


def _function(name: str, arguments: str, body: Sequence[str]) -> str:
    return f"@inline\ndef {name}({arguments}):\n" + "".join(f"    {line}\n" for line in body)


def _unpack(prefix: str, count: int, array: str) -> list[str]:
    return [f"{prefix}{i} = {array}[{i}]" for i in range(count)]


def _used(prefix: str, count: int, block: Block, array: str) -> list[str]:
    """Unpack only what the block reads."""
    read = set().union(*(e.free_symbols for e in (*block.results, *(a for _, a in block.assignments))))
    names = {s.name for s in read if isinstance(s, sp.Symbol)}
    return [line for line in _unpack(prefix, count, array) if line.split(" ")[0] in names]


def _functions(program: Program) -> list[str]:
    """Return the pure functions of one replica, on scalars."""
    d, m, k, n, q = program.sizes
    parts = []
    if program.start:
        lines = _unpack("q", q, "q") + _body(program.start.block)
        parts.append(_function("start", arguments(*primitives(program.start), "q"), lines))
    if program.data and k:
        lines = _used("p", n, program.data.block, "p") + _body(program.data.block)
        batch = ["batch"] if program.sampling == "batch means" else []
        parts.append(_function("example", arguments(*primitives(program.data), *batch, "p"), lines))
    state = names("s", m)
    pure = {
        "gradient_at": (state, program.gradient_at),
        "example_gradient": (names("s", d) + names("x", k), program.example_gradient),
        "step_state": (state + names("g", d) + names("z", program.injected), program.step),
        "observe": (state, program.recorded),
        "happened": (state, program.events),
    }
    for name, (inputs, block) in pure.items():
        if block.results:
            parts.append(_function(name, arguments(*inputs, "p"), _used("p", n, block, "p") + _body(block)))
    return parts


def _with_float64(source: str) -> str:
    """Write numbers as float64 scalars: Python's own raise where compiled ones divide by zero."""
    return re.sub(r"(?<![\w.])\d+(\.\d+(e[+-]?\d+)?|e[+-]?\d+)", r"np.float64(\g<0>)", source)
