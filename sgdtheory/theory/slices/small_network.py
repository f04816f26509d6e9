"""A small network in symbols, the rescalings that leave its function alone, and normalised directions.

Units are positively homogeneous, φ(cz) = cφ(z) for c > 0, as ReLU, leaky ReLU, the absolute value and the identity are.
A filter is a row of a weight matrix: what one neuron weighs its inputs with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import NamedTuple

import sympy as sp

from sgdtheory.theory.random_instances import rational

Unit = Callable[[sp.Expr], sp.Expr]
Scaling = Callable[[sp.Matrix, sp.Matrix], sp.Matrix]
"""A draw and the weights → the normalised direction, for one layer."""


class Homogeneous(sp.Function):  # type: ignore[misc]
    """Any function with φ(cz) = cφ(z) for c > 0, and nothing else known of it.

    Examples
    --------
    >>> c, z = sp.Symbol("c", positive=True), sp.Symbol("z", real=True)
    >>> Homogeneous(c * z + 2 * c)
    c*Homogeneous(z + 2)
    """

    @classmethod
    def eval(cls, z: sp.Expr) -> sp.Expr | None:
        """Take positive factors outside; φ(0) = 2φ(0) is 0."""
        if z.is_zero:
            return sp.S.Zero
        factors = sp.Mul.make_args(sp.factor(z))
        outside = [factor for factor in factors if factor.is_positive and factor != 1]
        return sp.Mul(*outside) * cls(sp.Mul(*(f for f in factors if f not in outside))) if outside else None


def relu(z: sp.Expr) -> sp.Expr:
    """Return max(0, z)."""
    return sp.Max(0, z)


def leaky(z: sp.Expr) -> sp.Expr:
    """Return max(z/4, z)."""
    return sp.Max(z / 4, z)


UNITS: tuple[Unit, ...] = (relu, leaky, sp.Abs)


class Layer(NamedTuple):
    """Weights, shape (outputs, inputs), and bias, shape (outputs, 1)."""

    weights: sp.Matrix
    bias: sp.Matrix


Network = tuple[Layer, ...]


def outputs(network: Network, x: sp.Matrix, unit: Unit = Homogeneous) -> sp.Matrix:
    """Return the network's outputs at input x: units after every layer but the last."""
    for layer in network[:-1]:
        x = (layer.weights * x + layer.bias).applyfunc(unit)
    return network[-1].weights * x + network[-1].bias


def rescale_layers(network: Network, factors: Sequence[sp.Expr], biases: bool = True) -> Network:
    """Multiply layer l's weights by c_l and its bias by c₁⋯c_l, as its sums have been."""
    scaled, upto = [], sp.S.One
    for layer, factor in zip(network, factors, strict=True):
        upto *= factor
        scaled.append(Layer(layer.weights * factor, layer.bias * upto if biases else layer.bias))
    return tuple(scaled)


def rescale_neurons(network: Network, *factors: Sequence[sp.Expr]) -> Network:
    """Multiply each hidden neuron, weights and bias, by its factor, and divide what it sends on."""
    scales = [sp.diag(*layer) for layer in factors]
    scales.append(sp.eye(network[-1].bias.rows))
    before = sp.eye(network[0].weights.cols)
    scaled = []
    for layer, scale in zip(network, scales, strict=True):
        scaled.append(Layer(scale * layer.weights * before.inv(), scale * layer.bias))
        before = scale
    return tuple(scaled)


def move(network: Network, directions: Sequence[sp.Matrix], distance: sp.Expr) -> Network:
    """Go so far along a direction in the weights; biases stay."""
    pairs = zip(network, directions, strict=True)
    return tuple(Layer(layer.weights + distance * direction, layer.bias) for layer, direction in pairs)


def square(entries: Sequence[sp.Expr]) -> sp.Expr:
    """Return the sum of squares, factored so that a common factor leaves a square root."""
    total = sp.Add(*(entry**2 for entry in entries))
    return total if total.is_number else sp.factor(total)


def by_rows(draw: sp.Matrix, weights: sp.Matrix) -> sp.Matrix:
    """Return d_ij = δ_ij|w_i|/|δ_i|, i the row (filter normalisation); δ_i ≠ 0.

    Examples
    --------
    >>> by_rows(sp.Matrix([[3, 4]]), sp.Matrix([[0, 2]]))
    Matrix([[6/5, 8/5]])
    """
    ratios = [sp.sqrt(square(weights.row(i))) / sp.sqrt(square(draw.row(i))) for i in range(draw.rows)]
    return sp.diag(*ratios) * draw


def by_columns(draw: sp.Matrix, weights: sp.Matrix) -> sp.Matrix:
    """Return the same with columns, what an input sends on (fan-out), in the place of rows."""
    return by_rows(draw.T, weights.T).T


def by_entries(draw: sp.Matrix, weights: sp.Matrix) -> sp.Matrix:
    """Return the same with single weights: ±|w_ij|, the sign the draw's."""
    return sp.Matrix(*draw.shape, lambda i, j: by_rows(draw[i : i + 1, j], weights[i : i + 1, j])[0])


def rows_without_length(draw: sp.Matrix, weights: sp.Matrix) -> sp.Matrix:
    """Return δ_ij|w_i|: the row's length put on without taking the draw's own away."""
    return sp.diag(*(sp.sqrt(square(weights.row(i))) for i in range(draw.rows))) * draw


def symbolic_network(*widths: int) -> Network:
    """Return a network of these widths, inputs first, with a symbol for every weight and bias."""
    return tuple(
        Layer(
            sp.Matrix(rows, columns, lambda i, j: sp.Symbol(f"w{k}_{i}{j}", real=True)),  # noqa: B023
            sp.Matrix(rows, 1, lambda i, _: sp.Symbol(f"b{k}_{i}", real=True)),  # noqa: B023
        )
        for k, (columns, rows) in enumerate(pairwise(widths))
    )


def symbolic_draws(network: Network) -> list[sp.Matrix]:
    """Return a symbol for every entry of a draw δ."""
    shapes = (layer.weights.shape for layer in network)
    return [
        sp.Matrix(*shape, lambda i, j: sp.Symbol(f"d{k}_{i}{j}", real=True))  # noqa: B023
        for k, shape in enumerate(shapes)
    ]


def random_column(random: Random, size: int) -> sp.Matrix:
    """Return a rational column, zeros included."""
    return sp.Matrix([rational(random) for _ in range(size)])


def random_unit(random: Random) -> Unit:
    """Return one of the homogeneous units."""
    return random.choice(UNITS)


def random_factor(random: Random) -> sp.Rational:
    """Return a positive rational number."""
    return sp.Rational(random.randint(1, 12), random.randint(1, 12))
