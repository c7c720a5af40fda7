"""Several processes that do one run together (``torchrun`` or ``accelerate launch``); one process is the case where every exchange is skipped.

Gradients are summed once per optimiser step by this module instead of by DistributedDataParallel: its hooks wait inside ``backward``, so a process
that runs out of memory there, or that has no example of a short batch, would leave the others hanging.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pare_bench.model.parts import Part, cuts

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from torch import Tensor, nn

TIMEOUT_VARIABLE = "PARE_BENCH_TIMEOUT"
#: Seconds a process waits for the others before it gives up. Reading official files for the first time can take long on one of them.
_TIMEOUT = 1800
#: Elements of one exchanged block of gradients.
_BLOCK = 16 * 2**20


def timeout() -> timedelta:
    """Return how long a process waits for the others: ``PARE_BENCH_TIMEOUT`` seconds, or 30 minutes."""
    return timedelta(seconds=float(os.environ.get(TIMEOUT_VARIABLE, _TIMEOUT)))


def finish() -> None:
    """Leave the process group, if there is one."""
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@dataclass(frozen=True)
class Processes:
    """One process among ``count``, and what it exchanges with the others.

    Every method that exchanges something must be called by all of them, in the same order.
    """

    rank: int
    count: int
    device: torch.device

    @classmethod
    def of(cls, accelerator: Accelerator) -> Processes:
        """Return the processes of an accelerator."""
        return cls(accelerator.process_index, accelerator.num_processes, accelerator.device)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def share(self, total: int) -> Part:
        """Return this process's contiguous part of ``total`` examples; it may be empty."""
        start, stop = cuts(total, self.count)[self.rank]
        return Part(start, stop, total)

    def totals(self, *values: float) -> list[float]:
        """Return the sums of ``values`` over the processes, in double precision."""
        if self.count == 1:
            return list(values)
        import torch

        summed = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(summed)
        return summed.tolist()

    def from_main(self, value: Any) -> Any:
        """Return the main process's ``value``."""
        if self.count == 1:
            return value
        import torch

        box = [value]
        torch.distributed.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def tensors_from_main(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the main process's ``tensors``, on the CPU where they came over."""
        if self.count == 1:
            return dict(tensors)
        import torch

        received: dict[str, Tensor] = {}
        for name, shape, dtype in self.from_main([(name, tensor.shape, tensor.dtype) for name, tensor in tensors.items()]):
            carried = tensors[name].to(self.device) if self.is_main else torch.empty(shape, dtype=dtype, device=self.device)
            carried = carried.contiguous()
            torch.distributed.broadcast(carried, src=0)
            received[name] = tensors[name] if self.is_main else carried.cpu()
        return received

    def rows_from(self, owner: int, rows: Tensor | None, shape: Sequence[int]) -> Tensor:
        """Return the float32 ``rows`` of ``shape`` that process ``owner`` holds; the others give None."""
        import torch

        block = rows.contiguous() if rows is not None else torch.empty(tuple(shape), dtype=torch.float32, device=self.device)
        if self.count > 1:
            torch.distributed.broadcast(block, src=owner)
        return block

    def same_start(self, module: nn.Module) -> None:
        """Give every process the main process's weights and buffers."""
        if self.count == 1:
            return
        import torch

        with torch.no_grad():
            for tensor in [*module.parameters(), *module.buffers()]:
                carried = tensor.detach().to(self.device).contiguous()
                torch.distributed.broadcast(carried, src=0)
                tensor.copy_(carried)

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Add up the gradients of all processes; a parameter that has one nowhere keeps None, so the optimiser leaves it alone."""
        if self.count == 1:
            return
        import torch

        present = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.int32, device=self.device)
        torch.distributed.all_reduce(present)
        for parameter, number in zip(parameters, present.tolist(), strict=True):
            if number and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for block in _blocks(gradients):
            flat = torch.cat([gradient.flatten() for gradient in block])
            torch.distributed.all_reduce(flat)
            for gradient, summed in zip(block, flat.split([gradient.numel() for gradient in block]), strict=True):
                gradient.copy_(summed.view_as(gradient))


def _blocks(gradients: Sequence[Tensor]) -> list[list[Tensor]]:
    """Return the gradients in blocks of one type and of about ``_BLOCK`` elements."""
    blocks: list[list[Tensor]] = []
    size = 0
    for gradient in gradients:
        if not blocks or size + gradient.numel() > _BLOCK or blocks[-1][0].dtype != gradient.dtype:
            blocks.append([])
            size = 0
        blocks[-1].append(gradient)
        size += gradient.numel()
    return blocks
