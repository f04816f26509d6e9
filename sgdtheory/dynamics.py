"""Dynamics, the waist: one stochastic step as a value, from which derivations and simulators both come."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.laws import Data, Number
from sgdtheory.optimizers import Optimizer, Update
from sgdtheory.problem import Problem, check_problem
from sgdtheory.symbols import step as step_number


@dataclass(frozen=True)
class Dynamics:
    """One step of an optimizer on a problem.

    A step takes the gradient at `gradient_at`, averages `example_gradient` over a batch drawn from `data`, calls the
    averages `batch_gradient`, and sets the state to `step`. Expressions refer to values before the step.

    Parameters
    ----------
    coordinates : tuple of d Symbols
    memory : tuple of Symbols
        Optimizer buffers, those of the first coordinate first; the state is coordinates + memory.
    gradient_at : tuple of d expressions
        In the state.
    example_gradient : tuple of d expressions
        In the coordinates and the data symbols.
    data : Fresh or Dataset
    batch_gradient : tuple of d Symbols
    step : tuple of expressions
        Next state, in the state and `batch_gradient`.
    parameters : tuple of (Symbol, value or None)
        Every further symbol; None where no number was given; an expression in the step's number t for a schedule.
    injected : tuple of Symbols
        Standard normal numbers the optimizer draws itself, one a coordinate, or none.

    Examples
    --------
    >>> from sgdtheory import SGD, scalar_mean
    >>> make_dynamics(scalar_mean(), SGD(lr=0.1)).unbound
    ('sigma',)
    """

    coordinates: tuple[sp.Symbol, ...]
    memory: tuple[sp.Symbol, ...]
    gradient_at: tuple[sp.Expr, ...]
    example_gradient: tuple[sp.Expr, ...]
    data: Data
    batch_gradient: tuple[sp.Symbol, ...]
    step: tuple[sp.Expr, ...]
    parameters: tuple[tuple[sp.Symbol, sp.Expr | None], ...]
    injected: tuple[sp.Symbol, ...] = ()

    @property
    def state(self) -> tuple[sp.Symbol, ...]:
        """Coordinates, then memory."""
        return self.coordinates + self.memory

    @property
    def unbound(self) -> tuple[str, ...]:
        """Names of parameters without a value."""
        return tuple(symbol.name for symbol, value in self.parameters if value is None)


def make_dynamics(problem: Problem, optimizer: Optimizer) -> Dynamics:
    """Join a problem and an optimizer into one step.

    Parameters
    ----------
    problem : Problem
    optimizer : Optimizer

    Returns
    -------
    Dynamics

    Raises
    ------
    ArgumentError
        If a symbol means one thing in the problem and another in the optimizer.

    Examples
    --------
    >>> from sgdtheory import Momentum, landscape
    >>> dynamics = make_dynamics(landscape("w**2/2", ["w"]), Momentum())
    >>> dynamics.state, dynamics.step
    ((w, v[w]), (-eta*g[w] - mu*v[w] + w, eta*g[w] + mu*v[w]))
    """
    check_kinds(problem, optimizer)
    coordinates = problem.coordinates
    symbolic = with_symbols(optimizer)
    gradients = tuple(sp.Symbol(f"g[{w.name}]", real=True) for w in coordinates)
    buffers = tuple(tuple(sp.Symbol(f"{m.name}[{w.name}]", real=True) for m in optimizer.buffers) for w in coordinates)
    updates = [symbolic.update(g, w, m) for g, w, m in zip(gradients, coordinates, buffers, strict=True)]
    memory = tuple(symbol for row in buffers for symbol in row)
    used = {*coordinates, *problem.data.symbols, *(s for s, _ in problem.parameters), *problem.free_parameters}
    clash = {s.name for s in used} & {s.name for s in symbolic.values}
    if clash:
        raise ArgumentError("problem", f"symbols {sorted(clash)}", "names the optimizer does not use", "rename them")
    injected = tuple(sp.Symbol(f"{optimizer.noise.name}[{w.name}]", real=True) for w in coordinates if optimizer.noise)
    if optimizer.noise:
        updates = [_with_noise(u, optimizer.noise, own) for u, own in zip(updates, injected, strict=True)]
    hyper = tuple((h.symbol, h.value if not h.keyword or _is_set(h.value) else None) for h in optimizer.hyperparameters)
    return Dynamics(
        coordinates=coordinates,
        memory=memory,
        gradient_at=tuple(symbolic.lookahead(w, m) for w, m in zip(coordinates, buffers, strict=True)),
        example_gradient=tuple(problem.example_gradient),
        data=problem.data,
        batch_gradient=gradients,
        step=tuple(u.position for u in updates) + tuple(m for u in updates for m in u.memory),
        parameters=hyper + problem.parameters + tuple((s, None) for s in problem.free_parameters),
        injected=injected,
    )


def check_kinds(problem: object, optimizer: object) -> None:
    """Refuse what is no problem or no optimizer, such as a rule that was not called."""
    check_problem(problem)
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError("optimizer", optimizer, "an Optimizer", "call it: SGD(lr=0.1)")


def mean_step(problem: Problem, optimizer: Optimizer, batch_size: Number) -> tuple[sp.Matrix, sp.Matrix]:
    """Return the mean of the next state given the state, and its covariance, for one batch.

    Parameters
    ----------
    problem : Problem
        With closed-form gradient and gradient noise.
    optimizer : Optimizer
        Affine in the gradient; its own noise is counted too.
    batch_size : number or Symbol

    Returns
    -------
    mean : Matrix, shape (m, 1)
        In the state of ``make_dynamics(problem, optimizer)`` and the hyperparameter values.
    covariance : Matrix, shape (m, m)

    Raises
    ------
    NoClosedFormError
        If the rule is not affine in the gradient.

    Examples
    --------
    >>> from sgdtheory import landscape
    >>> from sgdtheory.optimizers import Langevin
    >>> mean_step(landscape("w**2/2", ["w"]), Langevin(), 1)
    (Matrix([[-eta*w + w]]), Matrix([[2*T*eta]]))
    """
    dynamics = make_dynamics(problem, optimizer)
    at = dict(zip(problem.coordinates, dynamics.gradient_at, strict=True))
    step = sp.Matrix(dynamics.step)
    push, kick = (_slopes(step, inputs) for inputs in (dynamics.batch_gradient, dynamics.injected))
    if push.has(*dynamics.batch_gradient):
        raise NoClosedFormError(f"the step of {optimizer} is not affine in the gradient: its mean needs the whole law")
    mean_gradient = dict(zip(dynamics.batch_gradient, problem.gradient.xreplace(at), strict=True))
    mean_gradient |= dict.fromkeys(dynamics.injected, sp.S.Zero)
    noise = sp.Matrix(problem.batch_noise(batch_size)).xreplace(at)
    moments = step.xreplace(mean_gradient), push * noise * push.T + kick * kick.T
    hyper, bound = optimizer.values, dict(problem.parameters)
    return tuple(m.xreplace(hyper).xreplace(bound) for m in moments)


def _slopes(step: sp.Matrix, inputs: tuple[sp.Symbol, ...]) -> sp.Matrix:
    return sp.Matrix(step.rows, len(inputs), lambda i, j: sp.diff(step[i], inputs[j]))


def _with_noise(update: Update, noise: sp.Symbol, own: sp.Symbol) -> Update:
    """Give a coordinate its own draw of the optimizer's noise."""
    position, displacement, *memory = (e.xreplace({noise: own}) for e in (*update[:2], *update.memory))
    return Update(position, displacement, tuple(memory))


def _is_set(value: sp.Expr | sp.Tuple) -> bool:
    """Whether a hyperparameter is a number, a sweep of numbers or a schedule in the step's number."""
    return isinstance(value, sp.Tuple) or value.free_symbols <= {step_number}


def with_symbols(optimizer: Optimizer) -> Optimizer:
    """Return the rule with its hyperparameters as symbols, so that one kernel or formula serves all values."""
    return replace(optimizer, hyperparameters=tuple(replace(h, value=h.symbol) for h in optimizer.hyperparameters))
