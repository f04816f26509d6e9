"""Distances between runs and a posterior: zero up to chance where the laws agree, known values where they do not."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from sgdtheory import ArgumentError, Uniform, compare, landscape, posterior

BOWL = landscape("w**2/2", ["w"])
LAW = posterior(BOWL, 4, Uniform(-6, 6))  # normal, standard deviation ½
WELLS = posterior(landscape("(w**2 - 1)**2", ["w"]), 100, Uniform(-3, 3))


def ends(*columns: np.ndarray, names: tuple[str, ...] = ("w",)) -> xr.Dataset:
    w = np.stack(columns, axis=-1)[:, np.newaxis, :]
    return xr.Dataset({"w": (("replica", "step", "coordinate"), w)}, {"step": [7], "coordinate": list(names)})


def normal(count: int, mean: float = 0.0, std: float = 0.5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, std, count)


def test_the_same_law_is_as_far_as_chance_has_it() -> None:
    found = compare(ends(normal(20_000)), LAW)
    for estimate in (found.wasserstein[0], found.total_variation, found.divergence):
        assert estimate.value < 2 * estimate.by_chance
    assert (found.runs, found.diverged) == (20_000, 0)


def test_a_shifted_law_is_off_by_the_shift() -> None:
    found = compare(ends(normal(20_000, mean=0.3)), LAW)
    (wasserstein,) = found.wasserstein
    assert wasserstein.value == pytest.approx(0.3, abs=5 * wasserstein.error)
    assert wasserstein.error == pytest.approx(0.5 / np.sqrt(20_000), rel=0.4)
    # of normal laws half a unit apart: 2Φ(δ/2σ) − 1 and δ²/(2σ²); cells can only lose some of it
    assert found.total_variation.value == pytest.approx(0.2358, abs=0.015)
    assert found.divergence.value == pytest.approx(0.18, abs=0.02)


def test_basins_count_all_runs_and_diverged_ones_are_told() -> None:
    w = np.concatenate([np.full(300, -1.0), np.full(600, 1.0), np.full(100, np.inf)])
    found = compare(ends(w), WELLS)
    (left, left_share), (right, right_share) = found.basins
    assert (left, right) == pytest.approx((0.5, 0.5))
    assert (left_share.value, right_share.value) == (0.3, 0.6)
    assert left_share.error == pytest.approx(np.sqrt(0.21 / 1000))
    assert found.diverged == 100
    assert "1000 runs, 100 diverged" in str(found)


def test_bootstrap_errors_are_those_of_fresh_runs() -> None:
    fresh = [compare(ends(normal(2000, 0.2, seed=s)), LAW, resamples=2).divergence.value for s in range(60)]
    error = compare(ends(normal(2000, 0.2)), LAW).divergence.error
    assert error == pytest.approx(np.std(fresh), rel=0.4)


def test_in_the_plane() -> None:
    law = posterior(landscape("(u**2 + 4*v**2)/2", ["u", "v"]), 4, Uniform(-4, 4))
    run = ends(normal(20_000), normal(20_000, std=0.25, seed=1), names=("u", "v"))
    found = compare(run, law, bins=8, label=lambda w: (w[:, 0] > 0).astype(np.int64))
    assert found.total_variation.value < 2 * found.total_variation.by_chance
    assert len(found.wasserstein) == 2
    assert [mass for mass, _ in found.basins] == pytest.approx([0.5, 0.5])
    assert compare(run, law, bins=8).basins == ()
    mixed = ends(normal(20_000), normal(20_000, std=0.25)[::1], names=("u", "v"))  # same draws: v = u/2
    assert compare(mixed, law, bins=8).total_variation.value > 0.5
    assert compare(mixed, law, bins=8).wasserstein[1].value < 0.01


@pytest.mark.parametrize(
    ("run", "pattern"),
    [(ends(normal(10), names=("v",)), "coordinates"), (xr.Dataset(), "paths of one ensemble"),
     (ends(np.full(5, np.inf)), "all diverged")],
)  # fmt: skip
def test_arguments(run: xr.Dataset, pattern: str) -> None:
    with pytest.raises(ArgumentError, match=pattern):
        compare(run, LAW)
