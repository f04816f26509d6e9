"""Every bad argument of a problem or its data is refused before work starts: argument, value, what is allowed."""

from __future__ import annotations

import builtins
import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp

from sgdtheory import (
    ArgumentError,
    Dataset,
    Fresh,
    Normal,
    Problem,
    Quantile,
    Rademacher,
    StudentT,
    Uniform,
    landscape,
    quadratic,
)

w, y = sp.symbols("w y", real=True)
a = sp.Symbol("a", positive=True)
NAN, INF = float("nan"), float("inf")
COMMAND = "canary()"


class Disguised:
    """An object whose text is a command."""

    def __str__(self) -> str:
        return COMMAND

    __repr__ = __str__


def problem(**options: object) -> Problem:
    return Problem(**{"example_loss": a * w**2, "coordinates": ["w"], **options})  # type: ignore[arg-type]


Case = tuple[Callable[[], object], str, str]

LAWS: list[Case] = [
    (lambda: Normal(0, -1), "std", "-1"),
    (lambda: Normal(0, -a), "std", "-a"),
    (lambda: Normal(NAN), "mean", "nan"),
    (lambda: Normal(0, INF), "std", "oo"),
    (lambda: Normal(0, sp.I), "std", "I"),
    (lambda: Normal(0, "1"), "std", "'1'"),
    (lambda: Normal(None), "mean", "None"),
    (lambda: Normal(True), "mean", "True"),
    (lambda: Normal([0]), "mean", "[0]"),
    (lambda: Normal(0, sp.ImmutableMatrix([1])), "std", "Matrix"),
    (lambda: Normal(0, sp.besselj(0, a)), "std", "besselj(0, a)"),
    (lambda: Uniform(1, 0), "low, high", "(1, 0)"),
    (lambda: Uniform(0, NAN), "high", "nan"),
    (lambda: Uniform("0"), "low", "'0'"),
    (lambda: Normal().moment(-1), "order", "-1"),
    (lambda: Uniform().moment(1.5), "order", "1.5"),
    (lambda: Rademacher().moment("2"), "order", "2"),
    (lambda: StudentT(0), "dof", "0"),
    (lambda: StudentT(-1.5), "dof", "-1.5"),
    (lambda: StudentT(-a), "dof", "-a"),
    (lambda: StudentT(INF), "dof", "oo"),
    (lambda: StudentT(NAN), "dof", "nan"),
    (lambda: StudentT("3"), "dof", "'3'"),
    (lambda: StudentT(3, scale=-1), "scale", "-1"),
    (lambda: StudentT(3).moment(-1), "order", "-1"),
    (lambda: Quantile("u + v"), "function", "unknown symbol 'v'"),
    (lambda: Quantile(a * sp.Symbol("u")), "function", "unknown symbol 'a'"),
    (lambda: Quantile(sp.Lambda((a, w), a)), "function", "Lambda"),
    (lambda: Quantile(None), "function", "None"),
    (lambda: Quantile(""), "function", "''"),
    (lambda: Quantile("__import__('os')"), "function", "__import__"),
    (lambda: Quantile("sqrt(u - 1/2)"), "function", "nan at u"),
    (lambda: Quantile("(u - 1/2)**(1/3)"), "function", "nan at u"),
    (lambda: Quantile("sqrt(u - 1/1000)"), "function", "nan at u"),
    (lambda: Quantile("log(1 - 1000*u/999)"), "function", "nan at u"),
    (lambda: Quantile("exp(1000*(1 + u))"), "function", "inf at u"),
    (lambda: Quantile("1/(u - 63/128)"), "function", "nan at u"),
    (lambda: Fresh(x=1), "x", "1"),
    (lambda: Fresh(x=Normal), "x", "Normal"),
    (lambda: Fresh(x=Normal(), y=Normal(sp.Symbol("x"))), "y", "depends on ['x']"),
    (lambda: Fresh(x=Normal(0, sp.Symbol("x", positive=True))), "x", "depends on ['x']"),
    (lambda: Fresh(**{"x; import os": Normal()}), "data", "'x; import os'"),
    (lambda: Fresh(**{"__class__": Normal()}), "data", "'__class__'"),
]

