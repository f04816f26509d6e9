"""The ledger's index: every claim by its permanent id and by its slug."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from sgdtheory.claim import THEORIES, Claim
from sgdtheory.errors import ArgumentError

MODULES = (
    "loss_change_allocation.definition",
    "loss_change_allocation.naive",
    "loss_change_allocation.telescoping",
    "loss_change_allocation.one_cause",
    "loss_change_allocation.expectations",
    "loss_change_allocation.quadrature",
    "loss_change_allocation.stationary",
    "loss_change_allocation.half_help",
    "degenerate.noise",
    "degenerate.volume",
    "degenerate.posterior",
    "degenerate.sampler",
    "degenerate.end_law",
    "degenerate.sharp_minimum",
    "degenerate.descent",
    "degenerate.collapse",
    "degenerate.bessel",
    "degenerate.ito",
    "degenerate.balance",
    "degenerate.barrier",
    "degenerate.isotropic",
    "degenerate.creep",
    "degenerate.crisis",
    "slices.rescaling",
    "slices.filter_normalisation",
    "slices.scale_invariance",
    "slices.weight_decay",
    "slices.random_walk",
    "slices.stationary_chain",
    "slices.curvature",
    "slices.hidden_saddle",
    "slices.shifted_iteration",
    "lie_brackets.bracket",
    "lie_brackets.swap",
    "lie_brackets.closed_forms",
    "lie_brackets.bayes",
    "lie_brackets.exclusive_labels",
    "lie_brackets.momentum",
    "lie_brackets.order",
    "lie_brackets.adaptive",
    "lie_brackets.random_order",
    "lie_brackets.modified_fields",
    "lie_brackets.residuals",
    "lectures.batch_size",
    "lectures.expected_progress",
    "lectures.confidence",
    "lectures.noise_scale",
    "lectures.derived_algorithm",
    "lectures.linear_scaling",
    "lectures.long_runs",
    "lectures.convergence",
    "lectures.momentum",
    "lectures.no_effect",
    "lectures.adaptive",
    "lectures.flow",
    "lectures.directions",
    "lectures.second_order",
    "lectures.derivatives",
    "stationarity.fluctuation",
    "stationarity.temperature",
    "stationarity.densities",
    "stationarity.sampling",
    "stationarity.averaging",
    "stationarity.modified_equations",
    "stationarity.escape",
    "stationarity.heavy_ball",
    "stationarity.minibatch_stability",
    "stationarity.regression_risk",
    "stationarity.interpolation",
    "stationarity.heavy_tails",
    "stationarity.diffusion_tail",
    "stationarity.edge_of_stability",
    "stationarity.saddle",
    "stationarity.deep_linear",
)
"""The theory modules, in the order of the ledger."""


@cache
def all_claims() -> tuple[Claim, ...]:
    """Return every claim of the library, in the order of the ledger.

    Raises
    ------
    ValueError
        If two claims share an id or a slug.
    """
    claims = [claim for name in MODULES for claim in import_module(f"sgdtheory.theory.{name}").CLAIMS]
    names = [name for claim in claims for name in (claim.id, claim.slug)]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"claim ids and slugs must be unique; repeated: {sorted(repeated)}")
    prefixes = list(THEORIES)
    return tuple(sorted(claims, key=lambda c: (prefixes.index(c.id.split("-")[0]), c.id)))


def claims(theory: str | None = None) -> tuple[Claim, ...]:
    """Return the claims, of one theory if named.

    Parameters
    ----------
    theory : str, optional
        A name or id prefix: ``"lie-brackets"`` or ``"LIE"``.

    Examples
    --------
    >>> [claim.id for claim in claims("LCA")][:3]
    ['LCA-01', 'LCA-02', 'LCA-03']
    """
    if theory is None:
        return all_claims()
    name = THEORIES.get(theory.upper(), theory)
    if name not in THEORIES.values():
        raise ArgumentError("theory", theory, " | ".join(THEORIES.values()))
    return tuple(claim for claim in all_claims() if claim.theory == name)


def find(name: str) -> Claim:
    """Return the claim with this id or slug.

    Raises
    ------
    ArgumentError
        With the nearest names, if there is none.

    Examples
    --------
    >>> find("LCA-03") is find("lca.naive")
    True
    """
    from difflib import get_close_matches

    table = {key.lower(): claim for claim in all_claims() for key in (claim.id, claim.slug)}
    if name.lower() in table:
        return table[name.lower()]
    near = ", ".join(get_close_matches(name.lower(), table, n=3, cutoff=0.4))
    fix = f"perhaps {near}" if near else "`sgdtheory claims` lists them"
    raise ArgumentError("claim", name, "an id such as LCA-03 or a slug such as lca.naive", fix)
