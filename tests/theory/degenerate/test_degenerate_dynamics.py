"""The laws of motion on degenerate landscapes against runs of the simulator, to the end and not step by step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from sgdtheory import (
    SGD,
    ArgumentError,
    Dataset,
    Uniform,
    log_steps,
    simulate,
    single_feature,
    sticky_1d,
    sticky_2d,
    symbols,
)
from sgdtheory.theory.degenerate import balance, barrier, collapse, creep, descent, isotropic, ito
from sgdtheory.theory.degenerate.bessel import RATES, bessel_dimension, bessel_variance, log_density_slope

W = sp.Symbol("w", real=True)
η, B, σ, k = symbols.lr, symbols.batch_size, symbols.noise_std, symbols.zero_order


@pytest.mark.parametrize(("order", "lr", "steps"), [(3, 0.1, 20_000), (4, 0.1, 40_000)])
def test_far_from_the_start_the_law_is_chi_and_no_other(order: int, lr: float, steps: int) -> None:
    run = simulate(
        single_feature(W**order, [W]), SGD(lr=lr), steps=steps, replicas=400, init=0.2, record=[steps], rng=11,
        progress=False,
    )  # fmt: skip
    w = np.abs(run.w.values[:, 0, 0])
    at = {k: order, η: lr, σ: 1, B: 1}
    u = w ** (2.0 - order) / math.sqrt(steps * float(bessel_variance().subs(at)))
    start = 0.2 ** (2 - order) / math.sqrt(steps * float(bessel_variance().subs(at)))
    assert start < 0.35
    dimension = float(bessel_dimension().subs(at))
    assert stats.kstest(u, stats.chi(dimension).cdf).pvalue > 1e-6
    assert stats.kstest(u, stats.chi(1).cdf).pvalue < 1e-9  # Stratonovich's


def test_the_density_of_w_integrates_to_the_law_of_chi() -> None:
    at = {k: 3, η: 0.1, σ: 1, B: 1, symbols.steps: 100}
    x = np.geomspace(1e-2, 1e3, 200_001)
    slope = sp.lambdify(symbols.place, log_density_slope().subs(at))(x)
    logs = np.concatenate([[0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(x))])
    density = np.exp(logs - logs.max())
    cdf = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(x))])
    median = float(x[np.searchsorted(cdf, cdf[-1] / 2)])
    scale = math.sqrt(100 * float(bessel_variance().subs(at)))
    assert 1 / (median * scale) == pytest.approx(stats.chi(3).median(), rel=1e-3)


def test_the_double_zero_collapses_and_the_simple_one_does_not() -> None:
    ends = {}
    for order in (1, 2, 3):
        run = simulate(
            single_feature(W**order, [W]), SGD(lr=0.1), steps=1600, replicas=300, init=0.3, record=[1600], rng=7,
            progress=False,
        )  # fmt: skip
        ends[order] = float(np.median(np.abs(run.w.values[:, 0, 0])))
    assert ends[2] < 1e-10 < ends[3] < ends[1]
    assert ends[2] < math.exp(1600 * float(collapse.collapse_exponent(0.1, 1)) / 2)
    flow = descent.flow_place().subs({k: 2, symbols.steepness: 0.5, symbols.flow_start: 0.3, symbols.flow_time: 160})
    assert float(flow) > 0.03  # what the source's rates would leave


def test_underflow_is_zero_and_an_overflow_a_counted_divergence() -> None:
    model = single_feature(W**2, [W])
    fate = simulate(model, SGD(lr=0.3), steps=12_000, replicas=50, init=1e-4, record=[12_000], rng=1, progress=False)
    assert np.isfinite(fate.w.values).all()
    assert (fate.w.values == 0).mean() > 0.5  # e^(−0.1·12000) is below the smallest number
    exact = model.population()
    edge = float(descent.basin_edge().subs({k: 2, symbols.steepness: 0.5, η: 0.3}))
    both = simulate(exact, SGD(lr=0.3), steps=200, replicas=2, init=np.array([[0.99], [1.01]]) * edge, rng=1)
    assert (both.diverged_at.values >= 0).tolist() == [False, True]


@pytest.mark.parametrize("std", [0.1, 0.4, 0.9])
def test_the_exponent_for_inputs_of_one_size_is_that_of_the_simulator(std: float) -> None:
    x = np.array([1.0, -1.0])
    y = np.array([std, std])  # xy = ±std: two equally likely values
    run = simulate(
        single_feature(W**2, [W], data=Dataset(x=x, y=y)), SGD(lr=0.5), steps=200, replicas=4_000, init=1e-30,
        record=[200], rng=2, progress=False,
    )  # fmt: skip
    logs = np.log(np.abs(run.w.values[:, 0, 0]) / 1e-30) / 200
    exact = math.log(abs(1 - std**2)) / 2
    assert abs(logs.mean() - exact) < 5 * logs.std() / math.sqrt(logs.size)


def test_the_exponent_is_itos_for_small_steps_and_grows_without_bound() -> None:
    small = collapse.collapse_exponent(sp.Rational(1, 100), 1).evalf(12)
    assert float(small / (-2 * sp.Rational(1, 10**4))) == pytest.approx(1 + 18e-4, abs=2e-5)
    assert float(collapse.collapse_exponent(1000, 1)) == pytest.approx(math.log(1000) - np.euler_gamma, abs=0.01)


def test_no_run_crosses_the_barrier_on_bounded_data_and_normal_data_jump() -> None:
    problem = sticky_1d(1, 2, sp.S.One, data=Dataset(x=[1, 1, -1, -1], y=[2, -2, 2, -2]))
    run = simulate(
        problem, SGD(lr=0.02), steps=5_000, replicas=1_000, init=Uniform(-1, 1), rng=1, record=[0, 5_000],
        events={"crossed": -sp.Rational(1, 3) < W}, progress=False,
    )  # fmt: skip
    start, end = run.w.values[:, 0, 0], run.w.values[:, -1, 0]
    assert ((start > -1 / 3) == (end > -1 / 3)).all()
    assert ((run.crossed.values >= 0) == (start > -1 / 3)).all()


def test_a_loud_label_makes_the_maximum_attract() -> None:
    numbers = {η: 0.01, symbols.barrier_value: sp.Rational(32, 27), symbols.barrier_bend: 4}
    assert (
        float(barrier.barrier_growth().subs(numbers).subs(σ, 9))
        < 0
        < float(barrier.barrier_growth().subs(numbers).subs(σ, 7))
    )
    shares = []
    for std in (7, 9):
        problem = sticky_1d(1, 2, sp.S.One, data=Dataset(x=[1, 1], y=[std, -std]))
        run = simulate(problem, SGD(lr=0.01), steps=4_000, replicas=500, init=-1 / 3 - 1e-3, record=[4_000], rng=4,
                       progress=False)  # fmt: skip
        shares.append(float((np.abs(run.w.values[:, 0, 0] + 1 / 3) < 1e-6).mean()))
    assert shares[0] < 0.05
    assert shares[1] > 0.8


def test_creep_from_the_published_start_ends_where_the_law_says() -> None:
    run = simulate(
        sticky_2d(1, 2, convention="squared error"), SGD(lr=0.01), steps=5000, batch_size=20, replicas=100,
        init=[0, 1.3], record=[5000], rng=1, progress=False,
    )  # fmt: skip
    ends = run.w.values[:, 0, 1]
    at = {symbols.line_power: 2, η: 0.01, σ: 1, B: 20}
    law = float(creep.creep(sp.Rational(13, 10), 5000, "squared error").subs(at))
    # the jitter exceeds its small-step value by ηw2⁸ of it or so, 8 % at the start
    assert ends.mean() == pytest.approx(law, abs=0.006)
    assert float(creep.caustic("squared error").subs(at).subs(symbols.creep_steps, 5000)) == pytest.approx(
        0.970, abs=5e-4
    )
    with pytest.raises(ArgumentError, match="convention"):
        creep.creep(convention="mean squared error")


def test_the_degenerate_line_of_degree_two_holds_every_run_to_the_last_bit() -> None:
    start = np.stack([np.zeros(50), np.linspace(-3, 3, 50)], axis=1)
    run = simulate(sticky_2d(2), SGD(lr=0.1), steps=100, replicas=50, init=start, rng=1, progress=False)
    assert (run.w.values == start[:, np.newaxis]).all()


def test_the_balance_decides_between_decay_and_growth() -> None:
    factor = balance.balance_factor(1, 1).subs({η: sp.Rational(1, 10)})
    r = symbols.residual_factor
    assert abs(factor.subs(r, 10)) < 1 < abs(factor.subs(r, 15))


def test_the_spread_is_round_only_for_small_steps() -> None:
    H = sp.diag(1, 3)
    S = isotropic.long_run_covariance(H).subs({symbols.noise_ratio: 1, B: 1})
    assert sp.limit(S[0, 0] / S[1, 1], η, 0) == 1
    assert (S[1, 1] / S[0, 0]).subs(η, sp.Rational(1, 2)) == 3
    assert sp.limit(S[1, 1] / S[0, 0], η, sp.Rational(2, 3), "-") == sp.oo


def test_the_readings_differ_by_a_power_only_beside_a_degenerate_zero() -> None:
    difference = sp.simplify(ito.label_density_slope("Itô") - ito.label_density_slope("Stratonovich"))
    assert difference.subs(k, 1) == 0
    assert difference.subs(k, 3) == -2 / symbols.place


def test_the_sources_rates_come_first_among_the_mutants() -> None:
    assert RATES.mutants[0].name.startswith("as printed")
    assert log_steps(100)[-1] == 100
