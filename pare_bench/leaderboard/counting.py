"""Which records of a store count, and which are left off the board with what reason: the same for every command that makes something of records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from pare_bench.leaderboard.build import LeftOff
from pare_bench.leaderboard.evidence import Evidence
from pare_bench.records.record import RunRecord
from pare_bench.records.store import RecordCache, Store


class CountingRecords:
    """The records of a store that count. Each file is parsed again only when it has changed."""

    def __init__(self, store: Store, note: Callable[[str], None], evidence: Evidence | None = None) -> None:
        """Watch ``store`` and ``note`` once what is left off.

        ``evidence`` computes scores again. Without it, what an earlier ``leaderboard build`` has found against a record stands, until the record's
        file changes: that is read from ``leaderboard.json``.
        """
        self._store = store
        self._note = note
        self._evidence = evidence
        self._cache = RecordCache(store, self._tell)
        self._told: set[Path] = set()

    def read(self) -> tuple[list[RunRecord], list[LeftOff]]:
        """Return the records that count now, in the order of their paths, and what is left off."""
        found = self._cache.items()
        off = {path: LeftOff(self._name(path), reason) for path, reason in self._cache.left_out().items()}
        against = self._found_now(found) if self._evidence else found_earlier(self._store, [path for path, _ in found])
        for path, each in against.items():
            self._tell(path, f"'{path}': {each.reason}")
        off |= against
        return [record for path, record in found if path not in off], list(off.values())

    def _found_now(self, found: list[tuple[Path, RunRecord]]) -> dict[Path, LeftOff]:
        assert self._evidence is not None  # noqa: S101 - for the reader of types
        against: dict[Path, LeftOff] = {}
        for path, record in found:
            problem = self._evidence.problem(path, record)
            if problem is not None:
                against[path] = LeftOff(self._name(path), f"{problem[0]}: {problem[1]}", hashlib.sha256(path.read_bytes()).hexdigest())
        for path in self._evidence.damaged:
            self._note(f"predictions '{path}' are damaged; the record of the run counts")
        return against

    def _name(self, path: Path) -> str:
        return path.relative_to(self._store.root).as_posix()

    def _tell(self, path: Path, message: str) -> None:
        if path not in self._told:
            self._told.add(path)
            self._note(f"left off the leaderboard: {message}")


def found_earlier(store: Store, paths: Iterable[Path]) -> dict[Path, LeftOff]:
    """Return what ``leaderboard.json`` says against those record files of ``paths`` that have not changed since."""
    known = {path.relative_to(store.root).as_posix(): path for path in paths}
    against: dict[Path, LeftOff] = {}
    try:
        for entry in json.loads((store.root / "leaderboard.json").read_text("utf-8")).get("left_off", []):
            path = known.get(entry["path"])
            if path and hashlib.sha256(path.read_bytes()).hexdigest() == entry.get("record_sha256"):
                against[path] = LeftOff(entry["path"], str(entry["reason"]), entry["record_sha256"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # No leaderboard, or a damaged one: it says nothing, and is written anew.
        return {}
    return against
