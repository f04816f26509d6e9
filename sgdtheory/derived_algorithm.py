"""The lectures' derived algorithm: SGD that sets its own averaging and learning rate by B* = 4z²σ²/g², B in the batch.

Running means g̃ of ĝ and s̃ of ĝ² take a new batch with weight a = B/B*, and the step is −ηĝ with η = B/(2B*L) = a/(2L).
The slides leave open how to begin: here the first K steps only average, with a = 1/t.
"""

from __future__ import annotations

import sympy as sp

from sgdtheory import symbols
from sgdtheory.errors import ArgumentError
from sgdtheory.laws import Number
from sgdtheory.optimizers import Hyperparameter, Optimizer, hyperparameters
from sgdtheory.sources import MCALLESTER_2018

θ, g, v, s, L, z, B, t = (
    symbols.theta,
    symbols.gradient,
    symbols.velocity,
    symbols.second_moment,
    symbols.smoothness,
    symbols.confidence,
    symbols.batch_size,
    symbols.step,
)
_TINY = sp.Float(1e-300)  # keeps 0/0 from arising before the first gradient and where all gradients are 0
warming, K = symbols.warming, symbols.warmup


def DerivedSGD(
    smoothness: Number = L,
    confidence: Number = 2,
    warmup: Number = 10,
    low: Number = 1e-3,
    high: Number = 0.5,
) -> Optimizer:
    """Correct the derived algorithm: a = g̃²/(4z²(s̃ − g̃²)) clipped to [low, high], θ' = θ − a'ĝ/(2L).

    s̃ − g̃² estimates the variance of a batch's mean, σ²/B, so B* = 4z²B(s̃ − g̃²)/g̃², and a = B/B* needs no batch size.
    The clip keeps the means averages of several batches (a = 1 would make the next variance 0, and a = 1 again, for
    ever) and keeps a > 0 (a = 0 would never see another batch).

    Parameters
    ----------
    smoothness : number or Symbol
        L > 0, upper bound on the second derivative.
    confidence : number or Symbol
        z > 0, in standard errors.
    warmup : number
        K ≥ 1, steps at the start that only average.
    low, high : number or Symbol
        0 < low ≤ high < 1, bounds of B/B*; the learning rate lies between low/(2L) and high/(2L).

    Raises
    ------
    ArgumentError
        If a number is out of range, or low > high.

    References
    ----------
    McAllester (2018), TTIC 31230 lectures, slides A Derived Algorithm. See claim MCA-07 for what is corrected.

    Examples
    --------
    >>> DerivedSGD(smoothness=2, low=0.01)
    DerivedSGD(smoothness=2, confidence=2, warmup=10, low=0.01, high=0.5)
    """
    values = {"smoothness": smoothness, "confidence": confidence, "warmup": warmup, "low": low, "high": high}
    given = {h.keyword: h for h in hyperparameters(values)}
    _refuse_crossed(given["low"], given["high"])
    share = _clipped(v**2, 4 * z**2 * (s - v**2), symbols.share_low, symbols.share_high)
    return _rule("DerivedSGD", share, tuple(given.values()))


def PrintedDerivedSGD(
    smoothness: Number = L, batch: Number = B, confidence: Number = 2, warmup: Number = 10, form: str = "slides"
) -> Optimizer:
    """Run the derived algorithm as printed, a = Bg̃²/(4z²(s̃ − g̃²)): for study, it fails.

    Parameters
    ----------
    smoothness : number or Symbol
        L > 0.
    batch : number or Symbol
        B > 0, the number of examples in a batch, as given to ``simulate`` too.
    confidence : number or Symbol
        z > 0; the slides have 2.
    warmup : number
        K ≥ 1, steps at the start that only average.
    form : {"slides", "repaired"}
        ``slides``: s̃' = (1 − a)g̃ + aĝ², to the letter, and no clip; σ̃ enters squared alone, so the rule goes on where
        s̃ < g̃² and σ̃ is not real. ``repaired``: s̃' = (1 − a)s̃ + aĝ² and a ≤ 1, without which it ends at once.

    References
    ----------
    McAllester (2018), TTIC 31230 lectures, slides A Derived Algorithm.

    Examples
    --------
    >>> PrintedDerivedSGD(smoothness=1, batch=16, form="repaired").source.at
    'slides A Derived Algorithm'
    """
    if form not in ("slides", "repaired"):
        raise ArgumentError("form", form, "slides | repaired")
    values = {"smoothness": smoothness, "batch": batch, "confidence": confidence, "warmup": warmup}
    above, below = B * v**2, 4 * z**2 * (s - v**2)
    share = above / below if form == "slides" else _clipped(above, below, sp.S.Zero, sp.S.One)
    return _rule(f"PrintedDerivedSGD, {form}", share, hyperparameters(values), typo=form == "slides")


def running_means(share: Number, typo: bool = False) -> tuple[sp.Expr, sp.Expr]:
    """Return g̃' and s̃' once a batch has entered with weight a.

    Parameters
    ----------
    share : expression
        a.
    typo : bool
        The slides' second line, which carries g̃ where s̃ is meant.

    Examples
    --------
    >>> running_means(sp.Rational(1, 2))
    (g/2 + v/2, g**2/2 + s/2)
    """
    kept = 1 - share
    return kept * v + share * g, kept * (v if typo else s) + share * g**2


def _clipped(above: sp.Expr, below: sp.Expr, low: sp.Expr, high: sp.Expr) -> sp.Expr:
    """Return above/below within [low, high], without dividing by 0; below ≤ 0 counts as 0."""
    return sp.Max(low, above / sp.Max(below, above / high, _TINY))


def _rule(name: str, share: sp.Expr, values: tuple[Hyperparameter, ...], typo: bool = False) -> Optimizer:
    """B* has no time on the slides; it is taken before the step here, so that η does not depend on the new ĝ."""
    warm = warming > 0
    mean, square = running_means(sp.Piecewise((warming, warm), (share, True)), typo)
    lr = sp.Piecewise((0, warm), (share / (2 * L), True))
    start = Hyperparameter("", warming, sp.Piecewise((1 / t, t <= K), (0, True)), sp.Interval(0, 1))
    source = MCALLESTER_2018.where("slides A Derived Algorithm")
    return Optimizer(name, θ - lr * g, ((v, mean), (s, square)), θ, (*values, start), source)


def _refuse_crossed(least: Hyperparameter, most: Hyperparameter) -> None:
    if least.value.is_number and most.value.is_number and least.value > most.value:
        raise ArgumentError("low, high", (least.value, most.value), "low <= high")
