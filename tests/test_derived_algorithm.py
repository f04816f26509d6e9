"""The derived algorithm: against a transcription of the slides, at its boundaries, and what becomes of its forms."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from naive.derived_algorithm import derived_algorithm

from sgdtheory import SGD, ArgumentError, DerivedSGD, Optimizer, PrintedDerivedSGD, landscape, scalar_mean, simulate
from sgdtheory.derived_algorithm import running_means
from sgdtheory.symbols import GLOSSARY, gradient, second_moment, share, velocity
from sgdtheory.symbols import step as t

FORMS: dict[str, Callable[..., Optimizer]] = {
    "corrected": lambda batch, **values: DerivedSGD(**values),
    "repaired": lambda batch, **values: PrintedDerivedSGD(batch=batch, form="repaired", **values),
    "slides": lambda batch, **values: PrintedDerivedSGD(batch=batch, form="slides", **values),
}


def path(optimizer: Optimizer, examples: list[list[float]], start: float) -> list[tuple[float, float, float]]:
    """Step through batches of y on ½(β − y)² by the rule's own expressions, in floats."""
    (time,) = [h for h in optimizer.hyperparameters if not h.keyword]
    names = [sp.Symbol(f"x{i}") for i in range(4)]
    state = (sp.Symbol("theta", real=True), gradient, velocity, second_moment)
    here = dict(zip(state, names, strict=True))
    found, row = [(start, 0.0, 0.0)], (start, 0.0, 0.0)
    functions = {}
    for number, batch in enumerate(examples, start=1):
        warm = float(time.value.xreplace(optimizer.values).subs(t, number))
        if warm not in functions:
            values = {s: warm if s == time.symbol else v for s, v in optimizer.values.items()}
            rules = [optimizer.position, *(rule for _, rule in optimizer.memory)]
            functions[warm] = sp.lambdify(names, [rule.subs(values).xreplace(here) for rule in rules], "math")
        estimate = sum(row[0] - y for y in batch) / len(batch)
        row = tuple(functions[warm](row[0], estimate, row[1], row[2]))
        found.append(row)
    return found


def batches(seed: int, steps: int, size: int, spread: float) -> list[list[float]]:
    random = Random(seed)
    return [[random.gauss(0, spread) for _ in range(size)] for _ in range(steps)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("size", "spread", "start"), [(1, 1.0, 3.0), (4, 2.0, 10.0), (16, 8.0, 10.0)])
def test_the_rule_is_its_transcription(form: str, size: int, spread: float, start: float) -> None:
    examples = batches(size, 30, size, spread)
    ours = path(FORMS[form](size, smoothness=1.5, warmup=5), examples, start)
    theirs = derived_algorithm(examples, start, L=1.5, K=5, form=form)
    settled = next((i for i, (_, m, s) in enumerate(theirs) if i > 5 and abs(s - m**2) < 1e-9 * s), len(theirs))
    assert len(ours) == len(theirs)
    assert settled >= 6
    np.testing.assert_allclose(ours[: settled + 1], theirs[: settled + 1], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("form", ["corrected", "repaired"])
def test_simulation_follows_the_rule(form: str) -> None:
    """Noise that is 0 or the same for all: the compiled rule against the same expressions in plain Python."""
    optimizer = FORMS[form](4, smoothness=2, warmup=3)
    run = simulate(landscape("w**2/2", ["w"]), optimizer, steps=12, init=5, record_memory=True)
    plain = path(optimizer, [[0.0]] * 12, 5.0)
    np.testing.assert_allclose(run.w.values[0, :, 0], [row[0] for row in plain], rtol=1e-13)
    np.testing.assert_allclose(run.memory.values[0], [row[1:] for row in plain], rtol=1e-13)


def test_the_slip_is_in_one_place() -> None:
    half = sp.Rational(1, 2)
    v, s, g = velocity, second_moment, gradient
    assert running_means(half) == (v / 2 + g / 2, s / 2 + g**2 / 2)
    assert running_means(half, typo=True) == (v / 2 + g / 2, v / 2 + g**2 / 2)


def test_no_batch_size_stands_in_the_corrected_rule() -> None:
    keywords = [h.keyword for h in DerivedSGD().hyperparameters]
    assert "batch" not in keywords
    assert "batch" in [h.keyword for h in PrintedDerivedSGD().hyperparameters]
    assert {h.symbol for h in DerivedSGD().hyperparameters} <= {entry.symbol for entry in GLOSSARY.values()}
    assert repr(DerivedSGD(smoothness=2)).startswith("DerivedSGD(smoothness=2")


@settings(deadline=None, max_examples=15)
@given(ratio=st.floats(1e-3, 1e3), signal=st.floats(-30, 30), low=st.floats(1e-4, 0.1), high=st.floats(0.2, 0.99))
@example(ratio=1.0, signal=0.0, low=1e-3, high=0.5)  # no gradient: B* is infinite
@example(ratio=0.0, signal=1.0, low=1e-3, high=0.5)  # no noise: B* is 0
@example(ratio=0.0, signal=0.0, low=1e-3, high=0.5)  # neither
@example(ratio=1e-320, signal=1.0, low=1e-3, high=0.5)
def test_the_weight_never_leaves_its_clip(ratio: float, signal: float, low: float, high: float) -> None:
    """In units of the noise: g̃ = signal, σ̃² = ratio; the learning rate shows the weight, a = 2Lη."""
    optimizer = DerivedSGD(smoothness=1, low=low, high=high)
    (time,) = [h for h in optimizer.hyperparameters if not h.keyword]
    values = {s: 0.0 if s == time.symbol else v for s, v in optimizer.values.items()}
    state = {gradient: -2.0, velocity: signal, second_moment: signal**2 + ratio, sp.Symbol("theta", real=True): 0.0}
    weight = float(optimizer.position.subs(values).subs(state))
    assert low * (1 - 1e-12) <= weight <= high * (1 + 1e-12)
    spread = second_spread = state[second_moment] - signal**2
    if second_spread > 0:
        wanted = min(max(signal**2 / (16 * spread), low), high)
        assert weight == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("factor", [0.25, 8.0])
def test_units_do_not_matter(factor: float) -> None:
    """Loss times c and L times c: the same path, bit by bit for a power of 2; gradients scale, B* and a do not."""
    w = sp.Symbol("w", real=True)
    rule = [DerivedSGD(smoothness=c, warmup=4) for c in (1.0, factor)]
    problems = [landscape(c * w**2 / 2, [w], noise_std=c) for c in (1.0, factor)]
    runs = [simulate(p, o, steps=50, replicas=20, init=3, rng=0).w.values for p, o in zip(problems, rule, strict=True)]
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-11, atol=1e-13)


