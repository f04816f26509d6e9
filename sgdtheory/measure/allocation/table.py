"""lca: the loss change allocation of a run as one labelled table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.derive.quadrature import Rule
from sgdtheory.errors import ArgumentError
from sgdtheory.measure.allocation.causes import NAMES, split_function
from sgdtheory.measure.allocation.quadrature import Adaptive, Means, Segments, chosen_rule, mean_gradients
from sgdtheory.measure.allocation.record import Record
from sgdtheory.measure.allocation.steps import Block, Path, as_path
from sgdtheory.measure.loss import numeric_loss
from sgdtheory.measure.protocol import Array, Loss
from sgdtheory.problem import Problem

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Causes:
    """How the naive allocation is known and split.

    Parameters
    ----------
    lr : ndarray
        η, broadcasting against (..., T).
    weight_decay : float
        λ of a decay outside the measured loss.
    split : {"ordered", "shapley"}
    reference : Rule or Adaptive, or None
        What tells the integral from the quadrature.
    """

    lr: Array
    weight_decay: float
    split: str
    reference: Rule | Adaptive | None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the causes that can be told apart."""
        return NAMES if self.reference else NAMES[:-1]


def lca(
    path: xr.Dataset | ArrayLike | Iterable[Any],
    loss: Loss | Problem,
    rule: str | Rule | Adaptive = "simpson",
    *,
    by: str = "parameter",
    lr: ArrayLike | None = None,
    weight_decay: float = 0.0,
    split: str = "ordered",
    reference: str | Rule | Adaptive | None = None,
) -> xr.Dataset:
    """Allocate the loss change of every step to the parameters, Aᵢ = ∫ ∂L/∂wᵢ dwᵢ along the straight segment.

    A < 0: the parameter's move lowered the loss, it helps. Summed over parameters A is the loss change, up to the
    residual, which is always told.

    Parameters
    ----------
    path : Dataset, array_like or iterable
        A run of `simulate` or `train` with every step recorded; or positions, shape (..., T + 1, d); or steps as they
        come, those of `training_steps` or tuples ``(number, start, end[, gradient])``, arrays of shape (d,) or
        (replicas, d): then neither path nor gradients are held in memory.
    loss : Loss or Problem
        What is measured: anything with the protocol `sgdtheory.measure.protocol.Loss`, all its examples.
    rule : str, Rule or Adaptive
        Quadrature of the mean gradient: ``"trapezoid"``, ``"simpson"`` (the source's RK4), ``"gauss-3"``, …, see
        `sgdtheory.derive.quadrature.quadrature_rule`; ``composite(rule, n)``; ``"adaptive"``, the source's criterion,
        or `Adaptive` with another; ``"exact"`` for the polynomial loss of a Problem.
    by : {"parameter", "neuron", "tensor", "layer"}
        What allocations are summed over; it names the dimension.
    lr : float or array, optional
        η of the steps, broadcasting against (..., T): then the naive allocation and the causes of its error are told
        too. Where the steps carry no gradient they are taken as plain SGD's, G = −Δ/η − λw; a run of `simulate` with
        SGD says so itself.
    weight_decay : float
        λ ≥ 0, of a decay that is no part of the measured loss.
    split : {"ordered", "shapley"}
        Order in which the causes are let in, see `sgdtheory.theory.loss_change_allocation.causes`.
    reference : str, Rule or Adaptive, optional
        A finer rule, to tell the cause "quadrature" from "curvature".

    Returns
    -------
    xarray.Dataset
        With the dimensions (replica, step, `by`), the first as in the path; step t leads from w_{t−1} to w_t:

        - ``allocation`` A; ``first_order`` Δ·∇L(start), the source's first definition;
        - ``naive`` −ηG² and ``causes`` (cause, ...), which add up to A, if η is known;
        - ``helped``, ``hurt``, ``zeros``: numbers of parameters with A < 0, > 0, = 0, of ``size`` in the group;
        - (replica, step): ``loss_before``, ``loss_after``; ``residual`` ΣA − (after − before); ``helping``, the share
          helped/(helped + hurt), so that zeros, parameters which did not move or have no gradient, count on neither
          side; ``gradients``, evaluations of ∇L the step needed, its start's being the step before's end; ``unmet``,
          where an adaptive rule gave up;
        - (replica, parameter): ``total`` ΣA over the steps; ``steps_helped``, ``steps_hurt``;
        - (replica): ``diverged_at``. What is not finite is left so, in the residual and in all sums.

    Raises
    ------
    ArgumentError
        If path and loss have different dimensions, there is no step, or no such rule, grouping or split.

    References
    ----------
    Lan, Liu, Zhou, Yosinski (2019), LCA: Loss Change Allocation for Neural Network Training.

    Examples
    --------
    >>> from sgdtheory import SGD, landscape, simulate
    >>> bowl = landscape("w1**2 + w1*w2 + w2**4", ["w1", "w2"], noise_std=0.1)
    >>> table = lca(simulate(bowl, SGD(lr=0.1), steps=50, init=1, rng=0), bowl, "exact")
    >>> change = table.loss_after[0, -1] - table.loss_before[0, 0]
    >>> bool(abs(table.total.sum() - change) < 1e-14), bool((table.naive <= 0).all())
    (True, True)
    """
    problem = loss if isinstance(loss, Problem) else None
    measured = _checked(numeric_loss(problem) if problem else loss)
    chosen = chosen_rule(rule, problem)
    groups, members = measured.layout.groups(by)
    steps = as_path(path, measured.dimension, measured.examples)
    causes = _causes(steps, lr, weight_decay, split, None if reference is None else chosen_rule(reference, problem))
    record, before = Record(members), None
    with np.errstate(all="ignore"):  # what is not finite is told with its step
        for block in steps.blocks:
            segments, at_ends = _segments(measured, block.points, before)
            means = mean_gradients(measured, segments, chosen)
            if causes:
                shares = _shares(measured, block, segments, means, causes, record.steps)
            record.add(block.numbers, segments, means, at_ends)
            if causes:
                record.add_causes(shares)
            before = segments
    labels = {by: list(groups), "parameter": list(measured.layout.groups("parameter")[0]), **steps.labels}
    attributes = {"rule": getattr(chosen, "name", repr(chosen))}
    if causes:
        labels["cause"] = list(causes.names)
        attributes |= {"split": split, "weight_decay": causes.weight_decay}
    return record.dataset(steps.lead, by, labels, attributes)


