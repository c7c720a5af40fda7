"""Reader of the published Cosmic files: cut-outs of HST exposures as ``.npy`` in folders of filter, proposal and visit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pare_bench.errors import IntegrityError

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

FILTER = "f435w"
#: First row and column of the published crop, and its side.
CORNER, SIZE = 64, 128
#: Proposal and visit of the fields with a resolved galaxy (``GAL``) in the table of ``preprocess_cosmic.py`` (released with ORCA, after deepCR); the
#: other visits show globular clusters (``GC``) or extragalactic fields (``EX``) and are not part of the task.
GALAXY_FIELDS = frozenset(
    {
        "10760_2",
        "10760_4",
        "13737_2",
        "13737_3",
        "9490_a3",
        "12513_2",
        "12513_3",
        "10182_pb",
        "10182_pd",
        "10584_13",
        "10342_3",
        "14343_1",
        "13057_1",
        "10260_7",
        "10260_5",
        "10407_3",
        "13364_95",
        "10190_28",
        "10190_13",
        "9490_a2",
        "13691_11",
        "12058_12",
        "12058_16",
        "12058_1",
        "12058_6",
        "14704_1",
        "13804_6",
    }
)


@dataclass(frozen=True)
class Exposures:
    """Crops: ``images`` float32 in counts, ``mask`` float32 in {0, 1}, ``ignore`` bool, all ``[n 128 128]``; ``sky`` float32 ``[n]`` in counts."""

    images: NDArray[np.float32]
    mask: NDArray[np.float32]
    ignore: NDArray[np.bool_]
    sky: NDArray[np.float32]


def read(files: Files, part: str) -> Exposures:
    """Return the selected exposures of ``part`` (``"train"`` or ``"test"``), sorted by path, cropped to rows and columns 64 to 191.

    The selection is ``<part>_dirs.npy`` (written by the released preparation script) where that file exists, else all visits of
    :data:`GALAXY_FIELDS` below ``npy_<part>/f435w``. ``sky`` is the level that the visit's ``sky.npy`` gives for the number at the start of the
    file's name (from 1), 0 where there is no such file.

    Raises:
        DataMissingError: a folder or a listed file is not there.
        IntegrityError: a file is not as published.
    """
    folder = f"npy_{part}"
    found = {"/".join(path.parts[-4:]): path for path in files.tree(folder, f"{FILTER}/*/*/*.npy")}
    _refuse_escapes(files, folder, found)
    names = _listed(files, part, found) if files.find(f"{part}_dirs.npy") else _walked(found)
    if not names:
        raise IntegrityError(f"folder '{folder}/{FILTER}' has no file of a visit with a resolved galaxy", hint="pare-bench data verify cosmic")
    count = len(names)
    images, mask = np.empty((count, SIZE, SIZE), np.float32), np.empty((count, SIZE, SIZE), np.float32)
    ignore, sky = np.empty((count, SIZE, SIZE), np.bool_), np.empty(count, np.float32)
    levels: dict[str, NDArray[np.floating] | None] = {}
    for row, name in enumerate(names):
        images[row], mask[row], ignore[row] = _planes(found[name], f"{folder}/{name}")
        visit = name.rpartition("/")[0]
        if visit not in levels:
            levels[visit] = _levels(found.get(f"{visit}/sky.npy"), f"{folder}/{visit}/sky.npy")
        sky[row] = _level(levels[visit], f"{folder}/{name}")
    return Exposures(images, mask, ignore, sky)


def listed_paths(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Return the strings of a ``*_dirs.npy`` as UTF-8 ``paths`` uint8 ``[n width]``, padded with zeros; a converter, as they may be objects.

    Raises:
        IntegrityError: not a list of strings.
    """
    from pare_bench.datasets.unpickle import load_npy

    (path,) = sources
    entries = load_npy(path).ravel().tolist()
    if not entries or not all(isinstance(entry, str) for entry in entries):
        raise IntegrityError(f"'{path.name}' is not a list of paths")
    encoded = np.array([entry.encode() for entry in entries])
    return {"paths": encoded.view(np.uint8).reshape(len(entries), -1)}


