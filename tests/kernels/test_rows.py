"""Programs of many coordinates: what is found to be alike, and that loops over rows compute what is written out."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from kernel_tools import run_kernel
from numpy.typing import NDArray

from sgdtheory import Dataset, Fresh, Langevin, Nesterov, Normal, Problem, RMSProp, Uniform
from sgdtheory.dynamics import make_dynamics
from sgdtheory.kernels.emit import emit
from sgdtheory.kernels.lower import lower
from sgdtheory.kernels.products import share_products
from sgdtheory.kernels.rows import FEW, find_layers, find_rows
from sgdtheory.optimizers import SGD, Momentum, Optimizer

N = 12
W, X = sp.symbols(f"w:{N}", real=True), sp.symbols(f"x:{N}", real=True)
Y = sp.Symbol("y", real=True)
MODEL = sum(w * x for w, x in zip(W, X, strict=True))
LAWS = {**{x.name: Normal(0, 1) for x in X}, "y": Normal(0, 1)}
REGRESSION = (Y - MODEL) ** 2 / 2
LOSSES = {
    "regression": REGRESSION,
    "logistic": sp.log(1 + sp.exp(-Y * MODEL)),
    "separate": sum((w**2 - 1) ** 2 * x for w, x in zip(W, X, strict=True)),
    "not alike": REGRESSION + W[3] ** 4,
    "product": (Y - sp.Mul(*W) * X[0]) ** 2 / 2,
}


def problem(loss: str, **laws: object) -> Problem:
    used = {name: law for name, law in (laws or LAWS).items() if LOSSES[loss].has(sp.Symbol(name, real=True))}
    return Problem(LOSSES[loss], W, Fresh(**used))


def s(i: int) -> sp.Symbol:
    return sp.Symbol(f"s{i}", real=True)


def test_rows_are_found_with_their_strides() -> None:
    p, g = sp.Symbol("p0"), [sp.Symbol(f"g{i}") for i in range(3)]
    rows = find_rows([(s(i) - p * g[i], p * s(3 + 2 * i)) for i in range(3)])
    assert rows is not None
    assert dict(rows.strides) == {s(0): 1, s(3): 2, g[0]: 1, p: 0}
    assert rows.count == 3


@pytest.mark.parametrize(
    "groups",
    [
        [(s(0),), (2 * s(1),), (s(2),)],
        [(s(0),), (s(1),), (s(3),)],
        [(s(0) * s(1),), (s(1) * s(0),), (s(2) * s(3),)],
        [(s(0) + sp.Symbol("p0"),), (s(1) + sp.Symbol("p1"),), (s(2) + sp.Symbol("p2"),)],
        [(s(0),), (s(1), s(2)), (s(2),)],
        [(s(0) + 1,), (s(1) + 2,), (s(2) + 3,)],
    ],
)
def test_what_is_not_alike_is_not_rows(groups: list[tuple[sp.Expr, ...]]) -> None:
    assert find_rows(groups) is None


def test_a_long_sum_becomes_a_total_and_the_rest_stays() -> None:
    x = [sp.Symbol(f"x{i}", real=True) for i in range(N + 1)]
    residual = x[N] - sum(s(i) * x[i] for i in range(N))
    layers = find_layers([-residual * x[i] for i in range(N)])
    assert layers is not None
    (total,) = layers.totals
    assert total.rest in {x[N], -x[N]}  # sympy may put the sign in front
    assert total.term.count == N
    assert layers.rows.results in {(-total.symbol * x[0],), (total.symbol * x[0],)}
    assert dict(layers.rows.strides) == {total.symbol: 0, x[0]: 1}


@pytest.mark.parametrize(("loss", "rolled"), [("regression", True), ("logistic", True), ("not alike", False)])
def test_what_is_rolled(loss: str, rolled: bool) -> None:
    program = lower(make_dynamics(problem(loss), SGD(lr=0.1)), (0,) * N)
    assert program.by_rows is not None
    assert (program.by_rows.terms is not None) is rolled


def test_few_coordinates_are_written_out() -> None:
    few = Problem(sum(w**2 for w in W[:FEW]), W[:FEW])
    assert lower(make_dynamics(few, SGD(lr=0.1)), (0,) * FEW).by_rows is None


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": SGD(lr=0.05),
    "nesterov": Nesterov(lr=0.05, momentum=0.5),
    "rmsprop": RMSProp(lr=0.05, decay=0.9),
    "langevin": Langevin(lr=0.01, temperature=0.1),
}


def both(dynamics: object, start: object, **settings: object) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    paths = []
    for target in ("numba", "python"):
        path, failed = run_kernel(dynamics, start, target, **settings)  # type: ignore[arg-type]
        assert (failed == -1).all()
        paths.append(path)
    return paths[0], paths[1]


@pytest.mark.parametrize(
    ("loss", "optimizer", "batch"),
    [("regression", "sgd", 3), ("logistic", "rmsprop", 1), ("separate", "nesterov", 2), ("not alike", "langevin", 2),
     ("product", "nesterov", 2)],
)  # fmt: skip
def test_a_kernel_of_many_rows_is_its_plain_twin(loss: str, optimizer: str, batch: int) -> None:
    dynamics = make_dynamics(problem(loss), OPTIMIZERS[optimizer])
    start = tuple(Uniform(-1, 1) if loss == "separate" else Normal(0.5, 0.1) for _ in W)
    compiled, plain = both(dynamics, start, replicas=20, steps=3, batch=batch)
    assert compiled.tobytes() == plain.tobytes()
    assert (compiled[:, -1, :N] != compiled[:, 0, :N]).all()


def test_a_data_set_of_many_columns_is_its_plain_twin_and_the_gradient() -> None:
    generator = np.random.default_rng(0)
    columns = {x.name: generator.normal(size=9) for x in X} | {"y": generator.normal(size=9)}
    data = Dataset(**columns, sampling="full batch")
    dynamics = make_dynamics(Problem(REGRESSION, W, data), SGD(lr=0.05))
    compiled, plain = both(dynamics, (0.5,) * N, replicas=3, steps=4, batch=9)
    assert compiled.tobytes() == plain.tobytes()
    features, labels, w = data.values[:, :N], data.values[:, N], np.full(N, 0.5)
    for step in range(4):
        np.testing.assert_allclose(compiled[0, step], w, rtol=1e-13)
        w = w - 0.05 * (features @ w - labels) @ features / 9


def test_rows_compute_what_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same draws, once in loops over rows and once written out; sums may differ in the order of their terms."""
    from sgdtheory.kernels import calls, lower

    dynamics = make_dynamics(problem("regression", **LAWS | {"y": Uniform(-1, 1)}), Momentum(lr=0.05, momentum=0.5))
    start, settings = (Normal(0, 1),) * N, {"replicas": 5, "steps": 3, "batch": 2}
    rolled, _ = run_kernel(dynamics, start, "python", **settings)  # type: ignore[arg-type]
    assert "few" in emit(dynamics, start, "python")
    for module in (calls, lower):
        monkeypatch.setattr(module, "FEW", 99)
    assert "few" not in emit(dynamics, start, "python")
    written_out, _ = run_kernel(dynamics, start, "python", **settings)  # type: ignore[arg-type]
    np.testing.assert_allclose(written_out, rolled, rtol=1e-12)
    assert written_out.tobytes() != rolled.tobytes()  # they are two ways indeed


