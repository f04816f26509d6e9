"""The learning coefficient λ and its multiplicity m, exactly, where a resolution of the loss is at hand.

K ≥ 0 is the loss above its minimum. The volume of K < ε near a zero falls as ε^λ (log 1/ε)^(m−1); −λ is the largest
pole of ∫ K^z and m its order. A resolution turns K into monomials times units: then each divisor gives a candidate,
(1 + order of the Jacobian)/(order of K), the least is λ, and m counts how many with it meet at a point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from sgdtheory.derive.newton_polygon import polygon_exponents
from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.laws import Number


@dataclass(frozen=True)
class LearningCoefficient:
    """The exponents of the volume of almost minimal loss.

    Parameters
    ----------
    value : Rational
        λ; half the number of parameters at a regular minimum.
    multiplicity : int
        m ≥ 1.
    method : str
        How it was found.
    """

    value: sp.Rational
    multiplicity: int
    method: str


def local_learning_coefficient(
    loss: sp.Expr, coordinates: Sequence[sp.Symbol], at: Sequence[Number] | Mapping[sp.Symbol, Number] | None = None
) -> LearningCoefficient:
    """Return λ and m of a polynomial loss at one of its minima.

    Exact for a positive definite Hessian; for products of powers whose factors have independent gradients (normal
    crossings); for sums and products of parts that share no coordinate; and for two coordinates where the loss is not
    degenerate on its Newton polygon.

    Parameters
    ----------
    loss : expression
        Polynomial in the coordinates; its value at the point is subtracted. Decimals count as the fractions they print.
    coordinates : sequence of d Symbols
    at : sequence of d numbers, or mapping, optional
        The minimum; the origin by default.

    Returns
    -------
    LearningCoefficient

    Raises
    ------
    ArgumentError
        If the loss is no polynomial with numbers as coefficients, or the point is seen to be no minimum.
    NoClosedFormError
        If none of the cases applies; it names what is degenerate.

    References
    ----------
    Watanabe (2009), Algebraic geometry and statistical learning theory; Varchenko (1976) for the polygon.

    Examples
    --------
    >>> u, v = sp.symbols("u v", real=True)
    >>> found = local_learning_coefficient((u**2 + v**2) ** 2 * u**4, [u, v])
    >>> found.value, found.multiplicity
    (1/4, 2)
    >>> local_learning_coefficient((u * v - 1) ** 2, [u, v], at=[1, 1]).value
    1/2
    """
    point = _point(coordinates, at)
    exact = sp.nsimplify(sp.sympify(loss), rational=True)
    moved = sp.expand(exact.subs({w: w + value for w, value in point.items()}, simultaneous=True))
    excess = sp.expand(moved - moved.subs(dict.fromkeys(coordinates, 0)))
    if not excess.is_polynomial(*coordinates) or not excess.free_symbols <= set(coordinates):
        raise ArgumentError("loss", loss, "a polynomial in the coordinates with numbers as coefficients")
    if excess == 0:
        raise ArgumentError("loss", loss, "a loss that is not constant")
    _refuse_slope(excess, coordinates, point)
    return _resolved(excess, [w for w in coordinates if excess.has(w)])


def deep_linear_coefficient(widths: Sequence[int], rank: int) -> LearningCoefficient:
    """Return λ and m of a product of matrices W_L⋯W_1 fitted to a matrix of given rank.

    The global ones, over all products that are equal to the true matrix. With three widths it is reduced-rank
    regression.

    Parameters
    ----------
    widths : sequence of L + 1 int
        Of input, hidden layers and output.
    rank : int
        Of the true matrix, from 0 to the least width.

    Returns
    -------
    LearningCoefficient

    Raises
    ------
    ArgumentError
        For fewer than two widths, widths below 1, or a rank that no product reaches.

    References
    ----------
    Aoyagi (2024), Consideration on the learning efficiency of multiple-layered neural networks with linear units;
    Aoyagi, Watanabe (2005), for one hidden layer.

    Examples
    --------
    >>> found = deep_linear_coefficient([1, 1, 1], rank=0)  # (ab)²
    >>> found.value, found.multiplicity
    (1/2, 2)
    """
    widths = [int(width) for width in widths]
    if len(widths) < 2 or min(widths) < 1:
        raise ArgumentError("widths", widths, "two or more whole numbers >= 1")
    if not 0 <= rank <= min(widths):
        raise ArgumentError("rank", rank, f"a whole number from 0 to the least width, {min(widths)}")
    spare = _binding([width - rank for width in widths])
    layers, total = len(spare) - 1, sum(spare)
    uneven = total - (-(-total // layers) - 1) * layers
    pairs = sp.Rational(total**2 - sum(s**2 for s in spare), 2)
    value = (
        sp.Rational(rank * (widths[0] + widths[-1] - rank), 2)
        + sp.Rational(uneven * (layers - uneven), 4 * layers)
        - sp.Rational((layers - 1) * total**2, 4 * layers)
        + pairs / 2
    )
    return LearningCoefficient(value, uneven * (layers - uneven) + 1, "deep linear network")


def _binding(spare: Sequence[int]) -> list[int]:
    """Return the widths beyond the rank that matter: the smallest, as long as wider layers would not bind."""
    ordered = sorted(spare)
    for size in range(2, len(ordered) + 1):
        chosen, rest = ordered[:size], ordered[size:]
        if not rest or sum(chosen) < (size - 1) * rest[0]:
            return chosen
    raise AssertionError("all widths together always bind")


def _point(
    coordinates: Sequence[sp.Symbol], at: Sequence[Number] | Mapping[sp.Symbol, Number] | None
) -> dict[sp.Symbol, sp.Expr]:
    values = dict.fromkeys(coordinates, 0) if at is None else at
    pairs = values if isinstance(values, Mapping) else dict(zip(coordinates, values, strict=True))
    return {w: sp.nsimplify(sp.sympify(pairs[w]), rational=True) for w in coordinates}


def _refuse_slope(excess: sp.Expr, coordinates: Sequence[sp.Symbol], point: Mapping[sp.Symbol, sp.Expr]) -> None:
    origin = dict.fromkeys(coordinates, 0)
    if any(sp.simplify(sp.diff(excess, w).subs(origin)) != 0 for w in coordinates):
        shown = ", ".join(f"{w} = {value}" for w, value in point.items())
        raise ArgumentError("at", shown, "a minimum of the loss", "the gradient does not vanish there")


def _resolved(excess: sp.Expr, coordinates: Sequence[sp.Symbol]) -> LearningCoefficient:
    """Try the cases in turn; coordinates that do not occur are gone."""
    for case in (_regular, _crossing, _sum, _product):
        found = case(excess, coordinates)
        if found is not None:
            return found
    if len(coordinates) == 2:
        return LearningCoefficient(*polygon_exponents(excess, coordinates), "Newton polygon")
    names = ", ".join(w.name for w in coordinates)
    raise NoClosedFormError(
        f"λ of {sp.factor(excess)} is not known here: it is no normal crossing and does not split, and Newton polygons "
        f"are for two coordinates, not {names}. Fix: estimate it with learning_coefficient(problem, n=...)"
    )


def _regular(excess: sp.Expr, coordinates: Sequence[sp.Symbol]) -> LearningCoefficient | None:
    hessian = sp.hessian(excess, coordinates).subs(dict.fromkeys(coordinates, 0))
    definite = hessian.is_positive_definite
    return LearningCoefficient(sp.Rational(len(coordinates), 2), 1, "positive definite Hessian") if definite else None


def _crossing(excess: sp.Expr, coordinates: Sequence[sp.Symbol]) -> LearningCoefficient | None:
    """Take the factors that vanish as new coordinates, if their gradients are independent."""
    origin = dict.fromkeys(coordinates, 0)
    unit, factors = _vanishing_factors(excess, coordinates)
    slopes = sp.Matrix([[sp.diff(factor, w).subs(origin) for w in coordinates] for factor, _ in factors])
    if slopes.rank() < len(factors):
        return None
    if unit < 0 or any(power % 2 for _, power in factors):
        raise _both_signs(excess)
    largest = max(power for _, power in factors)
    return LearningCoefficient(sp.Rational(1, largest), [p for _, p in factors].count(largest), "normal crossing")


def _vanishing_factors(excess: sp.Expr, coordinates: Sequence[sp.Symbol]) -> tuple[sp.Expr, list[tuple[sp.Expr, int]]]:
    """Return the value at the origin of what does not vanish there, and the other irreducible factors."""
    origin = dict.fromkeys(coordinates, 0)
    unit, factors = sp.factor_list(excess, *coordinates)
    kept = []
    for factor, power in factors:
        value = factor.subs(origin)
        if value == 0:
            kept.append((factor, power))
        else:
            unit *= value**power
    return unit, kept


def _sum(excess: sp.Expr, coordinates: Sequence[sp.Symbol]) -> LearningCoefficient | None:
    """Split a sum into parts without common coordinates: λ add, and so do the m − 1."""
    groups = _groups(excess.as_ordered_terms())
    if len(groups) < 2:
        return None
    parts = [_resolved(sp.Add(*group), [w for w in coordinates if sp.Add(*group).has(w)]) for group in groups]
    return LearningCoefficient(
        sp.Add(*(p.value for p in parts)), 1 + sum(p.multiplicity - 1 for p in parts), "sum of separate coordinates"
    )


def _product(excess: sp.Expr, coordinates: Sequence[sp.Symbol]) -> LearningCoefficient | None:
    """Split a product into parts without common coordinates: the least λ, and m of all that have it."""
    unit, factors = _vanishing_factors(excess, coordinates)
    groups = _groups([factor**power for factor, power in factors])
    if len(groups) < 2:
        return None
    parts = [_resolved(sp.expand(sp.Mul(*g)), [w for w in coordinates if sp.Mul(*g).has(w)]) for g in groups]
    if unit < 0:
        raise _both_signs(excess)
    least = min(p.value for p in parts)
    multiplicity = sum(p.multiplicity for p in parts if p.value == least)
    return LearningCoefficient(least, multiplicity, "product of separate coordinates")


def _groups(parts: Sequence[sp.Expr]) -> list[list[sp.Expr]]:
    """Group expressions that share symbols, directly or through others."""
    groups: list[tuple[set[sp.Symbol], list[sp.Expr]]] = []
    for part in parts:
        symbols, members = set(part.free_symbols), [part]
        for group in [g for g in groups if g[0] & symbols]:
            groups.remove(group)
            symbols |= group[0]
            members = group[1] + members
        groups.append((symbols, members))
    return [members for _, members in groups]


def _both_signs(excess: sp.Expr) -> ArgumentError:
    return ArgumentError("at", f"a point beside which {sp.factor(excess)} is negative", "a minimum of the loss")
