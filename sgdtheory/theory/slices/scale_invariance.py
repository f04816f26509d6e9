"""Losses that do not change when the weights are multiplied: derivatives, and the balance with weight decay.

Normalisation layers make such losses, L(kw) = L(w). Their gradient is at right angles to w and shrinks as 1/|w|, so a
step of SGD lengthens w and weight decay shortens it, until both balance.
"""

from __future__ import annotations

from random import Random

import numpy as np
import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import (
    Case,
    Claim,
    Identity,
    Mutant,
    Property,
    Recursion,
    by_name,
    equations,
    given,
    positive,
    where,
)
from sgdtheory.optimizers import SGD, with_weight_decay
from sgdtheory.sources import DINH_2017, WAN_2021
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import invertible, vector
from sgdtheory.theory.slices.small_network import random_factor

η, λ, k, Γ = symbols.lr, symbols.weight_decay, symbols.parameter_unit, symbols.tangent_size
wg, g_i, g_k, Hw = symbols.radial_slope, symbols.gradient_entry, symbols.gradient_scaled, symbols.hessian_radial
H_ij, H_k = symbols.hessian_entry, symbols.hessian_scaled
w_eq, m_eq, cos_φ, tan_φ = (
    symbols.norm_square,
    symbols.norm_multiplier,
    symbols.turn_cosine,
    symbols.turn_tangent,
)


# --- derivatives -----------------------------------------------------------------------------------------------------


def differentiate_ratios() -> list[Case]:
    """Write the loss as F(u, v), u = w₁/w₃ and v = w₂/w₃, F any smooth function, and differentiate by the chain rule.

    Every loss with L(kw) = L(w) is such a function where w₃ ≠ 0. u and v, and with them the derivatives of F, are the
    same at kw, while each derivative of u or v brings down 1/k. So ∇L(kw) = ∇L(w)/k and ∇²L(kw) = ∇²L(w)/k². The
    derivative of L(kw) = L(w) in k at 1 is w·∇L = 0, and the gradient of that is ∇L + ∇²L w = 0.
    """
    w = sp.symbols("w_1:4", positive=True)
    ratios = (w[0] / w[2], w[1] / w[2])
    first = sp.symbols("F_u F_v", real=True)
    (uu, uv, vv) = sp.symbols("F_uu F_uv F_vv", real=True)
    second = sp.Matrix([[uu, uv], [uv, vv]])
    jacobian = sp.Matrix([[sp.diff(r, x) for x in w] for r in ratios])
    gradient = jacobian.T * sp.Matrix(first)
    bends = (f * sp.hessian(r, w) for f, r in zip(first, ratios, strict=True))
    hessian = sum(bends, jacobian.T * second * jacobian)
    scaled = {x: k * x for x in w}
    return _derivative_cases(sp.Matrix(w), gradient, hessian, gradient.subs(scaled), hessian.subs(scaled))


def random_ratio(random: Random) -> list[Case]:
    """Differentiate wᵀAw/|w|², A random, in two or three weights, at a rational point and at a multiple of it."""
    n = random.randint(2, 3)
    w = sp.Matrix(sp.symbols(f"w_1:{n + 1}", real=True))
    loss = (w.T * invertible(random, n) * w)[0] / w.dot(w)
    place, factor = vector(random, n), random_factor(random)
    gradient, hessian = sp.Matrix([sp.diff(loss, x) for x in w]), sp.hessian(loss, w)
    here, there = (dict(zip(w, place * times, strict=True)) for times in (1, factor))
    cases = _derivative_cases(place, gradient.subs(here), hessian.subs(here), gradient.subs(there), hessian.subs(there))
    return [{k: factor, **case} for case in cases]


def _derivative_cases(
    w: sp.Matrix, gradient: sp.Matrix, hessian: sp.Matrix, gradient_scaled: sp.Matrix, hessian_scaled: sp.Matrix
) -> list[Case]:
    radial, turned = w.dot(gradient), hessian * w
    return [
        {
            **{wg: radial, g_i: gradient[i], g_k: gradient_scaled[i], Hw: turned[i]},
            **{H_ij: hessian[i, j], H_k: hessian_scaled[i, j]},
        }
        for i in range(w.rows)
        for j in range(i + 1)
    ]


