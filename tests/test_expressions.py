"""The whitelist and the parser: what is read is right, what is refused is refused politely, nothing is executed."""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgdtheory import ArgumentError, parse
from sgdtheory.expressions import FUNCTIONS, as_scalar, check_expression, check_name
from sgdtheory.testing import polynomials

w, u = sp.symbols("w u", real=True)
Reading = tuple[str, Fraction]

whole = st.integers(0, 9).map(lambda n: (str(n), Fraction(n)))
decimal = st.integers(0, 99).map(lambda n: (f"{n / 4}", Fraction(n, 4)))  # quarters are exact in binary


def combine(parts: st.SearchStrategy[Reading]) -> st.SearchStrategy[Reading]:
    """Longer text together with the number it means."""
    pairs = st.tuples(parts, parts)
    return st.one_of(
        pairs.map(lambda p: (f"({p[0][0]} + {p[1][0]})", p[0][1] + p[1][1])),
        pairs.map(lambda p: (f"({p[0][0]}-({p[1][0]}))", p[0][1] - p[1][1])),
        pairs.map(lambda p: (f"({p[0][0]})*({p[1][0]})", p[0][1] * p[1][1])),
        pairs.map(lambda p: (f"({p[0][0]})/({p[1][0]})", p[0][1] / p[1][1]) if p[1][1] else p[0]),
        parts.map(lambda p: (f"-({p[0]})", -p[1])),
        parts.map(lambda p: (f"+({p[0]})", p[1])),
        parts.map(lambda p: (f"({p[0]})**2", p[1] ** 2)),
        parts.map(lambda p: (f"abs({p[0]})", abs(p[1]))),
    )


@given(st.recursive(whole | decimal, combine, max_leaves=8))
@example(("-(2)**2", Fraction(-4)))  # the minus binds less tightly
@example(("2**3**2", Fraction(512)))  # powers from the right
@example(("8/4/2", Fraction(1)))
@example(("1 - 2 - 3", Fraction(-4)))
def test_arithmetic_means_what_it_means_in_python(reading: Reading) -> None:
    text, meaning = reading
    assert float(parse(text, [])) == pytest.approx(float(meaning), rel=1e-13, abs=1e-13)


@given(polynomials([w, u], degree=4))
def test_printing_and_reading_are_inverse(polynomial: sp.Expr) -> None:
    assert parse(str(polynomial), [w, "u"]) == polynomial


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"min", "max"}))
def test_functions_are_the_ones_of_the_math_module(name: str) -> None:
    ours = parse(f"{name}(w/4)", ["w"])
    theirs = {"abs": abs, "sign": lambda t: math.copysign(1, t)}.get(name) or getattr(math, name)
    assert float(ours.subs(w, 3)) == pytest.approx(theirs(0.75), rel=1e-14)


def test_extrema_take_several_values() -> None:
    assert parse("min(w, u, 1) + max(w)", ["w", "u"]) == sp.Min(w, u, 1) + w


def test_names() -> None:
    positive = sp.Symbol("a", positive=True)
    assert parse("a*w", [positive, "w"]) == positive * w
    assert parse("µ", [sp.Symbol("µ", real=True)]) == sp.Symbol("µ", real=True)  # Python reads the sign as the letter
    assert parse("pi*w", ["w"]) == sp.pi * w
    assert parse("pi*w", ["w", "pi"]) == sp.Symbol("pi", real=True) * w
    assert [check_name(name, "n") for name in ("w", "w_1", "β", "lambda")] == ["w", "w_1", "β", "lambda"]


