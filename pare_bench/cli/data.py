"""``pare-bench data``: the published files and the cache of generated data, on this machine and on one without network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pare_bench.cli import build_source, completion, output
from pare_bench.cli.listing import FormatOption, ListFormat
from pare_bench.cli.options import TextFormat, TextOption
from pare_bench.errors import DataMissingError, ExitCode, IntegrityError, PareBenchError, UsageError, unknown_name

if TYPE_CHECKING:
    from pare_bench.contracts.files import OfficialFile
    from pare_bench.datasets.fetch import Wanted
    from pare_bench.datasets.index import IndexEntry
    from pare_bench.registry.names import Registry

#: Bytes above which a person is asked first.
ASK_ABOVE = 1_000_000_000

data_app = typer.Typer(
    help="Official files: where they are, fetch them, check them, carry them to another machine. Folder: PARE_BENCH_DATA.", no_args_is_help=True
)

TasksArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[TASK]...", help="Tasks: pare-bench list task; all when left out.", autocompletion=completion.tasks)
]
SuiteOption = Annotated[str | None, typer.Option("--suite", "-s", help="All tasks of this suite.", autocompletion=completion.names("suite"))]
UnpackOption = Annotated[bool, typer.Option("--unpack/--no-unpack", help="Unpack archives whose content a task reads.")]
MirrorOption = Annotated[
    list[str] | None, typer.Option("--mirror", metavar="URL", help="A folder laid out like the data folder, tried first (repeatable).")
]


@data_app.command("status")
def status_command(tasks: TasksArgument = None, suite: SuiteOption = None, format: FormatOption = None) -> None:  # noqa: A002
    """Show what is there: files, size, digests, and the tier that --tier auto takes."""
    from pare_bench.datasets.index import read_index
    from pare_bench.datasets.official import data_root
    from pare_bench.registry.names import Registry

    root = data_root()
    index = read_index(root)
    registry = Registry.from_environment()
    documents = []
    for name in _names(registry, tasks, suite):
        document = _status(root, name, registry.component("task", name).official_files, index)
        other = registry.spec("task", name).offline_tier or "none"
        documents.append({**document, "tier": "official" if document["state"] == "present" else other})
    if format is ListFormat.JSON:
        output.write_json({"folder": str(root), "tasks": documents})
        return
    rows = []
    for document in documents:
        files = document["files"]
        there = [file for file in files if file["present"]]
        digests = f"{sum(1 for file in there if file['digest'] != 'unknown')} of {len(there)}" if there else ""
        size = " + ".join(filter(None, (_bytes(total) if (total := sum(file["size"] or 0 for file in there)) else "", _unpacked(there))))
        rows.append((document["task"], document["state"], f"{len(there)} of {len(files)}", size, digests, document["tier"], document["folder"]))
    _table(("task", "official files", "files", "size", "digests known", "tier auto takes", "folder"), rows, format)


@data_app.command("fetch")
def fetch_command(
    tasks: TasksArgument = None,
    suite: SuiteOption = None,
    mirror: MirrorOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Optional files, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before large downloads.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Open no connection: say what is missing. Also PARE_BENCH_OFFLINE=1.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds without an answer after which a server is given up.")] = 30.0,
    unpacking: UnpackOption = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show files, sizes and addresses, and stop.")] = False,
    format: TextOption = TextFormat.TEXT,  # noqa: A002
) -> int:
    """Download the published files: mirrors in turn, resumed, checked, unpacked safely."""
    from pare_bench.datasets.fetch import check_room, is_offline, remote_sizes, wanted_files
    from pare_bench.datasets.official import data_root

    if not tasks and not suite:
        raise UsageError("say which tasks to fetch", hint="pare-bench data fetch TASK..., or --suite nas360")
    root = data_root()
    wanted = []
    for task, declared in _declarations(tasks, suite).items():
        if unpacking:
            _unpack(root, task, declared)
        wanted += wanted_files(root, task, declared, mirrors=mirror or (), everything=everything)
    tell = partial(_tell_fetched, root, asked=format)
    if not wanted:
        output.note(f"nothing to fetch: all files are in '{root}'")
        tell([])
        return ExitCode.OK
    if is_offline(offline):
        names = ", ".join(file.name for file in wanted)
        raise DataMissingError(f"offline, and not there: {names}", hint=f"put them below '{root}' (see docs/data.md), or pare-bench data import FILE")
    sizes = remote_sizes(wanted, timeout)
    for file, size in zip(wanted, sizes, strict=True):
        addresses = ", ".join(file.urls) or "nowhere: to be put there by hand"
        output.note(f"{file.name}: {_bytes(size) if size is not None else 'size unknown'}, from {addresses}")
    total = sum(size or 0 for size in sizes)
    output.note(f"{len(wanted)} files, {_bytes(total)}{' or more' if None in sizes else ''}, to '{root}'")
    described = [{"name": file.name, "bytes": size, "urls": list(file.urls)} for file, size in zip(wanted, sizes, strict=True)]
    if dry_run:
        tell([{**each, "state": "wanted"} for each in described])
        return ExitCode.OK
    if total > ASK_ABOVE and not yes and output.stderr_is_terminal() and not typer.confirm("fetch them?", err=True):
        raise typer.Abort
    check_room(root, total)
    states = ["wanted"] * len(wanted)
    try:
        return _fetch_all(root, wanted, timeout, unpacking, states)
    finally:
        tell([{**each, "state": state} for each, state in zip(described, states, strict=True)])


def _tell_fetched(root: Path, fetched: list[dict[str, Any]], *, asked: TextFormat) -> None:
    if asked is TextFormat.JSON:
        output.write_json({"folder": str(root), "files": fetched})


def _unpack(root: Path, task: str, declared: Sequence[OfficialFile]) -> None:
    from pare_bench.datasets.fetch import unpack_present

    for archive in unpack_present(root, task, declared):
        output.note(f"{task}: unpacked '{archive.name}'")


def _fetch_all(root: Path, wanted: list[Wanted], timeout: float, unpacking: bool, states: list[str]) -> int:
    """Fetch file after file; one that cannot be had does not keep the others away. ``states`` is told what becomes of each."""
    from pare_bench.cli.download import download_display
    from pare_bench.datasets.fetch import fetch_file

    failures: list[PareBenchError] = []
    with download_display() as display:
        for number, file in enumerate(wanted, start=1):
            try:
                place = fetch_file(root, file, display, timeout=timeout, unpacking=unpacking)
            except (DataMissingError, IntegrityError) as error:
                failures.append(error)
                states[number - 1] = "failed"
                if len(wanted) > 1:
                    display.say(f"[{number}/{len(wanted)}] {file.name}: failed")
            else:
                states[number - 1] = "fetched"
                display.say(f"[{number}/{len(wanted)}] {file.name}: {_bytes(place.stat().st_size)}")
    if not failures:
        return ExitCode.OK
    for failure in failures[:-1]:
        output.error(str(failure), failure.hint)
    # The worst of them decides the exit code: a wrong file says more than a missing one.
    last = failures[-1]
    worst = next((failure for failure in failures if isinstance(failure, IntegrityError)), last)
    output.error(str(last), last.hint)
    return int(worst.exit_code)


@data_app.command("verify")
def verify_command(
    tasks: TasksArgument = None,
    suite: SuiteOption = None,
    accept: Annotated[bool, typer.Option("--accept", help="Record what is there as the new truth.")] = False,
    format: FormatOption = None,  # noqa: A002
) -> int:
    """Read every official file again and compare it with its published or recorded digest; what has none yet is recorded."""
    from pare_bench.datasets.official import data_root
    from pare_bench.datasets.verify import verify_files

    root = data_root()
    checks = verify_files(root, _declarations(tasks, suite), accept=accept)
    if format is ListFormat.JSON:
        output.write_json([vars(check) for check in checks])
    else:
        _table(("file", "size", "sha256", "result"), [(c.name, _bytes(c.size), c.sha256[:16], c.result) for c in checks], format)
    bad = [check for check in checks if not check.good]
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        task = bad[0].task
        raise IntegrityError(
            f"'{root / bad[0].name}' {bad[0].result}{more}", hint=f"rm '{root / bad[0].name}' && pare-bench data fetch {task}; or verify --accept"
        )
    if not checks:
        output.note(f"no official files below '{root}'")
    return ExitCode.OK


@data_app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="The tar file to write.")],
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="Only these tasks (repeatable).")] = None,
    suite: SuiteOption = None,
    format: TextOption = TextFormat.TEXT,  # noqa: A002
) -> None:
    """Pack official files and their digests into one tar file, for a machine without network."""
    from pare_bench.cli.download import download_display
    from pare_bench.datasets.bundle import export_files, files_of
    from pare_bench.datasets.official import data_root

    root = data_root()
    names = {name for each, declared in _declarations(task, suite).items() for name in files_of(root, each, declared)}
    with download_display() as display:
        entries = export_files(root, names, file, display)
    output.note(f"{len(entries)} files, {_bytes(sum(entry.size for entry in entries.values()))} -> {file}")
    if format is TextFormat.JSON:
        output.write_json({"path": str(file), "files": _entries(entries)})


@data_app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="The tar file that pare-bench data export wrote.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace files that are there with another content.")] = False,
    unpacking: UnpackOption = True,
    format: TextOption = TextFormat.TEXT,  # noqa: A002
) -> None:
    """Put the files of an exported tar file in place, after checking every path and digest, and unpack archives."""
    from pare_bench.cli.download import download_display
    from pare_bench.datasets.bundle import import_files
    from pare_bench.datasets.official import data_root

    root = data_root()
    with download_display() as display:
        entries = import_files(root, file, display, replace=replace)
    output.note(f"{len(entries)} files, {_bytes(sum(entry.size for entry in entries.values()))} -> {root}")
    if unpacking:
        for task, declared in _declarations(None, None).items():
            arrived = [each for each in declared if not {f"{task}/{each.path}", each.path}.isdisjoint(entries)]
            _unpack(root, task, arrived)
    if format is TextFormat.JSON:
        output.write_json({"folder": str(root), "files": _entries(entries)})


def _entries(entries: Mapping[str, IndexEntry]) -> list[dict[str, Any]]:
    return [{"name": name, "bytes": entry.size, "sha256": entry.sha256} for name, entry in sorted(entries.items())]


@data_app.command("generate")
def generate_command(
    tasks: TasksArgument = None,
    suite: SuiteOption = None,
    preset: Annotated[str, typer.Option(help="Whose sizes: cpu or smoke.", autocompletion=completion.presets)] = "cpu",
    seed: Annotated[int, typer.Option(help="The data seed (data_seed of a run).")] = 0,
    format: TextOption = TextFormat.TEXT,  # noqa: A002
) -> None:
    """Fill the cache of generated data, so that the first run need not."""
    from pare_bench.config.presets import PRESETS
    from pare_bench.datasets.cache import generated_data
    from pare_bench.digests.files import cache_root
    from pare_bench.registry.names import Registry

    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS, hint="pare-bench data generate --preset cpu")
    registry = Registry.from_environment()
    names = [name for name in _names(registry, tasks, suite or (None if tasks else "nas360")) if "generated" in registry.spec("task", name).tiers]
    if not names:
        raise DataMissingError("none of these tasks has generated data", hint="pare-bench data status")
    made = []
    for number, name in enumerate(names, start=1):
        task_class = registry.component("task", name)
        values = task_class.preset_params.get(preset, {})
        size = task_class.sizes.get(preset, task_class.sizes["cpu"])
        data = generated_data(registry.build("task", name, values), seed, size)
        # Whoever fills the cache wants to know that it can be read.
        data.load()
        output.note(f"[{number}/{len(names)}] {name}: {size.train} + {size.val} + {size.test} examples, sha256 {data.sha256[:16]}")
        made.append({"task": name, **vars(size), "sha256": data.sha256})
    output.note(f"cache: {cache_root()}")
    if format is TextFormat.JSON:
        output.write_json({"cache": str(cache_root()), "tasks": made})


data_app.command("build-source")(build_source.build_source_command)


def _names(registry: Registry, tasks: list[str] | None, suite: str | None) -> list[str]:
    """Return the chosen tasks, each once: those named, those of the suite, or all."""
    chosen = list(tasks or ())
    for name in chosen:
        registry.entry("task", name)
    if suite is not None:
        chosen += registry.spec("suite", suite).tasks
    return list(dict.fromkeys(chosen or registry.names("task")))


def _declarations(tasks: list[str] | None, suite: str | None) -> dict[str, tuple[OfficialFile, ...]]:
    """Return what each chosen task declares, without importing anything but the task modules."""
    from pare_bench.registry.names import Registry

    registry = Registry.from_environment()
    return {name: registry.component("task", name).official_files for name in _names(registry, tasks, suite)}


def _status(root: Path, task: str, declared: tuple[OfficialFile, ...], index: dict[str, IndexEntry]) -> dict[str, Any]:
    from pare_bench.datasets.official import OfficialFiles, state_of

    files = OfficialFiles(root, task)
    described = []
    for file in declared:
        found = files.find(file.path)
        unpacked = bool(file.members) and all(files.find(member) for member in file.members)
        name = found.relative_to(root).as_posix() if found else ""
        digest = "published" if file.sha256 or file.md5 else "recorded" if name in index else "unknown"
        described.append(
            {
                "path": file.path,
                "present": found is not None or unpacked,
                "unpacked": unpacked,
                "optional": file.optional,
                "size": found.stat().st_size if found else None,
                "published_size": file.size,
                "digest": digest if found else "unknown",
                "sha256": file.sha256 or (index[name].sha256 if name in index else None),
                "urls": list(file.urls),
            }
        )
    return {"task": task, "state": state_of(root, task, declared), "folder": str(root / task), "files": described}


def _unpacked(files: list[dict[str, Any]]) -> str:
    """Say that some of the files are there as what they unpack to, whose size would have to be added up file by file."""
    return "unpacked" if any(file["size"] is None for file in files) else ""


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], chosen: ListFormat | None) -> None:
    if chosen is ListFormat.MD or (chosen is None and not output.stdout_is_terminal()):
        output.write(output.markdown_table(columns, rows))
    else:
        output.render(output.rich_table(columns, rows))
