"""Why about half of the parameters help: exactly half in a reversible long run, and how the half is reached.

The allocation of the step back is minus that of the step. Where steps and their reverses are equally likely, the two
signs are too. On the way there the gradient decides, measured in standard errors of its estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import permutations
from random import Random

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.claim import (
    Assumption,
    Case,
    Claim,
    Identity,
    Mutant,
    Property,
    Sample,
    equations,
    given,
    positive,
    real,
)
from sgdtheory.derive.expansion import generic_polynomial
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.laws import Number
from sgdtheory.optimizers import SGD, Momentum
from sgdtheory.sources import HERE, LAN_2019
from sgdtheory.theory.lectures.confidence import normal_probability
from sgdtheory.theory.loss_change_allocation.definition import allocate_along, straight
from sgdtheory.theory.loss_change_allocation.stationary import (
    commutator_allocation,
    draw_step,
    example_values,
    linear_step,
    symmetric,
)
from sgdtheory.theory.random_instances import polynomial, rational

η, B, h, σ, k = symbols.lr, symbols.batch_size, symbols.curvature, symbols.noise_std, symbols.true_gradient
A, A_back, A_sum = symbols.allocation, symbols.return_part, symbols.allotted
P, P_floor, N = symbols.help_probability, symbols.help_floor, symbols.noise_scale
D, ρ = symbols.step_scale, symbols.step_correlation
Array = NDArray[np.float64]
_t = sp.Symbol("t", nonnegative=True)


def normal_below(z: Number) -> sp.Expr:
    """Return Φ(z), the probability that a standard normal number is below z."""
    return (1 + sp.erf(z / sp.sqrt(2))) / 2


def help_probability(standard_errors: Number, sharpness: Number = η * h) -> sp.Expr:
    """Return Φ(r) + Φ((2/(ηh) − 1)r) − 1, how often a step of SGD lowers ½hθ².

    Parameters
    ----------
    standard_errors : number or expression
        r = |G|√B/σ = √(B/B_simple) ≥ 0, the gradient in standard errors of its estimate.
    sharpness : number or expression
        ηh > 0.

    Examples
    --------
    >>> round(float(help_probability(4, 0.5)), 5)
    0.99997
    """
    return normal_below(standard_errors) + normal_below((2 / sharpness - 1) * standard_errors) - 1


def help_at_correlation(correlation: Number) -> sp.Expr:
    """Return ½ − arcsin(ρ)/π, how often the product of two normal numbers of mean 0 is negative."""
    return sp.S.Half - sp.asin(correlation) / sp.pi


def squares_product(hessian: sp.Matrix, covariance: sp.Matrix, lr: Number = η) -> sp.Expr:
    """Return E u²·E v², u the first coordinate's long-run move and v its gradient in the middle of the step."""
    moves = 2 * lr * (hessian * covariance)[0, 0]
    both = hessian * covariance + covariance * hessian
    return moves * (hessian * (covariance - lr / 4 * both) * hessian)[0, 0]


def long_run_help(hessian: sp.Matrix, covariance: sp.Matrix, lr: Number = η) -> sp.Expr:
    """Return how often the first coordinate helps in the long run of SGD on a quadratic.

    Parameters
    ----------
    hessian, covariance : Matrix, shape (d, d)
        H, and S of the long run.
    lr : number or Symbol
        η.

    Examples
    --------
    >>> long_run_help(sp.diag(1, 2), sp.Matrix([[2, 1], [1, 2]]))
    1/2
    """
    mean = commutator_allocation(hessian, covariance, lr)[0]
    return help_at_correlation(mean / sp.sqrt(squares_product(hessian, covariance, lr)))


# --- steps back ------------------------------------------------------------------------------------------------------


