"""Adaptive optimizers transcribed line by line, in floats: PyTorch's from its documentation, the lectures' from slides.

Every number may be a function of the step t = 1, 2, …, as a schedule is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Field = Callable[[Vector], Vector]
Number = float | Callable[[int], float]


def _at(number: Number, t: int) -> float:
    return number(t) if callable(number) else number


def _run(step: Callable[[Vector, Vector, int], Vector], gradient: Field, start: Sequence[float], steps: int) -> Vector:
    path = [np.array(start, dtype=float)]
    for t in range(1, steps + 1):
        path.append(step(path[-1], gradient(path[-1]), t))
    return np.array(path)


def torch_sgd(
    gradient: Field, start: Sequence[float], steps: int, *, lr: Number, momentum: float = 0.0,
    weight_decay: float = 0.0, nesterov: bool = False,
) -> Vector:  # fmt: skip
    buffer: list[Vector] = []

    def step(theta: Vector, g: Vector, t: int) -> Vector:
        g = g + weight_decay * theta
        if momentum:
            buffer[:] = [momentum * buffer[0] + g if buffer else g]
            g = g + momentum * buffer[0] if nesterov else buffer[0]
        return theta - _at(lr, t) * g

    return _run(step, gradient, start, steps)


def torch_rmsprop(
    gradient: Field, start: Sequence[float], steps: int, *, lr: Number, alpha: Number, eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Vector:  # fmt: skip
    square = np.zeros(len(start))

    def step(theta: Vector, g: Vector, t: int) -> Vector:
        g = g + weight_decay * theta
        square[:] = _at(alpha, t) * square + (1 - _at(alpha, t)) * g**2
        return theta - _at(lr, t) * g / (np.sqrt(square) + eps)

    return _run(step, gradient, start, steps)


def torch_adam(
    gradient: Field, start: Sequence[float], steps: int, *, lr: Number, beta1: Number, beta2: Number,
    eps: float = 1e-8, weight_decay: float = 0.0, decoupled: bool = False,
) -> Vector:  # fmt: skip
    m, v = np.zeros(len(start)), np.zeros(len(start))

    def step(theta: Vector, g: Vector, t: int) -> Vector:
        rate, b1, b2 = _at(lr, t), _at(beta1, t), _at(beta2, t)
        if decoupled:
            theta = theta - rate * weight_decay * theta
        else:
            g = g + weight_decay * theta
        m[:] = b1 * m + (1 - b1) * g
        v[:] = b2 * v + (1 - b2) * g**2
        return theta - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)

    return _run(step, gradient, start, steps)


def slides_rmsprop(
    gradient: Field, start: Sequence[float], steps: int, *, lr: Number, alpha: float, eps: float
) -> Vector:
    s = np.zeros(len(start))

    def step(phi: Vector, g: Vector, t: int) -> Vector:
        s[:] = alpha * s + (1 - alpha) * g**2
        return phi - _at(lr, t) / np.sqrt(s + eps) * g

    return _run(step, gradient, start, steps)


def slides_adam(
    gradient: Field, start: Sequence[float], steps: int, *, lr: Number, beta1: float, beta2: float, eps: float
) -> Vector:
    g_mean, s = np.zeros(len(start)), np.zeros(len(start))

    def step(phi: Vector, g: Vector, t: int) -> Vector:
        g_mean[:] = beta1 * g_mean + (1 - beta1) * g
        s[:] = beta2 * s + (1 - beta2) * g**2
        return phi - _at(lr, t) / np.sqrt(s + eps) * g_mean

    return _run(step, gradient, start, steps)


def by_torch(optimizer: str, gradient: Field, start: Sequence[float], steps: int, **settings: Any) -> Vector:
    """The same by ``torch.optim``; schedules are written into its parameter group before every step."""
    import torch

    pairs = {name: settings.pop(name) for name in ("beta1", "beta2") if name in settings}
    theta = torch.tensor(list(start), dtype=torch.float64, requires_grad=True)
    numbers = {name: value for name, value in settings.items() if not callable(value)}
    starting = {"betas": (0.9, 0.999)} if pairs else {}
    rule = getattr(torch.optim, optimizer)([theta], **({"lr": 1.0} | numbers | starting))
    path = [theta.detach().numpy().copy()]
    for t in range(1, steps + 1):
        rule.param_groups[0].update({name: _at(value, t) for name, value in settings.items()})
        if pairs:
            rule.param_groups[0]["betas"] = tuple(_at(value, t) for value in pairs.values())
        theta.grad = torch.tensor(gradient(theta.detach().numpy()))
        rule.step()
        path.append(theta.detach().numpy().copy())
    return np.array(path)
