"""Lowering: canonical names by role, shared work, whole powers as products, and what is refused."""

from __future__ import annotations

import re

import pytest
import sympy as sp

from sgdtheory import ArgumentError, Dataset, Fresh, Normal, Problem, Rademacher, Uniform, landscape
from sgdtheory.dynamics import Dynamics, make_dynamics
from sgdtheory.kernels.lower import Block, Program, Recording, lower, start_values
from sgdtheory.optimizers import SGD, Momentum, Nesterov

a, b = sp.symbols("a b", real=True)
CANONICAL = re.compile(r"[sxgpqnut]\d+")


def gradient_block(*expressions: sp.Expr) -> Block:
    coordinates = sp.symbols(f"w:{len(expressions)}", real=True)
    sums = sp.symbols(f"k:{len(expressions)}", real=True)
    named = dict(zip((a, b), coordinates, strict=False))
    gradient = tuple(sp.sympify(e).xreplace(named) for e in expressions)
    return lower(Dynamics(coordinates, (), coordinates, gradient, Fresh(), sums, sums, ()), None).example_terms


def written_out(block: Block) -> list[sp.Expr]:
    """The results with every assignment put back."""
    values: dict[sp.Symbol, sp.Expr] = {}
    for symbol, expression in block.assignments:
        values[symbol] = expression.xreplace(values).doit()
    return [result.xreplace(values).doit() for result in block.results]


def blocks(program: Program) -> list[Block]:
    draws = [d.block for d in (program.start, program.data) if d]
    return [*draws, program.gradient_at, program.example_terms, program.step]


def regression(names: str, parameter: str) -> Problem:
    u, v = sp.symbols(names, real=True)
    x, y, scale = sp.symbols(f"x y {parameter}", real=True)
    data = Fresh(x=Normal(0, scale), y=Rademacher())
    return Problem(((u + v) ** 3 * x - y) ** 2 * sp.exp(-v), [u, v], data, {parameter: 2})


def test_only_canonical_names_are_left() -> None:
    program = lower(make_dynamics(regression("u v", "rho"), Nesterov()), (Normal(0, 1), 3), Recording(memory=True))
    for block in blocks(program):
        for expression in (*block.results, *(e for _, e in block.assignments)):
            assert all(CANONICAL.fullmatch(s.name) for s in expression.free_symbols)


def test_every_temporary_is_assigned_once_before_it_is_read() -> None:
    program = lower(make_dynamics(regression("u v", "rho"), Nesterov()), (Normal(0, 1), 3))
    for block in blocks(program):
        known: set[str] = set()
        for symbol, expression in block.assignments:
            read = {s.name for s in expression.free_symbols if s.name.startswith("t")}
            assert read <= known
            assert symbol.name not in known
            known.add(symbol.name)
        for result in block.results:
            assert {s.name for s in result.free_symbols if s.name.startswith("t")} <= known


def test_structure_alone_decides() -> None:
    start = (Uniform(-1, 1), Normal(0, 2))
    one = lower(make_dynamics(regression("u v", "rho"), Momentum(lr=0.1, momentum=0.9)), start)
    other = lower(make_dynamics(regression("alpha zeta", "n0"), Momentum(lr=0.3, momentum=0.1)), start)
    assert one == other


@pytest.mark.parametrize("name", ["n0", "u0", "x0", "s0", "t0", "p0", "q0"])
def test_a_parameter_named_like_a_draw_is_not_one(name: str) -> None:
    parameter = sp.Symbol(name, real=True)
    data = Fresh(y=Normal(1, parameter), z=Uniform(0, parameter))
    y, z = data.symbols
    dynamics = make_dynamics(Problem((a - y * z) ** 2, [a], data, {parameter: 2}), SGD(lr=0.1))
    program = lower(dynamics, None)
    assert program.data is not None
    n0, u0, p1 = (sp.Symbol(s, real=True) for s in ("n0", "u0", "p1"))
    assert written_out(program.data.block) == [1 + n0 * p1, p1 * u0]


def test_sizes() -> None:
    program = lower(make_dynamics(regression("u v", "rho"), Momentum()), (Normal(0, 1), 3), Recording(memory=True))
    assert program.sizes == (2, 4, 2, 3, 3)
    assert len(program.recorded.results) == 4
    assert len(lower(make_dynamics(regression("u v", "rho"), Momentum()), None).recorded.results) == 2


def test_draws_are_counted_by_kind() -> None:
    data = Fresh(x=Normal(), y=Uniform(), z=Rademacher(), t=Normal())
    loss = a * sum(data.symbols)
    program = lower(make_dynamics(Problem(loss, [a], data), SGD()), (Uniform(),))
    assert program.data is not None
    assert program.start is not None
    assert (program.data.normals, program.data.uniforms) == (2, 2)
    assert (program.start.normals, program.start.uniforms) == (0, 1)


