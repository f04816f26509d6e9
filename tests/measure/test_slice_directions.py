"""Directions: every normalisation by hand, what has length 0, and which rescalings a direction follows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp

from sgdtheory import ArgumentError, Direction, blobs, custom_loss, mlp, random_directions, slice_1d
from sgdtheory.measure.protocol import Layout, Tensor
from sgdtheory.theory.slices.small_network import by_columns, by_rows

SHAPES = {"1.weight": (2, 3), "1.bias": (2,), "2.weight": (2, 2, 3), "3.weight": (1, 2)}
LAYOUT = Layout(tuple(Tensor(n, shape, "vector" if n == "1.bias" else "weight") for n, shape in SHAPES.items()))
LOSS = custom_loss(lambda w: (w**2).sum(axis=-1), lambda w: 2 * w, LAYOUT)
W = np.random.default_rng(0).standard_normal(LAYOUT.dimension)


def parts(
    normalise: str, vectors: str = "zero", w: np.ndarray = W
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return a direction and the draw it was made of."""
    (d,) = random_directions(LOSS, w, 1, normalise=normalise, vectors=vectors, rng=3)
    (raw,) = random_directions(LOSS, w, 1, normalise="none", vectors="drawn", rng=3)
    return LAYOUT.unpack(d.values), LAYOUT.unpack(raw.values)


def test_a_filter_is_a_row_of_axis_0() -> None:
    d, raw = parts("filter")
    own = LAYOUT.unpack(W)
    for name in ("1.weight", "2.weight", "3.weight"):
        for row, draw, weights in zip(d[name], raw[name], own[name], strict=True):
            expected = draw / np.sqrt(np.sum(draw**2)) * np.sqrt(np.sum(weights**2))
            np.testing.assert_allclose(row, expected, rtol=1e-15)


def test_the_published_code_differs_by_its_tiny_number_alone() -> None:
    """Its factor is |w|/(|d| + 10⁻¹⁰): the same for a draw of common size, not for a tiny direction."""
    d, raw = parts("filter")
    weights, draw = LAYOUT.unpack(W)["1.weight"][0], raw["1.weight"][0]
    published = draw * (np.linalg.norm(weights) / (np.linalg.norm(draw) + 1e-10))
    np.testing.assert_allclose(d["1.weight"][0], published, rtol=1e-9)
    assert not np.array_equal(d["1.weight"][0], published)


def test_fan_out_takes_columns_behind_the_first_weight() -> None:
    d, raw = parts("fan-out")
    own, rows = LAYOUT.unpack(W), parts("filter")[0]
    np.testing.assert_array_equal(d["1.weight"], rows["1.weight"])
    for name in ("2.weight", "3.weight"):
        for j in range(2):
            expected = raw[name][:, j] / np.linalg.norm(raw[name][:, j]) * np.linalg.norm(own[name][:, j])
            np.testing.assert_allclose(d[name][:, j], expected, rtol=1e-15)


def test_layers_and_weights() -> None:
    own = LAYOUT.unpack(W)
    whole, raw = parts("layer")
    for name in ("1.weight", "2.weight", "3.weight"):
        expected = raw[name] / np.linalg.norm(raw[name]) * np.linalg.norm(own[name])
        np.testing.assert_allclose(whole[name], expected, rtol=1e-14)
        np.testing.assert_array_equal(parts("weight")[0][name], raw[name] * own[name])
        np.testing.assert_array_equal(parts("none")[0][name], raw[name])


def test_vectors() -> None:
    own, raw = LAYOUT.unpack(W)["1.bias"], parts("none")[1]["1.bias"]
    for vectors, expected in {
        "zero": np.zeros(2),
        "weight": own,
        "drawn": raw,
        "norm": raw / np.linalg.norm(raw) * np.linalg.norm(own),
    }.items():
        np.testing.assert_allclose(parts("filter", vectors)[0]["1.bias"], expected, rtol=1e-15)


def test_what_has_length_0() -> None:
    """A filter of zeros has direction 0, and nothing is divided by it; a row of one weight becomes ± that weight."""
    dead = LAYOUT.pack(LAYOUT.unpack(W) | {"1.weight": np.array([[0.0, 0, 0], [1, 2, 2]]), "1.bias": np.zeros(2)})
    d, _ = parts("filter", "norm", dead)
    np.testing.assert_array_equal(d["1.weight"][0], 0)
    assert np.linalg.norm(d["1.weight"][1]) == pytest.approx(3, rel=1e-15)
    np.testing.assert_array_equal(d["1.bias"], 0)
    single = custom_loss(lambda w: w[..., 0], np.ones_like, 2)
    (d,) = random_directions(single, [3.0, -0.0], 1, rng=0)
    np.testing.assert_allclose(np.abs(d.values), [3, 0], rtol=1e-15)


