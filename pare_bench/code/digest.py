"""What code a result depends on, as digests that ignore comments, docstrings and formatting. Reads sources; imports none of them."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

#: Modules of ours that every score depends on.
CORE = (
    "pare_bench.training.context",
    "pare_bench.contracts.task",
    "pare_bench.model.heads",
    "pare_bench.model.losses",
    "pare_bench.metrics",
    "pare_bench.model.network",
    "pare_bench.scoring.scores",
    "pare_bench.seeds",
    "pare_bench.training.loop",
)


#: Modules that carry names, options and messages about and never touch a number; changing them must not make every record stale.
PLUMBING = (
    "pare_bench",
    "pare_bench.code.digest",
    "pare_bench.config.run_config",
    "pare_bench.errors",
    "pare_bench.registry.hookspecs",
    "pare_bench.registry.plugins",
    "pare_bench.training.progress",
    "pare_bench.records.record",
    "pare_bench.registry.names",
    "pare_bench.registry.specs",
    "pare_bench.version",
)

#: Hex digits of a module's digest: enough to tell versions of one module apart.
DIGITS = 16


@dataclass(frozen=True)
class _Source:
    """A module's digest and the names it imports."""

    digest: str
    imports: tuple[str, ...]


def code_digest(modules: Iterable[str]) -> str:
    """Return the SHA-256 over the syntax trees of ``modules`` (sorted, each once).

    A module whose source cannot be found (a compiled extension) counts by its name alone.
    """
    return combined(module_digests(modules))


def module_digests(modules: Iterable[str]) -> dict[str, str]:
    """Return for each module the first 16 hex digits of the SHA-256 of its syntax tree, the empty string where there is no source."""
    sources = {module: _source(module) for module in sorted(set(modules))}
    return {module: source.digest if source else "" for module, source in sources.items()}


def combined(digests: Mapping[str, str]) -> str:
    """Return one SHA-256 over the digests of modules."""
    return hashlib.sha256("".join(f"{module} {digests[module]}\n" for module in sorted(digests)).encode()).hexdigest()


def with_imports(modules: Iterable[str]) -> set[str]:
    """Return ``modules`` and what they import, transitively, from their own top-level packages and from ours, without the plumbing.

    Relative imports and imports inside functions are followed; names that are put together at run time are not.
    """
    seen: set[str] = set()
    queue = list(modules)
    while queue:
        module = queue.pop()
        source = None if module in seen or module in PLUMBING else _source(module)
        if source is None or source.digest == _EMPTY:
            continue
        seen.add(module)
        # A baseline or a plugin is made of our modules, too: what changes in them changes its results.
        packages = (module.partition(".")[0], "pare_bench")
        queue += [name for name in source.imports if name.partition(".")[0] in packages]
        # Importing a module runs the packages around it.
        queue += [module.rpartition(".")[0]] if "." in module else []
    return seen


def outside_packages(modules: Iterable[str]) -> set[str]:
    """Return the top-level packages that ``modules`` import and that are neither their own, nor ours, nor Python's."""
    found: set[str] = set()
    for module in modules:
        source = _source(module)
        own = {module.partition(".")[0], "pare_bench", "pare_bench_baselines"}
        found |= {name.partition(".")[0] for name in source.imports} - own if source else set()
    return {name for name in found if name not in sys.stdlib_module_names}


def _source(module: str) -> _Source | None:
    """Return what the source of a module says, None where there is none (it is compiled, or not there)."""
    path = _locate(module)
    if path is None:
        return None
    try:
        state = path.stat()
    except OSError:
        return None
    return _read(path, module, state.st_mtime_ns, state.st_size)


def _locate(module: str) -> Path | None:
    """Return the source file of a module without importing it or a package around it."""
    top, *rest = module.split(".")
    spec = _top_level(top)
    if spec is None:
        return None
    origin, folders = spec
    if not rest:
        return Path(origin) if origin.endswith(".py") else None
    for folder in folders:
        for candidate in (Path(folder, *rest).with_suffix(".py"), Path(folder, *rest, "__init__.py")):
            if candidate.is_file():
                return candidate
    return None


def _top_level(name: str) -> tuple[str, tuple[str, ...]] | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return None if spec is None else (spec.origin or "", tuple(spec.submodule_search_locations or ()))


@lru_cache(maxsize=4096)
def _read(path: Path, module: str, mtime_ns: int, size: int) -> _Source:  # noqa: ARG001 - a changed file is read again
    tree = ast.parse(path.read_text("utf-8"))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    imports = tuple(dict.fromkeys(_imports(tree, package)))
    return _Source(hashlib.sha256(_dump(tree).encode()).hexdigest()[:DIGITS], imports)


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _dump(node: object) -> str:
    """Return a syntax tree as text. Unlike :func:`ast.dump` it leaves out what is empty, so that Python versions agree on what they all know."""
    if isinstance(node, list):
        return "[" + ",".join(map(_dump, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name, value in ast.iter_fields(node):
        shown = _without_docstring(node, value) if name == "body" else value
        if shown is not None and shown != [] and not isinstance(shown, ast.expr_context):
            fields.append(f"{name}={_dump(shown)}")
    return f"{type(node).__name__}({','.join(fields)})"


def _without_docstring(node: ast.AST, body: object) -> object:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
        return body
    first, *rest = node.body
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return rest or [ast.Pass()]
    return body


#: Digest of a module that does nothing; most packages' own modules.
_EMPTY = hashlib.sha256(_dump(ast.parse("'nothing'")).encode()).hexdigest()[:DIGITS]
