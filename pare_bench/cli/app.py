"""The Typer application: one verb per file, all of them light to import."""

from __future__ import annotations

from typing import Annotated

import typer

from pare_bench.cli import check, compare, data, explain, inspect, leaderboard, listing, reproduce, rescore, run, status
from pare_bench.cli.output import write
from pare_bench.version import __version__

app = typer.Typer(
    name="pare-bench",
    help="Benchmark cross-modal fine-tuning: PaRe, ORCA and their controls.\n\nFirst steps: pare-bench run --method pare --suite nas360, "
    "then pare-bench compare pare orca.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        write(f"pare-bench {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    pass


app.command("run")(run.run_command)
app.command("compare")(compare.compare_command)
app.command("status")(status.status_command)
app.command("explain")(explain.explain_command)
app.command("reproduce")(reproduce.reproduce_command)
app.command("rescore")(rescore.rescore_command)
app.command("inspect")(inspect.inspect_command)
app.command("list")(listing.list_command)
app.command("show")(listing.show_command)
app.command("plugins")(listing.plugins_command)
app.command("check")(check.check_command)
app.add_typer(data.data_app, name="data")
app.add_typer(leaderboard.leaderboard_app, name="leaderboard")
