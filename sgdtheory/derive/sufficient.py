"""Sufficient statistics of a batch: the few sums a gradient depends on, and their exact joint law.

Where an example's gradient is polynomial in the data, Σⱼ cⱼ(w)·mⱼ(data), the batch gradient depends on the batch only
through the means of the monomials mⱼ. If these have a known joint law they can be drawn instead of the examples, and
the cost of a step no longer grows with the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import sympy as sp

from sgdtheory import symbols
from sgdtheory.dynamics import Dynamics
from sgdtheory.laws import Fresh, Normal, Rademacher, data_polynomial

Powers = tuple[int, ...]
B = symbols.batch_size

_CHI_SQUARE_COST = 3
_ONE = -1
"""Stands among the indices of data symbols for the constant 1, which is what a linear monomial is multiplied with."""
_KEPT_ORDERS = 256
"""Partial orders looked at, of each length: all there are for up to 10 symbols."""


@dataclass(frozen=True)
class BatchMeans:
    """Means of monomials over a batch, as functions of independent primitive draws.

    Parameters
    ----------
    symbols : tuple of Symbols
        The means.
    values : tuple of expressions
        The same in `normals`, `chi_squares`, the batch size and parameters.
    gradient : tuple of d expressions
        Batch gradient, in the coordinates and `symbols`.
    normals : tuple of Symbols
        Independent standard normal numbers.
    chi_squares : tuple of (Symbol, int)
        Independent χ² numbers, each with how many degrees of freedom fewer than the batch size it has.
    """

    symbols: tuple[sp.Symbol, ...]
    values: tuple[sp.Expr, ...]
    gradient: tuple[sp.Expr, ...]
    normals: tuple[sp.Symbol, ...]
    chi_squares: tuple[tuple[sp.Symbol, int], ...]

    @property
    def cost(self) -> int:
        """What the draws of a step cost, in normal numbers; a χ² number costs about three."""
        return len(self.normals) + _CHI_SQUARE_COST * len(self.chi_squares)

    @property
    def least_batch(self) -> int:
        """The smallest batch they can be drawn for: a χ² number is drawn with two degrees of freedom or more."""
        return max((fewer + 2 for _, fewer in self.chi_squares), default=1)


def batch_means(dynamics: Dynamics) -> BatchMeans | None:
    """Return the law of a batch's sufficient statistics, or None where it is not known here.

    Known is the joint law of the means of all monomials up to degree two in independent normal numbers, by Bartlett's
    decomposition of the Wishart law. The B values of a data symbol x = μ + σz are a vector of B numbers. In an
    orthonormal basis that begins with the constant vector and goes on, as Gram and Schmidt do, with the vectors of
    x₁, x₂, …, it is, over √B,

        (μ + σ n/√B, σ n′/√B, σ n″/√B, …, σ √(c/B), 0, …):

    z has no preferred direction, so its components along earlier directions are standard normal numbers, whatever
    these are, and c, the square of what is left of it, is χ² with as many degrees of freedom fewer than B as there
    are earlier directions. All are independent. The means of x and of xy are the products of such a vector with that
    of the constant, (1, 0, …), and with another such vector. Three things save draws:

    - A symbol that meets earlier ones alone, never itself, ends with its component along the last of them: it needs
      no χ² number. The order is chosen that takes the fewest draws.
    - Where all means are 0 and all monomials are of degree two the basis need not begin with the constant.
    - Symbols that no chain of products connects are independent and have bases of their own.

    A fair sign r among normal numbers of mean 0 stands for the constant where all monomials are of degree two: the
    products of r with the others have together the law of the others, and r² = 1.

    Parameters
    ----------
    dynamics : Dynamics

    Returns
    -------
    BatchMeans or None

    References
    ----------
    Bartlett (1933), On the theory of statistical regression.

    Examples
    --------
    >>> from sgdtheory import SGD, make_dynamics, scalar_mean
    >>> means = batch_means(make_dynamics(scalar_mean(noise_std=1), SGD()))
    >>> means.values, means.gradient
    ((n[0]/sqrt(B),), (beta - m[y],))
    """
    data = dynamics.data
    if not isinstance(data, Fresh) or not data.symbols or B in dict(dynamics.parameters):
        return None
    certain = {s: law.mean for s, law in data.laws if isinstance(law, Normal) and law.std.is_zero}
    polynomials = [data_polynomial(g.xreplace(certain), data.symbols) for g in dynamics.example_gradient]
    monomials = sorted({powers for p in polynomials for powers, _ in p or () if any(powers)})
    laws = {i: law for i, (_, law) in enumerate(data.laws) if isinstance(law, (Normal, Rademacher))}
    used = {i for powers in monomials for i in _factors(powers)}
    if None in polynomials or not used or not used <= laws.keys() or any(sum(powers) > 2 for powers in monomials):
        return None
    draws = _Draws()
    means: dict[Powers, sp.Expr] = {}
    for part in _independent_parts(monomials):
        found = _part_means(part, laws, draws)
        if found is None:
            return None
        means |= found
    if not draws.normals and not draws.chi_squares:  # squares of signs: nothing to draw
        return None
    # brackets, as in the names of an optimizer's buffers, keep these apart from every name a user can give
    names = {p: sp.Symbol(f"m[{sp.Mul(*(data.symbols[i] for i in _factors(p)))}]", real=True) for p in monomials}
    one = {(0,) * len(data.symbols): sp.S.One}
    gradient = tuple(sp.Add(*(c * (names | one)[powers] for powers, c in p or ())) for p in polynomials)
    values = tuple(means[powers] for powers in monomials)
    return BatchMeans(tuple(names.values()), values, gradient, tuple(draws.normals), tuple(draws.chi_squares))


class _Draws:
    """Hands out primitive draws."""

    def __init__(self) -> None:
        self.normals: list[sp.Symbol] = []
        self.chi_squares: list[tuple[sp.Symbol, int]] = []

    def normal(self) -> sp.Symbol:
        self.normals.append(sp.Symbol(f"n[{len(self.normals)}]", real=True))
        return self.normals[-1]

    def chi_square(self, fewer: int) -> sp.Symbol:
        """Return χ² with B − fewer degrees of freedom."""
        self.chi_squares.append((sp.Symbol(f"k[{len(self.chi_squares)}]", nonnegative=True), fewer))
        return self.chi_squares[-1][0]


def _factors(powers: Powers) -> list[int]:
    """Return the indices of a monomial's factors, those of a square twice."""
    return [i for i, k in enumerate(powers) for _ in range(k)]


