"""One configuration to one record. Only this module opens the test split, once, after the model is final."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import InitProcessGroupKwargs

from pare_bench.config.resolution import changes_from_preset
from pare_bench.config.run_config import SLOTS, RunConfig, Tier
from pare_bench.contracts.method import TrainData
from pare_bench.contracts.task import SPLIT_NAMES, Task, weighted
from pare_bench.datasets.cache import Data
from pare_bench.errors import EnvironmentFault, PareBenchError, TrainingDivergedError, plain_text
from pare_bench.provenance.revision import revision
from pare_bench.records.predictions import PredictionsFolder, outputs_digest
from pare_bench.records.record import ComponentRecord, CurveRecord, EnvironmentRecord, RunRecord, TaskRecord, TrainingRecord
from pare_bench.registry.names import Registry
from pare_bench.runs.preparation import Prepared
from pare_bench.scoring.scores import measure, metrics_of, scored, scoring_code
from pare_bench.training.checkpoint import CheckpointFolder
from pare_bench.training.context import RunContext
from pare_bench.training.distributed import timeout
from pare_bench.training.launched import is_main_process, launched_processes
from pare_bench.training.loop import History
from pare_bench.training.memory import MemoryLimit, PeakMemory
from pare_bench.training.numerics import numerics, pinned
from pare_bench.training.progress import Reporter

_LIBRARIES = ("torch", "timm", "transformers", "accelerate", "numpy", "scipy", "scikit-learn", "POT")


def run(
    registry: Registry,
    prepared: Prepared,
    reporter: Reporter,
    command: str,
    checkpoint: CheckpointFolder | None = None,
    predictions: PredictionsFolder | None = None,
    cause: str | None = None,
) -> RunRecord:
    """Train, predict, score; a failure becomes a failed record. Ctrl-C is not a failure and passes through.

    ``checkpoint`` is where training states are kept and where an interrupted run goes on from, ``predictions`` where the outputs on the test split
    are kept, ``cause`` why the run was not served. With several processes an unexpected failure in one
    of them is raised, so that the launcher ends all.
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
    if is_main_process():
        registry.plugins.notify("pare_bench_run_started", config=config, run_id=prepared.run_id)
    measured = _Measured(started=datetime.now(UTC), seconds={"prepare": prepared.seconds})
    outcome: dict[str, Any] = {}
    try:
        with PeakMemory() as memory, MemoryLimit(config.device):
            outcome = _fit_and_score(registry, prepared, reporter, measured, checkpoint, predictions)
        outcome["peak_memory_mb"] = memory.megabytes
    except TrainingDivergedError as error:
        outcome = {"status": "failed", "reason": plain_text(str(error))}
    except (torch.OutOfMemoryError, MemoryError) as error:
        outcome = {"status": "failed", "reason": plain_text(f"out of memory: {error}")}
    except PareBenchError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Whatever a method does wrong must end in a record, sys.exit too, not take the other runs along; one process of several cannot go on alone.
        if launched_processes() > 1:
            raise
        outcome = {"status": "failed", "reason": plain_text(f"{type(error).__name__}: {error}")}
        measured.traceback = error
    record = _record(registry, prepared, measured, {**outcome, "cause": cause}, command)
    if measured.traceback is not None:
        reporter.stage("failed")
        sys.excepthook(type(measured.traceback), measured.traceback, measured.traceback.__traceback__)
    return record


@dataclass
class _Measured:
    started: datetime
    seconds: dict[str, float]
    began: float = field(default_factory=time.perf_counter)
    traceback: BaseException | None = None

    def finished(self) -> datetime:
        """Return the time now, by a clock that cannot jump back where that of the day has: nothing ends before it starts."""
        return max(datetime.now(UTC), self.started + timedelta(seconds=time.perf_counter() - self.began))


