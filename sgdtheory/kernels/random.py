"""Addressed random numbers: Threefry-4x32-20, a function of (key, replica, step, slot, stream).

Every draw has an address and nothing else decides its value, so results depend neither on threads, blocks and order,
nor on the machine. The functions below are spliced into every generated kernel as they stand: they use whole numbers
below 2⁶³ only, which mean the same to Python and to a compiler of 64-bit integers.

References
----------
Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
"""

from __future__ import annotations

from math import cos, log, pi, sin, sqrt

Words = tuple[int, int, int, int]

START, DATA, INDEX = 0, 1, 2
"""Streams: where replicas start, what fresh examples are, which samples a batch takes."""


def mix(a: int, b: int, rotation: int) -> tuple[int, int]:
    """Mix two 32-bit words: add, rotate, exclusive-or."""
    a = (a + b) & 0xFFFFFFFF
    b = ((b << rotation) | (b >> (32 - rotation))) & 0xFFFFFFFF
    return a, a ^ b


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
        (x[0] + k0) & 0xFFFFFFFF,
        (x[1] + k1) & 0xFFFFFFFF,
        (x[2] + k2) & 0xFFFFFFFF,
        (x[3] + k3 + count) & 0xFFFFFFFF,
    )


def threefry(key: Words, replica: int, step: int, slot: int, stream: int) -> Words:
    """Return the four 32-bit words at an address: Threefry-4x32 with 20 rounds."""
    k0, k1, k2, k3 = key
    k4 = 0x1BD11BDA ^ k0 ^ k1 ^ k2 ^ k3
    x = inject((replica, step, slot, stream), k0, k1, k2, k3, 0)
    x = inject(four_rounds_even(x[0], x[1], x[2], x[3]), k1, k2, k3, k4, 1)
    x = inject(four_rounds_odd(x[0], x[1], x[2], x[3]), k2, k3, k4, k0, 2)
    x = inject(four_rounds_even(x[0], x[1], x[2], x[3]), k3, k4, k0, k1, 3)
    x = inject(four_rounds_odd(x[0], x[1], x[2], x[3]), k4, k0, k1, k2, 4)
    return inject(four_rounds_even(x[0], x[1], x[2], x[3]), k0, k1, k2, k3, 5)


def uniforms(key: Words, replica: int, step: int, slot: int, stream: int) -> tuple[float, float]:
    """Return two independent uniforms on [0, 1), 53 bits each."""
    x0, x1, x2, x3 = threefry(key, replica, step, slot, stream)
    scale = 1.1102230246251565e-16  # 2**-53
    return ((x0 >> 5) * 67108864 + (x1 >> 6)) * scale, ((x2 >> 5) * 67108864 + (x3 >> 6)) * scale


def normals(key: Words, replica: int, step: int, slot: int, stream: int) -> tuple[float, float]:
    """Return two independent standard normals, by Box and Muller."""
    u0, u1 = uniforms(key, replica, step, slot, stream)
    radius = sqrt(-2.0 * log(1.0 - u0))
    return radius * cos(2.0 * pi * u1), radius * sin(2.0 * pi * u1)


FUNCTIONS = (mix, four_rounds_even, four_rounds_odd, inject, threefry, uniforms, normals)
"""In the order they are spliced."""
