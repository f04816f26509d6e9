"""Laws of data: fresh examples or a finite data set, what a batch is, and exact expectations over either."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeAlias

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory.distributions import (
    Law,
    Normal,
    Number,
    Primitive,
    Quantile,
    Rademacher,
    StudentT,
    Uniform,
    law_numbers,
    law_symbols,
    standard_deviation,
)
from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.expressions import check_name

__all__ = [
    "SAMPLINGS",
    "Data",
    "Dataset",
    "Fresh",
    "Law",
    "Normal",
    "Number",
    "Primitive",
    "Quantile",
    "Rademacher",
    "StudentT",
    "Uniform",
    "data_polynomial",
    "data_symbol",
    "law_numbers",
    "law_symbols",
    "standard_deviation",
]

SAMPLINGS = ("with replacement", "without replacement", "reshuffle", "one epoch", "full batch")
_MAX_EXPLICIT_SUM = 256  # above this many samples a sum over a data set is only formed through moments


@dataclass(frozen=True)
class Fresh:
    """Fresh, independent examples at every draw: each data symbol with its law.

    Without symbols the data are empty and every example gradient is the full gradient.

    Parameters
    ----------
    **laws : Law
        Data symbol (by name) → law.

    Examples
    --------
    >>> data = Fresh(x=Normal(0, 1), y=Normal(0, 2))
    >>> [s.name for s in data.symbols]
    ['x', 'y']
    """

    laws: tuple[tuple[sp.Symbol, Law], ...]

    def __init__(self, **laws: Law) -> None:
        for name, law in laws.items():
            if isinstance(law, type) or not hasattr(law, "transform"):
                raise ArgumentError(name, law, "a law such as Normal(0, 1)", f"write {name}=Normal(...)")
            dependent = {s.name for s in law_symbols(law)} & set(laws)
            if dependent:
                allowed = "independent laws, whose parameters are no data symbols"
                raise ArgumentError(name, f"a law that depends on {sorted(dependent)}", allowed)
        object.__setattr__(self, "laws", tuple((data_symbol(name), law) for name, law in laws.items()))

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """The data symbols."""
        return tuple(symbol for symbol, _ in self.laws)

    @property
    def sampling(self) -> str:
        """How batches are drawn."""
        return "fresh"

    def mean(self, expression: sp.Expr) -> sp.Expr:
        """Return the exact expectation of a polynomial in the data symbols.

        Raises
        ------
        NoClosedFormError
            If the expression is not polynomial in the data.
        """
        present = [(s, law) for s, law in self.laws if expression.has(s)]
        if not present:
            return expression
        terms = data_polynomial(expression, [s for s, _ in present])
        if terms is None:
            raise NoClosedFormError(
                f"E[{expression}] over {', '.join(str(s) for s, _ in present)} is not polynomial in the data. "
                "Fix: use a Dataset, or give the population loss itself with landscape(...)"
            )
        return sp.Add(
            *(c * prod(law.moment(k) for (_, law), k in zip(present, powers, strict=True)) for powers, c in terms)
        )

    def covariance(self, left: sp.Expr, right: sp.Expr) -> sp.Expr:
        """Return the exact covariance of two polynomials in the data symbols, from those of their monomials."""
        a, b = data_polynomial(left, self.symbols), data_polynomial(right, self.symbols)
        if a is None or b is None:
            return self.mean(sp.expand(left * right)) - self.mean(left) * self.mean(right)
        return sp.Add(*(c * e * self._monomial_covariance(p, q) for p, c in a for q, e in b))

    def _monomial_covariance(self, p: tuple[int, ...], q: tuple[int, ...]) -> sp.Expr:
        def mean(powers: Iterable[int]) -> sp.Expr:
            return prod(law.moment(k) for (_, law), k in zip(self.laws, powers, strict=True))

        return sp.expand(mean(map(operator.add, p, q)) - mean(p) * mean(q))


@dataclass(frozen=True, eq=False)
class Dataset:
    """A finite data set and the way batches are drawn from it.

    Parameters
    ----------
    sampling : {"with replacement", "without replacement", "reshuffle", "one epoch", "full batch"}
        ``without replacement``: every batch has distinct samples and is independent of the others. ``reshuffle``:
        every epoch a new uniform order for every replica, batches without replacement, a last incomplete batch
        dropped. ``one epoch``: the same, but no step beyond the first epoch.
    **columns : array_like, shape (n,)
        Data symbol (by name) → its n values.

    Examples
    --------
    >>> data = Dataset(x=[1, 2, 3], y=[0, 0, 1], sampling="one epoch")
    >>> data.size, data.mean(data.symbols[0] ** 2)
    (3, 4.66666666666667)
    """

    symbols: tuple[sp.Symbol, ...]
    values: NDArray[np.float64]
    sampling: str

    def __init__(self, *, sampling: str = "with replacement", **columns: ArrayLike) -> None:
        if sampling not in SAMPLINGS:
            raise ArgumentError("sampling", sampling, " | ".join(SAMPLINGS))
        if not columns:
            raise ArgumentError("columns", "{}", "at least one named column", "write Dataset(x=..., y=...)")
        arrays = {name: _column(name, column) for name, column in columns.items()}
        size = next(iter(arrays.values())).size
        for name, array in arrays.items():
            if array.shape != (size,) or size == 0:
                raise ArgumentError(name, f"shape {array.shape}", f"shape ({size or 'n >= 1'},)", "one value a sample")
            if not np.isfinite(array).all():
                bad = int(np.flatnonzero(~np.isfinite(array))[0])
                raise ArgumentError(
                    name, f"{array[bad]} at sample {bad}", "finite numbers", "drop or repair the sample"
                )
        table = np.column_stack(list(arrays.values()))
        table.setflags(write=False)
        object.__setattr__(self, "symbols", tuple(data_symbol(name) for name in arrays))
        object.__setattr__(self, "values", table)
        object.__setattr__(self, "sampling", sampling)

    @property
    def size(self) -> int:
        """Number of samples n."""
        return int(self.values.shape[0])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the values, short."""
        return hashlib.sha256(self.values.tobytes()).hexdigest()[:16]

    def _identity(self) -> tuple[object, ...]:
        return (self.symbols, self.sampling, self.size, self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dataset) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        names = ", ".join(s.name for s in self.symbols)
        return f"Dataset({names}: {self.size} samples, {self.sampling}, digest {self.digest})"

    def mean(self, expression: sp.Expr) -> sp.Expr:
        """Return the mean over the samples: through empirical moments where polynomial, else summed out.

        Raises
        ------
        NoClosedFormError
            If the expression is not polynomial in the data and there are more than 256 samples.
        """
        if not expression.has(*self.symbols):
            return expression
        terms = data_polynomial(expression, self.symbols)
        if terms is not None:
            return sp.Add(*(c * _mean(self._monomial(powers)) for powers, c in terms))
        if self.size > _MAX_EXPLICIT_SUM:
            raise NoClosedFormError(
                f"a mean over {self.size} samples of an expression that is not polynomial in the data would be "
                f"{self.size} terms long (limit {_MAX_EXPLICIT_SUM}). Fix: fewer samples, or a polynomial loss"
            )
        rows = (dict(zip(self.symbols, map(float, row), strict=True)) for row in self.values)
        return sp.Add(*(expression.xreplace({s: sp.Float(v) for s, v in row.items()}) for row in rows)) / self.size

    def covariance(self, left: sp.Expr, right: sp.Expr) -> sp.Expr:
        """Return the covariance over the samples (divisor n): through centred monomials where polynomial.

        E[ab] − E[a]E[b] would lose all digits to cancellation for data far from 0.
        """
        a, b = data_polynomial(left, self.symbols), data_polynomial(right, self.symbols)
        if a is None or b is None:
            return self.mean(sp.expand(left * right)) - self.mean(left) * self.mean(right)
        columns = {powers: self._monomial(powers) for powers, _ in (*a, *b)}
        centred = {powers: column - _mean(column) for powers, column in columns.items()}
        return sp.Add(*(c * e * _mean(centred[p], centred[q]) for p, c in a for q, e in b))

    def _monomial(self, powers: tuple[int, ...]) -> NDArray[np.float64]:
        """Return the product of powers of the columns, one value a sample."""
        with np.errstate(over="ignore", invalid="ignore"):
            column: NDArray[np.float64] = np.prod(self.values ** np.array(powers), axis=1)
        return column


