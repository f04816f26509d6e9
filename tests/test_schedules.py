"""Schedules: closed forms at every step, in every hyperparameter, refused before work, never compiled again."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
from plain_twin import assert_same_numbers, simulate_plainly

from sgdtheory import SGD, ArgumentError, EMAMomentum, Momentum, Nesterov, Optimizer, landscape, simulate
from sgdtheory.kernels import build
from sgdtheory.optimizers import Adam, Langevin, RMSProp, with_weight_decay
from sgdtheory.schedules import cosine, inverse_time, power, steps
from sgdtheory.simulation.arguments import schedule_of
from sgdtheory.symbols import lr, momentum
from sgdtheory.symbols import step as t

STEPS = 50
NUMBER = np.arange(1, STEPS + 1)
w = sp.Symbol("w", real=True)
BOWL = landscape(w**2 / 2, [w])
SLOPE = landscape(w, [w])


def values(schedule: sp.Expr, last: int = STEPS) -> np.ndarray:
    """What a kernel is handed for steps 1 … last."""
    return schedule_of(SGD(schedule).hyperparameters[0], last)[1:]


FORMS: dict[str, tuple[sp.Expr, Callable[[int], float]]] = {
    "steps": (steps(0.3, 0.5, 7), lambda k: 0.3 * 0.5 ** ((k - 1) // 7)),
    "one step": (steps(0.3, 0.9, 1), lambda k: 0.3 * 0.9 ** (k - 1)),
    "power": (power(0.3, 0.75, 2), lambda k: 0.3 * (k + 2) ** -0.75),
    "1/t": (power(0.3, 1), lambda k: 0.3 / k),
    "inverse time": (inverse_time(0.3, 20), lambda k: 0.3 / (1 + (k - 1) / 20)),
    "cosine": (
        cosine(0.3, 30, 0.01),
        lambda k: 0.01 + 0.29 * (1 + math.cos(math.pi * min(k - 1, 30) / 30)) / 2,
    ),
    "to zero": (cosine(0.3, 30), lambda k: 0.3 * (1 + math.cos(math.pi * min(k - 1, 30) / 30)) / 2),
    "any": (
        sp.Piecewise((t / 100, t < 10), (0.1 + 0.05 * sp.sin(t), True)),
        lambda k: k / 100 if k < 10 else 0.1 + 0.05 * math.sin(k),
    ),
}
NAMES = pytest.mark.parametrize("name", FORMS)


@NAMES
def test_a_schedule_is_its_closed_form(name: str) -> None:
    schedule, formula = FORMS[name]
    np.testing.assert_allclose(values(schedule), [formula(k) for k in NUMBER], rtol=1e-14, atol=1e-17)


@NAMES
def test_the_first_step_is_number_one(name: str) -> None:
    """On a slope of 1 the path shows the rates: w falls by η(t) at the t-th step."""
    schedule, formula = FORMS[name]
    run = simulate_plainly(SLOPE, SGD(schedule), steps=STEPS, init=0, rng=0)
    fallen = np.cumsum([formula(k) for k in NUMBER])
    np.testing.assert_allclose(-run.w.values[0, 1:, 0], fallen, rtol=1e-13)


@pytest.mark.parametrize("every", range(1, 61))
def test_a_staircase_has_its_steps_where_it_says(every: int) -> None:
    """Whatever the rounding of t/k."""
    seen = values(steps(1, 0.5, every), 20_000)
    stair = (np.arange(20_000) // every).clip(max=2000)
    np.testing.assert_array_equal(seen, 0.5**stair)


def by_hand(kind: str, schedules: dict[str, Callable[[int], float]], start: float = 1.0) -> list[float]:
    """Paths on ½w² by the textbook recursions."""
    now, buffer, square, path = start, 0.0, 0.0, [start]
    for k in range(1, STEPS + 1):
        at = {name: schedule(k) for name, schedule in schedules.items()}
        rate, g = at["lr"], now
        if kind == "momentum":
            buffer = at["momentum"] * buffer + rate * g
            now -= buffer
        elif kind == "ema":
            buffer = at["momentum"] * buffer + (1 - at["momentum"]) * g
            now -= rate * buffer
        elif kind == "nesterov":
            buffer = at["momentum"] * buffer + rate * (now - at["momentum"] * buffer)
            now -= buffer
        elif kind == "rmsprop":
            square = at["decay"] * square + (1 - at["decay"]) * g**2
            now -= rate * g / (math.sqrt(square) + at["eps"])
        elif kind == "adam":
            buffer = at["beta1"] * buffer + (1 - at["beta1"]) * g
            square = at["beta2"] * square + (1 - at["beta2"]) * g**2
            lacking = 1 - at["beta1"] ** k, 1 - at["beta2"] ** k
            now -= rate * (buffer / lacking[0]) / (math.sqrt(square / lacking[1]) + at["eps"])
        else:
            now -= rate * (g + at["weight_decay"] * now)
        path.append(now)
    return path


FALLING, RISING = (0.2 / sp.sqrt(t), lambda k: 0.2 / math.sqrt(k)), (0.9 - 0.5 / t, lambda k: 0.9 - 0.5 / k)
SMALL = (0.01 * t, lambda k: 0.01 * k)
RULES: dict[str, tuple[Callable[..., Optimizer], dict[str, tuple[sp.Expr, Callable[[int], float]]]]] = {
    "momentum": (Momentum, {"lr": FALLING, "momentum": RISING}),
    "ema": (EMAMomentum, {"lr": FALLING, "momentum": RISING}),
    "nesterov": (Nesterov, {"lr": FALLING, "momentum": RISING}),
    "rmsprop": (RMSProp, {"lr": FALLING, "decay": RISING, "eps": SMALL}),
    "adam": (Adam, {"lr": FALLING, "beta1": RISING, "beta2": RISING, "eps": SMALL}),
    "decay": (
        lambda lr, weight_decay: with_weight_decay(SGD(lr), weight_decay),
        {"lr": FALLING, "weight_decay": SMALL},
    ),
}


@pytest.mark.parametrize("kind", RULES)
def test_any_hyperparameter_may_have_a_schedule(kind: str) -> None:
    rule, scheduled = RULES[kind]
    made = rule(**{name: schedule for name, (schedule, _) in scheduled.items()})
    run = simulate_plainly(BOWL, made, steps=STEPS, init=1, rng=0)
    hand = by_hand(kind, {name: formula for name, (_, formula) in scheduled.items()})
    np.testing.assert_allclose(run.w.values[0, :, 0], hand, rtol=0, atol=1e-13)


def test_a_temperature_may_have_a_schedule() -> None:
    """The noise of two runs is the same; its size follows √(2ηT(t)), so that it is twice as large where T is 4 fold."""
    flat = landscape(0 * w, [w])
    hot, cold = (
        np.diff(simulate_plainly(flat, Langevin(0.1, T), steps=20, init=0, rng=5).w.values[0, :, 0])
        for T in (sp.Piecewise((4, t > 10), (1, True)), 1)
    )
    np.testing.assert_allclose(hot[:10], cold[:10], rtol=1e-12)
    np.testing.assert_allclose(hot[10:], 2 * cold[10:], rtol=1e-12)


def test_an_observable_may_look_at_a_schedule() -> None:
    """At step 0, before any step, it sees the first step's value."""
    run = simulate_plainly(
        BOWL, Momentum(0.3 / t, 0.5), steps=4, init=1, observables={"rate": lr, "sum": lr + momentum}, rng=0
    )
    np.testing.assert_allclose(run.rate.values[0], [0.3, 0.3, 0.15, 0.1, 0.075], rtol=1e-15)
    np.testing.assert_allclose(run["sum"].values[0], run.rate.values[0] + 0.5, rtol=1e-15)