def _walked(found: Mapping[str, Path]) -> list[str]:
    return sorted(name for name in found if name.rpartition("/")[2] != "sky.npy" and "_".join(name.split("/")[1:3]) in GALAXY_FIELDS)


def _listed(files: Files, part: str, found: Mapping[str, Path]) -> list[str]:
    """Return the files of the list, by their place below ``npy_<part>``, whatever folder the list was written in."""
    from pare_bench.errors import DataMissingError

    paths = files.converted(f"{part}_dirs.npy", f"{__name__}:{listed_paths.__name__}")["paths"]
    names = []
    for entry in (bytes(row).rstrip(b"\0").decode() for row in paths):
        place = re.search(rf"(?:^|/)npy_{part}/([^/]+(?:/[^/]+){{3}}\.npy)$", entry)
        if place is None or ".." in entry.split("/"):
            raise IntegrityError(f"'{part}_dirs.npy' names '{entry}', expected './cosmic/npy_{part}/{FILTER}/<proposal>/<visit>/<file>.npy'")
        if place[1] not in found:
            raise DataMissingError(f"'{part}_dirs.npy' names '{entry}', which is not there", hint="pare-bench data fetch cosmic")
        names.append(place[1])
    return sorted(names)


def _refuse_escapes(files: Files, folder: str, found: Mapping[str, Path]) -> None:
    root = files.find(folder)
    for name, path in found.items():
        if root is not None and not path.resolve().is_relative_to(root.resolve()):
            raise IntegrityError(f"'{folder}/{name}' is a link that leads out of '{folder}', to '{path.resolve()}'")


def _array(path: Path, name: str) -> NDArray[np.generic]:
    try:
        array: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise IntegrityError(f"'{name}' cannot be read as a plain .npy file, it may be truncated: {error}") from error
    if array.dtype.kind not in "fiub":
        raise IntegrityError(f"'{name}' is {array.dtype}, expected real numbers")
    return array


def _planes(path: Path, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Return image, mask and ignored pixels of one file; a file of two planes ignores nothing."""
    array = _array(path, name)
    if array.ndim != 3 or array.shape[0] not in (2, 3) or min(array.shape[1:]) < CORNER + SIZE:
        raise IntegrityError(f"'{name}' has shape {array.shape}, expected (3 or 2, height, width) of at least {CORNER + SIZE} pixels")
    crop = np.array(array[:, CORNER : CORNER + SIZE, CORNER : CORNER + SIZE])
    if not np.isfinite(crop).all():
        raise IntegrityError(f"'{name}' has values that are not finite")
    if not np.isin(crop[1:], (0, 1)).all():
        raise IntegrityError(f"'{name}' has a mask that is not 0 and 1")
    return crop[0].astype(np.float32), crop[1].astype(np.float32), crop[2].astype(np.bool_) if len(crop) == 3 else np.zeros((SIZE, SIZE), np.bool_)


def _levels(path: Path | None, name: str) -> NDArray[np.floating] | None:
    if path is None:
        return None
    levels = np.asarray(_array(path, name), dtype=np.float64)
    if levels.ndim != 1 or not np.isfinite(levels).all():
        raise IntegrityError(f"'{name}' has shape {levels.shape}, expected a list of finite sky levels")
    return levels


def _level(levels: NDArray[np.floating] | None, name: str) -> float:
    if levels is None:
        return 0.0
    number = re.match(r"(\d+)_", name.rpartition("/")[2])
    if number is None or not 1 <= int(number[1]) <= len(levels):
        raise IntegrityError(f"'{name}' does not start with a number from 1 to {len(levels)}, the sky levels of its visit, and an underscore")
    return float(levels[int(number[1]) - 1])
