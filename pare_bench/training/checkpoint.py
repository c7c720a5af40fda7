"""Training states on disk, so that a killed run goes on at its last finished epoch and ends with the same numbers.

One safetensors file per stage of a run; what is not a tensor stands as JSON in its header. Nothing is pickled. A file is written whole or not at all,
with a digest over all of its content: a flipped bit in a weight would otherwise be trained on, and end in a number like any other.
"""

from __future__ import annotations

import hashlib
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

_FORMAT = "pare-bench/checkpoint/2"
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
                facts = json.dumps(state.facts, allow_nan=False)
                save_file(tensors, temporary, metadata={"format": _FORMAT, "facts": facts, "sha256": _digest(tensors, facts)})
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
                temporary.replace(self.path)
        except (OSError, SafetensorError) as error:
            # What stops a write inside safetensors, a full disk for one, is its own error.
            why = getattr(error, "strerror", None) or error
            raise EnvironmentFault(
                f"cannot write '{self.path}': {why}", hint="free some disk space or choose another folder with --out DIR"
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
                header = file.metadata() or {}
                if header.get("format") != _FORMAT:
                    raise self.damaged(f"its format is {header.get('format')!r}, not '{_FORMAT}'")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            if _digest(tensors, header["facts"]) != header.get("sha256"):
                raise self.damaged("its content has been changed since it was written")
            return TrainingState(tensors, json.loads(header["facts"]))
        except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
            raise self.damaged(str(error)) from error

    def load_or_set_aside(self) -> tuple[TrainingState | None, str | None]:
        """Return the state that was saved, None where there is none that can be used, and what to say of a file that was set aside for that.

        Raises:
            EnvironmentFault: such a file cannot be moved.
        """
        try:
            return self.load(), None
        except IntegrityError as error:
            aside = self.path.with_name(f"{self.path.name}.damaged")
            try:
                self.path.replace(aside)
            except OSError as failure:
                raise EnvironmentFault(f"cannot move '{self.path}' away: {failure.strerror or failure}", hint=f"rm '{self.path}'") from error
            return None, f"{error}; it is now '{aside}', and the run starts over"

    def damaged(self, why: str) -> IntegrityError:
        """Return the error that says why this file cannot be used."""
        return IntegrityError(f"checkpoint '{self.path}' cannot be used: {why}", hint=f"rm '{self.path}' and run the command again: it starts over")


def _digest(tensors: Mapping[str, Tensor], facts: str) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of all tensors, and the facts."""
    total = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if tensor.numel():
            # Bytes: NumPy does not have all types of torch.
            total.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


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
