"""The record of one run, schema ``pare-bench/record/1``: everything a table or a reader of the number needs, finite values only."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pare_bench.config import RunConfig, Tier


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ComponentRecord(_Part):
    """A component of the run and where it came from."""

    name: str
    params: dict[str, Any]
    plugin: str
    distribution: str
    version: str


class TaskRecord(_Part):
    """Data of the run. ``real`` says what in them is real: None is nothing, all of it is simulated."""

    name: str
    version: int
    tier: Tier
    data_sha256: str
    sizes: dict[str, int]
    real: str | None


class MetricRecord(_Part):
    """A score on the whole test split."""

    name: str
    value: float
    direction: Literal["minimise", "maximise"]
    primary: bool


class CurveRecord(_Part):
    """One epoch of a training curve."""

    epoch: int
    step: int
    train_loss: float
    validation: float


class TrainingRecord(_Part):
    """What training did. ``best_epoch`` is the epoch whose state was scored, chosen on the validation split."""

    curve: tuple[CurveRecord, ...]
    best_epoch: int
    steps: int
    stopped: str


class EnvironmentRecord(_Part):
    """Where the run took place."""

    pare_bench: str
    python: str
    platform: str
    device: str
    threads: int
    libraries: dict[str, str]


class RunRecord(_Part):
    """One run, finished, failed or skipped. Scores are None unless ``status`` is ``ok``."""

    schema_: Literal["pare-bench/record/1"] = Field("pare-bench/record/1", alias="schema")
    run_id: str = Field(pattern="^[0-9a-f]{16}$")
    status: Literal["ok", "failed", "skipped"]
    reason: str | None = None
    suite: str
    task: TaskRecord
    method: ComponentRecord
    slots: dict[str, ComponentRecord]
    source: TaskRecord | None = Field(None, description="the proxy data of methods that use some")
    weights_sha256: str | None = Field(None, description="digest of the backbone's pretrained weights; None: random weights, or no backbone")
    track: str
    preset: str
    seed: int
    metrics: tuple[MetricRecord, ...] = ()
    floor: float | None = None
    persistence: float | None = Field(None, description="second floor, of fields that evolve: the score of saying that nothing changes")
    training: dict[str, TrainingRecord] = Field(default_factory=dict)
    predictions_sha256: str | None = None
    parameters_total: int = 0
    parameters_trained: int = 0
    seconds: dict[str, float] = Field(default_factory=dict, description="wall time of each stage")
    samples_per_second: float | None = Field(None, description="training examples through the whole step, per second")
    peak_memory_mb: float | None = None
    environment: EnvironmentRecord
    started: str = Field(description="UTC, ISO 8601")
    finished: str = Field(description="UTC, ISO 8601")
    command: str
    config: RunConfig
    code_sha256: str

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    @property
    def primary(self) -> MetricRecord:
        """The primary metric of a run with status ``ok``."""
        return next(metric for metric in self.metrics if metric.primary)

    def to_json(self) -> str:
        """Return the record as it stands on disk: sorted keys, two-space indent, one final newline."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """Parse a record.

        Raises:
            pydantic.ValidationError: the text is not a record of this schema.
        """
        return cls.model_validate_json(text)
