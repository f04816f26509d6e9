"""Modified equations: the drift on losses that are not quadratic, orders at a fixed time, and the repaired noise."""

from __future__ import annotations

import math

import pytest
import sympy as sp
from hypothesis import given, settings

from sgdtheory import symbols
from sgdtheory.testing import polynomials
from sgdtheory.theory.stationarity.modified_equations import match_step, modified_drift, moments_in_time

η, B, h, σ = symbols.lr, symbols.batch_size, symbols.curvature, symbols.noise_std
w = sp.Symbol("w", real=True)


def flow_after(drift: sp.Expr, order: int) -> sp.Expr:
    """Taylor series in time of dw/dt = drift, after a time η."""
    terms, derivative = [w], drift
    for k in range(1, order + 1):
        terms.append(derivative * η**k / sp.factorial(k))
        derivative = sp.expand(derivative.diff(w) * drift)
    return sp.expand(sp.Add(*terms))


@settings(max_examples=10)
@given(polynomials([w], 3))
def test_the_second_drift_follows_a_step_on_any_loss_to_second_order(loss: sp.Expr) -> None:
    step = w - η * loss.diff(w)
    for order in (1, 2):
        error = sp.expand(flow_after(modified_drift(loss, w, order), order) - step)
        assert all(error.coeff(η, k) == 0 for k in range(order + 1))


def test_the_second_drift_is_a_gradient() -> None:
    loss = w**2 / 2 + w**4 / 4
    potential = loss + η * loss.diff(w) ** 2 / 4
    assert sp.expand(modified_drift(loss, w, 2) + potential.diff(w)) == 0


def test_terms_of_the_long_run_variance_in_the_usual_units() -> None:
    case = match_step()
    unit = η**2 * σ**2 / B
    shares = [
        sp.expand(case[v]).coeff(η, 2) * η**2 / unit
        for v in (symbols.variance, symbols.variance_sme1, symbols.variance_sme2)
    ]
    assert shares == [sp.Rational(1, 4), 0, -sp.Rational(1, 4)]


def test_order_two_is_further_from_sgd_in_the_long_run_though_nearer_at_any_time() -> None:
    case = match_step()
    one, two = (abs((case[v] - case[symbols.variance]).subs({η: 0.1, h: 1, σ: 1, B: 1})) for v in
                (symbols.variance_sme1, symbols.variance_sme2))  # fmt: skip
    assert two == pytest.approx(2 * one)
    exact = 0.9**20
    by_order = [
        math.exp(-2 * float(case[rate].subs({η: 0.1, h: 1}))) for rate in (symbols.rate_sme1, symbols.rate_sme2)
    ]
    assert abs(by_order[1] - exact) < abs(by_order[0] - exact) / 10


def test_noise_larger_by_a_factor_repairs_the_variance() -> None:
    rate = match_step()[symbols.rate_sme2]
    repaired = η * σ**2 * (1 + η * h) / (2 * B * rate)
    exact = η * σ**2 / (B * h * (2 - η * h))
    assert sp.series(repaired - exact, η, 0, 3).removeO().simplify() == 0


@pytest.mark.parametrize("lr", ["0.02", "0.01"])
def test_the_recursions_error_is_of_the_order_stated(lr: str) -> None:
    point = {η: sp.Rational(lr), h: sp.Integer(1), σ: sp.Integer(1), B: sp.Integer(1)}
    case = moments_in_time(point)
    expansion = (η / 2 + η**2 / 4).subs(point)
    assert case[symbols.variance] / float(expansion) - 1 == pytest.approx(float(point[η]) ** 2 / 4, rel=0.05)
