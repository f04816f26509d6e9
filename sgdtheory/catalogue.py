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
    w = sp.Matrix(_numbered("w", d))
    loss = (w.T * h * w)[0] / 2
    return landscape(loss, list(w), covariance=covariance, name=f"quadratic, {d}-D")


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
    factor = _squared_error_factor(convention)
    feature, label = sp.symbols("x y", real=True)
    model = parse(q, coordinates, "q", others=True) if isinstance(q, str) else check_expression(q, None, "q")
    _refuse_names("q", model, (feature, label))
    loss = factor * (model * feature - label) ** 2
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


def linear_regression(
    features: int = 2,
    noise_std: Number = 1,
    *,
    stds: Number | Sequence[Number] = 1,
    teacher: Number | Sequence[Number] = 0,
    convention: str = "half squared error",
) -> Problem:
    """Linear regression on fresh normal inputs: ℓ = ½(Σ wᵢxᵢ − y)², y = Σ w*ᵢxᵢ + e, xᵢ ~ N(0, sᵢ²), e ~ N(0, σ²).

    With Δ = w − w* and H = diag(s²): L = ½(ΔᵀHΔ + σ²), Hessian H, and one example's gradient has the covariance
    (σ² + ΔᵀHΔ)H + HΔΔᵀH; without the ½ the first two double and the third quadruples.

    Parameters
    ----------
    features : int
        d ≥ 1; the coordinates are w1, w2, …, or w for d = 1.
    noise_std : number or Symbol
        Standard deviation σ of the labels' noise e.
    stds : number or Symbol, or sequence of d
        Standard deviations sᵢ of the inputs, which are independent.
    teacher : number or Symbol, or sequence of d
        The weights w* that make the labels.
    convention : {"half squared error", "squared error"}
        With or without the factor ½.

    Returns
    -------
    Problem

    Examples
    --------
    >>> problem = linear_regression(2, stds=[1, 3], teacher=[1, sp.Symbol("t")])
    >>> problem.loss
    (9*(-t + w2)**2 + (w1 - 1)**2 + 1)/2
    """
    _degrees(500, features=features)
    w, x = (_numbered(letter, features) for letter in "wx")
    noise = sp.Symbol("e", real=True)
    spread = [standard_deviation(s, "stds") for s in _one_each("stds", stds, features)]
    weights = [check_expression(v, None, "teacher") for v in _one_each("teacher", teacher, features)]
    _refuse_names("teacher", sp.Tuple(*weights), (*w, *x, noise))
    residual = sp.Add(*((a - b) * c for a, b, c in zip(w, weights, x, strict=True))) - noise
    data = Fresh(
        **{c.name: Normal(0, s) for c, s in zip(x, spread, strict=True)},
        e=Normal(0, standard_deviation(noise_std, "noise_std")),
    )
    loss = _squared_error_factor(convention) * residual**2
    return Problem(loss, w, data, None, convention, f"linear regression, {features}-D")


def logistic_regression(data: Dataset | None = None) -> Problem:
    """Logistic regression on a data set: ℓ = log(1 + exp(−y Σ wᵢxᵢ)), labels y = ±1.

    The gradient is −y x p, p = 1/(1 + exp(y wᵀx)) the probability given to the wrong label, and the Hessian the mean
    of p(1 − p) x xᵀ. A data set that a plane through 0 separates has no minimiser.

    Parameters
    ----------
    data : Dataset, optional
        Column y holds the labels, the others are features, each with a coordinate w1, w2, … in their order (w if there
        is but one). A feature that is 1 throughout gives a threshold. By default four samples of one feature, not
        separable.

    Returns
    -------
    Problem
        The logarithm is natural and there is no regularisation; `with_weight_decay` adds one. A run in which some
        y wᵀx falls below −709 counts as diverged: the exponential overflows.

    Raises
    ------
    ArgumentError
        If there is no column y, no other, or a label other than −1 and 1.

    Examples
    --------
    >>> problem = logistic_regression(Dataset(x=[1, 2, 3], y=[1, -1, 1]))
    >>> problem.loss.subs(problem.coordinates[0], 0).evalf(4), problem.hessian.subs(problem.coordinates[0], 0)[0]
    (0.6931, 1.16666666666667)
    """
    data = Dataset(x=[-2, -1, 1, 2], y=[-1, 1, -1, 1]) if data is None else data
    if not isinstance(data, Dataset) or "y" not in (names := [s.name for s in data.symbols]) or len(names) < 2:
        raise ArgumentError("data", data, "a data set with a column y and features", "write Dataset(x=..., y=...)")
    labels = data.values[:, names.index("y")]
    if not np.isin(labels, (-1, 1)).all():
        wrong = labels[~np.isin(labels, (-1, 1))][0]
        raise ArgumentError("data", f"the label {wrong}", "labels -1 and 1", "write y=2*y - 1 if they are 0 and 1")
    features = [s for s in data.symbols if s.name != "y"]
    w = _numbered("w", len(features))
    margin = sp.Symbol("y", real=True) * sp.Add(*(a * x for a, x in zip(w, features, strict=True)))
    loss = sp.log(1 + sp.exp(-margin))
    return Problem(loss, w, data, None, "as given", f"logistic regression, {len(features)}-D")


