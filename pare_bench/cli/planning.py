"""``pare-bench run --dry-run``: what the command would do with each run, how long that may take, and which files are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from glob import escape
from typing import TYPE_CHECKING, Any

from pare_bench.cli import output
from pare_bench.errors import IntegrityError
from pare_bench.report.numbers import duration

if TYPE_CHECKING:
    from pare_bench.config.resolution import Planned
    from pare_bench.config.run_config import Budget, RunConfig
    from pare_bench.records.store import Store
    from pare_bench.registry.names import Registry
    from pare_bench.runs.forecast import Forecast

_COLUMNS = ("task", "method", "seed", "tier", "preset", "train examples", "epochs", "components", "would be", "time", "memory")
_LEFT = ("task", "method", "tier", "preset", "components", "would be")
#: What a narrow terminal is not shown, the last one first.
_LESS = ("preset", "tier", "epochs", "train examples", "components")
_UNKNOWN = "unknown"
#: What is said of a state in the table and below it.
_WORDS = {"served": "served", "stale": "run again", "failed": "tried again", "new": "run", "impossible": "cannot begin"}


def print_plan(registry: Registry, store: Store, planned: Sequence[Planned], *, fresh_libraries: bool, drawn: bool | None, as_json: bool) -> None:
    """Write the plan to stdout, as a table or as one JSON document, and what it comes to on stderr."""
    from pare_bench.config.resolution import config_of
    from pare_bench.runs.forecast import Forecaster

    forecaster = Forecaster(registry, store, fresh_libraries=fresh_libraries)
    plan = [(config_of(each), forecaster(each)) for each in planned]
    if as_json:
        output.write_json([{**config.model_dump(mode="json"), "forecast": _document(forecast)} for config, forecast in plan])
    else:
        _print(f"{len(plan)} runs", tuple(_row(*each) for each in plan), drawn=output.stdout_is_terminal() if drawn is None else drawn)
    for line in _below(plan):
        output.note(line)
    tell_power(store, [config for config, forecast in plan if forecast.state != "impossible"])


def _print(title: str, rows: tuple[tuple[str, ...], ...], *, drawn: bool) -> None:
    if not drawn:
        output.write(output.markdown_table(_COLUMNS, rows))
        return
    from pare_bench.comparison.screen import Fitted
    from pare_bench.comparison.table_parts import Table

    output.render(Fitted(Table(title, _COLUMNS, rows, _LEFT, "", less=_LESS)))


def _row(config: RunConfig, forecast: Forecast) -> tuple[str, ...]:
    expected = forecast.expected
    seconds, megabytes = expected.seconds, expected.megabytes
    served = forecast.state in ("served", "impossible")
    return (
        config.task.name,
        config.method.name,
        str(config.seed),
        config.tier,
        config.preset,
        str(config.size.train) if config.size else "published",
        _epochs(config.budget),
        " ".join(slot.name for slot in config.slots().values()),
        _WORDS[forecast.state] + (", files missing" if forecast.missing else ""),
        "-" if served else _UNKNOWN if seconds is None else duration(seconds),
        "-" if served else _UNKNOWN if megabytes is None else f"{megabytes:.0f} MB",
    )


def _epochs(budget: Budget) -> str:
    return str(budget.epochs) + (f" of {budget.epoch_steps} steps" if budget.epoch_steps else "")


def _below(plan: Sequence[tuple[RunConfig, Forecast]]) -> list[str]:
    counts: Counter[str] = Counter(forecast.state for _, forecast in plan)
    lines = [", ".join(f"{counts[state]} would be {words}" for state, words in _WORDS.items() if counts[state] and state != "impossible")]
    lines += [f"{config.label()} cannot begin: {forecast.why}" for config, forecast in plan if forecast.state == "impossible"]
    lines += _reasons(plan)
    lines += _total([forecast for _, forecast in plan if forecast.state not in ("served", "impossible")])
    missing = {each.task: each for _, forecast in plan for each in forecast.missing}
    lines += [f"missing: {', '.join(each.files) or 'all files'} of '{each.task}': {each.command}" for each in missing.values()]
    return [line for line in lines if line]


def _reasons(plan: Sequence[tuple[RunConfig, Forecast]]) -> list[str]:
    """Say once what several runs are done again for."""
    runs: dict[tuple[str, str], list[str]] = {}
    for config, forecast in plan:
        if forecast.why and forecast.state != "impossible":
            runs.setdefault((forecast.state, forecast.why), []).append(config.label())
    return [
        f"{_WORDS[state]}: {labels[0]}{f' and {len(labels) - 1} more' if len(labels) > 1 else ''}: {why}" for (state, why), labels in runs.items()
    ]


def _total(forecasts: Sequence[Forecast]) -> list[str]:
    if not forecasts:
        return []
    known = [each.expected for each in forecasts if each.expected.seconds is not None]
    rest = len(forecasts) - len(known)
    if not known:
        return [f"time and memory: unknown, {forecasts[0].expected}"]
    seconds = sum(each.seconds or 0.0 for each in known)
    megabytes = max((each.megabytes for each in known if each.megabytes is not None), default=None)
    sources = "; ".join(dict.fromkeys(map(str, known)))
    text = f"about {duration(seconds)} one after the other" + (f", at most {megabytes:.0f} MB a run" if megabytes is not None else "")
    return [text + f" (by {sources})" + (f"; {rest} runs unknown" if rest else "")]


def _document(forecast: Forecast) -> dict[str, Any]:
    expected = forecast.expected
    return {
        "state": forecast.state,
        "why": forecast.why or None,
        "run_id": forecast.run_id,
        "seconds": expected.seconds,
        "memory_mb": expected.megabytes,
        "from": str(expected) if expected.runs else None,
        "missing": [{"task": each.task, "files": list(each.files), "fetch": each.command} for each in forecast.missing],
    }


def tell_power(store: Store, configs: Sequence[RunConfig]) -> None:
    """Say what the planned runs would see, where the store has other methods on the same tasks to take variances from."""
    from pare_bench.comparison.power import expected_sentence
    from pare_bench.records.store import read_record
    from pare_bench.records.variants import Division

    for key in dict.fromkeys(Division(each.suite, each.tier, each.track, each.preset) for each in configs):
        own = [each for each in configs if Division(each.suite, each.tier, each.track, each.preset) == key]
        tasks = list(dict.fromkeys(each.task.name for each in own))
        records = []
        for path in store.paths(escape(key.suite)) if store.records_folder.is_dir() else ():
            with suppress(IntegrityError):
                records.append(read_record(path))
        text = expected_sentence(records, key, tasks, len({each.seed for each in own}))
        if text is not None:
            output.note(text)
