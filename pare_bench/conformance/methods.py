"""Checks of a method: two training steps on three tiny problems with stand-ins in every slot that has one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pare_bench.config.run_config import SLOTS, RunConfig
from pare_bench.conformance.doubles import PROBLEMS, with_doubles
from pare_bench.conformance.reporting import class_problems, collect, seeded, version_problems
from pare_bench.contracts.method import Method, Predictor, TrainData
from pare_bench.contracts.params import Params, as_json
from pare_bench.contracts.task import Split, Task, TaskSize, weighted
from pare_bench.registry.names import Registry
from pare_bench.runs.runner import build_accelerator
from pare_bench.scoring.floor import ConstantPredictor
from pare_bench.training.context import RunContext
from pare_bench.training.progress import Silent

SIZE = TaskSize(8, 6, 6)


class _Watched(Registry):
    """A registry that notes the tasks that are built from it."""

    def build(self, kind: str, name: str, values: Mapping[str, Any] | None = None, **runtime: Any) -> Any:
        """Build and remember."""
        if kind == "task":
            self.tasks_built.add(name)
        return super().build(kind, name, values, **runtime)

    @classmethod
    def over(cls, registry: Registry) -> _Watched:
        """Return a watched copy of ``registry``."""
        watched = cls(registry.plugins)
        watched.tasks_built = set()
        return watched

    tasks_built: set[str]


def check_method(
    component: type[Method], params: Params | None = None, *, slots: tuple[str, ...] = (), registry: Registry | None = None
) -> list[str]:
    """Return what keeps ``component``, which uses ``slots``, from being a method.

    It is fitted twice for two steps on each of three tiny problems (classes of images, a dense field, labels of sequences).
    """
    return collect(_method(component, params, slots, Registry.from_environment() if registry is None else registry))


def _method(component: type[Method], params: Params | None, slots: tuple[str, ...], registry: Registry) -> Iterator[str]:
    faults = list(class_problems(component, Method))
    yield from faults
    if faults:
        return
    yield from version_problems(component)
    chosen = component.Params() if params is None else params
    implied = component.implied(chosen)
    if set(implied) - set(slots):
        yield f"implies parameters of slots that its spec does not list: {sorted(set(implied) - set(slots))}"
        return
    doubles = with_doubles(registry)
    for problem in PROBLEMS:
        yield from _fits(component(chosen), problem(problem.Params()), slots, implied, doubles)


def _fits(method: Method, task: Task, slots: tuple[str, ...], implied: Mapping[str, Mapping[str, Any]], registry: Registry) -> Iterator[str]:
    where = f"[{task.name}]"
    config = _config(task, slots, implied, registry)
    splits = task.generated(0, SIZE)
    source = None if config.source is None else registry.build("task", config.source.name).generated(0, SIZE)
    data = TrainData(task.name, task.inputs, weighted(task.target, splits.train), task.metrics, splits.train, splits.val)
    reason = method.skip_reason(data)
    if reason is not None:
        if not isinstance(reason, str) or not reason.strip():
            yield f"skips without a reason {where}"
        return
    before = _arrays(splits.train) + _arrays(splits.val)
    outputs = []
    for noise in (10, 11):  # whatever state the generators are in, the run's own streams must decide
        watched = _Watched.over(registry)
        context = RunContext(config, watched, Silent(), build_accelerator(config), source, _unchanged)
        with seeded(noise):
            predictor = method.fit(data, context)
            outputs.append(np.asarray(predictor.predict(splits.test.inputs)))
            part = np.asarray(predictor.predict(splits.test.inputs[:2]))
        if task.name in watched.tasks_built:
            yield f"builds the task itself, which holds the test split {where}"
    if not all(np.array_equal(old, new) for old, new in zip(before, _arrays(splits.train) + _arrays(splits.val), strict=True)):
        yield f"changes the data it is given {where}"
    yield from _predictor(predictor, where)
    expected = ConstantPredictor(task.target, splits.train).predict(splits.test.inputs).shape
    if outputs[0].shape != expected or outputs[0].dtype != np.float32:
        yield f"predictions are {outputs[0].dtype} {outputs[0].shape}, promised are float32 {expected} {where}"
        return
    if not np.isfinite(outputs[0]).all():
        yield f"predictions are not finite {where}"
    if not np.array_equal(outputs[0], outputs[1], equal_nan=True):
        yield f"the same seed gives other predictions: draw from streams of the context only {where}"
    if not np.allclose(part, outputs[1][:2], rtol=1e-4, atol=1e-5, equal_nan=True):
        yield f"a prediction depends on the other examples that are predicted with it {where}"


def _config(task: Task, slots: tuple[str, ...], implied: Mapping[str, Mapping[str, Any]], registry: Registry) -> RunConfig:
    backbone, embedder, source = PROBLEMS[type(task)]  # type: ignore[index]
    stand_ins = {"backbone": backbone, "embedder": embedder, "source": source, "selector": "gate_gumbel", "mixer": "patch_replace", "aligner": "l2"}
    filled = {
        slot: {"name": name, "params": as_json(registry.params(SLOTS[slot], name, implied.get(slot)))}
        for slot, name in stand_ins.items()
        if slot in slots
    }
    values = {"suite": "conformance", "preset": "smoke", "task": {"name": task.name}, "method": {"name": "checked"}, "size": vars(SIZE)}
    return RunConfig.model_validate({**values, **filled, "recipe": {"batch_size": 4}, "budget": {"epochs": 1, "max_steps": 2}})


def _arrays(split: Split) -> list[np.ndarray]:
    return [np.array(array) for array in (split.inputs, split.targets, *split.extras.values())]


def _unchanged(split: Split, rng: np.random.Generator) -> Split:  # noqa: ARG001 - the signature of an augmentation
    return split


def _predictor(predictor: Predictor, where: str) -> Iterator[str]:
    total, trained = predictor.parameters_total, predictor.parameters_trained
    if not (isinstance(total, int) and isinstance(trained, int) and trained >= 0):
        yield f"parameters_total = {total!r} and parameters_trained = {trained!r} are not counts {where}"
