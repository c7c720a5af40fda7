"""The record of one run, schema ``pare-bench/record/3``: everything a table or a reader of the number needs, finite values only.

An optional field may be added under the same number; any change that older records do not fit takes a new number, a migration
(:mod:`pare_bench.records.migrations`) and a golden file in the tests.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pare_bench.config.run_config import RunConfig, Tier, identity_digest
from pare_bench.config.settings import Setting, setting
from pare_bench.digests.closure import combined
from pare_bench.records.migrations import SEALED_SINCE, UnknownSchemaError, migrated, schema_number

#: Schema of the records that are written.
SCHEMA = "pare-bench/record/3"
_SEAL = re.compile(r'^  "content_sha256": "([0-9a-f]{64})"', re.MULTILINE)
_UNSEALED = '  "content_sha256": null'


class RecordFault(ValueError):  # noqa: N818 - as EnvironmentFault
    """A text that is not a record. ``field`` is the dotted path of what is wrong in it, empty when it is the whole."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ComponentRecord(_Part):
    """A component of the run and where it came from."""

    name: str = Field(description="registered name")
    params: dict[str, Any] = Field(description="all its parameters")
    plugin: str = Field(description="plugin that registers it")
    distribution: str = Field(description="distribution of the plugin")
    version: str = Field(description="version of that distribution")


class TaskRecord(_Part):
    """Data of the run."""

    name: str = Field(description="registered name of the task")
    version: int = Field(description="version of the task, raised by any change that can move a score; 0: the run could not begin")
    tier: Tier = Field(description="generated: simulated or embedded; bundled: real data that ship with a package; official: the published files")
    data_sha256: str = Field(description="SHA-256 of the data, or of the published files and what was read from them; empty: the run could not begin")
    sizes: dict[str, int] = Field(description="number of examples in each split")
    real: str | None = Field(description="what in the data is real; null: nothing, all of it is simulated")


#: Name of the stage that brings an embedder near to source features; its loss is the distance.
ALIGNMENT = "align"


class MetricRecord(_Part):
    """A score on the whole test split."""

    name: str = Field(description="name of the metric")
    value: float = Field(description="score, in the metric's own unit (shares in [0, 1] for error rates)")
    direction: Literal["minimise", "maximise"] = Field(description="which way is better")
    primary: bool = Field(description="whether this is the metric that tables and ranks use; exactly one is")


class CurveRecord(_Part):
    """One epoch of a training curve."""

    epoch: int = Field(description="number of the epoch, from 1")
    step: int = Field(description="optimiser steps so far")
    train_loss: float = Field(description="mean training loss of the epoch")
    validation: float = Field(description="primary metric on the validation split")


class ProbeRecord(_Part):
    """A look at a few fixed training examples after an epoch."""

    epoch: int = Field(description="the epoch, from 1")
    gradients: dict[str, float] = Field(description="share of each term of the loss in the summed squared gradient norms of the network")
    cosines: dict[str, float] = Field(description="cosine of each other term's gradient to that of the target's")
    gate_moved: float | None = Field(None, description="change of the selector's weights, relative to their size at the start")
    overlap_start: float | None = Field(None, description="share of the chosen source tokens that were chosen at the start")
    overlap_before: float | None = Field(None, description="share of the chosen source tokens that were chosen at the probe before")
    overlap_chance: float | None = Field(None, description="what these shares would be for a choice at random")


class HealthRecord(_Part):
    """Whether what the source has to teach was learned."""

    chance: float = Field(description="source loss of the best constant answer, in nats")
    source_loss: tuple[float | None, ...] = Field(description="mean source loss of each epoch; null where no source token stood in a batch")
    source_share: tuple[float, ...] = Field(description="mean share of source tokens of each epoch")
    source_weighted: tuple[float | None, ...] = Field(
        (), description="mean of what the source loss came to in the sum that was trained, of each epoch: times its weights, share and unit"
    )
    target_loss: tuple[float | None, ...] = Field((), description="mean loss of the target alone of each epoch, whose weight is 1")
    end: float | None = Field(None, description="source loss over the last quarter of the epochs with source tokens, weighted by their share")
    learned: bool | None = Field(None, description="whether that is below 95% of chance; null: no source token ever stood in a batch")
    probes: tuple[ProbeRecord, ...] = Field((), description="looks at the gradients and the gate; fewer in short runs, none below 40 steps")


