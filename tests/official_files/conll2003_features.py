"""Small text features in the published form: plain npy arrays of tokens and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

COUNT = 40


def write(root: Path, *, seed: int = 0) -> None:
    """Write ``text_xs_32.npy`` float32 [n 32 768] and ``text_ys_32.npy`` int64 [n]."""
    rng = np.random.default_rng(seed)
    folder = root / "conll2003_features"
    folder.mkdir(parents=True)
    np.save(folder / "text_xs_32.npy", rng.standard_normal((COUNT, 32, 768)).astype(np.float32))
    np.save(folder / "text_ys_32.npy", rng.permutation(np.arange(COUNT) % 8))