def test_nothing_moves_in_the_warm_up_and_the_means_are_plain() -> None:
    run = simulate(
        scalar_mean(noise_std=1.0), DerivedSGD(smoothness=1, warmup=8), steps=9, replicas=50, init=2,
        record_memory=True, rng=1,
    )  # fmt: skip
    np.testing.assert_array_equal(run.w.values[:, :9, 0], 2.0)
    assert (run.w.values[:, 9, 0] != 2).all()
    average, square = run.memory.values[:, 8].T
    assert average.mean() == pytest.approx(2, abs=5 / np.sqrt(8 * 50))
    assert (square - average**2 > 0).all()


def spreads(optimizer: Optimizer, start: float) -> np.ndarray:
    """σ̃² over s̃ of every run after 1000 steps, B = 16 and σ = 8."""
    run = simulate(
        scalar_mean(noise_std=8.0), optimizer, steps=1_000, replicas=400, init=start, batch_size=16, record=[1_000],
        record_memory=True, rng=2,
    )  # fmt: skip
    average, square = run.memory.values[:, -1].T
    return (square - average**2) / square


def test_without_the_factor_a_batch_takes_all_the_weight_and_corrected_it_does_not() -> None:
    """From five σ/√B away, B/B* truly above 1, all runs; from half of σ/√B, truly 0.016, still a good part of them."""
    repaired = PrintedDerivedSGD(1, 16, form="repaired")
    assert (np.abs(spreads(repaired, 10)) < 1e-12).all()
    assert 0.3 < (np.abs(spreads(repaired, 1)) < 1e-12).mean() < 1
    for start in (10, 1):
        assert (spreads(DerivedSGD(1), start) > 0.1).all()


def test_as_printed_it_diverges() -> None:
    slides = PrintedDerivedSGD(1, 16, form="slides")
    run = simulate(
        scalar_mean(noise_std=8.0), slides, steps=3_000, replicas=100, init=10, batch_size=16, record=[3_000], rng=3
    )
    assert run.attrs["diverged"] == 100
    assert np.isnan(run.attrs["stability_limit"])  # it has no learning rate to limit


def test_corrected_it_beats_every_fixed_rate_of_the_same_first_steps() -> None:
    """From β = 10: after 2000 steps below SGD at 0.5, 0.1 and 0.02, by more than twice."""
    problem = scalar_mean(noise_std=8.0)
    settings = {"steps": 2_000, "replicas": 2_000, "init": 10, "batch_size": 16, "record": [2_000], "rng": 4}
    own = float((simulate(problem, DerivedSGD(1), **settings).w ** 2).mean())
    fixed = (simulate(problem, SGD([0.5, 0.1, 0.02]), **settings).w ** 2).mean(["replica", "step", "coordinate"])
    assert (2 * own < fixed).all()


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("smoothness", lambda: DerivedSGD(0)),
        ("smoothness", lambda: PrintedDerivedSGD(-1, 4)),
        ("batch", lambda: PrintedDerivedSGD(1, 0)),
        ("batch", lambda: PrintedDerivedSGD(1, "4")),
        ("confidence", lambda: DerivedSGD(1, confidence=-2)),
        ("warmup", lambda: DerivedSGD(1, warmup=0.5)),
        ("low", lambda: DerivedSGD(1, low=0)),
        ("high", lambda: DerivedSGD(1, high=1)),
        ("low, high", lambda: DerivedSGD(1, low=0.5, high=0.1)),
        ("form", lambda: PrintedDerivedSGD(1, 4, form="corrected")),
    ],
)
def test_what_it_may_not_be_given(argument: str, call: Callable[[], Optimizer]) -> None:
    with pytest.raises(ArgumentError, match=f"^{argument}: got .+; allowed: .+"):
        call()


def test_symbols_may_stand_for_numbers() -> None:
    low, high = sp.symbols("l m", positive=True)
    assert DerivedSGD(low=low, high=high).values[sp.Symbol("a_min", positive=True)] == low
    assert share.is_nonnegative
