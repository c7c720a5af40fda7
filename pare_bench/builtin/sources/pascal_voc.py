"""Pascal VOC 2012 as a proxy: PaRe's source of the dense tasks (Darcy, PSICOV, Cosmic)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.sources.pictures import colour_pictures, opened
from pare_bench.builtin.sources.proxy import PublishedProxy, halves
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.task import Classes, InputShape, Split, Splits, Track
from pare_bench.errors import IntegrityError

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

ROOT = "VOCdevkit/VOC2012"
SIDE = 224
MASK_SIDE = 128
CLASSES = 20
#: Value of pixels that count as no class: outlines and what could not be told.
VOID = 255


class PascalVoc(PublishedProxy):
    """Photographs resized to 224x224 in [0, 1]; the class is that of the largest object, 20 classes in VOC's order (aeroplane 0 .. tv monitor 19).

    ``extras["foreground"]`` bool ``[n 128 128]``: the published class mask resized without interpolation; void and ground are False, every
    object is True. The label is the most frequent class of the resized mask, the first of equals. Where no object survives the resizing
    the mask's own pixels decide, and an image without any object is left out (the released code takes the mode of nothing).

    Train is ``ImageSets/Segmentation/train.txt`` (1,464 images), validation and test the halves of ``val.txt`` (1,449). The released code reads
    ``labeled.txt`` and ``val.txt`` instead, lists that were never published: they are used where they lie in the task's folder. A line of a list
    is an image's id, or paths of image and mask.
    """

    name = "pascal_voc"
    version = 1
    inputs = InputShape(3, (SIDE, SIDE))
    target = Classes(CLASSES)
    official_files = (
        OfficialFile(
            "VOCtrainval_11-May-2012.tar",
            urls=("http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",),
            size=1999639040,
            md5="6cd6e144f989b92b3379bac3b3de84fd",
            members=(f"{ROOT}/JPEGImages", f"{ROOT}/SegmentationClass", f"{ROOT}/ImageSets/Segmentation"),
        ),
        OfficialFile("labeled.txt", optional=True),
        OfficialFile("val.txt", optional=True),
    )
    real: ClassVar[str | None] = "photographs"

    def official(self, files: Files, track: Track) -> Splits:  # noqa: ARG002 - a proxy is the same for both
        """Read the unpacked archive.

        Raises:
            DataMissingError: lists, images or masks are not there.
            IntegrityError: a list names what is not there, or a mask is not one of class numbers.

        """
        images = {path.stem: path for path in files.tree(f"{ROOT}/JPEGImages", "*.jpg")}
        masks = {path.stem: path for path in files.tree(f"{ROOT}/SegmentationClass", "*.png")}
        train = self._listed(files, "labeled.txt", f"{ROOT}/ImageSets/Segmentation/train.txt", images, masks)
        held_out = self._listed(files, "val.txt", f"{ROOT}/ImageSets/Segmentation/val.txt", images, masks)
        chosen = [train[index] for index in self.chosen(len(train))]
        return Splits(_split(chosen, images, masks), *halves(_split(held_out, images, masks)))

    def _listed(self, files: Files, released: str, published: str, images: dict[str, Path], masks: dict[str, Path]) -> list[str]:
        listing = files.path(released if files.find(released) else published)
        names = [Path(line.split()[0]).stem for line in listing.read_text("utf-8", errors="replace").splitlines() if line.strip()]
        if not names:
            raise IntegrityError(f"list '{listing}' names no image")
        for name in names:
            for kind, known in (("image", images), ("mask", masks)):
                if name not in known:
                    raise IntegrityError(f"list '{listing}' names '{name}', which has no {kind}", hint="unpack the published archive again")
        return names


def _split(names: Sequence[str], images: dict[str, Path], masks: dict[str, Path]) -> Split:
    found = [foreground_and_class(masks[name]) for name in names]
    kept = [index for index, (_, label) in enumerate(found) if label is not None]
    foreground = np.array([found[index][0] for index in kept], bool).reshape(-1, MASK_SIDE, MASK_SIDE)
    labels = np.array([found[index][1] for index in kept], np.int64)
    inputs = colour_pictures([images[names[index]] for index in kept], SIDE, other_sizes="resize")
    return Split(inputs, labels, {"foreground": foreground})


def foreground_and_class(path: Path) -> tuple[NDArray[np.bool_], int | None]:
    """Return the foreground ``[128 128]`` of a class mask and its most frequent class 0 .. 19, None for a mask without objects.

    Raises:
        IntegrityError: the file is no picture of class numbers.

    """
    from PIL import Image

    picture = opened(path)
    if picture.mode not in ("P", "L"):
        raise IntegrityError(f"mask '{path}' is a picture of mode '{picture.mode}', one of class numbers (palette) was expected")
    # Without a palette Pillow would interpolate by default and so invent classes between two neighbours: nearest is said explicitly.
    small = np.asarray(picture.resize((MASK_SIDE, MASK_SIDE), Image.Resampling.NEAREST))
    counts = {"resized": np.bincount(small.ravel(), minlength=256), "full": np.bincount(np.asarray(picture).ravel(), minlength=256)}
    wrong = np.flatnonzero(counts["full"][CLASSES + 1 : VOID])
    if len(wrong):
        raise IntegrityError(f"mask '{path}' holds class {wrong[0] + CLASSES + 1}, 0 to {CLASSES} and {VOID} were expected")
    objects = [count[1 : CLASSES + 1] for count in counts.values() if count[1 : CLASSES + 1].any()]
    return (small > 0) & (small != VOID), int(objects[0].argmax()) if objects else None
