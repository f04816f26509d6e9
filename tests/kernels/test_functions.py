"""exp, log and tanh of kernels: within ulps of the exact values, right at the ends, the same compiled as plain."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import sympy as sp
from kernel_tools import run_kernel, set_to
from numpy.typing import NDArray

from sgdtheory import Dataset
from sgdtheory.kernels import functions

GENERATOR = np.random.default_rng(0)
TINY, HUGE = 5e-324, 1.7976931348623157e308
ENDS = (math.inf, -math.inf, math.nan, 0.0, -0.0, TINY, -TINY, HUGE, -HUGE, 1e-310, 1.0, -1.0)
POINTS: dict[str, NDArray[np.float64]] = {
    "exp": np.concatenate([GENERATOR.uniform(-745, 709.7, 800), GENERATOR.normal(0, 1, 400), [709.78, -708.4, -744.9]]),
    "log": np.concatenate([np.exp(GENERATOR.uniform(-744, 709, 800)), GENERATOR.uniform(0.5, 2, 400), [1e-310, TINY]]),
    "tanh": np.concatenate([GENERATOR.uniform(-25, 25, 800), GENERATOR.normal(0, 1e-8, 100), [0.3466, -0.1733]]),
}
ULPS = {"exp": 2, "log": 3, "tanh": 4}
COMPILED = (sp.exp, sp.log, sp.tanh)


@pytest.mark.parametrize("name", ULPS)
def test_a_function_is_right_to_some_ulps(name: str) -> None:
    ours: Callable[[float], float] = getattr(functions, name)
    with mpmath.workdps(40), np.errstate(under="ignore"):
        for x in map(float, POINTS[name]):
            exact = getattr(mpmath, name)(mpmath.mpf(x))
            assert abs(float(ours(x)) - exact) <= ULPS[name] * math.ulp(float(exact)), x


@pytest.mark.parametrize("name", ULPS)
def test_a_function_is_right_at_the_ends(name: str) -> None:
    ours, numpys = getattr(functions, name), getattr(np, name)
    with np.errstate(all="ignore"):
        for x in ENDS:
            np.testing.assert_allclose(float(ours(x)), numpys(x), rtol=1e-15, atol=TINY)


def test_the_parts_of_exp() -> None:
    for k in (-1022, -1, 0, 1, 1023):
        assert functions.power_of_two(float(k)) == 2.0**k
    for x in (-700.3, -0.3, 0.0, 0.3466, 5.0, 709.0):
        k, r = functions.whole_and_rest(x)
        assert k == round(x / math.log(2))
        assert abs(r) <= 0.35
        assert k * math.log(2) + r == pytest.approx(x, rel=1e-13)


def test_compiled_functions_are_the_plain_ones() -> None:
    everything = np.concatenate([*POINTS.values(), [x for x in ENDS if math.isfinite(x)]])
    samples = Dataset(x=everything)
    (x,) = samples.symbols
    dynamics = set_to([x, *(sp.atan(function(x)) for function in COMPILED)], samples)  # atan: infinities may pass
    path, failed = run_kernel(dynamics, (0,) * 4, "numba", replicas=60_000, steps=1, record=[1])
    seen = dict(zip(path[:, 0, 0].tolist(), path[:, 0, 1:].tolist(), strict=True))
    finite = {v for v in everything.tolist() if v > 0}  # the logarithm of others is no number: the replica fails
    assert len(finite & set(seen)) > 0.99 * len(finite)
    with np.errstate(all="ignore"):
        for value in finite & set(seen):
            plain = [math.atan(float(getattr(functions, f.__name__)(value))) for f in COMPILED]
            assert seen[value] == plain, value
    assert set(failed.tolist()) == {-1, 1}


@pytest.mark.parametrize(
    "power", [sp.Rational(3, 2), sp.Rational(-1, 2), sp.Rational(5, 4), sp.Rational(-3, 4), sp.Rational(7, 2), 5, -3]
)
def test_quarter_powers_are_roots_and_products(power: sp.Rational) -> None:
    from sgdtheory.kernels.emit import emit

    samples = Dataset(x=[0.25, 1.0, 3.7, 1e-6, 1e9], sampling="one epoch")
    (x,) = samples.symbols
    dynamics = set_to([x, x**power], samples)
    assert "pow(" not in emit(dynamics, (0, 0)).split("def example_terms")[1]
    path, _ = run_kernel(dynamics, (0, 0), "python", replicas=3, steps=5)
    np.testing.assert_allclose(path[:, 1:, 1], path[:, 1:, 0] ** float(power), rtol=1e-14)