def step_and_return() -> Case:
    """Go along a segment and back, on any polynomial of degree 3 in two coordinates; count by pairs.

    On the way back the mean gradient is the same and the move the opposite one, so A_back = −A, for any loss. If a step
    from θ to θ' is as likely as one from θ' to θ, then P(A < 0) = P(A_back < 0) = P(A > 0). If A = 0 has probability
    zero the two add up to 1: both are ½.
    """
    w, ends = sp.symbols("x y", real=True), (sp.symbols("a_1 a_2", real=True), sp.symbols("b_1 b_2", real=True))
    loss = generic_polynomial("c", w, 3)
    forth, back = (allocate_along(loss, w, straight(*order, _t), _t)[0] for order in (ends, ends[::-1]))
    helps, hurts = sp.symbols("helps hurts", positive=True)
    (shares,) = sp.linsolve([helps - hurts, helps + hurts - 1], helps, hurts)
    return {A: sp.expand(forth), A_back: sp.expand(back), P: shares[0]}


def random_reversible_chain(random: Random) -> Case:
    """Let a chain hop between four random points, as often from one to another as back; allocate a random loss."""
    return _hopping(random, lambda flows, pair: flows[frozenset(pair)])


def _hopping(random: Random, flow: Callable[[dict[frozenset[int], sp.Expr], tuple[int, int]], sp.Expr]) -> Case:
    w = sp.symbols(f"w1:{random.randint(1, 2) + 1}", real=True)
    points = [[rational(random, 9) + j * sp.Rational(1, 7) for _ in w] for j in range(4)]
    loss = polynomial(random, w, 3, terms=4) + w[0] ** 2
    pairs = list(permutations(range(4), 2))
    flows = {frozenset(pair): sp.Rational(random.randint(1, 9)) for pair in pairs}
    parts = {p: allocate_along(loss, w, straight(points[p[0]], points[p[1]], _t), _t)[0] for p in pairs}
    moving = {pair: flow(flows, pair) for pair, part in parts.items() if part != 0}
    helping = sp.Add(*(rate for pair, rate in moving.items() if parts[pair] < 0))
    return {A: parts[0, 1], A_back: parts[1, 0], P: helping / sp.Add(*moving.values())}


def _random_circulation(random: Random) -> Case:
    """Hop up the numbers of the points three times as often as down."""
    return _hopping(random, lambda flows, pair: flows[frozenset(pair)] * (3 if pair[0] < pair[1] else 1))


def draw_heavy_ball(rng: np.random.Generator, n: int) -> Array:
    """Take one step of heavy ball on ½θ² in its long run, η = 1, μ = 0.9, noise 1; 1 where it helped.

    With its buffer it is no reversible chain; but two neighbouring positions, normal with equal variances, can change
    places.
    """
    covariance = np.array(_heavy_ball_covariance(), dtype=float)
    θ, v = np.linalg.cholesky(covariance) @ rng.standard_normal((2, n))
    after = θ - (0.9 * v + θ + rng.standard_normal(n))
    return np.asarray((after**2 < θ**2).astype(float))


@cache
def _heavy_ball_covariance() -> sp.ImmutableMatrix:
    return stationary_covariance(quadratic(1, 1), Momentum(1, sp.Rational(9, 10)), 1)


# --- the long run that is not reversible -----------------------------------------------------------------------------

H, S = symmetric("H", 2), symmetric("S", 2)


def angle_of_two_normals() -> Case:
    """Take A = uv with the move u and the gradient v in the middle of the step, two normal numbers of mean 0.

    Their correlation is ρ = E uv/√(E u² E v²). Write u = r cos φ, v ∝ r(ρ cos φ + √(1 − ρ²) sin φ) with φ uniform: on
    the half circle −π/2 < φ < π/2, where u > 0, v is negative below φ = −arcsin ρ, on the part ½ − arcsin(ρ)/π. The
    moments are E u² = 2η(HS)₁₁ and, with E θΔᵀ = −ηSH and E ΔΔᵀ = η(HS + SH), E v² = [H(S − (η/4)(HS + SH))H]₁₁.
    """
    move, middle, joint = linear_step(H, S)
    u, v = move[0, :], middle[0, :]
    product, u_square, v_square = (sp.expand((a * joint * b.T)[0]) for a, b in ((u, v), (u, u), (v, v)))
    φ = sp.Symbol("phi", real=True)
    turn = -sp.asin(ρ)
    if sp.simplify((ρ * sp.cos(φ) + sp.sqrt(1 - ρ**2) * sp.sin(φ)).subs(φ, turn)) != 0:
        raise ValueError("v does not change sign there")
    return {A: product, D: u_square * v_square, P: (turn + sp.pi / 2) / sp.pi}


