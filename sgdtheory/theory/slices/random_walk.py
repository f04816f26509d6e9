"""Principal components of a random walk in many dimensions: what they say of a trajectory that goes nowhere.

The points of a walk with independent steps of covariance 1/d in d → ∞ dimensions have the Gram matrix min(i, j): inner
products no longer fluctuate. Its eigenvalues are known for every number of points, and the first two carry three
quarters of the variance or more, though every dimension matters alike.
"""

from __future__ import annotations

from random import Random

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, Recursion, equations, given
from sgdtheory.sources import ANTOGNINI_2018, LI_2018
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import rational

T, k = symbols.trajectory_points, symbols.component
λ_k, total, share = symbols.gram_eigenvalue, symbols.gram_trace, symbols.share_limit
G_ab, G_moved, G_last = symbols.gram_entry, symbols.gram_moved, symbols.scatter_about_last
Array = NDArray[np.float64]
_a, _x = sp.symbols("a x", real=True)


def centred_eigenvalue() -> sp.Expr:
    """Return 1/(4 sin²(πk/2T)), the k-th Gram eigenvalue of T points of a walk, centred; k = 1, …, T − 1.

    Examples
    --------
    >>> [centred_eigenvalue().subs({T: 3, k: i}) for i in (1, 2)]
    [1, 1/3]
    """
    return 1 / (4 * sp.sin(sp.pi * k / (2 * T)) ** 2)


def centred_trace() -> sp.Expr:
    """Return (T² − 1)/6, the sum of these eigenvalues."""
    return (T**2 - 1) / 6


def pinned_eigenvalue() -> sp.Expr:
    """Return 1/(4 sin²((2k − 1)π/(2(2T − 1)))), the k-th for T points of which the last (or first) is subtracted.

    Examples
    --------
    >>> pinned_eigenvalue().subs({T: 2, k: 1})
    1
    """
    return 1 / (4 * sp.sin((2 * k - 1) * sp.pi / (2 * (2 * T - 1))) ** 2)


def pinned_trace() -> sp.Expr:
    """Return T(T − 1)/2, the sum of these eigenvalues."""
    return T * (T - 1) / 2


def component_in_time() -> sp.Expr:
    """Return cos(πk(t − ½)/T), the k-th centred component at point t, up to a factor; t is the glossary's step."""
    return sp.cos(sp.pi * k * (symbols.step - sp.Rational(1, 2)) / T)


# --- derivations -----------------------------------------------------------------------------------------------------


def invert_the_walk() -> list[Case]:
    """Invert the centred Gram matrix: it is the pseudo-inverse of the second differences with free ends.

    Points are sums of steps, so the differences of centred points are the steps, of unit covariance. With D the matrix
    of differences and X the centred points DX = ξ, hence D(XXᵀ)Dᵀ = 1: XXᵀ is the pseudo-inverse of DᵀD, the second
    differences 2v_t − v_{t−1} − v_{t+1}, at the ends v_1 − v_2. On v_t = cos(q(t − ½)), q = πk/T, they give
    (2 − 2cos q)v_t = 4 sin²(q/2)v_t in every row, at the last because qT = πk. The eigenvalues are the reciprocals. The
    trace is Σ_t t − Σ_{s,t} min(s, t)/T.
    """
    rows = [
        (2 * sp.cos(_a) - sp.cos(_a - 2 * _x) - sp.cos(_a + 2 * _x)) / sp.cos(_a),
        (sp.cos(_x) - sp.cos(3 * _x)) / sp.cos(_x),
        (sp.cos(sp.pi * k - _x) - sp.cos(sp.pi * k - 3 * _x)) / sp.cos(sp.pi * k - _x),  # 2xT = πk
    ]
    s, t = sp.symbols("s t", positive=True, integer=True)
    below = sp.summation(s, (s, 1, t)) + t * (T - t)
    trace = sp.summation(t, (t, 1, T)) - sp.expand(sp.summation(sp.expand(below), (t, 1, T)) / T)
    return [_case(row, sp.pi * k / (2 * T), trace) for row in rows]


