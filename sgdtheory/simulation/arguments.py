"""What simulate accepts: every argument checked before any work starts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.expressions import check_expression
from sgdtheory.kernels.lower import Start, start_values
from sgdtheory.laws import Dataset, Law, Number
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.optimizers import Hyperparameter
from sgdtheory.problem import Problem
from sgdtheory.symbols import step as t

Init: TypeAlias = Number | Law | Sequence[Number | Law] | NDArray[np.float64]
ADDRESSES = 2**32
"""Replicas and steps are 32-bit words of a random number's address."""
MOST_POINTS = 100_000
"""Points of a sweep; each has symbols to bind, which takes a millisecond."""
_MEMORY_LIMIT = 4 * 2**30
FEWER = "record fewer steps, run fewer replicas at a time, or keep='moments'"
OWN_NAMES = (
    "w", "memory", "mean", "variance", "finite", "replica", "step", "coordinate", "buffer", "quantity", "diverged_at",
    "diverged", "diverged_fraction", "stability_limit",
)  # fmt: skip
"""Names in a result that nothing of the user's may have, nor any that begins as follows."""
_OWN_PREFIXES = ("histogram_", "bin_", "lr_sharpness_")


def whole(argument: str, value: object, low: int, high: int) -> int:
    """Return a whole number within bounds."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not low <= value <= high:
        raise ArgumentError(argument, value, f"a whole number from {low} to {high}")
    return int(value)


def all_bound(problem: Problem) -> None:
    """Refuse a problem with parameters that have no value."""
    names = [s.name for s in problem.free_parameters]
    if not names:
        return
    known = ", ".join(s.name for s in (*problem.coordinates, *problem.data.symbols))
    fix = f"simulate(..., parameters={{{names[0]!r}: 1.0}}); if a name is misspelt: coordinates and data are {known}"
    raise ArgumentError("problem", f"parameters without a value: {', '.join(names)}", "numbers for all of them", fix)


def batch_of(problem: Problem, given: int | None, steps: int) -> int:
    """Return the batch size that the data allow."""
    data = problem.data
    if not isinstance(data, Dataset):
        return whole("batch_size", 1 if given is None else given, 1, 2**31)
    if data.sampling == "full batch":
        if given not in (None, data.size):
            raise ArgumentError("batch_size", given, f"{data.size} or None: the data are sampled as a full batch")
        return data.size
    size = whole("batch_size", 1 if given is None else given, 1, 2**31)
    if data.sampling == "with replacement":
        return size
    if size > data.size:
        raise ArgumentError("batch_size", size, f"at most the {data.size} samples", "sample with replacement")
    if data.sampling == "one epoch" and steps * size > data.size:
        allowed = f"at most {data.size // size} steps: one epoch of {data.size} samples in batches of {size}"
        raise ArgumentError("steps", steps, allowed, "fewer steps, or sampling='reshuffle'")
    return size


def recorded(record: int | Sequence[int], steps: int, replicas: int) -> NDArray[np.int64]:
    """Return the recorded steps, increasing."""
    if isinstance(record, (int, np.integer)) and not isinstance(record, bool):
        every = whole("record", record, 1, ADDRESSES)
        # or the list of steps itself would not fit
        fits_memory("replicas, record", FEWER, replicas=replicas, recorded_steps=steps // every + 1)
        return np.unique(np.append(np.arange(0, steps + 1, every), steps))
    chosen = np.asarray(record)
    fine = chosen.ndim == 1 and chosen.size > 0 and np.issubdtype(chosen.dtype, np.integer)
    if not fine or chosen.min() < 0 or chosen.max() > steps or np.any(np.diff(chosen) <= 0):
        allowed = f"a whole number k >= 1 (every k-th step), or increasing steps from 0 to {steps}"
        raise ArgumentError("record", record, allowed)
    return chosen.astype(np.int64)


def start(init: Init | ArrayLike, dimension: int, replicas: int) -> tuple[Start, NDArray[np.float64]]:
    """Return the start as laws and numbers, or as given points."""
    if isinstance(init, np.ndarray) and init.ndim == 2:
        if init.shape != (replicas, dimension):
            raise ArgumentError(
                "init", f"shape {init.shape}", f"shape {(replicas, dimension)} = (replicas, coordinates)"
            )
        if init.dtype.kind not in "iuf":
            raise ArgumentError("init", f"an array of {init.dtype}", "an array of real numbers")
        if not np.isfinite(init).all():
            raise ArgumentError("init", "an array with NaN or infinity", "finite starting points")
        return None, np.ascontiguousarray(init, dtype=np.float64)
    several = isinstance(init, (tuple, list, np.ndarray))
    entries: list[Number | Law] = list(init) if several else [init] * dimension  # type: ignore[arg-type]
    if len(entries) != dimension:
        raise ArgumentError("init", f"{len(entries)} entries", f"{dimension}: one a coordinate, or one law for all")
    for entry in entries:
        _one_start(entry)
    return tuple(entries), np.zeros((0, dimension))


def _one_start(entry: object) -> None:
    numeric = isinstance(entry, (int, float, np.number, sp.Expr)) and not isinstance(entry, bool)
    if not numeric and (isinstance(entry, type) or not hasattr(entry, "transform")):
        raise ArgumentError("init", entry, "numbers and laws, such as Uniform(-1, 1)")
    for number in start_values((entry,)):
        check_expression(number, (), "init")


def fits_memory(argument: str, fix: str, **sizes: int) -> None:
    """Refuse an array of floats that would not fit in memory, with advice; sizes by what is counted."""
    need = 8 * math.prod(sizes.values())
    if need > _MEMORY_LIMIT:
        shown = " × ".join(f"{size} {what.replace('_', ' ')}" for what, size in sizes.items())
        allowed = f"at most {_MEMORY_LIMIT / 2**30:.0f} GiB"
        raise ArgumentError(argument, f"{shown} = {need / 2**30:.1f} GiB", allowed, fix)


def schedule_of(hyperparameter: Hyperparameter, steps: int) -> NDArray[np.float64]:
    """Return a hyperparameter's value at every step 0 … T; that of step 0, which only observables see, is the first's.

    Raises
    ------
    ArgumentError
        At the first step at which it is not finite or leaves its domain (whose ends are allowed).
    """
    name = hyperparameter.keyword or str(hyperparameter.symbol)
    number = np.maximum(np.arange(steps + 1), 1.0)
    with np.errstate(all="ignore"):
        (scheduled,) = on_arrays([t], [hyperparameter.value])(number)
    values = np.broadcast_to(np.asarray(scheduled, dtype=np.float64), number.shape)
    closed = hyperparameter.domain.closure
    nearest = np.clip(values, float(closed.inf), float(closed.sup))
    rounding = 8 * np.finfo(float).eps * np.abs(values).max(where=np.isfinite(values), initial=0.0)
    with np.errstate(invalid="ignore"):
        inside = np.isfinite(values) & (np.abs(values - nearest) <= rounding)  # 0.3 - 0.1·3 is not quite 0
    if not inside.all():
        first = int(np.argmin(inside))
        raise ArgumentError(
            name, f"{values[first]} at step {max(first, 1)}", f"a schedule in {closed}", "check its signs"
        )
    return nearest


def free_names(argument: str, names: Iterable[object], taken: Iterable[str] = ()) -> None:
    """Refuse names that are no plain words or stand for something else in the result."""
    taken = (*OWN_NAMES, *taken)
    for name in names:
        if not isinstance(name, str) or not name.isidentifier() or name in taken or name.startswith(_OWN_PREFIXES):
            allowed = f"plain words other than {', '.join((*taken, *_OWN_PREFIXES))}..."
            raise ArgumentError(argument, name, allowed, "rename it")


def named(argument: str, given: Mapping[str, Any] | None, entry: str) -> dict[str, Any]:
    """Return what was given by name, nothing at all as an empty mapping."""
    if given is not None and not isinstance(given, Mapping):
        raise ArgumentError(argument, given, f"a mapping of names to {entry}")
    return dict(given or {})


def named_expressions(
    argument: str, given: Mapping[str, sp.Basic] | None, problem: Problem, taken: Iterable[str]
) -> tuple[tuple[str, ...], tuple[sp.Basic, ...]]:
    """Return names and expressions, their symbols matched by name to the problem's coordinates and parameters."""
    own = {s.name: s for s in (*problem.coordinates, *(s for s, _ in problem.parameters))}
    items = named(argument, given, "expressions")
    free_names(argument, items, (*(w.name for w in problem.coordinates), *taken))
    for expression in items.values():
        if not isinstance(expression, sp.Basic):
            raise ArgumentError(argument, expression, "a sympy expression", "text goes through sgd.parse")
    renamed = (e.xreplace({s: own[s.name] for s in e.free_symbols if s.name in own}) for e in items.values())
    return tuple(items), tuple(renamed)
