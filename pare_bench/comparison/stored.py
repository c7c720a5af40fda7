"""Methods compared by the records of a folder: what ``pare-bench compare`` shows and :func:`pare_bench.compare` returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Literal

from pare_bench.comparison.compare import Comparison, compare
from pare_bench.comparison.missing import Policy
from pare_bench.comparison.printed import printed_numbers
from pare_bench.comparison.task_rows import recorded_sampling
from pare_bench.errors import DataMissingError, IntegrityError
from pare_bench.leaderboard.counting import found_earlier
from pare_bench.records.record import RunRecord
from pare_bench.records.store import Store, sound_record
from pare_bench.records.variants import method_name
from pare_bench.registry.names import Registry


def records_of(store: Store, suite: str, methods: Sequence[str]) -> list[RunRecord]:
    """Return the records of these methods on this suite: the others need not be read.

    Raises:
        IntegrityError: one of them does not count, by itself or by what ``leaderboard build`` has found.
    """
    names = sorted(set(map(method_name, methods)))
    paths = [path for name in names for path in store.paths(escape(suite), method=escape(name))]
    records = [sound_record(path) for path in paths]
    for path, found in found_earlier(store, paths).items():
        raise IntegrityError(f"'{path}' is left off the leaderboard: {found.reason}", hint=f"mv '{path}' ELSEWHERE and compare again")
    return records


def compare_stored(
    registry: Registry,
    records: Sequence[RunRecord],
    methods: Sequence[str],
    suite: str,
    out: Path,
    say: Callable[[str], None],
    *,
    tasks: Sequence[str] = (),
    preset: str | None = None,
    tier: str | None = None,
    track: str = "clean",
    stats: Literal["basic", "all"] = "basic",
    reference: str | None = None,
    missing: Policy = "error",
    rope: float,
    published: bool = False,
    test_sampling: bool | None = None,
) -> Comparison:
    """Compare methods by their ``records``, which :func:`records_of` has read from folder ``out``; ``say`` takes what goes on meanwhile.

    ``test_sampling``: intervals of tasks have the choice of test examples in them, from stored predictions (True), not at all (False), or by what
    records keep (None).

    Raises:
        UsageError: fewer than two methods, an unknown name, records in several divisions, or scores on different data.
        DataMissingError: a needed run is not there or failed; the hint is the command that makes it.
    """
    asked = None
    if test_sampling:
        # Computes scores again, which needs the data.
        from pare_bench.comparison.sampling import TestSampling

        asked = TestSampling(registry, out, say)
    try:
        comparison = compare(
            records,
            methods,
            suite,
            tier=tier,
            track=track,
            preset=preset,
            tasks=tuple(tasks),
            suite_tasks=registry.spec("suite", suite).tasks,
            known_methods=registry.names("method"),
            out=str(out),
            missing=missing,
            rope=rope,
            reference=reference,
            stats=stats,
            published=printed_numbers() if published else None,
            sampling=asked if test_sampling else None if test_sampling is False else recorded_sampling,
        )
    except DataMissingError as error:
        elsewhere = [] if records else _suites(Store(out), methods)
        if not elsewhere:
            raise
        others = " and ".join(f"'{each}'" for each in elsewhere)
        raise DataMissingError(f"{error}; there are some for suite {others}", hint=f"--suite {elsewhere[0]}") from None
    reasons: Mapping[str, str] = {} if asked is None else asked.reasons
    for name, reason in reasons.items():
        say(f"{name}: without the choice of test examples: {reason}")
    return comparison


def _suites(store: Store, methods: Sequence[str]) -> list[str]:
    """Return the suites for which there are records of each of the methods, most records first."""
    found = [
        Counter(path.relative_to(store.records_folder).parts[0] for path in store.paths(method=escape(method_name(method)))) for method in methods
    ]
    common = set.intersection(*map(set, found)) if found else set()
    return sorted(common, key=lambda suite: (-sum(counts[suite] for counts in found), suite))
