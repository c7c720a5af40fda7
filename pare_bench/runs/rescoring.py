"""Scores computed again from stored predictions: a new or corrected metric reaches old runs without training them again.

What the metric chose during training, the epoch whose state was kept, stays as it was chosen; ``pare-bench run`` therefore still does the run
again where the code of its metric has changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from pare_bench.contracts.task import Task
from pare_bench.datasets.run_data import target_data
from pare_bench.errors import IntegrityError, UsageError
from pare_bench.records.predictions import PredictionsFolder, outputs_digest
from pare_bench.records.record import RescoringRecord, RunRecord
from pare_bench.registry.names import Registry
from pare_bench.scoring.sampling import resampled_scores
from pare_bench.scoring.scores import floors_of, measure, metrics_of, scoring_code


@dataclass(frozen=True)
class Rescored:
    """A record before and after; the same object twice where scores and their code are what they were."""

    before: RunRecord
    after: RunRecord

    @property
    def changed(self) -> bool:
        """Whether there is anything to save."""
        return self.after is not self.before


def rescore(registry: Registry, record: RunRecord, predictions: PredictionsFolder) -> Rescored:
    """Compute the scores of a run again from its stored predictions.

    The new record has the task's version of now; it keeps the run's identity and, in ``rescored``, the scores before with the code that had
    computed them.

    Raises:
        UsageError: the run has no scores.
        DataMissingError: its predictions or its data are not there.
        IntegrityError: they are not what the record says, or a metric is not finite.
    """
    if record.status != "ok":
        raise UsageError(f"run '{record.run_id}' has no scores: its status is {record.status}", hint="pare-bench run ... --only-failed")
    outputs = predictions.load(record)
    if record.predictions is not None and record.predictions.kept == "float32" and outputs_digest(outputs) != record.predictions_sha256:
        raise IntegrityError(f"the stored predictions of run '{record.run_id}' are not those that it was scored on", hint="run it again")
    task: Task = registry.build("task", record.config.task.name, record.config.task.params)
    data = target_data(task, record.config)
    if data.sha256 != record.task.data_sha256:
        raise IntegrityError(
            f"the data of task '{task.name}' are not those of run '{record.run_id}': {data.sha256[:12]} instead of {record.task.data_sha256[:12]}",
            hint="run it again on the data that are here",
        )
    try:
        chosen = metrics_of(task, record.config)
        metrics = measure(chosen, outputs, data.splits.test)
        floors = floors_of(task, record.config, data.splits)
    except ValidationError as error:
        raise IntegrityError(f"a metric of run '{record.run_id}' is not finite: {error.errors()[0]['msg']}", hint=None) from error
    code = scoring_code(task, record.config)
    now = (metrics, floors.constant, floors.persistence, code, task.version)
    if now == (record.metrics, record.floor, record.persistence, record.scoring, record.task.version):
        return Rescored(record, record)
    earlier = RescoringRecord(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        version=record.task.version,
        metrics=record.metrics,
        floor=record.floor,
        persistence=record.persistence,
        scoring=record.scoring,
    )
    changes = {
        # A corrected metric comes with a new version of its task; on the same data the scores are that version's now.
        "task": record.task.model_copy(update={"version": task.version}),
        "metrics": metrics,
        "resampled": resampled_scores(chosen[0], outputs, data.splits.test, data.sha256),
        "floor": floors.constant,
        "persistence": floors.persistence,
        "scoring": code,
        "rescored": (*record.rescored, earlier),
    }
    after = RunRecord.model_validate(record.model_copy(update=changes).model_dump(by_alias=True))
    return Rescored(record, after)
