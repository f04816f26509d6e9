"""Stochastic modified equations: diffusions that follow SGD to first and second order, and what they say of long runs.

Order speaks of a fixed time as η → 0. The long-run variance is itself of first order in η, and there the equation of
second order is further off than that of first order: its drift is corrected, its noise is not.
"""

from __future__ import annotations

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Recursion, by_name, equations, given, positive
from sgdtheory.derive.expansion import jet
from sgdtheory.derive.moments import stationary_variance
from sgdtheory.optimizers import SGD
from sgdtheory.sources import LI_TAI_E_2019

η, B, h, σ = symbols.lr, symbols.batch_size, symbols.curvature, symbols.noise_std
V, V1, V2 = symbols.variance, symbols.variance_sme1, symbols.variance_sme2
r0, r1, r2 = symbols.rate_sgd, symbols.rate_sme1, symbols.rate_sme2
_w = sp.Symbol("w", real=True)


def modified_drift(loss: sp.Expr, coordinate: sp.Symbol, order: int) -> sp.Expr:
    """Return the drift of the modified equation: −L' to first order, −(L + ¼ηL'²)' to second.

    Parameters
    ----------
    loss : expression
        L, in one coordinate.
    coordinate : Symbol
    order : {1, 2}

    Examples
    --------
    >>> modified_drift(h * _w**2 / 2, _w, 2).factor()
    -h*w*(eta*h + 2)/2
    """
    slope = loss.diff(coordinate)
    return -slope if order == 1 else -slope - η * slope * loss.diff(coordinate, 2) / 2


def match_step() -> Case:
    """Find the drift whose flow for a time η makes SGD's mean step, then compare long runs.

    Along dw/dt = b + ηb₂ a time η moves w by ηb + η²(b₂ + ½bb') + …; the mean step is −ηL' and nothing more, so b = −L'
    and b₂ = −½L'L'': gradient descent on L + ¼ηL'². The modified equation of order k has this drift, cut after k terms,
    and noise of SGD's own size, √(ηΣ/B) dW. On ½hw² both are Ornstein–Uhlenbeck processes with decay rates h and
    h(1 + ηh/2) and variances ησ²/(2B·rate). SGD's mean decays by log(1 − ηh)/η per unit of time, which the second order
    matches up to η². But the exact variance ησ²/(Bh(2 − ηh)) is larger than ησ²/(2Bh), as steps overshoot, while the
    corrected drift makes the variance smaller: the correction has the right size and the wrong sign.
    """
    b = sp.Function("b", real=True)(_w)
    second = sp.Dummy("b2")
    flow = η * (b + η * second) + η**2 * b * b.diff(_w) / 2
    (matched,) = sp.solve(flow.expand().coeff(η, 2), second)
    loss = h * _w**2 / 2
    first = sp.expand(SGD().update(gradient=loss.diff(_w), theta=_w).displacement / η)
    drifts = first, first + η * matched.subs(b, first).doit()
    rates = [-drift.diff(_w) for drift in drifts]
    variances = [jet(η * σ**2 / (2 * B * rate), η, 3) for rate in rates]
    exact = jet(stationary_variance(SGD()), η, 3)
    mean = sp.series(-sp.log(1 - η * h), η, 0, 4).removeO() / η
    return dict(zip((V, V1, V2, r0, r1, r2), (exact, *variances, sp.expand(mean), *rates), strict=True))


