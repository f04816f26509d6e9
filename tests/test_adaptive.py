"""RMSProp, Adam, weight decay and Langevin dynamics against PyTorch, the slides and closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import sympy as sp
from naive import adaptive_rules as naive
from numpy.typing import NDArray
from plain_twin import simulate_plainly
from scipy import stats

from sgdtheory import (
    SGD,
    ArgumentError,
    EMAMomentum,
    Momentum,
    Nesterov,
    NoClosedFormError,
    Optimizer,
    landscape,
    simulate,
)
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.dynamics import mean_step
from sgdtheory.optimizers import OPTIMIZERS, Adam, Langevin, RMSProp, with_weight_decay
from sgdtheory.symbols import GLOSSARY
from sgdtheory.symbols import step as t

Array = NDArray[np.float64]
ALPHA = 1e-9
STEPS = 60
START = (1.5, -0.7)
a, b = sp.symbols("a b", real=True)
LOSS = (a**2 - 1) ** 2 / 4 + a * b / 3 + b**4 / 8 + b**2 + sp.sin(3 * a)
HILLS = landscape(LOSS, [a, b])
_slope = sp.lambdify([a, b], [sp.diff(LOSS, a), sp.diff(LOSS, b)])


def slope(at: Array) -> Array:
    return np.array(_slope(*at), dtype=float)


def ours(optimizer: Optimizer, look_ahead: float = 0.0) -> Array:
    """The path; for Nesterov its look-ahead points θ − μv, which are what PyTorch calls parameters."""
    run = simulate_plainly(HILLS, optimizer, steps=STEPS, init=START, record_memory=True, rng=0)
    assert (run.diverged_at == -1).all()
    path = run.w.values[0]
    return path - look_ahead * run.memory.values[0] if look_ahead else path


class Case(NamedTuple):
    """Our optimizer, the transcription, the name in ``torch.optim``, and their settings."""

    optimizer: Optimizer
    rule: Callable[..., Array]
    torch: str
    settings: dict[str, Any]
    look_ahead: float = 0.0


RATES = sp.Rational(1, 10) / sp.sqrt(t), lambda t: 0.1 / np.sqrt(t)
MEANS = sp.Float(0.9) - sp.Float(0.4) / t, lambda t: 0.9 - 0.4 / t
adam = {"lr": 0.05, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3}
CASES = {
    "sgd, coupled": Case(
        with_weight_decay(SGD(0.05), 0.3), naive.torch_sgd, "SGD", {"lr": 0.05, "weight_decay": 0.3}
    ),
    "momentum, coupled": Case(
        with_weight_decay(Momentum(0.05, 0.8), 0.3), naive.torch_sgd, "SGD",
        {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.3},
    ),
    "nesterov": Case(
        Nesterov(0.05, 0.8), naive.torch_sgd, "SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True}, 0.8
    ),
    "nesterov, coupled": Case(
        with_weight_decay(Nesterov(0.05, 0.8), 0.3), naive.torch_sgd, "SGD",
        {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.3, "nesterov": True}, 0.8,
    ),
    "rmsprop": Case(
        RMSProp(0.05, 0.9, 1e-2), naive.torch_rmsprop, "RMSprop", {"lr": 0.05, "alpha": 0.9, "eps": 1e-2}
    ),
    "rmsprop, coupled": Case(
        with_weight_decay(RMSProp(0.05, 0.9), 0.3), naive.torch_rmsprop, "RMSprop",
        {"lr": 0.05, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.3},
    ),
    "rmsprop, scheduled": Case(
        RMSProp(RATES[0], MEANS[0]), naive.torch_rmsprop, "RMSprop",
        {"lr": RATES[1], "alpha": MEANS[1], "eps": 1e-8},
    ),
    "adam": Case(Adam(0.05, 0.9, 0.99, 1e-3), naive.torch_adam, "Adam", adam),
    "adam, coupled": Case(
        with_weight_decay(Adam(0.05, 0.9, 0.99, 1e-3), 0.3), naive.torch_adam, "Adam", adam | {"weight_decay": 0.3}
    ),
    "adam, decoupled": Case(
        with_weight_decay(Adam(0.05, 0.9, 0.99, 1e-3), 0.3, decoupled=True), naive.torch_adam, "AdamW",
        adam | {"weight_decay": 0.3},
    ),
    "adam, scheduled": Case(
        Adam(RATES[0], MEANS[0], 0.99), naive.torch_adam, "Adam",
        {"lr": RATES[1], "beta1": MEANS[1], "beta2": 0.99, "eps": 1e-8},
    ),
}  # fmt: skip
NAMES = pytest.mark.parametrize("name", CASES)


@NAMES
def test_a_rule_is_its_transcription(name: str) -> None:
    """Step by step, on a landscape with hills."""
    case = CASES[name]
    settings = case.settings | ({"decoupled": True} if case.torch == "AdamW" else {})
    theirs = case.rule(slope, START, STEPS, **settings)
    np.testing.assert_allclose(ours(case.optimizer, case.look_ahead), theirs, rtol=0, atol=1e-12)
    assert np.abs(np.diff(theirs, axis=0)).max(axis=1).min() > 1e-9  # it still moves at the end


@NAMES
def test_a_rule_is_pytorchs(name: str) -> None:
    """The kernels' path, and so the transcriptions; rule by rule and to rounding in tests/oracles."""
    pytest.importorskip("torch", reason="comparing with torch needs it: pip install 'sgdtheory[oracles]'")
    case = CASES[name]
    theirs = naive.by_torch(case.torch, slope, START, STEPS, **case.settings)
    np.testing.assert_allclose(ours(case.optimizer, case.look_ahead), theirs, rtol=0, atol=1e-12)


