"""Find plugins, remember where each one came from, and survive broken ones."""

from __future__ import annotations

import copy
import importlib.metadata
import inspect
import os
import sys
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import pluggy

from pare_bench.errors import PareBenchError, PluginError, nearest
from pare_bench.registry import hookspecs, specs
from pare_bench.registry.stated import API_ATTRIBUTE, stated_api
from pare_bench.registry.versions import PLUGIN_API, __version__

GROUP = "pare_bench"
SELECTION_VARIABLE = "PARE_BENCH_PLUGINS"
#: Loaded whatever ``PARE_BENCH_PLUGINS`` says: without them the tool has no content. They use the same hooks as everybody.
OWN = ("builtin", "baselines")
#: Characters of a plugin's error in a line of ours.
_LONGEST = 300
#: kind -> (registering hook, what it yields); the order is the order of ``pare-bench list``.
KINDS: Mapping[str, tuple[str, type]] = {
    "suite": ("pare_bench_suites", specs.SuiteSpec),
    "task": ("pare_bench_tasks", specs.TaskSpec),
    "method": ("pare_bench_methods", specs.MethodSpec),
    "backbone": ("pare_bench_backbones", specs.BackboneSpec),
    "embedder": ("pare_bench_embedders", specs.EmbedderSpec),
    "selector": ("pare_bench_selectors", specs.SelectorSpec),
    "mixer": ("pare_bench_mixers", specs.MixerSpec),
    "aligner": ("pare_bench_aligners", specs.AlignerSpec),
    "executor": ("pare_bench_executors", specs.ExecutorSpec),
}


@dataclass(frozen=True)
class PluginInfo:
    """Where a plugin came from; ``error`` says why it could not be loaded (None: it was), ``api`` which plugin API it states that it needs."""

    name: str
    module: str
    distribution: str
    version: str
    error: str | None = None
    api: int | None = None

    def __str__(self) -> str:
        return f"'{self.name}' ({self.distribution} {self.version})"


@dataclass(frozen=True)
class Plugins:
    """The loaded plugins: a pluggy manager of our own, the provenance of each plugin by name, and what each yielded, by (plugin, kind)."""

    manager: pluggy.PluginManager
    infos: tuple[PluginInfo, ...]
    yielded: Mapping[tuple[str, str], Sequence[Any]]

    @property
    def broken(self) -> tuple[PluginInfo, ...]:
        """Plugins that could not be loaded."""
        return tuple(info for info in self.infos if info.error is not None)

    def broken_hint(self) -> str:
        """Return what a hint about an unknown name says of plugins that could not be loaded; "" where all could."""
        names = ", ".join(info.name for info in self.broken)
        return f"  (plugins that could not be loaded: {names}; see pare-bench plugins)" if names else ""

    def only(self, name: str) -> Plugins:
        """Return one of the loaded plugins by itself."""
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs)
        manager.register(self.manager.get_plugin(name), name)
        return Plugins(
            manager, tuple(info for info in self.infos if info.name == name), {key: value for key, value in self.yielded.items() if key[0] == name}
        )

    def observe(self, hook: str) -> bool:
        """Return whether any plugin implements an observing hook."""
        return bool(getattr(self.manager.hook, hook).get_hookimpls())

    def notify(self, hook: str, **arguments: object) -> dict[str, float]:
        """Call an observing hook, each implementation with copies of its own; what one raises becomes a warning, never a failed run.

        Returns the seconds that each plugin took.
        """
        seconds: dict[str, float] = {}
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            began = time.perf_counter()
            try:
                implementation.function(**{name: copy.deepcopy(arguments[name]) for name in implementation.argnames})
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - an observer may fail in any way, or want to exit, and must not take the run with it
                _warn(f"plugin '{implementation.plugin_name}' failed in {hook}: {_in_a_line(error)}")
            seconds[implementation.plugin_name] = seconds.get(implementation.plugin_name, 0.0) + time.perf_counter() - began
        return seconds


def load_plugins(environ: Mapping[str, str] | None = None, entry_points: Iterable[importlib.metadata.EntryPoint] | None = None) -> Plugins:
    """Load the plugins that ``PARE_BENCH_PLUGINS`` allows.

    Unset: all installed ones. ``none``: only pare-bench's own. ``a,b``: pare-bench's own and exactly those. A plugin that cannot be imported,
    that needs a newer plugin API, names an unknown hook or whose hook fails is kept in :attr:`Plugins.infos` with its error, and nothing of it is
    registered.

    Raises:
        PluginError: ``PARE_BENCH_PLUGINS`` names a plugin that is not installed.
    """
    environ = os.environ if environ is None else environ
    found = list(importlib.metadata.entry_points(group=GROUP) if entry_points is None else entry_points)
    wanted = _wanted(environ.get(SELECTION_VARIABLE), {point.name for point in found})
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    infos: list[PluginInfo] = []
    yielded: dict[tuple[str, str], Sequence[Any]] = {}
    # Own plugins first, then by name: the order of installation must not decide anything.
    for point in sorted(found, key=lambda point: (point.name not in OWN, point.name, point.value)):
        if wanted is not None and point.name not in wanted:
            continue
        distribution = point.dist.name if point.dist else "unknown"
        version = point.dist.version if point.dist else "unknown"
        taken = next((info for info in infos if info.name == point.name), None)
        error, api = (f"the plugin name is already taken by {taken}", None) if taken else _register(manager, point, yielded)
        infos.append(PluginInfo(point.name, point.value, distribution, version, error, api))
    return Plugins(manager, tuple(infos), yielded)


