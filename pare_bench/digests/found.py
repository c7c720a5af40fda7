"""The source of a class or function that is there, as Python keeps it: in its file, or where IPython keeps a cell (:mod:`linecache`).

A file may have been edited since it was run, and a name may have been defined twice. What is found is what the object was made from: its bytecode
is compared with that of the source.
"""

from __future__ import annotations
import __future__

import ast
import copy
import linecache
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partialmethod
from types import CodeType, FunctionType
from typing import Any

#: Flags that a notebook may have set in an earlier cell.
_FLAGS = (0, __future__.annotations.compiler_flag)

#: Wrappers around a function, at most.
_WRAPPED = 16


class NoSourceError(Exception):
    """The source of an object cannot be told; the message says why."""


@dataclass(frozen=True)
class Found:
    """The ``source`` of a class or function, and what names in it stand for: ``closed`` those of the functions around it, ``globals`` the rest."""

    source: str
    closed: Mapping[str, Any]
    globals: Mapping[str, Any]


class _Version:
    """A text that a file has had, with its syntax and its code."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def codes(self) -> dict[tuple[str, int], list[CodeType]]:
        codes: dict[tuple[str, int], list[CodeType]] = {}
        # A file is compiled whole, a cell statement by statement: calls of what another statement imports differ in their bytecode.
        units = [self.tree, *(ast.Module([statement], []) for statement in self.tree.body)]
        for flags in _FLAGS:
            for unit in units:
                for code in _inside(compile(unit, "source", "exec", flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)):
                    codes.setdefault((code.co_name, code.co_firstlineno), []).append(code)
        return codes

    def has(self, function: FunctionType) -> bool:
        """Return whether a function was made from this text."""
        code = function.__code__
        return any(_same(code, other) for other in self.codes.get((code.co_name, code.co_firstlineno), ()))


#: The texts of each file that something was found in: a script may be edited while it runs.
_versions: dict[str, list[_Version]] = {}


def source_of(thing: Any) -> Found:
    """Return the source of a class or function, with decorators.

    Raises:
        NoSourceError: it is kept nowhere, or the file has changed since.
    """
    return _class(thing) if isinstance(thing, type) else _function(thing)


def own_functions(cls: type) -> dict[str, FunctionType]:
    """Return the functions in a class by name: methods, those behind properties, and unwrapped ones."""
    found = {}
    for name, value in vars(cls).items():
        for part, inner in _functions_in(value):
            found[name + part] = inner
    return found


def lies_in(function: FunctionType, cls: type) -> bool:
    """Return whether a function was written in the body of a class."""
    return function.__qualname__.startswith(f"{cls.__qualname__}.") and function.__module__ == cls.__module__


def _functions_in(value: Any) -> Iterator[tuple[str, FunctionType]]:
    if isinstance(value, property):
        for part in ("fget", "fset", "fdel"):
            for _, function in _functions_in(getattr(value, part)):
                yield f".{part}", function
        return
    seen: Any = value.func if isinstance(value, cached_property | partialmethod) else value
    for _ in range(_WRAPPED):
        wrapper = isinstance(seen, staticmethod | classmethod) or callable(seen)
        inner: Any = getattr(seen, "__wrapped__", None) if wrapper else None
        if inner is None or isinstance(seen, type):
            break
        seen = inner
    if isinstance(seen, FunctionType):
        yield "", seen


def _class(cls: type) -> Found:
    functions = [each for each in own_functions(cls).values() if lies_in(each, cls) and _lines_of(each.__code__.co_filename)]
    # A class of values alone has no function; its own Params may have some.
    inner = [each for nested in vars(cls).values() if isinstance(nested, type) for each in own_functions(nested).values() if lies_in(each, nested)]
    inner = [each for each in inner if _lines_of(each.__code__.co_filename)]
    for file in dict.fromkeys([*(each.__code__.co_filename for each in (*functions, *inner)), *_files_of(cls)]):
        here = [each for each in functions if each.__code__.co_filename == file]
        for version in _texts(file):
            if all(version.has(each) for each in here) and (node := _class_node(version.tree, cls, here)) is not None:
                closed = {name: value for each in functions for name, value in _closed(each).items()}
                names = _globals(cls, [*functions, *inner])
                return Found(ast.unparse(_unregistered(node, {**names, **closed})), closed, names)
        if here:
            raise NoSourceError(f"'{file}' has changed since '{cls.__name__}' was defined from it")
    raise NoSourceError("its source is kept nowhere")


def _function(function: FunctionType) -> Found:
    file = function.__code__.co_filename
    if not _lines_of(file):
        raise NoSourceError("its source is kept nowhere")
    for version in _texts(file):
        if version.has(function) and (node := _function_node(version.tree, function)) is not None:
            return Found(ast.unparse(node), _closed(function), function.__globals__)
    raise NoSourceError(f"'{file}' has changed since '{function.__name__}' was defined from it")


def _closed(function: FunctionType) -> dict[str, Any]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    found = {}
    for name, cell in cells:
        if name != "__class__":
            try:
                found[name] = cell.cell_contents
            except ValueError:  # not filled yet
                continue
    return found


def _globals(cls: type, functions: list[FunctionType]) -> Mapping[str, Any]:
    if functions:
        return functions[0].__globals__
    module = sys.modules.get(cls.__module__)
    return {} if module is None else vars(module)


def _files_of(cls: type) -> Iterator[str]:
    """Yield where a class without functions may have been written: its module's file, or one of the cells, the newest first."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file is not None:
        yield file
    elif cls.__module__ == "__main__":
        # What IPython keeps has no time of change, so that it is not looked for on disk.
        yield from [name for name, entry in reversed(linecache.cache.items()) if len(entry) == 4 and entry[1] is None]


