"""Searches along a line: roots to the last bit, ends within their width, peaks to half the digits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdtheory.derive.search import argmax, bisect, last

PLACES = st.floats(-50, 50).filter(lambda x: abs(x) > 1e-3)


def test_bisection_ends_at_neighbouring_numbers() -> None:
    root = bisect(lambda x: x**2 - 2, 1, 2)
    assert abs(root - math.sqrt(2)) <= 1e-15
    assert bisect(lambda x: x - 1, 0, 1) == 1


@given(end=PLACES)
def test_bisection_finds_any_root(end: float) -> None:
    assert bisect(lambda x: x - end, -60, 60) == pytest.approx(end, rel=1e-15)


@given(end=PLACES, width=st.floats(1e-9, 1.0))
def test_the_condition_holds_at_its_last_number_and_ends_within_the_width(end: float, width: float) -> None:
    found = last(lambda x: x < end, -60, 60, width)
    assert found < end <= found + width * (1 + 1e-6)


def test_a_condition_is_not_asked_where_the_width_is_reached() -> None:
    assert last(lambda x: pytest.fail("asked"), 1.0, 2.0, 1.0) == 1.0


@given(peak=PLACES)
def test_the_peak_is_found_whatever_its_place(peak: float) -> None:
    assert argmax(lambda x: -abs(x - peak), -60, 60) == pytest.approx(peak, abs=1e-11)
    assert argmax(lambda x: -((x - peak) ** 2), -60, 60) == pytest.approx(peak, abs=1e-5)


def test_a_peak_at_an_end_is_that_end() -> None:
    assert argmax(lambda x: x, 0, 3) == pytest.approx(3, abs=1e-12)
    assert argmax(lambda x: -x, 0, 3) == pytest.approx(0, abs=1e-12)
