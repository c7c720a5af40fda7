"""What the method ``hand_designed`` knows about an expert: its network, which problems it fits, its sizes and its recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from pare_bench.contracts.method import TrainData
from pare_bench.contracts.task import Field, InputShape, PairMap, Target

if TYPE_CHECKING:
    from pare_bench.context import Context

#: ``tiny`` for tests, ``small`` for two cores and some hundred examples, ``published`` as printed or released.
Size = Literal["tiny", "small", "published"]


@dataclass(frozen=True)
class Expert:
    """One hand-designed network.

    ``build(inputs, target, **sizes[size])`` gives a network from ``[batch channels *grid]`` to raw outputs of the target's shape: logits, or for
    fields and pair maps values in units of :class:`pare_bench.heads.OutputScale`, which the method puts behind it. ``misfit`` returns what of a
    problem the network cannot take, None if it fits. ``recipes[size]`` are paths and values as ``-o`` takes them. ``prefit(network, data, context)``
    works on the training split before the training loop and returns whether that was all.
    """

    name: str
    citation: str
    tasks: tuple[str, ...]
    build: Callable[..., nn.Module]
    misfit: Callable[[InputShape, Target], str | None]
    sizes: Mapping[Size, Mapping[str, Any]]
    recipes: Mapping[Size, Mapping[str, object]] = field(default_factory=dict)
    prefit: Callable[[nn.Module, TrainData, Context], bool] | None = None

    def network(self, inputs: InputShape, target: Target, size: Size) -> nn.Module:
        """Return the network of a size for a problem that it fits."""
        return self.build(inputs, target, **self.sizes[size])


def needs(dimensions: int, *targets: type[Target]) -> Callable[[InputShape, Target], str | None]:
    """Return the usual ``misfit``: grids of ``dimensions`` axes and one of the kinds ``targets``."""

    def misfit(inputs: InputShape, target: Target) -> str | None:
        if len(inputs.grid) != dimensions:
            return f"takes {dimensions}-D inputs, got a grid of {inputs.grid}"
        if not isinstance(target, targets):
            return f"gives {' or '.join(kind.__name__ for kind in targets)}, the target is {type(target).__name__}"
        return None

    return misfit


def keeps_grid(inputs: InputShape, target: Target) -> str | None:
    """Return the ``misfit`` of networks that give one value per place of a 2-D input."""
    reason = needs(2, Field, PairMap)(inputs, target)
    if reason is not None:
        return reason
    grid = (target.size, target.size) if isinstance(target, PairMap) else target.grid if isinstance(target, Field) else ()
    return None if grid == inputs.grid else f"keeps the grid of its input, {inputs.grid}, the target lies on {grid}"
