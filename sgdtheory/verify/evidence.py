"""Evidence, judged: gather the quantities once, then ask of any statement whether they bear it out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import singledispatch
from itertools import pairwise
from random import Random

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy.core.relational import Relational

from sgdtheory import symbols
from sgdtheory.claim import Assumption, Case, Ensemble, Evidence, Identity, Order, Property, Recursion, Sample
from sgdtheory.simulation.ensemble import simulate
from sgdtheory.verify import statistics
from sgdtheory.verify.prove import Remainder, conjuncts, equation_residuals, prove
from sgdtheory.verify.verdict import Finding, Verdict

Judge = Callable[[sp.Basic], Finding]
"""A statement → what the gathered evidence says of it."""

_PILOT = 1 << 18  # the spread it estimates is then safe to 1 %, well inside the tenth that is added
_MOST_SAMPLES = 20_000_000
_ORDER_HALVINGS = 6


@singledispatch
def gather(evidence: Evidence, assumptions: Sequence[Assumption], alpha: float, rng: int) -> Judge:
    """Derive, iterate or simulate the quantities of an evidence; return the judge of statements about them.

    Parameters
    ----------
    evidence : Evidence
    assumptions : sequence of Assumption
        Of the claim.
    alpha : float
        Share of the false-alarm budget, for statistical evidence.
    rng : int
        Seed, for random evidence.
    """
    raise TypeError(f"no judge for evidence of type {type(evidence).__name__}")


@gather.register
def _(evidence: Identity, assumptions: Sequence[Assumption], alpha: float, rng: int) -> Judge:
    cases = _cases(evidence.derivation())

    def judge(statement: sp.Basic) -> Finding:
        if not cases:
            return Finding("Identity", Verdict.UNDECIDED, "the derivation gave no case")
        decisions = [prove(statement, case, assumptions, evidence.remainder) for case in cases]
        verdict, detail = _worst(decisions)
        how = "follows by algebra" if evidence.remainder is None else _up_to(evidence.remainder)
        return Finding("Identity", verdict, detail or f"{how}{_in_cases(cases)}")

    return judge


@gather.register
def _(evidence: Property, assumptions: Sequence[Assumption], alpha: float, rng: int) -> Judge:
    random = Random(rng)
    cases = [case for _ in range(evidence.examples) for case in _cases(evidence.instance(random))]

    def judge(statement: sp.Basic) -> Finding:
        for case in cases:
            failure = _exact_failure(statement, case, evidence.remainder)
            if failure:
                return Finding("Property", Verdict.REFUTED, failure)
        if not cases:
            return Finding("Property", Verdict.UNDECIDED, "no instance was drawn")
        exact = "" if evidence.remainder is None else f" ({_up_to(evidence.remainder)})"
        return Finding("Property", Verdict.SUPPORTED, f"holds in {len(cases)} random rational instances{exact}")

    return judge


@gather.register
def _(evidence: Recursion, assumptions: Sequence[Assumption], alpha: float, rng: int) -> Judge:
    cases = [case for point in evidence.points for case in _cases(evidence.run(point))]

    def judge(statement: sp.Basic) -> Finding:
        if not cases:
            return Finding("Recursion", Verdict.UNDECIDED, "no point was given")
        worst = max(_relative_error(relation, case) for case in cases for relation in conjuncts(statement))
        verdict = Verdict.SUPPORTED if worst <= evidence.tolerance else Verdict.REFUTED
        detail = f"relative error {worst:.1e}, allowed {evidence.tolerance:.0e}{_in_cases(cases)}"
        return Finding("Recursion", verdict, detail, (("error", worst), ("tolerance", evidence.tolerance)))

    return judge


@gather.register
def _(evidence: Order, assumptions: Sequence[Assumption], alpha: float, rng: int) -> Judge:
    steps = [evidence.first / 2**k for k in range(_ORDER_HALVINGS + 1)]
    cases = [{**evidence.measure(step), evidence.step: sp.Rational(step)} for step in steps]

    def judge(statement: sp.Basic) -> Finding:
        equations = [r for r in conjuncts(statement) if isinstance(r, sp.Eq)]
        if not equations:
            return Finding("Order", Verdict.UNDECIDED, "the statement has no equation")
        slope = min(_slope([equation_residuals(e, case, None)[0] for case in cases]) for e in equations)
        missing = evidence.order - slope
        verdict = Verdict.SUPPORTED if missing < 0.1 else Verdict.REFUTED if missing > 0.5 else Verdict.UNDECIDED
        detail = f"difference falls as ε^{slope:.2f}, claimed ε^{evidence.order} or faster"
        return Finding("Order", verdict, detail, (("slope", slope), ("order", float(evidence.order))))

    return judge


@gather.register
def _(evidence: Ensemble, assumptions: Sequence[Assumption], alpha: float, rng: int) -> Judge:
    values, diverged = _simulated(evidence, alpha, rng)
    test = {"variance": statistics.variance_test, "mean": statistics.mean_test}[evidence.statistic]

    def judge(statement: sp.Basic) -> Finding:
        if diverged:
            return Finding("Ensemble", Verdict.UNDECIDED, f"{diverged} runs diverged", (("diverged", float(diverged)),))
        return _statistical(evidence, statement, lambda predicted: test(values, predicted, alpha), "simulated")

    return judge


@gather.register
def _(evidence: Sample, assumptions: Sequence[Assumption], alpha: float, rng: int) -> Judge:
    pilot, main = (np.random.default_rng(seed) for seed in np.random.SeedSequence(rng).spawn(2))
    count = statistics.mean_samples(_drawn(evidence, pilot, _PILOT), evidence.resolution, alpha)
    values = _drawn(evidence, main, _affordable(max(_PILOT, count), evidence.resolution))

    def judge(statement: sp.Basic) -> Finding:
        return _statistical(evidence, statement, lambda v: statistics.mean_test(values, v, alpha), "drawn")

    return judge


def _drawn(evidence: Sample, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw so many values, a part at a time so that a draw of many numbers a value stays small."""
    parts = [evidence.draw(rng, min(_PILOT, count - first)) for first in range(0, count, _PILOT)]
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])