def test_a_data_set_has_no_draws() -> None:
    for sampling in ("with replacement", "reshuffle", "one epoch", "full batch"):
        data = Dataset(sampling=sampling, x=[1, 2])
        program = lower(make_dynamics(Problem(a * data.symbols[0], [a], data), SGD()), None)
        assert program.data is None
        assert program.sampling == sampling


@pytest.mark.parametrize("power", [*range(2, 18), 31, 64, 100])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_whole_power_is_products_of_shared_squares(power: int, sign: int) -> None:
    block = gradient_block(a ** (sign * power))
    products = [e for _, e in block.assignments]
    assert all(isinstance(e, sp.Mul) and len(e.args) == 2 for e in products)
    assert len(products) <= 2 * power.bit_length() - 2
    assert written_out(block) == [sp.Symbol("s0", real=True) ** (sign * power)]


def test_powers_of_one_base_share_their_squares() -> None:
    block = gradient_block(a**4 + a**2, a**8 - a)
    assert len(block.assignments) == 3
    s0 = sp.Symbol("s0", real=True)
    assert written_out(block) == [s0**4 + s0**2, s0**8 - s0]


@pytest.mark.parametrize(
    "expressions",
    [
        (a**2 * sp.exp(-(a**2)), sp.exp(-(a**2)) ** 3),
        ((a + b) ** 5 / (a - b) ** 3, (a + b) ** 2),
        (sp.Piecewise((a**3, a > b**2), (b**2 + sp.Max(a, b) ** 2, True)), sp.sqrt(a**2 + b**2) ** 3),
        (sp.Piecewise((a, a > b), (b, True)), sp.Piecewise((a, a > b), (b**2, True))),
        (sp.Piecewise((1, (a > 0) & (b > 0)), (2, True)), sp.Piecewise((3, (a > 0) & (b > 0)), (4, True))),
        (sp.Abs(a**3), sp.sign(a - b) * (a - b) ** 2),
        (a ** sp.Rational(-7, 2), a**b / a**2),
        (sp.S.Zero, sp.Rational(1, 3)),
        (a, b),
    ],
)
def test_lowering_keeps_the_meaning(expressions: tuple[sp.Expr, ...]) -> None:
    """Put back together the block is the expression, at points on every side of every branch."""
    block = gradient_block(*expressions)
    s0, s1 = (sp.Symbol(s, real=True) for s in ("s0", "s1"))
    for point in ((0.3, 0.2), (0.3, 1.7), (1.9, -0.4), (-1.2, 0.8), (-0.6, -2.5)):
        values = {s0: sp.Rational(point[0]), s1: sp.Rational(point[1])}
        for result, expression in zip(written_out(block), expressions, strict=True):
            got = complex(result.xreplace(values).evalf())
            assert got == pytest.approx(complex(expression.xreplace({a: values[s0], b: values[s1]}).evalf()), rel=1e-12)


def test_the_numbers_of_a_start_in_order() -> None:
    assert start_values((Uniform(-1, 2), 5, Normal(3, 4), Rademacher())) == (-1, 2, 5, 3, 4)


def test_a_start_keeps_only_its_structure() -> None:
    dynamics = make_dynamics(landscape("w**2", ["w"]), SGD())
    assert lower(dynamics, (Uniform(-1, 2),)) == lower(dynamics, (Uniform(0, 9),))
    assert lower(dynamics, (Uniform(-1, 2),)) != lower(dynamics, (Normal(-1, 2),))


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (sp.besselj(0, a), r"example_loss: got besselj\(0, a\)"),
        (sp.Derivative(sp.Function("f")(a), a), r"example_loss: got (Derivative|f)"),
        (sp.Heaviside(a), r"example_loss: got Heaviside\(a\)"),
        (a + sp.Symbol("stray", real=True), r"example_loss: got unknown symbol 'stray'"),
        (a + sp.oo, r"example_loss"),
        (a * sp.I, r"example_loss"),
    ],
)
def test_what_cannot_be_printed_is_refused_by_name(gradient: sp.Expr, message: str) -> None:
    sums = (sp.Symbol("k", real=True),)
    dynamics = Dynamics((a,), (), (a,), (gradient,), Fresh(), sums, (a - sums[0],), ())
    with pytest.raises(ArgumentError, match=message):
        lower(dynamics, None)


def test_a_symbol_of_a_law_that_is_no_parameter_is_refused() -> None:
    data = Fresh(y=Normal(0, sp.Symbol("rho", positive=True)))
    sums = (sp.Symbol("k", real=True),)
    dynamics = Dynamics((a,), (), (a,), (a - data.symbols[0],), data, sums, (a - sums[0],), ())
    with pytest.raises(ArgumentError, match=r"data: got .*rho"):
        lower(dynamics, None)