DATA: list[Case] = [
    (lambda: Dataset(), "columns", "{}"),
    (lambda: Dataset(x=[]), "x", "shape (0,)"),
    (lambda: Dataset(x=5), "x", "shape ()"),
    (lambda: Dataset(x=None), "x", "shape ()"),
    (lambda: Dataset(x=[[1], [2]]), "x", "shape (2, 1)"),
    (lambda: Dataset(x=[1, 2], y=[1]), "y", "shape (1,)"),
    (lambda: Dataset(x=[1], y=[]), "y", "shape (0,)"),
    (lambda: Dataset(x=[1, NAN]), "x", "nan at sample 1"),
    (lambda: Dataset(x=[0, 1], y=[-INF, 0]), "y", "-inf at sample 0"),
    (lambda: Dataset(x=[None, 1]), "x", "nan at sample 0"),
    (lambda: Dataset(x="abc"), "x", "abc"),
    (lambda: Dataset(x=["1"]), "x", "['1']"),
    (lambda: Dataset(x=[1j]), "x", "[1j]"),
    (lambda: Dataset(x=np.array([1 + 0j])), "x", "1.+0.j"),
    (lambda: Dataset(x=[[1, 2], [3]]), "x", "[[1, 2], [3]]"),
    (lambda: Dataset(x={"a": 1}), "x", "{'a': 1}"),
    (lambda: Dataset(x=[10**400]), "x", "[1000"),
    (lambda: Dataset(x=[w]), "x", "[w]"),
    (lambda: Dataset(x=np.array(["2020-01-01"], dtype="datetime64[D]")), "x", "2020"),
    (lambda: Dataset(x=[1], sampling="bogus"), "sampling", "bogus"),
    (lambda: Dataset(x=[1], sampling=["reshuffle"]), "sampling", "['reshuffle']"),
    (lambda: Dataset(**{"x; import os": [1]}), "data", "'x; import os'"),
    (lambda: Dataset(**{"": [1]}), "data", "''"),
    (lambda: Dataset(__class__=[1]), "data", "'__class__'"),
]

COORDINATES: list[Case] = [
    (lambda: problem(coordinates=[]), "coordinates", "none"),
    (lambda: problem(coordinates=None), "coordinates", "None"),
    (lambda: problem(coordinates=5), "coordinates", "5"),
    (lambda: problem(coordinates="w"), "coordinates", "'w'"),
    (lambda: problem(coordinates=w), "coordinates", "w"),
    (lambda: problem(coordinates=["w", "w"]), "coordinates", "['w']"),
    (lambda: problem(coordinates=["w", sp.Symbol("w")]), "coordinates", "['w']"),
    (lambda: problem(coordinates=["w"], data=Fresh(w=Normal())), "coordinates", "['w']"),
    (lambda: problem(coordinates=["w"], data=Dataset(w=[1])), "coordinates", "['w']"),
    (lambda: problem(coordinates=[w + 1]), "coordinates", "w + 1"),
    (lambda: problem(coordinates=[1]), "coordinates", "1"),
    (lambda: problem(coordinates=[sp.Function("w")]), "coordinates", "w"),
    (lambda: problem(coordinates=[sp.MatrixSymbol("w", 1, 1)]), "coordinates", "w"),
    (lambda: problem(coordinates=[sp.IndexedBase("w")[0]]), "coordinates", "w[0]"),
    (lambda: problem(coordinates=["x; import os"]), "coordinates", "'x; import os'"),
    (lambda: problem(coordinates=["__class__"]), "coordinates", "'__class__'"),
    (lambda: problem(coordinates=[sp.Symbol("w.real")]), "coordinates", "'w.real'"),
    (lambda: problem(coordinates=["w\n"]), "coordinates", "'w\\n'"),
]

