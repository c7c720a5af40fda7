"""``pare-bench leaderboard build|show|site``: the leaderboard as a file, in the terminal and as a page."""

from __future__ import annotations

import csv
import io
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pare_bench.cli import completion, output
from pare_bench.cli.options import OutOption, TextFormat, TextOption, checked_preset, checked_tier, checked_track
from pare_bench.errors import DataMissingError, ExitCode, PareBenchError
from pare_bench.report import MAX_RUNS

if TYPE_CHECKING:
    from pare_bench.leaderboard.build import LeftOff
    from pare_bench.leaderboard.evidence import Depth, Evidence
    from pare_bench.records.record import RunRecord
    from pare_bench.registry.names import Registry
    from pare_bench.report.content import Row, Section


class ShowFormat(StrEnum):
    """Formats of the leaderboard."""

    TABLE = "table"
    MD = "md"
    CSV = "csv"
    JSON = "json"


class Scores(StrEnum):
    """Whether scores are computed again from stored predictions."""

    NONE = "none"
    HERE = "here"
    ALL = "all"


DEPTHS: dict[Scores, Depth] = {Scores.HERE: "here", Scores.ALL: "all"}

ScoresOption = Annotated[
    Scores,
    typer.Option(
        help="Compute scores again from stored predictions: here, where the data are in the cache or ship with a package; all: data are made or read."
    ),
]


def all_records(out: Path, evidence: Evidence | None = None) -> tuple[list[RunRecord], list[LeftOff]]:
    """Return the records of a store that count, and what is left off; that is named on stderr."""
    from pare_bench.leaderboard.counting import CountingRecords
    from pare_bench.records.store import Store

    return CountingRecords(Store(out), output.note, evidence).read()


