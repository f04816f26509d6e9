"""Posteriors by quadrature: closed forms, other people's integrals, masses, marginals, volumes; and arguments."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import dblquad, quad
from scipy.special import gamma

from sgdtheory import (
    ArgumentError,
    Normal,
    Rademacher,
    Uniform,
    custom_loss,
    landscape,
    learning_coefficient,
    posterior,
    sticky_1d,
    sticky_2d,
    volume_below,
)
from sgdtheory.theory.degenerate.posterior import R as HALF_WIDTH
from sgdtheory.theory.degenerate.posterior import box_mean, k, n, tie_mean, tie_normalisation


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("size", [10.0, 1e4, 1e9])
def test_powers(degree: int, size: float) -> None:
    law = posterior(landscape(f"w**{2 * degree}", ["w"]), size, Uniform(-3, 3))
    exponent = 1 / (2 * degree)
    assert law.log_normalisation == pytest.approx(np.log(gamma(1 + exponent) * 2 * size**-exponent / 6), abs=1e-9)
    assert size * law.mean(lambda w: w[:, 0] ** (2 * degree)) == pytest.approx(exponent, rel=1e-9)
    assert law.mean(lambda w: w[:, 0]) == pytest.approx(0, abs=1e-12)


def test_a_normal_prior_is_conjugate() -> None:
    law = posterior(landscape("(w - 1)**2/2", ["w"]), 8, Normal(0, 0.5), beta=0.5)  # precisions 4 and 4
    assert law.mean(lambda w: w[:, 0]) == pytest.approx(0.5)
    assert law.mean(lambda w: (w[:, 0] - 0.5) ** 2) == pytest.approx(1 / 8)
    assert law.density([[0.5]])[0] == pytest.approx(np.sqrt(8 / (2 * np.pi)))


def test_a_tie_and_a_box_as_the_theory_has_them() -> None:
    law = posterior(landscape("u**2*v**2", ["u", "v"]), 1e4, Uniform(0, 1))
    at = {k: 1, n: 10**4}
    assert law.weights @ law.excess * 1e4 == pytest.approx(float(tie_mean().subs(at)), rel=1e-8)
    assert np.exp(law.log_normalisation) == pytest.approx(float(tie_normalisation().subs(at)), rel=1e-8)
    found = learning_coefficient(landscape("w**4", ["w"]), [1, 10, 100], Uniform(-0.8, 0.8))
    exact = [float(box_mean().subs({k: 2, n: size, HALF_WIDTH: "0.8"})) for size in (1, 10, 100)]
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_in_the_plane_against_scipy() -> None:
    problem = sticky_2d(1)
    law = posterior(problem, 20, [Uniform(-1, 1), Normal(0.3, 0.5)])

    def integrand(y: float, x: float, power: int = 0) -> float:
        return float(y**power * np.exp(-10 * (x**2 + y**2) ** 4 * x**2 - (y - 0.3) ** 2 / 0.5))

    total, _ = dblquad(integrand, -1, 1, -6, 6, epsabs=1e-10)
    first, _ = dblquad(lambda y, x: integrand(y, x, 1), -1, 1, -6, 6, epsabs=1e-10)
    assert law.mean(lambda w: w[:, 1]) == pytest.approx(first / total, rel=1e-7)
    slice_, _ = quad(lambda x: integrand(0.7, x), -1, 1)
    assert law.marginal("w2", [0.7])[0] == pytest.approx(slice_ / total, rel=1e-7)
    assert law.marginal("w1", np.linspace(-1, 1, 201)).sum() * 0.01 == pytest.approx(1, rel=1e-2)


def test_the_marginal_along_a_degenerate_line_falls_as_its_width() -> None:
    """K = ½(w1² + w2²)^4 w1²: at fixed w2 its width is w2^(−4); the published plot has the line's own density."""
    law = posterior(sticky_2d(1), 1e5, Uniform(-1.5, 1.5))
    slope = np.diff(np.log(law.marginal("w2", [0.7, 1.2])))[0] / np.log(1.2 / 0.7)
    assert slope == pytest.approx(-4, abs=0.05)


