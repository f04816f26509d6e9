"""Update rules as data: what one coordinate does with its gradient, written once.

The same value is printed into simulators, expanded in derivations and shown in tables. A rule says where the gradient
is taken (`gradient_at`), what the buffers become (`memory`) and where the parameter goes (`position`), all in the
symbols θ, g, v of the glossary and the values *before* the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import sympy as sp

from sgdtheory import symbols
from sgdtheory.errors import ArgumentError
from sgdtheory.expressions import as_scalar, check_expression
from sgdtheory.laws import Number
from sgdtheory.sources import (
    KINGMA_BA_2015,
    MCALLESTER_2018,
    POLYAK_1964,
    ROBBINS_MONRO_1951,
    SUTSKEVER_2013,
    WELLING_TEH_2011,
    Source,
)

θ, g, v, s, η, μ = (
    symbols.theta,
    symbols.gradient,
    symbols.velocity,
    symbols.second_moment,
    symbols.lr,
    symbols.momentum,
)
β1, β2, c1, c2, ε, t = symbols.beta1, symbols.beta2, symbols.bias1, symbols.bias2, symbols.floor, symbols.step
λ, T, ζ = symbols.weight_decay, symbols.temperature, symbols.injected_noise


class Update(NamedTuple):
    """One coordinate's step: new position, its displacement, new buffers."""

    position: sp.Expr
    displacement: sp.Expr
    memory: tuple[sp.Expr, ...]


@dataclass(frozen=True)
class Hyperparameter:
    """A named number of an optimizer, the symbol it has in the rule, and where it may lie.

    Parameters
    ----------
    keyword : str
        As the user writes it; empty for a number that follows from others (a bias correction).
    symbol : Symbol
    value : expression or Tuple
        A number or symbol; an expression in the step's number t is a schedule; a Tuple of numbers is a sweep. Of one
        that follows from others, the expression in their symbols.
    domain : sympy Set
    """

    keyword: str
    symbol: sp.Symbol
    value: sp.Expr | sp.Tuple
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
    noise : Symbol, optional
        A standard normal number the rule draws, a fresh one for every coordinate and step.

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
    noise: sp.Symbol | None = None

    @property
    def buffers(self) -> tuple[sp.Symbol, ...]:
        """The memory symbols."""
        return tuple(symbol for symbol, _ in self.memory)

    @property
    def values(self) -> dict[sp.Symbol, sp.Expr]:
        """Hyperparameter symbol → its value (the symbol itself where none was given).

        Raises
        ------
        ArgumentError
            If one is a sweep: a formula needs one value.
        """
        for h in self.hyperparameters:
            if isinstance(h.value, sp.Tuple):
                raise ArgumentError(h.keyword, h.value, "one value here", "only simulate takes several")
        given = {h.symbol: h.value for h in self.hyperparameters if h.keyword}
        return given | {h.symbol: h.value.xreplace(given) for h in self.hyperparameters if not h.keyword}

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
        named = [h for h in self.hyperparameters if h.keyword]
        values = (f"{h.keyword}={sp.sstr(h.value, full_prec=False)}" for h in named)
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

    For constant η this is PyTorch's ``SGD(lr=η, momentum=μ)`` with its default, no dampening. Under a schedule PyTorch,
    which multiplies the whole buffer by the current learning rate, follows `EMAMomentum` at η/(1 − μ).

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

    The lectures' "nonstandard" parametrisation: v is a running average of ĝ. For constant η it makes the same sequence
    θ as `Momentum` with learning rate η(1 − μ); μ may change. PyTorch's ``dampening=μ`` is this form with the first
    gradient, not 0, in the buffer at the start.

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


def RMSProp(lr: Number = η, decay: Number = β2, eps: Number = 1e-8, form: str = "pytorch") -> Optimizer:
    """RMSProp: s' = β₂s + (1 − β₂)ĝ², θ' = θ − ηĝ/(√s' + ε).

    Parameters
    ----------
    lr : number or Symbol
        η > 0.
    decay : number or Symbol
        0 ≤ β₂ < 1; PyTorch's default is 0.99.
    eps : number or Symbol
        ε ≥ 0.
    form : {"pytorch", "slides"}
        ``slides``: ε inside the root, √(s' + ε).

    References
    ----------
    McAllester (2018), TTIC 31230 lectures, slide RMSProp.

    Examples
    --------
    >>> rule = RMSProp(lr=1, decay=sp.Rational(3, 4), eps=0)
    >>> rule.update(gradient=5, memory=[0]).displacement  # the first step: −lr/√(1 − decay)
    -2
    """
    mean_square = β2 * s + (1 - β2) * g**2
    root = _root(mean_square, form)
    values = {"lr": lr, "decay": decay, "eps": eps}
    return _build("RMSProp", θ - η * g / root, {s: mean_square}, θ, values, MCALLESTER_2018.where("slide RMSProp"))


