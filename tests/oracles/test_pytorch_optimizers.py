"""Our optimizers against torch.optim in float64: the same gradients in, the same parameters out, to rounding.

In each step either side rounds at most `ROUNDINGS` times, each time by u = 2⁻⁵³ of a sum of terms, added without their
signs, so that cancellation costs nothing. Such sums are measured: torch itself steps along |gradients|.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given
from hypothesis import strategies as st
from naive.adaptive_rules import by_torch
from numpy.typing import NDArray

from sgdtheory import SGD, Adam, EMAMomentum, Momentum, Nesterov, Optimizer, RMSProp, with_weight_decay
from sgdtheory.symbols import gradient as g
from sgdtheory.symbols import step as t
from sgdtheory.symbols import theta as θ

pytest.importorskip("torch", reason="the oracle tests need torch: pip install 'sgdtheory[oracles]'")

Array = NDArray[np.float64]
ROUNDINGS = 32
UNIT = 2.0**-53


class Case(NamedTuple):
    """Our optimizer, torch's class and settings, and what maps our path to torch's parameters."""

    ours: Optimizer
    torch: str
    settings: dict[str, Any]
    ahead: float = 0.0  # torch's parameters are our θ less so many buffers


class Run(NamedTuple):
    """A start and the gradients of all steps, shape (steps, d)."""

    start: Array
    gradients: Array


def transcript(rule: Optimizer, run: Run, memory: Sequence[Array] | None = None) -> tuple[Array, Array]:
    """The optimizer's own expressions, evaluated in floats: positions and buffers before and after each step."""
    values = rule.values
    expressions = [rule.position, *(new for _, new in rule.memory)]
    move = sp.lambdify([t, θ, g, *rule.buffers], [e.xreplace(values) for e in expressions], "numpy")
    state = [run.start, *(memory or [np.zeros_like(run.start)] * len(rule.buffers))]
    path = [state]
    for number, slope in enumerate(run.gradients, start=1):
        state = [np.broadcast_to(x, run.start.shape) for x in move(float(number), state[0], slope, *state[1:])]
        path.append(state)
    return np.array([s[0] for s in path]), np.array([s[1:] for s in path])


def both(case: Case, run: Run) -> tuple[Array, Array]:
    position, buffers = transcript(case.ours, run)
    ours = position - case.ahead * buffers[:, 0] if case.ahead else position
    given_out = iter(run.gradients)
    theirs = by_torch(case.torch, lambda _: next(given_out), list(run.start), len(run.gradients), **case.settings)
    return ours, theirs


def bound(case: Case, run: Run, theirs: Array) -> float:
    """ROUNDINGS·u a step, of the parameters and of the steps summed without signs."""
    number, settings = len(run.gradients), case.settings
    parameters, decay = np.abs(theirs).max(), settings.get("weight_decay", 0.0)
    if case.torch == "AdamW":
        decay = 0.0  # decoupled: it rounds the parameters and no gradient
    slopes = np.abs(run.gradients) + decay * parameters
    given_out = iter(slopes)
    moved = by_torch(
        case.torch, lambda _: next(given_out), [0.0] * len(run.start), number, **settings | {"weight_decay": 0.0}
    )
    total = np.abs(moved).max()
    # 1 − βᵗ loses digits where β is near 1
    conditioning = 1 + sum(1 / (1 - settings[name]) for name in ("beta1", "beta2") if name in settings)
    if decay and "eps" in settings:  # ĝ + λθ may cancel, and with it √s: then ε alone keeps the quotient from rounding
        worst = slopes.max() / settings["eps"]
        total += number * settings["lr"] * worst * (1 + worst)
    return float(ROUNDINGS * UNIT * number * (parameters + conditioning * total))


# --- instances -------------------------------------------------------------------------------------------------------

below_one = st.sampled_from([0.0, 0.5, 0.9, 1 - 2**-10]) | st.floats(0, 0.99)
rates = st.floats(1e-3, 1)
floors = st.floats(1e-3, 1)
decays = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
NUMBERS = st.floats(-10, 10).map(lambda x: round(x, 3))


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """1 to 3 coordinates, 1 to 10 steps, zeros among the gradients."""
    d, number = draw(st.integers(1, 3)), draw(st.integers(1, 10))
    values = draw(st.lists(NUMBERS, min_size=d * (number + 1), max_size=d * (number + 1)))
    table = np.array(values).reshape(number + 1, d)
    return Run(table[0], table[1:])


