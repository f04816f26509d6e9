"""Slices: exact where arithmetic is, the model untouched, the same on any workers, and what overflows is counted."""

from __future__ import annotations

from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

from sgdtheory import (
    ArgumentError,
    LostBlocksWarning,
    blobs,
    custom_loss,
    interpolate,
    mlp,
    random_directions,
    slice_1d,
    slice_2d,
    slice_curvature,
)  # fmt: skip
from sgdtheory.measure import grid

RANDOM = np.random.default_rng(0)
NET = mlp(*blobs(30, 3, 3, rng=0), [5, 5])
W = NET.init(rng=1)
FIRST, SECOND = random_directions(NET, W, rng=2)


def dyadic(*shape: int) -> np.ndarray:
    """Return numbers with few bits, so that sums of products are exact."""
    return RANDOM.integers(-64, 65, shape) / 16


def affine(c: np.ndarray) -> object:
    return custom_loss(lambda w: w @ c + 3.0, lambda w: np.broadcast_to(c, w.shape), len(c))


def test_an_affine_loss_has_second_differences_0_everywhere() -> None:
    c, w, d, e = dyadic(4, 20)
    plane = slice_2d(affine(c), w, d, e, points=65, extent=2)
    f = plane.loss.values
    for axis in (0, 1):
        np.testing.assert_array_equal(np.diff(f, 2, axis=axis), 0)
    np.testing.assert_array_equal(np.diff(np.diff(f, axis=0), axis=1), 0)
    bent = slice_curvature(plane)
    np.testing.assert_array_equal(bent.largest.values, 0)
    assert bent.attrs["negative_share"] == 0
    for line in (slice_1d(affine(c), w, d, points=65), interpolate(affine(c), w, d, points=129)):
        np.testing.assert_array_equal(np.diff(line.loss.values, 2), 0)


def test_a_quadratic_is_its_closed_form() -> None:
    h = dyadic(6, 6)
    h = h + h.T
    g, w, d, e = dyadic(4, 6)
    loss = custom_loss(lambda w: ((w @ h) * w).sum(axis=-1) / 2 + w @ g, lambda w: w @ h + g, 6)
    plane = slice_2d(loss, w, d, e, points=33)
    a, b = np.meshgrid(plane.alpha.values, plane.beta.values, indexing="ij")
    slope, metric = h @ w + g, np.array([[d @ h @ d, d @ h @ e], [d @ h @ e, e @ h @ e]])
    start = w @ h @ w / 2 + g @ w
    expected = start + a * (slope @ d) + b * (slope @ e) + (metric[0, 0] * a**2 + metric[1, 1] * b**2) / 2
    np.testing.assert_array_equal(plane.loss.values, expected + metric[0, 1] * a * b)
    bent = slice_curvature(plane)
    for name, eigenvalue in zip(("smallest", "largest"), np.linalg.eigvalsh(metric), strict=True):
        np.testing.assert_allclose(bent[name].values, eigenvalue, rtol=1e-12)


def test_the_point_is_on_every_grid_and_the_axes_are_symmetric() -> None:
    for points in (1, 3, 51, 101):
        plane = slice_2d(NET, W, FIRST, SECOND, points=points, extent=0.3)
        alpha = plane.alpha.values
        np.testing.assert_array_equal(alpha, -alpha[::-1])
        assert plane.loss.sel(alpha=0, beta=0) == pytest.approx(float(NET.value(W)), rel=1e-15)
    line = interpolate(NET, W, FIRST.values)
    assert line.sizes["alpha"] == 401
    assert float(line.alpha[0]), float(line.alpha[-1]) == (-0.5, 1.5)
    for place, end in ((0, W), (1, FIRST.values)):
        assert line.loss.sel(alpha=place) == pytest.approx(float(NET.value(end)), rel=1e-15)


