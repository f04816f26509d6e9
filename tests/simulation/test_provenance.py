"""What a result says about itself: enough to repeat it, and how near to instability it ran."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
import sympy as sp

import sgdtheory
from sgdtheory import (
    SGD,
    Dataset,
    EMAMomentum,
    Fresh,
    Momentum,
    Nesterov,
    Normal,
    Optimizer,
    Problem,
    Uniform,
    landscape,
    quadratic,
    simulate,
    sticky_1d,
)
from sgdtheory.kernels.build import cache_folder
from sgdtheory.simulation.provenance import stability, versions

POINTS = np.array([[1.0, 2.0], [0.5, 0.0], [3.0, -1.0]])


@pytest.fixture(scope="module")
def attributes() -> dict[str, Any]:
    run = simulate(
        sticky_1d(1, 2, 1.8), SGD(lr=0.01), steps=3, replicas=5, init=Uniform(-3.6, 3.6), batch_size=20, rng=11
    )
    return run.attrs


def test_a_run_says_what_it_was(attributes: dict[str, Any]) -> None:
    assert attributes["problem"] == "sticky 1-D, d=(1,2)"
    assert attributes["loss_convention"] == "half squared error"
    assert attributes["optimizer"] == "SGD"
    assert attributes["sampling"] == "fresh"
    numbers = {"lr": 0.01, "batch_size": 20, "steps": 3, "replicas": 5, "rng_entropy": "11", "rng_spawn_key": "()"}
    assert {name: attributes[name] for name in numbers} == numbers
    assert attributes["example_loss"] == str(sticky_1d(1, 2, 1.8).example_loss)


def test_a_run_names_its_kernel_by_its_file(attributes: dict[str, Any]) -> None:
    assert (cache_folder() / f"kernel_{attributes['kernel']}.py").is_file()


def test_versions() -> None:
    text = versions()
    assert f"sgdtheory {sgdtheory.__version__}" in text
    assert f"Python {platform.python_version()}" in text
    for package in ("numpy", "sympy", "numba"):
        assert f"{package} {version(package)}" in text


def test_every_attribute_is_text_or_a_plain_number(attributes: dict[str, Any]) -> None:
    assert all(isinstance(value, (str, int, float)) and not isinstance(value, bool) for value in attributes.values())


def test_a_data_set_is_named_by_its_values() -> None:
    def data_attribute(x: list[float]) -> str:
        problem = Problem("w*x", ["w"], Dataset(x=x))
        return str(simulate(problem, SGD(lr=0.1), steps=0, init=0.0, rng=0).attrs["data"])

    assert data_attribute([1, 2]) == data_attribute([1, 2])
    assert data_attribute([1, 2]) != data_attribute([1, 3])
    assert "2 samples, with replacement" in data_attribute([1, 2])


def test_parameters_are_written_down() -> None:
    problem = landscape("w**2", ["w"], noise_std=sp.Symbol("sigma", positive=True)).bind(sigma=0.5)
    run = {"steps": 0, "init": 0.0, "rng": 0}
    assert simulate(problem, SGD(lr=0.1), **run).attrs["parameters"].startswith("sigma=0.5")
    assert simulate(landscape("w**2", ["w"]), SGD(lr=0.1), **run).attrs["parameters"] == "none"


@pytest.mark.parametrize(
    ("optimizer", "limit"),
    [
        (SGD(lr=0.1), 2),
        (Momentum(lr=0.1, momentum=0.9), 3.8),  # 2(1 + μ)
        (EMAMomentum(lr=0.1, momentum=0.9), 38),  # 2(1 + μ)/(1 − μ)
        (Nesterov(lr=0.1, momentum=0.9), 3.8 / 2.8),  # 2(1 + μ)/(1 + 2μ)
    ],
)
def test_the_stability_limit_is_the_optimizers(optimizer: Optimizer, limit: float) -> None:
    found = stability(landscape("w**2/2", ["w"]), optimizer, np.zeros((1, 1)), np.zeros((1, 1)))
    assert found["stability_limit"] == pytest.approx(limit, rel=1e-12)


def test_sharpness_is_the_largest_curvature_times_the_learning_rate() -> None:
    found = stability(quadratic(sp.diag(1, 3), sp.eye(2)), SGD(lr=0.1), POINTS, 2 * POINTS)
    for where in ("start", "end"):
        assert found[f"lr_sharpness_{where}_median"] == pytest.approx(0.3)
        assert found[f"lr_sharpness_{where}_max"] == pytest.approx(0.3)


def test_sharpness_varies_along_a_run() -> None:
    """L = w⁴/12 + v²/2 has the curvatures w² and 1."""
    problem = landscape("w**4/12 + v**2/2", ["w", "v"])
    found = stability(problem, SGD(lr=0.1), POINTS, np.full((4, 2), np.inf))
    assert found["lr_sharpness_start_max"] == pytest.approx(0.9)
    assert found["lr_sharpness_start_median"] == pytest.approx(0.1)
    assert np.isnan(found["lr_sharpness_end_max"])


def test_replicas_whose_curvature_overflows_are_left_out() -> None:
    points = np.array([[1e200, 1.0], [1.0, 1.0], [np.inf, 0.0]])
    found = stability(landscape("w**4/12 + v**4/12", ["w", "v"]), SGD(lr=0.1), points, points)
    assert found["lr_sharpness_start_max"] == pytest.approx(0.1)


def test_ends_are_those_of_the_run_even_if_they_are_not_recorded() -> None:
    settings: dict[str, Any] = {"steps": 30, "init": 3.0, "rng": 0}
    all_of_it = simulate(landscape("w**4/12", ["w"]), SGD(lr=0.05), **settings)
    middle = simulate(landscape("w**4/12", ["w"]), SGD(lr=0.05), record=[15], **settings)
    assert middle.attrs == all_of_it.attrs
    assert middle.attrs["lr_sharpness_start_max"] == pytest.approx(0.05 * 9)
    assert middle.attrs["lr_sharpness_end_max"] == pytest.approx(0.05 * float(all_of_it.w[0, -1, 0]) ** 2)


def test_where_the_loss_has_no_closed_form_there_is_no_number() -> None:
    problem = Problem("tanh(w*x)", ["w"], Fresh(x=Normal()))
    found = stability(problem, SGD(lr=0.1), np.zeros((1, 1)), np.zeros((1, 1)))
    assert np.isnan(found["lr_sharpness_start_median"])
    assert found["stability_limit"] == 2


def test_many_coordinates_cost_no_symbolic_hessian() -> None:
    names = [f"w{i}" for i in range(9)]
    problem = landscape(" + ".join(f"{name}**2" for name in names), names)
    found = stability(problem, SGD(lr=0.1), np.zeros((1, 9)), np.zeros((1, 9)))
    assert np.isnan(found["lr_sharpness_end_max"])
