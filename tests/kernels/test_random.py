"""Addressed random numbers: published answers, exact ranges, the laws they follow, and their independence."""

from __future__ import annotations

import math
from itertools import combinations, product

import mpmath
import numpy as np
import pytest
from kernel_tools import KEY, run_kernel, set_to
from numpy.typing import NDArray
from scipy import stats

from sgdtheory import Fresh, Normal, Uniform
from sgdtheory.kernels import random

ALPHA = 1e-6
"""False-alarm probability of each statistical test; the keys are fixed, so that a pass stays a pass."""

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("word", "published"),
    [
        (0, (0x9C6CA96A, 0xE17EAE66, 0xFC10ECD4, 0x5256A7D8)),
        (ONES, (0x2A881696, 0x57012287, 0xF6C7446E, 0xA16A6732)),
    ],
)
def test_threefry_gives_the_published_answers(word: int, published: tuple[int, ...]) -> None:
    assert random.threefry((word,) * 4, word, word, word, word) == published


def test_addresses_do_not_collide() -> None:
    corners = (0, 1, 2, 0x7FFFFFFF, 0x80000000, ONES)
    addresses = list(product(corners, corners, corners, (random.START, random.DATA, random.INDEX)))
    words = {random.threefry(KEY, *address) for address in addresses}
    assert len(words) == len(addresses)
    single = [word for four in words for word in four]
    # 4n words of 32 bits: about (4n)²/2³³ pairs agree by chance
    assert len(single) - len(set(single)) <= stats.poisson.isf(ALPHA, len(single) ** 2 / 2**33)


def test_keys_do_not_collide() -> None:
    keys = list(product((0, 1, ONES), repeat=4))
    assert len({random.threefry(key, 0, 0, 0, 0) for key in keys}) == len(keys)


def test_uniforms_lie_in_the_half_open_interval() -> None:
    assert random.uniform_pair(0, 0, 0, 0) == (0.0, 0.0)
    assert random.uniform_pair(ONES, ONES, ONES, ONES) == (1 - 2.0**-53, 1 - 2.0**-53)
    assert random.uniform_pair(1 << 31, 0, 0, 1 << 6) == (0.5, 2.0**-53)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 60_000, 2**31 - 1, 2**31])
def test_the_largest_uniform_picks_the_last_sample(size: int) -> None:
    largest, _ = random.uniform_pair(ONES, ONES, 0, 0)
    assert int(largest * size) == size - 1


def test_normals_are_finite_at_every_end_of_the_uniforms() -> None:
    ends = (0, 1, 0x7FFFFFFF, 0x80000000, ONES)
    pairs = [random.normal_pair(*words) for words in product(ends, repeat=4)]
    assert np.isfinite(pairs).all()
    reach = math.sqrt(2 * 53 * math.log(2))
    assert np.abs(pairs).max() == pytest.approx(reach, rel=1e-15)
    assert random.normal_pair(0, 0, 0, 0) == (0.0, 0.0)


def test_the_logarithm_is_right_to_an_ulp() -> None:
    generator = np.random.default_rng(1)
    points = [1.0, 1 - 2.0**-53, 2.0**-53, math.sqrt(0.5), np.nextafter(math.sqrt(0.5), 0), 0.5, 0.25]
    points += [*generator.uniform(0, 1, 500), *2.0 ** -generator.uniform(0, 53, 500)]
    with mpmath.workdps(40):
        for x in map(float, points):
            exact = mpmath.log(x)
            assert abs(random.log_of_positive(x) - exact) <= math.ulp(float(exact))


def test_a_turn_is_right_to_an_ulp_of_one() -> None:
    generator = np.random.default_rng(2)
    edges = [k / 8 + shift for k in range(9) for shift in (-(2.0**-53), 0, 2.0**-53) if 0 <= k / 8 + shift < 1]
    with mpmath.workdps(40):
        for u in map(float, [*edges, *generator.uniform(0, 1, 1000)]):
            cosine, sine = random.turn(u)
            assert abs(cosine - mpmath.cospi(2 * mpmath.mpf(u))) <= 2.0**-52
            assert abs(sine - mpmath.sinpi(2 * mpmath.mpf(u))) <= 2.0**-52


def test_quarter_turns_are_exact() -> None:
    assert [random.turn(k / 4) for k in range(4)] == [(1, 0), (0, 1), (-1, 0), (0, -1)]


# the compiled draws, on a kernel whose path is nothing but its draws

DRAWS = set_to(
    Fresh(a=Normal(), b=Normal(), c=Normal(), d=Uniform(), e=Uniform()).symbols,
    Fresh(a=Normal(), b=Normal(), c=Normal(), d=Uniform(), e=Uniform()),
)
START = (Normal(), Normal(), Normal(), Uniform(), Uniform())


