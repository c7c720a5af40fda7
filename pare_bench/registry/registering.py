"""From Python: classes of a notebook or a script registered for this process, components built, names listed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any, TypeVar, overload

from pare_bench.digests.live import NoSourceError, published
from pare_bench.errors import PluginError, UsageError, nearest, plain_text
from pare_bench.registry import session, specs
from pare_bench.registry.declared import declared
from pare_bench.registry.names import Registry
from pare_bench.registry.plugins import KINDS

Component = TypeVar("Component", bound=type)

#: The contract of each kind that has a class.
_CONTRACTS: Mapping[str, str] = {f"pare_bench.contracts.{kind}.{kind.capitalize()}": kind for kind in KINDS if kind != "suite"}


@overload
def register(component: Component, *, kind: str | None = None, name: str | None = None, summary: str | None = None, **fields: Any) -> Component: ...
@overload
def register(component: specs.SuiteSpec) -> specs.SuiteSpec: ...
@overload
def register(*, kind: str | None = None, name: str | None = None, summary: str | None = None, **fields: Any) -> Callable[[Component], Component]: ...
def register(component: Any = None, *, kind: str | None = None, name: str | None = None, summary: str | None = None, **fields: Any) -> Any:
    """Register a class for this process, without a distribution: ``register(Margin)``, or ``@register(name="margin")`` above the class.

    ``kind`` follows from the contract that the class derives from, ``name`` from its attribute ``name`` or its own name, ``summary`` from its
    docstring; ``fields`` are those of the kind's spec, such as ``slots`` of a method; ``modality`` and ``dense`` of a task follow from its inputs and
    target. A task is run as part of a suite: of ``session``, or of one that is registered: ``register(SuiteSpec(...))``.

    Its source is part of a run's identity, with the functions, classes and values of the notebook that it uses. Registered again under the same name,
    a class takes the place of the earlier one. Executors that leave the process do not know it.

    Raises:
        UsageError: it is no class, its kind cannot be told, or a field does not fit.
        PluginError: a plugin has a component of that name, or the source of the class, or something that it uses, cannot be told.
    """
    if component is None:
        return lambda cls: register(cls, kind=kind, name=name, summary=summary, **fields)
    if isinstance(component, specs.SuiteSpec):
        _check_free("suite", component.name)
        session.keep("suite", component)
        return component
    if not isinstance(component, type):
        raise UsageError(f"register takes a class, got {component!r}", hint="pare_bench.register(MyClass), the class itself")
    kind = kind or _kind(component)
    if kind not in KINDS or kind == "suite":
        raise UsageError(f"kind '{kind}' has no classes", hint=f"one of: {', '.join(_CONTRACTS.values())}")
    own = getattr(component, "name", None)
    name = name or (own if isinstance(own, str) else _snake(component.__name__))
    _check_free(kind, name)
    session.keep(kind, _spec(component, kind, name, summary, fields))
    return component


def unregister(kind: str, name: str) -> None:
    """Take out what :func:`register` has registered; nothing happens where it is not there."""
    session.forget(kind, name)


def names(kind: str) -> tuple[str, ...]:
    """Return the registered names of a kind (``task``, ``suite``, ``method``, ``selector``, ...), in the order of ``pare-bench list``.

    Raises:
        UnknownNameError: there is no such kind.
        PluginError: plugins contradict each other.
    """
    return Registry.from_environment().names(kind)


def load(kind: str, name: str, params: Mapping[str, Any] | None = None, **runtime: Any) -> Any:
    """Build a component; see :func:`pare_bench.load`."""
    registry = Registry.from_environment()
    component = registry.component(kind, name)
    _check_runtime(kind, name, component, runtime)
    return registry.build(kind, name, params, **runtime)


def _check_runtime(kind: str, name: str, component: type[Any], runtime: Mapping[str, Any]) -> None:
    """Check that a constructor gets what it asks for, beside its parameters.

    Raises:
        UsageError: something is missing, or is not asked for.
    """
    try:
        _, *asked = inspect.signature(component).parameters.values()
    except (TypeError, ValueError):  # a constructor that says nothing of itself is asked by being called
        return
    takes = {each.name: each for each in asked if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)}
    shown = ", ".join(map(_shown, takes.values()))
    call = f'pare_bench.load("{kind}", "{name}"' + "".join(f", {each.name}=..." for each in takes.values() if each.default is each.empty) + ")"
    if any(each.kind is each.VAR_KEYWORD for each in asked):
        return
    for given in runtime:
        if given not in takes:
            close = nearest(given, takes)
            what = f"did you mean '{close}'?" if close else f"it takes {shown}" if shown else "it takes nothing but its params"
            raise UsageError(f"{kind} '{name}' takes no '{given}' when it is built; {what}", hint=call)
    missing = [each for each in takes.values() if each.default is each.empty and each.name not in runtime]
    if missing:
        raise UsageError(f"{kind} '{name}' is built with {shown}, and {', '.join(repr(each.name) for each in missing)} is missing", hint=call)


def _shown(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    kind = "" if annotation is parameter.empty else f" ({annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)})"
    return f"{parameter.name}{kind}" + ("" if parameter.default is parameter.empty else f" = {parameter.default!r}")


def _check_free(kind: str, name: str) -> None:
    """Check that no plugin has the name.

    Raises:
        PluginError: one has.
    """
    registry = Registry.from_environment()
    if name in registry.names(kind) and (taken := registry.entry(kind, name).plugin) != session.PLUGIN:
        raise PluginError(f"{kind} '{name}' is registered by plugin {taken}", hint=f"choose another name: pare_bench.register(..., name='my_{name}')")


def _spec(component: type[Any], kind: str, name: str, summary: str | None, fields: Mapping[str, Any]) -> Any:
    spec_class: Any = KINDS[kind][1]
    known = [each for each in spec_class.__dataclass_fields__ if each not in ("name", "summary", "target")]
    for field in fields:
        if field not in known:
            close = nearest(field, known)
            raise UsageError(
                f"a {kind} is not registered with '{field}'" + (f"; did you mean '{close}'?" if close else ""),
                hint=f"fields: {', '.join(['kind', 'name', 'summary', *known])}",
            )
    given = {**(declared(component) if kind == "task" else {}), **fields}
    missing = [each for each in known if spec_class.__dataclass_fields__[each].default is MISSING and each not in given]
    if missing:
        raise UsageError(f"{kind} '{name}' needs {', '.join(missing)}", hint=f"pare_bench.register({component.__name__}, {missing[0]}=...)")
    line = summary or next((line.strip() for line in (component.__doc__ or "").splitlines() if line.strip()), component.__name__)
    # The name is checked before the class is made known by it.
    spec_class(name=name, summary=line, target="any.module:Class", **given)
    try:
        target = published(component, f"{kind}.{name}")
    except NoSourceError as error:
        raise PluginError(
            f"{kind} '{name}' cannot be registered: {plain_text(str(error))}",
            hint="its source is part of a run's identity: define it in a cell of a notebook, or in a file",
        ) from error
    return spec_class(name=name, summary=line, target=target, **given)


def _kind(component: type) -> str:
    for base in component.__mro__:
        kind = _CONTRACTS.get(f"{base.__module__}.{base.__name__}")
        if kind is not None:
            return kind
    raise UsageError(
        f"'{component.__name__}' derives from no contract of pare-bench, so that its kind is not known",
        hint=f"derive it from one of pare_bench.contracts, or say kind=: one of {', '.join(_CONTRACTS.values())}",
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().strip("_")
