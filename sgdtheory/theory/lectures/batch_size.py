"""Batch size and learning rate from a progress guarantee (the lectures' derivation of B* and η*).

If the second derivative of the loss is at most L and the gradient lies within zσ/√B of its estimate ĝ > 0, a step of
−ηĝ lowers the loss by at least η(ĝ − zσ/√B)ĝ − ½Lη²ĝ². The lectures take z = 2 and divide by the B examples it costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, Recursion, by_name, equals, equations, positive
from sgdtheory.derive.search import argmax
from sgdtheory.laws import Number
from sgdtheory.sources import MCALLESTER_2018

η, B, ĝ, σ, L, z = (
    symbols.lr,
    symbols.batch_size,
    symbols.estimated_gradient,
    symbols.noise_std,
    symbols.smoothness,
    symbols.confidence,
)
η_batch, B_best, η_best, η_1 = symbols.lr_at_batch, symbols.best_batch, symbols.best_lr, symbols.lr_one
D, B_0, growth = symbols.shortfall, symbols.zero_batch, symbols.lr_growth


def guarantee(lr: Number = η, batch_size: Number = B) -> sp.Expr:
    """Return the decrease of the loss that a step guarantees, η(ĝ − zσ/√B)ĝ − ½Lη²ĝ², in ĝ, σ, L, z.

    Parameters
    ----------
    lr : number or Symbol
        η.
    batch_size : number or Symbol
        B.

    Returns
    -------
    Expr
        Holds whenever the true gradient is at least ĝ − zσ/√B; negative where nothing is guaranteed.

    Examples
    --------
    >>> guarantee(1, 4).subs({ĝ: 3, σ: 1, L: 1, z: 2})
    3/2
    """
    return lr * (ĝ - z * σ / sp.sqrt(batch_size)) * ĝ - L * lr**2 * ĝ**2 / 2


def optimal_lr(batch_size: Number = B) -> sp.Expr:
    """Return η*(B) = (1 − zσ/(ĝ√B))/L, the learning rate with the largest guarantee; ≤ 0 if there is none.

    Examples
    --------
    >>> optimal_lr(optimal_batch())
    1/(2*L)
    """
    return (1 - z * σ / (ĝ * sp.sqrt(batch_size))) / L


def optimal_batch() -> sp.Expr:
    """Return B* = 4z²σ²/ĝ², the batch size with the largest guarantee per example; 16σ²/ĝ² at z = 2."""
    return 4 * z**2 * σ**2 / ĝ**2


def best_per_example() -> sp.Expr:
    """Return ĝ⁴/(32z²σ²L), the largest guaranteed decrease per example."""
    return ĝ**4 / (32 * z**2 * σ**2 * L)


def shortfall() -> sp.Expr:
    """Return what (η, B) guarantees less, per example, than the best choice: a sum of squares that vanishes only there.

    With e = Lη and s = √(B*/B) it is best·[(1 − 2es)² + 4es(1 − s)²].
    """
    e, s = L * η, sp.sqrt(optimal_batch() / B)
    return best_per_example() * ((1 - 2 * e * s) ** 2 + 4 * e * s * (1 - s) ** 2)


def expected_decrease() -> sp.Expr:
    """Return the mean decrease η ĝ² − ½Lη²(ĝ² + σ²/B) if ĝ is the true gradient: the criterion without caution."""
    return η * ĝ**2 - L * η**2 * (ĝ**2 + σ**2 / B) / 2


def best_choice(decrease: sp.Expr | None = None) -> Case:
    """Maximise the guarantee over η, then per example over B.

    For a fixed batch the guarantee is a parabola in η that opens downwards; its vertex is η_B = (1 − zσ/(ĝ√B))/L and
    its height ½Lη_B²ĝ². Per example, with u = 1/√B, that is u²(ĝ − zσu)²/(2L), stationary at u = ĝ/(2zσ) and, with
    value 0 and η_B = 0, at u = ĝ/(zσ). The first gives B* = 4z²σ²/ĝ² and η* = 1/(2L).

    It beats every other choice: with e = Lη and s = √(B*/B) the guarantee per example is 4es²(2 − s − e) times
    ĝ⁴/(32z²σ²L), and 1 − 4es²(2 − s − e) = (1 − 2es)² + 4es(1 − s)², which for e, s > 0 is zero only at e = ½, s = 1.
    """
    decrease = guarantee() if decrease is None else decrease
    (lr,) = sp.solve(sp.diff(decrease, η), η)
    u = sp.Dummy("u", positive=True)
    rate = sp.simplify((decrease / B).subs(η, lr).subs(B, u**-2))
    stationary = [root for root in sp.solve(sp.diff(rate, u), u) if lr.subs(B, root**-2).is_positive]
    best = stationary[0] if stationary else sp.oo  # with none, ever smaller batches are ever better

    def at_best(expression: sp.Expr) -> sp.Expr:
        return sp.limit(expression, u, best)

    batch, step = at_best(u**-2), at_best(lr.subs(B, u**-2))
    return {
        η_batch: lr,
        B_best: batch,
        η_best: step,
        η_1: at_best(lr.subs(B, u**-2) * u**2),
        D: at_best(rate) - decrease / B,
    }


def zero_and_growth() -> Case:
    """Ask where the best learning rate of a batch is positive.

    η_B = (1 − zσ/(ĝ√B))/L grows with B, because only −zσ/(ĝ√B) depends on it, and is zero where ĝ√B = zσ, that is at
    B = z²σ²/ĝ², a quarter of B*. So it is positive for larger batches and for no others: below that size the gradient
    may have the other sign, and no step is guaranteed to help.
    """
    choice = best_choice()
    (zero,) = sp.solve(choice[η_batch], B)
    return {B_0: zero, growth: sp.diff(choice[η_batch], B), B_best: choice[B_best]}


def search(point: Case) -> Case:
    """Find the largest guarantee per example from its values alone: over η for each batch, then over the batch."""
    numbers = {s: point[s] for s in (ĝ, σ, L, z)}
    per_example = sp.lambdify((η, B), (guarantee() / B).subs(numbers), "math")

    def lr_for(batch: float) -> float:
        return argmax(lambda lr: per_example(lr, batch), 0.0, 4 / float(point[L]))

    batch = math.exp(argmax(lambda b: per_example(lr_for(math.exp(b)), math.exp(b)), -12.0, 12.0))
    lr = lr_for(batch)
    lost = per_example(lr, batch) - per_example(float(point[η]), float(point[B]))
    return {**point, η_batch: lr_for(float(point[B])), B_best: batch, η_best: lr, η_1: lr / batch, D: lost}


def locate_exactly(random: Random) -> Case:
    """Find the same in rational numbers: vertices of parabolas from three of their values.

    The guarantee is a parabola in η. Its height per example is ½Lĝ²(η_B/√B)², and η_B/√B is a parabola in u = 1/√B.
    """
    numbers = {s: sp.Rational(random.randint(1, 12), random.randint(1, 6)) for s in (ĝ, σ, L, z)}
    decrease = guarantee().xreplace(numbers)
    lr, u, other = (sp.Rational(random.randint(1, 40), random.randint(1, 20)) for _ in range(3))

    def at(lr: sp.Expr, u: sp.Expr) -> sp.Expr:
        return decrease.xreplace({η: lr, B: u**-2})

    def lr_for(u: sp.Expr) -> sp.Expr:
        return _vertex(lambda lr: at(lr, u))

    best_u = _vertex(lambda u: u * lr_for(u))
    best, slope = lr_for(best_u), (lr_for(u) - lr_for(u + other)) / (u**-2 - (u + other) ** -2)
    return {
        **numbers,
        **{η: lr, B: u**-2, η_batch: lr_for(u), B_best: best_u**-2, η_best: best, η_1: best * best_u**2},
        D: at(best, best_u) * best_u**2 - at(lr, u) * u**2,
        B_0: (u + other * lr_for(u) / (lr_for(u) - lr_for(u + other))) ** -2,
        growth: slope,
    }


def _vertex(f: Callable[[sp.Expr], sp.Expr]) -> sp.Expr:
    """Return where a parabola is stationary, from its values at 1, 2 and 3."""
    a, b, c = (f(sp.Integer(k)) for k in (1, 2, 3))
    return 2 - (c - a) / (2 * (c - 2 * b + a))


_point = by_name(g=ĝ, s=σ, L=L, z=z, B=B, lr=η)


_ASSUMPTIONS = (
    positive(ĝ, "estimated gradient, taken positive"),
    positive(σ, "standard deviation of one example's gradient"),
    positive(L, "upper bound on the second derivative"),
    positive(z, "confidence multiplier"),
    positive(B, "batch size, not rounded"),
)
_STATED = {
    η_batch: optimal_lr(),
    B_best: optimal_batch(),
    η_best: 1 / (2 * L),
    η_1: ĝ**2 / (8 * z**2 * σ**2 * L),
    D: shortfall(),
}
_POINTS = (
    _point(g=1, s=2, L=3, z=2, B=100, lr=0.2),
    _point(g=0.5, s=1, L=0.7, z=1, B=30, lr=0.8),
    _point(g=2, s=3, L=1, z=3, B=50, lr=0.3),
)


BEST = Claim(
    id="MCA-01",
    slug="lectures.best-batch",
    title="The guarantee per example is largest at batch size 4z²σ²/ĝ² and learning rate 1/(2L), and only there",
    status="exact",
    statement=equations(_STATED),
    assumptions=(*_ASSUMPTIONS, positive(η, "any other learning rate")),
    source=MCALLESTER_2018.where("slides Optimizing B and η, The η₁ Calculation, and appendix"),
    evidence=(
        Identity(best_choice),
        # values alone place a maximum no better than the square root of rounding, 10⁻⁸, here nested twice
        Recursion(search, _POINTS, 1e-6),
        Property(locate_exactly, examples=25),
    ),
    mutants=(
        Mutant("break-even batch size z²σ²/ĝ²", equations(_STATED, {B_best: optimal_batch() / 4})),
        Mutant("half the batch size, 8σ²/ĝ² at z = 2", equations(_STATED, {B_best: optimal_batch() / 2})),
        Mutant("two standard errors whatever z is", equations(_STATED, {B_best: optimal_batch().subs(z, 2)})),
        Mutant("learning rate 1/L", equations(_STATED, {η_best: 1 / L})),
        Mutant("learning rate per example at the break-even batch", equations(_STATED, {η_1: 4 * _STATED[η_1]})),
        Mutant(
            "twice the caution at every batch size",
            equations(_STATED, {η_batch: (1 - 2 * z * σ / (ĝ * sp.sqrt(B))) / L}),
        ),
        Mutant(
            "expected progress instead of a guarantee", evidence=(Identity(lambda: best_choice(expected_decrease())),)
        ),
    ),
    meanings=(
        (η_batch, "learning rate with the largest guarantee at batch size B"),
        (B_best, "batch size with the largest guarantee per example"),
        (η_best, "learning rate with the largest guarantee per example"),
        (η_1, "η*/B*, the learning rate per example"),
        (D, "what the choice (η, B) guarantees less per example than the best"),
    ),
    note="The slides' z = 2 gives 16σ²/ĝ² and ĝ²/(32σ²L). By expected progress instead no batch is too small.",
)

ENOUGH = Claim(
    id="MCA-02",
    slug="lectures.enough-batch",
    title="A step is guaranteed to help only for batches above a quarter of the best batch size",
    status="exact",
    statement=sp.And(equals(B_0, B_best / 4), sp.Gt(growth, 0)),
    assumptions=_ASSUMPTIONS,
    source=MCALLESTER_2018.where("slide Optimizing B and η; the condition is left out there"),
    evidence=(Identity(zero_and_growth), Property(locate_exactly, examples=25)),
    mutants=(
        Mutant("above the best batch size itself", sp.And(equals(B_0, B_best), sp.Gt(growth, 0))),
        Mutant("above half of it", sp.And(equals(B_0, B_best / 2), sp.Gt(growth, 0))),
        Mutant("below it", sp.And(equals(B_0, B_best / 4), sp.Lt(growth, 0))),
    ),
    meanings=(
        (B_0, "batch size at which the best learning rate is zero"),
        (growth, "growth of the best learning rate with the batch size"),
        (B_best, "batch size with the largest guarantee per example"),
    ),
    note="Towards B → 0 the guarantee grows again, but for negative learning rates, which a search must exclude.",
)

CLAIMS = (BEST, ENOUGH)
"""The theory, in the order of the ledger."""
