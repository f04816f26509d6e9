"""A learning problem: one example's loss, the parameters it is a function of, and the law of the data.

Population loss, gradient, Hessian and gradient noise follow in closed form; nothing here is numerical.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from sgdtheory.errors import ArgumentError
from sgdtheory.expressions import as_scalar, check_expression, check_name, parse
from sgdtheory.laws import Data, Dataset, Fresh, Normal, Number, law_symbols, standard_deviation

CONVENTIONS = ("half squared error", "squared error", "as given")
_STATE_FIX = "write the dependence into the example loss"


@dataclass(frozen=True)
class Problem:
    """One example's loss ℓ(w; data), its coordinates w, and the law of the data.

    Parameters
    ----------
    example_loss : expression or str
        ℓ, in the coordinates, the data symbols and any further symbols, which become parameters. Symbols are matched
        by name: ``Symbol("w")`` means the real coordinate ``w``.
    coordinates : sequence of Symbol or str
        The d parameters that are learned.
    data : Fresh or Dataset, optional
        Law of the data symbols; by default there are none and the gradient is exact.
    parameters : mapping of Symbol or str to number, optional
        Values of further symbols; those left out stay symbolic.
    convention : {"as given", "half squared error", "squared error"}
        Whether a squared error carries the factor ½. It is not guessed: it is stated, and every result repeats it.
    name : str
        Shown in results and figures.

    Raises
    ------
    ArgumentError
        For unsupported functions, repeated coordinates, or parameters the loss does not have.

    Examples
    --------
    >>> problem = Problem("(y - w*x)**2/2", ["w"], Fresh(x=Normal(0, 1), y=Normal(0, 2)))
    >>> problem.loss
    w**2/2 + 2
    >>> problem.gradient_noise[0]
    2*(w**2 + 2)
    """

    example_loss: sp.Expr
    coordinates: tuple[sp.Symbol, ...]
    data: Data
    parameters: tuple[tuple[sp.Symbol, sp.Expr], ...]
    convention: str
    name: str

    def __init__(
        self,
        example_loss: sp.Expr | str,
        coordinates: Sequence[sp.Symbol | str],
        data: Data | None = None,
        parameters: Mapping[sp.Symbol | str, Number] | None = None,
        convention: str = "as given",
        name: str = "user problem",
    ) -> None:
        data = Fresh() if data is None else data
        if not isinstance(data, (Fresh, Dataset)):
            raise ArgumentError("data", data, "Fresh(...) or Dataset(...)", "write Fresh(x=Normal(0, 1))")
        coordinates = _coordinates(coordinates, data)
        if convention not in CONVENTIONS:
            raise ArgumentError("convention", convention, " | ".join(CONVENTIONS))
        loss, bound = _canonical(example_loss, coordinates, data, parameters or {})
        for field, value in {
            "example_loss": loss,
            "coordinates": coordinates,
            "data": data,
            "parameters": bound,
            "convention": convention,
            "name": name,
        }.items():
            object.__setattr__(self, field, value)

    @property
    def dimension(self) -> int:
        """Number of coordinates d."""
        return len(self.coordinates)

    @property
    def free_parameters(self) -> tuple[sp.Symbol, ...]:
        """The symbols, of the loss or the data law, that have no value yet."""
        used = self.example_loss.free_symbols | _law_symbols(self.data)
        known = {*self.coordinates, *self.data.symbols, *(s for s, _ in self.parameters)}
        return tuple(sorted(used - known, key=lambda s: s.name))

    @cached_property
    def example_gradient(self) -> sp.ImmutableMatrix:
        """∇ℓ, shape (d, 1)."""
        return _gradient(self.example_loss, self.coordinates)

    @cached_property
    def loss(self) -> sp.Expr:
        """Population loss L(w) = E ℓ(w; data)."""
        return _shorter(self.data.mean(self.example_loss))

    @cached_property
    def gradient(self) -> sp.ImmutableMatrix:
        """∇L, shape (d, 1)."""
        return _gradient(self.loss, self.coordinates)

    @cached_property
    def hessian(self) -> sp.ImmutableMatrix:
        """∇²L, shape (d, d)."""
        return sp.ImmutableMatrix(sp.hessian(self.loss, self.coordinates))

    @cached_property
    def gradient_noise(self) -> sp.ImmutableMatrix:
        """Σ(w) = Cov ∇ℓ of one example, shape (d, d)."""
        g = self.example_gradient

        def entry(i: int, j: int) -> sp.Expr:
            return _shorter(self.data.covariance(g[i], g[j]))

        return sp.ImmutableMatrix(self.dimension, self.dimension, lambda i, j: entry(min(i, j), max(i, j)))

    def batch_noise(self, batch_size: Number) -> sp.ImmutableMatrix:
        """Covariance of the gradient of a batch of B examples, shape (d, d).

        Σ/B for independent examples; Σ/B·(n−B)/(n−1) for B of n samples without replacement; 0 for the full batch.
        For ``reshuffle`` and ``one epoch`` this is the law of each batch by itself: batches of one epoch are not
        independent of each other.
        """
        size = as_scalar(batch_size, "batch_size")
        if size.is_number and not (size.is_Integer and size > 0):
            raise ArgumentError("batch_size", batch_size, "a whole number >= 1 or a symbol")
        if not isinstance(self.data, Dataset) or self.data.sampling == "with replacement":
            return sp.ImmutableMatrix(self.gradient_noise / size)
        if self.data.sampling == "full batch":
            return sp.ImmutableMatrix(self.gradient_noise * 0)
        n = self.data.size
        if size.is_number and size > n:
            raise ArgumentError("batch_size", batch_size, f"at most the {n} samples", "sample with replacement")
        return sp.ImmutableMatrix(self.gradient_noise * (n - size) / (size * max(n - 1, 1)))

    def bind(self, /, **values: Number) -> Problem:
        """Return the same problem with values for further parameters, by name."""
        known = {s.name: s for s in (*self.free_parameters, *(s for s, _ in self.parameters))}
        for name, value in values.items():
            if name not in known:
                raise ArgumentError(name, value, f"the parameters {', '.join(known) or 'none'}", "check the spelling")
        merged = {s.name: v for s, v in self.parameters} | values
        return Problem(self.example_loss, self.coordinates, self.data, merged, self.convention, self.name)

    def population(self) -> Problem:
        """Return the same loss without sampling: every step sees the exact gradient."""
        named = {s: v for s, v in self.parameters if self.loss.has(s)}
        return Problem(self.loss, self.coordinates, Fresh(), named, self.convention, f"{self.name}, exact gradient")


def landscape(
    loss: sp.Expr | str,
    coordinates: Sequence[sp.Symbol | str],
    noise_std: Number = 0,
    covariance: sp.Matrix | None = None,
    name: str = "landscape",
) -> Problem:
    """Return the problem whose example gradient is ∇L(w) + ξ, with ξ normal of constant covariance.

    The example loss is L(w) + w·ξ, so the population loss is L itself.

    Parameters
    ----------
    loss : expression or str
        L(w).
    coordinates : sequence of Symbol or str
    noise_std : number or Symbol
        Standard deviation σ of every gradient component, independent across components.
    covariance : Matrix, shape (d, d), optional
        Covariance of ξ instead of σ²·1. Constant; symbols allowed.
    name : str

    Returns
    -------
    Problem

    Raises
    ------
    ArgumentError
        If both kinds of noise are given, the shape is wrong, or the covariance is not a constant covariance.

    Examples
    --------
    >>> double_well = landscape("(w**2 - 1)**2/4", ["w"], noise_std=sp.Rational(1, 10))
    >>> double_well.gradient[0].factor(), double_well.gradient_noise[0]
    (w*(w - 1)*(w + 1), 1/100)
    """
    named = _coordinates(coordinates, Fresh())
    population_loss = parse(loss, named, "loss") if isinstance(loss, str) else check_expression(loss, None, "loss")
    std = standard_deviation(noise_std, "noise_std")
    if covariance is None and std == 0:
        return Problem(population_loss, named, Fresh(), name=name)
    if covariance is not None and std != 0:
        raise ArgumentError("noise_std, covariance", (noise_std, covariance), "one of the two")
    matrix = std**2 * sp.eye(len(named)) if covariance is None else as_matrix(covariance, "covariance", len(named))
    _refuse_names(matrix, named, "covariance" if std == 0 else "noise_std", "constants", "write it into example_loss")
    root = std * sp.eye(len(named)) if covariance is None else _root(matrix)
    data = Fresh(**{f"xi_{w.name}": Normal(0, 1) for w in named})
    _refuse_names(population_loss, data.symbols, "loss", "names other than those of the noise", "rename the symbol")
    pull = (sp.Matrix([list(named)]) * root * sp.Matrix(data.symbols))[0]
    return Problem(population_loss + pull, named, data, name=name)


def as_matrix(value: sp.Matrix | Sequence[Sequence[Number]], argument: str, size: int | None = None) -> sp.Matrix:
    """Return a square matrix of scalars from a Matrix, an array, rows or, for size 1, a number; text is refused."""
    rows = value.tolist() if hasattr(value, "tolist") else value
    rows = rows if isinstance(rows, (list, tuple)) else [[rows]]
    n = size or len(rows)
    if not rows or [len(row) if isinstance(row, (list, tuple)) else 0 for row in rows] != [n] * n:
        shown = f"shape {value.shape}" if hasattr(value, "shape") else repr(value)
        raise ArgumentError(argument, shown, f"a square matrix, shape {(n, n)}")
    return sp.Matrix([[check_expression(entry, None, argument) for entry in row] for row in rows])


def _refuse_names(
    value: sp.Expr | sp.Matrix, symbols: Sequence[sp.Symbol], argument: str, allowed: str, fix: str
) -> None:
    found = {s.name for s in value.free_symbols} & {s.name for s in symbols}
    if found:
        raise ArgumentError(argument, f"an expression in {', '.join(sorted(found))}", allowed, fix)


def _shorter(expression: sp.Expr) -> sp.Expr:
    """Return the shorter of the expression as it came and multiplied out; what cancels is gone from the latter."""
    return min(sp.factor_terms(expression), sp.factor_terms(sp.expand(expression)), key=sp.count_ops)


def _coordinates(given: Sequence[sp.Symbol | str], data: Data) -> tuple[sp.Symbol, ...]:
    if isinstance(given, (str, sp.Basic)) or not isinstance(given, Iterable):
        raise ArgumentError("coordinates", repr(given), "a non-empty list of symbols or names", "write [w]")
    names = [check_name(w.name if isinstance(w, sp.Symbol) else w, "coordinates") for w in given]
    if not names:
        raise ArgumentError("coordinates", "none", "at least one symbol or name")
    repeated = {n for n in names if names.count(n) > 1} | (set(names) & {s.name for s in data.symbols})
    if repeated:
        raise ArgumentError("coordinates", sorted(map(str, repeated)), "names that occur once", "rename one of them")
    return tuple(sp.Symbol(n, real=True) for n in names)


def _canonical(
    loss: sp.Expr | str, coordinates: tuple[sp.Symbol, ...], data: Data, parameters: Mapping[sp.Symbol | str, Number]
) -> tuple[sp.Expr, tuple[tuple[sp.Symbol, sp.Expr], ...]]:
    """Match symbols by name, check the loss, and pair parameters with their values."""
    own = {s.name: s for s in (*coordinates, *data.symbols)}
    law = _by_name(_law_symbols(data), "data")
    if set(law) & set(own):
        raise ArgumentError("data", f"laws that depend on {sorted(set(law) & set(own))}", "constant laws", _STATE_FIX)
    given = named_values(parameters)
    known = own | law
    if isinstance(loss, str):
        extra = [sp.Symbol(n, real=True) for n in given if n not in known]
        loss = parse(loss, [*known.values(), *extra], "example_loss")
    loss = check_expression(loss, None, "example_loss")
    loss = loss.xreplace({s: known[s.name] for s in loss.free_symbols if s.name in known})
    free = {n: s for n, s in _by_name(loss.free_symbols | set(law.values()), "example_loss").items() if n not in own}
    unknown = sorted(set(given) - set(free))
    if unknown:
        raise ArgumentError("parameters", unknown, f"symbols of the problem: {', '.join(free) or 'none'}")
    return loss, tuple((free[n], _parameter_value(free[n], v)) for n, v in given.items())


def _parameter_value(symbol: sp.Symbol, value: Number) -> sp.Expr:
    number = check_expression(value, None, symbol.name)
    if not number.is_number:
        raise ArgumentError(symbol.name, value, "a finite number", "bind parameters to numbers")
    facts = {fact: truth for fact, truth in symbol.assumptions0.items() if getattr(number, f"is_{fact}") is (not truth)}
    if facts:
        said = ", ".join(fact if truth else f"not {fact}" for fact, truth in symbol._assumptions_orig.items())
        raise ArgumentError(symbol.name, value, f"a number that is {said}", "as the symbol was declared")
    return number


def named_values(parameters: Mapping[sp.Symbol | str, Number]) -> dict[str, Number]:
    """Return parameters by name, whether they were given by name or by symbol."""
    if not isinstance(parameters, Mapping) or not all(isinstance(p, (str, sp.Symbol)) for p in parameters):
        raise ArgumentError("parameters", parameters, "a mapping of names or symbols to numbers", "write {'a': 1.0}")
    names = [check_name(p if isinstance(p, str) else p.name, "parameters") for p in parameters]
    if len(set(names)) < len(names):
        raise ArgumentError("parameters", names, "names that occur once", "give each parameter one value")
    return dict(zip(names, parameters.values(), strict=True))


def _by_name(symbols: Iterable[sp.Symbol], argument: str) -> dict[str, sp.Symbol]:
    """Index symbols by name; two that only differ in assumptions print alike and are refused."""
    table: dict[str, sp.Symbol] = {}
    for symbol in symbols:
        twin = table.setdefault(check_name(symbol.name, argument), symbol)
        if twin != symbol:
            fix = "use the same Symbol, with the same assumptions, throughout"
            raise ArgumentError(argument, f"two symbols named {symbol.name}", "one symbol a name", fix)
    return table


def _law_symbols(data: Data) -> set[sp.Symbol]:
    if isinstance(data, Dataset):
        return set()
    return set().union(*(law_symbols(law) for _, law in data.laws))


def _gradient(loss: sp.Expr, coordinates: Sequence[sp.Symbol]) -> sp.ImmutableMatrix:
    """Differentiate; at a kink of max or min the gradient is the mean of both sides, as it is for abs."""
    slopes = (sp.diff(loss, w).replace(sp.Heaviside, lambda x, *_: (1 + sp.sign(x)) / 2) for w in coordinates)
    return sp.ImmutableMatrix(list(slopes))


def _root(covariance: sp.Matrix) -> sp.Matrix:
    """Return the lower triangular R with R Rᵀ = covariance; a zero pivot is a direction without noise of its own."""
    if not covariance.is_symmetric() or covariance.is_positive_semidefinite is False:
        raise ArgumentError("covariance", covariance, "a symmetric positive semidefinite matrix")
    d = covariance.rows
    root = sp.zeros(d, d)
    for j in range(d):
        rest = (covariance[j:, j] - root[j:, :j] * root[j, :j].T).applyfunc(sp.simplify)
        if rest[0].is_negative or (rest[0].is_zero and not rest.is_zero_matrix):
            raise ArgumentError("covariance", covariance, "a symmetric positive semidefinite matrix")
        if not rest[0].is_zero:
            root[j:, j] = rest / sp.sqrt(rest[0])
    return root
