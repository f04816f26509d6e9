"""What gradient flow keeps on Q(w1, w2)·x and SGD does not: the law of balance, and the drift across gradient lines.

Every example's gradient is r∇Q with its own number r = x(Qx − y): SGD moves along gradient lines of Q, as far as steps
are small. Their curvature makes it leave them, always to where |∇Q| is smaller.
"""

from __future__ import annotations

from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import single_feature, sticky_2d
from sgdtheory.claim import Case, Claim, Identity, Mutant, Property, equations, given, positive, real
from sgdtheory.optimizers import SGD
from sgdtheory.sources import CORLOUER_MACE_2024, HERE
from sgdtheory.theory.random_instances import rational

η, k1, k2 = symbols.lr, symbols.degree_1, symbols.degree_2
w1, w2, r = symbols.coordinate_1, symbols.coordinate_2, symbols.residual_factor
Q_b, after, drift = symbols.balance, symbols.balance_after, symbols.invariant_drift
across, along, stuck = symbols.move_across, symbols.move_along, symbols.move_stuck
x, y = sp.symbols("x y", real=True)


def balance(first: sp.Expr = w1, second: sp.Expr = w2) -> sp.Expr:
    """Return w1²/k1 − w2²/k2, which gradient flow on Q = w1^k1 w2^k2 keeps."""
    return first**2 / k1 - second**2 / k2


def balance_factor(power_1: sp.Expr = k1, power_2: sp.Expr = k2) -> sp.Expr:
    """Return the factor 1 − η²r²k1k2 w1^(2k1−2)w2^(2k2−2) by which one step multiplies the balance.

    Examples
    --------
    >>> balance_factor(1, 1)
    -eta**2*r_b**2 + 1
    """
    return 1 - η**2 * r**2 * power_1 * power_2 * w1 ** (2 * power_1 - 2) * w2 ** (2 * power_2 - 2)


def step_on_a_monomial() -> Case:
    """Step once.

    ∂ᵢQ = kᵢQ/wᵢ, so wᵢ' = wᵢ − ηr kᵢQ/wᵢ and wᵢ'²/kᵢ = wᵢ²/kᵢ − 2ηrQ + η²r²kᵢQ²/wᵢ². The term of first order is the
    same for both coordinates: flow keeps their difference. The second leaves
    η²r²Q²(k1/w1² − k2/w2²) = −η²r²k1k2(Q/(w1w2))² · (w1²/k1 − w2²/k2).
    """
    q = w1**k1 * w2**k2
    ends = [SGD().update(gradient=r * sp.diff(q, w), theta=w).position for w in (w1, w2)]
    return {Q_b: balance(), after: sp.powsimp(sp.expand(balance(*ends)), force=True)}


def random_step(random: Random) -> Case:
    """Step on a random batch of examples, by the problem's own gradient, at a random rational point."""
    powers = random.randint(1, 4), random.randint(1, 4)
    place = [sp.Rational(random.randint(1, 9), random.randint(1, 4)) for _ in range(2)]
    u, v = sp.symbols("w1 w2", real=True)
    problem = single_feature(u ** powers[0] * v ** powers[1], [u, v])
    batch = [dict(zip(problem.data.symbols, (rational(random), rational(random)), strict=True)) for _ in range(3)]
    at = dict(zip((u, v), place, strict=True))
    gradient = sum((problem.example_gradient.xreplace(b) for b in batch), sp.zeros(2, 1)).xreplace(at) / len(batch)
    lr = sp.Rational(random.randint(1, 9), 10)
    q = place[0] ** powers[0] * place[1] ** powers[1]
    (x_, y_) = problem.data.symbols
    residual = sum(b[x_] * (q * b[x_] - b[y_]) for b in batch) / len(batch)
    known = {k1: sp.Integer(powers[0]), k2: sp.Integer(powers[1]), w1: place[0], w2: place[1], η: lr, r: residual}
    ends = [w - lr * g for w, g in zip(place, gradient, strict=True)]
    return {**known, Q_b: balance().subs(known), after: balance(*ends).subs(known)}


def first_move() -> Case:
    """Step once from the degenerate line w1 = 0 of Q = (w1² + w2²)^a w1^d, by one example.

    ∇Q = (w2^(2a), 0) there for d = 1: the step is across the line, whatever the data. For d ≥ 2 Q has a double zero,
    ∇Q = 0, and no example moves it at all: such a run is stuck exactly.
    """
    cases = {}
    for degree in (1, 2):
        problem = sticky_2d(degree, 2)
        at = dict(zip(problem.coordinates, (0, w2), strict=True))
        names = dict(zip(problem.data.symbols, (x, y), strict=True))
        cases[degree] = (-η * problem.example_gradient.xreplace(names)).subs(at)
    return {across: cases[1][0], along: cases[1][1], stuck: sum(entry**2 for entry in cases[2]), _a: sp.Integer(2)}


