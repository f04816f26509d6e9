"""Laws of data: exact moments against quadrature, means and covariances against listing."""

from __future__ import annotations

import math
import pickle

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from naive.brute_force import outcomes

from sgdtheory import (
    ArgumentError,
    Dataset,
    Fresh,
    NoClosedFormError,
    Normal,
    Problem,
    Quantile,
    Rademacher,
    StudentT,
    Uniform,
)
from sgdtheory.laws import law_symbols
from sgdtheory.testing import data_sets, laws, rationals

x, y, w = sp.symbols("x y w", real=True)
ORDERS = st.integers(0, 7)


def integral(function: object, *ends: sp.Expr) -> mpmath.mpf:
    return mpmath.quad(function, [mpmath.mpf(e.p) / e.q for e in map(sp.Rational, ends)])


@settings(max_examples=25)
@given(rationals(), rationals(sp.Rational(1, 4), 3), ORDERS)
def test_normal_moments_equal_the_integral_over_the_density(mean: sp.Rational, std: sp.Rational, order: int) -> None:
    m, s = (mpmath.mpf(v.p) / v.q for v in (mean, std))

    def integrand(value: mpmath.mpf) -> mpmath.mpf:
        return value**order * mpmath.exp(-((value - m) ** 2) / (2 * s**2)) / (s * mpmath.sqrt(2 * mpmath.pi))

    numerical = mpmath.quad(integrand, [m + k * s for k in range(-16, 17, 2)])
    size = mpmath.quad(lambda value: abs(integrand(value)), [m + k * s for k in range(-16, 17, 2)])
    exact = Normal(mean, std).moment(order)
    assert abs(numerical - mpmath.mpf(exact.p) / exact.q) <= 1e-12 * size


@given(rationals(), rationals(0, 4), ORDERS)
@example(sp.Integer(2), sp.Integer(0), 5)
def test_uniform_moments_equal_the_integral_over_the_transform(
    low: sp.Rational, width: sp.Rational, order: int
) -> None:
    law, u = Uniform(low, low + width), sp.Symbol("u", real=True)
    assert law.moment(order) == sp.integrate(sp.expand(law.transform(u) ** order), (u, 0, 1))


@pytest.mark.parametrize("order", range(7))
def test_rademacher_moments_equal_the_integral_over_the_transform(order: int) -> None:
    u = sp.Symbol("u", real=True)
    assert Rademacher().moment(order) == sp.integrate(Rademacher().transform(u) ** order, (u, 0, 1))


@given(rationals(), rationals(0, 3), ORDERS)
def test_the_transform_of_a_standard_normal_has_the_moments(mean: sp.Rational, std: sp.Rational, order: int) -> None:
    z = sp.Symbol("z", real=True)
    standard = {k: 0 if k % 2 else sp.prod(range(1, k, 2)) for k in range(order + 1)}  # 1, 0, 1, 0, 3, 0, 15
    powers = sp.Poly(Normal(mean, std).transform(z) ** order, z).terms()
    assert Normal(mean, std).moment(order) == sum(c * standard[k] for (k,), c in powers)


def test_symbolic_moments() -> None:
    m, s, a, b = sp.symbols("m s a b", positive=True)
    assert sp.expand(Normal(m, s).moment(4) - (m**4 + 6 * m**2 * s**2 + 3 * s**4)) == 0
    assert sp.simplify(Uniform(a, b).moment(3) - (b**4 - a**4) / (4 * (b - a))) == 0


@given(laws(), st.integers(0, 3))
def test_no_moment_violates_the_inequality_of_cauchy_and_schwarz(law: Normal, order: int) -> None:
    assert law.moment(order) ** 2 <= law.moment(2 * order)