def test_the_rules_differ_where_they_should() -> None:
    """So that agreement above means something: every case makes a path of its own."""
    paths = [ours(case.optimizer) for case in CASES.values()]
    gaps = [np.abs(one - other).max() for i, one in enumerate(paths) for other in paths[:i]]
    assert min(gaps) > 1e-4


def test_the_slides_forms() -> None:
    for eps in (1e-8, 0.3):
        theirs = naive.slides_rmsprop(slope, START, STEPS, lr=0.03, alpha=0.9, eps=eps)
        np.testing.assert_allclose(ours(RMSProp(0.03, 0.9, eps, form="slides")), theirs, rtol=0, atol=1e-12)
        theirs = naive.slides_adam(slope, START, STEPS, lr=0.03, beta1=0.9, beta2=0.99, eps=eps)
        np.testing.assert_allclose(ours(Adam(0.03, 0.9, 0.99, eps, form="slides")), theirs, rtol=0, atol=1e-12)


def test_where_the_floor_stands_matters() -> None:
    """Outside the root or inside: 10⁻² apart at ε = 10⁻², as good as nothing at 10⁻⁸."""
    for make in (lambda eps, form: RMSProp(0.03, 0.9, eps, form), lambda eps, form: Adam(0.03, 0.9, 0.99, eps, form)):
        assert np.abs(ours(make(1e-2, "pytorch")) - ours(make(1e-2, "slides"))).max() > 1e-3
    near = np.abs(ours(RMSProp(0.03, 0.9, 1e-8)) - ours(RMSProp(0.03, 0.9, 1e-8, "slides"))).max()
    assert 0 < near < 1e-3


def test_adams_first_step() -> None:
    """(1 − β₁)/√(1 − β₂) = 3.1623 learning rates on the slides, one with bias correction, for any gradient."""
    g, rate = sp.Symbol("g", positive=True), sp.Symbol("r", positive=True)
    usual = sp.Rational(9, 10), sp.Rational(999, 1000), 0
    slides = Adam(rate, *usual, form="slides").update(g, 0, (0, 0)).displacement
    assert sp.simplify(slides + sp.sqrt(10) * rate) == 0
    assert round(float(-slides / rate), 4) == 3.1623
    first = Adam(rate, *usual).update(g, 0, (0, 0)).displacement.subs(t, 1)
    assert sp.simplify(first + rate) == 0