def _statistical(
    evidence: Ensemble | Sample, statement: sp.Basic, test: Callable[[float], statistics.Comparison], how: str
) -> Finding:
    """Test what a statement predicts of the estimated quantity."""
    kind = type(evidence).__name__
    predicted = _prediction(statement, evidence)
    if predicted is None:
        return Finding(kind, Verdict.UNDECIDED, f"the statement has no equation for {evidence.quantity}")
    result = test(predicted)
    detail = (
        f"{evidence.quantity}: {how} {result.estimate:.5g}, stated {predicted:.5g}, p = {result.p_value:.2g}, "
        f"{result.samples} runs, would see an error of {result.detectable:.1%}"
    )
    return Finding(kind, result.verdict(evidence.resolution), detail, tuple(vars(result).items()))


def _simulated(evidence: Ensemble, alpha: float, rng: int) -> tuple[np.ndarray, int]:
    """Return the observable at the end of every finite run, and the number of the others."""
    if evidence.statistic == "variance":
        replicas = statistics.variance_samples(evidence.resolution, alpha)
    else:
        pilot, diverged = _observable(evidence, _PILOT, np.random.SeedSequence(rng, spawn_key=(1,)))
        if diverged:
            return pilot, diverged
        replicas = max(_PILOT, statistics.mean_samples(pilot, evidence.resolution, alpha))
    return _observable(evidence, _affordable(replicas, evidence.resolution), rng)


def _affordable(samples: int, resolution: float) -> int:
    if samples > _MOST_SAMPLES:
        raise ValueError(f"a resolution of {resolution} needs {samples} runs; choose a sharper observable")
    return samples