def test_a_seed_is_a_draw_and_more_directions_begin_with_the_same() -> None:
    two, three = (random_directions(LOSS, W, count, rng=5) for count in (2, 3))
    for a, b in zip(two, three, strict=False):
        assert a.values.tobytes() == b.values.tobytes()
    assert not np.array_equal(three[1].values, three[2].values)
    assert two[0].made == "Gaussian, every filter (row) as long as its weights; vectors 0"
    assert random_directions(LOSS, W, rng=np.random.default_rng(5))[1].values.tobytes() == two[1].values.tobytes()
    assert Direction(np.array([3.0, 4.0]), "given").norm == 5


# --- which rescalings a direction follows ----------------------------------------------------------------------------

X, Y = blobs(20, 3, 2, rng=0)
SHALLOW, DEEP = (mlp(X, Y, widths, activation="relu") for widths in ([4], [4, 4]))


def rescaled(net: object, w: np.ndarray, factors: dict[str, np.ndarray]) -> np.ndarray:
    """Multiply the units of hidden layers by factors, what they send on by their inverses."""
    arrays = {name: a.copy() for name, a in net.layout.unpack(w).items()}
    for layer, c in factors.items():
        arrays[f"{layer}.weight"] *= c[:, np.newaxis]
        arrays[f"{layer}.bias"] *= c
        arrays[f"{int(layer) + 1}.weight"] /= c
    return net.layout.pack(arrays)


def change(net: object, w: np.ndarray, after: np.ndarray, normalise: str) -> float:
    """Return by how much the slice along the normalised direction changes when the point is rescaled."""
    losses = []
    for point in (w, after):
        (d,) = random_directions(net, point, 1, normalise=normalise, rng=7)
        losses.append(slice_1d(net, point, d, points=9, extent=2).loss.values)
    assert net.value(after) == pytest.approx(float(net.value(w)), rel=1e-12)  # a no-op it is
    return float(np.abs(losses[1] / losses[0] - 1).max())


UNIFORM = np.full(4, 10.0)
UNEVEN = np.array([10.0, 0.1, 3.0, 0.5])


@pytest.mark.parametrize("net", [SHALLOW, DEEP], ids=["one hidden layer", "two"])
def test_layers_rescaled(net: object) -> None:
    w = net.init(rng=1)
    after = rescaled(net, w, {"1": UNIFORM})
    for normalise in ("filter", "fan-out", "layer", "weight"):
        assert change(net, w, after, normalise) < 1e-12
    assert change(net, w, after, "none") > 0.01


@pytest.mark.parametrize(
    ("net", "blind"), [(SHALLOW, {"fan-out", "weight"}), (DEEP, {"weight"})], ids=["one hidden layer", "two"]
)
def test_single_units_rescaled(net: object, blind: set[str]) -> None:
    """Behind one hidden layer columns follow; with two, the weight between has both sides rescaled."""
    w = net.init(rng=1)
    layers = {str(i): np.roll(UNEVEN, i) for i in range(1, len(net.layout.tensors) // 2)}
    after = rescaled(net, w, layers)
    for normalise in ("filter", "fan-out", "layer", "weight", "none"):
        seen = change(net, w, after, normalise)
        assert seen < 1e-12 if normalise in blind else seen > 0.01


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("w", {"w": W[1:]}),
        ("w", {"w": np.full_like(W, np.nan)}),
        ("count", {"count": 0}),
        ("normalise", {"normalise": "rows"}),
        ("vectors", {"vectors": "ignore"}),
    ],
)
def test_bad_arguments(argument: str, options: dict[str, object]) -> None:
    with pytest.raises(ArgumentError, match=f"^{argument}: "):
        random_directions(LOSS, **({"w": W} | options))


# --- against the theory's symbols ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("normalise", "formula"), [("filter", by_rows), ("fan-out", by_columns)])
def test_the_lengths_are_those_of_the_claims(normalise: str, formula: Callable[..., sp.Matrix]) -> None:
    d, raw = parts(normalise)
    own = LAYOUT.unpack(W)["3.weight"]
    exact = formula(sp.Matrix(raw["3.weight"]), sp.Matrix(own))
    np.testing.assert_allclose(d["3.weight"], np.array(exact, dtype=float), rtol=1e-12)
