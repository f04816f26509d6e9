"""The figures of trained networks: slices, rescalings, planes and maps, against numbers worked out again here."""

from __future__ import annotations

import numpy as np
import pytest
from test_figures import line, markers, picture, script

import sgdtheory as sgd

# --- rescaling -------------------------------------------------------------------------------------------------------


def test_what_each_normalisation_sees_of_a_rescaling() -> None:
    module, axes = script("slices_rescaling"), picture("slices_rescaling").figure.axes
    raw, rows, fan_out = ({n: line(ax, look.label)[1] for n, look in module.POINTS.items()} for ax in axes[:3])
    for slices, seen in ((raw, {"layers", "units"}), (rows, {"units"}), (fan_out, set())):
        for name in ("layers", "units"):
            gap = np.abs(slices[name] / slices["as trained"] - 1).max()
            assert gap > 0.1 if name in seen else gap < 1e-9
    blind = {("layers", 1): set(module.ALL[1:]), ("units", 1): {"fan-out", "weight"}, ("units", 2): {"weight"}}
    for case, those in blind.items():
        _, changes = markers(axes[3], module.SEEN[case].label)
        assert {n for n, change in zip(module.ALL, changes, strict=True) if change < 1e-9} == those


def test_the_rescaled_networks_are_one_function() -> None:
    case = script("slices_rescaling").trained(2, 20, 1)
    outputs = [case.network.outputs(w) for w in case.points.values()]
    for other in outputs[1:]:
        np.testing.assert_allclose(other, outputs[0], rtol=1e-9, atol=1e-12)
    assert np.linalg.norm(case.points["layers"]) > 2 * np.linalg.norm(case.points["as trained"])


# --- batch size and weight decay -------------------------------------------------------------------------------------


def test_the_cells_are_trained_as_they_say() -> None:
    module = script("slices_batch_decay")
    task = module.tasks(True, 1)[0]
    cells = {cell: module.train(task, *cell, 2, 1) for cell in module.CELLS}
    length = {cell: np.linalg.norm(c.w, axis=1).mean() for cell, c in cells.items()}
    for batch in ("small", "all"):
        assert length[batch, True] < length[batch, False]
    assert length["small", False] > length["all", False]  # as many epochs are more steps
    for cell in cells.values():
        for w, error in zip(cell.w, cell.error, strict=True):
            said = task.test.outputs(w).argmax(axis=1)
            assert error == pytest.approx((said != task.test.y.argmax(axis=1)).mean())


def test_sharpness_and_error_are_drawn_run_by_run() -> None:
    module, axes = script("slices_batch_decay"), picture("slices_batch_decay").figure.axes
    for row in (axes[:4], axes[4:8]):
        for slices in row[:2]:
            for look in module.CELLS.values():
                alpha, rise = line(slices, look.label)
                assert rise[alpha == 0] == 0
        points = [markers(row[2], look.label) for look in module.CELLS.values()]
        x, y = (np.concatenate(v) for v in zip(*points, strict=True))
        ranks = [np.searchsorted(np.sort(v), v) + (np.sum(v[:, None] == v, axis=1) - 1) / 2 for v in (x, y)]
        expected = np.corrcoef(*ranks)[0, 1]
        assert float(row[2].get_title(loc="left").split()[-1].replace("−", "-")) == pytest.approx(expected, abs=0.006)


# --- skips and depth -------------------------------------------------------------------------------------------------


def test_planes_say_loss_and_ends_of_the_hessian() -> None:
    module = script("slices_skips")
    case = module.run(2, True, 5, 2, 5, 1)
    assert case.plane.loss.sel(alpha=0, beta=0) == pytest.approx(case.losses[0], rel=1e-12)
    assert case.ends.smallest < case.ends.largest
    assert ((case.down >= 0) & (case.down <= 1)).all()
    assert case.plane.attrs["direction_beta"].startswith("Gaussian, every filter")
    for axes in picture("slices_skips").figure.axes[:4]:
        assert "whole Hessian" in axes.get_title(loc="left")


