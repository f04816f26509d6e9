"""Descent without noise into a degenerate minimum: how slowly gradient flow arrives, and from where a step does not.

The loss is c·w^(2k). Flow has a power law instead of an exponential for k > 1; a step of length η overshoots beyond a
distance that depends on η.
"""

from __future__ import annotations

import math

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Recursion, by_name, equations, given, positive, where
from sgdtheory.derive.search import last
from sgdtheory.optimizers import SGD
from sgdtheory.sources import CORLOUER_MACE_2024, HERE

k, c, τ, w_0, η = symbols.zero_order, symbols.steepness, symbols.flow_time, symbols.flow_start, symbols.lr
w_τ, power, edge, image = symbols.flow_place, symbols.flow_power, symbols.basin_edge, symbols.edge_image
_w = sp.Symbol("w", positive=True)
_LOSS = c * _w ** (2 * k)


def flow_place() -> sp.Expr:
    """Return where the flow on c·w^(2k), k > 1, is at time τ: [w₀^(2−2k) + 4k(k − 1)cτ]^(−1/(2k−2)).

    Examples
    --------
    >>> flow_place().subs({k: 2, c: 1, w_0: 1, τ: 3})
    1/5
    """
    return (w_0 ** (2 - 2 * k) + 4 * k * (k - 1) * c * τ) ** (-1 / (2 * k - 2))


def basin_edge() -> sp.Expr:
    """Return the distance (kcη)^(−1/(2k−2)) within which gradient descent on c·w^(2k), k > 1, converges.

    Examples
    --------
    >>> basin_edge().subs({k: 2, c: 1, η: sp.Rational(1, 50)})
    5
    """
    return (k * c * η) ** (-1 / (2 * k - 2))


def separate() -> Case:
    """Turn the flow into uniform motion.

    dw/dτ = −2kc w^(2k−1), so u = w^(2−2k) moves at the constant speed (2 − 2k)w^(1−2k)·dw/dτ = 4k(k − 1)c. From u(τ),
    w = u^(−1/(2k−2)) and L = c·u^(−k/(k−1)), whose logarithmic slope in τ tends to −k/(k − 1).
    """
    u = _w ** (2 - 2 * k)
    speed = sp.simplify(sp.diff(u, _w) * -sp.diff(_LOSS, _w))
    later = w_0 ** (2 - 2 * k) + speed * τ
    end = later ** (1 / (2 - 2 * k))
    log_loss = 2 * k / (2 - 2 * k) * sp.log(later)
    return {w_τ: end, power: sp.limit(sp.cancel(τ * sp.diff(log_loss, τ)), τ, sp.oo)}


def integrate_flow(point: Case) -> Case:
    """Integrate the flow in log τ by the classical method of order four, to τ and far beyond it."""
    order, steep, start = (float(point[s]) for s in (k, c, w_0))

    def after(time: float) -> float:
        log_time, log_w = math.log(1e-12), math.log(start)
        steps = 4000
        step = (math.log(time) - log_time) / steps

        def rate(s: float, y: float) -> float:
            return -2 * order * steep * math.exp(s + (2 * order - 2) * y)

        for _ in range(steps):
            a = rate(log_time, log_w)
            b = rate(log_time + step / 2, log_w + step / 2 * a)
            d = rate(log_time + step / 2, log_w + step / 2 * b)
            e = rate(log_time + step, log_w + step * d)
            log_time, log_w = log_time + step, log_w + step * (a + 2 * b + 2 * d + e) / 6
        return math.exp(log_w)

    far = 1e8
    measured = 2 * order * math.log(after(10 * far) / after(far)) / math.log(10)
    return {**point, w_τ: after(float(point[τ])), power: measured}


def overshoot() -> Case:
    """Ask when one step reduces the distance.

    w' = w(1 − 2kcη w^(2k−2)). The factor lies in (−1, 1) exactly if kcη w^(2k−2) < 1; then it does so for ever, for w
    has become smaller, and w → 0. At equality the factor is −1, a cycle of two points; beyond it |w| grows faster and
    faster.
    """
    (end,) = (SGD().update(gradient=sp.diff(_LOSS, _w), theta=_w).position,)
    factor = sp.powsimp(sp.expand(end / _w))
    size = sp.Symbol("m", positive=True)  # w^(2k−2)
    (most,) = sp.solve(sp.Eq(factor.subs(_w ** (2 * k - 2), size), -1), size)
    at_edge = most ** (1 / (2 * k - 2))
    return {edge: at_edge, image: at_edge * factor.subs(_w ** (2 * k - 2), most)}