def _observable(evidence: Ensemble, replicas: int, rng: int | np.random.SeedSequence) -> tuple[np.ndarray, int]:
    numbers = dict(evidence.values)
    hyper = [replace(h, value=sp.sympify(h.value).subs(numbers)) for h in evidence.optimizer.hyperparameters]
    parameters = {s.name: numbers[s] for s in evidence.problem.free_parameters}
    problem = evidence.problem.bind(**parameters)
    run = simulate(
        problem,
        replace(evidence.optimizer, hyperparameters=tuple(hyper)),
        steps=evidence.steps,
        replicas=replicas,
        init=evidence.start,
        batch_size=int(numbers.get(symbols.batch_size, 1)),
        record=[evidence.steps],
        rng=rng,
    )
    end = run.w.values[:, -1, :]
    names = [sp.Symbol(f"w{i}", real=True) for i in range(problem.dimension)]
    expression = evidence.observable.subs(numbers).xreplace(dict(zip(problem.coordinates, names, strict=True)))
    function = sp.lambdify(names, expression, "numpy")
    finite = np.isfinite(end).all(axis=1)
    return np.asarray(function(*end[finite].T), dtype=np.float64), int(np.count_nonzero(~finite))


def _prediction(statement: sp.Basic, evidence: Ensemble | Sample) -> float | None:
    """Return what the statement says the quantity is, NaN where it says that it is not finite."""
    for relation in conjuncts(statement):
        if isinstance(relation, sp.Eq) and relation.lhs == evidence.quantity:
            value = sp.N(relation.rhs.subs(dict(evidence.values)))  # of most functions only the number is known finite
            return float(value) if value.is_finite else math.nan  # a pole is a prediction too, and a wrong one
    return None


def _exact_failure(statement: sp.Basic, case: Case, remainder: Remainder) -> str:
    """Say where an exact instance contradicts the statement, or nothing."""
    for relation in conjuncts(statement):
        if isinstance(relation, sp.Eq):
            wrong = [r for r in equation_residuals(relation, case, remainder) if r != 0]
            if wrong:
                return f"an instance is off by {wrong[0]}"
        elif relation.subs(case) != sp.true:
            sides = " against ".join(str(side.subs(case)) for side in relation.args)
            return f"an instance has {sides or relation}"
    return ""


def _relative_error(relation: sp.Basic, case: Case) -> float:
    """Return |lhs − rhs| against the size of the terms; 0 or ∞ for an inequality that holds or fails; ∞ for NaN."""
    if not isinstance(relation, sp.Eq):
        return 0.0 if isinstance(relation, Relational) and relation.subs(case) == sp.true else math.inf
    left, right = relation.lhs, relation.rhs
    terms = [abs(float(t.subs(case))) for side in (left, right) for t in sp.Add.make_args(side)]
    difference = abs(float(left.subs(case) - right.subs(case)))
    if not math.isfinite(difference + sum(terms)):  # a NaN would be lost among the other errors
        return math.inf
    return difference / max(terms) if max(terms) > 0 else 0.0


def _slope(residuals: Sequence[sp.Expr]) -> float:
    """Return the smaller of the last two logarithmic slopes under halving (∞ where the difference vanishes)."""
    sizes = [abs(sp.Rational(r)) for r in residuals[-3:]]
    if sizes[-1] == 0:
        return math.inf
    return min(math.log2(float(big / small)) for big, small in pairwise(sizes))


def _cases(result: Case | Sequence[Case]) -> list[Case]:
    return [result] if isinstance(result, Mapping) else list(result)


def _worst(decisions: Sequence[tuple[Verdict, str]]) -> tuple[Verdict, str]:
    order = list(Verdict)
    return max(decisions, key=lambda d: order.index(d[0]))


def _up_to(remainder: tuple[sp.Symbol, int]) -> str:
    return f"coefficients agree below {remainder[0]}^{remainder[1]}"


def _in_cases(cases: Sequence[Case]) -> str:
    return f", in {len(cases)} cases" if len(cases) > 1 else ""
