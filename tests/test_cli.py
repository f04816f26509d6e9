"""The command line: what it prints, its exit codes, and how little it loads to say little."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
import sympy as sp

import sgdtheory
from sgdtheory.claim import Claim, Identity, Mutant, real
from sgdtheory.cli import main
from sgdtheory.sources import HERE
from sgdtheory.theory import registry
from sgdtheory.verify import check as check_module

x, A, C = sp.symbols("x A C", real=True)


def derive() -> dict[sp.Symbol, sp.Expr]:
    """Multiply out."""
    return {A: (x + 1) ** 2}


def planted(number: int, slug: str, statement: sp.Basic, *mutants: Mutant) -> Claim:
    return Claim(
        f"LCA-{number}", slug, f"Planted: {slug}", "exact", statement, (real(x),), HERE, (Identity(derive),), mutants
    )


RIGHT, WRONG = sp.Eq(A, x**2 + 2 * x + 1), sp.Eq(A, x**2 + 1)
GOOD = planted(91, "lca.good", RIGHT, Mutant("no cross term", WRONG))
BAD = planted(92, "lca.bad", WRONG, Mutant("the right one", RIGHT))
SURVIVED = planted(93, "lca.survived", RIGHT, Mutant("itself", sp.Eq(A, (x + 1) * (x + 1))))
TOOTHLESS = planted(94, "lca.toothless", RIGHT)


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put these claims in the place of the library's."""

    def replace(*claims: Claim) -> None:
        monkeypatch.setattr(registry, "all_claims", lambda: claims)
        monkeypatch.setattr(check_module, "worker_count", lambda _: 1)  # other processes would know the library's only

    return replace


