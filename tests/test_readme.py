"""The README's tools run as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

import sgdtheory as sgd

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## Four tools in five lines each")[1].split("\n## ")[0]
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)


def test_there_is_one_block_a_tool() -> None:
    assert len(BLOCKS) == SECTION.count("\n**") == 4


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_tool_runs_as_printed(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    mpl.use("Agg")
    exec(compile(BLOCKS[number], "README.md", "exec"), {"sgd": sgd})  # noqa: S102 - our own text
    plt.close("all")
    shown = capsys.readouterr().out
    assert ("λ = 1/4" in shown) == ("critical_points" in BLOCKS[number])
