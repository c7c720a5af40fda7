"""Checks of a task: what the generated tier gives, and that its metrics can score it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from joblib import parallel_config

from pare_bench.conformance.leaks import disjoint, nearly_repeated, repeated
from pare_bench.conformance.reads import Reads, reads
from pare_bench.conformance.reporting import class_problems, collect, version_problems
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import SPLIT_NAMES, Classes, Field, Labels, PairMap, Split, Splits, Target, Task, TaskSize
from pare_bench.datasets.cache import digest
from pare_bench.datasets.official import OfficialFiles, data_root
from pare_bench.datasets.simulated import SimulatedTask, generate_splits
from pare_bench.digests.closure import OURS
from pare_bench.registry.declared import contradictions
from pare_bench.registry.specs import TaskSpec
from pare_bench.scoring.floor import ConstantPredictor

TINY = TaskSize(8, 4, 6)
#: Published examples of each split that are looked at.
EXCERPT = 64


def check_task(component: type[Task], params: Params | None = None, *, size: TaskSize = TINY, spec: TaskSpec | None = None) -> list[str]:
    """Return what keeps ``component`` from being a task: declarations, shapes, disjoint splits, fixed bytes, metrics.

    ``size`` is generated three times. Where ``spec`` is given, name, modality and density must agree with it. A task whose spec lists no
    generated tier is checked by its published files, of which the first examples are read.

    Raises:
        DataMissingError: the task has published files alone, they are not here, and nothing else is wrong with it.
    """
    return collect(_task(component, params, size, spec))


def _task(component: type[Task], params: Params | None, size: TaskSize, spec: TaskSpec | None) -> Iterator[str]:
    faults = list(class_problems(component, Task))
    yield from faults
    if faults:
        return
    declared = list(_declaration(component, spec))
    yield from declared
    task = component(component.Params() if params is None else params)
    if spec is not None and spec.offline_tier == "bundled":
        yield from [] if declared else _bundled(task)
        return
    if spec is not None and "generated" not in spec.tiers:
        # What is wrong with a declaration can be said without the files.
        yield from [] if declared else _published(task)
        return
    with reads() as seen:
        splits = _generate(task, 0, size)
    yield from _undeclared(task, seen, (), "generated")
    for name in SPLIT_NAMES:
        split = getattr(splits, name)
        if len(split) != getattr(size, name):
            yield f"split has {len(split)} examples, asked for were {getattr(size, name)} [{name}]"
        yield from _inputs(task, split, f"[{name}]")
        yield from _targets(task, split, f"[{name}]")
    yield from disjoint(splits)
    yield from nearly_repeated(splits, table=task.inputs.table, simulated=True)
    yield from _separate_groups(splits)
    if digest(_generate(task, 0, size)) != digest(splits):
        yield "the same seed gives other bytes"
    if digest(_generate(task, 1, size)) == digest(splits):
        yield "another seed gives the same bytes"
    yield from _metrics(task, splits)
    yield from _augmentation(task, splits.train)


def _bundled(task: Task) -> Iterator[str]:
    splits = task.bundled(0, "clean")
    for name in SPLIT_NAMES:
        yield from _inputs(task, getattr(splits, name), f"[{name}]")
        yield from _targets(task, getattr(splits, name), f"[{name}]")
    yield from _leaks(task, splits)
    if digest(task.bundled(0, "clean")) != digest(splits):
        yield "the same seed gives other bytes"
    if digest(task.bundled(1, "clean")) == digest(splits):
        yield "another seed gives the same bytes"
    yield from _metrics(task, splits)
    yield from _augmentation(task, splits.train)


def _leaks(task: Task, splits: Splits) -> Iterator[str]:
    """Yield what real splits share; real tables have rows that occur twice, so some of them may stand in two splits."""
    yield from repeated(splits)
    yield from nearly_repeated(splits, table=task.inputs.table, simulated=False)
    yield from _separate_groups(splits)


def _published(task: Task) -> Iterator[str]:
    files = OfficialFiles(data_root(), task.name, task.official_files)
    with reads() as seen:
        whole = task.official_at(files, "clean", 0)
        for name in SPLIT_NAMES:
            # What is read when it is asked for is read, too.
            np.asarray(getattr(whole, name).inputs[:1])
    yield from _undeclared(task, seen, files.handed, "official")
    splits = Splits(*(getattr(whole, name).take(np.arange(min(len(getattr(whole, name)), EXCERPT))) for name in SPLIT_NAMES))
    for name in SPLIT_NAMES:
        split = getattr(splits, name)
        if len(split):
            yield from _inputs(task, split, f"[{name}]")
            yield from _targets(task, split, f"[{name}]")
    if not len(splits.train):
        yield "there are no training examples"
        return
    yield from _leaks(task, splits)
    if len(splits.test):
        yield from _metrics(task, splits)
    if not task.embedded:
        yield from _augmentation(task, splits.train)


def _undeclared(task: Task, seen: Reads, handed: Collection[Path], method: str) -> Iterator[str]:
    """Yield the files that were read and that no digest covers: data made of another version of them would be served as if they were the same."""
    # A class from a notebook has no package.
    name = type(task).__module__.partition(".")[0]
    own = [] if name in OURS else [Path(folder) for folder in getattr(sys.modules.get(name), "__path__", ())]
    for path in seen.undeclared([*task.generated_files(), *handed], own):
        way = "name it in generated_files" if method == "generated" else "ask files.path for it, or name it in generated_files"
        yield f"{method} reads '{path}', which nothing that a run is known by covers: {way}"


def _generate(task: Task, seed: int, size: TaskSize) -> Splits:
    # A tiny size is made faster here than in worker processes that would have to start first; the bytes are the same.
    if isinstance(task, SimulatedTask) and type(task).generated is SimulatedTask.generated:
        return generate_splits(task, seed, size, workers=1)
    with parallel_config(backend="sequential"):
        return task.generated(seed, size)


def _declaration(component: type[Task], spec: TaskSpec | None) -> Iterator[str]:
    yield from version_problems(component)
    names = [metric.name for metric in component.metrics]
    if not names or len(set(names)) != len(names):
        yield f"metrics are {names}: a task needs at least one, each name once"
    if "cpu" not in component.sizes and (spec is None or "generated" in spec.tiers):
        yield "sizes has no entry 'cpu', the size of every preset without its own"
    for values in component.preset_params.values():
        component.Params(**values)
    if spec is None:
        return
    if component.name != spec.name:
        yield f"its name is '{component.name}', registered is '{spec.name}'"
    yield from contradictions(component, spec)


def _inputs(task: Task, split: Split, where: str) -> Iterator[str]:
    shape = (task.inputs.channels, *task.inputs.grid)
    inputs = np.asarray(split.inputs)
    # A text proxy holds token ids, which have no channel; everything else is float32, or float16 to halve a large file.
    allowed = [shape[1:]] if inputs.dtype == np.int64 else [shape] if inputs.dtype in (np.float32, np.float16) else []
    if task.embedded:
        # Tokens of whatever backbone made them: one vector for each place.
        allowed = [(*task.inputs.grid, inputs.shape[-1])] if inputs.dtype.kind == "f" else []
    if inputs.shape[1:] not in allowed:
        yield f"inputs are {inputs.dtype} of shape {inputs.shape[1:]}, promised are float32 {shape} (token ids: int64 {shape[1:]}) {where}"
    if not np.isfinite(inputs).all():
        yield f"inputs are not finite {where}"
    for name, array in split.extras.items():
        if not np.isfinite(np.asarray(array)).all():
            yield f"extras['{name}'] are not finite {where}"


def _promised_targets(target: Target, count: int) -> tuple[type[np.generic], tuple[int, ...], float, float]:
    """Return type, shape, least and largest value of the targets of ``count`` examples."""
    match target:
        case Classes(num=num):
            return np.int64, (count,), 0.0, num - 1.0
        case Labels(num=num):
            return np.float32, (count, num), 0.0, 1.0
        case Field(shape=shape, values="mask"):
            return np.float32, (count, *shape), 0.0, 1.0
        case Field(shape=shape):
            return np.float32, (count, *shape), -np.inf, np.inf
        case PairMap(size=size):
            return np.float32, (count, size, size), 0.0, np.inf
    raise TypeError(f"{target!r} is not a kind of target")


def _targets(task: Task, split: Split, where: str) -> Iterator[str]:
    targets = np.asarray(split.targets)
    kind, shape, low, high = _promised_targets(task.target, len(split))
    if targets.dtype != kind or targets.shape != shape:
        yield f"targets are {targets.dtype} {targets.shape}, promised are {np.dtype(kind)} {shape} {where}"
        return
    if not np.isfinite(targets).all() or targets.min() < low or targets.max() > high:
        yield f"targets leave [{low}, {high}] or are not finite {where}"
    if (low, high) == (0.0, 1.0) and kind is np.float32 and not np.isin(targets, (0, 1)).all():
        yield f"targets are not 0 and 1 {where}"
    yield from _extras(task, split, where)


def _extras(task: Task, split: Split, where: str) -> Iterator[str]:
    if isinstance(task.target, PairMap):
        lengths = np.asarray(split.extras.get("lengths", ()))
        if not len(lengths) or lengths.dtype != np.int64 or lengths.min() < 1 or lengths.max() > task.target.size:
            yield f"extras['lengths'] is not int64 in [1, {task.target.size}] {where}"
    ignore = split.extras.get("ignore")
    if ignore is not None and (ignore.dtype != np.bool_ or ignore.shape != split.targets.shape):
        yield f"extras['ignore'] is not bool of the targets' shape {where}"


def _separate_groups(splits: Splits) -> Iterator[str]:
    owners: dict[int, str] = {}
    for name in SPLIT_NAMES:
        for group in np.unique(getattr(splits, name).extras.get("groups", [])):
            if owners.setdefault(int(group), name) != name:
                yield f"a group of '{owners[int(group)]}' stands in '{name}', too: splits must not share a recording or subject"


def _metrics(task: Task, splits: Splits) -> Iterator[str]:
    if not all(np.isfinite(np.asarray(part.targets)).all() for part in (splits.train, splits.test)):
        # Said of the targets; what a metric makes of them is no fault of the metric.
        return
    floor = ConstantPredictor(task.target, splits.train).predict(splits.test.inputs)
    perfect = perfect_outputs(task, splits.test)
    for metric in task.metrics:
        scores = {name: metric.compute(outputs, splits.test) for name, outputs in (("floor", floor), ("perfect", perfect))}
        if not all(isinstance(score, float) and np.isfinite(score) for score in scores.values()):
            yield f"gives no finite float but {scores} [metric {metric.name}]"
            continue
        signed = {name: score if metric.direction == "minimise" else -score for name, score in scores.items()}
        if signed["perfect"] > signed["floor"]:
            yield f"prefers a constant ({scores['floor']:.4g}) to perfect outputs ({scores['perfect']:.4g}) [metric {metric.name}]"


def perfect_outputs(task: Task, split: Split) -> np.ndarray:
    """Return raw outputs [n ...] float32 that say exactly what the targets are."""
    outputs: np.ndarray = np.asarray(split.targets)
    match task.target:
        case Classes(num=num):
            outputs = 20 * np.eye(num)[outputs]
        case Labels() | Field(values="mask"):
            outputs = 40 * outputs - 20
    return outputs.astype(np.float32)


def _augmentation(task: Task, split: Split) -> Iterator[str]:
    inputs, targets = np.asarray(split.inputs), np.asarray(split.targets)
    before = inputs.copy(), targets.copy()
    results = [task.augment(inputs, targets, np.random.default_rng(seed)) for seed in (0, 0)]
    if not (_same(before[0], inputs) and _same(before[1], targets)):
        yield "augment changes its inputs"
    for old, first, second in zip(before, *results, strict=True):
        # Values that were not finite before are no fault of the augmentation.
        if first.shape != old.shape or first.dtype != old.dtype or (np.isfinite(old).all() and not np.isfinite(first).all()):
            yield "augment changes shape or type, or gives values that are not finite"
        if not _same(first, second):
            yield "augment does not draw from the generator it is given"


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether two arrays agree in shape, type and every byte, NaN included."""
    return first.shape == second.shape and first.dtype == second.dtype and first.tobytes() == second.tobytes()
