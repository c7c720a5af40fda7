"""Records in Python: a list that filters, becomes a table of pandas, and shows itself in a notebook."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pare_bench.errors import DataMissingError, EnvironmentFault, UsageError, nearest
from pare_bench.records.record import RunRecord
from pare_bench.records.store import Store, sound_record

if TYPE_CHECKING:
    import pandas

#: Rows that are shown; a table has them all.
_SHOWN = 30
#: What :meth:`Results.to_frame` has of each run.
ALL_COLUMNS = (
    "suite", "task", "method", "variant", "seed", "status", "score", "metric", "direction", "floor", "persistence", "tier", "track", "preset",
    "seconds", "parameters_trained", "peak_memory_mb", "reason", "served", "run_id", "path",
)  # fmt: skip
_COLUMNS = ("task", "method", "seed", "status", "score", "metric", "floor", "seconds", "data")


@dataclass(frozen=True)
class Run:
    """A record, where it stands, and whether it was served from the store."""

    record: RunRecord
    path: Path
    served: bool = False


class Results(Sequence[RunRecord]):
    """Records (:class:`pare_bench.records.record.RunRecord`) in an order: what :func:`pare_bench.run` did, or what a folder holds.

    It is a sequence of records: ``len(results)``, ``results[0].primary.value``, ``for record in results``; a slice is results again. ``runs`` has
    each record with its file and whether it was served from the store.
    """

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self.runs = tuple(runs)

    @overload
    def __getitem__(self, index: int) -> RunRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: int | slice) -> RunRecord | Results:
        if isinstance(index, slice):
            return Results(self.runs[index])
        return self.runs[index].record

    def __iter__(self) -> Iterator[RunRecord]:
        return (run.record for run in self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __add__(self, other: Results) -> Results:
        return Results((*self.runs, *other.runs))

    @property
    def ok(self) -> Results:
        """The runs that have a score."""
        return self.filter(status="ok")

    @property
    def failed(self) -> Results:
        """The runs that failed; ``reason`` and ``hint`` of each record say why."""
        return self.filter(status="failed")

    @property
    def served(self) -> Results:
        """The runs that were done before, and came from the store."""
        return Results(run for run in self.runs if run.served)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of the records."""
        return tuple(run.path for run in self.runs)

    def filter(self, test: Callable[[RunRecord], bool] | None = None, **equal: Any) -> Results:
        """Return the runs for which ``test`` holds and whose columns of :meth:`to_frame` equal what is given: ``filter(task="ecg", seed=[0, 1])``.

        Raises:
            UsageError: there is no such column.
        """
        for name in equal:
            if name not in ALL_COLUMNS:
                close = nearest(name, ALL_COLUMNS)
                raise UsageError(
                    f"results have no column '{name}'" + (f"; did you mean '{close}'?" if close else ""), hint=f"there are: {', '.join(ALL_COLUMNS)}"
                )
        kept = []
        for run in self.runs:
            row = row_of(run)
            if all(row[name] in value if isinstance(value, list | tuple | set | range) else row[name] == value for name, value in equal.items()):
                kept.append(run)
        return Results(run for run in kept if test is None or test(run.record))

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a row for each run, as :meth:`to_frame` has it: plain values by column."""
        return [row_of(run) for run in self.runs]

    def to_frame(self) -> pandas.DataFrame:
        """Return a row for each run, with one column for each fact; what a run has no value for is missing.

        Raises:
            EnvironmentFault: pandas is not installed.
        """
        return frame(self.to_dicts(), ALL_COLUMNS)

    def __repr__(self) -> str:
        lines = [self._summary(), *("  " + "  ".join(cell for cell in row if cell) for row in self._cells())]
        return "\n".join([*lines, *self._rest()])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in _COLUMNS)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self._cells())
        below = "".join(f"<p>{html.escape(line)}</p>" for line in (*self._rest(), *self._reasons()))
        return f"<p>{html.escape(self._summary())}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"

    def _summary(self) -> str:
        parts = [f"{len(self)} {'run' if len(self) == 1 else 'runs'}"]
        parts += [f"{len(found)} {word}" for word, found in (("served", self.served), ("failed", self.failed)) if found]
        return ", ".join(parts)

    def _cells(self) -> list[tuple[str, ...]]:
        return [_cells(row_of(run)) for run in self.runs[:_SHOWN]]

    def _rest(self) -> list[str]:
        return [f"... and {len(self) - _SHOWN} more"] if len(self) > _SHOWN else []

    def _reasons(self) -> list[str]:
        return [f"{record.config.label()}: {record.reason}" for record in self.failed[:_SHOWN]]


def load_records(path: str | Path = "leaderboard") -> Results:
    """Return the records of a folder (``--out``, its ``records``, or a part of that), or of one file, in the order of their paths.

    Raises:
        DataMissingError: there is no such folder, or no record in it.
        IntegrityError: a file is not a record, has been changed since it was written, or contradicts itself.
        EnvironmentFault: a file or folder cannot be read.
    """
    path = Path(path)
    if path.is_file():
        return Results([Run(sound_record(path), path)])
    if not path.is_dir():
        raise DataMissingError(f"there is no folder '{path}'", hint="pare-bench run --out FOLDER makes one; its records are in FOLDER/records")
    # Files of other kinds lie beside the records in --out.
    paths = Store(path).paths() if (path / "records").is_dir() else sorted(path.rglob("*.json"))
    if not paths:
        raise DataMissingError(f"there are no records in '{path}'", hint=f"pare-bench status --out '{path}'")
    return Results(Run(sound_record(each), each) for each in paths)


def frame(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> pandas.DataFrame:
    """Return rows as a table of pandas, which is imported only now.

    Raises:
        EnvironmentFault: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise EnvironmentFault(f"a table needs pandas, which is not installed: {error}", hint="pip install pandas, or use to_dicts()") from error
    return pandas.DataFrame(list(rows), columns=list(columns))


def row_of(run: Run) -> dict[str, Any]:
    """Return the facts of a run by column."""
    record = run.record
    scored = record.status == "ok"
    metric = record.primary if scored else None
    return {
        "suite": record.suite,
        "task": record.task.name,
        "method": record.method.name,
        "variant": " ".join(record.variant or ()),
        "seed": record.seed,
        "status": record.status,
        "score": None if metric is None else metric.value,
        "metric": None if metric is None else metric.name,
        "direction": None if metric is None else metric.direction,
        "floor": record.floor,
        "persistence": record.persistence,
        "tier": record.task.tier,
        "track": record.track,
        "preset": record.preset,
        "seconds": round(sum(record.seconds.values()), 3),
        "parameters_trained": record.parameters_trained,
        "peak_memory_mb": record.peak_memory_mb,
        "reason": record.reason,
        "served": run.served,
        "run_id": record.run_id,
        "path": str(run.path),
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    arrow = {"maximise": " ↑", "minimise": " ↓"}.get(row["direction"] or "", "")
    values = {
        **row,
        "status": "served" if row["served"] else row["status"],
        "score": "-" if row["score"] is None else f"{row['score']:.4f}",
        "metric": f"{row['metric'] or ''}{arrow}",
        "floor": "-" if row["floor"] is None else f"{row['floor']:.4f}",
        "seconds": f"{row['seconds']:.1f}",
        "data": row["tier"],
        "method": row["method"] + (f" [{row['variant']}]" if row["variant"] else ""),
    }
    return tuple(str(values[name]) for name in _COLUMNS)