@settings(max_examples=30)
@given(laws(), laws(), st.lists(st.tuples(*[st.integers(0, 5)] * 2, rationals()), min_size=1, max_size=4))
def test_a_fresh_mean_equals_the_three_point_rule(
    first: Normal, second: Uniform, terms: list[tuple[int, int, sp.Rational]]
) -> None:
    data = Fresh(x=first, y=second)
    polynomial = sp.Add(*(c * x**i * y**j * w for i, j, c in terms))
    listed = sum(p * polynomial.subs(values) for p, values in outcomes(data))
    assert sp.expand(data.mean(polynomial) - listed) == 0


@given(data_sets(), st.lists(st.tuples(*[st.integers(0, 3)] * 2, rationals()), min_size=1, max_size=4))
def test_a_data_set_mean_equals_the_exact_average(data: Dataset, terms: list[tuple[int, int, sp.Rational]]) -> None:
    polynomial = sp.Add(*(c * x**i * y**j for i, j, c in terms))
    listed = [p * polynomial.subs(values) for p, values in outcomes(data)]
    scale = sum(abs(c) * abs(x**i * y**j).subs(v) for i, j, c in terms for _, v in outcomes(data)) / data.size
    assert abs(data.mean(polynomial) - sum(listed)) <= 64 * 2**-53 * scale


@given(data_sets(max_size=5), st.tuples(*[st.integers(0, 2)] * 2), st.tuples(*[st.integers(0, 2)] * 2))
def test_a_data_set_covariance_equals_the_exact_one(data: Dataset, a: tuple[int, int], b: tuple[int, int]) -> None:
    left, right = x ** a[0] * y ** a[1], w * x ** b[0] * y ** b[1]
    pairs = [(left.subs(values), right.subs(values).subs(w, 1)) for _, values in outcomes(data)]
    n = sp.Integer(data.size)
    means = [sum(column) / n for column in zip(*pairs, strict=True)]
    exact = sum((p - means[0]) * (q - means[1]) for p, q in pairs) / n
    scale = sum(abs(p - means[0]) * abs(q - means[1]) for p, q in pairs) / n
    assert abs(data.covariance(left, right).subs(w, 1) - exact) <= 256 * 2**-53 * (scale + max(map(abs, means)) ** 2)


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9, 1e12])
def test_a_covariance_keeps_its_digits_far_from_zero(offset: float) -> None:
    """E[y²] − E[y]² has none left at offset 10⁹."""
    data = Dataset(y=offset + np.array([0.0, 1.0, 2.0]))
    assert float(data.covariance(y, y)) == pytest.approx(2 / 3, rel=1e-12)
    noise = Problem((w - y) ** 2 / 2, [w], data).gradient_noise[0]
    assert float(noise) == pytest.approx(2 / 3, rel=1e-12)


def test_a_data_set_mean_of_other_functions_is_summed_out() -> None:
    data = Dataset(x=[0.0, 1.0, 2.0])
    mean = sp.nsimplify(data.mean(sp.exp(w * x)))  # the samples are exact floats
    assert sp.expand(mean - (1 + sp.exp(w) + sp.exp(2 * w)) / 3) == 0
    assert data.mean(w**2) == w**2


@pytest.mark.parametrize(("size", "allowed"), [(256, True), (257, False)])
def test_long_sums_are_refused(size: int, allowed: bool) -> None:
    data = Dataset(x=np.linspace(-1, 1, size))
    if allowed:
        assert float(data.mean(sp.cos(x))) == pytest.approx(np.cos(np.linspace(-1, 1, size)).mean(), rel=1e-14)
    else:
        with pytest.raises(NoClosedFormError, match="257 samples"):
            data.mean(sp.cos(x))


@pytest.mark.parametrize(
    "expression", [sp.Abs(w - y), 1 / y, sp.exp(y), sp.sqrt(y**2 + 1), sp.Piecewise((y, y > 0), (0, True))]
)
def test_no_closed_form_is_said_aloud(expression: sp.Expr) -> None:
    with pytest.raises(NoClosedFormError, match="not polynomial in the data"):
        Fresh(y=Normal()).mean(expression)


