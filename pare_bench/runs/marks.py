"""Which runs are being carried out: one small file per run, ``<out>/running/<run id>.json``, that outlives a killed process and says whose it was."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from pare_bench.config.run_config import RunConfig
from pare_bench.digests.files import remove_if_empty
from pare_bench.records.store import write_atomically


@dataclass(frozen=True)
class RunningRun:
    """A run that a process has begun and not ended. ``process_started`` is in seconds since 1970, as the operating system tells it."""

    run_id: str
    suite: str
    task: str
    method: str
    tier: str
    track: str
    preset: str
    seed: int
    host: str
    process: int
    process_started: float
    started: str
    checkpoint: bool = False

    def alive(self) -> bool | None:
        """Return whether its process still works; None where it belongs to another machine."""
        if self.host != socket.gethostname():
            return None
        try:
            # A process number is used again sooner or later; the time of its start tells the two apart.
            return bool(abs(psutil.Process(self.process).create_time() - self.process_started) < 2)
        except (psutil.Error, TypeError, ValueError, OverflowError):  # also of a damaged file, whose values can be anything
            return False


class RunningRuns:
    """The runs that have begun in a store and have no record yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "running"

    def begin(self, run_id: str, config: RunConfig) -> None:
        """Say that this process works on a run."""
        process = psutil.Process()
        run = RunningRun(
            run_id=run_id,
            suite=config.suite,
            task=config.task.name,
            method=config.method.name,
            tier=config.tier,
            track=config.track,
            preset=config.preset,
            seed=config.seed,
            host=socket.gethostname(),
            process=os.getpid(),
            process_started=process.create_time(),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        write_atomically(self._path(run_id), json.dumps(asdict(run)).encode())

    def end(self, run_id: str) -> None:
        """Say that a run has its record."""
        self._path(run_id).unlink(missing_ok=True)
        remove_if_empty(self.folder)

    def all(self) -> list[RunningRun]:
        """Return the runs that have begun, by id; a file that cannot be read is left out, for it says nothing about any result."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                document = json.loads(path.read_text("utf-8"))
                found.append(RunningRun(**{**document, "checkpoint": (self.root / "checkpoints" / path.stem).is_dir()}))
            except (OSError, ValueError, TypeError, RecursionError):
                continue
        return found

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"
