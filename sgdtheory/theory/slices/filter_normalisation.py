"""Filter normalisation: a random direction, each filter's part as long as the filter itself.

Draw δ, then take d_ij = δ_ij|w_i|/|δ_i| for filter i (a row of weights) and 0 for biases. Rescaled layers carry their
directions along, so their slices are the same. Rescaled neurons do not: the next layer's rows change their lengths by
a mixture of factors. There columns (fan-out) do what rows do in the first layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equations, given, positive, real
from sgdtheory.sources import HERE, LI_2018, WILD_2018
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import rational, rational_length
from sgdtheory.theory.slices.small_network import (
    Homogeneous,
    Layer,
    Network,
    Scaling,
    Unit,
    by_columns,
    by_entries,
    by_rows,
    move,
    outputs,
    random_column,
    random_factor,
    random_unit,
    rescale_layers,
    rescale_neurons,
    rows_without_length,
    square,
    symbolic_draws,
    symbolic_network,
)

S_0, S_1 = symbols.slice_before, symbols.slice_after
d_sq, w_sq, row_sq = symbols.filter_move, symbols.filter_square, symbols.row_after
w_1, w_2, c_1, c_2 = (
    symbols.row_weight_1,
    symbols.row_weight_2,
    symbols.neuron_factor_1,
    symbols.neuron_factor_2,
)
_α = sp.Symbol("alpha", real=True)


def _slice(
    network: Network,
    draws: list[sp.Matrix],
    scalings: tuple[Scaling, ...],
    x: sp.Matrix,
    α: sp.Expr,
    unit: Unit = Homogeneous,
) -> sp.Matrix:
    """Return the outputs at α along the draws, normalised layer by layer."""
    triples = zip(scalings, draws, network, strict=True)
    return outputs(move(network, [scale(draw, layer.weights) for scale, draw, layer in triples], α), x, unit)


# --- layers ----------------------------------------------------------------------------------------------------------


def rescale_layers_of_slice() -> list[Case]:
    """Normalise the same draws before and after layers are rescaled by c and 1/c.

    |cw_i| = c|w_i|, so the direction of a rescaled layer is c times the old one: with D the rescaling,
    Dθ + αd(Dθ) = D(θ + αd(θ)), and D changes no output (VIS-01). The biases do not move, so they take part in D as
    before. Filter i moves by |d_i| = |δ_i||w_i|/|δ_i| = |w_i| at α = 1, whatever the length of the draw.
    """
    network = symbolic_network(2, 1, 1)
    c = sp.Symbol("c", positive=True)
    x = sp.Matrix(sp.symbols("x_1 x_2", real=True))
    return _layer_cases(network, symbolic_draws(network), (c, 1 / c), x, _α, Homogeneous, by_rows)


def random_layers(random: Random, scale: Scaling = by_rows, biases: bool = True) -> list[Case]:
    """Rescale the layers of random networks, two or three of them, with filters and draws of rational lengths."""
    widths = [random.randint(1, 3) for _ in range(random.randint(3, 4))]
    pairs = list(pairwise(widths))
    network = tuple(Layer(_rows(random, r, c), random_column(random, r)) for c, r in pairs)
    draws = [_rows(random, r, c) for c, r in pairs]
    factors = [random_factor(random) for _ in pairs[1:]]
    everything = (*factors, 1 / sp.prod(factors))
    x = random_column(random, widths[0])
    return _layer_cases(network, draws, everything, x, rational(random), random_unit(random), scale, biases)


def _layer_cases(
    network: Network,
    draws: list[sp.Matrix],
    factors: tuple[sp.Expr, ...],
    x: sp.Matrix,
    α: sp.Expr,
    unit: Unit,
    scale: Scaling,
    biases: bool = True,
) -> list[Case]:
    scalings = (scale,) * len(network)
    before = _slice(network, draws, scalings, x, α, unit)
    after = _slice(rescale_layers(network, factors, biases), draws, scalings, x, α, unit)
    move_of_first = square(scale(draws[0], network[0].weights).row(0))
    lengths = {d_sq: move_of_first, w_sq: square(network[0].weights.row(0))}
    return [{S_0: early, S_1: late, **lengths} for early, late in zip(before, after, strict=True)]


def _rows(random: Random, rows: int, columns: int) -> sp.Matrix:
    return sp.Matrix.vstack(*(rational_length(random, columns).T for _ in range(rows)))


# --- neurons ---------------------------------------------------------------------------------------------------------


def rescale_neurons_of_slice() -> list[Case]:
    """Rescale each hidden neuron by a factor of its own, and normalise the second layer by columns.

    Row i of the first layer is multiplied by c_i, and so is its length: its direction goes along. What neuron i sends
    on, column i of the second layer, is divided by c_i, and so is that column's length: normalised by columns its
    direction goes along too, and the slice is the old one as in VIS-02. A row of the second layer becomes (w_i/c_i),
    of squared length Σw_i²/c_i², no multiple of what it was unless all c_i are alike: normalised by rows the direction
    does not go along.
    """
    network = symbolic_network(1, 2, 2)
    x = sp.Matrix([sp.Symbol("x", real=True)])
    return _neuron_cases(network, symbolic_draws(network), (c_1, c_2), x, _α, Homogeneous)


def random_neurons(random: Random, second: Scaling = by_columns) -> list[Case]:
    """Rescale the neurons of random networks, rows and columns of rational lengths."""
    inputs, ends = random.randint(1, 3), random.randint(1, 3)
    network, draws = (
        [
            Layer(_rows(random, 2, inputs), random_column(random, 2)),
            Layer(_rows(random, 2, ends).T, random_column(random, ends)),
        ]
        for _ in range(2)
    )
    x = random_column(random, inputs)
    weights = [layer.weights for layer in draws]
    factors = (random_factor(random), random_factor(random))
    return _neuron_cases(tuple(network), weights, factors, x, rational(random), random_unit(random), second)


def _neuron_cases(
    network: Network,
    draws: list[sp.Matrix],
    factors: tuple[sp.Expr, sp.Expr],
    x: sp.Matrix,
    α: sp.Expr,
    unit: Unit,
    second: Scaling = by_columns,
) -> list[Case]:
    scalings = (by_rows, second)
    rescaled = rescale_neurons(network, factors)
    before, after = (_slice(net, draws, scalings, x, α, unit) for net in (network, rescaled))
    known = dict(zip((c_1, c_2, w_1, w_2), (*factors, *network[1].weights.row(0)), strict=True))
    return [
        {S_0: early, S_1: late, row_sq: square(rescaled[1].weights.row(0)), **known}
        for early, late in zip(before, after, strict=True)
    ]


# --- neurons of two hidden layers ------------------------------------------------------------------------------------


def rescale_two_hidden_layers() -> list[Case]:
    """Rescale the neurons of both hidden layers, and normalise weight by weight.

    Weight w_ij of the middle layer is multiplied by c_i and divided by c'_j. So is ±|w_ij|: the direction goes along,
    whatever the factors, and the slice is the old one. The length of a row is a mixture of the 1/c'_j, that of a column
    a mixture of the c_i.
    """
    network = symbolic_network(1, 1, 2, 1)
    x = sp.Matrix([sp.Symbol("x", real=True)])
    first, second = sp.symbols("a_1", positive=True), (c_1, c_2)
    return _deep_cases(network, symbolic_draws(network), ([first], second), x, _α, Homogeneous)


def random_hidden_layers(random: Random, middle: Scaling = by_entries) -> list[Case]:
    """Rescale the neurons of random networks with two hidden layers of two; other layers weight by weight."""
    shapes = ((2, 1), (2, 2), (1, 2))
    network = tuple(Layer(_without_zeros(random, *shape), random_column(random, shape[0])) for shape in shapes)
    draws = [_without_zeros(random, *shape) for shape in shapes]
    factors = [[random_factor(random) for _ in range(2)] for _ in range(2)]
    x = random_column(random, 1)
    return _deep_cases(network, draws, factors, x, rational(random), random_unit(random), middle)


def _without_zeros(random: Random, rows: int, columns: int) -> sp.Matrix:
    while 0 in (drawn := _rows(random, rows, columns)):
        pass
    return drawn


def _deep_cases(
    network: Network,
    draws: list[sp.Matrix],
    factors: Sequence[Sequence[sp.Expr]],
    x: sp.Matrix,
    α: sp.Expr,
    unit: Unit,
    middle: Scaling = by_entries,
) -> list[Case]:
    scalings = (by_entries, middle, by_entries)
    rescaled = rescale_neurons(network, *factors)
    before, after = (_slice(net, draws, scalings, x, α, unit) for net in (network, rescaled))
    known = {w_sq: network[1].weights[0] ** 2, d_sq: square([scalings[1](draws[1], network[1].weights)[0]])}
    return [{S_0: before[0], S_1: after[0], **known}]


# --- claims ----------------------------------------------------------------------------------------------------------

_HOMOGENEOUS = given("positively homogeneous units; biases do not move along the slice")
_LAYERS = {S_1: S_0, d_sq: w_sq}
FILTERS = Claim(
    id="VIS-02",
    slug="slices.filter-normalisation",
    title="A filter-normalised slice is the same after layers are rescaled, and moves every filter by its own length",
    status="corrected",
    statement=equations(_LAYERS),
    assumptions=(
        _HOMOGENEOUS,
        given("layers rescaled by factors of product one, biases with them; no filter and no draw is zero"),
        given("d_ij = δ_ij|w_i|/|δ_i|, i the filter, the same draws δ before and after"),
    ),
    source=WILD_2018.where("each value scaled by the norm of its filter"),
    evidence=(Identity(rescale_layers_of_slice), Property(random_layers, examples=10)),
    mutants=(
        Mutant(
            "as printed: scaled by the filter's norm, the draw's own not taken away",
            evidence=(Property(lambda random: random_layers(random, rows_without_length), 3),),
        ),
        Mutant("raw draws", evidence=(Property(lambda random: random_layers(random, lambda draw, _: draw), 3),)),
        Mutant(
            "biases not rescaled with their layers",
            evidence=(Property(lambda random: random_layers(random, biases=False), 5),),
        ),
        Mutant("filters move by their squared lengths", equations(_LAYERS, {d_sq: w_sq**2})),
    ),
    meanings=meanings(equations(_LAYERS)),
    note="The scale is one number a filter, the draw one number a weight. The formula as printed is the same after a "
    "rescaling too, but moves a filter of n weights about √n times its length. The published code adds 10⁻¹⁰ to |δ_i|, "
    "which shows only for tiny draws, and sets biases to 0; a bias that moves breaks the equality.",
)

_NEURONS = {S_1: S_0, row_sq: w_1**2 / c_1**2 + w_2**2 / c_2**2}
NEURONS = Claim(
    id="VIS-03",
    slug="slices.neuron-rescaling",
    title="Neurons rescaled one by one change a filter-normalised slice; columns in the second layer mend it",
    status="corrected",
    statement=equations(_NEURONS),
    assumptions=(
        positive(c_1, "factor of neuron 1"),
        positive(c_2, "factor of neuron 2"),
        real(w_1, "a weight from neuron 1"),
        real(w_2, "a weight of the same row, from neuron 2"),
        _HOMOGENEOUS,
        given("two layers; row i of the first times c_i, column i of the second over c_i; nothing there is zero"),
        given("the first layer's direction normalised by rows, the second's by columns"),
    ),
    source=LI_2018.where("filter normalisation, said to remove the scale of the weights"),
    evidence=(Identity(rescale_neurons_of_slice), Property(random_neurons, examples=8)),
    mutants=(
        Mutant(
            "as printed: filters, that is rows, in every layer",
            evidence=(Property(lambda random: random_neurons(random, by_rows), 2),),
        ),
        Mutant("a row as long as before", equations(_NEURONS, {row_sq: w_1**2 + w_2**2})),
        Mutant("a row shorter by the product", equations(_NEURONS, {row_sq: (w_1**2 + w_2**2) / (c_1 * c_2)})),
    ),
    meanings=meanings(equations({S_1: S_0, row_sq: 0})),
    note="In three layers the middle one is rescaled from both sides, w_ij by c_i/c'_j, and neither rows nor columns "
    "mend it (VIS-17). Normalisation layers behind every filter make each filter's scale irrelevant by itself; then "
    "rows are right.",
)

_ENTRIES = {S_1: S_0, d_sq: w_sq}
DEEP = Claim(
    id="VIS-17",
    slug="slices.deep-neuron-rescaling",
    title="In deeper networks only directions normalised weight by weight stand the rescaling of single neurons",
    status="exact",
    statement=equations(_ENTRIES),
    assumptions=(
        _HOMOGENEOUS,
        given("neurons of every hidden layer rescaled one by one; d_ij = ±|w_ij|, the sign that of the draw"),
    ),
    source=HERE,
    evidence=(Identity(rescale_two_hidden_layers), Property(random_hidden_layers, examples=8)),
    mutants=(
        Mutant("rows in the middle", evidence=(Property(lambda random: random_hidden_layers(random, by_rows), 2),)),
        Mutant("columns there", evidence=(Property(lambda random: random_hidden_layers(random, by_columns), 2),)),
        Mutant("every weight moves by its square", equations(_ENTRIES, {d_sq: w_sq**2})),
    ),
    meanings=(
        (S_0, "output at α along the direction"),
        (S_1, "the same, neurons rescaled"),
        (d_sq, "square of a weight's part of the direction"),
        (w_sq, "square of the weight"),
    ),
    note="Such a direction is random in its signs alone, and it moves no weight that is 0.",
)

CLAIMS = (FILTERS, NEURONS, DEEP)
"""The theory, in the order of the ledger."""
