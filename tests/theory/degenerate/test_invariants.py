"""Noise, volumes, posteriors and samplers as theory, against numbers that know nothing of the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from sgdtheory import Dataset, Fresh, Normal, Problem, Rademacher, Uniform, single_feature
from sgdtheory import posterior as posterior_of
from sgdtheory.theory.degenerate import end_law, noise, posterior, sampler, volume
from sgdtheory.theory.degenerate.sharp_minimum import w0

w1, w2 = sp.symbols("w1 w2", real=True)


def test_the_library_derives_the_same_noise_for_another_law_of_inputs() -> None:
    problem = Problem("(w**3*x - y)**2/2", ["w"], Fresh(x=Uniform(-1, 2), y=Normal(0, 2)))
    at = {noise.k1: 3, noise.c: 1, noise.σ: 2, noise.x2: 1, noise.x4: sp.Rational(11, 5)}
    w = problem.coordinates[0]
    stated = noise.noise_of_power().subs(at).subs({noise.H: problem.hessian[0], noise.w: w})
    assert sp.expand(problem.gradient_noise[0] - stated) == 0


def test_inputs_of_constant_size_leave_no_remainder() -> None:
    problem = Problem("(w**2*x - y)**2/2", ["w"], Fresh(x=Rademacher(), y=Normal(0, 1)))
    assert sp.expand(problem.gradient_noise[0] - problem.hessian[0] * sp.Rational(2, 3)) == 0


def test_batches_of_a_data_set_have_the_factor() -> None:
    x, y = np.random.default_rng(1).normal(size=(2, 7))
    problem = single_feature("w1*w2", ["w1", "w2"], data=Dataset(x=x, y=y, sampling="without replacement"))
    factor = float(noise.batch_factor().subs({noise.n: 7, noise.B: 3}))
    ratio = np.array((problem.batch_noise(3) / factor - problem.gradient_noise).subs({"w1": 2, "w2": 3}), dtype=float)
    np.testing.assert_allclose(ratio, 0, atol=1e-12)


def test_volumes_have_the_exponents_of_the_crossing() -> None:
    for degrees, formula in (((1, 2), volume.product_volume()), ((2, 2), volume.tie_volume())):
        at = dict(zip((volume.k1, volume.k2), degrees, strict=True))
        value, multiplicity = (e.subs(at) for e in volume.crossing_exponents())
        small = sp.Float("1e-400", 30)
        found = sp.N(formula.subs(at).subs(volume.ε, small) / small**value, 30)
        assert (found < 3) == (multiplicity == 1)  # at a tie the logarithm is left


@pytest.mark.parametrize("size", [5, 20, 60])
def test_what_the_tie_leaves_out_is_below_its_bound(size: int) -> None:
    """Z on the square less the formula lies in (0, λ²e^(−n)/n²); at k = 1 as a sum of error functions in mpmath."""
    import mpmath

    with mpmath.workdps(60):
        exact = mpmath.quad(
            lambda u: mpmath.sqrt(mpmath.pi / size) / (2 * u) * mpmath.erf(u * mpmath.sqrt(size)), [0, 1]
        )
        stated = mpmath.mpf(sp.N(posterior.tie_normalisation().subs({posterior.k: 1, posterior.n: size}), 60))
        assert 0 < exact - stated < mpmath.exp(-size) / (4 * size**2)


def test_a_narrow_box_shows_nothing_of_the_coefficient() -> None:
    narrow = {posterior.k: 2, posterior.n: 1, posterior.R: sp.Rational(1, 10)}
    assert float(posterior.box_mean().subs(narrow)) == pytest.approx(1e-4 / 5, rel=1e-3)


def test_the_pull_takes_over_at_last() -> None:
    strong = float(sampler.localised_quartic().subs({sampler.n: 1, sampler.γ: 200}))
    assert strong == pytest.approx(3 / 200**2, rel=1e-2)  # n⟨w⁴⟩ of a normal law


def test_divergence_is_zero_for_a_round_bowl_and_large_for_a_valley() -> None:
    at = {end_law.η: 0.1, end_law.B: 1, end_law.c: 1, end_law.h1: 1}
    assert end_law.nearest_posterior()[1].subs({**at, end_law.h2: 1}) == pytest.approx(1)
    valley = float(sp.log(end_law.nearest_posterior()[1].subs({**at, end_law.h2: 0.01})) / 2)
    assert valley == pytest.approx(np.log(1.01**2 / 0.04) / 2, rel=0.02)  # log of arithmetic over geometric mean


def test_masses_of_two_minima_are_those_of_a_fine_grid() -> None:
    degrees = {end_law.k1: 1, end_law.k2: 2, w0: 1}
    minus, plus = (float(mass.subs(degrees)) for mass in end_law.two_masses())
    law = posterior_of(single_feature("(w + 1)*(w - 1)**2", ["w"], noise_std=0), 2e8, Uniform(-2, 2))  # ½Q² · 2n
    left, right = law.basin_masses()
    assert left / right == pytest.approx(minus / plus * 1e8 ** (-1 / 2 + 1 / 4), rel=1e-3)
