"""``index.json`` in the data root: size, SHA-256 and origin of every file that was fetched, verified or imported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pare_bench.digests.files import write_atomically
from pare_bench.digests.locks import locked
from pare_bench.digests.sealed import opened, sealed
from pare_bench.errors import EnvironmentFault, IntegrityError

SCHEMA = "pare-bench/data-index/1"
FILE_NAME = "index.json"
#: Names in the data root that are not tasks.
RESERVED = (FILE_NAME, "index.lock", "partial", "quarantine")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class IndexEntry:
    """What is known of one file: ``size`` in bytes, ``sha256``, and where it came from (an address, ``"import"`` or ``"verify"``)."""

    size: int
    sha256: str
    source: str


def read_index(root: Path) -> dict[str, IndexEntry]:
    """Return the entries by path below ``root`` (posix); empty where there is no index.

    Raises:
        IntegrityError: the index is damaged.
    """
    path = root / FILE_NAME
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise EnvironmentFault(f"'{path}' cannot be read: {error.strerror or error}", hint=f"ls -l '{path}'") from error
    except UnicodeDecodeError as error:
        raise IntegrityError(f"'{path}' is not text", hint=f"rm '{path}' && pare-bench data verify") from error
    return parse_index(text, str(path))


def parse_index(text: str, origin: str) -> dict[str, IndexEntry]:
    """Return the entries of an index; ``origin`` names it in errors.

    Raises:
        IntegrityError: it is no index, or a path in it leads out of the data root.
    """
    try:
        document = opened(text, needs_seal=False)
        if document["schema"] != SCHEMA:
            raise IntegrityError(f"'{origin}' has schema '{document['schema']}', known is '{SCHEMA}'", hint="update pare-bench")
        entries = {str(name): _entry(values) for name, values in document["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        again = f"rm '{origin}' && pare-bench data verify"
        raise IntegrityError(f"'{origin}' is no index of data: {type(error).__name__} {error}", hint=again) from error
    for name in entries:
        if not is_inside(name):
            raise IntegrityError(f"'{origin}' names the path '{name}', which leads out of the data folder", hint="do not use this file")
    return entries


def dump_index(entries: Mapping[str, IndexEntry]) -> str:
    """Return the text of an index: the same entries give the same bytes."""
    return sealed({"schema": SCHEMA, "files": {name: asdict(entry) for name, entry in sorted(entries.items())}}, indent=1, sort_keys=True) + "\n"


def record(root: Path, entries: Mapping[str, IndexEntry], *, forget: Iterable[str] = ()) -> None:
    """Add ``entries`` to the index and drop those in ``forget``; processes take turns.

    Raises:
        EnvironmentFault: the data root cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with locked(root / "index.lock"):
            known = read_index(root) | dict(entries)
            for name in forget:
                known.pop(name, None)
            write_atomically(root / FILE_NAME, dump_index(known))
    except OSError as error:
        raise EnvironmentFault(f"'{root}' cannot be written: {error.strerror or error}", hint="set PARE_BENCH_DATA to a writable folder") from error


def is_inside(name: str) -> bool:
    """Return whether ``name`` is a relative posix path that stays below its root, on every system, and is none of the reserved names."""
    parts = name.split("/")
    plain = all(part not in ("", ".", "..") and not any(character in part for character in "\\:\0\n\r") for part in parts)
    return plain and parts[0] not in RESERVED


def _entry(values: Mapping[str, Any]) -> IndexEntry:
    size, sha256, source = values["size"], values["sha256"], values["source"]
    if not isinstance(size, int) or size < 0 or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256) or not isinstance(source, str):
        raise ValueError("size, sha256 or source of a file is malformed")
    return IndexEntry(size, sha256, source)