def _fit_and_score(
    registry: Registry,
    prepared: Prepared,
    reporter: Reporter,
    measured: _Measured,
    checkpoint: CheckpointFolder | None,
    predictions: PredictionsFolder | None,
) -> dict[str, Any]:
    config, task, splits = prepared.config, prepared.task, prepared.data.splits
    metrics = metrics_of(task, config)
    data = TrainData(task.name, task.inputs, weighted(task.target, splits.train), metrics, splits.train, splits.val)
    method = registry.build("method", config.method.name, config.method.params)
    reason = method.skip_reason(data)
    if reason is not None:
        return {"status": "skipped", "reason": plain_text(reason)}
    context = RunContext(
        config=config,
        registry=registry,
        reporter=reporter,
        accelerator=build_accelerator(config),
        source=prepared.source.data.splits if prepared.source else None,
        augment=task.augment_examples if _augments(task) else None,
        checkpoint=checkpoint,
    )
    began = time.perf_counter()
    predictor = method.fit(data, context)
    fitted = time.perf_counter()
    reporter.stage("evaluate")
    outputs = np.asarray(predictor.predict(splits.test.inputs), dtype=np.float32)
    if not np.isfinite(outputs).all():
        raise TrainingDivergedError("predictions on the test split are not finite", hint="lower recipe.learning_rate")
    scores = scored(task, config, outputs, splits)
    stages = {name: history.seconds for name, history in context.histories.items()}
    measured.seconds |= stages | {"build": fitted - began - sum(stages.values()), "evaluate": time.perf_counter() - fitted}
    trained = context.histories.get("train")
    kept = None
    if predictions is not None and is_main_process():
        kept = predictions.save(prepared.run_id, outputs, lambda rounded: measure(metrics, rounded, splits.test) == scores.metrics)
    return {
        "status": "ok",
        "metrics": scores.metrics,
        "floor": scores.floor,
        "persistence": scores.persistence,
        "scoring": scoring_code(task, config),
        "training": {name: _training_record(history) for name, history in context.histories.items()},
        "predictions_sha256": outputs_digest(outputs),
        "predictions": kept,
        "parameters_total": predictor.parameters_total,
        "parameters_trained": predictor.parameters_trained,
        "samples_per_second": trained.examples / trained.seconds if trained else None,
    }


def build_accelerator(config: RunConfig) -> Accelerator:
    """Return the accelerator for a run's device and precision.

    Raises:
        EnvironmentFault: the device is not there.
    """
    device = torch.device(config.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise EnvironmentFault(f"device '{config.device}' is not available on this machine", hint="use --device cpu")
    if device.type == "cpu" and config.precision == "float16":
        raise EnvironmentFault("precision 'float16' needs a GPU", hint="use -o precision=bfloat16 or --device cuda")
    if device.index is not None:
        if launched_processes() > 1:
            raise EnvironmentFault(f"device '{config.device}' is one GPU, and there are {launched_processes()} processes", hint="use --device cuda")
        if device.type == "cuda" and device.index >= torch.cuda.device_count():
            raise EnvironmentFault(f"device '{config.device}' is not available on this machine", hint="use --device cuda")
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
    )


def _record(registry: Registry, prepared: Prepared, measured: _Measured, outcome: dict[str, Any], command: str) -> RunRecord:
    config, task = prepared.config, prepared.task

    def component(kind: str, name: str, params: dict[str, Any]) -> ComponentRecord:
        plugin = registry.entry(kind, name).plugin
        return ComponentRecord(name=name, params=params, plugin=plugin.name, distribution=plugin.distribution, version=plugin.version)

    return RunRecord(
        run_id=prepared.run_id,
        suite=config.suite,
        task=_task_record(task, config.tier, prepared.data),
        source=_task_record(prepared.source.task, prepared.source.tier, prepared.source.data) if prepared.source else None,
        weights_sha256=prepared.identity.weights,
        method=component("method", config.method.name, config.method.params),
        slots={slot: component(SLOTS[slot], chosen.name, chosen.params) for slot, chosen in config.slots().items()},
        track=config.track,
        preset=config.preset,
        seed=config.seed,
        seconds={name: round(value, 3) for name, value in measured.seconds.items()},
        environment=_environment(config),
        started=measured.started.isoformat(timespec="milliseconds"),
        finished=measured.finished().isoformat(timespec="milliseconds"),
        command=plain_text(command),
        variant=changes_from_preset(registry, config),
        config=config,
        code_sha256=prepared.identity.code_sha256,
        identity=prepared.identity,
        **outcome,
    )


def _task_record(task: Task, tier: Tier, data: Data) -> TaskRecord:
    return TaskRecord(
        name=task.name,
        version=task.version,
        tier=tier,
        data_sha256=data.sha256,
        sizes={name: len(getattr(data.splits, name)) for name in SPLIT_NAMES},
        real="all of it: the published files" if tier == "official" else task.real,
    )


def _environment(config: RunConfig) -> EnvironmentRecord:
    device = torch.cuda.get_device_name() if config.device.startswith("cuda") else platform.processor() or platform.machine()
    return EnvironmentRecord(
        pare_bench=importlib.metadata.version("pare-bench"),
        revision=revision(),
        python=platform.python_version(),
        platform=platform.platform(),
        device=device,
        threads=torch.get_num_threads(),
        processes=launched_processes(),
        numerics=numerics(),
        libraries={name: importlib.metadata.version(name) for name in _LIBRARIES},
    )
