"""Flat images on the sphere, as NAS-Bench-360's Spherical task lays CIFAR-100 on it.

The sphere has radius 1 and stands with its south pole on the plane that carries the image, a square of half side 1.5 about the origin. A ray
from just above the north pole, (0, 0, 2.001), through a point of the lower hemisphere meets the plane at the pixel that the point shows (the
equator at radius 2, so the image covers nearly the whole hemisphere): x, the direction of longitude 0, runs along the rows' numbers and y along
those of the columns, as in s2cnn's template (examples/mnist/gendata.py), of which NAS-Bench-360 has a copy. The rest of the sphere is black. The
sphere is sampled on the equiangular grid of Driscoll and Healy (Advances in Applied Mathematics 15, 1994) after a rotation (Cohen et al.,
Spherical CNNs, ICLR 2018).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

ORIGIN_HEIGHT = 2.001
HALF_SIDE = 1.5


def driscoll_healy(bandwidth: int) -> Floats:
    """Return the unit vectors ``[2b 2b 3]`` of the grid: colatitude pi (2 j + 1) / (4 b) along rows, longitude pi k / b along columns."""
    colatitude = np.pi * (2 * np.arange(2 * bandwidth) + 1) / (4 * bandwidth)
    longitude = np.pi * np.arange(2 * bandwidth) / bandwidth
    ring = np.sin(colatitude)[:, None]
    return np.stack(np.broadcast_arrays(ring * np.cos(longitude), ring * np.sin(longitude), np.cos(colatitude)[:, None]), axis=-1)


def random_rotations(count: int, rng: np.random.Generator) -> Floats:
    """Return rotation matrices ``[n 3 3]``, uniform over all rotations."""
    from scipy.spatial.transform import Rotation

    # Normal quaternions have a uniform direction, and unit quaternions cover the rotations evenly.
    return np.asarray(Rotation.from_quat(rng.standard_normal((count, 4))).as_matrix()).reshape(count, 3, 3)


def project(images: Floats, rotations: Floats, bandwidth: int) -> NDArray[np.float32]:
    """Return spherical images ``[n channels 2b 2b]`` of flat ones ``[n channels height width]``, each turned by its rotation ``[n 3 3]``."""
    points = np.einsum("nij,abj->nabi", rotations, driscoll_healy(bandwidth))
    south = points[..., 2] <= 0
    # The centre lies at height 1.
    stretch = ORIGIN_HEIGHT / (ORIGIN_HEIGHT - 1 - np.minimum(points[..., 2], 0))
    height, width = images.shape[2:]
    rows = (points[..., 0] * stretch / HALF_SIDE + 1) / 2 * (height - 1)
    columns = (points[..., 1] * stretch / HALF_SIDE + 1) / 2 * (width - 1)
    return np.asarray(_bilinear(images, rows, columns) * south[:, None], dtype=np.float32)


def quantise(images: Floats) -> NDArray[np.uint8]:
    """Return each image ``[n ...]`` stretched from its smallest and largest value, over all channels, to 0 .. 255; a constant image gives 0."""
    axes = tuple(range(1, images.ndim))
    low = images.min(axis=axes, keepdims=True)
    spread = images.max(axis=axes, keepdims=True) - low
    return np.asarray((images - low) / np.where(spread > 0, spread, 1) * 255).astype(np.uint8)


def _bilinear(images: Floats, rows: Floats, columns: Floats) -> Floats:
    """Return ``images`` at fractional places ``[n ...]``; 0 outside the image."""
    height, width = images.shape[2:]
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    top = np.clip(np.floor(rows), 0, height - 2).astype(np.int64)
    left = np.clip(np.floor(columns), 0, width - 2).astype(np.int64)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    example = np.arange(len(images)).reshape(-1, *[1] * (rows.ndim - 1))
    last = np.moveaxis(images, 1, -1)
    upper = last[example, top, left] * (1 - right) + last[example, top, left + 1] * right
    lower = last[example, top + 1, left] * (1 - right) + last[example, top + 1, left + 1] * right
    return np.moveaxis((upper * (1 - down) + lower * down) * inside[..., None], -1, 1)
