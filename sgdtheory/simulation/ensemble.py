"""simulate: many replicas of an optimizer on a problem, as one labelled Dataset."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike

from sgdtheory.dynamics import Dynamics, check_kinds, make_dynamics
from sgdtheory.errors import ArgumentError
from sgdtheory.kernels import device as gpu
from sgdtheory.kernels.emit import Target
from sgdtheory.kernels.lower import NOISES, Noise, Recording
from sgdtheory.laws import Number
from sgdtheory.optimizers import Optimizer
from sgdtheory.problem import Problem, named_values
from sgdtheory.simulation.arguments import (
    ADDRESSES,
    FEWER,
    MOST_POINTS,
    Init,
    all_bound,
    fits_memory,
    named,
    named_expressions,
    recorded,
    start,
    whole,
)
from sgdtheory.simulation.execution import run_blocks
from sgdtheory.simulation.grid import Grid, Several, make_grid
from sgdtheory.simulation.jobs import make_job
from sgdtheory.simulation.provenance import RandomState, describe, seed_sequence
from sgdtheory.simulation.results import Collector
from sgdtheory.simulation.summaries import GROUP, Reduction, checked_edges
from sgdtheory.symbols import step as t

if TYPE_CHECKING:
    import xarray as xr


def simulate(
    problem: Problem,
    optimizer: Optimizer,
    *,
    steps: int,
    replicas: int = 1,
    init: Init,
    batch_size: int | Several | None = None,
    parameters: Mapping[str, Number | Several] | None = None,
    record: int | Sequence[int] = 1,
    record_memory: bool = False,
    observables: Mapping[str, sp.Expr] | None = None,
    events: Mapping[str, sp.Basic] | None = None,
    keep: str = "paths",
    histogram: Mapping[str, ArrayLike] | None = None,
    shortcut: bool | None = None,
    noise: Noise = "float64",
    device: str = "cpu",
    rng: RandomState = None,
    threads: int | None = None,
    executor: Executor | None = None,
    block_size: int | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Simulate an ensemble of independent runs with the compiled kernel of (problem, optimizer).

    The numbers depend on `rng` and the replica's index alone: not on threads, executor, blocks, the number of
    replicas or the recorded steps.

    Ctrl-C ends a run early: blocks that run are finished, and the result holds what is there, marked as not complete.
    A second one does not even wait for those. One more, or one once all is collected, is raised as ever.

    Parameters
    ----------
    problem : Problem
    optimizer : Optimizer
        With numbers for all hyperparameters, or expressions in the problem's parameters, such as 1/h. A list of numbers
        is a sweep: it becomes a dimension of the result, and all its values see the same random numbers. An expression
        in ``sgd.step`` is a schedule.
    steps : int
        Steps T ≥ 0 of every run.
    replicas : int
        Number of runs R ≥ 1.
    init : law, number, sequence of d laws or numbers, or array of shape (replicas, d)
        Where runs start; a single law or number holds for every coordinate.
    batch_size : int or list of int, optional
        Examples a step, B ≥ 1; at most n for a data set without replacement. 1 by default; the full batch needs none.
        A list is a sweep.
    parameters : mapping of str to number or list of numbers, optional
        Values for parameters of the problem that have none yet: further symbols of its loss, or names in its text. A
        list is a sweep.
    record : int or sequence of int
        Record every k-th step (the start and the last step always), or the steps listed (``log_steps`` spaces them
        logarithmically).
    record_memory : bool
        Record the optimizer's buffers too, as variable ``memory``; without buffers (SGD) there is none.
    observables : mapping of str to expression, optional
        Further quantities to record, in the coordinates and parameters.
    events : mapping of str to relation, optional
        Conditions such as ``w > 0``: the first step at which each holds is kept, looked for at every step.
    keep : {"paths", "moments"}
        ``moments``: instead of paths, mean and variance over the replicas at every recorded step, of each quantity
        where it is finite: diverged runs are left out, and counted. Of a replica only ``diverged_at`` and its events
        stay.
    histogram : mapping of str to edges, optional
        With ``keep="moments"``: coordinates or observables and the edges of their histograms.
    shortcut : bool, optional
        Draw the few sums a batch's gradient depends on instead of its examples, where their exact law is known (see
        `sgdtheory.derive.sufficient`): the same law, at a cost that does not grow with the batch. By default where
        they take fewer random numbers than the examples, a χ² number counted as three normal ones, and at most 32;
        True insists; False draws examples.
    noise : {"float64", "float32"}
        Grade of normal draws. ``float32``: about half the time for a step, draws on a grid of 24 bits and at most 6.7
        standard deviations, which is invisible below some 10¹⁰ draws but not in tails beyond. The state is float64
        always.
    device : {"cpu", "gpu"}
        ``gpu``: the same text, translated to CUDA, on an NVIDIA card (``pip install "sgdtheory[gpu]"``); random words
        are the same, floats to rounding.
    rng : int, Generator, SeedSequence or None
        None takes fresh entropy; whatever was taken stands in ``attrs["rng_entropy"]``.
    threads : int, optional
        Threads of the default executor; all processors by default.
    executor : concurrent.futures.Executor, optional
        Where blocks run instead (processes, a cluster). Blocks lost with their workers are run again here, in threads,
        and a `LostBlocksWarning` says so once; the numbers are the same.
    block_size : int, optional
        Replicas a block.
    progress : bool, optional
        Show a progress bar; by default on a terminal, after two seconds.

    Returns
    -------
    xarray.Dataset
        ``w`` (replica, step, coordinate): positions; infinite from the first failed step on, so that no mean can miss
        a diverged run unnoticed. ``diverged_at`` (replica): the first step whose state was not finite, −1 if none.
        One variable (replica, step) an observable, one (replica) an event (−1: never). ``memory`` (replica, step,
        buffer) if asked for. With ``keep="moments"``: ``mean``, ``variance`` (step, quantity) of the finite values,
        ``finite`` (step, quantity) their number, ``histogram_NAME`` (step, bin). Sweeps are the first dimensions.
        Attributes: seed, versions, hyperparameters, conventions, number of diverged runs, lr·λmax against the
        stability limit (variables, where something is swept), ``complete``: 0 if the run was interrupted.

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
    >>> sweep = simulate(double_well, SGD(lr=[0.1, 0.2]), steps=10, replicas=5, init=1, batch_size=[1, 4, 16], rng=0)
    >>> dict(sweep.w.sizes)
    {'lr': 2, 'batch_size': 3, 'replica': 5, 'step': 11, 'coordinate': 1}
    """
    whole("steps", steps, 0, ADDRESSES - 1)
    whole("replicas", replicas, 1, ADDRESSES - 1)
    if block_size is not None:
        whole("block_size", block_size, 1, ADDRESSES)
    check_kinds(problem, optimizer)
    if executor is not None and not hasattr(executor, "submit"):
        raise ArgumentError(
            "executor", executor, "a concurrent.futures.Executor", "threads=... sets the number of threads"
        )
    target = _target(device, executor)
    grid = make_grid(problem, optimizer, batch_size, named_values(parameters or {}))
    bound = next(grid.points()).problem
    all_bound(bound)
    names, quantities = named_expressions("observables", observables, bound, grid.axes)
    event_names, conditions = named_expressions("events", events, bound, (*grid.axes, *names))
    if noise not in NOISES:
        raise ArgumentError("noise", noise, " | ".join(NOISES))
    reduction = _reduction(keep, histogram, [w.name for w in problem.coordinates], names, record_memory)
    wanted = recorded(record, steps, 1 if reduction else replicas)
    start_law, given_points = start(init, problem.dimension, replicas)
    dynamics = make_dynamics(bound, grid.optimizer)
    recording = Recording(record_memory, quantities, conditions)
    _fits(grid, dynamics, recording, len(wanted), steps, replicas, reduction)
    collector = Collector(grid, dynamics, recording, names, event_names, wanted, steps, replicas, reduction)
    points = list(grid.points())
    seed = seed_sequence(rng)
    jobs = [
        make_job(seed, dynamics, point, start_law, given_points, collector, steps, shortcut, noise, target)
        for point in points
    ]
    if device == "gpu":  # blocks that fill the card, one at a time
        block_size, threads = block_size or gpu.largest_block(max(job.bytes_a_replica for job in jobs)), 1
    complete = run_blocks(
        jobs, replicas, collector.add,
        block_size=block_size, threads=threads, executor=executor, progress=progress,
    )  # fmt: skip
    attributes = describe(grid, seed, jobs, steps=steps, replicas=replicas) | {
        "complete": int(complete),
        "device": device,
    }
    return collector.dataset(points, attributes)


