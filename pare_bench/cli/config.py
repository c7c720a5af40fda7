"""``pare-bench config show``: every field of the runs that ``run`` would do with the same options, and where its value comes from."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Annotated, Any, get_args

import typer

from pare_bench.cli import output
from pare_bench.cli.config_file import config_file_of, path_set_by, with_options
from pare_bench.cli.execution import split_options
from pare_bench.cli.listing import FormatOption, ListFormat
from pare_bench.cli.run import requests_of, run_command

config_app = typer.Typer(
    help="What the options of run come to: every field of a run, and where its value comes from.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: Options of ``run`` that make the fields of a run; the others are taken, so that any call of ``run`` can be asked about, and change nothing.
_MAKING = frozenset({"ctx", "method", "suite", "task", "preset", "tier", "track", "seeds", "option", "config", "device", "compiled"})
_Origin = Annotated[bool, typer.Option("--origin", help="Say of each value where it comes from.")]


def show_command(ctx: typer.Context, *, origin: bool = False, format: ListFormat | None = None, **_others: Any) -> None:  # noqa: A002
    """Show every field of the runs that run would do with the same options, the first seed of each method and task."""
    from pare_bench.config.resolution import explained
    from pare_bench.config.run_config import parse_overrides
    from pare_bench.registry.names import Registry

    registry = Registry.from_environment()
    own, _ = split_options(with_options(ctx, ctx.params["option"] or ()))
    documents = []
    for request in requests_of(registry, {**ctx.params, "option": own}):
        tasks = request.tasks or registry.spec("suite", request.suite).tasks
        for task in tasks:
            config, fields = explained(registry, request, task, request.seeds[0], parse_overrides(request.overrides))
            told = {path: (value, _origin(ctx, path, by, own)) for path, (value, by) in fields.items()}
            documents.append({"run": config.label(), "fields": told})
    _print(documents, format, origin=origin)


def _origin(ctx: typer.Context, path: str, by: str, options: list[str]) -> str:
    """Return an origin as the user knows it: which option, or which file."""
    file = config_file_of(ctx)
    if by == "-o":
        asked = next((text for text in options if path_set_by(text) == path or path.startswith(f"{path_set_by(text)}.")), "")
        if path == "compile" and not asked:
            return _by_option(ctx, "compiled", "--compile")
        return f"config file '{file.path}'" if file is not None and asked in file.options else "-o"
    if by == "command":
        name = "seeds" if path == "seed" else path
        return _by_option(ctx, name, f"--{name}")
    return by


def _by_option(ctx: typer.Context, name: str, option: str) -> str:
    file, source = config_file_of(ctx), getattr(ctx.get_parameter_source(name), "name", "")
    where = f"config file '{file.path}'" if source == "DEFAULT_MAP" and file is not None else option if source == "COMMANDLINE" else "default"
    return f"{where}, auto" if ctx.params.get(name) == "auto" else where


def _print(documents: list[dict[str, Any]], chosen: ListFormat | None, *, origin: bool) -> None:
    if chosen is ListFormat.JSON:
        output.write_json([{"run": each["run"], "fields": _fields(each["fields"], origin=origin)} for each in documents])
        return
    several = len(documents) > 1
    columns = (*(("run",) if several else ()), "path", "value", *(("origin",) if origin else ()))
    rows = [
        (*((each["run"],) if several else ()), path, value, *((by,) if origin else ()))
        for each in documents
        for path, (value, by) in each["fields"].items()
    ]
    output.table(columns, rows, drawn=None if chosen is None else chosen is ListFormat.TABLE)


def _fields(told: Mapping[str, tuple[str, str]], *, origin: bool) -> list[dict[str, Any]]:
    from pare_bench.config.run_config import parse_overrides

    fields = []
    for path, (value, by) in told.items():
        ((_, parsed),) = parse_overrides([f"{path}={value}"])
        fields.append({"path": path, "value": parsed, **({"origin": by} if origin else {})})
    return fields


def _signature() -> inspect.Signature:
    """Return the options of ``run`` with those of this verb: whatever is asked of ``run`` can be asked here."""
    given = inspect.signature(run_command, eval_str=True).parameters
    own = [each if name in _MAKING else each.replace(annotation=_hidden(each.annotation)) for name, each in given.items() if name != "format"]
    more = [
        inspect.Parameter("origin", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_Origin),
        inspect.Parameter("format", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=FormatOption),
    ]
    return inspect.Signature([*own, *more], return_annotation=None)


def _hidden(annotation: Any) -> Any:
    kind, option = get_args(annotation)
    option = copy.copy(option)
    option.hidden = True
    return Annotated[kind, option]


# Typer reads the options of a verb from its signature.
vars(show_command)["__signature__"] = _signature()
show_command.__annotations__ = {name: each.annotation for name, each in _signature().parameters.items()} | {"return": None}
config_app.command("show")(show_command)
