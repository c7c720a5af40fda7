"""Training states on disk, so that a killed run goes on at its last finished epoch and ends with the same numbers.

One safetensors file per stage of a run; what is not a tensor stands as JSON in its header. Nothing is pickled. A file is written whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pare_bench.digests.files import beside, remove_if_empty
from pare_bench.errors import EnvironmentFault, IntegrityError
from pare_bench.training.launched import is_main_process

_FORMAT = "pare-bench/checkpoint/1"
INTERVAL_VARIABLE = "PARE_BENCH_CHECKPOINT_SECONDS"


def interval() -> float:
    """Return the seconds between two writes: ``PARE_BENCH_CHECKPOINT_SECONDS``, or 60. An interrupt writes whatever has not been written."""
    return float(os.environ.get(INTERVAL_VARIABLE, "60"))


@dataclass(frozen=True)
class TrainingState:
    """A training stage at the end of an epoch: named tensors on the CPU, and facts that JSON can hold."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose name begins with ``prefix`` and a slash, without it."""
        return {name.removeprefix(prefix + "/"): tensor for name, tensor in self.tensors.items() if name.startswith(prefix + "/")}


@dataclass(frozen=True)
class CheckpointFile:
    """The state of one stage. ``interval`` is the shortest time in seconds between two writes."""

    path: Path
    interval: float = field(default_factory=interval)

    def save(self, state: TrainingState) -> None:
        """Write ``state``, flushed to disk, in place of the one before.

        Raises:
            EnvironmentFault: the folder cannot be written.
        """
        try:
            with beside(self.path) as (unused, temporary):
                unused.close()
                tensors = {name: tensor.contiguous() for name, tensor in state.tensors.items()}
                save_file(tensors, temporary, metadata={"format": _FORMAT, "facts": json.dumps(state.facts, allow_nan=False)})
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
                temporary.replace(self.path)
        except OSError as error:
            raise EnvironmentFault(
                f"cannot write '{self.path}': {error.strerror or error}", hint="free some disk space or choose another folder with --out DIR"
            ) from error

    def load(self) -> TrainingState | None:
        """Return the state that was saved, None where there is none.

        Raises:
            IntegrityError: the file is not a training state.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                facts = file.metadata() or {}
                if facts.get("format") != _FORMAT:
                    raise self.damaged(f"its format is {facts.get('format')!r}, not '{_FORMAT}'")
                return TrainingState({name: file.get_tensor(name) for name in file.keys()}, json.loads(facts["facts"]))  # noqa: SIM118 - not a dict
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise self.damaged(str(error)) from error

    def damaged(self, why: str) -> IntegrityError:
        """Return the error that says why this file cannot be used."""
        return IntegrityError(f"checkpoint '{self.path}' cannot be used: {why}", hint=f"rm '{self.path}' and run the command again: it starts over")


@dataclass
class CheckpointFolder:
    """The checkpoints of one run, ``<out>/checkpoints/<run id>``; ``resume`` False starts over whatever is there."""

    root: Path
    resume: bool = True
    interval: float = field(default_factory=interval)
    _stages: list[str] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if not self.resume and is_main_process():
            self.remove()

    def stage(self, name: str) -> CheckpointFile:
        """Return the file of the next stage called ``name``; a second stage of one name gets a file of its own."""
        self._stages.append(name)
        number = self._stages.count(name)
        plain = "".join(letter if letter.isalnum() else "-" for letter in name)
        return CheckpointFile(self.root / (f"{plain}.safetensors" if number == 1 else f"{plain}-{number}.safetensors"), self.interval)

    def remove(self) -> None:
        """Delete the folder: the run's record is saved, or the run starts over."""
        shutil.rmtree(self.root, ignore_errors=True)
        remove_if_empty(self.root.parent)


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of every parameter as ``<position>/<name>`` tensors, copied to the CPU; learning rates follow from the recipe."""
    found: dict[str, Tensor] = {}
    for position, values in optimiser.state_dict()["state"].items():
        for name, value in values.items():
            if value is not None:
                found[f"{position}/{name}"] = (value if isinstance(value, Tensor) else torch.tensor(value)).detach().to("cpu", copy=True)
    return found


def load_optimiser_state(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put what :func:`optimiser_state` returned into a fresh optimiser of the same parameters."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        position, _, key = name.partition("/")
        state.setdefault(int(position), {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