# --- balance with weight decay ---------------------------------------------------------------------------------------


def equilibrium_square() -> sp.Expr:
    """Return |w|² = Γ√(η/(λ(2 − ηλ))), which a step of SGD with weight decay does not change; Γ = |w||g|.

    Examples
    --------
    >>> equilibrium_square().subs({η: 1, λ: 1})
    Gamma
    """
    return Γ * sp.sqrt(η / (λ * (2 - η * λ)))


def turn() -> sp.Expr:
    """Return cos φ = 1 − ηλ, φ the angle that a step turns w by at that length.

    Examples
    --------
    >>> turn().subs({η: 1, λ: 1})
    0
    """
    return 1 - η * λ


def next_square(square: sp.Expr) -> sp.Expr:
    """Return |w'|² = (1 − ηλ)²|w|² + η²Γ²/|w|² after a step from |w|²; both parts are at right angles."""
    return (1 - η * λ) ** 2 * square + η**2 * Γ**2 / square


def balance() -> Case:
    """Solve |w'|² = |w|².

    Weight decay multiplies w by 1 − ηλ and the gradient moves it by ηΓ/|w| at right angles, so
    |w'|² = (1 − ηλ)²|w|² + η²Γ²/|w|². Of the solutions of |w'|² = |w|² in |w|² one is positive. The derivative of the
    map there is (1 − ηλ)² − η²Γ²/|w|⁴ = 2(1 − ηλ)² − 1, inside (−1, 1) for 0 < ηλ < 1: the length settles. Across w
    the new point has ηΓ/|w|, along it (1 − ηλ)|w|; the angle between w and w' has their ratio for its tangent, and as
    |w'| = |w| its cosine is 1 − ηλ.
    """
    θ, g = sp.symbols("theta_w g_w", real=True)
    along = with_weight_decay(SGD()).update(0, θ).position / θ
    across = SGD().update(g).displacement / g
    r = sp.Symbol("r", positive=True)
    after = along**2 * r + across**2 * Γ**2 / r
    (rest,) = sp.solve(sp.expand((after - r) * r), r**2)
    square = sp.sqrt(rest)
    return {
        w_eq: square,
        m_eq: sp.factor(sp.diff(after, r).subs(r, square)),
        cos_φ: along * sp.sqrt(r) / sp.sqrt(r),  # |w'| = |w|
        tan_φ: sp.factor(((across * Γ) ** 2 / r / (along**2 * r)).subs(r, square)),
    }


def turn_on_a_sphere(point: Case) -> Case:
    """Run 2000 steps in 30 dimensions, each along a random direction at right angles to w; measure length and turn."""
    lr, decay, size = (float(point[s]) for s in (η, λ, Γ))
    rng = np.random.default_rng(5)

    def step(w: np.ndarray) -> np.ndarray:
        d = rng.standard_normal(30)
        across = d - w * (d @ w) / (w @ w)
        gradient = across / np.linalg.norm(across) * size / np.linalg.norm(w)
        return np.asarray(w - lr * (gradient + decay * w))

    w = rng.standard_normal(30)
    for _ in range(2000):
        w = step(w)
    later = step(w)
    cosine = w @ later / np.linalg.norm(w) / np.linalg.norm(later)

    def after(square: float) -> float:
        return (1 - lr * decay) ** 2 * square + lr**2 * size**2 / square

    square, ε = float(w @ w), 1e-5 * float(w @ w)
    slope = (after(square + ε) - after(square - ε)) / (2 * ε)
    return {**point, w_eq: square, m_eq: slope, cos_φ: cosine, tan_φ: 1 / cosine**2 - 1}


# --- claims ----------------------------------------------------------------------------------------------------------

