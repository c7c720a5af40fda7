"""Small ECG files in the two published forms: the pickle of NAS-Bench-360 and the release of PhysioNet/CinC 2017."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from scipy.io import savemat

LETTERS = "NAO~"
COUNT = 40


def recordings(seed: int = 0, count: int = COUNT) -> tuple[list[np.ndarray], list[str]]:
    """Recordings of int16 samples [1000..1400] and their letters, most of them N as published."""
    rng = np.random.default_rng(seed)
    letters = [LETTERS[code] for code in rng.permutation(np.arange(count) % 5 % 4)]
    lengths = rng.integers(1050, 1400, count)
    return [np.cumsum(rng.integers(-50, 51, length)).astype(np.int16) for length in lengths], letters


def write_pickle(folder: Path, data: list[np.ndarray], letters: list[str]) -> None:
    """Write ``challenge2017.pkl``."""
    folder.mkdir(parents=True, exist_ok=True)
    ragged = np.empty(len(data), object)
    ragged[:] = data
    with (folder / "challenge2017.pkl").open("wb") as stream:
        pickle.dump({"data": ragged, "label": np.array(letters, object)}, stream)


def write_release(folder: Path, data: list[np.ndarray], letters: list[str], table: str = "REFERENCE-v3.csv") -> None:
    """Write ``training2017/A00001.mat`` and so on (MATLAB 4 files, as published) and the reference table."""
    (folder / "training2017").mkdir(parents=True, exist_ok=True)
    for number, recording in enumerate(data, 1):
        savemat(folder / "training2017" / f"A{number:05d}.mat", {"val": recording[None]}, format="4")
    (folder / table).write_text("".join(f"A{number:05d},{letter}\n" for number, letter in enumerate(letters, 1)), encoding="ascii")


def write(root: Path, *, seed: int = 0) -> None:
    """Write ``ecg/challenge2017.pkl``."""
    write_pickle(root / "ecg", *recordings(seed))
