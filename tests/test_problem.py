"""Population quantities against listing every outcome; batches against listing every batch."""

from __future__ import annotations

import pickle

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import brute_force

from sgdtheory import (
    SGD,
    ArgumentError,
    Dataset,
    Fresh,
    NoClosedFormError,
    Normal,
    Problem,
    Rademacher,
    Uniform,
    landscape,
)
from sgdtheory.derive.moments import stationary_covariance
from sgdtheory.laws import SAMPLINGS
from sgdtheory.problem import as_matrix
from sgdtheory.testing import data_sets, hessian_and_noise, laws, polynomials, rationals, spd_matrices

x, y = sp.symbols("x y", real=True)
COORDINATES = sp.symbols("w1:4", real=True)
ROUNDING = 1024 * 2**-53  # of a few hundred floating-point operations

Case = tuple[Problem, dict[sp.Symbol, sp.Rational]]


@st.composite
def cases(draw: st.DrawFn, data: st.SearchStrategy[Fresh | Dataset]) -> Case:
    """A problem in 1 to 3 dimensions, quadratic in two data symbols, and a point."""
    coordinates = COORDINATES[: draw(st.integers(1, 3))]
    degree = 1 if len(coordinates) == 3 else 2
    loss = sp.Add(*(draw(polynomials(coordinates, degree)) * monomial for monomial in (1, x, y, x**2, x * y, y**2)))
    point = {w: draw(rationals()) for w in coordinates}
    return Problem(loss, coordinates, draw(data)), point


fresh = st.builds(lambda a, b: Fresh(x=a, y=b), laws(), laws())


def listed_loss(problem: Problem) -> sp.Expr:
    return sp.Add(*(p * problem.example_loss.subs(v) for p, v in brute_force.outcomes(problem.data)))


@settings(max_examples=20)
@given(cases(fresh))
def test_fresh_data_give_what_listing_gives(case: Case) -> None:
    problem, point = case
    loss = listed_loss(problem)
    slopes = brute_force.example_gradients(problem.example_loss, problem.coordinates, problem.data, point)
    mean, covariance = brute_force.mean_and_covariance(slopes)
    assert sp.expand(problem.loss - loss) == 0
    assert problem.gradient.subs(point) == mean
    assert problem.hessian == sp.hessian(sp.expand(loss), problem.coordinates).applyfunc(sp.expand)
    assert problem.gradient_noise.subs(point) == covariance


@settings(max_examples=20)
@given(cases(data_sets(max_size=5)))
def test_a_data_set_gives_what_listing_gives(case: Case) -> None:
    """Rational arithmetic against means of floats: the difference is rounding, of the sizes that were added up."""
    problem, point = case
    slopes = brute_force.example_gradients(problem.example_loss, problem.coordinates, problem.data, point)
    mean, covariance = brute_force.mean_and_covariance(slopes)
    size = 1 + max(abs(c) for c in sp.Poly(problem.example_loss, *problem.coordinates, x, y).coeffs()) * 4**4 * 8
    assert abs(problem.loss.subs(point) - listed_loss(problem).subs(point)) <= ROUNDING * size
    assert max(map(abs, problem.gradient.subs(point) - mean)) <= ROUNDING * size
    assert max(map(abs, problem.gradient_noise.subs(point) - covariance)) <= ROUNDING * size**2
    hessian = sp.hessian(listed_loss(problem), problem.coordinates).subs(point)
    assert max(map(abs, problem.hessian.subs(point) - hessian)) <= ROUNDING * size


@pytest.mark.parametrize("d", [1, 2, 3])
def test_gradient_noise_is_a_covariance(d: int) -> None:
    """Symmetric, no direction of negative variance, and 0 along directions that the data do not move."""
    w = COORDINATES[:d]
    problem = Problem((sum(w) * x - y) ** 2 / 2, w, Fresh(x=Uniform(0, 2), y=Rademacher()))
    noise = problem.gradient_noise
    assert noise == noise.T
    assert noise.rank() == 1
    assert noise.subs(dict.fromkeys(w, 1)).is_positive_semidefinite


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("n", range(1, 7))
def test_batch_noise_equals_listing_all_batches(sampling: str, n: int) -> None:
    """Without replacement, Σ/B·(n − B)/(n − 1)."""
    w = COORDINATES[:2]
    data = Dataset(x=[1, 2, 0.5, -1, 3, 1][:n], y=[0, 1, 1, 2, -2, 0.5][:n], sampling=sampling)
    problem, point = (
        Problem((w[0] * x + w[1] - y) ** 2 / 2, w, data),
        dict(zip(w, (sp.Rational(1, 2), -1), strict=True)),
    )
    slopes = [g for _, g in brute_force.example_gradients(problem.example_loss, w, data, point)]
    for size in range(1, min(n, 4 if sampling == "with replacement" else n) + 1):
        batches = brute_force.batches(data, size)
        weighted = [(sp.Rational(1, len(batches)), brute_force.batch_mean(slopes, batch)) for batch in batches]
        _, covariance = brute_force.mean_and_covariance(weighted)
        assert max(map(abs, problem.batch_noise(size).subs(point) - covariance)) <= ROUNDING * 100


