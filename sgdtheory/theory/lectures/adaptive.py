"""RMSProp and Adam on the line: where they end without noise, and how long their first steps are.

With ε = 0 the step does not care for the size of the gradient, so on ½hθ² neither comes to rest at the minimum. Both
can jump from θ to −θ and back for ever; whether they do is a matter of the multipliers of that 2-cycle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory import symbols
from sgdtheory.claim import (
    Assumption,
    Case,
    Claim,
    Identity,
    Mutant,
    Recursion,
    between,
    by_name,
    equations,
    given,
    positive,
)
from sgdtheory.derive.search import last
from sgdtheory.optimizers import Adam, Optimizer, RMSProp
from sgdtheory.sources import COHEN_2022, HERE, MCALLESTER_2018
from sgdtheory.symbols import meanings

θ, g, v, s, η, h, t = (
    symbols.theta,
    symbols.gradient,
    symbols.velocity,
    symbols.second_moment,
    symbols.lr,
    symbols.curvature,
    symbols.step,
)
β1, β2 = symbols.beta1, symbols.beta2
A, κ, β1c = symbols.cycle_amplitude, symbols.cycle_sharpness, symbols.cycle_edge
P_one, P_minus, P_pairs, P_all = (
    symbols.cycle_at_one,
    symbols.cycle_at_minus_one,
    symbols.cycle_pairs,
    symbols.cycle_product,
)
d_slides, d_torch, d_rmsprop, d_adam = (
    symbols.first_step_slides,
    symbols.first_step_torch,
    symbols.step_rmsprop,
    symbols.step_adam,
)
Map = Callable[[NDArray[np.float64]], NDArray[np.float64]]
_z = sp.Symbol("z")
_ADAM = Adam(eps=0, form="slides")  # the bias correction dies out, so in the long run this is PyTorch's too
_RMSPROP = RMSProp(eps=0)


# --- the 2-cycle -----------------------------------------------------------------------------------------------------


def _reflected(rule: Optimizer) -> sp.Matrix:
    """Return the step on ½hθ² followed by a change of sign of θ and v: a 2-cycle of the step is its fixed point."""
    update = rule.update(h * θ, θ, rule.buffers)
    return sp.Matrix(
        [-update.position, *(m if b == s else -m for m, b in zip(update.memory, rule.buffers, strict=True))]
    )


def two_cycle(rule: Optimizer = _ADAM) -> Case:
    """Find the orbit that jumps between θ = A and −A, and the polynomial of its multipliers.

    The step commutes with changing the sign of θ and v together, so the orbit is a fixed point of the step followed by
    that change, and it is stable exactly if the multipliers z of that fixed point, its eigenvalues, lie inside the unit
    circle (those of the two steps are their squares). On the orbit v' = −v gives v' = (1 − β₁)hA/(1 + β₁), s' = s gives
    s = h²A², and θ' = −θ then says 2A = η(1 − β₁)/(1 + β₁): h does not enter.

    Let p be the characteristic polynomial there: z² + (1 − 3β₂)z + β₂ for RMSProp, and for Adam
    z³ + (1 − β₁ − 3β₂)z² + (3β₁ + β₂ − β₁β₂)z − β₁β₂. Then ∏(1 − z) = p(1), ∏(1 + z) = ±p(−1), ∏z = ±p(0), and over the
    pairs ∏(1 − zz') is 1 − p₀ and 1 − p₁ + p₀p₂ − p₀² in the two degrees.

    If all multipliers are inside, all four products say so: the first three and the pairs' are positive (for a complex
    pair, 1 − zz̄ > 0), the last is below 1 in size. Conversely, as βs move, a multiplier can leave the circle only at 1,
    at −1 or as a pair with zz' = 1, where one of the first three vanishes. For RMSProp none does for 0 < β₂ < 1. For
    Adam only the pairs' product can, where M = β₁²β₂ − 3β₁(1 + β₂) + 1 does. M > 0 is the connected region to the left
    of β₁ = β₁c(β₂), which holds RMSProp's β₁ = 0; where M < 0 the pairs' product is negative, and not all are inside.
    """
    start = sp.Dummy("a", positive=True)
    update = rule.update(h * θ, θ, rule.buffers)
    reflected = _reflected(rule)
    at_start = reflected.subs(θ, start)
    (buffers,) = sp.linsolve([at_start[i + 1] - b for i, b in enumerate(rule.buffers)], list(rule.buffers))
    orbit = {θ: start, **dict(zip(rule.buffers, buffers, strict=True))}
    (rate,) = sp.solve(update.displacement.subs(orbit) + 2 * start, η)
    amplitude = start * η / rate
    jacobian = reflected.jacobian([θ, *rule.buffers]).subs(orbit).subs(η, rate).applyfunc(sp.cancel)
    sharpness = sp.cancel(rate * h / sp.sqrt(orbit[s]))
    return {A: amplitude, κ: sharpness, **_products(jacobian.charpoly(_z).as_expr())}


def rmsprop_cycle() -> Case:
    """Without the mean, s' = s gives s = h²A², and θ' = −θ then says 2A = η, whatever h.

    With u = θ/η and S = s/(ηh)² the reflected step is u' = −u + u/√S', S' = β₂S + (1 − β₂)u². At u = ½, S = ¼ its
    slopes are ∂S'/∂(u, S) = (1 − β₂, β₂) and ∂u'/∂(u, S) = (1 − 2(1 − β₂), −2β₂): trace 3β₂ − 1, determinant β₂. So the
    multipliers solve z² + (1 − 3β₂)z + β₂ = 0; ∏(1 − z) = 2(1 − β₂), ∏(1 + z) = 4β₂, and 1 − zz' = 1 − β₂ are positive
    for 0 < β₂ < 1, which says that both lie inside the unit circle (Jury).
    """
    return two_cycle(_RMSPROP)


def _products(characteristic: sp.Expr) -> Case:
    """Return the products over the roots by symmetric functions of them, from the coefficients."""
    polynomial = sp.Poly(characteristic, _z)
    degree = polynomial.degree()
    lower = polynomial.all_coeffs()[:0:-1]  # p₀, p₁, …
    pairs = 1 - lower[0] if degree == 2 else 1 - lower[1] + lower[0] * lower[2] - lower[0] ** 2
    sign = (-1) ** degree
    products = {P_one: polynomial.eval(1), P_minus: sign * polynomial.eval(-1), P_all: sign * lower[0], P_pairs: pairs}
    edges = sp.solve(pairs, β1) if degree == 3 else []
    # of the two roots the smaller one, which is the one in (0, 1)
    edge = {β1c: min(edges, key=lambda root: float(root.subs(β2, sp.Rational(1, 2))))} if edges else {}
    return {**{name: sp.factor(value) for name, value in products.items()}, **edge}


def cycle_seen(rule: Optimizer, point: Case) -> Case:
    """Find the 2-cycle and its multipliers from numbers alone."""
    orbit, multipliers = _settled(rule, point)
    pairs = [1 - a * b for i, a in enumerate(multipliers) for b in multipliers[:i]]
    products: dict[sp.Symbol, Any] = {
        P_one: 1 - multipliers,
        P_minus: 1 + multipliers,
        P_pairs: pairs,
        P_all: multipliers,
    }
    sharpness = float(point[η] * point[h]) / float(np.sqrt(orbit[-1]))
    return {**point, A: float(orbit[0]), κ: sharpness} | {
        name: float(np.prod(factors).real) for name, factors in products.items()
    }


def adam_cycle_seen(point: Case) -> Case:
    """Do so for Adam, and bisect for the β₁ at which the largest multiplier reaches size 1."""

    def stable(decay: float) -> bool:
        _, multipliers = _settled(_ADAM, {**point, β1: sp.Float(decay)})
        return bool(np.abs(multipliers).max() < 1)

    return {**cycle_seen(_ADAM, point), β1c: last(stable, 0.0, 0.9, width=1e-6)}


def _settled(rule: Optimizer, point: Case) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Hold θ at ±a until the buffers repeat, set a to half the step they give, again until a repeats.

    Returns the orbit, as the fixed point of the reflected step, and the eigenvalues of its differences there.
    """
    numbers = {symbol: float(value) for symbol, value in point.items()}
    step = _numeric(rule, numbers)
    orbit = np.array([numbers[η], *np.zeros(len(rule.buffers))])
    for _ in range(100):
        before = orbit[1:] + 1.0
        while (np.abs(orbit[1:] - before) > 1e-14 * np.abs(before)).any():
            before = orbit[1:].copy()
            after = step(orbit)
            orbit[1:] = after[1:]
        if abs(after[0] - orbit[0]) < 1e-11 * orbit[0]:
            break
        orbit[0] = (after[0] + orbit[0]) / 2  # after[0] is −θ', so this is (θ − θ')/2
    return orbit, np.linalg.eigvals(_slopes(step, orbit)).astype(np.complex128)