def sgd(lr: float, decay: float) -> Case:
    return Case(with_weight_decay(SGD(lr), decay), "SGD", {"lr": lr, "weight_decay": decay})


def momentum(lr: float, decay: float, mu: float, nesterov: bool = False) -> Case:
    settings = {"lr": lr, "momentum": mu, "weight_decay": decay, "nesterov": nesterov}
    ours = with_weight_decay((Nesterov if nesterov else Momentum)(lr, mu), decay)
    return Case(ours, "SGD", settings, mu if nesterov else 0.0)


def rmsprop(lr: float, decay: float, beta: float, eps: float) -> Case:
    settings = {"lr": lr, "alpha": beta, "eps": eps, "weight_decay": decay}
    return Case(with_weight_decay(RMSProp(lr, beta, eps), decay), "RMSprop", settings)


def adam(lr: float, decay: float, beta1: float, beta2: float, eps: float, decoupled: bool = False) -> Case:
    settings = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": decay}
    ours = with_weight_decay(Adam(lr, beta1, beta2, eps), decay, decoupled)
    return Case(ours, "AdamW" if decoupled else "Adam", settings)


def assert_same(case: Case, run: Run) -> None:
    ours, theirs = both(case, run)
    assert np.abs(ours - theirs).max() <= bound(case, run, theirs)


LONG = Run(np.array([1.0, -2.0, 0.5]), np.cos(np.arange(90)).reshape(30, 3) * 3)


@given(runs(), rates, decays)
@example(LONG, 0.1, 0.0)
@example(LONG, 1.0, 1.0)
def test_sgd(run: Run, lr: float, decay: float) -> None:
    assert_same(sgd(lr, decay), run)


@given(runs(), rates, decays, below_one, st.booleans())
@example(LONG, 0.1, 0.0, 0.9, False)
@example(LONG, 0.1, 0.3, 1 - 2**-10, False)
@example(LONG, 0.1, 0.3, 0.5, True)
def test_momentum_and_nesterov(run: Run, lr: float, decay: float, mu: float, nesterov: bool) -> None:
    """Nesterov's look-ahead points are what torch calls parameters (MCA-16); at μ = 0 torch refuses the name."""
    assert_same(momentum(lr, decay, mu, nesterov and mu > 0), run)


@given(runs(), rates, decays, below_one, floors)
@example(LONG, 0.1, 0.0, 0.0, 1e-8)
@example(LONG, 0.1, 0.0, 0.99, 1e-8)
def test_rmsprop(run: Run, lr: float, decay: float, beta: float, eps: float) -> None:
    assert_same(rmsprop(lr, decay, beta, eps), run)


@given(runs(), rates, decays, below_one, below_one, floors, st.booleans())
@example(LONG, 0.1, 0.0, 0.9, 0.999, 1e-8, False)
@example(LONG, 0.1, 0.3, 0.9, 0.999, 1e-8, True)
@example(LONG, 0.1, 0.3, 0.0, 0.0, 1e-3, True)
def test_adam_and_adamw(
    run: Run, lr: float, decay: float, beta1: float, beta2: float, eps: float, decoupled: bool
) -> None:
    assert_same(adam(lr, decay, beta1, beta2, eps, decoupled), run)


# --- the comparison can fail -----------------------------------------------------------------------------------------

