"""Brackets through residuals: a unit a·tanh(b x) with fields and Jacobians by hand and by differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sgdtheory import symbols
from sgdtheory.claim import Claim
from sgdtheory.theory.lie_brackets.residuals import LOGISTIC_BRACKET, SQUARED_BRACKET

POINT, INPUTS, SIGNS = np.array([0.8, 0.6]), (1.0, -2.0), (1.0, -1.0)


def slope(w: np.ndarray, k: int) -> np.ndarray:
    """∇m of the margin, or error, m = ±a·tanh(b x)."""
    a, b = w
    bent = np.tanh(b * INPUTS[k])
    return SIGNS[k] * np.array([bent, a * INPUTS[k] * (1 - bent**2)])


def jacobian(field: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    h = 1e-5
    return np.stack([(field(POINT + h * e) - field(POINT - h * e)) / (2 * h) for e in np.eye(2)], axis=1)


def bracket(first: Callable[[np.ndarray], np.ndarray], second: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return jacobian(second) @ first(POINT) - jacobian(first) @ second(POINT)


def margin(w: np.ndarray, k: int) -> float:
    return float(SIGNS[k] * w[0] * np.tanh(w[1] * INPUTS[k]))


def doubt(w: np.ndarray, k: int) -> float:
    return 1 / (1 + np.exp(margin(w, k)))


def error(w: np.ndarray, k: int) -> float:
    return margin(w, k) - (0.3, 0.9)[k]


CASES = {
    "log loss": (LOGISTIC_BRACKET, doubt, (symbols.doubt_1, symbols.doubt_2), 1.0),
    "squared error": (SQUARED_BRACKET, error, (symbols.error_1, symbols.error_2), -1.0),
}


@pytest.mark.parametrize("name", CASES)
def test_the_formula_is_the_bracket_of_the_fields(name: str) -> None:
    claim, size, (first, second), sign = CASES[name]
    measured = bracket(*(lambda w, k=k: sign * size(w, k) * slope(w, k) for k in (0, 1)))
    u, between = [slope(POINT, k) for k in (0, 1)], bracket(*(lambda w, k=k: slope(w, k) for k in (0, 1)))
    values = {first: size(POINT, 0), second: size(POINT, 1), symbols.margin_inner: u[0] @ u[1]}
    for i in (0, 1):
        here = {symbols.margin_slope_1: u[0][i], symbols.margin_slope_2: u[1][i], symbols.margin_bracket: between[i]}
        assert float(claim.statement.rhs.subs(values | here)) == pytest.approx(measured[i], rel=1e-8)


@pytest.mark.parametrize("claim", [LOGISTIC_BRACKET, SQUARED_BRACKET])
def test_the_order_in_the_residuals(claim: Claim) -> None:
    """Both doubts halved: a quarter of the bracket, as far as 1 − ρ is 1; both errors halved: half of it."""
    residuals = [s for s in claim.statement.free_symbols if s.name.startswith(("wrong", "err"))]
    others = {s: 0.7 + 0.1 * k for k, s in enumerate(sorted(claim.statement.rhs.free_symbols, key=str))}
    far, near = (
        float(claim.statement.rhs.subs(others | dict(zip(sorted(residuals, key=str), (r, 2 * r), strict=True))))
        for r in (2e-5, 1e-5)
    )
    assert far / near == pytest.approx(4 if claim is LOGISTIC_BRACKET else 2, rel=1e-3)
