"""What the method ``hand_designed`` knows about an expert: its network, which problems it fits, its sizes and its recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from pare_bench.contracts.method import TrainData
from pare_bench.contracts.task import Field, InputShape, PairMap, Split, Target
from pare_bench.model.heads import OutputScale

if TYPE_CHECKING:
    from pare_bench.contracts.method import Context

#: ``tiny`` for tests, ``small`` for two cores and some hundred examples, ``published`` as printed or released.
Size = Literal["tiny", "small", "published"]


@dataclass(frozen=True)
class Expert:
    """One hand-designed network.

    ``build(inputs, target, **sizes[size])`` gives a network from ``[batch channels *grid]`` to raw outputs of the target's shape: logits, or for
    fields and pair maps values in units of ``scale(target, train)``, which the method puts behind it. ``misfit`` returns what of a problem the
    network cannot take, None if it fits. ``recipes[size]`` are paths and values as ``-o`` takes them, ``by_task[task]`` those of size ``small`` that
    differ for a task. ``prefit(network, data, context)`` works on the training split before the training loop and returns whether that was all.
    """

    name: str
    citation: str
    tasks: tuple[str, ...]
    build: Callable[..., nn.Module]
    misfit: Callable[[InputShape, Target], str | None]
    sizes: Mapping[Size, Mapping[str, Any]]
    recipes: Mapping[Size, Mapping[str, object]] = field(default_factory=dict)
    by_task: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    scale: Callable[[Target, Split], nn.Module] = OutputScale
    prefit: Callable[[nn.Module, TrainData, Context], bool] | None = None

    def network(self, inputs: InputShape, target: Target, size: Size) -> nn.Module:
        """Return the network of a size for a problem that it fits."""
        return self.build(inputs, target, **self.sizes[size])

    def recipe(self, size: Size, task: str) -> Mapping[str, object]:
        """Return the recipe of a size for a task."""
        return {**self.recipes[size], **(self.by_task.get(task, {}) if size == "small" else {})}


def needs(dimensions: int, *targets: type[Target]) -> Callable[[InputShape, Target], str | None]:
    """Return the usual ``misfit``: grids of ``dimensions`` axes and one of the kinds ``targets``."""

    def misfit(inputs: InputShape, target: Target) -> str | None:
        if len(inputs.grid) != dimensions:
            return f"takes {dimensions}-D inputs, got a grid of {inputs.grid}"
        if not isinstance(target, targets):
            return f"gives {' or '.join(kind.__name__ for kind in targets)}, the target is {type(target).__name__}"
        return None

    return misfit


def keeps_grid(dimensions: tuple[int, ...] = (2,), channels: int | None = None) -> Callable[[InputShape, Target], str | None]:
    """Return the ``misfit`` of networks that give values per place of an input with one of so many axes; ``channels`` limits the values per place."""

    def misfit(inputs: InputShape, target: Target) -> str | None:
        axes = len(inputs.grid)
        reason = needs(axes if axes in dimensions else dimensions[-1], Field, PairMap)(inputs, target)
        if reason is not None:
            return reason
        grid = (target.size, target.size) if isinstance(target, PairMap) else target.grid if isinstance(target, Field) else ()
        if grid != inputs.grid:
            return f"keeps the grid of its input, {inputs.grid}, the target lies on {grid}"
        if channels is not None and channels_of(target) > channels:
            return f"gives {channels} value per place, the target has {channels_of(target)}"
        return None

    return misfit


def channels_of(target: Target) -> int:
    """Return the number of values per place of a field or a pair map."""
    return target.channels if isinstance(target, Field) else 1
