"""Limits of linear stability against eigenvalues, exact orbits, and rules made up to break the derivation."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
import sympy as sp

from sgdtheory import symbols
from sgdtheory.derive.stability import schur_conditions, stability_limit, step_matrix
from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.optimizers import SGD, EMAMomentum, Momentum, Nesterov, Optimizer
from sgdtheory.symbols import step as t

η, μ, θ, g, h = symbols.lr, symbols.momentum, symbols.theta, symbols.gradient, symbols.curvature
RULES = [SGD, Momentum, EMAMomentum, Nesterov]
MOMENTA = [sp.S.Zero, sp.Rational(1, 100), sp.Rational(1, 2), sp.Rational(9, 10), sp.Rational(999, 1000)]


def rule_with(rule: object, lr: object, momentum: object) -> Optimizer:
    return SGD(lr=lr) if rule is SGD else rule(lr=lr, momentum=momentum)  # type: ignore[arg-type, operator]


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_schur_conditions_say_where_the_roots_are(degree: int) -> None:
    random, z, seen = Random(degree), sp.Symbol("z"), set()
    for _ in range(200):
        coefficients = [sp.Rational(random.randint(-18, 18), 12) for _ in range(degree)]
        polynomial = sp.Poly([1, *coefficients], z)
        radius = abs(np.roots([1.0, *map(float, coefficients)])).max()
        if abs(radius - 1) < 1e-6:
            continue  # the roots' rounding could decide
        stable = all(condition > 0 for condition in schur_conditions(polynomial))
        assert stable == (radius < 1), polynomial
        seen.add(stable)
    assert seen == {True, False}


def test_schur_conditions_of_degree_two_are_jurys() -> None:
    z, a, b = sp.symbols("z a b", real=True)
    first, second = schur_conditions(sp.Poly(z**2 + a * z + b, z))
    assert sp.expand(first - (1 - b**2)) == 0
    assert sp.expand(second - (1 - b) ** 2 * (1 + a + b) * (1 - a + b)) == 0


@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("rule", RULES)
def test_eigenvalues_cross_the_unit_circle_at_the_limit(rule: object, momentum: sp.Rational) -> None:
    limit = stability_limit(rule_with(rule, η, momentum))
    for factor, stable in ((sp.Rational(999_999, 1_000_000), True), (sp.Rational(1_000_001, 1_000_000), False)):
        matrix = step_matrix(rule_with(rule, limit * factor / 3, momentum), 3)
        radius = abs(np.linalg.eigvals(np.array(matrix, dtype=float))).max()
        assert (radius < 1) == stable


@pytest.mark.parametrize("rule", RULES)
def test_the_whole_interval_below_the_limit_is_stable(rule: object) -> None:
    for momentum in MOMENTA:
        limit = float(stability_limit(rule_with(rule, η, momentum)))
        for part in np.linspace(0.001, 0.999, 25):
            matrix = step_matrix(rule_with(rule, limit * part, momentum), 1)
            assert abs(np.linalg.eigvals(np.array(matrix, dtype=float))).max() < 1


@pytest.mark.parametrize("rule", RULES)
def test_at_the_limit_a_step_flips_a_direction_for_ever(rule: object) -> None:
    momentum = sp.Rational(1, 2)
    matrix = step_matrix(rule_with(rule, stability_limit(rule_with(rule, η, momentum)) / 2, momentum), 2)
    assert (matrix + sp.eye(matrix.rows)).det() == 0


@pytest.mark.parametrize("rule", RULES)
def test_step_matrix_is_the_step(rule: object) -> None:
    optimizer = rule_with(rule, sp.Rational(1, 7), sp.Rational(1, 3))
    state = sp.Matrix([sp.Rational(2, 5), sp.Rational(-3, 4)][: 1 + len(optimizer.buffers)])
    theta, memory = optimizer.step([state[0]], [list(state[1:])], lambda w: [5 * w[0]])
    assert list(step_matrix(optimizer, 5) * state) == [*theta, *memory[0]]


def test_symbols_stay_symbols_and_the_learning_rate_does_not_matter() -> None:
    m = sp.Symbol("m", nonnegative=True)
    assert sp.simplify(stability_limit(Nesterov(momentum=m)) - 2 * (1 + m) / (1 + 2 * m)) == 0
    assert stability_limit(SGD(lr=17)) == 2
    assert stability_limit(Momentum(lr=0.001, momentum=0.9)) == pytest.approx(3.8, rel=1e-15)
    assert sp.simplify(stability_limit(EMAMomentum()) - stability_limit(Momentum()) / (1 - μ)) == 0


def test_a_curvature_may_share_its_symbol_with_the_learning_rate() -> None:
    assert step_matrix(SGD(lr=1 / h), h)[0] == 0


def test_a_rule_that_ignores_the_gradient_is_stable_everywhere() -> None:
    assert stability_limit(replace(SGD(), position=θ / 2)) == sp.oo


@pytest.mark.parametrize(
    ("position", "why"),
    [
        (θ - η * sp.sign(g), "not linear"),
        (θ * (1 - η) - η * g, "one by one"),
        (θ + η * g, "not stable for small"),
        (2 * θ, "not stable for small"),
    ],
    ids=["sign descent", "weight decay", "ascent", "doubling"],
)
def test_rules_without_such_a_limit_are_refused(position: sp.Expr, why: str) -> None:
    with pytest.raises(NoClosedFormError, match=why):
        stability_limit(replace(SGD(), position=position))


def test_a_limit_that_depends_on_the_momentum_case_by_case_is_refused() -> None:
    rule = replace(Momentum(), memory=(), position=θ / 2 + η * g * (μ - sp.Rational(1, 2)))
    with pytest.raises(NoClosedFormError, match="cannot be ordered"):
        stability_limit(rule)


def test_curvature_is_never_read_from_text() -> None:
    with pytest.raises(sp.SympifyError):
        step_matrix(SGD(), "h")  # type: ignore[arg-type]


def test_a_schedule_of_anything_but_the_learning_rate_has_no_limit() -> None:
    assert stability_limit(SGD(1 / t)) == 2
    with pytest.raises(ArgumentError, match=r"^momentum: got the schedule .*; allowed: a constant: the powers of one"):
        stability_limit(Momentum(0.1, 1 - 1 / (t + 1)))