def Adam(
    lr: Number = η, beta1: Number = β1, beta2: Number = β2, eps: Number = 1e-8, form: str = "pytorch"
) -> Optimizer:
    """Adam: v' = β₁v + (1 − β₁)ĝ, s' = β₂s + (1 − β₂)ĝ², θ' = θ − η(v'/c₁)/(√(s'/c₂) + ε), cₖ = 1 − βₖ^t.

    Parameters
    ----------
    lr : number or Symbol
        η > 0.
    beta1, beta2 : number or Symbol
        0 ≤ βₖ < 1; usual are 0.9 and 0.999.
    eps : number or Symbol
        ε ≥ 0.
    form : {"pytorch", "slides"}
        ``slides``: no bias correction and ε inside the root, θ' = θ − ηv'/√(s' + ε).

    References
    ----------
    Kingma, Ba (2015), Adam, algorithm 1; McAllester (2018), TTIC 31230 lectures, slide Adam.

    Examples
    --------
    >>> Adam(lr=0.001, beta1=0.9, beta2=0.999)
    Adam(lr=0.001, beta1=0.9, beta2=0.999, eps=1.0e-8)
    """
    mean, mean_square = β1 * v + (1 - β1) * g, β2 * s + (1 - β2) * g**2
    values = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps}
    memory = {v: mean, s: mean_square}
    if form == "slides":
        position, source = θ - η * mean / _root(mean_square, form), MCALLESTER_2018.where("slide Adam")
        return _build("Adam, slides", position, memory, θ, values, source)
    plain = _build("Adam", θ - η * mean / c1 / _root(mean_square / c2, form), memory, θ, values, KINGMA_BA_2015)
    corrections = (Hyperparameter("", c, 1 - β**t, _POSITIVE) for c, β in ((c1, β1), (c2, β2)))
    return replace(plain, hyperparameters=(*plain.hyperparameters, *corrections))


def Langevin(lr: Number = η, temperature: Number = T) -> Optimizer:
    """Langevin dynamics by Euler steps, θ' = θ − ηĝ + √(2ηT) ζ with ζ standard normal (SGLD with minibatches).

    For small η and exact gradients the stationary density is ∝ exp(−L/T).

    Parameters
    ----------
    lr : number or Symbol
        η > 0.
    temperature : number or Symbol
        T ≥ 0, in units of the loss; T = 1/n samples the posterior of n examples under a flat prior, L being the mean
        loss.

    References
    ----------
    Welling, Teh (2011), Bayesian learning via stochastic gradient Langevin dynamics.

    Examples
    --------
    >>> Langevin().update(gradient=0).displacement
    sqrt(2)*sqrt(T)*sqrt(eta)*zeta
    """
    position = θ - η * g + sp.sqrt(2 * η * T) * ζ
    built = _build("Langevin", position, {}, θ, {"lr": lr, "temperature": temperature}, WELLING_TEH_2011)
    return replace(built, noise=ζ)


def with_weight_decay(optimizer: Optimizer, weight_decay: Number = λ, decoupled: bool = False) -> Optimizer:
    """Add weight decay λ to any optimizer.

    Coupled: every gradient becomes ĝ + λw, w the point it is taken at (the gradient of the loss plus ½λ|w|²).
    Decoupled: θ shrinks by ηλθ beside the step, outside all buffers.

    Parameters
    ----------
    optimizer : Optimizer
    weight_decay : number or Symbol
        λ ≥ 0.
    decoupled : bool

    Returns
    -------
    Optimizer

    Raises
    ------
    ArgumentError
        If the optimizer has weight decay already.

    References
    ----------
    Loshchilov, Hutter (2019), Decoupled weight decay regularization.

    Examples
    --------
    >>> with_weight_decay(SGD(lr=0.1), 0.01).update(gradient=0).displacement
    -0.001*theta
    """
    if any(h.keyword == "weight_decay" for h in optimizer.hyperparameters):
        raise ArgumentError("optimizer", repr(optimizer), "an optimizer without weight decay", "add it once")
    values = hyperparameters({"weight_decay": weight_decay})
    name = f"{optimizer.name}, {'decoupled' if decoupled else 'coupled'} weight decay"
    if decoupled:
        changed = replace(optimizer, name=name, position=optimizer.position - η * λ * θ)
    else:
        decayed = {g: g + λ * optimizer.gradient_at}
        memory = tuple((symbol, rule.xreplace(decayed)) for symbol, rule in optimizer.memory)
        changed = replace(optimizer, name=name, position=optimizer.position.xreplace(decayed), memory=memory)
    return replace(changed, hyperparameters=changed.hyperparameters + values)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "ema-momentum": EMAMomentum,
    "nesterov": Nesterov,
    "rmsprop": RMSProp,
    "adam": Adam,
    "langevin": Langevin,
}
"""Every optimizer by the name the command line uses."""

