"""The Fokker–Planck solver against closed forms, its own conservation laws, ensembles, and other readings."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdtheory import SGD, ArgumentError, Normal, fokker_planck, landscape, simulate, single_feature, sticky_1d
from sgdtheory.measure.fokker_planck import FokkerPlanck

W = sp.Symbol("w", real=True)
WELL = landscape("w**2/2", ["w"], noise_std=1)


def moments(cells: FokkerPlanck, density: np.ndarray) -> tuple[float, float]:
    masses = density * cells.widths
    mean = float(cells.centres @ masses)
    return mean, float(cells.centres**2 @ masses) - mean**2


def normal(w: np.ndarray, mean: float, std: float) -> np.ndarray:
    return np.exp(-(((w - mean) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))


def test_ornstein_uhlenbeck_is_exact_up_to_the_first_order_in_the_substep() -> None:
    lr, steps = 0.1, 6
    cells = fokker_planck(WELL, lr, edges=np.linspace(-2, 2, 401))
    start = normal(cells.centres, 0.8, 0.1)
    decay = np.exp(-lr * steps)
    mean, variance = 0.8 * decay, 0.01 * decay**2 + lr / 2 * (1 - decay**2)
    errors = []
    for substeps in (100, 200):
        (density,) = cells.evolve(start, [steps], substeps)
        found = moments(cells, density)
        errors.append(np.abs(np.array(found) - (mean, variance)))
    assert (errors[1] < 2e-3).all()
    assert errors[0][0] / errors[1][0] == pytest.approx(2, abs=0.2)


def test_geometric_brownian_motion_is_itos() -> None:
    """For dw = −ηaw + ησw·ζ the mean of ln w falls by ηa + η²σ²/2 a step; with Stratonovich's drift by ηa alone."""
    lr, a, noise, steps = 0.1, 0.3, 2.0, 20
    problem = landscape(sp.Rational(3, 20) * W**2, [W], noise_root=[[2 * W]])
    cells = fokker_planck(problem, lr, edges=np.geomspace(2e-3, 60, 1201))
    start = np.where(np.abs(np.log(cells.centres)) < 0.05, 1.0, 0.0)
    start /= start @ cells.widths
    (density,) = cells.evolve(start, [steps], 400)
    logs, masses = np.log(cells.centres), density * cells.widths
    mean = float(logs @ masses)
    variance = float((logs - mean) ** 2 @ masses)
    assert mean == pytest.approx(-steps * (lr * a + lr**2 * noise**2 / 2), abs=0.01)
    assert variance == pytest.approx(steps * lr**2 * noise**2, rel=0.02)


def test_the_stationary_density_is_itos_with_growing_noise() -> None:
    problem = landscape("w**2/2", ["w"], noise_root=[[sp.sqrt(1 + W**2)]])
    cells = fokker_planck(problem, 0.2, batch_size=2, edges=np.linspace(-6, 6, 1201))
    power = 1 + 2 / 0.2  # claim STA-19
    exact = (1 + cells.centres**2) ** -power
    exact /= exact @ cells.widths
    np.testing.assert_allclose(cells.stationary(), exact, rtol=2e-3)
    (later,) = cells.evolve(cells.stationary(), [50])
    np.testing.assert_allclose(later, cells.stationary(), atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 3), st.integers(1, 5), st.floats(1, 1e5), st.integers(4, 80))
