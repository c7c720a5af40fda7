"""Small Satellite files in the published form: npy files that hold a pickled dict."""

from __future__ import annotations

from pathlib import Path

import numpy as np

TRAIN, TEST = 72, 26


def arrays(count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Series [count 46] float64 of different level and spread, labels 1..24 int64."""
    series = rng.uniform(0, 900, (count, 1)) + rng.uniform(1, 90, (count, 1)) * rng.standard_normal((count, 46))
    return {"data": series, "label": rng.permutation(np.arange(count) % 24) + 1}


def save(path: Path, content: object) -> None:
    """Write ``content`` as numpy does for what is no array: a pickle within an npy file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(content, dtype=object), allow_pickle=True)


def write(root: Path, *, seed: int = 0) -> None:
    """Write ``satellite/satellite_train.npy`` and ``satellite_test.npy``."""
    rng = np.random.default_rng(seed)
    save(root / "satellite" / "satellite_train.npy", arrays(TRAIN, rng))
    save(root / "satellite" / "satellite_test.npy", arrays(TEST, rng))