_NOT_NEGATIVE = sp.Interval(0, sp.oo)
_ABOVE_ZERO_BELOW_ONE = sp.Interval.open(0, 1)
_AT_LEAST_ONE = sp.Interval(1, sp.oo)
_IN_WORDS = {
    _POSITIVE: "a number > 0",
    _BELOW_ONE: "a number from 0 to below 1",
    _NOT_NEGATIVE: "a number >= 0",
    _ABOVE_ZERO_BELOW_ONE: "a number between 0 and 1",
    _AT_LEAST_ONE: "a number >= 1",
}
_DOMAINS = {
    "lr": (η, _POSITIVE),
    "momentum": (μ, _BELOW_ONE),
    "decay": (β2, _BELOW_ONE),
    "beta1": (β1, _BELOW_ONE),
    "beta2": (β2, _BELOW_ONE),
    "eps": (ε, _NOT_NEGATIVE),
    "temperature": (T, _NOT_NEGATIVE),
    "weight_decay": (λ, _NOT_NEGATIVE),
    "smoothness": (symbols.smoothness, _POSITIVE),
    "confidence": (symbols.confidence, _POSITIVE),
    "batch": (symbols.batch_size, _POSITIVE),
    "warmup": (symbols.warmup, _AT_LEAST_ONE),
    "low": (symbols.share_low, _ABOVE_ZERO_BELOW_ONE),
    "high": (symbols.share_high, _ABOVE_ZERO_BELOW_ONE),
}


def _build(
    name: str,
    position: sp.Expr,
    memory: Mapping[sp.Symbol, sp.Expr],
    gradient_at: sp.Expr,
    values: Mapping[str, Number],
    source: Source,
) -> Optimizer:
    return Optimizer(name, position, tuple(memory.items()), gradient_at, hyperparameters(values), source)


def hyperparameters(values: Mapping[str, Number]) -> tuple[Hyperparameter, ...]:
    """Check the values a user gives and pair each with its symbol and domain."""
    return tuple(
        Hyperparameter(k, _DOMAINS[k][0], check_hyperparameter(k, x), _DOMAINS[k][1]) for k, x in values.items()
    )


def _root(square: sp.Expr, form: str) -> sp.Expr:
    if form not in ("pytorch", "slides"):
        raise ArgumentError("form", form, "pytorch | slides")
    return sp.sqrt(square) + ε if form == "pytorch" else sp.sqrt(square + ε)


def check_hyperparameter(keyword: str, value: Number) -> sp.Expr | sp.Tuple:
    """Return a hyperparameter's value, or values, as an expression; refuse what is not in its domain."""
    if isinstance(value, (list, tuple, np.ndarray, sp.Tuple)):
        return _sweep(keyword, value)
    domain = _DOMAINS[keyword][1]
    number = check_expression(value, None, keyword)
    inside = domain.contains(number)
    if not number.has(t) and (inside == sp.false or (number.is_number and inside != sp.true)):
        raise ArgumentError(keyword, value, _IN_WORDS[domain], "learning rates and momenta are not negative")
    return number


def check_constant(optimizer: Optimizer, why: str, *, besides: Sequence[str] = ()) -> None:
    """Refuse schedules, of all hyperparameters but those named, where a result holds for constant ones alone."""
    for h in optimizer.hyperparameters:
        if h.keyword and h.keyword not in besides and h.value.has(t):
            raise ArgumentError(
                h.keyword, f"the schedule {h.value}", f"a constant: {why}", "give the number it tends to"
            )


def _sweep(keyword: str, values: Sequence[Number] | np.ndarray | sp.Tuple) -> sp.Tuple:
    given = values.tolist() if isinstance(values, np.ndarray) else list(values)
    entries = [check_hyperparameter(keyword, entry) for entry in given] if isinstance(given, list) else []
    if not entries or not all(isinstance(entry, sp.Expr) and entry.is_number for entry in entries):
        raise ArgumentError(keyword, values, "a sweep: a non-empty list of numbers")
    return sp.Tuple(*entries)
