"""What the lectures say of batch size and learning rate: slides' numbers, laws from scipy, boundaries, plain twins."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from sgdtheory import symbols
from sgdtheory.theory.lectures import confidence, derived_algorithm, expected_progress, linear_scaling, noise_scale
from sgdtheory.theory.lectures.batch_size import expected_decrease, guarantee, optimal_batch, optimal_lr

η, B, g, σ, L, z = (
    symbols.lr,
    symbols.batch_size,
    symbols.estimated_gradient,
    symbols.noise_std,
    symbols.smoothness,
    symbols.confidence,
)
r, a, ρ, b = symbols.standard_errors, symbols.share, symbols.signal, symbols.level
DIMENSIONLESS = settings(max_examples=40)


def stated(claim: object, quantity: sp.Symbol) -> sp.Expr:
    """Return what a claim says a quantity is."""
    (value,) = [e.rhs for e in sp.And.make_args(claim.statement) if isinstance(e, sp.Eq) and e.lhs == quantity]  # type: ignore[attr-defined]
    return value


# --- expected progress -----------------------------------------------------------------------------------------------


@DIMENSIONLESS
@given(noise=st.floats(0, 1e4), more=st.floats(1.01, 100))
@example(noise=0.0, more=2.0)  # no noise: an example fewer is an example saved
@example(noise=1e4, more=1.01)
def test_an_example_in_a_smaller_batch_always_brings_more(noise: float, more: float) -> None:
    """In noise scales: σ²/(Bg²) = noise at B = 1."""
    rate = (expected_decrease() / B).subs(η, expected_progress.expected_lr())
    at = {g: 1, L: 1, σ: math.sqrt(noise)}
    assert rate.subs({**at, B: 1}) > rate.subs({**at, B: more})


@DIMENSIONLESS
@given(noise=st.floats(0, 1e3), other=st.floats(0.01, 1.99))
@example(noise=0.0, other=0.5)
def test_no_learning_rate_does_better_in_the_mean(noise: float, other: float) -> None:
    at = {g: 1, L: 1, σ: math.sqrt(noise), B: 1}
    best = float(expected_progress.expected_lr().subs(at))
    assert 0 < best <= 1
    top, elsewhere = (float(expected_decrease().subs({**at, η: lr})) for lr in (best, other * best))
    assert elsewhere <= top + 1e-12


def test_the_numbers_at_two_standard_errors() -> None:
    small = sp.limit(expected_progress.expected_lr() / B, B, 0)
    lectures = optimal_lr(optimal_batch()) / optimal_batch()
    assert sp.simplify(small / lectures).subs(z, 2) == 32
    sixteen = {B: 16 * σ**2 / g**2}
    assert sp.simplify(expected_progress.expected_lr().subs(sixteen) * L) == sp.Rational(16, 17)


# --- the guarantee and its estimate ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "printed"), [(2 / 3, "0.725"), (0.27, "0.584"), (8 / 3, "0.973")])
def test_how_often_the_printed_bound_holds(size: float, printed: str) -> None:
    held = stated(confidence.CONFIDENCE, symbols.held_up).subs({z: 2, r: size})
    assert float(held) == pytest.approx(stats.norm.cdf(2) - stats.norm.cdf(-size), abs=1e-12)
    assert f"{float(held):.3f}" == printed


@DIMENSIONLESS
@given(signal=st.floats(1e-6, 8), caution=st.floats(0.1, 6))
@example(signal=1e-9, caution=2.0)
@example(signal=2.0, caution=2.0)
def test_probabilities_are_probabilities_and_the_repair_helps(signal: float, caution: float) -> None:
    at = {r: signal, z: caution}
    names = ("held_up", "held_down", "held_small", "held_large")
    up, down, small, large = (float(stated(confidence.CONFIDENCE, getattr(symbols, n)).subs(at)) for n in names)
    assert all(-1e-12 <= p <= 1 for p in (up, down, small, large))
    kept = small if signal < caution else large
    assert kept >= max(up, down) - 1e-12


@pytest.mark.parametrize(("signal", "caution"), [(0.5, 2.0), (3.0, 2.0), (1.0, 1.0)])
def test_the_bound_holds_exactly_between_the_roots(signal: float, caution: float) -> None:
    """On the loss of curvature L, against the guarantee itself, at estimates all over the line."""
    lr, batch = 0.3, 4
    for n in np.linspace(-6, 6, 241) + 1e-6:
        for sign in (1, -1):
            slope, estimate = sign * signal / 2, (sign * signal + n) / 2  # σ/√B = 1/2
            fall = (slope**2 - (slope - lr * estimate) ** 2) / 2
            as_printed = float(guarantee(lr, batch).subs({g: estimate, σ: 1, L: 1, z: caution}))
            low, high = sorted((-signal, caution)) if sign > 0 else sorted((signal, caution))
            assert (fall >= as_printed) == (low <= n <= high)


@pytest.mark.parametrize("size", [2, 3, 5, 8])
@pytest.mark.parametrize("signal", [1e-3, 0.5, 2.0])
def test_the_tail_is_that_of_the_noncentral_f_law(size: int, signal: float) -> None:
    """√b·P(B̂* > b) from scipy's law of 4z²(B − 1)/B̂*, far out."""
    level, caution = 1e9, 2.0
    tail = stats.ncf.cdf(4 * caution**2 * (size - 1) / level, 1, size - 1, signal**2)
    wanted = stated(confidence.PLUG_IN, symbols.tail).subs({B: size, z: caution, r: signal})
    assert math.sqrt(level) * tail == pytest.approx(float(wanted), rel=1e-4)


