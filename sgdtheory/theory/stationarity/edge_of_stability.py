"""An edge of stability that can be solved: gradient descent on the double well (w² − 1)²/4.

Above the learning rate at which the minimum turns unstable, two over its curvature, gradient descent does not diverge:
it settles on a cycle of two points around the minimum, in closed form.
"""

from __future__ import annotations

import math

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Recursion, between, equations, given
from sgdtheory.derive.search import bisect
from sgdtheory.dynamics import mean_step
from sgdtheory.optimizers import SGD
from sgdtheory.problem import Problem, landscape
from sgdtheory.sources import HERE

η = symbols.lr
high, low, multiplier, sharpness = (
    symbols.cycle_high,
    symbols.cycle_low,
    symbols.cycle_multiplier,
    symbols.cycle_curvature,
)
birth, most, death = symbols.cycle_birth, symbols.cycle_super, symbols.cycle_death


def double_well() -> Problem:
    """Return the loss (w² − 1)²/4 without noise: minima ±1 of curvature 2, a maximum of curvature −1 between them."""
    return landscape("(w**2 - 1)**2/4", ["w"], name="double well")


def cycle() -> tuple[sp.Expr, sp.Expr]:
    """Return the larger and the smaller point of the two-cycle, (√(1 + 3/η) ± √(1 − 1/η))/2.

    Examples
    --------
    >>> [point.subs(η, 1) for point in cycle()]
    [1, 1]
    """
    half_sum, half_gap = sp.sqrt(1 + 3 / η) / 2, sp.sqrt(1 - 1 / η) / 2
    return half_sum + half_gap, half_sum - half_gap


def solve_cycle() -> Case:
    """Solve q = f(p), p = f(q) for the step f(w) = w − ηL'(w) by sum and product.

    With g = L' = w³ − w the two equations are g(p) = (p − q)/η = −g(q). Their sum, g(p) + g(q) = 0, and their
    difference, g(p) − g(q) = 2(p − q)/η, are symmetric and antisymmetric, so divided by p + q (not 0 for a cycle around
    one minimum) and p − q (not 0 for a cycle at all) they become equations in s = p + q and m = pq:
    s² − 3m = 1 and s² − m = 1 + 2/η. Hence m = 1/η and s² = 1 + 3/η, and (p − q)² = s² − 4m = 1 − 1/η: the cycle
    exists for η > 1. Over it, two steps have the derivative f'(p)f'(q), symmetric in p and q, hence a polynomial in s
    and m: 9 − 2(1 + η)². It falls from 1 at η = 1, vanishes at η = 3/√2 − 1 and is −1 at η = √5 − 1.
    """
    problem = double_well()
    (w,) = problem.coordinates
    g, step = problem.gradient[0], mean_step(problem, SGD(), 1)[0][0]
    p, q = sp.symbols("p q")
    s, m = sp.symbols("s m", positive=True)

    def symmetric(polynomial: sp.Expr) -> sp.Expr:
        """Write a symmetric polynomial of p and q in their sum and product."""
        found, left, names = sp.symmetrize(sp.expand(polynomial), [p, q], formal=True)
        assert left == 0
        return found.subs({names[0][0]: s, names[1][0]: m})

    g_p, g_q = g.subs(w, p), g.subs(w, q)
    same = sp.cancel((g_p + g_q) / (p + q))
    opposite = sp.cancel((g_p - g_q - 2 * (p - q) / η) / (p - q))
    ((total, product),) = sp.solve([symmetric(same), symmetric(opposite)], [s, m])

    def over_cycle(polynomial: sp.Expr) -> sp.Expr:
        return sp.expand(symmetric(polynomial).subs({s: total, m: product}))

    gap = sp.sqrt(over_cycle((p - q) ** 2))
    slope = sp.diff(step, w)
    derivative = over_cycle(slope.subs(w, p) * slope.subs(w, q))
    curvature = problem.hessian[0]
    first, middle, last = (
        max(sp.solve(sp.Eq(derivative, value), η), key=lambda root: root.evalf()) for value in (1, 0, -1)
    )
    mean_curvature = over_cycle(curvature.subs(w, p) + curvature.subs(w, q)) / 2
    ends = {high: (total + gap) / 2, low: (total - gap) / 2}
    return {**ends, multiplier: derivative, sharpness: mean_curvature, birth: first, most: middle, death: last}


