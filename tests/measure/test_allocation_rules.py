"""Rules of an allocation: which gradients they spend, adaptive doubling and its criteria, names unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sgdtheory import Adaptive, ArgumentError, custom_loss, landscape, lca, numeric_loss
from sgdtheory.derive.quadrature import composite, quadrature_rule
from sgdtheory.measure.allocation.quadrature import chosen_rule

WAVES = landscape("sin(3*w1)*w2 + exp(w1*w2/2)", ["w1", "w2"])
PATH = np.random.default_rng(0).uniform(-1, 1, (8, 2))
SHORT = PATH / 3


def spent(rule: Any) -> list[int]:
    return lca(PATH, WAVES, rule).gradients.values.tolist()


@pytest.mark.parametrize(
    ("rule", "new"),
    [
        ("left", 1),
        ("trapezoid", 1),
        ("simpson", 2),
        ("boole", 4),
        ("gauss-3", 4),
        (composite(quadrature_rule("simpson"), 4), 8),
    ],
)
def test_gradients_spent(rule: Any, new: int) -> None:
    """The end of a step is the start of the next; Gauss's nodes are none of the ends, which the first order needs."""
    assert spent(rule) == [new + 1, *[new] * 6]


def test_gradients_are_counted_as_they_are_taken() -> None:
    loss, taken = numeric_loss(WAVES), []

    def counted(w: np.ndarray) -> np.ndarray:
        taken.append(w[..., 0].size)
        return loss.gradient(w)

    table = lca(PATH, custom_loss(loss.value, counted, 2), Adaptive(absolute=1e-7))
    assert sum(taken) == table.gradients.sum()
    assert len(set(table.gradients.values.tolist())) > 2


def test_composite_rules_gain_the_order_of_the_rule() -> None:
    """Halving the parts of Simpson's rule divides the error by 16, of the trapezoid by 4."""
    exact = lca(PATH / 4, WAVES, "gauss-10").allocation
    for name, gain in (("simpson", 16), ("trapezoid", 4)):
        rules = (composite(quadrature_rule(name), n) for n in (4, 8))
        coarse, fine = (np.abs(lca(PATH / 4, WAVES, rule).allocation - exact).sum() for rule in rules)
        assert float(coarse / fine) == pytest.approx(gain, rel=0.02)


@pytest.mark.parametrize(
    "rule",
    [
        Adaptive(absolute=1e-5),
        Adaptive(absolute=1e-7),
        Adaptive(absolute=0, relative=1e-6),
        Adaptive("gauss-2", absolute=1e-8),
        Adaptive("trapezoid", absolute=1e-4, parts=64),
    ],
)
def test_adaptive_rules_meet_their_criterion(rule: Adaptive) -> None:
    table = lca(SHORT, WAVES, rule)
    assert not table.unmet.any()
    assert len(set(table.gradients.values[1:].tolist())) > 1
    allowed = rule.absolute + rule.relative * np.abs(table.allocation).sum("parameter")
    assert (np.abs(table.residual) <= allowed).all()


def test_adaptive_doubles_only_where_it_must() -> None:
    """A step is cut exactly until the composite rule meets the criterion."""
    rule = Adaptive(absolute=1e-6)
    table = lca(SHORT, WAVES, rule)
    met = [np.abs(lca(SHORT, WAVES, cut).residual.values) <= 1e-6 for cut in rule.cuts()]
    first = np.argmax(met, axis=0)
    assert len(set(first)) > 1
    for t, k in enumerate(first):
        np.testing.assert_allclose(
            table.allocation[t], lca(SHORT, WAVES, rule.cuts()[k]).allocation[t], rtol=1e-12, atol=1e-15
        )
        assert table.gradients[t] == 2 * 2**k + (t == 0)


def test_the_default_is_the_source_s_criterion() -> None:
    rule = chosen_rule("adaptive", None)
    assert rule == Adaptive("simpson", absolute=1e-3, relative=0, parts=16)
    assert isinstance(rule, Adaptive)
    assert len(rule.cuts()[-1].nodes) == 33  # 32 intervals


def test_adaptive_gives_up_after_its_last_cut_and_says_so() -> None:
    table = lca(PATH, WAVES, Adaptive("trapezoid", absolute=1e-12, parts=4))
    assert table.unmet.all()
    assert (np.abs(table.residual) > 1e-12).all()
    assert table.gradients[1:].values.tolist() == [4] * 6


def test_adaptive_does_not_cut_what_is_not_finite() -> None:
    path = np.array([[0.0, 0.0], [1.0, 0.5], [np.inf, 0.0]])
    table = lca(path, WAVES, "adaptive")
    assert table.gradients.values.tolist()[1] == 2
    assert int(table.diverged_at) == 2


def test_exact_takes_as_many_nodes_as_the_degree_needs() -> None:
    names = [chosen_rule("exact", landscape(f"w1**{p} + w2", ["w1", "w2"])).name for p in range(1, 8)]  # type: ignore[union-attr]
    assert names == [f"gauss-{n}" for n in (1, 1, 2, 2, 3, 3, 4)]


@pytest.mark.parametrize(
    ("rule", "loss", "fix"),
    [
        ("simson", WAVES, "simpson"),
        ("rk4", WAVES, "adaptive"),
        ("exact", WAVES, "polynomial"),
        ("exact", numeric_loss(WAVES), "gauss-n"),
        (3, WAVES, "exact"),
    ],
)
def test_refuses_rules_unknown(rule: Any, loss: Any, fix: str) -> None:
    with pytest.raises(ArgumentError, match=rf"^rule: .*{fix}"):
        lca(PATH, loss, rule)


@pytest.mark.parametrize(
    "wrong", [{"absolute": -1}, {"relative": np.inf}, {"parts": 3}, {"parts": 0}, {"rule": "simson"}]
)
def test_refuses_impossible_criteria(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        Adaptive(**wrong)
