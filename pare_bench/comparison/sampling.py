"""The error by the choice of test examples: from stored predictions, where these and the data are at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pare_bench.contracts.task import Task
from pare_bench.datasets.run_data import is_at_hand, target_data
from pare_bench.errors import PareBenchError
from pare_bench.records.predictions import PredictionsFolder
from pare_bench.records.record import RunRecord
from pare_bench.registry.names import Registry
from pare_bench.scoring.sampling import of_data
from pare_bench.scoring.scores import metrics_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pare_bench.contracts.task import Split


class TestSampling:
    """Replicates of the primary score of runs, on the same resamples for all runs on the same data.

    Called with a record it returns them, or None; ``reasons`` says why not, by task.
    """

    __test__ = False

    def __init__(self, registry: Registry, out: Path, progress: Callable[[str], None] = lambda _: None) -> None:
        self._registry = registry
        self._predictions = PredictionsFolder(out / "predictions")
        self._progress = progress
        self._last: tuple[str, Split] | None = None
        self._told: set[str] = set()
        self.reasons: dict[str, str] = {}

    def __call__(self, record: RunRecord) -> NDArray[Any] | None:
        """Return the replicates of a run's primary score; None where something that they need is not here."""
        try:
            return self._replicates(record)
        except PareBenchError as error:
            self.reasons.setdefault(record.task.name, str(error))
            return None

    def _replicates(self, record: RunRecord) -> NDArray[Any] | None:
        if record.predictions is None or record.predictions.kept == "no":
            self.reasons.setdefault(record.task.name, "no predictions are kept")
            return None
        outputs = self._predictions.load(record)
        task: Task = self._registry.build("task", record.config.task.name, record.config.task.params)
        test = self._test(task, record)
        if test is None:
            return None
        metric = metrics_of(task, record.config)[0]
        if metric.name != record.primary.name:
            self.reasons.setdefault(record.task.name, f"the task is scored by '{metric.name}' now")
            return None
        return of_data(metric, outputs, test, record.task.data_sha256)

    def _test(self, task: Task, record: RunRecord) -> Split | None:
        digest = record.task.data_sha256
        if self._last is not None and self._last[0] == digest:
            return self._last[1]
        if record.config.tier != "official" and not is_at_hand(task, record.config, self._registry.code):
            self.reasons.setdefault(record.task.name, f"its data are not in the cache (pare-bench data generate {task.name})")
            return None
        if task.name not in self._told:
            self._told.add(task.name)
            self._progress(f"{task.name}: drawing test examples again")
        data = target_data(task, record.config, self._registry.code)
        if data.sha256 != digest:
            self.reasons.setdefault(record.task.name, "its data are not those that are here")
            return None
        self._last = digest, data.splits.test
        return self._last[1]