_at = by_name(lr=η, decay=λ, size=Γ)
_DERIVATIVES = {wg: sp.S.Zero, g_k: g_i / k, Hw: -g_i, H_k: H_ij / k**2}
INVARIANT = Claim(
    id="VIS-04",
    slug="slices.scale-invariant",
    title="Where L(kw) = L(w), gradients shrink as 1/k, Hessians as 1/k², w·∇L = 0 and ∇²L w = −∇L",
    status="exact",
    statement=equations(_DERIVATIVES),
    assumptions=(
        positive(k, "factor of the weights"),
        given("L twice differentiable, L(kw) = L(w) for every k > 0, w ≠ 0"),
    ),
    source=DINH_2017.where("flatness of rescaled networks; here the whole of the weights"),
    evidence=(Identity(differentiate_ratios), Property(random_ratio, examples=3)),
    mutants=(
        Mutant("flat along w, so that the Hessian sends w to 0", equations(_DERIVATIVES, {Hw: sp.S.Zero})),
        Mutant("Hessian shrinks like the gradient", equations(_DERIVATIVES, {H_k: H_ij / k})),
        Mutant("the gradient is the same at every length", equations(_DERIVATIVES, {g_k: g_i})),
        Mutant("opposite sign", equations(_DERIVATIVES, {Hw: g_i})),
    ),
    meanings=meanings(equations(_DERIVATIVES)),
    note="So raw curvature measures the length of w: at kw every raw slice is flatter by 1/k², with the same function "
    "behind it. Directions in units of |w| see the same slice at every length.",
)

_BALANCE = {w_eq: equilibrium_square(), m_eq: 2 * (1 - η * λ) ** 2 - 1}
_ASSUMED = (
    positive(η, "learning rate"),
    positive(λ, "weight decay"),
    positive(Γ, "|w||g|"),
    where(sp.Lt(η * λ, 1), "ηλ < 1"),
    given("scale-invariant loss; every step has a gradient of size Γ/|w|, at right angles to w"),
)
_POINTS = (_at(lr=0.1, decay=0.05, size=2), _at(lr=0.5, decay=0.2, size=1), _at(lr=1, decay=0.6, size=3))
LENGTH = Claim(
    id="VIS-05",
    slug="slices.equilibrium-length",
    title="SGD with weight decay keeps scale-invariant weights at |w|² = Γ√(η/(λ(2 − ηλ))), whatever the start",
    status="exact",
    statement=equations(_BALANCE),
    assumptions=_ASSUMED,
    source=WAN_2021.where("equilibrium of the weight norm"),
    # 2000 steps leave (1 − ηλ)⁴⁰⁰⁰ < 10⁻⁸ of the start; the slope is a central difference
    evidence=(Identity(balance), Recursion(turn_on_a_sphere, _POINTS, 1e-7)),
    mutants=(
        Mutant("small steps only, |w|² = Γ√(η/2λ)", equations(_BALANCE, {w_eq: Γ * sp.sqrt(η / (2 * λ))})),
        Mutant("longer for a larger weight decay", equations(_BALANCE, {w_eq: Γ * sp.sqrt(η * λ / (2 - η * λ))})),
        Mutant("settles by one factor 1 − ηλ a step", equations(_BALANCE, {m_eq: 1 - η * λ})),
    ),
    meanings=meanings(equations(_BALANCE)),
    note="Where Γ varies from step to step, its root mean square stands for it to leading order in ηλ.",
)

_TURN = {cos_φ: turn(), tan_φ: η * λ * (2 - η * λ) / (1 - η * λ) ** 2}
ANGLE = Claim(
    id="VIS-06",
    slug="slices.equilibrium-angle",
    title="At that length every step turns the weights by the angle arccos(1 − ηλ), whatever the loss",
    status="exact",
    statement=equations(_TURN),
    assumptions=_ASSUMED,
    source=WAN_2021.where("angular update, there √(2ηλ)"),
    evidence=(Identity(balance), Recursion(turn_on_a_sphere, _POINTS, 1e-7)),
    mutants=(
        Mutant("small angles only, φ = √(2ηλ)", equations(_TURN, {cos_φ: sp.cos(sp.sqrt(2 * η * λ))})),
        Mutant("φ = √(ηλ)", equations(_TURN, {cos_φ: 1 - η * λ / 2})),
        Mutant("a larger gradient turns farther", equations(_TURN, {tan_φ: (η * Γ) ** 2})),
    ),
    meanings=meanings(equations(_TURN)),
    note="φ = √(2ηλ)(1 + ηλ/12 + …). So ηλ, and not η, is the effective step of such weights.",
)

CLAIMS = (INVARIANT, LENGTH, ANGLE)
"""The theory, in the order of the ledger."""
