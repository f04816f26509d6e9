"""Sufficient statistics of a batch: the few sums a gradient depends on, and their exact joint law.

Where an example's gradient is polynomial in the data, Σⱼ cⱼ(w)·mⱼ(data), the batch gradient depends on the batch only
through the means of the monomials mⱼ. If these have a known joint law they can be drawn instead of the examples, and
the cost of a step no longer grows with the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sympy as sp

from sgdtheory import symbols
from sgdtheory.dynamics import Dynamics
from sgdtheory.laws import Fresh, Normal, data_polynomial

Powers = tuple[int, ...]
B = symbols.batch_size


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


def batch_means(dynamics: Dynamics) -> BatchMeans | None:
    """Return the law of a batch's sufficient statistics, or None where it is not known here.

    Known is the law of one normal feature x with any number of independent normal partners y: sums of x, x², y and xy,
    beside others independent of them. With x = μ + σz and Σ(z − z̄)² = c, the numbers √B z̄, c, √B ζ̄ and
    Σ(z − z̄)ζ/√c are independent, standard normal but for c ~ χ²(B − 1), whatever the labels' noise ζ.

    Parameters
    ----------
    dynamics : Dynamics

    Returns
    -------
    BatchMeans or None

    Examples
    --------
    >>> from sgdtheory import SGD, make_dynamics, scalar_mean
    >>> means = batch_means(make_dynamics(scalar_mean(noise_std=1), SGD()))
    >>> means.values, means.gradient
    ((n0/sqrt(B),), (beta - m0,))
    """
    if not isinstance(dynamics.data, Fresh) or not dynamics.data.symbols:
        return None
    polynomials = [data_polynomial(g, dynamics.data.symbols) for g in dynamics.example_gradient]
    laws = [law for _, law in dynamics.data.laws if isinstance(law, Normal)]
    if any(p is None for p in polynomials) or len(laws) < len(dynamics.data.laws):
        return None
    monomials = sorted({powers for p in polynomials for powers, _ in p or () if any(powers)})
    draws = _Draws()
    means: dict[Powers, sp.Expr] = {}
    for part in _independent_parts(monomials):
        found = _part_means(part, laws, draws)
        if found is None:
            return None
        means |= found
    names = {powers: sp.Symbol(f"m{i}", real=True) for i, powers in enumerate(monomials)}
    one = {(0,) * len(dynamics.data.symbols): sp.S.One}
    gradient = tuple(sp.Add(*(c * (names | one)[powers] for powers, c in p or ())) for p in polynomials)
    values = tuple(means[powers] for powers in monomials)
    return BatchMeans(tuple(names.values()), values, gradient, tuple(draws.normals), tuple(draws.chi_squares))


class _Draws:
    """Hands out primitive draws."""

    def __init__(self) -> None:
        self.normals: list[sp.Symbol] = []
        self.chi_squares: list[tuple[sp.Symbol, int]] = []

    def normal(self) -> sp.Symbol:
        self.normals.append(sp.Symbol(f"n{len(self.normals)}", real=True))
        return self.normals[-1]

    def chi_square(self, fewer: int) -> sp.Symbol:
        """Return χ² with B − fewer degrees of freedom."""
        self.chi_squares.append((sp.Symbol(f"k{len(self.chi_squares)}", nonnegative=True), fewer))
        return self.chi_squares[-1][0]


def _independent_parts(monomials: Iterable[Powers]) -> Iterator[list[Powers]]:
    """Split monomials into groups that share no data symbol, even through others."""
    rest = list(monomials)
    while rest:
        part, used = [rest.pop(0)], set[int]()
        while True:
            used |= {i for powers in part for i, k in enumerate(powers) if k}
            linked = [powers for powers in rest if any(powers[i] for i in used)]
            if not linked:
                break
            part += linked
            rest = [powers for powers in rest if powers not in linked]
        yield part


def _part_means(part: list[Powers], all_laws: Sequence[Normal], draws: _Draws) -> dict[Powers, sp.Expr] | None:
    """Return the means of the monomials of one group, or None if they are not those of one feature."""
    used = sorted({i for powers in part for i, k in enumerate(powers) if k})
    if len(part) == 1 and sum(part[0]) == 1:
        law = all_laws[used[0]]
        return {part[0]: law.transform(draws.normal() / sp.sqrt(B))}
    feature = next((i for i in used if all(_belongs(powers, i) for powers in part)), None)
    if feature is None:
        return None
    x = all_laws[feature]
    partners = [i for i in used if i != feature]
    laws = {i: all_laws[i] for i in partners}
    centred = x.moment(1) == 0 and all(law.moment(1) == 0 for law in laws.values())
    if centred and all(powers[feature] and sum(powers) == 2 for powers in part):
        return _centred(part, feature, x, laws, draws)
    return _general(part, feature, x, laws, draws)


def _belongs(powers: Powers, feature: int) -> bool:
    """Whether a monomial is x, x², y or xy for the feature x."""
    others = [k for i, k in enumerate(powers) if i != feature]
    return sum(powers) <= 2 and sum(others) <= 1


def _centred(
    part: list[Powers], feature: int, x: Normal, laws: dict[int, Normal], draws: _Draws
) -> dict[Powers, sp.Expr]:
    """Only x² and xy, all of mean 0: Σz² ~ χ²(B), and Σzζ is normal of variance Σz² given z."""
    square = draws.chi_square(0) / B
    noise = {i: draws.normal() for i in laws}

    def mean(powers: Powers) -> sp.Expr:
        partner = next((i for i in laws if powers[i]), None)
        if partner is None:
            return x.std**2 * square
        return x.std * laws[partner].std * sp.sqrt(square / B) * noise[partner]

    return {powers: mean(powers) for powers in part}


def _general(
    part: list[Powers], feature: int, x: Normal, laws: dict[int, Normal], draws: _Draws
) -> dict[Powers, sp.Expr]:
    """Any of x, x², y, xy: from z̄, c = Σ(z − z̄)², ζ̄ and Σ(z − z̄)ζ, independent given the normalisation by √c."""
    z = draws.normal() / sp.sqrt(B)
    c = draws.chi_square(1)
    along = {i: draws.normal() / sp.sqrt(B) for i in laws}
    across = {i: draws.normal() for i in laws}

    def mean(powers: Powers) -> sp.Expr:
        partner = next((i for i in laws if powers[i]), None)
        x_mean = x.mean + x.std * z
        if partner is None:
            return x_mean if powers[feature] == 1 else x_mean**2 + x.std**2 * c / B
        y = laws[partner]
        y_mean = y.mean + y.std * along[partner]
        if powers[feature] == 0:
            return y_mean
        return x_mean * y_mean + x.std * y.std * sp.sqrt(c) * across[partner] / B

    return {powers: mean(powers) for powers in part}
