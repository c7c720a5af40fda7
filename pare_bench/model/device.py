"""The device that a run or probe asks for."""

from __future__ import annotations

import torch

from pare_bench.errors import EnvironmentFault


def present(name: str) -> torch.device:
    """Return the device of this name.

    Raises:
        EnvironmentFault: this machine does not have it: no GPU that torch can use, not so many, or ``mps`` elsewhere than on Apple's processors.
    """
    device = torch.device(name)
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        hint = "use --device cuda" if torch.cuda.is_available() else "use --device cpu"
        raise EnvironmentFault(f"device '{name}' is not available on this machine", hint=hint)
    if device.type == "mps" and not torch.backends.mps.is_available():
        why = "it needs macOS on an Apple processor" if not torch.backends.mps.is_built() else "torch finds none"
        raise EnvironmentFault(f"device '{name}' is not available on this machine: {why}", hint="use --device cpu")
    return device
