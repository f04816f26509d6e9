"""Drawing a batch's sums instead of its examples: the same law, where it pays, and refused where it is not known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from numpy.typing import NDArray
from plain_twin import assert_same_numbers, simulate_plainly
from scipy import stats

from sgdtheory import (
    SGD,
    ArgumentError,
    Fresh,
    Normal,
    Problem,
    Rademacher,
    Uniform,
    linear_regression,
    make_dynamics,
    scalar_mean,
    simulate,
    sticky_1d,
)
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.derive.sufficient import BatchMeans, batch_means
from sgdtheory.symbols import batch_size
from sgdtheory.verify.statistics import mean_test

ALPHA = 1e-9
REPLICAS = 200_000
BATCH = 5
AT = np.array([1, -1])
WEIGHTS = np.array([[1, 0], [0, 1], [1, 1], [2, -1]])
"""Projections that show how the two components of a gradient depend on each other."""
w1, w2, x1, x2, y = sp.symbols("w1 w2 x1 x2 y", real=True)
a, s = sp.symbols("a s", real=True)
REGRESSION = Problem(
    (w1 * x1 + w2 * x2 - y) ** 2 / 2, [w1, w2], Fresh(x1=Normal(a, s), x2=Normal(0, 2), y=Normal(sp.Rational(1, 2), 1))
)
"""Two features of different spread, one with a mean; labels with a mean: seven means, six normal and two χ² numbers."""
NUMBERS = {"a": 1, "s": 1}


def gradients(shortcut: bool, rng: int) -> NDArray[Any]:
    """Batch gradients, shape (replicas, 2): one step of learning rate 1."""
    run = simulate(
        REGRESSION, SGD(lr=1), steps=1, replicas=REPLICAS, init=AT.tolist(), batch_size=BATCH, record=[1],
        parameters=NUMBERS, shortcut=shortcut, rng=rng,
    )  # fmt: skip
    return AT - np.asarray(run.w.values[:, 0])


@pytest.fixture(scope="module")
def summed() -> NDArray[Any]:
    return gradients(True, 1)


@pytest.fixture(scope="module")
def examples() -> NDArray[Any]:
    return gradients(False, 2)


def least_p(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Smallest p-value of two samples of gradients coming from one law."""
    return float(min(stats.ks_2samp(one @ v, other @ v).pvalue for v in WEIGHTS))


def test_sums_and_examples_give_the_same_law(summed: NDArray[Any], examples: NDArray[Any]) -> None:
    assert least_p(summed, examples) > ALPHA


def test_mean_and_covariance_are_exact(summed: NDArray[Any]) -> None:
    problem = REGRESSION.bind(**NUMBERS)
    at = dict(zip(problem.coordinates, map(sp.Integer, AT), strict=True)) | dict(problem.parameters)
    mean, covariance = (np.array(m.xreplace(at), dtype=float) for m in (problem.gradient, problem.batch_noise(BATCH)))
    for v in WEIGHTS:
        projected = (summed - mean[:, 0]) @ v
        assert mean_test(projected + 10, 10, ALPHA).p_value >= ALPHA
        test = mean_test(projected**2, float(v @ covariance @ v), ALPHA)
        assert test.p_value >= ALPHA
        assert test.detectable < 0.05


def drawn_by_numpy(change: Callable[[BatchMeans], BatchMeans]) -> NDArray[Any]:
    """The same gradients from numpy's random numbers, after a change of the law."""
    known = batch_means(make_dynamics(REGRESSION, SGD()))
    assert known is not None
    means, random = change(known), np.random.default_rng(3)
    draws: dict[sp.Symbol, Any] = {n: random.standard_normal(REPLICAS) for n in means.normals}
    draws |= {k: random.chisquare(BATCH - fewer, REPLICAS) for k, fewer in means.chi_squares}
    constants = {batch_size: BATCH, a: NUMBERS["a"], s: NUMBERS["s"], w1: AT[0], w2: AT[1]}
    values = dict(zip(means.symbols, means.values, strict=True))
    formulas = [g.xreplace(values).xreplace(constants) for g in means.gradient]
    return np.column_stack(sp.lambdify(list(draws), formulas, "numpy")(*draws.values()))


