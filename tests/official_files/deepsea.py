"""A small DeepSEA file in the published form: one npz of one-hot sequences and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SIZES = {"train": 40, "val": 12, "test": 14}


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """``x_* [n 1000 4]`` with some unknown bases, ``y_* [n 36]``; every label has positives and negatives in each part."""
    rng = np.random.default_rng(seed)
    content = {}
    for part, count in SIZES.items():
        onehot = np.eye(5, dtype=np.uint8)[rng.choice(5, (count, 1000), p=(0.24, 0.24, 0.24, 0.24, 0.04)), :4]
        labels = (rng.random((count, 36)) < 0.2).astype(np.uint8)
        labels[0], labels[1] = 1, 0
        content |= {f"x_{part}": onehot, f"y_{part}": labels}
    return content


def write(root: Path, *, seed: int = 0) -> None:
    """Write ``deepsea/deepsea_filtered.npz``."""
    (root / "deepsea").mkdir(parents=True, exist_ok=True)
    np.savez(root / "deepsea" / "deepsea_filtered.npz", **arrays(seed))
