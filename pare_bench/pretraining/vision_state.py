"""The state of a pretraining of ``nano_swin`` in one file of a few megabytes, small enough to be kept with the weights, so that a later day goes on.

Weights are kept whole, the optimiser's moments in bfloat16. Whoever writes the state goes on from what was written, so a run that was stopped ends
in the same bytes as one that was not. Safetensors: nothing in the file is ever executed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pare_bench.errors import IntegrityError
from pare_bench.pretraining.vision_model import Pretraining

#: Larger than any state of this network.
_LARGEST = 1 << 26
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Saved:
    """What a file of a state holds: its tensors, the recipe as it was and the steps that were done."""

    tensors: dict[str, Tensor]
    recipe: dict[str, Any]
    step: int


def write_state(path: Path, model: Pretraining, optimiser: torch.optim.AdamW, recipe: dict[str, Any], step: int) -> None:
    """Round the optimiser's moments to what the file keeps, and write the file in one piece."""
    tensors = {f"model.{name}": weight.detach().contiguous() for name, weight in model.state_dict().items()}
    for name, weight in model.named_parameters():
        for moment in _MOMENTS if weight in optimiser.state else ():
            rounded = optimiser.state[weight][moment].bfloat16()
            optimiser.state[weight][moment].copy_(rounded)
            tensors[f"{moment}.{name}"] = rounded
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"recipe": json.dumps(recipe, sort_keys=True), "step": str(step)})
    part.chmod(0o644)
    part.replace(path)


def read_state(path: Path) -> Saved:
    """Return what is in a file of a state.

    Raises:
        IntegrityError: it is none, or was damaged.
    """
    hint = "give the file that a pretraining of nano_swin wrote, or leave it out to begin anew"
    if path.stat().st_size > _LARGEST:
        raise IntegrityError(f"'{path}' is no state of nano_swin's pretraining: it has {path.stat().st_size} bytes", hint=hint)
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            return Saved({name: file.get_tensor(name) for name in file.keys()}, json.loads(about["recipe"]), int(about["step"]))  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise IntegrityError(f"'{path}' is no state of nano_swin's pretraining: {error}", hint=hint) from error


def take_up(saved: Saved, model: Pretraining, optimiser: torch.optim.AdamW) -> None:
    """Put network and optimiser into the saved state.

    Raises:
        IntegrityError: the state is of another network.
    """
    weights = {name.removeprefix("model."): tensor for name, tensor in saved.tensors.items() if name.startswith("model.")}
    try:
        model.load_state_dict(weights)
        for name, weight in model.named_parameters():
            moments = {moment: saved.tensors[f"{moment}.{name}"].to(weight.dtype).view_as(weight) for moment in _MOMENTS}
            optimiser.state[weight] = {"step": torch.tensor(float(saved.step)), **moments}
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise IntegrityError(f"the state is of another network: {reason}", hint="begin anew, with an empty folder of work") from error
