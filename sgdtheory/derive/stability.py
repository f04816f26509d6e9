"""Linear stability of update rules: how large learning rate × curvature may be."""

from __future__ import annotations

import sympy as sp

from sgdtheory import symbols
from sgdtheory.dynamics import make_dynamics, with_symbols
from sgdtheory.errors import NoClosedFormError
from sgdtheory.laws import Number
from sgdtheory.optimizers import Optimizer, check_constant
from sgdtheory.problem import landscape

h, η = symbols.curvature, symbols.lr
_z = sp.Symbol("z")
_x = sp.Symbol("x", positive=True)


def step_matrix(optimizer: Optimizer, curvature: Number = h) -> sp.ImmutableMatrix:
    """Return M with state' = M state for one step on the quadratic ½hw², state = (w, buffers).

    Parameters
    ----------
    optimizer : Optimizer
        Linear in the gradient.
    curvature : number or Symbol
        h.

    Returns
    -------
    ImmutableMatrix, shape (m, m)

    Raises
    ------
    NoClosedFormError
        If the rule is not linear.

    Examples
    --------
    >>> from sgdtheory import Momentum
    >>> step_matrix(Momentum())
    Matrix([
    [-eta*h + 1, -mu],
    [     eta*h,  mu]])
    """
    w = sp.Symbol("w", real=True)
    dynamics = make_dynamics(landscape(h * w**2 / 2, [w]), optimizer)
    gradient = {dynamics.batch_gradient[0]: h * dynamics.gradient_at[0]}
    matrix = sp.Matrix(dynamics.step).xreplace(gradient).jacobian(dynamics.state).expand()
    if matrix.has(*dynamics.state):
        raise NoClosedFormError(f"the step of {optimizer} is not linear in the gradient, so it has no step matrix")
    return sp.ImmutableMatrix(matrix.xreplace({**optimizer.values, h: sp.sympify(curvature, strict=True)}))


def schur_conditions(polynomial: sp.Poly) -> list[sp.Expr]:
    """Return expressions that are all positive exactly if every root lies inside the unit circle (Schur and Cohn).

    p = a_n zⁿ + … + a_0 is stable if and only if a_n² − a_0² > 0 and (a_n p − a_0 zⁿ p(1/z))/z, one degree lower, is.
    For n = 2 these are Jury's conditions: |a_0| < a_2, p(1) > 0 and p(−1) > 0.

    Parameters
    ----------
    polynomial : Poly
        With real coefficients.

    Returns
    -------
    list of Expr
        As many as the degree.

    Examples
    --------
    >>> z, a = sp.symbols("z a", real=True)
    >>> schur_conditions(sp.Poly(z - a, z))
    [1 - a**2]
    """
    conditions = []
    coefficients = polynomial.all_coeffs()
    while len(coefficients) > 1:
        lead, last = coefficients[0], coefficients[-1]
        conditions.append(lead**2 - last**2)
        coefficients = [lead * a - last * b for a, b in zip(coefficients[:-1], coefficients[:0:-1], strict=True)]
    return conditions


def stability_limit(optimizer: Optimizer) -> sp.Expr:
    """Return the end of the interval 0 < x < x* of x = η·h on which the rule is linearly stable on ½hw².

    The learning rate's own value plays no part. Momentum given as a symbol stays one.

    Parameters
    ----------
    optimizer : Optimizer
        Linear in the gradient.

    Returns
    -------
    Expr
        x*, a pure number or an expression in the other hyperparameters; ∞ if every x is stable.

    Raises
    ------
    ArgumentError
        For a schedule of any hyperparameter but the learning rate.
    NoClosedFormError
        If stability does not depend on ηh alone, does not hold for small ηh, or the limits cannot be ordered.

    Examples
    --------
    >>> from sgdtheory import Nesterov, SGD
    >>> stability_limit(SGD()), stability_limit(Nesterov())
    (2, 2*(mu + 1)/(2*mu + 1))
    """
    check_constant(optimizer, "the powers of one matrix decide on stability", besides=["lr"])
    conditions = _stable_where(optimizer)
    inside = _interior(optimizer)
    limit = _first_edge(conditions, inside)
    middle = {t: 1 for value in inside.values() for t in value.free_symbols}
    early = {**inside, _x: 1 if limit == sp.oo else limit.subs(inside) / 2}
    if not all(c.subs(early, simultaneous=True).subs(middle).is_positive for c in conditions):
        raise NoClosedFormError(f"{optimizer} is not stable for small learning rate × curvature")
    return sp.factor(limit).xreplace(optimizer.values)


def _stable_where(optimizer: Optimizer) -> list[sp.Expr]:
    """Return what must be positive, in x = ηh and the other hyperparameter symbols."""
    matrix = step_matrix(with_symbols(optimizer), _x / η)
    conditions = [sp.factor(condition) for condition in schur_conditions(matrix.charpoly(_z))]
    if any(condition.has(η) for condition in conditions):
        raise NoClosedFormError(f"stability of {optimizer} depends on learning rate and curvature one by one")
    return conditions


def _interior(optimizer: Optimizer) -> dict[sp.Symbol, sp.Expr]:
    """Return each hyperparameter but η as a function onto the inside of its domain of one positive symbol."""
    inside = {}
    for parameter in optimizer.hyperparameters:
        low, high = parameter.domain.inf, parameter.domain.sup
        t = sp.Dummy("t", positive=True)
        if parameter.symbol != η:
            inside[parameter.symbol] = low + t if high == sp.oo else low + (high - low) / (1 + t)
    return inside


def _first_edge(conditions: list[sp.Expr], inside: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
    """Return the smallest positive x at which a condition vanishes, the same one for all hyperparameters inside."""
    edges = [edge for condition in conditions for edge in sp.solve(condition, _x)]
    signs = [sp.factor(edge.subs(inside)).is_positive for edge in edges]
    positive = [edge for edge, sign in zip(edges, signs, strict=True) if sign]
    for edge in positive:
        if None not in signs and all(sp.factor((other - edge).subs(inside)).is_nonnegative for other in positive):
            return edge
    if positive or None in signs:
        raise NoClosedFormError(f"the edges of stability {edges} cannot be ordered")
    return sp.oo
