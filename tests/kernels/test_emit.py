"""Generated kernels: equal to their plain twins bit for bit, with no user's name in them, and one of them on record."""

from __future__ import annotations

import os
import pathlib
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import sympy as sp
from kernel_tools import run_kernel, set_to
from plain_twin import simulate_plainly

from sgdtheory import (
    ArgumentError,
    Dataset,
    Fresh,
    Normal,
    Problem,
    Rademacher,
    Uniform,
    landscape,
    simulate,
    sticky_1d,
)
from sgdtheory.dynamics import Dynamics, make_dynamics
from sgdtheory.kernels.build import build
from sgdtheory.kernels.emit import emit
from sgdtheory.kernels.lower import Start
from sgdtheory.laws import Data
from sgdtheory.optimizers import SGD, EMAMomentum, Momentum, Nesterov, Optimizer

SAMPLES = {"x": [0.3, -1.2, 0.8, 2.0, -0.4, 1.1, -0.9], "y": [1.0, 0.0, -0.5, 0.25, 1.5, -1.0, 0.75]}
DATA: dict[str, Data | None] = {
    "normal": Fresh(x=Normal(0.1, 1), y=Normal(sp.Symbol("m", real=True), sp.Symbol("s", positive=True))),
    "uniform": Fresh(x=Uniform(-1, 2), y=Uniform()),
    "rademacher": Fresh(x=Rademacher(), y=Rademacher()),
    "none": None,
    **{sampling: Dataset(sampling=sampling, **SAMPLES) for sampling in ("with replacement", "reshuffle", "one epoch")},
    "full batch": Dataset(sampling="full batch", **SAMPLES),
}
OPTIMIZERS = {
    "sgd": SGD(lr=0.05),
    "momentum": Momentum(lr=0.05, momentum=0.5),
    "averaged": EMAMomentum(lr=0.2, momentum=0.8),
    "nesterov": Nesterov(lr=0.04, momentum=0.6),
}
w, v, u, x, y = sp.symbols("w v u x y", real=True)
LOSSES = {  # one for each dimension: transcendental, piecewise with fractional and negative powers, polynomial
    1: sp.tanh(w * x) + sp.exp(-w * y) / 9 + sp.log(2 + w) * x + sp.sqrt(3 + sp.sin(w)) * sp.cos(x * w) + sp.erf(w)
    + sp.atan(w * x) + sp.sinh(w / 9) + sp.cosh(w / 9) + sp.tan(w / 9) + sp.asin(w / 50) + sp.acos(w * x / 90),
    2: sp.Piecewise((w**2 * x, (w > 0) & (v < 1)), (w**3 / 9, (w < -1) | (x > 0)), (sp.exp(-v), True))
    + sp.Max(w, v, 0) * y + sp.Min(w, x) ** 2 + sp.Abs(w - v) * sp.sign(x) + sp.cbrt(2 + v**2)
    + 1 / (1 + w**2) ** 2 + y / sp.sqrt(1 + v**2) + (2 + v**2) ** w / 99 + (v - 1) ** sp.Rational(-3, 2) / 9,
    3: ((w * v + u) * x - y) ** 2 / 2 + w**5 / 99 + u**2 * v**4 / 50 + (w - v) ** 2,
}  # fmt: skip
COORDINATES = {1: (w,), 2: (w, v), 3: (w, v, u)}


class Case(NamedTuple):
    optimizer: str
    data: str
    dimension: int


CASES = [  # every optimizer in every dimension, every kind of data at least once
    Case("sgd", "normal", 1), Case("momentum", "with replacement", 1), Case("averaged", "rademacher", 1),
    Case("nesterov", "one epoch", 1), Case("sgd", "reshuffle", 2), Case("momentum", "uniform", 2),
    Case("averaged", "full batch", 2), Case("nesterov", "none", 2), Case("sgd", "rademacher", 3),
    Case("momentum", "none", 3), Case("averaged", "with replacement", 3), Case("nesterov", "normal", 3),
]  # fmt: skip


