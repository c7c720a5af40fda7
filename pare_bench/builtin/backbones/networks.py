"""Networks from outside: tried without memory before they are built, and looked at after weights were loaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import psutil
import torch
from torch import nn

from pare_bench.errors import EnvironmentFault, IntegrityError, PareBenchError

_LAYER = re.compile(r"(?:^|\.)(?:encoder\.layers?|blocks|layers)\.\d+\.(?:blocks\.\d+\.)?")


def check_network(build: Callable[[], nn.Module], compute: Callable[[nn.Module], object], *, said: str, hint: str) -> int:
    """Build a network on torch's meta device, where tensors have shapes and no memory, compute one example, and return its number of parameters
    (0 where the library cannot build it so).

    ``said`` names in messages what describes the network.

    Raises:
        EnvironmentFault: it would not fit this machine's memory.
        IntegrityError: it cannot be built, or what is built cannot be computed.

    """
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad():
            network = build().eval()
            compute(network)
    except PareBenchError:
        raise
    # Libraries raise errors of many types for sizes that do not go together.
    except Exception as error:
        if "meta tensor" in str(error):
            return 0  # an older timm reads values of tensors while it builds: here nothing can be told beforehand
        raise IntegrityError(f"{said} describes no network that can be computed: {one_line(error)}", hint=hint) from error
    needed = sum(4 * each.numel() for each in (*network.parameters(), *network.buffers()))
    memory = psutil.virtual_memory().total
    if needed > memory:
        message = f"{said} describes a network of {needed / 1e9:.4g} GB, and this machine has {memory / 1e9:.4g} GB of memory"
        raise EnvironmentFault(message, hint="choose a smaller model")
    return sum(weight.numel() for weight in network.parameters())


def check_finite(network: nn.Module, said: str) -> None:
    """Check that all weights are finite.

    Raises:
        IntegrityError: one is not.

    """
    for name, weight in network.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise IntegrityError(f"{said}: tensor '{name}' holds values that are not finite", hint="choose other weights")


def check_layers(network: nn.Module, unexpected: Iterable[str], said: str) -> None:
    """Check that the weights hold no layer that the network lacks; heads and poolers, which are not wanted here, may be there.

    Raises:
        IntegrityError: they do, so that a network would be cut short without a word.

    """
    own = {found.group().lstrip(".") for name, _ in network.named_parameters() if (found := _LAYER.search(name))}
    for name in sorted(unexpected):
        found = _LAYER.search(name)
        if found is not None and found.group().lstrip(".") not in own:
            raise IntegrityError(f"{said} hold a layer that the architecture lacks: tensor '{name}'", hint="choose the architecture of the weights")


def one_line(error: Any) -> str:
    """Return the error of a library in one line: its type where it says nothing itself."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