def test_mass_is_kept_and_no_density_negative_however_long_the_step(
    lr: float, substeps: int, steps: float, number: int
) -> None:
    cells = fokker_planck(sticky_1d(1, 2, sp.S.One), lr, edges=np.sort(np.append(np.linspace(-2, 2, number), 0.123)))
    start = np.zeros(cells.centres.size)
    start[number // 3] = 1 / cells.widths[number // 3]
    (density,) = cells.evolve(start, [steps], substeps)
    assert (density >= -1e-12 * density.max()).all()
    assert density @ cells.widths == pytest.approx(1, rel=1e-8)
    assert (cells.up >= 0).all()
    assert (cells.down >= 0).all()


def test_nothing_passes_a_critical_point_of_q() -> None:
    """At the barrier −1/3 drift and noise vanish: mass on one side stays there (claim DEG-25)."""
    edges = np.sort(np.append(np.linspace(-1.3, 1.2, 251), -1 / 3))
    cells = fokker_planck(sticky_1d(1, 2, sp.S.One), 0.01, edges=edges)
    left = cells.centres < -1 / 3
    start = np.where(left & (cells.centres > -0.5), 1.0, 0.0)
    start /= start @ cells.widths
    (density,) = cells.evolve(start, [3000], 50)
    assert density[left] @ cells.widths[left] == pytest.approx(1, abs=1e-6)


def test_where_noise_vanishes_there_is_no_stationary_density_but_a_collapse() -> None:
    cells = fokker_planck(single_feature(W**2, [W]), 0.1, edges=np.linspace(-1, 1, 201))
    with pytest.raises(ArgumentError, match="no noise at"):
        cells.stationary()
    start = np.where(np.abs(cells.centres - 0.5) < 0.1, 5.0, 0.0)
    spread = [float(np.abs(cells.centres) @ (p * cells.widths)) for p in cells.evolve(start, [50, 200])]
    assert spread[1] < spread[0] / 3 < 0.1


def test_the_density_lies_on_an_ensembles_histogram() -> None:
    problem, replicas, edges = sticky_1d(1, 2, sp.S.One), 20_000, np.linspace(-1.5, 1.5, 61)
    run = simulate(
        problem, SGD(lr=0.005), steps=60, replicas=replicas, init=Normal(0.1, 0.1), record=[60], keep="moments",
        histogram={"w": edges}, rng=3, progress=False,
    )  # fmt: skip
    counts = run.histogram_w.values[0, 1:-1]
    fine = np.linspace(-1.5, 1.5, 601)
    cells = fokker_planck(problem, 0.005, edges=fine)
    (density,) = cells.evolve(normal(cells.centres, 0.1, 0.1), [60], 200)
    expected = (density * cells.widths).reshape(60, 10).sum(axis=1) * replicas
    many = expected > 50
    assert many.sum() > 8
    # the diffusion limit itself is off by the order of a step, some 2 %
    assert (np.abs(counts - expected)[many] < 5 * np.sqrt(expected[many]) + 0.05 * expected[many]).all()


def test_mean_exit_times_of_a_random_walk_and_of_a_drift() -> None:
    walk = landscape("0*w", ["w"], noise_std=1)
    cells = fokker_planck(walk, 0.1, edges=np.linspace(-1, 1, 401), absorbing=["left", "right"])
    np.testing.assert_allclose(cells.exit_steps(), (1 - cells.centres**2) / 0.01, rtol=1e-3, atol=0.05)
    slide = landscape("w", ["w"], noise_std=1)
    down = fokker_planck(slide, 0.1, edges=np.linspace(-1, 1, 401), absorbing=["left"])
    x = (down.centres + 1) / 0.05  # distance over D/drift, D/drift = η/2
    exact = (x - np.exp(-2 / 0.05) * np.expm1(x)) * 0.05 / 0.1
    np.testing.assert_allclose(down.exit_steps(), exact, rtol=2e-3, atol=0.05)


def test_what_is_absorbed_is_missing() -> None:
    cells = fokker_planck(WELL, 0.1, edges=np.linspace(-0.5, 0.5, 101), absorbing=["right"])
    start = np.full(100, 1.0)
    shares = cells.evolve(start, [1, 10, 100]) @ cells.widths
    assert 1 > shares[0] > shares[1] > shares[2] > 0
    with pytest.raises(ArgumentError, match="absorb"):
        cells.stationary()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0.0}, "lr: got 0.0"),
        ({"lr": float("nan")}, "lr"),
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"batch_size": True}, "batch_size"),
        ({"edges": [0, 1]}, "edges"),
        ({"edges": [0, 1, 1]}, "edges"),
        ({"edges": [0, 1, np.inf]}, "edges"),
        ({"absorbing": "left"}, "absorbing: got left; allowed|absorbing"),
        ({"absorbing": ["up"]}, "absorbing"),
        ({"problem": landscape("w**2", ["w"])}, "no noise"),
        ({"problem": landscape("a*w**2", ["w"], noise_std=1)}, "problem"),
        ({"problem": landscape("w1**2 + w2**2", ["w1", "w2"], noise_std=1)}, "problem"),
    ],
)
def test_arguments_that_cannot_be_meant(changes: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"problem": WELL, "lr": 0.1, "edges": [-1, 0, 1]} | changes
    with pytest.raises(ArgumentError, match=message):
        fokker_planck(arguments.pop("problem"), arguments.pop("lr"), **arguments)  # type: ignore[arg-type]


def test_wrong_densities_and_steps_are_refused() -> None:
    cells = fokker_planck(WELL, 0.1, edges=[-1, 0, 1])
    for density in ([1.0], [-1.0, 1.0], [np.nan, 1.0]):
        with pytest.raises(ArgumentError, match="density"):
            cells.evolve(density, [1])
    for steps in ([2, 1], [-1], [np.inf]):
        with pytest.raises(ArgumentError, match="steps"):
            cells.evolve([0.5, 0.5], steps)
    with pytest.raises(ArgumentError, match="substeps"):
        cells.evolve([0.5, 0.5], [1], 0)
    with pytest.raises(ArgumentError, match="absorb"):
        cells.exit_steps()
    assert cells.evolve([0.5, 0.5], [0.0]).tolist() == [[0.5, 0.5]]
