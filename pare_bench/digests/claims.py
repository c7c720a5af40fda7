"""Who works on something, as a small file that one process makes and others respect; it outlives a killed process, and is then taken over.

Its owner touches it every few seconds. On the owner's own machine the process table says whether it still works; elsewhere the touches do. Two
processes that find a claim stale at the same moment may, in the worst case, both take it over: claims save work, no result may depend on them.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pare_bench.digests.files import beside, remove_if_empty, write_atomically

#: Seconds between two touches of a claim.
BEAT = 15.0
#: Seconds without a touch after which the process behind a claim is taken for gone.
STALE = 120.0
#: Seconds in which a claim may be half-written, and after which whoever took a stale one over looks whether another one did so too.
_SETTLED = 0.2
#: What a claim says of its owner.
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "host": str, "process": int, "process_started": (int, float), "started": str, "processes": str, "token": str,
}  # fmt: skip
#: Tokens of the claims that this process holds.
_HELD: set[str] = set()


@dataclass(frozen=True)
class Owner:
    """The process behind a claim.

    ``processes`` names its process table (containers of one host name may have several), ``process_started`` is in seconds since 1970 as the
    operating system tells it, ``silent`` are the seconds since its last sign of life, by the clock of the file system.
    """

    host: str
    process: int
    process_started: float
    started: str
    processes: str = ""
    token: str = ""
    silent: float = field(default=0.0, compare=False)

    @classmethod
    def now(cls) -> Owner:
        """Return this process, with a token of its own for one claim."""
        started = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(socket.gethostname(), os.getpid(), _start_of(os.getpid()) or 0.0, started, _process_table(), secrets.token_hex(8))

    @property
    def here(self) -> bool:
        """Whether the process would be found in the process table that this one sees."""
        return (self.host, self.processes) == (socket.gethostname(), _process_table())

    def alive(self) -> bool:
        """Return whether the process still works on what it has claimed."""
        if not self.here:
            return self.silent < STALE
        started = _start_of(self.process)
        # A process number is used again sooner or later; the time of its start tells the two apart.
        if started is None or abs(started - self.process_started) >= 2:
            return False
        return self.process != os.getpid() or self.token in _HELD

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.started}"


class Claims:
    """The claims that one part of this process holds."""

    def __init__(self) -> None:
        self._beating: dict[Path, tuple[str, threading.Event]] = {}

    def claim(self, path: Path, facts: Mapping[str, Any] | None = None) -> Owner | None:
        """Make the file at ``path`` this process's own and keep touching it; return None, or the live owner that was quicker.

        ``facts`` are kept in the file beside the owner. A claim whose process is gone, or that is damaged, is taken over.

        Raises:
            OSError: the folder cannot be written.
        """
        own = Owner.now()
        # Before anybody can read it: another thread would take it for one that was given up.
        _HELD.add(own.token)
        text = json.dumps({**(facts or {}), **{name: getattr(own, name) for name in _KINDS}})
        while not _created(path, text.encode()):
            other = owner_of(path)
            if other is not None and other.alive():
                _HELD.discard(own.token)
                return other
            if not path.exists():
                continue
            if other is None and silence(path) < _SETTLED:
                time.sleep(_SETTLED / 4)
                continue
            write_atomically(path, text, durable=False)
            time.sleep(_SETTLED)
            now = owner_of(path)
            if now is not None and now.token == own.token:
                break
        self._keep(path, own.token)
        return None

    def release(self, path: Path) -> None:
        """Give a claim up; nothing happens where there is none."""
        self._forget(path)
        path.unlink(missing_ok=True)
        remove_if_empty(path.parent)

    def abandon(self) -> None:
        """Stop working on everything that is claimed; the files stay and say what was begun.

        On other machines, too, they are free at once: they look as if they had not been touched for long.
        """
        for path in list(self._beating):
            self._forget(path)
            with suppress(OSError):
                # Taken from its own time, which is the file server's.
                touched = path.stat().st_mtime - STALE
                os.utime(path, (touched, touched))

    def _keep(self, path: Path, token: str) -> None:
        ended = threading.Event()
        self._beating[path] = token, ended

        def beat() -> None:
            while not ended.wait(BEAT):
                with suppress(OSError):
                    os.utime(path)

        threading.Thread(target=beat, name=f"claim of {path.name}", daemon=True).start()

    def _forget(self, path: Path) -> None:
        token, ended = self._beating.pop(path, ("", threading.Event()))
        _HELD.discard(token)
        ended.set()


def facts_of(path: Path) -> dict[str, Any] | None:
    """Return what a claim says, None where there is none or it cannot be read."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def owner_of(path: Path) -> Owner | None:
    """Return the process behind a claim, None where there is none or it cannot be read."""
    found = facts_of(path)
    return None if found is None else owner_in(found, path)


def owner_in(found: Mapping[str, Any], path: Path) -> Owner | None:
    """Return the process that the claim at ``path``, which says ``found``, is of; None where it names none."""
    # A damaged file can have any values.
    if any(not isinstance(found.get(name), kind) or found[name] is True for name, kind in _KINDS.items()):
        return None
    owner = Owner(**{name: found[name] for name in _KINDS})
    return owner if owner.here else replace(owner, silent=silence(path))


def silence(path: Path) -> float:
    """Return the seconds since a file was touched, by the clock of the machine that keeps it: clocks of a cluster need not agree."""
    try:
        touched = path.stat().st_mtime
    except OSError:
        return STALE
    with suppress(OSError), tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".tmp") as probe:
        return os.fstat(probe.fileno()).st_mtime - touched
    return time.time() - touched


def _created(path: Path, content: bytes) -> bool:
    """Write a file where there is none, whole; return whether there was none."""
    with beside(path) as (file, temporary):
        file.write(content)
        file.close()
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:
            # A file system without hard links.
            try:
                with path.open("xb") as plain:
                    plain.write(content)
            except FileExistsError:
                return False
    return True


def _start_of(process: int) -> float | None:
    """Return when a process started, in seconds since 1970; None where there is no such process, or it has ended and only its entry is left."""
    import psutil  # only who begins something, or finds that another one has, waits for it

    try:
        found = psutil.Process(process)
        # In a container whose first process collects no children, a killed one keeps its entry for good.
        return None if found.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD) else float(found.create_time())
    except (psutil.Error, ValueError, OverflowError):
        return None


def _process_table() -> str:
    """Return what tells the process table of this process from that of another container, where the system says."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
