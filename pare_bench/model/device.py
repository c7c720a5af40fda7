"""The device that a run or probe asks for."""

from __future__ import annotations

import torch

from pare_bench.errors import EnvironmentFault


def present(name: str) -> torch.device:
    """Return the device of this name.

    Raises:
        EnvironmentFault: this machine does not have it.
    """
    device = torch.device(name)
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        hint = "use --device cuda" if torch.cuda.is_available() else "use --device cpu"
        raise EnvironmentFault(f"device '{name}' is not available on this machine", hint=hint)
    return device
