"""The command line as a user meets it: exit codes, JSON, messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sgdtheory import cli
from sgdtheory.claim import Mutant, equals
from sgdtheory.theory import registry

sys.path.insert(0, str(Path(__file__).parent / "verify"))
import claims_of_our_own as own

KEYS = {"id", "slug", "theory", "title", "status", "verdict", "evidence", "mutants"}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of one good, one wrong and one undecided claim."""
    good = own.claim()
    wrong = own.claim(id="STA-91", slug="stationarity.wrong", statement=equals(own.square, 3 * own.x))
    survivor = Mutant("the same", equals(own.square, own.x**2))
    open_ = own.claim(id="STA-92", slug="stationarity.open", mutants=(survivor,))
    monkeypatch.setattr(registry, "all_claims", lambda: (good, wrong, open_))
    monkeypatch.setattr("sgdtheory.verify.check.all_claims", lambda: (good, wrong, open_))
    monkeypatch.setattr("sgdtheory.verify.check.worker_count", lambda workers: 1)


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (["STA-90"], 0),
        (["stationarity.square"], 0),
        (["STA-91"], 1),
        (["STA-92"], 1),
        (["STA-90", "STA-91"], 1),
        ([], 1),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"], ["--markdown"]])
def test_check_exits_1_unless_all_that_was_asked_for_passes(asked: list[str], code: int, form: list[str]) -> None:
    assert cli.main(["check", *asked, *form]) == code


@pytest.mark.usefixtures("planted")
def test_json_has_what_programs_need(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["check", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert [row["verdict"] for row in rows] == ["PROVED", "REFUTED", "UNDECIDED"]
    for row in rows:
        assert set(row) >= KEYS
        assert {"name", "rejected"} <= set(row["mutants"][0])
        assert {"kind", "verdict", "detail"} <= set(row["evidence"][0])
    assert [row["mutants"][0]["rejected"] for row in rows] == [True, True, False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "LCA-99"], "claim: got LCA-99"),
        (["show", "nothing"], "claim: got nothing"),
        (["claims", "--theory", "alchemy"], "theory: got alchemy"),
        (["kernel"], "exactly one of the two"),
        (["kernel", "sticky-9d"], "problem: got sticky-9d"),
        (["kernel", "sticky-1d", "--optimizer", "magic"], "--optimizer: got magic"),
        (["kernel", "sticky-1d", "--target", "fortran"], "target: got fortran"),
        (["kernel", "--loss", "__import__('os').system('true')"], "loss: got"),
        (["kernel", "--loss", "w**2 + v"], "unknown symbol 'v'"),
    ],
)
def test_bad_input_exits_2_with_a_clear_message(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("sgdtheory: ")
    assert message in error


def test_show_has_everything_about_a_claim(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "lca.naive"]) == 0
    text = capsys.readouterr().out
    for part in ("Statement", "Symbols", "Assumptions", "Source", "As printed", "Derivation", "Verdict", "Mutants"):
        assert f"\n{part}" in text, part
    assert "Shah (2020)" in text
    assert "SURVIVED" not in text


@pytest.mark.parametrize("problem", ["scalar-mean", "quadratic", "sticky-1d", "sticky-2d"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "ema-momentum", "nesterov"])
def test_every_kernel_is_shown_and_is_python(problem: str, optimizer: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["kernel", problem, "--optimizer", optimizer]) == 0
    compile(capsys.readouterr().out, "kernel", "exec")


def test_a_landscape_from_text_becomes_a_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["kernel", "--loss", "(a**2 - b)**2/4", "--coordinates", "a,b", "--noise-std", "0.5"]) == 0
    assert "def run(" in capsys.readouterr().out


def test_info_names_versions_and_cache(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    text = capsys.readouterr().out
    assert "sgdtheory 0" in text
    assert "kernel cache" in text


def test_claims_lists_all_and_loads_nothing_heavy() -> None:
    script = (
        "import sys; from sgdtheory.cli import main; code = main(['claims']);"
        "heavy = [m for m in ('numba', 'scipy.stats', 'matplotlib', 'xarray') if m in sys.modules];"
        "sys.exit(f'loaded {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(claim.id in done.stdout for claim in registry.all_claims())


def test_module_and_script_are_the_same_program() -> None:
    done = subprocess.run([sys.executable, "-m", "sgdtheory", "info"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("sgdtheory ")
