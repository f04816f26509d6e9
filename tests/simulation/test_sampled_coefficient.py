"""The sampler's learning coefficient: its bias is the one the theory has; diverged runs are counted, never dropped."""

from __future__ import annotations

import numpy as np
import pytest

from sgdtheory import ArgumentError, landscape, sampled_learning_coefficient, sticky_2d
from sgdtheory.theory.degenerate.sampler import h, localised_quartic, n, sampled_quadratic, sampled_quartic, γ, ε

QUARTIC = landscape("w**4", ["w"])


def test_on_a_quadratic_the_bias_is_exact() -> None:
    found = sampled_learning_coefficient(
        landscape("3*w**2/2 + 5", ["w"]), 100, [0.0], localisation=20, step=0.004, steps=300, replicas=5_000
    )
    exact = float(sampled_quadratic().subs({n: 100, h: 3, γ: 20, ε: 0.004}))
    assert abs(found.value - exact) < 5 * found.error
    assert abs(exact - 0.5) > 10 * found.error
    assert found.localised == pytest.approx(300 / 320 / 2, rel=1e-8)
    assert (found.exact, found.diverged) == (0.5, 0)


def test_on_a_quartic_the_step_raises_and_the_pull_lowers() -> None:
    found = sampled_learning_coefficient(QUARTIC, 1000, [0.0], localisation=20, step=5e-4, steps=1000, replicas=2000)
    pulled = float(localised_quartic().subs({n: 1000, γ: 20}))
    assert found.localised == pytest.approx(pulled, rel=1e-8)
    bias = float(sampled_quartic().subs({n: 1000, ε: 5e-4})) - 0.25
    assert found.value == pytest.approx(pulled + bias, abs=5 * found.error)


def test_long_steps_diverge_and_are_counted() -> None:
    """At ε√n = 0.32 runs need some 130 steps to where noiseless steps turn outwards."""
    found = sampled_learning_coefficient(QUARTIC, 1000, [0.0], step=0.01, steps=100, replicas=2000)
    assert 200 < found.diverged < 1500
    assert f"{found.diverged} of 2000 runs diverged" in str(found)
    with pytest.raises(ArgumentError, match=r"step: got 0\.05"):
        sampled_learning_coefficient(QUARTIC, 1000, [0.0], step=0.05, steps=2000, replicas=50)


def test_in_the_plane_truth_and_estimate_stand_side_by_side() -> None:
    found = sampled_learning_coefficient(
        sticky_2d(1), 1000, [0.0, 0.0], localisation=1, step=0.002, steps=3000, replicas=200
    )
    assert found.exact == pytest.approx(0.2)
    assert found.localised is not None
    assert abs(found.value - found.localised) < 6 * found.error + 0.03
    assert np.isfinite(found.error)


@pytest.mark.parametrize(
    ("options", "name"),
    [({"at": [0.0, 1.0]}, "at"), ({"n": -1}, "n"), ({"step": 0}, "step"), ({"localisation": -1}, "localisation")],
)
def test_arguments(options: dict[str, object], name: str) -> None:
    with pytest.raises(ArgumentError, match=f"{name}: got"):
        sampled_learning_coefficient(**{"problem": QUARTIC, "n": 10, "at": [0.0], **options})  # type: ignore[arg-type]
