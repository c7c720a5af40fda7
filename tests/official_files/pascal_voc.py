"""Small Pascal VOC 2012 in the published form: JPEG images, palette PNG masks, lists of ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from official_files.tiny_imagenet import picture

TRAIN, VAL = 16, 8
VOID = 255


def palette() -> list[int]:
    """VOC's colours: the bits of the class number dealt out to red, green and blue."""
    return [sum(((index >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(3)) for index in range(256) for channel in range(3)]


def mask(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Two rectangles of different classes with void outlines."""
    values = np.zeros((height, width), np.uint8)
    for number in rng.choice(np.arange(1, 21), 2, replace=False):
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        bottom, right = top + rng.integers(8, height // 2), left + rng.integers(8, width // 2)
        values[top:bottom, left:right] = VOID
        values[top + 2 : bottom - 2, left + 2 : right - 2] = number
    return values


def save_mask(path: Path, values: np.ndarray) -> None:
    """Write a palette PNG."""
    image = Image.fromarray(values)
    image.putpalette(palette())
    image.save(path)


def write(root: Path, *, seed: int = 0) -> None:
    """Write ``VOCdevkit/VOC2012/{JPEGImages,SegmentationClass,ImageSets/Segmentation}``; one image has no mask, one mask shows no object."""
    rng = np.random.default_rng(seed)
    folder = root / "pascal_voc" / "VOCdevkit" / "VOC2012"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / part).mkdir(parents=True)
    names = [f"2007_{number:06d}" for number in rng.choice(10**6, TRAIN + VAL, replace=False)]
    for index, name in enumerate([*names, "2008_000001"]):
        width, height = (100, 75) if index % 2 else (66, 100)
        picture(rng, 100).crop((0, 0, width, height)).save(folder / "JPEGImages" / f"{name}.jpg", quality=95)
        if index < len(names):
            values = mask(rng, width, height)
            if index == 2:
                values[:] = np.where(values == 0, 0, VOID)
            save_mask(folder / "SegmentationClass" / f"{name}.png", values)
    for part, chosen in (("train", names[:TRAIN]), ("val", names[TRAIN:])):
        (folder / "ImageSets" / "Segmentation" / f"{part}.txt").write_text("".join(f"{name}\n" for name in chosen))
