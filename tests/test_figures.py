"""All figures: captions, claims, looks, seeds; and what reads the data that stand on the Axes."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.patches import Patch

from sgdtheory.plots.picture import Picture
from sgdtheory.plots.style import save
from sgdtheory.theory.registry import find

NAMES = (
    "naive_allocation",
    "allocation_rules",
    "half_help",
    "who_hurts",
    "lca_reconstruction",
    "lca_causes",
    "lca_layers",
    "lca_experiment",
    "bracket_gap",
    "bracket_table",
    "bracket_norms",
    "bracket_effects",
    "batch_size",
    "derived_algorithm",
    "linear_scaling",
    "stationary_variance",
    "momentum_windows",
    "adam_cycle",
    "heat_capacity",
    "stationary_density",
    "reshuffling",
    "minibatch_stability",
    "heavy_tail",
    "edge_of_stability",
    "gradient_flow",
    "weight_norms",
    "equilibrium_angle",
    "trajectory_null",
    "trajectory_plane",
    "slices_rescaling",
    "slices_batch_decay",
    "slices_skips",
    "curvature_map",
)
SIGMAS = 5  # of about 200 independent points one false alarm in 10⁴ runs


@cache
def script(name: str) -> ModuleType:
    """Import a figure script by its path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def picture(name: str) -> Picture:
    """Draw the quick figure once."""
    result = script(name).make(quick=True, rng=1)
    assert isinstance(result, Picture)
    return result


def line(axes: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the data of the theory line with this label."""
    (found,) = [artist for artist in axes.get_lines() if artist.get_label() == label]
    return np.asarray(found.get_xdata(), float), np.asarray(found.get_ydata(), float)


def bars(axes: Axes, label: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y and half length of the measured points with this label."""
    (found,) = [c for c in axes.containers if isinstance(c, ErrorbarContainer) and c.get_label() == label]
    data, _, (segments,) = found.lines
    half = np.array([(top - bottom) / 2 for (_, bottom), (_, top) in segments.get_segments()])
    return np.asarray(data.get_xdata(), float), np.asarray(data.get_ydata(), float), half


def markers(axes: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Return measured points drawn without bars."""
    (found,) = [c for c in axes.containers if isinstance(c, ErrorbarContainer) and c.get_label() == label]
    return np.asarray(found.lines[0].get_xdata(), float), np.asarray(found.lines[0].get_ydata(), float)


def assert_on_line(axes: Axes, label: str) -> None:
    """Every point lies on its formula, within its own error bar of 3 standard errors scaled up."""
    x, y, three_errors = bars(axes, label)
    expected = np.interp(x, *line(axes, label))
    assert (three_errors > 0).all()
    assert (np.abs(y - expected) <= SIGMAS / 3 * three_errors).all()


def assert_labels_claims_and_size(name: str, tmp_path: Path, *, legends: bool = True) -> None:
    """Every axis has a unit, every series of a legend a look of its own; claims exist; the file is small."""
    shown = picture(name)
    assert shown.name == name
    assert [find(claim).id for claim in shown.claims] == list(shown.claims)
    assert "nan" not in shown.caption
    for axes in shown.figure.axes:
        assert re.search(r"\(.+\)$", axes.get_xlabel())
        assert re.search(r"\(.+\)$", axes.get_ylabel())
        legend = axes.get_legend()
        assert legend or not legends
        looks = [(k.get_marker(), k.get_linestyle()) for k in legend.legend_handles] if legend else []
        assert len(looks) == len(set(looks))
    save(shown.figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size <= 200_000


@pytest.mark.parametrize("name", NAMES)
def test_caption_claims_and_labels(name: str, tmp_path: Path) -> None:
    shown = picture(name)
    assert shown.name == name
    assert [find(claim).id for claim in shown.claims] == list(shown.claims)
    assert re.search(r"[Ss]eed 1\b", shown.caption)
    assert re.search(r"\b0 of [\d,]+ runs diverged", shown.caption)
    assert 2 <= len(re.findall(r"\.(?:\s|$)", shown.caption)) <= 4
    assert "nan" not in shown.caption
    for axes in shown.figure.axes:
        if axes.get_xlabel():
            assert re.search(r"\(.+\)$", axes.get_xlabel())
        if axes.get_ylabel():
            assert re.search(r"\(.+\)$|÷", axes.get_ylabel())
    save(shown.figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size <= 200_000


@pytest.mark.parametrize("name", NAMES)
def test_series_differ_by_more_than_colour(name: str) -> None:
    for axes in picture(name).figure.axes:
        handles = axes.get_legend().legend_handles if axes.get_legend() else []
        looks = [k.get_hatch() if isinstance(k, Patch) else (k.get_marker(), k.get_linestyle()) for k in handles]
        assert len(looks) == len(set(looks))


def test_same_seed_same_picture_other_seed_other_numbers() -> None:
    module = script("naive_allocation")
    images = []
    for rng in (1, 1, 2):  # fresh figures: a second drawing of the same one shifts its layout by a fraction of a pixel
        shown = module.make(quick=True, rng=rng)
        buffer = BytesIO()
        shown.figure.savefig(buffer, format="raw")
        images.append(buffer.getvalue())
    assert images[0] == images[1] != images[2]