@pytest.mark.parametrize("decay", [0, 0.5, 0.99])
def test_rmsprop_along_a_constant_slope(decay: float) -> None:
    """From s = 0 the mean square after t steps is (1 − βᵗ)g², so that the t-th step is η/√(1 − βᵗ), whatever g."""
    number = np.arange(1, STEPS + 1)
    for steepness in (3, -1e-5):
        run = simulate_plainly(
            landscape(steepness * a, [a]), RMSProp(0.1, decay, 0), steps=STEPS, init=0, record_memory=True, rng=0
        )
        moved = -np.sign(steepness) * np.diff(run.w.values[0, :, 0])
        np.testing.assert_allclose(moved, 0.1 / np.sqrt(1 - decay**number), rtol=1e-12)
        np.testing.assert_allclose(run.memory.values[0, 1:, 0], (1 - decay**number) * steepness**2, rtol=1e-12)


def test_adam_along_a_constant_slope() -> None:
    """The corrected means are g and g²: every step is one learning rate."""
    run = simulate_plainly(landscape(-7 * a, [a]), Adam(0.1, 0.9, 0.999, 0), steps=STEPS, init=0, rng=0)
    np.testing.assert_allclose(np.diff(run.w.values[0, :, 0]), 0.1, rtol=1e-12)


# weight decay


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_coupled_decay_is_half_a_square_more_of_loss(name: str) -> None:
    """On L + ½λ|w|² the optimizer makes the path it makes on L with coupled decay λ."""
    given = {h.symbol: 0.5 for h in OPTIMIZERS[name]().hyperparameters if h.keyword}
    values = {h.keyword: 0.03 if h.keyword == "lr" else given[h.symbol]
              for h in OPTIMIZERS[name]().hyperparameters if h.keyword}  # fmt: skip
    rule = OPTIMIZERS[name](**values)
    inside = landscape(LOSS + sp.Rational(3, 20) * (a**2 + b**2), [a, b])
    settings = {"steps": STEPS, "init": START, "rng": 0}
    with_decay = simulate_plainly(HILLS, with_weight_decay(rule, 0.3), **settings).w.values
    np.testing.assert_allclose(with_decay, simulate_plainly(inside, rule, **settings).w.values, rtol=0, atol=1e-12)


def test_decoupled_decay_shrinks_beside_the_step() -> None:
    """Without a gradient the parameter shrinks by 1 − ηλ a step, whatever the buffers do."""
    for rule in (SGD(0.1), Momentum(0.1, 0.9), EMAMomentum(0.1, 0.9), Nesterov(0.1, 0.9), RMSProp(0.1, 0.9),
                 Adam(0.1, 0.9, 0.99)):  # fmt: skip
        run = simulate_plainly(
            landscape(0 * a, [a]), with_weight_decay(rule, 0.5, decoupled=True), steps=20, init=2, rng=0
        )
        np.testing.assert_allclose(run.w.values[0, :, 0], 2 * 0.95 ** np.arange(21), rtol=1e-13)


def test_the_two_decays_are_the_same_for_sgd_and_no_other() -> None:
    def gap(rule: Optimizer) -> float:
        coupled, decoupled = (ours(with_weight_decay(rule, 0.3, kind)) for kind in (False, True))
        return float(np.abs(coupled - decoupled).max())

    assert gap(SGD(0.05)) < 1e-13
    assert min(map(gap, (Momentum(0.05, 0.8), Nesterov(0.05, 0.8), RMSProp(0.05, 0.9), Adam(0.05, 0.9, 0.99)))) > 1e-3


