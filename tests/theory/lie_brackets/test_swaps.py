"""The swap-gap formulas against plain fractions: the discussion's steps, transcribed, on hand-written losses."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest
import sympy as sp
from sgdtheory.theory.lie_bracket import CLAIMS, V1, V2, ΔM, Δz, Δθ, a, b, c, ε, μ

from sgdtheory.claim import Claim, Property
from sgdtheory.symbols import GLOSSARY
from sgdtheory.theory import example_pairs, lie_bracket

BY_ID = {claim.id: claim for claim in CLAIMS}
F = Fraction
Vector = tuple[F, F]

# L1 = x²/2 + 2xy + 3y²/2 − x and L2 = 2x² − xy + y²/2 + 2y: Hessians that do not commute, no common minimum
H1, G1 = ((F(1), F(2)), (F(2), F(3))), (F(-1), F(0))
H2, G2 = ((F(4), -1), (F(-1), F(1))), (F(0), F(2))
START, BUFFER = (F(1, 2), F(-2, 3)), (F(3), F(-5, 4))


def times(H: tuple[Vector, Vector], u: Vector) -> Vector:
    return (H[0][0] * u[0] + H[0][1] * u[1], H[1][0] * u[0] + H[1][1] * u[1])


def plus(u: Vector, v: Vector, scale: F | int = 1) -> Vector:
    return (u[0] + scale * v[0], u[1] + scale * v[1])


def descent(which: int, w: Vector) -> Vector:
    H, G = ((H1, G1), (H2, G2))[which - 1]
    pull = plus(times(H, w), G)
    return (-pull[0], -pull[1])


def two_steps(order: tuple[int, int], decay: F, own: F, scale: F, M: Vector, look: F) -> tuple[Vector, Vector]:
    """M' = decay·M + own·v(θ + look·M), θ' = θ + scale·M', twice."""
    w = START
    for which in order:
        M = plus((decay * M[0], decay * M[1]), descent(which, plus(w, M, look)), own)
        w = plus(w, M, scale)
    return w, M


def gaps(step: F, decay: F, rule: str, M: Vector) -> tuple[Vector, Vector]:
    own = 1 - decay if rule == "averaged" else step
    scale = step if rule == "averaged" else F(1)
    look = decay if rule == "nesterov" else F(0)
    (w, M12), (u, M21) = (two_steps(order, decay, own, scale, M, look) for order in ((1, 2), (2, 1)))
    return plus(w, u, -1), plus(M12, M21, -1)


def local(i: int) -> dict[sp.Symbol, sp.Rational]:
    """Component i of fields, bracket and advection, from Hessians and gradients by hand."""
    v1, v2 = descent(1, START), descent(2, START)
    bracket = plus(times(H1, v2), times(H2, v1), -1)
    advection = plus(times(H1, BUFFER), times(H2, BUFFER), -1)
    values = {V1: v1[i], V2: v2[i], b: bracket[i], a: advection[i], c: F(0)}
    return {symbol: sp.Rational(value) for symbol, value in values.items()}


def stated(claim: Claim, quantity: sp.Expr, step: F, decay: F, i: int) -> sp.Rational:
    """The right-hand side a claim gives for a quantity, in numbers."""
    relations = claim.statement.args if isinstance(claim.statement, sp.And) else (claim.statement,)
    (formula,) = (r.rhs for r in relations if r.lhs == quantity)
    return formula.subs({**local(i), ε: sp.Rational(step), μ: sp.Rational(decay)})


@pytest.mark.parametrize("i", [0, 1])
@pytest.mark.parametrize("decay", [F(0), F(1, 3), F(9, 10)])
@pytest.mark.parametrize("step", [F(1, 10), F(2)])
def test_quadratic_losses_obey_the_formulas_without_remainder(step: F, decay: F, i: int) -> None:
    M = (step * BUFFER[0], step * BUFFER[1])
    moved, momentum_gap = gaps(step, decay, "heavy ball", M)
    assert moved[i] == stated(BY_ID["LIE-12"], Δθ, step, decay, i)
    assert momentum_gap[i] == stated(BY_ID["LIE-11"], ΔM, step, decay, i)
    shadow = moved[i] + decay / (1 - decay) * momentum_gap[i]
    assert shadow == stated(BY_ID["LIE-15"], Δz, step, decay, i)
    moved, momentum_gap = gaps(step, decay, "averaged", BUFFER)
    assert moved[i] == stated(BY_ID["LIE-13"], Δθ, step, decay, i)
    assert step * momentum_gap[i] == stated(BY_ID["LIE-13"], ε * ΔM, step, decay, i)
    if decay == 0:
        assert gaps(step, decay, "heavy ball", M)[0][i] == stated(BY_ID["LIE-02"], Δθ, step, decay, i)


