"""Pairs of training examples near a point, generic, random or fixed, and what swapping them does there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case
from sgdtheory.derive.brackets import derivative_along, descent_field, lie_bracket
from sgdtheory.derive.expansion import Remainder, State, compose, generic_polynomial, swap_gap
from sgdtheory.optimizers import Optimizer
from sgdtheory.theory.random_instances import polynomial, rational

ε, μ = symbols.epsilon, symbols.momentum
Δθ, ΔM, Δz = symbols.position_gap, symbols.buffer_gap, symbols.shadow_gap
V, V1, V2, z0, z1 = symbols.step_field, symbols.field_1, symbols.field_2, symbols.shadow_before, symbols.shadow_after
b, a, c = symbols.bracket, symbols.advection, symbols.bending
H2g1, H1g2 = symbols.hessian_21, symbols.hessian_12


@dataclass(frozen=True)
class Pair:
    """Two examples' losses, the point θ and the direction m of the buffer, M = size·m."""

    losses: tuple[sp.Expr, sp.Expr]
    coordinates: tuple[sp.Symbol, ...]
    point: tuple[sp.Expr, ...]
    m: tuple[sp.Expr, ...]

    @property
    def fields(self) -> tuple[sp.ImmutableMatrix, sp.ImmutableMatrix]:
        """Descent fields v1 and v2."""
        first, second = self.losses
        return descent_field(first, self.coordinates), descent_field(second, self.coordinates)

    def at_point(self, columns: dict[sp.Symbol, sp.MatrixBase], point: tuple[sp.Expr, ...] | None = None) -> list[Case]:
        """Return one case a component: each field's value at θ, or at another point."""
        here = dict(zip(self.coordinates, point or self.point, strict=True))
        return [{s: column[i].xreplace(here) for s, column in columns.items()} for i in range(len(self.coordinates))]

    def hessian_products(self) -> list[Case]:
        """Return H2 g1 and H1 g2."""
        first, second = (sp.hessian(loss, self.coordinates) for loss in self.losses)
        v1, v2 = self.fields
        return self.at_point({H2g1: -second * v1, H1g2: -first * v2})

    def local(self) -> list[Case]:
        """Return fields, bracket, advection and bending."""
        (v1, v2), w = self.fields, self.coordinates
        bending = derivative_along(v2, v1, w, order=2) - derivative_along(v1, v2, w, order=2)
        advection = derivative_along(v2 - v1, self.m, w)
        return self.at_point({V1: v1, V2: v2, b: lie_bracket(v1, v2, w), a: advection, c: bending})

    def start(self, optimizer: Optimizer, size: sp.Expr) -> State:
        """Return the state at θ with buffers v = −M, if there are any."""
        return State(self.point, tuple((-size * m,) * len(optimizer.buffers) for m in self.m))

    def swapped(self, optimizer: Optimizer, size: sp.Expr = ε, remainder: Remainder = None) -> list[Case]:
        """Return the local quantities together with the gaps after both steps."""
        v1, v2 = self.fields
        gap = swap_gap(optimizer, -v1, -v2, self.coordinates, self.start(optimizer, size), remainder)
        rows = zip(self.local(), gap.position, gap.memory, strict=True)
        return [{**local, Δθ: moved, ΔM: -sp.Add(*row)} for local, moved, row in rows]

    def shadowed(self, optimizer: Optimizer, remainder: Remainder = None) -> list[Case]:
        """Return the same together with the shadow z = θ + μM/(1−μ): its step on example 1, and its gap."""
        share = optimizer.values[μ] / (1 - optimizer.values[μ])

        def shadow(state: State) -> list[sp.Expr]:
            return [t - share * v for t, (v,) in zip(*state, strict=True)]

        start = self.start(optimizer, ε)
        after = compose(optimizer, [-self.fields[0]], self.coordinates, start)
        looked_at = tuple(optimizer.lookahead(t, m) for t, m in zip(*start, strict=True))
        used = self.at_point({V: self.fields[0]}, looked_at)
        rows = zip(self.swapped(optimizer, ε, remainder), used, shadow(start), shadow(after), strict=True)
        return [{**gap, Δz: gap[Δθ] + share * gap[ΔM], **v, z0: before, z1: then} for gap, v, before, then in rows]


def generic_pair(degree: int) -> Pair:
    """Return two generic polynomial losses in the plane, seen from the origin, and a generic buffer."""
    w = sp.symbols("w1:3", real=True)
    first, second = (generic_polynomial(name, w, degree) for name in ("p", "q"))
    return Pair((first, second), w, (sp.S.Zero, sp.S.Zero), sp.symbols("m1:3", real=True))


def random_pairs(random: Random, dimensions: Sequence[int] = (1, 2, 3), degree: int = 4) -> list[Pair]:
    """Return random losses of a degree, point and buffer with rational numbers, one pair a number of dimensions."""
    return [_random_pair(random, sp.symbols(f"w1:{d + 1}", real=True), degree) for d in dimensions]


def quartic_pair() -> Pair:
    """Return two quartic losses without symmetry, with numbers for θ and m."""
    x, y = w = sp.symbols("w1:3", real=True)
    losses = (x**4 + x * y**2 - y, x**3 * y - x * y + y**4 / 2)
    return Pair(losses, w, (sp.Rational(1, 2), -sp.Rational(1, 3)), (sp.S.One, sp.Integer(-2)))


def _random_pair(random: Random, coordinates: tuple[sp.Symbol, ...], degree: int) -> Pair:
    point, m = (tuple(rational(random) for _ in coordinates) for _ in range(2))
    losses = (polynomial(random, coordinates, degree), polynomial(random, coordinates, degree))
    return Pair(losses, coordinates, point, m)
