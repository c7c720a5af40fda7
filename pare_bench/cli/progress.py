"""Progress: bars with time left on a terminal; elsewhere one plain line per finished run, and now and then one for examples."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pare_bench.cli import output
from pare_bench.report.numbers import duration
from pare_bench.training.launched import is_main_process

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from pare_bench.config.run_config import RunConfig
    from pare_bench.runs.reports import AtWork
    from pare_bench.runs.single import Display, Result
    from pare_bench.training.progress import EpochReport

#: Seconds between two lines of a plain log.
EVERY = 10.0


#: Narrower terminals leave the method's name, which is that of all runs, out of the bars.
WIDE = 100
#: Bars of runs that other processes carry out, at most.
MOST_BARS = 16


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
        #: Whether other processes carry the runs out, several at a time.
        self.parallel = False
        #: What was said last of each run that other processes carry out.
        self._said: dict[str, tuple[str, str]] = {}

    def begin(self, config: RunConfig) -> None:
        """Start the clock of a run."""
        self.started = time.monotonic()
        self.name = config.label()

    def stage(self, name: str, total: int | None = None) -> None:  # noqa: ARG002
        """Print a line for whoever wants to know all."""
        self.detail(self.name, name)

    def advance(self, steps: int = 1, loss: float | None = None) -> None:
        """Say nothing."""

    def epoch(self, report: EpochReport) -> None:
        """Print a line for whoever wants to know all."""
        from pare_bench.training.progress import in_words

        self.detail(self.name, f"{report.stage}: {in_words(report)}, loss {report.loss:.4g}, rate {report.rate:.3g}")

    def detail(self, name: str, text: str) -> None:
        """Print a line under --verbose."""
        if output.volume() is output.Volume.VERBOSE:
            self.say(f"{name}: {text}")

    def note(self, text: str) -> None:
        """Print a line."""
        self.say(f"{self.name}: {text}")

    def end(self, result: Result) -> None:
        """Print the line of the run."""
        self.done += 1
        if not result.served:
            self.trained_seconds.append(self.taken(result))
        self.say(f"[{self.done}/{self.total}] {self.line(result)}{self.time_left()}")

    def at_work(self, runs: Sequence[AtWork]) -> None:
        """Print what has changed for whoever wants to know all; else each run has its line when it ends."""
        self.parallel = True
        for run in runs:
            state = run.stage, run.validation
            if run.stage != "waiting" and self._said.get(run.label) != state:
                self._said[run.label] = state
                loss = "" if run.loss is None else f", loss {run.loss:.4g}"
                self.detail(run.label, ": ".join(filter(None, state)) + loss)

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
        how = "served from the store" if result.served else f"{self.taken(result):.0f} s"
        persistence = "" if record.persistence is None else f", persistence {record.persistence:.4f}"
        return f"{name}: {record.primary.name} {record.primary.value:.4f} (floor {record.floor:.4f}{persistence}), {how} -> {result.path}"

    def time_left(self) -> str:
        """Return the estimated time for the rest, from the mean of the runs so far."""
        rest = self.total - self.done
        if not rest or not self.trained_seconds:
            return ""
        return f", about {rest * self.each():.0f} s left"

    def taken(self, result: Result) -> float:
        """Return the seconds that a run took."""
        return sum(result.record.seconds.values()) if self.parallel else time.monotonic() - self.started

    def each(self) -> float:
        """Return the seconds from one finished run to the next."""
        if self.parallel:
            return (time.monotonic() - self.began) / len(self.trained_seconds)
        return sum(self.trained_seconds) / len(self.trained_seconds)


class BarDisplay(PlainDisplay):
    """Two bars: all runs with the time left, and the current stage with loss and validation score."""

    def __init__(self, total: int, progress: Progress) -> None:
        super().__init__(total)
        self.progress = progress
        self.all_runs = progress.add_task("all runs", total=total, detail="")
        self.current = progress.add_task("", total=None, detail="")
        self.loss = self.validation = ""
        self.bars: dict[str, TaskID] = {}

    def begin(self, config: RunConfig) -> None:
        """Name the run."""
        super().begin(config)
        if self.progress.console.width < WIDE:
            self.name = f"{config.task.name} seed {config.seed}"
        self.loss = self.validation = ""

    def stage(self, name: str, total: int | None = None) -> None:
        """Restart the stage's bar."""
        self.detail(self.name, name)
        self.progress.reset(self.current, description=f"{self.name}: {name}", total=total, detail=self._detail())

    def advance(self, steps: int = 1, loss: float | None = None) -> None:
        """Move the stage's bar."""
        if loss is not None:
            self.loss = f"loss {loss:.3f}"
        self.progress.update(self.current, advance=steps, detail=self._detail())
        self.progress.update(self.all_runs, detail=self.time_left())

    def epoch(self, report: EpochReport) -> None:
        """Show the validation score."""
        from pare_bench.training.progress import in_words

        super().epoch(report)
        self.validation = in_words(report)
        self.progress.update(self.current, detail=self._detail())

    def end(self, result: Result) -> None:
        """Print the line of the run and move the upper bar."""
        self.done += 1
        if not result.served:
            self.trained_seconds.append(self.taken(result))
        self.say(f"[{self.done}/{self.total}] {self.line(result)}")
        self.progress.update(self.all_runs, advance=1, detail=self.time_left())

    def line(self, result: Result) -> str:
        """Return what became of a run in a line that fits: the table below has the rest."""
        record = result.record
        if record.status != "ok":
            return super().line(result).partition(" -> ")[0]
        how = "served" if result.served else duration(self.taken(result))
        return f"{record.task.name} seed {record.seed}: {record.primary.name} {record.primary.value:.4f} (floor {record.floor:.4f}), {how}"

    def at_work(self, runs: Sequence[AtWork]) -> None:
        """Draw a bar for each run that has begun."""
        super().at_work(runs)
        self.progress.update(self.current, visible=False)
        begun = {run.label: run for run in runs if run.stage != "waiting"}
        for label in set(self.bars) - set(begun):
            self.progress.remove_task(self.bars.pop(label))
        for label, run in begun.items():
            if label not in self.bars and len(self.bars) < MOST_BARS:
                self.bars[label] = self.progress.add_task("", total=run.total, detail="")
            if label in self.bars:
                loss = "" if run.loss is None else f"loss {run.loss:.3f}"
                detail = "  ".join(part for part in (loss, run.validation) if part)
                self.progress.update(self.bars[label], description=f"{label}: {run.stage}", completed=run.done, total=run.total, detail=detail)
        self.progress.update(self.all_runs, detail=self.time_left())

    def time_left(self) -> str:
        """Return the time left in all: that of the stage, and for each other run what one takes."""
        if self.parallel:
            rest = (self.total - self.done) * self.each() if self.trained_seconds else 0.0
            return f"{duration(rest)} left" if rest >= 1 else ""
        task = next(task for task in self.progress.tasks if task.id == self.current)
        running = self.done + 1 <= self.total and self.progress.tasks[0].completed == self.done
        stage = (task.time_remaining or 0.0) if running else 0.0
        rest = self.total - self.done - (1 if running else 0)
        if not stage and not self.trained_seconds:
            return ""
        each = sum(self.trained_seconds) / len(self.trained_seconds) if self.trained_seconds else time.monotonic() - self.started + stage
        seconds = stage + rest * each
        return f"{duration(seconds)} left" if seconds >= 1 else ""

    def say(self, line: str) -> None:
        """Print above the bars."""
        self.progress.console.print(line, markup=False, highlight=False)

    def _detail(self) -> str:
        return "  ".join(part for part in (self.loss, self.validation) if part)


@contextmanager
def progress_display(total: int) -> Iterator[Display]:
    """Yield the display that fits stderr; of several processes only the main one draws."""
    if not output.stderr_is_terminal() or not is_main_process() or output.volume() is output.Volume.QUIET:
        yield PlainDisplay(total)
        return
    with bars(output.console(sys.stderr), total) as display:
        yield display


@contextmanager
def bars(console: Console, total: int) -> Iterator[Display]:
    """Yield a display that draws bars on a console: a terminal's, or a notebook's."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Column

    # Names and scores get what is left of the width, so that bars stay where they are.
    name = min(44, max(12, console.width // 2 - 12))
    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(width=name, no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=12, table_column=Column(width=12)),
        MofNCompleteColumn(table_column=Column(min_width=7, no_wrap=True)),
        TextColumn("{task.fields[detail]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=console, transient=True) as progress:
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
