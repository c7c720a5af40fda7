"""Progress: bars with time left on a terminal; elsewhere one plain line per finished run, and now and then one for examples."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pare_bench.cli import output
from pare_bench.training.launched import is_main_process

if TYPE_CHECKING:
    from rich.progress import Progress

    from pare_bench.config.run_config import RunConfig
    from pare_bench.runs.campaign import Display, Result
    from pare_bench.training.progress import EpochReport

#: Seconds between two lines of a plain log.
EVERY = 10.0


class PlainDisplay:
    """One line per finished run."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.interrupted = False
        self.began = time.monotonic()
        self.trained_seconds: list[float] = []
        self.started = self.began
        self.name = ""

    def begin(self, config: RunConfig) -> None:
        """Start the clock of a run."""
        self.started = time.monotonic()
        self.name = config.label()

    def stage(self, name: str, total: int | None = None) -> None:
        """Say nothing."""

    def advance(self, steps: int = 1, loss: float | None = None) -> None:
        """Say nothing."""

    def epoch(self, report: EpochReport) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Print a line."""
        self.say(f"{self.name}: {text}")

    def end(self, result: Result) -> None:
        """Print the line of the run."""
        self.done += 1
        if not result.served:
            self.trained_seconds.append(time.monotonic() - self.started)
        self.say(f"[{self.done}/{self.total}] {self.line(result)}{self.time_left()}")

    def say(self, line: str) -> None:
        """Print a line."""
        output.note(line)

    def line(self, result: Result) -> str:
        """Return what became of a run."""
        record = result.record
        name = record.config.label()
        if record.status != "ok":
            hint = f" (hint: {record.hint})" if record.hint else ""
            return f"{name}: {record.status}: {record.reason}{hint} -> {result.path}"
        how = "served from the store" if result.served else f"{time.monotonic() - self.started:.0f} s"
        persistence = "" if record.persistence is None else f", persistence {record.persistence:.4f}"
        return f"{name}: {record.primary.name} {record.primary.value:.4f} (floor {record.floor:.4f}{persistence}), {how} -> {result.path}"

    def time_left(self) -> str:
        """Return the estimated time for the rest, from the mean of the runs so far."""
        rest = self.total - self.done
        if not rest or not self.trained_seconds:
            return ""
        return f", about {rest * sum(self.trained_seconds) / len(self.trained_seconds):.0f} s left"


class BarDisplay(PlainDisplay):
    """Two bars: all runs, and the current stage with loss, validation score and time left."""

    def __init__(self, total: int, progress: Progress) -> None:
        super().__init__(total)
        self.progress = progress
        self.all_runs = progress.add_task("all runs", total=total, detail="")
        self.current = progress.add_task("", total=None, detail="")
        self.loss = self.validation = ""

    def begin(self, config: RunConfig) -> None:
        """Name the run."""
        super().begin(config)
        self.loss = self.validation = ""

    def stage(self, name: str, total: int | None = None) -> None:
        """Restart the stage's bar."""
        self.progress.reset(self.current, description=f"{self.name}: {name}", total=total, detail=self._detail())

    def advance(self, steps: int = 1, loss: float | None = None) -> None:
        """Move the stage's bar."""
        if loss is not None:
            self.loss = f"loss {loss:.3f}"
        self.progress.update(self.current, advance=steps, detail=self._detail())

    def epoch(self, report: EpochReport) -> None:
        """Show the validation score."""
        self.validation = f"epoch {report.epoch}/{report.epochs} val {report.metric} {report.validation:.4f}"
        self.progress.update(self.current, detail=self._detail())

    def end(self, result: Result) -> None:
        """Print the line of the run and move the upper bar."""
        super().end(result)
        self.progress.update(self.all_runs, advance=1, detail=self.time_left().removeprefix(", "))

    def say(self, line: str) -> None:
        """Print above the bars."""
        self.progress.console.print(line, markup=False, highlight=False)

    def _detail(self) -> str:
        return "  ".join(part for part in (self.loss, self.validation) if part)


@contextmanager
def progress_display(total: int) -> Iterator[Display]:
    """Yield the display that fits stderr; of several processes only the main one draws."""
    if not output.stderr_is_terminal() or not is_main_process():
        yield PlainDisplay(total)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[detail]}", markup=False), console=output.console(sys.stderr), transient=True) as progress:
        yield BarDisplay(total, progress)


@contextmanager
def counted(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that counts examples: a bar with time left on a terminal, a line now and then elsewhere."""
    if output.stderr_is_terminal():
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=output.console(sys.stderr), transient=True) as progress:
            bar = progress.add_task(what, total=total)
            yield lambda count: progress.update(bar, advance=count)
        return
    began = said = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, said
        done += count
        now = time.monotonic()
        if now - said >= EVERY and done < total:
            said = now
            output.note(f"{what}: {done} of {total} examples, about {(total - done) * (now - began) / done:.0f} s left")

    yield advance