LOSSES: list[Case] = [
    (lambda: problem(example_loss=None), "example_loss", "None"),
    (lambda: problem(example_loss=True), "example_loss", "True"),
    (lambda: problem(example_loss=w < 1), "example_loss", "w < 1"),
    (lambda: problem(example_loss=sp.Matrix([w])), "example_loss", "Matrix"),
    (lambda: problem(example_loss=NAN), "example_loss", "nan"),
    (lambda: problem(example_loss=w / 0), "example_loss", "zoo"),
    (lambda: problem(example_loss=sp.I * w), "example_loss", "I"),
    (lambda: problem(example_loss=sp.besselj(0, w)), "example_loss", "besselj(0, w)"),
    (lambda: problem(example_loss=sp.Function("f")(w)), "example_loss", "f(w)"),
    (lambda: problem(example_loss=sp.Derivative(w**2, w)), "example_loss", "Derivative(w**2, w)"),
    (lambda: problem(example_loss=w ** (10**9)), "example_loss", "exponent 1000000000"),
    (lambda: problem(example_loss="w**(10**9)"), "example_loss", "exponent 1000000000"),
    (lambda: problem(example_loss="w + exp"), "example_loss", "exp without brackets"),
    (lambda: problem(example_loss="w + _z"), "example_loss", "'_z'"),
    (lambda: problem(example_loss="w + z.real"), "example_loss", "z.real"),
    (lambda: problem(example_loss="w + z(1)"), "example_loss", "z"),
    (lambda: problem(example_loss="w + z[0]"), "example_loss", "z[0]"),
    (lambda: problem(example_loss="__import__('os')"), "example_loss", "__import__"),
    (lambda: problem(example_loss=a * w + sp.Symbol("a") * w**2), "example_loss", "two symbols named a"),
    (lambda: problem(example_loss=w * sp.Symbol("_")), "example_loss", "'_'"),
    (lambda: problem(example_loss=w * sp.Symbol("A", commutative=False)), "example_loss", "symbol 'A'"),
    (lambda: problem(perturbation=w), "perturbation", "w"),
    (lambda: problem(perturbation="w"), "perturbation", "'w'"),
    (lambda: problem(perturbation=3), "perturbation", "3"),
    (lambda: problem(perturbation=[]), "perturbation", "0 expressions"),
    (lambda: problem(perturbation=[w]), "perturbation", "w, whose mean is w"),
    (lambda: problem(perturbation=["w*x"]), "perturbation", "w*x, whose mean is w*x"),
    (lambda: problem(perturbation=["w*x**2"], data=Fresh(x=Normal())), "perturbation", "whose mean is w"),
    (lambda: problem(perturbation=["exp(x)"], data=Fresh(x=Normal())), "perturbation", "exp(x)"),
    (lambda: problem(perturbation=["w*x"], data=Fresh(x=StudentT(1))), "perturbation", "w*x"),
    (lambda: problem(perturbation=["x"], data=Dataset(x=[1, 2])), "perturbation", "whose mean is 1.5"),
    (lambda: problem(perturbation=[sp.I * w]), "perturbation", "I"),
]

