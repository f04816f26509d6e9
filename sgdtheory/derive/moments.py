"""Moments of linear stochastic steps: the covariance after one step and in the long run, in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.dynamics import make_dynamics, mean_step, with_symbols
from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.laws import Number
from sgdtheory.optimizers import Optimizer, check_constant
from sgdtheory.problem import Problem


def quadratic_mean(
    expression: sp.Expr, variables: Sequence[sp.Symbol], covariance: sp.Matrix, mean: sp.Matrix | None = None
) -> sp.Expr:
    """Return the exact expectation of a polynomial of degree ≤ 2, E p(x) = p(m) + ½ tr(∇²p · C).

    Only the mean and the covariance of x enter, so this holds for every law.

    Parameters
    ----------
    expression : expression
        p.
    variables : sequence of d Symbols
        x.
    covariance : Matrix, shape (d, d)
        C.
    mean : Matrix, shape (d, 1), optional
        m, zero by default.

    Returns
    -------
    Expr

    Raises
    ------
    NoClosedFormError
        If p is no polynomial of degree ≤ 2 in x.

    Examples
    --------
    >>> x, s = sp.symbols("x s")
    >>> quadratic_mean((3 + x) ** 2, [x], sp.Matrix([[s]]))
    s + 9
    """
    centre = sp.zeros(len(variables), 1) if mean is None else mean
    if not expression.is_polynomial(*variables) or sp.Poly(expression, *variables).total_degree() > 2:
        names = ", ".join(s.name for s in variables)
        raise NoClosedFormError(f"two moments do not give the mean of {expression}: it is not quadratic in {names}")
    at_mean = expression.subs(dict(zip(variables, centre, strict=True)), simultaneous=True)
    return at_mean + (sp.hessian(expression, variables) * covariance).trace() / 2


def covariance_step(
    problem: Problem, optimizer: Optimizer, batch_size: Number, covariance: sp.Matrix
) -> sp.ImmutableMatrix:
    """Return the covariance of the state one step later, S' = A S Aᵀ + E C(s), for a linear mean step s ↦ A s + b.

    The state is that of ``make_dynamics(problem, optimizer)``; its mean is taken at the fixed point of the mean step.
    The noise covariance C may be quadratic in the state, as it is for linear regression.

    Parameters
    ----------
    problem : Problem
        With quadratic population loss.
    optimizer : Optimizer
    batch_size : number or Symbol
        B.
    covariance : Matrix, shape (m, m)
        S, before the step.

    Returns
    -------
    ImmutableMatrix, shape (m, m)

    Raises
    ------
    NoClosedFormError
        If the mean step is not linear or has no single fixed point, if C is not quadratic in the state, or if batches
        depend on each other because an epoch shows every example once.

    Examples
    --------
    >>> from sgdtheory import SGD, scalar_mean
    >>> covariance_step(scalar_mean(), SGD(), 1, sp.zeros(1))
    Matrix([[eta**2*sigma**2]])
    """
    if problem.data.sampling in ("reshuffle", "one epoch"):
        raise NoClosedFormError(f"batches of one epoch depend on each other: sampling is {problem.data.sampling!r}")
    state = make_dynamics(problem, optimizer).state
    step, noise = mean_step(problem, optimizer, batch_size)
    matrix = step.jacobian(state).expand()
    if matrix.has(*state):
        raise NoClosedFormError(f"the mean step of {optimizer} on {problem.name} is not linear: moments do not close")
    fixed = sp.linsolve(list(step - sp.Matrix(state)), *state)
    if not fixed or any(entry.has(*state) for entry in next(iter(fixed))):
        raise NoClosedFormError(f"the mean step of {optimizer} on {problem.name} has no single fixed point")
    mean = sp.Matrix(next(iter(fixed)))
    fresh = noise.applyfunc(lambda entry: quadratic_mean(entry, state, covariance, mean))
    return sp.ImmutableMatrix(matrix * covariance * matrix.T + fresh)


def stationary_covariance(problem: Problem, optimizer: Optimizer, batch_size: Number) -> sp.ImmutableMatrix:
    """Return the covariance that a step leaves unchanged: the solution of the discrete Lyapunov equation.

    S = A S Aᵀ + E C(s). It is the covariance of the long run if the step is stable in mean square; where A and C are
    numbers this is checked, where they hold symbols it is the reader's assumption.

    Parameters
    ----------
    problem : Problem
        With quadratic population loss.
    optimizer : Optimizer
    batch_size : number or Symbol
        B.

    Returns
    -------
    ImmutableMatrix, shape (m, m)
        Of the state of ``make_dynamics(problem, optimizer)``: coordinates, then buffers.

    Raises
    ------
    ArgumentError
        If the step is not stable in mean square, or changes with a schedule.
    NoClosedFormError
        As `covariance_step`.

    Examples
    --------
    >>> from sgdtheory import SGD, quadratic
    >>> B = sp.Symbol("B", positive=True)
    >>> stationary_covariance(quadratic(), SGD(), B)
    Matrix([[-eta*sigma**2/(B*h*(eta*h - 2))]])
    """
    check_constant(optimizer, "nothing is stationary while it changes")
    size = len(make_dynamics(problem, optimizer).state)
    entries = {(i, j): sp.Dummy(f"S{i}{j}") for i in range(size) for j in range(i, size)}
    covariance = sp.Matrix(size, size, lambda i, j: entries[min(i, j), max(i, j)])
    unknown = list(entries.values())
    after = covariance_step(problem, optimizer, batch_size, covariance)
    # the entries of S' are linear·(entries of S) − constant
    linear, constant = sp.linear_eq_to_matrix([after[place] for place in entries], unknown)
    if not linear.free_symbols and np.abs(np.linalg.eigvals(np.array(linear, dtype=float))).max() >= 1:
        allowed = f"a step that is stable in mean square on {problem.name}"
        raise ArgumentError("optimizer", optimizer, allowed, "lower the learning rate")
    (solution,) = sp.linsolve((sp.eye(len(unknown)) - linear, -constant), *unknown)
    return sp.ImmutableMatrix(covariance.xreplace(dict(zip(unknown, solution, strict=True))).applyfunc(sp.factor))


def stationary_variance(optimizer: Optimizer, batch_size: Number = symbols.batch_size) -> sp.Expr:
    """Return the long-run variance of the parameter on the quadratic ½hw² with gradient noise σ², in h and σ.

    Parameters
    ----------
    optimizer : Optimizer
        Stable on this quadratic (see `sgdtheory.derive.stability.stability_limit`).
    batch_size : number or Symbol
        B.

    Returns
    -------
    Expr
        In units of the parameter squared.

    Raises
    ------
    ArgumentError
        For a schedule.

    Examples
    --------
    >>> from sgdtheory import SGD
    >>> stationary_variance(SGD(lr=sp.Rational(1, 2)), batch_size=4)
    -sigma**2/(4*h*(h - 4))
    """
    check_constant(optimizer, "nothing is stationary while it changes")
    variance = stationary_covariance(quadratic(), with_symbols(optimizer), batch_size)[0, 0]
    return sp.factor(variance.xreplace(optimizer.values))
