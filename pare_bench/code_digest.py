"""What code a result depends on, as a digest that ignores comments, docstrings and formatting."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

#: Modules of ours that every score depends on.
CORE = (
    "pare_bench.context",
    "pare_bench.contracts.task",
    "pare_bench.heads",
    "pare_bench.losses",
    "pare_bench.metrics",
    "pare_bench.network",
    "pare_bench.seeds",
    "pare_bench.training",
)


#: Modules that carry names, options and messages about and never touch a number; changing them must not make every record stale.
PLUMBING = (
    "pare_bench",
    "pare_bench.config",
    "pare_bench.errors",
    "pare_bench.hookspecs",
    "pare_bench.plugins",
    "pare_bench.progress",
    "pare_bench.records",
    "pare_bench.registry",
    "pare_bench.specs",
    "pare_bench.version",
)


def code_digest(modules: Iterable[str]) -> str:
    """Return the SHA-256 over the syntax trees of ``modules`` (sorted, each once).

    A module whose source cannot be found (a compiled extension) counts by its name alone.
    """
    total = hashlib.sha256()
    for module in sorted(set(modules)):
        total.update(f"{module}\n{_tree(module)}\n".encode())
    return total.hexdigest()


def with_imports(modules: Iterable[str]) -> set[str]:
    """Return ``modules`` and what they import, transitively, from their own top-level packages and from ours, without the plumbing."""
    seen: set[str] = set()
    queue = list(modules)
    while queue:
        module = queue.pop()
        if module in seen or module in PLUMBING or _source(module) is None:
            continue
        seen.add(module)
        # A baseline or a plugin is made of our modules, too: what changes in them changes its results.
        packages = (module.partition(".")[0], "pare_bench")
        for node in ast.walk(ast.parse(_source(module) or "")):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            queue += [name for name in names if name.partition(".")[0] in packages]
    return seen


def _source(module: str) -> str | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin).read_text("utf-8")


def _tree(module: str) -> str:
    source = _source(module)
    if source is None:
        return ""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body: list[ast.stmt] = getattr(node, "body", None) or []
        is_documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and body
        if is_documented and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
            node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.dump(tree)