def dynamics_of(case: Case) -> Dynamics:
    loss, data = LOSSES[case.dimension], DATA[case.data]
    if data is None:
        loss = loss.xreplace({x: sp.Rational(7, 10), y: sp.Rational(-3, 10)})
    parameters = {"m": 0.5, "s": 2} if case.data == "normal" else None
    return make_dynamics(Problem(loss, COORDINATES[case.dimension], data, parameters), OPTIMIZERS[case.optimizer])


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)).replace(" ", "_"))
def test_a_kernel_is_its_plain_twin(case: Case) -> None:
    """Replica by replica and bit for bit, and so is the step at which a replica fails."""
    dynamics = dynamics_of(case)
    replicas = 150  # more than one block of lanes, and not a whole number of them
    steps, batch = {"one epoch": (3, 2), "full batch": (3, 7)}.get(case.data, (5, 2))
    given = case.optimizer == "averaged"
    starts: tuple[Normal | Uniform | float, ...] = (Normal(0, 3), Uniform(-4, 4), 0.5)
    start: Start = None if given else starts[: case.dimension]
    points = np.random.default_rng(0).normal(0, 3, (replicas, case.dimension)) if given else None
    settings = {"replicas": replicas, "steps": steps, "batch": batch, "points": points, "first": 11}
    path, failed = run_kernel(dynamics, start, "numba", **settings)
    twin, twin_failed = run_kernel(dynamics, start, "python", **settings)
    assert path.tobytes() == twin.tobytes()
    assert failed.tolist() == twin_failed.tolist()
    alive = failed == -1
    assert alive.sum() >= 10  # there is something to compare
    assert (path[alive, -1] != path[alive, 0]).any()


def test_examples_that_are_draws_alone_are_the_same_in_the_lower_grade() -> None:
    """Products of the data are float64, though each number is one of 24 bits."""
    settings: dict[str, Any] = {"steps": 3, "replicas": 7, "init": 0.5, "batch_size": 2, "noise": "float32", "rng": 0}
    run, twin = (make(sticky_1d(), SGD(lr=0.01), **settings) for make in (simulate, simulate_plainly))
    assert run.w.values.tobytes() == twin.w.values.tobytes()


def test_replicas_that_fail_are_the_same_ones() -> None:
    """A quartic loss from far away: some replicas overflow, each at its own step."""
    dynamics = make_dynamics(landscape("w**4/4", ["w"], noise_std=1), Momentum(lr=0.1, momentum=0.5))
    path, failed = run_kernel(dynamics, (Normal(0, 4),), "numba", replicas=150, steps=8)
    twin, twin_failed = run_kernel(dynamics, (Normal(0, 4),), "python", replicas=150, steps=8)
    assert path.tobytes() == twin.tobytes()
    assert failed.tolist() == twin_failed.tolist()
    assert len(set(failed)) > 3
    for replica, step in enumerate(failed):
        before, after = (path[replica, :step], path[replica, step:]) if step >= 0 else (path[replica], [])
        assert np.isfinite(before).all()
        assert np.isposinf(after).all()


def test_infinities_inside_an_expression_follow_ieee_on_both_targets() -> None:
    """Expressions that pass through infinity or NaN and come back, at samples that send them there."""
    samples = Dataset(x=[0.0, -1.0, 1.0, 1e308, -1e308, 1e-320, 710.0, -745.2, 0.5])
    (s,) = samples.symbols
    inside = [
        s, sp.atan(1 / s), sp.atan(1 / s**3), sp.tanh(sp.exp(s)), sp.exp(-1 / s**2), sp.atan(sp.log(s**2)),
        sp.Piecewise((1, sp.log(s) < 3), (2, True)), sp.Piecewise((1, sp.sqrt(s) >= 0), (2, True)),
        sp.atan(s**2 - s), sp.tanh(sp.sinh(s)), 1 / sp.cosh(s), sp.atan(1 / (sp.sign(s) + 1)), 1 / (1 + s**4),
        sp.Piecewise((1, sp.asin(s) > -9), (2, True)), sp.Max(-3, sp.Min(3, 1 / s)), (s**2 + 1) ** sp.Rational(-5, 2),
    ]  # fmt: skip
    dynamics = set_to(inside, samples)
    settings = {"replicas": 100, "steps": 1, "record": [1]}
    path, failed = run_kernel(dynamics, (0,) * len(inside), "numba", **settings)
    twin, _ = run_kernel(dynamics, (0,) * len(inside), "python", **settings)
    assert (failed == -1).all()
    assert path.tobytes() == twin.tobytes()
    seen = path[:, 0, 0]
    assert set(seen) == set(samples.values[:, 0])
    with np.errstate(all="ignore"):
        expected = [
            seen, np.arctan(1 / seen), np.arctan(1 / seen**3), np.tanh(np.exp(seen)), np.exp(-1 / seen**2),
            np.arctan(np.log(seen**2)), np.where(np.log(seen) < 3, 1, 2), np.where(np.sqrt(seen) >= 0, 1, 2),
            np.arctan(seen**2 - seen), np.tanh(np.sinh(seen)), 1 / np.cosh(seen),
            np.arctan(1 / (np.sign(seen) + 1)), 1 / (1 + seen**4), np.where(np.arcsin(seen) > -9, 1, 2),
            np.clip(1 / seen, -3, 3), (seen**2 + 1) ** -2.5,
        ]  # fmt: skip
    np.testing.assert_allclose(path[:, 0], np.transpose(expected), rtol=1e-14)


