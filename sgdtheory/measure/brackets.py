"""Lie brackets of training examples at given points, by Hessian times gradient: single pairs, and tables over examples.

The descent field of a batch is v = −∇L over the batch. Swapping two neighbouring steps of SGD moves the parameters by
ε²[v_i, v_j] to leading order. All of it needs second derivatives: at a kink of the loss (ReLU, max, abs) they are those
of one side, and the swap of two steps that cross the kink is not described. Layers that mix the examples of a batch,
such as batch normalisation in training, leave no loss of one example; freeze their statistics.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from sgdtheory import symbols
from sgdtheory.errors import ArgumentError
from sgdtheory.measure.arrays import on_arrays
from sgdtheory.measure.hessian_norm import hessian_norm
from sgdtheory.measure.loss import checked_batch, checked_points, numeric_loss
from sgdtheory.measure.protocol import Array, Layout, Loss, dimension_of
from sgdtheory.problem import Problem
from sgdtheory.theory.lie_brackets.bracket import BRACKET
from sgdtheory.theory.lie_brackets.closed_forms import NORM_BOUND

if TYPE_CHECKING:
    import xarray as xr

Batch = NDArray[np.int64]
_LARGEST_BLOCK = 1 << 21  # numbers a field of brackets may have at once


def lie_bracket(loss: Problem | Loss, i: ArrayLike, j: ArrayLike, w: ArrayLike) -> Array:
    """Return the Lie bracket of two examples' or batches' descent fields, [v_i, v_j] = H_j g_i − H_i g_j.

    Two gradients and two Hessian–vector products, whatever the batches' sizes: the bracket of two batches is the mean
    of the brackets of all pairs.

    Parameters
    ----------
    loss : Problem or Loss
        A mean over examples: a problem on a `Dataset` (see `with_examples`), or a loss such as `numeric_loss` makes,
        which is quicker when asked often.
    i, j : int or int array, shape (..., B)
        Number of one example, or numbers of the examples of a batch; B may differ. Leading axes broadcast against each
        other and those of w: pairs of single examples are ``i[:, None]``.
    w : array_like, shape (..., d)

    Returns
    -------
    ndarray, shape (..., d)
        In units of θ over lr²: times ε² it is a displacement. Exactly 0 for i = j.

    Raises
    ------
    ArgumentError
        If the loss has no examples, or not one of the given number.

    References
    ----------
    pb1729 (2026), The Training Example Lie Bracket; claims LIE-01, LIE-05.

    Examples
    --------
    >>> from sgdtheory import Dataset
    >>> line = Problem("(y - w*x)**2/2", ["w"], Dataset(x=[1, 2], y=[0, 1]))
    >>> lie_bracket(line, 0, 1, [0.3])
    array([2.])
    """
    numeric = as_loss(loss)
    first, second = example_batch(numeric, "i", i), example_batch(numeric, "j", j)
    points = checked_points(w, numeric.dimension)
    return _bracket(numeric, first, second, points, numeric.gradient(points, first), numeric.gradient(points, second))


def bracket_bound(loss: Problem | Loss, i: ArrayLike, j: ArrayLike, w: ArrayLike) -> Array:
    """Return the norm that the bracket of two examples or batches cannot exceed, ‖H_j‖|g_i| + ‖H_i‖|g_j|.

    Parameters
    ----------
    loss, i, j, w
        As for `lie_bracket`.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ArgumentError
        As `lie_bracket`.

    References
    ----------
    Claim LIE-26; why brackets of log losses follow |g_i||g_j| more closely still: LIE-40.

    Examples
    --------
    >>> from sgdtheory import Dataset
    >>> line = Problem("(y - w*x)**2/2", ["w"], Dataset(x=[1, 2], y=[0, 1]))
    >>> float(bracket_bound(line, 0, 1, [0.3]).round(12))
    2.0
    """
    numeric = as_loss(loss)
    batches = example_batch(numeric, "i", i), example_batch(numeric, "j", j)
    points = checked_points(w, numeric.dimension)
    lengths = [np.linalg.norm(numeric.gradient(points, batch), axis=-1) for batch in batches]
    norms = [hessian_norm(numeric, points, batch) for batch in batches]
    return _limit(*lengths, *norms)


def bracket_matrix(
    loss: Problem | Loss,
    w: ArrayLike,
    examples: ArrayLike | None = None,
    *,
    by: str | None = None,
    field: bool = False,
    bound: bool = False,
) -> xr.Dataset:
    """Tabulate the brackets of all pairs of some examples: root mean square over the parameters, by group of them.

    Parameters
    ----------
    loss : Problem or Loss
        As for `lie_bracket`.
    w : array_like, shape (..., d)
        One point or several, such as the checkpoints of a run; of a DataArray the leading dimensions keep their names.
    examples : int array, shape (n,) or (n, B), optional
        Numbers of examples, or n batches; all examples by default. The cost is n(n − 1) Hessian–vector products.
    by : {"parameter", "neuron", "tensor", "layer"}, optional
        Groups of the loss's layout; all parameters together by default.
    field : bool
        Keep the brackets themselves, antisymmetric in the pair: n²·d numbers a point.
    bound : bool
        Work out the bound of `bracket_bound` too, over all parameters: n Hessian norms a point.

    Returns
    -------
    xarray.Dataset
        ``rms`` (..., [group,] first, second), symmetric with a zero diagonal, in units of θ/lr²; ``gradient_rms``
        (..., [group,] example); perhaps ``bracket`` (..., first, second, parameter) and ``bound`` (..., first, second).
        Times the square root of the coordinate ``size`` a root mean square is a norm.

    Raises
    ------
    ArgumentError
        As `lie_bracket`; or if there is no such grouping.

    Examples
    --------
    >>> from sgdtheory import linear_regression, with_examples
    >>> problem = with_examples(linear_regression(2), 3, rng=0)
    >>> bracket_matrix(problem, [0.0, 0.0]).rms.round(2).values
    array([[0.  , 0.04, 0.09],
           [0.04, 0.  , 0.1 ],
           [0.09, 0.1 , 0.  ]])
    """
    numeric = as_loss(loss)
    batches = _rows(numeric, examples)
    points = checked_points(np.asarray(w), numeric.dimension)
    groups = Groups(numeric.layout, by)
    n, lead = len(batches), points.shape[:-1]
    gradients = numeric.gradient(points[..., np.newaxis, :], batches)
    rms = np.zeros((*lead, len(groups.names), n, n))
    fields = np.zeros((*lead, n, n, numeric.dimension)) if field else None
    for a, b in _pairs(n, gradients.size // max(n, 1)):
        at, (g_a, g_b) = points[..., np.newaxis, :], (gradients[..., k, :] for k in (a, b))
        brackets = _bracket(numeric, batches[a], batches[b], at, g_a, g_b)
        rms[..., a, b] = rms[..., b, a] = np.swapaxes(groups.rms(brackets), -1, -2)
        if fields is not None:
            fields[..., a, b, :], fields[..., b, a, :] = brackets, -brackets
    sizes = np.swapaxes(groups.rms(gradients), -1, -2)
    limits = None
    if bound:
        norms, lengths = hessian_norm(numeric, points[..., np.newaxis, :], batches), np.linalg.norm(gradients, axis=-1)
        rows, columns = (np.newaxis, slice(None)), (slice(None), np.newaxis)
        limits = _limit(*(a[..., *side] for a in (lengths, norms) for side in (columns, rows)))
    return _table(numeric.layout, groups, batches, w, {"rms": rms, "gradient_rms": sizes}, fields, limits)


class Groups:
    """Groups of the parameters, and root mean squares over them.

    Parameters
    ----------
    layout : Layout
    by : str or None
        A grouping of the layout; None: one group of all.
    """

    def __init__(self, layout: Layout, by: str | None) -> None:
        everything = (("all",), np.zeros(layout.dimension, dtype=np.int64))
        self.by = by
        self.names, labels = everything if by is None else layout.groups(by)
        self.order = np.argsort(labels, kind="stable")
        self.sizes = np.bincount(labels, minlength=len(self.names))
        self.starts = np.cumsum(self.sizes) - self.sizes

    def rms(self, values: Array) -> Array:
        """Return the root mean square over every group, shape (..., d) → shape (..., groups)."""
        sums = np.add.reduceat(values[..., self.order] ** 2, self.starts, axis=-1)
        return np.asarray(np.sqrt(sums / self.sizes))


def as_loss(loss: Problem | Loss) -> Loss:
    """Return the loss of a problem on arrays; a loss as it is."""
    if isinstance(loss, Problem):
        return numeric_loss(loss)
    dimension_of(loss)  # refuses what is no loss
    return loss


def example_batch(loss: Loss, argument: str, numbers: ArrayLike) -> Batch:
    """Return an example as a batch of one, and a batch as it is, shape (..., B)."""
    if not loss.examples:
        fix = "give the problem a Dataset, or draw one: with_examples(problem, n)"
        raise ArgumentError("loss", "one that is no mean over examples", "a loss with examples", fix)
    given = np.asarray(numbers)
    return checked_batch(given[np.newaxis] if given.ndim == 0 else given, loss.examples, argument)


@cache
def _from_products() -> Any:
    """Return the claim's formula of the bracket as a function of H_j g_i and H_i g_j."""
    return on_arrays([symbols.hessian_21, symbols.hessian_12], [BRACKET.statement.rhs])