def test_a_data_set_is_a_value() -> None:
    source = np.array([1.0, 2.0])
    data, same, other = Dataset(x=source), Dataset(x=[1, 2]), Dataset(x=[1, 3])
    source[0] = 9.0
    assert data == same
    assert hash(data) == hash(same)
    assert data != other
    assert data != Dataset(x=[1, 2], sampling="full batch")
    assert data != Dataset(y=[1, 2])
    assert data != "data"
    assert len({data.digest, other.digest}) == 2
    assert (data.size, data.values.shape) == (2, (2, 1))
    with pytest.raises(ValueError, match="read-only"):
        data.values[0, 0] = 3.0


def test_moments_beyond_float64_are_refused() -> None:
    for column in ([1e200, 1.0], [1.3e154, 1.3e154]):  # one square overflows; only the sum of squares does
        with pytest.raises(ArgumentError, match="rescale"):
            Dataset(x=column).mean(x**2)
    with pytest.raises(ArgumentError, match="rescale"):
        Dataset(x=[1e200, -1e200]).covariance(x, x)


def test_one_number_a_law() -> None:
    assert (Normal(3, 0).moment(4), Uniform(2, 2).moment(3), Rademacher().moment(0)) == (81, 8, 1)
    assert math.isclose(
        float(Normal(0.5, np.float32(0.1)).moment(2)), 0.25 + float(np.float32(0.1)) ** 2, rel_tol=1e-15
    )


def standard_t(dof: mpmath.mpf) -> mpmath.mpf:
    """The density's constant."""
    return mpmath.gamma((dof + 1) / 2) / (mpmath.sqrt(dof * mpmath.pi) * mpmath.gamma(dof / 2))


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("dof", ["9/2", "5", "13", "101/2"])
def test_student_moments_equal_the_integral_over_the_density(dof: str, order: int) -> None:
    exact = StudentT(sp.Rational(dof), sp.Rational(1, 2), 3).moment(order)
    nu = mpmath.mpf(sp.Rational(dof).p) / sp.Rational(dof).q

    def integrand(t: mpmath.mpf) -> mpmath.mpf:
        weight = (1 + t * t / nu) ** (-(nu + 1) / 2)
        return ((mpmath.mpf(1) / 2 + 3 * t) ** order + (mpmath.mpf(1) / 2 - 3 * t) ** order) * weight

    numerical = standard_t(nu) * mpmath.quad(integrand, [0, 1, 10, 10**3, 10**6, mpmath.inf])
    assert abs(numerical - mpmath.mpf(exact.p) / exact.q) <= 1e-8 * (1 + abs(numerical))


@pytest.mark.parametrize(
    ("dof", "order"), [(1, 1), (2, 2), (2, 3), (0.5, 1), (4, 4), (sp.Rational(7, 2), 4), (sp.Symbol("nu"), 1)]
)
def test_a_student_moment_that_does_not_exist_is_refused(dof: float, order: int) -> None:
    with pytest.raises(NoClosedFormError, match=f"moment of order {order} .* does not exist for dof <= {order}"):
        StudentT(dof).moment(order)
    assert StudentT(dof).moment(0) == 1


def test_a_student_law_of_symbols_is_exact_where_they_decide() -> None:
    extra = sp.Symbol("extra", positive=True)
    assert sp.simplify(StudentT(2 + extra).moment(2) - (2 + extra) / extra) == 0
    assert Fresh(x=StudentT(5, 1)).mean(x**2 * w) == sp.Rational(8, 3) * w
    assert Fresh(x=StudentT(5, 0, w)).mean(x**2) == sp.Rational(5, 3) * w**2
    with pytest.raises(NoClosedFormError, match="does not exist for dof <= 4"):
        Problem((w - y) ** 2, [w], Fresh(y=StudentT(3))).data.covariance(y**2, y**2)