PROBLEMS: list[Case] = [
    (lambda: problem(data=Normal()), "data", "Normal("),
    (lambda: problem(data="x"), "data", "x"),
    (lambda: problem(data=Fresh(y=Normal(w, 1))), "data", "depend on ['w']"),
    (lambda: problem(data=Fresh(y=Normal(sp.Symbol("w"), 1))), "data", "depend on ['w']"),
    (lambda: problem(convention="½"), "convention", "½"),
    (lambda: problem(parameters={"b": 1}), "parameters", "['b']"),
    (lambda: problem(parameters={"w": 1}), "parameters", "['w']"),
    (lambda: problem(parameters=[1]), "parameters", "[1]"),
    (lambda: problem(parameters={1: 1}), "parameters", "{1: 1}"),
    (lambda: problem(parameters={"a": 1, a: 2}), "parameters", "['a', 'a']"),
    (lambda: problem(parameters={"a": NAN}), "a", "nan"),
    (lambda: problem(parameters={"a": -1}), "a", "-1"),
    (lambda: problem(parameters={"a": 0}), "a", "0"),
    (lambda: problem(parameters={"a": sp.I}), "a", "I"),
    (lambda: problem(parameters={"a": True}), "a", "True"),
    (lambda: problem(parameters={"a": None}), "a", "None"),
    (lambda: problem(parameters={"a": [1]}), "a", "[1]"),
    (lambda: problem(parameters={"a": "1"}), "a", "'1'"),
    (lambda: problem(parameters={"a": w}), "a", "w"),
    (lambda: problem(parameters={sp.Symbol("a"): -2}), "a", "-2"),
    (lambda: problem().bind(b=1), "b", "1"),
    (lambda: problem().bind(a=-1), "a", "-1"),
    (lambda: problem().batch_noise(0), "batch_size", "0"),
]

LANDSCAPES: list[Case] = [
    (lambda: landscape("w**2", ["w"], noise_std=-1), "noise_std", "-1"),
    (lambda: landscape("w**2", ["w"], noise_std=NAN), "noise_std", "nan"),
    (lambda: landscape("w**2", ["w"], noise_std=w), "noise_std", "w"),
    (lambda: landscape("w**2", ["w"], noise_std=sp.Symbol("w", positive=True)), "noise_std", "w"),
    (lambda: landscape("w**2", ["w"], 1, sp.eye(1)), "noise_std, covariance", "(1, Matrix([[1]]))"),
    (lambda: landscape("w**2", ["w"], covariance=sp.eye(2)), "covariance", "shape (2, 2)"),
    (lambda: landscape("w + u", ["w", "u"], covariance=[[1 + w**2, w], [w, 1]]), "covariance", "w**2 + 1"),
    (lambda: landscape("w + u", ["w", "u"], covariance=[[1, w], [0, 1]]), "covariance", "[1, w]"),
    (lambda: landscape("w**2", ["w"], covariance=[[-(w**2) - 1]]), "covariance", "-w**2 - 1"),
    (lambda: landscape("w**2", ["w"], 1, noise_root=[[w]]), "noise_std, noise_root", "(1, [[w]])"),
    (lambda: landscape("w**2", ["w"], noise_root=[[w, 1]]), "noise_root", "[[w, 1]]"),
    (lambda: landscape("w**2", ["w"], noise_root=[["w"]]), "noise_root", "'w'"),
    (lambda: landscape("w**2", ["w"], noise_root=[[sp.Symbol("xi_w")]]), "noise", "xi_w"),
    (lambda: landscape("w**2", ["w"], covariance=[[-1]]), "covariance", "-1"),
    (lambda: landscape("w**2", ["w"], covariance=[[NAN]]), "covariance", "nan"),
    (lambda: landscape("w**2", ["w"], covariance="1"), "covariance", "'1'"),
    (lambda: landscape("w**2", ["w"], covariance=[["1"]]), "covariance", "'1'"),
    (lambda: landscape("w**2", ["w"], covariance=[]), "covariance", "[]"),
    (lambda: landscape("w**2", ["w"], covariance=[[1, 0]]), "covariance", "[[1, 0]]"),
    (lambda: landscape("w + u", ["w", "u"], covariance=[[1, 0], [1, 1]]), "covariance", "[1, 0]"),
    (lambda: landscape("w + u", ["w", "u"], covariance=[[1, 2], [2, 1]]), "covariance", "[1, 2]"),
    (lambda: landscape("w + u", ["w", "u"], covariance=[[0, 1], [1, 0]]), "covariance", "[0, 1]"),
    (lambda: landscape("w + u", ["w", "u"], covariance=3), "covariance", "3"),
    (lambda: landscape("w", ["w"], covariance=[[w]]), "covariance", "w, negative at w = -3"),
    (lambda: landscape("w", ["w"], covariance=[[-(w**2)]]), "covariance", "negative at w = -3"),
    (lambda: landscape("w", ["w"], covariance=[[w**2 - sp.Rational(1, 8)]]), "covariance", "negative at w = 0"),
    (lambda: landscape("w + u", ["w", "u"], covariance=[[1, 0], [0, 1 + 2 * w]]), "covariance", "w = -3, u = -3"),
    (lambda: landscape("w + u", ["w", "u"], covariance=[[1, w], [w, 1]]), "covariance", "Matrix"),
    (lambda: landscape(w * sp.Symbol("xi_w"), ["w"], 1), "loss", "xi_w"),
    (lambda: landscape("w**2 + erf", ["w"]), "loss", "erf without brackets"),
    (lambda: landscape("w**2 + xi_w", ["w"], 1), "loss", "xi_w"),
    (lambda: landscape(None, ["w"]), "loss", "None"),
]

