"""lca: conservation, exact parts, groups, streams, and what is not finite."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdtheory import SGD, ArgumentError, Problem, custom_loss, landscape, lca, mlp, numeric_loss, simulate, spirals
from sgdtheory.measure.allocation import steps as steps_module
from sgdtheory.theory.random_instances import rational

U = np.finfo(float).eps
BOWL = landscape("w1**2 + w1*w2 + w2**4", ["w1", "w2"], noise_std=0.3)
NET = mlp(*spirals(40, 3, rng=0), widths=[4, 3])


def random_polynomial(seed: int, d: int, degree: int) -> tuple[Problem, Problem]:
    """Return a random polynomial loss and the one with the absolute values of its coefficients."""
    random, w = Random(seed), sp.symbols(f"w1:{d + 1}", real=True)
    terms = [sp.Mul(*random.choices(w, k=random.randint(1, degree))) for _ in range(4)]
    pairs = [(rational(random), term) for term in terms] + [(sp.S.One, w[0] ** degree)]
    small, large = (landscape(sp.Add(*(f(c) * term for c, term in pairs)), list(w)) for f in (sp.sympify, sp.Abs))
    return small, large


def rounding(majorant: Problem, path: np.ndarray) -> np.ndarray:
    """Bound the rounding error of a residual by the summed absolute terms of losses and gradients."""
    loss, size = numeric_loss(majorant), np.abs(path)
    largest = np.maximum(size[..., :-1, :], size[..., 1:, :])
    gradients = (loss.gradient(largest) * np.abs(np.diff(path, axis=-2))).sum(axis=-1)
    return 64 * U * (2 * loss.value(largest) + gradients)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1e-3, 1.0, 30.0]))
def test_conserves_random_polynomials_of_every_dimension_to_rounding(
    seed: int, d: int, degree: int, step: float
) -> None:
    problem, majorant = random_polynomial(seed, d, degree)
    path = 2 + np.cumsum(step * np.random.default_rng(seed).standard_normal((2, 5, d)), axis=1)
    table = lca(path, problem, "exact")
    assert (np.abs(table.residual.values) <= rounding(majorant, path)).all()
    short = lca(path, problem, "left")  # of one degree too few, unless the loss is linear
    assert (np.abs(short.residual.values).max() > rounding(majorant, path).max()) == (degree > 1)


@pytest.mark.parametrize(("rule", "degree"), [("trapezoid", 2), ("simpson", 4), ("gauss-2", 4), ("gauss-3", 6)])
def test_parts_are_exact_up_to_the_degree_of_the_rule_and_no_further(rule: str, degree: int) -> None:
    """Against ∫ ∂L/∂wᵢ dwᵢ by sympy, coordinate by coordinate."""
    w1, w2, t = sp.symbols("w1 w2 t", real=True)
    start, end = (1, -1), (2, 3)
    line = {w: a + t * (b - a) for w, a, b in zip((w1, w2), start, end, strict=True)}
    for p, exact in ((degree, True), (degree + 1, False)):
        loss = w1**p + w1 ** (p - 1) * w2
        parts = [
            float(sp.integrate(sp.expand(sp.diff(loss, w).subs(line)), (t, 0, 1)) * sp.diff(line[w], t))
            for w in (w1, w2)
        ]
        measured = lca([start, end], landscape(loss, [w1, w2]), rule).allocation.values[0]
        assert np.allclose(measured, parts, rtol=1e-13, atol=0) == exact


def test_parts_depend_on_the_path_and_their_sum_does_not() -> None:
    """L = w1·w2 along the corner instead of the diagonal: (0, 1), not (1/2, 1/2)."""
    product = landscape("w1*w2", ["w1", "w2"])
    corner, diagonal = (lca(path, product).total for path in ([[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1]]))
    np.testing.assert_allclose(corner, [0, 1], atol=1e-15)
    np.testing.assert_allclose(diagonal, [0.5, 0.5], atol=1e-15)


def test_a_run_a_path_and_steps_as_they_come_give_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulate(BOWL, SGD(lr=0.1), steps=11, replicas=3, init=1, rng=0)
    w = run.w.values

    def stream() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        yield from ((t, w[:, t - 1], w[:, t]) for t in range(1, 12))

    tables = [lca(run, BOWL), lca(w, numeric_loss(BOWL), lr=0.1), lca(stream(), numeric_loss(BOWL), lr=0.1)]
    monkeypatch.setattr(steps_module, "_LARGEST_BLOCK", 12)  # two steps at a time
    tables += [lca(run, BOWL), lca(list(stream()), numeric_loss(BOWL), lr=0.1)]
    for table in tables[1:]:
        for name, values in tables[0].data_vars.items():
            np.testing.assert_allclose(table[name], values, rtol=1e-13, atol=1e-16)
    assert tables[0].gradients.values.sum() == 3 * (2 * 11 + 1)  # the end of a step is the start of the next


def test_steps_need_not_follow_each_other() -> None:
    """Every second step of a run has the same allocation as in the whole run; its start is evaluated anew."""
    w = simulate(BOWL, SGD(lr=0.1), steps=10, init=1, rng=0).w.values[0]
    whole = lca(w, BOWL)
    some = lca([(t, w[t - 1], w[t]) for t in range(1, 11, 2)], BOWL)
    assert some.step.values.tolist() == [1, 3, 5, 7, 9]
    np.testing.assert_allclose(some.allocation, whole.allocation[::2], rtol=1e-13)
    np.testing.assert_array_equal(some.gradients, 3)


def test_a_buffer_that_is_used_again_does_no_harm() -> None:
    w = np.linspace(0, 1, 6)[:, None] * [1.0, 2.0]

    def stream() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        start, end = np.empty(2), np.empty(2)
        for t in range(1, 6):
            start[:], end[:] = w[t - 1], w[t]
            yield t, start, end

    np.testing.assert_array_equal(lca(stream(), BOWL).allocation, lca(w, BOWL).allocation)


@pytest.mark.parametrize("by", ["parameter", "neuron", "tensor", "layer"])
def test_groups_sum_over_their_parameters(by: str) -> None:
    path = NET.init(0) + 0.1 * np.cumsum(np.random.default_rng(1).standard_normal((2, 4, NET.dimension)), axis=1)
    each, table = lca(path, NET), lca(path, NET, by=by)
    names, labels = NET.layout.groups(by)
    assert table[by].values.tolist() == list(names)
    for i in range(len(names)):
        for name in ("allocation", "first_order", "helped", "hurt", "zeros"):
            np.testing.assert_allclose(table[name][..., i], each[name].values[..., labels == i].sum(-1), atol=1e-15)
    np.testing.assert_array_equal(table["size"], np.bincount(labels))
    np.testing.assert_allclose(table.total.sum("parameter"), table.allocation.sum(["step", by]), rtol=1e-12)
    np.testing.assert_array_equal(table.steps_helped, each.helped.sum("step"))


def test_parameters_that_do_not_move_or_have_no_gradient_count_on_neither_side() -> None:
    loss = landscape("w1**2/2 + w2**2/2 + 0*w3 + w4**2", ["w1", "w2", "w3", "w4"])
    table = lca([[1.0, 1, 1, 1], [0.5, 2, 5, 1]], loss, "exact")  # helps, hurts, has no gradient, stays
    assert [int(table[name].sum()) for name in ("helped", "hurt", "zeros")] == [1, 1, 2]
    assert float(table.helping[0]) == 0.5
    assert np.isnan(lca([[1.0, 1, 1, 1], [1.0, 1, 3, 1]], loss).helping[0])


def test_the_residual_sees_a_wrong_gradient() -> None:
    path = np.random.default_rng(0).standard_normal((6, 2))
    right = numeric_loss(BOWL)
    wrong = custom_loss(right.value, lambda w: 1.001 * right.gradient(w), 2)
    assert np.abs(lca(path, right).residual).max() < 1e-13
    assert np.abs(lca(path, wrong).residual).max() > 1e-4


def test_what_is_not_finite_is_told_with_its_step_and_not_masked() -> None:
    path = np.ones((3, 6, 2)) * np.arange(6.0)[:, None]
    path[1, 3:] = np.inf  # a diverged run
    path[2, 4] = 1e200  # finite, but its loss is not
    table = lca(path, landscape("w1**2 + w2**4", ["w1", "w2"]))
    assert table.diverged_at.values.tolist() == [-1, 3, 4]
    finite = np.isfinite(table.residual.values)
    assert finite.tolist() == [[True] * 5, [True, True, False, False, False], [True, True, True, False, False]]
    assert np.isfinite(table.total.values).all(axis=1).tolist() == [True, False, False]
    assert not np.isfinite(table.allocation[2, 3]).all()
    np.testing.assert_allclose(table.allocation[1, :2], table.allocation[0, :2])


def test_a_loss_that_fails_between_two_finite_ends_is_told() -> None:
    pole = custom_loss(lambda w: w[..., 0] ** 2, lambda w: np.where(w == 0.5, np.nan, 2 * w), 1)
    table = lca([[-1.0], [0.0], [1.0], [2.0]], pole)
    assert int(table.diverged_at) == 2
    assert np.isnan(table.residual.values).tolist() == [False, True, False]


def test_a_sweep_keeps_its_axes_and_knows_its_learning_rates() -> None:
    run = simulate(BOWL, SGD(lr=[0.05, 0.1, 0.2]), steps=6, replicas=2, init=1, rng=0)
    table = lca(run, BOWL, "exact")
    assert table.allocation.dims == ("lr", "replica", "step", "parameter")
    assert table.lr.values.tolist() == [0.05, 0.1, 0.2]
    for i, lr in enumerate((0.05, 0.1, 0.2)):
        np.testing.assert_allclose(table.naive[i], -(run.w[i].diff("step") ** 2) / lr, rtol=1e-12)


def test_a_part_of_a_run_keeps_the_numbers_of_its_steps() -> None:
    run = simulate(BOWL, SGD(lr=0.1), steps=9, init=1, rng=0)
    part = lca(run.isel(step=slice(4, 8)), BOWL)
    assert part.step.values.tolist() == [5, 6, 7]
    xr.testing.assert_allclose(part.allocation, lca(run, BOWL).allocation.sel(step=[5, 6, 7]))


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ([1.0, 2.0], "path"),
        ([[1.0, 2.0]], "path"),
        (np.zeros((3, 1, 2)), "path"),
        (np.zeros((4, 3)), "path"),
        (iter(()), "steps"),
        ([(1, np.zeros(3), np.zeros(3))], "steps"),
        ([(1, np.zeros(2), np.zeros((2, 2)))], "steps"),
        ([(1, np.zeros(2), np.zeros(2), np.zeros(3))], "steps"),
        ([(1, np.zeros((1, 2, 2)), np.zeros((1, 2, 2)))], "steps"),
    ],
)
def test_refuses_what_is_no_path_of_this_loss(path: Any, named: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{named}: "):
        lca(path, BOWL)


def test_refuses_steps_left_out_and_losses_that_are_none() -> None:
    with pytest.raises(ArgumentError, match="every step"):
        lca(simulate(BOWL, SGD(lr=0.1), steps=6, init=1, record=3, rng=0), BOWL)
    with pytest.raises(ArgumentError, match="custom_loss"):
        lca(np.zeros((2, 2)), lambda w: w)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="colour"):
        lca(np.zeros((2, 2)), BOWL, by="colour")


def test_the_readme_s_five_lines() -> None:
    """A table and a picture of a run of one's own."""
    import matplotlib as mpl

    mpl.use("Agg")
    import sgdtheory as sgd

    net = sgd.mlp(*sgd.spirals(60, 3, rng=0), widths=[8, 8])
    steps = sgd.training_steps(net, sgd.Momentum(lr=0.03, momentum=0.9), steps=60, batch_size=10, rng=0)
    table = sgd.lca(steps, net, "adaptive", by="layer")
    table.allocation.squeeze("replica").cumsum("step").plot.line(x="step")
    shares = float(table.helping.mean()), float(table.residual.sum())

    assert 0.5 < shares[0] < 0.9
    assert abs(shares[1]) < 60 * 1e-3
    drawn = [curve.get_ydata()[-1] for curve in mpl.pyplot.gca().get_lines()]
    np.testing.assert_allclose(drawn, table.allocation[0].sum("step"))
    mpl.pyplot.close("all")
