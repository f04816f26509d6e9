"""Drawing a data set from the laws of a problem."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from sgdtheory import (
    ArgumentError,
    Dataset,
    Fresh,
    Normal,
    Problem,
    Quantile,
    Rademacher,
    StudentT,
    Uniform,
    landscape,
    linear_regression,
    single_feature,
    with_examples,
)


def test_columns_follow_their_laws() -> None:
    """Mean and second moment of every kind of law, within five standard errors."""
    laws = {
        "a": Normal(2, 3),
        "b": Uniform(-1, 2),
        "c": Rademacher(),
        "e": StudentT(12, 1, 2),
        "f": Quantile("-log(1 - u)"),
    }
    problem = Problem("w*(a + b + c + e + f)", ["w"], Fresh(**laws))
    drawn = with_examples(problem, 40_000, rng=0)
    assert isinstance(drawn.data, Dataset)
    assert [s.name for s in drawn.data.symbols] == list(laws)
    for column, law in zip(drawn.data.values.T, laws.values(), strict=True):
        for power in (1, 2):
            values = column**power
            error = 5 * values.std() / np.sqrt(values.size)
            assert abs(values.mean() - float(law.moment(power))) <= error
    correlations = np.corrcoef(drawn.data.values.T) - np.eye(5)
    assert np.abs(correlations).max() < 5 / np.sqrt(40_000)


def test_everything_else_is_kept() -> None:
    problem = single_feature("a*w**2", ["w"], sp.Symbol("s", positive=True)).bind(a=2, s=0.5)
    drawn = with_examples(problem, 1000, rng=1, sampling="one epoch")
    assert (drawn.example_loss, drawn.coordinates, drawn.convention) == (
        problem.example_loss,
        problem.coordinates,
        "half squared error",
    )
    assert drawn.free_parameters == ()
    assert isinstance(drawn.data, Dataset)
    assert drawn.data.sampling == "one epoch"
    assert drawn.data.values[:, 1].std() == pytest.approx(0.5, rel=0.1)


def test_the_seed_decides() -> None:
    same, again, other = (with_examples(linear_regression(2), 5, rng) for rng in (0, np.random.default_rng(0), 1))
    assert same == again != other


def test_what_has_no_examples_to_draw_is_refused() -> None:
    w = sp.Symbol("w", real=True)
    for problem in (
        Problem("w*x", ["w"], Dataset(x=[1])),
        landscape("w**2", ["w"]),
        landscape("w**2", ["w"], noise_root=[[w]]),
    ):
        with pytest.raises(ArgumentError, match="problem: got"):
            with_examples(problem, 3)
    with pytest.raises(ArgumentError, match=r"which has s.*bind"):
        with_examples(single_feature("w", ["w"], sp.Symbol("s", positive=True)), 3)
    for size in (0, 1.5, True):
        with pytest.raises(ArgumentError, match="size"):
            with_examples(linear_regression(1), size)  # type: ignore[arg-type]