REFUSED = {
    "call of a builtin": ("__import__('os').system('canary')", "__import__"),
    "call of a name": ("canary()", "canary"),
    "builtin as a value": ("__builtins__", "__builtins__"),
    "attribute": ("w.__class__", "w.__class__"),
    "method": ("w.subs(w, 1)", "w.subs(w, 1)"),
    "attribute of a number": ("(1).real", "real"),
    "dunder": ("__class__", "__class__"),
    "lambda": ("lambda: 1", "lambda"),
    "keyword": ("lambda", "lambda"),
    "f-string": ("f'{w}'", "f'{w}'"),
    "string": ("'w'", "'w'"),
    "bytes": ("b'w'", "b'w'"),
    "walrus": ("(w := 1)", "(w := 1)"),
    "statement": ("x; import os", "x; import os"),
    "assignment": ("w = 1", "w = 1"),
    "index": ("w[0]", "w[0]"),
    "list": ("[w]", "[w]"),
    "tuple": ("w, w", "(w, w)"),
    "dict": ("{w: w}", "{w: w}"),
    "comprehension": ("[w for w in w]", "for w in w"),
    "star": ("min(*w)", "*w"),
    "keyword argument": ("exp(w, evaluate=False)", "evaluate=False"),
    "conditional": ("w if w else 1", "w if w else 1"),
    "comparison": ("w < 1", "w < 1"),
    "boolean": ("True", "True"),
    "none": ("None", "None"),
    "ellipsis": ("...", "Ellipsis"),
    "and": ("w and w", "w and w"),
    "not": ("not w", "not w"),
    "await": ("await w", "await w"),
    "caret": ("w^2", "^"),
    "modulo": ("w % 2", "w % 2"),
    "floor division": ("w // 2", "w // 2"),
    "matrix product": ("w @ w", "w @ w"),
    "complement": ("~w", "~w"),
    "unknown symbol": ("w + z", "unknown symbol 'z'"),
    "undefined function": ("f(w)", "f"),
    "unsupported function": ("besselj(0, w)", "besselj"),
    "function as a value": ("exp", "exp"),
    "symbol as a function": ("w(1)", "w"),
    "too few values": ("sin()", "0 values in sin"),
    "too many values": ("sqrt(w, 2)", "2 values in sqrt"),
    "no value at all": ("min()", "0 values in min"),
    "empty": ("", "''"),
    "blank": (" \n ", "' \\n '"),
    "comment": ("# w", "# w"),
    "null": ("w\x00", "\\x00"),
    "surrogate": ("\ud800", "\\ud800"),
    "unclosed": ("(w", "(w"),
    "deep brackets": ("(" * 5000 + "w", "((("),
    "deep signs": ("-" * 9000 + "w", "---"),
    "long sum": ("+".join(["w"] * 5000), "w+w"),
    "long text": ("w" * 10_001, "www"),
    "huge exponent": ("w**99999999", "exponent 99999999"),
    "huge negative exponent": ("w**-1001", "exponent -1001"),
    "huge nested exponent": ("9**9**9**9**9", "exponent 387420489"),
    "tower": ("(2**1000)**1000", "1000001 bits"),
    "tower of symbols": ("(w**1000)**1000", "exponent 1000000"),
    "tower with a factor": ("((3*w)**1000)**1000", "bits"),
    "tower of exponentials": ("exp(exp(exp(exp(9))))", "exp(exp(9))"),
    "exponential of a logarithm": ("exp(1000000*log(w))", "exponent 1000000"),
    "huge integer": ("1" * 4000, "13285 bits"),
    "endless integer": ("1" * 9000, "111"),
    "overflow": ("1e400", "oo"),
    "imaginary": ("1j", "1j"),
    "division by zero": ("1/0", "a division by zero"),
    "division by a zero": ("w/(w - w)", "a division by zero"),
    "power of zero": ("0**-1", "zoo"),
    "logarithm of zero": ("w*log(0)", "zoo"),
    "logarithm of a negative": ("log(-1)", "I"),
    "root of a negative": ("sqrt(-2)", "I"),
    "fractional power of a negative": ("(-8)**(1/3)", "(-1)**(1/3)"),
    "inverse sine of two": ("asin(2)", "asin(2)"),
    "minimum of a complex": ("min(1, sqrt(-1))", "I"),
    "pole": ("tan(pi/2)", "zoo"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_text_is_named(case: str) -> None:
    text, value = REFUSED[case]
    with pytest.raises(ArgumentError) as caught:
        parse(text, ["w"], "loss")
    message = str(caught.value)
    assert message.startswith("loss: got ")
    assert value in message.split("; allowed: ")[0]
    assert len(message.split("; allowed: ")[1]) > 3
    assert len(message) < 500


@pytest.mark.parametrize("text", [None, 3, b"w", w, ["w"]])
def test_only_text_is_parsed(text: object) -> None:
    with pytest.raises(ArgumentError, match=r"expression: got .*; allowed: text"):
        parse(text, ["w"])  # type: ignore[arg-type]


@contextmanager
def canary() -> Iterator[list[str]]:
    """Put a builtin in place that notes when anything reaches it."""
    sung: list[str] = []
    builtins.canary = lambda *_: sung.append("reached")  # type: ignore[attr-defined]
    try:
        yield sung
    finally:
        del builtins.canary  # type: ignore[attr-defined]


WORDS = (
    "w u pi 0 1 2 9 1.5 .5 1e3 1e999 1j 1000 ( ) ) ( + - * / ** ** , . [ ] { } : := = == < ^ % @ ~ ' \" \\ \n ; # "
    "exp log sqrt sin tan abs sign min max erf canary canary() __import__ lambda if else for in not and None True "
    "f'{canary()}' __class__ _ x y import"
)
tokens = st.sampled_from(WORDS.split(" "))
damaged = st.tuples(polynomials([w, u]).map(str), st.integers(0, 40), tokens).map(
    lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + 1 :]
)


@settings(max_examples=500)
@example("min((1 - w)**(-cosh(3)), asin(cos(1e300*pi/atan(2))))")  # trips over an internal error of some sympy
@given(damaged | st.lists(tokens, max_size=12).map(" ".join) | st.lists(tokens, max_size=8).map("".join) | st.text())
def test_whatever_the_text_it_is_an_expression_or_an_argument_error(text: str) -> None:
    with canary() as sung:
        try:
            expression = parse(text, ["w", "u"])
        except ArgumentError as error:
            expression, message = None, str(error)
    assert sung == []
    if expression is None:
        assert "; allowed: " in message
    else:
        assert check_expression(expression, [w, u], "again") is expression


@pytest.mark.parametrize(
    "call", ["canary()", "canary(w)", "f'{canary()}'", "[canary() for i in '1'][0]", "(lambda: canary())()"]
)
@pytest.mark.parametrize(
    "frame", ["{}", "w + {}", "exp({})", "({})**2", "min(w, {})", "-{}", "w if {} else w", "w.a[{}]"]
)
def test_nothing_is_executed(call: str, frame: str) -> None:
    with canary() as sung, pytest.raises(ArgumentError):
        parse(frame.format(call), ["w"])
    assert sung == []


def test_the_canary_sings_where_text_is_evaluated() -> None:
    with canary() as sung:
        sp.sympify("canary()", locals={"canary": builtins.canary})  # type: ignore[attr-defined]
    assert sung == ["reached"]


@pytest.mark.parametrize(
    "value", ["canary()", None, True, [1], (1,), {1}, 1j, object(), sp.true, sp.Tuple(1), w < 1, sp.eye(1)]
)
def test_only_scalars_are_scalars(value: object) -> None:
    for check in (lambda: as_scalar(value, "lr"), lambda: check_expression(value, [], "lr")):
        with (
            canary() as sung,
            pytest.raises(ArgumentError, match=r"lr: got .*; allowed: a number or a sympy expression"),
        ):
            check()
        assert sung == []


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (sp.besselj(0, w), "besselj(0, w)"),
        (sp.Function("f")(w), "f(w)"),
        (sp.Derivative(w**2, w), "Derivative(w**2, w)"),
        (sp.Integral(w, w), "Integral(w, w)"),
        (sp.Sum(w, (u, 0, 3)), "Sum(w"),
        (sp.Heaviside(w), "Heaviside(w)"),
        (w + sp.DiracDelta(w), "DiracDelta(w)"),
        (sp.I * w, "I"),
        (sp.nan, "nan"),
        (sp.oo, "oo"),
        (sp.zoo * w, "zoo"),
        (w * sp.sqrt(-2), "I"),
        (sp.log(sp.Integer(-3)), "I"),
        (w * sp.Integer(10) ** 400, "1329 bits"),
        (w + sp.Rational(1, 10**400), "over 1329 bits"),
        (sp.Float("1e400") * w, "10000000"),
        (w**1001, "exponent 1001"),
        (w ** (10**30), "exponent 1000000"),
        (sp.Symbol("A", commutative=False), "symbol 'A'"),
        (sp.Symbol("i", imaginary=True), "symbol 'i'"),
        (sp.MatrixSymbol("M", 1, 1)[0, 0], "M[0, 0]"),
        (sp.IndexedBase("a")[0], "a[0]"),
    ],
    ids=str,
)
def test_refused_expressions_are_named(expression: sp.Expr, value: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        check_expression(expression, None, "loss")
    assert str(caught.value).startswith("loss: got ")
    assert value in str(caught.value).split("; allowed: ")[0]


@pytest.mark.parametrize(
    "expression",
    [
        *(w, 3, 0.5, Fraction(1, 3), sp.pi, sp.E, sp.exp(-w), sp.sqrt(2) * w, sp.tan(1), sp.Max(w, 0), sp.erf(w)),
        *(w**1000, w**-1000, w**w, 2 ** (w * 10**6)),
        *(sp.Piecewise((w, w > 0), (0, True)), sp.Piecewise((1, sp.And(w > 0, w < 1)), (0, True))),
    ],
    ids=str,
)
def test_allowed_expressions_pass_unchanged(expression: object) -> None:
    assert check_expression(expression, [w], "loss") == expression


def test_unknown_symbols_are_refused_unless_any_may_occur() -> None:
    twin = sp.Symbol("w")
    for known in ([], [u], [twin]):
        with pytest.raises(ArgumentError, match="unknown symbol 'w'"):
            check_expression(w, known, "loss")
    assert check_expression(w, None, "loss") == w


@pytest.mark.parametrize(
    "name", ["x; import os", "__class__", "_w", "", "1w", "w 1", "w[0]", "w.a", "w\n", "f()", "w-1", None, 1, w]
)
def test_names_are_plain_words(name: object) -> None:
    with pytest.raises(ArgumentError, match=r"names: got .*; allowed: names of letters"):
        check_name(name, "names")


# other names


def test_other_names_become_real_symbols() -> None:
    found = parse("a*w**2 + pi*tanh(b2*w) + a", [w], others=True)
    assert found == (lambda a, b: a * w**2 + sp.pi * sp.tanh(b * w) + a)(*sp.symbols("a b2", real=True))


@pytest.mark.parametrize("name", [*FUNCTIONS, "_a", "__class__"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"^loss: got"):
        parse(f"w + {name}", [w], "loss", others=True)


@pytest.mark.parametrize("text", ["a(w)", "a.b", "a[0]", "(a := w)", "a if w else 1", "[a for a in w]", "f'{a}'"])
def test_other_names_are_names_alone(text: str) -> None:
    with pytest.raises(ArgumentError):
        parse(text, [w], others=True)
