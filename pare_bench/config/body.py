"""What the body of a run decides about its text source: the tokenizer."""

from __future__ import annotations

from typing import Any

from pare_bench.errors import PareBenchError, PluginError, UsageError
from pare_bench.registry.names import Registry

#: Parameter of a text source; None asks for the tokenizer of the run's backbone.
TOKENIZER = "tokenizer"
#: The path that ``-o`` takes.
PATH = f"source.{TOKENIZER}"
#: Tokenizer of a text source in a run without a backbone.
_BUNDLED = "nano_text"


def body_tokenizer(registry: Registry, name: str, params: Any) -> str | None:
    """Return the tokenizer that backbone ``name`` was trained with, for its checked ``params``; None where it names none.

    Raises:
        PluginError: the backbone fails when it is asked, or names no text.
    """
    named = getattr(registry.component("backbone", name), TOKENIZER, None)
    try:
        found = named(params) if callable(named) else None
    except PareBenchError:
        raise
    except Exception as error:
        raise PluginError(
            f"backbone '{name}' cannot name its tokenizer: {type(error).__name__}: {error}", hint=f"pare-bench check backbone:{name}"
        ) from error
    if found is not None and not (isinstance(found, str) and found):
        raise PluginError(f"backbone '{name}' names {found!r} as its tokenizer", hint="return a hub id, a folder, or None")
    return found


def with_tokenizer(registry: Registry, values: dict[str, Any]) -> bool:
    """Name the tokenizer of a text source in the nested values of a run, where none was given: that of the run's backbone.

    Ids of another tokenizer mean other words to a body, or none, and nothing would show it. Returns whether it was named here.

    Raises:
        UsageError: the backbone names no tokenizer.
        PluginError: as :func:`body_tokenizer`.
    """
    source = values.get("source")
    if source is None or source["params"].get(TOKENIZER, "") is not None:
        return False
    body = values.get("backbone")
    found = _BUNDLED if body is None else body_tokenizer(registry, body["name"], registry.params("backbone", body["name"], body["params"]))
    if found is None:
        raise UsageError(
            f"source '{source['name']}' is text, and backbone '{values['backbone']['name']}' names no tokenizer for it",
            hint=f"-o {PATH}=NAME, the hub id or folder of the tokenizer that the backbone was trained with",
        )
    values["source"] = {**source, "params": {**source["params"], TOKENIZER: found}}
    return True
