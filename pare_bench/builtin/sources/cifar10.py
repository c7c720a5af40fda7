"""CIFAR-10 as a proxy: ORCA's source of every 2-D task, PaRe's of CIFAR-100, NinaPro and FSD50K."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench.builtin.sources.proxy import PublishedProxy, halves
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.task import Classes, InputShape, Split, Splits, Track
from pare_bench.datasets.cifar import CIFAR10_MEMBERS

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

ARCHIVE = "cifar-10-python.tar.gz"
#: Pixels added to each side before a crop of the old size is taken.
PADDING = 4


class Cifar10(PublishedProxy):
    """Colour images of 32x32 pixels in [0, 1], 10 classes.

    Train is a random subset of the five training batches; validation and test are the halves of the test batch. Images are not normalised:
    a backbone's ``embed_source`` does that with its own mean and deviation (the released code uses CIFAR-10's).
    """

    name = "cifar10"
    version = 1
    inputs = InputShape(3, (32, 32))
    target = Classes(10)
    official_files = (
        OfficialFile(
            ARCHIVE,
            urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
            size=170498071,
            sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            md5="c58f30108f718f92721af3b95e74349a",
            members=CIFAR10_MEMBERS,
        ),
    )
    real: ClassVar[str | None] = "photographs"

    def official(self, files: Files, track: Track) -> Splits:  # noqa: ARG002 - a proxy is the same for both
        """Read the archive, or the pickles unpacked from it.

        Raises:
            DataMissingError: neither is there.
            IntegrityError: a file is damaged or holds something else.

        """
        names = CIFAR10_MEMBERS if files.find(CIFAR10_MEMBERS[0]) else (ARCHIVE,)
        arrays = files.converted(names, "pare_bench.datasets.cifar:convert_cifar10")
        val, test = halves(Split(unit_range(arrays["test_images"]), np.asarray(arrays["test_labels"])))
        chosen = self.chosen(len(arrays["train_labels"]))
        return Splits(Split(unit_range(arrays["train_images"][chosen]), arrays["train_labels"][chosen]), val, test)

    def augment(
        self, inputs: NDArray[np.generic], targets: NDArray[np.generic], rng: np.random.Generator
    ) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """Return the batch cropped to 32x32 at a random place of the image padded by 4 black pixels, and mirrored with probability 1/2."""
        return cropped_and_mirrored(inputs, PADDING, rng), targets


def unit_range(images: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return 8-bit images as float32 in [0, 1]."""
    return np.asarray(images, np.float32) / np.float32(255)


def cropped_and_mirrored(images: NDArray[np.generic], padding: int, rng: np.random.Generator) -> NDArray[np.generic]:
    """Return images ``[n channels height width]`` cropped at a random place after zero padding and mirrored with probability 1/2."""
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    tops, lefts = rng.integers(0, 2 * padding + 1, (2, len(images)))
    columns = lefts[:, None] + np.where(rng.random(len(images))[:, None] < 0.5, np.arange(width)[::-1], np.arange(width))
    rows = tops[:, None] + np.arange(height)
    channels_last = padded.transpose(0, 2, 3, 1)[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None]]
    return np.ascontiguousarray(channels_last.transpose(0, 3, 1, 2))
