"""Naive against true loss change allocation: the naive one sees learning for ever, the true one stops.

SGD with minibatch noise on a quadratic whose two parameters do not separate. The naive allocation multiplies a step by
the minibatch gradient that made it; the true one follows the full loss along the step. The curvature and the noise do
not commute, so that even in the long run one parameter hurts on average and the other repairs it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from matplotlib.axes import Axes

import sgdtheory as sgd
from sgdtheory.derive.moments import covariance_step, quadratic_mean
from sgdtheory.measure.allocation import allocate, residual
from sgdtheory.plots import artists
from sgdtheory.plots.artists import Look
from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, save, style
from sgdtheory.theory import loss_change_allocation as lca

HESSIAN = sp.Matrix([[1, sp.Rational(4, 5)], [sp.Rational(4, 5), 1]])
COVARIANCE = sp.diag(4, sp.Rational(1, 4))
LR, BATCH_SIZE, START, STEPS = sp.Rational(1, 2), 4, (3, -1), 40
ONE_RUN_STEPS = 300
NAIVE, TRUE = Look("naive, $-\\eta|\\hat g|^2$", BLUE, "o", "--"), Look("true, along the step", RED, "s", "-")
PARAMETERS = (Look("$w_1$", GREEN, "^", "-"), Look("$w_2$", ORANGE, "D", "--"))


class Measured(NamedTuple):
    """Allocations of simulated steps, each of shape (replicas, steps, 2), and what they miss of the loss change."""

    naive: np.ndarray
    true: np.ndarray
    residual: float
    loss_change: float
    diverged: int


def problem() -> sgd.Problem:
    """Return the quadratic."""
    return sgd.quadratic(HESSIAN, COVARIANCE)


def simulate(replicas: int, steps: int, rng: int) -> Measured:
    """Run SGD and allocate every step's loss change both ways."""
    run = sgd.simulate(
        problem(), sgd.SGD(lr=LR), steps=steps, replicas=replicas, init=START, batch_size=BATCH_SIZE, rng=rng
    )
    loss = sgd.numeric_loss(problem())
    true = allocate(run.w.values, loss.gradient, nodes=1)  # one node is exact for a quadratic
    batch_gradient = run.w.diff("step").values / -float(LR)
    naive = sp.lambdify(lca.G, lca.naive_allocation().subs(lca.η, LR))(batch_gradient)
    losses = loss.value(run.w.values)
    miss = float(np.abs(residual(true, losses)).max())
    return Measured(naive, true, miss, float((losses[:, -1] - losses[:, 0]).mean()), run.attrs["diverged"])


def predicted(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean naive and true allocations of every step, each of shape (steps, 2), from E wwᵀ step by step."""
    m = sp.Matrix(2, 2, lambda i, j: sp.Symbol(f"M{min(i, j)}{max(i, j)}"))
    entries = (m[0, 0], m[0, 1], m[1, 1])
    after = covariance_step(problem(), sgd.SGD(lr=LR), BATCH_SIZE, m)  # the minimum is 0: the same map takes E wwᵀ
    advance = sp.lambdify(entries, [after[0, 0], after[0, 1], after[1, 1]])
    means = sp.lambdify(entries, [mean_allocations(i, HESSIAN * m * HESSIAN) for i in (0, 1)])
    state = [float(a * b) for a, b in zip((START[0], *START), (*START, START[1]), strict=True)]
    state, rows = [float(START[0] ** 2), float(START[0] * START[1]), float(START[1] ** 2)], []
    for _ in range(steps):
        rows.append(means(*state))
        state = advance(*state)
    naive, true = np.moveaxis(np.array(rows), 2, 0)
    return naive, true
