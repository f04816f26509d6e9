"""How batches are drawn from a data set, seen through kernels whose step is the batch mean of the samples."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import sympy as sp
from kernel_tools import run_kernel, set_to
from numpy.typing import NDArray
from scipy import stats

from sgdtheory import Dataset, Problem

ALPHA = 1e-6
SIZE = 5
CODES = 2.0 ** np.arange(SIZE)  # the sum of a batch of distinct samples says which they are
OTHERS = np.array([0.3, -1.0, 2.0, 0.0, -0.7])


def data(sampling: str) -> Dataset:
    return Dataset(sampling=sampling, x=CODES, y=OTHERS)


def batches(sampling: str, *, replicas: int, steps: int, batch: int) -> NDArray[np.float64]:
    """Batch means of (x, y), shape (replicas, steps, 2)."""
    samples = data(sampling)
    dynamics = set_to(samples.symbols, samples)
    path, failed = run_kernel(dynamics, (0, 0), "numba", replicas=replicas, steps=steps, batch=batch)
    assert (failed == -1).all()
    return path[:, 1:]


@pytest.mark.parametrize("sampling", ["one epoch", "reshuffle"])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_an_epoch_uses_no_sample_twice(sampling: str, batch: int) -> None:
    per_epoch = SIZE // batch
    epochs = 1 if sampling == "one epoch" else 3
    sums = batches(sampling, replicas=300, steps=epochs * per_epoch, batch=batch)[..., 0] * batch
    for epoch in np.split(sums.astype(np.int64), epochs, axis=1):
        sizes = np.bitwise_count(epoch)
        union = np.bitwise_count(np.bitwise_or.reduce(epoch, axis=1))
        assert (sizes == batch).all()
        assert (union == per_epoch * batch).all()


def test_epochs_of_a_replica_and_replicas_of_an_epoch_differ() -> None:
    order = batches("reshuffle", replicas=300, steps=2 * SIZE, batch=1)[..., 0]
    first, second = order[:, :SIZE], order[:, SIZE:]
    assert (first != second).any(axis=1).mean() > 0.9  # 119/120 of orders differ
    assert len(np.unique(first, axis=0)) > 90  # 300 draws from 120 orders leave about 10 out


@pytest.mark.parametrize("sampling", ["one epoch", "reshuffle"])
def test_every_order_is_equally_likely(sampling: str) -> None:
    order = batches(sampling, replicas=60_000, steps=SIZE, batch=1)[..., 0]
    rank = np.log2(order).astype(np.int64) @ (SIZE ** np.arange(SIZE))
    _, counts = np.unique(rank, return_counts=True)
    assert len(counts) == math.factorial(SIZE)
    assert stats.chisquare(counts).pvalue > ALPHA
    for step in range(SIZE):
        assert stats.chisquare(np.bincount(np.log2(order[:, step]).astype(np.int64))).pvalue > ALPHA


def test_the_second_epoch_is_as_uniform_as_the_first_and_does_not_depend_on_it() -> None:
    order = np.log2(batches("reshuffle", replicas=60_000, steps=2 * SIZE, batch=1)[..., 0]).astype(np.int64)
    for before, after in ((SIZE - 1, SIZE), (0, SIZE), (SIZE - 1, 2 * SIZE - 1)):
        table = np.bincount(order[:, before] * SIZE + order[:, after], minlength=SIZE**2)
        assert stats.chisquare(table).pvalue > ALPHA


def test_with_replacement_is_uniform_and_independent() -> None:
    drawn = np.log2(batches("with replacement", replicas=60_000, steps=2, batch=1)[..., 0]).astype(np.int64)
    table = np.bincount(drawn[:, 0] * SIZE + drawn[:, 1], minlength=SIZE**2)
    assert stats.chisquare(table).pvalue > ALPHA


def test_with_replacement_draws_may_repeat_within_a_batch() -> None:
    sums = batches("with replacement", replicas=20_000, steps=1, batch=2)[:, 0, 0] * 2
    repeated = np.isin(sums, 2 * CODES) & ~np.isin(sums, [a + b for a, b in combinations(CODES, 2)])
    certain = np.isclose(sums, 2 * CODES[-1])  # 2·16 is no sum of two others
    assert stats.binomtest(int(certain.sum()), len(sums), 1 / SIZE**2).pvalue > ALPHA
    assert repeated.any()


def test_the_full_batch_is_every_sample_once() -> None:
    means = batches("full batch", replicas=3, steps=2, batch=SIZE)
    np.testing.assert_allclose(means, np.broadcast_to([CODES.mean(), OTHERS.mean()], means.shape), rtol=1e-15)


@pytest.mark.parametrize(
    ("sampling", "batch"), [("with replacement", 3), ("one epoch", 2), ("reshuffle", 3), ("full batch", SIZE)]
)
def test_the_covariance_of_a_batch_is_the_one_derived(sampling: str, batch: int) -> None:
    """A loss w·(x, y) has the gradient (x, y), so that the batch gradient's covariance is that of the batch mean."""
    samples = data(sampling)
    loss = sum(w * x for w, x in zip(sp.symbols("a b", real=True), samples.symbols, strict=True))
    derived = np.array(Problem(loss, ["a", "b"], samples).batch_noise(batch), dtype=float)
    means = batches(sampling, replicas=100_000, steps=1, batch=batch)[:, 0]
    centred = means - np.array([CODES.mean(), OTHERS.mean()])
    for i, j in ((0, 0), (0, 1), (1, 1)):
        products = centred[:, i] * centred[:, j]
        error = products.std() / math.sqrt(len(products))
        if sampling == "full batch":
            assert derived[i, j] == 0
            assert abs(products).max() < 1e-28
        else:
            assert 2 * stats.norm.sf(abs(products.mean() - derived[i, j]) / error) > ALPHA
            assert error < 0.02 * abs(derived[i, j])  # so that a missing (n − B)/(n − 1) would be seen
