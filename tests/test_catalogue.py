"""Named problems: curvatures and noises that were derived by hand, and the identities of single-feature models."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdtheory import (
    SGD,
    ArgumentError,
    Dataset,
    Normal,
    Problem,
    Rademacher,
    Uniform,
    deep_linear,
    linear_regression,
    logistic_regression,
    make_dynamics,
    quadratic,
    scalar_mean,
    single_feature,
    sticky_1d,
    sticky_2d,
)
from sgdtheory.catalogue import CATALOGUE
from sgdtheory.derive.sufficient import batch_means
from sgdtheory.testing import hessian_and_noise, polynomials, rationals, spd_matrices

σ = sp.Symbol("sigma", positive=True)
COORDINATES = sp.symbols("w1:4", real=True)
DIMENSIONS = pytest.mark.parametrize("d", [1, 2, 3])


def gradient(q: sp.Expr, w: tuple[sp.Symbol, ...]) -> sp.Matrix:
    return sp.Matrix([sp.diff(q, v) for v in w])


@DIMENSIONS
@settings(max_examples=10)
@given(st.data())
def test_noise_of_a_single_feature_model_follows_from_its_hessian(d: int, data: st.DataObject) -> None:
    """C = (σ² + 2Q²)(H − Q Q'') for x ~ N(0, 1), since C = Var(x(Qx − y)) ∇Q ∇Qᵀ and H = ∇Q ∇Qᵀ + Q Q''."""
    w = COORDINATES[:d]
    q, at = data.draw(polynomials(w, 4 - d)), {v: data.draw(rationals()) for v in w}
    problem = single_feature(q, w, σ)
    predicted = (σ**2 + 2 * q**2) * (problem.hessian - q * sp.hessian(q, w))
    assert (problem.gradient_noise - predicted).subs(at).expand().is_zero_matrix


@DIMENSIONS
@settings(max_examples=6)
@given(st.data())
def test_noise_is_variance_times_hessian_where_the_residual_vanishes(d: int, data: st.DataObject) -> None:
    """C = σ²H on {Q = 0}."""
    w = COORDINATES[:d]
    rest, surface = data.draw(polynomials(w, 1)), data.draw(polynomials(w[1:], 1))
    problem = single_feature((w[0] - surface) * rest, w, σ)
    at = {v: data.draw(rationals()) for v in w[1:]}
    at[w[0]] = surface.subs(at)
    assert (problem.gradient_noise - σ**2 * problem.hessian).subs(at).expand().is_zero_matrix


def test_noise_is_not_proportional_to_the_hessian_elsewhere() -> None:
    """The statement without its condition: off {Q = 0} in the plane C has rank 1 and H has not."""
    w = COORDINATES[:2]
    problem, at = single_feature(w[0] * w[1] ** 2, w, σ), dict.fromkeys(w, 1)
    assert problem.gradient_noise.subs(at).rank() == 1
    assert problem.hessian.subs(at).det() == -10
    assert not (problem.gradient_noise - σ**2 * problem.hessian).subs(at).is_zero_matrix


@pytest.mark.parametrize("x", [Uniform(-1, 2), Rademacher(), Normal(1, 2)], ids=str)
@DIMENSIONS
def test_noise_for_other_features(d: int, x: Uniform) -> None:
    """C = (σ² m₂ + Q²(m₄ − m₂²)) ∇Q ∇Qᵀ and H = m₂ (∇Q ∇Qᵀ + Q Q'')."""
    w = COORDINATES[:d]
    q = sum(w) ** 2 - w[0]
    slope, m2, m4 = gradient(q, w), x.moment(2), x.moment(4)
    problem = single_feature(q, w, σ, x=x)
    noise = (σ**2 * m2 + q**2 * (m4 - m2**2)) * slope * slope.T
    assert (problem.gradient_noise - noise).expand().is_zero_matrix
    assert (problem.hessian - m2 * (slope * slope.T + q * sp.hessian(q, w))).expand().is_zero_matrix


@pytest.mark.parametrize("make", [sticky_1d, sticky_2d], ids=["1-D", "2-D"])
def test_the_factor_one_half(make: object) -> None:
    """Without it the loss, its gradient and its Hessian double, and the noise quadruples."""
    half, full = make(convention="half squared error"), make(convention="squared error")  # type: ignore[operator]
    assert sp.expand(full.loss - 2 * half.loss) == 0
    assert (full.gradient - 2 * half.gradient).expand().is_zero_matrix
    assert (full.hessian - 2 * half.hessian).expand().is_zero_matrix
    assert (full.gradient_noise - 4 * half.gradient_noise).expand().is_zero_matrix
    assert (half.convention, full.convention) == ("half squared error", "squared error")


@pytest.mark.parametrize(("convention", "factor"), [("half squared error", 16), ("squared error", 32)])
def test_curvature_of_the_sticky_minima(convention: str, factor: int) -> None:
    """d = (1, 2): 16 w0⁴ (32 w0⁴) at the sharp minimum; at the degenerate one the loss is of fourth order."""
    w0 = sp.Symbol("w0", positive=True)
    problem = sticky_1d(1, 2, w0, convention=convention)
    w = problem.coordinates[0]
    assert sp.simplify(problem.hessian[0].subs(w, -w0)) == factor * w0**4
    slopes = [sp.simplify(sp.diff(problem.loss, w, k).subs(w, w0)) for k in range(1, 5)]
    assert slopes == [0, 0, 0, 3 * factor * w0**2]


def test_the_sticky_plane() -> None:
    """H = 0 on the line w1 = 0 for d = 2; for d = 1 it is a^(4a) along w1 there, and 0 at the origin."""
    flat, steep = sticky_2d(2), sticky_2d(1)
    w1, w2 = steep.coordinates
    assert flat.hessian.subs(w1, 0).is_zero_matrix
    assert steep.hessian.subs(w1, 0).expand() == sp.Matrix([[w2**8, 0], [0, 0]])
    assert steep.hessian.subs({w1: 0, w2: 0}).is_zero_matrix


@DIMENSIONS
@settings(max_examples=8)
@given(st.data())
def test_quadratic_has_the_hessian_and_the_noise_it_was_given(d: int, data: st.DataObject) -> None:
    pair = st.tuples(spd_matrices(d), spd_matrices(d))
    h, c = data.draw(pair if d == 1 else pair | hessian_and_noise(d, commute=False))
    problem = quadratic(h, c)
    assert problem.hessian == h
    assert problem.gradient_noise.applyfunc(sp.simplify) == c
    assert [w.name for w in problem.coordinates] == (["w"] if d == 1 else [f"w{i}" for i in range(1, d + 1)])
    assert problem.gradient.subs(dict.fromkeys(problem.coordinates, 0)).is_zero_matrix


def test_scalar_mean() -> None:
    m = sp.Symbol("m", real=True)
    problem = scalar_mean(σ, m)
    β = problem.coordinates[0]
    assert sp.expand(problem.loss - ((β - m) ** 2 + σ**2) / 2) == 0
    assert (sp.expand(problem.gradient[0]), problem.hessian[0], problem.gradient_noise[0]) == (β - m, 1, σ**2)


CONVENTIONS = pytest.mark.parametrize(("convention", "factor"), [("half squared error", 1), ("squared error", 2)])


@CONVENTIONS
@DIMENSIONS
@settings(max_examples=5)
@given(st.data())
def test_linear_regression_has_the_closed_forms_it_states(
    d: int, convention: str, factor: int, data: st.DataObject
) -> None:
    """L = ½(ΔᵀHΔ + σ²), H = diag(s²), C = (σ² + ΔᵀHΔ)H + HΔΔᵀH with the ½; ×2, ×2 and ×4 without."""
    stds, teacher = ([data.draw(rationals(0, 3)) for _ in range(d)] for _ in range(2))
    problem = linear_regression(d, σ, stds=stds, teacher=teacher, convention=convention)
    assert [w.name for w in problem.coordinates] == (["w"] if d == 1 else [f"w{i}" for i in range(1, d + 1)])
    gap, hessian = sp.Matrix(problem.coordinates) - sp.Matrix(teacher), sp.diag(*(s**2 for s in stds))
    square = (gap.T * hessian * gap)[0]
    assert sp.expand(problem.loss - factor * (square + σ**2) / 2) == 0
    assert problem.hessian == factor * hessian
    noise = (σ**2 + square) * hessian + hessian * gap * gap.T * hessian
    assert (problem.gradient_noise - factor**2 * noise).expand().is_zero_matrix
    assert problem.convention == convention


def test_a_teacher_may_be_a_parameter_and_one_number_holds_for_all_features() -> None:
    t = sp.Symbol("t", real=True)
    problem = linear_regression(3, 0, stds=2, teacher=t)
    assert problem.free_parameters == (t,)
    assert sp.expand(problem.loss - 2 * sum((w - t) ** 2 for w in problem.coordinates)) == 0
    assert problem.bind(t=1).parameters == ((t, 1),)


def test_batches_of_a_linear_regression_are_known_by_their_sums() -> None:
    """d(d + 1)/2 normal numbers and d of χ², the labels' noise being one more normal row."""
    means = batch_means(make_dynamics(linear_regression(3), SGD()))
    assert means is not None
    assert (len(means.normals), [fewer for _, fewer in means.chi_squares]) == (6, [0, 1, 2])


