"""Which plugin API a plugin says that it needs, read from its source where it cannot be imported."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from pathlib import Path

#: Attribute of the plugin module that says it: ``PLUGIN_API = 1``.
API_ATTRIBUTE = "PLUGIN_API"


def stated_api(point: importlib.metadata.EntryPoint) -> object:
    """Return what the plugin's source assigns to ``PLUGIN_API``; None where it says nothing, cannot be found or cannot be parsed.

    Nothing is imported: the file is looked for along ``sys.path``.
    """
    place = Path(*point.module.split("."))
    for folder in sys.path:
        for path in (Path(folder, place).with_suffix(".py"), Path(folder, place, "__init__.py")):
            if path.is_file():
                return _assigned(path)
    return None


def _assigned(path: Path) -> object:
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (OSError, ValueError, SyntaxError):
        return None
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == API_ATTRIBUTE for target in targets):
            value = getattr(node, "value", None)
            return value.value if isinstance(value, ast.Constant) else None
    return None