def test_every_cell_is_the_loss_there_with_rows_along_the_first_direction() -> None:
    coordinates = ([-0.7, 0.0, 0.1], np.array([0.0, 0.3]))
    plane = slice_2d(NET, W, FIRST, SECOND, points=coordinates)
    assert plane.loss.dims == ("alpha", "beta")
    for i, a in enumerate(coordinates[0]):
        for j, b in enumerate(coordinates[1]):
            there = NET.value(W + a * FIRST.values + b * SECOND.values)
            assert plane.loss.values[i, j] == pytest.approx(float(there), rel=1e-14)


def test_nobodys_arrays_are_written_to() -> None:
    before = [a.tobytes() for a in (W, FIRST.values, SECOND.values)]
    slice_2d(NET, W, FIRST, SECOND, points=5)
    interpolate(NET, W, FIRST.values, points=9)
    assert [a.tobytes() for a in (W, FIRST.values, SECOND.values)] == before
    frozen = W.copy()
    frozen.setflags(write=False)
    slice_1d(NET, frozen, FIRST, points=3)


def test_a_slice_says_what_it_is() -> None:
    facts = slice_2d(NET, W, FIRST, 2 * FIRST.values, points=3).attrs
    assert facts["direction_alpha"] == "Gaussian, every filter (row) as long as its weights; vectors 0"
    assert facts["direction_beta"] == "given"
    assert facts["cosine"] == pytest.approx(1)
    assert facts["norm_beta"] == pytest.approx(2 * np.linalg.norm(FIRST.values))
    assert facts["norm_w"] == pytest.approx(np.linalg.norm(W))
    assert facts["parameters"] == NET.dimension
    assert (facts["not_finite"], facts["not_evaluated"]) == (0, 0)
    assert np.isnan(slice_2d(NET, W, FIRST, np.zeros_like(W), points=3).attrs["cosine"])


# --- who evaluates ---------------------------------------------------------------------------------------------------


def test_the_workers_change_nothing() -> None:
    reference = slice_2d(NET, W, FIRST, SECOND, points=41, threads=1).loss.values.tobytes()
    with ThreadPoolExecutor(3) as threads, ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        for workers in ({"threads": 2}, {"executor": threads}, {"executor": processes}):
            assert slice_2d(NET, W, FIRST, SECOND, points=41, **workers).loss.values.tobytes() == reference


def test_a_loss_that_cannot_be_sent_is_evaluated_here() -> None:
    c = dyadic(3)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.warns(LostBlocksWarning) as warned:
        line = slice_1d(affine(c), np.zeros(3), np.ones(3), points=5, executor=pool)
    np.testing.assert_array_equal(line.loss.values, 3 + c.sum() * line.alpha.values)
    assert warned[0].filename == __file__


def test_an_interrupt_leaves_cells_that_are_counted() -> None:
    class Interrupted(ThreadPoolExecutor):
        left = 2

        def submit(self, *arguments: Any, **keywords: Any) -> Future[Any]:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().submit(*arguments, **keywords)

    with Interrupted(1) as pool:
        plane = slice_2d(NET, W, FIRST, SECOND, points=31, executor=pool)
    assert plane.attrs["not_evaluated"] == 31**2 - 2 * 256
    assert plane.attrs["not_finite"] == 0
    assert np.isnan(plane.loss.values).sum() == plane.attrs["not_evaluated"]


def test_a_bar_counts_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []

    class Bar:
        def __init__(self, *_: object, **__: object) -> None: ...
        def start(self) -> None: ...
        def stop(self) -> None: ...
        def add_task(self, name: str, total: int) -> int:
            shown.extend((name, total))
            return 0

        def update(self, _: int, completed: int) -> None:
            shown.append(completed)

    monkeypatch.setattr("rich.progress.Progress", Bar)
    monkeypatch.setattr("sgdtheory.progress._SILENT_SECONDS", 0.0)
    slice_2d(NET, W, FIRST, SECOND, points=21, progress=True)
    assert shown == ["evaluating", 2, 1, 2]


