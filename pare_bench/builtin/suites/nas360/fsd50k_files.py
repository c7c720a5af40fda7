"""Chunks of FSD50K, from the published chunk files or from the wav release, and the network's inputs computed from them when they are asked for."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.suites.nas360 import fsd50k_sound
from pare_bench.builtin.suites.nas360.fsd50k_augmentation import augmented
from pare_bench.contracts.examples import LazyExamples
from pare_bench.contracts.task import Split
from pare_bench.datasets import wav
from pare_bench.errors import IntegrityError
from pare_bench.seeds import stream
from pare_bench.simulators import mel

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

LABELS = 200
#: The released loaders cut so many characters off each path and put a root of their own in front.
CUT = 4
#: Where the published chunks and the noise may lie below the data root: as this project keeps them, and as the released code does.
PREFIXES = ("", "audio/")
NOISE = "noise_22050"
THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class Chunks:
    """Chunks of one part of the data: how to read the samples of each, whose clip it is (a row of ``ids`` and ``labels``).

    ``ids`` int64 ``[clips]`` ascending, ``labels`` float32 ``[clips 200]``, ``rows`` int64 ``[chunks]``; ``load(chunk)`` gives ``[22050]``.
    """

    load: Callable[[int], NDArray[np.float32]]
    rows: NDArray[np.int64]
    ids: NDArray[np.int64]
    labels: NDArray[np.float32]

    def split(self) -> Split:
        """Return all chunks; inputs and targets are made when asked for, ``extras["groups"]`` is the clip's id."""
        count = len(self.rows)
        return Split(
            LazyExamples((count, 1, mel.BANDS, mel.COLUMNS), np.float32, self._features),
            LazyExamples((count, LABELS), np.float32, lambda indices: self.labels[self.rows[indices]]),
            {"groups": self.ids[self.rows]},
        )

    def frozen(self, noises: Sequence[NDArray[np.float32]], *words: str | int) -> Split:
        """Return one chunk of each clip in the order of their ids, chosen and augmented once and for all by the streams ``words`` and the id."""
        order = np.argsort(self.rows, kind="stable")
        bounds = np.searchsorted(self.rows[order], np.arange(len(self.ids) + 1))

        def example(row: int) -> NDArray[np.float32]:
            rng = stream(*words, int(self.ids[row]))
            chunk = int(order[rng.integers(bounds[row], bounds[row + 1])])
            spectrogram = mel.features(self.load(chunk))[:, : mel.FRAMES]
            return np.pad(augmented(spectrogram, noises, rng), ((0, 0), (0, mel.COLUMNS - mel.FRAMES)))

        inputs = LazyExamples((len(self.ids), 1, mel.BANDS, mel.COLUMNS), np.float32, lambda indices: _computed(example, indices))
        return Split(inputs, self.labels, {"groups": self.ids})

    def _features(self, indices: NDArray[np.integer]) -> NDArray[np.float32]:
        return _computed(lambda index: mel.features(self.load(index)), indices)


