"""Arrays by name in one file in the safetensors format: written piece by piece, read as a memory map."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {
    "BOOL": "?",
    **{f"{letter}{8 * width}": f"<{letter.lower()}{width}" for letter in "IU" for width in (1, 2, 4, 8)},
    **{f"F{8 * width}": f"<f{width}" for width in (2, 4, 8)},
}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}
_LONGEST_HEADER = 100_000_000  # as in the reference implementation


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write ``arrays``; none is copied whole, unless it is not contiguous or big-endian.

    Raises:
        TypeError: a type that the format does not have (text must be encoded to uint8 first).
    """
    entries: list[tuple[str, NDArray[Any], np.dtype[Any]]] = []
    for name, array in arrays.items():
        dtype = array.dtype.newbyteorder("<") if array.dtype.kind in "iuf" else array.dtype
        if dtype not in _NAMES:
            raise TypeError(f"array '{name}' has type '{array.dtype}', which cannot be stored; known: {', '.join(sorted(_NAMES.values()))}")
        entries.append((name, array, dtype))
    # Wide types first, so that every array starts at a multiple of its width.
    entries.sort(key=lambda entry: (-entry[2].itemsize, entry[0]))
    header: dict[str, Any] = {}
    end = 0
    for name, array, dtype in entries:
        start, end = end, end + array.size * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for _, array, dtype in entries:
            if array.size:
                stream.write(np.ascontiguousarray(array, dtype).reshape(-1).view(np.uint8).data)
        stream.flush()
        os.fsync(stream.fileno())


def map_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file as read-only memory maps.

    Raises:
        ValueError: the file does not have the format.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise ValueError(f"'{path}' is no safetensors file: its header is longer than the file")
        header = json.loads(stream.read(length))
    if not isinstance(header, dict):
        raise ValueError(f"'{path}' is no safetensors file: its header is no object")
    header.pop("__metadata__", None)
    start = 8 + length
    data = np.memmap(path, np.uint8, "r", offset=start) if size > start else np.empty(0, np.uint8)
    try:
        return {name: _view(data, entry) for name, entry in header.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"'{path}' is no safetensors file: its header is malformed") from error


def _view(data: NDArray[np.uint8], entry: Mapping[str, Any]) -> NDArray[Any]:
    dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= len(data) or end - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} does not fit bytes {start} to {end} of {len(data)}")
    return data[start:end].view(dtype).reshape(shape)
