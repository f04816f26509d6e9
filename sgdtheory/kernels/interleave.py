"""Ask the compiler to take two vectors in every turn of a loop over replicas.

The arithmetic of one replica is a chain: each operation waits for the one before, and for most of the time a processor
would stand idle. Two vectors side by side are two chains that do not wait for each other, and share the constants they
need. What a compiler estimates of its own makes it take one, where a loop is long. Only the order of independent
operations changes, hence no number.

These functions are spliced into the library of kernels, and so are part of what names it.
"""

from __future__ import annotations

import re

VECTORS = 2
"""Vectors in each turn of a loop: with more, sixteen registers do not hold what a normal number takes."""


def interleaved(text: str, vectors: int) -> str:
    """Return LLVM's text of a module with every loop in it marked; what cannot become vectors ignores the mark.

    Parameters
    ----------
    text : str
        As it comes from numba: a loop ends with a jump back, ``br label`` to a block that stands above.
    vectors : int
        So many to a turn.

    Returns
    -------
    str
        The same text, and a note ``llvm.loop.interleave.count`` at each jump back.

    Examples
    --------
    >>> print(interleaved("; this jumps nowhere", 2))
    ; this jumps nowhere
    """
    count = note = 900000  # far above what a module numbers itself
    above: set[str] = set()
    lines = []
    for line in text.splitlines():
        block = re.match(r'"?([^"\s]+?)"?:', line)
        jump = re.match(r'\s+br label %"?([^"\s]+?)"?\s*$', line)
        if line.startswith("define"):
            above = set()
        elif block:
            above.add(block[1])
        elif jump and jump[1] in above:
            count += 1
            line = f"{line.rstrip()}, !llvm.loop !{count}"
        lines.append(line)
    if count > note:
        lines.append(f'!{note} = !{{!"llvm.loop.interleave.count", i32 {vectors}}}')
    lines += [f"!{loop} = distinct !{{!{loop}, !{note}}}" for loop in range(note + 1, count + 1)]
    return "\n".join(lines)
