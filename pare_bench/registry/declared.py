"""What a task says of itself that the spec which registers it says, too: both must agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pare_bench.registry.specs import TaskSpec

#: Grids of inputs, by their number of axes.
_MODALITIES: Mapping[int, str] = {1: "sequence", 2: "image"}
#: Targets with a value for each place, by name: contracts stand above this room.
_DENSE = {"pare_bench.contracts.task.Field", "pare_bench.contracts.task.PairMap"}


def declared(task: Any) -> dict[str, Any]:
    """Return the fields of its spec that follow from a task, or its class: ``modality`` where its grid has one, and ``dense``."""
    inputs = getattr(task, "inputs", None)
    grid = getattr(inputs, "grid", ())
    found: dict[str, Any] = {"dense": any(f"{base.__module__}.{base.__name__}" in _DENSE for base in type(getattr(task, "target", None)).__mro__)}
    if len(grid) in _MODALITIES:
        found["modality"] = "table" if getattr(inputs, "table", False) else _MODALITIES[len(grid)]
    return found


def contradictions(task: Any, spec: TaskSpec) -> Iterator[str]:
    """Yield in what ``spec`` differs from what a task takes and predicts: the default backbone, the embedder and the head follow from it."""
    says = declared(task)
    if says.get("modality") != spec.modality:
        yield f"a grid of {task.inputs.grid} is not of modality '{spec.modality}'"
    if says["dense"] != spec.dense:
        yield f"dense is {spec.dense} in its spec, its target is {type(task.target).__name__}"
