"""Which stochastic equation SGD follows on Q = w^k, and a problem that cannot tell: a regular minimum.

`densities` has the general law: SGD's long-run density is (1/D)exp(−∫L'/D). Here D vanishes with the distance, and the
readings of the noise differ in the power of w.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import single_feature
from sgdtheory.claim import Case, Claim, Ensemble, Identity, Mutant, Recursion, by_name, equations, given, positive
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.derive.transition import Vector, transition_matrix
from sgdtheory.optimizers import SGD
from sgdtheory.sources import CORLOUER_MACE_2024
from sgdtheory.theory.degenerate.bessel import label_diffusion
from sgdtheory.theory.stationarity.densities import READINGS, log_slope

η, B, σ, k, x = symbols.lr, symbols.batch_size, symbols.noise_std, symbols.zero_order, symbols.place
ito, stratonovich = symbols.slope_sgd, symbols.slope_stratonovich
exact2, ito2, stratonovich2 = symbols.second_exact, symbols.second_ito, symbols.second_stratonovich
_w = sp.Symbol("w", positive=True)
_coordinate = sp.Symbol("w", real=True)


def label_density_slope(reading: str = "Itô") -> sp.Expr:
    """Return d log p/dw of the density ∝ w^(c(2−2k)) exp(−Bw²/(ησ²k)) without current, c = 1 (Itô), ½ or 0.

    Parameters
    ----------
    reading : {"Itô", "Stratonovich", "as printed"}

    Examples
    --------
    >>> label_density_slope().subs({k: 1, σ: 1, B: 1})
    -2*x_w/eta
    """
    return READINGS[reading] * (2 - 2 * k) / x - 2 * B * x / (η * σ**2 * k)


def put_in_the_model() -> Case:
    """Put loss and noise of Q = w^k into the current-free density.

    The loss is ½w^(2k), its slope kw^(2k−1), and the labels' part of D is ησ²k²w^(2k−2)/(2B). In −(L' + cD')/D the
    first part is −2Bw/(ησ²k) and the second −c(2k − 2)/w. For c = 1 and k ≥ 2 the power w^(2−2k) cannot be integrated
    at 0: there is no stationary density, all mass collapses onto the minimum.
    """
    D = label_diffusion(k)
    values = {
        symbols.loss_slope: sp.diff(_w ** (2 * k) / 2, _w),
        symbols.diffusion: D,
        symbols.diffusion_slope: sp.diff(D, _w),
    }

    def put(reading: str) -> sp.Expr:
        return sp.expand(sp.simplify(log_slope(reading).subs(values))).subs(_w, x)

    return {ito: put("Itô"), stratonovich: put("Stratonovich")}


def between_walls(point: Case) -> Case:
    """Carry the chain on a grid between two walls, where the density can be integrated; take its slope midway.

    A step that would leave is drawn again, so that no current flows. Once as SGD steps, once with the drift that
    Stratonovich's reading adds; both extrapolated to η = 0 at fixed ησ².
    """
    order, at = float(point[k]), float(point[x])
    ratio = float(point[η] * point[σ] ** 2 / point[B])
    slopes = {}
    for symbol, share in ((ito, 0.0), (stratonovich, 0.5)):
        coarse, fine = (_slope_at(at, order, ratio, lr, share) for lr in (0.02, 0.01))
        slopes[symbol] = 2 * fine - coarse
    return {**point, **slopes}


def _slope_at(at: float, order: float, ratio: float, lr: float, share: float) -> float:
    """Return the slope of the log density at a place, for steps of η with the share of D' added to the drift."""
    grid = np.linspace(at - 0.4, at + 0.4, 401)

    def diffusion(w: Vector) -> Vector:
        return np.asarray(ratio * order**2 * w ** (2 * order - 2) / 2)

    def mean(w: Vector) -> Vector:
        drift = -order * w ** (2 * order - 1) + share * (2 * order - 2) * diffusion(w) / w
        return np.asarray(w + lr * drift)

    matrix = transition_matrix(mean, lambda w: np.sqrt(2 * lr * diffusion(w)), grid)
    matrix = matrix / matrix.sum(1, keepdims=True)
    system = matrix.T - np.eye(grid.size)
    system[-1] = 1
    law = np.linalg.solve(system, (np.arange(grid.size) == grid.size - 1).astype(float))
    logs, spacing, i = np.log(law), grid[1] - grid[0], grid.size // 2
    rises = [(logs[i + step] - logs[i - step]) / (2 * step * spacing) for step in (4, 8)]
    return float((4 * rises[0] - rises[1]) / 3)


