from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sympy as sp

from sgdtheory import claims
from sgdtheory.plots.style import save

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def sticky() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        return import_module("sticky_experiment")


def test_landscape_has_the_published_barrier_and_curvatures(sticky: ModuleType) -> None:
    d1, d2 = sticky.DEGREES
    w0 = float(sticky.W0)
    assert sticky.barrier() == pytest.approx(w0 * (d1 - d2) / (d1 + d2))
    assert sticky.curvature(sticky.AS_RUN) == pytest.approx(32 * w0**4)
    assert sticky.curvature(sticky.AS_WRITTEN) == pytest.approx(16 * w0**4)
    assert sticky.LR * sticky.curvature(sticky.AS_RUN) > 2 > sticky.LR * sticky.curvature(sticky.AS_WRITTEN)


@pytest.mark.parametrize("excess", [-0.005, 0.005])
def test_gradient_descent_leaves_the_basin_beyond_the_crisis_and_not_before(sticky: ModuleType, excess: float) -> None:
    lr = sticky.crisis_limit() * (1 + excess) / sticky.curvature(sticky.AS_RUN)
    w0 = float(sticky.W0)
    w = np.linspace(-w0 - 1e-3, -w0 + 1e-3, 200)
    escaped = np.zeros(len(w), dtype=bool)
    for _ in range(20_000):
        q, slope = (w + w0) * (w - w0) ** 2, (w - w0) ** 2 + 2 * (w + w0) * (w - w0)
        w = np.where(escaped, w, w - lr * 2 * q * slope)
        escaped |= (w > sticky.barrier()) | (np.abs(w) > 2 * w0)
    assert escaped.all() if excess > 0 else not escaped.any()


def test_mean_square_limit_follows_from_the_fourth_moment_and_the_label_noise(sticky: ModuleType) -> None:
    w = sp.Symbol("w")
    q = (w + sticky.W0) * (w - sticky.W0) ** 2
    slope, bend = (sp.diff(q, w, k).subs(w, -sticky.W0) for k in (1, 2))
    # ℓ'' = 2(x²Q'² − xyQ'') where Q = 0; Var x² = 2, Var xy = 1, both uncorrelated
    relative_variance = 2 + (bend / slope**2) ** 2
    assert sticky.mean_square_limit() == pytest.approx(float(2 / (1 + relative_variance / sticky.BATCH)))


def test_tally_counts_each_run_once_and_divergence_from_the_last_visit(sticky: ModuleType) -> None:
    inf = np.inf
    w = np.array([
        [-1.8, -1.8, -1.8, -1.8],  # stays left
        [-1.0, -0.7, 0.5, 1.8],  # crosses
        [2.0, 1.9, 1.8, 1.8],  # starts right
        [-3.0, 5.0, -3.0, 9.0],  # jumps out, comes back, leaves for good
        [-3.5, -40.0, 900.0, inf],  # leaves at once
    ])  # fmt: skip
    result = sticky.tally(w, np.array([False, False, False, True, True]))
    assert result.survivors == pytest.approx([2 / 3, 2 / 3, 1 / 3, 1 / 3])
    assert result.everyone == pytest.approx([4 / 5, 2 / 5, 2 / 5, 1 / 5])
    assert result.diverged == pytest.approx([0, 1 / 5, 1 / 5, 2 / 5])
    assert result.fates == {"stay": 1, "cross": 1, "diverge": 2}
    assert (result.total, result.lost) == (5, 2)
    assert result.ends == pytest.approx([-1.8, 1.8, 1.8])


def test_slope_is_that_of_the_logarithm_in_the_window(sticky: ModuleType) -> None:
    steps = np.arange(sticky.STEPS + 1)
    share = np.exp(-0.13 * steps - 0.7)
    share[: sticky.FIT.start] = share[sticky.FIT.stop :] = 0.9
    result = sticky.Tally(share, share, share, np.zeros(10), {}, 10)
    assert result.slope == pytest.approx(-0.13)
    assert result.fit(steps[sticky.FIT]) == pytest.approx(share[sticky.FIT])


def test_the_convention_decides_whether_runs_escape(sticky: ModuleType) -> None:
    without, with_half = (sticky.escaped(c, sticky.LR, 2_000, 3) for c in (sticky.AS_RUN, sticky.AS_WRITTEN))
    assert without > 0.98
    assert with_half < 0.005


def test_half_the_loss_at_twice_the_rate_is_the_same_experiment(sticky: ModuleType) -> None:
    (one, lost), (other, other_lost) = (
        sticky.paths(sticky.experiment(convention), sticky.START, 50, 0, lr)
        for convention, lr in ((sticky.AS_RUN, sticky.LR), (sticky.AS_WRITTEN, 2 * sticky.LR))
    )
    assert (lost == other_lost).all()
    assert one[~lost, :5] == pytest.approx(other[~lost, :5])  # later, chaos has grown the rounding


def test_picture_is_small_cites_a_claim_and_tells_the_numbers(sticky: ModuleType, tmp_path: Path) -> None:
    picture = sticky.make(quick=True, rng=1)
    known = {claim.id for claim in claims()}
    assert picture.claims
    assert set(picture.claims) <= known
    for number in ("2,000 runs", "3.36", "1.68", "3.350"):
        assert number in picture.caption
    file = tmp_path / f"{picture.name}.png"
    save(picture.figure, file)
    assert file.stat().st_size <= 250_000
