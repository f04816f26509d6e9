"""Critical points of a polynomial loss of one or two coordinates, exactly, with their kind and learning coefficient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import sympy as sp

from sgdtheory.derive.learning_coefficient import LearningCoefficient, local_learning_coefficient
from sgdtheory.errors import ArgumentError, NoClosedFormError


@dataclass(frozen=True)
class CriticalPoint:
    """A point where the gradient vanishes, or a curve of such points seen at one of them.

    Parameters
    ----------
    coordinates : tuple of d Symbols
    at : tuple of d numbers
        The point, exact.
    kind : str
        "minimum", "maximum", "saddle"; "degenerate …" where the Hessian has no inverse; "degenerate" alone where its
        kind is not known.
    loss : number
        L there.
    hessian : ImmutableMatrix, shape (d, d)
    coefficient : LearningCoefficient or None
        λ and m of a minimum, where they are known.
    barrier : number or None
        In one dimension, for a minimum: how far the lower of the neighbouring maxima lies above it.
    curve : expression or None
        Vanishes on the curve of critical points to which this one belongs.

    Examples
    --------
    >>> w = sp.Symbol("w", real=True)
    >>> print(*find_critical_points((w + 1) ** 2 * (w - 1) ** 4, [w]), sep=" | ")
    w = -1: minimum, loss 0, λ = 1/2, barrier 1.405 | w = -1/3: maximum, loss 1.405 |
    w = 1: degenerate minimum, loss 0, λ = 1/4, barrier 1.405
    """

    coordinates: tuple[sp.Symbol, ...]
    at: tuple[sp.Expr, ...]
    kind: str
    loss: sp.Expr
    hessian: sp.ImmutableMatrix
    coefficient: LearningCoefficient | None = None
    barrier: sp.Expr | None = None
    curve: sp.Expr | None = None

    @property
    def flat_directions(self) -> tuple[sp.ImmutableMatrix, ...]:
        """A basis of the directions in which the Hessian vanishes."""
        return tuple(sp.ImmutableMatrix(vector) for vector in self.hessian.nullspace())

    @property
    def sharpness(self) -> float:
        """The largest eigenvalue of the Hessian."""
        return max(float(sp.re(sp.N(value))) for value in self.hessian.eigenvals())

    @property
    def lr_limit(self) -> float:
        """The learning rate up to which gradient descent is stable here, 2/λmax; ∞ without positive curvature."""
        return 2 / self.sharpness if self.sharpness > 0 else float("inf")

    def __str__(self) -> str:
        where = ", ".join(f"{w} = {_short(value)}" for w, value in zip(self.coordinates, self.at, strict=True))
        parts = [f"{where}: {self.kind}", f"loss {_short(self.loss)}"]
        if self.coefficient is not None:
            times = f" (m = {self.coefficient.multiplicity})" if self.coefficient.multiplicity > 1 else ""
            parts.append(f"λ = {self.coefficient.value}{times}")
        if self.barrier is not None:
            parts.append(f"barrier {_short(self.barrier)}")
        if self.curve is not None:
            parts.append(f"on the curve {self.curve} = 0")
        return ", ".join(parts)


def find_critical_points(loss: sp.Expr, coordinates: Sequence[sp.Symbol]) -> tuple[CriticalPoint, ...]:
    """Return all real critical points of a polynomial; of a curve of them its special points and one more.

    Special are its singular points, its crossings with other curves, and where it meets a further zero of the gradient.
    Between them the kind may change along the curve.

    Parameters
    ----------
    loss : expression
        Polynomial with rational coefficients; decimals count as the fractions they print.
    coordinates : sequence of one or two Symbols

    Returns
    -------
    tuple of CriticalPoint
        In the order of their coordinates.

    Raises
    ------
    ArgumentError
        If the loss is no such polynomial, or does not depend on the coordinates.
    NoClosedFormError
        For more than two coordinates, or equations that cannot be solved exactly.

    Examples
    --------
    >>> u, v = sp.symbols("u v", real=True)
    >>> print(*find_critical_points(u**2 * (u**2 + v**2) ** 2, [u, v]), sep=" | ")
    u = 0, v = 0: degenerate minimum, loss 0, λ = 1/3 |
    u = 0, v = 1: degenerate minimum, loss 0, λ = 1/2, on the curve u = 0
    """
    exact = sp.nsimplify(sp.sympify(loss), rational=True)
    if not exact.is_polynomial(*coordinates) or not exact.free_symbols <= set(coordinates):
        raise ArgumentError("loss", loss, "a polynomial in the coordinates with numbers as coefficients")
    if not exact.has(*coordinates):
        raise ArgumentError("loss", loss, "a loss that is not constant")
    if len(coordinates) == 1:
        return _on_a_line(exact, coordinates[0])
    if len(coordinates) == 2:
        return _in_the_plane(exact, tuple(coordinates))
    raise NoClosedFormError(f"critical points are found for one or two coordinates, not {len(coordinates)}")


def _on_a_line(loss: sp.Expr, w: sp.Symbol) -> tuple[CriticalPoint, ...]:
    """Take the real roots of the slope; the first derivative that does not vanish decides on the kind."""
    found = []
    for root, multiplicity in sp.real_roots(sp.Poly(loss.diff(w), w), multiple=False):
        here = sp.N(loss.diff(w, multiplicity + 1).subs(w, root))
        kind = "saddle" if multiplicity % 2 == 0 else "minimum" if here > 0 else "maximum"
        coefficient = None
        if kind == "minimum":
            coefficient = LearningCoefficient(sp.Rational(1, multiplicity + 1), 1, "order of the zero")
        hessian = sp.ImmutableMatrix([[_value(loss.diff(w, 2), {w: root}) if multiplicity == 1 else 0]])
        named = kind if multiplicity == 1 else f"degenerate {kind}"
        found.append(CriticalPoint((w,), (root,), named, _value(loss, {w: root}), hessian, coefficient))
    return tuple(replace(p, barrier=_barrier(found, i)) for i, p in enumerate(found))


def _barrier(points: Sequence[CriticalPoint], i: int) -> sp.Expr | None:
    """Return the height of the lower neighbouring maximum above a minimum."""
    if not points[i].kind.endswith("minimum"):
        return None
    left = next((p for p in reversed(points[:i]) if p.kind.endswith("maximum")), None)
    right = next((p for p in points[i + 1 :] if p.kind.endswith("maximum")), None)
    heights = [p.loss - points[i].loss for p in (left, right) if p is not None]
    return min(heights, key=float) if heights else None


def _in_the_plane(loss: sp.Expr, coordinates: tuple[sp.Symbol, ...]) -> tuple[CriticalPoint, ...]:
    """Divide the gradient by what its components share, which is a curve of critical points, and solve the rest."""
    slopes = [sp.Poly(loss.diff(w), *coordinates) for w in coordinates]
    shared = sp.gcd(*slopes)
    first, second = (sp.quo(slope, shared) for slope in slopes)
    special = dict.fromkeys(_solved(first, second, coordinates))
    on_curves: dict[tuple[sp.Expr, ...], sp.Expr] = {}
    for curve, _ in shared.factor_list()[1]:
        # where a curve has no direction, K is more degenerate than along it
        tangents = [curve, *(curve.diff(w) for w in coordinates)]
        special |= {p: None for p in _solved(curve, tangents[1], coordinates) if _vanish(tangents, coordinates, p)}
        for other, _ in shared.factor_list()[1]:
            if other != curve:
                special |= dict.fromkeys(_solved(curve, other, coordinates))
        sample = _sample(curve, coordinates, special)
        if sample is not None:
            on_curves[sample] = curve.as_expr()
    chosen = {**special, **on_curves}
    found = [_classified(loss, coordinates, point, curve) for point, curve in chosen.items()]
    return tuple(sorted(found, key=lambda p: tuple(map(float, p.at))))


def _solved(first: sp.Poly, second: sp.Poly, coordinates: tuple[sp.Symbol, ...]) -> list[tuple[sp.Expr, ...]]:
    """Return the real common zeros of two polynomials without common factor, a pair of their factors at a time."""
    found: dict[tuple[sp.Expr, ...], None] = {}
    for (f, _), (g, _) in product(first.factor_list()[1], second.factor_list()[1]):
        if f == g:
            continue
        try:
            solutions = sp.solve_poly_system([f, g], *coordinates) or []
        except NotImplementedError as error:
            raise NoClosedFormError(f"the critical points where {f.as_expr()} = {g.as_expr()} = 0: {error}") from error
        found |= {tuple(map(sp.nsimplify, s)): None for s in solutions if all(v.is_real for v in s)}
    return list(found)


def _vanish(polynomials: Sequence[sp.Poly], coordinates: tuple[sp.Symbol, ...], point: tuple[sp.Expr, ...]) -> bool:
    return all(sp.simplify(p.as_expr().subs(dict(zip(coordinates, point, strict=True)))) == 0 for p in polynomials)


def _sample(
    curve: sp.Poly, coordinates: tuple[sp.Symbol, ...], taken: dict[tuple[sp.Expr, ...], None]
) -> tuple[sp.Expr, ...] | None:
    """Return a rational point of a curve, or one with a real root, that is not among the special ones."""
    for free, value in product((1, 0), (1, 2, sp.Rational(1, 2), -1, 0)):
        other = 1 - free
        line = curve.as_expr().subs(coordinates[free], value)
        for root in sp.roots(sp.Poly(line, coordinates[other])) if line.has(coordinates[other]) else ():
            point = (root, sp.sympify(value)) if other == 0 else (sp.sympify(value), root)
            if root.is_real and point not in taken:
                return point
    return None


def _classified(
    loss: sp.Expr, coordinates: tuple[sp.Symbol, ...], point: tuple[sp.Expr, ...], curve: sp.Expr | None
) -> CriticalPoint:
    at = dict(zip(coordinates, point, strict=True))
    hessian = sp.ImmutableMatrix(sp.hessian(loss, coordinates).subs(at).applyfunc(sp.simplify))
    kind, coefficient = _kind(loss, coordinates, point, hessian)
    return CriticalPoint(coordinates, point, kind, _value(loss, at), hessian, coefficient, None, curve)


def _kind(
    loss: sp.Expr, coordinates: tuple[sp.Symbol, ...], point: tuple[sp.Expr, ...], hessian: sp.ImmutableMatrix
) -> tuple[str, LearningCoefficient | None]:
    """Ask the Hessian, and where it has no inverse ask whether λ exists for the loss or for its negative."""
    determinant, trace = hessian.det(), hessian.trace()
    if determinant.is_negative:
        return "saddle", None
    if determinant.is_positive:
        least = LearningCoefficient(sp.S.One, 1, "positive definite Hessian")
        return ("minimum", least) if trace.is_positive else ("maximum", None)
    for sign, name in ((1, "degenerate minimum"), (-1, "degenerate maximum")):
        try:
            found = local_learning_coefficient(sign * loss, coordinates, point)
        except ArgumentError:  # of both signs, or of the other
            continue
        except NoClosedFormError:
            return "degenerate", None
        return name, found if sign == 1 else None
    return "degenerate saddle", None


def _value(expression: sp.Expr, at: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
    value = expression.subs(at)
    return value if value.has(sp.CRootOf) else sp.nsimplify(sp.simplify(value))


def _short(number: sp.Expr) -> str:
    return str(number) if number.is_Rational and number.q < 100 else f"{float(number):.4g}"
