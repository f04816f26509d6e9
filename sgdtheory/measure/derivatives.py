"""Derivatives of functions that are only given as programs: complex step, Hessian and Jacobian times vector."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError

Array = NDArray[np.float64]

# what is no analytic function of complex numbers: it conjugates, measures or compares them, or drops the imaginary part
_BENT_UFUNCS = frozenset({
    "absolute", "clip", "conjugate", "equal", "fabs", "fmax", "fmin", "greater", "greater_equal", "less",
    "less_equal", "maximum", "minimum", "not_equal", "rint", "sign", "vecdot",
})  # fmt: skip
_BENT_FUNCTIONS = frozenset({
    "allclose", "array_equal", "cholesky", "cond", "corrcoef", "correlate", "cov", "eigh", "eigvalsh", "isclose",
    "lstsq", "matrix_norm", "matrix_rank", "nan_to_num", "norm", "percentile", "pinv", "qr", "quantile",
    "real_if_close", "slogdet", "svd", "svdvals", "unique", "vdot", "vector_norm",
})  # fmt: skip
_BENT_ATTRIBUTES = frozenset({
    "argmax", "argmin", "argpartition", "argsort", "conj", "conjugate", "imag", "partition", "real", "sort",
})  # fmt: skip
_ALLOWED = "a real-analytic function, written with numpy and kept complex"


def complex_step(
    function: Callable[[Any], Any], x: ArrayLike, direction: ArrayLike = 1.0, *, h: float = 1e-100
) -> Array:
    """Differentiate along a direction by a step into the complex plane, D_v f(x) ≈ Im f(x + ihv)/h.

    The error is −h²D_v³f/6 and nothing is subtracted, so at tiny h the derivative has full precision. The function must
    be analytic: `abs`, `max`, comparisons, `conj` and real parts on the way would make the result wrong without a sign
    of it. They are refused wherever numpy shows them to us; a branch on a real number of your own, or an array stripped
    by ``np.asarray``, it cannot show.

    Parameters
    ----------
    function : callable
        f: array → array or number. A gradient gives Hessian times vector; an elementwise function its derivative.
    x : array_like
        Real.
    direction : array_like
        v, real, of a shape that adds to that of x; 1 by default, which for an elementwise f is f'.
    h : float
        > 0; as small as you like while h times the derivative stays above 10⁻³⁰⁸.

    Returns
    -------
    ndarray
        Of the shape of f(x).

    Raises
    ------
    ArgumentError
        If the function is seen not to be analytic, or does not take complex numbers.

    References
    ----------
    Squire, Trapp (1998); claim MCA-27.

    Examples
    --------
    >>> complex_step(np.exp, [0.0, 1.0])
    array([1.        , 2.71828183])
    >>> float(complex_step(lambda w: w[0] ** 3 * w[1], [1.0, 2.0], [1.0, 0.0]))
    6.0
    """
    size, place, along = _positive("h", h), _real("x", x), _real("direction", direction)
    point = np.asarray(place + 1j * size * along).view(_Analytic)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            value = np.asarray(function(point))
    except (TypeError, np.exceptions.ComplexWarning) as error:
        raise ArgumentError("function", str(error), _ALLOWED, "use numpy's functions, and no float arrays") from error
    if value.dtype.kind != "c":
        kept = f"values of type {value.dtype}, without imaginary part"
        raise ArgumentError("function", kept, _ALLOWED, "look for abs, a real part, or a result that is constant")
    return np.asarray(value.imag / size, dtype=np.float64)


def hvp(gradient: Callable[[Array], ArrayLike], w: ArrayLike, v: ArrayLike, *, spacing: float | None = None) -> Array:
    """Multiply the Hessian by a vector with two gradients, Hv ≈ (g(w + εv) − g(w − εv))/(2ε).

    The error is ε²D_v³g/6 from the loss, none up to degree three, and about 10⁻¹⁶|g|/ε from rounding. Both gradients
    must be of the same loss: of two minibatches the difference is noise of variance Σ/(2Bε²). So `gradient` must give
    the same answer at the same place, which is tested by a third call. Where the gradient takes complex numbers,
    ``complex_step(gradient, w, v)`` has neither error.

    Parameters
    ----------
    gradient : callable
        g: shape (..., d) → shape (..., d), such as ``numeric_loss(problem).gradient``; on one fixed batch.
    w : array_like, shape (..., d)
    v : array_like, shape (..., d)
    spacing : float, optional
        ε > 0, in units of w/v; by default 6·10⁻⁶·max(1, |w|)/|v|, the balance of both errors.

    Returns
    -------
    ndarray, shape (..., d)
        Zero where v is.

    Raises
    ------
    ArgumentError
        If the gradient is another at a second call, or shapes do not fit.

    References
    ----------
    McAllester (2018), TTIC 31230 lectures, Hessian-vector products; claim MCA-26.

    Examples
    --------
    >>> hvp(lambda w: w**2, [1.0, 2.0], [1.0, 1.0]).round(6)  # of the loss Σ w³/3, exact up to rounding
    array([2., 4.])
    """
    place, along = _real("w", w), _real("v", v)
    if place.ndim < 1 or place.shape[-1:] != along.shape[-1:]:
        shapes = f"shapes {place.shape} and {along.shape}"
        raise ArgumentError("w, v", shapes, "shapes (..., d) with the same d")
    size = _spacing(place, along) if spacing is None else np.asarray(_positive("spacing", spacing))
    ahead, behind, again = (np.asarray(gradient(place + k * size * along), np.float64) for k in (1, -1, 1))
    if ahead.shape != np.broadcast_shapes(place.shape, along.shape):
        raise ArgumentError("gradient", f"values of shape {ahead.shape}", "the shape of w")
    difference = ahead - behind
    if np.any(np.abs(ahead - again) > _STEADY * np.abs(difference) + _NOISE * np.abs(ahead)):
        fix = "fix the batch, the dropout mask and the seed inside it"
        raise ArgumentError("gradient", "one that changes from call to call", "the same answer at the same place", fix)
    return np.asarray(difference / (2 * size))


def jvp(function: Callable[[Array], ArrayLike], w: ArrayLike, v: ArrayLike) -> Array:
    """Differentiate a function of points along a direction, J(w)·v ≈ (f(w + εv) − f(w − εv))/(2ε), with the ε of `hvp`.

    Parameters
    ----------
    function : callable
        f: shape (..., d) → shape (..., *outputs), such as the predictions of a model.
    w : array_like, shape (..., d)
    v : array_like, shape (..., d)

    Returns
    -------
    ndarray, shape (..., *outputs)

    Raises
    ------
    ArgumentError
        If shapes do not fit.

    Examples
    --------
    >>> jvp(lambda w: w[..., 0] * w[..., 1], [1.0, 2.0], [[1.0, 0.0], [0.0, 1.0]]).round(6)
    array([2., 1.])
    """
    place, along = _real("w", w), _real("v", v)
    if place.ndim < 1 or place.shape[-1:] != along.shape[-1:]:
        raise ArgumentError("w, v", f"shapes {place.shape} and {along.shape}", "shapes (..., d) with the same d")
    size = _spacing(place, along)
    ahead, behind = (np.asarray(function(place + k * size * along), np.float64) for k in (1, -1))
    lead = np.broadcast_shapes(place.shape, along.shape)[:-1]
    if ahead.shape[: len(lead)] != lead:
        shapes = f"shape {(*lead, '...')}"
        raise ArgumentError("function", f"values of shape {ahead.shape}", shapes, "keep the leading axes")
    return np.asarray((ahead - behind) / (2 * size.reshape(size.shape[:-1] + (1,) * (ahead.ndim - len(lead)))))


def _spacing(place: Array, along: Array) -> Array:
    """Balance the errors of a central difference: the cube root of rounding, in units of w over v."""
    length, scale = (np.linalg.norm(a, axis=-1, keepdims=True) for a in (along, place))
    return np.asarray(_BALANCE * np.maximum(1.0, scale) / np.where(length > 0, length, 1.0))


_BALANCE = float(np.cbrt(np.finfo(float).eps))
_STEADY, _NOISE = 1e-2, 1e-6  # summing in another order moves a gradient by less


class _Analytic(np.ndarray[Any, Any]):
    """Complex numbers that refuse what is not analytic; elements stay such arrays, of no dimension."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if ufunc.__name__ in _BENT_UFUNCS:
            _refuse(ufunc.__name__)
        plain = [np.asarray(x) if isinstance(x, _Analytic) else x for x in inputs]
        if "out" in options:
            options["out"] = tuple(np.asarray(x) if isinstance(x, _Analytic) else x for x in options["out"])
        result = getattr(ufunc, method)(*plain, **options)
        return _kept(result)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func.__name__ in _BENT_FUNCTIONS:
            _refuse(func.__name__)
        return super().__array_function__(func, types, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        return _kept(np.asarray(self)[key])

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def __getattribute__(self, name: str) -> Any:
        if name in _BENT_ATTRIBUTES:
            _refuse(name)
        return super().__getattribute__(name)


def _kept(result: Any) -> Any:
    return np.asarray(result).view(_Analytic) if getattr(result, "dtype", None) == np.complex128 else result


def _refuse(name: str) -> NoReturn:
    raise ArgumentError("function", f"one that uses {name}", _ALLOWED, "it has no complex derivative; take `hvp`")


def _real(argument: str, value: ArrayLike) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise ArgumentError(argument, value, "finite real numbers")
    return array.astype(np.float64)


def _positive(argument: str, value: float) -> float:
    numeric = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not numeric or not 0 < value < np.inf:
        raise ArgumentError(argument, value, "a number > 0")
    return float(value)
