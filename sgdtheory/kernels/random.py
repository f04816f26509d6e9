"""Addressed random numbers: a stream of words for every (key, replica, span of steps, purpose).

Threefry-4x32-20 turns an address into four random words, from which a stream of its own, xoshiro128++, goes on through
the draws of a step, or of sixteen steps where a step draws a fixed number. Nothing but the address decides a draw, so
results depend neither on threads, blocks and order, nor on the machine.

The functions below are spliced into every generated kernel as they stand. They use 32-bit words, written so that
Python's whole numbers and a compiler's registers agree, and float64 arithmetic without calls, so that a loop over
replicas becomes vector instructions; ``fma(a, b, c)`` is a·b + c, rounded once. Words are drawn in one loop and turned
into floats in others: mixing 32- and 64-bit work in one loop would halve its speed, and so would one loop that needs
more constants than there are registers.

References
----------
Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
Blackman, Vigna (2021), Scrambled linear pseudorandom number generators.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from sgdtheory.kernels.plain import bits, bits32, f32, float_of, fma, i32, single_of, u32

Words = tuple[int, int, int, int]
Floats = NDArray[np.float64]
Integers = NDArray[np.uint32]
Single = np.float32

START, DATA, INDEX, STEP = 0, 1, 2, 3
"""Streams: where replicas start, what fresh examples are, which samples a batch takes, noise of the optimizer's own."""
SPAN = 16
"""Steps that share a stream where each of them draws a fixed number of words."""


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


def advance(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int, int]:
    """Return the next word of a stream and its next state: xoshiro128++."""
    total = u32(a + d)
    word = u32(u32((total << 7) | (total >> 25)) + a)
    shifted = u32(b << 9)
    c = u32(c ^ a)
    d = u32(d ^ b)
    b = u32(b ^ c)
    a = u32(a ^ d)
    c = u32(c ^ shifted)
    return word, a, b, c, u32((d << 11) | (d >> 21))


def uniform(x: int, y: int) -> float:
    """Return a uniform number on [0, 1), 53 bits, from two words."""
    return fma(float(i32(x >> 5)), 7.450580596923828e-09, float(i32(y >> 6)) * 1.1102230246251565e-16)


