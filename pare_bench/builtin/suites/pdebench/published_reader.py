"""Reader of the published PDEBench files: the frames that a task needs, and no others, a slice of samples at a time."""

from __future__ import annotations

import hashlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.suites.pdebench.hdf5 import dataset, on_one_line, subgroup, values
from pare_bench.builtin.suites.pdebench.published_files import PUBLISHED, PublishedFile
from pare_bench.errors import IntegrityError

if TYPE_CHECKING:
    import h5py

#: Bytes of one field and frame that are in memory at a time.
SLICE_BYTES = 32 << 20
_CHUNK_CACHE_BYTES = 64 << 20
#: Part of a time step by which a frame may be off its time.
_OFF = 0.1
_AXES = ("x", "y")


def frames(path: Path, task: str, law: str, points: int, later: int) -> dict[str, NDArray[np.generic]]:
    """Return the frames that ``task`` needs of its published file, on ``points`` cells a side.

    Under ``law`` ``published`` these are the released loader's frames by index (training, then testing where it differs), of which every
    (cells / ``points``)-th cell is kept. Else they are ``later`` frames equally spaced up to the task's end, by the times in the file, and where the
    file has ``blocks`` each cell is the mean of a block.

    Returns:
        ``first`` float32 ``[n quantities *grid]``; ``later`` float32 ``[n frames quantities *grid]``; ``origin`` int64 ``[n]``, the first sample
        with the same first frame on all cells, and ``alike`` int64 ``[n]``, the first one with the same first frame on the cells that are kept. The
        arrays are maps of files without a name, so that they need not fit into memory.

    Raises:
        IntegrityError: the file is not HDF5, is truncated, or a dataset is missing, is a link, has another shape, or values that are not finite.
    """
    import h5py

    if not h5py.is_hdf5(path):
        raise IntegrityError(f"'{path}' is no HDF5 file")
    try:
        with h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE_BYTES) as file:
            published = PUBLISHED[task]
            return _frames(_LAYOUTS[published.layout](file, path, published), path, published, law, points, later)
    except IntegrityError:
        raise
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError, UnicodeError) as error:
        raise IntegrityError(f"'{path}' cannot be read as HDF5, it may be truncated: {' '.join(str(error).split())}") from error


def _frames(source: Source, path: Path, published: PublishedFile, law: str, points: int, later: int) -> dict[str, NDArray[np.generic]]:
    if len(set(source.grid)) != 1 or source.grid[0] % points:
        cells = " x ".join(map(str, source.grid))
        fitting = max((divisor for divisor in range(1, points + 1) if source.grid[0] % divisor == 0), default=1)
        raise IntegrityError(f"'{path}' has {cells} cells, which are no multiple of task.points={points}", hint=f"-o task.points={fitting}")
    if len(source.times) < 2:
        raise IntegrityError(f"'{path}' has {len(source.times)} frame, expected a start and what becomes of it")
    if law == "published":
        wanted = list(dict.fromkeys(published.loader_frames(len(source.times))))
    else:
        wanted = [_frame_at(source.times, published.end * (index + 1) / later, path) for index in range(later)]
    start = 0 if law == "published" else _frame_at(source.times, 0.0, path)
    coarser = partial(_block_means if law != "published" and published.blocks else _every, points=points, axes=published.axes)
    shape = (len(published.fields), *(points,) * published.axes)
    first, after = _unnamed((source.samples, *shape)), _unnamed((source.samples, len(wanted), *shape))
    origin = _Repeats(source.samples)
    alike = _Repeats(source.samples) if source.grid[0] > points else origin
    for rows in source.slices():
        states = source.read(rows, start)
        origin.note(rows, states)
        first[rows] = coarser(states)
        if alike is not origin:
            alike.note(rows, first[rows])
        for place, frame in enumerate(wanted):
            after[rows, place] = coarser(source.read(rows, frame))
    return {"first": first, "later": after, "origin": origin.first, "alike": alike.first}