def deep_linear(
    depth: int = 2, teacher: Number = 1, *, convention: str = "half squared error", **options: object
) -> Problem:
    """Chain of linear units of width one: f(w, x) = w1·w2·…·wk·x, labels c·x + noise; Q(w) = w1⋯wk − c.

    With x ~ N(0, s²): L = ½(s²Q² + σ²). On the minimum w1⋯wk = c the Hessian is s²c² (1/wᵢ)(1/wⱼ), of rank one, with
    sharpness s²c² Σ 1/wᵢ², which is least where all |wᵢ| are equal; gradient flow keeps every wᵢ² − wⱼ².

    Parameters
    ----------
    depth : int
        k, the number of factors, from 1 to 20.
    teacher : number or Symbol
        c, the slope the labels have.
    convention : {"half squared error", "squared error"}
    **options
        Passed to `single_feature`: ``noise_std``, ``x``, or ``data``, whose column y holds the labels less c·x.

    Returns
    -------
    Problem

    References
    ----------
    Saxe, McClelland, Ganguli (2014), Exact solutions to the nonlinear dynamics of learning in deep linear networks.

    Examples
    --------
    >>> deep_linear(3).loss
    ((w1*w2*w3 - 1)**2 + 1)/2
    """
    _degrees(depth=depth)
    w = _numbered("w", depth)
    slope = check_expression(teacher, None, "teacher")
    _refuse_names("teacher", slope, w)
    name = f"deep linear, depth {depth}"
    return single_feature(sp.Mul(*w) - slope, w, convention=convention, name=name, **options)  # type: ignore[arg-type]


CATALOGUE: dict[str, Callable[..., Problem]] = {
    "scalar-mean": scalar_mean,
    "quadratic": quadratic,
    "sticky-1d": sticky_1d,
    "sticky-2d": sticky_2d,
    "linear-regression": linear_regression,
    "logistic-regression": logistic_regression,
    "deep-linear": deep_linear,
}
"""Problems by the name the command line uses; each works without arguments."""


def _numbered(letter: str, count: int) -> tuple[sp.Symbol, ...]:
    """Return w1, w2, …, or w alone."""
    return sp.symbols(f"{letter}1:{count + 1}", real=True) if count > 1 else (sp.Symbol(letter, real=True),)


def _one_each(argument: str, value: Number | Sequence[Number], count: int) -> list[Number]:
    """Return one number for each of so many features; a single one holds for all."""
    rows = list(value) if isinstance(value, (list, tuple, np.ndarray, sp.Tuple)) else [value] * count
    if len(rows) != count:
        raise ArgumentError(argument, f"{len(rows)} numbers", f"{count}: one a feature")
    return rows


def _squared_error_factor(convention: str) -> sp.Expr:
    if convention not in tuple(_SQUARED_ERROR_FACTOR):
        raise ArgumentError("convention", convention, " | ".join(_SQUARED_ERROR_FACTOR))
    return _SQUARED_ERROR_FACTOR[convention]


def _refuse_names(argument: str, value: sp.Basic, reserved: Sequence[sp.Symbol]) -> None:
    """Refuse a symbol that has the name of one with a meaning of its own: it would be taken for it."""
    if {s.name for s in value.free_symbols} & {s.name for s in reserved}:
        allowed = f"an expression free of {', '.join(s.name for s in reserved)}"
        raise ArgumentError(argument, value, allowed, "rename the symbol")


def _degrees(most: int = 20, **degrees: int) -> None:
    for name, degree in degrees.items():
        if not isinstance(degree, (int, np.integer)) or isinstance(degree, bool) or not 1 <= degree <= most:
            raise ArgumentError(name, degree, f"a whole number from 1 to {most}")
