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

from sgdtheory.dynamics import Dynamics
from sgdtheory.errors import ArgumentError
from sgdtheory.kernels import random
from sgdtheory.kernels.lower import Block, Draws, Program, Start, lower
from sgdtheory.kernels.printer import print_expression

Target = Literal["numba", "python"]
TARGETS = ("numba", "python")

LANES = 128
"""Replicas advanced together: enough to fill vector registers, few enough for the first-level cache."""

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
    "void(i8[::1], i8, f8[::1], f8[::1], f8[:, ::1], f8[:, ::1], i8, i8[::1], f8[:, :, ::1], i8[::1])",
    cache=True, nogil=True, error_model="numpy",
)


@intrinsic
def u32(context, x):
    def generate(_, builder, signature, arguments):
        narrow = signature.args[0].bitwidth <= 32
        return arguments[0] if narrow else builder.trunc(arguments[0], ir.IntType(32))

    return types.uint32(x), generate


@intrinsic
def bits(context, x):
    return types.int64(types.float64), lambda _, builder, signature, a: builder.bitcast(a[0], ir.IntType(64))


@intrinsic
def float_of(context, i):
    return types.float64(types.int64), lambda _, builder, signature, a: builder.bitcast(a[0], ir.DoubleType())
"""
_PYTHON_HEAD = f"""
from sgdtheory.kernels.plain import {_MATH}, bits, float_of, u32

import numpy as np


def inline(function):
    return function


compiled = inline
"""
_HEADS = {"numba": _NUMBA_HEAD, "python": _PYTHON_HEAD}


def emit(dynamics: Dynamics, start: Start = None, target: Target = "numba", record_memory: bool = False) -> str:
    """Return the source of a simulator for the Dynamics.

    Parameters
    ----------
    dynamics : Dynamics
    start : tuple of numbers and laws, or None
        One entry a coordinate; None if the starting points are handed over as an array.
    target : {"numba", "python"}
    record_memory : bool
        Record the optimizer's buffers too.

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
    program = lower(dynamics, start, record_memory)
    functions = _functions(program)
    parts = [
        _legend(dynamics),
        _HEADS[target],
        *(f"@inline\n{_plain_source(function)}" for function in random.FUNCTIONS),
        *(map(_with_float64, functions) if target == "python" else functions),
        _loop(program),
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
        parts.append(_function("start", _arguments(*_primitives(program.start), "q"), lines))
    if program.data and k:
        lines = _used("p", n, program.data.block, "p") + _body(program.data.block)
        parts.append(_function("example", _arguments(*_primitives(program.data), "p"), lines))
    for name, arguments, block in (
        ("gradient_at", _names("s", m), program.gradient_at),
        ("example_gradient", _names("s", d) + _names("x", k), program.example_gradient),
        ("step_state", _names("s", m) + _names("g", d), program.step),
    ):
        parts.append(_function(name, _arguments(*arguments, "p"), _used("p", n, block, "p") + _body(block)))
    return parts


def _with_float64(source: str) -> str:
    """Write numbers as float64 scalars: Python's own raise where compiled ones divide by zero."""
    return re.sub(r"(?<![\w.])\d+(\.\d+(e[+-]?\d+)?|e[+-]?\d+)", r"np.float64(\g<0>)", source)


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]


def _arguments(*names: str) -> str:
    return ", ".join(names)


def _primitives(draws: Draws) -> list[str]:
    return _names("n", draws.normals) + _names("u", draws.uniforms)


def _at(names: Sequence[str]) -> list[str]:
    """Name the entries of arrays at one lane."""
    return [f"{name}[lane]" for name in names]


def _assign(targets: Sequence[str], call: str) -> str:
    return f"{', '.join(targets)}{',' if len(targets) == 1 else ''} = {call}"


def _lanes(*lines: str) -> list[str]:
    """Loop over the replicas of a block."""
    return ["for lane in range(count):", *(f"    {line}" for line in lines)]


def _draw(draws: Draws, stream: int, step: str, slot: str) -> list[str]:
    """Draw the primitives of a block two at a time, each pair at its own slot."""
    pairs = [
        (kind, first) for kind in ("normals", "uniforms") for first in range(0, vars(draws)[kind], 2)
    ]  # fmt: skip
    lines = []
    for call, (kind, first) in enumerate(pairs):
        second = f"{kind[0]}{first + 1}" if first + 1 < vars(draws)[kind] else "spare"
        address = f"{slot}*{len(pairs)} + {call}" if len(pairs) > 1 else slot
        lines.append(f"fill_{kind}(key, base, {step}, {address}, {stream}, count, words, {kind[0]}{first}, {second})")
    return lines


_SHUFFLED = ("one epoch", "reshuffle")


