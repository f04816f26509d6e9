"""exp, log and tanh in arithmetic alone, spliced into kernels so that loops that call them become vector instructions.

The other functions a loss may hold (sin, erf, powers that are no multiple of a quarter, …) are those of the C library,
called one replica at a time: slower, not different.
"""

from __future__ import annotations

from math import inf, nan

from sgdtheory.kernels.plain import bits, float_of, fma
from sgdtheory.kernels.random import log_of_positive


def rest_of_exponential(r: float) -> float:
    """Return e^r − 1 for |r| ≤ ½ log 2: r + r²/2 + …, interpolated at Chebyshev's points."""
    q = fma(r, 2.0914686968086876e-09, 2.5105217004720745e-08)
    q = fma(r, q, 2.75572736431103e-07)
    q = fma(r, q, 2.7557255400206422e-06)
    q = fma(r, q, 2.4801587325547743e-05)
    q = fma(r, q, 0.00019841269874820627)
    q = fma(r, q, 0.0013888888888883748)
    q = fma(r, q, 0.008333333333326136)
    q = fma(r, q, 0.04166666666666667)
    q = fma(r, q, 0.1666666666666667)
    q = fma(r, q, 0.5)
    return fma(r * r, q, r)


def whole_and_rest(x: float) -> tuple[float, float]:
    """Return (k, r) with x = k log 2 + r, k whole and |r| ≤ ½ log 2."""
    k = fma(x, 1.4426950408889634, 6755399441055744.0) - 6755399441055744.0  # 1.5·2⁵² rounds to a whole number
    return k, fma(k, -2.3190468138462996e-17, fma(k, -0.6931471805599453, x))


def power_of_two(k: float) -> float:
    """Return 2^k for a whole number k from −1022 to 1023."""
    return float_of((bits(k + 6755399441055744.0) << 52) + 0x3FF0000000000000)


def exp(x: float) -> float:
    """Return e^x within two ulps, infinities and NaN included."""
    x = 710.0 if x > 710.0 else x  # so NaN stays
    x = -750.0 if x < -750.0 else x
    k, r = whole_and_rest(x)
    half = fma(k, 0.5, 6755399441055744.0) - 6755399441055744.0  # in two factors: the power itself may be out of range
    return (1.0 + rest_of_exponential(r)) * power_of_two(half) * power_of_two(k - half)


def log(x: float) -> float:
    """Return log x within two ulps; −∞ at 0, NaN below."""
    small = x < 2.2250738585072014e-308
    value = log_of_positive(x * 18014398509481984.0 if small else x)
    value = value - 37.42994775023705 if small else value  # 54 log 2
    beyond = x if x > 0.0 else (-inf if x == 0.0 else nan)
    return value if (x > 0.0) & (x < inf) else beyond


def tanh(x: float) -> float:
    """Return tanh x within four ulps: E/(E + 2) with E = e^2|x| − 1."""
    size = abs(x)
    size = 22.0 if size > 22.0 else size  # where it is 1 to rounding
    k, r = whole_and_rest(2.0 * size)
    scale = power_of_two(k)
    excess = fma(scale, rest_of_exponential(r), scale - 1.0)
    value = excess / (excess + 2.0)
    return -value if x < 0.0 else value


FUNCTIONS = (rest_of_exponential, whole_and_rest, power_of_two, exp, log, tanh)
"""In the order they are spliced."""
