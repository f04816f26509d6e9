"""The classical theorem of convergence: what falling learning rates with a divergent sum do, and what they do not.

The slides ask for η → 0 and Ση = ∞. That gives convergence in mean square. Almost sure convergence, along a single
run, fails for rates that fall as slowly as 1/log t; Ση² < ∞ besides is enough.
"""

from __future__ import annotations

import math

import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.claim import Case, Claim, Ensemble, Identity, Mutant, Recursion, by_name, equals, given, positive
from sgdtheory.derive.moments import stationary_variance
from sgdtheory.laws import Number
from sgdtheory.optimizers import SGD
from sgdtheory.sources import MCALLESTER_2018

B, h, σ, n, c = (
    symbols.batch_size,
    symbols.curvature,
    symbols.noise_std,
    symbols.steps,
    symbols.schedule_scale,
)
V, M = symbols.variance, symbols.largest_excursion


def slow_schedule(step: Number = symbols.step) -> sp.Expr:
    """Return η_t = c/log(t + 1), which falls to 0 with divergent sum, and whose squares have one too.

    Examples
    --------
    >>> slow_schedule(1)
    c/log(2)
    """
    return c / sp.log(step + 1)


def excursions() -> Case:
    """Follow the variance down and count how often the tail is visited.

    V' = (1 − ηh)²V + η²σ²/B shrinks the distance of V from the long-run value v(η) = ησ²/(Bh(2 − ηh)) of the present
    rate by ρ² = (1 − ηh)² a step, while the target falls by d a step; so V lags behind by D = ρ²(D + d), up to terms
    smaller by 1/t. As η falls by a relative 1/(t log t) a step, D/v = O(1/t): V follows v(η_t), which falls to 0. This
    is convergence in mean square.

    Now w_t is normal, so P(|w_t| > a) = erfc(a/√(2V)), whose logarithm is −a²/(2V) up to a smaller term: it falls like
    t^(−κ), κ = lim a²/(2 v(η_t) log t) = a²Bh/(cσ²). If κ > 1 the sum over t is finite and |w_t| > a happens only
    finitely often (Borel and Cantelli). If κ < 1 look at the steps t_k = k⌈log²k⌉ alone: between two of them SGD
    forgets all but a fraction exp(−h·Ση) → 0, what is fresh at each is independent with nearly the same variance, and
    its chances still have a divergent sum, so |w_t| > a happens infinitely often. So limsup |w_t| is the a with κ = 1:
    w does not converge.
    """
    t, a = sp.Symbol("t", positive=True), sp.Dummy("a", positive=True)
    rate = slow_schedule(t)
    target = stationary_variance(SGD(lr=rate))
    lag = sp.Dummy("D")
    (behind,) = sp.solve(sp.Eq(lag, (1 - rate * h) ** 2 * (lag - target.diff(t))), lag)
    κ = sp.limit(sp.simplify(a**2 / (2 * target) / sp.log(t + 1)), t, sp.oo)
    (largest,) = sp.solve(sp.Eq(κ, 1), a)
    return {V: (target + behind).subs(t, n), M: largest}


def run_down(point: Case) -> Case:
    """Run SGD's exact variance for n steps; then find the excursions of a step near e^L, L = 20 000.

    There the rate is c/L for as long as SGD remembers, and a is sought with P(|w| > a) = e^(−L) by Newton's method on
    the logarithm of the normal tail, its asymptotic series cut after two terms.
    """
    numbers = {s: float(point[s]) for s in (B, h, σ, c)}
    noise, curvature = numbers[σ] ** 2 / numbers[B], numbers[h]

    def forward(variance: float, lr: float) -> float:
        return (1 - lr * curvature) ** 2 * variance + lr**2 * noise

    variance, late, logarithm = 0.0, 0.0, 20_000
    for t in range(1, int(point[n]) + 1):
        variance = forward(variance, numbers[c] / math.log(t + 1))
    for _ in range(round(10 * logarithm / (numbers[c] * curvature))):
        late = forward(late, numbers[c] / logarithm)
    x = float(logarithm)  # x = a²/(2V); erfc(√x) = e^(−x)/√(πx)·(1 − 1/(2x) + …)
    for _ in range(20):
        x = logarithm - math.log(math.pi * x) / 2 + math.log1p(-1 / (2 * x))
    return {**point, V: variance, M: math.sqrt(2 * late * x)}


def _states(excursion: sp.Expr, lag: sp.Expr | None = None) -> sp.Basic:
    """State the variance after n steps, v(η_n)(1 + lag), and the largest excursion."""
    x = slow_schedule(n) * h
    late = 2 * (1 - x) ** 2 / (c * h * (n + 1) * (2 - x) ** 2) if lag is None else lag
    return sp.And(equals(M, excursion), equals(V, slow_schedule(n) * σ**2 / (B * h * (2 - x)) * (1 + late)))


_at = by_name(c=c, B=B, h=h, s=σ, n=n)


_w = sp.Symbol("w", real=True)
_EXCURSION = σ * sp.sqrt(c / (B * h))
CONVERGENCE = Claim(
    id="MCA-11",
    slug="lectures.classical-convergence",
    title="Rates c/log t have η → 0 and Ση = ∞; SGD then converges in mean square, yet limsup |w| = σ√(c/(Bh)) > 0",
    status="corrected",
    statement=_states(_EXCURSION),
    assumptions=(
        positive(c, "scale of the schedule"),
        positive(h, "curvature"),
        positive(σ, "standard deviation of one example's gradient"),
        positive(B, "batch size"),
        positive(n, "steps, many"),
        given("quadratic loss ½hw², independent normal gradient noise that does not depend on w"),
    ),
    source=MCALLESTER_2018.where("slide on the classical convergence theorem"),
    evidence=(
        Identity(excursions),
        # of the tail near e^20 000, log(20 000π)/40 000 remains; of the lag at 200 steps, its square
        Recursion(run_down, (_at(c=1, h=1, B=1, s=1, n=200), _at(c=0.5, h=2, B=3, s=2, n=2000)), 5e-4),
        Ensemble(
            V, _w, "variance", quadratic(), SGD(lr=slow_schedule()),
            {c: 1, h: 1, σ: 1.5, B: 2, n: 100}, steps=100, start=(0,), resolution=0.03,
        ),
    ),
    mutants=(
        Mutant("as printed: every run converges, limsup |w| = 0", _states(sp.S.Zero)),
        Mutant("excursions of √2 times the size", _states(sp.sqrt(2) * _EXCURSION)),
        Mutant("the variance keeps up with the falling rate", _states(_EXCURSION, sp.S.Zero)),
        Mutant("the variance does not fall", _states(_EXCURSION, sp.log(n + 1) / c - 1)),
    ),
    meanings=(
        (M, "limsup of |w_t| along almost every run, η_t = c/log(t + 1)"),
        (V, "variance after n steps, up to a relative O(1/n²); it tends to 0"),
    ),
    note="The limit on the slide must read t → ∞. Almost sure convergence follows if Ση² < ∞ is asked for besides "
    "(Robbins and Monro's condition, sufficient); the slide leaves it out.",
)  # fmt: skip

CLAIMS = (CONVERGENCE,)
"""The theory, in the order of the ledger."""
