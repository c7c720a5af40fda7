"""The verbs ``run`` and ``compare`` for Python: what :func:`pare_bench.run` and :func:`pare_bench.compare` are."""

from __future__ import annotations

import importlib.util
import json
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from pare_bench.cli import output
from pare_bench.cli.device import chosen_device
from pare_bench.cli.execution import execution_of, megabytes_of, seconds_of
from pare_bench.cli.progress import PlainDisplay, bars, progress_display
from pare_bench.comparison.contrasts import ROPE
from pare_bench.comparison.missing import Policy
from pare_bench.comparison.stored import compare_stored, records_of
from pare_bench.comparison.view import ComparisonView
from pare_bench.config.resolution import Planned, Request, config_of
from pare_bench.config.run_config import parse_overrides
from pare_bench.errors import UsageError, check_tasks
from pare_bench.leaderboard.file import LeaderboardFile
from pare_bench.provenance.identity import of_session
from pare_bench.records.predictions import Mode
from pare_bench.records.results import Results, Run
from pare_bench.records.store import Store
from pare_bench.registry.names import Registry
from pare_bench.runs.asked import Say, planned_of, requests_of
from pare_bench.runs.campaign import run_all
from pare_bench.runs.interruption import Ended, ended_by_signal
from pare_bench.runs.single import Display, Manner

_SUITE = "nas360"


class RunsInterrupted(KeyboardInterrupt):
    """Ctrl-C, the kernel's interrupt, or SIGTERM has ended :func:`pare_bench.run`; ``results`` has what was finished.

    The same call goes on with the rest, an interrupted run from its last checkpoint.
    """

    def __init__(self, message: str, results: Results) -> None:
        super().__init__(message)
        self.results = results


def run(
    method: str,
    *,
    suite: str | None = None,
    task: str | Iterable[str] | None = None,
    seeds: int | Iterable[int] = 0,
    preset: str = "auto",
    tier: str = "auto",
    track: str = "clean",
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    out: str | Path = "leaderboard",
    jobs: int | None = None,
    executor: str | None = None,
    executor_options: Mapping[str, Any] | None = None,
    time_limit: float | str | None = None,
    memory_limit: float | str | None = None,
    resume: bool = True,
    fresh: Literal["libraries"] | None = None,
    only_failed: bool = False,
    fail_fast: bool = False,
    wait: bool = True,
    predictions: Mode = "compact",
    progress: bool = True,
) -> Results:
    """Run a method on tasks, as ``pare-bench run`` does; runs that are in the store already are served from it.

    The arguments are the options of the command line, by their names. ``task`` is one or several tasks of ``suite``; without a suite that is the
    first one that has them all, without either it is ``nas360``. ``options`` are those of ``-o``: ``{"recipe.learning_rate": 5e-4}``. Records and
    ``leaderboard.json`` go to folder ``out``, by default ``leaderboard`` in the current one. ``time_limit`` is in seconds, ``memory_limit`` in
    megabytes, where they are no text such as ``"15m"`` or ``"4GB"``. ``progress``: bars in a terminal, or in a notebook that has ipywidgets, else a
    line per finished run; False: nothing.

    A run that fails does not raise: its record says why, and it is in ``results.failed``. Random generators, environment variables, signal handlers
    and settings of torch are afterwards what they were.

    Raises:
        UsageError: a name, option or value does not fit; nothing has run.
        PluginError: a component breaks its contract, or is registered in this process alone and the executor leaves it.
        EnvironmentFault: a device, disk or permission is missing, for this run and for all others.
        RunsInterrupted: a KeyboardInterrupt with the ``results`` so far.
    """
    registry = Registry.from_environment()
    say: Say = output.note if progress else _quiet
    names = _names(task)
    chosen = _suite(registry, suite, names)
    overrides = _overrides(options or {})
    of_executor = [f"executor.{text}" for text in _overrides(executor_options or {})]
    execution = execution_of(registry, executor, jobs, of_executor)
    limits = seconds_of(_text(time_limit)), megabytes_of(_text(memory_limit))
    registry.entry("method", method)
    (request,) = requests_of(registry, [method], chosen, names, _seeds(seeds), preset, tier, track, chosen_device(device), overrides, say)
    planned = planned_of(registry, [request], say, fail_fast=fail_fast)
    store = Store(Path(out))
    if only_failed:
        planned = [each for each in planned if (newest := store.newest(config_of(each))) is not None and newest.status == "failed"]
    store.check_writable()
    manner = Manner(resume, predictions, fresh == "libraries", fail_fast, wait, *limits)
    command = _command(request, planned, Path(out), preset, tier)
    with ExitStack() as stack:
        ended = stack.enter_context(_ended())
        display = stack.enter_context(_display(len(planned), progress))
        results = run_all(
            registry, planned, store, display, LeaderboardFile(store, display.note), command=command, execution=execution, manner=manner
        )
    found = Results(Run(result.record, result.path, result.served) for result in results)
    if display.interrupted:
        how = "SIGTERM" if ended.by_signal else "interrupted"
        raise RunsInterrupted(f"{how}: {len(found)} of {len(planned)} runs are saved in '{out}'; the same call goes on with the rest", found)
    return found


