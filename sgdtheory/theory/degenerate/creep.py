"""The slow way along a degenerate line: Q = (w1² + w2²)^a w1, which is zero all along w1 = 0.

Label noise makes w1 jitter about the line. The jitter is larger where Q bends less, and on average pushes w2 towards
the origin, where the loss is flattest: a power law in the number of steps, not an attractor.
"""

from __future__ import annotations

import math

import sympy as sp

from sgdtheory import symbols
from sgdtheory.claim import Case, Claim, Identity, Mutant, Recursion, by_name, equations, given, positive, where
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.distributions import Normal
from sgdtheory.errors import ArgumentError
from sgdtheory.laws import Fresh
from sgdtheory.optimizers import SGD
from sgdtheory.problem import Problem
from sgdtheory.sources import CORLOUER_MACE_2024

η, B, σ, a = symbols.lr, symbols.batch_size, symbols.noise_std, symbols.line_power
V, rate = symbols.jitter, symbols.creep_rate
start, end, n = symbols.creep_start, symbols.creep_end, symbols.creep_steps
_w1, _A = sp.symbols("w1", real=True), sp.Symbol("A", positive=True)
_w2 = symbols.coordinate_2
_TWICE = {"half squared error": 1, "squared error": 2}


def jitter(place: sp.Expr = _w2) -> sp.Expr:
    """Return the long-run mean of w1² at fixed w2, ησ²/(B(2 − ηw2^(4a)(1 + 2/B))), x ~ N(0, 1).

    Examples
    --------
    >>> jitter(0)
    eta*sigma**2/(2*B)
    """
    return η * σ**2 / (B * (2 - η * place ** (4 * a) * (1 + 2 / B)))


def creep_rate(place: sp.Expr = _w2) -> sp.Expr:
    """Return the mean move of w2 in a step, −2aη w2^(4a−1) times the jitter."""
    return -2 * a * η * place ** (4 * a - 1) * jitter(place)


def creep_gain(steps: sp.Expr = n) -> sp.Expr:
    """Return what w2^(2−4a) grows by in n steps of small ηw2^(4a): (4a − 2)aη²σ²n/B."""
    return (4 * a - 2) * a * (η * σ) ** 2 * steps / B


def creep(place: sp.Expr = start, steps: sp.Expr = n, convention: str = "half squared error") -> sp.Expr:
    """Return w2 after n steps of small ηw2^(4a), [w2^(2−4a) + (4a − 2)aη²σ²n/B]^(−1/(4a−2)).

    Parameters
    ----------
    place : expression
        w2 > 0 at the start.
    steps : expression
        n.
    convention : {"half squared error", "squared error"}
        Without the ½ every learning rate counts twice.

    Raises
    ------
    ArgumentError
        For any other convention.

    Examples
    --------
    >>> creep(convention="squared error").subs(a, 2)
    (w2_0**(-6) + 48*eta**2*n_c*sigma**2/B)**(-1/6)
    """
    if convention not in _TWICE:
        raise ArgumentError("convention", convention, " | ".join(_TWICE))
    gain = creep_gain(steps).subs(η, _TWICE[convention] * η)
    return (place ** (2 - 4 * a) + gain) ** (-1 / (4 * a - 2))


def caustic(convention: str = "half squared error") -> sp.Expr:
    """Return the place that runs from however far cannot be beyond after n steps: `creep` from infinity.

    Examples
    --------
    >>> round(float(caustic("squared error").subs({a: 2, η: 0.01, σ: 1, B: 20, n: 5000})), 3)
    0.97
    """
    far = sp.Symbol("far", positive=True)
    return creep(far, n, convention).subs(far ** (2 - 4 * a), 0)


def across_the_line() -> Problem:
    """Return the motion of w1 at fixed w2: Q = A·w1 with A = w2^(2a), to first order in w1."""
    x, y = sp.symbols("x y", real=True)
    return Problem((_A * _w1 * x - y) ** 2 / 2, [_w1], Fresh(x=Normal(0, 1), y=Normal(0, σ)))


