"""Reading the published DeepSEA sequences."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.task import SPLIT_NAMES

LENGTH = 1000
BASES = 4
FEATURES = 36
ROWS_AT_ONCE = 1000
VALUES_AT_ONCE = 4_000_000


def convert(sources: Sequence[Path]) -> dict[str, NDArray[np.uint8]]:
    """Convert ``deepsea_filtered.npz``: for train, val and test ``x_* [n 1000 4]``, one-hot in the order A, C, G, T, and ``y_* [n 36]`` of 0 and 1.

    Members are read in pieces and kept as uint8, whatever type they have, so that 149,400 sequences need 0.6 GB of memory and disk. A position
    without any 1 (an unknown base) is allowed.

    Raises:
        ValueError: a member is missing, truncated, of another shape, or not of 0 and 1.
    """
    arrays: dict[str, NDArray[np.uint8]] = {}
    try:
        with zipfile.ZipFile(sources[0]) as archive:
            for part in SPLIT_NAMES:
                for name, shape in ((f"x_{part}", (LENGTH, BASES)), (f"y_{part}", (FEATURES,))):
                    with archive.open(f"{name}.npy") as stream:
                        arrays[name] = _read_member(stream, name, shape)
                if len(arrays[f"x_{part}"]) != len(arrays[f"y_{part}"]):
                    raise ValueError(f"x_{part} has {len(arrays[f'x_{part}'])} sequences, y_{part} has {len(arrays[f'y_{part}'])}")
    except KeyError as error:
        raise ValueError(f"{error.args[0]}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"no whole npz file: {error}") from error
    return arrays


def _read_member(stream: IO[bytes], name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read one member of an npz in pieces, as uint8."""
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    stored, column_major, dtype = header(stream)
    if stored[1:] != shape or not stored[0] or dtype.kind not in "biuf":
        raise ValueError(f"{name} has shape {list(stored)} and type {dtype}, expected numbers of shape [n, {', '.join(map(str, shape))}]")
    flat = np.empty(int(np.prod(stored)), np.uint8)
    for start in range(0, len(flat), VALUES_AT_ONCE):
        piece = flat[start : start + VALUES_AT_ONCE]
        data = stream.read(len(piece) * dtype.itemsize)
        if len(data) != len(piece) * dtype.itemsize:
            raise ValueError(f"{name} ends early")
        block = np.frombuffer(data, dtype)
        if not ((block == 0) | (block == 1)).all():
            raise ValueError(f"{name} has values other than 0 and 1")
        piece[:] = block
    values = np.ascontiguousarray(flat.reshape(stored[::-1]).T) if column_major else flat.reshape(stored)
    if len(shape) == 2:
        for start in range(0, len(values), ROWS_AT_ONCE):
            if (values[start : start + ROWS_AT_ONCE].sum(axis=2, dtype=np.uint8) > 1).any():
                raise ValueError(f"{name} has more than one base at a position, in sequences {start}..{start + ROWS_AT_ONCE - 1}")
    return values
