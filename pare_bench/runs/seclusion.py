"""While a method learns: what holds the test split is out of its reach, or its reaching is noticed. SECURITY.md says what is neither.

One process cannot keep code out that means to cheat; what stands here ends honest mistakes and lazy cheating, and leaves the rest to
``leaderboard verify --rerun`` and to readers of the method's code.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pare_bench.errors import RunFault
from pare_bench.registry.names import Registry


class SecludedRegistry(Registry):
    """A registry that gives a method everything but the task that it is scored on, which could make or read the test split."""

    def __init__(self, registry: Registry, task: str) -> None:
        """Take over what ``registry`` knows; ``task`` is not to be built."""
        self.__dict__.update(registry.__dict__)
        self._task = task

    def build(self, kind: str, name: str, values: Mapping[str, Any] | None = None, **runtime: Any) -> Any:
        """Build a component; see :meth:`pare_bench.registry.names.Registry.build`.

        Raises:
            RunFault: it is the task of the run.
        """
        if (kind, name) == ("task", self._task):
            raise RunFault(f"the method builds task '{name}', which holds the test split that it is scored on", hint="use the data it is handed")
        return super().build(kind, name, values, **runtime)


class _Watch:
    def __init__(self, places: Sequence[Path]) -> None:
        self.places = tuple(os.path.realpath(place) for place in places)
        self.thread = threading.get_ident()
        self.seen: list[str] = []
        #: Whether an observer is at work, and not the method.
        self.observing = False

    def note(self, path: str) -> None:
        """Remember a path below the places, and refuse it.

        Raises:
            RunFault: it is one of them.
        """
        found = os.path.realpath(path)
        if any(found == place or found.startswith((place + os.sep, place + ".")) for place in self.places):
            if self.observing:
                raise RunFault(f"an observer opens '{found}', which is closed while a method learns", hint="look at it in pare_bench_run_finished")
            self.seen.append(found)
            raise RunFault(f"the method opens '{found}', which holds what it is scored on", hint="use the data it is handed")


#: The watch of each thread that runs a method now.
_watches: dict[int, _Watch] = {}
_hooked = False


@contextmanager
def secluded(places: Sequence[Path]) -> Iterator[None]:
    """Inside, this thread cannot open ``places``, nor what is below them or begins like them and a dot, through Python.

    Files that a library opens from C, or that another thread or process opens, are not seen.

    Raises:
        RunFault: it has tried to, whatever became of the error there.
    """
    global _hooked  # noqa: PLW0603 - an audit hook stays for the life of the process
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True
    watch = _Watch(places)
    _watches[watch.thread] = watch
    try:
        yield
    finally:
        del _watches[watch.thread]
    if watch.seen:
        raise RunFault(f"the method has tried to open '{watch.seen[0]}', which holds what it is scored on", hint="use the data it is handed")


@contextmanager
def observing() -> Iterator[None]:
    """Inside, this thread runs an observer: what is closed to the method is closed to it, too, but its reaching is not the method's."""
    watch = _watches.get(threading.get_ident())
    if watch is None:
        yield
        return
    watch.observing = True
    try:
        yield
    finally:
        watch.observing = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _watches:
        return
    watch = _watches.get(threading.get_ident())
    if watch is not None and isinstance(arguments[0], str | bytes | os.PathLike):
        watch.note(os.fsdecode(arguments[0]))
