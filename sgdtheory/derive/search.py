"""Searches along a line of numbers: where a function changes sign, where a condition ends, where a peak stands."""

from __future__ import annotations

import math
from collections.abc import Callable


def bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function that is negative at low and not at high changes sign, to the last bit but a few."""
    while high - low > 4e-16 * abs(high):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return high


def last(holds: Callable[[float], bool], low: float, high: float, width: float) -> float:
    """Return a number up to which a condition holds that is true at low and false at high; the end is within width."""
    while high - low > width:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def argmax(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one peak has it, by golden-section search: to half the digits if it is flat."""
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(80):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (left, high) if function(left) < function(right) else (low, right)
    return (low + high) / 2
