"""Names to specs to classes to instances: the one place where a name is looked up."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pare_bench.digests.live import class_at
from pare_bench.errors import PluginError, UsageError, nearest, unknown_name
from pare_bench.registry import session, specs
from pare_bench.registry.plugins import KINDS, PluginInfo, Plugins, load_plugins

if TYPE_CHECKING:
    from pydantic import ValidationError

    from pare_bench.digests.closure import Code

AnySpec = specs.Spec | specs.SuiteSpec


@dataclass(frozen=True)
class Entry:
    """A registered spec and the plugin that brought it."""

    spec: AnySpec
    plugin: PluginInfo


class Registry:
    """All registered names. Build one with :meth:`from_environment`; there is no process-wide instance."""

    def __init__(self, plugins: Plugins) -> None:
        """Collect what the plugins yield.

        Raises:
            PluginError: two plugins register the same name.
        """
        self.plugins = plugins
        self._entries: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}
        by_name = {info.name: info for info in plugins.infos if info.error is None}
        for kind, (hook, _) in KINDS.items():
            for name in dict.fromkeys(implementation.plugin_name for implementation in getattr(plugins.manager.hook, hook).get_hookimpls()):
                for spec in plugins.yielded[name, kind]:
                    self._add(kind, Entry(spec, by_name[name]))

    @classmethod
    def from_environment(cls) -> Registry:
        """Load the installed plugins (see :func:`pare_bench.registry.plugins.load_plugins`), and take what this process has registered itself.

        Raises:
            PluginError: a name is registered twice.
        """
        registry = cls(load_plugins())
        for kind, spec in session.all_specs():
            registry._add(kind, Entry(spec, session.PLUGIN))
        return registry

    @cached_property
    def code(self) -> Code:
        """Reads the sources behind the names; they are taken to stay as they are for as long as this registry lives."""
        from pare_bench.digests.closure import Code

        return Code()

    def _add(self, kind: str, entry: Entry) -> None:
        other = self._entries[kind].get(entry.spec.name)
        if other is not None:
            raise PluginError(
                f"{kind} '{entry.spec.name}' is registered by two plugins: {other.plugin} and {entry.plugin}",
                hint=f"uninstall one, or choose with PARE_BENCH_PLUGINS={other.plugin.name}",
            )
        self._entries[kind][entry.spec.name] = entry

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds, in listing order."""
        return tuple(KINDS)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the registered names of a kind, in registration order."""
        return tuple(self._of_kind(kind))

    def entry(self, kind: str, name: str) -> Entry:
        """Look a name up.

        Raises:
            UnknownNameError: nobody registers it; the message has the nearest name and says which plugins could not be loaded.
        """
        entries = self._of_kind(kind)
        if name not in entries:
            raise unknown_name(kind, name, entries, hint=f"pare-bench list {kind}{self.plugins.broken_hint()}")
        return entries[name]

    def spec(self, kind: str, name: str) -> Any:
        """Return the spec registered under a name."""
        return self.entry(kind, name).spec

    def component(self, kind: str, name: str) -> type[Any]:
        """Import and return the class behind a name.

        Raises:
            PluginError: the target cannot be imported or does not exist.
        """
        entry = self.entry(kind, name)
        if isinstance(entry.spec, specs.SuiteSpec):
            raise PluginError(f"suite '{name}' is a list of tasks, not a class", hint=f"pare-bench show suite {name}")
        module_name, _, attribute = entry.spec.target.partition(":")
        try:
            found: type[Any] = class_at(entry.spec.target) or getattr(importlib.import_module(module_name), attribute)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # Foreign code may fail in any way when it is imported, or exit.
            reason = str(error) if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {error}"
            raise PluginError(
                f"{kind} '{name}' of plugin {entry.plugin} cannot be loaded: {reason}", hint=f"check target '{entry.spec.target}'"
            ) from error
        if not isinstance(found, type):
            raise PluginError(
                f"{kind} '{name}' of plugin {entry.plugin} cannot be loaded: '{entry.spec.target}' is no class", hint='write "module:Class"'
            )
        own = getattr(found, "name", name)
        if kind == "task" and isinstance(own, str) and own != name:
            # Random streams, cached data and records go by the name of the class: under another one it would be served another task's data.
            raise PluginError(
                f"task '{name}' of plugin {entry.plugin} has a class with name '{own}'", hint=f"write name = \"{name}\" in '{entry.spec.target}'"
            )
        return found

    def params(self, kind: str, name: str, values: Mapping[str, Any] | None = None) -> Any:
        """Return the checked ``Params`` of a component.

        Raises:
            UsageError: unknown parameter (with the nearest one) or a value that does not fit.
            PluginError: the class has no parameters.
        """
        from pydantic import BaseModel, ValidationError

        params_class = getattr(self.component(kind, name), "Params", None)
        if not (isinstance(params_class, type) and issubclass(params_class, BaseModel)):
            raise self._unfit(kind, name, "has no class Params")
        try:
            return params_class(**(values or {}))
        except ValidationError as error:
            raise _params_error(kind, name, params_class, error) from error

    def build(self, kind: str, name: str, values: Mapping[str, Any] | None = None, **runtime: Any) -> Any:
        """Build a component: its parameters from ``values``, its run-time objects from ``runtime``.

        Raises:
            PluginError: the class is abstract.
        """
        params = self.params(kind, name, values)
        component = self.component(kind, name)
        if missing := getattr(component, "__abstractmethods__", None):
            raise self._unfit(kind, name, f"has no {' and no '.join(sorted(missing))}")
        return component(params, **runtime)

    def _unfit(self, kind: str, name: str, what: str) -> PluginError:
        entry = self.entry(kind, name)
        target = getattr(entry.spec, "target", "")
        return PluginError(f"{kind} '{name}' of plugin {entry.plugin}: its class {what}", hint=f"pare-bench check {kind}:{name} ('{target}')")

    def _of_kind(self, kind: str) -> dict[str, Entry]:
        if kind not in self._entries:
            raise unknown_name("kind", kind, self._entries, hint="pare-bench list")
        return self._entries[kind]


def _params_error(kind: str, name: str, params_class: type[Any], error: ValidationError) -> UsageError:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    hint = f"pare-bench show {kind} {name}"
    if problem["type"] == "extra_forbidden":
        close = nearest(key, params_class.model_fields)
        known = ", ".join(params_class.model_fields) or "none"
        return UsageError(f"{kind} '{name}' has no parameter '{key}'" + (f"; did you mean '{close}'?" if close else f"; it has: {known}"), hint=hint)
    text = problem["msg"][0].lower() + problem["msg"][1:]
    close = nearest(str(problem["input"]), re.findall(r"'([^']*)'", problem["msg"])) if problem["type"] == "literal_error" else None
    text += f"; did you mean '{close}'?" if close else ""
    return UsageError(f"{kind} '{name}' cannot take {key or 'these parameters'} = {problem['input']!r}: {text}", hint=hint)
