"""The shares of the five causes: each is gone when its cause is, they add up on arrays, and steps meet every case."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from sgdtheory.measure.arrays import on_arrays
from sgdtheory.theory.loss_change_allocation import causes, measured_steps, one_cause
from sgdtheory.theory.loss_change_allocation.causes import (
    CAUSES,
    INPUTS,
    Δ,
    G,
    T_curv,
    T_mb,
    T_opt,
    T_quad,
    T_wd,
    g,
    ordered_terms,
    q,
    shapley_terms,
    η,
    θ,
    λ,
    ḡ,
)

OFF = {
    T_wd: {λ: sp.S.Zero},
    T_opt: {Δ: -η * (G + λ * θ)},
    T_mb: {g: G},
    T_curv: {ḡ: g},
    T_quad: {q: ḡ},
}
NUMBERS = st.floats(-1e3, 1e3)


@pytest.mark.parametrize("terms", [ordered_terms, shapley_terms])
@pytest.mark.parametrize("cause", CAUSES, ids=str)
def test_a_cause_that_is_off_has_no_share_and_leaves_the_others_theirs(terms, cause: sp.Symbol) -> None:
    for other, share in terms().items():
        assert (sp.expand(share.subs(OFF[cause])) == 0) is (other == cause)


def test_with_all_off_the_measured_allocation_is_the_naive_one() -> None:
    value = causes.measured_allocation()
    for change in (OFF[T_quad], OFF[T_curv], OFF[T_mb], OFF[T_opt], OFF[T_wd]):
        value = value.subs(change)
    assert sp.expand(value + η * G**2) == 0


def test_the_two_divisions_differ_by_half_the_products_of_changes_of_move_and_gradient() -> None:
    ordered, fair = ordered_terms(), shapley_terms()
    for cause in (T_mb, T_curv, T_quad):
        assert sp.expand(ordered[cause] - fair[cause] - (Δ + η * G) * ordered[cause] / Δ / 2) == 0


@given(st.lists(st.tuples(*[NUMBERS] * len(INPUTS)), min_size=1, max_size=5))
def test_shares_add_up_on_arrays(rows: list[tuple[float, ...]]) -> None:
    columns = np.array(rows).T
    for terms in (ordered_terms(), shapley_terms()):
        shares = np.array(np.broadcast_arrays(*on_arrays(INPUTS, list(terms.values()))(*columns)))
        lr, decay, place, move, batch, start, mean, rule = np.abs(columns)
        # every product that can occur, by absolute values
        scale = (move + 2 * lr * (batch + decay * place)) * (2 * (batch + start + mean) + rule)
        wanted = columns[3] * columns[7] + columns[0] * columns[4] ** 2
        assert (np.abs(shares.sum(axis=0) - wanted) <= 64 * np.finfo(float).eps * scale).all()


def test_random_steps_meet_momentum_decay_rules_and_both_signs() -> None:
    random = Random(0)
    cases = [case for _ in range(14) for case in measured_steps.decaying_step(random)]
    for share in CAUSES:
        assert any(case[share] > 0 for case in cases)
        assert any(case[share] < 0 for case in cases)
    assert any(case[λ] == 0 == case[T_wd] for case in cases)
    assert any(case[T_opt] == 0 for case in cases)  # plain SGD


def test_exact_steps_have_no_decay_and_no_rules_error() -> None:
    random = Random(1)
    cases = [case for _ in range(8) for case in measured_steps.exact_step(random)]
    assert {case[T_wd] for case in cases} == {0} == {case[T_quad] for case in cases}


def test_overshooting_needs_more_than_twice_the_curvature_of_one_arrival() -> None:
    """On ½hw² the signs of A along ηh = ½, 1, 3/2, 2, 5/2, 3."""
    signs = [
        sp.sign(one_cause._OVERSHOOT[one_cause.A].subs({η: 1, g: 1, one_cause.h_step: sp.Rational(k, 2)}))
        for k in range(1, 7)
    ]
    assert signs == [-1, -1, -1, 0, 1, 1]


def test_momentum_can_hurt_from_rest_with_a_learning_rate_that_does_not_overshoot() -> None:
    """Twin of the example in the proof, in floats: w = 1, v = 0, η = ½, μ = 0.9 on ½w²."""
    path, v = [1.0], 0.0
    for _ in range(3):
        v = 0.9 * v + 0.5 * path[-1]
        path.append(path[-1] - v)
    first_order = [(b - a) * a for a, b in pairwise(path)]
    assert first_order[-1] == pytest.approx(float(one_cause.switch_on_one_by_one()[one_cause.A_opt]))
    assert first_order[-1] > 0
