"""torch.optim.SGD (dampening 0, no weight decay), transcribed line by line from its documentation.

b ← g                        at the first step, if μ ≠ 0
b ← μ b + g                  later
g ← g + μ b                  if nesterov
g ← b                        otherwise, if μ ≠ 0
θ ← θ − γ g
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

Vector = list[sp.Expr]


def pytorch_sgd(
    gradient: Callable[[Vector], Vector], start: Vector, lr: sp.Expr, momentum: sp.Expr, nesterov: bool, steps: int
) -> list[Vector]:
    """The parameters before the first and after each step."""
    theta, path = list(start), [list(start)]
    buffer: Vector | None = None
    for _ in range(steps):
        grad = gradient(theta)
        if momentum != 0:
            first = buffer is None
            buffer = list(grad) if first else [momentum * b + g for b, g in zip(buffer, grad, strict=True)]
            grad = [g + momentum * b for g, b in zip(grad, buffer, strict=True)] if nesterov else buffer
        theta = [t - lr * g for t, g in zip(theta, grad, strict=True)]
        path.append(list(theta))
    return path