def moments_in_time(point: Case) -> Case:
    """Run SGD's exact moments step by step, and the diffusions' moment equations by Runge and Kutta's method.

    Means start at 1 and are read after the time 2/h; variances start at 0 and are read after a time of 25/h.
    """
    lr, curvature, noise = float(point[η]), float(point[h]), float(point[σ] ** 2 / point[B])
    steps = round(2 / (lr * curvature))
    mean, variance = 1.0, 0.0
    for _ in range(steps):
        mean -= lr * curvature * mean
    for _ in range(round(25 / (lr * curvature))):
        variance = (1 - lr * curvature) ** 2 * variance + lr**2 * noise
    case = {**point, V: variance, r0: -sp.log(mean) / (steps * lr)}
    for order, rate, spread in ((1, r1, V1), (2, r2, V2)):
        slope = float((modified_drift(h * _w**2 / 2, _w, order) / _w).simplify().subs(point))
        case[rate] = -sp.log(_integrate(slope, 0.0, 1.0, 2 / curvature)) * curvature / 2
        case[spread] = _integrate(2 * slope, lr * noise, 0.0, 25 / curvature)
    return case


def _integrate(factor: float, source: float, value: float, time: float, steps: int = 4000) -> float:
    """Follow y' = factor·y + source from `value` for a time by the classical method of fourth order."""
    dt = time / steps
    for _ in range(steps):
        a = factor * value + source
        b = factor * (value + dt * a / 2) + source
        c = factor * (value + dt * b / 2) + source
        d = factor * (value + dt * c) + source
        value += dt * (a + 2 * b + 2 * c + d) / 6
    return value


_FIRST, _SECOND = η * σ**2 / (2 * B * h), η**2 * σ**2 / (4 * B)
_STATED = {
    V: _FIRST + _SECOND,
    V1: _FIRST,
    V2: _FIRST - _SECOND,
    r0: h + η * h**2 / 2 + η**2 * h**3 / 3,
    r1: h,
    r2: h + η * h**2 / 2,
}


_at = by_name(lr=η, B=B, h=h, s=σ)


WRONG_SIGN = Claim(
    id="STA-08",
    slug="stationarity.modified-equations",
    title="The modified equation of order 2 follows SGD's mean, but its long-run variance has −¼η²σ²/B for +¼η²σ²/B",
    status="leading-order",
    statement=equations(_STATED),
    assumptions=(
        positive(η, "learning rate, small"),
        positive(h, "curvature"),
        positive(σ, "standard deviation of one example's gradient"),
        positive(B, "batch size"),
        given("quadratic loss ½hw², noise that does not depend on w; a step takes the time η"),
    ),
    source=LI_TAI_E_2019.where("equations of order 1 and 2; the comparison of long runs is made here"),
    evidence=(
        Identity(match_step, (η, 3)),
        # the next terms are of relative size (ηh)²/4, at most 10⁻⁶ here
        Recursion(moments_in_time, (_at(lr=0.001, B=1, h=1, s=1), _at(lr=0.0005, B=4, h=3, s=2)), 1e-6),
    ),
    mutants=(
        Mutant("order 2 matches the long-run variance to η²", equations(_STATED, {V2: _STATED[V]})),
        Mutant("order 1 does", equations(_STATED, {V1: _STATED[V]})),
        Mutant("SGD's variance is smaller than its leading term", equations(_STATED, {V: _STATED[V2]})),
        Mutant("the drift of L + ½ηL'²", equations(_STATED, {r2: h + η * h**2, V2: _FIRST - 2 * _SECOND})),
        Mutant("order 1 follows the mean to second order", equations(_STATED, {r1: _STATED[r2]})),
    ),
    meanings=(
        (V, "long-run variance of SGD"),
        (V1, "long-run variance of dw = −L' dt + √(ηΣ/B) dW"),
        (V2, "long-run variance of dw = −(L + ¼ηL'²)' dt + √(ηΣ/B) dW"),
        (r0, "decay rate of SGD's mean"),
        (r1, "decay rate of the mean in the equation of order 1"),
        (r2, "decay rate of the mean in the equation of order 2"),
    ),
    note="No contradiction: order 2 allows errors of order η², and the variance is of order η. In units of η²σ²/B the "
    "terms are +¼ (SGD), 0 (order 1), −¼ (order 2). Noise larger by the factor 1 + ηh would repair it.",
)

CLAIMS = (WRONG_SIGN,)
"""The theory, in the order of the ledger."""
