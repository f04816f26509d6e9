"""The long-run risk of SGD on linear regression with normal inputs, exactly, and where it exists.

The gradient noise grows with the distance from the minimum, so the excess loss feeds back into itself: one number, the
feedback C, says how much, and SGD settles exactly if C < 1. Defossez and Bach treat batches of one; here B is any.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.catalogue import linear_regression
from sgdtheory.claim import (
    Assumption,
    Case,
    Claim,
    Ensemble,
    Identity,
    Mutant,
    Property,
    Recursion,
    equations,
    given,
    positive,
    where,
)
from sgdtheory.derive.moments import covariance_step, stationary_covariance
from sgdtheory.laws import Number
from sgdtheory.optimizers import SGD
from sgdtheory.problem import Problem
from sgdtheory.sources import DEFOSSEZ_BACH_2015

η, B, σ = symbols.lr, symbols.batch_size, symbols.noise_std
H = (symbols.axis_curvature_1, symbols.axis_curvature_2, symbols.axis_curvature_3)
T, s_1, Δ = symbols.excess, symbols.variance_first, symbols.margin


def feedback(curvatures: Sequence[Number] = H, lr: Number = η, batch_size: Number = B) -> sp.Expr:
    """Return C = Σᵢ ηλᵢ/(2B − (B + 1)ηλᵢ), the part of the excess loss that a step's noise gives back.

    Examples
    --------
    >>> feedback((1, 1), lr=sp.Rational(1, 2), batch_size=1)
    1
    """
    return sp.Add(*(lr * c / (2 * batch_size - (batch_size + 1) * lr * c) for c in curvatures))


def excess(curvatures: Sequence[Number] = H, lr: Number = η, batch_size: Number = B) -> sp.Expr:
    """Return tr(HS) = σ²C/(1 − C), twice the long-run excess loss under half the squared error.

    Examples
    --------
    >>> excess((1,), lr=sp.Rational(1, 2), batch_size=1)
    sigma**2
    """
    share = feedback(curvatures, lr, batch_size)
    return σ**2 * share / (1 - share)


def settle() -> tuple[Case, ...]:
    """Solve the Lyapunov equation, with the noise as large as the state makes it.

    With x ~ N(0, H) and labels of variance σ², a batch of B gives S' = S − η(HS + SH) + η²E[XSX] + η²σ²H/B. By
    Isserlis E[xxᵀSxxᵀ] = 2HSH + H tr(HS), so E[XSX] = HSH + (HSH + H tr(HS))/B. In the eigenbasis of H the stationary S
    is diagonal, and row i reads λᵢsᵢ(2ηλᵢ − η²λᵢ²(1 + 1/B)) = η²λᵢ²(tr(HS) + σ²)/B: every variance is the same number
    tr(HS) + σ² times ηλᵢ/(2B − (B + 1)ηλᵢ). Summed over i this is tr(HS) = (tr(HS) + σ²)C, whatever the dimension.

    The variances settle exactly if the matrix A that carries them on has all eigenvalues below one. A is symmetric, a
    diagonal with entries 1 − λᵢη(2 − ηλᵢ(B + 1)/B) plus η²λλᵀ/B, and none of its eigenvalues is below −1. So 1 − A
    must be positive definite; by the determinant lemma det(1 − A) is the product of its diagonal part's entries times
    1 − C, and that is what the margin is. As the learning rate grows, it reaches 0 before any diagonal entry does.
    (Entries of S off the diagonal shrink by 1 − ηλᵢ − ηλⱼ + η²λᵢλⱼ(B + 1)/B, which is then inside (−1, 1) too.)

    The equations are solved here for one and two inputs.
    """
    return tuple({**dict.fromkeys(H[size:], sp.S.Zero), **_settled(H[:size])} for size in (1, 2))


def settle_exactly(random: Random) -> Case:
    """Solve the same equations for three inputs in rational numbers, with C < 1."""
    curvatures = tuple(sp.Rational(random.randint(1, 12), 6) for _ in H)
    batch, noise = sp.Integer(random.randint(1, 6)), sp.Rational(random.randint(1, 9), 4)
    lr = sp.Rational(random.randint(1, 9), 15) / sum(curvatures)  # Σ ηλ ≤ 3/5, so that C ≤ 3/4
    numbers = {**dict(zip(H, curvatures, strict=True)), η: lr, B: batch, σ: noise}
    return {**numbers, **_settled(curvatures, lr, batch, noise)}


def _regression(curvatures: Sequence[Number], noise: Number) -> Problem:
    """Return the problem whose inputs have these variances."""
    return linear_regression(len(curvatures), noise, stds=[sp.sqrt(c) for c in curvatures])


def _settled(curvatures: Sequence[Number], lr: Number = η, batch: Number = B, noise: Number = σ) -> Case:
    problem, rule, size = _regression(curvatures, noise), SGD(lr=lr), len(curvatures)
    covariance = stationary_covariance(problem, rule, batch)
    variances = sp.symbols(f"s1:{size + 1}")
    after = covariance_step(problem, rule, batch, sp.diag(*variances)).diagonal()
    rest = sp.eye(size) - sp.Matrix(after).jacobian(variances)
    own = sp.Mul(*(lr * c * (2 - lr * c * (batch + 1) / batch) for c in curvatures))
    total = sp.Add(*(c * covariance[i, i] for i, c in enumerate(curvatures)))
    return {T: sp.factor(total), s_1: covariance[0, 0], Δ: sp.factor(rest.det() / own)}


def iterate(point: Case) -> Case:
    """Carry the whole covariance on for 600 steps, from a start off the diagonal, with fourth moments by pairings.

    The margin is det(1 − A) over the diagonal part's determinant, A being read off from the same steps.
    """
    lr, batch, noise = (float(point[s]) for s in (η, B, σ))
    h = np.diag([float(point[c]) for c in H])
    moments = sum(np.einsum(pairs, h, h) for pairs in ("ij,kl->ijkl", "ik,jl->ijkl", "il,jk->ijkl"))

    def after(s: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
        spread = np.einsum("ijkl,jk->il", moments, s) / batch + (1 - 1 / batch) * h @ s @ h
        return np.asarray(s - lr * (h @ s + s @ h) + lr**2 * (spread + noise**2 * h / batch))

    s = np.ones((3, 3)) + np.eye(3)
    for _ in range(600):
        s = after(s, noise)
    units = np.eye(3)[:, :, np.newaxis] * np.eye(3)[:, np.newaxis, :]
    rest = np.eye(3) - np.array([np.diag(after(unit, 0.0)) for unit in units]).T
    alone = np.diag(rest) + lr**2 * np.diag(h) ** 2 / batch  # without what comes back through tr(HS)
    return {**point, T: np.trace(h @ s), s_1: s[0, 0], Δ: np.linalg.det(rest) / np.prod(alone)}


def _point(lr: float, batch: int, noise: float, *curvatures: float) -> Case:
    numbers = (lr, batch, noise, *curvatures)
    return {s: sp.Rational(str(value)) for s, value in zip((η, B, σ, *H), numbers, strict=True)}


_PLANE = _regression(H[:2], σ)
_EXCESS = sp.Add(*(c * w**2 for c, w in zip(H, _PLANE.coordinates, strict=False)))
_FIRST = η * (T + σ**2) / (2 * B - (B + 1) * η * H[0])


_STATED = {T: excess(), s_1: _FIRST, Δ: 1 - feedback()}


def _additive() -> sp.Expr:
    """Return tr(HS) if the noise stayed as it is at the minimum."""
    return sp.Add(*(η * σ**2 / (B * (2 - η * c)) * c for c in H))


RISK = Claim(
    id="STA-03",
    slug="stationarity.regression-risk",
    title="On linear regression with normal inputs SGD's excess loss settles at ½σ²C/(1 − C), and it settles if C < 1",
    status="exact",
    statement=equations(_STATED),
    assumptions=(
        positive(η, "learning rate"),
        positive(B, "batch size"),
        positive(σ, "standard deviation of the labels' noise"),
        positive(H[0], "first eigenvalue of the Hessian"),
        *(Assumption(f"further eigenvalue: {c} ≥ 0, 0 if there is none", c, sp.Interval(0, sp.oo)) for c in H[1:]),
        where(sp.Lt(η * (B + 1) * sp.Max(*H), 2 * B), "ηλ < 2B/(B + 1) for every eigenvalue λ"),
        where(sp.Lt(feedback(), 1), "C = Σ ηλ/(2B − (B + 1)ηλ) < 1"),
        given("normal inputs, fresh and independent examples, half the squared error"),
    ),
    source=DEFOSSEZ_BACH_2015.where("batches of one; for any batch size derived here"),
    evidence=(
        Identity(settle),
        Property(settle_exactly, examples=4),
        # the slowest direction shrinks by less than 0.93 a step, which leaves nothing of the start after 600
        Recursion(
            iterate,
            (
                _point(0.3, 1, 1, 0.7, 0.5, 0.3),
                _point(0.2, 1, 2, 0.2, 1.5, 1),
                _point(0.5, 4, 0.5, 1, 2, 0.1),
            ),
            1e-10,
        ),
        # from the minimum, which 30 steps forget to 10⁻⁴; eighth moments are finite there: the mean of squares is tame
        Ensemble(T, _EXCESS, "mean", _PLANE, SGD(), _point(0.3, 2, 1.5, 1, 0.5, 0), 30, (0, 0), resolution=0.04),
    ),
    mutants=(
        Mutant("noise as it is at the minimum", equations(_STATED, {T: _additive()})),
        Mutant("one round of feedback only", equations(_STATED, {T: σ**2 * feedback()})),
        Mutant("a small learning rate, ησ² tr H/(2B)", equations(_STATED, {T: η * σ**2 * sp.Add(*H) / (2 * B)})),
        Mutant("variance without what the excess loss adds", equations(_STATED, {s_1: _FIRST.subs(T, 0)})),
        Mutant("isotropic variance", equations(_STATED, {s_1: T / sp.Add(*H)})),
        Mutant("stable as long as every direction is by itself", equations(_STATED, {Δ: sp.S.One})),
        Mutant("without the fourth moment's factor two", equations(_STATED, {T: excess().subs(B + 1, B)})),
    ),
    meanings=(
        (T, "tr(HS), twice the long-run excess loss"),
        (s_1, "long-run variance along the first eigenvector"),
        (Δ, "det(1 − A) over that of its diagonal part, A the step of the variances: positive where they settle"),
    ),
    note="For equal eigenvalues C = 1 is η = 2B/(h(B + d + 1)), as without noise (STA-02). The variance of w² itself "
    "needs a tail exponent above 4: near C = 1 averages over runs converge slowly or not at all (STA-04).",
)

CLAIMS = (RISK,)
"""The theory, in the order of the ledger."""
