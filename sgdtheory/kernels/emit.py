"""Print a Program as one text: the step, and the loop over replicas and steps.

The ``numba`` and the ``python`` target share every line but the first few, and how a number is written; the second is
the first's plain twin. What both call (random numbers, functions) is imported: compiled from `library`, or as it
stands. The ``cuda`` target is the same text translated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from sgdtheory.derive.sufficient import BatchMeans
from sgdtheory.dynamics import Dynamics
from sgdtheory.errors import ArgumentError
from sgdtheory.kernels import random
from sgdtheory.kernels.calls import row_functions
from sgdtheory.kernels.cuda import translate
from sgdtheory.kernels.draws import draws_alone
from sgdtheory.kernels.library import ENTRIES, MATH, PRIMITIVES, library_name
from sgdtheory.kernels.loop import loop, positions_alone
from sgdtheory.kernels.lower import POSITIONS, Block, Draws, Noise, Program, Recording, Start, lower, share
from sgdtheory.kernels.printer import print_expression
from sgdtheory.kernels.rows import Rows, role, row
from sgdtheory.kernels.text import arguments, names
from sgdtheory.kernels.workspace import LANES, looks_nowhere_else

Target = Literal["numba", "python", "cuda"]
TARGETS = ("numba", "python", "cuda")
_LANES = f"LANES = {LANES}"


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
    target : {"numba", "python", "cuda"}
    recording : Recording
        What is kept of a run besides the positions.
    means : BatchMeans, optional
        Draw these instead of the examples of a batch.
    noise : {"float64", "float32"}
        Grade of normal draws.

    Returns
    -------
    str
        A module with one function ``run``; for ``cuda``, C++ with one function ``kernel``.

    Raises
    ------
    ArgumentError
        For an unknown target, or an expression that cannot be printed.
    """
    if target not in TARGETS:
        raise ArgumentError("target", target, " | ".join(TARGETS))
    program = lower(dynamics, start, recording, means, noise)
    own = _functions(program)
    run = loop(program)
    text = "\n".join((*own, run))
    own = list(map(_with_float64, own)) if target == "python" else own
    parts = [_legend(dynamics), *([_head(target, text)] if target != "cuda" else []), *own, run]
    source = "\n\n".join(part.strip("\n") + "\n" for part in parts)
    return translate(source, program.sizes[3]) if target == "cuda" else source


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


def _head(target: Target, text: str) -> str:
    """Return the lines that name what a text calls, and where it comes from."""
    called = [name for name in ENTRIES if re.search(rf"\b{name}\(", text)]
    if target == "numba":
        own = f"from {library_name()} import {', '.join(['compiled', 'inline', 'u32', *called])}"
        return f"from math import {MATH}\n\nimport numpy as np\n\n{own}\n\n{_LANES}"
    random_own = [name for name in called if hasattr(random, name)]
    lines = [
        *([f"from sgdtheory.kernels.random import {', '.join(random_own)}"] if random_own else []),
        f"from sgdtheory.kernels.plain import {MATH}, {PRIMITIVES}",
        *(f"from sgdtheory.kernels.functions import {name}" for name in called if name not in random_own),
        "\nimport numpy as np",
        "\n\ndef inline(function):\n    return function\n",
        f"\ncompiled = inline\n{_LANES}",
    ]
    return "\n".join(lines)


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
    read = set(block.read(names(prefix, count)))
    return [line for line in _unpack(prefix, count, array) if line.split(" ")[0] in read]


def _primitives(draws: Draws) -> list[str]:
    """Name the primitive draws a block reads; each χ² has used up a normal and a uniform number."""
    spent = len(draws.chi_squares)
    return names("n", draws.normals - spent) + names("u", draws.uniforms - spent) + names("k", spent)


def _functions(program: Program) -> list[str]:
    """Return the pure functions of one replica, on scalars."""
    d, m, k, n, q = program.sizes
    parts = []
    rows = program.by_rows
    if program.start and not (rows and rows.start):
        lines = _unpack("q", q, "q") + _body(program.start.block)
        parts.append(_function("start", arguments(*_primitives(program.start), "q"), lines))
    if program.data and not (rows and rows.example) and not (rows is None and draws_alone(program.data)):
        lines = _used("p", n, program.data.block, "p") + _body(program.data.block)
        batch = ["batch"] if program.sampling == "batch means" else []
        parts.append(_function("example", arguments(*_primitives(program.data), *batch, "p"), lines))
    state = names("s", m)
    pure: dict[str, tuple[list[str], Block | None]] = {
        "gradient_at": (state, None if rows or looks_nowhere_else(program) else program.gradient_at),
        "example_terms": (names("s", d) + names("x", k), None if rows and rows.terms else program.example_terms),
        "batch_gradient": (names("s", d) + names("m", program.averages), program.batch_gradient),
        "step_state": (
            state + names("g", d) + names("z", program.injected), None if rows else program.step,
        ),
        "observe": (state, None if positions_alone(program) else program.recorded),
        "happened": (state, program.events),
    }  # fmt: skip
    for name, (inputs, block) in pure.items():
        if block and block.results:
            lines = _used("p", n, block, "p") + _body(block)
            parts.append(_function(name, arguments(*block.read(inputs), "p"), lines))
    return parts + [_row_function(name, found) for name, found in row_functions(program).items()]


def _row_function(name: str, rows: Rows) -> str:
    """Return what one row of many is, from its own numbers and those all rows share."""
    block = share(rows.results)
    numbers = [s.name for s, _ in rows.strides if role(s) != "p"]
    parameters = [f"{s.name} = p[{row(s)}]" for s, _ in rows.strides if role(s) == "p"]
    return _function(name, arguments(*numbers, "p"), parameters + _body(block))


def _with_float64(source: str) -> str:
    """Write numbers as float64 scalars: Python's own raise where compiled ones divide by zero."""
    return re.sub(r"(?<![\w.])\d+(\.\d+(e[+-]?\d+)?|e[+-]?\d+)", r"np.float64(\g<0>)", source)
