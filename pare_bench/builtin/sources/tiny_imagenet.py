"""Tiny ImageNet as a proxy: PaRe's source of Spherical."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pare_bench.builtin.sources.pictures import colour_pictures
from pare_bench.builtin.sources.proxy import PublishedProxy, halves
from pare_bench.contracts.examples import LazyExamples
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.task import Classes, InputShape, Split, Splits, Track
from pare_bench.errors import IntegrityError

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

ROOT = "tiny-imagenet-200"
SIDE = 64
CLASSES = 200


class TinyImagenet(PublishedProxy):
    """Colour images of 64x64 pixels in [0, 1], 200 classes in the order of their sorted folder names, as torchvision's ImageFolder numbers them.

    Train is a random subset of ``train`` (ORCA) or of ``train_10`` (PaRe; an undocumented subset that nobody published, used where it is
    there). Validation and test are the halves of the published validation part, empty where that is not unpacked. Images are decoded when
    they are first needed. A backbone's ``embed_source`` resizes and normalises. The released code crops at random straight to 224x224; here the
    crop (``augment``) comes back to 64x64 first, because the backbone decides its own size.
    """

    class Params(PublishedProxy.Params):
        """Parameters of ``tiny_imagenet``."""

        folder: Literal["auto", "train", "train_10"] = Field("auto", description="auto: train_10 where it is there, else train")

    params: TinyImagenet.Params
    name = "tiny_imagenet"
    version = 1
    inputs = InputShape(3, (SIDE, SIDE))
    target = Classes(CLASSES)
    official_files = (
        OfficialFile(
            "tiny-imagenet-200.zip",
            urls=("http://cs231n.stanford.edu/tiny-imagenet-200.zip",),
            size=248100043,
            md5="90528d7ca1a48142e341f4ef8d21d0de",
            members=(f"{ROOT}/train", f"{ROOT}/val"),
        ),
    )
    real: ClassVar[str | None] = "photographs"

    def official(self, files: Files, track: Track) -> Splits:  # noqa: ARG002 - a proxy is the same for both
        """Read the unpacked archive.

        Raises:
            DataMissingError: the folder is not there.
            IntegrityError: it holds no pictures, or the wrong number of classes.

        """
        folder = self.params.folder
        if folder == "auto":
            folder = "train_10" if files.find(f"{ROOT}/train_10") else "train"
        paths = files.tree(f"{ROOT}/{folder}", "*.JPEG")
        owners = [_class_folder(path, folder) for path in paths]
        names = sorted(set(owners))
        # The undocumented subset may hold fewer classes; the published folder holds all of them.
        if len(names) > CLASSES or not names or (folder == "train" and len(names) != CLASSES):
            raise IntegrityError(
                f"folder '{ROOT}/{folder}' holds {len(names)} class folders with pictures, {CLASSES} were expected",
                hint="unpack the published archive again",
            )
        chosen = self.chosen(len(paths))
        numbers = {name: number for number, name in enumerate(names)}
        train = Split(_pictures([paths[index] for index in chosen]), np.array([numbers[owners[index]] for index in chosen], np.int64))
        return Splits(train, *halves(self._held_out(files, numbers)))

    def _held_out(self, files: Files, numbers: dict[str, int]) -> Split:
        """Return the published validation part: ``val/val_annotations.txt`` has the file name and the class of each picture, tab-separated."""
        listed: list[tuple[str, str]] = []
        if files.find(f"{ROOT}/val/val_annotations.txt") is not None:
            listing = files.path(f"{ROOT}/val/val_annotations.txt")
            for number, line in enumerate(listing.read_text("utf-8", errors="replace").splitlines(), 1):
                fields = line.split("\t")
                if len(fields) < 2:
                    raise IntegrityError(f"'{listing}' line {number} has no class: file name and class, separated by a tab, were expected")
                listed.append((fields[0], fields[1]))
        here = {path.name: path for path in files.tree(f"{ROOT}/val/images", "*.JPEG")} if listed else {}
        kept = [(here[name], numbers[owner]) for name, owner in listed if name in here and owner in numbers]
        return Split(_pictures([path for path, _ in kept]), np.array([label for _, label in kept], np.int64))

    def augment(
        self, inputs: NDArray[np.generic], targets: NDArray[np.generic], rng: np.random.Generator
    ) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """Return random crops (8 to 100 % of the area, sides 3:4 to 4:3) resized to the old size, mirrored with probability 1/2."""
        return resized_crops(inputs, rng), targets


def _class_folder(path: PurePath, folder: str) -> str:
    """Return the name of the folder right below ``folder`` that a picture lies in, whether or not there is a folder ``images`` between."""
    return path.parts[len(path.parts) - path.parts[::-1].index(folder)]


def _pictures(paths: list[Path]) -> LazyExamples:
    return colour_pictures(paths, SIDE, other_sizes="refuse")


def crop_box(side: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a random crop of a square picture, as torchvision's RandomResizedCrop draws it with its defaults.

    The area is uniform in 8 to 100 %, the ratio of the sides log-uniform in 3/4 to 4/3; after ten boxes that do not fit, the whole picture.
    """
    for _ in range(10):
        area, ratio = side**2 * rng.uniform(0.08, 1.0), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        width, height = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if 0 < width <= side and 0 < height <= side:
            left, top = int(rng.integers(0, side - width + 1)), int(rng.integers(0, side - height + 1))
            return left, top, left + width, top + height
    return 0, 0, side, side


def resized_crops(images: NDArray[np.generic], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return float images ``[n 3 side side]`` in [0, 1] cropped at random, resized back (bilinear, 8 bit) and mirrored half of the time."""
    from PIL import Image

    side = images.shape[-1]
    result = np.empty(images.shape, np.float32)
    for index, image in enumerate(np.rint(np.asarray(images, np.float32) * 255).astype(np.uint8)):
        picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
        crop = np.asarray(picture.crop(crop_box(side, rng)).resize((side, side), Image.Resampling.BILINEAR))
        result[index] = crop[:, :: -1 if rng.random() < 0.5 else 1].transpose(2, 0, 1)
    return result / np.float32(255)