def test_a_fine_plane_is_what_its_coarse_one_is() -> None:
    """Two hundred points an edge, in seconds; the cells they share agree to the last bit."""
    fine = slice_2d(NET, W, FIRST, SECOND, points=201)
    coarse = slice_2d(NET, W, FIRST, SECOND, points=(fine.alpha.values[::50], fine.beta.values[::50]))
    np.testing.assert_array_equal(fine.loss.values[::50, ::50], coarse.loss.values)


# --- cells that are not finite, and curvatures -----------------------------------------------------------------------


def test_cells_that_are_not_finite_stay_and_are_counted() -> None:
    loss = custom_loss(lambda w: np.exp(2e3 * w[..., 0]) + np.log(1.5 - w[..., 1]), lambda w: w, 2)
    plane = slice_2d(loss, np.zeros(2), [1.0, 0.0], [0.0, 2.0], points=5)
    assert np.isinf(plane.loss.values[3:, :4]).all()
    assert np.isnan(plane.loss.values[:, 4]).all()
    assert plane.attrs["not_finite"] == 2 * 4 + 5
    bent = slice_curvature(plane)
    assert np.isnan(bent.smallest.values).sum() == 7
    assert np.isfinite(bent.smallest.values[:2, :2]).sum() == 2


def test_curvatures_need_three_points_and_may_be_nowhere() -> None:
    line = slice_1d(NET, W, FIRST, points=1)
    with pytest.raises(ArgumentError, match="at least 3"):
        slice_curvature(line)
    nowhere = custom_loss(lambda w: np.full(w.shape[:-1], np.nan), lambda w: w, 1)
    assert np.isnan(slice_curvature(slice_1d(nowhere, [0.0], [1.0], points=3)).attrs["negative_share"])


def test_curvatures_of_uneven_grids() -> None:
    loss = custom_loss(lambda w: w[..., 0] ** 2 - w[..., 1] ** 2, lambda w: w, 2)
    plane = slice_2d(loss, [1.0, 1.0], [1.0, 0.0], [0.0, 1.0], points=([-1, 0, 0.5, 3], [-0.25, 0, 4.0]))
    bent = slice_curvature(plane)
    np.testing.assert_allclose(bent.smallest.values, -2, rtol=1e-13)
    np.testing.assert_allclose(bent.largest.values, 2, rtol=1e-13)
    assert bent.attrs["negative_share"] == 1
    assert bent.attrs["direction_alpha"] == "given"


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "points", "extent"),
    [
        ("points", 50, 1.0),
        ("points", True, 1.0),
        ("points", [-1.0, 1.0], 1.0),
        ("points", [1.0, 0.0], 1.0),
        ("points", (3, 3, 3), 1.0),
        ("extent", 3, 0.0),
        ("extent", 3, np.inf),
    ],
)
def test_grids_that_are_none(argument: str, points: object, extent: float) -> None:
    with pytest.raises(ArgumentError, match=f"^{argument}: "):
        slice_2d(NET, W, FIRST, SECOND, points=points, extent=extent)


def test_shapes_that_do_not_fit() -> None:
    for argument, call in {
        "w": lambda: slice_1d(NET, W[1:], FIRST),
        "along": lambda: slice_1d(NET, W, np.ones(3)),
        "second": lambda: slice_2d(NET, W, FIRST, np.full_like(W, np.inf)),
        "end": lambda: interpolate(NET, W, [1.0]),
        "points": lambda: interpolate(NET, W, W, points=[0.0, 0.5]),
        "executor": lambda: slice_1d(NET, W, FIRST, executor="threads"),
    }.items():
        with pytest.raises(ArgumentError, match=f"^{argument}: "):
            call()
    with pytest.raises(ArgumentError, match="4m"):
        interpolate(NET, W, W, points=400)
    assert grid.axis(5, 2).tolist() == [-2, -1, 0, 1, 2]
