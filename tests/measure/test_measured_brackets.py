"""Brackets of examples by arrays: against sympy's on random problems, batches, tables, bounds, and what is refused."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import sympy as sp
import xarray as xr

from sgdtheory import (
    ArgumentError,
    Dataset,
    Problem,
    bracket_bound,
    bracket_matrix,
    custom_loss,
    landscape,
    lie_bracket,
    linear_regression,
    logistic_regression,
    numeric_loss,
    with_examples,
)
from sgdtheory.derive.brackets import example_bracket
from sgdtheory.measure import brackets
from sgdtheory.measure.hessian_norm import hessian_norm
from sgdtheory.measure.protocol import Array, Layout, Tensor
from sgdtheory.theory.random_instances import polynomial


def random_problem(dimension: int, size: int = 4) -> Problem:
    """A random quartic in parameters and data; the last example repeats the first."""
    random, rng = Random(dimension), np.random.default_rng(dimension)
    names = [f"w{k}" for k in range(dimension)]
    symbols = sp.symbols([*names, "x", "y"], real=True)
    columns = {name: rng.integers(-8, 9, size - 1) / 4 for name in "xy"}
    return Problem(polynomial(random, symbols, 4, 24), names, Dataset(**{n: [*c, c[0]] for n, c in columns.items()}))


def symbolic(problem: Problem, i: int, j: int, w: Array) -> Array:
    assert isinstance(problem.data, Dataset)
    one, other = (
        {s.name: sp.Rational(float(v)) for s, v in zip(problem.data.symbols, problem.data.values[k], strict=True)}
        for k in (i, j)
    )
    at = {s: sp.Rational(float(v)) for s, v in zip(problem.coordinates, w, strict=True)}
    return np.array([float(c.xreplace(at)) for c in example_bracket(problem, one, other)])


class Lines:
    """Half squared errors of lines a_k·w − y_k: a loss of one's own, with examples and a layout."""

    def __init__(self, layout: Layout, examples: int, seed: int = 0) -> None:
        self.layout, self.dimension, self.examples = layout, layout.dimension, examples
        rng = np.random.default_rng(seed)
        self.a, self.y = rng.normal(size=(examples, self.dimension)), rng.normal(size=examples)

    def _rows(self, batch: object) -> tuple[Array, Array]:
        numbers = np.arange(self.examples) if batch is None else np.asarray(batch)
        return self.a[numbers], self.y[numbers]

    def _residual(self, w: Array, batch: object) -> Array:
        a, y = self._rows(batch)
        return (a * np.asarray(w)[..., np.newaxis, :]).sum(axis=-1) - y

    def value(self, w: Array, batch: object = None) -> Array:
        return (self._residual(w, batch) ** 2 / 2).mean(axis=-1)

    def gradient(self, w: Array, batch: object = None) -> Array:
        return (self._residual(w, batch)[..., np.newaxis] * self._rows(batch)[0]).mean(axis=-2)

    def hvp(self, w: Array, v: Array, batch: object = None) -> Array:
        a, _ = self._rows(batch)
        along = (a * np.asarray(v)[..., np.newaxis, :]).sum(axis=-1, keepdims=True)
        return (along * a + 0 * np.asarray(w)[..., np.newaxis, :]).mean(axis=-2)


LAYOUT = Layout((Tensor("1.weight", (2, 2)), Tensor("1.bias", (2,), "vector"), Tensor("2.weight", (1, 2))))