@pytest.fixture(scope="module")
def draws() -> NDArray[np.float64]:
    """Shape (replicas, steps, draws): three normals and two uniforms; the first step is the start."""
    path, failed = run_kernel(DRAWS, START, "numba", replicas=100_000, steps=2)
    assert (failed == -1).all()
    return path


def expected(stream: int, replica: int, step: int, example: int = 0) -> list[float]:
    """The draws of one example by the plain functions: three pairs, and what is left of a pair is not used."""
    words = [random.threefry(KEY, replica, step, 3 * example + call, stream) for call in range(3)]
    normals = [*random.normal_pair(*words[0]), *random.normal_pair(*words[1])][:3]
    return [*normals, *random.uniform_pair(*words[2])]


def test_compiled_draws_are_the_plain_ones(draws: NDArray[np.float64]) -> None:
    for replica in (0, 1, 127, 128, 99_999):
        assert draws[replica, 0].tolist() == expected(random.START, replica, 0)
        for step in (1, 2):
            assert draws[replica, step].tolist() == expected(random.DATA, replica, step)


def test_every_example_of_a_batch_has_its_own_address() -> None:
    path, _ = run_kernel(DRAWS, START, "numba", replicas=3, steps=2, batch=4)
    for replica, step in product(range(3), (1, 2)):
        total = [0.0] * 5
        for example in range(4):
            total = [a + b for a, b in zip(total, expected(random.DATA, replica, step, example), strict=True)]
        assert path[replica, step].tolist() == [a / 4 for a in total]


def test_addresses_are_counted_modulo_32_bits_at_the_far_end() -> None:
    path, _ = run_kernel(DRAWS, START, "numba", replicas=2, steps=1, first=2**32 - 2)
    for row, replica in enumerate((2**32 - 2, 2**32 - 1)):
        assert path[row, 1].tolist() == expected(random.DATA, replica, 1)


@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("step", [0, 1])
def test_normals_are_normal(draws: NDArray[np.float64], step: int, column: int) -> None:
    values = draws[:, step, column]
    assert stats.kstest(values, "norm").pvalue > ALPHA
    moments = {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96), 6: (15, 10395 - 225)}  # mean and variance of x^k
    for order, (mean, variance) in moments.items():
        z = (np.mean(values**order) - mean) / math.sqrt(variance / len(values))
        assert 2 * stats.norm.sf(abs(z)) > ALPHA, f"moment {order}"


def test_the_tails_of_the_normals_are_there(draws: NDArray[np.float64]) -> None:
    values = draws[:, :, :3].ravel()
    for far in (2.0, 3.0, 4.0):
        count = int(np.count_nonzero(np.abs(values) > far))
        assert stats.binomtest(count, values.size, 2 * stats.norm.sf(far)).pvalue > ALPHA


@pytest.mark.parametrize("column", [3, 4])
def test_uniforms_are_uniform(draws: NDArray[np.float64], column: int) -> None:
    values = draws[:, 1, column]
    assert values.min() >= 0
    assert values.max() < 1
    assert stats.kstest(values, "uniform").pvalue > ALPHA
    low_bits = (values * 2**53).astype(np.int64) % 64  # the last six bits too
    assert stats.chisquare(np.bincount(low_bits, minlength=64)).pvalue > ALPHA


def test_draws_are_uncorrelated_across_slots_steps_streams_and_replicas(draws: NDArray[np.float64]) -> None:
    centred = draws - np.array([0, 0, 0, 0.5, 0.5])
    columns = {f"step {s} draw {i}": centred[:, s, i] for s in range(3) for i in range(5)}
    columns |= {f"next replica, step {s} draw {i}": np.roll(centred[:, s, i], 1) for s in range(3) for i in range(5)}
    pairs = list(combinations(columns, 2))
    limit = stats.norm.isf(ALPHA / 2 / len(pairs) / 2)
    for transform in (np.asarray, np.abs):
        values = {name: transform(c) - np.mean(transform(c)) for name, c in columns.items()}
        scaled = {name: v / np.sqrt(np.mean(v**2)) for name, v in values.items()}
        worst = max(pairs, key=lambda pair: abs(np.mean(scaled[pair[0]] * scaled[pair[1]])))
        z = np.mean(scaled[worst[0]] * scaled[worst[1]]) * math.sqrt(len(draws))
        assert abs(z) < limit, worst


def test_neighbouring_keys_give_unrelated_draws() -> None:
    other = (KEY[0] ^ 1, *KEY[1:])
    a, _ = run_kernel(DRAWS, START, "numba", replicas=20_000, steps=1)
    b, _ = run_kernel(DRAWS, START, "numba", replicas=20_000, steps=1, key=other)
    assert not (a == b).any()
    for column in range(5):
        assert stats.pearsonr(a[:, 1, column], b[:, 1, column]).pvalue > ALPHA
