"""How far a run is that another process carries out: a small file beside its mark, ``<out>/running/<run id>.progress``, that whoever waits reads."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pare_bench.config.run_config import RunConfig
from pare_bench.digests.files import remove_if_empty, write_atomically
from pare_bench.training.progress import EpochReport, in_words

#: Seconds between two reports.
EVERY = 1.0
#: The stage of a run that has not begun.
WAITING = "waiting"


@dataclass(frozen=True)
class AtWork:
    """Where a run is: its stage, ``done`` of ``total`` steps of it (None: unknown), and the last loss and validation score."""

    label: str
    stage: str = WAITING
    done: int = 0
    total: int | None = None
    loss: float | None = None
    validation: str = ""


def report_path(root: Path, run_id: str) -> Path:
    """Return where the report of a run stands."""
    return root / "running" / f"{run_id}.progress"


def read_report(root: Path, run_id: str, label: str) -> AtWork:
    """Return how far a run is; one that has not reported, or whose report cannot be read, is waiting."""
    try:
        found: dict[str, Any] = json.loads(report_path(root, run_id).read_bytes())
        return AtWork(**{**found, "label": label})
    except (OSError, ValueError, TypeError):
        return AtWork(label)


def remove_report(root: Path, run_id: str) -> None:
    """Take a report away: the record says the rest, or nobody works on the run any more."""
    with suppress(OSError):
        path = report_path(root, run_id)
        path.unlink(missing_ok=True)
        remove_if_empty(path.parent)


class Reporting:
    """A display that writes down how far the run is, at most once a second, and keeps what is to be told to people."""

    def __init__(self, root: Path, run_id: str) -> None:
        self.root, self.run_id = root, run_id
        self.interrupted = False
        self.notes: list[str] = []
        self._state: dict[str, Any] = asdict(AtWork(""))
        self._written = 0.0

    def begin(self, config: RunConfig) -> None:
        """Name the run."""
        self._state["label"] = config.label()

    def stage(self, name: str, total: int | None = None) -> None:
        """Write the stage down."""
        self._state |= {"stage": name, "done": 0, "total": total}
        self._write(at_once=True)

    def advance(self, steps: int = 1, loss: float | None = None) -> None:
        """Count steps."""
        self._state["done"] += steps
        if loss is not None:
            self._state["loss"] = loss
        self._write()

    def epoch(self, report: EpochReport) -> None:
        """Keep the validation score."""
        self._state["validation"] = in_words(report)
        self._write()

    def note(self, text: str) -> None:
        """Keep a line."""
        self.notes.append(text)

    def end(self, result: object) -> None:  # noqa: ARG002
        """Take the report away: the record says the rest."""
        self.remove()

    def at_work(self, runs: Sequence[AtWork]) -> None:
        """Say nothing: it is one run."""

    def remove(self) -> None:
        """Take the report away."""
        remove_report(self.root, self.run_id)

    def _write(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if not at_once and now - self._written < EVERY:
            return
        self._written = now
        # A full disk ends no training.
        with suppress(OSError):
            write_atomically(report_path(self.root, self.run_id), json.dumps(self._state), durable=False)