def log_steps(steps: int, per_decade: int = 10) -> list[int]:
    """Return 0 and about so many steps a decade up to the last, for ``record``.

    Parameters
    ----------
    steps : int
        The last step, ≥ 1.
    per_decade : int
        Steps for each factor of ten.

    Returns
    -------
    list of int

    Examples
    --------
    >>> log_steps(100, per_decade=2)
    [0, 1, 3, 10, 32, 100]
    """
    whole("steps", steps, 1, ADDRESSES - 1)
    whole("per_decade", per_decade, 1, 10_000)
    spaced = np.geomspace(1, steps, max(2, 1 + round(per_decade * np.log10(steps))))
    return [0, *np.unique(np.round(spaced).astype(int)).tolist()]


def _target(device: str, executor: Executor | None) -> Target:
    """Return what kernels are emitted for; a device that is not there is refused."""
    if device not in ("cpu", "gpu"):
        raise ArgumentError("device", device, "cpu | gpu")
    if device == "cpu":
        return "numba"
    if executor is not None:
        raise ArgumentError("executor", executor, "None with device='gpu'", "one process keeps the card busy")
    gpu.available()
    return "cuda"


def _fits(
    grid: Grid,
    dynamics: Dynamics,
    recording: Recording,
    recorded: int,
    steps: int,
    replicas: int,
    reduction: Reduction | None,
) -> None:
    """Refuse a sweep without end, and a run whose paths, per-replica facts or schedules would not fit in memory."""
    points = {"points": math.prod(grid.shape)} if grid.axes else {}
    width = len(dynamics.coordinates) + len(recording.observables) + recording.memory * len(dynamics.memory)
    group = min(replicas, GROUP)  # whose paths are looked at together, whatever is kept of them
    runs = points | {"replicas": replicas} if reduction is None else {"replicas": max(group, *points.values(), 1)}
    fits_memory("replicas, record", FEWER, **runs, recorded_steps=recorded, quantities=width)
    facts = 1 + len(recording.events)
    fits_memory("replicas", "run fewer replicas at a time", **points, replicas=replicas, facts_a_run=facts)
    scheduled = sum(h.value.has(t) for h in grid.optimizer.hyperparameters)
    fits_memory("steps", "run fewer steps or points at a time", **points, steps=steps + 1, schedules=scheduled)
    if math.prod(grid.shape) > MOST_POINTS:
        shown = " × ".join(f"{len(values)} {name}" for name, values in grid.axes.items())
        raise ArgumentError(
            "sweep", f"{shown} = {math.prod(grid.shape)} points", f"at most {MOST_POINTS}", "sweep less"
        )


def _reduction(
    keep: str,
    histogram: Mapping[str, ArrayLike] | None,
    coordinates: Sequence[str],
    observables: Sequence[str],
    record_memory: bool,
) -> Reduction | None:
    if keep not in ("paths", "moments"):
        raise ArgumentError("keep", keep, "paths | moments")
    if keep == "paths":
        if histogram:
            raise ArgumentError("histogram", histogram, "nothing with keep='paths'", "say keep='moments'")
        return None
    histogram = named("histogram", histogram, "edges")
    if record_memory:
        raise ArgumentError("record_memory", record_memory, "False with keep='moments'")
    quantities = [*coordinates, *observables]
    unknown = sorted(map(str, set(histogram) - set(quantities)))
    if unknown:
        raise ArgumentError("histogram", unknown, f"among {', '.join(quantities)}")
    return Reduction(tuple((quantities.index(n), checked_edges(n, e)) for n, e in histogram.items()))
