"""Escape: how long SGD takes, on average, to climb out of a valley."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Recursion, by_name, equals, given, positive
from sgdtheory.derive.transition import Vector, exit_steps
from sgdtheory.sources import HERE

m, D, a, T = symbols.valley_slope, symbols.diffusion, symbols.exit_distance, symbols.exit_time
_w = sp.Symbol("w", positive=True)


def mean_exit_time(loss: sp.Expr, coordinate: sp.Symbol, distance: sp.Expr = a) -> sp.Expr:
    """Return the mean time from the middle of a symmetric valley to |w| = a, (1/D)∫₀ᵃ e^(U(y)/D) ∫₀ʸ e^(−U(z)/D) dz dy.

    D = ησ²/(2B) is constant, and a step takes the time η.

    Parameters
    ----------
    loss : expression
        U(w) for w > 0; U(−w) = U(w).
    coordinate : Symbol
    distance : expression
        a.

    Examples
    --------
    >>> mean_exit_time(sp.S.Zero, _w)  # a random walk
    a**2/(2*D)
    """
    y, z = sp.Dummy("y", positive=True), sp.Dummy("z", positive=True)
    below = sp.integrate(sp.exp(-loss.subs(coordinate, z) / D), (z, 0, y))
    return sp.integrate(sp.expand(sp.exp(loss.subs(coordinate, y) / D) * below), (y, 0, distance)) / D


def climb() -> Case:
    """Integrate the backward equation twice.

    In a small time dt the mean waiting time τ(w) falls by dt: with drift −U' and diffusion D, Dτ'' − U'τ' = −1, that is
    (e^(−U/D) τ')' = −e^(−U/D)/D. By symmetry τ'(0) = 0, and τ(a) = 0 where the run has left, so
    τ(0) = (1/D) ∫₀ᵃ e^(U(y)/D) ∫₀ʸ e^(−U(z)/D) dz dy. For U = m|w| the inner integral is (D/m)(1 − e^(−my/D)), and the
    outer one gives (1/m)[(D/m)(e^(ma/D) − 1) − a]: Kramers' exponential of the height ma, and corrections.
    """
    return {T: mean_exit_time(m * _w, _w)}


def steps_to_leave(slope: float, diffusion: float, distance: float, part: int) -> float:
    """Return the mean time to leave m|w| at a finite step, of standard deviation a/part, on a grid.

    Examples
    --------
    >>> slow, exact = steps_to_leave(1.0, 0.5, 1.0, 40), float(exit_time().subs({m: 1, D: 0.5, a: 1}))
    >>> bool(exact < slow < 1.06 * exact)  # a run ends beyond a, not at it
    True
    """
    std = distance / part
    lr = std**2 / (2 * diffusion)
    middle = 3 * part // 2  # 1.5 cells a standard deviation, and one around the minimum
    cells: Vector = np.arange(-middle, middle + 1) * np.float64(2 * distance / (2 * middle + 1))
    steps = exit_steps(lambda w: w - lr * slope * np.sign(w), lambda w: np.full_like(w, std), cells)
    return float(steps[middle]) * lr


def small_steps(point: Case) -> Case:
    """Extrapolate the time at steps of standard deviation a/16, a/32 and a/64 to 0.

    The error starts with √η, because runs overshoot; that power and the next are removed.
    """
    slope, diffusion, distance = (float(point[s]) for s in (m, D, a))
    times = [steps_to_leave(slope, diffusion, distance, part) for part in (16, 32, 64)]
    first, second = (2 * fine - coarse for coarse, fine in pairwise(times))
    return {**point, T: (4 * second - first) / 3}


def exit_time() -> sp.Expr:
    """Return the mean time from the minimum of m|w| to |w| = a, (1/m)[(D/m)(e^(ma/D) − 1) − a].

    Examples
    --------
    >>> exit_time().subs({m: 1, D: 1, a: 2})
    -3 + exp(2)
    """
    return (D / m * (sp.exp(m * a / D) - 1) - a) / m


_at = by_name(m=m, D=D, a=a)


ESCAPE = Claim(
    id="STA-13",
    slug="stationarity.escape",
    title="At small steps SGD climbs from the minimum of m|w| to |w| = a in the mean time [(D/m)(e^(ma/D) − 1) − a]/m",
    status="approximate",
    statement=equals(T, exit_time()),
    assumptions=(
        positive(m, "slope of the valley's sides"),
        positive(D, "D = ησ²/(2B)"),
        positive(a, "distance at which the run has left"),
        given("η → 0 at fixed D; noise that does not depend on w; a step takes the time η"),
    ),
    source=HERE,
    evidence=(
        Identity(climb),
        # η^(3/2) remains of the extrapolation, some 10⁻⁴ at a barrier of 3
        Recursion(small_steps, (_at(m=1, D=1, a=1), _at(m=2, D=0.5, a=0.5), _at(m=1, D=0.5, a=1.5)), 5e-4),
    ),
    mutants=(
        Mutant("Kramers' exponential alone", equals(T, D / m**2 * sp.exp(m * a / D))),
        Mutant("no slope: the random walk's a²/(2D)", equals(T, a**2 / (2 * D))),
        Mutant("one way out instead of two", equals(T, 2 * exit_time())),
        Mutant("twice the diffusion", equals(T, exit_time().subs(D, 2 * D))),
    ),
    meanings=((T, "mean time, η a step, from the minimum to |w| = a"),),
    note="At a finite step it takes longer, to leading order as if the ends lay 0.58 standard deviations of a step "
    "further out. The same integrals give the time for any symmetric valley: `mean_exit_time`.",
)

CLAIMS = (ESCAPE,)
"""The theory, in the order of the ledger."""
