"""Arrays in NumPy's own format, from files that may be damaged or hostile: nothing is allocated before the header fits the bytes that are there."""

from __future__ import annotations

import math
import warnings
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

#: What NumPy raises for headers that are none.
_NO_HEADER = (SyntaxError, TypeError, KeyError, OverflowError, RecursionError, MemoryError, TokenError)


def read_npy(stream: BinaryIO, size: int) -> NDArray[np.generic]:
    """Return the array in a seekable stream of ``size`` bytes.

    Raises:
        ValueError: there is none, or it has objects, or other bytes than its header announces.
    """
    start = stream.tell()
    shape, dtype = read_header(stream)
    if dtype.hasobject or not dtype.itemsize:
        raise ValueError(f"an array of type {dtype} is not read")
    held, needed = size - (stream.tell() - start), math.prod(shape) * dtype.itemsize
    if held != needed:
        raise ValueError(f"holds {held} bytes of elements, its header promises {needed}")
    stream.seek(start)
    array: NDArray[np.generic] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def read_header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type that a header announces, and leave the stream after it.

    Raises:
        ValueError: there is no header, or its shape is none.
    """
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ValueError(f"npy version {version} is unknown")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what numpy thinks of the header of a damaged file is no news to anybody
            shape, _, dtype = read(stream)
    except _NO_HEADER as error:
        raise ValueError(f"not an array: {' '.join(str(error).split())}") from error
    if any(isinstance(side, bool) or side < 0 for side in shape):
        raise ValueError(f"an array cannot have the shape {shape}")
    return shape, dtype