@pytest.mark.parametrize("dof", [0.06, 0.3, 1, 3, 1000, 10**8, 10**15])
def test_the_transform_of_student_keeps_its_digits(dof: float) -> None:
    """The difference in Bailey's formula is computed without cancellation, from u = 0 to the last number below 1."""
    radial, angular = sp.symbols("a b", real=True)
    drawn = sp.lambdify([radial, angular], StudentT(dof).transform(radial, angular), modules="math")
    with mpmath.workdps(60):
        for u in (0.0, 2**-53, 2**-30, 0.1, 0.5, 0.99, 1 - 2**-53):
            q, nu = 1 - mpmath.mpf(u), mpmath.mpf(dof)
            exact = mpmath.sqrt(nu * (q ** (-2 / nu) - 1))
            assert abs(drawn(u, 0.0) - exact) <= 1e-13 * max(1, -mpmath.log(q) / nu) * exact
            assert abs(drawn(u, 0.5) + exact) <= 1e-13 * max(1, -mpmath.log(q) / nu) * exact


QUANTILES = ["3", "u", "1 - 2*u", "(2*u - 1)**3", "1 + 2*u - u**5", "sqrt(u)", "-log(u)", "-log(1 - u)"]
QUANTILES += ["sqrt(-log(1 - u))", "(1 - u)**(-1/10) - 1", "u*log(u)", "log(1 - u)**2/3", "0.5*u + 0.25"]


@pytest.mark.parametrize("order", range(5))
@pytest.mark.parametrize("text", QUANTILES)
def test_quantile_moments_equal_the_integral_over_the_transform(text: str, order: int) -> None:
    law, u = Quantile(text), sp.Symbol("u", real=True)
    function = sp.lambdify([u], law.transform(u), "mpmath")
    with mpmath.workdps(40):
        numerical = mpmath.quad(lambda at: function(at) ** order, [0, 0.01, 0.5, 0.99, 1])
        assert abs(numerical - law.moment(order).evalf(40)) <= 1e-10 * (1 + abs(numerical))


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("tan(pi*(u - 1/2))", 1),
        ("exp(u)", 1),
        ("log(u) - log(1 - u)", 2),
        ("(1 - u)**(-1/2)", 2),
        ("1/u", 1),
        ("floor(3*u)", 1),
        ("u*(1 + u + u**2 + u**3 + u**4 + u**5 + u**6 + u**7 + u**8)", 100),
    ],
)
def test_a_quantile_moment_that_is_not_known_is_said_so(text: str, order: int) -> None:
    law = Quantile(text)
    assert law.moment(0) == 1
    with pytest.raises(NoClosedFormError, match="diverges, or is no sum"):
        law.moment(order)


def test_a_quantile_law_is_a_value_whatever_way_it_is_written() -> None:
    u = sp.Symbol("u", positive=True)
    text, expression, function = Quantile("u**2"), Quantile(u**2), Quantile(sp.Lambda(w, w**2))
    assert text == expression == function
    assert len({text, expression, function}) == 1
    assert pickle.loads(pickle.dumps(text)) == text != Quantile("u**3")
    assert law_symbols(text) == law_symbols(Quantile("u")) == set()
    assert pickle.loads(pickle.dumps(Quantile("u"))) == Quantile("u") == Quantile(sp.Lambda(w, w))
    assert Quantile(2).moment(3) == 8
    problem = Problem((w - y) ** 2, [w], Fresh(y=text))
    assert problem.free_parameters == ()
    assert problem.loss.expand() == w**2 - 2 * w / 3 + sp.Rational(1, 5)


@pytest.mark.parametrize("text", ["log(u)", "1/u", "tan(pi*(u - 1/2))", "1/(u - 1/2)", "(1 - u)**(-50)"])
def test_a_quantile_may_be_infinite_where_u_almost_never_is(text: str) -> None:
    assert Quantile(text).primitives == ("uniform",)
