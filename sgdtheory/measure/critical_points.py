"""Critical points of a problem with the learning rates SGD bears at each."""

from __future__ import annotations

from dataclasses import dataclass

from sgdtheory.derive.critical_points import CriticalPoint, find_critical_points
from sgdtheory.errors import ArgumentError, NoClosedFormError
from sgdtheory.measure.loss import numeric_loss
from sgdtheory.measure.stability import almost_sure_limit, mean_square_limit
from sgdtheory.problem import Problem


@dataclass(frozen=True)
class Landmark:
    """A critical point, and the ends of stability there.

    Parameters
    ----------
    point : CriticalPoint
        Place, kind, loss, Hessian, learning coefficient, barrier.
    gradient_descent : float
        Learning rate up to which gradient descent stays, 2/λmax; ∞ where no direction is curved upwards.
    mean_square, almost_sure : float or None
        The same for SGD, in mean square and for almost every run, where they are known: at minima with a definite
        Hessian.
    """

    point: CriticalPoint
    gradient_descent: float
    mean_square: float | None
    almost_sure: float | None

    def __str__(self) -> str:
        limits = {"GD": self.gradient_descent, "mean square": self.mean_square, "almost surely": self.almost_sure}
        shown = ", ".join(f"{value:.4g} ({name})" for name, value in limits.items() if value is not None)
        return f"{self.point}" + (f"; stable up to η = {shown}" if self.point.kind.endswith("minimum") else "")


def critical_points(problem: Problem, batch_size: int = 1) -> tuple[Landmark, ...]:
    """Return the critical points of a problem of one or two parameters, exactly, with λ and the ends of stability.

    Parameters
    ----------
    problem : Problem
        Polynomial population loss, every parameter bound.
    batch_size : int
        B, for the limits of SGD.

    Returns
    -------
    tuple of Landmark
        In the order of their coordinates; of a curve of critical points one point, and its special ones.

    Raises
    ------
    ArgumentError
        If a parameter has no value, or the loss is no polynomial.
    NoClosedFormError
        For more than two parameters, or equations that cannot be solved exactly.

    Examples
    --------
    >>> from sgdtheory import sticky_1d
    >>> sharp, barrier, broad = critical_points(sticky_1d(1, 2, 1), batch_size=4)
    >>> print(sharp, broad, sep=" | ")
    w = -1: minimum, loss 1/2, λ = 1/2, barrier 0.7023; stable up to η = 0.125 (GD), 0.08 (mean square) |
    w = 1: degenerate minimum, loss 1/2, λ = 1/4, barrier 0.7023; stable up to η = inf (GD)
    """
    numeric_loss(problem)  # refuses free parameters
    points = find_critical_points(problem.loss.xreplace(dict(problem.parameters)), problem.coordinates)
    return tuple(_landmark(problem, point, batch_size) for point in points)


def _landmark(problem: Problem, point: CriticalPoint, batch_size: int) -> Landmark:
    mean_square = almost_sure = None
    if point.kind == "minimum":
        at = [float(value) for value in point.at]
        try:
            mean_square = mean_square_limit(problem, batch_size, at)
            almost_sure = almost_sure_limit(problem, batch_size, at[0]) if len(at) == 1 else None
        except (ArgumentError, NoClosedFormError):
            pass  # no law of the second derivatives is known; what was found stands
    return Landmark(point, point.lr_limit, mean_square, almost_sure)
