"""The figures on the lectures, on allocations and on brackets: what stands on the Axes, against independent numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov
from test_figures import SIGMAS, assert_on_line, bars, line, markers, picture, script

# --- batch size ------------------------------------------------------------------------------------------------------


def test_parabolas_are_marked_at_their_lowest_points() -> None:
    left = picture("batch_size").figure.axes[0]
    parabolas = [k for k in left.get_lines() if len(k.get_xdata()) > 50]
    dots = [k for k in left.get_lines() if k.get_marker() not in ("None", "")]
    by_color = {k.get_color(): k for k in dots}
    marked = 0
    for parabola in parabolas:
        x, y = parabola.get_data()
        if parabola.get_color() in by_color:
            dot_x, dot_y = by_color[parabola.get_color()].get_data()
            assert dot_x[0] == pytest.approx(x[np.argmin(y)], abs=0.005)
            assert dot_y[0] == pytest.approx(y.min(), abs=1e-4)
            marked += 1
        else:  # below break-even nothing is guaranteed
            assert np.argmin(y) == 0
    assert (len(parabolas), marked) == (5, 4)


def test_guarantee_per_example_peaks_at_sixteen_for_unit_numbers() -> None:
    right = picture("batch_size").figure.axes[1]
    batch, height = line(right, script("batch_size").GUARANTEED.label)
    assert batch[np.argmax(height)] == pytest.approx(16, rel=0.02)
    assert height.max() == pytest.approx(1 / 128, rel=1e-3)
    np.testing.assert_allclose(height, (1 - 2 / np.sqrt(batch)) ** 2 / (2 * batch), rtol=1e-9, atol=1e-15)


def test_simulated_decrease_lies_on_its_formula_and_above_the_guarantee() -> None:
    module, right = script("batch_size"), picture("batch_size").figure.axes[1]
    assert_on_line(right, module.MEAN.label)
    batch, decrease, _ = bars(right, module.MEAN.label)
    assert (decrease > np.interp(batch, *line(right, module.GUARANTEED.label))).all()
    lr = 1 - 2 / np.sqrt(batch)
    np.testing.assert_allclose(
        np.interp(batch, *line(right, module.MEAN.label)), (lr - lr**2 * (1 + 1 / batch) / 2) / batch, rtol=1e-3
    )


@pytest.mark.parametrize("batch_size", [5, 36])
def test_the_bound_holds_as_often_as_the_normal_law_says(batch_size: int) -> None:
    """It holds where 0 ≤ ĝ ≤ g + 2σ/√B: with probability Φ(2) − Φ(−g√B/σ)."""
    replicas = 20_000
    point = script("batch_size").simulated(batch_size, replicas, np.random.SeedSequence(3))
    expected = (math.erf(2 / math.sqrt(2)) + math.erf(math.sqrt(batch_size / 2))) / 2
    assert abs(point.held - expected) < SIGMAS * math.sqrt(expected * (1 - expected) / replicas)


# --- naive allocation ------------------------------------------------------------------------------------------------


def test_naive_goes_on_for_ever_and_true_stops() -> None:
    module, means = script("naive_allocation"), picture("naive_allocation").figure.axes[0]
    assert_on_line(means, module.NAIVE.label)
    assert_on_line(means, module.TRUE.label)
    h, noise = np.array(module.HESSIAN, float), np.array(module.COVARIANCE, float) / module.BATCH_SIZE
    step = np.eye(2) - float(module.LR) * h
    spread = solve_discrete_lyapunov(step, float(module.LR) ** 2 * noise)
    plateau = -float(module.LR) * np.trace(h @ spread @ h + noise)
    assert line(means, module.NAIVE.label)[1][-1] == pytest.approx(plateau, rel=1e-2)
    assert line(means, module.TRUE.label)[1][-1] == pytest.approx(0, abs=1e-2)


def test_allocations_of_simulated_steps_conserve_the_loss() -> None:
    runs = script("naive_allocation").simulate(50, 20, 0)
    assert runs.residual < 1e-12
    assert runs.true.sum(axis=(1, 2)).mean() == pytest.approx(runs.loss_change, rel=1e-12)
    assert abs(runs.naive.sum(axis=(1, 2)).mean()) > 2 * abs(runs.loss_change)


def test_one_parameter_hurts_more_often_than_not_and_the_other_less() -> None:
    module, fractions = script("naive_allocation"), picture("naive_allocation").figure.axes[1]
    for look, sign in zip(module.PARAMETERS, (1, -1), strict=True):
        _, hurt, error = bars(fractions, look.label)
        assert ((hurt >= 0) & (hurt <= 1)).all()
        assert sign * (hurt[-5:].mean() - 0.5) > error[-5:].mean() / np.sqrt(5)


def test_naive_steps_of_one_run_never_rise_and_true_ones_do() -> None:
    module, scatter = script("naive_allocation"), picture("naive_allocation").figure.axes[2]
    drawn = [k for k in scatter.get_lines() if str(k.get_label()).startswith("steps")]
    x, y = np.hstack([k.get_data() for k in drawn])
    assert len(x) == module.ONE_RUN_STEPS
    assert (x <= 0).all()
    assert 0.3 < (y > 0).mean() < 0.6


# --- bracket gap -----------------------------------------------------------------------------------------------------


def two_steps(order: tuple[int, int], lr: float, momentum: float) -> tuple[np.ndarray, np.ndarray]:
    """Transcribe two heavy-ball steps on a·tanh(b x), with derivatives by hand; return position and shadow."""
    module = script("bracket_gap")
    theta, v = np.array(module.START), np.zeros(2)
    for index in order:
        x, y = module.EXAMPLES[index]["x"], module.EXAMPLES[index]["y"]
        t = np.tanh(theta[1] * x)
        error = theta[0] * t - y
        v = momentum * v + lr * error * np.array([t, theta[0] * x * (1 - t**2)])
        theta = theta - v
    return theta, theta - momentum / (1 - momentum) * v


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_both_orders_are_what_plain_steps_give(momentum: float) -> None:
    gap, shadow_gap, diverged = script("bracket_gap").simulated(0.01, momentum, 1)
    (one, shadow_one), (two, shadow_two) = two_steps((0, 1), 0.01, momentum), two_steps((1, 0), 0.01, momentum)
    np.testing.assert_allclose(gap, one - two, rtol=0, atol=1e-14)
    np.testing.assert_allclose(shadow_gap, shadow_one - shadow_two, rtol=0, atol=1e-13)
    assert diverged == 0


@pytest.mark.parametrize(
    ("panel", "series", "low", "high", "slope"),
    [
        (0, "GAP", 1e-6, 2e-3, 2),
        (0, "REMAINDER", 5e-5, 2e-3, 3),
        (1, "POSITION", 1e-6, 2e-3, 1),
        (1, "SHADOWS", 1e-6, 2e-3, 2),
    ],
)
def test_points_follow_their_line_at_its_slope(panel: int, series: str, low: float, high: float, slope: int) -> None:
    axes, looks = picture("bracket_gap").figure.axes[panel], getattr(script("bracket_gap"), series)
    for look in [looks] if series in ("GAP", "REMAINDER") else looks:
        step, gap = markers(axes, look.label)
        _, formula = line(axes, look.label)
        window = (step > low) & (step < high)
        assert window.sum() >= 2
        np.testing.assert_allclose(gap[window], formula[window], rtol=1e-2)
        assert np.polyfit(np.log(step[window]), np.log(gap[window]), 1)[0] == pytest.approx(slope, abs=0.01)


def test_rounding_spoils_the_remainder_long_before_the_gap() -> None:
    module, axes = script("bracket_gap"), picture("bracket_gap").figure.axes[0]
    step, rest = markers(axes, module.REMAINDER.label)
    _, formula = line(axes, module.REMAINDER.label)
    small = step < 1e-7
    assert (rest[small] > 10 * formula[small]).all()
    assert (rest[small] < 4 * module.ROUNDING).all()


# --- stationary variance ---------------------------------------------------------------------------------------------


def long_run_variance(rule: str, lr: float, momentum: float, batch_size: int) -> float:
    """Solve the Lyapunov equation of hand-written step matrices for h = σ = 1."""
    push = lr * (1 - momentum) if rule == "EMAMomentum" else lr
    ahead = momentum if rule == "Nesterov" else 0.0
    buffer = np.array([push, momentum - push * ahead])  # v' in (w, v), noise apart
    step = np.array([[1, 0] - buffer, buffer])
    noise = push**2 / batch_size * np.array([[1, -1], [-1, 1]])
    return float(solve_discrete_lyapunov(step, noise)[0, 0])


@pytest.mark.parametrize("column", [0, 1])
def test_lines_solve_the_lyapunov_equation(column: int) -> None:
    module, axes = script("stationary_variance"), picture("stationary_variance").figure.axes[column]
    for rule, look in module.LOOKS.items():
        momentum, variance = line(axes, look.label)
        for i in (0, 70, 150, 220):
            expected = long_run_variance(rule.__name__, module.LEARNING_RATES[column], momentum[i], module.BATCH_SIZE)
            assert variance[i] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("column", [0, 1])
def test_simulated_variances_are_the_predicted_ones(column: int) -> None:
    module, figure = script("stationary_variance"), picture("stationary_variance").figure
    for look in module.LOOKS.values():
        _, variance, error = bars(figure.axes[column], look.label)
        _, ratio, ratio_error = bars(figure.axes[2 + column], look.label)
        assert (np.abs(ratio - 1) < SIGMAS / 3 * ratio_error).all()
        np.testing.assert_allclose(ratio_error, error * ratio / variance, rtol=1e-9)
        assert (ratio_error < 0.1).all()


def test_nesterov_ends_at_its_limit_and_the_lectures_line_is_flat() -> None:
    module, axes = script("stationary_variance"), picture("stationary_variance").figure.axes[1]
    momentum, _ = line(axes, module.LOOKS[module.sgd.Nesterov].label)
    assert 0.49 < momentum.max() < 0.5  # 1.5 = 2(1 + μ)/(1 + 2μ)
    assert [k.get_xdata()[0] for k in axes.get_lines() if len(set(k.get_xdata())) == 1] == [0.5]
    _, flat = line(axes, module.NO_EFFECT.label)
    np.testing.assert_allclose(flat, 1.5 / (4 * (2 - 1.5)), rtol=1e-12)


# --- expected progress, linear scaling, the derived algorithm --------------------------------------------------------


def test_by_expected_progress_smaller_batches_are_always_better_and_above_all_else() -> None:
    module, right = script("batch_size"), picture("batch_size").figure.axes[1]
    batch, height = line(right, module.EXPECTED.label)
    np.testing.assert_allclose(height, 1 / (2 * (batch + 1)), rtol=1e-9)
    assert (np.diff(height) < 0).all()
    others, mean = line(right, module.MEAN.label)
    assert (mean <= 1 / (2 * (others + 1)) + 1e-12).all()


def test_linear_scaling_lies_on_its_line_up_to_the_end_of_stability() -> None:
    module, (top, below) = script("linear_scaling"), picture("linear_scaling").figure.axes
    for look in module.SERIES:
        rate, label = float(look.label), f"$\\eta_1={look.label}$"
        batch, variance = line(top, label)
        np.testing.assert_allclose(variance, 2 / (2 - batch * rate), rtol=1e-9)
        assert batch.max() < 2 / rate
        size, value, error = bars(top, label)
        assert (np.abs(value - 2 / (2 - size * rate)) <= SIGMAS / 3 * error).all()
        _, quotient, quotient_error = bars(below, label)
        assert (np.abs(quotient - 1) <= SIGMAS / 3 * quotient_error).all()
    ends = {k.get_xdata()[0] for k in top.get_lines() if len(k.get_xdata()) == 2 and len(set(k.get_xdata())) == 1}
    assert ends == {100, 200, 400}


def test_plain_sgd_lies_on_its_formula_and_the_algorithms_end_as_they_must() -> None:
    module, (errors, weights) = script("derived_algorithm"), picture("derived_algorithm").figure.axes
    for rate, look in zip(module.RATES, module.PLAIN, strict=True):
        step, error, bar = bars(errors, look.label)
        left = (1 - rate) ** (2 * step)
        expected = 100 * left + 4 * rate / (2 - rate) * (1 - left)  # σ²/B = 4
        assert (np.abs(error - expected) <= SIGMAS / 3 * bar + 1e-9).all()
    final = {look: bars(errors, look.label)[1][-1] for look in (*module.PLAIN, module.REPAIRED, module.CORRECTED)}
    assert final[module.REPAIRED] == pytest.approx(final[module.PLAIN[0]], rel=0.3)
    assert final[module.CORRECTED] < 0.3 * final[module.REPAIRED]
    assert bars(errors, module.SLIDES.label)[1][-1] > 500
    _, weight = line(weights, "corrected: median of $B/B^*$")
    assert ((weight >= 1e-3) & (weight <= 0.5)).all()
    _, taken = line(weights, "slip repaired: runs at $B/B^*=1$ (fraction)")
    assert taken[-1] == 1


# --- gradient flow ---------------------------------------------------------------------------------------------------


def test_bias_and_noise_are_those_of_the_steps_and_tend_to_the_leading_orders() -> None:
    """The points against the exact geometric sums, the lines against the same at large N."""
    module, axes = script("gradient_flow"), picture("gradient_flow").figure.axes[1]
    x, noise = module.LR * module.CURVATURE, module.LR**2 * module.NOISE**2 / module.BATCH_SIZE

    def exact(n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a = 1 - x / n
        return math.exp(-x) - a**n, np.sqrt(noise / n**2 * (1 - a ** (2 * n)) / (1 - a**2))

    for look, k in ((module.BIAS, 0), (module.SPREAD, 1)):
        parts, value, three_errors = bars(axes, look.label)
        assert (np.abs(value - exact(parts)[k]) <= SIGMAS / 3 * three_errors).all()
        fine, formula = line(axes, look.label)
        np.testing.assert_allclose(formula, exact(fine)[k], rtol=2 / fine.min())
        np.testing.assert_allclose(formula[-1], exact(fine[-1:])[k], rtol=0.02)


def test_the_drawn_flow_is_the_exponential() -> None:
    axes = picture("gradient_flow").figure.axes[0]
    time, place = line(axes, script("gradient_flow").FLOW.label)
    np.testing.assert_allclose(place, np.exp(-time), rtol=1e-6)


# --- momentum windows ------------------------------------------------------------------------------------------------


def test_the_average_is_worth_the_exact_window_and_not_the_printed_one() -> None:
    module, axes = script("momentum_windows"), picture("momentum_windows").figure.axes[0]
    inverse, worth, three_errors = bars(axes, module.AVERAGE.label)
    assert (np.abs(worth - (2 * inverse - 1)) < SIGMAS / 3 * three_errors).all()  # (1 + μ)/(1 − μ) = 2/(1 − μ) − 1
    assert (np.abs(worth - inverse)[1:] > 4 * three_errors[1:]).all()
    np.testing.assert_allclose(line(axes, module.EXACT.label)[1], 2 * line(axes, module.EXACT.label)[0] - 1, rtol=1e-9)


def test_gaps_are_those_of_paths_run_by_hand() -> None:
    module, axes = script("momentum_windows"), picture("momentum_windows").figure.axes[1]
    assert (module.BEST_BATCH, module.LR_ONE) == (1600, 1 / 3200)
    for batch, look in module.BATCHES.items():
        lr = batch / 3200
        averaging, gap, three_errors = bars(axes, look.label)
        for x, y, error in zip(averaging, gap, three_errors, strict=True):
            momentum = 1 - lr / x
            theta, plain, buffer, largest = 1.0, 1.0, 0.0, 0.0
            for _ in range(int(4 / lr)):
                buffer = momentum * buffer + (1 - momentum) * theta
                theta, plain = theta - lr * buffer, plain * (1 - lr)
                largest = max(largest, abs(theta - plain))
            assert abs(y - largest / momentum) < SIGMAS / 3 * error + 1e-9


def test_the_printed_condition_takes_no_notice_of_the_batch_size() -> None:
    module, (_, right_units, printed) = script("momentum_windows"), picture("momentum_windows").figure.axes
    x = [bars(printed, look.label)[0] for look in module.BATCHES.values()]
    np.testing.assert_allclose(x, [x[0]] * len(x), rtol=1e-12)
    gaps = [bars(right_units, look.label)[1] for look in module.BATCHES.values()]
    assert (np.diff(gaps, axis=0) > 0).all()  # yet larger batches are farther off


# --- Adam's 2-cycle --------------------------------------------------------------------------------------------------


def test_the_edge_is_where_the_polynomial_vanishes() -> None:
    module, axes = script("adam_cycle"), picture("adam_cycle").figure.axes[0]
    b1, b2 = line(axes, module.EDGE.label)
    np.testing.assert_allclose(b1**2 * b2 - 3 * b1 * (1 + b2) + 1, 0, atol=1e-12)
    assert b1[-1] == pytest.approx(3 - 2 * math.sqrt(2), abs=1e-9)
    assert b1[0] == pytest.approx(1 / 3, abs=1e-5)


def test_runs_from_nearby_return_inside_the_edge_and_leave_outside() -> None:
    module, axes = script("adam_cycle"), picture("adam_cycle").figure.axes[0]
    seen = 0
    for look, inside in ((module.ALL, True), (module.NEAR_ONES, True), (module.NONE, False)):
        b1, b2 = line(axes, look.label)
        assert ((b1**2 * b2 - 3 * b1 * (1 + b2) + 1 > 0) == inside).all()
        seen += len(b1)
    assert seen == 20


def test_runs_with_empty_buffers_by_hand() -> None:
    """The share at two points, inside and outside, from a loop in floats."""
    module = script("adam_cycle")
    for beta1, beta2, ends in ((0.1, 0.9, True), (0.3, 0.5, False)):
        share, diverged = module.verdicts((np.array([beta1]), np.array([beta2])), 3, 1000, 1)
        assert (share[0, 0], diverged) == (float(ends), 0)
        w, m, s, path = 0.5, 0.0, 0.0, []
        for _ in range(1000):
            m, s = beta1 * m + (1 - beta1) * w, beta2 * s + (1 - beta2) * w * w
            w -= module.LR * m / math.sqrt(s)
            path.append(abs(w))
        cycle = module.LR * (1 - beta1) / (2 * (1 + beta1))
        assert (max(abs(p / cycle - 1) for p in path[-6:]) < module.NEAR) is ends


def test_the_sharpness_settles_inside_and_bursts_outside() -> None:
    module, above = script("adam_cycle"), picture("adam_cycle").figure.axes[1]
    inside, outside = (k.get_ydata() for k in above.get_lines() if len(k.get_xdata()) > 2)
    assert inside[-1] == pytest.approx(22 / 9, rel=1e-9)
    late = outside[len(outside) // 2 :]
    assert late.min() < 0.8 * 38 < 38 < late.max() < 1.3 * 38
    assert len(module.orbit(0.1, 0.9, 5).sharpness) == 5
