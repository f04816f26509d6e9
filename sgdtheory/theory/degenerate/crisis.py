"""Where gradient descent itself leaves the sharp sticky minimum: a boundary crisis.

Beyond learning rate × curvature = 2 descent does not diverge; it cycles, then wanders, in an interval around the
minimum −w0. The interval grows with the learning rate until it touches the barrier.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import sticky_1d
from sgdtheory.claim import Case, Claim, Identity, Mutant, Recursion, equations, given, positive
from sgdtheory.derive.search import bisect, last
from sgdtheory.optimizers import SGD
from sgdtheory.sources import HERE
from sgdtheory.theory.degenerate.sharp_minimum import sharp_curvature

w0, x_c, η_c = symbols.half_separation, symbols.crisis, symbols.crisis_lr
_z, _x = sp.symbols("z x", real=True)
_BARRIER = sp.Rational(-1, 3)


def scaled_step() -> sp.Expr:
    """Return the step of gradient descent in z = w/w0, for x = η·32w0⁴ without the ½ (η·16w0⁴ with it).

    Examples
    --------
    >>> sp.diff(scaled_step(), _z).subs(_z, -1)  # 1 − x
    1 - x
    """
    problem = sticky_1d(1, 2, w0, convention="squared error")
    (w,) = problem.coordinates
    lr = _x / sharp_curvature("squared error")
    end = SGD(lr=lr).update(gradient=problem.gradient[0], theta=w).position
    return sp.expand(sp.expand(end.subs(w, _z * w0)) / w0)


def touch_the_barrier() -> Case:
    """Follow the fold of the step.

    In z = w/w0 the step depends on ηw0⁴ alone. Let c be its fold, f'(c) = 0, between the minimum −1 and the barrier
    −1/3: f(c) is the lowest point that the basin is mapped to, and f(f(c)) the highest. As long as f(f(c)) is below
    the barrier, a fixed point that repels, the interval between them is mapped into itself and no orbit leaves; the
    two meet at x_c. Beyond, an orbit that comes close to c is thrown over.
    """
    f = scaled_step()
    step, slope = (sp.lambdify((_z, _x), e) for e in (f, sp.diff(f, _z)))
    barrier = float(_BARRIER)

    def above(x: float) -> float:
        fold = bisect(lambda z: slope(z, x), -1.0, barrier)
        return float(step(step(fold, x), x)) - barrier

    found = bisect(above, 2.0, 4.0)
    return {x_c: sp.Float(found), η_c: sp.Float(found) / sharp_curvature("squared error")}


def watch_orbits(point: Case) -> Case:
    """Find the largest learning rate at which 200 orbits from beside the minimum stay below the barrier."""
    half = float(point[w0])

    def stays(lr: float) -> bool:
        w = half * np.linspace(-1.001, -0.999, 200)
        for _ in range(1500):
            q, slope = (w + half) * (w - half) ** 2, (w - half) * (3 * w + half)
            w = w - lr * 2 * q * slope
            if w.max() > -half / 3:
                return False
        return True

    lr = last(stays, 2 / (32 * half**4), 4 / (32 * half**4), 1e-6 / (32 * half**4))
    return {**point, x_c: lr * 32 * half**4, η_c: lr}


def _statement(low: str, high: str, scale: sp.Expr = 32 * w0**4) -> sp.Basic:
    """Return: x_c lies between two numbers, and the learning rate is x_c over this curvature."""
    bounds = sp.Gt(x_c, sp.Rational(low)), sp.Lt(x_c, sp.Rational(high))
    return sp.And(*bounds, equations({η_c: x_c / scale}))


CRISIS = Claim(
    id="DEG-33",
    slug="degenerate.boundary-crisis",
    title="Beyond learning rate × curvature = 3.350 gradient descent without noise leaves the sharp sticky minimum",
    status="exact",
    statement=_statement("3.3503", "3.3504"),
    assumptions=(
        positive(w0, "half the distance of the minima"),
        given("degrees (1, 2), squared error without the ½, population loss; orbits that start beside the minimum"),
    ),
    source=HERE,
    evidence=(
        Identity(touch_the_barrier),
        # orbits come within some 10⁻⁷ of the end of their interval
        Recursion(watch_orbits, ({w0: sp.Rational(9, 5)}, {w0: sp.Integer(1)}), 1e-9),
    ),
    mutants=(
        Mutant("at the limit of linear stability, 2", _statement("1.9999", "2.0001")),
        Mutant("one digit off", _statement("3.3504", "3.3505")),
        Mutant("curvature 32w0, as once printed", _statement("3.3503", "3.3504", 32 * w0)),
        Mutant("with the ½", _statement("3.3503", "3.3504", 16 * w0**4)),
    ),
    meanings=(
        (x_c, "learning rate × curvature at the minimum −w0, at the crisis"),
        (η_c, "that learning rate"),
    ),
    note="The published η = 0.01, w0 = 1.8 has 3.359: even full batches leave, two runs in a hundred a step. With "
    "noise runs leak out earlier, the more rarely the smaller the product; there is no second threshold.",
)

CLAIMS = (CRISIS,)
"""The theory, in the order of the ledger."""
