"""The Typer application: one verb per file; of a call that names one, only that file is imported."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

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


class _Command(TyperCommand):
    """A verb that refuses an option it is given twice instead of taking the last one silently."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the verb.

        Raises:
            TyperException: an option that takes one value stands there more than once.
        """
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for option in dict.fromkeys(order):
            if order.count(option) > 1 and option.param_type_name == "option" and not option.multiple:
                ctx.fail(f"option {' / '.join(option.opts)} is given {order.count(option)} times, and takes one value")
        return super().parse_args(ctx, args)


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """Return the application for a call: with the verb that ``arguments`` name, or with all of them."""
    app = typer.Typer(
        name="pare-bench",
        help="Benchmark cross-modal fine-tuning: PaRe, ORCA and their controls.\n\nFirst steps: pare-bench run --method pare --suite nas360, "
        "then pare-bench compare pare orca.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Typer's own boxes would import rich's Markdown, a third of the time that --help takes.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_top)
    named = next((word for word in arguments if not word.startswith("-")), None)
    for verb, place in _VERBS.items():
        if named not in _VERBS or verb == named:
            _add(app, verb, place)
    return app


def _add(app: typer.Typer, verb: str, place: str) -> None:
    module, _, name = place.partition(":")
    found: Any = getattr(importlib.import_module(f"pare_bench.cli.{module}"), name)
    if not isinstance(found, typer.Typer):
        app.command(verb, short_help=_first_line(found), cls=_Command)(data_alone(found))
        return
    for command in found.registered_commands:
        command.short_help = command.short_help or _first_line(command.callback)
        command.cls = _Command
        command.callback = data_alone(command.callback) if command.callback else None
    if (alone := found.registered_callback) is not None and alone.callback is not None:
        # What the group does by itself, without a verb.
        alone.callback = data_alone(alone.callback)
    app.add_typer(found, name=verb, short_help=found.info.help)


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