def average_jitter() -> Case:
    """Average the fast coordinate, then integrate the slow one.

    Near the line Q = w2^(2a)w1 + O(w1³). At fixed w2 this is linear regression on Ax, A = w2^(2a): the long-run mean of
    w1² follows from the moment equation. The population gradient along the line is Q∂₂Q = 2a w2^(4a−1)w1² + O(w1⁴),
    whose mean gives the move of w2. For small ηA² the jitter is ησ²/(2B) everywhere, dw2/dn = −(aη²σ²/B)w2^(4a−1), and
    w2^(−p) grows at the constant rate p·aη²σ²/B, p = 4a − 2.
    """
    settled = stationary_covariance(across_the_line(), SGD(), B)[0, 0].subs(_A, _w2 ** (2 * a))
    q = _w2 ** (2 * a) * _w1
    square = sp.simplify(q * sp.diff(q, _w2) / _w1**2)
    move = -η * square * settled
    slow = _w2 ** (2 - 4 * a)
    small = -η * square * settled.subs(_w2, 0)
    speed = sp.simplify(sp.diff(slow, _w2) * small)
    return {V: settled, rate: move, end: slow.subs(_w2, start) + speed * n}


def iterate_moments(point: Case) -> Case:
    """Iterate mean square of w1 and w2 together, from the settled jitter; read off jitter and move where w2 is."""
    lr, batch, std, half, far, steps, here = (float(point[s]) for s in (η, B, σ, a, start, n, _w2))

    def step(V: float, w: float) -> tuple[float, float]:
        A = w ** (2 * half)
        after = (1 - 2 * lr * A**2 + lr**2 * A**4 * (1 + 2 / batch)) * V + lr**2 * A**2 * std**2 / batch
        return after, w - 2 * half * lr * w ** (4 * half - 1) * V

    settled = 0.0
    for _ in range(math.ceil(40 / (lr * here ** (4 * half)))):
        settled, _ = step(settled, here)
    mean_square, w = lr * std**2 / (2 * batch), far
    for _ in range(round(steps)):
        mean_square, w = step(mean_square, w)
    return {**point, V: settled, rate: step(settled, here)[1] - here, end: w ** (2 - 4 * half)}


_STATED = {V: jitter(), rate: creep_rate(), end: start ** (2 - 4 * a) + creep_gain()}
_at = by_name(lr=η, B=B, s=σ, a=a, w=start, n=n, here=_w2)

CREEP = Claim(
    id="DEG-32",
    slug="degenerate.creep",
    title="Along the degenerate line of (w1² + w2²)^a w1 SGD creeps: w2^(2−4a) grows by (4a − 2)aη²σ²/B a step",
    status="corrected",
    statement=equations(_STATED),
    assumptions=(
        positive(η, "learning rate"),
        positive(B, "batch size"),
        positive(σ, "standard deviation of the labels"),
        positive(a, "half the degree of Q along the line"),
        positive(_w2, "place on the line"),
        positive(start, "start"),
        positive(n, "steps"),
        where(sp.Lt(η * _w2 ** (4 * a) * (B + 2), 2 * B), "the jitter is finite"),
        given("half squared error, x ~ N(0, 1); η²σ²/B small; for the law of n steps ηw2^(4a) small too"),
    ),
    source=CORLOUER_MACE_2024.where("2-D escape: histogram of w2 piled up at ±0.95"),
    evidence=(
        Identity(average_jitter),
        # the jitter is larger by about ηw2^(4a)/2 of it than its small-step value, and w2 moves while it settles
        Recursion(
            iterate_moments,
            (
                _at(lr=0.002, B=4, s=1, a=2, w=0.8, n=200000, here=0.9),
                _at(lr=0.002, B=1, s=0.7, a=1, w=0.9, n=100000, here=1.1),
            ),
            1e-3,
        ),
    ),
    mutants=(
        Mutant("as read from the histogram: an attractor, w2 stays", equations(_STATED, {end: start ** (2 - 4 * a)})),
        Mutant("without the ½, though it is there", equations({q: f.subs(η, 2 * η) for q, f in _STATED.items()})),
        Mutant("no fourth moment of the inputs", equations(_STATED, {V: η * σ**2 / (B * (2 - η * _w2 ** (4 * a)))})),
        Mutant("gradient flow along the line: none", equations(_STATED, {rate: sp.S.Zero})),
    ),
    meanings=(
        (V, "long-run mean of w1² at fixed w2"),
        (rate, "mean move of w2 in a step"),
        (end, "w2^(2−4a) after n steps of small ηw2^(4a)"),
    ),
    note="At the published η = 0.01, B = 20, without the ½ and after 5000 steps, a run from however far is at 0.970: "
    "the pile-up at 0.95 is where runs happen to be, and it moves on as n^(−1/6).",
)

CLAIMS = (CREEP,)
"""The theory, in the order of the ledger."""
