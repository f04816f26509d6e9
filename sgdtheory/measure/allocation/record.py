"""What is kept of the steps: sums over groups for each, sums over the steps for every parameter."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sgdtheory.measure.allocation.quadrature import Means, Segments
from sgdtheory.measure.protocol import Array

if TYPE_CHECKING:
    import xarray as xr

_GROUPED = frozenset({"allocation", "first_order", "naive", "causes", "helped", "hurt", "zeros"})
_DIVERGED = "first step with a loss or an allocation that is not finite; -1: none"


class Record:
    """Gathers blocks of steps.

    Parameters
    ----------
    labels : int array, shape (d,)
        Which group each parameter is in, every group at least once.
    """

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self._order = np.argsort(labels, kind="stable")
        self.sizes = np.bincount(labels)
        self._starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        self._rows: dict[str, list[Array]] = defaultdict(list)
        self._totals: dict[str, Array] = {}
        self._numbers: list[NDArray[np.int64]] = []

    @property
    def steps(self) -> int:
        """Steps gathered so far."""
        return sum(map(len, self._numbers))

    def add(self, numbers: NDArray[np.int64], segments: Segments, means: Means, at_ends: NDArray[np.int64]) -> None:
        """Put in a block of K steps; `at_ends`, shape (K,), gradients evaluated at the ends of each."""
        moves = segments.moves
        parts = moves * means.gradients
        sums = {"allocation": parts, "first_order": moves * segments.gradients[..., :-1, :]}
        signs = {"helped": parts < 0, "hurt": parts > 0, "zeros": parts == 0}
        self._numbers.append(numbers)
        for name, values in (sums | signs).items():
            self._rows[name].append(self._grouped(values))
        residual = parts.sum(axis=-1) - segments.change
        helped, hurt = signs["helped"].sum(axis=-1), signs["hurt"].sum(axis=-1)
        for name, row in {
            "loss_before": segments.values[..., :-1],
            "loss_after": segments.values[..., 1:],
            "residual": residual,
            "helping": helped / (helped + hurt),
            "gradients": means.spent + at_ends,
            "unmet": means.unmet,
            "finite": np.isfinite(residual) & np.isfinite(parts).all(axis=-1),
        }.items():
            self._rows[name].append(row)
        for name, values in {"total": parts, "steps_helped": signs["helped"], "steps_hurt": signs["hurt"]}.items():
            self._totals[name] = self._totals.get(name, 0) + values.sum(axis=-2)

    def add_causes(self, shares: Array) -> None:
        """Put in the naive allocation and the causes of the block added last, shape (1 + causes, ..., K, d)."""
        sums = self._grouped(shares)
        self._rows["naive"].append(sums[0])
        self._rows["causes"].append(sums[1:])

    def dataset(
        self,
        lead: tuple[str, ...],
        by: str,
        labels: dict[str, Any],
        attributes: dict[str, Any],
    ) -> xr.Dataset:
        """Return all of it with names; `labels` hold those of groups, parameters, causes and leading axes."""
        import xarray as xr

        variables: dict[str, Any] = {}
        for name, blocks in self._rows.items():
            axis = -2 if name in _GROUPED else -1
            dims = (*lead, "step", by) if name in _GROUPED else (*lead, "step")
            variables[name] = (("cause", *dims) if name == "causes" else dims, np.concatenate(blocks, axis=axis))
        for name, total in self._totals.items():
            variables[name] = ((*lead, "parameter"), total)
        numbers = np.concatenate(self._numbers)
        finite = variables.pop("finite")[1]
        first = numbers[np.argmin(finite, axis=-1)]
        variables["diverged_at"] = (lead, np.where(finite.all(axis=-1), -1, first), {"meaning": _DIVERGED})
        variables["size"] = ((by,), self.sizes)
        return xr.Dataset(variables, {"step": numbers} | labels, attributes)

    def _grouped(self, values: Array | NDArray[np.bool_]) -> Array:
        """Sum over the parameters of each group; truths are counted."""
        dtype = np.int64 if values.dtype == bool else np.float64
        if len(self.sizes) == len(self._order):
            return values[..., self._order].astype(dtype)
        return np.asarray(np.add.reduceat(values[..., self._order], self._starts, axis=-1, dtype=dtype))
