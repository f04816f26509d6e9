"""Results: blocks come in in any order, one labelled Dataset goes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sgdtheory.dynamics import Dynamics
from sgdtheory.kernels.lower import Recording
from sgdtheory.simulation.blocks import SAMPLE, Block, Outcome
from sgdtheory.simulation.grid import Grid, Point
from sgdtheory.simulation.provenance import stability
from sgdtheory.simulation.summaries import Reduction, Summary, Total

if TYPE_CHECKING:
    import xarray as xr

_NOT_RUN = -2
_MEANING = f"first step with a state that is not finite; -1: none; {_NOT_RUN}: interrupted before it was run"


class Collector:
    """Gathers the blocks of a sweep; arrays have the points of the grid as first axis until the end.

    Parameters
    ----------
    grid : Grid
    dynamics : Dynamics
    recording : Recording
    names, event_names : sequence of str
        Of the observables; of the events.
    recorded : int array
        Steps the user wants.
    steps, replicas : int
    reduction : Reduction or None
    """

    def __init__(
        self,
        grid: Grid,
        dynamics: Dynamics,
        recording: Recording,
        names: Sequence[str],
        event_names: Sequence[str],
        recorded: NDArray[np.int64],
        steps: int,
        replicas: int,
        reduction: Reduction | None,
    ) -> None:
        self.grid, self.dynamics, self.recording, self.reduction = grid, dynamics, recording, reduction
        self.names, self.event_names, self.recorded, self.replicas = names, event_names, recorded, replicas
        # both ends are needed for the attributes, and no run stops early
        self.watched: NDArray[np.int64] = np.union1d(recorded, (0, steps)).astype(np.int64)
        self.memory = len(dynamics.memory) if recording.memory else 0
        self.width = len(dynamics.coordinates) + self.memory + len(names)
        self.events = len(event_names)
        points = int(np.prod(grid.shape))
        kept = (points, replicas, len(self.watched), self.width)
        self.path: NDArray[np.float64] | None = None
        self._path_shape = None if reduction else kept
        self.totals = [Total(len(self.watched), self.width, reduction) for _ in range(points)] if reduction else []
        self.failed = np.full((points, replicas), _NOT_RUN, dtype=np.int64)
        self.passed = np.full((points, replicas, self.events), _NOT_RUN, dtype=np.int64)
        self.ends = np.full((points, min(SAMPLE, replicas), 2, self.width), np.nan)

    def add(self, block: Block, outcome: Outcome) -> None:
        """Put a finished block in its place."""
        rows = slice(block.first, block.first + block.count)
        self.passed[block.job, rows] = outcome.passed
        self.ends[block.job, block.first : block.first + len(outcome.ends)] = outcome.ends
        if isinstance(outcome.kept, Summary):
            self.totals[block.job].add(block.first, block.count, outcome.kept)
        else:
            if self.path is None:  # not before the first block is there: arguments may still be refused
                assert self._path_shape is not None
                self.path = np.full(self._path_shape, np.nan)
            self.path[block.job, rows] = outcome.kept
        self.failed[block.job, rows] = outcome.failed  # last: an interrupt before leaves the block marked as not run

    def dataset(self, points: Sequence[Point], attributes: dict[str, Any]) -> xr.Dataset:
        """Return everything with names, the axes of the sweep first."""
        import xarray as xr

        variables, labels = self._moments() if self.reduction else self._paths()
        variables["diverged_at"] = (("replica",), self.failed)
        for i, name in enumerate(self.event_names):
            variables[name] = (("replica",), self.passed[:, :, i])
        labels["replica"] = np.arange(self.replicas)
        diverged = (self.failed >= 0).sum(axis=1)
        facts: dict[str, list[Any]] = {"diverged": diverged.tolist()}
        facts["diverged_fraction"] = (diverged / self.replicas).tolist()
        d = len(self.dynamics.coordinates)
        for i, point in enumerate(points):
            found = stability(point.problem, point.optimizer, self.ends[i, :, 0, :d], self.ends[i, :, 1, :d])
            for name, value in found.items():
                facts.setdefault(name, []).append(value)
        if self.grid.axes:
            variables |= {name: ((), np.array(values)) for name, values in facts.items()}
        else:
            attributes |= {name: values[0] for name, values in facts.items()}
        axes = {name: list(values) for name, values in self.grid.axes.items()}
        shaped = {name: (*axes, *dims) for name, (dims, _) in variables.items()}
        data = {n: (shaped[n], v.reshape(*self.grid.shape, *v.shape[1:])) for n, (_, v) in variables.items()}
        result = xr.Dataset(data, {**axes, **labels}, attributes)
        result.diverged_at.attrs["meaning"] = _MEANING
        return result

    def _shown(self) -> slice:
        """Return where the steps the user wants stand among those watched."""
        first = int(self.recorded[0] > 0)
        return slice(first, first + len(self.recorded))

    def _paths(self) -> tuple[dict[str, tuple[tuple[str, ...], Any]], dict[str, Any]]:
        d, m = len(self.dynamics.coordinates), self.memory
        path = (
            self.path if self.path is not None else np.full((*self.failed.shape, len(self.watched), self.width), np.nan)
        )
        path = path[:, :, self._shown()]
        variables: dict[str, tuple[tuple[str, ...], Any]] = {"w": (("replica", "step", "coordinate"), path[..., :d])}
        labels: dict[str, Any] = {"step": self.recorded, "coordinate": [w.name for w in self.dynamics.coordinates]}
        if self.memory:
            variables["memory"] = (("replica", "step", "buffer"), path[..., d : d + m])
            labels["buffer"] = [symbol.name for symbol in self.dynamics.memory]
        for i, name in enumerate(self.names):
            variables[name] = (("replica", "step"), path[..., d + m + i])
        return variables, labels

    def _moments(self) -> tuple[dict[str, tuple[tuple[str, ...], Any]], dict[str, Any]]:
        assert self.reduction is not None
        quantities = [*(w.name for w in self.dynamics.coordinates), *self.names]
        shown = self._shown()
        moments = [total.moments() for total in self.totals]
        count, mean, variance = (np.array([m[i] for m in moments])[:, shown] for i in range(3))
        variables: dict[str, tuple[tuple[str, ...], Any]] = {
            "finite": (("step", "quantity"), count),
            "mean": (("step", "quantity"), mean),
            "variance": (("step", "quantity"), variance),
        }
        labels: dict[str, Any] = {"step": self.recorded, "quantity": quantities}
        for i, (quantity, edges) in enumerate(self.reduction.edges):
            name = quantities[quantity]
            bins = np.array([total.bins[i] for total in self.totals])[:, shown]
            variables[f"histogram_{name}"] = (("step", f"bin_{name}"), bins)
            labels[f"bin_{name}"] = np.array([-np.inf, *edges])
        return variables, labels
