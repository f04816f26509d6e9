"""A progress bar for people who wait."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SILENT_SECONDS = 2.0


@contextmanager
def progress_bar(total: int, wanted: bool | None, name: str) -> Iterator[Advance]:
    """Show a bar on the terminal's error stream once a run has lasted two seconds; silent elsewhere."""
    shown = sys.stderr.isatty() if wanted is None else wanted
    bar = Advance(total, shown, name)
    try:
        yield bar
    finally:
        bar.close()


class Advance:
    """A progress bar that appears late."""

    def __init__(self, total: int, shown: bool, name: str) -> None:
        self.total, self.done, self.shown, self.name = total, 0, shown, name
        self.started = time.monotonic()
        self.bar: object = None

    def __call__(self) -> None:
        """Count one more."""
        self.done += 1
        if not self.shown or (self.bar is None and time.monotonic() - self.started < _SILENT_SECONDS):
            return
        from rich.console import Console
        from rich.progress import Progress

        if self.bar is None:
            self.bar = Progress(console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(self.name, total=self.total)
        assert isinstance(self.bar, Progress)
        self.bar.update(self.task, completed=self.done)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()  # type: ignore[attr-defined]
