"""The README's five lines: a filter-normalised plane of a trained network."""

from __future__ import annotations

from matplotlib.figure import Figure

import sgdtheory as sgd


def test_a_plane_in_five_lines() -> None:
    net = sgd.mlp(*sgd.spirals(200, rng=0), widths=[16, 16])
    w = sgd.train(net, sgd.SGD(lr=0.2), batch_size=8, steps=100, record=100, rng=0).w.values[0, -1]
    first, second = sgd.random_directions(net, w, rng=0)  # filter-normalised
    plane = sgd.slice_2d(net, w, first, second, points=11)
    plane.loss.plot.contour(ax=Figure().subplots(), levels=20)

    assert plane.attrs["direction_alpha"].startswith("Gaussian, every filter (row) as long as its weights")
    assert plane.loss.sel(alpha=0, beta=0) == net.value(w)
    assert abs(plane.attrs["cosine"]) < 0.3
