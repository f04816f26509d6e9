"""A learning problem: one example's loss, the parameters it is a function of, and the law of the data.

Population loss, gradient, Hessian and gradient noise follow in closed form; nothing here is numerical.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from sgdtheory.errors import ArgumentError
from sgdtheory.expressions import check_expression, parse
from sgdtheory.laws import Data, Dataset, Fresh, Normal, Number

CONVENTIONS = ("half squared error", "squared error", "as given")


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
        return sp.ImmutableMatrix([sp.diff(self.example_loss, w) for w in self.coordinates])

    @cached_property
    def loss(self) -> sp.Expr:
        """Population loss L(w) = E ℓ(w; data)."""
        return sp.factor_terms(self.data.mean(self.example_loss))

    @cached_property
    def gradient(self) -> sp.ImmutableMatrix:
        """∇L, shape (d, 1)."""
        return sp.ImmutableMatrix([sp.diff(self.loss, w) for w in self.coordinates])

    @cached_property
    def hessian(self) -> sp.ImmutableMatrix:
        """∇²L, shape (d, d)."""
        return sp.ImmutableMatrix(sp.hessian(self.loss, self.coordinates))

    @cached_property
    def gradient_noise(self) -> sp.ImmutableMatrix:
        """Σ(w) = Cov ∇ℓ of one example, shape (d, d)."""
        g = self.example_gradient
        mean = [self.data.mean(gi) for gi in g]

        def entry(i: int, j: int) -> sp.Expr:
            return sp.factor_terms(sp.expand(self.data.mean(sp.expand(g[i] * g[j])) - mean[i] * mean[j]))

        return sp.ImmutableMatrix(self.dimension, self.dimension, lambda i, j: entry(min(i, j), max(i, j)))

    def batch_noise(self, batch_size: Number) -> sp.ImmutableMatrix:
        """Covariance of the gradient of a batch of B examples, shape (d, d).

        Σ/B for independent examples; Σ/B·(n−B)/(n−1) for B of n samples without replacement; 0 for the full batch.
        For ``reshuffle`` and ``one epoch`` this is the law of each batch by itself: batches of one epoch are not
        independent of each other.
        """
        size = sp.sympify(batch_size)
        factor = 1 / size
        if isinstance(self.data, Dataset):
            if self.data.sampling == "full batch":
                factor = sp.S.Zero
            elif self.data.sampling != "with replacement" and self.data.size > 1:
                factor *= (self.data.size - size) / sp.Integer(self.data.size - 1)
        return sp.ImmutableMatrix(self.gradient_noise * factor)

    def bind(self, **values: Number) -> Problem:
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
    population_loss = parse(loss, named, "loss") if isinstance(loss, str) else loss
    if covariance is None and noise_std == 0:
        return Problem(population_loss, named, Fresh(), name=name)
    if covariance is not None and noise_std != 0:
        raise ArgumentError("noise_std, covariance", (noise_std, covariance), "one of the two")
    root = sp.sympify(noise_std) * sp.eye(len(named)) if covariance is None else _cholesky(covariance, named)
    data = Fresh(**{f"xi_{w.name}": Normal(0, 1) for w in named})
    pull = (sp.Matrix([list(named)]) * root * sp.Matrix(data.symbols))[0]
    return Problem(sp.sympify(population_loss) + pull, named, data, name=name)


def _coordinates(given: Sequence[sp.Symbol | str], data: Data) -> tuple[sp.Symbol, ...]:
    if isinstance(given, (str, sp.Symbol)) or not given:
        raise ArgumentError("coordinates", given, "a non-empty list of symbols or names", "write [w]")
    names = [w if isinstance(w, str) else getattr(w, "name", None) for w in given]
    if not all(isinstance(n, str) and n for n in names):
        raise ArgumentError("coordinates", list(given), "symbols or names")
    repeated = {n for n in names if names.count(n) > 1} | (set(names) & {s.name for s in data.symbols})
    if repeated:
        raise ArgumentError("coordinates", sorted(map(str, repeated)), "names that occur once", "rename one of them")
    return tuple(sp.Symbol(n, real=True) for n in names)


def _canonical(
    loss: sp.Expr | str, coordinates: tuple[sp.Symbol, ...], data: Data, parameters: Mapping[sp.Symbol | str, Number]
) -> tuple[sp.Expr, tuple[tuple[sp.Symbol, sp.Expr], ...]]:
    """Match symbols by name, check the loss, and pair parameters with their values."""
    own = {s.name: s for s in (*coordinates, *data.symbols)}
    given = {p if isinstance(p, str) else p.name: v for p, v in parameters.items()}
    if isinstance(loss, str):
        extra = [sp.Symbol(n, real=True) for n in given if n not in own]
        loss = parse(loss, [*own.values(), *extra], "example_loss")
    loss = sp.sympify(loss) if isinstance(loss, (int, float)) else loss
    symbols = loss.free_symbols if isinstance(loss, sp.Basic) else set()
    check_expression(loss, symbols, "example_loss")
    loss = loss.xreplace({s: own[s.name] for s in symbols if s.name in own and s != own[s.name]})
    free = {s.name: s for s in (loss.free_symbols | _law_symbols(data)) if s.name not in own}
    unknown = sorted(set(given) - set(free))
    if unknown:
        raise ArgumentError("parameters", unknown, f"symbols of the problem: {', '.join(free) or 'none'}")
    return loss, tuple((free[n], _parameter_value(free[n], v)) for n, v in given.items())


def _parameter_value(symbol: sp.Symbol, value: Number) -> sp.Expr:
    number = sp.sympify(value)
    if not (number.is_number and number.is_finite):
        raise ArgumentError(symbol.name, value, "a finite number", "bind parameters to numbers")
    if any(
        getattr(number, f"is_{fact}") is False
        for fact in ("positive", "nonnegative", "real")
        if symbol.assumptions0.get(fact)
    ):
        raise ArgumentError(symbol.name, value, f"a value that fits the assumptions of {symbol.name}")
    return number


def _law_symbols(data: Data) -> set[sp.Symbol]:
    if isinstance(data, Dataset):
        return set()
    numbers = (entry for _, law in data.laws for entry in vars(law).values())
    return set().union(*(n.free_symbols for n in numbers if isinstance(n, sp.Basic)))


def _cholesky(covariance: sp.Matrix, coordinates: tuple[sp.Symbol, ...]) -> sp.Matrix:
    matrix = sp.Matrix(covariance)
    d = len(coordinates)
    if matrix.shape != (d, d):
        raise ArgumentError("covariance", f"shape {matrix.shape}", f"shape {(d, d)}")
    if matrix.has(*coordinates):
        raise ArgumentError("covariance", matrix, "a constant matrix", "put the state dependence into example_loss")
    if not matrix.is_symmetric() or matrix.is_positive_semidefinite is False:
        raise ArgumentError("covariance", matrix, "a symmetric positive semidefinite matrix")
    try:
        return matrix.cholesky(hermitian=False)
    except (ValueError, sp.matrices.exceptions.NonPositiveDefiniteMatrixError) as error:
        raise ArgumentError(
            "covariance", matrix, "a positive definite matrix", "drop the noiseless direction"
        ) from error