def _every(states: NDArray[np.float32], points: int, axes: int) -> NDArray[np.float32]:
    """Return every (cells / ``points``)-th cell along each of the last ``axes``."""
    kept: Any = (..., *(slice(None, None, states.shape[-1] // points),) * axes)
    return states[kept]


def _block_means(states: NDArray[np.float32], points: int, axes: int) -> NDArray[np.float32]:
    """Return the means of blocks of (cells / ``points``) cells along each of the last ``axes``, summed in double precision."""
    block = states.shape[-1] // points
    blocks = states.reshape(*states.shape[:-axes], *(points, block) * axes)
    return blocks.mean(axis=tuple(range(-1, -2 * axes, -2)), dtype=np.float64).astype(np.float32)


class _Repeats:
    """Which samples repeat an earlier one, by digests of their values."""

    def __init__(self, samples: int) -> None:
        self.first = np.empty(samples, np.int64)
        self._seen: dict[bytes, int] = {}

    def note(self, rows: slice, states: NDArray[np.float32]) -> None:
        """Note the values ``[n ...]`` of the samples ``rows``."""
        for row, state in enumerate(states, rows.start):
            self.first[row] = self._seen.setdefault(hashlib.blake2b(np.ascontiguousarray(state).data, digest_size=16).digest(), row)


def _frame_at(times: NDArray[np.float64], time: float, path: Path) -> int:
    """Return the frame at ``time``, which must be one of ``times`` to a tenth of a step."""
    index = int(np.abs(times - time).argmin())
    if abs(times[index] - time) > _OFF * (times[-1] - times[0]) / (len(times) - 1):
        span = f"its {len(times)} frames run from {times[0]:g} to {times[-1]:g}"
        raise IntegrityError(f"'{path}' has no frame at time {time:g}: {span}", hint="where predict=rollout: -o task.frames=10")
    return index


def _unnamed(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return an array in a file without a name in the working folder, which in a conversion is on the disk of the cache."""
    with tempfile.TemporaryFile(dir=Path.cwd()) as stream:
        return np.memmap(stream, np.float32, "w+", shape=shape)


class Source(ABC):
    """A published file: how many samples, on which grid, at which times; ``read`` gives one frame of some of them."""

    samples: int
    grid: tuple[int, ...]
    times: NDArray[np.float64]

    def slices(self) -> Iterator[slice]:
        """Yield slices of samples that fit :data:`SLICE_BYTES` a field, at least one sample each."""
        step = max(1, SLICE_BYTES // (4 * int(np.prod(self.grid))))
        for start in range(0, self.samples, step):
            yield slice(start, min(start + step, self.samples))

    @abstractmethod
    def read(self, rows: slice, frame: int) -> NDArray[np.float32]:
        """Return ``[n quantities *grid]``."""


class Stacked(Source):
    """One dataset ``[samples frames *grid]`` for each quantity, and ``t-coordinate``."""

    def __init__(self, file: h5py.File, path: Path, published: PublishedFile) -> None:
        axes = ("samples", "frames", *_AXES[: published.axes])
        self._path, self._fields = path, [dataset(file, name, path, axes) for name in published.fields]
        shape = self._fields[0].shape
        for name, field in zip(published.fields, self._fields, strict=True):
            if field.shape != shape:
                raise IntegrityError(f"'{path}': dataset '{name}' has shape {field.shape}, expected {shape} as '{published.fields[0]}'")
        self.samples, self.grid = shape[0], shape[2:]
        self.times = _times(dataset(file, "t-coordinate", path, ("frames",)), shape[1], path)

    def read(self, rows: slice, frame: int) -> NDArray[np.float32]:
        """Return ``[n quantities *grid]``."""
        return np.stack([values(field, (rows, frame), self._path) for field in self._fields], axis=1)


class Darcy(Source):
    """``nu`` ``[samples *grid]`` as frame 0 and ``tensor`` ``[samples 1 *grid]`` as frame 1, as the released loader stacks them."""

    times = np.array([0.0, 1.0])

    def __init__(self, file: h5py.File, path: Path, published: PublishedFile) -> None:
        axes = _AXES[: published.axes]
        self._path = path
        self._coefficient = dataset(file, "nu", path, ("samples", *axes))
        self._solution = dataset(file, "tensor", path, ("samples", "1", *axes))
        shape = self._coefficient.shape
        if self._solution.shape != (shape[0], 1, *shape[1:]):
            raise IntegrityError(f"'{path}': dataset 'tensor' has shape {self._solution.shape}, expected {(shape[0], 1, *shape[1:])} to go with 'nu'")
        self.samples, self.grid = shape[0], shape[1:]

    def read(self, rows: slice, frame: int) -> NDArray[np.float32]:
        """Return ``[n 1 *grid]``."""
        return values(self._solution, rows, self._path) if frame else values(self._coefficient, rows, self._path)[:, None]


class Groups(Source):
    """A group for each sample with ``data`` ``[frames *grid quantities]`` and ``grid/t``; the text in attribute ``config`` is not looked at."""

    def __init__(self, file: h5py.File, path: Path, published: PublishedFile) -> None:
        self._file, self._path, self._published = file, path, published
        self._names = sorted(file)
        if not self._names:
            raise IntegrityError(f"'{path}' has no groups, expected one for each sample")
        self.samples, first = len(self._names), on_one_line(self._names[0])
        self._shape = self._data(self._names[0]).shape
        self.grid = self._shape[1:-1]
        if self._shape[-1] != len(published.fields):
            expected = f"{len(published.fields)} ({', '.join(published.fields)})"
            raise IntegrityError(f"'{path}': dataset '{first}/data' has {self._shape[-1]} quantities, expected {expected}")
        self.times = self._own_times(self._names[0])
        for name in self._names[1:]:
            if self._data(name).shape != self._shape:
                found = self._data(name).shape
                raise IntegrityError(f"'{path}': dataset '{on_one_line(name)}/data' has shape {found}, expected {self._shape} as in '{first}'")
            if not np.array_equal(self._own_times(name), self.times):
                raise IntegrityError(f"'{path}': '{on_one_line(name)}/grid/t' has other times than '{first}/grid/t'")

    def _data(self, name: str) -> h5py.Dataset:
        axes = ("frames", *_AXES[: self._published.axes], "quantities")
        return dataset(subgroup(self._file, name, self._path), "data", self._path, axes)

    def _own_times(self, name: str) -> NDArray[np.float64]:
        grid = subgroup(subgroup(self._file, name, self._path), "grid", self._path)
        return _times(dataset(grid, "t", self._path, ("frames",)), self._shape[0], self._path)

    def read(self, rows: slice, frame: int) -> NDArray[np.float32]:
        """Return ``[n quantities *grid]``."""
        fields = [values(self._data(name), frame, self._path) for name in self._names[rows]]
        return np.moveaxis(np.stack(fields), -1, 1)


_LAYOUTS: dict[str, Callable[[h5py.File, Path, PublishedFile], Source]] = {"stacked": Stacked, "darcy": Darcy, "groups": Groups}


def _times(item: h5py.Dataset, count: int, path: Path) -> NDArray[np.float64]:
    """Return the times of ``count`` frames; the published lists of times have one more than there are frames, at the end."""
    shown = f"'{path}': dataset '{on_one_line(item.name)}'"
    if item.shape[0] not in (count, count + 1):
        raise IntegrityError(f"{shown} has {item.shape[0]} times, expected {count} (one for each frame) or one more")
    times = values(item, slice(0, count), path).astype(np.float64)
    if (np.diff(times) <= 0).any():
        raise IntegrityError(f"{shown} has times that do not increase")
    return times