class TrainingRecord(_Part):
    """What a training stage did."""

    curve: tuple[CurveRecord, ...] = Field(description="one entry per epoch")
    best_epoch: int = Field(description="the epoch whose state was scored")
    steps: int = Field(description="optimiser steps")
    stopped: str = Field(description="why it ended: epochs, max_steps or patience")
    parts: int = Field(1, description="pieces that a micro-batch was cut to at the end; more than 1 where memory ran out")
    resumed_from: int = Field(0, description="the last epoch that an earlier, interrupted process had finished")
    health: HealthRecord | None = Field(None, description="whether the source was learned; null: the stage learns from none")


class EnvironmentRecord(_Part):
    """Where the run took place; none of it enters the run's identity."""

    pare_bench: str = Field(description="version of pare-bench")
    revision: str | None = Field(None, description="git commit of the checkout, with + where it had changes; null: an installed package")
    python: str = Field(description="version of Python")
    platform: str = Field(description="operating system and machine")
    device: str = Field(description="name of the GPU or processor")
    threads: int = Field(description="threads of a process")
    processes: int = Field(1, description="processes that did the run together")
    numerics: dict[str, str] = Field(
        default_factory=dict, description="settings and variables that numbers depend on by rounding; empty before version 3"
    )
    libraries: dict[str, str] = Field(description="full versions of the libraries, whether they count or not")


class IdentityRecord(_Part):
    """What makes the run the run it is, part by part; the run id is a hash over these. Change one and the run is done again."""

    config: str = Field(description="SHA-256 of the resolved configuration (seed, split, data size, recipe, components and all)")
    code: dict[str, str] = Field(
        description="digest of each module involved, of data files in plugins and of changed files of libraries (16 hex digits); the digests alone "
        "make the run id, the names say what changed"
    )
    wiring: str | None = Field(None, description="digest over what each imported name stands for (16 hex digits); null before version 3")
    data: str = Field(description="SHA-256 of the task's data")
    source: str | None = Field(None, description="SHA-256 of the proxy data")
    weights: str | None = Field(None, description="SHA-256 of the pretrained weights")
    architecture: str | None = Field(None, description="SHA-256 of the configuration files of the backbone, of weights drawn at random, too")
    libraries: dict[str, str] = Field(
        description="versions that count of the libraries that the code imports, as far as they count: torch 2.6, numpy 2"
    )

    @property
    def run_id(self) -> str:
        """The run id: 16 hex digits over all parts."""
        if self.wiring is None:
            return identity_digest(self.config, _compact([self.code, self.data, self.source, self.weights, self.libraries]))
        parts = [self.code_sha256, self.data, self.source, self.weights, self.architecture, self.libraries]
        return identity_digest(self.config, _compact(parts))

    @property
    def code_sha256(self) -> str:
        """One digest over the code; before version 3 with the names of the modules."""
        if self.wiring is None:
            return hashlib.sha256("".join(f"{module} {self.code[module]}\n" for module in sorted(self.code)).encode()).hexdigest()
        return combined(self.code.values(), self.wiring)


def id_without_data(config: RunConfig, variant: Sequence[str]) -> str:
    """Return what stands for a run id where a run could not begin: 16 hex digits over what was asked for."""
    return identity_digest("could not begin", config.digest(), *variant)


class PredictionsRecord(_Part):
    """The raw outputs on the test split, kept beside the record at ``predictions/RUN_ID.npz`` so that metrics can be computed again."""

    kept: Literal["no", "float16", "float32"] = Field(description="type of the file's values; float16 only where every metric stays the same")
    reason: str | None = Field(None, description="why they were not kept")
    shape: tuple[int, ...] = Field(description="shape of the outputs, test examples first")
    file_sha256: str | None = Field(None, description="SHA-256 of the file")
    file_bytes: int | None = Field(None, description="size of the file in bytes")


