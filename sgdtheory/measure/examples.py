"""Examples for problems whose data are fresh at every draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from sgdtheory.distributions import Law
from sgdtheory.errors import ArgumentError
from sgdtheory.laws import Dataset
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.measure.protocol import Array
from sgdtheory.problem import Problem, check_problem

if TYPE_CHECKING:
    from numpy.random import BitGenerator, Generator, SeedSequence


def with_examples(
    problem: Problem, size: int, rng: int | SeedSequence | BitGenerator | Generator = 0, sampling: str = "reshuffle"
) -> Problem:
    """Return the same problem on a data set of examples drawn from its laws, so that examples have numbers.

    Parameters
    ----------
    problem : Problem
        With fresh data whose laws have numbers for parameters.
    size : int
        n ≥ 1.
    rng : int, SeedSequence, BitGenerator or Generator
    sampling : str
        How runs draw batches from it, see `Dataset`.

    Returns
    -------
    Problem

    Raises
    ------
    ArgumentError
        If the problem has a data set already or no data at all, a law has a parameter without value, or the problem has
        a perturbation, which is no loss of an example.

    Examples
    --------
    >>> from sgdtheory import linear_regression
    >>> with_examples(linear_regression(1), 100).data.size
    100
    """
    check_problem(problem)
    laws = () if isinstance(problem.data, Dataset) else problem.data.laws
    if not laws or any(problem.perturbation):
        fix = "write the noise into the example loss" if laws else "the examples of a data set have numbers already"
        raise ArgumentError("problem", problem.data, "a loss of fresh data, without perturbation", fix)
    if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
        raise ArgumentError("size", size, "a whole number >= 1")
    generator = np.random.default_rng(rng)
    bound = dict(problem.parameters)
    columns: dict[str, Any] = {s.name: _drawn(s, law, bound, int(size), generator) for s, law in laws}
    data = Dataset(sampling=sampling, **columns)
    used = {s: v for s, v in problem.parameters if problem.example_loss.has(s)}
    return Problem(problem.example_loss, problem.coordinates, data, used, problem.convention, problem.name)


def _drawn(symbol: sp.Symbol, law: Law, bound: dict[sp.Symbol, sp.Expr], size: int, generator: Generator) -> Array:
    """Draw a column: the law's transform of its primitive draws."""
    draws = [sp.Dummy(kind, real=True) for kind in law.primitives]
    expression = law.transform(*draws).xreplace(bound)
    free = expression.free_symbols - set(draws)
    if free:
        names = ", ".join(sorted(s.name for s in free))
        raise ArgumentError("problem", f"the law of {symbol}, which has {names}", "laws with numbers", "bind them")
    numbers = [generator.standard_normal(size) if d.name == "normal" else generator.random(size) for d in draws]
    (column,) = on_arrays(draws, [expression])(*numbers)
    return np.broadcast_to(np.asarray(column, dtype=np.float64), (size,))
