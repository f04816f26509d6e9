"""Print a Program as one self-contained text: random numbers, the step, the loop over replicas and steps.

The ``numba`` and the ``python`` target share every line but the first few; the second is the first's plain twin.
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

_MATH = "acos, asin, atan, cos, cosh, erf, exp, isfinite, log, nan, pi, pow, sin, sinh, sqrt, tan, tanh"
_HEADS = {
    "numba": (
        f"from math import {_MATH}\n\nimport numpy as np\nfrom numba import njit\n\n"
        "# wrappers that let Python call a helper cost half the compile time, and nobody calls one\n"
        'inline = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)\n'
        "compiled = njit(\n"
        '    "void(i8[::1], i8, f8[::1], f8[::1], f8[:, ::1], f8[:, ::1], i8, i8[::1], f8[:, :, ::1], i8[::1])",\n'
        '    cache=True, nogil=True, error_model="numpy",\n'
        ")\n"
    ),
    "python": (
        f"from sgdtheory.kernels.plain import {_MATH}\n\nimport numpy as np\n\n\n"
        "def inline(function):\n    return function\n\n\ncompiled = inline\n"
    ),
}


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
    parts = [
        _legend(dynamics),
        _HEADS[target],
        *(f"@inline\n{_plain_source(function)}" for function in random.FUNCTIONS),
        *_functions(program),
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
        '"""A generated kernel: one replica after the other, every draw at its own address.\n\n'
        + "\n".join(lines)
        + '\n"""\n'
    )


def _harmless(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*(\[[A-Za-z0-9_]+\])?", name) else "(unprinted)"


def _plain_source(function: object) -> str:
    """Return a function's source without its docstring and annotations."""
    text = inspect.getsource(function)  # type: ignore[arg-type]
    head, body = re.split(r"\) -> .*:\n", text, maxsplit=1)
    head = re.sub(r": (int|float|Words)", "", head)
    body = re.sub(r'^    """.*?"""\n', "", body, flags=re.DOTALL)
    return f"{head}):\n{body}"


def _tuple(prefix: str, count: int) -> str:
    names = [f"{prefix}{i}" for i in range(count)]
    return f"({names[0]},)" if count == 1 else ", ".join(names)


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


def _draw_lines(draws: Draws, stream: int, step: str, slot: str) -> list[str]:
    """Draw the primitives two at a time, each pair at its own slot."""
    lines, calls = [], 0
    total = (draws.normals + 1) // 2 + (draws.uniforms + 1) // 2  # slots one draw of everything takes
    for kind, count in (("normals", draws.normals), ("uniforms", draws.uniforms)):
        for first in range(0, count, 2):
            second = f"{kind[0]}{first + 1}" if first + 1 < count else "_"
            address = f"{slot}*{total} + {calls}" if total > 1 else slot
            lines.append(f"{kind[0]}{first}, {second} = {kind}(key, replica, {step}, {address}, {stream})")
            calls += 1
    return lines


def _functions(program: Program) -> list[str]:
    d, m, k, n, q = program.sizes
    state, data, gradients = _arguments("s", m), _arguments("x", k), _arguments("g", d)
    coordinates = _arguments("s", d)
    parts = []
    if program.start:
        lines = _unpack("q", q, "q") + _draw_lines(program.start, random.START, "0", "0") + _body(program.start.block)
        parts.append(_function("start", "key, replica, q", lines))
    if program.data and k:
        lines = _used("p", n, program.data.block, "p") + _draw_lines(program.data, random.DATA, "step", "b")
        parts.append(_function("example", "key, replica, step, b, p", lines + _body(program.data.block)))

    def pure(name: str, arguments: str, block: Block) -> str:
        return _function(name, f"{arguments}, p", _used("p", n, block, "p") + _body(block))

    parts.append(pure("gradient_at", state, program.gradient_at))
    parts.append(pure("example_gradient", ", ".join(filter(None, (coordinates, data))), program.example_gradient))
    parts.append(pure("step_state", f"{state}, {gradients}", program.step))
    return parts


def _arguments(prefix: str, count: int) -> str:
    return ", ".join(f"{prefix}{i}" for i in range(count))


_PICK = {
    "with replacement": ["i = int(uniforms(key, replica, step, b, {index})[0] * data.shape[0])"],
    "full batch": ["i = b"],
    "one epoch": [
        "# next entry of a uniform order: swap in one of those not yet taken (Fisher and Yates)",
        "j = taken + int(uniforms(key, replica, step, b, {index})[0] * (data.shape[0] - taken))",
        "i = order[j]",
        "order[j] = order[taken]",
        "order[taken] = i",
        "taken += 1",
    ],
}
_PICK["reshuffle"] = _PICK["one epoch"]


def _sample_lines(program: Program) -> list[str]:
    d, _, k, _, _ = program.sizes
    if program.sampling == "fresh":
        lines = [f"{_tuple('x', k)} = example(key, replica, step, b, p)"]
    else:
        pick = [line.format(index=random.INDEX) for line in _PICK[program.sampling]]
        lines = [*pick, *(f"x{i} = data[i, {i}]" for i in range(k))]
    call = ", ".join(filter(None, (_arguments("e", d), _arguments("x", k))))
    sums = [f"g{i} += h{i}" for i in range(d)]
    return [*lines, f"{_tuple('h', d)} = example_gradient({call}, p)", *sums]


def _step_lines(program: Program) -> list[str]:
    d, m, k, _, _ = program.sizes
    lines = [f"{_tuple('e', d)} = gradient_at({_arguments('s', m)}, p)"]
    if program.sampling == "fresh" and k == 0:
        lines.append(f"{_tuple('g', d)} = example_gradient({_arguments('e', d)}, p)")
    else:
        if program.sampling == "reshuffle":
            lines += ["if taken + batch > data.shape[0]:", "    taken = 0"]
        lines += [f"g{i} = 0.0" for i in range(d)]
        lines += ["for b in range(batch):", *(f"    {line}" for line in _sample_lines(program))]
        lines += [f"g{i} /= batch" for i in range(d)]
    return [*lines, f"{_tuple('s', m)} = step_state({_arguments('s', m)}, {_arguments('g', d)}, p)"]


def _loop(program: Program) -> str:
    d, m, _, _, _ = program.sizes
    shuffles = program.sampling in ("one epoch", "reshuffle")
    start = (
        [f"{_tuple('s', d)} = start(key, replica, q)"]
        if program.start
        else [f"s{i} = points[r, {i}]" for i in range(d)]
    )
    finite = " and ".join(f"isfinite(s{i})" for i in range(m))
    per_replica = [
        "replica = first + r",
        *start,
        *(f"s{i} = 0.0" for i in range(d, m)),
        *(["order = np.arange(data.shape[0])", "taken = 0"] if shuffles else []),
        "row = 0",
        "failed[r] = -1",
        "for step in range(record[-1] + 1):",
        "    if step > 0:",
        *(f"        {line}" for line in _step_lines(program)),
        f"    if not ({finite}):",
        "        failed[r] = step",
        "        break",
        "    if step == record[row]:",
        *(f"        path[r, row, {i}] = s{i}" for i in range(program.recorded)),
        "        row += 1",
        "path[r, row:, :] = np.inf  # what comes after a failure is marked so that no mean can miss it",
    ]
    lines = [
        "key = (words[0], words[1], words[2], words[3])",
        "for r in range(path.shape[0]):",
        *(f"    {line}" for line in per_replica),
    ]
    head = "@compiled\ndef run(words, first, p, q, points, data, batch, record, path, failed):\n"
    return head + "".join(f"    {line}\n" for line in lines)
