"""Single paths: the noise-free flow of the gradient, and one run of an optimizer step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.laws import Number
from sgdtheory.measure.loss import NumericLoss, numeric_loss
from sgdtheory.optimizers import Optimizer
from sgdtheory.problem import Problem
from sgdtheory.simulation.arguments import ADDRESSES, Init, whole
from sgdtheory.simulation.ensemble import simulate
from sgdtheory.simulation.grid import Several
from sgdtheory.simulation.provenance import RandomState, versions

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

_IMPLICIT, _EXPLICIT = ("LSODA", "Radau", "BDF"), ("RK45", "RK23", "DOP853")


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
    points = starts(start, problem)
    moments = _times(times)
    if method not in (*_IMPLICIT, *_EXPLICIT):
        raise ArgumentError("method", method, " | ".join((*_IMPLICIT, *_EXPLICIT)))
    rtol, atol = positive("rtol", rtol), positive("atol", atol)
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
            "rtol": rtol,
            "atol": atol,
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


def starts(start: ArrayLike, problem: Problem) -> Array:
    """Return starting points, shape (n, d)."""
    if not isinstance(problem, Problem):
        raise ArgumentError("problem", problem, "a Problem", "write landscape(...) or Problem(...)")
    d, points = problem.dimension, _reals(start)
    if points.ndim < 2:
        points = points.reshape((-1, 1) if d == 1 else (1, -1))
    if points.ndim != 2 or points.shape[1] != d or len(points) == 0 or not np.isfinite(points).all():
        raise ArgumentError("start", start, f"finite numbers of shape (n, {d}) = (starts, coordinates)")
    return points


def positive(argument: str, value: float) -> float:
    """Return a finite number > 0."""
    numeric = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not numeric or not 0 < value < np.inf:
        raise ArgumentError(argument, value, "a number > 0")
    return float(value)


def _times(times: ArrayLike) -> Array:
    moments = _reals(times)
    fine = moments.ndim == 1 and moments.size > 0 and np.isfinite(moments).all()
    if not fine or moments[0] < 0 or np.any(np.diff(moments) <= 0):
        raise ArgumentError("times", times, "a list of increasing, finite times >= 0", "the flow starts at time 0")
    return moments


def _reals(value: ArrayLike) -> Array:
    """Return an array of real numbers; what is none becomes NaN."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        return np.array(np.nan)
    return array.astype(np.float64) if array.dtype.kind in "iuf" else np.array(np.nan)


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
