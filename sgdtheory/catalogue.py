"""Named problems: the landscapes the sources speak of, each with its loss convention stated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import sympy as sp

from sgdtheory.errors import ArgumentError
from sgdtheory.expressions import check_expression, parse
from sgdtheory.laws import Data, Dataset, Fresh, Law, Normal, Number, standard_deviation
from sgdtheory.problem import Problem, as_matrix, landscape
from sgdtheory.symbols import curvature, noise_std

_PUBLISHED_W0 = sp.Rational(9, 5)
_SQUARED_ERROR_FACTOR = {"half squared error": sp.Rational(1, 2), "squared error": sp.S.One}


def scalar_mean(noise_std: Number = noise_std, mean: Number = 0) -> Problem:
    """Estimate a mean: ℓ(β, y) = ½(β − y)², y ~ N(mean, σ²).

    Parameters
    ----------
    noise_std : number or Symbol
        σ, the standard deviation of y and of one example's gradient.
    mean : number or Symbol
        E y, the minimiser.

    Returns
    -------
    Problem
        Curvature 1, gradient noise σ².

    References
    ----------
    McAllester (2018), TTIC 31230 lectures, the one-dimensional example.

    Examples
    --------
    >>> scalar_mean().gradient_noise[0]
    sigma**2
    """
    beta, y = sp.symbols("beta y", real=True)
    std = standard_deviation(noise_std, "noise_std")
    loss = (beta - y) ** 2 / 2
    return Problem(loss, [beta], Fresh(y=Normal(mean, std)), None, "half squared error", "scalar mean")


def quadratic(hessian: sp.Matrix | Number = curvature, covariance: sp.Matrix | Number = noise_std**2) -> Problem:
    """Quadratic landscape L(w) = ½ wᵀHw with additive normal gradient noise of covariance Σ.

    Parameters
    ----------
    hessian : Matrix, shape (d, d), or number for d = 1
        Symmetric.
    covariance : Matrix, shape (d, d), or number for d = 1
        Covariance of one example's gradient.

    Returns
    -------
    Problem

    Raises
    ------
    ArgumentError
        If a matrix is not square and symmetric or shapes differ.

    Examples
    --------
    >>> quadratic(sp.diag(1, 3), sp.eye(2)).loss.expand()
    w1**2/2 + 3*w2**2/2
    """
    h = as_matrix(hessian, "hessian")
    if not h.is_symmetric():
        raise ArgumentError("hessian", h, "a symmetric square matrix", "use (H + H.T)/2")
    d = h.rows
    w = sp.Matrix(sp.symbols(f"w1:{d + 1}", real=True) if d > 1 else [sp.Symbol("w", real=True)])
    loss = (w.T * h * w)[0] / 2
    return landscape(loss, list(w), covariance=covariance, name=f"quadratic, {d}-D")


def linear_regression(curvatures: Sequence[Number] = (curvature,), noise_std: Number = noise_std) -> Problem:
    """Linear regression with independent normal inputs: ℓ(w; x, y) = ½(w·x − y)², xᵢ ~ N(0, λᵢ), y ~ N(0, σ²).

    The minimiser is 0 and the population Hessian diag(λ); no generality is lost by either, because a shift and a
    rotation of w bring every normal law of the inputs there.

    Parameters
    ----------
    curvatures : sequence of d numbers or Symbols
        λ ≥ 0.
    noise_std : number or Symbol
        Standard deviation σ of the labels; 0 means that one w fits every example (interpolation).

    Returns
    -------
    Problem
        In coordinates w1 … wd, or w for d = 1.

    Examples
    --------
    >>> linear_regression((1, 3), noise_std=0).loss.expand()
    w1**2/2 + 3*w2**2/2
    """
    d = len(curvatures)
    names = [str(i) for i in range(1, d + 1)] if d > 1 else [""]
    stds = [sp.sqrt(check_expression(value, None, "curvatures")) for value in curvatures]
    if not stds or any(std.is_real is False for std in stds):
        raise ArgumentError("curvatures", curvatures, "at least one number >= 0")
    w, x = ([sp.Symbol(f"{letter}{name}", real=True) for name in names] for letter in "wx")
    y = sp.Symbol("y", real=True)
    laws = {symbol.name: Normal(0, std) for symbol, std in zip(x, stds, strict=True)}
    data = Fresh(**laws, y=Normal(0, standard_deviation(noise_std, "noise_std")))
    loss = (sp.Add(*(a * b for a, b in zip(w, x, strict=True))) - y) ** 2 / 2
    return Problem(loss, w, data, None, "half squared error", f"linear regression, {d}-D")


def single_feature(
    q: sp.Expr | str,
    coordinates: Sequence[sp.Symbol | str],
    noise_std: Number | None = None,
    *,
    x: Law | None = None,
    data: Data | None = None,
    convention: str = "half squared error",
    name: str = "single feature",
) -> Problem:
    """Model f(w, x) = Q(w)·x with labels y that are pure noise: ℓ = ½(Q(w)x − y)².

    Parameters
    ----------
    q : expression or str
        Q(w).
    coordinates : sequence of Symbol or str
    noise_std : number or Symbol
        Standard deviation σ of the label y ~ N(0, σ²), independent of x; 1 by default.
    x : Law
        Law of the feature; standard normal by default.
    data : Dataset, optional
        A finite data set with columns x and y instead of fresh data, and so of `noise_std` and `x`.
    convention : {"half squared error", "squared error"}
        With or without the factor ½.
    name : str

    Returns
    -------
    Problem

    References
    ----------
    Corlouer, Macé (2024), Degeneracies are sticky for SGD; their text uses ½, their notebooks do not.

    Examples
    --------
    >>> single_feature("w**2", ["w"]).loss.expand()
    w**4/2 + 1/2
    """
    if convention not in tuple(_SQUARED_ERROR_FACTOR):
        raise ArgumentError("convention", convention, " | ".join(_SQUARED_ERROR_FACTOR))
    feature, label = sp.symbols("x y", real=True)
    model = parse(q, coordinates, "q", others=True) if isinstance(q, str) else check_expression(q, None, "q")
    if {s.name for s in model.free_symbols} & {"x", "y"}:
        raise ArgumentError("q", model, "an expression free of the data x and y", "rename the symbol")
    loss = _SQUARED_ERROR_FACTOR[convention] * (model * feature - label) ** 2
    given = {"noise_std": noise_std, "x": x}
    drawn = {argument: value for argument, value in given.items() if value is not None}
    if data is not None and drawn:
        raise ArgumentError(", ".join(drawn), tuple(drawn.values()), "nothing beside data", "the data hold x and y")
    std = standard_deviation(1 if noise_std is None else noise_std, "noise_std")
    law = Fresh(x=Normal(0, 1) if x is None else x, y=Normal(0, std)) if data is None else data
    if not isinstance(law, (Fresh, Dataset)) or set(law.symbols) != {feature, label}:
        raise ArgumentError("data", data, "a data set with columns x and y", "write Dataset(x=..., y=...)")
    return Problem(loss, coordinates, law, None, convention, name)


def sticky_1d(
    d1: int = 1,
    d2: int = 2,
    w0: Number = _PUBLISHED_W0,
    *,
    convention: str = "half squared error",
    **options: object,
) -> Problem:
    """Sticky landscape on a line: Q(w) = (w + w0)^d1 (w − w0)^d2.

    Parameters
    ----------
    d1, d2 : int
        Degrees of degeneracy ≥ 1 of the minima at −w0 and +w0.
    w0 : number or Symbol
        Half the distance of the minima.
    convention : {"half squared error", "squared error"}
    **options
        Passed to `single_feature`: ``noise_std``, ``x``, ``data``.

    Returns
    -------
    Problem

    References
    ----------
    Corlouer, Macé (2024); d = (1, 2), w0 = 1.8 is their escape experiment, d = (2, 3), w0 = 2 their stuck one.

    Examples
    --------
    >>> w0 = sp.Symbol("w0", positive=True)
    >>> problem = sticky_1d(1, 2, w0)
    >>> sp.factor(problem.hessian[0].subs(problem.coordinates[0], -w0))
    16*w0**4
    """
    _degrees(d1=d1, d2=d2)
    if check_expression(w0, None, "w0").is_nonpositive:
        raise ArgumentError("w0", w0, "a number > 0")
    w = sp.Symbol("w", real=True)
    name = f"sticky 1-D, d=({d1},{d2})"
    return single_feature((w + w0) ** d1 * (w - w0) ** d2, [w], convention=convention, name=name, **options)  # type: ignore[arg-type]


def sticky_2d(d: int = 1, a: int = 2, *, convention: str = "half squared error", **options: object) -> Problem:
    """Sticky landscape in the plane: Q(w) = (w1² + w2²)^a w1^d, degenerate along w1 = 0 and most at the origin.

    Parameters
    ----------
    d, a : int
        d ≥ 1 is the degree along w1 on the degenerate line; a = 2 in the authors' simulations.
    convention : {"half squared error", "squared error"}
    **options
        Passed to `single_feature`.

    Returns
    -------
    Problem

    References
    ----------
    Corlouer, Macé (2024). Their plotted potential has other exponents than their simulation; this is the simulation's.

    Examples
    --------
    >>> on_the_line = dict(zip(sticky_2d(2).coordinates, (0, 1), strict=True))
    >>> sticky_2d(2).hessian.subs(on_the_line).is_zero_matrix
    True
    """
    _degrees(d=d, a=a)
    w1, w2 = sp.symbols("w1 w2", real=True)
    name = f"sticky 2-D, d={d}"
    return single_feature((w1**2 + w2**2) ** a * w1**d, [w1, w2], convention=convention, name=name, **options)  # type: ignore[arg-type]


CATALOGUE: dict[str, Callable[..., Problem]] = {
    "scalar-mean": scalar_mean,
    "quadratic": quadratic,
    "linear-regression": linear_regression,
    "sticky-1d": sticky_1d,
    "sticky-2d": sticky_2d,
}
"""Problems by the name the command line uses; each works without arguments."""


def _degrees(**degrees: int) -> None:
    for name, degree in degrees.items():
        if not isinstance(degree, (int, np.integer)) or isinstance(degree, bool) or not 1 <= degree <= 20:
            raise ArgumentError(name, degree, "a whole number from 1 to 20")
