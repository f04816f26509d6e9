"""Sufficient statistics: exact moments of what is drawn against those of a batch, and no draw too many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations_with_replacement, permutations

import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgdtheory import SGD, Fresh, Normal, Problem, Rademacher, Uniform, landscape, make_dynamics, scalar_mean, sticky_1d
from sgdtheory.derive.sufficient import BatchMeans, batch_means
from sgdtheory.laws import Dataset, Law
from sgdtheory.symbols import batch_size

DIMENSIONS = pytest.mark.parametrize("d", [1, 2, 3])
x, y, z, u = sp.symbols("x y z u", real=True)
σ = sp.Symbol("sigma", positive=True)
B = batch_size


def showing(monomials: list[sp.Expr], data: Fresh) -> BatchMeans:
    """The law of the means of these monomials: of the gradient of Σ wᵢ mᵢ."""
    w = sp.symbols(f"w:{len(monomials)}", real=True)
    means = batch_means(
        make_dynamics(Problem(sp.Add(*(a * m for a, m in zip(w, monomials, strict=True))), w, data), SGD())
    )
    assert means is not None
    return means


def drawn(means: BatchMeans) -> list[sp.Expr]:
    """The gradient as a function of the draws."""
    return [g.xreplace(dict(zip(means.symbols, means.values, strict=True))) for g in means.gradient]


def all_monomials(d: int, *, pure: bool = False) -> list[sp.Expr]:
    symbols = (x, y, z)[:d]
    return [a * b for a, b in combinations_with_replacement(symbols if pure else (sp.S.One, *symbols), 2)][not pure :]


def moment(expression: sp.Expr, means: BatchMeans) -> sp.Expr:
    """E of a function of the draws: E n²ᵏ = (2k − 1)!!, E cᵏ = ν(ν + 2)…(ν + 2k − 2), odd powers of n vanish."""
    roots = {k: sp.Dummy(nonnegative=True) ** 2 for k, _ in means.chi_squares}
    dof = [B - fewer for _, fewer in means.chi_squares]
    draws = [*means.normals, *(sp.sqrt(square) for square in roots.values())]
    terms = sp.Poly(expression.xreplace(roots), *draws).terms() if draws else [((), expression)]
    total = []
    for powers, coefficient in terms:
        of_normals, of_roots = powers[: len(means.normals)], powers[len(means.normals) :]
        if any(p % 2 for p in of_normals):
            continue
        assert not any(p % 2 for p in of_roots)
        factors = [sp.factorial2(p - 1) for p in of_normals]
        factors += [sp.Mul(*(ν + 2 * j for j in range(p // 2))) for ν, p in zip(dof, of_roots, strict=True)]
        total.append(sp.Mul(coefficient, *factors))
    return sp.expand(sp.Add(*total))


def moment_gaps(
    monomials: list[sp.Expr], data: Fresh, order: int, change: Callable[[BatchMeans], BatchMeans] = lambda means: means
) -> Iterator[sp.Expr]:
    """Joint central moments of the means, less those of a batch: the example's over B, B, B² for order 1, 2, 3."""
    means = change(showing(monomials, data))
    values = drawn(means)
    centres = [data.mean(m) for m in monomials]
    if order == 1:
        yield from (sp.expand(moment(v, means) - c) for v, c in zip(values, centres, strict=True))
        return
    offsets = [sp.expand(v - c) for v, c in zip(values, centres, strict=True)]
    for chosen in combinations_with_replacement(range(len(monomials)), order):
        of_means = moment(sp.expand(sp.Mul(*(offsets[i] for i in chosen))), means)
        of_example = data.mean(sp.expand(sp.Mul(*(monomials[i] - centres[i] for i in chosen))))
        yield sp.expand(of_means - of_example / B ** (order - 1))


def normal_data(d: int, *, centred: bool = False) -> Fresh:
    """Symbolic means and standard deviations, one for each symbol."""
    names = "xyz"[:d]
    return Fresh(**{n: Normal(0 if centred else sp.Symbol(f"a_{n}"), sp.Symbol(f"s_{n}")) for n in names})


@DIMENSIONS
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("order", [1, 2])
def test_means_and_covariances_of_all_monomials_are_those_of_a_batch_of_any_size(
    d: int, centred: bool, order: int
) -> None:
    gaps = moment_gaps(all_monomials(d, pure=centred), normal_data(d, centred=centred), order)
    assert all(gap == 0 for gap in gaps)


@pytest.mark.parametrize(
    ("d", "pure", "means"),
    [(1, False, (2,)), (2, False, (0, sp.Rational(-1, 2))), (2, True, (0, 0)), (3, True, (0, 0, 0))],
)
def test_third_joint_moments_of_all_monomials_are_those_of_a_batch_of_any_size(
    d: int, pure: bool, means: tuple[sp.Expr, ...]
) -> None:
    data = Fresh(**{n: Normal(a, 1 + i) for i, (n, a) in enumerate(zip("xyz", means, strict=False))})
    assert all(gap == 0 for gap in moment_gaps(all_monomials(d, pure=pure), data, 3))


