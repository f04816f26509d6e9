"""The draws of a kernel as text: streams begun, normal and uniform numbers and χ² filled into rows."""

from __future__ import annotations

from sgdtheory.kernels import random
from sgdtheory.kernels.lower import Draws, Program
from sgdtheory.kernels.text import arguments, assign, at_lane, names
from sgdtheory.kernels.workspace import even

_RETRY_SLOTS = 2**16
"""Where the further trials of a χ² number have their addresses, far from where streams begin."""


def begin(stream: str, step: str, purpose: int) -> str:
    """Begin the streams of a block."""
    return f"begin_stream(key, base, {step}, {purpose}, count, {stream})"


def fill(program: Program, stream: str, normals: int, uniforms: int) -> list[str]:
    """Draw so many normal and uniform numbers from a stream."""
    lines = [f"fill_{_kind(program)}({stream}, count, words, n[0:{even(normals)}])"] if normals else []
    return lines + ([f"fill_uniforms({stream}, count, words, u[0:{uniforms}])"] if uniforms else [])


def draw_kicks(program: Program) -> list[str]:
    """Draw the normal numbers of the optimizer's own."""
    return _spanning(program, "kicks", random.STEP, "z", program.injected, "late") if program.injected else []


def draw_sums(program: Program) -> list[str]:
    """Draw what the sums over a batch are made of."""
    assert program.data
    normals, uniforms = program.data.normals, program.data.uniforms
    lines = _spanning(program, "sums", random.DATA, "n", normals, "later")
    lines += [f"fill_uniforms(sums, count, words, u[0:{uniforms}])"] if uniforms else []
    shift = _later(program)
    for i, fewer in enumerate(program.data.chi_squares):
        first = len(program.data.chi_squares)
        z, u = normals - first + i, uniforms - first + i
        retry, degrees = (i + 1) * _RETRY_SLOTS, f"batch - {fewer}" if fewer else "batch"
        row = f"n[{z} + {shift}]" if shift else f"n[{z}]"
        lines.append(
            f"fill_chi_squares(key, base, step, {retry}, {random.DATA}, count, {row}, u[{u}], k[{i}], float({degrees}))"
        )
    return lines


def drawn_averages(program: Program) -> list[str]:
    """Work out the averages from what was drawn."""
    assert program.data
    values = primitive_draws(program, program.data, _later(program))
    return [assign(at_lane("m", program.averages), f"example({arguments(*values, 'batch', 'p')})")]


def _later(program: Program) -> str:
    """Name the shift to the second half of a row of draws, where two steps share it."""
    return "later" if program.sampling == "batch means" and program.data and program.data.normals % 2 else ""


def _spanning(program: Program, stream: str, purpose: int, role: str, count: int, shift: str) -> list[str]:
    """Draw so many normal numbers a step from a stream that spans steps; an odd number for two steps at once."""
    kind = _kind(program)
    beginning = [f"if (step - 1) % {random.SPAN} == 0:", f"    {begin(stream, 'step', purpose)}"]
    if count % 2 == 0:
        return [*beginning, f"fill_{kind}({stream}, count, words, {role}[0:{count}])"]
    return [
        *beginning,
        f"{shift} = (step - 1) % 2 * {count}",
        f"if {shift} == 0:",
        f"    fill_{kind}({stream}, count, words, {role}[0:{2 * count}])",
    ]


def primitive_draws(program: Program, draws: Draws, shift: str = "") -> list[str]:
    """Name the primitive draws a block reads; each χ² has used up a normal and a uniform number."""
    spent = len(draws.chi_squares)
    normals = as_floats(program, at_lane("n", draws.normals - spent, shift))
    return normals + at_lane("u", draws.uniforms - spent) + at_lane("k", spent)


def as_floats(program: Program, numbers: list[str]) -> list[str]:
    """Read normal numbers as float64, whatever they are kept in; what is compiled as ``float`` leaves a float32 one."""
    return [f"np.float64({number})" for number in numbers] if program.noise == "float32" else numbers


def _kind(program: Program) -> str:
    """Name what fills rows with normal numbers."""
    return "single_normals" if program.noise == "float32" else "normals"


def draws_alone(draws: Draws) -> bool:
    """Whether examples are standard normal numbers as they are drawn."""
    return [str(e) for e in draws.block.results] == names("n", draws.normals) and draws.uniforms == 0