def test_a_constant_schedule_is_the_constant() -> None:
    settings = {"steps": 20, "init": 1, "rng": 0}
    constant = simulate_plainly(BOWL, Momentum(0.1, 0.5), **settings)
    scheduled = simulate_plainly(BOWL, Momentum(sp.Piecewise((0.1, t > 0.5), (9, t < 0.2), (7, True)), 0.5), **settings)
    assert_same_numbers(constant, scheduled)


# refusals: before any work, with the step

START = {"steps": 30, "init": 1, "rng": 0}


@pytest.mark.parametrize(
    ("optimizer", "argument", "value", "step"),
    [
        (SGD(0.1 - 0.01 * t), "lr", "-0.00", 11),
        (SGD(1 / (t - 5)), "lr", "-0.25", 1),
        (SGD(0.1 / (t - 5) ** 2), "lr", "inf", 5),
        (SGD(power(0.1, 0.5, -3)), "lr", "nan", 1),
        (SGD(sp.log(t) / (t - 1)), "lr", "nan", 1),
        (SGD(sp.exp(t**3)), "lr", "inf", 9),
        (SGD(steps(0.1, -1, 10)), "lr", "-0.1", 11),
        (Momentum(0.1, 0.1 * t), "momentum", "1.1", 11),
        (RMSProp(0.1, 0.5 * t), "decay", "1.5", 3),
        (Adam(0.1, 0.9, 2 - t), "beta2", "-1.0", 3),
        (Langevin(0.1, 3 - t), "temperature", "-1.0", 4),
        (with_weight_decay(SGD(0.1), 5 - t), "weight_decay", "-1.0", 6),
    ],
)
def test_a_schedule_that_leaves_its_domain_is_refused(
    optimizer: Optimizer, argument: str, value: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_work(*_: object, **__: object) -> None:
        raise AssertionError("work was started")

    monkeypatch.setattr("sgdtheory.simulation.ensemble.run_blocks", no_work)
    with pytest.raises(ArgumentError, match=rf"^{argument}: got {value}\d* at step {step}; allowed: a schedule in "):
        simulate(BOWL, optimizer, **START)
    if step > 1:  # a run that ends before that step is none the worse; the last value tried is the first bad one's
        with pytest.raises(AssertionError, match="work was started"):
            simulate(BOWL, optimizer, **(START | {"steps": step - 1}))


def test_the_ends_of_a_domain_may_be_touched() -> None:
    run = simulate_plainly(SLOPE, SGD(0.1 * (3 - sp.Min(t, 3))), steps=6, init=0, rng=0)
    np.testing.assert_allclose(run.w.values[0, :, 0], [0, -0.2, -0.3, -0.3, -0.3, -0.3, -0.3], rtol=1e-14)


def test_a_schedule_with_a_symbol_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^lr: got c/t; allowed: a number. Fix: give c a number"):
        simulate(BOWL, SGD(sp.Symbol("c", positive=True) / t), **START)


def test_a_sweep_holds_numbers() -> None:
    with pytest.raises(ArgumentError, match=r"^lr: got \[0.1/t.*; allowed: a sweep: a non-empty list of numbers"):
        SGD([0.1 / t, 0.2])


def test_schedules_that_do_not_fit_in_memory_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^steps: got .*4000000001 steps × 1 schedules = 29.8 GiB"):
        simulate(BOWL, SGD(0.1 / t), steps=4_000_000_000, record=[0], init=1, rng=0)


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("every", lambda: steps(0.1, 0.5, 0)),
        ("every", lambda: steps(0.1, 0.5, 2.0)),
        ("every", lambda: steps(0.1, 0.5, True)),
        ("every", lambda: steps(0.1, 0.5, "3")),
        ("total", lambda: cosine(0.1, -1)),
        ("total", lambda: cosine(0.1, None)),
        ("initial", lambda: steps("0.1", 0.5, 2)),
        ("initial", lambda: cosine(float("nan"), 3)),
        ("initial", lambda: power(t, 2)),
        ("factor", lambda: steps(0.1, float("inf"), 2)),
        ("exponent", lambda: power(0.1, sp.Symbol("p"))),
        ("offset", lambda: power(0.1, 1, None)),
        ("scale", lambda: inverse_time(0.1, "20")),
        ("final", lambda: cosine(0.1, 3, sp.I)),
        ("lr", lambda: SGD(inverse_time(0.1, 0))),
    ],
)
def test_bad_schedules_are_named(argument: str, call: Callable[[], object]) -> None:
    with pytest.raises(ArgumentError, match=rf"^{argument}: got .*; allowed: "):
        call()


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    assert steps(0.1, 0.5, np.int64(3)) == steps(0.1, 0.5, 3)


# compilation


def test_nothing_is_compiled_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for other values, nor schedules, nor sweeps, nor problem parameters: one kernel, made ready once."""
    monkeypatch.setattr(build, "_LOADED", {})
    a = sp.Symbol("a", positive=True)
    own = landscape(a * w**2 / 2 + sp.Rational(271828, 1000003) * w, [w], noise_std=1)
    kernels = set()
    for optimizer in (Momentum(0.1, 0.5), Momentum(0.2, 0.9), Momentum(0.1 / t, 0.5), Momentum(a / 5, 0.5),
                      Momentum(steps(0.1, 0.5, 2), 1 - 1 / (t + 1)), Momentum([0.1, 0.2], [0.5, 0.9])):  # fmt: skip
        for value, start in ((1.0, 0.0), (2.0, 1.0), ([1.0, 2.0, 3.0], -1.0)):
            run = simulate(own, optimizer, steps=5, replicas=4, init=start, parameters={"a": value}, rng=0)
            kernels.add(run.attrs["kernel"])
    assert kernels == set(build._LOADED)
    assert len(kernels) == 1
