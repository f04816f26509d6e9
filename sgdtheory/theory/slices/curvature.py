"""What a random slice shows of the Hessian: its mean over directions, with little scatter in many dimensions.

Along δ the slice curves by δᵀHδ, a sum of all eigenvalues with positive weights.
"""

from __future__ import annotations

from itertools import product
from random import Random

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.claim import (
    Assumption,
    Case,
    Claim,
    Identity,
    Mutant,
    Property,
    Sample,
    equals,
    equations,
    given,
    positive,
    real,
)
from sgdtheory.derive.wick import gaussian_mean
from sgdtheory.sources import BOTTCHER_WHEELER_2024, HERE, LI_2018
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import rational, vector

d, tr, tr2 = symbols.dimension, symbols.hessian_trace, symbols.hessian_square
E_q, V_q, E_x, V_x = symbols.slice_mean, symbols.slice_variance, symbols.cross_mean, symbols.cross_variance
E_u, V_u = symbols.unit_mean, symbols.unit_variance
E_f, n_f = symbols.filter_mean, symbols.filter_size
w_1, w_2, tr_1, tr_2 = (
    symbols.filter_square,
    symbols.filter_square_2,
    symbols.filter_trace,
    symbols.filter_trace_2,
)
q, low, high, dd = (
    symbols.slice_curvature,
    symbols.lowest_curvature,
    symbols.highest_curvature,
    symbols.direction_square,
)
Array = NDArray[np.float64]


def filter_normalised_mean() -> sp.Expr:
    """Return |w₁|²tr H₁₁/n + |w₂|²tr H₂₂/n, the mean curvature of a filter-normalised slice; two filters of n weights.

    Examples
    --------
    >>> filter_normalised_mean().subs({tr_1: 0, tr_2: 0})
    0
    """
    return (w_1 * tr_1 + w_2 * tr_2) / n_f


# --- random directions -----------------------------------------------------------------------------------------------


def pair_off() -> list[Case]:
    """Average products of normal numbers by Isserlis' theorem, in two and three dimensions.

    E δᵢδⱼδₖδₗ pairs the indices off in three ways, so E(δᵀHδ)² = (tr H)² + 2tr H², and the variance is 2tr H². Two
    independent directions leave one pairing: E δᵀHη = 0, E(δᵀHη)² = tr H². A unit vector u is δ/|δ|, independent of
    |δ|, so E uᵀHu = E δᵀHδ/E|δ|² and E(uᵀHu)² = E(δᵀHδ)²/E|δ|⁴. More dimensions only lengthen the sums.
    """
    return [_moments(_symmetric(n)) for n in (2, 3)]


def _symmetric(n: int) -> sp.Matrix:
    return sp.Matrix(n, n, lambda i, j: sp.Symbol(f"H_{min(i, j)}{max(i, j)}", real=True))


def _moments(hessian: sp.Matrix) -> Case:
    n = hessian.rows
    δ, ε = (sp.Matrix(sp.symbols(f"{name}_1:{n + 1}", real=True)) for name in ("delta", "eta"))

    def mean(polynomial: sp.Expr) -> sp.Expr:
        used = sorted(polynomial.free_symbols & {*δ, *ε}, key=str)
        return gaussian_mean(sp.expand(polynomial), used, sp.eye(len(used)))

    form, mixed, square = (δ.T * hessian * δ)[0], (δ.T * hessian * ε)[0], δ.dot(δ)
    first, second = mean(form), mean(form**2)
    unit = first / mean(square)
    return {
        **{d: sp.Integer(n), tr: hessian.trace(), tr2: sp.expand((hessian * hessian).trace())},
        **{E_q: first, V_q: sp.expand(second - first**2), E_x: mean(mixed), V_x: mean(mixed**2)},
        **{E_u: unit, V_u: sp.expand(second / mean(square**2) - unit**2)},
    }


_H = np.diag([3.0, 2.0, 1.0, -2.0]) + 0.5
_NUMBERS = {d: 4.0, tr: float(np.trace(_H)), tr2: float(np.sum(_H**2))}


def _curvatures(rng: np.random.Generator, count: int, unit: bool) -> Array:
    δ = rng.standard_normal((count, len(_H)))
    if unit:
        δ /= np.linalg.norm(δ, axis=1, keepdims=True)
    return np.asarray(np.einsum("ni,ij,nj->n", δ, _H, δ))


def draw_scatter(rng: np.random.Generator, count: int) -> Array:
    """Draw (δᵀHδ − tr H)² for one H in four dimensions."""
    return np.asarray(np.square(_curvatures(rng, count, unit=False) - np.trace(_H)))


