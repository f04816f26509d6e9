"""When groups learn most: peaks of their allocations, and how often those of two groups fall together."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError

if TYPE_CHECKING:
    import xarray as xr


def learning_peaks(allocation: ArrayLike) -> NDArray[np.bool_]:
    """Say at which steps a group learns more than at the step before and the one after, A smaller than both.

    Parameters
    ----------
    allocation : array_like, shape (..., T, groups)

    Returns
    -------
    bool array, shape (..., T, groups)
        False at both ends.

    Examples
    --------
    >>> learning_peaks([[0.0], [-1.0], [0.5], [-2.0]])[:, 0]
    array([False,  True, False, False])
    """
    parts = np.asarray(allocation, dtype=np.float64)
    peaks = np.zeros(parts.shape, dtype=bool)
    middle = parts[..., 1:-1, :]
    peaks[..., 1:-1, :] = (middle < parts[..., :-2, :]) & (middle < parts[..., 2:, :])
    return peaks


def coincidence(allocation: xr.DataArray, lags: int = 10) -> xr.DataArray:
    """Measure how often a peak of one group has a peak of another group some steps later.

    At lag 0 this is how synchronised the groups learn; the other lags are what chance and slow changes of the run give
    with the same peaks, shifted against each other.

    Parameters
    ----------
    allocation : DataArray
        As `lca` gives it, with the dimension ``step`` and one of groups, at least two.
    lags : int
        Largest lag k.

    Returns
    -------
    DataArray
        Share of the peaks, the mean over all ordered pairs of groups, with the dimension ``lag`` from −k to k in the
        place of the two; steps nearer than k to either end of the run, where not every lag exists, count in none.

    Raises
    ------
    ArgumentError
        If there are too few groups or steps.

    Examples
    --------
    >>> import xarray as xr
    >>> pulses = [[0, 0], [-1, 0], [0, -1], [0, 0], [-1, 0], [0, -1], [0, 0], [0, 0]]  # the second group is later by 1
    >>> coincidence(xr.DataArray(pulses, dims=("step", "layer")), lags=1).values
    array([0.5, 0. , 0.5])
    """
    import xarray as xr

    (group,) = [name for name in allocation.dims[-1:] if name != "step"]
    lead = tuple(name for name in allocation.dims if name not in ("step", group))
    peaks = learning_peaks(allocation.transpose(*lead, "step", group).values)
    steps, groups = peaks.shape[-2:]
    if groups < 2 or steps < 2 * lags + 3:
        raise ArgumentError("allocation", f"{groups} groups, {steps} steps", f">= 2 groups, >= {2 * lags + 3} steps")
    inner = peaks[..., lags : steps - lags, :]
    pairs = list(permutations(range(groups), 2))
    shares = []
    for lag in range(-lags, lags + 1):
        later = peaks[..., lags + lag : steps - lags + lag, :]
        both = [(inner[..., i] & later[..., j]).sum(axis=-1) / inner[..., i].sum(axis=-1) for i, j in pairs]
        shares.append(np.mean(both, axis=0))
    labels = {"lag": np.arange(-lags, lags + 1)} | {
        name: allocation[name] for name in lead if name in allocation.coords
    }
    return xr.DataArray(np.stack(shares, axis=-1), labels, (*lead, "lag"), name="coincidence")