@cache
def _from_norms() -> Any:
    """Return the claim's bound as a function of |g_i|, |g_j|, ‖H_i‖ and ‖H_j‖."""
    norms = (symbols.gradient_norm_1, symbols.gradient_norm_2, symbols.hessian_norm_1, symbols.hessian_norm_2)
    return on_arrays(norms, [sp.sqrt(NORM_BOUND.statement.gts)])  # it is stated squared


def _limit(g_first: Array, g_second: Array, h_first: Array, h_second: Array) -> Array:
    return np.asarray(_from_norms()(g_first, g_second, h_first, h_second)[0])


def _bracket(loss: Loss, first: Batch, second: Batch, points: Array, g_first: Array, g_second: Array) -> Array:
    products = loss.hvp(points, g_first, second), loss.hvp(points, g_second, first)
    return np.asarray(_from_products()(*products)[0])


def _rows(loss: Loss, examples: ArrayLike | None) -> Batch:
    """Return batches, shape (n, B)."""
    given = np.arange(loss.examples) if examples is None else np.asarray(examples)
    rows = example_batch(loss, "examples", given[:, np.newaxis] if given.ndim == 1 else given)
    if rows.ndim != 2:
        raise ArgumentError("examples", f"shape {given.shape}", "shape (n,), or (n, B) for batches")
    return rows


