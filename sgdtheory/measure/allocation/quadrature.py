"""Mean gradients of straight segments: fixed rules, rules that are exact for a polynomial, and adaptive doubling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from sgdtheory.derive.quadrature import Rule, composite, quadrature_rule
from sgdtheory.errors import ArgumentError
from sgdtheory.measure.protocol import Array, Loss
from sgdtheory.problem import Problem


@dataclass(frozen=True)
class Adaptive:
    """Cut a segment into 1, 2, 4, … equal parts until its allocations add up to the loss change well enough.

    Accepted is abs(Σ Aᵢ − ΔL) ≤ absolute + relative·Σ abs(Aᵢ). The default is the criterion of Lan and others (2019):
    Simpson's rule to 10⁻³ a step with at most 32 intervals, of which a part of Simpson's has two. Gradients of coarser
    cuts are used again.

    Parameters
    ----------
    rule : str or Rule
        Of one part, see `sgdtheory.derive.quadrature.quadrature_rule`.
    absolute : float
        ≥ 0, in units of the loss.
    relative : float
        ≥ 0, as a share of the summed absolute allocations, which unlike the loss change do not cancel.
    parts : int
        Largest number of parts, a power of 2.

    Raises
    ------
    ArgumentError
        For anything else.

    Examples
    --------
    >>> Adaptive(absolute=0, relative=1e-6).parts
    16
    """

    rule: str | Rule = "simpson"
    absolute: float = 1e-3
    relative: float = 0.0
    parts: int = 16

    def __post_init__(self) -> None:
        for name, value in (("absolute", self.absolute), ("relative", self.relative)):
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
                raise ArgumentError(name, value, "a number >= 0")
        if not isinstance(self.parts, int) or self.parts < 1 or self.parts & (self.parts - 1):
            raise ArgumentError("parts", self.parts, "a power of 2, at least 1")
        _named(self.rule)

    def cuts(self) -> tuple[Rule, ...]:
        """Return the composite rules, from one part up."""
        return tuple(composite(_named(self.rule), 2**k) for k in range(self.parts.bit_length()))


@dataclass(frozen=True)
class Segments:
    """K straight segments that follow each other.

    Parameters
    ----------
    points : ndarray, shape (..., K + 1, d)
    values : ndarray, shape (..., K + 1)
        L at the points.
    gradients : ndarray, shape (..., K + 1, d)
        ∇L at the points.
    """

    points: Array
    values: Array
    gradients: Array

    @property
    def moves(self) -> Array:
        """Δ, shape (..., K, d)."""
        return np.diff(self.points, axis=-2)

    @property
    def change(self) -> Array:
        """L(end) − L(start), shape (..., K)."""
        return np.diff(self.values, axis=-1)


@dataclass(frozen=True)
class Means:
    """Mean gradients of segments.

    Parameters
    ----------
    gradients : ndarray, shape (..., K, d)
        ḡ.
    spent : int array, shape (..., K)
        Gradients evaluated between the ends of a segment.
    unmet : bool array, shape (..., K)
        Where an adaptive rule ended before its criterion held.
    """

    gradients: Array
    spent: NDArray[np.int64]
    unmet: NDArray[np.bool_]


def chosen_rule(rule: str | Rule | Adaptive, problem: Problem | None) -> Rule | Adaptive:
    """Return the rule a user means.

    Parameters
    ----------
    rule : str, Rule or Adaptive
        A name of `quadrature_rule`; ``"adaptive"``, the same as ``Adaptive()``; or ``"exact"``, the Gauss rule that
        is exact for a polynomial loss.
    problem : Problem or None
        Whose degree ``"exact"`` asks for.

    Raises
    ------
    ArgumentError
        If there is no such rule.

    Examples
    --------
    >>> from sgdtheory import landscape
    >>> chosen_rule("exact", landscape("w1**4*w2**2", ["w1", "w2"])).name
    'gauss-3'
    """
    if isinstance(rule, (Rule, Adaptive)):
        return rule
    if rule == "adaptive":
        return Adaptive()
    return _exact(problem) if rule == "exact" else _named(rule)


def mean_gradients(loss: Loss, segments: Segments, rule: Rule | Adaptive) -> Means:
    """Return the mean of ∇L over each segment, the gradients at the ends being known.

    Parameters
    ----------
    loss : Loss
    segments : Segments
    rule : Rule or Adaptive

    Returns
    -------
    Means
    """
    cuts = rule.cuts() if isinstance(rule, Adaptive) else (rule,)
    shape, d = segments.change.shape, segments.points.shape[-1]
    moves, change = segments.moves.reshape(-1, d), segments.change.ravel()
    start = segments.points[..., :-1, :].reshape(-1, d)
    known = {0.0: segments.gradients[..., :-1, :].reshape(-1, d), 1.0: segments.gradients[..., 1:, :].reshape(-1, d)}
    mean, spent = np.empty_like(moves), np.zeros(len(moves), dtype=np.int64)
    left = np.arange(len(moves))  # whose criterion is not met yet
    for cut in cuts:
        nodes, weights = _numbers(cut)
        for node in set(nodes) - set(known):
            known[node] = loss.gradient(start[left] + node * moves[left])
            spent[left] += 1
        mean[left] = sum(weight * known[node] for node, weight in zip(nodes, weights, strict=True))
        if not isinstance(rule, Adaptive):
            return Means(mean.reshape(*shape, d), spent.reshape(shape), np.zeros(shape, dtype=bool))
        again = _misses(mean[left] * moves[left], change[left], rule)
        left, known = left[again], {node: gradient[again] for node, gradient in known.items()}
        if not left.size:
            break
    unmet = np.zeros(len(moves), dtype=bool)
    unmet[left] = True
    return Means(mean.reshape(*shape, d), spent.reshape(shape), unmet.reshape(shape))


def _misses(parts: Array, change: Array, rule: Adaptive) -> NDArray[np.bool_]:
    """Say which segments need a finer cut; a finer one would not help where something is not finite."""
    residual = np.abs(parts.sum(axis=-1) - change)
    return np.asarray(residual > rule.absolute + rule.relative * np.abs(parts).sum(axis=-1))


def _named(rule: str | Rule) -> Rule:
    if isinstance(rule, Rule):
        return rule
    try:
        return quadrature_rule(rule)
    except ArgumentError as error:
        argument, shown, allowed, fix = error.args
        raise ArgumentError(argument, shown, f"{allowed} | adaptive | exact", fix) from None


def _exact(problem: Problem | None) -> Rule:
    """Choose as many Gauss nodes as a gradient of degree p − 1 along a segment needs: n with 2n − 1 ≥ p − 1."""
    if problem is None:
        fix = "rule='gauss-n' is exact for losses of degree 2n"
        raise ArgumentError("rule", "exact", "for a Problem, whose loss is an expression of known degree", fix)
    example = problem.example_loss.xreplace(dict(problem.parameters))
    if not example.is_polynomial(*problem.coordinates):
        raise ArgumentError("rule", "exact", "for a loss that is a polynomial", "Adaptive(absolute=0, relative=1e-9)")
    degree = sp.Poly(example, *problem.coordinates).total_degree()
    return _named(f"gauss-{max(1, (degree + 1) // 2)}")


@cache
def _numbers(rule: Rule) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Round the nodes and weights of a rule once."""
    nodes, weights = (tuple(float(sp.N(x, 30)) for x in part) for part in (rule.nodes, rule.weights))
    return nodes, weights
