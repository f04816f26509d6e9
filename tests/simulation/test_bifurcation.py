"""Long-run orbits against maps whose cycles, multipliers and Lyapunov exponents are known exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import (
    SGD,
    ArgumentError,
    EMAMomentum,
    Fresh,
    Momentum,
    Nesterov,
    NoClosedFormError,
    Normal,
    Optimizer,
    Problem,
    bifurcation,
    landscape,
    simulate,
    sticky_1d,
)
from sgdtheory.derive.stability import step_matrix
from sgdtheory.optimizers import Adam, Langevin, RMSProp

Array = NDArray[np.float64]

w, w1, w2, eta = sp.symbols("w w1 w2 eta", real=True)
WELL = (w**2 - 1) ** 2 / 4
DOUBLE_WELL = landscape(WELL, [w])
DOUBLING = math.sqrt(5) - 1
SUPERSTABLE = 3 / math.sqrt(2) - 1
STICKY = sticky_1d(1, 2, 1, convention="squared error")
ROUNDING = 1e-12
"""A stable orbit repeats the roundings of its steps, some 1e-16, over 1 less its multiplier, here above 1e-3."""


def two_cycle(rate: float) -> tuple[float, float]:
    """STA-10."""
    return tuple((math.sqrt(1 + 3 / rate) + sign * math.sqrt(1 - 1 / rate)) / 2 for sign in (-1, 1))


def turned(loss: sp.Expr) -> Problem:
    """The same loss in axes turned by an angle with sine 3/5, so that no Hessian is diagonal."""
    new = {w1: (4 * w1 + 3 * w2) / 5, w2: (4 * w2 - 3 * w1) / 5}
    return landscape(loss.subs(new, simultaneous=True), [w1, w2])


# ---------------------------------------------------------------------------------------------- the double well


def test_the_two_cycle_is_exact() -> None:
    """STA-10 by algebra: the step maps its two points to each other, and the multiplier is 9 − 2(1 + η)²."""
    step = w - eta * sp.diff(WELL, w)
    slope = sp.diff(step, w)
    total, gap = sp.sqrt(1 + 3 / eta), sp.sqrt(1 - 1 / eta)
    low, high = (total - gap) / 2, (total + gap) / 2
    assert sp.simplify(step.subs(w, low) - high) == 0
    assert sp.simplify(step.subs(w, high) - low) == 0
    multiplier = sp.simplify(slope.subs(w, low) * slope.subs(w, high))
    assert sp.expand(multiplier - (9 - 2 * (1 + eta) ** 2)) == 0
    assert multiplier.subs(eta, 1) == 1
    assert sp.simplify(multiplier.subs(eta, sp.sqrt(5) - 1)) == -1
    assert sp.simplify(multiplier.subs(eta, 3 / sp.sqrt(2) - 1)) == 0


def test_fixed_points_and_two_cycles_of_the_double_well() -> None:
    rates = [0.3, 0.9, 0.99, 1.01, 1.1, 1.2, DOUBLING - 0.01]
    scan = bifurcation(DOUBLE_WELL, lr=rates, start=[0.3, -0.3], transient=5000)
    np.testing.assert_array_equal(scan.period, [[1, 1]] * 3 + [[2, 2]] * 4)
    np.testing.assert_allclose(np.abs(scan.w[:3]), 1, rtol=ROUNDING)
    fixed = 1 - 2 * np.array(rates[:3])
    cycles = 9 - 2 * (1 + np.array(rates[3:])) ** 2
    exact = np.concatenate([fixed, cycles])[:, None] * np.ones(2)
    np.testing.assert_allclose(scan.multiplier, exact, rtol=0, atol=1e2 * ROUNDING)  # slopes of f′ up to 6η|w|
    np.testing.assert_allclose(scan.lyapunov, np.log(np.abs(exact)) / scan.period, rtol=0, atol=1e3 * ROUNDING)
    for i, rate in enumerate(rates[3:], start=3):
        for start, sign in enumerate([1, -1]):
            np.testing.assert_allclose(np.sort(sign * scan.w[i, start, -2:, 0]), two_cycle(rate), rtol=ROUNDING)


def test_the_windows_of_the_double_well_end_where_they_should() -> None:
    """One step of a fine scan on either side of η = 1 and η = √5 − 1."""
    rates = np.concatenate([1 + np.array([-4e-3, 4e-3]), DOUBLING + np.array([-4e-3, 4e-3])])
    scan = bifurcation(DOUBLE_WELL, lr=rates, start=0.3, transient=20_000)
    np.testing.assert_array_equal(scan.period[:, 0], [1, 2, 2, 4])
    assert (np.abs(scan.multiplier) < 1).all()


def test_the_superstable_cycle_passes_the_maximum() -> None:
    """Its multiplier is a product with a factor f′ of about 1e-16, and changes sign there."""
    scan = bifurcation(DOUBLE_WELL, lr=[SUPERSTABLE - 1e-3, SUPERSTABLE, SUPERSTABLE + 1e-3], start=0.3)
    np.testing.assert_array_equal(scan.period[:, 0], 2)
    below, at, above = scan.multiplier.values[:, 0]
    assert below > 1e-3
    assert above < -1e-3
    assert abs(at) < 1e-13
    assert float(scan.lyapunov[1, 0]) < math.log(1e-13) / 2


def test_an_orbit_on_an_unstable_fixed_point_or_outside_is_told_apart() -> None:
    """|w| > √(1 + 2/η) grows without bound; 0 is a fixed point with multiplier 1 + η."""
    edge = math.sqrt(1 + 2 / 0.5)
    scan = bifurcation(DOUBLE_WELL, lr=[0.5], start=[0.0, edge * 0.999, edge * 1.001])
    np.testing.assert_array_equal(scan.period[0], [1, 1, -1])
    np.testing.assert_allclose(scan.multiplier[0, :2], [1.5, 0], atol=1e-6)
    assert np.isnan(scan.multiplier[0, 2])
    assert np.isnan(scan.lyapunov[0, 2])
    assert int(scan.diverged_at[0, 2]) > 0
    np.testing.assert_array_equal(scan.init[:, 0], [0.0, edge * 0.999, edge * 1.001])


def chebyshev_growth(orbit: Array) -> float:
    """At η = 2 and w = √2 x a step is x' = −T₃(x), and |dx'/dx| = 3√(1 − x'²)/√(1 − x²): the product telescopes."""
    first, last = orbit[0] / math.sqrt(2), orbit[-1] / math.sqrt(2)
    end = 3 * last - 4 * last**3
    return math.log(3) + 0.5 * math.log((1 - end**2) / (1 - first**2)) / len(orbit)


def test_fully_developed_chaos_has_exponent_ln_3() -> None:
    """The largest loss of digits is in 1 − x² near ±1, which no iterate comes nearer than 1e-8 here."""
    scan = bifurcation(DOUBLE_WELL, lr=[2.0], start=[0.3, -0.77, 1.1], keep=2000)
    np.testing.assert_array_equal(scan.period, 0)
    assert np.isnan(scan.multiplier).all()
    for start in range(3):
        exact = chebyshev_growth(scan.w.values[0, start, :, 0])
        assert abs(exact - math.log(3)) < 0.01
        assert float(scan.lyapunov[0, start]) == pytest.approx(exact, abs=1e-8)


# ---------------------------------------------------------------------------------------------- the sticky loss


def sticky_cycle(product: sp.Expr) -> float:
    """η·32w0⁴ at which the 2-cycle of the sticky loss with squared error has this multiplier, from its equations."""
    u, v, x = sp.symbols("u v x")
    step = u - x / 32 * sp.diff(((u + 1) * (u - 1) ** 2) ** 2, u)
    slope = sp.diff(step, u)
    equations = [step - v, step.subs(u, v) - u, slope * slope.subs(u, v) - product]
    return float(sp.nsolve(equations, [u, v, x], (-0.86, -1.07, 2.4))[2])


def test_the_sharp_sticky_minimum_doubles_at_2_and_again_near_2_48() -> None:
    second = sticky_cycle(sp.Integer(-1))
    assert second == pytest.approx(2.4835, abs=1e-4)
    x = np.array([1.9, 1.995, 2.005, sticky_cycle(sp.S.Zero), second - 0.005, second + 0.005])
    scan = bifurcation(STICKY, lr=x / 32, start=-1.01, transient=20_000)
    np.testing.assert_array_equal(scan.period[:, 0], [1, 1, 2, 2, 2, 4])
    np.testing.assert_allclose(scan.multiplier[:2, 0], 1 - x[:2], rtol=0, atol=1e2 * ROUNDING)
    assert abs(scan.multiplier[3, 0]) < 1e-12
    assert -1 < float(scan.multiplier[4, 0]) < -0.9


def test_chaos_and_the_crisis_of_the_sticky_minimum() -> None:
    """Bounded and chaotic at 3.34, beyond 3.350 all orbits leave for the degenerate minimum at +1."""
    scan = bifurcation(STICKY, lr=np.array([2.8, 3.34, 3.36]) / 32, start=[-1.01, -0.97], transient=20_000, keep=400)
    np.testing.assert_array_equal(scan.period[:2], 0)
    assert (scan.lyapunov[:2] > 0.2).all()
    assert (scan.w[:2] < 0).all()
    assert (scan.w[2] > 0.9).all()


@pytest.mark.parametrize("scale", [sp.Rational(9, 5), sp.Rational(1, 2)])
def test_only_the_rate_times_the_fourth_power_of_the_separation_matters(scale: sp.Rational) -> None:
    x = np.array([1.5, 2.2, 2.4, 2.55])
    other = sticky_1d(1, 2, scale, convention="squared error", noise_std=3)
    unit = bifurcation(STICKY, lr=x / 32, start=-1.01, transient=5000)
    scaled = bifurcation(other, lr=x / 32 / float(scale) ** 4, start=-1.01 * float(scale), transient=5000)
    np.testing.assert_array_equal(unit.period[:, 0], [1, 2, 2, 4])
    np.testing.assert_array_equal(scaled.period, unit.period)
    np.testing.assert_allclose(scaled.w / float(scale), unit.w, rtol=0, atol=1e2 * ROUNDING)
    np.testing.assert_allclose(scaled.multiplier, unit.multiplier, rtol=0, atol=1e4 * ROUNDING)


# ---------------------------------------------------------------------------------------------- more dimensions


def test_in_turned_axes_nothing_changes() -> None:
    """The double well beside a stable direction of multiplier 1 − 0.3η, which leads at the superstable rate."""
    rates = np.array([0.9, 1.1, SUPERSTABLE, 1.2, 1.25])
    plane = turned((w1**2 - 1) ** 2 / 4 + 0.3 * w2**2 / 2)
    scan = bifurcation(plane, lr=rates, start=(0.3, 1.0), transient=5000)
    line = bifurcation(DOUBLE_WELL, lr=rates, start=0.8 * 0.3 + 0.6 * 1.0, transient=5000)
    np.testing.assert_array_equal(scan.period, line.period)
    along = 0.8 * scan.w.values[..., 0] + 0.6 * scan.w.values[..., 1]
    np.testing.assert_allclose(along, line.w[..., 0], rtol=0, atol=1e2 * ROUNDING)
    across = (1 - 0.3 * rates) ** line.period.values[:, 0]
    well = line.multiplier.values[:, 0]
    exact = np.where(np.abs(across) > np.abs(well), across, well)
    np.testing.assert_allclose(scan.multiplier[:, 0], exact, rtol=0, atol=1e4 * ROUNDING)
    assert len({*np.sign(exact)}) == 2  # each of the two leads somewhere
    assert (exact == across).any()
    assert (exact == well).any()


@pytest.mark.parametrize("problem", [landscape(WELL.subs(w, w2) + w1**2 / 8, [w1, w2]),
                                     turned(WELL.subs(w, w2) + w1**2 / 8)])  # fmt: skip
def test_the_largest_exponent_of_chaos_in_the_plane(problem: Problem) -> None:
    """ln 3 again, less a bias of order 1/keep: a few e-folds of the first frame and of the telescoped ends."""
    scan = bifurcation(problem, lr=[2.0], start=(0.3, 0.4), keep=4000)
    np.testing.assert_array_equal(scan.period, 0)
    assert float(scan.lyapunov[0, 0]) == pytest.approx(math.log(3), abs=20 / 4000)


def test_a_flat_valley_keeps_exponent_zero() -> None:
    """On w1²w2²/2 from (2, 0.1) descent ends at w2 = 0, with multipliers 1 along it and 1 − ηw1² across."""
    scan = bifurcation(landscape("w1**2*w2**2/2", ["w1", "w2"]), lr=[0.1], start=(2, 0.1))
    assert int(scan.period[0, 0]) == 1
    assert float(scan.multiplier[0, 0]) == pytest.approx(1, abs=ROUNDING)
    assert float(scan.lyapunov[0, 0]) == pytest.approx(0, abs=ROUNDING)


# ---------------------------------------------------------------------------------------------- other rules


@pytest.mark.parametrize("rule", [SGD, partial(Momentum, momentum=0.5), partial(Nesterov, momentum=0.5),
                                  partial(EMAMomentum, momentum=0.5)])  # fmt: skip
def test_the_multiplier_of_a_minimum_is_that_of_the_step_matrix(rule: partial[Optimizer]) -> None:
    """Of a complex pair the modulus; curvature 2 at the minima of the double well."""
    rates = [0.02, 0.4, 0.7]
    scan = bifurcation(DOUBLE_WELL, rule, lr=rates, start=1.05, transient=5000)
    np.testing.assert_array_equal(scan.period, 1)
    for found, rate in zip(scan.multiplier.values[:, 0], rates, strict=True):
        values = np.linalg.eigvals(np.array(step_matrix(rule(lr=rate), 2), dtype=float))
        leading = values[np.abs(values).argmax()]
        exact = leading.real if leading.imag == 0 else abs(leading)
        assert found == pytest.approx(exact, abs=1e3 * ROUNDING)


def derivative_by_differences(step: Callable[[Array], Array], state: Array, count: int) -> Array:
    """Central differences of `count` steps: wrong by about the square of their width, 1e-12, and 1e-16 over it."""
    width = 1e-6

    def several(state: Array) -> Array:
        for _ in range(count):
            state = step(state)
        return state

    columns = [(several(state + width * e) - several(state - width * e)) / (2 * width) for e in np.eye(len(state))]
    return np.array(columns).T


def test_a_rule_that_is_not_linear_in_the_gradient() -> None:
    """RMSProp on a 4-cycle, where the order of the derivatives matters."""
    rate, decay, eps = 0.51, 0.5, 0.1
    scan = bifurcation(DOUBLE_WELL, partial(RMSProp, decay=decay, eps=eps), lr=[rate], start=0.7, transient=5000)

    def step(state: Array) -> Array:
        x, s = state
        gradient = x * (x**2 - 1)
        s = decay * s + (1 - decay) * gradient**2
        return np.array([x - rate * gradient / (math.sqrt(s) + eps), s])

    state = np.array([0.7, 0.0])
    for _ in range(5000):
        state = step(state)
    assert int(scan.period[0, 0]) == 4
    cycle = [(state := step(state))[0] for _ in range(4)]
    np.testing.assert_allclose(np.sort(cycle), np.sort(scan.w[0, 0, -4:, 0]), rtol=1e2 * ROUNDING)
    values = np.linalg.eigvals(derivative_by_differences(step, state, 4))
    assert float(scan.multiplier[0, 0]) == pytest.approx(values[np.abs(values).argmax()], abs=1e-6)


def test_the_curvature_is_taken_where_the_gradient_is() -> None:
    """On a cycle of Nesterov momentum the look-ahead is not the position."""
    rate, momentum = 0.9, 0.5
    scan = bifurcation(DOUBLE_WELL, partial(Nesterov, momentum=momentum), lr=[rate], start=1.05, transient=5000)
    period, orbit = int(scan.period[0, 0]), scan.w.values[0, 0, :, 0]
    assert period == 4

    def step(state: Array) -> Array:
        x, v = state
        ahead = x - momentum * v
        v = momentum * v + rate * ahead * (ahead**2 - 1)
        return np.array([x - v, v])

    state = np.array([orbit[-1], orbit[-2] - orbit[-1]])
    exact = np.abs(np.linalg.eigvals(derivative_by_differences(step, state, period))).max()
    assert abs(float(scan.multiplier[0, 0])) == pytest.approx(exact, abs=1e-6)
    assert float(scan.lyapunov[0, 0]) == pytest.approx(math.log(exact) / period, abs=1e-6)


def test_orbits_are_those_of_simulate() -> None:
    scan = bifurcation(DOUBLE_WELL, lr=[0.4, 1.8], start=[0.3, 0.7], transient=40, keep=10)
    run = simulate(DOUBLE_WELL, SGD(lr=[0.4, 1.8]), steps=49, replicas=2, init=np.array([[0.3], [0.7]]), rng=1)
    np.testing.assert_array_equal(scan.w, run.w[:, :, 40:])
    np.testing.assert_array_equal(scan.iterate, np.arange(40, 50))
    assert scan.w.dims == ("lr", "start", "iterate", "coordinate")
    assert (scan.attrs["transient"], scan.attrs["keep"], scan.attrs["tolerance"]) == (40, 10, 1e-6)


def test_noise_does_not_enter() -> None:
    noisy = landscape(WELL, [w], noise_std=3)
    clean, scan = (bifurcation(p, lr=[0.9, 1.2], start=0.3) for p in (DOUBLE_WELL, noisy))
    np.testing.assert_array_equal(clean.w, scan.w)
    np.testing.assert_array_equal(clean.multiplier, scan.multiplier)


def test_a_period_beyond_half_of_what_is_kept_is_not_found() -> None:
    found = [int(bifurcation(DOUBLE_WELL, lr=[1.25], start=0.3, keep=keep).period[0, 0]) for keep in (7, 8)]
    assert found == [0, 4]


def test_the_same_point_must_come_back_all_along() -> None:
    """The end of the orbit is at rest, its beginning is not."""
    found = [int(bifurcation(DOUBLE_WELL, lr=[0.9], start=0.3, keep=300, transient=t).period[0, 0]) for t in (0, 300)]
    assert found == [0, 1]


def test_a_wider_tolerance_takes_a_narrow_cycle_for_a_point() -> None:
    """The 2-cycle at η = 1.01 is √(1 − 1/η) = 0.0995 wide."""
    periods = [
        int(bifurcation(DOUBLE_WELL, lr=[1.01], start=0.3, transient=5000, tolerance=t).period[0, 0])
        for t in (0.05, 0.2)
    ]
    assert periods == [2, 1]


BAD = [
    ({"lr": 0.1}, "lr"),
    ({"lr": []}, "lr"),
    ({"lr": [0.1, -0.1]}, "lr"),
    ({"lr": [[0.1]]}, "lr"),
    ({"start": math.inf}, "start"),
    ({"start": (1.0, 2.0), "problem": landscape("w1**2 + w2**2 + w3**2", ["w1", "w2", "w3"])}, "start"),
    ({"transient": -1}, "transient"),
    ({"keep": 1}, "keep"),
    ({"keep": 8.0}, "keep"),
    ({"tolerance": 0}, "tolerance"),
    ({"optimizer": SGD(lr=0.1)}, "optimizer"),
    ({"optimizer": lambda lr: SGD(lr=0.1)}, "optimizer"),
    ({"optimizer": lambda lr: lr}, "optimizer"),
    ({"optimizer": Momentum}, "optimizer"),  # momentum is a symbol
    ({"optimizer": partial(Momentum, momentum=[0.1, 0.9])}, "optimizer"),
    ({"optimizer": partial(Adam, beta1=0.9, beta2=0.99)}, "optimizer"),  # its bias corrections depend on the step
    ({"optimizer": partial(Langevin, temperature=1)}, "optimizer"),
    ({"problem": landscape(sp.Symbol("a") * w**2, [w])}, "problem"),
    ({"problem": "double well"}, "problem"),
]


@pytest.mark.parametrize(("changed", "argument"), BAD)
def test_refuses_what_cannot_be_meant(changed: dict[str, object], argument: str) -> None:
    arguments: dict[str, object] = {"problem": DOUBLE_WELL, "lr": [0.1], "start": 1.0} | changed
    with pytest.raises(ArgumentError, match=f"^{argument}:"):
        bifurcation(**arguments)


def test_refuses_a_loss_without_closed_form() -> None:
    with pytest.raises(NoClosedFormError):
        bifurcation(Problem("exp(x*w**2)", ["w"], Fresh(x=Normal(0, 1))), lr=[0.1], start=1.0)
