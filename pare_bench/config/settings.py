"""What of a configuration makes the method, and what only says on which data and how often: the paths and values that ``-o`` takes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pare_bench.config.run_config import SLOTS, RunConfig, short_path

#: Fields that say what a run is scored on; divisions and data digests keep those apart.
DATA_FIELDS = frozenset({"suite", "task", "tier", "track", "preset", "data_seed", "size"})
#: Fields that make another run of the same method.
RUN_FIELDS = frozenset({"seed", "device"})
_OTHER_FIELDS = set(DATA_FIELDS | RUN_FIELDS)
#: Commands and settings that are remembered: many records share few of them.
_REMEMBERED = 1 << 14


@lru_cache(_REMEMBERED)
def options_of(command: str) -> tuple[str, ...]:
    """Return the ``-o`` settings of a command, as :func:`options` does."""
    try:
        words = iter(shlex.split(command))
    except ValueError:
        return ()
    return options(_given(words))


def _given(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if word in ("-o", "--option"):
            yield next(words, "")
        elif word.startswith("--option="):
            yield word.removeprefix("--option=")


def options(texts: Iterable[str]) -> tuple[str, ...]:
    """Return ``-o`` settings as sorted ``path=value`` texts in the short form of paths, the last of each path."""
    found: dict[str, str] = {}
    for text in texts:
        path, separator, value = text.partition("=")
        if separator:
            found[short_path(path)] = value
    return tuple(f"{path}={value}" for path, value in sorted(found.items()))


def path_of(option: str) -> str:
    """Return the path of a ``path=value``."""
    return option.partition("=")[0]


def field_of(option: str) -> str:
    """Return the field of a run in which a ``path=value`` begins."""
    return path_of(option).partition(".")[0]


class Setting(NamedTuple):
    """What makes the method of a run: ``flat`` has the paths and values that ``-o`` takes, ``identity`` is their text."""

    identity: str
    flat: Mapping[str, str]


def setting(config: RunConfig) -> Setting:
    """Return what makes the method of a run."""
    return setting_of(config.model_dump_json(exclude=_OTHER_FIELDS))


def setting_of_document(config: Mapping[str, Any]) -> Setting:
    """Return what makes the method of a run whose configuration is plain JSON."""
    return setting_of(json.dumps({name: value for name, value in config.items() if name not in _OTHER_FIELDS}))


@lru_cache(_REMEMBERED)
def setting_of(fields: str) -> Setting:
    """Return what the fields of a configuration make, given as JSON without those of data and run."""
    flat = flattened(json.loads(fields))
    return Setting(json.dumps(flat, sort_keys=True), flat)


def flattened(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return fields of a configuration as paths and values that ``-o`` takes."""
    flat: dict[str, str] = {}
    for field, value in fields.items():
        if (field in SLOTS or field in ("method", "task")) and value is not None:
            flat[field] = option_text(value["name"])
            _flatten(flat, field, value["params"])
        else:
            _flatten(flat, field, value)
    return flat


def _flatten(flat: dict[str, str], path: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _flatten(flat, f"{path}.{key}", item)
    else:
        flat[path] = option_text(value)


def option_text(value: Any) -> str:
    """Return a value as the text that ``-o`` takes for it: JSON, without quotes where it is text that is no JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except (ValueError, RecursionError):  # as parse_overrides reads it
            return value
    return json.dumps(value, sort_keys=True)


def difference(own: Mapping[str, str], base: Mapping[str, str]) -> list[str]:
    """Return the settings in which ``own`` differs from ``base`` as ``path=value``; of a component that was exchanged only its name."""
    exchanged = {slot for slot in SLOTS if own.get(slot) != base.get(slot)}
    paths = sorted(path for path in own.keys() | base.keys() if own.get(path) != base.get(path))
    return [f"{path}={own.get(path, 'absent')}" for path in paths if path in exchanged or path.partition(".")[0] not in exchanged]
