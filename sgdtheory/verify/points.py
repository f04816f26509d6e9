"""Test points that satisfy a claim's assumptions, exact and reproducible, boundaries first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random

import sympy as sp

from sgdtheory.claim import Assumption

_GENERIC = 12
_TRIES = 400


def test_points(symbols: Iterable[sp.Symbol], assumptions: Sequence[Assumption]) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    """Yield points: each closed end and zero, one symbol at a time, then random ones.

    A point has values for the further symbols of every condition that bears on it, so that none can contradict one.
    """
    conditions = [a.condition for a in assumptions if a.condition != sp.true]
    wanted, binding = _linked(set(symbols), conditions)
    ordered = sorted(wanted, key=lambda s: s.name)
    domains = {s: _domain(s, assumptions) for s in ordered}
    random = Random(0)
    for symbol in ordered:
        for special in _special(symbol, domains[symbol]):
            yield from _satisfying({symbol: special}, domains, binding, random, 1)
    yield from _satisfying({}, domains, binding, random, _GENERIC)


def _linked(symbols: set[sp.Symbol], conditions: Sequence[sp.Basic]) -> tuple[set[sp.Symbol], list[sp.Basic]]:
    """Return the conditions that bear on the symbols, directly or through others, and all their symbols."""
    binding = [c for c in conditions if c.free_symbols & symbols or not c.free_symbols]
    wider = symbols.union(*(c.free_symbols for c in binding))
    return (symbols, binding) if wider == symbols else _linked(wider, conditions)


def _domain(symbol: sp.Symbol, assumptions: Sequence[Assumption]) -> sp.Set:
    """Intersect what the claim assumes with what the symbol itself says."""
    own: sp.Set = sp.S.Reals
    if symbol.is_nonnegative:
        own = sp.Interval(0, sp.oo)
    elif symbol.is_nonpositive:
        own = sp.Interval(-sp.oo, 0)
    for assumption in assumptions:
        if assumption.symbol == symbol:
            own = own.intersect(assumption.domain)
    return own.intersect(sp.S.Integers) if symbol.is_integer else own


def _special(symbol: sp.Symbol, domain: sp.Set) -> list[sp.Expr]:
    candidates = dict.fromkeys((domain.inf, domain.sup, sp.S.Zero))
    return [c for c in candidates if c.is_finite and _fits(symbol, domain, c)]


def _fits(symbol: sp.Symbol, domain: sp.Set, value: sp.Expr) -> bool:
    """Whether the value lies in the domain and is what the symbol is said to be (nonzero, even, …)."""
    agrees = (getattr(value, f"is_{name}") in (fact, None) for name, fact in symbol.assumptions0.items())
    return domain.contains(value) == sp.true and all(agrees)


def _satisfying(
    fixed: dict[sp.Symbol, sp.Expr],
    domains: dict[sp.Symbol, sp.Set],
    conditions: Sequence[sp.Basic],
    random: Random,
    count: int,
) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    for _ in range(_TRIES):
        if count == 0:
            return
        point = {s: fixed.get(s, _draw(domain, random)) for s, domain in domains.items()}
        fine = all(_fits(s, domains[s], value) for s, value in point.items())
        if fine and all(condition.subs(point) == sp.true for condition in conditions):
            count -= 1
            yield point


def _draw(domain: sp.Set, random: Random) -> sp.Expr:
    """Draw a rational number, or a whole one where the domain has no others; it may still miss a domain with gaps."""
    if isinstance(domain, sp.FiniteSet):
        return random.choice(list(domain))
    low, high = domain.inf, domain.sup
    part = sp.Rational(random.randint(1, 96), 97)
    size = part / (1 - part)
    if low.is_finite and high.is_finite:
        value = low + (high - low) * part
    elif low.is_finite:
        value = low + size
    elif high.is_finite:
        value = high - size
    else:
        value = size * random.choice((-1, 1))
    return sp.floor(value) if domain.is_subset(sp.S.Integers) else value
