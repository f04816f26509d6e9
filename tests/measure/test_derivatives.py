"""Complex step and Hessian times vector: full precision, exactness by degree, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgdtheory import ArgumentError, complex_step, hvp, jvp, landscape, numeric_loss, quadratic, sticky_2d
from sgdtheory.testing import polynomials, rationals

SMOOTH = {
    "exp": (np.exp, np.exp),
    "sin": (np.sin, np.cos),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "log1p of square": (lambda x: np.log(1 + x**2), lambda x: 2 * x / (1 + x**2)),
    "root": (lambda x: np.sqrt(2 + x), lambda x: 0.5 / np.sqrt(2 + x)),
    "quotient": (lambda x: x / (2 + x), lambda x: 2 / (2 + x) ** 2),
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("h", [1e-8, 1e-20, 1e-100, 1e-200])
def test_full_precision_at_every_small_step(name: str, h: float) -> None:
    f, slope = SMOOTH[name]
    x = np.linspace(-1.5, 1.5, 31)
    np.testing.assert_allclose(complex_step(f, x, h=h), slope(x), rtol=8e-16, atol=3e-16)


@settings(max_examples=40)
@given(st.data(), st.integers(1, 4))
def test_directional_derivatives_of_polynomials(data: st.DataObject, d: int) -> None:
    w = [sp.Symbol(f"w{i}", real=True) for i in range(d)]
    p = data.draw(polynomials(w, degree=3 if d < 3 else 2))
    place, v = ([data.draw(rationals(-2, 2)) for _ in w] for _ in range(2))
    function = sp.lambdify([w], p + w[0] ** 4)
    exact = sum(vi * sp.diff(p + w[0] ** 4, x) for vi, x in zip(v, w, strict=True))
    expected = float(exact.subs(dict(zip(w, place, strict=True))))
    got = complex_step(function, [float(x) for x in place], [float(x) for x in v])
    assert float(got) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(st.floats(-3, 3), st.floats(1e-3, 1))
@example(0.0, 0.5)
def test_the_error_at_large_steps_is_the_claimed_one(x: float, h: float) -> None:
    """Of a cubic −h²f'''/6 is all of it; of a quadratic there is none."""
    assert float(complex_step(lambda z: z**3, x, h=h)) - 3 * x**2 == pytest.approx(-(h**2), rel=1e-9, abs=1e-13)
    assert float(complex_step(lambda z: z**2, x, h=h)) == pytest.approx(2 * x, rel=1e-14, abs=1e-300)


def test_shapes_and_linear_algebra() -> None:
    a = np.random.default_rng(1).normal(size=(3, 3))
    w = np.array([0.3, -1.0, 2.0])
    v = np.array([1.0, 2.0, -1.0])
    np.testing.assert_allclose(complex_step(lambda z: a @ z, w, v), a @ v, rtol=1e-14)
    np.testing.assert_allclose(complex_step(lambda z: z @ a @ z, w, v), v @ (a + a.T) @ w, rtol=1e-13)
    np.testing.assert_allclose(complex_step(lambda z: np.sum(np.exp(z)), w, v), v @ np.exp(w), rtol=1e-14)
    np.testing.assert_allclose(complex_step(lambda z: np.stack([z[0] * z[1], z[2]]), w, v), [-1 + 0.6, -1], rtol=1e-14)
    grid = np.ones((2, 5, 3))
    assert complex_step(np.sin, grid).shape == (2, 5, 3)


def test_of_a_gradient_it_is_hessian_times_vector() -> None:
    w, v = np.array([0.5, -1.5]), np.array([2.0, 1.0])
    hessian = np.array([[12 * 0.25 + 2 * 2.25, 4 * 0.5 * -1.5], [4 * 0.5 * -1.5, 2 * 0.25]])

    def gradient(z: np.ndarray) -> np.ndarray:  # of x⁴ + x²y²
        x, y = z
        return np.stack([4 * x**3 + 2 * x * y**2, 2 * x**2 * y])

    np.testing.assert_allclose(complex_step(gradient, w, v), hessian @ v, rtol=1e-14)
    np.testing.assert_allclose(hvp(gradient, w, v), hessian @ v, rtol=1e-9)


NOT_ANALYTIC = {
    "abs": lambda z: np.sum(np.abs(z) * z),
    "builtin abs of an element": lambda z: abs(z[0]) * z[1],
    "maximum": lambda z: np.maximum(z, 0),
    "max": lambda z: np.max(z) * z,
    "builtin max": lambda z: max(z) * 2,
    "comparison": lambda z: np.where(z > 0, z, 0),
    "branch": lambda z: z[0] if z[0] < z[1] else z[1],
    "equality": lambda z: z * (z == 1),
    "conj": lambda z: np.conj(z) * z,
    "conj method": lambda z: z.conj() @ z,
    "real": lambda z: np.real(z) + z,
    "imag attribute": lambda z: z.imag + z,
    "norm": lambda z: np.linalg.norm(z) * z,
    "vdot": lambda z: np.vdot(z, z),
    "variance": lambda z: np.var(z) * z,
    "median": lambda z: np.median(z) * z,
    "svd": lambda z: np.linalg.svd(z[:, np.newaxis] * z)[0],
    "sort": lambda z: np.sort(z),
    "argmax": lambda z: z[np.argmax(z)],
    "clip": lambda z: np.clip(z, -1, 1),
    "sign": lambda z: np.sign(z) * z,
}


@pytest.mark.parametrize("name", NOT_ANALYTIC)
def test_what_is_not_analytic_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"^function: got one that uses .*analytic"):
        complex_step(NOT_ANALYTIC[name], [1.0, 2.0], [1.0, 0.5])


@pytest.mark.parametrize(
    "function",
    [
        lambda z: np.asarray(z, dtype=np.float64) ** 2,
        lambda z: z.astype(float),
        lambda z: math.sin(z[0]),
        lambda z: float(z[0]),
        lambda z: np.ones(2),
        numeric_loss(sticky_2d()).value,
    ],
)
def test_dropping_the_imaginary_part_is_refused(function: object) -> None:
    with pytest.raises(ArgumentError, match=r"^function: got"):
        complex_step(function, [1.0, 2.0])  # type: ignore[arg-type]


@pytest.mark.parametrize("h", [0.0, -1e-10, np.inf, np.nan, "1e-8", True])
def test_bad_steps_are_refused(h: object) -> None:
    with pytest.raises(ArgumentError, match=r"^h: got"):
        complex_step(np.exp, 1.0, h=h)  # type: ignore[arg-type]


@pytest.mark.parametrize("x", [1j, [np.nan], ["a"], [np.inf]])
def test_places_that_are_not_real_are_refused(x: object) -> None:
    with pytest.raises(ArgumentError, match=r"^x: got"):
        complex_step(np.exp, x)  # type: ignore[arg-type]


# --- Hessian times vector --------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.data(), st.integers(1, 4))
def test_exact_to_degree_three_at_any_spacing(data: st.DataObject, d: int) -> None:
    w = [sp.Symbol(f"w{i}", real=True) for i in range(1, d + 1)]
    p = data.draw(polynomials(w, degree=3 if d < 3 else 2)) + w[0] ** 3 / 3
    loss = numeric_loss(landscape(p, w))
    place, v = (np.array([float(data.draw(rationals(-2, 2))) for _ in w]) for _ in range(2))
    for spacing in (0.01, 1.0):
        got = hvp(loss.gradient, place, v, spacing=spacing)
        np.testing.assert_allclose(got, loss.hessian(place) @ v, rtol=1e-9, atol=1e-10)


def test_beyond_degree_three_the_error_is_the_claimed_one() -> None:
    loss = numeric_loss(landscape("w**4", ["w"]))
    got = hvp(loss.gradient, [1.0], [2.0], spacing=0.1)
    assert got[0] - 24 == pytest.approx(0.01 * (24 * 2.0**3) / 6, rel=1e-10)  # ε²D³g/6, D³g = 24v³


def test_the_default_spacing_is_accurate_at_every_scale() -> None:
    gradient = numeric_loss(landscape("exp(u)*sin(v)", ["u", "v"])).gradient
    hessian = numeric_loss(landscape("exp(u)*sin(v)", ["u", "v"])).hessian
    w = np.array([0.3, 0.7])
    for size in (1e-8, 1.0, 1e8):
        v = np.array([1.0, -2.0]) * size
        np.testing.assert_allclose(hvp(gradient, w, v), hessian(w) @ v, rtol=1e-8)


def test_leading_axes_and_zero_vectors() -> None:
    h = np.diag([1.0, 3.0])
    loss = numeric_loss(quadratic(sp.diag(1, 3), sp.eye(2)))
    w, v = np.ones((4, 2)), np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    np.testing.assert_allclose(hvp(loss.gradient, w, v), v @ h, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(hvp(loss.gradient, w[0], v), v @ h, rtol=1e-9, atol=1e-12)


def test_a_new_minibatch_at_every_call_is_refused() -> None:
    rng = np.random.default_rng(0)
    examples = rng.normal(size=(1000, 2))

    def fresh_batch(w: np.ndarray) -> np.ndarray:
        x = examples[rng.integers(0, 1000, 10)]
        return x.T @ (x @ w) / 10

    batch = examples[:10]
    with pytest.raises(ArgumentError, match="gradient: got one that changes from call to call"):
        hvp(fresh_batch, [1.0, 1.0], [1.0, 0.0])
    got = hvp(lambda w: batch.T @ (batch @ w) / 10, [1.0, 1.0], [1.0, 0.0])
    np.testing.assert_allclose(got, batch.T @ batch[:, 0] / 10, rtol=1e-8)


def test_rounding_in_another_order_is_no_other_gradient() -> None:
    calls = iter(range(9))
    assert hvp(lambda w: w * (1 + 1e-9 * next(calls)), [1.0], [1.0], spacing=1.0)[0] == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (([1.0, 2.0], [1.0]), "w, v"),
        ((1.0, 1.0), "w, v"),
        (([np.nan], [1.0]), "w"),
        (([1.0], [1j]), "v"),
    ],
)
def test_bad_vectors_are_refused(arguments: tuple[object, object], named: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{named}: got"):
        hvp(lambda w: w, *arguments)  # type: ignore[arg-type]


def test_a_gradient_of_another_shape_and_a_bad_spacing_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^gradient: got values of shape"):
        hvp(lambda w: w.sum(), [1.0, 2.0], [1.0, 0.0])
    with pytest.raises(ArgumentError, match=r"^spacing: got"):
        hvp(lambda w: w, [1.0], [1.0], spacing=0)


def test_jacobian_times_vector() -> None:
    """Of a function with outputs of two axes, at many points along many directions, against its Jacobian by hand."""
    w, v = np.random.default_rng(11).normal(size=(4, 1, 2)), np.random.default_rng(12).normal(size=(3, 2))
    scale = np.arange(1.0, 7.0).reshape(2, 3)

    def function(at: np.ndarray) -> np.ndarray:
        return np.sin(at[..., 0] * at[..., 1])[..., None, None] * scale

    slope = np.cos(w[..., 0] * w[..., 1]) * (w[..., 1] * v[..., 0] + w[..., 0] * v[..., 1])
    np.testing.assert_allclose(jvp(function, w, v), slope[..., None, None] * scale, atol=1e-8)
    np.testing.assert_array_equal(jvp(function, w, np.zeros(2)), np.zeros((4, 1, 2, 3)))


def test_jacobians_of_bad_shapes_are_refused() -> None:
    with pytest.raises(ArgumentError, match="same d"):
        jvp(np.sin, [1.0, 2.0], [1.0])
    with pytest.raises(ArgumentError, match="leading axes"):
        jvp(lambda w: w.sum(), np.ones((2, 3)), np.ones(3))
