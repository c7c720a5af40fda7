"""One configuration to one record. Only this module opens the test split, once, after the model is final."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import InitProcessGroupKwargs

from pare_bench.config.run_config import RunConfig
from pare_bench.contracts.method import TrainData
from pare_bench.contracts.task import Task, weighted
from pare_bench.errors import EnvironmentFault, PareBenchError, RunFault, interrupts_shown, plain_text
from pare_bench.model.device import present
from pare_bench.records.predictions import PredictionsFolder, outputs_digest
from pare_bench.records.record import CurveRecord, HealthRecord, ProbeRecord, RunRecord, TrainingRecord
from pare_bench.registry.names import Registry
from pare_bench.runs.held import Seal, checked_outputs, handed, read_only
from pare_bench.runs.preparation import Prepared
from pare_bench.runs.recording import Clock, failure, recorded
from pare_bench.runs.seclusion import SecludedRegistry, secluded
from pare_bench.scoring.sampling import resampled_scores
from pare_bench.scoring.scores import floors_of, measure, metrics_of, scoring_code
from pare_bench.training.checkpoint import CheckpointFolder
from pare_bench.training.context import RunContext
from pare_bench.training.distributed import timeout
from pare_bench.training.health import end_loss, learned
from pare_bench.training.launched import is_main_process, launched_processes
from pare_bench.training.loop import History
from pare_bench.training.memory import MemoryLimit, PeakMemory
from pare_bench.training.numerics import pinned
from pare_bench.training.progress import Reporter


def run(
    registry: Registry,
    prepared: Prepared,
    reporter: Reporter,
    command: str,
    checkpoint: CheckpointFolder | None = None,
    predictions: PredictionsFolder | None = None,
    cause: str | None = None,
) -> RunRecord:
    """Train, predict, score; what a method does wrong becomes a failed record. Ctrl-C is not a failure and passes through.

    ``checkpoint`` is where training states are kept and where an interrupted run goes on from, ``predictions`` where the outputs on the test split
    are kept, ``cause`` why the run was not served. With several processes an unexpected failure in one
    of them is raised, so that the launcher ends all.

    Raises:
        PareBenchError: something that the run needs is not there or is damaged: a device, weights, a checkpoint.
    """
    with pinned():
        return _run(registry, prepared, reporter, command, checkpoint, predictions, cause)


def _run(
    registry: Registry,
    prepared: Prepared,
    reporter: Reporter,
    command: str,
    checkpoint: CheckpointFolder | None,
    predictions: PredictionsFolder | None,
    cause: str | None,
) -> RunRecord:
    config = prepared.config
    clock = Clock(seconds={"prepare": prepared.seconds})
    unexpected: BaseException | None = None
    try:
        with interrupts_shown(), PeakMemory() as memory, MemoryLimit(config.device):
            outcome = _fit_and_score(registry, prepared, reporter, clock, checkpoint, predictions)
        outcome["peak_memory_mb"] = memory.megabytes
        return recorded(registry, prepared, clock, {**outcome, "cause": cause}, command)
    except RunFault as error:
        outcome = failure(error)
    except (torch.OutOfMemoryError, MemoryError) as error:
        outcome = {"status": "failed", "reason": plain_text(f"out of memory: {error}")}
    except (PareBenchError, KeyboardInterrupt):
        raise
    except BaseException as error:
        # Whatever a method does wrong must end in a record, sys.exit too, not take the other runs along; one process of several cannot go on alone.
        if launched_processes() > 1:
            raise
        outcome, unexpected = failure(error), error
    record = recorded(registry, prepared, clock, {**outcome, "cause": cause}, command)
    if unexpected is not None:
        reporter.stage("failed")
        sys.excepthook(type(unexpected), unexpected, unexpected.__traceback__)
    return record


def _fit_and_score(
    registry: Registry,
    prepared: Prepared,
    reporter: Reporter,
    clock: Clock,
    checkpoint: CheckpointFolder | None,
    predictions: PredictionsFolder | None,
) -> dict[str, Any]:
    config, task, splits = prepared.config, prepared.task, prepared.data.splits
    metrics = metrics_of(task, config)
    train, val = handed(splits)
    data = TrainData(task.name, task.inputs, weighted(task.target, splits.train), metrics, train, val)
    method = registry.build("method", config.method.name, config.method.params)
    reason = method.skip_reason(data)
    if reason is not None:
        return {"status": "skipped", "reason": plain_text(reason)}
    context = RunContext(
        # Its own: parameters are dictionaries, and what the record says is not for a method to write.
        config=config.model_copy(deep=True),
        registry=SecludedRegistry(registry, task.name),
        reporter=reporter,
        accelerator=build_accelerator(config),
        source=prepared.source.data.splits if prepared.source else None,
        augment=task.augment_examples if _augments(task) else None,
        checkpoint=checkpoint,
    )
    # Before the method has had anything in its hands; while it learns, what can be read again is not in memory.
    floors, seal = floors_of(task, config, splits), Seal(splits.test)
    del splits
    prepared.data.forget()
    clock.lap()
    with secluded(_scored_on(prepared, predictions)):
        predictor = method.fit(data, context)
    fitted = clock.lap()
    reporter.stage("evaluate")
    splits = prepared.data.splits
    outputs = checked_outputs(predictor.predict(read_only(splits.test).inputs), len(splits.test), floors.shape)
    seal.check(splits.test)
    scores = measure(metrics, outputs, splits.test)
    stages = {name: history.seconds for name, history in context.histories.items()}
    clock.seconds |= stages | {"build": fitted - sum(stages.values()), "evaluate": clock.lap()}
    trained = context.histories.get("train")
    kept = None
    if predictions is not None and is_main_process():
        kept = predictions.save(prepared.run_id, outputs, lambda rounded: measure(metrics, rounded, splits.test) == scores)
    return {
        "status": "ok",
        "metrics": scores,
        "resampled": resampled_scores(metrics[0], outputs, splits.test, prepared.data.sha256),
        "floor": floors.constant,
        "persistence": floors.persistence,
        "scoring": scoring_code(task, config),
        "training": {name: _training_record(history) for name, history in context.histories.items()},
        "predictions_sha256": outputs_digest(outputs),
        "predictions": kept,
        "parameters_total": predictor.parameters_total,
        "parameters_trained": predictor.parameters_trained,
        "samples_per_second": trained.examples / trained.seconds if trained else None,
    }


def _scored_on(prepared: Prepared, predictions: PredictionsFolder | None) -> list[Path]:
    """Return the files that hold the test split, or what others have said about it, as far as a method has no business with them."""
    kept = [] if predictions is None else [predictions.root, predictions.root.parent / "records"]
    return kept if prepared.data.folder is None else [*kept, prepared.data.folder / "test"]


def build_accelerator(config: RunConfig) -> Accelerator:
    """Return the accelerator for a run's device and precision.

    Raises:
        EnvironmentFault: the device is not there.
    """
    device = present(config.device)
    if device.type == "cpu" and config.precision == "float16":
        raise EnvironmentFault("precision 'float16' needs a GPU", hint="use -o precision=bfloat16 or --device cuda")
    if device.index is not None:
        if launched_processes() > 1:
            raise EnvironmentFault(f"device '{config.device}' is one GPU, and there are {launched_processes()} processes", hint="use --device cuda")
        # accelerate takes the current GPU.
        torch.cuda.set_device(device)
    # accelerate keeps one process-wide state; runs with different devices or precisions follow each other in one process.
    AcceleratorState._reset_state()
    PartialState._reset_state()
    precision = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}[config.precision]
    return Accelerator(cpu=device.type == "cpu", mixed_precision=precision, kwargs_handlers=[InitProcessGroupKwargs(timeout=timeout())])


def _augments(task: Task) -> bool:
    return type(task).augment is not Task.augment or type(task).augment_examples is not Task.augment_examples


def _training_record(history: History) -> TrainingRecord:
    curve = tuple(CurveRecord(**asdict(point)) for point in history.curve)
    return TrainingRecord(
        curve=curve,
        best_epoch=history.best_epoch,
        steps=history.steps,
        stopped=history.stopped,
        parts=history.parts,
        resumed_from=history.resumed_from,
        health=_health_record(history),
    )


def _health_record(history: History) -> HealthRecord | None:
    if history.chance is None:
        return None
    end = end_loss(history.source)
    return HealthRecord(
        chance=history.chance,
        source_loss=tuple(each.loss for each in history.source),
        source_share=tuple(each.share for each in history.source),
        source_weighted=tuple(each.weighted for each in history.source),
        target_loss=tuple(each.target for each in history.source),
        end=end,
        learned=learned(end, history.chance),
        probes=tuple(ProbeRecord(**asdict(probe)) for probe in history.probes),
    )
