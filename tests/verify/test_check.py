"""check: the logic of verdicts, on small claims with known answers, right ones and planted wrong ones."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

import pytest
import sympy as sp

from sgdtheory import SGD, ArgumentError, Momentum, Uniform, landscape, scalar_mean
from sgdtheory.claim import (
    Assumption,
    Case,
    Claim,
    Ensemble,
    Evidence,
    Identity,
    Mutant,
    Order,
    Property,
    Recursion,
    Sample,
    positive,
    real,
)
from sgdtheory.sources import HERE
from sgdtheory.symbols import batch_size, lr, noise_std
from sgdtheory.theory.registry import claims, find
from sgdtheory.verify.check import check, check_all, false_alarm_share
from sgdtheory.verify.evidence import gather
from sgdtheory.verify.statistics import FALSE_ALARM_BUDGET
from sgdtheory.verify.verdict import Verdict

PROVED, SUPPORTED, UNDECIDED, REFUTED = Verdict
x, y, A = sp.symbols("x y A", real=True)
V = sp.Symbol("V", positive=True)
e = sp.Symbol("epsilon", positive=True)
RIGHT, WRONG = sp.Eq(A, (x + 1) ** 2), sp.Eq(A, x**2 + 1)


def claim(
    statement: sp.Basic, *evidence: Evidence, mutants: tuple[Mutant, ...] = (), assumptions: tuple[Assumption, ...] = ()
) -> Claim:
    return Claim("LCA-99", "lca.planted", "A planted claim", "exact", statement, assumptions, HERE, evidence, mutants)


def derive() -> Case:
    """Multiply out."""
    return {A: x**2 + 2 * x + 1}


IDENTITY = Identity(derive)
PROPERTY = Property(lambda random: (lambda v: {x: v, A: (v + 1) * (v + 1)})(sp.Rational(random.randint(1, 99), 7)))
RECURSION = Recursion(lambda point: {**point, A: point[x] * (point[x] + 2) + 1.0}, ({x: 0.5}, {x: 3.0}), 1e-12)
NO_CROSS_TERM = Mutant("without the cross term", WRONG)


def test_a_proved_claim() -> None:
    report = check(claim(RIGHT, IDENTITY, mutants=(NO_CROSS_TERM,)))
    assert report.verdict is PROVED
    assert report.reason == ""
    assert [f.kind for f in report.findings] == ["Identity"]
    assert report.mutants[0].rejected_by == ("Identity",)
    assert "off by" in report.mutants[0].detail


@pytest.mark.parametrize("evidence", [PROPERTY, RECURSION])
def test_what_is_not_a_proof_supports(evidence: Evidence) -> None:
    assert check(claim(RIGHT, evidence, mutants=(NO_CROSS_TERM,))).verdict is SUPPORTED
    assert check(claim(RIGHT, evidence, IDENTITY, mutants=(NO_CROSS_TERM,))).verdict is PROVED


@pytest.mark.parametrize("evidence", [IDENTITY, PROPERTY, RECURSION])
def test_a_planted_wrong_claim_is_refuted(evidence: Evidence) -> None:
    report = check(claim(WRONG, evidence, mutants=(Mutant("the right one, planted as a mutant", RIGHT),)))
    assert report.verdict is REFUTED
    assert report.reason.startswith(type(evidence).__name__)


def test_one_refutation_outweighs_a_proof() -> None:
    lying = Recursion(lambda point: {**point, A: 7.0}, ({x: 0.5},), 1e-12)
    assert check(claim(RIGHT, IDENTITY, lying, mutants=(NO_CROSS_TERM,))).verdict is REFUTED


def test_a_mutant_that_survives_leaves_the_claim_undecided() -> None:
    same = Mutant("the same in other words", sp.Eq(A, x * (x + 2) + 1))
    report = check(claim(RIGHT, IDENTITY, mutants=(NO_CROSS_TERM, same)))
    assert report.verdict is UNDECIDED
    assert "the same in other words" in report.reason
    assert [m.rejected for m in report.mutants] == [True, False]
    assert report.mutants[1].rejected_by == ()


def test_evidence_that_rejects_nothing_leaves_the_claim_undecided() -> None:
    toothless = Recursion(
        lambda point: {**point, A: point[x] * 0 + 1.0}, ({x: 0.0},), 1e-12
    )  # right and wrong agree at 0
    report = check(claim(RIGHT, IDENTITY, toothless, mutants=(NO_CROSS_TERM,)))
    assert report.findings[1].verdict is SUPPORTED
    assert report.verdict is UNDECIDED
    assert report.reason == "evidence that rejects no mutant shows nothing: Recursion"


def test_a_claim_without_mutants_is_undecided() -> None:
    assert check(claim(RIGHT, IDENTITY)).verdict is UNDECIDED


def test_a_claim_without_evidence_is_undecided() -> None:
    report = check(claim(RIGHT))
    assert report.verdict is UNDECIDED
    assert report.reason == "no evidence"
    assert check(claim(RIGHT, mutants=(NO_CROSS_TERM,))).verdict is UNDECIDED


def test_an_undecided_proof_leaves_the_claim_undecided_whatever_supports_it() -> None:
    f = sp.Function("f")
    hard = Identity(lambda: {A: (x + 1) ** 2 + f(x) - f(y)})
    report = check(claim(RIGHT, hard, RECURSION, mutants=(NO_CROSS_TERM,)))
    assert report.verdict is UNDECIDED
    assert report.reason.startswith("Identity: neither proved nor refuted")


def test_all_cases_of_a_derivation_must_hold() -> None:
    both = Identity(lambda: [{A: (x + 1) ** 2}, {A: (x + 1) ** 2 + x}])
    report = check(claim(RIGHT, both, mutants=(NO_CROSS_TERM,)))
    assert report.verdict is REFUTED
    good = Identity(lambda: [{A: (x + 1) ** 2}, {A: x * (x + 2) + 1}])
    assert "in 2 cases" in check(claim(RIGHT, good, mutants=(NO_CROSS_TERM,))).findings[0].detail


@pytest.mark.parametrize(
    "empty",
    [
        Identity(list),
        Property(lambda random: derive(), examples=0),
        Property(lambda random: []),
        Recursion(lambda point: [], ({},), 1),
        Recursion(lambda point: derive(), (), 1),
    ],
)
def test_evidence_that_looked_at_nothing_is_undecided(empty: Evidence) -> None:
    assert check(claim(RIGHT, empty, mutants=(NO_CROSS_TERM,))).verdict is UNDECIDED


def test_a_mutant_may_bring_evidence_of_its_own() -> None:
    wrong_premise = Mutant("another polynomial", evidence=(Identity(lambda: {A: x**2}),))
    report = check(claim(RIGHT, IDENTITY, mutants=(wrong_premise,)))
    assert report.verdict is PROVED
    survivor = Mutant("the same premise again", evidence=(IDENTITY,))
    assert check(claim(RIGHT, IDENTITY, mutants=(survivor,))).verdict is UNDECIDED


def test_a_wrong_premise_sharpens_only_evidence_of_its_kind() -> None:
    wrong_premise = Mutant("another polynomial", evidence=(Identity(lambda: {A: x**2}),))
    report = check(claim(RIGHT, IDENTITY, RECURSION, mutants=(wrong_premise,)))
    assert report.verdict is UNDECIDED
    assert report.reason.endswith("Recursion")


def test_a_derivation_that_fails_is_not_hidden() -> None:
    def broken() -> Case:
        raise ZeroDivisionError("a slip in a derivation")

    with pytest.raises(ZeroDivisionError, match="a slip"):
        check(claim(RIGHT, Identity(broken), mutants=(NO_CROSS_TERM,)))


def test_evidence_is_gathered_once_and_judges_all_mutants() -> None:
    calls: list[int] = []

    def counted() -> Case:
        calls.append(1)
        return derive()

    others = tuple(Mutant(f"off by {k}", sp.Eq(A, (x + 1) ** 2 + k)) for k in range(1, 5))
    assert check(claim(RIGHT, Identity(counted), mutants=others)).verdict is PROVED
    assert len(calls) == 1


# each kind of evidence


def judge(evidence: Evidence, statement: sp.Basic, alpha: float = 1e-6, rng: int = 0) -> Verdict:
    return gather(evidence, (real(x), positive(e)), alpha, rng)(statement).verdict


def test_an_identity_up_to_a_remainder() -> None:
    series = Identity(lambda: {A: sp.exp(e)}, remainder=(e, 3))
    assert judge(series, sp.Eq(A, 1 + e + e**2 / 2)) is PROVED
    assert judge(series, sp.Eq(A, 1 + e + e**2)) is REFUTED


def test_a_property_is_exact_and_repeats_with_its_seed() -> None:
    drawn: list[sp.Rational] = []

    def instance(random: Random) -> Case:
        drawn.append(sp.Rational(random.randint(1, 10**9), 7))
        return {x: drawn[-1], A: drawn[-1]}

    evidence = Property(instance, examples=4)
    assert judge(evidence, sp.Eq(A, x)) is SUPPORTED
    assert judge(evidence, sp.Eq(A, x + sp.Rational(1, 10**40))) is REFUTED
    assert judge(evidence, sp.Le(A, x)) is SUPPORTED
    assert judge(evidence, sp.Lt(A, x)) is REFUTED
    assert judge(evidence, sp.false) is REFUTED
    assert drawn[:4] == drawn[4:8]
    judge(evidence, sp.Eq(A, x), rng=1)
    assert drawn[-4:] != drawn[:4]


def test_a_property_up_to_a_remainder() -> None:
    evidence = Property(lambda random: {x: sp.Integer(random.randint(1, 9)), A: (1 + e) ** 5}, remainder=(e, 2))
    assert judge(evidence, sp.Eq(A, 1 + 5 * e)) is SUPPORTED
    assert judge(evidence, sp.Eq(A, 1 + 4 * e)) is REFUTED


@pytest.mark.parametrize(
    ("measured", "statement", "verdict"),
    [
        ({A: 1.0 + 1e-13, x: 1.0}, sp.Eq(A, x), SUPPORTED),
        ({A: 1.0 + 1e-8, x: 1.0}, sp.Eq(A, x), REFUTED),
        ({A: 1e-20, x: 1.1e-20}, sp.Eq(A, x), REFUTED),  # relative, not absolute
        ({A: 0.0, x: 0.0}, sp.Eq(A, x), SUPPORTED),
        ({A: float("nan"), x: 1.0}, sp.Eq(A, x), REFUTED),
        ({A: float("inf"), x: 1.0}, sp.Eq(A, x), REFUTED),
        ({A: 1.0, x: 2.0}, sp.Lt(A, x), SUPPORTED),
        ({A: 2.0, x: 2.0}, sp.Lt(A, x), REFUTED),
        ({A: 1.0, x: 1.0, y: 3.0}, sp.And(sp.Eq(A, x), sp.Gt(y, A)), SUPPORTED),
        ({A: 1.0, x: 1.0, y: 0.0}, sp.And(sp.Eq(A, x), sp.Gt(y, A)), REFUTED),
    ],
)
def test_a_recursion(measured: dict[sp.Symbol, float], statement: sp.Basic, verdict: Verdict) -> None:
    assert judge(Recursion(lambda point: measured, ({},), 1e-12), statement) is verdict


def test_a_nan_is_not_lost_among_good_points() -> None:
    values = iter([1.0, float("nan"), 1.0])
    evidence = Recursion(lambda point: {A: next(values), x: 1.0}, ({}, {}, {}), 1e-12)
    assert judge(evidence, sp.Eq(A, x)) is REFUTED


@pytest.mark.parametrize(
    ("order", "claimed", "verdict"),
    [(3, 3, SUPPORTED), (4, 3, SUPPORTED), (2, 3, REFUTED), (1, 2, REFUTED), (3, 2, SUPPORTED)],
)
def test_an_order_of_convergence(order: int, claimed: int, verdict: Verdict) -> None:
    def measure(step: Fraction) -> Case:
        exact = sp.Rational(step)
        return {A: 1 + exact + exact**order * (3 + exact)}

    assert judge(Order(measure, e, claimed), sp.Eq(A, 1 + e)) is verdict


def test_an_order_without_an_equation_is_undecided_and_an_exact_one_supports() -> None:
    evidence = Order(lambda step: {A: sp.Rational(step)}, e, 2)
    assert judge(evidence, sp.Ge(A, 0)) is UNDECIDED
    assert judge(evidence, sp.Eq(A, e)) is SUPPORTED


# Monte Carlo

STATIONARY = sp.Eq(V, lr * noise_std**2 / (batch_size * (2 - lr)))
"""SGD on ½(w − y)²: after many steps the variance of w, in closed form."""


def stationary(**changed: Any) -> Ensemble:
    settings: dict[str, Any] = {
        "quantity": V, "observable": sp.Symbol("beta", real=True), "statistic": "variance", "problem": scalar_mean(),
        "optimizer": SGD(), "values": {lr: 0.5, noise_std: 2.0, batch_size: 3}, "steps": 40, "start": (0,),
        "resolution": 0.05,
    }  # fmt: skip
    return Ensemble(**settings | changed)


def test_a_simulation_supports_the_right_variance_and_refutes_wrong_ones() -> None:
    evidence = gather(stationary(), (), 1e-7, 0)
    finding = evidence(STATIONARY)
    assert finding.verdict is SUPPORTED
    numbers = dict(finding.numbers)
    assert numbers["detectable"] <= 0.05
    assert numbers["predicted"] == pytest.approx(0.5 * 4 / (3 * 1.5))
    for wrong in (
        lr * noise_std**2 / (2 * batch_size),  # the small-step limit
        lr * noise_std**2 / (2 - lr),  # no batch
        1.06 * STATIONARY.rhs,
        STATIONARY.rhs / 1.06,
        1 / (lr - sp.Rational(1, 2)),  # a pole
    ):
        assert evidence(sp.Eq(V, wrong)).verdict is REFUTED


def test_a_simulation_of_a_mean() -> None:
    beta = sp.Symbol("beta", real=True)
    evidence = gather(stationary(observable=beta**2, statistic="mean"), (), 1e-7, 0)
    assert evidence(STATIONARY).verdict is SUPPORTED
    assert evidence(sp.Eq(V, 1.06 * STATIONARY.rhs)).verdict is REFUTED


def test_a_statement_without_the_simulated_quantity_is_undecided() -> None:
    assert gather(stationary(), (), 1e-2, 0)(sp.Eq(A, x)).verdict is UNDECIDED


def test_diverged_runs_leave_a_statement_undecided() -> None:
    explosive = landscape("w**4/4", ["w"], noise_std=noise_std)
    w = explosive.coordinates[0]
    for statistic in ("variance", "mean"):
        evidence = stationary(problem=explosive, observable=w, statistic=statistic, start=(Uniform(0, 4),))
        finding = gather(evidence, (), 1e-2, 0)(STATIONARY)
        assert finding.verdict is UNDECIDED
        assert "runs diverged" in finding.detail


def test_a_resolution_out_of_reach_is_an_error() -> None:
    with pytest.raises(ValueError, match="runs; choose a sharper observable"):
        gather(stationary(resolution=1e-5), (), 1e-7, 0)


def test_another_seed_is_another_simulation() -> None:
    first, second = (dict(gather(stationary(), (), 1e-2, rng)(STATIONARY).numbers) for rng in (0, 1))
    assert first["estimate"] != second["estimate"]
    assert first["samples"] == second["samples"]


def test_a_monte_carlo_claim_from_end_to_end() -> None:
    heavy = Mutant("another optimizer", evidence=(stationary(optimizer=Momentum(momentum=0.5)),))
    small_step = Mutant("the small-step limit", sp.Eq(V, lr * noise_std**2 / (2 * batch_size)))
    report = check(claim(STATIONARY, stationary(), mutants=(heavy, small_step)))
    assert report.verdict is SUPPORTED
    assert all(mutant.rejected_by == ("Ensemble",) for mutant in report.mutants)
    planted = check(claim(small_step.statement, stationary(), mutants=(Mutant("right", STATIONARY),)))
    assert planted.verdict is REFUTED


# Monte Carlo without the simulator

P = sp.Symbol("P", positive=True)


def coin(p: float, resolution: float = 0.01) -> Sample:
    return Sample(P, lambda rng, n: (rng.random(n) < p).astype(float), {x: p}, resolution)


def test_a_sample_supports_the_right_probability_and_refutes_wrong_ones() -> None:
    evidence = gather(coin(0.3), (), 1e-7, 0)
    assert evidence(sp.Eq(P, x)).verdict is SUPPORTED
    assert dict(evidence(sp.Eq(P, x)).numbers)["detectable"] <= 0.01
    for wrong in (1.01 * x, x / 1.01, x**2, 1 / (x - sp.Float(0.3))):
        assert evidence(sp.Eq(P, wrong)).verdict is REFUTED
    assert evidence(sp.Eq(A, x)).verdict is UNDECIDED


def test_a_sample_from_end_to_end_and_its_seeds() -> None:
    fair = Mutant("a fair coin", sp.Eq(P, sp.Rational(1, 2)))
    report = check(claim(sp.Eq(P, x), coin(0.3), mutants=(fair,)))
    assert report.verdict is SUPPORTED
    assert report.mutants[0].rejected_by == ("Sample",)
    first, second = (dict(gather(coin(0.3), (), 1e-2, rng)(sp.Eq(P, x)).numbers) for rng in (0, 1))
    assert first["estimate"] != second["estimate"]


def test_a_sample_out_of_reach_is_an_error() -> None:
    with pytest.raises(ValueError, match="runs; choose a sharper observable"):
        gather(coin(0.3, 1e-5), (), 1e-7, 0)


# the budget


def test_the_false_alarm_budget_is_split_over_all_statistical_checks() -> None:
    shares = [
        false_alarm_share() for c in claims() for evidence in c.evidence if isinstance(evidence, (Ensemble, Sample))
    ]
    assert shares
    assert sum(shares) <= FALSE_ALARM_BUDGET * (1 + 1e-12)


# many at once, and errors


def test_claims_checked_side_by_side_come_back_in_order() -> None:
    subjects = [find("MCA-02"), find("LCA-03")]
    apart = check_all(subjects, workers=2)
    assert [report.claim.id for report in apart] == ["MCA-02", "LCA-03"]
    assert apart == check_all(subjects, workers=1)


def test_nothing_to_check() -> None:
    assert check_all([]) == []


@pytest.mark.parametrize("name", ["nope", "", "LCA-00", "lca.naïve"])
def test_an_unknown_name_is_refused_with_the_nearest(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"claim: got .*an id such as LCA-03"):
        check(name)


@pytest.mark.parametrize("thing", [3, None, IDENTITY])
def test_what_is_no_claim_is_refused(thing: object) -> None:
    with pytest.raises(ArgumentError, match=r"claim: got .*an id, a slug or a Claim"):
        check(thing)  # type: ignore[arg-type]


def test_a_near_miss_is_answered_with_the_name_meant() -> None:
    with pytest.raises(ArgumentError, match=r"perhaps .*lca\.naive"):
        check("lca.naiv")


def test_names_are_found_in_any_case() -> None:
    assert find("lca-03") is find("LCA-03") is find("LCA.Naive")


def test_an_evidence_of_unknown_kind_is_an_error() -> None:
    with pytest.raises(TypeError, match="no judge for evidence of type object"):
        gather(object(), (), 0.1, 0)


def test_a_seed_that_is_none_is_refused_before_a_simulation() -> None:
    with pytest.raises(ArgumentError, match="rng: got -1"):
        check(claim(STATIONARY, stationary(), mutants=(NO_CROSS_TERM,)), rng=-1)


def test_reports_do_not_depend_on_when_they_are_made() -> None:
    subject = claim(RIGHT, IDENTITY, PROPERTY, mutants=(NO_CROSS_TERM,))
    assert check(subject, rng=3) == check(subject, rng=3)
