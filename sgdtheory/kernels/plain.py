"""The functions of `math`, total as IEEE arithmetic has them: what a plain-Python kernel calls.

Compiled code returns infinities and NaN where `math` raises; the twin must do the same. Results are ``float64``
scalars, so that division by zero in the twin also follows IEEE.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import numpy as np


def _total(function: Callable[[float], float], overflow: float = math.inf) -> Callable[[float], np.float64]:
    def wrapped(x: float) -> np.float64:
        try:
            return np.float64(function(x))
        except OverflowError:
            return np.float64(math.copysign(overflow, x) if function is math.sinh else overflow)
        except ValueError:
            return np.float64(-math.inf if function is math.log and x == 0 else math.nan)

    return wrapped


exp, log, sqrt = _total(math.exp), _total(math.log), _total(math.sqrt)
sin, cos, tan = _total(math.sin), _total(math.cos), _total(math.tan)
asin, acos, atan = _total(math.asin), _total(math.acos), _total(math.atan)
sinh, cosh, tanh = _total(math.sinh), _total(math.cosh), _total(math.tanh)
erf = _total(math.erf)
isfinite, pi, nan = math.isfinite, math.pi, math.nan


def pow(x: float, y: float) -> np.float64:  # the name kernels print
    """Return x to the power y, infinities and NaN included."""
    return np.float64(x) ** np.float64(y)


def u32(x: int) -> int:
    """Return a whole number modulo 2³²."""
    return int(x) & 0xFFFFFFFF


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
    """Return the float32 with these 32 bits."""
    return np.float32(struct.unpack("<f", struct.pack("<i", i))[0])


def float_of(i: int) -> float:
    """Return the float with these 64 bits."""
    return float(struct.unpack("<d", struct.pack("<q", i))[0])
