"""The other end of a spectrum by a shift: after the eigenvalue of largest absolute value, iterate on H − s."""

from __future__ import annotations

from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equals, given, real, where
from sgdtheory.sources import LI_2018
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import rational

λ_a, λ_b, found = symbols.end_largest, symbols.end_other, symbols.end_found
M_s, M_1 = symbols.shift_margin, symbols.full_margin
SHIFT = sp.Rational(51, 100)
"""The published code's shift, in units of the first eigenvalue."""


def found_by_shift() -> sp.Expr:
    """Return λ_b where λ_b < λ_a/50 in units of λ_a, and λ_a once more elsewhere.

    Examples
    --------
    >>> found_by_shift().subs({λ_a: 1, λ_b: sp.Rational(3, 10)})
    1
    """
    return sp.Piecewise((λ_b, λ_b / λ_a < sp.Rational(1, 50)), (λ_a, True))


def shift_once() -> list[Case]:
    """Compare the distances of both ends from the shift s = 0.51λ_a.

    The iteration on H − s returns the eigenvalue farthest from s, which is one of the two ends. In units of λ_a, with
    r = λ_b/λ_a ≤ 1, (r − 0.51)² − 0.49² = (1 − r)(0.02 − r): the other end is the farther one exactly for r < 0.02,
    as an eigenvalue of the other sign is, or one next to zero. With the shift λ_a itself the difference is (r − 1)²,
    and the other end is always found.
    """
    below, above = sp.symbols("t u", positive=True)
    cases: list[Case] = []
    for ratio in (sp.Rational(1, 50) - below, sp.Rational(1, 50) + above):
        other = ratio * λ_a
        returned = other if ratio.has(below) else λ_a
        s = SHIFT * λ_a
        margin, whole = ((other - shift) ** 2 - (λ_a - shift) ** 2 for shift in (s, λ_a))
        cases.append({λ_b: other, found: returned, M_s: margin, M_1: whole})
    return cases


def random_spectrum(random: Random) -> list[Case]:
    """Carry the shift out on random rational spectra, and on those known to fail: all positive, all negative."""
    drawn = [rational(random) for _ in range(random.randint(2, 5))]
    tenths = [sp.Rational(x, 10) for x in (10, 8, 5, 3)]
    spectra = (drawn, tenths, [-x for x in tenths], [abs(x) + sp.Rational(1, 9) for x in drawn])
    cases: list[Case] = []
    for spectrum in spectra:
        sizes = sorted({abs(x) for x in spectrum})
        first = max(spectrum, key=abs)
        if first == 0 or len(sizes) < 2 or -first in spectrum:
            continue
        other = max(spectrum, key=lambda x: abs(x - first))
        s = SHIFT * first
        if abs(other - s) == abs(first - s):
            continue
        margin, whole = ((other - shift) ** 2 - (first - shift) ** 2 for shift in (s, first))
        returned = max((x - s for x in spectrum), key=abs) + s
        cases.append({λ_a: first, λ_b: other, found: returned, M_s: margin, M_1: whole})
    return cases


def _stated(returned: sp.Expr) -> sp.Basic:
    return sp.And(
        equals(found, returned),
        equals(M_s, (λ_a - λ_b) * (λ_a / 50 - λ_b)),
        equals(M_1, (λ_a - λ_b) ** 2),
    )


SHIFTED = Claim(
    id="VIS-14",
    slug="slices.shifted-iteration",
    title="Iterating on H − 0.51λ finds the other end of the spectrum only if it is below 0.02λ; H − λ always finds it",
    status="corrected",
    statement=_stated(found_by_shift()),
    assumptions=(
        real(λ_a, "eigenvalue of largest absolute value"),
        real(λ_b, "eigenvalue farthest from it"),
        where(sp.Ne(λ_a, 0), "λ_a ≠ 0"),
        given("λ_b is not exactly λ_a/50, where the iteration may return either; iterations converge"),
    ),
    source=LI_2018.where("code, largest and smallest eigenvalues of the Hessian"),
    evidence=(Identity(shift_once), Property(random_spectrum, examples=25)),
    mutants=(
        Mutant("as printed: the shift finds the other end", _stated(λ_b)),
        Mutant("found for any eigenvalue below half", _stated(found_by_shift().subs(sp.Rational(1, 50), SHIFT))),
        Mutant("never found", _stated(λ_a)),
    ),
    meanings=meanings(_stated(λ_b)),
    note="diag(1, 0.8, 0.5, 0.3) is given λ_min = 1, and its negative λ_max = −1: at a minimum the map of "
    "|λ_min/λ_max| jumps from 0 to 1. The source assumes λ_min ≤ 0.",
)

CLAIMS = (SHIFTED,)
"""The theory, in the order of the ledger."""
