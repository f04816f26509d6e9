"""Update rules as data: what one coordinate does with its gradient, written once.

The same value is printed into simulators, expanded in derivations and shown in tables. A rule says where the gradient
is taken (`gradient_at`), what the buffers become (`memory`) and where the parameter goes (`position`), all in the
symbols θ, g, v of the glossary and the values *before* the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import sympy as sp

from sgdtheory import symbols
from sgdtheory.errors import ArgumentError
from sgdtheory.expressions import as_scalar, check_expression
from sgdtheory.laws import Number
from sgdtheory.sources import MCALLESTER_2018, POLYAK_1964, ROBBINS_MONRO_1951, SUTSKEVER_2013, Source

θ, g, v, η, μ = symbols.theta, symbols.gradient, symbols.velocity, symbols.lr, symbols.momentum


class Update(NamedTuple):
    """One coordinate's step: new position, its displacement, new buffers."""

    position: sp.Expr
    displacement: sp.Expr
    memory: tuple[sp.Expr, ...]


@dataclass(frozen=True)
class Hyperparameter:
    """A named number of an optimizer, the symbol it has in the rule, and where it may lie."""

    keyword: str
    symbol: sp.Symbol
    value: sp.Expr
    domain: sp.Set


@dataclass(frozen=True)
class Optimizer:
    """An update rule for one coordinate; every coordinate follows it.

    Parameters
    ----------
    name : str
    position : expression
        θ' in θ, g, the buffers and the hyperparameter symbols.
    memory : tuple of (Symbol, expression)
        Each buffer and what it becomes. Buffers start at 0.
    gradient_at : expression
        The point the gradient is taken at, in θ and the buffers.
    hyperparameters : tuple of Hyperparameter
    source : Source

    Examples
    --------
    >>> from sgdtheory import Momentum
    >>> rule = Momentum(lr=0.1)
    >>> rule.buffers, rule.gradient_at, rule.position
    ((v,), theta, -eta*g - mu*v + theta)
    """

    name: str
    position: sp.Expr
    memory: tuple[tuple[sp.Symbol, sp.Expr], ...]
    gradient_at: sp.Expr
    hyperparameters: tuple[Hyperparameter, ...]
    source: Source

    @property
    def buffers(self) -> tuple[sp.Symbol, ...]:
        """The memory symbols."""
        return tuple(symbol for symbol, _ in self.memory)

    @property
    def values(self) -> dict[sp.Symbol, sp.Expr]:
        """Hyperparameter symbol → its value (the symbol itself where none was given)."""
        return {h.symbol: h.value for h in self.hyperparameters}

    def update(self, gradient: Number, theta: Number = θ, memory: Sequence[Number] | None = None) -> Update:
        """Apply the rule to one coordinate.

        Parameters
        ----------
        gradient : expression or number
            The gradient, already taken where `gradient_at` says.
        theta : expression or number
        memory : sequence, optional
            Buffers before the step; their symbols by default.

        Examples
        --------
        >>> G = sp.Symbol("G", real=True)
        >>> SGD().update(G).displacement
        -G*eta
        """
        now = {g: as_scalar(gradient, "gradient"), θ: as_scalar(theta, "theta")}
        state = self.values | now | self._buffers(memory)
        position = self.position.xreplace(state)
        return Update(position, sp.expand(position - state[θ]), tuple(m.xreplace(state) for _, m in self.memory))

    def lookahead(self, theta: Number, memory: Sequence[Number] | None = None) -> sp.Expr:
        """Return the point at which the gradient is taken."""
        return self.gradient_at.xreplace(self.values | {θ: as_scalar(theta, "theta")} | self._buffers(memory))

    def step(
        self,
        theta: Sequence[Number],
        memory: Sequence[Sequence[Number]],
        gradient: Callable[[list[sp.Expr]], Sequence[Number]],
    ) -> tuple[list[sp.Expr], list[list[sp.Expr]]]:
        """Move all coordinates once along a gradient field.

        Parameters
        ----------
        theta : sequence of d expressions
        memory : sequence of d sequences
            Buffers of each coordinate.
        gradient : callable
            Field: d expressions in, d expressions out.

        Returns
        -------
        theta, memory
            After the step.
        """
        if len(memory) != len(theta):
            raise ArgumentError("memory", f"buffers of {len(memory)} coordinates", f"those of {len(theta)}")
        field = gradient([self.lookahead(t, m) for t, m in zip(theta, memory, strict=True)])
        if len(field) != len(theta):
            raise ArgumentError("gradient", f"a field with {len(field)} components", f"{len(theta)} components")
        updates = [self.update(f, t, m) for f, t, m in zip(field, theta, memory, strict=True)]
        return [u.position for u in updates], [list(u.memory) for u in updates]

    def _buffers(self, memory: Sequence[Number] | None) -> dict[sp.Symbol, sp.Expr]:
        given = self.buffers if memory is None else tuple(as_scalar(m, "memory") for m in memory)
        if len(given) != len(self.buffers):
            raise ArgumentError("memory", f"{len(given)} values", f"one for each of the buffers {self.buffers}")
        return dict(zip(self.buffers, given, strict=True))

    def __repr__(self) -> str:
        values = (f"{h.keyword}={sp.sstr(h.value, full_prec=False)}" for h in self.hyperparameters)
        return f"{self.name}({', '.join(values)})"


