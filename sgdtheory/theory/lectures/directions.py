"""What makes a vector a step: units of the loss, dual vectors and metrics, the natural gradient.

A gradient is a dual vector: to subtract it from the parameters one must say how long a move is, by a positive definite
matrix M, and the step is −Mg. The learning rate carries the units, and M may turn the step by anything below a right
angle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from random import Random

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, Recursion, equals, equations, given, positive, real
from sgdtheory.errors import ArgumentError
from sgdtheory.optimizers import SGD
from sgdtheory.sources import AMARI_1998, MCALLESTER_2018, MCALLESTER_2020
from sgdtheory.theory.random_instances import triangular, vector

η, η_bits, Δ, slope = symbols.lr, symbols.lr_bits, symbols.move, symbols.log_slope
Mg, d_i, form, area = symbols.metric_image, symbols.direction, symbols.metric_form, symbols.area
dx, gd, gg, det = symbols.direction_along, symbols.descent, symbols.squared_gradient, symbols.metric_determinant
kernel, Rg_sq = symbols.kernel_product, symbols.root_product
κ, ρ, q, η_nat = symbols.divergence, symbols.divergence_bound, symbols.inverse_form, symbols.natural_lr
best, other, gap = symbols.natural_gain, symbols.other_gain, symbols.gap_area
Array = NDArray[np.float64]


def dual_metric(gradient: sp.Matrix, direction: sp.Matrix) -> sp.Matrix:
    """Return a metric that makes a direction the image of the gradient, M = 1 − ggᵀ/(g·g) + ddᵀ/(g·d).

    Parameters
    ----------
    gradient, direction : Matrix, shape (n, 1)
        g and d.

    Returns
    -------
    Matrix, shape (n, n)
        Mg = d; symmetric, and positive definite where g·d > 0.

    Raises
    ------
    ArgumentError
        If g·d is zero or negative: then no positive definite M has Mg = d.

    Examples
    --------
    >>> dual_metric(sp.Matrix([1, 0]), sp.Matrix([1, 2]))
    Matrix([
    [1, 2],
    [2, 5]])
    """
    promise = gradient.dot(direction)
    if promise.is_nonpositive:
        fix = "a positive definite M has g·Mg > 0"
        raise ArgumentError("direction", f"g·d = {promise}", "a direction with g·d > 0", fix)
    return sp.eye(gradient.rows) - gradient * gradient.T / gradient.dot(gradient) + direction * direction.T / promise


def natural_step(gradient: sp.Matrix, hessian: sp.Matrix, bound: sp.Expr) -> sp.Matrix:
    """Return the move Δ = −√(2ρ/(gᵀH⁻¹g)) H⁻¹g that lowers g·Δ most among those with ½ΔᵀHΔ ≤ ρ.

    Parameters
    ----------
    gradient : Matrix, shape (n, 1)
    hessian : Matrix, shape (n, n)
        Positive definite: of the Kullback–Leibler divergence (the Fisher information), or any other metric.
    bound : number or Symbol
        ρ > 0.

    Returns
    -------
    Matrix, shape (n, 1)

    Raises
    ------
    ArgumentError
        If the gradient is zero: then no direction is best.

    Examples
    --------
    >>> natural_step(sp.Matrix([3, 4]), sp.eye(2), sp.Rational(1, 2))
    Matrix([
    [-3/5],
    [-4/5]])
    """
    if gradient.is_zero_matrix:
        raise ArgumentError("gradient", "0", "a gradient that is not zero", "at a stationary point nothing is steepest")
    raised = hessian.LUsolve(gradient)
    return -raised * sp.sqrt(2 * bound / gradient.dot(raised))


def squared_area(x: sp.Matrix, y: sp.Matrix) -> sp.Expr:
    """Return Σ_{i<j}(xᵢyⱼ − xⱼyᵢ)² = |x|²|y|² − (x·y)² (Lagrange), zero exactly where x and y are parallel."""
    return sp.Add(*((x[i] * y[j] - x[j] * y[i]) ** 2 for i, j in combinations(range(x.rows), 2)))


# --- units -----------------------------------------------------------------------------------------------------------


def change_units() -> Case:
    """Write one step on the loss −ln P, and ask for the learning rate that makes the same step on −log₂P.

    The gradient of −ln P is −p with p = ∇ln P, so a step of descent, −η(−p) = ηp, goes up the likelihood. −log₂P is
    −ln P/ln 2, and so is its gradient, the larger by 1/ln 2. The step is the same if the learning rate is smaller by
    that factor, η' = η ln 2, and then every later step is the same too.
    """
    lr = sp.Symbol("r", positive=True)
    nats = SGD().update(-slope).displacement
    bits = SGD(lr=lr).update(-slope / sp.log(2)).displacement
    (solution,) = sp.solve(sp.Eq(bits, nats), lr)
    return {η_bits: solution, Δ: nats}


def train_in_both_units(point: Case) -> Case:
    """Train a logistic classifier in nats; bisect for the learning rate in bits that ends at the same place."""
    lr, examples = float(point[η]), np.array([[1.0, 2.0], [0.5, -1.0], [1.5, 1.0]])

    def log_likelihood(w: Array) -> float:
        return -float(np.logaddexp(0, -examples @ w).sum())

    def differences(f: Callable[[Array], float], w: Array) -> Array:
        return np.array([(f(w + e) - f(w - e)) / 2e-5 for e in 1e-5 * np.eye(2)])

    def descend(rate: float, unit: float, steps: int) -> Array:
        w = np.zeros(2)
        for _ in range(steps):
            w = w - rate * differences(lambda at: -log_likelihood(at) / unit, w)
        return w

    goal, low, high = descend(lr, 1.0, 20)[0], lr / 8, lr * 8
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if descend(middle, math.log(2), 20)[0] < goal else (low, middle)
    uphill = differences(log_likelihood, np.zeros(2))
    first = descend(lr, 1.0, 1)
    return {**point, η_bits: low, slope: float(uphill[0]), Δ: float(first[0])}


# --- dual vectors ----------------------------------------------------------------------------------------------------


def build_metric() -> list[Case]:
    """Multiply out M = 1 − ggᵀ/(g·g) + ddᵀ/(g·d).

    Mg = g − g + d = d. For any x, xᵀMx = |x|² − (x·g)²/|g|² + (d·x)²/(g·d), and by Lagrange's identity the first two
    terms are Σ_{i<j}(xᵢgⱼ − xⱼgᵢ)²/|g|² ≥ 0. They vanish only for x = cg; then the last is c²(g·d) > 0. So M is
    positive definite if g·d > 0, and its determinant is g·d/|g|²: a basis that begins with g shows it. Conversely a
    positive definite K is RRᵀ with R invertible, and g·Kg = |Rᵀg|² > 0: no other d can be reached. Three dimensions
    stand for all, because g, d and x span no more.
    """
    g, d, x = (sp.Matrix(sp.symbols(f"{name}1:4", real=True)) for name in "gdx")
    root = sp.Matrix(3, 3, sp.symbols("R1:4(1:4)", real=True))
    return _metric_cases(g, d, x, root)


def random_metric(random: Random) -> list[Case]:
    """Build the metric for random rational vectors in 1 to 4 dimensions, d turned so that g·d > 0."""
    n = random.randint(1, 4)
    g, d, x = (vector(random, n) for _ in range(3))
    while g.dot(d) == 0:
        g, d = vector(random, n), vector(random, n)
    root = sp.Matrix.hstack(*(vector(random, n) for _ in range(n)))
    return _metric_cases(g, d * sp.sign(g.dot(d)), x, root)


def _metric_cases(
    g: sp.Matrix, d: sp.Matrix, x: sp.Matrix, root: sp.Matrix, metric: sp.Matrix | None = None
) -> list[Case]:
    metric = dual_metric(g, d) if metric is None else metric
    shared = {
        form: (x.T * metric * x)[0],
        area: squared_area(x, g),
        dx: d.dot(x),
        gd: g.dot(d),
        gg: g.dot(g),
        det: metric.det(method="berkowitz"),
        kernel: (g.T * root * root.T * g)[0],
        Rg_sq: (root.T * g).dot(root.T * g),
    }
    return [{**shared, Mg: image, d_i: wanted} for image, wanted in zip(metric * g, d, strict=True)]


def _normalised_by_length() -> list[Case]:
    """Divide ddᵀ by d·d instead of g·d: then Mg is only parallel to d."""
    g, d, x = (sp.Matrix(sp.symbols(f"{name}1:4", real=True)) for name in "gdx")
    metric = sp.eye(3) - g * g.T / g.dot(g) + d * d.T / d.dot(d)
    return _metric_cases(g, d, x, sp.eye(3), metric)


# --- natural gradient ------------------------------------------------------------------------------------------------


def constrain() -> Case:
    """Minimise g·Δ under ½ΔᵀHΔ ≤ ρ with a multiplier, and compare with any other move.

    Write H = RRᵀ, u = R⁻¹g, v = RᵀΔ: then g·Δ = u·v, ΔᵀHΔ = |v|² and q = gᵀH⁻¹g = |u|², so H may be taken as 1. u·v is
    linear, so its minimum lies on the bound; u + λv = 0 gives v = −u/λ, that is Δ = −H⁻¹g/λ, and ½|u|²/λ² = ρ gives the
    learning rate 1/λ = √(2ρ/q) and g·Δ = −q/λ. For any other move, ½|v|² = κ, Lagrange's identity is 2κq − (u·v)² =
    Σ_{i<j}(uᵢvⱼ − uⱼvᵢ)² ≥ 0, so g·Δ ≥ −√(2κq) ≥ −√(2ρq), which is the step's own. Three dimensions stand for all: u
    and v span no more.
    """
    u, v = (sp.Matrix(sp.symbols(f"{name}1:4", real=True)) for name in "uv")
    lr = sp.Symbol("r", positive=True)
    step = -lr * u
    (found,) = sp.solve(sp.cancel(step.dot(step) / u.dot(u)) * q / 2 - ρ, lr)
    at_best = {lr: found.subs(q, u.dot(u))}
    return {
        η_nat: at_best[lr],
        best: u.dot(step).subs(at_best),
        q: u.dot(u),
        κ: v.dot(v) / 2,
        other: u.dot(v),
        gap: squared_area(u, v),
    }


def random_natural_step(random: Random) -> Case:
    """Take the step for a random rational metric in 1 to 4 dimensions, its length such that the root is rational."""
    n = random.randint(1, 4)
    root = triangular(random, n)
    metric, g, move, length = root * root.T, vector(random, n), vector(random, n), random.randint(1, 9)
    raised = metric.LUsolve(g)
    bound = g.dot(raised) * sp.Rational(length, 4) ** 2 / 2
    step = natural_step(g, metric, bound)
    (i, *_) = (k for k in range(n) if raised[k] != 0)
    return {
        q: g.dot(raised),
        ρ: bound,
        η_nat: -step[i] / raised[i],
        best: g.dot(step),
        κ: move.dot(metric * move) / 2,
        other: g.dot(move),
        gap: squared_area(root.LUsolve(g), root.T * move),
    }


# --- claims ----------------------------------------------------------------------------------------------------------


def _units(lr: sp.Expr, step: sp.Expr) -> sp.Basic:
    return sp.And(equals(η_bits, lr), equals(Δ, step))


UNITS = Claim(
    id="MCA-29",
    slug="lectures.nats-and-bits",
    title="A learning rate has units: for the loss in bits it is η ln 2; and descent on −ln P adds η∇ln P",
    status="corrected",
    statement=_units(η * sp.log(2), η * slope),
    assumptions=(positive(η, "learning rate for the loss in nats"), real(slope, "∂ ln P, one coordinate")),
    source=MCALLESTER_2020.where("solutions to the SGD problems, nats and bits"),
    evidence=(
        Identity(change_units),
        # differences over 10⁻⁵ carry rounding of 10⁻¹¹, twenty steps long
        Recursion(train_in_both_units, tuple({η: sp.Rational(n, 20)} for n in (1, 5, 20)), 1e-8),
    ),
    mutants=(
        Mutant("as printed: the update subtracts η∇ln P", _units(η * sp.log(2), -η * slope)),
        Mutant("divided instead of multiplied", _units(η / sp.log(2), η * slope)),
        Mutant("a pure number, the same in all units", _units(η, η * slope)),
    ),
    meanings=(
        (η_bits, "learning rate that makes the same steps on −log₂P"),
        (Δ, "step on −ln P, one coordinate"),
    ),
    note="Loss times c needs η/c. Newton's method, and RMSProp and Adam without ε, take the same steps in all units.",
)


_DUAL = {Mg: d_i, form: area / gg + dx**2 / gd, det: gd / gg, kernel: Rg_sq}
DUAL = Claim(
    id="MCA-22",
    slug="lectures.dual-vector",
    title="Some positive definite M takes g to d if and only if g·d > 0; then M = 1 − ggᵀ/(g·g) + ddᵀ/(g·d) is one",
    status="exact",
    statement=equations(_DUAL),
    assumptions=(given("g·d > 0, x any vector, K = RRᵀ with R any matrix; any dimension"),),
    source=MCALLESTER_2018.where("slide The gradient as a dual vector"),
    evidence=(Identity(build_metric), Property(random_metric, examples=25)),
    mutants=(
        Mutant("dᵢ up to its length: ddᵀ/(d·d)", evidence=(Identity(_normalised_by_length),)),
        Mutant("only parallel to d", equations(_DUAL, {Mg: d_i * gd / gg})),
        Mutant("only semidefinite: without the last square", equations(_DUAL, {form: area / gg})),
        Mutant("last square without its divisor", equations(_DUAL, {form: area / gg + dx**2})),
        Mutant("determinant 1", equations(_DUAL, {det: sp.S.One})),
        Mutant("determinant of the inverse", equations(_DUAL, {det: gg / gd})),
        Mutant("g·Kg may be negative", equations(_DUAL, {kernel: -Rg_sq})),
    ),
    meanings=(
        (Mg, "M times the gradient, one coordinate"),
        (d_i, "d, the same coordinate"),
        (form, "xᵀMx"),
        (area, "Σ_{i<j}(xᵢgⱼ − xⱼgᵢ)²"),
        (dx, "d·x"),
        (gd, "g·d"),
        (gg, "g·g"),
        (det, "determinant of M"),
        (kernel, "g·Kg for any positive definite K = RRᵀ"),
        (Rg_sq, "|Rᵀg|²"),
    ),
    note="The lectures choose a basis instead, with b₁ = d/√(ηg·d) and g·bᵢ = 0 for i > 1; then M = ηΣbᵢbᵢᵀ. So "
    "without a metric any descent direction has as good a claim to be the gradient's.",
)


def _natural(lr: sp.Expr, gain: sp.Expr, square: sp.Expr) -> sp.Basic:
    return sp.And(equals(η_nat, lr), equals(best, gain), equals(other**2, square))


_LR, _GAIN, _SQUARE = sp.sqrt(2 * ρ / q), -sp.sqrt(2 * ρ * q), 2 * κ * q - gap
NATURAL = Claim(
    id="MCA-30",
    slug="lectures.natural-gradient",
    title="Among moves with ½ΔᵀHΔ ≤ ρ the step −√(2ρ/q)·H⁻¹g, q = gᵀH⁻¹g, lowers g·Δ most, by √(2ρq)",
    status="exact",
    statement=_natural(_LR, _GAIN, _SQUARE),
    assumptions=(
        positive(ρ, "bound on the divergence"),
        positive(q, "gᵀH⁻¹g"),
        given("H positive definite, g ≠ 0, any dimension"),
    ),
    source=AMARI_1998.where("steepest descent in a Riemannian space; also McAllester's notes on natural gradient"),
    evidence=(Identity(constrain), Property(random_natural_step, examples=40)),
    mutants=(
        Mutant("bound on ΔᵀHΔ, without the half", _natural(_LR / sp.sqrt(2), _GAIN, _SQUARE)),
        Mutant("without the root", _natural(2 * ρ / q, _GAIN, _SQUARE)),
        Mutant("half the gain, as after a Newton step", _natural(_LR, _GAIN / 2, _SQUARE)),
        Mutant("other moves gain more", _natural(_LR, _GAIN, 2 * κ * q + gap)),
        Mutant("all moves of one length gain the same", _natural(_LR, _GAIN, 2 * κ * q)),
    ),
    meanings=(
        (η_nat, "factor of −H⁻¹g in the step"),
        (best, "g·Δ of the step"),
        (other, "g·Δ of any other move"),
        (κ, "½ΔᵀHΔ of that move, at most ρ"),
        (gap, "Σ_{i<j}(uᵢvⱼ − uⱼvᵢ)² with H = RRᵀ, u = R⁻¹g, v = RᵀΔ; zero only for moves parallel to the step"),
    ),
    note="With H the Fisher information, ½ΔᵀHΔ is the Kullback–Leibler divergence to leading order in the move.",
)

CLAIMS = (DUAL, UNITS, NATURAL)
"""The theory, in the order of the ledger."""