CASES = {
    f"{kind}-{number}": case
    for kind, cases in {
        "laws": LAWS,
        "data": DATA,
        "coordinates": COORDINATES,
        "loss": LOSSES,
        "problem": PROBLEMS,
        "landscape": LANDSCAPES,
    }.items()
    for number, case in enumerate(cases)
}


@pytest.mark.parametrize("case", CASES)
def test_the_message_names_argument_value_and_what_is_allowed(case: str) -> None:
    call, argument, value = CASES[case]
    with pytest.raises(ArgumentError) as caught:
        call()
    got, allowed = str(caught.value).split("; allowed: ")
    assert got.startswith(f"{argument}: got ")
    assert value in got.removeprefix(f"{argument}: got ")
    assert len(allowed.split(". Fix: ")[0]) > 3


@pytest.mark.parametrize("value", [COMMAND, Disguised()], ids=["text", "object"])
@pytest.mark.parametrize(
    "use",
    [
        lambda v: landscape("w**2", ["w"], noise_std=v),
        lambda v: landscape("w**2", ["w"], covariance=v),
        lambda v: landscape("w**2", ["w"], covariance=[[v]]),
        lambda v: landscape(v, ["w"]),
        lambda v: landscape("w", [v]),
        lambda v: quadratic(v),
        lambda v: quadratic(1, v),
        lambda v: quadratic(np.array([[v]])),
        lambda v: problem(parameters={"a": v}),
        lambda v: problem(parameters={v: 1}),
        lambda v: problem(example_loss=v),
        lambda v: problem(coordinates=[v]),
        lambda v: problem().bind(a=v),
        lambda v: problem().batch_noise(v),
        lambda v: Normal(v),
        lambda v: Dataset(x=[v]),
        lambda v: StudentT(v),
        lambda v: Quantile(v),
        lambda v: landscape("w**2", ["w"], noise_root=[[v]]),
        lambda v: problem(perturbation=[v]),
    ],
)
def test_no_argument_is_evaluated(use: Callable[[object], object], value: object) -> None:
    sung: list[str] = []
    builtins.canary = lambda: sung.append("reached") or 1  # type: ignore[attr-defined]
    try:
        with pytest.raises(ArgumentError):
            use(value)
    finally:
        del builtins.canary  # type: ignore[attr-defined]
    assert sung == []


def test_an_error_survives_the_way_between_processes() -> None:
    error = ArgumentError("lr", -0.1, "a number > 0", "drop the minus sign")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(twin), str(twin)) == (
            ArgumentError,
            "lr: got -0.1; allowed: a number > 0. Fix: drop the minus sign.",
        )
    assert isinstance(error, ValueError)
    assert str(ArgumentError("lr", "x", "y")) == "lr: got x; allowed: y."
    assert str(pickle.loads(pickle.dumps(ArgumentError("f", lambda: 1, "y")))).startswith("f: got <function")


def test_long_values_are_cut() -> None:
    message = str(ArgumentError("x", list(range(1000)), "less"))
    assert "[0, 1, 2" in message
    assert "...; allowed: less." in message
    assert len(message) < 150
