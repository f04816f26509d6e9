"""Linear scaling η_B = Bη₁: what B small steps and one large one have in common, and what they do not.

The lectures set the second gradient of two small steps to its value before the first. What is dropped is of second
order in η₁: it turns the path, changes the contraction, sets an end to B, and lets the long-run variance grow with B.
"""

from __future__ import annotations

from random import Random

import sympy as sp

from sgdtheory import symbols
from sgdtheory.catalogue import quadratic
from sgdtheory.claim import Case, Claim, Ensemble, Identity, Mutant, Property, equations, given, positive, where
from sgdtheory.derive.brackets import derivative_along
from sgdtheory.derive.expansion import State, compose
from sgdtheory.derive.moments import stationary_variance
from sgdtheory.derive.stability import stability_limit
from sgdtheory.optimizers import SGD
from sgdtheory.sources import MCALLESTER_2018
from sgdtheory.theory.example_pairs import Pair, generic_pair, random_pairs

ε, B, h, σ = symbols.epsilon, symbols.batch_size, symbols.curvature, symbols.noise_std
η = symbols.lr
Δ, H2g1, H1g2, T = symbols.step_gap, symbols.hessian_21, symbols.hessian_12, symbols.bending_of_second
V, limit, mismatch = symbols.variance, symbols.batch_limit, symbols.contraction_gap


def two_steps_or_one(pair: Pair) -> list[Case]:
    """Step on example 1 and then 2 at ε, and once on their mean at 2ε; return the gap and its parts, by component."""
    start = State(pair.point, ((),) * len(pair.point))
    g1, g2 = (-field for field in pair.fields)
    two = compose(SGD(ε), [g1, g2], pair.coordinates, start)
    one = compose(SGD(2 * ε), [(g1 + g2) / 2], pair.coordinates, start)
    bend = pair.at_point({T: derivative_along(g2, g1, pair.coordinates, order=2)})
    rows = zip(two.position, one.position, pair.hessian_products(), bend, strict=True)
    return [{Δ: sp.expand(after - at_once), **products, **b} for after, at_once, products, b in rows]


def exact_for_quadratics() -> list[Case]:
    """Two steps end at θ − εg₁(θ) − εg₂(θ − εg₁), one of twice the size at θ − εg₁(θ) − εg₂(θ).

    The gap is ε(g₂(θ) − g₂(θ − εg₁)). For a quadratic loss g₂ is linear and that is ε²H₂g₁, whatever the dimension.
    """
    return [{**case, **_long_run()} for case in two_steps_or_one(generic_pair(2))]


def expanded() -> list[Case]:
    """Expand ε(g₂(θ) − g₂(θ − εg₁)) = ε²H₂g₁ − ½ε³g₂''(g₁, g₁) + O(ε⁴), on generic losses of degree four.

    The long run: B examples at η = Bη₁ in the Lyapunov equation V = (1 − ηh)²V + η²σ²/B give η₁σ²/(h(2 − Bη₁h)); the
    step is stable for Bη₁h < 2. Without noise, two steps contract by (1 − η₁h)² and one large one by 1 − 2η₁h.
    """
    return [{**case, **_long_run()} for case in two_steps_or_one(generic_pair(4))]


def _long_run() -> Case:
    contracted = [SGD(lr).update(h * symbols.theta, symbols.theta).position / symbols.theta for lr in (η, 2 * η)]
    return {
        V: stationary_variance(SGD(lr=B * η), B),
        limit: stability_limit(SGD()) / (η * h),
        mismatch: sp.expand(contracted[0] ** 2 - contracted[1]),
    }


def random_gap(random: Random) -> list[Case]:
    """Do the same for random quartic losses in 1, 2 and 3 dimensions, and follow chains for the long run.

    Noise put in k steps ago has shrunk by (1 − Bη₁h)^k, so the variance is a geometric series. The factor 1 − Bη₁h is
    affine in B; a line through two of its values says at which B it is −1.
    """
    rate, curvature, std = (sp.Rational(random.randint(1, 9), 10) for _ in range(3))
    size = sp.Integer(random.randint(1, 2))
    one, two = (SGD(k * rate).update(curvature, 1).position for k in (1, 2))
    each = one if size == 1 else two
    run = {
        **{η: rate, h: curvature, σ: std, B: size},
        V: (size * rate) ** 2 * std**2 / size / (1 - each**2),
        limit: 1 + (one + 1) / (one - two),
        mismatch: one**2 - two,
    }
    return [{**case, **run} for pair in random_pairs(random) for case in two_steps_or_one(pair)]


