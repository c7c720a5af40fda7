"""Sources that have been read stay read: parsing the hundred modules behind a run takes longer than everything else that a served run needs."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pare_bench.digests.files import stamp_of
from pare_bench.digests.memory import Memory
from pare_bench.digests.syntax import Binding, Syntax, read_syntax


class Sources:
    """Syntaxes by file, remembered as long as size and times of the file stay the same (a change of content moves its change time)."""

    def __init__(self) -> None:
        # Another Python, or another way of reading, reads anew.
        reader = hashlib.sha256(Path(__file__).with_name("syntax.py").read_bytes()).hexdigest()[:16]
        self._memory = Memory("sources", f"{sys.version_info[0]}.{sys.version_info[1]} {reader}")

    def syntax(self, path: Path, package: str, own_packages: frozenset[str]) -> Syntax | None:
        """Return what the source at ``path`` says, None where it cannot be read."""
        key = f"{path} {package}"
        try:
            stamp, known = stamp_of(path), self._memory.get(key)
            if known is not None and known["stamp"] == stamp:
                return _syntax(known["syntax"])
            syntax = read_syntax(path.read_text("utf-8"), package, own_packages)
            self._memory.put(key, {"stamp": stamp, "syntax": {**asdict(syntax), "used": sorted(syntax.used)}})
        except (OSError, SyntaxError, ValueError, KeyError, TypeError):
            return None
        return syntax

    def save(self) -> None:
        """Write down what has been read for the first time."""
        self._memory.save()


def _syntax(known: dict[str, Any]) -> Syntax:
    return Syntax(
        known["own"],
        tuple(known["imports"]),
        tuple(Binding(**each) for each in known["bindings"]),
        frozenset(known["used"]),
        tuple((module, attribute) for module, attribute in known["texts"]),
    )
