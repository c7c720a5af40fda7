"""Small facts that cost time to find out again, in one file of the cache folder each kind."""

from __future__ import annotations

import contextlib
from typing import Any

from pare_bench.digests.files import cache_root, write_atomically
from pare_bench.digests.sealed import remembered, sealed

#: Entries that are kept; those of the current process first.
_KEPT = 4000


class Memory:
    """Facts by key. Nothing depends on it: a file that is lost, damaged or cannot be written costs time, not truth."""

    def __init__(self, kind: str, reader: str) -> None:
        """Open the facts of ``kind``; those that another ``reader`` (version of what finds them out) has written down are not believed."""
        self._file = cache_root() / f"{kind}.json"
        self._reader = reader
        self._old: dict[str, Any] | None = None
        self._new: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """Return the fact under ``key``, None where there is none."""
        if self._old is None:
            self._old = self._load()
        return self._new.get(key, self._old.get(key))

    def put(self, key: str, fact: Any) -> None:
        """Keep a fact, which is plain JSON, until :meth:`save`."""
        self._new[key] = fact

    def save(self) -> None:
        """Write down what is new, beside what other processes have written down meanwhile."""
        if not self._new:
            return
        facts = {**self._new, **{key: fact for key, fact in self._load().items() if key not in self._new}}
        self._old, self._new = facts, {}
        kept = dict(list(facts.items())[:_KEPT])
        with contextlib.suppress(OSError):
            write_atomically(self._file, sealed({"reader": self._reader, "facts": kept}), durable=False)

    def _load(self) -> dict[str, Any]:
        document = remembered(self._file)
        return dict(document["facts"]) if document is not None and document.get("reader") == self._reader else {}
