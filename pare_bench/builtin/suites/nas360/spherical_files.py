"""Spherical CIFAR-100 as published, and the same made from CIFAR-100 by our own projection."""

from __future__ import annotations

import gzip
import pickle
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from pare_bench.datasets import cifar, unpickle
from pare_bench.errors import IntegrityError
from pare_bench.seeds import stream
from pare_bench.simulators import sphere

BANDWIDTH = 30
SHAPE = (3, 2 * BANDWIDTH, 2 * BANDWIDTH)
CLASSES = 100
#: Images that share a rotation in the published template.
ROTATION_CHUNK = 500


def convert(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Return ``{train,test}_images`` uint8 ``[n 3 60 60]`` and ``{train,test}_labels`` int64 ``[n]`` of ``s2_cifar100.gz``, in file order.

    The file is a compressed pickle: ``{"train": {"images", "labels"}, "test": {...}}``.

    Raises:
        IntegrityError: the file is damaged or holds something else.
    """
    path = sources[0]
    try:
        with gzip.open(path, "rb") as content_stream:
            content = unpickle.load(cast("IO[bytes]", content_stream))
    except (pickle.UnpicklingError, EOFError, OSError, zlib.error, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise IntegrityError(f"'{path}' cannot be read: {error or 'it ends early'}") from error
    arrays: dict[str, NDArray[np.generic]] = {}
    for part in ("train", "test"):
        fields = content.get(part) if isinstance(content, Mapping) else None
        if not isinstance(fields, Mapping) or not {"images", "labels"} <= set(fields):
            raise IntegrityError(f"'{path}' has no images and labels in a part '{part}'")
        images, labels = np.asarray(fields["images"]), np.asarray(fields["labels"])
        if images.dtype != np.uint8 or images.shape[1:] != SHAPE or not len(images):
            raise IntegrityError(f"'{path}' has {part} images of type {images.dtype} and shape {images.shape}, uint8 (n, 3, 60, 60) were expected")
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            raise IntegrityError(
                f"'{path}' has {part} labels of type {labels.dtype} and shape {labels.shape}, integers ({len(images)},) were expected"
            )
        if not 0 <= labels.min() <= labels.max() < CLASSES:
            raise IntegrityError(f"'{path}' has {part} labels from {labels.min()} to {labels.max()}, 0 to {CLASSES - 1} were expected")
        arrays |= {f"{part}_images": images, f"{part}_labels": labels.astype(np.int64)}
    return arrays


def convert_projected(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Return the same arrays made from CIFAR-100 (archive or pickles): each 500 images in file order share a uniformly random rotation.

    Raises:
        IntegrityError: see :func:`pare_bench.datasets.cifar.convert_cifar100`.
    """
    flat = cifar.convert_cifar100(sources)
    arrays: dict[str, NDArray[np.generic]] = {}
    for part in ("train", "test"):
        images = flat[f"{part}_images"]
        laid = np.empty((len(images), *SHAPE), np.uint8)
        for number, first in enumerate(range(0, len(images), ROTATION_CHUNK)):
            chunk = images[first : first + ROTATION_CHUNK]
            rotation = sphere.random_rotations(1, stream("spherical", "projected from cifar100", part, number))
            rotations = np.broadcast_to(rotation, (len(chunk), 3, 3))
            laid[first : first + len(chunk)] = sphere.quantise(sphere.project(chunk.astype(np.float32), rotations, BANDWIDTH))
        arrays |= {f"{part}_images": laid, f"{part}_labels": flat[f"{part}_labels"]}
    return arrays