def _independent_parts(monomials: Iterable[Powers]) -> Iterator[list[Powers]]:
    """Split monomials into groups that share no data symbol, even through others."""
    rest = list(monomials)
    while rest:
        part, used = [rest.pop(0)], set[int]()
        while True:
            used |= {i for powers in part for i in _factors(powers)}
            linked = [powers for powers in rest if any(powers[i] for i in used)]
            if not linked:
                break
            part += linked
            rest = [powers for powers in rest if powers not in linked]
        yield part


def _part_means(
    part: Sequence[Powers], all_laws: Mapping[int, Normal | Rademacher], draws: _Draws
) -> dict[Powers, sp.Expr] | None:
    """Return the means of the monomials of one group, as products of vectors in the basis of `batch_means`, or None."""
    pairs = {powers: [*_factors(powers), _ONE][:2] for powers in part}
    used = sorted({i for pair in pairs.values() for i in pair} - {_ONE})
    laws = {i: law for i in used if isinstance(law := all_laws[i], Normal)}
    constant = any(_ONE in pair for pair in pairs.values()) or not all(law.mean.is_zero for law in laws.values())
    if len(laws) < len(used):  # the rest are signs
        if constant or len(laws) < len(used) - 1:
            return None
        pairs = {powers: [i if i in laws else _ONE for i in pair] for powers, pair in pairs.items()}
        constant = True
    met = {i: {sum(pair) - i for pair in pairs.values() if i in pair} for i in laws}
    place = {i: p for p, i in enumerate([_ONE] * constant + _best_order(met))}
    vectors: dict[int, list[sp.Expr]] = {_ONE: [sp.S.One]}
    for i in laws:
        before = place[i] if i in place else 1 + max(place[j] for j in met[i])
        z = [draws.normal() for _ in range(before)]
        if i in place:
            z.append(sp.sqrt(draws.chi_square(before)))
        vectors[i] = [laws[i].std * component / sp.sqrt(B) for component in z]
        vectors[i][0] += laws[i].mean
    return {
        powers: sp.Add(*(a * b for a, b in zip(vectors[i], vectors[j], strict=False)))  # beyond the shorter are zeros
        for powers, (i, j) in pairs.items()
    }


def _best_order(met: Mapping[int, Set[int]]) -> list[int]:
    """Return the symbols that get a direction of their own, in the order that takes the fewest draws.

    Each of these takes a normal number for every direction before it and a χ² number; every other symbol meets these
    alone and takes a normal number for every direction up to the last of them.

    Parameters
    ----------
    met : mapping of int to set of int
        What each symbol is multiplied with: other symbols, itself, the constant.

    Returns
    -------
    list of int

    Notes
    -----
    What is still to be drawn depends on which symbols have a direction, not on their order. So of all orders of the
    same symbols only the cheapest is continued. The constant is counted as the first direction; where there is none
    every symbol takes a number less, which changes no comparison.
    """
    orders: dict[Set[int], tuple[int, list[int]]] = {frozenset({_ONE}): (0, [])}
    finished: list[tuple[int, list[int]]] = []
    while orders:
        longer: dict[Set[int], tuple[int, list[int]]] = {}
        for placed, (cost, order) in sorted(orders.items(), key=lambda entry: entry[1])[:_KEPT_ORDERS]:
            waiting = [i for i in met if i not in placed and not met[i] <= placed]
            if not waiting:
                finished.append((cost, order))
            for i in waiting:
                now = placed | {i}
                served = sum(i in met[j] and met[j] <= now for j in met if j not in now)
                found = (cost + len(placed) + _CHI_SQUARE_COST + served * len(now), [*order, i])
                longer[now] = min(longer.get(now, found), found)
        orders = longer
    return min(finished)[1]