def invert_the_pinned_walk() -> list[Case]:
    """Invert the Gram matrix about the last point: second differences with one end held at 0.

    Counted from that point the Gram matrix of the other n = T − 1 points is min(i, j). Its inverse is 2v_t − v_{t−1} −
    v_{t+1} with v_0 = 0 and, in the last row, v_n − v_{n−1}. On v_t = sin(qt), q = (2k − 1)π/(2n + 1), it gives
    (2 − 2cos q)v_t in every row, in the last because q(n + ½) is an odd multiple of π/2. The trace is Σ t.
    """
    top = sp.pi * k - sp.pi / 2  # 2x(n + ½)
    rows = [
        (2 * sp.sin(_a) - sp.sin(_a - 2 * _x) - sp.sin(_a + 2 * _x)) / sp.sin(_a),
        (2 * sp.sin(2 * _x) - sp.sin(4 * _x)) / sp.sin(2 * _x),
        (sp.sin(top - _x) - sp.sin(top - 3 * _x)) / sp.sin(top - _x),
    ]
    t = sp.Symbol("t", positive=True, integer=True)
    half_phase = (2 * k - 1) * sp.pi / (2 * (2 * T - 1))
    return [_case(row, half_phase, sp.summation(t, (t, 1, T - 1))) for row in rows]


def _case(row: sp.Expr, half_phase: sp.Expr, trace: sp.Expr) -> Case:
    """Reduce what a row gives to sin² x, and put x = q/2 in."""
    reduced = sp.cancel(sp.expand_trig(row)).subs(sp.cos(_x) ** 2, 1 - sp.sin(_x) ** 2)
    value = 1 / sp.expand(reduced).subs(_x, half_phase)
    return {λ_k: value, total: trace, share: sp.limit(value / trace, T, sp.oo)}


def _by_numbers(centred: bool) -> Recursion:
    """Take the eigenvalues of Gram matrices, and the limit of the share from 100 and 200 points."""

    def eigenvalues(points: int) -> Array:
        index = np.arange(1, points + 1) if centred else np.arange(1, points)
        gram = np.minimum.outer(index, index).astype(float)
        if centred:
            gram -= gram.mean(0)
            gram -= gram.mean(1, keepdims=True)
        return np.linalg.eigvalsh(gram)[::-1]

    def run(point: Case) -> Case:
        values, number = eigenvalues(int(point[T])), int(point[k])
        few, many = ((lambda e: e[number - 1] / e.sum())(eigenvalues(n)) for n in (100, 200))
        # the share of few points differs by a series in 1/T², or in 1/(2T − 1)² where one is pinned
        ratio = 4.0 if centred else (399 / 199) ** 2
        limit = (ratio * many - few) / (ratio - 1)
        return {**point, λ_k: values[number - 1], total: values.sum(), share: limit}

    # what is left of the limit is of fourth order, (πk/200)⁴
    return Recursion(run, ({T: 7, k: 1}, {T: 12, k: 2}, {T: 40, k: 3}), 1e-5)


def shift_every_point(points: int = 3, dimension: int = 2) -> list[Case]:
    """Centre three points in the plane before and after the last is subtracted from all of them.

    Centring takes the mean away, x_a − x̄. Subtracting one vector from every point moves the mean by the same vector, so
    the centred points, their Gram matrix and its eigenvalues are what they were.
    """
    x = sp.Matrix(points, dimension, lambda i, j: sp.Symbol(f"x_{i}{j}", real=True))
    return _shift_cases(x)


def random_shift(random: Random) -> list[Case]:
    """Do so with a random rational trajectory."""
    return _shift_cases(sp.Matrix(random.randint(2, 5), random.randint(1, 4), lambda i, j: rational(random)))


def _shift_cases(x: sp.Matrix) -> list[Case]:
    ones = sp.ones(x.rows, 1)
    centring = sp.eye(x.rows) - ones * ones.T / x.rows
    moved = x - ones * x.row(x.rows - 1)
    before, after = ((centring * points) * (centring * points).T for points in (x, moved))
    about = moved * moved.T
    pairs = ((a, b) for a in range(x.rows) for b in range(a + 1))
    return [{G_ab: before[a, b], G_moved: after[a, b], G_last: about[a, b]} for a, b in pairs]