def one_degree_less(means: BatchMeans) -> BatchMeans:
    return replace(means, chi_squares=tuple((k, fewer + 1) for k, fewer in means.chi_squares))


def same_degrees(means: BatchMeans) -> BatchMeans:
    """Forget that each direction costs a degree of freedom."""
    return replace(means, chi_squares=tuple((k, means.chi_squares[0][1]) for k, _ in means.chi_squares))


def without_cross(means: BatchMeans) -> BatchMeans:
    """Forget that vectors are not orthogonal."""
    return replace(means, values=tuple(v.xreplace({means.normals[0]: sp.S.Zero}) for v in means.values))


@pytest.mark.parametrize("wrong", [one_degree_less, same_degrees, without_cross])
@pytest.mark.parametrize("centred", [False, True])
def test_moments_of_a_wrong_law_differ(wrong: Callable[[BatchMeans], BatchMeans], centred: bool) -> None:
    data = normal_data(2, centred=centred)
    gaps = [gap for order in (1, 2) for gap in moment_gaps(all_monomials(2, pure=centred), data, order, wrong)]
    assert any(gap != 0 for gap in gaps)


@pytest.mark.parametrize(
    ("monomials", "laws"),
    [
        ([x**2, x * y, x * z], {}),
        ([x**2, x * y, x * z], {"x": 1}),
        ([x * y, y * z], {}),
        ([x * y, y * z, z], {"y": -1}),
        ([x * y, y * z, z * u, u * x], {}),
        ([x * y, y * z, z * u], {"x": 1, "u": 2}),
        ([x**2, y**2, z**2, x * y, u * z], {}),
        ([x, y * z], {}),
        ([x, x**2, y], {"x": 3}),
    ],
)
def test_partners_without_numbers_of_their_own_have_the_covariances_of_a_batch(
    monomials: list[sp.Expr], laws: dict[str, int]
) -> None:
    data = Fresh(**{n: Normal(laws.get(n, 0), 1 + i) for i, n in enumerate("xyzu")})
    assert all(gap == 0 for order in (1, 2) for gap in moment_gaps(monomials, data, order))


@pytest.mark.parametrize(
    ("monomials", "count"),
    [([x**2, x * y], (1, [])), ([x * y, y**2], (1, [1])), ([x * y, x * z, y * z, z**2], (3, [1]))],
)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_fair_sign_stands_for_the_constant(
    monomials: list[sp.Expr], count: tuple[int, list[int]], order: int
) -> None:
    data = Fresh(x=Rademacher(), y=Normal(0, 2), z=Normal(0, σ))
    assert all(gap == 0 for gap in moment_gaps(monomials, data, order))
    assert counts(showing(monomials, data)) == count


def counts(means: BatchMeans | None) -> tuple[int, list[int]]:
    assert means is not None
    return len(means.normals), [fewer for _, fewer in means.chi_squares]


def of(problem: Problem) -> BatchMeans | None:
    return batch_means(make_dynamics(problem, SGD()))


def regression(d: int, mean: int = 0, **laws: Law) -> Problem:
    w, inputs = sp.symbols(f"w1:{d + 1}", real=True), sp.symbols(f"x1:{d + 1}", real=True)
    given = {s.name: Normal(mean, 1 + i) for i, s in enumerate(inputs)} | {"y": Normal(0, σ)} | laws
    return Problem((sp.Add(*(a * b for a, b in zip(w, inputs, strict=True))) - y) ** 2 / 2, w, Fresh(**given))


@pytest.mark.parametrize(
    ("problem", "normals", "chi_squares"),
    [
        (scalar_mean(), 1, []),
        (landscape("w**2/2 + v**4", ["w", "v"], noise_std=1), 2, []),
        (sticky_1d(), 1, [0]),
        (sticky_1d(noise_std=0), 0, [0]),
        (sticky_1d(x=Normal(1, 2)), 3, [1]),
        (regression(1), 1, [0]),
        (regression(2), 3, [0, 1]),
        (regression(5), 15, [0, 1, 2, 3, 4]),
        (regression(2, mean=1), 6, [1, 2]),
        (regression(2, y=Normal(1, 1)), 6, [1, 2]),
        (Problem("(w1*w2*w3*x - y)**2/2", ["w1", "w2", "w3"], Fresh(x=Normal(), y=Normal())), 1, [0]),
        (Problem("w1*x*y + w2*y*z + w3*y*u", ["w1", "w2", "w3"], Fresh(
            x=Normal(), y=Normal(), z=Normal(), u=Normal())), 3, [0]),
        (Problem("w1*x + w2*y*z", ["w1", "w2"], Fresh(x=Normal(1, 1), y=Normal(), z=Normal())), 2, [0]),
    ],
    ids=[
        "mean", "noise", "sticky", "no label noise", "feature with a mean", "regression 1", "2", "5", "with means",
        "with a label's mean", "deep", "star", "two groups",
    ],
)  # fmt: skip
def test_no_more_is_drawn_than_needed(problem: Problem, normals: int, chi_squares: list[int]) -> None:
    assert counts(of(problem)) == (normals, chi_squares)