def _wanted(setting: str | None, installed: set[str]) -> set[str] | None:
    if setting is None:
        return None
    names = {name.strip() for name in setting.split(",") if name.strip()} - {"none"}
    for name in sorted(names - installed):
        close = nearest(name, installed)
        raise PluginError(
            f"{SELECTION_VARIABLE} names plugin '{name}', which is not installed" + (f"; did you mean '{close}'?" if close else ""),
            hint=f"installed: {', '.join(sorted(installed)) or 'none'}",
        )
    return names | set(OWN)


def _register(
    manager: pluggy.PluginManager, point: importlib.metadata.EntryPoint, yielded: dict[tuple[str, str], Sequence[Any]]
) -> tuple[str | None, int | None]:
    """Import and register one plugin, and add what its hooks yield to ``yielded``; return what went wrong, or None, and the API that it states."""
    try:
        module = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - foreign code may fail in any way, or exit; it is reported by name and the tool goes on
        # What it cannot import may be what it needs a newer pare-bench for.
        stated = stated_api(point)
        return _unfit(stated) or f"cannot be imported: {type(error).__name__}: {error}", stated if _is_number(stated) else None
    stated = getattr(module, API_ATTRIBUTE, None)
    return _unfit(stated) or _registered(manager, point, module, yielded), stated if _is_number(stated) else None


def _is_number(stated: object) -> TypeGuard[int]:
    return isinstance(stated, int) and not isinstance(stated, bool)


def _unfit(stated: object) -> str | None:
    """Return why a plugin that states this API cannot be loaded here, or None."""
    if stated is None:
        return None
    if not _is_number(stated) or stated < 1:
        return f"states {API_ATTRIBUTE} = {stated!r}, not a whole number from 1 (this pare-bench has {PLUGIN_API})"
    if stated > PLUGIN_API:
        return f"needs plugin API {stated}, and pare-bench {__version__} has {PLUGIN_API}: upgrade pare-bench, or take an older version of the plugin"
    return None


def _registered(
    manager: pluggy.PluginManager, point: importlib.metadata.EntryPoint, module: Any, yielded: dict[tuple[str, str], Sequence[Any]]
) -> str | None:
    """Register an imported plugin; return what went wrong, or None."""
    try:
        manager.register(module, name=point.name)
        # pluggy accepts misspelt hooks until asked; without this a typo would silently register nothing.
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        if manager.has_plugin(point.name):
            manager.unregister(name=point.name)
        known = [name for name in vars(hookspecs) if name.startswith("pare_bench_")]
        pending = [name for name in vars(module) if name.startswith("pare_bench_") and name not in known]
        close = nearest(pending[0], known) if pending else None
        return f"does not fit the hooks: {' '.join(str(error).split())}" + (f" (did you mean '{close}'?)" if close else "")
    callers = manager.get_hookcallers(module)
    problem = None if callers else "has no hooks: no function of it is marked with @pare_bench.hookimpl"
    for caller in callers or ():
        problem = problem or next((_never_run(caller.name, each) for each in caller.get_hookimpls() if each.plugin_name == point.name), None)
    if problem is not None:
        manager.unregister(name=point.name)
        return problem
    found = collect(manager, point.name)
    if isinstance(found, str):
        manager.unregister(name=point.name)
        return found
    yielded |= found
    return None


def _never_run(name: str, implementation: pluggy.HookImpl) -> str | None:
    """Return why a call of this implementation of hook ``name`` would do nothing, None where it does something."""
    function = implementation.function
    if implementation.hookwrapper or implementation.wrapper:
        return f"has a wrapper around {name}: each plugin is called by itself, so there is nothing to wrap; use a plain @hookimpl"
    registering = name in {hook for hook, _ in KINDS.values()}
    lazy = inspect.iscoroutinefunction(function) or (
        not registering and (inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function))
    )
    return f"has a {name} that never runs: it is a coroutine or a generator; use a plain function without yield and async" if lazy else None


def _warn(text: str) -> None:
    try:
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    except RuntimeWarning:
        # Warnings are errors here (-W error); of an observer's failure nothing may become one.
        sys.stderr.write(f"warning: {text}\n")


def _in_a_line(error: BaseException) -> str:
    """Return an error as one line of a bounded length; one that cannot show itself goes by its type."""
    try:
        text = " ".join(repr(error).split())
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - foreign code, too
        return type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def collect(manager: pluggy.PluginManager, name: str) -> dict[tuple[str, str], Sequence[Any]] | str:
    """Call the registering hooks of one plugin, each once: what one yields may be there to be read once only.

    Returns what they yield, by (plugin, kind), or which of them raises, yields something that is not its spec, or a name twice.
    """
    found: dict[tuple[str, str], Sequence[Any]] = {}
    for kind, (hook, spec_class) in KINDS.items():
        yielded: list[Any] = []
        # One plugin may implement a hook twice, by functions with a ``specname``.
        own = [implementation for implementation in getattr(manager.hook, hook).get_hookimpls() if implementation.plugin_name == name]
        for implementation in own:
            try:
                yielded += implementation.function()
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - as above
                hint = f" ({error.hint})" if isinstance(error, PareBenchError) and error.hint else ""
                return f"fails in {hook}: {type(error).__name__}: {error}{hint}"
        for strange in [spec for spec in yielded if not isinstance(spec, spec_class)]:
            return f"yields {type(strange).__name__} from {hook}, which takes {spec_class.__name__}"
        names = [spec.name for spec in yielded]
        for twice in [each for number, each in enumerate(names) if each in names[:number]]:
            return f"yields {kind} '{twice}' twice from {hook}: give one of them another name, or take it out"
        if own:
            found[name, kind] = tuple(yielded)
    return found
