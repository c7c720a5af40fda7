"""Small CIFAR-10 files in the published form: the six pickles of the unpacked archive, keys as bytes."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

BATCH, TEST = 8, 24


def batch(count: int, rng: np.random.Generator, name: str) -> dict[bytes, object]:
    """Rows of 3,072 bytes (red, green, blue planes) and a list of labels."""
    return {
        b"batch_label": name.encode(),
        b"labels": [int(label) for label in rng.permutation(np.arange(count) % 10)],
        b"data": rng.integers(0, 256, (count, 3072), dtype=np.uint8),
        b"filenames": [f"picture_{index}.png".encode() for index in range(count)],
    }


def write(root: Path, *, seed: int = 0) -> None:
    """Write ``cifar10/cifar-10-batches-py/data_batch_1`` .. ``data_batch_5`` and ``test_batch``."""
    rng = np.random.default_rng(seed)
    folder = root / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number in range(1, 6):
        (folder / f"data_batch_{number}").write_bytes(pickle.dumps(batch(BATCH, rng, f"training batch {number} of 5"), protocol=2))
    (folder / "test_batch").write_bytes(pickle.dumps(batch(TEST, rng, "testing batch 1 of 1"), protocol=2))
