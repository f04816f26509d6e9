"""The penalty momentum adds, on a loss that is not quadratic: iterates against the flow of the changed loss."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import sympy as sp

from sgdtheory import SGD, EMAMomentum, symbols
from sgdtheory.derive.expansion import root_series
from sgdtheory.derive.stability import step_matrix
from sgdtheory.theory.registry import find
from sgdtheory.theory.stationarity.heavy_ball import slow_mode

η, μ = symbols.lr, symbols.momentum
PENALTY = find("STA-09").statement.rhs
x = sp.Symbol("x", real=True)
LOSS = x**4 / 4 + x**2 / 2
_slope = sp.lambdify(x, sp.diff(LOSS, x))


def flow(field: Callable[[float], float], start: float, time: float) -> float:
    """Runge and Kutta's fourth order in 2000 steps."""
    step, at = time / 2000, start
    for _ in range(2000):
        k1 = field(at)
        k2 = field(at + step * k1 / 2)
        k3 = field(at + step * k2 / 2)
        k4 = field(at + step * k3)
        at += step * (k1 + 2 * k2 + 2 * k3 + k4) / 6
    return at


def iterate(lr: float, mu: float, start: float, buffer: float, steps: int) -> tuple[float, float]:
    theta = start
    for _ in range(steps):
        buffer = mu * buffer + (1 - mu) * _slope(theta)
        theta -= lr * buffer
    return theta, buffer


def error(lr: float, mu: float, penalty: float) -> float:
    """From time ½, when the buffer has forgotten its start, to 1½: iterates less the flow on L + c|∇L|²."""
    steps = round(1 / lr)
    begun, buffer = iterate(lr, mu, 1.0, _slope(1.0), steps // 2)
    ends, _ = iterate(lr, mu, begun, buffer, steps)
    field = sp.lambdify(x, -sp.diff(LOSS + penalty * sp.diff(LOSS, x) ** 2, x))
    return abs(ends - flow(field, begun, steps * lr))


@pytest.mark.parametrize("mu", [0.0, 0.5, 0.8])
def test_iterates_follow_the_changed_loss_to_second_order(mu: float) -> None:
    """Halving η quarters the error with the penalty, and only halves it without one or with another."""
    rates = (0.01, 0.005, 0.0025)

    def errors(factor: float) -> list[float]:
        return [error(lr, mu, factor * float(PENALTY.subs({η: lr, μ: mu}))) for lr in rates]

    assert all(3.4 < big / small < 4.6 for big, small in pairwise(errors(1.0)))
    for factor in (0.0, 0.5, 2.0, -1.0):
        assert all(1.6 < big / small < 2.4 for big, small in pairwise(errors(factor)))


def test_without_momentum_it_is_plain_descents_quarter() -> None:
    assert PENALTY.subs(μ, 0) == η / 4
    (plain,) = step_matrix(SGD())
    h = symbols.curvature
    rate = -sp.series(sp.log(plain), η, 0, 3).removeO() / η
    assert sp.simplify((rate - h) / (2 * h**2) - η / 4) == 0
    assert sp.simplify(slow_mode()[symbols.penalty].subs(μ, 0) - η / 4) == 0


def test_the_slow_eigenvalue_by_numbers() -> None:
    matrix = step_matrix(EMAMomentum(), 1)
    z = sp.Symbol("z")
    series = root_series(sp.Poly(matrix.charpoly(z).as_expr(), z), sp.S.One, η, 5)
    numbers = {η: sp.Rational(1, 1000), μ: sp.Rational(1, 2)}
    exact = max(sp.N(root, 30) for root in matrix.subs(numbers).eigenvals())
    assert abs(sp.N(series.subs(numbers), 30) - exact) < 1e-13
