"""What an allocation is, and what of it depends on the path.

Along a path θ(t) the allocation of coordinate i is ∫ ∂ᵢL dθᵢ. Over all coordinates it adds up to the change of the
loss, whatever the path; what each coordinate gets does depend on the path, unless the loss is a sum of functions of one
coordinate each. The straight segment between two iterates is therefore part of the definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Assumption, Case, Claim, Identity, Mutant, Property, equals, equations, given
from sgdtheory.derive.expansion import generic_polynomial
from sgdtheory.sources import LAN_2019, SHAH_2020
from sgdtheory.theory.random_instances import polynomial, rational

A_sum, A_first, change = symbols.allotted, symbols.first_order, symbols.loss_change
n, A_1, A_2 = symbols.path_power, symbols.path_part_1, symbols.path_part_2
loop, corners = symbols.loop_part, symbols.corner_difference
_t = sp.Symbol("t", nonnegative=True)
_s = sp.Symbol("s", real=True)
_x, _y = sp.symbols("x y", real=True)


def allocate_along(
    loss: sp.Expr, coordinates: Sequence[sp.Symbol], path: Sequence[sp.Expr], time: sp.Symbol
) -> list[sp.Expr]:
    """Return ∫₀¹ ∂ᵢL(θ(t)) θᵢ'(t) dt for every coordinate, exactly.

    Parameters
    ----------
    loss : expression
        L, a polynomial.
    coordinates : sequence of d Symbols
    path : sequence of d expressions
        θ(t), from t = 0 to t = 1, polynomials in t.
    time : Symbol
        t.

    Examples
    --------
    >>> x, y, t = sp.symbols("x y t", positive=True)
    >>> allocate_along(x * y, [x, y], [t, t**2], t)
    [1/3, 2/3]
    """
    on_path = dict(zip(coordinates, path, strict=True))
    return [_integral(sp.diff(loss, w).xreplace(on_path) * sp.diff(on_path[w], time), time) for w in coordinates]


def _integral(polynomial: sp.Expr, time: sp.Symbol) -> sp.Expr:
    """Return the integral over t from 0 to 1, coefficient by coefficient."""
    coefficients = reversed(sp.Poly(polynomial, time).all_coeffs())
    return sp.Add(*(c / (k + 1) for k, c in enumerate(coefficients)))


def straight(start: Sequence[sp.Expr], end: Sequence[sp.Expr], time: sp.Symbol) -> list[sp.Expr]:
    """Return the straight segment from start to end."""
    return [a + time * (b - a) for a, b in zip(start, end, strict=True)]


def conserve() -> Case:
    """Integrate along the segment of any polynomial of degree 4 in two coordinates.

    By the chain rule Σᵢ ∂ᵢL(θ(t)) θᵢ'(t) = d/dt L(θ(t)) along any differentiable path, and the integral of a derivative
    is the difference at the ends: Σᵢ Aᵢ = L(θ(1)) − L(θ(0)). It takes a continuous gradient, nothing else. The first
    order, Σᵢ ∂ᵢL(θ(0))Δᵢ, keeps the first term of Taylor's series alone.
    """
    loss = generic_polynomial("c", (_x, _y), 4)
    moves = sp.symbols("Delta_1 Delta_2", real=True)
    return _totals(loss, (_x, _y), straight((0, 0), moves, _t))


def random_path(random: Random) -> Case:
    """Take a random polynomial loss in 1 to 4 coordinates along a random curve of degree 1 or 2."""
    w = sp.symbols(f"w1:{random.randint(1, 4) + 1}", real=True)
    path = [sp.Add(*(rational(random) * _t**k for k in range(random.randint(1, 2) + 1))) for _ in w]
    return _totals(polynomial(random, w, 3, terms=5), w, path)


def _totals(loss: sp.Expr, coordinates: Sequence[sp.Symbol], path: Sequence[sp.Expr]) -> Case:
    start, end = (dict(zip(coordinates, (p.subs(_t, t) for p in path), strict=True)) for t in (0, 1))
    first = [sp.diff(loss, w).xreplace(start) * (end[w] - start[w]) for w in coordinates]
    return {
        A_sum: sp.Add(*allocate_along(loss, coordinates, path, _t)),
        A_first: sp.Add(*first),
        change: sp.expand(loss.xreplace(end) - loss.xreplace(start)),
    }


def follow_other_paths() -> Case:
    """Allocate the change of xy along the curves (t, tⁿ), and of any polynomial of degree 4 around a rectangle.

    On L = xy from (0, 0) to (1, 1) the parts are ∫ tⁿ dt = 1/(n + 1) and ∫ t·n tⁿ⁻¹ dt = n/(n + 1): any division can be
    had by a choice of the path.

    Around a rectangle with sides a and b, first along x, coordinate x gets L(a, 0) − L(0, 0) on the way out and
    L(0, b) − L(a, b) on the way back, together −∫∫ ∂ₓ∂ᵧL. Two paths that bound the rectangle thus differ by that much
    in what x gets. They never do exactly if ∂ₓ∂ᵧL = 0 everywhere, that is L = f(x) + g(y).
    """
    parts = [sp.integrate(sp.simplify(f), (_t, 0, 1)) for f in (_t**n, _t * sp.diff(_t**n, _t))]
    sides = sp.symbols("a b", positive=True)
    return dict(zip((A_1, A_2), parts, strict=True)) | _around(generic_polynomial("c", (_x, _y), 4), sides)


def random_loop(random: Random) -> Case:
    """Take a random curve (t, tⁿ), and a random polynomial around a random rectangle."""
    power = sp.Integer(random.randint(1, 9))
    parts = allocate_along(_x * _y, (_x, _y), (_t, _t**power), _t)
    sides = [sp.Rational(random.randint(1, 6), random.randint(1, 4)) for _ in range(2)]
    loss = polynomial(random, (_x, _y), 4) + _x * _y
    return {n: power, A_1: parts[0], A_2: parts[1]} | _around(loss, sides)


def _around(loss: sp.Expr, sides: Sequence[sp.Expr]) -> dict[sp.Symbol, sp.Expr]:
    """Go once around [0, a] × [0, b], first along x."""
    a, b = sides
    places = [(0, 0), (a, 0), (a, b), (0, b), (0, 0)]
    edges = [straight(p, q, _t) for p, q in pairwise(places)]
    first = sp.Add(*(allocate_along(loss, (_x, _y), edge, _t)[0] for edge in edges))
    return {
        loop: sp.expand(first),
        corners: sp.expand(sp.integrate(sp.integrate(sp.diff(loss, _x, _y), (_x, 0, a)), (_y, 0, b))),
    }


CONSERVATION = Claim(
    id="LCA-01",
    slug="lca.conservation",
    title="The allocations of all parameters add up to the change of the loss, along any path",
    status="exact",
    statement=equals(A_sum, change),
    assumptions=(given("a loss with continuous gradient; a path that is differentiable piece by piece"),),
    source=LAN_2019.where("definition of LCA"),
    evidence=(Identity(conserve), Property(random_path, examples=20)),
    mutants=(
        Mutant("first order, with the gradient at the start of the step", equals(A_first, change)),
        Mutant("opposite sign", equals(A_sum, -change)),
    ),
    meanings=(
        (A_sum, "sum over the parameters of ∫ ∂ᵢL dθᵢ"),
        (A_first, "sum over the parameters of ∂ᵢL at the start times the move"),
        (change, "loss at the end less loss at the start"),
    ),
)

_ALONG = {A_1: 1 / (n + 1), A_2: n / (n + 1), loop: -corners}

PATHS = Claim(
    id="LCA-02",
    slug="lca.path",
    title="What a single parameter is allotted depends on the path; only the total does not",
    status="corrected",
    statement=equations(_ALONG),
    assumptions=(
        Assumption("exponent of the path (t, tⁿ): n ≥ 1", n, sp.S.Naturals),
        given("the loss xy for A_1, A_2; any polynomial loss for the rectangle"),
    ),
    source=SHAH_2020.where("choice of the path"),
    evidence=(Identity(follow_other_paths), Property(random_loop, examples=12)),
    mutants=(
        Mutant("as printed: any path may be chosen", equations(_ALONG, {A_1: sp.S.Half, A_2: sp.S.Half, loop: 0})),
        Mutant("nothing is left after a round trip", equations(_ALONG, {loop: 0})),
        Mutant("opposite sense", equations(_ALONG, {loop: corners})),
        Mutant("parts exchanged", equations(_ALONG, {A_1: _ALONG[A_2], A_2: _ALONG[A_1]})),
    ),
    meanings=(
        (A_1, "part of the change of xy from (0, 0) to (1, 1) that x is allotted along (t, tⁿ)"),
        (A_2, "the part of y"),
        (loop, "what x is allotted once around a rectangle, first along x"),
        (corners, "∫∫ ∂ₓ∂ᵧL over the rectangle"),
    ),
    note="The parts are independent of it exactly if ∂ᵢ∂ⱼL = 0 for all i ≠ j: the straight segment is a definition.",
)

CLAIMS = (CONSERVATION, PATHS)
"""The theory, in the order of the ledger."""
