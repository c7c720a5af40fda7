"""What to do when a batch does not fit: the same batch in more pieces, with the same result."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import torch


@dataclass
class BackOff:
    """In how many pieces a micro-batch (``parts``) and an evaluation batch (``evaluation_parts``) are worked through; kept for a whole run."""

    parts: int = 1
    evaluation_parts: int = 1


class RandomState:
    """The state of torch's default generators, to be drawn from once more."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cpu = torch.get_rng_state()
        self.accelerator = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def restore(self) -> None:
        """Go back to this state."""
        torch.set_rng_state(self.cpu)
        if self.accelerator is not None:
            torch.cuda.set_rng_state(self.accelerator, self.device)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` says that memory ran out, on a GPU or in torch's CPU allocator."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in ("can't allocate memory", "std::bad_alloc"))


def release(device: torch.device) -> None:
    """Give back what a failed attempt still holds."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