def degrees(*fewer: int) -> Callable[[BatchMeans], BatchMeans]:
    def change(means: BatchMeans) -> BatchMeans:
        return replace(means, chi_squares=tuple((k, f) for (k, _), f in zip(means.chi_squares, fewer, strict=True)))

    return change


def test_the_kernels_draws_have_the_law_of_numpys(summed: NDArray[Any]) -> None:
    assert least_p(summed, drawn_by_numpy(degrees(1, 2))) > ALPHA


@pytest.mark.parametrize("fewer", [(2, 3), (0, 1), (1, 1), (2, 2)])
def test_a_wrong_number_of_degrees_of_freedom_is_seen(fewer: tuple[int, int], examples: NDArray[Any]) -> None:
    assert least_p(examples, drawn_by_numpy(degrees(*fewer))) < ALPHA


def test_the_plain_twin_draws_the_same_sums() -> None:
    given: dict[str, Any] = {
        "steps": 5, "replicas": 30, "init": [1, 2], "batch_size": 4, "record": [5], "rng": 3, "shortcut": True,
        "parameters": NUMBERS,
    }  # fmt: skip
    assert_same_numbers(*(run(REGRESSION, SGD(lr=0.1), **given) for run in (simulate_plainly, simulate)))


def test_parameters_of_the_laws_may_be_swept_down_to_no_spread() -> None:
    run = simulate(
        REGRESSION, SGD(lr=1), steps=1, replicas=20_000, init=AT.tolist(), batch_size=BATCH, record=[1], rng=4,
        parameters={"a": [0, 3], "s": [0, 1]}, shortcut=True,
    )  # fmt: skip
    for mean, std in ((3, 0), (0, 1), (3, 1)):
        bound = REGRESSION.bind(a=mean, s=std)
        at = dict(zip(bound.coordinates, map(sp.Integer, AT), strict=True)) | dict(bound.parameters)
        exact = np.array(bound.gradient.xreplace(at), dtype=float)[:, 0]
        g = AT - run.w.sel(a=mean, s=std).values[:, 0]
        for i in range(2):
            assert mean_test(g[:, i], float(exact[i]), ALPHA).p_value >= ALPHA
    assert np.ptp(run.w.sel(a=0, s=0).values[:, 0, 0]) == 0  # a feature that is 0 gives no gradient


def test_the_long_run_is_the_one_derived() -> None:
    """Multiplicative noise of both features: the second moments of the kernel's sums act at every step."""
    centred = REGRESSION.bind(a=0, s=1)
    exact = np.array(stationary_covariance(centred, SGD(lr=sp.Rational(1, 10)), BATCH), dtype=float)
    run = simulate(
        REGRESSION, SGD(lr=0.1), steps=150, replicas=REPLICAS, init=0, batch_size=BATCH, record=[150], rng=5,
        parameters={"a": 0, "s": 1}, shortcut=True,
    )  # fmt: skip
    for v in WEIGHTS:
        test = mean_test((run.w.values[:, 0] @ v) ** 2, float(v @ exact @ v), ALPHA)
        assert test.p_value >= ALPHA
        assert test.detectable < 0.05


@pytest.mark.parametrize("features", [10, 11])
def test_many_sums_are_kept_apart(features: int) -> None:
    """65 and 77 normal numbers a step, shared by two steps, in rows: a huge batch follows the exact gradient."""
    problem, lr, batch = linear_regression(features, teacher=1), 0.1, 10**8
    run = simulate_plainly(
        problem, SGD(lr=lr), steps=3, replicas=4, init=0, batch_size=batch, record=[1, 2, 3], rng=7, shortcut=True
    )
    for k, step in enumerate((1, 2, 3)):
        np.testing.assert_allclose(run.w.values[:, k], 1 - (1 - lr) ** step, atol=10 * np.sqrt(features / batch))