@pytest.mark.parametrize("position", [0, 1])
def test_every_batch_of_an_epoch_has_the_same_law(position: int) -> None:
    values = [sp.Integer(v) for v in (0, 1, 3, 7, 2)]
    problem = Problem((COORDINATES[0] - y) ** 2 / 2, COORDINATES[:1], Dataset(y=values, sampling="reshuffle"))
    batches = brute_force.epoch_batches(5, 2, position)
    weighted = [(sp.Rational(1, 120), [-sum(values[i] for i in batch) / 2]) for batch in batches]
    _, covariance = brute_force.mean_and_covariance(weighted)
    assert float(problem.batch_noise(2)[0]) == pytest.approx(float(covariance[0]), rel=1e-14)


def test_batch_noise_of_independent_examples_falls_as_one_over_the_batch() -> None:
    size = sp.Symbol("B", positive=True)
    problem = Problem((COORDINATES[0] - y) ** 2, COORDINATES[:1], Fresh(y=Normal(1, 3)))
    assert problem.batch_noise(size)[0] == 36 / size
    assert problem.batch_noise(9)[0] == 4


@pytest.mark.parametrize("sampling", ["one epoch", "reshuffle"])
def test_one_sample_has_no_noise(sampling: str) -> None:
    problem = Problem((COORDINATES[0] - y) ** 2, COORDINATES[:1], Dataset(y=[2], sampling=sampling))
    assert problem.batch_noise(1)[0] == 0


def test_symbols_are_matched_by_name() -> None:
    plain = Problem((sp.Symbol("y") - sp.Symbol("w1") * sp.Symbol("x")) ** 2, ["w1"], Fresh(x=Normal(), y=Normal()))
    real = Problem((y - COORDINATES[0] * x) ** 2, [COORDINATES[0]], Fresh(x=Normal(), y=Normal()))
    text = Problem("(y - w1*x)**2", ["w1"], Fresh(x=Normal(), y=Normal()))
    dummy = sp.Dummy("w1")
    odd = Problem((y - dummy * x) ** 2, [dummy], Fresh(x=Normal(), y=Normal()))
    assert plain == real == text == odd
    assert plain.free_parameters == ()
    assert plain.hessian[0] == 2


def test_parameters_of_the_loss_and_of_the_law() -> None:
    sigma, a = sp.Symbol("sigma", positive=True), sp.Symbol("a", real=True)
    problem = Problem("a*(w1 - y)**2", ["w1"], Fresh(y=Normal(0, sigma)), {"a": 2})
    assert problem.parameters == ((a, 2),)
    assert problem.free_parameters == (sigma,)
    assert problem.bind(sigma=3).free_parameters == ()
    assert problem.bind(sigma=3, a=5).parameters == ((a, 5), (sigma, 3))
    assert problem.gradient_noise[0] == 4 * a**2 * sigma**2
    by_symbol = Problem(sp.Symbol("sigma") * (COORDINATES[0] - y) ** 2, ["w1"], Fresh(y=Normal(0, sigma)))
    assert by_symbol.free_parameters == (sigma,)
    assert Problem("sigma*(w1 - y)**2", ["w1"], Fresh(y=Normal(0, sigma))) == by_symbol


def test_the_population_problem_has_the_same_loss_and_no_noise() -> None:
    problem = Problem("a*(w1*x - y)**2", ["w1"], Fresh(x=Normal(), y=Normal(1, 2)), {"a": 2})
    exact = problem.population()
    assert exact.loss == problem.loss
    assert exact.gradient == problem.gradient == exact.example_gradient
    assert exact.gradient_noise.is_zero_matrix
    assert exact.parameters == problem.parameters