def test_decay_is_added_once() -> None:
    once = with_weight_decay(SGD(0.1), 0.3)
    for decoupled in (False, True):
        with pytest.raises(ArgumentError, match=r"^optimizer: got .*; allowed: an optimizer without weight decay"):
            with_weight_decay(once, 0.1, decoupled)


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("weight_decay", lambda: with_weight_decay(SGD(0.1), -0.1)),
        ("weight_decay", lambda: with_weight_decay(SGD(0.1), "0.1")),
        ("form", lambda: RMSProp(0.1, 0.9, form="tensorflow")),
        ("form", lambda: Adam(0.1, form="PyTorch")),
        ("decay", lambda: RMSProp(0.1, 1)),
        ("beta1", lambda: Adam(0.1, 1.0, 0.99)),
        ("beta2", lambda: Adam(0.1, 0.9, -0.1)),
        ("eps", lambda: Adam(0.1, 0.9, 0.99, -1e-8)),
        ("eps", lambda: RMSProp(0.1, 0.9, float("nan"))),
        ("temperature", lambda: Langevin(0.1, -1)),
    ],
)
def test_bad_numbers(argument: str, call: Callable[[], object]) -> None:
    with pytest.raises(ArgumentError, match=rf"^{argument}: got .*; allowed: "):
        call()


# Langevin dynamics

h, rate, T = GLOSSARY["curvature"].symbol, GLOSSARY["lr"].symbol, GLOSSARY["temperature"].symbol


def test_langevins_stationary_variance_is_derived() -> None:
    """2T/(h(2 − ηh)): T/h of the continuous process, and a little more."""
    w = sp.Symbol("w", real=True)
    (variance,) = stationary_covariance(landscape(h * w**2 / 2, [w]), Langevin(), 1)
    assert sp.simplify(variance - 2 * T / (h * (2 - rate * h))) == 0


def test_langevins_stationary_variance_is_seen() -> None:
    """Σw²/V is chi-square with one degree a replica; T/h, 20 % less, is refused."""
    curvature, lr, temperature, replicas = 2.0, 0.2, 0.3, 20_000
    w = sp.Symbol("w", real=True)
    run = simulate(
        landscape(w**2, [w]), Langevin(lr, temperature), steps=80, replicas=replicas, init=0, record=[80], rng=11
    )
    total = float((run.w.values**2).sum())

    def p_value(variance: float) -> float:
        law = stats.chi2(replicas)
        return 2 * min(law.sf(total / variance), law.cdf(total / variance))

    assert p_value(2 * temperature / (curvature * (2 - lr * curvature))) > ALPHA
    assert p_value(temperature / curvature) < ALPHA
    assert stats.kstest(run.w.values.ravel() / np.sqrt(total / replicas), "norm").pvalue > ALPHA


def test_every_coordinate_has_noise_of_its_own() -> None:
    coordinates = sp.symbols("w1:4", real=True)
    flat = landscape(sp.S.Zero * coordinates[0], coordinates)
    run = simulate(flat, Langevin(0.5, 1.0), steps=2, replicas=20_000, init=0, record=1, rng=3)
    moves = np.diff(run.w.values, axis=1).reshape(20_000, 6)  # standard normal: √(2ηT) = 1
    correlation = np.corrcoef(moves.T)[np.triu_indices(6, 1)] * np.sqrt(20_000)
    assert (2 * stats.norm.sf(np.abs(correlation)) > ALPHA).all()
    assert stats.kstest(moves.ravel(), "norm").pvalue > ALPHA


def test_at_temperature_zero_it_is_gradient_descent() -> None:
    assert ours(Langevin(0.05, 0)).tobytes() == ours(SGD(0.05)).tobytes()


def test_the_mean_step_counts_the_optimizers_own_noise() -> None:
    w = sp.Symbol("w", real=True)
    mean, covariance = mean_step(landscape(h * w**2 / 2, [w], noise_std=3), Langevin(), 4)
    assert sp.expand(mean[0] - w + rate * h * w) == 0
    assert sp.expand(covariance[0] - 2 * rate * T - rate**2 * sp.Rational(9, 4)) == 0


@pytest.mark.parametrize("rule", [RMSProp(), Adam(), Adam(form="slides")])
def test_a_rule_that_is_not_affine_has_no_mean_step(rule: Optimizer) -> None:
    with pytest.raises(NoClosedFormError, match="not affine"):
        mean_step(landscape("w**2", ["w"], noise_std=1), rule, 1)
