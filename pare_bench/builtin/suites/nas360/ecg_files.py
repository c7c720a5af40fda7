"""Reading the published ECG recordings and cutting windows from them.

Two ways to the same recordings: ``challenge2017.pkl`` of NAS-Bench-360, or the release of PhysioNet/CinC 2017 it was made from, unpacked or as the
zip it comes in. Each becomes one array of samples with offsets, so that 296,044 windows (1.2 GB) are views of 80 million samples that stay on disk.
"""

from __future__ import annotations

import csv
import hashlib
import io
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.examples import LazyExamples
from pare_bench.contracts.task import Split
from pare_bench.errors import IntegrityError

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

WINDOW = 1000
#: Labels in the order of their codes: normal, atrial fibrillation, other rhythm, noise.
LETTERS = ("N", "A", "O", "~")
#: Samples between window starts for each class, as released.
RELEASED_STRIDES = (500, 83, 250, 25)
#: The same for every class, so that no label decides how often a recording is scored.
FIXED_STRIDES = (500, 500, 500, 500)
#: Fewer recordings cannot be split as published.
MIN_RECORDINGS = 10
PICKLE = "challenge2017.pkl"
RELEASE = "training2017"
#: Reference tables of the release, the corrected one first.
TABLES = ("REFERENCE-v3.csv", f"{RELEASE}/REFERENCE-v3.csv", "REFERENCE.csv", f"{RELEASE}/REFERENCE.csv")
ARCHIVE = f"{RELEASE}.zip"
#: Versions of the 8,528 labels: SHA-256 of their letters one after the other, name, how many differ from version 3.
LABEL_VERSIONS = {
    "4bd56dc0e79c9a9975b771bfa7aa68367311a778873058f2269539ef63a9f6a0": ("version 3", 0),
    "3a317777885bfce8e3cf365ba35e28992e8c43439dbc575c222f7f00514013ac": ("version 2", 148),
    "3065e90152a5ed6025db57abfd7ff3bc4ba592ae086a9f407fa08b6a1a4d5c0d": ("the first version", 412),
}
#: Bytes of a member of the zip that is read: the longest recording has 18,286 samples of two bytes.
_LARGEST_MEMBER = 16 << 20