def three_variances() -> Case:
    """Close the second moment of SGD and of both equations on Q = w, and expand in η.

    Σ = σ² + 2w² for normal inputs. SGD: V = (1 − 2η)V + η²(V + (σ² + 2V)/B). Itô's equation has no η²V, which is the
    square of the drift: 0 = −2V + η(σ² + 2V)/B. Stratonovich's has the drift D'/2 = ηw/B besides, which adds 2ηV/B.
    """
    problem = single_feature(_coordinate, [_coordinate], σ)
    V = sp.Symbol("V")
    noise = problem.batch_noise(B)[0]
    exact = stationary_covariance(problem, SGD(), B)[0, 0]
    variances = [exact]
    for share in (READINGS["Itô"], READINGS["Stratonovich"]):
        # d E w² = 2 E w·drift + 2 E D, with the drift of the reading
        drift = -problem.gradient[0] + (1 - share) * sp.diff(η * noise / 2, _coordinate)
        change = sp.expand(2 * _coordinate * drift + η * noise)
        balance = change.coeff(_coordinate, 2) * V + change.coeff(_coordinate, 0)
        variances += sp.solve(balance, V)
    coefficients = (sp.series(v, η, 0, 3).removeO().expand().coeff(η, 2) for v in variances)
    return dict(zip((exact2, ito2, stratonovich2), coefficients, strict=True))


_SLOPES = {ito: label_density_slope("Itô"), stratonovich: label_density_slope("Stratonovich")}
_SECOND = {exact2: σ**2 * (B + 2) / (4 * B**2), ito2: σ**2 / (2 * B**2), stratonovich2: σ**2 / B**2}
_LR = sp.Rational(1, 5)
_NOISE = (positive(η, "learning rate"), positive(σ, "standard deviation of the labels"), positive(B, "batch size"))
_at = by_name(k=k, lr=η, B=B, s=σ, x=x)
_PRINTED = CORLOUER_MACE_2024.where("code: Fokker_Planck.get_coeffs, drift coefficient")

DENSITY = Claim(
    id="DEG-10",
    slug="degenerate.ito-density",
    title="Label noise beside a zero of order k leaves w^(2−2k)exp(−Bw²/(ησ²k)): for k ≥ 2 no density, a collapse",
    status="corrected",
    statement=equations(_SLOPES),
    assumptions=(
        *_NOISE,
        positive(k, "order of the zero"),
        positive(x, "the place"),
        given("Q = w^k, half squared error, E x² = 1; the labels' part of the noise; η → 0 at fixed ησ²/B"),
    ),
    source=_PRINTED,
    evidence=(
        Identity(put_in_the_model),
        # second order in η remains of the extrapolation
        Recursion(between_walls, (_at(k=2, lr=1, B=4, s=0.5, x=1), _at(k=3, lr=1, B=8, s=0.5, x=0.9)), 5e-3),
    ),
    mutants=(
        Mutant("as programmed: Stratonovich's w^(1−k) for SGD", equations(_SLOPES, {ito: _SLOPES[stratonovich]})),
        Mutant("no power of w", equations(_SLOPES, {ito: label_density_slope("as printed")})),
        Mutant("twice the noise", equations({q: f.subs(σ, sp.sqrt(2) * σ) for q, f in _SLOPES.items()})),
        Mutant("the normal law of k = 1", equations({q: f.subs(k, 1) for q, f in _SLOPES.items()})),
    ),
    meanings=(
        (ito, "slope of the log density of SGD, Itô's reading"),
        (stratonovich, "the same if the noise were Stratonovich's"),
    ),
    note="The posterior exp(−nw^(2k)) is flat at 0 for every k; SGD's law is normal for k = 1 and a point for k ≥ 2.",
)  # fmt: skip

TRAP = Claim(
    id="DEG-12",
    slug="degenerate.regular-trap",
    title="On Q = w neither reading has SGD's variance at order η²: (B+2)/(4B²), not Itô's 1/(2B²) or the other's 1/B²",
    status="exact",
    statement=equations(_SECOND),
    assumptions=(*_NOISE, given("Q = w, half squared error, x ~ N(0, 1)")),
    source=_PRINTED,
    evidence=(
        Identity(three_variances),
        # V = (ησ²/(2B))/(1 − r) with r = η(B + 2)/(2B), here η: what it exceeds its first order by is r/(1 − r) of it
        Ensemble(
            exact2,
            (_coordinate**2 - _LR / 4) / _LR**2 * (1 - _LR),
            "mean", single_feature(_coordinate, [_coordinate], σ), SGD(),
            {η: float(_LR), σ: 1, B: 2}, steps=30, start=(0,), resolution=0.1,
        ),
    ),
    mutants=(
        Mutant("SGD is Itô's equation to this order", equations(_SECOND, {exact2: _SECOND[ito2]})),
        Mutant("SGD is Stratonovich's", equations(_SECOND, {exact2: _SECOND[stratonovich2]})),
        Mutant("the readings exchanged", equations(_SECOND, {ito2: σ**2 / B**2, stratonovich2: σ**2 / (2 * B**2)})),
        Mutant("no fourth moment of the inputs", equations(_SECOND, {exact2: σ**2 / (4 * B)})),
    ),
    meanings=(
        (exact2, "coefficient of η² in the long-run variance of SGD"),
        (ito2, "the same for Itô's equation"),
        (stratonovich2, "the same for Stratonovich's equation"),
    ),
    note="The square of the mean step, which no equation of first order has, is as large as the difference of the "
    "readings. At B = 1 both are equally wrong, at B = 2 Stratonovich's is right by accident, and from there on "
    "nearer. Where noise decides alone, SGD is Itô's: DEG-11.",
)  # fmt: skip

CLAIMS = (DENSITY, TRAP)
"""The theory, in the order of the ledger."""