@pytest.mark.parametrize(
    ("claims", "asked", "code"),
    [
        ((GOOD,), [], 0),
        ((GOOD, BAD), ["lca.good"], 0),
        ((GOOD, BAD), [], 1),
        ((GOOD, BAD), ["LCA-92"], 1),
        ((GOOD, BAD), ["lca.good", "LCA-92"], 1),
        ((SURVIVED,), [], 1),
        ((TOOTHLESS,), [], 1),
        ((GOOD,), ["LCA-77"], 2),
        ((GOOD,), ["lca.good", "nonsense"], 2),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"], ["--markdown"]])
def test_exit_codes_of_check(
    ledger: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    claims: tuple[Claim, ...],
    asked: list[str],
    code: int,
    form: list[str],
) -> None:
    ledger(*claims)
    assert main(["check", *asked, *form]) == code
    captured = capsys.readouterr()
    if code == 2:
        assert captured.out == ""
        assert captured.err.startswith("sgdtheory: claim: got ")
    else:
        assert captured.err == ""
        assert captured.out


def test_json(ledger: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    ledger(GOOD, BAD, SURVIVED, TOOTHLESS)
    assert main(["check", "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert [entry["id"] for entry in data] == ["LCA-91", "LCA-92", "LCA-93", "LCA-94"]
    assert [entry["verdict"] for entry in data] == ["PROVED", "REFUTED", "UNDECIDED", "UNDECIDED"]
    for entry in data:
        assert {"id", "slug", "theory", "status", "verdict", "evidence", "mutants"} <= set(entry)
        assert all(set(m) >= {"name", "rejected", "rejected_by"} for m in entry["mutants"])
    assert [m["rejected"] for entry in data for m in entry["mutants"]] == [True, False, False]
    assert "cannot tell the statement from: itself" in data[2]["reason"]
    assert "rejects no mutant" in data[3]["reason"]


def test_the_table_and_the_summary(ledger: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    ledger(GOOD, BAD)
    main(["check"])
    out = capsys.readouterr().out
    assert "lca.good" in out
    assert out.rstrip().endswith("1 PROVED, 1 REFUTED; 1 of 2 mutants rejected")


def test_markdown(ledger: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    ledger(GOOD)
    main(["check", "--markdown"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| id | slug |")
    assert lines[2].startswith("| LCA-91 | `lca.good` |")


@pytest.mark.parametrize(("claim", "code"), [(GOOD, 0), (BAD, 1), (SURVIVED, 1)])
def test_show(ledger: Callable[..., None], capsys: pytest.CaptureFixture[str], claim: Claim, code: int) -> None:
    ledger(claim)
    assert main(["show", claim.slug]) == code
    out = capsys.readouterr().out
    for part in (claim.id, claim.title, "Multiply out.", "Statement", "Mutants", *(m.name for m in claim.mutants)):
        assert part in out


def test_claims_are_listed_unchecked(ledger: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    ledger(GOOD, BAD)
    assert main(["claims"]) == 0
    out = capsys.readouterr().out
    assert "LCA-91" in out
    assert "LCA-92" in out
    assert "REFUTED" not in out
    assert main(["claims", "--theory", "LIE"]) == 0
    assert "LCA-91" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["claims", "--theory", "astrology"], "theory: got astrology"),
        (["show", "nonsense"], "claim: got nonsense"),
        (["check", "nonsense"], "claim: got nonsense"),
        (["kernel"], "problem, --loss: got"),
        (["kernel", "sticky-1d", "--loss", "w"], "problem, --loss: got"),
        (["kernel", "nonsense"], "problem: got nonsense; allowed: scalar-mean"),
        (["kernel", "sticky-1d", "--optimizer", "adamw"], "--optimizer: got adamw; allowed: sgd"),
        (["kernel", "sticky-1d", "--target", "metal"], "target: got metal; allowed: numba"),
        (["kernel", "--loss", "__import__('os').system('true')"], "loss: got"),
        (["kernel", "--loss", "w.real"], "loss: got"),
        (["kernel", "--loss", "besselj(0, w)"], "loss: got besselj"),
        (["kernel", "--loss", "w**2", "--coordinates", ""], "coordinates: got ''"),
        (["kernel", "--loss", "w**2", "--coordinates", "w,w"], "coordinates: got"),
        (["kernel", "--loss", "w**2", "--coordinates", "x; import os"], "coordinates: got"),
        (["kernel", "--loss", "w**2", "--noise-std", "-1"], "noise_std: got -1"),
        (["kernel", "--loss", "w**2", "--noise-std", "nan"], "noise_std: got nan"),
    ],
)
def test_bad_input_is_exit_code_2_and_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"sgdtheory: {message}")
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["check", "--json", "--markdown"],
        ["check", "--rng", "x"],
        ["show"],
        ["kernel", "--noise-std", "x"],
    ],
)
def test_what_the_parser_refuses_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: sgdtheory" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["numba", "python"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["scalar-mean"],
        ["quadratic", "--optimizer", "momentum"],
        ["sticky-1d", "--optimizer", "ema-momentum"],
        ["sticky-2d", "--optimizer", "nesterov"],
        ["--loss", "(w**2 - 1)**2/4"],
        ["--loss", "u**2 + v**2", "--coordinates", "u, v", "--noise-std", "0"],
    ],
)
def test_kernel_prints_python_that_compiles(
    arguments: list[str], target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kernel", *arguments, "--target", target]) == 0
    source = capsys.readouterr().out
    compile(source, "kernel", "exec")
    assert "\ndef run(" in source
    assert ("import compiled, inline" in source) == (target == "numba")


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert f"sgdtheory {sgdtheory.__version__}" in out
    assert "kernel cache: " in out
    assert "threads by default: " in out


HEAVY = ("numba", "llvmlite", "scipy", "scipy.stats", "matplotlib", "xarray", "pandas")


@pytest.mark.parametrize(
    ("arguments", "light"),
    [
        (["claims"], HEAVY),
        (["--help"], (*HEAVY, "sympy", "numpy", "rich")),
        (["kernel", "sticky-1d"], HEAVY),
        (["check", "LCA-03"], ("matplotlib", "scipy.stats")),
    ],
)
def test_a_command_loads_only_what_it_needs(arguments: list[str], light: tuple[str, ...]) -> None:
    script = (
        "import sys\nfrom sgdtheory.cli import main\n"
        f"try:\n    code = main({arguments!r})\nexcept SystemExit as stop:\n    code = stop.code\n"
        f"loaded = [name for name in {light!r} if name in sys.modules]\n"
        "print(code, loaded, file=sys.stderr)"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert process.stderr.strip() == "0 []"
    assert process.stdout


def test_the_module_is_the_command() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "sgdtheory", "show", "nonsense"], capture_output=True, text=True, check=False
    )
    assert process.returncode == 2
    assert process.stderr.startswith("sgdtheory: claim: got nonsense")
    assert "Traceback" not in process.stderr


def test_the_library_s_own_claims_from_the_shell() -> None:
    """Two claims, so that they are checked in processes of their own."""
    process = subprocess.run(
        [sys.executable, "-m", "sgdtheory", "check", "LCA-03", "mca-02", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    data = json.loads(process.stdout)
    assert [(entry["id"], entry["verdict"]) for entry in data] == [("LCA-03", "PROVED"), ("MCA-02", "PROVED")]
