"""How far weight decay shrinks weights in an epoch: batch sizes, at a fixed and at a scaled learning rate."""

from __future__ import annotations

import math

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Recursion, by_name, equations, given, positive
from sgdtheory.optimizers import SGD, with_weight_decay
from sgdtheory.sources import LI_2018
from sgdtheory.symbols import meanings

η, λ, B, N, η_1 = symbols.lr, symbols.weight_decay, symbols.batch_size, symbols.examples, symbols.lr_one
l_fixed, l_scaled, gap = symbols.shrink_fixed, symbols.shrink_scaled, symbols.decay_gap


def log_shrink(lr: sp.Expr = η) -> sp.Expr:
    """Return the log of the factor an epoch of pure decay leaves of w, (N/B) log(1 − ηλ).

    Examples
    --------
    >>> log_shrink().subs({η: 1, λ: 0})
    0
    """
    return N / B * sp.log(1 - lr * λ)


def scaled_log_shrink() -> sp.Expr:
    """Return the same at the learning rate Bη₁, (N/B) log(1 − Bη₁λ)."""
    return log_shrink(B * η_1)


def decay_for_an_epoch() -> Case:
    """Step through an epoch of N/B batches without a gradient, and expand in λ.

    A step multiplies w by 1 − ηλ, so an epoch multiplies it by (1 − ηλ)^(N/B) and the log is
    (N/B) log(1 − ηλ) = −(N/B)(ηλ + η²λ²/2) + O(λ³): at fixed η half the batch size decays twice as much. At η = Bη₁
    it is −Nη₁λ − BNη₁²λ²/2: the same for every batch size to first order, and beyond that more for large ones. One
    step at 2Bη₁ leaves 1 − 2x, two at Bη₁ leave (1 − x)², x = Bη₁λ: less by exactly x² is left of the larger batch.
    """
    θ, lr = sp.Symbol("theta_w", positive=True), sp.Symbol("r", positive=True)
    factor = with_weight_decay(SGD(lr=lr)).update(0, θ).position / θ
    epoch = N / B * sp.log(factor)
    small, large = B * η_1, 2 * B * η_1
    return {
        l_fixed: epoch.subs(lr, η),
        l_scaled: epoch.subs(lr, small),
        gap: sp.expand(factor.subs(lr, large) - factor.subs(lr, small) ** 2),
    }


def run_an_epoch(point: Case) -> Case:
    """Decay step by step; the first two terms are what is left at small λ."""
    decay, batch, examples = (float(point[s]) for s in (λ, B, N))

    def left(lr: float, size: float, seen: float) -> float:
        w = 1.0
        for _ in range(round(seen / size)):
            w -= lr * decay * w
        return w

    fixed, scaled = float(point[η]), batch * float(point[η_1])
    return {
        **point,
        l_fixed: math.log(left(fixed, batch, examples)),
        l_scaled: math.log(left(scaled, batch, examples)),
        gap: left(2 * scaled, 2 * batch, 2 * batch) - left(scaled, batch, 2 * batch),
    }


_at = by_name(lr=η, decay=λ, batch=B, examples=N, lr_one=η_1)
_STATED = {
    l_fixed: -N / B * (η * λ + η**2 * λ**2 / 2),
    l_scaled: -N * η_1 * λ - B * N * η_1**2 * λ**2 / 2,
    gap: -((B * η_1 * λ) ** 2),
}

WEIGHT_DECAY = Claim(
    id="VIS-07",
    slug="slices.weight-decay",
    title="Weight decay shrinks more with small batches at a fixed learning rate, but not with η = Bη₁",
    status="corrected",
    statement=equations(_STATED),
    assumptions=(
        positive(η, "learning rate"),
        positive(η_1, "learning rate per example, where the learning rate goes with the batch"),
        positive(λ, "weight decay, small: the next term is of third order"),
        positive(B, "batch size"),
        positive(N, "examples in an epoch"),
        given("decay alone: the gradient's own effect on the length of w is left out"),
    ),
    source=LI_2018.where("small batches mean more updates and so more weight decay"),
    # the terms left out are (Bη₁λ)²/3 of the first, 3·10⁻⁵ at most
    evidence=(
        Identity(decay_for_an_epoch, (λ, 3)),
        Recursion(
            run_an_epoch,
            (
                _at(lr=0.1, decay=0.01, batch=16, examples=3200, lr_one=0.02),
                _at(lr=0.05, decay=0.02, batch=50, examples=5000, lr_one=0.01),
            ),
            1e-4,
        ),
    ),
    mutants=(
        Mutant(
            "as printed: more updates, more decay, whatever the learning rate",
            equations(_STATED, {l_scaled: _STATED[l_fixed].subs(η, η_1)}),
        ),
        Mutant("at a fixed learning rate the same for all", equations(_STATED, {l_fixed: -N * η * λ})),
        Mutant("with η = Bη₁ exactly the same for all", equations(_STATED, {gap: sp.S.Zero, l_scaled: -N * η_1 * λ})),
        Mutant("a larger batch decays less", equations(_STATED, {gap: (B * η_1 * λ) ** 2})),
    ),
    meanings=meanings(equations(_STATED)),
    note="The experiments behind the source kept the learning rate fixed, where it is right.",
)

CLAIMS = (WEIGHT_DECAY,)
"""The theory, in the order of the ledger."""