@pytest.mark.parametrize("dimension", [1, 2, 3, 4, 5])
def test_it_is_the_symbolic_bracket(dimension: int) -> None:
    problem = random_problem(dimension)
    loss = numeric_loss(problem)
    w = np.random.default_rng(7).integers(-4, 5, (2, 1, dimension)) / 4
    i, j = np.array([0, 1, 2, 0]), np.array([1, 2, 0, 2])
    got = lie_bracket(loss, i[:, None], j[:, None], w)
    assert got.shape == (2, 4, dimension)
    assert np.abs(got).max() > 1
    for k, p in np.ndindex(4, 2):
        np.testing.assert_allclose(got[p, k], symbolic(problem, i[k], j[k], w[p, 0]), rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("dimension", [1, 2, 3, 4, 5])
def test_identical_examples_commute_and_order_is_a_sign(dimension: int) -> None:
    problem = random_problem(dimension)
    w = np.random.default_rng(8).normal(size=(3, dimension))
    for i, j in ((0, 0), (0, 3), ([0, 1], [0, 1])):  # example 3 repeats example 0
        np.testing.assert_array_equal(lie_bracket(problem, i, j, w), np.zeros((3, dimension)))
    forth, back = lie_bracket(problem, 0, 1, w), lie_bracket(problem, 1, 0, w)
    assert (forth != 0).any()
    np.testing.assert_array_equal(forth, -back)


@pytest.mark.parametrize("dimension", [1, 3])
def test_the_bracket_of_batches_is_the_mean_of_their_pairs(dimension: int) -> None:
    loss = numeric_loss(random_problem(dimension, 6))
    w = np.random.default_rng(9).normal(size=(2, dimension))
    first, second = np.array([0, 1, 4]), np.array([2, 3])
    pairs = lie_bracket(loss, first[:, None, None, None], second[:, None, None], w)
    np.testing.assert_allclose(
        lie_bracket(loss, first, second, w), pairs.mean(axis=(0, 1)), rtol=1e-11, atol=1e-12 * np.abs(pairs).max()
    )


def test_linear_regression_by_hand() -> None:
    """[v1, v2] = (x1·x2)(r1 x2 − r2 x1) with residuals r = w·x − y."""
    loss, w = Lines(LAYOUT, 5), np.random.default_rng(1).normal(size=8)
    residual = loss.a @ w - loss.y
    expected = (loss.a[0] @ loss.a[1]) * (residual[0] * loss.a[1] - residual[1] * loss.a[0])
    np.testing.assert_allclose(lie_bracket(loss, 0, 1, w), expected, rtol=1e-12)


@pytest.mark.parametrize("by", [None, "parameter", "neuron", "tensor", "layer"])
def test_the_table_holds_every_pair(by: str | None) -> None:
    loss, w = Lines(LAYOUT, 5), np.random.default_rng(2).normal(size=(2, 3, 8))
    chosen = [4, 0, 2]
    table = bracket_matrix(loss, w, chosen, by=by, field=True)
    assert table.rms.dims == ("point_1", "point_2", *(() if by is None else ("group",)), "first", "second")
    assert table.first.values.tolist() == chosen
    each = np.stack([np.stack([lie_bracket(loss, i, j, w) for j in chosen], axis=-2) for i in chosen], axis=-3)
    np.testing.assert_allclose(table.bracket, each, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(table.bracket, -np.swapaxes(table.bracket, -3, -2))
    np.testing.assert_array_equal(table.rms, np.swapaxes(table.rms, -1, -2))
    assert (np.diagonal(table.rms, axis1=-2, axis2=-1) == 0).all()
    squares = (table.rms**2 * table["size"]).values
    total = squares.sum(axis=-3) if by else squares
    np.testing.assert_allclose(total, (each**2).sum(axis=-1), rtol=1e-11, atol=1e-20)
    lengths = (table.gradient_rms**2 * table["size"]).values
    gradients = loss.gradient(w[..., None, :], np.array(chosen)[:, None])
    np.testing.assert_allclose(lengths.sum(axis=-2) if by else lengths, (gradients**2).sum(axis=-1), rtol=1e-11)


def test_groups_are_those_of_the_layout() -> None:
    loss, w = Lines(LAYOUT, 3), np.random.default_rng(3).normal(size=8)
    table = bracket_matrix(loss, w, by="neuron")
    assert table.group.values.tolist() == ["1:0", "1:1", "2:0"]
    assert table["size"].values.tolist() == [3, 3, 2]
    bracket = lie_bracket(loss, 0, 1, w)
    np.testing.assert_allclose(
        table.rms.sel(first=0, second=1), [np.sqrt((bracket[k] ** 2).mean()) for k in ([0, 1, 4], [2, 3, 5], [6, 7])]
    )


def test_blocks_of_pairs_and_batches_of_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    loss, w = Lines(LAYOUT, 6), np.random.default_rng(4).normal(size=8)
    whole = bracket_matrix(loss, w, bound=True)
    monkeypatch.setattr(brackets, "_LARGEST_BLOCK", 8)
    xr.testing.assert_identical(bracket_matrix(loss, w, bound=True), whole)
    batches = bracket_matrix(loss, w, [[0, 1], [2, 3], [0, 1]])
    assert batches.rms.values[0, 2] == 0
    expected = np.sqrt((lie_bracket(loss, [0, 1], [2, 3], w) ** 2).mean())
    assert batches.rms.values[0, 1] == pytest.approx(expected, rel=1e-12)


def test_points_of_a_run_keep_their_names() -> None:
    loss = Lines(LAYOUT, 3)
    steps = xr.DataArray(np.zeros((2, 8)), dims=("step", "coordinate"), coords={"step": [0, 10]})
    table = bracket_matrix(loss, steps)
    assert table.rms.dims == ("step", "first", "second")
    assert table.step.values.tolist() == [0, 10]


def test_a_single_example_has_an_empty_table() -> None:
    table = bracket_matrix(Lines(LAYOUT, 3), np.zeros(8), [1])
    np.testing.assert_array_equal(table.rms, [[0.0]])


def test_the_bound_holds_and_is_attained() -> None:
    """On random problems the bracket stays below it; one residual 0 and parallel inputs make it equal."""
    for dimension in (1, 3, 5):
        loss, w = numeric_loss(random_problem(dimension)), np.random.default_rng(5).normal(size=(200, dimension))
        size = np.linalg.norm(lie_bracket(loss, 0, 1, w), axis=-1)
        assert (size <= bracket_bound(loss, 0, 1, w) * (1 + 1e-9)).all()
        table = bracket_matrix(loss, w, [0, 1], bound=True)
        np.testing.assert_allclose(table.bound.values[:, 0, 1], bracket_bound(loss, 0, 1, w), rtol=1e-12)
    line = Problem("(y - u*x1 - v*x2)**2/2", ["u", "v"], Dataset(x1=[1, 2], x2=[2, 4], y=[3, 0]))
    at_fit = [1.0, 1.0]  # the first example's residual is 0
    size = np.linalg.norm(lie_bracket(line, 0, 1, at_fit))
    assert size == pytest.approx(float(bracket_bound(line, 0, 1, at_fit)), rel=1e-12)


def test_norms_of_large_hessians() -> None:
    """Of one line the Hessian is a aᵀ, of norm |a|²; Lanczos and the whole matrix agree on a mean of lines."""
    loss = Lines(Layout((Tensor("w", (300,)),)), 6)
    norms = hessian_norm(loss, np.zeros((2, 1, 300)), [[0], [1]])
    np.testing.assert_allclose(norms, np.broadcast_to((loss.a[:2] ** 2).sum(axis=1), (2, 2)), rtol=1e-9)
    expected = np.linalg.norm(loss.a.T @ loss.a / 6, 2)
    np.testing.assert_allclose(hessian_norm(loss, np.zeros((3, 300))), [expected] * 3, rtol=1e-9)


def test_negative_curvature_counts_by_its_size() -> None:
    loss = numeric_loss(landscape("w1**2/2 - 2*w2**2", ["w1", "w2"]))
    assert hessian_norm(loss, [1.0, 1.0]) == 4


@pytest.mark.parametrize(("i", "j"), [(4, 0), (-1, 0), (0.5, 0), ([], 0), ([[0], [9]], 0)])
def test_examples_that_do_not_exist_are_refused(i: object, j: object) -> None:
    for function in (lie_bracket, bracket_bound):
        with pytest.raises(ArgumentError, match=r"^i: got"):
            function(random_problem(2), i, j, [0.0, 0.0])  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match=r"^j: got"):
            function(random_problem(2), j, i, [0.0, 0.0])  # type: ignore[arg-type]


def test_losses_without_examples_are_refused() -> None:
    for loss in (linear_regression(2), landscape("w**2", ["w"]), custom_loss(lambda w: w[..., 0], np.ones_like, 2)):
        with pytest.raises(ArgumentError, match=r"loss: got .* no mean over examples.*with_examples"):
            lie_bracket(loss, 0, 1, [0.0, 0.0])
        with pytest.raises(ArgumentError, match="no mean over examples"):
            bracket_matrix(loss, [0.0, 0.0])


def test_bad_tables_are_refused() -> None:
    problem = random_problem(2)
    for examples in (3, [[[0]]], [7], [0.5]):
        with pytest.raises(ArgumentError, match="examples"):
            bracket_matrix(problem, [0.0, 0.0], examples)
    with pytest.raises(ArgumentError, match="by: got colour"):
        bracket_matrix(problem, [0.0, 0.0], by="colour")
    with pytest.raises(ArgumentError, match=r"w: got shape"):
        bracket_matrix(problem, [0.0])


def test_the_readmes_five_lines() -> None:
    import sgdtheory as sgd

    data = sgd.Dataset(x1=[1, 2, -1, 0.5], x2=[0, 1, 1, -2], y=[1, 1, -1, -1])
    problem = sgd.logistic_regression(data)  # or a Problem, a network, a loss of your own
    table = sgd.bracket_matrix(problem, [[0, 0], [1, 0.5]])  # at two points; run.w of a simulation does as well
    shown = table.rms.sel(point=1).to_pandas()
    gap = sgd.swap_gap(problem, sgd.Adam(lr=1e-3, beta1=0.9, beta2=0.999), 0, 3, [1, 0.5]).position

    assert shown.shape == (4, 4)
    assert (np.diag(shown) == 0).all()
    expected = np.sqrt((lie_bracket(problem, 0, 3, [1, 0.5]) ** 2).mean())
    assert shown.loc[0, 3] == pytest.approx(expected, rel=1e-12)
    assert gap.shape == (2,)


def test_drawn_examples_make_a_regression_measurable() -> None:
    problem = with_examples(linear_regression(3, teacher=[1, 2, 3]), 10, rng=1)
    assert isinstance(problem.data, Dataset)
    x, e = problem.data.values[:, :3], problem.data.values[:, 3]
    w = np.array([0.5, -1.0, 2.0])
    residual = x @ (w - [1, 2, 3]) - e
    expected = (x[2] @ x[5]) * (residual[2] * x[5] - residual[5] * x[2])
    np.testing.assert_allclose(lie_bracket(problem, 2, 5, w), expected, rtol=1e-11)


def test_logistic_regression_by_hand() -> None:
    """[v1, v2] = p1 p2 (x1·x2)(y2 (1 − p1) x1 − y1 (1 − p2) x2), p the probability given to the wrong label."""
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(5, 2)), np.array([1, -1, 1, 1, -1])
    problem = logistic_regression(Dataset(x1=x[:, 0], x2=x[:, 1], y=y))
    w = rng.normal(size=2)
    p = 1 / (1 + np.exp(y * (x @ w)))
    for i, j in ((0, 1), (2, 3), (1, 4)):
        expected = p[i] * p[j] * (x[i] @ x[j]) * (y[j] * (1 - p[i]) * x[i] - y[i] * (1 - p[j]) * x[j])
        np.testing.assert_allclose(lie_bracket(problem, i, j, w), expected, rtol=1e-11)