@dataclass(frozen=True)
class Recordings:
    """``samples [total]`` of all recordings one after the other; recording i is ``offsets[i] : offsets[i + 1]``, has label code ``labels[i]``."""

    samples: NDArray[np.generic]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def label_version(self) -> tuple[str, int] | None:
        """Name of the version of the labels and how many differ from version 3; None where they are not the published ones."""
        return LABEL_VERSIONS.get(hashlib.sha256("".join(LETTERS[code] for code in self.labels).encode()).hexdigest())

    @staticmethod
    def divided(order: NDArray[np.int64], share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return ``order`` without ``share`` of it, and that share: scikit-learn's shuffle of state 0, as released."""
        from sklearn.model_selection import train_test_split

        rest, chosen = train_test_split(order, test_size=share, random_state=0)
        return rest, chosen

    def windows(self, order: NDArray[np.int64], strides: Sequence[int], *, score_all: bool) -> Split:
        """Cut windows from the recordings ``order``, in that order; ``extras["groups"]`` is the recording's number in the file.

        Windows start at ``range(0, length - 1000, stride of the class)``, which leaves out the last possible one. A recording of at most 1000
        samples has none, unless ``score_all``: then it has one, which ends in zeros (the recording's mean) where it is too short.

        Raises:
            IntegrityError: the recordings give no window.
        """
        lengths = np.diff(self.offsets)[order]
        stride = np.asarray(strides)[self.labels[order]]
        counts = np.maximum(-(-(lengths - WINDOW) // stride), 1 if score_all else 0)
        recording = np.repeat(order, counts)
        if not len(recording):
            raise IntegrityError(f"ecg: none of {len(order)} recordings is longer than {WINDOW} samples, so there is no window")
        number = np.arange(len(recording)) - np.repeat(np.cumsum(counts) - counts, counts)
        begin = self.offsets[recording] + number * np.repeat(stride, counts)

        def read(indices: NDArray[np.integer]) -> NDArray[np.float64]:
            owner = recording[indices]
            place = begin[indices, None] + np.arange(WINDOW)
            end = self.offsets[owner + 1, None]
            values = (self.samples[np.minimum(place, end - 1)] - self.means[owner, None]) / self.deviations[owner, None]
            return np.where(place < end, values, 0.0)[:, None, :]

        return Split(LazyExamples((len(recording), 1, WINDOW), np.float32, read), self.labels[recording], {"groups": recording})


def read(files: Files) -> Recordings:
    """Return the published recordings: of ``challenge2017.pkl`` where it is there, else of PhysioNet's release, zipped or, without the zip, unpacked.

    Labels other than version 3 are warned of.

    Raises:
        DataMissingError: none of them is there.
        IntegrityError: a file is not what its format promises, or there are fewer than 10 recordings.
    """
    arrays, labelled = _converted(files)
    small = {name: np.array(arrays[name]) for name in ("offsets", "labels", "means", "deviations")}
    if len(small["labels"]) < MIN_RECORDINGS:
        raise IntegrityError(f"ecg: {len(small['labels'])} recordings are too few to split, at least {MIN_RECORDINGS} are expected")
    recordings = Recordings(arrays["samples"], **small)
    version, different = recordings.label_version or ("version 3", 0)
    if different:
        count = f"{different} of {len(recordings)} differ from version 3, that of the published numbers"
        advice = f"put REFERENCE-v3.csv into '{files.root / 'ecg'}'"
        warnings.warn(f"ecg: the labels of '{labelled}' are {version}, of which {count}: {advice}", RuntimeWarning, stacklevel=2)
    return recordings


def _converted(files: Files) -> tuple[dict[str, NDArray[np.generic]], str]:
    """Return the arrays of :class:`Recordings` and the name of the file that has the labels."""
    zipped = files.find(ARCHIVE) is not None
    # Where the zip lies it is read, unpacked beside it or not: the same files must give a run the same identity.
    table = next((name for name in TABLES if not (zipped and name.startswith(RELEASE)) and files.find(name) is not None), None)
    if files.find(PICKLE) is not None:
        return files.converted(PICKLE, f"{__name__}:convert_pickle"), PICKLE
    if table is not None and not zipped:
        folder = files.find(RELEASE) or files.root
        recordings = [f"{RELEASE}/{path.relative_to(folder).as_posix()}" for path in files.tree(RELEASE, "*.mat")]
        return files.converted([table, *recordings], f"{__name__}:convert_release"), table
    if zipped:
        return files.converted([ARCHIVE] if table is None else [table, ARCHIVE], f"{__name__}:convert_archive"), table or ARCHIVE
    return files.converted(PICKLE, f"{__name__}:convert_pickle"), PICKLE


def convert_pickle(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Convert ``challenge2017.pkl``: a dict of ``data``, an object array of 1-D arrays, and ``label``, letters N, A, O and ~.

    Raises:
        ValueError: the content is something else.
    """
    from pare_bench.datasets.unpickle import load

    content = load(sources[0])
    if not isinstance(content, dict) or not {"data", "label"} <= set(content):
        raise ValueError("expected a dict with 'data' and 'label'")
    letters = [letter.decode() if isinstance(letter, bytes) else str(letter) for letter in content["label"]]
    recordings = [np.asarray(recording) for recording in content["data"]]
    return join_recordings(recordings, letters, [f"recording {number}" for number in range(len(recordings))])


def convert_release(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Convert PhysioNet's release: a reference table (``sources[0]``, lines ``name,letter``) and one ``<name>.mat`` with field ``val`` per line.

    Recordings come in the table's order, which is that of ``challenge2017.pkl``.

    Raises:
        ValueError: a recording lacks a line or a line its recording, or a file is something else.
    """
    table, files = sources[0], {source.stem: source for source in sources[1:]}
    if len(files) < len(sources) - 1:
        twice = next(source for source in sources[1:] if files[source.stem] != source)
        raise ValueError(f"'{twice.name}' is there twice")
    labels = _labels(table.read_text(encoding="ascii"), table.name, set(files))
    return join_recordings([_recording(files[name], files[name].name) for name in labels], list(labels.values()), list(labels))


def convert_archive(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Convert PhysioNet's release as it comes, zipped (the last source), without unpacking it.

    Labels are those of ``sources[0]`` where it is a table, else of the table in the archive, ``REFERENCE-v3.csv`` before ``REFERENCE.csv``.

    Raises:
        ValueError: as :func:`convert_release`, a member is larger than any recording, or there is no table.
        zipfile.BadZipFile: the archive is damaged.
    """
    with zipfile.ZipFile(sources[-1]) as archive:
        members: dict[str, str] = {}
        for member in archive.infolist():
            name = PurePosixPath(member.filename).name
            if name.endswith(".mat") and name in members:
                raise ValueError(f"'{name}' is there twice")
            members[name] = member.filename

        def content(name: str) -> bytes:
            if archive.getinfo(members[name]).file_size > _LARGEST_MEMBER:
                raise ValueError(f"member '{members[name]}' has {archive.getinfo(members[name]).file_size} bytes, at most {_LARGEST_MEMBER} are read")
            return archive.read(members[name])

        if len(sources) > 1:
            title, text = sources[0].name, sources[0].read_text(encoding="ascii")
        else:
            title = next((table for table in ("REFERENCE-v3.csv", "REFERENCE.csv") if table in members), "")
            if not title:
                raise ValueError("neither REFERENCE-v3.csv nor REFERENCE.csv is in it, put one of them beside it")
            text = content(title).decode("ascii")
        labels = _labels(text, title, {name.removesuffix(".mat") for name in members if name.endswith(".mat")})
        recordings = [_recording(io.BytesIO(content(f"{name}.mat")), f"{name}.mat") for name in labels]
    return join_recordings(recordings, list(labels.values()), list(labels))


def _labels(text: str, title: str, recordings: set[str]) -> dict[str, str]:
    """Return the letter of each recording in the order of the table ``text``; a heading, which some copies have, is passed over."""
    rows = [[field.strip() for field in row] for row in csv.reader(text.splitlines()) if row]
    if any(len(row) != 2 for row in rows):
        raise ValueError(f"'{title}': expected lines of a name and a letter")
    if rows and rows[0][0] not in recordings and rows[0][1] not in LETTERS:
        rows = rows[1:]
    names = [name for name, _ in rows]
    if odd := sorted(set(names) ^ recordings):
        raise ValueError(f"'{odd[0]}' is in the reference table or among the recordings, not in both ({len(odd)} such names)")
    if len(set(names)) != len(names):
        raise ValueError(f"'{title}' names a recording twice")
    return {row[0]: row[1] for row in rows}


def _recording(source: Path | BinaryIO, name: str) -> NDArray[np.generic]:
    """Return field ``val`` ``[samples]`` of a MATLAB file."""
    from scipy.io import loadmat

    try:
        content = loadmat(source)
    except Exception as error:  # scipy raises many kinds for bytes that are no MATLAB file
        raise ValueError(f"'{name}' is no MATLAB file: {error}") from error
    if "val" not in content or content["val"].ndim != 2 or content["val"].shape[0] != 1:
        raise ValueError(f"'{name}': expected a field 'val' of shape [1, samples]")
    values: NDArray[np.generic] = content["val"][0]
    return values


def join_recordings(recordings: Sequence[NDArray[np.generic]], letters: Sequence[str], names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of :class:`Recordings`; samples are int16 where all are whole numbers of that range, int64 or float64 otherwise.

    The deviation of a constant recording is given as 1: it becomes zeros, where the released division gives NaN.

    Raises:
        ValueError: a recording is empty, not 1-D, not of finite numbers, or has an unknown letter.
    """
    if len(recordings) != len(letters):
        raise ValueError(f"{len(recordings)} recordings, but {len(letters)} labels")
    for recording, letter, name in zip(recordings, letters, names, strict=True):
        if letter not in LETTERS:
            raise ValueError(f"{name} has label '{letter}', expected one of {' '.join(LETTERS)}")
        if recording.ndim != 1 or not len(recording) or recording.dtype.kind not in "iuf" or not np.isfinite(recording).all():
            raise ValueError(f"{name} has shape {list(recording.shape)} and type {recording.dtype}, expected finite numbers [samples]")
    samples = np.concatenate(recordings)
    limits = np.iinfo(np.int16)
    if samples.dtype.kind == "f":
        samples = samples.astype(np.float64)
    else:
        samples = samples.astype(np.int16 if limits.min <= samples.min() and samples.max() <= limits.max else np.int64)
    deviations = np.array([recording.std(dtype=np.float64) if np.ptp(recording) else 1.0 for recording in recordings])
    return {
        "samples": samples,
        "offsets": np.cumsum([0, *(len(recording) for recording in recordings)], dtype=np.int64),
        "labels": np.array([LETTERS.index(letter) for letter in letters], np.int64),
        "means": np.array([recording.mean(dtype=np.float64) for recording in recordings]),
        "deviations": deviations,
    }
