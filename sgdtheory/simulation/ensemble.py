"""simulate: many replicas of an optimizer on a problem, as one labelled Dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory.dynamics import Dynamics, check_kinds, make_dynamics
from sgdtheory.errors import ArgumentError
from sgdtheory.expressions import check_expression
from sgdtheory.kernels.emit import emit
from sgdtheory.kernels.lower import Start, start_values
from sgdtheory.laws import Dataset, Law, Number
from sgdtheory.optimizers import Optimizer
from sgdtheory.problem import Problem, named_values
from sgdtheory.simulation.blocks import Job, run_blocks
from sgdtheory.simulation.provenance import (
    RandomState,
    describe,
    hyperparameter_values,
    key_of,
    seed_sequence,
    stability,
)

if TYPE_CHECKING:
    import xarray as xr

Init: TypeAlias = Number | Law | Sequence[Number | Law] | NDArray[np.float64]
_ADDRESSES = 2**32  # replicas and steps are 32-bit words of a random number's address
_MEMORY_LIMIT = 4 * 2**30


def simulate(
    problem: Problem,
    optimizer: Optimizer,
    *,
    steps: int,
    replicas: int = 1,
    init: Init,
    batch_size: int | None = None,
    parameters: Mapping[str, Number] | None = None,
    record: int | Sequence[int] = 1,
    record_memory: bool = False,
    rng: RandomState = None,
    threads: int | None = None,
    executor: Executor | None = None,
    block_size: int | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Simulate an ensemble of independent runs with the compiled kernel of (problem, optimizer).

    The numbers depend on `rng` and the replica's index alone: not on threads, executor, blocks, the number of
    replicas or the recorded steps.

    Parameters
    ----------
    problem : Problem
    optimizer : Optimizer
        With numbers for all hyperparameters.
    steps : int
        Steps T ≥ 0 of every run.
    replicas : int
        Number of runs R ≥ 1.
    init : law, number, sequence of d laws or numbers, or array of shape (replicas, d)
        Where runs start; a single law or number holds for every coordinate.
    batch_size : int, optional
        Examples a step, B ≥ 1; at most n for a data set without replacement. 1 by default; the full batch needs none.
    parameters : mapping of str to number, optional
        Values for parameters of the problem that have none yet.
    record : int or sequence of int
        Record every k-th step (the start and the last step always), or the steps listed.
    record_memory : bool
        Record the optimizer's buffers too, as variable ``memory``.
    rng : int, Generator, SeedSequence or None
        None takes fresh entropy; whatever was taken stands in ``attrs["rng_entropy"]``.
    threads : int, optional
        Threads of the default executor; all processors by default.
    executor : concurrent.futures.Executor, optional
        Where blocks run instead (processes, a cluster).
    block_size : int, optional
        Replicas a block.
    progress : bool, optional
        Show a progress bar; by default on a terminal, after two seconds.

    Returns
    -------
    xarray.Dataset
        ``w`` (replica, step, coordinate): positions; infinite from the first failed step on, so that no mean can miss
        a diverged run unnoticed. ``diverged_at`` (replica): the first step whose state was not finite, −1 if none.
        ``memory`` (replica, step, buffer) if asked for. Attributes: seed, versions, hyperparameters, conventions,
        number of diverged runs, lr·λmax against the stability limit.

    Raises
    ------
    ArgumentError
        Before any work starts, for every argument that cannot be meant.

    Examples
    --------
    >>> from sgdtheory import SGD, Uniform, landscape
    >>> double_well = landscape("(w**2 - 1)**2/4", ["w"], noise_std=0.1)
    >>> run = simulate(double_well, SGD(lr=0.1), steps=200, replicas=1000, init=Uniform(-2, 2), rng=0)
    >>> bool((abs(run.w.isel(step=-1)) > 0.8).all()), run.attrs["diverged"]
    (True, 0)
    """
    import xarray as xr

    _whole("steps", steps, 0, _ADDRESSES - 1)
    _whole("replicas", replicas, 1, _ADDRESSES - 1)
    if block_size is not None:
        _whole("block_size", block_size, 1, _ADDRESSES)
    check_kinds(problem, optimizer)
    problem = problem.bind(**named_values(parameters or {}))
    _all_bound(problem)
    numbers = hyperparameter_values(optimizer)
    batch = _batch_size(problem, batch_size, steps)
    recorded = _recorded(record, steps, replicas)
    watched = np.union1d(recorded, (0, steps))  # both ends are needed for the attributes, and no run stops early
    start, points = _start(init, problem.dimension, replicas)
    dynamics = make_dynamics(problem, optimizer)
    width = len(dynamics.state) if record_memory else problem.dimension
    _fits_memory(replicas, len(watched), width)
    source = emit(dynamics, start, "numba", record_memory)
    seed = seed_sequence(rng)
    job = Job(
        source=source,
        key=key_of(seed),
        parameters=_parameter_array(dynamics, numbers),
        start=np.array([float(q) for q in start_values(start)]) if start else np.zeros(0),
        points=points,
        data=problem.data.values if isinstance(problem.data, Dataset) else np.zeros((0, 1)),
        batch_size=batch,
        record=watched,
        width=width,
    )
    watched_path, failed = run_blocks(job, replicas, block_size, threads, executor, progress)
    attributes = describe(problem, optimizer, seed, source, batch_size=batch, steps=steps, replicas=replicas)
    diverged = int(np.count_nonzero(failed >= 0))
    attributes |= {"diverged": diverged, "diverged_fraction": diverged / replicas}
    d = problem.dimension
    attributes |= stability(problem, optimizer, watched_path[:, 0, :d], watched_path[:, -1, :d])
    hidden = int(recorded[0] > 0)
    path = watched_path[:, hidden : hidden + len(recorded)]
    variables = {
        "w": (("replica", "step", "coordinate"), path[:, :, :d]),
        "diverged_at": (("replica",), failed, {"meaning": "first step with a state that is not finite; -1: none"}),
    }
    labels = {"replica": np.arange(replicas), "step": recorded, "coordinate": [w.name for w in problem.coordinates]}
    if record_memory:
        variables["memory"] = (("replica", "step", "buffer"), path[:, :, d:])
        labels["buffer"] = [m.name for m in dynamics.memory]
    return xr.Dataset(variables, labels, attributes)


