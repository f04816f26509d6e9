"""The numeric loss: against the symbolic one, on arrays of any shape, and where the loss has kinks or samples."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from sgdtheory import (
    ArgumentError,
    Dataset,
    Fresh,
    NoClosedFormError,
    Normal,
    Problem,
    custom_loss,
    landscape,
    numeric_loss,
    quadratic,
    sticky_2d,
)

RANDOM = np.random.default_rng(0)
LOGISTIC = "log(1 + exp(-y*(u*x1 + v*x2)))"


def logistic(size: int) -> Problem:
    columns = {"x1": RANDOM.normal(size=size), "x2": RANDOM.normal(size=size), "y": RANDOM.choice([-1, 1], size=size)}
    return Problem(LOGISTIC, ["u", "v"], Dataset(**columns))


PROBLEMS = {
    "polynomial": sticky_2d(1, 1),
    "transcendental": landscape("exp(-u**2)*tanh(v) + erf(u*v) + sqrt(1 + v**2)", ["u", "v"], noise_std=0.1),
    "piecewise": Problem(
        sp.Piecewise((sp.Symbol("u") ** 2, sp.Symbol("u") < sp.Symbol("v")), (sp.Symbol("v") ** 3, True)), ["u", "v"]
    ),
    "samples by moments": Problem("(y - u*x1 - v*x1**2)**2/2", ["u", "v"], Dataset(x1=[1, 2, -0.5], y=[0.3, 0.1, 2])),
    "samples one by one": logistic(7),
    "with a parameter": landscape("u**2 + v**4", ["u", "v"], noise_std=sp.Symbol("s", positive=True)).bind(s=2),
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (0,)])
def test_it_is_the_symbolic_loss(name: str, shape: tuple[int, ...]) -> None:
    problem = PROBLEMS[name]
    loss = numeric_loss(problem)
    points = np.random.default_rng(1).normal(size=(*shape, 2))
    for numeric, symbolic, tail in (
        (loss.value, [problem.loss], ()),
        (loss.gradient, list(problem.gradient), (2,)),
        (loss.hessian, list(problem.hessian), (2, 2)),
    ):
        got = numeric(points)
        assert got.shape == (*shape, *tail)
        assert got.dtype == np.float64
        for index in np.ndindex(shape):
            at = dict(zip(problem.coordinates, map(float, points[index]), strict=True))
            expected = [float(e.subs(at)) for e in symbolic]
            np.testing.assert_allclose(got[index].ravel(), expected, rtol=1e-11, atol=1e-13)


def test_many_samples_are_averaged_in_blocks() -> None:
    """More points and samples than one block holds; and by hand: L = mean log(1 + exp(−y u·x))."""
    problem = logistic(3000)
    points = RANDOM.normal(size=(200, 2))
    assert isinstance(problem.data, Dataset)
    x1, x2, y = problem.data.values.T
    margin = y * (points[:, :1] * x1 + points[:, 1:] * x2)
    weight = 1 / (1 + np.exp(margin))
    loss = numeric_loss(problem)
    np.testing.assert_allclose(loss.value(points), np.log1p(np.exp(-margin)).mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(loss.gradient(points)[:, 0], -(weight * y * x1).mean(axis=1), rtol=1e-11, atol=1e-14)
    curvature = (weight * (1 - weight) * x1 * x2).mean(axis=1)
    np.testing.assert_allclose(loss.hessian(points)[:, 0, 1], curvature, rtol=1e-10, atol=1e-14)


def test_sharpness_is_the_largest_eigenvalue() -> None:
    hessian = sp.Matrix([[2, 1, 0], [1, 3, 1], [0, 1, 1]])
    loss = numeric_loss(quadratic(hessian, sp.eye(3)))
    largest = max(np.linalg.eigvalsh(np.array(hessian, dtype=float)))
    np.testing.assert_allclose(loss.sharpness(np.zeros((2, 3))), [largest, largest])
    negative = numeric_loss(landscape("-3*u**2 - v**2", ["u", "v"]))
    assert negative.sharpness([0.0, 0.0]) == -2  # the largest, not the largest in size


def test_sharpness_where_the_curvature_overflows() -> None:
    loss = numeric_loss(landscape("(u**2 + v**2)**4", ["u", "v"]))
    with np.errstate(all="ignore"):
        values = loss.sharpness([[1e200, 1.0], [1.0, 0.0], [np.inf, 0.0]])
    np.testing.assert_array_equal(np.isnan(values), [True, False, True])
    assert values[1] == 56  # the eighth power's second derivative


def test_a_kink_has_its_regular_curvature() -> None:
    loss = numeric_loss(landscape("abs(w) + max(w, 0)**2", ["w"]))
    points = [[-1.0], [0.0], [1.0]]
    np.testing.assert_array_equal(loss.value(points), [1, 0, 2])
    np.testing.assert_array_equal(loss.gradient(points)[:, 0], [-1, 0, 3])
    np.testing.assert_array_equal(loss.hessian(points)[[0, 2], 0, 0], [0, 2])


@pytest.mark.parametrize("names", [["x0", "w0"], ["w1", "w0"], ["lambda", "β"], ["numpy", "exp"]])
def test_names_do_not_matter(names: list[str]) -> None:
    a, b = (sp.Symbol(name, real=True) for name in names)
    data = Dataset(w5=[1.0, 2.0], x1=[0.5, 1.5])
    s, t = data.symbols
    odd = numeric_loss(Problem(sp.exp(a * s) + b**2 * t, names, data))
    plain_a, plain_b = sp.symbols("p q", real=True)
    plain = numeric_loss(Problem(sp.exp(plain_a * s) + plain_b**2 * t, ["p", "q"], data))
    points = RANDOM.normal(size=(5, 2))
    np.testing.assert_array_equal(odd.hessian(points), plain.hessian(points))
    np.testing.assert_array_equal(odd.value(points), plain.value(points))


@pytest.mark.parametrize("points", [1.0, [1.0], [[1.0, 2.0, 3.0]], []])
def test_points_of_the_wrong_shape_are_refused(points: object) -> None:
    with pytest.raises(ArgumentError, match=r"w: got shape .*; allowed: shape \(\.\.\., 2\)"):
        numeric_loss(PROBLEMS["polynomial"]).value(points)  # type: ignore[arg-type]


def test_a_parameter_without_a_value_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"problem: got parameters without value: s"):
        numeric_loss(landscape("w**2", ["w"], noise_std=sp.Symbol("s", positive=True)))


def test_fresh_data_without_a_closed_form_say_so() -> None:
    with pytest.raises(NoClosedFormError, match="not polynomial in the data"):
        numeric_loss(Problem("tanh(w*x)", ["w"], Fresh(x=Normal())))


def test_a_batch_is_the_mean_over_its_examples() -> None:
    """Every quantity of any batch, by moments or one by one, is the symbolic one of a problem on them alone."""
    for name in ("samples by moments", "samples one by one"):
        problem = PROBLEMS[name]
        assert isinstance(problem.data, Dataset)
        loss, d = numeric_loss(problem), 2
        w, v = np.random.default_rng(2).normal(size=(2, 4, d))
        batch = np.random.default_rng(3).integers(problem.data.size, size=(5, 1, 3))
        value, gradient, product = loss.value(w, batch), loss.gradient(w, batch), loss.hvp(w, v, batch)
        assert (value.shape, gradient.shape, product.shape) == ((5, 4), (5, 4, d), (5, 4, d))
        for i, rows in enumerate(batch[:, 0]):
            columns = dict(zip([s.name for s in problem.data.symbols], problem.data.values[rows].T, strict=True))
            alone = numeric_loss(Problem(problem.example_loss, problem.coordinates, Dataset(**columns)))
            np.testing.assert_allclose(value[i], alone.value(w), rtol=1e-12)
            np.testing.assert_allclose(gradient[i], alone.gradient(w), rtol=1e-11, atol=1e-13)
            hessian = alone.hessian(w)
            np.testing.assert_allclose(product[i], np.einsum("kij,kj->ki", hessian, v), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", PROBLEMS)
def test_hessian_times_vector(name: str) -> None:
    loss = numeric_loss(PROBLEMS[name])
    w, v = np.random.default_rng(4).normal(size=(2, 3, 2))
    np.testing.assert_allclose(loss.hvp(w, v), np.einsum("kij,kj->ki", loss.hessian(w), v), rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(loss.hvp(w[0], v), loss.hvp(np.broadcast_to(w[0], v.shape), v))


@pytest.mark.parametrize("batch", [[7], [-1], [0.5], 3, []])
def test_examples_that_do_not_exist_are_refused(batch: object) -> None:
    with pytest.raises(ArgumentError, match="batch"):
        numeric_loss(PROBLEMS["samples one by one"]).gradient([0.0, 0.0], batch)


def test_a_loss_without_examples_has_no_batches() -> None:
    for loss in (numeric_loss(PROBLEMS["polynomial"]), custom_loss(lambda w: w.sum(axis=-1), np.ones_like, 2)):
        assert loss.examples == 0
        with pytest.raises(ArgumentError, match="data=Dataset"):
            loss.value([0.0, 0.0], [0])


def test_a_loss_of_functions_of_ones_own() -> None:
    """L = u²v: of its value and gradient alone come Hessian and products; bad shapes are refused."""
    loss = custom_loss(
        lambda w: w[..., 0] ** 2 * w[..., 1],
        lambda w: np.stack([2 * w[..., 0] * w[..., 1], w[..., 0] ** 2], axis=-1),
        2,
    )
    same = numeric_loss(landscape("u**2*v", ["u", "v"]))
    w, v = np.random.default_rng(5).normal(size=(2, 3, 2))
    np.testing.assert_allclose(loss.hessian(w), same.hessian(w), atol=1e-8)
    np.testing.assert_allclose(loss.hvp(w, v), same.hvp(w, v), atol=1e-8)
    np.testing.assert_allclose(loss.sharpness(w), same.sharpness(w), atol=1e-8)
    with pytest.raises(ArgumentError, match="last axis"):
        loss.value([1.0, 2.0, 3.0])
    with pytest.raises(ArgumentError, match="leading axes"):
        custom_loss(lambda w: w.sum(), lambda w: w, 2).value([[1.0, 2.0], [3.0, 4.0]])