def compare(
    *methods: str,
    suite: str | None = None,
    task: str | Iterable[str] | None = None,
    preset: str | None = None,
    tier: str | None = None,
    track: str = "clean",
    out: str | Path = "leaderboard",
    stats: Literal["basic", "all"] = "basic",
    reference: str | None = None,
    missing: Policy = "error",
    rope: float = ROPE,
    published: bool = False,
    test_sampling: bool | None = None,
) -> ComparisonView:
    """Compare methods, by name or by label of a variant, by the records in folder ``out``: what ``pare-bench compare`` does, with its options.

    Raises:
        UsageError: fewer than two methods, an unknown name, records in several divisions, or scores on different data.
        DataMissingError: a needed run is not there or failed; the hint is the command that makes it.
        IntegrityError: a record does not count.
    """
    registry = Registry.from_environment()
    for name, value, known in (("stats", stats, ("basic", "all")), ("missing", missing, ("error", "drop-task", "worst-rank"))):
        if value not in known:
            raise UsageError(f"{name} '{value}' is none of {', '.join(known)}", hint=f"{name}='{known[0]}'")
    names, folder = _names(task), Path(out)
    chosen = _suite(registry, suite, names)
    # What is said meanwhile is said by the comparison itself, too.
    records = records_of(Store(folder), chosen, methods)
    return ComparisonView(
        compare_stored(
            registry, records, methods, chosen, folder, _quiet,
            tasks=names, preset=preset, tier=tier, track=track, stats=stats, reference=reference, missing=missing, rope=rope, published=published,
            test_sampling=test_sampling,
        )
    )  # fmt: skip


def _names(task: str | Iterable[str] | None) -> tuple[str, ...]:
    names = () if task is None else (task,) if isinstance(task, str) else tuple(task)
    if task is not None and not names:
        raise UsageError("task is an empty list", hint="leave it out for all tasks of the suite")
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"task takes names, got {name!r}", hint='pare_bench.names("task")')
    return tuple(dict.fromkeys(names))


def _suite(registry: Registry, suite: str | None, tasks: Sequence[str]) -> str:
    """Return the suite that is asked for, or the first one that has all the tasks."""
    if suite is not None or not tasks:
        check_tasks(tasks, suite or _SUITE, registry.spec("suite", suite or _SUITE).tasks)
        return suite or _SUITE
    for name in tasks:
        registry.entry("task", name)
    for name in registry.names("suite"):
        if set(tasks) <= set(registry.spec("suite", name).tasks):
            return name
    raise UsageError(f"no suite has the tasks {', '.join(tasks)}", hint="run them one by one, or name a suite: pare_bench.names('suite')")


def _seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    try:
        found = (seeds,) if isinstance(seeds, int) else tuple(seeds)
    except TypeError:
        found = (seeds,)  # type: ignore[assignment]
    for seed in found:
        if isinstance(seed, bool) or not hasattr(seed, "__index__") or int(seed) < 0:
            raise UsageError(f"seeds takes whole numbers from 0, got {seed!r}", hint="seeds=0, seeds=range(5) or seeds=[0, 2]")
    if not found:
        raise UsageError("seeds is an empty list", hint="seeds=0, seeds=range(5) or seeds=[0, 2]")
    return tuple(dict.fromkeys(map(int, found)))


def _overrides(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return options as ``-o`` takes them: ``path=value``."""
    found = []
    for path, value in options.items():
        plain = value.item() if hasattr(value, "item") and callable(value.item) else str(value) if isinstance(value, Path) else value
        try:
            text = json.dumps(plain, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UsageError(f"option '{path}' cannot be {value!r}: {error}", hint="use numbers, texts, lists and dictionaries") from error
        if isinstance(plain, str):
            # As it is written on the command line, unless it would be read as something else there.
            try:
                json.loads(plain)
            except (ValueError, RecursionError):
                text = plain
        found.append(f"{path}={text}")
    return tuple(found)


def _text(limit: float | str | None) -> str | None:
    return limit if limit is None or isinstance(limit, str) else f"{limit:.15g}"


def _command(request: Request, planned: Sequence[Planned], out: Path, preset: str, tier: str) -> str:
    """Return the command line that does the same; where a component is known here alone, the call."""
    asked = {"preset": preset, "tier": tier, "track": request.track, "device": request.device}
    seeds = ",".join(map(str, request.seeds))
    if any(map(of_session, map(config_of, planned))):
        options = {".".join(path): value for path, value in parse_overrides(request.overrides)}
        given: dict[str, Any] = {"suite": request.suite, "task": list(request.tasks) or None, "seeds": list(request.seeds), "options": options}
        given |= {**asked, "out": str(out)}
        return f"pare_bench.run({request.method!r}, {', '.join(f'{name}={value!r}' for name, value in given.items())})"
    words = ["pare-bench", "run", "--method", request.method, "--suite", request.suite]
    words += [word for name in request.tasks for word in ("--task", name)]
    words += [word for name, value in asked.items() for word in (f"--{name}", value)]
    words += ["--seeds", seeds, *(word for text in request.overrides for word in ("-o", text)), "--out", str(out)]
    return shlex.join(words)


@contextmanager
def _ended() -> Iterator[Ended]:
    """Let SIGTERM end the runs as Ctrl-C does, unless the program has a handler of its own."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield Ended()
        return
    with ended_by_signal() as ended:
        yield ended


class _SilentDisplay(PlainDisplay):
    def say(self, line: str) -> None:
        """Say nothing."""


@contextmanager
def _display(total: int, progress: bool) -> Iterator[Display]:
    if not progress:
        yield _SilentDisplay(total)
    elif _in_notebook():
        from rich.console import Console

        with bars(Console(force_jupyter=True, highlight=False), total) as display:
            yield display
    else:
        with progress_display(total) as display:
            yield display


def _in_notebook() -> bool:
    """Return whether a notebook shows widgets: bars that move are one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell" and importlib.util.find_spec("ipywidgets") is not None


def _quiet(_: str) -> None:
    pass