def _whole(argument: str, value: object, low: int, high: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not low <= value <= high:
        raise ArgumentError(argument, value, f"a whole number from {low} to {high}")
    return int(value)


def _all_bound(problem: Problem) -> None:
    if problem.free_parameters:
        names = [s.name for s in problem.free_parameters]
        fix = f"simulate(..., parameters={{{names[0]!r}: 1.0}}) or problem.bind({names[0]}=1.0)"
        raise ArgumentError(
            "problem", f"parameters without a value: {', '.join(names)}", "numbers for all of them", fix
        )


def _batch_size(problem: Problem, given: int | None, steps: int) -> int:
    data = problem.data
    if not isinstance(data, Dataset):
        return _whole("batch_size", 1 if given is None else given, 1, 2**31)
    if data.sampling == "full batch":
        if given not in (None, data.size):
            raise ArgumentError("batch_size", given, f"{data.size} or None: the data are sampled as a full batch")
        return data.size
    size = _whole("batch_size", 1 if given is None else given, 1, 2**31)
    if data.sampling == "with replacement":
        return size
    if size > data.size:
        raise ArgumentError("batch_size", size, f"at most the {data.size} samples", "sample with replacement")
    if data.sampling == "one epoch" and steps * size > data.size:
        allowed = f"at most {data.size // size} steps: one epoch of {data.size} samples in batches of {size}"
        raise ArgumentError("steps", steps, allowed, "fewer steps, or sampling='reshuffle'")
    return size


def _recorded(record: int | Sequence[int], steps: int, replicas: int) -> NDArray[np.int64]:
    if isinstance(record, (int, np.integer)) and not isinstance(record, bool):
        every = _whole("record", record, 1, _ADDRESSES)
        _fits_memory(replicas, steps // every + 1, 1)  # or the list of steps itself would not fit
        return np.unique(np.append(np.arange(0, steps + 1, every), steps))
    chosen = np.asarray(record)
    fine = chosen.ndim == 1 and chosen.size > 0 and np.issubdtype(chosen.dtype, np.integer)
    if not fine or chosen.min() < 0 or chosen.max() > steps or np.any(np.diff(chosen) <= 0):
        allowed = f"a whole number k >= 1 (every k-th step), or increasing steps from 0 to {steps}"
        raise ArgumentError("record", record, allowed)
    return chosen.astype(np.int64)


def _start(init: Init | ArrayLike, dimension: int, replicas: int) -> tuple[Start, NDArray[np.float64]]:
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


def _fits_memory(replicas: int, recorded: int, width: int) -> None:
    need = 8 * replicas * recorded * width
    if need > _MEMORY_LIMIT:
        every = -(-need // _MEMORY_LIMIT)
        raise ArgumentError(
            "replicas, record",
            f"{replicas} replicas × {recorded} recorded steps × {width} entries = {need / 2**30:.1f} GiB",
            f"at most {_MEMORY_LIMIT / 2**30:.0f} GiB",
            f"record every {every}-th step or fewer, or run fewer replicas at a time",
        )


def _parameter_array(dynamics: Dynamics, numbers: Mapping[sp.Symbol, float]) -> NDArray[np.float64]:
    return np.array([numbers[s] if s in numbers else float(v) for s, v in dynamics.parameters])  # type: ignore[arg-type]