def _pick(program: Program) -> list[str]:
    """Choose each lane's sample of the data set."""
    if program.sampling == "full batch":
        return _lanes("index[lane] = b")
    draw = f"fill_uniforms(key, base, step, b, {random.INDEX}, count, words, u0, spare)"
    if program.sampling == "with replacement":
        return [draw, *_lanes("index[lane] = int(u0[lane]*data.shape[0])")]
    return [
        draw,
        "# next entry of a uniform order: swap in one of those not yet taken (Fisher and Yates)",
        *_lanes(
            "j = taken + int(u0[lane]*(data.shape[0] - taken))",
            "i = order[lane, j]",
            "order[lane, j] = order[lane, taken]",
            "order[lane, taken] = i",
            "index[lane] = i",
        ),
        "taken += 1",
    ]


def _example(program: Program) -> list[str]:
    """Add one example's gradient to the sums of all lanes."""
    d, _, k, _, _ = program.sizes
    x, h = _names("x", k), _names("h", d)
    call = f"example_gradient({_arguments(*_at(_names('e', d)), *x, 'p')})"
    sums = [f"g{i}[lane] += h{i}" for i in range(d)]
    if program.data:
        source = [_assign(x, f"example({_arguments(*_at(_primitives(program.data)), 'p')})")]
        return [*_draw(program.data, random.DATA, "step", "b"), *_lanes(*source, _assign(h, call), *sums)]
    # gathers in a loop of their own: one load at a computed address makes a whole loop scalar
    gather = _lanes(*(f"x{i}[lane] = data[index[lane], {i}]" for i in range(k)))
    call = f"example_gradient({_arguments(*_at(_names('e', d) + x), 'p')})"
    return [*_pick(program), *gather, *_lanes(_assign(h, call), *sums)]


def _step(program: Program) -> list[str]:
    d, m, k, _, _ = program.sizes
    state, e, g = _names("s", m), _names("e", d), _names("g", d)
    at = _assign(_at(e), f"gradient_at({_arguments(*_at(state), 'p')})")
    move = _assign(_at(state), f"step_state({_arguments(*_at(state), *_at(g), 'p')})")
    if program.sampling == "fresh" and k == 0:
        return _lanes(at, _assign(_at(g), f"example_gradient({_arguments(*_at(e), 'p')})"), move)
    return [
        *(["if taken + batch > data.shape[0]:", "    taken = 0"] if program.sampling == "reshuffle" else []),
        *_lanes(at, *(f"{name} = 0.0" for name in _at(g))),
        "for b in range(batch):",
        *(f"    {line}" for line in _example(program)),
        *_lanes(*(f"{name} /= batch" for name in _at(g)), move),
    ]


def _loop(program: Program) -> str:
    """Return ``run``: blocks of lanes, each for all its steps."""
    d, m, k, _, _ = program.sizes
    shuffled = program.sampling in _SHUFFLED
    primitives = {p for draws in (program.start, program.data) if draws for p in _primitives(draws)}
    sampled = program.data is None
    floats = [*_names("s", m), *_names("e", d), *_names("g", d), *sorted(primitives | ({"u0"} if sampled else set()))]
    floats += [*(_names("x", k) if sampled else []), "spare"]
    begin = (
        [
            *_draw(program.start, random.START, "0", "0"),
            *_lanes(_assign(_at(_names("s", d)), f"start({_arguments(*_at(_primitives(program.start)), 'q')})")),
        ]
        if program.start
        else _lanes(*(f"s{i}[lane] = points[top + lane, {i}]" for i in range(d)))
    )
    finite = " and ".join(f"isfinite(s{i}[lane])" for i in range(m))
    lines = [
        "key = (u32(words_of_key[0]), u32(words_of_key[1]), u32(words_of_key[2]), u32(words_of_key[3]))",
        f"words = np.empty((4, {LANES}), np.uint32)",
        *(f"{name} = np.empty({LANES})" for name in floats),
        *([f"index = np.empty({LANES}, np.int64)"] if sampled else []),
        *([f"order = np.empty(({LANES}, data.shape[0]), np.int64)"] if shuffled else []),
        f"for top in range(0, path.shape[0], {LANES}):",
        f"    count = min({LANES}, path.shape[0] - top)",
        "    base = first + top",
        *(f"    {line}" for line in begin),
        *(f"    {line}" for line in _lanes(*(f"s{i}[lane] = 0.0" for i in range(d, m)), "failed[top + lane] = -1")),
        *(["    order[:, :] = np.arange(data.shape[0])", "    taken = 0"] if shuffled else []),
        "    row = 0",
        "    for step in range(record[-1] + 1):",
        "        if step > 0:",
        *(f"            {line}" for line in _step(program)),
        "        for lane in range(count):",
        f"            if failed[top + lane] < 0 and not ({finite}):",
        "                failed[top + lane] = step",
        "        if step == record[row]:",
        "            for lane in range(count):",
        "                # what comes after a failure is marked so that no mean can miss it",
        "                alive = failed[top + lane] < 0",
        *(
            f"                path[top + lane, row, {i}] = s{i}[lane] if alive else np.inf"
            for i in range(program.recorded)
        ),
        "            row += 1",
    ]
    head = "@compiled\ndef run(words_of_key, first, p, q, points, data, batch, record, path, failed):\n"
    return head + "".join(f"    {line}\n" for line in lines)
