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
    "minibatch_term", "T_mb", "minibatch against full gradient, Δᵢ(gᵢ − Gᵢ), or its mean over batches", "L", real=True
)
curvature_term = _define(
    "curvature_term",
    "T_curv",
    "gradient along the step against gradient at its start, Δᵢ(ḡᵢ − gᵢ), or its mean over batches",
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
bending_of_second = _define(
    "bending_of_second", "g2pp", "g₂''(g₁, g₁), second derivative of g₂ along g₁", "L³/θ⁵", real=True
)
batch_limit = _define("batch_limit", "B_max", "batch size at which η = Bη₁ loses stability", "n", real=True)
contraction_gap = _define("contraction_gap", "d_2", "(1 − η₁h)² less 1 − 2η₁h", "1", real=True)
signal = _define("signal", "rho", "BG²/σ², squared gradient against the variance of a batch", "1", positive=True)
spread_after = _define("spread_after", "spread_a", "s̃ − g̃² after a batch of weight a", "L²/θ²", real=True)
spread_absorbed = _define("spread_absorbed", "spread_1", "the same at a = 1", "L²/θ²", real=True)
tracked_spread = _define("tracked_spread", "E_spread", "its long-run mean at constant a", "L²/θ²", real=True)
mean_field = _define("mean_field", "a_next", "weight that follows from long-run means at weight a", "1", real=True)
signal_limit = _define("signal_limit", "rho_max", "largest ρ for which a weight reproduces itself", "1", real=True)
# gradient flow: N steps of learning rate η/N a unit of time
flow_time = _define("flow_time", "tau", "time along the flow dw/dt = −η∇L", "1", positive=True)
flow_start = _define("flow_start", "w_0", "where the flow starts", "θ", real=True)
subdivision = _define("subdivision", "delta", "1/N, the part of a unit of time that a step takes", "1", positive=True)
flow_bias = _define("flow_bias", "b_tau", "mean of the parameter less the flow, at time τ", "θ", real=True)
flow_spread = _define("flow_spread", "V_tau", "variance of the parameter about its mean at time τ", "θ²", real=True)
loss_rate = _define("loss_rate", "ldot", "rate of change of the loss along the flow", "L", real=True)
slide_start = _define("slide_start", "x_0", "where the flow of exp(−x) starts", "1", real=True)
slide_position = _define("slide_position", "x_tau", "where the flow of exp(−x) is at time τ", "1", real=True)

# directions of descent: units, dual vectors, natural gradient
lr_bits = _define("lr_bits", "eta_bits", "learning rate for the loss in bits", "θ²/bit", real=True)
move = _define("move", "Delta_i", "move of a step, one coordinate", "θ", real=True)
log_slope = _define("log_slope", "p_i", "derivative of ln P, one coordinate", "1/θ", real=True)
direction = _define("direction", "d_i", "a direction of descent, one coordinate", "θ", real=True)
metric_image = _define("metric_image", "Mg_i", "M times the gradient, one coordinate", "θ", real=True)
metric_form = _define("metric_form", "xMx", "quadratic form xᵀMx of a dual vector x", "L", real=True)
area = _define("area", "S_xg", "sum over i < j of (xᵢgⱼ − xⱼgᵢ)², zero where x and g are parallel", "L⁴/θ⁴", real=True)
direction_along = _define("direction_along", "dx", "d·x", "L", real=True)
descent = _define("descent", "gd", "g·d, what the step −d promises", "L", real=True)
metric_determinant = _define("metric_determinant", "det_M", "determinant of M", "(θ²/L)ⁿ", real=True)
kernel_product = _define("kernel_product", "gKg", "g·Kg for K = RRᵀ", "L", real=True)
root_product = _define("root_product", "Rg_sq", "squared length of Rᵀg", "L", real=True)
divergence = _define("divergence", "kappa", "half of ΔᵀHΔ for a move Δ", "1", real=True)
divergence_bound = _define("divergence_bound", "rho", "largest ½ΔᵀHΔ allowed", "1", positive=True)
inverse_form = _define("inverse_form", "q", "gᵀH⁻¹g", "L²", positive=True)
natural_lr = _define("natural_lr", "eta_nat", "learning rate of the natural gradient step", "1/L", real=True)
natural_gain = _define("natural_gain", "gD_nat", "g·Δ of the natural gradient step", "L", real=True)
other_gain = _define("other_gain", "gD", "g·Δ of any other move Δ", "L", real=True)
gap_area = _define("gap_area", "S_uv", "sum over i < j of (uᵢvⱼ − uⱼvᵢ)², u = R⁻¹g, v = RᵀΔ", "L²", real=True)

# Newton's method
hessian_move = _define("hessian_move", "HD_i", "Hessian times the move, one coordinate", "L/θ", real=True)
curved_move = _define("curved_move", "HD_u_i", "the same for the move made in curved coordinates", "L/θ", real=True)
bending_move = _define("bending_move", "CD_u_i", "Σ gₖ∇²φₖ times the same move", "L/θ", real=True)
gradient_entry = _define("gradient_entry", "g_i", "gradient, one coordinate", "L/θ", real=True)
degree = _define("degree", "p", "degree of a homogeneous loss", "1", positive=True, integer=True)
before = _define("before", "w_i", "coordinate before the step", "θ", real=True)
after = _define("after", "w1_i", "the same coordinate after the step", "θ", real=True)
newton_lr = _define("newton_lr", "eta_one", "learning rate that arrives in one step", "1", real=True)
newton_limit = _define(
    "newton_limit", "eta_end", "learning rate at which Newton's method stops converging", "1", real=True
)
search_direction = _define("search_direction", "r_i", "search direction, one coordinate", "L/θ", real=True)
last_move = _define("last_move", "s_i", "the move before, one coordinate", "θ", real=True)
change_gradient = _define("change_gradient", "yg", "y·g, y the last change of the gradient", "L²/θ²", real=True)
change_move = _define("change_move", "ys", "y·s, s the last move", "L", real=True)
old_image = _define("old_image", "My_i", "M times an earlier change of the gradient, one coordinate", "θ", real=True)
old_move = _define("old_move", "s_old_i", "the move of that change, one coordinate", "θ", real=True)

# derivatives by differences
spacing = _define("spacing", "delta_w", "spacing of a difference, or imaginary step", "θ", positive=True)
difference_error = _define("difference_error", "E_i", "difference quotient less the derivative", "L/θ", real=True)
third_along = _define(
    "third_along", "D3_i", "third derivative of the gradient along v, one coordinate", "L/θ⁴ times v³", real=True
)
curvature_variance = _define(
    "curvature_variance", "K_ii", "variance of one example's Hessian times v, coordinate i", "L²/θ²", nonnegative=True
)
product_same = _define("product_same", "V_same", "variance of Hv from gradients of one batch", "L²/θ²", real=True)
product_other = _define("product_other", "V_other", "variance of Hv from gradients of two batches", "L²/θ²", real=True)
third_derivative = _define("third_derivative", "f3", "third derivative of f at x", "f/x³", real=True)
complex_error = _define("complex_error", "E_c", "Im f(x + iε)/ε less f'(x)", "f/x", real=True)

# a deep linear network of one unit a layer
teacher = _define("teacher", "s_0", "slope of the data, what the product of the weights should be", "1", positive=True)
product = _define("product", "u", "product of the weights", "1", positive=True)
product_start = _define("product_start", "u_0", "product of the weights at time 0", "1", positive=True)
product_rate = _define("product_rate", "udot", "rate of change of the product of two weights", "1", real=True)
imbalance = _define("imbalance", "Q_0", "difference of the squares of two weights", "1", real=True)
square_sum = _define("square_sum", "R", "sum of the squares of two weights", "1", nonnegative=True)
imbalance_later = _define("imbalance_later", "Q_tau", "the same difference at time τ", "1", real=True)
product_at = _define("product_at", "u_tau", "product of two equal weights at time τ", "1", real=True)
depth = _define("depth", "ell", "number of layers", "1", positive=True, integer=True)
deep_rate = _define("deep_rate", "udot_ell", "rate of change of the product of ℓ equal weights", "1", real=True)
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
axis_curvature_1 = _define("axis_curvature_1", "h1", "curvature along the first axis", "L/θ²", positive=True)
axis_curvature_2 = _define(
    "axis_curvature_2", "h2", "curvature along the second axis; 0: no such axis", "L/θ²", nonnegative=True
)
axis_curvature_3 = _define(
    "axis_curvature_3", "h3", "curvature along the third axis; 0: no such axis", "L/θ²", nonnegative=True
)
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
cycle_curvature = _define("cycle_curvature", "h_cycle", "mean second derivative over the two-cycle", "L/θ²", real=True)
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
# loss change allocation: causes
batch_gradient = _define("batch_gradient", "G_i", "minibatch gradient of the step, coordinate i", "L/θ", real=True)
start_gradient = _define(
    "start_gradient", "g_0i", "gradient of the loss where the step starts, coordinate i", "L/θ", real=True
)
segment_gradient = _define("segment_gradient", "gbar_i", "mean gradient along the step, coordinate i", "L/θ", real=True)
rule_gradient = _define(
    "rule_gradient", "gQ_i", "mean gradient along the step as a quadrature rule has it, coordinate i", "L/θ", real=True
)
naive_part = _define("naive_part", "A_naive", "naive allocation of a step to coordinate i", "L", real=True)
measured_part = _define("measured_part", "A_Q", "allocation to coordinate i, by a quadrature rule", "L", real=True)
decay_term = _define("decay_term", "T_wd", "part of a naive allocation's error owed to weight decay", "L", real=True)
optimizer_term = _define("optimizer_term", "T_opt", "the part owed to the optimizer", "L", real=True)
quadrature_term = _define("quadrature_term", "T_quad", "the part owed to the quadrature rule", "L", real=True)
# loss change allocation: paths
allotted = _define("allotted", "A_sum", "sum of the allocations to all parameters", "L", real=True)
first_order = _define("first_order", "A_first", "sum of gradient at the start times move", "L", real=True)
loss_change = _define("loss_change", "dL", "loss at the end less loss at the start", "L", real=True)
path_power = _define("path_power", "n_path", "exponent n of the path (t, t^n)", "1", positive=True, integer=True)
path_part_1 = _define("path_part_1", "A_x", "allocation to x along that path, loss xy", "L", real=True)
path_part_2 = _define("path_part_2", "A_y", "allocation to y along that path, loss xy", "L", real=True)
loop_part = _define("loop_part", "A_loop", "allocation to x around a rectangle", "L", real=True)
corner_difference = _define("corner_difference", "L_xy", "∫∫ ∂ₓ∂ᵧL over the rectangle", "L", real=True)
# loss change allocation: one cause alone
alone_decay = _define("alone_decay", "A_wd", "an allocation with weight decay as the only cause", "L", real=True)
alone_optimizer = _define("alone_optimizer", "A_opt", "the same with momentum alone", "L", real=True)
alone_minibatch = _define("alone_minibatch", "A_mb", "the same with a minibatch alone", "L", real=True)
alone_curvature = _define("alone_curvature", "A_curv", "the same with curvature alone", "L", real=True)
alone_quadrature = _define("alone_quadrature", "A_quad", "the same with a quadrature rule alone", "L", real=True)
oscillation = _define("oscillation", "u_osc", "ηh − 2, the excess over the edge of stability", "1", positive=True)
above_edge = _define("above_edge", "A_above", "allocation of a step with ηh = 2 + u", "L", real=True)
below_edge = _define("below_edge", "A_below", "allocation of a step with ηh = 2/(1 + u)", "L", real=True)
step_curvature = _define(
    "step_curvature",
    "h_step",
    "mean curvature of a step, 2∫(1 − s)L''(θ + sΔ) ds over [0, 1]",
    "L/θ²",
    real=True,
)
# loss change allocation: quadrature
degree_left = _define("degree_left", "p_left", "degree to which the left end's rule is exact", "1", real=True)
degree_middle = _define("degree_middle", "p_mid", "the same for the midpoint rule", "1", real=True)
degree_trapezoid = _define("degree_trapezoid", "p_trap", "the same for the trapezoidal rule", "1", real=True)
degree_simpson = _define("degree_simpson", "p_simpson", "the same for Simpson's rule", "1", real=True)
degree_boole = _define("degree_boole", "p_boole", "the same for Boole's rule", "1", real=True)
degree_gauss = _define("degree_gauss", "p_gauss", "the same for Gauss–Legendre with n nodes", "1", real=True)
nodes = _define("nodes", "n_nodes", "nodes of a Gauss–Legendre rule", "1", positive=True, integer=True)
parts = _define("parts", "n_parts", "equal parts a step is cut into", "1", positive=True, integer=True)
width = _define("width", "h_part", "length of a part of a step, 1/n", "1", positive=True)
error_trapezoid = _define("error_trapezoid", "E_trap", "error of the trapezoidal rule in n parts on s²", "1", real=True)
error_simpson = _define("error_simpson", "E_simpson", "error of Simpson's rule in n parts on s⁴", "1", real=True)
error_boole = _define("error_boole", "E_boole", "error of Boole's rule in n parts on s⁶", "1", real=True)
error_gauss_2 = _define(
    "error_gauss_2", "E_gauss2", "error of Gauss's rule of 2 nodes in n parts on s⁴", "1", real=True
)
error_smooth = _define("error_smooth", "E_smooth", "error of a rule on n parts, times nᵐ", "L/θ", real=True)
error_order = _define("error_order", "m_rule", "first degree that a rule misses", "1", positive=True, integer=True)
error_leading = _define("error_leading", "e_rule", "by how much a rule misses sᵐ", "1", real=True)
slope_change = _define(
    "slope_change", "dg_m", "derivative m − 1 of the gradient along the step, end less start", "L/θ", real=True
)
# loss change allocation: the long run, and who helps
aligned_part = _define(
    "aligned_part", "A_axis", "long-run mean allocation to a coordinate along an axis of the Hessian", "L", real=True
)
return_part = _define("return_part", "A_back", "allocation to coordinate i of the step back", "L", real=True)
help_probability = _define("help_probability", "P_help", "probability that an allocation is negative", "1", real=True)
help_floor = _define("help_floor", "P_floor", "the same for the smallest batches, B → 0", "1", real=True)
step_correlation = _define(
    "step_correlation", "rho_uv", "correlation of a coordinate's move and its gradient amid the step", "1", real=True
)
step_scale = _define("step_scale", "D_uv", "E u² E v² of that move and that gradient", "L²", real=True)

# degenerate landscapes: gradient noise of models f(w, x) = q(w)·x
degree_1 = _define("degree_1", "k_1", "degree along the first coordinate", "1", positive=True)
degree_2 = _define("degree_2", "k_2", "degree along the second coordinate", "1", positive=True)
leading_coefficient = _define("leading_coefficient", "c_q", "coefficient of the leading power", "1", positive=True)
distance = _define("distance", "w_abs", "distance from the degenerate point", "θ", positive=True)
distance_1 = _define("distance_1", "w1_abs", "distance along the first coordinate", "θ", positive=True)
distance_2 = _define("distance_2", "w2_abs", "distance along the second coordinate", "θ", positive=True)
input_square = _define("input_square", "Ex2", "mean of x²", "1", positive=True)
input_fourth = _define("input_fourth", "Ex4", "mean of x⁴", "1", positive=True)
noise_here = _define("noise_here", "C_w", "variance of one example's gradient at w", "L²/θ²", real=True)
curvature_here = _define("curvature_here", "H_w", "second derivative of the loss at w", "L/θ²", real=True)
noise_11 = _define("noise_11", "C_11", "variance of the first coordinate of one example's gradient", "L²/θ²", real=True)
noise_12 = _define("noise_12", "C_12", "covariance of its two coordinates", "L²/θ²", real=True)
noise_22 = _define("noise_22", "C_22", "variance of its second coordinate", "L²/θ²", real=True)
noise_determinant = _define("noise_determinant", "det_C", "C₁₁C₂₂ − C₁₂²", "L⁴/θ⁴", real=True)
hessian_11 = _define("hessian_11", "H_11", "second derivative along the first coordinate", "L/θ²", real=True)
hessian_mixed = _define("hessian_mixed", "H_12", "mixed second derivative", "L/θ²", real=True)
hessian_22 = _define("hessian_22", "H_22", "second derivative along the second coordinate", "L/θ²", real=True)
hessian_determinant = _define("hessian_determinant", "det_H", "H₁₁H₂₂ − H₁₂²", "L²/θ⁴", real=True)
noise_entry = _define("noise_entry", "C_ij", "covariance of two coordinates of a batch's gradient", "L²/θ²", real=True)
hessian_entry = _define(
    "hessian_entry", "H_ij", "second derivative of the loss, coordinates i and j", "L/θ²", real=True
)
noise_on_zeros = _define("noise_on_zeros", "C0_ij", "Cᵢⱼ of one example where q = 0", "L²/θ²", real=True)
hessian_on_zeros = _define("hessian_on_zeros", "H0_ij", "Hᵢⱼ where q = 0", "L/θ²", real=True)
model_second = _define("model_second", "q_ij", "second derivative of q, coordinates i and j", "1/θ²", real=True)
slope_mean = _define("slope_mean", "r_mean", "mean of x(qx − y)", "L", real=True)
slope_variance = _define("slope_variance", "r_var", "variance of x(qx − y)", "L²", nonnegative=True)

# degenerate landscapes: learning coefficient and posterior
learning_coefficient = _define("learning_coefficient", "lambda_K", "learning coefficient λ of a loss", "1", real=True)
multiplicity = _define("multiplicity", "m_K", "its multiplicity", "1", real=True)
threshold = _define("threshold", "eps_K", "level below which the loss is asked to be", "L", positive=True)
volume_product = _define(
    "volume_product", "V_prod", "volume of w₁^(2k₁)w₂^(2k₂) < ε in the unit square", "θ²", real=True
)
volume_tie = _define("volume_tie", "V_tie", "the same for k₂ = k₁", "θ²", real=True)
volume_sum = _define("volume_sum", "V_sum", "volume of w₁^(2k₁) + w₂^(2k₂) < ε in the plane", "θ²", real=True)
sharpening = _define("sharpening", "n_beta", "nβ, examples times inverse temperature", "1/L", positive=True)
normalisation = _define("normalisation", "Z_n", "integral of exp(−nβK)", "θ", real=True)
tempered_loss = _define("tempered_loss", "nEK", "posterior mean of nβK", "1", real=True)
box = _define("box", "R_box", "half width of the interval that the prior fills", "θ", positive=True)
localisation = _define(
    "localisation", "gamma_loc", "strength of the pull ½γw² towards the minimum", "1/θ²", positive=True
)
langevin_step = _define(
    "langevin_step", "eps_L", "step of Langevin's Euler scheme, half of it times the slope", "θ²", positive=True
)
sampled_llc = _define("sampled_llc", "lambda_hat", "nβ times the sampler's mean of K", "1", real=True)
sixth_moment = _define("sixth_moment", "M_6", "mean of w⁶ under the sampler", "θ⁶", positive=True)
runaway = _define("runaway", "w_far", "distance from which a noiseless step goes outwards", "θ", real=True)
bessel_ratio = _define("bessel_ratio", "K_ratio", "K₃⸝₄(z)/K₁⸝₄(z), Bessel, z = γ²/(32nβ)", "1", positive=True)
sampler_bias = _define("sampler_bias", "b_L", "limit of (λ̂ − ¼)/(ε√(nβ)) as ε → 0", "1", real=True)
mass_sharp = _define("mass_sharp", "M_minus", "limit of n^(1/(2k₁)) times the integral near −w₀", "θ", real=True)
mass_broad = _define("mass_broad", "M_plus", "limit of n^(1/(2k₂)) times the integral near +w₀", "θ", real=True)
best_temperature = _define(
    "best_temperature", "T_star", "temperature of the posterior nearest to SGD's law", "L", real=True
)
divergence_factor = _define(
    "divergence_factor", "exp_2KL", "exp(2 KL) of SGD's law from that posterior", "1", real=True
)
noise_ratio = _define("noise_ratio", "c_H", "gradient noise over curvature, Σ = cH", "L", positive=True)


# Lie brackets: one component of each vector, at θ; c = [v1, v2] where a bracket is meant
bracket_21 = _define("bracket_21", "b21", "[v2, v1]", "L²/θ³", real=True)
bracket_13 = _define("bracket_13", "b13", "[v1, v3]", "L²/θ³", real=True)
bracket_23 = _define("bracket_23", "b23", "[v2, v3]", "L²/θ³", real=True)
weight_1 = _define("weight_1", "alpha_1", "weight of v1", "1", real=True)
weight_2 = _define("weight_2", "alpha_2", "weight of v2", "1", real=True)
bracket_weighted = _define("bracket_weighted", "b_mix", "[α₁v1 + α₂v2, v3]", "L²/θ³", real=True)
nested_1 = _define("nested_1", "b1_23", "[v1, [v2, v3]]", "L³/θ⁵", real=True)
nested_12 = _define("nested_12", "b12_3", "[[v1, v2], v3]", "L³/θ⁵", real=True)
nested_2 = _define("nested_2", "b2_13", "[v2, [v1, v3]]", "L³/θ⁵", real=True)
batch_bracket = _define(
    "batch_bracket", "b_AB", "bracket of two batches, each the mean of its fields", "L²/θ³", real=True
)
pair_brackets = _define("pair_brackets", "b_pairs", "sum of the brackets of all pairs", "L²/θ³", real=True)
batch_a = _define("batch_a", "n_A", "examples in batch A", "n", positive=True, integer=True)
batch_b = _define("batch_b", "n_B", "examples in batch B", "n", positive=True, integer=True)
hessian_ba = _define("hessian_ba", "HBgA", "Hessian of batch B times gradient of batch A", "L²/θ³", real=True)
hessian_ab = _define("hessian_ab", "HAgB", "Hessian of batch A times gradient of batch B", "L²/θ³", real=True)
products = _define("products", "N_Hg", "Hessian-vector products of single examples that were used", "1", real=True)
nested_sum = _define("nested_sum", "b_S", "((v1 + v2)·∇)c + (c·∇)(v1 + v2), c = [v1, v2]", "L³/θ⁵", real=True)
nested_gap = _define("nested_gap", "b_D", "[v1 − v2, [v1, v2]]", "L³/θ⁵", real=True)
joint_field = _define(
    "joint_field", "F_12", "field that flows as v1 and then v2 do, each for a time ε", "L/θ", real=True
)
prediction_gap = _define("prediction_gap", "df", "prediction after examples 1, 2 minus that after 2, 1", "1", real=True)
slope_bracket = _define("slope_bracket", "fb", "∇f·[v1, v2]", "L²/θ⁴", real=True)
slope_bending = _define("slope_bending", "fc", "∇f·(v2''(v1, v1) − v1''(v2, v2))", "L³/θ⁶", real=True)
curved_bracket = _define("curved_bracket", "fSb", "(v1 + v2)·∇²f [v1, v2]", "L³/θ⁶", real=True)
bracket_norm = _define("bracket_norm", "norm_b", "‖[v1, v2]‖", "L²/θ³", nonnegative=True)
gradient_norm_1 = _define("gradient_norm_1", "norm_g1", "‖g1‖", "L/θ", nonnegative=True)
gradient_norm_2 = _define("gradient_norm_2", "norm_g2", "‖g2‖", "L/θ", nonnegative=True)
hessian_norm_1 = _define("hessian_norm_1", "norm_H1", "‖H1‖, its largest |eigenvalue|", "L/θ²", nonnegative=True)
hessian_norm_2 = _define("hessian_norm_2", "norm_H2", "‖H2‖, its largest |eigenvalue|", "L/θ²", nonnegative=True)

# brackets in closed form
double_pull = _define("double_pull", "HHc", "H²(c2 − c1), c1 and c2 the minima", "L²/θ³", real=True)
bracket_along = _define("bracket_along", "cb", "(c2 − c1)·[v1, v2]", "L²/θ²", real=True)
pull_square = _define("pull_square", "Hc_sq", "|H(c2 − c1)|²", "L²/θ²", nonnegative=True)
twisted = _define("twisted", "HHw", "(H2H1 − H1H2)(θ − a), a the shared minimum", "L²/θ³", real=True)
inner = _define("inner", "k_12", "x1·x2 (Bayes: x1·P x2)", "1", real=True)
residual_1 = _define("residual_1", "e_1", "x1·θ − y1", "1", real=True)
residual_2 = _define("residual_2", "e_2", "x2·θ − y2", "1", real=True)
input_1 = _define("input_1", "x1_i", "input of example 1 (Bayes: P x1)", "1", real=True)
input_2 = _define("input_2", "x2_i", "input of example 2 (Bayes: P x2)", "1", real=True)
spread_1 = _define("spread_1", "S_1", "variance of y1 before it is seen", "1", positive=True)
spread_2 = _define("spread_2", "S_2", "variance of y2 before it is seen", "1", positive=True)
mean_gap = _define("mean_gap", "dm", "posterior mean after examples 1, 2 minus that after 2, 1", "θ", real=True)
covariance_gap = _define("covariance_gap", "dP", "the same for the posterior covariance", "θ²", real=True)
frozen_gap = _define("frozen_gap", "dm_0", "the same for the mean when the covariance stays P", "θ", real=True)
data_1 = _define("data_1", "x_a", "scalar input of example 1", "1", real=True)
data_2 = _define("data_2", "x_b", "scalar input of example 2", "1", real=True)
label_1 = _define("label_1", "y_a", "label of example 1", "1", real=True)
label_2 = _define("label_2", "y_b", "label of example 2", "1", real=True)
feature_slope = _define("feature_slope", "dq_i", "∂q/∂θ", "1", real=True)
feature_square = _define("feature_square", "dq_sq", "|∇q|²", "1", nonnegative=True)
label_chance = _define("label_chance", "pi_A", "probability that the label is A", "1", positive=True)
chance_a = _define("chance_a", "chance_A", "probability of A in the best independent model", "1", real=True)
chance_b = _define("chance_b", "chance_B", "probability of B in the best independent model", "1", real=True)
label_excess = _define("label_excess", "D_KL", "its mean log loss less the labels' entropy", "1", real=True)
impossible = _define("impossible", "P_no", "probability it gives to both labels or neither", "1", real=True)
bracket_apart = _define(
    "bracket_apart", "b_ind", "bracket of the two examples, weights of A, independent model", "1", real=True
)
bracket_joint = _define("bracket_joint", "b_soft", "the same, model with one softmax over A and B", "1", real=True)

# order of examples and optimizers with a memory
response_first = _define("response_first", "d_one", "move of the next gradient's point by a unit push", "1", real=True)
response_end = _define("response_end", "c_end", "move of the end by a unit push", "1", real=True)
response_rest = _define(
    "response_rest", "rho_T", "c_∞ less the move of the gradient's point T + 1 steps later", "1", real=True
)
end_gap = _define(
    "end_gap", "dend", "where θ comes to rest after 1, 2 and T mean steps minus the same with 2, 1", "θ", real=True
)
mean_bracket = _define("mean_bracket", "b_mean", "[v̄, v2 − v1], v̄ the field of the mean loss", "L²/θ³", real=True)
mean_carried = _define("mean_carried", "k_mean", "((v2 − v1)·∇)v̄", "L²/θ³", real=True)
forgetting = _define("forgetting", "delta_2", "1 − β₂", "1", positive=True)
rms = _define("rms", "s_root", "√s, root of the running mean of squared gradients", "L/θ", positive=True)
constant_1 = _define("constant_1", "g_1", "constant gradient of example 1", "L/θ", real=True)
constant_2 = _define("constant_2", "g_2", "constant gradient of example 2", "L/θ", real=True)
gap_rmsprop = _define("gap_rmsprop", "dtheta_R", "the position gap of RMSProp", "θ", real=True)
gap_adam = _define("gap_adam", "dtheta_A", "the position gap of Adam without bias correction", "θ", real=True)
preconditioned = _define("preconditioned", "b_P", "bracket of the fields Pv1 and Pv2", "θ", real=True)
carried_bracket = _define("carried_bracket", "Pb", "P [v1, v2]", "θ", real=True)
carried_21 = _define("carried_21", "PH2Pg1", "P H2 P g1", "θ", real=True)
carried_12 = _define("carried_12", "PH1Pg2", "P H1 P g2", "θ", real=True)

# modified fields and random order, one component
mean_path = _define("mean_path", "D_path", "mean move in n steps, one epoch in random order", "θ", real=True)
mean_path_replaced = _define(
    "mean_path_replaced", "D_drawn", "mean move in n steps, drawn with replacement", "θ", real=True
)
flow_path = _define("flow_path", "F_path", "move of the modified loss's flow in the time nε", "θ", real=True)
mean_descent = _define("mean_descent", "vbar", "field of the mean loss", "L/θ", real=True)
slope_square = _define("slope_square", "dg_sq", "∂|ḡ|²/∂θ, ḡ the gradient of the mean loss", "L²/θ³", real=True)
slope_squares = _define("slope_squares", "dgi_sq", "∂(mean of |gᵢ|²)/∂θ", "L²/θ³", real=True)
slope_spread = _define("slope_spread", "dgi_var", "∂(mean of |gᵢ − ḡ|²)/∂θ", "L²/θ³", real=True)
modified_1 = _define("modified_1", "f_1", "first correction of the modified field", "L²/θ³", real=True)
modified_2 = _define("modified_2", "f_2", "second correction of the modified field", "L³/θ⁵", real=True)
hessian_gradient = _define("hessian_gradient", "Hg_i", "H g", "L²/θ³", real=True)
hessian_twice = _define("hessian_twice", "HHg_i", "H H g", "L³/θ⁵", real=True)
third_gradient = _define("third_gradient", "Tgg_i", "∇³L(g, g)", "L³/θ⁵", real=True)
modified_sequence = _define(
    "modified_sequence", "f_seq", "correction for steps on 1 and then 2, time ε", "L²/θ³", real=True
)
modified_sum = _define("modified_sum", "f_sum", "correction for one step on L1 + L2", "L²/θ³", real=True)
modified_both = _define("modified_both", "f_both", "correction for the mean over both orders", "L²/θ³", real=True)
slope_own = _define("slope_own", "dg_own", "∂(|g1|² + |g2|²)/∂θ", "L²/θ³", real=True)
slope_cross = _define("slope_cross", "dg_cross", "∂(g1·g2)/∂θ", "L²/θ³", real=True)
bracket_curl = _define("bracket_curl", "curl_b", "∂b_i/∂θ_j − ∂b_j/∂θ_i of the bracket b", "L²/θ⁴", real=True)
hessian_commutator = _define("hessian_commutator", "HH_ij", "entry i, j of H2H1 − H1H2", "L²/θ⁴", real=True)
share_heavy = _define("share_heavy", "p_HB", "share of the pair's own bracket in the end, heavy ball", "1", real=True)
share_averaged = _define("share_averaged", "p_EMA", "the same for averaged momentum", "1", real=True)
share_ahead = _define("share_ahead", "p_NAG", "the same for Nesterov momentum", "1", real=True)

# brackets through the residuals, one component of each vector at θ; m is the margin (log odds of the right label) or,
# for squared errors, the error itself
doubt_1 = _define("doubt_1", "wrong_1", "probability given to the wrong label of example 1", "1", real=True)
doubt_2 = _define("doubt_2", "wrong_2", "probability given to the wrong label of example 2", "1", real=True)
error_1 = _define("error_1", "err_1", "what the model says of example 1 minus what it should", "1", real=True)
error_2 = _define("error_2", "err_2", "what the model says of example 2 minus what it should", "1", real=True)
margin_slope_1 = _define("margin_slope_1", "u_1", "∂m1/∂θ", "1/θ", real=True)
margin_slope_2 = _define("margin_slope_2", "u_2", "∂m2/∂θ", "1/θ", real=True)
margin_inner = _define("margin_inner", "u_12", "∇m1·∇m2", "1/θ²", real=True)
margin_bracket = _define("margin_bracket", "b_m", "[∇m1, ∇m2]", "1/θ³", real=True)
# dynamics on degenerate landscapes
zero_order = _define("zero_order", "k_z", "order of the zero of Q: the loss grows as w^(2k)", "1", positive=True)
steepness = _define("steepness", "c_L", "factor of w^(2k) in the loss", "L/θ^(2k)", positive=True)
flow_place = _define("flow_place", "w_tau", "place of gradient flow at time τ", "θ", real=True)
flow_power = _define("flow_power", "p_L", "limit of d log L/d log τ along the flow", "1", real=True)
basin_edge = _define("basin_edge", "w_edge", "distance within which gradient descent converges", "θ", real=True)
edge_image = _define("edge_image", "w_image", "where one step takes the edge of the basin", "θ", real=True)
collapse = _define("collapse", "Lambda_N", "mean of log|w'/w| beside a double zero, normal inputs", "1", real=True)
collapse_unit = _define("collapse_unit", "Lambda_1", "the same for inputs ±1 and batches of B", "1", real=True)
threshold_normal = _define(
    "threshold_normal", "s_N", "ησ at which a double zero stops attracting, normal inputs, B = 1", "1", real=True
)
threshold_unit = _define("threshold_unit", "s_1", "the same for inputs ±1", "1", real=True)
bessel_dimension = _define("bessel_dimension", "delta_u", "dimension of the Bessel process |w|^(2−k)", "1", real=True)
bessel_variance = _define("bessel_variance", "v_u", "its variance gained a step", "θ^(4−2k)", real=True)
bessel_growth = _define("bessel_growth", "G_u", "growth of its mean square a step", "θ^(4−2k)", real=True)
chi_slope = _define("chi_slope", "l_chi", "slope of the log density of |w| after many steps", "1/θ", real=True)
place = _define("place", "x_w", "a place, or a distance from the minimum", "θ", positive=True)
variance_simple = _define("variance_simple", "V_1z", "long-run variance beside a simple zero", "θ²", real=True)
power_later = _define("power_later", "p_w", "limit of d log|w|/d log n for k > 2, in law", "1", real=True)
slope_stratonovich = _define(
    "slope_stratonovich", "l_S", "slope of the log density without current, Stratonovich's reading", "1/θ", real=True
)
second_exact = _define("second_exact", "V_e2", "coefficient of η² in the long-run variance of SGD", "θ²", real=True)
second_ito = _define("second_ito", "V_i2", "the same for Itô's equation", "θ²", real=True)
second_stratonovich = _define("second_stratonovich", "V_s2", "the same for Stratonovich's equation", "θ²", real=True)
balance = _define("balance", "Q_b", "w1²/k1 − w2²/k2 before the step", "θ²", real=True)
balance_after = _define("balance_after", "Q_b1", "the same after the step", "θ²", real=True)
residual_factor = _define("residual_factor", "r_b", "mean over the batch of x(Qx − y)", "L/Q", real=True)
coordinate_1 = _define("coordinate_1", "w_1", "the first coordinate", "θ", positive=True)
coordinate_2 = _define("coordinate_2", "w_2", "the second coordinate", "θ", positive=True)
move_across = _define("move_across", "m_1", "move of w1 in one step from w1 = 0", "θ", real=True)
move_along = _define("move_along", "m_2", "move of w2 in the same step", "θ", real=True)
move_stuck = _define("move_stuck", "m_12", "square of the move for degree 2 or more", "θ²", real=True)
invariant_drift = _define(
    "invariant_drift", "D_I", "mean change in a step of what gradient flow keeps, over η²", "I·L²/θ⁴", real=True
)
side_ratio = _define("side_ratio", "P_b", "(w' − b)/(w − b), b a critical point of Q", "1", real=True)
segment_curvature = _define(
    "segment_curvature", "h_b", "mean of the batch's second derivative between b and w", "L/θ²", real=True
)
barrier_value = _define("barrier_value", "q_b", "size of Q at the loss maximum", "1", positive=True)
barrier_bend = _define("barrier_bend", "q2_b", "size of its second derivative there", "1/θ²", positive=True)
barrier_growth = _define("barrier_growth", "Lambda_b", "mean of log|w' − b|/|w − b| a step near b", "1", real=True)
attracting_noise = _define(
    "attracting_noise", "s_b", "square of the label noise above which the maximum attracts", "L", real=True
)
curvature_12 = _define("curvature_12", "h_12", "mixed second derivative", "L/θ²", real=True)
covariance_11 = _define("covariance_11", "S_a", "long-run variance of w1", "θ²", real=True)
covariance_12 = _define("covariance_12", "S_b", "long-run covariance of w1 and w2", "θ²", real=True)
covariance_22 = _define("covariance_22", "S_c", "long-run variance of w2", "θ²", real=True)
line_power = _define("line_power", "a_L", "a in Q = (w1² + w2²)^a w1", "1", positive=True)
jitter = _define("jitter", "V_L1", "long-run mean of w1² at fixed w2", "θ²", real=True)
creep_start = _define("creep_start", "w2_0", "distance along the line at the start", "θ", positive=True)
creep_end = _define("creep_end", "u_n", "w2^(2 − 4a) after n steps", "θ^(2 − 4a)", real=True)
creep_steps = _define("creep_steps", "n_c", "steps of the creep", "step", positive=True)
creep_rate = _define("creep_rate", "D_c", "mean move along the line in a step", "θ", real=True)
crisis = _define("crisis", "x_c", "learning rate × curvature at which gradient descent leaves", "1", real=True)
gradient_line = _define("gradient_line", "E_I", "∇I·∇|∇Q|², I what gradient flow keeps", "I·Q²/θ⁴", real=True)
residual_square = _define("residual_square", "r_sq", "mean of the square of x(Qx − y)", "L²/Q²", positive=True)
curvature_margin = _define("curvature_margin", "m_b", "1/η less that mean second derivative", "L/θ²", positive=True)
crisis_lr = _define("crisis_lr", "eta_c", "learning rate at which gradient descent leaves by itself", "θ²/L", real=True)

# slices of a loss, and trajectories on planes
layer_factor = _define("layer_factor", "c_l", "factor of the first layer's weights", "1", positive=True)
sum_before = _define("sum_before", "z_0", "what a unit of the first layer receives", "1", real=True)
sum_after = _define("sum_after", "z_1", "the same, weights rescaled", "1", real=True)
output_before = _define("output_before", "f_0", "an output of the network", "1", real=True)
output_after = _define("output_after", "f_1", "the same output, weights rescaled", "1", real=True)
slice_before = _define("slice_before", "S_0", "an output, or the loss, at α along the direction", "1 or L", real=True)
slice_after = _define("slice_after", "S_1", "the same on the slice through the rescaled weights", "1 or L", real=True)
slice_stretched = _define("slice_stretched", "S_c", "the same at α/c before the rescaling", "1 or L", real=True)
filter_move = _define("filter_move", "d_f_sq", "squared length of a filter's part of the direction", "θ²", real=True)
filter_square = _define("filter_square", "w_f_sq", "squared length of that filter's weights", "θ²", real=True)
row_after = _define("row_after", "w_row_sq", "squared length of a row, neurons before it rescaled", "θ²", real=True)
row_weight_1 = _define("row_weight_1", "w_r1", "first weight of that row, before", "θ", real=True)
row_weight_2 = _define("row_weight_2", "w_r2", "second weight of that row, before", "θ", real=True)
neuron_factor_1 = _define("neuron_factor_1", "c_n1", "factor of the first neuron", "1", positive=True)
neuron_factor_2 = _define("neuron_factor_2", "c_n2", "factor of the second neuron", "1", positive=True)
radial_slope = _define("radial_slope", "wg", "w·g, slope of the loss along the weights", "L", real=True)
gradient_scaled = _define("gradient_scaled", "g_i_k", "gradient at kw, one coordinate", "L/θ", real=True)
hessian_radial = _define("hessian_radial", "Hw_i", "Hessian times the weights, one coordinate", "L/θ", real=True)
hessian_scaled = _define("hessian_scaled", "H_ij_k", "the same entry at kw", "L/θ²", real=True)
tangent_size = _define("tangent_size", "Gamma", "|w||g|, which the length of w does not change", "L", positive=True)
norm_square = _define("norm_square", "w_eq_sq", "|w|² that a step does not change", "θ²", real=True)
norm_multiplier = _define("norm_multiplier", "m_eq", "derivative there of |w|² after a step", "1", real=True)
turn_cosine = _define("turn_cosine", "cos_phi", "cosine of the angle a step turns w by, at that |w|", "1", real=True)
turn_tangent = _define("turn_tangent", "tan_phi_sq", "squared tangent of that angle", "1", real=True)
shrink_fixed = _define("shrink_fixed", "l_eta", "log of the factor an epoch of decay leaves of w, lr η", "1", real=True)
shrink_scaled = _define("shrink_scaled", "l_Beta", "the same at the learning rate Bη₁", "1", real=True)
decay_gap = _define("decay_gap", "d_2B", "w after a step at 2Bη₁ less after two at Bη₁, over w", "1", real=True)
trajectory_points = _define("trajectory_points", "T_p", "points of a trajectory", "1", positive=True, integer=True)
component = _define("component", "k_p", "number of a principal component", "1", positive=True, integer=True)
gram_eigenvalue = _define(
    "gram_eigenvalue",
    "lambda_k",
    "k-th eigenvalue of a trajectory's Gram matrix, a step's mean square 1",
    "1",
    real=True,
)
gram_trace = _define("gram_trace", "lambda_sum", "sum of these eigenvalues", "1", real=True)
share_limit = _define("share_limit", "p_k", "share of the k-th in the sum, for very many points", "1", real=True)
gram_entry = _define("gram_entry", "G_ab", "entry of the centred Gram matrix of a trajectory", "θ²", real=True)
gram_moved = _define("gram_moved", "G_ab_last", "the same, the last point subtracted first", "θ²", real=True)
scatter_about_last = _define(
    "scatter_about_last", "G_last", "Gram entry about the last point, not centred", "θ²", real=True
)
lag_correlation = _define("lag_correlation", "rho_1", "correlation of successive points, 0 < ρ < 1", "1", positive=True)
phase_odd = _define("phase_odd", "omega_odd", "phase a step of a component odd in time", "1", real=True)
phase_even = _define("phase_even", "omega_even", "phase a step of a component even in time", "1", real=True)
gram_odd = _define("gram_odd", "lambda_odd", "Gram eigenvalue of the odd component, variance 1", "1", real=True)
gram_even = _define("gram_even", "lambda_even", "Gram eigenvalue of the even component, variance 1", "1", real=True)
edge_odd = _define("edge_odd", "e_odd", "what the last point leaves over, odd component; 0", "1", real=True)
edge_even = _define("edge_even", "e_even", "what the last point leaves over, even component; 0", "1", real=True)
chain_correlation = _define("chain_correlation", "C_1", "correlation of successive iterates of SGD", "1", real=True)
slice_mean = _define("slice_mean", "E_q", "mean of the curvature δᵀHδ of a random slice", "L", real=True)
slice_variance = _define("slice_variance", "V_q", "variance of the curvature of a random slice", "L²", real=True)
cross_mean = _define("cross_mean", "E_x", "mean of δᵀHη, the mixed curvature of a random plane", "L", real=True)
cross_variance = _define("cross_variance", "V_x", "variance of the mixed curvature of a random plane", "L²", real=True)
unit_mean = _define("unit_mean", "E_u", "mean of the curvature along a random unit vector", "L/θ²", real=True)
unit_variance = _define(
    "unit_variance", "V_u", "variance of the curvature along a random unit vector", "L²/θ⁴", real=True
)
hessian_trace = _define("hessian_trace", "tr_H", "trace of the Hessian", "L/θ²", real=True)
hessian_square = _define("hessian_square", "tr_H2", "trace of the squared Hessian, ‖H‖_F²", "L²/θ⁴", nonnegative=True)
filter_square_2 = _define("filter_square_2", "w_f2_sq", "squared length of a second filter", "θ²", real=True)
filter_trace = _define("filter_trace", "tr_H_f", "trace of the Hessian's block of the first filter", "L/θ²", real=True)
filter_trace_2 = _define("filter_trace_2", "tr_H_f2", "trace of the second filter's block", "L/θ²", real=True)
filter_size = _define("filter_size", "n_f", "weights of a filter", "1", positive=True)
filter_mean = _define("filter_mean", "E_f", "mean curvature of a filter-normalised random slice", "L", real=True)
descent_curvature = _define("descent_curvature", "m_down", "minus the negative curvature", "L/θ²", positive=True)
pairs = _define(
    "pairs", "n_2", "half the number of directions of positive curvature", "1", nonnegative=True, integer=True
)
hidden_first = _define(
    "hidden_first", "P_h1", "probability that a slice curves upwards, two such directions", "1", real=True
)
hidden_growth = _define("hidden_growth", "P_hn", "what two more directions add after 2n of them", "1", real=True)
end_largest = _define(
    "end_largest", "lambda_a", "eigenvalue of largest absolute value", "L/θ²", nonzero=True, real=True
)
end_other = _define("end_other", "lambda_b", "the eigenvalue farthest from it", "L/θ²", real=True)
end_found = _define("end_found", "lambda_found", "what the shifted iteration returns for it", "L/θ²", real=True)
shift_margin = _define(
    "shift_margin", "M_s", "(λ_b − s)² − (λ_a − s)² at the shift s, positive where λ_b is found", "L²/θ⁴", real=True
)
full_margin = _define("full_margin", "M_1", "the same at the shift s = λ_a", "L²/θ⁴", real=True)
slice_curvature = _define("slice_curvature", "q_d", "curvature seen along a direction d, dᵀHd", "L", real=True)
lowest_curvature = _define("lowest_curvature", "lambda_min", "smallest eigenvalue of the Hessian", "L/θ²", real=True)
highest_curvature = _define("highest_curvature", "lambda_max", "largest eigenvalue of the Hessian", "L/θ²", real=True)
direction_square = _define("direction_square", "dd", "squared length of the direction", "θ²", nonnegative=True)
