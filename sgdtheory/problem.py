"""A learning problem: one example's loss, the parameters it is a function of, and the law of the data.

Population loss, gradient, Hessian and gradient noise follow in closed form; nothing here is numerical.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import sympy as sp

from sgdtheory.errors import ArgumentError, NoClosedFormError
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
        Values of further symbols; those left out stay symbolic, in text too: ``"a*w**2"`` has the parameter a.
    convention : {"as given", "half squared error", "squared error"}
        Whether a squared error carries the factor ½. It is not guessed: it is stated, and every result repeats it.
    name : str
        Shown in results and figures.
    perturbation : sequence of d expressions or str, optional
        ξ(w; data), added to the gradient of every example: noise that is the gradient of no loss, such as additive
        noise whose size depends on w. Its mean over the data must be 0 at every w. None by default.

    Raises
    ------
    ArgumentError
        For unsupported functions, repeated coordinates, parameters the loss does not have, or a perturbation that is
        not known to have mean 0.

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
    perturbation: tuple[sp.Expr, ...]

    def __init__(
        self,
        example_loss: sp.Expr | str,
        coordinates: Sequence[sp.Symbol | str],
        data: Data | None = None,
        parameters: Mapping[sp.Symbol | str, Number] | None = None,
        convention: str = "as given",
        name: str = "user problem",
        perturbation: Sequence[sp.Expr | str] | None = None,
    ) -> None:
        data = Fresh() if data is None else data
        if not isinstance(data, (Fresh, Dataset)):
            raise ArgumentError("data", data, "Fresh(...) or Dataset(...)", "write Fresh(x=Normal(0, 1))")
        coordinates = _coordinates(coordinates, data)
        if convention not in CONVENTIONS:
            raise ArgumentError("convention", convention, " | ".join(CONVENTIONS))
        rows = _rows(perturbation, len(coordinates))
        (loss, *noise), bound = _canonical(example_loss, rows, coordinates, data, parameters or {})
        _refuse_mean(noise, data, bound)
        values = (loss, coordinates, data, bound, convention, name, tuple(noise))
        for field, value in zip(fields(self), values, strict=True):
            object.__setattr__(self, field.name, value)

    @property
    def dimension(self) -> int:
        """Number of coordinates d."""
        return len(self.coordinates)

    @property
    def free_parameters(self) -> tuple[sp.Symbol, ...]:
        """The symbols, of the loss or the data law, that have no value yet."""
        used = _law_symbols(self.data).union(*(e.free_symbols for e in (self.example_loss, *self.perturbation)))
        known = {*self.coordinates, *self.data.symbols, *(s for s, _ in self.parameters)}
        return tuple(sorted(used - known, key=lambda s: s.name))

    @cached_property
    def example_gradient(self) -> sp.ImmutableMatrix:
        """∇ℓ + ξ, shape (d, 1)."""
        slopes = _gradient(self.example_loss, self.coordinates)
        return sp.ImmutableMatrix([slope + noise for slope, noise in zip(slopes, self.perturbation, strict=True)])

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
        """Σ(w) = Cov(∇ℓ + ξ) of one example, shape (d, d)."""
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
        shared = (self.convention, self.name, self.perturbation)
        return Problem(self.example_loss, self.coordinates, self.data, merged, *shared)

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
    noise_root: sp.Matrix | None = None,
) -> Problem:
    """Return the problem whose example gradient is ∇L(w) + C(w)·ξ, with ξ standard normal: of covariance C(w)·C(w)ᵀ.

    Constant noise is the gradient of w·Cξ and stands in the example loss, L(w) + w·Cξ; noise that depends on w is in
    general no gradient and stands in the perturbation. The population loss is L itself. A step takes the noise at the
    point where it takes the gradient.

    Parameters
    ----------
    loss : expression or str
        L(w). Names that are no coordinates are parameters, which are given values later.
    coordinates : sequence of Symbol or str
    noise_std : number or Symbol
        Standard deviation σ of every gradient component, independent across components.
    covariance : Matrix, shape (d, d), optional
        Covariance of the noise instead of σ²·1; symbols allowed. It may depend on w if it is diagonal.
    name : str
    noise_root : Matrix, shape (d, d), optional
        C(w) instead; any matrix of expressions in w.

    Returns
    -------
    Problem

    Raises
    ------
    ArgumentError
        If two kinds of noise are given, the shape is wrong, or the covariance is none.

    Examples
    --------
    >>> double_well = landscape("(w**2 - 1)**2/4", ["w"], noise_std=sp.Rational(1, 10))
    >>> double_well.gradient[0].factor(), double_well.gradient_noise[0]
    (w*(w - 1)*(w + 1), 1/100)
    >>> landscape("w**2/2", ["w"], noise_root=[[sp.Symbol("w")]]).gradient_noise
    Matrix([[w**2]])
    """
    named = _coordinates(coordinates, Fresh())
    root = _noise_root(named, noise_std, covariance, noise_root)
    known = {*named, *(root.free_symbols if root is not None else ())}
    population_loss = (
        parse(loss, known, "loss", others=True) if isinstance(loss, str) else check_expression(loss, None, "loss")
    )
    if root is None:
        return Problem(population_loss, named, Fresh(), name=name)
    data = Fresh(**{f"xi_{w.name}": Normal(0, 1) for w in named})
    for argument, value in {"loss": population_loss, "noise": root}.items():
        _refuse_names(value, data.symbols, argument, "names other than those of the noise", "rename the symbol")
    noise = root * sp.Matrix(data.symbols)
    if root.has(*named):
        return Problem(population_loss, named, data, name=name, perturbation=list(noise))
    return Problem(population_loss + (sp.Matrix([list(named)]) * noise)[0], named, data, name=name)


def check_problem(problem: object) -> None:
    """Refuse what is no problem."""
    if not isinstance(problem, Problem):
        raise ArgumentError("problem", problem, "a Problem", "write landscape(...) or Problem(...)")


def as_matrix(value: sp.Matrix | Sequence[Sequence[Number]], argument: str, size: int | None = None) -> sp.Matrix:
    """Return a square matrix of scalars from a Matrix, an array, rows or, for size 1, a number; text is refused."""
    rows = value.tolist() if hasattr(value, "tolist") else value
    rows = rows if isinstance(rows, (list, tuple)) else [[rows]]
    n = size or len(rows)
    if not rows or [len(row) if isinstance(row, (list, tuple)) else 0 for row in rows] != [n] * n:
        shown = f"shape {value.shape}" if hasattr(value, "shape") else repr(value)
        raise ArgumentError(argument, shown, f"a square matrix, shape {(n, n)}")
    return sp.Matrix([[check_expression(entry, None, argument) for entry in row] for row in rows])


def _noise_root(
    coordinates: tuple[sp.Symbol, ...], noise_std: Number, covariance: sp.Matrix | None, noise_root: sp.Matrix | None
) -> sp.Matrix | None:
    """Return C from whichever kind of noise is given, or None where there is none."""
    std = standard_deviation(noise_std, "noise_std")
    kinds = {"noise_std": noise_std if std != 0 else None, "covariance": covariance, "noise_root": noise_root}
    given = {argument: value for argument, value in kinds.items() if value is not None}
    if len(given) > 1:
        raise ArgumentError(", ".join(given), tuple(given.values()), "one of them")
    if "noise_std" in given:
        _refuse_names(std, coordinates, "noise_std", "constants", "give it as noise_root")
        return std * sp.eye(len(coordinates))
    own = {w.name: w for w in coordinates}
    for argument, value in given.items():
        matrix = as_matrix(value, argument, len(coordinates))
        matrix = matrix.xreplace({s: own[s.name] for s in matrix.free_symbols if s.name in own})
        return matrix if argument == "noise_root" else _covariance_root(matrix, coordinates)
    return None


def _covariance_root(covariance: sp.Matrix, coordinates: tuple[sp.Symbol, ...]) -> sp.Matrix:
    """Return C with C·Cᵀ = covariance; of a covariance that depends on w only if it is diagonal."""
    if not covariance.is_symmetric() or covariance.is_positive_semidefinite is False:
        raise ArgumentError("covariance", covariance, "a symmetric positive semidefinite matrix")
    if not covariance.has(*coordinates):
        return _root(covariance)
    if not covariance.is_diagonal():
        raise ArgumentError("covariance", covariance, "a constant or diagonal matrix", "give its root as noise_root")
    for variance in covariance.diagonal():
        _refuse_negative(variance, coordinates)
    return covariance.applyfunc(sp.sqrt)


def _refuse_negative(variance: sp.Expr, coordinates: tuple[sp.Symbol, ...]) -> None:
    """Refuse a variance that is negative at one of some points, all coordinates being equal or all but one being 1."""
    if not variance.free_symbols <= set(coordinates):
        return
    values = [sp.Rational(k, 2) for k in (-6, -2, -1, 0, 1, 2, 6)]
    equal = [dict.fromkeys(coordinates, value) for value in values]
    one_apart = [{**dict.fromkeys(coordinates, sp.S.One), w: value} for w in coordinates for value in values]
    for point in (*equal, *one_apart):
        if variance.xreplace(point).is_negative:
            where = ", ".join(f"{w} = {value}" for w, value in point.items())
            fix = "where runs never go there, give the root as noise_root"
            raise ArgumentError("covariance", f"{variance}, negative at {where}", "variances >= 0 everywhere", fix)


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


def _rows(perturbation: Sequence[sp.Expr | str] | None, dimension: int) -> list[sp.Expr | str]:
    if isinstance(perturbation, (str, sp.Expr)) or not isinstance(perturbation, Iterable | None):
        raise ArgumentError("perturbation", repr(perturbation), "a sequence of expressions", "write [...]")
    rows = [sp.S.Zero] * dimension if perturbation is None else list(perturbation)
    if len(rows) != dimension:
        raise ArgumentError("perturbation", f"{len(rows)} expressions", f"{dimension}: one a coordinate")
    return rows


def _refuse_mean(noise: Sequence[sp.Expr], data: Data, bound: tuple[tuple[sp.Symbol, sp.Expr], ...]) -> None:
    """Refuse a perturbation whose mean over the data is not known to be 0: the mean gradient would not be ∇L."""
    for entry in noise:
        try:
            mean = sp.expand(data.mean(entry).xreplace(dict(bound)))
        except NoClosedFormError as error:
            raise ArgumentError("perturbation", str(entry), "expressions with a known mean, 0", str(error)) from error
        if mean != 0:
            fix = "subtract it, and add what it is the gradient of to the loss"
            raise ArgumentError("perturbation", f"{entry}, whose mean is {mean}", "expressions of mean 0", fix)


def _canonical(
    loss: sp.Expr | str,
    perturbation: Sequence[sp.Expr | str],
    coordinates: tuple[sp.Symbol, ...],
    data: Data,
    parameters: Mapping[sp.Symbol | str, Number],
) -> tuple[list[sp.Expr], tuple[tuple[sp.Symbol, sp.Expr], ...]]:
    """Match symbols by name, check the loss and the perturbation, and pair parameters with their values."""
    own = {s.name: s for s in (*coordinates, *data.symbols)}
    law = _by_name(_law_symbols(data), "data")
    if set(law) & set(own):
        raise ArgumentError("data", f"laws that depend on {sorted(set(law) & set(own))}", "constant laws", _STATE_FIX)
    given = named_values(parameters)
    known = own | law

    def read(expression: sp.Expr | str, argument: str) -> sp.Expr:
        parsed = parse(expression, known.values(), argument, others=True) if isinstance(expression, str) else expression
        checked = check_expression(parsed, None, argument)
        return checked.xreplace({s: known[s.name] for s in checked.free_symbols if s.name in known})

    read_all = [read(loss, "example_loss"), *(read(entry, "perturbation") for entry in perturbation)]
    used = set(law.values()).union(*(e.free_symbols for e in read_all))
    free = {n: s for n, s in _by_name(used, "example_loss").items() if n not in own}
    unknown = sorted(set(given) - set(free))
    if unknown:
        raise ArgumentError("parameters", unknown, f"symbols of the problem: {', '.join(free) or 'none'}")
    return read_all, tuple((free[n], _parameter_value(free[n], v)) for n, v in given.items())


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
    d = covariance.rows
    root = sp.zeros(d, d)
    for j in range(d):
        rest = (covariance[j:, j] - root[j:, :j] * root[j, :j].T).applyfunc(sp.simplify)
        if rest[0].is_negative or (rest[0].is_zero and not rest.is_zero_matrix):
            raise ArgumentError("covariance", covariance, "a symmetric positive semidefinite matrix")
        if not rest[0].is_zero:
            root[j:, j] = rest / sp.sqrt(rest[0])
    return root