WRONG: dict[str, tuple[Case, Callable[[], Optimizer]]] = {
    "learning rate inside or outside is the same, 1 − μ is not": (momentum(0.1, 0, 0.9), lambda: EMAMomentum(0.1, 0.9)),
    "Nesterov without the look-ahead": (momentum(0.1, 0, 0.9, True), lambda: Momentum(0.1, 0.9)),
    "decay outside the buffer": (
        momentum(0.1, 0.3, 0.9), lambda: with_weight_decay(Momentum(0.1, 0.9), 0.3, decoupled=True)
    ),
    "floor inside the root": (rmsprop(0.1, 0, 0.99, 1e-2), lambda: RMSProp(0.1, 0.99, 1e-2, form="slides")),
    "no bias correction": (adam(0.1, 0, 0.9, 0.999, 1e-3), lambda: Adam(0.1, 0.9, 0.999, 1e-3, form="slides")),
    "coupled for decoupled": (
        adam(0.1, 0.3, 0.9, 0.999, 1e-3, True), lambda: with_weight_decay(Adam(0.1, 0.9, 0.999, 1e-3), 0.3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_form_is_far_beyond_the_bound(name: str) -> None:
    case, wrong = WRONG[name]
    assert_same(case, LONG)
    ours, theirs = both(case._replace(ours=wrong(), ahead=0.0), LONG)
    assert np.abs(ours - theirs).max() > 1e5 * bound(case, LONG, theirs)


# --- what the claims say of PyTorch ----------------------------------------------------------------------------------


def test_under_a_schedule_pytorch_follows_the_averaged_form() -> None:
    """It keeps the learning rate outside the buffer: η_t(1 − μ) makes averaged momentum at η_t (MCA-12)."""
    mu, eta = 0.9, sp.Rational(1, 2) / sp.sqrt(t)
    slopes = iter(LONG.gradients)
    settings = {"lr": lambda k: 0.5 / np.sqrt(k) * (1 - mu), "momentum": mu}
    theirs = by_torch("SGD", lambda _: next(slopes), list(LONG.start), len(LONG.gradients), **settings)
    averaged, _ = transcript(EMAMomentum(eta, mu), LONG)
    standard, _ = transcript(Momentum(eta * (1 - sp.Float(mu)), mu), LONG)
    np.testing.assert_allclose(averaged, theirs, rtol=0, atol=1e-13)
    assert np.abs(standard - theirs).max() > 0.1
    first_gap = mu * (1 - mu) * LONG.gradients[0] * (0.5 - 0.5 / np.sqrt(2))
    np.testing.assert_allclose((averaged - standard)[2], first_gap, rtol=1e-12)


def test_dampening_is_the_average_started_at_the_first_gradient() -> None:
    """torch's dampening = μ does not dampen the first gradient: the buffer starts full, not empty."""
    slopes = iter(LONG.gradients)
    settings = {"lr": 0.1, "momentum": 0.9, "dampening": 0.9}
    theirs = by_torch("SGD", lambda _: next(slopes), list(LONG.start), len(LONG.gradients), **settings)
    full, _ = transcript(EMAMomentum(0.1, 0.9), LONG, [LONG.gradients[0]])
    empty, _ = transcript(EMAMomentum(0.1, 0.9), LONG)
    np.testing.assert_allclose(full, theirs, rtol=0, atol=1e-13)
    assert np.abs(empty - theirs).max() > 0.1


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW"])
def test_adams_first_step_is_one_learning_rate(optimizer: str) -> None:
    """Whatever the gradient (MCA-19)."""
    for slope in (1e-6, -3.0, 1e6):
        settings = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 0.0, "weight_decay": 0.0}
        path = by_torch(optimizer, lambda _, slope=slope: np.array([slope]), [0.0], 1, **settings)
        assert path[1, 0] == pytest.approx(-0.01 * np.sign(slope), rel=1e-14)


@pytest.mark.parametrize("curvature", [0.01, 1.0, 300.0])
def test_rmsprop_ends_on_its_two_cycle(curvature: float) -> None:
    """|θ| = lr/2 for every curvature (MCA-17)."""
    path = by_torch("RMSprop", lambda w: curvature * w, [0.8], 600, lr=0.1, alpha=0.9, eps=0.0)
    np.testing.assert_allclose(np.abs(path[-10:, 0]), 0.05, rtol=1e-9)
    assert (path[-10:-1, 0] * path[-9:, 0] < 0).all()


@pytest.mark.parametrize(("beta1", "ends"), [(0.1, True), (0.3, False)])
def test_adam_ends_on_its_two_cycle_where_that_is_stable(beta1: float, ends: bool) -> None:
    """β₁ = 0.1 lies inside β₁²β₂ − 3β₁(1 + β₂) + 1 > 0 at β₂ = 0.9, β₁ = 0.3 outside (MCA-18)."""
    path = by_torch("Adam", lambda w: 2.0 * w, [0.8], 1500, lr=0.1, beta1=beta1, beta2=0.9, eps=0.0)[:, 0]
    amplitude = 0.1 * (1 - beta1) / (2 * (1 + beta1))
    off = np.abs(np.abs(path[-20:]) / amplitude - 1).max()
    assert off < 1e-6 if ends else off > 0.1
