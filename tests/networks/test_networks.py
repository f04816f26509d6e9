"""Networks: their gradient against their value, products against gradients, and the layers against other people's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import correlate2d

from sgdtheory import ArgumentError, Network, bars, blobs, convnet, mlp, spirals

X, Y = blobs(7, 3, 3, rng=1)
IMAGES, KINDS = bars(5, 4, rng=2)
SIDES = np.eye(3, dtype=int)[Y]
NETWORKS = {
    "tanh": mlp(X, Y, [4, 5]),
    "relu": mlp(X, Y, [4, 4], activation="relu"),
    "skips": mlp(X, Y, [4, 4, 4], skip=True),
    "normalised": mlp(X, Y, [4, 4], normalise=True),
    "normalised skips": mlp(X, Y, [4, 4], normalise=True, skip=True, activation="relu"),
    "no bias": mlp(X, Y, [4], bias=False),
    "linear": mlp(X, Y, []),
    "regression": mlp(X, X[:, 0] ** 2, [4], objective="squared error"),
    "independent labels": mlp(X, SIDES, [4], objective="independent labels"),
    "convolutions": convnet(IMAGES, KINDS, [2, 3]),
    "convolutions, skips": convnet(IMAGES, KINDS, [2, 2], skip=True, activation="tanh"),
    "wide kernels": convnet(IMAGES, KINDS, [2], width=5),
}


def moved(net: Network, seed: int, *lead: int) -> np.ndarray:
    """Return parameters off their start, so that no bias is 0 and no scale 1."""
    random = np.random.default_rng(seed)
    return net.init(random) + 0.3 * random.standard_normal((*lead, net.dimension))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_is_that_of_the_value(name: str) -> None:
    """Every component, by a complex step of the value: exact to rounding, with no code of the backward pass in it."""
    net = NETWORKS[name]
    w, h = moved(net, 0), 1e-100
    steps = w + 1j * h * np.eye(net.dimension)
    assert net.value(w).imag == 0
    by_hand = net._value(steps, None).imag / h
    np.testing.assert_allclose(net.gradient(w), by_hand, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", NETWORKS)
def test_products_are_derivatives_of_the_gradient(name: str) -> None:
    net = NETWORKS[name]
    w, (v, u) = moved(net, 0), np.random.default_rng(1).standard_normal((2, net.dimension))
    step = 1e-5
    difference = (net.gradient(w + step * v) - net.gradient(w - step * v)) / (2 * step)
    np.testing.assert_allclose(net.hvp(w, v), difference, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(u @ net.hvp(w, v), v @ net.hvp(w, u), rtol=1e-10)  # the Hessian is symmetric


@pytest.mark.parametrize("name", NETWORKS)
def test_batches_and_leading_axes(name: str) -> None:
    """A batch is the network on those examples; axes of points and of batches broadcast; blocks change nothing."""
    net = NETWORKS[name]
    w, v = moved(net, 0, 3), moved(net, 1, 3)
    batch = np.array([[[0, 1, 1]], [[4, 2, 3]]])
    for function, points in ((net.value, (w,)), (net.gradient, (w,)), (net.hvp, (w, v)), (net.accuracy, (w,))):
        got = function(*points, batch)
        assert got.shape[:2] == (2, 3)
        for i, rows in enumerate(batch[:, 0]):
            alone = Network(net.body, net.x[rows], net.y[rows], net.objective)
            whole = getattr(alone, function.__name__)(*points)
            np.testing.assert_allclose(got[i], whole, rtol=1e-10, atol=1e-14)
            for k in range(3):
                one = getattr(alone, function.__name__)(*(p[k] for p in points))
                np.testing.assert_allclose(one, whole[k], rtol=1e-10, atol=1e-14)


def test_many_points_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    net = NETWORKS["tanh"]
    w, v = moved(net, 0, 4, 5), moved(net, 1)
    at_once = net.value(w), net.gradient(w), net.hvp(w, v)
    monkeypatch.setattr("sgdtheory.networks.network._LARGEST_BLOCK", 100)
    for got, expected in zip((net.value(w), net.gradient(w), net.hvp(w, v)), at_once, strict=True):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_outputs_change_along_a_direction() -> None:
    net = NETWORKS["skips"]
    w, v, step = moved(net, 0), moved(net, 1), 1e-6
    difference = (net.outputs(w + step * v, [0, 3]) - net.outputs(w - step * v, [0, 3])) / (2 * step)
    np.testing.assert_allclose(net.output_change(w, v, [0, 3]), difference, rtol=1e-6, atol=1e-8)


def test_a_perceptron_by_hand() -> None:
    net = mlp([[1.0, -2.0]], [1], [2])
    w = np.arange(12.0) / 10 - 0.5
    first, bias, second, last = w[:4].reshape(2, 2), w[4:6], w[6:10].reshape(2, 2), w[10:]
    z = second @ np.tanh(first @ [1, -2] + bias) + last
    assert net.value(w) == pytest.approx(np.log(np.exp(z).sum()) - z[1], rel=1e-14)
    np.testing.assert_allclose(net.outputs(w), [z], rtol=1e-14)


def test_convolution_is_scipys() -> None:
    net = NETWORKS["convolutions"]
    layer, arrays = net.body.layers[0], net.layout.unpack(moved(net, 0))
    got, _ = layer.forward(arrays, net.x)
    for image, out in zip(net.x, got, strict=True):
        for kernels, bias, channel in zip(arrays["1.weight"], arrays["1.bias"], out, strict=True):
            expected = sum(correlate2d(c, k, mode="same") for c, k in zip(image, kernels, strict=True)) + bias
            np.testing.assert_allclose(channel, expected, rtol=1e-12, atol=1e-13)


def test_normalised_weights_may_be_rescaled() -> None:
    """Layer by layer, without bias before the normalisation: the loss does not see the scale, so w·∇L = 0."""
    net = NETWORKS["normalised"]
    w = moved(net, 0)
    layer = net.layout.slices["1.weight"]
    scaled = w.copy()
    scaled[layer] *= 7
    assert net.value(scaled) == pytest.approx(net.value(w), rel=1e-12)
    assert w[layer] @ net.gradient(w)[layer] == pytest.approx(0, abs=1e-14)
    np.testing.assert_allclose(net.gradient(scaled)[layer] * 7, net.gradient(w)[layer], rtol=1e-10, atol=1e-14)


def test_extreme_outputs_stay_finite() -> None:
    for name in ("linear", "independent labels"):
        net = NETWORKS[name]
        w = 1e4 * moved(net, 0)
        for values in (net.value(w), net.gradient(w), net.hvp(w, w)):
            assert np.isfinite(values).all()


def test_starting_values() -> None:
    net = mlp(X, Y, [400, 400], activation="relu", normalise=True)
    arrays = net.layout.unpack(net.init(0))
    assert arrays["2.weight"].std() == pytest.approx((2 / 400) ** 0.5, rel=0.02)
    assert (arrays["1n.scale"] == 1).all()
    assert (arrays["3.bias"] == 0).all()
    assert mlp(X, Y).init(0, 5).shape == (5, mlp(X, Y).dimension)
    np.testing.assert_array_equal(net.init(3), net.init(3))


def test_the_same_network_on_other_examples() -> None:
    net = NETWORKS["tanh"]
    w = moved(net, 0)
    np.testing.assert_allclose(net.on(X[:2], Y[:2]).value(w), net.value(w, [0, 1]), rtol=1e-14)
    with pytest.raises(ArgumentError, match="x"):
        net.on(X[:, :2], Y)
    with pytest.raises(ArgumentError, match="classes"):
        net.on(X, Y + 1)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"x": X[:3]}, "as many"),
        ({"x": [1.0, 2.0]}, "one row an example"),
        ({"x": np.full((7, 3), np.nan)}, "finite"),
        ({"y": Y + 0.5}, "classes"),
        ({"y": Y - 1}, "classes"),
        ({"y": [np.inf] * 7, "objective": "squared error"}, "finite"),
        ({"objective": "independent labels"}, "labels 0 or 1"),
        ({"objective": "hinge"}, "cross-entropy"),
        ({"activation": "sine"}, "tanh"),
        ({"widths": [0]}, "widths"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, object], match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        mlp(**({"x": X, "y": Y} | arguments))  # type: ignore[arg-type]


def test_images_and_kernels_are_checked() -> None:
    with pytest.raises(ArgumentError, match="channels, height, width"):
        convnet(X, Y)
    with pytest.raises(ArgumentError, match="odd"):
        convnet(IMAGES, KINDS, width=2)


def test_made_data() -> None:
    """The same for the same seed; every class as often as it can be; noise of the size asked for."""
    for make in (lambda n, rng: spirals(n, 3, rng=rng), lambda n, rng: blobs(n, 4, 3, rng=rng), bars):
        (x, y), again = make(31, rng=4), make(31, rng=4)
        np.testing.assert_array_equal(x, again[0])
        assert np.bincount(y).tolist() == [11, 10, 10]
    x, y = blobs(4000, 2, 2, spread=0.5, rng=0)
    assert x[y == 0].std(axis=0) == pytest.approx([0.5, 0.5], rel=0.06)
    images, kinds = bars(3000, 5, noise=0.2, rng=0)
    assert images.sum(axis=(1, 2, 3)).mean() == pytest.approx(5, abs=0.1)  # a bar is as long as the image
    assert images[kinds == 0].mean(axis=(1, 3)).max(axis=1).mean() > 0.9
    with pytest.raises(ArgumentError, match="at least one example"):
        spirals(2, 3)
