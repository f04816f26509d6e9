"""Peaks of learning and how they fall together: by hand, under chance, and shifted."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from sgdtheory import ArgumentError
from sgdtheory.measure.allocation.peaks import coincidence, learning_peaks

CHANCE = xr.DataArray(np.random.default_rng(0).standard_normal((40, 300, 3)), dims=("replica", "step", "layer"))


def test_peaks_are_local_minima_of_the_allocation() -> None:
    series = np.array([[3.0, 1, 1], [1, 2, 1], [2, 3, 1], [0, 0, 1], [1, 1, 1]])
    assert np.argwhere(learning_peaks(series)).tolist() == [[1, 0], [3, 0], [3, 1]]  # no peak on a plateau


def test_independent_groups_coincide_as_often_at_every_lag() -> None:
    """A third of the steps of independent numbers are local minima."""
    shares = coincidence(CHANCE, 5)
    assert shares.dims == ("replica", "lag")
    mean, error = shares.mean("replica"), shares.std("replica") / np.sqrt(40)
    assert (np.abs(mean - 1 / 3) < 5 * error).all()
    assert float(error.max()) < 0.01


def test_common_increments_are_seen_at_lag_zero_and_shifted_ones_at_their_shift() -> None:
    common = CHANCE.isel(layer=[0, 0, 0])
    assert (coincidence(common, 5).sel(lag=0) == 1).all()
    late = CHANCE.isel(layer=[0, 0]).values.copy()
    late[:, :, 1] = np.roll(late[:, :, 1], 3, axis=1)
    shares = coincidence(xr.DataArray(late, dims=("replica", "step", "layer")), 5).mean("replica")
    np.testing.assert_allclose(shares.sel(lag=[-3, 3]), (1 + 1 / 3) / 2, atol=0.03)
    assert float(shares.sel(lag=0)) < 0.4


@pytest.mark.parametrize("shape", [(300, 1), (12, 3)])
def test_refuses_one_group_and_runs_too_short(shape: tuple[int, int]) -> None:
    with pytest.raises(ArgumentError, match="allocation"):
        coincidence(xr.DataArray(np.zeros(shape), dims=("step", "layer")), 5)
