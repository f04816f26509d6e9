"""The learning coefficient of a function of two coordinates from its Newton polygon.

Each edge of the polygon, with normal (a, b), is a divisor of the toric resolution: along u = t^a…, v = t^b… the
function is of order l(a, b) = min(ai + bj) and the area of order a + b, so its candidate is (a + b)/l. The axes are
divisors with normals (1, 0) and (0, 1). Curves on which the function vanishes to order p give 1/p; they cross an edge's
divisor at the real roots, other than 0, of the polynomial the function has on that edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import sympy as sp

from sgdtheory.errors import ArgumentError, NoClosedFormError

Normal = tuple[int, int]
_s = sp.Symbol("s")


def polygon_exponents(excess: sp.Expr, coordinates: Sequence[sp.Symbol]) -> tuple[sp.Rational, int]:
    """Return λ and m of a nonnegative polynomial K of two coordinates, K(0) = 0, at the origin.

    Parameters
    ----------
    excess : expression
        K, with rational coefficients.
    coordinates : sequence of 2 Symbols

    Returns
    -------
    λ, m

    Raises
    ------
    ArgumentError
        If K takes negative values at the origin.
    NoClosedFormError
        If on an edge curves of zeros touch or cross each other: K is degenerate there, and other coordinates are
        needed.

    References
    ----------
    Varchenko (1976), Newton polyhedra and estimation of oscillating integrals.

    Examples
    --------
    >>> u, v = sp.symbols("u v")
    >>> polygon_exponents(u**4 + u**2 * v**2 + v**6, [u, v])
    (1/2, 2)
    """
    polynomial = sp.Poly(excess, *coordinates)
    if not (polynomial.domain.is_ZZ or polynomial.domain.is_QQ):
        raise NoClosedFormError(f"the Newton polygon of {excess} is not examined: its coefficients are not rational")
    vertices = newton_vertices(polynomial)
    if any(power % 2 for vertex in vertices for power in vertex) or any(polynomial.nth(*v) < 0 for v in vertices):
        raise ArgumentError("at", f"a point beside which {excess} is negative", "a minimum of the loss")
    strata = [(sp.Poly(part, *coordinates), order) for part, order in sp.sqf_list(excess, *coordinates)[1]]
    normals = [(1, 0), *map(_normal, pairwise(vertices)), (0, 1)]
    found = [(_candidate(vertices, normal), _curves(excess, strata, normal)) for normal in normals]
    least = min(min([value, *(sp.Rational(1, order) for order in orders)]) for value, orders in found)
    at_least = [value == least for value, _ in found]
    crossing = any(value == least and sp.Rational(1, order) == least for value, orders in found for order in orders)
    return least, 2 if crossing or any(both == (True, True) for both in pairwise(at_least)) else 1


def newton_vertices(polynomial: sp.Poly) -> list[tuple[int, int]]:
    """Return the vertices of the Newton polygon, from the smallest power of the first coordinate on.

    Examples
    --------
    >>> u, v = sp.symbols("u v")
    >>> newton_vertices(sp.Poly(v**6 + u**2 * v**2 + u**3 * v**2 + u**4, u, v))
    [(0, 6), (2, 2), (4, 0)]
    """
    hull: list[tuple[int, int]] = []
    lowest = math.inf
    for i, j in sorted(polynomial.monoms()):
        if j >= lowest:  # above or right of an earlier one
            continue
        lowest = j
        while len(hull) > 1 and _turn(hull[-2], hull[-1], (i, j)) <= 0:
            hull.pop()
        hull.append((i, j))
    return hull


def _turn(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    """Return > 0 where the path a, b, c turns left: the corner belongs to the lower hull."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _normal(edge: tuple[tuple[int, int], tuple[int, int]]) -> Normal:
    (left, high), (right, low) = edge
    size = math.gcd(right - left, high - low)
    return (high - low) // size, (right - left) // size


def _candidate(vertices: Sequence[tuple[int, int]], normal: Normal) -> sp.Expr:
    order = min(normal[0] * i + normal[1] * j for i, j in vertices)
    return sp.Rational(sum(normal), order) if order else sp.oo


def _curves(excess: sp.Expr, strata: Sequence[tuple[sp.Poly, int]], normal: Normal) -> list[int]:
    """Return the orders of K on the curves of zeros that leave the origin in the direction of an edge."""
    if 0 in normal:
        return []
    sides = [(_on_edge(part, normal), order) for part, order in strata]
    together = sp.Poly(sp.Mul(*(side.as_expr() for side, _ in sides)), _s)
    repeated = sp.gcd(together, together.diff(_s))
    if _roots(repeated):
        shown = sp.factor(sp.Mul(*(_face(part, normal) ** order for part, order in strata)))
        raise NoClosedFormError(
            f"λ of {sp.factor(excess)} is not known here: it is degenerate on the edge {shown} of its Newton polygon. "
            "Fix: other coordinates, or estimate it with learning_coefficient(problem, n=...)"
        )
    orders = [order for side, order in sides if _roots(side)]
    if any(order % 2 for order in orders):
        raise ArgumentError("at", f"a point beside which {sp.factor(excess)} is negative", "a minimum of the loss")
    return orders


def _face(part: sp.Poly, normal: Normal) -> sp.Expr:
    """Return the terms of least weight ai + bj."""
    weights = {(i, j): normal[0] * i + normal[1] * j for i, j in part.monoms()}
    least = min(weights.values())
    u, v = part.gens
    return sp.Add(*(part.nth(i, j) * u**i * v**j for (i, j), weight in weights.items() if weight == least))


def _on_edge(part: sp.Poly, normal: Normal) -> sp.Poly:
    """Return the same as a polynomial in s = u^b v^(−a), which takes every real value but 0 off the axes."""
    face = sp.Poly(_face(part, normal), *part.gens)
    first = min(i for i, _ in face.monoms())
    return sp.Poly(sp.Add(*(c * _s ** ((i - first) // normal[1]) for (i, _), c in face.terms())), _s)


def _roots(polynomial: sp.Poly) -> int:
    """Return the number of real roots other than 0."""
    if polynomial.degree() < 1:
        return 0
    return int(polynomial.count_roots()) - int(polynomial.eval(0) == 0)