class RescoringRecord(_Part):
    """Scores that stood in the record before they were computed again from the stored predictions."""

    when: str = Field(description="when they were replaced: UTC, ISO 8601")
    version: int = Field(description="version of the task before")
    metrics: tuple[MetricRecord, ...] = Field(description="scores before")
    floor: float | None = Field(description="floor before")
    persistence: float | None = Field(None, description="second floor before")
    scoring: dict[str, str] = Field(description="digest of each module that had computed them (16 hex digits)")


class RunRecord(_Part):
    """One run, finished, failed or skipped. Scores are there only when ``status`` is ``ok``."""

    schema_: Literal["pare-bench/record/3"] = Field("pare-bench/record/3", alias="schema", description="name and number of this schema")
    content_sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="SHA-256 of the file's text with null in this place: damage to the file shows; null in memory"
    )
    run_id: str = Field(pattern="^[0-9a-f]{16}$", description="hash over the parts of the identity (16 hex digits)")
    status: Literal["ok", "failed", "skipped"] = Field(description="ok: scored; failed: reason says why; skipped: the method cannot do the task")
    reason: str | None = Field(None, description="why the run failed or was skipped")
    hint: str | None = Field(None, description="what may help against that")
    cause: str | None = Field(None, description="why it was carried out and not served: what differed from the nearest stored run")
    suite: str = Field(description="registered name of the suite")
    task: TaskRecord = Field(description="the task and its data")
    method: ComponentRecord = Field(description="the method")
    method_version: int = Field(1, description="version of the method, raised by any change that can move a score; 0: the run could not begin")
    slots: dict[str, ComponentRecord] = Field(description="the other components, by slot")
    source: TaskRecord | None = Field(None, description="the proxy data of methods that use some")
    weights_sha256: str | None = Field(None, description="digest of the backbone's pretrained weights; None: random weights, or no backbone")
    track: str = Field(description="clean: the test split opened once, at the end; paper: as the released code does")
    preset: str = Field(description="preset that the configuration began with")
    seed: int = Field(description="seed of the run; data have a seed of their own, config.data_seed")
    metrics: tuple[MetricRecord, ...] = Field((), description="scores on the test split; empty unless the status is ok")
    resampled: tuple[float | None, ...] | None = Field(
        None,
        description="primary metric on resamples of the test split's examples or groups, the same for all runs on the same data: what other test "
        "examples would have given; null in it: a resample without a score; null: a record from before they were kept",
    )
    floor: float | None = Field(None, description="primary metric of the best constant prediction")
    persistence: float | None = Field(None, description="second floor, of fields that evolve: the score of saying that nothing changes")
    scoring: dict[str, str] = Field(default_factory=dict, description="digest of each module that computed the scores (16 hex digits)")
    rescored: tuple[RescoringRecord, ...] = Field((), description="earlier scores, oldest first; empty: these are the scores of the run itself")
    training: dict[str, TrainingRecord] = Field(default_factory=dict, description="training stages by name: align, train")
    predictions_sha256: str | None = Field(None, description="SHA-256 of the outputs on the test split as float32 bytes")
    predictions: PredictionsRecord | None = Field(None, description="the stored predictions; null: the run made none")
    parameters_total: int = Field(0, description="number of weights used at inference")
    parameters_trained: int = Field(0, description="number of weights that were trained")
    seconds: dict[str, float] = Field(default_factory=dict, description="wall time of each stage in seconds")
    samples_per_second: float | None = Field(None, description="training examples through the whole step, per second")
    peak_memory_mb: float | None = Field(None, description="highest memory in use, of the GPU where there is one, in MiB")
    environment: EnvironmentRecord = Field(description="where the run took place")
    started: str = Field(description="UTC, ISO 8601")
    finished: str = Field(description="UTC, ISO 8601")
    command: str = Field(description="command line that led to the run")
    variant: tuple[str, ...] | None = Field(
        None, description="settings in which the run differs from what its preset gives, as path=value; null before version 3"
    )
    config: RunConfig = Field(
        description="the resolved configuration: reproduce builds the run from it; of a run that could not begin, as far as it was resolved"
    )
    code_sha256: str = Field(description="SHA-256 over the digests of the code involved and its wiring; empty: the run could not begin")
    identity: IdentityRecord | None = Field(
        None, description="the parts of the run id; null in records that were written before version 2, and of a run that could not begin"
    )

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    @property
    def begun(self) -> bool:
        """Whether the run had its data and an identity; one that could not even begin says nothing about its method."""
        return bool(self.code_sha256)

    @property
    def setting(self) -> Setting:
        """What makes the method of the run."""
        return setting(self.config)

    @property
    def primary(self) -> MetricRecord:
        """The primary metric of a run with status ``ok``."""
        return next(metric for metric in self.metrics if metric.primary)

    def warnings(self) -> list[str]:
        """Return what whoever reads the score should know of how it came about."""
        told = [
            f"the source was not learned: its loss ends at {health.end:.3g}, chance is {health.chance:.3g}"
            for stage in self.training.values()
            if (health := stage.health) is not None and health.learned is False
        ]
        distances = [point.train_loss for point in self.training[ALIGNMENT].curve] if ALIGNMENT in self.training else []
        if len(distances) > 1 and distances[-1] >= distances[0]:
            told.append(f"the alignment ended no nearer to the source than it began: {distances[0]:.3g}, then {distances[-1]:.3g}")
        return told

    def to_json(self) -> str:
        """Return the record as it stands on disk: sorted keys, two-space indent, one final newline, sealed by ``content_sha256``."""
        text = _text({**self.model_dump(mode="json", by_alias=True), "content_sha256": None})
        return text.replace(_UNSEALED, f'  "content_sha256": "{_sha256(text)}"', 1)

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """Parse a record of this schema or of an older one.

        Raises:
            RecordFault: the text is not a record, is of a newer schema, has been changed since it was written, or has lost its seal.
        """
        try:
            bare = sound_text(text)
            if bare is not None and f'\n  "schema": "{SCHEMA}"' in bare:
                return cls.model_validate_json(bare)
            if bare is not None:
                return cls.model_validate(migrated(json.loads(bare, parse_constant=_refuse)))
            document = json.loads(text, parse_constant=_refuse)
            # What a newer version has written is sound as far as this one can tell.
            schema_number(document)
            return cls.model_validate(migrated(_unsealed(document)))
        except ValidationError as error:
            problem = error.errors()[0]
            raise RecordFault(".".join(str(part) for part in problem["loc"]), problem["msg"]) from error
        except UnknownSchemaError as error:
            raise RecordFault("schema", str(error)) from error
        except RecordFault:
            raise
        except ValueError as error:
            # Not json's own alone: a number of thousands of digits is a plain ValueError.
            raise RecordFault("", f"not JSON: {error}") from error
        except RecursionError as error:
            raise RecordFault("", "not a record: too many levels") from error