def build_command(
    out: OutOption = Path("leaderboard"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 6 when leaderboard.json is not what the records give.")] = False,
    scores: ScoresOption = Scores.HERE,
    format: TextOption = TextFormat.TEXT,  # noqa: A002
) -> int:
    """Build leaderboard.json from the records. Exit code 4 when a file had to be left off; the leaderboard says which, and why."""
    from pare_bench.leaderboard.build import build, to_json
    from pare_bench.leaderboard.evidence import Evidence
    from pare_bench.records.store import turn, write_atomically
    from pare_bench.registry.names import Registry

    path = out / "leaderboard.json"
    evidence = None if scores is Scores.NONE else Evidence(Registry.from_environment(), DEPTHS[scores])
    records, left_off = all_records(out, evidence)
    content = to_json(build(records, left_off)).encode()
    same = path.is_file() and path.read_bytes() == content
    if format is TextFormat.JSON and (check or records or out.is_dir()):
        output.write_json({"path": str(path), "records": len(records), "left_off": len(left_off), "written": not check, "changed": not same})
    if check:
        if not same:
            output.error(f"'{path}' is not what the records of '{out}' give", f"pare-bench leaderboard build --out {out}")
            return ExitCode.GATE_NOT_MET
    else:
        if not records and not out.is_dir():
            raise DataMissingError(f"there are no records in '{out}'", hint=f"pare-bench run --method pare --out {out}")
        with turn(out / ".leaderboard.lock"):
            write_atomically(path, content)
    if evidence and evidence.checked:
        output.note(evidence.sentence())
    output.note(f"'{path}' is {'what' if check else 'built from'} {len(records)} records" + (" give" if check else ""))
    return ExitCode.INTEGRITY if left_off else ExitCode.OK


def show_command(
    *,
    suite: Annotated[str | None, typer.Option("--suite", "-s", help="Only this suite.", autocompletion=completion.names("suite"))] = None,
    tier: Annotated[str | None, typer.Option(help="Only this tier of data.", autocompletion=completion.tiers)] = None,
    track: Annotated[str | None, typer.Option(help="Only this track.", autocompletion=completion.tracks)] = None,
    preset: Annotated[str | None, typer.Option(help="Only this preset.", autocompletion=completion.presets)] = None,
    out: OutOption = Path("leaderboard"),
    format: Annotated[ShowFormat | None, typer.Option("--format", help="Default: table on a terminal, md elsewhere.")] = None,  # noqa: A002
) -> int:
    """Show the ranking of each division (suite, tier, track, preset), and the methods that are not ranked with the reason."""
    from pare_bench.leaderboard.build import build
    from pare_bench.records.variants import division_of
    from pare_bench.report.content import sections

    records, left_off = all_records(out)
    asked = (suite, checked_tier(tier), checked_track(track), checked_preset(preset))
    records = [record for record in records if all(wanted in (None, own) for wanted, own in zip(asked, division_of(record), strict=True))]
    if not records:
        raise DataMissingError(f"there are no such records in '{out}'", hint=f"pare-bench status --out {out}")
    if format is ShowFormat.JSON:
        output.write_json(build(records, left_off))
    elif format is ShowFormat.CSV:
        output.write(_csv(sections(records, {}, max_runs=0)))
    else:
        for section in sections(records, {}, max_runs=0):
            _show(section, drawn=None if format is None else format is ShowFormat.TABLE)
    return ExitCode.INTEGRITY if left_off else ExitCode.OK


def _show(section: Section, *, drawn: bool | None) -> None:
    table = output.stdout_is_terminal() if drawn is None else drawn
    columns = ("method", "mean rank", *(f"{task.name} {'↑' if task.direction == 'maximise' else '↓'}" for task in section.tasks), "time", "trained")
    if table:
        _draw(section)
    else:
        output.write(f"**{section.title}**\n")
        output.table(columns, [*(_cells(row, section) for row in section.ranked), *_floors(section)], drawn=False)
    if section.partial:
        if not table:
            output.write("")
        rows = [(row.label, f"{len(row.cells)} of {len(section.tasks)}", "; ".join(row.problems)) for row in section.partial]
        output.table(("not ranked", "tasks", "why"), rows, drawn=table)
    if not table:
        output.write("")


def _draw(section: Section) -> None:
    """Draw the ranking so that it fits the terminal: short numbers, and tasks that find no room in further tables below."""
    from pare_bench.comparison.screen import Fitted
    from pare_bench.comparison.table_parts import Table, short
    from pare_bench.report.numbers import count, duration

    rows, bold = [], set()
    best = [min((row.cells[task.name].rank or 0.0 for row in section.ranked), default=0.0) for task in section.tasks]
    for place, row in enumerate(section.ranked):
        cells = [row.cells[task.name] for task in section.tasks]
        scores = (short(cell.mean) + ("" if cell.half is None else f"±{short(cell.half)}") for cell in cells)
        rows.append((row.label, f"{row.mean_rank:.2f}", duration(row.seconds), count(row.parameters), *scores))
        bold |= {(place, 4 + column) for column, cell in enumerate(cells) if cell.rank == best[column]}
    for name, values in _floor_values(section):
        rows.append((f"({name})", "", "", "", *map(short, values)))
    names = (f"{task.name} {'↑' if task.direction == 'maximise' else '↓'}" for task in section.tasks)
    columns = ("method", "rank", "time", "trained", *names)
    output.render(Fitted(Table(section.title, columns, tuple(rows), ("method",), "", frozenset(bold))))


def _cells(row: Row, section: Section) -> tuple[str, ...]:
    from pare_bench.report.numbers import count, duration, number

    scores = []
    for task in section.tasks:
        cell = row.cells[task.name]
        scores.append(number(cell.mean) + ("" if cell.half is None else f" ± {number(cell.half)}"))
    return (row.label, f"{row.mean_rank:.2f}", *scores, duration(row.seconds), count(row.parameters))


def _floors(section: Section) -> list[tuple[str, ...]]:
    """Return the rows of the floors: what ignores its input, and where a task's fields evolve, what says that nothing changes."""
    from pare_bench.report.numbers import number

    return [(f"({name})", "", *map(number, values), "", "") for name, values in _floor_values(section)]


def _floor_values(section: Section) -> list[tuple[str, list[float | None]]]:
    both = [("floor", [task.floor for task in section.tasks]), ("persistence", [task.persistence for task in section.tasks])]
    return [(name, values) for name, values in both if any(value is not None for value in values)]


def _csv(shown: tuple[Section, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    named = ("suite", "tier", "track", "preset", "method", "mean_rank", "task", "metric", "direction")
    writer.writerow([*named, "mean", "low", "high", "seeds", "rank", "floor", "persistence"])
    for section in shown:
        for row in (*section.ranked, *section.partial):
            for task in section.tasks:
                if (cell := row.cells.get(task.name)) is not None:
                    ends = cell.interval or ("", "")
                    numbers = [cell.mean, *ends, len(cell.seeds), cell.rank, task.floor, task.persistence]
                    names = [row.label, row.mean_rank, task.name, task.metric, task.direction]
                    writer.writerow(["" if value is None else value for value in (*section.division, *names, *numbers)])
    return text.getvalue()


def _versions(registry: Registry, kind: str, names: set[str]) -> dict[str, int]:
    """Return the versions of those components that are installed here and can be imported."""
    found: dict[str, int] = {}
    for name in sorted(names & set(registry.names(kind))):
        try:
            found[name] = int(registry.component(kind, name).version)
        except (PareBenchError, AttributeError, TypeError, ValueError) as error:
            output.note(f"{kind} '{name}': its version is not known here: {error}")
    return found


def site_command(
    out: OutOption = Path("leaderboard"),
    to: Annotated[Path | None, typer.Option("--to", help="The HTML file; default: OUT/site/index.html.")] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "pare-bench leaderboard",
    max_runs: Annotated[int, typer.Option(min=0, help="Runs that are shown one by one; those that count come first.")] = MAX_RUNS,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Embed pictures of examples of each task.")] = True,
    published: Annotated[bool, typer.Option("--published/--no-published", help="Show printed numbers of the field beside the scores.")] = True,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = False,
    format: TextOption = TextFormat.TEXT,  # noqa: A002
) -> int:
    """Write the leaderboard as one HTML file that needs no network: rankings, charts, a section for each task and run."""
    from pare_bench.comparison.printed import printed_numbers
    from pare_bench.records.store import write_atomically
    from pare_bench.registry.names import Registry
    from pare_bench.report.content import Versions
    from pare_bench.report.page import known_pictures, page

    records, left_off = all_records(out)
    registry = Registry.from_environment()
    summaries = {name: registry.spec("task", name).summary for name in registry.names("task")}
    text = page(
        records, summaries=summaries, pictures=known_pictures() if pictures else {},
        printed=printed_numbers() if published else (), title=title, max_runs=max_runs,
        versions=Versions(
            _versions(registry, "method", {record.method.name for record in records}),
            _versions(registry, "task", {record.task.name for record in records}),
        ),
        progress=lambda division: output.note(f"drawing {division}"),
    )  # fmt: skip
    path = out / "site" / "index.html" if to is None else to
    write_atomically(path, text.encode())
    if format is TextFormat.JSON:
        output.write_json({"path": str(path), "records": len(records), "left_off": len(left_off), "bytes": len(text.encode())})
    else:
        output.write(str(path))
    output.note(f"{len(records)} records, {len(text.encode()) / 2**20:.1f} MiB")
    if open_:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
    return ExitCode.INTEGRITY if left_off else ExitCode.OK
