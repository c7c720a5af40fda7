"""Progress of ``pare-bench data``: a bar with speed and time left on a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pare_bench.cli import output

if TYPE_CHECKING:
    from rich.progress import Progress

#: Seconds between two lines of one file in a plain log.
EVERY = 10.0


class PlainDownloads:
    """Lines for a log: nothing for what is quick, else how far it is and how long it will take."""

    def __init__(self) -> None:
        self.name = ""
        self.total: int | None = None
        self.done = self.already = 0
        self.began = self.said = time.monotonic()

    def begin(self, name: str, total: int | None, done: int) -> None:
        """Start a file."""
        self.name, self.total, self.done, self.already = name, total, done, done
        self.began = self.said = time.monotonic()
        if done:
            self.say(f"{name}: goes on after {done / 1e6:.1f} MB")

    def advance(self, count: int) -> None:
        """Count bytes; say something now and then."""
        self.done += count
        now = time.monotonic()
        if now - self.said < EVERY:
            return
        self.said = now
        speed = (self.done - self.already) / (now - self.began)
        of = f" of {self.total / 1e6:.1f}" if self.total else ""
        left = f", about {(self.total - self.done) / speed:.0f} s left" if self.total and speed else ""
        self.say(f"{self.name}: {self.done / 1e6:.1f}{of} MB{left}")

    def end(self) -> None:
        """Say nothing: whoever fetches says what became of it."""

    def say(self, line: str) -> None:
        """Print a line."""
        output.note(line)


class BarDownloads(PlainDownloads):
    """One bar for the current file."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress
        self.task = progress.add_task("", total=None, visible=False)

    def begin(self, name: str, total: int | None, done: int) -> None:
        """Restart the bar."""
        self.progress.reset(self.task, description=name, total=total, completed=done, visible=True)

    def advance(self, count: int) -> None:
        """Move the bar."""
        self.progress.advance(self.task, count)

    def end(self) -> None:
        """Hide the bar."""
        self.progress.update(self.task, visible=False)

    def say(self, line: str) -> None:
        """Print above the bar."""
        self.progress.console.print(line, markup=False, highlight=False)


@contextmanager
def download_display() -> Iterator[PlainDownloads]:
    """Yield the display that fits stderr."""
    if not output.stderr_is_terminal():
        yield PlainDownloads()
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}", markup=False), *columns, console=output.console(sys.stderr), transient=True) as progress:
        yield BarDownloads(progress)
