"""The layout of parameters: packing and unpacking, and every grouping by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import sgdtheory as sgd
from sgdtheory import ArgumentError
from sgdtheory.measure.protocol import Layout, Tensor, scalars

LAYOUT = Layout((Tensor("1.weight", (2, 3, 1)), Tensor("1.bias", (2,), "vector"), Tensor("2.weight", (1, 2))))


def test_arrays_sit_one_after_the_other() -> None:
    w = np.arange(20.0).reshape(2, 10)
    arrays = LAYOUT.unpack(w)
    shapes = {"1.weight": (2, 2, 3, 1), "1.bias": (2, 2), "2.weight": (2, 1, 2)}
    assert {name: a.shape for name, a in arrays.items()} == shapes
    np.testing.assert_array_equal(arrays["1.bias"], [[6, 7], [16, 17]])
    np.testing.assert_array_equal(LAYOUT.pack(arrays), w)


@pytest.mark.parametrize(
    ("by", "names", "labels"),
    [
        ("layer", ("1", "2"), [0] * 8 + [1] * 2),
        ("tensor", ("1.weight", "1.bias", "2.weight"), [0] * 6 + [1] * 2 + [2] * 2),
        ("neuron", ("1:0", "1:1", "2:0"), [0, 0, 0, 1, 1, 1, 0, 1, 2, 2]),
    ],
)
def test_groups(by: str, names: tuple[str, ...], labels: list[int]) -> None:
    got = LAYOUT.groups(by)
    assert got[0] == names
    assert got[1].tolist() == labels


def test_single_parameters_are_groups_of_their_own() -> None:
    assert LAYOUT.groups("parameter")[0][:2] == ("1.weight[0,0,0]", "1.weight[0,1,0]")
    for by in ("parameter", "neuron", "tensor", "layer"):
        assert scalars(["a", "b"]).groups(by)[0] == ("a", "b")
    with pytest.raises(ArgumentError, match="neuron"):
        LAYOUT.groups("colour")


@pytest.mark.parametrize(
    "call",
    [
        lambda it: sgd.numeric_loss(it),
        lambda it: sgd.critical_points(it),
        lambda it: sgd.with_examples(it, 5, 0),
        lambda it: sgd.lie_bracket(it, 0, 1, [0.0]),
        lambda it: sgd.bracket_matrix(it, [0.0]),
        lambda it: sgd.swap_gap(it, sgd.SGD(lr=0.1), 0, 1, [0.0]),
        lambda it: sgd.slice_1d(it, [0.0], [1.0]),
        lambda it: sgd.random_directions(it, [0.0]),
        lambda it: sgd.extreme_eigenvalues(it, [0.0]),
        lambda it: sgd.train(it, sgd.SGD(lr=0.1), steps=1),
        lambda it: sgd.training_steps(it, sgd.SGD(lr=0.1), steps=1),
    ],
)
def test_what_is_no_loss_or_problem_is_refused_by_name(call: Callable[[object], object]) -> None:
    with pytest.raises(ArgumentError, match=r"(loss|problem): got 3; allowed: an? (loss|Problem)"):
        call(3)