@pytest.mark.parametrize("kink", ["max(w1, 0)", "-min(-w1, 0)", "abs(w1)/2 + w1/2"])
def test_kinks_have_a_gradient_in_the_listed_functions(kink: str) -> None:
    gradient = Problem(kink, ["w1"]).example_gradient[0]
    assert not gradient.has(sp.Heaviside)
    assert [gradient.subs(COORDINATES[0], at) for at in (-2, 0, 3)] == [0, sp.Rational(1, 2), 1]


@settings(max_examples=20)
@given(st.integers(1, 3), st.data())
def test_landscape_noise_has_the_given_covariance(d: int, data: st.DataObject) -> None:
    w = COORDINATES[:d]
    covariance, loss = data.draw(spd_matrices(d)), data.draw(polynomials(w, 3))
    problem = landscape(loss, w, covariance=covariance)
    assert problem.gradient_noise.applyfunc(sp.simplify) == covariance
    assert sp.expand(problem.loss - loss) == 0
    std = data.draw(rationals(0, 3))
    assert landscape(loss, w, noise_std=std).gradient_noise == std**2 * sp.eye(d)


@pytest.mark.parametrize(
    "rows",
    [
        [[0, 0], [0, 1]],
        [[1, 1], [1, 1]],
        [[4, 2], [2, 1]],
        [[0]],
        [[1, 0, 1], [0, 0, 0], [1, 0, 1]],
        [[0, 0, 0], [0, 2, 2], [0, 2, 3]],
    ],
)
def test_some_directions_may_be_without_noise(rows: list[list[int]]) -> None:
    w = COORDINATES[: len(rows)]
    assert landscape(w[0] ** 2, w, covariance=rows).gradient_noise == sp.ImmutableMatrix(rows)


@settings(max_examples=10)
@given(hessian_and_noise(3, commute=True), hessian_and_noise(3, commute=False))
def test_drawn_matrices_commute_or_not(same: tuple[sp.Matrix, ...], other: tuple[sp.Matrix, ...]) -> None:
    assert same[0] * same[1] == same[1] * same[0]
    assert other[0] * other[1] != other[1] * other[0]
    assert all(m.is_positive_definite for m in (*same, *other))


def test_matrices_may_be_given_in_several_ways() -> None:
    import numpy as np

    expected = sp.Matrix([[2, 1], [1, 2]])
    for given_as in ([[2, 1], [1, 2]], ((2, 1), (1, 2)), np.array([[2, 1], [1, 2]]), expected, expected.as_immutable()):
        assert as_matrix(given_as, "m") == expected
    assert as_matrix(3, "m") == sp.Matrix([[3]])


def test_a_problem_is_a_value() -> None:
    problem = Problem("(y - w1*x)**2", ["w1"], Fresh(x=Normal(), y=Normal()), name="regression")
    assert pickle.loads(pickle.dumps(problem)) == problem
    assert len({problem, Problem("(y - w1*x)**2", ["w1"], Fresh(x=Normal(), y=Normal()), name="regression")}) == 1
    assert problem != Problem("(y - w1*x)**2", ["w1"], Fresh(x=Normal(), y=Normal(0, 2)), name="regression")
    with pytest.raises(AttributeError):
        problem.name = "other"  # type: ignore[misc]


def test_bind_refuses_what_is_no_parameter() -> None:
    problem = Problem(sp.Symbol("a", positive=True) * COORDINATES[0], ["w1"])
    for name, value, allowed in (("b", 1, "the parameters a"), ("w1", 1, "the parameters a"), ("a", -1, "positive")):
        with pytest.raises(ArgumentError, match=f"{name}: got {value}; allowed: .*{allowed}"):
            problem.bind(**{name: value})


COLUMN = COORDINATES[:2]
ROOT = sp.Matrix([[COLUMN[0], 1], [COLUMN[1] ** 2, sp.Symbol("a", positive=True)]])


def test_a_perturbation_is_noise_and_nothing_else() -> None:
    """Two fair signs list every outcome of C(w)·x: the mean stays ∇L and the covariance is C·Cᵀ."""
    noise = list(ROOT * sp.Matrix([x, y]))
    loss = COLUMN[0] ** 2 * COLUMN[1]
    problem = Problem(loss, COLUMN, Fresh(x=Rademacher(), y=Rademacher()), {"a": 3}, perturbation=noise)
    listed = brute_force.outcomes(problem.data)
    weighted = [(p, list(problem.example_gradient.subs(values))) for p, values in listed]
    mean, covariance = brute_force.mean_and_covariance(weighted)
    assert mean == problem.gradient == sp.Matrix([2 * COLUMN[0] * COLUMN[1], COLUMN[0] ** 2])
    assert covariance == problem.gradient_noise.applyfunc(sp.expand) == (ROOT * ROOT.T).applyfunc(sp.expand)
    assert problem.batch_noise(4).applyfunc(sp.expand) == (ROOT * ROOT.T / 4).applyfunc(sp.expand)
    assert problem.loss == loss
    assert problem.hessian == sp.hessian(loss, COLUMN)


