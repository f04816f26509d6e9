"""Laws of random multipliers against adaptive quadrature, exact moments and limits known in closed form."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mpmath import mp
from scipy import integrate, special, stats

from sgdtheory import ArgumentError
from sgdtheory.derive.multiplier import (
    Multiplier,
    chi_square_multiplier,
    discrete_multiplier,
    normal_multiplier,
)


def chi_square_moment(constant: float, slope: float, dof: int, order: int) -> float:
    """E(constant + slope·s)^order by the binomial formula, for even orders."""
    raw = [math.prod(dof + 2 * j for j in range(k)) for k in range(order + 1)]
    return sum(math.comb(order, k) * constant ** (order - k) * slope**k * raw[k] for k in range(order + 1))


@given(st.floats(-2, 2), st.floats(0.05, 3), st.booleans(), st.integers(1, 60), st.sampled_from([2, 4, 6]))
@example(0.0, 1.0, True, 1, 2)
@example(1e-90, 1.0, False, 1, 2)
@example(1e-12, 3.0, False, 60, 4)
@example(1.0, 0.5, False, 1, 6)
def test_even_moments_of_a_chi_square_multiplier_are_exact(
    constant: float, slope: float, up: bool, dof: int, order: int
) -> None:
    slope = slope if up else -slope
    exact = chi_square_moment(constant, slope / dof, dof, order)
    law = chi_square_multiplier(constant, slope / dof, dof)
    # the smallest one can be is a variance; its terms cancel in the exact formula, not here
    scale = chi_square_moment(abs(constant), abs(slope / dof), dof, order)
    assert math.exp(law.log_moment(order)) == pytest.approx(exact, rel=1e-9, abs=1e-12 * scale)


@given(st.floats(-3, 3), st.floats(0.05, 3), st.sampled_from([1, 2, 3, 4]))
@example(0.0, 1.0, 1)
def test_moments_of_a_normal_multiplier_are_those_of_the_folded_normal(mean: float, std: float, order: int) -> None:
    z = -((mean / std) ** 2) / 2
    exact = std**order * 2 ** (order / 2) * special.gamma((order + 1) / 2) / math.sqrt(math.pi)
    exact *= special.hyp1f1(-order / 2, 0.5, z)
    assert math.exp(normal_multiplier(mean, std).log_moment(order)) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(
    "law", [chi_square_multiplier(1, -0.7, 1), chi_square_multiplier(2, 1, 5), normal_multiplier(1, 3)]
)
def test_weights_add_up_to_one(law: Multiplier) -> None:
    assert np.exp(law.log_weights).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("constant", "slope", "dof"), [(1, -0.7, 1), (1, -0.2, 4), (0.5, 0.3, 2), (-1, -0.1, 3)])
def test_growth_is_the_mean_of_the_logarithm(constant: float, slope: float, dof: int) -> None:
    zero = -constant / slope
    ends = [0, zero, zero + 30, np.inf] if zero > 0 else [0, 30, np.inf]

    def weighted(s: float) -> float:
        return math.log(abs(constant + slope * s)) * stats.chi2.pdf(s, dof)

    parts = [integrate.quad(weighted, a, b, epsabs=1e-12, limit=400)[0] for a, b in pairwise(ends)]
    assert chi_square_multiplier(constant, slope, dof).growth() == pytest.approx(sum(parts), abs=1e-8)


def test_two_degrees_of_freedom_have_the_exponential_integral() -> None:
    """E log|1 − ηq|, q exponential, is −e^(−1/η)Ei(1/η): it vanishes with Ei, at 1/η = 0.3725."""
    for lr in (0.3, 1.0, 2.5):
        exact = -math.exp(-1 / lr) * special.expi(1 / lr)
        assert chi_square_multiplier(1, -lr / 2, 2).growth() == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize(("lr", "batch"), [(0.01, 1), (0.3, 1), (0.05, 3), (1.2, 8)])
def test_the_tail_exponent_solves_its_equation_in_high_precision(lr: float, batch: int) -> None:
    order = mp.mpf(chi_square_multiplier(1, -lr / batch, batch).tail_exponent())
    half = mp.mpf(batch) / 2
    peak = 1 + 2 * order * lr / batch

    def density(y: mp.mpf) -> mp.mpf:
        rate = half / lr
        return rate**half * y ** (half - 1) * mp.exp(-rate * y) / mp.gamma(half)

    width = mp.sqrt(4 * order) * lr / batch * 8
    ends = [0, lr, 1, max(1 + lr, peak - width), peak, peak + width, 4 * peak, mp.inf]
    with mp.workdps(25):
        total = mp.quad(lambda y: abs(1 - y) ** order * density(y), sorted(set(ends)))
    assert float(total) == pytest.approx(1, abs=1e-8)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.25, 2.0, 3.0]), min_size=1, max_size=6))
@example([0.0])
@example([1.0])
@example([2.0])
@example([0.0, 3.0])
def test_a_discrete_law_is_a_sum(values: list[float]) -> None:
    law = discrete_multiplier(values)
    kappa = law.tail_exponent()
    grows = 0 not in values and np.log(values).mean() >= 0
    if grows:
        assert kappa == 0
    elif max(values) <= 1:
        assert kappa == math.inf
    else:
        assert np.mean(np.array(values) ** kappa) == pytest.approx(1, abs=1e-11)
        finite = [v for v in values if v > 0]
        slope = np.sum(np.array(finite) ** kappa * np.log(finite)) / np.sum(np.array(finite) ** kappa)
        assert law.slope(kappa) == pytest.approx(slope, rel=1e-9)
        assert slope > 0


def test_the_sign_of_a_factor_does_not_matter() -> None:
    one, other = discrete_multiplier([0.5, -1.5]), discrete_multiplier([-0.5, 1.5])
    assert (one.growth(), one.tail_exponent()) == (other.growth(), other.tail_exponent())
    assert normal_multiplier(-1, 0.5).growth() == pytest.approx(normal_multiplier(1, 0.5).growth(), abs=1e-14)


def test_an_exponent_too_large_for_the_points_is_refused() -> None:
    with pytest.raises(ArgumentError, match="larger learning rate"):
        chi_square_multiplier(1, -1e-5, 1).tail_exponent()


@pytest.mark.parametrize("dof", [500, 200_000])
def test_large_batches_are_narrow_but_resolved(dof: int) -> None:
    law = chi_square_multiplier(1, -1.9 / dof, dof)
    assert math.exp(law.log_moment(2)) == pytest.approx(1 - 3.8 + 1.9**2 * (dof + 2) / dof, rel=1e-9)


@pytest.mark.parametrize("law", [lambda: chi_square_multiplier(1, -1e-9, 10**9), lambda: normal_multiplier(1, 1e-6)])
def test_what_hardly_fluctuates_is_refused(law: object) -> None:
    with pytest.raises(ArgumentError, match="treat it as a constant"):
        law()
