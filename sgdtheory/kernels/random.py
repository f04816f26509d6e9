"""Addressed random numbers: Threefry-4x32-20, a function of (key, replica, step, slot, stream).

Every draw has an address and nothing else decides its value, so results depend neither on threads, blocks and order,
nor on the machine. The functions below are spliced into every generated kernel as they stand. They use 32-bit words,
written so that Python's whole numbers and a compiler's registers agree, and float64 arithmetic without calls, so that
a loop over replicas becomes vector instructions. The words are drawn in one loop and turned into floats in another:
mixing 32- and 64-bit work in one loop would halve its speed.

References
----------
Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from sgdtheory.kernels.plain import bits, bits32, f32, float_of, single_of, u32

Words = tuple[int, int, int, int]
Floats = NDArray[np.float64]
Single = np.float32

START, DATA, INDEX, STEP = 0, 1, 2, 3
"""Streams: where replicas start, what fresh examples are, which samples a batch takes, noise of the optimizer's own."""


def mix(a: int, b: int, rotation: int) -> tuple[int, int]:
    """Mix two 32-bit words: add, rotate, exclusive-or."""
    a = u32(a + b)
    b = u32((b << rotation) | (b >> (32 - rotation)))
    return a, u32(a ^ b)


def four_rounds_even(x0: int, x1: int, x2: int, x3: int) -> Words:
    """Apply rounds 0-3 of each eight."""
    x0, x1 = mix(x0, x1, 10)
    x2, x3 = mix(x2, x3, 26)
    x0, x3 = mix(x0, x3, 11)
    x2, x1 = mix(x2, x1, 21)
    x0, x1 = mix(x0, x1, 13)
    x2, x3 = mix(x2, x3, 27)
    x0, x3 = mix(x0, x3, 23)
    x2, x1 = mix(x2, x1, 5)
    return x0, x1, x2, x3


def four_rounds_odd(x0: int, x1: int, x2: int, x3: int) -> Words:
    """Apply rounds 4-7 of each eight."""
    x0, x1 = mix(x0, x1, 6)
    x2, x3 = mix(x2, x3, 20)
    x0, x3 = mix(x0, x3, 17)
    x2, x1 = mix(x2, x1, 11)
    x0, x1 = mix(x0, x1, 25)
    x2, x3 = mix(x2, x3, 10)
    x0, x3 = mix(x0, x3, 18)
    x2, x1 = mix(x2, x1, 20)
    return x0, x1, x2, x3


def inject(x: Words, k0: int, k1: int, k2: int, k3: int, count: int) -> Words:
    """Add four key words, and the injection count to the last."""
    return (
        u32(x[0] + k0),
        u32(x[1] + k1),
        u32(x[2] + k2),
        u32(u32(x[3] + k3) + count),
    )


def threefry(key: Words, replica: int, step: int, slot: int, stream: int) -> Words:
    """Return the four 32-bit words at an address: Threefry-4x32 with 20 rounds."""
    k0, k1, k2, k3 = key
    k4 = u32(0x1BD11BDA ^ k0 ^ k1 ^ k2 ^ k3)
    x = inject((replica, step, slot, stream), k0, k1, k2, k3, 0)
    x = inject(four_rounds_even(x[0], x[1], x[2], x[3]), k1, k2, k3, k4, 1)
    x = inject(four_rounds_odd(x[0], x[1], x[2], x[3]), k2, k3, k4, k0, 2)
    x = inject(four_rounds_even(x[0], x[1], x[2], x[3]), k3, k4, k0, k1, 3)
    x = inject(four_rounds_odd(x[0], x[1], x[2], x[3]), k4, k0, k1, k2, 4)
    return inject(four_rounds_even(x[0], x[1], x[2], x[3]), k0, k1, k2, k3, 5)


def uniform_pair(x0: int, x1: int, x2: int, x3: int) -> tuple[float, float]:
    """Return two uniforms on [0, 1), 53 bits each, from four words."""
    scale = 1.1102230246251565e-16  # 2**-53
    u = (float(x0 >> 5) * 67108864.0 + float(x1 >> 6)) * scale
    return u, (float(x2 >> 5) * 67108864.0 + float(x3 >> 6)) * scale