def naive_cost(pairs: set[tuple[int, int]], order: tuple[int, ...]) -> int:
    """Draws in this order: a symbol that meets itself or a later one takes all of its row, others up to the last."""
    place = {i: p for p, i in enumerate(order)}
    total = 0
    for i in order:
        met = [place[b if a == i else a] for a, b in pairs if i in (a, b)]
        total += place[i] + 3 if max(met) >= place[i] else max(met) + 1
    return total


@settings(max_examples=40)
@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda p: (min(p), max(p))), min_size=1, max_size=9))
@example({(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)})
@example({(0, 1), (0, 2), (0, 3), (3, 4)})
@example({(0, 0), (1, 1), (0, 2), (1, 2), (1, 3)})
def test_no_order_takes_fewer_draws(pairs: set[tuple[int, int]]) -> None:
    """Against all orders of all symbols, group by group."""
    symbols = sp.symbols("x:5", real=True)
    data = Fresh(**{s.name: Normal() for s in symbols})
    groups: list[set[int]] = []
    for pair in pairs:
        joined = [g for g in groups if g & set(pair)]
        groups = [g for g in groups if g not in joined] + [set(pair).union(*joined)]
    fewest = sum(
        min(naive_cost({p for p in pairs if p[0] in group}, order) for order in permutations(group)) for group in groups
    )
    assert showing([symbols[a] * symbols[b] for a, b in sorted(pairs)], data).cost == fewest


def test_many_symbols() -> None:
    means = of(regression(14))
    assert counts(means) == (14 * 15 // 2, list(range(14)))


def test_what_the_draws_cost_and_the_batch_they_take() -> None:
    means = of(regression(3))
    assert means is not None
    assert (means.cost, means.least_batch) == (6 + 3 * 3, 4)
    mean = of(scalar_mean())
    assert mean is not None
    assert (mean.cost, mean.least_batch) == (1, 1)


def test_a_symbol_that_no_gradient_meets_may_have_any_law() -> None:
    problem = Problem("(w - y)**2/2 + z**3", ["w"], Fresh(y=Normal(), z=Uniform()))
    assert counts(of(problem)) == (1, [])


def test_the_batch_gradient_is_written_in_means_that_no_user_can_name() -> None:
    problem = Problem("(m0 - y)**2/2", ["m0"], Fresh(y=Normal(sp.Symbol("n0"), 1)))
    means = of(problem)
    assert means is not None
    taken = {s.name for s in (*means.symbols, *means.normals)}
    assert taken == {"m[y]", "n[0]"}
    assert drawn(means)[0].subs(means.normals[0], 0).expand() == problem.gradient[0].expand()


@pytest.mark.parametrize(
    "problem",
    [
        landscape("w**2/2", ["w"]),
        Problem("w*x + y", ["w"], Fresh(x=Normal(3, 0), y=Normal())),
        Problem("w*x**3", ["w"], Fresh(x=Normal())),
        Problem("w*x**2*y", ["w"], Fresh(x=Normal(), y=Normal())),
        Problem("w*x*y", ["w"], Fresh(x=Normal(), y=Uniform())),
        Problem("w*x**2", ["w"], Fresh(x=Rademacher())),
        Problem("w*x", ["w"], Fresh(x=Rademacher())),
        Problem("w*x*y", ["w"], Fresh(x=Rademacher(), y=Normal(1, 1))),
        Problem("w*x*y + v*y", ["w", "v"], Fresh(x=Rademacher(), y=Normal())),
        Problem("w*x*y*z", ["w"], Fresh(x=Rademacher(), y=Normal(), z=Normal())),
        Problem("w*x*y", ["w"], Fresh(x=Rademacher(), y=Rademacher())),
        Problem("log(1 + exp(-w*x))", ["w"], Fresh(x=Normal())),
        Problem("(w - y)**2/2", ["w"], Dataset(y=[1, 2])),
        Problem("(w - y)**2/2", ["w"], Fresh(y=Normal(0, B))),
    ],
    ids=[
        "no data",
        "no chance",
        "cube",
        "degree three",
        "another law",
        "a sign squared",
        "a sign",
        "a sign and a mean",
        "a sign and a sum",
        "a sign and two",
        "two signs",
        "no polynomial",
        "data set",
        "a parameter named B",
    ],
)
def test_other_sums_are_not_known(problem: Problem) -> None:
    assert of(problem) is None
