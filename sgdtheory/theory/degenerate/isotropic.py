"""Where the noise is proportional to the Hessian, the long run of SGD is the same in all directions."""

from __future__ import annotations

import numpy as np
import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.claim import (
    Case,
    Claim,
    Ensemble,
    Identity,
    Mutant,
    Recursion,
    by_name,
    equations,
    given,
    positive,
    real,
    where,
)
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.optimizers import SGD
from sgdtheory.sources import HERE

η, B, c = symbols.lr, symbols.batch_size, symbols.noise_ratio
h1, h2, h12 = symbols.curvature_1, symbols.curvature_2, symbols.curvature_12
S11, S12, S22 = symbols.covariance_11, symbols.covariance_12, symbols.covariance_22
_HESSIAN = sp.Matrix([[h1, h12], [h12, h2]])


def long_run_covariance(hessian: sp.Matrix, factor: sp.Expr = c) -> sp.Matrix:
    """Return S = (ηc/B)(2 − ηH)⁻¹, the long-run covariance of SGD on ½wᵀHw with noise cH.

    Parameters
    ----------
    hessian : Matrix, shape (d, d)
        H, symmetric, eigenvalues between 0 and 2/η.
    factor : expression
        c.

    Examples
    --------
    >>> long_run_covariance(sp.Matrix([[h1]]))[0].factor()
    -c_H*eta/(B*(eta*h_1 - 2))
    """
    return (2 * sp.eye(hessian.rows) - η * hessian).inv() * (η * factor / B)


def solve_lyapunov() -> Case:
    """Solve S = (1 − ηH)S(1 − ηH) + η²cH/B.

    If S commutes with H this is HS(2 − ηH) = ηcH/B, hence S = (ηc/B)(2 − ηH)⁻¹, which does commute; the solution is
    unique where 1 − ηH contracts. H has cancelled from the leading term: S = (ηc/2B)(1 + ½ηH + …), isotropic to first
    order however different the curvatures are.
    """
    S = stationary_covariance(quadratic(_HESSIAN, c * _HESSIAN), SGD(), B)
    return {S11: S[0, 0], S12: S[0, 1], S22: S[1, 1]}


def iterate(point: Case) -> Case:
    """Iterate the covariance from 0 until it stays."""
    lr, batch, factor = (float(point[s]) for s in (η, B, c))
    H = np.array(_HESSIAN.subs(point), dtype=float)
    S, contraction = np.zeros((2, 2)), np.eye(2) - lr * H
    for _ in range(2000):
        S = contraction @ S @ contraction + lr**2 * factor / batch * H
    return {**point, S11: S[0, 0], S12: S[0, 1], S22: S[1, 1]}


def _entries(S: sp.Matrix) -> Case:
    return {S11: S[0, 0], S12: S[0, 1], S22: S[1, 1]}


_STATED = _entries(long_run_covariance(_HESSIAN))
_at = by_name(lr=η, B=B, c=c, h1=h1, h2=h2, h12=h12)
_NUMBERS = {η: 0.4, B: 2, c: 1.5, h1: 2, h2: 1, h12: 0.5}
_PLANE = quadratic(sp.Matrix([[2, 0.5], [0.5, 1]]), sp.Rational(3, 2) * sp.Matrix([[2, 0.5], [0.5, 1]]))

ISOTROPIC = Claim(
    id="DEG-28",
    slug="degenerate.isotropic-spread",
    title="With noise cH the long-run covariance is (ηc/B)(2 − ηH)⁻¹: nearly isotropic, not the posterior's H⁻¹",
    status="exact",
    statement=equations(_STATED),
    assumptions=(
        positive(η, "learning rate"),
        positive(B, "batch size"),
        positive(c, "noise over Hessian"),
        positive(h1, "curvature along w1"),
        positive(h2, "curvature along w2"),
        real(h12, "mixed curvature"),
        where(sp.Gt(h1 * h2, h12**2), "H positive definite"),
        where(sp.Gt((2 - η * h1) * (2 - η * h2), (η * h12) ** 2) & sp.Lt(η * (h1 + h2), 4), "ηH < 2"),
        given("quadratic loss, noise of covariance cH that does not depend on w"),
    ),
    source=HERE,
    evidence=(
        Identity(solve_lyapunov),
        # a fixed point to rounding
        Recursion(
            iterate,
            (_at(lr=0.4, B=2, c=1.5, h1=2, h2=1, h12=0.5), _at(lr=1, B=1, c=1, h1=1.5, h2=0.2, h12=-0.1)),
            1e-12,
        ),
        Ensemble(
            S11, _PLANE.coordinates[0], "variance", _PLANE, SGD(), _NUMBERS, steps=30, start=(0, 0), resolution=0.05
        ),
    ),
    mutants=(
        Mutant("the posterior's shape, H⁻¹", equations(_entries(_HESSIAN.inv() * (η * c / (2 * B))))),
        Mutant("small steps: ηc/(2B) in all directions", equations(_entries(sp.eye(2) * (η * c / (2 * B))))),
        Mutant("no batch", equations({q: f.subs(B, 1) for q, f in _STATED.items()})),
        Mutant("1 − ηH for 2 − ηH", equations({q: f.subs(η, 2 * η) for q, f in _STATED.items()})),
    ),
    meanings=((S11, "long-run variance of w1"), (S12, "covariance of w1 and w2"), (S22, "variance of w2")),
    note="At a zero of Q all noise is of this kind, c = σ². A tempered posterior has H⁻¹ for its covariance and agrees "
    "only where all curvatures are equal.",
)

CLAIMS = (ISOTROPIC,)
"""The theory, in the order of the ledger."""
