"""Expectations by listing outcomes: what the closed forms must equal, in the plainest words.

A finite data set lists its samples. A law is listed by its three-point Gauss rule, exact for moments up to order 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, permutations, product

import sympy as sp

from sgdtheory import Dataset, Fresh, Normal, Rademacher, Uniform

Outcome = tuple[sp.Expr, dict[sp.Symbol, sp.Expr]]
"""A probability and the values of the data symbols."""


def three_points(law: Normal | Uniform | Rademacher) -> list[tuple[sp.Expr, sp.Expr]]:
    """(probability, value) of the discrete law with the same moments of order 0 to 5."""
    if isinstance(law, Normal):
        far = law.std * sp.sqrt(3)
        return [(sp.Rational(1, 6), law.mean - far), (sp.Rational(2, 3), law.mean), (sp.Rational(1, 6), law.mean + far)]
    if isinstance(law, Uniform):
        middle, far = (law.low + law.high) / 2, (law.high - law.low) / 2 * sp.sqrt(sp.Rational(3, 5))
        return [(sp.Rational(5, 18), middle - far), (sp.Rational(4, 9), middle), (sp.Rational(5, 18), middle + far)]
    return [(sp.Rational(1, 2), sp.Integer(-1)), (sp.Rational(1, 2), sp.Integer(1))]


def outcomes(data: Fresh | Dataset) -> list[Outcome]:
    """One example: every outcome with its probability."""
    if isinstance(data, Dataset):
        rows = [[sp.Rational(value) for value in row] for row in data.values]
        return [(sp.Rational(1, data.size), dict(zip(data.symbols, row, strict=True))) for row in rows]
    listed = []
    for combination in product(*(three_points(law) for _, law in data.laws)):
        probability = sp.prod(p for p, _ in combination)
        listed.append((probability, dict(zip(data.symbols, (value for _, value in combination), strict=True))))
    return listed


def mean_and_covariance(
    weighted: Iterable[tuple[sp.Expr, Sequence[sp.Expr]]],
) -> tuple[sp.Matrix, sp.Matrix]:
    """Of a vector that takes the listed values with the listed probabilities."""
    listed = [(p, sp.Matrix(list(vector))) for p, vector in weighted]
    mean = sum((p * v for p, v in listed), sp.zeros(listed[0][1].rows, 1))
    covariance = sum((p * (v - mean) * (v - mean).T for p, v in listed), sp.zeros(mean.rows, mean.rows))
    return mean.applyfunc(sp.expand), covariance.applyfunc(sp.expand)


def example_gradients(
    loss: sp.Expr, coordinates: Sequence[sp.Symbol], data: Fresh | Dataset, point: dict[sp.Symbol, sp.Expr]
) -> list[tuple[sp.Expr, list[sp.Expr]]]:
    """Put each outcome into the loss, then differentiate, then put in the point."""
    listed = []
    for probability, values in outcomes(data):
        seen = loss.subs(values)
        listed.append((probability, [sp.diff(seen, w).subs(point) for w in coordinates]))
    return listed


def batches(data: Dataset, size: int) -> list[list[int]]:
    """Every batch of the sampling, all equally likely, as indices of samples."""
    n = range(data.size)
    if data.sampling == "with replacement":
        return [list(batch) for batch in product(n, repeat=size)]
    if data.sampling == "full batch":
        return [list(n)]
    return [list(batch) for batch in combinations(n, size)]


def epoch_batches(n: int, size: int, position: int) -> list[list[int]]:
    """The batch at one position of an epoch, over all orders of the samples."""
    return [list(order[position * size : (position + 1) * size]) for order in permutations(range(n))]


def batch_mean(vectors: Sequence[Sequence[sp.Expr]], batch: Sequence[int]) -> list[sp.Expr]:
    """Average the vectors of a batch, component by component."""
    return [sum(vectors[i][k] for i in batch) / sp.Integer(len(batch)) for k in range(len(vectors[0]))]


def next_states(
    gradients: Sequence[tuple[sp.Expr, Sequence[sp.Expr]]],
    size: int,
    step: Callable[[Sequence[sp.Expr]], Sequence[sp.Expr]],
) -> list[tuple[sp.Expr, Sequence[sp.Expr]]]:
    """Every next state after an independent batch of `size` examples, with its probability."""
    listed = []
    for batch in product(range(len(gradients)), repeat=size):
        probability = sp.prod(gradients[i][0] for i in batch)
        listed.append((probability, step(batch_mean([g for _, g in gradients], batch))))
    return listed
