"""Newton's method and its relatives: what coordinates they need, degenerate minima, and BFGS on quadratics.

A damped Newton step is w' = w − ηH⁻¹g with g and H the loss's gradient and Hessian at w. At η = 1 it goes to the
stationary point of the quadratic that fits there, be it a minimum, a saddle or a maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Assumption, Case, Claim, Identity, Mutant, Property, equals, given, positive
from sgdtheory.errors import ArgumentError
from sgdtheory.laws import Number
from sgdtheory.sources import MCALLESTER_2018, NAZARETH_1979
from sgdtheory.theory.random_instances import invertible, polynomial, rational, triangular, vector

η, p, g_i = symbols.lr, symbols.degree, symbols.gradient_entry
HΔ, HΔ_u, CΔ_u = symbols.hessian_move, symbols.curved_move, symbols.bending_move
w_i, w1_i, η_one, η_end = symbols.before, symbols.after, symbols.newton_lr, symbols.newton_limit
r_i, s_i, yg, ys = symbols.search_direction, symbols.last_move, symbols.change_gradient, symbols.change_move
My_i, s_old = symbols.old_image, symbols.old_move
Coordinates = Sequence[sp.Symbol]


def newton_move(loss: sp.Expr, coordinates: Coordinates, point: Sequence[Number] | None = None) -> sp.Matrix:
    """Return the full Newton move −H⁻¹g of a loss.

    Parameters
    ----------
    loss : expression
    coordinates : sequence of d Symbols
    point : sequence of d numbers or expressions, optional
        Where; the coordinates themselves by default.

    Returns
    -------
    Matrix, shape (d, 1)

    Raises
    ------
    ArgumentError
        If the Hessian has no inverse there.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> newton_move(x**4 + y**2, [x, y]).T
    Matrix([[-x/3, -y]])
    """
    here = dict(zip(coordinates, coordinates if point is None else map(sp.sympify, point), strict=True))
    gradient, hessian = (value.xreplace(here) for value in _derivatives(loss, coordinates))
    determinant = sp.cancel(hessian.det(method="berkowitz"))
    if determinant == 0:
        raise ArgumentError("loss", f"Hessian {hessian.tolist()}", "an invertible Hessian", "add a multiple of 1 to it")
    return (-hessian.adjugate() * gradient).applyfunc(lambda entry: sp.cancel(entry / determinant))


def homogeneous_ratio() -> sp.Expr:
    """Return 1 − η/(p − 1), by which a Newton step multiplies w on a loss homogeneous of degree p, such as w^p."""
    return 1 - η / (p - 1)


# --- coordinates -----------------------------------------------------------------------------------------------------


def change_coordinates() -> list[Case]:
    """Write the loss in other coordinates u, take the Newton step there, and carry it back.

    For w = Au + c the chain rule gives g̃ = Aᵀg and H̃ = AᵀHA, so AΔᵤ = −A(AᵀHA)⁻¹Aᵀg = −H⁻¹g: H times the carried move
    is −g, as for the Newton move itself. For w = φ(u) with Jacobian J the Hessian is H̃ = JᵀHJ + Σₖgₖ∇²φₖ, and the move
    Δ = JΔᵤ carried back to first order satisfies (H + C)Δ = −g with C = J⁻ᵀ(Σₖgₖ∇²φₖ)J⁻¹. Only derivatives up to the
    second at one point enter, so quadratic polynomials stand for all C² losses and maps. By the first part J may be
    taken as 1 and, turning w and u alike, g along the first axis; the plane shows all terms that occur.
    """
    u, w = sp.symbols("u1:3", real=True), sp.symbols("w1:3", real=True)
    loss = sp.Symbol("g", real=True) * w[0] + _quadratic_form("h", w)
    affine = sp.Matrix(2, 2, sp.symbols("A1:3(1:3)", real=True)) * sp.Matrix(u)
    bent = sp.Matrix(u) + sp.Matrix([_quadratic_form(name, u) for name in ("a", "b")])
    return _carried(loss, w, affine, bent, u)


def random_coordinates(random: Random) -> list[Case]:
    """Carry Newton steps through random affine and quadratic maps in 1 to 4 dimensions, on random quadratic losses."""
    d = random.randint(1, 4)
    u, w = (sp.symbols(f"{name}1:{d + 1}", real=True) for name in "uw")
    while True:
        loss = polynomial(random, w, 2, 20)
        affine, matrix = invertible(random, d) * sp.Matrix(u), invertible(random, d)
        bent = matrix * sp.Matrix(u) + sp.Matrix([polynomial(random, u, 2, 3) for _ in range(d)])
        try:
            return _carried(loss, w, affine, bent, u)
        except (ArgumentError, ValueError):  # a singular Hessian or Jacobian: draw again
            continue


def _quadratic_form(name: str, u: Coordinates) -> sp.Expr:
    pairs = combinations_with_replacement(range(len(u)), 2)
    return sp.Add(*(sp.Symbol(f"{name}_{i + 1}{j + 1}", real=True) * u[i] * u[j] for i, j in pairs))


def _derivatives(loss: sp.Expr, w: Coordinates) -> tuple[sp.Matrix, sp.Matrix]:
    return sp.Matrix([sp.diff(loss, x) for x in w]), sp.hessian(loss, w)


def _carried(loss: sp.Expr, w: Coordinates, affine: sp.Matrix, bent: sp.Matrix, u: Coordinates) -> list[Case]:
    """Take Newton steps at u = 0 in both kinds of coordinates; both maps send 0 to 0."""
    origin = dict.fromkeys((*u, *w), sp.S.Zero)
    gradient, hessian = (value.xreplace(origin) for value in _derivatives(loss, w))

    def carried(place: sp.Matrix) -> sp.Matrix:
        composed = sp.expand(loss.xreplace(dict(zip(w, place, strict=True))))
        jacobian = place.jacobian(u).xreplace(origin)
        return jacobian * newton_move(composed, u, [sp.S.Zero] * len(u))

    inverse = bent.jacobian(u).xreplace(origin).inv()
    second = sp.hessian(gradient.dot(bent), u).xreplace(origin)  # Σₖgₖ∇²φₖ, g held fixed
    straight, curved = carried(affine), carried(bent)
    columns = (gradient, hessian * straight, hessian * curved, inverse.T * second * inverse * curved)
    return [dict(zip((g_i, HΔ, HΔ_u, CΔ_u), row, strict=True)) for row in zip(*columns, strict=True)]


# --- degenerate minima -----------------------------------------------------------------------------------------------


def contract() -> list[Case]:
    """Use Euler's theorem for homogeneous losses.

    L(sw) = s^pL(w) gives ∇L(sw) = s^{p−1}∇L(w), and the derivative in s at s = 1 is Hw = (p − 1)g. So H⁻¹g = w/(p − 1):
    a step of ηH⁻¹g multiplies w, in every direction, by 1 − η/(p − 1). That is 0 at η = p − 1 and −1 at η = 2(p − 1),
    beyond which the steps grow. Written out for w^p on the line with p a symbol, and for all forms of degree 2, 3 and 4
    in the plane.
    """
    cases = [_contracted(w_i**p, [w_i], {})]
    x, y = plane = sp.symbols("w1:3", real=True)
    for number in (2, 3, 4):
        coefficients = sp.symbols(f"c0:{number + 1}", real=True)
        form = sp.Add(*(c * x**k * y ** (number - k) for k, c in enumerate(coefficients)))
        cases.append(_contracted(form, plane, {p: sp.Integer(number)}))
    return [case for group in cases for case in group]


def random_form(random: Random) -> list[Case]:
    """Take the step on a random form of degree 2 to 5 in 1 to 4 dimensions; find 0 and −1 from steps at two rates."""
    d, number = random.randint(1, 4), random.randint(2, 5)
    w = sp.symbols(f"w1:{d + 1}", real=True)
    forms = sorted(sp.itermonomials(w, number, number), key=str)
    start = sp.Matrix([sp.Rational(random.choice((-1, 1)) * random.randint(1, 8), random.randint(1, 4)) for _ in w])
    while True:
        loss = sp.Add(*(rational(random) * term for term in random.sample(forms, min(len(forms), 8))))
        try:
            return _contracted_at(loss, w, start, number, sp.Rational(random.randint(1, 20), 4))
        except ArgumentError:  # a singular Hessian: draw again
            continue


def _contracted(loss: sp.Expr, w: Coordinates, known: Case) -> list[Case]:
    """Solve for the rates at which a coordinate arrives at 0 and at its own negative."""
    cases: list[Case] = []
    for place, shift in zip(w, newton_move(loss, w), strict=True):
        after = place + η * shift
        (one,), (end,) = sp.solve(after, η), sp.solve(after + place, η)
        cases.append({**known, w_i: place, w1_i: after, η_one: one, η_end: end})
    return cases


def _contracted_at(loss: sp.Expr, w: Coordinates, start: sp.Matrix, number: int, lr: sp.Rational) -> list[Case]:
    """Do the same from numbers: the place after a step is linear in the rate."""
    rows = zip(start, newton_move(loss, w, list(start)), strict=True)
    known = {p: sp.Integer(number), η: lr}
    return [
        {**known, w_i: place, w1_i: place + lr * shift, η_one: -place / shift, η_end: -2 * place / shift}
        for place, shift in rows
    ]


# --- quasi-Newton ----------------------------------------------------------------------------------------------------


def bfgs_update(metric: sp.Matrix, move: sp.Matrix, change: sp.Matrix) -> sp.Matrix:
    """Return M' = (1 − syᵀ/(y·s)) M (1 − ysᵀ/(y·s)) + ssᵀ/(y·s), the BFGS estimate of H⁻¹ after a move.

    Parameters
    ----------
    metric : Matrix, shape (d, d)
        M, symmetric.
    move, change : Matrix, shape (d, 1)
        s, and the change y of the gradient along it; y·s ≠ 0.

    Returns
    -------
    Matrix, shape (d, d)
        Symmetric, with M'y = s; positive definite if M is and y·s > 0.

    Examples
    --------
    >>> bfgs_update(sp.eye(1), sp.Matrix([1]), sp.Matrix([4]))
    Matrix([[1/4]])
    """
    product = change.dot(move)
    side = sp.eye(metric.rows) - move * change.T / product
    return side * metric * side.T + move * move.T / product


def induct() -> list[Case]:
    """Make one BFGS update in the situation that exact line search on a quadratic leaves.

    Let s be the last move, y = Hs the change of the gradient and g the gradient now: s·g = 0 by exact search. M began
    as 1 and has changed along earlier moves and changes only, to all of which g is orthogonal, so Mg = g; and M takes
    each earlier change y₀ to its move s₀, with y₀·s = y·s₀ = 0 (conjugacy). Then M'g = g − (y·g/y·s)s, so that the next
    direction −M'g is that of conjugate gradients; M'y = s; and M'y₀ = s₀. This keeps the situation. After n moves M
    maps n independent changes Hs to their moves, so M = H⁻¹, and g, orthogonal to all moves, is 0. Five dimensions
    stand for all, because g, s, y₀, y, s₀ span no more; g, s and y₀ are orthogonal and may be taken along axes.
    """
    g, s, y0 = (size * sp.Matrix([int(k == axis) for k in range(5)]) for axis, size in enumerate(_SIZES))
    y1, y2, y3, y4, a3, a4, a5 = sp.symbols("y1 y2 y3 y4 a3 a4 a5", positive=True)
    y, s0 = sp.Matrix([y1, y2, y3, y4, 0]), sp.Matrix([0, -(y3 * a3 + y4 * a4) / y2, a3, a4, a5])
    metric = sp.Matrix(5, 5, lambda i, j: sp.Symbol(f"m{min(i, j)}{max(i, j)}", real=True))
    for axis, image in ((0, g / _SIZES[0]), (2, s0 / _SIZES[2])):
        metric[axis, :], metric[:, axis] = image.T, image
    return _updated(bfgs_update(metric, s, y), g, s, y, [(y, s), (y0, s0)])


def run_both(random: Random) -> list[Case]:
    """Run BFGS and conjugate gradients, each by itself, on a random quadratic in 1 to 4 dimensions until the end."""
    d = random.randint(1, 4)
    root, w = triangular(random, d), vector(random, d)
    hessian = root * root.T
    other, metric, direction = w, sp.eye(d), -hessian * w
    cases: list[Case] = []
    for _ in range(d):
        before = hessian * w
        if before.is_zero_matrix:
            return cases  # the start lay in a smaller invariant subspace
        move = direction * _exact_search(hessian, before, direction)
        w, gradient = w + move, before + hessian * move
        direction = -gradient + direction * gradient.dot(gradient) / before.dot(before)  # Fletcher and Reeves
        own = -metric * hessian * other
        own_move = own * _exact_search(hessian, hessian * other, own)
        metric, other = bfgs_update(metric, own_move, hessian * own_move), other + own_move
        cases += _updated(metric, gradient, move, hessian * move, [(hessian * own_move, own_move)])
    axes = [sp.Matrix([int(i == k) for i in range(d)]) for k in range(d)]  # at the end M takes every He to e
    return cases + _updated(metric, hessian * other, move, hessian * move, [(hessian * e, e) for e in axes])


_SIZES = sp.symbols("g s y_0", positive=True)


def _exact_search(hessian: sp.Matrix, gradient: sp.Matrix, direction: sp.Matrix) -> sp.Expr:
    return -gradient.dot(direction) / direction.dot(hessian * direction)


def _updated(
    metric: sp.Matrix, g: sp.Matrix, s: sp.Matrix, y: sp.Matrix, pairs: Sequence[tuple[sp.Matrix, sp.Matrix]]
) -> list[Case]:
    shared, step = {yg: y.dot(g), ys: y.dot(s)}, zip(-metric * g, g, s, strict=True)
    directions = [{**shared, r_i: a, g_i: b, s_i: c} for a, b, c in step]
    images = [zip(metric * change, move, strict=True) for change, move in pairs]
    return [
        {**now, My_i: image, s_old: old} for pair in images for now, (image, old) in zip(directions, pair, strict=True)
    ]


# --- claims ----------------------------------------------------------------------------------------------------------


def _coordinates(bent: sp.Expr, straight: sp.Expr = HΔ) -> sp.Basic:
    return sp.And(equals(straight, -g_i), equals(bent, -g_i))


COORDINATES = Claim(
    id="MCA-23",
    slug="lectures.newton-coordinates",
    title="A Newton step is the same in all affine coordinates, but not in curved ones: there the gradient bends it",
    status="corrected",
    statement=_coordinates(HΔ_u + CΔ_u),
    assumptions=(given("loss and coordinates C² with invertible Hessians and Jacobians; any dimension"),),
    source=MCALLESTER_2018.where("slide Newton's method: no choice of coordinates is needed"),
    evidence=(Identity(change_coordinates), Property(random_coordinates, examples=8)),
    mutants=(
        Mutant("as printed: no coordinates needed", _coordinates(HΔ_u)),
        Mutant("opposite sign of the bending", _coordinates(HΔ_u - CΔ_u)),
        Mutant("half the bending", _coordinates(HΔ_u + CΔ_u / 2)),
        Mutant("affine coordinates change it too", _coordinates(HΔ_u + CΔ_u, HΔ + CΔ_u)),
    ),
    meanings=(
        (g_i, "gradient, one coordinate"),
        (HΔ, "Hessian times the move made in affine coordinates"),
        (HΔ_u, "Hessian times the Newton move Δ made in coordinates w = φ(u) and carried back by the Jacobian J"),
        (CΔ_u, "J⁻ᵀ(Σₖgₖ∇²φₖ)J⁻¹Δ"),
    ),
    note="In one dimension the carried move is −g/(h + gφ''/φ'²). At a stationary point g = 0 and the two agree: the "
    "place where Newton's method ends, and its quadratic convergence, do not depend on coordinates.",
)


def _contracts(ratio: sp.Expr, *rates: sp.Basic) -> sp.Basic:
    return sp.And(equals(w1_i, ratio * w_i), *(rates or (equals(η_one, p - 1), equals(η_end, 2 * (p - 1)))))


DEGENERATE = Claim(
    id="MCA-24",
    slug="lectures.newton-degenerate",
    title="On a loss homogeneous of degree p, such as w^p, Newton multiplies w by 1 − η/(p − 1): best is η = p − 1",
    status="corrected",
    statement=_contracts(homogeneous_ratio()),
    assumptions=(
        positive(η, "damping: learning rate of the Newton step"),
        Assumption("degree: p = 2, 3, …", p, sp.Interval(2, sp.oo)),
        given("invertible Hessian at w; any dimension"),
    ),
    source=MCALLESTER_2018.where("slide Newton's method: η in (0, 1) is safer"),
    evidence=(Identity(contract), Property(random_form, examples=25)),
    mutants=(
        Mutant("as printed: no η above 1", _contracts(homogeneous_ratio(), sp.Le(η_one, 1))),
        Mutant("as on a quadratic, 1 − η", _contracts(1 - η)),
        Mutant("divided by the degree", _contracts(1 - η / p)),
        Mutant("best at the degree", _contracts(homogeneous_ratio(), equals(η_one, p))),
        Mutant("stable only to η = 2", _contracts(homogeneous_ratio(), equals(η_end, 2))),
    ),
    meanings=(
        (w_i, "a coordinate before the step, not 0"),
        (w1_i, "the same after it"),
        (η_one, "η that arrives at 0 in one step"),
        (η_end, "η beyond which the steps grow"),
    ),
    note="For w^{2k} the ratio is 1 − η/(2k − 1). η ≤ 1 is safe but slow: on w^4 it leaves ⅔ of w or more a "
    "step, η = 3 nothing. At w = 0 itself the Hessian of w^p, p > 2, has no inverse.",
)


def _quasi(direction: sp.Expr, image: sp.Expr = s_old) -> sp.Basic:
    return sp.And(equals(r_i, direction), equals(My_i, image))


QUASI = Claim(
    id="MCA-25",
    slug="lectures.bfgs",
    title="On a quadratic, BFGS from M = 1 with exact line search is conjugate gradients, and ends with M = H⁻¹",
    status="exact",
    statement=_quasi(-g_i + yg / ys * s_i),
    assumptions=(given("quadratic loss with positive definite Hessian, M = 1 at the start, exact line search"),),
    source=NAZARETH_1979,
    evidence=(Identity(induct), Property(run_both, examples=12)),
    mutants=(
        Mutant("steepest descent", _quasi(-g_i)),
        Mutant("opposite sign of the last move", _quasi(-g_i - yg / ys * s_i)),
        Mutant("twice the last move", _quasi(-g_i + 2 * yg / ys * s_i)),
        Mutant("earlier pairs are forgotten", _quasi(-g_i + yg / ys * s_i, s_old - s_i)),
        Mutant("M tends to H, not H⁻¹", _quasi(-g_i + yg / ys * s_i, yg / ys * s_old)),
    ),
    meanings=(
        (r_i, "BFGS's next direction −Mg, one coordinate"),
        (g_i, "gradient g"),
        (s_i, "last move s of conjugate gradients"),
        (yg, "y·g with y = Hs"),
        (ys, "y·s"),
        (My_i, "M times the gradient's change along any move so far; after n moves, times He for any e"),
        (s_old, "that move; or e"),
    ),
    note="So both find the minimum of a quadratic in n dimensions within n steps, and BFGS its inverse Hessian too, "
    "unless the gradient vanishes before.",
)

CLAIMS = (COORDINATES, DEGENERATE, QUASI)
"""The theory, in the order of the ledger."""
