"""What the source of a module says: a digest of its syntax tree, what it imports under which names, and which of those names it uses.

The digest leaves out what does not move a number: comments, docstrings, formatting, import statements (which names come from where is kept apart,
see :mod:`pare_bench.digests.closure`), imports for types, registration (hooks and specs), and where a module stands that is named in a text
(``"package.module:function"``). Nothing is imported or executed.
"""

from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import dataclass

#: Hex digits of a module's digest: enough to tell versions of one module apart.
DIGITS = 16
#: A module, or something in one, named in a text: ``"package.module"``, ``"package.module:function"``.
_NAMED = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?::([A-Za-z_]\w*))?\Z")
_HOOK = re.compile(r"pare_bench_[a-z_]+\Z")
_SPEC = re.compile(r"(?:Suite|Task|Backbone|Embedder|Selector|Mixer|Aligner|Method|Executor)Spec\Z")


@dataclass(frozen=True)
class Binding:
    """A name that an import gives to something: ``attribute`` of ``module``, the module itself where that is empty, all names where it is ``*``."""

    name: str
    module: str
    attribute: str = ""


@dataclass(frozen=True)
class Syntax:
    """A module's source.

    ``own`` is the digest of what is left, "" where nothing is. ``imports`` are all modules (and perhaps names in them) that are imported,
    ``bindings`` what the imported names stand for, ``used`` the names that occur, ``texts`` modules named in texts as (module, attribute).
    """

    own: str
    imports: tuple[str, ...]
    bindings: tuple[Binding, ...]
    used: frozenset[str]
    texts: tuple[tuple[str, str], ...]


def read_syntax(source: str, package: str, own_packages: frozenset[str]) -> Syntax:
    """Return what a module's ``source`` says; ``package`` is the one it stands in; texts ``"module:name"``, and those that name a module of
    ``own_packages``, are references.

    Raises:
        SyntaxError: the source is not Python's.
    """
    tree = ast.parse(source)
    reader = _Reader(package, own_packages)
    body = reader.shown(tree)
    return Syntax(
        hashlib.sha256(body.encode()).hexdigest()[:DIGITS] if body not in _NOTHING else "",
        tuple(dict.fromkeys(reader.imports)),
        tuple(dict.fromkeys(reader.bindings)),
        frozenset(reader.used),
        tuple(dict.fromkeys(reader.texts)),
    )


class _Reader:
    """One walk through a tree: its text without what does not count, and on the way what it imports and names."""

    def __init__(self, package: str, own_packages: frozenset[str]) -> None:
        self._package = package
        self._own_packages = own_packages
        self.imports: list[str] = []
        self.bindings: list[Binding] = []
        self.used: set[str] = set()
        self.texts: list[tuple[str, str]] = []

    def shown(self, node: object) -> str:
        """Return a node as text. Unlike :func:`ast.dump` it leaves out what is empty, so that Python versions agree on what they all know."""
        if isinstance(node, list):
            return "[" + ",".join(filter(None, map(self.shown, node))) + "]"
        if not isinstance(node, ast.AST):
            return repr(node)
        special = self._special(node)
        if special is not None:
            return special
        if isinstance(node, ast.Name):
            self.used.add(node.id)
        fields = []
        for name, value in ast.iter_fields(node):
            if value is not None and value != [] and not isinstance(value, ast.expr_context):
                fields.append(f"{name}={self.shown(value)}")
        return f"{type(node).__name__}({','.join(fields)})"

    def _special(self, node: ast.AST) -> str | None:
        """Return the text of a node that is not simply the sum of its parts, None for all others."""
        match node:
            case ast.Import() | ast.ImportFrom():
                self._take(node)
                return ""
            case _ if _says_nothing(node):
                return ""  # does nothing, is a docstring, or registers
            case ast.If(test=test, orelse=orelse) if _called(test) == "TYPE_CHECKING":
                return self.shown(orelse) if orelse else ""
            case ast.Call(func=function) if self._is_spec(function):
                return "Spec"
            case ast.Constant(value=str(value)):
                return self._text(value)
        return None

    def _text(self, value: str) -> str:
        found = _NAMED.match(value)
        own = found is not None and "." in found[1] and found[1].partition(".")[0] in self._own_packages
        if found is None or not (own or found[2]):
            return f"Constant(value={value!r})"
        self.texts.append((found[1], found[2] or ""))
        return f"Constant(value=module:{found[2] or ''})"

    def _is_spec(self, function: ast.expr) -> bool:
        """Return whether a call registers something: of a spec's class that comes from us."""
        base = function.value if isinstance(function, ast.Attribute) else function
        ours = isinstance(base, ast.Name) and any(each.name == base.id and each.module.partition(".")[0] == "pare_bench" for each in self.bindings)
        return ours and bool(_SPEC.match(_called(function)))

    def _take(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.imports.append(alias.name)
                bound = alias.name if alias.asname else alias.name.partition(".")[0]
                self.bindings.append(Binding(alias.asname or bound, alias.name))
            return
        base = node.module or ""
        if node.level:
            parents = self._package.split(".")
            base = ".".join([*parents[: len(parents) - node.level + 1], *([node.module] if node.module else [])])
        self.imports.append(base)
        for alias in node.names:
            self.imports.append(f"{base}.{alias.name}")
            self.bindings.append(Binding(alias.asname or alias.name, base, alias.name))


def _called(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""


def _says_nothing(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef):
        return _is_hook(node)
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str))


def _is_hook(node: ast.FunctionDef) -> bool:
    marks = (mark.func if isinstance(mark, ast.Call) else mark for mark in node.decorator_list)
    return bool(_HOOK.match(node.name)) and any(_called(mark) == "hookimpl" for mark in marks)


#: What is left of modules that do nothing but import; most packages' own modules.
_NOTHING = frozenset(_Reader("", frozenset()).shown(ast.parse(source)) for source in ("", "'nothing'", "import nothing"))