# --- claims ----------------------------------------------------------------------------------------------------------

_WALK = given("independent steps of mean 0 and covariance 1/d each, in d → ∞ dimensions: far more than points")
_CENTRED = {λ_k: centred_eigenvalue(), total: centred_trace(), share: 6 / (sp.pi**2 * k**2)}
CENTRED = Claim(
    id="VIS-08",
    slug="slices.walk-centred",
    title="Centred principal components of a random walk carry 6/(π²k²): 61 % and 15 %, and draw cosines",
    status="exact",
    statement=equations(_CENTRED),
    assumptions=(_WALK, given("k = 1, …, T − 1")),
    source=ANTOGNINI_2018.where("limit of the shares; here for every number of points"),
    evidence=(Identity(invert_the_walk), _by_numbers(centred=True)),
    mutants=(
        Mutant("as about an end point", equations(_CENTRED, {λ_k: pinned_eigenvalue(), total: pinned_trace()})),
        Mutant("shares like 1/k", equations(_CENTRED, {share: 6 / (sp.pi**2 * k)})),
        Mutant("in many dimensions no component stands out", equations(_CENTRED, {share: sp.S.Zero})),
        Mutant("trace without centring", equations(_CENTRED, {total: T * (T + 1) / 2})),
    ),
    meanings=(*meanings(equations(_CENTRED)), (T, "points"), (k, "number of the component")),
    note="The k-th component over time is cos(πk(t − ½)/T): two of them against each other draw Lissajous curves. In "
    "few dimensions, or with unequal ones, the first shares are larger still on average.",
)

_PINNED = {λ_k: pinned_eigenvalue(), total: pinned_trace(), share: 8 / (sp.pi**2 * (2 * k - 1) ** 2)}
PINNED = Claim(
    id="VIS-09",
    slug="slices.walk-uncentred",
    title="Principal components about a walk's last point, not centred, carry 8/(π²(2k − 1)²): 81 % and 9 %",
    status="exact",
    statement=equations(_PINNED),
    assumptions=(_WALK, given("the last point, or the first, is subtracted; k = 1, …, T − 1")),
    source=LI_2018.where("the matrix θ_i − θ_n whose components are taken; law derived here"),
    evidence=(Identity(invert_the_pinned_walk), _by_numbers(centred=False)),
    mutants=(
        Mutant("as if centred", equations(_PINNED, {λ_k: centred_eigenvalue(), total: centred_trace()})),
        Mutant("the centred shares", equations(_PINNED, {share: 6 / (sp.pi**2 * k**2)})),
        Mutant(
            "the subtracted point counted among the others",
            equations(_PINNED, {λ_k: pinned_eigenvalue().subs(T, T + 1), total: pinned_trace().subs(T, T + 1)}),
        ),
    ),
    meanings=(*meanings(equations(_PINNED)), (T, "points"), (k, "number of the component")),
    note="The first component goes from one end of the walk towards the other and is not a direction of descent.",
)

_SAME = {G_moved: G_ab}
SHIFT = Claim(
    id="VIS-10",
    slug="slices.walk-shift",
    title="Subtracting the final weights before a centring principal component analysis changes nothing",
    status="corrected",
    statement=equations(_SAME),
    assumptions=(given("a trajectory of any length in any dimension; the analysis subtracts the mean of its rows"),),
    source=LI_2018.where("trajectories: rows θ_i − θ_n, then an analysis that centres them"),
    evidence=(Identity(shift_every_point), Property(random_shift, examples=10)),
    mutants=(
        Mutant("as printed: components of the variation about the final weights", equations({G_moved: G_last})),
        Mutant("twice as much", equations({G_moved: 2 * G_ab})),
    ),
    meanings=meanings(equations(_SAME)),
    note="So the law to hold explained variance of that code against is VIS-08. The coordinates it draws are about the "
    "final weights, which only shifts them.",
)

CLAIMS = (CENTRED, PINNED, SHIFT)
"""The theory, in the order of the ledger."""