@CONVENTIONS
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_deep_linear_at_a_minimum(depth: int, convention: str, factor: int) -> None:
    """Hessian s²c² (1/wᵢ)(1/wⱼ) on w1⋯wk = c: of rank one, its trace is the sharpness."""
    c, s = sp.symbols("c s", positive=True)
    problem = deep_linear(depth, c, convention=convention, x=Normal(0, s))
    w = problem.coordinates
    at = {w[-1]: c / sp.Mul(*w[:-1])}
    inverse = sp.Matrix([1 / v for v in w]).xreplace(at)
    expected = factor * s**2 * c**2 * inverse * inverse.T
    assert (problem.hessian.xreplace(at) - expected).applyfunc(sp.simplify).is_zero_matrix
    assert problem.gradient.xreplace(at).applyfunc(sp.simplify).is_zero_matrix


def test_gradient_flow_of_a_deep_linear_chain_keeps_differences_of_squares() -> None:
    """d(wᵢ² − wⱼ²)/dt = −2(wᵢ ∂ᵢL − wⱼ ∂ⱼL) = 0."""
    problem = deep_linear(3)
    rates = [sp.expand(w * g) for w, g in zip(problem.coordinates, problem.gradient, strict=True)]
    assert rates[0] == rates[1] == rates[2] != 0