def _numeric(rule: Optimizer, numbers: dict[sp.Symbol, float]) -> Map:
    function = sp.lambdify([θ, *rule.buffers], list(_reflected(rule).subs(numbers)), "math")
    return lambda state: np.array(function(*state))


def _slopes(step: Map, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Jacobian by central differences of relative size 10⁻⁵: errors of 10⁻¹⁰ of its entries."""
    columns = []
    for k in range(len(at)):
        shift = np.zeros(len(at))
        shift[k] = 1e-5 * abs(at[k])
        columns.append((step(at + shift) - step(at - shift)) / (2 * shift[k]))
    return np.array(columns).T


# --- the first steps -------------------------------------------------------------------------------------------------


def steps_along_a_slope() -> Case:
    """Follow the buffers from zero along a constant gradient g > 0, with ε = 0.

    A buffer that goes x' = ax + b from 0 is b(1 − aᵗ)/(1 − a) after t steps, so v = (1 − β₁ᵗ)g and s = (1 − β₂ᵗ)g².
    RMSProp's t-th step is then η/√(1 − β₂ᵗ), that of the slides' Adam η(1 − β₁ᵗ)/√(1 − β₂ᵗ). At t = 1 the latter is
    η(1 − β₁)/√(1 − β₂). The bias correction divides by exactly these factors, and every step is η; so the first.
    """
    slope = sp.Dummy("g", positive=True)

    def length(rule: Optimizer, number: sp.Expr) -> sp.Expr:
        memory = [_after(new, buffer, slope, number - 1) for buffer, new in rule.memory]
        return sp.simplify(-rule.update(slope, 0, memory).displacement)

    return {
        d_slides: length(_ADAM, sp.S.One),
        d_torch: length(Adam(eps=0), sp.S.One).subs(t, 1),
        d_rmsprop: length(_RMSPROP, t),
        d_adam: length(_ADAM, t),
    }


def _after(rule: sp.Expr, buffer: sp.Symbol, slope: sp.Expr, steps: sp.Expr) -> sp.Expr:
    """Return an affine buffer from 0 after so many steps along the same gradient."""
    factor, fresh = sp.diff(rule, buffer), rule.subs({buffer: 0, g: slope})
    return fresh * (1 - factor**steps) / (1 - factor)


def steps_seen(point: Case) -> Case:
    """Run the rules in floats along a slope of 3, with the buffers written out."""
    b1, b2, lr, number = float(point[β1]), float(point[β2]), float(point[η]), int(point[t])
    slope, mean, square = 3.0, 0.0, 0.0
    moved = []
    for k in range(1, number + 1):
        mean = b1 * mean + (1 - b1) * slope
        square = b2 * square + (1 - b2) * slope**2
        corrected = lr * (mean / (1 - b1**k)) / math.sqrt(square / (1 - b2**k))
        moved.append((lr * mean / math.sqrt(square), corrected, lr * slope / math.sqrt(square)))
    return {**point, d_slides: moved[0][0], d_torch: moved[0][1], d_rmsprop: moved[-1][2], d_adam: moved[-1][0]}


# --- claims ----------------------------------------------------------------------------------------------------------


_numbers = by_name(lr=η, h=h, b1=β1, b2=β2, t=t)


_POSITIVE = (positive(η, "learning rate"), positive(h, "curvature"))
_β2 = Assumption("decay of the mean square: 0 < β₂ < 1", β2, sp.Interval.open(0, 1))
_β1 = between(β1, 0, 1, "decay of the mean")
_LINE = given("½hθ² without noise, ε = 0")

_RMSPROP_CYCLE = {A: η / 2, κ: sp.Integer(2), P_one: 2 * (1 - β2), P_minus: 4 * β2, P_pairs: 1 - β2, P_all: β2}
RMSPROP_CYCLE = Claim(
    id="MCA-17",
    slug="lectures.rmsprop-cycle",
    title="RMSProp without ε never settles: whatever the curvature it has a 2-cycle ±η/2, stable for every β₂",
    status="exact",
    statement=sp.And(equations(_RMSPROP_CYCLE), sp.Gt(P_one, 0), sp.Gt(P_minus, 0), sp.Gt(P_pairs, 0), sp.Lt(P_all, 1)),
    assumptions=(*_POSITIVE, _β2, _LINE),
    source=HERE,
    evidence=(
        Identity(rmsprop_cycle),
        # differences of relative size 10⁻⁵ are good to 10⁻¹⁰; cancellation in the products costs two digits or three
        Recursion(
            lambda point: cycle_seen(_RMSPROP, point),
            (
                _numbers(lr="0.1", h="2", b2="0.9"),
                _numbers(lr="3", h="0.1", b2="0.2"),
                _numbers(lr="1", h="1", b2="0.99"),
            ),
            1e-6,
        ),
    ),
    mutants=(
        Mutant("amplitude η", equations(_RMSPROP_CYCLE, {A: η})),
        Mutant("amplitude that falls with the curvature", equations(_RMSPROP_CYCLE, {A: η / (2 * h)})),
        Mutant(
            "a squared mean that forgets at once", equations(_RMSPROP_CYCLE, {P_minus: sp.S.Zero, P_all: sp.S.Zero})
        ),
        Mutant(
            "multipliers as of Adam at β₁ = ½",
            evidence=(Identity(lambda: two_cycle(Adam(beta1=sp.S.Half, eps=0, form="slides"))),),
        ),
    ),
    meanings=meanings(equations(_RMSPROP_CYCLE)),
    note="The multipliers solve z² + (1 − 3β₂)z + β₂ = 0. With the slides' ε inside the root the orbit has "
    "A² = η²/4 − ε/h², and for ε > (ηh/2)² there is none: the minimum itself is stable.",
)

_M = β1**2 * β2 - 3 * β1 * (1 + β2) + 1
_EDGE = 2 / (3 * (1 + β2) + sp.sqrt(9 * (1 + β2) ** 2 - 4 * β2))
_ADAM_CYCLE = {
    A: η * (1 - β1) / (2 * (1 + β1)),
    κ: 2 * (1 + β1) / (1 - β1),
    P_one: 2 * (1 + β1) * (1 - β2),
    P_minus: 4 * (β1 + β2),
    P_pairs: (1 - β2) * _M,
    P_all: β1 * β2,
    β1c: _EDGE,
}
ADAM_CYCLE = Claim(
    id="MCA-18",
    slug="lectures.adam-cycle",
    title="Adam's jump between ±η(1 − β₁)/(2(1 + β₁)) is stable exactly if β₁²β₂ − 3β₁(1 + β₂) + 1 > 0",
    status="exact",
    statement=equations(_ADAM_CYCLE),
    assumptions=(*_POSITIVE, _β1, _β2, _LINE, given("no bias correction, as in the long run")),
    source=HERE,
    evidence=(
        Identity(two_cycle),
        # differences as for RMSProp; the bisection for the edge ends at 10⁻⁶
        Recursion(
            adam_cycle_seen,
            (
                _numbers(lr="0.1", h="2", b1="0.1", b2="0.9"),
                _numbers(lr="2", h="0.3", b1="0.9", b2="0.99"),
                _numbers(lr="1", h="1", b1="0.5", b2="0.3"),
            ),
            2e-5,
        ),
    ),
    mutants=(
        Mutant("RMSProp's amplitude η/2", equations(_ADAM_CYCLE, {A: η / 2})),
        Mutant("sharpness 2/(1 − β₁)", equations(_ADAM_CYCLE, {κ: 2 / (1 - β1)})),
        Mutant("stable for every β₁, as RMSProp's is for every β₂", equations(_ADAM_CYCLE, {P_pairs: 1 - β2})),
        Mutant("the edge at β₂ → 1 for every β₂", equations(_ADAM_CYCLE, {β1c: 3 - 2 * sp.sqrt(2)})),
        Mutant("β₂ plays no part", equations(_ADAM_CYCLE, {P_pairs: (1 - β2) * (1 - 6 * β1 + β1**2)})),
    ),
    meanings=meanings(equations(_ADAM_CYCLE)),
    note="The edge falls from β₁ = 1/3 at β₂ → 0 to 3 − 2√2 = 0.1716 at β₂ → 1, far below the usual 0.9. There a "
    "complex pair leaves the unit circle, and orbits burst. ηh/√s on the orbit, 38 at β₁ = 0.9, is the limit of "
    f"stability at fixed s, at which {COHEN_2022.author} ({COHEN_2022.year}) see training stay. Stable means "
    "for near starts: close below the edge, runs from empty buffers may end on other orbits.",
)

_STEPS = {
    d_slides: η * (1 - β1) / sp.sqrt(1 - β2),
    d_torch: η,
    d_rmsprop: η / sp.sqrt(1 - β2**t),
    d_adam: η * (1 - β1**t) / sp.sqrt(1 - β2**t),
}
FIRST_STEPS = Claim(
    id="MCA-19",
    slug="lectures.adam-first-steps",
    title="Without bias correction Adam's first step is (1 − β₁)/√(1 − β₂) learning rates, with it exactly one",
    status="exact",
    statement=equations(_STEPS),
    assumptions=(
        positive(η, "learning rate"),
        _β1,
        _β2,
        Assumption("number of the step, from 1", t, sp.Interval(1, sp.oo)),
        given("the same gradient, not 0, at every step; ε = 0"),
    ),
    source=MCALLESTER_2018.where("slides RMSProp and Adam"),
    evidence=(
        Identity(steps_along_a_slope),
        # a few roundings a step, over 50 steps
        Recursion(
            steps_seen,
            (
                _numbers(lr="0.001", b1="0.9", b2="0.999", t="1"),
                _numbers(lr="0.001", b1="0.9", b2="0.999", t="12"),
                _numbers(lr="2", b1="0", b2="0.5", t="50"),
            ),
            1e-11,
        ),
    ),
    mutants=(
        Mutant("the slides' first step is one learning rate", equations(_STEPS, {d_slides: η})),
        Mutant("bias correction multiplies", equations(_STEPS, {d_torch: η * (1 - β1) ** 2 / (1 - β2)})),
        Mutant("RMSProp's step with 1 − β₂ᵗ not under the root", equations(_STEPS, {d_rmsprop: η / (1 - β2**t)})),
        Mutant(
            "Adam's steps only shrink, as RMSProp's", equations(_STEPS, {d_adam: η * (1 - β1) / sp.sqrt(1 - β2**t)})
        ),
    ),
    meanings=meanings(equations(_STEPS)),
    note="At (0.9, 0.999) the first step is 3.16 learning rates, and the longest is the twelfth, 6.57.",
)

CLAIMS = (RMSPROP_CYCLE, ADAM_CYCLE, FIRST_STEPS)
"""The theory, in the order of the ledger."""