def _texts(file: str) -> Iterator[_Version]:
    known = _versions.setdefault(file, [])
    yield from reversed(known)
    for fresh in (False, True):
        if fresh:
            linecache.checkcache(file)
        text = "".join(linecache.getlines(file))
        if text and all(text != version.text for version in known):
            version = _Version(text)
            try:
                version.codes  # noqa: B018 - a cell that is no Python is none of its sources
            except (SyntaxError, ValueError, RecursionError):
                continue
            known.append(version)
            yield version


def _lines_of(file: str) -> bool:
    return bool(_versions.get(file) or linecache.getlines(file))


def _class_node(tree: ast.Module, cls: type, functions: list[FunctionType]) -> ast.ClassDef | None:
    lines = {each.__code__.co_firstlineno for each in functions}
    first = getattr(cls, "__firstlineno__", None)
    found = [node for node, path in _walk(tree) if isinstance(node, ast.ClassDef) and path == cls.__qualname__]
    found = [node for node in found if all(_first(node) <= line <= (node.end_lineno or 0) for line in lines)]
    return next((node for node in found if first in (node.lineno, _first(node))), found[-1] if found else None)


def _unregistered(node: ast.ClassDef, names: Mapping[str, Any]) -> ast.ClassDef:
    """Return a class without ``@pare_bench.register(...)`` above it: what registers it trains nothing."""
    kept = [each for each in node.decorator_list if not _registers(each.func if isinstance(each, ast.Call) else each, names)]
    changed = copy.copy(node)
    changed.decorator_list = kept
    return changed


def _registers(mark: ast.expr, names: Mapping[str, Any]) -> bool:
    found: Any = None
    match mark:
        case ast.Attribute(value=ast.Name(id=package), attr="register"):
            found = getattr(names.get(package), "register", None)
        case ast.Name(id=name):
            found = names.get(name)
    return getattr(found, "__module__", None) == "pare_bench.registry.registering"


def _function_node(tree: ast.Module, function: FunctionType) -> ast.stmt | None:
    line = function.__code__.co_firstlineno
    if function.__name__ != "<lambda>" and function.__code__.co_name != "<lambda>":
        named = [
            node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function.__code__.co_name
        ]
        return next((node for node in named if line in (node.lineno, _first(node))), None)
    # The statement around it counts: which one of two in a line it is cannot be told.
    around = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and _first(node) <= line <= (node.end_lineno or 0)]
    return max(around, key=lambda node: (node.lineno, -(node.end_lineno or 0)), default=None)


def _walk(node: ast.AST, path: str = "") -> Iterator[tuple[ast.AST, str]]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef():
                yield child, path + child.name
                yield from _walk(child, f"{path}{child.name}.")
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield child, path + child.name
                yield from _walk(child, f"{path}{child.name}.<locals>.")
            case _:
                yield from _walk(child, path)


def _first(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _inside(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _inside(constant)


def _same(one: CodeType, other: CodeType) -> bool:
    """Return whether two codes do the same; where they stand, and under which name of a file, does not matter."""
    if (one.co_code, one.co_names, one.co_varnames, one.co_freevars) != (other.co_code, other.co_names, other.co_varnames, other.co_freevars):
        return False
    if len(one.co_consts) != len(other.co_consts):
        return False
    return all(_same_constant(*pair) for pair in zip(one.co_consts, other.co_consts, strict=True))


def _same_constant(one: object, other: object) -> bool:
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return _same(one, other)
    return type(one) is type(other) and (one == other or repr(one) == repr(other))