@pytest.mark.parametrize("level", [0.5, 16.0, 1e4])
@pytest.mark.parametrize("signal", [1e-3, 1.0, 3.0])
def test_three_examples_follow_the_noncentral_f_law(level: float, signal: float) -> None:
    found = stated(confidence.PLUG_IN, symbols.exceed_three).subs({z: 2, r: signal, b: level})
    assert float(found) == pytest.approx(stats.ncf.cdf(32 / level, 1, 2, signal**2), rel=1e-7)


def test_the_mean_up_to_a_level_grows_without_bound() -> None:
    """∫P(B̂* > b)db up to M is about 2C√M: a hundred times the level, ten times the mean."""
    tail = sp.lambdify(b, stated(confidence.PLUG_IN, symbols.exceed_three).subs({z: 2, r: 1}))
    means = [integrate.quad(lambda u: 2 * u * tail(u**2), 0, math.sqrt(level))[0] for level in (1e6, 1e8)]
    assert means[1] / means[0] == pytest.approx(10, rel=0.02)
    limit = float(stated(confidence.PLUG_IN, symbols.tail).subs({B: 3, z: 2, r: 1}))
    assert means[1] == pytest.approx(2 * limit * 1e4, rel=0.01)


# --- units and noise scale -------------------------------------------------------------------------------------------


@DIMENSIONLESS
@given(ratio=st.floats(1e-3, 1e3), unit=st.floats(1e-3, 1e3), caution=st.floats(0.1, 5))
@example(ratio=0.25, unit=1.0, caution=2.0)  # B = B*/4
@example(ratio=0.2499999, unit=1.0, caution=2.0)
@example(ratio=1.0, unit=1.0, caution=2.0)
def test_the_best_learning_rate_depends_on_the_batch_over_the_best_alone(
    ratio: float, unit: float, caution: float
) -> None:
    """Lη_B = 1 − ½√(B*/B): negative below a quarter, whatever the units of loss and parameter."""
    at = {g: unit, σ: 3 * unit, L: 2 * unit, z: caution}
    batch = ratio * float(optimal_batch().subs(at))
    dimensionless = float((L * optimal_lr(batch)).subs(at))
    assert dimensionless == pytest.approx(1 - 0.5 / math.sqrt(ratio), rel=1e-6, abs=1e-7)
    assert (dimensionless > 0) == (ratio > 0.25) or abs(ratio - 0.25) < 1e-9


def test_without_gradient_or_noise_the_best_batch_is_infinite_or_none() -> None:
    assert sp.limit(optimal_batch(), g, 0) == sp.oo
    assert optimal_batch().subs(σ, 0) == 0
    assert optimal_lr().subs(σ, 0) == 1 / L
    assert guarantee().subs({σ: 0, B: 1}) == η * g**2 - L * η**2 * g**2 / 2


def test_estimators_agree_where_the_big_batch_is_everything() -> None:
    """As the big batch grows its squared gradient is |G|² itself, and the small one's excess the noise."""
    big = sp.Symbol("M", positive=True)
    gradient, noise = noise_scale.from_two_batches(7, 3, small=2, big=big)
    assert (sp.limit(gradient, big, sp.oo), sp.limit(noise, big, sp.oo)) == (3, 8)
    with pytest.raises(sp.SympifyError):
        noise_scale.from_two_batches(7, 3, small="2", big=4)


# --- the derived algorithm -------------------------------------------------------------------------------------------


