"""Which runs are being carried out, and by whom: one claim per run (:mod:`pare_bench.digests.claims`), ``<out>/running/<run id>.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pare_bench.config.run_config import RunConfig
from pare_bench.digests.claims import Claims, Owner, facts_of, owner_in
from pare_bench.errors import EnvironmentFault

_FACTS: Mapping[str, type] = {**dict.fromkeys(("suite", "task", "method", "tier", "track", "preset"), str), "seed": int}


@dataclass(frozen=True)
class RunningRun:
    """A run that a process has begun and not ended; ``checkpoint`` says whether a training state of it is kept."""

    run_id: str
    suite: str
    task: str
    method: str
    tier: str
    track: str
    preset: str
    seed: int
    owner: Owner
    checkpoint: bool = False

    def alive(self) -> bool:
        """Return whether its process still works."""
        return self.owner.alive()

    def whose(self) -> str:
        """Return who works on it, in words."""
        return str(self.owner) if self.owner.here else f"{self.owner}, last sign of life {max(self.owner.silent, 0):.0f} s ago"


class RunningRuns:
    """The runs that have begun in a store and have no record yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "running"
        self._claims = Claims()

    def claim(self, run_id: str, config: RunConfig) -> Owner | None:
        """Say that this process works on a run, and go on saying so; return None, or the live process that was quicker.

        Raises:
            EnvironmentFault: the folder cannot be written.
        """
        try:
            return self._claims.claim(self._path(run_id), {"run_id": run_id, **_facts(config)})
        except OSError as error:
            raise EnvironmentFault(
                f"cannot write '{self._path(run_id)}': {error.strerror or error}", hint="choose a writable folder with --out DIR"
            ) from error

    def end(self, run_id: str) -> None:
        """Say that this process no longer works on a run: it has its record."""
        self._claims.release(self._path(run_id))

    def abandon(self) -> None:
        """Stop working on all runs; those without a record are interrupted."""
        self._claims.abandon()

    def find(self, run_id: str) -> RunningRun | None:
        """Return what a run's mark says, None where there is none."""
        return self._read(self._path(run_id))

    def all(self) -> list[RunningRun]:
        """Return the runs that have begun, by id; a file that cannot be read is left out, for it says nothing about any result."""
        return [found for path in sorted(self.folder.glob("*.json")) if (found := self._read(path)) is not None]

    def _read(self, path: Path) -> RunningRun | None:
        facts = facts_of(path)
        owner = None if facts is None else owner_in(facts, path)
        if facts is None or owner is None or any(not isinstance(facts.get(name), kind) for name, kind in _FACTS.items()):
            return None
        checkpoint = (self.root / "checkpoints" / path.stem).is_dir()
        return RunningRun(path.stem, **{name: facts[name] for name in _FACTS}, owner=owner, checkpoint=checkpoint)

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"


def _facts(config: RunConfig) -> Mapping[str, Any]:
    return {
        "suite": config.suite,
        "task": config.task.name,
        "method": config.method.name,
        "tier": config.tier,
        "track": config.track,
        "preset": config.preset,
        "seed": config.seed,
    }
