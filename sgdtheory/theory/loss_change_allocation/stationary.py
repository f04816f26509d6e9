"""Who hurts for ever: mean allocations of SGD in its long run on a quadratic, where the loss as a whole stands still.

θ' = θ − η(Hθ + ξ) with noise of covariance C = Σ/B; S is the long-run covariance of θ. Symbols are of three
coordinates, which stand for any number, because sums over them are linear.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.claim import Case, Claim, Identity, Mutant, Sample, equations, given, positive, real
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.optimizers import SGD
from sgdtheory.sources import HERE

η, A, A_sum, A_axis = symbols.lr, symbols.allocation, symbols.allotted, symbols.aligned_part


def symmetric(letter: str, size: int) -> sp.Matrix:
    """Return a symmetric matrix of real symbols, such as H_12."""
    return sp.Matrix(size, size, lambda i, j: sp.Symbol(f"{letter}_{min(i, j) + 1}{max(i, j) + 1}", real=True))


H, S = symmetric("H", 3), symmetric("S", 3)


def commutator_allocation(hessian: sp.Matrix = H, covariance: sp.Matrix = S, lr: sp.Expr = η) -> sp.Matrix:
    """Return the long-run mean allocations (η/2)·diag(H[H, S]), [H, S] = HS − SH.

    Examples
    --------
    >>> commutator_allocation(sp.Matrix([[2, 1], [1, 2]]), sp.diag(1, 3)).T
    Matrix([[-eta, eta]])
    """
    product = hessian * (hessian * covariance - covariance * hessian)
    return (lr / 2 * product.diagonal().T).expand()


def noise_that_keeps(hessian: sp.Matrix, covariance: sp.Matrix, lr: sp.Expr = η) -> sp.Matrix:
    """Return the noise C for which S is stationary, from S = (1 − ηH)S(1 − ηH) + η²C."""
    return ((hessian * covariance + covariance * hessian) / lr - hessian * covariance * hessian).expand()


def average_in_the_long_run() -> Case:
    """Average A = Δ·H(θ + ½Δ) over θ of covariance S and noise of the covariance C that keeps S.

    With Δ = −η(Hθ + ξ), E Δθᵀ = −ηHS, and stationarity gives E ΔΔᵀ = η²(HSH + C) = η(HS + SH). So
    E Aᵢ = −η[HSH]ᵢᵢ + ½η[(HS + SH)H]ᵢᵢ = ½η[HHS − HSH]ᵢᵢ, the diagonal of (η/2)H[H, S]; only the first two moments
    enter. The trace of a product with a commutator, tr H[H, S], is 0: the loss stands still. In coordinates along the
    axes of H, H is diagonal and [H, S] has a zero diagonal, whatever the noise.
    """
    means = _products(H)
    return {A: means[0, 0], A_sum: sp.expand(means.trace()), A_axis: _products(sp.diag(*H.diagonal()))[0, 0]}


def _products(hessian: sp.Matrix) -> sp.Matrix:
    """Return E uvᵀ, u the move and v the gradient in the middle of the step."""
    move, middle, joint = linear_step(hessian, S)
    return (move * joint * middle.T).expand()


def linear_step(hessian: sp.Matrix, covariance: sp.Matrix) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix]:
    """Return the move and the gradient in the middle of a step, as matrices that act on (θ, ξ), and its covariance."""
    size = hessian.rows
    θ, ξ = (sp.Matrix(sp.symbols(f"{letter}_1:{size + 1}", real=True)) for letter in ("theta", "xi"))
    move = sp.Matrix([SGD().update(g).displacement for g in hessian * θ + ξ])
    middle = hessian * (θ + move / 2)
    u, v = (vector.jacobian([*θ, *ξ]) for vector in (move, middle))
    return u, v, sp.diag(covariance, noise_that_keeps(hessian, covariance))


# --- a sample of the long run -----------------------------------------------------------------------------------------

LR, BATCH_SIZE = sp.S.Half, 4
HESSIAN = sp.ImmutableMatrix([[1, sp.Rational(4, 5)], [sp.Rational(4, 5), 1]])
NOISE = sp.ImmutableMatrix([[4, 0], [0, sp.Rational(1, 4)]])
"""Curvature and noise in the plane that do not commute: an example for the sample here and for figures."""


@cache
def long_run_covariance() -> sp.ImmutableMatrix:
    """Return the stationary covariance of the example.

    Examples
    --------
    >>> long_run_covariance()[0, 0]
    93350/171171
    """
    return stationary_covariance(quadratic(HESSIAN, NOISE), SGD(LR), BATCH_SIZE)


def draw_step(rng: np.random.Generator, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw steps of the example in its long run; return the moves and the gradients in their middle, shape (n, 2)."""
    hessian, noise = np.array(HESSIAN, dtype=float), np.array(NOISE, dtype=float) / BATCH_SIZE
    start = rng.standard_normal((n, 2)) @ np.linalg.cholesky(np.array(long_run_covariance(), dtype=float)).T
    move = -float(LR) * (start @ hessian + rng.standard_normal((n, 2)) @ np.linalg.cholesky(noise).T)
    return move, (start + move / 2) @ hessian


def draw_allocation(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Allocate such steps to the first coordinate."""
    move, middle = draw_step(rng, n)
    return np.asarray(move[:, 0] * middle[:, 0])


def example_values() -> Case:
    """Return the symbols' values in the example, without a third coordinate."""
    values = {η: LR, **dict.fromkeys((*H.free_symbols, *S.free_symbols), sp.S.Zero)}
    for general, own in ((H, HESSIAN), (S, long_run_covariance())):
        values |= {general[i, j]: own[i, j] for i in range(2) for j in range(2)}
    return values


_STATED = {A: commutator_allocation()[0], A_sum: sp.S.Zero, A_axis: sp.S.Zero}

COMMUTATOR = Claim(
    id="LCA-10",
    slug="lca.stationary",
    title="SGD's long-run mean allocations on a quadratic are (η/2)[H[H, S]]ᵢᵢ: some parameters hurt for ever",
    status="exact",
    statement=equations(_STATED),
    assumptions=(
        positive(η, "learning rate"),
        *(real(s) for s in sorted(H.free_symbols | S.free_symbols, key=str)),
        given("SGD on a quadratic of Hessian H, noise independent of θ, S its long-run covariance"),
    ),
    source=HERE,
    evidence=(Identity(average_in_the_long_run), Sample(A, draw_allocation, example_values(), resolution=0.1)),
    mutants=(
        Mutant("nobody hurts on average, because the loss stands still", equations(_STATED, {A: sp.S.Zero})),
        Mutant("opposite sign", equations(_STATED, {A: -_STATED[A]})),
        Mutant("without the factor ½", equations(_STATED, {A: 2 * _STATED[A]})),
        Mutant(
            "along the axes too, wherever curvature and noise do not commute",
            equations(_STATED, {A_axis: η / 2 * H[0, 0] * (H[0, 0] - H[1, 1]) * S[0, 1]}),
        ),
    ),
    meanings=(
        (A, "mean allocation to coordinate 1 in the long run"),
        (A_sum, "its sum over the coordinates"),
        (A_axis, "the same for a coordinate along an axis of the Hessian, H diagonal"),
    ),
    note="[H, S] = HS − SH is 0 exactly if curvature and noise commute. That is enough for zero means, not necessary: "
    "along the axes of H they are 0 for every noise. In the plane A_1 = −A_2 = ½ηH_12[(S_11 − S_22)H_12 − "
    "S_12(H_11 − H_22)].",
)

CLAIMS = (COMMUTATOR,)
"""The theory, in the order of the ledger."""
