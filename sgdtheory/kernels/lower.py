"""Lower a Dynamics to straight-line programs over safe names: the user's names end here.

Every symbol gets a canonical name by its role (``s`` state, ``x`` data, ``m`` averages over a batch, ``g`` batch
gradient, ``p`` parameters, ``q`` numbers of the start, ``n`` and ``u`` primitive draws, ``t`` temporaries), so that
generated source depends on structure alone and no user-chosen name can reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import sympy as sp

from sgdtheory.derive.monomials import monomial_form
from sgdtheory.derive.sufficient import BatchMeans
from sgdtheory.dynamics import Dynamics
from sgdtheory.errors import ArgumentError
from sgdtheory.expressions import check_condition, check_expression
from sgdtheory.kernels.products import share_products
from sgdtheory.kernels.rows import FEW, Layers, Rows, find_layers, find_rows
from sgdtheory.laws import Fresh, Law, Number, law_numbers, law_symbols
from sgdtheory.symbols import batch_size

Noise = Literal["float64", "float32"]
NOISES = ("float64", "float32")
Start = tuple[Number | Law, ...] | None
"""Where replicas start, one entry a coordinate; None where the points are given as an array."""


@dataclass(frozen=True)
class Recording:
    """What is kept of a run besides the coordinates.

    Parameters
    ----------
    memory : bool
        Record the optimizer's buffers.
    observables : tuple of expressions
        In the state and the parameters, evaluated at the recorded steps.
    events : tuple of sympy Booleans
        In the same; the first step at which each is true is kept, whatever is recorded.
    """

    memory: bool = False
    observables: tuple[sp.Expr, ...] = ()
    events: tuple[sp.Basic, ...] = ()


_MONOMIALS_A_COORDINATE = 2
"""Up to so many monomials a coordinate are summed over a batch in place of the gradient."""

POSITIONS = Recording()
"""Nothing but the coordinates."""


@dataclass(frozen=True)
class Block:
    """Assignments in order, then the results."""

    assignments: tuple[tuple[sp.Symbol, sp.Expr], ...]
    results: tuple[sp.Expr, ...]

    def read(self, inputs: Sequence[str]) -> list[str]:
        """Return those of the names that the block reads."""
        symbols = set().union(*(e.free_symbols for e in (*self.results, *(e for _, e in self.assignments))))
        found = {s.name for s in symbols if isinstance(s, sp.Symbol)}
        return [name for name in inputs if name in found]


@dataclass(frozen=True)
class Draws:
    """A block fed by primitive draws: ``n0, n1, …`` standard normal, ``u0, u1, …`` uniform, ``k0, k1, …`` χ².

    Each χ² has so many degrees of freedom fewer than the batch size. It takes one normal and one uniform number, which
    are drawn for it after those the block reads.
    """

    normals: int
    uniforms: int
    block: Block
    chi_squares: tuple[int, ...] = ()


@dataclass(frozen=True)
class ByRows:
    """The parts of a program of many coordinates that are alike for all of them; None: a part that is not.

    Parameters
    ----------
    gradient_at, step : Rows
        A coordinate, its buffers, its gradient ``g``, its draw ``z`` → the point; the next coordinate and buffers.
    start, example : Rows or None
        Draws → a coordinate, a data symbol.
    terms : Layers or None
        Coordinates and data → a number that is averaged over a batch.
    """

    gradient_at: Rows
    step: Rows
    start: Rows | None
    example: Rows | None
    terms: Layers | None


@dataclass(frozen=True)
class Program:
    """What a kernel computes, in canonical names.

    Parameters
    ----------
    start : Draws or None
        Coordinates from draws and ``q``; None where the points are given.
    gradient_at : Block
        State → the point the gradient is taken at, named by the coordinates.
    data : Draws or None
        Fresh data from draws and ``p``; None for a data set.
    example_terms : Block
        Coordinates, data, ``p`` → what is averaged over a batch: monomials of the data, or the gradient itself.
    batch_gradient : Block or None
        Coordinates, averages ``m``, ``p`` → gradient of the batch; None where the averages are the gradient.
    step : Block
        State, batch gradient, ``p`` → next state.
    sampling : str
        How a batch is drawn.
    sizes : tuple of int
        Numbers of coordinates, state entries, data symbols, parameters, start numbers.
    recorded, events : Block
        State, ``p`` → what is recorded; conditions whose first step is kept.
    injected : int
        Standard normal numbers a step draws for the optimizer, ``z0, z1, …``.
    noise : str
        Grade of normal draws.
    by_rows : ByRows or None
        What can be done in loops over coordinates, if they are many and alike.
    """

    start: Draws | None
    gradient_at: Block
    data: Draws | None
    example_terms: Block
    batch_gradient: Block | None
    step: Block
    sampling: str
    sizes: tuple[int, int, int, int, int]
    recorded: Block
    events: Block
    injected: int
    noise: Noise
    by_rows: ByRows | None

    @property
    def averages(self) -> int:
        """How many numbers are averaged over a batch, or drawn as such averages."""
        drawn = self.data is not None and self.sampling == "batch means"
        return len(self.data.block.results if self.data and drawn else self.example_terms.results)


def lower(
    dynamics: Dynamics,
    start: Start,
    recording: Recording = POSITIONS,
    means: BatchMeans | None = None,
    noise: Noise = "float64",
) -> Program:
    """Rename, check and simplify a Dynamics for printing; draw a batch's `means` instead of its examples if given.

    Raises
    ------
    ArgumentError
        For a node that kernels cannot print, naming it.
    """
    sums = None if means else monomial_form(dynamics, _MONOMIALS_A_COORDINATE * len(dynamics.coordinates))
    form = means or sums
    state = _names("s", dynamics.state)
    data = _names("x", dynamics.data.symbols)
    averages = _names("m", form.symbols if form else ())
    gradients = _names("g", dynamics.batch_gradient)
    parameters = _names("p", (symbol for symbol, _ in dynamics.parameters))
    injected = _names("z", dynamics.injected)
    seen = state | parameters  # what can be seen between two steps
    known = seen | data | averages | gradients | injected

    def named(expressions: Iterable[sp.Expr], where: str) -> list[sp.Expr]:
        return [check_expression(e, known, where).xreplace(known) for e in expressions]

    start_draws = None if start is None else _start(start)
    draws = _data(dynamics, parameters) if means is None else _means(means, parameters)
    at, step = named(dynamics.gradient_at, "gradient_at"), named(dynamics.step, "step")
    # means are drawn as such
    terms = named(sums.monomials if sums else () if means else dynamics.example_gradient, "example_loss")
    kept = dynamics.coordinates + (dynamics.memory if recording.memory else ())
    observed = [check_expression(e, seen, "observables").xreplace(seen) for e in (*kept, *recording.observables)]
    by_rows = _by_rows(at, step, start_draws, draws, terms if means is None else [])
    return Program(
        start=start_draws,
        gradient_at=share(at),
        data=draws,
        example_terms=share(terms) if by_rows is None or by_rows.terms is None else Block((), tuple(terms)),
        batch_gradient=share(named(form.gradient, "example_loss")) if form else None,
        step=share(step) if by_rows is None else Block((), tuple(step)),
        sampling=dynamics.data.sampling if means is None else "batch means",
        sizes=(
            len(dynamics.coordinates), len(state), len(data), len(parameters), len(start_values(start) if start else ())
        ),
        recorded=share(observed),
        events=share([check_condition(e, seen, "events").xreplace(seen) for e in recording.events]),
        injected=len(injected),
        noise=noise,
        by_rows=by_rows,
    )  # fmt: skip


def _by_rows(
    at: list[sp.Expr], step: list[sp.Expr], start: Draws | None, data: Draws | None, terms: list[sp.Expr]
) -> ByRows | None:
    """Find what is alike for all of many coordinates."""
    d = len(at)
    if d <= FEW:
        return None
    buffers = (len(step) - d) // d
    looks = find_rows([(e,) for e in at])
    moves = find_rows([(step[i], *step[d + i * buffers : d + (i + 1) * buffers]) for i in range(d)])
    if looks is None or moves is None:
        return None

    def drawn(draws: Draws | None) -> Rows | None:
        if draws is None or draws.block.assignments or len(draws.block.results) <= FEW:
            return None
        return find_rows([(e,) for e in draws.block.results])

    return ByRows(looks, moves, drawn(start), drawn(data), find_layers(terms) if len(terms) > FEW else None)


def _data(dynamics: Dynamics, parameters: dict[sp.Symbol, sp.Symbol]) -> Draws | None:
    if not isinstance(dynamics.data, Fresh):
        return None
    return _draws([law for _, law in dynamics.data.laws], parameters)


def _means(means: BatchMeans, parameters: dict[sp.Symbol, sp.Symbol]) -> Draws:
    known = parameters | {batch_size: sp.Symbol("batch", positive=True)}
    known |= _names("n", means.normals) | _names("k", (symbol for symbol, _ in means.chi_squares))
    chi_squares = tuple(fewer for _, fewer in means.chi_squares)
    block = share([value.xreplace(known) for value in means.values])
    return Draws(len(means.normals) + len(chi_squares), len(chi_squares), block, chi_squares)


def start_values(start: Sequence[Number | Law]) -> tuple[sp.Expr, ...]:
    """Return the numbers of a start, in the order kernels expect them (``q0, q1, …``)."""
    return tuple(sp.sympify(n) for entry in start for n in _numbers(entry).values())


def _numbers(entry: Number | Law) -> dict[str, Number]:
    return dict(law_numbers(entry)) if hasattr(entry, "transform") else {"number": entry}  # type: ignore[arg-type]


def _start(start: Sequence[Number | Law]) -> Draws:
    """Lower a start with its numbers replaced by ``q``, so that one kernel serves all of them."""
    counter = iter(range(len(start_values(start))))
    symbolic: list[sp.Expr | Law] = []
    for entry in start:
        named = {name: sp.Symbol(f"q{next(counter)}", real=True) for name in _numbers(entry)}
        if not hasattr(entry, "transform"):
            symbolic.append(named["number"])
        else:  # a law without numbers may be no dataclass
            symbolic.append(replace(entry, **named) if named else entry)  # type: ignore[type-var]
    return _draws(symbolic, {})


def _draws(laws: Sequence[sp.Expr | Law], names: dict[sp.Symbol, sp.Symbol]) -> Draws:
    counts = {"normal": 0, "uniform": 0}
    expressions = []
    for law in laws:
        if not hasattr(law, "transform"):
            expressions.append(law)
            continue
        named = {sp.Dummy(real=True): _next_draw(kind, counts) for kind in law.primitives}
        own = {s: names.get(s, s) for s in law_symbols(law)}
        unknown = [s.name for s in own if s not in names and not s.name.startswith("q")]
        if unknown:
            raise ArgumentError("data", f"symbols {unknown} in a law", "parameters of the problem", "bind them")
        # dummies until the law's own symbols are renamed: one of them may be called n0
        expressions.append(law.transform(*named).xreplace({**own, **named}))
    return Draws(counts["normal"], counts["uniform"], share(expressions))


def _next_draw(kind: str, counts: dict[str, int]) -> sp.Symbol:
    counts[kind] += 1
    return sp.Symbol(f"{kind[0]}{counts[kind] - 1}", real=True)


def _names(prefix: str, symbols: Iterable[sp.Symbol]) -> dict[sp.Symbol, sp.Symbol]:
    """Map symbols to canonical ones that keep their assumptions."""
    return {s: sp.Symbol(f"{prefix}{i}", **s.assumptions0) for i, s in enumerate(symbols)}


def share(expressions: Sequence[sp.Expr]) -> Block:
    """Share common subexpressions and turn powers into products and roots."""
    fresh = _numbered("t")
    parts, rewritten = share_products(expressions, fresh)
    shared, results = sp.cse(rewritten, symbols=fresh, order="canonical", list=True)
    products = _Products(fresh)
    for symbol, expression in (*parts, *shared):
        products.assign(symbol, expression)
    return Block(*reversed((tuple(products.rewrite(r) for r in results), tuple(products.assignments))))


def _numbered(prefix: str) -> Iterator[sp.Symbol]:
    number = 0
    while True:
        yield sp.Symbol(f"{prefix}{number}", real=True)
        number += 1


_PLAIN = (sp.S.One, sp.S.Half)
"""Exponents that are printed as they stand."""


class _Products:
    """Rewrite x**n, 4n whole, as products of shared squares and square roots: no pow call, the same roundings."""

    def __init__(self, fresh: Iterable[sp.Symbol]) -> None:
        self.fresh = iter(fresh)
        self.assignments: list[tuple[sp.Symbol, sp.Expr]] = []
        self.powers: dict[tuple[sp.Expr, sp.Expr | int], sp.Symbol] = {}

    def assign(self, symbol: sp.Symbol, expression: sp.Expr) -> None:
        self.assignments.append((symbol, self.rewrite(expression)))

    def rewrite(self, expression: sp.Expr) -> sp.Expr:
        if not expression.args:
            return expression
        if isinstance(expression, sp.Pow) and (4 * expression.exp).is_Integer and abs(expression.exp) not in _PLAIN:
            return self._quarters(self.rewrite(expression.base), int(4 * expression.exp))
        arguments = [self.rewrite(a) for a in expression.args]
        return expression.func(*arguments) if arguments != list(expression.args) else expression

    def _quarters(self, base: sp.Expr, quarters: int) -> sp.Expr:
        """Return base^(quarters/4): whole powers as products, the rest as square roots."""
        whole, rest = divmod(abs(quarters), 4)
        factors = [self._power(base, whole)] if whole else []
        if rest:
            root = self._named((base, sp.S.Half), lambda: sp.sqrt(base))
            factors += [root] if rest > 1 else []
            factors += [sp.sqrt(root)] if rest != 2 else []
        power = factors[0]
        if len(factors) > 1:  # named, or sympy would gather the roots into a power again
            power = self._named((base, sp.Rational(abs(quarters), 4)), lambda: sp.Mul(*factors, evaluate=False))
        return power if quarters > 0 else 1 / power

    def _power(self, base: sp.Expr, exponent: int) -> sp.Symbol:
        if exponent == 1:
            return base if isinstance(base, sp.Symbol) else self._named((base, 1), lambda: base)
        name = base if isinstance(base, sp.Symbol) else self._power(base, 1)
        half = exponent // 2
        return self._named(
            (name, exponent),
            lambda: sp.Mul(self._power(name, exponent - half), self._power(name, half), evaluate=False),
        )

    def _named(self, key: tuple[sp.Expr, sp.Expr | int], value: Callable[[], sp.Expr]) -> sp.Symbol:
        if key not in self.powers:
            expression = value()
            self.powers[key] = next(self.fresh)
            self.assignments.append((self.powers[key], expression))
        return self.powers[key]
