"""A word while torch is loaded, which takes seconds: said only where it is, on a terminal, once."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from pare_bench.cli import output


class _Watch(MetaPathFinder):
    """Finds nothing, but sees what is looked for."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002
        """Say that torch is being loaded."""
        if fullname == "torch":
            sys.meta_path.remove(self)
            output.note("loading torch")
        return None


@contextmanager
def told_of_torch() -> Iterator[None]:
    """Inside, the first import of torch is told on a terminal."""
    watch = _Watch()
    if "torch" in sys.modules or not output.stderr_is_terminal():
        yield
        return
    sys.meta_path.insert(0, watch)
    try:
        yield
    finally:
        if watch in sys.meta_path:
            sys.meta_path.remove(watch)
