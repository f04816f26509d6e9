"""What each cause adds to the mean allocation of an SGD step: minibatch and curvature."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.claim import (
    Assumption,
    Case,
    Claim,
    Ensemble,
    Identity,
    Mutant,
    Property,
    equals,
    given,
    positive,
    real,
)
from sgdtheory.derive.moments import quadratic_mean
from sgdtheory.optimizers import SGD
from sgdtheory.sources import HERE
from sgdtheory.theory.loss_change_allocation.naive import G, naive_allocation
from sgdtheory.theory.random_instances import learning_rate, rational

η, B = symbols.lr, symbols.batch_size
T_mb, T_curv, Σ_ii = symbols.minibatch_term, symbols.curvature_term, symbols.noise_variance
# row i of the Hessian, the gradient, row i of the noise covariance; coordinate i is called 1, the others 2 and 3
H_i = sp.symbols("H_11 H_12 H_13", real=True)
g = sp.symbols("g_1:4", real=True)
Σ_i = (Σ_ii, *sp.symbols("Sigma_12 Sigma_13", real=True))


def expected_minibatch_term() -> sp.Expr:
    """Return ηΣᵢᵢ/B, the mean of T_mb for coordinate i."""
    return η * Σ_ii / B


def expected_curvature_term() -> sp.Expr:
    """Return (η²/2)·[H(ggᵀ + Σ/B)]ᵢᵢ, the mean of T_curv for coordinate i on a quadratic."""
    return η**2 / 2 * sp.Add(*(h * (g[0] * gj + s / B) for h, gj, s in zip(H_i, g, Σ_i, strict=True)))


def mean_allocations(
    i: int, hessian: sp.Matrix, covariance: sp.Matrix, gradient_moment: sp.Matrix
) -> tuple[sp.Expr, sp.Expr]:
    """Return the mean naive and true allocation of an SGD step to one coordinate of a quadratic.

    −η(E gᵢ² + Σᵢᵢ/B) and −ηE gᵢ² + (η²/2)[H(E ggᵀ + Σ/B)]ᵢᵢ.

    Parameters
    ----------
    i : int
        Number of the coordinate, from 0.
    hessian, covariance : Matrix, shape (d, d), d ≤ 3
        H; Σ, of one example's gradient.
    gradient_moment : Matrix, shape (d, d)
        E ggᵀ of the full gradient where the step starts.

    Returns
    -------
    naive, true : expressions in η and B

    Examples
    --------
    >>> parts = mean_allocations(0, sp.Matrix([[1]]), sp.Matrix([[4]]), sp.Matrix([[9]]))
    >>> [part.subs({η: 1, B: 1}) for part in parts]
    [-13, -5/2]
    """
    order = [i, *(j for j in range(hessian.rows) if j != i)]
    values = _from_coordinate(i, hessian, sp.zeros(hessian.rows, 1), covariance)
    seen = g[: hessian.rows]
    square = gradient_moment[i, i] + Σ_ii / B
    promised = quadratic_mean(naive_allocation(), [G], sp.Matrix([[square]]))
    curved = quadratic_mean(sp.expand(expected_curvature_term()), seen, gradient_moment.extract(order, order))
    true = promised + expected_minibatch_term() + curved
    return promised.subs(values), true.subs(values)


def average_minibatch_term() -> Case:
    """Average over the batch.

    The minibatch gradient is G = g + ξ with E ξ = 0 and Var ξ = Σᵢᵢ/B, whatever the law of ξ and whatever the loss. SGD
    moves by Δ = −η(g + ξ), so T_mb = Δ(g − G) = η(g + ξ)ξ, whose mean is η·E ξ² = ηΣᵢᵢ/B. It is never negative: the
    step follows its own batch's noise downhill, the full loss does not.
    """
    noise = sp.Symbol("xi", real=True)
    displacement = SGD().update(g[0] + noise).displacement
    return {T_mb: quadratic_mean(displacement * -noise, [noise], sp.Matrix([[Σ_ii / B]]))}


def average_curvature_term() -> Case:
    """Average over the batch, on a quadratic.

    At the fraction t of the step the gradient is g + tHΔ, so its mean over the segment exceeds g by ½HΔ and
    T_curv = ½Δᵢ(HΔ)ᵢ. With Δ = −η(g + ξ), E ξ = 0 and E ξξᵀ = Σ/B, E ΔΔᵀ = η²(ggᵀ + Σ/B), which gives
    (η²/2)·[H(ggᵀ + Σ/B)]ᵢᵢ. Three coordinates stand for any number, because the sum over them is linear.
    """
    noise = sp.symbols("xi_1:4", real=True)
    step = [SGD().update(gj + x).displacement for gj, x in zip(g, noise, strict=True)]
    t = sp.Symbol("t")
    rise = sp.integrate(t * sp.Add(*map(sp.Mul, H_i, step)), (t, 0, 1))
    # products of noises without that of coordinate i do not occur, so the rest of Σ is left open
    Σ = sp.Matrix(3, 3, lambda j, k: Σ_i[max(j, k)] if min(j, k) == 0 else sp.Dummy())
    return {T_curv: quadratic_mean(sp.expand(step[0] * rise), noise, Σ / B)}


def random_batches(random: Random) -> list[Case]:
    """Average one SGD step over all batches of a small random data set, in exact rational numbers.

    Example k has the loss ½wᵀHw + c_k·w. Batches are drawn with replacement, so all n^B of them are equally likely.
    """
    d, n, size = random.randint(1, 3), random.randint(1, 3), random.randint(1, 2)
    half, *pulls = sp.Matrix(d, d, lambda i, j: rational(random)), *(_column(random, d) for _ in range(n))
    H, start, lr = half + half.T, _column(random, d), learning_rate(random)
    full = H * start + _mean(pulls)
    minibatch, curvature = [], []
    for batch in product(pulls, repeat=size):
        sampled = H * start + _mean(batch)
        end, _ = SGD(lr=lr).step(list(start), [[]] * d, lambda _, field=sampled: list(field))  # type: ignore[misc]
        move = sp.Matrix(end) - start
        middle = H * (start + move / 2) + _mean(pulls)  # the mean of a linear gradient over a segment
        minibatch.append(move.multiply_elementwise(full - sampled))
        curvature.append(move.multiply_elementwise(middle - full))
    Σ = _mean([(c - _mean(pulls)) * (c - _mean(pulls)).T for c in pulls])
    seen = [{η: lr, B: sp.Integer(size)} | _from_coordinate(i, H, full, Σ) for i in range(d)]
    return [case | {T_mb: _mean(minibatch)[i], T_curv: _mean(curvature)[i]} for i, case in enumerate(seen)]


def _from_coordinate(i: int, H: sp.Matrix, gradient: sp.Matrix, Σ: sp.Matrix) -> dict[sp.Symbol, sp.Expr]:
    """Return the row of H and of Σ and the gradient with coordinate i first, zeros for missing dimensions."""
    order = [i, *(j for j in range(H.rows) if j != i)]
    families = ((H_i, H[i, :]), (g, gradient), (Σ_i, Σ[i, :]))
    zeros = {symbol: sp.S.Zero for family, _ in families for symbol in family}
    return zeros | {symbol: row[j] for family, row in families for symbol, j in zip(family, order, strict=False)}


def _column(random: Random, d: int) -> sp.Matrix:
    return sp.Matrix([rational(random) for _ in range(d)])


def _mean(values: Sequence[sp.Matrix]) -> sp.Matrix:
    return sum(values, sp.zeros(*values[0].shape)) / len(values)


_H = sp.Matrix([[2, 1, 0], [1, 3, -1], [0, -1, 1]])
_Σ = sp.Matrix([[4, 2, 1], [2, 5, 1], [1, 1, 3]])
_START = sp.Matrix([1, 0, 0])
_VALUES = {η: sp.Rational(1, 4), B: sp.Integer(2)} | _from_coordinate(0, _H, _H * _START, _Σ)
_QUADRATIC = quadratic(_H, _Σ)
_MOVE = sp.Matrix(_QUADRATIC.coordinates) - _START


def _one_step(quantity: sp.Symbol, observable: sp.Expr) -> Ensemble:
    """Measure the mean of an observable after one step on a quadratic in space, to 3 %."""
    return Ensemble(quantity, observable, "mean", _QUADRATIC, SGD(), _VALUES, 1, tuple(_START), resolution=0.03)


MINIBATCH = Claim(
    id="LCA-06",
    slug="lca.minibatch",
    title="Measuring with the full gradient, not the minibatch's, adds ηΣᵢᵢ/B to every coordinate's mean allocation",
    status="exact",
    statement=sp.And(equals(T_mb, expected_minibatch_term()), sp.Ge(T_mb, 0)),
    assumptions=(
        positive(η, "learning rate"),
        positive(B, "batch size"),
        Assumption("variance of one example's gradient: Σᵢᵢ ≥ 0", Σ_ii, sp.Interval(0, sp.oo)),
        given("plain SGD; independent examples with gradient of mean g; any loss, any law of the noise"),
    ),
    source=HERE,
    evidence=(
        Identity(average_minibatch_term),
        Property(random_batches),
        _one_step(T_mb, _MOVE[0] * ((_H * _START)[0] + _MOVE[0] / _VALUES[η])),
    ),
    mutants=(
        Mutant("averages out, because the minibatch gradient is unbiased", equals(T_mb, 0)),
        Mutant("opposite sign", sp.And(equals(T_mb, -expected_minibatch_term()), sp.Le(T_mb, 0))),
        Mutant("without the batch size", sp.And(equals(T_mb, expected_minibatch_term() * B), sp.Ge(T_mb, 0))),
        Mutant("a factor ½", sp.And(equals(T_mb, expected_minibatch_term() / 2), sp.Ge(T_mb, 0))),
    ),
    meanings=((T_mb, "mean of Δᵢ(gᵢ − Gᵢ) over batches"),),
    note="So the naive allocation promises ηtr Σ/B too much progress a step, and goes on where training has stopped.",
)

CURVATURE = Claim(
    id="LCA-07",
    slug="lca.curvature",
    title="Measuring along the whole step instead of at its start adds (η²/2)[H(ggᵀ + Σ/B)]ᵢᵢ to the mean allocation",
    status="exact",
    statement=equals(T_curv, expected_curvature_term()),
    assumptions=(
        positive(η, "learning rate"),
        positive(B, "batch size"),
        Assumption("variance of one example's gradient: Σᵢᵢ ≥ 0", Σ_ii, sp.Interval(0, sp.oo)),
        *(real(s) for s in (*H_i, *g, *Σ_i[1:])),
        given("plain SGD on a quadratic loss of Hessian H; independent examples; any law of the noise"),
    ),
    source=HERE,
    evidence=(
        Identity(average_curvature_term),
        Property(random_batches),
        _one_step(T_curv, _MOVE[0] * (_H * _MOVE)[0] / 2),
    ),
    mutants=(
        Mutant("without the noise", equals(T_curv, expected_curvature_term().subs(dict.fromkeys(Σ_i, 0)))),
        Mutant("diagonal curvature only", equals(T_curv, expected_curvature_term().subs(dict.fromkeys(H_i[1:], 0)))),
        Mutant("without the factor ½", equals(T_curv, 2 * expected_curvature_term())),
        Mutant("without the batch size", equals(T_curv, expected_curvature_term().subs(B, 1))),
    ),
    meanings=((T_curv, "mean of Δᵢ(ḡᵢ − gᵢ) over batches, ḡ the mean gradient on the segment"),),
    note="Coordinate i is called 1 and the others 2 and 3; more dimensions only lengthen the sum over them.",
)

CLAIMS = (MINIBATCH, CURVATURE)
"""The theory, in the order of the ledger."""