@pytest.mark.parametrize("i", [0, 1])
def test_nesterov_is_off_by_a_pure_cube(i: int) -> None:
    """On quadratic losses the remainder is κε³ exactly, so halving ε divides it by 8."""

    def remainder(step: F, quantity: sp.Symbol) -> sp.Rational:
        found = gaps(step, F(3, 5), "nesterov", (step * BUFFER[0], step * BUFFER[1]))
        return sp.Rational(found[quantity == ΔM][i]) - stated(BY_ID["LIE-14"], quantity, step, F(3, 5), i)

    for quantity in (Δθ, ΔM):
        assert remainder(F(1, 4), quantity) == 8 * remainder(F(1, 8), quantity) != 0


@pytest.mark.parametrize("i", [0, 1])
def test_the_discussions_formula_needs_a_momentum_that_never_decays(i: int) -> None:
    printed = BY_ID["LIE-11"].mutants[0].statement.rhs
    step = F(1, 10)
    M = (step * BUFFER[0], step * BUFFER[1])
    value = printed.subs({**local(i), ε: sp.Rational(step)})
    assert gaps(step, F(1), "heavy ball", M)[1][i] == value
    assert gaps(step, F(9, 10), "heavy ball", M)[1][i] != value
    assert sp.expand(BY_ID["LIE-11"].statement.rhs.subs(μ, 1) - printed) == 0


def test_cubic_losses_in_one_dimension_show_the_third_order_term() -> None:
    """L1 = x³ and L2 = −x³/3 + x² from x = 1: v1 = −3x², v2 = x² − 2x; two SGD steps, both orders, by hand."""
    step, x = F(1, 5), F(1)

    def v1(x: F) -> F:
        return -3 * x**2

    def v2(x: F) -> F:
        return x**2 - 2 * x

    first, second = x + step * v1(x), x + step * v2(x)
    gap = first + step * v2(first) - second - step * v1(second)
    # v1 = −3, v2 = −1, v1' = −6, v2' = 0, v1'' = −6, v2'' = 2
    values = {b: 0 * -3 - -6 * -1, c: 2 * 9 - -6 * 1, ε: sp.Rational(step)}
    assert BY_ID["LIE-02"].statement.rhs.subs(values) == sp.Rational(gap)


def test_without_momentum_every_position_gap_is_the_brackets() -> None:
    for name in ("LIE-12", "LIE-13", "LIE-14"):
        relations = sp.And.make_args(BY_ID[name].statement)
        (formula,) = (r.rhs for r in relations if r.lhs == Δθ)
        assert formula.subs(μ, 0) == ε**2 * b


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_claims_are_complete(claim: Claim) -> None:
    assert dict(claim.meanings).keys() == claim.statement.free_symbols
    assert {entry.symbol for entry in GLOSSARY.values()} >= claim.statement.free_symbols
    assert claim.mutants
    assert claim.derivation is not None
    assert claim.derivation.__doc__


def test_random_instances_cover_three_dimensions_and_differ() -> None:
    pairs = example_pairs.random_pairs(Random(0))
    assert [len(pair.coordinates) for pair in pairs] == [1, 2, 3]
    assert pairs != example_pairs.random_pairs(Random(1))
    (evidence,) = (e for e in BY_ID["LIE-14"].evidence if isinstance(e, Property))
    assert len(evidence.instance(Random(0))) == 1 + 2 + 3


def test_the_fixed_losses_of_the_order_check_have_every_term() -> None:
    """An order check with a vanishing coefficient could not see it wrong."""
    (case, _) = example_pairs.quartic_pair().local()
    assert all(case[symbol] != 0 for symbol in (V1, V2, a, b, c))
    assert lie_bracket.sgd_swap_at(F(1, 64))[Δθ] != 0
