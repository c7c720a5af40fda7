"""What this process has registered itself, beside the installed plugins: classes of a notebook or a script, and suites of them."""

from __future__ import annotations

from collections.abc import Iterator

from pare_bench.digests.live import withdrawn
from pare_bench.registry import specs
from pare_bench.registry.plugins import PluginInfo

AnySpec = specs.Spec | specs.SuiteSpec

#: Where such a name comes from, as records and messages say it.
PLUGIN = PluginInfo("session", "__main__", "registered in the process that ran it", "-")
#: The suite of all tasks that were registered so: a task is run as part of a suite.
SUITE = "session"

_specs: dict[tuple[str, str], AnySpec] = {}


def keep(kind: str, spec: AnySpec) -> None:
    """Register a spec, in the place of an earlier one of the same name."""
    before = _specs.get((kind, spec.name))
    # The new class may have the earlier one's target, and has it then.
    if isinstance(before, specs.Spec) and before.target != getattr(spec, "target", None):
        withdrawn(before.target)
    _specs[kind, spec.name] = spec


def forget(kind: str, name: str) -> None:
    """Take a name out; nothing happens where it is not there."""
    before = _specs.pop((kind, name), None)
    if isinstance(before, specs.Spec):
        withdrawn(before.target)


def has(kind: str, name: str) -> bool:
    """Return whether a name was registered here."""
    return (kind, name) in _specs


def all_specs() -> Iterator[tuple[str, AnySpec]]:
    """Yield kinds and specs, and the suite of the tasks among them."""
    tasks = []
    for (kind, name), spec in _specs.items():
        if isinstance(spec, specs.TaskSpec) and not spec.proxy:
            tasks.append(name)
        yield kind, spec
    if tasks and ("suite", SUITE) not in _specs:
        yield "suite", specs.SuiteSpec(name=SUITE, summary="the tasks that this process has registered", tasks=tuple(tasks))