def sound_text(text: str) -> str | None:
    """Return a record's text with null in the place of its seal, None where the seal does not fit the text as it stands."""
    sealed = _SEAL.search(text)
    if sealed is None:
        return None
    bare = text[: sealed.start()] + _UNSEALED + text[sealed.end() :]
    return bare if _sha256(bare) == sealed[1] else None


def _unsealed(document: Any) -> Any:
    """Return ``document`` with null in the place of its seal, which must fit its content, in whatever layout that was written.

    Only records of the first version have none: whoever edits a later one and leaves the seal out has not left it as it was written.
    """
    if not isinstance(document, dict):
        return document
    seal = document.get("content_sha256")
    bare = {**document, "content_sha256": None}
    if seal is None:
        if schema_number(document) >= SEALED_SINCE:
            raise RecordFault("content_sha256", "the seal that every record has since version 2 is missing: the content may have been changed")
        if "content_sha256" not in document:
            return document
    elif _sha256(_text(bare)) != seal:
        raise RecordFault("content_sha256", "the content has been changed since it was written")
    return bare


def _compact(parts: list[Any]) -> str:
    return json.dumps(parts, sort_keys=True, separators=(",", ":"))


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, indent=2, allow_nan=False) + "\n"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _refuse(constant: str) -> float:
    raise RecordFault("", f"'{constant}' is not a finite number")