def draw_help(rng: np.random.Generator, n: int) -> Array:
    """Return 1 where a step in the plane, curvature and noise not commuting, helped by its first coordinate."""
    move, middle = draw_step(rng, n)
    return np.asarray((move[:, 0] * middle[:, 0] < 0).astype(float))


# --- off the long run ------------------------------------------------------------------------------------------------


def between_the_roots() -> Case:
    """Find the estimates for which a step helps, and their probability.

    With the estimate ĝ the step is −ηĝ and the loss ½hθ² changes by −ηĝ(G − ½ηhĝ). For G > 0 it falls exactly between
    the roots 0 and 2G/(ηh): the estimate must have the right sign, and not overshoot. ĝ is normal of mean G and
    standard deviation σ/√B, so in standard errors the limits are −r and (2/(ηh) − 1)r with r = G√B/σ. The noise scale
    is σ²/G² = B/r². As B → 0 both limits go to 0, and the probability with them: a single step that is all noise
    overshoots almost surely. Only for ηh → 0 first is it a toss, Φ(r) → ½.
    """
    estimate, error = sp.Symbol("ghat_1", real=True), σ / sp.sqrt(B)
    change = SGD().update(estimate).displacement * (k - η * h * estimate / 2)
    low, high = sorted(sp.solve(change, estimate), key=lambda root: root != 0)
    P_help = normal_probability((low - k) / error, (high - k) / error)
    return {N: σ**2 / k**2, P: P_help, P_floor: P_help.subs(B, 0)}


_EXAMPLE = {η: sp.Rational(7, 5), h: sp.S.One, σ: sp.Integer(2), k: sp.S.One, B: sp.Integer(4), N: sp.Integer(4)}


def draw_fall(rng: np.random.Generator, n: int) -> Array:
    """Take a step on ½θ² from θ = 1 with batches of 4 estimates, η = 1.4, σ = 2; 1 where the loss fell."""
    estimate = rng.normal(1, 2, (n, 4)).mean(axis=1)
    return np.asarray(((1 - 1.4 * estimate) ** 2 < 1).astype(float))


# --- claims ----------------------------------------------------------------------------------------------------------

_REVERSED = {A_back: -A, P: sp.S.Half}

REVERSIBLE = Claim(
    id="LCA-11",
    slug="lca.half-help",
    title="Where steps and their reverses are equally likely, a parameter helps in exactly half of the steps",
    status="exact",
    statement=equations(_REVERSED),
    assumptions=(
        real(A, "allocation of a step to a coordinate"),
        given("any loss; the law of (θ, θ') is that of (θ', θ); P(A = 0) = 0, or such steps are not counted"),
    ),
    source=LAN_2019.where("abstract: barely over half of the parameters help"),
    evidence=(
        Identity(step_and_return),
        Property(random_reversible_chain, examples=4),
        Sample(P, draw_heavy_ball, {}, resolution=0.03),
    ),
    mutants=(
        Mutant("barely over half", equations(_REVERSED, {P: sp.Rational(11, 20)})),
        Mutant("all, as in the naive allocation", equations(_REVERSED, {P: sp.S.One})),
        Mutant("the step back is allotted the same", equations(_REVERSED, {A_back: A})),
        Mutant("a chain that goes round", evidence=(Property(_random_circulation, examples=2),)),
        Mutant("curvature and noise do not commute", evidence=(Sample(P, draw_help, {}, resolution=0.03),)),
    ),
    meanings=((A, "allocation of a step"), (A_back, "that of the step back"), (P, "probability that a step helps")),
    note="So it is in the long run of SGD if curvature and noise commute, and in one dimension with momentum too. An "
    "excess over one half is a transient, or noise of another shape than the curvature (LCA-17).",
)