def log_of_positive(x: float) -> float:
    """Return log x for a positive x (not subnormal), within two ulps.

    x = 2^k (1 + f) with √½ ≤ 1 + f < √2; log(1 + f) = 2 artanh(s) = 2s + s³ P(s²), s = f/(2 + f), with the polynomial
    that interpolates at Chebyshev's points.
    """
    shifted = bits(x) + 0x95F619980C433  # so that the exponent field splits the range at √½
    k = float_of(((shifted >> 52) & 0xFFF) | 0x4330000000000000) - 4503599627371519.0  # 2⁵² + 1023
    f = float_of((shifted & 0xFFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = fma(z, 0.14616449685043406, 0.15331721600556042)
    p = fma(z, p, 0.18182889125261723)
    p = fma(z, p, 0.2222221113479508)
    p = fma(z, p, 0.28571428625975487)
    p = fma(z, p, 0.39999999999899505)
    p = fma(z, p, 0.666666666666667)
    return fma(k, 0.6931471805599453, s * fma(z, p, 2.0))


def half_turn(angle: float) -> tuple[float, float]:
    """Return (cos, sin) of an angle within ±π/2, within an ulp of 1; polynomials at Chebyshev's points."""
    z = angle * angle
    s = fma(z, 2.7215749922983443e-15, -7.643026557971632e-13)
    s = fma(z, s, 1.605894087848656e-10)
    s = fma(z, s, -2.505210689056952e-08)
    s = fma(z, s, 2.7557319211229606e-06)
    s = fma(z, s, -0.00019841269841208676)
    s = fma(z, s, 0.008333333333333186)
    s = fma(z, s, -0.16666666666666666)
    c = fma(z, 4.6276759850181716e-14, -1.1464689885720029e-11)
    c = fma(z, c, 2.0876630867422994e-09)
    c = fma(z, c, -2.755731776732053e-07)
    c = fma(z, c, 2.4801587292446213e-05)
    c = fma(z, c, -0.0013888888888860709)
    c = fma(z, c, 0.04166666666666634)
    c = fma(z, c, -0.5)
    return fma(z, c, 1.0), fma(angle * z, s, angle)


def half_square(x: int, y: int) -> float:
    """Return −½r² of a pair of normals, the logarithm of a uniform number on (0, 1], from two words."""
    above = fma(float(i32(y >> 6)), -1.1102230246251565e-16, 1.0)
    return log_of_positive(fma(float(i32(x >> 5)), -7.450580596923828e-09, above))  # 1 − uniform(x, y)


def normal_pair(half: float, x: int, z: int) -> tuple[float, float]:
    """Return two independent standard normals, by Box and Muller.

    −½r² is given. The angle lies within ±π/2, one of 2³² equally spaced (the mean of anything smooth over them is that
    over the circle), and the cosine's sign is a bit of x that `uniform` does not use.
    """
    radius = sqrt(-2.0 * half)
    cosine, sine = half_turn(float(i32(z)) * 7.314590396880234e-10)  # π/2³²
    return float_of(bits(radius * cosine) ^ (int(x & 1) << 63)), radius * sine


def log_of_single(x: Single) -> Single:
    """Return log x for a positive float32 in float32: `log_of_positive` with a shorter polynomial."""
    shifted = i32(bits32(x) + 0x4AFB0D)
    k = f32(i32((shifted >> 23) - 127))
    f = single_of(i32((shifted & 0x7FFFFF) + 0x3F3504F3)) - f32(1.0)
    s = f / (f32(2.0) + f)
    z = s * s
    p = fma(z, f32(0.23330467216303835), f32(0.28550820815960665))
    p = fma(z, p, f32(0.40000121839806124))
    p = fma(z, p, f32(0.6666666655449709))
    return fma(k, f32(0.6931471805599453), s * fma(z, p, f32(2.0)))


def half_turn_of_single(angle: Single) -> tuple[Single, Single]:
    """Return (cos, sin) of an angle within ±π/2 in float32, as `half_turn` does in float64."""
    z = angle * angle
    s = fma(z, f32(2.605107635334788e-06), f32(-0.00019809017408678003))
    s = fma(z, s, f32(0.008333050170671773))
    s = fma(z, s, f32(-0.16666657947846011))
    c = fma(z, f32(-2.6297517416492886e-07), f32(2.4774579745194932e-05))
    c = fma(z, c, f32(-0.001388865164726139))
    c = fma(z, c, f32(0.04166665936002493))
    c = fma(z, c, f32(-0.49999999963953023))
    return fma(z, c, f32(1.0)), fma(angle * z, s, angle)


def single_normal_pair(x: int, y: int) -> tuple[Single, Single]:
    """Return two standard normals of float32 grade from two words: 24 bits, at most 6.7 in size."""
    u = fma(f32(i32(x >> 1)), f32(4.656612873077393e-10), f32(2.3283064365386963e-10))
    radius = f32(sqrt(f32(-2.0) * log_of_single(u)))
    cosine, sine = half_turn_of_single(f32(i32(y)) * f32(7.314590396880234e-10))
    return single_of(bits32(radius * cosine) ^ i32((x & 1) << 31)), radius * sine


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


def begin_stream(key: Words, base: int, step: int, stream: int, count: int, state: Integers) -> None:
    """Begin the streams of replicas base … base+count−1 at one address."""
    for lane in range(count):
        a, b, c, d = threefry(key, u32(base + lane), u32(step), u32(0), u32(stream))
        state[0, lane] = a
        state[1, lane] = b
        state[2, lane] = c
        state[3, lane] = d


def draw_words(state: Integers, count: int, words: Integers) -> None:
    """Draw three words of every stream."""
    for lane in range(count):
        x, a, b, c, d = advance(state[0, lane], state[1, lane], state[2, lane], state[3, lane])
        y, a, b, c, d = advance(a, b, c, d)
        z, a, b, c, d = advance(a, b, c, d)
        words[0, lane] = x
        words[1, lane] = y
        words[2, lane] = z
        state[0, lane] = a
        state[1, lane] = b
        state[2, lane] = c
        state[3, lane] = d


def draw_two_words(state: Integers, count: int, words: Integers) -> None:
    """Draw two words of every stream."""
    for lane in range(count):
        x, a, b, c, d = advance(state[0, lane], state[1, lane], state[2, lane], state[3, lane])
        y, a, b, c, d = advance(a, b, c, d)
        words[0, lane] = x
        words[1, lane] = y
        state[0, lane] = a
        state[1, lane] = b
        state[2, lane] = c
        state[3, lane] = d


def fill_uniforms(state: Integers, count: int, words: Integers, out: Floats) -> None:
    """Draw rows of uniform numbers on [0, 1), one a replica in each row."""
    for row in range(out.shape[0]):
        draw_two_words(state, count, words)
        for lane in range(count):
            out[row, lane] = uniform(words[0, lane], words[1, lane])


def fill_normals(state: Integers, count: int, words: Integers, out: Floats) -> None:
    """Draw rows of standard normals, an even number of them."""
    for row in range(0, out.shape[0], 2):
        draw_words(state, count, words)
        for lane in range(count):
            out[row, lane] = half_square(words[0, lane], words[1, lane])
        for lane in range(count):
            n, m = normal_pair(out[row, lane], words[0, lane], words[2, lane])
            out[row, lane] = n
            out[row + 1, lane] = m


def fill_single_normals(state: Integers, count: int, words: Integers, out: NDArray[Single]) -> None:
    """Draw rows of standard normals of float32 grade, an even number of them."""
    for row in range(0, out.shape[0], 2):
        draw_two_words(state, count, words)
        for lane in range(count):
            n, m = single_normal_pair(words[0, lane], words[1, lane])
            out[row, lane] = n
            out[row + 1, lane] = m


def fill_chi_squares(
    key: Words, base: int, step: int, slot: int, stream: int, count: int, z: Floats, u: Floats, out: Floats, dof: float
) -> None:
    """Draw a χ² number for each replica, from given normal and uniform numbers and, where these fail, from new ones.

    Further trials have addresses of their own: how many there are must not move the draws that follow.
    """
    for lane in range(count):
        out[lane] = chi_square_trial(float(z[lane]), u[lane], dof)
    for lane in range(count):
        trial = slot
        while out[lane] < 0.0:
            x0, x1, x2, _ = threefry(key, u32(base + lane), u32(step), u32(trial), u32(stream))
            y0, y1, _, _ = threefry(key, u32(base + lane), u32(step), u32(trial + 1), u32(stream))
            normal, _ = normal_pair(half_square(x0, x1), x0, x2)
            out[lane] = chi_square_trial(normal, uniform(y0, y1), dof)
            trial += 2


FUNCTIONS = (
    mix,
    four_rounds_even,
    four_rounds_odd,
    inject,
    threefry,
    advance,
    uniform,
    log_of_positive,
    half_turn,
    half_square,
    normal_pair,
    log_of_single,
    half_turn_of_single,
    single_normal_pair,
    chi_square_trial,
    begin_stream,
    draw_words,
    draw_two_words,
    fill_uniforms,
    fill_normals,
    fill_single_normals,
    fill_chi_squares,
)
"""In the order they are spliced."""
