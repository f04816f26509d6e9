"""Test points that satisfy a claim's assumptions, exact and reproducible, boundaries first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random

import sympy as sp

from sgdtheory.claim import Assumption

_GENERIC = 12
_TRIES = 400


def test_points(symbols: Iterable[sp.Symbol], assumptions: Sequence[Assumption]) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    """Yield points: each closed end and zero, one symbol at a time, then random ones."""
    ordered = sorted(symbols, key=lambda s: s.name)
    domains = {s: _domain(s, assumptions) for s in ordered}
    conditions = [a.condition for a in assumptions if a.condition != sp.true]
    random = Random(0)
    for symbol in ordered:
        for special in _special(domains[symbol]):
            yield from _satisfying({symbol: special}, domains, conditions, random, 1)
    yield from _satisfying({}, domains, conditions, random, _GENERIC)


def _domain(symbol: sp.Symbol, assumptions: Sequence[Assumption]) -> sp.Set:
    """Intersect what the claim assumes with what the symbol itself says."""
    own: sp.Set = sp.S.Reals
    if symbol.is_positive:
        own = sp.Interval.open(0, sp.oo)
    elif symbol.is_nonnegative:
        own = sp.Interval(0, sp.oo)
    for assumption in assumptions:
        if assumption.symbol == symbol:
            own = own.intersect(assumption.domain)
    return own


def _special(domain: sp.Set) -> list[sp.Expr]:
    ends = [e for e in (domain.inf, domain.sup) if e.is_finite and domain.contains(e) == sp.true]
    return list(dict.fromkeys([*ends, *([sp.S.Zero] if domain.contains(0) == sp.true else [])]))


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
        if all(condition.subs(point) != sp.false for condition in conditions):
            count -= 1
            yield point


def _draw(domain: sp.Set, random: Random) -> sp.Rational:
    low, high = domain.inf, domain.sup
    part = sp.Rational(random.randint(1, 96), 97)
    if low.is_finite and high.is_finite:
        return low + (high - low) * part
    size = part / (1 - part)
    if low.is_finite:
        return low + size
    if high.is_finite:
        return high - size
    return size * random.choice((-1, 1))