def test_basins_between_barriers() -> None:
    law = posterior(sticky_1d(1, 2, 1.8, convention="squared error"), 1e3, Uniform(-4, 4))
    assert law.barriers == pytest.approx([-0.6])
    assert law.basin_masses() == pytest.approx([0.0248127, 0.9751873], abs=1e-6)
    by_sign = law.basin_masses(lambda w: (w[:, 0] > -0.6).astype(np.int64))
    np.testing.assert_allclose(by_sign, law.basin_masses(), rtol=1e-12)
    assert law.basins([[-5.0], [0.0]]).tolist() == [0, 1]


def test_distribution_and_density_agree() -> None:
    law = posterior(sticky_1d(1, 2, 1), 50, Uniform(-2, 2))
    values, probability = law.distribution("w")
    w = np.linspace(-2, 2, 200_001)
    density = law.marginal("w", w)
    assert density.sum() * (w[1] - w[0]) == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(np.interp([-1, 0.5, 1], values, probability), np.interp(
        [-1, 0.5, 1], w, np.cumsum(density) * (w[1] - w[0])), atol=1e-3)  # fmt: skip


def test_a_loss_of_ones_own_and_a_minimum_at_the_edge() -> None:
    own = custom_loss(lambda w: 3 + np.abs(w[..., 0]), lambda w: np.sign(w), 1)
    law = posterior(own, 100, Uniform(-2, 2))
    assert law.weights @ law.excess * 100 == pytest.approx(1, rel=1e-5)  # λ = 1 of |w|
    assert law.log_normalisation == pytest.approx(np.log(2 / 100 / 4), abs=1e-4)
    edge = learning_coefficient(landscape("w", ["w"]), [1e3], Uniform(2, 3))
    assert edge[0] == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("level", [1e-2, 1e-5])
def test_volumes(level: float) -> None:
    tie = volume_below(landscape("u**2*v**2", ["u", "v"]), [level], Uniform(0, 1))[0]
    assert tie == pytest.approx(np.sqrt(level) * (1 - np.log(level) / 2), rel=4e-3)
    disc = volume_below(landscape("u**2 + v**2", ["u", "v"]), [level], Uniform(-1, 1))[0]
    assert disc == pytest.approx(np.pi * level / 4, rel=4e-3)
    line = volume_below(landscape("(w**2 - 1)**2", ["w"]), [level], Uniform(-2, 2))[0]
    assert line == pytest.approx((np.sqrt(1 + np.sqrt(level)) - np.sqrt(1 - np.sqrt(level))) / 2, rel=4e-3)


@pytest.mark.parametrize(
    ("options", "name"),
    [({"n": 0}, "n"), ({"beta": -1}, "beta"), ({"prior": Rademacher()}, "prior"), ({"prior": Uniform(1, 1)}, "prior"),
     ({"prior": [Uniform(0, 1)] * 2}, "prior")],
)  # fmt: skip
def test_arguments(options: dict[str, object], name: str) -> None:
    given = {"n": 10, "prior": Uniform(-1, 1), **options}
    with pytest.raises(ArgumentError, match=f"{name}: got"):
        posterior(landscape("w**2", ["w"]), **given)  # type: ignore[arg-type]


def test_what_quadrature_cannot_do_is_refused() -> None:
    with pytest.raises(ArgumentError, match="one or two"):
        posterior(landscape("a**2 + b**2 + c**2", ["a", "b", "c"]), 10, Uniform(-1, 1))
    with pytest.raises(ArgumentError, match="too sharp"):
        posterior(landscape("(u - v)**2", ["u", "v"]), 1e9, Uniform(-1, 1))
    with pytest.raises(ArgumentError, match="parameters without value"):
        posterior(landscape("a*w**2", ["w"]), 10, Uniform(-1, 1))
    with pytest.raises(ArgumentError, match="levels: got"):
        volume_below(landscape("w**2", ["w"]), [0.0], Uniform(-1, 1))
    law = posterior(landscape("u**2 + v**2", ["u", "v"]), 10, Uniform(-1, 1))
    with pytest.raises(ArgumentError, match="label: got"):
        law.basin_masses()
    with pytest.raises(ArgumentError, match="coordinate: got w"):
        law.marginal("w", [0.0])
