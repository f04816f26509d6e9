"""Trajectory planes: against plain linear algebra, nulls that simulated walks and chains meet, edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sgdtheory import ArgumentError, chain_shares, sign_flip_shares, trajectory_plane, walk_shares


def walk(points: int, dimension: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((points, dimension)).cumsum(axis=0)


@given(st.integers(3, 12), st.integers(1, 12), st.booleans(), st.integers(0, 2**32 - 1))
@example(3, 1, True, 0)
@example(12, 2, False, 0)
def test_shares_coordinates_and_distances_are_those_of_the_points(
    points: int, dimension: int, centred: bool, seed: int
) -> None:
    path = walk(points, dimension, seed)
    plane = trajectory_plane(path, centred=centred)
    moved = path - (path.mean(0) if centred else path[-1])
    spectrum = np.linalg.eigvalsh(moved.T @ moved)[::-1]
    expected = np.zeros(2)
    expected[: min(2, dimension)] = (spectrum / spectrum.sum())[:2]
    np.testing.assert_allclose(plane.shares, expected, atol=1e-12)
    np.testing.assert_allclose(plane.distances, np.linalg.norm(path - plane.at(plane.coordinates), axis=1), atol=1e-12)
    lost = (plane.distances**2).sum() / (moved**2).sum()
    assert lost == pytest.approx(1 - plane.shares.sum(), abs=1e-12)
    assert (plane.coordinates[0] >= -1e-12).all()


def test_components_are_orthonormal_and_uncentred_is_not_centred() -> None:
    path = walk(20, 50)
    for centred in (True, False):
        axes = trajectory_plane(path, components=5, centred=centred).components
        np.testing.assert_allclose(axes @ axes.T, np.eye(5), atol=1e-12)
    about_mean, about_last = trajectory_plane(path), trajectory_plane(path, centred=False)
    assert about_last.shares[0] > about_mean.shares[0] + 0.05
    np.testing.assert_array_equal(about_last.coordinates[-1], 0)


def test_subtracting_the_last_point_changes_only_the_origin() -> None:
    path = walk(15, 40)
    plain, shifted = trajectory_plane(path), trajectory_plane(path - path[-1])
    np.testing.assert_allclose(plain.shares, shifted.shares, rtol=1e-12)
    np.testing.assert_allclose(plain.coordinates, shifted.coordinates, atol=1e-10)
    np.testing.assert_allclose(plain.origin - path[-1], shifted.origin, atol=1e-12)


@pytest.mark.parametrize(("centred", "two"), [(True, 0.7599), (False, 0.9006)])
def test_a_walk_in_many_dimensions_meets_its_null(centred: bool, two: float) -> None:
    plane = trajectory_plane(walk(40, 20_000), components=3, centred=centred)
    np.testing.assert_allclose(plane.shares, plane.walk_shares, atol=0.01)
    assert walk_shares(5000, centred=centred)[:2].sum() == pytest.approx(two, abs=1e-4)


@pytest.mark.parametrize("points", [2, 3, 10, 57])
def test_null_shares_add_to_one_and_fall(points: int) -> None:
    for shares in (
        walk_shares(points),
        walk_shares(points, centred=False),
        chain_shares(points, 0.8),
        chain_shares(points, 0.8, centred=False),
    ):
        assert shares.shape == (points - 1,)
        assert shares.sum() == pytest.approx(1, abs=1e-12)
        assert (np.diff(shares) < 0).all() or points == 2


def test_a_walk_projects_on_cosines() -> None:
    plane = trajectory_plane(walk(60, 20_000))
    t = np.arange(1, 61)
    for k in (1, 2):
        cosine = np.cos(np.pi * k * (t - 0.5) / 60)
        assert abs(np.corrcoef(cosine, plane.coordinates[:, k - 1])[0, 1]) > 0.999


def test_a_settled_chain_meets_its_null_and_not_the_walks() -> None:
    ρ, points, dimension = 0.9, 80, 20_000
    rng = np.random.default_rng(3)
    path = [rng.standard_normal(dimension)]
    for _ in range(points - 1):
        path.append(ρ * path[-1] + np.sqrt(1 - ρ**2) * rng.standard_normal(dimension))
    shares = trajectory_plane(path, components=4).shares
    np.testing.assert_allclose(shares, chain_shares(points, ρ)[:4], atol=0.005)
    assert (walk_shares(points)[0] - shares[0]) > 0.3


def test_independent_points_share_alike_and_a_slow_chain_walks() -> None:
    np.testing.assert_allclose(chain_shares(9, 0.0), 1 / 8, rtol=1e-12)
    np.testing.assert_allclose(chain_shares(30, 1 - 1e-7), walk_shares(30), atol=1e-5)
    slow = chain_shares(30, 1 - 1e-7, centred=False)
    np.testing.assert_allclose(slow, walk_shares(30, centred=False), atol=1e-5)


def test_sign_flips_know_few_and_unequal_dimensions() -> None:
    path = walk(50, 3, 5) * np.array([5.0, 1.0, 0.2])
    shares = sign_flip_shares(path, draws=400, rng=1)
    assert shares[:, 0].mean() > walk_shares(50)[0] + 0.2
    again = np.array([trajectory_plane(walk(50, 3, s) * np.array([5.0, 1.0, 0.2])).shares[0] for s in range(400)])
    assert shares[:, 0].mean() == pytest.approx(again.mean(), abs=5 * np.hypot(again.std(), shares[:, 0].std()) / 20)
    many = sign_flip_shares(walk(20, 20_000), draws=5, rng=1)
    np.testing.assert_allclose(many[:, :2], np.tile(walk_shares(20)[:2], (5, 1)), atol=0.02)


def test_sign_flips_are_walks_of_the_same_steps() -> None:
    path = walk(6, 4)
    signs = np.random.default_rng(7).choice([-1.0, 1.0], size=(1, 5))
    flipped = np.vstack([np.zeros(4), (signs.T * np.diff(path, axis=0)).cumsum(axis=0)])
    for centred in (True, False):
        (shares,) = sign_flip_shares(path, draws=1, centred=centred, rng=7)
        np.testing.assert_allclose(
            shares[:4], trajectory_plane(flipped, components=4, centred=centred).shares, atol=1e-12
        )


def test_a_constant_trajectory_has_no_direction() -> None:
    for centred in (True, False):
        plane = trajectory_plane(np.full((5, 3), 1.5), centred=centred)
        for array in (plane.components, plane.coordinates, plane.distances, plane.shares):
            np.testing.assert_array_equal(array, 0)
        np.testing.assert_array_equal(sign_flip_shares(np.ones((4, 2)), draws=2, centred=centred, rng=0), 0)
        assert "0.0% (walk" in str(plane)


def test_a_straight_line_has_one_direction_and_one_dimension_no_second() -> None:
    line = np.outer(np.linspace(0.1, 7, 9), [1.0, 2.0, -1.0]) + 0.3
    plane = trajectory_plane(line)
    np.testing.assert_allclose(plane.shares, [1, 0], atol=1e-12)
    np.testing.assert_array_equal(plane.components[1], 0)
    np.testing.assert_allclose(plane.distances, 0, atol=1e-12)
    assert trajectory_plane(line[:, :1]).shares.tolist() == [pytest.approx(1), 0]


def test_more_components_than_there_are_come_as_zeros() -> None:
    plane = trajectory_plane(walk(3, 5), components=4)
    np.testing.assert_array_equal(plane.components[2:], 0)
    np.testing.assert_array_equal(plane.walk_shares[2:], 0)
    assert plane.shares[:2].sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((2, 5)), r"points: got shape \(2, 5\); allowed: .*T ≥ 3.*Fix: .*fewer than three points"),
        (np.zeros(5), "points: got shape"),
        (np.zeros((4, 0)), "points: got shape"),
        ([[0.0], [1.0], [np.nan], [np.inf]], r"row 2; allowed: finite numbers. Fix: points\[:2\]"),
    ],
)
def test_what_is_no_trajectory_is_refused(points: np.ndarray, message: str) -> None:
    for function in (trajectory_plane, sign_flip_shares):
        with pytest.raises(ArgumentError, match=message):
            function(points)


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ArgumentError, match="components: got 0"):
        trajectory_plane(walk(4, 2), components=0)
    with pytest.raises(ArgumentError, match="points: got 1"):
        walk_shares(1)
    with pytest.raises(ArgumentError, match="correlation: got 1"):
        chain_shares(5, 1)
    with pytest.raises(ArgumentError, match="draws: got True"):
        sign_flip_shares(walk(4, 2), draws=True)


def test_the_printed_line_carries_the_null() -> None:
    text = str(trajectory_plane(walk(30, 900)))
    assert text.startswith("30 points in 900 dimensions, centred: components ")
    assert text.count("(walk ") == 2
    assert "off the plane" in text
    assert "about the last point" in str(trajectory_plane(walk(30, 900), centred=False))
