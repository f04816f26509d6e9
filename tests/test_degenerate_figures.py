"""The figures on degenerate minima: exact lines against numbers by hand, markers on their lines; never pixels."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.special import digamma
from test_figures import SIGMAS, assert_labels_claims_and_size, bars, line, markers, picture, script

NAMES = ("degenerate_minima", "gradient_noise", "learning_coefficient", "end_law")


@pytest.mark.parametrize("name", NAMES)
def test_labels_claims_and_size(name: str, tmp_path: Path) -> None:
    assert_labels_claims_and_size(name, tmp_path, legends=False)


@pytest.mark.parametrize("name", NAMES[1:])
def test_the_seed_and_the_diverged_runs_are_told(name: str) -> None:
    assert re.search(r"seed 1; \d+ of [\d,]+ runs diverged", picture(name).caption)


def test_minima_barriers_and_coefficients_are_written_beside_them() -> None:
    left, middle, right = picture("degenerate_minima").figure.axes
    assert [t.get_text() for t in left.texts] == [
        "$\\lambda=1/2$\n$\\eta<0.012$", "barrier\n23.89", "$\\lambda=1/4$\nno limit on $\\eta$",
    ]  # fmt: skip
    assert [t.get_text().split("$")[1] for t in middle.texts[::2]] == ["\\lambda=1/4", "\\lambda=1/6"]
    assert [t.get_text() for t in right.texts] == ["origin: $\\lambda=1/5$", "line $w_1=0$: $\\lambda=1/2$"]


def test_gradient_noise_lies_on_the_exact_ratio() -> None:
    """C/H = k(1 + 2w^(2k))/(2k − 1) for normal inputs."""
    module, right = script("gradient_noise"), picture("gradient_noise").figure.axes[1]
    for k, look in module.LOOKS.items():
        w, ratio = line(right, look.label)
        np.testing.assert_allclose(ratio, k * (1 + 2 * w ** (2 * k)) / (2 * k - 1), rtol=1e-9)
        w, seen, three_errors = bars(right, look.label)
        exact = k * (1 + 2 * w ** (2 * k)) / (2 * k - 1)
        assert (np.abs(seen - exact) < SIGMAS / 3 * three_errors).all()


def test_volumes_and_estimates_by_quadrature_are_on_the_closed_forms() -> None:
    module = script("learning_coefficient")
    first, second, _ = picture("learning_coefficient").figure.axes
    for look in module.LANDSCAPES:
        levels, share = markers(first, look.label)
        np.testing.assert_allclose(share, module.volume(look, levels), rtol=5e-3)
        sharp, estimate = markers(second, look.label)
        np.testing.assert_allclose(estimate, module.tempered(look, sharp), rtol=1e-4)  # at n = 10 a box is felt
    levels, tie = line(first, module.TIE.label)
    np.testing.assert_allclose(tie, np.sqrt(levels) * (1 - np.log(levels) / 2), rtol=1e-9)
    sharp, biased = line(second, module.TIE.label)
    np.testing.assert_allclose(biased, 0.5 - 1 / (np.log(sharp) - digamma(0.5)), rtol=1e-9)


def test_the_sampler_is_on_its_biased_lines() -> None:
    module, third = script("learning_coefficient"), picture("learning_coefficient").figure.axes[2]
    step, exact = line(third, module.QUADRATIC.label)
    stiff = module.SHARP + module.PULL
    np.testing.assert_allclose(exact, 2 * module.SHARP / (stiff * (4 - step * stiff)), rtol=1e-9)
    step, seen, three_errors = bars(third, module.QUADRATIC.label)
    exact = 2 * module.SHARP / (stiff * (4 - step * stiff))
    assert (np.abs(seen - exact) < SIGMAS / 3 * three_errors + 0.01 * exact).all()
    step, seen, three_errors = bars(third, module.QUARTIC.label)
    on_line = np.interp(step, *line(third, module.QUARTIC.label))
    assert (np.abs(seen - on_line) < SIGMAS / 3 * three_errors + 0.03).all()  # the line is of leading order
    assert seen[-1] > 0.25


def test_the_posterior_leaves_the_sharp_minimum_and_the_runs_do_not() -> None:
    module = script("end_law")
    _, second, third = picture("end_law").figure.axes
    n, mass = line(second, module.MASS.label)
    w = np.linspace(-module.END, module.END, 400_001)
    for size, share in zip(n, mass, strict=True):
        density = np.exp(-size * ((w + 1) * (w - 1) ** 2) ** 2 / 2)
        assert share == pytest.approx(density[w < -1 / 3].sum() / density.sum(), rel=1e-4)
    np.testing.assert_allclose(np.interp(n, *line(second, module.LIMIT.label)), mass, rtol=0.03)
    _, ended, _ = bars(second, module.RUNS.label)
    assert mass.max() < 0.2 < 0.3 < ended[0]
    for look in (module.WASSERSTEIN, module.VARIATION):
        assert (markers(third, look.label)[1] > 0.2).all()
