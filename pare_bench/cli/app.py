"""The Typer application: one verb per file; of a call that names one, only that file is imported."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from pare_bench.cli.config_file import config_file_of
from pare_bench.cli.examples import shown_examples
from pare_bench.cli.output import data_alone, write
from pare_bench.registry.versions import __version__

#: Verbs in the order of ``--help``: the module of each, and its function or the application of its own verbs.
_VERBS: Mapping[str, str] = {
    "run": "run:run_command",
    "compare": "compare:compare_command",
    "power": "power:power_command",
    "status": "status:status_command",
    "explain": "explain:explain_command",
    "reproduce": "reproduce:reproduce_command",
    "rescore": "rescore:rescore_command",
    "inspect": "inspect:inspect_command",
    "probe": "probe:probe_command",
    "list": "listing:list_command",
    "show": "listing:show_command",
    "plugins": "plugins:plugins_app",
    "check": "check:check_command",
    "config": "config:config_app",
    "doctor": "doctor:doctor_command",
    "data": "data:data_app",
    "backbones": "backbones:backbones_app",
    "leaderboard": "leaderboard:leaderboard_app",
}


#: Verbs that are called all the time, with the words that they take at most: without options there is nothing to parse, and Typer's pydantic need not
#: be imported.
_PLAIN: Mapping[str, tuple[str, int]] = {"list": ("listing:list_command", 1), "plugins": ("listing:plugins_command", 0)}


def plain_call(arguments: Sequence[str]) -> Callable[[], None] | None:
    """Return what a call without any option does, where its verb is a simple one; None where Typer must read it."""
    verb, *words = arguments or [""]
    place, most = _PLAIN.get(verb, ("", 0))
    if not place or len(words) > most or any(word.startswith("-") for word in words):
        return None
    module, _, name = place.partition(":")
    return partial(data_alone(getattr(importlib.import_module(f"pare_bench.cli.{module}"), name)), *words)


def _leave_as_written(command: TyperCommand | TyperGroup, ctx: Any) -> None:
    """Let a line that is being completed keep its words as they are: turning them into values takes pydantic, half of the time there is."""
    for parameter in command.get_params(ctx):
        vars(parameter)["process_value"] = lambda _, value: value


class _Group(TyperGroup):
    """Verbs of a group, quickly completed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words up to the verb."""
        if ctx.resilient_parsing:
            _leave_as_written(self, ctx)
        return super().parse_args(ctx, args)


class _Command(TyperCommand):
    """A verb that refuses an option it is given twice instead of taking the last one silently."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the verb.

        Raises:
            TyperException: an option that takes one value stands there more than once, or a value does not fit.
        """
        if ctx.resilient_parsing:
            _leave_as_written(self, ctx)
            return super().parse_args(ctx, args)
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for option in dict.fromkeys(order):
            if order.count(option) > 1 and option.param_type_name == "option" and not option.multiple:
                ctx.fail(f"option {' / '.join(option.opts)} is given {order.count(option)} times, and takes one value")
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            file = config_file_of(ctx)
            name = getattr(error.param, "name", None)
            if file is not None and name in file.values and getattr(ctx.get_parameter_source(name), "name", "") == "DEFAULT_MAP":
                vars(error)["config_file"] = str(file.path)
            raise


def build_app(arguments: Sequence[str], *, completing: bool = False) -> typer.Typer:
    """Return the application for a call: with the verb that ``arguments`` name, or with all of them (when ``completing``, by their names alone)."""
    app = typer.Typer(
        name="pare-bench",
        cls=_Group,
        help="Benchmark cross-modal fine-tuning: PaRe, ORCA and their controls.\n\nFirst steps: pare-bench run --method pare --suite nas360, "
        "then pare-bench compare pare orca.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Typer's own boxes would import rich's Markdown, a third of the time that --help takes.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=shown_examples(""),
    )
    app.callback()(_top)
    named = next((word for word in arguments if not word.startswith("-")), None)
    for verb, place in _VERBS.items():
        if named in _VERBS or not completing:
            if named not in _VERBS or verb == named:
                _add(app, verb, place)
        else:
            # Of a verb that is still being written its name is enough.
            app.command(verb)(_top)
    return app


def _add(app: typer.Typer, verb: str, place: str) -> None:
    module, _, name = place.partition(":")
    found: Any = getattr(importlib.import_module(f"pare_bench.cli.{module}"), name)
    if not isinstance(found, typer.Typer):
        app.command(verb, short_help=_first_line(found), cls=_Command, epilog=shown_examples(verb))(data_alone(found))
        return
    for command in found.registered_commands:
        command.epilog = shown_examples(f"{verb} {command.name}")
        command.short_help = command.short_help or _first_line(command.callback)
        command.cls = _Command
        command.callback = data_alone(command.callback) if command.callback else None
    if (alone := found.registered_callback) is not None and alone.callback is not None:
        # What the group does by itself, without a verb.
        alone.callback = data_alone(alone.callback)
    app.add_typer(found, name=verb, cls=_Group, short_help=found.info.help, epilog=shown_examples(verb))


def _first_line(function: Any) -> str:
    """Return what a verb says of itself, whole; Click would cut it off."""
    return (function.__doc__ or "").partition("\n")[0]


def _print_version(wanted: bool) -> None:
    if wanted:
        write(f"pare-bench {__version__}")
        raise typer.Exit


def _top(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    pass
