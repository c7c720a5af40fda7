"""What a run tells its observers, the plugins that implement observing hooks, besides the display."""

from __future__ import annotations

import time
from collections import Counter

from pare_bench.config.run_config import RunConfig
from pare_bench.records.record import RunRecord
from pare_bench.registry.plugins import Plugins
from pare_bench.runs.seclusion import observing
from pare_bench.training.launched import is_main_process
from pare_bench.training.progress import EpochReport, Reporter

#: An observer that takes more seconds of a run than this, and more than this share of it, is named.
SLOW_SECONDS, SLOW_SHARE = 1.0, 0.02


class Observed:
    """A reporter of one run that hands everything on and tells observers of it; of several processes the main one does.

    Whatever an observer does to generators and settings of the process ends with its call.
    """

    def __init__(self, reporter: Reporter, plugins: Plugins, run_id: str) -> None:
        self.reporter, self.plugins, self.run_id = reporter, plugins, run_id
        self.stage, self.advance, self.note = reporter.stage, reporter.advance, reporter.note
        self._seconds: Counter[str] = Counter()
        self._began = time.perf_counter()

    def started(self, config: RunConfig) -> None:
        """Tell that the run begins."""
        self._notify("pare_bench_run_started", config=config, run_id=self.run_id)

    def epoch(self, report: EpochReport) -> None:
        """Tell that an epoch has ended."""
        self.reporter.epoch(report)
        facts = {"stage": report.stage, "epoch": report.epoch, "loss": report.loss, "score": report.validation, "rate": report.rate}
        self._notify("pare_bench_epoch", run_id=self.run_id, **facts)

    def finished(self, record: RunRecord) -> None:
        """Tell that the run has ended and its record is on disk, and say which plugins took a large part of it."""
        self._notify("pare_bench_run_finished", record=record)
        seconds = time.perf_counter() - self._began
        for name, taken in self._seconds.items():
            if taken > max(SLOW_SECONDS, SLOW_SHARE * seconds):
                self.note(f"plugin '{name}' took {taken:.1f} s of this run's {seconds:.1f} s to observe it")

    def _notify(self, hook: str, **arguments: object) -> None:
        if not is_main_process() or not self.plugins.observe(hook):
            return
        # Imported here: who only serves records needs no torch.
        from pare_bench.training.numerics import undisturbed

        with undisturbed(), observing():
            self._seconds.update(self.plugins.notify(hook, **arguments))