def log_of_positive(x: float) -> float:
    """Return log x for a positive x (not subnormal), within an ulp or so for x ≤ 1.

    x = 2^k (1 + f) with √½ ≤ 1 + f < √2; log(1 + f) = f − f²/2 + s(f²/2 + R(s²)), s = f/(2 + f), with the minimax
    polynomial R of degree 14 that the C libraries use.
    """
    shifted = bits(x) + 0x95F619980C433  # so that the exponent field splits the range at √½
    k = float((shifted >> 52) - 1023)
    f = float_of((shifted & 0xFFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (0.3999999999940942 + w * (0.22222198432149784 + w * 0.15313837699209373))
    odd = z * (0.6666666666666735 + w * (0.2857142874366239 + w * (0.1818357216161805 + w * 0.14798198605116586)))
    half = 0.5 * f * f
    return k * 0.6931471803691238 - ((half - (s * (half + (even + odd)) + k * 1.9082149292705877e-10)) - f)


def turn(u: float) -> tuple[float, float]:
    """Return (cos 2πu, sin 2πu) for 0 ≤ u < 1, within an ulp or so of 1.

    u is reduced to the nearest quarter turn; the rest is at most π/4 either way, where the Taylor polynomials of
    degree 16 and 15 are exact to rounding.
    """
    quarter = (4.0 * u + 6755399441055744.0) - 6755399441055744.0  # rounded to a whole number: 1.5·2**52 does it
    a = (u - 0.25 * quarter) * 6.283185307179586
    z = a * a
    s = 2.7557319223985893e-06 + z * (
        -2.505210838544172e-08 + z * (1.6059043836821613e-10 + z * -7.647163731819816e-13)
    )
    s = a + a * z * (-0.16666666666666666 + z * (0.008333333333333333 + z * (-0.0001984126984126984 + z * s)))
    c = -2.755731922398589e-07 + z * (2.08767569878681e-09 + z * (-1.1470745597729725e-11 + z * 4.779477332387385e-14))
    c = 1.0 + z * (-0.5 + z * (0.041666666666666664 + z * (-0.001388888888888889 + z * (2.48015873015873e-05 + z * c))))
    swapped = (quarter == 1.0) | (quarter == 3.0)
    cosine = s if swapped else c
    sine = c if swapped else s
    return (
        -cosine if (quarter == 1.0) | (quarter == 2.0) else cosine,
        -sine if (quarter == 2.0) | (quarter == 3.0) else sine,
    )


def normal_pair(x0: int, x1: int, x2: int, x3: int) -> tuple[float, float]:
    """Return two independent standard normals from four words, by Box and Muller."""
    u, v = uniform_pair(x0, x1, x2, x3)
    radius = sqrt(-2.0 * log_of_positive(1.0 - u))
    cosine, sine = turn(v)
    return radius * cosine, radius * sine


def log_of_single(x: Single) -> Single:
    """Return log x for a positive float32 in float32: `log_of_positive` with the shorter polynomial C libraries use."""
    shifted = bits32(x) + 0x4AFB0D
    k = f32((shifted >> 23) - 127)
    f = single_of((shifted & 0x7FFFFF) + 0x3F3504F3) - f32(1.0)
    s = f / (f32(2.0) + f)
    z = s * s
    w = z * z
    r = z * (f32(0.66666662693) + w * f32(0.28498786688)) + w * (f32(0.40000972152) + w * f32(0.24279078841))
    half = f32(0.5) * f * f
    return s * (half + r) + k * f32(9.0580006145e-06) - half + f + k * f32(0.69313812256)


def turn_of_single(u: Single) -> tuple[Single, Single]:
    """Return (cos 2πu, sin 2πu) for a float32 in [0, 1) in float32, as `turn` does in float64."""
    quarter = (f32(4.0) * u + f32(12582912.0)) - f32(12582912.0)
    a = (u - f32(0.25) * quarter) * f32(6.283185307179586)
    z = a * a
    s = a + a * z * (f32(-0.16666667) + z * (f32(0.008333333) + z * (f32(-0.00019841270) + z * f32(2.7557319e-06))))
    c = f32(0.041666668) + z * (f32(-0.0013888889) + z * (f32(2.4801587e-05) + z * f32(-2.7557319e-07)))
    c = f32(1.0) + z * (f32(-0.5) + z * c)
    swapped = (quarter == f32(1.0)) | (quarter == f32(3.0))
    cosine = s if swapped else c
    sine = c if swapped else s
    return (
        -cosine if (quarter == f32(1.0)) | (quarter == f32(2.0)) else cosine,
        -sine if (quarter == f32(2.0)) | (quarter == f32(3.0)) else sine,
    )


def single_normal_pair(x: int, y: int) -> tuple[Single, Single]:
    """Return two standard normals of float32 grade from two words: 24 bits, at most 6.7 in size."""
    u = f32(x) * f32(2.3283064365386963e-10) + f32(1.1641532182693481e-10)
    radius = f32(sqrt(f32(-2.0) * log_of_single(u)))
    cosine, sine = turn_of_single(f32(y >> 8) * f32(5.960464477539063e-08))
    return radius * cosine, radius * sine


def chi_square_trial(z: float, u: float, dof: float) -> float:
    """Return a χ² number of dof ≥ 2 degrees of freedom from a normal and a uniform one, or −1 if this trial fails.

    Marsaglia and Tsang: d(1 + z/√(9d))³ is Gamma(d + ⅓) if accepted, d = dof/2 − ⅓; at least 95 of 100 trials are.
    """
    d = 0.5 * dof - 0.3333333333333333
    v = 1.0 + z / sqrt(9.0 * d)
    v = v * v * v
    positive = v > 0.0
    log_v = log_of_positive(v if positive else 1.0)
    accepted = positive & (log_of_positive(1.0 - u) < 0.5 * z * z + d - d * v + d * log_v)
    return 2.0 * d * v if accepted else -1.0


def fill_words(key: Words, base: int, step: int, slot: int, stream: int, count: int, words: NDArray[np.uint32]) -> None:
    """Draw the words of replicas base … base+count−1 at one address."""
    for lane in range(count):
        x0, x1, x2, x3 = threefry(key, u32(base + lane), u32(step), u32(slot), u32(stream))
        words[0, lane] = x0
        words[1, lane] = x1
        words[2, lane] = x2
        words[3, lane] = x3


def fill_uniforms(
    key: Words,
    base: int,
    step: int,
    slot: int,
    stream: int,
    count: int,
    words: NDArray[np.uint32],
    a: Floats,
    b: Floats,
) -> None:
    """Draw two uniforms on [0, 1) for each of the replicas base … base+count−1."""
    fill_words(key, base, step, slot, stream, count, words)
    for lane in range(count):
        u, v = uniform_pair(words[0, lane], words[1, lane], words[2, lane], words[3, lane])
        a[lane] = u
        b[lane] = v


def fill_normals(
    key: Words,
    base: int,
    step: int,
    slot: int,
    stream: int,
    count: int,
    words: NDArray[np.uint32],
    a: Floats,
    b: Floats,
) -> None:
    """Draw two standard normals for each of the replicas base … base+count−1."""
    fill_words(key, base, step, slot, stream, count, words)
    for lane in range(count):
        u, v = normal_pair(words[0, lane], words[1, lane], words[2, lane], words[3, lane])
        a[lane] = u
        b[lane] = v


def fill_single_normals(
    key: Words,
    base: int,
    step: int,
    slot: int,
    stream: int,
    count: int,
    words: NDArray[np.uint32],
    a: Floats,
    b: Floats,
    c: Floats,
    d: Floats,
) -> None:
    """Draw four standard normals of float32 grade for each of the replicas base … base+count−1."""
    fill_words(key, base, step, slot, stream, count, words)
    for lane in range(count):
        n, m = single_normal_pair(words[0, lane], words[1, lane])
        a[lane] = n
        b[lane] = m
    for lane in range(count):
        n, m = single_normal_pair(words[2, lane], words[3, lane])
        c[lane] = n
        d[lane] = m


def fill_chi_squares(
    key: Words, base: int, step: int, slot: int, stream: int, count: int, z: Floats, u: Floats, out: Floats, dof: float
) -> None:
    """Draw a χ² number for each replica, from given normal and uniform numbers and, where these fail, from new ones."""
    for lane in range(count):
        out[lane] = chi_square_trial(z[lane], u[lane], dof)
    for lane in range(count):
        trial = slot
        while out[lane] < 0.0:
            x0, x1, x2, x3 = threefry(key, u32(base + lane), u32(step), u32(trial), u32(stream))
            y0, y1, y2, y3 = threefry(key, u32(base + lane), u32(step), u32(trial + 1), u32(stream))
            normal, _ = normal_pair(x0, x1, x2, x3)
            uniform, _ = uniform_pair(y0, y1, y2, y3)
            out[lane] = chi_square_trial(normal, uniform, dof)
            trial += 2


FUNCTIONS = (
    mix,
    four_rounds_even,
    four_rounds_odd,
    inject,
    threefry,
    uniform_pair,
    log_of_positive,
    turn,
    normal_pair,
    log_of_single,
    turn_of_single,
    single_normal_pair,
    chi_square_trial,
    fill_words,
    fill_uniforms,
    fill_normals,
    fill_single_normals,
    fill_chi_squares,
)
"""In the order they are spliced."""