@pytest.mark.parametrize(("coordinate", "mean"), [("m0", "a"), ("w", "n0"), ("n0", "k0"), ("w", "m"), ("B", "n1")])
def test_a_users_names_are_not_taken_for_draws(coordinate: str, mean: str) -> None:
    def run(coordinate: str, mean: str) -> NDArray[Any]:
        law = Normal(sp.Symbol(mean, real=True), 1)
        problem = Problem(f"({coordinate}*x - y)**2/2", [coordinate], Fresh(x=Normal(), y=law), {mean: 3})
        given: dict[str, Any] = {"steps": 3, "replicas": 20, "init": 1, "batch_size": 4, "rng": 6, "shortcut": True}
        return np.asarray(simulate_plainly(problem, SGD(lr=0.1), **given).w.values)

    np.testing.assert_array_equal(run(coordinate, mean), run("v", "b"))


def batches(problem: Problem, batch: int | list[int], **settings: Any) -> str:
    """How batches were drawn."""
    given: dict[str, Any] = {"steps": 0, "replicas": 1, "init": 1, "rng": 0} | settings
    given |= {"parameters": NUMBERS} if problem is REGRESSION else {}
    return str(simulate_plainly(problem, SGD(lr=0.1), batch_size=batch, **given).attrs["batches"])


@pytest.mark.parametrize(
    ("problem", "least"), [(scalar_mean(1), 2), (sticky_1d(), 3), (sticky_1d(noise_std=0), 2), (REGRESSION, 5)]
)
def test_sums_are_drawn_where_they_cost_less_than_examples(problem: Problem, least: int) -> None:
    """1 < B; 1 + 3 < 2B; 3 < 2B, the label being drawn though it is certain; 6 + 2·3 < 3B."""
    assert batches(problem, least) == "sufficient statistics"
    assert batches(problem, least - 1) == "examples"
    assert batches(problem, [least - 1, least]) == "examples and sufficient statistics"


def test_beyond_some_number_of_draws_sums_are_drawn_only_if_asked_for() -> None:
    names = [f"x{i}" for i in range(6)]
    residual = sp.Add(*(sp.Symbol(f"w{i}") * sp.Symbol(n) for i, n in enumerate(names)))
    problem = Problem(
        (residual - y) ** 2 / 2, [f"w{i}" for i in range(6)], Fresh(y=Normal(), **dict.fromkeys(names, Normal()))
    )
    assert batches(problem, 1000) == "examples"
    assert batches(problem, 1000, shortcut=True) == "sufficient statistics"


@pytest.mark.parametrize(("problem", "least"), [(scalar_mean(1), 1), (sticky_1d(), 2), (REGRESSION, 4)])
def test_who_insists_gets_sums_for_every_batch_they_can_be_drawn_for(problem: Problem, least: int) -> None:
    assert batches(problem, least, shortcut=True) == "sufficient statistics"
    assert batches(problem, 1000, shortcut=False) == "examples"
    if least > 1:
        with pytest.raises(ArgumentError, match=f"shortcut: got True; .* it takes a batch of at least {least}"):
            batches(problem, least - 1, shortcut=True)


def test_an_unknown_law_is_refused_if_insisted_on() -> None:
    with pytest.raises(ArgumentError, match="no law of a batch's sums is known"):
        batches(sticky_1d(x=Uniform()), 9, shortcut=True)
    assert batches(sticky_1d(x=Uniform()), 9) == "examples"


def test_gradients_through_a_sign_take_one_draw() -> None:
    """Q(w)x − y with x = ±1: x² = 1 and the mean of xy is normal of variance σ²/B, whatever the batch."""
    assert batches(sticky_1d(x=Rademacher()), 1, shortcut=True) == "sufficient statistics"
    assert batches(sticky_1d(x=Rademacher()), 2) == "sufficient statistics"
    assert batches(sticky_1d(x=Rademacher(), noise_std=0), 2) == "examples"


@pytest.mark.parametrize("loss", ["(w - y)**2/2", "w**2/2 - 3*w + z"])
def test_a_gradient_that_meets_no_chance(loss: str) -> None:
    problem = Problem(loss, ["w"], Fresh(y=Normal(3, 0), z=Normal()))
    run = simulate_plainly(problem, SGD(lr=1), steps=1, replicas=2, init=1, batch_size=2)
    assert run.w.values[:, 1, 0].tolist() == [3, 3]
    assert run.attrs["batches"] == "examples"
