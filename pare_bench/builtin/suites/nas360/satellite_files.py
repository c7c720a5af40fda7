"""Reading the published Satellite series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

STEPS = 46
COVERS = 24


def convert(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Convert one ``satellite_*.npy``, which holds a pickled dict: ``data [n 46]`` and ``label [n]`` in 1..24.

    Returns ``data`` as stored and ``label`` int64 ``[n]`` in 0..23.

    Raises:
        ValueError: the content is something else, or not finite.
    """
    from pare_bench.datasets.unpickle import load_npy

    content = load_npy(sources[0])
    if isinstance(content, np.ndarray) and content.shape == ():
        content = content.item()
    if not isinstance(content, dict) or not {"data", "label"} <= set(content):
        raise ValueError("expected a dict with 'data' and 'label'")
    data, label = np.asarray(content["data"]), np.asarray(content["label"])
    if data.ndim != 2 or data.shape[1] != STEPS or not len(data) or data.dtype.kind not in "iuf":
        raise ValueError(f"data has shape {list(data.shape)} and type {data.dtype}, expected numbers [n {STEPS}]")
    if not np.isfinite(data).all():
        raise ValueError("data has values that are not finite")
    if label.shape != (len(data),) or label.dtype.kind not in "iuf" or not np.isin(label, np.arange(1, COVERS + 1)).all():
        raise ValueError(f"label has shape {list(label.shape)} and type {label.dtype}, expected whole numbers [{len(data)}] in 1..{COVERS}")
    return {"data": np.ascontiguousarray(data), "label": label.astype(np.int64) - 1}
