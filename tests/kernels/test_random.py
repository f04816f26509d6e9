"""Addressed random numbers: published answers, exact ranges, the laws they follow, and their independence."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from itertools import combinations, product

import mpmath
import numpy as np
import pytest
from kernel_tools import KEY, run_kernel, set_to
from numba import njit
from numpy.typing import NDArray
from scipy import stats

from sgdtheory import Fresh, Normal, Uniform
from sgdtheory.kernels import plain, random
from sgdtheory.kernels.build import build
from sgdtheory.kernels.library import library_name

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


def xoshiro(state: tuple[int, ...], count: int) -> list[int]:
    """Transcribe xoshiro128++ 1.0 of Blackman and Vigna, on a list that is changed in place."""
    s, words = list(state), []

    def rotl(x: int, k: int) -> int:
        return (x << k | x >> 32 - k) & ONES

    for _ in range(count):
        words.append(rotl(s[0] + s[3] & ONES, 7) + s[0] & ONES)
        t = s[1] << 9 & ONES
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotl(s[3], 11)
    return words


def test_a_stream_gives_the_published_answers() -> None:
    """The first words from the state 1, 2, 3, 4, as libraries that have this generator list them."""
    published = [641, 1573767, 3222811527, 3517856514, 836907274, 4247214768, 3867114732, 1355841295]
    state, words = (1, 2, 3, 4), []
    for _ in published:
        word, *rest = random.advance(*state)
        state = tuple(rest)  # type: ignore[assignment]
        words.append(word)
    assert words == published == xoshiro((1, 2, 3, 4), len(published))


def test_a_stream_is_a_permutation_of_states_that_can_be_undone() -> None:
    """Different states stay different, so that streams never merge: the step is linear and has full rank over bits."""
    rows = []
    for bit in range(128):
        state = [0, 0, 0, 0]
        state[bit // 32] = 1 << bit % 32
        _, *after = random.advance(*state)
        rows.append(sum(word << 32 * i for i, word in enumerate(after)))
    rank = 0
    while rows:
        pivot = rows.pop()
        if pivot:
            rank += 1
            low = pivot & -pivot
            rows = [row ^ pivot if row & low else row for row in rows]
    assert rank == 128


def test_uniforms_lie_in_the_half_open_interval() -> None:
    assert random.uniform(0, 0) == 0.0
    assert random.uniform(ONES, ONES) == 1 - 2.0**-53
    assert random.uniform(1 << 31, 0) == 0.5
    assert random.uniform(0, 1 << 6) == 2.0**-53


@pytest.mark.parametrize("size", [1, 2, 3, 7, 60_000, 2**31 - 1, 2**31])
def test_the_largest_uniform_picks_the_last_sample(size: int) -> None:
    assert int(random.uniform(ONES, ONES) * size) == size - 1


def pair(x: int, y: int, z: int) -> tuple[float, float]:
    return random.normal_pair(random.half_square(x, y), x, z)


def test_half_a_square_is_the_logarithm_of_what_the_uniform_leaves() -> None:
    generator = np.random.default_rng(3)
    for x, y in [*product((0, 1 << 5, ONES), (0, 1 << 6, ONES)), *generator.integers(0, ONES, (200, 2)).tolist()]:
        assert random.half_square(x, y) == random.log_of_positive(1.0 - random.uniform(x, y))


def test_normals_are_finite_at_every_end_of_the_words() -> None:
    ends = (0, 1, 0x7FFFFFFF, 0x80000000, ONES)
    pairs = [pair(*words) for words in product(ends, repeat=3)]
    assert np.isfinite(pairs).all()
    reach = math.sqrt(2 * 53 * math.log(2))
    assert np.abs(pairs).max() == pytest.approx(reach, rel=1e-15)
    assert pair(0, 0, 0) == (0.0, 0.0)
    singles = np.array([random.single_normal_pair(*words) for words in product(ends, repeat=2)])
    assert np.isfinite(singles).all()
    assert np.abs(singles).max() == pytest.approx(math.sqrt(2 * 32 * math.log(2)), rel=1e-6)


def test_the_sign_of_the_cosine_is_a_bit_that_the_uniform_does_not_use() -> None:
    for x in (2**31 + 2**20, 12345 << 5):
        (plus, same), (minus, other) = pair(x, 77 << 6, 999), pair(x + 1, 77 << 6, 999)
        assert (plus, same) == (-minus, other)
        a, b = random.single_normal_pair(x, 999), random.single_normal_pair(x + 1, 999)
        assert (a[0], a[1]) == (-b[0], b[1])


def test_equally_spaced_angles_give_the_moments_of_the_circle() -> None:
    """With both signs, n equally spaced angles average every power of the cosine below n as the circle does."""
    n = 64
    cosines = np.array([random.half_turn(math.pi * (k / n - 0.5))[0] for k in range(n)])
    for power in range(2, n, 2):
        both = np.mean(cosines**power)
        assert both == pytest.approx(math.comb(power, power // 2) / 2**power, rel=1e-13)


def test_the_logarithm_is_right_to_some_ulps() -> None:
    generator = np.random.default_rng(1)
    points = [1.0, 1 - 2.0**-53, 2.0**-53, math.sqrt(0.5), np.nextafter(math.sqrt(0.5), 0), 0.5, 0.25]
    points += [*generator.uniform(0, 1, 500), *2.0 ** -generator.uniform(0, 53, 500)]
    with mpmath.workdps(40):
        for x in map(float, points):
            exact = mpmath.log(x)
            assert abs(random.log_of_positive(x) - exact) <= 2.5 * math.ulp(float(exact))


def test_half_a_turn_is_right_to_an_ulp_of_one() -> None:
    generator = np.random.default_rng(2)
    edges = [sign * math.pi * k / 8 for k in range(5) for sign in (-1, 1)]
    with mpmath.workdps(40):
        for angle in map(float, [*edges, *generator.uniform(-math.pi / 2, math.pi / 2, 1000)]):
            cosine, sine = random.half_turn(angle)
            assert abs(cosine - mpmath.cos(angle)) <= 2.0**-52
            assert abs(sine - mpmath.sin(angle)) <= 2.0**-52
            cosine, sine = map(float, random.half_turn_of_single(np.float32(angle)))
            assert abs(cosine - mpmath.cos(float(np.float32(angle)))) <= 2.0**-23
            assert abs(sine - mpmath.sin(float(np.float32(angle)))) <= 2.0**-23


def test_a_multiply_and_add_is_rounded_once() -> None:
    generator = np.random.default_rng(4)
    for a, b, c in generator.normal(size=(300, 3)):
        c = -a * b * (1 + c * 2.0**-50)  # where rounding twice would lose everything
        with mpmath.workdps(60):
            assert plain.fma(float(a), float(b), float(c)) == float(mpmath.mpf(float(a)) * float(b) + float(c))
    half = np.float32(1 + 2.0**-12)  # its square is 1 + 2⁻¹¹ + 2⁻²⁴: a tie that the third number decides
    tiny = np.float32(2.0**-60)
    assert plain.fma(half, half, tiny) == np.float32(1 + 2.0**-11 + 2.0**-23)
    assert plain.fma(half, half, -tiny) == np.float32(1 + 2.0**-11)
    assert math.isnan(plain.fma(math.inf, 0.0, 1.0))
    assert plain.fma(1e308, 10.0, 0.0) == math.inf
    assert math.copysign(1, plain.fma(-1.0, 0.0, -0.0)) == -1


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


def words_of(stream: int, replica: int, step: int) -> Iterator[int]:
    """The words of a stream: Threefry at its address, then on by the transcription above."""
    return iter(xoshiro(random.threefry(KEY, replica, step, 0, stream), 4000))


def example(words: Iterator[int]) -> list[float]:
    """Three normals and two uniforms, from two pairs and two pairs of words; what is left of a pair is not used."""
    pairs = [pair(next(words), next(words), next(words)) for _ in range(2)]
    return [*pairs[0], pairs[1][0], *(random.uniform(next(words), next(words)) for _ in range(2))]


def two_examples(words: Iterator[int]) -> list[list[float]]:
    """The same for two examples, that share the second of three pairs."""
    normals = [n for _ in range(3) for n in pair(next(words), next(words), next(words))]
    uniforms = [random.uniform(next(words), next(words)) for _ in range(4)]
    return [[*normals[3 * i : 3 * i + 3], *uniforms[2 * i : 2 * i + 2]] for i in range(2)]


def test_compiled_draws_are_the_plain_ones(draws: NDArray[np.float64]) -> None:
    for replica in (0, 1, 127, 128, 99_999):
        assert draws[replica, 0].tolist() == example(words_of(random.START, replica, 0))
        words = words_of(random.DATA, replica, 1)  # steps of one example share a stream
        for step in (1, 2):
            assert draws[replica, step].tolist() == two_examples(words)[0]


@pytest.mark.parametrize("batch", [4, 5, 32])
def test_every_example_of_a_batch_has_draws_of_its_own(batch: int) -> None:
    path, _ = run_kernel(DRAWS, START, "numba", replicas=3, steps=17, batch=batch)
    span = max(random.SPAN // batch, 1)
    for replica in range(3):
        for step in range(1, 18):
            if (step - 1) % span == 0:
                words = words_of(random.DATA, replica, step)
            drawn = [e for _ in range(-(-batch // 2)) for e in two_examples(words)][:batch]
            total = [0.0] * 5
            for one in drawn:
                total = [a + b for a, b in zip(total, one, strict=True)]
            assert path[replica, step].tolist() == [a / batch for a in total]


def test_a_larger_batch_begins_with_the_examples_of_a_smaller_one() -> None:
    """From sixteen examples on, at every step; the mean of 32 is that of the first 16 and of others."""
    small, _ = run_kernel(DRAWS, START, "numba", replicas=200, steps=3, batch=16)
    large, _ = run_kernel(DRAWS, START, "numba", replicas=200, steps=3, batch=32)
    rest = 2 * large[:, 1:] - small[:, 1:]
    scale = np.array([1, 1, 1, 1 / math.sqrt(12), 1 / math.sqrt(12)]) / 4
    centre = np.array([0, 0, 0, 0.5, 0.5])
    both = ((small[:, 1:] - centre) / scale * (rest - centre) / scale).ravel()
    assert abs(both.mean()) * math.sqrt(both.size) < stats.norm.isf(ALPHA / 2)


def test_addresses_are_counted_modulo_32_bits_at_the_far_end() -> None:
    path, _ = run_kernel(DRAWS, START, "numba", replicas=2, steps=1, first=2**32 - 2)
    for row, replica in enumerate((2**32 - 2, 2**32 - 1)):
        assert path[row, 1].tolist() == two_examples(words_of(random.DATA, replica, 1))[0]


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


# one long stream: what follows in it


@pytest.fixture(scope="module", params=["float64", "float32"])
def stream(request: pytest.FixtureRequest) -> NDArray[np.float64]:
    """Shape (replicas, normals): the first hundred normals of every replica's stream of one batch."""
    build(f"# {library_name()}\ndef run():\n    pass\n")  # loads the library
    library = sys.modules[library_name()]
    single = request.param == "float32"
    fill = library.fill_single_normals if single else library.fill_normals

    @njit
    def draw(state, count, words, out):  # type: ignore[no-untyped-def]
        fill(state, count, words, out)

    replicas = 20_000
    begin = [random.threefry(KEY, replica, 1, 0, random.DATA) for replica in range(replicas)]
    state, words = np.array(begin, np.uint32).T.copy(), np.empty((3, replicas), np.uint32)
    out = np.empty((100, replicas), np.float32 if single else np.float64)
    draw(state, replicas, words, out)
    first = [n for n, _ in zip(words_of(random.DATA, 7, 1), range(3), strict=False)]
    if not single:
        assert out[:2, 7].tolist() == list(pair(*first))
    return out.T.astype(np.float64)


