"""Finds and reads the archive's ``.ts`` files in the installed aeon package, without importing aeon.

Importing aeon's own reader loads numba and pandas, and binds the whole process to the versions of NumPy and pandas that aeon allows; all that is
needed here is text, so this reader is short. It reads no more than these files need: a file has to have its pinned size and digest first.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pare_bench.errors import DataMissingError, IntegrityError

from pare_bench_ucr.catalogue import PROBLEMS, SeriesFile

#: The release whose files the catalogue has.
INSTALL = "pip install 'aeon==1.6.0'"
REINSTALL = "pip install --force-reinstall --no-deps 'aeon==1.6.0'"

#: One example: float64 ``[channels length]``.
Series = NDArray[np.float64]


def data_folder() -> Path:
    """Return the folder of data sets in the installed aeon package.

    Raises:
        DataMissingError: aeon is not installed.
    """
    # The spec of a top-level package says where it lies and runs none of its code.
    spec = importlib.util.find_spec("aeon")
    if spec is None or not spec.submodule_search_locations:
        raise DataMissingError("the series of suite 'ucr' are in the package 'aeon', which is not installed", hint=INSTALL)
    return Path(next(iter(spec.submodule_search_locations))) / "datasets" / "data"


def read_problem(name: str) -> tuple[tuple[list[Series], NDArray[np.int64]], tuple[list[Series], NDArray[np.int64]]]:
    """Return the training and the test file of data set ``name``: series and the numbers of their classes, in the order of the header.

    Raises:
        DataMissingError: aeon, or a file of it, is not installed.
        IntegrityError: a file is not the one that was pinned.
    """
    folder, problem = data_folder() / name, PROBLEMS[name]
    train = _parsed(folder / f"{name}_TRAIN.ts", problem.train)
    test = _parsed(folder / f"{name}_TEST.ts", problem.test)
    classes = {label: place for place, label in enumerate(train[2])}
    return (train[0], _numbered(train[1], classes)), (test[0], _numbered(test[1], classes))


def _parsed(path: Path, pinned: SeriesFile) -> tuple[list[Series], list[str], list[str]]:
    return parse_series(_checked(path, pinned), str(path))


def _checked(path: Path, pinned: SeriesFile) -> str:
    """Return the text of ``path`` if it is the pinned file; its size is looked at before it is read."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size == pinned.size else b""
    except FileNotFoundError as error:
        raise DataMissingError(f"'{path}' is not in the installed aeon package", hint=INSTALL) from error
    except OSError as error:
        raise DataMissingError(f"'{path}' cannot be read: {error.strerror or error}", hint=REINSTALL) from error
    found = hashlib.sha256(content).hexdigest() if size == pinned.size else ""
    if found != pinned.sha256:
        what = f"sha256 {found}, pinned is {pinned.sha256}" if found else f"{size} bytes, pinned are {pinned.size}"
        raise IntegrityError(f"'{path}' has {what}", hint=REINSTALL)
    return content.decode("utf-8")


def parse_series(text: str, where: str) -> tuple[list[Series], list[str], list[str]]:
    """Return the series of a ``.ts`` file, the label of each, and the labels that its header promises; labels in lower case.

    After a header of comments (``#``) and tags (``@name values``) comes ``@data`` and a line for each series: its channels parted by ``:``, the
    values of each parted by ``,``, and last the label.

    Raises:
        IntegrityError: there is no ``@data`` or no label, a value is missing or no finite number, or channels differ in length.
    """
    header, found, body = text.partition("@data")
    tags = {words[0].lower(): words[1:] for line in header.splitlines() if line.startswith("@") and (words := line.lower().split())}
    promised = tags.get("@classlabel", ["false"])
    if not found or promised[0] != "true" or len(promised) < 3:
        raise IntegrityError(f"'{where}' is no .ts file of classes: it needs '@classLabel true' with two labels or more, and '@data'", hint=REINSTALL)
    series, labels = [], []
    for number, line in enumerate(filter(None, map(str.strip, body.splitlines())), 1):
        *channels, label = line.split(":")
        label = label.strip().lower()
        if not channels or label not in promised[1:]:
            raise IntegrityError(f"'{where}', series {number}: label '{label}' is not one of {' '.join(promised[1:])}", hint=REINSTALL)
        try:
            values = np.array([[float(value) for value in channel.split(",")] for channel in channels])
        except ValueError as error:
            raise IntegrityError(f"'{where}', series {number}: {error}", hint=REINSTALL) from error
        if not np.isfinite(values).all():
            raise IntegrityError(f"'{where}', series {number}: a value is missing or not finite", hint=REINSTALL)
        series.append(values)
        labels.append(label)
    return series, labels, promised[1:]


def _numbered(labels: list[str], classes: dict[str, int]) -> NDArray[np.int64]:
    return np.array([classes[label] for label in labels], dtype=np.int64)


def padded(series: list[Series], length: int) -> NDArray[np.float64]:
    """Return ``[n channels length]``: zeros after the end of each series that is shorter.

    Raises:
        ValueError: a series is longer.
    """
    longest = max(each.shape[1] for each in series)
    if longest > length:
        raise ValueError(f"a series has {longest} values, at most {length} are promised")
    out = np.zeros((len(series), len(series[0]), length))
    for row, each in zip(out, series, strict=True):
        row[:, : each.shape[1]] = each
    return out