def test_a_weight_of_one_forgets_and_more_than_one_breaks() -> None:
    spread = derived_algorithm.spread_of_means
    assert spread(sp.S.One) == 0
    v, s, new = symbols.velocity, symbols.second_moment, symbols.gradient
    at = {v: 1, s: 2, new: 4}
    assert spread(sp.Rational(3, 2)).subs(at) < 0
    assert spread(sp.S.Zero).subs(at) == 1
    assert spread(sp.S.One, typo=True).subs(at) == 0


def test_the_slip_has_no_consistent_units_and_goes_negative() -> None:
    """s̃' − g̃'² as printed, for ĝ = g̃ and s̃ = g̃²: 0 is right, the slip makes it (1 − a)g̃(1 − g̃)."""
    v, s, new, x = symbols.velocity, symbols.second_moment, symbols.gradient, sp.Symbol("x")
    steady = {new: x, v: x, s: x**2}
    assert sp.expand(derived_algorithm.spread_of_means(a).subs(steady)) == 0
    slip = sp.factor(derived_algorithm.spread_of_means(a, typo=True).subs(steady))
    assert sp.expand(slip - (1 - a) * x * (1 - x)) == 0


@pytest.mark.parametrize("signal", [0.0, 0.5, 1.0, 5.0, 5.08])
def test_mean_field_weights_solve_the_quadratic_of_the_ledger(signal: float) -> None:
    roots = np.roots([32, -(31 + signal), 2 * signal])
    assert np.isreal(roots).all()
    following = sp.lambdify((a, ρ, z), stated(derived_algorithm.MEAN_FIELD, symbols.mean_field))
    for root in roots:
        assert following(root, signal, 2.0) == pytest.approx(root, abs=1e-12)


def test_the_largest_signal() -> None:
    found = stated(derived_algorithm.MEAN_FIELD, symbols.signal_limit).subs(z, 2)
    assert sp.simplify(found - (97 - sp.sqrt(8448))) == 0
    assert not np.isreal(np.roots([32, -(31 + 5.09), 2 * 5.09])).any()


# --- linear scaling --------------------------------------------------------------------------------------------------


def test_two_steps_on_two_quadratics_by_hand() -> None:
    """½(w − 1)² and 2(w + 1)² from 3 at 1/10: 2.8 then 2.8 − 1.52, against 3 − (2 + 16)/10."""
    w = sp.Symbol("w1", real=True)
    pair = linear_scaling.Pair(((w - 1) ** 2 / 2, 2 * (w + 1) ** 2), (w,), (sp.Integer(3),), (sp.S.Zero,))
    (case,) = linear_scaling.two_steps_or_one(pair)
    gap = case[symbols.step_gap].subs(symbols.epsilon, sp.Rational(1, 10))
    assert gap == sp.Rational("2.8") - sp.Rational("1.52") - (3 - sp.Rational("1.8"))
    assert case[symbols.hessian_21] == 4 * 2


@DIMENSIONLESS
@given(x=st.floats(1e-4, 1.99), size=st.integers(1, 1000))
@example(x=1.0, size=1)
@example(x=1.999999, size=64)
def test_the_variance_grows_with_the_batch_until_the_end(x: float, size: int) -> None:
    """In x = Bη₁h: 2/(2 − x) times the variance of small steps."""
    rate = x / size
    variance = stated(linear_scaling.SCALING, symbols.variance)
    at = {η: rate, symbols.curvature: 1, σ: 1}
    here = float(variance.subs({**at, B: size}))
    assert here / (rate / 2) == pytest.approx(2 / (2 - x), rel=1e-6)
    assert float(stated(linear_scaling.SCALING, symbols.batch_limit).subs(at)) == pytest.approx(2 / rate)


def test_a_chain_of_small_steps_and_one_large_step_in_floats() -> None:
    """Random quadratics in three dimensions with numpy: the gap of two steps is η₁²H₂g₁ to rounding."""
    random = np.random.default_rng(Random(0).randint(0, 99))
    for _ in range(20):
        h1, h2 = (m + m.T for m in random.normal(size=(2, 3, 3)))
        point, c1, c2 = random.normal(size=(3, 3))
        rate = 0.1
        g1, g2 = h1 @ (point - c1), h2 @ (point - c2)
        once = point - rate * g1
        two, one = once - rate * h2 @ (once - c2), point - 2 * rate * (g1 + g2) / 2
        np.testing.assert_allclose(two - one, rate**2 * h2 @ g1, atol=1e-13)
