"""Single paths: the noise-free flow, one run of an optimizer step by step, and long-run orbits without noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory import symbols
from sgdtheory.dynamics import make_dynamics
from sgdtheory.errors import ArgumentError
from sgdtheory.laws import Number
from sgdtheory.measure.loss import NumericLoss, _vectorised, numeric_loss
from sgdtheory.optimizers import SGD, Hyperparameter, Optimizer
from sgdtheory.problem import Problem
from sgdtheory.simulation.arguments import ADDRESSES, Init, whole
from sgdtheory.simulation.ensemble import simulate
from sgdtheory.simulation.grid import Several
from sgdtheory.simulation.provenance import RandomState, versions

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

_IMPLICIT, _EXPLICIT = ("LSODA", "Radau", "BDF"), ("RK45", "RK23", "DOP853")
_REAL = 1e-7
"""Rounding splits a double real eigenvalue into a pair whose imaginary part is √(machine precision) of its modulus."""


def gradient_flow(
    problem: Problem,
    start: ArrayLike,
    times: ArrayLike,
    *,
    method: str = "LSODA",
    rtol: float = 1e-9,
    atol: float = 1e-12,
    max_evaluations: int = 1_000_000,
) -> xr.Dataset:
    """Follow the gradient flow of the population loss, dw/dt = −∇L(w), w(0) = start.

    Time is in units of learning rate × steps: the flow is the limit η → 0 of gradient descent at t = ηk.

    Parameters
    ----------
    problem : Problem
        Every parameter bound, a population loss in closed form and smooth where the flow goes.
    start : array_like, shape (n, d), or (d,) for one start; for d = 1 also a number or (n,)
        Where the flow is at time 0. Starts are solved one by one: none depends on the others.
    times : array_like, shape (T,)
        Increasing, ≥ 0.
    method : {"LSODA", "Radau", "BDF", "RK45", "RK23", "DOP853"}
        Solver of `scipy.integrate`; the first three take stiff losses and are given the Hessian.
    rtol, atol : float
        Error allowed a solver's step, relative and absolute, > 0.
    max_evaluations : int
        Gradients after which a flow is given up.

    Returns
    -------
    xarray.Dataset
        ``w`` (start, time, coordinate) and ``loss`` (start, time), NaN after ``reached`` (start): the time up to which
        the solver came, before the last of `times` where the flow leaves every bound in finite time, meets a kink, or
        took too many evaluations. Attributes: solver, tolerances, evaluations, convention, versions.

    Raises
    ------
    ArgumentError
        For a parameter without a value, a start where the gradient is not finite, times that are not increasing.
    NoClosedFormError
        If the population loss has no closed form.

    Examples
    --------
    >>> from sgdtheory import landscape
    >>> flow = gradient_flow(landscape("w**4", ["w"]), [1.0, 2.0], [0.0, 1.0, 10.0])
    >>> flow.w.values[0, :, 0].round(6), ((1 + 8 * flow.time.values) ** -0.5).round(6)
    (array([1. , 0.333333, 0.111111]), array([1. , 0.333333, 0.111111]))
    """
    points = _starts(start, problem.dimension)
    moments = _times(times)
    if method not in (*_IMPLICIT, *_EXPLICIT):
        raise ArgumentError("method", method, " | ".join((*_IMPLICIT, *_EXPLICIT)))
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        _positive(name, tolerance)
    whole("max_evaluations", max_evaluations, 1, ADDRESSES)
    loss = numeric_loss(problem)
    with np.errstate(all="ignore"):  # where the loss or its gradient overflows, the flow ends, and says so
        if not np.isfinite(loss.gradient(points)).all():
            raise ArgumentError("start", start, "points where the gradient of the loss is finite")
        solvers = [_solver(loss, point, moments[-1], method, rtol, atol) for point in points]
        paths = np.array([_follow(solver, moments, max_evaluations) for solver in solvers])
        values = loss.value(paths)
    import scipy
    import xarray as xr

    return xr.Dataset(
        {
            "w": (("start", "time", "coordinate"), paths),
            "loss": (("start", "time"), values),
            "reached": (("start",), [solver.t for solver in solvers]),
        },
        {"start": np.arange(len(points)), "time": moments, "coordinate": [w.name for w in problem.coordinates]},
        {
            "problem": problem.name,
            "population_loss": str(problem.loss),
            "loss_convention": problem.convention,
            "parameters": ", ".join(f"{s}={v}" for s, v in problem.parameters) or "none",
            "solver": f"scipy.integrate.{method}",
            "rtol": float(rtol),
            "atol": float(atol),
            "evaluations": sum(solver.nfev for solver in solvers),
            "versions": f"{versions()}, scipy {scipy.__version__}",
        },
    )


def trajectory(
    problem: Problem,
    optimizer: Optimizer,
    *,
    steps: int,
    start: Init,
    batch_size: int | Several | None = None,
    parameters: Mapping[str, Number | Several] | None = None,
    observables: Mapping[str, sp.Expr] | None = None,
    rng: RandomState = None,
) -> xr.Dataset:
    """Run once, with every step recorded: replica 0 of `simulate` with the same arguments, without that dimension.

    Parameters
    ----------
    problem, optimizer, steps, batch_size, parameters, observables, rng
        As of `simulate`; sweeps are dimensions of the result here too.
    start : number, law, or sequence of d numbers or laws
        Where the run starts (``init`` of `simulate`).

    Returns
    -------
    xarray.Dataset
        ``w`` (step, coordinate), ``memory`` (step, buffer) if the optimizer has buffers, ``diverged_at``, one variable
        (step) an observable.

    Raises
    ------
    ArgumentError
        As `simulate` does.

    Examples
    --------
    >>> from sgdtheory import SGD, landscape
    >>> path = trajectory(landscape("w**2/2", ["w"]), SGD(lr=0.5), steps=3, start=1)
    >>> path.w.values[:, 0]
    array([1. , 0.5 , 0.25 , 0.125])
    """
    run = simulate(
        problem, optimizer, steps=steps, init=start, batch_size=batch_size, parameters=parameters,
        record_memory=bool(optimizer.memory), observables=observables, rng=rng,
    )  # fmt: skip
    return run.isel(replica=0, drop=True)


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
        ``w`` (lr, start, iterate, coordinate): the last `keep` iterates. ``period`` (lr, start): 1 is a fixed point; 0:
        none was found (chaos, a period beyond keep/2, an orbit that still drifts); −1: diverged; −2: interrupted. ``multiplier``: the
        eigenvalue of largest modulus of the derivative of one period (1-D: the product of f′ over it), attracting
        below modulus 1; of a complex pair the modulus; NaN without a period. ``lyapunov``: the largest Lyapunov
        exponent a step, ln|multiplier|/period, or without a period that of the kept iterates, which has a bias of
        order 1/keep. ``init`` (start, coordinate): the starts.

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
    points = _starts(start, problem.dimension)
    whole("transient", transient, 0, ADDRESSES // 2)
    whole("keep", keep, 2, ADDRESSES // 2)
    _positive("tolerance", tolerance)
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
    return result.assign_attrs(transient=transient, keep=keep, tolerance=float(tolerance))


def _starts(start: ArrayLike, dimension: int) -> Array:
    """Return the starts as points, shape (n, d)."""
    points = np.asarray(start)
    if points.ndim < 2:
        points = points.reshape((-1, 1) if dimension == 1 else (1, -1))
    if points.ndim != 2 or points.shape[1] != dimension or len(points) == 0 or points.dtype.kind not in "iuf":
        shown = start if np.ndim(start) == 0 else f"shape {np.shape(start)} of {points.dtype}"
        raise ArgumentError("start", shown, f"numbers of shape (n, {dimension}) = (starts, coordinates)")
    if not np.isfinite(points).all():
        raise ArgumentError("start", "an array with NaN or infinity", "finite starting points")
    return points.astype(np.float64)


def _times(times: ArrayLike) -> Array:
    moments = np.asarray(times)
    fine = moments.ndim == 1 and moments.size > 0 and moments.dtype.kind in "iuf" and np.isfinite(moments).all()
    if not fine or moments[0] < 0 or np.any(np.diff(moments) <= 0):
        raise ArgumentError("times", times, "a list of increasing, finite times >= 0", "the flow starts at time 0")
    return moments.astype(np.float64)


def _positive(argument: str, value: float) -> None:
    numeric = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not numeric or not 0 < value < np.inf:
        raise ArgumentError(argument, value, "a number > 0")


def _solver(loss: NumericLoss, point: Array, end: float, method: str, rtol: float, atol: float) -> Any:
    """Return a solver of scipy's at the start of the flow from one point."""
    from scipy import integrate

    stiff = {"jac": lambda _, w: -loss.hessian(w)} if method in _IMPLICIT else {}
    return getattr(integrate, method)(lambda _, w: -loss.gradient(w), 0.0, point, end, rtol=rtol, atol=atol, **stiff)


def _follow(solver: Any, times: Array, max_evaluations: int) -> Array:
    """Return the solution at some times, NaN where the solver did not come.

    This is the loop of `scipy.integrate.solve_ivp`, which does not end where LSODA's steps become too small for the
    time to grow (a flow that leaves every bound in finite time).
    """
    path = np.full((len(times), solver.n), np.nan)
    path[times == 0] = solver.y
    while solver.status == "running" and solver.nfev < max_evaluations:
        try:
            solver.step()
        except ValueError:  # a Hessian that is not finite cannot be inverted
            break
        if solver.status == "failed" or solver.t == solver.t_old or not np.isfinite(solver.y).all():
            break
        passed = (times > solver.t_old) & (times <= solver.t)
        if passed.any():
            path[passed] = solver.dense_output()(times[passed]).T
    return path


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
        return _vectorised(list(matrix), inputs, matrix.shape)

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