def _pairs(n: int, size: int) -> Iterator[tuple[Batch, Batch]]:
    """Yield all pairs first < second, some at a time: `size` numbers belong to one."""
    first, second = np.triu_indices(n, 1)
    block = max(1, _LARGEST_BLOCK // max(size, 1))
    for start in range(0, len(first), block):
        yield first[start : start + block], second[start : start + block]


def leading_dims(w: Any) -> tuple[tuple[Hashable, ...], dict[Hashable, Any]]:
    """Return names, and coordinates, of the leading axes of points: those of a DataArray, else point, or point_1, …."""
    if hasattr(w, "dims") and hasattr(w, "coords"):
        names = tuple(w.dims[:-1])
        return names, {name: w.coords[name] for name in names if name in w.coords}
    count = np.ndim(w) - 1
    return (("point",) if count == 1 else tuple(f"point_{k + 1}" for k in range(count))), {}


def _table(
    layout: Layout,
    groups: Groups,
    batches: Batch,
    w: ArrayLike,
    tables: dict[str, Array],
    field: Array | None,
    bound: Array | None,
) -> xr.Dataset:
    import xarray as xr

    lead, coords = leading_dims(w)
    labels = batches[:, 0] if batches.shape[1] == 1 else np.arange(len(batches))
    coords |= dict.fromkeys(("first", "second", "example"), labels)
    group: tuple[str, ...] = ("group",) if groups.by else ()
    if groups.by:
        coords |= {"group": list(groups.names), "size": ("group", groups.sizes)}
    else:
        tables = {name: values.squeeze(axis=len(lead)) for name, values in tables.items()}
        coords["size"] = math.prod(groups.sizes.tolist())
    data: dict[str, Any] = {
        "rms": ((*lead, *group, "first", "second"), tables["rms"], {"units": "θ/lr²"}),
        "gradient_rms": ((*lead, *group, "example"), tables["gradient_rms"], {"units": "L/θ"}),
    }
    if bound is not None:
        data["bound"] = ((*lead, "first", "second"), bound, {"units": "θ/lr²", "long_name": "bound on the norm"})
    if field is not None:
        data["bracket"] = ((*lead, "first", "second", "parameter"), field, {"units": "θ/lr²"})
        coords["parameter"] = list(layout.groups("parameter")[0])
    return xr.Dataset(data, coords, {"by": groups.by or "all"})