def iterate(point: Case) -> Case:
    """Run gradient descent for 4000 steps, and bisect for the learning rates at which its orbits change.

    Derivatives of steps are differences over small gaps. At the birth that of one step at the minimum is one in size,
    at the end that of two steps on the cycle is −1; the cycle is found by bisection there, so that it need not attract.
    """
    lr = float(point[η])
    here = _run(1.1, lr, 4000)
    there = _run(here, lr, 1)
    return {
        η: point[η],
        high: max(here, there),
        low: min(here, there),
        multiplier: _two_step_slope(lr),
        sharpness: (3 * here**2 + 3 * there**2 - 2) / 2,
        birth: bisect(lambda rate: abs(_slope(1.0, rate, 1)) - 1, 0.5, 1.5),
        most: bisect(lambda rate: -_two_step_slope(rate), 1.05, 1.2),
        death: bisect(lambda rate: -1 - _two_step_slope(rate), 1.15, 1.4),
    }


def _run(w: float, lr: float, steps: int) -> float:
    for _ in range(steps):
        w -= lr * (w**3 - w)
    return w


def _slope(w: float, lr: float, steps: int) -> float:
    """Return the derivative of so many steps at w, by a central difference."""
    gap = 1e-5
    return (_run(w + gap, lr, steps) - _run(w - gap, lr, steps)) / (2 * gap)


def _two_step_slope(lr: float) -> float:
    """Return the derivative of two steps at the only point of period two between 1 and the end of the basin."""
    return _slope(bisect(lambda w: w - _run(w, lr, 2), 1.01, math.sqrt(1 + 2 / lr) - 0.01), lr, 2)


_HIGH, _LOW = cycle()
STATED: dict[sp.Symbol, sp.Expr] = {
    high: _HIGH,
    low: _LOW,
    multiplier: 9 - 2 * (1 + η) ** 2,
    sharpness: (1 + 3 / η) / 2,
    birth: sp.S.One,
    most: 3 / sp.sqrt(2) - 1,
    death: sp.sqrt(5) - 1,
}


TWO_CYCLE = Claim(
    id="STA-10",
    slug="stationarity.two-cycle",
    title="On (w² − 1)²/4 gradient descent has the two-cycle (√(1 + 3/η) ± √(1 − 1/η))/2, stable for 1 < η < √5 − 1",
    status="exact",
    statement=equations(STATED),
    assumptions=(
        between(η, 1, sp.sqrt(5) - 1, "learning rate"),
        given("plain gradient descent without noise, started inside the basin of the minimum at 1"),
    ),
    source=HERE,
    evidence=(
        Identity(solve_cycle),
        # the multiplier is at most 0.96 in size, which leaves 0.96^2000 of the start; differences over 10⁻⁵ err by 10⁻⁹
        Recursion(iterate, tuple({η: sp.Rational(value)} for value in ("1.02", "1.1", "1.2", "1.23")), 1e-7),
    ),
    mutants=(
        Mutant("the gap of a square-root bifurcation, √(η − 1)", equations(STATED, {high: _HIGH.subs(1 / η, 2 - η)})),
        Mutant("symmetric about the minimum", equations(STATED, {low: 2 - _HIGH})),
        Mutant("the multiplier of one step, squared", equations(STATED, {multiplier: (1 - 2 * η) ** 2})),
        Mutant("mean curvature held at two over the learning rate", equations(STATED, {sharpness: 2 / η})),
        Mutant("mean curvature that of the minimum", equations(STATED, {sharpness: sp.Integer(2)})),
        Mutant("unstable at once", equations(STATED, {death: sp.S.One})),
        Mutant("stable until the basin's edge maps to the maximum", equations(STATED, {death: sp.Integer(2)})),
        Mutant("most attracting half-way", equations(STATED, {most: sp.sqrt(5) / 2})),
        Mutant("born where the curvature is one over the learning rate", equations(STATED, {birth: sp.Rational(1, 2)})),
    ),
    meanings=(
        (high, "larger point of the two-cycle"),
        (low, "smaller point of the two-cycle"),
        (multiplier, "derivative of two steps on the cycle: it attracts where that is inside (−1, 1)"),
        (sharpness, "mean second derivative over the cycle"),
        (birth, "learning rate at which the cycle appears"),
        (most, "learning rate at which the cycle attracts faster than geometrically"),
        (death, "learning rate at which the cycle turns unstable and its period doubles"),
    ),
    note="The mean curvature over the cycle, (1 + 3/η)/2, is below that of the minimum, 2, and above 2/η: the orbit "
    "has moved to where the loss is flatter, but not down to the edge itself.",
)

CLAIMS = (TWO_CYCLE,)
"""The theory, in the order of the ledger."""