_MEAN = commutator_allocation(H, S)[0]
_SCALE = 2 * η * (H * S)[0, 0] * (H * (S - η / 4 * (H * S + S * H)) * H)[0, 0]
_CORRELATED = {A: commutator_allocation(H, S)[0], D: squares_product(H, S), P: help_at_correlation(ρ)}
_VALUES = {**example_values()}
_VALUES[ρ] = (_CORRELATED[A] / sp.sqrt(_CORRELATED[D])).subs(_VALUES)

CORRELATED = Claim(
    id="LCA-17",
    slug="lca.long-run-help",
    title="In SGD's long run on a quadratic a parameter helps in ½ − arcsin(ρ)/π of the steps, ρ of the sign of E A",
    status="exact",
    statement=equations(_CORRELATED),
    assumptions=(
        positive(η, "learning rate"),
        *(real(s) for s in sorted(H.free_symbols | S.free_symbols, key=str)),
        Assumption("correlation of u and v, E A/√D: −1 < ρ < 1", ρ, sp.Interval.open(-1, 1)),
        given("SGD on a quadratic in the plane, normal noise independent of θ, S the long-run covariance"),
    ),
    source=HERE,
    evidence=(Identity(angle_of_two_normals), Sample(P, draw_help, _VALUES, resolution=0.03)),
    mutants=(
        Mutant("always half", equations(_CORRELATED, {P: sp.S.Half})),
        Mutant("a parameter that hurts on average helps more often", equations(_CORRELATED, {P: 1 - _CORRELATED[P]})),
        Mutant("angle of the half circle", equations(_CORRELATED, {P: sp.S.Half - sp.asin(ρ)})),
        Mutant("gradient as at the start", equations(_CORRELATED, {D: 2 * η * (H * S)[0, 0] * (H * S * H)[0, 0]})),
    ),
    meanings=(
        (A, "mean allocation to coordinate 1, E uv"),
        (D, "E u² E v², u its move and v its gradient in the middle of the step"),
        (P, "probability that coordinate 1 helps"),
    ),
    note="More than two dimensions only lengthen the sums. Half exactly where the mean allocation is 0 (LCA-10).",
)

_FALL = {N: σ**2 / k**2, P: help_probability(sp.sqrt(B / N)), P_floor: sp.S.Zero}

TRANSIENT = Claim(
    id="LCA-12",
    slug="lca.help",
    title="A step of SGD on a parabola helps with probability Φ(r) + Φ((2/(ηh) − 1)r) − 1, r² = B/B_simple",
    status="exact",
    statement=equations(_FALL),
    assumptions=(
        positive(η, "learning rate"),
        positive(h, "curvature"),
        positive(σ, "standard deviation of one example's gradient"),
        positive(k, "gradient, taken positive"),
        positive(B, "batch size"),
        given("one coordinate, quadratic loss, SGD, normal estimates of the gradient"),
    ),
    source=HERE,
    evidence=(Identity(between_the_roots), Sample(P, draw_fall, _EXAMPLE, resolution=0.03)),
    mutants=(
        Mutant("any estimate of the right sign helps", equations(_FALL, {P: normal_below(sp.sqrt(B / N))})),
        Mutant("overshooting from ηh = 1 on", equations(_FALL, {P: help_probability(sp.sqrt(B / N), 2 * η * h)})),
        Mutant("one example's standard errors", equations(_FALL, {P: help_probability(sp.sqrt(1 / N))})),
        Mutant("a toss for the smallest batches", equations(_FALL, {P_floor: sp.S.Half})),
        Mutant("noise scale from standard deviations", equations(_FALL, {N: σ / k})),
    ),
    meanings=(
        (P, "probability that a step lowers the loss, Φ the normal distribution function"),
        (N, "noise scale B_simple"),
        (P_floor, "the limit of P as B → 0"),
    ),
    note="At the lectures' B* = 16 B_simple and ηh = ½ it is 0.99997. As B → 0 it is ½ only if ηh → 0 first; at a "
    "fixed learning rate it falls to 0.",
)

CLAIMS = (REVERSIBLE, TRANSIENT, CORRELATED)
"""The theory, in the order of the ledger."""