@settings(max_examples=5)
@given(st.lists(rationals(), min_size=2, max_size=2), st.integers(0, 1000))
def test_logistic_regression_against_sums_written_out(at: list[sp.Rational], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(4, 2)), rng.choice([-1, 1], 4)
    problem = logistic_regression(Dataset(a=x[:, 0], y=y, b=x[:, 1]))
    wrong = 1 / (1 + np.exp(y * (x @ np.array(at, dtype=float))))
    where = dict(zip(problem.coordinates, at, strict=True))

    def value(matrix: sp.Matrix) -> np.ndarray:
        return np.array(matrix.xreplace(where).evalf(), dtype=float)

    rows = -y[:, None] * x * wrong[:, None]
    np.testing.assert_allclose(float(problem.loss.xreplace(where)), -np.log(1 - wrong).mean(), rtol=1e-12)
    np.testing.assert_allclose(value(problem.gradient)[:, 0], rows.mean(0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(value(problem.hessian), x.T @ (x * (wrong * (1 - wrong))[:, None]) / 4, atol=1e-9)


def test_where_nothing_is_learned_yet_logistic_regression_is_indifferent() -> None:
    """At w = 0: L = log 2, gradient −½ mean(yx), Hessian ¼ mean(xxᵀ)."""
    problem = logistic_regression()
    at = {problem.coordinates[0]: sp.S.Zero}
    assert float(problem.loss.xreplace(at)) == pytest.approx(np.log(2))
    assert (float(problem.gradient[0].xreplace(at)), float(problem.hessian[0].xreplace(at))) == (-0.25, 0.625)


def test_a_data_set_in_place_of_fresh_data() -> None:
    data = Dataset(x=[1, 2], y=[0, 1])
    problem = single_feature("w1", ["w1"], data=data)
    assert sp.expand(problem.loss - (sp.Float(2.5) * COORDINATES[0] ** 2 - 2 * COORDINATES[0] + 0.5) / 2) == 0
    assert problem.data is data
    assert sticky_1d(data=data).data is data


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_named_problem_works_without_arguments(name: str) -> None:
    problem = CATALOGUE[name]()
    assert isinstance(problem, Problem)
    assert len(make_dynamics(problem, SGD()).state) == problem.dimension
    assert problem.gradient_noise.shape == problem.hessian.shape == (problem.dimension,) * 2


def test_degrees_may_be_numpy_integers() -> None:
    assert sticky_1d(np.int64(1), np.int64(2)) == sticky_1d(1, 2)


@pytest.mark.parametrize(
    ("make", "argument", "value"),
    [
        (lambda: scalar_mean(-1), "noise_std", "-1"),
        (lambda: scalar_mean("1"), "noise_std", "'1'"),
        (lambda: scalar_mean(1, float("nan")), "mean", "nan"),
        (lambda: quadratic(sp.Matrix([[1, 2], [0, 1]]), sp.eye(2)), "hessian", "Matrix"),
        (lambda: quadratic(sp.Matrix([[1, 2]]), 1), "hessian", "shape (1, 2)"),
        (lambda: quadratic([["1"]], 1), "hessian", "'1'"),
        (lambda: quadratic(sp.eye(2), sp.eye(3)), "covariance", "shape (3, 3)"),
        (lambda: quadratic(sp.eye(2)), "covariance", "sigma**2"),
        (lambda: quadratic(1, -1), "covariance", "-1"),
        (lambda: quadratic(sp.eye(2), [[1, sp.Symbol("w1")], [sp.Symbol("w1"), 1]]), "covariance", "w1"),
        (lambda: single_feature("w1", ["w1"], -1), "noise_std", "-1"),
        (lambda: single_feature("w1", ["w1"], convention="as given"), "convention", "as given"),
        (lambda: single_feature("w1", ["w1"], convention=["half"]), "convention", "half"),
        (lambda: single_feature("w1*x", ["w1", "x"]), "q", "w1*x"),
        (lambda: single_feature(sp.Symbol("y"), ["w1"]), "q", "y"),
        (lambda: single_feature("w1", ["w1"], data=Dataset(x=[1], z=[1])), "data", "Dataset(x, z"),
        (lambda: single_feature("w1", ["w1"], data=[1, 2]), "data", "[1, 2]"),
        (lambda: single_feature("w1", ["w1"], 2, data=Dataset(x=[1], y=[1])), "noise_std", "(2,)"),
        (lambda: single_feature("w1", ["w1"], x=Normal(), data=Dataset(x=[1], y=[1])), "x", "(Normal("),
        (lambda: single_feature("w1", ["w1"], 0, x=Normal(), data=Dataset(x=[1], y=[1])), "noise_std, x", "(0, "),
        (lambda: single_feature([1], ["w1"]), "q", "[1]"),
        (lambda: sticky_1d(0, 1), "d1", "0"),
        (lambda: sticky_1d(1, 21), "d2", "21"),
        (lambda: sticky_1d(1, 2.0), "d2", "2.0"),
        (lambda: sticky_1d(True, 2), "d1", "True"),
        (lambda: sticky_1d(1, 2, 0), "w0", "0"),
        (lambda: sticky_1d(1, 2, -1.8), "w0", "-1.8"),
        (lambda: sticky_1d(1, 2, "1.8"), "w0", "'1.8'"),
        (lambda: sticky_2d(1, 0), "a", "0"),
        (lambda: linear_regression(0), "features", "0"),
        (lambda: linear_regression(2, -1), "noise_std", "-1"),
        (lambda: linear_regression(2, stds=[1, -1]), "stds", "-1"),
        (lambda: linear_regression(2, stds=[1]), "stds", "1 numbers"),
        (lambda: linear_regression(2, teacher=[1, 2, 3]), "teacher", "3 numbers"),
        (lambda: linear_regression(2, teacher="1"), "teacher", "'1'"),
        (lambda: linear_regression(1, teacher=sp.Symbol("w")), "teacher", "w"),
        (lambda: linear_regression(convention="as given"), "convention", "as given"),
        (lambda: logistic_regression([1, 2]), "data", "[1, 2]"),
        (lambda: logistic_regression(Dataset(x=[1], z=[1])), "data", "Dataset(x, z"),
        (lambda: logistic_regression(Dataset(y=[1])), "data", "Dataset(y"),
        (lambda: logistic_regression(Dataset(x=[1, 2], y=[0, 1])), "data", "the label 0.0"),
        (lambda: deep_linear(0), "depth", "0"),
        (lambda: deep_linear(2, sp.Symbol("w2")), "teacher", "w2"),
        (lambda: deep_linear(2, sp.Symbol("x")), "q", "x"),
        (lambda: deep_linear(convention="half"), "convention", "half"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(make: object, argument: str, value: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()  # type: ignore[operator]
    assert str(caught.value).startswith(f"{argument}: got ")
    assert value in str(caught.value).split("; allowed: ")[0]
