"""The functions of `math`, total as IEEE arithmetic has them: what a plain-Python kernel calls.

Compiled code returns infinities and NaN where `math` raises; the twin must do the same. Results are ``float64``
scalars, so that division by zero in the twin also follows IEEE.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import overload

import numpy as np


def _total(function: Callable[[float], float]) -> Callable[[float], np.float64]:
    def wrapped(x: float) -> np.float64:
        try:
            return np.float64(function(x))
        except OverflowError:
            return np.float64(math.copysign(math.inf, x) if function is math.sinh else math.inf)
        except ValueError:
            return np.float64(math.nan)

    return wrapped


sqrt = _total(math.sqrt)
sin, cos, tan = _total(math.sin), _total(math.cos), _total(math.tan)
asin, acos, atan = _total(math.asin), _total(math.acos), _total(math.atan)
sinh, cosh, erf = _total(math.sinh), _total(math.cosh), _total(math.erf)
isfinite, inf, nan = math.isfinite, math.inf, math.nan


def pow(x: float, y: float) -> np.float64:  # the name kernels print
    """Return x to the power y, infinities and NaN included."""
    return np.float64(x) ** np.float64(y)


@overload
def fma(a: np.float32, b: np.float32, c: np.float32) -> np.float32: ...
@overload
def fma(a: float, b: float, c: float) -> float: ...
def fma(a: float | np.float32, b: float | np.float32, c: float | np.float32) -> float | np.float32:
    """Return a·b + c rounded once, in float64 or, if a is one, in float32."""
    x, y, z = float(a), float(b), float(c)
    finite = math.isfinite(x) and math.isfinite(y) and math.isfinite(z)
    exact = Fraction(x) * Fraction(y) + Fraction(z) if finite else Fraction(0)
    if exact == 0:  # or not finite: nothing is rounded, and zero has the sign of the sum
        with np.errstate(all="ignore"):
            return type(a)(np.float64(x) * np.float64(y) + np.float64(z))
    return _single_nearest(exact) if isinstance(a, np.float32) else _nearest(exact)


def _nearest(exact: Fraction) -> np.float64:
    try:
        return np.float64(exact.numerator / exact.denominator)  # Python divides whole numbers correctly rounded
    except OverflowError:
        return np.float64(math.inf if exact > 0 else -math.inf)


def _single_nearest(exact: Fraction) -> np.float32:
    """Round to float32 by way of float64, made odd where it is not exact, so that rounding twice is rounding once."""
    near = float(_nearest(exact))
    if math.isfinite(near) and Fraction(near) != exact and bits(near) % 2 == 0:
        near = math.nextafter(near, math.inf if exact > Fraction(near) else -math.inf)
    return np.float32(near)


def u32(x: int) -> int:
    """Return a whole number modulo 2³²."""
    return int(x) & 0xFFFFFFFF


def i32(x: int) -> int:
    """Return a whole number modulo 2³², from −2³¹ to 2³¹ − 1."""
    return (int(x) + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def bits(x: float) -> int:
    """Return the 64 bits of a float as a whole number."""
    return int(struct.unpack("<q", struct.pack("<d", x))[0])


def f32(x: float) -> np.float32:
    """Return a number rounded to float32."""
    return np.float32(x)


def bits32(x: np.float32) -> int:
    """Return the 32 bits of a float32 as a whole number."""
    return int(struct.unpack("<i", struct.pack("<f", x))[0])


def single_of(i: int) -> np.float32:
    """Return the float32 with these 32 bits, modulo 2³²."""
    return np.float32(struct.unpack("<f", struct.pack("<I", int(i) & 0xFFFFFFFF))[0])


def float_of(i: int) -> float:
    """Return the float with these 64 bits, modulo 2⁶⁴."""
    return float(struct.unpack("<d", struct.pack("<Q", int(i) & 0xFFFFFFFFFFFFFFFF))[0])
