"""Whether a record's scores are those of its stored predictions: what its digests cannot show, since whoever edits a record can write them, too.

Scores are computed again, as ``rescore`` does, and compared. Where that cannot be done (no predictions were kept, the data are not here, the task
is not installed or has another version) nothing is said against the record; :attr:`Evidence.unchecked` counts why.
"""

from __future__ import annotations

import lzma
import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pare_bench.contracts.task import Task
from pare_bench.datasets.cache import Data
from pare_bench.datasets.run_data import is_at_hand, target_data
from pare_bench.errors import DataMissingError, IntegrityError, PareBenchError
from pare_bench.records.predictions import PredictionsFolder, outputs_digest
from pare_bench.records.record import MetricRecord, RunRecord
from pare_bench.records.store import store_of
from pare_bench.registry.names import Registry
from pare_bench.scoring.scores import Floors, floors_of, measure, metrics_of

#: Data that are read or made for a check: those that are in the cache or ship with a package, or all, however long that takes.
Depth = Literal["here", "all"]
#: Relative difference that other kernels of sums explain; no rank turns on it.
TOLERANCE = 1e-6


class Evidence:
    """Checks records one by one; data are read once for all records that share them and follow each other."""

    def __init__(self, registry: Registry, depth: Depth = "here") -> None:
        self._registry = registry
        self._depth = depth
        self._last: tuple[str, Data] | None = None
        #: Records whose scores were computed again and came out the same.
        self.checked = 0
        #: How many were not, by reason.
        self.unchecked: Counter[str] = Counter()
        #: Files of predictions that are damaged: evidence that is lost, and no word against the record.
        self.damaged: list[Path] = []

    def problem(self, path: Path, record: RunRecord) -> tuple[str, str] | None:
        """Return the field that is wrong and what is wrong with it, None where the scores are those of the predictions or nothing can be said."""
        if record.status != "ok":
            return None
        try:
            return self._problem(path, record)
        except _Unknown as why:
            self.unchecked[str(why)] += 1
            return None

    def sentence(self) -> str:
        """Return how many scores were computed again, and why others were not."""
        others = ", ".join(f"{count} not: {why}" for why, count in sorted(self.unchecked.items()))
        return f"{self.checked} scores computed again from stored predictions" + (f" ({others})" if others else "")

    def _problem(self, path: Path, record: RunRecord) -> tuple[str, str] | None:
        config = record.config
        try:
            task: Task = self._registry.build("task", config.task.name, config.task.params)
            metrics = metrics_of(task, config)
        except PareBenchError as error:
            raise _Unknown("the task is not installed, or cannot be loaded") from error
        if task.version != record.task.version:
            raise _Unknown("the task has another version here")
        known = {metric.name: metric.direction for metric in metrics}
        said = {metric.name: metric.direction for metric in record.metrics}
        # A metric that a task has been given since moves no score.
        if record.primary.name != metrics[0].name or not said.items() <= known.items():
            return "metrics", f"has {_listed(said)}, task '{task.name}' has {_listed(known)}"
        outputs = self._outputs(path, record)
        if outputs is None:
            return "predictions", "the stored ones are not those that it was scored on"
        if self._depth == "here" and not is_at_hand(task, config, self._registry.code):
            raise _Unknown("their data are not in the cache (--scores all makes or reads them)")
        data = self._data(task, record)
        try:
            scores = measure(metrics, outputs, data.splits.test)
            floors = floors_of(task, config, data.splits)
        except (ValueError, IndexError, ValidationError) as error:
            return "predictions", f"the stored ones do not fit the task: {' '.join(str(error).split())}"
        found = next(_differences(record, scores, floors), None)
        self.checked += found is None
        return found

    def _outputs(self, path: Path, record: RunRecord) -> NDArray[np.float32] | None:
        """Return the stored predictions of a run, None where they are whole and another run's."""
        store = store_of(path)
        if store is None or record.predictions is None or record.predictions.kept == "no":
            raise _Unknown("no predictions are stored")
        folder = PredictionsFolder(store.root / "predictions")
        try:
            outputs = folder.load(record)
        except DataMissingError as error:
            raise _Unknown("no predictions are stored") from error
        except IntegrityError as error:
            if is_whole(folder.path(record.run_id)):
                return None
            self.damaged.append(folder.path(record.run_id))
            raise _Unknown("their predictions are damaged") from error
        if record.predictions.kept == "float32" and outputs_digest(outputs) != record.predictions_sha256:
            return None
        return outputs

    def _data(self, task: Task, record: RunRecord) -> Data:
        config = record.config
        key = f"{config.task.model_dump_json()} {config.tier} {config.track} {config.data_seed} {config.size}"
        if self._last is None or self._last[0] != key:
            try:
                self._last = (key, target_data(task, config, self._registry.code))
            except PareBenchError as error:
                raise _Unknown("their data are not here") from error
        if self._last[1].sha256 != record.task.data_sha256:
            raise _Unknown("they were made on other data than are here")
        return self._last[1]


class _Unknown(Exception):  # noqa: N818 - nothing is wrong
    """Why nothing can be said about a record."""


def is_whole(path: Path) -> bool:
    """Return whether a file of predictions is a whole archive: then it was written as it is, and not damaged afterwards."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, NotImplementedError, RuntimeError, OSError):
        return False


def _differences(record: RunRecord, scores: Sequence[MetricRecord], floors: Floors) -> Iterator[tuple[str, str]]:
    again = {metric.name: metric.value for metric in scores}
    pairs: list[tuple[str, str, float | None, float | None]] = [("metrics", said.name, said.value, again[said.name]) for said in record.metrics]
    pairs += [("floor", "floor", record.floor, floors.constant), ("persistence", "persistence", record.persistence, floors.persistence)]
    for field, name, said, found in pairs:
        if said is None and field == "persistence":
            continue  # records from before there was a second floor
        if said is None or found is None or not math.isclose(said, found, rel_tol=TOLERANCE, abs_tol=1e-9):
            yield field, f"{name} is {said}, the stored predictions give {found}"


def _listed(metrics: Mapping[str, str]) -> str:
    return ", ".join(f"'{name}' ({direction})" for name, direction in metrics.items())
