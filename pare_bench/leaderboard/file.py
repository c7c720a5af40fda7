"""``leaderboard.json`` of a store, kept up to date while records come in."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pare_bench.leaderboard.build import build, to_json
from pare_bench.leaderboard.counting import CountingRecords
from pare_bench.records.store import Store, turn, write_atomically

#: Share of the time that may go into rebuilding the leaderboard between runs; it is always rebuilt at the end.
_SHARE = 0.02


class LeaderboardFile:
    """Rebuilt after a record where that is cheap, and at the end whatever it costs; only records that have changed are read again."""

    def __init__(self, store: Store, note: Callable[[str], None]) -> None:
        self._store = store
        self._records = CountingRecords(store, note)
        self._behind = False
        self._rest_until = 0.0

    def update(self) -> None:
        """Take note of a new record."""
        self._behind = True
        if time.monotonic() >= self._rest_until:
            began = time.monotonic()
            self._rebuild()
            ended = time.monotonic()
            self._rest_until = ended + (ended - began) / _SHARE

    def served(self, path: Path) -> None:
        """Take note of a record that was there: a process that was killed between writing it and this file has left the file behind it."""
        try:
            self._behind = self._behind or path.stat().st_mtime_ns >= (self._store.root / "leaderboard.json").stat().st_mtime_ns
        except OSError:
            self._behind = True

    def finish(self) -> None:
        """Bring the file up to date, where it is not."""
        if self._behind:
            self._rebuild()

    def _rebuild(self) -> None:
        # Whoever comes last has seen the records of all processes that share the store.
        with turn(self._store.root / ".leaderboard.lock"):
            write_atomically(self._store.root / "leaderboard.json", to_json(build(*self._records.read())).encode())
        self._behind = False
