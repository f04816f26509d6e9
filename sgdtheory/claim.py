"""Claims as data: a statement, what it assumes, where it comes from, the evidence, and the wrong answers to reject.

Nothing here runs. A statement is a sympy relation between *quantity symbols* (what is derived or measured) and the
symbols of the assumptions. Each evidence says how to obtain the quantities, independently of the statement; `verify`
puts them in and judges. A mutant is a plausible wrong statement (or premise) put before the same evidence: an evidence
that rejects none of them shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from types import MappingProxyType
from typing import Literal

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory.laws import Law, Number
from sgdtheory.optimizers import Optimizer
from sgdtheory.problem import Problem
from sgdtheory.sources import Source

Status = Literal["exact", "leading-order", "approximate", "corrected"]
Case = Mapping[sp.Symbol, sp.Expr]
"""Values for (some of) the symbols of a statement."""

THEORIES = {
    "LCA": "loss-change-allocation",
    "DEG": "degenerate-landscapes",
    "VIS": "loss-landscape-slices",
    "LIE": "lie-brackets",
    "MCA": "lectures",
    "STA": "stationarity",
}
"""Claim id prefix → name of the theory."""


@dataclass(frozen=True)
class Assumption:
    """Where one symbol may lie, or a condition between several.

    Parameters
    ----------
    prose : str
        As a reader should see it, for example "learning rate α > 0".
    symbol : Symbol, optional
        The symbol restricted by `domain`.
    domain : sympy Set, optional
        Its values; test points are drawn from it and its closed ends are always tried.
    condition : sympy Boolean, optional
        A relation between symbols that test points must satisfy.

    Examples
    --------
    >>> positive(sp.Symbol("alpha", positive=True), "learning rate").prose
    'learning rate: alpha > 0'
    """

    prose: str
    symbol: sp.Symbol | None = None
    domain: sp.Set = sp.S.Reals
    condition: sp.Basic = sp.true


def positive(symbol: sp.Symbol, meaning: str = "") -> Assumption:
    """Assume symbol > 0."""
    return Assumption(_prose(f"{symbol} > 0", meaning), symbol, sp.Interval.open(0, sp.oo))


def real(symbol: sp.Symbol, meaning: str = "") -> Assumption:
    """Assume symbol is any real number."""
    return Assumption(_prose(f"{symbol} real", meaning), symbol, sp.S.Reals)


def between(symbol: sp.Symbol, low: Number, high: Number, meaning: str = "") -> Assumption:
    """Assume low ≤ symbol < high."""
    return Assumption(_prose(f"{low} ≤ {symbol} < {high}", meaning), symbol, sp.Interval.Ropen(low, high))


def where(condition: sp.Basic, prose: str) -> Assumption:
    """Assume a relation between symbols."""
    return Assumption(prose, None, sp.S.Reals, condition)


def given(prose: str) -> Assumption:
    """Assume something only prose can say (a smoothness class, a convention)."""
    return Assumption(prose)


def equals(quantity: sp.Expr, formula: sp.Expr) -> sp.Eq:
    """State an equation as it stands; sympy would spend milliseconds on trying to decide it."""
    return sp.Eq(quantity, formula, evaluate=False)


def equations(stated: Case, changes: Case = MappingProxyType({})) -> sp.Basic:
    """State q = f for every quantity q and its formula f, all of them together.

    Parameters
    ----------
    stated : mapping of Symbol to expression
        Quantity → its formula.
    changes : mapping of Symbol to expression
        Other formulas for some of the quantities, as a mutant has them; `stated` itself stays as it is.

    Returns
    -------
    sympy Boolean
        The equations, undecided; one alone stands by itself, several as their conjunction.

    Examples
    --------
    >>> side, area, rim = sp.symbols("s A P", positive=True)
    >>> square = {area: side**2, rim: 4 * side}
    >>> equations(square)
    Eq(A, s**2) & Eq(P, 4*s)
    >>> equations(square, {rim: 2 * side})
    Eq(A, s**2) & Eq(P, 2*s)
    """
    return sp.And(*(equals(quantity, formula) for quantity, formula in {**stated, **changes}.items()))


def by_name(**symbols: sp.Symbol) -> Callable[..., Case]:
    """Make a function that gives values to symbols by short names: a point, with decimals as exact rationals.

    Parameters
    ----------
    **symbols : Symbol
        Name → symbol.

    Returns
    -------
    callable
        Keyword arguments → mapping of Symbol to Rational; a value is an int, a float as it prints, or a str.

    Examples
    --------
    >>> eta, mu = sp.symbols("eta mu", positive=True)
    >>> at = by_name(lr=eta, momentum=mu)
    >>> at(lr=0.1, momentum="2/3")
    {eta: 1/10, mu: 2/3}
    """
    return lambda **values: {symbols[name]: sp.Rational(str(value)) for name, value in values.items()}


@dataclass(frozen=True)
class Identity:
    """Exact proof: with the derived quantities put in, the statement follows by algebra from the assumptions.

    Parameters
    ----------
    derivation : callable
        Returns the derived quantities, or several such cases (components of a vector), all of which must satisfy the
        statement. Its docstring is the proof in words.
    remainder : (Symbol, int), optional
        (ε, p): both sides agree up to O(ε^p), that is, coefficients below ε^p agree.
    """

    derivation: Callable[[], Case | Sequence[Case]]
    remainder: tuple[sp.Symbol, int] | None = None


@dataclass(frozen=True)
class Recursion:
    """Numbers without randomness: iterate the definition at given points and compare.

    Parameters
    ----------
    run : callable
        Point → that point together with the measured quantities (or several such cases).
    points : sequence of mappings
        Values of the assumptions' symbols.
    tolerance : float
        Relative error allowed, from the length of the iteration; state the reason beside it.
    """

    run: Callable[[Case], Case | Sequence[Case]]
    points: tuple[Case, ...]
    tolerance: float


@dataclass(frozen=True)
class Property:
    """Random exact instances: rational numbers in, equality without tolerance.

    Parameters
    ----------
    instance : callable
        Random generator → values of all symbols of the statement (or several such cases), as exact rationals.
    examples : int
        How many instances.
    remainder : (Symbol, int), optional
        As in `Identity`, for values that are polynomials in ε with rational coefficients.
    """

    instance: Callable[[Random], Case | Sequence[Case]]
    examples: int = 50
    remainder: tuple[sp.Symbol, int] | None = None


@dataclass(frozen=True)
class Order:
    """Convergence: the two sides of an equation differ by O(ε^order), seen in exact arithmetic at halving ε.

    Parameters
    ----------
    measure : callable
        ε (a Fraction) → values of all symbols of the statement.
    step : Symbol
        ε.
    order : int
        Order of the difference; a wrong coefficient anywhere below shows as a smaller slope.
    first : Fraction
        The largest ε; it is halved six times.
    """

    measure: Callable[[Fraction], Case]
    step: sp.Symbol
    order: int
    first: Fraction = Fraction(1, 64)


@dataclass(frozen=True)
class Ensemble:
    """Monte Carlo: simulate replicas and test a moment of the end state against the statement.

    The number of replicas is designed from the false-alarm share of the budget and the resolution.

    Parameters
    ----------
    quantity : Symbol
        The quantity of the statement that is estimated.
    observable : expression
        In the coordinates at the end of the run.
    statistic : {"variance", "mean"}
        ``variance``: of a normal observable, tested by its exact χ² law. ``mean``: by the central limit theorem.
    problem, optimizer : Problem, Optimizer
        With symbols; `values` gives numbers to both and to the statement.
    values : mapping of Symbol to number
        Includes the batch size.
    steps : int
        Length of a run.
    start : sequence of numbers or laws
        Where runs start, one entry a coordinate.
    resolution : float
        Relative error of the quantity that must be detected (missed with probability at most 10⁻³).
    """

    quantity: sp.Symbol
    observable: sp.Expr
    statistic: Literal["variance", "mean"]
    problem: Problem
    optimizer: Optimizer
    values: Mapping[sp.Symbol, float]
    steps: int
    start: tuple[Number | Law, ...]
    resolution: float


@dataclass(frozen=True)
class Sample:
    """Monte Carlo without the simulator: independent draws of a number whose mean is the quantity.

    For probabilities (draw 0 or 1) and for means over more than the end of a run. The number of draws is designed from
    the false-alarm share of the budget and the resolution.

    Parameters
    ----------
    quantity : Symbol
        The quantity of the statement that is estimated.
    draw : callable
        (numpy random generator, n) → n independent values, float array; light enough tails for the central limit
        theorem. A readable transcription of the definition, not of the statement.
    values : mapping of Symbol to number
        The numbers `draw` uses, for the statement.
    resolution : float
        Relative error of the quantity that must be detected (missed with probability at most 10⁻³).

    Examples
    --------
    >>> P = sp.Symbol("P", positive=True)
    >>> heads = Sample(P, lambda rng, n: (rng.random(n) < 0.5).astype(float), {}, resolution=0.01)
    """

    quantity: sp.Symbol
    draw: Callable[[np.random.Generator, int], NDArray[np.float64]]
    values: Mapping[sp.Symbol, float]
    resolution: float


Evidence = Identity | Recursion | Property | Order | Ensemble | Sample


@dataclass(frozen=True)
class Mutant:
    """A plausible wrong answer that the evidence must reject.

    Parameters
    ----------
    name : str
        What is wrong with it.
    statement : sympy Boolean, optional
        The wrong statement; the claim's own by default.
    evidence : tuple of Evidence, optional
        Evidence under a wrong premise (another optimizer, say); the claim's own by default.
    """

    name: str
    statement: sp.Basic | None = None
    evidence: tuple[Evidence, ...] | None = None


@dataclass(frozen=True)
class Claim:
    """One line of the theory ledger.

    Parameters
    ----------
    id : str
        Permanent, such as ``LCA-03``.
    slug : str
        Readable, such as ``lca.naive``; accepted wherever the id is.
    title : str
        One sentence.
    status : {"exact", "leading-order", "approximate", "corrected"}
        Of the source's statement; ``corrected`` means that it is wrong as printed.
    statement : sympy Boolean
        Relations between quantity symbols and the symbols of the assumptions.
    assumptions : tuple of Assumption
    source : Source
    evidence : tuple of Evidence
    mutants : tuple of Mutant
        If the status is ``corrected``, the first mutant is the source's statement.
    meanings : mapping of Symbol to str
        What each quantity symbol of the statement stands for.
    note : str
        What a reader should know besides.

    Examples
    --------
    >>> G, A = sp.symbols("G A", real=True)
    >>> claim = Claim(
    ...     id="LCA-00", slug="lca.example", title="A squared gradient is never negative", status="exact",
    ...     statement=sp.Ge(A, 0), assumptions=(real(G),), source=Source("Nobody", 1900, "An example"),
    ...     evidence=(Identity(lambda: {A: G**2}),), mutants=(Mutant("strictly positive", sp.Gt(A, 0)),),
    ... )
    >>> claim.theory
    'loss-change-allocation'
    """

    id: str
    slug: str
    title: str
    status: Status
    statement: sp.Basic
    assumptions: tuple[Assumption, ...]
    source: Source
    evidence: tuple[Evidence, ...]
    mutants: tuple[Mutant, ...]
    meanings: tuple[tuple[sp.Symbol, str], ...] = ()
    note: str = ""

    @property
    def theory(self) -> str:
        """Name of the theory the id belongs to."""
        return THEORIES[self.id.split("-")[0]]

    @property
    def derivation(self) -> Callable[[], Case | Sequence[Case]] | None:
        """The symbolic derivation, if there is one."""
        return next((e.derivation for e in self.evidence if isinstance(e, Identity)), None)


def _prose(fact: str, meaning: str) -> str:
    return f"{meaning}: {fact}" if meaning else fact