def bisect_starts(point: Case) -> Case:
    """Find the largest start from which 400 steps arrive, and where one step takes it."""
    order, steep, lr = int(point[k]), float(point[c]), float(point[η])

    def step(w: float) -> float:
        return w - lr * 2 * order * steep * w ** (2 * order - 1)

    def arrives(w: float) -> bool:
        first = abs(w)
        for _ in range(400):
            w = step(w)
            if abs(w) > 1e3 * first:
                return False
        return abs(w) < first

    found = last(arrives, 1e-6, 1e6, 1e-13)
    return {**point, edge: found, image: step(found)}


_FLOW = {w_τ: flow_place(), power: -k / (k - 1)}
_EDGE = {edge: basin_edge(), image: -basin_edge()}
_at = by_name(k=k, c=c, tau=τ, w0=w_0, lr=η)
_DEGENERATE = (positive(k, "half the degree of the loss"), where(sp.Gt(k, 1), "k > 1"), positive(c, "steepness"))

SLOW_FLOW = Claim(
    id="DEG-04",
    slug="degenerate.slow-flow",
    title="Gradient flow on c·w^(2k), k > 1, arrives as τ^(−1/(2k−2)), and its loss as τ^(−k/(k−1))",
    status="exact",
    statement=equations(_FLOW),
    assumptions=(*_DEGENERATE, positive(τ, "time"), positive(w_0, "start"), given("no noise, small steps")),
    source=CORLOUER_MACE_2024.where("convergence is slower the more degenerate the minimum"),
    evidence=(
        Identity(separate),
        # the start is still felt at τ = 10⁸, by some 10⁻⁸; the integration is good to 10⁻⁹
        Recursion(integrate_flow, tuple(_at(k=d, c=x, tau=5, w0=1.5) for d, x in ((2, 1), (3, 0.5), (4, 2))), 1e-6),
    ),
    mutants=(
        Mutant("the gradient without its 2k", equations(_FLOW, {w_τ: flow_place().subs(c, c / (2 * k))})),
        Mutant("exponential, as at a regular minimum", equations(_FLOW, {w_τ: w_0 * sp.exp(-2 * c * τ)})),
        Mutant("loss as 1/τ for every k, the bound for convex losses", equations(_FLOW, {power: -1})),
        Mutant("a loss of twice the degree", equations({q: f.subs(k, 2 * k) for q, f in _FLOW.items()})),
    ),
    meanings=((w_τ, "place at time τ from w₀"), (power, "limit of d log L/d log τ")),
    note="At k = 1 the flow is exponential. With label noise SGD does not obey these rates: DEG-06.",
)

BASIN = Claim(
    id="DEG-05",
    slug="degenerate.descent-basin",
    title="Gradient descent on c·w^(2k), k > 1, converges exactly from |w| < (kcη)^(−1/(2k−2)), where it cycles",
    status="exact",
    statement=equations(_EDGE),
    assumptions=(*_DEGENERATE, positive(η, "learning rate"), given("plain gradient descent without noise")),
    source=HERE,
    evidence=(
        Identity(overshoot),
        # bisection to 10⁻¹³; beside the edge the cycle repels by a factor 4k − 3 a step
        Recursion(bisect_starts, tuple(_at(k=d, c=x, lr=0.05) for d, x in ((2, 1), (3, 0.7), (5, 2))), 1e-9),
    ),
    mutants=(
        Mutant("as long as it does not overshoot", equations({q: f.subs(c, 2 * c) for q, f in _EDGE.items()})),
        Mutant(
            "the linear limit ηL'' = 2 at the start",
            equations({q: f.subs(c, (2 * k - 1) * c) for q, f in _EDGE.items()}),
        ),
        Mutant("a fixed point at the edge", equations(_EDGE, {image: basin_edge()})),
    ),
    meanings=((edge, "largest distance from which it converges"), (image, "where a step takes that distance")),
    note="Beyond the edge |w| overflows within a few steps: a typed outcome of `simulate`, `diverged_at`. At k = 1 the "
    "distance does not matter, only ηL'' < 2.",
)

CLAIMS = (SLOW_FLOW, BASIN)
"""The theory, in the order of the ledger."""
