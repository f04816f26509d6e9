"""Small pieces of generated text: names by role, calls, loops over the replicas of a block."""

from __future__ import annotations

from collections.abc import Sequence

from sgdtheory.kernels.lower import Draws


def names(prefix: str, count: int) -> list[str]:
    """Return ``prefix0, prefix1, …``."""
    return [f"{prefix}{i}" for i in range(count)]


def arguments(*parts: str) -> str:
    """Join the arguments of a call."""
    return ", ".join(parts)


def primitives(draws: Draws) -> list[str]:
    """Name the primitive draws a block reads."""
    spent = len(draws.chi_squares)  # each χ² uses up a normal and a uniform number
    return names("n", draws.normals - spent) + names("u", draws.uniforms - spent) + names("k", spent)


def at_lane(arrays: Sequence[str]) -> list[str]:
    """Name the entries of arrays at one lane."""
    return [f"{name}[lane]" for name in arrays]


def assign(targets: Sequence[str], call: str) -> str:
    """Assign the tuple a call returns."""
    return f"{', '.join(targets)}{',' if len(targets) == 1 else ''} = {call}"


def lanes(*lines: str) -> list[str]:
    """Loop over the replicas of a block."""
    return ["for lane in range(count):", *(f"    {line}" for line in lines)]


def indent(lines: Sequence[str], depth: int = 1) -> list[str]:
    """Indent lines by so many levels."""
    return ["    " * depth + line for line in lines]
