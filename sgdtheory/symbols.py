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

# batch size and learning rate: what the lectures' guarantee, its estimate and its algorithm come to
share = _define("share", "a", "B/B*, the weight of a new batch in the running means and 2Lη", "1", nonnegative=True)
warming = _define("warming", "a_w", "1/t in the warm-up of K steps, 0 after it", "1", nonnegative=True)
warmup = _define("warmup", "K", "steps of the warm-up", "step", positive=True)
share_low = _define("share_low", "a_min", "smallest B/B* after clipping", "1", positive=True)
share_high = _define("share_high", "a_max", "largest B/B* after clipping", "1", positive=True)
true_gradient = _define(
    "true_gradient", "G", "gradient of the loss, one coordinate, taken positive", "L/θ", positive=True
)

expected_lr = _define(
    "expected_lr", "eta_E", "learning rate with the largest mean decrease at batch size B", "θ²/L", real=True
)
expected_best = _define("expected_best", "P_E", "largest mean decrease per example at batch size B", "L/n", real=True)
expected_growth = _define("expected_growth", "P_E_growth", "growth of P_E with B", "L/n²", real=True)
expected_one = _define("expected_one", "eta_E1", "η_E/B for the smallest batches", "θ²/(L n)", real=True)
other_batch = _define("other_batch", "b", "another batch size", "n", positive=True)

standard_errors = _define(
    "standard_errors", "r", "|G|√B/σ, the gradient in standard errors of its estimate", "1", positive=True
)
held_up = _define("held_up", "P_up", "probability that the printed bound holds, gradient > 0", "1", real=True)
held_down = _define("held_down", "P_down", "the same, gradient < 0", "1", real=True)
held_small = _define("held_small", "P_small", "probability that the bound with |ĝ| holds, r < z", "1", real=True)
held_large = _define("held_large", "P_large", "the same, r ≥ z", "1", real=True)

tail = _define("tail", "C_B", "limit of √b·P(estimated B* > b) as b → ∞", "√n", real=True)
exceed_three = _define("exceed_three", "P_3", "P(estimated B* > b) in batches of 3", "1", real=True)
level = _define("level", "b_0", "level an estimated batch size exceeds", "n", positive=True)
spread_ratio = _define("spread_ratio", "E_s2", "mean of the batch's own variance over σ²", "1", real=True)

noise_scale = _define("noise_scale", "B_simple", "noise scale tr Σ/|G|²", "n", real=True)
squared_gradient = _define("squared_gradient", "Gsq", "|G|², squared length of the gradient", "L²/θ²", real=True)
noise_trace = _define("noise_trace", "S", "tr Σ, summed variance of one example's gradient", "L²/θ²", real=True)
two_batch_gradient = _define(
    "two_batch_gradient", "E_Gsq_two", "mean of the two-batch estimate of |G|²", "L²/θ²", real=True
)
two_batch_noise = _define("two_batch_noise", "E_S_two", "mean of the two-batch estimate of tr Σ", "L²/θ²", real=True)
one_batch_gradient = _define(
    "one_batch_gradient", "E_Gsq_one", "mean of the one-batch estimate of |G|²", "L²/θ²", real=True
)
one_batch_noise = _define("one_batch_noise", "E_S_one", "mean of the one-batch estimate of tr Σ", "L²/θ²", real=True)
loss_unit = _define("loss_unit", "c", "factor by which the loss is multiplied", "1", positive=True)
parameter_unit = _define("parameter_unit", "k", "factor by which the parameter is multiplied", "1", positive=True)
batch_scaled = _define("batch_scaled", "B_star_scaled", "B* in other units over B*", "1", real=True)
lr_scaled = _define("lr_scaled", "eta_star_scaled", "η* in other units over η*", "1", real=True)
lr_one_scaled = _define("lr_one_scaled", "eta_1_scaled", "η₁ in other units over η₁", "1", real=True)
channel_mean = _define("channel_mean", "B_star_mean", "mean of the channels' B*, weights g_c²", "n", real=True)
step_gap = _define("step_gap", "dtheta_B", "two steps at η₁ less one at 2η₁ on both examples", "θ", real=True)
third_along = _define("third_along", "g2pp", "g₂''(g₁, g₁), second derivative of g₂ along g₁", "L³/θ⁵", real=True)
batch_limit = _define("batch_limit", "B_max", "batch size at which η = Bη₁ loses stability", "n", real=True)
contraction_gap = _define("contraction_gap", "d_2", "(1 − η₁h)² less 1 − 2η₁h", "1", real=True)
signal = _define("signal", "rho", "BG²/σ², squared gradient against the variance of a batch", "1", positive=True)
spread_after = _define("spread_after", "spread_a", "s̃ − g̃² after a batch of weight a", "L²/θ²", real=True)
spread_absorbed = _define("spread_absorbed", "spread_1", "the same at a = 1", "L²/θ²", real=True)
tracked_spread = _define("tracked_spread", "E_spread", "its long-run mean at constant a", "L²/θ²", real=True)
mean_field = _define("mean_field", "a_next", "weight that follows from long-run means at weight a", "1", real=True)
signal_limit = _define("signal_limit", "rho_max", "largest ρ for which a weight reproduces itself", "1", real=True)
