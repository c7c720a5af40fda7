"""A class that no file holds, written out as a module: its source, the functions, classes and values of the notebook that it uses, and its imports.

The text is read like that of any module (:mod:`pare_bench.digests.closure`): what stands in modules that can be imported is imported, so that it is
followed or counted by version; everything else is here. It is the same for the same sources and values, in whatever cells and order they stand.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import re
import symtable
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any

from pare_bench.digests.found import Found, NoSourceError, lies_in, own_functions, source_of

#: Values that are what their text says.
_PLAIN = (bool, int, float, complex, str, bytes, range, slice, type(None), type(...), type(NotImplemented))
_GROUPS = (list, tuple, set, frozenset)
_UNWRAPPED = 16


def written_out(cls: type) -> str:
    """Return the text of a module that says all that a class is.

    Raises:
        NoSourceError: a source is kept nowhere, or the class uses an object that was made in the notebook and whose content cannot be told.
    """
    writer = _Writer()
    writer.name(cls.__name__, cls, cls.__name__)
    return writer.text()


class _Writer:
    def __init__(self) -> None:
        self._imports: list[str] = []
        self._parts: dict[str, str] = {}
        #: What stands under each name; kept alive, so that no two have one id.
        self._known: dict[str, Any] = {}

    def text(self) -> str:
        return "\n".join([*sorted(self._imports), *self._parts.values()]) + "\n"

    def name(self, name: str, value: Any, owner: str) -> str:
        """Write down what ``name``, which ``owner`` uses, stands for."""
        if name in self._known:
            if self._known[name] is not value and not _alike(self._known[name], value):
                raise NoSourceError(f"'{name}' is two different things in it; give one of them another name")
            return name
        self._known[name] = value
        if isinstance(value, types.ModuleType):
            self._module(name, value, owner)
        elif (plain := _plainly(value)) is not None:
            self._parts[name] = f"{name} = {plain!r}"
        elif (home := home_of(value, name)) is not None:
            module, attribute = home
            first, _, rest = attribute.partition(".")
            self._imports.append(f"from {module} import {first} as {name}" if not rest else f"import {module} as {name}\n{name} = {name}.{attribute}")
        else:
            self._own(name, value, owner)
        return name

    def _module(self, name: str, value: types.ModuleType, owner: str) -> None:
        if value.__name__ == "__main__" or getattr(value, "__spec__", None) is None:
            raise NoSourceError(f"'{owner}' uses '{name}', a module that cannot be imported by another process")
        self._imports.append(f"import {value.__name__} as {name}")

    def _own(self, name: str, value: Any, owner: str) -> None:
        """Write down something that was made in the notebook."""
        if isinstance(value, type):
            self._class(name, value)
        elif (function := _function_in(value)) is not None:
            found = self._source(function, name)
            self._parts[name] = found.source if function.__name__ == name else f"{name} = None\n{found.source}"
            self._used(found, name)
        else:
            self._parts[name] = ""  # its place, before what it uses
            self._parts[name] = f"{name} = {self._shown(value, name, owner)!r}"

    def _class(self, name: str, cls: type) -> None:
        found = self._source(cls, name)
        lines = [found.source if cls.__name__ == name else f"{name} = None\n{found.source}"]
        self._parts[name] = ""
        for attribute, value in sorted(vars(cls).items()):
            # What was put on the class after its definition, or counts there by itself.
            if not attribute.startswith(("__", "_abc_")) and (plain := _plainly(value)) is not None:
                lines.append(f"{name}.{attribute} = {plain!r}")
        for attribute, function in sorted(own_functions(cls).items()):
            if not lies_in(function, cls) and not function.__code__.co_filename.startswith("<string>"):
                lines.append(f"{name}.{attribute.replace('.', '_')} = {self._inner(function, name)}")
        self._parts[name] = "\n".join(lines)
        self._used(found, name)

    def _source(self, thing: Any, name: str) -> Found:
        try:
            return source_of(thing)
        except NoSourceError as error:
            raise NoSourceError(f"'{name}': {error}") from error

    def _used(self, found: Found, owner: str) -> None:
        for name in names_in(found.source):
            if name == owner:
                # Itself; while a cell is run again, the name still stands for the one before.
                continue
            for place in (found.closed, found.globals):
                if name in place:
                    self.name(name, place[name], owner)
                    break
        # A name that is nowhere, nor among Python's own, fails when it is used, if it ever is.

    def _inner(self, value: Any, owner: str) -> str:
        """Return what stands for a class or function inside a value."""
        own = getattr(value, "__name__", "") or type(value).__name__
        own = own if own.isidentifier() else f"lambda_{len(self._known)}"
        return self.name(own, value, owner)

    def _shown(self, value: Any, name: str, owner: str) -> str:
        """Return the content of a value as text."""
        kind = type(value)
        plain = _plainly(value)
        if plain is not None:
            return plain
        if kind in (dict, types.MappingProxyType):
            return "{" + ", ".join(f"{self._shown(key, name, owner)}: {self._shown(each, name, owner)}" for key, each in value.items()) + "}"
        if kind in _GROUPS:
            shown = [self._shown(each, name, owner) for each in value]
            return f"{kind.__name__}({', '.join(sorted(shown) if kind in (set, frozenset) else shown)})"
        if isinstance(value, type | types.FunctionType) or home_of(value, "") is not None:
            return self._inner(value, owner)
        parts = _parts_of(value)
        if parts is None:
            raise NoSourceError(f"'{owner}' uses '{name}', a {kind.__name__} made outside it, whose content cannot be told; make it inside")
        return f"{self._inner(kind, owner)}({self._shown(parts, name, owner)})"


def _parts_of(value: Any) -> dict[str, Any] | None:
    """Return what an object is made of, None where its class does not say so."""
    if isinstance(value, functools.partial):
        return {"func": value.func, "args": value.args, "keywords": value.keywords}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    fields = getattr(type(value), "model_fields", None)
    return {each: getattr(value, each) for each in fields} if isinstance(fields, Mapping) else None


def names_in(source: str) -> list[str]:
    """Return the names in a source that may stand for something outside it, in their order; those of attributes do not."""
    names: dict[str, None] = {}
    tables = [symtable.symtable(source, "source", "exec")]
    while tables:
        table = tables.pop(0)
        tables += table.get_children()
        for symbol in sorted(table.get_symbols(), key=lambda symbol: symbol.get_name()):
            # In the body of a class a name may be read before it is written: ``class Params(Params)``.
            outside = symbol.is_global() or symbol.is_free() or table.get_type() in ("class", "module")
            if symbol.is_referenced() and outside and symbol.get_name() != "__class__":
                names[symbol.get_name()] = None
    return list(names)


def home_of(value: Any, name: str) -> tuple[str, str] | None:
    """Return the module, and the name in it, that something can be imported by; None where it cannot."""
    module = getattr(value, "__module__", None)
    for attribute in (getattr(value, "__qualname__", None), getattr(value, "__name__", None)):
        if isinstance(module, str) and isinstance(attribute, str) and _is_at(value, module, attribute):
            return module, attribute
    if isinstance(value, type | types.FunctionType) and not _importable(module):
        return None
    # Functions of C and objects say nothing, or something that is not so, of where they are from.
    for attribute in dict.fromkeys(filter(None, (name, getattr(value, "__name__", None)))):
        if isinstance(attribute, str) and attribute.isidentifier():
            places = [each for each, found in list(sys.modules.items()) if getattr(found, "__dict__", {}).get(attribute) is value]
            places = [each for each in places if _importable(each)]
            if places:
                return min(places, key=lambda each: (each.startswith("_"), each.count("."), len(each), each)), attribute
    return None


def _is_at(value: Any, module: str, attribute: str) -> bool:
    if not _importable(module):
        return False
    found: Any = sys.modules[module]
    for part in attribute.split("."):
        found = getattr(found, part, None)
    return found is value


def _importable(module: str | None) -> bool:
    """Return whether another process could import a module by its name."""
    found = sys.modules.get(module or "__main__")
    return module != "__main__" and found is not None and getattr(found, "__spec__", None) is not None


def _function_in(value: Any) -> types.FunctionType | None:
    for _ in range(_UNWRAPPED):
        if isinstance(value, types.FunctionType):
            inner = getattr(value, "__wrapped__", None)
            return inner if isinstance(inner, types.FunctionType) else value
        value = getattr(value, "__wrapped__", None)
    return None


def _alike(one: Any, other: Any) -> bool:
    plain = _plainly(one)
    return plain is not None and plain == _plainly(other)


def _plainly(value: Any) -> str | None:
    """Return the content of a value that holds no code as text, None for others."""
    kind = type(value)
    if kind in _PLAIN:
        return repr(value)
    if kind in _GROUPS or kind is dict:
        items = [item for pair in value.items() for item in pair] if kind is dict else list(value)
        texts = [text for each in items if (text := _plainly(each)) is not None]
        shown = ", ".join(sorted(texts) if kind in (set, frozenset) else texts)
        return f"{kind.__name__}({shown})" if len(texts) == len(items) else None
    if isinstance(value, logging.Logger):
        return "Logger"
    if isinstance(value, typing.TypeVar | re.Pattern | types.GenericAlias | types.UnionType) or typing.get_origin(value) is not None:
        return f"{kind.__name__} {value!r}"
    return _array(value)


def _array(value: Any) -> str | None:
    """Return an array or tensor as text: type, shape and a digest of its bytes."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if torch is not None:
        if isinstance(value, torch.dtype | torch.device | torch.Size):
            return repr(value)
        if type(value) is torch.Tensor:
            value = value.detach().cpu().numpy()
    if numpy is None or not isinstance(value, numpy.ndarray | numpy.generic) or value.dtype.hasobject:
        return None
    content = hashlib.sha256(numpy.ascontiguousarray(value).tobytes()).hexdigest()
    return f"{type(value).__name__} {value.dtype} {value.shape} {content}"
