"""What can be allocated: a recorded run, an array of positions, or steps as they come; all of it as blocks of steps."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.measure.protocol import Array

if TYPE_CHECKING:
    import xarray as xr

_LARGEST_BLOCK = 1 << 18  # numbers evaluated together


@dataclass(frozen=True)
class Path:
    """A run as blocks of steps that follow each other.

    Parameters
    ----------
    blocks : iterator of Block
    lead : tuple of str
        Names of the axes before those of steps and coordinates.
    labels : mapping of str to array
        Labels of some of them.
    attributes : mapping
        What a run says of itself.
    """

    blocks: Iterator[Block]
    lead: tuple[str, ...]
    labels: Mapping[str, Any]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Block:
    """K steps, each from where the one before ended.

    Parameters
    ----------
    numbers : int array, shape (K,)
        Number of each step: t leads from w_{t−1} to w_t.
    points : ndarray, shape (..., K + 1, d)
    gradients : ndarray, shape (..., K, d), or None
        Those the steps were made of.
    """

    numbers: NDArray[np.int64]
    points: Array
    gradients: Array | None


class _Step(NamedTuple):
    number: int
    start: Array
    end: Array
    gradient: Array | None


def as_path(source: xr.Dataset | ArrayLike | Iterable[Any], dimension: int, examples: int = 0) -> Path:
    """Read a run, an array of positions or steps.

    Parameters
    ----------
    source : Dataset, array_like or iterable
        See `sgdtheory.measure.allocation.table.lca`.
    dimension : int
        d of the loss.
    examples : int
        n of the loss: how much one point costs.

    Raises
    ------
    ArgumentError
        If it is none of the three, has another dimension or less than one step.
    """
    width = max(dimension, examples)
    if _is_run(source):
        return _of_run(source, dimension, width)
    if _are_steps(source):
        return _of_steps(iter(source), dimension, width)  # type: ignore[arg-type]
    return _of_points(np.asarray(source, dtype=np.float64), dimension, width)


def _is_run(source: object) -> bool:
    return {"step", "coordinate"} <= set(getattr(getattr(source, "w", None), "dims", ()))


def _are_steps(source: object) -> bool:
    """Tell steps from rows of numbers."""
    if isinstance(source, np.ndarray) or not isinstance(source, Iterable):
        return False
    if isinstance(source, Iterator):
        return True
    first = next(iter(source), None)
    return hasattr(first, "start") or (
        isinstance(first, tuple) and len(first) >= 3 and np.ndim(first[1]) > np.ndim(first[0])
    )


def _of_run(run: Any, dimension: int, width: int) -> Path:
    steps = run.step.values
    if (np.diff(steps) != 1).any():
        raise ArgumentError("run", f"steps {steps.tolist()}", "positions of every step", "simulate(..., record=1)")
    lead = tuple(name for name in run.w.dims if name not in ("step", "coordinate"))
    path = _of_points(run.w.transpose(*lead, "step", "coordinate").values, dimension, width, int(steps[0]))
    labels = {name: run[name].values for name in lead if name in run.coords}
    return Path(path.blocks, lead, labels, run.attrs)


def _of_points(points: Array, dimension: int, width: int, start: int = 0) -> Path:
    if points.ndim < 2 or points.shape[-1] != dimension or points.shape[-2] < 2:
        allowed = f"shape (..., T + 1, {dimension}) with T >= 1"
        raise ArgumentError("path", f"shape {points.shape}", allowed, "the loss and the path need the same coordinates")
    size = max(1, _LARGEST_BLOCK // (width * int(np.prod(points.shape[:-2]))))
    steps = points.shape[-2] - 1

    def blocks() -> Iterator[Block]:
        for first in range(0, steps, size):
            last = min(first + size, steps)
            yield Block(start + np.arange(first + 1, last + 1), points[..., first : last + 1, :], None)

    extra = points.ndim - 2
    return Path(blocks(), ("replica",) if extra == 1 else tuple(f"axis_{i}" for i in range(extra)), {}, {})


def _of_steps(steps: Iterator[Any], dimension: int, width: int) -> Path:
    first = next(steps, None)
    if first is None:
        raise ArgumentError("steps", "none", "at least one (number, start, end)", "train with steps >= 1")
    start = _read(first, dimension).start
    if start.ndim > 2:
        raise ArgumentError("steps", f"a start of shape {start.shape}", "shape (d,) or (replicas, d)")
    size = max(1, _LARGEST_BLOCK // (width * (start.size // dimension)))
    blocks = _gathered(itertools.chain((first,), steps), dimension, size)
    return Path(blocks, ("replica",) if start.ndim == 2 else (), {}, {})


def _gathered(steps: Iterator[Any], dimension: int, size: int) -> Iterator[Block]:
    """Put steps together as long as each starts where the one before ended."""
    held: list[_Step] = []
    for step in steps:
        read = _read(step, dimension)
        if held and (len(held) == size or not np.array_equal(held[-1].end, read.start, equal_nan=True)):
            yield _joined(held)
            held = []
        held.append(read)
    yield _joined(held)


def _read(step: Any, dimension: int) -> _Step:
    """Read a tuple or an object with the same names; what lies in a buffer that is used again is copied."""
    number, *parts = step[:4] if isinstance(step, tuple) else (step.number, step.start, step.end, step.gradient)
    arrays = [None if part is None else np.array(part, dtype=np.float64) for part in (*parts, None)[:3]]
    shapes = {array.shape for array in arrays if array is not None}
    if len(shapes) != 1 or not all(shape[-1:] == (dimension,) for shape in shapes):
        shown = f"step {number} of shapes {', '.join(map(str, sorted(shapes)))}"
        raise ArgumentError("steps", shown, f"start, end and gradient of one shape (..., {dimension})")
    return _Step(int(number), *arrays)  # type: ignore[arg-type]


def _joined(steps: list[_Step]) -> Block:
    points = np.stack([steps[0].start, *(step.end for step in steps)], axis=-2)
    gradients = [step.gradient for step in steps if step.gradient is not None]
    whole = np.stack(gradients, axis=-2) if len(gradients) == len(steps) else None
    return Block(np.array([step.number for step in steps]), points, whole)
