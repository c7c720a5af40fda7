"""Whether a device is there: asked before anything is loaded for it."""

from __future__ import annotations

import torch

from pare_bench.errors import EnvironmentFault


def check_available(name: str) -> None:
    """Refuse a device that this machine does not have.

    Raises:
        EnvironmentFault: ``cuda`` without a GPU that torch can use, or ``mps`` elsewhere than on Apple's processors.
    """
    kind = torch.device(name).type
    if kind == "cuda" and not torch.cuda.is_available():
        raise EnvironmentFault(f"device '{name}' is not available on this machine", hint="use --device cpu")
    if kind == "mps" and not torch.backends.mps.is_available():
        why = "it needs macOS on an Apple processor" if not torch.backends.mps.is_built() else "torch finds none"
        raise EnvironmentFault(f"device '{name}' is not available on this machine: {why}", hint="use --device cpu")