# --- curvature map ---------------------------------------------------------------------------------------------------


def test_the_published_answer_is_that_of_the_shifted_iteration() -> None:
    """Carried out here on whole spectra: the eigenvalue of largest size, then that of H − 0.51λ."""
    published = script("curvature_map").published
    for spectrum in (
        [1, 0.8, 0.5, 0.3],
        [-1, -0.8, -0.3],
        [1, 0.5, 0.01],
        [2, -0.5],
        [-2, 0.5, 1],
        [-2, -0.01],
        [3, -2.9],
    ):
        first = max(spectrum, key=abs)
        found = max((x - 0.51 * first for x in spectrum), key=abs) + 0.51 * first
        smallest, largest = (first, found) if first <= 0 < found else (found, first)
        got = published(np.array(min(spectrum)), np.array(max(spectrum)))
        assert got == pytest.approx(abs(smallest / largest))


def test_the_map_is_that_of_a_hessian_by_hand() -> None:
    module = script("curvature_map")
    problem = module.unit_problem(1)
    x, y = problem.data.values.T
    loss, (a, b) = sgd.numeric_loss(problem), (0.7, -1.2)
    t = np.tanh(b * x)
    s, r = 1 - t**2, y - a * t
    cross = np.mean(a * s * x * t - r * s * x)
    h = [[np.mean(t**2), cross], [cross, np.mean((a * s * x) ** 2 + 2 * r * a * t * s * x**2)]]
    shown = sgd.curvature_map(loss, [0, 0], [1, 0], [0, 1], points=([0, a], [b, 0]))
    got = shown.sel(alpha=a, beta=b)
    assert [float(got.smallest), float(got.largest)] == pytest.approx(np.linalg.eigvalsh(h).tolist(), rel=1e-9)


# --- a trajectory on its plane ---------------------------------------------------------------------------------------


def test_losses_of_points_and_shadows_and_shares_beside_both_nulls() -> None:
    module, axes = script("trajectory_plane"), picture("trajectory_plane").figure.axes
    losses, shares = axes[2], axes[3]
    (steps, true), (_, shadows) = (line(losses, look.label) for look in (module.TRUE, module.ON_PLANE))
    assert steps[0] == 0
    assert not np.allclose(true, shadows, rtol=1e-3)
    k, walk = line(shares, module.WALK.label)
    np.testing.assert_allclose(walk, 1.5 / np.sin(np.pi * k / (2 * steps.size)) ** 2 / (steps.size**2 - 1), rtol=1e-12)
    _, own = markers(shares, module.RUN.label)
    assert own[0] > walk[0]
    assert own[:2].sum() <= 1
    for panel in axes[:2]:
        assert "walk 61%" in panel.get_xlabel()


def test_the_contours_are_the_loss_on_the_plane() -> None:
    module = script("trajectory_plane")
    net = sgd.mlp(*sgd.spirals(20, rng=0), [3])
    path = net.init(0) + np.random.default_rng(0).standard_normal((6, net.dimension)).cumsum(axis=0)
    seen = module.follow(net, np.arange(6), path, 5)
    x, y = (np.asarray(seen.map[name]) for name in ("alpha", "beta"))
    assert x[0] < seen.plane.coordinates[:, 0].min() < seen.plane.coordinates[:, 0].max() < x[-1]
    np.testing.assert_allclose(seen.map.loss[1, 2], net.value(seen.plane.at([x[1], y[2]])), rtol=1e-12)
    np.testing.assert_allclose(
        np.linalg.norm(path - seen.plane.at(seen.plane.coordinates), axis=1), seen.plane.distances
    )
    walk = module.walk_like(path, np.random.default_rng(1))
    assert walk.shape == path.shape
    np.testing.assert_array_equal(walk[0], path[0])