def test_a_replica_does_not_depend_on_its_place_in_a_block() -> None:
    dynamics, start = dynamics_of(CASES[0]), (Normal(0, 3),)
    path, failed = run_kernel(dynamics, start, "numba", replicas=300, steps=3, batch=2)
    for first, count in ((0, 1), (1, 1), (127, 3), (128, 128), (299, 1)):
        part, part_failed = run_kernel(dynamics, start, "numba", replicas=count, steps=3, batch=2, first=first)
        assert part.tobytes() == path[first : first + count].tobytes()
        assert part_failed.tolist() == failed[first : first + count].tolist()


def test_recording_less_changes_nothing() -> None:
    dynamics, start = dynamics_of(CASES[0]), (Normal(0, 3),)
    path, _ = run_kernel(dynamics, start, "numba", replicas=20, steps=5, batch=2)
    for record in ([0], [5], [0, 5], [1, 2, 4]):
        part, _ = run_kernel(dynamics, start, "numba", replicas=20, steps=5, batch=2, record=record)
        assert part.tobytes() == path[:, record].tobytes()


def test_memory_is_recorded_only_if_asked_for() -> None:
    dynamics = dynamics_of(Case("momentum", "none", 3))
    start = (Normal(0, 3), Uniform(-4, 4), 0.5)
    full, _ = run_kernel(dynamics, start, "python", replicas=3, steps=2)
    positions, _ = run_kernel(dynamics, start, "python", replicas=3, steps=2, record_memory=False)
    assert full.shape == (3, 3, 6)
    assert positions.tobytes() == full[..., :3].tobytes()
    assert (full[:, 0, 3:] == 0).all()


@pytest.mark.parametrize("target", ["metal", "", "Numba"])
def test_an_unknown_target_is_refused(target: str) -> None:
    with pytest.raises(ArgumentError, match=r"target: got .*numba | python"):
        emit(dynamics_of(CASES[0]), target=target)  # type: ignore[arg-type]


# names

HOSTILE = [
    "x; import os", "__class__", "lambda", "s0", "t0", "p", "key", "β", "w\nimport os\n", '"""', "'", "\\", "#", "{0}",
    "exp", "np", "n0", "u0", "g0", "count", "lane", "def", "", " ", "\u202e", "e0[lane]", "a]b", "run", "nan", "inf",
]  # fmt: skip


def three_names(state: str, datum: str, parameter: str) -> Dynamics:
    """Heavy ball on the line with these names for everything that has one."""
    s, d, p = sp.Symbol(state, real=True), sp.Symbol(datum, real=True), sp.Symbol(parameter, real=True)
    buffer, gradient = sp.Symbol(f"v[{state}]", real=True), sp.Symbol(f"g[{state}]", real=True)
    moved = p * buffer + gradient / 10
    data = Fresh(placeholder=Normal(1, p))
    object.__setattr__(data, "laws", ((d, data.laws[0][1]),))  # names that Fresh itself would refuse
    return Dynamics(
        coordinates=(s,),
        memory=(buffer,),
        gradient_at=(s - p * buffer,),
        example_gradient=(sp.exp(-(s**2)) * d + s**3 * p,),
        data=data,
        batch_gradient=(gradient,),
        step=(s - moved, moved),
        parameters=((p, sp.Rational(1, 2)),),
    )


def code_of(source: str) -> str:
    """The text below the module's docstring."""
    return source.split('"""', 2)[2]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_no_name_reaches_the_code(number: int) -> None:
    names = [HOSTILE[(number + shift) % len(HOSTILE)] for shift in range(3)]
    harmless, hostile = three_names("a", "b", "c"), three_names(*names)
    for target in ("numba", "python"):
        plain = emit(harmless, (Normal(0, 1),), target)
        odd = emit(hostile, (Normal(0, 1),), target)
        assert code_of(odd) == code_of(plain)
        assert odd.count('"""') == 2
        legend = odd.split('"""')[1]
        assert all(line.isascii() for line in legend.splitlines())
        assert len(legend.splitlines()) == len(plain.split('"""')[1].splitlines())


