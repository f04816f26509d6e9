"""The figures of a network's allocations: sums against loss changes, causes against theory, the source's statements."""

from __future__ import annotations

import numpy as np
import pytest
from test_figures import bars, line, markers, picture, script

# --- reconstruction --------------------------------------------------------------------------------------------------


def test_the_adaptive_reconstruction_is_the_loss_and_the_first_order_form_is_not() -> None:
    module = script("lca_reconstruction")
    tables = module.measure(60, 3)
    gaps = {look: np.abs(module.reconstructed(table) - table.loss_after).max() for look, table in tables.items()}
    assert gaps[module.ADAPTIVE] < 60 * 1e-6
    assert gaps[module.FIRST] > 0.05
    assert gaps[module.RULES["trapezoid"]] > 10 * gaps[module.RULES["simpson"]]
    first = tables[module.FIRST]
    np.testing.assert_array_equal(first.allocation, first.first_order)


def test_drawn_reconstructions_lie_where_their_tables_say() -> None:
    module, (losses, _) = script("lca_reconstruction"), picture("lca_reconstruction").figure.axes
    step, loss = line(losses, module.LOSS.label)
    assert step.tolist() == list(range(1, 121))
    x, y = markers(losses, module.RULES["simpson"].label)
    assert np.abs(y - np.interp(x, step, loss)).max() < 0.02


# --- causes ----------------------------------------------------------------------------------------------------------


def test_bands_fill_what_lies_between_naive_and_true() -> None:
    module, axes = script("lca_causes"), picture("lca_causes").figure.axes
    for panel, causes in ((axes[0], 2), (axes[1], 4)):
        assert len(panel.collections) - len(panel.containers) <= causes
        bands = {k.get_label(): k.get_paths()[0].vertices for k in panel.collections if k.get_label() in module.BANDS}
        assert len(bands) == causes
        _, naive = line(panel, module.NAIVE.label)
        _, true = line(panel, module.TRUE.label)
        assert any(np.isclose(bands["curvature"][:, 1], true[-1], atol=1e-12))
        assert any(np.isclose(next(iter(bands.values()))[:, 1], naive[-1], atol=1e-12))


def test_the_minibatch_s_share_is_that_of_the_theory() -> None:
    """T_mb − ηΣᵢᵢ/B is a martingale: its sum over steps has mean zero."""
    module = script("lca_causes")
    steps, seeds = 40, 12
    table = module.measure(module.sgd.SGD(lr=module.LR), 0.0, steps, seeds, 5)
    share = table.causes.sel(cause="minibatch").sum(["step", "layer"]).values
    gap = share - module.expected_minibatch(steps, seeds, 5)[:, -1]
    assert abs(gap.mean()) < 5 * gap.std(ddof=1) / np.sqrt(seeds)
    assert share.mean() > 10 * abs(gap.mean())


def test_marked_loss_changes_lie_on_the_true_allocation() -> None:
    module = script("lca_causes")
    for panel in picture("lca_causes").figure.axes:
        x, y = markers(panel, module.LOSS.label)
        np.testing.assert_allclose(y, np.interp(x, *line(panel, module.TRUE.label)), atol=60 * 1e-6)


# --- layers ----------------------------------------------------------------------------------------------------------


def test_columns_of_the_map_add_up_to_the_loss_change() -> None:
    module, axes = script("lca_layers"), picture("lca_layers").figure.axes
    table = module.measure(120, 1)
    (mesh,) = [k for k in axes[0].collections if hasattr(k, "norm") and k.get_array() is not None]
    assert mesh.get_array().shape == (12 * 3 + 3, module.BLOCKS)
    change = float(table.loss_after[-1] - table.loss_before[0])
    assert float(mesh.get_array().sum()) == pytest.approx(change, abs=float(np.abs(table.residual).sum()))
    ends = [curve.get_ydata()[-1] for curve in axes[1].get_lines()[:4]]
    assert sum(ends) == pytest.approx(change, abs=float(np.abs(table.residual).sum()))


def test_sums_over_layers_are_sums_over_their_neurons() -> None:
    module = script("lca_layers")
    table = module.measure(30, 2)
    layers = module.by_layer(table.allocation)
    assert layers.layer.values.tolist() == ["1", "2", "3", "4"]
    np.testing.assert_allclose(layers.sel(layer="2"), table.allocation.values[:, 12:24].sum(axis=1), rtol=1e-12)
    assert int(module.by_layer(table["size"]).sum()) == module.network().dimension


# --- experiment ------------------------------------------------------------------------------------------------------


def test_more_than_half_help_on_average_at_every_setting() -> None:
    module = script("lca_experiment")
    for name in module.LOOKS:
        helping = module.measure(name, module.MIDDLE, module.QUICK, 2).helping.mean("step").values
        assert helping.mean() > 0.5 + 2 * helping.std(ddof=1) / np.sqrt(len(helping))
        assert helping.mean() < 0.75


def test_layers_hurt_at_the_largest_rate_and_none_at_the_smallest() -> None:
    module, axes = script("lca_experiment"), picture("lca_experiment").figure.axes[1]
    for look in module.LOOKS.values():
        _, first, _ = bars(axes, look.label)
        _, last, _ = bars(axes, f"{look.label}, last layer")
        assert first[0] < 0
        assert last[0] < 0
        assert last[-1] < 0
    assert any(bars(axes, look.label)[1][-1] > 0 for look in module.LOOKS.values())


def test_peaks_meet_at_no_shift_and_at_others_by_chance() -> None:
    module, axes = script("lca_experiment"), picture("lca_experiment").figure.axes[2]
    for look in module.LOOKS.values():
        lag, share, three_errors = bars(axes, look.label)
        apart = np.abs(lag) > 1
        assert share[lag == 0] - three_errors[lag == 0] > share[apart].mean()
        assert share[lag == 0] > share[apart].max()


def test_a_fresh_layer_helps_more_and_the_sum_stays() -> None:
    module = script("lca_experiment")
    size = module.Size(4, 120, ())
    before, *fresh = (
        module.totals(
            module.sgd.lca(
                module.steps_with_fresh_layer(k, size, 4), module.network(), module.sgd.Adaptive(), by="layer"
            )
        )
        for k in ("", "4", "1")
    )
    for layer, after in zip("41", fresh, strict=True):
        change = after - before
        own = change.sel(layer=layer)
        assert (own < 0).all()
        assert (change.sel(layer=[k for k in "1234" if k != layer]).sum("layer") > 0).all()
        assert abs(float(change.sum("layer").mean())) < 0.3 * abs(float(own.mean()))


@pytest.mark.parametrize("layer", ["", "4"])
def test_the_script_s_own_loop_takes_heavy_ball_s_steps(layer: str) -> None:
    """Against v' = μv + (1 − μ)·rate·G written out, with μ = 0 in the layer."""
    module = script("lca_experiment")
    net, random, v = module.network(), np.random.default_rng(7), 0.0
    names, labels = net.layout.groups("layer")
    μ = np.array([0.0 if names[k] == layer else module.MOMENTUM for k in labels])
    w = net.init(random, 2)
    for _, start, end in module.steps_with_fresh_layer(layer, module.Size(2, 4, ()), 7):
        batch = random.integers(net.examples, size=(2, module.BATCH_SIZE))
        v = μ * v + (1 - μ) * module.MIDDLE * net.gradient(w, batch)
        np.testing.assert_array_equal(start, w)
        np.testing.assert_allclose(end, w - v, rtol=1e-12, atol=1e-15)
        w = end
    assert np.abs(w - net.init(7, 2)).max() > 0