def test_a_perturbation_is_part_of_the_value() -> None:
    data = Fresh(x=Normal())
    plain, noisy = Problem("w1**2", ["w1"], data), Problem("w1**2", ["w1"], data, perturbation=["w1*x"])
    assert plain == Problem("w1**2", ["w1"], data, perturbation=[0])
    assert plain.perturbation == (0,)
    assert plain != noisy == Problem("w1**2", ["w1"], data, perturbation=[sp.Symbol("w1") * sp.Symbol("x")])
    assert "perturbation=(w1*x,)" in repr(noisy)
    assert pickle.loads(pickle.dumps(noisy)) == noisy
    assert noisy.population().example_gradient == noisy.gradient
    assert noisy.population().gradient_noise.is_zero_matrix


def test_parameters_of_a_perturbation() -> None:
    a = sp.Symbol("a", positive=True)
    problem = Problem("w1**2", ["w1"], Fresh(x=Normal()), perturbation=[a * x])
    assert problem.free_parameters == (a,)
    bound = problem.bind(a=2)
    assert (bound.free_parameters, bound.parameters, bound.perturbation) == ((), ((a, 2),), (a * x,))
    assert bound.gradient_noise[0] == a**2
    assert bound.population().parameters == ()
    shifted = Problem("w1**2", ["w1"], Fresh(x=Normal(a - 1)), {"a": 1}, perturbation=["w1*x"])
    with pytest.raises(ArgumentError, match="perturbation: got w1\\*x, whose mean is w1"):
        shifted.bind(a=2)


def test_a_perturbation_of_a_data_set() -> None:
    data = Dataset(x=[-1, 1, 2, -2], sampling="without replacement")
    problem = Problem("w1**2", ["w1"], data, perturbation=["w1*x"])
    assert problem.gradient_noise[0] == 2.5 * COORDINATES[0] ** 2
    assert float(problem.batch_noise(3)[0].subs(COORDINATES[0], 1)) == pytest.approx(2.5 / 9, rel=1e-14)


def test_landscape_noise_may_depend_on_the_state() -> None:
    w = COLUMN
    problem = landscape(w[0] ** 2, w, noise_root=ROOT)
    assert problem.gradient_noise.applyfunc(sp.expand) == (ROOT * ROOT.T).applyfunc(sp.expand)
    assert problem.gradient == sp.Matrix([2 * w[0], 0])
    diagonal = sp.diag(1 + w[1] ** 2, w[0] ** 2)
    assert landscape("w1**2", ["w1", "w2"], covariance=diagonal).gradient_noise == diagonal
    by_name = landscape("w1**2", ["w1"], covariance=[[sp.Symbol("w1") ** 2]])
    assert by_name == landscape("w1**2", ["w1"], noise_root=[[sp.Abs(w[0])]])


def test_a_constant_root_is_the_constant_covariance() -> None:
    root = sp.Matrix([[2, 0], [1, 3]])
    given_root = landscape("w1**2 + w2", ["w1", "w2"], noise_root=root)
    assert given_root == landscape("w1**2 + w2", ["w1", "w2"], covariance=root * root.T)
    assert given_root.perturbation == (0, 0)
    assert given_root.gradient_noise == root * root.T


def test_batches_without_replacement_are_independent_so_moments_close() -> None:
    """Σ/B·(n − B)/(n − 1), also in the long run; batches of an epoch are refused."""
    values, size = [0, 1, 3, 7, 2], 2
    problems = {
        sampling: Problem((COORDINATES[0] - y) ** 2 / 2, COORDINATES[:1], Dataset(y=values, sampling=sampling))
        for sampling in ("with replacement", "without replacement", "reshuffle")
    }
    variance = {s: stationary_covariance(problems[s], SGD(lr=0.5), size)[0] for s in list(problems)[:2]}
    ratio = float(variance["without replacement"] / variance["with replacement"])
    assert ratio == pytest.approx((5 - size) / (5 - 1), rel=1e-14)
    with pytest.raises(NoClosedFormError, match="depend on each other"):
        stationary_covariance(problems["reshuffle"], SGD(lr=0.5), size)
