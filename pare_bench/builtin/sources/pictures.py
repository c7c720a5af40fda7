"""Picture files of proxy data sets, decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.examples import LazyExamples
from pare_bench.errors import IntegrityError

if TYPE_CHECKING:
    from PIL.Image import Image

#: No published picture has a longer side; a file that claims more is not decoded.
LONGEST_SIDE = 4096


def opened(path: Path) -> Image:
    """Return the decoded picture of a file.

    Raises:
        IntegrityError: the file is no picture, is truncated, or claims an absurd size.

    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=("JPEG", "PNG")) as picture:
            if max(picture.size) > LONGEST_SIDE:
                raise IntegrityError(f"picture '{path}' claims {picture.size[0]}x{picture.size[1]} pixels, more than {LONGEST_SIDE} a side")
            picture.load()
            return picture.copy()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise IntegrityError(f"picture '{path}' cannot be decoded: {type(error).__name__}", hint="unpack the published archive again") from error


def colour_picture(path: Path, side: int, *, other_sizes: Literal["resize", "refuse"]) -> NDArray[np.uint8]:
    """Return a picture as uint8 ``[3 side side]``; other sizes are resized (bilinear, antialiased) or refused.

    Raises:
        IntegrityError: the file cannot be decoded, or has another size where that is refused.

    """
    from PIL import Image

    picture = opened(path).convert("RGB")
    if picture.size != (side, side):
        if other_sizes == "refuse":
            raise IntegrityError(f"picture '{path}' has {picture.size[0]}x{picture.size[1]} pixels, {side}x{side} were expected")
        picture = picture.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(picture).transpose(2, 0, 1)


def colour_pictures(paths: Sequence[Path], side: int, *, other_sizes: Literal["resize", "refuse"]) -> LazyExamples:
    """Return pictures as float32 ``[n 3 side side]`` in [0, 1]; each file is decoded once, when first needed, and kept as 8-bit values."""
    # Pages of the array are taken from the machine when they are written, so pictures that nobody asks for cost nothing.
    kept = np.zeros((len(paths), 3, side, side), np.uint8)
    known = np.zeros(len(paths), bool)

    def read(indices: NDArray[np.integer]) -> NDArray[np.float32]:
        for index in indices[~known[indices]]:
            kept[index] = colour_picture(paths[index], side, other_sizes=other_sizes)
            known[index] = True
        return kept[indices].astype(np.float32) / np.float32(255)

    return LazyExamples((len(paths), 3, side, side), np.float32, read)
