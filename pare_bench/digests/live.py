"""Classes of this process that another one could not import: defined in a notebook, in the script that is run, inside a function.

Each gets a name of a module of its own, under which :mod:`pare_bench.digests.closure` finds it written out. The text is made anew whenever it is
asked for: what it uses of a notebook may have been defined again.
"""

from __future__ import annotations

import sys

from pare_bench.digests.found import NoSourceError
from pare_bench.digests.written_out import home_of, written_out

#: The classes by the names of their modules.
_classes: dict[str, type] = {}


def published(cls: type, name: str) -> str:
    """Make a class known, and return what names it: ``"package.module:Class"`` where it can be imported, else a module of its own called ``name``.

    Raises:
        NoSourceError: its source cannot be told.
    """
    home = home_of(cls, cls.__name__)
    if home is not None and "." not in home[1] and getattr(sys.modules[home[0]], "__file__", None) is not None:
        return ":".join(home)
    written_out(cls)
    module = f"{cls.__module__}.{name}"
    _classes[module] = cls
    return f"{module}:{cls.__name__}"


def withdrawn(target: str) -> None:
    """Forget a class; nothing happens where it can be imported."""
    _classes.pop(target.partition(":")[0], None)


def class_at(target: str) -> type | None:
    """Return the class that :func:`published` has given this name, None for one that is imported."""
    return _classes.get(target.partition(":")[0])


def target_of(cls: type) -> str:
    """Return what names a class, as :func:`published` has it or as it is imported."""
    module = next((module for module, other in _classes.items() if other is cls), cls.__module__)
    return f"{module}:{cls.__name__}"


def text_of(module: str) -> str | None:
    """Return a class written out, None where ``module`` is none of those here.

    Raises:
        NoSourceError: its source can no longer be told.
    """
    cls = _classes.get(module)
    return None if cls is None else written_out(cls)


__all__ = ["NoSourceError", "class_at", "published", "target_of", "text_of", "withdrawn"]
