"""Small pieces of generated text: names by role, calls, loops over the replicas of a block."""

from __future__ import annotations

from collections.abc import Sequence


def names(prefix: str, count: int) -> list[str]:
    """Return ``prefix0, prefix1, …``."""
    return [f"{prefix}{i}" for i in range(count)]


def arguments(*parts: str) -> str:
    """Join the arguments of a call."""
    return ", ".join(parts)


def at_lane(role: str, count: int, shift: str = "") -> list[str]:
    """Name one replica's numbers of a role: ``role[0, lane], …``; with a shift, those so many rows further on."""
    return [f"{role}[{i}{f' + {shift}' if shift else ''}, lane]" for i in range(count)]


def assign(targets: Sequence[str], call: str) -> str:
    """Assign the tuple a call returns."""
    return f"{', '.join(targets)}{',' if len(targets) == 1 else ''} = {call}"


def lanes(*lines: str) -> list[str]:
    """Loop over the lanes of a block: its replicas, and those that fill the last vector."""
    return ["for lane in range(count):", *(f"    {line}" for line in lines)]


def replicas(*lines: str) -> list[str]:
    """Loop over the replicas of a block alone: what touches arrays that were handed over."""
    return ["for lane in range(here):", *(f"    {line}" for line in lines)]


def indent(lines: Sequence[str], depth: int = 1) -> list[str]:
    """Indent lines by so many levels."""
    return ["    " * depth + line for line in lines]
