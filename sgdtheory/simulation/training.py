"""train: any loss with examples by any optimizer, on arrays; the losses too large to be written out as a kernel.

The rule is the same `Optimizer` value that kernels are printed from, evaluated on arrays. Replicas are trained side by
side, each from random numbers of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.laws import SAMPLINGS
from sgdtheory.measure.loss import checked_points
from sgdtheory.measure.protocol import Loss, dimension_of
from sgdtheory.measure.rules import ArrayRule, array_rule
from sgdtheory.measure.spectrum import extreme_eigenvalues
from sgdtheory.optimizers import Optimizer
from sgdtheory.simulation.arguments import ADDRESSES, fits_memory, free_names, recorded, schedule_of, whole
from sgdtheory.simulation.provenance import RandomState, constant_rate, rate_limit, seed_sequence, versions
from sgdtheory.symbols import step as t

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
_BATCHES, _NOISE, _START = 0, 1, 2  # purposes of a replica's random numbers
_ROUGH = 1e-2  # relative, of the sharpness in the attributes
_AHEAD = 64  # batches drawn at a time: always as many, so that a run is the beginning of a longer one


@dataclass(frozen=True)
class Step:
    """One step of all replicas.

    Parameters
    ----------
    number : int
        t, 1 for the first.
    start, end : ndarray, shape (R, d)
        θ before and after.
    gradient : ndarray, shape (R, d)
        Ĝ, the gradient of the batch, where the rule takes it.
    batch : int array, shape (R, B), or None
        Numbers of the examples; None for the whole loss.
    memory : tuple of ndarray, each of shape (R, d)
        The rule's buffers after the step.
    """

    number: int
    start: Array
    end: Array
    gradient: Array
    batch: Integers | None
    memory: tuple[Array, ...]


def training_steps(
    loss: Loss,
    optimizer: Optimizer,
    *,
    steps: int,
    init: ArrayLike | None = None,
    replicas: int | None = None,
    batch_size: int | None = None,
    sampling: str = "with replacement",
    rng: RandomState = None,
) -> Iterator[Step]:
    """Train and hand out every step as it is made; nothing is stored.

    Parameters
    ----------
    loss, optimizer, steps, init, replicas, batch_size, sampling, rng
        As for `train`.

    Returns
    -------
    iterator of Step

    Raises
    ------
    ArgumentError
        For arguments that do not fit each other, before any work starts.

    Examples
    --------
    >>> from sgdtheory import SGD, mlp
    >>> net = mlp([[0.0, 1.0], [1.0, 0.0]], [0, 1], widths=[2])
    >>> for step in training_steps(net, SGD(lr=0.5), steps=2, rng=0):
    ...     print(step.number, step.start.shape)
    1 (1, 12)
    2 (1, 12)
    """
    seed = seed_sequence(rng)
    dimension_of(loss)  # refuses what is no loss
    whole("steps", steps, 0, ADDRESSES)
    points = _starts(loss, init, replicas, seed)
    batches = _batches(loss, batch_size, sampling, steps, len(points), seed)
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError("optimizer", optimizer, "an Optimizer", "call it: SGD(lr=0.1)")
    rule = array_rule(optimizer)
    schedules = _schedules(optimizer, steps)
    return _steps(loss, rule, schedules, points, batches, _noises(optimizer, seed, points))


def train(
    loss: Loss,
    optimizer: Optimizer,
    *,
    steps: int,
    init: ArrayLike | None = None,
    replicas: int | None = None,
    batch_size: int | None = None,
    sampling: str = "with replacement",
    record: int | Sequence[int] = 1,
    observables: Mapping[str, Callable[[Array], ArrayLike]] | None = None,
    rng: RandomState = None,
) -> xr.Dataset:
    """Train a loss, such as a network's, by an optimizer; as one labelled Dataset.

    The numbers of a replica depend on `rng` and its index alone, not on how many there are or on what is recorded; a
    run is the beginning of a longer one.

    Parameters
    ----------
    loss : Loss
        A network, `numeric_loss` of a problem, or a loss of your own.
    optimizer : Optimizer
        With numbers or schedules for all hyperparameters.
    steps : int
    init : array_like, shape (d,) or (R, d), optional
        Where to start; by default every replica draws from ``loss.init``.
    replicas : int, optional
        Number R of runs; 1, or the rows of `init`.
    batch_size : int, optional
        Examples a step; without it, all: full-batch descent.
    sampling : {"with replacement", "without replacement", "reshuffle", "one epoch"}
        As for `Dataset`.
    record : int or sequence of int
        Every k-th step (the start and the last always), or the steps listed.
    observables : mapping of str to callable, optional
        Functions of the parameters, (R, d) → (R,), recorded beside them, such as ``net.on(x_test, y_test).value``.
    rng : int, Generator, SeedSequence or None

    Returns
    -------
    xarray.Dataset
        ``w`` (replica, step, coordinate), ``loss`` (replica, step) and the observables; ``diverged_at`` (replica), the
        first step at which a parameter was not finite, −1 if none: it is infinite from there on. Attributes: optimizer,
        hyperparameters, batch size, sampling, seed, versions, the share that diverged, lr·λmax of the first replica at
        the start and the end (to a per cent) against the stability limit of the rule on a quadratic.

    Raises
    ------
    ArgumentError
        For arguments that do not fit each other, before any work starts.

    Examples
    --------
    >>> from sgdtheory import SGD, mlp, spirals
    >>> run = train(mlp(*spirals(20, rng=0), [4]), SGD(lr=0.5), batch_size=5, steps=10, replicas=3, rng=0)
    >>> dict(run.w.sizes)
    {'replica': 3, 'step': 11, 'coordinate': 22}
    """
    seed = seed_sequence(rng)
    dimension_of(loss)  # refuses what is no loss
    measured = {"loss": loss.value} | dict(observables or {})
    free_names("observables", observables or {}, ("loss",))
    whole("steps", steps, 0, ADDRESSES)
    given = _starts(loss, init, replicas, seed)
    kept = recorded(record, steps, len(given))
    fits_memory("replicas, record", "record fewer steps", replicas=len(given), recorded=len(kept), d=loss.dimension)
    made = training_steps(
        loss, optimizer, steps=steps, init=given, batch_size=batch_size, sampling=sampling, rng=_again(seed)
    )
    path = np.empty((len(given), len(kept), loss.dimension))
    values = {name: np.empty(path.shape[:2]) for name in measured}
    failed = np.full(len(given), -1, dtype=np.int64)
    place = {int(step): k for k, step in enumerate(kept)}

    def write(number: int, w: Array) -> None:
        if number in place:
            path[:, place[number]] = w
            for name, function in measured.items():
                values[name][:, place[number]] = function(w)

    with np.errstate(all="ignore"):
        write(0, given)
        for step in made:
            lost = (failed < 0) & ~np.isfinite(step.end).all(axis=1)
            failed[lost] = step.number
            write(step.number, np.where((failed >= 0)[:, np.newaxis], np.inf, step.end))
    facts = _facts(optimizer, batch_size, sampling, seed) | _stability(loss, optimizer, given[0], path[0, -1])
    return _dataset(loss, path, values, failed, kept, facts)


def _dataset(
    loss: Loss, path: Array, values: Mapping[str, Array], failed: Integers, steps: Integers, facts: dict[str, Any]
) -> xr.Dataset:
    import xarray as xr

    facts |= {"diverged": int((failed >= 0).sum()), "diverged_fraction": float((failed >= 0).mean())}
    variables: dict[str, Any] = {name: (("replica", "step"), value) for name, value in values.items()}
    variables |= {"w": (("replica", "step", "coordinate"), path), "diverged_at": (("replica",), failed)}
    labels = {"replica": np.arange(len(path)), "step": steps, "coordinate": list(loss.layout.groups("parameter")[0])}
    return xr.Dataset(variables, labels, facts)


def _stability(loss: Loss, optimizer: Optimizer, start: Array, end: Array) -> dict[str, float]:
    """Return lr·λmax at both ends of the first replica's record, and the limit on a quadratic; NaN where not finite."""
    found, rate = {"stability_limit": rate_limit(optimizer)}, constant_rate(optimizer)
    for where, w in {"start": start, "end": end}.items():
        known = np.isfinite(rate) and np.isfinite(w).all()
        largest = extreme_eigenvalues(loss, w, tolerance=_ROUGH).largest if known else float("nan")
        found |= {f"lr_sharpness_{where}": rate * largest}
    return found


