"""Implicit regularisation by momentum: at small learning rates heavy ball descends L plus a multiple of |∇L|²."""

from __future__ import annotations

import math

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Recursion, between, by_name, equals, given, positive
from sgdtheory.derive.expansion import generic_polynomial, jet, root_series
from sgdtheory.derive.stability import step_matrix
from sgdtheory.optimizers import EMAMomentum, Momentum, Nesterov, Optimizer
from sgdtheory.sources import GHOSH_2023
from sgdtheory.symbols import meanings

η, μ, h = symbols.lr, symbols.momentum, symbols.curvature
c = symbols.penalty
_z = sp.Symbol("z")


def slow_mode(rule: Optimizer | None = None, step: sp.Expr = η) -> Case:
    """Compare the slow eigenvalue of a step on ½hθ² with e^{−η·slope} of a gradient flow on ½hθ² + c|hθ|².

    The characteristic polynomial z² − (1 + μ − (1 − μ)ηh)z + μ has the roots 1 and μ at η = 0. The first continues as
    λ = 1 − ηh − μ(ηh)²/(1 − μ) + O(η³), so log λ = −ηh − (ηh)²(1 + μ)/(2(1 − μ)) + O(η³). Once the other root has died
    out, every step is a time η of the flow θ̇ = (log λ/η)θ, that is, of descent on a loss of curvature −log λ/η. The
    penalty c|∇L|² = ch²θ² adds 2ch² to the curvature, so c = η(1 + μ)/(4(1 − μ)) + O(η²).

    Parameters
    ----------
    rule : Optimizer, optional
        Averaged momentum by default.
    step : expression
        Time of flow that goes by in a step.
    """
    matrix = step_matrix(EMAMomentum() if rule is None else rule)
    slow = root_series(sp.Poly(matrix.charpoly(_z).as_expr(), _z), sp.S.One, η, 3)
    curvature = -jet(sp.log(slow), η, 3) / step
    return {c: sp.expand((curvature - h) / (2 * h**2))}


def any_loss() -> list[Case]:
    """Put a smooth curve θ(t) through the iterates, θₙ = θ(nη), and ask which field F₀ + ηF₁ it follows.

    Eliminating the buffer, θₙ₊₁ − θₙ = μ(θₙ − θₙ₋₁) − η(1 − μ)∇L(θₙ). With θ(t ± η) = θ ± ηθ̇ + ½η²θ̈ + … this is
    (1 − μ)θ̇ + ½η(1 + μ)θ̈ = −(1 − μ)∇L + O(η²). Below η it says θ̇ = −∇L, hence θ̈ = ∇²L∇L, and then
    θ̇ = −∇L − η(1 + μ)/(2(1 − μ))·∇²L∇L = −∇(L + c|∇L|²), because ∇|∇L|² = 2∇²L∇L. A quadratic polynomial with arbitrary
    coefficients, seen from the origin, stands for all C³ losses: only two derivatives of L enter; in the plane each
    component gives the same c.
    """
    w = sp.symbols("w1 w2", real=True)
    loss = generic_polynomial("c", w, 2)
    gradient = sp.Matrix([sp.diff(loss, x) for x in w])
    hessian = gradient.jacobian(w)
    correction = sp.Matrix(sp.symbols("F1 F2", real=True))  # F₁
    velocity = -gradient + η * correction
    acceleration = velocity.jacobian(w) * velocity
    forward = η * velocity + η**2 * acceleration / 2
    backward = η * velocity - η**2 * acceleration / 2
    defect = forward - μ * backward + η * (1 - μ) * gradient
    origin = dict.fromkeys(w, sp.S.Zero)
    cases: list[Case] = []
    for i in range(2):
        second = sp.expand(defect[i]).coeff(η, 2).subs(origin)
        (found,) = sp.solve(second, correction[i])
        slope = 2 * (hessian * gradient)[i].subs(origin)
        cases.append({c: sp.cancel(-η * found / slope)})
    return cases


def measured_decay(point: Case) -> Case:
    """Run heavy ball on ½hθ² and read c from the decay a step, at η and η/2, removing the next order."""
    decay, curvature, lr = (float(point[s]) for s in (μ, h, η))

    def measured(rate: float) -> float:
        theta, buffer = 1.0, 0.0
        for _ in range(400):
            before = theta
            buffer = decay * buffer + (1 - decay) * curvature * theta
            theta -= rate * buffer
        return (-math.log(theta / before) / rate - curvature) / (2 * curvature**2) / rate

    return {**point, c: lr * (2 * measured(lr / 2) - measured(lr))}


_point = by_name(lr=η, mu=μ, h=h)


_PENALTY = η * (1 + μ) / (4 * (1 - μ))
PENALTY = Claim(
    id="STA-09",
    slug="stationarity.heavy-ball-penalty",
    title="Averaged momentum descends L + η(1 + μ)/(4(1 − μ))|∇L|²: the penalty of plain descent, (1 + μ)/(1 − μ)-fold",
    status="leading-order",
    statement=equals(c, _PENALTY),
    assumptions=(
        positive(η, "learning rate, small: the remainder is O(η²)"),
        between(μ, 0, 1, "momentum"),
        positive(h, "curvature, where the loss is ½hθ²"),
        given("loss C³; steps late enough to have forgotten the start of the buffer"),
    ),
    source=GHOSH_2023,
    evidence=(
        Identity(slow_mode, (η, 2)),
        Identity(any_loss, (η, 2)),
        # what is left after removing the next order is (ηh/(1 − μ))² times a few: 5·10⁻⁴ at most
        Recursion(
            measured_decay,
            (
                _point(lr="0.01", mu="0", h="1"),
                _point(lr="0.005", mu="0.5", h="1"),
                _point(lr="0.0005", mu="0.9", h="2"),
            ),
            2e-3,
        ),
    ),
    mutants=(
        Mutant("of plain descent, η/4", equals(c, η / 4)),
        Mutant("η/4 over 1 − μ, as if only the step grew", equals(c, η / (4 * (1 - μ)))),
        Mutant("half as much", equals(c, _PENALTY / 2)),
        Mutant("rewarding instead of penalising", equals(c, -_PENALTY)),
        Mutant("Nesterov's steps", evidence=(Identity(lambda: slow_mode(Nesterov(lr=η * (1 - μ))), (η, 2)),)),
        Mutant("standard form at η", evidence=(Identity(lambda: slow_mode(Momentum(), η / (1 - μ)), (η, 2)),)),
    ),
    meanings=meanings(equals(c, _PENALTY)),
    note="In the standard form η = l/(1 − μ), and c is l(1 + μ)/(4(1 − μ)²). The factor is the window of MCA-13.",
)

CLAIMS = (PENALTY,)
"""The theory, in the order of the ledger."""
