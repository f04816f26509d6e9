"""Rescalings that change no output: layers by factors of product one. A raw slice sees them, an output does not."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equations, given, positive
from sgdtheory.sources import WILD_2018
from sgdtheory.symbols import meanings
from sgdtheory.theory.random_instances import rational
from sgdtheory.theory.slices.small_network import (
    Homogeneous,
    Layer,
    Network,
    Unit,
    move,
    outputs,
    random_column,
    random_factor,
    random_unit,
    rescale_layers,
    symbolic_network,
)

c, z_0, z_1 = symbols.layer_factor, symbols.sum_before, symbols.sum_after
f_0, f_1 = symbols.output_before, symbols.output_after
S_0, S_c, S_1 = symbols.slice_before, symbols.slice_stretched, symbols.slice_after
_α = sp.Symbol("alpha", real=True)


def rescale_three_layers() -> list[Case]:
    """Multiply layer l by c_l, its bias by c₁⋯c_l, with c₁c₂c₃ = 1, and follow the signal.

    If a layer's inputs come multiplied by c₁⋯c_{l−1}, then W and b make its sums c₁⋯c_l times what they were, and a
    homogeneous unit passes the factor on. After the last layer it is one: the outputs are the old ones, at every input
    and for all weights θ. Write the rescaling as θ → Dθ. Moving one weight of the first layer from Dθ by α gives
    Dθ + αe = D(θ + (α/c₁)e): every output, and so every loss, is what it was at α/c₁. The slice is stretched by c₁ and
    its curvature divided by c₁².
    """
    network = symbolic_network(1, 2, 2, 1)
    x = sp.Matrix([sp.Symbol("x", real=True)])
    c2 = sp.Symbol("c_2", positive=True)
    return _cases(network, x, (c, c2, 1 / (c * c2)), _α, Homogeneous)


def random_rescaling(random: Random, unit: Unit | None = None, biases: bool = True) -> list[Case]:
    """Rescale random networks of three layers; the unit is one of the homogeneous ones if none is given."""
    widths = [random.randint(1, 3) for _ in range(4)]
    network = tuple(
        Layer(sp.Matrix(r, c, lambda i, j: rational(random)), random_column(random, r)) for c, r in pairwise(widths)
    )
    c1, c2 = random_factor(random), random_factor(random)
    x = random_column(random, widths[0])
    return _cases(network, x, (c1, c2, 1 / (c1 * c2)), rational(random), unit or random_unit(random), biases)


def _cases(
    network: Network, x: sp.Matrix, factors: tuple[sp.Expr, ...], α: sp.Expr, unit: Unit, biases: bool = True
) -> list[Case]:
    along = [sp.zeros(*layer.weights.shape) for layer in network]
    along[0][0, 0] = sp.S.One
    rescaled = rescale_layers(network, factors, biases)
    before, after = outputs(network, x, unit), outputs(rescaled, x, unit)
    same, stretched = (outputs(move(network, along, distance), x, unit) for distance in (α, α / factors[0]))
    moved = outputs(move(rescaled, along, α), x, unit)
    sums = {sum_: (net[0].weights * x + net[0].bias)[0] for sum_, net in ((z_0, network), (z_1, rescaled))}
    quantities = ((f_0, before), (f_1, after), (S_0, same), (S_c, stretched), (S_1, moved))
    known = {c: factors[0], **sums}
    return [known | {symbol: values[i] for symbol, values in quantities} for i in range(before.rows)]


def _softsign(z: sp.Expr) -> sp.Expr:
    return z / (1 + sp.Abs(z))


_STATED = {f_1: f_0, S_1: S_c, z_1: c * z_0}

RESCALING = Claim(
    id="VIS-01",
    slug="slices.rescaling",
    title="Layers rescaled by factors of product one, biases with them, leave every output and stretch the slices",
    status="exact",
    statement=equations(_STATED),
    assumptions=(
        positive(c, "factor of the first layer"),
        given("positively homogeneous units, φ(cz) = cφ(z) for c > 0: ReLU, leaky ReLU, the absolute value"),
        given("weights of layer l times c_l > 0, its bias times c₁⋯c_l, and all c_l together give one"),
        given("the slice moves one weight of the first layer by α, or of the network before by α/c₁"),
    ),
    source=WILD_2018.where("a layer times 10, the next divided by 10"),
    evidence=(Identity(rescale_three_layers), Property(random_rescaling, examples=12)),
    mutants=(
        Mutant("the units receive what they did", equations(_STATED, {z_1: z_0})),
        Mutant(
            "biases left as they are", evidence=(Property(lambda random: random_rescaling(random, biases=False), 5),)
        ),
        Mutant("units that are not homogeneous", evidence=(Property(lambda r: random_rescaling(r, _softsign), 5),)),
        Mutant(
            "a slice that sees no rescaling",
            evidence=(Property(lambda random: [{**case, S_c: case[S_0]} for case in random_rescaling(random)], 5),),
        ),
    ),
    meanings=meanings(equations(_STATED)),
    note="Raw curvatures of such networks can be given any size (Dinh and others, 2017): a raw slice compares networks "
    "only where their weights are alike in size.",
)

CLAIMS = (RESCALING,)
"""The theory, in the order of the ledger."""
