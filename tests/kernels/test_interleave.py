"""The marks that make a compiler take two vectors in a turn."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sgdtheory.kernels import build
from sgdtheory.kernels.interleave import VECTORS, interleaved
from sgdtheory.kernels.library import library_source

NESTED = """define void @f() {
entry:
  br label %"B0"
B0:
  br label %B2
"B2":
  br i1 %c, label %B4, label %B6
B4:
  br label %B2
B6:
  br label %B0
}
define void @g() {
B8:
  br label %B9
B9:
  ret void
}"""


def test_every_jump_back_is_marked_and_no_other() -> None:
    lines = interleaved(NESTED, 2).splitlines()
    marked = [line.strip() for line in lines if "!llvm.loop !" in line]
    assert marked == ["br label %B2, !llvm.loop !900001", "br label %B0, !llvm.loop !900002"]
    assert [line for line in lines if line.startswith("!9")] == [
        '!900000 = !{!"llvm.loop.interleave.count", i32 2}',
        "!900001 = distinct !{!900001, !900000}",
        "!900002 = distinct !{!900002, !900000}",
    ]


def test_blocks_of_one_function_are_not_above_those_of_another() -> None:
    assert (
        interleaved(NESTED.replace("B8:", "B1:").replace("ret void\n}", "br label %B4\n}"), 2).count("!llvm.loop") == 2
    )


def test_text_without_loops_stays_as_it_is() -> None:
    text = NESTED.partition("}\n")[2]
    assert interleaved(text, 2) == text


def test_the_library_names_what_it_was_compiled_with() -> None:
    assert f"interleaved(normalize_ir_text(str(module)), {VECTORS})" in library_source()


def test_a_compiled_loop_takes_two_vectors_in_a_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the roots of normal numbers, two are taken in the turn of one loop: in vectors, of whatever width."""
    monkeypatch.setenv("SGDTHEORY_CACHE_DIR", str(tmp_path))
    build.cache_folder.cache_clear()
    path = tmp_path / "library.py"
    build._write(path, library_source().encode())
    library = build._load(path)
    from numba import types

    fill = library.fill_normals
    rows = [types.Array(kind, 2, "C") for kind in (types.uint32, types.uint32, types.float64)]
    fill.compile((rows[0], types.int64, *rows[1:]))
    build.cache_folder.cache_clear()
    text = next(iter(fill.overloads.values())).library.get_llvm_str()
    blocks = re.split(r"\n(?=[\w.]+:)", text)
    roots = [len(re.findall(r"call .*<\d+ x double> @llvm\.sqrt\.v\d+f64", block)) for block in blocks]
    if not any(roots):
        pytest.skip("this processor's vectors hold no two float64")
    assert set(roots) == {0, VECTORS}