def _checked(loss: object) -> Loss:
    missing = [name for name in ("layout", "value", "gradient") if not hasattr(loss, name)]
    if missing:
        allowed = "a Problem, or an object with layout, value and gradient"
        raise ArgumentError("loss", f"{loss!r}", allowed, "custom_loss(value, gradient, d)")
    return loss  # type: ignore[return-value]


def _causes(
    path: Path, lr: ArrayLike | None, weight_decay: float, split: str, reference: Rule | Adaptive | None
) -> Causes | None:
    """Collect what the causes need: η as given or as a run of plain SGD has it; nothing if it is not known."""
    split_function(split)
    name, *decay = str(path.attributes.get("optimizer", "")).split(", ")
    if lr is None and name == "SGD":
        swept = path.labels.get("lr")
        lr = path.attributes.get("lr") if swept is None else _along(np.asarray(swept), path.lead, "lr")
        weight_decay = path.attributes.get("weight_decay", 0.0) if decay else 0.0
    if lr is None or isinstance(lr, str):  # a schedule is told as text
        return None
    rates = np.asarray(lr, dtype=np.float64)
    if not (np.isfinite(rates).all() and (rates > 0).all()):
        raise ArgumentError("lr", lr, "numbers > 0")
    if not (np.isfinite(weight_decay) and weight_decay >= 0):
        raise ArgumentError("weight_decay", weight_decay, "a number >= 0")
    return Causes(rates, float(weight_decay), split, reference)


def _along(values: Array, lead: tuple[str, ...], name: str) -> Array:
    """Shape the values of a swept axis to broadcast against (..., T)."""
    return values.reshape([-1 if axis == name else 1 for axis in (*lead, "step")])


def _segments(loss: Loss, points: Array, before: Segments | None) -> tuple[Segments, NDArray[np.int64]]:
    """Evaluate the loss where segments meet, and count the gradients; the first point may be the last one before."""
    points = np.where(np.isfinite(points).all(axis=-1, keepdims=True), points, np.nan)  # without infinity − infinity
    at_ends = np.ones(points.shape[-2] - 1, dtype=np.int64)
    if before is not None and np.array_equal(before.points[..., -1, :], points[..., 0, :], equal_nan=True):
        new = points[..., 1:, :]
        values = np.concatenate([before.values[..., -1:], loss.value(new)], axis=-1)
        gradients = np.concatenate([before.gradients[..., -1:, :], loss.gradient(new)], axis=-2)
    else:
        values, gradients = loss.value(points), loss.gradient(points)
        at_ends[0] += 1
    return Segments(points, values, gradients), at_ends


def _shares(loss: Loss, block: Block, segments: Segments, means: Means, causes: Causes, done: int) -> Array:
    """Return the naive allocation and the causes' shares of a block, after `done` steps."""
    moves, start = segments.moves, segments.points[..., :-1, :]
    rates = causes.lr[..., done : done + moves.shape[-2]] if causes.lr.ndim and causes.lr.shape[-1] > 1 else causes.lr
    η, λ = rates[..., np.newaxis], causes.weight_decay
    made_by = -moves / η - λ * start if block.gradients is None else block.gradients
    finer = means if causes.reference is None else mean_gradients(loss, segments, causes.reference)
    measured = (segments.gradients[..., :-1, :], finer.gradients, means.gradients)
    return split_function(causes.split)(η, λ, start, moves, made_by, *measured)[: 1 + len(causes.names)]