def _facts(optimizer: Optimizer, batch_size: int | None, sampling: str, seed: np.random.SeedSequence) -> dict[str, Any]:
    return {
        "optimizer": optimizer.name,
        **{
            h.keyword: float(h.value) if h.value.is_number else f"schedule: {h.value}"
            for h in optimizer.hyperparameters
            if h.keyword
        },
        "batch_size": batch_size or "all",
        "sampling": sampling if batch_size else "full batch",
        "rng_entropy": str(seed.entropy),
        "rng_spawn_key": str(tuple(seed.spawn_key)),
        "versions": versions(),
    }


def _schedules(optimizer: Optimizer, steps: int) -> Array:
    """Return the hyperparameters of every step, shape (T + 1, hyperparameters)."""
    values = optimizer.values
    for h in optimizer.hyperparameters:
        if h.keyword and values[h.symbol].free_symbols - {t}:
            raise ArgumentError(h.keyword, values[h.symbol], "a number or a schedule in sgd.step")
    schedules = [schedule_of(replace(h, value=values[h.symbol]), steps) for h in optimizer.hyperparameters]
    return np.stack(schedules, axis=-1) if schedules else np.zeros((steps + 1, 0))


def _steps(
    loss: Loss,
    rule: ArrayRule,
    schedules: Array,
    w: Array,
    batches: Iterator[Integers | None],
    noises: Iterator[list[Array]],
) -> Iterator[Step]:
    memory = [np.zeros_like(w)] * len(rule.buffers)
    for number in range(1, len(schedules)):
        with np.errstate(all="ignore"):  # a replica that overflows is reported as diverged
            hyper, batch = schedules[number], next(batches)
            (at,) = rule.lookahead(w, *memory, *hyper)
            slope = loss.gradient(at, batch)
            end, *memory = rule.update(w, slope, *memory, *hyper, *next(noises))
        yield Step(number, w, end, slope, batch, tuple(memory))
        w = end


