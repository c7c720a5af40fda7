"""What a task says of itself twice, in its class and where it is registered: both must agree."""

from __future__ import annotations

from collections.abc import Iterator

from pare_bench.contracts.task import Field, PairMap, Task
from pare_bench.registry.specs import TaskSpec

_MODALITIES = {1: "sequence", 2: "image"}


def contradictions(task: Task | type[Task], spec: TaskSpec) -> Iterator[str]:
    """Yield in what ``spec`` differs from what ``task`` takes and predicts: the default backbone, the embedder and the head follow from it."""
    if ("table" if task.inputs.table else _MODALITIES.get(len(task.inputs.grid))) != spec.modality:
        yield f"a grid of {task.inputs.grid} is not of modality '{spec.modality}'"
    if isinstance(task.target, Field | PairMap) != spec.dense:
        yield f"dense is {spec.dense} in its spec, its target is {type(task.target).__name__}"
