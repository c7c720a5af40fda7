"""Small Tiny ImageNet in the published form: 200 class folders of 64x64 JPEG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES, VAL = 200, 12


def picture(rng: np.random.Generator, side: int = 64) -> Image.Image:
    """A smooth picture, which JPEG keeps well."""
    return Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((side, side), Image.Resampling.BICUBIC)


def write(root: Path, *, seed: int = 0) -> None:
    """Write ``train/<wnid>/images/<wnid>_0.JPEG``, its box list, ``val/images`` with ``val_annotations.txt`` and ``wnids.txt``."""
    rng = np.random.default_rng(seed)
    folder = root / "tiny_imagenet" / "tiny-imagenet-200"
    names = [f"n{number:08d}" for number in sorted(rng.choice(10**8, CLASSES, replace=False))]
    for name in names:
        images = folder / "train" / name / "images"
        images.mkdir(parents=True)
        picture(rng).save(images / f"{name}_0.JPEG", quality=95)
        (folder / "train" / name / f"{name}_boxes.txt").write_text(f"{name}_0.JPEG\t0\t10\t63\t58\n")
    # A grey file and a second picture of the first class.
    picture(rng).convert("L").save(folder / "train" / names[3] / "images" / f"{names[3]}_0.JPEG", quality=95)
    picture(rng).save(folder / "train" / names[0] / "images" / f"{names[0]}_1.JPEG", quality=95)
    (folder / "val" / "images").mkdir(parents=True)
    lines = []
    for index in range(VAL):
        picture(rng).save(folder / "val" / "images" / f"val_{index}.JPEG", quality=95)
        lines.append(f"val_{index}.JPEG\t{rng.choice(names)}\t0\t32\t44\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    (folder / "wnids.txt").write_text("".join(f"{name}\n" for name in rng.permutation(names)))
