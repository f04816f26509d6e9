"""RMSProp and Adam without noise: the 2-cycle against loops in floats and another criterion, and the first steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sgdtheory import Adam, RMSProp, symbols
from sgdtheory.derive.stability import schur_conditions
from sgdtheory.theory.lectures.adaptive import cycle_seen, steps_along_a_slope, two_cycle
from sgdtheory.theory.registry import find

η, h, β1, β2, t = symbols.lr, symbols.curvature, symbols.beta1, symbols.beta2, symbols.step
z = sp.Symbol("z")
MARGIN = β1**2 * β2 - 3 * β1 * (1 + β2) + 1
EDGE = next(r.rhs for r in find("MCA-18").statement.args if r.lhs == symbols.cycle_edge)
ALMOST_ONE = 1 - 2.0**-53


def run(
    lr: float, curvature: float, beta1: float, beta2: float, steps: int, start: float, eps: float = 0.0
) -> list[float]:
    """The slides' Adam (RMSProp at β₁ = 0) on ½hθ², line by line."""
    theta, mean, square, path = start, 0.0, 0.0, []
    for _ in range(steps):
        gradient = curvature * theta
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        theta -= lr * mean / math.sqrt(square + eps)
        path.append(theta)
    return path


def adam_polynomial(beta1: sp.Expr, beta2: sp.Expr) -> sp.Poly:
    """The multipliers' polynomial, worked out by hand from the docstring's coefficients."""
    coefficients = [1, 1 - beta1 - 3 * beta2, 3 * beta1 + beta2 - beta1 * beta2, -beta1 * beta2]
    return sp.Poly([sp.sympify(c) for c in coefficients], z)


# --- RMSProp ---------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.floats(0.05, 0.97), st.floats(1e-3, 1e3), st.floats(1e-3, 10), st.floats(0.1, 20))
@example(0.5, 1.0, 0.1, 1.0)
def test_rmsprop_ends_on_the_cycle_from_anywhere(beta: float, curvature: float, lr: float, start: float) -> None:
    path = run(lr, curvature, 0.0, beta, 2000, start * lr)
    assert [abs(w) for w in path[-4:]] == pytest.approx([lr / 2] * 4, rel=1e-6)
    assert path[-1] * path[-2] < 0


@pytest.mark.parametrize("amplitude", [0.1, 0.3, 0.7])
def test_without_memory_every_amplitude_repeats(amplitude: float) -> None:
    """At β₂ = 0 steps are ±η: any a below η jumps to a − η and back, and none is preferred."""
    path = run(1.0, 2.0, 0.0, 0.0, 51, amplitude)
    assert path[-1] == pytest.approx(amplitude - 1, abs=1e-12)
    assert path[-2] == pytest.approx(amplitude, abs=1e-12)
    assert two_cycle(RMSProp(decay=0, eps=0))[symbols.cycle_at_minus_one] == 0


def test_the_polynomial_of_rmsprops_multipliers() -> None:
    """z² + (1 − 3β)z + β by Vieta from the products: stable by Schur's conditions inside, marginal at both ends."""
    products = two_cycle(RMSProp(eps=0))
    total = 2 - 2 * β2 - 1 - β2  # p(1) = 1 − Σz + ∏z
    assert sp.simplify(products[symbols.cycle_at_one] - (1 + total + β2)) == 0
    assert sp.simplify(products[symbols.cycle_at_minus_one] - (1 - total + β2)) == 0
    conditions = schur_conditions(sp.Poly(z**2 + (1 - 3 * β2) * z + β2, z))
    for beta, inside in ((0, False), (sp.Rational(1, 2**60), True), (sp.Rational(ALMOST_ONE), True), (1, False)):
        assert all(c.subs(β2, beta) > 0 for c in conditions) is inside


@pytest.mark.parametrize("eps", [0.001, 0.003, 0.0099])
def test_the_slides_floor_shrinks_the_cycle(eps: float) -> None:
    """A² = η²/4 − ε/h² as long as √ε < ηh/2."""
    lr, curvature = 0.1, 2.0
    path = run(lr, curvature, 0.0, 0.5, 4000, 0.3, eps)
    assert abs(path[-1]) == pytest.approx(math.sqrt(lr**2 / 4 - eps / curvature**2), rel=1e-4)


def test_a_larger_floor_lets_rmsprop_settle() -> None:
    path = run(0.1, 2.0, 0.0, 0.5, 4000, 0.3, 0.0101)
    assert abs(path[-1]) < 1e-6


# --- Adam ------------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.floats(0, 0.999), st.floats(0.001, 0.999))
@example(0.0, 0.5)
@example(0.9, 0.999)
@example(ALMOST_ONE, 0.5)
@example(0.1, ALMOST_ONE)
@example(3 - 2 * math.sqrt(2) - 1e-6, ALMOST_ONE)
@example(3 - 2 * math.sqrt(2) + 1e-6, ALMOST_ONE)
@example(1 / 3 + 1e-9, 1e-9)
@example(1 / 3 - 1e-3, 1e-9)
def test_schurs_conditions_agree_with_the_margin(beta1: float, beta2: float) -> None:
    """In exact arithmetic on the floats themselves, by a criterion the claim does not use."""
    b1, b2 = sp.Rational(beta1), sp.Rational(beta2)
    margin = MARGIN.subs({β1: b1, β2: b2})
    assume(margin != 0)
    assert all(c > 0 for c in schur_conditions(adam_polynomial(b1, b2))) == bool(margin > 0)
    assert bool(b1 < EDGE.subs(β2, b2)) == bool(margin > 0)


