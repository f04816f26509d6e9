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


def meanings(statement: sp.Basic) -> tuple[tuple[sp.Symbol, str], ...]:
    """Say what the symbols of a statement stand for, in the glossary's order.

    Examples
    --------
    >>> meanings(lr * curvature)
    ((eta, 'learning rate'), (h, 'second derivative of the loss'))
    """
    used = statement.free_symbols
    return tuple((entry.symbol, entry.meaning) for entry in GLOSSARY.values() if entry.symbol in used)


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

# momentum as gradient estimation
first_gradient = _define("first_gradient", "G_0", "gradient of the first of two steps", "L/θ", real=True)
lr_early = _define("lr_early", "eta_a", "learning rate of the first of two steps", "θ²/L", positive=True)
lr_late = _define("lr_late", "eta_b", "learning rate of the second of two steps", "θ²/L", positive=True)
form_gap = _define("form_gap", "dtheta_form", "θ after a step: averaged form minus standard form", "θ", real=True)
form_gap_buffer = _define(
    "form_gap_buffer",
    "dv_form",
    "after a step: η times the averaged form's buffer minus the standard one",
    "θ",
    real=True,
)
form_gap_outside = _define(
    "form_gap_outside",
    "dtheta_out",
    "θ after a step: averaged form minus learning rate outside the buffer",
    "θ",
    real=True,
)
form_gap_two = _define(
    "form_gap_two",
    "dtheta_two",
    "θ after steps of η_a, η_b from empty buffers: averaged minus standard form",
    "θ",
    real=True,
)
estimate_variance = _define(
    "estimate_variance", "r_v", "variance of the running average over that of one gradient", "1", real=True
)
window_variance = _define("window_variance", "N_var", "number of gradients whose mean varies as little", "1", real=True)
window_age = _define("window_age", "N_age", "number of latest gradients whose mean age is the same", "1", real=True)
mean_age = _define("mean_age", "a_mean", "mean age of the gradients in the running average", "step", real=True)
averaging = _define("averaging", "K", "ηh/(1 − μ): relaxation of the loss during the averaging", "1", real=True)
path_gap_cold = _define(
    "path_gap_cold", "D_cold", "largest gap of mean paths, momentum minus SGD, over the start; buffer 0", "1", real=True
)
path_gap_warm = _define(
    "path_gap_warm", "D_warm", "the same with the gradient at the start in the buffer", "1", real=True
)
path_gap = _define(
    "path_gap", "D_t", "gap of mean paths, momentum minus SGD, over the start, at one step", "1", real=True
)
buffer_share = _define("buffer_share", "b_t", "buffer over the gradient at the start", "1", real=True)
past_share = _define(
    "past_share",
    "m_t",
    "running average of earlier buffers, with weight ηh for the latest, in the same unit",
    "1",
    real=True,
)
torch_gap = _define("torch_gap", "dy", "look-ahead after a step minus PyTorch's parameter", "θ", real=True)
torch_gap_buffer = _define(
    "torch_gap_buffer", "db", "after a step: the lectures' buffer over 1 − μ minus PyTorch's", "L/θ", real=True
)
ahead_of_now = _define("ahead_of_now", "y_now", "look-ahead minus the parameter before the step", "θ", real=True)
ahead_of_next = _define("ahead_of_next", "y_next", "look-ahead minus the parameter after the step", "θ", real=True)
penalty = _define("penalty", "c_g", "weight of |∇L|² in the loss that momentum descends", "θ²/L", real=True)

# adaptive methods
cycle_amplitude = _define("cycle_amplitude", "A_c", "|θ| on the 2-cycle", "θ", real=True)
cycle_sharpness = _define("cycle_sharpness", "kappa_c", "ηh/√s on the 2-cycle", "1", real=True)
cycle_at_one = _define("cycle_at_one", "P_1", "∏(1 − z) over the cycle's multipliers z", "1", real=True)
cycle_at_minus_one = _define("cycle_at_minus_one", "P_2", "∏(1 + z) over the cycle's multipliers", "1", real=True)
cycle_pairs = _define("cycle_pairs", "P_3", "∏(1 − zz') over pairs of the cycle's multipliers", "1", real=True)
cycle_product = _define("cycle_product", "P_4", "∏z over the cycle's multipliers", "1", real=True)
cycle_edge = _define("cycle_edge", "beta_1c", "β₁ at which the 2-cycle loses stability", "1", real=True)
first_step_slides = _define("first_step_slides", "d_1", "first step of Adam on the slides", "θ", real=True)
first_step_torch = _define("first_step_torch", "d_1p", "first step of Adam with bias correction", "θ", real=True)
step_rmsprop = _define("step_rmsprop", "d_R", "t-th step of RMSProp along a constant gradient", "θ", real=True)
step_adam = _define("step_adam", "d_A", "t-th step of the slides' Adam along a constant gradient", "θ", real=True)
