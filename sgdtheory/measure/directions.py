"""Directions in the space of parameters: random, with lengths taken from the weights, or given; each says how made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sgdtheory.errors import ArgumentError
from sgdtheory.measure.protocol import Array, Loss, Tensor, dimension_of

RandomState = int | np.random.Generator | np.random.SeedSequence | None

NORMALISATIONS = {
    "none": "Gaussian",
    "filter": "Gaussian, every filter (row) as long as its weights",
    "fan-out": "Gaussian, rows of the first weight and columns of the others as long as theirs",
    "layer": "Gaussian, every tensor as long as its weights",
    "weight": "Gaussian times the weight, entry by entry",
}
"""What is done to a Gaussian draw in the weights."""
VECTORS = {
    "zero": "vectors 0",
    "weight": "vectors equal to the parameters",
    "norm": "vectors as long as theirs",
    "drawn": "vectors as drawn",
}
"""What is done to it in biases, and in the scales and shifts of normalisations."""


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction in the space of parameters.

    Parameters
    ----------
    values : ndarray, shape (d,)
    made : str
        How it was made; results and pictures repeat it.

    Examples
    --------
    >>> Direction(np.array([3.0, 4.0]), "given").norm
    5.0
    """

    values: Array
    made: str

    @property
    def norm(self) -> float:
        """Euclidean length."""
        return float(np.linalg.norm(self.values))


def random_directions(
    loss: Loss,
    w: ArrayLike,
    count: int = 2,
    *,
    normalise: str = "filter",
    vectors: str = "zero",
    rng: RandomState = None,
) -> tuple[Direction, ...]:
    """Draw Gaussian directions and give their parts the lengths of the weights, d_f = δ_f·|w_f|/|δ_f|.

    Which parts f: every filter (a row of axis 0, the incoming weights of one unit: as published, without the 10⁻¹⁰ in
    the denominator of the published code), every tensor ("layer"), or, for "fan-out", rows of the first weight and
    columns of the others, the outgoing weights of one unit. Slices along "filter" directions do not see layers rescaled
    by factors of product one, but they do see single units rescaled. "fan-out" does not, where there is one hidden
    layer; with more of them only "weight" does not, d = δ·w entry by entry. A part whose weights are all 0 has
    direction 0, and so has one whose draw is 0.

    Parameters
    ----------
    loss : Loss
        Its layout says what is a filter.
    w : array_like, shape (d,)
        The point the slice goes through.
    count : int
        Number of directions; more of them begin with the same ones.
    normalise : {"filter", "fan-out", "layer", "weight", "none"}
    vectors : {"zero", "weight", "norm", "drawn"}
        What happens in biases, scales and shifts: 0; the parameter itself, which is what the published code does where
        it does not ignore them; the whole vector as long as its parameters; or the plain draw.
    rng : int, Generator, SeedSequence or None
        The same whole number gives the same draws δ, whatever is done to them.

    Returns
    -------
    tuple of Direction

    Raises
    ------
    ArgumentError
        For a point that is not finite or does not fit, or names unknown.

    References
    ----------
    Li, Xu, Taylor, Studer, Goldstein (2018), Visualizing the loss landscape of neural nets.

    Examples
    --------
    >>> from sgdtheory import mlp
    >>> net = mlp([[0.0, 1.0], [1.0, 0.0]], [0, 1], widths=[3])
    >>> w = net.init(rng=0)
    >>> first, second = random_directions(net, w, rng=1)
    >>> rows = [np.linalg.norm(net.layout.unpack(x)["1.weight"], axis=1).round(6) for x in (first.values, w)]
    >>> np.array_equal(*rows), first.made
    (True, 'Gaussian, every filter (row) as long as its weights; vectors 0')
    """
    point = checked_point(w, dimension_of(loss))
    if not isinstance(count, (int, np.integer)) or isinstance(count, bool) or count < 1:
        raise ArgumentError("count", count, "a whole number >= 1")
    draws = np.random.default_rng(rng).standard_normal((count, loss.dimension))
    made = described(normalise, vectors)
    return tuple(Direction(values, made) for values in normalised(loss, draws, point, normalise, vectors))


def described(normalise: str, vectors: str) -> str:
    """Return in words what is done to a draw."""
    if normalise not in NORMALISATIONS:
        raise ArgumentError("normalise", normalise, " | ".join(NORMALISATIONS))
    if vectors not in VECTORS:
        raise ArgumentError("vectors", vectors, " | ".join(VECTORS))
    return f"{NORMALISATIONS[normalise]}; {VECTORS[vectors]}"


def normalised(loss: Loss, draws: Array, w: Array, normalise: str, vectors: str) -> Array:
    """Return draws, shape (..., d), with the lengths of the parameters w, shape (d,)."""
    layout, first = loss.layout, True
    drawn, parameters, parts = layout.unpack(draws), layout.unpack(w), {}
    for tensor in layout.tensors:
        d, own = drawn[tensor.name], parameters[tensor.name]
        if tensor.kind == "vector":
            parts[tensor.name] = _vector(d, own, vectors)
        else:
            parts[tensor.name] = _weight(d, own, tensor, "filter" if first and normalise == "fan-out" else normalise)
            first = False
    return layout.pack(parts)


def direction(given: Direction | ArrayLike, dimension: int, argument: str) -> Direction:
    """Return a direction of a user's, an array or a Direction already, checked."""
    made = given.made if isinstance(given, Direction) else "given"
    return Direction(checked_point(given.values if isinstance(given, Direction) else given, dimension, argument), made)


def checked_point(w: ArrayLike, dimension: int, argument: str = "w") -> Array:
    """Return one finite point as an array of shape (d,)."""
    point = np.array(w, dtype=np.float64)  # a copy: nobody else's array is written to, or changes under us
    if point.shape != (dimension,) or not np.isfinite(point).all():
        what = f"shape {point.shape}" if point.shape != (dimension,) else "numbers that are not finite"
        raise ArgumentError(argument, what, f"finite numbers, shape ({dimension},)")
    return point


def _vector(d: Array, own: Array, vectors: str) -> Array:
    if vectors == "zero":
        return np.zeros_like(d)
    if vectors == "weight":
        return np.broadcast_to(own, d.shape)
    return d if vectors == "drawn" else _lengthened(d, own, (-1,))


def _weight(d: Array, own: Array, tensor: Tensor, normalise: str) -> Array:
    if normalise == "none":
        return d
    if normalise == "weight":
        return d * own
    axes = tuple(range(-len(tensor.shape), 0))
    if normalise == "filter":
        axes = axes[1:]
    elif normalise == "fan-out":
        axes = axes[:1] + axes[2:]
    return _lengthened(d, own, axes)


def _lengthened(d: Array, own: Array, axes: tuple[int, ...]) -> Array:
    """Give every part of d, one along some axes, the length of the same part of the parameters."""
    have, want = (np.sqrt((a * a).sum(axis=axes, keepdims=True)) for a in (d, own))
    return np.where(have > 0, d / np.where(have > 0, have, 1.0) * want, 0.0)
