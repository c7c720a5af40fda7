"""``--config FILE.toml``: options of a verb by their long names, and a table ``[options]`` of what ``-o`` takes; the command line wins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from pare_bench.errors import EnvironmentFault, UsageError, nearest

#: The table of what ``-o`` takes.
TABLE = "options"
#: Most bytes of a file; one with every option and every field of a run has a few thousand.
_BYTES = 1_000_000
#: Options that say where other options come from, or that a file cannot hold: it stands for what is run, not for a look at it.
_NOT_IN_FILES = ("config", "option", "dry_run", "origin", "help")
_KEY = "pare_bench.config_file"


@dataclass(frozen=True)
class ConfigFile:
    """What a file says: ``values`` by the names of a verb's parameters, ``options`` as ``path=value`` texts."""

    path: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    options: Sequence[str] = ()


def config_file_of(ctx: typer.Context) -> ConfigFile | None:
    """Return the file that a command names, None where it names none."""
    found: ConfigFile | None = ctx.meta.get(_KEY)
    return found


def with_options(ctx: typer.Context, options: Sequence[str]) -> tuple[str, ...]:
    """Return the ``-o`` settings of a command and, of paths that it leaves alone, those of its file."""
    file = config_file_of(ctx)
    if file is None:
        return tuple(options)
    from pare_bench.config.run_config import SLOTS

    given = {path_set_by(text) for text in options}
    # A component that the command line exchanges takes the parameters of the file's along.
    given_slots = given & SLOTS.keys()
    return (*(text for text in file.options if (path := path_set_by(text)) not in given and path.partition(".")[0] not in given_slots), *options)


def path_set_by(text: str) -> str:
    """Return the path that a ``path=value`` text sets, in its short form."""
    from pare_bench.config.run_config import short_path

    return short_path(text.partition("=")[0])


def _take(ctx: typer.Context, path: Path | None) -> Path | None:
    """Make what the file says the defaults of the verb's options."""
    if path is not None and not ctx.resilient_parsing:
        file = read_config_file(path, {parameter.name or "": parameter for parameter in ctx.command.params})
        ctx.meta[_KEY] = file
        ctx.default_map = {**(ctx.default_map or {}), **file.values}
    return path


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        is_eager=True,
        callback=_take,
        help="Options by their long names, and a table [options] of what -o takes; the command line wins.",
    ),
]


def read_config_file(path: Path, parameters: Mapping[str, Any]) -> ConfigFile:
    """Return what a file says for a verb with these parameters.

    Raises:
        UsageError: it is no TOML, or has a key that is no option of the verb, or a value that no option takes.
        EnvironmentFault: it cannot be read.
    """
    document = _document(path)
    by_option = {name: parameter for parameter in parameters.values() for name in _long_names(parameter)}
    values: dict[str, Any] = {}
    table = document.pop(TABLE, {})
    if not isinstance(table, dict):
        raise UsageError(f"'{path}': {TABLE} = {table!r} is no table", hint=f"write [{TABLE}] and below it recipe.learning_rate = 0.0005")
    for key, value in document.items():
        parameter = by_option.get(key)
        if parameter is None:
            raise _unknown(path, key, value, sorted(by_option))
        if (name := parameter.name) in values:
            raise UsageError(f"'{path}': '{key}' says again what another key has said", hint="give each option once")
        values[name] = _value(path, key, value, parameter)
    return ConfigFile(path, values, tuple(f"{'.'.join(parts)}={text}" for parts, text in _flat(path, table)))


def _document(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as file:
            content = file.read(_BYTES + 1)
    except OSError as error:
        raise EnvironmentFault(f"--config '{path}' cannot be read: {error.strerror or error}", hint=f"ls -l '{path}'") from error
    if len(content) > _BYTES:
        raise UsageError(f"--config '{path}' is larger than {_BYTES:,} bytes", hint="give the file with options, a few lines of TOML")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"--config '{path}' is not UTF-8 text: {error.reason} at byte {error.start}", hint="save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"--config '{path}' is not TOML: {str(error) or 'too many levels'}", hint='for example method = "pare"') from error


def _long_names(parameter: Any) -> Iterator[str]:
    """Yield the long names of an option that a file can set; of a switch with two names the one that means true."""
    if parameter.param_type_name != "option" or parameter.name in _NOT_IN_FILES:
        return
    for name in parameter.opts:
        if name.startswith("--"):
            yield name.removeprefix("--")


def _unknown(path: Path, key: str, value: Any, known: Sequence[str]) -> UsageError:
    message = f"'{path}': '{key}' is no option"
    if isinstance(value, dict):
        return UsageError(f"{message}; its only table is [{TABLE}]", hint=f"write [{TABLE if nearest(key, [TABLE]) else f'{TABLE}.{key}'}]")
    close = nearest(key, known)
    if close is None:
        return UsageError(message, hint=f"it takes: {', '.join(known)}, and a table [{TABLE}]")
    return UsageError(f"{message}; did you mean '{close}'?", hint=f"write {close} = ...")


def _value(path: Path, key: str, value: Any, parameter: Any) -> Any:
    """Return a value as the option takes it from the command line; lists are for options that can be repeated."""
    if parameter.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"'{path}': '{key}' is true or false, not {value!r}", hint=f"write {key} = true")
        return value
    if isinstance(value, list):
        if parameter.multiple and all(isinstance(item, str) for item in value):
            return value
        if key == "seeds" and value and all(isinstance(item, int) and not isinstance(item, bool) for item in value):
            return ",".join(map(str, value))
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        return [str(value)] if parameter.multiple else str(value)
    raise UsageError(
        f"'{path}': '{key}' cannot be {value!r}", hint=f'write {key} = "..."' + (f' or {key} = ["...", "..."]' if parameter.multiple else "")
    )


def _flat(path: Path, table: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the paths and texts that ``-o`` takes; tables lead deeper, and so do dots in quoted keys."""
    from pare_bench.config.settings import option_text

    for key, value in table.items():
        parts = (*before, *key.split("."))
        if isinstance(value, dict):
            yield from _flat(path, value, parts)
            continue
        try:
            yield parts, option_text(value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"'{path}': '{'.'.join(parts)}' cannot be {value!r}", hint="numbers, text, true, false and lists of them") from error
