"""Executable, checked theory of stochastic gradient descent.

One symbolic definition of a problem and of an optimizer gives both the derivation and the compiled simulator; a claim
is proved symbolically, tested by simulation with known error rates, and drawn.

Names load when first used, so that ``import sgdtheory`` is quick.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "claim": ("Assumption", "Claim", "Ensemble", "Identity", "Mutant", "Order", "Property", "Recursion", "Sample"),
    "catalogue": (
        "deep_linear",
        "linear_regression",
        "logistic_regression",
        "quadratic",
        "scalar_mean",
        "single_feature",
        "sticky_1d",
        "sticky_2d",
    ),
    "derived_algorithm": ("DerivedSGD", "PrintedDerivedSGD"),
    "dynamics": ("Dynamics", "make_dynamics"),
    "errors": ("ArgumentError", "LostBlocksWarning", "NoClosedFormError"),
    "expressions": ("parse",),
    "distributions": ("Normal", "Quantile", "Rademacher", "StudentT", "Uniform"),
    "laws": ("Dataset", "Fresh"),
    "optimizers": (
        "Adam",
        "EMAMomentum",
        "Langevin",
        "Momentum",
        "Nesterov",
        "Optimizer",
        "RMSProp",
        "SGD",
        "with_weight_decay",
    ),
    "derive.learning_coefficient": ("deep_linear_coefficient", "local_learning_coefficient"),
    "measure.brackets": ("bracket_bound", "bracket_matrix", "lie_bracket"),
    "measure.critical_points": ("critical_points",),
    "measure.distances": ("compare",),
    "measure.allocation.quadrature": ("Adaptive",),
    "measure.allocation.table": ("lca",),
    "measure.derivatives": ("complex_step", "hvp", "jvp"),
    "measure.examples": ("with_examples",),
    "measure.crisis": ("crisis_limit",),
    "measure.escape": ("escape",),
    "measure.fokker_planck": ("fokker_planck",),
    "measure.loss": ("custom_loss", "numeric_loss"),
    "measure.noise_scale": ("noise_scale", "optimal_batch"),
    "measure.posterior": ("learning_coefficient", "posterior", "volume_below"),
    "measure.swaps": ("prediction_effect", "swap_gap"),
    "measure.principal": ("chain_shares", "sign_flip_shares", "trajectory_plane", "walk_shares"),
    "measure.directions": ("Direction", "random_directions"),
    "measure.slices": ("interpolate", "slice_1d", "slice_2d", "slice_curvature"),
    "measure.spectrum": (
        "Ends",
        "RandomCurvatures",
        "curvature_map",
        "extreme_eigenvalues",
        "hessian_directions",
        "random_curvatures",
    ),
    "measure.stability": ("almost_sure_limit", "mean_square_limit", "tail_exponent"),
    "networks.data": ("bars", "blobs", "spirals"),
    "networks.network": ("Network", "convnet", "mlp"),
    "problem": ("Problem", "landscape"),
    "simulation.bifurcation": ("bifurcation",),
    "simulation.ensemble": ("log_steps", "simulate"),
    "simulation.learning_coefficient": ("sampled_learning_coefficient",),
    "simulation.newton": ("newton",),
    "simulation.training": ("train", "training_steps"),
    "symbols": ("step",),
    "simulation.flow": ("gradient_flow", "trajectory"),
    "theory.registry": ("claims",),
    "verify.check": ("check",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(["__version__", *_HOME_OF])


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'sgdtheory' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"sgdtheory.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
