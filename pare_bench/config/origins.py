"""Where each value of a run comes from, noted while the run is resolved: whoever sets a path last is its origin."""

from __future__ import annotations

from collections.abc import Iterable

from pare_bench.config.run_config import SLOTS, RunConfig, short_path
from pare_bench.config.settings import flattened

#: What was asked for by ``-o``; and by an option of its own.
OPTION, COMMAND = "-o", "command"


class Origins:
    """Notes of one resolution."""

    def __init__(self) -> None:
        self._by: dict[str, str] = {}

    def note(self, paths: Iterable[str], origin: str) -> None:
        """Note that ``paths``, as ``-o`` writes them, are now set by ``origin``; with a component's name its parameters begin anew."""
        for path in paths:
            short = short_path(path)
            if short in SLOTS or short in ("method", "task"):
                self._by = {known: by for known, by in self._by.items() if not known.startswith(f"{short}.")}
            self._by[short] = origin

    def of(self, config: RunConfig) -> dict[str, tuple[str, str]]:
        """Return the value, as ``-o`` takes it, and the origin of every path of a resolved run."""
        components = {"method": config.method.name, "task": config.task.name, **{name: slot.name for name, slot in config.slots().items()}}
        found = {}
        for path, value in flattened(config.model_dump(mode="json")).items():
            head, dot, _ = path.partition(".")
            if head not in SLOTS or head in components:
                default = f"default of {SLOTS.get(head, head)} '{components[head]}'" if head in components and dot else "default"
                found[path] = value, self._origin(path) or default
        return found

    def _origin(self, path: str) -> str | None:
        """Return who has set a path, or the whole that it is part of; a component's name says nothing of its parameters."""
        while path not in self._by and path.count(".") > 1:
            path = path.rpartition(".")[0]
        return self._by.get(path)
