"""Reader of the published PSICOV files: one pickle of features and one object array of distances for each protein."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pare_bench.errors import IntegrityError
from pare_bench.seeds import stream
from pare_bench.simulators import protein

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

#: Tracks along the sequence: 3 secondary structure, 22 profile, solvent access, entropy.
TRACKS = 27
PAIR_MAPS = ("ccmpred", "freecon", "potential")
#: Proteins that one conversion reads.
BATCH = 256
FEATURE_LIMIT, DISTANCE_LIMIT = 100.0, 500.0


@dataclass(frozen=True)
class Protein:
    """``tracks`` float32 ``[L 27]``, ``maps`` float32 ``[3 L L]`` and ``distance`` float32 ``[L L]`` in angstrom, as published."""

    name: str
    tracks: NDArray[np.float32]
    maps: NDArray[np.float32]
    distance: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.tracks)

    def window(self, limit: int) -> Protein:
        """Return the protein, or of a longer one the ``limit`` residues from a place drawn once for its name."""
        if len(self) <= limit:
            return self
        start = int(stream("psicov", "window", self.name, limit).integers(0, len(self) - limit + 1))
        inside = slice(start, start + limit)
        return Protein(self.name, self.tracks[inside], self.maps[:, inside, inside], self.distance[inside, inside])

    def channels(self) -> NDArray[np.float32]:
        """Return the 57 maps ``[57 L L]`` in the published order."""
        tracks, maps = self.tracks.astype(np.float64), self.maps.astype(np.float64)
        return protein.channels(protein.Features(tracks[:, :3].T, tracks[:, 3:25], tracks[:, 25], tracks[:, 26], *maps))

    def distances(self) -> NDArray[np.float32]:
        """Return the cleaned distances ``[L L]``: at least 1, the diagonal from its neighbours."""
        return protein.clean_distances(self.distance.astype(np.float64)).astype(np.float32)


class Proteins:
    """The proteins of one list, as memory maps of their converted files."""

    def __init__(self, files: Files, folder: str) -> None:
        """Read ``<folder>.lst`` and the two files of each protein it names; ``folder`` is ``"deepcov"`` or ``"psicov"``.

        Raises:
            DataMissingError: the list or a file it names is not there.
            IntegrityError: a file is not as published.
        """
        # The released code keeps everything in a folder "protein" of a data folder that all tasks share.
        prefix = "" if files.find(f"{folder}.lst") or not files.find(f"protein/{folder}.lst") else "protein/"
        self.names = _names(files.path(f"{prefix}{folder}.lst"))
        self.lengths = np.empty(len(self.names), np.int64)
        self._places: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for start in range(0, len(self.names), BATCH):
            batch = self.names[start : start + BATCH]
            kinds = ("features/{}.pkl", "distance/{}-cb.npy")
            sources = [f"{prefix}{folder}/{kind.format(name)}" for name in batch for kind in kinds]
            arrays = files.converted(sources, f"{__name__}:{converted.__name__}")
            self.lengths[start : start + BATCH] = arrays["lengths"]
            self._places += _places(arrays)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Protein:
        """Return protein ``index`` of the list; nothing is copied."""
        tracks, maps = self._places[index]
        return Protein(self.names[index], tracks, maps[:3], maps[3])


def converted(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Return ``lengths`` int64 ``[n]``, ``tracks`` float32 ``[sum(L) 27]`` and ``maps`` float32 ``[sum(4 L L)]`` of pairs of files; a converter.

    ``maps`` holds ccmpred, freecon, potential and distances of one protein after the other. Keys that the released loader does not read are
    ignored.

    Raises:
        IntegrityError: a file is refused or damaged, or what it holds is not as published.
    """
    lengths, tracks, maps = [], [], []
    for features, distance in zip(sources[::2], sources[1::2], strict=True):
        own_tracks, own_maps = _features(features)
        lengths.append(len(own_tracks))
        tracks.append(own_tracks)
        maps += [own_maps.ravel(), _distance(distance, len(own_tracks)).ravel()]
    return {"lengths": np.array(lengths, np.int64), "tracks": np.concatenate(tracks), "maps": np.concatenate(maps)}


def _names(path: Path) -> list[str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise IntegrityError(f"'{path.name}' is not a text file: {error}") from error
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        raise IntegrityError(f"'{path.name}' names no protein")
    for name in names:
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise IntegrityError(f"'{path.name}' names '{name}', which is not the name of a protein")
    return names


def _places(arrays: dict[str, NDArray[Any]]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Yield tracks ``[L 27]`` and maps ``[4 L L]`` of each protein, as views."""
    residue, pixel = 0, 0
    for length in arrays["lengths"].tolist():
        yield arrays["tracks"][residue : residue + length], arrays["maps"][pixel : pixel + 4 * length**2].reshape(4, length, length)
        residue, pixel = residue + length, pixel + 4 * length**2


def _features(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    import pickle

    from pare_bench.datasets.unpickle import load

    try:
        features = load(path)
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise IntegrityError(f"'{path.name}' cannot be read: {error}") from error
    if not isinstance(features, dict) or not isinstance(features.get("seq"), str) or len(features["seq"]) < 2:
        raise IntegrityError(f"'{path.name}' is not a dict with a sequence 'seq' of at least 2 residues")
    length = len(features["seq"])
    shapes = {"ss": (3, length), "pssm": (length, 22), "sa": (length,), "entropy": (length,)} | dict.fromkeys(PAIR_MAPS, (length, length))
    values = {name: _numbers(path, name, features.get(name), shape, FEATURE_LIMIT) for name, shape in shapes.items()}
    tracks = np.concatenate([values["ss"].T, values["pssm"], values["sa"][:, None], values["entropy"][:, None]], axis=1)
    return tracks, np.stack([values[name] for name in PAIR_MAPS])


def _distance(path: Path, length: int) -> NDArray[np.float32]:
    import pickle

    from pare_bench.datasets.unpickle import load_npy

    try:
        entry = load_npy(path)
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise IntegrityError(f"'{path.name}' cannot be read: {error}") from error
    if entry.shape != (3,) or entry.dtype != object:
        raise IntegrityError(f"'{path.name}' has shape {entry.shape} of {entry.dtype}, expected 3 objects: length, sequence, distances")
    if not isinstance(entry[0], int | np.integer) or int(entry[0]) != length:
        raise IntegrityError(f"'{path.name}' says {entry[0]!r:.40} residues, the features have {length}")
    distance = _numbers(path, "distances", entry[2], (length, length), np.inf)
    if distance.max() > DISTANCE_LIMIT or distance.min() < 0:
        raise IntegrityError(f"'{path.name}' has distances from {distance.min():g} to {distance.max():g} angstrom, expected 0 to {DISTANCE_LIMIT:g}")
    return distance


def _numbers(path: Path, name: str, value: object, shape: tuple[int, ...], limit: float) -> NDArray[np.float32]:
    """Return ``value`` as float32 once it is an array of ``shape`` with finite numbers inside ``limit``."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub" or value.shape != shape:
        found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise IntegrityError(f"'{name}' of '{path.name}' is {found}, expected numbers of shape {shape}")
    if not np.isfinite(value).all():
        raise IntegrityError(f"'{name}' of '{path.name}' has values that are not finite")
    if np.abs(value.astype(np.float64)).max() >= limit:
        raise IntegrityError(f"'{name}' of '{path.name}' leaves -{limit:g} to {limit:g}")
    return np.asarray(value, dtype=np.float32)
