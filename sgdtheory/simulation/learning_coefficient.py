"""The learning coefficient as a sampler estimates it, beside what it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from sgdtheory.derive.learning_coefficient import local_learning_coefficient
from sgdtheory.distributions import Normal, Number
from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.measure.loss import numeric_loss
from sgdtheory.measure.posterior import posterior
from sgdtheory.optimizers import Langevin
from sgdtheory.problem import Problem, landscape
from sgdtheory.simulation.ensemble import simulate

_FLIGHT = 32  # steps run on, unseen, so that a run on its way out at the end is known to diverge


@dataclass(frozen=True)
class SampledCoefficient:
    """An estimate of λ and the truths it is to be held against.

    Parameters
    ----------
    value, error : float
        Mean of nβ(L − L*) over the runs, and its standard error from the spread between runs.
    replicas, diverged : int
        All runs, and those that diverged: they are in no mean.
    localised : float or None
        The same mean under the localised posterior, by quadrature: what the sampler would give with infinitely small
        steps and long runs. None for more than two parameters.
    exact : float or None
        λ itself, where it is known exactly.
    """

    value: float
    error: float
    replicas: int
    diverged: int
    localised: float | None
    exact: float | None

    def __str__(self) -> str:
        truths = {"localised posterior": self.localised, "exact": self.exact}
        shown = "".join(f"; {name} {value:.4g}" for name, value in truths.items() if value is not None)
        return f"λ̂ = {self.value:.4g} ± {self.error:.2g}, {self.diverged} of {self.replicas} runs diverged{shown}"


def sampled_learning_coefficient(
    problem: Problem,
    n: float,
    at: Sequence[float],
    *,
    localisation: float = 1.0,
    step: float = 1e-4,
    steps: int = 2000,
    replicas: int = 256,
    rng: int = 0,
) -> SampledCoefficient:
    """Estimate λ at a minimum w* by Langevin runs, w' = w − (ε/2)(nβ∇L + γ(w − w*)) + √ε ζ.

    The pull γ lowers the estimate and the step ε raises it; long steps let runs diverge. Runs start at w*, and what
    they meet in the second half counts.

    Parameters
    ----------
    problem : Problem
        Its population loss L is followed, without minibatches.
    n : float
        nβ, examples times inverse temperature.
    at : sequence of d numbers
        w*.
    localisation : float
        γ ≥ 0.
    step : float
        ε > 0.
    steps, replicas : int
        Length and number of the runs.
    rng : int
        Seed.

    Returns
    -------
    SampledCoefficient

    Raises
    ------
    ArgumentError
        If a parameter has no value, a number is out of its range, or every run diverged.

    References
    ----------
    Lau, Furman, Wang, Murfet, Wei (2023), The local learning coefficient.

    Examples
    --------
    >>> quartic = landscape("w**4", ["w"])
    >>> found = sampled_learning_coefficient(quartic, n=1000, at=[0], step=1e-3, steps=4000, replicas=500)
    >>> found.exact, round(found.localised, 4), found.value > found.localised
    (0.25, 0.2473, True)
    """
    loss = numeric_loss(problem)
    _check(loss.dimension, n, at, localisation, step)
    pulled = n * problem.loss.xreplace(dict(problem.parameters)) + localisation / 2 * sp.Add(
        *((w - value) ** 2 for w, value in zip(problem.coordinates, at, strict=True))
    )
    seen = np.unique(np.linspace(steps // 2, steps, 41).astype(int))
    run = simulate(
        landscape(pulled, problem.coordinates, name=f"{problem.name}, tempered and localised"),
        Langevin(lr=step / 2, temperature=1),
        steps=steps + _FLIGHT,
        replicas=replicas,
        init=tuple(at),
        record=seen.tolist(),
        rng=rng,
    )
    kept = run.w.to_numpy()[run.diverged_at.to_numpy() < 0]
    finite = n * (loss.value(kept) - loss.value(np.asarray(at, dtype=np.float64))).mean(axis=1)
    if len(finite) < 2:
        raise ArgumentError("step", step, "a step with which runs do not diverge", "make it smaller")
    error = float(finite.std(ddof=1) / np.sqrt(len(finite)))
    truth = _localised(problem, n, at, localisation) if localisation > 0 and loss.dimension <= 2 else None
    return SampledCoefficient(
        float(finite.mean()), error, replicas, replicas - len(finite), truth, _exact(problem, at)
    )  # fmt: skip


def _check(dimension: int, n: float, at: Sequence[float], localisation: float, step: float) -> None:
    if len(at) != dimension:
        raise ArgumentError("at", at, f"{dimension} numbers")
    for name, value in (("n", n), ("step", step)):
        if not 0 < value < np.inf:
            raise ArgumentError(name, value, "a number > 0")
    if not 0 <= localisation < np.inf:
        raise ArgumentError("localisation", localisation, "a number >= 0")


def _localised(problem: Problem, n: float, at: Sequence[Number], localisation: float) -> float:
    """Return nβ⟨L − L*⟩ under exp(−nβL − ½γ|w − w*|²)."""
    loss = numeric_loss(problem)
    law = posterior(problem, n, [Normal(value, localisation**-0.5) for value in at])
    return float(n * (law.weights @ loss.value(law.nodes) - loss.value(np.asarray(at, dtype=np.float64))))


def _exact(problem: Problem, at: Sequence[Number]) -> float | None:
    try:
        loss = problem.loss.xreplace(dict(problem.parameters))
        return float(local_learning_coefficient(loss, problem.coordinates, at).value)
    except (NoClosedFormError, ArgumentError):
        return None
