"""Small PSICOV files in the published layout: two lists, a pickle of features and an object array of distances for each protein."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

COUNTS = {"deepcov": 40, "psicov": 12}
LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def features(length: int, rng: np.random.Generator) -> dict[str, object]:
    """The eight published entries, no two of them alike."""
    return {
        "seq": "".join(rng.choice(LETTERS, length)),
        "ss": rng.random((3, length)).astype(np.float32),
        "pssm": rng.random((length, 22)).astype(np.float32),
        "sa": rng.random(length).astype(np.float32),
        "entropy": rng.random(length).astype(np.float32),
        "ccmpred": rng.random((length, length)).astype(np.float32),
        "freecon": rng.normal(size=(length, length)).astype(np.float32),
        "potential": rng.normal(size=(length, length)).astype(np.float32),
    }


def distances(length: int, rng: np.random.Generator) -> np.ndarray:
    """Distances float32 [L L] of random places in a ball, many of them below 8 angstrom, a few below 1, the diagonal 0."""
    places = rng.normal(0, 7, (length, 3))
    places[length // 2] = places[2] + 0.1
    return np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1)).astype(np.float32)


def write_protein(folder: Path, name: str, entries: dict[str, object], distance: np.ndarray) -> None:
    """Write ``features/<name>.pkl`` and ``distance/<name>-cb.npy``."""
    for kind in ("features", "distance"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    with (folder / "features" / f"{name}.pkl").open("wb") as stream:
        pickle.dump(entries, stream, protocol=2)
    triple = np.empty(3, object)
    triple[:] = [len(distance), entries["seq"], distance]
    np.save(folder / "distance" / f"{name}-cb.npy", triple, allow_pickle=True)


def names(part: str) -> list[str]:
    """Names in the order of the list, which is not that of the alphabet."""
    return [f"{9 - index % 10}{part[0]}{index:02d}A" for index in range(COUNTS[part])]


def write(root: Path, *, seed: int = 0) -> None:
    """Write both lists and their proteins of 30 to 69 residues, the third of each list 140, below ``psicov``."""
    rng = np.random.default_rng(seed)
    for part in COUNTS:
        for index, name in enumerate(names(part)):
            length = 140 if index == 2 else int(rng.integers(30, 70))
            write_protein(root / "psicov" / part, name, features(length, rng), distances(length, rng))
        lines = [f"{name} {index}" if index % 3 else name for index, name in enumerate(names(part))]
        (root / "psicov" / f"{part}.lst").write_text("\n".join(lines) + "\n", encoding="ascii")