def draw_unit_scatter(rng: np.random.Generator, count: int) -> Array:
    """Draw (uᵀHu − tr H/d)², u a random unit vector."""
    return np.asarray(np.square(_curvatures(rng, count, unit=True) - np.trace(_H) / len(_H)))


# --- filter-normalised directions ------------------------------------------------------------------------------------


def average_over_spheres() -> Case:
    """Average dᵀHd over directions whose parts are of given length and independent random directions.

    The part of filter f is |w_f|u_f, u_f a random unit vector. Turning u_f round changes the sign of what joins two
    filters, so its mean is 0; within a filter E u_fu_fᵀ = 1/n_f. Worked out for two filters of two weights.
    """
    hessian = _symmetric(4)
    δ = sp.Matrix(sp.symbols("delta_1:5", real=True))
    size = sp.Matrix([w_1, w_1, w_2, w_2])
    mean = sp.S.Zero
    for i, j in product(range(4), repeat=2):
        if i // 2 == j // 2:  # E u_iu_j = E δ_iδ_j/E|δ|², the length and the direction of δ being independent
            block = δ[2 * (i // 2) : 2 * (i // 2) + 2]
            pair, length = (gaussian_mean(p, list(δ), sp.eye(4)) for p in (δ[i] * δ[j], sum(x**2 for x in block)))
            mean += hessian[i, j] * size[i] * pair / length
    return {E_f: mean, n_f: sp.Integer(2), tr_1: hessian[0, 0] + hessian[1, 1], tr_2: hessian[2, 2] + hessian[3, 3]}


def draw_filter_curvature(rng: np.random.Generator, count: int) -> Array:
    """Draw dᵀHd, filters of two weights and lengths 1 and 3."""
    δ = rng.standard_normal((count, 2, 2))
    part = δ / np.linalg.norm(δ, axis=2, keepdims=True) * np.array([1.0, 3.0])[:, np.newaxis]
    direction = part.reshape(count, 4)
    return np.asarray(np.einsum("ni,ij,nj->n", direction, _H, direction))


# --- bounds ----------------------------------------------------------------------------------------------------------


def weigh_eigenvalues() -> Case:
    """Write the direction in the Hessian's eigenvectors, d = Σcᵢeᵢ, so that dᵀHd = Σλᵢcᵢ² and |d|² = Σcᵢ².

    With λᵢ = λ_min + aᵢ, aᵢ ≥ 0, dᵀHd − λ_min|d|² = Σaᵢcᵢ² ≥ 0, and likewise from above. So λ_min is negative wherever
    a slice curves downwards, at any of its points and along any line in its plane. Three eigenvalues stand for all.
    """
    c = sp.symbols("c_1:4", real=True)
    middle, top = sp.symbols("a_2 a_3", nonnegative=True)
    gaps = (sp.S.Zero, middle, middle + top)
    curvature = sp.Add(*((low + gap) * x**2 for gap, x in zip(gaps, c, strict=True)))
    return {q: curvature, high: low + gaps[-1], dd: sp.Add(*(x**2 for x in c))}


def random_slice(random: Random) -> Case:
    """Turn a random rational spectrum by a random rational rotation (Cayley's), and slice along a random vector."""
    n = random.randint(1, 3)
    skew = sp.Matrix(n, n, lambda i, j: rational(random) if i < j else sp.S.Zero)
    skew = skew - skew.T
    turn = (sp.eye(n) - skew) * (sp.eye(n) + skew).inv()
    spectrum = [rational(random) for _ in range(n)]
    along = vector(random, n)
    hessian = turn * sp.diag(*spectrum) * turn.T
    return {q: (along.T * hessian * along)[0], low: min(spectrum), high: max(spectrum), dd: along.dot(along)}


# --- claims ----------------------------------------------------------------------------------------------------------

_MOMENTS = {
    **{E_q: tr, V_q: 2 * tr2, E_x: sp.S.Zero, V_x: tr2},
    **{E_u: tr / d, V_u: 2 * (d * tr2 - tr**2) / (d**2 * (d + 2))},
}
MEAN = Claim(
    id="VIS-12",
    slug="slices.mean-curvature",
    title="A random slice curves by tr H on average, with variance 2‖H‖²: the mean eigenvalue, not the extremes",
    status="exact",
    statement=equations(_MOMENTS),
    assumptions=(
        positive(d, "dimensions"),
        real(tr, "trace of the Hessian"),
        Assumption("squared Frobenius norm of the Hessian: ‖H‖² ≥ 0", tr2, sp.Interval(0, sp.oo)),
        given("directions of independent standard normal entries, or such directions made unit vectors"),
    ),
    source=BOTTCHER_WHEELER_2024.where("mean curvature along random directions; variances here"),
    evidence=(
        Identity(pair_off),
        Sample(V_q, draw_scatter, _NUMBERS, resolution=0.03),
        Sample(V_u, draw_unit_scatter, _NUMBERS, resolution=0.03),
    ),
    mutants=(
        Mutant(
            "a slice shows the whole spectrum: variance tr H²/d − (tr H/d)² along unit vectors",
            equations(_MOMENTS, {V_u: tr2 / d - tr**2 / d**2}),
        ),
        Mutant("variance ‖H‖²", equations(_MOMENTS, {V_q: tr2})),
        Mutant("the mixed curvature varies as much", equations(_MOMENTS, {V_x: 2 * tr2})),
        Mutant("unit vectors as if their entries were independent", equations(_MOMENTS, {V_u: 2 * tr2 / d**2})),
    ),
    meanings=(*meanings(equations(_MOMENTS)),),
    note="At distance a the loss rises by a²δᵀHδ/2, of mean a²tr H/2 and relative scatter √(2‖H‖²)/tr H.",
)

_FILTERS = {E_f: filter_normalised_mean()}
FILTER_MEAN = Claim(
    id="VIS-16",
    slug="slices.filter-mean",
    title="A filter-normalised slice curves on average by each filter's squared length times its own mean eigenvalue",
    status="exact",
    statement=equations(_FILTERS),
    assumptions=(
        positive(n_f, "weights of a filter"),
        Assumption("squared length of the first filter", w_1, sp.Interval(0, sp.oo)),
        Assumption("squared length of the second filter", w_2, sp.Interval(0, sp.oo)),
        real(tr_1, "trace of the first filter's block of the Hessian"),
        real(tr_2, "trace of the second filter's block"),
        given("normal draws, each filter's part then made as long as the filter; both filters of n weights"),
    ),
    source=HERE,
    evidence=(
        Identity(average_over_spheres),
        Sample(
            E_f,
            draw_filter_curvature,
            {n_f: 2.0, w_1: 1.0, w_2: 9.0, tr_1: float(_H[0, 0] + _H[1, 1]), tr_2: float(_H[2, 2] + _H[3, 3])},
            resolution=0.05,
        ),
    ),
    mutants=(
        Mutant("the whole trace, as of a raw slice", equations(_FILTERS, {E_f: tr_1 + tr_2})),
        Mutant("without the filter's number of weights", equations(_FILTERS, {E_f: w_1 * tr_1 + w_2 * tr_2})),
        Mutant("lengths instead of their squares", equations({E_f: (sp.sqrt(w_1) * tr_1 + sp.sqrt(w_2) * tr_2) / n_f})),
    ),
    meanings=(*meanings(equations(_FILTERS)),),
    note="A layer times c multiplies its squared lengths by c² and its block of the Hessian by 1/c²: the mean stays.",
)

_BOUNDS = sp.And(sp.Ge(q, low * dd), sp.Le(q, high * dd))
VISIBLE = Claim(
    id="VIS-15",
    slug="slices.visible-means-true",
    title="What curves downwards on a slice does so in truth: λ_min|d|² ≤ dᵀHd ≤ λ_max|d|²",
    status="exact",
    statement=_BOUNDS,
    assumptions=(
        real(low, "smallest eigenvalue"),
        real(high, "largest eigenvalue"),
        Assumption("squared length of the direction", dd, sp.Interval(0, sp.oo)),
        given("loss twice differentiable; H its Hessian at a point of the slice"),
    ),
    source=LI_2018.where("non-convexity seen on a slice"),
    evidence=(Identity(weigh_eigenvalues), Property(random_slice, examples=30)),
    mutants=(
        Mutant("the slice shows the smallest curvature", equals(q, low * dd)),
        Mutant("a slice never curves more than the mean of both ends", sp.Le(q, (low + high) / 2 * dd)),
        Mutant("the converse: no eigenvalue below what is seen", sp.Le(q, low * dd)),
    ),
    meanings=(*meanings(_BOUNDS),),
    note="Not conversely: a slice that looks convex proves nothing. How likely a saddle is to look so is VIS-13.",
)

CLAIMS = (MEAN, FILTER_MEAN, VISIBLE)
"""The theory, in the order of the ledger."""