def test_a_stream_has_the_first_moments_of_normals(stream: NDArray[np.float64]) -> None:
    assert stats.kstest(stream.ravel()[:2_000_000], "norm").pvalue > ALPHA
    for order, (mean, variance) in {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}.items():
        z = (np.mean(stream**order) - mean) / math.sqrt(variance / stream.size)
        assert 2 * stats.norm.sf(abs(z)) > ALPHA, f"moment {order}"


def test_numbers_of_one_stream_are_uncorrelated_at_every_lag(stream: NDArray[np.float64]) -> None:
    """In value, in square and in sign of products; one replica's numbers and its neighbour's too."""
    count = stream.shape[1]
    limit = stats.norm.isf(ALPHA / 2 / (3 * 2 * count))
    neighbour = np.roll(stream, 1, axis=0)
    for transform in (lambda v: v, lambda v: v**2 - 1, np.sign):
        values, others = transform(stream), transform(neighbour)
        scale = np.mean(values**2)
        for lag in range(1, count):
            product = values[:, lag:] * values[:, :-lag] / scale
            assert abs(product.sum()) / math.sqrt(product.size) < limit * math.sqrt(np.mean(product**2)), lag
        for lag in range(count):
            product = values[:, lag:] * others[:, : count - lag] / scale
            assert abs(product.sum()) / math.sqrt(product.size) < limit * math.sqrt(np.mean(product**2)), lag


def test_a_correlation_would_be_seen(stream: NDArray[np.float64]) -> None:
    spoiled = stream.copy()
    spoiled[:, 7:] += 0.01 * stream[:, :-7]
    product = spoiled[:, 7:] * spoiled[:, :-7]
    assert abs(product.sum()) / math.sqrt(product.size) > stats.norm.isf(ALPHA / 2 / (6 * stream.shape[1]))
