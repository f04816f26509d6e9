"""Stationary covariances against Lyapunov equations written down by hand, exact special cases, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.linalg import solve_discrete_lyapunov

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic, scalar_mean, single_feature, sticky_1d
from sgdtheory.derive.moments import covariance_step, quadratic_mean, stationary_covariance, stationary_variance
from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.laws import Dataset, Fresh, Normal, Rademacher, Uniform
from sgdtheory.optimizers import SGD, EMAMomentum, Langevin, Momentum, Nesterov, Optimizer
from sgdtheory.problem import Problem, landscape
from sgdtheory.symbols import step as t

η, μ, B, h, σ = symbols.lr, symbols.momentum, symbols.batch_size, symbols.curvature, symbols.noise_std
HALF = sp.Rational(1, 2)

HESSIANS = {
    1: sp.Matrix([[2]]),
    2: sp.Matrix([[2, 1], [1, 3]]),
    3: sp.Matrix([[2, 1, 0], [1, 3, -1], [0, -1, 1]]),
}
COVARIANCES = {
    1: sp.Matrix([[5]]),
    2: sp.Matrix([[4, -1], [-1, 1]]),
    3: sp.Matrix([[4, 2, 1], [2, 5, 1], [1, 1, 3]]),
}
RULES = {
    "sgd": SGD(lr=sp.Rational(1, 5)),
    "momentum": Momentum(lr=sp.Rational(1, 5), momentum=HALF),
    "ema-momentum": EMAMomentum(lr=sp.Rational(1, 5), momentum=HALF),
    "nesterov": Nesterov(lr=sp.Rational(1, 5), momentum=HALF),
}


def by_hand(rule: str, H: np.ndarray, lr: float = 0.2, mu: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """State matrix and noise push of (w, v), transcribed from the update rules."""
    one = np.eye(len(H))
    if rule == "sgd":
        return one - lr * H, -lr * one
    if rule == "momentum":
        return np.block([[one - lr * H, -mu * one], [lr * H, mu * one]]), np.vstack([-lr * one, lr * one])
    if rule == "ema-momentum":
        fresh = (1 - mu) * one
        return np.block([[one - lr * fresh @ H, -lr * mu * one], [fresh @ H, mu * one]]), np.vstack(
            [-lr * fresh, fresh]
        )
    ahead = mu * one - lr * mu * H
    return np.block([[one - lr * H, -ahead], [lr * H, ahead]]), np.vstack([-lr * one, lr * one])


@pytest.mark.parametrize("dimension", HESSIANS)
@pytest.mark.parametrize("rule", RULES)
def test_stationary_covariance_solves_the_lyapunov_equation_written_by_hand(rule: str, dimension: int) -> None:
    H, noise = (np.array(m[dimension], dtype=float) for m in (HESSIANS, COVARIANCES))
    step, push = by_hand(rule, H)
    expected = solve_discrete_lyapunov(step, push @ noise @ push.T / 3)
    found = stationary_covariance(quadratic(HESSIANS[dimension], COVARIANCES[dimension]), RULES[rule], 3)
    np.testing.assert_allclose(np.array(found, dtype=float), expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dimension", [1, 2])
@pytest.mark.parametrize("rule", RULES)
def test_stationary_covariance_is_a_fixed_point_exactly(rule: str, dimension: int) -> None:
    problem = quadratic(HESSIANS[dimension], COVARIANCES[dimension])
    found = stationary_covariance(problem, RULES[rule], 2)
    assert (covariance_step(problem, RULES[rule], 2, found) - found).applyfunc(sp.nsimplify).is_zero_matrix
    assert found.is_symmetric()


def test_repeated_steps_converge_to_the_stationary_covariance() -> None:
    problem, rule = quadratic(HESSIANS[2], COVARIANCES[2]), Momentum(lr=0.2, momentum=0.5)
    covariance: sp.Matrix = sp.zeros(4)
    for _ in range(60):
        covariance = covariance_step(problem, rule, 1, covariance)
    target = np.array(stationary_covariance(problem, rule, 1), dtype=float)
    np.testing.assert_allclose(np.array(covariance, dtype=float), target, rtol=1e-6)


@pytest.mark.parametrize("rule", [Momentum, EMAMomentum, Nesterov])
def test_without_momentum_every_rule_is_sgd(rule: object) -> None:
    assert sp.simplify(stationary_variance(rule(momentum=0)) - stationary_variance(SGD())) == 0  # type: ignore[operator]


def test_the_two_parametrisations_of_heavy_ball_agree() -> None:
    standard = stationary_variance(Momentum(lr=η * (1 - μ)))
    assert sp.simplify(standard - stationary_variance(EMAMomentum())) == 0


def test_averaging_window_is_one_plus_mu_over_one_minus_mu() -> None:
    """At small learning rates the buffer of the averaged form has the variance of (1 + μ)/(1 − μ) averaged examples."""
    buffer = stationary_covariance(quadratic(), EMAMomentum(), 1)[1, 1]
    assert sp.simplify(sp.limit(buffer, η, 0) - σ**2 * (1 - μ) / (1 + μ)) == 0


def test_numbers_and_symbols_give_the_same_variance() -> None:
    symbolic = stationary_variance(Nesterov(), 4)
    numeric = stationary_variance(Nesterov(lr=0.1, momentum=0.9), 4)
    point = {h: 3, σ: 2}
    assert float(numeric.subs(point)) == pytest.approx(float(symbolic.subs({η: 0.1, μ: 0.9, **point})), rel=1e-12)


def test_the_mean_of_the_data_does_not_matter() -> None:
    assert stationary_covariance(scalar_mean(mean=7), SGD(), B) == stationary_covariance(scalar_mean(), SGD(), B)


def test_flat_directions_walk_at_random() -> None:
    """Without curvature n steps add nη²σ²/B: the random walk the lectures speak of exists only there."""
    covariance = sp.Matrix([[0]])
    tilted = quadratic(sp.Matrix([[h]]))
    for _ in range(3):
        covariance = covariance_step(tilted, SGD(), B, covariance)
    assert sp.expand(covariance[0].subs(h, 0) - 3 * η**2 * σ**2 / B) == 0


def test_noise_that_grows_with_the_state_is_followed_exactly() -> None:
    """Linear regression, x ~ N(0, 1): E(1 − η·mean x²)² = 1 − 2η + η²(1 + 2/B), fresh noise η²σ²/B."""
    found = stationary_covariance(single_feature("w", ["w"], noise_std=σ), SGD(), B)[0]
    contraction = 1 - 2 * η + η**2 * (1 + 2 / B)
    assert sp.simplify(found - η**2 * σ**2 / B / (1 - contraction)) == 0


def test_mean_square_stability_is_stricter_than_stability_of_the_mean() -> None:
    """At B = 1 the mean of linear regression is stable for η < 2, the variance only for η < 2/3."""
    problem = single_feature("w", ["w"])
    assert stationary_covariance(problem, SGD(lr=sp.Rational(65, 100)), 1)[0] == 13
    with pytest.raises(ArgumentError, match=r"optimizer: got SGD.*stable in mean square"):
        stationary_covariance(problem, SGD(lr=0.67), 1)


@pytest.mark.parametrize("lr", [1, sp.Rational(3, 2), 1.0001])
def test_at_and_beyond_the_limit_there_is_no_stationary_law(lr: object) -> None:
    with pytest.raises(ArgumentError, match="lower the learning rate"):
        stationary_covariance(quadratic(sp.diag(1, 2), sp.eye(2)), SGD(lr=lr), 1)  # type: ignore[arg-type]


def test_a_full_batch_has_no_variance() -> None:
    data = Dataset(y=[0.0, 1.0, 5.0], sampling="full batch")
    problem = Problem("(b - y)**2/2", ["b"], data)
    assert stationary_covariance(problem, Momentum(lr=0.1, momentum=0.5), 3).is_zero_matrix


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (sticky_1d(), "not linear"),
        (landscape("w**4", ["w"], 1), "not linear"),
        (landscape("w", ["w"], 1), "fixed point"),
        (landscape("w**2 + 0*u", ["w", "u"], 1), "fixed point"),
        (Problem("w**2/2 + w*x*(1 + w**2)", ["w"], Fresh(x=Normal(0, 1))), "not quadratic"),
        (Problem("(b - y)**2/2", ["b"], Dataset(y=[0.0, 1.0], sampling="reshuffle")), "one epoch"),
        (Problem("(b - y)**2/2", ["b"], Dataset(y=[0.0, 1.0], sampling="one epoch")), "one epoch"),
    ],
)
def test_moments_that_do_not_close_are_refused(problem: Problem, why: str) -> None:
    with pytest.raises(NoClosedFormError, match=why):
        stationary_covariance(problem, SGD(), 1)


@pytest.mark.parametrize("law", [Normal(0, 2), Uniform(-1, 1), Rademacher()])
@pytest.mark.parametrize("text", ["3", "2*x - 1", "x**2", "(1 - 3*x)**2 + x"])
def test_quadratic_mean_needs_only_two_moments(law: object, text: str) -> None:
    x = sp.Symbol("x", real=True)
    expression = sp.sympify(text, locals={"x": x})
    data = Fresh(x=law)  # type: ignore[arg-type]
    found = quadratic_mean(expression, [x], sp.Matrix([[law.moment(2)]]))  # type: ignore[attr-defined]
    assert sp.expand(found - data.mean(sp.expand(expression))) == 0


def test_quadratic_mean_of_a_product_is_the_covariance_plus_the_product_of_means() -> None:
    x, y, m, k, c = sp.symbols("x y m k c", real=True)
    covariance = sp.Matrix([[2, c], [c, 3]])
    assert sp.expand(quadratic_mean(x * y, [x, y], covariance, sp.Matrix([m, k])) - (c + m * k)) == 0


def test_quadratic_mean_refuses_a_covariance_of_another_size() -> None:
    x, y = sp.symbols("x y")
    with pytest.raises(sp.matrices.exceptions.ShapeError):
        quadratic_mean(x * y, [x, y], sp.eye(3))


@pytest.mark.parametrize("expression", ["x**3", "x**2*y", "exp(x)", "1/x"])
def test_quadratic_mean_refuses_more_than_two_moments_can_give(expression: str) -> None:
    x, y = sp.symbols("x y")
    with pytest.raises(NoClosedFormError, match="two moments"):
        quadratic_mean(sp.sympify(expression, locals={"x": x, "y": y}), [x, y], sp.eye(2))


# schedules


@pytest.mark.parametrize("optimizer", [SGD(1 / t), Momentum(0.1, 1 - 1 / (t + 1)), Langevin(lr=0.1, temperature=1 / t)])
def test_nothing_is_stationary_under_a_schedule(optimizer: Optimizer) -> None:
    message = r"^(lr|momentum|temperature): got the schedule .*; allowed: a constant: nothing is stationary"
    with pytest.raises(ArgumentError, match=message):
        stationary_covariance(quadratic(), optimizer, 1)
    with pytest.raises(ArgumentError, match=message):
        stationary_variance(optimizer, 1)


def test_one_step_of_a_schedule_has_a_covariance() -> None:
    assert covariance_step(quadratic(), SGD(1 / t), 1, sp.zeros(1))[0] == symbols.noise_std**2 / t**2