def test_hostile_names_give_the_same_numbers() -> None:
    plain, _ = run_kernel(three_names("a", "b", "c"), (Normal(0, 1),), "python", replicas=5, steps=4, batch=2)
    odd, _ = run_kernel(three_names("lambda", "key", "s0"), (Normal(0, 1),), "python", replicas=5, steps=4, batch=2)
    worse = three_names("x; import os", 'w\n"""\nimport os', "__class__")
    worst, _ = run_kernel(worse, (Normal(0, 1),), "python", replicas=5, steps=4, batch=2)
    assert plain.tobytes() == odd.tobytes() == worst.tobytes()


def test_the_legend_says_what_stands_for_what() -> None:
    legend = emit(make_dynamics(landscape("w**2", ["w"], noise_std=1), Momentum(lr=0.1, momentum=0.5))).split('"""')[1]
    for line in ("s0 = w", "s1 = v[w]", "x0 = xi_w", "g0 = g[w]", "p0 = eta", "p1 = mu"):
        assert line in legend.splitlines()


def test_values_do_not_enter_the_source() -> None:
    """One kernel serves every learning rate, noise strength, starting point and data set."""
    problem = landscape("w**2", ["w"], noise_std=sp.Symbol("sigma", positive=True))
    few = Dataset(x=[1, 2], y=[0, 1])
    many = Dataset(x=range(9), y=range(9))
    regression = [Problem("(w*x - y)**2", ["w"], data) for data in (few, many)]
    for one, other, starts in (
        (problem.bind(sigma=1), problem.bind(sigma=2), ((Uniform(0, 1),), (Uniform(-5, 5),))),
        (*regression, ((0.5,), (-3,))),
    ):
        first = emit(make_dynamics(one, SGD(lr=0.1)), starts[0])
        second = emit(make_dynamics(other, SGD(lr=0.2)), starts[1])
        assert first == second


def optimizer_source(optimizer: Optimizer) -> str:
    return emit(make_dynamics(landscape("w**2", ["w"]), optimizer))


def test_different_rules_give_different_source() -> None:
    assert len({optimizer_source(optimizer) for optimizer in OPTIMIZERS.values()}) == len(OPTIMIZERS)


def test_a_node_that_cannot_be_printed_is_named() -> None:
    dynamics = replace(three_names("a", "b", "c"), example_gradient=(sp.besselj(0, sp.Symbol("a", real=True)),))
    with pytest.raises(ArgumentError, match=r"example_loss: got besselj\(0, a\)"):
        emit(dynamics)


# one kernel on record

GOLDEN = pathlib.Path(__file__).parent / "golden" / "sticky_1d_sgd.txt"


def test_the_kernel_on_record_is_the_one_emitted() -> None:
    """A change of generated text must be meant: SGDTHEORY_UPDATE_GOLDEN=1 puts the new one on record."""
    dynamics = make_dynamics(sticky_1d(), SGD(lr=0.01))
    emitted = emit(dynamics, (Uniform(-3.6, 3.6),))
    if os.environ.get("SGDTHEORY_UPDATE_GOLDEN"):
        GOLDEN.write_text(emitted, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == emitted, "meant? then run with SGDTHEORY_UPDATE_GOLDEN=1"


def test_the_kernel_on_record_runs() -> None:
    """Its first step, from its text alone, is the gradient step by hand: ∇ℓ = (Qx − y) Q'x."""
    run = build(GOLDEN.read_text(encoding="utf-8")).run
    path, failed = np.empty((200, 2, 1)), np.empty(200, dtype=np.int64)
    none = np.zeros((0, 1))
    nothing = (np.zeros((0, 2)), np.zeros(0, np.int64))  # no schedules
    numbers = (np.array([0.01]), np.array([-3.6, 3.6]))
    run(
        np.arange(4), 0, *numbers, none, none, 1, np.array([0, 1]), *nothing, path, failed, np.empty((200, 0), np.int64)
    )
    dynamics = make_dynamics(sticky_1d(), SGD(lr=0.01))
    twin, _ = run_kernel(dynamics, (Uniform(-3.6, 3.6),), "python", replicas=200, steps=1, key=range(4))
    assert path.tobytes() == twin.tobytes()
    shown = set_to(dynamics.data.symbols, dynamics.data)  # the same addresses, hence the same examples
    examples, _ = run_kernel(shown, (0, 0), "python", replicas=200, steps=1, key=range(4))
    before, after = path[:, 0, 0], path[:, 1, 0]
    feature, label = examples[:, 1].T
    q, slope = (before + 1.8) * (before - 1.8) ** 2, (before - 1.8) * (3 * before + 1.8)
    np.testing.assert_allclose(after, before - 0.01 * (q * feature - label) * slope * feature, rtol=1e-12)