def _computed(example: Callable[[int], NDArray[np.float32]], indices: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return ``example`` of each index ``[n 1 ...]``, in threads: transforms and file reads let other threads run."""
    with ThreadPoolExecutor(THREADS) as pool:
        return np.stack(list(pool.map(example, indices.tolist())))[:, None]


class _Absent:
    """Counts sounds that a list names and that are not there: a part of the data is other data, so all of them must be."""

    def __init__(self) -> None:
        self.named, self.missing, self.first = 0, 0, ""

    def count(self, there: bool, problem: str) -> None:
        """Count a sound that is named; ``problem`` says what is wrong where it is not there."""
        self.named += 1
        self.missing += not there
        self.first = self.first or ("" if there else problem)

    def refuse(self, what: str) -> None:
        """Refuse the data where a sound is missing.

        Raises:
            IntegrityError: with how many are, and the first of them.
        """
        if self.missing:
            raise IntegrityError(f"{self.first}; {self.missing} of {self.named} {what} are missing", hint="pare-bench data fetch fsd50k")


def published_chunks(files: Files) -> tuple[Chunks, Chunks, Chunks]:
    """Return the training, validation and evaluation chunks that ``chunks/{tr,val,eval}.csv`` list, in the files' order.

    Raises:
        DataMissingError: a file or folder is not there.
        IntegrityError: a list lacks a column, names an unknown label, an unknown file or one outside the folder.
    """
    prefix = next((prefix for prefix in PREFIXES if files.find(f"{prefix}chunks/tr.csv")), "")
    label_path = files.path(f"{prefix}chunks/lbl_map.json")
    try:
        vocabulary = json.loads(label_path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise IntegrityError(f"'{label_path}' is not JSON: {error}") from error
    if not isinstance(vocabulary, dict) or sorted(map(str, vocabulary.values())) != sorted(map(str, range(LABELS))):
        raise IntegrityError(f"'{label_path}' does not map {LABELS} labels to 0 .. {LABELS - 1}")
    known: dict[str, set[str]] = {}
    absent = _Absent()

    def located(entry: str, where: str) -> str:
        place = PurePosixPath(entry[CUT:].lstrip("/"))
        if len(place.parts) < 2 or ".." in place.parts or "\\" in entry:
            raise IntegrityError(f"{where} names '{entry}', which is not a file below the data folder")
        top = f"{prefix}{place.parts[0]}"
        if top not in known:
            known[top] = {path.as_posix() for path in files.tree(top, "**/*.wav")}
        path = f"{folder}/{place}"
        absent.count(path in known[top], f"{where} names '{entry}', and there is no '{path}'")
        return path

    parts = []
    for name in ("tr", "val", "eval"):
        table = files.path(f"{prefix}chunks/{name}.csv")
        folder = table.parent.parent.as_posix()
        entries, clips = [], []
        for where, row in _rows(table, ("files", "labels", "ext")):
            entries.append(located(row["files"], where))
            clips.append((where, row["ext"], row["labels"]))
        absent.refuse("chunks")
        parts.append(_chunks(partial(fsd50k_sound.chunk_file, entries), clips, vocabulary, table))
    return _disjoint(*parts)


def released_clips(files: Files) -> tuple[Chunks, Chunks, Chunks]:
    """Return chunks cut from the wav release (Zenodo record 4060432), clips in the order of the lists, chunks in time.

    Published steps: 22,050 Hz, one channel, 16 bits; chunks of 1 s every 0.5 s; the partial last chunk and clips below 1 s are repeated to 1 s.

    Raises:
        DataMissingError: a file or folder is not there.
        IntegrityError: a list lacks a column or names an unknown label, part or clip; a sound is not a 16-bit wav file.
    """
    vocabulary_path = files.path("FSD50K.ground_truth/vocabulary.csv")
    vocabulary = {row[1]: row[0] for row in _lines(vocabulary_path) if len(row) > 1}
    if sorted(vocabulary.values()) != sorted(map(str, range(LABELS))):
        raise IntegrityError(f"'{vocabulary_path}' does not number {LABELS} labels 0 .. {LABELS - 1}")
    numbered = {name: int(number) for name, number in vocabulary.items()}
    tables = {name: files.path(f"FSD50K.ground_truth/{name}.csv") for name in ("dev", "eval")}
    sounds = {name: {path.stem: path for path in files.tree(f"FSD50K.{name}_audio", "*.wav")} for name in tables}
    clips: dict[str, list[tuple[str, str, str]]] = {"train": [], "val": [], "eval": []}
    absent = _Absent()
    for name, columns in (("dev", ("fname", "labels", "split")), ("eval", ("fname", "labels"))):
        for where, row in _rows(tables[name], columns):
            part = row["split"] if name == "dev" else name
            if part not in clips or (part == "eval") != (name == "eval"):
                raise IntegrityError(f"{where} has split '{part}', train or val were expected")
            place = f"FSD50K.{name}_audio/{row['fname']}.wav"
            absent.count(row["fname"] in sounds[name], f"{where} names clip '{row['fname']}', and there is no '{place}'")
            clips[part].append((where, row["fname"], row["labels"]))
    absent.refuse("clips")
    parts = []
    for part, rows in clips.items():
        table = "eval" if part == "eval" else "dev"
        with ThreadPoolExecutor(THREADS) as pool:
            opened = list(pool.map(wav.opened, [sounds[table][clip] for _, clip, _ in rows]))
        places = [(number, start) for number, sound in enumerate(opened) for start in fsd50k_sound.starts(sound.length)]
        parts.append(_chunks(partial(fsd50k_sound.chunk_of_clip, opened, places), [rows[number] for number, _ in places], numbered, tables[table]))
    return _disjoint(*parts)


def noises(files: Files) -> list[NDArray[np.float32]]:
    """Return the background noises as spectrograms ``[96 frames]``, decibels minus their mean over the whole file, in the order of their names.

    Raises:
        DataMissingError: there is no folder ``noise_22050``.
        IntegrityError: a file is not a 16-bit wav file at 22,050 Hz.
    """
    prefix = next((prefix for prefix in PREFIXES if files.find(f"{prefix}{NOISE}")), "")
    names = [f"{prefix}{NOISE}/{path.name}" for path in files.tree(f"{prefix}{NOISE}", "*.wav")]
    if not names:
        raise IntegrityError(f"the folder '{NOISE}' holds no wav file")
    made = files.converted(names, "pare_bench.builtin.suites.nas360.fsd50k_sound:convert_noises")
    return [made["spectrograms"][first:last].T for first, last in zip(made["bounds"][:-1], made["bounds"][1:], strict=True)]


def _lines(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.reader(file)
    except (csv.Error, UnicodeDecodeError) as error:
        raise IntegrityError(f"'{path}' is not a csv file: {error}") from error


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield where each row stands and its fields."""
    lines = _lines(path)
    header = next(lines, [])
    for column in columns:
        if column not in header:
            raise IntegrityError(f"'{path}' has no column '{column}'; it has {', '.join(header) or 'none'}")
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise IntegrityError(f"'{path}' line {number} has {len(line)} fields, {len(header)} were expected")
        yield f"'{path}' line {number}", dict(zip(header, line, strict=True))


def _chunks(load: Callable[[int], NDArray[np.float32]], rows: Iterable[tuple[str, str, str]], vocabulary: dict[str, int], table: Path) -> Chunks:
    """Return chunks with the clips and labels of ``rows``: where it stands, clip id, names of labels separated by commas."""
    targets: dict[int, NDArray[np.float32]] = {}
    owners = []
    for where, clip, names in rows:
        if not clip.isdecimal():
            raise IntegrityError(f"{where} has clip id '{clip}', a number was expected")
        owners.append(int(clip))
        if int(clip) in targets:
            continue
        unknown = next((name for name in names.split(",") if name not in vocabulary), None)
        if unknown is not None:
            raise IntegrityError(f"{where} has the unknown label '{unknown}'")
        targets[int(clip)] = np.zeros(LABELS, np.float32)
        targets[int(clip)][[vocabulary[name] for name in names.split(",")]] = 1
    if not owners:
        raise IntegrityError(f"'{table}' lists no clip")
    ids = np.array(sorted(targets), dtype=np.int64)
    return Chunks(load, np.searchsorted(ids, owners), ids, np.stack([targets[clip] for clip in ids.tolist()]))


def _disjoint(train: Chunks, val: Chunks, test: Chunks) -> tuple[Chunks, Chunks, Chunks]:
    for first, second, names in (
        (train, val, "training and validation"),
        (train, test, "training and evaluation"),
        (val, test, "validation and evaluation"),
    ):
        shared = np.intersect1d(first.ids, second.ids)
        if len(shared):
            raise IntegrityError(f"clip {shared[0]} is in both {names}")
    return train, val, test