Data: TypeAlias = Fresh | Dataset


def data_symbol(name: str) -> sp.Symbol:
    """Return the real symbol that a data law means by this name."""
    return sp.Symbol(check_name(name, "data"), real=True)


def _mean(*factors: NDArray[np.float64]) -> float:
    """Return the mean of the product of columns; a moment that overflows is refused."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.mean(np.prod(factors, axis=0)))
    if not np.isfinite(mean):
        raise ArgumentError("data", "a moment beyond float64", "moments below 1.8e308", "rescale the columns")
    return mean


def _column(name: str, column: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.array(column)
        if array.dtype.kind not in "biufO":
            raise TypeError(f"values of type {array.dtype}")
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(name, column, "one real number a sample", "convert the column to floats") from error


def data_polynomial(
    expression: sp.Expr, symbols: tuple[sp.Symbol, ...] | list[sp.Symbol]
) -> list[tuple[tuple[int, ...], sp.Expr]] | None:
    """Return (powers, coefficient) of a polynomial in `symbols`, or None if it is none.

    Parts without data are kept as they stand, so that Q(w)² is not multiplied out.
    """
    if not expression.has(*symbols):
        return [((0,) * len(symbols), expression)]
    parts: dict[sp.Expr, sp.Dummy] = {}

    def skeleton(node: sp.Expr) -> sp.Expr:
        if not node.has(*symbols):
            return node if node.is_number else parts.setdefault(node, sp.Dummy(real=True))
        return node.func(*map(skeleton, node.args)) if isinstance(node, (sp.Add, sp.Mul, sp.Pow)) else node

    try:
        terms = sp.Poly(sp.expand(skeleton(expression)), *symbols).terms()
    except sp.PolynomialError:
        return None
    back = {dummy: part for part, dummy in parts.items()}
    return [(powers, coefficient.xreplace(back)) for powers, coefficient in terms]