def test_a_dense_regression_is_short_whatever_its_size() -> None:
    def length(n: int) -> int:
        w, x = sp.symbols(f"w:{n}", real=True), sp.symbols(f"x:{n}", real=True)
        loss = (Y - sum(a * b for a, b in zip(w, x, strict=True))) ** 2 / 2
        laws = {v.name: Normal() for v in (*x, Y)}
        text = emit(make_dynamics(Problem(loss, w, Fresh(**laws)), SGD(lr=0.1)), (0,) * n)
        return len(text.split('"""')[2])

    assert length(40) < 1.05 * length(20)


# -- products


@pytest.mark.parametrize("n", [5, 7, 8, 20])
def test_products_that_lack_one_factor_share_their_parts(n: int) -> None:
    x = sp.symbols(f"x:{n}", real=True)
    whole = [sp.Mul(*(b for b in x if b != a)) ** 2 * a + sp.Mul(*x) for a in x]
    names = (sp.Symbol(f"t{i}", real=True) for i in range(999))
    parts, results = share_products(whole, names)
    values: dict[sp.Expr, sp.Expr] = {}
    for symbol, value in parts:
        values[symbol] = value.xreplace(values).doit()
    assert [sp.expand(r.xreplace(values).doit() - e) for r, e in zip(results, whole, strict=True)] == [0] * n
    count = sum(len(m.args) - 1 for e in (*results, *(v for _, v in parts)) for m in e.atoms(sp.Mul))
    assert count < 4 * n * np.log2(n)


def test_short_products_are_left_alone() -> None:
    a, b, c = sp.symbols("a b c")
    expressions = [a * b * c + 2, a / b, sp.exp(a * b)]
    assert share_products(expressions, iter(())) == ([], expressions)


@pytest.mark.parametrize("noise", ["float64", "float32"])
@pytest.mark.parametrize("batch", [1, 40])
def test_an_odd_number_of_rows_with_noise_of_their_own(noise: str, batch: int) -> None:
    """Nine kicks a step, for two steps at once, in both grades; by examples and by sums, whose draws are odd too."""
    from plain_twin import assert_same_numbers, simulate_plainly

    from sgdtheory import landscape, simulate

    coordinates = [f"w{i}" for i in range(9)]
    noisy = landscape(" + ".join(f"{w}**2/2" for w in coordinates), coordinates, noise_std=1)
    given = {"steps": 5, "replicas": 20, "init": Normal(0, 1), "batch_size": batch, "rng": 3, "noise": noise}
    for shortcut in (False, True):
        optimizer = Langevin(lr=0.1, temperature=0.2)
        compiled = simulate(noisy, optimizer, shortcut=shortcut, threads=1, **given)  # type: ignore[arg-type]
        plain = simulate_plainly(noisy, optimizer, shortcut=shortcut, **given)
        assert compiled.attrs["diverged"] == 0
        assert_same_numbers(compiled, plain)
        spread = float(compiled.w.isel(step=-1).std())
        assert 0.1 < spread < 3
