"""The public face: quick to import, complete, documented."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from dataclasses import is_dataclass
from importlib import import_module

import pytest

import sgdtheory as sgd

HEAVY = ("numba", "scipy.stats", "matplotlib", "xarray", "sympy")
PUBLIC = [name for name in sgd.__all__ if name != "__version__"]
FUNCTIONS = [name for name in PUBLIC if inspect.isfunction(getattr(sgd, name))]
CLASSES = [name for name in PUBLIC if inspect.isclass(getattr(sgd, name))]
SHOWN_ELSEWHERE = {"Ensemble", "Identity", "Mutant", "Order", "Property", "Recursion"}  # parts of a Claim


def modules_after(statement: str) -> set[str]:
    """What a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COV", "PYTEST"))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = modules_after("import sgdtheory; dir(sgdtheory); sgdtheory.__version__")
    assert "sgdtheory" in loaded
    assert loaded.isdisjoint(HEAVY)
    assert loaded.isdisjoint(f"sgdtheory.{module}" for module in sgd._HOMES)


def test_mathematics_loads_no_numerics() -> None:
    loaded = modules_after(
        "import sgdtheory as s; s.make_dynamics(s.sticky_1d(), s.Nesterov()); s.sticky_2d().gradient_noise"
    )
    assert "sympy" in loaded
    assert loaded.isdisjoint({*HEAVY, "scipy", "hypothesis"} - {"sympy"})


def test_only_the_strategies_load_hypothesis() -> None:
    assert "hypothesis" in modules_after("import sgdtheory.testing")


def test_dir_is_complete() -> None:
    assert dir(sgd) == sorted(sgd.__all__)
    assert set(sgd.__all__) == {"__version__", *sgd._HOME_OF}
    assert sum(map(len, sgd._HOMES.values())) == len(sgd._HOME_OF)  # no name has two homes


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_resolves_to_its_home(name: str) -> None:
    module = import_module(f"sgdtheory.{sgd._HOME_OF[name]}")
    assert getattr(sgd, name) is getattr(module, name)


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'sgd'; it has .*SGD"):
        _ = sgd.sgd


@pytest.mark.parametrize("name", FUNCTIONS + CLASSES)
def test_every_public_function_and_class_is_documented(name: str) -> None:
    text = inspect.getdoc(getattr(sgd, name)) or ""
    assert text.splitlines()[0].endswith(".")
    exempt = name in SHOWN_ELSEWHERE or name.endswith("Error")
    assert exempt or "Examples\n--------\n" in text


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_of_a_public_function_is_described(name: str) -> None:
    function = getattr(sgd, name)
    text = inspect.getdoc(function) or ""
    described = {part.strip("* ") for line in text.splitlines() for part in line.split(" : ")[0].split(",")}
    missing = set(inspect.signature(function).parameters) - described
    assert not missing


@pytest.mark.parametrize("name", [n for n in CLASSES if is_dataclass(getattr(sgd, n))])
def test_public_values_are_frozen(name: str) -> None:
    assert getattr(sgd, name).__dataclass_params__.frozen
