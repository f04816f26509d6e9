"""Where a kernel keeps its numbers: rows of one array, a row for every number a replica has."""

from __future__ import annotations

from sgdtheory.kernels.lower import Program
from sgdtheory.kernels.text import names

LANES = 128
"""Replicas advanced together: enough to fill vector registers, few enough for the first-level cache."""
WHOLE = 32
"""Lanes are advanced in multiples of so many, so that no loop over them has a rest that is no vector."""
SHUFFLED = ("one epoch", "reshuffle", "without replacement")
"""Ways to draw a batch that keep an order of the samples."""


def workspace(program: Program) -> list[str]:
    """Cut one array into a row for every number of a replica: that its parts do not overlap, a compiler can see."""
    rows = _rows(program)
    normals: dict[str, int] = {r: rows.pop(r) for r in ("n", "z") if r in rows and program.noise == "float32"}
    lines = [*_cut("work", "np.float64", rows), *_cut("noise", "np.float32", normals)]
    lines += _cut("integers", "np.uint32", {"words": 3, **dict.fromkeys(_streams(program), 4)})
    if program.data is None:
        lines.append("index = np.empty(LANES, np.int64)")
    if program.sampling in SHUFFLED:
        lines.append("order = np.empty((LANES, data.shape[0]), np.int64)")
    return lines


def _cut(array: str, dtype: str, rows: dict[str, int]) -> list[str]:
    if not rows:
        return []
    lines, first = [f"{array} = np.empty(({sum(rows.values())}, LANES), {dtype})"], 0
    for name, count in rows.items():
        lines.append(f"{name} = {array}[{first}:{first + count}]")
        first += count
    return lines


def _rows(program: Program) -> dict[str, int]:
    """Return how many numbers of each role a replica has: state, point, averages, draws, samples."""
    d, m, k, _, _ = program.sizes
    draws = [(program.start, 1), (program.data, drawn_together(program))]
    counts = {
        "s": m,
        "e": d if point_rows(program) == "e" else 0,
        "m": program.averages,
        "n": max(even(times * draw.normals) for draw, times in draws if draw) if program.start or program.data else 0,
        "u": max([times * draw.uniforms for draw, times in draws if draw], default=0),
        "k": max([len(draw.chi_squares) for draw, _ in draws if draw], default=0),
        "z": program.injected * (1 + program.injected % 2),
    }
    if program.data is None:
        counts |= {"u": max(counts["u"], 1), "x": k}
    if program.by_rows:
        counts |= {"x": k, "g": d if program.batch_gradient else 0}
        counts["a"] = len(program.by_rows.terms.totals) if program.by_rows.terms else 0
    return {role: count for role, count in counts.items() if count}


def point_rows(program: Program) -> str:
    """Name the rows of the points gradients are taken at: those of the coordinates, unless they are others."""
    return "s" if looks_nowhere_else(program) else "e"


def looks_nowhere_else(program: Program) -> bool:
    """Whether the gradient is taken at the coordinates."""
    return [str(e) for e in program.gradient_at.results] == names("s", program.sizes[0])


def drawn_together(program: Program) -> int:
    """Return how many draws of data are made together, so that none of a pair of normal numbers is wasted."""
    shared = program.sampling == "batch means" or not program.by_rows  # by two steps, or by two examples
    return 2 if program.data and program.data.normals % 2 and shared else 1


def even(count: int) -> int:
    """Return the next even number."""
    return count + count % 2


def _streams(program: Program) -> list[str]:
    """Return the arrays that hold states of streams: one that begins anew for every use, and those that span steps."""
    sampled = program.data is None and program.sampling != "full batch"
    used = program.start is not None or sampled or (program.data is not None and program.sampling == "fresh")
    spanning = {"sums": program.sampling == "batch means", "kicks": program.injected > 0}
    return (["stream"] if used else []) + [name for name, there in spanning.items() if there]