def random_first_move(random: Random) -> Case:
    """Take a, a higher degree, the place and the example at random."""
    half, degree = random.randint(1, 3), random.randint(2, 5)
    known = {η: sp.Rational(1, random.randint(2, 9)), w2: sp.Rational(random.randint(1, 9), 4)}
    known |= {x: rational(random), y: rational(random), _a: sp.Integer(half)}
    moves = []
    for power in (1, degree):
        problem = sticky_2d(power, half)
        at = dict(zip((*problem.coordinates, *problem.data.symbols), (0, known[w2], known[x], known[y]), strict=True))
        moves.append((-known[η] * problem.example_gradient).subs(at))
    return {**known, across: moves[0][0], along: moves[0][1], stuck: sum(entry**2 for entry in moves[1])}


def along_gradient_lines() -> Case:
    """Expand an invariant of gradient flow over one step.

    Let ∇I·∇Q = 0 everywhere. A step −ηr∇Q changes I by −ηr∇I·∇Q + ½η²r²∇Qᵀ∇²I∇Q + O(η³), whose first term is 0.
    Differentiating ∇I·∇Q = 0 along ∇Q gives ∇Qᵀ∇²I∇Q = −∇I·∇²Q∇Q = −½∇I·∇|∇Q|². On average over the example the
    change is −¼η²E r² ∇I·∇|∇Q|²: as if |∇Q|² were descended with ¼ηE r² for its weight. Here with generic cubic
    polynomials for Q and for I at a point, in which the condition and its derivatives at that point are solved for.
    """
    a, b = sp.symbols("q:10"), sp.symbols("i:10")
    u, v = sp.symbols("u v")
    powers = [(i, j) for i in range(4) for j in range(4 - i)]
    q, invariant = (sum(c * u**i * v**j for c, (i, j) in zip(cs, powers, strict=True)) for cs in (a, b))
    slopes = [[sp.diff(f, w) for w in (u, v)] for f in (q, invariant)]
    condition = sum(p * s for p, s in zip(*slopes, strict=True))
    here = {u: 0, v: 0}
    rules = [e.subs(here) for e in (condition, sp.diff(condition, u), sp.diff(condition, v))]
    linear = [b[powers.index((1, 0))], b[powers.index((2, 0))], b[powers.index((1, 1))]]
    (fixed,) = sp.linsolve(rules, linear)
    solved = dict(zip(linear, fixed, strict=True))
    size = sp.Symbol("s")
    moved = invariant.subs({u: -size * slopes[0][0].subs(here), v: -size * slopes[0][1].subs(here)}, simultaneous=True)
    second = sp.expand(moved).coeff(size, 2)
    across_lines = sum(s * sp.diff(sum(p**2 for p in slopes[0]), w) for s, w in zip(slopes[1], (u, v), strict=True))
    known = {_E: across_lines.subs(here).subs(solved), _r2: _r2}
    return {drift: (second * _r2).subs(solved), **known}


def random_invariant(random: Random) -> Case:
    """Average over the four examples x, y = ±1, ±1 of a random radial or monomial Q, whose invariant is known."""
    u, v = sp.symbols("w1 w2", real=True)
    i, j, power = random.randint(1, 3), random.randint(1, 3), random.randint(1, 2)
    q, invariant = random.choice(
        ((u**i * v**j, u**2 / i - v**2 / j), ((u**2 + v**2) ** power, u / v), (u**2 - v**2, u * v))
    )
    place = {u: sp.Rational(random.randint(1, 9), 4), v: sp.Rational(random.randint(1, 9), 4)}
    problem = single_feature(q, [u, v])
    step = sp.Symbol("e", positive=True)
    change, square = sp.S.Zero, sp.S.Zero
    for example in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        data = dict(zip(problem.data.symbols, example, strict=True))
        gradient = problem.example_gradient.xreplace(data).subs(place)
        ends = {w: place[w] - step * g for w, g in zip((u, v), gradient, strict=True)}
        change += (invariant.subs(ends, simultaneous=True) - invariant.subs(place)) / 4
        residual = example[0] * (q * example[0] - example[1])
        square += residual.subs(place) ** 2 / 4
    second = sp.series(change, step, 0, 3).removeO().expand().coeff(step, 2)
    grad_q = [sp.diff(q, w) for w in (u, v)]
    across_lines = sum(sp.diff(invariant, w) * sp.diff(sum(g**2 for g in grad_q), w) for w in (u, v))
    return {drift: second, _E: across_lines.subs(place), _r2: square}


