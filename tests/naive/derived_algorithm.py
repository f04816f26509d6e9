"""The lectures' derived algorithm, line by line from the slides, in floats; one coordinate, one run."""

from __future__ import annotations

import math
from collections.abc import Sequence


def derived_algorithm(
    examples: Sequence[Sequence[float]], start: float, *, L: float, z: float = 2, K: int, form: str,
    low: float = 1e-3, high: float = 0.5,
) -> list[tuple[float, float, float]]:  # fmt: skip
    """Return (β, g̃, s̃) after every step on ½(β − y)²; each step averages over one batch of y."""
    beta, mean, square = start, 0.0, 0.0
    path = [(beta, mean, square)]
    for t, batch in enumerate(examples, start=1):
        estimate = sum(beta - y for y in batch) / len(batch)
        if t <= K:
            a, lr = 1 / t, 0.0
        else:
            variance = square - mean**2
            if form == "corrected":
                best = 4 * z**2 * len(batch) * variance / mean**2
                a = min(max(len(batch) / best if best > 0 else math.inf, low), high)
            else:
                best = 4 * z**2 * variance / mean**2
                a = len(batch) / best if best else math.inf
                if form == "repaired":
                    a = a if 0 < a < 1 else 1.0
            lr = a / (2 * L)
        carried = mean if form == "slides" else square
        mean, square = (1 - a) * mean + a * estimate, (1 - a) * carried + a * estimate**2
        beta = beta - lr * estimate
        path.append((beta, mean, square))
    return path
