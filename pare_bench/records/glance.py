"""What an overview needs of a record, read without checking all of it: a tenth of the time, for stores with a hundred thousand runs.

The text of a record is cut at its top-level fields, of which a few are parsed; what many records share, configuration and libraries, is parsed once.
The seal is checked, so damage shows; whether the rest follows the schema does not. A record in another layout than ours is read as a whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pare_bench.config.run_config import SLOTS
from pare_bench.config.settings import Setting, setting_of_document
from pare_bench.errors import IntegrityError
from pare_bench.records.record import IdentityRecord, RunRecord
from pare_bench.records.store import Store, read_record

_SEAL = b'\n  "content_sha256": "'
_DIGITS = 64
#: Small fields that are parsed, in the order in which they stand in the text.
_FIELDS = ("code_sha256", "command", "finished", "reason", "run_id", "seed", "status", "variant")
_MARKS = tuple((f'\n  "{name}": '.encode(), f'"{name}": '.encode()) for name in _FIELDS)
_NEEDED = frozenset(_FIELDS) - {"reason", "variant"}


class Name(NamedTuple):
    """A component, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Configured:
    """What the runs of one configuration share, whatever their seed."""

    method: Name
    task: Name
    suite: str
    tier: str
    track: str
    preset: str
    setting: Setting
    components: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Configured:
        """Return what a configuration, as plain JSON, says."""
        filled = (("method", config["method"]), ("task", config["task"]), *((slot, config.get(slot)) for slot in SLOTS))
        components = tuple((slot, chosen["name"]) for slot, chosen in filled if chosen is not None)
        places = (config["suite"], config["tier"], config["track"], config["preset"])
        return cls(Name(config["method"]["name"]), Name(config["task"]["name"]), *places, setting_of_document(config), components)


@dataclass(frozen=True, slots=True)
class Glance:
    """A record, as far as an overview needs it; ``kind`` tells apart what its code, its components and its libraries were."""

    run_id: str
    method: Name
    task: Name
    suite: str
    tier: str
    track: str
    preset: str
    seed: int
    status: str
    reason: str
    finished: str
    command: str
    variant: tuple[str, ...] | None
    setting: Setting
    components: tuple[tuple[str, str], ...]
    code_sha256: str
    kind: tuple[Any, ...]
    path: str

    @property
    def begun(self) -> bool:
        """Whether the run had its data and an identity."""
        return bool(self.code_sha256)

    @property
    def keeps_identity(self) -> bool:
        """Whether the record has the parts of its run id."""
        return self.kind[-1] is not None

    def identity(self) -> IdentityRecord | None:
        """Return the parts of the run id; reads the record again."""
        return read_record(Path(self.path)).identity


class Glancer:
    """Reads records at a glance; what one has in common with an earlier one is not parsed again."""

    def __init__(self) -> None:
        self._configured: dict[bytes, Configured] = {}

    def glance(self, path: str) -> Glance:
        """Return a glance at the record in a file.

        Raises:
            IntegrityError: the file is not a record, or has been changed since it was written.
            EnvironmentFault: it cannot be read.
        """
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a hundred thousand files
                content = file.read()
            found = self._cut(path, content) if _is_sound(content) else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            found = None
        return found or self._whole(path)

    def of_suite(self, store: Store, suite: str, skip: Callable[[Path, str], None]) -> Iterator[Glance]:
        """Yield a glance at every record of a suite, in the order of their paths; a file that is no record is told to ``skip`` (path, message)."""
        for path in _files(store.records_folder / suite):
            try:
                yield self.glance(path)
            except IntegrityError as error:
                skip(Path(path), str(error))

    def _cut(self, path: str, content: bytes) -> Glance | None:
        """Return a glance at a text in our layout, in which only top-level fields stand two spaces in; None where a field is missing."""
        parts, position = [], 0
        for mark, name in _MARKS:
            value = _value(content, mark, b'\n  "', position)
            if value is not None:
                position = value[0]
                parts.append(name + value[1])
        document = json.loads(b"{" + b",".join(parts) + b"}")
        config = _value(content, b'\n  "config": ', b'\n  "', 0)
        if config is None or not document.keys() >= _NEEDED:
            return None
        identity = _value(content, b'\n  "identity": ', b'\n  "', config[0])
        libraries = None if identity is None or identity[1] == b"null" else _value(identity[1], b'\n    "libraries": ', b'\n    "', 0)
        return self._made(path, document, self._of_config(config[1], document["seed"]), libraries and libraries[1])

    def _of_config(self, text: bytes, seed: int) -> Configured:
        # Runs of several seeds differ in this line alone.
        key = text.replace(b'\n    "seed": %d,' % seed, b"", 1)
        if key not in self._configured:
            self._configured[key] = Configured.of(json.loads(text))
        return self._configured[key]

    def _whole(self, path: str) -> Glance:
        record: RunRecord = read_record(Path(path))
        libraries = None if record.identity is None else json.dumps(record.identity.libraries, sort_keys=True).encode()
        document = record.model_dump(mode="json", by_alias=True)
        return self._made(path, document, Configured.of(document["config"]), libraries)

    def _made(self, path: str, document: Mapping[str, Any], configured: Configured, libraries: bytes | None) -> Glance:
        variant = document.get("variant")
        return Glance(
            run_id=document["run_id"],
            method=configured.method,
            task=configured.task,
            suite=configured.suite,
            tier=configured.tier,
            track=configured.track,
            preset=configured.preset,
            seed=document["seed"],
            status=document["status"],
            reason=document.get("reason") or "",
            finished=document["finished"],
            command=document["command"],
            variant=None if variant is None else tuple(variant),
            setting=configured.setting,
            components=configured.components,
            code_sha256=document["code_sha256"],
            kind=(configured.components, document["code_sha256"], libraries),
            path=path,
        )


def _value(content: bytes, mark: bytes, following: bytes, position: int) -> tuple[int, bytes] | None:
    """Return where a field stands and the text of its value: from ``mark`` to the next field of its level, or to the end of the object."""
    start = content.find(mark, position)
    if start < 0:
        return None
    start += len(mark)
    end = content.find(following, start)
    return start, content[start : end if end >= 0 else content.rfind(b"\n", start, len(content) - 1)].rstrip(b",\n ")


def _files(folder: Path) -> list[str]:
    """Return the record files of a suite, sorted: ``task/method/run.json``."""
    found = [folder.as_posix()]
    for depth in range(3):
        deeper: list[str] = []
        for each in found:
            try:
                with os.scandir(each) as entries:
                    deeper += [entry.path for entry in entries if depth < 2 or (entry.name.endswith(".json") and entry.name[0] != ".")]
            except (FileNotFoundError, NotADirectoryError):
                continue
        found = deeper
    return sorted(found)


def _is_sound(content: bytes) -> bool:
    start = content.find(_SEAL) + len(_SEAL)
    if start < len(_SEAL):
        return False
    total = hashlib.sha256(content[: start - 1])
    total.update(b"null")
    total.update(content[start + _DIGITS + 1 :])
    return total.hexdigest().encode() == content[start : start + _DIGITS]