def _starts(loss: Loss, init: ArrayLike | None, replicas: int | None, seed: np.random.SeedSequence) -> Array:
    """Return where every replica starts, shape (R, d)."""
    number = None if replicas is None else whole("replicas", replicas, 1, ADDRESSES)
    if init is None:
        if not hasattr(loss, "init"):
            raise ArgumentError("init", None, f"an array of shape (R, {loss.dimension})", "this loss draws none itself")
        return np.array([loss.init(_generator(seed, r, _START)) for r in range(number or 1)], dtype=np.float64)
    points = checked_points(init, loss.dimension, "init")
    if points.ndim > 2 or (points.ndim == 2 and number not in (None, len(points))) or not np.isfinite(points).all():
        shape = f"finite numbers, shape ({loss.dimension},) or ({number or 'R'}, {loss.dimension})"
        raise ArgumentError("init", f"shape {points.shape}", shape)
    return points if points.ndim == 2 else np.tile(points, (number or 1, 1))


def _batches(
    loss: Loss, size: int | None, sampling: str, steps: int, replicas: int, seed: np.random.SeedSequence
) -> Iterator[Integers | None]:
    """Yield the batches of all replicas, shape (R, B), step by step."""
    known = [s for s in SAMPLINGS if s != "full batch"]
    if sampling not in known:
        raise ArgumentError("sampling", sampling, " | ".join(known), "without batch_size every step takes all examples")
    if size is None:
        return repeat(None)
    n = loss.examples
    if not n:
        raise ArgumentError("batch_size", size, "None: the loss is no mean over examples")
    whole("batch_size", size, 1, 2**31 if sampling == "with replacement" else n)
    if sampling == "one epoch" and steps > n // size:
        raise ArgumentError("steps", steps, f"at most {n // size}: one epoch", "sampling='reshuffle'")
    rows = [_own_batches(_generator(seed, r, _BATCHES), n, size, sampling) for r in range(replicas)]
    return (np.stack(batch) for batch in zip(*rows, strict=True))


def _own_batches(generator: np.random.Generator, n: int, size: int, sampling: str) -> Iterator[Integers]:
    while True:
        if sampling == "with replacement":
            yield from generator.integers(n, size=(_AHEAD, size))
        elif sampling == "without replacement":
            yield generator.permutation(n)[:size]
        else:
            yield from generator.permutation(n)[: n // size * size].reshape(-1, size)


def _noises(optimizer: Optimizer, seed: np.random.SeedSequence, points: Array) -> Iterator[list[Array]]:
    """Yield, if the rule draws noise, a standard normal number for every replica and coordinate, step by step."""
    if optimizer.noise is None:
        yield from repeat([])
    generators = [_generator(seed, r, _NOISE) for r in range(len(points))]
    while True:
        yield [np.array([generator.standard_normal(points.shape[1]) for generator in generators])]


def _generator(seed: np.random.SeedSequence, replica: int, purpose: int) -> np.random.Generator:
    child = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, replica, purpose))
    return np.random.default_rng(child)


def _again(seed: np.random.SeedSequence) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
