"""The density of SGD on a line as the diffusion limit has it: Itô's Fokker–Planck equation on cells.

∂p/∂n = −∂J/∂w with J = bp − ∂(Dp)/∂w = (b − D')p − Dp', b = −ηL' and D = η²Σ/(2B) in units of a step. Between two
centres b − D' and D are taken as constant, and J is what then flows: the weights of Scharfetter and Gummel, and of
Chang and Cooper. The rates from cell to cell are never negative, so the density is not either, and what leaves one cell
enters the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory.errors import ArgumentError
from sgdtheory.measure.loss import vectorised
from sgdtheory.problem import Problem

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Array = NDArray[np.float64]
SIDES = ("left", "right")


@dataclass(frozen=True)
class FokkerPlanck:
    """Rates between the cells of a line, and what follows from them.

    Parameters
    ----------
    edges : array, shape (n + 1,)
        Of the cells.
    up, down : array, shape (n,)
        Rates a step from each cell to the next, and to the one before; at the ends out of the grid, 0 if reflecting.
    log_ratio : array, shape (n − 1,)
        Logarithm of the density in a cell over that in the one before, without current.
    """

    edges: Array
    up: Array
    down: Array
    log_ratio: Array

    @property
    def centres(self) -> Array:
        """Middles of the cells."""
        return np.asarray((self.edges[1:] + self.edges[:-1]) / 2)

    @property
    def widths(self) -> Array:
        """Widths of the cells."""
        return np.diff(self.edges)

    @property
    def generator(self) -> csc_array:
        """A with d(masses)/dn = A·masses; its columns sum to 0, less at absorbing ends."""
        from scipy.sparse import csc_array, diags_array

        bands = [self.up[:-1], -(self.up + self.down), self.down[1:]]
        return csc_array(diags_array(bands, offsets=[-1, 0, 1]))

    def stationary(self) -> Array:
        """Return the density without current, exp(∫(b − D')/D) = exp(∫b/D)/D, normalised.

        Raises
        ------
        ArgumentError
            If noise vanishes at an edge, where mass would collect, or an end absorbs. Noise that vanishes inside a
            cell is not seen: mass then collects there however fine the cells.
        """
        if not np.isfinite(self.log_ratio).all():
            where = float(self.edges[1:-1][~np.isfinite(self.log_ratio)][0])
            raise ArgumentError("problem", f"no noise at {where:g}: mass collects there", "noise at every edge")
        if self.down[0] or self.up[-1]:
            raise ArgumentError("absorbing", "an end that absorbs", "ends that reflect", "leave it out")
        logs = np.concatenate([[0.0], np.cumsum(self.log_ratio)])
        masses = np.exp(logs - logs.max()) * self.widths
        return np.asarray(masses / masses.sum() / self.widths)

    def evolve(self, density: ArrayLike, steps: Sequence[float] | Array, substeps: int = 200) -> Array:
        """Return the density after so many steps of SGD.

        Backward Euler, of first order in the substep: positive however long it is. No method of higher order is
        (Bolley, Crouzeix 1978).

        Parameters
        ----------
        density : array, shape (n,)
            At the start, ≥ 0.
        steps : increasing sequence of float, shape (m,)
        substeps : int
            Implicit steps between two entries of `steps`, ≥ 1.

        Returns
        -------
        array, shape (m, n)
            What has been absorbed is missing from its integral.

        Raises
        ------
        ArgumentError
        """
        from scipy.sparse import eye_array
        from scipy.sparse.linalg import splu

        masses = _checked_density(density, self.widths)
        times = np.asarray(steps, dtype=np.float64)
        if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times, prepend=0.0) < 0).any():
            raise ArgumentError("steps", steps, "increasing numbers >= 0")
        if not isinstance(substeps, (int, np.integer)) or substeps < 1:
            raise ArgumentError("substeps", substeps, "a whole number >= 1")
        generator, rows = self.generator, []
        for span in np.diff(times, prepend=0.0):
            if span > 0:
                solver = splu(eye_array(masses.size, format="csc") - generator * (span / substeps))
                for _ in range(substeps):
                    masses = solver.solve(masses)
            rows.append(masses / self.widths)
        return np.array(rows)

    def exit_steps(self) -> Array:
        """Return the mean number of steps until the density's run is absorbed, from the centre of each cell.

        Raises
        ------
        ArgumentError
            If no end absorbs.
        """
        from scipy.sparse.linalg import spsolve

        if not (self.down[0] or self.up[-1]):
            raise ArgumentError("absorbing", "no end that absorbs", "left | right")
        return np.asarray(spsolve(self.generator.T.tocsc(), -np.ones(self.centres.size)))


def fokker_planck(
    problem: Problem, lr: float, batch_size: int = 1, *, edges: ArrayLike, absorbing: Sequence[str] = ()
) -> FokkerPlanck:
    """Put the diffusion limit of SGD on a one-parameter problem on cells.

    Parameters
    ----------
    problem : Problem
        One coordinate, every parameter bound; its noise may depend on w.
    lr : float
        η > 0.
    batch_size : int
        B ≥ 1.
    edges : array_like, shape (n + 1,)
        Of the cells, increasing; finer where the density bends. Nothing passes the two ends.
    absorbing : sequence of {"left", "right"}
        Ends that take what reaches them instead.

    Returns
    -------
    FokkerPlanck

    Raises
    ------
    ArgumentError
        For arguments that cannot be meant, or a problem without noise.

    Notes
    -----
    SGD is read as Itô's process (claim DEG-11). Steps are taken as small: the true law differs by O(η), and where
    batches throw the run far in one step the limit has the wrong tail (claim STA-05).

    References
    ----------
    Scharfetter, Gummel (1969); Chang, Cooper (1970), for the weights.

    Examples
    --------
    >>> from sgdtheory import landscape
    >>> well = landscape("w**2/2", ["w"], noise_std=1)
    >>> limit = fokker_planck(well, lr=0.1, edges=np.linspace(-2, 2, 401))
    >>> density = limit.stationary()
    >>> round(float(density @ (limit.centres**2 * limit.widths)), 4)  # ησ²/2
    0.05
    """
    push, spread = _fields(problem, lr, batch_size)
    borders = _checked_edges(edges)
    unknown = sorted(map(str, set(absorbing) - set(SIDES))) if not isinstance(absorbing, str) else [absorbing]
    if unknown:
        raise ArgumentError("absorbing", unknown, "a list of left, right")
    centres, widths = (borders[1:] + borders[:-1]) / 2, np.diff(borders)
    D = spread(borders)
    if not (np.isfinite(D).all() and (D >= 0).all() and D.max() > 0):
        raise ArgumentError("problem", "no noise, or none that is finite", "gradient noise of finite variance")
    gaps = np.diff(centres, prepend=borders[0], append=borders[-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        v = push(borders) * gaps / D  # not a number where drift and noise both vanish: nothing passes
    forward, back = _current(v, D, push(borders), gaps)
    up, down = forward[1:] / widths, back[:-1] / widths
    up[-1] *= "right" in absorbing
    down[0] *= "left" in absorbing
    return FokkerPlanck(borders, up, down, v[1:-1])


def _current(v: Array, D: Array, push: Array, gaps: Array) -> tuple[Array, Array]:
    """Return the currents over every edge, forward and back, for unit density on the side they come from.

    J·gap/D = pB(−v) − p'B(v), B Bernoulli's function and v = (b − D')·gap/D; where D = 0 what is pushed flows.
    """
    noisy = np.isfinite(v)
    forward = np.where(noisy, D * _bernoulli(-v) / gaps, np.maximum(push, 0))
    back = np.where(noisy, D * _bernoulli(v) / gaps, np.maximum(-push, 0))
    return forward, back


def _bernoulli(v: Array) -> Array:
    """Return v/(e^v − 1), 1 at 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.abs(v) < 1e-8, 1 - v / 2, v / np.expm1(np.where(v == 0, 1.0, v)))


def _fields(problem: Problem, lr: float, batch_size: int) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Return b − D' and D a step as functions of the place."""
    if not isinstance(problem, Problem) or problem.dimension != 1 or problem.free_parameters:
        raise ArgumentError("problem", problem, "a Problem with one coordinate and a value for every parameter")
    if not isinstance(lr, (int, float, np.floating)) or not (np.isfinite(lr) and lr > 0):
        raise ArgumentError("lr", lr, "a number > 0")
    if not isinstance(batch_size, (int, np.integer)) or isinstance(batch_size, bool) or batch_size < 1:
        raise ArgumentError("batch_size", batch_size, "a whole number >= 1")
    eta, bound = sp.Float(lr), dict(problem.parameters)
    diffusion = eta**2 * problem.batch_noise(batch_size)[0] / 2
    push, spread = (
        vectorised(lambda e=expression: [e.xreplace(bound)], problem.coordinates, ())  # type: ignore[misc]
        for expression in (-eta * problem.gradient[0] - sp.diff(diffusion, *problem.coordinates), diffusion)
    )
    return (lambda w: push(w[:, np.newaxis])), (lambda w: spread(w[:, np.newaxis]))


def _checked_edges(edges: ArrayLike) -> Array:
    borders = np.asarray(edges, dtype=np.float64)
    if borders.ndim != 1 or borders.size < 3 or not np.isfinite(borders).all() or (np.diff(borders) <= 0).any():
        raise ArgumentError("edges", edges, "three increasing finite numbers or more")
    return borders


def _checked_density(density: ArrayLike, widths: Array) -> Array:
    values = np.asarray(density, dtype=np.float64)
    if values.shape != widths.shape or not np.isfinite(values).all() or (values < 0).any():
        raise ArgumentError("density", density, f"{widths.size} finite numbers >= 0, one a cell")
    return np.asarray(values * widths)
