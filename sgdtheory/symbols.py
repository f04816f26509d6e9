"""The glossary: every shared symbol once, with its assumptions, meaning and unit.

``Symbol("x")`` and ``Symbol("x", real=True)`` print alike and are different, so formulas import their symbols from
here and never make their own twins.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp


@dataclass(frozen=True)
class Entry:
    """One line of the glossary.

    Parameters
    ----------
    symbol : Symbol
    meaning : str
        What it stands for.
    unit : str
        In units of loss (L), parameter (θ), sample (n), step; ``1`` for a pure number.
    """

    symbol: sp.Symbol
    meaning: str
    unit: str


GLOSSARY: dict[str, Entry] = {}


def _define(keyword: str, name: str, meaning: str, unit: str, **assumptions: bool) -> sp.Symbol:
    symbol = sp.Symbol(name, **assumptions)
    GLOSSARY[keyword] = Entry(symbol, meaning, unit)
    return symbol


# the optimizer's step, one coordinate
theta = _define("theta", "theta", "a parameter", "θ", real=True)
gradient = _define("gradient", "g", "gradient handed to the optimizer, one coordinate", "L/θ", real=True)
velocity = _define("velocity", "v", "momentum buffer, one coordinate", "θ (standard) or L/θ (averaged)", real=True)
lr = _define("lr", "eta", "learning rate", "θ²/L", positive=True)
momentum = _define("momentum", "mu", "momentum, 0 ≤ μ < 1", "1", nonnegative=True)
second_moment = _define(
    "second_moment", "s", "running mean of squared gradients, one coordinate", "L²/θ²", nonnegative=True
)
beta1 = _define("beta1", "beta_1", "decay of the running mean of gradients, 0 ≤ β₁ < 1", "1", nonnegative=True)
beta2 = _define("beta2", "beta_2", "decay of the running mean of squared gradients, 0 ≤ β₂ < 1", "1", nonnegative=True)
bias1 = _define("bias1", "c_1", "1 − β₁^t, what the running mean of gradients lacks after t steps", "1", positive=True)
bias2 = _define("bias2", "c_2", "1 − β₂^t, what the running mean of squares lacks after t steps", "1", positive=True)
floor = _define(
    "floor", "eps", "number that keeps a division finite", "L/θ (outside the root) or its square", nonnegative=True
)
weight_decay = _define("weight_decay", "lambda", "weight decay", "L/θ² (coupled)", nonnegative=True)
temperature = _define("temperature", "T", "temperature of Langevin dynamics", "L", nonnegative=True)
injected_noise = _define(
    "injected_noise", "zeta", "standard normal number an optimizer draws, one coordinate", "1", real=True
)
step = _define("step", "t", "number of the step: 1 for the first", "step", positive=True, integer=True)

# problems
batch_size = _define("batch_size", "B", "examples a batch", "n", positive=True)
curvature = _define("curvature", "h", "second derivative of the loss", "L/θ²", positive=True)
smoothness = _define("smoothness", "L", "upper bound on the second derivative", "L/θ²", positive=True)
noise_std = _define(
    "noise_std", "sigma", "standard deviation of one example's gradient (or label)", "L/θ", positive=True
)
estimated_gradient = _define(
    "estimated_gradient", "ghat", "minibatch estimate of the gradient, taken positive", "L/θ", positive=True
)
confidence = _define("confidence", "z", "confidence multiplier: the bound trusts ĝ ± zσ̂/√B", "1", positive=True)

# allocation
allocation = _define("allocation", "A", "part of a loss change allotted to one parameter", "L", real=True)

# small-step expansions
epsilon = _define("epsilon", "epsilon", "size of one update", "θ²/L", positive=True)

# swapping two examples: one component of each vector; vᵢ = −∇Lᵢ, m is the buffer −v over its size in ε
position_gap = _define("position_gap", "dtheta", "θ after examples 1, 2 minus θ after 2, 1", "θ", real=True)
buffer_gap = _define("buffer_gap", "dM", "M = −v after examples 1, 2 minus M after 2, 1", "as v", real=True)
shadow_gap = _define("shadow_gap", "dz", "z = θ + μM/(1−μ) after examples 1, 2 minus z after 2, 1", "θ", real=True)
shadow_before = _define("shadow_before", "z0", "z = θ + μM/(1−μ) before a step", "θ", real=True)
shadow_after = _define("shadow_after", "z1", "z = θ + μM/(1−μ) after a step", "θ", real=True)
step_field = _define("step_field", "V", "descent field where the step takes its gradient", "L/θ", real=True)
field_1 = _define("field_1", "V1", "descent field v1 = −∇L1 of example 1 at θ", "L/θ", real=True)
field_2 = _define("field_2", "V2", "descent field v2 = −∇L2 of example 2 at θ", "L/θ", real=True)
bracket = _define("bracket", "b12", "Lie bracket [v1, v2] = (v1·∇)v2 − (v2·∇)v1 at θ", "L²/θ³", real=True)
advection = _define("advection", "a_m", "(m·∇)(v2 − v1) at θ", "L²/θ³", real=True)
bending = _define("bending", "c12", "v2''(v1, v1) − v1''(v2, v2) at θ", "L³/θ⁵", real=True)
hessian_21 = _define("hessian_21", "H2g1", "Hessian of L2 times gradient of L1", "L²/θ³", real=True)
hessian_12 = _define("hessian_12", "H1g2", "Hessian of L1 times gradient of L2", "L²/θ³", real=True)

# allocation of one step, coordinate i
noise_variance = _define(
    "noise_variance", "Sigma_ii", "variance Σᵢᵢ of one example's gradient, coordinate i", "L²/θ²", nonnegative=True
)
minibatch_term = _define(
    "minibatch_term", "T_mb", "mean of Δᵢ(gᵢ − Gᵢ): minibatch against full gradient", "L", real=True
)
curvature_term = _define(
    "curvature_term",
    "T_curv",
    "mean of Δᵢ(ḡᵢ − gᵢ): gradient along the step against gradient at its start",
    "L",
    real=True,
)

# batch size and learning rate from the progress guarantee
lr_at_batch = _define(
    "lr_at_batch", "eta_B", "learning rate with the best guarantee at batch size B", "θ²/L", real=True
)
best_batch = _define("best_batch", "B_star", "batch size with the best guarantee per example", "n", real=True)
best_lr = _define("best_lr", "eta_star", "learning rate with the best guarantee per example", "θ²/L", real=True)
lr_one = _define("lr_one", "eta_1", "learning rate per example of the best batch, η*/B*", "θ²/(L n)", real=True)
shortfall = _define("shortfall", "D", "best guarantee per example less that of (η, B)", "L/n", real=True)
zero_batch = _define("zero_batch", "B_0", "batch size at which η_B = 0", "n", real=True)
lr_growth = _define("lr_growth", "eta_B_growth", "growth of η_B with B", "θ²/(L n)", real=True)

# long runs
steps = _define("steps", "n", "steps run", "step", positive=True)
variance = _define("variance", "V_w", "long-run variance of the parameter under SGD", "θ²", real=True)
variance_heavy_ball = _define("variance_heavy_ball", "V_HB", "the same for heavy ball, standard form", "θ²", real=True)
variance_averaged = _define("variance_averaged", "V_EMA", "the same for heavy ball, averaged form", "θ²", real=True)
variance_nesterov = _define("variance_nesterov", "V_NAG", "the same for Nesterov momentum", "θ²", real=True)
limit_heavy_ball = _define(
    "limit_heavy_ball", "x_HB", "end of stability in ηh, heavy ball, standard form", "1", real=True
)
limit_averaged = _define("limit_averaged", "x_EMA", "end of stability in ηh, heavy ball, averaged form", "1", real=True)
limit_nesterov = _define("limit_nesterov", "x_NAG", "end of stability in ηh, Nesterov momentum", "1", real=True)

# the sticky loss on a line
half_separation = _define("half_separation", "w0", "half the distance of the minima ±w0", "θ", positive=True)
curvature_half = _define("curvature_half", "h_half", "curvature at −w0, half squared error", "L/θ²", real=True)
curvature_full = _define("curvature_full", "h_full", "curvature at −w0, squared error", "L/θ²", real=True)
lr_limit_half = _define(
    "lr_limit_half", "eta_half", "end of stability of gradient descent at −w0, half squared error", "θ²/L", real=True
)
lr_limit_full = _define(
    "lr_limit_full", "eta_full", "end of stability of gradient descent at −w0, squared error", "θ²/L", real=True
)

# random curvature: minibatch stability, heavy tails, cycles, saddles
dimension = _define("dimension", "d", "number of parameters", "1", positive=True)
square_growth = _define("square_growth", "m_2", "mean factor by which a step multiplies |w|²", "1", real=True)
fourth_growth = _define("fourth_growth", "m_4", "mean factor by which a step multiplies w⁴", "1", real=True)
limit_square = _define(
    "limit_square", "eta_2", "learning rate at which the mean square stops falling", "θ²/L", real=True
)
limit_mean = _define("limit_mean", "eta_mean", "learning rate at which the mean stops falling", "θ²/L", real=True)
lyapunov = _define(
    "lyapunov", "Lambda", "mean of log|w'/w| over a step, the growth of almost every run", "1", real=True
)
curvature_1 = _define("curvature_1", "h1", "curvature along the first axis", "L/θ²", positive=True)
curvature_2 = _define("curvature_2", "h2", "curvature along the second axis; 0: no such axis", "L/θ²", nonnegative=True)
curvature_3 = _define("curvature_3", "h3", "curvature along the third axis; 0: no such axis", "L/θ²", nonnegative=True)
excess = _define("excess", "T_HS", "tr(HS), twice the long-run excess loss", "L", real=True)
variance_first = _define("variance_first", "S_11", "long-run variance along the first axis", "θ²", real=True)
margin = _define("margin", "Delta", "stability margin of the variances, positive where they settle", "1", real=True)
fourth_moment = _define("fourth_moment", "M_4", "long-run mean of w⁴", "θ⁴", real=True)
tail_weight = _define("tail_weight", "C_2", "limit of u²P(|w| > u) where the tail exponent is 2", "θ²", real=True)
tail_growth = _define(
    "tail_growth", "m_log", "mean of (w'/w)² log|w'/w| without noise, at exponent 2", "1", positive=True
)
tail_exponent = _define("tail_exponent", "kappa", "tail exponent: P(|w| > u) falls as u^(−κ)", "1", real=True)
diffusion_exponent = _define("diffusion_exponent", "nu", "tail exponent of the diffusion limit", "1", real=True)
cycle_high = _define("cycle_high", "w_high", "larger point of the two-cycle", "θ", real=True)
cycle_low = _define("cycle_low", "w_low", "smaller point of the two-cycle", "θ", real=True)
cycle_multiplier = _define("cycle_multiplier", "M_cycle", "derivative of two steps on the two-cycle", "1", real=True)
cycle_sharpness = _define("cycle_sharpness", "h_cycle", "mean second derivative over the two-cycle", "L/θ²", real=True)
cycle_birth = _define("cycle_birth", "eta_birth", "learning rate at which the two-cycle appears", "θ²/L", real=True)
cycle_super = _define(
    "cycle_super", "eta_super", "learning rate at which the two-cycle attracts most", "θ²/L", real=True
)
cycle_death = _define(
    "cycle_death", "eta_death", "learning rate at which the two-cycle turns unstable", "θ²/L", real=True
)
saddle_start = _define("saddle_start", "w_0", "where the run starts, measured from the saddle", "θ", real=True)
escape_probability = _define("escape_probability", "P_up", "probability of leaving the saddle upwards", "1", real=True)
limit_path = _define(
    "limit_path", "eta_path", "learning rate at which almost every run stops falling", "θ²/L", real=True
)