_POSITIVE = sp.Interval.open(0, sp.oo)
_BELOW_ONE = sp.Interval.Ropen(0, 1)


def SGD(lr: Number = η) -> Optimizer:
    """Stochastic gradient descent, θ' = θ − η ĝ.

    Parameters
    ----------
    lr : number or Symbol
        Learning rate η > 0. On a quadratic of curvature h it is stable for ηh < 2.

    Examples
    --------
    >>> SGD(lr=0.1)
    SGD(lr=0.1)
    """
    return _build("SGD", θ - η * g, {}, θ, {"lr": lr}, ROBBINS_MONRO_1951)


def Momentum(lr: Number = η, momentum: Number = μ) -> Optimizer:
    """Heavy ball in the standard parametrisation, v' = μv + ηĝ, θ' = θ − v'.

    Parameters
    ----------
    lr : number or Symbol
        η > 0, multiplying each gradient as it enters the buffer; stable for ηh < 2(1 + μ).
    momentum : number or Symbol
        0 ≤ μ < 1.

    Examples
    --------
    >>> Momentum().update(g).memory
    (eta*g + mu*v,)
    """
    velocity = μ * v + η * g
    return _build("Momentum", θ - velocity, {v: velocity}, θ, {"lr": lr, "momentum": momentum}, POLYAK_1964)


def EMAMomentum(lr: Number = η, momentum: Number = μ) -> Optimizer:
    """Heavy ball as gradient estimation, v' = μv + (1 − μ)ĝ, θ' = θ − ηv'.

    The lectures' "nonstandard" parametrisation: v is a running average of ĝ. For constant η and μ it makes the same
    sequence θ as `Momentum` with learning rate η(1 − μ).

    Parameters
    ----------
    lr : number or Symbol
        η > 0, multiplying the average; stable for ηh < 2(1 + μ)/(1 − μ).
    momentum : number or Symbol
        0 ≤ μ < 1.

    Examples
    --------
    >>> EMAMomentum().update(g).memory
    (g*(1 - mu) + mu*v,)
    """
    average = μ * v + (1 - μ) * g
    source = MCALLESTER_2018.where("slide Momentum (Nonstandard Parameterization)")
    return _build("EMAMomentum", θ - η * average, {v: average}, θ, {"lr": lr, "momentum": momentum}, source)


def Nesterov(lr: Number = η, momentum: Number = μ) -> Optimizer:
    """Nesterov momentum, gradient at the look-ahead: v' = μv + ηĝ(θ − μv), θ' = θ − v'.

    Standard parametrisation. The lectures' averaged form is this with learning rate η(1 − μ); PyTorch's
    ``nesterov=True`` makes the look-ahead points θ − μv of this sequence.

    Parameters
    ----------
    lr : number or Symbol
        η > 0; stable for ηh < 2(1 + μ)/(1 + 2μ).
    momentum : number or Symbol
        0 ≤ μ < 1.

    Examples
    --------
    >>> Nesterov().lookahead(θ)
    -mu*v + theta
    """
    velocity = μ * v + η * g
    return _build("Nesterov", θ - velocity, {v: velocity}, θ - μ * v, {"lr": lr, "momentum": momentum}, SUTSKEVER_2013)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "ema-momentum": EMAMomentum,
    "nesterov": Nesterov,
}
"""Every optimizer by the name the command line uses."""

_DOMAINS = {"lr": (η, _POSITIVE), "momentum": (μ, _BELOW_ONE)}


def _build(
    name: str,
    position: sp.Expr,
    memory: Mapping[sp.Symbol, sp.Expr],
    gradient_at: sp.Expr,
    values: Mapping[str, Number],
    source: Source,
) -> Optimizer:
    hyperparameters = tuple(
        Hyperparameter(k, _DOMAINS[k][0], _checked(k, x), _DOMAINS[k][1]) for k, x in values.items()
    )
    return Optimizer(name, position, tuple(memory.items()), gradient_at, hyperparameters, source)


def _checked(keyword: str, value: Number) -> sp.Expr:
    domain = _DOMAINS[keyword][1]
    if isinstance(value, (list, tuple, np.ndarray)):
        raise ArgumentError(keyword, value, f"one number in {domain}", "sweep by calling simulate for each value")
    number = check_expression(value, None, keyword)
    inside = domain.contains(number)
    if inside == sp.false or (number.is_number and inside != sp.true):
        raise ArgumentError(keyword, value, f"a number in {domain}", "learning rates and momenta are not negative")
    return number
