"""The training-example Lie bracket: what swapping two neighbouring examples changes, with and without momentum.

Descent fields vᵢ = −∇Lᵢ; bracket [f, g] = (f·∇)g − (g·∇)f. Momentum's buffer is written M = −v, so that it moves the
parameters by +M as in the discussion of the source; all fields and derivatives are taken at θ, before both steps.
Every gap is "example 1 then 2" minus "2 then 1", one component.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Assumption, Case, Claim, Identity, Mutant, Order, Property, between, given, positive
from sgdtheory.derive.brackets import derivative_along, descent_field, lie_bracket
from sgdtheory.derive.expansion import Remainder, State, compose, generic_polynomial, monomials, swap_gap
from sgdtheory.optimizers import SGD, EMAMomentum, Momentum, Nesterov, Optimizer
from sgdtheory.sources import BEMENT_2026, HERE

ε, μ = symbols.epsilon, symbols.momentum
Δθ, ΔM, Δz = symbols.position_gap, symbols.buffer_gap, symbols.shadow_gap
V, V1, V2, z0, z1 = symbols.step_field, symbols.field_1, symbols.field_2, symbols.shadow_before, symbols.shadow_after
b, a, c = symbols.bracket, symbols.advection, symbols.bending
H2g1, H1g2 = symbols.hessian_21, symbols.hessian_12


@dataclass(frozen=True)
class Pair:
    """Two examples' losses, a point θ, and the buffer's direction m there (M = εm, or M = m for averaged momentum)."""

    losses: tuple[sp.Expr, sp.Expr]
    coordinates: tuple[sp.Symbol, ...]
    point: tuple[sp.Expr, ...]
    m: tuple[sp.Expr, ...]

    @property
    def fields(self) -> tuple[sp.ImmutableMatrix, sp.ImmutableMatrix]:
        """Descent fields v1 and v2."""
        first, second = self.losses
        return descent_field(first, self.coordinates), descent_field(second, self.coordinates)

    def local(self) -> list[Case]:
        """Return the components of fields, bracket, advection and bending at θ."""
        v1, v2 = self.fields
        w = self.coordinates
        bending = derivative_along(v2, v1, w, order=2) - derivative_along(v1, v2, w, order=2)
        columns = {V1: v1, V2: v2, b: lie_bracket(v1, v2, w), a: derivative_along(v2 - v1, self.m, w), c: bending}
        here = dict(zip(w, self.point, strict=True))
        return [{s: sp.expand(column[i].xreplace(here)) for s, column in columns.items()} for i in range(len(w))]

    def start(self, optimizer: Optimizer, size: sp.Expr) -> State:
        """Return the state at θ, with buffers −M = −size·m if there are any."""
        return State(self.point, tuple((-size * m,) * len(optimizer.buffers) for m in self.m))

    def swapped(self, optimizer: Optimizer, size: sp.Expr = ε, remainder: Remainder = None) -> list[Case]:
        """Return, a component each, the local quantities and the gaps after both steps."""
        v1, v2 = self.fields
        gap = swap_gap(optimizer, -v1, -v2, self.coordinates, self.start(optimizer, size), remainder)
        gaps = [
            {Δθ: position} | {ΔM: -buffer for buffer in buffers}
            for position, buffers in zip(gap.position, gap.memory, strict=True)
        ]
        return [local | gap for local, gap in zip(self.local(), gaps, strict=True)]

    def with_shadow(self, optimizer: Optimizer, remainder: Remainder = None) -> list[Case]:
        """Return the same with the shadow variable: its step on example 1 and its gap."""
        (_, decay), start = optimizer.values.values(), self.start(optimizer, ε)
        after = compose(optimizer, [-self.fields[0]], self.coordinates, start)
        looked = map(optimizer.lookahead, start.position, start.memory)
        field = self.fields[0].xreplace(dict(zip(self.coordinates, looked, strict=True)))
        steps = [
            {V: field[i], z0: _shadow(start, decay, i), z1: _shadow(after, decay, i)}
            for i in range(len(self.coordinates))
        ]
        cases = [case | step for case, step in zip(self.swapped(optimizer, ε, remainder), steps, strict=True)]
        return [case | {Δz: case[Δθ] + decay / (1 - decay) * case[ΔM]} for case in cases]


def generic_pair(degree: int) -> Pair:
    """Return two generic polynomial losses in the plane at the origin, and a generic buffer."""
    w = sp.symbols("w1:3", real=True)
    first, second = (generic_polynomial(name, w, degree) for name in ("p", "q"))
    return Pair((first, second), w, (sp.S.Zero, sp.S.Zero), sp.symbols("m1:3", real=True))


def random_pair(random: Random, degree: int = 4) -> Pair:
    """Return random polynomial losses with rational coefficients in 1, 2 or 3 dimensions."""
    w = sp.symbols(f"w1:{random.randint(1, 3) + 1}", real=True)

    def rational() -> sp.Rational:
        return sp.Rational(random.randint(-6, 6), random.randint(1, 4))

    def loss() -> sp.Expr:
        return sp.Add(*(rational() * term for _, term in monomials(w, degree)))

    def vector() -> tuple[sp.Expr, ...]:
        return tuple(rational() for _ in w)

    return Pair((loss(), loss()), w, vector(), vector())