_a = symbols.line_power
_E, _r2 = symbols.gradient_line, symbols.residual_square
_MOVES = {across: η * x * y * w2 ** (2 * _a), along: sp.S.Zero, stuck: sp.S.Zero}
_MODEL = given("f(w, x) = Q(w)·x, half squared error; one example or the mean over a batch")

BALANCE = Claim(
    id="DEG-23",
    slug="degenerate.balance",
    title="A step on w1^k1 w2^k2 multiplies w1²/k1 − w2²/k2 by 1 − η²r²k1k2 w1^(2k1−2) w2^(2k2−2)",
    status="exact",
    statement=equations({after: Q_b * balance_factor()}),
    assumptions=(
        positive(η, "learning rate"),
        positive(k1, "power of w1"),
        positive(k2, "power of w2"),
        positive(w1, "first coordinate"),
        positive(w2, "second coordinate"),
        real(r, "residual factor"),
        _MODEL,
    ),
    source=HERE,
    evidence=(Identity(step_on_a_monomial), Property(random_step, examples=25)),
    mutants=(
        Mutant("kept, as by gradient flow", equations({after: Q_b})),
        Mutant("first order in η", equations({after: Q_b * balance_factor().subs(r**2, r).subs(η**2, η)})),
        Mutant("k1 + k2 for k1k2", equations({after: Q_b * (1 - (1 - balance_factor()) * (k1 + k2) / (k1 * k2))})),
        Mutant("growing", equations({after: Q_b * (2 - balance_factor())})),
    ),
    meanings=((Q_b, "w1²/k1 − w2²/k2 before the step"), (after, "the same after the step")),
    note="One identity says three things: flow conserves the balance; label noise, whose r does not vanish at the "
    "minimum, wears it down; and where η²r²(…) exceeds 2, at the edge of stability, its sign flips and it grows.",
)

FIRST_MOVE = Claim(
    id="DEG-24",
    slug="degenerate.first-move",
    title="From the degenerate line the first step is across it for d = 1, and there is none for d ≥ 2",
    status="exact",
    statement=equations(_MOVES),
    assumptions=(
        positive(η, "learning rate"),
        positive(w2, "place on the line"),
        real(x, "input"),
        real(y, "label"),
        positive(_a, "a (2 in the exact derivation, others in the instances)"),
        _MODEL,
    ),
    source=CORLOUER_MACE_2024.where("SGD escapes along non-degenerate directions, and is stuck if there are none"),
    evidence=(Identity(first_move), Property(random_first_move, examples=20)),
    mutants=(
        Mutant("along the line as well", equations(_MOVES, {along: η * x * y * w2 ** (2 * _a)})),
        Mutant("stuck for d = 1 too", equations(_MOVES, {across: sp.S.Zero})),
        Mutant("noise moves it for d = 2", equations(_MOVES, {stuck: (η * x * y) ** 2})),
        Mutant("the other sign", equations(_MOVES, {across: -_MOVES[across]})),
    ),
    meanings=(
        (across, "move of w1 by one example, d = 1"),
        (along, "move of w2, d = 1"),
        (stuck, "square of the move, d ≥ 2"),
    ),
    note="That the escape is along a non-degenerate direction is so by definition of the model. What follows, slowly, "
    "along the line is DEG-32.",
)

TRANSVERSE = Claim(
    id="DEG-27",
    slug="degenerate.transverse-drift",
    title="Across the gradient lines of Q SGD drifts as if it descended ¼ηE r²|∇Q|²: label noise flattens",
    status="leading-order",
    statement=equations({drift: -_r2 * _E / 4}),
    assumptions=(
        real(_E, "∇I·∇|∇Q|², I constant along gradient lines"),
        positive(_r2, "E r², r = x(Qx − y)"),
        given("leading order in η; Q and I smooth"),
        _MODEL,
    ),
    source=HERE,
    evidence=(Identity(along_gradient_lines), Property(random_invariant, examples=15)),
    mutants=(
        Mutant("half of it", equations({drift: -_r2 * _E / 8})),
        Mutant("uphill", equations({drift: _r2 * _E / 4})),
        Mutant("gradient flow: none", equations({drift: sp.S.Zero})),
        Mutant("weight ½, the sharpness itself", equations({drift: -_r2 * _E / 2})),
    ),
    meanings=((drift, "mean change of I in a step, over η²"),),
    note="Where Q = 0, E r² = σ² and |∇Q|² = tr H. It is the difference between Itô's equation and "
    "Stratonovich's, whose noise keeps to the line.",
)

CLAIMS = (BALANCE, FIRST_MOVE, TRANSVERSE)
"""The theory, in the order of the ledger."""
