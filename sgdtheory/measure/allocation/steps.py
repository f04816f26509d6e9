"""What can be allocated: a recorded run, an array of positions, or steps as they come; all of it as blocks of steps."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    """Tell steps (number, start, end, …) from rows of numbers."""
    if isinstance(source, np.ndarray) or not isinstance(source, Iterable):
        return False
    if isinstance(source, Iterator):
        return True
    first = next(iter(source), ())
    return isinstance(first, tuple) and len(first) >= 3 and np.ndim(first[0]) == 0 and np.ndim(first[1]) >= 1


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
        raise ArgumentError("steps", "none", "at least one (number, start, end, ...)", "train with steps >= 1")
    extra = np.ndim(first[1]) - 1
    if extra not in (0, 1):
        raise ArgumentError("steps", f"a start of shape {np.shape(first[1])}", "shape (d,) or (replicas, d)")
    size = max(1, _LARGEST_BLOCK // (width * int(np.prod(np.shape(first[1])[:-1]))))
    lead = ("replica",) if extra else ()
    return Path(_gathered(itertools.chain((first,), steps), dimension, size), lead, {}, {})


def _gathered(steps: Iterator[Any], dimension: int, size: int) -> Iterator[Block]:
    """Put steps together as long as each starts where the one before ended."""
    held: list[tuple[int, Array, Array, Array | None]] = []
    for step in steps:
        read = _read(step, dimension)
        if held and (len(held) == size or not np.array_equal(held[-1][2], read[1], equal_nan=True)):
            yield _joined(held)
            held = []
        held.append(read)
    yield _joined(held)


def _read(step: Any, dimension: int) -> tuple[int, Array, Array, Array | None]:
    number, start, end = step[0], *(np.array(point, dtype=np.float64) for point in step[1:3])
    gradient = None if len(step) < 4 or step[3] is None else np.array(step[3], dtype=np.float64)
    shapes = {part.shape for part in (start, end, gradient) if part is not None}
    if len(shapes) != 1 or start.shape[-1:] != (dimension,):
        shown = f"step {number} of shapes {', '.join(map(str, sorted(shapes)))}"
        raise ArgumentError("steps", shown, f"start, end and gradient of one shape (..., {dimension})")
    return int(number), start, end, gradient


def _joined(steps: list[tuple[int, Array, Array, Array | None]]) -> Block:
    numbers, starts, ends, gradients = zip(*steps, strict=True)
    points = np.stack([starts[0], *ends], axis=-2)
    known = None if any(g is None for g in gradients) else np.stack(gradients, axis=-2)
    return Block(np.array(numbers), points, known)
