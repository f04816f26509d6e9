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

# stationarity and temperature
schedule_scale = _define("schedule_scale", "c", "c in the schedule η_t = c/log(t + 1)", "θ²/L", positive=True)
largest_excursion = _define("largest_excursion", "M", "limsup of the distance to the minimum", "θ", real=True)
shadow_correlation = _define(
    "shadow_correlation", "C_z", "long-run mean of z·g, z = θ − μv/(1−μ), g the exact gradient", "L", real=True
)
mean_square_gradient = _define("mean_square_gradient", "G_2", "long-run mean of |ĝ|²", "L²/θ²", nonnegative=True)
total_noise = _define("total_noise", "tau", "trace of the covariance of ĝ, tr Σ/B", "L²/θ²", nonnegative=True)
noise_share = _define("noise_share", "K", "long-run mean of z·g less η|g|²/(2(1−μ))", "L", real=True)
excess_loss = _define("excess_loss", "DeltaL", "long-run mean of the loss, above its minimum", "L", real=True)
heat_capacity = _define("heat_capacity", "C_0", "slope of the long-run loss in η, at 0", "L²/θ²", real=True)
extrapolated_loss = _define("extrapolated_loss", "R_L", "2L(η/2) − L(η) above the minimum", "L", real=True)
density_rate = _define("density_rate", "s", "s in the stationary density exp(−s·L)", "1/L", real=True)
diffusion_std = _define(
    "diffusion_std", "sigma_B", "σ of the Brownian motion in dΦ = −∇L dt + σ dB", "√L", positive=True
)
examples = _define("examples", "N", "examples in the data set", "n", positive=True)
posterior_noise = _define("posterior_noise", "nu", "σ² at which Langevin samples the posterior", "L", real=True)
langevin_variance = _define("langevin_variance", "V_L", "long-run variance of Langevin's Euler steps", "θ²", real=True)
curvature_1 = _define("curvature_1", "h_1", "second derivative along coordinate 1", "L/θ²", positive=True)
curvature_2 = _define("curvature_2", "h_2", "second derivative along coordinate 2", "L/θ²", positive=True)
noise_std_1 = _define("noise_std_1", "sigma_1", "σ of coordinate 1", "L/θ", positive=True)
noise_std_2 = _define("noise_std_2", "sigma_2", "σ of coordinate 2", "L/θ", positive=True)
noise_correlation = _define("noise_correlation", "r", "correlation of the two coordinates' noise", "1", real=True)
temperature_1 = _define("temperature_1", "T_1", "long-run mean of w1 ∂L/∂w1", "L", real=True)
temperature_2 = _define("temperature_2", "T_2", "long-run mean of w2 ∂L/∂w2", "L", real=True)
torque = _define("torque", "Omega", "long-run mean of w1 ∂L/∂w2 − w2 ∂L/∂w1", "L", real=True)
slope_sgd = _define("slope_sgd", "l_w", "slope of the log density of SGD at small η", "1/θ", real=True)
loss_slope = _define("loss_slope", "dU", "slope of the loss", "L/θ", real=True)
diffusion = _define("diffusion", "D", "half the variance of a step per unit of time (η a step)", "L", positive=True)
diffusion_slope = _define("diffusion_slope", "dD", "slope of D", "L/θ", real=True)
stay = _define("stay", "E_1", "long-run mean of 1/(1 + w²) as η → 0, the noise growing as 1/√η", "1", real=True)
passes = _define("passes", "n", "examples an epoch shows", "n", positive=True, integer=True)
spread = _define("spread", "S2", "variance of the examples' minima (divisor n)", "θ²", nonnegative=True)
epoch_factor = _define("epoch_factor", "R", "(1 − ηh)^n, what one epoch leaves of a start", "1", real=True)
variance_reshuffled = _define(
    "variance_reshuffled", "V_RR", "long-run variance at epoch ends, random reshuffling", "θ²", real=True
)
variance_replaced = _define("variance_replaced", "V_WR", "long-run variance, with replacement", "θ²", real=True)
reshuffling_gain = _define("reshuffling_gain", "k_RR", "limit of V_RR/(V_WR (ηh)²) as η → 0", "1", real=True)
averaged_variance = _define("averaged_variance", "V_A", "variance of the average of n iterates", "θ²", real=True)
averaged_limit = _define("averaged_limit", "A_oo", "limit of n times the variance of an average", "θ² step", real=True)
run_factor = _define("run_factor", "R_n", "(1 − ηh)^n, what n steps leave of a start", "1", real=True)
variance_sme1 = _define(
    "variance_sme1", "V_1", "long-run variance of the modified equation of order 1", "θ²", real=True
)
variance_sme2 = _define(
    "variance_sme2", "V_2", "long-run variance of the modified equation of order 2", "θ²", real=True
)
rate_sgd = _define("rate_sgd", "r_0", "decay rate of SGD's mean, −log(1 − ηh)/η", "L/θ²", real=True)
rate_sme1 = _define("rate_sme1", "r_1", "decay rate of the mean, modified equation of order 1", "L/θ²", real=True)
rate_sme2 = _define("rate_sme2", "r_2", "decay rate of the mean, modified equation of order 2", "L/θ²", real=True)
exit_distance = _define(
    "exit_distance", "a", "distance from the minimum at which a run has left the well", "θ", positive=True
)
exit_time = _define("exit_time", "t_a", "mean time (η a step) from the minimum to that distance", "θ²/L", real=True)
valley_slope = _define("valley_slope", "m", "slope of the loss m|w|", "L/θ", positive=True)
