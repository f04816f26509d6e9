"""Long-run orbits of an optimizer without noise: fixed points, cycles, chaos, divergence, learning rate by rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory import symbols
from sgdtheory.dynamics import make_dynamics
from sgdtheory.errors import ArgumentError
from sgdtheory.measure.loss import numeric_loss, vectorised
from sgdtheory.optimizers import SGD, Hyperparameter, Optimizer
from sgdtheory.problem import Problem
from sgdtheory.simulation.arguments import ADDRESSES, whole
from sgdtheory.simulation.ensemble import simulate
from sgdtheory.simulation.flow import positive, starts

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

_REAL = 1e-7
"""Rounding splits a double real eigenvalue into a pair whose imaginary part is √(machine precision) of its modulus."""


def bifurcation(
    problem: Problem,
    optimizer: Callable[..., Optimizer] = SGD,
    *,
    lr: Sequence[float] | Array,
    start: ArrayLike,
    transient: int = 1000,
    keep: int = 64,
    tolerance: float = 1e-6,
) -> xr.Dataset:
    """Find where an optimizer without noise ends up at each learning rate: fixed points, cycles, chaos, divergence.

    Parameters
    ----------
    problem : Problem
        Its population gradient is used, so that it may be noisy. Every parameter bound.
    optimizer : callable
        Makes the optimizer from ``lr``: SGD, or ``partial(Momentum, momentum=0.9)``. Its rule has no noise of its own
        and does not depend on the step's number.
    lr : sequence of float, shape (k,)
        Learning rates η > 0.
    start : array_like, shape (n, d), or (d,) for one start; for d = 1 also a number or (n,)
        Orbits from different starts may end up in different places.
    transient : int
        Steps left out first, ≥ 0.
    keep : int
        Iterates kept, ≥ 2; periods up to half of it are found.
    tolerance : float
        Iterates that differ by less than this part of the orbit's and the start's largest coordinate count as the
        same, > 0.

    Returns
    -------
    xarray.Dataset
        ``w`` (lr, start, iterate, coordinate): the last `keep` iterates. ``init`` (start, coordinate): the starts. By
        (lr, start): ``period``, 1 for a fixed point; 0: none was found (chaos, a period beyond keep/2, an orbit that
        still drifts); −1: diverged; −2: interrupted. ``multiplier``: the eigenvalue of largest modulus of the
        derivative of one period (1-D: the product of f′ over it), attracting below modulus 1; of a complex pair the
        modulus; NaN without a period. ``lyapunov``: the largest Lyapunov exponent a step, ln|multiplier|/period, or
        without a period that of the kept iterates, which has a bias of order 1/keep; NaN if diverged.
        ``diverged_at``: as of `simulate`.

    Raises
    ------
    ArgumentError
        Before any work starts, for every argument that cannot be meant.
    NoClosedFormError
        If the population loss has no closed form.

    References
    ----------
    Benettin, Galgani, Giorgilli, Strelcyn (1980), Lyapunov characteristic exponents for smooth dynamical systems.

    Examples
    --------
    >>> from sgdtheory import landscape
    >>> scan = bifurcation(landscape("(w**2 - 1)**2/4", ["w"]), lr=[0.5, 0.9, 1.2, 1.25, 1.8, 4.5], start=0.5)
    >>> scan.period.values[:, 0]
    array([ 1, 1, 2, 4, 0, -1])
    >>> (1 - 2 * 0.9, 9 - 2 * (1 + 1.2) ** 2), scan.multiplier.values[1:3, 0].round(6)
    ((-0.8, -0.6800000000000015), array([-0.8 , -0.68]))
    """
    points = starts(start, problem)
    whole("transient", transient, 0, ADDRESSES // 2)
    whole("keep", keep, 2, ADDRESSES // 2)
    tolerance = positive("tolerance", tolerance)
    rule, exact, steps = _autonomous(optimizer, lr), problem.population(), transient + keep - 1
    run = simulate(
        exact, rule, steps=steps, replicas=len(points), init=points,
        record=range(transient, steps + 1), record_memory=bool(rule.memory), rng=0,
    )  # fmt: skip
    orbits, failed = run.w.values, run.diverged_at.values
    bounded = failed == -1
    states = np.concatenate([orbits, run.memory.values], axis=-1) if rule.memory else orbits
    rates = np.broadcast_to(run.lr.values[:, np.newaxis, np.newaxis], states.shape[:-1])
    period = np.where(failed >= 0, -1, failed)
    largest = np.maximum(np.abs(orbits).max(axis=(2, 3)), np.abs(points).max(axis=1))
    period[bounded] = _periods(orbits[bounded], tolerance * largest[bounded])
    multiplier, lyapunov = np.full((2, *bounded.shape), np.nan)
    with np.errstate(all="ignore"):  # a derivative that overflows gives NaN
        derivatives = _step_derivative(exact, rule)(states[bounded], rates[bounded])
        multiplier[bounded], lyapunov[bounded] = _stability(derivatives, period[bounded])
    result = run.rename(replica="start", step="iterate")[["w", "diverged_at"]].assign(
        init=(("start", "coordinate"), points),
        period=(("lr", "start"), period),
        multiplier=(("lr", "start"), multiplier),
        lyapunov=(("lr", "start"), lyapunov),
    )
    return result.assign_attrs(transient=transient, keep=keep, tolerance=tolerance)


def _autonomous(optimizer: Callable[..., Optimizer], lr: Sequence[float] | Array) -> Optimizer:
    """Return the optimizer with its learning rates; refuse one whose step is not the same map at every step."""
    if not callable(optimizer):
        raise ArgumentError("optimizer", optimizer, "a function of lr", "write SGD, or partial(Momentum, momentum=0.9)")
    if np.ndim(lr) != 1:
        raise ArgumentError("lr", lr, "a list of learning rates", "for one, write [0.1]")
    rule = optimizer(lr=lr)
    if not isinstance(rule, Optimizer) or [h.keyword for h in rule.hyperparameters if _several(h)] != ["lr"]:
        raise ArgumentError("optimizer", rule, "a function that makes an optimizer from lr and sweeps nothing else")
    if rule.noise is not None:
        raise ArgumentError("optimizer", rule, "a rule without noise of its own")
    for h in rule.hyperparameters:
        if not _several(h) and not h.value.is_number:
            raise ArgumentError("optimizer", f"{rule}, {h.symbol} = {h.value}", "numbers, the same at every step")
    return rule


def _several(hyperparameter: Hyperparameter) -> bool:
    return isinstance(hyperparameter.value, sp.Tuple)


def _periods(orbits: Array, closeness: Array) -> NDArray[np.int64]:
    """Return the smallest period of each orbit, shape (rows, iterates, d), up to half its length; 0: none."""
    found = np.zeros(len(orbits), dtype=np.int64)
    for period in range(orbits.shape[1] // 2, 0, -1):
        gap = np.abs(orbits[:, period:] - orbits[:, :-period]).max(axis=(1, 2))
        found[gap <= closeness] = period
    return found


def _step_derivative(problem: Problem, optimizer: Optimizer) -> Callable[[Array, Array], Array]:
    """Return the derivative of the step by the state: states (..., m), learning rates (...) → (..., m, m).

    The step is s' = F(s, ∇L(a(s))), so that its derivative is ∂F/∂s + ∂F/∂g · ∇²L · ∂a/∂s.
    """
    loss, dynamics = numeric_loss(problem), make_dynamics(problem, optimizer)
    state, gradient = dynamics.state, dynamics.batch_gradient
    given = {h.symbol: h.value for h in optimizer.hyperparameters if not _several(h)}
    at, step = (sp.Matrix(rows).xreplace(given) for rows in (dynamics.gradient_at, dynamics.step))
    inputs = (*state, symbols.lr)

    def compiled(matrix: sp.Matrix, inputs: tuple[sp.Symbol, ...]) -> Callable[[ArrayLike], Array]:
        return vectorised(lambda: list(matrix), inputs, matrix.shape)

    where, lead = compiled(at, inputs), compiled(at.jacobian(state), inputs)
    own, push = (compiled(step.jacobian(by), (*inputs, *gradient)) for by in (state, gradient))

    def derivative(states: Array, rates: Array) -> Array:
        known = np.concatenate([states, rates[..., np.newaxis]], axis=-1)
        points = where(known)[..., 0]
        pulled = np.concatenate([known, loss.gradient(points)], axis=-1)
        return np.asarray(own(pulled) + push(pulled) @ loss.hessian(points) @ lead(known))

    return derivative


def _stability(derivatives: Array, periods: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return multipliers and Lyapunov exponents of orbits from the derivatives along them, (rows, iterates, m, m)."""
    multiplier = np.full(len(periods), np.nan)
    for row in np.flatnonzero(periods > 0):
        multiplier[row] = _leading(derivatives[row, -periods[row] :])
    lyapunov = np.log(np.abs(multiplier)) / np.maximum(periods, 1)
    lyapunov[periods == 0] = _growth(derivatives[periods == 0])
    return multiplier, lyapunov


def _leading(derivatives: Array) -> float:
    """Return the eigenvalue of largest modulus of the product of one period's derivatives, NaN if not finite."""
    product = np.eye(derivatives.shape[-1])
    for derivative in derivatives:
        product = derivative @ product
    if not np.isfinite(product).all():
        return np.nan
    values = np.linalg.eigvals(product)
    leading = values[np.abs(values).argmax()]
    return float(leading.real if abs(leading.imag) <= _REAL * abs(leading) else abs(leading))


def _growth(derivatives: Array) -> Array:
    """Return the largest Lyapunov exponent of products of matrices, (rows, n, m, m) → (rows,), by QR factors."""
    frame = np.broadcast_to(np.eye(derivatives.shape[-1]), (len(derivatives), *derivatives.shape[-2:]))
    logs = np.zeros(derivatives.shape[:1] + derivatives.shape[-1:])
    for step in range(derivatives.shape[1]):
        frame, r = np.linalg.qr(derivatives[:, step] @ frame)
        logs += np.log(np.abs(np.diagonal(r, axis1=1, axis2=2)))
    return np.asarray(logs.max(axis=-1) / derivatives.shape[1])
