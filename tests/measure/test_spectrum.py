"""Both ends of a Hessian's spectrum against the whole of it, also where shifting and asking again goes wrong."""

from __future__ import annotations

import numpy as np
import pytest

from sgdtheory import (
    ArgumentError,
    blobs,
    curvature_map,
    custom_loss,
    extreme_eigenvalues,
    hessian_directions,
    mlp,
    random_curvatures,
    random_directions,
)  # fmt: skip
from sgdtheory.measure import spectrum

NET = mlp(*blobs(20, 3, 2, rng=0), [6, 6], activation="tanh")
W = NET.init(rng=1)


def bowl(h: np.ndarray) -> object:
    """Return the loss ½wᵀHw."""
    return custom_loss(lambda w: ((w @ h) * w).sum(axis=-1) / 2, lambda w: w @ h, len(h), lambda w, v: v @ h)


def turned(values: list[float], rng: int = 0) -> np.ndarray:
    """Return a symmetric matrix of given eigenvalues."""
    q, _ = np.linalg.qr(np.random.default_rng(rng).standard_normal((len(values), len(values))))
    return q * values @ q.T


SPECTRA = {
    "a saddle": [-2.0, *np.linspace(-1, 1, 30), 3.0],
    "positive, where a shift by 0.51 finds the largest again": [1.0, 0.8, 0.5, 0.3] * 8,
    "negative, where it finds the smallest twice": list(-np.linspace(0.3, 1, 30)),
    "many zeros below": [0.0] * 30 + [1.0, 2.0],
    "many zeros above": [0.0] * 30 + [-1.0, -2.0],
    "plus and minus": [-1.0, 1.0] * 15,
    "one number": [2.0] * 20,
    "nothing": [0.0] * 20,
    "small": list(1e-9 * np.linspace(-1, 2, 25)),
}


@pytest.mark.parametrize("dense", [True, False], ids=["matrix", "Lanczos"])
@pytest.mark.parametrize("name", SPECTRA)
def test_both_ends(name: str, dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not dense:
        monkeypatch.setattr(spectrum, "_DENSE", 0)
    values = SPECTRA[name]
    h, size = turned(values), max(map(abs, values))
    ends = extreme_eigenvalues(bowl(h), np.zeros(len(h)))
    assert ends.smallest == pytest.approx(min(values), abs=1e-7 * size)
    assert ends.largest == pytest.approx(max(values), abs=1e-7 * size)
    assert ends.residual <= 1e-6 * size
    if size:
        assert ends.ratio == pytest.approx(abs(min(values) / max(values)) if max(values) else np.inf, abs=1e-6) or (
            abs(max(values)) < 1e-12 * size or name == "many zeros above"
        )
    else:
        assert np.isnan(ends.ratio)


def test_lanczos_agrees_with_the_matrix_on_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    exact, (steep, down) = extreme_eigenvalues(NET, W), hessian_directions(NET, W)
    h = NET.hvp(W, np.eye(NET.dimension))
    values = np.linalg.eigvalsh((h + h.T) / 2)
    assert (exact.smallest, exact.largest) == pytest.approx((values[0], values[-1]))
    assert values[0] < 0
    monkeypatch.setattr(spectrum, "_DENSE", 0)
    ends = extreme_eigenvalues(NET, W)
    assert (ends.smallest, ends.largest) == pytest.approx((values[0], values[-1]), rel=1e-6)
    for one, value in ((steep, values[-1]), (down, values[0])):
        assert one.norm == pytest.approx(1)
        assert one.values @ NET.hvp(W, one.values) == pytest.approx(value)
        assert f"{value:.4g}" in one.made
    for ours, theirs in zip(hessian_directions(NET, W), (steep, down), strict=True):
        assert abs(ours.values @ theirs.values) == pytest.approx(1, abs=1e-6)


def test_the_map_has_the_whole_hessians_ends_in_every_cell() -> None:
    first, second = random_directions(NET, W, rng=3)
    shown = curvature_map(NET, W, first, second, points=([-0.5, 0], [0, 0.25, 1]))
    assert shown.smallest.dims == ("alpha", "beta")
    for a in shown.alpha.values:
        for b in shown.beta.values:
            ends = extreme_eigenvalues(NET, W + a * first.values + b * second.values)
            cell = shown.sel(alpha=a, beta=b)
            assert float(cell.smallest) == pytest.approx(ends.smallest, rel=1e-9)
            assert float(cell.largest) == pytest.approx(ends.largest, rel=1e-9)
            assert float(cell.ratio) == pytest.approx(abs(ends.smallest / ends.largest), rel=1e-9)
    assert shown.attrs["not_finite"] == 0
    assert shown.attrs["direction_alpha"] == first.made


@pytest.mark.parametrize("dense", [True, False])
def test_where_there_is_no_hessian(dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not dense:
        monkeypatch.setattr(spectrum, "_DENSE", 0)
    loss = custom_loss(
        lambda w: np.log(w).sum(axis=-1), lambda w: 1 / w, 3, lambda w, v: np.where(w > 0, -v / w**2, np.nan)
    )
    assert np.isnan(extreme_eigenvalues(loss, [1.0, 1.0, -1.0]).largest)
    with pytest.raises(ArgumentError, match="finite eigenvalues"):
        hessian_directions(loss, [1.0, 1.0, -1.0])
    shown = curvature_map(loss, [1.0, 1.0, 1.0], [0, 0, 2.0], [1.0, 0, 0], points=(3, [0.0, 1.0]))
    assert shown.attrs["not_finite"] == 2
    assert float(shown.largest.sel(alpha=0, beta=1)) == pytest.approx(-0.25)


def test_curvatures_of_random_slices_have_hutchinsons_mean_and_variance() -> None:
    """Of one seed: five standard errors, and mutants that are farther away than that."""
    h = turned([5.0, 1.0, 1.0, 0.5, -1.0])
    found = random_curvatures(bowl(h), np.ones(5), 4000, rng=0)
    assert abs(found.mean - np.trace(h)) < 5 * found.mean_error < 0.1 * np.trace(h)
    square = 2 * (h**2).sum()
    assert abs(found.variance - square) < 5 * found.variance_error < 0.5 * square
    assert found.negative_share == pytest.approx((found.values < 0).mean())


def test_random_curvatures_are_those_of_the_random_directions() -> None:
    options = {"normalise": "filter", "vectors": "norm", "rng": 4}
    found = random_curvatures(NET, W, 40, **options)
    for d, q in zip(random_directions(NET, W, 40, **options), found.values, strict=True):
        assert d.values @ NET.hvp(W, d.values) == pytest.approx(q, rel=1e-9, abs=1e-14)
    assert found.made == random_directions(NET, W, 1, **options)[0].made


def test_bad_arguments() -> None:
    for argument, call in {
        "w": lambda: extreme_eigenvalues(NET, W[1:]),
        "count": lambda: random_curvatures(NET, W, 1),
        "normalise": lambda: random_curvatures(NET, W, normalise="rows"),
        "first": lambda: curvature_map(NET, W, W[1:], W),
    }.items():
        with pytest.raises(ArgumentError, match=f"^{argument}: "):
            call()
