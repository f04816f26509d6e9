"""Every data law through a kernel: twins bit for bit, distributions, moments, and noise that depends on the state."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from numpy.typing import NDArray
from scipy import stats

from sgdtheory import SGD, Fresh, Normal, Problem, Quantile, Rademacher, StudentT, Uniform, landscape, simulate
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.dynamics import make_dynamics
from sgdtheory.kernels.emit import emit
from sgdtheory.kernels.lower import Start, start_values
from sgdtheory.laws import Law
from sgdtheory.simulation.blocks import Job, Schedule, run_block
from sgdtheory.verify.statistics import mean_test, variance_test

ALPHA = 1e-9
REPLICAS = 900_000
w, v = sp.symbols("w v", real=True)

LAWS: dict[str, Law] = {
    "normal": Normal(1, 2),
    "uniform": Uniform(-1, 3),
    "sign": Rademacher(),
    "t20": StudentT(20, 1, 2),
    "t3": StudentT(3),
    "cauchy": StudentT(1, -1, 3),
    "heavy": StudentT(0.3),
    "nearly_normal": StudentT(10**8),
    "exponential": Quantile("-log(1 - u)"),
    "cube": Quantile("(2*u - 1)**3"),
    "logistic": Quantile("log(u) - log(1 - u)"),
}
LIGHT = ("normal", "uniform", "sign", "t20", "exponential", "cube")  # eighth moments exist and are known
CONTINUOUS = {
    "normal": stats.norm(1, 2),
    "uniform": stats.uniform(-1, 4),
    "t20": stats.t(20, 1, 2),
    "t3": stats.t(3),
    "cauchy": stats.cauchy(-1, 3),
    "heavy": stats.t(0.3),
    "nearly_normal": stats.norm(),
    "exponential": stats.expon(),
    "logistic": stats.logistic(),
}


def drawing() -> Problem:
    """One coordinate a law; a step with learning rate 1 from 0 ends at the draw."""
    loss = -sp.Add(*(sp.Symbol(f"w_{name}") * sp.Symbol(f"x_{name}") for name in LAWS))
    return Problem(loss, [f"w_{name}" for name in LAWS], Fresh(**{f"x_{name}": law for name, law in LAWS.items()}))


@pytest.fixture(scope="module")
def draws() -> dict[str, NDArray[np.float64]]:
    run = simulate(drawing(), SGD(lr=1), steps=1, replicas=REPLICAS, init=0, record=[1], rng=0)
    assert run.attrs["diverged"] == 0
    return dict(zip(LAWS, run.w.values[:, 0].T, strict=True))


def paths(problem: Problem, target: str, start: Start, steps: int, replicas: int, batch: int) -> NDArray[np.float64]:
    dynamics = make_dynamics(problem, SGD(lr=0.5))
    job = Job(
        source=emit(dynamics, start, target),  # type: ignore[arg-type]
        key=np.array([1, 2, 3, 4]),
        parameters=np.array([float(value) for _, value in dynamics.parameters]),
        start=np.array([float(q) for q in start_values(start or ())]),
        points=np.zeros((0, problem.dimension)),
        data=np.zeros((0, 1)),
        batch_size=batch,
        record=np.arange(steps + 1),
        schedule=Schedule((), steps),
        scheduled=np.zeros(0, dtype=np.int64),
        width=problem.dimension,
        events=0,
    )
    return np.asarray(run_block(job, 0, replicas).kept)


def test_the_plain_twin_of_every_law_agrees_bit_for_bit() -> None:
    start = tuple(LAWS.values())
    compiled, plain = (paths(drawing(), target, start, 2, 40, 2) for target in ("numba", "python"))
    assert np.isfinite(compiled).all()
    np.testing.assert_array_equal(compiled, plain)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_draws_have_the_law(name: str, draws: dict[str, NDArray[np.float64]]) -> None:
    assert stats.kstest(draws[name], CONTINUOUS[name].cdf).pvalue > ALPHA


def test_a_slightly_different_law_would_be_seen(draws: dict[str, NDArray[np.float64]]) -> None:
    for name, wrong in {
        "t3": stats.t(3.5),
        "t20": stats.t(20, 1.03, 2),
        "cauchy": stats.cauchy(-1, 3.1),
        "heavy": stats.t(0.32),
        "exponential": stats.expon(0, 1.03),
    }.items():
        assert stats.kstest(draws[name], wrong.cdf).pvalue < ALPHA


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("name", LIGHT)
def test_the_first_four_moments(name: str, order: int, draws: dict[str, NDArray[np.float64]]) -> None:
    exact = float(LAWS[name].moment(order))
    test = mean_test(draws[name] ** order, exact, ALPHA)
    assert test.p_value >= ALPHA
    if exact:
        assert test.detectable < 0.1


def test_the_moments_of_heavy_tails_that_a_mean_can_show(draws: dict[str, NDArray[np.float64]]) -> None:
    assert mean_test(draws["t3"], float(StudentT(3).moment(1)), ALPHA).p_value >= ALPHA
    nearly = StudentT(10**8)
    assert variance_test(draws["nearly_normal"], float(nearly.moment(2)), ALPHA).p_value >= ALPHA


def test_laws_are_independent_of_each_other(draws: dict[str, NDArray[np.float64]]) -> None:
    ranks = np.argsort(np.argsort(np.array([draws[name] for name in CONTINUOUS]), axis=1), axis=1)
    correlation = np.corrcoef(ranks)[np.triu_indices(len(CONTINUOUS), 1)]
    assert abs(correlation).max() * np.sqrt(REPLICAS) < stats.norm.isf(ALPHA / 2 / len(correlation))


def test_replicas_may_start_from_any_law() -> None:
    still = landscape("0*w*v + 0", ["w", "v"])
    run = simulate(still, SGD(lr=1), steps=0, replicas=REPLICAS, init=[StudentT(3, 1, 2), Quantile("u**2")], rng=1)
    assert stats.kstest(run.w.values[:, 0, 0], stats.t(3, 1, 2).cdf).pvalue > ALPHA
    assert stats.kstest(run.w.values[:, 0, 1], lambda x: np.sqrt(x)).pvalue > ALPHA


def test_one_kernel_serves_starts_with_other_numbers() -> None:
    still = landscape("0*w + 0", ["w"])
    runs = [simulate(still, SGD(lr=1), steps=0, init=StudentT(dof, 0, dof), rng=1) for dof in (3, 5.5)]
    assert runs[0].attrs["kernel"] == runs[1].attrs["kernel"]
    assert float(runs[0].w[0, 0, 0]) != float(runs[1].w[0, 0, 0])


def test_labels_without_a_variance_are_simulated_and_said_to_have_no_loss() -> None:
    problem = Problem("(w*x - y)**2/2", ["w"], Fresh(x=Normal(), y=StudentT(1.5)))
    run = simulate(problem, SGD(lr=0.01), steps=3, replicas=20, init=1, batch_size=5, rng=0)
    assert run.attrs["diverged"] == 0
    assert np.isnan(run.attrs["lr_sharpness_end_max"])


def whirl() -> Problem:
    """Noise with a different, not diagonal, covariance at every point."""
    return landscape("w**2/2 + v**2", ["w", "v"], noise_root=sp.Matrix([[w, 0], [v, 1 + w**2]]), name="whirl")


@pytest.mark.parametrize("shortcut", [True, False])
def test_noise_that_depends_on_the_state_has_the_covariance_derived(shortcut: bool) -> None:
    problem, batch, at = whirl(), 3, {w: 1, v: -2}
    run = simulate(
        problem, SGD(lr=1), steps=1, replicas=REPLICAS, init=[1, -2], batch_size=batch, record=[1], rng=2,
        shortcut=shortcut,
    )  # fmt: skip
    assert run.attrs["perturbation"] == "w*xi_w, v*xi_w + xi_v*(w**2 + 1)"
    mean = np.array([1, -2]) - np.array(problem.gradient.xreplace(at), dtype=float)[:, 0]
    noise = run.w.values[:, 0] - mean
    covariance = np.array(problem.batch_noise(batch).xreplace(at), dtype=float)
    assert covariance.tolist() == [[1 / 3, -2 / 3], [-2 / 3, 8 / 3]]
    for i in range(2):
        assert mean_test(noise[:, i], 0, ALPHA).p_value >= ALPHA
        test = variance_test(noise[:, i], covariance[i, i], ALPHA)
        assert test.p_value >= ALPHA
        assert test.detectable < 0.03
    test = mean_test(noise[:, 0] * noise[:, 1], covariance[0, 1], ALPHA)
    assert test.p_value >= ALPHA
    assert test.detectable < 0.03


def test_the_plain_twin_of_noise_that_depends_on_the_state_agrees_bit_for_bit() -> None:
    compiled, plain = (paths(whirl(), target, (1, -2), 4, 30, 2) for target in ("numba", "python"))
    np.testing.assert_array_equal(compiled, plain)


def test_the_long_run_of_noise_that_grows_with_the_state_is_the_one_derived() -> None:
    """Covariance a + b·w² on ½hw²: V = η a/(h(2 − ηh) − η b), more than the η a/(h(2 − ηh)) of constant noise."""
    a, b, h, lr = 1, sp.Rational(1, 2), 1, sp.Rational(1, 2)
    problem = landscape(h * w**2 / 2, ["w"], covariance=[[a + b * w**2]])
    variance = stationary_covariance(problem, SGD(lr=lr), 1)[0]
    assert variance == lr * a / (h * (2 - lr * h) - lr * b) == sp.Rational(2, 5)
    run = simulate(problem, SGD(lr=0.5), steps=60, replicas=REPLICAS, init=0, record=[60], rng=3)
    test = mean_test(run.w.values[:, 0, 0] ** 2, float(variance), ALPHA)  # what is left of the start: (3/8)^60
    assert test.p_value >= ALPHA
    assert test.detectable < 0.05
