"""``--log FILE``: one line for every epoch of every run, in whatever process the run goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pare_bench.config.run_config import RunConfig
from pare_bench.errors import EnvironmentFault
from pare_bench.training.launched import is_main_process
from pare_bench.training.progress import EpochReport, Reporter


def check_log(path: Path) -> None:
    """Fail before any training when the log could not be written.

    Raises:
        EnvironmentFault: it cannot be opened for appending.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise EnvironmentFault(f"--log '{path}' cannot be written: {error.strerror or error}", hint="choose a writable file") from error


class EpochLog:
    """A reporter that hands everything on and appends a line of ``name=value`` words for each epoch; of several processes the main one does.

    Each line is appended and flushed by itself, so that several runs can share a file and ``tail -f`` follows them. A log that can no longer be
    written ends no training: that is said once.
    """

    def __init__(self, reporter: Reporter, path: Path, config: RunConfig, run_id: str) -> None:
        self.reporter, self.path = reporter, path
        self.stage, self.advance, self.note = reporter.stage, reporter.advance, reporter.note
        self._run = f"run={run_id} method={config.method.name} task={config.task.name} seed={config.seed}"
        self._told = False

    def epoch(self, report: EpochReport) -> None:
        """Append the line of an epoch."""
        self.reporter.epoch(report)
        if not is_main_process():
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"time={datetime.now(UTC).isoformat(timespec='seconds')} {self._run} {in_line(report)}\n")
        except OSError as error:
            if not self._told:
                self.note(f"--log '{self.path}' cannot be written: {error.strerror or error}")
            self._told = True


def in_line(report: EpochReport) -> str:
    """Return what a line says of an epoch; numbers in full, a stage without a score has ``score=-``."""
    score = "score=-" if report.validation is None else f"score={report.validation!r} metric={report.metric}"
    return f"stage={report.stage} epoch={report.epoch}/{report.epochs} loss={report.loss!r} {score} rate={report.rate!r}"
