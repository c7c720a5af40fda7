"""Single samples of a task or of a run, for people who want to see what goes in and what comes out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

import numpy as np

from pare_bench.config.presets import PRESETS
from pare_bench.config.resolution import default_size, no_such_tier, task_defaults
from pare_bench.config.run_config import RunConfig, Tier, parse_overrides
from pare_bench.contracts.task import Split, Splits, Task, TaskSize, Track
from pare_bench.datasets.cache import generated_data
from pare_bench.datasets.official import data_root, official_data
from pare_bench.datasets.run_data import target_data
from pare_bench.datasets.simulated import SimulatedTask, simulate_chunk
from pare_bench.datasets.tiers import auto_tier
from pare_bench.errors import DataMissingError, IntegrityError, UsageError, unknown_name
from pare_bench.pictures.sample import Prediction, Sample
from pare_bench.records.predictions import PredictionsFolder
from pare_bench.records.record import RunRecord
from pare_bench.registry.names import Registry
from pare_bench.scoring.scores import metrics_of


@dataclass(frozen=True)
class Choice:
    """Which data of a task: ``preset`` gives parameters and size of generated data, ``options`` are ``-o`` texts, ``tier`` may be ``auto``."""

    tier: str = "auto"
    track: Track = "clean"
    preset: str = "cpu"
    options: Sequence[str] = ()


@dataclass(frozen=True)
class ChosenData:
    """A task built with its parameters, and where its data come from."""

    task: Task
    tier: Tier
    track: Track
    seed: int
    size: TaskSize | None


def chosen_data(registry: Registry, name: str, choice: Choice) -> ChosenData:
    """Build a task as a run of the same preset, tier and track would.

    Raises:
        UsageError: an unknown name, tier, track, preset or option.
    """
    spec, task_class = registry.spec("task", name), registry.component("task", name)
    if choice.preset not in PRESETS:
        raise unknown_name("preset", choice.preset, PRESETS, hint=f"pare-bench inspect {name} --preset cpu")
    if choice.track not in get_args(Track):
        raise UsageError(f"--track '{choice.track}' is not known", hint="use --track clean or --track paper")
    tier = auto_tier(registry, name) if choice.tier == "auto" else choice.tier
    if tier not in (*spec.tiers, "official"):
        raise no_such_tier(spec, tier)
    values = task_defaults(task_class, choice.preset, choice.track)
    seed = 0
    for path, value in parse_overrides(choice.options):
        if path == ("data_seed",):
            seed = _whole(value)
        else:
            values[".".join(path[1:] if path[0] == "task" and len(path) > 1 else path)] = value
    size = default_size(task_class, choice.preset) if tier == "generated" else None
    return ChosenData(registry.build("task", name, values), cast(Tier, tier), choice.track, seed, size)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageError(f"option -o data_seed takes a whole number, got '{value}'", hint="-o data_seed=0")
    return value


def splits_of(data: ChosenData) -> Splits:
    """Return all splits of the chosen data, generated ones from the cache of runs.

    Raises:
        DataMissingError: official files are not there.
        IntegrityError: one is not what its format or digest promises.
    """
    if data.tier == "bundled":
        return data.task.bundled(data.seed, data.track)
    if data.tier == "official" or data.size is None:
        return official_data(data.task, data_root(), data.track, data.seed).splits
    return data.task.in_track(generated_data(data.task, data.seed, data.size).splits, data.track)


def samples_of_task(data: ChosenData, split: str, indices: Sequence[int]) -> list[Sample]:
    """Return samples of a split, without predictions; of simulated data only the chunks that hold them are made.

    Raises:
        UsageError: the split has fewer samples.
    """
    if _by_chunks(data) and data.size is not None:
        count = getattr(data.size, split)
        _check_indices(data.task.name, split, indices, count)
        chunk = data.task.chunk  # type: ignore[attr-defined]
        chunks = {number: simulate_chunk(data.task, data.seed, split, number) for number in sorted({index // chunk for index in indices})}  # type: ignore[arg-type]
        return [_sample(data, split, index, count, chunks[index // chunk].take(np.array([index % chunk]))) for index in indices]
    part: Split = getattr(splits_of(data), split)
    _check_indices(data.task.name, split, indices, len(part))
    return [_sample(data, split, index, len(part), part.take(np.array([index]))) for index in indices]


def _by_chunks(data: ChosenData) -> bool:
    """Return whether a sample can be had without all the others: no statistics of a split are in it, and the track changes no split."""
    kind = type(data.task)
    plain = isinstance(data.task, SimulatedTask) and kind.generated is SimulatedTask.generated and kind.in_track is Task.in_track
    return data.tier == "generated" and data.track == "clean" and plain


def _check_indices(task: str, split: str, indices: Sequence[int], count: int) -> None:
    wrong = [index for index in indices if not 0 <= index < count]
    if wrong:
        raise UsageError(f"the {split} split of task '{task}' has {count} samples, there is no sample {wrong[0]}", hint=f"--index 0 to {count - 1}")


def _sample(data: ChosenData, split: str, index: int, count: int, one: Split) -> Sample:
    task = data.task
    return Sample(
        task=task.name,
        shape=task.inputs,
        target=task.target,
        split=split,
        index=index,
        count=count,
        tier=data.tier,
        track=data.track,
        inputs=np.asarray(one.inputs)[0],
        truth=np.asarray(one.targets)[0],
        extras={name: np.asarray(values)[0] for name, values in one.extras.items()},
        quantities=tuple(getattr(task, "quantities", ())),
    )


def samples_of_run(registry: Registry, record: RunRecord, predictions: PredictionsFolder, indices: Sequence[int]) -> list[Sample]:
    """Return test samples of a run with what it predicted for them and each one's own scores.

    Raises:
        UsageError: the run has no scores, or the test split fewer samples.
        DataMissingError: its predictions were not kept or are not there; the hint is the command that makes them.
        IntegrityError: predictions or data are not those of the run.
    """
    if record.status != "ok":
        raise UsageError(f"run '{record.run_id}' has no predictions: its status is {record.status}", hint="pare-bench run ... --only-failed")
    try:
        outputs = predictions.load(record)
    except DataMissingError as error:
        command = f"rm '{_record_path(record, predictions)}' && {record.command.replace(' --predictions none', '')} --predictions full"
        raise DataMissingError(str(error), hint=command) from error
    config = record.config
    task: Task = registry.build("task", config.task.name, config.task.params)
    data = target_data(task, config)
    if data.sha256 != record.task.data_sha256:
        raise IntegrityError(
            f"the data of task '{task.name}' are not those of run '{record.run_id}': {data.sha256[:12]} instead of {record.task.data_sha256[:12]}",
            hint="run it again on the data that are here",
        )
    test = data.splits.test
    _check_indices(task.name, "test", indices, len(test))
    chosen = ChosenData(task, config.tier, config.track, config.data_seed, None)
    found = []
    for index in indices:
        one = test.take(np.array([index]))
        sample = _sample(chosen, "test", index, len(test), one)
        scores = scores_of(task, config, outputs[index : index + 1], one)
        found.append(replace(sample, prediction=Prediction(record.method.name, record.run_id, outputs[index], scores)))
    return found


def _record_path(record: RunRecord, predictions: PredictionsFolder) -> str:
    return str(predictions.root.parent / "records" / record.suite / record.task.name / record.method.name / f"{record.run_id}.json")


def scores_of(task: Task, config: RunConfig, outputs: np.ndarray, one: Split) -> dict[str, float]:
    """Return the metrics that a single sample has: an area under a curve, for example, takes several."""
    scores = {}
    for metric in metrics_of(task, config):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = float(metric.compute(outputs, one))
        except (ValueError, ArithmeticError, IndexError):
            continue
        if math.isfinite(value):
            scores[metric.name] = value
    return scores