@settings(max_examples=25)
@given(st.floats(0.01, 0.95), st.floats(0.05, 0.97), st.floats(0.01, 10), st.floats(0.01, 100))
def test_multipliers_are_the_polynomials_roots(beta1: float, beta2: float, lr: float, curvature: float) -> None:
    seen = cycle_seen(Adam(eps=0, form="slides"), {η: lr, h: curvature, β1: beta1, β2: beta2})
    coefficients = [float(c) for c in adam_polynomial(sp.Float(beta1), sp.Float(beta2)).all_coeffs()]
    roots = np.roots(coefficients)
    assert seen[symbols.cycle_at_one] == pytest.approx(np.prod(1 - roots).real, abs=1e-6)
    assert seen[symbols.cycle_at_minus_one] == pytest.approx(np.prod(1 + roots).real, abs=1e-6)
    assert seen[symbols.cycle_product] == pytest.approx(beta1 * beta2, abs=1e-6)


def test_the_edge_at_both_ends() -> None:
    assert sp.simplify(EDGE.subs(β2, 1) - (3 - 2 * sp.sqrt(2))) == 0
    assert EDGE.subs(β2, 0) == sp.Rational(1, 3)
    assert float(EDGE.subs(β2, sp.Rational(999, 1000))) == pytest.approx(2 / (5.997 + math.sqrt(31.968009)), rel=1e-12)


@pytest.mark.parametrize("beta2", [0.3, 0.6, 0.9])
def test_a_run_beside_the_cycle_returns_below_the_edge_and_leaves_above(beta2: float) -> None:
    edge = float(EDGE.subs(β2, beta2))
    for beta1, returns in ((0.9 * edge, True), (1.1 * edge, False)):
        amplitude = (1 - beta1) / (2 * (1 + beta1))
        theta, mean, square = 1.001 * amplitude, -(1 - beta1) / (1 + beta1) * amplitude, amplitude**2
        off = []
        for _ in range(3000):
            mean = beta1 * mean + (1 - beta1) * theta
            square = beta2 * square + (1 - beta2) * theta**2
            theta -= mean / math.sqrt(square)
            off.append(abs(abs(theta) / amplitude - 1))
        assert max(off[-50:]) < 1e-6 if returns else max(off[-50:]) > 1e-2


def test_the_usual_numbers() -> None:
    """β₁ = 0.9: preconditioned sharpness 38, amplitude η/38, and not stable."""
    usual = {β1: sp.Rational(9, 10), β2: sp.Rational(999, 1000)}
    cycle = {q: value.subs(usual) for q, value in two_cycle().items()}
    assert sp.simplify(cycle[symbols.cycle_sharpness]) == 38
    assert sp.simplify(cycle[symbols.cycle_amplitude] - η / 38) == 0
    assert cycle[symbols.cycle_pairs] < 0


def test_without_a_mean_adam_is_rmsprop() -> None:
    """The buffer of the mean adds a multiplier 0."""
    adam, rmsprop = (two_cycle(rule) for rule in (Adam(beta1=0, eps=0, form="slides"), RMSProp(eps=0)))
    for quantity in (symbols.cycle_amplitude, symbols.cycle_at_one, symbols.cycle_at_minus_one, symbols.cycle_pairs):
        assert sp.simplify(adam[quantity] - rmsprop[quantity]) == 0


# --- the first steps -------------------------------------------------------------------------------------------------


def test_the_slides_first_steps() -> None:
    """3.162 learning rates at first, and the twelfth is the longest."""
    steps = steps_along_a_slope()
    usual = {η: 1, β1: sp.Rational(9, 10), β2: sp.Rational(999, 1000)}
    assert float(steps[symbols.first_step_slides].subs(usual)) == pytest.approx(math.sqrt(10), rel=1e-12)
    assert steps[symbols.first_step_torch] == η
    lengths = [float(steps[symbols.step_adam].subs(usual | {t: k})) for k in range(1, 60)]
    assert lengths.index(max(lengths)) == 11
    assert max(lengths) == pytest.approx(6.5685, abs=1e-4)


@given(st.floats(0, 0.99), st.floats(0, 0.999), st.integers(1, 60), st.sampled_from([-3.0, 1e-6, 7.0]))
@example(0.0, 0.0, 1, 1.0)
@example(0.9, 0.999, 1, -2.0)
def test_steps_along_a_slope_by_hand(beta1: float, beta2: float, number: int, slope: float) -> None:
    mean = square = 0.0
    for _ in range(number):
        mean, square = beta1 * mean + (1 - beta1) * slope, beta2 * square + (1 - beta2) * slope**2
    expected = (1 - beta1**number) / math.sqrt(1 - beta2**number)
    assert abs(mean) / math.sqrt(square) == pytest.approx(expected, rel=1e-10)
