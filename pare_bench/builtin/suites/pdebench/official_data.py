"""The published files of PDEBench as splits: which samples train, validate and test; nothing here holds more than a batch in memory."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.suites.pdebench import conversion
from pare_bench.builtin.suites.pdebench.published_files import PUBLISHED, SHARE
from pare_bench.contracts.examples import Examples, LazyExamples, Read, in_memory, mapped
from pare_bench.contracts.task import Track
from pare_bench.datasets.moments import pointwise_moments
from pare_bench.errors import IntegrityError

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

#: Address space of the conversion in MB: most of it is a map of what it writes, which a rollout on the largest file makes 53 GB of.
_MEMORY_MB = {"final": 8192, "rollout": 65536}


@dataclass(frozen=True)
class Kept:
    """What a task keeps of its file: memory maps ``first`` ``[n quantities *grid]`` and ``later`` ``[n frames quantities *grid]``; rows by split."""

    first: NDArray[np.float32]
    later: NDArray[np.float32]
    rows: dict[str, NDArray[np.integer]]


def kept(files: Files, task: str, law: str, points: int, later: int, track: Track) -> Kept:
    """Return the frames that are needed, converted once, and the rows of each split.

    Different starts that are alike on the cells that are kept give one input several targets: that is warned of.

    Raises:
        DataMissingError: the file is not there.
        IntegrityError: the file is not as published, or has too few samples.
    """
    published = PUBLISHED[task]
    memory = _MEMORY_MB["rollout" if later > 1 else "final"]
    arrays = files.converted(published.file, conversion.converter(task, law, points, later), memory_mb=memory)
    origin = np.asarray(arrays["origin"])
    path, different = files.find(published.file), len(np.unique(origin))
    told_apart = len(np.unique(np.asarray(arrays["alike"])))
    if told_apart < different:
        counts = f"the {different} different starts of '{path}' are {told_apart} different inputs on task.points={points}"
        warnings.warn(
            f"{counts}: one input has several targets; more cells tell them apart: -o task.points={2 * points}", RuntimeWarning, stacklevel=2
        )
    rows = split_rows(origin, published.tests, track)
    if rows is None:
        hint = f"rm '{path}' && pare-bench data fetch {task}"
        raise IntegrityError(f"'{path}' has {len(origin)} samples with {different} different starts, needed are {SHARE}", hint=hint)
    return Kept(arrays["first"], arrays["later"], rows)


def split_rows(origin: NDArray[np.integer], tests: str, track: Track) -> dict[str, NDArray[np.integer]] | None:
    """Return the rows of each split by name, or None where there are fewer than ten.

    ``paper``: the first or last tenth tests and validates, as released, the rest trains. ``clean``: of samples with the same start (``origin``, the
    first of them) only the first one is kept; of those the same tenth tests, and the tenth at the other end (``first``) or before it (``last``)
    validates.
    """
    rows = np.arange(len(origin))
    if track == "clean":
        rows = rows[origin == rows]
    count = len(rows) // SHARE
    if not count:
        return None
    if tests == "first":
        test, val, train = rows[:count], rows[-count:], rows[count:-count]
    else:
        test, val, train = rows[-count:], rows[-2 * count : -count], rows[: -2 * count]
    if track == "paper":
        return {"train": rows[count:] if tests == "first" else rows[:-count], "val": test, "test": test}
    return {"train": train, "val": val, "test": test}


def examples(values: NDArray[np.float32], rows: NDArray[np.integer], function: Read, shape: tuple[int, ...]) -> Examples:
    """Return ``function`` of the samples ``rows`` of a memory map, a batch at a time; ``shape`` is that of one example."""
    return LazyExamples((len(rows), *shape), np.float32, lambda wanted: function(np.asarray(values[rows[wanted]])))


def changed(part: Examples, function: Read) -> Examples:
    """Return ``function`` of ``part``: at once where it is in memory, else a batch at a time."""
    return function(np.asarray(part)) if in_memory(part) else mapped(part, function, part.shape[1:], np.float32)


def sample_moments(part: Examples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation (with n - 1) of each place, in float64."""
    if in_memory(part):
        values = np.asarray(part, dtype=np.float64)
        return values.mean(axis=0), values.std(axis=0, ddof=1)
    mean, std, _ = pointwise_moments(part)
    return mean, std * np.sqrt(len(part) / (len(part) - 1))