def _ensemble(**numbers: float) -> Ensemble:
    """Measure the variance of long runs at η = Bη₁ from the minimum, to 3 %."""
    problem = quadratic()
    values = {s: sp.Rational(str(numbers[name])) for name, s in {"lr": η, "B": B, "h": h, "s": σ}.items()}
    (w,) = problem.coordinates
    return Ensemble(V, w, "variance", problem, SGD(lr=B * η), values, int(numbers["n"]), (0,), resolution=0.03)


_STATED = {
    Δ: ε**2 * H2g1 - ε**3 * T / 2,
    V: η * σ**2 / (h * (2 - B * η * h)),
    limit: 2 / (η * h),
    mismatch: η**2 * h**2,
}


SCALING = Claim(
    id="MCA-09",
    slug="lectures.linear-scaling",
    title="A batch of B at Bη₁ is B single steps at η₁ to first order only: path, long run and stability differ",
    status="leading-order",
    statement=equations(_STATED),
    assumptions=(
        positive(ε, "learning rate η₁ of one example, small"),
        positive(η, "learning rate η₁ of one example, in the long run"),
        positive(h, "curvature"),
        positive(σ, "standard deviation of one example's gradient"),
        positive(B, "batch size"),
        where(sp.Lt(B * η * h, 2), "Bη₁h < 2"),
        given(
            "losses C⁴: the remainder of the gap is O(η₁⁴), and 0 for quadratic ones; long run: ½hw², additive noise"
        ),
    ),
    source=MCALLESTER_2018.where("slides Relating Batch Size to Learning Rate"),
    evidence=(
        Identity(expanded, (ε, 4)),
        Identity(exact_for_quadratics),
        Property(random_gap, examples=5, remainder=(ε, 4)),
        _ensemble(lr=0.1, B=1, h=2, s=1.5, n=40),
        _ensemble(lr=0.1, B=8, h=2, s=1.5, n=40),
    ),
    mutants=(
        Mutant("as printed: two updates are the same as one of twice the size", equations(_STATED, {Δ: sp.S.Zero})),
        Mutant("half the gap", equations(_STATED, {Δ: ε**2 * H2g1 / 2 - ε**3 * T / 2})),
        Mutant("sign of the gap", equations(_STATED, {Δ: -(ε**2) * H2g1 + ε**3 * T / 2})),
        Mutant("Hessian of the first example", equations(_STATED, {Δ: ε**2 * H1g2 - ε**3 * T / 2})),
        Mutant("no bending: gap of quadratics for all losses", equations(_STATED, {Δ: ε**2 * H2g1})),
        Mutant("bending without the ½", equations(_STATED, {Δ: ε**2 * H2g1 - ε**3 * T})),
        Mutant("long-run variance the same for every B", equations(_STATED, {V: η * σ**2 / (2 * h)})),
        Mutant(
            "variance of the batch at the learning rate of one",
            equations(_STATED, {V: η * σ**2 / (B * h * (2 - η * h))}),
        ),
        Mutant("variance of one example at the learning rate of the batch", equations(_STATED, {V: B * _STATED[V]})),
        Mutant("any batch is stable as long as η₁ is", equations(_STATED, {limit: sp.oo})),
        Mutant("stable until one step overshoots", equations(_STATED, {limit: 1 / (η * h)})),
        Mutant("contraction is the same", equations(_STATED, {mismatch: sp.S.Zero})),
    ),
    meanings=(
        (Δ, "end of steps on examples 1 and 2 at η₁, less that of one step on both at 2η₁"),
        (H2g1, "Hessian of example 2 times gradient of example 1"),
        (T, "second derivative of g₂ along g₁, twice"),
        (V, "long-run variance of the parameter at η = Bη₁"),
        (limit, "batch size at which η = Bη₁ loses stability"),
        (mismatch, "contraction of two steps at η₁ less that of one at 2η₁, without noise"),
    ),
    note="In the mean over both orders the gap is ½η₁²∇(g₁·g₂). So the rule holds while Bη₁h is much smaller than 2.",
)

CLAIMS = (SCALING,)
"""The theory, in the order of the ledger."""
