"""Degenerate landscapes: minima of a single-feature model that differ in how flat they are.

The model is f(w, x) = Q(w)·x with Q(w) = (w + w0)(w − w0)²: the loss has a sharp minimum at −w0 and a degenerate one
at +w0. The text that introduced it halves the squared error, its experiments do not: curvatures differ by that 2.
"""

from __future__ import annotations

import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import sticky_1d
from sgdtheory.claim import Case, Claim, Identity, Mutant, Recursion, equations, given, positive
from sgdtheory.derive.stability import stability_limit
from sgdtheory.errors import ArgumentError
from sgdtheory.laws import Number
from sgdtheory.optimizers import SGD, Momentum, Optimizer
from sgdtheory.problem import Problem
from sgdtheory.sources import CORLOUER_MACE_2024

w0 = symbols.half_separation
h_half, η_half = symbols.curvature_half, symbols.lr_limit_half
h_full, η_full = symbols.curvature_full, symbols.lr_limit_full
_QUANTITIES = {"half squared error": (h_half, η_half), "squared error": (h_full, η_full)}
_FACTORS = {"half squared error": sp.Integer(16), "squared error": sp.Integer(32)}


def sharp_curvature(convention: str, half_separation: Number = w0) -> sp.Expr:
    """Return the curvature of the sticky loss at its sharp minimum −w0: 16 w0⁴ with the half, 32 w0⁴ without.

    Parameters
    ----------
    convention : {"half squared error", "squared error"}
    half_separation : number or Symbol
        w0.

    Returns
    -------
    Expr

    Raises
    ------
    ArgumentError
        For any other convention.

    Examples
    --------
    >>> sharp_curvature("squared error", 2)
    512
    """
    if convention not in _FACTORS:
        raise ArgumentError("convention", convention, " | ".join(_FACTORS))
    return _FACTORS[convention] * half_separation**4


def differentiate(optimizer: Optimizer | None = None) -> Case:
    """Differentiate the population loss twice at −w0 and ask when gradient descent is stable there.

    For E x² = 1 and labels that are noise the population loss is ½Q² (or Q²) up to a constant. At a simple zero of Q
    its second derivative is Q'² (or 2Q'²), and Q'(−w0) = (−2w0)² = 4w0². Near the minimum gradient descent multiplies
    the distance by 1 − ηh, which shrinks it exactly if 0 < ηh < 2, so that η must stay below 2/h.
    """
    limit = stability_limit(SGD() if optimizer is None else optimizer)
    case: dict[sp.Symbol, sp.Expr] = {}
    for convention, (h, lr) in _QUANTITIES.items():
        problem = sticky_1d(1, 2, w0, convention=convention)
        curvature = problem.hessian[0].subs(problem.coordinates[0], -w0)
        case |= {h: curvature, lr: limit / curvature}
    return case


def descend_nearby(point: Case) -> Case:
    """Take single steps of gradient descent beside −w0 and see by what factor the distance changes.

    The factor is 1 − ηh, which gives the curvature; bisection over η finds where it leaves (−1, 1).
    """
    case = dict(point)
    for convention, (h, lr) in _QUANTITIES.items():
        problem = sticky_1d(1, 2, point[w0], convention=convention)
        case[h] = 1 - _contraction(problem, -point[w0], sp.S.One)
        stable, unstable = sp.S.Zero, 4 / case[h]
        for _ in range(30):
            middle = (stable + unstable) / 2
            inside = abs(_contraction(problem, -point[w0], middle)) < 1
            stable, unstable = (middle, unstable) if inside else (stable, middle)
        case[lr] = stable
    return case


def _contraction(problem: Problem, minimum: sp.Expr, lr: sp.Expr) -> sp.Expr:
    """Return what one exact step multiplies a distance of 10⁻⁹ from the minimum by."""
    distance = sp.Rational(1, 10**9)
    (w,) = problem.coordinates
    (end,), _ = SGD(lr=lr).step([minimum + distance], [[]], lambda theta: [problem.gradient[0].xreplace({w: theta[0]})])
    return (end - minimum) / distance


def _statement(half: sp.Expr, full: sp.Expr, limit: Number = 2) -> sp.Basic:
    """Return: the curvatures are these, and gradient descent is stable below limit/curvature."""
    return equations({h_half: half, η_half: limit / half, h_full: full, η_full: limit / full})


_HALF, _FULL = (sharp_curvature(convention) for convention in _QUANTITIES)

SHARP = Claim(
    id="DEG-31",
    slug="degenerate.sharp-curvature",
    title="The sharp sticky minimum has curvature 16w0⁴ (32w0⁴ without the half); gradient descent stays if ηh < 2",
    status="corrected",
    statement=_statement(_HALF, _FULL),
    assumptions=(
        positive(w0, "half the distance of the minima"),
        given("degrees (1, 2), E x² = 1, labels independent of x; plain gradient descent on the population loss"),
    ),
    source=CORLOUER_MACE_2024.where("the authors' earlier notes, second derivative of K at −w0"),
    evidence=(
        Identity(differentiate),
        # a distance of 10⁻⁹ bends the gradient by that order, and the bisection ends at 4·10⁻⁹
        Recursion(descend_nearby, ({w0: sp.Rational(9, 5)}, {w0: sp.Rational(1, 2)}, {w0: sp.Integer(3)}), 1e-7),
    ),
    mutants=(
        Mutant("as printed: 32w0", _statement(16 * w0, 32 * w0)),
        Mutant("conventions exchanged", _statement(_FULL, _HALF)),
        Mutant("stable only while it does not overshoot, ηh < 1", _statement(_HALF, _FULL, limit=1)),
        Mutant("slope of Q at −w0 taken as 2w0", _statement(4 * w0**2, 8 * w0**2)),
        Mutant(
            "momentum of one half", evidence=(Identity(lambda: differentiate(Momentum(momentum=sp.Rational(1, 2)))),)
        ),
    ),
    meanings=(
        (h_half, "curvature at −w0 of the half squared error"),
        (h_full, "curvature at −w0 of the squared error"),
        (η_half, "learning rate at which gradient descent loses −w0, half squared error"),
        (η_full, "learning rate at which gradient descent loses −w0, squared error"),
    ),
    note="At the published w0 = 1.8 and η = 0.01, without the half, ηh = 3.36: gradient descent leaves by itself.",
)

CLAIMS = (SHARP,)
"""The theory, in the order of the ledger."""
